"""OTLP logs: service-generated data from any OpenTelemetry SDK or Collector, out of a file or a request.

Promises:

- A record without an account, a category or a time is rejected, never guessed; so is one that cannot be read, or whose
  time lies before the year 2000, which it would in another unit. The records around it are kept.
- Only service-generated data comes this way: a category outside `service/` is rejected, unless the mapping of the
  settings says that an event is what people wrote (`mapping`).
- What looks like prose under a service category is rejected with a question (`prose`), never stored as service data.
- A record that is sent again has the same key, in protobuf as in JSON.
- A usage event whose item is a person (`volition.item` = "person/ID") concerns that person, too.

`read_otlp` reads a file, `read_message` the body of one request, `read_request` a request that is already parsed.
"""

import base64
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.spellings import is_nobody_id
from volition.consent.terms.vocabulary import BUILT_IN, covers, is_name
from volition.errors import InvalidInputError
from volition.records.ingest import ITEM, PERSON_ITEM, Draft, PersonRef, Reject, raw_json, raw_text
from volition.records.ingest.mapping import NO_MAPPING, WRITTEN, EventMapping, written_attribute
from volition.records.ingest.otlp_files import Stream, messages
from volition.records.ingest.otlp_plain import plain_events
from volition.records.ingest.otlp_records import SAFE_INTEGER, Item, LogEvent, Said, events_of, events_of_request
from volition.records.ingest.otlp_wire import (
    LOGS,
    Unreadable,
    has,
    is_utf8,
    json_records,
    parsed_json,
    protobuf_records,
)

SERVICE_CATEGORIES = BUILT_IN.leaves_of_data(["service"])
"""The built-in categories of service-generated data; terms may declare more below `service`."""

_EARLIEST_NS = 946_684_800 * 10**9  # the year 2000: a time before it was written in another unit
# Canonical JSON of a payload, and of what identifies a record; the content, of any length, is written once for both.
_PAYLOAD = b'{%(content)b,"kind":%(kind)b,"name":%(name)b}'
_IDENTITY = (
    b'{"account":%(account)b,%(content)b,"category":%(category)b,"kind":%(kind)b,"name":%(name)b,"people":%(people)b,'
    b'"span":"%(span)b","time":"%(time)d","trace":"%(trace)b"}'
)


@dataclass(frozen=True, kw_only=True)
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

    @cached_property
    def whose(self) -> frozenset[str]:
        """All of these attributes: they are kept as a record's own columns, not in its content."""
        return frozenset((*self.account, *self.person, *self.category))

    @cached_property
    def once(self) -> frozenset[str]:
        """Those that may have one value only: a second one would hide whose record it is."""
        return self.whose | {ITEM}


_NAMES = AttributeNames()


def read_otlp(
    path_or_bytes: Path | str | bytes,
    *,
    source: str | None = None,
    account: str | None = None,
    names: AttributeNames = _NAMES,
) -> Iterator[Draft | Reject]:
    """Read a file of logs in any form that `otlp_files` names.

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
        file: Stream = io.BufferedReader(cast("io.RawIOBase", io.BytesIO(path_or_bytes)))
    else:
        source = source or Path(path_or_bytes).name
        try:
            file = Path(path_or_bytes).open("rb")  # noqa: SIM115 - closed by the `with` below, as bytes are
        except OSError as error:
            raise InvalidInputError(f"{source} cannot be opened: {error.strerror}. Check its path.") from error
    with file:
        for message in messages(file, source):
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
    if encoding == "protobuf":
        try:
            request = ExportLogsServiceRequest.FromString(data)
        except DecodeError as error:
            try:
                records = list(protobuf_records(data, LogRecord))
            except DecodeError:
                msg = f"{source} holds no OTLP logs in protobuf: {error}. Export logs as OTLP."
                raise InvalidInputError(msg) from error
            items = events_of(records)
            return drafts_of(items, source=source, where=where, account=account, names=names)
        return read_request(request, source=source, where=where, account=account, names=names)
    plain = plain_events(data)
    if plain is not None:
        return drafts_of(plain, source=source, where=where, account=account, names=names)
    try:
        value = parsed_json(data)
    except ValueError as error:
        raise InvalidInputError(f"{source} holds no JSON: {error}. Export logs as OTLP JSON.") from error
    if not isinstance(value, dict) or not has(value, LOGS):
        raise InvalidInputError(f"{source} has no resourceLogs. Only OTLP logs are read; export logs as OTLP JSON.")
    items = events_of(json_records(value, LOGS, LogRecord, sound=is_utf8(data)))
    return drafts_of(items, source=source, where=where, account=account, names=names)


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
    items = events_of_request(request)
    return drafts_of(items, source=source, where=where, account=account, names=names)


# --- records --------------------------------------------------------------------------------------------------------


def drafts_of(
    items: Iterable[Item],
    *,
    source: str,
    where: str = "",
    account: str | None = None,
    names: AttributeNames = _NAMES,
) -> Iterator[Draft | Reject]:
    """Yield a draft or a reject for each record; the other arguments as for `read_message`."""
    resource = _Resource(Said({}), names)
    for number, item in enumerate(items, start=1):
        if isinstance(item, Unreadable):
            place = f"{where} record {number}".strip()
            yield Reject(source=source, where=place, why=item.why, raw=raw_json(item.value))
            continue
        event, said = item
        if said is not resource.said:
            resource = _Resource(said, names)
        try:
            yield _draft(event, resource, account, names)
        except InvalidInputError as error:
            place = f"{where} record {number}".strip()
            raw, whose = _raw_record(event.message()), _whose(event.said, said, account, names)
            yield Reject(source=source, where=place, why=str(error), raw=raw, people=whose[1], account=whose[0])


def _whose(
    own: Said, inherited: Said, account: str | None, names: AttributeNames
) -> tuple[str | None, tuple[PersonRef, ...]]:
    """Return whose a record is and who acted, as far as one that is set aside says it, of itself or its resource."""
    found: dict[str, list[str]] = {}
    for said in (own, inherited):
        for key, value in said.attributes.items():
            values = value if key in said.repeated else [value]
            each = [one for part in values for one in (part if isinstance(part, list) else [part])]
            found.setdefault(key, []).extend(str(one) for one in each if isinstance(one, str | int) and one != "")
    people = dict.fromkeys(text for key in names.person for text in found.get(key, ()))
    named = [text for key in names.account for text in found.get(key, ())]
    return account or next(iter(named), None), tuple(PersonRef(id=text) for text in people)


class _Resource:
    """What a resource says for all of its records that do not say it themselves."""

    def __init__(self, said: Said, names: AttributeNames) -> None:
        self.said = said
        self.account = _first(said.attributes, names.account)
        self.people = _filled(said.attributes, names.person)
        self.category = _first(said.attributes, names.category)


def _first(values: Mapping[str, Any], keys: Iterable[str], otherwise: Any = None) -> Any:  # noqa: ANN401 - any attribute
    for key in keys:
        value = values.get(key)
        if value is not None and value != "":
            return value
    return otherwise


def _filled(values: Mapping[str, Any], keys: Iterable[str]) -> list[Any]:
    return [value for key in keys if (value := values.get(key)) is not None and value != ""]


def _draft(event: LogEvent, resource: _Resource, account: str | None, names: AttributeNames) -> Draft:
    own = event.said.attributes
    if event.said.repeated or resource.said.repeated:
        _check_once(event.said, resource.said, once=names.once)
    named = _first(own, names.account, resource.account)
    if account is not None and named not in (None, account):
        raise InvalidInputError(f"The record names account {named!r}, but {account!r} sent it.")
    account = account or named
    if not isinstance(account, str):
        raise InvalidInputError(f"The record names no account as text. Set the attribute {names.account[0]!r}.")
    name = event.name or _written_name(own.get("event.name"))
    category = _category(name, _first(own, names.category, resource.category), names)
    time_ns = event.time_ns
    _check_time(time_ns)
    people = _people(_acting([*_filled(own, names.person), *resource.people]))
    is_service = covers("service", category)
    kind = "event" if is_service else "written"  # which no feature takes for a message
    whose = names.whose
    payload = {
        "kind": kind,
        "name": name,
        "attributes": {
            key: value if type(value) is str else _stored(value) for key, value in own.items() if key not in whose
        },
        "body": _stored(event.body),
    }
    if is_service:
        _check_no_prose(payload, category, names.mapping)
    content = canonical_json({"attributes": payload["attributes"], "body": payload["body"]})[1:-1]
    called = {
        b"account": _written(account),
        b"content": content,
        b"category": _written(category),
        b"kind": _written(kind),
        b"name": _written(name),
        b"people": _people_written(people),
        b"span": event.span.encode(),
        b"time": time_ns,
        b"trace": event.trace.encode(),
    }
    return Draft(
        key="otlp:" + digest(_IDENTITY % called),
        account=account,
        people=_refs((*people, *_used_people(people, own))),
        category=category,
        at_us=time_ns // 1000,
        payload=payload,
        as_written=_PAYLOAD % called,
    )


@lru_cache(maxsize=10_000)
def _written(text: str) -> bytes:
    return canonical_json(text)


@lru_cache(maxsize=10_000)
def _people_written(people: tuple[str, ...]) -> bytes:
    return canonical_json(people)


@lru_cache(maxsize=10_000)
def _refs(people: tuple[str, ...]) -> tuple[PersonRef, ...]:
    return tuple(PersonRef(id=person) for person in dict.fromkeys(people))


def _check_once(*each: Said, once: Collection[str]) -> None:
    """Refuse several values of an attribute that may have one only."""
    for said in each:
        for key in said.repeated:
            if key in once:
                raise InvalidInputError(f"The attribute {key!r} is there twice. OTLP asks for unique keys.")


def _check_time(time_ns: int) -> None:
    if not time_ns:
        raise InvalidInputError("The record has no time. Set time_unix_nano or observed_time_unix_nano.")
    if time_ns < _EARLIEST_NS:
        as_text = us_to_text(time_ns // 1000)
        msg = f"Its time {time_ns} is {as_text} if it counts nanoseconds. Does it count milliseconds or seconds? Send "
        raise InvalidInputError(msg + "nanoseconds since 1970.")


def _stored(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as it is stored: a whole number of floating point as the integer that JSON writes it as."""
    kind = type(value)
    if kind is float:
        return int(value) if value.is_integer() and abs(value) <= SAFE_INTEGER else value
    if kind is list:
        return [_stored(item) for item in value]
    if kind is dict:
        return {key: _stored(item) for key, item in value.items()}
    return value


def _written_name(name: object) -> str:
    return name if isinstance(name, str) else str(name or "")


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
    if not (isinstance(category, str) and is_name(category) and category.startswith("service/")):
        raise InvalidInputError(f"Category {category!r} does not come by OTLP, only {', '.join(SERVICE_CATEGORIES)}.")
    return str(category)


def _check_no_prose(payload: Mapping[str, Any], category: str, mapping: EventMapping) -> None:
    """Refuse an event that holds what somebody wrote, saying which attribute it is and what can be done about it."""
    attribute = written_attribute(payload, category, mapping)
    if attribute is not None:
        event = payload["name"]
        raise InvalidInputError(
            f"{attribute!r} of the event {event!r} looks like what somebody said or wrote, and comes as "
            f"{category}. If somebody did, name the event in [otlp.events] of volition.toml as {WRITTEN!r}. "
            f"If not, list {f'{event}:{attribute}'!r} under allowed in [otlp]. Then collect it again."
        )


def _acting(found: Sequence[Any]) -> Any:  # noqa: ANN401 - any attribute
    """Return who acted, of what attributes say: a placeholder ("anonymous") only for want of others."""
    if len(found) > 1:
        return next((value for value in found if not _is_placeholder(value)), found[0])
    return found[0] if found else None


def _is_placeholder(value: object) -> bool:
    return isinstance(value, str | int) and _stands_for_nobody(str(value))


_stands_for_nobody = lru_cache(maxsize=10_000)(is_nobody_id)


def _people(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - any attribute
    """Return the ids that a person attribute holds: text, an integer, or a list of these."""
    if type(value) is str:
        return (value,)
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, str | int) and not isinstance(item, bool) and item != "" for item in ids):
        raise InvalidInputError(f"The person {value!r} is no id. Send text, or a list of texts.")
    return tuple(dict.fromkeys(map(str, ids)))


def _used_people(people: tuple[str, ...], attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the person whom a usage event is about, if its item is one: it concerns them as well as who acted.

    Where nobody knows who acted, nobody is added: the first of a record's people is always who acted.
    """
    item = attributes.get(ITEM)
    if not isinstance(item, str) or not item.startswith(PERSON_ITEM) or not people:
        return ()
    if not (named := item.removeprefix(PERSON_ITEM).strip()):
        raise InvalidInputError(f"The item {item!r} names nobody. Send {PERSON_ITEM}ID.")
    return (named,)


def _raw_record(record: LogRecord) -> str:
    """Write a record as OTLP JSON, so that what is set aside can be mended and sent again."""
    value = json_format.MessageToDict(record, use_integers_for_enums=True)
    for key in ("traceId", "spanId"):
        if key in value:
            value[key] = base64.b64decode(value[key]).hex()
    return json.dumps(value)
