"""Corrections: what people change in a summary: a sentence put in other words, struck out, put back, or added.

What a person writes is theirs and is not checked. It is marked as theirs; what the model wrote before is not kept.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from volition.errors import ConflictError, InvalidInputError
from volition.features.written.claims import Claim, ClaimKind, WritingState, WrittenSummary
from volition.features.written.writing import MOST_CLAIMS

LONGEST = 2_000
"""Characters of a sentence that a person writes."""


def reworded(summary: WrittenSummary, claim: str, text: str) -> WrittenSummary:
    """Return a summary in which one claim says something else.

    Raises:
        InvalidInputError: There is no such claim, or the text is empty or too long.
        ConflictError: It is still being written.
    """
    told = _checked(text)
    return _changed(summary, claim, lambda one: one if one.text == told else replace(one, text=told, by_person=True))


def struck(summary: WrittenSummary, claim: str, *, is_struck: bool = True) -> WrittenSummary:
    """Return a summary in which one claim is struck out, or put back. Raises as `reworded`."""
    return _changed(summary, claim, lambda one: replace(one, is_struck=is_struck))


def added(summary: WrittenSummary, kind: ClaimKind, text: str) -> WrittenSummary:
    """Return a summary with a sentence more. Raises as `reworded`."""
    _refuse_unfinished(summary)
    if len(summary.claims) >= 2 * MOST_CLAIMS:
        raise InvalidInputError("The summary is too long for another sentence. Strike one out instead.")
    numbers = [int(one.id[1:]) for one in summary.claims if one.id.startswith("+")]
    claim = Claim(id=f"+{max(numbers, default=0) + 1}", kind=kind, text=_checked(text), by_person=True)
    return replace(summary, claims=(*summary.claims, claim))


CHANGES: Final = ("reword", "strike", "put back", "add")
"""What can be done to a sentence, as pages, the API and commands say it."""


def correction(
    do: str, *, claim: str = "", text: str = "", kind: str = ""
) -> Callable[[WrittenSummary], WrittenSummary]:
    """Return the change that somebody asks for in words.

    Args:
        do: One of `CHANGES`.
        claim: The claim's name; none to add one.
        text: What it should say.
        kind: Of what kind a claim to add is.

    Raises:
        InvalidInputError: There is no such change, or no such kind.
    """
    match do:
        case "reword":
            return lambda now: reworded(now, claim, text)
        case "strike":
            return lambda now: struck(now, claim)
        case "put back":
            return lambda now: struck(now, claim, is_struck=False)
        case "add" if (added_to := next((one for one in ClaimKind if one.value == kind), None)) is not None:
            return lambda now: added(now, added_to, text)
        case "add":
            raise InvalidInputError(f"A sentence is added to one of: {', '.join(one.value for one in ClaimKind)}.")
    raise InvalidInputError(f"This cannot be done to a summary. What can be done: {', '.join(CHANGES)}.")


def _changed(summary: WrittenSummary, claim: str, change: Callable[[Claim], Claim]) -> WrittenSummary:
    _refuse_unfinished(summary)
    if not any(one.id == claim for one in summary.claims):
        raise InvalidInputError("This sentence is no longer in the summary. Reload the page.")
    return replace(summary, claims=tuple(change(one) if one.id == claim else one for one in summary.claims))


def _refuse_unfinished(summary: WrittenSummary) -> None:
    if summary.state is not WritingState.DONE:
        raise ConflictError("The summary is not finished, so it cannot be changed yet.")


def _checked(text: str) -> str:
    told = " ".join(text.split())
    if not told or len(told) > LONGEST:
        raise InvalidInputError(f"Write 1 to {LONGEST:,} characters.")
    return told
