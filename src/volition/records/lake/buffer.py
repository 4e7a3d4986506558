"""The buffer: records that were acknowledged, and wait to be laid out in files (a write-ahead log).

A request that brings telemetry is one synced append here. Files are made of many requests together, later.

- What was added is there after a kill or a loss of power: it is committed, and flushed, before `add` returns.
- Nothing lies here in clear: what waits is encrypted under its account's key, service-generated data as well. An
  account whose key was destroyed has nothing here that anybody could read.
- What is taken out stays until the lake has it. Killed in between, it is taken out again, and the lake knows it by its
  identity: it is stored once.
- Only so much waits. Beyond it nothing is added, and the sender is asked to come again (back-pressure).

    requests ─▶ add ─▶ lake/buffer/waiting.db ─▶ take, one at a time ─▶ files of the lake ─▶ remove
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from volition.consent.parties import ErasedError, Parties
from volition.errors import BackendError, BusyError, InvalidInputError, ProofError
from volition.files import flush, turn
from volition.records.lake.records import NewRecord, bucket_of

MOST_WAITING: Final = 200_000
"""So many records may wait; whoever brings more is asked to come again."""

MOST_WAITING_BYTES: Final = 512 << 20
"""Likewise, bytes."""

_FOLDER: Final = "buffer"
_FILE: Final = "waiting.db"
_TAKEN: Final = 5_000  # records laid out in one go: what a reader may have to wait for
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT, category TEXT,
                                    records INTEGER, bytes INTEGER, sealed BLOB);
CREATE INDEX IF NOT EXISTS waiting_by_place ON waiting (number, account, category, records, bytes);
"""


def has_buffer(lake: Path) -> bool:
    """Say whether anything was ever received in the lake of a folder, without opening it."""
    return (lake / _FOLDER / _FILE).exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one request brought of one account and category.

    Attributes:
        number: Its place in the order of arrival.
        account: Whose it is.
        category: Of what kind.
        records: How many records it holds.
    """

    number: int
    account: str
    category: str
    records: int


class Buffer:
    """Records that wait, in a folder of their own. Several processes may use it, each in one thread at a time."""

    def __init__(self, lake: Path, parties: Parties) -> None:
        """Take the lake's folder, in which its own is made with the first record, and what holds the accounts' keys."""
        self._folder = lake / _FOLDER
        self._path = self._folder / _FILE
        self._parties = parties
        self._open: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file; what waits goes on waiting."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def refuse_if_full(self) -> None:
        """Check that there is room for more. Raises BusyError."""
        if not self._is_there():
            return
        records, size = self.waiting()
        if records >= MOST_WAITING or size >= MOST_WAITING_BYTES:
            msg = f"{records:,} records wait to be laid out, and no more is taken. Send it again in a moment."
            raise BusyError(msg)

    def add(self, records: Sequence[NewRecord]) -> None:
        """Add the records of one request: all of them, durably, or none.

        Raises:
            BusyError: Too much waits already.
            BackendError: The disk is full or cannot be written.
            RefusedError: An account was erased meanwhile.
        """
        self.refuse_if_full()
        parts: dict[tuple[str, str], list[NewRecord]] = defaultdict(list)
        for record in records:
            parts[record.account, record.category].append(record)
        rows = []
        for (account, category), members in parts.items():
            sealed = self._parties.seal(account, _bound_to(account, category), _written(members))
            rows.append((account, category, len(members), len(sealed), sealed))
        with self._failing("cannot take what was sent"):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    "INSERT INTO waiting (account, category, records, bytes, sealed) VALUES (?, ?, ?, ?, ?)", rows
                )
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def waiting(self) -> tuple[int, int]:
        """Return how many records wait, and how many bytes. Raises BackendError where nobody can say."""
        if not self._is_there():
            return 0, 0
        with self._failing("cannot be read"):
            sql = "SELECT COALESCE(SUM(records), 0), COALESCE(SUM(bytes), 0) FROM waiting"
            records, size = self._connection().execute(sql).fetchone()
        return int(records), int(size)

    def parts(self, accounts: Collection[str] | None, categories: Collection[str] | None) -> list[Part]:
        """Return what waits of some accounts and categories (none: of all), in the order of arrival.

        Raises:
            BackendError: The buffer cannot be read; nothing in it is taken for nothing.
        """
        if not self._is_there():
            return []
        with self._failing("cannot be read"):
            found = (
                self._connection()
                .execute("SELECT number, account, category, records FROM waiting ORDER BY number")
                .fetchall()
            )
        return [
            Part(number=number, account=account, category=category, records=records)
            for number, account, category, records in found
            if (accounts is None or account in accounts) and (categories is None or category in categories)
        ]

    def turn(self) -> AbstractContextManager[None]:
        """Wait until nobody else takes anything out, in any process, and keep it so."""
        return turn(self._folder)

    def records(self, parts: Sequence[Part]) -> list[NewRecord]:
        """Return the records of those of some parts that still wait; of an erased account there are none.

        Raises:
            BackendError: The buffer cannot be read, or a part was changed: nothing of it is taken out.
        """
        found: list[NewRecord] = []
        with self._failing("cannot be read"):
            for part in parts:
                sql = "SELECT sealed FROM waiting WHERE number = ?"
                for (sealed,) in self._connection().execute(sql, (part.number,)).fetchall():
                    found += self._opened(part, sealed)
        return found

    def _opened(self, part: Part, sealed: bytes) -> list[NewRecord]:
        try:
            data = self._parties.open_sealed(part.account, _bound_to(part.account, part.category), sealed)
        except ErasedError:
            return []
        except (InvalidInputError, ProofError) as error:
            msg = f"Part {part.number} of {self._path} was changed, and cannot be read. Restore it from a backup."
            raise BackendError(msg) from error
        return list(_read(part.account, part.category, data))

    def remove(self, parts: Sequence[Part]) -> None:
        """Remove what the lake has now, and overwrite where it lay. Raises BackendError."""
        with self._failing("cannot be tidied"):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany("DELETE FROM waiting WHERE number = ?", [(part.number,) for part in parts])
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # what cannot be yet is, the next time

    def _is_there(self) -> bool:
        if self._open is not None:
            return True
        self._parties.stores.check(self._path)
        return self._path.exists()

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            is_new = not self._path.exists()
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=30)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.executescript(_SCHEMA)
            if is_new:
                flush(self._folder)
                flush(self._folder.parent)
            self._parties.stores.note(self._path)
            self._open = connection
        return self._open

    @contextmanager
    def _failing(self, how: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            msg = f"The lake's buffer {self._path} {how}: {error}. What waits there is kept; mend that and repeat."
            raise BackendError(msg) from error


def in_goes(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield parts as they are laid out together: by the bucket of their account, so that few files are made."""
    go: list[Part] = []
    for part in sorted(parts, key=lambda part: (bucket_of(part.account), part.account, part.category, part.number)):
        if go and sum(one.records for one in go) + part.records > _TAKEN:
            yield go
            go = []
        go.append(part)
    if go:
        yield go


def _bound_to(account: str, category: str) -> bytes:
    """Return what a part is encrypted with: moved to another account or category, it does not open."""
    return json.dumps(["buffer", account, category]).encode()


def _written(records: Sequence[NewRecord]) -> bytes:
    return msgspec.json.encode(
        [
            (one.record_id, one.people, one.collected_us, one.source, one.version, one.origin, one.written.decode())
            for one in records
        ]
    )


def _read(account: str, category: str, data: bytes) -> Iterator[NewRecord]:
    for identity, people, collected_us, source, version, origin, written in msgspec.json.decode(data):
        yield NewRecord(
            record_id=identity,
            account=account,
            people=tuple(people),
            category=category,
            collected_us=collected_us,
            source=source,
            version=version,
            origin=origin,
            as_written=written.encode(),
        )
