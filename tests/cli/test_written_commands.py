"""Written summaries and kept recordings at the command line."""

import json
from datetime import UTC, datetime

import pytest

from lying_model import claim, model, told
from volition.cli import main
from volition.workspace import Workspace

VTT = """WEBVTT

00:01.000 --> 00:04.000
Ada Byron: The launch moves to Friday.

00:05.000 --> 00:09.000
Bo Berg: Then the brochure must be ready on Thursday.
"""
SAYS = (
    claim("overview", "The launch moves to Friday.", 1),
    claim("task", "The brochure must be ready", 2, who="Bo Berg", due="on Thursday"),
    claim("decision", "The launch moves to Monday.", 1),
)


@pytest.fixture
def says(tmp_path, monkeypatch):
    """A workspace with a meeting, and a model that says what is in the list; it tells what it was asked."""
    with Workspace.create(tmp_path / "ws", origin="log.example/written") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme", "granular")
        for person, name in (("ada", "Ada Byron"), ("bo", "Bo Berg"), ("di", "Di Dorn")):
            workspace.people.add_person(person, account="acme", name=name)
        (tmp_path / "kickoff.vtt").write_text(VTT)
        workspace.records.collect_webvtt(
            tmp_path / "kickoff.vtt", account="acme", started=datetime(2024, 11, 3, 9, tzinfo=UTC)
        )
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["feature"], covers="past")
    monkeypatch.setenv("VOLITION_WORKSPACE", str(tmp_path / "ws"))
    with model(lambda _: says()) as (url, asked):
        with (tmp_path / "ws" / "volition.toml").open("a") as settings:
            settings.write(f'\n[endpoint]\nurl = "{url}"\nmodel = "liar"\n')

        def says():
            return says.answer

        says.answer, says.asked = told(*SAYS), asked
        yield says


@pytest.fixture
def volition(says, capsys):
    def call(*arguments):
        capsys.readouterr()
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


@pytest.mark.slow
def test_a_summary_is_written_shown_corrected_and_sent(says, volition, capsys):
    code, shown = volition("summarize", "kickoff", "--as", "ada", "--written")
    assert code == 0
    [own] = shown["written"]
    assert [one["text"] for one in own["claims"]] == [one["text"] for one in SAYS[:2]]
    written = len(says.asked)

    first, second = (one["id"] for one in own["claims"])
    change = ("summary", "correct", "kickoff")
    assert volition(*change, "strike", "--claim", second, "--as", "ada")[0] == 0
    assert volition(*change, "put-back", "--claim", second, "--as", "ada")[0] == 0
    assert volition(*change, "add", "--kind", "question", "--text", "Who prints it?", "--as", "ada")[0] == 0
    code, shown = volition(*change, "reword", "--claim", first, "--text", "It is Friday.", "--as", "ada")
    texts = ["It is Friday.", "The brochure must be ready", "Who prints it?"]
    assert [one["text"] for one in shown["written"][0]["claims"]] == texts

    assert volition("summary", "list", "--as", "di")[1]["summaries"] == []
    assert volition("summary", "send", "kickoff", "--to", "di", "--as", "ada")[1]["entry"] is not None
    [received] = volition("summarize", "kickoff", "--as", "di", "--written")[1]["written"]
    assert (received["own"], [one["text"] for one in received["claims"]]) == (False, texts)
    assert [one["own"] for one in volition("summary", "list", "--as", "di")[1]["summaries"]] == [False]
    assert len(says.asked) == written, "what is there is shown, and nothing is sent for it"

    capsys.readouterr()
    assert main(["summarize", "kickoff", "--as", "ada", "--written"]) == 0
    out = capsys.readouterr().out
    for part in ("It is Friday.", "(Bo Berg, on Thursday)", "0:05", "a person's words", "Sent to Di Dorn."):
        assert part in out
    volition("summarize", "kickoff", "--as", "ada", "--written", "--again")
    assert len(says.asked) > written
    assert volition("summary", "send", "kickoff", "--to", "di", "--as", "ada", "--take-back")[0] == 0
    assert volition("summary", "list", "--as", "di")[1]["summaries"] == []


def test_what_the_host_cannot_do_is_said_and_gone_on_with(says, volition):
    says.answer = (404, b"nothing here")
    code, shown = volition("summarize", "kickoff", "--as", "ada", "--written")
    assert code != 0
    assert "404" in shown["error"]["message"]
    assert [one["state"] for one in volition("summary", "list", "--as", "ada")[1]["summaries"]] == ["failed"]
    says.answer = told(*SAYS)
    [own] = volition("summarize", "kickoff", "--as", "ada", "--written")[1]["written"]
    assert own["state"] == "done"


def test_nobody_else_has_one_written_or_changes_it(says, volition):
    assert volition("summarize", "kickoff", "--as", "di", "--written")[0] == 3
    assert volition("summary", "correct", "kickoff", "strike", "--claim", "0-0", "--as", "bo")[0] == 2
    assert volition("summary", "send", "kickoff", "--to", "di", "--as", "bo")[0] == 2
    assert volition("summarize", "kickoff", "--as", "ada", "--again")[0] == 2
    assert len(says.asked) == 0


def test_an_account_says_whether_its_recordings_are_kept(volition):
    assert volition("account", "recordings", "acme") == (0, {"account": "acme", "keep": False})
    assert volition("account", "recordings", "acme", "--keep") == (0, {"account": "acme", "keep": True})
    assert volition("account", "recordings", "acme") == (0, {"account": "acme", "keep": True})
    assert volition("account", "recordings", "acme", "--no-keep")[1]["keep"] is False
    assert volition("account", "recordings", "nobody")[0] == 2
