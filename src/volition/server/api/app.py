"""The API as one application: its routes, its failures as problem details, its OpenAPI document, health and metrics."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from volition import canonical
from volition.errors import VolitionError
from volition.server.api import (
    changes,
    decisions,
    embeds,
    exclusions,
    forgettings,
    ingest,
    ledger,
    limits,
    models,
    parties,
    recordings,
    rights,
    runs,
    sharings,
    snapshots,
    summaries,
    switches,
    terms,
    weigh,
)
from volition.server.api.health import Health
from volition.server.api.idempotency import Idempotency, StoredAnswers
from volition.server.api.may import May
from volition.server.api.schemas import ProblemDetails
from volition.server.api.security import requires
from volition.server.api.webhooks import Webhooks
from volition.server.asgi import Message, Receive, Send
from volition.server.auth import STAFF, Access, Principal, Scope
from volition.server.changes import ChangeWaiters
from volition.server.followers import Followers
from volition.server.http_errors import (
    MEDIA_TYPE,
    UNAUTHORIZED,
    UNEXPECTED,
    UNPROCESSABLE,
    Failure,
    HttpError,
    failure_of,
    failure_of_status,
    problem,
)
from volition.server.jobs import Jobs
from volition.server.lanes import Lanes
from volition.server.metrics import MEDIA_TYPE as METRICS_TYPE
from volition.server.metrics import Metrics
from volition.server.observing import route_of
from volition.server.reading import NOBODY
from volition.server.settings import ServerSettings
from volition.workspace.pool import Lane

PATHS: Final = ("/v1/", "/healthz", "/readyz", "/metrics", "/.well-known/gpc.json")
"""Paths that begin like this belong to the API."""

_MAY: Final = "/v1/may"
_SIGNED: Final = frozenset({"/v1/webhooks/zoom"})
"""What takes something from those who have not signed in, since it is signed itself."""

_UPLOADS: Final = {"/v1/logs": Scope.COLLECT, "/v1/traces": Scope.COLLECT, _MAY: Scope.MAY}
"""What takes more than a document, from staff who have the scope."""

_STARTED: Final = datetime.now(UTC).date().isoformat()
_ROUTES: Final = (
    terms,
    parties,
    decisions,
    switches,
    embeds,
    limits,
    exclusions,
    sharings,
    recordings,
    summaries,
    ledger,
    changes,
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

    def __init__(  # noqa: PLR0913 - what answers are made from
        self,
        *,
        access: Access,
        lanes: Lanes,
        jobs: Jobs,
        followers: Followers,
        change_waiters: ChangeWaiters,
        settings: ServerSettings,
        metrics: Metrics,
        has_worker: bool,
        takes_telemetry: Callable[[], bool] = lambda: True,
    ) -> None:
        """Put it together; `middleware.SecurityMiddleware` stands before it.

        `has_worker`: whether it does its jobs; `takes_telemetry`: whether what takes in telemetry is well.
        """
        self._limits = settings.limits
        self._may = May(lanes)
        self._webhooks = Webhooks(
            settings.webhooks,
            database=access.database,
            workspaces=lanes.workspaces,
            clock=canonical.now_us,
            trust_env=settings.uses_environment_proxies,
        )
        health = Health(lanes, jobs=jobs if has_worker else None, takes_telemetry=takes_telemetry)
        self.app = _application(
            access=access,
            lanes=lanes,
            jobs=jobs,
            followers=followers,
            change_waiters=change_waiters,
            settings=settings,
            metrics=metrics,
            health=health,
        )
        self._rest = Idempotency(self.app, StoredAnswers(access.database), without=_SIGNED)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == _MAY and scope["method"] == "POST":
            scope["volition.route"] = _MAY
            await self._may(scope, receive, send)
            return
        await self._rest(scope, receive, send)

    def largest(self, path: str, who: Principal | None) -> int:
        """Return how long a body may be that somebody sends to a path, bytes.

        Raises:
            HttpError: Nobody signed in, and what is sent there is taken from those alone who did.
        """
        if who is None:
            if path in _SIGNED:
                return self._limits.json_bytes
            raise HttpError(UNAUTHORIZED, "Send a token: Authorization: Bearer vol_...")
        may_upload = _UPLOADS.get(path) in who.scopes and who.is_any(STAFF)
        return self._limits.upload_bytes if may_upload else self._limits.json_bytes

    def close(self) -> None:
        """Stop the webhooks, and let go of the leases."""
        self._webhooks.close()
        self._may.close()


def _application(  # noqa: PLR0913 - what answers are made from
    *,
    access: Access,
    lanes: Lanes,
    jobs: Jobs,
    followers: Followers,
    change_waiters: ChangeWaiters,
    settings: ServerSettings,
    metrics: Metrics,
    health: Health,
) -> FastAPI:
    app = FastAPI(title="Volition", version="1", openapi_url=None, docs_url=None, redoc_url=None)
    app.router.redirect_slashes = False  # it would answer with whatever host the request names
    app.state.lanes, app.state.jobs, app.state.followers, app.state.settings = lanes, jobs, followers, settings
    app.state.access, app.state.change_waiters = access, change_waiters
    for module in _ROUTES:
        app.include_router(module.routes, responses={"4XX": _PROBLEM, "5XX": _PROBLEM})
    _add_operations(app, lanes, metrics, health)
    app.add_exception_handler(VolitionError, _failed)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    return app


def _add_operations(app: FastAPI, lanes: Lanes, metrics: Metrics, health: Health) -> None:
    """Add what operators and their tools ask for: the document, health, metrics."""
    document: dict[str, Any] = {}

    @app.get("/v1/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:
        if not document:
            document.update(_document(app))
        return JSONResponse(document)

    @app.get("/healthz", include_in_schema=False)
    async def healthy() -> JSONResponse:
        trouble = await health.trouble()
        return JSONResponse({"status": trouble or "ok"}, status_code=503 if trouble else 200)

    @app.get("/readyz", include_in_schema=False)
    async def ready() -> JSONResponse:
        try:
            await lanes.run(Lane.READING, lambda workspace: workspace.ledger.size)
        except VolitionError as error:
            _log.warning("Not ready: %s", error)
            return JSONResponse({"status": "not ready"}, status_code=503)
        trouble = await health.trouble_beside()  # it is told, and people go on being answered: a no waits for no worker
        return JSONResponse({"status": "ok"} | ({"trouble": trouble} if trouble else {}))  # nothing that grows: it
        # would date a decision for strangers

    @app.get("/metrics", include_in_schema=False)
    def show_metrics(_: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)]) -> Response:
        return Response(
            metrics.text(), media_type=METRICS_TYPE
        )  # in a thread of no queue: asked most when all are full

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


_VERDICT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["permitted", "reason"],
    "properties": {
        "permitted": {"type": "boolean"},
        "reason": {"type": ["string", "null"], "description": "Why not; null where it is permitted."},
        "party": {"type": ["string", "null"], "description": "On whom it depends; for auditors and operators."},
        "since": {"type": ["string", "null"], "description": "Likewise."},
        "good_for_ms": {"type": "integer", "description": "For how long it may be repeated; where `hold` asked."},
    },
}


def _document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document: FastAPI's, and the one route that works without FastAPI."""
    document = get_openapi(title="Volition", version="1", openapi_version="3.1.0", routes=app.routes)
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    hold = {
        "type": "boolean",
        "description": "Whether to say in `good_for_ms` for how long the answer may be repeated.",
    }
    purpose = {"purpose": {"type": "string"}, "hold": hold}
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
    verdicts = {
        "type": "object",
        "required": ["answers"],
        "properties": {"answers": {"type": "array", "items": _VERDICT}},
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
                    "content": {"application/json": {"schema": {"oneOf": [_VERDICT, verdicts]}}},
                },
                "4XX": _PROBLEM,
                "5XX": _PROBLEM,
            },
        }
    }
    return document


def _problem(failure: Failure, detail: str, **more: Any) -> JSONResponse:  # noqa: ANN401 - any JSON value
    return JSONResponse(
        problem(failure, detail, **more), status_code=failure.status, media_type=MEDIA_TYPE, headers=failure.headers
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
    _log.error("%s %s failed", request.method, route_of(request.scope), exc_info=error)
    return _problem(
        UNEXPECTED, "The server failed, and nothing was done by halves. The operator finds the reason in the log."
    )
