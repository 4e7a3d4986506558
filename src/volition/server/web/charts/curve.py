"""A training's loss, step by step, as SVG: what is there without JavaScript, and what `static/curve.js` draws from."""

import json
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from volition.server.web.charts.bars import digits_of, scale_of

_WIDTH: Final = 640
_HEIGHT: Final = 240
_LEFT: Final = 58
_RIGHT: Final = 12
_TOP: Final = 12
_BOTTOM: Final = 28


def loss_curve(losses: Sequence[tuple[int, float]], total: int) -> Markup:
    """Draw losses over steps; fewer than two points are no curve, and give nothing.

    Args:
        losses: Pairs of the step and its loss, by step.
        total: How many steps there will be; 0 if nobody knows.
    """
    if len(losses) < 2:
        return Markup()
    last = max(total, losses[-1][0])
    values = [loss for _, loss in losses]
    step, low, high = scale_of(min(0.0, *values), max(values))

    def x(done: float) -> float:
        return _LEFT + done / last * (_WIDTH - _LEFT - _RIGHT)

    def y(loss: float) -> float:
        return _TOP + (high - loss) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    grid = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(at):.1f}" y2="{y(at):.1f}"/>'
        f'<text class="tick" x="{_LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{at:,.{digits_of(step)}f}</text>'
        for at in (low + number * step for number in range(round((high - low) / step) + 1))
    )
    ends = "".join(
        f'<text class="tick" x="{x(at):.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{detail}</text>'
        for at, anchor, detail in ((0, "start", "0"), (last, "end", f"step {last:,}"))
    )
    points = " ".join(f"{x(done):.1f},{y(loss):.1f}" for done, loss in losses)
    best, least = min(losses, key=lambda one: one[1])
    label = (
        f"Loss by step: {values[0]:.3f} at step {losses[0][0]:,}, {values[-1]:.3f} at step {losses[-1][0]:,}; "
        f"the least is {least:.3f}, at step {best:,}."
    )
    drawing = (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" class="chart" role="img" aria-label="{label}">'
        f'{grid}{ends}<polyline class="line" points="{points}"/></svg>'
    )
    detail = json.dumps({"total": last, "losses": [[done, loss] for done, loss in losses]})
    return Markup(
        '<figure class="figure" data-curve="{}">{}<figcaption class="muted">Loss, step by step</figcaption></figure>'
    ).format(
        detail,
        Markup(drawing),  # noqa: S704 - numbers, and words of ours
    )
