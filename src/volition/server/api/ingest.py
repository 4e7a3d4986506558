"""Ingest over HTTP: OTLP/HTTP logs and traces, and Zoom's webhooks.

OTLP: `POST /v1/logs` and `/v1/traces`, protobuf or JSON, gzip or not, answered in the same form. A record that
cannot be assigned to anyone is set aside in quarantine and reported as a partial success: clients do not resend it.

Zoom: a signature over the very bytes received, compared in constant time; old ones are refused, and repeats do nothing.

Sources: OTLP 1.x, "OTLP/HTTP"; Zoom, "Validate your webhook endpoint".
"""

import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from volition import canonical
from volition.errors import InvalidInputError
from volition.records.ingest import load_json
from volition.records.ingest.intake import Collected
from volition.server.api.security import requires
from volition.server.asgi import LARGEST_BODY
from volition.server.auth import Principal, Role, Scope
from volition.server.http_errors import TOO_LARGE, UNAUTHORIZED, UNSUPPORTED, HttpError

if TYPE_CHECKING:
    from volition.server.settings import Zoom

routes = APIRouter()

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_REPORTED: Final = 5
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
    body = _unpacked(await request.body(), request.headers.get("content-encoding", "identity").strip().lower())
    encoding: Literal["json", "protobuf"] = "protobuf" if kind == _PROTOBUF else "json"

    def collect() -> Collected:
        with request.app.state.workspaces.borrow() as workspace:
            found: Collected = workspace.records.collect_otlp_request(
                body, encoding=encoding, signal=signal, source=f"/v1/{signal}"
            )
            return found

    return _answer(await run_in_threadpool(collect), signal, encoding)


def _answer(found: Collected, signal: _Signal, encoding: str) -> Response:
    rejected = len(found.rejected)
    message = "; ".join(f"{reject.where}: {reject.why}" for reject in found.rejected[:_REPORTED])
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
        unpacking = zlib.decompressobj(wbits=31)
        plain = unpacking.decompress(body, LARGEST_BODY + 1)
        if len(plain) > LARGEST_BODY:
            raise HttpError(TOO_LARGE, f"A request holds at most {LARGEST_BODY:,} bytes, unpacked.")
        if not unpacking.eof or unpacking.unused_data:
            raise InvalidInputError("The gzip body is incomplete. Send it again.")
    except zlib.error as error:
        raise InvalidInputError(f"The body is not valid gzip: {error}.") from error
    return plain


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

    def collect() -> Collected:
        with request.app.state.workspaces.borrow() as workspace:
            found: Collected = workspace.records.collect_zoom_event(event, account=zoom.account)
            return found

    found = await run_in_threadpool(collect)
    return JSONResponse({"stored": found.stored, "known": found.known})


def _check_signature(secret: str, at: str, body: bytes, signature: str) -> None:
    """Refuse what Zoom did not sign, or long ago. Raises HttpError."""
    signed = b"v0:" + at.encode("utf-8", "surrogateescape") + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    is_theirs = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))
    is_new = at.isdecimal() and len(at) < 16 and abs(canonical.now_us() // 1_000_000 - int(at)) <= _OLDEST_S
    if not is_theirs or not is_new:
        raise HttpError(UNAUTHORIZED, "The signature is not Zoom's for this address, or it is too old.")
