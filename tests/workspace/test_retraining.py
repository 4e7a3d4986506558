"""Training again tells whether a model learned from its snapshot alone; no signature does."""

import shutil
from dataclasses import replace

import pytest

from crafts import Clock, build
from volition.errors import InvalidInputError, RefusedError
from volition.learning.families.family import NoParts
from volition.learning.families.recommend.family import RecommendFamily
from volition.learning.train import keep
from volition.progress import silent
from volition.workspace import Workspace
from volition.workspace.retraining import CHANGED, LOST


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Train once; every test works on a copy."""
    folder = tmp_path_factory.mktemp("again") / "workspace"
    clock = Clock()
    with build(folder, clock, accounts={"orchard": 12, "bakery": 8}) as workspace:
        model = workspace.models.train("recommend").id
    return folder, clock.now, model


@pytest.fixture
def trained(made, tmp_path):
    """Return a copy of the workspace, open, and its model."""
    folder = shutil.copytree(made[0], tmp_path / "workspace")
    clock = Clock(made[1])
    clock.wait(minutes=1)
    with Workspace.open(folder, clock=clock) as workspace:
        yield workspace, made[2]


def test_an_honest_model_is_what_its_snapshot_gives(trained):
    workspace, model = trained
    size = workspace.ledger.size

    again = workspace.retraining.retrain(model)

    assert (again.is_same, again.differing, again.files, again.is_restored) == (True, (), "", False)
    assert workspace.ledger.size == size
    assert list((workspace.folder / "runs").iterdir()) == []


def test_a_model_that_learned_from_one_row_more_is_known(trained):
    workspace, model = trained
    snapshot = workspace.snapshots.open(workspace.models.open(model).record["snapshot"])
    rows = snapshot.rows(workspace.parties)
    other = next(row for row in rows if row.people != rows[0].people and row.account == rows[0].account)
    secret = replace(rows[0], record_id="kept-secret", people=other.people)
    richer = RecommendFamily().fit([*rows, secret], parts=NoParts(), progress=silent)
    dishonest = keep(richer, snapshot, models=workspace.folder / "models")
    workspace.ledger.append(workspace.models.model_draft(dishonest))

    again = workspace.retraining.retrain(dishonest.id, restore=True)

    assert not again.is_same
    assert again.differing
    assert not again.is_restored
    assert workspace.retraining.retrain(model).is_same


@pytest.mark.parametrize("fault", [LOST, CHANGED])
def test_files_that_are_lost_or_changed_are_put_back_only_when_asked(trained, fault):
    workspace, model = trained
    folder = workspace.folder / "models" / model
    before = workspace.models.open(model).model.files()
    if fault == LOST:
        shutil.rmtree(folder)
    else:
        path = next(path for path in sorted((folder / "model").iterdir()) if path.suffix == ".json")
        path.write_bytes(path.read_bytes()[:-1])

    looked = workspace.retraining.retrain(model)
    assert (looked.is_same, looked.files, looked.is_restored) == (True, fault, False)

    put_back = workspace.retraining.retrain(model, restore=True)
    assert (put_back.is_same, put_back.files, put_back.is_restored) == (True, fault, True)
    assert workspace.models.open(model).model.files() == before


def test_it_is_a_use_and_asks_as_a_training_does(trained):
    workspace, model = trained
    party = next(iter(workspace.snapshots.open(workspace.models.open(model).record["snapshot"]).manifest["accounts"]))
    workspace.consent.decide(f"account:{party}", yes=False, data=["service"], purpose=["train"])

    with pytest.raises(RefusedError, match="Take a new one"):
        workspace.retraining.retrain(model)


def test_a_model_that_never_was_is_none(trained):
    workspace, _ = trained
    with pytest.raises(InvalidInputError, match="no model 'recommend-0'"):
        workspace.retraining.retrain("recommend-0")
