"""Owners: to which person each row belongs, for audits that leave people out.

A row belongs to the person who comes first in it: whose act it records, who says or writes it. So each row has one
owner at most, and halves of the people are halves of the rows. Whoever has several identities is one owner.
"""

from collections.abc import Sequence
from hashlib import sha256

from volition.learning.families.family import canonical_order
from volition.records.lake import Row


def owner_of(row: Row) -> str | None:
    """Return one pseudonym for the person to whom a row belongs (`Row.author`); none if it is about no person."""
    return row.author if row.people else None


def seed_of(rows: Sequence[Row]) -> bytes:
    """Return a seed that follows from which rows there are, and from nothing else: the same rows, the same audit."""
    whole = sha256()
    for row in canonical_order(rows):
        whole.update(f"{row.account}\0{row.record_id}\0".encode())
    return whole.digest()
