"""From a request to a page: find it, check the role, run its function in a thread, render what it returns.

A new module of pages is added to `MODULES`; nothing else is needed here.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cache, lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from volition.errors import VolitionError
from volition.server.asgi import Send
from volition.server.auth import SESSION_US, Access, Principal, check_guest
from volition.server.http_errors import (
    FORBIDDEN,
    NOT_FOUND,
    TOO_LARGE,
    UNAUTHORIZED,
    UNEXPECTED,
    Failure,
    failure_of,
    failure_of_status,
)
from volition.server.jobs import Jobs
from volition.server.middleware import OIDC_COOKIE, SESSION_COOKIE, Refuse, RequestContext
from volition.server.notices.outbox import Outbox
from volition.server.notices.shown import ShownNotices
from volition.server.settings import ServerSettings
from volition.server.web import announced
from volition.server.web import labels as words
from volition.server.web.account import limits as account_limits
from volition.server.web.account import people as account_people
from volition.server.web.account import settings as account_settings
from volition.server.web.account import terms as account_terms
from volition.server.web.console import evidence, forgettings, home, lake, ledger, runs, snapshots
from volition.server.web.console import guests as console_guests
from volition.server.web.console import models as console_models
from volition.server.web.console import people as console_people
from volition.server.web.console import terms as console_terms
from volition.server.web.features import chat, meetings, recommendations, search, sharing
from volition.server.web.page import (
    AREAS,
    NOBODY,
    Chrome,
    Download,
    Link,
    Live,
    Notice,
    PageRoute,
    Redirect,
    Undo,
    Visit,
)
from volition.server.web.person import (
    consistency,
    excluding,
    guests,
    holdings,
    looked,
    models,
    receipts,
    requests,
    settings,
    terms,
    weigh,
)
from volition.server.web.problem import ProblemPage
from volition.server.web.signin import oidc, password
from volition.workspace.pool import MOST, Workspaces

MODULES: Final = (
    announced,
    password,
    oidc,
    settings,
    weigh,
    holdings,
    looked,
    models,
    receipts,
    consistency,
    requests,
    terms,
    excluding,
    guests,
    home,
    ledger,
    evidence,
    console_people,
    lake,
    snapshots,
    runs,
    console_models,
    forgettings,
    console_guests,
    account_settings,
    account_limits,
    account_people,
    sharing,
    console_terms,
    account_terms,
    meetings,
    chat,
    search,
    recommendations,
)
"""Every module of pages; each has `pages`."""

PAGES: Final[Sequence[PageRoute]] = tuple(page for module in MODULES for page in module.pages)

_IN_ORDER: Final = sorted(
    (page for page in PAGES if page.nav is not None), key=lambda page: page.nav.place if page.nav else 0
)
"""The pages of the navigation."""

_STATIC: Final = Path(str(resources.files("volition.server.web") / "static"))
_VERIFY: Final = Path(str(resources.files("volition.server.web") / "verify"))
_LARGEST_FORM: Final = 1 << 20
_OIDC_S: Final = 600
_log = logging.getLogger(__name__)


def application(  # noqa: PLR0913 - what pages are made from
    *,
    access: Access,
    shown: ShownNotices,
    outbox: Outbox,
    workspaces: Workspaces,
    jobs: Jobs,
    settings: ServerSettings,
) -> Starlette:
    """Return the pages as an ASGI application; `middleware.SecurityMiddleware` stands before it."""
    site = _Site(access=access, shown=shown, outbox=outbox, workspaces=workspaces, jobs=jobs, settings=settings)
    routes = [
        Route(page.path, partial(site.serve, page), methods=["GET", "HEAD"] if page.method == "GET" else ["POST"])
        for page in sorted(PAGES, key=lambda page: "{" in page.path)
    ]
    return Starlette(
        routes=[
            Mount("/static", _Static(directory=_STATIC), name="static"),
            Mount("/verify", _Static(directory=_VERIFY, html=True), name="verify"),
            *routes,
        ],
        exception_handlers={HTTPException: site.not_found, Exception: site.unexpected},
    )


def problem_page(settings: ServerSettings) -> Refuse:
    """Return what answers a request that fails before any page: with a page that says so, for a visitor not known."""
    chrome = Chrome(
        site=settings.site,
        who=None,
        roles="",
        belongs_to="",
        areas=(),
        nav=(),
        notice=None,
        new_terms=None,
        is_demo=settings.is_demo,
        path="",
    )

    async def refuse(send: Send, failure: Failure, detail: str) -> None:
        html = _rendered("problem.html", _problem_of(failure, detail), chrome).encode()
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(html)).encode())]
        if failure is UNAUTHORIZED:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": failure.status, "headers": headers})
        await send({"type": "http.response.body", "body": html})

    return refuse


def _problem_of(failure: Failure, detail: str) -> ProblemPage:
    return ProblemPage(title=failure.title, status=failure.status, detail=detail)


class _Site:
    def __init__(  # noqa: PLR0913 - what pages are made from
        self,
        *,
        access: Access,
        shown: ShownNotices,
        outbox: Outbox,
        workspaces: Workspaces,
        jobs: Jobs,
        settings: ServerSettings,
    ) -> None:
        self._access = access
        self._shown = shown
        self._outbox = outbox
        self._jobs = jobs
        self._signalled: set[str] = set()  # people whose Global Privacy Control signal is in the ledger
        self._workspaces = workspaces
        self._settings = settings
        # As many threads as workspaces: more would only wait for one another, and for no turn in particular.
        self._threads = ThreadPoolExecutor(MOST, thread_name_prefix="page")

    async def serve(self, page: PageRoute, request: Request) -> Response:
        context: RequestContext = request.scope["volition"]
        if page.roles is not None:
            if context.who is None:
                here = request.url.path if request.method in {"GET", "HEAD"} else "/"
                return RedirectResponse(f"/sign-in?next={quote(here)}", status_code=303)
            if not context.who.is_any(page.roles):
                roles = words.listed([words.ROLE[role] for role in sorted(page.roles)])
                detail = f"Your role cannot open this page. It is for: {roles}."
                return await self._problem(request, FORBIDDEN, detail)
        form: Mapping[str, str] = {}
        if page.method == "POST":
            sent = await _body(request)
            if sent is None:
                return await self._problem(request, TOO_LARGE, f"A form holds at most {_LARGEST_FORM:,} bytes.")
            form = dict(parse_qsl(sent, keep_blank_values=True))
        visit = self._visit(request, form)
        has_gpc = request.headers.get("sec-gpc") == "1"  # exactly: anything else is no signal
        is_read = request.method == "GET" and not {"sec-purpose", "purpose", "x-moz"} & set(request.headers.keys())
        answer = partial(self._answer, page, visit, request.url.path, has_gpc=has_gpc, is_read=is_read)
        response: Response = await asyncio.get_running_loop().run_in_executor(self._threads, answer)
        if response.background is not None and await _has_left(request):
            response.background = None  # what nobody receives was not shown
        return response

    def _signal(self, visit: Visit) -> None:
        """Record Global Privacy Control, once a person."""
        person = visit.who.person
        if person is not None and person not in self._signalled:
            visit.workspace.consent.signal(person)
            self._signalled.add(person)

    def _visit(self, request: Request, form: Mapping[str, str]) -> Visit:
        context: RequestContext = request.scope["volition"]
        who = context.who or NOBODY
        return Visit(
            who=who,
            navigation=tuple(page for page in _IN_ORDER if _may_see(page, who)),
            path={name: str(value) for name, value in request.path_params.items()},
            query=dict(request.query_params),
            form=form,
            access=self._access,
            shown=self._shown,
            outbox=self._outbox,
            settings=self._settings,
            session=context.session,
            oidc_state=context.oidc_state,
            address=context.address,
            host=request.headers.get("host", ""),
            is_secure=context.is_secure or (self._settings.url or "").startswith("https:"),
            jobs=self._jobs,
            workspaces=self._workspaces,
        )

    def _answer(self, page: PageRoute, visit: Visit, path: str, *, has_gpc: bool, is_read: bool) -> Response:
        try:
            if page.roles is not None:
                check_guest(visit.who, visit.workspace.parties)
            if has_gpc:
                self._signal(visit)
            result = page.handler(visit)
            match result:
                case Redirect():
                    return self._redirect(visit, result)
                case Download():
                    return _download(result)
                case Live():
                    return StreamingResponse(
                        iterate_in_threadpool(_events(result)),
                        media_type="text/event-stream",
                        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
                    )
            if page.template is None:
                raise TypeError(f"{page.path} has no template, and answered with {type(result).__name__}.")
            chrome = self._chrome(visit, path, is_whole=not page.is_part)
            is_plain = chrome.notice is None and chrome.new_terms is None
            html = (_kept if page.is_kept and is_plain else _rendered)(page.template, result, chrome)
            return HTMLResponse(
                html, status_code=_status(result), background=self._noting(visit, chrome) if is_read else None
            )
        except VolitionError as error:
            return self._details(failure_of(error), str(error), visit, path)
        finally:
            visit.close()

    def _noting(self, visit: Visit, chrome: Chrome) -> BackgroundTask | None:
        """Return what notes that the page's notice of new terms was shown, to be done once the page was sent."""
        if chrome.new_terms is None:
            return None
        return BackgroundTask(self._shown.note, visit.who, [one.terms for one in chrome.new_terms.versions])

    def _redirect(self, visit: Visit, result: Redirect) -> Response:
        response = RedirectResponse(result.to, status_code=303)
        session = visit.session
        if result.session is not None:
            session = result.session or None
            response.set_cookie(
                SESSION_COOKIE,
                result.session,
                max_age=SESSION_US // 1_000_000 if result.session else 0,
                httponly=True,
                samesite="lax",
                secure=visit.is_secure,
            )
        if result.oidc_state is not None:
            response.set_cookie(
                OIDC_COOKIE,
                result.oidc_state,
                max_age=_OIDC_S if result.oidc_state else 0,
                path="/sign-in",
                httponly=True,
                samesite="lax",
                secure=visit.is_secure,
            )
        if result.notice is not None and session is not None:
            undo = result.notice.undo
            self._access.sessions.leave_notice(
                session,
                {
                    "text": result.notice.text,
                    "undo": None
                    if undo is None
                    else {"action": undo.action, "fields": dict(undo.fields), "label": undo.label},
                },
            )
        return response

    def _chrome(self, visit: Visit, path: str, *, is_whole: bool = True) -> Chrome:
        who = visit.who if visit.who is not NOBODY else None
        left = None if visit.session is None or not is_whole else self._access.sessions.take_notice(visit.session)
        shown = visit.navigation
        here = max((page for page in shown if f"{path}/".startswith(f"{page.path}/")), key=_depth, default=None)
        areas = {_area(page): page for page in reversed(shown)}  # each with its first page
        area = _area(here) if here is not None else min(areas, default=0)
        belongs_to = ""
        if who is not None and who.account is not None:
            with suppress(VolitionError):  # the page that says what failed is shown without it
                belongs_to = visit.workspace.parties.account(who.account).name
        return Chrome(
            site=self._settings.site,
            who=who,
            roles="" if who is None else words.listed([words.ROLE[role] for role in sorted(who.roles)]),
            belongs_to=belongs_to,
            areas=tuple(
                Link(label=AREAS[one], href=page.path, is_here=one == area) for one, page in sorted(areas.items())
            ),
            nav=tuple(
                Link(label=page.nav.label, href=page.path, is_here=page is here)
                for page in shown
                if page.nav is not None and _area(page) == area
            ),
            notice=None if left is None else _notice(left),
            new_terms=announced.notice_for(visit) if is_whole else None,
            is_demo=self._settings.is_demo,
            path=path,
        )

    def _details(self, failure: Failure, detail: str, visit: Visit, path: str) -> Response:
        problem = _problem_of(failure, detail)
        chrome = replace(self._chrome(visit, path), new_terms=None)  # one thing at a time
        return HTMLResponse(_rendered("problem.html", problem, chrome), status_code=failure.status)

    async def _problem(self, request: Request, failure: Failure, detail: str) -> Response:
        visit = self._visit(request, {})
        try:
            return await run_in_threadpool(self._details, failure, detail, visit, request.url.path)
        finally:
            visit.close()

    async def not_found(self, request: Request, error: Exception) -> Response:
        failure = failure_of_status(error.status_code) if isinstance(error, HTTPException) else NOT_FOUND
        if failure is NOT_FOUND:
            detail = "There is no such page. Check the address, or use the navigation above."
        else:
            detail = str(error.detail) if isinstance(error, HTTPException) else ""
        return await self._problem(request, failure, detail)

    async def unexpected(self, request: Request, error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return await self._problem(
            request,
            UNEXPECTED,
            "The server failed, and nothing of yours was lost. The operator finds the reason in the log.",
        )


async def _has_left(request: Request) -> bool:
    """Say whether the client closed the connection while its page was made."""
    await request.is_disconnected()  # takes the end of the request's own body, if nobody has
    return await request.is_disconnected()


class _Static(StaticFiles):
    """Our files, which a browser keeps for as long as their address names their digest."""

    async def get_response(self, path: str, scope: Any) -> Response:  # noqa: ANN401 - Starlette's own
        response = await super().get_response(path, scope)
        is_named = b"v=" in scope.get("query_string", b"")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if is_named else "no-cache"
        return response


def _area(page: PageRoute) -> int:
    return 0 if page.nav is None else page.nav.place // 100


def _depth(page: PageRoute) -> int:
    return len(page.path)


def _may_see(page: PageRoute, who: Principal) -> bool:
    return page.roles is not None and who.is_any(page.roles)


async def _body(request: Request) -> str | None:
    """Return what a form sent, urlencoded; none if it is too large."""
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > _LARGEST_FORM:
            return None
    return received.decode("utf-8", "replace")


def _notice(left: Mapping[str, Any]) -> Notice:
    undo = left["undo"]
    return Notice(text=left["text"], undo=None if undo is None else Undo(**undo))


def _status(result: object) -> int:
    status = getattr(result, "status", 200)
    return status if isinstance(status, int) else 200


def _download(file: Download) -> Response:
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"}
    if isinstance(file.data, bytes):
        return Response(file.data, media_type=file.media_type, headers=headers)
    return StreamingResponse(iterate_in_threadpool(file.data), media_type=file.media_type, headers=headers)


def _events(live: Live) -> Iterator[str]:
    for event in live.events:
        named = f"event: {event.name}\n" if event.name else ""
        data = "\n".join(f"data: {line}" for line in event.html.splitlines())
        yield f"{named}{data}\n\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("volition.server.web"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,  # the files are ours: they change with the program
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        day=words.day,
        moment=words.moment,
        categories=words.categories,
        listed=words.listed,
        number=lambda value: f"{value:,}",
        counted=words.counted,
    )
    environment.globals["static"] = _static
    environment.globals["drawn"] = _drawn
    return environment


def _rendered(template: str, page: object, chrome: Chrome) -> str:
    return _environment().get_template(template).render(page=page, chrome=chrome)


@lru_cache(maxsize=256)
def _kept(template: str, page: object, chrome: Chrome) -> str:
    """Return a page of `PageRoute.is_kept` as it was drawn when it last looked like this."""
    return _rendered(template, page, chrome)


@lru_cache(maxsize=4096)
def _drawn(part: str, value: object) -> Markup:
    """Return a macro of `_parts.html` for a frozen value; what looks the same is drawn once."""
    return Markup(getattr(_environment().get_template("_parts.html").module, part)(value))  # noqa: S704 - escaped there


@cache
def _static(name: str) -> str:
    """Return the address of a file of ours, which changes with its bytes."""
    return f"/static/{name}?v={hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]}"
