"""The files below a table's folder: listed, opened, removed. On a disk, or wherever Arrow's file systems reach."""

import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.fs

from volition.records.foreign.erasing.traces import Searched, Trace, Unpack

SETTLED_S: Final = 24 * 3600.0
"""How old a file is, in seconds, of which nobody assumes any more that it is about to be committed."""


_SHARED: Final = 0o666


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A table's folder.

    Attributes:
        system: Where it lies.
        root: Its path there, without a slash at the end; empty where the system is the folder.
        folder: The same on this machine's own disk; none elsewhere.
    """

    system: pyarrow.fs.FileSystem
    root: str
    folder: Path | None

    def files(self) -> dict[str, float]:
        """Return every file's path below the folder, and when it was written, in seconds since 1970."""
        selector = pyarrow.fs.FileSelector(self.root, recursive=True, allow_not_found=True)
        found = self.system.get_file_info(selector)
        return {
            self.below(one.path): one.mtime.timestamp() if one.mtime else time.time()
            for one in found
            if one.type == pyarrow.fs.FileType.File
        }

    def below(self, path: str) -> str:
        """Return a path of the system as it is below the folder; one that is not below it as it is."""
        return path.removeprefix(f"{self.root}/") if self.root else path.lstrip("/")

    def at(self, path: str) -> str:
        """Return a path below the folder as the system has it."""
        return f"{self.root}/{path}" if self.root else path

    def open(self, path: str) -> pa.NativeFile:
        """Open a file below the folder. Raises OSError."""
        return self.system.open_input_file(self.at(path))

    def read(self, path: str) -> bytes:
        """Return what a file below the folder holds. Raises OSError."""
        with self.open(path) as file:
            return bytes(file.read())

    def remove(self, paths: Iterable[str]) -> int:
        """Remove files below the folder; return how many were there. Raises OSError."""
        removed = 0
        for path in paths:
            with suppress(FileNotFoundError):
                self.system.delete_file(self.at(path))
                removed += 1
        return removed

    def open_up(self, paths: Iterable[str]) -> None:
        """Let whoever may read and write in the folder of a file do so with the file; on this machine's disk alone.

        What a process with a workspace writes is its user's own, and the table's other readers would be shut out.
        """
        if self.folder is None:
            return
        for path in paths:
            file = self.folder / path
            with suppress(FileNotFoundError, PermissionError):
                file.chmod(stat.S_IMODE(file.stat().st_mode) | file.parent.stat().st_mode & _SHARED)

    def remove_empty_folders(self, searched: Searched) -> None:
        """Remove empty folders that are named after somebody; on this machine's disk alone, elsewhere there are none.

        Others stay: somebody may be about to write there.
        """
        if self.folder is None:
            return
        found = [path for path in self.folder.rglob("*") if path.is_dir()]
        for path in sorted(found, key=lambda one: len(one.parts), reverse=True):
            if searched.in_text(path.relative_to(self.folder).as_posix()):
                with suppress(OSError):  # something is in it
                    path.rmdir()

    def search(
        self, searched: Searched, unpack: Mapping[str, Unpack], *, files: Iterable[str] | None = None
    ) -> Iterator[Trace]:
        """Yield where names are left, in files below the folder; by default in all of them.

        Raises:
            OSError: One cannot be read.
        """
        for path in sorted(self.files() if files is None else files):
            try:
                yield from searched.in_file(path, self.open, unpack)
            except FileNotFoundError:
                continue  # others went on meanwhile
            except pa.ArrowException as error:
                msg = f"{path} is damaged, so it could not be searched: {error}"
                raise OSError(msg) from error


def settled(files: Mapping[str, float], *, now_s: float | None = None) -> set[str]:
    """Return which files are so old that nobody is about to commit them."""
    until_s = (time.time() if now_s is None else now_s) - SETTLED_S
    return {path for path, written_s in files.items() if written_s < until_s}


def local_folder(path: str) -> Path | None:
    """Return where a location lies on this machine's disk; none where it lies elsewhere."""
    scheme, separator, rest = path.partition("://")
    if separator and scheme != "file":
        return None
    return Path(rest if separator else path.removeprefix("file:"))
