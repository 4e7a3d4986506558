"""The examples: each runs, is short, and obeys a no."""

import importlib.util
import sys
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from volition.server.auth import Role, Scope

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / name / "service.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_service_that_asks_before_each_use_obeys_a_no(served, monkeypatch):
    issue = served.access.tokens.issue
    scopes = [Scope.MAY, Scope.EMBED]
    monkeypatch.setenv("VOLITION_URL", served.url)
    monkeypatch.setenv("VOLITION_TOKEN", issue("demo-engineer", name="t", roles=[Role.ENGINEER], scopes=scopes)[1])
    with served.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["feature/summary"], covers="past")
    service = example("fastapi_service")
    with TestClient(service.app, headers={"x-user": "ada"}) as client:
        path = "/channels/general/summary"
        assert "brochure" in client.get(path).json()["summary"]
        minted = client.get("/volition-token").json()["token"]
        headers = {"authorization": f"Bearer {minted}", "origin": service.ORIGIN}
        said = httpx.post(f"{served.url}/v1/settings", json={"answer": "no"}, headers=headers)
        assert said.status_code == 201
        told = client.get(path).json()
        assert (told["summary"], told["left_out"]) == ("Then the brochure must be ready on Thursday.", {"withdrawn": 1})
        served.stop()
        assert "volition-settings" in client.get("/profile").text


@pytest.mark.slow
def test_a_django_product_shows_the_switches_and_its_search_obeys_a_no(served, monkeypatch):
    pytest.importorskip("django", reason="django is not installed: pip install django")
    issue = served.access.tokens.issue
    scopes = [Scope.MAY, Scope.EMBED]
    monkeypatch.setenv("VOLITION_URL", served.url)
    monkeypatch.setenv("VOLITION_TOKEN", issue("demo-engineer", name="t", roles=[Role.ENGINEER], scopes=scopes)[1])
    with served.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["feature/search"], covers="past")
    service = example("django_settings")
    from django.test import Client as Browser  # noqa: PLC0415 - configured by the example

    browser = Browser(HTTP_HOST="localhost")
    assert [browser.get(path).status_code for path in ("/settings", "/volition-token")] == [403, 403]
    session = browser.session
    session["user"] = "ada"
    session.save()
    browser.cookies["sessionid"] = session.session_key
    page = browser.get("/settings")
    assert b"<volition-settings" in page.content
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    assert "launch" in browser.get("/search", {"q": "launch"}).json()["found"][0]
    headers = {
        "authorization": f"Bearer {browser.get('/volition-token').json()['token']}",
        "origin": "http://localhost",
    }
    assert httpx.post(f"{served.url}/v1/settings", json={"answer": "no"}, headers=headers).status_code == 201
    assert browser.get("/search", {"q": "launch"}).json()["found"] == []
    assert len(browser.get("/search", {"q": "brochure"}).json()["found"]) == 1
    service.volition.close()


def test_an_example_is_short():
    for path in EXAMPLES.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 150, path
