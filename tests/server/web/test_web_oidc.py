"""Signing in through an OpenID provider, against one that runs beside the test."""

import warnings
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from starlette.testclient import TestClient

from volition.server.app import Server
from volition.server.auth import Role
from volition.server.web.signin.provider import provider_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the provider, whose libraries went on


@pytest.fixture(scope="module")
def issuer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the provider uses parts that its own libraries call old
        from oidc_provider_mock import run_server_in_thread  # noqa: PLC0415

    with run_server_in_thread() as running:
        yield f"http://localhost:{running.server_port}"


@pytest.fixture
def server(world, issuer):
    (world / "oidc.secret").write_text("whatever\n")
    (world / "oidc.secret").chmod(0o600)
    (world / "server.toml").write_text(
        f'[oidc]\nissuer = "{issuer}"\nclient_id = "volition"\nclient_secret_file = "oidc.secret"\n'
    )
    server = Server(world)
    server.access.users.add("olga", roles=[Role.OPERATOR], subject=f"{issuer} olga@example.org")
    yield server
    server.close()
    provider_of.cache_clear()


@pytest.fixture
def client(server):
    return TestClient(server, base_url="http://centre.example", follow_redirects=False)


def leave(client):
    """Begin to sign in; return where the provider is."""
    answer = client.get("/sign-in/oidc?next=/nowhere")
    assert answer.status_code == 303
    return answer.headers["location"]


def let_in_by(address, subject="olga@example.org"):
    """Say yes at the provider; return where it sends the browser back to."""
    answer = httpx2.post(address, data={"sub": subject}, follow_redirects=False)
    assert answer.status_code in {302, 303}, answer.text
    return answer.headers["location"]


@pytest.mark.slow
def test_whom_the_provider_names_comes_in(client, server):
    back = let_in_by(leave(client))
    answer = client.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/nowhere"), answer.text
    assert server.access.sessions.find(client.cookies["volition"]).user == "olga"


@pytest.mark.slow
def test_the_provider_is_asked_with_pkce_state_and_nonce(client):
    asked = parse_qs(urlsplit(leave(client)).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge", "redirect_uri"} <= asked.keys()


@pytest.mark.slow
def test_nobody_becomes_a_user_by_coming(client):
    answer = client.get(let_in_by(leave(client), "stranger@example.org"))
    assert answer.status_code == 403
    assert "Ask the operator" in answer.text
    assert "volition" not in client.cookies


@pytest.mark.slow
def test_another_browsers_answer_is_refused(client, server):
    back = let_in_by(leave(client))
    other = TestClient(server, base_url="http://centre.example", follow_redirects=False)
    assert other.get(back).status_code == 403
    leave(other)
    assert other.get(back).status_code == 403
    assert "volition" not in other.cookies


@pytest.mark.slow
def test_a_code_is_taken_once(client):
    back = let_in_by(leave(client))
    assert client.get(back).status_code == 303
    assert client.get(back).status_code == 403


@pytest.mark.slow
def test_a_changed_nonce_is_refused(client, server):
    address = leave(client)
    asked = parse_qs(urlsplit(address).query)
    back = let_in_by(address.replace(asked["nonce"][0], "somebody-elses"))
    answer = client.get(back)
    assert answer.status_code == 403
    assert "is not valid" in answer.text


def test_without_a_provider_nobody_is_sent_anywhere(world):
    server = Server(world)
    try:
        client = TestClient(server, base_url="http://centre.example", follow_redirects=False)
        assert client.get("/sign-in/oidc").status_code == 403
        assert "/sign-in/oidc" not in client.get("/sign-in").text
    finally:
        server.close()
