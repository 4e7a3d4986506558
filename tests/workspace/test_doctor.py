"""The doctor: what is broken is named, with what to do, and stops no other check; what needs no guess is mended."""

import json
import shutil
import sqlite3
from contextlib import closing
from typing import NamedTuple

import pytest

from crafts import PURPOSES, USAGE, Clock, build, set_bounds
from volition.cli import codes, main
from volition.server.job_findings import examine_jobs
from volition.server.jobs import LEASE_US, Jobs
from volition.workspace import Workspace
from volition.workspace.doctor import DAY_US, State, examine, mend


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace with a model at work that owes a forgetting."""
    folder = tmp_path_factory.mktemp("made")
    clock = Clock()
    build(folder / "w", clock, accounts={"acme": 6, "helio": 6}).close()
    set_bounds(folder / "w")
    with Workspace.open(folder / "w", clock=clock) as workspace:
        trained = workspace.models.train("recommend")
        workspace.models.audit(trained.id)
        workspace.models.release(trained.id)
        clock.wait(days=1)
        workspace.consent.decide("person:acme-0", yes=False, data=USAGE, purpose=PURPOSES)
    return folder, clock


GIB = 2**30


class Disk(NamedTuple):
    """What a disk has of each, in bytes."""

    total: int
    used: int
    free: int


def let_be_free(monkeypatch, free):
    """Let so many bytes be free on every disk."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(100 * GIB, 100 * GIB - free, free))


@pytest.fixture
def there(made, tmp_path, monkeypatch):
    """Copy it, with a clock and a disk of its own: what is free here has to change nothing."""
    folder, clock = made
    let_be_free(monkeypatch, 2 * GIB)
    shutil.copytree(folder / "w", tmp_path / "w")
    return tmp_path / "w", Clock(clock.now)


def found(folder, clock):
    """Return what is not sound: check -> (state, what was found)."""
    return {one.check: (one.state, one.found) for one in examine(folder, clock=clock) if one.state is not State.SOUND}


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.slow
def test_a_sound_workspace_is_found_sound_whoever_looks_changes_nothing(there):
    folder, clock = there
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    assert found(folder, clock) == {}
    assert {one.check for one in examine(folder, clock=clock)} >= {
        *("settings", "permissions", "disk", "ledger.db", "parties.db", "lake/index.db", "ledger", "clock", "stores"),
        *("keys", "erasures", "terms", "lake", "snapshots", "models", "forgettings"),
    }
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before


def lose(folder, pattern):
    next(iter(sorted(folder.glob(pattern)))).unlink()


DAMAGE = {
    "lake": lambda folder: lose(folder, "lake/records/**/*.parquet"),
    "stores": lambda folder: lose(folder, "models/*/findings.json"),
    "snapshots": lambda folder: flip(next(folder.glob("snapshots/*/rows.parquet"))),
    "models": lambda folder: flip(next(folder.glob("models/*/model/*.npz"))),
    "releases": lambda folder: flip(next(folder.glob("releases/*/card.json"))),
}


@pytest.mark.parametrize("check", DAMAGE)
def test_each_damage_is_found_where_it_is_and_nowhere_else(check, there):
    folder, clock = there
    DAMAGE[check](folder)
    broken = found(folder, clock)
    assert check in broken
    assert broken.keys() <= {check, "forgettings"}, "what follows from it may be named, too"


def test_a_disk_that_is_nearly_full_is_told_by_what_the_workspace_may_still_have_to_write(there, monkeypatch):
    folder, clock = there
    let_be_free(monkeypatch, GIB)
    assert found(folder, clock) == {}
    let_be_free(monkeypatch, GIB - 1)
    assert found(folder, clock)["disk"] == (State.WARNING, "1.0 GiB are free; the workspace takes 0.0 GiB")

    with (folder / "lake" / "large").open("wb") as large:
        large.truncate(3 * GIB)  # it takes no room, and counts as if it did
    let_be_free(monkeypatch, 4 * GIB)
    assert found(folder, clock) == {}
    let_be_free(monkeypatch, 3 * GIB)
    assert found(folder, clock)["disk"] == (State.WARNING, "3.0 GiB are free; the workspace takes 3.0 GiB")


def test_what_keeps_a_workspace_from_opening_is_named_and_the_rest_is_looked_at_all_the_same(there):
    folder, clock = there
    (folder / "lake" / "index.db").write_bytes(b"")
    (folder / "parties.db").unlink()
    broken = found(folder, clock)
    assert broken.keys() == {"lake/index.db", "opening"}
    assert "parties.db cannot be opened" in broken["opening"][1]


def test_a_cut_ledger_does_not_verify(there, capsys):
    folder, clock = there
    with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as ledger:
        ledger.execute("DROP TRIGGER growth_delete")
        ledger.execute("DELETE FROM growth WHERE size = (SELECT max(size) FROM growth)")
    assert found(folder, clock)["opening"][0] is State.UNPROVEN
    assert main(["doctor", "--workspace", str(folder), "--json"]) == codes.UNPROVEN.code
    assert json.loads(capsys.readouterr().out)["findings"][-1]["state"] == "does not verify"


def test_a_damaged_database_is_found_page_by_page(there):
    folder, clock = there
    data = bytearray((folder / "uses.db").read_bytes())
    data[4096:4200] = bytes(104)
    (folder / "uses.db").write_bytes(bytes(data))
    assert found(folder, clock)["uses.db"][0] is State.BROKEN


def test_a_forgetting_is_warned_of_before_it_is_overdue(there):
    folder, clock = there
    clock.wait(days=25)
    assert found(folder, clock)["forgettings"][0] is State.WARNING
    clock.wait(days=6)
    assert found(folder, clock)["forgettings"][0] is State.BROKEN


def test_a_clock_that_is_behind_the_ledger_is_told(there):
    folder, clock = there
    clock.wait(days=-2)
    assert found(folder, clock).keys() == {"clock"}


def test_repair_mends_what_needs_no_guess_and_only_that(there, capsys):
    folder, clock = there
    folder.chmod(0o755)
    (folder / "snapshots" / "half.part").mkdir()
    (folder / "lake" / "writing").touch()
    left = next(folder.glob("lake/records/**/*.parquet")).with_name("00-left.parquet")
    left.write_bytes(b"half")
    assert found(folder, clock).keys() == {"permissions", "left behind"}
    folder.chmod(0o755)  # opening it let nobody else in
    shutil.rmtree(next(folder.glob("models/*")))
    assert main(["doctor", "--repair", "--workspace", str(folder)]) == codes.BACKEND.code
    assert "Mended: Nobody else can enter the folder" in capsys.readouterr().out
    assert not left.exists()
    assert "models" in (left_over := found(folder, clock))
    assert left_over.keys() <= {"models", "stores", "forgettings"}


def test_an_index_that_is_lost_is_never_made_from_record_files(there):
    folder, clock = there
    (folder / "lake" / "index.db").unlink()
    files = sorted(folder.glob("lake/records/**/*.parquet"))
    told = {one.check: one for one in examine(folder, clock=clock)}["stores"]
    assert (told.state, told.found) == (State.BROKEN, "lake/index.db was lost")
    assert "not rebuilt" in told.mend
    assert "erased or taken back and must not return" in told.mend
    mend(folder)
    assert not (folder / "lake" / "index.db").exists()
    assert sorted(folder.glob("lake/records/**/*.parquet")) == files
    assert found(folder, clock)["lake"][0] is State.BROKEN


def test_an_erasure_that_was_killed_is_found_and_finished(there):
    folder, clock = there
    with Workspace.open(folder, clock=clock) as workspace:
        workspace._erasing._note(workspace.party("person:helio-1"))
    assert found(folder, clock).keys() >= {"erasures"}
    mend(folder)
    assert "erasures" not in found(folder, clock)


def test_jobs_that_nobody_does_are_told(there):
    folder, clock = there
    assert list(examine_jobs(folder, clock=clock)) == []
    with closing(Jobs(folder, clock=clock)) as jobs:
        jobs.start("train", "recommend", by="operator")
        assert list(examine_jobs(folder, clock=clock)) == []
        clock.wait(days=2)
        assert [one.state for one in examine_jobs(folder, clock=clock)] == [State.WARNING]
        for owner in ("one", "other"):
            assert jobs.claim(owner) is not None
            clock.wait(seconds=LEASE_US // 1_000_000 + 1)
    [finding] = examine_jobs(folder, clock=clock)
    assert "begun 2 times" in finding.found
    assert DAY_US == 86_400_000_000
