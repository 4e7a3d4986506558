"""Recommendations: what a person might want to open next, each with its reason."""

from dataclasses import dataclass
from typing import Final

from volition.errors import RefusedError
from volition.server.auth import Role
from volition.server.web.features.chat import address as chat_address
from volition.server.web.features.switches import FeatureOff, UseState, member, off, uses
from volition.server.web.page import Nav, Pages, Visit

pages = Pages()
PATH: Final = "/recommendations"
_CATEGORY: Final = "service/usage"
_USES: Final = ("feature/recommend", "train/recommend")
_KINDS: Final = {"channel": "Channel", "document": "Document", "feature": "Feature", "person": "Colleague"}


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
        items: The best first.
        off: Why there is none; none where there may be.
        uses: Whether the visitor's usage is used.
    """

    title: str
    lead: str
    items: tuple[Recommended, ...]
    off: FeatureOff | None
    uses: tuple[UseState, ...]


@pages.get(PATH, roles=[Role.PERSON], template="recommendations.html", nav=Nav(label="For you", place=340))
def show(visit: Visit) -> RecommendationsPage:
    """Show what the visitor might want to open next."""
    person, _ = member(visit)
    items: tuple[Recommended, ...] = ()
    is_off = None
    try:
        found = visit.workspace.features.recommend(person)
        items = tuple(_item(one.item, one.because) for one in found)
    except RefusedError:
        works = "You can still find everything yourself; nothing is ranked for you."
        is_off = off(visit, "feature/recommend", _CATEGORY, works=works)
    return RecommendationsPage(
        title="For you",
        lead="What you might want to open next, based on what you, and colleagues who allow it, have used.",
        items=items,
        off=is_off,
        uses=uses(visit, _USES, _CATEGORY),
    )


def _item(item: str, because: str) -> Recommended:
    kind, _, name = item.partition("/")
    return Recommended(
        kind=_KINDS.get(kind, kind.capitalize() if name else "Item"),
        name=name or item,
        because=because,
        href=chat_address(name) if kind == "channel" and name else "",
    )
