"""What people read is made of blocks: lines and tables. Every figure shown is in the command's JSON document, too."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Value = Mapping[str, Any]

_STYLES: Final = {
    "yes": "green",
    "permitted": "green",
    "holds": "green",
    "at work": "green",
    "no": "red",
    "FAILS": "bold red",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A paragraph, and how it looks on a terminal."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table.

    Attributes:
        columns: Headings.
        rows: Cells, as many in each row as there are headings; none is shown as a dash.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]

    @staticmethod
    def style(cell: object) -> str:
        """Return how a cell looks on a terminal."""
        return _STYLES.get(cell, "") if isinstance(cell, str) else ""


Block = Line | Grid


def paragraph(text: str) -> Line:
    """Return a paragraph."""
    return Line(text=text)


def heading(text: str) -> Line:
    """Return a heading, with a blank line before it."""
    return Line(text=f"\n{text}", style="bold")


def listed(values: Iterable[str]) -> str:
    """Return names in one line; a dash for none."""
    return ", ".join(values) or "-"


def short_instant(text: str | None) -> str | None:
    """Shorten an instant: whole seconds are enough to read by, and the document has the rest."""
    return f"{text[:19]}Z" if text and text.endswith("Z") else text


def counted(number: int, thing: str) -> str:
    """Return a number of things, in the plural unless it is one."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def interval(low: float | None, high: float | None) -> str | None:
    """Return an interval of signed figures; none where there is none."""
    return None if low is None or high is None else f"{low:+.3f} to {high:+.3f}"


def clock(at_ms: int) -> str:
    """Write a time within a meeting as mm:ss."""
    minutes, seconds = divmod(at_ms // 1000, 60)
    return f"{minutes:02}:{seconds:02}"
