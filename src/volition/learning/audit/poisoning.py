"""Data poisoning: whose data makes the model worse for everyone else? Parties are left out one by one, exactly.

For each account, and for each person among the colleagues of the same account, the model forgets the party by the
family's own exact `forget`, and both models are asked about what others do, on rows that neither has seen:

- *harm*: how much better the others' quality is without the party. It is negative for a party whose data only
  helps.
- *influence*: how much the quality of single units moves, in either direction. A large influence alone is no fault.

A party stands out when its harm is far from that of the others by a robust rule, the modified z-score (0.6745 times
the distance from the median, in median absolute deviations), which a poisoner cannot hide from by being extreme; and
it counts only if the harm is more than chance, by a bootstrap over units, at a level shared by all that are looked at:
the luckiest of many who do no harm must not be accused.

Sources: influence by leaving out, Cook 1977, doi:10.1080/00401706.1977.10489493; the modified z-score and its
bound of 3.5, Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.learning.audit.finding import Finding, at_most, not_measured
from volition.learning.audit.intervals import bootstrap_interval, resampled_means
from volition.learning.audit.owners import owner_of
from volition.learning.audit.trainings import learn, unlearn
from volition.learning.families.family import Family, NoParts, Parts
from volition.learning.families.model import Model
from volition.progress import Progress
from volition.records.lake import Row

Floats = NDArray[np.float64]

AUDIT: Final = "poisoning"
MOST_PARTIES: Final = 8
"""The most accounts, and the most people, that are left out, those with most rows first: each costs one `forget`."""

FEWEST_PARTIES: Final = 5
"""Among fewer parties, none can be said to stand out."""

STANDS_OUT: Final = 3.5
"""The usual bound of the modified z-score: who is beyond it is named, also where no bound was set."""

FOLDS: Final = 2
"""One half of the units is held out: there must be many to see what one party does to the others."""

ACCOUNT: Final = "account"
PERSON: Final = "person"

_SHOWN: Final = 5
_NOWHERE: Final = NoParts()
_LEVEL: Final = 0.025


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What happens to the others when a party is left out.

    Attributes:
        party: "account:ID" or "person:PSEUDONYM".
        account: The account that it is, or belongs to.
        rows: Rows that it had among those learned from.
        changes: Shape (units,), others' held-out units: quality without the party less quality with it.
        harm: Mean of the changes.
        low: Lower end of the 95 % interval of the harm.
        high: Upper end of it.
    """

    party: str
    account: str
    rows: int
    changes: Floats
    harm: float
    low: float
    high: float

    @property
    def influence(self) -> float:
        """Mean size of the changes, in whichever direction."""
        return float(np.abs(self.changes).mean())


def measure_poisoning(  # noqa: PLR0913 - what is audited, and how
    family: Family,
    rows: Sequence[Row],
    *,
    bound: float | None,
    progress: Progress,
    most: int = MOST_PARTIES,
    parts: Parts = _NOWHERE,
) -> list[Finding]:
    """Leave parties out one by one and find those that make the model worse for everybody else.

    Args:
        family: What was trained.
        rows: The snapshot's rows.
        bound: The largest modified z-score of a harmful party that is good enough; none if nothing was set.
        progress: Called with how many parties were left out.
        most: How many accounts, and how many people, to leave out at most.
        parts: Where models are kept until the audit is done (see `trainings`).

    Returns:
        Two findings, for accounts and for people among their colleagues: the largest modified z-score of the harm,
        counting only harm that is more than chance. It is 0 where no party does such harm. `detail["parties"]` holds
        those with most harm, the worst first; a person is named only where they stand out.
    """
    known, held_out = family.holdout(rows, 0, FOLDS)
    kinds = (ACCOUNT, PERSON)
    wanted = {kind: _parties(known, kind, most) for kind in kinds}
    if not any(wanted.values()):
        return [_finding(kind, (), bound) for kind in kinds]
    try:
        model = learn(family, known, parts=parts)
    except InvalidInputError as error:
        why = f"Without one part of {FOLDS} there is too little to learn from: {error}"
        return [not_measured(AUDIT, why, metric=_metric(kind), bound=bound) for kind in kinds]
    total = sum(map(len, wanted.values()))
    findings = []
    done = 0
    for kind in kinds:
        found = []
        for account, key, count in wanted[kind]:
            progress("leaving parties out", done, total)
            done += 1
            left = _leave_out(
                family, model, known, held_out, kind=kind, key=key, account=account, rows=count, parts=parts
            )
            if left is not None:
                found.append(left)
        findings.append(_finding(kind, found, bound))
    progress("leaving parties out", total, total)
    return findings


def _parties(rows: Sequence[Row], kind: str, most: int) -> list[tuple[str, str, int]]:
    """Return the parties to leave out as (account, key, rows), by account; those with most rows if there are too many.

    Accounts are compared with one another and people with their colleagues: where there are too few, none is left out.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        key = row.account if kind == ACCOUNT else owner_of(row)
        if key is not None:
            counts[row.account, key] += 1
    beside = Counter(_group(kind, account) for account, _ in counts)
    compared = [place for place in counts if beside[_group(kind, place[0])] >= FEWEST_PARTIES]
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for place in sorted(compared, key=lambda place: (-counts[place], place)):
        groups[_group(kind, place[0])].append(place)
    # As many groups as there can be enough parties of, and of each the same number: a party is compared within its own.
    largest = sorted(groups.values(), key=lambda group: (-sum(counts[place] for place in group), group[0]))
    looked_at = largest[: max(1, most // FEWEST_PARTIES)]
    chosen = [place for group in looked_at for place in group[: most // len(looked_at)]]
    return [(account, key, counts[account, key]) for account, key in sorted(chosen)]


def _group(kind: str, account: str) -> str:
    """Return the group that a party is compared with: all accounts, or the people of its account."""
    return "" if kind == ACCOUNT else account


def _leave_out(  # noqa: PLR0913 - what a party is, and what it is left out of
    family: Family,
    model: Model,
    known: Sequence[Row],
    held_out: Sequence[Row],
    *,
    kind: str,
    key: str,
    account: str,
    rows: int,
    parts: Parts,
) -> LeftOut | None:
    """Compare the model with and without a party on what others do; none where that cannot be done."""

    def others(whole: Sequence[Row]) -> list[Row]:
        if kind == ACCOUNT:
            return [row for row in whole if row.account != key]
        return [row for row in whole if owner_of(row) != key]

    known_others, held_others = others(known), others(held_out)
    try:
        without = unlearn(family, model, before=known, after=known_others, parts=parts)
    except InvalidInputError:  # nothing would be left to learn from
        return None
    before = family.evaluate(model, known_others, held_others)
    after = family.evaluate(without, known_others, held_others)
    if not len(before.values) or before.units != after.units:
        return None
    changes = after.values - before.values
    low, high = bootstrap_interval(changes)
    if low is None or high is None:
        return None
    return LeftOut(
        party=f"{kind}:{key}",
        account=account,
        rows=rows,
        changes=changes,
        harm=float(changes.mean()),
        low=low,
        high=high,
    )


def robust_scale(values: Sequence[float]) -> tuple[float, float]:
    """Return the median of some values and their robust deviation, for normal values about the standard deviation.

    It is the median absolute deviation over 0.6745. Where that is 0, since more than half of the values are equal, the
    mean absolute deviation is used instead, scaled in the same way. Where all are equal it is infinite: none is far
    away.

    Source: the modified z-score, Iglewicz and Hoaglin 1993, chapter 3.
    """
    array = np.asarray(values, dtype=np.float64)
    middle = float(np.median(array))
    away = np.abs(array - middle)
    for spread in (float(np.median(away)) / 0.6745, float(away.mean()) * 1.2533):
        if spread > 1e-12:
            return middle, spread
    return middle, float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    """A party that was left out, beside the others of its group: their median harm, and the robust deviation."""

    left: LeftOut
    middle: float
    spread: float
    counts: bool  # whether the harm is more than chance, at a level that all who are looked at share (Bonferroni)

    @classmethod
    def among(cls, group: Sequence[LeftOut], left: LeftOut, *, looked_at: int) -> "_Scored":
        middle, spread = robust_scale([other.harm for other in group])
        surely = float(np.quantile(resampled_means(left.changes), _LEVEL / looked_at))
        return cls(left=left, middle=middle, spread=spread, counts=surely > 0)

    def of(self, harm: float) -> float:
        """Return the modified z-score of a harm."""
        return (harm - self.middle) / self.spread

    @property
    def z(self) -> float:
        return self.of(self.left.harm)

    def to_json(self, *, named: bool) -> dict[str, Any]:
        """Return the party's figures; those of people who do not stand out carry no name."""
        left = self.left
        return {
            "party": left.party if named else None,
            "account": left.account,
            "rows": left.rows,
            "harm": left.harm,
            "low": left.low,
            "high": left.high,
            "influence": left.influence,
            "z": self.z,
        }


def _finding(kind: str, found: Sequence[LeftOut], bound: float | None) -> Finding:
    groups: dict[str, list[LeftOut]] = defaultdict(list)
    for left in found:
        groups[_group(kind, left.account)].append(left)
    compared = [group for group in groups.values() if len(group) >= FEWEST_PARTIES]
    if not compared:
        kinds = "accounts" if kind == ACCOUNT else "people of one account"
        why = f"Seeing who stands out takes {FEWEST_PARTIES} {kinds} that can be left out."
        return not_measured(AUDIT, why, metric=_metric(kind), bound=bound)
    looked_at = sum(map(len, compared))
    scored = [_Scored.among(group, left, looked_at=looked_at) for group in compared for left in group]
    scored.sort(key=lambda one: (not one.counts, -one.z, one.left.party))
    worst = scored[0]
    value = max(worst.z, 0.0) if worst.counts else 0.0
    stands_out = value > (STANDS_OUT if bound is None else bound)
    return Finding(
        audit=AUDIT,
        metric=_metric(kind),
        value=value,
        low=worst.of(worst.left.low) if value else None,
        high=worst.of(worst.left.high) if value else None,
        bound=bound,
        verdict=at_most(value, bound),
        units=len(worst.left.changes),
        how=(
            f"{len(scored)} {'accounts' if kind == 'account' else 'people'} left out one by one, exactly, of a model "
            f"of one part in {FOLDS}; largest modified z-score (by the median absolute deviation) of the gain "
            "in others' held-out quality, among parties without which it is better by more than chance (bootstrap "
            "over units, 97.5 % one-sided for all of them together)."
        ),
        detail={
            "parties": [one.to_json(named=kind == ACCOUNT or (one is worst and stands_out)) for one in scored[:_SHOWN]],
            "stands_out": worst.left.party if stands_out else None,
            "left_out": len(scored),
        },
    )


def _metric(kind: str) -> str:
    return f"harm by one {kind}, modified z-score"
