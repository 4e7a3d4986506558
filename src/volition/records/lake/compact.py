"""Compaction: the many small files that collecting leaves are merged into large ones; rows stay as they are, encrypted.

Each new file is a transaction of its own: a compaction that is killed keeps what it has done, and the next one
continues. Readers are not disturbed. Memory holds a few times `COMPACT_BYTES`, whatever the lake's size.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from volition.progress import Progress
from volition.records.lake.index import LakeIndex
from volition.records.lake.records import ORDER
from volition.records.lake.writer import Batch, Writer

COMPACT_BYTES: Final = 64 << 20
"""The most bytes of a compacted file, before compression; a file of more than half as many is left alone."""


_TIER: Final = 16
_ENOUGH_ROWS: Final = _TIER**4


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What compaction did: the number of files before and after, and the number of rows that it moved."""

    before: int
    after: int
    rows: int


def compact_files(index: LakeIndex, writer: Writer, progress: Progress) -> Compacted:
    """Merge small files into large ones, place by place (kind, category and bucket)."""
    writer.sweep_killed()
    places = index.places()
    rows = 0
    for done, (kind, category, bucket, _) in enumerate(places):
        progress("compacting", done, len(places))
        while _small_files(index, kind, category, bucket):
            with writer.writing("the compacted files") as batch:
                # Listed again under the lock: another process may have compacted or erased these files meanwhile.
                rows += _merge(batch, _small_files(index, kind, category, bucket), kind, category, bucket)
    progress("compacting", len(places), len(places))
    after, _ = index.counts()
    return Compacted(before=sum(place[3] for place in places), after=after, rows=rows)


def compact_alike(index: LakeIndex, writer: Writer) -> int:
    """Merge files of about one size (a tier) where many have piled up; return how many rows were moved.

    Files of a tier have up to `_TIER` times as many rows as the smallest, and that many make one of the next tier
    (size-tiered compaction): a row is merged once in each tier, and files of the last one are left alone.
    """
    rows = 0
    for kind, category, bucket, files in index.places():
        while files >= _TIER and _alike_files(index, kind, category, bucket):
            with writer.writing("the compacted files") as batch:
                rows += _merge(batch, _alike_files(index, kind, category, bucket), kind, category, bucket)
    return rows


def _alike_files(index: LakeIndex, kind: str, category: str, bucket: int) -> list[str]:
    """Return the oldest files of the lowest tier of a place that has enough of them; none if no tier has."""
    tiers: dict[int, list[str]] = defaultdict(list)
    for path, rows in index.oldest_first(kind, category, bucket):
        if rows < _ENOUGH_ROWS:
            tiers[int(math.log(rows, _TIER))].append(path)
    return next((paths[:_TIER] for _, paths in sorted(tiers.items()) if len(paths) >= _TIER), [])


def count_spare_files(index: LakeIndex) -> int:
    """Return how many files there are beyond one for each kind, category and bucket."""
    files, places = index.counts()
    return files - places


def _small_files(index: LakeIndex, kind: str, category: str, bucket: int) -> list[str]:
    """Return the oldest small files of a place that make one large file together; none if there is only one."""
    paths = [path for path, _ in index.oldest_first(kind, category, bucket)]
    if len(paths) < 2:
        return []
    chosen: list[str] = []
    total = 0
    for path in paths:
        try:
            metadata = pq.read_metadata(index.folder / path)
        except FileNotFoundError:
            continue  # replaced a moment ago
        size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        if size > COMPACT_BYTES // 2:
            continue
        if total + size > COMPACT_BYTES:
            break
        chosen.append(path)
        total += size
    return chosen if len(chosen) > 1 else []


def _merge(batch: Batch, paths: Sequence[str], kind: str, category: str, bucket: int) -> int:
    """Write the rows of some files as one file, in the open transaction; return how many."""
    if not paths:
        return 0
    tables = [pq.ParquetFile(batch.index.folder / path).read(use_threads=False) for path in paths]
    table = pa.concat_tables(tables).sort_by(ORDER[kind])
    del tables
    under = f"{category}/compacted" if kind == "records" else f"{category}/embeddings"
    for path in paths:
        batch.drop(path)
    batch.write(table, kind=kind, category=category, bucket=bucket, under=under)
    return int(table.num_rows)
