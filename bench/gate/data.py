"""Telemetry as a lake holds it, made up: files of the lake's own layout, and effective permits to judge them by.

Every bucket is one file: what compaction leaves. A person has some hundred events over ninety days, in accounts of a
hundred people; an event is a JSON object of some 115 bytes, of which about 15 are left by zstd.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volition.consent.gate import EffectivePermits
from volition.consent.history import BEGINNING_US
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Reason
from volition.records.lake import BUCKETS, write_table

ROWS_PER_PARTY_SET: Final = 100
CIRCLES_PER_ACCOUNT: Final = 100

_START_US: Final = 1_700_000_000_000_000
_SPAN_US: Final = 90 * 24 * 60 * 60 * 1_000_000
_NAMES: Final = ("call.quality", "screen.opened", "app.started", "message.sent", "meeting.joined")


def make_files(folder: Path, rows: int) -> list[str]:
    """Write so many rows into a folder, one file a bucket; return the files, by bucket."""
    paths = [str(folder / f"{bucket:02d}.parquet") for bucket in range(BUCKETS)]
    sizes = [rows // BUCKETS + (bucket < rows % BUCKETS) for bucket in range(BUCKETS)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("forkserver")) as pool:
        list(pool.map(_make_file, paths, sizes, range(BUCKETS)))
    return paths


def _make_file(path: str, rows: int, bucket: int) -> None:
    table = make_rows(rows, np.random.default_rng(bucket))
    with pa.OSFile(path, "wb") as sink:
        write_table(table, sink)


def make_rows(rows: int, randomly: np.random.Generator) -> pa.Table:
    """Make the rows of a bucket, sorted as the lake sorts."""
    party_set = np.sort(randomly.integers(0, party_sets_in(rows), rows, dtype=np.int32))
    collected_us = _START_US + randomly.integers(0, _SPAN_US, rows)
    return pa.table(
        {
            "record_id": _hexadecimal(randomly, rows, 16),
            "account": party_set // CIRCLES_PER_ACCOUNT,
            "circle": party_set,
            "collected_us": collected_us[np.lexsort((collected_us, party_set))],
            "source": pa.repeat(pa.scalar(""), rows),
            "payload": _payloads(randomly, rows),
        }
    )


def party_sets_in(rows: int) -> int:
    """Return how many party sets a bucket of so many rows has."""
    return max(1, rows // ROWS_PER_PARTY_SET)


def _payloads(randomly: np.random.Generator, rows: int) -> pa.Array:
    def number(below: int) -> pa.Array:
        return pc.cast(pa.array(randomly.integers(0, below, rows)), pa.string())

    parts = ['{"attributes":{"duration_ms":', number(2000), ',"loss_permille":', number(1000), ',"session":"']
    parts += [_hexadecimal(randomly, rows, 4), '"},"kind":"event","name":"']
    parts += [pa.array(_NAMES).take(pa.array(randomly.integers(0, len(_NAMES), rows))), '"}', ""]
    return pc.cast(pc.binary_join_element_wise(*parts), pa.binary())


def _hexadecimal(randomly: np.random.Generator, rows: int, size: int) -> pa.Array:
    text = randomly.bytes(size * rows).hex().encode()
    ends = np.arange(0, 2 * size * rows + 1, 2 * size, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(text))


def make_effective_permits(rows: int, bucket: int, said: str) -> EffectivePermits:
    """Make the effective permits of a bucket of so many rows.

    Args:
        rows: How many rows the bucket has.
        bucket: Which one it is.
        said: "everybody yes"; "half by person" (of the people a third refuse, a third have always said yes, and a third
            since some time within the ninety days: half of the rows pass, mixed in every row group); "half by account"
            (all people of half of the accounts refuse).
    """
    party_sets = party_sets_in(rows)
    randomly = np.random.default_rng([bucket, 1])
    account = np.arange(party_sets, dtype=np.int32) // CIRCLES_PER_ACCOUNT
    since_us = np.full(party_sets, BEGINNING_US, np.int64)
    if said == "half by person":
        answer = randomly.integers(0, 3, party_sets)
        since_us[answer == 0] = NO_PERMIT_US
        since_us[answer == 1] = _START_US + randomly.integers(0, _SPAN_US, int((answer == 1).sum()))
    elif said == "half by account":
        refuses = randomly.random(int(account[-1]) + 1) < 0.5
        since_us[refuses[account]] = NO_PERMIT_US
    return EffectivePermits(
        at_us=_START_US + _SPAN_US,
        since_us=since_us,
        oldest_us=np.full(party_sets, BEGINNING_US, np.int64),
        reason=np.where(since_us == NO_PERMIT_US, REASON_CODES[Reason.SAID_NO], 0).astype(np.int8),
        account=account,
    )
