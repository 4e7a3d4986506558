"""Owners: to which person each row belongs, for audits that leave people out.

A row belongs to the person who comes first in it: whose act it records, who says or writes it. So each row has one
owner at most, and halves of the people are halves of the rows. Whoever has several identities is one owner.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from hashlib import sha256

from volition.learning.families.family import canonical_order
from volition.records.lake import Row


def owner_of(row: Row) -> str | None:
    """Return one pseudonym for the person to whom a row belongs (`Row.author`); none if it is about no person."""
    return row.author if row.people else None


def rows_by_person(rows: Sequence[Row]) -> Counter[str]:
    """Return how many rows each person owns."""
    return Counter(owner for row in rows if (owner := owner_of(row)) is not None)


def without_people(rows: Sequence[Row], people: Collection[str]) -> list[Row]:
    """Return the rows that do not belong to any of some people, in the order given."""
    return [row for row in rows if owner_of(row) not in people]


def seed_of(rows: Sequence[Row]) -> bytes:
    """Return a seed that follows from which rows there are, and from nothing else: the same rows, the same audit."""
    whole = sha256()
    for row in canonical_order(rows):
        whole.update(f"{row.account}\0{row.record_id}\0".encode())
    return whole.digest()
