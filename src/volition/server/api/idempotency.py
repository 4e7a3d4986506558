"""Writes that may be sent again: the answer under an `Idempotency-Key` is kept for a day and given again.

It counts for `POST` under `/v1` alone, and for one user. The same key with another request is an error, as is a key
whose first request has not been answered yet. What failed for our own sake is not kept, so it may be tried again.

Source: draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from volition.errors import VolitionError
from volition.server.api.problems import UNPROCESSABLE, read_body, tell
from volition.server.auth import Access, Kept
from volition.server.http_errors import CONFLICT, INVALID, failure_of
from volition.server.middleware import App, Message, Receive, Send

if TYPE_CHECKING:
    from volition.server.middleware import Asked

_LONGEST_KEY: Final = 255


class Repeats:
    """Stands before the API's routes."""

    def __init__(self, app: App, access: Access) -> None:
        """Stand before `app`; `access` keeps the answers."""
        self._app = app
        self._access = access

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer again, or hand on."""
        key = next((value for name, value in scope.get("headers", ()) if name == b"idempotency-key"), None)
        asked: Asked | None = scope.get("volition")
        if scope["type"] != "http" or scope["method"] != "POST" or key is None or asked is None or asked.who is None:
            await self._app(scope, receive, send)
            return
        if not 1 <= len(key) <= _LONGEST_KEY:
            await tell(send, INVALID, f"An idempotency key has 1 to {_LONGEST_KEY} characters.")
            return
        try:
            body = await read_body(receive)
        except VolitionError as error:
            await tell(send, failure_of(error), str(error))
            return
        what = hashlib.sha256(scope["path"].encode() + b"\0" + scope["query_string"] + b"\0" + body).hexdigest()
        user, named = asked.who.user, key.decode("latin-1")
        kept = await run_in_threadpool(self._access.begin_write, user, named, what)
        if kept is None:
            await self._do(user, named, what, body, scope, receive, send)
        elif kept.asked != what:
            await tell(send, UNPROCESSABLE, "This idempotency key was used for another request. Take a new one.")
        elif kept.status is None:
            await tell(
                send, CONFLICT, "The first request with this idempotency key is not answered yet. Wait, then retry."
            )
        else:
            headers = [(b"content-type", kept.type.encode()), (b"idempotency-replayed", b"true")]
            await send({"type": "http.response.start", "status": kept.status, "headers": headers})
            await send({"type": "http.response.body", "body": kept.body})

    async def _do(  # noqa: PLR0913, PLR0917 - the request, taken apart
        self,
        user: str,
        key: str,
        what: str,
        body: bytes,
        scope: Message,
        receive: Receive,
        send: Send,
    ) -> None:
        status, kind, answer = 500, b"", bytearray()
        is_read = False

        async def replay() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def copy(message: Message) -> None:
            nonlocal status, kind
            if message["type"] == "http.response.start":
                status = message["status"]
                kind = next((value for name, value in message["headers"] if name == b"content-type"), b"")
            else:
                answer.extend(message.get("body", b""))
            await send(message)

        keep: Kept | None = None
        try:
            await self._app(scope, replay, copy)
            if status < 500:
                keep = Kept(asked=what, status=status, type=kind.decode("latin-1"), body=bytes(answer))
        finally:
            await run_in_threadpool(self._access.end_write, user, key, keep)
