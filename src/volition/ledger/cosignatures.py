"""What witnesses said about this log: their signatures of its checkpoints, and how asking them went.

It is kept in a file of its own and is never believed: a signature is verified against the log's own checkpoint each
time it is used. Losing the file loses cosignatures, which can be asked for again, and nothing else.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from volition.errors import BackendError
from volition.ledger.signing import VerifierKey

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cosignature (size INTEGER NOT NULL, key TEXT NOT NULL, at_s INTEGER NOT NULL,
                                        line TEXT NOT NULL, PRIMARY KEY (size, key)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS witness (key TEXT PRIMARY KEY, size INTEGER NOT NULL, at_s INTEGER NOT NULL,
                                    asked_s INTEGER NOT NULL, failures INTEGER NOT NULL,
                                    trouble TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    """How it stands with a witness; times are seconds since the Unix epoch, 0 for never.

    Attributes:
        size: The size of the largest checkpoint that it cosigned; 0 for none.
        at_s: When it says that it cosigned last.
        asked_s: When it was asked last.
        failures: How often it has failed since it last cosigned.
        trouble: Why it did not cosign when it was asked last; empty if it did.
    """

    size: int = 0
    at_s: int = 0
    asked_s: int = 0
    failures: int = 0
    trouble: str = ""


class Cosignatures:
    """The cosignatures of one log. It may be used from several threads, and its file by several processes."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            BackendError: It cannot be opened or made.
        """
        self._path = path
        with self._explained():
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")  # what a power cut loses can be asked for again
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, size: int, key: VerifierKey, line: str, *, at_s: int, asked_s: int) -> None:
        """Keep a witness's signature line of the checkpoint of a size.

        Raises:
            BackendError: It cannot be kept.
        """
        with self._explained():
            self._db.execute(
                "INSERT OR REPLACE INTO cosignature VALUES (?, ?, ?, ?)", (size, key.to_text(), at_s, line)
            )
            self._db.execute(
                "INSERT INTO witness VALUES (?, ?, ?, ?, 0, '') ON CONFLICT (key) DO UPDATE SET "
                "size = max(size, excluded.size), at_s = max(at_s, excluded.at_s), asked_s = excluded.asked_s, "
                "failures = 0, trouble = ''",
                (key.to_text(), size, at_s, asked_s),
            )

    def note_trouble(self, key: VerifierKey, trouble: str, *, asked_s: int) -> None:
        """Note that a witness was asked and did not cosign, and why.

        Raises:
            BackendError: It cannot be noted.
        """
        with self._explained():
            self._db.execute(
                "INSERT INTO witness VALUES (?, 0, 0, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET "
                "asked_s = excluded.asked_s, failures = failures + 1, trouble = excluded.trouble",
                (key.to_text(), asked_s, trouble),
            )

    def lines(self, size: int) -> dict[str, str]:
        """Return the signature lines of the checkpoint of a size, by the witness's key as text."""
        with self._explained():
            return dict(self._db.execute("SELECT key, line FROM cosignature WHERE size = ? ORDER BY key", (size,)))

    def sizes(self, most: int) -> list[int]:
        """Return the sizes that somebody cosigned, the largest first."""
        with self._explained():
            found = self._db.execute("SELECT DISTINCT size FROM cosignature ORDER BY size DESC LIMIT ?", (most,))
            return [size for (size,) in found]

    def state(self, key: VerifierKey) -> WitnessState:
        """Return how it stands with a witness."""
        with self._explained():
            found = self._db.execute(
                "SELECT size, at_s, asked_s, failures, trouble FROM witness WHERE key = ?", (key.to_text(),)
            ).fetchone()
        if found is None:
            return WitnessState()
        size, at_s, asked_s, failures, trouble = found
        return WitnessState(size=size, at_s=at_s, asked_s=asked_s, failures=failures, trouble=trouble)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BackendError(f"{self._path} cannot be read or written: {error}. Check the file.") from error
