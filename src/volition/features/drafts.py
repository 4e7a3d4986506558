"""Drafts and tone: text that a person asked for, written by the end point's model, with guardrails.

A rewrite must not change what a text says. What can be checked without understanding the text is checked: names,
numbers and dates. A rewrite that loses one, or adds one, is refused, and the refusal names it. Meaning is not checked
beyond that, so a person reads a draft before it goes anywhere.

Only what the requesting person typed is sent; nothing is read from the lake.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from volition.errors import InvalidInputError, RefusedError
from volition.features.llm import Endpoint
from volition.learning.families.summary.sentences import COMMON

TONES: Final[Mapping[str, str]] = {
    "shorter": "Make the message shorter.",
    "longer": "Make the message a little longer and more explicit, without new facts.",
    "friendlier": "Make the message friendlier.",
    "formal": "Make the message more formal.",
}
"""The tones by name, each with the instruction that the model gets."""

_LONGEST: Final = 20_000  # characters
_TOKENS_MOST: Final = 1024
_KEEP: Final = "Keep every name, number and date exactly as written and add none. Answer with the message alone."

_NUMBERS: Final = re.compile(r"[$€£]?\d+(?:[.,:/-]\d+)*%?")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_BEFORE_A_SENTENCE: Final = frozenset('.!?:\u201c"(\u2022*-')
_OBJECT: Final = re.compile(r"\s+(?:the|a|an|me|us|it|this|that|these|those|your|my|our|his|her|their|them|you)\b")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CALENDAR: Final = _words(
    "monday tuesday wednesday thursday friday saturday sunday january february april june july august september "
    "october november december today tomorrow yesterday tonight"
)
_COUNTS: Final = _words(
    "zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion "
    "half dozen twice"
)
_OPENINGS: Final = _words(
    "hello hey hi dear thanks thank kind best warm regards cheers please let however therefore also furthermore "
    "moreover while although since thus otherwise each both another during every here additionally"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedText:
    """A text that a model wrote.

    Attributes:
        text: As the model wrote it.
        host: The host to which the person's words were sent.
        note: What the reader should know.
    """

    text: str
    host: str
    note: str


def draft(endpoint: Endpoint | None, about: str) -> GeneratedText:
    """Draft a message.

    Args:
        endpoint: The language model that writes.
        about: What the message should say.

    Raises:
        InvalidInputError: There is no end point, or the instructions are empty or too long.
        RefusedError: The draft has a name, number or date that it was not given.
        BackendError: The end point failed.
    """
    endpoint = _ready(endpoint, about)
    text = _write(endpoint, f"Write a short message that says what you are told. {_KEEP}", about)
    _, invented = changes(about, text)
    if invented:
        raise RefusedError(f"The draft was refused: it adds {_listed(invented)}. Say more, or write it yourself.")
    return GeneratedText(text=text, host=endpoint.host, note=_note(endpoint))


def rewrite(endpoint: Endpoint | None, text: str, tone: str) -> GeneratedText:
    """Rewrite a message in another tone.

    Args:
        endpoint: The language model that writes.
        text: The message.
        tone: One of `TONES`.

    Raises:
        InvalidInputError: There is no such tone or no end point, or the text is empty or too long.
        RefusedError: What was written loses or adds a name, number or date.
        BackendError: The end point failed.
    """
    if tone not in TONES:
        raise InvalidInputError(f"There is no tone {tone!r}. The tones are: {', '.join(TONES)}.")
    endpoint = _ready(endpoint, text)
    written = _write(endpoint, f"{TONES[tone]} {_KEEP}", text)
    lost, invented = changes(text, written)
    if lost or invented:
        faults = [f"loses {_listed(lost)}"] * bool(lost) + [f"adds {_listed(invented)}"] * bool(invented)
        raise RefusedError(f"The rewrite was refused: it {' and '.join(faults)}. Your text stays as it was.")
    return GeneratedText(text=written, host=endpoint.host, note=_note(endpoint))


def changes(before: str, after: str) -> tuple[list[str], list[str]]:
    """Return the names, numbers and dates that a rewritten text loses, and those that it adds."""
    return sorted(marks_of(before) - _all_in(after)), sorted(marks_of(after) - _all_in(before))


def marks_of(text: str) -> frozenset[str]:
    """Return the names, numbers and dates of a text, in lower case.

    A number is in digits or in words; a date is the name of a day or month and its numbers. A name is a capitalised
    word. One that begins a sentence counts unless it is a word that often does, or has an object after it ("Send the
    ..."): a false alarm costs a rewrite, a miss costs a fact. Names in scripts without capitals are not recognised.
    """
    marks = set(_NUMBERS.findall(text))
    for found in _WORD.finditer(text):
        low = _bare(found.group())
        if low in _CALENDAR or not _COUNTS.isdisjoint(low.split("-")):
            marks.add(low)
        elif found.group()[0].isupper() and low.split("'")[0] not in {"i", *_OPENINGS}:
            begins = _begins_sentence(text, found.start())
            ordinary = low in COMMON or low.endswith(("ly", "ing")) or _OBJECT.match(text, found.end()) is not None
            if not (begins and ordinary):
                marks.add(low)
    return frozenset(marks)


def _begins_sentence(text: str, at: int) -> bool:
    """Return whether a sentence, a line or a quotation begins at a character."""
    while at > 0 and text[at - 1].isspace():
        if text[at - 1] == "\n":
            return True
        at -= 1
    return at == 0 or text[at - 1] in _BEFORE_A_SENTENCE


def _all_in(text: str) -> frozenset[str]:
    return frozenset(_NUMBERS.findall(text)) | {_bare(word) for word in _WORD.findall(text)}


def _bare(word: str) -> str:
    return word.replace("\u2019", "'").removesuffix("'s").casefold()


def _ready(endpoint: Endpoint | None, text: str) -> Endpoint:
    if endpoint is None:
        msg = (
            "Drafts and tone need a language model, and none is configured. Add one under [endpoint] in volition.toml."
        )
        raise InvalidInputError(msg)
    if not text.strip() or len(text) > _LONGEST:
        raise InvalidInputError(
            f"The text has {len(text):,} characters. Give 1 to {_LONGEST:,}, not all of them blank."
        )
    return endpoint


def _write(endpoint: Endpoint, task: str, text: str) -> str:
    messages = [{"role": "system", "content": task}, {"role": "user", "content": text}]
    return endpoint.chat(messages, max_tokens=_TOKENS_MOST)


def _listed(marks: list[str]) -> str:
    return ", ".join(repr(mark) for mark in marks)


def _note(endpoint: Endpoint) -> str:
    return f"Written by {endpoint.model} at {endpoint.host}, where your text was sent. Read it before you use it."
