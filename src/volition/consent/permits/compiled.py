"""The compiled form for one party at a time: forward through time, carrying one number; cached until something changes.

`Permits` is what the gate asks. A party that never did anything has the answer of every other silent party of its
account, so only exceptions are cached; `learn` invalidates only what a new entry may have changed (a revocation, say).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from volition.consent.history import BEGINNING_US, NO_END_US, Decision, History, Limit, PartyLimits
from volition.consent.permits.reference import (
    NO_PERMIT_US,
    UNKNOWN_PERSON,
    PartyRole,
    Permit,
    Reason,
    Refusal,
    Say,
    Use,
    evidence,
    governing_rule,
    shortest_yes_age,
    strictest,
)
from volition.consent.terms.model import Basis
from volition.ledger.entry import Entry

_Value = TypeVar("_Value")

Regions = tuple[tuple[int, str], ...]
"""Since when a party has been in which region, by instant."""

Company = frozenset[Regions]
"""The regions of the people of a record, where they are not the account's: their rules count for everyone in it."""

NO_COMPANY: Final[Company] = frozenset()

NOBODY: Final = "nobody"
"""As a party: all who never did anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From `start_us` on: a flat refusal, or what say the rule gives, what counts as a no, and how long a yes lasts."""

    start_us: int
    refusal: Reason | None = None
    say: Say = Say.NONE
    signals: frozenset[str] = frozenset()
    max_age_us: int | None = None
    max_yes_age_us: int | None = None

    def goes_on(self, before: "Step") -> bool:
        """Return whether this step differs from the one before in its date only."""
        return replace(self, start_us=before.start_us) == before


@dataclass(frozen=True, slots=True)
class RuleContext:
    """The context from which a party's steps follow: which terms bind since when, its regions, its account's limits.

    Attributes:
        bindings: Since when which terms bind, by instant.
        regions: Since when it was in which region, by instant.
        limits: What its account limited and lifted for it, by instant; what was limited at an instant, after what was
            lifted then.
        others: The regions of the others concerned, where they are not the party's.
    """

    bindings: tuple[tuple[int, str], ...]
    regions: Regions
    limits: tuple[Limit, ...] = ()
    others: Company = NO_COMPANY


@dataclass(slots=True)
class _Heard:
    """What a party has answered so far to one question."""

    first_yes_us: int | None = None
    last_yes_us: int | None = None
    last_no_us: int | None = None
    until_us: int = NO_END_US

    def hear(self, decision: Decision) -> int:
        """Take in one more answer; return how far back it reaches."""
        if not decision.yes:
            self.last_no_us = decision.said_us
            return decision.said_us
        until_us = NO_END_US if decision.until_us is None else decision.until_us
        self.until_us = min(self.until_us, until_us) if self.last_yes_us == decision.said_us else until_us
        self.last_yes_us = decision.said_us
        if self.first_yes_us is None:
            self.first_yes_us = decision.said_us
        return decision.said_us if decision.covers_us is None else decision.covers_us

    def refusal(self, step: Step, signals_us: Sequence[int], at_us: int) -> Reason | None:
        """Return why the use is refused at an instant of a step, counting what signals it heeds; none if allowed."""
        noes_us = [*signals_us] if self.last_no_us is None else [*signals_us, self.last_no_us]
        if noes_us and (self.last_yes_us is None or max(noes_us) >= self.last_yes_us):
            follows_yes = self.first_yes_us is not None and self.first_yes_us < max(noes_us)
            return Reason.WITHDRAWN if follows_yes else Reason.SAID_NO
        if self.last_yes_us is None:
            return Reason.NOT_ASKED if step.say is Say.ASKED else None
        age_us = NO_END_US if step.max_yes_age_us is None else step.max_yes_age_us
        return Reason.EXPIRED if min(self.until_us, self.last_yes_us + age_us) <= at_us else None


class Permits:
    """The permits of every party for one purpose at one instant, compiled on first use and cached.

    A party that never did anything has the answer of every other silent party of its account, so only
    exceptions are stored. Holds for every later instant too, until the ledger grows, terms that are known come to bind
    or a yes ends (`good_until_us`): `learn` moves on past these, and invalidates only what they may have changed.
    """

    def __init__(self, history: History, *, purpose: str, at_us: int) -> None:
        """Compile `history` as it stood at `at_us` (included) for `purpose`, a leaf of `terms.PURPOSES`."""
        self.purpose = purpose
        self.at_us = at_us
        self._history = history
        self._known: dict[str, dict[tuple[str, PartyRole, str, Company], Permit | Refusal]] = {}
        self._contexts: dict[tuple[str, bool, PartyLimits, Company], RuleContext] = {}
        self._companies: dict[tuple[str, tuple[str, ...]], Company] = {}
        self._steps: dict[tuple[RuleContext, PartyRole, str], tuple[Step, ...]] = {}

    @property
    def history(self) -> History:
        """What these permits follow from."""
        return self._history

    def good_until_us(self) -> int:
        """Return the next instant at which time alone may change an answer (not included); `NO_PERMIT_US` for never.

        Terms that are already known may bind an account anew, or a yes may end.
        """
        history = self._history
        found = (
            history.bindings.next_binding_us(after_us=self.at_us),
            history.next_end_us(self.purpose, after_us=self.at_us),
        )
        return min((instant_us for instant_us in found if instant_us is not None), default=NO_PERMIT_US)

    def learn(self, entries: Iterable[Entry], *, at_us: int) -> set[str] | None:
        """Move on to a later instant, and past the entries by which the history has grown since.

        A person's or an account's decision costs the same, however many people the account has.

        Args:
            entries: What `history` was extended by since `at_us`, in order.
            at_us: The instant asked about from now on, not before the last entry.

        Returns:
            The parties whose answers may have changed; none: everyone's.
        """
        changed: set[str] | None = self._history.ended(self.purpose, after_us=self.at_us, until_us=at_us)
        binding_us = self._history.bindings.next_binding_us(after_us=self.at_us)
        if binding_us is not None and binding_us <= at_us:
            changed = None
        for entry in entries:
            match entry.kind:
                case "terms" | "acceptance":
                    changed = None
                case "region" if entry.body["party"].startswith("account:"):
                    changed = None  # everyone's in the account, and they are not known here
                case "decision" | "signal" | "erasure" | "region" if changed is not None:
                    changed.add(entry.body["party"])
                case "limit" if changed is not None:
                    account, group = entry.body["account"], entry.body["group"]
                    changed.update(entry.body["people"] or self._history.members(account, group))
                    self._contexts = {key: known for key, known in self._contexts.items() if not key[2].said}
        self.at_us = at_us
        self._companies.clear()
        if changed is None:
            self._known.clear()
            self._contexts.clear()
            self._steps.clear()
        else:
            for party in changed:
                self._known.pop(party, None)
        return changed

    def company(self, account: str, people: Sequence[str]) -> Company:
        """Return what the regions of a record's people add to its account's; mostly nothing.

        Where no rule of the account's terms speaks of a region, nobody's region adds anything.
        """
        located = self._history.located(people)
        if not located:
            return NO_COMPANY
        key = (account, located)
        found = self._companies.get(key)
        if found is None:
            bound = (terms for start_us, terms in self._history.bindings.terms_of(account) if start_us <= self.at_us)
            is_regional = any(rule.region for terms in bound for rule in terms.rules)
            everywhere = {self._regions_of(account, person) for person in located} if is_regional else set()
            found = self._companies[key] = frozenset(everywhere - {self._regions_of(account, f"account:{account}")})
        return found

    def of(
        self, account: str, party: str, role: PartyRole, category: str, *, company: Company = NO_COMPANY
    ) -> Permit | Refusal:
        """Return the permit of a party in a role for a category, or the refusal. Equal to `permit`, by test.

        Args:
            account: Id of the account.
            party: "account:ID" or "person:PSEUDONYM".
            role: In what role the party is concerned.
            category: A leaf of `terms.CATEGORIES`.
            company: Of the record: what its people's regions add.
        """
        if party != UNKNOWN_PERSON and self._history.is_silent(party):
            party = NOBODY
        known = self._known.get(party)
        if known is None:
            known = self._known[party] = {}
        answer = known.get((account, role, category, company))
        if answer is None:
            answer = known[account, role, category, company] = self._walk(account, party, role, category, company)
        return answer

    def evidence(
        self, account: str, party: str, role: PartyRole, category: str, *, people: Sequence[str] = ()
    ) -> tuple[int, ...]:
        """Return the numbers of the ledger entries that a party's answer rests on, beside the people of the record."""
        beside = self._history.located(people)
        use = Use(account=account, party=party, role=role, category=category, purpose=self.purpose, beside=beside)
        return evidence(self._history, use, self.at_us)

    def scrubs(self, account: str, category: str) -> bool:
        """Return whether identifiers must be scrubbed from an account's content: yes, unless its rule says not to."""
        use = Use(
            account=account, party=f"account:{account}", role=PartyRole.ACCOUNT, category=category, purpose=self.purpose
        )
        rule = governing_rule(self._history, use, self.at_us, asked_us=self.at_us).rule
        return rule is None or rule.scrub

    def _walk(self, account: str, name: str, role: PartyRole, category: str, company: Company) -> Permit | Refusal:
        """Walk forward through everything that changed, carrying since when the use has been allowed."""
        party = self._history.own(name) if role is PartyRole.ALTERNATE else self._history.party(name)
        if party.erased_us is not None and party.erased_us <= self.at_us:
            return Refusal(reason=Reason.ERASED)
        steps = self.steps(account, name, role, category, company=company)
        decisions = [
            decision
            for decision in party.decisions
            if decision.at_us <= self.at_us and category in decision.categories and self.purpose in decision.purposes
        ]
        signals = [signal for signal in party.signals if signal[0] <= self.at_us]
        instants = {step.start_us for step in steps}
        instants.update(decision.said_us for decision in decisions)
        instants.update(signal_us for signal_us, _, _ in signals)
        instants |= self._ends(decisions, steps)

        heard = _Heard()
        since_us: int | None = None
        reason: Reason | None = Reason.NO_TERMS
        step_number = decision_number = 0
        for instant_us in sorted(instants):
            while step_number + 1 < len(steps) and steps[step_number + 1].start_us <= instant_us:
                step_number += 1
            reach_us = instant_us
            while decision_number < len(decisions) and decisions[decision_number].said_us <= instant_us:
                reach_us = min(reach_us, heard.hear(decisions[decision_number]))
                decision_number += 1
            step = steps[step_number]
            if step.refusal is not None or step.say is Say.NONE:
                reason = step.refusal
            elif name == UNKNOWN_PERSON:
                reason = Reason.UNKNOWN_PARTY
            else:
                seen_us = [at_us for at_us, signal, _ in signals if at_us <= instant_us and signal in step.signals]
                reason = heard.refusal(step, seen_us, instant_us)
            since_us = None if reason is not None else min(reach_us, instant_us if since_us is None else since_us)

        if since_us is None:
            return Refusal(reason=reason or Reason.NO_TERMS)
        return Permit(since_us=since_us, max_age_us=steps[step_number].max_age_us)

    def _ends(self, decisions: Iterable[Decision], steps: Iterable[Step]) -> set[int]:
        """Return the instants up to now at which any of some yeses may end, by its date or by an age of any step."""
        ages_us = {step.max_yes_age_us for step in steps if step.max_yes_age_us is not None}
        yeses = [decision for decision in decisions if decision.yes]
        ends = {decision.until_us for decision in yeses if decision.until_us is not None}
        ends.update(decision.said_us + age_us for decision in yeses for age_us in ages_us)
        return {end_us for end_us in ends if end_us <= self.at_us}

    def context(self, account: str, party: str, *, is_account: bool, company: Company = NO_COMPANY) -> RuleContext:
        """Return the context of a party: the same for all without a region of their own and limits.

        Those to whom the same limits apply have the same context, too, in the same company.
        """
        own_regions = () if is_account else self._history.regions(party)
        limits = self._history.limits(party)
        key = (account, is_account, limits, company)
        found = None if own_regions else self._contexts.get(key)
        if found is None:
            bindings = [
                (start_us, terms.id)
                for start_us, terms in self._history.bindings.terms_of(account)
                if start_us <= self.at_us
            ]
            if bindings and not is_account:
                bindings[0] = (BEGINNING_US, bindings[0][1])
            of_account = self._regions_of(account, f"account:{account}")
            regions = self._regions_of(account, party) if own_regions else of_account
            others = (company | {of_account}) - {regions}
            found = RuleContext(tuple(bindings), regions, self._limits_on(account, limits), others)
            if not own_regions:
                self._contexts[key] = found
        return found

    def _regions_of(self, account: str, party: str) -> Regions:
        """Return where a party has been since when: where its account was, until it has a region of its own."""
        regions = self._history.regions(f"account:{account}")
        own = self._history.regions(party)
        if own and not party.startswith("account:"):
            regions = [*(region for region in regions if region[0] < own[0][0]), *own]
        return tuple(region for region in regions if region[0] <= self.at_us)

    def _limits_on(self, account: str, limits: PartyLimits) -> tuple[Limit, ...]:
        heard = [one for one in limits.said if one.account == account and one.at_us <= self.at_us]
        return tuple(sorted(heard, key=lambda one: (one.at_us, one.limited)))

    def steps(
        self, account: str, party: str, role: PartyRole, category: str, *, company: Company = NO_COMPANY
    ) -> tuple[Step, ...]:
        """Return how the governing rule changed for a party, the first step from the beginning on."""
        context = self.context(account, party, is_account=role is PartyRole.ACCOUNT, company=company)
        return self.steps_on(context, role, category)

    def steps_on(self, context: RuleContext, role: PartyRole, category: str) -> tuple[Step, ...]:
        """Return the steps of a context: the terms' rules, each from when it applies, and what the account limits."""
        key = (context, role, category)
        if key not in self._steps:
            self._steps[key] = self._lay_steps(context, role, category)
        return self._steps[key]

    def _lay_steps(self, context: RuleContext, role: PartyRole, category: str) -> tuple[Step, ...]:
        steps = [Step(start_us=BEGINNING_US, refusal=Reason.NO_TERMS)]
        if not context.bindings:
            return tuple(steps)
        limits = [one for one in context.limits if category in one.categories and self.purpose in one.purposes]
        starts = {start_us for start_us, _ in context.bindings} | {limit.at_us for limit in limits}
        starts |= {start_us for regions in (context.regions, *context.others) for start_us, _ in regions}
        limiting: set[str] = set()  # the groups, and the lock, whose limit is in force
        for start_us in sorted(start for start in starts if context.bindings[0][0] <= start):
            while limits and limits[0].at_us <= start_us:
                limit = limits.pop(0)
                (limiting.add if limit.limited else limiting.discard)(limit.group)
            terms_id = _latest(context.bindings, start_us)
            assert terms_id is not None  # noqa: S101 - the first binding lies before every start
            terms = self._history.bindings.version(terms_id)
            rule, *others = (
                terms.rule_for(category, self.purpose, _latest(regions, start_us))
                for regions in (context.regions, *context.others)
            )
            refusal = None
            if rule is None or rule.basis is Basis.NEVER:
                refusal = Reason.NEVER
            elif limiting and strictest((rule, *others), PartyRole.ACCOUNT) is not Say.NONE:
                refusal = Reason.LIMITED
            step = Step(
                start_us=start_us,
                refusal=refusal,
                say=strictest((rule, *others), role),
                signals=frozenset(name for name, purposes in terms.signals.items() if self.purpose in purposes),
                max_age_us=None if rule is None else rule.max_age_us,
                max_yes_age_us=shortest_yes_age((rule, *others), role),
            )
            if step.start_us == steps[-1].start_us:
                steps.pop()
            if not steps or not step.goes_on(steps[-1]):
                steps.append(step)
        return tuple(steps)


def _latest(timeline: Sequence[tuple[int, _Value]], at_us: int) -> _Value | None:
    """Return the value in force at an instant of a timeline sorted by instant."""
    position = bisect_right(timeline, at_us, key=lambda moment: moment[0])
    return timeline[position - 1][1] if position else None
