"""OTLP logs: service-generated data from any OpenTelemetry SDK or Collector, out of a file or a request.

Promises:

- A record without an account, a category or a time is rejected, never guessed; so is one that cannot be read, or whose
  time lies before the year 2000, which it would in another unit. The records around it are kept.
- Only service-generated data comes this way: a category outside `service/` is rejected, unless the mapping of the
  settings says that an event is what people wrote (`mapping`).
- What looks like prose under a service category is rejected with a question (`prose`), never stored as service data.
- A record that is sent again has the same key, in protobuf as in JSON.
- A usage event whose item is a person (`volition.item` = "person/ID") concerns that person, too.
- No message is unpacked beyond `MESSAGE_BYTES`.

Forms of a file, told apart by its first bytes; each may be gzipped:

- JSON: one request a line (OpenTelemetry file exporter), or a single document;
- protobuf: one request; or a sequence of them, each after its length as four big-endian bytes (what the Collector's
  file exporter writes) or as a varint (what protobuf libraries call delimited).

`read_otlp` reads a file, `read_message` the body of one request, `read_request` a request that is already parsed.
"""

import base64
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.spellings import is_nobody_id
from volition.consent.terms.model import CATEGORIES, leaves
from volition.errors import InvalidInputError
from volition.records.ingest import (
    ITEM,
    PERSON_ITEM,
    Draft,
    PersonRef,
    Reject,
    load_json,
    raw_json,
    raw_text,
    read_capped,
)
from volition.records.ingest.mapping import NO_MAPPING, WRITTEN, EventMapping
from volition.records.ingest.otlp_wire import (
    LOGS,
    Unreadable,
    has,
    is_utf8,
    json_records,
    parsed_json,
    protobuf_records,
)
from volition.records.ingest.prose import looks_written

MESSAGE_BYTES = 64 << 20  # the OTLP/HTTP limit that we announce, before and after unpacking
SERVICE_CATEGORIES = leaves(["service"], CATEGORIES)

_HEAD_BYTES = 512
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LONGEST_FIRST_BYTE = (MESSAGE_BYTES >> 24) + 1  # a length within the limit, as four bytes, begins with less
_SAFE_INTEGER = 2**53 - 1  # RFC 8785: a larger integer loses digits in JSON and is written as text
_EARLIEST_NS = 946_684_800 * 10**9  # the year 2000: a time before it was written in another unit
_DAMAGED = (OSError, EOFError, zlib.error)  # what gzip raises


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeNames:
    """Which attributes say whose a record is. The first that is there counts.

    An attribute of the record counts before one of its resource.

    Attributes:
        account: Names of the attribute that holds the account's id.
        person: Names of the attribute that holds the id of the person who acted, or a list of several ids.
        category: Names of the attribute that holds the category.
        default_category: Category of records that name none; None rejects them.
        mapping: Which event is of which category, whatever the record says; and where prose is allowed.
    """

    account: tuple[str, ...] = ("volition.account",)
    person: tuple[str, ...] = ("volition.person", "enduser.id", "user.id")
    category: tuple[str, ...] = ("volition.category",)
    default_category: str | None = None
    mapping: EventMapping = NO_MAPPING


_NAMES = AttributeNames()


def read_otlp(
    path_or_bytes: Path | str | bytes,
    *,
    source: str | None = None,
    account: str | None = None,
    names: AttributeNames = _NAMES,
) -> Iterator[Draft | Reject]:
    """Read a file of logs in any form named at the top of this module.

    Args:
        path_or_bytes: The file, by name or as its bytes.
        source: Name for messages; by default the file's.
        account: Account of all records. A record that names another is rejected.
        names: Which attributes say whose a record is.

    Yields:
        A draft or a reject for each log record, and a reject for each line or message that cannot be parsed.

    Raises:
        InvalidInputError: The file cannot be opened, is in none of the forms, or its first message is too large.
    """
    if isinstance(path_or_bytes, bytes):
        source = source or "OTLP data"
        file: _Stream = io.BufferedReader(cast("io.RawIOBase", io.BytesIO(path_or_bytes)))
    else:
        source = source or Path(path_or_bytes).name
        try:
            file = Path(path_or_bytes).open("rb")  # noqa: SIM115 - closed by the `with` below, as bytes are
        except OSError as error:
            raise InvalidInputError(f"{source} cannot be opened: {error.strerror}. Check its path.") from error
    with file:
        for message in _messages(file, source):
            if isinstance(message, Reject):
                yield message
                continue
            where, data, encoding = message
            try:
                records = read_message(
                    data, encoding=encoding, source=source, where=where, account=account, names=names
                )
            except InvalidInputError as error:
                if where in ("", "message 1"):
                    raise  # nothing has been read: this is something else than OTLP
                raw = raw_text(data) if encoding == "json" else base64.b64encode(data).decode()
                yield Reject(source=source, where=where, why=str(error), raw=raw)
                continue
            yield from records


def read_message(  # noqa: PLR0913 - what a request does not say about itself
    data: bytes,
    *,
    encoding: Literal["json", "protobuf"],
    source: str,
    where: str = "",
    account: str | None = None,
    names: AttributeNames = _NAMES,
) -> Iterator[Draft | Reject]:
    """Parse one request and read its records.

    Args:
        data: The request, unpacked.
        encoding: `json` for `application/json`, `protobuf` for `application/x-protobuf`.
        source: Name of the endpoint or file, for messages.
        where: Place within the source, if it holds several requests.
        account: Account of all records; see `read_otlp`.
        names: Which attributes say whose a record is.

    Returns:
        A draft or a reject for each record.

    Raises:
        InvalidInputError: At once: the request cannot be parsed (HTTP status 400).
    """
    records: Iterable[tuple[LogRecord, Resource] | Unreadable]
    if encoding == "protobuf":
        try:
            request = ExportLogsServiceRequest.FromString(data)
        except DecodeError as error:
            try:
                records = list(protobuf_records(data, LogRecord))
            except DecodeError:
                msg = f"{source} holds no OTLP logs in protobuf: {error}. Export logs as OTLP."
                raise InvalidInputError(msg) from error
            return drafts_of(records, source=source, where=where, account=account, names=names)
        return read_request(request, source=source, where=where, account=account, names=names)
    try:
        value = parsed_json(data)
    except ValueError as error:
        raise InvalidInputError(f"{source} holds no JSON: {error}. Export logs as OTLP JSON.") from error
    if not isinstance(value, dict) or not has(value, LOGS):
        raise InvalidInputError(f"{source} has no resourceLogs. Only OTLP logs are read; export logs as OTLP JSON.")
    records = json_records(value, LOGS, LogRecord, sound=is_utf8(data))
    return drafts_of(records, source=source, where=where, account=account, names=names)


def read_request(
    request: ExportLogsServiceRequest,
    *,
    source: str,
    where: str = "",
    account: str | None = None,
    names: AttributeNames = _NAMES,
) -> Iterator[Draft | Reject]:
    """Read the records of a parsed request; arguments as for `read_message`.

    Yields:
        A draft or a reject for each record.
    """
    records = (
        (record, of_resource.resource)
        for of_resource in request.resource_logs
        for of_scope in of_resource.scope_logs
        for record in of_scope.log_records
    )
    return drafts_of(records, source=source, where=where, account=account, names=names)


# --- records --------------------------------------------------------------------------------------------------------


def drafts_of(
    records: Iterable[tuple[LogRecord, Resource] | Unreadable],
    *,
    source: str,
    where: str = "",
    account: str | None = None,
    names: AttributeNames = _NAMES,
) -> Iterator[Draft | Reject]:
    """Yield a draft or a reject for each record; the other arguments as for `read_message`."""
    for number, item in enumerate(records, start=1):
        place = f"{where} record {number}".strip()
        if isinstance(item, Unreadable):
            yield Reject(source=source, where=place, why=item.why, raw=raw_json(item.value))
            continue
        try:
            yield _draft(*item, account, names)
        except InvalidInputError as error:
            raw, whose = _raw_record(item[0]), _whose(*item, account, names)
            yield Reject(source=source, where=place, why=str(error), raw=raw, people=whose[1], account=whose[0])


def _whose(
    record: LogRecord, resource: Resource, account: str | None, names: AttributeNames
) -> tuple[str | None, tuple[PersonRef, ...]]:
    """Return whose a record is and who acted, as far as one that is set aside says it, of itself or its resource."""
    found: dict[str, list[str]] = {}
    for item in (*record.attributes, *resource.attributes):
        value = _value(item.value)
        texts = [str(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str | int)]
        found.setdefault(item.key, []).extend(text for text in texts if text)
    people = dict.fromkeys(text for key in names.person for text in found.get(key, ()))
    named = [text for key in names.account for text in found.get(key, ())]
    return account or next(iter(named), None), tuple(PersonRef(id=text) for text in people)


def _draft(record: LogRecord, resource: Resource, account: str | None, names: AttributeNames) -> Draft:
    whose = {*names.account, *names.person, *names.category}  # kept as the record's own columns, not in its content
    once = {*whose, ITEM}  # of these a second value would hide whose record it is
    own = _mapping(record.attributes, once)
    inherited = _mapping(resource.attributes, once)

    def first(keys: tuple[str, ...]) -> Any:  # noqa: ANN401 - any attribute
        return next(
            (values[key] for values in (own, inherited) for key in keys if values.get(key) not in (None, "")), None
        )

    named = first(names.account)
    if account is not None and named not in (None, account):
        raise InvalidInputError(f"The record names account {named!r}, but {account!r} sent it.")
    account = account or named
    if not isinstance(account, str):
        raise InvalidInputError(f"The record names no account as text. Set the attribute {names.account[0]!r}.")
    name = _event_name(record, own)
    category = _category(name, first(names.category), names)
    time_ns = record.time_unix_nano or record.observed_time_unix_nano
    if not time_ns:
        raise InvalidInputError("The record has no time. Set time_unix_nano or observed_time_unix_nano.")
    if time_ns < _EARLIEST_NS:
        as_text = us_to_text(time_ns // 1000)
        msg = f"Its time {time_ns} is {as_text} if it counts nanoseconds. Does it count milliseconds or seconds? Send "
        raise InvalidInputError(msg + "nanoseconds since 1970.")
    people = _people(named_person(own, inherited, names.person))
    payload = {
        "kind": "event" if category in SERVICE_CATEGORIES else "written",  # which no feature takes for a message
        "name": name,
        "attributes": {key: value for key, value in own.items() if key not in whose},
        "body": _value(record.body),
    }
    if category in SERVICE_CATEGORIES:
        _check_no_prose(payload, category, names.mapping)
    identity = {
        **payload,
        "account": account,
        "category": category,
        "people": people,
        "time": str(time_ns),
        "trace": record.trace_id.hex(),
        "span": record.span_id.hex(),
    }
    return Draft(
        key="otlp:" + digest(canonical_json(identity)),
        account=account,
        people=tuple(PersonRef(id=person) for person in dict.fromkeys([*people, *_used_people(people, own)])),
        category=category,
        at_us=time_ns // 1000,
        payload=payload,
    )


def _event_name(record: LogRecord, own: Mapping[str, Any]) -> str:
    name = record.event_name or own.get("event.name") or ""
    return name if isinstance(name, str) else str(name)


def _category(event: str, named: Any, names: AttributeNames) -> str:  # noqa: ANN401 - any attribute
    """Return the category of a record: what the settings say of its event, else what it says itself."""
    mapped = names.mapping.category_of(event)
    if mapped is not None:
        return mapped
    category = named or names.default_category
    if category is None:
        raise InvalidInputError(
            f"The record names no category. Set the attribute {names.category[0]!r}, or name its event in "
            "[otlp.events] of volition.toml."
        )
    if category not in SERVICE_CATEGORIES:
        raise InvalidInputError(f"Category {category!r} does not come by OTLP, only {', '.join(SERVICE_CATEGORIES)}.")
    return str(category)


def _check_no_prose(payload: Mapping[str, Any], category: str, mapping: EventMapping) -> None:
    """Refuse an event that holds what somebody wrote, saying which attribute it is and what can be done about it."""
    event = payload["name"]
    reports = category == "service/diagnostics" or not event  # a log line is no event, and has no name
    for attribute, value in (*payload["attributes"].items(), ("body", payload["body"])):
        if mapping.allows(event, attribute):
            continue
        for name, text in _texts(attribute, value):
            if looks_written(name, text, is_report=reports):
                raise InvalidInputError(
                    f"{attribute!r} of the event {event!r} looks like what somebody said or wrote, and comes as "
                    f"{category}. If somebody did, name the event in [otlp.events] of volition.toml as {WRITTEN!r}. "
                    f"If not, list {f'{event}:{attribute}'!r} under allowed in [otlp]. Then collect it again."
                )


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON value
    """Yield every text in a value, by the name that it stands under, however deep."""
    left = [(name, value)]
    while left:
        under, part = left.pop()
        if isinstance(part, str):
            yield under, part
        elif isinstance(part, list):
            left += [(under, inner) for inner in part]
        elif isinstance(part, dict):
            left += [(f"{under}.{key}", inner) for key, inner in part.items()]


def named_person(own: Mapping[str, Any], inherited: Mapping[str, Any], keys: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the first attribute that says who acted; a placeholder ("anonymous") only for want of others."""
    found = [values[key] for values in (own, inherited) for key in keys if values.get(key) not in (None, "")]
    return next((value for value in found if not _is_placeholder(value)), found[0] if found else None)


def _is_placeholder(value: object) -> bool:
    return isinstance(value, str | int) and is_nobody_id(str(value))


def _people(value: Any) -> list[str]:  # noqa: ANN401 - any attribute
    """Return the ids that a person attribute holds: text, an integer, or a list of these."""
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, str | int) and not isinstance(item, bool) and item != "" for item in ids):
        raise InvalidInputError(f"The person {value!r} is no id. Send text, or a list of texts.")
    return list(dict.fromkeys(map(str, ids)))


def _used_people(people: list[str], attributes: dict[str, Any]) -> list[str]:
    """Return the person whom a usage event is about, if its item is one: it concerns them as well as who acted.

    Where nobody knows who acted, nobody is added: the first of a record's people is always who acted.
    """
    item = attributes.get(ITEM)
    if not isinstance(item, str) or not item.startswith(PERSON_ITEM) or not people:
        return []
    if not (named := item.removeprefix(PERSON_ITEM).strip()):
        raise InvalidInputError(f"The item {item!r} names nobody. Send {PERSON_ITEM}ID.")
    return [named]


def _mapping(attributes: Iterable[KeyValue], once: Collection[str] = ()) -> dict[str, Any]:
    """Return attributes by name; of one that is there twice all different values, as a list.

    Raises:
        InvalidInputError: One of `once` has several values.
    """
    values: dict[str, list[Any]] = {}
    for item in attributes:
        value = _value(item.value)
        before = values.setdefault(item.key, [])
        if value not in before:
            before.append(value)
    for key in once:
        if len(values.get(key, ())) > 1:
            raise InvalidInputError(f"The attribute {key!r} is there twice. OTLP asks for unique keys.")
    return {key: found[0] if len(found) == 1 else found for key, found in values.items()}


def _value(value: AnyValue) -> Any:  # noqa: ANN401 - any JSON value
    """Return an OTLP value as JSON: bytes in base64, and as text the numbers that JSON cannot carry."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _mapping(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "int_value":
        return value.int_value if abs(value.int_value) <= _SAFE_INTEGER else str(value.int_value)
    if kind == "double_value":
        return value.double_value if math.isfinite(value.double_value) else str(value.double_value)
    return getattr(value, kind) if kind else None


def _raw_record(record: LogRecord) -> str:
    """Write a record as OTLP JSON, so that what is set aside can be mended and sent again."""
    value = json_format.MessageToDict(record, use_integers_for_enums=True)
    for key in ("traceId", "spanId"):
        if key in value:
            value[key] = base64.b64decode(value[key]).hex()
    return json.dumps(value)


# --- files ----------------------------------------------------------------------------------------------------------

_Encoding = Literal["json", "protobuf"]
_Stream: TypeAlias = "io.BufferedReader[Any]"
_Message = tuple[str, bytes, _Encoding]  # place within the file, the request, its encoding


def _messages(file: _Stream, source: str) -> Iterator[_Message | Reject]:
    """Cut a file into requests. Damage at its start is fatal; damage further on is a reject and ends the reading."""
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


def _unpacked(file: _Stream) -> _Stream:
    if file.peek(2)[:2] != b"\x1f\x8b":
        return file
    return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=file)), 1 << 16)


def _is_json(head: bytes) -> bool:
    """Tell JSON from protobuf: a request with a record in it holds the byte 0x12 early, JSON text never does."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return not text or (text.startswith(b"{") and not _CONTROL.search(head))


def _json_texts(stream: _Stream, source: str) -> Iterator[_Message]:
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


def _protobufs(stream: _Stream, source: str) -> Iterator[_Message]:
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


def _big_endian_frames(stream: _Stream, _source: str) -> Iterator[_Message]:
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
