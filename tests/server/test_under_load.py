"""What a real server does when much is asked of it at once: it answers everything, decisions first, and stops when asked."""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from volition.errors import ConflictError
from volition.server import connections
from volition.server.auth import Role, Scope
from volition.workspace.pool import AT_ONCE, Lane, Workspaces
from waiting import until

NO = {"party": "person:ada", "answer": "no", "data": ["content"], "purpose": ["train"]}
QUESTION = {"purpose": "train/search", "account": "acme", "people": ["ada"], "category": "content/chat"}


@pytest.fixture
def ask(served):
    """Return a client of the operator, for any number of threads."""
    _, secret = served.access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
    limits = httpx2.Limits(max_connections=300)
    with httpx2.Client(
        base_url=served.url, headers={"authorization": f"Bearer {secret}"}, timeout=60, limits=limits
    ) as client:
        yield client


def full(served, *lanes):
    """Return what takes every workspace of some kinds of work, until it is closed."""
    taken = contextlib.ExitStack()
    for lane in lanes:
        for _ in range(AT_ONCE[lane]):
            taken.enter_context(served.workspaces.borrow(lane))
    return taken


@pytest.mark.slow
def test_of_two_hundred_requests_at_once_every_one_is_answered(served, ask):
    def request(number):
        if number % 4 == 0:
            return ask.get("/v1/decisions" if number % 8 else "/v1/models").status_code
        if number % 4 == 1:
            return ask.post("/v1/may", json=QUESTION).status_code
        return ask.post("/v1/decisions", json=NO).status_code

    with ThreadPoolExecutor(200) as threads:
        answers = list(threads.map(request, range(200)))
    assert set(answers) <= {200, 201, 403, 503}  # an operator has no decisions of their own: 403
    assert answers.count(201) > 50
    with served.workspaces.borrow() as workspace:
        assert sum(entry.kind == "decision" for entry in workspace.entries()) == answers.count(201)


@pytest.mark.parametrize("served", ["[limits]\nturn_s = 1\n"], indirect=True)
@pytest.mark.slow
def test_decisions_go_on_while_everything_else_is_full(served, ask):
    with full(served, Lane.COLLECTING, Lane.READING, Lane.PAGES, Lane.BACKGROUND), ThreadPoolExecutor(80) as threads:
        body = {"resourceLogs": []}
        waiting = [threads.submit(ask.post, "/v1/logs", json=body) for _ in range(60)]
        waiting += [threads.submit(ask.get, "/v1/models") for _ in range(15)]
        assert ask.post("/v1/decisions", json=NO, timeout=5).status_code == 201
        assert ask.post("/v1/may", json=QUESTION, timeout=5).json()["permitted"] is False
        assert ask.get("/healthz", timeout=5).status_code == 200
        overloaded = [each.result() for each in waiting]
    assert {each.status_code for each in overloaded} == {503}
    assert {each.headers["retry-after"] for each in overloaded} == {"1"}
    assert {each.json()["type"] for each in overloaded} == {"urn:volition:problem:overloaded"}
    assert ask.post("/v1/logs", json=body).status_code == 200


def test_a_delivery_that_lost_a_race_is_to_be_sent_again(served, ask, monkeypatch):
    def lost(*_args, **_more):
        raise ConflictError("Somebody else wrote first.")

    with served.workspaces.borrow() as workspace:
        monkeypatch.setattr(type(workspace.records), "collect_otlp_request", lost)
    for kind, body in (("application/json", b'{"resourceLogs": []}'), ("application/x-protobuf", b"")):
        answer = ask.post("/v1/logs", content=body, headers={"content-type": kind})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.slow
def test_followers_of_a_run_hold_no_thread_and_all_hear_its_end(served, ask):
    go = threading.Event()
    served.kinds["train"] = lambda _workspace, _run: go.wait(30)
    job = served.jobs.start("train", "search", by="engineer")
    heard, followers = [], 120

    def follow():
        with ask.stream("GET", f"/v1/runs/{job.id}/events") as answer:
            heard.append([json.loads(line[6:])["state"] for line in answer.iter_lines() if line])

    threads = [threading.Thread(target=follow) for _ in range(followers)]
    for thread in threads:
        thread.start()
    assert ask.post("/v1/decisions", json=NO, timeout=5).status_code == 201
    assert threading.active_count() < followers + 60  # the followers' own, and the server's few
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(heard) == followers
    assert all(states[-1] == "done" for states in heard)


def test_a_server_that_is_asked_to_stop_ends_its_streams_of_events(served, ask):
    go = threading.Event()
    served.kinds["train"] = lambda _workspace, _run: go.wait(30)
    job = served.jobs.start("train", "search", by="engineer")
    with ask.stream("GET", f"/v1/runs/{job.id}/events") as answer:
        lines = answer.iter_lines()
        next(lines)
        served.stop()
        assert all(line == "" or json.loads(line[6:])["state"] != "done" for line in lines)  # it ends, and whole
    go.set()


@pytest.mark.slow
def test_a_request_in_the_middle_is_answered_although_the_server_stops(served, ask):
    with ThreadPoolExecutor(1) as thread, full(served, Lane.DECISIONS):
        answer = thread.submit(ask.post, "/v1/decisions", json=NO)
        time.sleep(0.3)
        served.stop()
        time.sleep(0.3)
        assert not answer.done()
    assert answer.result().status_code == 201


# --- who says too much, or too little ---


def sent(served, data, *, is_whole=False):
    """Send bytes; return what is answered: the first that comes, or all until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=30) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(data)
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while part := client.recv(1 << 16):
                found += part
                if not is_whole:
                    break
        return found


def test_a_header_without_end_is_refused(served):
    start, field = b"GET / HTTP/1.1\r\nhost: x\r\n", b"x: a\r\n"
    for header in (start + b"x: " + b"a" * (1 << 20), b"GET /" + b"a" * (1 << 20), start + field * 20_000 + b"\r\n"):
        assert sent(served, header)[:13] in {b"HTTP/1.1 431 ", b""}  # who sends on meanwhile may not get to read it
    for end in (b"", b"\r\n"):
        assert sent(served, start + field * 12_000 + end).startswith(b"HTTP/1.1 431 ")
    assert sent(served, start + field * 9_000 + b"\r\n").startswith(b"HTTP/1.1 303 ")


@pytest.mark.parametrize("served", ["[limits]\nheader_s = 1\nbody_s = 1\nidle_s = 1\n"], indirect=True)
@pytest.mark.slow
def test_slow_connections_are_closed(served):
    assert sent(served, b"GET / HTTP/1.1\r\nx: ").startswith(b"HTTP/1.1 408 ")
    assert sent(served, b"").startswith(b"HTTP/1.1 408 ")
    form = b"POST /sign-in HTTP/1.1\r\nhost: x\r\nsec-fetch-site: same-origin\r\ncontent-length: 100\r\n\r\nuser=x"
    assert sent(served, form).startswith(b"HTTP/1.1 408 ")
    ok = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    # It is answered, and closed without a word when nothing more comes.
    assert sent(served, ok, is_whole=True).count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("served", ["[limits]\nheader_s = 1\n"], indirect=True)
@pytest.mark.slow
def test_the_header_of_a_second_request_has_its_time_too(served):
    with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=30) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"GET / HTTP/1.1\r\nx: ")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 408 ")


def idle_of(served, held):
    """Return how long a connection is kept when one request was answered and `held` others are open."""
    port = int(served.url.rpartition(":")[2])
    with contextlib.ExitStack() as open_:
        for _ in range(held):
            open_.enter_context(socket.create_connection(("127.0.0.1", port)))
        [client] = [open_.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))]
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        since_s = time.monotonic()
        assert client.recv(1) == b""
        return time.monotonic() - since_s


@pytest.mark.parametrize("served", ["[limits]\nheader_s = 1\nidle_s = 3\nconnections = 8\n"], indirect=True)
@pytest.mark.slow
def test_an_idle_connection_outlives_the_time_of_a_header_unless_many_are_open(served, monkeypatch):
    monkeypatch.setattr(connections, "_IDLE_S", 0)
    assert idle_of(served, 0) > idle_of(served, 4)


def test_nobody_is_read_who_may_send_nothing(served):
    """An announced body of twelve megabytes without a token is answered before any of it has come."""
    head = "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 12000000\r\n\r\n"
    for path in ("/v1/decisions", "/v1/logs", "/v1/may"):
        assert sent(served, head.format(path).encode()).startswith(b"HTTP/1.1 401 "), path
    assert sent(served, head.format("/sign-in").encode()).startswith(b"HTTP/1.1 413 ")
    assert sent(served, head.format("/v1/webhooks/zoom").encode()).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("served", ["[limits]\nconnections = 5\n"], indirect=True)
def test_connections_beyond_the_limit_are_refused(served):
    port = int(served.url.rpartition(":")[2])
    with contextlib.ExitStack() as held:
        for _ in range(5):
            held.enter_context(socket.create_connection(("127.0.0.1", port)))
        until(lambda: sent(served, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")[9:12] == b"503")
    until(lambda: sent(served, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")[9:12] == b"200")


def test_workspaces_that_people_wait_for_are_opened_ahead_as_far_as_time_allows(world):
    workspaces = Workspaces(world)
    try:
        assert workspaces.open_ahead(Lane.DECISIONS, Lane.PAGES, within_s=0) == 1
        assert workspaces.open_ahead(Lane.DECISIONS, Lane.PAGES, within_s=60) == 8
        assert workspaces.open_ahead(Lane.DECISIONS, Lane.PAGES, within_s=60) == 8
        with workspaces.borrow(Lane.DECISIONS) as workspace:
            assert workspace.ledger.size > 0
    finally:
        workspaces.close()
