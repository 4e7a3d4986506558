"""Which sentences settle something, and which hand out work: a linear classifier over cues (logistic regression).

A cue is something that is seen in a sentence, in its line or in the lines around it: "that's decided", a name with a
verb after it, a day, an answer that accepts. Cues have the same names in every language, so that one table of weights
serves all. The weights were fitted on labelled meetings, none of them a customer's: `python -m bench minutes` says on
which, how well they do on others, and fits them anew. They are whole numbers, so that every machine finds the same.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from math import log
from typing import Final

from volition.learning.families.summary.due import due_in
from volition.learning.families.summary.languages.english import ENGLISH
from volition.learning.families.summary.languages.german import GERMAN
from volition.learning.families.summary.languages.phrases import Phrases
from volition.learning.families.summary.sentences import cut_sentences

LANGUAGES: Final = (ENGLISH, GERMAN)

_ANY_DAY: Final = date(2000, 1, 1)
_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_FEWEST_COMMON: Final = 0.08  # of a text's words are common ones of its language, or it is in none that is known
_FEW_WORDS: Final = 40
_SHORT, _LONG, _LONG_LINE = 5, 25, 30  # words
_RECENT, _NEAR = 12, 6  # lines before
_LONGEST: Final = 1000  # characters of a sentence that are looked at
_BARE: Final = 25  # characters of "Okay." and the like

_SETTLING: Final = (
    "settled outright", "chosen", "so then", "agreed first", "we do", "rule", "none of it", "stays or goes",
    "short order",
)  # fmt: skip
_DIRTY: Final = ("hedged", "conditional", "past", "reported", "meeting talk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a transcript: who said it, and what."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A sentence and what is seen in it.

    Attributes:
        line: The place of its line, from 0.
        start: The character of the line that it begins with (included).
        end: The character of the line that it ends before (not included).
        cues: The strength of each cue that is seen, by name; one that is not seen is missing.
        given_to: The speaker to whom it gives something by name; none where it names nobody.
        name_end: The character of the sentence after that name.
        is_outright: Whether it gives it in words that can mean nothing else.
    """

    line: int
    start: int
    end: int
    cues: Mapping[str, float]
    given_to: str | None
    name_end: int
    is_outright: bool


def language_of(lines: Sequence[Line]) -> Phrases | None:
    """Return the phrases of the language that lines are in; none if it is not known well enough."""
    words = [word for line in lines for word in line.text.casefold().split()]
    shares = {phrases.code: sum(word in phrases.common for word in words) for phrases in LANGUAGES}
    best = max(LANGUAGES, key=lambda phrases: shares[phrases.code])
    if len(words) < _FEW_WORDS:  # too few to tell: what is not in it has no phrases of it, either
        return best
    return best if shares[best.code] >= _FEWEST_COMMON * len(words) else None


def see(lines: Sequence[Line], phrases: Phrases) -> Iterator[Seen]:
    """Yield every sentence of a meeting with what is seen in it, in order."""
    meeting = _Meeting(lines=lines, phrases=phrases)
    for number in range(len(lines)):
        yield from meeting.see(number)


@dataclass(frozen=True, kw_only=True)
class _Meeting:
    lines: Sequence[Line]
    phrases: Phrases

    @cached_property
    def speakers(self) -> frozenset[str]:
        """Everybody who speaks."""
        return frozenset(line.speaker for line in self.lines)

    @cached_property
    def chair(self) -> str:
        """Who asks and sums up most often."""
        cues = self.phrases.cues
        led: dict[str, int] = {}
        for line in self.lines:
            sums_up = any(cues[name].search(line.text) for name in ("so then", "agreed first", "chosen"))
            led[line.speaker] = led.get(line.speaker, 0) + ("?" in line.text) + 2 * sums_up
        return max(sorted(led), key=lambda speaker: led[speaker])

    @cached_property
    def rough(self) -> float:
        """How much people stumble, from 0 to 2: talk written down word by word is harder to read."""
        words = sum(len(line.text.split()) for line in self.lines)
        stumbles = sum(len(self.phrases.cues["stumbles"].findall(line.text)) for line in self.lines)
        return min(2.0, 20 * stumbles / max(1, words))

    @cached_property
    def words(self) -> tuple[frozenset[str], ...]:
        """The longer words of each line."""
        return tuple(frozenset(_WORD.findall(line.text.casefold())) for line in self.lines)

    def see(self, number: int) -> Iterator[Seen]:
        """Yield the sentences of one line."""
        line, cues = self.lines[number], self.phrases.cues
        spans = cut_sentences(line.text)
        settles = ("settled outright", "chosen", "short order", "so then", "agreed first")
        texts = [line.text[start : min(end, start + _LONGEST)].replace("\u2019", "'") for start, end in spans]
        settling = [any(cues[name].search(text) for name in settles) for text in texts]
        around = self._around(number)
        for place, ((start, end), text) in enumerate(zip(spans, texts, strict=True)):
            seen = {name: 1.0 for name, pattern in cues.items() if pattern.search(text)}
            who, name_end, is_outright, addressed = self._given(text, line.speaker)
            seen |= around
            _put(seen, "due", due_in(text, _ANY_DAY) is not None)
            _put(seen, "named", who is not None)
            _put(seen, "addressed", addressed)
            _put(seen, "question", text.endswith("?"))
            words = len(text.split())
            _put(seen, "short", words < _SHORT)
            _put(seen, "long", words >= _LONG)
            _put(seen, "alone", len(spans) == 1)
            mine = _WORD.findall(text.casefold())
            before = frozenset().union(*self.words[max(0, number - _RECENT) : number])
            _put(seen, "recap", len(before.intersection(mine)) / max(3, len({*mine})))
            _put(seen, "line settles", any(settling[:place] + settling[place + 1 :]))
            bare = spans[0][1] - spans[0][0] < _BARE
            _put(seen, "line accepts", place > 0 and bare and self.phrases.accepts.search(texts[0]) is not None)
            _combine(seen)
            yield Seen(
                line=number, start=start, end=end, cues=seen, given_to=who, name_end=name_end, is_outright=is_outright
            )

    def _around(self, number: int) -> dict[str, float]:
        """Return what is seen around a line."""
        line, phrases = self.lines[number], self.phrases
        after = next((other for other in self.lines[number + 1 : number + 3] if other.speaker != line.speaker), None)
        before = self.lines[number - 1] if number and self.lines[number - 1].speaker != line.speaker else None
        seen: dict[str, float] = {}
        if after is not None:
            _put(seen, "accepted", phrases.accepts.search(after.text) is not None)
            _put(seen, "refused", phrases.refuses.search(after.text) is not None)
            _put(seen, "taken", phrases.takes.search(after.text) is not None)
        if before is not None:
            _put(seen, "proposed before", phrases.cues["hedged"].search(before.text) is not None)
            _put(seen, "asked before", "?" in before.text)
        _put(seen, "chair", line.speaker == self.chair)
        _put(seen, "rough", self.rough)
        _put(seen, "long line", max(0.0, log(max(1, len(line.text.split())) / _LONG_LINE)))
        talked = {other.speaker for other in self.lines[max(0, number - _NEAR) : number]}
        _put(seen, "discussed", min(4, len(talked)) / 4)
        return seen

    def _given(self, text: str, speaker: str) -> tuple[str | None, int, bool, bool]:
        """Return to whom a sentence gives something by name, where that name ends, how surely, and if it calls one."""
        who, name_end, is_outright, addressed = None, 0, False, False
        for name, whose in self._names.items():
            if whose == speaker or name not in text:
                continue
            for found in re.finditer(rf"\b{re.escape(name)}\b", text):
                after = self.phrases.after_name.match(text, found.end())
                if after is not None or self.phrases.before_name.search(text[: found.start()]):
                    who, name_end = whose, found.end()
                    is_outright = is_outright or (after is not None and after["outright"] is not None)
                elif re.match(r"[,?.!]|$", text[found.end() :]):
                    addressed = (
                        addressed or re.search(r"(?:^|[,.] ?(?:and |so |und )?)$", text[: found.start()]) is not None
                    )
        return who, name_end, is_outright, addressed

    @cached_property
    def _names(self) -> dict[str, str]:
        """Each name, or a part of one, that is one speaker's alone."""
        whose: dict[str, set[str]] = {}
        for speaker in sorted(self.speakers):
            for name in {speaker, *speaker.split()}:
                if len(name) > 1 and name[0].isupper():
                    whose.setdefault(name, set()).add(speaker)
        return {name: next(iter(owners)) for name, owners in sorted(whose.items()) if len(owners) == 1}


def _put(seen: dict[str, float], name: str, value: float) -> None:
    if value:
        seen[name] = float(value)


def _combine(seen: dict[str, float]) -> None:
    """Add what several cues say together."""
    due = "due" in seen
    _put(seen, "promise due", due and ("own promise" in seen or "own present" in seen))
    _put(seen, "order due", due and any(name in seen for name in ("told to", "you do", "named", "addressed")))
    _put(seen, "person about due", due and "named" in seen)
    clean = "question" not in seen and not any(name in seen for name in _DIRTY)
    settling = min(4, sum(name in seen for name in _SETTLING)) / 2
    chair = "chair" in seen
    ruled = any(name in seen for name in ("rule", "none of it", "stays or goes"))
    opens = "so then" in seen or "agreed first" in seen
    plain = clean and "first person" not in seen and "describes" not in seen and "short" not in seen
    term = plain and (due or "an amount" in seen)
    done = clean and "is done" in seen
    seen.pop("is done", None)
    _put(seen, "settling", settling)
    _put(seen, "clean settling", clean and settling)
    _put(seen, "clean rule", clean and ruled)
    _put(seen, "clean so we", clean and opens and ("we do" in seen or ruled))
    _put(seen, "clean we", clean and "we do" in seen)
    _put(seen, "chair settling", clean and chair and settling)
    _put(seen, "plain", plain)
    _put(seen, "plain term", term)
    _put(seen, "plain rule", plain and "rule" in seen)
    _put(seen, "plain start", plain and "lead" in seen)
    _put(seen, "plain chair", plain and chair)
    _put(seen, "then plain", plain and "then" in seen)
    _put(seen, "passive", done)
    _put(seen, "chair passive", chair and done)
    _put(seen, "chair plain term", chair and term)
    _put(seen, "chair line settles", chair and "line settles" in seen)


BIAS: Final = "otherwise"
_ONE: Final = 64  # fixed point

# Hundredths, as `python -m bench minutes --only weights` fits them.
DECISION: Final[Mapping[str, int]] = {
    BIAS: -638, "about somebody else": -38, "accepted": 27, "addressed": 16, "agreed first": -24, "alone": 49,
    "an amount": 47, "asked before": -6, "chair": 93, "chair line settles": 113, "chair passive": 54,
    "chair plain term": 87, "chair settling": 83, "chosen": 126, "clean rule": 34, "clean settling": 96,
    "clean so we": 60, "clean we": 36, "conditional": 20, "denied": 44, "describes": -14, "discussed": 118,
    "due": -10, "filler start": -93, "first person": -12, "hedged": 84, "lead": 66, "line accepts": 3,
    "line settles": 57, "long": -60, "long line": -141, "meeting talk": -21, "named": 46, "none of it": -33,
    "order due": -55, "own offer": -29, "own present": 21, "own promise": -8, "passive": 196, "past": -53,
    "person about due": -30, "plain": 93, "plain chair": -9, "plain rule": 73, "plain start": 20, "plain term": -29,
    "please": 49, "promise due": -33, "proposed before": 33, "put off": -43, "question": -118, "recap": 187,
    "refused": -66, "reported": -21, "rough": -43, "rule": 21, "settled outright": 184, "settling": 110,
    "short": -99, "short order": 144, "so then": -136, "stays or goes": -46, "stumbles": 31, "taken": 78, "then": 8,
    "then plain": -56, "told to": 58, "wanted by": -13, "we do": -17, "we need somebody": 202, "you do": -49,
}  # fmt: skip
TASK: Final[Mapping[str, int]] = {
    BIAS: -560, "about somebody else": -13, "accepted": 77, "addressed": 65, "agreed first": 27, "alone": 58,
    "an amount": 11, "asked before": -44, "chair": -21, "chair line settles": 99, "chair plain term": -29,
    "chair settling": -41, "clean rule": 4, "clean settling": -13, "clean so we": -6, "clean we": -25,
    "conditional": -106, "denied": -104, "describes": -49, "discussed": 93, "due": 330, "filler start": -57,
    "first person": 166, "hedged": 10, "lead": 46, "line accepts": -20, "line settles": -39, "long": -52,
    "long line": -59, "meeting talk": 14, "named": 216, "none of it": -28, "order due": 102, "own offer": 118,
    "own present": 168, "own promise": 262, "passive": 72, "past": -67, "person about due": 124, "plain": 59,
    "plain chair": 61, "plain rule": -57, "plain start": -28, "plain term": -67, "please": 53, "promise due": 58,
    "proposed before": -29, "put off": -24, "question": -71, "recap": 81, "refused": -51, "reported": -15,
    "rough": -121, "rule": 5, "settled outright": 1, "settling": -42, "short": -11, "short order": -17,
    "so then": -5, "stays or goes": -31, "stumbles": 57, "taken": 74, "then": 79, "then plain": -56, "told to": 251,
    "wanted by": -17, "we do": -36, "we need somebody": -8, "you do": 216,
}  # fmt: skip


def is_spotted(weights: Mapping[str, int], cues: Mapping[str, float]) -> bool:
    """Return whether cues speak for a decision or a task more than against one."""
    return weights[BIAS] * _ONE + sum(weights.get(name, 0) * round(_ONE * value) for name, value in cues.items()) > 0
