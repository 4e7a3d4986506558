"""Making a workspace that was killed can be done again; and what decide takes as an instant."""

import os
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from volition.cli import codes, main
from volition.errors import ConflictError, InvalidInputError
from volition.workspace import Workspace

ORIGIN = "log.example/made"


def kill_after(folder, steps):
    """Make a workspace in a fork that is killed at its n-th rename, fsync or folder made; return whether it was."""
    pid = os.fork()
    if pid == 0:
        left = steps

        def count(event, _):
            nonlocal left
            if event in {"os.mkdir", "os.rename", "os.remove", "sqlite3.connect", "open"}:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        import sys  # noqa: PLC0415 - in the fork alone

        sys.addaudithook(count)
        Workspace.create(folder, origin=ORIGIN).close()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.slow
def test_a_making_that_was_killed_anywhere_is_done_again(tmp_path):
    steps = 0
    while kill_after(tmp_path / str(steps), steps):
        folder = tmp_path / str(steps)
        was_made = (folder / "volition.toml").exists() and not (folder / "making").exists()
        again = Workspace.open(folder) if was_made else Workspace.create(folder, origin=ORIGIN)
        with again as workspace:
            assert [terms.id for terms in workspace.terms.published()] == ["granular"]
            workspace.people.add_account("acme", "Acme")
        with pytest.raises(InvalidInputError, match="not empty"):
            Workspace.create(tmp_path / str(steps), origin=ORIGIN)
        steps += 5
    assert steps > 20


def test_a_making_that_was_begun_is_ended_for_the_same_log_alone(tmp_path):
    Workspace.create(tmp_path / "w", origin=ORIGIN, profile=None).close()
    (tmp_path / "w" / "making").touch()
    with pytest.raises(InvalidInputError, match=ORIGIN):
        Workspace.create(tmp_path / "w", origin="log.example/other")
    with Workspace.create(tmp_path / "w", origin=ORIGIN) as workspace:
        assert len(workspace.terms.published()) == 1


def test_nothing_else_is_removed_when_a_workspace_is_made_again(tmp_path):
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "making").touch()
    (tmp_path / "w" / "own.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match="not empty"):
        Workspace.create(tmp_path / "w", origin=ORIGIN)
    assert (tmp_path / "w" / "own.txt").read_text() == "mine"


def test_an_instant_may_be_given_as_one(tmp_path):
    covers, until = datetime(2025, 6, 2, tzinfo=UTC), datetime.now(UTC) + timedelta(days=9)
    with Workspace.create(tmp_path / "w", origin=ORIGIN) as workspace:
        workspace.people.add_account("acme", "Acme")
        asked = {"yes": True, "data": ["content"], "purpose": ["train/search"]}
        entry = workspace.consent.decide("account:acme", covers=covers, until=until, **asked)
        assert entry.body["covers"] == "2025-06-02T00:00:00.000000Z"
        assert entry.body["until"].startswith(until.date().isoformat())
        with pytest.raises(InvalidInputError, match="no time zone"):
            workspace.consent.decide("account:acme", covers=covers.replace(tzinfo=None), **asked)


def test_adding_an_account_that_was_killed_before_its_region_is_recorded_is_done_again(tmp_path):
    with Workspace.create(tmp_path / "w", origin=ORIGIN) as workspace:
        workspace.parties.add_account("acme", "Acme")  # as far as it came
        with pytest.raises(ConflictError):
            workspace.people.add_account("acme", "Other", region="DE")
        workspace.people.add_account("acme", "Acme", region="DE")
        assert [region for _, region in workspace.history().regions("account:acme")] == ["DE"]
        with pytest.raises(ConflictError):
            workspace.people.add_account("acme", "Acme", region="FR")


@pytest.mark.parametrize("command", ["status", "owed", "key"])
def test_a_command_that_reads_leaves_a_ledger_of_an_earlier_version_as_it_is(tmp_path, command, capsys):
    Workspace.create(tmp_path / "w", origin=ORIGIN).close()
    with closing(sqlite3.connect(tmp_path / "w" / "ledger.db")) as connection:
        connection.execute("PRAGMA user_version = 2")
    before = (tmp_path / "w" / "ledger.db").read_bytes()
    assert main([command, "--workspace", str(tmp_path / "w")]) == codes.BACKEND.code
    assert "earlier version" in capsys.readouterr().err
    assert (tmp_path / "w" / "ledger.db").read_bytes() == before
