"""Recordings: each track transcribed under its own people's permits, resumed, kept only where the account says so."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("av", reason="recordings need the extra speech, which is not installed")

from tones import Tones, said, silence, write_wav
from volition.cli import main
from volition.consent.gate import Participant
from volition.errors import InvalidInputError
from volition.features.conversations import ConversationKind
from volition.workspace import Workspace

STARTED = datetime(2024, 11, 3, 9, tzinfo=UTC)
AUDIO = ("content/audio", "content/video")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make the workspace once; each test has a copy."""
    folder = tmp_path_factory.mktemp("recordings") / "w"
    with Workspace.create(folder, origin="log.example/recordings") as made:
        made.people.add_account("acme", "Acme")
        made.terms.accept("acme", "granular")
        allow(made, "account:acme")
        for person, name in (("ada", "Ada Byron"), ("bo", "Bo Berg")):
            made.people.add_person(person, account="acme", name=name)
    return folder


@pytest.fixture
def workspace(template, tmp_path):
    with Workspace.open(shutil.copytree(template, tmp_path / "w")) as opened:
        yield opened


def allow(workspace, party, *, yes=True, purpose=("feature",)):
    workspace.consent.decide(party, yes=yes, covers="past" if yes else None, data=["content"], purpose=list(purpose))


@pytest.fixture
def folder(tmp_path):
    """One file a person, as platforms write it."""
    made = tmp_path / "standup"
    made.mkdir()
    write_wav(made / "Ada Byron.wav", said("yes", 2.0, "later"))
    write_wav(made / "Bo Berg.wav", said(1.0, "no"))
    return made


def collect(workspace, path, **options):
    given = {"account": "acme", "started": STARTED, "recogniser": Tones()} | options
    return workspace.recordings.collect(path, **given)


def lines(workspace, meeting="standup", person="ada"):
    found = workspace.features.conversations(ConversationKind.MEETING, person=person, name=meeting)
    return [(line.speaker, line.text) for one in found for line in one.lines]


def sounds(workspace):
    permits = workspace.gate.permits("feature/transcribe")
    rows = workspace._opened.lake.rows(permits, categories=AUDIO)
    return {row.payload["track"]: row for row in rows if row.payload["kind"] == "piece" and "sound" in row.payload}


def test_each_track_is_its_speakers_and_the_transcript_runs_in_the_order_of_speaking(workspace, folder):
    collected = collect(workspace, folder)

    assert collected.notes == []
    assert lines(workspace) == [("Ada Byron", "yes"), ("Bo Berg", "no"), ("Ada Byron", "later")]
    assert workspace.records.sizes()["content/audio"] == 4, "two tracks, and a piece of each"


def test_a_track_whose_speaker_said_no_is_not_even_listened_to(workspace, folder):
    allow(workspace, "person:bo", yes=False, purpose=["feature/transcribe"])
    tones = Tones()

    collected = collect(workspace, folder, recogniser=tones)

    assert lines(workspace) == [("Ada Byron", "yes"), ("Ada Byron", "later")]
    assert len(tones.heard_s) == 1
    assert collected.notes == ["Bo Berg.wav: not transcribed: somebody concerned said no."]


def test_without_the_accounts_yes_nothing_is_transcribed_and_no_recogniser_is_needed(workspace, folder):
    allow(workspace, "account:acme", yes=False)

    collected = collect(workspace, folder, recogniser=None)

    assert lines(workspace) == []
    assert all("not transcribed" in note for note in collected.notes)


def test_what_was_said_before_the_yes_is_not_covered_by_it(workspace, folder):
    allow(workspace, "account:acme", yes=False)
    workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["feature"])

    collected = collect(workspace, folder)

    assert lines(workspace) == []
    assert "it was recorded before transcription was allowed" in collected.notes[0]


def test_a_no_in_the_middle_is_heard_at_once(workspace, tmp_path):
    path = write_wav(tmp_path / "long.wav", said("yes", 58.0, "no", 60.0, "agreed"))

    class Interrupted(Tones):
        def listen(self, samples, *, language):
            heard = super().listen(samples, language=language)
            if len(self.heard_s) == 1:
                allow(workspace, "person:ada", yes=False, purpose=["feature/transcribe"])
            return heard

    interrupted = Interrupted()
    collected = collect(workspace, path, tracks={"long.wav": "Ada Byron"}, recogniser=interrupted)

    assert lines(workspace, "long") == [], "not even what was listened to when it came"
    assert len(interrupted.heard_s) == 1
    assert "long.wav: not transcribed: somebody concerned said no." in collected.notes


def test_collected_again_it_is_stored_once_and_not_listened_to_again(workspace, folder):
    collect(workspace, folder)
    tones = Tones()

    again = collect(workspace, folder, recogniser=tones)

    assert (again.stored, again.known, tones.heard_s) == (0, 2, [])
    assert len(lines(workspace)) == 3


def test_interrupted_it_goes_on_with_the_next_piece(workspace, tmp_path):
    path = write_wav(tmp_path / "long.wav", said("yes", 58.0, "no", 60.0, "agreed"))

    class Killed(Tones):
        def listen(self, samples, *, language):
            if len(self.heard_s) == 1:
                raise KeyboardInterrupt
            return super().listen(samples, language=language)

    with pytest.raises(KeyboardInterrupt):
        collect(workspace, path, tracks={"long.wav": "Ada Byron"}, recogniser=Killed())
    tones, told = Tones(), []
    collect(
        workspace,
        path,
        tracks={"long.wav": "Ada Byron"},
        recogniser=tones,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )

    assert [text for _, text in lines(workspace, "long")] == ["yes", "no", "agreed"]
    assert len(tones.heard_s) == 2, "the first piece was done"
    assert told[0] == ("transcribing long.wav", 0, 122)
    assert told[-1][1:] == (122, 122)


def test_on_one_mixed_track_nobody_is_told_apart_and_nothing_that_needs_a_yes_is_done(workspace, tmp_path):
    path = write_wav(tmp_path / "call.wav", said("yes", "no"))

    collected = collect(workspace, path, participants=["Ada Byron", "Bo Berg"])

    assert lines(workspace, "call") == []
    assert "it is not known whose voice it is" in collected.notes[0]


def test_a_channel_a_person_is_a_track_each(workspace, tmp_path):
    path = write_wav(tmp_path / "call.wav", said("yes"), said(1.0, "no"))

    collect(workspace, path, tracks={"call.wav:1": "Ada Byron", "call.wav:2": "Bo Berg"})

    assert lines(workspace, "call") == [("Ada Byron", "yes"), ("Bo Berg", "no")]


def test_the_platforms_transcript_beside_it_says_who_spoke_when(workspace, tmp_path):
    path = write_wav(tmp_path / "call.wav", said("yes", 2.0, "no", 2.0, "later"))
    beside = (
        "WEBVTT\n\n00:00.000 --> 00:02.000\nAda Byron: Yes.\n\n00:02.500 --> 00:05.000\nBo Berg: No.\n\n"
        "00:05.000 --> 00:07.000\nAda Byron: La\n\n00:06.000 --> 00:06.500\nBo Berg: Er\n"
    )
    (tmp_path / "call.vtt").write_text(beside)

    collect(workspace, path)

    assert lines(workspace, "call")[:2] == [("Ada Byron", "yes"), ("Bo Berg", "no")]
    assert ("Ada Byron", "no") not in lines(workspace, "call")


def test_in_a_transcript_beside_it_whoever_said_no_is_not_listened_to(workspace, tmp_path):
    allow(workspace, "person:bo", yes=False, purpose=["feature/transcribe"])
    path = write_wav(tmp_path / "call.wav", said("yes", 2.0, "no"))
    beside = "WEBVTT\n\n00:00.000 --> 00:02.000\nAda Byron: Yes.\n\n00:02.500 --> 00:05.000\nBo Berg: No.\n"
    (tmp_path / "call.vtt").write_text(beside)

    collect(workspace, path)

    assert lines(workspace, "call") == [("Ada Byron", "yes")]


def test_sound_is_kept_only_where_the_account_says_so_and_goes_with_its_speaker(workspace, folder, tmp_path):
    collect(workspace, folder)
    assert sounds(workspace) == {}
    workspace.recordings.keep("acme", keeps=True)
    assert workspace.recordings.keeps("acme")

    collect(workspace, folder, meeting="kept")

    assert {track: row.payload["kind"] for track, row in sounds(workspace).items()} == {
        "Ada Byron.wav": "piece",
        "Bo Berg.wav": "piece",
    }
    secret = next(iter(sounds(workspace).values())).payload["sound"].encode()
    assert not any(secret in file.read_bytes() for file in (tmp_path / "w").rglob("*") if file.is_file())
    before = workspace.records.sizes()["content/audio"]
    workspace.forgetting.erase("person:bo")
    assert workspace.records.sizes()["content/audio"] == before // 2, "their tracks went, and the sound with them"
    assert sounds(workspace) == {}, "and what they were there for is used no more"
    workspace.recordings.keep("acme", keeps=False)
    assert not workspace.recordings.keeps("acme")


def test_a_person_gets_their_own_sound_and_nobody_elses(workspace, folder):
    workspace.recordings.keep("acme", keeps=True)
    collect(workspace, folder)
    ada = workspace.parties.person("ada")
    there = Participant(pseudonym=ada.pseudonym, account="acme", at_us=workspace.now_us)

    heard = list(workspace._opened.lake.heard_rows(there, categories=AUDIO))
    stranger = Participant(pseudonym="0" * 32, account="acme", at_us=workspace.now_us)

    assert {row.payload["track"] for row in heard} == {"Ada Byron.wav", "Bo Berg.wav"}, "they were there"
    assert list(workspace._opened.lake.heard_rows(stranger, categories=AUDIO)) == []


def test_a_transcript_is_never_freer_than_what_it_was_heard_in(workspace, folder):
    collect(workspace, folder)
    texts = {row.payload["text"] for row in transcript(workspace, "feature/summary")}
    assert texts == {"yes", "no", "later"}

    workspace.consent.decide("person:bo", yes=False, data=["content/audio"], purpose=["feature/summary"])

    assert {row.payload["text"] for row in transcript(workspace, "feature/summary")} == {"yes", "later"}
    assert len(list(transcript(workspace, "feature/search"))) == 3
    workspace.consent.limit("acme", data=["content/audio"], purpose=["feature/search"])
    assert list(transcript(workspace, "feature/search")) == []


def transcript(workspace, purpose):
    return workspace._opened.lake.rows(workspace.gate.permits(purpose), categories=["content/transcript"])


def test_another_recording_of_the_same_name_is_kept_apart(workspace, folder, tmp_path):
    collect(workspace, folder)
    other = tmp_path / "other"
    other.mkdir()
    write_wav(other / "Ada Byron.wav", said("agreed"))
    write_wav(other / "Bo Berg.wav", said(1.0, "agreed"))

    collected = collect(workspace, other, meeting="standup")

    assert "kept apart, as 'standup (2)'" in collected.notes[0]
    assert len(lines(workspace, "standup")) == 3
    assert [text for _, text in lines(workspace, "standup (2)")] == ["agreed", "agreed"]


def test_the_command_says_what_was_not_transcribed_and_why(workspace, folder, tmp_path, capsys):
    allow(workspace, "account:acme", yes=False)
    command = ["collect", "recording", str(folder), "--account", "acme", "--workspace", str(tmp_path / "w")]

    assert main([*command, "--started", "2024-11-03T09:00:00Z", "--track", "Ada Byron.wav=Ada Byron"]) == 0
    told = capsys.readouterr()
    assert "Ada Byron.wav: not transcribed: " in told.err
    assert main([*command, "--started", "2024-11-03T09:00:00Z", "--track", "Ada"]) == 2
    assert "names no track and voice" in capsys.readouterr().err


def test_a_silent_track_says_so_and_is_not_listened_to(workspace, tmp_path):
    tones = Tones()
    path = write_wav(tmp_path / "quiet.wav", silence(3.0))

    collected = collect(workspace, path, tracks={"quiet.wav": "Ada Byron"}, recogniser=tones)

    assert tones.heard_s == []
    assert "quiet.wav: it is silent: nobody can be heard on it" in collected.notes[0]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("empty.wav", b"", "is empty"),
        ("notes.mp3", b"These are only notes. " * 50, "is no recording that can be read, whatever its name says"),
        ("missing.wav", None, "cannot be read"),
    ],
)
def test_what_is_no_recording_is_refused_with_what_is_wrong(workspace, tmp_path, name, data, told):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInputError, match=told):
        collect(workspace, tmp_path / name)
    assert workspace.records.sizes().get("content/audio", 0) == 0


def test_a_bad_file_of_a_folder_takes_no_others_track_with_it(workspace, folder):
    (folder / "Cy Clark.wav").write_bytes(b"")

    collected = collect(workspace, folder)

    assert len(lines(workspace)) == 3
    assert collected.notes == ["Cy Clark.wav: Cy Clark.wav is empty. Record or download it again."]


def test_a_folder_without_recordings_and_a_name_for_no_track_are_refused(workspace, folder, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(InvalidInputError, match="There is no recording in"):
        collect(workspace, tmp_path / "none")
    with pytest.raises(InvalidInputError, match=r"There is no track 'cy\.wav'"):
        collect(workspace, folder, tracks={"cy.wav": "Cy"})


def test_a_name_of_a_file_that_is_nobodys_is_no_name(workspace, tmp_path):
    made = tmp_path / "tracks"
    made.mkdir()
    for name in ("track1.wav", "Speaker 2.wav"):
        write_wav(made / name, said("yes"))

    collected = collect(workspace, made)

    assert len([note for note in collected.notes if "it is not known whose voice" in note]) == 2


def test_zooms_folder_of_single_tracks_names_its_people(workspace, tmp_path):
    made = tmp_path / "zoom"
    (made / "Audio Record").mkdir(parents=True)
    write_wav(made / "audio_only.wav", said("yes", "no"))
    write_wav(made / "Audio Record" / "audioAda Byron11234567890.wav", said("yes"))
    write_wav(made / "Audio Record" / "audioBo Berg21234567890.wav", said(1.0, "no"))

    collect(workspace, made)

    assert lines(workspace, "zoom") == [("Ada Byron", "yes"), ("Bo Berg", "no")]


def test_a_file_that_is_something_else_than_its_name_says_is_read_as_what_it_is(workspace, tmp_path):
    path = Path(write_wav(tmp_path / "x.wav", said("agreed"))).rename(tmp_path / "talk.mp3")

    collect(workspace, path, tracks={"talk.mp3": "Ada Byron"})

    assert lines(workspace, "talk") == [("Ada Byron", "agreed")]
