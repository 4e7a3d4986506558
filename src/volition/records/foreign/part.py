"""A part of a snapshot of a table: which rows of one of its data files may be used, and not a byte of what they say.

A part depends on nothing but the file's rows, the mapping and the answers of the gate at one instant: whoever makes it,
wherever, and however the rows are cut into batches, gets the same bytes. So a cluster may make the parts of a large
table, a task for each file, and `records.listed` joins them.

    position      the row's place among the rows of the file, as the table's own reader gives them, from 0 on
    record_id     what identifies the row: 32 hexadecimal digits (`row_ids`)
    and whose it is, whom it concerns, of what category, when collected and in which conversation, as a snapshot's keys
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volition.consent.gate import reason_of
from volition.consent.gate.asked import Asked
from volition.consent.permits import REASON_CODES
from volition.errors import ProofError
from volition.records.foreign.answers import RowAnswers
from volition.records.foreign.mapping import TableMapping

PART_SCHEMA: Final = pa.schema(
    [
        ("position", pa.int64()),
        ("record_id", pa.string()),
        ("account", pa.string()),
        ("people", pa.list_(pa.string())),
        ("category", pa.string()),
        ("collected_us", pa.int64()),
        ("conversation", pa.string()),
    ]
)
"""The columns of a part: the place of each row, and what a snapshot's keys say of it."""

GROUP_ROWS: Final = 1 << 17
"""Rows of one row group, so that the bytes do not hang on how rows came."""

UNKNOWN: Final = "unknown"
"""In counts, the category of rows whose category is not there."""

_READ_ROWS: Final = 1 << 17
_LEFT_OUT: Final = len(REASON_CODES) + 1  # beyond all codes: collected after the instant until which rows are wanted
_HALF: Final = 16  # hexadecimal digits


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCounts:
    """How many rows of a file were read, and what became of them: by category, as a snapshot's manifest counts them."""

    rows: dict[str, dict[str, Any]]

    @property
    def kept(self) -> int:
        """How many may be used."""
        return sum(counts["kept"] for counts in self.rows.values())

    @property
    def read(self) -> int:
        """How many were read."""
        return sum(counts["read"] for counts in self.rows.values())

    @classmethod
    def sum(cls, several: "Iterable[PartCounts]") -> "PartCounts":
        """Add counts up."""
        found: dict[str, dict[str, Any]] = {}
        for one in several:
            for category, counts in one.rows.items():
                own = found.setdefault(category, {"read": 0, "kept": 0, "dropped": {}})
                for name in ("read", "kept", "left_out"):
                    if name in counts:
                        own[name] = own.get(name, 0) + counts[name]
                for reason, total in counts["dropped"].items():
                    own["dropped"][reason] = own["dropped"].get(reason, 0) + total
        for counts in found.values():
            counts["dropped"] = dict(sorted(counts["dropped"].items()))
        return cls(rows=dict(sorted(found.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPart:
    """The part of one of a table's files, made here or elsewhere.

    Attributes:
        name: The file, as `TableVersion.files` names it.
        digests: SHA-256 of everything that its rows hang on, as `DataFile.digests` gives them.
        path: Where the part lies; it is not needed any more once it was joined.
        counts: What `list_part` has counted.
    """

    name: str
    digests: tuple[str, ...]
    path: Path
    counts: PartCounts


def list_part(  # noqa: PLR0913 - all that a part hangs on
    batches: Iterable[pa.RecordBatch],
    mapping: TableMapping,
    answers: RowAnswers,
    *,
    file: str,
    until_us: int,
    sink: BinaryIO,
) -> PartCounts:
    """Write the part of one data file: its rows that may be used, in their order.

    Args:
        batches: The file's rows in their order, cut anyhow, with at least `mapping.listed_columns`.
        mapping: Which columns decide.
        answers: Answer for the purpose, at the instant at which all parts of the snapshot are judged.
        file: The file's name in the table: rows that no column identifies are identified by it.
        until_us: What was collected later is left out.
        sink: Takes the part, a Parquet file.

    Returns:
        How many rows were read, kept and dropped.

    Raises:
        InvalidInputError: A column is missing or of another type.
    """
    counted, prefix, first = _Counted(answers.categories), file_tag(file), 0
    with GroupWriter(sink, PART_SCHEMA, compression="zstd") as writer:
        for batch in _small(batches):
            asked = mapping.asked(batch)
            codes = answers.codes(asked)
            codes = np.where((codes == 0) & (asked.collected_us > until_us), np.int8(_LEFT_OUT), codes)
            counted.add(asked, codes)
            rows = np.flatnonzero(codes == 0)
            if len(rows):
                writer.write(_listed(asked.take(rows), mapping.record_keys(batch), rows, first, prefix, answers))
            first += batch.num_rows
    return counted.counts()


def _listed(  # noqa: PLR0913, PLR0917 - what is known of the rows
    asked: Asked,
    keys: pa.Array | None,
    rows: NDArray[np.int64],
    first: int,
    prefix: str,
    answers: RowAnswers,
) -> pa.RecordBatch:
    """Return what a part says of some rows of a batch: those at the places `rows`, of a file's rows from `first` on."""
    named, positions = answers.named(asked), rows + first
    columns = {
        "position": pa.array(positions),
        "record_id": row_ids(prefix, positions, None if keys is None else keys.take(pa.array(rows))),
        "account": named.account,
        "people": named.people,
        "category": named.category,
        "collected_us": pa.array(asked.collected_us),
        "conversation": named.conversation,
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in PART_SCHEMA.names], schema=PART_SCHEMA)


def file_tag(file: str) -> str:
    """Return what the ids of a file's rows begin with, where no column identifies them: 16 hexadecimal digits."""
    return sha256(b"volition/file\0" + file.encode()).hexdigest()[:_HALF]


def row_ids(prefix: str, positions: NDArray[np.int64], keys: pa.Array | None) -> pa.Array:
    """Return the ids of rows, 32 hexadecimal digits each: a digest of what identifies one, or else file and place.

    Args:
        prefix: The file, as `file_tag` gives it.
        positions: The places of the rows in it.
        keys: What identifies each as text; null, or none at all, where nothing does.
    """
    found = [f"{prefix}{position:016x}" for position in positions.tolist()]
    if keys is not None:
        for place, key in enumerate(keys.to_pylist()):
            if key is not None:
                found[place] = sha256(b"volition/row\0" + key.encode()).hexdigest()[: 2 * _HALF]
    return pa.array(found, pa.string())


def _small(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, _READ_ROWS):
            yield batch.slice(start, _READ_ROWS)


def read_part(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a part, a batch at a time.

    Raises:
        ProofError: It is no part.
    """
    with pq.ParquetFile(path) as file:
        if not file.schema_arrow.equals(PART_SCHEMA):
            raise ProofError(f"{path} is no part of a snapshot: it has other columns. Make it anew.")
        yield from file.iter_batches(batch_size=_READ_ROWS, use_threads=False)


class GroupWriter:
    """Writes Parquet in row groups of `GROUP_ROWS` rows, however they come: the same rows, the same bytes."""

    def __init__(self, sink: BinaryIO, schema: pa.Schema, **options: Any) -> None:  # noqa: ANN401 - Parquet's own
        """Write into a sink, with options of Parquet's writer."""
        self._schema = schema
        self._writer = pq.ParquetWriter(sink, schema, write_statistics=False, store_schema=False, **options)
        self._waiting: list[pa.RecordBatch] = []
        self._there = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self._waiting.append(batch)
        self._there += batch.num_rows
        while self._there >= GROUP_ROWS:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(table.slice(0, GROUP_ROWS).combine_chunks(), row_group_size=GROUP_ROWS)
            rest = table.slice(GROUP_ROWS)
            self._waiting, self._there = rest.to_batches(), rest.num_rows

    def __enter__(self) -> Self:
        """Write in a `with` block; the sink stays open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left, and the end of the file; after an error it is no file that anybody reads."""
        if error is not None:
            with suppress(pa.ArrowException, OSError, ValueError):
                self._writer.close()
            return
        if self._there:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(table.combine_chunks(), row_group_size=GROUP_ROWS)
        self._writer.close()


class _Counted:
    """Rows counted by category and code."""

    def __init__(self, categories: frozenset[str]) -> None:
        self._known = categories
        self._totals: dict[str, NDArray[np.int64]] = {}

    def add(self, asked: Asked, codes: NDArray[np.int8]) -> None:
        """Count rows."""
        several = _LEFT_OUT + 1
        both = np.bincount(
            asked.category.number.astype(np.int64) * several + codes, minlength=len(asked.category.values) * several
        ).reshape(-1, several)
        for name, totals in zip(asked.category.values, both, strict=True):
            if totals.any():
                category = name if name in self._known else UNKNOWN  # a text that nobody declared may say anything
                self._totals[category] = self._totals.get(category, 0) + totals

    def counts(self) -> PartCounts:
        """Return what was counted."""
        found = {}
        for category, totals in sorted(self._totals.items()):
            dropped = {str(reason_of(code)): int(totals[code]) for code in range(1, _LEFT_OUT) if totals[code]}
            found[category] = {
                "read": int(totals.sum()),
                "kept": int(totals[0]),
                "dropped": dict(sorted(dropped.items())),
            }
            if totals[_LEFT_OUT]:
                found[category]["left_out"] = int(totals[_LEFT_OUT])
        return PartCounts(rows=found)
