"""Permits as a table, at the command line: written, kept current until it is stopped, and read through its condition."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from volition.cli import main
from volition.workspace import Workspace

pytest.importorskip("sqlglot")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    with Workspace.create(tmp_path / "ws", origin="log.example/permits") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme", "granular")
        for person in ("ada", "bo"):
            workspace.people.add_person(person, account="acme", name=person.title())
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["train"], covers="past")
    monkeypatch.setenv("VOLITION_WORKSPACE", str(tmp_path / "ws"))
    return tmp_path


@pytest.fixture
def volition(folder, capsys):
    def call(*arguments):
        capsys.readouterr()
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


SQL = (
    *("permits", "sql", "--dialect", "sqlite", "--purpose", "train/search", "--category", "content/chat"),
    *("--account", "acme", "--person-column", "who", "--time-column", "at", "--time-unit", "s", "--rows", "m"),
)


def let_through(folder, where):
    with closing(sqlite3.connect(folder / "p.db")) as connection:
        connection.execute("CREATE TEMP TABLE m AS SELECT 'ada' AS who, 1 AS at UNION ALL SELECT 'bo', 1")
        return [who for (who,) in connection.execute(f"SELECT who FROM m WHERE {where}")]  # noqa: S608 - the command's own


def test_what_is_exported_is_read_through_what_is_printed(folder, volition):
    code, told = volition(*SQL)
    assert code == 0
    code, exported = volition("permits", "export", "--to", f"sqlite:{folder / 'p.db'}", "--ids", "--good-for", "10")
    assert (code, exported["followed"]) == (0, False)
    assert exported["as_of_entry"] >= 0
    assert let_through(folder, told["sql"]) == ["ada"]


@pytest.mark.parametrize(
    "change",
    [("--good-for", "60"), ("--to", "postgresql//x"), ("--purpose", "learn"), ("--account", "nobody")],
    ids=str,
)
def test_what_cannot_be_exported_is_refused(volition, folder, change):
    code, told = volition("permits", "export", "--to", f"parquet:{folder / 'p'}", *change)
    assert (code, told["error"]["kind"]) == (2, "invalid-input")
    assert not (folder / "p").exists()


@pytest.mark.parametrize(
    "more",
    [("--people-column", "all"), ("--account-column", "org"), ("--time-unit", "days"), ("--as", "view")],
    ids=str,
)
def test_what_has_no_meaning_is_refused(volition, more):
    code, told = volition(*SQL, *more)
    assert (code, told["error"]["kind"]) == (2, "invalid-input")


@pytest.mark.slow
def test_a_table_that_is_kept_current_is_shut_when_that_is_stopped(folder, volition):
    where = volition(*SQL)[1]["sql"]
    command = [
        sys.executable,
        "-m",
        "volition",
        "permits",
        "export",
        "--to",
        f"sqlite:{folder / 'p.db'}",
        "--ids",
        "--follow",
    ]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "kept current" in process.stderr.readline()
        assert let_through(folder, where) == ["ada"]
        process.send_signal(signal.SIGTERM)
        told = json.loads(process.stdout.read())
    assert (process.returncode, told["followed"]) == (0, True)
    assert let_through(folder, where) == []
