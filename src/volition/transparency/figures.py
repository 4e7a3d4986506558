"""Figures: what audits have measured of a purpose, as one party may see it.

An account is shown figures of the account and of everybody, never a person's answer: a figure that rests on fewer than
five people, or from which one could be derived (a differencing attack), is withheld. A person is shown their own. What
was not measured says "not measured"; nothing is estimated.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from volition.consent.references import Pseudonym, person_ref
from volition.learning.audit.finding import NO_BOUND, NOT_MEASURED, Finding
from volition.learning.audit.groups import FEWEST
from volition.learning.audit.marginal import Effect
from volition.learning.registry import ModelState
from volition.records.snapshot import Snapshot

RISKS: Final = ("attack", "canary", "fairness", "poisoning")
"""What a yes can cost: "attack" is membership inference, "canary" memorisation, "poisoning" the harm that one party's
data can do to others. A risk that a model's audits did not look at is shown as not measured."""

CANARY_BITS_BY_CHANCE: Final = 1 / math.log(2)
"""Mean exposure, in bits, of what a model does not remember: the mean of -log2 of a uniform number."""

_OWN_DATA: Final = "own data"
_PERSON: Final = "person:"
WHEN_ASKED: Final = "It takes long, so it is measured when asked for: `volition weigh --measure`."
_WITHHELD: Final = f"It rests on fewer than {FEWEST} people, and would reveal something about individuals."


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPlaces:
    """For which share of the units what was wanted came first.

    Attributes:
        trained: The share with training, from 0 to 1.
        untrained: The same without.
        value: The one less the other.
        low: Lower end of its 95 % interval, paired by unit; none where there is too little for one.
        high: Upper end of it.
    """

    trained: float
    untrained: float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFigure:
    """One measured figure, or a note that it was not measured.

    Attributes:
        what: The audit, or the part of it.
        about: Whose figure it is: "you", "your account" or "everybody".
        metric: What was measured.
        value: The figure; none if it was not measured.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        units: How many units it rests on.
        bound: What it is compared with before a release; none if no bound is set.
        verdict: "pass", "fail", "no bound" or "not measured".
        how: How it was measured, or why it was not.
        model: The model that was measured; none if there is none.
        trained: Of a benefit, the measure with training; none for other figures.
        untrained: The same without training.
        first: Of a benefit, for which share of the units what was wanted came first; none where nothing is ranked.
        chance: Of a risk, the figure of somebody who knows nothing, or of a model that remembers nothing; none if there
            is none.
    """

    what: str
    about: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    units: int
    bound: float | None
    verdict: str
    how: str
    model: str | None
    trained: float | None = None
    untrained: float | None = None
    first: FirstPlaces | None = None
    chance: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownModel:
    """A model that has not been forgotten, with what is known about it.

    Attributes:
        state: What the ledger says of it.
        at_work: Whether it is at work.
        purpose: What it was trained for.
        snapshot: What it learned from; none where that is damaged or lost.
        findings: What its audits found; empty if it was not audited, or if that cannot be read.
        has_lost_findings: Whether what its audits found cannot be read.
        effect: What the party's own data is worth to the account's units and to the party's own, if that was measured
            just now; a text says why it could not be.
    """

    state: ModelState
    at_work: bool
    purpose: str
    snapshot: Snapshot | None
    findings: Sequence[Finding]
    has_lost_findings: bool = False
    effect: tuple[Effect, Effect] | str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class WeighingParty:
    """The party that weighs.

    Attributes:
        name: "account:ID" or "person:ID", as people write it.
        ledger_name: The same party as the ledger names it.
        account: Id of the account, its own or the person's; none for a guest of no account.
        merged: Into whom people were merged, pseudonym -> pseudonym: whoever has several identities is one person.
    """

    name: str
    ledger_name: str
    account: str | None
    merged: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_account(self) -> bool:
        """Whether it is an account."""
        return self.ledger_name.startswith("account:")

    @property
    def identities(self) -> tuple[str, ...]:
        """The party under every name that the ledger has for it; a no of theirs is recorded for each."""
        kept = self.ledger_name.removeprefix(_PERSON)
        return (self.ledger_name, *(person_ref(Pseudonym(one)) for one, into in self.merged.items() if into == kept))

    def address(self, party: str) -> str:
        """Return how a party is called in front of this one: "you" or "your account"."""
        return "your account" if party.startswith("account:") and not self.is_account else "you"


def gains(party: WeighingParty, shown: Sequence[KnownModel]) -> Iterator[MeasuredFigure]:
    """Yield what a yes gives: the benefit to everybody, to the account, and by the party's own data.

    Args:
        party: The party that weighs.
        shown: The models whose figures are shown.
    """
    if not shown:
        why = "No model of this kind is at work or has been audited yet."
        yield _missing("benefit", party.address(party.ledger_name), why)
    for model in shown:
        overall = [found for found in model.findings if found.audit == "benefit"]
        if not overall:
            yield _missing("benefit", "everybody", _why_unmeasured(model, f"{model.state.id} was not audited."), model)
        for found in overall:
            yield from _own_benefit(party, model, found)
            yield _of_everybody(party, found, model)


def _of_everybody(party: WeighingParty, found: Finding, model: KnownModel) -> MeasuredFigure:
    """Return the figure of everybody, unless a party that subtracts its own could learn about a few individuals."""
    if tells_of_few(found, party.account):
        return _missing("benefit", "everybody", _WITHHELD, model)
    return _figure("benefit", "everybody", found, model)


def tells_of_few(found: Finding, account: str | None) -> bool:
    """Return whether an account that subtracts its own figure from everybody's could learn about a few individuals.

    This is a differencing attack: what remains would rest on fewer than `FEWEST` people.
    """
    people = {one: figures.get("people") for one, figures in found.detail.get("by_account", {}).items()}
    if found.audit != "benefit" or not found.measured or None in people.values():
        return False
    own: int = people.get(account, 0)
    others: int = sum(people.values()) - (0 if is_few(own) else own)
    return 0 < others < FEWEST


def _own_benefit(party: WeighingParty, model: KnownModel, found: Finding) -> Iterator[MeasuredFigure]:
    """Yield what training gives this party's account, and what the party's own data adds."""
    if not found.measured:
        return
    about = party.address(f"account:{party.account}")
    figures = found.detail["by_account"].get(party.account, {})
    few = is_few(figures.get("people"))
    yield _of_account(party, "benefit", found, model)
    if isinstance(model.effect, str):
        yield _missing(_OWN_DATA, "you", model.effect, model)
    elif model.effect is not None:
        account, own = model.effect
        yield _missing(_OWN_DATA, about, _WITHHELD, model) if few else _own_data(about, found, model, account)
        if not party.is_account:
            yield _own_data("you", found, model, own)
    elif party.is_account and figures.get("marginal") is not None and not few:
        yield _own_data(about, found, model, Effect(**figures["marginal"]))
    else:
        yield _missing(_OWN_DATA, "you", _WITHHELD if few and party.is_account else WHEN_ASKED, model)


def _of_account(party: WeighingParty, what: str, found: Finding, model: KnownModel) -> MeasuredFigure:
    about = party.address(f"account:{party.account}")
    figures = found.detail.get("by_account", {}).get(party.account)
    if figures is None:
        why = f"Nothing of {party.account or 'yours'} was in the data that {model.state.id} was measured on."
        return _missing(what, about, why, model)
    if is_few(figures.get("people")):
        return _missing(what, about, _WITHHELD, model)
    return MeasuredFigure(
        what=what,
        about=about,
        metric=found.metric,
        value=figures["value"],
        low=figures.get("low"),
        high=figures.get("high"),
        units=figures.get("units", 0),
        bound=None,
        verdict=NO_BOUND,
        how=found.how,
        model=model.state.id,
        **_compared(figures),
    )


def _own_data(about: str, found: Finding, model: KnownModel, effect: Effect) -> MeasuredFigure:
    if effect.value is None:
        return _missing(_OWN_DATA, about, "Nothing that it was measured on is about this party.", model)
    return MeasuredFigure(
        what=_OWN_DATA,
        about=about,
        metric=found.metric,
        value=effect.value,
        low=effect.low,
        high=effect.high,
        units=effect.units,
        bound=None,
        verdict=NO_BOUND,
        how="The figure with this party's data in training, less that without, on the same held-out units "
        "(leave-one-out).",
        model=model.state.id,
    )


def is_few(people: int | None) -> bool:
    """Return whether a figure rests on too few people to be shown to an account (a threshold of k-anonymity)."""
    return people is not None and people < FEWEST


def costs(party: WeighingParty, shown: Sequence[KnownModel]) -> Iterator[MeasuredFigure]:
    """Yield what a yes costs in measured risk.

    Args:
        party: The party that weighs.
        shown: The models whose figures are shown.
    """
    if not shown:
        yield from (_missing(risk, "everybody", "No model of this kind has been audited yet.") for risk in RISKS)
    for model in shown:
        found = [one for one in model.findings if one.audit != "benefit"]
        for one in found:
            figures = one.detail.get("by_account", {}).get(party.account)
            if one.measured and isinstance(figures, Mapping) and "value" in figures:
                yield _of_account(party, one.audit, one, model)
            yield _figure(one.audit, "everybody", one, model)
        for risk in RISKS:
            if risk not in {one.audit for one in found}:
                why = _why_unmeasured(model, f"No audit of {model.state.id} looked at it.")
                yield _missing(risk, "everybody", why, model)


def _why_unmeasured(model: KnownModel, otherwise: str) -> str:
    return f"What audits found of {model.state.id} cannot be read here." if model.has_lost_findings else otherwise


def _figure(what: str, about: str, found: Finding, model: KnownModel) -> MeasuredFigure:
    return MeasuredFigure(
        what=what,
        about=about,
        metric=found.metric,
        value=found.value,
        low=found.low,
        high=found.high,
        units=found.units,
        bound=found.bound,
        verdict=found.verdict,
        how=found.how,
        model=model.state.id,
        chance=_by_chance(found),
        **(_compared(found.detail) if found.audit == "benefit" and found.measured else {}),
    )


def _compared(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return a benefit's measure with training and without, and the same in first places where it has that."""
    first = figures.get("first")
    return {
        "trained": figures.get("trained"),
        "untrained": figures.get("untrained"),
        "first": None if first is None else FirstPlaces(**first),
    }


def _by_chance(found: Finding) -> float | None:
    """Return what a risk's figure would be without the model, or of a model that remembers nothing."""
    if not found.measured or found.audit not in {"attack", "canary"}:
        return None
    rate = found.detail.get("false_positive_rate") if found.audit == "attack" else CANARY_BITS_BY_CHANCE
    return None if rate is None else float(rate)


def _missing(what: str, about: str, why: str, model: KnownModel | None = None) -> MeasuredFigure:
    return MeasuredFigure(
        what=what,
        about=about,
        metric="none",
        value=None,
        low=None,
        high=None,
        units=0,
        bound=None,
        verdict=NOT_MEASURED,
        how=f"Not measured. {why}",
        model=None if model is None else model.state.id,
    )
