"""How somebody signs in, for themselves to see and change: where they are signed in, password, second factor."""

from dataclasses import dataclass
from typing import Final

import segno
from markupsafe import Markup

from volition.errors import InvalidInputError, RefusedError
from volition.server.auth import Role
from volition.server.auth.second_factors import setup_address
from volition.server.http_errors import FORBIDDEN, HttpError
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
from volition.server.web.page import EVERYBODY, NOBODY, Badge, Notice, Pages, Redirect, Visit
from volition.server.web.signin.password import check_password, status_of

pages = Pages()

PATH: Final = "/sign-in/own"
FACTOR: Final = f"{PATH}/second-factor"
_SESSIONS: Final = f"{PATH}/sessions"
_SHOWN: Final = 30  # sign-ins on one page


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLine:
    """One place where somebody is signed in; it is ended with a button."""

    id: str
    where: str
    began: str
    seen: str
    is_this: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPage:
    """How somebody signs in.

    Attributes:
        title: The page's heading.
        status: The HTTP status; 200, or that of a failed attempt.
        error: What is wrong with the password that was given; empty where nothing is.
        sessions: Where they are signed in, the last used first.
        has_password: Whether they sign in with a password.
        factor: Whether a second factor is asked for, in a word; none where they have no password.
        factor_detail: What that means.
        has_factor: Whether there is one.
        can_turn_off: Whether they can turn it off.
        tokens: How many API tokens of theirs work.
    """

    title: str
    status: int
    error: str
    sessions: Cut[SessionLine]
    has_password: bool
    factor: Badge | None
    factor_detail: str
    has_factor: bool
    can_turn_off: bool
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorPage:
    """Where a second factor is set up.

    Attributes:
        title: The page's heading.
        lead: Why.
        secret: The key to type into an authenticator app, in groups of four.
        address: The address by which an app on this device takes it.
        picture: The address as a QR code (SVG), for an app on another device.
    """

    title: str
    lead: str
    secret: str
    address: str
    picture: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesPage:
    """Recovery codes, shown this once."""

    title: str
    codes: tuple[str, ...]


@pages.get(PATH, roles=EVERYBODY, template="sign-in-own.html")
def show(visit: Visit) -> OwnPage | Redirect:
    """Show where somebody is signed in, and how."""
    return Redirect(to="/sign-in") if visit.who is NOBODY else _own(visit)


@pages.post(f"{_SESSIONS}/ending", roles=EVERYBODY)
def end(visit: Visit) -> Redirect:
    """End a session of one's own, or all but this one."""
    user, session = _user(visit), visit.form.get("session", "")
    if session:
        visit.access.sessions.end_one(user, session)
        return Redirect(to=PATH, notice=Notice(text="That sign-in was ended."))
    visit.access.sessions.end_all(user, but=visit.session)
    return Redirect(to=PATH, notice=Notice(text="Every other sign-in was ended."))


@pages.post(f"{PATH}/password", roles=EVERYBODY, template="sign-in-own.html")
def change_password(visit: Visit) -> Redirect | OwnPage:
    """Change one's password; other sessions and every API token end."""
    user, new = _user(visit), visit.form.get("new", "")
    try:
        check_password(visit, user, visit.form.get("password", ""))
        _check_same(new, visit.form.get("again", ""))
        visit.access.users.set_password(user, new, session=visit.session)
    except RefusedError as error:
        return _own(visit, error=str(error), status=status_of(error))
    except InvalidInputError as error:
        return _own(visit, error=str(error), status=400)
    text = "Your password was changed. Every other sign-in, and every API token of yours, was ended."
    return Redirect(to=PATH, notice=Notice(text=text))


@pages.get(FACTOR, roles=EVERYBODY, template="second-factor.html", is_final=True)
def ask(visit: Visit) -> FactorPage | Redirect:
    """Show the key of a second factor that is being set up."""
    if visit.who is NOBODY:
        return Redirect(to="/sign-in")
    return Redirect(to=PATH) if visit.access.factors.has(visit.who.user) else _factor(visit)


@pages.post(FACTOR, roles=EVERYBODY, template="recovery-codes.html", is_final=True)
def turn_on(visit: Visit) -> CodesPage | Redirect:
    """Ask for the second factor from now on, and show the recovery codes."""
    user = _user(visit)
    try:
        codes = visit.access.factors.turn_on(user, visit.form.get("code", ""))
    except RefusedError as error:
        return Redirect(to=FACTOR, notice=Notice(text=str(error)))
    visit.access.sessions.end_all(user, but=visit.session)
    if visit.session is not None:
        visit.access.sessions.fill(visit.session)
    return CodesPage(title="Your recovery codes", codes=tuple(codes))


@pages.post(f"{PATH}/codes", roles=EVERYBODY, template="recovery-codes.html", is_final=True)
def renew(visit: Visit) -> CodesPage:
    """Show new recovery codes in place of the old ones."""
    return CodesPage(title="Your recovery codes", codes=tuple(visit.access.factors.renew_codes(_user(visit))))


@pages.post(f"{FACTOR}/off", roles=EVERYBODY, is_final=True)
def turn_off(visit: Visit) -> Redirect:
    """Turn the second factor off."""
    user = _user(visit)
    if _is_required(visit):
        raise RefusedError("A second factor is required for your role here, so it cannot be turned off.")
    visit.access.factors.turn_off(user)
    return Redirect(to=PATH, notice=Notice(text="The second factor is off. Your password alone lets you in."))


def _check_same(new: str, again: str) -> None:
    if new != again:
        raise InvalidInputError("The two new passwords differ. Nothing was changed.")


def _user(visit: Visit) -> str:
    if visit.who is NOBODY or visit.session is None:
        raise HttpError(FORBIDDEN, "Sign in first; an API token does not change how somebody signs in.")
    return visit.who.user


def _is_required(visit: Visit) -> bool:
    known = visit.access.users.find(visit.who.user)  # of a session that has no role yet, too
    return known is not None and known.is_any(map(Role, visit.settings.second_factor))


def _own(visit: Visit, *, error: str = "", status: int = 200) -> OwnPage:
    user, access = visit.who.user, visit.access
    has_password, has_factor = access.users.has_password(user), access.factors.has(user)
    if has_factor:
        left = access.factors.recovery_codes_left(user)
        detail = f"After your password we ask for a code. You have {words.count(left, 'recovery code')} left."
    else:
        detail = "Your password alone lets you in. With a second factor, whoever learns it cannot come in."
    return OwnPage(
        title="Sign-in and security",
        status=status,
        error=error,
        sessions=cut(
            visit, access.sessions.all(user, this=visit.session), of="sign-in", size=_SHOWN, name="sessions"
        ).each(
            lambda one: SessionLine(
                id=one.id,
                where=one.agent or "A browser",
                began=words.moment(one.began_us),
                seen=words.moment(one.seen_us),
                is_this=one.is_this,
            )
        ),
        has_password=has_password,
        factor=Badge(word="On" if has_factor else "Off", is_on=has_factor) if has_password else None,
        factor_detail=detail,
        has_factor=has_factor,
        can_turn_off=has_factor and not _is_required(visit),
        tokens=len(access.tokens.all(user)),
    )


def _factor(visit: Visit) -> FactorPage:
    user = visit.who.user
    if not visit.access.users.has_password(user):
        raise RefusedError("You sign in without a password here, so there is no second factor to set up.")
    secret = visit.access.factors.prepare(user)
    address = setup_address(visit.settings.site, user, secret)
    why = "Your role needs a second factor here, before anything else. " if _is_required(visit) else ""
    return FactorPage(
        title="Set up a second factor",
        lead=f"{why}You need an authenticator app, on your phone or in a password manager.",
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        address=address,
        picture=_qr_code(address),
    )


def _qr_code(text: str) -> Markup:
    """Draw a text as a QR code (ISO/IEC 18004), black on white in either colour scheme, as cameras need it."""
    drawn = segno.make_qr(text, error="m")
    return Markup(drawn.svg_inline(dark="#000", light="#fff", svgclass=None, lineclass=None, omitsize=True))  # noqa: S704
