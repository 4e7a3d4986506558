"""`web.db`: one SQLite file beside the ledger, readable by its owner alone, for what the server keeps between requests.

Whatever keeps something in it names its own tables, with `create`; single values lie under a name, with `state`.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from volition.consent.parties import Generation, open_stores
from volition.errors import BackendError
from volition.files import busy_database

_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;"


class WebDatabase:
    """The file, opened. It may be used from several threads."""

    def __init__(self, path: Path, *, clock: Callable[[], int]) -> None:
        """Open the file, or make it with mode 0600.

        Args:
            path: Where it lies.
            clock: Gives the present instant, microseconds since the Unix epoch, UTC.

        Raises:
            BackendError: It cannot be opened or made; or it was there before and is lost, or older than it was.
        """
        self._path = path
        self.clock = clock
        self._lock = threading.RLock()
        self.forgetters: list[Callable[[Collection[str]], None]] = []
        """What anyone who keeps something here does when a person is erased: given every name that they go by."""
        self._generation: Generation | None = None
        with open_stores(path.parent) as stores:
            if stores is None:  # beside no workspace
                self._connection = self._connect(path)
            else:
                self._generation = stores.generation(path)
                self._connection = stores.open(path, self._connect)

    def _connect(self, path: Path) -> sqlite3.Connection:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
            if self._generation is not None:
                self._generation.check(connection)
            connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise BackendError(f"{path} cannot be opened: {error}. Check that this user may write there.") from error
        return connection

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def create(self, schema: str) -> None:
        """Make tables that are not there yet.

        Raises:
            BackendError: The file cannot be written.
        """
        with self._lock:
            try:
                self._connection.executescript(schema)
            except sqlite3.Error as error:
                raise BackendError(f"{self._path} cannot be written: {error}. Free space, then try again.") from error

    def add_column(self, table: str, column: str) -> None:
        """Add a column to a table that an earlier version made without it.

        Raises:
            BackendError: The file cannot be written.
        """
        name = column.partition(" ")[0]
        with self.writing() as db:  # one process at a time looks and adds
            if name not in {row[1] for row in db.execute(f"PRAGMA table_info({table})")}:
                db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection inside a transaction, which is undone where the block fails; inside another, join it.

        Raises:
            BackendError: The file cannot be written.
        """
        with self._lock:
            if self._connection.in_transaction:  # this thread's own, since it holds the lock
                yield self._connection
                return
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    if self._generation is not None:
                        self._generation.advance(self._connection)
                    self._connection.execute("COMMIT")
                    if self._generation is not None:
                        self._generation.keep()
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                msg = f"{self._path} cannot be written: {error}. Free space, then try again."
                raise busy_database(self._path, error) or BackendError(msg) from error

    def rows(self, sql: str, *values: Any) -> list[Any]:  # noqa: ANN401 - what SQLite takes
        """Return the rows of a query.

        Raises:
            BackendError: The file cannot be read.
            BusyError: Another process kept it locked for too long.
        """
        with self._lock:
            try:
                return self._connection.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                msg = f"{self._path} cannot be read: {error}. Check the file."
                raise busy_database(self._path, error) or BackendError(msg) from error

    def wipe(self) -> None:
        """Take what was deleted out of the write-ahead log, too; while another process reads, it is left to later."""
        with self._lock:
            self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def version(self) -> tuple[int, int]:
        """Return what changes whenever any process writes to the file."""
        with self._lock:
            return self.rows("PRAGMA data_version")[0][0], self._connection.total_changes

    def state(self, name: str) -> bytes | None:
        """Return the value kept under a name; none where there is none."""
        found = self.rows("SELECT value FROM state WHERE name = ?", name)
        return bytes(found[0][0]) if found else None

    def set_state(self, name: str, value: bytes) -> None:
        """Keep a value under a name."""
        with self.writing() as db:
            db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))

    def add_state(self, name: str, value: bytes) -> bytes:
        """Keep a value under a name unless there is one already; return the one that is kept."""
        with self.writing() as db:
            db.execute("INSERT OR IGNORE INTO state VALUES (?, ?)", (name, value))
        kept = self.state(name)
        return value if kept is None else kept
