"""Long lists, a part at a time (pagination): which part is shown, the way to the others, a box to find something in it.

    meetings = cut(visit, found, of="meeting", size=50, find=lambda one: one.name).each(_link)

- The parts of a list together have each item once, in its order.
- Part and text looked for are in the address, so that it works without JavaScript, and can be kept and sent.
- Several lists of a page have names of their own in the address; turning one leaves the others where they are.

`_lists.html` has the template: the box and the count above a list, the links to its parts below.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from volition.canonical import whole_number
from volition.errors import InvalidInputError
from volition.server.web import labels as words
from volition.server.web.page import Visit

_T = TypeVar("_T")
_U = TypeVar("_U")
_NEAR: Final = 2  # links to either side of the present part
LONGEST_FIND: Final = 200
"""Characters of a text that is looked for in a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLink:
    """A link to a part of a list: its number, and where it is; the address is empty for parts that are left out."""

    number: int
    href: str
    is_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """The box to find something in a list.

    Attributes:
        label: What it is for.
        name: The name of its field.
        text: What was looked for; empty for nothing.
        others: The other fields of the address, which stay.
        everything: The address of the whole list.
    """

    label: str
    name: str
    text: str
    others: tuple[tuple[str, str], ...]
    everything: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Generic[_T]):
    """A part of a list, and the way to the others.

    Attributes:
        items: The part.
        id: By which it is found on its page.
        detail: Which part it is, such as "51 to 100 of 2,000 meetings".
        total: How many items there are that were looked for.
        of_all: How many there are, looked for or not.
        links: The first part, the last and those near this one; none where this is all.
        before: Where the part before this one is; empty for none.
        after: Where the part after this one is; empty for none.
        finder: The box; none where the list is short, or nothing is looked for in it.
    """

    items: tuple[_T, ...]
    id: str
    detail: str
    total: int
    of_all: int
    links: tuple[PartLink, ...]
    before: str
    after: str
    finder: Finder | None

    def __iter__(self) -> Iterator[_T]:
        """Yield the items of the part."""
        return iter(self.items)

    def __len__(self) -> int:
        """Count the items of the part."""
        return len(self.items)

    def each(self, show: Callable[[_T], _U]) -> "Cut[_U]":
        """Return the same part with something else for each of its items."""
        return Cut(
            items=tuple(show(item) for item in self.items),
            id=self.id,
            detail=self.detail,
            total=self.total,
            of_all=self.of_all,
            links=self.links,
            before=self.before,
            after=self.after,
            finder=self.finder,
        )


def cut(  # noqa: PLR0913 - what a list is called, and how it is cut
    visit: Visit,
    items: Sequence[_T],
    *,
    of: str,
    size: int = 50,
    name: str = "",
    find: Callable[[_T], str] | None = None,
    place: tuple[str, Callable[[_T], str]] | None = None,
) -> Cut[_T]:
    """Return the part of a list that a visit asks for, by default the first.

    Args:
        visit: Whose address says which part, and what is looked for.
        items: The whole list, in order.
        of: What it lists, in the singular.
        size: Items of a part.
        name: Tells the lists of a page apart; empty for the only one.
        find: Gives the text in which something is looked for; none where nothing is.
        place: A field of the address, and what an item has in it: unless the address names a part, the one that has
            the item with the address's value is shown.

    Raises:
        InvalidInputError: The part's number is none, or the text that is looked for is too long.
    """
    part, finding = (f"{name}-{field}" if name else field for field in ("page", "find"))
    wanted = "" if find is None else visit.query.get(finding, "").strip()
    if len(wanted) > LONGEST_FIND:
        raise InvalidInputError(f"This is too long to look for. Use {LONGEST_FIND} characters at most.")
    found: Sequence[_T] = items
    if wanted and find is not None:
        folded = wanted.casefold()
        found = [item for item in items if folded in find(item).casefold()]
    last = max(1, -(-len(found) // size))
    number = min(_asked(visit, part, found, size, place), last)
    start, end = (number - 1) * size, min(number * size, len(found))
    list_id = f"{name or 'whole'}-list"

    own = {part, finding, *([] if place is None else [place[0]])}
    others = {key: value for key, value in visit.query.items() if key not in own}

    def address(fields: dict[str, str]) -> str:
        return f"?{urlencode(others | fields)}#{list_id}"

    def leads_to(target: int) -> str:
        return address(({finding: wanted} if wanted else {}) | {part: str(target)})

    return Cut(
        items=tuple(found[start:end]),
        id=list_id,
        detail=_detail(start, end, len(found), of, wanted),
        total=len(found),
        of_all=len(items),
        links=tuple(
            PartLink(number=target, href=leads_to(target) if target else "", is_here=target == number)
            for target in _near(number, last)
        ),
        before=leads_to(number - 1) if number > 1 else "",
        after=leads_to(number + 1) if number < last else "",
        finder=None
        if find is None or (len(items) <= size and not wanted)
        else Finder(
            label=f"Find a {of}",
            name=finding,
            text=wanted,
            others=tuple(others.items()),
            everything=address({}),
        ),
    )


def _asked(
    visit: Visit, part: str, items: Sequence[_T], size: int, place: tuple[str, Callable[[_T], str]] | None
) -> int:
    """Return the number of the part that is asked for, which may lie beyond the last."""
    text = visit.query.get(part)
    if text is not None:
        number = whole_number(text)
        if not number:
            raise InvalidInputError("A page of a list has a number, counted from 1. Open the list again.")
        return number
    if place is None or (named := visit.query.get(place[0])) is None:
        return 1
    of_item = place[1]
    return next((index for index, item in enumerate(items) if of_item(item) == named), 0) // size + 1


def _detail(start: int, end: int, total: int, of: str, wanted: str) -> str:
    having = f" with “{wanted}”" if wanted else ""
    if not total:
        return f"There is no {of}{having}."
    counted = words.count(total, of)
    return f"{counted}{having}" if end - start == total else f"{start + 1:,} to {end:,} of {counted}{having}"


def _near(number: int, last: int) -> list[int]:
    """Return the parts to link to, with 0 for those left out in between."""
    if last == 1:
        return []
    shown = sorted({1, *range(max(1, number - _NEAR), min(last, number + _NEAR) + 1), last})
    links: list[int] = []
    for target in shown:
        if links and target - links[-1] == 2:  # a gap of one part takes as much room as its link
            links.append(target - 1)
        elif links and target - links[-1] > 2:
            links.append(0)
        links.append(target)
    return links
