"""The audits that there are, and what each is held against before a release unless the settings say otherwise.

Settings are read by every command, so nothing that measures is loaded here: `run` has how each audit measures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from volition.learning.audit.bounds import Bound
from volition.learning.audit.finding import NOT_MEASURED, at_least, at_most


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """What the settings of a new workspace say of one audit.

    Attributes:
        bound: Its bound.
        example: A bound for the settings' comment, where a new workspace has none.
        says: What the bound means, for the settings.
        judge: The verdict on a figure that is held against a bound.
    """

    bound: Bound
    example: float
    says: str
    judge: Callable[[float, float | None], str] = at_most


DEFAULTS: Final[Mapping[str, Default]] = {
    "benefit": Default(
        bound=Bound(value=None),
        example=0.0,
        says="The feature's quality with training less without: at least the bound. Few units vary by chance.",
        judge=at_least,
    ),
    "fairness": Default(
        bound=Bound(value=None),
        example=0.2,
        says="The largest gap in quality between two groups: at most the bound. Small groups differ by chance alone.",
    ),
    "attack": Default(
        bound=Bound(value=None),
        example=0.1,
        says="The share of members that an attacker who has the model's file finds: at most the bound.",
    ),
    "canary": Default(
        bound=Bound(value=3.0),
        example=3.0,
        says="How exposed, in bits, is what a single person wrote: at most the bound. Chance gives 1.4.",
    ),
    "poisoning": Default(
        bound=Bound(value=None),
        example=3.5,
        says="How far, in robust deviations, the most harmful party is from the others: at most the bound.",
    ),
}
"""Every audit by its name, in the order in which they run and are shown."""

DEFAULT_BOUNDS: Final[Mapping[str, Bound]] = {name: default.bound for name, default in DEFAULTS.items()}


def verdict_on(audit: str, value: float | None, bound: float | None) -> str:
    """Return the verdict that an audit gives on a figure; none was measured where there is no figure."""
    return NOT_MEASURED if value is None else DEFAULTS[audit].judge(value, bound)


def bounds_text() -> str:
    """Return the bounds of a new workspace, as its `volition.toml` has them."""
    lines = []
    for name, default in DEFAULTS.items():
        bound = f"bound = {default.bound.value}" if default.bound.value is not None else f"# bound = {default.example}"
        lines += [
            f"[audit.{name}]",
            f"# {default.says}",
            bound,
            f"required = {str(default.bound.required).lower()}",
            "",
        ]
    return "\n".join(lines)
