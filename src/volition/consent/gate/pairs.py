"""The permits of many pairs of an account and a person, as columns: made once, and mended as the ledger grows.

A pair gets a number when it is first met. For each role and category that is asked about there is a column of all pairs
(`Panel`, the compiled form for many parties); what the ledger hears changes the rows of those whom it concerns.

What a column cannot say is left to whoever asks one by one: `sure_us` then promises nothing. That is so of people with
regions of their own or with namesakes, whose permits hang on who stands beside them in a record, and of content of an
account of which a conversation was ever left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from volition.consent.history import BEGINNING_US
from volition.consent.permits import NO_PERMIT_US, Panel, PartyRole, Permits
from volition.consent.references import PartyRef, account_ref
from volition.ledger.entry import Entry

_NO_PAIR: Final = -1
_FEW: Final = 8  # if more than one in so many pairs changed, all are made anew


@dataclass(slots=True)
class PermitColumn:
    """What each of n pairs, or accounts, is permitted, as columns (n,).

    Attributes:
        since_us: Since when, int64; `NO_PERMIT_US` where it is refused.
        oldest_us: Before this instant retention has run out, int64.
        reason: Codes of `REASON_CODES`, int8; 0 where it is permitted.
        sure_us: From when on whatever was collected is permitted for sure; `NO_PERMIT_US` where more must be asked.
    """

    since_us: NDArray[np.int64]
    oldest_us: NDArray[np.int64]
    reason: NDArray[np.int8]
    sure_us: NDArray[np.int64]

    @classmethod
    def refused(cls, reasons: NDArray[np.int8]) -> "PermitColumn":
        """Return the column of those who have no permit, each for its reason."""
        never = np.full(len(reasons), NO_PERMIT_US, np.int64)
        return cls(never, np.full(len(reasons), BEGINNING_US, np.int64), reasons.copy(), never.copy())

    def put(self, places: NDArray[np.intp], other: "PermitColumn") -> None:
        """Replace what stands at some places."""
        self.since_us[places] = other.since_us
        self.oldest_us[places] = other.oldest_us
        self.reason[places] = other.reason
        self.sure_us[places] = other.sure_us

    def append(self, other: "PermitColumn") -> "PermitColumn":
        """Return the column with another one behind it."""
        return PermitColumn(
            np.concatenate([self.since_us, other.since_us]),
            np.concatenate([self.oldest_us, other.oldest_us]),
            np.concatenate([self.reason, other.reason]),
            np.concatenate([self.sure_us, other.sure_us]),
        )

    def move(self, by_us: int) -> None:
        """Move on what retention has run out of, by so many microseconds."""
        aged = np.flatnonzero(self.oldest_us != BEGINNING_US)
        if len(aged):
            self.oldest_us[aged] += by_us
            self.sure_us[aged] = np.maximum(self.sure_us[aged], self.oldest_us[aged])


class Members:
    """Accounts, or people, by number: what is meant by each, and why where nobody is."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.meant: list[str] = []
        self.refusal: NDArray[np.int8] = np.empty(0, np.int8)

    def add(self, meant: Sequence[str], refusals: Sequence[int]) -> None:
        """Add some: the id or party of each, and 0; or an empty text, and the code of the refusal."""
        self.meant += meant
        self.refusal = np.concatenate([self.refusal, np.array(refusals, np.int8)])


class PairPermits:
    """The permits of pairs for one purpose, by category and role."""

    def __init__(self, permits: Permits, accounts: Members, people: Members) -> None:
        """Start without pairs.

        Args:
            permits: Decide; nobody else moves them on.
            accounts: Accounts by number; more may be added.
            people: People by number, likewise.
        """
        self._permits = permits
        self._accounts = accounts
        self._people = people
        self._home = np.empty(0, np.int32)  # by person, the account with which they were met first
        self._home_pair = np.empty(0, np.int32)
        self._elsewhere: dict[int, int] = {}  # other pairs, by account and person in one number
        self._account_of: NDArray[np.int32] = np.empty(0, np.int32)
        self._person_of: NDArray[np.int32] = np.empty(0, np.int32)
        self._columns: dict[tuple[PartyRole, str], PermitColumn] = {}
        self._apart: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._of_party: dict[str, list[int]] = {}

    def learn(self, entries: Sequence[Entry], *, at_us: int) -> None:
        """Move on to a later instant, past the entries by which the permits' history has grown since."""
        moved_us = at_us - self._permits.at_us
        changed = self._permits.learn(entries, at_us=at_us)
        if entries or changed is None:  # an account's own columns are short, and made anew
            self._columns = {key: one for key, one in self._columns.items() if key[0] is not PartyRole.ACCOUNT}
        if entries and self._flags_changed():
            changed = None
        people = [] if changed is None else [number for party in changed for number in self._of_party.get(party, ())]
        pairs = np.flatnonzero(np.isin(self._person_of, people)) if people else np.empty(0, np.intp)
        if changed is None or len(pairs) > len(self._person_of) // _FEW:
            self._columns.clear()
            return
        for (role, category), column in self._columns.items():
            column.move(moved_us)
            if len(pairs) and role is not PartyRole.ACCOUNT:
                column.put(pairs, self._made(role, category, pairs))

    def _flags_changed(self) -> bool:
        before = self._apart
        self._apart = self._found_apart(0)
        return not np.array_equal(before, self._apart)

    def know_people(self) -> None:
        """Take in the people who were added."""
        first = len(self._home)
        more = len(self._people.meant) - first
        if not more:
            return
        nobody = np.full(more, _NO_PAIR, np.int32)
        self._home, self._home_pair = np.concatenate([self._home, nobody]), np.concatenate([self._home_pair, nobody])
        for number, party in enumerate(self._people.meant[first:], start=first):
            self._of_party.setdefault(party, []).append(number)
        self._apart = np.concatenate([self._apart, self._found_apart(first)])

    def _found_apart(self, first: int) -> NDArray[np.bool_]:
        history, people = self._permits.history, self._people.meant[first:]
        apart = {*history.resembling(people), *history.located(people)}
        return (
            np.fromiter((one in apart for one in people), np.bool_, len(people))
            if apart
            else np.zeros(len(people), np.bool_)
        )

    def hang_on_more(
        self, account: NDArray[np.int32], person: NDArray[np.int32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return of which accounts, and of which people, some answers hang on more than a permit."""
        return self._concerned(self._accounts.meant)[account], self._apart[person]

    def numbers(self, account: NDArray[np.int32], person: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the number of each pair, (m,); those not met before get one.

        Args:
            account: Numbers of accounts, (m,), or () for one account.
            person: Numbers of people, (m,).
        """
        self._settle(account, person)
        pair: NDArray[np.int32] = self._home_pair.take(person)
        away = np.flatnonzero(self._home.take(person) != account)
        if len(away):
            key = (np.broadcast_to(account, person.shape)[away].astype(np.int64) << 32) | person[away]
            encoded = pa.array(key).dictionary_encode()
            keys = encoded.dictionary.to_pylist()
            fresh = [one for one in keys if one not in self._elsewhere]
            if fresh:
                numbers = np.array(fresh, np.int64)
                self._elsewhere.update(
                    zip(fresh, range(len(self._person_of), len(self._person_of) + len(fresh)), strict=True)
                )
                self._add((numbers >> 32).astype(np.int32), (numbers & 0xFFFF_FFFF).astype(np.int32))
            found = np.fromiter(map(self._elsewhere.__getitem__, keys), np.int32, len(keys))
            pair[away] = found[encoded.indices.to_numpy(zero_copy_only=False)]
        return pair

    def _settle(self, account: NDArray[np.int32], person: NDArray[np.int32]) -> None:
        """Give everyone who is met first a home."""
        if (self._home >= 0).all():
            return
        fresh = np.flatnonzero(self._home.take(person) < 0)
        if len(fresh):
            self._home[person[fresh]] = np.broadcast_to(account, person.shape)[fresh]
            people = np.flatnonzero((self._home >= 0) & (self._home_pair < 0)).astype(np.int32)
            self._home_pair[people] = np.arange(len(self._person_of), len(self._person_of) + len(people))
            self._add(self._home[people], people)

    def _add(self, account: NDArray[np.int32], person: NDArray[np.int32]) -> None:
        self._account_of = np.concatenate([self._account_of, account])
        self._person_of = np.concatenate([self._person_of, person])

    def size(self, role: PartyRole) -> int:
        """Return how many accounts there are, or pairs."""
        return len(self._accounts.meant if role is PartyRole.ACCOUNT else self._person_of)

    def column(self, role: PartyRole, category: str) -> PermitColumn:
        """Return the column of a role and a category: by account, or by pair."""
        size = self.size(role)
        found = self._columns.get((role, category))
        known = 0 if found is None else len(found.reason)
        if known < size:
            more = self._made(role, category, np.arange(known, size))
            found = self._columns[role, category] = more if found is None else found.append(more)
        return found if found is not None else PermitColumn.refused(np.empty(0, np.int8))

    def _made(self, role: PartyRole, category: str, places: NDArray[np.intp]) -> PermitColumn:
        """Ask the permits about some pairs, or some accounts."""
        is_account = role is PartyRole.ACCOUNT
        account = places.astype(np.int32) if is_account else self._account_of[places]
        refusal = self._accounts.refusal[account]
        if not is_account:
            of_people = self._people.refusal[self._person_of[places]]
            refusal = np.where(of_people > 0, of_people, refusal)
        made = PermitColumn.refused(refusal)
        asked = np.flatnonzero(refusal == 0)
        if not len(asked):
            return made
        numbers, at = np.unique(account[asked], return_inverse=True)
        ids = [self._accounts.meant[number] for number in numbers.tolist()]
        if is_account:
            parties = [account_ref(ids[number]) for number in at.tolist()]
        else:
            parties = [PartyRef(self._people.meant[number]) for number in self._person_of[places[asked]].tolist()]
        table = Panel(self._permits, ids, at.astype(np.int32), parties).of(role, category)
        sure_us = np.where(table.reason > 0, NO_PERMIT_US, np.maximum(table.since_us, table.oldest_us))
        hangs = self._concerned(ids)[at] if is_account else self._apart[self._person_of[places[asked]]]
        sure_us[hangs] = NO_PERMIT_US
        made.put(asked, PermitColumn(table.since_us, table.oldest_us, table.reason, sure_us))
        return made

    def _concerned(self, accounts: Sequence[str]) -> NDArray[np.bool_]:
        exclusions = self._permits.history.exclusions
        return np.array([bool(exclusions) and exclusions.concern(one) for one in accounts], np.bool_)
