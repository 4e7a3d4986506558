"""Arrow streams from outside: looked at before anything is made of them, so that a wrong one costs its sender alone.

A stream's own words say how much it takes to open it, and need not be in proportion to what was sent. So its messages
are read for their frame first (`_frames`): compressed bodies, which may stand for any number of bytes, and more rows
than a question may have are refused. What comes out is validated whole where it is judged (`gate.batch`).

Sources: Arrow columnar format 1.5, "Serialization and interprocess communication"; FlatBuffers internals.
"""

import struct
from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from volition.errors import InvalidInputError

MOST_ROWS: Final = 10_000_000
"""How many rows one stream may have."""

_MESSAGE_HEADER, _HEADER_TYPE = 2, 1  # fields of a Message
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3  # types of its header
_DATA = 1  # the record batch of a DictionaryBatch
_LENGTH, _COMPRESSION = 0, 3  # fields of a RecordBatch


def open_questions(body: bytes) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of an Arrow stream. They are not validated yet.

    Raises:
        InvalidInputError: It is no Arrow stream, is compressed, or has more rows than `MOST_ROWS`.
    """
    try:
        _check_frames(body)
        with pa.ipc.open_stream(body) as stream:
            yield from stream
    except (pa.ArrowException, OSError, ValueError, MemoryError, struct.error) as error:
        raise InvalidInputError(f"That is no Arrow stream: {error}.") from error


def _check_frames(body: bytes) -> None:
    rows = 0
    for message in pa.ipc.MessageReader.open_stream(body):
        data = message.metadata.to_pybytes()
        header, kind = _field(data, _root(data), _MESSAGE_HEADER), _field(data, _root(data), _HEADER_TYPE)
        if header is None or kind is None or data[kind] not in {_DICTIONARY_BATCH, _RECORD_BATCH}:
            continue
        batch = _follow(data, header)
        if data[kind] == _DICTIONARY_BATCH:
            inner = _field(data, batch, _DATA)
            if inner is None:
                continue
            batch = _follow(data, inner)
        if _field(data, batch, _COMPRESSION) is not None:
            raise InvalidInputError("Compressed Arrow is not taken here. Send the stream without compression.")
        length = _field(data, batch, _LENGTH)
        rows += 0 if length is None else max(0, struct.unpack_from("<q", data, length)[0])
        if rows > MOST_ROWS:
            raise InvalidInputError(f"One stream asks at most {MOST_ROWS:,} questions. Split it.")


def _root(data: bytes) -> int:
    return _follow(data, 0)


def _follow(data: bytes, place: int) -> int:
    """Return where the table is that an offset points at."""
    return place + int(struct.unpack_from("<I", data, place)[0])


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return where a field of a table is; none where it is left out."""
    virtual = table - struct.unpack_from("<i", data, table)[0]
    if virtual < 0:
        raise ValueError("a table of its frame lies outside it")
    if 4 + 2 * number >= struct.unpack_from("<H", data, virtual)[0]:
        return None
    offset = struct.unpack_from("<H", data, virtual + 4 + 2 * number)[0]
    return table + offset if offset else None
