"""Damage stays where it is: what is damaged of one model is named, and every other model is judged and forgets.

A model that owes a forgetting and cannot be made anew is retired: a no waits for no backup.
"""

import shutil
from pathlib import Path

import pytest

from crafts import PURPOSES, USAGE, Clock, build, set_bounds
from volition.cli import main
from volition.errors import DamagedError
from volition.transparency.verify.bundle import verify_bundle
from volition.workspace import Workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace with an older model and the one at work."""
    folder = tmp_path_factory.mktemp("made")
    clock = Clock()
    with build(folder / "w", clock, accounts={"acme": 6, "helio": 6}) as workspace:
        set_bounds(folder / "w")
    with Workspace.open(folder / "w", clock=clock) as workspace:
        for _ in range(2):
            clock.wait(hours=1)
            trained = workspace.models.train("recommend")
            workspace.models.audit(trained.id)
            workspace.models.release(trained.id)
    return folder / "w", clock


@pytest.fixture
def copied(made, tmp_path):
    """Copy it, with a clock of its own; return the folder, the clock, and the ids of the two models."""
    folder, clock = made
    shutil.copytree(folder, tmp_path / "w")
    own = Clock(clock.now)
    with Workspace.open(tmp_path / "w", clock=own) as workspace:
        return tmp_path / "w", own, [*workspace.models.states()]


def flip(path):
    """Flip a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))


def snapshot_of(workspace, model):
    return workspace.folder / "snapshots" / workspace.models.states()[model].snapshot


def say_no(workspace, clock):
    clock.wait(hours=1)
    workspace.consent.decide("person:acme-0", yes=False, data=USAGE, purpose=PURPOSES)
    return workspace.party("person:acme-0")


@pytest.mark.parametrize("name", ["keys.parquet", "manifest.json"])
def test_a_damaged_snapshot_is_named_and_the_other_model_forgets(copied, name, tmp_path):
    folder, clock, (older, newer) = copied
    with Workspace.open(folder, clock=clock) as workspace:
        party = say_no(workspace, clock)
        flip(snapshot_of(workspace, older) / name)
        found = {one.model: one for one in workspace.models.owed()}
        assert name.partition(".")[0] in found[older].damage
        assert (found[older].blocked, found[older].rows, [*found[older].parties]) == ("", 0, [party])
        assert (found[newer].damage, found[newer].rows) == ("", 7)
        assert found[older].since_us == found[newer].since_us
        assert {one["model"] for one in workspace.status()["owed"]} == {older, newer}
        done = {one.model: one for one in workspace.forgetting.forget()}
        assert (done[older].successor, bool(done[older].damage)) == (None, True)
        assert (done[newer].successor is None, done[newer].damage) == (False, "")
        assert not (folder / "models" / older).exists()
        assert not (snapshot_of(workspace, older) / "rows.parquet").exists()
        assert workspace.models.owed() == []
        assert workspace.models.at_work("recommend") == done[newer].successor
        assert workspace.ledger.verify()
        shutil.move(snapshot_of(workspace, older), tmp_path)  # what is damaged is no evidence
        workspace.proofs.bundle(tmp_path / "bundle.zip")
        assert verify_bundle(tmp_path / "bundle.zip", workspace.verifier).holds


def test_a_damaged_snapshot_is_kept_while_nobody_has_said_no(copied):
    folder, clock, (older, _) = copied
    with Workspace.open(folder, clock=clock) as workspace:
        kept = (snapshot_of(workspace, older) / "keys.parquet").read_bytes()
        flip(snapshot_of(workspace, older) / "keys.parquet")
        [owed] = workspace.models.owed()
        assert (owed.model, owed.blocked == owed.damage != "", dict(owed.parties)) == (older, True, {})
        assert workspace.forgetting.forget() == []
        assert (folder / "models" / older).exists()
        (snapshot_of(workspace, older) / "keys.parquet").write_bytes(kept)
        assert workspace.models.owed() == []


def test_a_snapshot_that_is_gone_as_a_whole_waits_for_its_due_day(copied):
    folder, clock, (older, newer) = copied
    with Workspace.open(folder, clock=clock) as workspace:
        say_no(workspace, clock)
        shutil.move(snapshot_of(workspace, older), folder / "elsewhere")
        assert [one.model for one in workspace.forgetting.forget()] == [newer]
        assert (folder / "models" / older).exists()
        clock.wait(days=31)
        assert [one.model for one in workspace.forgetting.forget()] == [older]
        assert not (folder / "models" / older).exists()


@pytest.mark.parametrize("place", ["snapshots/{snapshot}/rows.parquet", "models/{model}/model/arrays.npz"])
def test_a_model_that_cannot_be_made_anew_is_retired(copied, place, capsys):
    folder, clock, (_, newer) = copied
    with Workspace.open(folder, clock=clock) as workspace:
        say_no(workspace, clock)
        flip(folder / place.format(model=newer, snapshot=workspace.models.states()[newer].snapshot))
    assert main(["forget", "--workspace", str(folder)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"{newer} went without a successor, since something is damaged." in told
    with Workspace.open(folder, clock=clock) as workspace:
        assert all(state.forgotten_us is not None for state in workspace.models.states().values())
        assert not any((folder / "models").iterdir())


def test_a_damaged_file_of_the_lake_stops_no_forgetting(copied):
    folder, clock, (older, newer) = copied
    with Workspace.open(folder, clock=clock) as workspace:
        say_no(workspace, clock)
        [path, *_] = [path for path in (folder / "lake").rglob("*.parquet") if path.name.startswith("12-")]
        path.write_bytes(path.read_bytes()[:100])
        done = {one.model: one for one in workspace.forgetting.forget()}
        assert set(done) == {older, newer}
        assert Path(path).name in done[newer].damage
        assert workspace.models.owed() == []


def test_an_erasure_that_a_damaged_file_holds_up_holds_up_nobody_else(copied):
    folder, clock, _ = copied
    with Workspace.open(folder, clock=clock) as workspace:
        files = {path.name[:2]: path for path in (folder / "lake").rglob("*.parquet")}
        whole = files["45"].read_bytes()
        files["45"].write_bytes(whole[:100])
        with pytest.raises(DamagedError, match=r"45-.*restore"):
            workspace.forgetting.erase("person:acme-0")
        with pytest.raises(DamagedError):
            workspace.forgetting.erase("person:helio-0")
        helio = [one.id for one in workspace.parties.people() if one.id.startswith("helio")]
        assert "helio-0" not in helio
        with pytest.raises(DamagedError):
            workspace.forgetting.forget()
        assert all(state.forgotten_us is not None for state in workspace.models.states().values() if state.successor)
        files["45"].write_bytes(whole)
        assert workspace.forgetting.erase("person:acme-0").records == 7
        workspace.forgetting.forget()
