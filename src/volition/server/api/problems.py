"""Problem details (RFC 9457): how the API tells a failure, whatever raised it."""

import json
from typing import Any, Final

from volition.errors import InvalidInputError
from volition.server.http_errors import Failure
from volition.server.middleware import LARGEST_BODY, Receive, Send

MEDIA_TYPE: Final = "application/problem+json"
UNAUTHORIZED: Final = Failure(status=401, kind="unauthorized", title="Who asks is not known")
NOT_FOUND: Final = Failure(status=404, kind="not-found", title="There is no such thing")
UNSUPPORTED: Final = Failure(status=415, kind="unsupported", title="That form is not taken here")
UNPROCESSABLE: Final = Failure(status=422, kind="invalid-input", title="That does not have the form it needs")


def problem(failure: Failure, detail: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Return a problem's document."""
    told = {"type": f"urn:volition:problem:{failure.kind}", "title": failure.title, "status": failure.status}
    return {**told, "detail": detail, **more}


async def tell(send: Send, failure: Failure, detail: str) -> None:
    """Answer a request with a problem, without any framework."""
    body = json.dumps(problem(failure, detail)).encode()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if failure.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": failure.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive) -> bytes:
    """Read the whole body of a request.

    Raises:
        InvalidInputError: The client went away, or sent more than it may.
    """
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInputError(f"The request broke off, or held more than {LARGEST_BODY:,} bytes.")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts) if len(parts) > 1 else parts[0]
