"""A ledger in one SQLite file, for any number of threads and processes of one machine.

- One append is one transaction, synced to the disk (WAL, `synchronous = FULL`) before it is acknowledged; a process
  killed at any moment leaves all that was acknowledged and nothing half-written.
- One append is one row, a very long one several: its entries, the nodes that they complete, and its checkpoint. A row
  says only where it ends, and starts where the row before it ends, so rows cannot overlap. Where one is missing, the
  next has fewer entries than its place asks for and reads as missing too, which fails whatever is verified with it.
- The write lock is taken before the head is read (`BEGIN IMMEDIATE`), so that appends of several processes queue up
  instead of overwriting one another.
- Reading has a connection of its own, so that it never waits for an append.
- What was appended last is remembered with SQLite's own count of other connections' changes (`data_version`): while
  that stands still, the head and the tree are as this store left them and need not be read again.
- Triggers refuse to change or remove rows. They stop accidents; `log.Ledger` finds deliberate changes.
- Files of older schema versions are migrated when they are opened to be written (see `sqlite_migrations`); a copy of
  what was there stays beside them.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypeVar

from volition.errors import BackendError, ConflictError, DamagedError, InvalidInputError, ProofError, VolitionError
from volition.files import busy_database
from volition.ledger.merkle import HASH_BYTES, count_nodes
from volition.ledger.store import LOWEST, MOST_AT_ONCE, Growth, Head
from volition.ledger.stores.sqlite_migrations import INSERT, OLDER_VERSIONS, Row, keep_copy, migrate

_T = TypeVar("_T")
_VERSION = 3
_COLUMNS = "size INTEGER PRIMARY KEY, note TEXT NOT NULL, nodes BLOB NOT NULL, leaves BLOB NOT NULL"
"""The longest stands last, since SQLite walks through it to reach what is behind."""

_SCHEMA = [
    f"CREATE TABLE growth ({_COLUMNS}) STRICT",
    *(
        f"CREATE TRIGGER growth_{verb} BEFORE {verb} ON growth "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for verb in ("update", "delete")
    ),
    f"PRAGMA user_version = {_VERSION}",
]
_BETWEEN = b"\n"
"""What lies between the entries of a row. Canonical JSON writes a newline only as an escape."""

_HEAD = "SELECT size, note FROM growth ORDER BY size DESC LIMIT 1"
_NOTE = "SELECT note FROM growth WHERE size = ?"
_NODES = """
SELECT size, coalesce((SELECT max(size) FROM growth WHERE size < ?1), 0), nodes
FROM growth WHERE size >= ?1 ORDER BY size LIMIT 1
"""
_LEAVES = """
SELECT size, coalesce((SELECT max(size) FROM growth WHERE size <= ?1), 0), leaves
FROM growth
WHERE size > ?1 AND size <= coalesce((SELECT min(size) FROM growth WHERE size >= ?2), 9223372036854775807)
ORDER BY size
"""  # the second column is where the first row starts


class SqliteStore:
    """A `ledger.store.Store` in one SQLite file."""

    def __init__(self, path: str | Path, patience_s: float = 10, *, carry_over: bool = True) -> None:
        """Open a ledger file that `create` made; one of an older schema version is migrated first.

        Args:
            path: The file.
            patience_s: How long an append waits while other processes append, in seconds, before it gives up.
            carry_over: Whether a file of an older schema version is migrated; otherwise it is refused.

        Raises:
            BackendError: There is no ledger at `path`, or a newer version of Volition made it, or it is of an
                older schema version and is not to be migrated or cannot be written.
            ConflictError: It is of an older schema version, and others kept writing to it.
            ProofError: It is of an older schema version, and its tables do not fit together.
        """
        self._path = Path(path)
        self._reading, self._appending = Lock(), Lock()
        if not self._path.is_file():
            raise BackendError(f"There is no ledger file at {path}. Check the path, or restore it from a backup.")
        with _Explained(self._path):
            with closing(_connect(self._path, patience_s)) as probe:
                version = _version(probe)
                if version in OLDER_VERSIONS and not carry_over:
                    raise BackendError(
                        f"{path} is of an earlier version of Volition, and reading leaves it as it is. Any command "
                        "that writes, such as `volition compact`, carries it over and keeps a copy beside it."
                    )
                if version in OLDER_VERSIONS:
                    with _Transaction(probe):
                        if _version(probe) != _VERSION:  # no other process did it while this one waited
                            keep_copy(self._path, version)
                            migrate(probe, _SCHEMA, _rows)
                elif version != _VERSION:
                    raise BackendError(
                        f"{path} is no ledger that this version of Volition can read (schema version {version})."
                    )
            self._reader = _connect(self._path, patience_s)
            self._writer = _connect(self._path, patience_s)
            self._file = _which(self._path)
        self._left: tuple[int, Head] | None = None  # as the last append left it: data_version, and the head

    @classmethod
    def create(cls, path: str | Path, patience_s: float = 10) -> Self:
        """Make a new, empty ledger file and open it.

        Raises:
            ConflictError: There is something at `path` already; it is left as it is.
            BackendError: The file cannot be written.
        """
        with _Explained(Path(path)), closing(_connect(Path(path), patience_s)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # stays with the file
            with _Transaction(connection):
                if connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
                    raise ConflictError(f"There is a database at {path} already. Open it, or choose another path.")
                for statement in _SCHEMA:
                    connection.execute(statement)
        return cls(path, patience_s)

    def head(self) -> Head:
        """Return where the ledger ends."""
        return _head(self._read(_HEAD))

    def leaves(self, start: int, end: int) -> list[bytes]:
        """Return the entries from `start` (included) to `end` (not included), fewer if there are fewer."""
        found: list[bytes] = []
        place = None
        for size, first, packed in self._read(_LEAVES, start, end) if start < end else ():
            place = _typed(first, int) if place is None else place
            leaves = _typed(packed, bytes).split(_BETWEEN)
            if len(leaves) != size - place:
                break
            found += leaves[max(start - place, 0) : end - place]
            place = size
        return found

    def node(self, level: int, number: int) -> bytes:
        """Return a node's hash; no bytes if there is none."""
        completing = (number + 1) << level  # the size of the tree that has it first
        rows = self._read(_NODES, completing) if level >= LOWEST else []
        if not rows:
            return b""
        size, start, packed = rows[0]
        nodes = _typed(packed, bytes)
        if len(nodes) != _nodes_bytes(_typed(start, int), size):
            return b""
        place = _nodes_bytes(start, completing - 1) + HASH_BYTES * (level - LOWEST)
        return nodes[place : place + HASH_BYTES]

    def note(self, size: int) -> str:
        """Return the signed checkpoint stored for a size; empty if there is none."""
        rows = self._read(_NOTE, size)
        return _typed(rows[0][0], str) if rows else ""

    def append(self, extend: Callable[[Head], Growth]) -> Growth:
        """Store what `extend` makes of the head, and return it, once the disk has it; nobody else appends meanwhile.

        Raises:
            ConflictError: Other processes kept appending for longer than this store's patience.
            InvalidInputError: The entries are not what leads on from the head.
            BackendError: The file cannot be written, or is not the one that was opened (DamagedError).
        """
        with self._appending, _Explained(self._path):
            left, self._left = self._left, None  # until what comes next is known to be stored
            execute = self._writer.execute
            with _Transaction(self._writer):
                self.check_in_place()
                [(data_version,)] = execute("PRAGMA data_version")  # nobody can move it now
                untouched = left is not None and left[0] == data_version
                head = left[1] if untouched and left else _head(execute(_HEAD).fetchall())
                growth = extend(head)
                size, note = growth.checkpoint.size, growth.note
                nodes = [node.hash for node in growth.nodes]
                self._writer.executemany(INSERT, _rows(head.size, size, note, nodes, growth.leaves))
            self._left = data_version, Head(size=size, note=note, untouched=True)
            return growth

    def check_in_place(self) -> None:
        """Check that the file that is open is the one at its path: what is appended to another would be lost.

        Raises:
            DamagedError: It was taken away, or another lies there.
        """
        if _which(self._path) != self._file:
            raise DamagedError(
                f"{self._path} was taken away or replaced while it was open. Nothing is appended: stop what uses it, "
                "put the file back or restore a backup, and start again."
            )

    def close(self) -> None:
        """Close the file; the store is not used again."""
        with self._appending, self._reading:
            self._writer.close()
            self._reader.close()

    def _read(self, query: str, *values: int) -> list[tuple[Any, ...]]:
        with self._reading, _Explained(self._path):
            return self._reader.execute(query, values).fetchall()


class _Transaction:
    """Hold the file's one write lock; keep all that was written, or nothing if anything raises."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:  # it raised, or the commit did; some errors have rolled back already
                self._connection.execute("ROLLBACK")


class _Explained:
    """Turn SQLite's errors into ours, which say what to do."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        # of a damaged file, not even the error messages can be read
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            raise _explain(self._path, error) from error


def _rows(start: int, size: int, note: str, nodes: Sequence[bytes], leaves: Sequence[bytes]) -> Iterator[Row]:
    """Yield the rows of an append from `start` to `size`; only the last has its note.

    Raises:
        InvalidInputError: They do not lead from the one to the other: another number of them, or a newline in one.
    """
    before = count_nodes(start, LOWEST)
    for first in range(start, size, MOST_AT_ONCE):
        end = min(first + MOST_AT_ONCE, size)
        packed_leaves = _BETWEEN.join(leaves[first - start : end - start])
        packed_nodes = b"".join(nodes[count_nodes(first, LOWEST) - before : count_nodes(end, LOWEST) - before])
        if packed_leaves.count(_BETWEEN) + 1 != end - first or len(packed_nodes) != _nodes_bytes(first, end):
            break
        yield end, note if end == size else "", packed_nodes, packed_leaves
    else:
        if start < size and (len(leaves), len(nodes)) == (size - start, count_nodes(size, LOWEST) - before):
            return
    raise InvalidInputError(f"These {len(leaves)} entries and {len(nodes)} nodes do not lead from {start} to {size}.")


def _nodes_bytes(start: int, size: int) -> int:
    """Return how many bytes the nodes take that the entries from `start` to `size` complete."""
    return HASH_BYTES * (count_nodes(size, LOWEST) - count_nodes(start, LOWEST))


def _version(connection: sqlite3.Connection) -> int:
    [(version,)] = connection.execute("PRAGMA user_version")
    return _typed(version, int)


def _head(rows: list[tuple[Any, ...]]) -> Head:
    if not rows:
        return Head(size=0, note="")
    [(size, note)] = rows
    return Head(size=_typed(size, int), note=_typed(note, str))


def _connect(path: Path, patience_s: float) -> sqlite3.Connection:
    # no implicit transactions, and no thread check because locks keep threads apart
    connection = sqlite3.connect(path, timeout=patience_s, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # on macOS a plain fsync leaves data in the drive's cache
    except BaseException:
        connection.close()
        raise
    return connection


def _which(path: Path) -> tuple[int, int] | None:
    """Return which file lies at a path; none where none does."""
    try:
        found = os.stat(path)  # noqa: PTH116 - before each append
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _explain(path: Path, error: Exception) -> VolitionError:
    if (busy := busy_database(path, error)) is not None:
        return busy
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_CONSTRAINT"):
        return ProofError(f"{path} has rows that no append left there ({error}). Restore it from a copy that verifies.")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return BackendError(
            f"{path} could not be written ({error}). Nothing was stored: free some disk space and retry."
        )
    return BackendError(f"{path} could not be used: {error}. Check that it is a ledger file that this user may write.")


def _typed(value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise ProofError(
            f"The ledger file holds a {type(value).__name__} where a {kind.__name__} belongs: it was changed."
        )
    return value
