"""Appending: a batch is stored whole or not at all, and sending the same thing twice stores it once (idempotent)."""

from collections import defaultdict
from collections.abc import Sequence

import pyarrow as pa

from volition.canonical import canonical_json, us_to_datetime
from volition.ledger.log import Ledger
from volition.records.lake.batches import log_batch
from volition.records.lake.encryption import RecordCipher
from volition.records.lake.forms import forms_of, take_back
from volition.records.lake.interning import Interner
from volition.records.lake.records import ORDER, RECORDS, Appended, NewRecord, bucket_of
from volition.records.lake.writer import Writer


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
        groups: dict[tuple[str, str, int], list[NewRecord]] = defaultdict(list)
        for record in fresh.values():
            day = us_to_datetime(record.collected_us).date().isoformat()
            groups[record.category, day, bucket_of(record.account)].append(record)
        interner = batch.index.interner()
        for (category, day, bucket), members in sorted(groups.items()):
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
    records = sorted(records, key=lambda record: (record.account, record.collected_us, record.record_id))
    payloads = [canonical_json(record.payload) for record in records]
    if records[0].category.startswith("content/"):
        payloads = cipher.encrypt(records, payloads, suffix=b"")
    accounts, party_sets = interner.of(bucket, records)
    columns = {
        "record_id": [record.record_id for record in records],
        "account": accounts,
        "circle": party_sets,
        "collected_us": [record.collected_us for record in records],
        "source": [record.source for record in records],
        "payload": payloads,
    }
    return pa.table(columns, schema=RECORDS).sort_by(ORDER["records"])
