"""Following a background job, and doing it: what cannot be read for a moment is not gone, and holds nothing up."""

import asyncio
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from volition.errors import BackendError, BusyError
from volition.server.followers import Followers
from volition.server.jobs import Jobs, JobState, Told
from volition.server.worker import Worker


class FailingJobs(Jobs):
    """Jobs whose file cannot be read while `is_failing`; `failed` is released each time that it was tried."""

    is_failing = False
    error: Exception = BackendError("web.db cannot be read: the disk does not answer.")

    def __init__(self, folder):
        super().__init__(folder)
        self.failed = threading.Semaphore(0)

    def job(self, job):
        if self.is_failing:
            self.failed.release()
            raise self.error
        return super().job(job)


@pytest.fixture
def jobs(tmp_path):
    jobs = FailingJobs(tmp_path)
    yield jobs
    jobs.close()


def stage(job):
    """Write a job as what it is busy with, or how it ended."""
    return job.stage if job.state is JobState.RUNNING else job.state.value


@pytest.mark.parametrize("error", [FailingJobs.error, RuntimeError("a fault of ours")], ids=["disk", "fault"])
def test_who_follows_hears_on_after_a_time_in_which_nothing_could_be_read(jobs, error):
    jobs.error = error

    async def follow():
        heard = aiter(Followers(jobs).follow(run, stage))
        seen = [await anext(heard)]
        jobs.is_failing = True
        waiting = asyncio.ensure_future(anext(heard))
        for _ in range(2):
            assert await asyncio.to_thread(jobs.failed.acquire, timeout=10)
        assert not waiting.done()
        jobs.is_failing = False
        jobs.tell("worker", run, Told(stage="learning", done=2, total=4, loss=None, losses=(), left_s=None))
        seen.append(await waiting)
        jobs.end("worker", run, JobState.DONE)
        return [*seen, *[text async for text in heard]]

    run = jobs.start("train", "search", by="engineer").id
    jobs.claim("worker")
    assert asyncio.run(asyncio.wait_for(follow(), 30)) == ["", "learning", "done"]


def test_who_follows_a_job_that_is_gone_is_let_go(jobs):
    async def follow():
        heard = aiter(Followers(jobs).follow(run, stage))
        seen = [await anext(heard)]
        with jobs._database.writing() as db:  # as a newer job of its kind takes its place
            db.execute("DELETE FROM jobs WHERE id = ?", (run,))
        return [*seen, *[text async for text in heard]]

    run = jobs.start("train", "search", by="engineer").id
    assert asyncio.run(asyncio.wait_for(follow(), 30)) == ["waiting"]


def test_a_job_that_cannot_be_read_when_it_is_claimed_waits_for_the_next_who_looks(jobs):
    run = jobs.start("train", "search", by="engineer").id
    jobs.is_failing = True
    with pytest.raises(BackendError):
        jobs.claim("worker")
    jobs.is_failing = False
    assert jobs.claim("worker").id == run, "it is not held for as long as a lease"


def test_a_training_goes_on_although_it_cannot_be_written_down_how_far_it_is(jobs):
    def work(_, run):
        run.progress("learning", 1, 2)
        jobs.is_failing, jobs.error = True, BusyError("jobs.db is held by another process.")
        run.progress("learning", 2, 2)
        jobs.is_failing = False
        return "a model"

    run = jobs.start("train", "search", by="engineer").id
    nowhere = SimpleNamespace(borrow=lambda: nullcontext(None))
    assert Worker(jobs, nowhere, kinds={"train": work}).do_next()
    assert (jobs.job(run).state, jobs.job(run).result, jobs.job(run).done) == (JobState.DONE, "a model", 2)
