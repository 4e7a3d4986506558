"""Bounds: what an audit's figure is held against before a release, as a workspace's `volition.toml` says.

    [audit]
    defaults = 2       # which bounds hold for what is not said below; without this line, those of older workspaces

    [audit.benefit]
    bound = 0.0        # of the figure: at least for a benefit, at most for a risk; each audit knows which
    surely = true      # true: missed only where the whole 95 % interval is beyond it
    required = false   # true: what could not be measured is not released either

An audit that the file does not speak of has the bound that a new workspace's file would give it, so that deleting a
line never loosens anything. A workspace from before most audits had a bound keeps those that it was made with, until
somebody writes `defaults` into its file. To have no bound, write one that nothing misses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from volition.consent.terms.toml_file import FaultError, Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What one audit's figure is held against.

    Attributes:
        value: The bound; none if there is none.
        required: Whether a model of which nothing of it could be measured is refused, too.
        surely: Whether it is missed only where the figure's whole interval is beyond it, not where the figure is.
    """

    value: float | None
    required: bool = False
    surely: bool = False


def read_bounds(table: object, defaults: Mapping[int, Mapping[str, Bound]]) -> dict[str, Bound]:
    """Read the table `[audit]` of the settings, strictly.

    Args:
        table: What the file holds under "audit"; an empty table if nothing.
        defaults: By number, as `defaults` in the table names them, the bound of each audit that the file does not
            speak of; there are no other audits. The first holds where the table names none.

    Raises:
        FaultError: An audit or a key is unknown, or a value is of the wrong kind; its path begins within the table.
    """
    first = next(iter(defaults))
    audits = Section(table, (), required=(), optional={"defaults", *defaults[first]})
    chosen = audits.integer("defaults", first)
    if chosen not in defaults:
        known = " or ".join(map(str, defaults))
        raise FaultError(("defaults",), f'"defaults" must be {known}: which bounds hold for what is not said.')
    return {
        name: _bound(audits.section(name, required=(), optional={"bound", "required", "surely"}), usual)
        if name in audits.value
        else usual
        for name, usual in defaults[chosen].items()
    }


def _bound(audit: Section, usual: Bound) -> Bound:
    if "bound" not in audit.value:
        return replace(
            usual,
            required=audit.boolean("required", default=usual.required),
            surely=audit.boolean("surely", default=usual.surely),
        )
    return Bound(
        value=float(audit.number("bound", 0.1)),
        required=audit.boolean("required", default=usual.required),
        surely=audit.boolean("surely", default=False),
    )
