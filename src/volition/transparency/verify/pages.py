"""The pages of a Parquet file from somebody else, looked over before any is unpacked.

A page says how large it will be, and how many values it holds; a few bytes can say two thousand million. The library
that reads such files believes it, and takes the memory. So the heads of all pages are walked first, and a file in which
one announces more than any of ours is refused. Nothing is unpacked for that.

Source: Apache Parquet, `parquet.thrift` (PageHeader), in Thrift's compact protocol.
"""

from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from volition.errors import ProofError
from volition.records.commitment import in_hand

MOST_BYTES: Final = 64 << 20
"""How large a page may be, unpacked: ours are of one or two MiB."""

MOST_VALUES: Final = 1 << 26
"""How many values one column may hold in a row group: ours have a million rows, each with a few people."""

_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)
_SIZE_FIELD: Final = 2
_PACKED_FIELD: Final = 3
_VALUES_OF: Final = (5, 7, 8)  # a data page, a dictionary, a data page of version 2: each has its count first
_DEEPEST: Final = 8
_LONGEST_NUMBER: Final = 10  # bytes of a 64-bit number


_HEAD_BYTES: Final = 1 << 16


def check_pages(found: bytes | BinaryIO, name: str) -> None:
    """Check that the pages of a Parquet file fit into memory, by what each of them announces.

    Args:
        found: The file: its bytes, or an opened one.
        name: What it is called, for what is said about it.

    Raises:
        ProofError: A page announces more than any of ours, or its head cannot be read.
    """
    source = in_hand(found)
    if not isinstance(source, pa.NativeFile):
        source = pa.PythonFile(source, "r")
    metadata = pq.ParquetFile(in_hand(found)).metadata
    if metadata.num_rows > source.size():  # each row has an id of its own, so it takes more than a byte
        raise ProofError(f"{name} announces {metadata.num_rows:,} rows in {source.size():,} bytes.")
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            if not chunk.num_values:
                continue  # it has no page that a reader would unpack, and where one would lie is written as 0
            starts = (chunk.dictionary_page_offset, chunk.data_page_offset)
            start = min(place for place in starts if place is not None)
            try:
                _check_column(source, start, start + chunk.total_compressed_size, name)
            except (ValueError, IndexError) as error:
                raise ProofError(f"{name} cannot be read: {error}.") from error


def _check_column(source: pa.NativeFile, start: int, end: int, name: str) -> None:
    """Check every page of one column in one row group, which lies from `start` (included) to `end` (not included)."""
    if not 0 <= start <= end <= source.size():
        raise ProofError(f"{name} has a column outside of itself.")
    values, at = 0, start
    while at < end:
        head = _Head(source.read_at(min(_HEAD_BYTES, end - at), at))
        if not 0 <= head.size <= MOST_BYTES or head.packed < 0 or head.values < 0:
            raise ProofError(f"{name} has a page of {head.size:,} bytes; {MOST_BYTES:,} are the most.")
        values += head.values
        if values > MOST_VALUES:
            raise ProofError(f"{name} has more than {MOST_VALUES:,} values of a column in one row group.")
        at += head.end + head.packed


class _Head:
    """What the head of a page says: its size when unpacked, as it lies there, and how many values; where it ends."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.end = 0
        self.size = self.packed = self.values = 0
        self._struct(depth=0, within=None)

    def _struct(self, *, depth: int, within: int | None) -> None:
        if depth > _DEEPEST:
            raise ValueError("the head of a page is nested too deep")
        field = 0
        while (byte := self._byte()) != _STOP:
            kind, step = byte & 15, byte >> 4
            field = field + step if step else self._number()
            self._value(kind, depth=depth, field=field, within=within)

    def _value(self, kind: int, *, depth: int, field: int, within: int | None) -> None:
        if kind in {_I16, _I32, _I64}:
            self._note(self._number(), field=field, within=within)
        elif kind == _BYTE:
            self._byte()
        elif kind == _DOUBLE:
            self._skip(8)
        elif kind == _BINARY:
            self._skip(self._length())
        elif kind in {_LIST, _SET}:
            self._items(depth)
        elif kind == _STRUCT:
            self._struct(depth=depth + 1, within=field if depth == 0 else -1)
        elif kind not in {_TRUE, _FALSE}:
            raise ValueError("the head of a page has a field that none has")

    def _note(self, number: int, *, field: int, within: int | None) -> None:
        if within is None and field == _SIZE_FIELD:
            self.size = number
        elif within is None and field == _PACKED_FIELD:
            self.packed = number
        elif within in _VALUES_OF and field == 1:
            self.values = number

    def _items(self, depth: int) -> None:
        byte = self._byte()
        count = byte >> 4 if byte >> 4 != 15 else self._length()
        for _ in range(min(count, len(self._data))):
            self._value(byte & 15 or _STRUCT, depth=depth + 1, field=-1, within=-1)

    def _byte(self) -> int:
        self.end += 1
        return self._data[self.end - 1]

    def _length(self) -> int:
        value = shift = 0
        for _ in range(_LONGEST_NUMBER):
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
        raise ValueError("the head of a page has a number without an end")

    def _number(self) -> int:
        value = self._length()
        return value >> 1 ^ -(value & 1)

    def _skip(self, count: int) -> None:
        self.end += count
        if self.end > len(self._data):
            raise IndexError("the head of a page goes on beyond it")
