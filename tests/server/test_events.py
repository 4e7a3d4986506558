"""CloudEvents over HTTP: in each mode, once each, by staff whose token is for it; what is wrong with one is told."""

import gzip
import json

import pytest
from starlette.testclient import TestClient

from volition.server.app import Server
from volition.server.auth import Role, Scope

SOURCE = """
[sources.chat]
category = "content/chat"
types = ["com.acme.sent"]
columns.account = "data.tenant"
columns.people = ["data.author", "data.to"]
columns.time = "time"
columns.conversation = "data.room"
columns.text = "data.body"
"""
ONE, MANY = "application/cloudevents+json", "application/cloudevents-batch+json"


def event(number=1, **data):
    said = {"tenant": "acme", "author": "ada", "to": ["bo"], "room": "plans", "body": f"Message {number}."}
    at = "2025-06-02T09:00:00Z"
    attributes = {"specversion": "1.0", "id": str(number), "source": "/chat", "type": "com.acme.sent", "time": at}
    return {**attributes, "data": {**said, **data}}


@pytest.fixture
def server(world):
    settings = world / "volition.toml"
    settings.write_text(settings.read_text() + SOURCE)
    server = Server(world)
    yield server
    server.close()


def client(server, role=Role.ENGINEER, scopes=(Scope.COLLECT,)):
    headers = {}
    if role is not None:
        _, secret = server.access.tokens.issue(f"demo-{role}", name="t", roles=[role], scopes=list(scopes))
        headers = {"authorization": f"Bearer {secret}"}
    return TestClient(server, base_url="http://api.example", headers=headers)


def chats(server):
    with server.workspaces.borrow() as workspace:
        return workspace.records.sizes().get("content/chat", 0)


def post(api, body, kind, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.post("/v1/events", content=data, headers={"content-type": kind, **headers})


def test_an_event_is_stored_once_in_whichever_mode_it_comes(server):
    api, said = client(server), event()
    before = chats(server)
    binary = {f"ce-{name}": said[name] for name in ("specversion", "id", "source", "type", "time")}
    for answer in (
        post(api, said, ONE),
        post(api, [said, event(2)], MANY),
        post(api, said["data"], "application/json", **binary),
        post(api, gzip.compress(json.dumps(said).encode()), ONE, **{"content-encoding": "gzip"}),
    ):
        assert (answer.status_code, answer.json()["rejected"]) == (200, [])
    assert chats(server) == before + 2


def test_one_bad_event_is_told_and_costs_no_other(server):
    before = chats(server)
    found = post(client(server), [event(), event(2, tenant=None), {"id": "3"}], MANY).json()
    assert found["stored"] == 1
    assert [one["where"] for one in found["rejected"]] == ["event 2 (2)", "event 3"]
    assert "names no account" in found["rejected"][0]["why"]
    assert chats(server) == before + 1


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", ONE, 400),
        (b"{}", MANY, 400),
        (b"{}", "application/json", 415),
        (b"{}", "text/plain", 415),
        (b"\x1f\x8b broken", ONE, 400),
    ],
)
def test_what_is_no_event_is_refused(server, body, kind, status):
    assert post(client(server), body, kind).status_code == status


@pytest.mark.parametrize(
    ("role", "status"), [(None, 401), (Role.PERSON, 403), (Role.ADMINISTRATOR, 403), ("other", 403)]
)
def test_nobody_but_staff_whose_token_is_for_it_sends_any(server, role, status):
    before = chats(server)
    api = client(server, Role.ENGINEER, [Scope.READ]) if role == "other" else client(server, role, list(Scope))
    assert post(api, event(), ONE).status_code == status
    assert chats(server) == before
