"""Names heard in meetings that may be somebody registered: the same person, or somebody else? For the operator.

An administrator has the same page for the account (`account.people`). Each pair says why it is offered; who was heard
and who is registered are shown by name, and nothing of what they said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from volition.consent.identity import Likeness
from volition.consent.parties import Person
from volition.server.auth import Role
from volition.server.http_errors import NOT_FOUND, HttpError
from volition.server.reading import note_reading
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Nav, Notice, Pages, Redirect, Visit
from volition.workspace.people import Pair

pages = Pages()

PATH: Final = "/console/people"
_SHOWN: Final = 30
_WHY: Final[Mapping[Likeness, str]] = {
    Likeness.ADDRESS: "The same e-mail address.",
    Likeness.NAME: "The same name, or one that only differs in spelling.",
    Likeness.PART: "Only a part of the name, so it may well be somebody else.",
    Likeness.IDENTIFIER: "The same identifier.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCard:
    """Somebody heard and somebody registered.

    Attributes:
        id: In addresses.
        heard: How the one who was heard is called.
        person: How the one who is registered is called.
        heard_id: Their ids.
        person_id: Likewise.
        why: Why they may be one, in a sentence.
        detail: Where they were heard, and how many records that concerns, in a sentence.
    """

    id: str
    heard: str
    person: str
    heard_id: str
    person_id: str
    why: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplePage:
    """The pairs.

    Attributes:
        title: The page's heading.
        lead: What this is, in a sentence.
        pairs: The pairs.
        action: Where the answers are sent.
    """

    title: str
    lead: str
    pairs: Cut[PairCard]
    action: str


@pages.get(PATH, roles=[Role.OPERATOR], template="people.html", nav=Nav(label="People", place=235), reads="namesakes")
def show(visit: Visit) -> PeoplePage:
    """Show the pairs of all accounts."""
    return people_page(visit, account=None, action=PATH)


@pages.post(PATH, roles=[Role.OPERATOR], is_final=True)
def answer(visit: Visit) -> Redirect:
    """Take what the operator says of a pair."""
    return take_answer(visit, account=None, page=PATH, by=None)


def people_page(visit: Visit, *, account: str | None, action: str) -> PeoplePage:
    """Return the page of an account's pairs, or of all pairs."""
    workspace = visit.workspace
    names = {one.id: one.name for one in workspace.parties.accounts()}
    pairs = workspace.people.pairs(account)
    part = cut(visit, list(enumerate(pairs, 1)), of="pair", size=_SHOWN, find=_findable)
    shown = {person.id for _, pair in part for person in (pair.heard, pair.person)}
    note_reading(workspace, visit.who, "namesakes", shown)
    return PeoplePage(
        title="Names heard that may be these people",
        lead="Each was heard in the data under a name that nobody was registered with. Until you say who it is, both "
        "are asked, and the no of each counts for both.",
        pairs=part.each(lambda one: _card(*one, workspace.people.records_of(one[1].heard), names)),
        action=action,
    )


def take_answer(visit: Visit, *, account: str | None, page: str, by: str | None) -> Redirect:
    """Make a pair one person, or note that they are two.

    Args:
        visit: With the pair and the answer in its form.
        account: Only pairs of this account are there; none for all.
        page: Where to go afterwards.
        by: Who says so, as `People.merge` takes it.

    Raises:
        HttpError: There is no such pair; whether there is one in another account is not said.
    """
    people = visit.workspace.people
    asked = visit.form.get("heard"), visit.form.get("person")
    pair = next((one for one in people.pairs(account) if (one.heard.id, one.person.id) == asked), None)
    said = visit.form.get("answer")
    if pair is None or said not in {"same", "other"}:
        raise HttpError(NOT_FOUND, "There is no such pair to answer any more. Open the page anew.")
    heard, person = _called(pair.heard), _called(pair.person)
    if said == "other":
        entry = people.keep_apart(pair.heard.id, pair.person.id, by=by)
        text = (
            f"{heard} is somebody else than {person}. Since new records may be of either, the no of each still counts "
        )
        text += f"for both. It is entry {entry.seq:,} of the ledger."
        return Redirect(to=page, notice=Notice(text=text))
    visit.access.end_guest(pair.heard.ids)  # first, so that a guest's link never leads to what is a user's to see
    people.merge(pair.heard.id, into=pair.person.id, by=by)
    text = f"{heard} and {person} are one person from now on. What either had refused is refused for both."
    return Redirect(to=page, notice=Notice(text=text))


def _findable(numbered: tuple[int, Pair]) -> str:
    _, pair = numbered
    return "\n".join(name for person in (pair.heard, pair.person) for name in (*person.names, *person.addresses))


def _card(number: int, pair: Pair, records: int, accounts: Mapping[str, str]) -> PairCard:
    where = accounts.get(pair.heard.account or "", pair.heard.account or "")
    return PairCard(
        id=f"pair-{number}",
        heard=_called(pair.heard),
        person=_called(pair.person),
        heard_id=pair.heard.id,
        person_id=pair.person.id,
        why=_WHY[pair.likeness],
        detail=f"Heard at {where}, in {words.count(records, 'record')}.",
    )


def _called(person: Person) -> str:
    return next(iter((*person.names, *person.addresses)), person.id)
