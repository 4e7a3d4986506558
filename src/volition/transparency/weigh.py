"""Weigh: what a yes gives a party, what it costs in measured risk, what a no turns off, what withdrawing later does.

Everything here was measured or decided before: audits' findings, the terms' switches, the party's own permits, the
snapshots that models learned from. What was not measured says "not measured"; nothing is estimated.

An account is shown figures of the account and of everybody, never a person's answer: a figure that rests on fewer than
five people, or that would give one away, is withheld, and so is how many rows of so few were learnt from. A person is
shown their own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from volition.canonical import us_to_text
from volition.consent.gate import concerned, instant_text, remedy
from volition.consent.history import History
from volition.consent.permits import NO_PERMIT_US, PartyRole, Permit, Say, Use, governing_rule, permit
from volition.consent.terms.model import PURPOSES, Terms, leaves
from volition.learning.audit.cross_validation import cross_validate
from volition.learning.audit.finding import NO_BOUND, NOT_MEASURED, Finding
from volition.learning.audit.groups import FEWEST
from volition.learning.audit.marginal import Effect, marginal_effect
from volition.learning.families.family import Family
from volition.learning.registry import ModelState
from volition.progress import Progress
from volition.records.lake import Row
from volition.records.snapshot import Snapshot
from volition.transparency.traces import at_stake

RISKS: Final = ("attack", "canary", "fairness", "poisoning")
"""What a yes can cost; a risk that a model's audits did not look at is told as not measured."""

_TRAINING: Final = "train/"
_FEATURE: Final = "feature/"

_STAYS: Final = {
    _TRAINING: (
        "What a model answered before it forgot stays answered.",
        "The log keeps who said yes and no, people under a pseudonym, and which model learned and forgot.",
        "A later yes does not bring back the data from before the no, unless it says so.",
    ),
    _FEATURE: ("What was shown before the no has been seen.",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What stands now for some kinds of data.

    Attributes:
        party: Whose answer it is: "you" or "your account".
        data: Categories of which it holds.
        say: What say the terms give: "asked", "may refuse" or "none".
        allowed: Whether the party's side is open.
        since: Since when; none where it is not.
        reason: Why not; none where it is.
        remedy: What would change it, in words; empty where nothing need change.
    """

    party: str
    data: tuple[str, ...]
    say: str
    allowed: bool
    since: str | None
    reason: str | None
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure, or that it was not measured.

    Attributes:
        what: The audit, or what of it.
        about: Whose figure it is: "you", "your account" or "everybody".
        metric: What was measured.
        value: The figure; none if it was not measured.
        low: Lower end of its 95 % interval.
        high: Upper end of it.
        units: How many units it rests on.
        bound: What it is held against before a release; none if nothing is set.
        verdict: "pass", "fail", "no bound" or "not measured".
        how: How it was measured, or why not.
        model: The model that it is of; none if there is none.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Off:
    """What turning a switch off does.

    Attributes:
        switch: Its name.
        title: What a page calls it.
        refuses: Purposes for which off is a no.
        disables: Features that it turns off besides.
    """

    switch: str
    title: str
    refuses: tuple[str, ...]
    disables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A model that learned from the party and would have to forget it.

    Attributes:
        model: Its id.
        family: Its family.
        at_work: Whether it is at work.
        rows: How many rows it would forget; none where that would tell about single people.
        overridden: Who released it beyond its bounds, and why; none if it holds them.
    """

    model: str
    family: str
    at_work: bool
    rows: int | None
    overridden: Mapping[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """One purpose, weighed.

    Attributes:
        purpose: The purpose.
        now: What stands now.
        gains: What a yes gives.
        costs: What it costs in measured risk.
        a_no: What a no to this purpose alone does.
        switches: What the switches do that say no to it.
        models: The models that would have to forget.
        due_days: Days from a no to the day on which they must have forgotten; none where nothing was learnt.
        withdrawing: What withdrawing later does.
        stays: What it cannot undo.
    """

    purpose: str
    now: tuple[State, ...]
    gains: tuple[Figure, ...]
    costs: tuple[Figure, ...]
    a_no: str
    switches: tuple[Off, ...]
    models: tuple[Learned, ...]
    due_days: int | None
    withdrawing: str
    stays: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What a party weighs before it chooses.

    Attributes:
        party: "account:ID" or "person:ID".
        account: The account whose figures are shown; none for a guest of no account.
        at: The instant, as text.
        purposes: One for each purpose.
    """

    party: str
    account: str | None
    at: str
    purposes: tuple[Weighing, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """A model that was not forgotten, with what is known of it.

    Attributes:
        state: What the ledger says of it.
        at_work: Whether it is at work.
        snapshot: What it learned from.
        findings: What its audits found; nothing if it was not audited.
        effect: What the party's own data is worth to the account's units and to the party's own, if that was measured
            just now; a text says why it could not be.
    """

    state: ModelState
    at_work: bool
    snapshot: Snapshot
    findings: Sequence[Finding]
    effect: tuple[Effect, Effect] | str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Party:
    """Who weighs.

    Attributes:
        name: "account:ID" or "person:ID", for people.
        ledger_name: The same as the ledger names it.
        account: Id of the account, its own or the person's; none for a guest of no account.
    """

    name: str
    ledger_name: str
    account: str | None

    @property
    def is_account(self) -> bool:
        """Whether it is an account."""
        return self.ledger_name.startswith("account:")

    def told(self, party: str) -> str:
        """Return how a party is told to this one."""
        return "your account" if party.startswith("account:") and not self.is_account else "you"


def to_show(models: Sequence[Known], purpose: str) -> list[Known]:
    """Return, for each family that learns for a purpose, the model whose figures are shown.

    It is the one at work; where none is, the newest that was audited.
    """
    chosen: dict[str, Known] = {}
    for model in models:
        if model.snapshot.purpose != purpose or not (model.findings or model.at_work):
            continue
        before = chosen.get(model.state.family)
        if before is None or model.at_work or not before.at_work:
            chosen[model.state.family] = model
    return list(chosen.values())


def refusable(history: History, party: str, at_us: int, *, purpose: str) -> Callable[[str, Sequence[str], str], bool]:
    """Return the test of a row (account, people's pseudonyms, category): would this party's no take it out?

    Args:
        history: What the gate must know.
        party: "account:ID" or "person:PSEUDONYM".
        at_us: The instant asked about.
        purpose: The purpose.
    """
    known: dict[tuple[str, PartyRole, str], bool] = {}

    def would(account: str, people: Sequence[str], category: str) -> bool:
        for role, one in concerned(account, [f"person:{person}" for person in people]):
            if one == party:
                key = (account, role, category)
                if key not in known:
                    use = Use(account=account, party=party, role=role, category=category, purpose=purpose)
                    known[key] = governing_rule(history, use, at_us, asked_us=at_us).say is not Say.NONE
                return known[key]
        return False

    return would


def measure_own_data(  # noqa: PLR0913 - one model's family and rows, and who asks
    party: Party,
    model: Known,
    *,
    family: Family,
    rows: Sequence[Row],
    history: History,
    at_us: int,
    progress: Progress,
) -> tuple[Effect, Effect] | str:
    """Measure what a party's own data in training is worth to the account's units, and to the party's own.

    Args:
        party: Who asks.
        model: The model whose figures are shown.
        family: Its family.
        rows: What it learned from.
        history: What the gate must know.
        at_us: The present instant.
        progress: Told how far it has come.

    Returns:
        Both effects; or why they could not be measured, in a sentence.
    """
    if party.account is None:
        return "A guest of no account has no account's figures."
    crossed = cross_validate(family, rows, progress=progress)
    if crossed.fault:
        return crossed.fault
    would = refusable(history, party.ledger_name, at_us, purpose=model.snapshot.purpose)
    return marginal_effect(
        crossed,
        gone=lambda row: would(row.account, row.people, row.category),
        account=party.account,
        person=None if party.is_account else party.ledger_name.removeprefix("person:"),
    )


def weigh(  # noqa: PLR0913 - what there is to weigh
    party: Party,
    *,
    history: History,
    at_us: int,
    purposes: Mapping[str, Sequence[str]],
    models: Sequence[Known],
    due_days: int,
) -> Weighed:
    """Put together what a party weighs.

    Args:
        party: Who.
        history: What the gate must know.
        at_us: The present instant.
        purposes: Purpose -> the categories that it has a use for.
        models: Every model that was not forgotten, oldest first.
        due_days: Days from a no to the day on which every model must have forgotten.
    """
    weighings = [_weigh(party, history, at_us, purpose, data, models, due_days) for purpose, data in purposes.items()]
    return Weighed(party=party.name, account=party.account, at=us_to_text(at_us), purposes=tuple(weighings))


def _weigh(  # noqa: PLR0913, PLR0917 - as above, for one purpose
    party: Party,
    history: History,
    at_us: int,
    purpose: str,
    data: Sequence[str],
    models: Sequence[Known],
    due_days: int,
) -> Weighing:
    trains = purpose.startswith(_TRAINING)
    states = tuple(_states(party, history, at_us, purpose, data))
    shown = to_show(models, purpose)
    learned = tuple(_learned(party, history, at_us, purpose, models)) if trains else ()
    kind = _TRAINING if trains else _FEATURE if purpose.startswith(_FEATURE) else ""
    return Weighing(
        purpose=purpose,
        now=states,
        gains=tuple(_gains(party, shown)) if trains else (),
        costs=tuple(_costs(party, shown)) if trains else (),
        a_no=_a_no(party, purpose, states),
        switches=tuple(_switches(party, history, at_us, purpose)),
        models=learned,
        due_days=due_days if trains else None,
        withdrawing=_withdrawing(purpose, learned, due_days),
        stays=_STAYS.get(kind, ()),
    )


# --- what stands now -----------------------------------------------------------------------------------------------


def _states(party: Party, history: History, at_us: int, purpose: str, data: Sequence[str]) -> Iterator[State]:
    if party.account is None:
        return
    asked = [(f"account:{party.account}", PartyRole.ACCOUNT)]
    if not party.is_account:
        asked.insert(0, (party.ledger_name, PartyRole.FIRST))
    for one, role in asked:
        alike: dict[State, list[str]] = {}
        for category in data:
            use = Use(account=party.account, party=one, role=role, category=category, purpose=purpose)
            state = _state(history, use, at_us, party.told(one))
            alike.setdefault(state, []).append(category)
        for state, categories in alike.items():
            yield State(**(asdict(state) | {"data": tuple(categories)}))


def _state(history: History, use: Use, at_us: int, told: str) -> State:
    answer = permit(history, use, at_us)
    allowed = isinstance(answer, Permit)
    return State(
        party=told,
        data=(),
        say=governing_rule(history, use, at_us, asked_us=at_us).say.value,
        allowed=allowed,
        since=instant_text(answer.since_us) if isinstance(answer, Permit) else None,
        reason=None if isinstance(answer, Permit) else answer.reason.value,
        remedy="" if isinstance(answer, Permit) else remedy(answer.reason, use.party, since_us=NO_PERMIT_US),
    )


# --- what a yes gives, and what it costs ---------------------------------------------------------------------------


def _gains(party: Party, shown: Sequence[Known]) -> Iterator[Figure]:
    if not shown:
        yield _missing("benefit", party.told(party.ledger_name), "No model of this kind is at work or was audited yet.")
    for model in shown:
        overall = [found for found in model.findings if found.audit == "benefit"]
        if not overall:
            yield _missing("benefit", "everybody", f"{model.state.id} was not audited.", model)
        for found in overall:
            yield from _own_benefit(party, model, found)
            yield _of_everybody(party, found, model)


def _of_everybody(party: Party, found: Finding, model: Known) -> Figure:
    """Return the figure of everybody, unless a party who takes its own away from it would learn about a handful."""
    if tells_of_few(found, party.account):
        return _missing("benefit", "everybody", _WITHHELD, model)
    return _figure("benefit", "everybody", found, model)


def tells_of_few(found: Finding, account: str | None) -> bool:
    """Whether somebody of an account who takes its own figure away from everybody's would learn about a handful."""
    people = {one: told.get("people") for one, told in found.detail.get("by_account", {}).items()}
    if found.audit != "benefit" or not found.measured or None in people.values():
        return False
    own: int = people.get(account, 0)
    others: int = sum(people.values()) - (0 if _is_few(own) else own)
    return 0 < others < FEWEST


def _own_benefit(party: Party, model: Known, found: Finding) -> Iterator[Figure]:
    """Yield what training gives this party's account, and what its own data adds."""
    if not found.measured:
        return
    about = party.told(f"account:{party.account}")
    told = found.detail["by_account"].get(party.account, {})
    few = _is_few(told.get("people"))
    yield _of_account(party, "benefit", found, model)
    if isinstance(model.effect, str):
        yield _missing(_OWN_DATA, "you", model.effect, model)
    elif model.effect is not None:
        account, own = model.effect
        yield _missing(_OWN_DATA, about, _WITHHELD, model) if few else _own_data(about, found, model, account)
        if not party.is_account:
            yield _own_data("you", found, model, own)
    elif party.is_account and told.get("marginal") is not None and not few:
        yield _own_data(about, found, model, Effect(**told["marginal"]))
    else:
        yield _missing(_OWN_DATA, "you", _WITHHELD if few and party.is_account else WHEN_ASKED, model)


_OWN_DATA: Final = "own data"
WHEN_ASKED: Final = "It takes long, so it is measured when asked for: `volition weigh --measure`."
_WITHHELD: Final = f"It rests on fewer than {FEWEST} people, and would tell about single ones."


def _of_account(party: Party, what: str, found: Finding, model: Known) -> Figure:
    about = party.told(f"account:{party.account}")
    told = found.detail.get("by_account", {}).get(party.account)
    if told is None:
        why = f"Nothing of {party.account or 'yours'} was among what {model.state.id} was measured on."
        return _missing(what, about, why, model)
    if _is_few(told.get("people")):
        return _missing(what, about, _WITHHELD, model)
    return Figure(
        what=what,
        about=about,
        metric=found.metric,
        value=told["value"],
        low=told.get("low"),
        high=told.get("high"),
        units=told.get("units", 0),
        bound=None,
        verdict=NO_BOUND,
        how=found.how,
        model=model.state.id,
    )


def _own_data(about: str, found: Finding, model: Known, effect: Effect) -> Figure:
    if effect.value is None:
        return _missing(_OWN_DATA, about, "None of what it was measured on is about this party.", model)
    return Figure(
        what=_OWN_DATA,
        about=about,
        metric=found.metric,
        value=effect.value,
        low=effect.low,
        high=effect.high,
        units=effect.units,
        bound=None,
        verdict=NO_BOUND,
        how="With this party's data in training less without, on the same held-out units (leave-one-out).",
        model=model.state.id,
    )


def _is_few(people: int | None) -> bool:
    return people is not None and people < FEWEST


def _costs(party: Party, shown: Sequence[Known]) -> Iterator[Figure]:
    if not shown:
        yield from (_missing(risk, "everybody", "No model of this kind was audited yet.") for risk in RISKS)
    for model in shown:
        found = [one for one in model.findings if one.audit != "benefit"]
        for one in found:
            told = one.detail.get("by_account", {}).get(party.account)
            if one.measured and isinstance(told, Mapping) and "value" in told:
                yield _of_account(party, one.audit, one, model)
            yield _figure(one.audit, "everybody", one, model)
        for risk in RISKS:
            if risk not in {one.audit for one in found}:
                yield _missing(risk, "everybody", f"No audit of {model.state.id} looked at it.", model)


def _figure(what: str, about: str, found: Finding, model: Known) -> Figure:
    return Figure(
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
    )


def _missing(what: str, about: str, why: str, model: Known | None = None) -> Figure:
    return Figure(
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


# --- what a no does ------------------------------------------------------------------------------------------------


def _a_no(party: Party, purpose: str, states: Sequence[State]) -> str:
    own = [state.say for state in states if state.party == "you"]
    if own and all(say == Say.NONE.value for say in own):
        return "The terms give you no say in this."
    if purpose.startswith(_TRAINING):
        whose = "No record of your account" if party.is_account else "No record in which you have a say"
        return f"{whose} teaches a model for this purpose any more. No feature is turned off by it."
    if purpose.startswith(_FEATURE):
        if party.is_account:
            return "The feature stops for everybody in your account."
        return "The feature goes on, and shows nobody the records in which you have a say."
    return "It is refused, whatever anybody says later, until you say yes."


def _switches(party: Party, history: History, at_us: int, purpose: str) -> Iterator[Off]:
    terms = _terms(party, history, at_us)
    for switch in () if terms is None else terms.switches:
        refuses = leaves(switch.refuses, PURPOSES)
        if purpose in refuses:
            disables = tuple(name for name in leaves(switch.disables, PURPOSES) if name not in refuses)
            yield Off(switch=switch.name, title=switch.title, refuses=refuses, disables=disables)


def _terms(party: Party, history: History, at_us: int) -> Terms | None:
    if party.account is None:
        return None
    bound = [terms for start_us, terms in history.bindings.terms_of(party.account) if start_us <= at_us]
    return bound[-1] if bound else None


def _learned(party: Party, history: History, at_us: int, purpose: str, models: Sequence[Known]) -> Iterator[Learned]:
    for model in models:
        if model.snapshot.purpose != purpose:
            continue
        gone = at_stake(model.snapshot, party.ledger_name, history, at_us=at_us)
        if gone:
            few = party.is_account and _is_few(len(frozenset().union(*(share.people for share in gone))))
            yield Learned(
                model=model.state.id,
                family=model.state.family,
                at_work=model.at_work,
                rows=None if few else sum(len(share.collected_us) for share in gone),
                overridden=model.state.override,
            )


def _withdrawing(purpose: str, learned: Sequence[Learned], due_days: int) -> str:
    if purpose.startswith(_FEATURE):
        return "It stops at once."
    if not purpose.startswith(_TRAINING):
        return "Nothing goes on that would have to stop."
    if not learned:
        return "No model that there is now would have anything to forget; later ones do not learn from it."
    return (
        f"Nothing is learnt from it any more from then on. Within {due_days} days each model named here gives way to "
        "the one that would have been trained without it, and its files are erased."
    )
