"""Permitted records in columns and in one order: what a snapshot is frozen from, without an object for each.

What lies in a file is kept as it lies there, sealed, until it has its place in the order; nothing is spilled to the
disk that was not encrypted there before.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from volition.consent.gate import PartySets
from volition.records.lake.records import PERSON

SEALED: Final = pa.schema(
    [
        ("account", pa.string()),
        ("collected_us", pa.int64()),
        ("record_id", pa.string()),
        ("group", pa.int64()),
        ("source", pa.string()),
        ("payload", pa.binary()),
        ("embedding", pa.binary()),
    ]
)
"""The columns of permitted records before they are decrypted; `group` is a number of `Groups`."""

ORDER_OF_ROWS: Final = ("account", "collected_us", "record_id")
"""The one order of a snapshot's rows; texts by Unicode code point."""

OPENED: Final = pa.schema(
    [
        ("record_id", pa.string()),
        ("group", pa.int64()),
        ("collected_us", pa.int64()),
        ("conversation", pa.string()),
        ("payload", pa.binary()),  # canonical JSON, as it was stored
        ("embedding", pa.binary()),  # 384 numbers, float16
    ]
)
"""The columns of permitted records, decrypted."""


_GROUPS_HELD: Final = 100_000


class Group(NamedTuple):
    """Whom and what records concern: the same for all records of a party set and category.

    Attributes:
        account: Id of the account.
        people: Pseudonyms, the first person first.
        category: A leaf of `terms.CATEGORIES`.
    """

    account: str
    people: tuple[str, ...]
    category: str


class Groups:
    """Numbers for the party sets of several buckets in several categories; names come when somebody asks for them."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._parts: list[tuple[str, PartySets]] = []
        self._size = 0
        self._known: dict[int, Group] = {}

    def add(self, category: str, party_sets: PartySets) -> int:
        """Add a bucket's party sets, and return the number of the first; the others follow."""
        if self._parts and self._parts[-1][0] == category and self._parts[-1][1] is party_sets:
            return self._starts[-1]
        start = self._size
        self._starts.append(start)
        self._parts.append((category, party_sets))
        self._size += len(party_sets)
        return start

    def of(self, number: int) -> Group:
        """Return whom and what the records of a number concern."""
        found = self._known.get(number)
        if found is None:
            if len(self._known) >= _GROUPS_HELD:  # rows come account by account
                self._known.clear()
            place = int(np.searchsorted(self._starts, number, side="right")) - 1
            category, party_sets = self._parts[place]
            own = number - self._starts[place]
            people = tuple(person.removeprefix(PERSON) for person in party_sets.people_of(own))
            found = self._known[number] = Group(party_sets.account_of(own), people, category)
        return found


class PermittedRows:
    """Records that the gate has let through, decrypted batch by batch, in `ORDER_OF_ROWS`.

    Attributes:
        groups: Whom and what they concern.
        total: How many there are; a few fewer are given out where some were heard in what may not be used.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch], groups: Groups, total: int, meetings: "Meetings") -> None:
        self._batches = batches
        self._meetings = meetings
        self.groups = groups
        self.total = total

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield them once, as columns of `OPENED`.

        Raises:
            RefusedError: An account was erased meanwhile.
        """
        return self._batches

    def people_of(self, account: str, source: str) -> frozenset[str] | None:
        """Return whom the records of a meeting, channel or file concern (pseudonyms); none where none is among them."""
        return self._meetings.people_of(account, source)


class Meetings:
    """Whom the records of each meeting, channel and file concern, of those that are read."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._of: dict[str, set[int]] = defaultdict(set)

    def add(self, batch: pa.RecordBatch) -> None:
        """Note the sources of some rows, sealed as they are."""
        if not np.any(np.diff(_offsets(batch.column("source")))):
            return
        pairs = pa.Table.from_batches([batch.select(["source", "group"])]).group_by(["source", "group"]).aggregate([])
        for source, group in zip(pairs["source"].to_pylist(), pairs["group"].to_pylist(), strict=True):
            if source:
                self._of[source].add(group)

    def people_of(self, account: str, source: str) -> frozenset[str] | None:
        """Return whom the rows of one concern (pseudonyms); none where no row is of it."""
        groups = [self._groups.of(number) for number in self._of.get(source, ())]
        own = [group for group in groups if group.account == account]
        return frozenset(person for group in own for person in group.people) if own else None


def _offsets(texts: pa.Array) -> NDArray[np.int32]:
    """Return where each text begins, and the last one ends."""
    return np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
