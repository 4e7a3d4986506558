"""The gate on Arrow: one row group of a file at a time (streaming), so that what is read never needs to fit in memory.

For each row group, in this order, and no further than needed:

1. Its statistics (account, party set, time) against the effective permits (predicate pushdown): if no row can pass, it
   is not read; if every row must, its rows need not be judged.
2. The columns that decide: a look-up in the effective permits by dense id and one comparison a row.
3. The other columns asked for, if any row passes; rows that do not pass are left out.

It means what `gate.permitted_sql` and `gate.reasons_sql` mean, and a test holds it to that. It fails closed: a party
set outside the effective permits, a missing party set or a missing time is a refusal.

Every file is opened before the first record is returned: files that compaction or erasure replaces meanwhile stay
readable to the end, each record once, and free their disk space once they have been read.
"""

import mmap
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volition.consent.gate import EffectivePermits, check_source, reason_of
from volition.consent.history import BEGINNING_US
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Reason
from volition.errors import BackendError, DamagedError

OPEN_FILES: Final = 256
"""The most files held open while a bucket is read; others, which must be small, are copied into one unnamed file."""

_PAGE_ROWS: Final = 4096
_PAGES_HELD: Final = 16  # some 50 MB of embeddings
_JOINED_ROWS: Final = 8192
_NOBODY: Final = -1

_Bounds = tuple[Any, Any] | None


class ArrowEngine:
    """Judges Parquet files with Arrow and NumPy. Implements `gate.Engine`."""

    def permitted(
        self,
        files: Sequence[str],
        effective_permits: EffectivePermits,
        *,
        derived: Sequence[str] = (),
        source: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the permitted records of one bucket as Arrow record batches, in no particular order.

        Args:
            files: Parquet files of records, with at least `record_id`, `circle` (the party set) and `collected_us`.
            effective_permits: The party sets' effective permits for the files' category.
            derived: Parquet files with `record_id` and `embedding`; given any, each record gets an `embedding` or null.
            source: Only the records of this meeting or channel.
            columns: Only these columns; none for all. With fewer, the deciding columns may not have to be read.

        Raises:
            BackendError: A file cannot be read, or is gone: only before the first batch.
            InvalidInputError: The source is no identity.
        """
        if source is not None:
            check_source(source)
        judge = _Judge(effective_permits, source)
        with _opened(files) as records, _opened(derived) as others:
            batches = (batch for file in records for batch in judge.permitted(file, columns))
            if not derived:
                yield from batches
                return
            pages = _Pages(others)
            for batch in _coalesced(batches):
                yield batch.append_column("embedding", pages.find(batch))

    def reasons(
        self, files: Sequence[str], effective_permits: EffectivePermits, *, source: str | None = None
    ) -> dict[Reason | None, int]:
        """Count the records of one bucket by reason; none stands for permitted.

        Raises:
            BackendError: A file cannot be read, or is gone.
            InvalidInputError: The source is no identity.
        """
        if source is not None:
            check_source(source)
        judge = _Judge(effective_permits, source)
        totals = np.zeros(len(REASON_CODES) + 1, np.int64)
        with _opened(files) as records:
            for file in records:
                totals += judge.reasons(file, len(totals))
        return {reason_of(code): total for code, total in enumerate(totals.tolist()) if total}


# --- judging -------------------------------------------------------------------------------------------------------


class _Judge:
    """Applies the effective permits of a bucket to the rows of its files."""

    def __init__(self, effective_permits: EffectivePermits, source: str | None) -> None:
        self._effective_permits = effective_permits
        self._source = source
        self._limit_us: NDArray[np.int64] = np.maximum(effective_permits.since_us, effective_permits.oldest_us)
        self._excluded = effective_permits.excluded
        self._deciding = ["circle", "collected_us", *(["source"] if source is not None or self._excluded else [])]

    def permitted(self, file: "_File", columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """Yield the permitted records of a file, one row group at a time."""
        wanted = file.names if columns is None else list(columns)
        for group in range(file.groups):
            foreseen = self._foresee(file, group)
            if foreseen is False:
                continue
            if foreseen:
                yield from file.read(group, wanted).to_batches()
                continue
            # If the statistics decide nothing, some row is likely to pass, so all columns are read at once; but few row
            # groups have a row of one meeting.
            read = file.read(group, self._deciding if self._source else [*dict.fromkeys([*wanted, *self._deciding])])
            passing = self._passing(read)
            if not passing.any():
                continue
            table = file.read(group, wanted) if self._source else read.select(wanted)
            start = 0
            for batch in table.to_batches():
                here = passing[start : start + batch.num_rows]
                start += batch.num_rows
                kept = np.count_nonzero(here)
                if kept:
                    yield batch if kept == batch.num_rows else batch.filter(_mask(here))

    def _foresee(self, file: "_File", group: int) -> bool | None:
        """Return from its statistics whether every row of a row group passes, or none; none if they leave it open."""
        effective_permits = self._effective_permits
        if self._source is not None and (sources := file.bounds(group, "source")) is not None:
            first, last = sources
            if not first <= self._source <= last:
                return False
        party_sets = file.bounds(group, "circle")
        if party_sets is None:
            return None
        first, last = party_sets
        inside = slice(max(first, 0), max(last + 1, 0))
        every_us = limits_us = self._limit_us[inside]
        if effective_permits.account is not None and (accounts := file.bounds(group, "account")) is not None:
            of = effective_permits.account[inside]
            limits_us = limits_us[(of >= accounts[0]) & (of <= accounts[1])]
        least_us = limits_us.min(initial=NO_PERMIT_US)
        if least_us == NO_PERMIT_US:
            return False
        most_us = every_us.max()
        if least_us == BEGINNING_US and most_us == NO_PERMIT_US:
            return None  # the times cannot decide it
        times = file.bounds(group, "collected_us")
        if times is None:
            return None
        earliest_us, latest_us = times
        if least_us > latest_us or earliest_us > effective_permits.at_us:
            return False
        known = first >= 0 and last < len(self._limit_us)
        if (
            known
            and self._source is None
            and not self._excluded
            and most_us <= earliest_us
            and latest_us <= effective_permits.at_us
        ):
            return True
        return None

    def _passing(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return for each row whether it passes: `gate.permitted_sql`, a look-up and a comparison."""
        party_sets, known, collected_us = self._looked_up(table)
        if not len(self._limit_us):
            return np.zeros(len(party_sets), np.bool_)
        # Every party set is within bounds; `mode="clip"` skips the check, which halves the look-up's time.
        passing: NDArray[np.bool_] = collected_us >= self._limit_us.take(party_sets, mode="clip")
        if len(collected_us) and collected_us.max() > self._effective_permits.at_us:
            passing &= collected_us <= self._effective_permits.at_us
        for mask in (known, _there(table["collected_us"]), self._of_source(table)):
            if mask is not None:
                passing &= mask
        if self._excluded:
            passing &= ~self._left_out(table, party_sets)
        return passing

    def reasons(self, file: "_File", codes: int) -> NDArray[np.int64]:
        """Count the rows of a file by reason code: `gate.reasons_sql`."""
        effective_permits = self._effective_permits
        totals = np.zeros(codes, np.int64)
        for group in range(file.groups):
            table = file.read(group, self._deciding)
            party_sets, known, collected_us = self._looked_up(table)
            found = np.full(len(party_sets), REASON_CODES[Reason.UNKNOWN_PARTY], np.int8)
            if len(self._limit_us):
                late = collected_us < effective_permits.since_us[party_sets]
                old = collected_us < effective_permits.oldest_us[party_sets]
                of_time = np.where(
                    late, REASON_CODES[Reason.BEFORE_YES], np.where(old, REASON_CODES[Reason.TOO_OLD], 0)
                )
                of_party_set = effective_permits.reason[party_sets]
                if self._excluded:
                    of_time[self._left_out(table, party_sets)] = REASON_CODES[Reason.EXCLUDED]
                codes_of = np.where(of_party_set != 0, of_party_set, of_time)
                found = codes_of.astype(np.int8) if known is None else np.where(known, codes_of, found).astype(np.int8)
            asked = collected_us <= effective_permits.at_us
            for mask in (_there(table["collected_us"]), self._of_source(table)):
                if mask is not None:
                    asked &= mask
            totals += np.bincount(found[asked], minlength=codes)
        return totals

    def _looked_up(self, table: pa.Table) -> tuple[NDArray[np.int32], NDArray[np.bool_] | None, NDArray[np.int64]]:
        """Return each row's party set, safe to look up; whether that set is known, none if all are; and its time."""
        party_sets = _numbers(table["circle"], _NOBODY)
        collected_us = _numbers(table["collected_us"], 0)
        if party_sets.view(np.uint32).max(initial=0) < len(self._limit_us):  # unsigned, a negative number is large
            return party_sets, None, collected_us
        known = (party_sets >= 0) & (party_sets < len(self._limit_us))
        return np.where(known, party_sets, 0), known, collected_us

    def _left_out(self, table: pa.Table, party_sets: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return for each row whether it is of a conversation that was left out; without a source it may be."""
        left_out = np.isin(party_sets, [party_set for _, party_set in self._excluded])
        for row in np.flatnonzero(left_out).tolist():
            source = table["source"][row].as_py()
            left_out[row] = source is None or (source, party_sets[row]) in self._excluded
        return left_out

    def _of_source(self, table: pa.Table) -> NDArray[np.bool_] | None:
        if self._source is None:
            return None
        import pyarrow.compute as pc  # noqa: PLC0415 - not where no record is read

        return _flags(pc.fill_null(pc.equal(table["source"], self._source), fill_value=False))


def _mask(passing: NDArray[np.bool_]) -> pa.Array:
    """Return a mask as an Arrow array; `pa.array` is slower, and loads pandas if that is installed."""
    bits = pa.py_buffer(np.packbits(passing, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(passing), [None, bits])


def _numbers(column: pa.ChunkedArray | pa.Array, missing: int) -> NDArray[Any]:
    whole = column
    if isinstance(column, pa.ChunkedArray):
        whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # of one piece no copy is made
    filled = whole.fill_null(missing) if whole.null_count else whole
    # As with `_mask`: `to_numpy` would give the same, and load pandas.
    start = filled.offset
    buffer = filled.buffers()[1] if len(filled) else b""
    return np.frombuffer(buffer, np.dtype(str(filled.type)))[start : start + len(filled)]


def _flags(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return _numbers(column.cast(pa.uint8()), 0).view(np.bool_)


def _there(column: pa.ChunkedArray) -> NDArray[np.bool_] | None:
    """Return which values are not null; none if none is null."""
    if not column.null_count:
        return None
    return _flags(column.is_valid())


# --- embeddings, joined by record ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """Consecutive row groups, with bounds of the accounts and the party sets of their records."""

    groups: list[tuple["_File", int]]
    rows: int
    accounts: tuple[float, float]
    party_sets: tuple[float, float]

    def may_hold(self, accounts: tuple[int, int], party_sets: tuple[int, int]) -> bool:
        return (
            self.accounts[0] <= accounts[1]
            and accounts[0] <= self.accounts[1]
            and self.party_sets[0] <= party_sets[1]
            and party_sets[0] <= self.party_sets[1]
        )


class _Pages:
    """Embeddings on disk. Their files are sorted like those of the records, so few pages hold those of a batch."""

    def __init__(self, files: Sequence["_File"]) -> None:
        self._pages: list[_Page] = []
        self._held: OrderedDict[int, pa.Table] = OrderedDict()
        for file in files:
            for group in range(file.groups):
                self._add(file, group)

    def _add(self, file: "_File", group: int) -> None:
        everything = (-np.inf, np.inf)
        accounts = file.bounds(group, "account") or everything
        party_sets = file.bounds(group, "circle") or everything
        groups, rows = [(file, group)], file.rows(group)
        if self._pages and self._pages[-1].rows + rows <= _PAGE_ROWS:
            last = self._pages.pop()
            groups, rows = [*last.groups, *groups], last.rows + rows
            accounts = min(last.accounts[0], accounts[0]), max(last.accounts[1], accounts[1])
            party_sets = min(last.party_sets[0], party_sets[0]), max(last.party_sets[1], party_sets[1])
        self._pages.append(_Page(groups=groups, rows=rows, accounts=accounts, party_sets=party_sets))

    def find(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the embedding of each record of a batch, or null."""
        import pyarrow.compute as pc  # noqa: PLC0415 - not where no record is read

        accounts, party_sets = _span(batch["account"]), _span(batch["circle"])
        places: list[NDArray[np.int64]] = []
        found: list[pa.Array] = []
        for number, page in enumerate(self._pages):
            if not page.may_hold(accounts, party_sets):
                continue
            table = self._page(number)
            place = pc.index_in(batch["record_id"], value_set=table["record_id"])
            there = np.flatnonzero(_numbers(place, _NOBODY) != _NOBODY)
            if len(there):
                places.append(there)
                found.append(table["embedding"].combine_chunks().take(place.drop_null()))
        order = np.full(batch.num_rows, _NOBODY, np.int64)
        if not places:
            return pa.nulls(batch.num_rows, pa.binary())
        order[np.concatenate(places)] = np.arange(sum(map(len, places)))
        known = np.packbits(order != _NOBODY, bitorder="little")  # not `pa.array`, as with `_mask`
        indices = pa.Array.from_buffers(pa.int64(), len(order), [pa.py_buffer(known), pa.py_buffer(order)])
        return pa.concat_arrays(found).take(indices)

    def _page(self, number: int) -> pa.Table:
        if number not in self._held:
            groups = self._pages[number].groups
            self._held[number] = pa.concat_tables(
                [file.read(group, ["record_id", "embedding"]) for file, group in groups]
            )
            if len(self._held) > _PAGES_HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(number)
        return self._held[number]


def _span(column: pa.Array) -> tuple[int, int]:
    import pyarrow.compute as pc  # noqa: PLC0415 - not where no record is read

    bounds = pc.min_max(column).as_py()
    return bounds["min"], bounds["max"]


def _coalesced(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in larger batches."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= _JOINED_ROWS:
            yield pa.concat_batches(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_batches(waiting)


# --- files ---------------------------------------------------------------------------------------------------------


class _File:
    """An open Parquet file: its row groups, their statistics, and their columns."""

    def __init__(self, path: str, bytes_: pa.NativeFile) -> None:
        self._path = path
        self._bytes = bytes_
        self._parquet: pq.ParquetFile | None = None
        self._places: dict[str, int] = {}
        self._group = _NOBODY  # the row group whose part of the footer is cached
        self._footer: Any = None

    def _file(self) -> pq.ParquetFile:
        """Read the footer, once and not before it is needed: there may be many files."""
        if self._parquet is None:
            with _reported(self._path):
                self._parquet = pq.ParquetFile(self._bytes, pre_buffer=False)
            self._places = {name: place for place, name in enumerate(self._parquet.schema_arrow.names)}
        return self._parquet

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        self._file()
        return list(self._places)

    @property
    def groups(self) -> int:
        """How many row groups there are."""
        groups: int = self._file().metadata.num_row_groups
        return groups

    def rows(self, group: int) -> int:
        """Return how many rows a row group has."""
        rows: int = self._file().metadata.row_group(group).num_rows
        return rows

    def bounds(self, group: int, name: str) -> _Bounds:
        """Return the least and the greatest value of a column in a row group; none if not known, or any is null."""
        if name not in self._places:
            return None
        if self._group != group:
            self._group, self._footer = group, self._file().metadata.row_group(group)
        statistics = self._footer.column(self._places[name]).statistics
        if statistics is None or not statistics.has_min_max or statistics.null_count != 0:
            return None
        return statistics.min, statistics.max

    def read(self, group: int, names: list[str]) -> pa.Table:
        """Read columns of a row group."""
        file = self._file()
        if missing := [name for name in names if name not in self._places]:
            msg = f"{self._path} is not a file of records: it has no column {missing[0]}. Restore it from a backup."
            raise BackendError(msg)
        with _reported(self._path):
            return file.read_row_group(group, columns=names, use_threads=False)


@contextmanager
def _opened(paths: Sequence[str]) -> Iterator[list[_File]]:
    """Open files, all of them before the first is read, and close them in the end."""
    with ExitStack() as stack:
        files = []
        for path in paths[:OPEN_FILES]:
            with _reported(path):
                files.append(_File(path, stack.enter_context(pa.OSFile(path))))
        if len(paths) > OPEN_FILES:
            files += _copied(paths[OPEN_FILES:], stack)
        yield files


def _copied(paths: Sequence[str], stack: ExitStack) -> Iterator[_File]:
    """Copy files into an unnamed one, which vanishes with its reader; yield them as parts of it."""
    ends = [0]
    with tempfile.TemporaryFile(dir=Path(paths[0]).parent) as copy:
        for path in paths:
            with _reported(path):
                ends.append(ends[-1] + copy.write(Path(path).read_bytes()))
        copy.flush()
        mapped = pa.py_buffer(mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ))
    for path, start, end in zip(paths, ends[:-1], ends[1:], strict=True):
        yield _File(path, stack.enter_context(pa.BufferReader(mapped.slice(start, end - start))))


@contextmanager
def _reported(path: str) -> Iterator[None]:
    """Name the file that cannot be read."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        msg = f"{path} cannot be read: {error}. Restore it from a backup of the workspace."
        raise DamagedError(msg) from error
