"""Telemetry over HTTP: what is answered 200 is there whatever happens to the server, and nobody else may send it."""

import json
import signal
import subprocess
import sys
import time

import httpx2
import pytest
from google.rpc.status_pb2 import Status
from starlette.testclient import TestClient

from volition.errors import InvalidInputError
from volition.records.lake import buffer
from volition.server.app import Server
from volition.server.auth import Access, Role, Scope
from volition.workspace import Workspace
from waiting import until

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture
def server(world):
    server = Server(world)
    yield server
    server.close()


def token(access, role, scopes=(Scope.COLLECT,)):
    return access.tokens.issue(f"demo-{role}", name="t", roles=[role], scopes=list(scopes))[1]


def client(server, secret):
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    return TestClient(server, base_url="http://api.example", headers=headers)


def request(*numbers, account="acme", person="ada"):
    """Return a request with a record for each number, all of which differ."""
    attributes = {"volition.account": account, "volition.person": person, "volition.category": "service/usage"}
    records = [
        {
            "timeUnixNano": str(1_750_000_000_000_000_000 + number * 10**9),
            "eventName": "document.opened",
            "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
        }
        for number in numbers
    ]
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}


def stored(server):
    with server.workspaces.borrow() as workspace:
        return workspace.status()["records"].get("service/usage", 0)


def test_requests_are_laid_out_together_before_anybody_reads(server, world):
    api = client(server, token(server.access, Role.ENGINEER))
    for number in range(5):
        assert api.post("/v1/logs", json=request(number, number + 1)).json() == {}
    assert not list((world / "lake").rglob("service/usage/*/*.parquet"))
    assert stored(server) == 6
    assert len(list((world / "lake").rglob("service/usage/*/*.parquet"))) == 1


@pytest.mark.slow
def test_a_server_lays_out_what_waits_though_nobody_reads(server, world):
    client(server, token(server.access, Role.ENGINEER)).post("/v1/logs", json=request(1))
    until(lambda: list((world / "lake").rglob("service/usage/*/*.parquet")))


def test_while_too_much_waits_senders_are_asked_to_come_again(server, monkeypatch):
    monkeypatch.setattr(buffer, "MOST_WAITING", 1)
    api = client(server, token(server.access, Role.ENGINEER))
    assert api.post("/v1/logs", json=request(1)).status_code == 200
    for headers in ({"content-type": "application/json"}, PROTOBUF):
        refused = api.post("/v1/logs", content=b"{}", headers=headers)
        assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
    assert Status.FromString(refused.content).code == 14  # UNAVAILABLE: clients keep what they have, and send it again
    assert stored(server) == 1
    assert api.post("/v1/logs", json=request(2)).status_code == 200
    assert stored(server) == 2


@pytest.mark.parametrize(
    ("role", "status"), [(None, 401), (Role.PERSON, 403), (Role.ADMINISTRATOR, 403), ("other", 403)]
)
def test_nobody_but_staff_whose_token_is_for_it_sends_anything(server, role, status):
    secret = None
    with pytest.raises(InvalidInputError, match="no tokens"):
        token(server.access, Role.GUEST)
    if role == "other":
        secret = token(server.access, Role.ENGINEER, [Scope.READ])
    elif role is not None:
        secret = token(server.access, role, list(Scope))
    assert client(server, secret).post("/v1/logs", json=request(1, account="brill")).status_code == status
    with server.workspaces.borrow() as workspace:
        assert workspace.records.waiting == 0


def test_whoever_is_erased_while_their_records_wait_is_not_stored(server):
    api = client(server, token(server.access, Role.ENGINEER))
    api.post("/v1/logs", json=request(1, 2))
    api.post("/v1/logs", json=request(3, person="bo"))
    with server.workspaces.borrow() as workspace:
        workspace.forgetting.erase("person:ada")
        assert workspace.records.waiting == 0
    assert stored(server) == 1


@pytest.mark.slow
def test_what_a_killed_server_acknowledged_is_stored_once(world):
    access = Access.open(world)
    secret = token(access, Role.ENGINEER)
    access.close()
    serving = [sys.executable, "-m", "volition", "serve", "--workspace", str(world), "--port", "0"]
    with subprocess.Popen(serving, stderr=subprocess.PIPE, text=True) as process:
        url = next(word for line in process.stderr for word in line.split() if word.startswith("http://"))
        acknowledged = 0
        ends = time.monotonic() + 2
        with httpx2.Client(base_url=url, headers={"authorization": f"Bearer {secret}"}, timeout=60) as api:
            while not acknowledged or time.monotonic() < ends:
                numbers = range(acknowledged, acknowledged + 20)
                body = json.dumps(request(*numbers))
                assert api.post("/v1/logs", content=body, headers={"content-type": "application/json"}).json() == {}
                acknowledged += 20
        process.send_signal(signal.SIGKILL)
    with Workspace.open(world) as workspace:
        assert workspace.status()["records"]["service/usage"] == acknowledged
        assert workspace.records.waiting == 0
