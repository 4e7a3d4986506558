"""Prose by a real model behind a real HTTP API: what it invents is marked, and without it the quotes stand alone."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

import smollm_server
from volition import Workspace

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
    if (name := smollm_server.missing()) is not None:
        pytest.skip(f"{name} is not installed, so prose by a real model is not tested: {smollm_server.INSTALL}")
    process = subprocess.Popen(
        [sys.executable, smollm_server.__file__],
        stdout=subprocess.PIPE,
        text=True,
        env={"OPENBLAS_NUM_THREADS": "1"},  # a row times a matrix is no work for two
    )
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "frames.vtt").write_text(TRANSCRIPT)
    with Workspace.create(tmp_path / "workspace") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme")
        for person, name in (("ann", "Ann Lee"), ("bob", "Bob Ray")):
            workspace.people.add_person(person, account="acme", name=name)
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["feature/summary"], covers="past")
        workspace.records.collect_webvtt(
            tmp_path / "frames.vtt", account="acme", started=datetime(2025, 6, 2, 9, tzinfo=UTC)
        )
    return tmp_path / "workspace"


@pytest.mark.slow
def test_a_real_model_tells_a_meeting_and_is_believed_only_where_the_quotes_carry_it(workspace, served):
    url, process = served
    settings = workspace / "volition.toml"
    settings.write_text(f'{settings.read_text()}\n[endpoint]\nurl = "{url}"\nmodel = "{smollm_server.MODEL}"\n')

    with Workspace.open(workspace) as opened:
        summary = opened.features.summarize("frames", person="ann")
        told = opened.features.prose(summary, person="ann")
        process.kill()
        process.wait()
        alone = opened.features.prose(summary, person="ann")

    assert told.sentences
    assert smollm_server.MODEL in told.note
    for sentence in told.sentences:
        if sentence.unsupported is None:
            cited = " ".join(summary.moments[number - 1].quote for number in sentence.cites).casefold()
            assert sum(word in cited for word in sentence.text.casefold().rstrip(".").split()) >= 2
    # It is asked to cite at the end of each sentence, and is too small to do so.
    assert any(sentence.unsupported for sentence in told.sentences)

    assert alone.sentences == ()
    assert alone.note.startswith("In quotes alone")
    assert [moment.speaker for moment in summary.moments] == ["Ann Lee", "Bob Ray", "Ann Lee"]
