"""OTLP files, cut into requests.

Forms, told apart by the first bytes; each may be gzipped:

- JSON: one request a line (OpenTelemetry file exporter), or a single document;
- protobuf: one request; or a sequence of them, each after its length as four big-endian bytes (what the Collector's
  file exporter writes) or as a varint (what protobuf libraries call delimited).

No message is unpacked beyond `MESSAGE_BYTES`.
"""

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, Literal, TypeAlias, cast

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from volition.errors import InvalidInputError
from volition.records.ingest import Reject, load_json, read_capped

MESSAGE_BYTES: Final = 64 << 20  # the OTLP/HTTP limit that we announce, before and after unpacking

_HEAD_BYTES: Final = 512
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LONGEST_FIRST_BYTE: Final = (MESSAGE_BYTES >> 24) + 1  # a length within the limit, as four bytes, begins with less
_DAMAGED: Final = (OSError, EOFError, zlib.error)  # what gzip raises

Encoding = Literal["json", "protobuf"]
Stream: TypeAlias = "io.BufferedReader[Any]"
_Message = tuple[str, bytes, Encoding]  # place within the file, the request, its encoding


def messages(file: Stream, source: str) -> Iterator[_Message | Reject]:
    """Cut a file into requests: where each stands, its bytes, and its encoding.

    Damage at its start is fatal; damage further on is a reject and ends the reading.

    Raises:
        InvalidInputError: It is damaged from the start, or in none of the forms.
    """
    where = ""
    try:
        stream = _unpacked(file)
        head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        cut = _json_texts if _is_json(head) else _big_endian_frames if head[0] < _LONGEST_FIRST_BYTE else _protobufs
        for message in cut(stream, source):
            where = message[0]
            yield message
    except _DAMAGED as error:
        why = f"The file is damaged: {error}. What follows was not read; copy the file again."
        if not where:
            raise InvalidInputError(f"{source}: {why}") from error
        yield Reject(source=source, where=f"after {where}", why=why, raw="")


def _unpacked(file: Stream) -> Stream:
    if file.peek(2)[:2] != b"\x1f\x8b":
        return file
    return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=file)), 1 << 16)


def _is_json(head: bytes) -> bool:
    """Tell JSON from protobuf: a request with a record in it holds the byte 0x12 early, JSON text never does."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return not text or (text.startswith(b"{") and not _CONTROL.search(head))


def _json_texts(stream: Stream, source: str) -> Iterator[_Message]:
    number = 0
    begun = False
    while line := stream.readline(MESSAGE_BYTES + 1):
        number += 1
        if len(line) > MESSAGE_BYTES:
            raise OSError(f"line {number} is longer than {MESSAGE_BYTES:,} bytes")
        if not line.strip():
            continue
        if not begun and not line.rstrip().endswith(b"}"):
            # A whole line of JSON ends its object: this is one document over several lines, or a damaged first line.
            text = line + read_capped(stream, limit_bytes=MESSAGE_BYTES, what=source)
            lines = text.splitlines(keepends=True)
            if _is_object(text) or not any(map(_is_object, lines)):
                yield "", text, "json"
            else:
                yield from ((f"line {place}", line, "json") for place, line in enumerate(lines, number) if line.strip())
            return
        begun = True
        yield f"line {number}", line, "json"


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(load_json(text), dict)
    except ValueError:
        return False


def _protobufs(stream: Stream, source: str) -> Iterator[_Message]:
    if stream.peek(1)[:1] != b"\x0a":  # the tag of resource_logs, the only field of a request
        yield from _frames(stream, _varint)
        return
    data = read_capped(stream, limit_bytes=MESSAGE_BYTES, what=source)
    try:
        ExportLogsServiceRequest.FromString(data)
    except DecodeError:
        yield from _frames(io.BytesIO(data), _varint)  # so 0x0a may be the length of a very short request
    else:
        yield "", data, "protobuf"


def _big_endian_frames(stream: Stream, _source: str) -> Iterator[_Message]:
    return _frames(stream, _big_endian)


def _frames(stream: BinaryIO, length: Callable[[BinaryIO], int | None]) -> Iterator[_Message]:
    number = 0
    while (size_bytes := length(stream)) is not None:
        number += 1
        if size_bytes > MESSAGE_BYTES:
            raise OSError(f"message {number} claims {size_bytes:,} bytes, more than {MESSAGE_BYTES:,}")
        data = stream.read(size_bytes)
        if len(data) < size_bytes:
            raise EOFError(f"message {number} is cut short")
        yield f"message {number}", data, "protobuf"


def _big_endian(stream: BinaryIO) -> int | None:
    data = stream.read(4)
    if 0 < len(data) < 4:
        raise EOFError("the last message is cut short")
    return int.from_bytes(data, "big") if data else None


def _varint(stream: BinaryIO) -> int | None:
    """Read a base-128 number, low seven bits first (Protocol Buffers, "Encoding")."""
    value = 0
    for shift in range(0, 35, 7):
        byte = stream.read(1)
        if not byte:
            if shift:
                raise EOFError("the last message is cut short")
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise OSError("a message has no readable length")
