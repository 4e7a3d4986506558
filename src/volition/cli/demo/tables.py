"""The steps of the story as people read them: paragraphs and tables, and figures as text."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.learning.families.search.ranking import Hit

_UNITS: Final = {"search": "queries", "recommend": "people", "summary": "meetings", "compose": "people"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: headings, and rows with as many cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the story as people read it.

    Attributes:
        title: What happens.
        blocks: Paragraphs and tables, in order.
    """

    title: str
    blocks: tuple[str | Table, ...]


Show = Callable[[Step], None]


def read_rows(rows: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many records were looked at, of all categories."""
    return sum(counted["read"] for counted in rows.values())


def kept_rows(rows: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many of them were kept."""
    return sum(counted["kept"] for counted in rows.values())


def dropped_rows(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how many were dropped, by reason, in one line."""
    total: Counter[str] = Counter()
    for counted in rows.values():
        total.update(counted["dropped"])
    return ", ".join(f"{reason} {number:,}" for reason, number in sorted(total.items())) or "-"


def benefits_table(figures: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return what training gave each model, against the same feature without."""
    columns = ("model", "measure", "without", "with", "benefit", "95 % interval", "measured on")
    return Table(columns=columns, rows=tuple(_benefit(family, figure["benefit"]) for family, figure in figures.items()))


def _benefit(family: str, found: Mapping[str, Any]) -> tuple[object, ...]:
    measured_on = f"{found['units']} {_UNITS[family]}"
    if found["value"] is None:
        return (family, "not measured", None, None, None, None, measured_on)
    both = found["detail"]
    difference, interval = f"{found['value']:+.3f}", f"{found['low']:+.3f} to {found['high']:+.3f}"
    return (family, found["metric"], both["untrained"], both["trained"], difference, interval, measured_on)


def place_of(hit: Hit) -> str:
    """Return where a hit of a search was said."""
    return hit.source if hit.start_ms is None else f"{hit.source}, {clock(hit.start_ms)}"


def clock(at_ms: int) -> str:
    """Return a time within a meeting as m:ss."""
    minutes, seconds = divmod(at_ms // 1000, 60)
    return f"{minutes}:{seconds:02d}"
