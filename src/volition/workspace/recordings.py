"""Recordings: each track transcribed where the gate lets it be, and its sound kept where the account says so.

Writing down what is said is a use of audio: before each piece of a track the gate is asked for `feature/transcribe`, of
that track's people, so a no in the middle of ten hours is heard at the next minute. What was transcribed is remembered
piece by piece: killed, it is run again and goes on.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from volition.canonical import canonical_json, datetime_to_us
from volition.consent.gate import decide
from volition.consent.identity import UNKNOWN
from volition.consent.permits import Reason
from volition.consent.references import source_id
from volition.errors import BackendError, InvalidInputError
from volition.files import write_file
from volition.progress import Progress, silent
from volition.records.audience import participant, was_there
from volition.records.ingest import Draft, Note
from volition.records.ingest.intake import Collected, Piece, holds_other
from volition.records.lake import record_id
from volition.workspace.audiences import Audiences
from volition.workspace.gate import GateQuestions
from volition.workspace.opened import Opened, read_bytes
from volition.workspace.records import Records
from volition.workspace.settings import read_settings

if TYPE_CHECKING:
    from volition.records.ingest.recording import Recording, Track
    from volition.records.ingest.sound import Piece as SoundPiece
    from volition.records.ingest.speech import Recogniser
    from volition.records.ingest.voices import VoiceEncoder
    from volition.records.lake import Row

PURPOSE: Final = "feature/transcribe"
AUDIO: Final = ("content/audio", "content/video")
_LINES: Final = "content/transcript"
KEPT: Final = "kept-audio.json"
"""Which accounts keep the sound of recordings. Where the file is gone, none does."""

_WHY: Final[Mapping[Reason, str]] = {
    Reason.UNKNOWN_PARTY: "it is not known whose voice it is, so nobody could be asked. Name it: --track FILE=NAME",
    Reason.NOT_ASKED: "the account has not said yes to transcription",
    Reason.SAID_NO: "somebody concerned said no",
    Reason.WITHDRAWN: "a yes was withdrawn",
    Reason.BEFORE_YES: "it was recorded before transcription was allowed",
}

_KEPT_OUT: Final = "somebody concerned has said no to every use, or nothing permits one, or it was erased"


class Recordings:
    """Collects recordings of meetings."""

    def __init__(self, opened: Opened, gate: GateQuestions, audiences: Audiences, records: Records) -> None:
        """Take the opened folder, the gate, who may read what, and what collects records."""
        self._opened = opened
        self._gate = gate
        self._audiences = audiences
        self._records = records

    def keeps(self, account: str) -> bool:
        """Return whether an account keeps the sound of its recordings once they are transcribed."""
        return self._opened.parties.account(account).id in self._kept()

    def keep(self, account: str, *, keeps: bool) -> None:
        """Say whether an account keeps the sound of its recordings from now on; what was kept before stays.

        Raises:
            InvalidInputError: The account is not known.
            BackendError: The workspace cannot be written.
        """
        known = self._opened.parties.account(account).id
        kept = self._kept() | {known} if keeps else self._kept() - {known}
        try:
            write_file(self._opened.folder / KEPT, canonical_json(sorted(kept)))
        except OSError as error:
            msg = f"What {account} keeps could not be written: {error}. Nothing was changed."
            raise BackendError(msg) from error

    def collect(  # noqa: PLR0913 - what a recording does not say about itself
        self,
        path: Path,
        *,
        account: str,
        started: datetime,
        meeting: str | None = None,
        tracks: Mapping[str, str] | None = None,
        participants: Sequence[str] = (),
        transcript: Path | None = None,
        language: str | None = None,
        private: bool = False,
        recogniser: "Recogniser | None" = None,
        group_voices: bool = False,
        voice_encoder: "VoiceEncoder | None" = None,
        progress: Progress = silent,
    ) -> Collected:
        """Collect a recording of a meeting, track by track.

        Args:
            path: A file; or a folder with one file a person, as platforms write it.
            account: Whose meeting it was.
            started: When the recording started.
            meeting: Its name; by default the file's or folder's. Where something else lies under it already, this one
                is kept apart under the name with a number, and the result says so.
            tracks: Whose voice is on a file, or on a channel of it: "ada.wav" or "call.wav:1", and a name.
            participants: Names of people who were there, whether or not they spoke.
            transcript: The platform's own transcript of it (WebVTT), which says who spoke when on a mixed track; by
                default the one that lies beside it.
            language: What is spoken, as an ISO 639 code; none to find that out.
            private: Whether nothing that many see may learn from it.
            recogniser: What turns sound into words; by default that of the settings.
            group_voices: Whether the lines of a mixed track are grouped by voice, so that people name them sooner.
            voice_encoder: What tells voices apart; by default the one that is installed.
            progress: Told how many seconds of a track are done.

        Raises:
            InvalidInputError: It is no recording, or the account is not known.
            MissingExtraError: What reads or transcribes recordings is not installed.
            BackendError: No weights are installed, or the disk is full; what was transcribed is there.
        """
        if group_voices and voice_encoder is None:
            from volition.records.ingest.voices import find_voice_encoder  # noqa: PLC0415 - it loads numpy

            voice_encoder = find_voice_encoder()  # before an hour of work, not after it
        from volition.records.ingest.recording import tracks_of, transcript_beside  # noqa: PLC0415 - it loads numpy

        account = self._opened.parties.account(account).id
        found, bad = tracks_of(path, named=tracks or {})
        beside = transcript or transcript_beside(path)
        if beside is not None and len(found) == 1 and not found[0].speaker:
            found = _told_apart(found, beside)
        recording, notes = self._named(account, meeting or path.stem, datetime_to_us(started), found, participants)
        recording = replace(recording, private=private)
        collected = self._take([*bad, *notes, *_drafts(recording)], account)
        listener: Recogniser | None = recogniser
        for track in recording.tracks:
            refused = self._refusal(recording, track, 0)
            if refused:
                collected.add(self._take([_untranscribed(track, refused)], account))
                continue
            listener = listener or self._recogniser()
            self._transcribe(recording, track, listener, language, collected, progress)
            if group_voices and voice_encoder is not None and not track.speaker:
                collected.add(self._group_voices(recording, track, voice_encoder, progress))
        return collected

    def sound(self, record: str, *, person: str) -> bytes:
        """Return the sound of a piece of a recording that somebody may hear, of the kind `sound.MEDIA_TYPE`.

        Whoever was there hears again what was said; anybody else whom the meeting was opened to only what the gate lets
        through for `feature/transcribe`, now.

        Raises:
            InvalidInputError: There is no such sound, it was not kept, or it is not for them.
        """
        from volition.records.ingest.recording import sound_of  # noqa: PLC0415 - it loads numpy

        known = self._opened.parties.person(person)
        lake, account = self._opened.lake, known.account
        if account is not None and not known.is_guest:
            reader, audience = participant(known, account, self._opened.now_us), self._audiences.of(known, account)
            permits = self._gate.permits(PURPOSE)
            rows = (
                *lake.heard_rows(reader, categories=AUDIO, record=record),
                *lake.rows(permits, categories=AUDIO, accounts=[account], record=record),
            )
            for row in rows:
                if audience.admits(row) and (sound := sound_of(row)):
                    return sound
        raise InvalidInputError("There is no such recording that you may hear.")

    def name(self, records: Sequence[str], *, speaker: str, by: str) -> Collected:
        """Say who speaks in lines of a recording whose track does not tell; from then on that person is asked.

        Args:
            records: The lines; all of them are named, or none.
            speaker: Pseudonym of who speaks, one of those who were there.
            by: Id of whoever says so, who was there.

        Raises:
            InvalidInputError: They were not there, or there is no such line, or its track tells who speaks.
        """
        from volition.records.ingest.recording import named_draft  # noqa: PLC0415 - it loads numpy

        known = self._opened.parties.person(by)
        if known.account is None or known.is_guest:
            raise InvalidInputError("Only users of the account who were in a meeting say who speaks in it.")
        reader = participant(known, known.account, self._opened.now_us)
        named = self._opened.parties.person_by_pseudonym(speaker)
        drafts = []
        for record in records:
            rows = self._opened.lake.heard_rows(reader, categories=[_LINES], record=record)
            row = next((one for one in rows if any(was_there(pseudonym, one) for pseudonym in known.pseudonyms)), None)
            if row is None or named is None or not was_there(speaker, row):
                raise InvalidInputError("There is no such line, or you were not there, or they were not.")
            others = [one for one in row.people if one not in {speaker, UNKNOWN}]
            name, people = named.name or named.id, [speaker, *others]
            drafts.append(named_draft(row, speaker=name, people=people, by=known.pseudonym))
        return self._take(drafts, known.account)

    def voices(self, meeting: str, *, person: str) -> dict[str, int]:
        """Return by which voice lines of a meeting were grouped, by their records: for somebody who was there.

        Grouping is a use of what was said, so it is shown only as long as the gate lets it through for
        `feature/transcribe`.
        """
        from volition.records.ingest.recording import VOICE  # noqa: PLC0415 - it loads numpy

        known = self._opened.parties.person(person)
        if known.account is None or known.is_guest:
            return {}
        return {
            row.record_id: row.payload[VOICE]
            for row in self._lines(known.account, meeting)
            if VOICE in row.payload and any(was_there(pseudonym, row) for pseudonym in known.pseudonyms)
        }

    def _lines(self, account: str, meeting: str) -> "Iterable[Row]":
        """Return what the gate lets through of a meeting's lines."""
        return self._opened.lake.rows(
            self._gate.permits(PURPOSE), categories=[_LINES], accounts=[account], source=source_id(account, meeting)
        )

    def _named(
        self, account: str, name: str, started_us: int, found: "Sequence[Track]", participants: Sequence[str]
    ) -> "tuple[Recording, list[Piece]]":
        """Return the recording under a name that nothing else has, and a note where that is not the one asked for."""
        from volition.records.ingest.recording import Recording, track_draft  # noqa: PLC0415 - as above

        for number in count(1):
            recording = Recording(
                account=account,
                meeting=name if number == 1 else f"{name} ({number})",
                started_us=started_us,
                tracks=tuple(found),
                participants=tuple(participants),
            )
            drafts = [track_draft(recording, track) for track in found]
            keys = [record_id(account, draft.key) for draft in drafts]
            is_there = self._opened.lake.meeting(account, recording.meeting) is not None
            is_ours = bool(self._opened.lake.known(keys)) and not holds_other(drafts, self._opened.lake)
            if is_ours or not (is_there or self._opened.lake.known(keys)):
                break
        if recording.meeting == name:
            return recording, []
        what = f"something else lies here as {name!r}, so this one is kept apart, as {recording.meeting!r}."
        return recording, [Note(source=found[0].path.name, what=what)]

    def _transcribe(  # noqa: PLR0913, PLR0917 - a track, and with what
        self,
        recording: "Recording",
        track: "Track",
        listener: "Recogniser",
        language: str | None,
        collected: Collected,
        progress: Progress,
    ) -> None:
        """Transcribe a track piece by piece, as long as the gate lets it through."""
        from volition.records.ingest.recording import piece_key  # noqa: PLC0415 - as above
        from volition.records.ingest.sound import CutShortError, only, pieces  # noqa: PLC0415

        heard, seconds, stage = False, ceil(track.sound.duration_s), f"transcribing {track.label}"
        progress(stage, 0, seconds)
        try:
            for whole in pieces(track.path, channel=track.channel):
                piece = whole if track.spans_ms is None else only(whole, track.spans_ms)
                heard |= not piece.is_silent
                key = record_id(recording.account, piece_key(recording, track, piece))
                refused = (
                    ""
                    if self._opened.lake.known([key])
                    else self._listen(recording, track, piece, listener, language, collected)
                )
                if refused:
                    collected.add(self._take([_untranscribed(track, refused)], recording.account))
                    return
                progress(stage, ceil(piece.end_ms / 1000), seconds)
        except CutShortError as error:
            collected.add(self._take([Note(source=track.label, what=str(error))], recording.account))
        if not heard:
            quiet = Note(source=track.label, what="it is silent: nobody can be heard on it, so there is no transcript.")
            collected.add(self._take([quiet], recording.account))

    def _listen(  # noqa: PLR0913, PLR0917 - as above
        self,
        recording: "Recording",
        track: "Track",
        piece: "SoundPiece",
        listener: "Recogniser",
        language: str | None,
        collected: Collected,
    ) -> str:
        """Transcribe a piece of a track, and collect what is said in it; say why not, where it is refused."""
        from volition.records.ingest.recording import line_drafts, piece_draft  # noqa: PLC0415 - as above

        refused = self._refusal(recording, track, piece.start_ms)
        if refused:
            return refused
        said = () if piece.is_silent else listener.listen(piece.samples, language=language)
        refused = self._refusal(recording, track, piece.start_ms)  # somebody may have said no since
        if refused:
            return refused
        keeps = self.keeps(recording.account)
        drafts = line_drafts(recording, track, piece, said, keeps=keeps)
        holds = keeps and bool(drafts)  # a silence is not worth keeping
        done = piece_draft(recording, track, piece, by=listener.name, keeps=holds)
        collected.add(self._take([*drafts, done], recording.account))
        return ""

    def _group_voices(
        self, recording: "Recording", track: "Track", encoder: "VoiceEncoder", progress: Progress
    ) -> Collected:
        """Group the lines of a mixed track by voice, once: piece by piece under the gate, and all of it or nothing."""
        from volition.records.ingest.recording import VOICE, voiced_draft  # noqa: PLC0415 - as above
        from volition.records.ingest.sound import CutShortError, pieces  # noqa: PLC0415
        from volition.records.ingest.voices import group_voices  # noqa: PLC0415

        found = [row for row in self._lines(recording.account, recording.meeting) if "track" in row.payload]
        own = sorted((row for row in found if row.payload["track"] == track.label), key=_start_ms)
        lines = [row for row in own if not row.payload["speaker"]]
        if not lines or any(VOICE in row.payload for row in own):
            return Collected()
        stage, seconds = f"comparing voices on {track.label}", ceil(track.sound.duration_s)
        vectors = dict[str, Any]()
        try:
            for piece in pieces(track.path, channel=track.channel):
                refused = self._refusal(recording, track, piece.start_ms)
                if refused:
                    return self._take([_ungrouped(track, refused)], recording.account)
                within = [row for row in lines if piece.start_ms <= _start_ms(row) < piece.end_ms]
                vectors |= zip(
                    (row.record_id for row in within),
                    encoder.encode([piece.between(_start_ms(row), row.payload["end_ms"]) for row in within]),
                    strict=True,
                )
                progress(stage, ceil(piece.end_ms / 1000), seconds)
        except CutShortError:
            pass  # what was transcribed lies before
        refused = self._refusal(recording, track, 0)  # somebody may have said no since
        if refused:
            return self._take([_ungrouped(track, refused)], recording.account)
        before = max((row.payload.get(VOICE, 0) for row in found), default=0)  # of another track
        groups = group_voices([vectors.get(row.record_id) for row in lines])
        drafts = [voiced_draft(row, voice=before + group) for row, group in zip(lines, groups, strict=True) if group]
        return self._take(drafts, recording.account)

    def _refusal(self, recording: "Recording", track: "Track", start_ms: int) -> str:
        """Say why a stretch of a track must not be transcribed, by all that was said until now; empty if it may."""
        from volition.records.ingest.recording import track_key  # noqa: PLC0415 - as above

        try:
            record = self._opened.lake.gate_record(record_id(recording.account, track_key(recording, track)))
        except InvalidInputError:
            return _KEPT_OUT if track.speaker else _WHY[Reason.UNKNOWN_PARTY]
        at_us = min(recording.at_us(start_ms), self._opened.now_us)
        reason = decide(self._gate.permits(PURPOSE), replace(record, collected_us=at_us)).reason
        return "" if reason is None else _WHY.get(reason, reason.value)

    def _recogniser(self) -> "Recogniser":
        from volition.records.ingest.speech import find_recogniser  # noqa: PLC0415 - as above

        own = read_settings(self._opened.folder).speech
        return find_recogniser(None if own is None else self._opened.folder / own.weights)

    def _take(self, pieces: Iterable[Piece], account: str) -> Collected:
        return self._records.take_in(pieces, account, silent)

    def _kept(self) -> set[str]:
        try:
            data = (self._opened.folder / KEPT).read_bytes()
        except FileNotFoundError:
            return set()
        try:
            return set(json.loads(data))
        except (ValueError, TypeError) as error:
            msg = f"{self._opened.folder / KEPT} cannot be read. Remove it: then no account keeps recordings."
            raise BackendError(msg) from error


def _told_apart(found: "tuple[Track, ...]", beside: Path) -> "tuple[Track, ...]":
    """Return a mixed track cut by a transcript that names its speakers; as it was where that names nobody."""
    from volition.records.ingest.recording import by_transcript  # noqa: PLC0415 - it loads numpy
    from volition.records.ingest.webvtt import read_webvtt  # noqa: PLC0415 - a parser, loaded where it is used

    lines = read_webvtt(read_bytes(beside), source=beside.name, account="-", meeting="-", start_us=0)
    return by_transcript(found[0], [line for line in lines if isinstance(line, Draft)]) or found


def _drafts(recording: "Recording") -> list[Draft]:
    from volition.records.ingest.recording import track_draft  # noqa: PLC0415 - as above

    return [track_draft(recording, track) for track in recording.tracks]


def _start_ms(row: "Row") -> int:
    start_ms: int = row.payload["start_ms"]
    return start_ms


def _ungrouped(track: "Track", why: str) -> Note:
    return Note(source=track.label, what=f"not grouped by voice: {why}.")


def _untranscribed(track: "Track", why: str) -> Note:
    return Note(source=track.label, what=f"not transcribed: {why}.")
