"""Batches: what the ledger says of the records that came together, and what shows that one is still as it came.

- A batch's entry is in the ledger before its records can be seen. A process that is killed in between leaves an entry
  of records that are not there, never a record without an entry; sent again, they get an entry of their own.
- The index keeps each batch's key and the hashes of all of its leaves, so that what is left of a batch can be shown
  when other records of it were erased or replaced.
- Neither the files nor the index are believed: a record that is not as its batch's entry says is refused.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.log import Ledger
from volition.records.commitment import (
    CollectedBatch,
    Fact,
    Leaves,
    Recorded,
    commit_batch,
    new_batch_key,
    people_key,
    salt_of,
    split_hashes,
)
from volition.records.lake.encryption import RecordCipher
from volition.records.lake.index import LakeIndex
from volition.records.lake.records import NewRecord
from volition.records.lake.writer import Batch


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
            continue
        entry, key, leaves = index.batch(number)
        places = _logged_places(entry, leaves, _needed(ledger))
        writer = Leaves(people_key(key))
        salts = [salt_of(key, records[row].record_id) for row in rows]
        hashes = (merkle.leaf_hash(writer.leaf(records[row], salt)) for row, salt in zip(rows, salts, strict=True))
        indexes = [_place(places, leaf, records[row], entry) for row, leaf in zip(rows, hashes, strict=True)]
        found.append(
            CollectedBatch(
                entry=entry,
                people_key=people_key(key),
                rows=rows,
                indexes=indexes,
                salts=b"".join(salts),
                leaves=leaves,
            )
        )
    return sorted(found, key=lambda batch: -1 if batch.entry is None else batch.entry)


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


def _place(places: dict[bytes, int], leaf: bytes, record: Recorded, entry: int) -> int:
    place = places.get(leaf)
    if place is None:
        msg = (
            f"Record {record.record_id} is not as it was collected: its account, people, category, conversation or "
            f"instant of collection was changed since entry {entry} of the ledger. Restore the lake from a backup."
        )
        raise ProofError(msg)
    return place
