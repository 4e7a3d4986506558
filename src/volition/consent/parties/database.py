"""parties.db: the SQLite file in which the directory and the key vault lie, and how erased bytes leave it.

- Writing is one transaction: all of it is stored, durably, or nothing.
- What is destroyed leaves no bytes behind in the folder: the file is written anew without it and its write-ahead log
  emptied. A destruction that was killed in between is finished when the file is next opened. (The memory of a running
  process, the medium below the file system and backups of this folder are beyond what a program can wipe.)
- Other processes notice a destruction: `version` changes with every write of theirs, and what is held in memory is
  then dropped.
"""

import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from volition.consent.parties.generations import Generation
from volition.errors import BackendError
from volition.files import busy_database

_PATIENCE_S: Final = 10.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS accounts (id TEXT PRIMARY KEY, name TEXT NOT NULL, wrapped BLOB);
CREATE TABLE IF NOT EXISTS people (id TEXT PRIMARY KEY, account TEXT, name TEXT, wrapped BLOB NOT NULL,
                                   pseudonym TEXT NOT NULL UNIQUE, aliases TEXT NOT NULL, emails TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS handles (account TEXT NOT NULL, handle TEXT NOT NULL, person TEXT NOT NULL,
                                    PRIMARY KEY (account, handle, person)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS destroyed (party TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
_LATER: Final = """
CREATE TABLE IF NOT EXISTS groups (id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL,
                                   UNIQUE (account, name));
CREATE TABLE IF NOT EXISTS merged (person TEXT PRIMARY KEY, kept TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS former (account TEXT NOT NULL, person TEXT NOT NULL,
                                   PRIMARY KEY (account, person)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS apart (heard TEXT NOT NULL, person TEXT NOT NULL,
                                  PRIMARY KEY (heard, person)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS linked (first TEXT NOT NULL, other TEXT NOT NULL, PRIMARY KEY (first, other)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS linked_by_other ON linked (other);
CREATE TABLE IF NOT EXISTS verified (email TEXT NOT NULL, person TEXT NOT NULL,
                                     PRIMARY KEY (email, person)) WITHOUT ROWID;
"""
"""What a file of an earlier version has not; it is made when that is opened."""

_KEY_CHECK: Final = "fit"
"""State: something wrapped by the master key, by which a wrong one is known before anything is wrapped under it."""

_STALE: Final = "stale"
"""State: something was destroyed, and its old bytes may still lie in the file or its log."""


class Database:
    """The open file. It may be used from several threads, one at a time.

    Attributes:
        lock: Held while the file is used; hold it to let nothing come in between.
    """

    def __init__(self, folder: Path) -> None:
        """Open the file that `create` made.

        Raises:
            BackendError: It is missing or cannot be read.
        """
        self.lock = threading.RLock()
        self._path = folder / "parties.db"
        self._generation = Generation(folder, "parties.db")
        try:
            self._connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw",
                uri=True,
                check_same_thread=False,
                isolation_level=None,
                timeout=_PATIENCE_S,
            )
        except sqlite3.Error as error:
            raise self._unopened(error) from error
        try:
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("PRAGMA temp_store = MEMORY")  # writing the file anew must leave no copy elsewhere
            found = self._connection.execute("SELECT value FROM state WHERE name = ?", (_KEY_CHECK,)).fetchone()
            there = {
                name for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            if not set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", _LATER)) <= there:  # it takes the write lock
                self._connection.executescript(f"BEGIN IMMEDIATE; {_LATER} COMMIT;")
            self._generation.check(self._connection)
        except sqlite3.Error as error:
            self.close()
            raise self._unopened(error) from error
        except BackendError:
            self.close()
            raise
        self.key_check: bytes = found[0] if found else b""

    @staticmethod
    def create(folder: Path, *, key_check: bytes) -> None:
        """Make the file in a folder.

        Args:
            folder: Where it is to lie.
            key_check: Something wrapped by the master key.

        Raises:
            sqlite3.Error: The file cannot be written.
        """
        with closing(sqlite3.connect(folder / "parties.db")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA + _LATER)
            with connection:
                connection.execute("INSERT INTO state VALUES (?, ?)", (_KEY_CHECK, key_check))

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._connection.close()

    def version(self) -> int:
        """Return SQLite's count of what other connections have written: another value once one of them wrote."""
        return int(self.one("PRAGMA data_version")[0])

    def changes(self) -> int:
        """Return how many rows this connection has changed."""
        return self._connection.total_changes

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the file's write lock; keep all that was written, or nothing if anything raises.

        Within a transaction of the same thread, it is a part of that.

        Raises:
            BackendError: The file could not be written; nothing was changed.
        """
        with self.lock:
            if self._connection.in_transaction:  # this thread's own, since the lock is held
                yield self._connection
                return
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._generation.advance(self._connection)
                self._connection.execute("COMMIT")
                self._generation.keep()
            except sqlite3.Error as error:
                msg = f"parties.db could not be written: {error}. Nothing was changed; free space, or try again."
                raise busy_database(self._path, error) or BackendError(msg) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def state(self, name: str) -> bytes:
        """Return the value kept under a name; empty if there is none. Raises as `all` does."""
        found = self.one("SELECT value FROM state WHERE name = ?", name)
        return bytes(found[0]) if found else b""

    def set_state(self, name: str, value: bytes) -> None:
        """Keep a value under a name. Raises as `writing` does."""
        with self.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))

    def has_state(self, name: str) -> bool:
        """Return whether a value is kept under a name, be it empty. Raises as `all` does."""
        return self.one("SELECT 1 FROM state WHERE name = ?", name) is not None

    def states(self, prefix: str) -> list[str]:
        """Return the names that begin with a prefix under which values are kept, in order. Raises as `all` does."""
        found = self.all("SELECT name FROM state WHERE substr(name, 1, ?) = ? ORDER BY name", len(prefix), prefix)
        return [name for (name,) in found]

    def drop_state(self, name: str) -> None:
        """Keep no value under a name any more. Raises as `writing` does."""
        with self.writing() as connection:
            connection.execute("DELETE FROM state WHERE name = ?", (name,))

    @contextmanager
    def destroying(self) -> Iterator[sqlite3.Connection]:
        """Write as `writing` does, and note that bytes are to be wiped."""
        with self.writing() as connection:
            yield connection
            connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (_STALE, b""))

    def finish_wiping(self) -> None:
        """Wipe what a destruction left that was killed in between, if any did.

        Raises:
            BackendError: The file cannot be read.
        """
        try:
            if self._connection.execute("SELECT 1 FROM state WHERE name = ?", (_STALE,)).fetchone():
                with suppress(sqlite3.OperationalError):  # busy or full: it stays marked, and is tried again
                    self._wipe()
        except sqlite3.Error as error:
            raise self._unopened(error) from error

    def wipe(self) -> bool:
        """Write the file anew and empty its write-ahead log; return whether that was possible now."""
        with self.lock:
            try:
                return self._wipe()
            except sqlite3.Error:
                return False

    def _wipe(self) -> bool:
        """Wipe, as `wipe` does.

        `secure_delete` alone is not enough: when SQLite splits a page, what moved to the new page may stay behind in
        the gap of the old one, where no later deletion finds it.
        """
        self._connection.execute("VACUUM")
        if self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            return False
        self._connection.execute("DELETE FROM state WHERE name = ?", (_STALE,))
        return True

    def all(self, sql: str, *values: Any) -> list[Any]:  # noqa: ANN401 - what SQLite takes
        """Return every row of a query.

        Raises:
            BackendError: The file could not be read.
        """
        with self.lock:
            try:
                return self._connection.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                msg = f"parties.db could not be read: {error}."
                raise BackendError(msg) from error

    def one(self, sql: str, *values: Any) -> Any:  # noqa: ANN401 - what SQLite gives
        """Return the first row of a query; none if it has none. Raises as `all` does."""
        return next(iter(self.all(sql, *values)), None)

    def _unopened(self, error: sqlite3.Error) -> BackendError:
        return BackendError(f"{self._path} cannot be opened: {error}. Restore it from your backup.")


class Remembered:
    """What was read from the file and is held in memory, until another process writes or something is destroyed."""

    def __init__(self, database: Database, *held: dict[str, Any]) -> None:
        """Watch over what is `held`, each by a name."""
        self._database = database
        self._held: Sequence[dict[str, Any]] = held
        self._seen_version = -1

    def refresh(self) -> None:
        """Drop it once another process has written: it may have destroyed a key."""
        with self._database.lock:
            version = self._database.version()
            if version != self._seen_version:
                self.drop()
                self._seen_version = version

    def drop(self) -> None:
        """Drop everything."""
        with self._database.lock:
            for held in self._held:
                held.clear()
