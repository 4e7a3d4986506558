"""Checking: do the lines that a claim cites carry it? What can be told without understanding is told; when in doubt no.

A claim holds only if each of these does:

- Every name, number and date in it is in the lines that it cites, or is the name of who said one of them.
- Most of its content words are there, too. In scripts without blanks, pairs of characters stand for words.
- It denies exactly where the sentence that it is closest to denies. If several are equally close, where all do. A topic
  of a few words says what was spoken of and not what was said of it, so it may leave out a denial.
- Who is to do something said the closest line, or is named in it; by when is in the words of the lines.

    >>> why_not("The lamps cost 400 euros.", [line])                                      # doctest: +SKIP
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from volition.features.drafts import changes
from volition.features.written.claims import ClaimKind, Line
from volition.learning.families.summary.sentences import COMMON, words_of

NO_LINE: Final = "cites no line of the transcript"
MANY_LINES: Final = "cites too many lines"
UNKNOWN_LINE: Final = "cites a line that is not there"
OTHER_FACTS: Final = "has a name, a number or a date that its lines do not have"
OTHER_WORDS: Final = "uses other words than its lines"
DENIES: Final = "denies what its lines say, or the other way round"
OTHER_PERSON: Final = "gives a task to somebody whom its lines do not"

_SHARED: Final = 0.6  # at least this share of a claim's content words is in what it cites
_LABEL: Final = 6  # words at most of a topic that is a label
_STEM: Final = 5  # letters: "decide" and "decided" are one word, "battery" and "batteries" too
_TOKEN: Final = re.compile(r"[^\W\d_]+")
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_SENTENCE: Final = re.compile(r"[^.!?\u2026\u3002\uff01\uff1f]+[.!?\u2026\u3002\uff01\uff1f]*")
_DENIAL: Final = re.compile(
    r"\b(?:not|never|no|nobody|none|nothing|neither|nor|without|cannot|refus\w*|declin\w*|reject\w*|cancel\w*"
    r"|nicht|nichts|nie|niemals|niemand|ohne|weder|kein\w*|abgelehnt|abgesagt"
    r"|pas|jamais|aucune?|rien|sans|ni|nunca|nadie|ninguna?|ningún|nada|sin|senza|nessuno|niente"
    r"|niet|nooit|geen|niemand|zonder|não|nenhum|sem|inte|ingen|aldrig|ikke)\b|n['\u2019]t\b"
    r"|ない|ません|ず(?:に|、|。)|なかった|不|没|沒|無|无|않|못|없",
    re.IGNORECASE,
)
_GERMAN: Final = words_of(
    "aber alle als also am an auch auf aus bei bin bis da damit dann das dass dem den der des die dies diese dieser "
    "doch du ein eine einem einen einer er es euch für ganz gibt haben habe hat ich ihm ihn ihr im in ist ja jetzt "
    "kann man mehr mein mit nach noch nun nur oder schon sein sich sie sind so soll um und uns unser vom von vor war "
    "was wenn wer werden wie wir wird wo zu zum zur über"
)
_LEAST_GERMAN: Final = 2  # of its common words in a claim
_ENDINGS: Final = frozenset({"e", "n", "en", "s", "es", "er", "ern", "em"})
_SHORTEST: Final = 4  # letters of a word that may have an ending more


def why_not(
    text: str, lines: Sequence[Line], *, kind: ClaimKind = ClaimKind.OVERVIEW, who: str = "", due: str = ""
) -> str | None:
    """Return why some lines do not carry a claim; none if they do.

    Args:
        text: What it says.
        lines: Those that it cites.
        kind: What it is.
        who: Of a task: who does it.
        due: Of a task: by when.
    """
    if not lines:
        return NO_LINE
    source = " ".join(f"{line.speaker}: {line.text}" for line in lines)
    whole = " ".join(filter(None, (text, who, due)))
    if _invents(source, whole):
        return OTHER_FACTS
    said = content_words(" ".join(line.text for line in lines))
    # Who spoke is no word of what was said: "Ann resigns" must not hold for having a line of Ann's.
    words = content_words(text) - (content_words(" ".join(line.speaker for line in lines)) - said)
    if not words or len(words & said) < _SHARED * len(words) or not content_words(due) <= said:
        return OTHER_WORDS
    close = _closest(words, lines)
    is_label = kind is ClaimKind.TOPIC and len(text.split()) <= _LABEL and not denies(text)
    if not is_label and any(denies(sentence) != denies(text) for _, sentence in close):
        return DENIES
    if who and not any(_is_named(who, line) for line, _ in close):
        return OTHER_PERSON
    return None


def denies(text: str) -> bool:
    """Return whether a text denies or refuses anything, in the languages whose words for that are known here."""
    return _DENIAL.search(text) is not None


@lru_cache(maxsize=4096)
def content_words(text: str) -> frozenset[str]:
    """Return the words of a text that say what it is about: the first letters of each, or pairs of characters."""
    low = text.casefold()
    pairs = {run[at : at + 2] for run in _UNSPACED.findall(low) for at in range(max(1, len(run) - 1))}
    tokens = _TOKEN.findall(_UNSPACED.sub(" ", low))
    return frozenset(pairs | {word[:_STEM] for word in tokens if word not in COMMON and word not in _GERMAN})


def are_alike(one: str, other: str) -> bool:
    """Return whether two texts say nearly the same in nearly the same words."""
    words, others = content_words(one), content_words(other)
    return len(words & others) >= 0.8 * len(words | others) and denies(one) == denies(other)


def _invents(source: str, text: str) -> bool:
    """Return whether a text has names, numbers or dates that its source does not have."""
    _, invented = changes(source, text)
    if not invented:
        return False
    if len(_GERMAN.intersection(_TOKEN.findall(text.casefold()))) < _LEAST_GERMAN:
        return True
    known = _TOKEN.findall(source.casefold())  # German writes every noun like a name, and inflects it
    return not all(any(_is_form(word, other) for other in known) for word in invented)


def _is_form(word: str, other: str) -> bool:
    short, long = sorted((word, other), key=len)
    return len(short) >= _SHORTEST and long.startswith(short) and long[len(short) :] in _ENDINGS


def _closest(words: frozenset[str], lines: Iterable[Line]) -> list[tuple[Line, str]]:
    """Return the sentences of some lines that share most of some words, with their lines."""
    found = [
        (len(words & content_words(sentence)), line, sentence)
        for line in lines
        for sentence in _SENTENCE.findall(line.text) or [line.text]
    ]
    most = max(shared for shared, _, _ in found)
    return [(line, sentence) for shared, line, sentence in found if shared == most]


def _is_named(who: str, line: Line) -> bool:
    there = frozenset(_TOKEN.findall(f"{line.speaker} {line.text}".casefold()))
    named = frozenset(_TOKEN.findall(who.casefold()))
    return bool(named) and named <= there
