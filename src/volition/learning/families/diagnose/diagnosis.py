"""Diagnosis: the risk of each session and its likely causes, by a trained model or by fixed thresholds."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.canonical import us_to_text
from volition.errors import InvalidInputError
from volition.learning.families.diagnose.sessions import (
    Layout,
    Session,
    number_text,
    sessions_of,
    words_of,
)
from volition.learning.families.model import Model
from volition.progress import Progress
from volition.records.lake import Row

if TYPE_CHECKING:
    import lightgbm

NAME: Final = "diagnose"

_PARAMETERS: Final = {
    "objective": "binary",
    "metric": "None",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "lambda_l2": 5.0,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 63,
    # The same rows must give the same trees, whatever the machine's number of cores:
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 1,
    "verbosity": -1,
}
_ROUNDS: Final = 120
_TOLD_EVERY: Final = 5  # rounds between two looks at the loss
_SESSIONS_A_LEAF: Final = (5, 40)  # at least and at most, and in between one in 100
DECIMALS: Final = 6  # of risks and of the two numbers of the curve: the last bits decide nothing
_MOST_CAUSES: Final = 3
_LEAST_FACTOR: Final = 1.25  # what raises the odds by less is no cause worth naming
_OPEN_US: Final = 24 * 60 * 60 * 1_000_000  # a session that has said nothing for longer is not going on any more
_NO_MODEL: Final = "No model is at work: these risks follow fixed thresholds and are rough."
# What is widely taken as too much for a call. Delay: ITU-T G.114, 150 ms one way; the others are rules of thumb.
_THRESHOLDS: Final = {
    "network.loss_percent": 2.0,
    "network.jitter_ms": 30.0,
    "network.rtt_ms": 300.0,
    "system.cpu.utilization": 0.9,
}
_RISK_WITHIN: Final = 0.05
_KEPT_BY_EACH: Final = 0.75  # of the chance to go well, by each threshold that is crossed


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One likely cause.

    Attributes:
        attribute: The attribute of the records that it was seen in.
        words: What was seen, in words.
        factor: By how much it multiplies the odds of failing, against the average session; none without a
            model.
    """

    attribute: str
    words: str
    factor: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is predicted for one session.

    Attributes:
        session: Its `session.id`.
        started: Instant of its first record, as text.
        last: Instant of its last record, as text.
        state: "open"; "failed" or "ok" once it has ended; "unknown" if nothing was heard of it for a day.
        risk: The probability that it fails, from what was known before its end.
        causes: What raises the risk most, the strongest first; may be empty.
    """

    session: str
    started: str
    last: str
    state: str
    risk: float
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosed:
    """What a diagnosis gives back.

    Attributes:
        sessions: Open ones first, the greatest risk first; then the others, the latest first.
        note: What the person should know about how it was found; may be empty.
    """

    sessions: tuple[Diagnosis, ...]
    note: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"sessions": [asdict(session) for session in self.sessions], "note": self.note}


def diagnose(
    model: Model | None, rows_of_person: Sequence[Row], *, at_us: int, session: str | None = None, limit: int = 10
) -> Diagnosed:
    """Predict how one person's sessions end.

    Args:
        model: A released model; none for fixed thresholds.
        rows_of_person: The person's telemetry and diagnostics that the gate let through.
        at_us: The present instant: distinguishes open sessions from those that were never closed.
        session: Only the session of this id.
        limit: Most sessions to return.

    Raises:
        InvalidInputError: The model is of another family.
    """
    found = [one for one in sessions_of(rows_of_person) if session in (None, one.name)]
    risks = predict(model, found)
    states = [_state(one, at_us) for one in found]
    order = sorted(
        range(len(found)),
        key=lambda i: (0, -risks[i], -found[i].last_us) if states[i] == "open" else (1, -found[i].last_us, 0),
    )[:limit]
    causes = likely_causes(model, [found[i] for i in order])
    return Diagnosed(
        sessions=tuple(
            Diagnosis(
                session=found[i].name,
                started=us_to_text(found[i].start_us),
                last=us_to_text(found[i].last_us),
                state=states[i],
                risk=float(risks[i]),
                causes=why,
            )
            for i, why in zip(order, causes, strict=True)
        ),
        note=_NO_MODEL if model is None else "",
    )


def predict(model: Model | None, sessions: Sequence[Session]) -> NDArray[np.float64]:
    """Return the probability that each session fails, shape (sessions,); without a model, by fixed thresholds.

    Raises:
        InvalidInputError: The model is of another family.
    """
    if model is None:
        crossed = np.array([len(_crossed(session)) for session in sessions], dtype=np.float64)
        return np.round(1 - (1 - _RISK_WITHIN) * _KEPT_BY_EACH**crossed, DECIMALS)
    layout, booster = _opened(model)
    if not sessions:
        return np.zeros(0)
    odds = model.settings["slope"] * log_odds(booster, layout.table(sessions)) + model.settings["intercept"]
    return np.asarray(np.round(1 / (1 + np.exp(-odds)), DECIMALS), dtype=np.float64)


def likely_causes(model: Model | None, sessions: Sequence[Session]) -> list[tuple[Cause, ...]]:
    """Return for each session what raises its risk most, the strongest first."""
    if model is None:
        return [tuple(_threshold_cause(session, attribute) for attribute in _crossed(session)) for session in sessions]
    layout, booster = _opened(model)
    if not sessions:
        return []
    contributions = booster.predict(layout.table(sessions), pred_contrib=True, num_threads=1)
    # The last column is the average session.
    pushes = np.asarray(contributions, dtype=np.float64)[:, :-1] * model.settings["slope"]
    return [_causes(layout, session, push) for session, push in zip(sessions, pushes, strict=True)]


def _causes(layout: Layout, session: Session, pushes: NDArray[np.float64]) -> tuple[Cause, ...]:
    """Add up what the columns of an attribute contribute, and let the strongest of them give the words."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, column in enumerate(layout.columns):
        if column.attribute in session.numbers or column.attribute in session.texts:  # what is absent is no cause
            places[column.attribute].append(place)
    totals = {attribute: float(pushes[own].sum()) for attribute, own in places.items()}
    strongest = sorted(totals, key=lambda attribute: (-round(totals[attribute], DECIMALS), attribute))
    return tuple(
        Cause(
            attribute=attribute,
            words=layout.describe(session, max(places[attribute], key=lambda place: float(pushes[place]))),
            factor=round(math.exp(totals[attribute]), 2),
        )
        for attribute in strongest[:_MOST_CAUSES]
        if totals[attribute] >= math.log(_LEAST_FACTOR)
    )


def _crossed(session: Session) -> list[str]:
    return [name for name, most in _THRESHOLDS.items() if max(session.numbers.get(name, [0.0])) > most]


def _threshold_cause(session: Session, attribute: str) -> Cause:
    seen, most = max(session.numbers[attribute]), _THRESHOLDS[attribute]
    words = f"{words_of(attribute)} {number_text(attribute, seen)}, over {number_text(attribute, most)}"
    return Cause(attribute=attribute, words=words, factor=None)


def _state(session: Session, at_us: int) -> str:
    if session.failed is not None:
        return "failed" if session.failed else "ok"
    return "open" if at_us - session.last_us <= _OPEN_US else "unknown"


def ended_of(rows: Sequence[Row]) -> list[Session]:
    """Return the sessions whose outcome is known."""
    return [session for session in sessions_of(rows) if session.failed is not None]


def failed_of(sessions: Sequence[Session]) -> NDArray[np.float64]:
    """Return 1 for each session that failed and 0 for each other, shape (sessions,)."""
    return np.array([bool(session.failed) for session in sessions], dtype=np.float64)


# --- trees ----------------------------------------------------------------------------------------------------------


def boost(table: NDArray[np.float64], failed: NDArray[np.float64], progress: Progress) -> "lightgbm.Booster":
    """Fit trees to sessions, shape (sessions, columns), and whether each failed; report the loss every few rounds."""
    import lightgbm  # noqa: PLC0415 - it takes seconds where scikit-learn and pandas are installed, too

    least, most = _SESSIONS_A_LEAF
    parameters = {**_PARAMETERS, "min_data_in_leaf": min(max(len(table) // 100, least), most)}
    data = lightgbm.Dataset(table, failed, params=parameters)

    def log_loss(risks: NDArray[np.float64], _: "lightgbm.Dataset") -> tuple[str, float, bool]:
        likely = np.clip(np.where(failed == 1, risks, 1 - risks), 1e-15, 1)
        return "log loss", float(-np.log(likely).mean()), False

    def report(state: Any) -> None:  # noqa: ANN401 - LightGBM's callback environment has no public type
        done = state.iteration + 1
        loss = state.model.eval_train(log_loss)[0][2] if done % _TOLD_EVERY == 0 or done == _ROUNDS else None
        progress("diagnose: learning", done, _ROUNDS, loss)

    return lightgbm.train(parameters, data, num_boost_round=_ROUNDS, callbacks=[report])


def log_odds(booster: "lightgbm.Booster", table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-odds, shape (sessions,), clipped to where a probability can be computed."""
    scores = booster.predict(table, raw_score=True, num_threads=1)
    return np.clip(np.asarray(scores, dtype=np.float64), -30, 30)


def _opened(model: Model) -> tuple[Layout, "lightgbm.Booster"]:
    if model.family != NAME:
        msg = f"This is a model of the family {model.family!r}, and diagnosis needs one of its own."
        raise InvalidInputError(msg)
    return Layout.from_text(model.texts["columns"]), _booster(model.texts["trees"])


@lru_cache(maxsize=4)
def _booster(text: str) -> "lightgbm.Booster":
    import lightgbm  # noqa: PLC0415 - as above

    return lightgbm.Booster(model_str=text)
