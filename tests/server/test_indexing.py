"""What was collected is indexed for search by itself, beside other jobs; until then the page says how far that is."""

from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from simulator import HashEncoder
from volition.learning.encoder import Encoder
from volition.server.app import Server
from volition.server.auth import Role
from volition.server.jobs import Jobs, JobState, Queue
from volition.server.schedule import ASKED_BY, Schedule
from volition.server.worker import Worker
from volition.workspace.pool import Workspaces

SECOND_US = 1_000_000
LATER = "WEBVTT\n\n00:01.000 --> 00:04.000\nAda Byron: The brochure is printed on Monday.\n"


@pytest.fixture
def encoder(monkeypatch):
    """Let whoever loads the sentence encoder have one that takes no time."""
    monkeypatch.setattr(Encoder, "load", HashEncoder)


@pytest.fixture
def made(world, encoder):
    """Yield the jobs, the workspaces, and a function that lets time pass and looks at the schedule."""
    now_us = 1_800_000_000 * SECOND_US
    jobs, pool = Jobs(world), Workspaces(world)
    schedule = Schedule(jobs, pool, clock=lambda: now_us)

    def look(seconds):
        nonlocal now_us
        now_us += seconds * SECOND_US
        schedule.look()

    with pool.borrow() as workspace:
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["feature"], covers="past")
    yield jobs, pool, look
    pool.close()
    jobs.close()


def test_what_search_may_show_is_indexed_by_a_job_that_waits_for_no_other(made):
    jobs, pool, look = made
    look(0)
    look(5)
    look(5)
    [job] = [job for job in jobs.all() if job.kind == "index"]
    assert (job.asked_by, job.state) == (ASKED_BY, JobState.WAITING)
    training = jobs.start("train", "recommend", by="olga")
    assert not any(one.id == job.id for one in [jobs.claim("one")]), "it is of another queue"
    assert jobs.job(training.id).state is JobState.RUNNING
    assert Worker(jobs, pool, queue=Queue.INDEX).do_next()
    assert (jobs.job(job.id).state, jobs.job(job.id).result) == (JobState.DONE, 2)
    with pool.borrow() as workspace:
        assert workspace.features.unindexed() == 0
        assert workspace.features.index() == 0


def test_nothing_is_queued_while_nothing_was_collected_or_said(made, tmp_path):
    jobs, pool, look = made
    look(0)
    look(5)
    assert Worker(jobs, pool, queue=Queue.INDEX).do_next()
    look(60)
    assert len([job for job in jobs.all() if job.kind == "index"]) == 1
    (tmp_path / "later.vtt").write_text(LATER)
    with pool.borrow() as workspace:
        workspace.records.collect_webvtt(
            tmp_path / "later.vtt", account="acme", started=datetime(2025, 6, 3, 9, tzinfo=UTC)
        )
    look(5)
    assert Worker(jobs, pool, queue=Queue.INDEX).do_next()
    assert [job.result for job in jobs.all() if job.kind == "index"] == [2, 1]


def test_the_page_searches_what_is_ready_and_says_how_much_is(made, world, tmp_path):
    _, pool, _ = made
    with pool.borrow() as workspace:
        workspace.features.index()
        (tmp_path / "later.vtt").write_text(LATER)
        workspace.records.collect_webvtt(
            tmp_path / "later.vtt", account="acme", started=datetime(2025, 6, 3, 9, tzinfo=UTC)
        )
    server = Server(world, is_demo=True, has_worker=False)
    try:
        pages = {}
        for user in (f"demo-{Role.PERSON}", "demo-stranger"):
            client = TestClient(server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
            client.cookies.set("volition", server.access.sessions.begin(user))
            pages[user] = client.get("/search?q=brochure").text.replace("<mark>", "").replace("</mark>", "")
            with pool.borrow() as workspace:
                before = workspace.features.unindexed()
            assert before == 1, "no page waits for an index"
        own = pages[f"demo-{Role.PERSON}"]
        assert "2 of 3 lines are ready to be searched." in own
        assert "printed on Monday" not in own
        assert "Then the brochure must be ready on Thursday." in own
        assert "ready to be searched" not in pages["demo-stranger"], "how much others said is not told"
        with pool.borrow() as workspace:
            workspace.features.index()
        client.cookies.set("volition", server.access.sessions.begin(f"demo-{Role.PERSON}"))
        now = client.get("/search?q=brochure").text
        assert "printed on Monday" in now
        assert "ready to be searched" not in now
    finally:
        server.close()
