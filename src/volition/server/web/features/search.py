"""Search: what was said and written, in quoted lines that lead to where it was said; everywhere, or in one meeting.

Opening a result is recorded as usage like any other: it passes the gate, and search learns from it only where the
person and the account allow that.
"""

from dataclasses import dataclass
from typing import Final

from volition.canonical import whole_number
from volition.errors import InvalidInputError, RefusedError
from volition.learning.families.search.ranking import Hit
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.features.chat import address as chat_address
from volition.server.web.features.meetings import address as meeting_address
from volition.server.web.features.meetings import clock
from volition.server.web.features.switches import FeatureOff, UseState, member, off, uses
from volition.server.web.page import Nav, Pages, Redirect, Visit

pages = Pages()
PATH: Final = "/search"
_CATEGORY: Final = "content/transcript"
_USES: Final = ("feature/search", "train/search")
_KINDS: Final = {"segment": "Meeting", "message": "Chat", "passage": "File"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """One line that was found.

    Attributes:
        kind: In what.
        source: In which.
        where: The second, the instant, or the passage.
        speaker: Who said it.
        text: What was said.
        record: Its record, as the form sends it that opens it.
        to: Where it leads, as that form sends it; empty where there is no page.
    """

    kind: str
    source: str
    where: str
    speaker: str
    text: str
    record: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """A search and its results.

    Attributes:
        title: The page's heading.
        lead: What is searched.
        query: What was looked for; empty before.
        meeting: The meeting that is searched; empty for everything.
        results: The best first.
        detail: How many there are, or that there is none; empty before a search.
        note: A note on how they were found; may be empty.
        off: Why there is no search; none where there is.
        uses: Whether the visitor's words are used.
        opening: Where opening a result is sent.
    """

    title: str
    lead: str
    query: str
    meeting: str
    results: tuple[SearchResult, ...]
    detail: str
    note: str
    off: FeatureOff | None
    uses: tuple[UseState, ...]
    opening: str


@pages.get(PATH, roles=[Role.PERSON], template="search.html", nav=Nav(label="Search", place=330))
def show(visit: Visit) -> SearchPage:
    """Search, or offer to."""
    person, _ = member(visit)
    query, meeting = visit.query.get("q", "").strip(), visit.query.get("meeting", "").strip()
    results: tuple[SearchResult, ...] = ()
    detail = note = ""
    is_off = None
    try:
        if query:
            found = visit.workspace.features.search(query, person=person, meeting=meeting or None)
            results, note = tuple(_result(hit) for hit in found.hits), found.note
            detail = (
                f"{len(results)} {'line' if len(results) == 1 else 'lines'}, best first."
                if results
                else "No results that you may see."
            )
    except RefusedError:
        is_off = off(visit, "feature/search", _CATEGORY, works="You can still read your meetings and conversations.")
    return SearchPage(
        title="Search",
        lead=f"In the meeting {meeting}." if meeting else "In the meetings, chats and files that you may see.",
        query=query,
        meeting=meeting,
        results=results,
        detail=detail,
        note=note,
        off=is_off,
        uses=uses(visit, _USES, _CATEGORY),
        opening=f"{PATH}/opened",
    )


@pages.post(f"{PATH}/opened", roles=[Role.PERSON])
def open_result(visit: Visit) -> Redirect:
    """Record that a result was opened, and go there."""
    person, _ = member(visit)
    query, record, to = (visit.form.get(name, "") for name in ("q", "record", "to"))
    if not to.startswith(("/meetings/", "/chat/")):
        raise InvalidInputError("This result cannot be opened. Search again.")
    visit.workspace.features.opened(query, record, person=person)
    return Redirect(to=to)


def _result(hit: Hit) -> SearchResult:
    match hit.kind:
        case "segment":
            where, to = clock(hit.start_ms or 0), meeting_address(hit.source, hit.place)
        case "message":
            seconds = whole_number(hit.place.partition(".")[0])
            where = "" if seconds is None else words.moment(seconds * 1_000_000)
            to = chat_address(hit.source, hit.place)
        case _:
            where, to = f"passage {hit.place}", ""
    return SearchResult(
        kind=_KINDS.get(hit.kind, hit.kind),
        source=hit.source,
        where=where,
        speaker=hit.speaker,
        text=hit.text,
        record=hit.record_id,
        to=to,
    )
