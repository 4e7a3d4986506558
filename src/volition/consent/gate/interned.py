"""Rows of tables that others keep, judged by numbers: whom they name is resolved once, and remembered between batches.

A lake interns its people when they are collected; a table of somebody else names them by text in every row. So each
different text is resolved once (interning), each pair of an account and a person gets a number, and the permits of all
pairs are columns. A row is then judged by the latest permit of its account and its people: a look-up for each of them,
and one comparison. What the ledger hears afterwards changes the columns of those whom it concerns, and no others.

It means what `batch.judge_batch` means, and a test holds it to that. Rows whose answer hangs on more than their parties
one by one are judged by the same code as there: people with regions of their own or namesakes, and accounts of which a
conversation was left out.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.consent.gate.asked import NULL_US, Asked, Texts, places_of
from volition.consent.gate.batch import judge_sets, party_sets
from volition.consent.gate.pairs import Members, PairPermits, PermitColumn
from volition.consent.names import Names, Unnamed
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, PartyRole, Permits, Reason
from volition.ledger.entry import Entry

MOST_INTERNED: Final = 4_000_000
"""Beyond so many different names, all are forgotten before the next batch: some 250 bytes each."""

_UNKNOWN: Final = REASON_CODES[Reason.UNKNOWN_PARTY]
_MANY: Final = 16  # names that are read at once
_NO_SUCH, _NULL = -1, -2  # as categories: one that is not there, and none


@dataclass(frozen=True, slots=True)
class Folded:
    """What each of n rows gets, whenever it was collected, as columns (n,).

    Attributes:
        since_us: Since when everyone's permit has stood, int64; `NO_PERMIT_US` where somebody has none.
        oldest_us: Before this instant retention has run out, int64.
        reason: The first refusal, a code of `REASON_CODES`, int8; 0 for none.
        is_unnamed: Whether the refusal is that something named is not there, whatever the time.
    """

    since_us: NDArray[np.int64]
    oldest_us: NDArray[np.int64]
    reason: NDArray[np.int8]
    is_unnamed: NDArray[np.bool_]

    def codes(self, collected_us: NDArray[np.int64], at_us: int) -> NDArray[np.int8]:
        """Return each row's reason code by when it was collected, 0 where it is permitted at an instant."""
        codes = np.where(collected_us < self.oldest_us, REASON_CODES[Reason.TOO_OLD], 0)
        codes = np.where(collected_us < self.since_us, REASON_CODES[Reason.BEFORE_YES], codes)
        codes = np.where(self.reason > 0, self.reason, codes)
        untimely = np.where(collected_us == NULL_US, _UNKNOWN, REASON_CODES[Reason.STALE])
        codes = np.where((collected_us == NULL_US) | (collected_us > at_us), untimely, codes)
        return np.where(self.is_unnamed, self.reason, codes).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Meant:
    """Who is meant in n rows.

    Attributes:
        number: Of each row, a number that stays the same from batch to batch, as long as `members` is the same object.
        members: Whom each number means; more may be added.
    """

    number: NDArray[np.int32]
    members: Members


class InternedGate:
    """The gate for one purpose over tables of others. Not for several threads at once."""

    def __init__(self, permits: Permits, names: Names) -> None:
        """Judge by permits that nobody else moves on, and by who there is."""
        self._permits = permits
        self._names = names
        self._categories: list[str] = []  # by the number that they have here
        self._forget()

    def _forget(self) -> None:
        self._generation = self._names.generation
        self._accounts = _Interned(self._names.account)
        self._people = _Interned(self._names.person, self._names.expect)
        self._pairs = PairPermits(self._permits, self._accounts.members, self._people.members)

    def learn(self, entries: Iterable[Entry], *, at_us: int) -> None:
        """Move on to a later instant, past the entries by which the permits' history has grown since."""
        self._pairs.learn(list(entries), at_us=at_us)

    def judge(self, asked: Asked) -> NDArray[np.int8]:
        """Judge every row for the permits' purpose at the permits' instant.

        Args:
            asked: n rows.

        Returns:
            Codes of `REASON_CODES`, int8, (n,); 0 where the row is permitted.
        """
        codes = np.zeros(len(asked), np.int8)
        if not len(asked):
            return codes
        at_us, collected_us = self._permits.at_us, asked.collected_us
        rows = self._numbered(asked)
        sure_us = self._latest(rows, lambda column: column.sure_us)
        others = np.flatnonzero((collected_us < sure_us) | (collected_us > at_us) | (asked.lengths == 0))
        if len(others):
            rest = rows if len(others) == len(asked) else rows.take(others)
            codes[others] = self._folded(rest, asked, others).codes(collected_us[others], at_us)
        return codes

    def fold(self, asked: Asked) -> Folded:
        """Fold the permits of everyone whom each row names into one: the latest, or the first refusal.

        Args:
            asked: At least one row.
        """
        return self._folded(self._numbered(asked), asked, np.arange(len(asked)))

    def meant(self, asked: Asked) -> "tuple[Meant, Meant]":
        """Return who is meant in each row: accounts as ids, and people as parties."""
        accounts, people = self._accounts, self._people
        return (
            Meant(accounts.numbers(asked.account), accounts.members),
            Meant(people.numbers(asked.people), people.members),
        )

    def _folded(self, rows: "_Rows", asked: Asked, which: NDArray[np.int64]) -> Folded:
        """Fold rows, which are some of those asked about: their places are `which`."""
        since_us = self._latest(rows, lambda column: column.since_us)
        oldest_us = self._latest(rows, lambda column: column.oldest_us)
        unnamed = self._unnamed(rows)
        reason = np.where(unnamed > 0, unnamed, self._first_refusal(rows))
        since_us[reason > 0] = NO_PERMIT_US
        is_unnamed = unnamed > 0
        apart, of_person = self._pairs.hang_on_more(rows.account, rows.person)
        if of_person.any():
            apart[rows.owner[of_person]] = True
        places = np.flatnonzero(apart)
        if len(places):
            chosen = asked.take(which[places])
            party_set, first = party_sets(chosen)
            sets = judge_sets(self._permits, self._names, chosen, first)
            effective = sets.effective
            since_us[places], oldest_us[places] = effective.since_us[party_set], effective.oldest_us[party_set]
            reason[places], is_unnamed[places] = effective.reason[party_set], sets.is_refused[party_set]
        return Folded(since_us, oldest_us, reason, is_unnamed)

    def _numbered(self, asked: Asked) -> "_Rows":
        if self._generation != self._names.generation or len(self._people.members.meant) > MOST_INTERNED:
            self._forget()
        account = self._accounts.numbers(asked.account)
        person = self._people.numbers(asked.people)
        self._pairs.know_people()
        whose = account[:1].reshape(()) if len(asked.account.values) == 1 else np.repeat(account, asked.lengths)
        pair = self._pairs.numbers(whose, person) if len(person) else person
        known = [self._number_of(one) for one in asked.category.values]
        category = np.empty(0, np.int16) if len(known) == 1 else np.array(known, np.int16)[asked.category.number]
        categories = np.unique(category).tolist() or known[:1]
        return _Rows.of(account, person, pair, asked.lengths, categories, category)

    def _number_of(self, category: str | None) -> int:
        """Return the number of a category that is there, which gets one when it is first met; or that it is none."""
        if category is None or category not in self._permits.history.vocabulary.categories:
            return _NULL if category is None else _NO_SUCH
        if category not in self._categories:
            self._categories.append(category)
        return self._categories.index(category)

    def _latest(self, rows: "_Rows", of: Callable[[PermitColumn], NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return the latest instant of those that a column has for each row's account and people."""
        found = self._look_up(rows, PartyRole.ACCOUNT, of)
        if not len(rows.person):
            return found
        latest = self._look_up(rows, PartyRole.FIRST, of)
        if len(rows.first) < len(rows.person):
            each = self._look_up(rows, PartyRole.OTHER, of)
            each[rows.first] = latest
            latest = np.maximum.reduceat(each, rows.first)
        if len(latest) == len(found):
            np.maximum(found, latest, out=found)
            return found
        found[rows.naming] = np.maximum(found[rows.naming], latest)
        return found

    def _first_refusal(self, rows: "_Rows") -> NDArray[np.int8]:
        """Return why the account refuses, or else the first person who does; 0 where nobody does."""
        found = self._look_up(rows, PartyRole.ACCOUNT, lambda column: column.reason)
        each = self._look_up(rows, PartyRole.OTHER, lambda column: column.reason)
        each[rows.first] = self._look_up(rows, PartyRole.FIRST, lambda column: column.reason)
        return np.where(found > 0, found, _first(each, rows))

    def _look_up(self, rows: "_Rows", role: PartyRole, of: Callable[[PermitColumn], NDArray[Any]]) -> NDArray[Any]:
        """Return what a column has for everyone who is asked in a role; of a category that is not there, refusals."""
        number, category = rows.asked_as(role)
        if len(rows.categories) == 1:
            return of(self._column(role, rows.categories[0])).take(number)
        found: NDArray[Any] = np.empty(len(number), of(self._column(role, rows.categories[0])).dtype)
        for one in rows.categories:
            places = np.flatnonzero(category == one)
            found[places] = of(self._column(role, one)).take(number[places])
        return found

    def _column(self, role: PartyRole, category: int) -> PermitColumn:
        if category >= 0:
            return self._pairs.column(role, self._categories[category])
        return PermitColumn.refused(np.zeros(self._pairs.size(role), np.int8))

    def _unnamed(self, rows: "_Rows") -> NDArray[np.int8]:
        """Return the reason where something named is not there: of the account, the people, the category the first."""
        refusal = self._people.members.refusal
        of_people = _first(refusal.take(rows.person), rows) if refusal.any() else np.int8(0)
        category = rows.category if len(rows.category) else np.full(len(rows.account), rows.categories[0])
        found = np.where(category == _NULL, _UNKNOWN, np.where(category == _NO_SUCH, REASON_CODES[Reason.NEVER], 0))
        found = np.where(of_people > 0, of_people, found)
        found[rows.lengths == 0] = _UNKNOWN
        of_account = self._accounts.members.refusal[rows.account]
        return np.where(of_account > 0, of_account, found).astype(np.int8)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Questions by numbers: n rows that name m people, in pairs with their accounts.

    Attributes:
        account: Of each row, (n,).
        person: Whom the rows name, (m,).
        pair: Each with the row's account, (m,).
        lengths: How many each row names, (n,).
        categories: The different ones, at least one.
        category: Of each row, (n,); or nothing if there is only one.
        naming: The rows that name anybody, (k,).
        first: Where the people of each of these start, (k,).
    """

    account: NDArray[np.int32]
    person: NDArray[np.int32]
    pair: NDArray[np.int32]
    lengths: NDArray[np.int64]
    categories: list[int]
    category: NDArray[np.int16]
    naming: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(  # noqa: PLR0913, PLR0917 - as above
        cls,
        account: NDArray[np.int32],
        person: NDArray[np.int32],
        pair: NDArray[np.int32],
        lengths: NDArray[np.int64],
        categories: list[int],
        category: NDArray[np.int16],
    ) -> "_Rows":
        """Make rows of their columns."""
        naming = np.flatnonzero(lengths)
        first = (np.cumsum(lengths) - lengths)[naming]
        return cls(account, person, pair, lengths, categories, category, naming, first)

    def take(self, rows: NDArray[np.int64]) -> "_Rows":
        """Return some of the rows."""
        several = len(self.person) > len(self.lengths) or len(self.first) < len(self.lengths)
        places = places_of(self.lengths, rows) if several else rows
        category = self.category[rows] if len(self.category) else self.category
        return _Rows.of(
            self.account[rows], self.person[places], self.pair[places], self.lengths[rows], self.categories, category
        )

    @property
    def owner(self) -> NDArray[np.int64]:
        """Which row names each person, (m,)."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def asked_as(self, role: PartyRole) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """Return those who are asked in a role, by number, and about which category if there are several.

        They are each row's account, (n,); the first person of each that names anybody, (k,); or everyone, (m,).
        """
        several = len(self.category) > 0
        if role is PartyRole.ACCOUNT:
            return self.account, self.category
        if role is PartyRole.FIRST:
            alone = len(self.first) == len(self.pair)
            return self.pair if alone else self.pair[self.first], self.category[
                self.naming
            ] if several else self.category
        return self.pair, np.repeat(self.category, self.lengths) if several else self.category


def _first(codes: NDArray[np.int8], rows: _Rows) -> NDArray[np.int8]:
    """Return of each row the first code of its people that is not 0, (n,); 0 where all are."""
    found = np.zeros(len(rows.lengths), np.int8)
    places = np.flatnonzero(codes)[::-1]  # backwards, so that the first one stays
    found[rows.owner[places]] = codes[places]
    return found


class _Interned:
    """Numbers for the different texts that accounts, or people, are called by; each is resolved once."""

    def __init__(
        self,
        resolve: Callable[[str | None], str | Unnamed],
        expect: Callable[[Sequence[str | None]], None] | None = None,
    ) -> None:
        self.members = Members()
        self._resolve = resolve
        self._expect = expect
        self._number: dict[str | None, int] = {}
        self._last: tuple[list[str | None], NDArray[np.int32]] = ([], np.empty(0, np.int32))

    def numbers(self, texts: Texts) -> NDArray[np.int32]:
        """Return the number of each row's text."""
        return self._known(texts).take(texts.number)

    def _known(self, texts: Texts) -> NDArray[np.int32]:
        """Return the number of each different text; those not met before get one."""
        if texts.values is self._last[0]:  # the same batch again, or some of its rows
            return self._last[1]
        known = self._number
        fresh = [one for one in dict.fromkeys(texts.values) if one not in known]
        if fresh:
            if self._expect is not None and len(fresh) >= _MANY:
                self._expect(fresh)
            found = [self._resolve(one) for one in fresh]
            known.update(zip(fresh, range(len(known), len(known) + len(fresh)), strict=True))
            self.members.add(
                ["" if isinstance(one, Unnamed) else one for one in found],
                [REASON_CODES[one.reason] if isinstance(one, Unnamed) else 0 for one in found],
            )
        self._last = texts.values, np.fromiter(map(known.__getitem__, texts.values), np.int32, len(texts.values))
        return self._last[1]
