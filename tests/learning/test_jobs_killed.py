"""Trainings and forgettings as jobs: killed (SIGKILL) in the middle, another worker takes them up and makes the same."""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import pytest
from test_forget import Clock, made, say_no  # noqa: F401 - a fixture

from volition.canonical import datetime_to_us
from volition.server.jobs import LEASE_US, Jobs, JobState
from volition.server.work import KINDS
from volition.server.worker import Worker
from volition.workspace import Workspace
from volition.workspace.pool import Workspaces

WORKER = """
import os, signal, sys
from pathlib import Path
from test_jobs_killed import counting, worker_in
folder, now_us, at = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

def kill(steps):
    if steps == at:
        os.kill(os.getpid(), signal.SIGKILL)

worker, close = worker_in(folder, lambda: now_us, on_step=kill)
worker.do_next()
close()
"""


def counting(kind, on_step, workspace, run):
    """Do a job, and call `on_step` with how many steps it has told of."""
    steps = 0

    def progress(*told):
        nonlocal steps
        steps += 1
        on_step(steps)
        run.progress(*told)

    return KINDS[kind](
        workspace, SimpleNamespace(subject=run.subject, payload=run.payload, progress=progress, step=run.step)
    )


def worker_in(folder, clock, on_step=lambda _: None):
    """Return a worker of a workspace, and what closes it."""
    jobs, pool = Jobs(folder, clock=clock), Workspaces(folder, clock=clock)
    kinds = {kind: partial(counting, kind, on_step) for kind in KINDS}

    def close():
        pool.close()
        jobs.close()

    return Worker(jobs, pool, kinds=kinds, clock=clock), close


def queue(folder, clock, kind, subject=""):
    jobs = Jobs(folder, clock=clock)
    try:
        return jobs.start(kind, subject, by="operator").id
    finally:
        jobs.close()


def done(folder, clock, run):
    jobs = Jobs(folder, clock=clock)
    try:
        return jobs.job(run)
    finally:
        jobs.close()


def models(folder):
    """Return the files of each model, by family: their names hold the digest of when the snapshot was frozen."""
    found = {}
    for path in sorted((folder / "models").rglob("*")):
        if path.is_file() and path.parent.name == "model":
            found.setdefault(path.parent.parent.name.split("-")[0], []).append((path.name, path.read_bytes()))
    return {family: sorted(files) for family, files in found.items()}


@pytest.fixture(params=["train", "forget"])
def asked(request, made, tmp_path):  # noqa: F811
    """Queue a training or a forgetting in two copies of a workspace; return the copies, the run of each, the instant."""
    folder, now, _ = made
    now_us = datetime_to_us(now) + 3_600_000_000
    clock = Clock(now)
    clock.wait(hours=1)
    copies = []
    for name in ("killed", "whole"):
        copy = shutil.copytree(folder, tmp_path / name)
        with Workspace.open(copy, clock=clock) as workspace:
            if request.param == "forget":
                say_no(workspace, "person:orchard-ann")
                now_us = max(now_us, workspace.now_us)
        subject = "recommend" if request.param == "train" else ""
        copies.append((copy, queue(copy, clock, request.param, subject)))
    return copies, now_us


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_is_followed_by_another_that_makes_the_same_byte_for_byte(asked):
    [(killed, run), (whole, other)], now_us = asked
    steps = []
    worker, close = worker_in(whole, lambda: now_us, on_step=steps.append)
    assert worker.do_next()
    close()
    assert done(whole, lambda: now_us, other).state is JobState.DONE
    arguments = [str(killed), str(now_us), str(len(steps) // 2)]
    found = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WORKER, *arguments]
    dead = subprocess.run(command, env=found, check=False, capture_output=True, text=True)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    worker, close = worker_in(killed, lambda: now_us)
    assert not worker.do_next(), "its lease still runs"
    close()
    now_us += LEASE_US + 1
    worker, close = worker_in(killed, lambda: now_us)
    assert worker.do_next()
    assert not worker.do_next()
    close()
    job = done(killed, lambda: now_us, run)
    assert (job.state, job.attempts) == (JobState.DONE, 2)
    assert models(killed) == models(whole)
    kinds = []
    for folder in (killed, whole):
        with Workspace.open(folder, clock=lambda: now_us) as workspace:
            kinds.append([entry.kind for entry in workspace.entries()])
            assert workspace.models.owed() == []
    assert kinds[0] == kinds[1], "it froze, trained or released anything twice"
    assert list((killed / "runs").iterdir()) == []
