"""The party sets of one account bucket, and their effective permits for a category: what a table is judged by.

`fold` does for all party sets at once what `effective_permit_of` does for one: of the parties' permits the latest, of
their refusals the first. A party set of nobody is refused.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volition.consent.permits import NO_COMPANY, NO_PERMIT_US, REASON_CODES, Company, Panel, PartyRole, Permits, Reason
from volition.consent.references import PartyRef


@dataclass(frozen=True, slots=True, kw_only=True)
class PartySets:
    """The party sets of one account bucket; a party set's dense id is its position.

    Attributes:
        accounts: Ids of the accounts, by the account's dense number in the bucket.
        people: Parties ("person:PSEUDONYM"), by the person's dense number in the bucket.
        account: Account number of each party set, shape (party sets,).
        offsets: Where each party set's members start in `members`, and where the last one's end, shape (party sets +
            1,).
        members: Person numbers, the first person first, shape (members,).
    """

    accounts: Sequence[str]
    people: Sequence[PartyRef]
    account: NDArray[np.int32]
    offsets: NDArray[np.int64]
    members: NDArray[np.int32]

    def __len__(self) -> int:
        """Return how many party sets there are."""
        return len(self.account)

    def account_of(self, party_set: int) -> str:
        """Return the id of a party set's account."""
        return self.accounts[int(self.account[party_set])]

    def people_of(self, party_set: int) -> tuple[PartyRef, ...]:
        """Return a party set's people as parties, the first person first."""
        return tuple(
            self.people[person]
            for person in self.members[self.offsets[party_set] : self.offsets[party_set + 1]].tolist()
        )

    def of_accounts(self, accounts: Collection[str]) -> list[int]:
        """Return which party sets are of some accounts."""
        numbers = [number for number, name in enumerate(self.accounts) if name in accounts]
        return np.flatnonzero(np.isin(self.account, numbers)).tolist()

    def take(self, chosen: NDArray[np.int64]) -> "PartySets":
        """Return some of the party sets, by their ids; they get new ids, the position in `chosen`."""
        sizes = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        places = np.repeat(self.offsets[:-1][chosen] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return PartySets(
            accounts=self.accounts,
            people=self.people,
            account=self.account[chosen],
            offsets=offsets,
            members=self.members[places],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePermits:
    """The effective permits of one bucket's party sets for one category, by dense id: the position is the id.

    Attributes:
        at_us: Instant asked about; records collected later are not part of the answer.
        since_us: Latest permit of each party set, `NO_PERMIT_US` for none.
        oldest_us: Retention limit of each party set.
        reason: Codes of `REASON_CODES`, 0 for permitted.
        account: Account number of each party set, by which an engine may see what it need not read; none if not known.
        excluded: Conversations that were left out (`source`), with the party sets whose records of it are (dense id).
    """

    at_us: int
    since_us: NDArray[np.int64]
    oldest_us: NDArray[np.int64]
    reason: NDArray[np.int8]
    account: NDArray[np.int32] | None = None
    excluded: frozenset[tuple[str, int]] = frozenset()


def fold(permits: Permits, party_sets: PartySets, category: str) -> EffectivePermits:
    """Fold each party set's permits for a category into one: of its parties the latest permit, or the first refusal.

    Members repeat over the party sets of a meeting, one party set for each who speaks: each is asked once.
    """
    companies, company = _companies(permits, party_sets)
    asked, place = np.unique(party_sets.account.astype(np.int64) * len(companies) + company, return_inverse=True)
    account, beside = np.divmod(asked, len(companies))
    named = [f"account:{party_sets.accounts[number]}" for number in account.tolist()]
    of_account = Panel(permits, party_sets.accounts, account, named, companies=companies, company=beside)
    answers = of_account.of(PartyRole.ACCOUNT, category)
    since_us, oldest_us, reason = answers.since_us[place], answers.oldest_us[place], answers.reason[place]

    sizes = np.diff(party_sets.offsets)
    party_set = np.repeat(np.arange(len(party_sets)), sizes)  # of each member
    first = np.zeros(len(party_sets.members), np.bool_)
    first[party_sets.offsets[:-1][sizes > 0]] = True
    refusals = np.zeros(len(party_sets.members), np.int8)
    for role, chosen in (
        (PartyRole.FIRST, np.flatnonzero(first)),
        (PartyRole.OTHER, np.flatnonzero(~first)),
        (PartyRole.ALTERNATE, _alternates(permits, party_sets, party_set, first)),
    ):
        if not len(chosen):
            continue
        owner = party_sets.account[party_set[chosen]].astype(np.int64) * len(companies) + company[party_set[chosen]]
        pairs, place = np.unique(owner * len(party_sets.people) + party_sets.members[chosen], return_inverse=True)
        owner, person = np.divmod(pairs, max(len(party_sets.people), 1))
        account, beside = np.divmod(owner, len(companies))
        named = [party_sets.people[number] for number in person.tolist()]
        of_people = Panel(permits, party_sets.accounts, account, named, companies=companies, company=beside)
        answers = of_people.of(role, category)
        np.maximum.at(since_us, party_set[chosen], answers.since_us[place])
        np.maximum.at(oldest_us, party_set[chosen], answers.oldest_us[place])
        refusals[chosen] = np.where(refusals[chosen] > 0, refusals[chosen], answers.reason[place])

    refused = np.flatnonzero(refusals)[::-1]  # backwards, so that the first one in each party set stays
    by_people = np.zeros(len(party_sets), np.int8)
    by_people[party_set[refused]] = refusals[refused]
    reason = np.where(reason > 0, reason, by_people)
    reason[sizes == 0] = REASON_CODES[Reason.UNKNOWN_PARTY]  # no one could be asked, so no one has said yes
    since_us[reason > 0] = NO_PERMIT_US
    return EffectivePermits(
        at_us=permits.at_us, since_us=since_us, oldest_us=oldest_us, reason=reason, account=party_sets.account
    )


def _alternates(
    permits: Permits, party_sets: PartySets, party_set: NDArray[np.int64], first: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the places in `members` of those who may be the first person of their party set; mostly there are none."""
    known = permits.history.resembling(party_sets.people)
    if not known:
        return np.empty(0, np.int64)
    numbers: dict[str, int] = {party: person for person, party in enumerate(party_sets.people)}
    several = len(party_sets.people)
    pairs = [
        numbers[party] * several + numbers[other]
        for party in known
        for other in permits.history.namesakes(party, at_us=permits.at_us)
        if other in numbers
    ]
    starts = party_sets.members[party_sets.offsets[:-1][party_set]].astype(np.int64)  # of each member's party set
    found: NDArray[np.int64] = np.flatnonzero(~first & np.isin(starts * several + party_sets.members, pairs))
    return found


def _companies(permits: Permits, party_sets: PartySets) -> tuple[list[Company], NDArray[np.int64]]:
    """Return what the regions of people add to their records' accounts, first nothing, and which each party set has."""
    companies = [NO_COMPANY]
    company = np.zeros(len(party_sets), np.int64)
    located = set(permits.history.located(party_sets.people))
    if located:
        known: dict[Company, int] = {NO_COMPANY: 0}
        places = np.flatnonzero(np.array([person in located for person in party_sets.people])[party_sets.members])
        for party_set in np.unique(np.searchsorted(party_sets.offsets, places, side="right") - 1).tolist():
            found = permits.company(party_sets.account_of(party_set), party_sets.people_of(party_set))
            company[party_set] = known.setdefault(found, len(known))
        companies = list(known)
    return companies, company
