"""Recordings of meetings: whose voice is on which track, and the drafts of what becomes of them.

**Who spoke** is the track, and never a guess at a voice: one file or channel a person, named by whoever collects it or
by the platform that wrote the files; or the platform's own transcript beside the recording, aligned by time. What is on
a mixed track and in no line of such a transcript is somebody's whom nobody knows, and is treated as theirs.

Three kinds of records come of a recording:

- of each track one that says that it was recorded: of the category `content/audio`, or `content/video` where the file
  has moving pictures;
- of each piece of a track, once it has been transcribed, one that says so; it holds the sound itself where the account
  keeps recordings;
- of each sentence or so one of the transcript, with the people of its track (derived data).

A key names the meeting, the track and the instant, so that the same recording read again gives the same keys.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from volition.consent.spellings import is_nobody
from volition.errors import InvalidInputError
from volition.records.ingest import Draft, Note, PersonRef
from volition.records.ingest.sound import Piece, SoundFile, probe, write_small
from volition.records.ingest.speech import Said
from volition.records.lake import HEARD_IN, Row, record_id

SUFFIXES: Final = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".oga", ".webm", ".mp4", ".mkv", ".mov")
"""What files of recordings are called, where a folder is looked through."""

_ZOOM_FOLDER: Final = "Audio Record"
_ZOOM_TRACK: Final = re.compile(r"audio(?P<name>\D(?:.*\D)?)\d{6,}+")
_NO_NAME: Final = re.compile(
    r"(?:audio|track|source|recording|mix(?:ture|ed)?|channel|call|meeting|zoom|video)[\W\d_]*", re.IGNORECASE
)
VOICE: Final = "voice"
"""The field of a line that says in which group of lines it is that sound alike, from 1; see `voices`."""
_JOIN_MS: Final = 2_000
"""Pauses in which somebody goes on: between two lines of one speaker no longer than that, nobody else is taken to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One voice of a recording, or several that nobody can tell apart.

    Attributes:
        path: The file.
        label: What it is called within the recording: the file, and what tells it from others of the same file.
        speaker: Whose voice it is, as the source names them; empty for unknown.
        channel: Of which of its channels, from 0; none for all of them.
        spans_ms: The stretches of the file in which it is they who speak, milliseconds; none for all of it.
        sound: What the file says of itself.
        sha256: Digest of the file, in hexadecimal.
    """

    path: Path
    label: str
    speaker: str
    channel: int | None
    spans_ms: tuple[tuple[int, int], ...] | None = None
    sound: SoundFile
    sha256: str

    @property
    def category(self) -> str:
        """What it is a kind of."""
        return "content/video" if self.sound.has_video else "content/audio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording as whoever collects it describes it.

    Attributes:
        account: Whose meeting it was.
        meeting: What it is called.
        started_us: When it started, microseconds since the Unix epoch, UTC.
        tracks: Its tracks.
        participants: Who else was there, whether or not they spoke.
        private: Whether nothing that many see may learn from it.
    """

    account: str
    meeting: str
    started_us: int
    tracks: tuple[Track, ...]
    participants: tuple[str, ...]
    private: bool = False

    def people(self, track: Track) -> tuple[PersonRef, ...]:
        """Return everyone whom a track concerns: who speaks on it, then everybody else who was there."""
        first = PersonRef(name=track.speaker) if track.speaker else PersonRef()
        names = [*(one.speaker for one in self.tracks), *self.participants]
        others = dict.fromkeys(PersonRef(name=name) for name in sorted({name for name in names if name}))
        return (first, *(one for one in others if one != first))

    def at_us(self, start_ms: int) -> int:
        """Return when something was said, microseconds since the Unix epoch, UTC."""
        return self.started_us + start_ms * 1000


def tracks_of(path: Path, *, named: Mapping[str, str]) -> tuple[tuple[Track, ...], tuple[Note, ...]]:
    """Return the tracks of a file, or of a folder with one file a person; and what there is to know of bad files.

    Args:
        path: The file or folder. In a folder that Zoom wrote, its folder of single tracks is taken.
        named: Whose voice is on a file, or on a channel of it: "ada.wav" or "call.wav:1" (from 1), and a name.

    Raises:
        MissingExtraError: What reads sound is not installed.
        InvalidInputError: There is no recording, no file holds any sound, or a name is given for what is not there.
    """
    files = _files(path)
    known = dict(named)
    tracks: list[Track] = []
    notes: list[Note] = []
    for file in files:
        try:
            sound = probe(file)
        except InvalidInputError as error:
            if len(files) == 1:
                raise
            notes.append(Note(source=file.name, what=str(error)))  # the others' tracks are none the worse for it
            known = {name: speaker for name, speaker in known.items() if name.partition(":")[0] != file.name}
            continue
        is_one_of_many = path.is_dir() and len(files) > 1
        tracks += _tracks_in(file, sound, known, is_one_of_many=is_one_of_many)
    if known:
        there = ", ".join(file.name for file in files)
        raise InvalidInputError(
            f"There is no track {next(iter(known))!r}. The files are: {there}; a channel is FILE:1."
        )
    if not tracks:
        raise InvalidInputError(f"No recording in {path} can be read. {notes[0].what}")
    return tuple(tracks), tuple(notes)


def _tracks_in(file: Path, sound: SoundFile, known: dict[str, str], *, is_one_of_many: bool) -> list[Track]:
    """Return the tracks of one file, and take the names that are given for them."""
    whole = Track(path=file, label=file.name, speaker="", channel=None, sound=sound, sha256=_digest(file))
    labels = [f"{file.name}:{number + 1}" for number in range(sound.channels)]
    if any(label in known for label in labels):
        return [
            replace(whole, label=label, speaker=known.pop(label, ""), channel=number)
            for number, label in enumerate(labels)
        ]
    name = known.pop(file.name, None)
    if name is None:
        name = _name_of(file) if is_one_of_many else ""
    return [replace(whole, speaker=name)]


def transcript_beside(path: Path) -> Path | None:
    """Return the platform's own transcript (WebVTT) that lies beside a recording; none where there is not one."""
    folder, stem = (path, None) if path.is_dir() else (path.parent, path.stem)
    found = sorted(one for one in folder.glob("*.vtt") if stem is None or one.stem.removesuffix(".transcript") == stem)
    return found[0] if len(found) == 1 else None


def by_transcript(track: Track, lines: Iterable[Draft]) -> tuple[Track, ...]:
    """Cut a mixed track into one for each person, by the lines of a transcript of the same recording.

    A stretch is somebody's where a line names them, and nobody else's line runs at the same time.
    """
    spoken = sorted(
        (int(line.payload["start_ms"]), int(line.payload["end_ms"]), _sure(str(line.payload["speaker"])))
        for line in lines
    )
    tracks = []
    for name in sorted({one for _, _, one in spoken if one}):
        others = [(start, end) for start, end, other in spoken if other != name]
        own = [piece for start, end, one in spoken if one == name for piece in _without((start, end), others)]
        label = f"{track.label}:{name}"
        tracks.append(replace(track, label=label, speaker=name, spans_ms=_joined(own, others)))
    return tuple(tracks)


def track_draft(recording: Recording, track: Track) -> Draft:
    """Return what is recorded of a track before anybody listens to it."""
    payload = {
        "kind": "track",
        "meeting": recording.meeting,
        "track": track.label,
        "speaker": track.speaker,
        "duration_ms": round(track.sound.duration_s * 1000),
        "sha256": track.sha256,
    }
    return _draft(recording, track, track_key(recording, track), track.category, 0, payload)


def track_key(recording: Recording, track: Track) -> str:
    """Return the identity of a track within the account."""
    return f"recording:{recording.meeting}:{track.label}"


def piece_draft(recording: Recording, track: Track, piece: Piece, *, by: str, keeps: bool) -> Draft:
    """Return what is recorded of a piece of a track that has been transcribed; with its sound where that is kept.

    Args:
        recording: What the track is of.
        track: The track.
        piece: The piece.
        by: What transcribed it.
        keeps: Whether its sound is kept.
    """
    payload: dict[str, Any] = {
        "kind": "piece",
        "meeting": recording.meeting,
        "track": track.label,
        "speaker": track.speaker,
        "start_ms": piece.start_ms,
        "end_ms": piece.end_ms,
        "by": by,
    }
    if keeps:
        payload["sound"] = base64.b64encode(write_small(piece.samples)).decode()
    return _draft(recording, track, piece_key(recording, track, piece), track.category, piece.start_ms, payload)


def piece_key(recording: Recording, track: Track, piece: Piece) -> str:
    """Return the identity of a piece within the account."""
    return f"{track_key(recording, track)}:piece@{piece.start_ms}"


def line_drafts(recording: Recording, track: Track, piece: Piece, said: Sequence[Said], *, keeps: bool) -> list[Draft]:
    """Return the lines of the transcript that a piece of a track gives; with where their sound is, if it is kept."""
    number = recording.tracks.index(track)
    drafts = []
    for one in said:
        start_ms = piece.start_ms + round(one.start_s * 1000)
        payload = {
            "kind": "segment",
            "meeting": recording.meeting,
            "turn": start_ms * len(recording.tracks) + number,  # in the order of speaking, and no two alike
            "start_ms": start_ms,
            "end_ms": piece.start_ms + round(one.end_s * 1000),
            "speaker": track.speaker,
            "text": one.text,
            HEARD_IN: track.category,
            "track": track.label,
        }
        if keeps:
            piece_id = record_id(recording.account, piece_key(recording, track, piece))
            payload["sound"] = {"piece": piece_id, "start_ms": piece.start_ms}
        key = _line_key(recording.meeting, track.label, start_ms)
        line = _draft(recording, track, key, "content/transcript", start_ms, payload)
        drafts.append(line if track.speaker else replace(line, version=0))  # somebody may say whose it is
    return drafts


def named_draft(row: Row, *, speaker: str, people: Sequence[str], by: str) -> Draft:
    """Return a line whose speaker nobody knew as that of a person whom somebody in the meeting has named.

    Which voice it was grouped by is not kept any longer.

    Args:
        row: The line.
        speaker: What the person is called.
        people: Pseudonyms of everyone concerned, that person first.
        by: Pseudonym of whoever named them.

    Raises:
        InvalidInputError: It is no line of a recording, or its track says who speaks.
    """
    said = row.payload
    is_named = "named_by" in said
    if HEARD_IN not in said or (said["speaker"] and not is_named):
        raise InvalidInputError("Who says this is known by its track. Nothing was changed.")
    kept = {name: value for name, value in said.items() if name != VOICE}
    return _changed(row, people, {**kept, "speaker": speaker, "named_by": by})


def voiced_draft(row: Row, *, voice: int) -> Draft:
    """Return a line whose speaker nobody knows, with the group of lines of the same recording that sound like it."""
    return _changed(row, row.people, {**row.payload, VOICE: voice})


def _changed(row: Row, people: Sequence[str], payload: Mapping[str, Any]) -> Draft:
    """Return the next form of a line of which no track tells who speaks."""
    said = row.payload
    version = said.get("named", 0) + 1
    return Draft(
        key=_line_key(said["meeting"], said["track"], said["start_ms"]),
        account=row.account,
        people=tuple(PersonRef(pseudonym=one) for one in people),
        category=row.category,
        at_us=row.collected_us,
        payload={**payload, "named": version},
        version=version,
    )


def sound_of(row: Row) -> bytes:
    """Return the sound that a piece holds, of the kind `sound.MEDIA_TYPE`; nothing where it was not kept."""
    return base64.b64decode(row.payload.get("sound", ""))


def _line_key(meeting: str, track: str, start_ms: int) -> str:
    return f"recording:{meeting}:{track}:@{start_ms}"


def _draft(  # noqa: PLR0913, PLR0917 - a draft's own fields
    recording: Recording, track: Track, key: str, category: str, start_ms: int, payload: dict[str, Any]
) -> Draft:
    return Draft(
        key=key,
        account=recording.account,
        people=recording.people(track),
        category=category,
        at_us=recording.at_us(start_ms),
        payload={**payload, "private": True} if recording.private else payload,
    )


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    folder = path / _ZOOM_FOLDER if (path / _ZOOM_FOLDER).is_dir() else path
    files = sorted(
        one for one in folder.iterdir() if one.suffix.casefold() in SUFFIXES and not one.name.startswith(".")
    )
    if not files:
        raise InvalidInputError(f"There is no recording in {path}. Its files end in {', '.join(SUFFIXES)}.")
    return files


def _name_of(file: Path) -> str:
    """Return whose voice is in a file of a folder of tracks, by the name of the file; empty for nobody's."""
    match = _ZOOM_TRACK.fullmatch(file.stem)
    return _sure(match["name"] if match else file.stem.replace("_", " "))


def _sure(name: str) -> str:
    """Return a name, or nothing where it is nobody's in particular."""
    name = " ".join(name.split())
    return "" if is_nobody(name) or _NO_NAME.fullmatch(name) else name


def _without(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what is left of a stretch without others."""
    left, (first, last) = [], span
    for start, end in sorted(one for one in others if one[0] < span[1] and one[1] > span[0]):
        if start > first:
            left.append((first, start))
        first = max(first, end)
    return [*left, (first, last)] if first < last else left


def _joined(own: Iterable[tuple[int, int]], others: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return stretches with the short pauses between them closed, where nobody else speaks in the pause."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(own):
        if joined:
            before = joined[-1][1]
            if start - before <= _JOIN_MS and not any(first < start and last > before for first, last in others):
                joined[-1] = (joined[-1][0], max(before, end))
                continue
        joined.append((start, end))
    return tuple(joined)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
