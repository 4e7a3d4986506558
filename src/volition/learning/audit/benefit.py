"""Benefit: the feature's quality with and without training, overall and for each account, and what its own data gives.

Every unit (a query, a meeting, a person) is scored by a model that was trained without it (`crossed`). An account's
marginal effect is what its own data in training is worth to its own units (`marginal`): what its no would cost it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.learning.audit.cross_validation import Crossed
from volition.learning.audit.finding import Finding, at_least, not_measured
from volition.learning.audit.intervals import RESAMPLES, bootstrap_interval
from volition.learning.audit.marginal import Effect, marginal_effect
from volition.learning.audit.rivals import measure_rival
from volition.learning.families.family import Scores
from volition.progress import Progress

AUDIT: Final = "benefit"

_MOST_ACCOUNTS: Final = 50
"""For how many accounts, those with the most units, the marginal effect is measured: each costs a forgetting a fold."""


def measure_benefit(crossed: Crossed, *, bound: float | None, progress: Progress) -> list[Finding]:
    """Measure a family's feature with and without training.

    Args:
        crossed: The scores of held-out units.
        bound: The least benefit that is good enough; none if nothing was set.
        progress: Called with for how many accounts the marginal effect is measured.

    Returns:
        One finding, whose value is the mean with training less the mean without, paired by unit. Its detail holds
        `trained` and `untrained` (the two means), and `by_account`: the same for each account as `trained`,
        `untrained`, `value`, `low`, `high`, `units`, how many `people` these are about (none if unknown), and
        `marginal`, its own data's effect on its own units as {"value", "low", "high", "units"}, or none. Where a family
        says which units had what was wanted first, each has `first`, too: the shares of those as {"trained",
        "untrained", "value", "low", "high"}. Where it
        has a simpler rival, `rival` says how that did (see `rivals`).
    """
    if crossed.fault:
        return [not_measured(AUDIT, crossed.fault, bound=bound)]
    trained, untrained = crossed.trained, crossed.untrained
    differences = trained.values - untrained.values
    low, high = bootstrap_interval(differences)
    names, sizes = np.unique(np.array(trained.accounts), return_counts=True)
    largest = [str(name) for name in names[np.argsort(-sizes, kind="stable")][:_MOST_ACCOUNTS]]
    value = float(differences.mean())
    limited = f", for the {len(largest)} largest accounts." if len(largest) < len(names) else "."
    return [
        Finding(
            audit=AUDIT,
            metric=trained.metric,
            value=value,
            low=low,
            high=high,
            bound=bound,
            verdict=at_least(value, bound),
            units=len(differences),
            how=(
                f"{len(crossed.folds)}-fold cross-validation by unit, with training less without; paired bootstrap "
                f"with {RESAMPLES:,} resamples of the units, 95 %. An account's own data by leave-one-out{limited}"
            ),
            detail={
                "trained": float(trained.values.mean()),
                "untrained": float(untrained.values.mean()),
                **first_of(trained, untrained, slice(None)),
                "by_account": by_account(
                    trained, untrained, [str(name) for name in names], _marginal(crossed, largest, progress)
                ),
            }
            | measure_rival(crossed),
        )
    ]


def _marginal(crossed: Crossed, accounts: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Measure what each account's own data gives its own units."""
    stage = "leaving out one account after the other"
    found: dict[str, Any] = {}
    for done, account in enumerate(accounts):
        progress(stage, done, len(accounts))
        found[account] = _own_data(crossed, account).to_json()
    progress(stage, len(accounts), len(accounts))
    return found


def by_account(trained: Scores, untrained: Scores, names: Sequence[str], marginal: Mapping[str, Any]) -> dict[str, Any]:
    """Return each account's part of the detail.

    Args:
        trained: Scores of units by the model.
        untrained: The same units' without one, in the same order.
        names: The accounts.
        marginal: What an account's own data is worth, where that was measured.
    """
    differences, accounts = trained.values - untrained.values, np.array(trained.accounts)
    found: dict[str, Any] = {}
    for name in names:
        chosen = np.flatnonzero(accounts == name)
        low, high = bootstrap_interval(differences[chosen])
        found[name] = {
            "trained": float(trained.values[chosen].mean()),
            "untrained": float(untrained.values[chosen].mean()),
            "value": float(differences[chosen].mean()),
            "low": low,
            "high": high,
            **first_of(trained, untrained, chosen),
            "units": len(chosen),
            "people": len({one for place in chosen for one in trained.people[place]}) if trained.people else None,
            "marginal": marginal.get(name),
        }
    return found


def first_of(trained: Scores, untrained: Scores, chosen: NDArray[np.intp] | slice) -> dict[str, Any]:
    """Return for which share of some units what was wanted came first, with training and without, if that is known."""
    with_it, without = trained.firsts, untrained.firsts
    if with_it is None or without is None:
        return {}
    differences = with_it[chosen] - without[chosen]
    low, high = bootstrap_interval(differences)
    return {
        "first": {
            "trained": float(with_it[chosen].mean()),
            "untrained": float(without[chosen].mean()),
            "value": float(differences.mean()),
            "low": low,
            "high": high,
        }
    }


def _own_data(crossed: Crossed, account: str) -> Effect:
    return marginal_effect(crossed, gone=lambda row: row.account == account, account=account)[0]
