"""Outgoing webhooks, heard by a real receiver."""

import base64
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from volition.consent.terms.terms_file import load_profile
from volition.server.api.webhooks import Cursor, sign
from volition.server.app import Server
from waiting import until


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.append((dict(self.headers), body))
        self.send_response(500 if self.server.failing else 200)
        self.end_headers()
        self.server.failing = False

    def log_message(self, *_):
        pass


@contextmanager
def hooked(world, *, kind, failing=False, settings=""):
    """Serve a workspace with one webhook that has begun to listen; give the server, and what the receiver hears."""
    receiver = HTTPServer(("127.0.0.1", 0), Hook)
    receiver.heard, receiver.failing = [], failing
    Thread(target=receiver.serve_forever, daemon=True).start()
    (world / "hook.secret").write_text("s3cret")
    (world / "hook.secret").chmod(0o600)
    (world / "server.toml").write_text(
        f'{settings}[[webhook]]\nurl = "http://127.0.0.1:{receiver.server_port}/"\nsecret_file = "hook.secret"\nkinds = ["{kind}"]\n'
    )
    server = Server(world)
    try:
        until(lambda: Cursor(server.access.database, server.settings.webhooks[0].url).read() is not None)
        yield server, receiver.heard
    finally:
        server.close()
        receiver.shutdown()
        receiver.server_close()


@pytest.mark.slow
def test_a_webhook_is_told_in_order_signed_and_again_until_it_listens(world):
    with hooked(world, kind="decision", failing=True) as (server, heard):
        with server.workspaces.borrow() as workspace:
            for party in ("account:acme", "person:ada", "person:bo"):
                workspace.consent.decide(party, yes=True, data=["content"], purpose=["train"])
        until(lambda: len(heard) == 4)
    ids = [headers["webhook-id"] for headers, _ in heard]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    for headers, body in heard:
        told = json.loads(body)
        assert told["type"] == "decision"
        assert headers == headers | sign("s3cret", headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    seqs = [json.loads(body)["data"]["seq"] for _, body in heard]
    assert seqs == sorted(seqs)


@pytest.mark.slow
def test_a_webhook_is_told_that_an_account_was_given_notice(world):
    with hooked(world, kind="notice") as (server, heard):
        with server.workspaces.borrow() as workspace:
            accounts = workspace.history().bindings.accounts()
            workspace.terms.publish(load_profile("bundled"))
        until(lambda: len(heard) == len(accounts))
    told = [json.loads(body) for _, body in heard]
    assert {one["type"] for one in told} == {"notice"}
    assert {(one["data"]["account"], one["data"]["terms"]) for one in told} == {(one, "bundled") for one in accounts}
    assert all(set(one["data"]) == {"seq", "account", "terms", "ends"} for one in told)


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "is_asked"), [("", False), ("[server]\nenvironment_proxies = true\n", True)])
def test_a_proxy_of_the_environment_is_asked_only_where_the_settings_say_so(world, monkeypatch, settings, is_asked):
    asked = []

    class Proxy(Hook):
        def do_POST(self):
            asked.append(self.path)
            super().do_POST()

    proxy = HTTPServer(("127.0.0.1", 0), Proxy)
    proxy.heard, proxy.failing = [], False
    Thread(target=proxy.serve_forever, daemon=True).start()
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_port}")
    with hooked(world, kind="decision", settings=settings) as (server, heard):
        with server.workspaces.borrow() as workspace:
            workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["train"])
        until(lambda: heard or proxy.heard)
    proxy.shutdown()
    proxy.server_close()
    assert bool(asked) is is_asked
    assert bool(heard) is not is_asked


def test_a_signature_is_that_of_standard_webhooks():
    """The example of the specification's own libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    told = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert told["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert base64.b64decode(told["webhook-signature"].removeprefix("v1,"))
