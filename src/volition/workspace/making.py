"""Making the folder of a new workspace, so that a making that was killed can be done again.

A mark is there, as a file, from before the first file is made until the workspace has its first terms. Whoever finds it
knows that nothing of the folder was acknowledged to anybody: where the settings are missing, which come last, the rest
is removed and made anew; where they are there, it is a workspace, and what is left to do is done.
"""

from pathlib import Path
from typing import Final

from volition.consent.parties import Parties, write_secret
from volition.errors import InvalidInputError
from volition.files import PART, flush, keep_private, write_file
from volition.ledger.stores.sqlite import SqliteStore
from volition.workspace.opened import FOLDERS
from volition.workspace.settings import SETTINGS_FILE

_MARK: Final = "making"
_FOLDERS: Final = (*FOLDERS, "runs")
_FILES: Final = ("signing.key", "master.key", "generations", "checkpoint", f"{SETTINGS_FILE}{PART}", f"{_MARK}{PART}")
_DATABASES: Final = ("parties.db", "ledger.db")


def make_folder(folder: Path, settings: str) -> None:
    """Make everything that a workspace needs to be opened, unless a making that was killed has made it all.

    Args:
        folder: A folder that is empty or not there, or in which a making was killed.
        settings: What its volition.toml says.

    Raises:
        InvalidInputError: The folder holds something else.
        OSError: It cannot be written.
    """
    mark = folder / _MARK
    if mark.exists() and (folder / SETTINGS_FILE).exists():
        return
    if mark.exists():
        _remove_begun(folder)
    if folder.exists() and any(path.name not in {_MARK, f"{_MARK}{PART}"} for path in folder.iterdir()):
        msg = f"{folder} is not empty. Name a new folder for the workspace."
        raise InvalidInputError(msg)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep_private(folder)
    write_file(mark, b"")
    write_secret(folder / "signing.key")
    Parties.create(folder).close()
    SqliteStore.create(folder / "ledger.db").close()
    for name in _FOLDERS:
        (folder / name).mkdir()
    write_file(folder / SETTINGS_FILE, settings.encode())


def end_making(folder: Path) -> None:
    """Take the mark away: the workspace is made."""
    (folder / _MARK).unlink(missing_ok=True)
    flush(folder)


def _remove_begun(folder: Path) -> None:
    """Remove what a making makes; anything else is left, and then the folder is not empty."""
    for name in _FOLDERS:
        if (folder / name).exists():
            (folder / name).rmdir()
    databases = (f"{name}{suffix}" for name in _DATABASES for suffix in ("", "-wal", "-shm", "-journal"))
    for name in (*_FILES, *databases):
        (folder / name).unlink(missing_ok=True)
