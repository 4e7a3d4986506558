"""Conversations: meetings and channels as one person may read them, with no model in between.

A person may read again what was said while they were there, or written to them: that is the service itself, whatever
anybody decided about AI. Of the conversations that were opened to them they see what search, or the feature of that
kind, could show them now, and nothing else.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from volition.consent.gate import Participant
from volition.consent.permits import Permits
from volition.consent.references import source_id
from volition.records.audience import CATEGORY, MENTIONS, Audience, ConversationKind, was_there
from volition.records.lake import HEARD_IN, Lake, Row

__all__ = ["SHOWN_BY", "Conversation", "ConversationKind", "ConversationLine", "conversations"]


SHOWN_BY: Final[Mapping[ConversationKind, tuple[str, ...]]] = {
    ConversationKind.MEETING: ("feature/search", "feature/summary"),
    ConversationKind.CHANNEL: ("feature/search", "feature/compose"),
    ConversationKind.FILE: ("feature/search",),
}
"""The purposes under which somebody may see lines of a conversation that they were not in."""

_LINE: Final[Mapping[ConversationKind, str]] = {
    ConversationKind.MEETING: "segment",
    ConversationKind.CHANNEL: "message",
    ConversationKind.FILE: "passage",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Where the sound of a line is, if it was kept: in which record, and from which second of it on."""

    record: str
    start_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationLine:
    """One line of a conversation.

    Attributes:
        record_id: The record.
        place: The turn in a meeting, the message's time stamp in a channel, or the passage in a file.
        start_ms: Milliseconds from a meeting's start; none elsewhere.
        at_us: When it was said, microseconds since the Unix epoch, UTC.
        speaker: Who said it, as the source names them.
        text: What was said.
        is_own: Whether the reader said it.
        concerns: Pseudonyms of everyone whom it concerns, the speaker first.
        members: Likewise, without those whom a message merely mentions.
        is_private: Whether its source, or whoever collected it, said that it is for its members alone.
        is_recorded: Whether it was written down from a recording.
        is_named: Whether somebody in the meeting said who speaks, since no track tells.
        sound: Where its sound is; none where it was not kept.
    """

    record_id: str
    place: str
    start_ms: int | None
    at_us: int
    speaker: str
    text: str
    is_own: bool
    concerns: tuple[str, ...]
    members: tuple[str, ...]
    is_private: bool
    is_recorded: bool = False
    is_named: bool = False
    sound: Sound | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A meeting, a channel or a file, as far as its reader may see it.

    Attributes:
        name: What it is called.
        kind: What it is.
        lines: In the order in which they were said; at least one.
        was_there: Whether the reader was in it.
    """

    name: str
    kind: ConversationKind
    lines: tuple[ConversationLine, ...]
    was_there: bool

    @property
    def speakers(self) -> tuple[str, ...]:
        """Everyone who said something, in the order of speaking."""
        return tuple(dict.fromkeys(line.speaker for line in self.lines))

    @property
    def members(self) -> tuple[str, ...]:
        """Pseudonyms of everyone who was there when any of it was said, as far as its reader can see."""
        return tuple(dict.fromkeys(one for line in self.lines for one in line.members))

    @property
    def is_private(self) -> bool:
        """Whether any of it is private, as far as its reader can see."""
        return any(line.is_private for line in self.lines)

    @property
    def began_us(self) -> int:
        """When the first line was said; for a meeting, when it began."""
        return min(line.at_us - (line.start_ms or 0) * 1000 for line in self.lines)

    @property
    def last_us(self) -> int:
        """When the last line was said."""
        return max(line.at_us for line in self.lines)


def conversations(  # noqa: PLR0913 - who reads what, and what shows it
    lake: Lake,
    reader: Participant,
    audience: Audience,
    kind: ConversationKind,
    *,
    shown_by: Sequence[Permits],
    name: str | None = None,
) -> tuple[Conversation, ...]:
    """Return the conversations of a person's account that they may read, the latest first.

    Args:
        lake: Read through the gate only.
        reader: The person who reads.
        audience: What they may read.
        kind: Meetings, channels or files.
        shown_by: The permits of `SHOWN_BY[kind]`, now.
        name: Only this one; none for all.
    """
    category, source = [CATEGORY[kind]], None if name is None else source_id(reader.account, name)
    rows = lake.heard_rows(reader, categories=category, source=source)
    heard = {row.record_id: row for row in rows if audience.admits(row)}
    found = dict(heard)
    for permits in shown_by:
        for row in lake.rows(permits, categories=category, accounts=[reader.account], source=source):
            if audience.admits(row):
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
            was_there=any(was_there(pseudonym, row) for row in rows for pseudonym in reader.pseudonyms),
        )
        for title, rows in lines.items()
    ]
    return tuple(sorted(read, key=lambda one: (-one.last_us, one.name)))


def _in_order(rows: Iterable[Row], reader: Participant) -> tuple[ConversationLine, ...]:
    said = [(_position(row.payload), row) for row in rows]
    said.sort(key=lambda one: (one[1].collected_us, one[0], one[1].record_id))
    return tuple(
        ConversationLine(
            record_id=row.record_id,
            place=str(row.payload.get("ts", row.payload.get("turn", row.payload.get("number", "")))),
            start_ms=row.payload.get("start_ms"),
            at_us=row.collected_us,
            speaker=str(row.payload.get("speaker", row.payload.get("author", ""))),
            text=str(row.payload["text"]),
            is_own=row.people[0] in reader.pseudonyms,
            concerns=row.people,
            members=tuple(one for one in row.people if one not in row.payload.get(MENTIONS, ())),
            is_private=bool(row.payload.get("private")),
            is_recorded=HEARD_IN in row.payload,
            is_named="named_by" in row.payload,
            sound=_sound(row.payload),
        )
        for _, row in said
    )


def _sound(payload: Mapping[str, Any]) -> Sound | None:
    kept = payload.get("sound")
    if not isinstance(kept, dict):
        return None
    return Sound(record=str(kept["piece"]), start_s=max(0, payload["start_ms"] - kept["start_ms"]) / 1000)


def _position(payload: Mapping[str, Any]) -> int:
    return int(payload.get("turn", payload.get("number", 0)))
