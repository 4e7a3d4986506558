"""A ledger that was cut, or an older copy of it put back, is known when the workspace is opened, and nothing is done."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from volition import Workspace
from volition.errors import ProofError
from volition.server.app import Server

SAID = {"data": ["content"], "purpose": ["train"]}
PLACES = ("checkpoint", "parties.db", "snapshot", "release")


@pytest.fixture
def folder(tmp_path):
    """A workspace that says yes and, last of all, no."""
    place = tmp_path / "workspace"
    with Workspace.create(place, origin="log.example") as workspace:
        workspace.people.add_account("helio", name="Helio")
        workspace.people.add_person("ann", account="helio")
        workspace.consent.decide("person:ann", yes=True, **SAID)
    return place


def _ledger_files(folder):
    return [*folder.glob("ledger.db*")]


def _copy(folder, to):
    """Copy the ledger as it lies there, with its write-ahead log."""
    to.mkdir()
    for path in _ledger_files(folder):
        shutil.copy(path, to / path.name)


def _put_back(folder, copy):
    for path in _ledger_files(folder):
        path.unlink()
    for path in copy.iterdir():
        shutil.copy(path, folder / path.name)


def _say_no(folder):
    with Workspace.open(folder) as workspace:
        workspace.consent.decide("person:ann", yes=False, **SAID)
        return workspace.ledger.size


def _forget_place(folder, *places):
    if "checkpoint" in places:
        (folder / "checkpoint").unlink()
    if "parties.db" in places:
        with closing(sqlite3.connect(folder / "parties.db")) as connection, connection:
            assert connection.execute("DELETE FROM state WHERE name = 'checkpoint'").rowcount == 1


def test_entries_cut_off_are_missed(folder):
    size = _say_no(folder)
    with closing(sqlite3.connect(folder / "ledger.db")) as connection, connection:
        connection.execute("DROP TRIGGER growth_delete")
        [(last,)] = connection.execute("SELECT max(rowid) FROM growth")
        assert connection.execute("DELETE FROM growth WHERE rowid = ?", (last,)).rowcount == 1

    with pytest.raises(ProofError, match=rf"has {size - 1} entries.*checkpoint of {size}: the last ones were cut off"):
        Workspace.open(folder)


@pytest.mark.parametrize("gone", ["checkpoint", "parties.db"])
def test_either_place_alone_shows_that_an_older_ledger_was_put_back(folder, tmp_path, gone):
    _copy(folder, tmp_path / "older")
    _say_no(folder)
    _put_back(folder, tmp_path / "older")
    _forget_place(folder, gone)

    with pytest.raises(ProofError, match=r"an older copy was put back.*Put the newest copy"):
        Workspace.open(folder)


def test_an_older_ledger_that_went_on_otherwise_is_known(folder, tmp_path):
    _copy(folder, tmp_path / "older")
    _say_no(folder)
    shutil.copy(folder / "checkpoint", tmp_path / "newest")
    _put_back(folder, tmp_path / "older")
    _forget_place(folder, *PLACES)
    with Workspace.open(folder) as workspace:  # whoever removes every place is not known here
        workspace.consent.decide("person:ann", yes=True, **SAID)
        workspace.consent.decide("person:ann", yes=True, **SAID)
    shutil.copy(tmp_path / "newest", folder / "checkpoint")

    with pytest.raises(ProofError, match="went on otherwise"):
        Workspace.open(folder)


def test_a_snapshot_that_the_ledger_does_not_name_any_more_shows_it(folder, tmp_path):
    _copy(folder, tmp_path / "older")
    _say_no(folder)
    with Workspace.open(folder) as workspace:
        workspace.snapshots.create("train/search")
    _put_back(folder, tmp_path / "older")
    _forget_place(folder, *PLACES)

    with Workspace.open(folder) as workspace, pytest.raises(ProofError, match=r"the snapshot train-search-\w+ quotes"):
        workspace.gate.permits("train/search")


def test_the_whole_folder_of_one_moment_opens(folder, tmp_path):
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)
    _say_no(folder)

    assert _say_no(whole)


@pytest.mark.parametrize("found", [b"", b"\0" * 512, b"log.example\n7\n", b"\xff" * 600])
def test_what_a_loss_of_power_leaves_of_the_file_is_no_fault(folder, found):
    (folder / "checkpoint").write_bytes(found)

    size = _say_no(folder)
    assert f"\n{size}\n" in (folder / "checkpoint").read_text()


def test_a_workspace_of_an_earlier_version_has_none_and_opens(folder):
    _forget_place(folder, *PLACES)

    size = _say_no(folder)
    assert f"\n{size}\n" in (folder / "checkpoint").read_text()
    with Workspace.open(folder) as workspace:
        assert workspace.parties.kept_checkpoint() == workspace.ledger.checkpoint()


def test_the_server_misses_what_it_saw(folder, tmp_path):
    Server(folder).close()
    _copy(folder, tmp_path / "older")
    server = Server(folder)
    size = _say_no(folder)
    server.close()
    _put_back(folder, tmp_path / "older")
    _forget_place(folder, *PLACES)

    with pytest.raises(ProofError, match=f"web.db quotes a signed checkpoint of {size}"):
        Server(folder)


KILLED = """
import os, sys
from pathlib import Path
from volition import Workspace

workspace = Workspace.open(Path(sys.argv[1]))
for answer in (True, False) * 5:
    workspace.consent.decide("person:ann", yes=answer, data=["content"], purpose=["train"])
print(workspace.ledger.size, flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_was_acknowledged_before_a_kill_is_missed_when_it_is_cut(folder, tmp_path):
    _copy(folder, tmp_path / "older")
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == -9, ran.stderr
    with Workspace.open(folder) as workspace:
        assert workspace.ledger.size == int(ran.stdout)
    _put_back(folder, tmp_path / "older")

    with pytest.raises(ProofError, match=f"checkpoint of {int(ran.stdout)}"):
        Workspace.open(folder)
