"""Plots of the console as SVG: rows kept and dropped, and a figure's interval against its bound.

Each is drawn here, without a script, and hidden from screen readers: the page shows the same figures as a table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPart:
    """One part of a bar.

    Attributes:
        name: What it is, in words.
        kind: Its class in the style sheet: "kept", or a reason of the closed vocabulary.
        count: How much.
    """

    name: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StackBar:
    """One bar: its name and its parts, from the left."""

    name: str
    parts: tuple[StackPart, ...]

    @property
    def total(self) -> int:
        """How much all of it is."""
        return sum(part.count for part in self.parts)

    @property
    def svg(self) -> Markup:
        """The drawing; it may be stretched to any width, since no text is in it."""
        drawn = ['<svg viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true" class="stack">']
        begin = 0
        for part in self.parts:
            x, width = (1000 * count / (self.total or 1) for count in (begin, part.count))
            drawn.append(
                f'<rect class="part p-{escape(part.kind)}" x="{x:.1f}" y="0" width="{width:.1f}" height="20"/>'
            )
            begin += part.count
        return Markup("".join([*drawn, "</svg>"]))  # noqa: S704 - every text in it was escaped above


@dataclass(frozen=True, slots=True, kw_only=True)
class StackChart:
    """Bars of one length, each divided into shares.

    Attributes:
        title: What they show.
        bars: From the top.
    """

    title: str
    bars: tuple[StackBar, ...]

    @property
    def legend(self) -> tuple[StackPart, ...]:
        """Every kind of part once, with its total."""
        totals: dict[str, StackPart] = {}
        for part in (part for bar in self.bars for part in bar.parts):
            before = totals.get(part.kind)
            count = part.count + (0 if before is None else before.count)
            totals[part.kind] = StackPart(name=part.name, kind=part.kind, count=count)
        return tuple(totals.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundPlot:
    """A figure with its interval, against the bound that it is held to.

    Attributes:
        value: The figure.
        low: Where its 95 % interval begins; none where there is no interval.
        high: Where it ends; none likewise.
        bound: What it is held against; none if nothing was set.
        at_least: Whether the figure must not be smaller than the bound; otherwise it must not be larger.
        misses: Whether it misses the bound.
    """

    value: float
    low: float | None
    high: float | None
    bound: float | None
    at_least: bool
    misses: bool

    @property
    def svg(self) -> Markup:
        """The drawing: the side of the bound that is not allowed is shaded."""
        known = [0.0, *(end for end in (self.value, self.low, self.high, self.bound) if end is not None)]
        span = max(known) - min(known) or 1.0
        low, high = min(known) - span * 0.06, max(known) + span * 0.06

        def x(value: float) -> float:
            return 10 + (value - low) / (high - low) * 300

        drawn = [f'<svg viewBox="0 0 320 44" aria-hidden="true" class="chart held{" risk" if self.misses else ""}">']
        if self.bound is not None:
            begin, end = (x(low), x(self.bound)) if self.at_least else (x(self.bound), x(high))
            drawn.append(f'<rect class="outside" x="{begin:.1f}" y="4" width="{end - begin:.1f}" height="24"/>')
            drawn.append(f'<line class="bound" x1="{x(self.bound):.1f}" x2="{x(self.bound):.1f}" y1="2" y2="30"/>')
            drawn.append(
                f'<text class="tick" x="{x(self.bound):.1f}" y="42" text-anchor="middle">{self.bound:g}</text>'
            )
        if self.bound != 0:
            drawn.append(f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="4" y2="28"/>')
            if self.bound is None or abs(x(0) - x(self.bound)) > 24:
                drawn.append(f'<text class="tick" x="{x(0):.1f}" y="42" text-anchor="middle">0</text>')
        if self.low is not None and self.high is not None:
            drawn.append(f'<line class="interval" x1="{x(self.low):.1f}" x2="{x(self.high):.1f}" y1="16" y2="16"/>')
        drawn.append(f'<circle class="dot" cx="{x(self.value):.1f}" cy="16" r="6"/></svg>')
        return Markup("".join(drawn))  # noqa: S704 - numbers only


def dropped(counts: Mapping[str, int], names: Mapping[str, str]) -> Sequence[StackPart]:
    """Return what was dropped as parts, by reason; the longest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [StackPart(name=names.get(reason, reason), kind=reason, count=count) for reason, count in ordered]
