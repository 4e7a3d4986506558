"""Who looked, at the command line: what a command shows of somebody is written down before it is printed."""

import getpass
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import typer

from volition.canonical import now_us
from volition.cli import app, main
from volition.records.audience import ConversationKind
from volition.transparency.access_log import READINGS
from volition.transparency.usage import DAY_US
from volition.workspace import Workspace

VTT = """WEBVTT

00:01.000 --> 00:04.000
Ada Byron: The launch moves to Friday.
"""

SHOWS_NOBODY = """
account.accept account.add account.recordings audit backup base collect.file collect.otlp collect.recording collect.slack collect.summaries
collect.table collect.webvtt collect.zoom-chat compact complete consume.kafka consume.nats decide demo doctor draft edit erase exclude families gate go-on
import.accounts import.consents import.people include index init key limit lineage log.witness mail.status mail.test may mlflow.alias mlflow.attach mlflow.sync
opened permits.sql person.add person.alias person.leave person.merge person.move person.rename publish.model release replies
restore retrain rewrite runs serve settings.check share snapshot snapshot-table status summary.list summary.send terms.deliveries
terms.diff terms.list terms.names terms.publish terms.show token.end token.issue token.list train unshare user.add
user.link user.password user.remove user.reset user.unlink verify witness worker
"""
"""Commands that print nobody's data but what was typed in, with what models must forget for it (`cli.owed`)."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    with Workspace.create(tmp_path / "ws", origin="log.example/looked") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme", "granular")
        workspace.people.add_person("ada", account="acme", name="Ada Byron")
        workspace.people.add_person("bo", account="acme", name="Bo Berg")
        meeting = tmp_path / "kickoff.vtt"
        meeting.write_text(VTT)
        workspace.records.collect_webvtt(meeting, account="acme", started=datetime(2024, 11, 3, 9, tzinfo=UTC))
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["feature"], covers="past")
        workspace.audiences.share("kickoff", kind=ConversationKind.MEETING, account="acme", with_account=True)
    monkeypatch.setenv("VOLITION_WORKSPACE", str(tmp_path / "ws"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ws"


@pytest.fixture
def volition(folder, capsys):
    def call(*arguments):
        capsys.readouterr()
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def looked(folder, person="ada"):
    with Workspace.open(folder) as workspace:
        return workspace.accesses.of(person)


def commands(group, prefix=""):
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", one


def test_every_command_shows_nobody_or_says_whose_data_it_shows():
    declared = {name: one.callback.reads for name, one in commands(typer.main.get_group(app))}
    shown = {name for name, reads in declared.items() if reads is not None}
    assert {reads for reads in declared.values() if reads is not None} <= set(READINGS)
    assert set(declared) - shown == set(SHOWS_NOBODY.split())
    assert len(shown) > 10


@pytest.mark.parametrize(
    ("arguments", "reading"),
    [
        (("person", "list"), "people"),
        (("person", "show", "ada"), "person"),
        (("export", "ada", "out.zip"), "export"),
        (("requests", "ada"), "requests"),
        (("prove", "--person", "ada"), "proofs"),
        (("prove",), "entries"),
        (("accesses", "ada"), "accesses"),
        (("weigh", "--party", "person:ada"), "weigh"),
        (("permits", "export", "--to", "parquet:out"), "permits"),
        pytest.param(("search", "launch", "--as", "bo"), "feature", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_what_a_command_shows_of_somebody_is_written_down(folder, volition, arguments, reading):
    code, _ = volition(*arguments)
    assert code == 0
    found = [one for one in looked(folder) if one.number is not None]
    assert [(one.who, one.role, one.reading) for one in found] == [(getpass.getuser(), "command line", reading)]


def test_a_training_set_that_is_handed_on_is_written_down_for_each_account_in_it(folder, volition):
    with Workspace.open(folder) as workspace:
        frozen = workspace.snapshots.create("train/search")
        rows = frozen.manifest["accounts"]
    code, _ = volition("publish", "snapshot", frozen.id, "handed-on")
    assert code == 0
    found = [(one.reading, one.whose, one.records) for one in looked(folder) if one.number is not None]
    assert found == [("snapshot", f"account:{account}", total) for account, total in rows.items()]


def test_a_line_is_proved_and_verified_by_commands_alone(folder, volition):
    volition("export", "ada")
    code, told = volition("accesses", "ada")
    assert (code, told["accesses"][0]["line"]) == (0, None)
    with Workspace.open(folder, clock=lambda: now_us() + DAY_US) as workspace:
        workspace.accesses.close_days()
        key = workspace.verifier.to_text()
    _, told = volition("accesses", "ada")
    line = next(one["line"] for one in told["accesses"] if one["for"] == "export")
    code, told = volition("accesses", "ada", "--proof", line)
    assert (code, told["file"]) == (0, f"access-{line}.json")
    file, pseudonym = told["file"], volition("person", "show", "ada")[1]["identities"][0]["pseudonym"]
    code, told = volition("verify", file, "--key", key)
    assert (code, told["holds"]) == (0, True)
    [check] = told["checks"]
    assert check["name"] == "who looked"
    assert "(export) of person:" in check["detail"]
    assert "that nobody else looked" in told["claimed"][0]
    assert volition("verify", file, "--key", key, "--person", pseudonym)[0] == 0
    assert volition("verify", file, "--key", key, "--person", "0" * 32)[0] == 4
    for misspelt in (pseudonym.upper(), f" {pseudonym}", pseudonym[:-1], "ada"):
        assert volition("verify", file, "--key", key, "--person", misspelt)[0] == 2, misspelt


KILLED = """
import os, signal, sys
from volition.cli import main, output
output.show = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # the moment before anything is printed
main(["person", "show", "ada", "--workspace", sys.argv[1]])
"""


@pytest.mark.slow
def test_a_command_that_is_killed_before_it_printed_has_written_its_line(folder):
    done = subprocess.run([sys.executable, "-c", KILLED, folder], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
    assert [one.reading for one in looked(folder)] == ["person"]
