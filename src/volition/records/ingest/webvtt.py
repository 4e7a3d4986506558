"""WebVTT transcripts, as Zoom, Teams and Meet export them, read into transcript segments.

Promises:

- A malformed cue becomes a `Reject` with its line; the cues around it are kept.
- A segment concerns its speaker first, then everybody else who speaks in the meeting and all participants.
- In doubt somebody is a speaker: a name too many keeps the meeting out until somebody answers for it, while a name
  too few would use a person's words unasked.

- Who speaks is decided in `speakers`, and never past what is certain: where nobody knows who it was the people are one
  `PersonRef` with nothing in it. That is so before the first name, after a cue whose words could not be read, and after
  any hint at somebody else. A noise such as [Music] is nobody's words, and is counted.
- A file in which no cue names a speaker, or none but placeholders, says so in a `Note`.

The parser is our own, after W3C WebVTT section 6 ("Parsing"): webvtt-py gives no line numbers, and either drops what is
malformed without a word or stops at the first of it. Stricter than section 6 are only three things, each of which
would lose words or misdate them silently: bytes that are not UTF-8, a block without timings that is no comment, style
or region, and an end before its start. More lenient are two, whose meaning is plain: exporters that round write
`00:12:60.000` for the thirteenth minute, and some write a comma before the thousandths, as SubRip does.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from volition.consent.spellings import is_nobody
from volition.errors import InvalidInputError
from volition.records.ingest import Draft, Note, PersonRef, Reject, Skipped
from volition.records.ingest.speakers import Voice, is_unclosed, name_key, voices_of

_LINE_END = re.compile(r"\r\n|\n|\r")  # not str.splitlines, which also splits at U+2028 and the like
_CLOCK = r"(?:([0-9]{1,6}):)?([0-5][0-9]):([0-5][0-9]|60(?=[.,]000))[.,]([0-9]{3})"
_TIMINGS = re.compile(rf"[ \t\f]*{_CLOCK}[ \t\f]*-->[ \t\f]*{_CLOCK}(?:[ \t\f].*)?")
_NO_CUE = re.compile(r"NOTE(?:[ \t]|$)|(?:STYLE|REGION)[ \t\f]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cue:
    """A block of the file.

    Attributes:
        line: Number of its first line, from 1.
        cue_id: Its identifier, "" if it has none.
        start_ms, end_ms: Times within the meeting; zero if `why` is set.
        text: What follows the timings, lines joined by newlines, tags still inside.
        why: What is wrong with it; None for a good cue.
        raw: The whole block.
    """

    line: int
    cue_id: str
    start_ms: int = 0
    end_ms: int = 0
    text: str = ""
    why: str | None = None
    raw: str


def read_webvtt(  # noqa: PLR0913 - each names something that the file does not tell
    data: bytes,
    *,
    source: str,
    account: str,
    meeting: str,
    start_us: int,
    participants: Sequence[PersonRef] = (),
) -> Iterator[Draft | Note | Reject | Skipped]:
    """Read one transcript.

    A key is `webvtt:MEETING:CUE`, where CUE is the cue's identifier, or `@` and its start in milliseconds if it has
    none. Exports do repeat identifiers, and a cue may hold several voices: both are kept, and the second gets `#2`.
    `turn` is the cue's identifier if those of all good cues are strictly rising integers and no cue holds several
    voices, otherwise the segment's place in the file from 0.

    Args:
        data: The file: UTF-8, with or without a byte order mark, or UTF-16 with one.
        source: Name of the file, for messages.
        account: Id of the account whose terms govern the meeting.
        meeting: Id of the meeting within the account.
        start_us: When the meeting began; the cues count from there.
        participants: Who is known to have been there. A speaker of the same name is taken to be that person.

    Yields:
        A draft of category `content/transcript` for each voice in each cue, a reject for each malformed cue, and at
        the end the noises, counted, and a note if no cue names a speaker.

    Raises:
        InvalidInputError: The file is empty, is not text, or does not begin with WEBVTT.

    Source: W3C WebVTT, sections 6.1 (file), 6.3 (timings) and 6.4 (cue text).
    """
    if not account:
        raise InvalidInputError(f"{source}: no account was given, so nobody could be asked. Name the account.")
    cues = list(_parse(_decode(data, source), source))
    parts = voices_of([cue.text for cue in cues], [person.name for person in participants if person.name])
    names = [voice.name for voices in parts for voice in voices if voice.name]
    everyone = _Everyone(iter(names), participants)

    transcript = _Transcript(source, account, meeting, start_us, everyone)
    yield from transcript.segments(cues, parts)
    yield from _closing(source, transcript.noises, names if cues else None)


class _Transcript:
    """One transcript, cue by cue: who speaks now, which keys are taken, how many noises there were."""

    def __init__(self, source: str, account: str, meeting: str, start_us: int, everyone: "_Everyone") -> None:
        self._source, self._account, self._meeting, self._start_us = source, account, meeting, start_us
        self._everyone = everyone
        self._taken: set[str] = set()
        self._speaker = ""
        self._place = 0
        self.noises = 0

    def segments(self, cues: Sequence[_Cue], parts: Sequence[Sequence[Voice]]) -> Iterator[Draft | Reject]:
        """Yield a draft for each voice with words in each cue, and a reject for each malformed cue."""
        rising = _rising([cue.cue_id for cue in cues if not cue.why])
        numbered = rising and all(len(voices) == 1 for voices in parts)
        for cue, voices in zip(cues, parts, strict=True):
            why, unread = _fault(cue, voices)
            if why:
                named = [voice.name for voice in voices if voice.name is not None]
                self._speaker = "" if unread else [self._speaker, *named][-1]
                self._place += 1
                if cue.cue_id:
                    _free(cue, self._taken)  # so that mending this cue changes no other cue's key
                yield self._reject(cue, why)
                continue
            for voice in voices:
                self._speaker = self._speaker if voice.name is None else voice.name
                if voice.text:  # else a name alone, or a voice of several without words
                    yield from self._segment(cue, voice, int(cue.cue_id) if numbered else self._place)
                    self._place += 1

    def _segment(self, cue: _Cue, voice: Voice, turn: int) -> Iterator[Draft | Reject]:
        key = _free(cue, self._taken)
        if voice.noise:
            self.noises += 1
            return
        try:
            yield Draft(
                key=f"webvtt:{self._meeting}:{key}",
                account=self._account,
                people=self._everyone.led_by(self._speaker),
                category="content/transcript",
                at_us=self._start_us + cue.start_ms * 1000,
                payload=_payload(cue, self._meeting, turn, self._speaker, voice.text),
            )
        except InvalidInputError as error:
            yield self._reject(cue, str(error))

    def _reject(self, cue: _Cue, why: str) -> Reject:
        return Reject(source=self._source, where=f"line {cue.line}", why=why, raw=cue.raw)


def _closing(source: str, noises: int, names: Sequence[str] | None) -> Iterator[Note | Skipped]:
    """Yield what there is to say of a whole file; `names` are those of its speakers, none where it has no cue."""
    if noises:
        yield Skipped(source=source, why="noise, nobody's words", count=noises)
    if names is not None and all(map(is_nobody, names)):
        yield Note(source=source, what=_NAMELESS if names else f"no cue of {source} names a speaker. {_REMEDY}")


def _fault(cue: _Cue, voices: Sequence[Voice]) -> tuple[str | None, bool]:
    """Return what is wrong with a cue, and whether it cannot even be told who speaks in it."""
    unread = is_unclosed(cue.text) or (cue.why is not None and not cue.text)
    if cue.why:
        return cue.why, unread
    if unread:
        return "A voice tag <v ...> is not closed by >, so its speaker is unknown.", unread
    return (None if any(voice.text for voice in voices) else "The cue has no text."), unread


def _payload(cue: _Cue, meeting: str, turn: int, speaker: str, text: str) -> dict[str, Any]:
    return {
        "kind": "segment",
        "meeting": meeting,
        "turn": turn,
        "start_ms": cue.start_ms,
        "end_ms": cue.end_ms,
        "speaker": speaker,
        "text": text,
    }


_REMEDY = (
    "Nobody can be asked for these words, so nothing is done with them where people have a say. Export the transcript "
    "with the speakers' names, or name them in the file, and collect it again."
)
_NAMELESS = f"its cues name nobody in particular (such as Speaker 1). {_REMEDY}"


# --- the file -------------------------------------------------------------------------------------------------------


def _decode(data: bytes, source: str) -> list[str]:
    """Return the lines of the file, or say which byte is no text."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8")
    except UnicodeDecodeError as error:
        # The byte is counted from the start of the file; the codec leaves out the mark of UTF-16.
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInputError(
            f"{source}: byte {error.start} (line {line}) is not {'UTF-16' if utf16 else 'UTF-8'}: {error.reason}. "
            "Export the transcript again as UTF-8."
        ) from error
    text = text.removeprefix("\ufeff").replace("\0", "\ufffd")
    if not text.strip():
        raise InvalidInputError(f"{source} is empty. A WebVTT transcript begins with a line WEBVTT.")
    return _LINE_END.split(text)


def _parse(lines: list[str], source: str) -> Iterator[_Cue]:
    """Yield each block that is meant as a cue, good or not, in the order of the file."""
    if not re.match(r"WEBVTT(?:[ \t]|$)", lines[0]):
        raise InvalidInputError(
            f"{source}: the first line is {lines[0][:60]!r}, not WEBVTT. Export the transcript as WebVTT (.vtt)."
        )
    number = 1
    while number < len(lines) and lines[number] and "-->" not in lines[number]:
        number += 1  # the rest of the header
    while number < len(lines):
        if not lines[number]:
            number += 1
            continue
        # A block ends at an empty line, or where an arrow stands that cannot be its own timings.
        end, arrow = number, None
        while end < len(lines) and lines[end]:
            if "-->" in lines[end]:
                if arrow is not None or end - number > 1:
                    break
                arrow = end
            end += 1
        cue = _cue(lines[number:end], number, arrow)
        if cue:
            yield cue
        number = end


def _cue(block: list[str], first: int, arrow: int | None) -> _Cue | None:
    """Read one block that begins at index `first`; None if it is a comment, a style or a region."""
    raw = "\n".join(block)
    if arrow is None:
        if _NO_CUE.match(block[0]):
            return None
        return _Cue(
            line=first + 1, cue_id="", raw=raw, why="The cue has no timing line (00:00:01.000 --> 00:00:02.000)."
        )
    at = arrow - first
    cue_id, timings, text = "".join(block[:at]).strip(), block[at], "\n".join(block[at + 1 :])
    match = _TIMINGS.fullmatch(timings)
    if not match:
        why = f"The times {timings[:60]!r} are malformed. Write them like 00:00:01.000 --> 00:00:02.000."
        return _Cue(line=arrow + 1, cue_id=cue_id, text=text, raw=raw, why=why)
    start_ms, end_ms = _milliseconds(match.groups()[:4]), _milliseconds(match.groups()[4:])
    if end_ms < start_ms:
        why = f"The cue ends before it starts ({timings[:60]!r})."
        return _Cue(line=arrow + 1, cue_id=cue_id, text=text, raw=raw, why=why)
    return _Cue(line=first + 1, cue_id=cue_id, start_ms=start_ms, end_ms=end_ms, text=text, raw=raw)


def _milliseconds(clock: Sequence[str | None]) -> int:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in clock)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


def _rising(cue_ids: list[str]) -> bool:
    if not all(re.fullmatch("[0-9]{1,15}", cue_id) for cue_id in cue_ids):
        return False
    numbers = [int(cue_id) for cue_id in cue_ids]
    return all(low < high for low, high in pairwise(numbers))


def _free(cue: _Cue, taken: set[str]) -> str:
    """Return the cue's identity within the file, and take it."""
    label = key = cue.cue_id or f"@{cue.start_ms}"
    count = 1
    while key in taken:
        count += 1
        key = f"{label}#{count}"
    taken.add(key)
    return key


# --- who is there ---------------------------------------------------------------------------------------------------


class _Everyone:
    """The people of the meeting: its speakers and its participants, each once."""

    def __init__(self, speakers: Iterator[str], participants: Sequence[PersonRef]) -> None:
        self._named = {name_key(person.name): person for person in reversed(participants) if person.name}
        for name in speakers:
            self._named.setdefault(name_key(name), PersonRef(name=name))
        once = dict.fromkeys([*self._named.values(), *participants])  # not a set: ties must not depend on the process
        self._sorted = sorted(once, key=lambda person: person.order)
        self._led: dict[str, tuple[PersonRef, ...]] = {}

    def led_by(self, speaker: str) -> tuple[PersonRef, ...]:
        """Return everybody, the speaker first; only an unknown person if nobody knows who speaks."""
        if speaker not in self._led:
            first = self._named[name_key(speaker)] if speaker else PersonRef()
            others = [person for person in self._sorted if person != first] if speaker else []
            self._led[speaker] = (first, *others)
        return self._led[speaker]
