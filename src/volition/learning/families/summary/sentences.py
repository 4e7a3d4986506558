"""A meeting cut into sentences, and what a quote from it is."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final
from unicodedata import east_asian_width

from volition.learning.families.family import canonical_order
from volition.records.lake import Row

# Chosen by cross-validation over meetings: in the same room, several short pieces say more than one long sentence.
_MAX_WORDS: Final = 30  # a longer one is cut, at its commas where it has some
_CUT_WORDS: Final = 15

# Up to a run of marks before white space, or the end; marks of writing without blanks need none after them. Each
# character is looked at once, whatever stands there.
_SENTENCE = re.compile(
    r"\S[^.!?…\u3002\uff01\uff1f]*+(?:[.!?…]++(?!\s|\Z)[^.!?…\u3002\uff01\uff1f]*+)*+[.!?…\u3002\uff01\uff1f]*+"
)
_WORDS = re.compile(r"\S+")
_TOKEN = re.compile(r"[^\W_]+")


def words_of(text: str) -> frozenset[str]:
    """Return the words of a list of words."""
    return frozenset(text.split())


# English. In another language these features are silent and the others carry the score.
COMMON = words_of(
    "a about after again all also am an and any are as at be because been before being but by can could did do does "
    "doing don down for from get go going got had has have he her here him his how i if in into is it its just kind "
    "know like ll lot m maybe me mean more my no not now of oh ok okay on one or our out re really right s said say "
    "she should so some sort t that the their them then there these they thing things think this those to too uh um "
    "up us ve very was we well were what when where which who why will with would yeah yes you your"
)
TOLD_KINDS: Final = ("decisions", "tasks")
"""Of what an edited summary says on which turns it rests."""

_FILLERS = words_of("ah er erm hm hmm mhm mm oh uh um")
_MOST_STUMBLES: Final = 10  # one word in so many
_FEWEST_TELLING: Final = 2  # words
_ALIKE: Final = 0.5  # of the telling words that a person wrote are in the line that they meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A quote.

    Attributes:
        quote: Verbatim, contiguous text of one segment.
        speaker: Who said it, as the transcript names them.
        turn: Which turn of the meeting it is from.
        start_ms: When that turn begins, in milliseconds from the start of the meeting.
        record_id: The record it is from.
        before: What it answers or goes on from; none where it can stand alone.
    """

    quote: str
    speaker: str
    turn: int
    start_ms: int
    record_id: str
    before: "Before | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The line before a quote that would hang in the air without it.

    Attributes:
        quote: Verbatim, a piece of one segment.
        speaker: Who said it, as the transcript names them.
        record_id: The record it is from.
    """

    quote: str
    speaker: str
    record_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Segments in the order of their turns, the edited summary, and the turns that it says things rest on, by kind."""

    account: str
    name: str
    segments: tuple[Row, ...]
    reference: str
    told: Mapping[str, tuple[int, ...]] | None = None

    def fingerprint(self) -> int:
        """Return 64 bits that say what of this meeting is learnt from."""
        whole = sha256(json.dumps([self.account, self.name, self.reference, self.told], sort_keys=True).encode())
        for row in self.segments:
            whole.update(json.dumps([row.record_id, row.payload], sort_keys=True).encode())
            whole.update(b"" if row.embedding is None else row.embedding.tobytes())
        return int.from_bytes(whole.digest()[:8])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """Characters `start` (included) to `end` (not included) of a segment's text; the `place`-th of `of` in it."""

    segment: int
    start: int
    end: int
    words: int
    place: int
    of: int


def in_turn(segments: Iterable[Row]) -> tuple[Row, ...]:
    """Return segments in the order in which they were said."""
    return tuple(sorted(segments, key=lambda row: (row.payload["turn"], row.payload["start_ms"], row.record_id)))


def meetings_of(rows: Iterable[Row], *, learnable: bool) -> dict[tuple[str, str], Meeting]:
    """Gather meetings by account and name; the last edited summary of a meeting counts."""
    segments: dict[tuple[str, str], list[Row]] = {}
    edited: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in canonical_order(rows):
        key = (row.account, str(row.payload.get("meeting")))
        match row.payload.get("kind"):
            case "segment":
                segments.setdefault(key, []).append(row)
            case "summary":
                edited[key] = row.payload
    return {
        key: Meeting(
            account=key[0],
            name=key[1],
            segments=in_turn(found),
            reference=edited[key]["text"] if key in edited else "",
            told=told_in(edited[key]) if key in edited else None,
        )
        for key, found in sorted(segments.items())
        if not learnable or key in edited
    }


def learnable_meetings(rows: Iterable[Row]) -> dict[tuple[str, str], Meeting]:
    """Gather the meetings that have an edited summary."""
    return meetings_of(rows, learnable=True)


def told_in(payload: Mapping[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """Return the turns that an edited summary says its decisions and tasks rest on; none where it says nothing."""
    told = payload.get("told")
    return None if told is None else {kind: tuple(map(int, told.get(kind, ()))) for kind in TOLD_KINDS}


def tokens_of(text: str) -> list[str]:
    """Return the words of a text, lower case."""
    return _TOKEN.findall(text.lower())


def turn_of(text: str, segments: Sequence[Row]) -> int | None:
    """Return the turn of the line that a sentence in somebody's own words most likely tells; none where none is near.

    It shares half of the sentence's telling words, and no other line shares as many.
    """
    wanted = {*tokens_of(text)} - COMMON
    shared = {row.payload["turn"]: len(wanted.intersection(tokens_of(row.payload["text"]))) for row in segments}
    most = max(shared.values(), default=0)
    best = [turn for turn, count in shared.items() if count == most]
    return best[0] if wanted and len(best) == 1 and most >= _ALIKE * len(wanted) else None


def reads_well(tokens: Sequence[str]) -> bool:
    """Return whether a sentence, in lower-case words, can stand alone on a page: it says something and stumbles little.

    Stumbles are fillers and words said twice in a row. In cross-validation it costs nothing to quote no others.
    """
    stumbles = sum(word in _FILLERS for word in tokens) + sum(word == after for word, after in pairwise(tokens))
    telling = len({*tokens} - COMMON - _FILLERS)
    return telling >= _FEWEST_TELLING and stumbles * _MOST_STUMBLES <= len(tokens)


def length_of(text: str) -> int:
    """Return how long a text is, in words: those between blanks, or as many as its characters would make.

    Two wide characters, as of Japanese or Chinese, are about a word; without blanks, eight others are.
    """
    wide = 0 if text.isascii() else sum(east_asian_width(character) in {"W", "F"} for character in text)
    return max(len(text.split()), (wide + 1) // 2 + (len(text) - wide) // 8)


def cut_sentences(text: str) -> list[tuple[int, int]]:
    """Cut a text into sentences; an endless one into runs of clauses, and an endless clause anywhere.

    Returns:
        Characters `start` (included) to `end` (not included) of each.
    """
    spans: list[tuple[int, int]] = []
    for sentence in _SENTENCE.finditer(text):
        words = [word.span() for word in _WORDS.finditer(text, *sentence.span())]
        if len(words) <= _MAX_WORDS:
            spans.append((words[0][0], words[-1][1]))
            continue
        first = 0
        for number, (_, end) in enumerate(words):
            count = number + 1 - first
            if count == _MAX_WORDS or (count >= _CUT_WORDS and text[end - 1] in ",;:") or number + 1 == len(words):
                spans.append((words[first][0], end))
                first = number + 1
    return spans


def sentences_of(segments: Sequence[Row]) -> list[Sentence]:
    """Cut the segments of a meeting into sentences."""
    found = []
    for number, row in enumerate(segments):
        text = row.payload["text"]
        spans = cut_sentences(text)
        for place, (start, end) in enumerate(spans):
            words = length_of(text[start:end])
            found.append(Sentence(segment=number, start=start, end=end, words=words, place=place, of=len(spans)))
    return found
