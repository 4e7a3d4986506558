"""Conversations: meetings and channels as one person may read them, with no model in between.

A person reads again what was said while they were there, or written to them: that is the service itself, whatever
anybody answered about AI. Of other conversations of their account they see what search, or the feature of that kind,
could show them now, and nothing else.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from volition.consent.gate import Participant
from volition.consent.permits import Permits
from volition.records.lake import Lake, Row, source_id


class Kind(StrEnum):
    """What a conversation is."""

    MEETING = "meeting"
    CHANNEL = "channel"


CATEGORY: Final[Mapping[Kind, str]] = {Kind.MEETING: "content/transcript", Kind.CHANNEL: "content/chat"}
"""In which category its lines lie."""

SHOWN_BY: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.MEETING: ("feature/search", "feature/summary"),
    Kind.CHANNEL: ("feature/search", "feature/compose"),
}
"""The purposes that let somebody see lines of a conversation that they were not in."""

_LINE: Final[Mapping[Kind, str]] = {Kind.MEETING: "segment", Kind.CHANNEL: "message"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One line of a conversation.

    Attributes:
        record_id: The record.
        place: The turn in a meeting, or the message's time stamp in a channel.
        start_ms: Milliseconds from a meeting's start; none in a channel.
        at_us: When it was said, microseconds since the Unix epoch, UTC.
        speaker: Who said it, as the source names them.
        text: What was said.
        is_own: Whether the reader said it.
        concerns: Pseudonyms of everyone whom it concerns, whose words they are first.
        is_private: Whether it is shown to those alone.
    """

    record_id: str
    place: str
    start_ms: int | None
    at_us: int
    speaker: str
    text: str
    is_own: bool
    concerns: tuple[str, ...]
    is_private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A meeting or a channel, as far as its reader may see it.

    Attributes:
        name: What it is called.
        kind: What it is.
        lines: In the order in which they were said; at least one.
        was_there: Whether the reader was in it.
    """

    name: str
    kind: Kind
    lines: tuple[Said, ...]
    was_there: bool

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who said something, in the order of speaking."""
        return tuple(dict.fromkeys(line.speaker for line in self.lines))

    @property
    def party_set(self) -> tuple[str, ...]:
        """Pseudonyms of everybody in a private conversation, as far as its reader can tell; empty in an open one."""
        is_private = any(line.is_private for line in self.lines)
        return tuple(dict.fromkeys(one for line in self.lines for one in line.concerns)) if is_private else ()

    @property
    def began_us(self) -> int:
        """When the first line was said: of a meeting, when it began."""
        return min(line.at_us - (line.start_ms or 0) * 1000 for line in self.lines)

    @property
    def last_us(self) -> int:
        """When the last line was said."""
        return max(line.at_us for line in self.lines)


def conversations(
    lake: Lake, reader: Participant, kind: Kind, *, shown_by: Sequence[Permits], name: str | None = None
) -> tuple[Conversation, ...]:
    """Return the conversations of a person's account that they may read, the latest first.

    Args:
        lake: Read through the gate only.
        reader: Who reads.
        kind: Which kind.
        shown_by: The permits of `SHOWN_BY[kind]`, now.
        name: Only this one; none for all.
    """
    category, source = [CATEGORY[kind]], None if name is None else source_id(reader.account, name)
    heard = {row.record_id: row for row in lake.heard_rows(reader, categories=category, source=source)}
    found = dict(heard)
    for permits in shown_by:
        for row in lake.rows(permits, categories=category, accounts=[reader.account], source=source):
            if row.is_for(reader.pseudonym):
                found[row.record_id] = row
    lines: dict[str, list[Row]] = defaultdict(list)
    for row in found.values():
        if row.payload.get("kind") == _LINE[kind]:
            lines[str(row.payload[kind.value])].append(row)
    read = [
        Conversation(
            name=title,
            kind=kind,
            lines=_in_order(rows, reader),
            was_there=any(row.record_id in heard for row in rows),
        )
        for title, rows in lines.items()
    ]
    return tuple(sorted(read, key=lambda one: (-one.last_us, one.name)))


def _in_order(rows: Iterable[Row], reader: Participant) -> tuple[Said, ...]:
    said = [(_position(row.payload), row) for row in rows]
    said.sort(key=lambda one: (one[1].collected_us, one[0], one[1].record_id))
    return tuple(
        Said(
            record_id=row.record_id,
            place=str(row.payload.get("ts", row.payload.get("turn", ""))),
            start_ms=row.payload.get("start_ms"),
            at_us=row.collected_us,
            speaker=str(row.payload.get("speaker", row.payload.get("author", ""))),
            text=str(row.payload["text"]),
            is_own=row.people[:1] == (reader.pseudonym,),
            concerns=row.people,
            is_private=bool(row.payload.get("private")),
        )
        for _, row in said
    )


def _position(payload: Mapping[str, Any]) -> int:
    return int(payload.get("turn", 0))
