"""An account's terms, for its administrator: each version, its text, and how many people its notice has reached."""

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from volition.consent.terms.diff import diff
from volition.consent.terms.model import Terms
from volition.server.auth import Role
from volition.server.notices.announcements import announced_to
from volition.server.notices.deliveries import Delivery, deliveries
from volition.server.web import labels as words
from volition.server.web.account.limits import PATH, account_of
from volition.server.web.lists import Cut, cut
from volition.server.web.markdown import to_html
from volition.server.web.page import Badge, Nav, Pages, Visit
from volition.server.web.person.terms import version_of

pages = Pages()
_SHOWN: Final = 5  # on one page: each with its whole text


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountVersion:
    """One published version.

    Attributes:
        id: Its id.
        title: What it is called.
        state: How it stands for the account.
        when: Since when, or from when on.
        delivered: To how many of the people its notice was delivered; empty where there was none to give.
        changes: What it changes against what was in force before; empty where it is replaced.
        text: Its text, as HTML; empty where it is not kept.
    """

    id: str
    title: str
    state: Badge
    when: str
    delivered: str
    changes: tuple[str, ...]
    text: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTermsPage:
    """The terms that concern an account.

    Attributes:
        title: The page's heading.
        lead: What is here, in a sentence.
        empty: Why there is nothing; empty where there is.
        told: How people are told, in a sentence.
        action: Where terms are accepted.
        versions: Every version, the newest first.
    """

    title: str
    lead: str
    empty: str
    told: str
    action: str
    versions: Cut[AccountVersion]


@pages.get(f"{PATH}/terms", roles=[Role.ADMINISTRATOR], template="account-terms.html", nav=Nav(label="Terms", place=15))
def show(visit: Visit) -> AccountTermsPage:
    """Show every version, and how far its notice has come."""
    account, workspace = account_of(visit), visit.workspace
    history, now_us = workspace.history(), workspace.now_us
    organisation = workspace.parties.account(account).name
    published = history.bindings.published()
    told = {one.terms: one for one in deliveries(workspace, visit.shown, visit.outbox, [account])}
    concerning = {one.terms.id: one for one in announced_to(history, account, now_us=now_us)}

    def version(terms: Terms) -> AccountVersion:
        line = version_of(terms, history, account, organisation, now_us=now_us, shown=terms)
        announced = concerning.get(terms.id)
        return AccountVersion(
            id=terms.id,
            title=terms.title,
            state=line.state,
            when=line.when,
            delivered=_delivered(told.get(terms.id)),
            changes=() if announced is None else tuple(diff(announced.before, terms).lines()),
            text=to_html(workspace.terms.text(terms)),
        )

    return AccountTermsPage(
        title=f"Terms of {organisation}",
        lead="Each version, the newest first: what it changes, its text, and how many people its notice has reached.",
        empty="" if published else "No terms have been published yet, so nothing may be done with any data.",
        told=told_by(has_mail=workspace.mail is not None),
        action=PATH,
        versions=cut(visit, published[::-1], of="version", size=_SHOWN).each(version),
    )


def told_by(*, has_mail: bool) -> str:
    """Say by which ways a notice reaches people here."""
    pages_alone = "A notice is shown on the first page that somebody opens here, signed in, after terms were published"
    if has_mail:
        return f"{pages_alone}, and mailed to those whose address is known. Counted is what was sent to them, no more."
    return f"{pages_alone}. No mail is sent: no mail server is set up. Counted is what was sent to them, no more."


def _delivered(one: Delivery | None) -> str:
    if one is None:
        return ""
    if one.first_us is None or one.last_us is None:
        return one.sentence
    since = words.moment(one.first_us)
    until = "" if one.first_us == one.last_us else f"; newly shown to somebody last on {words.moment(one.last_us)}"
    return f"{one.sentence} First shown on {since}{until}."
