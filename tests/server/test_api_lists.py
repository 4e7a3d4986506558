"""Lists of the API that grow: a page at a time, each item once and in order, to whom they are for and nobody else."""

import pytest
from starlette.testclient import TestClient

from crafts import PURPOSES, USAGE, Clock, build
from volition.server.app import Server
from volition.server.auth import Role, Scope

LIMIT = {"data": ["content"], "purpose": ["train"]}


@pytest.fixture
def server(world):
    server = Server(world, has_worker=False)
    yield server
    server.close()


def asking(server, role, user=None):
    _, secret = server.access.tokens.issue(user or f"demo-{role}", name="t", roles=[role], scopes=list(Scope))
    headers = {"authorization": f"Bearer {secret}"}
    return TestClient(server, base_url="http://api.example", headers=headers)


def walk(client, path, size):
    """Return the items of a list, read so many at a time, and check that no page has more."""
    items, cursor = [], None
    while True:
        told = client.get(path, params={"limit": size, **({"cursor": cursor} if cursor else {})}).json()
        assert len(told["items"]) <= size
        items += told["items"]
        cursor = told["next"]
        if cursor is None:
            return items


@pytest.mark.slow
def test_terms_and_limits_are_read_a_page_at_a_time(server):
    operator, administrator = asking(server, Role.OPERATOR), asking(server, Role.ADMINISTRATOR)
    assert operator.post("/v1/terms", json={"profile": "bundled"}).status_code == 201
    names = ["\U0001f600" * 80, "council", "Works council"]
    for more in ({}, *({"group": name, "people": ["ada"]} for name in names)):
        assert administrator.post("/v1/accounts/acme/limits", json={**LIMIT, **more}).status_code == 201
    for client, path in ((operator, "/v1/terms"), (administrator, "/v1/accounts/acme/limits")):
        whole = client.get(path).json()
        assert whole["next"] is None
        for size in (1, 2):
            assert walk(client, path, size) == whole["items"]
        assert client.get(path, params={"cursor": "no cursor!"}).status_code == 400
    groups = [group["group"] for group in administrator.get("/v1/accounts/acme/limits").json()["items"]]
    assert groups == [None, *sorted(names)]


def test_an_accounts_limits_are_for_it_and_the_operator(server):
    path = "/v1/accounts/acme/limits?limit=1"
    for role, user in ((Role.PERSON, None), (Role.PERSON, "demo-stranger"), (Role.ENGINEER, None)):
        assert asking(server, role, user).get(path).status_code == 403
    assert asking(server, Role.ADMINISTRATOR).get("/v1/accounts/brill/limits?limit=1").status_code == 403
    guest = TestClient(server, base_url="http://api.example")
    assert guest.get(path).status_code == 401
    guest.cookies.set("volition", server.access.sessions.begin("demo-guest"))
    assert [guest.get(one).status_code for one in (path, "/v1/owed?limit=1")] == [403, 403]
    assert asking(server, Role.OPERATOR).get(path).json() == {"items": [], "next": None}


@pytest.mark.slow
def test_what_is_owed_is_read_a_page_at_a_time_the_earliest_first(tmp_path):
    clock = Clock()
    with build(tmp_path / "w", clock, accounts={"acme": 3, "helio": 3}) as workspace:
        models = [workspace.models.train("recommend").id]
        clock.wait(days=1)
        models.append(workspace.models.train("recommend").id)
        workspace.consent.decide("person:acme-1", yes=False, data=USAGE, purpose=PURPOSES)
    server = Server(tmp_path / "w", has_worker=False)
    try:
        server.access.users.add("eva", roles=[Role.ENGINEER], name="Eva")
        client = asking(server, Role.ENGINEER, "eva")
        owed = walk(client, "/v1/owed", 1)
        assert {one["model"] for one in owed} == set(models)
        assert owed == client.get("/v1/owed").json()["items"]
        assert owed == sorted(owed, key=lambda one: (one["due"], one["model"]))
        assert [one["people"] for one in owed] == [{"said-no": 1}] * 2
    finally:
        server.close()
