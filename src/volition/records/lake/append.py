"""Appending: a batch is stored whole or not at all, and sending the same thing twice stores it once (idempotent)."""

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import Final

import numpy as np
import pyarrow as pa

from volition.canonical import us_to_datetime
from volition.ledger.log import Ledger
from volition.records.lake.batches import log_batch
from volition.records.lake.encryption import RecordCipher
from volition.records.lake.forms import forms_of, take_back
from volition.records.lake.interning import Interner
from volition.records.lake.records import ORDER, RECORDS, Appended, NewRecord, bucket_of, is_sealed
from volition.records.lake.writer import Writer

_DAY_US: Final = 86_400_000_000


def append_records(
    records: Sequence[NewRecord], writer: Writer, cipher: RecordCipher, ledger: Ledger | None
) -> Appended:
    """Store a batch of records, apart from those that the lake has, or had until they were erased.

    What is stored is an entry of the ledger before anything of it can be seen.
    """
    with writer.writing("the records") as batch:
        fresh: dict[str, NewRecord] = {}
        for record in records:
            fresh.setdefault(record.record_id, record)
        known = [fresh.pop(identity) for identity in batch.index.collected(list(fresh))]
        forms = forms_of(list(fresh.values()), cipher)
        returned = take_back(known, batch, cipher)
        fresh |= {record.record_id: record for record in returned.newer}
        groups: dict[tuple[str, int, int], list[NewRecord]] = defaultdict(list)
        for record in fresh.values():
            groups[record.category, record.collected_us // _DAY_US, bucket_of(record.account)].append(record)
        interner = batch.index.interner()
        for (category, number, bucket), members in sorted(groups.items(), key=itemgetter(0)):
            day = us_to_datetime(number * _DAY_US).date().isoformat()
            table = _table(members, bucket, interner, cipher)
            batch.write(table, kind="records", category=category, bucket=bucket, under=f"{category}/{day}")
        batch.index.add_forms(forms | returned.forms)
        log_batch(fresh.values(), batch, cipher, ledger)
    stored = len(fresh) - len(returned.newer)
    return Appended(
        stored=stored,
        known=len(records) - len(fresh),
        replaced=len(returned.newer),
        outdated=returned.outdated,
        other=returned.other,
    )


def _table(records: list[NewRecord], bucket: int, interner: Interner, cipher: RecordCipher) -> pa.Table:
    records = sorted(records, key=attrgetter("account", "collected_us", "record_id"))
    payloads = [record.written for record in records]
    if is_sealed(records[0].category):
        payloads = cipher.encrypt(records, payloads, suffix=b"")
    accounts, party_sets = interner.of(bucket, records)
    columns = {
        "record_id": _texts([record.record_id.encode() for record in records], pa.string()),
        "account": _integers(accounts, np.int32),
        "circle": _integers(party_sets, np.int32),
        "collected_us": _integers([record.collected_us for record in records], np.int64),
        "source": _texts([record.source.encode() for record in records], pa.string()),
        "payload": _texts(payloads, pa.binary()),
    }
    return pa.Table.from_arrays([columns[name] for name in RECORDS.names], schema=RECORDS).sort_by(ORDER["records"])


def _integers(values: Sequence[int], kind: type[np.int32 | np.int64]) -> pa.Array:
    """Return a column of integers. Arrow's own way from a list loads pandas, where it is installed: half a second."""
    array = np.array(values, kind)
    return pa.Array.from_buffers(pa.from_numpy_dtype(array.dtype), len(values), [None, pa.py_buffer(array)])


def _texts(values: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    """Return a column of texts in UTF-8, or of bytes; as above."""
    ends = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=ends[1:])
    if ends[-1] > np.iinfo(np.int32).max:  # more than one array of this kind holds; Arrow says so
        return pa.array(values, kind)
    offsets, data = pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(values))
    return pa.Array.from_buffers(kind, len(values), [None, offsets, data])
