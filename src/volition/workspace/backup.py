"""Backing a workspace up while it is in use: all of its files as they were at one moment.

The moment is made thus: the write lock of every database is taken, all of them without waiting for one another; each
begins to read, the other files are listed, and the locks are let go. That takes milliseconds. From then on each
database reads as it was at that moment (SQLite's snapshots, and its backup API), and the files beside them are written
once and never changed. One that was removed before it was copied, as a compaction or an erasure does, makes it begin
again with another moment; what was copied by then need not be copied again.

The keys are left out, or sealed under a passphrase. `leases/`, `runs/` and `history/` are left out, since they are made
anew; so is what lies aside, half-written.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from volition.canonical import us_to_text
from volition.consent.parties import read_secret, seal_secrets
from volition.consent.parties.generations import GENERATIONS
from volition.errors import BackendError, InvalidInputError, ProofError
from volition.files import PART, busy_database
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.sqlite import SqliteStore
from volition.progress import Progress, silent
from volition.workspace.checkpoints import FILE as CHECKPOINT
from volition.workspace.kept_backups import BackedFile, KeptBackups, Manifest

KEYS: Final = ("master.key", "signing.key")
LEFT_OUT: Final = ("leases", "runs", "history")
"""Folders that are made anew."""

_EARLY: Final = (GENERATIONS, CHECKPOINT)
"""Files that must not be newer than the databases: they are read before the moment."""

_PATIENCE_S: Final = 30.0
_SHORT_S: Final = 0.05
_MOMENTS_MOST: Final = 20
_SQLITE: Final = b"SQLite format 3\x00"
_BESIDE: Final = ("-wal", "-shm", "-journal")
_FIRST: Final = ("lake/index.db", "parties.db")  # in which order their locks are asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """A backup that was made.

    Attributes:
        manifest: What it says of itself.
        entries: How many entries its ledger has.
        copied: How many files were copied.
        copied_bytes: Of how many bytes.
        removed: The names of older backups that were removed.
        mended: How many files of earlier backups had been changed, and were copied anew.
        lost: Files that the workspace has made and lost: they are not in it, and no older backup was removed.
    """

    manifest: Manifest
    entries: int
    copied: int
    copied_bytes: int
    removed: tuple[str, ...] = ()
    mended: int = 0
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """A workspace at one moment: databases that read as they were then, and the files that were there."""

    databases: Mapping[str, sqlite3.Connection]
    files: Mapping[str, tuple[int, int]]  # size and mtime_ns


class _GoneError(Exception):
    """A file was removed before it was copied."""


def back_up(  # noqa: PLR0913 - what, where to, and how
    folder: Path,
    into: Path,
    *,
    origin: str,
    clock: Callable[[], int],
    lost: Sequence[str] = (),
    passphrase: bytes | None = None,
    keep: int | None = None,
    check: bool = False,
    progress: Progress = silent,
) -> BackedUp:
    """Back a workspace up into a folder, which may hold earlier backups of it.

    Killed, it is called again, and goes on with what was copied.

    Args:
        folder: The workspace.
        into: The folder.
        origin: The name of its log.
        clock: Gives the present instant in microseconds since the Unix epoch, UTC.
        lost: Files that are known to be lost: then no older backup is removed, since it may have them.
        passphrase: What its keys are sealed under; none to leave them out.
        keep: How many backups stay, this one included, at least 1; none for all.
        check: Whether what earlier backups copied is read again, and copied anew where it was changed.
        progress: Told of each file.

    Raises:
        InvalidInputError: The folder is of no use, or holds backups of another workspace.
        BusyError: A database is held by somebody who does not let go.
        BackendError: The disk is full or cannot be written; no backup appears.
        ProofError: An earlier backup was changed, or the ledger does not verify.
    """
    if into.resolve().is_relative_to(folder.resolve()):
        raise InvalidInputError(f"{into} lies in the workspace itself. Name a folder elsewhere, on another disk.")
    signer = Signer.from_seed(origin, read_secret(folder / "signing.key"))
    keys = "" if passphrase is None else seal_secrets({name: read_secret(folder / name) for name in KEYS}, passphrase)
    kept = KeptBackups(into)
    with kept.writing():
        earlier = _earlier(kept, signer)
        mended = kept.remove_changed(earlier) if check and earlier is not None else 0
        copying = _Copying(folder, kept, {} if earlier is None else earlier.files, progress)
        at, files, checkpoint = copying.copy(clock, signer)
        name = at.replace("-", "").replace(":", "")
        manifest = Manifest(
            name=name, origin=origin, version=version("volition"), at=at, checkpoint=checkpoint, keys=keys, files=files
        )
        if earlier is not None and earlier.name >= manifest.name:
            raise InvalidInputError(f"{into} holds a backup of {earlier.at}, which is not before now. Set the clock.")
        kept.keep(manifest, signer)
        removed = () if keep is None or lost else tuple(kept.prune(keep, signer.key))
    return BackedUp(
        manifest=manifest,
        entries=int(checkpoint.split("\n")[1]) if checkpoint else 0,
        copied=copying.copied,
        copied_bytes=copying.copied_bytes,
        removed=removed,
        mended=mended,
        lost=tuple(lost),
    )


def _earlier(kept: KeptBackups, signer: Signer) -> Manifest | None:
    """Return the newest backup that is there; none where there is none."""
    names = kept.names()
    try:
        return kept.manifest(names[-1], signer.key) if names else None
    except ProofError as error:
        raise InvalidInputError(f"{error} Name another folder for this workspace.") from error


class _Copying:
    """Copies a workspace among the objects of its backups."""

    def __init__(self, folder: Path, kept: KeptBackups, known: Mapping[str, BackedFile], progress: Progress) -> None:
        self._folder = folder
        self._kept = kept
        self._known = dict(known)
        self._progress = progress
        self.copied = 0
        self.copied_bytes = 0

    def copy(self, clock: Callable[[], int], signer: Signer) -> tuple[str, dict[str, BackedFile], str]:
        """Copy everything; return the instant, the files, and the checkpoint of the ledger. Raises as `back_up`."""
        for _ in range(_MOMENTS_MOST):
            at = us_to_text(clock())
            try:
                return at, *self._at_one_moment(signer)
            except _GoneError:
                continue
        raise BackendError("Files went away so quickly that none of the moments could be kept. Try again.")

    def _at_one_moment(self, signer: Signer) -> tuple[dict[str, BackedFile], str]:
        """Copy everything as it is now; return the files, and the checkpoint of the ledger.

        Raises:
            _GoneError: A file went away meanwhile.
        """
        early = {name: self._folder.joinpath(name).read_bytes() for name in _EARLY if (self._folder / name).exists()}
        files = {name: self._add(BytesIO(data), 0) for name, data in early.items()}
        with _moment(self._folder) as moment:
            total = len(moment.files) + len(moment.databases)
            checkpoint = ""
            # The smallest first, parties.db before all: nobody's key can be wiped while it is read.
            for name in sorted(moment.databases, key=lambda name: (name != "parties.db", name != "web.db", name)):
                files[name], note = self._database(name, moment.databases[name], signer)
                checkpoint = note or checkpoint
                self._progress("back up", len(files), total)
            gone = False
            for name, (size, mtime_ns) in moment.files.items():
                try:
                    files[name] = self._file(name, size, mtime_ns)
                except FileNotFoundError:
                    gone = True  # the others are copied all the same: the next moment needs fewer
                self._progress("back up", len(files), total)
        if gone:
            raise _GoneError
        return files, checkpoint

    def _database(self, name: str, connection: sqlite3.Connection, signer: Signer) -> tuple[BackedFile, str]:
        """Copy a database, and let it go; return it, and the checkpoint where it is the ledger."""
        aside = self._kept.aside("database")
        aside.unlink(missing_ok=True)
        note = ""
        try:
            with closing(sqlite3.connect(aside)) as copy:
                connection.backup(copy)
            connection.close()
            if name == "ledger.db":
                note = _checkpoint_of(aside, signer)
            digest, size, is_new = self._kept.put_aside(aside)
        except sqlite3.Error as error:
            raise BackendError(f"{self._folder / name} could not be copied: {error}. No backup was made.") from error
        finally:
            for suffix in ("", *_BESIDE):
                aside.with_name(aside.name + suffix).unlink(missing_ok=True)
        self._count(size, is_new=is_new)
        return BackedFile(digest=digest, size=size, mtime_ns=0), note

    def _file(self, name: str, size: int, mtime_ns: int) -> BackedFile:
        known = self._known.get(name)
        same = known is not None and (known.size, known.mtime_ns) == (size, mtime_ns) and mtime_ns
        if known is not None and same and self._kept.has(known.digest, size):
            return known
        with (self._folder / name).open("rb") as stream:
            copied = self._add(stream, mtime_ns)
        self._known[name] = copied
        return copied

    def _add(self, stream: BinaryIO, mtime_ns: int) -> BackedFile:
        digest, size, is_new = self._kept.put(stream)
        self._count(size, is_new=is_new)
        return BackedFile(digest=digest, size=size, mtime_ns=mtime_ns)

    def _count(self, size: int, *, is_new: bool) -> None:
        if is_new:
            self.copied += 1
            self.copied_bytes += size


def _checkpoint_of(path: Path, signer: Signer) -> str:
    """Return the checkpoint with which a copied ledger ends, verified."""
    with closing(SqliteStore(path, carry_over=False)) as store:
        ledger = Ledger(store, signer.key)
        return ledger.checkpoint() if ledger.size else ""


@contextmanager
def _moment(folder: Path) -> Iterator[_Moment]:
    """Hold a workspace as it is at one moment.

    Raises:
        BusyError: A database is held by somebody who does not let go.
        BackendError: One cannot be opened.
    """
    until_s = time.monotonic() + _PATIENCE_S
    with ExitStack() as reading:
        while True:
            try:
                moment = _try_moment(folder, reading, max(until_s - time.monotonic(), 0))
            except sqlite3.Error as error:
                reading.close()
                busy = busy_database(_held(folder, error), error)
                if busy is None:
                    raise BackendError(
                        f"A database of {folder} cannot be read: {error}. No backup was made."
                    ) from error
                if time.monotonic() >= until_s:
                    raise busy from error
                time.sleep(_SHORT_S)
                continue
            if moment is not None:
                break
            reading.close()
        yield moment


def _try_moment(folder: Path, reading: ExitStack, patience_s: float) -> _Moment | None:
    """Take every database's lock and begin to read; none where a database was made meanwhile.

    Whoever writes one database may wait for another, so only the first lock is waited for: with one in hand, nobody is.
    """
    names = _databases(folder)
    readers = {}
    with ExitStack() as locks:
        for number, name in enumerate(names):
            wait_s = _SHORT_S if number else patience_s
            lock = locks.enter_context(closing(sqlite3.connect(folder / name, timeout=wait_s, isolation_level=None)))
            try:
                lock.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                error.add_note(name)
                raise
        for name in names:
            reader = sqlite3.connect(folder / name, isolation_level=None)
            readers[name] = reading.enter_context(closing(reader))
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on it reads as it is now
        files = dict(_listed(folder))
        if _databases(folder) != names:
            return None
    return _Moment(databases=readers, files=files)


def _held(folder: Path, error: sqlite3.Error) -> Path:
    return folder / next(iter(getattr(error, "__notes__", ())), "ledger.db")


def _databases(folder: Path) -> list[str]:
    """Return the databases of a workspace, those that are locked first first."""
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*.db") if is_database(path)]
    return sorted(found, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))


def is_database(path: Path) -> bool:
    """Return whether a file is an SQLite database, be it a new one that lies in its log as yet."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_SQLITE))
    except OSError:
        return False
    return start == _SQLITE or (not start and path.with_name(f"{path.name}-wal").exists())


def _listed(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the files of a workspace that are no databases, with size and mtime_ns."""
    databases = set(_databases(folder))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (
            name in databases
            or name in _EARLY
            or name in KEYS
            or name.split("/")[0] in LEFT_OUT
            or PART in name
            or name.endswith(_BESIDE)
            or path.is_symlink()
            or not path.is_file()
        ):
            continue
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        yield name, (found.st_size, found.st_mtime_ns)
