"""Whoever signs out at the OpenID provider is out here, too; and nobody else can put them out."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.testclient import TestClient

from volition.server.app import Server
from volition.server.auth import OidcSession, Role
from volition.server.web.signin.provider import provider_of

EVENT = "http://schemas.openid.net/event/backchannel-logout"
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        issuer = f"http://localhost:{self.server.server_port}"
        documents = {
            "/.well-known/openid-configuration": {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/keys",
            },
            "/keys": {"keys": [KEY.as_dict(private=False)]},
        }
        body = json.dumps(documents[self.path]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def issuer():
    with ThreadingHTTPServer(("localhost", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture
def server(world, issuer, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):  # nobody listens there: whoever asks it fails
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (world / "oidc.secret").write_text("whatever\n")
    (world / "oidc.secret").chmod(0o600)
    (world / "server.toml").write_text(
        f'[oidc]\nissuer = "{issuer}"\nclient_id = "volition"\nclient_secret_file = "oidc.secret"\n'
    )
    server = Server(world)
    for user in ("olga", "eva"):
        server.access.users.add(user, roles=[Role.OPERATOR], subject=f"{issuer} {user}")
    yield server
    server.close()
    provider_of.cache_clear()


@pytest.fixture
def client(server):
    return TestClient(server, base_url="http://centre.example", follow_redirects=False)


@pytest.fixture
def sessions(server, issuer):
    """Begin olga's sessions at the provider's "a" and "b", one with a password, and one of eva's; return their secrets."""
    begin = server.access.sessions.begin
    there = {sid: begin("olga", oidc=OidcSession(issuer=issuer, sid=sid, proved_us=0)) for sid in ("a", "b")}
    return {
        **there,
        "password": begin("olga"),
        "eva": begin("eva", oidc=OidcSession(issuer=issuer, sid="c", proved_us=0)),
    }


def put_out(client, claims, *, key=KEY, header=None):
    token = jwt.encode(header or {"alg": "RS256", "kid": "one", "typ": "logout+jwt"}, claims, key)
    return client.post("/sign-in/oidc/out", data={"logout_token": token})


def claims_of(issuer, **changed):
    now = int(time.time())
    claims = {"iss": issuer, "aud": "volition", "iat": now, "exp": now + 120, "jti": "1", "events": {EVENT: {}}}
    return {name: value for name, value in {**claims, **changed}.items() if value is not None}


def left(server, sessions):
    return {name for name, secret in sessions.items() if server.access.sessions.find(secret) is not None}


def test_one_session_there_ends_the_one_here_that_it_began(client, server, sessions, issuer):
    answer = put_out(client, claims_of(issuer, sid="a", sub="olga"))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert left(server, sessions) == {"b", "password", "eva"}


def test_a_user_who_is_out_there_is_out_here_but_for_what_a_password_began(client, server, sessions, issuer):
    assert put_out(client, claims_of(issuer, sub="olga", aud=["other", "volition"])).status_code == 200
    assert left(server, sessions) == {"password", "eva"}


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "other"},
        {"aud": None},
        {"events": {}},
        {"events": None},
        {"events": "logout"},
        {"events": {EVENT: "yes"}},
        {"nonce": "n"},
        {"sub": None},
        {"jti": None},
        {"iat": None},
        {"iat": 1},
        {"iat": "now"},
        {"exp": 1},
    ],
)
def test_what_is_no_logout_for_this_site_now_puts_nobody_out(client, server, sessions, issuer, changed):
    assert put_out(client, claims_of(issuer, **{"sub": "olga", **changed})).status_code == 400
    assert left(server, sessions) == set(sessions)


def test_nobody_but_the_provider_puts_anybody_out(client, server, sessions, issuer):
    claims = claims_of(issuer, sub="olga")
    assert put_out(client, claims, key=OTHER).status_code == 400
    unsigned = "eyJhbGciOiJub25lIn0.e30."
    for token in (unsigned, "", "a.b.c", "x" * 5000):
        assert client.post("/sign-in/oidc/out", data={"logout_token": token}).status_code == 400
    assert left(server, sessions) == set(sessions)


def test_without_a_provider_nothing_is_taken(world):
    server = Server(world)
    try:
        client = TestClient(server, base_url="http://centre.example")
        assert client.post("/sign-in/oidc/out", data={"logout_token": "x"}).status_code == 403
    finally:
        server.close()


def test_a_sign_in_there_is_no_fresh_proof_unless_the_provider_says_when(client, server, sessions):
    client.cookies.set("volition", sessions["a"])
    same_site = {"sec-fetch-site": "same-origin"}
    assert client.post("/sign-in/own/codes", headers=same_site).headers["location"].startswith("/sign-in/again")
    page = client.get("/sign-in/again?next=/console").text
    assert "/sign-in/oidc?again=1&amp;next=/console" in page
    asked = client.get("/sign-in/oidc?again=1&next=/console").headers["location"]
    assert "prompt=login" in asked
    assert "max_age=0" in asked
