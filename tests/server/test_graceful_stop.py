"""Asked to stop (SIGTERM), a real process finishes its requests and puts its job back, to be gone on with after its last step."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from volition.server.auth import Access, Role, Scope
from volition.server.jobs import Jobs, JobState
from waiting import until

pytestmark = pytest.mark.slow

# A process whose trainings take as long as the test wants: each step says on stdout that it was done.
PROGRAM = """
import os, sys, time
from pathlib import Path
from volition.server import app, work, workers

def say(line):
    os.write(1, f"{line}\\n".encode())  # at once: two threads say something, and each line has to be whole

def train(workspace, run):
    for number in range(12):
        run.step(f"shard {number}", lambda: say(f"step {number}"))
        for place in range(20):
            run.progress("training", number * 20 + place, 240)
            time.sleep(float(sys.argv[3]))
    return "trained"

work.KINDS["train"] = train
folder = Path(sys.argv[2])
if sys.argv[1] == "serve":
    app.serve(folder, port=0, is_alone=True, ready=lambda address: say(f"at {address}"))
else:
    workers.work(folder, ready=lambda: say("at nothing"))
"""
BODY = json.dumps({"party": "person:ada", "answer": "no", "data": ["content"], "purpose": ["train"]}).encode()


@contextmanager
def started(command, world, *, pause_s=0.01):
    """Run a process; yield it, where it listens, and what it said before it said so."""
    program = [sys.executable, "-c", PROGRAM, command, str(world), str(pause_s)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = ""
            while not (line := process.stdout.readline()).startswith("at "):
                if not line:
                    process.kill()  # it may live all the same, and then it would be read for ever
                    pytest.fail(process.stderr.read())
                said += line  # a job may begin before the server listens
            yield process, line.removeprefix("at ").strip(), said
        finally:
            process.kill()


def rest_of(process):
    """Wait for its end, and return what it said since; `communicate` would forget what was read together with a line."""
    said = process.stdout.read(), process.stderr.read()
    process.wait(timeout=60)
    return said


def steps(text):
    return [int(number) for number in re.findall(r"^step (\d+)$", text, re.MULTILINE)]


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_training_is_put_back_at_its_next_step_and_goes_on_after_its_last(world, command):
    jobs = Jobs(world)
    run = jobs.start("train", "search", by="engineer").id
    with started(command, world) as (process, _, said):
        until(lambda: len(jobs.job(run).steps) >= 2)
        process.send_signal(signal.SIGTERM)
        out, err = rest_of(process)
    assert (process.returncode, err) == (0, "")
    before = steps(said + out)
    job = jobs.job(run)
    assert (job.state, job.error) == (JobState.WAITING, "")
    assert len(job.steps) == len(before) < 12
    with started("worker", world, pause_s=0) as (process, _, said):
        until(lambda: jobs.job(run).is_over)
        process.send_signal(signal.SIGTERM)
        out, _ = rest_of(process)
    assert (jobs.job(run).state, jobs.job(run).result) == (JobState.DONE, "trained")
    assert before + steps(said + out) == list(range(12)), "no step was done twice, and none was left out"
    jobs.close()


def test_a_request_whose_body_is_on_its_way_is_finished_and_new_ones_are_not_taken(world):
    access = Access.open(world)
    _, secret = access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
    access.close()
    with started("serve", world) as (process, url, _):
        place = (urlsplit(url).hostname, urlsplit(url).port)
        with socket.create_connection(place, timeout=60) as client:
            head = f"POST /v1/decisions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
            client.sendall(head.encode() + BODY[:10])
            time.sleep(0.3)  # so that it has begun
            process.send_signal(signal.SIGTERM)
            until(lambda: not _takes(place))
            client.sendall(BODY[10:])
            answer = client.recv(1 << 16)
        _, err = rest_of(process)
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert (process.returncode, err) == (0, "")


def _takes(place):
    try:
        socket.create_connection(place, timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
