"""Which stores a workspace has made: what is missing is never taken for empty.

A store that is not there is made when it is first used, so one that was lost would begin anew and answer that there is
nothing. `parties.db`, without which no workspace opens, therefore names each that was ever made; one that is named and
missing, or of no bytes, is refused. Of databases, `generations` tells besides whether they are older than they were.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from volition.consent.parties.database import Database
from volition.consent.parties.generations import COUNTED, Generation
from volition.errors import DamagedError

_MADE: Final = "made:"  # before the names in the table of states
_Opened = TypeVar("_Opened")


class Stores:
    """The stores of one workspace. It may be used from several threads."""

    def __init__(self, folder: Path, database: Database) -> None:
        """Know nothing yet.

        Args:
            folder: The workspace.
            database: Its parties.db, opened.
        """
        self._folder = folder.absolute()
        self._database = database
        self._noted: set[str] = set()

    def open(self, path: Path, make: Callable[[Path], _Opened]) -> _Opened:
        """Open a store, which is made if it never was; one outside of the workspace is just made.

        Args:
            path: Where it lies.
            make: Opens it, or makes it.

        Raises:
            BackendError: It was lost, or whatever `make` raises.
        """
        self.check(path)
        opened = make(path)
        self.note(path)
        return opened

    def check(self, path: Path) -> None:
        """Check that a store which was made is still there.

        Raises:
            BackendError: It is missing, or a file of no bytes.
        """
        if self.is_lost(path):
            raise lost(path)

    def is_lost(self, path: Path) -> bool:
        """Return whether a store which was made is missing, or a file of no bytes. Raises BackendError."""
        name = self._name(path)
        return bool(name) and not _is_there(path) and self._database.has_state(_MADE + name)

    def check_below(self, folder: Path) -> None:
        """Check that every store which was made below a folder is still there. Raises as `check` does."""
        for name in self._database.states(f"{_MADE}{self._name(folder)}/"):
            self.check(self._folder / name.removeprefix(_MADE))

    def missing(self) -> list[Path]:
        """Return the stores that were made and are missing, or files of no bytes. Raises BackendError."""
        made = (self._folder / name.removeprefix(_MADE) for name in self._database.states(_MADE))
        return [path for path in made if not _is_there(path)]

    def note(self, path: Path) -> None:
        """Note that a store was made: durably, and before anything is in it that must not be lost.

        Raises:
            BackendError: parties.db cannot be written.
        """
        name = self._name(path)
        if name and name not in self._noted:
            if not self._database.has_state(_MADE + name):
                self._database.set_state(_MADE + name, b"")
            self._noted.add(name)

    def forget(self, path: Path) -> None:
        """Note that a store is removed for good, before it is. Raises as `note` does."""
        name = self._name(path)
        self._noted.discard(name)
        if self._database.has_state(_MADE + name):
            self._database.drop_state(_MADE + name)

    def generation(self, path: Path) -> Generation | None:
        """Return what counts the writings of a database of this workspace; none for one that is not counted."""
        name = self._name(path)
        return Generation(self._folder, name) if name in COUNTED else None

    def _name(self, path: Path) -> str:
        """Return a store's path below the workspace; empty for one outside of it."""
        absolute = path.absolute()
        return absolute.relative_to(self._folder).as_posix() if absolute.is_relative_to(self._folder) else ""


def lost(path: Path) -> DamagedError:
    """Return the error that says of a file or folder that it was lost, and what to do."""
    state = "holds nothing any more" if path.exists() else "is gone"
    return DamagedError(
        f"{path} {state}, though this workspace has made it: it was lost. It is not taken for empty: restore it from a "
        "backup, or the whole workspace as it was at one moment."
    )


def _is_there(path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return path.is_dir() or found.st_size > 0


@contextmanager
def open_stores(folder: Path) -> Iterator[Stores | None]:
    """Lend the stores of a workspace to whoever does not open it; none where parties.db is not there.

    Raises:
        BackendError: It cannot be opened.
    """
    if not (folder / "parties.db").exists():
        yield None
        return
    with closing(Database(folder)) as database:
        yield Stores(folder, database)
