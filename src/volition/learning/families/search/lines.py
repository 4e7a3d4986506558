"""Lines: the turns of meetings, messages of channels and passages of files that search works on, and which were opened.

- A **document** is a meeting, one channel's messages of one week, or a file; its **lines** are the turns, messages or
  passages in order.
- A **unit** of learning and of measuring is a document and a query for which a person opened some of its lines.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.canonical import digest, us_to_datetime, whole_number
from volition.learning.families.family import canonical_order
from volition.records.lake import Row

CLICK: Final = "search.opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A turn, a message or a passage: its row, and what all kinds have in common."""

    row: Row
    kind: str
    source: str
    place: str
    position: tuple[int, int]  # what it is sorted by
    speaker: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A meeting, a week of a channel, or a file.

    Attributes:
        key: Account, kind and name; for a channel also the week's Monday.
        account: Id of its account.
        lines: In the order they were said or written.
    """

    key: str
    account: str
    lines: tuple[Line, ...]

    def part(self, kept: Iterable[bool]) -> "Document":
        """Return the document with some of its lines only."""
        lines = tuple(line for line, stays in zip(self.lines, kept, strict=True) if stays)
        return Document(key=self.key, account=self.account, lines=lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A query and which lines of a document people opened for it."""

    document: Document
    query: str
    people: frozenset[str]
    opened: NDArray[np.bool_]  # shape (lines,)

    @property
    def name(self) -> str:
        """The document and a digest of the query: a query may say something about who asked it."""
        return f"{self.document.key}#{digest(self.query.encode())[:12]}"

    @property
    def teaches(self) -> bool:
        """Whether there is an order to learn: something opened and something not."""
        return bool(self.opened.any() and not self.opened.all())


def documents_of(rows: Iterable[Row]) -> dict[str, Document]:
    """Return the documents that rows are lines of, by key, sorted; rows that are no lines are passed over."""
    lines: dict[str, list[Line]] = defaultdict(list)
    accounts: dict[str, str] = {}
    for row in rows:
        line = _line(row)
        key = document_key(row)
        if line is not None and key is not None:
            lines[key].append(line)
            accounts[key] = row.account
    return {
        key: Document(
            key=key,
            account=accounts[key],
            lines=tuple(sorted(lines[key], key=lambda line: (line.position, line.row.record_id))),
        )
        for key in sorted(lines)
    }


def _line(row: Row) -> Line | None:
    """Return a row as a line; none if it is something else."""
    payload = row.payload
    match payload.get("kind"):
        case "segment":
            turn = int(payload["turn"])
            source, place, position, speaker = payload["meeting"], str(turn), (turn, 0), payload["speaker"]
        case "message":
            source, place, position = payload["channel"], payload["ts"], _timestamp(payload["ts"])
            speaker = payload["author"]
        case "passage":
            number = int(payload["number"])
            source, place, position, speaker = payload["file"], str(number), (number, 0), payload["author"]
        case _:
            return None
    return Line(
        row=row,
        kind=payload["kind"],
        source=source,
        place=place,
        position=position,
        speaker=speaker,
        text=payload["text"],
    )


def _timestamp(text: str) -> tuple[int, int]:
    """Return a "seconds.microseconds" timestamp as two integers; anything else sorts first."""
    seconds, _, micros = text.partition(".")
    whole, rest = whole_number(seconds), whole_number((micros or "0").ljust(6, "0")[:6])
    return (0, 0) if whole is None or rest is None else (whole, rest)


def document_key(row: Row) -> str | None:
    """Return which document a line, or a click on one, belongs to; none for other rows."""
    payload = row.payload
    match payload.get("kind"):
        case "segment":
            return f"{row.account}/meeting/{payload['meeting']}"
        case "message":
            return _channel_key(row.account, payload["channel"], payload["ts"])
        case "passage":
            return f"{row.account}/file/{payload['file']}"
        case "event" if payload["name"] == CLICK:
            attributes = payload["attributes"]
            if "search.meeting" in attributes:
                return f"{row.account}/meeting/{attributes['search.meeting']}"
            if "search.channel" in attributes and "search.ts" in attributes:
                return _channel_key(row.account, str(attributes["search.channel"]), str(attributes["search.ts"]))
            if "search.file" in attributes:
                return f"{row.account}/file/{attributes['search.file']}"
    return None


def opening(line: Line, query: str) -> dict[str, Any]:
    """Return the attributes of the event that a person opened a line for a query, as `units_of` reads them."""
    match line.kind:
        case "segment":
            turn = line.position[0]
            where: dict[str, Any] = {
                "search.meeting": line.source,
                "search.first_turn": turn,
                "search.last_turn": turn,
            }
        case "message":
            where = {"search.channel": line.source, "search.ts": line.place}
        case _:
            where = {"search.file": line.source, "search.passage": line.position[0]}
    return {"search.query": query, **where}


def _channel_key(account: str, channel: str, ts: str) -> str:
    day = us_to_datetime(_timestamp(ts)[0] * 1_000_000).date()
    return f"{account}/channel/{channel}/{(day - timedelta(days=day.weekday())).isoformat()}"


def units_of(rows: Iterable[Row], documents: Mapping[str, Document]) -> list[Unit]:
    """Return every query with what was opened for it, in the order of documents and queries."""
    clicks: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in canonical_order(rows):
        key = document_key(row)
        if row.payload.get("kind") == "event" and key is not None and key in documents:
            query = row.payload["attributes"].get("search.query")
            if isinstance(query, str) and query.strip():
                clicks[key, query.strip()].append(row)
    units = []
    for (key, query), opening in sorted(clicks.items()):
        document = documents[key]
        opened = np.zeros(len(document.lines), dtype=bool)
        for row in opening:
            opened |= _opened(document, row.payload["attributes"])
        people = frozenset(row.author for row in opening if row.people)
        units.append(Unit(document=document, query=query, people=people, opened=opened))
    return units


def _opened(document: Document, attributes: Mapping[str, Any]) -> NDArray[np.bool_]:
    if "search.channel" in attributes and "search.meeting" not in attributes:
        return np.array([line.place == attributes["search.ts"] for line in document.lines])
    if "search.meeting" not in attributes:
        return np.array([line.position[0] == attributes.get("search.passage") for line in document.lines])
    first, last = attributes.get("search.first_turn"), attributes.get("search.last_turn")
    if not isinstance(first, int) or not isinstance(last, int):
        return np.zeros(len(document.lines), dtype=bool)
    return np.array([first <= line.position[0] <= last for line in document.lines])
