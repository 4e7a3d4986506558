"""Verdicts: what the measured figures say, in sentences that need no explaining. They come before any chart.

Each sentence follows from a figure and its 95 % interval, and from nothing else: what may be chance is called not sure,
a benefit below zero is called worse, and what was not measured says so. A person or an account reads here only about
risks of its own: being recognised in a model, and being repeated by one.

    >>> shares(0.607, 0.534)
    (61, 53, 100)
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from volition.learning.families.spec import FamilyWords
from volition.transparency.figures import CANARY_BITS_BY_CHANCE, WHEN_ASKED, MeasuredFigure

OWN_RISKS: Final = ("attack", "canary")
"""The risks that whoever says yes takes upon themselves; the others are of the model, whoever is in it."""

_YES: Final = "With a yes to training,"
_OUT_OF: Final = (10, 100, 1000)
_ALIKE: Final = 0.002
"""Shares that differ by less than this are told as alike."""

_SECRETS: Final = 1024  # sentences among which a canary is ranked, see `audit.canary`

WordsOf = Callable[[str], FamilyWords]


class Sureness(StrEnum):
    """What an interval says of a difference."""

    BETTER = "better"
    WORSE = "worse"
    UNSURE = "not sure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """A feature with training and without, as it is told."""

    told: str
    sureness: Sureness
    value: float


def sureness(low: float | None, high: float | None) -> Sureness:
    """Return what the 95 % interval of a difference says of it: unknown where there is no interval."""
    if low is None or high is None:
        return Sureness.UNKNOWN
    return Sureness.BETTER if low > 0 else Sureness.WORSE if high < 0 else Sureness.UNSURE


def shares(trained: float, untrained: float) -> tuple[int, int, int]:
    """Return two shares as whole numbers of 10, 100 or 1000: the coarsest that does not distort their difference.

    Returns:
        The first, the second, and out of how many; the first two are equal where the shares are all but alike.
    """
    difference = trained - untrained
    for out_of in _OUT_OF:
        one, other = round(trained * out_of), round(untrained * out_of)
        if one != other and abs((one - other) / out_of - difference) <= abs(difference) / 4:
            return one, other, out_of
    if abs(difference) < _ALIKE:
        return (same := round(trained * 100)), same, 100
    return round(trained * _OUT_OF[-1]), round(untrained * _OUT_OF[-1]), _OUT_OF[-1]


def verdict(gains: Sequence[MeasuredFigure], *, is_account: bool, words_of: WordsOf) -> tuple[str, ...]:
    """Return what a yes to a purpose of training gives, in sentences; the first is the one to read.

    Args:
        gains: What was measured of it, as `figures.gains` gives it.
        is_account: Whether an account weighs, rather than a person.
        words_of: What a family is called, by its name.
    """
    found: list[str] = []
    families = dict.fromkeys(_family(one) for one in gains)
    for family in families:
        of = [one for one in gains if _family(one) == family]
        words = words_of(family) if family else None
        named = f"{words.title}: " if words is not None and len(families) > 1 else ""
        told = [*_of_benefit(of, words, is_account=is_account), *_of_own_data(of, is_account=is_account)]
        found += [f"{named}{line}" if place == 0 else line for place, line in enumerate(told)]
    return tuple(found)


def risks(costs: Iterable[MeasuredFigure], *, is_account: bool) -> tuple[str, ...]:
    """Return what a yes costs whoever says it, in sentences: their own risks, not those of the model as a whole.

    Args:
        costs: What was measured of it, as `figures.costs` gives it.
        is_account: Whether an account weighs, rather than a person.
    """
    several = list(costs)
    if all(one.model is None for one in several):
        return ("Nothing was measured either.",)
    if not any(of_own_risk(several, risk) for risk in OWN_RISKS):
        whom = "your people" if is_account else "you"
        return (f"Whether a model gives away that {whom} were in training, or what {whom} wrote, was not measured.",)
    return tuple(line for risk in OWN_RISKS for line in _of_risk(risk, several))


def of_own_risk(costs: Iterable[MeasuredFigure], risk: str) -> list[MeasuredFigure]:
    """Return the figures of one of `OWN_RISKS` that are told: for each model the one, or none if it has none.

    An attack is measured at several rates; told is the one at the highest rate, which fewer people suffice to show.
    """
    chosen: dict[str | None, MeasuredFigure] = {}
    for one in costs:
        if one.what != risk or one.value is None:
            continue
        before = chosen.get(one.model)
        if before is None or (one.chance or 0.0) > (before.chance or 0.0):
            chosen[one.model] = one
    return list(chosen.values())


def _family(figure: MeasuredFigure) -> str:
    return "" if figure.model is None else figure.model.rpartition("-")[0]


def _of_benefit(gains: Sequence[MeasuredFigure], words: FamilyWords | None, *, is_account: bool) -> Iterable[str]:
    several = [one for one in gains if one.what == "benefit"]
    measured = [one for one in several if one.value is not None]
    if not measured or words is None:
        why = several[0].how.removeprefix("Not measured. ") if several else ""
        yield f"What a yes to training gives was not measured. {why}".strip()
        return
    own = [one for one in measured if one.about != "everybody"]
    figure = (own or measured)[0]
    whom = "everybody taken together" if not own else "your account"
    compared = _compared(figure, words)
    yield f"{_YES} {compared.told}; {_sure(compared, whom)}."
    by_measure = sureness(figure.low, figure.high)
    if figure.first is not None and by_measure is not compared.sureness:
        yield f"By {figure.metric}, which looks beyond the first place, it is {_IN_SHORT[by_measure]}."
    if not own and several[0].about != "everybody":
        yield f"For {_whom(several[0], is_account=is_account)} alone it was not measured."


_IN_SHORT: Final = {
    Sureness.BETTER: "better, and that is more than chance",
    Sureness.WORSE: "worse, and that is more than chance",
    Sureness.UNSURE: "not sure",
    Sureness.UNKNOWN: "not known, from so little",
}


def _compared(figure: MeasuredFigure, words: FamilyWords) -> _Compared:
    """Tell a feature with training and without: by what came first, by its score in words, or by the bare measure."""
    if figure.first is not None and words.first:
        told = _told(words.first, figure.first.trained, figure.first.untrained)
        return _Compared(told=told, sureness=sureness(figure.first.low, figure.first.high), value=figure.first.value)
    value = figure.value or 0.0
    if figure.trained is None or figure.untrained is None:
        told = f"{figure.metric} was {value:+.3f} against what it is without"
    elif words.score:
        told = _told(words.score, figure.trained, figure.untrained)
    else:
        told = f"{figure.metric} was {figure.trained:.3f} instead of {figure.untrained:.3f}"
    return _Compared(told=told, sureness=sureness(figure.low, figure.high), value=value)


def _told(template: str, trained: float, untrained: float) -> str:
    one, other, out_of = shares(trained, untrained)
    return template.format(f"{one:,} of {out_of:,}") + (f" instead of {other:,}" if one != other else ", as without")


def _sure(compared: _Compared, whom: str) -> str:
    if compared.sureness is Sureness.BETTER:
        return f"this helps {whom}, and that is more than chance"
    if compared.sureness is Sureness.WORSE:
        return f"this is worse for {whom}, and that is more than chance"
    if compared.sureness is Sureness.UNKNOWN:
        worse = "this is worse, but " if compared.value < 0 else ""
        return f"{worse}too little was measured to say whether it helps {whom}"
    if compared.value < 0:
        return f"this is worse for {whom}, but it may be chance"
    return f"we are not sure that this helps {whom}"


def _of_own_data(gains: Sequence[MeasuredFigure], *, is_account: bool) -> Iterable[str]:
    for one in gains:
        if one.what != "own data":
            continue
        whose = "Your account's own data" if _whom(one, is_account=is_account) == "your account" else "Your own data"
        if one.value is None:
            why = "" if one.how.endswith(WHEN_ASKED) else f" {one.how.removeprefix('Not measured. ')}"
            yield f"What {whose[0].lower()}{whose[1:]} adds to this was not measured.{why}"
            continue
        found = sureness(one.low, one.high)
        if found is Sureness.BETTER:
            yield f"{whose} makes it better, and that is more than chance."
        elif found is Sureness.WORSE:
            yield f"{whose} makes it worse, and that is more than chance."
        elif one.value < 0:
            yield f"With {whose[0].lower()}{whose[1:]} it was worse, but that may be chance."
        elif one.value == 0:
            yield f"{whose} made no difference to it."
        else:
            yield f"We are not sure that {whose[0].lower()}{whose[1:]} adds to it."


def _whom(figure: MeasuredFigure, *, is_account: bool) -> str:
    return "you" if figure.about == "you" and not is_account else "your account"


def _of_risk(risk: str, costs: Sequence[MeasuredFigure]) -> Iterable[str]:
    told = of_own_risk(costs, risk)
    if not told:
        yield {
            "attack": "Being recognised in the model was not measured.",
            "canary": "Being repeated by it was not measured.",
        }[risk]
    for one in told:
        yield _recognised(one) if risk == "attack" else _repeated(one)


def _recognised(figure: MeasuredFigure) -> str:
    """Tell how many of those in training an attacker finds, beside how many a guess finds."""
    value, chance = figure.value or 0.0, figure.chance or 0.0
    found, by_guess, out_of = _of_round(value, chance)
    between = ""
    if figure.low is not None and figure.high is not None:
        between = f" (95 %: {round(figure.low * out_of):,} to {round(figure.high * out_of):,})"
    said = (
        f"An attacker who guesses is right about {by_guess:,} in {out_of:,} people; one who has this model, about "
        f"{found:,} in {out_of:,}{between}"
    )
    return f"{said}: {_beyond(figure, chance)}."


def _of_round(value: float, chance: float) -> tuple[int, int, int]:
    """Return a share and that of a guess as whole numbers of so many that a guess finds one at least."""
    out_of = next((size for size in (100, 1000, 10_000) if chance * size >= 1), 10_000)
    return round(value * out_of), round(chance * out_of), out_of


def _repeated(figure: MeasuredFigure) -> str:
    """Tell where a sentence that one person wrote stands among others like it, beside where it stands by chance."""
    chance = figure.chance or CANARY_BITS_BY_CHANCE
    place = _place_of(figure.value or 0.0)
    return (
        f"Among {_SECRETS:,} made-up sentences, the model puts the one that somebody wrote at place {place:,}; one "
        f"that remembers nothing, at place {_place_of(chance):,}: {_beyond(figure, chance)}."
    )


def _place_of(bits: float) -> int:
    """Return the (geometric) mean place that an exposure in bits stands for."""
    return max(1, round(_SECRETS * math.exp2(-bits)))


def _beyond(figure: MeasuredFigure, chance: float) -> str:
    if (figure.value or 0.0) <= chance:
        return "no more than by chance"
    if figure.low is not None and figure.low > chance:
        return "more than chance"
    return "more than a guess, but that may be chance"
