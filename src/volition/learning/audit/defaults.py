"""The audits that there are, and what each is held against before a release unless the settings say otherwise.

Settings are read by every command, so nothing that measures is loaded here: `run` has how each audit measures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from volition.learning.audit.bounds import Bound
from volition.learning.audit.finding import NOT_MEASURED, SURELY, Finding, at_least, at_most

Held = tuple[float | None, float | None, float | None]
"""A figure and the two ends of its 95 % interval."""

UNBOUND: Final = Bound(value=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """What the settings of a new workspace say of one audit.

    Attributes:
        bound: Its bound.
        example: A bound for the settings' comment, where a new workspace has none.
        says: What the bound means, for the settings.
        earlier: Its bound in a workspace that was made before most audits had one.
        is_least: Whether the figure must be at least the bound; otherwise it must be at most that.
    """

    bound: Bound
    example: float
    says: str
    earlier: Bound = UNBOUND
    is_least: bool = False


DEFAULTS: Final[Mapping[str, Default]] = {
    "benefit": Default(
        bound=Bound(value=0.0, surely=True),
        example=0.0,
        says="The feature's quality with training less without: not surely below the bound.",
        is_least=True,
    ),
    "fairness": Default(
        bound=Bound(value=0.2, surely=True),
        example=0.2,
        says="The largest gap in quality between groups: not surely above the bound. Small ones differ by chance.",
    ),
    "attack": Default(
        bound=Bound(value=0.1),
        example=0.1,
        says="The share of members that an attacker who has the model's file finds: at most the bound.",
    ),
    "canary": Default(
        bound=Bound(value=3.0),
        example=3.0,
        says="How exposed, in bits, is what a single person wrote: at most the bound. Chance gives 1.4.",
        earlier=Bound(value=3.0),
    ),
    "poisoning": Default(
        bound=UNBOUND,
        example=3.5,
        says="How far, in robust deviations, the most harmful party is from the others: at most the bound.",
    ),
}
"""Every audit by its name, in the order in which they run and are shown."""

EARLIER_BOUNDS: Final[Mapping[str, Bound]] = {name: default.earlier for name, default in DEFAULTS.items()}
DEFAULT_BOUNDS: Final[Mapping[str, Bound]] = {name: default.bound for name, default in DEFAULTS.items()}
BOUNDS: Final[Mapping[int, Mapping[str, Bound]]] = {1: EARLIER_BOUNDS, 2: DEFAULT_BOUNDS}
"""The bounds of what the settings do not speak of, by the number that their `defaults` names; 1 where it names none."""


def verdict_on(audit: str, figure: Held, bound: float | None, *, surely: bool = False) -> str:
    """Return the verdict that an audit gives on a figure.

    Args:
        audit: Its name.
        figure: The figure with the ends of its interval; none of them where it was not measured.
        bound: What it is held against; none if nothing was set.
        surely: Whether the bound is missed only where the whole interval is beyond it. Where there is no interval, the
            figure itself is held against it.
    """
    value, low, high = figure
    if value is None:
        return NOT_MEASURED
    if DEFAULTS[audit].is_least:
        return at_least(high if surely and high is not None else value, bound)
    return at_most(low if surely and low is not None else value, bound)


def held(found: Finding, bound: Bound) -> Finding:
    """Return a finding held against its bound, judged anew and saying so where only a sure miss counts."""
    if not (bound.surely and bound.value is not None and found.measured):
        return found
    return replace(
        found,
        bound=bound.value,
        verdict=verdict_on(found.audit, (found.value, found.low, found.high), bound.value, surely=True),
        how=f"{found.how} Its bound is missed only where the whole interval is beyond it.",
        detail={**found.detail, SURELY: True},
    )


def is_held(found: Finding, bound: Bound) -> bool:
    """Return whether a finding was held against this bound, in this way."""
    surely = bound.surely and bound.value is not None and found.measured
    return found.bound == bound.value and (SURELY in found.detail) == surely


def bounds_text() -> str:
    """Return the bounds of a new workspace, as its `volition.toml` has them."""
    lines = [
        "[audit]",
        "# Which bounds hold where nothing is said below: 2 for those of this file, 1 for those of older workspaces.",
        f"defaults = {max(BOUNDS)}",
        "",
    ]
    for name, default in DEFAULTS.items():
        bound = default.bound
        lines += [
            f"[audit.{name}]",
            f"# {default.says}",
            f"bound = {bound.value}" if bound.value is not None else f"# bound = {default.example}",
            *(["surely = true  # missed only where the whole 95 % interval is beyond it"] if bound.surely else []),
            f"required = {str(bound.required).lower()}",
            "",
        ]
    return "\n".join(lines)
