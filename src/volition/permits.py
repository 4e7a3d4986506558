"""Permits: the date since which each yes has stood unbroken. This module decides; nothing else does.

For one party, one category and one purpose, the terms and the party's decisions make the use *allowed* or *not
allowed* at every instant. A use at T of a record collected at t needs it to have been allowed **unbroken from t
to T**. So all that the gate must know of a party is one date:

    permit(T) = the start of the unbroken allowed stretch that contains T, or a refusal with its reason

and a record may be used when every party concerned has a permit and `collected_at >= max(their permits)`.

The module says this twice. `permit` is the reference: it asks `allowed` at every instant at which anything
changed, and walks back from T to the first no. It reads like the definition and is used to explain. `Permits` is
the compiled form: one pass forward that carries one number per party, remembered per key, for millions of records.
Tests hold the two equal over every short history and over generated long ones.

What it guarantees:

- Silence is never a yes where the rule asks for one. At one and the same instant a no beats a yes.
- A yes reaches back before itself only if it says so (`covers`), and only in a stretch in which it was heard.
- Withdrawing and agreeing again does not bring back the data from before the withdrawal.
- A stretch breaks where new terms ask for a yes that is not there.
- Only entries up to T matter: asking again later about T gives the same answer.

Each party is judged by the rule of its own region; a person of unknown region has the account's. Whether any terms
bind at all is a matter between the account and the operator: it breaks the account's stretch. People are judged,
for the time before the first terms, as those first terms would have.

    >>> history = read_history(ledger.entries())                        # doctest: +SKIP
    >>> use = Use(account="acme", party="account:acme", role=Role.ACCOUNT,
    ...           category="content/chat", purpose="train/search")      # doctest: +SKIP
    >>> permit(history, use, at_us=canonical.now_us())                  # doctest: +SKIP
    Refusal(reason=<Reason.NOT_ASKED: 'not-asked'>)
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from volition.canonical import text_to_us
from volition.errors import InvalidInputError
from volition.ledger import Entry
from volition.terms import CATEGORIES, PURPOSES, Basis, Rule, Terms, leaves

_Value = TypeVar("_Value")

BEGINNING_US: Final = -(2**62)
"""An instant before every record: a stretch that starts here has no beginning."""

UNKNOWN_PERSON: Final = "person:unknown"
"""Whoever said something that nobody can be named for. Where their answer matters there is none: refused."""


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


class Role(StrEnum):
    """In what role a party is concerned by a record."""

    ACCOUNT = "account"
    FIRST = "first"  # the record's first person: its speaker or actor
    OTHER = "other"  # anybody else among its people


_ROLE_ANSWERS_TO: Final = {
    Role.ACCOUNT: frozenset({"account"}),
    Role.FIRST: frozenset({"person", "everyone"}),
    Role.OTHER: frozenset({"everyone"}),
}


class Say(StrEnum):
    """What say a rule gives to a role."""

    ASKED = "asked"  # a yes is needed
    MAY_REFUSE = "may refuse"  # no yes is needed, a no counts
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
    """

    account: str
    party: str
    role: Role
    category: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Allowed: unbroken since `since_us` (included), for records no older than `max_age_us` where that is set."""

    since_us: int
    max_age_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Not allowed, and why."""

    reason: Reason


# --- what is known: the ledger, sorted by whom it concerns ---------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A party's yes or no. `covers_us` is how far back a yes reaches by its own words; none: not before itself."""

    yes: bool
    categories: frozenset[str]
    purposes: frozenset[str]
    at_us: int
    covers_us: int | None = None

    def concerns(self, use: Use) -> bool:
        """Tell whether this decision speaks of the use's category and purpose."""
        return use.category in self.categories and use.purpose in self.purposes


@dataclass(slots=True)
class _Party:
    """Everything that one party did, each list in the ledger's order (so by time)."""

    decisions: list[Decision] = field(default_factory=list)
    regions: list[tuple[int, str]] = field(default_factory=list)
    signals: list[tuple[int, str]] = field(default_factory=list)
    erased_us: int | None = None


_SILENT: Final = _Party()


@dataclass(slots=True)
class _Published:
    terms: Terms
    binds_us: int
    order: int


class History:
    """The ledger's entries that bear on permission, arranged by party. Times never run backwards in it."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._published: dict[str, _Published] = {}
        self._accepted: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self._parties: dict[str, _Party] = defaultdict(_Party)
        self._bindings: dict[str, list[tuple[int, Terms]]] = {}

    # What happened, in order:

    def publish(self, terms: Terms, *, binds_us: int) -> None:
        """A terms version appears. Continued use binds an account to it from `binds_us` on."""
        self._published[terms.id] = _Published(terms, binds_us, len(self._published))
        self._bindings.clear()

    def accept(self, account: str, terms_id: str, *, at_us: int) -> None:
        """An account accepts a version.

        Raises:
            InvalidInputError: No such version was published.
        """
        if terms_id not in self._published:
            msg = f"The account {account} accepts terms {terms_id!r}, which were never published."
            raise InvalidInputError(msg)
        self._accepted[account].append((at_us, terms_id))
        self._bindings.pop(account, None)

    def decide(self, party: str, decision: Decision) -> None:
        """A party says yes or no."""
        self._parties[party].decisions.append(decision)

    def locate(self, party: str, region: str, *, at_us: int) -> None:
        """A party's region becomes known, or changes."""
        self._parties[party].regions.append((at_us, region))

    def signal(self, party: str, name: str, *, at_us: int) -> None:
        """A standing signal such as Global Privacy Control is seen from a party."""
        self._parties[party].signals.append((at_us, name))

    def erase(self, party: str, *, at_us: int) -> None:
        """A party is erased, for good."""
        if self._parties[party].erased_us is None:
            self._parties[party].erased_us = at_us

    # What follows from it:

    def terms_of(self, account: str) -> Sequence[tuple[int, Terms]]:
        """Return which terms bind an account, from when on: (instant, terms), by instant; the last one holds.

        A version that was accepted binds from the acceptance on, though not before it is effective. A version that
        needs no acceptance binds whoever has accepted an earlier one, from the date its publication fixed, unless a
        version published later binds already.
        """
        if account not in self._bindings:
            self._bindings[account] = self._bind(account)
        return self._bindings[account]

    def _bind(self, account: str) -> list[tuple[int, Terms]]:
        accepted = self._accepted.get(account)
        if not accepted:
            return []
        first_us = accepted[0][0]
        steps: list[tuple[int, int, bool, Terms]] = []
        for at_us, terms_id in accepted:
            version = self._published[terms_id]
            steps.append((max(at_us, version.terms.effective_us), version.order, True, version.terms))
        steps += [
            (version.binds_us, version.order, False, version.terms)
            for version in self._published.values()
            if version.terms.acceptance == "continued-use" and version.binds_us > first_us
        ]
        bindings: list[tuple[int, Terms]] = []
        bound_order = -1
        for start_us, order, by_acceptance, terms in sorted(steps, key=lambda step: step[:2]):
            if by_acceptance or order > bound_order:
                if bindings and bindings[-1][0] == start_us:
                    bindings.pop()  # at one instant the last one holds
                bindings.append((start_us, terms))
                bound_order = order
        return bindings

    def published(self) -> Sequence[Terms]:
        """Return every terms version, oldest publication first."""
        return [version.terms for version in self._published.values()]

    def next_change_us(self, account: str, *, after_us: int) -> int | None:
        """Return when terms already known will next bind this account anew, or none."""
        return min((start_us for start_us, _ in self.terms_of(account) if start_us > after_us), default=None)

    def party(self, party: str) -> _Party:
        """Return everything that a party did; an empty record for one that did nothing."""
        return self._parties.get(party, _SILENT)

    def accounts(self) -> Sequence[str]:
        """Return the ids of the accounts that have accepted any terms."""
        return list(self._accepted)


def read_history(entries: Iterable[Entry]) -> History:
    """Arrange ledger entries, in their order, as a history. Kinds that do not bear on permission are passed over.

    Raises:
        InvalidInputError: An entry's body lacks what its kind needs.
    """
    history = History()
    for entry in entries:
        try:
            extend_history(history, entry)
        except (KeyError, TypeError, ValueError) as error:
            msg = f"Ledger entry {entry.seq} ({entry.kind}) has a body that cannot be read: {error!r}."
            raise InvalidInputError(msg) from error
    return history


def extend_history(history: History, entry: Entry) -> None:
    """Add one ledger entry to a history."""
    body: dict[str, Any] = entry.body
    match entry.kind:
        case "terms":
            history.publish(Terms.from_json(body["terms"]), binds_us=text_to_us(body["binds"]))
        case "acceptance":
            history.accept(body["account"], body["terms"], at_us=entry.at_us)
        case "decision":
            covers = body["covers"]
            history.decide(
                body["party"],
                Decision(
                    yes=body["answer"] == "yes",
                    categories=frozenset(leaves(body["data"], CATEGORIES)),
                    purposes=frozenset(leaves(body["purpose"], PURPOSES)),
                    at_us=entry.at_us,
                    covers_us=None if covers is None else BEGINNING_US if covers == "past" else text_to_us(covers),
                ),
            )
        case "region":
            history.locate(body["party"], body["region"], at_us=entry.at_us)
        case "signal":
            history.signal(body["party"], body["signal"], at_us=entry.at_us)
        case "erasure":
            history.erase(body["party"], at_us=entry.at_us)


# --- the reference: the definition, read aloud ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """On what ground a party is judged at an instant: the terms that bind, the rule that wins, the say it gives."""

    terms: Terms | None
    rule: Rule | None
    say: Say


def ground(history: History, use: Use, at_us: int, *, asked_us: int) -> Ground:
    """Find the rule that judges a use at `at_us`, when the question is asked at `asked_us`."""
    bindings = [(start_us, terms) for start_us, terms in history.terms_of(use.account) if start_us <= asked_us]
    binding = [terms for start_us, terms in bindings if start_us <= at_us]
    if use.role is not Role.ACCOUNT and not binding:
        binding = [terms for _, terms in bindings[:1]]
    if not binding:
        return Ground(terms=None, rule=None, say=Say.NONE)
    rule = binding[-1].rule_for(use.category, use.purpose, _region(history, use, at_us))
    return Ground(terms=binding[-1], rule=rule, say=_say(rule, use.role))


def allowed(history: History, use: Use, at_us: int, *, asked_us: int) -> Reason | None:
    """Say whether a use is allowed at one instant: none if it is, otherwise the reason why not."""
    party = history.party(use.party)
    if party.erased_us is not None and party.erased_us <= at_us:
        return Reason.ERASED
    here = ground(history, use, at_us, asked_us=asked_us)
    if here.terms is None:
        return Reason.NO_TERMS
    if here.rule is None or here.rule.basis is Basis.NEVER:
        return Reason.NEVER
    if here.say is Say.NONE:
        return None
    if use.party == UNKNOWN_PERSON:
        return Reason.UNKNOWN_PARTY

    heard = [decision for decision in party.decisions if decision.at_us <= at_us and decision.concerns(use)]
    yeses = [decision.at_us for decision in heard if decision.yes]
    noes = [decision.at_us for decision in heard if not decision.yes]
    noes += [
        signal_us
        for signal_us, name in party.signals
        if signal_us <= at_us and use.purpose in here.terms.signals.get(name, ())
    ]
    if noes and (not yeses or max(noes) >= max(yeses)):
        return Reason.WITHDRAWN if yeses and min(yeses) < max(noes) else Reason.SAID_NO
    if here.say is Say.ASKED and not yeses:
        return Reason.NOT_ASKED
    return None


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
        for decision in history.party(use.party).decisions
        if decision.yes
        and decision.covers_us is not None
        and decision.concerns(use)
        and since_us <= decision.at_us <= at_us
    ]
    rule = ground(history, use, at_us, asked_us=at_us).rule
    return Permit(since_us=min([since_us, *reaches]), max_age_us=rule.max_age_us if rule else None)


def changes(history: History, use: Use, *, after_us: int, until_us: int) -> list[int]:
    """Return every instant in between (after, until] at which anything that bears on the use changed, oldest first."""
    return [instant_us for instant_us in _instants(history, use, until_us) if instant_us > after_us]


def _instants(history: History, use: Use, at_us: int) -> list[int]:
    """Return every instant up to `at_us` at which anything that bears on the use changed, oldest first."""
    party = history.party(use.party)
    instants = {BEGINNING_US}
    instants.update(start_us for start_us, _ in history.terms_of(use.account))
    instants.update(decision.at_us for decision in party.decisions)
    instants.update(changed_us for changed_us, _ in party.regions + party.signals)
    instants.update(changed_us for changed_us, _ in history.party(f"account:{use.account}").regions)
    if party.erased_us is not None:
        instants.add(party.erased_us)
    return sorted(instant for instant in instants if instant <= at_us)


def _region(history: History, use: Use, at_us: int) -> str | None:
    """Return the party's own region at an instant, otherwise its account's, otherwise none."""
    for party in (use.party, f"account:{use.account}"):
        known = [region for since_us, region in history.party(party).regions if since_us <= at_us]
        if known:
            return known[-1]
    return None


def _say(rule: Rule | None, role: Role) -> Say:
    if rule is None:
        return Say.NONE
    words = _ROLE_ANSWERS_TO[role]
    if words.intersection(rule.asks):
        return Say.ASKED
    return Say.MAY_REFUSE if words.intersection(rule.refusable_by) else Say.NONE


# --- the compiled form: one pass forward, one number per key -------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """From `start_us` on: a flat refusal, or what say the rule gives and which signals it counts as a no."""

    start_us: int
    refusal: Reason | None = None
    say: Say = Say.NONE
    signals: frozenset[str] = frozenset()
    max_age_us: int | None = None


@dataclass(slots=True)
class _Heard:
    """What a party has answered so far to one question."""

    first_yes_us: int | None = None
    last_yes_us: int | None = None
    last_no_us: int | None = None

    def hear(self, decision: Decision) -> int:
        """Take in one more answer; return how far back it reaches."""
        if not decision.yes:
            self.last_no_us = decision.at_us
            return decision.at_us
        self.last_yes_us = decision.at_us
        if self.first_yes_us is None:
            self.first_yes_us = decision.at_us
        return decision.at_us if decision.covers_us is None else decision.covers_us

    def refusal(self, step: _Step, signals_us: Sequence[int]) -> Reason | None:
        """Say what stands against the use under a step, counting the signals that are a no under it."""
        noes_us = [*signals_us] if self.last_no_us is None else [*signals_us, self.last_no_us]
        if noes_us and (self.last_yes_us is None or max(noes_us) >= self.last_yes_us):
            follows_yes = self.first_yes_us is not None and self.first_yes_us < max(noes_us)
            return Reason.WITHDRAWN if follows_yes else Reason.SAID_NO
        return Reason.NOT_ASKED if step.say is Say.ASKED and self.last_yes_us is None else None


class Permits:
    """The permits of every party for one purpose at one instant, compiled on first use and remembered.

    A party that never did anything has the answer of every other silent party of its account, so what is stored is
    the exceptions. Holds for every later instant too, until the ledger grows or `good_until_us` comes.
    """

    def __init__(self, history: History, *, purpose: str, at_us: int) -> None:
        """Compile `history` as it stood at `at_us` (included) for `purpose`, a leaf of `terms.PURPOSES`."""
        self.purpose = purpose
        self.at_us = at_us
        self._history = history
        self._known: dict[tuple[str, str, Role, str], Permit | Refusal] = {}
        self._steps: dict[tuple[str, Role, str], list[_Step]] = {}

    def good_until_us(self, account: str) -> int | None:
        """Return when terms that are already known bind the account anew (not included), or none."""
        return self._history.next_change_us(account, after_us=self.at_us)

    def of(self, account: str, party: str, role: Role, category: str) -> Permit | Refusal:
        """Return the permit of a party in a role for a category, or the refusal. Equal to `permit`, by test."""
        if party != UNKNOWN_PERSON and self._history.party(party) is _SILENT:
            party = "silent"
        key = (account, party, role, category)
        answer = self._known.get(key)
        if answer is None:
            answer = self._known[key] = self._walk(account, party, role, category)
        return answer

    def scrubs(self, account: str, category: str) -> bool:
        """Tell whether identifiers must be scrubbed from an account's content: yes, unless its rule says otherwise."""
        use = Use(
            account=account, party=f"account:{account}", role=Role.ACCOUNT, category=category, purpose=self.purpose
        )
        rule = ground(self._history, use, self.at_us, asked_us=self.at_us).rule
        return rule is None or rule.scrub

    def _walk(self, account: str, name: str, role: Role, category: str) -> Permit | Refusal:
        """Walk forward through everything that changed, carrying since when the use has been allowed."""
        party = self._history.party(name)
        if party.erased_us is not None and party.erased_us <= self.at_us:
            return Refusal(reason=Reason.ERASED)
        steps = self._steps_of(account, party, role, category)
        decisions = [
            decision
            for decision in party.decisions
            if decision.at_us <= self.at_us and category in decision.categories and self.purpose in decision.purposes
        ]
        signals = [signal for signal in party.signals if signal[0] <= self.at_us]
        instants = {step.start_us for step in steps}
        instants.update(decision.at_us for decision in decisions)
        instants.update(signal_us for signal_us, _ in signals)

        heard = _Heard()
        since_us: int | None = None
        reason: Reason | None = Reason.NO_TERMS
        step_number = decision_number = 0
        for instant_us in sorted(instants):
            while step_number + 1 < len(steps) and steps[step_number + 1].start_us <= instant_us:
                step_number += 1
            reach_us = instant_us
            while decision_number < len(decisions) and decisions[decision_number].at_us <= instant_us:
                reach_us = min(reach_us, heard.hear(decisions[decision_number]))
                decision_number += 1
            step = steps[step_number]
            if step.refusal is not None or step.say is Say.NONE:
                reason = step.refusal
            elif name == UNKNOWN_PERSON:
                reason = Reason.UNKNOWN_PARTY
            else:
                seen_us = [at_us for at_us, signal in signals if at_us <= instant_us and signal in step.signals]
                reason = heard.refusal(step, seen_us)
            since_us = None if reason is not None else min(reach_us, instant_us if since_us is None else since_us)

        if since_us is None:
            return Refusal(reason=reason or Reason.NO_TERMS)
        return Permit(since_us=since_us, max_age_us=steps[step_number].max_age_us)

    def _steps_of(self, account: str, party: _Party, role: Role, category: str) -> list[_Step]:
        """Return how the ground changed under a party: the same for all who have no region of their own."""
        if party.regions:
            return self._lay_steps(account, party, role, category)
        key = (account, role, category)
        if key not in self._steps:
            self._steps[key] = self._lay_steps(account, party, role, category)
        return self._steps[key]

    def _lay_steps(self, account: str, party: _Party, role: Role, category: str) -> list[_Step]:
        bindings = [binding for binding in self._history.terms_of(account) if binding[0] <= self.at_us]
        steps = [_Step(start_us=BEGINNING_US, refusal=Reason.NO_TERMS)]
        if not bindings:
            return steps
        if role is not Role.ACCOUNT:
            bindings[0] = (BEGINNING_US, bindings[0][1])
        regions = _merge_regions(self._history.party(f"account:{account}").regions, party.regions)
        starts = {start_us for start_us, _ in bindings} | {start_us for start_us, _ in regions}
        for start_us in sorted(start for start in starts if bindings[0][0] <= start <= self.at_us):
            terms = _latest(bindings, start_us)
            assert terms is not None  # noqa: S101 - the first binding lies before every start
            rule = terms.rule_for(category, self.purpose, _latest(regions, start_us))
            never = rule is None or rule.basis is Basis.NEVER
            steps.append(
                _Step(
                    start_us=start_us,
                    refusal=Reason.NEVER if never else None,
                    say=_say(rule, role),
                    signals=frozenset(name for name, purposes in terms.signals.items() if self.purpose in purposes),
                    max_age_us=None if rule is None else rule.max_age_us,
                )
            )
        return steps


def _merge_regions(account: list[tuple[int, str]], own: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the regions that judge a party: the account's until it has one of its own."""
    if not own:
        return account
    return [region for region in account if region[0] < own[0][0]] + own


def _latest(timeline: Sequence[tuple[int, _Value]], at_us: int) -> _Value | None:
    """Return the value in force at an instant of a timeline sorted by instant."""
    position = bisect_right(timeline, at_us, key=lambda moment: moment[0])
    return timeline[position - 1][1] if position else None
