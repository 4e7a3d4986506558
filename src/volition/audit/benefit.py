"""Benefit: the feature's quality with and without training, by cross-validation, with a bootstrap interval.

Every unit (a query, a meeting, a person) is scored by a model that was trained without it, so the figure is about
data the model never saw. The released model is then trained on everything. Held-out rows come from the same gated
snapshot: measuring a model is part of the purpose it was trained for, and the terms' text says so.

Source: paired percentile bootstrap, Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
"""

from collections.abc import Sequence

import numpy as np

from volition.audit import Finding, at_least, not_measured
from volition.errors import InvalidInputError
from volition.families import Family, NoParts, Progress, Scores, silent
from volition.lake import Row

_FOLDS = 5
_RESAMPLES = 2000
_FEWEST_UNITS = 2


def measure_benefit(
    family: Family, rows: Sequence[Row], *, bound: float | None, progress: Progress, folds: int = _FOLDS
) -> list[Finding]:
    """Measure a family's feature with and without training on the rows of one snapshot.

    Args:
        family: What to measure.
        rows: The snapshot's rows.
        bound: The least benefit that is good enough; none if nothing was set.
        progress: Told how many folds are done.
        folds: Into how many parts the units are split.

    Returns:
        One finding, whose value is the mean with training less the mean without, paired by unit; it is not measured
        where too little was held out, or a fold had too little to learn from. Its detail holds `trained` and
        `untrained` (the two means) and `by_account` (account -> {"trained", "untrained", "units"}).
    """
    trained: list[Scores] = []
    untrained: list[Scores] = []
    for fold in range(folds):
        progress("measuring the benefit", fold, folds)
        known, held_out = family.holdout(rows, fold, folds)
        try:
            model = family.fit(known, parts=NoParts(), progress=silent)
        except InvalidInputError as error:
            return [not_measured("benefit", f"Without one part of {folds}, too little is left: {error}", bound=bound)]
        trained.append(family.evaluate(model, known, held_out))
        untrained.append(family.evaluate(None, known, held_out))
    progress("measuring the benefit", folds, folds)

    values = np.concatenate([scores.values for scores in trained])
    without = np.concatenate([scores.values for scores in untrained])
    accounts = np.array([account for scores in trained for account in scores.accounts])
    if len(values) < _FEWEST_UNITS:
        why = f"Only {len(values)} units could be held out; an interval needs {_FEWEST_UNITS}."
        return [not_measured("benefit", why, bound=bound)]
    difference = float((values - without).mean())
    low, high = bootstrap_interval(values - without)
    finding = Finding(
        audit="benefit",
        metric=trained[0].metric,
        value=difference,
        low=low,
        high=high,
        bound=bound,
        verdict=at_least(difference, bound),
        units=len(values),
        how=f"{folds}-fold cross-validation by unit; paired bootstrap with {_RESAMPLES} resamples of the units, 95 %.",
        detail={
            "trained": float(values.mean()),
            "untrained": float(without.mean()),
            "by_account": {
                str(account): {
                    "trained": float(values[accounts == account].mean()),
                    "untrained": float(without[accounts == account].mean()),
                    "units": int((accounts == account).sum()),
                }
                for account in np.unique(accounts)
            },
        },
    )
    return [finding]


def bootstrap_interval(differences: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a mean.

    Args:
        differences: Shape (units,), one paired difference a unit.

    Returns:
        Its lower and upper end. The resamples are drawn from a fixed seed: the same differences, the same interval.
    """
    draws = np.random.default_rng(20230811).integers(0, len(differences), size=(_RESAMPLES, len(differences)))
    low, high = np.percentile(differences[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
