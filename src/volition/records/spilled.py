"""Sorting more rows than fit into memory (external merge sort), and cutting a stream into blocks of one size.

Rows are gathered, sorted in runs, and each run but an only one is spilled to one file without a name: nothing is left
of it when the process is killed. Runs are merged by batches. What is in memory is one run, or a batch of each run.
"""

import heapq
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

RUN_BYTES: Final = 96 << 20
"""How many bytes of rows are sorted at once."""

_MERGED_ROWS: Final = 2048  # of each run in memory at a time, while runs are merged
_HELD_BYTES: Final = 1 << 20  # or fewer, where rows are large


class SpilledSort:
    """Sorts record batches by some of their columns, each ascending.

    Used as a context, at whose end the file is gone:

        with SpilledSort(schema, ["account", "collected_us"], folder) as rows:
            rows.add(batch)
            yield from rows.sorted()
    """

    def __init__(self, schema: pa.Schema, keys: Sequence[str], folder: Path) -> None:
        """Sort rows of a schema.

        Args:
            schema: Of every batch.
            keys: The columns to sort by: texts or integers, none of them null.
            folder: On whose disk it spills.
        """
        self._schema = schema
        self._keys = list(keys)
        self._folder = folder
        self._gathered: list[pa.RecordBatch] = []
        self._bytes = 0
        self._file: Any = None
        self._runs: list[tuple[int, int]] = []  # where each begins and ends in the file
        self.rows = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give back the memory and the disk."""
        self._gathered.clear()
        if self._file is not None:
            self._file.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take some rows. Raises OSError where the disk is full."""
        self.rows += batch.num_rows
        self._gathered.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= RUN_BYTES:
            self._spill()

    def sorted(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows in their order, in batches of no particular size. Raises OSError where the disk is full."""
        if not self._runs:
            yield from _cut(self._run(), _MERGED_ROWS)
            return
        if self._gathered:
            self._spill()
        yield from self._merged()

    def _run(self) -> pa.RecordBatch:
        """Return what was gathered, sorted."""
        gathered, self._gathered, self._bytes = self._gathered, [], 0
        return _sorted(gathered, self._schema, self._keys)

    def _spill(self) -> None:
        run = self._run()
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed at the end of the context
        start = self._file.seek(0, os.SEEK_END)
        rows = max(1, min(_MERGED_ROWS, run.num_rows * _HELD_BYTES // max(run.nbytes, 1)))
        with pa.ipc.new_stream(pa.PythonFile(self._file, "w"), self._schema) as stream:
            for batch in _cut(run, rows):
                stream.write_batch(batch)
        self._file.flush()
        self._runs.append((start, self._file.tell()))

    def _merged(self) -> Iterator[pa.RecordBatch]:
        """Merge the runs: of each, as far as no other has an earlier row that is not in memory yet."""
        runs = [_Run(self._file.fileno(), *place, self._keys) for place in self._runs]
        ends = [(run.last, number) for number, run in enumerate(runs) if run.next_batch()]
        heapq.heapify(ends)
        while ends:
            until, number = heapq.heappop(ends)
            parts = [one.take_until(until) for one in runs if one.batch is not None and one.first <= until]
            if parts:
                yield _sorted(parts, self._schema, self._keys) if len(parts) > 1 else parts[0]
            if runs[number].next_batch():
                heapq.heappush(ends, (runs[number].last, number))


class _Run:
    """One sorted run in the file, of which one batch is in memory."""

    def __init__(self, descriptor: int, start: int, end: int, keys: Sequence[str]) -> None:
        self.batch: Any = None  # a record batch; none once all of it was taken
        self.first: tuple[Any, ...] = ()
        self.last: tuple[Any, ...] = ()
        self._keys = keys
        self._stream = pa.ipc.open_stream(pa.PythonFile(_Slice(descriptor, start, end), "r"))

    def next_batch(self) -> bool:
        """Read the next batch, and say whether there is one."""
        self.batch = next(self._stream, None)
        if self.batch is None:
            return False
        self.first, self.last = self._key(0), self._key(self.batch.num_rows - 1)
        return True

    def take_until(self, until: tuple[Any, ...]) -> pa.RecordBatch:
        """Return the rows up to a key, and keep the others; where that is all, another batch must be read."""
        batch = self.batch
        low, high = 0, batch.num_rows
        if self.last <= until:
            low = high
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._key(middle) <= until else (low, middle)
        self.batch = batch.slice(low) if low < batch.num_rows else None
        if self.batch is not None:
            self.first = self._key(0)
        return batch.slice(0, low)

    def _key(self, place: int) -> tuple[Any, ...]:
        return tuple(self.batch.column(name)[place].as_py() for name in self._keys)


class _Slice(io.RawIOBase):
    """A stretch of an opened file as a file of its own; several may be read at a time."""

    def __init__(self, descriptor: int, start: int, end: int) -> None:
        self._descriptor = descriptor
        self._at = start
        self._end = end

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer
        """Read what comes next, at most as much as fits."""
        size = min(len(buffer), self._end - self._at)
        found = os.preadv(self._descriptor, [memoryview(buffer)[:size]], self._at) if size else 0
        self._at += found
        return found


def in_blocks(batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some batches, in their order, in blocks of so many rows; the last one may have fewer."""
    gathered: list[pa.RecordBatch] = []
    there = 0
    for batch in batches:
        gathered.append(batch)
        there += batch.num_rows
        if there >= rows:
            whole = _whole(gathered, schema)
            for start in range(0, there - rows + 1, rows):
                yield whole.slice(start, rows)
            gathered, there = [whole.slice(there - there % rows)], there % rows
    if there:
        yield _whole(gathered, schema)


def _cut(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _sorted(batches: Sequence[pa.RecordBatch], schema: pa.Schema, keys: Sequence[str]) -> pa.RecordBatch:
    batch = _whole(batches, schema)
    return batch.take(pc.sort_indices(batch, sort_keys=[(name, "ascending") for name in keys]))


def _whole(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """Return some batches as one."""
    return pa.concat_batches(batches) if batches else pa.RecordBatch.from_pylist([], schema=schema)
