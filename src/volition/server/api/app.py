"""The API as one application: its routes, its failures as problem details, its OpenAPI document, health and metrics."""

import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.exceptions import HTTPException

from volition import canonical
from volition.errors import VolitionError
from volition.server.api import (
    decisions,
    exclusions,
    forgettings,
    ingest,
    ledger,
    limits,
    models,
    parties,
    rights,
    runs,
    sharings,
    snapshots,
    terms,
    weigh,
)
from volition.server.api.idempotency import Idempotency, StoredAnswers
from volition.server.api.may import May
from volition.server.api.schemas import ProblemDetails
from volition.server.api.webhooks import Webhooks
from volition.server.asgi import App, Message, Receive, Send
from volition.server.auth import Access
from volition.server.http_errors import (
    MEDIA_TYPE,
    UNEXPECTED,
    UNPROCESSABLE,
    Failure,
    failure_of,
    failure_of_status,
    problem,
)
from volition.server.jobs import Jobs
from volition.server.settings import ServerSettings
from volition.workspace.pool import Workspaces

PATHS: Final = ("/v1/", "/healthz", "/readyz", "/metrics", "/.well-known/gpc.json")
"""Paths that begin like this belong to the API."""

_MAY: Final = "/v1/may"
_STARTED: Final = datetime.now(UTC).date().isoformat()
_ROUTES: Final = (
    terms,
    parties,
    decisions,
    limits,
    exclusions,
    sharings,
    ledger,
    snapshots,
    runs,
    models,
    forgettings,
    rights,
    weigh,
    ingest,
)
"""Every module of routes; each has `routes`."""

_log = logging.getLogger(__name__)


class Api:
    """The API of one server; close it."""

    def __init__(self, *, access: Access, workspaces: Workspaces, jobs: Jobs, settings: ServerSettings) -> None:
        """Put it together; `middleware.SecurityMiddleware` stands before it."""
        self._may = May(workspaces)
        self._webhooks = Webhooks(
            settings.webhooks, database=access.database, workspaces=workspaces, clock=canonical.now_us
        )
        self._metrics = _Metrics(workspaces)
        self.app = _application(workspaces=workspaces, jobs=jobs, settings=settings, metrics=self._metrics)
        self._rest = Idempotency(self.app, StoredAnswers(access.database))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == _MAY and scope["method"] == "POST":
            self._metrics.may_requests.inc()
            await self._may(scope, receive, send)
            return
        await self._metrics.measured(self._rest, scope, receive, send)

    def close(self) -> None:
        """Stop the webhooks, and let go of the leases."""
        self._webhooks.close()
        self._may.close()


def _application(*, workspaces: Workspaces, jobs: Jobs, settings: ServerSettings, metrics: "_Metrics") -> FastAPI:
    app = FastAPI(title="Volition", version="1", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.workspaces, app.state.jobs, app.state.settings = workspaces, jobs, settings
    for module in _ROUTES:
        app.include_router(module.routes, responses={"4XX": _PROBLEM, "5XX": _PROBLEM})
    _add_operations(app, workspaces, metrics)
    app.add_exception_handler(VolitionError, _failed)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    return app


def _add_operations(app: FastAPI, workspaces: Workspaces, metrics: "_Metrics") -> None:
    """Add what operators and their tools ask for: the document, health, metrics."""
    document: dict[str, Any] = {}

    @app.get("/v1/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:
        if not document:
            document.update(_document(app))
        return JSONResponse(document)

    @app.get("/healthz", include_in_schema=False)
    def healthy() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", include_in_schema=False)
    def ready() -> JSONResponse:
        try:
            with workspaces.borrow() as workspace:
                return JSONResponse({"status": "ok", "ledger": workspace.ledger.size})
        except VolitionError as error:
            return JSONResponse({"status": "not ready", "detail": str(error)}, status_code=503)

    @app.get("/metrics", include_in_schema=False)
    def show_metrics() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/.well-known/gpc.json", include_in_schema=False)
    def gpc() -> JSONResponse:
        return JSONResponse({"gpc": True, "lastUpdate": _STARTED})


_PROBLEM: Final[dict[str, Any]] = {
    "description": "Problem details (RFC 9457)",
    "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}},
}

_QUESTION: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["account", "people", "category"],
    "additionalProperties": False,
    "properties": {
        "account": {"type": "string"},
        "people": {"type": "array", "items": {"type": "string"}, "description": "Ids; the speaker or actor first."},
        "category": {"type": "string"},
        "collected": {"type": ["string", "null"], "description": "An instant; by default now."},
    },
}


def _document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document: FastAPI's, and the one route that works without FastAPI."""
    document = get_openapi(title="Volition", version="1", openapi_version="3.1.0", routes=app.routes)
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    purpose = {"purpose": {"type": "string"}}
    single = {
        **_QUESTION,
        "required": ["purpose", *_QUESTION["required"]],
        "properties": {**purpose, **_QUESTION["properties"]},
    }
    many = {
        "type": "object",
        "required": ["purpose", "questions"],
        "additionalProperties": False,
        "properties": {**purpose, "questions": {"type": "array", "items": _QUESTION}},
    }
    document["paths"][_MAY] = {
        "post": {
            "tags": ["may"],
            "summary": "May this be used?",
            "operationId": "may",
            "description": "One question, or many; Arrow is taken as well, see docs/api.md.",
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": [single, many]}}}},
            "responses": {
                "200": {
                    "description": "The verdict, or one for each question",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                },
                "4XX": _PROBLEM,
                "5XX": _PROBLEM,
            },
        }
    }
    return document


def _problem(failure: Failure, detail: str, **more: Any) -> JSONResponse:  # noqa: ANN401 - any JSON value
    headers = {"www-authenticate": "Bearer"} if failure.status == 401 else None
    return JSONResponse(
        problem(failure, detail, **more), status_code=failure.status, media_type=MEDIA_TYPE, headers=headers
    )


def _failed(_: Request, error: Exception) -> Response:
    return _problem(failure_of(error) if isinstance(error, VolitionError) else UNEXPECTED, str(error))


def _malformed(_: Request, error: Exception) -> Response:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [{"where": ".".join(map(str, fault["loc"])), "what": fault["msg"]} for fault in faults]
    first = f"{errors[0]['where']}: {errors[0]['what']}." if errors else "The body does not have the form it needs."
    return _problem(UNPROCESSABLE, first, errors=errors)


def _http(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else UNEXPECTED.status
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    failure = failure_of_status(status)
    response = _problem(failure, detail)
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response


def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _problem(
        UNEXPECTED, "The server failed, and nothing was done by halves. The operator finds the reason in the log."
    )


class _Metrics:
    """Metrics for Prometheus; none of them names a party."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._registry = CollectorRegistry()
        self.may_requests = Counter("volition_may_requests", "Requests to /v1/may", registry=self._registry)
        self._requests = Counter(
            "volition_requests", "Requests to other routes", ("method", "status"), registry=self._registry
        )
        self._seconds = Histogram("volition_request_seconds", "How long they took", registry=self._registry)
        self._ledger = Gauge("volition_ledger_entries", "Entries of the ledger", registry=self._registry)
        self._owed = Gauge("volition_forgettings_owed", "Forgettings that are due", registry=self._registry)

    async def measured(self, app: App, scope: Message, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests.labels(scope["method"], str(message["status"])).inc()
            await send(message)

        with self._seconds.time():
            await app(scope, receive, noting)

    def text(self) -> bytes:
        """Return the metrics as they are now."""
        with suppress(VolitionError), self._workspaces.borrow() as workspace:
            self._ledger.set(workspace.ledger.size)
            self._owed.set(len(workspace.models.owed()))
        return generate_latest(self._registry)
