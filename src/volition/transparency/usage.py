"""Usage: how often each feature has shown or read somebody's records, counted by person, day and category.

A training set names everybody who is in it, but a search or a summary leaves no trace by itself. So each feature notes
here, before it returns an answer, whose records the answer is made of (usage accounting). Nothing else is noted: not
who asked, not for what, not which record, since that would be a new record about the person who asked. If a use cannot
be noted, it does not happen.

Once a day is over, its counts are entered in the ledger with the other accesses of that day (see `access_log`). From
then on nothing is counted for it any more: what comes late is counted for the day after. What was counted before there
was an access log is never entered, but for the last day of it, which may be today.

A person's counts are erased with the person.
>>> uses = UsageCounts(folder / "uses.db")                                            # doctest: +SKIP
>>> uses.note("feature/search", [("2f6c...", "content/chat")], at_us=now_us)          # doctest: +SKIP
>>> uses.of("2f6c...")                                                                # doctest: +SKIP
(UsageCount(day="2026-01-05", purpose="feature/search", category="content/chat", times=1),)
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from volition.canonical import text_to_us, us_to_datetime
from volition.errors import BackendError
from volition.files import busy_database

DAY_US: Final = 24 * 3600 * 1_000_000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS uses (pseudonym TEXT NOT NULL, day TEXT NOT NULL, purpose TEXT NOT NULL,
                                 category TEXT NOT NULL, times INTEGER NOT NULL,
                                 PRIMARY KEY (pseudonym, day, purpose, category)) STRICT, WITHOUT ROWID;
"""
_DAYS: Final = """
CREATE TABLE days (day TEXT PRIMARY KEY, lines INTEGER NOT NULL, root BLOB NOT NULL, size INTEGER NOT NULL,
                   seq INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE lines (day TEXT NOT NULL, number INTEGER NOT NULL, whose TEXT NOT NULL, line BLOB, hash BLOB NOT NULL,
                    PRIMARY KEY (day, number)) STRICT, WITHOUT ROWID;
CREATE INDEX lines_whose ON lines (whose, day, number);
CREATE TABLE never_entered (through TEXT NOT NULL) STRICT;
INSERT INTO never_entered SELECT day FROM uses WHERE day < (SELECT max(day) FROM uses) ORDER BY day DESC LIMIT 1;
"""
"""Tables of `access_log`. They are made here since a count must know which days are closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageCount:
    """How often a feature has used a person's records of one category on one day.

    Attributes:
        day: The day, UTC, as ISO 8601 writes it.
        purpose: The feature, a leaf of `terms.PURPOSES`.
        category: A leaf of `terms.CATEGORIES`.
        times: The number of records, each counted once for every answer that it was in.
    """

    day: str
    purpose: str
    category: str
    times: int


class UsageCounts:
    """The counts of one workspace, in a file of its own. Several processes may count at the same time."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            BackendError: It cannot be opened or made.
        """
        self._path = path
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last counts, nothing else
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute(_SCHEMA)
            self._add_days()
        except sqlite3.Error as error:
            raise BackendError(f"{path} cannot be opened: {error}. Check that this user may write there.") from error

    def _add_days(self) -> None:
        """Add the tables of closed days, once; a file of an earlier version has counts that are never entered."""
        known = "SELECT count(*) FROM sqlite_schema WHERE name = 'never_entered'"
        if self._db.execute(known).fetchone() == (0,):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if self._db.execute(known).fetchone() == (0,):  # nobody else made them meanwhile
                    for statement in _DAYS.split(";\n"):
                        self._db.execute(statement)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def note(self, purpose: str, used: Iterable[tuple[str, str]], *, at_us: int) -> None:
        """Count a use of some records.

        Args:
            purpose: The feature, a leaf of `terms.PURPOSES`.
            used: For each record, the pseudonym of the person who said, wrote or did it, and its category.
            at_us: When, microseconds since the Unix epoch, UTC.

        Raises:
            BackendError: It cannot be counted.
        """
        counts = sorted(Counter(used).items())
        if not counts:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                day = us_to_datetime(open_us(self._db, at_us)).date().isoformat()
                rows = [(whose, day, purpose, category, times) for (whose, category), times in counts]
                self._db.executemany(
                    "INSERT INTO uses VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (pseudonym, day, purpose, category) DO UPDATE SET times = times + excluded.times",
                    rows,
                )
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            msg = f"The use of records could not be noted in {self._path}: {error}. Free space, then try again."
            raise busy_database(self._path, error) or BackendError(msg) from error

    def of(self, pseudonym: str) -> tuple[UsageCount, ...]:
        """Return a person's counts, the newest day first.

        Raises:
            BackendError: The file cannot be read.
        """
        try:
            found = self._db.execute(
                "SELECT day, purpose, category, times FROM uses WHERE pseudonym = ? "
                "ORDER BY day DESC, purpose, category",
                (pseudonym,),
            ).fetchall()
        except sqlite3.Error as error:
            raise BackendError(f"{self._path} cannot be read: {error}. Check the file.") from error
        return tuple(
            UsageCount(day=day, purpose=purpose, category=category, times=times)
            for day, purpose, category, times in found
        )

    def erase(self, pseudonym: str) -> None:
        """Erase a person's counts.

        Raises:
            BackendError: The file cannot be written.
        """
        try:
            self._db.execute("DELETE FROM uses WHERE pseudonym = ?", (pseudonym,))
        except sqlite3.Error as error:
            raise BackendError(f"{self._path} cannot be written: {error}. Free space, then erase again.") from error


def open_us(db: sqlite3.Connection, at_us: int) -> int:
    """Return an instant, or the first one of the day after the last closed one where that is later.

    Another process may close a day between the look at the clock and this.
    """
    [closed] = db.execute("SELECT max(day) FROM days").fetchone()
    return at_us if closed is None else max(at_us, day_us(closed) + DAY_US)


def day_us(day: str) -> int:
    """Return the first instant of a day, UTC, microseconds since the Unix epoch."""
    return text_to_us(f"{day}T00:00:00Z")
