"""Keystrokes that completion saves when messages are typed again, by a writer who always looks.

The model of typing, exactly:

- Every character of a message is one keystroke, spaces, line ends, code and links included.
- Before each keystroke up to three suggestions are shown (`composer.SHOWN`). The writer accepts the one that saves
  most, with one keystroke, if it is what comes next in the message, up to the end of a word, and saves at least one.
- Accepting inserts the suggestion and a space. Where no space follows in the message, deleting it is one more.
- Labels of scrubbing, such as `[number]`, stand for text that was not typed: they count on neither side.

So `saved = 1 - pressed / plain`, the usual rate of keystroke savings (Trnka and McCoy 2008, "Evaluating Word
Prediction: Framing Keystroke Savings"). It bounds from above what people save: they do not always look, and looking
takes time. `precision` is of the first suggestion: how often, when something is shown, the first is what comes next.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from volition.learning.families.compose.composer import SHOWN, Completion

_LABEL: Final = re.compile(r"\[(?:email|link|number|person-[0-9a-f]{8})\]")


class Completes(Protocol):
    """What suggests: a `Composer`, or a rival."""

    def complete(self, account: str, text: str, *, limit: int = SHOWN) -> tuple[Completion, ...]:
        """Suggest how to go on, the best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Messages that were typed.

    Attributes:
        plain: Keystrokes without suggestions.
        pressed: Keystrokes with them.
        shown: How often something was shown.
        first_right: How often the first suggestion shown was what comes next.
        any_right: How often any of those shown was.
        accepted: How often one was accepted.
    """

    plain: int = 0
    pressed: int = 0
    shown: int = 0
    first_right: int = 0
    any_right: int = 0
    accepted: int = 0

    @property
    def saved(self) -> float:
        """The share of keystrokes saved, from 0 to 1; 0 if nothing was typed."""
        return 1 - self.pressed / self.plain if self.plain else 0.0

    def __add__(self, other: "Typed") -> "Typed":
        """Return both together."""
        return Typed(**{name: getattr(self, name) + getattr(other, name) for name in Typed.__slots__})


def type_messages(composer: Completes | None, account: str, texts: Iterable[str], *, limit: int = SHOWN) -> Typed:
    """Type messages with the suggestions of a composer; none suggests nothing."""
    total = Typed()
    for text in texts:
        total += _type_message(composer, account, text, limit)
    return total


def _type_message(composer: Completes | None, account: str, text: str, limit: int) -> Typed:
    labels = {match.start(): match.end() for match in _LABEL.finditer(text)}
    plain = pressed = shown = first_right = any_right = accepted = 0
    place = 0
    while place < len(text):
        if place in labels:
            place = labels[place]
            continue
        found = () if composer is None else composer.complete(account, text[:place], limit=limit)
        right = [_follows(text, place, completion.insert) for completion in found]
        shown += bool(found)
        first_right += bool(right and right[0])
        any_right += any(right)
        fitting = [one.insert for one, fits in zip(found, right, strict=True) if fits]
        insert = max(fitting, key=lambda insert: _saves(text, place, insert), default="")
        if insert and _saves(text, place, insert) > 0:
            spaced = text.startswith(" ", place + len(insert))
            plain += len(insert) + spaced
            pressed += 1 if spaced else 2
            accepted += 1
            place += len(insert) + spaced
        else:
            plain += 1
            pressed += 1
            place += 1
    return Typed(
        plain=plain, pressed=pressed, shown=shown, first_right=first_right, any_right=any_right, accepted=accepted
    )


def _saves(text: str, place: int, insert: str) -> int:
    """Return how many keystrokes it saves to accept an insertion that is what comes next."""
    return len(insert) if text.startswith(" ", place + len(insert)) else len(insert) - 2


def _follows(text: str, place: int, insert: str) -> bool:
    """Return whether an insertion is what comes next, up to the end of a word."""
    end = place + len(insert)
    return text.startswith(insert, place) and not text[end : end + 1].isalnum()
