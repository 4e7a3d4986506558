"""Weigh: what a yes gives a party, what it costs in measured risk, what a no turns off, what withdrawing later does.

This is informed consent in figures. Everything here was measured or decided before: audits' findings, the terms'
switches, the party's own permits, the snapshots that models learned from. Nothing is estimated; see `figures` for what
is withheld to protect individuals. For the same reason an account does not see how many rows a model learned from fewer
than five people. A person sees their own.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from volition.canonical import us_to_text
from volition.consent.gate import instant_text, remedy, uses
from volition.consent.history import History
from volition.consent.permits import NO_PERMIT_US, PartyRole, Permit, Say, Use, governing_rule, permit
from volition.consent.references import Pseudonym, person_ref
from volition.consent.terms.model import Terms
from volition.errors import DamagedError, ProofError
from volition.learning.audit.cross_validation import cross_validate
from volition.learning.audit.marginal import Effect, marginal_effect
from volition.learning.families.family import Family
from volition.learning.families.installed import family_words
from volition.learning.grades import is_exact
from volition.progress import Progress
from volition.records.lake import Row
from volition.records.snapshot import Snapshot
from volition.transparency.figures import KnownModel, MeasuredFigure, WeighingParty, costs, gains, is_few
from volition.transparency.savings import Saving
from volition.transparency.traces import Share, at_stake
from volition.transparency.verdicts import risks, verdict

_TRAINING: Final = "train/"
_FEATURE: Final = "feature/"
_PERSON: Final = "person:"

_NOTHING_TO_SAY: Final = "The terms give you no say in this."

_STAYS: Final = {
    _TRAINING: (
        "Answers that a model gave before it forgot cannot be taken back.",
        "The log keeps who said yes and no, with people under a pseudonym, and which models learned and forgot.",
        "A later yes does not bring back the data from before the no, unless it says so.",
    ),
    _FEATURE: ("What was shown before the no has been seen.",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitState:
    """Whether a party's side allows a use now, for some kinds of data.

    Attributes:
        party: Whose answer it is: "you" or "your account".
        data: The categories that this holds for.
        say: What the terms give the party: it is "asked", it "may refuse", or "none" of both.
        allowed: Whether the party's side allows it.
        since: Since when; none if it is not allowed.
        reason: Why not; none if it is allowed.
        remedy: What would change it, in words; empty if nothing need change.
    """

    party: str
    data: tuple[str, ...]
    say: str
    allowed: bool
    since: str | None
    reason: str | None
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchEffect:
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
class LearnedModel:
    """A model that learned from the party and would have to forget it.

    Attributes:
        model: Its id.
        family: Its family.
        at_work: Whether it is at work.
        rows: How many rows it would forget; none if that would reveal something about individuals, or is not known.
        overridden: Who released it although it misses a bound, and why; none if it meets them all.
        is_unsure: Whether what it learned from cannot be read here: it may hold rows of the party's, or none.
    """

    model: str
    family: str
    at_work: bool
    rows: int | None
    overridden: Mapping[str, str] | None
    is_unsure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedPurpose:
    """One purpose, weighed.

    Attributes:
        purpose: The purpose.
        now: Whether it is allowed now.
        gains: What a yes gives.
        costs: What it costs in measured risk.
        verdict: What it gives, in sentences that follow from the gains; empty unless the purpose is training.
        own_risks: What it costs whoever says yes, in sentences that follow from the costs; empty likewise.
        saved: What a feature saved the account; empty for other purposes, and for a guest of no account.
        a_no: What a no to this purpose alone does.
        switches: What those switches do that include a no to it.
        models: The models that would have to forget.
        due_days: Days from a no to the day by which they must have forgotten; none unless the purpose is training.
        withdrawing: What withdrawing later does.
        stays: What it cannot undo.
    """

    purpose: str
    now: tuple[PermitState, ...]
    gains: tuple[MeasuredFigure, ...]
    costs: tuple[MeasuredFigure, ...]
    verdict: tuple[str, ...]
    own_risks: tuple[str, ...]
    saved: tuple[Saving, ...]
    a_no: str
    switches: tuple[SwitchEffect, ...]
    models: tuple[LearnedModel, ...]
    due_days: int | None
    withdrawing: str
    stays: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """All that a party weighs before it chooses.

    Attributes:
        party: "account:ID" or "person:ID".
        account: The account whose figures are shown; none for a guest of no account.
        at: The instant, as text.
        purposes: One for each purpose.
    """

    party: str
    account: str | None
    at: str
    purposes: tuple[WeighedPurpose, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def to_show(models: Sequence[KnownModel], purpose: str) -> list[KnownModel]:
    """Return, for each family that learns for a purpose, the model whose figures are shown.

    It is the one at work; if there is none, the newest that was audited.
    """
    chosen: dict[str, KnownModel] = {}
    for model in models:
        if model.purpose != purpose or not (model.findings or model.at_work):
            continue
        before = chosen.get(model.state.family)
        if before is None or model.at_work or not before.at_work:
            chosen[model.state.family] = model
    return list(chosen.values())


def refusable(
    history: History, party: str | Collection[str], at_us: int, *, purpose: str
) -> Callable[[str, Sequence[str], str], bool]:
    """Return the test of a row (account, people's pseudonyms, category): would this party's no take it out?

    Args:
        history: What the gate must know.
        party: "account:ID" or "person:PSEUDONYM"; or a person under each of their identities.
        at_us: The instant asked about.
        purpose: The purpose.
    """
    known: dict[Use, bool] = {}
    parties = {party} if isinstance(party, str) else {*party}

    def would(account: str, people: Sequence[str], category: str) -> bool:
        everyone = [person_ref(Pseudonym(one)) for one in people]
        for use in uses(history, account, everyone, category, purpose, at_us=at_us):
            if use.party in parties:
                if use not in known:
                    known[use] = governing_rule(history, use, at_us, asked_us=at_us).say is not Say.NONE
                if known[use]:
                    return True
        return False

    return would


def measure_own_data(  # noqa: PLR0913 - one model's family and rows, and who asks
    party: WeighingParty,
    model: KnownModel,
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
        progress: Called as it advances.

    Returns:
        Both effects; or why they could not be measured, in a sentence.
    """
    if party.account is None:
        return "A guest who belongs to no account has no account's figures."
    crossed = cross_validate(family, rows, progress=progress)
    if crossed.fault:
        return crossed.fault
    would = refusable(history, party.identities, at_us, purpose=model.purpose)
    return marginal_effect(
        crossed,
        gone=lambda row: would(row.account, row.people, row.category),
        account=party.account,
        person=None if party.is_account else party.ledger_name.removeprefix(_PERSON),
    )


def weigh(  # noqa: PLR0913 - what there is to weigh
    party: WeighingParty,
    *,
    history: History,
    at_us: int,
    purposes: Mapping[str, Sequence[str]],
    models: Sequence[KnownModel],
    due_days: int,
    saved: Mapping[str, tuple[Saving, ...]] = MappingProxyType({}),
) -> Weighed:
    """Put together what a party weighs.

    Args:
        party: The party that weighs.
        history: What the gate must know.
        at_us: The present instant.
        purposes: Purpose -> the categories that it has a use for.
        models: Every model that has not been forgotten, oldest first.
        due_days: Days from a no to the day by which every model must have forgotten.
        saved: Purpose of a feature -> what it saved the account.
    """
    weighings = [
        _weigh(party, history, at_us, purpose, data, models, due_days, saved.get(purpose, ()))
        for purpose, data in purposes.items()
    ]
    return Weighed(party=party.name, account=party.account, at=us_to_text(at_us), purposes=tuple(weighings))


def _weigh(  # noqa: PLR0913, PLR0917 - as above, for one purpose
    party: WeighingParty,
    history: History,
    at_us: int,
    purpose: str,
    data: Sequence[str],
    models: Sequence[KnownModel],
    due_days: int,
    saved: tuple[Saving, ...],
) -> WeighedPurpose:
    trains = purpose.startswith(_TRAINING)
    states = tuple(_states(party, history, at_us, purpose, data))
    shown = to_show(models, purpose)
    learned = tuple(_learned(party, history, at_us, purpose, models)) if trains else ()
    switches = tuple(_switches(party, history, at_us, purpose))
    given, cost = (tuple(gains(party, shown)), tuple(costs(party, shown))) if trains else ((), ())
    kind = _TRAINING if trains else _FEATURE if purpose.startswith(_FEATURE) else ""
    return WeighedPurpose(
        purpose=purpose,
        now=states,
        gains=given,
        costs=cost,
        verdict=verdict(given, is_account=party.is_account, words_of=family_words) if trains else (),
        own_risks=risks(cost, is_account=party.is_account) if trains else (),
        saved=saved,
        a_no=_a_no(party, purpose, states, switches),
        switches=switches,
        models=learned,
        due_days=due_days if trains else None,
        withdrawing=_NOTHING_TO_SAY if _has_no_say(states) else _withdrawing(purpose, learned, due_days, models),
        stays=_STAYS.get(kind, ()),
    )


# --- what is allowed now -------------------------------------------------------------------------------------------


def _states(
    party: WeighingParty, history: History, at_us: int, purpose: str, data: Sequence[str]
) -> Iterator[PermitState]:
    if party.account is None:
        return
    beside = () if party.is_account else history.located((party.ledger_name,))  # the rule of their region counts, too
    asked = [(f"account:{party.account}", PartyRole.ACCOUNT)]
    if not party.is_account:
        asked.insert(0, (party.ledger_name, PartyRole.FIRST))
    for one, role in asked:
        same: dict[PermitState, list[str]] = {}
        for category in data:
            use = Use(account=party.account, party=one, role=role, category=category, purpose=purpose, beside=beside)
            state = _state(history, use, at_us, party.address(one))
            same.setdefault(state, []).append(category)
        for state, categories in same.items():
            yield PermitState(**(asdict(state) | {"data": tuple(categories)}))


def _state(history: History, use: Use, at_us: int, party: str) -> PermitState:
    answer = permit(history, use, at_us)
    allowed = isinstance(answer, Permit)
    return PermitState(
        party=party,
        data=(),
        say=governing_rule(history, use, at_us, asked_us=at_us).say.value,
        allowed=allowed,
        since=instant_text(answer.since_us) if isinstance(answer, Permit) else None,
        reason=None if isinstance(answer, Permit) else answer.reason.value,
        remedy="" if isinstance(answer, Permit) else remedy(answer.reason, use.party, since_us=NO_PERMIT_US),
    )


# --- what a no does ------------------------------------------------------------------------------------------------


def _a_no(party: WeighingParty, purpose: str, states: Sequence[PermitState], switches: Sequence[SwitchEffect]) -> str:
    """Say what a no to a purpose alone does, and that one said with a switch may do more."""
    if _has_no_say(states):
        return _NOTHING_TO_SAY
    bound = any(state.party == "you" and state.say == Say.NONE.value and state.allowed for state in states)
    rest = " It does not reach the data on which the terms give no say." if bound else ""
    if purpose.startswith(_TRAINING):
        whose = "records of your account" if party.is_account else "records in which you have a say"
        does = f"Models for this purpose no longer learn from {whose}.{rest}"
        more = [
            one.title for one in switches if any(name.startswith(_FEATURE) for name in (*one.refuses, *one.disables))
        ]
        if not more:
            return f"{does} No feature is turned off by it."
        named = ", ".join(f"\u201c{title}\u201d" for title in more)
        return f"{does} Alone it turns off no feature; said with the switch {named}, it does."
    if purpose.startswith(_FEATURE):
        if party.is_account and bound:
            return f"The feature no longer uses data of your account.{rest}"
        if party.is_account:
            return "The feature stops for everybody in your account."
        return f"The feature does not use the records in which you have a say.{rest}"
    return f"It is refused until you say yes, whatever others decide.{rest}"


def _has_no_say(states: Sequence[PermitState]) -> bool:
    """Say whether the terms give the party no say in a purpose, for any kind of data."""
    own = [state.say for state in states if state.party == "you"]
    return bool(own) and all(say == Say.NONE.value for say in own)


def _switches(party: WeighingParty, history: History, at_us: int, purpose: str) -> Iterator[SwitchEffect]:
    terms = _terms(party, history, at_us)
    if terms is None:
        return
    for switch in terms.switches:
        leaves_of = terms.vocabulary.leaves_of_use
        refuses = leaves_of(switch.refuses)
        if purpose in refuses:
            disables = tuple(name for name in leaves_of(switch.disables) if name not in refuses)
            yield SwitchEffect(switch=switch.name, title=switch.title, refuses=refuses, disables=disables)


def _terms(party: WeighingParty, history: History, at_us: int) -> Terms | None:
    if party.account is None:
        return None
    bound = [terms for start_us, terms in history.bindings.terms_of(party.account) if start_us <= at_us]
    return bound[-1] if bound else None


def _learned(
    party: WeighingParty, history: History, at_us: int, purpose: str, models: Sequence[KnownModel]
) -> Iterator[LearnedModel]:
    for model in models:
        if model.purpose != purpose:
            continue
        found = _would_go(party, model.snapshot, history, at_us)
        if found is None or found.people:
            yield LearnedModel(
                model=model.state.id,
                family=model.state.family,
                at_work=model.at_work,
                rows=None if found is None or (party.is_account and is_few(found.people)) else found.rows,
                overridden=model.state.override,
                is_unsure=found is None,
            )


@dataclass(frozen=True, slots=True)
class _Gone:
    """How many rows a party's no would take out, and how many people they concern."""

    rows: int
    people: int


def _would_go(party: WeighingParty, snapshot: Snapshot | None, history: History, at_us: int) -> _Gone | None:
    """Return what a party's no would take out of what a model learned from; none where that cannot be read."""
    if snapshot is None:
        return None
    try:
        gone = [share for one in party.identities for share in at_stake(snapshot, one, history, at_us=at_us)]
        people = {party.merged.get(one, one) for share in gone for one in share.people}
        return _Gone(_rows(party, snapshot, gone, history, at_us) if gone else 0, len(people))
    except (ProofError, DamagedError):  # of this model alone: the others are told of
        return None


def _rows(party: WeighingParty, snapshot: Snapshot, gone: Sequence[Share], history: History, at_us: int) -> int:
    """Count the rows that a party's no would take out."""
    if len(party.identities) == 1:
        return sum(len(share.collected_us) for share in gone)
    would = refusable(history, party.identities, at_us, purpose=snapshot.purpose)
    own = {one.removeprefix(_PERSON) for one in party.identities}  # a row may concern two identities of one person
    asked = (key for key in snapshot.keys if not own.isdisjoint(key.people))
    return sum(would(key.account, key.people, key.category) for key in asked)


def _withdrawing(purpose: str, learned: Sequence[LearnedModel], due_days: int, models: Sequence[KnownModel]) -> str:
    if purpose.startswith(_FEATURE):
        return "It stops at once."
    if not purpose.startswith(_TRAINING):
        return "Nothing is running that would have to stop."
    if not learned:
        return "No existing model would have anything to forget, and later models will not learn from it."
    named = {one.model for one in learned}
    if not all(is_exact(one.state.forgets) for one in models if one.state.id in named):
        return (
            f"From then on nothing learns from it. Within {due_days} days each model named here forgets it or "
            "is erased. Not each of them forgets exactly: the model's card says how it does."
        )
    return (
        f"From then on nothing learns from it. Within {due_days} days each model named here is replaced by the one "
        "that would have been trained without it, and its files are erased."
    )
