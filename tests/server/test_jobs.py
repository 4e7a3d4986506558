"""What those who watch a job are told: its losses and its pace, whatever the work says of them."""

from contextlib import nullcontext
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from volition.server.jobs import Jobs, JobState

SECOND_US = 1_000_000


def told(steps, *, seconds_a_step=1):
    """Return the job as it was told after each step of the work, and at its end."""
    now = [0]
    heard = []
    jobs = Jobs(SimpleNamespace(borrow=lambda: nullcontext(None)), clock=lambda: now[0])

    def work(_, progress):
        for step in steps:
            now[0] += seconds_a_step * SECOND_US
            progress(*step)
            heard.append(jobs.all()[0])
        return "a model"

    *_, last = jobs.follow(jobs.start("train adapter", work).id)
    return [*heard, last]


def test_a_loss_is_told_beside_the_step_and_kept_for_a_curve():
    first, second, third, over = told([("learning", 0, 4), ("learning", 1, 4, 3.5), ("learning", 2, 4, 3.25)])
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
    }
    assert (over.state, over.losses, over.left_s) == (JobState.DONE, ((1, 3.5), (2, 3.25)), None)


def test_a_step_without_a_loss_leaves_the_curve_as_it_is():
    _, third, _ = told([("learning", 1, 4, 3.5), ("learning", 2, 4), ("learning", 3, 4, float("nan"))])[1:]
    assert third.losses == ((1, 3.5),)


def test_the_time_left_follows_from_the_pace_since_the_work_went_on():
    resumed = told([("shard 1", 30, 60), ("shard 1", 31, 60), ("shard 2", 40, 60)], seconds_a_step=2)
    assert [one.left_s for one in resumed] == [None, 58, 8, None]  # 4 s for 10 steps, 20 to go
    assert [one.left_s for one in told([("scrubbing", 1, 0), ("scrubbing", 2, 0)])] == [None] * 3


def test_other_work_begins_another_curve():
    counted = told([("looking", 2, 2, 1.0), ("learning", 1, 70, 0.5), ("learning", 2, 70, 0.4)])
    assert [one.losses for one in counted[:-1]] == [((2, 1.0),), ((1, 0.5),), ((1, 0.5), (2, 0.4))]
    assert counted[1].left_s is None


@settings(max_examples=20)
@given(st.integers(1, 2000))
def test_a_curve_stays_small_and_ends_with_the_last_loss(steps):
    last = told([("learning", step, steps, step / 7) for step in range(1, steps + 1)])[-1]
    assert len(last.losses) == steps or 200 <= len(last.losses) <= 400
    assert last.losses[0] == (1, 1 / 7)
    assert last.losses[-1] == (steps, steps / 7)
    assert [done for done, _ in last.losses] == sorted(done for done, _ in last.losses)
