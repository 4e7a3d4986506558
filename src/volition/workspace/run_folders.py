"""Folders of runs that go on: each is held by its process, as the kernel knows it, and swept once nobody holds it."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from volition.files import turn


@contextmanager
def run_folder(runs: Path, kind: str, name: str, suffix: str = "") -> Iterator[Path]:
    """Make a folder for a run and hold it for as long as that goes on; then remove it.

    Args:
        runs: The folder of such folders.
        kind: What its name begins with; those of this kind that killed runs have left are removed.
        name: What follows.
        suffix: What its name ends with.
    """
    with turn(runs):
        _sweep(runs, kind)
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}{name}", suffix=suffix, dir=runs))
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _sweep(runs: Path, kind: str) -> None:
    """Remove the folders of runs that nobody holds."""
    for folder in runs.glob(f"{kind}*"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
