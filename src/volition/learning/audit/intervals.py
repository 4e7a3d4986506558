"""Intervals: how sure a mean is, from the units that it rests on.

Source: percentile bootstrap, paired by unit, Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 2000
FEWEST: Final = 2
"""With one unit alone nothing says how much units differ."""

_SEED: Final = 20230811  # the same figures, the same interval
_CELLS: Final = 1 << 22  # drawn at a time: what fits into 32 MiB


def resampled_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of resamples of some values, drawn with replacement from a fixed seed.

    Args:
        values: Shape (units,), at least one.

    Returns:
        Shape (`RESAMPLES`,).
    """
    random = np.random.default_rng(_SEED)
    at_a_time = max(1, _CELLS // len(values))
    means = [
        values[random.integers(0, len(values), size=(min(at_a_time, RESAMPLES - done), len(values)))].mean(axis=1)
        for done in range(0, RESAMPLES, at_a_time)
    ]
    return np.concatenate(means)


def bootstrap_interval(values: NDArray[np.float64]) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % percentile bootstrap interval of a mean.

    Args:
        values: Shape (units,), one a unit; for a difference, the paired differences.

    Returns:
        Its lower and upper end; none and none for fewer than `FEWEST` units.
    """
    if len(values) < FEWEST:
        return None, None
    low, high = np.percentile(resampled_means(values), [2.5, 97.5])
    return float(low), float(high)


def ratio_interval(parts: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a mean over uses, resampling whole people (cluster bootstrap).

    Args:
        parts: For each person, at least one: the sum over their uses, and how many uses.
    """
    sums, counts = np.array(parts, dtype=np.float64).T
    drawn = np.random.default_rng(_SEED).integers(0, len(parts), size=(RESAMPLES, len(parts)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [2.5, 97.5])
    return float(low), float(high)
