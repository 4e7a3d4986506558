"""How many records fell on which day, as bars: drawn here as SVG, like `charts`, with the figures in a table beside it.

Days without records are shown as such. Where the days are many, a bar is a week or a month, so that all fit.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from markupsafe import Markup, escape

_WIDTH: Final = 560
_HEIGHT: Final = 190
_LEFT: Final = 44
_RIGHT: Final = 8
_TOP: Final = 12
_BOTTOM: Final = 28
_MOST: Final = 60
_WIDEST: Final = 56
_LABEL: Final = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class DayChart:
    """Counts by day.

    Attributes:
        title: What is counted.
        own: How many of the person's own records, by day.
        others: How many of others' that concern them, likewise.
    """

    title: str
    own: Mapping[date, int]
    others: Mapping[date, int]

    @property
    def svg(self) -> Markup:
        """The drawing; empty where there is nothing to draw."""
        return _draw(self)

    @property
    def each(self) -> str:
        """What a bar stands for: "day", "week" or "month"."""
        days = [*self.own, *self.others]
        return _unit(min(days), max(days)) if days else "day"


def _unit(first: date, last: date) -> str:
    days = (last - first).days + 1
    if days <= _MOST:
        return "day"
    return "week" if days <= 7 * _MOST else "month"


def _start(day: date, unit: str) -> date:
    if unit == "day":
        return day
    return day - timedelta(days=day.weekday()) if unit == "week" else day.replace(day=1)


def _next(start: date, unit: str) -> date:
    if unit == "month":
        return (start + timedelta(days=31)).replace(day=1)
    return start + timedelta(days=1 if unit == "day" else 7)


def _draw(chart: DayChart) -> Markup:
    days = [*chart.own, *chart.others]
    if not days:
        return Markup()
    unit = chart.each
    own, others = (_gathered(counts, unit) for counts in (chart.own, chart.others))
    starts = [_start(min(days), unit)]
    while starts[-1] < _start(max(days), unit):
        starts.append(_next(starts[-1], unit))
    top = max(own[start] + others[start] for start in starts)
    room = (_WIDTH - _LEFT - _RIGHT) / len(starts)
    width = min(room * 0.7, _WIDEST)
    height = _HEIGHT - _TOP - _BOTTOM
    base = _HEIGHT - _BOTTOM
    drawn = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true" class="chart days">',
        *(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,}</text>'
            for value, y in ((0, base), (top, _TOP))
        ),
    ]
    for number, start in enumerate(starts):
        x = _LEFT + (number + 0.5) * room - width / 2
        y = float(base)
        for kind, count in (("own", own[start]), ("others", others[start])):
            size = count / top * height
            y -= size
            if count:
                drawn.append(f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{size:.1f}"/>')
    last = len(starts) - 1
    for number in sorted({0, last // 2, last} if last > 1 else {0, last}):
        at = starts[number]
        label = f"{at:%B %Y}" if unit == "month" else f"{at.day} {at:%b %Y}"
        x, anchor = _LEFT + (number + 0.5) * room, "middle"
        if room < _LABEL and number in {0, last}:  # at the edges there is no room on both sides
            x, anchor = (float(_LEFT), "start") if number == 0 else (float(_WIDTH - _RIGHT), "end")
        drawn.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{escape(label)}</text>')
    drawn.append("</svg>")
    return Markup("".join(drawn))  # noqa: S704 - every text in it was escaped above


def _gathered(counts: Mapping[date, int], unit: str) -> Counter[date]:
    gathered: Counter[date] = Counter()
    for day, count in counts.items():
        gathered[_start(day, unit)] += count
    return gathered
