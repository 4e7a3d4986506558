"""Recommendations: what a person might want to open next, named as people name it, each with its reason.

Where the audit found that suggestions by what people use do no better in an account than what most people there use,
that is what is shown, and the page says so.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from volition.errors import RefusedError
from volition.learning.families.recommend.recommender import Suggestion
from volition.server.auth import Role
from volition.server.web.features.chat import address as chat_address
from volition.server.web.features.meetings import address as meeting_address
from volition.server.web.features.search import PATH as SEARCH
from volition.server.web.features.switches import FeatureOff, UseState, member, off, uses
from volition.server.web.page import Nav, Pages, Visit

pages = Pages()
PATH: Final = "/recommendations"
_CATEGORY: Final = "service/usage"
_USES: Final = ("feature/recommend", "train/recommend")
_KINDS: Final = {
    "channel": "Channel",
    "document": "Document",
    "feature": "Feature",
    "file": "File",
    "meeting": "Meeting",
    "person": "Colleague",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """One suggestion: what kind of thing, its name, why, and where it is; no address where it has no page."""

    kind: str
    name: str
    because: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationsPage:
    """What a person might want to open next.

    Attributes:
        title: The page's heading.
        lead: What it is based on.
        note: That what most people use did as well here, where it did; empty otherwise.
        items: The best first.
        off: Why there is none; none where there may be.
        uses: Whether the visitor's usage is used.
    """

    title: str
    lead: str
    note: str
    items: tuple[Recommended, ...]
    off: FeatureOff | None
    uses: tuple[UseState, ...]


@pages.get(PATH, roles=[Role.PERSON], template="recommendations.html", nav=Nav(label="For you", place=340))
def show(visit: Visit) -> RecommendationsPage:
    """Show what the visitor might want to open next."""
    person, account = member(visit)
    items: tuple[Recommended, ...] = ()
    is_off = None
    note = ""
    try:
        found = visit.workspace.features.recommend(person)
        items = tuple(_item(visit, account, one) for one in found)
        if not visit.workspace.features.recommends_by_use(person):
            note = (
                "This is what most people in your organisation use. Suggestions by what you use yourself were "
                "measured, and did no better here, so they are not shown."
            )
    except RefusedError:
        works = "You can still find everything yourself; nothing is ranked for you."
        is_off = off(visit, "feature/recommend", _CATEGORY, works=works)
    return RecommendationsPage(
        title="For you",
        lead="What you might want to open next, based on what you, and colleagues who allow it, have used.",
        note=note,
        items=items,
        off=is_off,
        uses=uses(visit, _USES, _CATEGORY),
    )


def _item(visit: Visit, account: str, one: Suggestion) -> Recommended:
    kind, _, named = one.item.partition("/")
    name = _name(visit, account, one.item)
    because = one.because
    if one.because_item:
        because = f"because you use {_called(visit, account, one.because_item)}"
    return Recommended(
        kind=_KINDS.get(kind, kind.capitalize() if named else "Item"),
        name=name,
        because=because,
        href=_href(kind, named, name),
    )


def _name(visit: Visit, account: str, item: str) -> str:
    """Return what people call an item: a colleague by the name that they go by, anything else without its kind."""
    kind, _, named = item.partition("/")
    if kind != "person":
        return named or item
    person = visit.workspace.parties.find_person(account, named.strip())
    return named if person is None else person.name or person.id


def _called(visit: Visit, account: str, item: str) -> str:
    """Return an item in the middle of a sentence, such as "the channel general"."""
    kind, _, named = item.partition("/")
    name = _name(visit, account, item)
    if kind == "person" or not named:
        return name
    return f"the {_KINDS.get(kind, kind).lower()} {name}"


def _href(kind: str, named: str, name: str) -> str:
    """Return where an item is: its page, or what search finds of it; empty where it is nowhere."""
    if not named:
        return ""
    match kind:
        case "channel":
            return chat_address(named)
        case "meeting":
            return meeting_address(named)
        case "document" | "file":
            return f"{SEARCH}?{urlencode({'q': name})}"
        case "person":
            return f"{SEARCH}?{urlencode({'q': name, 'speaker': name})}"
        case _:
            return ""
