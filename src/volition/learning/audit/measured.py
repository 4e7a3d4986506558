"""Measured by the caller: findings from the scores that the operator's own code gives of a model of its own.

What is given are scores by unit and losses by row, not verdicts: benefit, fairness and the attack are computed from
them here, and each finding says that the caller measured it. What was not given is a finding, too: not measured.

Source of the attack: the threshold on a row's loss, Yeom et al. 2018, arXiv:1709.01604; that unlearned rows may stand
out by a loss that is too large, too, Hayes et al. 2024, arXiv:2403.01218.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.learning.audit.benefit import by_account, first_of
from volition.learning.audit.bounds import Bound
from volition.learning.audit.defaults import DEFAULTS, held
from volition.learning.audit.fairness import compare_groups
from volition.learning.audit.finding import Finding, at_least, at_most, not_measured
from volition.learning.audit.intervals import RESAMPLES, bootstrap_interval
from volition.learning.families.family import Scores
from volition.records.lake import Row

BY: Final = "Measured by the caller"
"""How the sentence of each such finding begins."""

RATE: Final = 0.05
"""The false-positive rate at which the attack on losses is counted: one row in twenty may be taken for a member."""

FEWEST_OTHERS: Final = 20
"""Rows that the model never saw, without which that rate cannot be measured."""

_CURVE: Final = (0.05, 0.1, 0.25, 0.5)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What the operator's own code measured of a model.

    Attributes:
        trained: Scores of held-out units by the model; higher is better.
        untrained: The same units' scores without a model, in the same order.
        member_losses: Shape (rows,), the model's loss on rows that it learned from.
        other_losses: Shape (rows,), its loss on rows that it never saw.
        how: How, in a sentence: what was held out, and what a score means.
    """

    trained: Scores | None = None
    untrained: Scores | None = None
    member_losses: Floats | None = None
    other_losses: Floats | None = None
    how: str

    def __post_init__(self) -> None:
        """Refuse what could not be compared.

        Raises:
            InvalidInputError: The units differ, a loss is no number, or nothing says how it was measured.
        """
        if not self.how.strip() or not self.how.isprintable():
            raise InvalidInputError("Say in one line how the scores were measured.")
        if self.untrained is not None and (self.trained is None or self.trained.units != self.untrained.units):
            raise InvalidInputError("The scores with and without a model are of different units. Give both for each.")
        if (self.member_losses is None) != (self.other_losses is None):
            raise InvalidInputError("An attack compares losses of rows that were learnt with others. Give both.")
        for losses in (self.member_losses, self.other_losses):
            if losses is not None and not np.isfinite(losses).all():
                raise InvalidInputError("A loss is not finite. Leave out rows that have none.")

    @classmethod
    def from_json(cls, value: Any) -> "Measured":  # noqa: ANN401 - any JSON value
        """Read a JSON object: `how`, `metric`, `units`, `member_losses`, `other_losses`.

        Each of `units` is `{"unit", "account", "trained", "untrained", "people"}`; `people` are pseudonyms.

        Raises:
            InvalidInputError: It is another object.
        """
        try:
            units = value.get("units", [])
            both = [_scores(value["metric"], units, key) if units else None for key in ("trained", "untrained")]
            losses = [_losses(value.get(key)) for key in ("member_losses", "other_losses")]
            how = str(value["how"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"The file is not what an audit of your own gives ({error!r}). The how-to shows its form."
            raise InvalidInputError(msg) from error
        trained, untrained = both
        return cls(trained=trained, untrained=untrained, member_losses=losses[0], other_losses=losses[1], how=how)


def _scores(metric: str, units: Sequence[Mapping[str, Any]], key: str) -> Scores | None:
    if any(key not in one for one in units):
        return None
    people = tuple(tuple(map(str, one.get("people", ()))) for one in units)
    return Scores(
        metric=str(metric),
        units=tuple(str(one["unit"]) for one in units),
        accounts=tuple(str(one["account"]) for one in units),
        values=np.array([one[key] for one in units], dtype=np.float64),
        people=people if all(people) else (),
    )


def _losses(value: Sequence[float] | None) -> Floats | None:
    return None if value is None else np.array(value, dtype=np.float64)


def measured_findings(
    measured: Measured,
    rows: Sequence[Row],
    *,
    regions: Mapping[str, str],
    bounds: Mapping[str, Bound],
) -> list[Finding]:
    """Return the findings that follow from what the caller measured, one or more for each audit there is.

    Args:
        measured: What the caller measured.
        rows: The snapshot's rows; they say what is on record of their people.
        regions: Party -> region, where one is on record.
        bounds: What each audit's figure is held against.

    Raises:
        InvalidInputError: A unit is of an account of which the snapshot has no row.
    """
    accounts = {row.account for row in rows}
    strange = [] if measured.trained is None else sorted(set(measured.trained.accounts) - accounts)
    if strange:
        raise InvalidInputError(f"A unit is of the account {strange[0]!r}, of which the snapshot has no row.")
    found = {
        "benefit": [_benefit(measured, bounds["benefit"].value)],
        "fairness": _fairness(measured, rows, regions, bounds["fairness"].value),
        "attack": [_attack(measured, bounds["attack"].value)],
    }
    left = "A training of one's own is not repeated by audits, and this one cannot be measured without."
    return [
        held(_by_caller(one, measured.how), bounds[audit])
        for audit in DEFAULTS
        for one in found.get(audit, [not_measured(audit, left, bound=bounds[audit].value)])
    ]


def _by_caller(found: Finding, how: str) -> Finding:
    return replace(found, how=f"{BY}: {how} {found.how}") if found.measured else found


def _benefit(measured: Measured, bound: float | None) -> Finding:
    trained, untrained = measured.trained, measured.untrained
    if trained is None or untrained is None or not trained.units:
        return not_measured("benefit", "The caller gave no scores with and without training.", bound=bound)
    differences = trained.values - untrained.values
    low, high = bootstrap_interval(differences)
    value = float(differences.mean())
    return Finding(
        audit="benefit",
        metric=trained.metric,
        value=value,
        low=low,
        high=high,
        bound=bound,
        verdict=at_least(value, bound),
        units=len(differences),
        how=f"With training less without; paired bootstrap with {RESAMPLES:,} resamples of the units, 95 %.",
        detail={
            "trained": float(trained.values.mean()),
            "untrained": float(untrained.values.mean()),
            **first_of(trained, untrained, slice(None)),
            "by_account": by_account(trained, untrained, sorted(set(trained.accounts)), {}),
        },
    )


def _fairness(
    measured: Measured, rows: Sequence[Row], regions: Mapping[str, str], bound: float | None
) -> list[Finding]:
    if measured.trained is None or not measured.trained.people:
        return [not_measured("fairness", "The caller did not say who each unit is about.", bound=bound)]
    found = compare_groups(measured.trained, rows, regions=regions, bound=bound)
    return [replace(one, how=one.how.removeprefix("Cross-validated quality")) for one in found]


def _attack(measured: Measured, bound: float | None) -> Finding:
    if measured.member_losses is None or measured.other_losses is None:
        return not_measured("attack", "The caller gave no losses.", metric=_metric(), bound=bound)
    return attack_on_losses(measured.member_losses, measured.other_losses, bound=bound)


def attack_on_losses(
    member_losses: Sequence[float] | Floats, other_losses: Sequence[float] | Floats, *, bound: float | None
) -> Finding:
    """Measure how many rows an attacker tells from rows that were never seen, by the model's loss alone.

    Args:
        member_losses: Shape (rows,), the loss on rows that were learnt, or unlearnt.
        other_losses: Shape (rows,), the loss on rows that the model never saw.
        bound: The largest true-positive rate that is good enough, from 0 to 1; none if nothing was set.

    Returns:
        The true-positive rate at `RATE` of the best of three attackers: one who looks for small losses, one for large
        ones, and one for both. Not measured without members, or with fewer others than `FEWEST_OTHERS`.
    """
    members, others = np.asarray(member_losses, dtype=np.float64), np.asarray(other_losses, dtype=np.float64)
    if not len(members) or len(others) < FEWEST_OTHERS:
        why = f"It takes rows that were learnt, and {FEWEST_OTHERS} that were never seen."
        return not_measured("attack", why, metric=_metric(), bound=bound)
    curve = {f"{rate:g}": _best(members, others, rate) for rate in _CURVE}
    value = curve[f"{RATE:g}"]
    low, high = _clopper_pearson(round(value * len(members)), len(members))
    return Finding(
        audit="attack",
        metric=_metric(),
        value=value,
        low=low,
        high=high,
        bound=bound,
        verdict=at_most(value, bound),
        units=len(members),
        how=(
            f"Attack by a threshold on the loss of {len(members)} rows beside {len(others)} that the model never saw: "
            "small losses, large ones, or either, whichever finds more; 95 % by Clopper-Pearson."
        ),
        detail={"false_positive_rate": RATE, "others": len(others), "curve": curve},
    )


def _metric() -> str:
    return f"TPR at {100 * RATE:g} % FPR"


def _best(members: Floats, others: Floats, rate: float) -> float:
    """Return the largest true-positive rate of the three attackers."""
    middle = float(np.median(others))
    views = ((-members, -others), (members, others), (np.abs(members - middle), np.abs(others - middle)))
    allowed = int(rate * len(others) + 1e-9)
    return max(float((of_members > np.sort(of_others)[-1 - allowed]).mean()) for of_members, of_others in views)


def _clopper_pearson(found: int, people: int) -> tuple[float, float]:
    from scipy.special import betaincinv  # noqa: PLC0415 - of the extra `learn`; the core reads findings without it

    low = 0.0 if found == 0 else float(betaincinv(found, people - found + 1, 0.025))
    high = 1.0 if found == people else float(betaincinv(found + 1, people - found, 0.975))
    return low, high
