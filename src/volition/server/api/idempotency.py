"""Idempotency: the answer to a `POST` with an `Idempotency-Key` is kept for a day, and a repeat gets it again.

It covers `POST` under `/v1` alone, and each user's keys are their own. The same key with another request is an error,
as is a key whose first request is still being answered; a request of another token is another one, unless both act as
the same roles with the same scopes. Kept is only what would be answered again: no failure on the server's side, and no
refusal that may have gone by the next time. A key whose request died with its server can be used again.

What is signed by its sender (Zoom's webhooks) has no keys here: nothing is kept before the signature is looked at.

Source: draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from volition.errors import VolitionError
from volition.server.asgi import App, Message, Receive, Send, read_body
from volition.server.auth import Principal
from volition.server.auth.database import WebDatabase
from volition.server.http_errors import CONFLICT, INVALID_INPUT, UNPROCESSABLE, failure_of, send_problem

if TYPE_CHECKING:
    from volition.server.middleware import RequestContext

KEPT_ANSWERS_US: Final = 24 * 3600 * 1_000_000
"""How long the answer to a write is kept under its idempotency key, microseconds."""

_LONGEST_KEY: Final = 255
_PASSING: Final = frozenset({401, 403, 408, 409, 413, 429})
"""Statuses of refusals that may have gone by the next time."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers (user TEXT NOT NULL, key TEXT NOT NULL, asked TEXT NOT NULL, at_us INTEGER NOT NULL,
                                    status INTEGER, type TEXT, body BLOB, PRIMARY KEY (user, key)) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """The answer to a write under its idempotency key.

    Attributes:
        request: Digest of the request.
        status: The HTTP status; none while the write is being done.
        media_type: Of the body.
        body: The answer itself.
    """

    request: str
    status: int | None
    media_type: str
    body: bytes


class StoredAnswers:
    """Answers to writes, kept in `web.db`; one server at a time keeps them."""

    def __init__(self, database: WebDatabase) -> None:
        """Keep them in `database`; what an earlier server never came to answer is no longer being answered."""
        self._database = database
        database.create(_SCHEMA)
        with database.writing() as db:
            db.execute("DELETE FROM answers WHERE status IS NULL")
        database.forgetters.append(self._forget)

    def _forget(self, names: Collection[str]) -> None:
        """Drop every kept answer that names somebody; its request, sent again, is done again."""
        with self._database.writing() as db:
            kept = db.execute("SELECT user, key, body FROM answers WHERE body IS NOT NULL").fetchall()
            sought = [text for name in names if name for text in (name.encode(), json.dumps(name)[1:-1].encode())]
            naming = [(user, key) for user, key, body in kept if any(text in bytes(body) for text in sought)]
            db.executemany("DELETE FROM answers WHERE user = ? AND key = ?", naming)

    def begin(self, user: str, key: str, request: str) -> StoredAnswer | None:
        """Begin a write under an idempotency key; return what is known of it if it was begun before.

        Args:
            user: Who is asking.
            key: The key.
            request: Digest of the request, so that another request under the same key is noticed.
        """
        now_us = self._database.clock()
        with self._database.writing() as db:
            db.execute("DELETE FROM answers WHERE at_us < ?", (now_us - KEPT_ANSWERS_US,))
            found = db.execute(
                "SELECT asked, status, type, body FROM answers WHERE user = ? AND key = ?", (user, key)
            ).fetchone()
            if found is not None:
                return StoredAnswer(request=found[0], status=found[1], media_type=found[2] or "", body=found[3] or b"")
            db.execute("INSERT INTO answers VALUES (?, ?, ?, ?, NULL, NULL, NULL)", (user, key, request, now_us))
        return None

    def end(self, user: str, key: str, answer: StoredAnswer | None) -> None:
        """Keep the answer to a write; none where it failed and may be sent again."""
        with self._database.writing() as db:
            if answer is None:
                db.execute("DELETE FROM answers WHERE user = ? AND key = ?", (user, key))
            else:
                row = (answer.status, answer.media_type, answer.body, user, key)
                db.execute("UPDATE answers SET status = ?, type = ?, body = ? WHERE user = ? AND key = ?", row)


class Idempotency:
    """ASGI middleware before the API's routes."""

    def __init__(self, app: App, answers: StoredAnswers, *, without: Collection[str] = ()) -> None:
        """Stand before `app`, and keep its answers, but for those of the paths in `without`."""
        self._app = app
        self._answers = answers
        self._without = without

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Give the answer that was kept, or hand the request on."""
        key = next((value for name, value in scope.get("headers", ()) if name == b"idempotency-key"), None)
        context: RequestContext | None = scope.get("volition")
        is_write = scope["type"] == "http" and scope["method"] == "POST"
        is_covered = is_write and scope["path"] not in self._without
        if not is_covered or key is None or context is None or context.who is None:
            await self._app(scope, receive, send)
            return
        if not 1 <= len(key) <= _LONGEST_KEY:
            await send_problem(send, INVALID_INPUT, f"An idempotency key has 1 to {_LONGEST_KEY} characters.")
            return
        try:
            body = await read_body(receive)
        except VolitionError as error:
            await send_problem(send, failure_of(error), str(error))
            return
        request = _digest(scope, context.who, body)
        user, name = context.who.user, key.decode("latin-1")
        known = await run_in_threadpool(self._answers.begin, user, name, request)
        if known is None:
            copy = _Copy(self._app, body, receive, send)
            try:
                await copy.answer(scope)
            finally:
                await run_in_threadpool(self._answers.end, user, name, copy.kept(request))
        elif known.request != request:
            detail = "This idempotency key was used for another request. Choose a new one."
            await send_problem(send, UNPROCESSABLE, detail)
        elif known.status is None:
            detail = "The first request with this idempotency key is still being answered. Wait, then retry."
            await send_problem(send, CONFLICT, detail)
        else:
            headers = [(b"content-type", known.media_type.encode()), (b"idempotency-replayed", b"true")]
            await send({"type": "http.response.start", "status": known.status, "headers": headers})
            await send({"type": "http.response.body", "body": known.body})


def _digest(scope: Message, who: Principal, body: bytes) -> str:
    """Return the digest of a request: what is asked, and as what."""
    acting = [sorted(who.roles), sorted(who.scopes), who.account, who.person]
    parts = (scope["path"].encode("utf-8", "surrogateescape"), scope["query_string"], json.dumps(acting).encode(), body)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


class _Copy:
    """Passes on a request whose body was read already, and copies its answer."""

    def __init__(self, app: App, body: bytes, receive: Receive, send: Send) -> None:
        self._app = app
        self._body: bytes | None = body
        self._receive_more = receive
        self._send_on = send
        self._status = 0
        self._media_type = b""
        self._answer = bytearray()
        self._is_whole = False

    async def answer(self, scope: Message) -> None:
        await self._app(scope, self._receive, self._send)
        self._is_whole = True

    def kept(self, request: str) -> StoredAnswer | None:
        """Return what is to be kept; none where the request may be answered otherwise when it is sent again."""
        if not self._is_whole or not 200 <= self._status < 500 or self._status in _PASSING:
            return None
        return StoredAnswer(
            request=request,
            status=self._status,
            media_type=self._media_type.decode("latin-1"),
            body=bytes(self._answer),
        )

    async def _receive(self) -> Message:
        if self._body is None:
            return await self._receive_more()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._media_type = next((value for name, value in message["headers"] if name == b"content-type"), b"")
        else:
            self._answer.extend(message.get("body", b""))
        await self._send_on(message)
