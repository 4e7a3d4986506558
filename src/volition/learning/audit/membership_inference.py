"""Membership inference: can a person who has the model find out whose rows it learned from? Attacks by shadow models.

Models are trained, by the family's own `fit`, on halves of the people, and each in turn is attacked with the help of
the others. The attacker knows a person's rows, and asks whether the model fits them better than it would if it had
never seen them: that is a likelihood ratio, calibrated for each person by models that saw the person and models that
did not. Reported is how many members are found while hardly anyone else is mistaken for one: an attack that is
sure of a few people is worse, for those few, than one that is slightly right about all.

The released model itself is not attacked: everyone in the snapshot is in it, so there would be no one to compare with.
The same way of training, on halves of the people, is attacked instead.

The models come in pairs of complements, and a target's twin is left out of its shadows: so each person is in exactly
half of the shadows, whether or not the target saw them, and of noise the evidence is noise.

Source: the likelihood-ratio attack (LiRA, online, one variance for all), Carlini et al. 2022, arXiv:2112.03570,
algorithm 1 and section VI; leave-one-out targets as in its evaluation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from volition.errors import InvalidInputError
from volition.learning.audit.finding import Finding, at_most, not_measured
from volition.learning.audit.owners import owner_of, seed_of
from volition.learning.audit.trainings import learn
from volition.learning.families.family import Family, NoParts, Parts
from volition.learning.families.model import Model
from volition.progress import Progress
from volition.records.lake import Row

Floats = NDArray[np.float64]

AUDIT: Final = "attack"
RATES: Final = (0.001, 0.01)
"""False-positive rates at which true positives are counted: one person in a thousand, or in a hundred, is taken for a
member without being one."""

MODELS: Final = 6
FEWEST_MODELS: Final = 6
"""With fewer there is one shadow on either side, which does not show how much shadows differ."""

_RESAMPLES: Final = 1000
_NOWHERE: Final = NoParts()
_CURVE: Final = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5)


@runtime_checkable
class Familiar(Protocol):
    """A family that can measure how well a model fits a person's rows. Others are asked for scores instead."""

    def familiarity(self, model: Model, rows: Sequence[Row]) -> Mapping[str, float]:
        """Return, for each person whose rows can be scored, how well the model fits them; higher is better.

        Args:
            model: Fitted on some of the rows.
            rows: All of a snapshot's rows: a person's own may mean nothing without those around them.
        """


@runtime_checkable
class Likely(Protocol):
    """A family whose models assign a likelihood to a text: a language model."""

    def log_likelihood(self, model: Model, rows: Sequence[Row]) -> Floats:
        """Return the natural logarithm of each row's likelihood, shape (rows,); NaN for rows that have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """An attack on models trained on halves of the people: each model with each person is one trial.

    Attributes:
        people: Pseudonyms of those who could be scored in every model.
        member: Shape (models, people): whether the model was trained with the person's rows.
        evidence: Shape (models, people): log-likelihood ratio that it was, from the person's rows and the model.
    """

    people: tuple[str, ...]
    member: NDArray[np.bool_]
    evidence: Floats


def measure_attack(  # noqa: PLR0913 - what is audited, and how
    family: Family,
    rows: Sequence[Row],
    *,
    bound: float | None,
    progress: Progress,
    models: int = MODELS,
    parts: Parts = _NOWHERE,
) -> list[Finding]:
    """Measure how surely a model reveals that a person's rows were in its training.

    Args:
        family: Whose way of training is attacked.
        rows: The snapshot's rows.
        bound: The largest true-positive rate that is good enough, from 0 to 1; none if nothing was set.
        progress: Called with how many models were attacked.
        models: How many models to train on half the people each; an even number, at least 6.
        parts: Where models are kept until the audit is done (see `trainings`).

    Returns:
        A finding for each rate of `RATES`: the true-positive rate there, over all trials. Its interval is the wider of
        a bootstrap over people and Clopper-Pearson with as many observations as there are people. A rate below
        1 / people is not measured: so few people cannot show it.

    Raises:
        InvalidInputError: `models` is odd or too small.

    Source: Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.
    """
    people = {owner for row in rows if (owner := owner_of(row)) is not None}
    if len(people) * max(RATES) < 1:
        return [_too_few(rate, len(people), bound) for rate in RATES]
    try:
        trials = attack(family, rows, models=models, progress=progress, parts=parts)
    except _TooLittleError as error:
        why = f"Half of the people are too few to learn from: {error}"
        return [not_measured(AUDIT, why, metric=_metric(rate), bound=bound) for rate in RATES]
    return [_finding(trials, rate, bound) for rate in RATES]


def attack(
    family: Family, rows: Sequence[Row], *, models: int = MODELS, progress: Progress, parts: Parts = _NOWHERE
) -> Trials:
    """Train models on halves of the people and attack each with the help of the others.

    Args:
        family: Whose way of training is attacked.
        rows: A snapshot's rows. Which people are in which half follows from them alone.
        models: How many models; an even number, at least 6.
        progress: Called with how many were attacked.
        parts: Where models are kept until the audit is done (see `trainings`).

    Raises:
        InvalidInputError: `models` is odd or too small, or half of the people are too few to learn from.
    """
    if models < FEWEST_MODELS or models % 2:
        msg = f"{models} models cannot attack one another: take an even number, at least {FEWEST_MODELS}."
        raise InvalidInputError(msg)
    owners = [owner_of(row) for row in rows]
    people = sorted({owner for owner in owners if owner is not None})
    member = _halves(people, models, seed_of(rows))
    scores = np.full((models, len(people)), np.nan)
    for number in range(models):
        progress("attacking models of half the people", number, models)
        inside = {person for person, is_in in zip(people, member[number], strict=True) if is_in}
        half = [row for row, owner in zip(rows, owners, strict=True) if owner is None or owner in inside]
        try:
            model = learn(family, half, parts=parts)
        except InvalidInputError as error:
            raise _TooLittleError(str(error)) from error
        known = familiarity(family, model, rows)
        scores[number] = [known.get(person, np.nan) for person in people]
    progress("attacking models of half the people", models, models)
    heard = np.isfinite(scores).all(axis=0)
    return Trials(
        people=tuple(person for person, is_heard in zip(people, heard, strict=True) if is_heard),
        member=member[:, heard],
        evidence=likelihood_ratios(scores[:, heard], member[:, heard]),
    )


class _TooLittleError(InvalidInputError):
    """Half of the people are too few to learn from."""


def _halves(people: Sequence[str], models: int, seed: bytes) -> NDArray[np.bool_]:
    """Return who is in which model, shape (models, people): a fair coin for each pair of models and person."""
    member = np.zeros((models, len(people)), dtype=bool)
    for pair in range(models // 2):
        coins = (sha256(seed + pair.to_bytes(4) + person.encode()).digest()[0] for person in people)
        member[2 * pair] = [coin % 2 == 0 for coin in coins]
        member[2 * pair + 1] = ~member[2 * pair]
    return member


def familiarity(family: Family, model: Model, rows: Sequence[Row]) -> Mapping[str, float]:
    """Return how well a model fits each person's rows, by the best means that the family has.

    That is its own measure (`Familiar`), or the mean log-likelihood of the person's texts (`Likely`), or how well the
    feature does on what the person has a part in, by the family's own `holdout` and `evaluate`.
    """
    if isinstance(family, Familiar):
        return family.familiarity(model, rows)
    if isinstance(family, Likely):
        said: dict[str, list[float]] = {}
        for row, value in zip(rows, family.log_likelihood(model, rows).tolist(), strict=True):
            owner = owner_of(row)
            if owner is not None and np.isfinite(value):
                said.setdefault(owner, []).append(value)
        return {person: float(np.mean(values)) for person, values in said.items()}
    return dict(_by_evaluation(family, model, rows))


def _by_evaluation(family: Family, model: Model, rows: Sequence[Row]) -> list[tuple[str, float]]:
    theirs: dict[str, list[Row]] = {}
    for row in rows:
        for person in row.everyone:
            theirs.setdefault(person, []).append(row)
    found = []
    for person, own in theirs.items():
        known, held_out = family.holdout(own, 0, 1)  # of one fold, the first holds out whatever can be
        values = family.evaluate(model, known, held_out).values
        if len(values):
            found.append((person, float(values.mean())))
    return found


def likelihood_ratios(scores: Floats, member: NDArray[np.bool_]) -> Floats:
    """Say how much likelier each score is of a model that saw the person than of one that did not.

    Args:
        scores: Shape (models, people), how well each model fits each person's rows. Models 2i and 2i + 1 are twins:
            each person is in exactly one of them.
        member: Shape (models, people), who is in which.

    Returns:
        Shape (models, people), natural logarithms of the ratio of two normal densities, with the person's own means
        over the other models and two variances that all people share, since each person has few models.
    """
    models, people = scores.shape
    evidence = np.zeros((models, people))
    if not people:
        return evidence
    least = max(1e-12, (1e-6 * float(scores.max() - scores.min())) ** 2)  # a model that never errs has no variance
    for target in range(models):
        others = [number for number in range(models) if number // 2 != target // 2]
        densities = []
        for group in (member[others], ~member[others]):
            count = len(others) // 2  # by the design, for every person
            mean = np.where(group, scores[others], 0.0).sum(axis=0) / count
            errors = np.where(group, scores[others] - mean, 0.0)
            variance = max(float((errors**2).sum()) / (people * (count - 1)), least)
            densities.append(-((scores[target] - mean) ** 2) / (2 * variance) - np.log(variance) / 2)
        evidence[target] = densities[0] - densities[1]
    return evidence


class Curve:
    """True-positive against false-positive rate of an attack, for all people or for a resample of them."""

    def __init__(self, trials: Trials) -> None:
        """Sort the trials once, the strongest evidence first."""
        members = self._sorted(trials, trials.member)
        others = self._sorted(trials, ~trials.member)
        self._member_evidence, self._member_person = members
        self._other_evidence, self._other_person = others

    @staticmethod
    def _sorted(trials: Trials, which: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.intp]]:
        _, person = np.nonzero(which)
        evidence = trials.evidence[which]
        order = np.argsort(-evidence, kind="stable")
        return evidence[order], person[order]

    def tpr_at(self, rate: float, times: NDArray[np.int64]) -> float:
        """Return the true-positive rate at a false-positive rate.

        Args:
            rate: The largest share of the others that may be taken for members.
            times: Shape (people,), how often each person counts: once, or as often as a resample drew them.

        Returns:
            The largest share of members whose evidence is above a threshold that so few others are above. Others with
            the same evidence are all above it or none.
        """
        mistaken = np.cumsum(times[self._other_person])
        found = np.cumsum(times[self._member_person])
        allowed = int(rate * mistaken[-1] + 1e-9)
        first_too_many = int(np.searchsorted(mistaken, allowed, side="right"))
        if first_too_many == len(mistaken):
            return 1.0
        above = int(np.searchsorted(-self._member_evidence, -self._other_evidence[first_too_many], side="left"))
        return float(found[above - 1] / found[-1]) if above else 0.0

    def area(self) -> float:
        """Return the area under the curve: the chance that a member has stronger evidence than a non-member."""
        ascending = self._other_evidence[::-1]
        below = np.searchsorted(ascending, self._member_evidence, side="left")
        up_to = np.searchsorted(ascending, self._member_evidence, side="right")
        return float((below + up_to).mean() / (2 * len(ascending)))


def tpr_with_interval(trials: Trials, rate: float) -> tuple[float, float, float]:
    """Return the true-positive rate at a false-positive rate, and its 95 % interval.

    The interval is the wider, at either end, of two: a percentile bootstrap over people, which moves the threshold too,
    and Clopper-Pearson with one observation a person, which does not shrink to nothing where no member or every member
    is found.
    """
    curve, people = Curve(trials), len(trials.people)
    value = curve.tpr_at(rate, np.ones(people, dtype=np.int64))
    rng = np.random.default_rng(20220331)
    drawn = [
        curve.tpr_at(rate, np.bincount(rng.integers(0, people, people), minlength=people).astype(np.int64))
        for _ in range(_RESAMPLES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    found = value * people
    from scipy.special import betaincinv  # noqa: PLC0415 - of the extra `learn`; the core reads findings without it

    exact_low = 0.0 if found == 0 else float(betaincinv(found, people - found + 1, 0.025))
    exact_high = 1.0 if found == people else float(betaincinv(found + 1, people - found, 0.975))
    return value, min(float(low), exact_low), max(float(high), exact_high)


def _metric(rate: float) -> str:
    return f"TPR at {100 * rate:g} % FPR"


def _too_few(rate: float, people: int, bound: float | None) -> Finding:
    why = f"With {people} others the smallest false-positive rate that can be measured is 1/{people}."
    if not people:
        why = "No person has rows that could be scored."
    return not_measured(AUDIT, why, metric=_metric(rate), bound=bound)


def _finding(trials: Trials, rate: float, bound: float | None) -> Finding:
    people, models = len(trials.people), len(trials.member)
    if people * rate < 1:
        return _too_few(rate, people, bound)
    value, low, high = tpr_with_interval(trials, rate)
    curve, once = Curve(trials), np.ones(people, dtype=np.int64)
    return Finding(
        audit=AUDIT,
        metric=_metric(rate),
        value=value,
        low=low,
        high=high,
        bound=bound,
        verdict=at_most(value, bound),
        units=people,
        how=(
            f"Likelihood-ratio attack (LiRA), with the model's file in hand, on {models} models: each was trained on "
            f"half of {people} people and attacked with the {models - 2} others that are not its complement; 95 % by "
            "bootstrap over people, or Clopper-Pearson where that is wider. An attack that knows nothing finds members "
            "at the rate at which it mistakes others for them."
        ),
        detail={
            "false_positive_rate": rate,
            "models": models,
            "trials_of_members": int(trials.member.sum()),
            "trials_of_others": int((~trials.member).sum()),
            "area_under_curve": curve.area(),
            "curve": {f"{at:g}": curve.tpr_at(at, once) for at in _CURVE if at * people >= 1},
        },
    )
