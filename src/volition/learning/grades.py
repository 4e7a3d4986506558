"""Grades of forgetting (exact and approximate machine unlearning): what a model promises for the day of a no.

A model's entry in the ledger says its grade, and so do its card, the pages, what is owed, and every bundle. Whatever
the grade, the due day holds: what is not forgotten by then is retired.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Grade(StrEnum):
    """How a model forgets, the surest first."""

    EXACT = "exact"
    EXACT_PREDICTIONS = "exact-predictions"
    RETRAINED = "retrained"
    APPROXIMATE = "approximate"
    RETIRED = "retired"


CALLER: Final = "caller"
"""Who trained a model, as its entry and its card say it, where code of the operator's own did."""

FAMILY: Final = "family"
"""Likewise, where a model family did."""

GRADE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Grade.EXACT: "exactly: the model that takes its place has the same bytes as one that never saw them.",
        Grade.EXACT_PREDICTIONS: "exactly by predictions: the model that takes its place predicts as one that never "
        "saw them.",
        Grade.RETRAINED: "by a command of the operator's, which trains another model without them; that it learns from "
        "nothing else is claimed.",
        Grade.APPROXIMATE: "approximately: traces of them may stay. A membership attack looks for them, and where it "
        "sees more than the bound, nothing counts as forgotten.",
        Grade.RETIRED: "by being retired: no model takes its place by itself.",
    }
)
"""How a model of each grade forgets, as cards and pages end the sentence "It forgets ..."."""

AFTERWARDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Grade.EXACT: "it is then replaced by a model that never saw them, or erased",
        Grade.EXACT_PREDICTIONS: "it is then replaced by a model that predicts as one that never saw them, or erased",
        Grade.RETRAINED: "the operator's own code then trains another one without them, or it is erased",
        Grade.APPROXIMATE: "they are then taken out approximately, as far as an attack finds nothing of them, or it is "
        "erased",
        Grade.RETIRED: "it is then erased",
    }
)
"""What becomes of a model of each grade, for people whom it learned from."""


def afterwards(forgets: str | None) -> str:
    """Return what becomes of a model after a no; of one whose entry does not say its grade, as all of then forgot."""
    return AFTERWARDS[forgets or Grade.EXACT]


def is_exact(forgets: str | None) -> bool:
    """Return whether a model's successor is one that never saw the rows, and can be compared with it."""
    return (forgets or Grade.EXACT) in {Grade.EXACT, Grade.EXACT_PREDICTIONS}
