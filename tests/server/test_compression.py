"""What is sent compressed, and what never is."""

import pytest
from starlette.testclient import TestClient

from volition.server.app import Server


@pytest.fixture
def server(world):
    opened = Server(world)
    yield opened
    opened.close()


def encoding(server, path, **headers):
    asked = TestClient(server, base_url="http://x").get(path, headers={"accept-encoding": "gzip", **headers})
    assert asked.status_code == 200
    return asked.headers.get("content-encoding")


def test_nothing_that_another_site_may_have_asked_in_somebodys_name_is_compressed(server):
    cookie = f"volition={server.access.sessions.begin('demo-person')}"
    for site in ("same-origin", "none"):
        assert encoding(server, "/settings", cookie=cookie, **{"sec-fetch-site": site}) == "gzip"
    for site in ("cross-site", "same-site", "", "SAME-ORIGIN"):
        assert encoding(server, "/settings", cookie=cookie, **{"sec-fetch-site": site}) is None, site
    assert encoding(server, "/settings", cookie=cookie) is None  # a browser that does not say


def test_what_is_open_to_everybody_is_compressed(server):
    for path in ("/static/app.css", "/v1/openapi.json", "/sign-in"):
        assert encoding(server, path) == "gzip", path
    assert encoding(server, "/healthz") is None  # too small
