"""The access log (audit trail): who looked at whose personal data, when and what for; provable once a day is over.

- What staff read is written down before it is shown, a line for each person, or one for everyone of an account where a
  whole list was read. If it cannot be written, nothing is shown.
- What features use is counted by `usage`, and becomes a line for each person, feature and day when the day is over.
- Each line has a salt of its own and is a leaf of its day's Merkle tree. The day's root is an entry of the ledger
  ("access"), so a line cannot be changed, added or taken away later. A day is entered once, and never again.
- A line names the person by the pseudonym and who looked by their user id. When a person is erased their lines go; the
  hash of each stays, so that the other lines of that day can still be proved.

What is not here: anyone who reads the files of the workspace without this software, and a program that calls its
modules directly. What a training reads is in the snapshot that it names, and in the ledger.
"""

import json
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from volition.canonical import canonical_json, text_to_us, us_to_datetime, us_to_text
from volition.errors import BackendError, InvalidInputError
from volition.files import busy_database
from volition.ledger import merkle
from volition.transparency.usage import open_us

READINGS: Final[Mapping[str, str]] = {
    "people": "a list of people, with their names",
    "person": "one person's names, addresses and answers",
    "namesakes": "names that were heard, beside those of registered people",
    "guest-links": "a list of guests and their links",
    "holdings": "how much is held of a person, and what it was used for",
    "export": "everything that is held of a person, as a file",
    "requests": "what a person asked for, and how far it is",
    "proofs": "a person's proofs and receipts",
    "accesses": "who looked at a person's data",
    "entries": "entries of the log that name a person",
    "owed": "whose data models must forget, and why",
    "weigh": "what a person's choice gives and costs",
    "permits": "who permits what, as a table for other programs",
    "snapshot": "a training set with records of an account's people, as files",
    "feature": "records of a person in a feature's answer",
    "endpoint": "records of a person, sent to the language model that the operator configured",
}
"""What is read, by the name that a line has for it."""

EVERYONE: Final = "everyone"
"""Whose data it was where a list of all people was read."""

FEATURE: Final = "feature"
"""The role of a feature: it works for a user of the account who may see those records."""

ENDPOINT: Final = "language model"
"""The role of the host of a language model to which records are sent."""

PROOF_FORMAT: Final = "volition/access-proof/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who looks: a user's id and role as the server knows them, or the user of this machine at the command line."""

    who: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLine:
    """One line: somebody looked at a person's data, or a feature used it.

    Attributes:
        day: The day, UTC, as ISO 8601 writes it.
        at_us: When, microseconds since the Unix epoch, UTC; none of a feature, whose uses of a day are one line.
        who: Whose user id, or which feature.
        role: In which role; see `Reader` and `FEATURE`.
        reading: What was read, of `READINGS`; of a feature, its purpose.
        whose: "person:PSEUDONYM", "account:ID" for all people of an account, or `EVERYONE`.
        records: How many records or other pieces were read.
        categories: Of which categories, leaves of `terms.CATEGORIES`; empty for what is no record.
        number: Its place in its day; none as long as a feature's uses are still being counted.
        seq: The ledger entry that holds the day's root; none until the day is closed.
    """

    day: str
    at_us: int | None
    who: str
    role: str
    reading: str
    whose: str
    records: int
    categories: tuple[str, ...]
    number: int | None = None
    seq: int | None = None

    @property
    def id(self) -> str:
        """How its proof is asked for; empty as long as it has none."""
        return "" if self.seq is None else self.place

    @property
    def place(self) -> str:
        """Its place in the log, from which older lines are asked for; empty for what is still being counted."""
        return "" if self.number is None else f"{self.day}.{self.number}"

    def to_json(self) -> dict[str, Any]:
        """Return what was written down, as a JSON object; with a salt it is a leaf of the day's tree."""
        return {
            "day": self.day,
            "at": None if self.at_us is None else us_to_text(self.at_us),
            "who": self.who,
            "role": self.role,
            "for": self.reading,
            "whose": self.whose,
            "records": self.records,
            "categories": list(self.categories),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedDay:
    """A day that is over: the root of its lines, and the ledger's size when it was closed."""

    day: str
    lines: int
    root: bytes
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenLine:
    """A line as a leaf of its day's tree, the way up to the root, and the ledger entry that holds the root."""

    leaf: bytes
    index: int
    lines: int
    path: tuple[bytes, ...]
    seq: int


class AccessLog:
    """The lines of one workspace, in the file of `UsageCounts`. Several processes may write at the same time."""

    def __init__(self, path: Path) -> None:
        """Open the file, which `UsageCounts` has made.

        Raises:
            BackendError: It cannot be opened.
        """
        self._path = path
        self._closed_before = ""  # the day before which this process knows all to be closed
        with self._reported():
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA synchronous = FULL")  # nothing is shown that a power cut could make unseen
            self._db.execute("PRAGMA secure_delete = ON")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def note(  # noqa: PLR0913 - what a line says
        self,
        reader: Reader,
        reading: str,
        whose: Iterable[str],
        *,
        at_us: int,
        records: int,
        categories: Iterable[str] = (),
    ) -> None:
        """Write down that somebody looks at somebody's data; it is durable when this returns.

        Args:
            reader: Who looks.
            reading: What is read, of `READINGS`.
            whose: "person:PSEUDONYM" of each person, or "account:ID", or `EVERYONE`.
            at_us: When, microseconds since the Unix epoch, UTC.
            records: How many records or other pieces are read, of each.
            categories: Of which categories.

        Raises:
            InvalidInputError: There is no such reading.
            BackendError: It cannot be written; nothing may be shown then.
        """
        if reading not in READINGS:
            raise InvalidInputError(f"{reading!r} is no kind of reading. Use one of: {', '.join(READINGS)}.")
        people = sorted(set(whose))
        if not people:
            return
        with self._writing():
            then_us = open_us(self._db, at_us)
            day = us_to_datetime(then_us).date().isoformat()
            self._add(
                day,
                (
                    AccessLine(
                        day=day,
                        at_us=then_us,
                        who=reader.who,
                        role=reader.role,
                        reading=reading,
                        whose=one,
                        records=records,
                        categories=tuple(sorted(set(categories))),
                    )
                    for one in people
                ),
            )

    def close_days(
        self, now_us: int, *, size: Callable[[], int], enter: Callable[[Sequence[ClosedDay]], Sequence[int]]
    ) -> None:
        """Close the days that are over, and have the root of each entered in the ledger, once.

        A process that is killed between the two leaves closed days behind, which the next one has entered.

        Args:
            now_us: The present instant.
            size: Gives the ledger's size.
            enter: Called with the days that are to be entered, oldest first; returns the number of each one's entry. An
                entry may be there already: then no earlier than at the size that the day has.

        Raises:
            BackendError: The file cannot be written.
        """
        today = us_to_datetime(now_us).date().isoformat()
        if today <= self._closed_before:
            return
        with self._reported():
            ready = [day for (day,) in self._db.execute(_READY, {"today": today})]
        if ready:
            with self._writing():
                for (day,) in self._db.execute(_READY, {"today": today}).fetchall():
                    self._close_day(day, size())
        with self._reported():
            is_left = self._db.execute("SELECT EXISTS (SELECT 1 FROM days WHERE seq IS NULL)").fetchone() == (1,)
        if is_left:
            with self._writing():
                rows = self._db.execute("SELECT day, lines, root, size FROM days WHERE seq IS NULL ORDER BY day")
                left = [ClosedDay(day=day, lines=lines, root=root, size=at) for day, lines, root, at in rows]
                numbers = enter(left) if left else ()
                self._db.executemany(
                    "UPDATE days SET seq = ? WHERE day = ?",
                    [(seq, one.day) for seq, one in zip(numbers, left, strict=True)],
                )
        self._closed_before = today

    def of(
        self, whose: Collection[str], *, before: tuple[str, int] | None = None, limit: int = 100
    ) -> tuple[AccessLine, ...]:
        """Return the lines about some names of one person, the newest first.

        Args:
            whose: Every name that lines have for them: of each identity, of their account, and `EVERYONE`.
            before: The day and number of the last line that was seen; then older ones are returned.
            limit: At most how many; uses by features of days that are not closed come on top.

        Raises:
            BackendError: The file cannot be read.
        """
        day, number = before or ("~", 0)  # after every day
        names = json.dumps(sorted(whose))
        with self._reported():
            rows = self._db.execute(_LINES, (names, day, number, limit)).fetchall()
            counted = self._db.execute(_COUNTED, (names,)).fetchall() if before is None else []
        return (*_features(counted), *(_line(leaf, number=at, seq=seq) for leaf, at, seq in rows))

    def prove(self, whose: Collection[str], day: str, number: int) -> ProvenLine:
        """Prove one line about some names of one person.

        Raises:
            InvalidInputError: There is no such line about them, or its day is not entered in the ledger.
            BackendError: The file cannot be read.
        """
        with self._reported():
            found = self._db.execute(
                "SELECT whose, line, seq FROM lines LEFT JOIN days USING (day) WHERE day = ? AND number = ?",
                (day, number),
            ).fetchone()
            hashes = self._hashes(day)
        if found is None or found[0] not in whose:
            raise InvalidInputError(f"There is no line {day}.{number} about this person. Take one from the list.")
        _, leaf, seq = found
        if seq is None:
            raise InvalidInputError(f"The day {day} is not over yet. From tomorrow on each of its lines can be proved.")
        path = merkle.Tree(hashes=hashes).prove_inclusion(number)
        return ProvenLine(leaf=leaf, index=number, lines=len(hashes), path=tuple(path), seq=seq)

    def erase(self, pseudonym: str) -> None:
        """Erase the lines about a person; the hash of each stays, which says nothing without the salt.

        Raises:
            BackendError: The file cannot be written.
        """
        with self._writing():
            self._db.execute("UPDATE lines SET line = NULL, whose = '' WHERE whose = ?", (f"person:{pseudonym}",))
        with self._reported():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the old bytes are in the write-ahead log, too

    def _close_day(self, day: str, size: int) -> None:
        self._add(day, _features(self._db.execute(_COUNTED_ON, (day,)).fetchall()))
        hashes = self._hashes(day)
        self._db.execute("INSERT INTO days VALUES (?, ?, ?, ?, NULL)", (day, len(hashes), merkle.root_of(hashes), size))

    def _add(self, day: str, lines: Iterable[AccessLine]) -> None:
        [start] = self._db.execute("SELECT coalesce(max(number) + 1, 0) FROM lines WHERE day = ?", (day,)).fetchone()
        leaves = ((line.whose, canonical_json({**line.to_json(), "salt": secrets.token_hex(16)})) for line in lines)
        self._db.executemany(
            "INSERT INTO lines VALUES (?, ?, ?, ?, ?)",
            ((day, number, whose, leaf, merkle.leaf_hash(leaf)) for number, (whose, leaf) in enumerate(leaves, start)),
        )

    def _hashes(self, day: str) -> list[bytes]:
        return [one for (one,) in self._db.execute("SELECT hash FROM lines WHERE day = ? ORDER BY number", (day,))]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._reported():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            msg = (
                f"Who looks at personal data could not be noted or read in {self._path}: {error}. Nothing is shown "
                "without that. Free space or check the file, then try again."
            )
            raise busy_database(self._path, error) or BackendError(msg) from error


_READY: Final = """
SELECT day FROM (
    SELECT day FROM lines UNION
    SELECT day FROM uses WHERE day > (SELECT coalesce(max(through), '') FROM never_entered)
) WHERE day < :today AND day > (SELECT coalesce(max(day), '') FROM days) ORDER BY day
"""
_LINES: Final = """
SELECT line, number, seq FROM lines LEFT JOIN days USING (day)
WHERE whose IN (SELECT value FROM json_each(?)) AND (day, number) < (?, ?) ORDER BY day DESC, number DESC LIMIT ?
"""
_COUNTED_ON: Final = """
SELECT day, pseudonym, purpose, category, times FROM uses
WHERE day = ? AND day > (SELECT coalesce(max(through), '') FROM never_entered) ORDER BY pseudonym, purpose, category
"""
_COUNTED: Final = """
SELECT day, pseudonym, purpose, category, times FROM uses
WHERE 'person:' || pseudonym IN (SELECT value FROM json_each(?))
  AND day > (SELECT coalesce(max(day), '') FROM days) AND day > (SELECT coalesce(max(through), '') FROM never_entered)
ORDER BY day DESC, pseudonym, purpose, category
"""


def _features(rows: Iterable[tuple[str, str, str, str, int]]) -> list[AccessLine]:
    """Return the counts of uses as lines, one for each day, person and feature, in the order given."""
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for day, pseudonym, purpose, category, times in rows:
        found.setdefault((day, pseudonym, purpose), {})[category] = times
    return [
        AccessLine(
            day=day,
            at_us=None,
            who=purpose,
            role=FEATURE,
            reading=FEATURE,
            whose=f"person:{pseudonym}",
            records=sum(times.values()),
            categories=tuple(sorted(times)),
        )
        for (day, pseudonym, purpose), times in found.items()
    ]


def _line(leaf: bytes, *, number: int, seq: int | None) -> AccessLine:
    said = json.loads(leaf)
    return AccessLine(
        day=said["day"],
        at_us=None if said["at"] is None else text_to_us(said["at"]),
        who=said["who"],
        role=said["role"],
        reading=said["for"],
        whose=said["whose"],
        records=said["records"],
        categories=tuple(said["categories"]),
        number=number,
        seq=seq,
    )
