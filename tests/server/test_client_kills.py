"""A client that holds answers of a server which is killed: no acknowledged no is overtaken by what it holds."""

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from volition.client import Client
from volition.server.auth import Access, Role, Scope
from volition.workspace import Workspace
from waiting import until

ASK = {"account": "acme", "people": ["ada"], "category": "content/chat", "conversation": ""}
PURPOSE = "feature/search"


@contextmanager
def server_process(folder):
    command = [sys.executable, "-m", "volition", "serve", "--workspace", str(folder), "--port", "0", "--no-worker"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            url = next(word for line in process.stderr for word in line.split() if word.startswith("http://"))
            yield process, url
        finally:
            os.killpg(process.pid, 9)


@pytest.mark.slow
def test_after_an_acknowledged_no_nothing_is_permitted_whether_the_server_lives_or_was_killed(world):
    with Workspace.open(world) as workspace:
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=[PURPOSE], covers="past")
    access = Access.open(world)
    secret = access.tokens.issue("demo-engineer", name="t", roles=[Role.ENGINEER], scopes=[Scope.MAY])[1]
    access.close()
    acknowledged_ns, late, permitted, over = [2**63], [], [0], threading.Event()

    def ask(client):
        while not over.is_set():
            began_ns = time.monotonic_ns()
            if client.may(PURPOSE, **ASK):
                permitted[0] += 1
                if began_ns > acknowledged_ns[0]:
                    late.append(began_ns - acknowledged_ns[0])

    with (
        Workspace.open(world) as workspace,  # another process than the server's
        server_process(world) as (process, url),
        Client(url, token=secret, may_patience_s=1) as client,
    ):
        until(lambda: client.may(PURPOSE, **ASK))
        asking = threading.Thread(target=ask, args=[client], daemon=True)
        asking.start()
        for _ in range(5):  # while it lives
            workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=[PURPOSE])
            acknowledged_ns[0] = time.monotonic_ns()
            time.sleep(0.15)
            acknowledged_ns[0] = 2**63
            workspace.consent.decide("person:ada", yes=True, data=["content"], purpose=[PURPOSE], covers="past")
            before = permitted[0]
            until(lambda before=before: permitted[0] > before)  # or nothing was tried
        os.killpg(process.pid, 9)
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=[PURPOSE])
        acknowledged_ns[0] = time.monotonic_ns()
        time.sleep(0.2)
        over.set()
        asking.join()
        assert client.may(PURPOSE, **ASK).reason == "stale"
    assert late == []
