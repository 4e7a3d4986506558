"""Numbers for rows and lists that are alike: many rows become few questions, without an object for each."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_INT: Final = 4  # bytes of an int32
_Number = TypeVar("_Number", bound=np.generic)


def number_alike(columns: Sequence[NDArray[np.int32]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number rows, which are one where all columns are the same; return each row's, and each one's first row."""
    rows = len(columns[0])
    together = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(_INT * len(columns)), rows, [None, pa.py_buffer(np.stack(columns, axis=1).astype(np.int32))]
    )
    numbers = values_of(together.dictionary_encode().indices, np.int32)
    firsts = np.empty(int(numbers.max(initial=-1)) + 1, np.int64)
    firsts[numbers[::-1]] = np.arange(rows)[::-1]  # of what is written to one place the last stays: the first row
    return numbers, firsts


def lists_as_bytes(members: NDArray[np.int32], offsets: NDArray[Any]) -> pa.Array:
    """Return lists of numbers as bytes, which are the same where the lists are; `lists_from_bytes` reads them back."""
    starts = pa.py_buffer(offsets.astype(np.int64) * _INT)
    data = pa.py_buffer(np.ascontiguousarray(members))
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, [None, starts, data])


def lists_from_bytes(written: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return where each list starts, and where the last one ends; and the numbers, list after list."""
    _, starts, data = written.buffers()
    offsets = np.frombuffer(starts, np.int64)[written.offset : written.offset + len(written) + 1] // _INT
    members = np.frombuffer(data, np.int32) if data is not None else np.empty(0, np.int32)
    return offsets - offsets[0], members[offsets[0] : offsets[-1]]


def number_keys(batch: pa.RecordBatch) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number rows of a `keys.parquet` that are alike but for their ids and instants; see `number_alike`."""
    people = batch.column("people")
    members = _codes(people.flatten())
    offsets = values_of(people.offsets, np.int32)
    lists = _codes(lists_as_bytes(members, offsets - offsets[0]))
    return number_alike([*(_codes(batch.column(name)) for name in ("account", "category", "conversation")), lists])


def _codes(column: pa.Array) -> NDArray[np.int32]:
    """Return a number for each value, the same for the same; -1 for none."""
    indices = column.dictionary_encode().indices
    if not indices.null_count:
        return values_of(indices, np.int32)
    codes = np.full(len(indices), -1, np.int32)
    if indices.null_count < len(indices):
        there = indices.is_valid().to_numpy(zero_copy_only=False)
        codes[there] = values_of(indices.drop_null(), np.int32)
    return codes


def values_of(column: pa.Array, kind: type[_Number]) -> NDArray[_Number]:
    """Return the numbers of a column without nulls, where Arrow's own way loads pandas if that is installed."""
    size = np.dtype(kind).itemsize
    return np.frombuffer(column.buffers()[1] or b"", kind, len(column), column.offset * size)


def places(numbers: NDArray[np.int64]) -> pa.Array:
    """Return numbers as a column, likewise."""
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])
