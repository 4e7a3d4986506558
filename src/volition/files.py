"""Files and folders that appear whole or not at all, and that stay once they have appeared.

Each is written aside under its name with `.part`, flushed to the disk, and renamed. Writers of one folder take turns,
in threads and processes alike, so what a killed writer left aside is swept by the next one. Readers never wait, and
never see a part. A writer has patience for `PATIENCE_S` seconds; then it is told who holds the turn, as the
kernel knows it (Linux: /proc/locks): nothing is written down that a killed holder would leave behind.

    write_folder(snapshots / "train-search-0f3a", {"manifest.json": b"{}", "model/arrays.npz": b""})

A workspace's files are its user's alone (`keep_private`), whoever writes them: this house, SQLite, or an engine that
spills to the disk.
"""

import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from volition.errors import BusyError

PART: Final = ".part"
PATIENCE_S: Final = 10.0
"""How long a writer waits for another one, in seconds."""

_FIRST_NAP_S: Final = 0.0005
_LONGEST_NAP_S: Final = 0.02
_COMMAND_SHOWN: Final = 120

_OTHERS: Final = 0o077
_PUBLIC: Final = 0o022


def keep_private(folder: Path) -> None:
    """Let nobody but this user into a folder, nor into any file that this process makes from now on (umask 077).

    A folder that others could enter, as earlier versions made them, is tightened with its databases and folders; one of
    another user is left as it is, since only that user can change it. Keys and secrets that lie in it are not touched:
    one that others could read may have been read, and whoever opens it says so.
    """
    os.umask(os.umask(_OTHERS) | _OTHERS)
    there = folder.stat()
    if there.st_uid == os.geteuid() and there.st_mode & _OTHERS:
        within = (path for one in folder.iterdir() if one.is_dir() for path in (one, *one.rglob("*")))
        for path in (*within, *folder.glob("*.db*"), folder):  # the folder last: one that was killed begins anew
            _tighten(path)


def _tighten(path: Path) -> None:
    with suppress(FileNotFoundError):  # a file that another process has just removed
        mode = stat.S_IMODE(path.lstat().st_mode)
        if not path.is_symlink() and mode & _OTHERS and path.lstat().st_uid == os.geteuid():
            path.chmod(mode & ~_OTHERS)


@contextmanager
def public() -> Iterator[None]:
    """Let everybody read what this process makes in the block: for what is published. Only while one thread runs."""
    before = os.umask(_PUBLIC)
    try:
        yield
    finally:
        os.umask(before)


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


@contextmanager
def folder_aside(parent: Path) -> Iterator[Path]:
    """Give a new folder to write large files into, for as long as that takes; then `settle` it. Else it goes.

    It holds no turn: others write meanwhile, and do not sweep it while this process lives.

    Raises:
        OSError: The disk cannot be written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with turn(parent):
        _sweep(parent)
        aside = parent / f"{secrets.token_hex(8)}{PART}"
        aside.mkdir()
        held = os.open(aside, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # not there any more once it was settled
        os.close(held)


def settle(aside: Path, folder: Path) -> None:
    """Give a folder that was written aside its name, whole; where that name is there already, it is left as it is.

    Raises:
        OSError: The disk is full or cannot be written; no folder appears.
    """
    for path in (*aside.rglob("*"), aside):
        flush(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with turn(folder.parent):
        if not folder.exists():
            aside.replace(folder)
            flush(folder.parent)


def sweep(folder: Path) -> None:
    """Remove what killed writers have left aside in a folder."""
    with turn(folder):
        _sweep(folder)


def _sweep(folder: Path) -> None:
    for left in folder.glob(f"*{PART}"):
        if not left.is_dir():
            left.unlink()
        elif not _is_held(left):
            shutil.rmtree(left)


def _is_held(aside: Path) -> bool:
    """Say whether somebody still writes into a folder aside: the kernel lets go of it for who is killed."""
    descriptor = os.open(aside, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Wait until no other thread or process holds this folder's turn, and hold it.

    Raises:
        BusyError: Somebody else held it for `PATIENCE_S` seconds; the message says who.
        OSError: There is no such folder.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait(descriptor, folder)
        yield
    finally:
        os.close(descriptor)  # which also lets go of the turn


def _wait(descriptor: int, folder: Path) -> None:
    """Take the lock; the system's own call would wait for a stopped holder for ever."""
    until_s = time.monotonic() + PATIENCE_S
    nap_s = _FIRST_NAP_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_s:
                msg = (
                    f"{folder} is held by {holder_of(folder)}. Nothing was changed: wait until that is done, and retry."
                )
                raise BusyError(msg) from None
            time.sleep(nap_s)
            nap_s = min(2 * nap_s, _LONGEST_NAP_S)
        else:
            return


def holder_of(path: Path) -> str:
    """Say who holds a lock on a file or folder, of whatever kind: a process by its id and command, as far as known."""
    try:
        held, locks = path.stat(), Path("/proc/locks").read_text()
    except OSError:  # no Linux, or no such file
        return "another process"
    for line in locks.splitlines():
        fields = line.split()  # 1: FLOCK ADVISORY WRITE 123 fe:00:456 0 EOF; one that waits has "->" behind the number
        if len(fields) != 8 or fields[3] != "WRITE" or not fields[4].isdecimal():
            continue
        if fields[5].rpartition(":")[2] == str(held.st_ino) and _has_open(fields[4], held, fields[5]):
            return _process(fields[4])
    return "another process"


def busy_database(path: Path, error: Exception) -> BusyError | None:
    """Return what to raise where an SQLite file was locked by another process for too long; none for another error."""
    if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return None
    holder = holder_of(path.with_name(f"{path.name}-shm"))  # where the locks of its write-ahead log are
    return BusyError(f"{path} is held by {holder}. Nothing was stored: wait until that is done, and retry.")


def _has_open(pid: str, held: os.stat_result, place: str) -> bool:
    """Say whether a lock is on this very file: the number of an inode alone is that of one on each file system."""
    if place.rpartition(":")[0] == f"{os.major(held.st_dev):02x}:{os.minor(held.st_dev):02x}":
        return True
    with suppress(OSError):  # some file systems show programs another device than the kernel's
        return any(os.path.samestat(held, path.stat()) for path in Path(f"/proc/{pid}/fd").iterdir())
    return False


def _process(pid: str) -> str:
    """Describe a process: its id, its command, and whether it was stopped."""
    if pid == str(os.getpid()):
        return f"another thread of this process (pid {pid})"
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # it has just ended, or is not to be seen from here
        return f"another process (pid {pid})"
    command = "".join(one if one.isprintable() else " " for one in command).strip()
    shown = command if len(command) <= _COMMAND_SHOWN else f"{command[:_COMMAND_SHOWN]}..."
    stopped = f", which is stopped: let it go on with `kill -CONT {pid}`, or end it" if state in "Tt" else ""
    return f"pid {pid} ({shown}){stopped}"


def flush(path: Path) -> None:
    """Flush a file or a folder to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
