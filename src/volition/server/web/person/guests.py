"""Meetings that somebody was in as a guest: which of their data is used, a yes and a no, a receipt; without an account.

A signed link (`signin.guest`) leads here. The answers are those of AI settings, taken in the same way: one click, the
same size, and they apply to all of the guest's data at that organisation.
"""

import json
from dataclasses import dataclass
from typing import Final

from volition.consent.history import Decision
from volition.errors import InvalidInputError
from volition.server.auth import GuestLink, Role
from volition.server.log_proofs import command_for
from volition.server.notices.reminders import longest_days
from volition.server.web import labels as words
from volition.server.web.answering import RefuseAll, refusing_all, take_refusal, what_ends_soon
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Badge, Download, Nav, Pages, Redirect, Visit
from volition.server.web.person.excluding import LEFT_OUT, Excluding, excluding_of
from volition.server.web.person.settings import SwitchCard, card_of, party_of, take_answer
from volition.transparency.holdings import Place, PurposeStatus

pages = Pages()
PATH: Final = "/guest"
_ANSWERS: Final = "/guest/answers"
_EVERYTHING: Final = "/guest/refuse/everything"
_RECEIPTS: Final = "/guest/receipts"
_ENDING: Final = "/guest/ending"
_LISTED: Final = 10  # answers on one page
_MEETINGS: Final = 20  # on one page: each has forms of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingUse:
    """How the guest's lines in a meeting stand for one use: its name, whether it is used, how many, and why not."""

    name: str
    state: Badge
    lines: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingCard:
    """A meeting or conversation.

    Attributes:
        id: In addresses.
        name: What it is called.
        when: On which day or days.
        detail: What of theirs there is, in a sentence.
        state: Whether any of it is used.
        uses: For what.
        excluding: What they have left out of it; none where they said nothing in it.
    """

    id: str
    name: str
    when: str
    detail: str
    state: Badge
    uses: tuple[MeetingUse, ...]
    excluding: Excluding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLine:
    """An answer that was given, and where its receipt is."""

    said: str
    when: str
    receipt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestMeetingsPage:
    """What a guest sees.

    Attributes:
        title: The page's heading.
        lead: What can be done here, in a sentence.
        empty: Why there is nothing; empty where there is something.
        ends_soon: Yeses that end soon, a sentence each.
        refusal: One click that says no to everything; none where there is nothing to say no to.
        meetings: The newest first.
        cards: What they can answer.
        answers: What they have answered, the newest first.
        link: Until when the link works by which they came, in a sentence; empty where that is not known.
        ending: Where they end it.
        pseudonym: How the ledger, and so each receipt, names them.
        command: How the newest receipt is checked; empty where there is none.
    """

    title: str
    lead: str
    empty: str
    ends_soon: tuple[str, ...]
    refusal: RefuseAll | None
    meetings: Cut[MeetingCard]
    cards: tuple[SwitchCard, ...]
    answers: Cut[AnswerLine]
    link: str
    ending: str
    pseudonym: str
    command: str


@pages.get(PATH, roles=[Role.GUEST], template="guest-meetings.html", nav=Nav(label="My meetings", place=5))
def show(visit: Visit) -> GuestMeetingsPage:
    """Show the meetings, and what can be answered."""
    party, account = party_of(visit)
    workspace = visit.workspace
    organisation = workspace.parties.account(account).name
    places = workspace.rights.places(party.removeprefix("person:"), account=account)
    found = workspace.consent.choices(party, account=account)
    spoken = {one.purpose for place in places for one in place.statuses}
    content = [choice for choice in found.choices if spoken.intersection(choice.purposes) or not spoken]
    said = workspace.history().party(workspace.party(party)).decisions
    return GuestMeetingsPage(
        title="Meetings I was in",
        lead=f"What {organisation} holds about you from its meetings and conversations, what AI may do with "
        "it, and your "
        "choices. You do not need an account.",
        empty=""
        if places
        else f"There is no meeting or conversation of {organisation} here that concerns you. Your answers apply to "
        "future ones.",
        ends_soon=what_ends_soon(content, now_us=workspace.now_us, within_days=longest_days(workspace), whose="Your"),
        refusal=refusing_all(found.choices, shown=content, action=_EVERYTHING),
        meetings=cut(
            visit,
            list(enumerate(places)),
            of="meeting",
            size=_MEETINGS,
            find=lambda one: one[1].name,
            place=(LEFT_OUT, lambda one: one[1].name),
        ).each(lambda one: _meeting(visit, *one)),
        cards=tuple(
            card_of(choice, organisation, due_days=workspace.due_days, path=_ANSWERS, is_guest=True)
            for choice in content
        ),
        answers=cut(visit, said[::-1], of="answer", size=_LISTED, name="answers").each(
            lambda one: AnswerLine(said=_said(one), when=_when(one), receipt=f"{_RECEIPTS}/{one.seq}")
        ),
        link="" if (link := _link(visit)) is None else f"Your link works until {words.moment(link.ends_us)}.",
        ending=_ENDING,
        pseudonym=workspace.parties.person(party.removeprefix("person:")).pseudonym,
        command=command_for(f"receipt-{said[-1].seq}.json", workspace.verifier.to_text()) if said else "",
    )


@pages.post(_ENDING, roles=[Role.GUEST])
def end_link(visit: Visit) -> Redirect:
    """End the link by which the guest came, with every session that it began."""
    link = _link(visit)
    if link is None:
        raise InvalidInputError("It is not known by which link you came. Open your link again, then end it.")
    visit.access.links.revoke(link.id)
    return Redirect(to="/sign-in", session="")


@pages.post(_EVERYTHING, roles=[Role.GUEST])
def refuse_everything(visit: Visit) -> Redirect:
    """Take a no to everything, or undo one."""
    party, account = party_of(visit)
    return take_refusal(visit, party=party, account=account, page=PATH, action=_EVERYTHING, whose="your")


@pages.post(f"{_ANSWERS}/{{switch}}", roles=[Role.GUEST])
def answer(visit: Visit) -> Redirect:
    """Take a yes or a no, or undo one."""
    return take_answer(visit, page=PATH, path=_ANSWERS)


@pages.get(f"{_RECEIPTS}/{{seq}}", roles=[Role.GUEST])
def receipt(visit: Visit) -> Download:
    """Give the receipt of an answer of one's own, which `volition verify` checks."""
    party, _ = party_of(visit)
    workspace = visit.workspace
    text = visit.path["seq"]
    own = {str(one.seq) for one in workspace.history().party(workspace.party(party)).decisions}
    if text not in own:
        raise InvalidInputError("There is no such answer of yours. Choose one from the list of your answers.")
    document = workspace.proofs.receipt(party.removeprefix("person:"), int(text))
    data = (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()
    return Download(name=f"receipt-{text}.json", data=data, media_type="application/json")


def _link(visit: Visit) -> GuestLink | None:
    link = None if visit.session is None else visit.access.sessions.link_of(visit.session)
    return None if link is None else visit.access.links.guest_link(link)


def _when(decision: Decision) -> str:
    """Return when an answer was given; of an imported one, also when it was recorded."""
    recorded = "" if decision.claimed_us is None else f" (imported, recorded on {words.day(decision.at_us)})"
    return f"{words.moment(decision.said_us)}{recorded}"


def _said(decision: Decision) -> str:
    return f"{'Yes' if decision.yes else 'No'} to {words.purposes(decision.purposes)}"


def _meeting(visit: Visit, number: int, place: Place) -> MeetingCard:
    is_chat = place.category == "content/chat"
    first, last = words.day(place.first_us), words.day(place.last_us)
    kind = "conversation" if is_chat else "meeting"
    wrote = "wrote" if is_chat else "said"
    lines = "1 line" if place.lines == 1 else f"{place.lines:,} lines"
    others = "1 line of others concerns" if place.others == 1 else f"{place.others:,} lines of others concern"
    detail = f"You {wrote} {lines}; {others} you." if place.lines else f"You {wrote} nothing in it; {others} you."
    used = any(one.lines for one in place.statuses)
    return MeetingCard(
        id=f"meeting-{number + 1}",
        name=place.name or f"A {kind} in which you {wrote} nothing",
        when=first if first == last else f"{first} to {last}",
        detail=detail,
        state=Badge(word="Used" if used else "Not used", is_on=used),
        uses=tuple(_use(one, place.lines) for one in place.statuses),
        excluding=_excluding(visit, number, place) if place.name else None,
    )


def _excluding(visit: Visit, number: int, place: Place) -> Excluding:
    kind = "channel" if place.category == "content/chat" else "meeting"
    purposes = [one.purpose for one in place.statuses]
    return excluding_of(visit, kind, place.name, purposes, anchor=f"meeting-{number + 1}-left-out")


def _use(one: PurposeStatus, lines: int) -> MeetingUse:
    return MeetingUse(
        name=words.purpose(one.purpose).title,
        state=Badge(word="Used" if one.lines else "Not used", is_on=bool(one.lines)),
        lines=f"{one.lines:,} of {lines:,}",
        why="" if one.reason is None else words.REASON[one.reason],
    )
