"""OTLP traces: a span becomes a log record, so that one reader judges whose it is and whether it may be kept.

The record has the span's name, attributes and ids, the time at which it began, and in its body what a span has besides:
how long it took, its kind, and its status. Events and links of a span are not kept: they name other spans.
"""

from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.records.ingest import load_json

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")


def spans_as_logs(data: bytes, *, encoding: str, source: str) -> bytes:
    """Turn a request of traces into one of logs, in the same encoding.

    Args:
        data: The request, unpacked.
        encoding: `json` or `protobuf`.
        source: Name of the endpoint, for messages.

    Raises:
        InvalidInputError: It holds no traces.
    """
    if encoding == "protobuf":
        try:
            request = ExportTraceServiceRequest.FromString(data)
        except DecodeError as error:
            raise InvalidInputError(f"{source} holds no OTLP traces in protobuf: {error}. Export traces.") from error
        return _logs(request).SerializeToString()
    try:
        value = load_json(data)
    except ValueError as error:
        raise InvalidInputError(f"{source} holds no JSON: {error}. Export traces as OTLP JSON.") from error
    if not isinstance(value, dict) or (value and "resourceSpans" not in value):
        raise InvalidInputError(f"{source} has no resourceSpans. Export traces as OTLP JSON.")
    return canonical_json({"resourceLogs": _renamed(value.get("resourceSpans"))} if value else {})


def _logs(request: ExportTraceServiceRequest) -> ExportLogsServiceRequest:
    logs = ExportLogsServiceRequest()
    for of_resource in request.resource_spans:
        resource = logs.resource_logs.add()
        resource.resource.CopyFrom(of_resource.resource)
        for of_scope in of_resource.scope_spans:
            scope = resource.scope_logs.add()
            for span in of_scope.spans:
                scope.log_records.append(_record(span))
    return logs


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


def _renamed(resources: Any) -> Any:  # noqa: ANN401 - any JSON value; what is malformed the reader of logs sets aside
    if not isinstance(resources, list):
        return resources
    return [
        {
            "resource": of_resource.get("resource"),
            "scopeLogs": [
                {"logRecords": [_json_record(span) for span in of_scope["spans"]]}
                if isinstance(of_scope, dict) and isinstance(of_scope.get("spans"), list)
                else of_scope
                for of_scope in of_resource["scopeSpans"]
            ],
        }
        if isinstance(of_resource, dict) and isinstance(of_resource.get("scopeSpans"), list)
        else of_resource
        for of_resource in resources
    ]


def _json_record(span: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(span, dict):
        return span
    status = span.get("status")
    said = {
        "took_us": {
            "intValue": str(
                max(0, _number(span.get("endTimeUnixNano")) - _number(span.get("startTimeUnixNano"))) // 1000
            )
        },
        "kind": {"stringValue": _named(_KINDS, _number(span.get("kind")))},
        "status": {"stringValue": _named(_STATUSES, _number(status.get("code")) if isinstance(status, dict) else 0)},
    }
    kept = {
        "timeUnixNano": span.get("startTimeUnixNano"),
        "eventName": span.get("name"),
        "attributes": span.get("attributes"),
        "traceId": span.get("traceId"),
        "spanId": span.get("spanId"),
        "body": {"kvlistValue": {"values": [{"key": key, "value": value} for key, value in said.items()]}},
    }
    return {key: value for key, value in kept.items() if value is not None}


def _number(value: object) -> int:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else 0
