"""How often a database was written, kept beside it as well: an older copy that was put back is known by it.

A database counts in itself (SQLite's `user_version`), within each transaction, and the file `generations` of its
workspace has the same number, after the commit. A database with a smaller one is an older copy, or has lost its
write-ahead log, and with it what was said since.

Nothing waits for the disk for that: after a loss of power the file may be behind a database, never before it.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

from volition.errors import BackendError

GENERATIONS: Final = "generations"
COUNTED: Final = ("parties.db", "lake/index.db", "web.db")
"""The databases that count, below the workspace, in the order of their lines in the file."""

_LINE: Final = 64


class Generation:
    """How often one database was written."""

    def __init__(self, folder: Path, name: str) -> None:
        """Name a database, of those that count.

        Args:
            folder: The workspace.
            name: The database's path below it, with slashes.
        """
        self._folder = folder
        self._name = name
        self._place = COUNTED.index(name) * _LINE
        self._number = 0

    def check(self, connection: sqlite3.Connection) -> None:
        """Check that the database is not older than it was.

        Raises:
            BackendError: It is: an older copy was put back, or what was written last was lost with its log.
        """
        kept = self._kept()
        [(found,)] = connection.execute("PRAGMA user_version")
        if found < kept:
            raise BackendError(
                f"{self._folder / self._name} is older than it was: it was written {kept:,} times, and this copy knows "
                f"of {found:,}. What was written since is missing: restore the newest copy, with its -wal file, or the "
                "whole workspace as it was at one moment."
            )

    def advance(self, connection: sqlite3.Connection) -> None:
        """Count one more writing, in the open transaction."""
        [(before,)] = connection.execute("PRAGMA user_version")
        self._number = before + 1
        connection.execute(f"PRAGMA user_version = {self._number}")

    def keep(self) -> None:
        """Keep what `advance` counted, after the commit. Where that fails, nothing is lost but a guard."""
        line = f"{self._name} {self._number}".ljust(_LINE - 1) + "\n"
        try:
            descriptor = os.open(self._folder / GENERATIONS, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, line.encode(), self._place)
            finally:
                os.close(descriptor)
        except OSError:
            return

    def _kept(self) -> int:
        """Return what the file has; 0 where it has nothing: an earlier version made none, or a crash left a hole."""
        try:
            with (self._folder / GENERATIONS).open("rb") as file:
                file.seek(self._place)
                name, _, number = file.read(_LINE).decode().strip().partition(" ")
            return int(number) if name == self._name else 0
        except (OSError, ValueError):
            return 0
