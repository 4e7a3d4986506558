"""OTLP as it comes over the wire, taken apart piece by piece, so that one bad record never takes its batch with it.

- JSON: names in camel case or in snake case, at every level, and the older `instrumentationLibrary...` for `scope...`.
- protobuf: read as a whole; where that fails, level by level, and what is damaged is told by itself.
- gzip of one member or of several, up to a limit.

Sources: OTLP 1.x, "JSON Protobuf Encoding"; Protocol Buffers, "Encoding"; RFC 1952, section 2.2 (members).
"""

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from volition.errors import InvalidInputError

LOGS: Final = ("resourceLogs", "scopeLogs", "logRecords")
SPANS: Final = ("resourceSpans", "scopeSpans", "spans")

_ID_BYTES: Final = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
_OLD: Final = {"scopeLogs": "instrumentationLibraryLogs", "scopeSpans": "instrumentationLibrarySpans"}
_BESIDE: Final = frozenset(("resource", "schemaUrl", "scope", "instrumentationLibrary", "deprecatedScopeLogs"))
# ParseDict answers most mistakes with a ParseError, and a value of a wrong shape with whatever it happened to meet.
_UNREADABLE: Final = (json_format.Error, ValueError, TypeError, AttributeError, KeyError, RecursionError)

_Record = TypeVar("_Record", bound=Message)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A piece of a request that is no record.

    Attributes:
        why: What is wrong with it.
        value: The piece: a JSON value.
    """

    why: str
    value: object


class TooMuchError(InvalidInputError):
    """What was sent holds more than is accepted, unpacked."""


def gunzipped(data: bytes, *, limit_bytes: int, what: str) -> bytes:
    """Return what a gzip of one member or of several holds.

    Args:
        data: The gzip, whole.
        limit_bytes: Most bytes accepted, unpacked.
        what: Name of the content, for messages.

    Raises:
        InvalidInputError: It is no gzip or is cut short.
        TooMuchError: It holds more.
    """
    pieces: list[bytes] = []
    left_bytes = limit_bytes
    while data:
        unpacking = zlib.decompressobj(wbits=31)
        try:
            piece = unpacking.decompress(data, left_bytes + 1)
        except zlib.error as error:
            raise InvalidInputError(f"{what} is no gzip: {error}. Send it again.") from error
        left_bytes -= len(piece)
        if left_bytes < 0:
            raise TooMuchError(f"{what} holds more than {limit_bytes:,} bytes, unpacked. Send it in parts.")
        if not unpacking.eof:
            raise InvalidInputError(f"{what} is no whole gzip: it is cut short. Send it again.")
        pieces.append(piece)
        data = unpacking.unused_data.lstrip(b"\0")  # some pad the end of a member with zeros
    return b"".join(pieces)


# --- JSON -----------------------------------------------------------------------------------------------------------


def parsed_json(data: bytes) -> object:
    """Return a request's JSON; bytes that are not UTF-8 become U+FFFD, so that the rest can be read.

    Numbers that JSON has no form for (NaN, Infinity) are read as protobuf's JSON writes them: as text.

    Raises:
        ValueError: It is no JSON.
    """
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    try:
        return json.loads(text, parse_constant=str)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def is_utf8(data: bytes) -> bool:
    """Say whether bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def has(request: object, names: tuple[str, str, str]) -> bool:
    """Say whether a request is of a signal: empty, or with its resources."""
    return isinstance(request, dict) and (not request or _find(request, names[0]) is not None or names[0] in request)


def json_records(
    request: Mapping[str, Any], names: tuple[str, str, str], make: type[_Record], *, sound: bool = True
) -> Iterator[tuple[_Record, Resource] | Unreadable]:
    """Walk a request level by level.

    Args:
        request: The JSON.
        names: `LOGS` or `SPANS`.
        make: What a record is.
        sound: Whether its bytes were UTF-8; if not, what holds a character in the place of bad bytes is told.
    """
    for of_resource in _objects(request, names[0]):
        if isinstance(of_resource, Unreadable):
            yield of_resource
            continue
        try:
            resource = json_format.ParseDict(of_resource.get("resource") or {}, Resource(), ignore_unknown_fields=True)
        except _UNREADABLE as error:
            yield Unreadable(f"The resource is malformed: {error}", of_resource)
            continue
        for of_scope in _objects(of_resource, names[1]):
            if isinstance(of_scope, Unreadable):
                yield of_scope
                continue
            for value in _objects(of_scope, names[2]):
                if isinstance(value, Unreadable):
                    yield value
                elif not sound and "\ufffd" in json.dumps(value, ensure_ascii=False):
                    yield Unreadable("The record holds bytes that are not UTF-8.", value)
                else:
                    yield _json_record(value, make(), resource)


def _json_record(
    value: Mapping[str, Any], message: _Record, resource: Resource
) -> tuple[_Record, Resource] | Unreadable:
    try:
        return json_format.ParseDict(mended(value), message, ignore_unknown_fields=True), resource
    except _UNREADABLE as error:
        return Unreadable(f"The record is malformed: {error}", value)


def mended(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as protobuf JSON wants it: ids in base64, where OTLP writes them in hex, and whole times."""
    changed: dict[str, Any] = {}
    for key, value in record.items():
        name = _camel(key)
        if name in _ID_BYTES and value:
            changed[name] = _base64_id(name, value)
        elif name.endswith("UnixNano"):
            changed[name] = _whole(value)
        elif name not in ("links", "events"):  # which nobody keeps
            changed[key] = value
    return changed


def _base64_id(name: str, value: str) -> str:
    size_bytes = _ID_BYTES[name]
    if re.fullmatch(f"[0-9a-fA-F]{{{2 * size_bytes}}}", value):
        return base64.b64encode(bytes.fromhex(value)).decode()
    raise ValueError(f"{name} is not {2 * size_bytes} hexadecimal digits")


def _whole(value: object) -> object:
    """Return a time that was written as a floating-point number as the whole number that it is."""
    if isinstance(value, float) or (
        isinstance(value, str) and re.fullmatch(r"\s*[0-9.]+(?:[eE][+]?[0-9]{1,2})?\s*", value)
    ):
        try:
            return str(int(Decimal(value)))
        except (InvalidOperation, ValueError, OverflowError):
            return value
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _find(parent: Mapping[str, Any], name: str) -> object:
    """Return a child by its name, in camel case or in snake case, or by its older name."""
    wanted = {name, _OLD.get(name, name)}
    return next((value for key, value in parent.items() if _camel(key) in wanted and value is not None), None)


def _objects(parent: Mapping[str, Any], name: str) -> Iterator[dict[str, Any] | Unreadable]:
    children = _find(parent, name)
    if children is None:
        strangers = [key for key in parent if _camel(key) not in _BESIDE and parent[key] and _camel(key) != name]
        if strangers:
            yield Unreadable(f"There is no {name}, but {', '.join(sorted(strangers)[:3])}, which nobody reads.", parent)
        return
    if not isinstance(children, list):
        yield Unreadable(f"{name} is not a list.", children)
        return
    for child in children:
        yield child if isinstance(child, dict) else Unreadable(f"An entry of {name} is not an object.", child)


# --- protobuf -------------------------------------------------------------------------------------------------------


def protobuf_records(data: bytes, make: type[_Record]) -> Iterator[tuple[_Record, Resource] | Unreadable]:
    """Walk a request whose protobuf cannot be read as a whole, level by level: resources, scopes, records.

    Logs and traces number their fields alike: a request has resources (1), a resource its attributes (1) and scopes
    (2), a scope its records (2).

    Raises:
        DecodeError: Not even its resources can be told apart.
    """
    for of_resource in list(_fields(data, 1)):
        try:
            parts = list(_fields(of_resource, 1))
            resource = Resource.FromString(b"".join(parts))
            scopes = list(_fields(of_resource, 2))
        except DecodeError as error:
            yield Unreadable(f"The resource is malformed: {error}.", _text(of_resource))
            continue
        for of_scope in scopes:
            try:
                records = list(_fields(of_scope, 2))
            except DecodeError as error:
                yield Unreadable(f"The scope is malformed: {error}.", _text(of_scope))
                continue
            for record in records:
                try:
                    yield make.FromString(record), resource
                except DecodeError as error:
                    yield Unreadable(f"The record is malformed: {error}.", _text(record))


def _fields(data: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the contents of a message's fields of one number, all of which have a length."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            _, place = _varint(data, place)
            continue
        if kind == 2:
            size, place = _varint(data, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise DecodeError("a field has an unknown kind")
        if place + size > len(data):
            raise DecodeError("it is cut short")
        if number == wanted and kind == 2:
            yield data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Read a base-128 number, low seven bits first; return it with the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise DecodeError("it is cut short")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise DecodeError("a number has no end")


def _text(data: bytes) -> str:
    """Return bytes as text in which what can be read can be read."""
    return data.decode("utf-8", "backslashreplace")
