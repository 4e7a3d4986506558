"""Rows in another order: of several accounts at a time, drawn at random from a buffer (shuffle buffer).

Rows lie account by account, so a buffer alone would hold one account's. Several streams of different accounts are read
side by side, and what is drawn from the buffer is judged when it leaves it.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

import pyarrow as pa

from volition.canonical import datetime_to_us
from volition.records.lake import EMBEDDING_SIZE
from volition.records.stream.judge import Judge, RowKey

STREAMS: Final = 8
"""How many parts of a share are read side by side."""

SCHEMA: Final = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("account", pa.string(), nullable=False),
        pa.field("people", pa.list_(pa.string()), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("collected_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("conversation", pa.string()),
        pa.field("payload", pa.string(), nullable=False),
        pa.field("embedding", pa.list_(pa.float32(), EMBEDDING_SIZE)),
    ]
)
"""The columns of a batch: people as pseudonyms, the first one first; the conversation as entries of the ledger name it,
empty for none; the payload as JSON; a null where nothing was embedded."""

_OpenBatches = Callable[[int, int], Iterator[pa.RecordBatch]]  # of a share, of so many shares
_Record = dict[str, Any]


def mixed_batches(  # noqa: PLR0913 - bound one after the other
    open_batches: _OpenBatches,
    make_judge: Callable[[], Judge],
    share: int,
    shares: int,
    *,
    name: str,
    buffer_rows: int,
    batch_rows: int,
    streams: int = STREAMS,
) -> Iterator[pa.RecordBatch]:
    """Yield one share of some rows in an order that follows from a name, in batches that may be empty.

    Args:
        open_batches: Opens a share of them, in the order in which they lie.
        make_judge: Makes what judges them when they leave the buffer.
        share: Which share, from 0.
        shares: Of how many.
        name: The same name gives the same order.
        buffer_rows: How many rows are held.
        batch_rows: How many rows a batch has at most.
        streams: How many parts of the share are read side by side.
    """
    judge, random = make_judge(), Random(f"{name}/{share}/{shares}")  # noqa: S311 - an order, no secret
    # A share of so many is the sum of these parts of it.
    parts = [_records(open_batches(share + shares * part, shares * streams)) for part in range(streams)]
    pending: list[_Record] = []
    for record in _drawn(parts, buffer_rows, random):
        pending.append(record)
        if len(pending) == batch_rows:
            yield _hand_out(pending, judge)
            pending = []
    if pending:
        yield _hand_out(pending, judge)


def _records(batches: Iterator[pa.RecordBatch]) -> Iterator[_Record]:
    for batch in batches:
        yield from batch.to_pylist()


def _drawn(parts: list[Iterator[_Record]], buffer_rows: int, random: Random) -> Iterator[_Record]:
    """Yield records from a buffer that is filled from parts in turn."""
    buffer: list[_Record] = []
    left = list(parts)
    while left:
        part = random.choice(left)
        record = next(part, None)
        if record is None:
            left.remove(part)
        elif len(buffer) < buffer_rows:
            buffer.append(record)
        else:
            place = random.randrange(len(buffer))
            buffer[place], record = record, buffer[place]
            yield record
    random.shuffle(buffer)
    yield from buffer


def _hand_out(records: list[_Record], judge: Judge) -> pa.RecordBatch:
    permitted = judge.permitted(
        RowKey(one["account"], one["people"], one["category"], datetime_to_us(one["collected_at"]), one["conversation"])
        for one in records
    )
    kept = [one for one, is_permitted in zip(records, permitted, strict=True) if is_permitted]
    return pa.RecordBatch.from_pylist(kept, schema=SCHEMA)
