"""Middleware: what happens to every request before any page or API route. Who is asking, how much, under which headers.

ASGI middleware, without a framework. What it guarantees for every request:

- A request with an `Authorization` header is judged by that alone, and never falls back to the session's cookie.
- A request that changes something and carries a session cookie must come from our own pages (protection against
  cross-site request forgery, CSRF): `Sec-Fetch-Site` says so or, in browsers too old for it, `Origin`. A cookie with
  neither header is refused. That is why no form carries a CSRF token.
- Its body is read when it is known who asks, and no more of it than they may send to this address (`bodies`).
- An embed token (`auth.embeds`) reaches `EMBEDDED` and nothing else, from pages of its one origin; only pages of an
  origin for which one is good may read what those paths answer (cross-origin resource sharing, CORS).
- Every answer carries a content security policy (CSP) that allows nothing from elsewhere and nothing inline, and no
  shared cache keeps it unless it is a static file.

`scope["volition"]` holds a `RequestContext` for those that come after.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from volition.canonical import whole_number
from volition.errors import VolitionError
from volition.server.asgi import App, Message, Receive, Send
from volition.server.auth import Access, Principal
from volition.server.auth.embeds import PREFIX
from volition.server.bodies import Bodies, replayed
from volition.server.clients import Clients, is_forwarded
from volition.server.http_errors import (
    CROSS_SITE,
    INVALID_INPUT,
    UNAUTHORIZED,
    Failure,
    HttpError,
    failure_of,
    send_problem,
)
from volition.server.settings import ServerSettings

SESSION_COOKIE: Final = "volition"
TRIP_COOKIE: Final = "volition-trip"
"""What a browser keeps while its user is on the way in: at an OpenID provider, or asked for a second factor."""

DEVICE_COOKIE: Final = "volition-known"
"""What a browser keeps in which somebody signed in before (`auth.devices`)."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

EMBEDDED: Final = frozenset({"/v1/settings"})
"""What an embed token reaches."""

_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, idempotency-key"),
    (b"access-control-max-age", b"60"),
)

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
class RequestContext:
    """What is known of a request before its route runs.

    Attributes:
        who: Who is asking; none if nobody signed in.
        session: The session's secret; none without one.
        trip: What was kept in the browser while its user is on the way in; none otherwise.
        address: The client's address, by which sign-ins are counted (`clients`).
        is_secure: Whether it came by https.
        device: What was kept in a browser in which somebody signed in before; none otherwise.
        is_forwarded: Whether anything says that it passed a proxy, trusted or not.
    """

    who: Principal | None
    session: str | None
    trip: str | None
    address: str
    is_secure: bool
    device: str | None = None
    is_forwarded: bool = False


Refuse = Callable[[Send, Failure, str], Awaitable[None]]
"""Answers a request that fails before any route: with problem details, or with a page."""

Largest = Callable[[str, Principal | None], int]
"""Returns how long a body may be that somebody sends to a path, bytes; raises HttpError where they may send none."""


class SecurityMiddleware:
    """Stands before an application."""

    def __init__(  # noqa: PLR0913 - what it needs to know of each request
        self,
        app: App,
        access: Access,
        *,
        bodies: Bodies,
        largest: Largest,
        refuse: Refuse = send_problem,
        settings: ServerSettings = ServerSettings(),  # noqa: B008 - frozen
    ) -> None:
        """Stand before `app`.

        Args:
            app: What answers those who may come in.
            access: Knows who may.
            bodies: Reads what they send.
            largest: Says how much that may be.
            refuse: Answers the others.
            settings: Which proxies are believed.
        """
        self._clients = Clients(settings)
        self._app = app
        self._access = access
        self._bodies = bodies
        self._largest = largest
        self._refuse = refuse

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Check one request, and hand it on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        peer = (scope.get("client") or ("",))[0]
        is_secure = self._clients.is_secure(scope.get("scheme", ""), peer, headers)
        answer = _with_headers(send, is_secure=is_secure)
        if scope["path"] in EMBEDDED:
            origin = headers.get("origin")
            is_known = origin is not None and self._access.embeds.is_known(origin)
            answer = _readable_by(answer, origin if is_known else None)
            if scope["method"] == "OPTIONS" and is_known and "access-control-request-method" in headers:
                await answer({"type": "http.response.start", "status": 204, "headers": [*_PREFLIGHT]})
                await answer({"type": "http.response.body", "body": b""})
                return
        try:
            scope["volition"] = self._context(scope, headers, peer, is_secure=is_secure)
        except VolitionError as error:
            await self._refuse(answer, failure_of(error), str(error))
            return
        if scope["method"] in SAFE_METHODS:  # nothing reads a body of theirs
            await self._app(scope, receive, answer)
            return
        async with AsyncExitStack() as held:
            try:
                announced = _announced(headers)
                largest = self._largest(scope["path"], scope["volition"].who)
                body = await held.enter_async_context(self._bodies.read(receive, announced=announced, largest=largest))
            except VolitionError as error:
                await self._refuse(answer, failure_of(error), str(error))
                return
            await self._app(scope, replayed(body, receive), answer)

    def _context(self, scope: Message, headers: dict[str, str], peer: str, *, is_secure: bool) -> RequestContext:
        """Find out who is asking.

        Raises:
            HttpError: The token is not valid, or the request was sent from another site.
        """
        seen = RequestContext(
            who=None,
            session=None,
            trip=None,
            address=self._clients.address(peer, headers),
            is_secure=is_secure,
            is_forwarded=is_forwarded(headers),
        )
        authorization = headers.get("authorization")
        if authorization is not None:
            kind, _, secret = authorization.partition(" ")
            who = self._bearer(secret.strip(), scope["path"], headers) if kind.lower() == "bearer" else None
            if who is None:
                detail = "This token is not valid here: it has expired, was revoked, or never existed."
                raise HttpError(UNAUTHORIZED, detail)
            return replace(seen, who=who)
        kept = [
            _cookie(headers.get("cookie", ""), cookie_name(name, is_secure=is_secure))
            for name in (SESSION_COOKIE, TRIP_COOKIE, DEVICE_COOKIE)
        ]
        session, trip, device = kept
        if scope["method"] not in SAFE_METHODS and not _is_same_site(headers, has_cookie=session is not None):
            detail = "This request came from another site, so nothing was done. Open the page here and try again."
            raise HttpError(CROSS_SITE, detail)
        who = None if session is None else self._access.sessions.find(session)
        return replace(seen, who=who, session=session if who else None, trip=trip, device=device)

    def _bearer(self, secret: str, path: str, headers: dict[str, str]) -> Principal | None:
        """Return who is asking by a token; none if it is not good, or not here."""
        if not secret.startswith(PREFIX):
            return self._access.tokens.find(secret)
        return self._access.embeds.find(secret, origin=headers.get("origin")) if path in EMBEDDED else None


def _readable_by(send: Send, origin: str | None) -> Send:
    """Return what sends an answer that pages of an origin may read; none for those of no other site."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            allowed = [] if origin is None else [(b"access-control-allow-origin", origin.encode("latin-1"))]
            message["headers"] = [*message["headers"], *allowed, (b"vary", b"Origin")]
        await send(message)

    return sending


def _announced(headers: dict[str, str]) -> int:
    """Return how long a body says to be. Raises HttpError where that is no length."""
    length = whole_number(headers.get("content-length", "0"))
    if length is None:
        raise HttpError(INVALID_INPUT, "The header Content-Length is no number of bytes.")
    return length


def cookie_name(name: str, *, is_secure: bool) -> str:
    """Return the name under which a cookie is kept.

    Over https it begins with `__Host-`, so a browser takes it from this host alone, by https, for every path: no other
    host of the same domain, and nobody on the network, can put one there (RFC 6265bis, section 4.1.3.2).
    """
    return f"__Host-{name}" if is_secure else name


def _headers(scope: Message) -> dict[str, str]:
    """Return the headers by their names in lower case; of those by which proxies speak, repeated ones are joined."""
    found: dict[str, str] = {}
    for key, value in scope["headers"]:
        name, said = key.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]},{said}" if name in found and name.startswith("x-forwarded-") else said
    return found


def _is_same_site(headers: dict[str, str], *, has_cookie: bool) -> bool:
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
