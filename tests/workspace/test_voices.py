"""Lines of a mixed track grouped by voice: on request, under the gate, all or nothing, and nothing of a voice kept."""

from datetime import UTC, datetime
from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("av", reason="recordings need the extra speech, which is not installed")

from tones import Pitches, Tones, said, write_wav
from volition.errors import BackendError
from volition.records.ingest import voices
from volition.workspace import Workspace

STARTED = datetime(2025, 7, 1, 9, tzinfo=UTC)
WORDS = ("yes", "later", "yes", "no", "later")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices") / "w"
    with Workspace.create(folder, origin="log.example/voices", profile="2023-08-11") as made:
        made.people.add_account("acme", "Acme")
        made.terms.accept("acme")
        made.people.add_person("ada", account="acme", name="Ada Byron")
        made.consent.decide("account:acme", yes=True, covers="past", data=["content"], purpose=["feature"])
        yield made


def collect(workspace, folder, name, *, encoder=None, words=WORDS, **options):
    path = write_wav(folder / f"{name}.wav", said(*words))
    given = {"account": "acme", "started": STARTED, "recogniser": Tones(), "participants": ["Ada Byron"]} | options
    return workspace.recordings.collect(path, group_voices=encoder is not None, voice_encoder=encoder, **given)


def grouped(workspace, name):
    return sorted(workspace.recordings.voices(name, person="ada").values())


def test_lines_are_grouped_only_where_it_is_asked_for_and_once(workspace, tmp_path):
    collect(workspace, tmp_path, "plain")
    assert grouped(workspace, "plain") == []
    encoder = Pitches()

    collect(workspace, tmp_path, "plain", encoder=encoder)  # what was transcribed is not transcribed again
    assert grouped(workspace, "plain") == [1, 1, 2, 2], "a line like no other is in no group"
    collect(workspace, tmp_path, "plain", encoder=encoder)

    assert encoder.heard == len(WORDS)


def test_a_track_of_a_known_person_is_not_compared(workspace, tmp_path):
    encoder = Pitches()

    collect(workspace, tmp_path, "own", encoder=encoder, tracks={"own.wav": "Ada Byron"})

    assert encoder.heard == 0


def test_a_no_in_the_middle_leaves_nothing_grouped(workspace, tmp_path):
    class Interrupted(Pitches):
        def encode(self, lines):
            answer(workspace, yes=False)
            return super().encode(lines)

    collected = collect(workspace, tmp_path, "refused", encoder=Interrupted())
    answer(workspace, yes=True)

    assert "refused.wav: not grouped by voice: " in collected.notes[-1]
    assert grouped(workspace, "refused") == []


def answer(workspace, *, yes):
    covers = "past" if yes else None
    workspace.consent.decide("account:acme", yes=yes, covers=covers, data=["content"], purpose=["feature"])


def test_without_the_weights_nothing_is_begun(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(voices, "find_spec", lambda _: None)
    path = write_wav(tmp_path / "late.wav", said("yes"))

    with pytest.raises(BackendError, match=r"pip install --no-deps resemblyzer==0\.1\.4"):
        workspace.recordings.collect(path, account="acme", started=STARTED, recogniser=Tones(), group_voices=True)

    assert workspace.recordings.voices("late", person="ada") == {}


@pytest.mark.parametrize(
    ("vectors", "groups"),
    [
        ([], []),
        ([None, None], [None, None]),
        ([(1, 0)], [None]),
        ([(1, 0), (0, 1), (1, 0), None, (0, 1)], [1, 2, 1, None, 2]),
        ([(1, 0), (0.8, 0.6), (1, 0)], [1, None, 1]),  # alike, and not alike enough
    ],
)
def test_lines_stand_with_those_that_they_are_surely_like(vectors, groups):
    given = [None if one is None else np.array(one, np.float32) for one in vectors]
    assert voices.group_voices(given) == groups


@pytest.mark.skipif(find_spec("resemblyzer") is None, reason="needs the weights for grouping voices: make extras")
def test_the_encoder_reads_its_weights_as_they_were_published():
    encoder = voices.find_voice_encoder()
    at = np.arange(2 * voices.RATE) / voices.RATE
    low, high = (np.sin(2 * np.pi * hertz * at).astype(np.float32) * 0.3 for hertz in (200, 1000))

    first, again, other, short = encoder.encode([low, low, high, low[: voices.RATE]])

    assert short is None
    assert first @ again == pytest.approx(1)
    assert first @ other < voices.ALIKE
