"""Rivals: whether a simpler form of a feature does as well, account by account; then that form is used there.

What a model learned of each person is worth its place only where it beats what needs to know nobody, such as "what most
people use". That is measured on the units that the audit of benefit holds out, by the same folds. The choice is made
for each account by itself, by what was measured of it; where nothing was measured of an account, its model is used.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from volition.learning.audit.cross_validation import Crossed, joined
from volition.learning.audit.finding import Finding
from volition.learning.families.family import Rivalled

DETAIL: Final = "rival"
"""The key of the finding's detail, which is there where the family has a rival."""

FEWEST: Final = 10
"""Units of an account that must have been scored: of fewer, what did better is chance, and the model is used."""


def measure_rival(crossed: Crossed) -> dict[str, Any]:
    """Score a family's rival on every unit that was held out.

    Returns:
        Empty for a family without one. Otherwise, as `DETAIL`, its `name`, its `mean` over all units, and `by_account`:
        its mean there (`rival`), the model's (`trained`), and whether the rival does as well (`wins`).
    """
    family = crossed.family
    if not isinstance(family, Rivalled):
        return {}
    trained = crossed.trained
    rival = joined(family.evaluate_rival(fold.model, fold.known, fold.held) for fold in crossed.folds)
    accounts = np.array(trained.accounts)
    by_account: dict[str, Any] = {}
    for account in sorted(set(trained.accounts)):
        own = accounts == account
        means = float(trained.values[own].mean()), float(rival.values[own].mean())
        by_account[account] = {
            "trained": means[0],
            "rival": means[1],
            "wins": bool(own.sum() >= FEWEST and means[1] >= means[0]),
        }
    return {DETAIL: {"name": family.rival, "mean": float(rival.values.mean()), "by_account": by_account}}


def rival_wins(findings: Iterable[Finding], account: str) -> bool:
    """Return whether the rival did as well as the model in an account, as the audit of benefit measured it."""
    measured: Iterable[dict[str, Any]] = (
        found.detail[DETAIL]["by_account"] for found in findings if DETAIL in found.detail
    )
    return any(told[account]["wins"] for told in measured if account in told)
