"""The content of a snapshot's rows, encrypted under the accounts' keys as it is frozen."""

from collections.abc import Sequence
from itertools import groupby

import pyarrow as pa

from volition.consent.parties import Parties
from volition.records.lake import Groups, is_sealed
from volition.records.snapshot import ROWS_SCHEMA


def seal(block: pa.RecordBatch, payloads: Sequence[bytes], groups: Groups, parties: Parties) -> pa.RecordBatch:
    """Return the content of some rows in columns of `ROWS_SCHEMA`, encrypted where its category is.

    Args:
        block: The rows, in columns of `OPENED`; those of one account stand together.
        payloads: What is to be frozen of each.
        groups: Whom and what they concern.
        parties: Encrypts.
    """
    of_rows = [groups.of(number) for number in block.column("group").to_pylist()]
    identities = block.column("record_id").to_pylist()
    columns: list[list[bytes | None]] = [list(payloads), block.column("embedding").to_pylist()]
    closed = [place for place, group in enumerate(of_rows) if is_sealed(group.category)]
    for column, suffix in zip(columns, (b"/snapshot", b"/snapshot-embedding"), strict=True):
        there = [place for place in closed if column[place] is not None]
        for account, own in groupby(there, key=lambda place: of_rows[place].account):
            chosen = list(own)
            pairs = [(identities[place].encode() + suffix, column[place] or b"") for place in chosen]
            for place, data in zip(chosen, parties.seal_many(account, pairs), strict=True):
                column[place] = data
    return pa.record_batch(
        [block.column("record_id"), *(pa.array(column, pa.binary()) for column in columns)], schema=ROWS_SCHEMA
    )
