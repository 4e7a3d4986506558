"""Who looked, over the API and the pages: what staff read is written down before it is shown, and its person sees it."""

import io
import json
import re
import sqlite3
import zipfile
from contextlib import contextmanager

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from volition.canonical import now_us
from volition.ledger.signing import VerifierKey
from volition.server.api.security import Requirement
from volition.server.app import Server
from volition.server.auth import STAFF, Role, Scope
from volition.server.reading import NOBODY
from volition.server.web.app import PAGES
from volition.transparency.access_log import READINGS
from volition.transparency.usage import DAY_US
from volition.transparency.verify.looked import check_access_entries, check_access_proof
from volition.workspace import Workspace

SHOWN = {  # a path of each route that shows staff somebody's data, and who must then be in the access log
    "/v1/people": "ada",
    "/v1/people/{person}/holdings": "ada",
    "/v1/people/{person}/export": "ada",
    "/v1/people/{person}/proofs": "ada",
    "/v1/people/{person}/requests": "ada",
    "/v1/people/{person}/collected": "ada",
    "/v1/people/{person}/accesses": "ada",
    "/v1/people/{person}/accesses/{line}/proof": "ada",
    "/v1/entries": "ada",
    "/v1/owed": None,  # nothing is owed here
    "/v1/weigh": "ada",
    "/v1/settings": "ada",
    "/console/evidence/{name}": None,  # none was made here: `test_downloads_verify`
    "/console/people": "heard",
    "/console/guests": "guest",
}


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train/compose"])
        server.guest = workspace.parties.guest("acme", "Zoe Guest").id
        server.heard = workspace.parties.guest("acme", "Ada").id
        assert workspace.people.pairs(None)
        server.pseudonyms = [one.pseudonym for one in workspace.parties.people()]
    server.access.links.make_guest_link(person=server.guest, account="acme")
    yield server
    server.close()


def api(server, role=Role.OPERATOR):
    _, secret = server.access.tokens.issue(f"demo-{role}", name="test", roles=[role], scopes=list(Scope))
    headers = {"authorization": f"Bearer {secret}"}
    return TestClient(server, base_url="http://api.example", headers=headers, raise_server_exceptions=False)


def visitor(server, role):
    client = TestClient(server, base_url="http://centre.example", follow_redirects=False)
    client.cookies.set("volition", server.access.sessions.begin(f"demo-{role}"))
    return client


def looked(server, person="ada"):
    with server.workspaces.borrow() as workspace:
        return workspace.accesses.of(person, limit=1000)


@contextmanager
def tomorrow(server):
    """Lend a workspace of a process whose clock is a day further, which closes today."""
    with Workspace.open(server.workspaces.folder, clock=lambda: now_us() + DAY_US) as workspace:
        yield workspace


def routes(server):
    """Yield the path, the roles, and what staff read, of every route and page that gives something."""
    left = list(server.api.app.routes)
    while left:
        route = left.pop(0)
        left += getattr(getattr(route, "original_router", None), "routes", [])
        if isinstance(route, APIRoute) and "GET" in route.methods:
            for each in route.dependant.dependencies:
                if isinstance(each.call, Requirement):
                    yield route.path, each.call.roles, each.call.reads
    for page in PAGES:
        if page.method == "GET" and page.roles is not None:
            yield page.path, page.roles, page.reads


def filled(path, line="none"):
    path = path.replace("{person}", "ada").replace("{line}", line).replace("{account}", "acme").replace("{seq}", "1")
    return re.sub(r"\{[^}]*\}", "something", path) + (
        "?party=person:ada" if path in {"/v1/weigh", "/v1/settings"} else ""
    )


def test_every_route_of_staff_says_what_they_read_by_it(server):
    declared = {path: reads for path, roles, reads in routes(server) if roles.intersection(STAFF)}
    assert {path for path, reads in declared.items() if reads is None} == set()
    assert set(declared.values()) <= {NOBODY, *READINGS}
    assert {path for path, reads in declared.items() if reads != NOBODY} == set(SHOWN)
    assert len(declared) > 25


@pytest.mark.slow
def test_every_such_reading_is_in_the_log_of_whose_data_it_was_and_nothing_else_is(server):
    with tomorrow(server) as later:
        api(server).get("/v1/people/ada/holdings")
        later.accesses.close_days()
        [line] = later.accesses.of("ada")
    for path, roles, reads in routes(server):
        staff = sorted(roles.intersection(STAFF))
        if not staff:
            continue
        role = staff[-1]
        client = api(server, role) if path.startswith("/v1") else visitor(server, role)
        people = {"ada": "ada", "heard": server.heard, "guest": server.guest, None: "ada"}
        whose = people[SHOWN.get(path)]
        before = len(looked(server, whose))
        answer = client.get(filled(path, line.id))
        new = looked(server, whose)[: len(looked(server, whose)) - before]
        if SHOWN.get(path) is None:
            assert not new, path
        else:
            assert answer.status_code == 200, (path, answer.text)
            assert [(one.who, one.role, one.reading) for one in new] == [(f"demo-{role}", role, reads)], path
        if reads == NOBODY:
            shown = [one for one in ("Ada Byron", "Bo Berg", *server.pseudonyms) if one in answer.text]
            assert not shown, path


def test_what_cannot_be_written_down_is_not_shown(server):
    with sqlite3.connect(server.workspaces.folder / "uses.db") as db:
        db.execute("ALTER TABLE lines RENAME TO gone")
    for path in ("/v1/people/ada/holdings", "/v1/people/ada/export", "/v1/people"):
        answer = api(server).get(path)
        assert answer.status_code == 503, answer.text
        assert "Ada" not in answer.text
    assert "Ada" not in visitor(server, Role.OPERATOR).get("/console/people").text


def test_what_people_see_of_themselves_is_not_written_down(server):
    for role in (Role.PERSON, Role.GUEST):
        for path in ("/holdings", "/receipts", "/looked"):
            assert visitor(server, role).get(path).status_code == 200
    api(server, Role.PERSON).get("/v1/people/ada/export")
    api(server, Role.ADMINISTRATOR).get("/v1/people")
    assert looked(server) == ()


@pytest.mark.parametrize(("role", "own"), [(Role.PERSON, "ada"), (Role.GUEST, "guest"), ("stranger", "cy")])
def test_each_sees_and_proves_their_own_lines_and_nobody_elses(server, role, own):
    person = server.guest if own == "guest" else own
    for one in ("ada", "bo", "cy", server.guest):
        api(server).get(f"/v1/people/{one}/holdings")
    client = visitor(server, role)
    text = client.get("/looked").text
    assert text.count("How much is held about you") == 1
    assert text.count("Provable from tomorrow") == 1
    assert "demo-operator" in text
    with tomorrow(server) as later:
        later.accesses.close_days()
        mine = later.accesses.of(person)
        others = [line for one in ("ada", "bo", "cy", server.guest) if one != person for line in later.accesses.of(one)]
        key = later.verifier
        assert check_access_entries(later.entries())
    [line] = mine
    assert f'href="/looked/{line.id}"' in client.get("/looked").text
    proof = client.get(f"/looked/{line.id}").json()
    assert "demo-operator (operator) read" in check_access_proof(proof, key)
    assert len(others) == 3
    for other in others:
        assert client.get(f"/looked/{other.id}").status_code == 400
        assert other.whose.removeprefix("person:") not in json.dumps(proof)


def test_the_api_lists_and_proves_to_the_person_and_to_nobody_else(server):
    for _ in range(3):
        api(server).get("/v1/people/ada/holdings")
    ada = api(server, Role.PERSON)
    page = ada.get("/v1/people/ada/accesses?limit=2").json()
    rest = ada.get(f"/v1/people/ada/accesses?limit=2&cursor={page['next']}").json()
    assert [len(page["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]
    assert {one["line"] for one in (*page["items"], *rest["items"])} == {None}
    with tomorrow(server) as later:
        later.accesses.close_days()
    line = ada.get("/v1/people/ada/accesses").json()["items"][0]
    proof = ada.get(f"/v1/people/ada/accesses/{line['line']}/proof").json()
    key = VerifierKey.from_text(ada.get("/v1/checkpoint").json()["key"])
    assert f"entry {line['entry']} of the ledger" in check_access_proof(proof, key)
    for role, status in ((Role.ENGINEER, 403), (Role.AUDITOR, 403), (Role.OPERATOR, 200)):
        for path in ("accesses", f"accesses/{line['line']}/proof"):
            assert api(server, role).get(f"/v1/people/ada/{path}").status_code == status, (role, path)
    assert api(server, Role.PERSON).get("/v1/people/bo/accesses").status_code == 403
    assert ada.get("/v1/people/ada/accesses/2024-01-01.0/proof").status_code == 400


def test_the_export_holds_who_looked_before(server):
    for _ in range(2):
        answer = api(server).get("/v1/people/ada/export")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        [line] = json.loads(archive.read("accesses.json"))
    assert (line["who"], line["for"]) == ("demo-operator", "export")


def test_a_merged_person_sees_the_lines_of_every_identity(server):
    api(server).get(f"/v1/people/{server.heard}/holdings")
    api(server).get("/v1/people/ada/holdings")
    with server.workspaces.borrow() as workspace:
        workspace.people.merge(server.heard, into="ada")
    assert len(looked(server)) == 2


def test_the_server_enters_the_days_that_are_over_by_itself(server):
    api(server).get("/v1/people/ada/holdings")
    with tomorrow(server) as later:
        size = later.ledger.size
        later.people.add_account("new", "New")  # moves nothing: an entry dated tomorrow does
        later.consent.decide("person:bo", yes=False, data=["content"], purpose=["train/compose"])
        assert later.ledger.size > size
    server._days_closed_on = ""  # as the next day begins
    server._close_days()
    with server.workspaces.borrow() as workspace:
        assert [entry.kind for entry in workspace.entries()][-1] == "access"
