"""The index of the lake (its catalog), `index.db`: which files there are, who is who in them, and what was ever there.

- A file exists for readers once the index names it, in one transaction for a whole batch.
- Accounts, people and party sets are interned inside their bucket as they are collected, and keep their small dense
  integers: the gate is one look-up.
- What was erased stays erased: its identity is remembered (a tombstone), so that collecting it again does not bring it
  back.
- All SQL on the index is here and in `interning`. It holds no content; names and numbers are readable, for the gate.
- The table of party sets is named `circles` on disk.
"""

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np

from volition.consent.gate import PartySets
from volition.consent.parties import Generation
from volition.consent.references import Pseudonym, person_ref
from volition.consent.terms.model import CATEGORIES
from volition.errors import BackendError
from volition.records.lake.interning import Interner

_PARTY_SETS_HELD: Final = 2_000_000
_ASKED_AT_ONCE: Final = 500

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS accounts (bucket INTEGER, number INTEGER, account TEXT UNIQUE, PRIMARY KEY (bucket, number));
CREATE TABLE IF NOT EXISTS people (bucket INTEGER, number INTEGER, pseudonym TEXT, PRIMARY KEY (bucket, number),
                                   UNIQUE (bucket, pseudonym));
CREATE TABLE IF NOT EXISTS circles (bucket INTEGER, number INTEGER, account INTEGER, people TEXT,
                                    PRIMARY KEY (bucket, number), UNIQUE (bucket, account, people));
CREATE TABLE IF NOT EXISTS records (id BLOB PRIMARY KEY, batch INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, entry INTEGER, key BLOB, leaves BLOB);
CREATE TABLE IF NOT EXISTS embedded (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forms (id BLOB PRIMARY KEY, digest BLOB, version INTEGER, origin TEXT, current BLOB)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS forms_by_current ON forms (current);
CREATE INDEX IF NOT EXISTS forms_by_origin ON forms (origin);
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, kind TEXT, category TEXT, bucket INTEGER, rows INTEGER);
CREATE INDEX IF NOT EXISTS files_by_place ON files (kind, category, bucket);
"""

_NO_PARTY_SETS: Final = PartySets(
    accounts=[],
    people=[],
    account=np.zeros(0, np.int32),
    offsets=np.zeros(1, np.int64),
    members=np.zeros(0, np.int32),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Which form of a record lies in the lake.

    Attributes:
        digest: Of its encrypted bytes; none once it is gone.
        version: Its number at the source; none where forms are not numbered.
        origin: The conversation at the source that it comes from; empty where that does not matter.
        current: Under which identity it lies here; none once it is gone.
    """

    digest: bytes | None
    version: int | None
    origin: str
    current: str | None


def _check_not_lost(folder: Path) -> None:
    """Check that the index is there if files are: without it a full lake would be taken for empty."""
    path = folder / "index.db"
    if (not path.exists() or not path.stat().st_size) and next(folder.rglob("*.parquet"), None) is not None:
        msg = f"{path}, which says what lies in the lake, is gone or empty. Restore it from a backup of the workspace."
        raise BackendError(msg)


class LakeIndex:
    """The index of one lake.

    Attributes:
        folder: Where the lake lies.
        mutex: Held while a thread asks; a writer holds it for its whole transaction.
    """

    def __init__(self, folder: Path, generation: Generation | None = None) -> None:
        """Open the index in `folder`, creating both if they are not there.

        Args:
            folder: Where the lake lies.
            generation: Knows whether the index is older than it was; none for a lake outside of a workspace.

        Raises:
            BackendError: The folder or its index cannot be opened, or the index of files that are there is gone, or
                older than it was.
        """
        self._generation = generation
        self.folder = folder
        self.mutex = threading.RLock()
        self._known: OrderedDict[int, PartySets] = OrderedDict()  # party sets by bucket, those used last at the end
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _check_not_lost(folder)
            self._index = sqlite3.connect(
                folder / "index.db", check_same_thread=False, isolation_level=None, timeout=30
            )
            self._index.execute("PRAGMA journal_mode = WAL")
            self._index.execute("PRAGMA synchronous = FULL")
            if generation is not None:
                generation.check(self._index)
            self._index.executescript(_SCHEMA)
            self._carry_over()
        except (OSError, sqlite3.Error) as error:
            msg = f"The lake in {folder} cannot be opened: {error}. Check that the folder can be written."
            raise BackendError(msg) from error

    def _carry_over(self) -> None:
        """Give an index of an earlier version what it lacks; its records came in no batch that an entry speaks of."""
        if not self._has_batches():
            self._index.execute("BEGIN IMMEDIATE")  # another process may be about to do the same
            if not self._has_batches():
                self._index.execute("ALTER TABLE records ADD COLUMN batch INTEGER")
            self._index.execute("COMMIT")

    def _has_batches(self) -> bool:
        return any(name == "batch" for _, name, *_ in self._index.execute("PRAGMA table_info(records)"))

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    # --- one transaction, for the holder of the mutex ---

    def begin(self) -> None:
        """Open the one transaction in which a writer changes what there is."""
        self._index.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make everything since `begin` visible, and durable, at once."""
        if self._generation is not None:
            self._generation.advance(self._index)
        self._index.execute("COMMIT")
        if self._generation is not None:
            self._generation.keep()

    def rollback(self) -> None:
        """Undo everything since `begin`, if the transaction is still open."""
        if self._index.in_transaction:
            self._index.execute("ROLLBACK")

    # --- which records there are, or were: for a writer, in its transaction ---

    def collected(self, identities: Sequence[str]) -> list[str]:
        """Return which of some records the lake has, or had until they were erased."""
        return self._there("records", identities)

    def embedded(self, identities: Sequence[str]) -> list[str]:
        """Return which of some records have an embedding, or must not get one any more."""
        return self._there("embedded", identities)

    def _there(self, table: str, identities: Sequence[str]) -> list[str]:
        """Return which of some identities a table of the index holds."""
        found: list[str] = []
        for start in range(0, len(identities), _ASKED_AT_ONCE):
            asked = [bytes.fromhex(identity) for identity in identities[start : start + _ASKED_AT_ONCE]]
            places = ", ".join("?" * len(asked))
            sql = f"SELECT id FROM {table} WHERE id IN ({places})"  # noqa: S608 - our own names and question marks
            found += [identity.hex() for (identity,) in self._index.execute(sql, asked)]
        return found

    def add_collected(self, identities: Iterable[str], batch: int) -> None:
        """Note that records are there now, and in which batch they came, in the open transaction."""
        self._index.executemany(
            "INSERT INTO records VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET batch = excluded.batch",
            ((bytes.fromhex(identity), batch) for identity in sorted(identities)),  # neighbours lie on one page
        )

    def add_embedded(self, identities: Iterable[str]) -> None:
        """Note that records have their embeddings now, in the open transaction."""
        self._index.executemany("INSERT INTO embedded VALUES (?)", _bytes(identities))

    def embed_no_more(self, identities: Iterable[str]) -> None:
        """Note, in the open transaction, that no embedding of these records may be kept from now on."""
        self._index.executemany("INSERT OR IGNORE INTO embedded VALUES (?)", _bytes(identities))

    # --- in which batch a record came, and what the ledger says of it ---

    def add_batch(self, *, entry: int, key: bytes, leaves: bytes) -> int:
        """Keep what shows the records of a batch, in the open transaction; return the batch's number."""
        sql = "INSERT INTO batches (entry, key, leaves) VALUES (?, ?, ?) RETURNING number"
        [(number,)] = self._index.execute(sql, (entry, key.hex(), leaves)).fetchall()
        return int(number)

    def batches_of(self, identities: Sequence[str]) -> dict[str, int]:
        """Return the numbers of the batches in which some records came, as far as there are any."""
        found: dict[str, int] = {}
        with self.mutex:
            for start in range(0, len(identities), _ASKED_AT_ONCE):
                asked = [bytes.fromhex(identity) for identity in identities[start : start + _ASKED_AT_ONCE]]
                places = ", ".join("?" * len(asked))
                sql = f"SELECT id, batch FROM records WHERE batch IS NOT NULL AND id IN ({places})"  # noqa: S608
                found.update((identity.hex(), batch) for identity, batch in self._index.execute(sql, asked))
        return found

    def batch_of_each(self, identities: Sequence[str]) -> list[int | None]:
        """Return the number of the batch in which each of some records came; none where there is none."""
        asked = [*map(bytes.fromhex, identities)]
        in_order = sorted(asked)  # neighbours lie on one page
        found: dict[bytes, int] = {}
        with self.mutex:
            for start in range(0, len(asked), _ASKED_AT_ONCE):
                some = in_order[start : start + _ASKED_AT_ONCE]
                places = ", ".join("?" * len(some))
                sql = f"SELECT id, batch FROM records WHERE batch IS NOT NULL AND id IN ({places})"  # noqa: S608
                found.update(self._index.execute(sql, some).fetchall())
        return [*map(found.get, asked)]

    def entries_of(self, numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return the entry of the ledger about each of some batches, and how many bytes its leaves' hashes take."""
        found: dict[int, tuple[int, int]] = {}
        with self.mutex:
            for start in range(0, len(numbers), _ASKED_AT_ONCE):
                asked = numbers[start : start + _ASKED_AT_ONCE]
                places = ", ".join("?" * len(asked))
                sql = f"SELECT number, entry, LENGTH(leaves) FROM batches WHERE number IN ({places})"  # noqa: S608
                found.update((number, (entry, size)) for number, entry, size in self._index.execute(sql, asked))
        return found

    def batch(self, number: int) -> tuple[int, bytes, bytes]:
        """Return a batch's entry of the ledger, its key, and the hashes of its leaves, one after the other."""
        sql = "SELECT entry, key, leaves FROM batches WHERE number = ?"
        with self.mutex:
            entry, key, leaves = self._index.execute(sql, (number,)).fetchone()
        return int(entry), bytes.fromhex(key), leaves

    # --- which form of a record lies here ---

    def forms(self, identities: Sequence[str]) -> dict[str, Form]:
        """Return the forms of some records, by the identity under their key, as far as they are remembered."""
        found: dict[str, Form] = {}
        with self.mutex:
            for start in range(0, len(identities), _ASKED_AT_ONCE):
                asked = [bytes.fromhex(identity) for identity in identities[start : start + _ASKED_AT_ONCE]]
                places = ", ".join("?" * len(asked))
                sql = f"SELECT id, digest, version, origin, current FROM forms WHERE id IN ({places})"  # noqa: S608
                for identity, form, version, origin, current in self._index.execute(sql, asked):
                    here = None if current is None else current.hex()
                    found[identity.hex()] = Form(digest=form, version=version, origin=origin, current=here)
        return found

    def currents(self, origin: str) -> dict[str, str]:
        """Return under which identity each record of a conversation at a source lies here, by the one under its key."""
        with self.mutex:
            found = self._index.execute(
                "SELECT id, current FROM forms WHERE origin = ? AND current IS NOT NULL", (origin,)
            ).fetchall()
        return {identity.hex(): current.hex() for identity, current in found}

    def add_forms(self, forms: Mapping[str, Form]) -> None:
        """Remember forms, in the open transaction."""
        self._index.executemany(
            "INSERT OR REPLACE INTO forms VALUES (?, ?, ?, ?, ?)",
            (
                (bytes.fromhex(identity), one.digest, one.version, one.origin, bytes.fromhex(one.current or "") or None)
                for identity, one in sorted(forms.items(), key=itemgetter(0))  # neighbours lie on one page
            ),
        )

    def forget_forms(self, identities: Iterable[str]) -> None:
        """Remember, in the open transaction, that records which lay here are gone for good."""
        self._index.executemany("UPDATE forms SET digest = NULL, current = NULL WHERE current = ?", _bytes(identities))

    # --- which files there are ---

    def add_file(self, path: str, *, kind: str, category: str, bucket: int, rows: int) -> None:
        """Add a file, in the open transaction: for readers it exists from the commit on."""
        self._index.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?)", (path, kind, category, bucket, rows))

    def drop_file(self, path: str) -> None:
        """Remove a file from the index, in the open transaction."""
        self._index.execute("DELETE FROM files WHERE path = ?", (path,))

    def named(self) -> set[str]:
        """Return the paths, below the lake's folder, of all files that exist for readers."""
        return {path for (path,) in self._index.execute("SELECT path FROM files")}

    def rows_of_files(self) -> dict[str, int]:
        """Return how many rows each file has, by its path below the lake's folder."""
        with self.mutex:
            return dict(self._index.execute("SELECT path, rows FROM files ORDER BY path").fetchall())

    def categories(self) -> tuple[str, ...]:
        """Return the categories of which there are records: the built-in ones first, then others by name."""
        with self.mutex:
            found = self._index.execute(
                "SELECT DISTINCT category FROM files WHERE kind = 'records' AND rows > 0 ORDER BY 1"
            ).fetchall()
        names = {name for (name,) in found}
        return (*(name for name in CATEGORIES if name in names), *sorted(names.difference(CATEGORIES)))

    def buckets(self, category: str) -> list[int]:
        """Return the buckets that have records of a category."""
        with self.mutex:
            found = self._index.execute(
                "SELECT DISTINCT bucket FROM files WHERE kind = 'records' AND category = ? AND rows > 0 ORDER BY 1",
                (category,),
            ).fetchall()
        return [bucket for (bucket,) in found]

    def files(self, category: str, bucket: int) -> dict[str, list[str]]:
        """Return the files of a category and bucket by kind, as they are at one instant."""
        with self.mutex:
            found = self._index.execute(
                "SELECT kind, path FROM files WHERE kind IN ('records', 'embeddings') AND category = ? AND bucket = ? "
                "AND rows > 0 ORDER BY path",
                (category, bucket),
            ).fetchall()
        files: dict[str, list[str]] = {"records": [], "embeddings": []}
        for kind, path in found:
            files[kind].append(str(self.folder / path))
        return files

    def files_of(self, bucket: int) -> list[tuple[str, str, str]]:
        """Return the path, kind and category of each of a bucket's files."""
        with self.mutex:
            return self._index.execute(
                "SELECT path, kind, category FROM files WHERE bucket = ? AND rows > 0", (bucket,)
            ).fetchall()

    def places(self) -> list[tuple[str, str, int, int]]:
        """Return each kind, category and bucket that has files, and how many."""
        with self.mutex:
            return self._index.execute(
                "SELECT kind, category, bucket, COUNT(*) FROM files WHERE rows > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            ).fetchall()

    def oldest_first(self, kind: str, category: str, bucket: int) -> list[tuple[str, int]]:
        """Return the files of one place, in the order in which they were written, and the number of rows of each."""
        with self.mutex:
            return self._index.execute(
                "SELECT path, rows FROM files WHERE kind = ? AND category = ? AND bucket = ? AND rows > 0 "
                "ORDER BY rowid",
                (kind, category, bucket),
            ).fetchall()

    def counts(self) -> tuple[int, int]:
        """Return how many files there are, and in how many places."""
        with self.mutex:
            files, places = self._index.execute(
                "SELECT COUNT(*), COUNT(DISTINCT kind || category || bucket) FROM files WHERE rows > 0"
            ).fetchone()
        return int(files), int(places)

    def size(self) -> dict[str, int]:
        """Return how many records lie in the files, by category."""
        with self.mutex:
            found = self._index.execute(
                "SELECT category, SUM(rows) FROM files WHERE kind = 'records' GROUP BY category ORDER BY category"
            ).fetchall()
        return dict(found)

    # --- who is who: names interned inside a bucket ---

    def interner(self) -> Interner:
        """Return what interns names in the open transaction."""
        return Interner(self._index)

    def accounts(self, bucket: int) -> list[str]:
        """Return the accounts of a bucket; each account's number is its position."""
        with self.mutex:
            return self._numbered("accounts", "account", bucket, 0)

    def numbers_of_account(self, account: str) -> list[int]:
        """Return the number of an account in its bucket; none if it has no record."""
        with self.mutex:
            found = self._index.execute("SELECT number FROM accounts WHERE account = ?", (account,)).fetchall()
        return [number for (number,) in found]

    def numbers_of_person(self, pseudonym: str) -> list[tuple[int, int]]:
        """Return each bucket that has a person, with their number there."""
        with self.mutex:
            return self._index.execute("SELECT bucket, number FROM people WHERE pseudonym = ?", (pseudonym,)).fetchall()

    def members(self, bucket: int) -> dict[int, list[int]]:
        """Return the people's numbers in each of a bucket's party sets, the first person first."""
        with self.mutex:
            found = self._index.execute("SELECT number, people FROM circles WHERE bucket = ?", (bucket,)).fetchall()
        return {party_set: json.loads(people) for party_set, people in found}

    def party_sets(self, bucket: int) -> PartySets:
        """Return a bucket's party sets, with all that any process has added by now; those read before are cached."""
        with self.mutex:
            party_sets = self._known.pop(bucket, _NO_PARTY_SETS)
            # The party sets first: everyone named in them was interned before, in the same transaction.
            fresh = self._index.execute(
                "SELECT account, people FROM circles WHERE bucket = ? AND number >= ? ORDER BY number",
                (bucket, len(party_sets)),
            ).fetchall()
            if fresh:
                names = self._numbered("accounts", "account", bucket, len(party_sets.accounts))
                people = self._numbered("people", "pseudonym", bucket, len(party_sets.people))
                members = [json.loads(party_set) for _, party_set in fresh]
                ends = party_sets.offsets[-1] + np.cumsum([len(party_set) for party_set in members], dtype=np.int64)
                party_sets = PartySets(
                    accounts=[*party_sets.accounts, *names],
                    people=[*party_sets.people, *(person_ref(Pseudonym(one)) for one in people)],
                    account=np.concatenate([party_sets.account, np.array([account for account, _ in fresh], np.int32)]),
                    offsets=np.concatenate([party_sets.offsets, ends]),
                    members=np.concatenate(
                        [party_sets.members, np.array([one for all_ in members for one in all_], np.int32)]
                    ),
                )
            self._known[bucket] = party_sets
            while len(self._known) > 1 and sum(map(len, self._known.values())) > _PARTY_SETS_HELD:
                self._known.popitem(last=False)
            return party_sets

    def _numbered(self, table: str, column: str, bucket: int, start: int) -> list[str]:
        found = self._index.execute(
            f"SELECT {column} FROM {table} WHERE bucket = ? AND number >= ? ORDER BY number",  # noqa: S608 - our own names
            (bucket, start),
        )
        return [name for (name,) in found]


def _bytes(identities: Iterable[str]) -> Iterable[tuple[bytes]]:
    return ((bytes.fromhex(identity),) for identity in identities)
