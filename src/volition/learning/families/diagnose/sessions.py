"""What diagnosis sees of a session: which records make one, what is measured of it, and how that is put in words.

- A session is what one person's client did under one `session.id` (OpenTelemetry's attribute): its records in
  `service/telemetry` and `service/diagnostics`. Two people in one call have a session each, so that no person's figures
  are ever part of another's.
- The first record with the attribute `session.outcome` ends it: "failed", or any other text for one that went well.
  Only what was collected before that instant is looked at: what is known afterwards foretells nothing.
- Every other attribute counts by itself, whatever its name: numbers by their mean, least and greatest value; texts and
  the names of events by having occurred. Attributes that give away the outcome or the person are not read (`UNREAD`).
- Only what the sessions of several people show is learnt by name (`FEWEST_PEOPLE`): a model never names a device
  that one person alone has.

Source of names: OpenTelemetry Semantic Conventions (`session.id`, `system.cpu.utilization`, `network.connection.type`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from volition.canonical import canonical_json
from volition.learning.families.family import canonical_order
from volition.records.lake import Row

SESSION: Final = "session.id"
OUTCOME: Final = "session.outcome"
FAILED: Final = "failed"
SOURCES: Final = ("service/diagnostics", "service/telemetry")
UNREAD: Final = ("session.", "error.", "exception.", "user.", "enduser.", "volition.")
"""What the names of attributes begin with that say how a session ended, or whose it was."""

FEWEST_PEOPLE: Final = 5

_EVENT: Final = "event.name"  # under which the names of a session's events count
_LONGEST_TEXT: Final = 80  # a longer one is no name of anything
_MOST_COLUMNS: Final = 300
_MEAN, _LEAST, _MOST, _IS = "mean", "least", "most", "is"
_OF_NUMBERS: Final = {_MEAN: "on average", _LEAST: "down to", _MOST: "up to"}
_WORDS: Final = {
    "network.loss_percent": "packet loss",
    "network.jitter_ms": "jitter",
    "network.rtt_ms": "round trip",
    "network.bandwidth_kbps": "bandwidth",
    "network.connection.type": "connection",
    "system.cpu.utilization": "CPU load",
    "system.memory.utilization": "memory in use",
}
_UNITS: Final = {"percent": "%", "ms": "ms", "kbps": "kbit/s", "utilization": "%"}


@dataclass(slots=True, kw_only=True)
class Session:
    """One person's session, as far as it may be looked at.

    Attributes:
        account: Whose terms govern it.
        person: Pseudonym of the person whose client it was.
        name: Its `session.id`.
        start_us: Instant of its first record.
        last_us: Instant of its last record.
        failed: How it ended; none if that is not known (yet).
        numbers: Attribute -> the values that were measured before its end, by time.
        texts: Attribute -> the values that occurred before its end.
    """

    account: str
    person: str
    name: str
    start_us: int
    last_us: int
    failed: bool | None = None
    numbers: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def unit(self) -> str:
        """Its name for scores: a `session.id` alone need not be unique."""
        return f"{self.person}/{self.name}"


def sessions_of(rows: Iterable[Row]) -> list[Session]:
    """Gather sessions from rows in any order; rows that belong to none are passed over.

    Returns:
        Sessions by account, person and name.
    """
    gathered: dict[tuple[str, str, str], list[tuple[int, Row, Mapping[str, Any]]]] = defaultdict(list)
    for row in canonical_order(row for row in rows if row.category in SOURCES and row.people):
        attributes = row.payload.get("attributes")
        if row.payload.get("kind") != "event" or not isinstance(attributes, dict):
            continue
        name = attributes.get(SESSION)
        if isinstance(name, str) and name:
            gathered[row.account, row.author, name].append((row.collected_us, row, attributes))
    return [_session(*key, gathered[key]) for key in sorted(gathered)]


def _session(account: str, person: str, name: str, records: Sequence[tuple[int, Row, Mapping[str, Any]]]) -> Session:
    ends = [(at_us, attributes[OUTCOME]) for at_us, _, attributes in records if _is_text(attributes.get(OUTCOME))]
    session = Session(
        account=account,
        person=person,
        name=name,
        start_us=records[0][0],
        last_us=records[-1][0],
        failed=ends[0][1] == FAILED if ends else None,
    )
    for at_us, row, attributes in records:
        if ends and at_us >= ends[0][0]:
            break
        if _is_text(event := row.payload.get("name")):
            session.texts[_EVENT].add(str(event))
        for attribute, value in attributes.items():
            if attribute.startswith(UNREAD):
                continue
            if isinstance(value, bool):
                session.texts[attribute].add("yes" if value else "no")
            elif isinstance(value, int | float):
                session.numbers[attribute].append(float(value))
            elif _is_text(value):
                session.texts[attribute].add(value)
    return session


def _is_text(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One thing that is measured of every session.

    Attributes:
        attribute: The attribute that it comes from.
        kind: "mean", "least" or "most" of its numbers, or "is": whether a text occurred.
        value: The text; empty for numbers.
        usual: The median over the sessions learnt from; 0 for texts.
    """

    attribute: str
    kind: str
    value: str = ""
    usual: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which columns a model reads: trained state, since it says what occurred in the sessions of several people."""

    columns: tuple[Column, ...]

    @classmethod
    def learn(cls, sessions: Sequence[Session]) -> "Layout":
        """Lay out what the sessions of at least `FEWEST_PEOPLE` people show; where that is much, the most common."""
        people: dict[tuple[str, str | None], set[str]] = defaultdict(set)
        for session in sessions:
            for attribute in session.numbers:
                people[attribute, None].add(session.person)
            for attribute, texts in session.texts.items():
                for text in texts:
                    people[attribute, text].add(session.person)
        common = [(thing, len(those)) for thing, those in people.items() if len(those) >= FEWEST_PEOPLE]
        common.sort(key=lambda entry: (-entry[1], entry[0][0], entry[0][1] or ""))
        columns: list[Column] = []
        for (attribute, value), _ in common:
            if value is None:
                columns += [Column(attribute=attribute, kind=kind) for kind in _OF_NUMBERS]
            else:
                columns.append(Column(attribute=attribute, kind=_IS, value=value))
        columns = sorted(columns[:_MOST_COLUMNS], key=lambda column: (column.attribute, column.kind, column.value))
        table = cls(columns=tuple(columns)).table(sessions)
        usual = [
            0.0 if column.kind == _IS else float(f"{np.nanmedian(table[:, place]):.6g}")
            for place, column in enumerate(columns)
        ]
        return cls(
            columns=tuple(
                Column(attribute=column.attribute, kind=column.kind, value=column.value, usual=middle)
                for column, middle in zip(columns, usual, strict=True)
            )
        )

    def table(self, sessions: Sequence[Session]) -> NDArray[np.float64]:
        """Measure sessions: shape (sessions, columns); NaN where a session says nothing about a column."""
        table = np.full((len(sessions), len(self.columns)), np.nan)
        for row, session in zip(table, sessions, strict=True):
            for place, column in enumerate(self.columns):
                if column.kind == _IS:
                    if texts := session.texts.get(column.attribute):
                        row[place] = column.value in texts
                elif numbers := session.numbers.get(column.attribute):
                    row[place] = _of_numbers(column.kind, numbers)
        return table

    def describe(self, session: Session, place: int) -> str:
        """Say in words what a session shows in a column, and for numbers what is usual."""
        column = self.columns[place]
        if column.attribute == _EVENT:
            return f'"{column.value}" was reported' if column.value in session.texts[_EVENT] else "its events"
        if column.kind == _IS:
            return f"{words_of(column.attribute)} {', '.join(sorted(session.texts[column.attribute]))}"
        numbers = session.numbers[column.attribute]
        how = f"{_OF_NUMBERS[column.kind]} " if len(numbers) > 1 else ""
        said = number_text(column.attribute, _of_numbers(column.kind, numbers))
        return f"{words_of(column.attribute)} {how}{said} (usually {number_text(column.attribute, column.usual)})"

    def to_text(self) -> str:
        """Write it as JSON; `from_text` reads it back."""
        return canonical_json(
            [[column.attribute, column.kind, column.value, column.usual] for column in self.columns]
        ).decode()

    @classmethod
    def from_text(cls, text: str) -> "Layout":
        """Read what `to_text` wrote."""
        return cls(
            columns=tuple(
                Column(attribute=attribute, kind=kind, value=value, usual=float(usual))
                for attribute, kind, value, usual in msgspec.json.decode(text)
            )
        )


def _of_numbers(kind: str, numbers: Sequence[float]) -> float:
    if kind == _MEAN:
        return sum(numbers) / len(numbers)
    return min(numbers) if kind == _LEAST else max(numbers)


def _unit(attribute: str) -> str:
    """Return the unit at the end of an attribute's name, as in `network.jitter_ms`; empty if there is none."""
    return next((unit for end, unit in _UNITS.items() if attribute.endswith((f"_{end}", f".{end}"))), "")


def words_of(attribute: str) -> str:
    """Return an attribute's name as people say it: "client.version" becomes "client version"."""
    if attribute in _WORDS:
        return _WORDS[attribute]
    name = attribute.replace(".", " ").replace("_", " ")
    return name.rpartition(" ")[0] if _unit(attribute) else name


def number_text(attribute: str, value: float) -> str:
    """Write a measured value with its unit; a share (`.utilization`) in percent."""
    unit = _unit(attribute)
    shown = value * 100 if attribute.endswith(".utilization") else value
    return f"{shown:.3g} {unit}".rstrip()
