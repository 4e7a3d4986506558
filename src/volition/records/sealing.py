"""The content of a snapshot's rows, encrypted under the accounts' keys as it is frozen."""

from itertools import groupby

import pyarrow as pa

from volition.consent.parties import Parties
from volition.records.lake import Groups, is_sealed
from volition.records.snapshot import ROWS_SCHEMA


def seal(block: pa.RecordBatch, payloads: pa.Array, groups: Groups, parties: Parties) -> pa.RecordBatch:
    """Return the content of some rows in columns of `ROWS_SCHEMA`, encrypted where its category is.

    Args:
        block: The rows, in columns of `OPENED`; those of one account stand together.
        payloads: What is to be frozen of each.
        groups: Whom and what they concern.
        parties: Encrypts.
    """
    numbers = block.column("group").to_pylist()
    of_numbers = {number: groups.of(number) for number in {*numbers}}
    closed = {number for number, group in of_numbers.items() if is_sealed(group.category)}
    content = [payloads, block.column("embedding")]
    if closed:
        identities = block.column("record_id").to_pylist()
        accounts = [of_numbers[number].account for number in numbers]
        chosen = [place for place, number in enumerate(numbers) if number in closed]
        for one, suffix in enumerate((b"/snapshot", b"/snapshot-embedding")):
            column: list[bytes | None] = content[one].to_pylist()
            there = [place for place in chosen if column[place] is not None]
            for account, own in groupby(there, key=accounts.__getitem__):
                mine = list(own)
                pairs = [(identities[place].encode() + suffix, column[place] or b"") for place in mine]
                for place, data in zip(mine, parties.seal_many(account, pairs), strict=True):
                    column[place] = data
            content[one] = pa.array(column, pa.binary())
    return pa.record_batch([block.column("record_id"), *content], schema=ROWS_SCHEMA)
