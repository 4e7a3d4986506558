"""How a request fails over HTTP: one table, for the middleware, the API and the pages alike.

Each way of failing has a status, a stable identifier (the `type` of problem details, RFC 9457) and the standard title
of its status. What happened, and what to do about it, is the sentence in `detail`. The API answers with
`application/problem+json`; a page shows the same title and sentence.

    {"type": "urn:volition:problem:conflict", "title": "Conflict", "status": 409, "detail": "There is a user ..."}
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from volition.errors import (
    BackendError,
    BusyError,
    ConflictError,
    InvalidInputError,
    ProofError,
    RefusedError,
    VolitionError,
)
from volition.server.asgi import Send
from volition.workspace.pool import OverloadedError

MEDIA_TYPE: Final = "application/problem+json"

# RFC 9110's names, where Python before 3.13 has older ones.
_RENAMED: Final = {413: "Content Too Large", 422: "Unprocessable Content"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One way in which a request fails.

    Attributes:
        status: The HTTP status.
        name: What its identifier ends with.
        retry_after_s: After how many seconds the same request may be sent again; none where that would not help.
    """

    status: int
    name: str
    retry_after_s: int | None = None

    @property
    def type(self) -> str:
        """The identifier by which programs recognise it."""
        return f"urn:volition:problem:{self.name}"

    @property
    def title(self) -> str:
        """The standard title of its status (RFC 9110)."""
        return _RENAMED.get(self.status) or HTTPStatus(self.status).phrase

    @property
    def headers(self) -> dict[str, str]:
        """The headers that its answer has beside those of every answer."""
        found = {"www-authenticate": "Bearer"} if self.status == HTTPStatus.UNAUTHORIZED else {}
        if self.retry_after_s is not None:
            found["retry-after"] = str(self.retry_after_s)
        return found


INVALID_INPUT: Final = Failure(status=400, name="invalid-input")
UNAUTHORIZED: Final = Failure(status=401, name="unauthorized")
FORBIDDEN: Final = Failure(status=403, name="forbidden")
"""The role or the token's scope is not one that may do this."""
CROSS_SITE: Final = Failure(status=403, name="cross-site")
"""A form sent from another site (cross-site request forgery, CSRF)."""
REFUSED: Final = Failure(status=403, name="refused")
"""Consent, a budget or an audit says no."""
NOT_FOUND: Final = Failure(status=404, name="not-found")
METHOD_NOT_ALLOWED: Final = Failure(status=405, name="method-not-allowed")
TIMEOUT: Final = Failure(status=408, name="timeout")
"""The body came too slowly."""
CONFLICT: Final = Failure(status=409, name="conflict")
GONE: Final = Failure(status=410, name="gone")
"""A cursor of another log, or of what this log does not have any more."""
TOO_LARGE: Final = Failure(status=413, name="too-large")
UNSUPPORTED: Final = Failure(status=415, name="unsupported")
UNPROCESSABLE: Final = Failure(status=422, name="unprocessable")
TOO_MANY: Final = Failure(status=429, name="too-many", retry_after_s=60)
PROOF: Final = Failure(status=500, name="proof")
"""Evidence does not verify."""
UNEXPECTED: Final = Failure(status=500, name="unexpected")
BACKEND: Final = Failure(status=503, name="backend", retry_after_s=10)
"""A store or an engine failed."""
BUSY: Final = Failure(status=503, name="busy", retry_after_s=1)
"""Somebody else holds what is needed, or too much waits: nothing was changed, retry."""
OVERLOADED: Final = Failure(status=503, name="overloaded", retry_after_s=1)
"""Too much is being done already. Nothing of the request was."""

FAILURES: Final = (
    INVALID_INPUT,
    UNAUTHORIZED,
    FORBIDDEN,
    CROSS_SITE,
    REFUSED,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    TIMEOUT,
    CONFLICT,
    GONE,
    TOO_LARGE,
    UNSUPPORTED,
    UNPROCESSABLE,
    TOO_MANY,
    PROOF,
    UNEXPECTED,
    BACKEND,
    BUSY,
    OVERLOADED,
)
"""Every way of failing; docs/api.md lists them."""

_OF_ERRORS: Final = (
    (InvalidInputError, INVALID_INPUT),
    (RefusedError, REFUSED),
    (ProofError, PROOF),
    (BusyError, BUSY),
    (ConflictError, CONFLICT),
    (OverloadedError, OVERLOADED),
    (BackendError, BACKEND),
)
_OF_STATUSES: Final = {
    failure.status: failure for failure in (UNAUTHORIZED, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, TOO_LARGE)
}


class HttpError(VolitionError):
    """A request that fails in a way of HTTP's own, such as a missing token."""

    def __init__(self, failure: Failure, detail: str) -> None:
        """Say how it fails, and why."""
        super().__init__(detail)
        self.failure = failure


def failure_of(error: VolitionError) -> Failure:
    """Return how a request fails that raised `error`."""
    if isinstance(error, HttpError):
        return error.failure
    return next((failure for kind, failure in _OF_ERRORS if isinstance(error, kind)), UNEXPECTED)


def failure_of_status(status: int) -> Failure:
    """Return how a request fails that a web framework answers with a status of its own."""
    if status in _OF_STATUSES:
        return _OF_STATUSES[status]
    return INVALID_INPUT if 400 <= status < 500 else UNEXPECTED


def problem(failure: Failure, detail: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Return the problem details (RFC 9457) of a failure."""
    return {"type": failure.type, "title": failure.title, "status": failure.status, "detail": detail, **more}


async def send_problem(send: Send, failure: Failure, detail: str) -> None:
    """Answer a request with problem details, without any framework."""
    body = json.dumps(problem(failure, detail)).encode()
    await send_failure(send, failure, body, MEDIA_TYPE)


async def send_failure(send: Send, failure: Failure, body: bytes, media_type: str) -> None:
    """Answer a request with a document that says how it failed, without any framework."""
    headers = {"content-type": media_type, "content-length": str(len(body)), **failure.headers}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": failure.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
