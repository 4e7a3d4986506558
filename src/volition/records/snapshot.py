"""Snapshots: gated training sets, frozen, with their manifest (dataset versioning). Training accepts nothing else.

A snapshot is a folder of five files, named by the digest of its manifest:

    manifest.json       what it is: purpose, instant, ledger checkpoint, rows kept and dropped by reason, digests
    keys.parquet        every row without its content: record id, account, people, category, instant of collection
    rows.parquet        the content, scrubbed; encrypted under the accounts' keys, so that destroying a key erases it
                        here (crypto-shredding)
    people.json         the people in it as leaves of a sorted Merkle tree
    collected.parquet   what shows that every row is as it was collected (`commitment`); snapshots of earlier versions
                        have none

A snapshot of a table that others keep lists rows and copies none (`listed`). In the place of `rows.parquet` it has

    places.parquet      where each row is in its file, in the order of the keys
    sources.json        the table's data files in order: name, digests, and how many rows of each are listed

and its manifest says which table, at which version. Rows are read from there, each file compared with its digest first.

The tree's leaves are sorted by tag, so presence is shown by one leaf and absence by two neighbours (a non-inclusion
proof), without revealing anyone else: a tag is a digest that only somebody who knows the pseudonym can compute, and a
leaf commits to the number of rows without revealing it.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volition.canonical import canonical_json, digest
from volition.consent.gate import Gate, Record, Verdict, effective_permit_of
from volition.consent.parties import Parties
from volition.consent.permits import Permits
from volition.consent.references import ConversationRef, Pseudonym, person_ref
from volition.errors import DamagedError, InvalidInputError, ProofError
from volition.records.commitment import in_hand
from volition.records.lake import Row, is_sealed
from volition.records.numbered import number_keys, places, values_of
from volition.records.spilled import in_blocks

if TYPE_CHECKING:
    from volition.records.foreign.places import Source

FORMAT: Final = "volition/snapshot/1"
COLLECTED: Final = "collected.parquet"
LISTED_FORMAT: Final = "volition/table-snapshot/1"
"""Of a snapshot of a table that others keep."""

PLACES: Final = "places.parquet"
SOURCES: Final = "sources.json"
FILES: Final = ("keys.parquet", "people.json", "rows.parquet", COLLECTED)
_ORDER: Final = ("account", "collected_us", "record_id")  # of a snapshot's rows
_AT_A_TIME: Final = 16_384  # rows of a snapshot in memory at a time
_BUFFER_BYTES: Final = 1 << 20
_KEYS_AT_A_TIME: Final = 4096  # few, so that a command that only asks what is owed stays small

KEYS_SCHEMA: Final = pa.schema(
    [
        ("record_id", pa.string()),
        ("account", pa.string()),
        ("people", pa.list_(pa.string())),
        ("category", pa.string()),
        ("collected_us", pa.int64()),
        ("conversation", pa.string()),  # not there in snapshots of earlier versions
    ]
)
PLACES_SCHEMA: Final = pa.schema([("position", pa.int64())])
ROWS_SCHEMA: Final = pa.schema([("record_id", pa.string()), ("payload", pa.binary()), ("embedding", pa.binary())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One row of a snapshot without its content.

    Attributes:
        record_id: Identity of the record.
        account: Id of its account.
        people: Pseudonyms of its people, the first one first.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection.
        conversation: The meeting, channel or file, as entries of the ledger name it; empty if none, None where that is
            not known: in a snapshot of an earlier version.
    """

    record_id: str
    account: str
    people: tuple[str, ...]
    category: str
    collected_us: int
    conversation: ConversationRef | None = None

    def question(self) -> Record:
        """Return what the gate must know of this row."""
        people = tuple(person_ref(Pseudonym(one)) for one in self.people)
        return Record(
            account=self.account,
            people=people,
            category=self.category,
            collected_us=self.collected_us,
            conversation=self.conversation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleRow:
    """A row that was permitted when its snapshot was frozen and no longer is."""

    key: Key
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A frozen training set in a folder.

    Attributes:
        folder: Where its files lie.
        manifest: The manifest as a JSON object.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Snapshot":
        """Open a snapshot and check its manifest against the digest in its name.

        Raises:
            InvalidInputError: There is no snapshot in the folder.
            ProofError: The manifest was changed.
            DamagedError: The disk cannot read it.
        """
        try:
            data = (folder / "manifest.json").read_bytes()
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                msg = f"The manifest of snapshot {folder.name} cannot be read: {error.strerror}. Restore it."
                raise DamagedError(msg) from error
            msg = f"There is no snapshot {folder.name!r}. `volition status` lists those there are."
            raise InvalidInputError(msg) from error
        if not folder.name.endswith(f"-{digest(data)[:12]}"):
            msg = f"The manifest of snapshot {folder.name} was changed after it was frozen. Do not train from it."
            raise ProofError(msg)
        return cls(folder=folder, manifest=json.loads(data))

    @property
    def id(self) -> str:
        """The snapshot's name: its purpose and the beginning of its manifest's digest."""
        return self.folder.name

    @property
    def purpose(self) -> str:
        """The purpose that its rows were permitted for."""
        return str(self.manifest["purpose"])

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, hexadecimal."""
        return digest((self.folder / "manifest.json").read_bytes())

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories of its rows."""
        return tuple(category for category, told in self.manifest["rows"].items() if told["kept"])

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """Every row without its content, in the snapshot's order.

        Raises:
            ProofError: The file is not the one that was frozen.
        """
        return _all_keys(self.key_batches())

    def key_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield every row without its content, in columns of `KEYS_SCHEMA`, in the snapshot's order.

        Raises:
            ProofError: The file is not the one that was frozen.
        """
        with self._checked("keys.parquet") as file:
            yield from _key_batches(file)

    @staticmethod
    def read_keys(data: bytes) -> "tuple[Key, ...]":
        """Read the bytes of a `keys.parquet`."""
        return _all_keys(_key_batches(pa.BufferReader(data)))

    def rows(
        self,
        parties: Parties,
        *,
        without: Collection[str] = (),
        of: Collection[tuple[str, tuple[str, ...]]] | None = None,
        merged: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """Return every row, decrypted; see `stream`, which does not hold all of them in memory."""
        return list(self.stream(parties, without=without, of=of, merged=merged))

    def stream(
        self,
        parties: Parties,
        *,
        without: Collection[str] = (),
        of: Collection[tuple[str, tuple[str, ...]]] | None = None,
        merged: Mapping[str, str] | None = None,
    ) -> Iterator[Row]:
        """Yield every row, decrypted, in the snapshot's order: account, instant of collection, record id.

        Of a table that others keep, the rows that are listed, in the order of its files.

        Args:
            parties: Decrypts the content.
            without: Accounts whose content is left encrypted (their payload is empty), since their key is destroyed.
            of: Only the rows of these: an account, and the first of the row's people. None for every row.
            merged: Pseudonym -> that of the person into whom they were merged; none for what the directory says now.

        Raises:
            InvalidInputError: The content was erased when its model was retired.
            RefusedError: An account in it was erased.
            DamagedError: The table whose rows it lists is not kept at that version, or cannot be read.
            ProofError: A file is not the one that was frozen, or listed.
        """
        if self.is_listed:
            yield from self._listed(parties, without=without, of=of, merged=merged)
            return
        if not self.has_content:
            msg = f"The content of snapshot {self.id} was erased when its model was forgotten. Take a new snapshot."
            raise InvalidInputError(msg)
        merged = parties.changes.merged_pseudonyms() if merged is None else merged
        for batch, stored in self._blocks():
            keys = _keys_of(batch, {})
            chosen = [place for place, key in enumerate(keys) if of is None or (key.account, key.people[:1]) in of]
            keys = [keys[place] for place in chosen]
            columns = stored.take(pa.array(chosen, pa.int64())).to_pydict()
            payloads = _decrypted(parties, keys, columns["payload"], b"/snapshot", without)
            embeddings = _decrypted(parties, keys, columns["embedding"], b"/snapshot-embedding", without)
            for key, payload, vector in zip(keys, payloads, embeddings, strict=True):
                yield Row(
                    record_id=key.record_id,
                    account=key.account,
                    people=key.people,
                    category=key.category,
                    collected_us=key.collected_us,
                    payload=json.loads(payload or b"{}"),
                    embedding=None if vector is None else np.frombuffer(vector, np.float16).astype(np.float32),
                    conversation=key.conversation,
                    merged={one: merged[one] for one in key.people if one in merged} or None,
                )

    @property
    def is_listed(self) -> bool:
        """Whether it lists rows of a table that others keep."""
        return "table" in self.manifest

    def _listed(
        self,
        parties: Parties,
        *,
        without: Collection[str],
        of: Collection[tuple[str, tuple[str, ...]]] | None,
        merged: Mapping[str, str] | None,
    ) -> Iterator[Row]:
        """Yield the rows of a table that are listed, read from there, in the order of its files; as `stream` does.

        A row's payload is the table's row, identifiers of people replaced (`table_rows`). That of an account that was
        erased is empty.
        """
        from volition.records.table_rows import TableRows  # noqa: PLC0415 - what reads tables is seldom needed

        withheld = {*without, *parties.erased_accounts()}
        merged = parties.changes.merged_pseudonyms() if merged is None else merged
        keys, table = self.iter_keys(), TableRows(parties, self.manifest["table"]["mapping"])
        for batch in self._listed_batches():
            some = [*islice(keys, batch.num_rows)]
            for key, payload in zip(some, table.payloads(batch, (key.people for key in some)), strict=True):
                if of is None or (key.account, key.people[:1]) in of:
                    yield Row(
                        record_id=key.record_id,
                        account=key.account,
                        people=key.people,
                        category=key.category,
                        collected_us=key.collected_us,
                        payload={} if key.account in withheld else payload,
                        embedding=None,
                        conversation=key.conversation,
                        merged={one: merged[one] for one in key.people if one in merged} or None,
                    )

    def _listed_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the table that are listed, with the table's columns, in order. Raises as `stream`."""
        from volition.records.foreign.places import rows_at  # noqa: PLC0415 - as above
        from volition.records.foreign.version import reopen_version  # noqa: PLC0415

        if not self.has_content:
            msg = f"Where the rows of snapshot {self.id} lie was erased when its model was forgotten. Take a new one."
            raise InvalidInputError(msg)
        table = self.manifest["table"]
        try:
            version = reopen_version(table["form"], table["uri"], table["version"])
        except InvalidInputError as error:
            msg = f"The rows of snapshot {self.id} lie in a table that is not as it was: {error} Restore it."
            raise DamagedError(msg) from error
        yield from rows_at(version, self.sources(), self.iter_places())

    def sources(self) -> "list[Source]":
        """Return the files of the table whose rows are listed, in order. Raises ProofError as `keys`."""
        from volition.records.foreign.places import Source  # noqa: PLC0415 - as above

        with self._checked(SOURCES) as file:
            return [Source.of(**one) for one in json.load(file)]

    def iter_places(self) -> Iterator[NDArray[np.int64]]:
        """Yield where the rows are in their files, in the order of the keys. Raises ProofError as `keys`."""
        with self._checked(PLACES) as file:
            for batch in _read_in_batches(file, _AT_A_TIME):
                yield values_of(batch.column(0), np.int64)

    def iter_keys(self) -> Iterator[Key]:
        """Yield every row without its content, a batch at a time. Raises ProofError as `keys`."""
        for batch in self.key_batches():
            yield from _keys_of(batch, {})

    def count_people(self, merged: Mapping[str, str]) -> int:
        """Return how many people its rows concern; whoever has several identities (`merged`, as in `rows`) is one."""
        people: set[str] = set()
        for batch in self.key_batches():
            people.update(batch.column("people").flatten().unique().to_pylist())
        return len({merged.get(one, one) for one in people})

    def rewritten_in(self, later: "Snapshot") -> set[tuple[str, tuple[str, ...]]]:
        """Return whose rows a later snapshot within this one holds with other content, such as another name scrubbed.

        Nothing is decrypted: the same content is encrypted to the same bytes.

        Returns:
            An account and the first of a row's people, for each such row.
        """
        if self.is_listed:  # what files say does not change, or they are not read
            return set()
        found: set[tuple[str, tuple[str, ...]]] = set()
        others = later.stored()
        other = next(others, None)
        for place, people, content in self.stored():
            while other is not None and other[0] < place:
                other = next(others, None)
            if other is not None and other[0] == place and other[2] != content:
                found.add((place[0], people))
        return found

    def stored(self) -> Iterator[tuple[tuple[str, int, str], tuple[str, ...], tuple[bytes | None, bytes | None]]]:
        """Yield each row as it is stored: its place in the order, the first of its people, and its content."""
        for batch, content in self._blocks():
            columns = batch.select(["account", "collected_us", "record_id", "people"]).to_pydict()
            places = zip(columns["account"], columns["collected_us"], columns["record_id"], strict=True)
            stored = zip(content.column("payload").to_pylist(), content.column("embedding").to_pylist(), strict=True)
            for place, people, one in zip(places, columns["people"], stored, strict=True):
                yield place, tuple(people[:1]), one

    def _blocks(self) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """Yield the rows in blocks: without their content, and their content as it is stored."""
        with self._checked("rows.parquet") as file:
            content = _read_in_batches(file, _AT_A_TIME)
            yield from zip(
                in_blocks(self.key_batches(), KEYS_SCHEMA, _AT_A_TIME),
                in_blocks(content, ROWS_SCHEMA, _AT_A_TIME),
                strict=True,
            )

    def gone_in(self, later: "Snapshot") -> Iterator[Key]:
        """Yield the rows that a later snapshot within this one does not hold."""
        if self.is_listed:  # both are in the order of the table's files
            left = later.iter_keys()
            other = next(left, None)
            for key in self.iter_keys():
                if other is not None and other.record_id == key.record_id:
                    other = next(left, None)
                else:
                    yield key
            return
        beside = RowsBeside(later.key_batches())
        for batch in self.key_batches():
            there = beside.holds(batch.column("record_id"), place_in_order(batch, 0), place_in_order(batch, -1))
            yield from _keys_of(batch.filter(pc.invert(there)), {})

    def examples(self) -> Iterator[Key]:
        """Yield a row of each account, people, category and conversation that there is; of some, several."""
        for batch in self.key_batches():
            _, firsts = number_keys(batch)
            yield from _keys_of(batch.take(places(firsts)), {})

    def collected_between(self) -> tuple[int, int] | None:
        """Return when the oldest and the newest row was collected; none where there is none."""
        instants = [values_of(batch.column("collected_us"), np.int64) for batch in self.key_batches()]
        ends = [int(end) for some in instants if len(some) for end in (some.min(), some.max())]
        return (min(ends), max(ends)) if ends else None

    def stale(self, permits: Permits) -> list[StaleRow]:
        """Return every row that the gate would no longer let through, with its verdict, in the snapshot's order.

        Args:
            permits: The permits of the snapshot's purpose, now.
        """
        gate = Gate(permits)
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        limits_us: dict[tuple[str, tuple[str, ...], str, ConversationRef | None], int] = {}
        found = []
        for batch in self.key_batches():
            numbers, firsts = number_keys(batch)
            needed_us = []
            for key in _keys_of(batch.take(places(firsts)), shared):
                alike = (key.account, key.people, key.category, key.conversation)
                if alike not in limits_us:
                    question = key.question()
                    effective_permit = effective_permit_of(
                        permits, question.account, question.people, question.category, question.conversation
                    )
                    limits_us[alike] = max(effective_permit.since_us, effective_permit.oldest_us)
                needed_us.append(limits_us[alike])
            refused = values_of(batch.column("collected_us"), np.int64) < np.array(needed_us, np.int64)[numbers]
            if refused.any():
                keys = _keys_of(batch.take(places(np.flatnonzero(refused))), shared)
                found += [StaleRow(key=key, verdict=gate.decide(key.question())) for key in keys]
        return found

    def check(self) -> None:
        """Compare every file with the manifest's digest; the content may have been erased.

        Raises:
            ProofError: A file was changed, or is missing.
        """
        for name in self.manifest["files"]:
            if name != self._content or self.has_content:
                with self._checked(name):
                    pass

    @contextmanager
    def _checked(self, name: str) -> Iterator[BinaryIO]:
        """Open a file once its digest was seen to be the manifest's; it is not read into memory.

        Raises:
            ProofError: It is not the one that was frozen, or was written to before the end of the context.
        """
        try:
            with (self.folder / name).open("rb") as file:
                before = os.fstat(file.fileno())
                is_as_frozen = file_digest(file, "sha256").hexdigest() == self.manifest["files"][name]
                file.seek(0)
                if is_as_frozen:
                    yield file
                now = os.fstat(file.fileno())
                if not is_as_frozen or (now.st_mtime_ns, now.st_size) != (before.st_mtime_ns, before.st_size):
                    msg = f"{name} of snapshot {self.id} was changed after it was frozen. Do not train from it."
                    raise ProofError(msg)
        except OSError as error:
            msg = f"{name} of snapshot {self.id} cannot be read: {error}. Restore it from a backup, or take a new one."
            raise ProofError(msg) from error

    def people_leaves(self) -> list[bytes]:
        """Return the leaves of the sorted tree of people, in order."""
        with self._checked("people.json") as file:
            leaves = json.load(file)
        return [person_leaf(tag, commitment) for tag, commitment in leaves]

    @property
    def has_content(self) -> bool:
        """Whether the rows' content is there, or where it lies: nobody has erased it."""
        return (self.folder / self._content).exists()

    @property
    def _content(self) -> str:
        return PLACES if self.is_listed else "rows.parquet"

    def erase_content(self) -> None:
        """Erase the rows' content. The manifest, keys and tree stay: they prove what the retired model learned from."""
        (self.folder / self._content).unlink(missing_ok=True)


def _key_batches(source: Any) -> Iterator[pa.RecordBatch]:  # noqa: ANN401 - what Arrow reads from
    """Yield the rows of a `keys.parquet` with all columns, also where it is of a version that named no conversation."""
    for batch in _read_in_batches(source, _KEYS_AT_A_TIME):
        columns = [
            batch.column(field.name) if field.name in batch.schema.names else pa.nulls(len(batch), field.type)
            for field in KEYS_SCHEMA
        ]
        yield pa.record_batch(columns, schema=KEYS_SCHEMA)


def _read_in_batches(source: Any, rows: int) -> Iterator[pa.RecordBatch]:  # noqa: ANN401 - what Arrow reads from
    """Yield the rows of a Parquet file, without a whole row group in memory."""
    # Not `read_table`, which loads pandas where it is installed; and one thread, whose memory is given back.
    file = pq.ParquetFile(in_hand(source), buffer_size=_BUFFER_BYTES, pre_buffer=False)
    yield from file.iter_batches(batch_size=rows, use_threads=False)


def _all_keys(batches: Iterable[pa.RecordBatch]) -> tuple[Key, ...]:
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}  # people, of whom the same are in many rows
    return tuple(key for batch in batches for key in _keys_of(batch, shared))


def _keys_of(batch: pa.RecordBatch, shared: dict[tuple[str, ...], tuple[str, ...]]) -> list[Key]:
    """Return rows, which are in columns of `KEYS_SCHEMA`, as objects; those of the same people share them."""
    columns = batch.to_pydict()
    return [
        Key(
            record_id=identity,
            account=sys.intern(account),
            people=shared.setdefault(tuple(people), tuple(people)),
            category=sys.intern(category),
            collected_us=at_us,
            conversation=None if conversation is None else ConversationRef(sys.intern(conversation)),
        )
        for identity, account, people, category, at_us, conversation in zip(
            *(columns[name] for name in KEYS_SCHEMA.names), strict=True
        )
    ]


class RowsBeside:
    """The rows of a snapshot beside others in the same order: which of those it holds."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Take the snapshot's rows, in columns of `KEYS_SCHEMA`."""
        self._batches = batches
        self._near: list[pa.RecordBatch] = []  # those that may hold rows from here on
        self._last = ("", -1, "")

    def holds(self, identities: pa.Array, first: tuple[str, int, str], last: tuple[str, int, str]) -> pa.Array:
        """Say of the next of the other rows which are there, too.

        Args:
            identities: Their records.
            first: The place of the first of them in the order: account, instant, record id.
            last: The place of the last one.
        """
        self._near = [batch for batch in self._near if place_in_order(batch, -1) >= first]
        while self._last < last and (batch := next(self._batches, None)) is not None:
            self._last = place_in_order(batch, -1)
            if self._last >= first:
                self._near.append(batch)
        known = pa.chunked_array([batch.column("record_id") for batch in self._near], pa.string())
        return pc.is_in(identities, value_set=known.combine_chunks())


def place_in_order(batch: pa.RecordBatch, row: int) -> tuple[str, int, str]:
    """Return where a row, in columns of `KEYS_SCHEMA`, stands in the order; -1 is the last one."""
    account, collected_us, identity = (batch.column(name)[row].as_py() for name in _ORDER)
    return account, collected_us, identity


class LazyRows(Sequence[Row]):
    """Rows that are decrypted when first used (lazy loading): a family that retrains never uses the old ones."""

    def __init__(self, read: Callable[[], list[Row]]) -> None:
        """Read nothing yet."""
        self._read = read

    @cached_property
    def _rows(self) -> list[Row]:
        return self._read()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...

    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        """Return one row, or several."""
        return self._rows[place]

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows."""
        return iter(self._rows)


def person_tag(purpose: str, at: str, pseudonym: str) -> str:
    """Return the tag of a person in a snapshot's tree: a digest, 64 hexadecimal characters."""
    return digest(canonical_json(["volition/person", purpose, at, pseudonym]))


def rows_commitment(tag: str, pseudonym: str, rows: int) -> str:
    """Return the commitment to a person's number of rows, 64 hexadecimal characters."""
    return digest(canonical_json(["volition/rows", tag, pseudonym, rows]))


def person_leaf(tag: str, commitment: str) -> bytes:
    """Return the leaf of a person in a snapshot's tree."""
    return canonical_json([tag, commitment])


def positions_by_account(rows: Sequence[Row | Key]) -> Iterator[tuple[str, list[int]]]:
    """Yield each account with the positions of its rows: content is encrypted under one key for each account."""
    positions: dict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        positions[row.account].append(position)
    yield from positions.items()


def _decrypted(
    parties: Parties, keys: Sequence[Key], encrypted: Sequence[bytes | None], suffix: bytes, without: Collection[str]
) -> list[bytes | None]:
    """Decrypt the content of some rows, except that of accounts whose key is destroyed."""
    plain = list(encrypted)
    for account, positions in positions_by_account(keys):
        closed = [
            position for position in positions if encrypted[position] is not None and is_sealed(keys[position].category)
        ]
        if account in without:
            for position in closed:
                plain[position] = None
            continue
        pairs = [(keys[position].record_id.encode() + suffix, encrypted[position] or b"") for position in closed]
        for position, data in zip(closed, parties.open_many(account, pairs), strict=True):
            plain[position] = data
    return plain
