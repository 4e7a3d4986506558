"""The rows of a `keys.parquet`, a batch at a time: each column as numbers, and each text that it has once.

Nothing is made of Python for each row, so reading ten million takes seconds, and what is in memory is one batch.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volition.errors import ProofError
from volition.records.commitment import in_hand
from volition.records.numbered import lists_as_bytes, lists_from_bytes
from volition.records.snapshot import KEYS_SCHEMA
from volition.transparency.verify.pages import check_pages

Source = bytes | BinaryIO
"""A file: its bytes, or an opened one."""

_AT_A_TIME: Final = 65_536
_PERSON: Final = re.compile(r"[0-9a-f]{32}|unknown")
_BUFFER_BYTES: Final = 1 << 20
_CODED: Final = frozenset({"account", "category", "conversation", "people.list.element", "people.list.item"})
"""Columns, as Parquet names them, whose texts come again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A column whose texts come again and again.

    Attributes:
        codes: Which of `words` each row has; -1 for none.
        words: The texts, each once, and each there in some row.
    """

    codes: NDArray[np.int32]
    words: pa.Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The people of rows.

    Attributes:
        codes: Which of the lists of people each row has.
        names: The pseudonyms, each once.
        offsets: Where each list starts in `members`, and where the last one ends.
        members: Which of `names`, list after list.
    """

    codes: NDArray[np.int32]
    names: list[str]
    offsets: NDArray[np.int64]
    members: NDArray[np.int32]

    def people(self, number: int) -> tuple[str, ...]:
        """Return one of the lists."""
        return tuple(self.names[one] for one in self.members[self.offsets[number] : self.offsets[number + 1]].tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBatch:
    """Some rows, one after the other.

    Attributes:
        record_ids: The records, an Arrow array of texts.
        collected_us: When each was collected.
        account: Their accounts.
        people: Their people.
        category: Their categories.
        conversation: Their conversations: empty if none, not there where that is not known.
    """

    record_ids: pa.Array
    collected_us: NDArray[np.int64]
    account: Coded
    people: Crowd
    category: Coded
    conversation: Coded

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.collected_us)


class RowFile:
    """A `keys.parquet`, opened.

    Attributes:
        schema: The columns and their types.
        total: How many rows it has.
    """

    def __init__(self, source: Source) -> None:
        """Read which columns it has.

        Raises:
            ProofError: It has others than a snapshot's.
        """
        check_pages(source, "keys.parquet")
        file = _opened(source)
        schema = [(field.name, field.type) for field in file.schema_arrow]
        expected = [(field.name, field.type) for field in KEYS_SCHEMA]
        if schema not in (expected, [column for column in expected if column[0] != "conversation"]):
            raise ProofError(
                f"keys.parquet has other columns than a snapshot's: {', '.join(name for name, _ in schema)}."
            )
        self.schema = {field.name: str(field.type) for field in KEYS_SCHEMA if (field.name, field.type) in schema}
        self.total: int = file.metadata.num_rows
        paths = [file.metadata.schema.column(place).path for place in range(len(file.metadata.schema))]
        self._file = _opened(source, coded=[path for path in paths if path in _CODED])

    def batches(self) -> Iterator[RowBatch]:
        """Yield the rows in their order.

        Raises:
            ProofError: A row lacks a value, or names somebody by what is no pseudonym.
        """
        for group in range(self._file.num_row_groups):
            for batch in self._file.iter_batches(batch_size=_AT_A_TIME, row_groups=[group], use_threads=False):
                yield self._read(batch)

    def record_ids(self, chosen: NDArray[np.int32]) -> pa.Array:
        """Return the records of some rows, whose numbers ascend."""
        found, first = [pa.array([], pa.string())], 0
        for batch in self._file.iter_batches(batch_size=_AT_A_TIME, columns=["record_id"], use_threads=False):
            start, end = np.searchsorted(chosen, [first, first + len(batch)])
            found.append(batch.column(0).take(pa.array(chosen[start:end] - np.int32(first))))
            first += len(batch)
        return pa.concat_arrays(found)

    def _read(self, batch: pa.RecordBatch) -> RowBatch:
        columns = {name: batch.column(name) for name in self.schema}
        if any(column.null_count for name, column in columns.items() if name != "conversation"):
            raise ProofError("A row of keys.parquet lacks a value.")
        return RowBatch(
            record_ids=columns["record_id"],
            collected_us=columns["collected_us"].to_numpy(),
            account=_coded(columns["account"]),
            people=_crowd(columns["people"]),
            category=_coded(columns["category"]),
            conversation=_coded(columns["conversation"]) if "conversation" in columns else _absent(len(batch)),
        )


def _opened(source: Source, *, coded: list[str] | None = None) -> pq.ParquetFile:
    return pq.ParquetFile(in_hand(source), read_dictionary=coded, buffer_size=_BUFFER_BYTES, pre_buffer=False)


def _absent(rows: int) -> Coded:
    return Coded(codes=np.full(rows, -1, np.int32), words=pa.array([], pa.string()))


def _coded(column: Any) -> Coded:  # noqa: ANN401 - an Arrow array of texts, as numbers and a dictionary
    """Leave of a dictionary what some row has."""
    codes = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
    used = np.zeros(len(column.dictionary) + 1, np.bool_)
    used[codes] = True  # of what is not there, the last
    used[-1] = False
    numbers = (np.cumsum(used) - 1).astype(np.int32)
    numbers[-1] = -1
    return Coded(codes=numbers[codes], words=column.dictionary.take(pa.array(np.flatnonzero(used))))


def _crowd(people: Any) -> Crowd:  # noqa: ANN401 - an Arrow array of lists of texts
    """Number the lists: those of the same people in the same order are one."""
    named = people.flatten()
    if named.null_count:
        raise ProofError("A row of keys.parquet lacks a value.")
    found = _coded(named)
    names = found.words.to_pylist()
    for name in names:
        if not _PERSON.fullmatch(name):
            raise ProofError(f"A row names {name!r}, which is no pseudonym: 32 lower-case hexadecimal digits.")
    offsets = people.offsets.to_numpy()
    written = pc.dictionary_encode(lists_as_bytes(found.codes, offsets - offsets[0]))
    lists, members = lists_from_bytes(written.dictionary)
    return Crowd(codes=written.indices.to_numpy(), names=names, offsets=lists, members=members)
