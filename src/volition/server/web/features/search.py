"""Search: what was said and written, in quoted lines that lead to where it was said; everywhere, or in a part of it.

A search may be narrowed to a meeting, a channel, a person or some days, by fields of the form, so that an address says
all of it. Opening a result is recorded as usage like any other: it passes the gate, and search learns from it only
where the person and the account allow that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from volition.canonical import datetime_to_us, whole_number
from volition.errors import InvalidInputError, RefusedError
from volition.learning.families.search.named import Named
from volition.learning.families.search.narrowing import Narrowing
from volition.learning.families.search.ranking import Found, Hit
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
class Piece:
    """A piece of a text, and whether it is a word of the query."""

    text: str
    is_marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """One line that was found.

    Attributes:
        kind: In what.
        source: In which.
        where: The second, the instant, or the passage.
        speaker: Who said it.
        pieces: What was said.
        record: Its record, as the form sends it that opens it.
        to: Where it leads, as that form sends it; empty where there is no page.
    """

    kind: str
    source: str
    where: str
    speaker: str
    pieces: tuple[Piece, ...]
    record: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedResult:
    """A meeting, a channel or a file whose name was typed; no address where it has no page."""

    kind: str
    name: str
    href: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A field that narrows the search: its name, its label, its kind as HTML has them, and what is in it."""

    name: str
    label: str
    type: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How far what was collected is ready to be searched: lines that are, lines in all, and both in a sentence."""

    ready: int
    total: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """A search and its results.

    Attributes:
        title: The page's heading.
        lead: What is searched.
        query: What was looked for; empty before.
        filters: What the search can be narrowed by.
        is_narrowed: Whether it is.
        everywhere: Where the same is looked for everywhere.
        named: What has the name that was typed.
        results: The best first.
        detail: How many there are, or that there is none; empty before a search.
        tries: What else could be tried, where there is none.
        waiting: What is not ready to be searched yet; none where all of it is.
        note: A note on how they were found; may be empty.
        off: Why there is no search; none where there is.
        uses: Whether the visitor's words are used.
        opening: Where opening a result is sent.
    """

    title: str
    lead: str
    query: str
    filters: tuple[Filter, ...]
    is_narrowed: bool
    everywhere: str
    named: tuple[NamedResult, ...]
    results: tuple[SearchResult, ...]
    detail: str
    tries: tuple[str, ...]
    waiting: Waiting | None
    note: str
    off: FeatureOff | None
    uses: tuple[UseState, ...]
    opening: str


@pages.get(PATH, roles=[Role.PERSON], template="search.html", nav=Nav(label="Search", place=330))
def show(visit: Visit) -> SearchPage:
    """Search, or offer to."""
    person, _ = member(visit)
    query, filters = visit.query.get("q", "").strip(), _filters(visit.query)
    is_narrowed = any(one.value for one in filters)
    found: Found | None = None
    is_off = None
    try:
        if query:
            narrowing = _narrowing({one.name: one.value for one in filters})
            found = visit.workspace.features.search(query, person=person, narrowing=narrowing, waits=False)
            visit.workspace.features.note_search(len(found.hits), person=person)
    except RefusedError:
        is_off = off(visit, "feature/search", _CATEGORY, works="You can still read your meetings and conversations.")
    waiting = None if found is None else _waiting(found)
    is_silent = found is not None and not found.hits and (found.ready > 0 or waiting is None)
    return SearchPage(
        title="Search",
        lead=_lead(filters),
        query=query,
        filters=filters,
        is_narrowed=is_narrowed,
        everywhere=f"{PATH}?{urlencode({'q': query})}",
        named=() if found is None else tuple(map(_named, found.named)),
        results=() if found is None else tuple(map(_result, found.hits)),
        detail="" if found is None else _detail(found, query, is_silent=is_silent),
        tries=_tries(is_narrowed=is_narrowed) if is_silent else (),
        waiting=waiting,
        note="" if found is None else found.note,
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


# --- what is asked ---


def _filters(query: Mapping[str, str]) -> tuple[Filter, ...]:
    fields = (
        ("meeting", "Meeting", "text"),
        ("channel", "Channel", "text"),
        ("speaker", "Said by", "text"),
        ("since", "From", "date"),
        ("until", "To, that day included", "date"),
    )
    return tuple(
        Filter(name=name, label=label, type=kind, value=query.get(name, "").strip()) for name, label, kind in fields
    )


def _narrowing(asked: Mapping[str, str]) -> Narrowing:
    """Return what a search is narrowed to. Raises InvalidInputError where a day is none."""
    return Narrowing(
        meeting=asked["meeting"],
        channel=asked["channel"],
        speaker=asked["speaker"],
        start_us=_midnight_us(asked["since"], days=0),
        end_us=_midnight_us(asked["until"], days=1),
    )


def _midnight_us(day: str, *, days: int) -> int | None:
    """Return when a day begins (UTC), or so many days later; none for none."""
    if not day:
        return None
    try:
        midnight = datetime.combine(date.fromisoformat(day) + timedelta(days=days), datetime.min.time(), tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(f"{day!r} is no day. Write it as in 2026-03-02.") from error
    return datetime_to_us(midnight)


def _lead(filters: Sequence[Filter]) -> str:
    of = {one.name: one.value for one in filters}
    parts = [f"in the meeting {of['meeting']}"] * bool(of["meeting"])
    parts += [f"in the channel {of['channel']}"] * bool(of["channel"])
    parts += [f"said by {of['speaker']}"] * bool(of["speaker"])
    parts += [f"from {of['since']}"] * bool(of["since"]) + [f"to {of['until']}"] * bool(of["until"])
    if not parts:
        return "In the meetings, chats and files that you may see."
    told = ", ".join(parts)
    return f"{told[0].upper()}{told[1:]}."


# --- what is found ---


def _detail(found: Found, query: str, *, is_silent: bool) -> str:
    if found.hits:
        return f"{words.count(len(found.hits), 'line')}, best first."
    if not is_silent:
        return ""
    others = " in lines; the names above fit" if found.named else ""
    return f"Nothing that you may see says anything about \u201c{query}\u201d{others}."


def _tries(*, is_narrowed: bool) -> tuple[str, ...]:
    """Say what else could be tried where nothing was found."""
    return (
        *["Look everywhere: this search is narrowed."] * is_narrowed,
        "Use other words for it, or fewer: a word that somebody said in that meeting or chat.",
        "Check the spelling of names.",
        "Type the name of a meeting or channel to get to it.",
    )


def _waiting(found: Found) -> Waiting | None:
    if not found.waiting:
        return None
    total = found.ready + found.waiting
    return Waiting(
        ready=found.ready,
        total=total,
        detail=f"{found.ready:,} of {words.count(total, 'line')} are ready to be searched. The others are being made "
        "ready; search again in a while to find them, too.",
    )


def _named(one: Named) -> NamedResult:
    href = {"segment": meeting_address, "message": chat_address}.get(one.kind)
    return NamedResult(
        kind=_KINDS.get(one.kind, one.kind),
        name=one.source,
        href="" if href is None else href(one.source),
        detail=words.count(one.lines, "line"),
    )


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
        pieces=tuple(_pieces(hit)),
        record=hit.record_id,
        to=to,
    )


def _pieces(hit: Hit) -> Iterator[Piece]:
    done = 0
    for start, end in hit.marks:
        if start > done:
            yield Piece(text=hit.text[done:start], is_marked=False)
        yield Piece(text=hit.text[start:end], is_marked=True)
        done = end
    if done < len(hit.text):
        yield Piece(text=hit.text[done:], is_marked=False)
