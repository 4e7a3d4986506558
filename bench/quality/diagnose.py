"""The diagnosis part of `bench quality`: on simulated sessions with planted causes, since no real ones are at hand.

Figures say how well planted causes are found, not how well real failures would be predicted. Beside the model stand the
fixed thresholds of the untrained feature, the base rate, and the planted probabilities themselves, which nobody beats.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.meetings import interval
from bench.sessions import Planted, rows_of, simulate
from volition.learning.families.diagnose.diagnosis import likely_causes, predict
from volition.learning.families.diagnose.family import DiagnoseFamily
from volition.learning.families.diagnose.sessions import sessions_of
from volition.learning.families.family import NoParts
from volition.progress import Progress

PEOPLE: Final = 300
SESSIONS_EACH: Final = 20
_OTHERS_SEED: Final = 20_230_811
_BANDS: Final = 10
_CODEC: Final = frozenset({"media.codec", "network.connection.type"})  # the codec fails on one kind of connection


def diagnose_quality(progress: Progress) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Train on simulated people and measure on others, simulated with another seed.

    Returns:
        The figures, with 95 % intervals by resampling whole people; and no goals, since none was set.
    """
    family = DiagnoseFamily()
    known, others = simulate(PEOPLE, SESSIONS_EACH), simulate(PEOPLE, SESSIONS_EACH, seed=_OTHERS_SEED)
    rows_known, rows_held_out = rows_of(known), rows_of(others)
    start = time.perf_counter()
    model = family.fit(rows_known, parts=NoParts(), progress=progress)
    seconds = time.perf_counter() - start
    sessions = sessions_of(rows_held_out)
    truth = {one.name: one for one in others}
    planted = [truth[session.name] for session in sessions]
    failed = np.array([one.failed for one in planted], dtype=np.float64)
    people = [session.person for session in sessions]
    share = float(np.mean([one.failed for one in known]))
    risks = {
        "trained": predict(model, sessions),
        "untrained: fixed thresholds": predict(None, sessions),
        "the base rate for everybody": np.full(len(sessions), share),
        "the planted probabilities": np.array([one.risk for one in planted]),
    }
    right = _right(planted, likely_causes(model, sessions))
    figures = {
        "measure": "simulated sessions with planted causes; 95 % bootstrap intervals, resampled by person",
        "trained on": {"people": PEOPLE, "sessions": len(known), "failed": int(sum(one.failed for one in known))},
        "measured on": {"people": PEOPLE, "sessions": len(sessions), "failed": int(failed.sum())},
        **{name: _figures(risk, failed, people, share) for name, risk in risks.items()},
        "planted cause named first, of failed sessions with one cause": {
            "mean": round(float(right.mean()), 4),
            "sessions": len(right),
        },
        "seconds to train": round(seconds, 2),
    }
    return figures, []


def _figures(
    risk: NDArray[np.float64], failed: NDArray[np.float64], people: Sequence[str], share: float
) -> dict[str, Any]:
    skill = ((share - failed) ** 2 - (risk - failed) ** 2) / (share * (1 - share))
    return {
        "Brier skill": {"mean": round(float(skill.mean()), 4), "interval": interval(skill, people)},
        "AUC": round(area_under_curve(risk, failed), 4),
        "calibration error": round(calibration_error(risk, failed), 4),
    }


def area_under_curve(risk: NDArray[np.float64], failed: NDArray[np.float64]) -> float:
    """Return how often a session that failed had the greater risk than one that did not; ties count half."""
    values, places, counts = np.unique(risk, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    many = failed.sum()
    del values
    return float((ranks[places][failed == 1].sum() - many * (many + 1) / 2) / (many * (len(failed) - many)))


def calibration_error(risk: NDArray[np.float64], failed: NDArray[np.float64]) -> float:
    """Return the mean distance between risk and share of failures, in ten bands of equally many sessions.

    Source: expected calibration error with equal-mass bins, Nixon et al. 2019, arXiv:1904.01685.
    """
    bands = np.array_split(np.argsort(risk, kind="stable"), _BANDS)
    return float(sum(abs(risk[band].mean() - failed[band].mean()) * len(band) for band in bands) / len(risk))


def _right(planted: Sequence[Planted], named: Sequence[Sequence[Any]]) -> NDArray[np.bool_]:
    """Tell, of each failed session with a single cause, whether that one was named first."""
    return np.array(
        [
            bool(causes) and causes[0].attribute in (_CODEC if one.causes == ("media.codec",) else one.causes)
            for one, causes in zip(planted, named, strict=True)
            if one.failed and len(one.causes) == 1
        ],
        dtype=bool,
    )
