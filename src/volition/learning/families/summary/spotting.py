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
from volition.learning.families.summary.weights import BIAS

LANGUAGES: Final = (ENGLISH, GERMAN)

_ANY_DAY: Final = date(2000, 1, 1)
_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_FEWEST_COMMON: Final = 0.08  # of a text's words are common ones of its language, or it is in none that is known
_FEW_WORDS: Final = 40
_LAST_LATIN: Final = "\u024f"  # above it, letters are of no language that is known here
_SHORT, _LONG, _LONG_LINE = 5, 25, 30  # words
_RECENT, _NEAR = 12, 6  # lines before
_LONGEST: Final = 1000  # characters of a sentence that are looked at
_BARE: Final = 25  # characters of "Okay." and the like
_SPEECH: Final = 30  # words of a line, on average
_AFTER: Final = 3  # lines, in which whoever leads asks on
_MANY_WORDS: Final = 15
_FEW_ANSWERED: Final = 4  # words

_TAG: Final = re.compile(
    r", (?:ja|bitte|oder|okay|ok|right|all ?right|yes|please|(?:would|will|could|can) you)\?$", re.IGNORECASE
)  # what is so asked back is said
_SUMS_UP: Final = ("so then", "agreed first", "chosen", "settled outright", "short order")
_SAYS_NEXT: Final = ("lead", "meeting talk")

_SETTLING: Final = (
    "settled outright", "chosen", "so then", "agreed first", "we do", "rule", "none of it", "stays or goes",
    "short order",
)  # fmt: skip
_ONE: Final = 64  # fixed point
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
    letters = [letter for line in lines for letter in line.text if letter.isalpha()]
    if sum(letter > _LAST_LATIN for letter in letters) > len(letters) / 2:
        return None
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
    def leads(self) -> dict[str, float]:
        """How much each speaker leads, as a share of whoever does most: sums up, calls on people, says what is next."""
        cues = self.phrases.cues
        led = dict.fromkeys(sorted(self.speakers), 1)
        for line in self.lines:
            for start, end in cut_sentences(line.text):
                text = line.text[start : min(end, start + _LONGEST)]
                who, _, _, addressed = self._given(text, line.speaker)
                led[line.speaker] += 2 * any(cues[name].search(text) for name in _SUMS_UP) + 2 * (who is not None)
                led[line.speaker] += 2 * addressed + sum(cues[name].search(text) is not None for name in _SAYS_NEXT)
        most = max(led.values())
        return {speaker: count / most for speaker, count in led.items()}

    @cached_property
    def chair(self) -> str:
        """Who leads most."""
        return max(self.leads, key=lambda speaker: self.leads[speaker])

    @cached_property
    def speeches(self) -> float:
        """How long people speak, from 0 to 2: where statements are read out, little is settled."""
        words = sum(len(line.text.split()) for line in self.lines)
        return min(2.0, max(0.0, words / max(1, len(self.lines)) / _SPEECH - 0.5))

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
        after = frozenset().union(*self.words[number + 1 : number + 1 + _NEAR])
        later = frozenset().union(*self.words[number + _AFTER : number + _RECENT])
        for place, ((start, end), text) in enumerate(zip(spans, texts, strict=True)):
            seen = {name: 1.0 for name, pattern in cues.items() if pattern.search(text)}
            who, name_end, is_outright, addressed = self._given(text, line.speaker)
            seen |= around
            _put(seen, "due", due_in(text, _ANY_DAY) is not None)
            _put(seen, "named", who is not None)
            _put(seen, "addressed", addressed)
            _put(seen, "question", text.endswith("?") and not _TAG.search(text))
            words = len(text.split())
            _put(seen, "short", words < _SHORT)
            _put(seen, "long", words >= _LONG)
            _put(seen, "words", min(2.0, words / _MANY_WORDS))
            _put(seen, "no verb", seen.pop("a verb", None) is None and words > 1)
            _put(seen, "alone", len(spans) == 1)
            mine = _WORD.findall(text.casefold())
            before = frozenset().union(*self.words[max(0, number - _RECENT) : number])
            _put(seen, "recap", len(before.intersection(mine)) / max(3, len({*mine})))
            _put(seen, "goes on", len(after.intersection(mine)) / max(3, len({*mine})))
            _put(seen, "dropped", len(before.intersection(mine) - later) / max(3, len({*mine})))
            _put(seen, "first", place == 0)
            _put(seen, "names somebody", any(name in text for name in self._names))
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
        _put(seen, "leads", self.leads[line.speaker])
        _put(seen, "speeches", self.speeches)
        _put(seen, "hard to read", min(1.0, self.rough + self.speeches))
        _put(seen, "place", number / len(self.lines))
        near = self.lines[number + 1 : number + 1 + _AFTER]
        _put(seen, "short answer", bool(near) and len(near[0].text.split()) <= _FEW_ANSWERED)
        _put(seen, "asks on", any(other.speaker == self.chair and "?" in other.text for other in near))
        _put(seen, "asked", sum("?" in other.text for other in self.lines[max(0, number - _NEAR) : number]) / _NEAR)
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
    _put(seen, "chair clean", chair and clean)
    _put(seen, "chair recap", chair and clean and seen.get("recap", 0.0))
    _put(seen, "chair amount", chair and clean and "an amount" in seen)
    _put(seen, "chair first", chair and "first" in seen)
    _put(seen, "chair describes", chair and clean and "describes" in seen and "first person" not in seen)
    _put(seen, "chair words", chair and clean and seen["words"])
    _put(seen, "chair no verb", chair and "no verb" in seen)
    _put(seen, "chair so", chair and clean and "it is so" in seen)
    handed = any(name in seen for name in ("named", "addressed", "told to", "you do", "please"))
    _put(seen, "handed out", chair and handed)
    promised = any(name in seen for name in ("own promise", "own present", "own will", "own going"))
    _put(seen, "promised", clean and promised and "denied" not in seen)
    _put(seen, "rough promise", seen.get("rough", 0.0) if promised else 0.0)
    _put(seen, "rough you do", seen.get("rough", 0.0) if "you do" in seen else 0.0)
    _put(seen, "will due", due and ("own will" in seen or "own going" in seen))


def score(weights: Mapping[str, int], cues: Mapping[str, float]) -> float:
    """Return how far cues speak for a decision or a task, in hundredths; below 0 they speak against one."""
    return weights[BIAS] + sum(weights.get(name, 0) * round(_ONE * value) for name, value in cues.items()) / _ONE
