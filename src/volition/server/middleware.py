"""The door of the server, before any page or API route: who asks, from where, how much, and under which headers.

ASGI middleware, without a framework. What it guarantees for every request:

- A request with an `Authorization` header is judged by that alone, and never falls back to the session's cookie.
- What changes something and rides on a cookie must come from our own pages: `Sec-Fetch-Site` or, from browsers too old
  for it, `Origin`. A cookie with neither header is refused. So no form carries a token against forgery.
- A body larger than the limit is refused, whether its length was announced or not.
- Every answer carries a content security policy that allows nothing from elsewhere and nothing inline, and is kept by
  no shared cache unless it is a file of ours.

`scope["volition"]` holds an `Asked`: who asks, and the session's secret, for those that come after.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import urlsplit

from volition.server.auth import Access, Who

# An ASGI application, and what it is called with.
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

COOKIE: Final = "volition"
TRIP: Final = "volition-trip"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LARGEST_BODY: Final = 64 << 20
"""Bytes; what OTLP clients may send at once."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; media-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), browsing-topics=()"),
)
_SECURE: Final = (b"strict-transport-security", b"max-age=31536000")
_PRIVATE: Final = (b"cache-control", b"no-store")
_ADDED: Final = (*HEADERS, _PRIVATE)
_ADDED_SECURE: Final = (*HEADERS, _SECURE, _PRIVATE)
_OURS: Final = frozenset(name for name, _ in _ADDED_SECURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the door knows of a request.

    Attributes:
        who: Who asks; none if nobody signed in.
        session: The session's secret; none without one.
        trip: What was kept in the browser while it is at an OpenID provider; none otherwise.
        address: The client's address, by which sign-ins are counted.
        is_secure: Whether it came by https.
    """

    who: Who | None
    session: str | None
    trip: str | None
    address: str
    is_secure: bool


class Guard:
    """Stands before the application."""

    def __init__(self, app: App, access: Access, *, largest_body: int = LARGEST_BODY) -> None:
        """Guard `app`; `access` knows who may come in."""
        self._app = app
        self._access = access
        self._largest_body = largest_body

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Judge one request, and hand it on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        is_secure = scope.get("scheme") == "https"
        answer = _with_headers(send, is_secure=is_secure)
        asked, refusal = self._judge(scope, headers, is_secure=is_secure)
        if refusal is not None:
            await _refuse(answer, *refusal)
            return
        scope["volition"] = asked
        told = headers.get("content-length", "0")
        if not told.isdecimal() or int(told) > self._largest_body:
            await _refuse(answer, 413, "too-large", f"A request holds at most {self._largest_body:,} bytes.")
            return
        await self._app(scope, self._counted(receive), answer)

    def _judge(
        self, scope: Message, headers: dict[str, str], *, is_secure: bool
    ) -> tuple[Asked | None, tuple[int, str, str] | None]:
        address = (scope.get("client") or ("",))[0]
        authorization = headers.get("authorization")
        if authorization is not None:
            kind, _, secret = authorization.partition(" ")
            who = self._access.of_token(secret.strip()) if kind.lower() == "bearer" else None
            if who is None:
                return None, (401, "unauthorized", "This token is not valid here: it ended, or never was.")
            return Asked(who=who, session=None, trip=None, address=address, is_secure=is_secure), None
        cookies = headers.get("cookie", "")
        session, trip = _cookie(cookies, COOKIE), _cookie(cookies, TRIP)
        if scope["method"] not in SAFE and not _is_ours(headers, has_cookie=session is not None):
            told = "This was sent from another site, so it was not done. Open the page here and try again."
            return None, (403, "cross-site", told)
        who = None if session is None else self._access.of_session(session)
        session = session if who else None
        return Asked(who=who, session=session, trip=trip, address=address, is_secure=is_secure), None

    def _counted(self, receive: Receive) -> Receive:
        left = self._largest_body

        async def counting() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                return {"type": "http.disconnect"}
            return message

        return counting


def _is_ours(headers: dict[str, str], *, has_cookie: bool) -> bool:
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in {"same-origin", "none"}
    if origin is not None:
        return urlsplit(origin).netloc == headers.get("host")
    return not has_cookie


def _cookie(header: str, name: str) -> str | None:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return None
    return found.value if found is not None and found.value else None


def _with_headers(send: Send, *, is_secure: bool) -> Send:
    added = _ADDED_SECURE if is_secure else _ADDED

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            there = {name.lower() for name, _ in headers} & _OURS
            more = [header for header in added if header[0] not in there] if there else added
            message["headers"] = [*headers, *more]
        await send(message)

    return sending


async def _refuse(send: Send, status: int, kind: str, detail: str) -> None:
    body = json.dumps({"type": f"urn:volition:{kind}", "title": kind, "status": status, "detail": detail}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
