"""Sign-in and sign-out: with a password and perhaps a second factor, a guest's link, or a click in the demo."""

import ipaddress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from volition.errors import RefusedError
from volition.server.auth import GuestLink, OidcSession, Principal, Role, TooManyAttemptsError
from volition.server.auth.devices import known, remember
from volition.server.clients import network_of
from volition.server.http_errors import REFUSED, TOO_MANY
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
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

_CODE_TITLE: Final = "Your second factor"
_HALF: Final = "half"  # a signed text: the password was right, and the second factor is still to come
_HALF_US: Final = 300 * 1_000_000


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
    demo: Cut[DemoUser]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePage:
    """Where the second factor is given, after the password was right.

    Attributes:
        title: The page's heading.
        status: The HTTP status; 200, or that of a failed attempt.
        error: What is wrong; empty before the first attempt.
    """

    title: str
    status: int
    error: str


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


@pages.get("/verify", roles=EVERYBODY)
def lead_to_verify(_: Visit) -> Redirect:
    """Lead to the page that checks evidence, whose address ends in a slash."""
    return Redirect(to="/verify/")


@pages.get("/sign-in", roles=EVERYBODY, template="sign-in.html")
def ask(visit: Visit) -> SignInPage:
    """Ask for a name and a password."""
    return _sign_in(visit)


@pages.post("/sign-in", roles=EVERYBODY, template="sign-in.html")
def sign_in(visit: Visit) -> Redirect | SignInPage:
    """Check a name and a password, and begin a session, or ask for the second factor."""
    user = visit.form.get("user", "")
    try:
        who = check_password(visit, user, visit.form.get("password", ""))
    except RefusedError as error:
        return _sign_in(visit, user=user, error=str(error), status=status_of(error))
    to = ours(visit.form.get("next", ""))
    if not visit.access.factors.has(who.user):
        return come_in(visit, who, to=to, is_bare=needs_factor(visit, who))
    half = visit.access.links.sign(_HALF, {"user": who.user, "next": to}, lasts_us=_HALF_US)
    return Redirect(to="/sign-in/code", trip=half)


@pages.get("/sign-in/code", roles=EVERYBODY, template="sign-in-code.html")
def ask_for_code(visit: Visit) -> CodePage:
    """Ask for the second factor of somebody whose password was right."""
    visit.access.links.read(_HALF, visit.trip or "")
    return CodePage(title=_CODE_TITLE, status=200, error="")


@pages.post("/sign-in/code", roles=EVERYBODY, template="sign-in-code.html")
def give_code(visit: Visit) -> Redirect | CodePage:
    """Check the second factor of somebody whose password was right, and begin their session."""
    content = visit.access.links.read(_HALF, visit.trip or "")
    who = visit.access.users.find(str(content["user"]))
    if who is None:
        raise RefusedError("There is no such user any more. Ask the operator.")
    try:
        check_code(visit, who, visit.form.get("code", ""))
    except RefusedError as error:
        return CodePage(title=_CODE_TITLE, status=status_of(error), error=str(error))
    return replace(come_in(visit, who, to=str(content["next"])), trip="")


@pages.post("/sign-in/demo", roles=EVERYBODY)
def sign_in_to_demo(visit: Visit) -> Redirect:
    """Sign in as a user of the demo with a click; from this machine alone."""
    who = visit.access.users.find(visit.form.get("user", "")) if may_click(visit) else None
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


def come_in(  # noqa: PLR0913 - how they came
    visit: Visit,
    who: Principal,
    *,
    to: str = "",
    link: GuestLink | None = None,
    oidc: OidcSession | None = None,
    is_bare: bool = False,
) -> Redirect:
    """Begin a session of a user who has shown who they are, and lead them on to a path of ours.

    Args:
        visit: The request.
        who: The user.
        to: Where they go next.
        link: The guest's link by which they came, which ends the session.
        oidc: Their session at the OpenID provider, which ends it as well.
        is_bare: Whether they have to set up a second factor before anything else.
    """
    if visit.session is not None:
        visit.access.sessions.end(visit.session)
    session = visit.access.sessions.begin(
        who.user,
        link=None if link is None else link.id,
        until_us=None if link is None else link.ends_us,
        agent=visit.agent,
        oidc=oidc,
        is_bare=is_bare,
    )
    device = None if who.is_guest else remember(visit.access.links, who.user, visit.device)
    notice = Notice(text=f"You are signed in as {who.name}.")
    return Redirect(to=ours(to), session=session, notice=notice, device=device)


def check_password(visit: Visit, user: str, password: str) -> Principal:
    """Return the user whose name and password these are; a failure is counted against whoever tries.

    Raises:
        RefusedError: They do not go together, or too many attempts failed.
    """
    known_as = known(visit.access.links, user, visit.device)
    attempt = visit.access.attempts.begin(user, address=network_of(visit.address), device=known_as)
    who = visit.access.users.check_password(user, password)
    visit.access.attempts.take_back(attempt)
    return who


def check_code(visit: Visit, who: Principal, code: str) -> None:
    """Check the second factor of somebody whose password was right.

    Raises:
        RefusedError: It is not right, or too many attempts failed.
    """
    attempt = visit.access.attempts.begin_code(who.user)
    if not visit.access.factors.check(who.user, code):
        raise RefusedError("This code is not right, or was used already. Wait for the next one, then try again.")
    visit.access.attempts.take_back(attempt)


def needs_factor(visit: Visit, who: Principal) -> bool:
    """Return whether the settings ask for a second factor that a user has not set up."""
    return who.is_any(map(Role, visit.settings.second_factor)) and not visit.access.factors.has(who.user)


def status_of(error: RefusedError) -> int:
    """Return the HTTP status of a failed attempt to sign in."""
    return (TOO_MANY if isinstance(error, TooManyAttemptsError) else REFUSED).status


def may_click(visit: Visit) -> bool:
    """Say whether a click may sign in: in the demo, from this machine, under a name of it, and through no proxy.

    A proxy on this machine could hand on a request of anybody, so one that says that it was forwarded is not believed
    to be from here, whatever it says.
    """
    host = urlsplit(f"//{visit.host}").hostname or ""
    is_here = _is_loopback(visit.address) and (host == "localhost" or _is_loopback(host))
    return visit.settings.is_demo and is_here and not visit.is_forwarded


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
        demo=cut(
            visit,
            _demo_users(visit) if may_click(visit) else (),
            of="user",
            name="users",
            find=lambda one: f"{one.name}\n{one.where}",
        ),
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


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
