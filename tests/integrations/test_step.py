"""A step of a pipeline, without the pipeline: it trains from what is permitted now, or says why not and leaves nothing."""

import pytest

from crafts import WallClock, build
from volition.errors import BackendError, BusyError, InvalidInputError, ProofError, RefusedError
from volition.integrations.step import TrainingStep, may_pass


@pytest.fixture
def folder(tmp_path):
    build(tmp_path / "ws", WallClock(-86_400_000_000), accounts={"acme": 4}).close()
    return tmp_path / "ws"


def learn(run):
    (run.folder / "count").write_text(str(len(run.rows()) + len(run.held_out())))


def test_a_step_trains_a_family_or_code_of_one_s_own(folder):
    own = TrainingStep(workspace=str(folder), name="churn", purpose="train/recommend", train=learn, held_out=2).run()
    family = TrainingStep(workspace=folder, name="recommend", purpose="train/recommend").run()
    assert own.model.startswith("churn-")
    assert family.model.startswith("recommend-")
    assert own.rows == family.rows == 28
    assert own.to_json() == {
        "model": own.model,
        "snapshot": own.snapshot,
        "manifest": own.manifest,
        "rows": 28,
        "dropped": {},
    }


def test_where_nothing_was_collected_the_step_says_so(folder):
    with pytest.raises(RefusedError, match="Nothing may be used for train/diagnose: nothing was collected"):
        TrainingStep(workspace=folder, name="churn", purpose="train/diagnose", train=learn).run()


def test_what_was_refused_or_is_wrong_is_not_tried_again():
    assert [may_pass(kind("x")) for kind in (BusyError, BackendError)] == [True, True]
    assert [may_pass(kind("x")) for kind in (RefusedError, InvalidInputError, ProofError)] == [False] * 3
