"""Benefit: the feature's quality with and without training, by cross-validation, with a bootstrap interval.

Every unit (a query, a meeting, a person) is scored by a model that was trained without it, so the figure is about
data the model never saw. The released model is then trained on everything. Held-out rows come from the same gated
snapshot: measuring a model is part of the purpose it was trained for, and the terms' text says so.

Source: paired percentile bootstrap, Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
"""

from collections.abc import Sequence

import numpy as np

from volition.audit import Finding
from volition.errors import InvalidInputError
from volition.families import Family, NoParts, Progress, Scores, silent
from volition.lake import Row

_FOLDS = 5
_RESAMPLES = 2000
_FEWEST_UNITS = 2


def measure_benefit(family: Family, rows: Sequence[Row], *, progress: Progress, folds: int = _FOLDS) -> Finding:
    """Measure a family's feature with and without training on the rows of one snapshot.

    Args:
        family: What to measure.
        rows: The snapshot's rows.
        progress: Told how many folds are done.
        folds: Into how many parts the units are split.

    Returns:
        The finding; `measured` is false where too little was held out, or a fold had too little to learn from.
    """
    trained: list[Scores] = []
    untrained: list[Scores] = []
    for fold in range(folds):
        progress("measuring the benefit", fold, folds)
        known, held_out = family.holdout(rows, fold, folds)
        try:
            model = family.fit(known, parts=NoParts(), progress=silent)
        except InvalidInputError as error:
            return _not_measured(f"Without one part of {folds} there is too little to learn from: {error}")
        trained.append(family.evaluate(model, known, held_out))
        untrained.append(family.evaluate(None, known, held_out))
    progress("measuring the benefit", folds, folds)

    values = np.concatenate([scores.values for scores in trained])
    without = np.concatenate([scores.values for scores in untrained])
    accounts = np.array([account for scores in trained for account in scores.accounts])
    if len(values) < _FEWEST_UNITS:
        return _not_measured(f"Only {len(values)} units could be held out; an interval needs {_FEWEST_UNITS}.")
    low, high = bootstrap_interval(values - without)
    return Finding(
        audit="benefit",
        metric=trained[0].metric,
        measured=True,
        trained=float(values.mean()),
        untrained=float(without.mean()),
        difference=float((values - without).mean()),
        low=low,
        high=high,
        units=len(values),
        by_account={
            str(account): {
                "trained": float(values[accounts == account].mean()),
                "untrained": float(without[accounts == account].mean()),
                "units": float((accounts == account).sum()),
            }
            for account in np.unique(accounts)
        },
        how=f"{folds}-fold cross-validation by unit; paired bootstrap with {_RESAMPLES} resamples of the units, 95 %.",
    )


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


def _not_measured(why: str) -> Finding:
    return Finding(
        audit="benefit",
        metric="none",
        measured=False,
        trained=None,
        untrained=None,
        difference=None,
        low=None,
        high=None,
        units=0,
        by_account={},
        how=f"Not measured. {why}",
    )
