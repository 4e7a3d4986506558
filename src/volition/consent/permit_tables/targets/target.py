"""What a target does, and the target whose table and state are replaced one after the other.

A state names the generation of the lines that hold. Where the two cannot be replaced at once, the table is written with
the lines of both generations first, then the state, and at the next renewal the table without the older lines: whoever
reads meanwhile reads the lines of one generation, the older or the newer, and whoever is killed in between leaves a
state whose lines are there.
"""

from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

from volition.consent.permit_tables.expression import STATE, TABLE
from volition.consent.permit_tables.state import State

Write = Callable[[str, pa.Table], None]
"""Replaces one table, by its name, so that whoever reads it has either all of the older or all of the newer."""


class Target(Protocol):
    """Where a table of permits is kept."""

    @property
    def in_place(self) -> bool:
        """Whether lines are told apart here, so that one generation may be changed; else each writing takes a new."""
        ...

    def replace(self, lines: pa.Table, state: State) -> None:
        """Put lines and a state in place of what is there.

        Raises:
            BackendError: It cannot be written; what was there before is as it was, or holds nothing that is read.
        """
        ...

    def renew(self, state: State) -> None:
        """Put a state in place of the one that is there, for the same lines. Raises as `replace`."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Apart:
    """A target whose table and state are replaced one after the other. Implements `Target`."""

    in_place = False

    def __init__(self, write: Write) -> None:
        """Keep both by what replaces one table."""
        self._write = write
        self._lines: pa.Table | None = None
        self._has_older = False

    def replace(self, lines: pa.Table, state: State) -> None:
        """See `Target.replace`."""
        self._has_older = self._lines is not None
        self._write(TABLE, lines if self._lines is None else pa.concat_tables([lines, self._lines]))
        self._lines = lines
        self._write(STATE, state.to_arrow())

    def renew(self, state: State) -> None:
        """See `Target.renew`; older lines are gone afterwards."""
        self._write(STATE, state.to_arrow())
        if self._has_older and self._lines is not None:
            self._write(TABLE, self._lines)
            self._has_older = False

    def close(self) -> None:
        """See `Target.close`."""
