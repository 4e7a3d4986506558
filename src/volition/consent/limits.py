"""Limits: what an account has limited, for itself as a whole or for groups of its people. Nothing is decided here.

The field says policy restriction, or processing restriction set by the tenant. A limit is not an answer
(`docs/decisions/0020-limits.md`): while it is in force, `permits` refuses the use for everyone it applies to, whatever
they or the account answer or accept; only lifting it allows the use again. This module writes the entries that limit
and lift, and reads from a history which limits are in force.

An entry names its people by pseudonym, in order, so many that it fits into the ledger; a longer list takes several
entries, appended together. A lift that names no one lifts the group's limit for everyone it ever applied to.

A group has an id of its own in the ledger that says nothing, and its name stands in the directory, where it can be
erased. Entries of an earlier version have the name in the place of the id, and such a group goes on under it.

    >>> from volition.consent.history import History
    >>> limits_of(History(), account="acme", at_us=0)
    ()
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from types import MappingProxyType
from typing import Any, Final

from volition.canonical import us_to_text
from volition.consent.history import History, Limit, PartyLimits
from volition.consent.parties import ErasedError, Parties, Person
from volition.consent.terms.vocabulary import Vocabulary
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry, NewEntry

LONGEST_NAME: Final = 80
"""Characters in a group's name."""

_NAMES_SHOWN: Final = 5  # in a message
_AT_A_TIME: Final = 1_000  # people in an entry, well below what the ledger takes

Leaf = tuple[str, str]
"""A category and a purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UseLimit:
    """One use as it is limited.

    Attributes:
        people: For how many people of the group; 1 for the lock of the account.
        since_us: Since when, for those for whom it was limited first.
        seq: Number of the ledger entry that limited it then.
    """

    people: int
    since_us: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimit:
    """A limit in force, of a group or of the whole account.

    Attributes:
        key: What the ledger calls the group; empty for the lock of the whole account.
        name: Its name, or what the ledger calls it where nobody knows its name any more; empty for the lock.
        people: To how many people it applies, for any use; 0 for the lock.
        uses: What is limited: (category, purpose) leaves, in the vocabularies' order.
    """

    key: str
    name: str
    people: int
    uses: dict[Leaf, UseLimit]

    def to_json(self) -> dict[str, Any]:
        """Return the limit as a JSON object: uses that are limited in the same way are listed together, by purpose."""
        return {
            "group": self.name or None,
            "people": self.people,
            "limited": [
                {
                    "data": list(data),
                    "purpose": purpose,
                    "people": limit.people if self.name else 0,
                    "since": us_to_text(limit.since_us),
                    "entry": limit.seq,
                }
                for purpose, data, limit in self.by_purpose()
            ],
        }

    def by_purpose(self) -> Iterator[tuple[str, tuple[str, ...], UseLimit]]:
        """Yield the uses purpose by purpose: the purpose, the categories limited in the same way, and how."""
        categories: dict[tuple[str, UseLimit], list[str]] = {}
        for (category, purpose), limit in self.uses.items():
            categories.setdefault((purpose, limit), []).append(category)
        for (purpose, limit), data in categories.items():
            yield purpose, tuple(data), limit


def limits_of(
    history: History, *, account: str, at_us: int, names: Mapping[str, str] = MappingProxyType({})
) -> tuple[GroupLimit, ...]:
    """Return the limits of an account in force at an instant: its lock first, then the groups by name.

    Cost: people who were named together are looked at once, so it grows with the entries and not with the people.

    Args:
        history: What was said, up to that instant.
        account: Id of the account.
        at_us: The instant.
        names: The names of groups by what the ledger calls them; others go by that.
    """
    named = [(names.get(key, key), key) for key in history.groups(account)]
    found = (_group(history, account, key, name, at_us) for name, key in [("", ""), *sorted(named)])
    return tuple(group for group in found if group.uses)


def held_by(history: History, *, account: str, group: str, at_us: int) -> list[str]:
    """Return the people to whom a group's limit applies at an instant, for any use, in the order of naming."""
    people = history.members(account, group)
    holding = {
        limits: bool(_in_force(limits, account, group, lambda limit: limit.at_us <= at_us))
        for limits in set(map(history.limits, people))
    }
    return [person for person in people if holding[history.limits(person)]]


def _group(history: History, account: str, key: str, name: str, at_us: int) -> GroupLimit:
    people = 0
    uses: dict[Leaf, UseLimit] = {}
    for limits, count in Counter(map(history.limits, history.members(account, key))).items():
        limited = _in_force(limits, account, key, lambda limit: limit.at_us <= at_us)
        people += count if limited else 0
        for leaf, limit in limited.items():
            known = uses.get(leaf)
            first = known is None or (limit.at_us, limit.seq) < (known.since_us, known.seq)
            uses[leaf] = UseLimit(
                people=count + (known.people if known else 0),
                since_us=limit.at_us if first or known is None else known.since_us,
                seq=limit.seq if first or known is None else known.seq,
            )
    ordered = {leaf: uses[leaf] for leaf in sorted(uses, key=_place(history.vocabulary))}
    return GroupLimit(key=key, name=name, people=people if key else 0, uses=ordered)


def _in_force(limits: PartyLimits, account: str, name: str, counts: Callable[[Limit], bool]) -> dict[Leaf, Limit]:
    """Return the uses that one lock or group limits, by those of its entries that count, and since which entry."""
    said = [one for one in limits.said if (one.account, one.group) == (account, name) and counts(one)]
    limited: dict[Leaf, Limit] = {}
    for limit in sorted(said, key=lambda one: (one.at_us, one.limited)):
        for leaf in product(limit.categories, limit.purposes):
            if not limit.limited:
                limited.pop(leaf, None)
            else:
                limited.setdefault(leaf, limit)
    return limited


def _place(vocabulary: Vocabulary) -> Callable[[Leaf], tuple[int, int]]:
    """Return what orders uses as the vocabulary does."""
    return lambda leaf: (vocabulary.purposes.index(leaf[1]), vocabulary.categories.index(leaf[0]))


def check_group_name(name: str) -> None:
    """Refuse what cannot be a group's name; empty is the lock of the whole account.

    Raises:
        InvalidInputError: It is no single line, or is too long.
    """
    if name != name.strip() or len(name) > LONGEST_NAME or not (name.isprintable() or not name):
        raise InvalidInputError(f"A group's name is one line of at most {LONGEST_NAME} characters, not {name!r}.")


def limiting(  # noqa: PLR0913 - whom, what, and which way
    account: str, *, group: str, people: Sequence[str], data: Sequence[str], purpose: Sequence[str], limited: bool
) -> list[NewEntry]:
    """Return the entries that limit a use, or lift a limit.

    Args:
        account: Id of the account.
        group: What the ledger calls the group; empty for the lock of the whole account.
        people: Parties ("person:PSEUDONYM"); none for the lock, and none to lift the limit for all of the group.
        data: Categories; a name covers all below it.
        purpose: Purposes, likewise.
        limited: Whether to limit or to lift.

    Raises:
        InvalidInputError: A lock names people, or a limit of a group names no one.
    """
    if people and not group:
        raise InvalidInputError(
            "The lock is for the whole account and names no people. Name a group to limit some people."
        )
    if group and limited and not people:
        raise InvalidInputError("Name the people of the group to whom the limit is to apply.")
    body = {
        "account": account,
        "group": group,
        "data": sorted(set(data)),
        "purpose": sorted(set(purpose)),
        "limited": limited,
    }
    named = sorted(set(people))
    starts = range(0, max(len(named), 1), _AT_A_TIME)
    return [NewEntry(kind="limit", body={**body, "people": named[start : start + _AT_A_TIME]}) for start in starts]


def limits_among(history: History, parties: Sequence[str]) -> Iterator[NewEntry]:
    """Yield the entries by which the limits of groups that apply to one identity of a person apply to each.

    Args:
        history: What was limited.
        parties: The person's identities, "person:PSEUDONYM".
    """
    groups = sorted({(one.account, one.group) for party in parties for one in history.limits(party).said if one.group})
    for account, group in groups:
        limited = {party: _in_force(history.limits(party), account, group, lambda _: True) for party in parties}
        for party in parties:
            every = {leaf for uses in limited.values() for leaf in uses}
            missing = sorted(every - limited[party].keys(), key=_place(history.vocabulary))
            for purpose, leaves_of in groupby(missing, key=lambda leaf: leaf[1]):
                data = [category for category, _ in leaves_of]
                about = {"data": data, "purpose": [purpose], "limited": True, "people": [party]}
                yield NewEntry(kind="limit", body={"account": account, "group": group, **about})


def people_named(parties: Parties, account: str, names: Sequence[str]) -> list[Person]:
    """Return the people named, each by their id or by any name that they go by in the account.

    Raises:
        InvalidInputError: A name is of no one in this account, or of several people.
    """
    by_id: dict[str, Person] = {person.id: person for person in parties.people(account)} if names else {}
    found = [by_id.get(name) or parties.find_person(account, name) or _guest(parties, name) for name in names]
    missing = [name for name, person in zip(names, found, strict=True) if person is None]
    if missing:
        shown = ", ".join(missing[:_NAMES_SHOWN]) + (", ..." if len(missing) > _NAMES_SHOWN else "")
        raise InvalidInputError(
            f"No one in {account}, or more than one person, goes by: {shown}. Name each by their id."
        )
    return [person for person in found if person is not None]


def _guest(parties: Parties, name: str) -> Person | None:
    """Return a guest of no account by their id: an account may limit the use of what it holds about them, too."""
    try:
        person = parties.person(name)
    except (InvalidInputError, ErasedError):
        return None
    return person if person.account is None else None


def appended_together(entries: Iterable[Entry], account: str) -> list[Entry]:
    """Return the limits of an account at the start of some entries that belong together: a long list takes several.

    Raises:
        InvalidInputError: The first entry is no limit of this account.
    """
    found: list[Entry] = []
    for entry in entries:
        if entry.kind != "limit" or (found and not _are_one(found[0], entry)):
            break
        found.append(entry)
    if not found or found[0].body["account"] != account:
        raise InvalidInputError(f"This is no limit of {account}, so it cannot be undone.")
    return found


def _are_one(first: Entry, later: Entry) -> bool:
    """Tell whether two limits were appended together: a microsecond apart for each place, or once at one instant."""
    apart_us = later.at_us - first.at_us
    return apart_us in {0, later.seq - first.seq} and {**later.body, "people": None} == {**first.body, "people": None}


def reversing(history: History, entries: Sequence[Entry]) -> list[NewEntry]:
    """Return the entries that restore an account's limits as they were before some entries that were appended together.

    A person whom the limit applied to before stays limited, and one whom it did not apply to is not limited anew.
    """
    body, first = entries[0].body, entries[0].seq
    account, group, limited = body["account"], body["group"], body["limited"]
    named = [person for entry in entries for person in entry.body["people"]] or history.members(account, group)
    vocabulary = history.vocabulary
    uses = set(product(vocabulary.leaves_of_data(body["data"]), vocabulary.leaves_of_use(body["purpose"])))
    changed = [
        party
        for party in named
        if uses.isdisjoint(_in_force(history.limits(party), account, group, lambda limit: limit.seq < first)) is limited
    ]
    if not changed:
        return []
    people = changed if group else ()
    return limiting(
        account, group=group, people=people, data=body["data"], purpose=body["purpose"], limited=not limited
    )
