"""Bounds: what an audit's figure is held against before a release, as a workspace's `volition.toml` says.

    [audit.benefit]
    bound = 0.0        # of the figure: at least for a benefit, at most for a risk; each audit knows which
    required = false   # true: what could not be measured is not released either

An audit that the file does not speak of has the bound that a new workspace's file would give it, so that deleting a
line never loosens anything. To have no bound, write one that nothing misses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from volition.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What one audit's figure is held against.

    Attributes:
        value: The bound; none if there is none.
        required: Whether a model of which nothing of it could be measured is refused, too.
    """

    value: float | None
    required: bool = False


def read_bounds(table: object, defaults: Mapping[str, Bound], *, where: str) -> dict[str, Bound]:
    """Read the table `[audit]` of the settings, strictly.

    Args:
        table: What the file holds under "audit"; an empty mapping if nothing.
        defaults: The bound of each audit that the file does not speak of; there are no other audits.
        where: The file, for the messages.

    Raises:
        InvalidInputError: An audit or a key is unknown, or a value is of the wrong kind.
    """
    if not isinstance(table, Mapping):
        msg = f"{where} sets audit to {table!r}. Give each audit a table of its own, such as [audit.benefit]."
        raise InvalidInputError(msg)
    unknown = sorted(table.keys() - defaults.keys())
    if unknown:
        msg = f"{where} has bounds for the unknown audit {unknown[0]!r}. The audits are: {', '.join(defaults)}."
        raise InvalidInputError(msg)
    return {
        name: _bound(table[name], usual, f"{where}, [audit.{name}],") if name in table else usual
        for name, usual in defaults.items()
    }


def _bound(value: Any, usual: Bound, where: str) -> Bound:  # noqa: ANN401 - any TOML value
    if not isinstance(value, Mapping):
        msg = f"{where} is no table. Write its keys, bound and required, below it."
        raise InvalidInputError(msg)
    unknown = sorted(value.keys() - {"bound", "required"})
    if unknown:
        msg = f"{where} has the unknown key {unknown[0]!r}. The keys are bound and required."
        raise InvalidInputError(msg)
    bound, required = value.get("bound", usual.value), value.get("required", usual.required)
    if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int | float) or not isfinite(bound)):
        msg = f"{where} sets bound to {bound!r}. A bound is a number."
        raise InvalidInputError(msg)
    if not isinstance(required, bool):
        msg = f"{where} sets required to {required!r}. Write true or false."
        raise InvalidInputError(msg)
    return Bound(value=None if bound is None else float(bound), required=required)
