"""OTLP log records as plain values, in whichever encoding they came: read once, and then looked at as often as needed.

Values are those of JSON: bytes in base64, and as text the numbers that JSON cannot carry.
"""

import base64
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from volition.records.ingest.otlp_wire import Unreadable

SAFE_INTEGER: Final = 2**53 - 1
"""RFC 8785: a larger integer loses digits in JSON and is written as text."""


@dataclass(frozen=True, slots=True)
class Said:
    """What attributes say.

    Attributes:
        attributes: By name; of one that is there with different values, all of them, as a list.
        repeated: The names of those.
    """

    attributes: dict[str, Any]
    repeated: tuple[str, ...] = ()


@dataclass(slots=True)
class LogEvent:
    """A log record.

    Attributes:
        time_ns: When it happened, or was observed, nanoseconds since the Unix epoch, UTC; 0 where nobody says.
        name: Of the event; empty if it has none.
        trace: The trace's id in hexadecimal; empty if there is none.
        span: Likewise the span's.
        said: What its own attributes say.
        body: Its body; none if there is none.
        message: Gives the record as protobuf, for one that is set aside.
    """

    time_ns: int
    name: str
    trace: str
    span: str
    said: Said
    body: Any
    message: Callable[[], LogRecord]


Item = tuple[LogEvent, Said] | Unreadable
"""A record with what its resource says, or a piece that is no record."""


def events_of_request(request: ExportLogsServiceRequest) -> Iterator[Item]:
    """Yield the records of a request, each with what its resource says."""
    for of_resource in request.resource_logs:
        said = said_of(of_resource.resource.attributes)
        for of_scope in of_resource.scope_logs:
            for record in of_scope.log_records:
                yield event_of(record), said


def events_of(records: Iterable[tuple[LogRecord, Resource] | Unreadable]) -> Iterator[Item]:
    """Yield records that were told apart one by one, each with what its resource says: mostly the last one's."""
    last: Resource | None = None
    said = Said({})
    for item in records:
        if isinstance(item, Unreadable):
            yield item
            continue
        record, resource = item
        if resource is not last:
            last, said = resource, said_of(resource.attributes)
        yield event_of(record), said


def event_of(record: LogRecord) -> LogEvent:
    """Return a record of protobuf as plain values."""
    return LogEvent(
        record.time_unix_nano or record.observed_time_unix_nano,
        record.event_name,
        record.trace_id.hex(),
        record.span_id.hex(),
        said_of(record.attributes),
        value_of(record.body) if record.HasField("body") else None,
        lambda: record,
    )


def said_of(attributes: Iterable[KeyValue]) -> Said:
    """Return what attributes of protobuf say."""
    values: dict[str, Any] = {}
    count = 0
    for item in attributes:
        value = item.value
        values[item.key] = value.string_value or value_of(value)  # most are text; a call less for each
        count += 1
    if len(values) == count:
        return Said(values)
    return said_twice((item.key, value_of(item.value)) for item in attributes)


def said_twice(pairs: Iterable[tuple[str, Any]]) -> Said:
    """Return what attributes say of which some are there several times."""
    values: dict[str, Any] = {}
    several: dict[str, list[Any]] = {}
    for key, value in pairs:
        if key not in values:
            values[key] = value
        elif value not in (before := several.setdefault(key, [values[key]])):
            before.append(value)
    different = {key: found for key, found in several.items() if len(found) > 1}
    return Said(values | different, tuple(different))


def value_of(value: AnyValue) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value of protobuf as JSON."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "double_value":
        return fraction_of(value.double_value)
    if kind == "int_value":
        return integer_of(value.int_value)
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return said_of(value.kvlist_value.values).attributes
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def integer_of(value: int) -> int | str:
    """Return an integer as JSON can carry it."""
    return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else str(value)


def fraction_of(value: float) -> float | str:
    """Return a number of floating point as JSON can carry it."""
    return value if math.isfinite(value) else str(value)
