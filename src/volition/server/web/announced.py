"""The notice of new terms: on top of whatever page somebody opens, until they put it away.

A person reads what is newly allowed or asked in their region, from when on, and finds the ways to read, to refuse and
to agree; an administrator what they can do for the account before. That it was shown is noted once the page was sent.
"""

from collections.abc import Iterator

from volition.errors import VolitionError
from volition.server.auth import PEOPLE, Role
from volition.server.notices.announcements import Announced, TermsChanges, announced_to, changes_for, region_of
from volition.server.web import labels as words
from volition.server.web.page import Link, NewVersion, Pages, Redirect, TermsNotice, Visit
from volition.server.web.signin.password import ours

pages = Pages()

_LISTED = 4


_NAMED = "terms:"


@pages.post("/notices", roles=[*PEOPLE, Role.ADMINISTRATOR])
def dismiss(visit: Visit) -> Redirect:
    """Put the notice of some terms away; they stay where they are to be read."""
    named = [name.removeprefix(_NAMED) for name in visit.form if name.startswith(_NAMED)]
    visit.shown.dismiss(visit.who, named)
    return Redirect(to=ours(visit.form.get("back", "")))


def notice_for(visit: Visit) -> TermsNotice | None:
    """Return the notice that a visitor has to see, of the account that they belong to or whose guest they are."""
    who = visit.who
    if who.account is None or not who.is_any([*PEOPLE, Role.ADMINISTRATOR]):
        return None
    workspace = visit.workspace
    history, now_us = workspace.history(), workspace.now_us
    found = announced_to(history, who.account, now_us=now_us)
    if not found:
        return None
    seen = visit.shown.of(who.user)
    try:
        organisation = workspace.parties.account(who.account).name
        party = f"account:{who.account}" if who.person is None else workspace.party(f"person:{who.person}")
    except VolitionError:  # the account or the person is not there any more: there is nobody to tell
        return None
    region = region_of(history, party, who.account)
    is_person = who.is_any(PEOPLE) and who.person is not None
    versions = tuple(
        _version(one, changes_for(one, region), organisation, is_person=is_person)
        for one in reversed(found)
        if seen.get(one.terms.id) is None
    )
    return TermsNotice(versions=versions, links=tuple(_links(visit))) if versions else None


def _version(one: Announced, changes: TermsChanges, organisation: str, *, is_person: bool) -> NewVersion:
    listed = (*changes.allowed, *changes.asked)[:_LISTED]
    return NewVersion(
        terms=one.terms.id,
        heading=heading_of(one, organisation),
        binding=binding_of(one, organisation),
        changes=listed,
        more=more_of(changes, listed=len(listed)),
        read=f"/terms/{one.terms.id}" if is_person else f"/account/terms#{one.terms.id}",
    )


def heading_of(one: Announced, organisation: str) -> str:
    """Say that there are new terms, and from when on."""
    if one.binds_us is None:
        return f"{organisation} is asked to accept new terms: {one.terms.title}."
    tense = "are in force" if one.in_force else "take effect"
    since = "since" if one.in_force else "on"
    return f"New terms for {organisation} {tense} {since} {words.day(one.binds_us)}: {one.terms.title}."


def binding_of(one: Announced, organisation: str) -> str:
    """Say how they come to be in force, and what applies until then."""
    if one.in_force:
        return ""
    if one.binds_us is None:
        return f"They change nothing unless {organisation} accepts them."
    return "Until then the terms before them apply."


def more_of(changes: TermsChanges, *, listed: int) -> str:
    """Say what a notice leaves out; empty where it leaves out nothing."""
    left = len(changes.allowed) + len(changes.asked) - listed + changes.others
    if not changes.allowed and not changes.asked:
        return "Nothing is newly allowed, and nobody's yes is newly asked." + (
            " What else changes is with the text." if left else ""
        )
    return f"{words.count(left, 'more change')} {'is' if left == 1 else 'are'} listed with the text." if left else ""


def _links(visit: Visit) -> Iterator[Link]:
    who = visit.who
    if who.is_any(PEOPLE) and who.person is not None:
        yield Link(label="Say no or yes", href="/guest" if who.is_guest else "/settings", is_here=False)
    if Role.ADMINISTRATOR in who.roles:
        yield Link(label="Accept, or say no for the account", href="/account", is_here=False)
