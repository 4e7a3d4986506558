"""Runs as the API, the console and the command line show them: to whom, how one is stopped, and that none is lost."""

import json
import math
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from volition.cli import main
from volition.server.app import Server
from volition.server.auth import Access, Role, Scope
from volition.server.jobs import Jobs, JobState
from volition.server.work import EVIDENCE_JOB, SUMMARY_JOB
from waiting import until

STRANGERS = ((Role.PERSON, None), (Role.GUEST, None), (Role.ADMINISTRATOR, None), (Role.PERSON, "demo-stranger"))


@pytest.fixture
def server(world):
    server = Server(world, has_worker=False)
    yield server
    server.close()


def asking(server, role, user=None):
    _, secret = server.access.tokens.issue(user or f"demo-{role}", name="t", roles=[role], scopes=list(Scope))
    headers = {"authorization": f"Bearer {secret}"}
    return TestClient(server, base_url="http://api.example", headers=headers)


def visiting(server, role=Role.OPERATOR, user=None):
    client = TestClient(server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
    client.cookies.set("volition", server.access.sessions.begin(user or f"demo-{role}"))
    return client


# --- to whom ---


def test_staff_alone_see_runs_and_nobody_else_stops_one(server):
    run = server.jobs.start("train", "search", by="engineer").id
    anybody = TestClient(server, base_url="http://api.example")
    tokens = [asking(server, role, user) for role, user in STRANGERS if role is not Role.GUEST]
    for client in (anybody, *tokens, visiting(server, Role.GUEST)):
        answers = [client.get("/v1/runs"), client.get(f"/v1/runs/{run}"), client.get(f"/v1/runs/{run}/events")]
        answers += [client.post(f"/v1/runs/{run}/cancel"), client.post("/v1/forgettings")]
        assert {answer.status_code for answer in answers} <= {401, 403}
        assert all(run not in answer.text for answer in answers)
    for role, user in STRANGERS:
        client = visiting(server, role, user)
        answers = [client.get("/console/runs"), client.get(f"/console/runs/{run}")]
        answers += [client.post(f"/console/runs/{run}/cancel")]
        assert {answer.status_code for answer in answers} == {403}
    for role in (Role.ENGINEER, Role.AUDITOR, Role.OPERATOR):
        assert asking(server, role).get("/v1/runs").json()["items"][0]["run"] == run
    assert asking(server, Role.AUDITOR).post(f"/v1/runs/{run}/cancel").status_code == 403
    assert server.jobs.job(run).state is JobState.WAITING


def test_an_engineer_stops_what_engineers_ask_for_and_an_operator_anything(server):
    training, forgetting = (server.jobs.start(kind, by="operator").id for kind in ("train", "forget"))
    engineer, operator = asking(server, Role.ENGINEER), asking(server, Role.OPERATOR)
    assert engineer.post(f"/v1/runs/{forgetting}/cancel").status_code == 403
    page = visiting(server, Role.ENGINEER)
    assert "Cancel this run" not in page.get(f"/console/runs/{forgetting}").text
    assert page.post(f"/console/runs/{forgetting}/cancel").status_code == 403
    assert server.jobs.job(forgetting).state is JobState.WAITING
    assert "Cancel this run" in page.get(f"/console/runs/{training}").text
    assert "Cancelled." in page.post(f"/console/runs/{training}/cancel").text
    answer = operator.post(f"/v1/runs/{forgetting}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    assert operator.post(f"/v1/runs/{forgetting}/cancel").status_code == 409
    assert operator.post("/v1/runs/0123/cancel").status_code in {400, 404, 422}


def test_pages_say_that_nothing_begins_while_no_worker_is_there(server, world):
    client = visiting(server)
    run = server.jobs.start("train", "search", by="engineer").id
    paths = ("/console/runs", f"/console/runs/{run}", "/console/forgettings")
    assert all("No worker is running" in client.get(path).text for path in paths)
    server.jobs.beat("a worker", None)
    assert not any("No worker is running" in client.get(path).text for path in paths)
    assert "by engineer" in client.get("/console/runs").text


def test_the_page_of_forgettings_says_that_the_last_one_failed_and_why(server):
    server.jobs.start("forget", by="schedule")
    claimed = server.jobs.claim("a worker")
    server.jobs.beat("a worker", claimed.id)
    server.jobs.end("a worker", claimed.id, JobState.FAILED, error="The disk is full.")
    assert "The last forgetting failed: The disk is full." in visiting(server).get("/console/forgettings").text


def test_a_metric_says_how_many_days_are_left_and_none_where_nothing_is_owed(server):
    text = asking(server, Role.OPERATOR).get("/metrics").text
    [found] = [one for one in text_string_to_metric_families(text) if one.name == "volition_forgetting_days_left"]
    assert math.isnan(found.samples[0].value)


def test_what_this_version_does_not_know_is_shown_as_it_is_called(server):
    started = {
        kind: server.jobs.start(kind, subject, by="engineer").id
        for kind, subject in (("snapshot", "train/weather"), ("dream", "<b>of sheep</b>"), ("train", "weather"))
    }
    for _ in started:
        job = server.jobs.claim("a worker")
        server.jobs.end("a worker", job.id, JobState.DONE, result={"any": "thing"})
    client = visiting(server)
    listed = client.get("/console/runs")
    assert listed.status_code == 200
    for shown in ("Snapshot for train/weather", "dream &lt;b&gt;of sheep&lt;/b&gt;", "Train weather"):
        assert shown in listed.text
    for run in started.values():
        page = client.get(f"/console/runs/{run}")
        assert (page.status_code, "Done." in page.text) == (200, True)
        assert asking(server, Role.ENGINEER).get(f"/v1/runs/{run}").json()["state"] == "done"
    assert visiting(server, Role.GUEST).get(f"/console/runs/{started['dream']}").status_code == 403


@pytest.mark.parametrize("kind", [EVIDENCE_JOB, SUMMARY_JOB])
def test_what_has_a_page_of_its_own_is_no_run_of_the_console(kind, server):
    run = server.jobs.start(kind, by="auditor").id
    client = visiting(server)
    assert run not in client.get("/console/runs").text
    assert client.get(f"/console/runs/{run}").status_code in {400, 404}


# --- by command ---


def test_runs_are_listed_shown_and_cancelled_by_command(world, capsys):
    jobs = Jobs(world)
    run = jobs.start("train", "search", by="engineer").id

    def told(*arguments):
        code = main(["runs", *arguments, "--workspace", str(world)])
        return code, capsys.readouterr().out

    code, text = told()
    assert code == 0
    assert "train search" in text
    assert "No worker is running" in text
    assert json.loads(told(run, "--json")[1])["runs"][0]["state"] == "waiting"
    assert "cancelled" in told(run, "--cancel")[1]
    assert jobs.job(run).state is JobState.CANCELLED
    assert told(run, "--cancel")[0] != 0
    assert told("--cancel")[0] != 0
    assert told("0123")[0] != 0
    jobs.close()


# --- real processes ---


@contextmanager
def started(world, *arguments):
    """Run a command until the block is left, and kill it then (SIGKILL); yield it and its first line of stderr."""
    command = [sys.executable, "-m", "volition", *arguments, "--workspace", str(world)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stderr.readline()
        finally:
            process.kill()


@pytest.mark.slow
def test_what_a_server_answered_202_is_done_by_a_worker_after_both_were_killed(world):
    access = Access.open(world)
    _, secret = access.tokens.issue("demo-engineer", name="t", roles=[Role.ENGINEER], scopes=list(Scope))
    access.close()
    with started(world, "serve", "--port", "0", "--no-worker") as (_, line):
        [address] = re.findall(r"http://\S+", line)
        body = {"purpose": "train/recommend"}
        answer = httpx2.post(f"{address}v1/snapshots", json=body, headers={"authorization": f"Bearer {secret}"})
    assert answer.status_code == 202, answer.text
    jobs = Jobs(world)
    run = answer.json()["run"]
    assert jobs.job(run).state is JobState.WAITING
    with started(world, "worker") as (worker, line):
        assert "background jobs" in line
        until(lambda: jobs.job(run).is_over)
        assert (jobs.job(run).state, jobs.job(run).error) == (JobState.DONE, "")
        assert jobs.has_worker()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        assert not jobs.has_worker()
    jobs.close()
