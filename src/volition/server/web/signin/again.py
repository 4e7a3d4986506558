"""Who is it, once more: before what cannot be undone, somebody who signed in a while ago shows again who they are.

With a password and, where there is one, the second factor; at the OpenID provider, which is told to ask anew; a guest
by opening their link again. Then they are led back to the page that they came from, and nothing was done meanwhile.
"""

from dataclasses import dataclass
from typing import Final

from volition.errors import RefusedError
from volition.server.web import labels as words
from volition.server.web.page import EVERYBODY, NOBODY, Pages, Redirect, Visit
from volition.server.web.signin.password import check_code, check_password, may_click, ours, status_of

pages = Pages()

PATH: Final = "/sign-in/again"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainPage:
    """Where somebody shows again who they are.

    Attributes:
        title: The page's heading.
        lead: Why it is asked.
        status: The HTTP status; 200, or that of a failed attempt.
        error: What is wrong; empty before the first attempt.
        next: Where to go afterwards, a path of ours.
        has_password: Whether they can show it with a password.
        has_code: Whether a second factor is asked for as well.
        is_oidc: Whether the OpenID provider asks.
        is_guest: Whether they came by a guest's link.
        can_click: Whether a click is enough, as in the demo.
    """

    title: str
    lead: str
    status: int
    error: str
    next: str
    has_password: bool
    has_code: bool
    is_oidc: bool
    is_guest: bool
    can_click: bool


@pages.get(PATH, roles=EVERYBODY, template="sign-in-again.html")
def ask(visit: Visit) -> AgainPage | Redirect:
    """Ask again who it is, before what cannot be undone."""
    return Redirect(to="/sign-in") if visit.who is NOBODY else _page(visit)


@pages.post(PATH, roles=EVERYBODY, template="sign-in-again.html")
def answer(visit: Visit) -> AgainPage | Redirect:
    """Check who it is, and lead them back."""
    if visit.session is None:
        return Redirect(to="/sign-in")
    try:
        check_self(visit)
    except RefusedError as error:
        return _page(visit, error=str(error), status=status_of(error))
    return Redirect(to=ours(visit.form.get("next", "")))


def check_self(visit: Visit) -> None:
    """Check that the form's password, and second factor where there is one, are the visitor's own; note when.

    Raises:
        RefusedError: They are not, they show who they are in another way, or too many attempts failed.
    """
    user, users = visit.who.user, visit.access.users
    if visit.session is None:
        raise RefusedError("Sign in first.")
    if users.has_password(user):
        who = check_password(visit, user, visit.form.get("password", ""))
        if visit.access.factors.has(user):
            check_code(visit, who, visit.form.get("code", ""))
    elif not (may_click(visit) and user.startswith("demo-")):
        raise RefusedError("You have no password here. Sign out, and sign in again as you did before.")
    visit.access.sessions.prove(visit.session)


def _page(visit: Visit, *, error: str = "", status: int = 200) -> AgainPage:
    user, access = visit.who.user, visit.access
    return AgainPage(
        title="Is it you?",
        lead=(
            "Show once more who you are before you go on. This is asked where that was more than "
            f"{words.count(visit.settings.again_minutes, 'minute')} ago. Nothing has been done yet."
        ),
        status=status,
        error=error,
        next=ours(visit.form.get("next", visit.query.get("next", ""))),
        has_password=access.users.has_password(user),
        has_code=access.factors.has(user),
        is_oidc=visit.settings.oidc is not None and access.users.subject_of(user) is not None,
        is_guest=visit.who.is_guest,
        can_click=may_click(visit) and user.startswith("demo-"),
    )
