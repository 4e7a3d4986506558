"""The lake: where records lie, laid out for the gate.

- Parquet, one folder per category and day, one file per batch and account bucket. Each is sorted by account, circle and
  time, in row groups small enough that their statistics tell which accounts need not be read.
- Accounts are spread over 64 buckets. Inside a bucket, accounts, people and *circles* (an account with the people of
  a record, the first one first) get small dense integers as they are collected, so that the gate is one look-up.
- Content is sealed from the first day: `payload` of `content/...` is AES-256-GCM under the account's data key, and so
  is everything derived from it. Keys, times, categories and dense ids stay readable for the gate.
- A file exists for readers once `index.db` names it, in one transaction for a whole batch. A process killed while
  it writes leaves a file nobody reads, swept away by the next writer; sending the same thing twice stores it once.
- Nothing reads records but `Lake.rows` and `Lake.reasons`, and both ask for permits; and, for the person alone whose
  they are, `Lake.own_rows`: what somebody else said is in none of them, though `Lake.held` tells that it is there;
  and, for a person who reads again what was said while they were there, `Lake.heard_rows`.
- Written once; rewritten only by erasure, and by compaction, which makes large files of small ones. Readers go on: they
  open all files of a bucket before they give out its first record, and list anew if one was replaced before that.
- What was erased stays erased: its identity is remembered, so that collecting it again does not bring it back.
"""

import json
import sqlite3
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volition.canonical import canonical_json, digest, us_to_datetime
from volition.errors import BackendError, InvalidInputError
from volition.files import flush, turn, write_file
from volition.gate import Circles, Engine, Participant, Record, Standings, Subject, fold, heard, own
from volition.parties import Parties
from volition.permits import NO_PERMIT_US, REASON_CODES, Permits, Reason
from volition.terms import CATEGORIES

BUCKETS: Final = 64
EMBEDDING_SIZE: Final = 384

GROUP_ROWS: Final = 16_384
"""Rows of a row group: what the gate holds in memory at a time, and the least that it can pass over."""

COMPACT_BYTES: Final = 64 << 20
"""Compaction makes files of up to so many bytes, before compression; one of more than half as many is left alone."""

_CIRCLES_HELD: Final = 2_000_000
_ASKED_AT_ONCE: Final = 500

_PERSON: Final = "person:"

_DERIVED_IN: Final = ("content/transcript",)  # the categories that hold records derived from others
_DERIVED: Final = ("summary",)  # and their kinds

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS accounts (bucket INTEGER, number INTEGER, account TEXT UNIQUE, PRIMARY KEY (bucket, number));
CREATE TABLE IF NOT EXISTS people (bucket INTEGER, number INTEGER, pseudonym TEXT, PRIMARY KEY (bucket, number),
                                   UNIQUE (bucket, pseudonym));
CREATE TABLE IF NOT EXISTS circles (bucket INTEGER, number INTEGER, account INTEGER, people TEXT,
                                    PRIMARY KEY (bucket, number), UNIQUE (bucket, account, people));
CREATE TABLE IF NOT EXISTS records (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS embedded (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, kind TEXT, category TEXT, bucket INTEGER, rows INTEGER);
CREATE INDEX IF NOT EXISTS files_by_place ON files (kind, category, bucket);
"""

_RECORDS: Final = pa.schema(
    [
        ("record_id", pa.string()),
        ("account", pa.int32()),
        ("circle", pa.int32()),
        ("collected_us", pa.int64()),
        ("source", pa.string()),
        ("payload", pa.binary()),
    ]
)
_KEY_COLUMNS: Final = ["record_id", "circle", "collected_us", "source"]
_EMBEDDINGS: Final = pa.schema(
    [("record_id", pa.string()), ("account", pa.int32()), ("circle", pa.int32()), ("embedding", pa.binary())]
)

_ORDER: Final = {
    "records": [(name, "ascending") for name in ("account", "circle", "collected_us", "record_id")],
    "embeddings": [(name, "ascending") for name in ("account", "circle", "record_id")],
}
_STATISTICS: Final = ["account", "circle", "collected_us", "source"]
_REPEATED: Final = ["account", "circle", "source"]
_NO_CIRCLES: Final = Circles(
    accounts=[],
    people=[],
    account=np.zeros(0, np.int32),
    offsets=np.zeros(1, np.int64),
    members=np.zeros(0, np.int32),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """A record on its way into the lake.

    Attributes:
        record_id: Identity of the record, 32 hexadecimal characters, from `record_id`.
        account: Id of the account whose terms govern the record.
        people: Pseudonyms of the people concerned, the speaker or actor first, nobody twice.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
        source: Identity of the meeting or channel that the record belongs to, from `source_id`; empty if none.
        payload: What was collected, as a JSON object.
    """

    record_id: str
    account: str
    people: tuple[str, ...]
    category: str
    collected_us: int
    source: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A record that the gate has let through, opened.

    Attributes:
        record_id: Identity of the record, 32 hexadecimal characters.
        account: Id of the account whose terms govern the record.
        people: Pseudonyms of the people concerned, the speaker or actor first.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
        payload: What was collected, as a JSON object.
        embedding: Sentence embedding of the payload's text, shape (384,), float32, unit norm; none if not derived.
    """

    record_id: str
    account: str
    people: tuple[str, ...]
    category: str
    collected_us: int
    payload: dict[str, Any]
    embedding: NDArray[np.float32] | None = None

    def is_for(self, pseudonym: str) -> bool:
        """Tell whether a person of the account may see it: what is private, only those whom it concerns."""
        return not self.payload.get("private") or pseudonym in self.people


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A record that concerns a person, without what it says.

    Attributes:
        record_id: Identity of the record, 32 hexadecimal characters.
        account: Id of the account whose terms govern the record.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection, microseconds since the Unix epoch, UTC.
        source: Identity of the meeting or channel, from `source_id`; empty if none.
        is_own: Whether the person said, wrote or did it; if not, somebody else's words concern them.
        others: How many other people it concerns.
    """

    record_id: str
    account: str
    category: str
    collected_us: int
    source: str
    is_own: bool
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What compaction did: how many files there were, how many there are, and how many rows it moved."""

    before: int
    after: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of a batch: how many records were stored, and how many the lake had already."""

    stored: int
    known: int


class TextEncoder(Protocol):
    """Turns texts into unit vectors: `encoder.Encoder`, or any that gives the same vector for the same text."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings of n texts, shape (n, 384), float32, unit norm."""
        ...


_Found = TypeVar("_Found")

Progress = Callable[[str, int, int], None]
"""Told how far long work has come, as `progress(stage, done, total)`."""


def record_id(account: str, key: str) -> str:
    """Return the identity of a record from its account and its key at the source: 32 hexadecimal characters."""
    return digest(canonical_json([account, key]))[:32]


def source_id(account: str, name: str) -> str:
    """Return the identity of a meeting or channel: 16 hexadecimal characters that do not tell its name."""
    return digest(canonical_json(["source", account, name]))[:16]


@lru_cache(maxsize=100_000)
def bucket_of(account: str) -> int:
    """Return the bucket of an account, from 0 to 63, the same on every machine."""
    return int(digest(account.encode())[:8], 16) % BUCKETS


def write_table(table: pa.Table, sink: pa.NativeFile) -> None:
    """Write rows, sorted already, as a Parquet file of the lake's layout."""
    names = table.column_names
    pq.write_table(
        table,
        sink,
        compression="zstd",
        row_group_size=GROUP_ROWS,
        use_dictionary=[name for name in _REPEATED if name in names],
        write_statistics=[name for name in _STATISTICS if name in names],
        column_encoding={"collected_us": "DELTA_BINARY_PACKED"} if "collected_us" in names else None,
    )


class Lake:
    """Records in a folder. Writers take turns; readers never wait."""

    def __init__(self, folder: Path, parties: Parties, engine: Engine) -> None:
        """Open the lake in `folder`, creating it if it is not there.

        Args:
            folder: Where the records lie.
            parties: Seals and opens content with the accounts' keys.
            engine: Runs the gate's SQL.

        Raises:
            BackendError: The folder or its index cannot be opened.
        """
        self._folder = folder
        self._parties = parties
        self._engine = engine
        self._written: list[Path] = []  # files of the batch that is being written
        self._mutex = threading.RLock()
        self._known: OrderedDict[int, Circles] = OrderedDict()  # circles by bucket, those used last at the end
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._index = sqlite3.connect(
                folder / "index.db", check_same_thread=False, isolation_level=None, timeout=30
            )
            self._index.execute("PRAGMA journal_mode = WAL")
            self._index.execute("PRAGMA synchronous = FULL")
            self._index.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            msg = f"The lake in {folder} cannot be opened: {error}. Check that the folder can be written."
            raise BackendError(msg) from error

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    # --- writing ---

    def append(self, records: Sequence[NewRecord]) -> Appended:
        """Store a batch of records: all of it or, on failure, none of it. Known records are passed over.

        Raises:
            BackendError: The disk is full or cannot be written; nothing of the batch is visible, send it again.
        """
        with self._writing("the records"):
            fresh: dict[str, NewRecord] = {}
            for record in records:
                fresh.setdefault(record.record_id, record)
            for identity in self._there("records", list(fresh)):
                del fresh[identity]
            groups: dict[tuple[str, str, int], list[NewRecord]] = defaultdict(list)
            for record in fresh.values():
                day = us_to_datetime(record.collected_us).date().isoformat()
                groups[record.category, day, bucket_of(record.account)].append(record)
            numbers = _Numbers(self._index)
            for (category, day, bucket), members in sorted(groups.items()):
                table = self._table(members, bucket, numbers)
                self._write(table, kind="records", category=category, bucket=bucket, under=f"{category}/{day}")
            self._index.executemany(
                "INSERT INTO records VALUES (?)", ((bytes.fromhex(identity),) for identity in sorted(fresh))
            )
        return Appended(stored=len(fresh), known=len(records) - len(fresh))

    def _table(self, records: list[NewRecord], bucket: int, numbers: "_Numbers") -> pa.Table:
        records = sorted(records, key=lambda record: (record.account, record.collected_us, record.record_id))
        payloads = [canonical_json(record.payload) for record in records]
        if records[0].category.startswith("content/"):
            payloads = self._seal(records, payloads, suffix=b"")
        accounts = [numbers.account(bucket, record.account) for record in records]
        circles = [
            numbers.circle(bucket, account, record.people) for account, record in zip(accounts, records, strict=True)
        ]
        columns = {
            "record_id": [record.record_id for record in records],
            "account": accounts,
            "circle": circles,
            "collected_us": [record.collected_us for record in records],
            "source": [record.source for record in records],
            "payload": payloads,
        }
        return pa.table(columns, schema=_RECORDS).sort_by(_ORDER["records"])

    def _there(self, table: str, identities: Sequence[str]) -> list[str]:
        """Return which of some identities a table of the index holds."""
        found: list[str] = []
        for start in range(0, len(identities), _ASKED_AT_ONCE):
            asked = [bytes.fromhex(identity) for identity in identities[start : start + _ASKED_AT_ONCE]]
            places = ", ".join("?" * len(asked))
            sql = f"SELECT id FROM {table} WHERE id IN ({places})"  # noqa: S608 - our own names and question marks
            found += [identity.hex() for (identity,) in self._index.execute(sql, asked)]
        return found

    def embed(  # noqa: PLR0913 - which rows, under whose permits, how, and who is told
        self,
        permits: Permits,
        encoder: TextEncoder,
        *,
        categories: Iterable[str],
        accounts: Sequence[str] | None = None,
        source: str | None = None,
        progress: Progress,
    ) -> int:
        """Derive the missing sentence embeddings of permitted content, and keep them beside their source.

        An embedding is derived data: computed only under a permit for the purpose at hand, once per record, sealed
        under the account's key and erased with its source. Interrupted, it goes on where it stopped.

        Returns:
            How many embeddings were computed.
        """
        batch_size = 1024
        computed = 0
        for category in sorted(categories):
            underived = self.rows(permits, categories=[category], accounts=accounts, source=source, underived=True)
            missing = [row for row in underived if isinstance(row.payload.get("text"), str)]
            missing.sort(key=lambda row: (bucket_of(row.account), row.account, row.collected_us, row.record_id))
            for start in range(0, len(missing), batch_size):
                progress(f"embedding {category}", start, len(missing))
                batch = missing[start : start + batch_size]
                vectors = encoder.encode([row.payload["text"] for row in batch]).astype(np.float16)
                computed += self._keep_embeddings(category, batch, vectors)
            if missing:
                progress(f"embedding {category}", len(missing), len(missing))
        return computed

    def _keep_embeddings(self, category: str, rows: Sequence[Row], vectors: NDArray[np.float16]) -> int:
        kept = 0
        with self._writing("the embeddings"):
            numbers = _Numbers(self._index)
            buckets: dict[int, list[int]] = defaultdict(list)
            known = set(self._there("embedded", [row.record_id for row in rows]))
            for position, row in enumerate(rows):
                if row.record_id not in known:
                    buckets[bucket_of(row.account)].append(position)
            for bucket, positions in sorted(buckets.items()):
                members = [rows[position] for position in positions]
                accounts = [numbers.account(bucket, row.account) for row in members]
                circles = [
                    numbers.circle(bucket, account, row.people) for account, row in zip(accounts, members, strict=True)
                ]
                sealed = self._seal(
                    members, [vectors[position].tobytes() for position in positions], suffix=b"/embedding"
                )
                columns = {
                    "record_id": [row.record_id for row in members],
                    "account": accounts,
                    "circle": circles,
                    "embedding": sealed,
                }
                table = pa.table(columns, schema=_EMBEDDINGS).sort_by(_ORDER["embeddings"])
                self._write(table, kind="embeddings", category=category, bucket=bucket, under=f"{category}/embeddings")
                self._index.executemany(
                    "INSERT INTO embedded VALUES (?)", ((bytes.fromhex(row.record_id),) for row in members)
                )
                kept += len(members)
        return kept

    def quarantine(self, account: str | None, lines: Sequence[dict[str, Any]]) -> Path | None:
        """Set bad input aside as JSON lines: source, where, why, raw.

        The raw text is sealed under the account's key (`sealed_raw`, hexadecimal); only where nobody knows whose it
        is does it stay as it came. The file is named by its content: the same input is set aside once.

        Returns:
            The quarantine file, or none when there is nothing to set aside.

        Raises:
            BackendError: The disk is full or cannot be written.
        """
        if not lines:
            return None
        kept = [dict(line) for line in lines]
        if account is not None:
            raws = [(b"quarantine", str(line.pop("raw")).encode(errors="backslashreplace")) for line in kept]
            for line, sealed in zip(kept, self._parties.seal_many(account, raws), strict=True):
                line["sealed_raw"] = sealed.hex()
        data = b"".join(canonical_json(line) + b"\n" for line in kept)
        path = self._folder / "quarantine" / f"{digest(data)[:32]}.jsonl"
        if not path.exists():
            try:
                path.parent.mkdir(mode=0o700, exist_ok=True)
                write_file(path, data)
            except OSError as error:
                msg = f"Bad input could not be set aside in {path}: {error}. Free space, then send the input again."
                raise BackendError(msg) from error
        return path

    # --- reading, through the gate ---

    def rows(
        self,
        permits: Permits,
        *,
        categories: Iterable[str],
        accounts: Sequence[str] | None = None,
        source: str | None = None,
        underived: bool = False,
    ) -> Iterator[Row]:
        """Yield the records that `permits` lets through, opened, by category and bucket, else in no order.

        Args:
            permits: Decide, for their purpose at their instant.
            categories: Leaves of `terms.CATEGORIES`.
            accounts: Only these accounts' records; none for all.
            source: Only the records of one meeting or channel, from `source_id`.
            underived: Only records without an embedding; the others are not even opened.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: An account was erased meanwhile.
        """
        for category in categories:
            for bucket in self._buckets(category):
                for batch, circles in self._permitted(
                    partial(self._standings, permits, category, accounts), category, bucket, source
                ):
                    wanted = (
                        batch.filter(pc.is_null(batch["embedding"]))
                        if underived and "embedding" in batch.schema.names
                        else batch
                    )
                    yield from self._open(wanted, circles, category)

    def _permitted(
        self, stand: Callable[[Circles], Standings | None], category: str, bucket: int, source: str | None
    ) -> Iterator[tuple[pa.RecordBatch, Circles]]:
        """Yield the permitted batches of a bucket, and the circles that they speak of.

        An engine opens every file before it gives out the first batch, so a file that was replaced before that is no
        error: the bucket is listed anew, and nothing was given out twice.
        """
        while True:
            files = self._files(category, bucket)
            circles = self._circles(bucket)
            standings = stand(circles)
            if standings is None or not files["records"]:
                return
            batches = self._engine.permitted(files["records"], standings, derived=files["embeddings"], source=source)
            try:
                first = next(batches, None)
            except BackendError:
                if self._files(category, bucket) == files:
                    raise
                continue
            if first is not None:
                yield first, circles
                yield from ((batch, circles) for batch in batches)
            return

    def reasons(
        self, permits: Permits, *, categories: Iterable[str], source: str | None = None
    ) -> dict[str, dict[Reason | None, int]]:
        """Count the records of each category, or of one meeting or channel, by the gate's reason; none: permitted."""
        found: dict[str, dict[Reason | None, int]] = {}
        for category in categories:
            counts: dict[Reason | None, int] = defaultdict(int)
            for bucket in self._buckets(category):

                def count(
                    files: Sequence[str], bucket: int = bucket, category: str = category
                ) -> dict[Reason | None, int]:
                    standings = fold(permits, self._circles(bucket), category)
                    return self._engine.reasons(files, standings, source=source)

                for reason, total in self._read(category, bucket, count).items():
                    counts[reason] += total
            if counts:
                found[category] = dict(counts)
        return found

    def own_rows(self, subject: Subject, *, categories: Iterable[str] = CATEGORIES) -> Iterator[Row]:
        """Yield what a person said, wrote or did, opened, for that person alone: a yes is asked of nobody.

        What others said is left out, though the person was there; so is what was derived from several people's words.

        Args:
            subject: Who asks, and when.
            categories: Leaves of `terms.CATEGORIES`.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: An account was erased meanwhile.
        """
        for category in categories:
            for row in self._first_rows(subject, category):
                if not _is_derived(row):
                    yield row

    def _first_rows(self, subject: Subject, category: str) -> Iterator[Row]:
        for bucket in self._buckets_of(subject, category):
            for batch, circles in self._permitted(partial(own, subject), category, bucket, None):
                yield from self._open(batch, circles, category)

    def _buckets_of(self, subject: Subject, category: str) -> list[int]:
        """Return the buckets that have records of a category and may have some that concern a person."""
        with self._mutex:
            found = self._index.execute("SELECT bucket FROM people WHERE pseudonym = ?", (subject.pseudonym,))
            there = {bucket for (bucket,) in found}
        return [bucket for bucket in self._buckets(category) if bucket in there]

    def held(self, subject: Subject, *, categories: Iterable[str] = CATEGORIES) -> Iterator[Held]:
        """Yield every record that concerns a person, without what it says: by category, else in no order.

        Raises:
            BackendError: A file cannot be read.
        """
        party = _PERSON + subject.pseudonym
        for category in categories:
            derived: set[str] = set()
            if category in _DERIVED_IN:
                derived = {row.record_id for row in self._first_rows(subject, category) if _is_derived(row)}
            for bucket in self._buckets_of(subject, category):
                circles = self._circles(bucket)
                numbers = [number for number, person in enumerate(circles.people) if person == party]
                places = np.flatnonzero(np.isin(circles.members, numbers))
                chosen = np.unique(np.searchsorted(circles.offsets, places, side="right") - 1)
                people = {circle: circles.people_of(circle) for circle in chosen.tolist()}
                for key in self._keys(category, bucket, ("circle", "in", list(people))).to_pylist() if people else ():
                    if key["collected_us"] <= subject.at_us:
                        yield Held(
                            record_id=key["record_id"],
                            account=circles.account_of(key["circle"]),
                            category=category,
                            collected_us=key["collected_us"],
                            source=key["source"],
                            is_own=people[key["circle"]][0] == party and key["record_id"] not in derived,
                            others=len(people[key["circle"]]) - 1,
                        )

    def key_of(self, record: str) -> Record:
        """Return what the gate must know of a record, without opening it.

        Raises:
            InvalidInputError: The lake holds no such record.
        """
        for category in CATEGORIES:
            for bucket in self._buckets(category):
                table = self._keys(category, bucket, ("record_id", "=", record))
                if table.num_rows:
                    row = table.to_pylist()[0]
                    circles = self._circles(bucket)
                    return Record(
                        account=circles.account_of(row["circle"]),
                        people=circles.people_of(row["circle"]),
                        category=category,
                        collected_us=row["collected_us"],
                    )
        msg = f"The lake holds no record {record!r}. Search results and `volition may` name records by their id."
        raise InvalidInputError(msg)

    def meeting(
        self, account: str, name: str, *, category: str = "content/transcript"
    ) -> tuple[tuple[str, ...], int] | None:
        """Return whom a meeting concerns (pseudonyms, in the order of speaking) and when its last part was collected.

        With `content/chat`, the same of a channel. None if no such meeting was collected.
        """
        bucket = bucket_of(account)
        table = self._keys(category, bucket, ("source", "=", source_id(account, name)))
        if not table.num_rows:
            return None
        circles = self._circles(bucket)
        parts = sorted(zip(table["collected_us"].to_pylist(), table["circle"].to_pylist(), strict=True))
        people = dict.fromkeys(person for _, circle in parts for person in circles.people_of(circle)[:1])
        everyone = dict.fromkeys(person for _, circle in parts for person in circles.people_of(circle))
        return tuple(person.removeprefix(_PERSON) for person in people | everyone), parts[-1][0]

    def heard_rows(
        self, participant: Participant, *, categories: Iterable[str], source: str | None = None
    ) -> Iterator[Row]:
        """Yield what was said or written with a person there, opened, for that person alone to read again.

        Args:
            participant: Who reads, of which account, and when.
            categories: Leaves of `terms.CATEGORIES`.
            source: Only the records of one meeting or channel, from `source_id`.

        Raises:
            BackendError: A file cannot be read.
            RefusedError: The account was erased meanwhile.
        """
        bucket = bucket_of(participant.account)
        for category in categories:
            for batch, circles in self._permitted(partial(heard, participant), category, bucket, source):
                yield from self._open(batch, circles, category)

    def circles_of(self, account: str) -> Circles:
        """Return an account's circles: whom its records concern. Their ids are their positions here."""
        circles = self._circles(bucket_of(account))
        numbers = [number for number, name in enumerate(circles.accounts) if name == account]
        return circles.take(np.flatnonzero(np.isin(circles.account, numbers)))

    def state(self, account: str, categories: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """Return what is another after any of an account's records was added, embedded, moved or erased.

        It says nothing else, and may change for the sake of another account.
        """
        found = [self._files(category, bucket_of(account)) for category in categories]
        return tuple((*files["records"], *files["embeddings"]) for files in found)

    def size(self) -> dict[str, int]:
        """Return how many records lie in the lake, by category, whether or not anything may use them."""
        with self._mutex:
            found = self._index.execute(
                "SELECT category, SUM(rows) FROM files WHERE kind = 'records' GROUP BY category ORDER BY category"
            ).fetchall()
        return dict(found)

    def accounts(self) -> dict[str, int]:
        """Return how many records each account has in the lake, whether or not anything may use them."""
        with self._mutex:
            buckets = self._index.execute("SELECT DISTINCT bucket FROM files WHERE kind = 'records' AND rows > 0")
            found = [(bucket, self._numbered("accounts", "account", bucket, 0)) for (bucket,) in buckets.fetchall()]

        def count(files: Sequence[str]) -> Any:  # noqa: ANN401 - Arrow has no types
            return pc.value_counts(pq.read_table(files, columns=["account"], partitioning=None)["account"])

        totals: dict[str, int] = defaultdict(int)
        for category in CATEGORIES:
            filled = set(self._buckets(category))
            for bucket, names in found:
                if bucket in filled:
                    for counted in self._read(category, bucket, count).to_pylist():
                        totals[names[counted["values"]]] += counted["counts"]
        return dict(totals)

    def _buckets(self, category: str) -> list[int]:
        """Return the buckets that have records of a category."""
        with self._mutex:
            found = self._index.execute(
                "SELECT DISTINCT bucket FROM files WHERE kind = 'records' AND category = ? AND rows > 0 ORDER BY 1",
                (category,),
            ).fetchall()
        return [bucket for (bucket,) in found]

    def _files(self, category: str, bucket: int) -> dict[str, list[str]]:
        """Return the files of a category and bucket by kind, as they are at one instant."""
        with self._mutex:
            found = self._index.execute(
                "SELECT kind, path FROM files WHERE kind IN ('records', 'embeddings') AND category = ? AND bucket = ? "
                "AND rows > 0 ORDER BY path",
                (category, bucket),
            ).fetchall()
        files: dict[str, list[str]] = {"records": [], "embeddings": []}
        for kind, path in found:
            files[kind].append(str(self._folder / path))
        return files

    def _read(self, category: str, bucket: int, read: Callable[[Sequence[str]], _Found]) -> _Found:
        """Read something of a bucket's records as a whole; anew, if a file was replaced meanwhile."""
        while True:
            files = self._files(category, bucket)
            try:
                return read(files["records"])
            except (BackendError, OSError):
                if self._files(category, bucket) == files:
                    raise

    def _keys(self, category: str, bucket: int, condition: tuple[str, str, str | Sequence[int]]) -> pa.Table:
        """Return the keys of a bucket's records that meet a condition."""

        def read(files: Sequence[str]) -> pa.Table:
            if not files:
                return _RECORDS.empty_table().select(_KEY_COLUMNS)
            return pq.read_table(files, columns=_KEY_COLUMNS, partitioning=None, filters=[condition])

        return self._read(category, bucket, read)

    def _circles(self, bucket: int) -> Circles:
        """Return a bucket's circles, with all that any process has added by now; what was read before is kept."""
        with self._mutex:
            circles = self._known.pop(bucket, _NO_CIRCLES)
            # The circles first: whoever is named in them was numbered before, in the same transaction.
            fresh = self._index.execute(
                "SELECT account, people FROM circles WHERE bucket = ? AND number >= ? ORDER BY number",
                (bucket, len(circles)),
            ).fetchall()
            if fresh:
                names = self._numbered("accounts", "account", bucket, len(circles.accounts))
                people = self._numbered("people", "pseudonym", bucket, len(circles.people))
                members = [json.loads(circle) for _, circle in fresh]
                ends = circles.offsets[-1] + np.cumsum([len(circle) for circle in members], dtype=np.int64)
                circles = Circles(
                    accounts=[*circles.accounts, *names],
                    people=[*circles.people, *(_PERSON + pseudonym for pseudonym in people)],
                    account=np.concatenate([circles.account, np.array([account for account, _ in fresh], np.int32)]),
                    offsets=np.concatenate([circles.offsets, ends]),
                    members=np.concatenate(
                        [circles.members, np.array([one for all_ in members for one in all_], np.int32)]
                    ),
                )
            self._known[bucket] = circles
            while len(self._known) > 1 and sum(map(len, self._known.values())) > _CIRCLES_HELD:
                self._known.popitem(last=False)
            return circles

    def _numbered(self, table: str, column: str, bucket: int, start: int) -> list[str]:
        found = self._index.execute(
            f"SELECT {column} FROM {table} WHERE bucket = ? AND number >= ? ORDER BY number",  # noqa: S608 - our own names
            (bucket, start),
        )
        return [name for (name,) in found]

    @staticmethod
    def _standings(
        permits: Permits, category: str, accounts: Sequence[str] | None, circles: Circles
    ) -> Standings | None:
        """Return the circles' standings; where only some accounts are asked about, the others' circles pass nothing.

        None if no circle is asked about.
        """
        if accounts is None:
            return fold(permits, circles, category)
        numbers = [number for number, account in enumerate(circles.accounts) if account in accounts]
        chosen = np.flatnonzero(np.isin(circles.account, numbers))
        if not len(chosen):
            return None
        folded = fold(permits, circles.take(chosen), category)
        columns = [
            np.full(len(circles), nothing, column.dtype)
            for column, nothing in (
                (folded.since_us, NO_PERMIT_US),
                (folded.oldest_us, NO_PERMIT_US),
                (folded.reason, REASON_CODES[Reason.UNKNOWN_PARTY]),
            )
        ]
        for column, values in zip(columns, (folded.since_us, folded.oldest_us, folded.reason), strict=True):
            column[chosen] = values
        since_us, oldest_us, reason = columns
        return Standings(
            at_us=folded.at_us, since_us=since_us, oldest_us=oldest_us, reason=reason, account=circles.account
        )

    def _open(self, batch: pa.RecordBatch, circles: Circles, category: str) -> Iterator[Row]:
        columns = batch.to_pydict()
        identities: list[str] = columns["record_id"]
        payloads: list[bytes] = columns["payload"]
        embeddings: list[bytes | None] = columns.get("embedding") or [None] * len(identities)
        people = {
            circle: tuple(person.removeprefix(_PERSON) for person in circles.people_of(circle))
            for circle in set(columns["circle"])
        }
        by_owner: dict[str, list[int]] = defaultdict(list)
        for position, circle in enumerate(columns["circle"]):
            by_owner[circles.account_of(circle)].append(position)
        for account, positions in by_owner.items():
            plain = [payloads[position] for position in positions]
            if category.startswith("content/"):
                pairs = [(identities[position].encode(), payloads[position]) for position in positions]
                plain = self._parties.open_many(account, pairs)
            vectors = self._open_embeddings(
                account, [(identities[position], embeddings[position]) for position in positions]
            )
            for position, payload, vector in zip(positions, plain, vectors, strict=True):
                yield Row(
                    record_id=identities[position],
                    account=account,
                    people=people[columns["circle"][position]],
                    category=category,
                    collected_us=columns["collected_us"][position],
                    payload=json.loads(payload),
                    embedding=vector,
                )

    def _open_embeddings(
        self, account: str, sealed: Sequence[tuple[str, bytes | None]]
    ) -> list[NDArray[np.float32] | None]:
        there = [(identity.encode() + b"/embedding", data) for identity, data in sealed if data is not None]
        opened = iter(self._parties.open_many(account, there))
        return [
            None if data is None else np.frombuffer(next(opened), dtype=np.float16).astype(np.float32)
            for _, data in sealed
        ]

    def _seal(self, rows: Sequence[NewRecord | Row], plain: Sequence[bytes], *, suffix: bytes) -> list[bytes]:
        """Seal one plaintext per row under its account's key, bound to the record's identity."""
        sealed: list[bytes] = [b""] * len(plain)
        by_account: dict[str, list[int]] = defaultdict(list)
        for position, row in enumerate(rows):
            by_account[row.account].append(position)
        for account, positions in by_account.items():
            pairs = [(rows[position].record_id.encode() + suffix, plain[position]) for position in positions]
            for position, data in zip(positions, self._parties.seal_many(account, pairs), strict=True):
                sealed[position] = data
        return sealed

    # --- erasing ---

    def erase_account(self, account: str) -> int:
        """Rewrite the files without an account's records and what was derived from them; return how many records."""
        bucket = bucket_of(account)
        with self._writing("the files without the erased records") as obsolete:
            numbers = self._index.execute("SELECT number FROM accounts WHERE account = ?", (account,)).fetchall()
            return self._rewrite_without(bucket, "account", [number for (number,) in numbers], obsolete)

    def erase_person(self, pseudonym: str) -> int:
        """Rewrite the files without the records whose first person it is; return how many records.

        What was derived from what the person said goes, too: a meeting's summary may hold their words. Records of
        others that merely concern the person stay where they are: the gate refuses them (`erased`) wherever the person
        has a say.
        """
        removed = 0
        with self._writing("the files without the erased records") as obsolete:
            for bucket, number in self._index.execute(
                "SELECT bucket, number FROM people WHERE pseudonym = ?", (pseudonym,)
            ).fetchall():
                found = self._index.execute("SELECT number, people FROM circles WHERE bucket = ?", (bucket,)).fetchall()
                people = {circle: json.loads(members) for circle, members in found}
                own = [circle for circle, members in people.items() if members[:1] == [number]]
                with_them = [circle for circle, members in people.items() if number in members[1:]]
                derived = self._derived(bucket, with_them)
                removed += self._rewrite_without(bucket, "circle", own, obsolete)
                removed += self._rewrite_without(bucket, "record_id", derived, obsolete)
        return removed

    def _derived(self, bucket: int, circles: Sequence[int]) -> list[str]:
        """Return the identities of a bucket's records of some circles that were derived from what these people said."""
        found: list[str] = []
        for category in _DERIVED_IN if circles else ():
            for path in self._files(category, bucket)["records"]:
                table = pq.read_table(path, partitioning=None, filters=[("circle", "in", circles)])
                for batch in table.to_batches():
                    rows = self._open(batch, self._circles(bucket), category)
                    found += [row.record_id for row in rows if _is_derived(row)]
        return found

    def _rewrite_without(
        self, bucket: int, column: str, values: Sequence[int] | Sequence[str], obsolete: list[Path]
    ) -> int:
        """Write a bucket's files anew, in the open transaction; return how many records are gone."""
        if not values:
            return 0
        removed = 0
        unwanted = pa.array(values, _RECORDS.field(column).type)
        for path, kind, category in self._index.execute(
            "SELECT path, kind, category FROM files WHERE bucket = ? AND rows > 0", (bucket,)
        ).fetchall():
            mask = pc.is_in(pq.read_table(self._folder / path, columns=[column], partitioning=None)[column], unwanted)
            if not pc.any(mask).as_py():
                continue
            table = pq.read_table(self._folder / path, partitioning=None)
            gone, kept = table.filter(mask), table.filter(pc.invert(mask))
            if kind == "records":
                removed += gone.num_rows
                # Whoever has read a record before may still be about to derive something from it: that comes too late.
                self._index.executemany(
                    "INSERT OR IGNORE INTO embedded VALUES (?)",
                    ((bytes.fromhex(identity),) for identity in gone["record_id"].to_pylist()),
                )
            self._index.execute("DELETE FROM files WHERE path = ?", (path,))
            if kept.num_rows:
                self._write(kept, kind=kind, category=category, bucket=bucket, under=str(Path(path).parent))
            obsolete.append(self._folder / path)
        return removed

    # --- compacting ---

    def compact(self, progress: Progress) -> Compacted:
        """Make large files of the many small ones that collecting leaves; rows stay as they are, sealed as they are.

        Each new file is a transaction of its own: killed, it keeps what it has done, and the next one goes on. Readers
        go on meanwhile. Memory holds a few times `COMPACT_BYTES`, whatever the lake's size.

        Raises:
            BackendError: The disk is full or cannot be written; what was there is as it was.
        """
        with self._mutex:
            places = self._index.execute(
                "SELECT kind, category, bucket, COUNT(*) FROM files WHERE rows > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            ).fetchall()
        rows = 0
        for done, (kind, category, bucket, _) in enumerate(places):
            progress("compacting", done, len(places))
            while self._small_files(kind, category, bucket):
                with self._writing("the compacted files") as obsolete:
                    # Asked again in our turn: another process may have compacted, or erased, what was small just now.
                    rows += self._merge(self._small_files(kind, category, bucket), kind, category, bucket, obsolete)
        progress("compacting", len(places), len(places))
        with self._mutex:
            (after,) = self._index.execute("SELECT COUNT(*) FROM files WHERE rows > 0").fetchone()
        return Compacted(before=sum(place[3] for place in places), after=after, rows=rows)

    def small_files(self) -> int:
        """Return how many files there are beyond one for each kind, category and bucket: what compaction may save."""
        with self._mutex:
            (files, places) = self._index.execute(
                "SELECT COUNT(*), COUNT(DISTINCT kind || category || bucket) FROM files WHERE rows > 0"
            ).fetchone()
        return int(files - places)

    def _small_files(self, kind: str, category: str, bucket: int) -> list[str]:
        """Return the oldest small files of a place that make one large one together; none if there is but one."""
        with self._mutex:
            paths = self._index.execute(
                "SELECT path FROM files WHERE kind = ? AND category = ? AND bucket = ? AND rows > 0 ORDER BY rowid",
                (kind, category, bucket),
            ).fetchall()
        if len(paths) < 2:
            return []
        chosen: list[str] = []
        total = 0
        for (path,) in paths:
            try:
                metadata = pq.read_metadata(self._folder / path)
            except FileNotFoundError:
                continue  # replaced a moment ago
            size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
            if size > COMPACT_BYTES // 2:
                continue
            if total + size > COMPACT_BYTES:
                break
            chosen.append(path)
            total += size
        return chosen if len(chosen) > 1 else []

    def _merge(self, paths: Sequence[str], kind: str, category: str, bucket: int, obsolete: list[Path]) -> int:
        """Write the rows of some files as one file, in the open transaction; return how many."""
        if not paths:
            return 0
        tables = [pq.ParquetFile(self._folder / path).read(use_threads=False) for path in paths]
        table = pa.concat_tables(tables).sort_by(_ORDER[kind])
        del tables
        under = f"{category}/compacted" if kind == "records" else f"{category}/embeddings"
        self._index.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in paths))
        self._write(table, kind=kind, category=category, bucket=bucket, under=under)
        obsolete += [self._folder / path for path in paths]
        return int(table.num_rows)

    # --- files that appear whole or not at all ---

    def _write(self, table: pa.Table, *, kind: str, category: str, bucket: int, under: str) -> None:
        """Write one Parquet file and name it in the open transaction, which makes it durable before it commits."""
        stem = f"{bucket:02d}-{digest(''.join(table['record_id'].to_pylist()).encode())[:16]}.parquet"
        relative = under if under.startswith("records/") else f"records/{under}"
        path = self._folder / relative / stem
        path.parent.mkdir(parents=True, exist_ok=True)
        sink = pa.BufferOutputStream()
        write_table(table, sink)
        path.write_bytes(sink.getvalue())
        self._written.append(path)
        self._index.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?)", (f"{relative}/{stem}", kind, category, bucket, table.num_rows)
        )

    @contextmanager
    def _writing(self, what: str) -> Iterator[list[Path]]:
        """Hold the writers' turn, sweep what a killed writer left, and commit everything at once or nothing.

        Yields a list for the files that the commit makes obsolete; they are removed after it.
        """
        with self._mutex:
            try:
                with turn(self._folder):
                    self._sweep()
                    self._written.clear()
                    self._index.execute("BEGIN IMMEDIATE")
                    obsolete: list[Path] = []
                    try:
                        yield obsolete
                        self._make_durable(self._written)
                        self._index.execute("COMMIT")
                    except BaseException:
                        if self._index.in_transaction:
                            self._index.execute("ROLLBACK")
                        raise  # the mark stays: the next writer sweeps
                    self._tidy(obsolete)
            except (OSError, sqlite3.Error, pa.ArrowException) as error:
                msg = (
                    f"The lake could not write {what}: {error}. Nothing of this batch is stored; free space and repeat."
                )
                raise BackendError(msg) from error

    def _make_durable(self, written: Sequence[Path]) -> None:
        """Flush files, and every folder that names them, to the disk: all together, or each would wait for its own."""
        folders = {folder for path in written for folder in path.parents if folder.is_relative_to(self._folder)}
        for path in (*written, *sorted(folders | {self._folder})):  # which makes the mark of a writer last, too
            flush(path)

    def _tidy(self, obsolete: Sequence[Path]) -> None:
        """Remove what the commit has made obsolete, and then the mark that a writer is at work."""
        try:
            for path in obsolete:
                path.unlink(missing_ok=True)
            for folder in {path.parent for path in obsolete}:
                flush(folder)
            self._dirty.unlink(missing_ok=True)
        except OSError as error:
            msg = f"The records are erased from the lake, but an old file is still there: {error}. Erase again."
            raise BackendError(msg) from error

    @property
    def _dirty(self) -> Path:
        return self._folder / "writing"

    def _sweep(self) -> None:
        """Remove the files that an interrupted writer left; mark that a writer is at work."""
        if self._dirty.exists():
            named = {path for (path,) in self._index.execute("SELECT path FROM files")}
            for path in (self._folder / "records").rglob("*.parquet*"):
                if str(path.relative_to(self._folder)) not in named:
                    path.unlink()
        self._dirty.touch()


def _is_derived(row: Row) -> bool:
    return row.payload.get("kind") in _DERIVED


class _Numbers:
    """Gives accounts, people and circles their dense numbers inside a bucket, in the open transaction."""

    def __init__(self, index: sqlite3.Connection) -> None:
        self._index = index
        self._accounts: dict[str, int] = {}
        self._people: dict[tuple[int, str], int] = {}
        self._circles: dict[tuple[int, int, tuple[str, ...]], int] = {}

    def account(self, bucket: int, account: str) -> int:
        if account not in self._accounts:
            self._accounts[account] = self._number("accounts", bucket, {"account": account})
        return self._accounts[account]

    def circle(self, bucket: int, account: int, people: tuple[str, ...]) -> int:
        key = (bucket, account, people)
        if key not in self._circles:
            members = json.dumps([self._person(bucket, pseudonym) for pseudonym in people])
            self._circles[key] = self._number("circles", bucket, {"account": account, "people": members})
        return self._circles[key]

    def _person(self, bucket: int, pseudonym: str) -> int:
        key = (bucket, pseudonym)
        if key not in self._people:
            self._people[key] = self._number("people", bucket, {"pseudonym": pseudonym})
        return self._people[key]

    def _number(self, table: str, bucket: int, values: dict[str, Any]) -> int:
        where = " AND ".join(f"{column} = ?" for column in values)
        found = self._index.execute(
            f"SELECT number FROM {table} WHERE bucket = ? AND {where}",  # noqa: S608 - our own names
            (bucket, *values.values()),
        ).fetchone()
        if found:
            return int(found[0])
        (number,) = self._index.execute(
            f"SELECT COALESCE(MAX(number) + 1, 0) FROM {table} WHERE bucket = ?",  # noqa: S608 - our own names
            (bucket,),
        ).fetchone()
        columns = ", ".join(values)
        self._index.execute(
            f"INSERT INTO {table} (bucket, number, {columns}) VALUES (?, ?{', ?' * len(values)})",  # noqa: S608
            (bucket, number, *values.values()),
        )
        return int(number)
