"""Who can open a meeting or a channel, on its page; and opening it to others, or closing it again (access control).

Somebody who was there sees everyone who was, and to whom it was opened by whom; they open it to people of the account
or to all of it. Somebody to whom it was opened sees who did so, and no more. For anybody else there is no such page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from volition.consent.history import SOURCE
from volition.errors import InvalidInputError
from volition.records.audience import ConversationKind
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.features.switches import member
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Notice, Pages, Redirect, Visit
from volition.workspace.audiences import Opening

pages = Pages()
PATH: Final = "/sharings"
HOMES: Final[Mapping[ConversationKind, str]] = {
    ConversationKind.MEETING: "/meetings",
    ConversationKind.CHANNEL: "/chat",
}
"""Where the conversations of a kind have their pages."""

_ACCOUNT: Final = "account"
_MEMBERS: Final = 30  # names on one page
_OPENINGS: Final = 20  # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningLine:
    """To whom a conversation was opened.

    Attributes:
        detail: By whom, and on which day, in a sentence.
        to: To whom, as the form sends it that closes it again.
        name: What they are called.
        can_close: Whether the visitor may close it.
    """

    detail: str
    to: str
    name: str
    can_close: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """Who can open a conversation.

    Attributes:
        kind: What it is, in a word.
        name: What it is called.
        organisation: The name of its account.
        members: Who was there; nobody where the visitor was not.
        openings: To whom it was opened.
        can_open: Whether the visitor may open it to others.
        can_open_to_all: Whether it is not open to the whole account by anybody yet.
        action: Where the forms are sent.
    """

    kind: str
    name: str
    organisation: str
    members: Cut[str]
    openings: Cut[OpeningLine]
    can_open: bool
    can_open_to_all: bool
    action: str


@pages.post(PATH, roles=[Role.PERSON])
def share(visit: Visit) -> Redirect:
    """Open a conversation to people or to the account, or close it again, and go back to its page."""
    person, account = member(visit)
    kind, name = _conversation(visit)
    to_all = visit.form.get("to") == _ACCOUNT
    named = [line.strip() for line in visit.form.get("people", "").splitlines() if line.strip()]
    people = [] if to_all else named
    act = visit.form.get("do")
    if act not in {"open", "close"}:
        raise InvalidInputError("A conversation is either opened or closed. Reload the page and try again.")
    audiences = visit.workspace.audiences
    change = audiences.share if act == "open" else audiences.unshare
    entry = change(name, kind=kind, account=account, people=people, with_account=to_all, by=person)
    whom = f"everyone at {visit.workspace.parties.account(account).name}" if to_all else words.listed(people)
    did = "opened to" if act == "open" else "closed to"
    text = f"This {kind.value} is {did} {whom}. It is recorded as entry {entry.seq:,} of the ledger." if entry else ""
    same = "Nothing was changed: it was so already."
    return Redirect(to=f"{address(kind, name)}#readers", notice=Notice(text=text or same))


def address(kind: ConversationKind, name: str) -> str:
    """Return where the page of a conversation is."""
    return f"{HOMES[kind]}/{quote(name, safe='')}"


def sharing_of(visit: Visit, kind: ConversationKind, name: str) -> Sharing:
    """Return who can open a conversation that the visitor may read. Raises as `Audiences.readers` does."""
    person, account = member(visit)
    readers = visit.workspace.audiences.readers(name, kind=kind, account=account, person=person)
    return Sharing(
        kind=kind.value,
        name=name,
        organisation=visit.workspace.parties.account(account).name,
        members=cut(visit, readers.members, of="name", size=_MEMBERS, name="members", find=str),
        openings=cut(
            visit, readers.openings, of="reader", size=_OPENINGS, name="readers", find=lambda one: one.to.name
        ).each(lambda opening: _line(opening, can_close=readers.was_there)),
        can_open=readers.was_there,
        can_open_to_all=not any(opening.to.party.startswith("account:") for opening in readers.openings),
        action=PATH,
    )


def _conversation(visit: Visit) -> tuple[ConversationKind, str]:
    kind = next((kind for kind in HOMES if kind.value == visit.form.get("kind")), None)
    if kind is None:
        raise InvalidInputError("Only meetings and channels can be opened here. Reload the page and try again.")
    return kind, visit.form.get("name", "")


def _line(opening: Opening, *, can_close: bool) -> OpeningLine:
    is_account = opening.to.party.startswith("account:")
    since = f", on {words.day(opening.since_us)}" if opening.since_us else ""
    return OpeningLine(
        detail=f"Opened by {opening.by.name}{since}",
        to=_ACCOUNT if is_account else opening.to.party.removeprefix("person:"),
        name=f"Everyone at {opening.to.name}" if is_account else opening.to.name,
        can_close=can_close and opening.by.party != SOURCE,
    )
