"""Categories and purposes that terms declare, on every page that names some, and over the API: in their own words."""

import re
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from volition.consent.terms.model import Basis, Rule
from volition.consent.terms.terms_file import load_profile
from volition.consent.terms.vocabulary import Category, Purpose
from volition.records.ingest import Draft, PersonRef
from volition.server.app import Server
from volition.server.auth import Role, Scope

SAME = {"sec-fetch-site": "same-origin"}
CRM = Category(name="crm", words="all customer relations data")
TICKETS = Category(name="crm/tickets", words="support tickets")
CALLS = Category(name="crm/calls", words="calls with the support")
CHURN = Purpose(
    name="train/churn",
    title="Train churn prediction",
    does="A model learns which customers are about to leave.",
    without="No model learns from your tickets who is about to leave.",
)
ASKS = Rule(data=("crm",), purpose=("train/churn",), basis=Basis.CONSENT, asks=("account", "person"))
SAID = {"data": ["crm"], "purpose": ["train/churn"]}


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    granular = load_profile("granular")
    terms = replace(
        granular,
        id="own",
        categories=(CRM, TICKETS, CALLS),
        purposes=(CHURN,),
        rules=(*granular.rules, ASKS),
        notice_days=0,
    )
    with server.workspaces.borrow() as workspace:
        workspace.people.add_account("other", "Other")
        workspace.people.add_person("fay", account="other", name="Fay")
        server.guest = workspace.parties.guest("acme", "Zoe Guest").id
        workspace.terms.publish(terms)
        for account in ("acme", "other"):
            workspace.terms.accept(account, "own")
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, yes=True, covers="past", **SAID)
        draft = Draft(
            key="ticket:1",
            account="acme",
            people=(PersonRef(id="ada"),),
            category="crm/tickets",
            at_us=workspace.now_us - 1_000_000,
            payload={"text": "Where is my refund?"},
        )
        assert workspace.records.take_in([draft], "acme", lambda *_: None).stored == 1
        workspace.snapshots.create("train/churn")
    yield server
    server.close()


def come_in(server, person, account="acme", role=Role.PERSON):
    name = f"{role}-{person}"
    if server.access.users.find(name) is None:
        given = {"person": person} if role in {Role.PERSON, Role.GUEST} else {}
        server.access.users.add(name, roles=[role], account=account, **given)
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client.cookies.set("volition", server.access.sessions.begin(name))
    return client


def read(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return " ".join(re.sub(r"<[^>]*>", " ", answer.text).split())


def test_the_settings_of_a_person_and_of_the_account_name_it_and_their_no_counts(server):
    ada, admin = come_in(server, "ada"), come_in(server, "admin", role=Role.ADMINISTRATOR)
    for page in (read(ada, "/settings"), read(admin, "/account")):
        assert "Train churn prediction" in page
        assert CHURN.does in page
        assert "upport tickets" in page
    assert CHURN.without in read(ada, "/settings")
    assert ada.post("/settings/train-churn", data={"answer": "no"}, follow_redirects=True).status_code == 200
    with server.workspaces.borrow() as workspace:
        asked = {"account": "acme", "people": ["ada"], "category": "crm/tickets"}
        assert workspace.gate.may("train/churn", **asked).verdict.reason == "withdrawn"


def test_what_is_held_weighed_and_written_down_is_in_the_words_of_the_terms(server):
    ada = come_in(server, "ada")
    held = read(ada, "/holdings")
    assert "Support tickets" in held
    assert "Train churn prediction" in read(ada, "/weigh")
    assert "churn prediction" in read(ada, "/receipts")
    assert "all customer relations data" in read(ada, "/receipts")  # a root whose words are declared, said as one
    engineer = come_in(server, "engineer", role=Role.ENGINEER)
    assert "Train churn prediction" in read(engineer, "/console/snapshots")
    operator = come_in(server, "operator", role=Role.OPERATOR)
    assert "support tickets" in read(operator, "/console/lake")
    auditor = come_in(server, "auditor", role=Role.AUDITOR)
    assert "was frozen for training churn prediction" in read(auditor, "/console/ledger")


def test_a_guest_a_stranger_and_another_account_see_nothing_of_it_but_the_words_of_the_terms(server):
    other = come_in(server, "fay", account="other")
    assert "Train churn prediction" in read(other, "/settings")  # their terms have it, too
    assert "upport tickets" not in read(other, "/holdings")
    guest = TestClient(server, base_url="http://centre.example", headers=SAME)
    guest.post(f"/guest/{server.access.links.make_guest_link(person=server.guest, account='acme')}")
    assert "upport tickets" not in read(guest, "/holdings")
    stranger = TestClient(server, base_url="http://centre.example", headers=SAME)
    answer = stranger.get("/holdings", follow_redirects=False)
    assert answer.status_code in {303, 401}
    assert stranger.get("/v1/vocabulary").status_code == 401


def test_words_of_one_workspace_are_not_those_of_the_next_request_elsewhere(server, world):
    ada = come_in(server, "ada")
    assert "Train churn prediction" in read(ada, "/settings")
    from volition.server.web import labels  # noqa: PLC0415 - what holds outside any request

    assert labels.purpose("train/churn").title == "train/churn"
    assert labels.category("crm/tickets") == "crm/tickets"


@pytest.fixture
def api(server):
    server.access.users.add("robot", roles=[Role.OPERATOR])
    _, secret = server.access.tokens.issue("robot", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
    return TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})


def test_the_api_lists_asks_decides_and_refuses_what_nobody_declared(api):
    listed = api.get("/v1/vocabulary").json()
    assert {"name": "crm/tickets", "words": "support tickets", "content": True} in listed["categories"]
    assert listed["purposes"][-1]["title"] == "Train churn prediction"
    question = {"purpose": "train/churn", "account": "acme", "people": ["ada"], "category": "crm/tickets"}
    assert api.post("/v1/may", json=question).json()["permitted"] is True
    wrong = api.post("/v1/may", json=question | {"category": "crm/ticket"})
    assert wrong.status_code == 400
    assert "crm/tickets, crm/calls" in wrong.json()["detail"]
    wrong = api.post("/v1/may", json=question | {"purpose": "train/churns"})
    assert wrong.status_code == 400
    assert "train/churn" in wrong.json()["detail"]
    no = api.post("/v1/decisions", json={"party": "person:ada", "answer": "no", **SAID})
    assert no.status_code == 201, no.text
    assert api.post("/v1/may", json=question).json()["reason"] == "withdrawn"
