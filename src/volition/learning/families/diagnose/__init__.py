"""Diagnose: which sessions are about to fail, and the likely causes, from telemetry and diagnostics.

- Gradient-boosted trees give each session a score from what its client measured so far (`diagnose_sessions`).
- The score is **calibrated**: of the sessions at a risk of 30 %, three in ten fail. A logistic curve is fitted to
  scores that trees gave to people they had not seen (Platt 1999), and kept as two numbers.
- The **likely causes** are what pushes this session's score up: the contributions of its attributes (TreeSHAP, Lundberg
  et al. 2020), in words and as a factor of the odds. They are causes as far as the data tells: what goes together
  with failing.
- Forgetting is learning again: deterministic, so that nothing of the removed rows can stay.
- Without a model, fixed thresholds that everybody knows give a rough risk, and the answer says so.

Sources: J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999; S. Lundberg et al., "From local
explanations to global understanding with explainable AI for trees", Nature Machine Intelligence 2, 2020; Brier skill
score, D. Wilks, Statistical Methods in the Atmospheric Sciences, chapter 9.

Each module knows only those before it:

sessions     what is seen of a session, and in which words
"""

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
from volition.learning.families import Model, Parts, Scores, fold_of, part_name
from volition.learning.families.diagnose.sessions import (
    FAILED,
    FEWEST_PEOPLE,
    OUTCOME,
    SESSION,
    Layout,
    Session,
    number_text,
    sessions_of,
    words_of,
)
from volition.progress import Progress, silent
from volition.records.lake import Row

if TYPE_CHECKING:
    import lightgbm

FEWEST_OF_EACH: Final = 20  # sessions that failed, and sessions that went well

_FOLDS: Final = 5
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
_DECIMALS: Final = 6  # of risks and of the two numbers of the curve: the last bits decide nothing
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
    """What is foretold of one session.

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


class DiagnoseFamily:
    """The diagnose family (see `volition.learning.families.Family`)."""

    name = "diagnose"
    purpose = "train/diagnose"

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Learn from sessions whose outcome is known.

        Raises:
            InvalidInputError: Too few sessions failed, or too few went well, or too few people had one.
        """
        sessions = _ended(rows)
        failed = _failed(sessions)
        _check_enough(sessions, failed)
        layout = Layout.learn(sessions)
        table = layout.table(sessions)
        held_out = self._held_out_scores(sessions, table, failed, parts, progress)
        slope, intercept = fit_curve(held_out, failed)
        booster = _boost(table, failed, progress)
        settings = {
            "format": 1,
            "sessions": len(sessions),
            "failed": int(failed.sum()),
            "slope": round(slope, _DECIMALS),
            "intercept": round(intercept, _DECIMALS),
        }
        texts = {"columns": layout.to_text(), "trees": booster.model_to_string()}
        return Model(family=self.name, settings=settings, arrays={}, texts=texts)

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Learn again from what is left: deterministic, so nothing of the removed rows can stay."""
        del model, before
        return self.fit(after, parts=parts, progress=progress)

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[Sequence[Row], Sequence[Row]]:
        """Hold out whole people, with all their sessions: what fails on a person's machine fails there again."""
        held = [bool(row.people) and fold_of(row.people[0], folds) == fold for row in rows]
        known = [row for row, out in zip(rows, held, strict=True) if not out]
        return known, [row for row, out in zip(rows, held, strict=True) if out]

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Score each held-out session whose outcome is known by its Brier skill.

        Returns:
            For each session ((r - outcome)² - (risk - outcome)²) / (r (1 - r)), where r is the share of known sessions
            that failed. The mean is 0 for whoever says r of every session, below for whoever does worse, and at most
            about 1, for a seer.
        """
        known, sessions = _failed(_ended(rows_known)), _ended(rows_heldout)
        share = (known.sum() + 0.5) / (len(known) + 1)
        risks = predict(model, sessions)
        failed = _failed(sessions)
        values = ((share - failed) ** 2 - (risks - failed) ** 2) / (share * (1 - share))
        return Scores(
            metric="Brier skill",
            units=tuple(session.unit for session in sessions),
            accounts=tuple(session.account for session in sessions),
            values=np.asarray(values, dtype=np.float64),
            people=tuple((session.person,) for session in sessions),
        )

    @staticmethod
    def _held_out_scores(
        sessions: Sequence[Session],
        table: NDArray[np.float64],
        failed: NDArray[np.float64],
        parts: Parts,
        progress: Progress,
    ) -> NDArray[np.float64]:
        """Score every session by trees that never saw its person; finished folds come from the parts."""
        folds = np.array([fold_of(session.person, _FOLDS) for session in sessions])
        scores = np.zeros(len(sessions))
        for fold in range(_FOLDS):
            progress("diagnose: holding out", fold, _FOLDS)
            out = folds == fold
            if not out.any():
                continue
            name = part_name("diagnose", table.tobytes(), failed.tobytes(), folds.tobytes(), bytes([fold]))
            part = parts.get(name)
            if part is None:
                alike = len(set(failed[~out].tolist())) == 1  # one person had all failures: nothing to tell apart
                told = (
                    np.zeros(int(out.sum()))
                    if alike
                    else _scores(_boost(table[~out], failed[~out], silent), table[out])
                )
                part = {"scores": told}
                parts.put(name, part)
            scores[out] = part["scores"]
        progress("diagnose: holding out", _FOLDS, _FOLDS)
        return scores


def diagnose(
    model: Model | None, rows_of_person: Sequence[Row], *, at_us: int, session: str | None = None, limit: int = 10
) -> Diagnosed:
    """Foretell how one person's sessions end.

    Args:
        model: A released model; none for fixed thresholds.
        rows_of_person: The person's telemetry and diagnostics that the gate let through.
        at_us: The present instant: tells open sessions from those that were never closed.
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
        return np.round(1 - (1 - _RISK_WITHIN) * _KEPT_BY_EACH**crossed, _DECIMALS)
    layout, booster = _opened(model)
    if not sessions:
        return np.zeros(0)
    odds = model.settings["slope"] * _scores(booster, layout.table(sessions)) + model.settings["intercept"]
    return np.asarray(np.round(1 / (1 + np.exp(-odds)), _DECIMALS), dtype=np.float64)


def likely_causes(model: Model | None, sessions: Sequence[Session]) -> list[tuple[Cause, ...]]:
    """Return for each session what raises its risk most, the strongest first."""
    if model is None:
        return [tuple(_threshold_cause(session, attribute) for attribute in _crossed(session)) for session in sessions]
    layout, booster = _opened(model)
    if not sessions:
        return []
    told = booster.predict(layout.table(sessions), pred_contrib=True, num_threads=1)
    pushes = np.asarray(told, dtype=np.float64)[:, :-1] * model.settings["slope"]  # the last one is the average session
    return [_causes(layout, session, push) for session, push in zip(sessions, pushes, strict=True)]


def _causes(layout: Layout, session: Session, pushes: NDArray[np.float64]) -> tuple[Cause, ...]:
    """Add up what the columns of an attribute contribute, and let the strongest of them give the words."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, column in enumerate(layout.columns):
        if column.attribute in session.numbers or column.attribute in session.texts:  # what is absent is no cause
            places[column.attribute].append(place)
    totals = {attribute: float(pushes[own].sum()) for attribute, own in places.items()}
    strongest = sorted(totals, key=lambda attribute: (-round(totals[attribute], _DECIMALS), attribute))
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


def _ended(rows: Sequence[Row]) -> list[Session]:
    return [session for session in sessions_of(rows) if session.failed is not None]


def _failed(sessions: Sequence[Session]) -> NDArray[np.float64]:
    return np.array([bool(session.failed) for session in sessions], dtype=np.float64)


def _check_enough(sessions: Sequence[Session], failed: NDArray[np.float64]) -> None:
    fewest = int(min(failed.sum(), len(failed) - failed.sum()))
    people = len({session.person for session in sessions})
    if fewest < FEWEST_OF_EACH or people < FEWEST_PEOPLE:
        msg = (
            f"Diagnosis learns from sessions that failed and from sessions that did not. There are {len(sessions)} of "
            f"{people} people, {int(failed.sum())} failed; it needs {FEWEST_OF_EACH} of either kind, of "
            f"{FEWEST_PEOPLE} people. Collect telemetry with {SESSION}, and for each session's end a record with "
            f'{OUTCOME} ("{FAILED}", or another word).'
        )
        raise InvalidInputError(msg)


def fit_curve(scores: NDArray[np.float64], failed: NDArray[np.float64]) -> tuple[float, float]:
    """Fit the logistic curve that turns scores into probabilities.

    Args:
        scores: Shape (sessions,), log-odds from trees that had not seen the sessions.
        failed: Shape (sessions,), 1 for those that failed; both kinds occur.

    Returns:
        Slope, never below 0, and intercept: the maximum of the likelihood of Platt's softened outcomes.
    """
    many = failed.sum()
    soft = np.where(failed == 1, (many + 1) / (many + 2), 1 / (len(failed) - many + 2))
    design = np.column_stack([scores, np.ones(len(scores))])
    weights = np.array([1.0, 0.0])
    for _ in range(50):
        chances = 1 / (1 + np.exp(-np.clip((design * weights).sum(axis=1), -30, 30)))
        gradient = (design * (chances - soft)[:, None]).sum(axis=0) + 1e-9 * weights
        spread = (chances * (1 - chances))[:, None]
        curvature = np.array([(design * design[:, [place]] * spread).sum(axis=0) for place in range(2)])
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
        weights = weights - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-10:
            break
    if weights[0] >= 0:
        return float(weights[0]), float(weights[1])
    share = soft.mean()  # the scores of unseen people say nothing: everybody gets the same risk
    return 0.0, float(np.log(share / (1 - share)))


# --- trees ----------------------------------------------------------------------------------------------------------


def _boost(table: NDArray[np.float64], failed: NDArray[np.float64], progress: Progress) -> "lightgbm.Booster":
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


def _scores(booster: "lightgbm.Booster", table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-odds, shape (sessions,), clipped to what a probability can be told from."""
    scores = booster.predict(table, raw_score=True, num_threads=1)
    return np.clip(np.asarray(scores, dtype=np.float64), -30, 30)


def _opened(model: Model) -> tuple[Layout, "lightgbm.Booster"]:
    if model.family != DiagnoseFamily.name:
        msg = f"This is a model of the family {model.family!r}, and diagnosis needs one of its own."
        raise InvalidInputError(msg)
    return Layout.from_text(model.texts["columns"]), _booster(model.texts["trees"])


@lru_cache(maxsize=4)
def _booster(text: str) -> "lightgbm.Booster":
    import lightgbm  # noqa: PLC0415 - as above

    return lightgbm.Booster(model_str=text)
