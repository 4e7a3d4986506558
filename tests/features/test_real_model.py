"""A real model, SmolLM2 behind a real llama.cpp server: what it invents is marked in prose, and in no summary."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

import llama_server
from volition import Workspace
from volition.features.written.checking import why_not
from volition.features.written.claims import Line, WritingState

TRANSCRIPT = """WEBVTT

00:01.000 --> 00:05.000
Ann Lee: We decided that the new battery has to last for nine hours.

00:06.000 --> 00:09.000
Bob Ray: The museum does not pay for the lamps, so our budget must cover them.

00:10.000 --> 00:14.000
Ann Lee: I will send the drawings of the oak frame to the museum by Friday.
"""


@pytest.fixture
def served():
    """Start the model's server as a process of its own, and give its address and the process."""
    if (name := llama_server.missing()) is not None:
        pytest.skip(f"{name} is not installed, so nothing by a real model is tested: {llama_server.INSTALL}")
    process = subprocess.Popen(
        [sys.executable, llama_server.__file__], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def folder(tmp_path, served):
    """Return a workspace with a meeting, whose end point is the served model."""
    (tmp_path / "frames.vtt").write_text(TRANSCRIPT)
    folder = tmp_path / "workspace"
    with Workspace.create(folder) as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme")
        for person, name in (("ann", "Ann Lee"), ("bob", "Bob Ray")):
            workspace.people.add_person(person, account="acme", name=name)
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["feature/summary"], covers="past")
        started = datetime(2025, 6, 2, 9, tzinfo=UTC)
        workspace.records.collect_webvtt(tmp_path / "frames.vtt", account="acme", started=started)
    settings, (url, _) = folder / "volition.toml", served
    endpoint = f'[endpoint]\nurl = "{url}"\nmodel = "{llama_server.MODEL}"\ncontext_tokens = 1024\ntimeout_s = 600\n'
    settings.write_text(f"{settings.read_text()}\n{endpoint}")
    return folder


@pytest.mark.slow
def test_prose_is_believed_only_where_the_quotes_carry_it_and_without_the_model_they_stand_alone(folder, served):
    _, process = served
    with Workspace.open(folder) as workspace:
        summary = workspace.features.summarize("frames", person="ann")
        told = workspace.features.prose(summary, person="ann")
        process.kill()
        process.wait()
        alone = workspace.features.prose(summary, person="ann")

    assert told.sentences
    assert llama_server.MODEL in told.note
    for sentence in told.sentences:
        if sentence.unsupported is None:
            cited = " ".join(summary.moments[number - 1].quote for number in sentence.cites).casefold()
            assert sum(word in cited for word in sentence.text.casefold().rstrip(".").split()) >= 2
    # It is asked to cite at the end of each sentence, and is too small to do so.
    assert any(sentence.unsupported for sentence in told.sentences)

    assert alone.sentences == ()
    assert alone.note.startswith("In quotes alone")
    assert [moment.speaker for moment in summary.moments] == ["Ann Lee", "Bob Ray", "Ann Lee"]


@pytest.mark.slow
def test_a_real_model_answers_in_the_schemas_form_and_is_told_only_where_the_lines_carry_it(folder):
    with Workspace.open(folder) as workspace:
        now = workspace.summaries.write("frames", person="ann")
        turns = {row.record_id: row.payload for row in _segments(workspace)}

    assert now.state is WritingState.DONE
    assert now.unread == 0, "the server keeps to the schema"
    assert now.claims or now.left_out, "it says something"
    for claim in now.claims:
        cited = [
            Line(number=1, record_id="", turn=0, start_ms=0, speaker=turns[one]["speaker"], text=turns[one]["text"])
            for one in (place.record_id for place in claim.places)
        ]
        assert why_not(claim.text, cited, kind=claim.kind, who=claim.who, due=claim.due) is None


def _segments(workspace):
    asking = workspace.features.asking_for_summary("ann")
    return asking.lake.rows(asking.permits, categories=["content/transcript"], accounts=["acme"])
