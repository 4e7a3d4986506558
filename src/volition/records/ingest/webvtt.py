"""WebVTT transcripts, as Zoom, Teams and Meet export them, read into transcript segments.

Promises:

- A malformed cue becomes a `Reject` with its line; the cues around it are kept.
- A segment concerns its speaker first, then everybody else who speaks in the meeting and all participants.
- In doubt somebody is a speaker: a name too many keeps the meeting out until somebody answers for it, while a name
  too few would use a person's words unasked.

Who speaks. The first form that the file shows decides, so its cues are looked at twice:

1. Voice tags, `<v Name>text</v>` (Teams): the tag names the speaker, and colons in the text mean nothing.
2. `Name: text` (Zoom). What stands before the first `: ` is a candidate if it has at most five words, what follows
   in parentheses not counted. A candidate is a speaker if it is a participant; or, unless it is a label such as
   "Note", if it comes again, or is written like a name (no word of it begins with a small letter), or if every cue
   of the file begins with a candidate, so that the file evidently labels all of them. A later line of a cue changes
   the speaker only to one already found so.
3. A name on a line of its own above the text (Meet): only if every cue of several lines begins with a candidate
   written like a name, and one of them comes again or is a participant.

A cue without a name is spoken by whoever spoke before it. Before the first name, after a cue whose words could not be
read and in a voice tag without a name nobody knows who speaks: the people are then one `PersonRef` with nothing in it.

The parser is our own, after W3C WebVTT section 6 ("Parsing"): webvtt-py gives no line numbers, and either drops what is
malformed without a word or stops at the first of it. Stricter than section 6 are only three things, each of which
would lose words or misdate them silently: bytes that are not UTF-8, a block without timings that is no comment, style
or region, and an end before its start. More lenient is one: exporters that round write `00:12:60.000` for the
thirteenth minute, whose meaning is plain.
"""

import codecs
import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from volition.errors import InvalidInputError
from volition.records.ingest import Draft, PersonRef, Reject

_LINE_END = re.compile(r"\r\n|\n|\r")  # not str.splitlines, which also splits at U+2028 and the like
_CLOCK = r"(?:([0-9]{1,6}):)?([0-5][0-9]):([0-5][0-9]|60(?=\.000))\.([0-9]{3})"
_TIMINGS = re.compile(rf"[ \t\f]*{_CLOCK}[ \t\f]*-->[ \t\f]*{_CLOCK}(?:[ \t\f].*)?")
_NO_CUE = re.compile(r"NOTE(?:[ \t]|$)|(?:STYLE|REGION)[ \t\f]*$")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?(?:\s+([^<>]*))?>")
_OTHER_TAG = re.compile(r"</?(?:c|i|b|u|v|ruby|rt|lang)(?:\.[^\s<>]*)?(?:\s[^<>]*)?>|<[0-9:.]+>")
_OPEN_VOICE = re.compile(r"<v(?:[\s.]|$)")
_LABELLED = re.compile(r"\s*([^:]{1,120}):(?:\s+(.*)|)$", re.DOTALL)

_MOST_WORDS = 5
_PARTICLES = frozenset(
    ("al", "bin", "da", "de", "del", "den", "der", "di", "do", "dos", "du", "el", "la", "le", "of", "ter", "van", "von")
)
# English only: in another language such a label passes for a name, which is the safe mistake.
_LABELS = frozenset(
    re.split(
        r",\s*",
        """a, action, action item, action items, agenda, also, and, answer, but, decision, edit, example, first,
        for example, important, link, next, note, notes, ps, q, question, quote, reminder, second, so, summary, third,
        tip, to do, todo, update, url, warning""",
    )
)


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
) -> Iterator[Draft | Reject]:
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
        A draft of category `content/transcript` for each voice in each cue, a reject for each malformed cue.

    Raises:
        InvalidInputError: The file is empty, is not text, or does not begin with WEBVTT.

    Source: W3C WebVTT, sections 6.1 (file), 6.3 (timings) and 6.4 (cue text).
    """
    if not account:
        raise InvalidInputError(f"{source}: no account was given, so nobody could be asked. Name the account.")
    cues = list(_parse(_decode(data, source), source))
    spoken = [_voices(cue.text) for cue in cues]
    split = _splitter(spoken, [person.name for person in participants if person.name])
    parts = [[piece for voice in voices for piece in split(*voice)] for voices in spoken]
    everyone = _Everyone((name for pieces in parts for name, _ in pieces if name), participants)

    numbered = _rising([cue.cue_id for cue in cues if not cue.why]) and all(len(pieces) == 1 for pieces in parts)
    taken: set[str] = set()
    speaker = ""
    place = 0
    for cue, pieces in zip(cues, parts, strict=True):
        unread = bool(_OPEN_VOICE.search(_VOICE.sub("", cue.text))) or (cue.why is not None and not cue.text)
        why = cue.why
        if not why and unread:
            why = "A voice tag <v ...> is not closed by >, so its speaker is unknown."
        if not why and not any(text for _, text in pieces):
            why = "The cue has no text."
        if why:
            names = [name for name, _ in pieces if name is not None]
            speaker = "" if unread else [speaker, *names][-1]
            place += 1
            if cue.cue_id:
                _free(cue, taken)  # so that mending this cue changes no other cue's key
            yield Reject(source=source, where=f"line {cue.line}", why=why, raw=cue.raw)
            continue
        for name, text in pieces:
            speaker = speaker if name is None else name
            if not text:
                continue  # a name alone, or a voice of several without words
            key = _free(cue, taken)
            try:
                yield Draft(
                    key=f"webvtt:{meeting}:{key}",
                    account=account,
                    people=everyone.led_by(speaker),
                    category="content/transcript",
                    at_us=start_us + cue.start_ms * 1000,
                    payload={
                        "kind": "segment",
                        "meeting": meeting,
                        "turn": int(cue.cue_id) if numbered else place,
                        "start_ms": cue.start_ms,
                        "end_ms": cue.end_ms,
                        "speaker": speaker,
                        "text": text,
                    },
                )
            except InvalidInputError as error:
                yield Reject(source=source, where=f"line {cue.line}", why=str(error), raw=cue.raw)
            place += 1


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


# --- who speaks -----------------------------------------------------------------------------------------------------

_Voice = tuple[str | None, str]  # speaker (None: whoever spoke before, "": unknown) and text
_Splitter = Callable[[str | None, str], list[_Voice]]


def _voices(text: str) -> list[_Voice]:
    """Cut a cue's text at its voice tags and take the other tags and the character references out."""
    before, *rest = _VOICE.split(text)
    voices: list[_Voice] = [(None, before)] if before.strip() or not rest else []
    voices += [(name or "", words) for name, words in zip(rest[::2], rest[1::2], strict=True)]
    return [
        (name if name is None else _one_line(html.unescape(name)), html.unescape(_OTHER_TAG.sub("", words)))
        for name, words in voices
    ]


def _splitter(spoken: list[list[_Voice]], participants: list[str]) -> _Splitter:
    """Look at the whole file once and return how a cue's text is cut into voices (the rule of the module)."""
    if any(name is not None for voices in spoken for name, _ in voices):
        return lambda name, text: [(name, _one_line(text))]
    known = {_key(name) for name in participants}
    texts = [voices[0][1] for voices in spoken if voices[0][1].strip()]
    speakers = _labelled_speakers(texts, known)
    if speakers:
        return lambda _, text: _cut_at_names(text, speakers)
    speakers = _heading_speakers(texts, known)
    return lambda _, text: _cut_at_heading(text, speakers)


def _labelled_speakers(texts: list[str], known: set[str]) -> set[str]:
    """Return the speakers of `Name: text`, as keys."""
    firsts = [_label(text.split("\n", 1)[0]) for text in texts]
    counts = Counter(_key(name) for name in firsts if name)
    all_labelled = None not in firsts
    return {
        _key(name)
        for name in firsts
        if name
        and (
            _key(name) in known
            or (_key(name) not in _LABELS and (counts[_key(name)] > 1 or all_labelled or _is_written_like_a_name(name)))
        )
    }


def _label(line: str) -> str | None:
    """Return what may be a name before the first colon of a line."""
    match = _LABELLED.match(line)
    return match[1].strip() if match and _is_short(match[1]) else None


def _cut_at_names(text: str, speakers: set[str]) -> list[_Voice]:
    pieces: list[tuple[str | None, list[str]]] = []
    for line in text.split("\n"):
        name = _label(line)
        if name and _key(name) in speakers:
            pieces.append((_one_line(name), [line.split(":", 1)[1]]))
        elif pieces:
            pieces[-1][1].append(line)
        else:
            pieces.append((None, [line]))
    return [(name, _one_line(" ".join(lines))) for name, lines in pieces]


def _heading_speakers(texts: list[str], known: set[str]) -> set[str]:
    """Return the speakers of names on their own lines, as keys; empty if the file is not written so."""
    firsts = [_one_line(text.split("\n", 1)[0]).strip("()") for text in texts if "\n" in text.strip()]
    counts = Counter(map(_key, firsts))
    all_names = all(_is_short(name) and _is_written_like_a_name(name) and name[-1] not in ".?!,;" for name in firsts)
    return set(counts) if all_names and any(count > 1 or name in known for name, count in counts.items()) else set()


def _cut_at_heading(text: str, speakers: set[str]) -> list[_Voice]:
    first, _, rest = text.strip().partition("\n")
    name = _one_line(first).strip("()")
    return [(name, _one_line(rest))] if rest and _key(name) in speakers else [(None, _one_line(text))]


def _is_short(name: str) -> bool:
    words = name.split("(", 1)[0].split()
    return 0 < len(words) <= _MOST_WORDS and any(map(str.isalpha, name))


def _is_written_like_a_name(name: str) -> bool:
    """Say whether no word before a parenthesis begins with a small letter; scripts without case always pass."""
    words = name.split("(", 1)[0].split()
    return bool(words) and not any(word[0].islower() and word not in _PARTICLES for word in words)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _key(name: str) -> str:
    return _one_line(name).casefold()


class _Everyone:
    """The people of the meeting: its speakers and its participants, each once."""

    def __init__(self, speakers: Iterator[str], participants: Sequence[PersonRef]) -> None:
        self._named = {_key(person.name): person for person in reversed(participants) if person.name}
        for name in speakers:
            self._named.setdefault(_key(name), PersonRef(name=name))
        once = dict.fromkeys([*self._named.values(), *participants])  # not a set: ties must not depend on the process
        self._sorted = sorted(once, key=lambda person: person.order)
        self._led: dict[str, tuple[PersonRef, ...]] = {}

    def led_by(self, speaker: str) -> tuple[PersonRef, ...]:
        """Return everybody, the speaker first; only an unknown person if nobody knows who speaks."""
        if speaker not in self._led:
            first = self._named[_key(speaker)] if speaker else PersonRef()
            others = [person for person in self._sorted if person != first] if speaker else []
            self._led[speaker] = (first, *others)
        return self._led[speaker]
