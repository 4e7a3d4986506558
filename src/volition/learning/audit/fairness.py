"""Fairness: whether the feature works as well for one group as for another.

Quality with training, for each group that is large enough to be shown (`groups`): the largest gap between two groups,
and the ratio of the worst to the best. Groups and comparisons are made by Fairlearn's MetricFrame; the interval is a
bootstrap within each group. The largest of several gaps is never below zero, and where groups are small it is large
by chance alone: the interval says by how much.

Sources: MetricFrame, difference and ratio between groups, Weerts et al. 2023, Fairlearn, JMLR 24(257); bootstrap,
Efron and Tibshirani 1993, chapter 13.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.learning.audit.cross_validation import Crossed
from volition.learning.audit.finding import Finding, at_most, not_measured
from volition.learning.audit.groups import FEWEST, UNRECORDED, Grouping, groupings, shown_groups
from volition.learning.audit.intervals import RESAMPLES, resampled_means
from volition.learning.families.family import Scores
from volition.records.lake import Row

AUDIT: Final = "fairness"

_MISSING: Final = "The package fairlearn is not installed. Install it with: pip install 'volition[audit]'."
_TOO_SMALL: Final = f"Fewer than two groups of at least {FEWEST} people can be shown without revealing smaller ones."


def measure_fairness(
    crossed: Crossed, rows: Sequence[Row], *, regions: Mapping[str, str], bound: float | None
) -> list[Finding]:
    """Compare the feature's quality between groups.

    Args:
        crossed: The scores of held-out units.
        rows: The snapshot's rows; they say what is on record of their people.
        regions: Party ("account:ID", "person:PSEUDONYM") -> region, where one is on record.
        bound: The largest gap that is small enough; none if nothing was set.

    Returns:
        One finding for each characteristic, whose value is the largest gap between two groups that are shown. Its
        detail holds `by` (the characteristic), `groups` (name -> {"value", "low", "high", "units", "people"}), the
        `ratio` of the worst to the best with `ratio_low` and `ratio_high` (none where the best is nought), `smallest`
        (people in the smallest group that is shown), `hidden` (how many groups are not shown) and `fewest` (how many
        people a group needs).
    """
    if crossed.fault:
        return [not_measured(AUDIT, crossed.fault, bound=bound)]
    return compare_groups(crossed.trained, rows, regions=regions, bound=bound)


def compare_groups(
    scores: Scores, rows: Sequence[Row], *, regions: Mapping[str, str], bound: float | None
) -> list[Finding]:
    """Compare scores between groups, however they were made. Arguments and result are those of `measure_fairness`."""
    return [_compare(scores, grouping, bound) for grouping in groupings(scores, rows, regions=regions)]


def _compare(scores: Scores, grouping: Grouping, bound: float | None) -> Finding:
    metric = f"gap in {scores.metric} by {grouping.name}"
    if grouping.why_not:
        return not_measured(AUDIT, grouping.why_not, metric=metric, bound=bound)
    shown = shown_groups(grouping.labels, scores.people)
    named = [name for name in shown if name != UNRECORDED]
    if len(named) < 2:
        return not_measured(AUDIT, _TOO_SMALL, metric=metric, bound=bound)
    try:
        means, gap, ratio = _between(grouping.labels, scores.values, named)
    except ImportError:
        return not_measured(AUDIT, _MISSING, metric=metric, bound=bound)

    labels = np.array(grouping.labels)
    places = {name: np.flatnonzero(labels == name) for name in shown}
    resampled = {name: resampled_means(scores.values[chosen]) for name, chosen in places.items()}
    drawn = np.stack([resampled[name] for name in named])
    low, high = np.percentile(drawn.max(axis=0) - drawn.min(axis=0), [2.5, 97.5])
    groups: dict[str, Any] = {}
    for name, chosen in places.items():
        own_low, own_high = np.percentile(resampled[name], [2.5, 97.5])
        people = {one for place in chosen for one in scores.people[place]} if scores.people else None
        groups[name] = {
            "value": means.get(name, float(scores.values[chosen].mean())),
            "low": float(own_low),
            "high": float(own_high),
            "units": len(chosen),
            "people": None if people is None else len(people),
        }
    sizes = [shown["units"] if shown["people"] is None else shown["people"] for shown in groups.values()]
    return Finding(
        audit=AUDIT,
        metric=metric,
        value=gap,
        low=float(low),
        high=float(high),
        bound=bound,
        verdict=at_most(gap, bound),
        units=sum(len(places[name]) for name in named),
        how=(
            f"Cross-validated quality with training, by {grouping.name}; Fairlearn's MetricFrame, largest difference "
            f"between groups; bootstrap within groups, {RESAMPLES:,} resamples, 95 %. Groups of fewer than {FEWEST} "
            "people are not shown, nor figures that would reveal them."
        ),
        detail={
            "by": grouping.name,
            "groups": groups,
            "ratio": ratio,
            **_ratio_interval(drawn, ratio),
            "smallest": min(sizes),
            "hidden": len(set(grouping.labels)) - len(shown),
            "fewest": FEWEST,
        },
    )


def _between(
    labels: Sequence[str], values: NDArray[np.float64], named: Sequence[str]
) -> tuple[dict[str, float], float, float | None]:
    """Return each group's mean, the largest difference and the smallest ratio between them.

    Raises:
        ImportError: Fairlearn is not installed.
    """
    from fairlearn.metrics import MetricFrame  # noqa: PLC0415 - it brings pandas and scikit-learn

    chosen = [place for place, label in enumerate(labels) if label in named]
    frame = MetricFrame(
        metrics=_mean,
        y_true=values[chosen],
        y_pred=values[chosen],
        sensitive_features=[labels[place] for place in chosen],
    )
    means = {str(name): float(mean) for name, mean in frame.by_group.items()}
    comparable = min(means.values()) >= 0 < max(means.values())
    ratio = float(frame.ratio(method="between_groups")) if comparable else None
    return means, float(frame.difference(method="between_groups")), ratio


def _mean(_true: NDArray[np.float64], scored: NDArray[np.float64]) -> float:
    return float(np.mean(scored))


def _ratio_interval(drawn: NDArray[np.float64], ratio: float | None) -> dict[str, float | None]:
    best, worst = drawn.max(axis=0), drawn.min(axis=0)
    if ratio is None or (best <= 0).any() or (worst < 0).any():
        return {"ratio_low": None, "ratio_high": None}
    low, high = np.percentile(worst / best, [2.5, 97.5])
    return {"ratio_low": float(low), "ratio_high": float(high)}
