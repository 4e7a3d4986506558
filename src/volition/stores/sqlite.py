"""A ledger in one SQLite file, for any number of threads and processes of one machine.

- One append is one transaction, synced to the disk (WAL, `synchronous = FULL`) before it is acknowledged; a process
  killed at any moment leaves all that was acknowledged and nothing half-written.
- The write lock is taken before the head is read (`BEGIN IMMEDIATE`), so that appends of several processes queue up
  instead of overwriting one another.
- Reading has a connection of its own, so that it never waits for an append.
- What was appended last is remembered with SQLite's own count of other connections' changes (`data_version`): while
  that stands still, the head and the tree are as this store left them and need not be read again.
- Triggers refuse to change or remove rows. They stop accidents; deliberate changes are found by `ledger.Ledger`.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Self, TypeVar

from volition.errors import BackendError, ConflictError, ProofError, VolitionError
from volition.ledger import Growth, Head

_T = TypeVar("_T")
_SCHEMA_VERSION = 2
_READABLE = (1, _SCHEMA_VERSION)  # 1 has more nodes than are read now; the first append makes it a 2
_TABLES = {
    "leaf": "seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL",
    "node": "level INTEGER, number INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, number)",
    "checkpoint": "size INTEGER PRIMARY KEY, note TEXT NOT NULL",
}
_SCHEMA = [
    *(f"CREATE TABLE {table} ({columns}) STRICT" for table, columns in _TABLES.items()),
    *(
        f"CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for table in _TABLES
        for verb in ("update", "delete")
    ),
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
]
_HEAD = """
SELECT size, coalesce((SELECT note FROM checkpoint WHERE checkpoint.size = head.size), '')
FROM (
    SELECT max(coalesce((SELECT max(seq) + 1 FROM leaf), 0), coalesce((SELECT max(size) FROM checkpoint), 0)) AS size
) AS head
"""  # the larger of two numbers that only differ if rows were removed by hand: so that a removal shows


class SqliteStore:
    """A `ledger.Store` in one SQLite file."""

    def __init__(self, path: str | Path, patience_s: float = 10) -> None:
        """Open a ledger file that `create` made.

        Args:
            path: The file.
            patience_s: How long an append waits while other processes append, in seconds, before it gives up.

        Raises:
            BackendError: There is no ledger at `path`, or another version of Volition made it.
        """
        self._path = Path(path)
        self._reading, self._appending = Lock(), Lock()
        if not self._path.is_file():
            raise BackendError(f"There is no ledger file at {path}. Check the path, or create a new ledger there.")
        with _explained(self._path):
            with closing(_connect(self._path, patience_s)) as probe:
                [(version,)] = probe.execute("PRAGMA user_version")
            if version not in _READABLE:
                raise BackendError(f"{path} is no ledger that this version of Volition can read (form {version}).")
            self._reader = _connect(self._path, patience_s)
            self._writer = _connect(self._path, patience_s)
        self._version = version
        self._left: tuple[int, Head] | None = None  # as the last append left it: data_version, and the head

    @classmethod
    def create(cls, path: str | Path, patience_s: float = 10) -> Self:
        """Make a new, empty ledger file and open it.

        Raises:
            ConflictError: There is something at `path` already; it is left as it is.
            BackendError: The file cannot be written.
        """
        with _explained(Path(path)), closing(_connect(Path(path), patience_s)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # stays with the file
            with _transaction(connection):
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
        rows = self._read("SELECT bytes FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq", start, end)
        return [_typed(leaf, bytes) for (leaf,) in rows]

    def node(self, level: int, number: int) -> bytes:
        """Return a node's hash; no bytes if there is none."""
        rows = self._read("SELECT hash FROM node WHERE level = ? AND number = ?", level, number)
        return _typed(rows[0][0], bytes) if rows else b""

    def note(self, size: int) -> str:
        """Return the signed checkpoint stored for a size; empty if there is none."""
        rows = self._read("SELECT note FROM checkpoint WHERE size = ?", size)
        return _typed(rows[0][0], str) if rows else ""

    def append(self, extend: Callable[[Head], Growth]) -> Growth:
        """Store what `extend` makes of the head, and return it, once the disk has it; nobody else appends meanwhile.

        Raises:
            ConflictError: Other processes kept appending for longer than this store's patience.
            ProofError: There are rows where the new ones belong.
            BackendError: The file cannot be written.
        """
        with self._appending, _explained(self._path):
            left, self._left = self._left, None  # until what comes next is known to be stored
            with _transaction(self._writer) as connection:
                [(data_version,)] = connection.execute("PRAGMA data_version")  # nobody can move it now
                untouched = left is not None and left[0] == data_version
                head = left[1] if untouched and left else _head(connection.execute(_HEAD).fetchall())
                growth = extend(head)
                connection.executemany("INSERT INTO leaf VALUES (?, ?)", enumerate(growth.leaves, head.size))
                if growth.nodes:
                    connection.executemany("INSERT INTO node VALUES (?, ?, ?)", growth.nodes)
                connection.execute("INSERT INTO checkpoint VALUES (?, ?)", (growth.checkpoint.size, growth.note))
                if self._version != _SCHEMA_VERSION:
                    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            self._version = _SCHEMA_VERSION
            self._left = data_version, Head(size=growth.checkpoint.size, note=growth.note, untouched=True)
            return growth

    def close(self) -> None:
        """Let go of the file; the store is not used again."""
        with self._appending, self._reading:
            self._writer.close()
            self._reader.close()

    def _read(self, query: str, *values: int) -> list[tuple[Any, ...]]:
        with self._reading, _explained(self._path):
            return self._reader.execute(query, values).fetchall()


def _head(rows: list[tuple[Any, ...]]) -> Head:
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


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Hold the file's one write lock; keep all that was written, or nothing if anything raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors have rolled back already
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, which say what to do."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # of a damaged file, not even the error messages can be read
        raise _explain(path, error) from error


def _explain(path: Path, error: Exception) -> VolitionError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ConflictError(
            f"Another process is writing to {path} and did not finish in time. Nothing was stored: retry."
        )
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
