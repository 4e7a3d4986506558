"""Guests' links for the operator: who can come in by one, until when, and revoking it.

The account has no part in it: a guest says no to the account by this link, so it is not the account's to take away.
"""

from dataclasses import dataclass
from typing import Final

from volition.errors import VolitionError
from volition.server.auth import GuestLink, Role
from volition.server.reading import note_reading
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Badge, Nav, Notice, Pages, Redirect, Visit

pages = Pages()

PATH: Final = "/console/guests"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLine:
    """One link: whose it is, since when, whether it works, and where it is revoked; empty where it works no more."""

    id: str
    guest: str
    account: str
    made_us: int
    state: Badge
    detail: str
    used: str
    revoking: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestLinksPage:
    """Guests' links, the newest first.

    Attributes:
        title: The page's heading.
        lines: The links.
    """

    title: str
    lines: Cut[LinkLine]


@pages.get(
    PATH,
    roles=[Role.OPERATOR],
    template="console-guests.html",
    nav=Nav(label="Guest links", place=280),
    reads="guest-links",
)
def show(visit: Visit) -> GuestLinksPage:
    """Show by which links guests can come in."""
    links = visit.access.links.guest_links()
    found = cut(visit, links, of="link", find=lambda link: f"{_name(visit, link.person)}\n{link.id}\n{link.account}")
    note_reading(visit.workspace, visit.who, "guest-links", {link.person for link in found})
    return GuestLinksPage(
        title="Guest links",
        lines=found.each(lambda link: _line(visit, link)),
    )


@pages.post(f"{PATH}/{{link}}/revoking", roles=[Role.OPERATOR])
def revoke(visit: Visit) -> Redirect:
    """Revoke a link, and end the sessions that it began."""
    link = visit.access.links.revoke(visit.path["link"])
    text = f"The link {link.id} lets nobody in any more, and every session that it began has ended."
    return Redirect(to=PATH, notice=Notice(text=text))


def _line(visit: Visit, link: GuestLink) -> LinkLine:
    now_us = visit.workspace.now_us
    works = link.works(now_us)
    if works:
        detail = f"until {words.moment(link.ends_us)}"
    elif link.revoked_us is not None:
        detail = f"revoked {words.moment(link.revoked_us)}"
    else:
        detail = f"expired {words.moment(link.ends_us)}"
    return LinkLine(
        id=link.id,
        guest=_name(visit, link.person),
        account=visit.workspace.parties.account(link.account).name,
        made_us=link.made_us,
        state=Badge(word="Works" if works else "Ended", is_on=works),
        detail=detail,
        used="never" if link.used_us is None else words.moment(link.used_us),
        revoking=f"{PATH}/{link.id}/revoking" if works else "",
    )


def _name(visit: Visit, person: str) -> str:
    try:
        return visit.workspace.parties.person(person).name or person
    except VolitionError:  # they have another id now
        return person
