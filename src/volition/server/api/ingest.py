"""Ingest over HTTP: OTLP/HTTP logs and traces, CloudEvents, and Zoom's webhooks.

OTLP: `POST /v1/logs` and `/v1/traces`, protobuf or JSON, gzip or not, answered in the same form, failures included
(`google.rpc.Status`). A record that is not stored, because nobody can be named for it or no purpose permits it, is
reported as a partial success: clients do not resend it.

CloudEvents: `POST /v1/events`, one event in structured or binary mode, or a batch, as the sources of `volition.toml`
map them. The answer counts what was stored, and says what was set aside and why; sent again, it is stored once.

Zoom: a signature over the very bytes received, compared in constant time; old ones are refused, and repeats do nothing.

Sources: OTLP 1.x, "OTLP/HTTP"; CloudEvents 1.0.2, HTTP protocol binding and JSON format; Zoom, "Validate your webhook
endpoint".
"""

import hashlib
import hmac
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from volition import canonical
from volition.errors import InvalidInputError, VolitionError
from volition.records.ingest import load_json
from volition.records.ingest.cloudevents import event_of_headers
from volition.records.ingest.intake import Collected
from volition.records.ingest.otlp_wire import TooMuchError, gunzipped
from volition.server.api.security import requires
from volition.server.asgi import LARGEST_BODY
from volition.server.auth import Principal, Role, Scope
from volition.server.http_errors import (
    CONFLICT,
    OVERLOADED,
    TOO_LARGE,
    UNAUTHORIZED,
    UNSUPPORTED,
    Failure,
    HttpError,
    failure_of,
)
from volition.workspace import Workspace
from volition.workspace.pool import Lane

if TYPE_CHECKING:
    from volition.server.lanes import Lanes
    from volition.server.settings import Zoom

routes = APIRouter()

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_CLOUDEVENT: Final = "application/cloudevents+json"
_CLOUDEVENTS: Final = "application/cloudevents-batch+json"
_LONGEST_MESSAGE: Final = 4000
_RPC_UNKNOWN: Final = 2
_RPC_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 413: 8, 415: 3, 422: 3, 429: 8, 500: 13, 503: 14}
"""The gRPC code of an HTTP status (google.rpc.Code)."""
_OLDEST_S: Final = 300

_Signal = Literal["logs", "traces"]
_Sender = Annotated[Principal, requires(Scope.COLLECT, Role.ENGINEER, Role.OPERATOR)]


@routes.post("/v1/logs", include_in_schema=False)
async def take_logs(_: _Sender, request: Request) -> Response:
    """Collect OTLP logs."""
    return await _take(request, "logs")


@routes.post("/v1/traces", include_in_schema=False)
async def take_traces(_: _Sender, request: Request) -> Response:
    """Collect OTLP traces."""
    return await _take(request, "traces")


async def _take(request: Request, signal: _Signal) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {_PROTOBUF, _JSON}:
        raise HttpError(UNSUPPORTED, f"Send OTLP as {_PROTOBUF} or {_JSON}.")
    encoding: Literal["json", "protobuf"] = "protobuf" if kind == _PROTOBUF else "json"
    try:
        return await _collected(request, signal, encoding)
    except VolitionError as error:
        failure = _failure(error)
        if encoding == "json":
            raise HttpError(failure, str(error)) from error
        return Response(_rpc_status(failure, str(error)), failure.status, failure.headers, _PROTOBUF)


def _failure(error: VolitionError) -> Failure:
    """Return how a delivery fails; one that lost a race can be sent again, and clients drop what is answered 409."""
    failure = failure_of(error)
    return OVERLOADED if failure is CONFLICT else failure


def _rpc_status(failure: Failure, message: str) -> bytes:
    """Return a `google.rpc.Status` in protobuf: its code, field 1, and its message, field 2 (OTLP/HTTP, "Failures")."""
    text = message.encode()[:_LONGEST_MESSAGE]
    size = bytes([len(text)]) if len(text) < 128 else bytes([len(text) & 0x7F | 0x80, len(text) >> 7])
    return bytes([0x08, _RPC_CODES.get(failure.status, _RPC_UNKNOWN), 0x12]) + size + text


async def _collected(request: Request, signal: _Signal, encoding: Literal["json", "protobuf"]) -> Response:
    sent, packed = await request.body(), request.headers.get("content-encoding", "identity").strip().lower()
    collect = partial(_collect_otlp, sent=sent, packed=packed, encoding=encoding, signal=signal)
    lanes: Lanes = request.app.state.lanes
    return _answer(await lanes.run(Lane.COLLECTING, collect), signal, encoding)


# What collects may be done in another process: it is a function of the module, and all that it is given can be pickled.


def _collect_otlp(
    workspace: Workspace, *, sent: bytes, packed: str, encoding: Literal["json", "protobuf"], signal: _Signal
) -> Collected:
    body = _unpacked(sent, packed)
    return workspace.records.collect_otlp_request(body, encoding=encoding, signal=signal, source=f"/v1/{signal}")


def _collect_zoom(workspace: Workspace, *, event: dict[str, Any], account: str) -> Collected:
    return workspace.records.collect_zoom_event(event, account=account)


def _answer(found: Collected, signal: _Signal, encoding: str) -> Response:
    rejected, message = found.not_stored, found.why_not_stored
    if encoding == "json":
        field = "rejectedLogRecords" if signal == "logs" else "rejectedSpans"
        return JSONResponse({"partialSuccess": {field: str(rejected), "errorMessage": message}} if rejected else {})
    response: Any = ExportLogsServiceResponse() if signal == "logs" else ExportTraceServiceResponse()
    if rejected:
        field = "rejected_log_records" if signal == "logs" else "rejected_spans"
        setattr(response.partial_success, field, rejected)
        response.partial_success.error_message = message
    return Response(response.SerializeToString(), media_type=_PROTOBUF)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding in {"identity", ""}:
        return body
    if encoding != "gzip":
        raise HttpError(UNSUPPORTED, "A body may be sent plain or as gzip.")
    try:
        return gunzipped(body, limit_bytes=LARGEST_BODY, what="The body")
    except TooMuchError as error:
        raise HttpError(TOO_LARGE, str(error)) from error


@routes.post(
    "/v1/events",
    summary="Collect CloudEvents",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                _CLOUDEVENT: {"schema": {"type": "object"}},
                _CLOUDEVENTS: {"schema": {"type": "array", "items": {"type": "object"}}},
                _JSON: {"schema": {}},
            },
        }
    },
)
async def take_events(_: _Sender, request: Request) -> JSONResponse:
    """Collect events of one's own product, as CloudEvents; see docs/how-to/own-records.md."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    headers, body = request.headers.items(), await request.body()
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    collect = partial(_collect_events, kind=kind, headers=headers, sent=body, packed=packed)
    lanes: Lanes = request.app.state.lanes
    try:
        found = await lanes.run(Lane.COLLECTING, collect)
    except VolitionError as error:
        raise HttpError(_failure(error), str(error)) from error
    rejected = [{"where": one.where, "why": one.why} for one in found.rejected]
    return JSONResponse(
        {"stored": found.stored + found.waiting, "known": found.known, "not_kept": found.not_kept, "rejected": rejected}
    )


def _collect_events(
    workspace: Workspace, *, kind: str, headers: list[tuple[str, str]], sent: bytes, packed: str
) -> Collected:
    return workspace.sources.collect_events(_events(kind, headers, _unpacked(sent, packed)), source="/v1/events")


def _events(kind: str, headers: list[tuple[str, str]], body: bytes) -> list[object]:
    """Return what a request holds: a batch, one event in structured mode, or one in binary mode (its type a header)."""
    if kind not in {_CLOUDEVENT, _CLOUDEVENTS}:
        if kind != _JSON or not any(name.lower() == "ce-type" for name, _ in headers):
            raise HttpError(UNSUPPORTED, f"Send events as {_CLOUDEVENT}, {_CLOUDEVENTS}, or JSON with headers ce-.")
        return [event_of_headers(headers, body)]
    try:
        value = load_json(body)
    except ValueError as error:
        raise InvalidInputError(f"The body is not JSON: {error}. Send CloudEvents in their JSON format.") from error
    if kind == _CLOUDEVENT:
        return [value]
    if not isinstance(value, list):
        raise InvalidInputError("A batch is an array of events.")
    return value


@routes.post("/v1/webhooks/zoom", include_in_schema=False)
async def receive_zoom(request: Request) -> JSONResponse:
    """Receive Zoom's webhooks: its validation of this address, and events of its meetings."""
    zoom: Zoom | None = request.app.state.settings.zoom
    if zoom is None:
        raise HttpError(UNAUTHORIZED, "Zoom is not set up here. Add [zoom] to server.toml.")
    body = await request.body()
    at = request.headers.get("x-zm-request-timestamp", "")
    _check_signature(zoom.secret, at, body, request.headers.get("x-zm-signature", ""))
    try:
        event = dict(load_json(body))
        if event["event"] == "endpoint.url_validation":
            plain = event["payload"]["plainToken"]
            encrypted = hmac.new(zoom.secret.encode(), plain.encode(), hashlib.sha256).hexdigest()
            return JSONResponse({"plainToken": plain, "encryptedToken": encrypted})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(f"This is not a Zoom event: {error}.") from error

    lanes: Lanes = request.app.state.lanes
    try:
        found = await lanes.run(Lane.COLLECTING, partial(_collect_zoom, event=event, account=zoom.account))
    except VolitionError as error:
        raise HttpError(_failure(error), str(error)) from error
    return JSONResponse({"stored": found.stored, "known": found.known})


def _check_signature(secret: str, at: str, body: bytes, signature: str) -> None:
    """Refuse what Zoom did not sign, or long ago. Raises HttpError."""
    signed = b"v0:" + at.encode("utf-8", "surrogateescape") + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    is_theirs = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))
    at_s = canonical.whole_number(at)
    is_new = at_s is not None and abs(canonical.now_us() // 1_000_000 - at_s) <= _OLDEST_S
    if not is_theirs or not is_new:
        raise HttpError(UNAUTHORIZED, "The signature is not Zoom's for this address, or it is too old.")
