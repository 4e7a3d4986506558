"""Nobody but the user of a workspace can read what lies in it."""

import os
import stat
from datetime import UTC, datetime

import pytest

from volition.cli import main
from volition.errors import BackendError
from volition.workspace import Workspace

CHAT = b"WEBVTT\n\n00:01.000 --> 00:04.000\nAda Byron: The launch moves to Friday.\n"


@pytest.fixture(autouse=True)
def loose():
    """Begin as most shells do: what a process makes, everybody can read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder):
    return {path.relative_to(folder): stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}


def make(folder):
    (folder.parent / "standup.vtt").write_bytes(CHAT)
    with Workspace.create(folder, origin="log.example/private") as workspace:
        workspace.people.add_account("acme", "Acme Ltd", region="US")
        workspace.people.add_person("ada", account="acme", name="Ada Byron")
        workspace.terms.accept("acme")
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["train/search"], covers="past")
        started = datetime(2025, 6, 2, 9, tzinfo=UTC)
        workspace.records.collect_webvtt(folder.parent / "standup.vtt", account="acme", started=started)
        workspace.snapshots.create("train/search")
    return folder


def test_every_file_and_folder_of_a_workspace_is_its_users_alone(tmp_path):
    found = modes(make(tmp_path / "workspace"))
    assert {path.suffix for path in found} >= {".db", ".parquet", ".key", ".toml"}
    assert {path for path, mode in found.items() if mode & 0o077} == set()


def test_an_earlier_workspace_is_closed_to_others_when_it_is_opened(tmp_path):
    folder = make(tmp_path / "workspace")
    for path in (folder, *folder.rglob("*")):
        if path.suffix != ".key":
            path.chmod(0o755 if path.is_dir() else 0o644)
    Workspace.open(folder).close()
    found = modes(folder)
    assert found[folder.relative_to(folder)] == 0o700
    inside = {path: mode for path, mode in found.items() if path.suffix in {".db", ".parquet"} or mode & 0o111}
    assert len(inside) > 5
    assert {path for path, mode in inside.items() if mode & 0o077} == set()


def test_a_key_that_others_could_read_is_refused_and_not_tidied_up(tmp_path):
    folder = make(tmp_path / "workspace")
    folder.chmod(0o755)
    (folder / "signing.key").chmod(0o644)
    with pytest.raises(BackendError, match="assume that they have read it"):
        Workspace.open(folder)


def test_what_is_published_can_be_read_by_all(tmp_path):
    folder = make(tmp_path / "workspace")
    assert main(["log", "export", str(tmp_path / "www"), "--without-entries", "--workspace", str(folder)]) == 0
    assert {mode & 0o044 for mode in modes(tmp_path / "www").values()} == {0o044}
    assert main(["log", "export", str(tmp_path / "own"), "--workspace", str(folder)]) == 0
    assert {mode & 0o077 for mode in modes(tmp_path / "own").values()} == {0}
