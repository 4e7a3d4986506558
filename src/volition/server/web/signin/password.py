"""Sign-in and sign-out: with a password, a guest's link, or a click in the demo."""

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from volition.errors import RefusedError
from volition.server.auth import GuestLink, Principal, Role
from volition.server.http_errors import REFUSED, TOO_MANY
from volition.server.web import labels as words
from volition.server.web.page import EVERYBODY, NOBODY, Notice, Pages, Redirect, Visit

pages = Pages()

_HOME: Final = {
    Role.PERSON: "/settings",
    Role.GUEST: "/guest",
    Role.ADMINISTRATOR: "/account",
    Role.ENGINEER: "/console",
    Role.AUDITOR: "/console",
    Role.OPERATOR: "/console",
}
"""Where each role goes first; without such a page, to the welcome page."""

_TOO_MANY: Final = "Too many attempts. Wait a minute, then try again."
_TRIES: Final = parse("10/minute")
_tries = MovingWindowRateLimiter(MemoryStorage())


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoUser:
    """A user to sign in as, in the demo."""

    user: str
    name: str
    role: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage:
    """The sign-in page.

    Attributes:
        title: The page's heading.
        status: The HTTP status; 200, or that of a failed attempt.
        user: The name that was tried, to be corrected.
        error: What is wrong; empty before the first attempt.
        next: Where to go afterwards, a path of ours.
        has_oidc: Whether there is an OpenID provider.
        demo: Whom one click signs in; empty outside the demo.
    """

    title: str
    status: int
    user: str
    error: str
    next: str
    has_oidc: bool
    demo: tuple[DemoUser, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomePage:
    """The first page of a user who has no other.

    Attributes:
        title: The page's heading.
        links: Where they may go, each with what is there.
    """

    title: str
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestPage:
    """What a guest's link opens.

    Attributes:
        title: The page's heading.
        organisation: Whose meeting or conversation it was.
        action: Where the button leads.
        ends: Until when the link works.
    """

    title: str
    organisation: str
    action: str
    ends: str


@pages.get("/", roles=EVERYBODY, template="welcome.html")
def home(visit: Visit) -> Redirect | WelcomePage:
    """Lead each user to their first page."""
    if visit.who is NOBODY:
        return Redirect(to="/sign-in")
    paths = {page.path for page in visit.navigation}
    for role in Role:
        if role in visit.who.roles and _HOME[role] in paths:
            return Redirect(to=_HOME[role])
    return WelcomePage(
        title=f"Welcome, {visit.who.name}",
        links=tuple((page.nav.label, page.path) for page in visit.navigation if page.nav is not None),
    )


@pages.get("/sign-in", roles=EVERYBODY, template="sign-in.html")
def ask(visit: Visit) -> SignInPage:
    """Ask for a name and a password."""
    return _sign_in(visit)


@pages.post("/sign-in", roles=EVERYBODY, template="sign-in.html")
def sign_in(visit: Visit) -> Redirect | SignInPage:
    """Check a name and a password, and begin a session."""
    user = visit.form.get("user", "")
    if not (_tries.hit(_TRIES, "address", visit.address) and _tries.hit(_TRIES, "user", user)):
        return _sign_in(visit, user=user, error=_TOO_MANY, status=TOO_MANY.status)
    try:
        who = visit.access.users.check_password(user, visit.form.get("password", ""))
    except RefusedError as error:
        return _sign_in(visit, user=user, error=str(error), status=REFUSED.status)
    return come_in(visit, who, to=visit.form.get("next", ""))


@pages.post("/sign-in/demo", roles=EVERYBODY)
def sign_in_to_demo(visit: Visit) -> Redirect:
    """Sign in as a user of the demo with a click; from this machine alone."""
    who = visit.access.users.find(visit.form.get("user", "")) if _may_click(visit) else None
    if who is None or not who.user.startswith("demo-"):
        raise RefusedError("Signing in with a click works only in the demo, and only on the machine that runs it.")
    return come_in(visit, who, to=visit.form.get("next", ""))


@pages.post("/sign-out", roles=EVERYBODY)
def sign_out(visit: Visit) -> Redirect:
    """End the session."""
    if visit.session is not None:
        visit.access.sessions.end(visit.session)
    return Redirect(to="/sign-in", session="")


@pages.get("/guest/{link}", roles=EVERYBODY, template="guest.html")
def guest(visit: Visit) -> GuestPage:
    """Greet a guest; nothing happens before they click, even if a mail scanner opened the link first."""
    link = visit.access.links.open_guest_link(visit.path["link"])
    organisation = visit.workspace.parties.account(link.account).name
    return GuestPage(
        title=f"You were a guest of {organisation}",
        organisation=organisation,
        action=f"/guest/{visit.path['link']}",
        ends=words.moment(link.ends_us),
    )


@pages.post("/guest/{link}", roles=EVERYBODY)
def come_in_as_guest(visit: Visit) -> Redirect:
    """Begin a guest's session."""
    link = visit.access.links.open_guest_link(visit.path["link"])
    return come_in(visit, visit.access.links.find_guest(visit.path["link"]), to="/guest", link=link)


def come_in(visit: Visit, who: Principal, *, to: str = "", link: GuestLink | None = None) -> Redirect:
    """Begin a session of a user who has shown who they are, and lead them on to a path of ours; `link` ends it."""
    if visit.session is not None:
        visit.access.sessions.end(visit.session)
    if link is None:
        session = visit.access.sessions.begin(who.user)
    else:
        session = visit.access.sessions.begin(who.user, link=link.id, until_us=link.ends_us)
    notice = Notice(text=f"You are signed in as {who.name}.")
    return Redirect(to=ours(to), session=session, notice=notice)


def ours(path: str) -> str:
    """Return where to go next, if that is a path of ours; otherwise the first page."""
    parts = urlsplit(path)
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and path.isprintable()
    return path if is_ours else "/"


def _sign_in(visit: Visit, *, user: str = "", error: str = "", status: int = 200) -> SignInPage:
    return SignInPage(
        title="Sign in",
        status=status,
        user=user,
        error=error,
        next=ours(visit.form.get("next", visit.query.get("next", ""))),
        has_oidc=visit.settings.oidc is not None,
        demo=_demo_users(visit) if _may_click(visit) else (),
    )


def _demo_users(visit: Visit) -> tuple[DemoUser, ...]:
    accounts = {account.id: account.name for account in visit.workspace.parties.accounts()}
    return tuple(
        DemoUser(
            user=who.user,
            name=who.name,
            role=words.listed([words.ROLE[role] for role in sorted(who.roles)]),
            where=accounts.get(who.account or "", ""),
        )
        for who in visit.access.users.all()
        if who.user.startswith("demo-")
    )


def _may_click(visit: Visit) -> bool:
    """Say whether a click may sign in: in the demo, from this machine, under a name of this machine."""
    host = urlsplit(f"//{visit.host}").hostname or ""
    return visit.settings.is_demo and _is_loopback(visit.address) and (host == "localhost" or _is_loopback(host))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
