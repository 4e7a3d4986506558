"""Where a person's answers are listed, an imported one says when it was given, who says so, and when it was recorded."""

import pytest
from starlette.testclient import TestClient

from volition.consent.claims import ClaimMapping
from volition.server.app import Server
from volition.server.auth import Role

MAPPING = ClaimMapping(
    source="our old CRM",
    columns={name: name for name in ("party", "answer", "said")},
    data=("content",),
    purpose=("train",),
)


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    yield server
    server.close()


def page_of(server, role, path):
    client = TestClient(server, base_url="http://centre.example")
    client.cookies.set("volition", server.access.sessions.begin(f"demo-{role}"))
    return " ".join(client.get(path).text.split())


@pytest.mark.parametrize(("role", "path"), [(Role.PERSON, "/receipts"), (Role.GUEST, "/guest")])
def test_an_imported_answer_says_so_where_it_is_listed(server, role, path):
    with server.workspaces.borrow() as workspace:
        guest = workspace.parties.guest("acme", "Zoe Guest").id
        row = {"party": "ada" if role is Role.PERSON else guest, "answer": "no", "said": "2025-03-07T09:00:00Z"}
        assert workspace.consent.import_([row], MAPPING).new == 1
    page = page_of(server, role, path)
    assert "7 March 2025" in page
    assert ("according to our old CRM, recorded on" in page) == (role is Role.PERSON)
    assert ("imported, recorded on" in page) == (role is Role.GUEST)


def test_each_page_about_an_imported_answer_says_that_it_was_given_elsewhere(server):
    with server.workspaces.borrow() as workspace:
        rows = [
            {"party": party, "answer": "no", "said": f"2025-03-0{day}T09:00:00Z"}
            for day, party in ((7, "ada"), (8, "account:acme"))
        ]
        assert workspace.consent.import_(rows, MAPPING).new == 2
    receipts, requests = (page_of(server, Role.PERSON, path) for path in ("/receipts", "/requests"))
    assert "when you gave it is what its source says" in receipts
    assert "given elsewhere, on 7 March 2025 according to whoever imported it" in requests
    for role, path in ((Role.PERSON, "/settings"), (Role.ADMINISTRATOR, "/account")):
        assert "1 answer was given elsewhere and imported" in page_of(server, role, path)
    for role in (Role.OPERATOR, Role.AUDITOR):
        ledger = page_of(server, role, "/console/ledger")
        assert "given elsewhere, on 8 March 2025 according to our old CRM, and imported" in ledger
        assert (
            "A person gave an answer. It was given elsewhere and imported. It is shown to that person alone." in ledger
        )
        assert "7 March 2025" not in ledger
    for path in ("/settings", "/receipts", "/requests"):
        assert "elsewhere" not in page_of(server, "stranger", path)


def test_an_answer_of_another_person_is_on_nobody_elses_page(server):
    with server.workspaces.borrow() as workspace:
        workspace.consent.import_([{"party": "ada", "answer": "no", "said": "2025-03-07T09:00:00Z"}], MAPPING)
    assert "our old CRM" not in page_of(server, "stranger", "/receipts")


def test_the_api_says_of_a_request_when_an_imported_no_was_given_to_the_person_alone(server):
    with server.workspaces.borrow() as workspace:
        workspace.consent.import_([{"party": "ada", "answer": "no", "said": "2025-03-07T09:00:00Z"}], MAPPING)
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["feature"])
    client = TestClient(server, base_url="http://centre.example")
    client.cookies.set("volition", server.access.sessions.begin(f"demo-{Role.PERSON}"))
    here, imported = client.get("/v1/people/ada/requests").json()["items"]
    assert (here["claimed"], imported["claimed"]) == (None, "2025-03-07T09:00:00.000000Z")
    assert imported["at"] > imported["claimed"]
    for role in ("stranger", Role.GUEST, Role.ADMINISTRATOR):
        client.cookies.set("volition", server.access.sessions.begin(f"demo-{role}"))
        assert client.get("/v1/people/ada/requests").status_code == 403
