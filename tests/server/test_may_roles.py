"""Whom `POST /v1/may` tells what: an engineer that something may not be used, and why; not who says so."""

import io

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from volition.server.app import Server
from volition.server.auth import Role, Scope

QUESTION = {"purpose": "train/search", "account": "acme", "people": ["ada", "bo"], "category": "content/transcript"}
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def asking(world):
    """Return a function from roles to a client that asks with a token of theirs."""
    server = Server(world)
    said = {"yes": False, "data": ["content"], "purpose": ["train/search"]}
    with server.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, **{**said, "yes": True})
        workspace.consent.decide("person:bo", **said)
        pseudonym = workspace.parties.person("bo").pseudonym

    def ask(*roles):
        user = "-".join(roles)
        server.access.users.add(user, roles=roles)
        _, secret = server.access.tokens.issue(user, name="t", roles=roles, scopes=[Scope.MAY])
        return TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})

    ask.pseudonym = pseudonym
    yield ask
    server.close()


def as_arrow(client):
    table = pa.record_batch(
        {
            "account": ["acme"],
            "people": pa.array([["ada", "bo"]]),
            "category": ["content/transcript"],
            "collected_at": pa.array([1_700_000_000_000_000], pa.timestamp("us", "UTC")),
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_batch(table)
    answer = client.post("/v1/may?purpose=train/search", content=sink.getvalue(), headers={"content-type": ARROW})
    return answer.content, pa.ipc.open_stream(answer.content).read_all().to_pylist()


def test_an_engineer_is_told_why_and_not_who(asking):
    client = asking(Role.ENGINEER)
    told = {"permitted": False, "reason": "said-no"}
    assert client.post("/v1/may", json=QUESTION).json() == told
    question = {name: value for name, value in QUESTION.items() if name != "purpose"}
    many = client.post("/v1/may", json={"purpose": "train/search", "questions": [question, question]})
    assert many.json() == {"answers": [told, told]}
    content, rows = as_arrow(client)
    assert rows == [{**told, "party": None, "since": None}]
    assert asking.pseudonym.encode() not in content


@pytest.mark.parametrize("roles", [(Role.AUDITOR,), (Role.OPERATOR,), (Role.ENGINEER, Role.AUDITOR)])
def test_whoever_checks_is_told_who(asking, roles):
    client = asking(*roles)
    told = client.post("/v1/may", json=QUESTION).json()
    assert told["party"] == f"person:{asking.pseudonym}"
    assert told["evidence"]
    assert as_arrow(client)[1][0]["party"] == f"person:{asking.pseudonym}"
