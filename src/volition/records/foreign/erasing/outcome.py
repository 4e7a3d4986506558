"""What would go of a table, and what went."""

from dataclasses import dataclass
from typing import Protocol

from volition.records.foreign.erasing.traces import Trace
from volition.records.foreign.erasing.whom import Whom


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldGo:
    """What an erasure would do to a table.

    Attributes:
        rows: How many rows would go.
        versions: How many older versions nobody could read any more.
    """

    rows: int
    versions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What an erasure did to a table.

    Attributes:
        rows: How many rows went.
        versions: How many older versions nobody can read any more.
        files: How many files were removed.
        left: Where the names are still found, in files that stay.
        waits: Files that hold the names, that no version ever named, and that may be somebody's who is about to
            commit them: until they are removed, the erasure is not done.
    """

    rows: int = 0
    versions: int = 0
    files: int = 0
    left: tuple[Trace, ...] = ()
    waits: tuple[str, ...] = ()


class ErasableTable(Protocol):
    """A table elsewhere from which rows can be erased."""

    def would_go(self, whom: Whom) -> WouldGo:
        """Return what `erase` would do; nothing changes. Raises as `erase`, but for what only changing meets."""
        ...

    def erase(self, whom: Whom) -> Gone:
        """Erase the rows of some people and accounts, and every older version; killed, it is called again.

        Where neither a row nor an older version names them, nothing changes.

        Raises:
            InvalidInputError: The table has no such columns, or is of a kind from which nothing can be erased here.
            ConflictError: Others went on writing such rows meanwhile.
            BackendError: The table cannot be reached, read or written.
        """
        ...
