"""Bounds: what an audit's figure is held against before a release, as a workspace's `volition.toml` says.

    [audit.benefit]
    bound = 0.0        # of the figure: at least for a benefit, at most for a risk; each audit knows which
    required = false   # true: what could not be measured is not released either

An audit that the file does not speak of has the bound that a new workspace's file would give it, so that deleting a
line never loosens anything. To have no bound, write one that nothing misses.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from volition.consent.terms.toml_file import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What one audit's figure is held against.

    Attributes:
        value: The bound; none if there is none.
        required: Whether a model of which nothing of it could be measured is refused, too.
    """

    value: float | None
    required: bool = False


def read_bounds(table: object, defaults: Mapping[str, Bound]) -> dict[str, Bound]:
    """Read the table `[audit]` of the settings, strictly.

    Args:
        table: What the file holds under "audit"; an empty table if nothing.
        defaults: The bound of each audit that the file does not speak of; there are no other audits.

    Raises:
        FaultError: An audit or a key is unknown, or a value is of the wrong kind; its path begins within the table.
    """
    audits = Section(table, (), required=(), optional=defaults)
    return {
        name: _bound(audits.section(name, required=(), optional={"bound", "required"}), usual)
        if name in audits.value
        else usual
        for name, usual in defaults.items()
    }


def _bound(audit: Section, usual: Bound) -> Bound:
    value = float(audit.number("bound", 0.1)) if "bound" in audit.value else usual.value
    return Bound(value=value, required=audit.boolean("required", default=usual.required))
