"""Locks have patience: who holds one for too long is named, and nobody waits for ever."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from starlette.testclient import TestClient

from volition.cli import codes, main
from volition.errors import BusyError, ConflictError
from volition.files import holder_of, turn, write_file
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.workspace import Workspace

HOLD_TURN = """
import os, signal, sys
from pathlib import Path
from volition.files import turn
with turn(Path(sys.argv[1])):
    print("held", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""
HOLD_DATABASE = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""
TEXT = "WEBVTT\n\n00:01.000 --> 00:04.000\nAda Byron: The launch moves to Friday.\n"


@pytest.fixture
def hold():
    """Start processes that hold a lock and are then stopped."""
    started = []

    def start(script, path):
        process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def hasty(monkeypatch):
    """Let nobody wait for long."""
    monkeypatch.setattr("volition.files.PATIENCE_S", 0.05)


@pytest.fixture
def workspace_folder(tmp_path):
    """Make a workspace with one account."""
    with Workspace.create(tmp_path / "w") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_person("ada", account="acme", name="Ada Byron")
        workspace.terms.accept("acme")
        assert sum(workspace.status()["records"].values()) == 0  # which makes the lake
    return tmp_path / "w"


@pytest.mark.usefixtures("hasty")
def test_whoever_holds_a_turn_for_too_long_is_named_with_its_command(tmp_path, hold):
    holder = hold(HOLD_TURN, tmp_path)
    with pytest.raises(BusyError, match=rf"held by pid {holder.pid} \(.*python.*which is stopped.*kill -CONT"):
        write_file(tmp_path / "f", b"x")
    assert not any(tmp_path.iterdir())
    holder.kill()
    holder.wait()
    write_file(tmp_path / "f", b"x")  # whoever is killed holds nothing


@pytest.mark.usefixtures("hasty")
def test_another_thread_that_holds_a_turn_is_named_as_such(tmp_path):
    held, release = threading.Event(), threading.Event()

    def work():
        with turn(tmp_path):
            held.set()
            release.wait()

    thread = threading.Thread(target=work)
    thread.start()
    held.wait()
    try:
        with pytest.raises(BusyError, match=f"another thread of this process .pid {os.getpid()}"), turn(tmp_path):
            pass
    finally:
        release.set()
        thread.join()


def test_a_turn_that_comes_free_in_time_is_taken(tmp_path, hold):
    holder = hold(HOLD_TURN, tmp_path)
    os.kill(holder.pid, signal.SIGCONT)
    with turn(tmp_path):
        pass
    assert holder_of(tmp_path) == "another process"  # nobody's


@pytest.mark.usefixtures("hasty")
def test_a_command_that_finds_the_lake_held_ends_as_busy_and_says_who_holds_it(
    workspace_folder, tmp_path, hold, capsys
):
    holder = hold(HOLD_TURN, workspace_folder / "lake")
    (tmp_path / "m.vtt").write_text(TEXT)
    line = f"collect webvtt {tmp_path / 'm.vtt'} --account acme --started 2025-06-02T09:00:00Z"
    code = main([*line.split(), "--workspace", str(workspace_folder)])
    assert code == codes.CONFLICT.code
    assert f"pid {holder.pid}" in capsys.readouterr().err
    assert main(["status", "--workspace", str(workspace_folder)]) == 0  # reading waits for nobody


def test_a_database_that_is_held_says_who_holds_it(workspace_folder, hold, monkeypatch):
    monkeypatch.setattr("volition.consent.parties.database._PATIENCE_S", 0.05)
    with Workspace.open(workspace_folder) as workspace:
        holder = hold(HOLD_DATABASE, workspace_folder / "parties.db")
        with pytest.raises(BusyError, match=f"parties.db is held by pid {holder.pid} "):
            workspace.people.add_person("bob", account="acme", name="Bob")
        assert [person.id for person in workspace.parties.people()] == ["ada"]


def test_the_server_answers_503_while_a_database_is_held_and_goes_on(workspace_folder, hold, monkeypatch):
    monkeypatch.setattr("volition.consent.parties.database._PATIENCE_S", 0.05)
    server = Server(workspace_folder)
    try:
        server.access.users.add("op", roles=[Role.OPERATOR])
        _, secret = server.access.tokens.issue("op", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
        client = TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})
        holder = hold(HOLD_DATABASE, workspace_folder / "parties.db")
        person = {"person": "bob", "account": "acme", "name": "Bob"}
        answer = client.post("/v1/people", json=person)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:volition:problem:busy")
        assert f"pid {holder.pid}" in answer.json()["detail"]
        holder.kill()
        holder.wait()
        assert client.post("/v1/people", json=person).status_code in {200, 201}
    finally:
        server.close()


def test_busy_is_a_conflict_to_those_who_know_no_better():
    with pytest.raises(ConflictError):
        raise BusyError("held")
