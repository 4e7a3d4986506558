"""The diagnose family: boosted trees, calibrated on people held out, measured by Brier skill."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.learning.families.diagnose.diagnosis import DECIMALS, NAME, boost, ended_of, failed_of, log_odds, predict
from volition.learning.families.diagnose.sessions import (
    FAILED,
    FEWEST_PEOPLE,
    OUTCOME,
    SESSION,
    Layout,
    Session,
)
from volition.learning.families.family import Parts, Scores, fold_of, part_name
from volition.learning.families.model import Model
from volition.progress import Progress, silent
from volition.records.lake import Row

FEWEST_OF_EACH: Final = 20  # sessions that failed, and sessions that went well

_FOLDS: Final = 5


class DiagnoseFamily:
    """The diagnose family (see `volition.learning.families.family.Family`)."""

    name = NAME
    purpose = "train/diagnose"

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Learn from sessions whose outcome is known.

        Raises:
            InvalidInputError: Too few sessions failed, or too few went well, or too few people had one.
        """
        sessions = ended_of(rows)
        failed = failed_of(sessions)
        _check_enough(sessions, failed)
        layout = Layout.learn(sessions)
        table = layout.table(sessions)
        held_out = self._held_out_scores(sessions, table, failed, parts, progress)
        slope, intercept = fit_curve(held_out, failed)
        booster = boost(table, failed, progress)
        settings = {
            "format": 1,
            "sessions": len(sessions),
            "failed": int(failed.sum()),
            "slope": round(slope, DECIMALS),
            "intercept": round(intercept, DECIMALS),
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
        held = [bool(row.people) and fold_of(row.author, folds) == fold for row in rows]
        known = [row for row, out in zip(rows, held, strict=True) if not out]
        return known, [row for row, out in zip(rows, held, strict=True) if out]

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Score each held-out session whose outcome is known by its Brier skill.

        Returns:
            For each session ((r - outcome)² - (risk - outcome)²) / (r (1 - r)), where r is the share of known sessions
            that failed. The mean is 0 for a prediction of r for every session, below 0 for a worse one,
            and at most about 1, for a perfect one.
        """
        known, sessions = failed_of(ended_of(rows_known)), ended_of(rows_heldout)
        share = (known.sum() + 0.5) / (len(known) + 1)
        risks = predict(model, sessions)
        failed = failed_of(sessions)
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
                same = len(set(failed[~out].tolist())) == 1  # one person had all failures: nothing to distinguish
                values = (
                    np.zeros(int(out.sum())) if same else log_odds(boost(table[~out], failed[~out], silent), table[out])
                )
                part = {"scores": values}
                parts.put(name, part)
            scores[out] = part["scores"]
        progress("diagnose: holding out", _FOLDS, _FOLDS)
        return scores


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
