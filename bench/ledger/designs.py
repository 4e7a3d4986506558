"""What the ledger's table costs, apart from hashing and signing: three ways to lay out the same bytes in SQLite.

Each way stores, for each commit, as many bytes as the entries, the hash of every complete subtree of eight leaves or
more, and one signed checkpoint have; bare SQLite stores the entries alone. All take turns, round by round, in files of
their own. Making the rows is timed for all of them. Only the first is what the ledger does: three tables is what it did
before, and one table with a row an entry was timed here and never built into it.
"""

import sqlite3
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

ROUNDS: Final = 8
ROUND_COMMITS: Final = {1: 300, 64: 40}
_LEAF: Final = b"l" * 199
_NOTE: Final = "n" * 170
_HASH: Final = b"h" * 32
ENTRIES: Final = "CREATE TABLE leaf (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT"
GROWTHS: Final = (
    "CREATE TABLE growth "
    "(size INTEGER PRIMARY KEY, note TEXT NOT NULL, nodes BLOB NOT NULL, leaves BLOB NOT NULL) STRICT"
)


def open_file(path: Path, tables: Sequence[str]) -> sqlite3.Connection:
    """Make a file with these tables, with the pragmas of the ledger's own."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    for table in tables:
        connection.execute(table)
    return connection


class Bare:
    """The entries alone, a row each."""

    name = "bare"
    tables: Sequence[str] = (ENTRIES,)

    def __init__(self, folder: Path) -> None:
        """Make its file in a folder."""
        self._connection = open_file(folder / f"{self.name}.db", self.tables)

    def commit(self, first: int, count: int) -> None:
        """Store so many entries from place `first` on, in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self.insert(self._connection, first, count)
        self._connection.execute("COMMIT")

    def insert(self, connection: sqlite3.Connection, first: int, count: int) -> None:
        """Write the rows of a commit."""
        connection.executemany("INSERT INTO leaf VALUES (?, ?)", [(first + place, _LEAF) for place in range(count)])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class OneRow(Bare):
    """A row a commit: its checkpoint, all its nodes, and all its entries end to end, as the ledger keeps them."""

    name = "one row a commit"
    tables = (GROWTHS,)

    def insert(self, connection: sqlite3.Connection, first: int, count: int) -> None:
        """Write the row of a commit."""
        connection.execute("INSERT INTO growth VALUES (?, ?, ?, ?)", row_of(first, count))


def row_of(first: int, count: int) -> tuple[int, str, bytes, bytes]:
    """Return the row of a commit of so many entries from place `first` on."""
    nodes = sum(_completed(size) for size in range(first + 1, first + count + 1))
    return first + count, _NOTE, _HASH * nodes, b"\n".join([_LEAF] * count)


class ThreeTables(Bare):
    """Entries, nodes and checkpoints in a table each, as the ledger kept them before."""

    name = "three tables"
    tables = (
        ENTRIES,
        "CREATE TABLE node (level INTEGER, number INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, number)) STRICT",
        "CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT",
    )

    def insert(self, connection: sqlite3.Connection, first: int, count: int) -> None:
        """Write the rows of a commit."""
        super().insert(connection, first, count)
        nodes = [
            (level, (size >> level) - 1, _HASH)
            for size in range(first + 1, first + count + 1)
            for level in range(3, 3 + _completed(size))
        ]
        connection.executemany("INSERT INTO node VALUES (?, ?, ?)", nodes)
        connection.execute("INSERT INTO checkpoint VALUES (?, ?)", (first + count, _NOTE))


class OneTable(Bare):
    """A row an entry, which holds the nodes that it completes, and the checkpoint where it ends a commit."""

    name = "one table"
    tables = (
        "CREATE TABLE leaf (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL, nodes BLOB NOT NULL, note TEXT) STRICT",
    )

    def insert(self, connection: sqlite3.Connection, first: int, count: int) -> None:
        """Write the rows of a commit."""
        end = first + count
        rows = [
            (size - 1, _LEAF, _HASH * _completed(size), _NOTE if size == end else None)
            for size in range(first + 1, end + 1)
        ]
        connection.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?)", rows)


LAYOUTS: Final = (OneRow, ThreeTables, OneTable)


def compare(folder: Path, entries: int, others: Sequence[type[Bare]] = LAYOUTS) -> dict[str, Any]:
    """Return what a commit of so many entries costs each way: microseconds of processor, and bare's time by its own."""
    commits = ROUND_COMMITS[entries]
    kinds: Sequence[type[Bare]] = (Bare, *others)
    ways = [kind(folder) for kind in kinds]
    busy: dict[str, list[float]] = {way.name: [] for way in ways}
    took: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(ROUNDS + 1):
        for way in ways:
            start, cpu = time.perf_counter(), time.process_time()
            for commit in range(commits):
                way.commit((number * commits + commit) * entries, entries)
            if number:  # the first round warms up
                took[way.name].append(time.perf_counter() - start)
                busy[way.name].append((time.process_time() - cpu) / commits * 1e6)
    for way in ways:
        way.close()
    return {
        name: {
            "us of processor a commit": round(statistics.median(busy[name])),
            "bare's time over this": round(
                statistics.median(bare / other for bare, other in zip(took[Bare.name], took[name], strict=True)),
                2,
            ),
        }
        for name in took
    }


def _completed(size: int) -> int:
    """Return how many subtrees of eight leaves or more the last leaf of a tree of `size` completes."""
    return max((size & -size).bit_length() - 3, 0)
