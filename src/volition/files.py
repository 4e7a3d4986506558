"""Files and folders that appear whole or not at all, and that stay once they have appeared.

Each is written aside under its name with `.part`, flushed to the disk, and renamed. Writers of one folder take turns,
in threads and processes alike, so what a killed writer left aside is swept by the next one. Readers never wait, and
never see a part.

    write_folder(snapshots / "train-search-0f3a", {"manifest.json": b"{}", "model/arrays.npz": b""})
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PART: Final = ".part"


def write_file(path: Path, data: bytes) -> None:
    """Write a file into a folder that is there, in place of one that may be there.

    Raises:
        OSError: The disk is full or cannot be written; what was there before is as it was.
    """
    with turn(path.parent):
        aside = path.with_name(path.name + PART)
        try:
            aside.write_bytes(data)
            flush(aside)
            aside.replace(path)
        except OSError:
            aside.unlink(missing_ok=True)  # a full disk is not kept full
            raise
        flush(path.parent)


def write_folder(folder: Path, files: Mapping[str, bytes | memoryview]) -> None:
    """Write a folder of files by their relative names; one that is there already is left as it is.

    Raises:
        OSError: The disk is full or cannot be written; no folder appears.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with turn(folder.parent):
        _sweep(folder.parent)
        if folder.exists():
            return
        aside = folder.with_name(folder.name + PART)
        try:
            for name, data in files.items():
                path = aside / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            for path in (*aside.rglob("*"), aside):
                flush(path)
            aside.replace(folder)
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)  # a full disk is not kept full
            raise
        flush(folder.parent)


def sweep(folder: Path) -> None:
    """Remove what killed writers have left aside in a folder."""
    with turn(folder):
        _sweep(folder)


def _sweep(folder: Path) -> None:
    for left in folder.glob(f"*{PART}"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Wait until no other thread or process holds this folder's turn, and hold it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # which also lets go of the turn


def flush(path: Path) -> None:
    """Flush a file or a folder to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
