"""Batches: what the ledger says of the records that came together, and what shows that one is still as it came.

- A batch's entry is in the ledger before its records can be seen. A process that is killed in between leaves an entry
  of records that are not there, never a record without an entry; sent again, they get an entry of their own.
- The index keeps each batch's key and the hashes of all of its leaves, so that what is left of a batch can be shown
  when other records of it were erased or replaced.
- Neither the files nor the index are believed: a record that is not as its batch's entry says is refused.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import pyarrow as pa

from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.log import Ledger
from volition.records.commitment import (
    CollectedBatch,
    Fact,
    Facts,
    Leaves,
    Recorded,
    commit_batch,
    new_batch_key,
    people_key,
    split_hashes,
)
from volition.records.lake.encryption import RecordCipher
from volition.records.lake.index import LakeIndex
from volition.records.lake.permitted import Groups
from volition.records.lake.records import NewRecord
from volition.records.lake.writer import Batch
from volition.records.spilled import SpilledSort

_BEFORE: Final = -1  # in the place of a batch or entry: from before there were entries about batches

_FACTS: Final = pa.schema(
    [
        ("entry", pa.int64()),
        ("row", pa.int64()),
        ("batch", pa.int64()),
        ("record_id", pa.string()),
        ("group", pa.int64()),
        ("collected_us", pa.int64()),
        ("conversation", pa.string()),
    ]
)


def log_batch(records: Iterable[NewRecord], batch: Batch, cipher: RecordCipher, ledger: Ledger | None) -> None:
    """Append the entry of records that are about to be stored, and keep what shows them, in the open transaction.

    Raises:
        InvalidInputError: The lake was opened without a ledger, to be read.
    """
    facts = [
        Fact(
            record.record_id,
            record.account,
            record.people,
            record.category,
            record.collected_us,
            cipher.conversation(record.account, record.source),
        )
        for record in records
    ]
    if not facts:
        return
    key = new_batch_key()
    body, leaves = commit_batch(facts, key)
    [entry] = _needed(ledger).append(NewEntry(kind="collect", body=body))
    number = batch.index.add_batch(entry=entry.seq, key=key, leaves=leaves)
    batch.index.add_collected([fact.record_id for fact in facts], number)


def batches_of(records: Sequence[Recorded], index: LakeIndex, ledger: Ledger | None) -> list[CollectedBatch]:
    """Return what shows of some records, by their positions, that they are as they were collected; by entry.

    Raises:
        ProofError: A record is not as it was collected, or the ledger does not say what the index says.
        InvalidInputError: The lake was opened without a ledger.
    """
    found = []
    for number, rows in _by_batch(records, index):
        if number is None:
            found.append(CollectedBatch(entry=None, people_key=b"", rows=rows, indexes=[], salts=b"", leaves=b""))
        else:
            found.append(_shown(number, rows, Facts.of([records[row] for row in rows]), index, ledger))
    return sorted(found, key=lambda batch: -1 if batch.entry is None else batch.entry)


def _shown(number: int, rows: Sequence[int], facts: Facts, index: LakeIndex, ledger: Ledger | None) -> CollectedBatch:
    """Return what shows of some records of one batch, and their positions, that they are as they were collected."""
    entry, key, leaves = index.batch(number)
    places = _logged_places(entry, leaves, _needed(ledger))
    salts, hashes = Leaves(people_key(key)).hashes(facts, key)
    strange = [place for place, leaf in enumerate(hashes) if leaf not in places]
    if strange:
        msg = (
            f"Record {facts.identities[strange[0]]} is not as it was collected: its account, people, category, "
            f"conversation or instant of collection was changed since entry {entry} of the ledger. Restore the lake "
            "from a backup."
        )
        raise ProofError(msg)
    return CollectedBatch(
        entry=entry,
        people_key=people_key(key),
        rows=rows,
        indexes=[places[leaf] for leaf in hashes],
        salts=b"".join(salts),
        leaves=leaves,
    )


class CollectionCheck:
    """Shows of more rows than fit into memory that they are as they were collected: it sorts them by batch."""

    def __init__(self, index: LakeIndex, ledger: Ledger | None, groups: Groups, scratch: Path) -> None:
        self._index = index
        self._ledger = ledger
        self._groups = groups
        self._sorted = SpilledSort(_FACTS, ("entry", "row"), scratch)
        self._known: dict[int, tuple[int, int]] = {}  # of each batch its entry, and the bytes of its leaves
        self._before = False  # whether a row came before there were such entries

    def __enter__(self) -> Self:
        """Begin."""
        self._sorted.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give back the disk."""
        self._sorted.__exit__(kind, error, trace)

    def add(self, rows: pa.RecordBatch, first: int) -> None:
        """Take rows of a snapshot, in columns of `OPENED`, of which the first stands at a position."""
        found = self._index.batch_of_each(rows.column("record_id").to_pylist())
        numbers, place = np.unique([_BEFORE if one is None else one for one in found], return_inverse=True)
        fresh = [number for number in numbers.tolist() if number not in self._known and number != _BEFORE]
        self._known.update(self._index.entries_of(fresh))
        self._before = self._before or numbers[0] == _BEFORE
        entries = [_BEFORE if number == _BEFORE else self._known[number][0] for number in numbers.tolist()]
        columns = {
            "entry": pa.array(np.array(entries, np.int64)[place]),
            "row": pa.array(np.arange(first, first + len(rows))),
            "batch": pa.array(numbers[place]),
            **{name: rows.column(name) for name in ("record_id", "group", "collected_us", "conversation")},
        }
        self._sorted.add(pa.record_batch([columns[name] for name in _FACTS.names], schema=_FACTS))

    @property
    def size(self) -> int:
        """How many batches there are, rows from before there were such entries counting as one."""
        return len(self._known) + self._before

    @property
    def leaves_bytes(self) -> int:
        """How many bytes the hashes of the leaves of all of them take."""
        return sum(size for _, size in self._known.values())

    def __iter__(self) -> Iterator[CollectedBatch]:
        """Yield what shows them, batch by batch, by entry; once.

        Raises:
            ProofError: A record is not as it was collected, or the ledger does not say what the index says.
            InvalidInputError: The lake was opened without a ledger.
        """
        for number, found in groupby(self._parts(), key=itemgetter(0)):
            parts = [part for _, part in found]
            rows = [row for part in parts for row in part.column("row").to_pylist()]
            if number == _BEFORE:
                yield CollectedBatch(entry=None, people_key=b"", rows=rows, indexes=[], salts=b"", leaves=b"")
            else:
                yield _shown(number, rows, self._facts(parts), self._index, self._ledger)

    def _parts(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the sorted rows in pieces, each of one batch, with its number."""
        for rows in self._sorted.sorted():
            numbers = rows.column("batch").to_numpy()
            cuts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(rows)]
            for start, end in pairwise(cuts):
                if end > start:
                    yield int(numbers[start]), rows.slice(start, end - start)

    def _facts(self, parts: Sequence[pa.RecordBatch]) -> Facts:
        numbers = [number for part in parts for number in part.column("group").to_pylist()]
        groups = {number: self._groups.of(number) for number in {*numbers}}
        return Facts(
            identities=[one for part in parts for one in part.column("record_id").to_pylist()],
            shared=[groups[number] for number in numbers],
            collected_us=[one for part in parts for one in part.column("collected_us").to_pylist()],
            conversations=[one for part in parts for one in part.column("conversation").to_pylist()],
        )


def _by_batch(records: Sequence[Recorded], index: LakeIndex) -> Iterator[tuple[int | None, list[int]]]:
    known = index.batches_of([record.record_id for record in records])
    grouped: dict[int | None, list[int]] = defaultdict(list)
    for row, record in enumerate(records):
        grouped[known.get(record.record_id)].append(row)
    yield from grouped.items()


def _needed(ledger: Ledger | None) -> Ledger:
    if ledger is None:
        raise InvalidInputError("This lake was opened without its ledger, to be read. Open the workspace instead.")
    return ledger


def _logged_places(entry: int, leaves: bytes, ledger: Ledger) -> dict[bytes, int]:
    """Return where each leaf of a batch stands, by its hash, once the ledger's entry was seen to commit to them."""
    hashes = split_hashes(leaves)
    said = _collect_entry(ledger, entry)
    if said is None or said.body != {"records": len(hashes), "root": merkle.root_of(hashes).hex()}:
        msg = (
            f"The lake says that entry {entry} of the ledger is about a batch of {len(hashes)} records; it is not. "
            "The ledger and the lake are not of one time: restore both from the same backup."
        )
        raise ProofError(msg)
    return {leaf: place for place, leaf in enumerate(hashes)}


def _collect_entry(ledger: Ledger, seq: int) -> Entry | None:
    """Return an entry about a batch; none where that entry is another, or not there."""
    try:
        [entry] = ledger.entries(seq, seq + 1)
    except InvalidInputError:  # a ledger that is older than the lake
        return None
    return entry if entry.kind == "collect" else None
