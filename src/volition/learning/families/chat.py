"""Chat messages that a model may learn from, and which of them are held out to measure it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from volition.canonical import digest
from volition.learning.families.family import fold_of
from volition.records.lake import Row

# Held out to measure: the latest messages of each person who is asked, and at most this many people of each fold, or
# measuring takes too long.
HELD_MESSAGES: Final = 4
HELD_PEOPLE: Final = 60


def is_message(row: Row) -> bool:
    """Return whether a row is a person's chat message that the whole account may read."""
    payload = row.payload
    return (
        row.category == "content/chat"
        and bool(row.people)
        and payload.get("kind") == "message"
        and not payload.get("private")
        and isinstance(payload.get("text"), str)
    )


def hold_out_people(rows: Sequence[Row], fold: int, folds: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Hold out the people of one fold: what is learnt from the rest knows nothing that they wrote.

    Their last few messages are held out; in large folds, only some people are asked.

    Args:
        rows: Rows of a snapshot.
        fold: Which people, from 0.
        folds: How many groups the people are dealt into, by a hash of their pseudonym.

    Returns:
        Rows to learn from, and held-out rows; both in the order given.
    """
    known: list[Row] = []
    theirs: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.people and fold_of(row.author, folds) == fold:
            if is_message(row):
                theirs[row.author].append(row)
        else:
            known.append(row)
    asked = sorted(theirs, key=lambda person: digest(person.encode()))[:HELD_PEOPLE]
    held = {
        row.record_id
        for person in asked
        for row in sorted(theirs[person], key=lambda row: (row.collected_us, row.record_id))[-HELD_MESSAGES:]
    }
    return tuple(known), tuple(row for row in rows if row.record_id in held)
