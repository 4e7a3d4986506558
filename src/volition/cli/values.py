"""How the command line's words become values: text, whole numbers, paths and choices, without a validation library.

Typer reads each value with pydantic, which takes longer to load than most commands take to answer. What a command's
options are made of is simple, so it is read here; anything else is left to typer.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import typer


def _yes_or_no(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if text.strip().lower() not in words:
        raise ValueError(f"{text!r} is neither true nor false")
    return words[text.strip().lower()]


_READ: Final[dict[type, Callable[[str], object]]] = {str: str, int: int, bool: _yes_or_no, Path: Path}


class PlainValue:
    """Reads the values of one option or argument. Stands in for typer's own reader."""

    def __init__(self, kind: type, *, least: float | None, most: float | None) -> None:
        """Take what a value becomes: str, int, Path or an enumeration; a number's bounds are included."""
        self._kind = kind
        self._least = least
        self._most = most

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:  # noqa: ANN401 - types that typer keeps to itself
        """Return the value, or a list of them; nothing stays nothing.

        Raises:
            BadParameter: It cannot be one.
        """
        is_list = param.multiple or param.nargs == -1
        if value is None:
            return () if is_list else None
        try:
            return [self._one(item) for item in value] if is_list else self._one(value)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from error

    def _one(self, value: Any) -> object:  # noqa: ANN401 - text, or a default that is a value already
        if isinstance(value, self._kind):
            return self._within(value)
        if issubclass(self._kind, Enum):
            choices = {str(choice.value): choice for choice in self._kind}
            if value not in choices:
                raise ValueError(f"{value!r} is not one of: {', '.join(choices)}")
            return choices[value]
        try:
            return self._within(_READ[self._kind](value))
        except ValueError as error:
            if self._kind is int and not isinstance(error, _BoundsError):
                raise ValueError(f"{value!r} is not a whole number") from error
            raise

    def _within(self, value: object) -> object:
        if isinstance(value, int) and not (
            (self._least is None or value >= self._least) and (self._most is None or value <= self._most)
        ):
            least, most = self._least, self._most
            bounds = f"from {least:,} to {most:,}" if least is not None and most is not None else "within its bounds"
            raise _BoundsError(f"{value:,} is not {bounds}")
        return value


class _BoundsError(ValueError):
    """A number is out of its bounds."""


def read_plainly(parameters: list[Any]) -> list[Any]:
    """Return options and arguments such that each whose values are simple reads them here.

    Another version of typer may read values in another way: then what is set here is not looked at.
    """
    for parameter in parameters:
        descriptor = getattr(parameter, "type_descriptor", None)
        if descriptor is None:
            continue
        kind, info = descriptor.annotation, descriptor.parameter_info
        if get_origin(kind) is list:
            [kind] = get_args(kind)
        if isinstance(kind, type) and (kind in _READ or issubclass(kind, Enum)) and info.parser is None:
            parameter._runtime_param = PlainValue(kind, least=info.min, most=info.max)  # noqa: SLF001 - there is no other way
    return parameters
