"""Answers that are kept under an idempotency key: whose, which, and what becomes of a request that died."""

import pytest
from starlette.testclient import TestClient

from volition.server.api.idempotency import StoredAnswers
from volition.server.app import Server
from volition.server.auth import Role, Scope

KEY = {"idempotency-key": "k"}
NO = {"party": "person:ada", "answer": "no", "data": ["content"], "purpose": ["train"]}


@pytest.fixture
def server(world):
    opened = Server(world)
    yield opened
    opened.close()


def client(server, *scopes, role=Role.OPERATOR):
    _, secret = server.access.tokens.issue(f"demo-{role}", name="t", roles=[role], scopes=scopes or list(Scope))
    return TestClient(server, base_url="http://x", headers={"authorization": f"Bearer {secret}"})


def test_a_narrower_token_of_the_same_user_never_gets_what_a_wider_one_was_answered(server):
    assert client(server).post("/v1/decisions", json=NO, headers=KEY).status_code == 201
    narrow = client(server, Scope.READ).post("/v1/decisions", json=NO, headers=KEY)
    assert (narrow.status_code, "entry" in narrow.text) == (422, False)
    again = client(server).post("/v1/decisions", json=NO, headers=KEY)  # a new token that may do the same
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")


def test_a_refusal_that_may_have_gone_by_is_not_kept(server):
    stranger = client(server, role=Role.ADMINISTRATOR)
    refused = [stranger.post("/v1/decisions", json=NO, headers=KEY) for _ in range(2)]
    assert [one.status_code for one in refused] == [403, 403]
    assert all("idempotency-replayed" not in one.headers for one in refused)
    twice = [client(server).post("/v1/accounts", json={"id": "acme", "name": "A", "region": "US"}, headers=KEY)] * 2
    assert all("idempotency-replayed" not in one.headers for one in twice)
    server.workspaces.close()
    assert client(server).post("/v1/decisions", json=NO, headers={"idempotency-key": "k2"}).status_code == 503
    assert server.access.database.rows("SELECT count(*) FROM answers WHERE key = 'k2'") == [(0,)]


def test_a_key_whose_request_died_with_its_server_can_be_used_again(server, world):
    answers = StoredAnswers(server.access.database)
    assert answers.begin("demo-operator", "k", "digest") is None
    assert client(server).post("/v1/decisions", json=NO, headers=KEY).status_code == 422  # it is still being answered
    server.close()
    later = Server(world)
    try:
        assert client(later).post("/v1/decisions", json=NO, headers=KEY).status_code == 201
    finally:
        later.close()


def test_what_zoom_sends_is_not_kept_before_its_signature_is_looked_at(server):
    assert client(server).post("/v1/webhooks/zoom", content=b"{}", headers=KEY).status_code == 401
    assert server.access.database.rows("SELECT count(*) FROM answers") == [(0,)]
