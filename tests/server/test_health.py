"""Health: a real server that is wedged in a real way says so to anybody, and says nothing else."""

import contextlib
import os
import shutil
import signal
import sqlite3
import threading

import httpx2
import pytest
from starlette.testclient import TestClient

from volition.errors import DamagedError
from volition.server import beside as module
from volition.server import lanes
from volition.server.api import health
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.server.figures import of_processes
from volition.workspace.pool import AT_ONCE, Lane
from waiting import until


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Let a server that begins from now on be given up sooner."""
    monkeypatch.setattr(health, "DEADLINE_S", 0.2)
    monkeypatch.setattr(health, "GRACE_S", 0.0)


@pytest.fixture
def serving(served):
    """Serve; wait until the worker has said that it lives."""
    until(served.jobs.has_worker)
    return served


def told(server):
    answer = httpx2.get(f"{server.url}/healthz")
    return answer.status_code, answer.json()["status"]


def test_a_server_that_works_is_well(serving):
    assert told(serving) == (200, "ok")


def test_decisions_that_nothing_gets_done_of_are_told_until_they_go_on(serving):
    with contextlib.ExitStack() as taken:
        for _ in range(AT_ONCE[Lane.DECISIONS]):
            taken.enter_context(serving.workspaces.borrow(Lane.DECISIONS))
        until(lambda: told(serving) == (503, "not answering"))
    until(lambda: told(serving) == (200, "ok"))


def test_a_decision_that_waits_for_what_another_process_holds_is_stuck(serving, monkeypatch):
    monkeypatch.setattr(lanes, "STUCK_S", 0.2)
    session = serving.access.sessions.begin("demo-person")
    form = {"answer": "no"}

    def say_no():
        with httpx2.Client(cookies={"volition": session}, headers={"sec-fetch-site": "same-origin"}) as client:
            client.post(f"{serving.url}/settings/refuse/everything", data=form, timeout=60)

    with contextlib.closing(sqlite3.connect(serving.folder / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        saying = threading.Thread(target=say_no)
        saying.start()
        until(lambda: told(serving) == (503, "stuck"))
        other.execute("ROLLBACK")
    saying.join()
    assert told(serving) == (200, "ok")


def test_a_store_that_was_closed_under_it_is_told(serving):
    with serving.workspaces.borrow(Lane.DECISIONS) as workspace:
        workspace.close()
    assert told(serving) == (503, "not answering")


@pytest.mark.parametrize("lost", ["ledger.db", "parties.db", "uses.db"])
def test_a_store_that_was_taken_away_or_replaced_is_told(lost, serving):
    path = serving.folder / lost
    kept = path.rename(path.with_name(f"{lost}.aside"))
    assert told(serving) == (503, "not answering")
    if lost == "ledger.db":
        shutil.copyfile(kept, path)
        assert told(serving) == (503, "not answering")
        path.unlink()
    kept.rename(path)
    assert told(serving) == (200, "ok")


def test_nothing_is_acknowledged_that_would_go_into_a_ledger_that_was_taken_away(served):
    path = served.folder / "ledger.db"
    with served.workspaces.borrow() as workspace:
        size = workspace.ledger.size
        kept = path.rename(path.with_name("ledger.db.aside"))
        with pytest.raises(DamagedError, match="taken away or replaced"):
            workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
        kept.rename(path)
        assert workspace.ledger.size == size
        assert workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"]).seq == size


class Death(BaseException):
    """What no worker expects."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_died_is_told(serving):
    def die(_workspace, _run):
        raise Death

    serving.kinds["train"] = die
    serving.jobs.start("train", "search", by="engineer")
    until(lambda: told(serving) == (503, "no worker"))
    assert not serving.jobs.has_worker()


@pytest.fixture
def beside(world, monkeypatch):
    """Serve with a process beside the server that takes in telemetry, and is soon found silent; yield the server."""
    server = Server(world, is_alone=False, has_worker=False)
    try:
        server.warm_up()
        monkeypatch.setattr(module, "SILENT_S", 2.0)
        yield server
    finally:
        server.close()


@pytest.mark.slow
def test_a_process_beside_the_server_that_is_stopped_is_told_and_people_are_still_answered(beside):
    _, secret = beside.access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
    stranger, operator = TestClient(beside), TestClient(beside, headers={"authorization": f"Bearer {secret}"})
    until(lambda: stranger.get("/healthz").json() == {"status": "ok"})
    assert 'volition_process_well{process="telemetry"} 1.0' in operator.get("/metrics").text
    [process] = beside.processes().values()
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: stranger.get("/healthz").status_code == 503)
    assert stranger.get("/healthz").json() == {"status": "no telemetry"}
    assert [one.value for one in of_processes(beside.processes())] == [0, 0]
    ready = stranger.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "trouble": "no telemetry"})
    no = {"party": "person:ada", "answer": "no", "data": ["content"], "purpose": ["train"]}
    assert operator.post("/v1/decisions", json=no).status_code == 201
    os.kill(process.pid, signal.SIGCONT)
    until(lambda: stranger.get("/healthz").status_code == 200)
    until(lambda: stranger.get("/readyz").json() == {"status": "ok"})
