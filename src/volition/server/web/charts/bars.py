"""Charts as SVG, drawn here: they need no script, and follow light and dark by CSS.

A screen reader skips the drawing: the page that shows one says the same in sentences, and has its figures as a table.
"""

import math
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

_WIDTH: Final = 460
_LEFT: Final = 150
_RIGHT: Final = 28
_ROW: Final = 44
_TOP: Final = 12
_BOTTOM: Final = 28
_TICKS: Final = 4
_NAME: Final = 18  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One measurement.

    Attributes:
        name: Of what.
        value: The estimate; none where it was not measured.
        low: Where its 95 % interval begins; none likewise.
        high: Where it ends; none likewise.
        units: From how many units it was measured.
        is_yours: Whether it is the visitor's own.
        chance: What a guess would give, drawn beside it; none where there is no such thing.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    units: int = 0
    is_yours: bool = False
    chance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalChart:
    """Measurements side by side.

    Attributes:
        title: What is measured.
        unit: Its unit, such as "%"; empty for a bare number.
        of: What it was measured on, in the plural: "meetings".
        rows: From the top.
        is_risk: Whether more is worse.
        digits: Digits after the point.
    """

    title: str
    unit: str
    of: str
    rows: tuple[Interval, ...]
    is_risk: bool = False
    digits: int = 2

    @property
    def svg(self) -> Markup:
        """The drawing."""
        return _draw(self)

    def text(self, value: float | None) -> str:
        """Say a value with its unit."""
        return "not measured" if value is None else f"{value:,.{self.digits}f}{self.unit}"


def _draw(chart: IntervalChart) -> Markup:
    ends = [end for row in chart.rows for end in (row.value, row.low, row.high, row.chance) if end is not None]
    step, low, high = scale_of(min([0.0, *ends]), max([0.0, *ends]))
    height = _TOP + _ROW * len(chart.rows) + _BOTTOM
    span = high - low

    def x(value: float) -> float:
        return _LEFT + (value - low) / span * (_WIDTH - _LEFT - _RIGHT)

    drawn = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" aria-hidden="true" class="chart{" risk" if chart.is_risk else ""}">'
    ]
    for number in range(round(span / step) + 1):
        at = low + number * step
        kind = "zero" if abs(at) < step / 2 else "grid"
        label = f"{at:,.{digits_of(step)}f}{chart.unit}" if kind == "grid" else "0"
        drawn.append(
            f'<line class="{kind}" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{_TOP}" y2="{height - _BOTTOM}"/>'
            f'<text class="tick" x="{x(at):.1f}" y="{height - 9}" text-anchor="middle">{label}</text>'
        )
    for number, row in enumerate(chart.rows):
        y = _TOP + _ROW * number + _ROW * 0.62
        drawn.append(f'<g class="row{" yours" if row.is_yours else ""}">')
        drawn.append(
            f'<text class="name" x="{_LEFT - 14}" y="{y + 4:.1f}" text-anchor="end">{escape(_short(row.name))}</text>'
        )
        if row.chance is not None:
            drawn.append(
                f'<line class="chance" x1="{x(row.chance):.1f}" x2="{x(row.chance):.1f}" y1="{y - 12:.1f}" '
                f'y2="{y + 12:.1f}"/><text class="tick" x="{x(row.chance):.1f}" y="{y + 24:.1f}" '
                f'text-anchor="middle">guess</text>'
            )
        if row.value is None:
            drawn.append(f'<text class="missing" x="{x(0) + 8:.1f}" y="{y + 4:.1f}">not measured</text>')
        else:
            if row.low is not None and row.high is not None:
                drawn.append(
                    f'<line class="interval" x1="{x(row.low):.1f}" x2="{x(row.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
                )
            drawn.append(f'<circle class="dot" cx="{x(row.value):.1f}" cy="{y:.1f}" r="6"/>')
            drawn.append(
                f'<text class="value" x="{x(row.value):.1f}" y="{y - 11:.1f}" text-anchor="middle">'
                f"{escape(chart.text(row.value))}</text>"
            )
        drawn.append("</g>")
    drawn.append("</svg>")
    return Markup("".join(drawn))  # noqa: S704 - every text in it was escaped above


def _short(name: str) -> str:
    """Cut a name to what fits beside the drawing; the table has it whole."""
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def scale_of(low: float, high: float) -> tuple[float, float, float]:
    """Return a step of 1, 2 or 5 times a power of ten, and ends that are multiples of it."""
    span = high - low or 1.0
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(power * size for size in (1, 2, 5, 10) if power * size * _TICKS >= span)
    return step, math.floor(low / step - 1e-9) * step if low < 0 else 0.0, math.ceil(high / step - 1e-9) * step or step


def digits_of(step: float) -> int:
    """Return how many digits after the point tell multiples of a step apart."""
    return max(0, -math.floor(math.log10(step) + 1e-9))
