"""Whatever is written into an address or a form, no route fails by a fault of the server."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from test_api import routes

import volition
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.server.web.app import PAGES

SOURCES = Path(volition.__file__).parent / "server"
NAMES = sorted(
    {
        name
        for path in SOURCES.rglob("*.py")
        for name in re.findall(r"""(?:query|form)(?:\.get\(|\[)"(\w+)\"""", path.read_text(encoding="utf-8"))
    }
    | {"undo", "cursor", "limit", "state", "code"}
)
"""Every name that a page reads of an address or a form, and some of the API."""

HOSTILE = ["9" * 4400, "\u00e9\u2028\u6f22\U0001f600\x00"]


@pytest.fixture
def server(world):
    opened = Server(world)
    yield opened
    opened.close()


@pytest.mark.slow
@pytest.mark.parametrize("value", HOSTILE, ids=["long", "no ascii"])
def test_no_value_makes_the_server_fail(server, value):
    """Every page and every route of the API, with the value wherever a path, a query, a form or a document has room."""
    pages = TestClient(server, base_url="http://x", headers={"sec-fetch-site": "same-origin"}, follow_redirects=False)
    sessions = {role: server.access.sessions.begin(f"demo-{role}") for role in Role}
    _, secret = server.access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
    api = TestClient(server, base_url="http://x", headers={"authorization": f"Bearer {secret}"})
    sent, short = dict.fromkeys(NAMES, value), value[:300].replace("\x00", "")
    size = 60_000 // (len(value.encode()) + 20)  # as many as an address has room for
    parts = [dict.fromkeys(NAMES[start : start + size], value) for start in range(0, len(NAMES), size)]
    failed = []
    for page in PAGES:
        role = min(page.roles or {Role.PERSON})
        headers = {"cookie": f"volition={sessions[role]}"}
        path = re.sub(r"\{[^}]+\}", short, page.path)
        ways = [{"params" if page.method == "GET" else "data": part} for part in parts]
        for more in ways:
            answer = pages.request(page.method, path, headers=headers, **more)
            if answer.status_code >= 500:
                failed.append((page.method, page.path, answer.status_code))
    for route, _ in routes(server):
        path = re.sub(r"\{[^}]+\}", short, route.path)
        method = min(route.methods)
        known = dict.fromkeys(("cursor", "limit", "account", "person", "kind", "name", "purpose"), value)
        answer = api.request(method, path, params=known, **({"json": sent} if method == "POST" else {}))
        if answer.status_code >= 500:
            failed.append((method, route.path, answer.status_code))
    assert failed == []
