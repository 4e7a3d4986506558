"""Schema migrations: ledger files of older versions become files of the present one, in which one append is one row.

Versions 1 and 2 had three tables: a row for each entry, each node and each checkpoint. Version 1 stored every node,
version 2 only those that are stored now. Nothing is hashed or verified here: the same bytes are moved, and what does
not fit together is refused and left as it is. Tampering is found afterwards, when the ledger verifies.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from volition.errors import InvalidInputError, ProofError
from volition.files import PART, flush
from volition.ledger.merkle import HASH_BYTES, count_nodes
from volition.ledger.store import LOWEST

OLDER_VERSIONS: Final = (1, 2)
_TABLES: Final = ("leaf", "node", "checkpoint")
_LEAVES: Final = "SELECT bytes FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq"
_NODE: Final = "SELECT hash FROM node WHERE level = ? AND number = ?"

INSERT: Final = "INSERT INTO growth VALUES (?, ?, ?, ?)"

Row = tuple[int, str, bytes, bytes]
"""Where it ends, its note, its nodes and its entries."""

Rows = Callable[[int, int, str, Sequence[bytes], Sequence[bytes]], Iterable[Row]]
"""Gives the rows of an append from its start, its end, its note, its nodes and its entries."""


def keep_copy(path: Path, version: int) -> Path:
    """Keep what a file holds before it is migrated, beside it; the caller holds its write lock.

    Raises:
        sqlite3.Error: The copy cannot be written; then nothing is migrated.
        OSError: Likewise.
    """
    kept = path.with_name(f"{path.name}.version-{version}")
    aside = kept.with_name(f"{kept.name}{PART}")
    aside.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(aside)) as copy:
        source.backup(copy)
    flush(aside)
    aside.replace(kept)
    flush(path.parent)
    return kept


def migrate(connection: sqlite3.Connection, schema: Sequence[str], rows: Rows) -> None:
    """Turn a file of an older version into one of the present version, within the caller's transaction.

    Args:
        connection: To the file, holding its write lock.
        schema: Statements that make the present tables, and give the file its version number.
        rows: Makes the rows of an append.

    Raises:
        ProofError: The old tables do not fit together.
    """
    for statement in schema:
        connection.execute(statement)
    start = 0
    for end, note in connection.execute("SELECT size, note FROM checkpoint ORDER BY size"):
        try:
            leaves = [leaf for (leaf,) in connection.execute(_LEAVES, (start, end))]
            connection.executemany(INSERT, rows(start, end, note, _nodes(connection, start, end), leaves))
        except (InvalidInputError, TypeError) as error:  # a type that the old tables' columns never had
            raise ProofError(f"{_misfit(start, end)} ({error})") from error
        start = end
    [(entries,)] = connection.execute("SELECT count(*) FROM leaf")
    [(nodes,)] = connection.execute("SELECT count(*) FROM node WHERE level >= ?", (LOWEST,))
    if (entries, nodes) != (start, count_nodes(start, LOWEST)):  # some belong to no append
        raise ProofError(_misfit(0, start))
    for table in _TABLES:
        connection.execute(f"DROP TABLE {table}")


def _nodes(connection: sqlite3.Connection, start: int, size: int) -> list[bytes]:
    """Return the stored nodes that the leaves from `start` to `size` complete, in the order in which they do."""
    nodes = []
    step = 1 << LOWEST
    for completing in range(start // step * step + step, size + 1, step):
        for level in range(LOWEST, (completing & -completing).bit_length()):
            [node] = connection.execute(_NODE, (level, (completing >> level) - 1)).fetchone() or [b""]
            if len(node) != HASH_BYTES:
                raise ProofError(_misfit(start, size))
            nodes.append(node)
    return nodes


def _misfit(start: int, size: int) -> str:
    return (
        f"The ledger file's entries, nodes and checkpoints from {start} to {size} do not fit together: it was changed. "
        "It was left in its older version. Restore it from a copy that verifies."
    )
