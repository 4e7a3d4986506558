"""What signing each commit's checkpoint costs, apart from hashing: the row that the ledger writes, signed three ways.

What is there signs before the row is written, within the transaction. The two others were timed here and never built
into the ledger:

- A second thread signs while SQLite writes and syncs. The signature then lies in the next commit's row: until that,
  what was acknowledged has no signed checkpoint on the disk, and a kill leaves it so.
- One statement instead of four: the head is read before, and the row goes in only if that is still the head. Anyone who
  finds that it is not must hash and sign again, so that of several processes the slowest may never get in.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.ledger.designs import OneRow, row_of
from volition.ledger.signing import Signer

SIGNER = Signer.from_seed("bench.example/ledger", bytes(range(32)))
_INSERT = "INSERT INTO growth VALUES (?, ?, ?, ?)"
_IF_HEAD = "INSERT INTO growth SELECT ?, ?, ?, ? WHERE (SELECT coalesce(max(size), 0) FROM growth) = ?"


def _text(size: int) -> bytes:
    return b"bench.example/ledger\n%d\n%044d\n" % (size, size)


class SignedBefore(OneRow):
    """The signature is made under the write lock, as the ledger makes it."""

    name = "signed before the commit"

    def commit(self, first: int, count: int) -> None:
        """Store so many entries from place `first` on, in one transaction."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute("PRAGMA data_version").fetchall()
        SIGNER.sign(_text(first + count))
        execute(_INSERT, row_of(first, count))
        execute("COMMIT")


class SignedBeside(OneRow):
    """A second thread makes the signature while SQLite commits."""

    name = "signed beside the commit"

    def __init__(self, folder: Path) -> None:
        """Make its file in a folder, and start the thread."""
        super().__init__(folder)
        self._thread = ThreadPoolExecutor(1)

    def commit(self, first: int, count: int) -> None:
        """Store so many entries from place `first` on, in one transaction."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute("PRAGMA data_version").fetchall()
        signing = self._thread.submit(SIGNER.sign, _text(first + count))
        execute(_INSERT, row_of(first, count))
        execute("COMMIT")
        signing.result()

    def close(self) -> None:
        """Close the file, and end the thread."""
        self._thread.shutdown()
        super().close()


class OneStatement(OneRow):
    """The signature is made before, without the write lock; the row goes in if nobody was faster."""

    name = "one statement, if the head is the same"

    def commit(self, first: int, count: int) -> None:
        """Store so many entries from place `first` on, in one statement."""
        SIGNER.sign(_text(first + count))
        done = self._connection.execute(_IF_HEAD, (*row_of(first, count), first))
        if done.rowcount != 1:
            raise ValueError(f"{first} is not the head.")
