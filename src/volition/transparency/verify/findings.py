"""Checking the findings in a card: a verdict follows from the figure and its bound, a figure from its own details.

Whether an audit measured what it says cannot be told without the model and the rows: that is claimed. What contradicts
itself is refused, and so is a finding of an audit that there is not.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from volition.errors import InvalidInputError, ProofError
from volition.learning.audit.canary import WRITERS
from volition.learning.audit.defaults import DEFAULTS, verdict_on
from volition.learning.audit.finding import SURELY, Finding
from volition.learning.audit.groups import UNRECORDED
from volition.transparency.verify import forms

_CLOSE: Final = 1e-9  # sums of the same numbers in another order

Figures = Mapping[str, Any]


def check_findings(stated: Sequence[Figures], accounts: Mapping[str, int]) -> list[Finding]:
    """Return the findings of a card, each of which holds together.

    Args:
        stated: As the card has them.
        accounts: The accounts of the snapshot.

    Raises:
        ProofError: One does not, with which and why.
    """
    findings: list[Finding] = []
    for one in stated:
        try:
            found = Finding.from_json(one)
        except InvalidInputError as error:
            raise ProofError(f"A finding of the card cannot be: {error}") from error
        _check(found, accounts)
        findings.append(found)
    if not findings:
        raise ProofError("The card has no finding: the model was released without an audit.")
    if len({(found.audit, found.metric) for found in findings}) < len(findings):
        raise ProofError("The card has two findings of one audit by one measure.")
    bounds = {(found.audit, found.bound) for found in findings}
    if len(bounds) > len({audit for audit, _ in bounds}):
        raise ProofError("The card holds findings of one audit against different bounds.")
    return findings


def _check(found: Finding, accounts: Mapping[str, int]) -> None:
    name = f"The finding {found.audit}, {found.metric},"
    if found.audit not in DEFAULTS:
        raise ProofError(f"The card has a finding of {found.audit!r}, and there is no such audit.")
    for figure in (found.value, found.low, found.high, found.bound):
        if figure is not None and not _is_figure(figure):
            raise ProofError(f"{name} has a figure that is none: {figure!r}.")
    if not _is_count(found.units) or not all(isinstance(text, str) for text in (found.metric, found.how)):
        raise ProofError(f"{name} does not say on how many units it rests, or how it was measured.")
    right = verdict_on(found.audit, (found.value, found.low, found.high), found.bound, surely=_is_sure(found, name))
    if found.verdict != right:
        raise ProofError(f"{name} says {found.verdict!r} where its figure and its bound give {right!r}.")
    if found.value is None:
        if (found.low, found.high, found.units, dict(found.detail)) != (None, None, 0, {}):
            raise ProofError(f"{name} was not measured, and yet has figures.")
        return
    _check_interval(found, name)
    try:
        follows = _FOLLOWS[found.audit](found, accounts)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        follows = False
    if not follows:
        raise ProofError(f"{name} has a figure that does not follow from its own details.")


def _is_sure(found: Finding, name: str) -> bool:
    """Return whether the finding is held against its bound by the end of its interval."""
    if not isinstance(found.detail, Mapping) or SURELY not in found.detail:
        return False
    if found.detail[SURELY] is not True or found.bound is None:
        raise ProofError(f"{name} does not say how it is held against its bound.")
    return True


def _check_interval(found: Finding, name: str) -> None:
    if (found.low is None) != (found.high is None):
        raise ProofError(f"{name} has half an interval.")
    if found.low is None or found.high is None or found.value is None:
        return
    if found.low > found.high:
        raise ProofError(f"{name} has an interval that ends before it begins.")
    # Between small groups the largest gap of a resample is mostly larger than the gap itself (see `audit.fairness`).
    if found.audit != "fairness" and not found.low - _CLOSE <= found.value <= found.high + _CLOSE:
        raise ProofError(f"{name} has a figure outside its own interval.")


def _benefit(found: Finding, accounts: Mapping[str, int]) -> bool:
    detail = found.detail
    by_account: Mapping[str, Figures] = detail["by_account"]
    return (
        _same(found.value, detail["trained"] - detail["untrained"])
        and by_account.keys() <= accounts.keys()
        and all(_same(one["value"], one["trained"] - one["untrained"]) for one in by_account.values())
        and all(_is_count(one["units"]) for one in by_account.values())
        and sum(one["units"] for one in by_account.values()) == found.units
        and _same(found.value, sum(one["units"] * one["value"] for one in by_account.values()) / found.units)
    )


def _fairness(found: Finding, _accounts: Mapping[str, int]) -> bool:
    detail, groups = found.detail, found.detail["groups"]
    named = [figures for name, figures in groups.items() if name != UNRECORDED]
    means = [figures["value"] for figures in named]
    best, worst = max(means), min(means)
    sizes = [figures["units"] if figures["people"] is None else figures["people"] for figures in groups.values()]
    ratio = worst / best if worst >= 0 < best else None
    return (
        _same(found.value, best - worst)
        and (detail["ratio"] is None or _is_figure(detail["ratio"]))
        and _same(detail["ratio"], ratio)
        and sum(figures["units"] for figures in named) == found.units
        and min(sizes) == detail["smallest"] >= detail["fewest"]
        and found.metric.endswith(f" by {detail['by']}")
    )


def _attack(found: Finding, _accounts: Mapping[str, int]) -> bool:
    rate, curve = found.detail["false_positive_rate"], found.detail["curve"]
    rates, shown = [float(one) for one in curve], list(curve.values())
    return (
        found.metric == f"TPR at {100 * rate:g} % FPR"
        and all(map(_is_figure, shown))
        and all(_same(height, found.value) for one, height in zip(rates, shown, strict=True) if one == rate)
        and rates == sorted(rates)  # else the order in which they are shown would be another than that of the numbers
        and shown == sorted(shown)
    )


def _canary(found: Finding, _accounts: Mapping[str, int]) -> bool:
    alone = found.detail["by_writers"][str(WRITERS[0])]
    ranks = alone["ranks"]
    bits = [math.log2(found.detail["secrets"]) - math.log2(rank) for rank in ranks]
    return (
        forms.same([alone["value"], alone["low"], alone["high"]], [found.value, found.low, found.high])
        and all(map(_is_figure, ranks))
        and len(bits) == found.units
        and _same(found.value, sum(bits) / len(bits))
    )


def _poisoning(found: Finding, _accounts: Mapping[str, int]) -> bool:
    parties, left_out, value = found.detail["parties"], found.detail["left_out"], found.value or 0.0
    shown = isinstance(parties, list) and _is_count(left_out) and len(parties) <= left_out
    return shown if value == 0 else shown and _same(value, parties[0]["z"])


_FOLLOWS: Final[Mapping[str, Callable[[Finding, Mapping[str, int]], bool]]] = {
    "benefit": _benefit,
    "fairness": _fairness,
    "attack": _attack,
    "canary": _canary,
    "poisoning": _poisoning,
}


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
