"""Permits as a table: a line for each party of an account, its part in a record, a category and a purpose.

There is a line only where there is a permit: whom the table does not name is refused. The permits themselves decide
(`permits.Panel`); what a table of single parties cannot say is left out, or said so that it refuses:

- `beside_since_us` counts in place of `since_us` in a record of anybody `located`: the rules of the regions of those
  people of the account ask more of everyone in it. A table does not say which region asks what since when, so there all
  of them are asked for, and from the beginning on.
- Somebody who may be the same person as somebody else is asked as that, too, in whatever record they are among the
  others.
- `left_out` says that the party has left some conversation of the account out of the use. Which one a row of another
  table belongs to is not known there, so it is refused unless it belongs to none.
- People stand under the accounts that they are or were registered in; those of no account under every one. In records
  of other accounts they are refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from volition.consent.history import BEGINNING_US, History
from volition.consent.permits import NO_COMPANY, NO_PERMIT_US, Company, Panel, PartyRole, Permits, PermitTable
from volition.consent.references import PartyRef, account_ref

NO_AGE_US: Final = 2**62
"""As `max_age_us`: there is none."""

ACCOUNT, FIRST, OTHER = "account", "first", "other"

SCHEMA: Final = pa.schema(
    [
        pa.field(name, pa.string(), nullable=False)
        for name in ("generation", "account", "part", "party", "purpose", "category")
    ]
    + [pa.field(name, pa.int64(), nullable=False) for name in ("since_us", "beside_since_us", "max_age_us")]
    + [pa.field(name, pa.bool_(), nullable=False) for name in ("located", "left_out")]
)
"""The columns of the table. `part` is `account`, `first` or `other`; instants are microseconds since the Unix epoch,
UTC; `since_us` is included; `generation` says to which line of the state a line belongs."""

KEYS: Final = ("account", "part", "party", "purpose", "category")
"""What no two lines of a generation have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Somebody whom the table may name.

    Attributes:
        account: Id of the account in whose records they are concerned.
        name: What the rows of other tables call them.
        party: Who that is, as the ledger names them.
    """

    account: str
    name: str
    party: PartyRef


def lines_of(
    permits: Sequence[Permits], accounts: Sequence[str], people: Sequence[Listed], *, generation: str
) -> pa.Table:
    """Return the table's lines, sorted by account, part, party, purpose and category, without a refusal among them.

    Args:
        permits: Those of each purpose, all at one instant and of one history.
        accounts: Ids of accounts.
        people: Who may be named, each name once for each account.
        generation: What the lines have as `generation`.
    """
    people = sorted(people, key=lambda one: (one.account, one.name))
    own = [Listed(account=one, name=one, party=account_ref(one)) for one in sorted(accounts)]
    found = [table for each in permits for table in _of_purpose(each, sorted(accounts), own, people)]
    if not found:
        return SCHEMA.empty_table()
    lines = pa.concat_tables(found).sort_by([(key, "ascending") for key in KEYS]).combine_chunks()
    return with_generation(lines, generation)


def with_generation(lines: pa.Table, generation: str) -> pa.Table:
    """Return lines under a generation, in place of one that they may have."""
    columns = {name: lines[name] for name in SCHEMA.names[1:]}
    return pa.table({"generation": pa.repeat(pa.scalar(generation), len(lines)), **columns}, schema=SCHEMA)


def _of_purpose(permits: Permits, accounts: list[str], own: list[Listed], people: list[Listed]) -> Iterable[pa.Table]:
    located = np.array([bool(permits.company(one.account, [one.party])) for one in people], np.bool_)
    companies = _companies(permits, people, located)
    nobody = np.zeros(len(own), np.bool_)
    maybe = _maybe(permits, people)
    accounts_asked = _Asked(permits, accounts, own, companies)
    people_asked = _Asked(permits, accounts, people, companies)
    for category in permits.history.vocabulary.categories:
        yield _table(permits, category, ACCOUNT, accounts_asked.of(PartyRole.ACCOUNT, category), own, nobody)
        yield _table(permits, category, FIRST, people_asked.of(PartyRole.FIRST, category), people, located)
        others = people_asked.of(PartyRole.OTHER, category)
        if maybe.any():
            alternates = people_asked.of(PartyRole.ALTERNATE, category)
            others = [_later(one, other, maybe) for one, other in zip(others, alternates, strict=True)]
        yield _table(permits, category, OTHER, others, people, located)


def _later(answers: PermitTable, alternates: PermitTable, maybe: NDArray[np.bool_]) -> PermitTable:
    """Return answers in which some parties have a permit only where they have one as somebody else, too."""
    since_us = np.where(maybe, np.maximum(answers.since_us, alternates.since_us), answers.since_us)
    return PermitTable(since_us=since_us, oldest_us=answers.oldest_us, reason=answers.reason)


class _Asked:
    """Some parties, asked alone and beside the located people of their account."""

    def __init__(
        self, permits: Permits, accounts: list[str], listed: list[Listed], companies: dict[str, Company]
    ) -> None:
        places = {account: place for place, account in enumerate(accounts)}
        self._account = np.array([places[one.account] for one in listed], np.int32)
        known = [NO_COMPANY, *dict.fromkeys(companies.values())]
        self._beside = np.array([known.index(companies.get(one.account, NO_COMPANY)) for one in listed], np.int64)
        parties = [one.party for one in listed]
        self._alone = Panel(permits, accounts, self._account, parties)
        self._besides = self._alone
        if self._beside.any():
            self._besides = Panel(permits, accounts, self._account, parties, companies=known, company=self._beside)

    def of(self, role: PartyRole, category: str) -> list[PermitTable]:
        """Return everyone's answers alone, and those beside the located people."""
        alone = self._alone.of(role, category)
        return [alone, alone if self._besides is self._alone else self._besides.of(role, category)]


def _table(  # noqa: PLR0913, PLR0917 - what makes a line
    permits: Permits,
    category: str,
    part: str,
    answers: Sequence[PermitTable],
    asked: Sequence[Listed],
    located: NDArray[np.bool_],
) -> pa.Table:
    """Return the lines of one part for one category, by everyone's answers alone and beside the located people."""
    alone, beside = answers
    since_us = alone.since_us
    beside_us = np.maximum(since_us, beside.since_us)
    oldest_us = np.maximum(alone.oldest_us, beside.oldest_us)
    kept = np.flatnonzero(since_us < NO_PERMIT_US)
    listed = [asked[place] for place in kept.tolist()]
    has_age = oldest_us[kept] > BEGINNING_US
    columns = {
        "account": [one.account for one in listed],
        "part": pa.repeat(pa.scalar(part), len(kept)),
        "party": [one.name for one in listed],
        "purpose": pa.repeat(pa.scalar(permits.purpose), len(kept)),
        "category": pa.repeat(pa.scalar(category), len(kept)),
        "since_us": since_us[kept],
        "beside_since_us": beside_us[kept],
        "max_age_us": np.where(has_age, permits.at_us - oldest_us[kept], NO_AGE_US),
        "located": located[kept],
        "left_out": _left_out(permits, listed, category),
    }
    return pa.table(columns, schema=pa.schema(list(SCHEMA)[1:]))


def _companies(permits: Permits, people: list[Listed], located: NDArray[np.bool_]) -> dict[str, Company]:
    """Return by account what the regions of all its located people add, as if they had always been there."""
    regions: dict[str, set[str]] = {}
    for place in np.flatnonzero(located).tolist():
        one = people[place]
        regions.setdefault(one.account, set()).update(region for _, region in permits.history.regions(one.party))
    return {account: frozenset(((BEGINNING_US, region),) for region in found) for account, found in regions.items()}


def _maybe(permits: Permits, people: list[Listed]) -> NDArray[np.bool_]:
    """Return who may be the same person as somebody else."""
    known = permits.history.resembling(one.party for one in people)
    return np.array([one.party in known for one in people], np.bool_)


def _left_out(permits: Permits, listed: list[Listed], category: str) -> list[bool]:
    """Return who has left a conversation of the account out of the use, for content, which alone belongs to any."""
    history = permits.history
    if not history.exclusions or not history.vocabulary.is_content(category):
        return [False] * len(listed)
    known: dict[str, frozenset[str]] = {}
    for account in {one.account for one in listed}:
        known[account] = _excluding(history, account, category, permits)
    return [one.party in known[one.account] for one in listed]


def _excluding(history: History, account: str, category: str, permits: Permits) -> frozenset[str]:
    exclusions = history.exclusions
    return frozenset(
        party
        for conversation in exclusions.could_be(account, category, None)
        for party in exclusions.of(account, conversation)
        if permits.purpose in exclusions.standing(account, conversation, party, at_us=permits.at_us)
    )
