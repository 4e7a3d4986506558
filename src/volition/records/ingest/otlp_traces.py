"""OTLP traces: a span becomes a log record, so that one reader judges whose it is and whether it may be kept.

The record has the span's name, attributes and ids, the time at which it began, and in its body what a span has besides:
how long it took, its kind, and its status. Events and links of a span are not kept: they name other spans.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from volition.errors import InvalidInputError
from volition.records.ingest import Draft, Reject
from volition.records.ingest.otlp import AttributeNames, drafts_of
from volition.records.ingest.otlp_records import events_of
from volition.records.ingest.otlp_wire import (
    SPANS,
    Unreadable,
    has,
    is_utf8,
    json_records,
    parsed_json,
    protobuf_records,
)

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_NAMES = AttributeNames()
_STATUSES = ("unset", "ok", "error")

_Spans = Iterable[tuple[Span, Resource] | Unreadable]


def read_traces(
    data: bytes, *, encoding: Literal["json", "protobuf"], source: str, names: AttributeNames = _NAMES
) -> Iterator[Draft | Reject]:
    """Read the spans of one request.

    Args:
        data: The request, unpacked.
        encoding: `json` or `protobuf`.
        source: Name of the endpoint, for messages.
        names: Which attributes say whose a span is, and which span is of which category.

    Returns:
        A draft or a reject for each span.

    Raises:
        InvalidInputError: At once: it holds no traces (HTTP status 400).
    """
    spans = _protobuf_spans(data, source) if encoding == "protobuf" else _json_spans(data, source)
    records = (item if isinstance(item, Unreadable) else (_record(item[0]), item[1]) for item in spans)
    return drafts_of(events_of(records), source=source, names=names)


def _protobuf_spans(data: bytes, source: str) -> _Spans:
    try:
        request = ExportTraceServiceRequest.FromString(data)
    except DecodeError as error:
        try:
            return list(protobuf_records(data, Span))
        except DecodeError:
            msg = f"{source} holds no OTLP traces in protobuf: {error}. Export traces."
            raise InvalidInputError(msg) from error
    return [
        (span, of_resource.resource)
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _json_spans(data: bytes, source: str) -> _Spans:
    try:
        value = parsed_json(data)
    except ValueError as error:
        raise InvalidInputError(f"{source} holds no JSON: {error}. Export traces as OTLP JSON.") from error
    if not isinstance(value, dict) or not has(value, SPANS):
        raise InvalidInputError(f"{source} has no resourceSpans. Export traces as OTLP JSON.")
    return json_records(value, SPANS, Span, sound=is_utf8(data))


def _record(span: Span) -> LogRecord:
    record = LogRecord(
        time_unix_nano=span.start_time_unix_nano,
        event_name=span.name,
        attributes=span.attributes,
        trace_id=span.trace_id,
        span_id=span.span_id,
    )
    body = record.body.kvlist_value
    took_ns = max(0, span.end_time_unix_nano - span.start_time_unix_nano)
    body.values.append(KeyValue(key="took_us", value=AnyValue(int_value=took_ns // 1000)))
    body.values.append(KeyValue(key="kind", value=AnyValue(string_value=_named(_KINDS, span.kind))))
    body.values.append(KeyValue(key="status", value=AnyValue(string_value=_named(_STATUSES, span.status.code))))
    return record


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)
