"""From a request to a page: find it, check the role, run its function in a thread, render what it returns.

A new module of pages is added to `MODULES`; nothing else is needed here.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
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
from starlette.concurrency import iterate_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from volition.errors import VolitionError
from volition.server.asgi import Send
from volition.server.auth import DEVICE_US, PEOPLE, SESSION_US, Access, Principal, Role, check_guest
from volition.server.followers import Followers
from volition.server.http_errors import (
    FORBIDDEN,
    INVALID_INPUT,
    NOT_FOUND,
    OVERLOADED,
    UNEXPECTED,
    Failure,
    failure_of,
    failure_of_status,
    send_failure,
)
from volition.server.jobs import Jobs
from volition.server.lanes import Lanes, settled
from volition.server.middleware import (
    DEVICE_COOKIE,
    SESSION_COOKIE,
    TRIP_COOKIE,
    Refuse,
    RequestContext,
    cookie_name,
)
from volition.server.notices.outbox import Outbox
from volition.server.notices.shown import ShownNotices
from volition.server.observing import route_of
from volition.server.settings import ServerLimits, ServerSettings
from volition.server.web import announced
from volition.server.web import labels as words
from volition.server.web.account import limits as account_limits
from volition.server.web.account import people as account_people
from volition.server.web.account import settings as account_settings
from volition.server.web.account import terms as account_terms
from volition.server.web.bidi import page_without_turning
from volition.server.web.console import evidence, forgettings, home, lake, ledger, runs, snapshots
from volition.server.web.console import guests as console_guests
from volition.server.web.console import models as console_models
from volition.server.web.console import people as console_people
from volition.server.web.console import terms as console_terms
from volition.server.web.features import chat, meetings, recommendations, recordings, search, sharing, speakers, written
from volition.server.web.page import (
    AREAS,
    NOBODY,
    Chrome,
    Download,
    Link,
    Live,
    Notice,
    PageRoute,
    Plain,
    Playback,
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
from volition.server.web.playing import play
from volition.server.web.problem import ProblemPage
from volition.server.web.signin import again, oidc, own, password
from volition.workspace.pool import Lane, OverloadedError

MODULES: Final = (
    announced,
    password,
    oidc,
    again,
    own,
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
    recordings,
    speakers,
    written,
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
_MOST_FIELDS: Final = 2000
_DECIDING: Final = frozenset({*PEOPLE, Role.ADMINISTRATOR})
_TRIP_S: Final = 600
_log = logging.getLogger(__name__)


def application(  # noqa: PLR0913 - what pages are made from
    *,
    access: Access,
    shown: ShownNotices,
    outbox: Outbox,
    lanes: Lanes,
    jobs: Jobs,
    followers: Followers,
    settings: ServerSettings,
) -> Starlette:
    """Return the pages as an ASGI application; `middleware.SecurityMiddleware` stands before it."""
    site = _Site(
        access=access, shown=shown, outbox=outbox, lanes=lanes, jobs=jobs, followers=followers, settings=settings
    )
    routes = [
        Route(page.path, partial(site.serve, page), methods=["GET", "HEAD"] if page.method == "GET" else ["POST"])
        for page in sorted(PAGES, key=lambda page: "{" in page.path)
    ]
    app = Starlette(
        routes=[
            Mount("/static", _Static(directory=_STATIC), name="static"),
            Mount("/verify", _Static(directory=_VERIFY, html=True), name="verify"),
            *routes,
        ],
        exception_handlers={HTTPException: site.not_found, OverloadedError: site.busy, Exception: site.unexpected},
    )
    app.router.redirect_slashes = False  # it would send people to whatever host the request names
    return app


def largest_form(limits: ServerLimits) -> Callable[[str, Principal | None], int]:
    """Return what says how long a form may be that is sent to a path, bytes."""
    documents = tuple(page.path.partition("{")[0] for page in PAGES if page.takes_document)

    def largest(path: str, who: Principal | None) -> int:
        return limits.json_bytes if who is not None and path.startswith(documents) else limits.form_bytes

    return largest


def problem_page(settings: ServerSettings) -> Refuse:
    """Return what answers a request that fails before any page: with a page that says so, for a visitor not known."""
    chrome = _strangers_chrome(settings)

    async def refuse(send: Send, failure: Failure, detail: str) -> None:
        html = _rendered("problem.html", _problem_of(failure, detail), chrome).encode()
        await send_failure(send, failure, html, "text/html; charset=utf-8")

    return refuse


def _strangers_chrome(settings: ServerSettings) -> Chrome:
    """Return what surrounds a page for a visitor who is not known."""
    return Chrome(
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


def _problem_of(failure: Failure, detail: str) -> ProblemPage:
    return ProblemPage(title=failure.title, status=failure.status, detail=detail)


class _Site:
    def __init__(  # noqa: PLR0913 - what pages are made from
        self,
        *,
        access: Access,
        shown: ShownNotices,
        outbox: Outbox,
        lanes: Lanes,
        jobs: Jobs,
        followers: Followers,
        settings: ServerSettings,
    ) -> None:
        self._access = access
        self._shown = shown
        self._outbox = outbox
        self._jobs = jobs
        self._followers = followers
        self._signalled: set[str] = set()  # people whose Global Privacy Control signal is in the ledger
        self._lanes = lanes
        self._settings = settings

    async def serve(self, page: PageRoute, request: Request) -> Response:
        context: RequestContext = request.scope["volition"]
        request.scope["volition.route"] = page.path
        if page.roles is not None:
            if context.who is None:
                here = request.url.path if request.method in {"GET", "HEAD"} else "/"
                return RedirectResponse(f"/sign-in?next={quote(here)}", status_code=303)
            if not context.who.roles:  # they may do nothing before they have set up a second factor
                return RedirectResponse(own.FACTOR, status_code=303)
            if not context.who.is_any(page.roles):
                roles = words.listed([words.ROLE[role] for role in sorted(page.roles)])
                detail = f"Your role cannot open this page. It is for: {roles}."
                return await self._problem(request, FORBIDDEN, detail)
        if page.is_final and context.who is not None and context.session is None:
            detail = "An API token stands for a program, and this is for people: sign in, and do it here."
            return await self._problem(request, FORBIDDEN, detail)
        if page.is_final and context.session is not None and self._must_prove(context.session):
            here = _page_before(page, request.url.path)
            return RedirectResponse(f"{again.PATH}?next={quote(here)}", status_code=303)
        form: Mapping[str, str] = {}
        if page.method == "POST":
            form = await _form(request)
        visit = self._visit(request, form, _lane(page))
        has_gpc = request.headers.get("sec-gpc") == "1"  # exactly: anything else is no signal
        is_read = request.method == "GET" and not {"sec-purpose", "purpose", "x-moz"} & set(request.headers.keys())
        answer = partial(self._answer, page, visit, request.url.path, has_gpc=has_gpc, is_read=is_read)
        try:
            response = await self._lanes.run_without(visit.lane, answer)
        finally:
            await settled(visit.settling)
        if response.background is not None and await _has_left(request):
            response.background = None  # what nobody receives was not shown
        return response

    def _must_prove(self, session: str) -> bool:
        return self._access.sessions.must_prove(session, after_minutes=self._settings.again_minutes)

    def _signal(self, visit: Visit) -> None:
        """Record Global Privacy Control, once a person."""
        person = visit.who.person
        if person is not None and person not in self._signalled:
            visit.workspace.consent.signal(person)
            self._signalled.add(person)

    def _visit(self, request: Request, form: Mapping[str, str], lane: Lane = Lane.PAGES) -> Visit:
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
            trip=context.trip,
            address=context.address,
            host=request.headers.get("host", ""),
            is_secure=context.is_secure,
            device=context.device,
            agent=words.browser(request.headers.get("user-agent", "")),
            zone=request.cookies.get("zone", ""),
            ranges=request.headers.get("range", ""),
            is_forwarded=context.is_forwarded,
            jobs=self._jobs,
            followers=self._followers,
            workspaces=self._lanes.workspaces,
            lane=lane,
        )

    def _answer(self, page: PageRoute, visit: Visit, path: str, *, has_gpc: bool, is_read: bool) -> Response:
        with words.speaking(lambda: visit.workspace.terms.vocabulary):
            return self._answered(page, visit, path, has_gpc=has_gpc, is_read=is_read)

    def _answered(self, page: PageRoute, visit: Visit, path: str, *, has_gpc: bool, is_read: bool) -> Response:
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
                case Playback():
                    return play(result, visit.ranges)
                case Plain():
                    headers = {"cache-control": "no-store"}
                    return PlainTextResponse(result.text, status_code=result.status, headers=headers)
                case Live():
                    return StreamingResponse(
                        result.events,
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
        kept = (
            (SESSION_COOKIE, result.session, SESSION_US // 1_000_000),
            (TRIP_COOKIE, result.trip, _TRIP_S),
            (DEVICE_COOKIE, result.device, DEVICE_US // 1_000_000),
        )
        for name, value, lasts_s in kept:
            if value is not None:
                response.set_cookie(
                    cookie_name(name, is_secure=visit.is_secure),
                    value,
                    max_age=lasts_s if value else 0,
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
        html = _rendered("problem.html", problem, chrome)
        return HTMLResponse(html, status_code=failure.status, headers=failure.headers)

    async def _problem(self, request: Request, failure: Failure, detail: str) -> Response:
        visit, path = self._visit(request, {}), request.url.path
        try:
            return await self._lanes.run_without(visit.lane, partial(self._details, failure, detail, visit, path))
        except OverloadedError:
            return self._without_visitor(failure, detail)
        finally:
            visit.close()

    def _without_visitor(self, failure: Failure, detail: str) -> Response:
        """Say how a request failed, without asking the workspace for whom."""
        html = _rendered("problem.html", _problem_of(failure, detail), _strangers_chrome(self._settings))
        return HTMLResponse(html, status_code=failure.status, headers=failure.headers)

    async def busy(self, _: Request, error: Exception) -> Response:
        return self._without_visitor(OVERLOADED, str(error))

    async def not_found(self, request: Request, error: Exception) -> Response:
        failure = failure_of_status(error.status_code) if isinstance(error, HTTPException) else NOT_FOUND
        if failure is NOT_FOUND:
            detail = "There is no such page. Check the address, or use the navigation above."
        else:
            detail = str(error.detail) if isinstance(error, HTTPException) else ""
        return await self._problem(request, failure, detail)

    async def unexpected(self, request: Request, error: Exception) -> Response:
        _log.error("%s %s failed", request.method, route_of(request.scope), exc_info=error)
        return await self._problem(
            request,
            UNEXPECTED,
            "The server failed, and nothing of yours was lost. The operator finds the reason in the log.",
        )


_SHOWN: Final = frozenset(page.path for page in PAGES if page.method == "GET")


def _page_before(page: PageRoute, path: str) -> str:
    """Return the path of the page on which a form stands that was sent to `path`: the nearest one above it."""
    pattern = page.path
    while pattern not in _SHOWN and "/" in pattern.lstrip("/"):
        pattern, path = pattern.rpartition("/")[0], path.rpartition("/")[0]
    return path if pattern in _SHOWN else "/"


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


def _lane(page: PageRoute) -> Lane:
    """Return what kind of work a page is: what parties send in a form, they decide."""
    is_form = page.method == "POST" and not page.is_part
    return Lane.DECISIONS if is_form and page.roles is not None and page.roles <= _DECIDING else Lane.PAGES


def _depth(page: PageRoute) -> int:
    return len(page.path)


def _may_see(page: PageRoute, who: Principal) -> bool:
    return page.roles is not None and who.is_any(page.roles)


async def _form(request: Request) -> dict[str, str]:
    """Return what a form sent, urlencoded."""
    sent = (await request.body()).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(sent, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise HTTPException(INVALID_INPUT.status, f"A form has at most {_MOST_FIELDS:,} fields.") from error


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
    return page_without_turning(_environment().get_template(template).render(page=page, chrome=chrome))


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
