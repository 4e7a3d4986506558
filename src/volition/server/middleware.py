"""Middleware: what happens to every request before any page or API route. Who is asking, how much, under which headers.

ASGI middleware, without a framework. What it guarantees for every request:

- A request with an `Authorization` header is judged by that alone, and never falls back to the session's cookie.
- A request that changes something and carries a session cookie must come from our own pages (protection against
  cross-site request forgery, CSRF): `Sec-Fetch-Site` says so or, in browsers too old for it, `Origin`. A cookie with
  neither header is refused. That is why no form carries a CSRF token.
- A body larger than the limit is refused, whether its length was announced or not.
- Every answer carries a content security policy (CSP) that allows nothing from elsewhere and nothing inline, and no
  shared cache keeps it unless it is a static file.

`scope["volition"]` holds a `RequestContext` for those that come after.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from volition.canonical import whole_number
from volition.errors import VolitionError
from volition.server.asgi import LARGEST_BODY, App, Message, Receive, Send
from volition.server.auth import Access, Principal
from volition.server.http_errors import (
    CROSS_SITE,
    TOO_LARGE,
    UNAUTHORIZED,
    Failure,
    HttpError,
    failure_of,
    send_problem,
)

SESSION_COOKIE: Final = "volition"
OIDC_COOKIE: Final = "volition-trip"
"""What a browser keeps while it is at an OpenID provider."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

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
        oidc_state: What was kept in the browser while it is at an OpenID provider; none otherwise.
        address: The client's address, by which sign-ins are counted.
        is_secure: Whether it came by https.
    """

    who: Principal | None
    session: str | None
    oidc_state: str | None
    address: str
    is_secure: bool


Refuse = Callable[[Send, Failure, str], Awaitable[None]]
"""Answers a request that fails before any route: with problem details, or with a page."""


class SecurityMiddleware:
    """Stands before an application."""

    def __init__(
        self, app: App, access: Access, *, refuse: Refuse = send_problem, largest_body: int = LARGEST_BODY
    ) -> None:
        """Stand before `app`; `access` knows who may come in, and `refuse` answers the others."""
        self._app = app
        self._access = access
        self._refuse = refuse
        self._largest_body = largest_body

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Check one request, and hand it on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        answer = _with_headers(send, is_secure=scope.get("scheme") == "https")
        try:
            scope["volition"] = self._context(scope, headers)
        except VolitionError as error:
            await self._refuse(answer, failure_of(error), str(error))
            return
        length = whole_number(headers.get("content-length", "0"))
        if length is None or length > self._largest_body:
            await self._refuse(answer, TOO_LARGE, f"A request holds at most {self._largest_body:,} bytes.")
            return
        await self._app(scope, self._counted(receive), answer)

    def _context(self, scope: Message, headers: dict[str, str]) -> RequestContext:
        """Find out who is asking.

        Raises:
            HttpError: The token is not valid, or the request was sent from another site.
        """
        address, is_secure = (scope.get("client") or ("",))[0], scope.get("scheme") == "https"
        authorization = headers.get("authorization")
        if authorization is not None:
            kind, _, secret = authorization.partition(" ")
            who = self._access.tokens.find(secret.strip()) if kind.lower() == "bearer" else None
            if who is None:
                detail = "This token is not valid here: it has expired, was revoked, or never existed."
                raise HttpError(UNAUTHORIZED, detail)
            return RequestContext(who=who, session=None, oidc_state=None, address=address, is_secure=is_secure)
        cookies = headers.get("cookie", "")
        session, oidc_state = _cookie(cookies, SESSION_COOKIE), _cookie(cookies, OIDC_COOKIE)
        if scope["method"] not in SAFE_METHODS and not _is_same_site(headers, has_cookie=session is not None):
            detail = "This request came from another site, so nothing was done. Open the page here and try again."
            raise HttpError(CROSS_SITE, detail)
        who = None if session is None else self._access.sessions.find(session)
        session = session if who else None
        return RequestContext(who=who, session=session, oidc_state=oidc_state, address=address, is_secure=is_secure)

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
