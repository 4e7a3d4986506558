"""The processes beside a server: they do its work, die without taking anything along, and end when it does."""

import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from operator import attrgetter, methodcaller
from pathlib import Path

import httpx2
import pytest

from volition.errors import BackendError, InvalidInputError, VolitionError
from volition.records.ingest.otlp_wire import TooMuchError
from volition.server import beside as module
from volition.server.auth import Access, Role, Scope
from volition.server.beside import Collector
from volition.server.http_errors import UNSUPPORTED, HttpError
from volition.server.jobs import Jobs, JobState
from volition.server.work import KINDS
from volition.server.workers import work
from volition.workspace.pool import OverloadedError
from waiting import until

PROGRAM = """
import sys
from operator import attrgetter
from pathlib import Path
from volition.server import app, beside

if sys.argv[1] == "serve":
    app.serve(Path(sys.argv[2]), port=0, ready=lambda address: print(address, flush=True))
else:
    collector = beside.Collector(Path(sys.argv[2]))
    print(collector.do(attrgetter("origin")), flush=True)
    sys.stdin.read()
"""
EMPTY = {"resourceLogs": []}
NO = {"party": "person:ada", "answer": "no", "data": ["content"], "purpose": ["train"]}
QUESTION = {"purpose": "train/search", "account": "acme", "people": ["ada"], "category": "content/chat"}


def started(what, world):
    """Return a process that prints a line once it has begun, and the line."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, what, str(world)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return process, process.stdout.readline().strip()


def asking(url, access):
    """Return a client of the operator."""
    _, secret = access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
    return httpx2.Client(base_url=url, headers={"authorization": f"Bearer {secret}"}, timeout=60)


def beside(pid):
    """Return the processes that one began, but for what keeps track of shared memory."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == pid and b"spawn_main" in command:
            found.append(int(stat.parent.name))
    return found


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_telemetry_and_jobs_are_for_processes_that_are_begun_anew_and_end_with_the_server(world):
    process, url = started("serve", world)
    try:
        with closing(Access.open(world)) as access, closing(Jobs(world)) as jobs, asking(url, access) as client:
            until(lambda: len(beside(process.pid)) == 2)
            first = beside(process.pid)
            assert client.post("/v1/logs", json=EMPTY).json() == {}
            assert done(jobs) is JobState.DONE
            for pid in first:
                os.kill(pid, signal.SIGKILL)
            assert client.post("/v1/decisions", json=NO).status_code == 201  # it needs neither
            until(lambda: client.post("/v1/logs", json=EMPTY).status_code == 200)
            assert done(jobs) is JobState.DONE
            assert len(second := beside(process.pid)) == 2
            assert not {*first} & {*second}
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not any(map(is_there, second))
    finally:
        process.kill()
        process.communicate()


def done(jobs):
    """Have a job done; return how it ended."""
    job = jobs.start("compact", by="engineer").id
    until(lambda: jobs.job(job).is_over)
    return jobs.job(job).state


@pytest.mark.slow
def test_it_ends_when_the_server_is_killed_and_so_can_tell_it_nothing(world):
    process, origin = started("collect", world)
    [pid] = beside(process.pid)
    assert origin == "log.example/pages"
    process.kill()
    process.communicate()
    until(lambda: not is_there(pid))


def folder_of(collector):
    try:
        return collector.do(attrgetter("folder"))
    except OverloadedError:
        return None


@pytest.mark.slow
def test_what_it_gives_and_what_it_raises_comes_back(world):
    collector = Collector(world)
    try:
        assert collector.do(attrgetter("folder")) == world
        with pytest.raises(InvalidInputError, match="no party"):
            collector.do(methodcaller("party", "nobody"))
        first = collector.pid
        os.kill(first, signal.SIGKILL)
        until(lambda: folder_of(collector) == world)  # what was begun when it died is refused
        assert collector.pid != first
    finally:
        collector.close()


@pytest.mark.parametrize(
    "error",
    [InvalidInputError("a"), OverloadedError(), HttpError(UNSUPPORTED, "b"), TooMuchError("c")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_in_another_process(error):
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert isinstance(again, VolitionError)
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


@pytest.mark.slow
def test_more_noes_wait_for_leases_than_there_are_workspaces_and_hold_up_nobody(world, request):
    settings = world / "volition.toml"
    settings.write_text(settings.read_text().replace("lease_ms = 100", "lease_ms = 3000"))
    served = request.getfixturevalue("served")
    with asking(served.url, served.access) as client, served.workspaces.borrow() as workspace:
        assert client.post("/v1/decisions", json=NO | {"answer": "yes"}).status_code == 201
        client.post("/v1/may", json=QUESTION)  # from now on somebody answers from memory
        size = workspace.ledger.size
        with ThreadPoolExecutor(8) as threads:
            noes = [threads.submit(client.post, "/v1/decisions", json=NO) for _ in range(8)]
            until(lambda: workspace.ledger.size >= size + 8)
            yes = client.post("/v1/decisions", json=NO | {"answer": "yes", "data": ["service"]})
            waiting = sum(not no.done() for no in noes)
            assert (yes.status_code, waiting) == (201, 8)
            assert {no.result().status_code for no in noes} == {201}
        assert client.post("/v1/may", json=QUESTION).json()["permitted"] is False


@pytest.mark.slow
def test_a_process_that_says_nothing_is_not_well_and_is_begun_anew(world, monkeypatch):
    monkeypatch.setattr(module, "SILENT_S", 2.0)
    collector = Collector(world)
    try:
        process = collector.process
        assert process.wait_begun(60)
        until(lambda: process.is_well)
        first = process.pid
        os.kill(first, signal.SIGSTOP)  # it lives, and does nothing any more
        until(lambda: not process.is_well)
        assert is_there(first)
        monkeypatch.setattr(module, "WEDGED_S", 2.0)
        until(lambda: not is_there(first))
        monkeypatch.setattr(module, "WEDGED_S", 60.0)
        until(lambda: process.is_well)
        assert (process.restarts >= 1, process.pid != first, folder_of(collector)) == (True, True, world)
    finally:
        collector.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_does_the_jobs_ends_when_a_thread_of_it_has_died_so_that_it_is_begun_anew(world, monkeypatch):
    class Death(BaseException):
        pass

    def die(_workspace, _run):
        raise Death

    monkeypatch.setitem(KINDS, "compact", die)
    with closing(Jobs(world)) as jobs:
        with pytest.raises(BackendError, match="died"):
            work(world, ready=lambda: jobs.start("compact", by="engineer"))
        assert not jobs.has_worker()
