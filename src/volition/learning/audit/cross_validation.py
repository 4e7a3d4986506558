"""Cross-validation: every unit scored by a model that was trained without it, and by the feature without training.

A unit is a query, a meeting, a person: what a family holds out as a whole. The released model is then trained on
everything, so the scores are about data that no model here saw. Held-out rows come from the same gated snapshot:
measuring a model is part of the purpose it was trained for, and the terms' text says so.

The audits of benefit and fairness read the same scores, and leave-one-out (`marginal`) starts from the same models.

Source: cross-validation, Stone 1974, doi:10.1111/j.2517-6161.1974.tb00994.x.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from volition.errors import InvalidInputError
from volition.learning.audit.trainings import learn
from volition.learning.families.family import Family, NoParts, Parts, Scores
from volition.learning.families.model import Model
from volition.progress import Progress
from volition.records.lake import Row

FOLDS: Final = 5
FEWEST_UNITS: Final = 2  # an interval needs two

_NOWHERE: Final = NoParts()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """One part of the units, held out.

    Attributes:
        known: The rows that were learnt from.
        held: The rows of the units that were held out.
        model: What was learnt.
        trained: The held-out units' scores by that model.
        untrained: The same units' scores, in the same order, without one.
    """

    known: Sequence[Row]
    held: Sequence[Row]
    model: Model
    trained: Scores
    untrained: Scores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crossed:
    """All folds of one snapshot's rows.

    Attributes:
        family: What was measured.
        folds: The folds; none where nothing could be measured.
        fault: Why nothing could be measured, in a sentence; empty where it could.
        parts: Where models are kept until the audits are done (see `trainings`).
    """

    family: Family
    folds: tuple[Fold, ...]
    fault: str
    parts: Parts = _NOWHERE

    @property
    def trained(self) -> Scores:
        """Every unit's score by the model that did not see it."""
        return joined(fold.trained for fold in self.folds)

    @property
    def untrained(self) -> Scores:
        """Every unit's score without training, in the same order."""
        return joined(fold.untrained for fold in self.folds)


def cross_validate(
    family: Family, rows: Sequence[Row], *, progress: Progress, folds: int = FOLDS, parts: Parts = _NOWHERE
) -> Crossed:
    """Score every unit of a snapshot's rows by a model that did not see it.

    Args:
        family: What to measure.
        rows: The snapshot's rows.
        progress: Called with how many folds are done.
        folds: Into how many parts the units are split.
        parts: Where models are kept until the audits are done (see `trainings`).

    Returns:
        The folds; or why not, where too little was held out or a fold had too little to learn from.
    """
    found: list[Fold] = []
    for fold in range(folds):
        progress("holding out and training", fold, folds)
        known, held = family.holdout(rows, fold, folds)
        try:
            model = learn(family, known, parts=parts)
        except InvalidInputError as error:
            return Crossed(family=family, folds=(), fault=f"Without one part of {folds}, too little is left: {error}")
        found.append(
            Fold(
                known=known,
                held=held,
                model=model,
                trained=family.evaluate(model, known, held),
                untrained=family.evaluate(None, known, held),
            )
        )
    progress("holding out and training", folds, folds)
    units = sum(len(fold.trained.units) for fold in found)
    if units < FEWEST_UNITS:
        fault = f"Only {units} units could be held out; an interval needs {FEWEST_UNITS}."
        return Crossed(family=family, folds=(), fault=fault)
    return Crossed(family=family, folds=tuple(found), fault="", parts=parts)


def joined(scores: Iterable[Scores]) -> Scores:
    """Return the scores of several folds, one after the other."""
    several = list(scores)
    known = all(len(one.people) == len(one.units) for one in several)
    firsts = [one.firsts for one in several if one.firsts is not None]
    return Scores(
        metric=several[0].metric,
        units=tuple(unit for one in several for unit in one.units),
        accounts=tuple(account for one in several for account in one.accounts),
        values=np.concatenate([one.values for one in several]),
        people=tuple(people for one in several for people in one.people) if known else (),
        firsts=np.concatenate(firsts) if len(firsts) == len(several) else None,
    )
