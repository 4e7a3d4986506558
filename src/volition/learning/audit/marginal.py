"""Marginal effect: what a party's own data is worth, by leaving exactly that data out.

The plain way is to train again without the party. A family's `forget` gives the same model, to the byte, for less: by
subtracting what the party added, where the model is made of sums. The model with and the model without are asked the
same held-out units, so the difference is due to the party's data and to nothing else. The feature itself still reads
what it always reads: it is the training that is left out, as by a no to it.

Source: leave-one-out valuation of data, as the baseline in Ghorbani and Zou 2019, arXiv:1904.02868, section 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.learning.audit.cross_validation import Crossed, Fold
from volition.learning.audit.intervals import bootstrap_interval
from volition.learning.audit.trainings import unlearn
from volition.records.lake import Row

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """By how much some units score better with a party's data than without.

    Attributes:
        value: The mean difference, paired by unit; none where there was no unit to measure it on.
        low: Lower end of its 95 % interval; none for fewer than two units.
        high: Upper end of it.
        units: How many units it rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    units: int

    @classmethod
    def of(cls, differences: Vector) -> "Effect":
        """Return the effect that paired differences show, shape (units,)."""
        low, high = bootstrap_interval(differences)
        value = float(differences.mean()) if len(differences) else None
        return cls(value=value, low=low, high=high, units=len(differences))

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"value": self.value, "low": self.low, "high": self.high, "units": self.units}


def marginal_effect(
    crossed: Crossed, *, gone: Callable[[Row], bool], account: str, person: str | None = None
) -> tuple[Effect, Effect]:
    """Measure what some rows in training are worth to an account's units, and to one person's among them.

    Args:
        crossed: The folds, whose models learned from these rows.
        gone: Says of a row whether it is left out: whether the party's no to training would take it out.
        account: Whose units are asked.
        person: Pseudonym of the person whose own units are reported apart; none for no person.

    Returns:
        The effect on the account's units; and on those of them that are about the person.
    """
    differences: list[Vector] = []
    own: list[bool] = []
    for fold in crossed.folds:
        chosen = [place for place, owner in enumerate(fold.trained.accounts) if owner == account]
        if chosen:
            differences.append(fold.trained.values[chosen] - _without(crossed, fold, gone, account, chosen))
            own += [bool(fold.trained.people) and person in fold.trained.people[place] for place in chosen]
    found = np.concatenate(differences) if differences else np.zeros(0)
    return Effect.of(found), Effect.of(found[np.array(own, dtype=bool)])


def _without(crossed: Crossed, fold: Fold, gone: Callable[[Row], bool], account: str, chosen: Sequence[int]) -> Vector:
    """Score an account's held-out units by the fold's model without some rows."""
    left = [row for row in fold.known if not gone(row)]
    if len(left) == len(fold.known):
        return fold.trained.values[chosen]
    try:
        model = unlearn(crossed.family, fold.model, before=fold.known, after=left, parts=crossed.parts)
    except InvalidInputError:  # without them there would be no model at all
        return fold.untrained.values[chosen]
    scores = crossed.family.evaluate(model, fold.known, [row for row in fold.held if row.account == account])
    keys = zip(scores.accounts, scores.units, strict=True)
    found = dict(zip(keys, scores.values, strict=True))
    return np.array([found[account, fold.trained.units[place]] for place in chosen])
