"""One record at a time, with earlier answers cached in memory.

A cached answer is the one that the permits give at that instant: an entry of the ledger invalidates the answers that it
may have changed, and all of them where terms are published, accepted or come to bind. So does the end of a yes, which
no entry announces.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from volition.canonical import us_to_text
from volition.consent.gate.effective import concerned, effective_permit_of
from volition.consent.gate.exclusion import exclusion_of
from volition.consent.gate.verdict import Record, Verdict
from volition.consent.history import BEGINNING_US
from volition.consent.permits import NO_PERMIT_US, Permits, Reason
from volition.consent.references import ConversationRef, PartyRef
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry


@dataclass(slots=True)
class _Known:
    """What is cached for a party set and a category: every answer that it can get, made once; equal ones share one."""

    epoch: int
    since_us: int
    max_age_us: int | None
    permitted: Verdict
    early: Verdict  # collected before the latest permit; the only one if a party refuses
    old: Verdict  # collected before what retention allows, where it has a limit


@dataclass(slots=True)
class _Account:
    """What is cached for an account: how often its own answers changed, and its party sets' answers by category."""

    epoch: int
    party_sets: dict[tuple[PartyRef, ...], tuple[_Known | None, ...]]


class Gate:
    """The gate for one purpose, with earlier answers cached: a look-up and a comparison each.

    A decision invalidates the answers that it concerns, and nothing else: for an account that is one number, however
    many people it has.

    Where many people are known, memory latency is most of an answer's time, so the cache is compact: one tuple for each
    party set, in which categories with the same answers share them.
    """

    def __init__(self, permits: Permits) -> None:
        """Open the gate. Nothing else may move `permits` on."""
        self._permits = permits
        self._exclusions = permits.history.exclusions
        self._accounts: dict[str, _Account] = {}
        self._with: dict[str, list[tuple[_Account, tuple[PartyRef, ...]]]] = {}  # the party sets that a person is in
        self._good_until_us = permits.good_until_us()
        self._places: dict[str, int] = {}  # of the categories, in a party set's tuple
        self._nothing: tuple[_Known | None, ...] = ()
        self._learn_names()

    def _learn_names(self) -> None:
        categories = self._permits.history.vocabulary.categories
        self._places = {category: place for place, category in enumerate(categories)}
        self._nothing = (None,) * len(categories)

    @property
    def good_until_us(self) -> int:
        """The first instant at which time alone changes an answer: a yes ends, terms begin; retention apart."""
        return self._good_until_us

    def learn(self, entries: Iterable[Entry], *, at_us: int) -> None:
        """Move on to a later instant, past the entries by which the permits' history has grown since."""
        changed = self._permits.learn(entries, at_us=at_us)
        self._good_until_us = self._permits.good_until_us()
        if changed is None:
            self._accounts.clear()
            self._with.clear()
            self._learn_names()
            return
        for party in changed:
            kind, _, name = party.partition(":")
            if kind == "account" and name in self._accounts:
                self._accounts[name].epoch += 1
            for own, people in self._with.get(party, ()):
                own.party_sets[people] = self._nothing

    def decide(self, record: Record, *, at_us: int | None = None) -> Verdict:
        """Judge one record for the permits' purpose; see `may`."""
        return self.may(
            record.account,
            record.people,
            record.category,
            record.collected_us,
            conversation=record.conversation,
            at_us=at_us,
        )

    def may(  # noqa: C901, PLR0913 - a record, and when it is used; flat, since it is asked millions of times
        self,
        account: str,
        people: tuple[PartyRef, ...],
        category: str,
        collected_us: int,
        *,
        conversation: ConversationRef | None = None,
        at_us: int | None = None,
    ) -> Verdict:
        """Judge what is collected at an instant, and used at `at_us`: by default the permits' instant.

        Args:
            account: Id of the account.
            people: Parties ("person:PSEUDONYM"), the speaker or actor first, none twice.
            category: A leaf of `terms.CATEGORIES`.
            collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
            conversation: The meeting, channel or file; empty if it belongs to none, None where that is not known.
            at_us: Instant of the use, not before the permits' own, of which the ledger says nothing yet.

        Raises:
            InvalidInputError: The record was collected after the instant that is asked about.
        """
        if at_us is None:
            at_us = self._permits.at_us
        elif at_us >= self._good_until_us:
            self.learn((), at_us=at_us)
        if collected_us > at_us:
            msg = (
                f"The record was collected at {us_to_text(collected_us)}, after {us_to_text(at_us)}, the instant asked "
                "about. Ask about a later instant."
            )
            raise InvalidInputError(msg)
        try:
            own = self._accounts[account]
            known = own.party_sets[people][self._places[category]]
        except KeyError:
            known = self._look_up(account, people, category)
        else:
            if known is None or known.epoch != own.epoch:
                known = self._look_up(account, people, category)
        if self._exclusions and known.since_us != NO_PERMIT_US:  # few workspaces have any
            excluded = self._excluded(account, people, category, conversation, at_us)
            if excluded is not None:
                return excluded
        if collected_us < known.since_us:
            return known.early
        if known.max_age_us is not None and collected_us < at_us - known.max_age_us:
            return known.old
        return known.permitted

    def _excluded(
        self,
        account: str,
        people: tuple[PartyRef, ...],
        category: str,
        conversation: ConversationRef | None,
        at_us: int,
    ) -> Verdict | None:
        """Return the refusal of what everyone permits but is of a conversation that was left out; else none."""
        record = Record(
            account=account, people=people, category=category, collected_us=at_us, conversation=conversation
        )
        found = exclusion_of(self._permits.history, record, purpose=self._permits.purpose, at_us=at_us)
        if found is None:
            return None
        evidence = () if found.seq < 0 else (found.seq,)
        return Verdict(permitted=False, reason=Reason.EXCLUDED, party=found.party, since_us=None, evidence=evidence)

    def _look_up(self, account: str, people: tuple[PartyRef, ...], category: str) -> _Known:
        """Ask the permits, and cache the answer."""
        own = self._accounts.get(account)
        if own is None:
            own = self._accounts[account] = _Account(0, {})
        known = self._ask(own.epoch, account, people, category)
        party_set = own.party_sets.get(people)
        if party_set is None:
            party_set = own.party_sets[people] = self._nothing
            for person in people:
                self._with.setdefault(person, []).append((own, people))
        if category in self._places:
            known = next((other for other in party_set if other == known), None) or known
            place = self._places[category]
            own.party_sets[people] = (*party_set[:place], known, *party_set[place + 1 :])
        return known

    def _ask(self, epoch: int, account: str, people: tuple[PartyRef, ...], category: str) -> _Known:
        permits = self._permits
        effective_permit = effective_permit_of(permits, account, people, category, ConversationRef(""))  # asked apart
        rests_on: dict[PartyRef, tuple[int, ...]] = {}
        for role, party in concerned(permits.history, account, people, at_us=permits.at_us):
            found = permits.evidence(account, party, role, category, people=people)
            rests_on[party] = tuple(sorted({*rests_on.get(party, ()), *found}))
        since_us = effective_permit.since_us if effective_permit.reason is None else None

        def refusal(reason: Reason) -> Verdict:
            evidence = rests_on[effective_permit.party]
            return Verdict(
                permitted=False, reason=reason, party=effective_permit.party, since_us=since_us, evidence=evidence
            )

        early = refusal(effective_permit.reason or Reason.BEFORE_YES)
        permitted, old, max_age_us = early, early, None
        if effective_permit.reason is None:
            evidence = tuple(sorted({seq for seqs in rests_on.values() for seq in seqs}))
            permitted = Verdict(
                permitted=True, reason=None, party=effective_permit.party, since_us=since_us, evidence=evidence
            )
            if effective_permit.oldest_us != BEGINNING_US:
                old, max_age_us = refusal(Reason.TOO_OLD), permits.at_us - effective_permit.oldest_us
        return _Known(epoch, effective_permit.since_us, max_age_us, permitted, early, old)


def decide(permits: Permits, record: Record) -> Verdict:
    """Judge one record for the permits' purpose at the permits' instant. For more than one, open a `Gate`.

    Raises:
        InvalidInputError: The record was collected after the instant that is asked about.
    """
    return Gate(permits).decide(record)
