"""Background jobs: what those who watch one are told, and that a job which was taken on is done, once, whoever dies."""

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volition.errors import ConflictError, InvalidInputError
from volition.server.jobs import ATTEMPTS_MOST, LEASE_US, Jobs, JobState, LostJobError
from volition.server.worker import Worker
from waiting import StandingClock

SECOND_US = 1_000_000
NO_WORKSPACE = SimpleNamespace(borrow=lambda: nullcontext(None))


@pytest.fixture
def clock():
    return StandingClock(SECOND_US)


@pytest.fixture
def jobs(tmp_path, clock):
    opened = Jobs(tmp_path, clock=clock)
    yield opened
    opened.close()


def worker_for(jobs, clock, **kinds):
    return Worker(jobs, NO_WORKSPACE, kinds=kinds, clock=clock)


# --- what is told ---


def told(folder, steps, *, seconds_a_step=1):
    """Return the job as it was told after each step of the work, and at its end."""
    clock, heard = StandingClock(SECOND_US), []
    jobs = Jobs(folder, clock=clock)

    def work(_, run):
        for step in steps:
            clock.now_us += seconds_a_step * SECOND_US
            run.progress(*step)
            heard.append(jobs.all()[-1])
        return "a model"

    try:
        jobs.start("train", "adapter", by="engineer")
        assert worker_for(jobs, clock, train=work).do_next()
        return [*heard, jobs.all()[-1]]
    finally:
        jobs.close()


def test_a_loss_is_told_beside_the_step_and_kept_for_a_curve(tmp_path):
    first, second, third, over = told(tmp_path, [("learning", 0, 4), ("learning", 1, 4, 3.5), ("learning", 2, 4, 3.25)])
    assert [(one.loss, one.losses) for one in (first, second)] == [(None, ()), (3.5, ((1, 3.5),))]
    assert third.to_json() | {"run": ""} == {
        "run": "",
        "what": "train adapter",
        "state": "running",
        "stage": "learning",
        "done": 2,
        "total": 4,
        "loss": 3.25,
        "left_s": 2,
        "result": None,
        "error": None,
        "by": "engineer",
        "cancelling": False,
        "attempts": 1,
        "requested": "1970-01-01T00:00:01.000000Z",
        "began": "1970-01-01T00:00:01.000000Z",
        "ended": None,
    }
    assert (over.state, over.losses, over.left_s) == (JobState.DONE, ((1, 3.5), (2, 3.25)), None)
    assert (over.result, over.ended_us) == ("a model", 4 * SECOND_US)


def test_a_step_without_a_loss_leaves_the_curve_as_it_is(tmp_path):
    _, third, _ = told(tmp_path, [("learning", 1, 4, 3.5), ("learning", 2, 4), ("learning", 3, 4, float("nan"))])[1:]
    assert third.losses == ((1, 3.5),)


def test_the_time_left_follows_from_the_pace_since_the_work_went_on(tmp_path):
    resumed = told(tmp_path, [("shard 1", 30, 60), ("shard 1", 31, 60), ("shard 2", 40, 60)], seconds_a_step=2)
    assert [one.left_s for one in resumed] == [None, 58, 8, None]  # 4 s for 10 steps, 20 to go
    assert [one.left_s for one in told(tmp_path, [("scrubbing", 1, 0), ("scrubbing", 2, 0)])] == [None] * 3


def test_other_work_begins_another_curve(tmp_path):
    counted = told(tmp_path, [("looking", 2, 2, 1.0), ("learning", 1, 70, 0.5), ("learning", 2, 70, 0.4)])
    assert [one.losses for one in counted[:-1]] == [((2, 1.0),), ((1, 0.5),), ((1, 0.5), (2, 0.4))]
    assert counted[1].left_s is None


@settings(max_examples=10)
@given(st.integers(1, 2000))
def test_a_curve_stays_small_and_ends_with_the_last_loss(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("jobs")
    clock = StandingClock(SECOND_US)
    jobs = Jobs(folder, clock=clock)
    jobs.start("train", by="engineer")

    def work(_, run):
        for step in range(1, steps + 1):
            run.progress("learning", step, steps + 1, step / 7)

    worker_for(jobs, clock, train=work).do_next()
    [last] = jobs.all()
    jobs.close()
    assert len(last.losses) == steps or 200 <= len(last.losses) <= 400
    assert last.losses[0] == (1, 1 / 7)
    assert last.losses[-1] == (steps, steps / 7)
    assert [done for done, _ in last.losses] == sorted(done for done, _ in last.losses)


def test_whoever_follows_by_versions_misses_no_job_and_hears_of_none_twice(jobs, clock):
    one, other = jobs.start("train", "search", by="engineer"), jobs.start("audit", "m", by="engineer")
    assert [job.id for job in jobs.changed_since(0)] == [one.id, other.id]
    seen = other.version
    assert jobs.changed_since(seen) == []
    worker = worker_for(jobs, clock, train=lambda *_: "m", audit=lambda *_: [])
    worker.do_next()
    [changed] = jobs.changed_since(seen)
    assert (changed.id, changed.state) == (one.id, JobState.DONE)
    worker.do_next()
    assert [job.id for job in jobs.changed_since(seen)] == [one.id, other.id]
    assert [job.id for job in jobs.changed_since(changed.version)] == [other.id]


def test_of_those_of_a_kind_that_are_over_the_newest_are_kept_and_all_others(tmp_path, clock):
    jobs = Jobs(tmp_path, clock=clock, kept=3)
    waiting, first = jobs.start("train", "search", by="engineer"), jobs.start("snapshot", by="engineer")
    jobs.cancel(first.id)
    audits = [jobs.cancel(jobs.start("audit", f"m-{number}", by="engineer").id) for number in range(5)]
    jobs.start("audit", "m-5", by="engineer")
    assert [job.what for job in jobs.all()] == [
        "train search",
        "snapshot",
        "audit m-2",
        "audit m-3",
        "audit m-4",
        "audit m-5",
    ]
    assert jobs.job(waiting.id).state is JobState.WAITING
    with pytest.raises(InvalidInputError, match="There is no run"):
        jobs.job(audits[0].id)
    jobs.close()


def test_what_no_work_is_known_for_fails_and_says_so(jobs, clock):
    job = jobs.start("dance", by="engineer")
    assert worker_for(jobs, clock).do_next()
    assert "does not know 'dance'" in jobs.job(job.id).error


# --- once, and whoever dies ---


def test_a_job_outlives_the_process_that_took_it_on(tmp_path, clock):
    jobs = Jobs(tmp_path, clock=clock)
    begun = jobs.start("train", "search", payload={"snapshot": "s-1"}, by="engineer")
    jobs.close()
    again = Jobs(tmp_path, clock=clock)
    assert again.all() == [begun]
    again.close()


def test_a_job_whose_worker_died_is_taken_up_after_its_lease_from_its_last_finished_step(jobs, clock):
    made = []

    def work(_, run):
        snapshot = run.step("snapshot", lambda: made.append("s-1") or "s-1")
        if len(jobs.job(job.id).steps) == 1 and jobs.job(job.id).attempts == 1:
            raise KeyboardInterrupt  # as if killed: nothing is written down any more
        return snapshot

    job = jobs.start("train", "search", by="engineer")
    with pytest.raises(KeyboardInterrupt):
        worker_for(jobs, clock, train=work).do_next()
    other = worker_for(jobs, clock, train=work)
    assert not other.do_next()  # the lease of the dead still runs
    clock.now_us += LEASE_US + 1
    assert other.do_next()
    assert (jobs.job(job.id).result, jobs.job(job.id).attempts, made) == ("s-1", 2, ["s-1"])


def test_a_worker_that_says_that_it_lives_keeps_its_job_however_long_the_work_is_silent(jobs, clock):
    other = worker_for(jobs, clock, train=lambda *_: "other")

    def work(_, __):
        for _ in range(5):
            clock.now_us += LEASE_US - 1
            worker.beat()
            assert not other.do_next()
        return "own"

    worker = worker_for(jobs, clock, train=work)
    job = jobs.start("train", "search", by="engineer")
    worker.do_next()
    assert jobs.job(job.id).result == "own"


def test_what_a_worker_says_of_a_job_that_it_has_lost_changes_nothing(jobs, clock):
    def slept(_, run):
        clock.now_us += LEASE_US + 1  # suspended, and then awake again
        assert other.do_next()
        run.progress("learning", 1, 2)
        raise AssertionError("it went on with a job that is another's")

    other = worker_for(jobs, clock, train=lambda *_: "other")
    job = jobs.start("train", "search", by="engineer")
    assert worker_for(jobs, clock, train=slept).do_next()
    over = jobs.job(job.id)
    assert (over.state, over.result, over.done, over.attempts) == (JobState.DONE, "other", 0, 2)
    with pytest.raises(LostJobError):
        jobs.end("whoever", job.id, JobState.FAILED)


def test_two_jobs_that_do_the_same_are_never_done_at_once_and_others_are(jobs, clock):
    begun = []

    def work(_, run):
        begun.append(run.subject)
        if len(begun) == 1:
            assert other.do_next()  # the audit, and not the second training of search
            assert not other.do_next()

    other = worker_for(jobs, clock, train=work, audit=work)
    jobs.start("train", "search", by="engineer")
    jobs.start("train", "search", by="engineer")
    jobs.start("audit", "m", by="engineer")
    worker_for(jobs, clock, train=work).do_next()
    assert begun == ["search", "m"]
    assert other.do_next()
    assert begun == ["search", "m", "search"]


def test_workers_of_several_threads_and_connections_do_each_job_once(tmp_path):
    done, folder = [], tmp_path
    queued = Jobs(folder)
    for number in range(24):
        queued.start("audit", f"m-{number}", by="engineer")

    def drain():
        jobs = Jobs(folder)
        worker = Worker(jobs, NO_WORKSPACE, kinds={"audit": lambda _, run: done.append(run.subject)})
        while worker.do_next():
            pass
        jobs.close()

    threads = [threading.Thread(target=drain) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(f"m-{number}" for number in range(24))
    assert {job.attempts for job in queued.all()} == {1}
    queued.close()


def test_a_job_that_kills_every_worker_fails_in_the_end(jobs, clock):
    def kills(_, __):
        raise KeyboardInterrupt

    job = jobs.start("train", "search", by="engineer")
    worker = worker_for(jobs, clock, train=kills)
    for _ in range(ATTEMPTS_MOST):
        with pytest.raises(KeyboardInterrupt):
            worker.do_next()
        clock.now_us += LEASE_US + 1
    assert not worker.do_next()
    assert jobs.job(job.id).state is JobState.FAILED
    assert "each time the worker died" in jobs.job(job.id).error


def test_a_worker_that_is_asked_to_stop_puts_its_job_back(jobs, clock):
    def work(_, run):
        worker.close()
        run.progress("learning", 1, 2)
        raise AssertionError("it did not stop")

    worker = worker_for(jobs, clock, train=work)
    job = jobs.start("train", "search", by="engineer")
    worker.do_next()
    assert (jobs.job(job.id).state, jobs.job(job.id).attempts) == (JobState.WAITING, 0)
    assert worker_for(jobs, clock, train=lambda *_: "m").do_next()
    assert jobs.job(job.id).result == "m"


def test_a_job_is_cancelled_before_it_begins_and_at_its_next_step_and_not_when_it_is_over(jobs, clock):
    def work(_, run):
        run.progress("learning", 1, 3)
        assert jobs.cancel(run.id).to_json()["cancelling"]
        clock.now_us += SECOND_US
        run.progress("learning", 2, 3)
        run.progress("learning", 3, 3)
        raise AssertionError("it did not stop")

    never = jobs.start("train", "search", by="engineer")
    assert jobs.cancel(never.id).state is JobState.CANCELLED
    job = jobs.start("train", "search", by="engineer")
    worker = worker_for(jobs, clock, train=work)
    assert worker.do_next()
    assert jobs.job(job.id).state is JobState.CANCELLED
    assert not worker.do_next()
    for over in (never, job):
        with pytest.raises(ConflictError, match="is over"):
            jobs.cancel(over.id)


def test_a_cancelled_job_whose_worker_died_is_not_begun_again(jobs, clock):
    def dies(_, run):
        jobs.cancel(run.id)
        raise KeyboardInterrupt

    job = jobs.start("train", "search", by="engineer")
    with pytest.raises(KeyboardInterrupt):
        worker_for(jobs, clock, train=dies).do_next()
    clock.now_us += LEASE_US + 1
    assert not worker_for(jobs, clock, train=dies).do_next()
    assert jobs.job(job.id).state is JobState.CANCELLED


def test_what_waits_already_will_do_and_what_runs_will_not(jobs, clock):
    def work(_, __):
        assert jobs.start("forget", by="operator", once=True).id != first.id

    first = jobs.start("forget", by="operator", once=True)
    assert jobs.start("forget", by="operator", once=True).id == first.id
    worker_for(jobs, clock, forget=work).do_next()
    assert len(jobs.all()) == 2


def test_it_is_known_whether_anything_does_the_jobs(jobs, clock):
    assert not jobs.has_worker()
    worker = worker_for(jobs, clock)
    worker.beat()
    assert jobs.has_worker()
    clock.now_us += LEASE_US + 1
    assert not jobs.has_worker()
    worker.beat()
    worker.close()
    assert not jobs.has_worker()
