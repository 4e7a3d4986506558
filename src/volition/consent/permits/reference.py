"""The definition in plain code: is this use allowed at this instant, since when, and why not? One party at a time.

It is the reference implementation, an executable specification: `permit` asks `allowed` at every instant at which
anything changed, and walks back from T to the first no. `volition may` explains an answer with it, and tests hold the
compiled form equal to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from volition.consent.history import BEGINNING_US, Decision, History, Limit, PartyHistory
from volition.consent.references import PartyRef
from volition.consent.terms.model import Basis, Rule, Terms

NO_PERMIT_US: Final = 2**62
"""As a permit in a table: later than every record, so nothing passes."""

UNKNOWN_PERSON: Final = PartyRef("person:unknown")
"""A person whom no name identifies. Where their answer matters there is none: refused."""


class Reason(StrEnum):
    """Why a use is refused: the closed vocabulary that pages, API, command line and manifests share."""

    NEVER = "never"
    NO_TERMS = "no-terms"
    NOT_ASKED = "not-asked"
    SAID_NO = "said-no"
    WITHDRAWN = "withdrawn"
    BEFORE_YES = "before-yes"
    TOO_OLD = "too-old"
    ERASED = "erased"
    UNKNOWN_PARTY = "unknown-party"
    STALE = "stale"
    LIMITED = "limited"
    EXPIRED = "expired"
    EXCLUDED = "excluded"


REASON_CODES: Final[Mapping[Reason, int]] = {reason: code for code, reason in enumerate(Reason, start=1)}
"""The reasons as small integers for tables; 0 means permitted."""


class PartyRole(StrEnum):
    """In what role a party is concerned by a record."""

    ACCOUNT = "account"
    FIRST = "first"  # the record's first person: its speaker or actor
    OTHER = "other"  # anyone else among its people
    ALTERNATE = "alternate"  # one of those others, asked once more as somebody who may be the first person


_ROLE_ANSWERS_TO: Final = {
    PartyRole.ACCOUNT: frozenset({"account"}),
    PartyRole.FIRST: frozenset({"person", "everyone"}),
    PartyRole.OTHER: frozenset({"everyone"}),
}

_ASKS_FIRST: Final = _ROLE_ANSWERS_TO[PartyRole.FIRST]


class Say(StrEnum):
    """What say a rule gives to a role: opt-in, opt-out, or none."""

    ASKED = "asked"  # opt-in: a yes is needed
    MAY_REFUSE = "may refuse"  # opt-out: no yes is needed, a no counts
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One party's part in one kind of use: the question that a permit answers.

    Attributes:
        account: Id of the account whose record it is; its terms bind.
        party: "account:ID" or "person:PSEUDONYM".
        role: In what role the party is concerned.
        category: A leaf of `terms.CATEGORIES`.
        purpose: A leaf of `terms.PURPOSES`.
        beside: The other people of the record that have a region of their own (`History.located`): where the rule of
            that region asks for a role, the role is asked, whoever is in it.
    """

    account: str
    party: str
    role: PartyRole
    category: str
    purpose: str
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Allowed: unbroken since `since_us` (included), for records no older than `max_age_us` where that is set."""

    since_us: int
    max_age_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Not allowed, and why."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class GoverningRule:
    """On what ground a party is judged at an instant.

    Attributes:
        terms: The terms that bind; none if there are none.
        rule: The rule that wins in the party's own region; none if no rule mentions the use.
        others: The rules that win in the regions of the others concerned: the account, and the people beside.
        say: The most that any of these rules asks of the party's role.
        max_yes_age_us: The age at which the party's yes ends: the shortest of those rules that ask for it.
    """

    terms: Terms | None
    rule: Rule | None
    others: tuple[Rule | None, ...]
    say: Say
    max_yes_age_us: int | None = None

    @property
    def account_has_say(self) -> bool:
        """Whether any of the rules gives the account a say, so that its limits count."""
        return strictest((self.rule, *self.others), PartyRole.ACCOUNT) is not Say.NONE


def governing_rule(history: History, use: Use, at_us: int, *, asked_us: int) -> GoverningRule:
    """Find the rules that judge a use at `at_us`, when the question is asked at `asked_us`."""
    bindings = [(start_us, terms) for start_us, terms in history.bindings.terms_of(use.account) if start_us <= asked_us]
    binding = [terms for start_us, terms in bindings if start_us <= at_us]
    if use.role is not PartyRole.ACCOUNT and not binding:
        binding = [terms for _, terms in bindings[:1]]
    if not binding:
        return GoverningRule(terms=None, rule=None, others=(), say=Say.NONE)
    rule, *others = (
        binding[-1].rule_for(use.category, use.purpose, _region(history, party, use.account, at_us))
        for party in (use.party, f"account:{use.account}", *use.beside)
    )
    say = strictest((rule, *others), use.role)
    return GoverningRule(
        terms=binding[-1],
        rule=rule,
        others=tuple(others),
        say=say,
        max_yes_age_us=shortest_yes_age((rule, *others), use.role),
    )


def allowed(history: History, use: Use, at_us: int, *, asked_us: int) -> Reason | None:
    """Return why a use is not allowed at one instant; none if it is allowed."""
    party = history.party(use.party)
    if party.erased_us is not None and party.erased_us <= at_us:
        return Reason.ERASED
    here = governing_rule(history, use, at_us, asked_us=asked_us)
    if here.terms is None:
        return Reason.NO_TERMS
    if here.rule is None or here.rule.basis is Basis.NEVER:
        return Reason.NEVER
    if here.account_has_say and any(limit.limited for limit in _limits(history, use, at_us)):
        return Reason.LIMITED
    if here.say is Say.NONE:
        return None
    if use.party == UNKNOWN_PERSON:
        return Reason.UNKNOWN_PARTY
    return answered(history, use, at_us, here, asked_us=asked_us)


def answered(history: History, use: Use, at_us: int, here: GoverningRule, *, asked_us: int) -> Reason | None:
    """Return what in a party's own answers refuses a use at an instant; none if nothing does.

    Args:
        history: What was said.
        use: The question.
        at_us: The instant.
        here: What governs the use: terms that give the party a say.
        asked_us: When the question is asked, not before `at_us`: what was recorded by then counts from when it was
            said.
    """
    assert here.terms is not None  # noqa: S101 - without terms there is no say
    party = _party(history, use)
    heard = [
        decision
        for decision in party.decisions
        if decision.at_us <= asked_us and decision.said_us <= at_us and _concerns(decision, use)
    ]
    yeses = [decision.said_us for decision in heard if decision.yes]
    noes = [decision.said_us for decision in heard if not decision.yes]
    noes += [
        signal_us
        for signal_us, name, _ in party.signals
        if signal_us <= at_us and use.purpose in here.terms.signals.get(name, ())
    ]
    if noes and (not yeses or max(noes) >= max(yeses)):
        return Reason.WITHDRAWN if yeses and min(yeses) < max(noes) else Reason.SAID_NO
    if here.say is Say.ASKED and not yeses:
        return Reason.NOT_ASKED
    end_us = _end_us([decision for decision in heard if decision.yes], here)
    return Reason.EXPIRED if end_us is not None and end_us <= at_us else None


def _end_us(yeses: list[Decision], here: GoverningRule) -> int | None:
    """Return when the newest of some yeses ends, by its own date or by its age; none if it does not, or none was said.

    Of several said at the same instant, the first end counts.
    """
    said_us = max((decision.said_us for decision in yeses), default=0)
    ends = [decision.until_us for decision in yeses if decision.said_us == said_us and decision.until_us is not None]
    if yeses and here.max_yes_age_us is not None:
        ends.append(said_us + here.max_yes_age_us)
    return min(ends, default=None)


def yes_end_us(history: History, use: Use, at_us: int) -> int | None:
    """Return when a party's yes ends (not included) if nothing else is said and the terms stay, or when it ended.

    None where it has no end, and where the party's newest answer to the question is not a yes.
    """
    here = governing_rule(history, use, at_us, asked_us=at_us)
    if here.terms is None or here.say is Say.NONE:
        return None
    if answered(history, use, at_us, here, asked_us=at_us) not in {None, Reason.EXPIRED}:
        return None
    decisions = _party(history, use).decisions
    return _end_us([one for one in decisions if one.yes and one.at_us <= at_us and _concerns(one, use)], here)


def permit(history: History, use: Use, at_us: int) -> Permit | Refusal:
    """Return since when a use has been allowed unbroken at `at_us`, or why it is not allowed. The reference."""
    reason = allowed(history, use, at_us, asked_us=at_us)
    if reason is not None:
        return Refusal(reason=reason)

    since_us = at_us
    for instant_us in reversed(_instants(history, use, at_us)):
        if allowed(history, use, instant_us, asked_us=at_us) is not None:
            break
        since_us = instant_us
    reaches = [
        decision.covers_us
        for decision in _party(history, use).decisions
        if decision.yes
        and decision.covers_us is not None
        and _concerns(decision, use)
        and since_us <= decision.said_us
        and decision.at_us <= at_us
    ]
    rule = governing_rule(history, use, at_us, asked_us=at_us).rule
    return Permit(since_us=min([since_us, *reaches]), max_age_us=rule.max_age_us if rule else None)


def evidence(history: History, use: Use, at_us: int) -> tuple[int, ...]:
    """Return the ledger entries on which a party's answer rests at an instant, by number, oldest first.

    They are the publication of the terms that bind, the party's newest answer to the question (a decision, or a signal
    that those terms count), the newest entry of each limit on it, and its erasure.
    """
    here = governing_rule(history, use, at_us, asked_us=at_us)
    party = _party(history, use)
    heard = [decision.seq for decision in party.decisions if decision.at_us <= at_us and _concerns(decision, use)]
    seqs = set(heard[-1:])
    if here.terms is not None:
        seqs.add(history.bindings.terms_seq(here.terms.id))
        counted = [name for name, purposes in here.terms.signals.items() if use.purpose in purposes]
        seqs.update([seq for seen_us, name, seq in party.signals if seen_us <= at_us and name in counted][-1:])
    if here.account_has_say:
        seqs.update(limit.seq for limit in _limits(history, use, at_us))
    if party.erased_us is not None and party.erased_us <= at_us:
        seqs.add(party.erased_seq)
    return tuple(sorted(seq for seq in seqs if seq >= 0))


def changes(history: History, use: Use, *, after_us: int, until_us: int) -> list[int]:
    """Return every instant in between (after, until] at which anything that bears on the use changed, oldest first."""
    return [instant_us for instant_us in _instants(history, use, until_us) if instant_us > after_us]


def _instants(history: History, use: Use, at_us: int) -> list[int]:
    """Return every instant up to `at_us` at which anything that bears on the use changed, oldest first."""
    party = _party(history, use)
    instants = {BEGINNING_US}
    instants.update(start_us for start_us, _ in history.bindings.terms_of(use.account))
    decisions = [decision for decision in party.decisions if decision.at_us <= at_us]
    instants.update(decision.said_us for decision in decisions)
    instants.update(decision.at_us for decision in decisions)  # from then on it is known
    instants.update(decision.until_us for decision in decisions if decision.until_us is not None)
    ages_us = history.bindings.yes_ages_us(use.purpose)
    instants.update(decision.said_us + age_us for decision in decisions if decision.yes for age_us in ages_us)
    instants.update(signal_us for signal_us, _, _ in party.signals)
    for whose in (use.party, f"account:{use.account}", *use.beside):
        instants.update(changed_us for changed_us, _ in history.regions(whose))
    instants.update(limit.at_us for limit in history.limits(use.party).said if limit.account == use.account)
    if party.erased_us is not None:
        instants.add(party.erased_us)
    return sorted(instant for instant in instants if instant <= at_us)


def _party(history: History, use: Use) -> PartyHistory:
    """Return what a party did; as an alternate without the copies of what namesakes said, who are asked themselves."""
    return history.own(use.party) if use.role is PartyRole.ALTERNATE else history.party(use.party)


def _region(history: History, party: str, account: str, at_us: int) -> str | None:
    """Return a party's own region at an instant, otherwise its account's, otherwise none."""
    for whose in (party, f"account:{account}"):
        known = [region for since_us, region in history.regions(whose) if since_us <= at_us]
        if known:
            return known[-1]
    return None


def _limits(history: History, use: Use, at_us: int) -> list[Limit]:
    """Return the newest entry of the lock, and of each group, about a party's part in a use: a limit, or its lifting.

    At one and the same instant a limit beats a lift.
    """
    said = [
        limit
        for limit in history.limits(use.party).said
        if limit.account == use.account and limit.at_us <= at_us and _concerns(limit, use)
    ]
    newest = {limit.group: limit for limit in sorted(said, key=lambda limit: (limit.at_us, limit.limited))}
    return list(newest.values())


def _concerns(said: Decision | Limit, use: Use) -> bool:
    return use.category in said.categories and use.purpose in said.purposes


def say_of(rule: Rule | None, role: PartyRole) -> Say:
    """Return what say a rule gives to a role.

    Wherever the first person has a say, whoever may be that person may refuse; their yes is asked for as anyone else's.
    """
    if rule is None:
        return Say.NONE
    if role is PartyRole.ALTERNATE:
        return Say.NONE if _ASKS_FIRST.isdisjoint((*rule.asks, *rule.refusable_by)) else Say.MAY_REFUSE
    words = _ROLE_ANSWERS_TO[role]
    if words.intersection(rule.asks):
        return Say.ASKED
    return Say.MAY_REFUSE if words.intersection(rule.refusable_by) else Say.NONE


def strictest(rules: Iterable[Rule | None], role: PartyRole) -> Say:
    """Return the most that any of some rules asks of a role: a yes, or else that its no counts, or else nothing."""
    says = {say_of(rule, role) for rule in rules}
    return next((say for say in (Say.ASKED, Say.MAY_REFUSE) if say in says), Say.NONE)


def shortest_yes_age(rules: Iterable[Rule | None], role: PartyRole) -> int | None:
    """Return the age at which a role's yes ends: the shortest of the rules that ask for it; none if it does not age."""
    return min(
        (
            rule.max_yes_age_us
            for rule in rules
            if rule is not None and rule.max_yes_age_us is not None and say_of(rule, role) is Say.ASKED
        ),
        default=None,
    )
