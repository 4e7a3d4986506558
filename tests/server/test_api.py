"""The HTTP API, as a machine uses it."""

import gzip
import hashlib
import hmac
import io
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pyarrow as pa
import pytest
from fastapi.routing import APIRoute
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from starlette.testclient import TestClient

import volition
from volition.errors import InvalidInputError
from volition.ledger.signing import VerifierKey
from volition.server.api.security import Requirement
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.transparency.verify.people import verify_person
from waiting import until

ALL = list(Scope)


@pytest.fixture
def server(world):
    server = Server(world)
    yield server
    server.close()


def asking(server, role=Role.OPERATOR, scopes=ALL, **more):
    """Return a client with a token of a role."""
    _, secret = server.access.tokens.issue(f"demo-{role}", name="test", roles=[role], scopes=scopes)
    headers = {"authorization": f"Bearer {secret}"}
    return TestClient(server, base_url="http://api.example", headers=headers, raise_server_exceptions=False, **more)


@pytest.fixture
def api(server):
    return asking(server)


def allow(api):
    for party in ("account:acme", "person:ada", "person:bo"):
        body = {"party": party, "answer": "yes", "data": ["service", "content"], "purpose": ["train", "feature"]}
        assert api.post("/v1/decisions", json={**body, "covers": "past"}).status_code == 201


# --- who may what ---


def routes(server):
    """Yield every route under /v1 with what it requires, whichever router holds it."""
    left = list(server.api.app.routes)
    while left:
        route = left.pop(0)
        left += getattr(getattr(route, "original_router", None), "routes", [])
        if isinstance(route, APIRoute) and route.path.startswith("/v1/"):
            found = [each.call for each in route.dependant.dependencies if isinstance(each.call, Requirement)]
            yield route, found


OPEN = {"/v1/openapi.json", "/v1/webhooks/zoom", "/v1/embed/volition-1.js"}  # and what Zoom signs; the component


BY_HAND = {("POST", "/v1/may")}  # judged before the framework is asked, and tested as all others below


@pytest.mark.slow
def test_the_walk_over_the_routes_leaves_none_out(server, api):
    documented = {
        (method.upper(), path) for path, told in api.get("/v1/openapi.json").json()["paths"].items() for method in told
    }
    walked = {(method, route.path) for route, _ in routes(server) for method in route.methods}
    assert len(walked) > 30
    assert documented - walked == BY_HAND


def test_the_documentation_lists_every_route_with_whom_it_is_for(server):
    text = (Path(volition.__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([A-Z]+ /v1/[^`]*)` \| ([^|]+) \|", text, re.MULTILINE))
    order = [Role.PERSON, Role.GUEST, Role.ADMINISTRATOR, Role.ENGINEER, Role.AUDITOR, Role.OPERATOR]
    there = {"POST /v1/may": "engineer, auditor, operator"}
    for route, found in routes(server):
        roles = sorted(found[0].roles, key=order.index) if found else []
        who = "everybody" if not roles else "anyone signed in" if len(roles) == len(order) else ", ".join(roles)
        there |= {f"{method} {route.path}": who for method in route.methods}
    assert told == there


def test_every_route_says_what_it_requires(server):
    for route, found in routes(server):
        assert len(found) == (route.path not in OPEN), route.path


OPERATIONS = {"/healthz", "/readyz", "/metrics", "/.well-known/gpc.json"}
"""About nobody, and open to everybody but for the metrics."""


def test_every_route_of_the_application_is_walked_or_is_about_nobody(server):
    left, paths = list(server.api.app.routes), set()
    while left:
        route = left.pop(0)
        inner = getattr(getattr(route, "original_router", None), "routes", [])
        left += inner
        paths |= set() if inner else {route.path}
    assert paths - {route.path for route, _ in routes(server)} == OPERATIONS


def coming(server, who):
    """Return a client of a role: with a token, and a guest, who has none, with the session that a link began."""
    if who is not Role.GUEST:
        return asking(server, who)
    client = TestClient(server, base_url="http://api.example", headers={"sec-fetch-site": "same-origin"})
    client.cookies.set("volition", server.access.sessions.begin("demo-guest"))
    return client


@pytest.mark.parametrize("role", [None, *Role])
def test_all_routes_by_all_roles(server, role):
    client = TestClient(server, base_url="http://api.example") if role is None else coming(server, role)
    for route, found in routes(server):
        for needed in found:
            for method in route.methods:
                path = route.path.replace("{seq}", "0")
                answer = client.request(method, path, headers={"content-type": "application/json"}, content=b"{}")
                told = f"{method} {path} as {role}: {answer.status_code}"
                if role is None:
                    assert answer.status_code == 401, told
                elif role in needed.roles:
                    assert "needs the scope" not in answer.text, told
                else:
                    assert answer.status_code == 403, told
                    assert answer.headers["content-type"] == "application/problem+json"


def test_a_token_without_the_scope_is_refused_everywhere(server):
    for route, found in routes(server):
        for needed in found:
            role = min(needed.roles - {Role.GUEST})
            client = asking(server, role, [scope for scope in ALL if scope is not needed.scope])
            for method in route.methods:
                answer = client.request(method, route.path.replace("{seq}", "0"), content=b"{}")
                assert answer.status_code == 403, route.path
    assert asking(server, Role.OPERATOR, [Scope.READ]).post("/v1/may", json={}).status_code == 403
    assert asking(server, Role.PERSON, ALL).post("/v1/may", json={}).status_code == 403


@pytest.mark.parametrize("who", [Role.GUEST, "stranger"])
def test_a_guest_and_a_person_of_another_account_get_nothing_of_anybody_else(server, who):
    with server.workspaces.borrow() as workspace:
        pseudonyms = [workspace.parties.person(one).pseudonym for one in ("ada", "bo")]
        guest = workspace.parties.guest("acme", "Zoe Guest").id
    if who == "stranger":
        _, secret = server.access.tokens.issue("demo-stranger", name="t", roles=[Role.PERSON], scopes=ALL)
        client = TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})
    else:
        client = coming(server, who)
    own, of_others = (guest if who is Role.GUEST else "cy"), ("ada", "bo")
    for route, found in routes(server):
        if not found or not found[0].roles & {Role.GUEST if who is Role.GUEST else Role.PERSON}:
            continue
        for person in (own, *of_others):
            path = route.path.replace("{seq}", "0").replace("{person}", person)
            params = {"kind": "meeting", "name": "standup", "party": f"person:{person}", "purpose": "train/search"}
            for method in route.methods:
                answer = client.request(method, path, params=params, content=b"{}")
                told = [one for one in ("Ada Byron", "Bo Berg", "launch", *pseudonyms) if one in answer.text]
                assert told == [], (method, path)
                if person in of_others and ("{person}" in route.path or route.path == "/v1/weigh"):
                    assert answer.status_code == 403, (method, path)
    for party in ("person:ada", "account:acme", "account:brill"):
        body = {"party": party, "answer": "no", "data": ["content"], "purpose": ["train"]}
        assert client.post("/v1/decisions", json=body).status_code == 403
    answer = client.post("/v1/decisions", json={**body, "party": f"person:{own}"})
    assert answer.status_code == 201


def test_a_guest_who_was_recognised_as_a_registered_person_gets_nothing_of_theirs(server, api):
    allow(api)
    client = coming(server, Role.GUEST)
    with server.workspaces.borrow() as workspace:
        guest = workspace.parties.guest("acme", "Zoe Guest").id
    paths = ("/v1/decisions", "/v1/exclusions", f"/v1/people/{guest}/holdings", f"/v1/people/{guest}/proofs")
    assert [client.get(path).status_code for path in paths] == [200] * 4
    with server.workspaces.borrow() as workspace:
        workspace.people.merge(guest, into="bo")
        pseudonym = workspace.parties.person("bo").pseudonym
    for path in paths:
        answer = client.get(path)
        assert (answer.status_code, pseudonym in answer.text) == (403, False), path
        assert "recognised as a registered person" in answer.text


def test_a_guest_has_no_token(server):
    with pytest.raises(InvalidInputError, match="comes in by a link"):
        server.access.tokens.issue("demo-guest", name="t", roles=[Role.GUEST], scopes=ALL)


def test_nobody_speaks_for_another(server):
    body = {"answer": "no", "data": ["content"], "purpose": ["train"]}
    person, administrator = asking(server, Role.PERSON), asking(server, Role.ADMINISTRATOR)
    for client, allowed in ((person, "person:ada"), (administrator, "account:acme")):
        for party in ("person:ada", "person:bo", "account:acme", "account:brill"):
            status = client.post("/v1/decisions", json={**body, "party": party}).status_code
            assert status == (201 if party == allowed else 403), party
    assert administrator.post("/v1/accounts/brill/acceptance", json={}).status_code == 403


CLAIM = {"party": "Ada Byron", "account": "acme", "answer": "no", "data": ["content"], "purpose": ["train"]}


def test_answers_given_elsewhere_are_imported_in_one_request_and_once(server, api):
    claims = [{**CLAIM, "said": "2025-01-01T09:00:00Z", "id": "1"}, {**CLAIM, "party": "nobody", "said": "2025-01-01"}]
    told = api.post("/v1/decisions:batch", json={"source": "crm", "decisions": claims, "dry_run": True}).json()
    assert (told["new"], told["set_aside"], told["dry_run"]) == (1, 1, True)
    for new, known in ((1, 0), (0, 1)):
        answer = api.post("/v1/decisions:batch", json={"source": "crm", "decisions": claims})
        assert answer.status_code == 200
        told = answer.json()
        assert (told["new"], told["known"], told["set_aside"], told["rows"][0]["line"]) == (new, known, 1, 2)
    with server.workspaces.borrow() as workspace:
        claims_there = [one.body["claim"] for one in workspace.entries() if "claim" in one.body]
    assert {one["said"] for one in claims_there} == {"2025-01-01T09:00:00.000000Z"}
    assert api.post("/v1/decisions:batch", json={"source": "(crm)", "decisions": claims}).status_code == 400


@pytest.mark.parametrize("role", [role for role in Role if role not in {Role.OPERATOR, Role.GUEST}])
def test_only_the_operator_imports_answers(server, role):
    body = {"source": "crm", "decisions": [{**CLAIM, "said": "2025-01-01T09:00:00Z"}]}
    assert asking(server, role).post("/v1/decisions:batch", json=body).status_code == 403


def test_accounts_and_people_are_added_in_one_request_and_once(server, api):
    accounts = [{"account": "cob", "name": "Cob", "region": "GB"}, {"account": "acme", "name": "Another"}]
    people = [
        {"person": "cob-kit", "account": "cob", "name": "Kit Cole", "emails": ["kit@cob.example"], "region": "GB"},
        {"person": "cob-lee", "account": "nowhere"},
        {"person": "cob-mia", "account": "cob", "aliases": ["Mia"]},
    ]
    told = api.post("/v1/people:batch", json={"people": people, "dry_run": True}).json()
    assert (told["new"], told["set_aside"], told["dry_run"]) == (0, 3, True)  # there is no such account yet
    for what, given, taken, line in (("accounts", accounts, 1, 2), ("people", people, 2, 2)):
        for new, known in ((taken, 0), (0, taken)):
            answer = api.post(f"/v1/{what}:batch", json={what: given})
            assert answer.status_code == 200
            told = answer.json()
            assert (told["new"], told["known"], told["set_aside"]) == (new, known, 1)
            assert [one["line"] for one in told["rows"]] == [line]
    with server.workspaces.borrow() as workspace:
        kit = workspace.parties.person("cob-kit")
        assert (kit.account, kit.addresses) == ("cob", ("kit@cob.example",))
        assert [region for _, region in workspace.history().regions(f"person:{kit.pseudonym}")] == ["GB"]
        assert workspace.parties.account("acme").name != "Another"
    assert api.post("/v1/people:batch", json={"people": []}).status_code == 422
    assert api.post("/v1/people:batch", json={"people": people[:1] * 5001}).status_code == 422


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OPERATOR])
def test_only_the_operator_adds_accounts_and_people(server, role):
    client = coming(server, role)
    for what, one in (("accounts", {"account": "dab", "name": "Dab"}), ("people", {"person": "dab-x"})):
        assert client.post(f"/v1/{what}:batch", json={what: [one]}).status_code == 403
    with server.workspaces.borrow() as workspace:
        assert not workspace.parties.has_account("dab")


def test_an_administrator_sees_no_decision_of_a_person_and_no_other_account(server, api):
    allow(api)
    administrator = asking(server, Role.ADMINISTRATOR)
    [decision] = administrator.get("/v1/decisions").json()["items"]
    assert decision["body"]["party"] == "account:acme"
    assert {person["account"] for person in administrator.get("/v1/people?account=brill").json()["items"]} == {"acme"}
    assert administrator.get("/v1/entries").status_code == 403


# --- may ---

QUESTION = {"purpose": "train/search", "account": "acme", "people": ["ada", "bo"], "category": "content/transcript"}


def test_may_answers_as_the_gate_does_and_hears_a_no_at_once(server, api):
    assert api.post("/v1/may", json=QUESTION).json()["reason"] == "not-asked"
    allow(api)
    until(lambda: api.post("/v1/may", json=QUESTION).json()["permitted"])  # a yes may take as long as a lease
    body = {"party": "person:bo", "answer": "no", "data": ["content"], "purpose": ["train/search"]}
    assert api.post("/v1/decisions", json=body).status_code == 201
    told = api.post("/v1/may", json=QUESTION).json()
    assert (told["permitted"], told["reason"]) == (False, "withdrawn")
    with server.workspaces.borrow() as workspace:
        asked = {name: QUESTION[name] for name in ("account", "people", "category")}
        assert workspace.gate.may("train/search", **asked).verdict.to_json()["party"] == told["party"]


def test_a_yes_may_say_when_it_ends_and_not_that_it_has_ended(server, api):
    body = {"party": "person:bo", "answer": "yes", "data": ["content"], "purpose": ["train/search"]}
    said = asking(server, Role.PERSON).post(
        "/v1/decisions", json={**body, "party": "person:ada", "until": "2099-01-01"}
    )
    assert (said.status_code, said.json()["body"]["until"]) == (201, "2099-01-01T00:00:00.000000Z")
    refused = api.post("/v1/decisions", json={**body, "until": "2020-01-01"})
    assert (refused.status_code, "past" in refused.text) == (400, True)


def test_many_questions_get_the_same_answers_as_json_and_as_arrow(api):
    allow(api)
    body = {"party": "person:bo", "answer": "no", "data": ["content"], "purpose": ["train"]}
    api.post("/v1/decisions", json=body)
    when = datetime.now(UTC) - timedelta(days=1)
    questions = [
        {"account": account, "people": people, "category": category, "collected": when.isoformat()}
        for account in ("acme", "brill")
        for people in (["ada"], ["ada", "bo"], ["bo"], [])
        for category in ("content/chat", "service/usage")
    ]
    single = [api.post("/v1/may", json={"purpose": "train/search", **question}).json() for question in questions]
    many = api.post("/v1/may", json={"purpose": "train/search", "questions": questions}).json()["answers"]
    assert many == single
    table = pa.record_batch(
        {
            "account": [question["account"] for question in questions],
            "people": pa.array([question["people"] for question in questions], pa.list_(pa.string())),
            "category": [question["category"] for question in questions],
            "collected_at": pa.array([when] * len(questions), pa.timestamp("us", "UTC")),
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_batch(table)
    kind = "application/vnd.apache.arrow.stream"
    answer = api.post("/v1/may?purpose=train/search", content=sink.getvalue(), headers={"content-type": kind})
    assert answer.status_code == 200, answer.text
    with pa.ipc.open_stream(answer.content) as stream:
        rows = stream.read_all().to_pylist()
    assert [(row["permitted"], row["reason"], row["party"]) for row in rows] == [
        (told["permitted"], told["reason"], told["party"]) for told in many
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"people": ["nobody"]}, "unknown-party"),
        ({"people": ["ada", None]}, "unknown-party"),
        ({"people": None}, "unknown-party"),
        ({"account": "nobody"}, "unknown-party"),
        ({"account": None}, "unknown-party"),
        ({"category": None}, "unknown-party"),
        ({"category": "content"}, "never"),
        ({"collected": "2999-01-01T00:00:00Z"}, "stale"),
        ({"collected": "soon"}, "unknown-party"),
    ],
)
def test_one_question_that_cannot_be_answered_spoils_no_other(api, change, reason):
    allow(api)
    question = {name: value for name, value in QUESTION.items() if name != "purpose"}
    body = {"purpose": "train/search", "questions": [question, question | change, question]}
    until(lambda: api.post("/v1/may", json=QUESTION).json()["permitted"])
    answers = api.post("/v1/may", json=body).json()["answers"]
    assert [one["reason"] for one in answers] == [None, reason, None]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        json.dumps({**QUESTION, "category": "content"}).encode(),
        json.dumps({**QUESTION, "purpose": "train"}).encode(),
        json.dumps({**QUESTION, "more": 1}).encode(),
        json.dumps({**QUESTION, "collected": "soon"}).encode(),
        json.dumps({**QUESTION, "collected": "2999-01-01T00:00:00Z"}).encode(),
        json.dumps({"purpose": "train/search", "questions": [{}]}).encode(),
    ],
    ids=lambda body: repr(body)[:60],
)
def test_what_is_no_question_is_a_problem_of_the_caller(api, body):
    answer = api.post("/v1/may", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= answer.json().keys()


def test_arrow_that_is_none_is_a_problem_of_the_caller(api):
    headers = {"content-type": "application/vnd.apache.arrow.stream"}
    assert api.post("/v1/may?purpose=train/search", content=b"no arrow", headers=headers).status_code == 400


# --- writes ---


def test_a_write_that_is_sent_again_is_done_once(server, api):
    body = {"party": "person:ada", "answer": "no", "data": ["content"], "purpose": ["train"]}
    headers = {"idempotency-key": "k1"}
    first, second = (api.post("/v1/decisions", json=body, headers=headers) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    other = api.post("/v1/decisions", json={**body, "answer": "yes"}, headers=headers)
    assert other.status_code == 422
    assert asking(server, Role.PERSON).post("/v1/decisions", json=body, headers=headers).status_code == 201
    with server.workspaces.borrow() as workspace:
        assert len([entry for entry in workspace.entries() if entry.kind == "decision"]) == 2


def test_an_administrator_limits_a_group_and_lifts_it_for_the_own_account_alone(server, api):
    allow(api)
    administrator, question = asking(server, Role.ADMINISTRATOR), {"account": "acme", "people": ["ada"]}
    may = {"purpose": "train/compose", "category": "content/chat", **question}
    body = {"switch": "train-compose", "group": "works council", "people": ["ada"]}
    assert administrator.post("/v1/accounts/brill/limits", json=body).status_code == 403
    assert administrator.get("/v1/accounts/brill/limits").status_code == 403
    headers = {"idempotency-key": "limit"}
    first, again = (administrator.post("/v1/accounts/acme/limits", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()) == (201, again.json())
    assert api.post("/v1/may", json=may).json()["reason"] == "limited"
    [group] = administrator.get("/v1/accounts/acme/limits").json()["items"]
    assert (group["group"], group["people"], group["limited"][0]["entry"]) == (
        "works council",
        1,
        first.json()[0]["seq"],
    )
    lifted = administrator.post("/v1/accounts/acme/limits", json={**body, "people": [], "limited": False})
    assert lifted.status_code == 201
    assert administrator.get("/v1/accounts/acme/limits").json() == {"items": [], "next": None}
    nothing = administrator.post("/v1/accounts/acme/limits", json={**body, "limited": False})
    assert (nothing.status_code, nothing.headers["content-type"]) == (400, "application/problem+json")
    assert administrator.post("/v1/accounts/acme/limits", json={"group": "g", "people": ["ada"]}).status_code == 400
    lock = {"data": ["content"], "purpose": ["train"]}
    assert api.post("/v1/accounts/acme/limits", json=lock).json()[0]["body"]["people"] == []
    assert api.get("/v1/accounts/acme/limits").json()["items"][0]["group"] is None


def test_of_writes_under_one_key_at_one_time_one_is_done(server, api):
    body = {"party": "person:ada", "answer": "no", "data": ["content"], "purpose": ["train"]}
    with ThreadPoolExecutor(4) as threads:
        asked = [
            threads.submit(api.post, "/v1/decisions", json=body, headers={"idempotency-key": "k2"}) for _ in range(8)
        ]
        answers = [each.result().status_code for each in asked]
    assert set(answers) <= {201, 409}
    with server.workspaces.borrow() as workspace:
        assert len([entry for entry in workspace.entries() if entry.kind == "decision"]) == 1


def test_accounts_and_people_are_added_and_listed_page_by_page(api):
    for number in range(5):
        assert api.post("/v1/accounts", json={"account": f"a{number}", "name": f"A {number}"}).status_code == 201
        assert api.post("/v1/people", json={"person": f"p{number}", "account": f"a{number}"}).status_code == 201
    for path, name in (("/v1/accounts", "account"), ("/v1/people", "person")):
        whole = [item[name] for item in api.get(path).json()["items"]]
        found, cursor = [], None
        while True:
            told = api.get(path, params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
            found += [item[name] for item in told["items"]]
            cursor = told["next"]
            if cursor is None:
                break
        assert found == whole == sorted(whole)
        assert len(whole) >= 7 if name == "account" else len(whole) >= 8
    assert api.post("/v1/accounts", json={"account": "a0", "name": "again"}).status_code == 409


def test_the_ledger_can_be_read_and_each_entry_proved(server, api):
    allow(api)
    entries, cursor = [], None
    while True:
        told = api.get("/v1/entries", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        entries += told["items"]
        cursor = told["next"]
        if cursor is None:
            break
    with server.workspaces.borrow() as workspace:
        assert [entry["seq"] for entry in entries] == list(range(workspace.ledger.size))
    proof = api.get("/v1/entries/1/proof").json()
    assert proof["checkpoint"].startswith("log.example/pages\n")
    assert api.get(f"/v1/entries/{len(entries)}/proof").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/decisions", {"party": "person:ada", "answer": "maybe", "data": ["content"], "purpose": ["train"]}),
        ("/v1/decisions", {"party": "person:ada", "answer": "yes", "data": [], "purpose": ["train"]}),
        ("/v1/accounts", {"account": 3, "name": "x"}),
        ("/v1/accounts", {"account": "x", "name": "x", "surprise": 1}),
        ("/v1/people", {"person": "x", "emails": "x@example.org"}),
    ],
)
def test_a_document_of_another_form_is_refused_and_says_where(api, path, body):
    answer = api.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"].startswith("body")


# --- learning ---


def test_a_run_is_followed_to_its_end(api):
    begun = api.post("/v1/snapshots", json={"purpose": "train/recommend"})
    assert begun.status_code == 202, begun.text
    run = begun.json()["run"]
    with api.stream("GET", f"/v1/runs/{run}/events") as stream:
        told = [json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: ")]
    assert told[-1]["state"] == "done"
    assert {"loss", "left_s"} < told[-1].keys() == api.get(f"/v1/runs/{run}").json().keys()
    assert api.get("/v1/snapshots").json()["items"] == [told[-1]["result"]]
    manifest = api.get(f"/v1/snapshots/{told[-1]['result']}").json()
    assert manifest["purpose"] == "train/recommend"
    failing = api.post("/v1/runs", json={"family": "recommend", "snapshot": told[-1]["result"]}).json()["run"]
    with api.stream("GET", f"/v1/runs/{failing}/events") as stream:
        last = [line for line in stream.iter_lines() if line.startswith("data: ")][-1]
    assert json.loads(last.removeprefix("data: "))["state"] == "failed"
    assert api.get("/v1/models").json()["items"] == []


def test_proofs_are_for_the_person_alone(server, api):
    with server.workspaces.borrow() as workspace:
        key = VerifierKey.from_text(workspace.verifier.to_text())
    told = asking(server, Role.PERSON).get("/v1/people/ada/proofs").json()
    assert told["format"] == "volition/person-proofs/1"
    for proof in told["proofs"]:
        assert verify_person(proof, key).holds
    assert asking(server, Role.PERSON).get("/v1/people/bo/proofs").status_code == 403
    assert asking(server, Role.AUDITOR).get("/v1/people/bo/proofs").status_code == 403


# --- ways in ---


@pytest.mark.slow
def test_the_opentelemetry_sdk_exports_logs_and_traces_here(served):
    _, secret = served.access.tokens.issue("demo-engineer", name="t", roles=[Role.ENGINEER], scopes=[Scope.COLLECT])
    headers = {"authorization": f"Bearer {secret}"}
    attributes = {"volition.account": "acme", "volition.person": "ada", "volition.category": "service/usage"}
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{served.url}/v1/logs", headers=headers)))
    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{served.url}/v1/traces", headers=headers)))
    before = stored(served)
    logs.get_logger("test").emit(
        timestamp=time.time_ns(), event_name="document.opened", body="plan", attributes=attributes
    )
    with traces.get_tracer("test").start_as_current_span("search", attributes=attributes):
        pass
    logs.shutdown()
    traces.shutdown()
    assert stored(served) == before + 2


def stored(served):
    with served.workspaces.borrow() as workspace:
        return workspace.status()["records"].get("service/usage", 0)


def record(**attributes):
    return {
        "timeUnixNano": str(time.time_ns()),
        "eventName": "document.opened",
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }


WHOSE = {"volition.account": "acme", "volition.person": "ada", "volition.category": "service/usage"}


def test_what_cannot_be_laid_at_anybodys_door_is_a_partial_success(server, api):
    records = [record(**WHOSE), record(**{"volition.account": "acme"})]
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    answer = api.post("/v1/logs", json=body).json()
    assert answer["partialSuccess"]["rejectedLogRecords"] == "1"
    assert "category" in answer["partialSuccess"]["errorMessage"]
    spans = [{**record(**WHOSE), "startTimeUnixNano": str(time.time_ns()), "name": "x"}, 7]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    assert api.post("/v1/traces", json=body).json()["partialSuccess"]["rejectedSpans"] == "1"
    assert stored(server) == 2
    assert api.post("/v1/logs", json={}).json() == {}


def test_otlp_in_two_gzip_members_is_read_whole(server, api):
    text = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record(**WHOSE)]}]}]}).encode()
    body = gzip.compress(text[:40]) + gzip.compress(text[40:])
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert api.post("/v1/logs", content=body, headers=headers).json() == {}
    assert stored(server) == 1


@pytest.mark.slow
def test_a_failure_is_told_to_a_protobuf_client_as_a_status(api):
    headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    for body, status, code in ((b"no gzip", 400, 3), (gzip.compress(bytes((64 << 20) + 1)), 413, 8)):
        answer = api.post("/v1/logs", content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/x-protobuf")
        told = Status.FromString(answer.content)
        assert (told.code, told.message != "") == (code, True)


@pytest.mark.slow
def test_otlp_comes_packed_or_not_but_whole(api):
    body = gzip.compress(json.dumps({"resourceLogs": []}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert api.post("/v1/logs", content=body, headers=headers).status_code == 200
    for wrong in (body[:-4], b"no gzip", body + b"more"):
        assert api.post("/v1/logs", content=wrong, headers=headers).status_code == 400
    bomb = gzip.compress(bytes((64 << 20) + 1))
    assert api.post("/v1/logs", content=bomb, headers=headers).status_code == 413
    headers = {"content-type": "application/json", "content-encoding": "br"}
    assert api.post("/v1/logs", content=body, headers=headers).status_code == 415
    assert api.post("/v1/logs", content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    assert (
        api.post("/v1/logs", content=b"\xff\xff", headers={"content-type": "application/x-protobuf"}).status_code == 400
    )


@pytest.fixture
def zoom(world):
    (world / "zoom.secret").write_text("token")
    (world / "zoom.secret").chmod(0o600)
    (world / "server.toml").write_text('[zoom]\nsecret_file = "zoom.secret"\naccount = "acme"\n')
    server = Server(world)
    yield server
    server.close()


def deliver(server, told, *, secret=b"token", at=None, change=lambda body: body):
    body = json.dumps(told).encode()
    at = str(int(time.time()) if at is None else at)
    signature = "v0=" + hmac.new(secret, f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"x-zm-signature": signature, "x-zm-request-timestamp": at, "content-type": "application/json"}
    client = TestClient(server, base_url="http://api.example")
    return client.post("/v1/webhooks/zoom", content=change(body), headers=headers)


def test_zoom_is_heard_if_zoom_signed_it_now(zoom):
    event = {
        "event": "meeting.participant_joined",
        "event_ts": int(time.time() * 1000),
        "payload": {"object": {"id": "1", "participant": {"user_name": "Ada Byron"}}},
    }
    first = deliver(zoom, event)
    assert (first.status_code, first.json()) == (200, {"stored": 1, "known": 0})
    assert deliver(zoom, event).json() == {"stored": 0, "known": 1}
    for wrong in (
        {"secret": b"other"},
        {"at": int(time.time()) - 3600},
        {"at": "soon"},
        {"change": lambda body: body + b" "},
    ):
        assert deliver(zoom, event, **wrong).status_code == 401


def test_zoom_validates_the_address(zoom):
    told = deliver(zoom, {"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}).json()
    assert told == {"plainToken": "abc", "encryptedToken": hmac.new(b"token", b"abc", hashlib.sha256).hexdigest()}


@pytest.mark.parametrize("told", [[], 7, {}, {"event": "endpoint.url_validation"}, {"event": 3, "payload": {}}])
def test_nonsense_from_zoom_breaks_nothing(zoom, told):
    assert deliver(zoom, told).status_code in {200, 400}


@pytest.mark.slow
def test_global_privacy_control_becomes_a_signal_once(served):
    cookies = {"volition": served.access.sessions.begin("demo-person")}
    with httpx2.Client(cookies=cookies) as client:
        signal_by(client, served)


def signal_by(client, served):
    for value in ("0", "true", "11"):
        client.get(f"{served.url}/settings", headers={"sec-gpc": value})
    with served.workspaces.borrow() as workspace:
        assert [entry for entry in workspace.entries() if entry.kind == "signal"] == []
    for _ in range(3):
        assert client.get(f"{served.url}/settings", headers={"sec-gpc": "1"}).status_code == 200
    with served.workspaces.borrow() as workspace:
        [signal] = [entry for entry in workspace.entries() if entry.kind == "signal"]
    assert signal.body["signal"] == "gpc"
    assert client.get(f"{served.url}/.well-known/gpc.json").json()["gpc"] is True


# --- what the API says of itself ---


def test_health_readiness_and_figures(server, api):
    client = TestClient(server, base_url="http://api.example")
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}  # and nothing that grows
    api.post("/v1/may", json=QUESTION)
    figures = api.get("/metrics").text
    assert 'volition_requests_total{method="POST",route="/v1/may",status="200"} 1.0' in figures
    assert "volition_ledger_entries" in figures


def test_what_is_not_there_is_a_problem(api):
    answer = api.get("/v1/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert api.put("/v1/accounts").status_code == 405


@pytest.mark.slow
def test_the_api_does_as_its_document_says(server):
    import schemathesis  # noqa: PLC0415 - half a second
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415
    from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance  # noqa: PLC0415

    # The token is always ours, see above; and a name may have the right form and yet be nobody's.
    not_asked = [ignored_auth, positive_data_acceptance]

    client = asking(server)
    schema = schemathesis.openapi.from_dict(client.get("/v1/openapi.json").json())
    config = settings(
        max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
    )
    token = client.headers["authorization"]
    checked = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/events"):
            continue  # it goes on for as long as the run

        @config
        @given(case=operation.as_strategy())
        def check(case):
            case.headers = {**(case.headers or {}), "authorization": token}
            response = case.call(app=server, base_url="http://api.example")
            case.validate_response(response, excluded_checks=not_asked)

        check()
        checked += 1
    assert checked >= 20
