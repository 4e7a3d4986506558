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
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest, sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volition.canonical import canonical_json, digest
from volition.consent.gate import EffectivePermit, Record, Verdict, decide, effective_permit_of
from volition.consent.parties import Parties
from volition.consent.permits import Permits
from volition.consent.references import ConversationRef, Pseudonym, person_ref
from volition.errors import DamagedError, InvalidInputError, ProofError
from volition.records.commitment import in_hand
from volition.records.lake import Row, is_sealed

if TYPE_CHECKING:
    from volition.records.foreign.places import Source

FORMAT: Final = "volition/snapshot/1"
COLLECTED: Final = "collected.parquet"
LISTED_FORMAT: Final = "volition/table-snapshot/1"
"""Of a snapshot of a table that others keep."""

PLACES: Final = "places.parquet"
SOURCES: Final = "sources.json"
FILES: Final = ("keys.parquet", "people.json", "rows.parquet", COLLECTED)
_AT_A_TIME: Final = 16_384  # rows of a snapshot in memory at a time when only some are asked for
_KEYS_AT_A_TIME: Final = 1024  # few, so that a command that only asks what is owed stays small

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

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """Every row without its content, in the snapshot's order.

        Raises:
            ProofError: The file is not the one that was frozen.
        """
        return self.read_keys(self._read("keys.parquet"))

    @staticmethod
    def read_keys(data: bytes) -> "tuple[Key, ...]":
        """Read the bytes of a `keys.parquet`."""
        return tuple(_keys_in(data))

    def rows(
        self,
        parties: Parties,
        *,
        without: Collection[str] = (),
        of: Collection[tuple[str, tuple[str, ...]]] | None = None,
        merged: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """Return every row, decrypted, in the snapshot's order: account, instant of collection, record id.

        Args:
            parties: Decrypts the content.
            without: Accounts whose content is left encrypted (their payload is empty), since their key is destroyed.
            of: Only the rows of these: an account, and the first of the row's people. None for every row.
            merged: Pseudonym -> that of the person into whom they were merged; none for what the directory says now.

        Raises:
            InvalidInputError: The content was erased when its model was retired.
            RefusedError: An account in it was erased.
            ProofError: A file is not the one that was frozen.
        """
        if self.is_listed:
            return [*self.iter_listed(parties, without=without, of=of, merged=merged)]
        if not self.has_content:
            msg = f"The content of snapshot {self.id} was erased when its model was forgotten. Take a new snapshot."
            raise InvalidInputError(msg)
        chosen = [place for place, key in enumerate(self.keys) if of is None or (key.account, key.people[:1]) in of]
        keys = [self.keys[place] for place in chosen]
        payloads, embeddings = self._encrypted(chosen)
        payloads = _decrypted(parties, keys, payloads, b"/snapshot", without)
        embeddings = _decrypted(parties, keys, embeddings, b"/snapshot-embedding", without)
        merged = parties.changes.merged_pseudonyms() if merged is None else merged
        return [
            Row(
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
            for key, payload, vector in zip(keys, payloads, embeddings, strict=True)
        ]

    @property
    def is_listed(self) -> bool:
        """Whether it lists rows of a table that others keep."""
        return "table" in self.manifest

    def iter_listed(
        self,
        parties: Parties,
        *,
        without: Collection[str] = (),
        of: Collection[tuple[str, tuple[str, ...]]] | None = None,
        merged: Mapping[str, str] | None = None,
    ) -> Iterator[Row]:
        """Yield the rows of a table that are listed, read from there, a batch at a time; as `rows` does.

        A row's payload is the table's row, identifiers of people replaced (`table_rows`). That of an account that was
        erased is empty.

        Raises:
            InvalidInputError: The places were erased when its model was retired.
            DamagedError: The version, or a file of the table, is not kept any more, or cannot be read.
            ProofError: A file of the table, or of the snapshot, is not the one that it was.
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
        """Yield the rows of the table that are listed, with the table's columns, in order. Raises as `iter_listed`."""
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

        return [Source.of(**one) for one in json.loads(self._read(SOURCES))]

    def iter_places(self) -> Iterator[NDArray[np.int64]]:
        """Yield where the rows are in their files, in the order of the keys. Raises ProofError as `keys`."""
        self._check(PLACES)
        with (self.folder / PLACES).open("rb") as file:
            for batch in pq.ParquetFile(in_hand(file)).iter_batches(batch_size=_AT_A_TIME, use_threads=False):
                yield batch.column(0).to_numpy()

    def iter_keys(self) -> Iterator[Key]:
        """Yield every row without its content, a batch at a time. Raises ProofError as `keys`."""
        self._check("keys.parquet")
        with (self.folder / "keys.parquet").open("rb") as file:
            yield from _keys_in(file)

    def count_people(self, merged: Mapping[str, str]) -> int:
        """Return how many people its rows concern; whoever has several identities (`merged`, as in `rows`) is one."""
        return len({merged.get(one, one) for key in self.keys for one in key.people})

    def _encrypted(self, chosen: Sequence[int]) -> tuple[list[bytes | None], list[bytes | None]]:
        """Return the payloads and embeddings of the rows at some places, in order; no others are kept in memory."""
        payloads: list[bytes | None] = []
        embeddings: list[bytes | None] = []
        first = 0
        for batch in pq.ParquetFile(pa.BufferReader(self._read("rows.parquet"))).iter_batches(batch_size=_AT_A_TIME):
            own = chosen[bisect_left(chosen, first) : bisect_left(chosen, first + len(batch))]
            columns = batch.take(pa.array([place - first for place in own], pa.int64())).to_pydict()
            payloads += columns["payload"]
            embeddings += columns["embedding"]
            first += len(batch)
        return payloads, embeddings

    def rewritten_in(self, later: "Snapshot") -> set[tuple[str, tuple[str, ...]]]:
        """Return whose rows a later snapshot within this one holds with other content, such as another name scrubbed.

        Nothing is decrypted: the same content is encrypted to the same bytes.

        Returns:
            An account and the first of a row's people, for each such row.
        """
        if self.is_listed:  # what files say does not change, or they are not read
            return set()
        before, after = self.content_digests(), later.content_digests()
        return {
            (key.account, key.people[:1])
            for key in self.keys
            if after.get(key.record_id, before[key.record_id]) != before[key.record_id]
        }

    def content_digests(self) -> dict[str, bytes]:
        """Return a digest of each row's content as it is stored, by record; nothing is decrypted."""
        found: dict[str, bytes] = {}
        for batch in pq.ParquetFile(pa.BufferReader(self._read("rows.parquet"))).iter_batches(batch_size=_AT_A_TIME):
            for record, *content in zip(*batch.to_pydict().values(), strict=True):
                found[record] = sha256(b"\0".join(part or b"" for part in content)).digest()
        return found

    def stale(self, permits: Permits) -> list[StaleRow]:
        """Return every row that the gate would no longer let through, with its verdict, in the snapshot's order.

        Args:
            permits: The permits of the snapshot's purpose, now.
        """
        effective_permits: dict[tuple[str, tuple[str, ...], str, ConversationRef | None], EffectivePermit] = {}
        found = []
        for key in self.keys:
            party_set = (key.account, key.people, key.category, key.conversation)
            if party_set not in effective_permits:
                question = key.question()
                effective_permits[party_set] = effective_permit_of(
                    permits, question.account, question.people, question.category, question.conversation
                )
            effective_permit = effective_permits[party_set]
            if key.collected_us < max(effective_permit.since_us, effective_permit.oldest_us):
                found.append(StaleRow(key=key, verdict=decide(permits, key.question())))
        return found

    def check(self) -> None:
        """Compare every file with the manifest's digest; the content may have been erased.

        Raises:
            ProofError: A file was changed, or is missing.
        """
        for name in self.manifest["files"]:
            if name != self._content or self.has_content:
                self._check(name)

    def _check(self, name: str) -> None:
        """Compare a file with the manifest's digest, piece by piece. Raises ProofError."""
        try:
            with (self.folder / name).open("rb") as file:
                found = file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ProofError(self._unreadable(name, error)) from error
        if found != self.manifest["files"][name]:
            raise ProofError(self._changed(name))

    def _unreadable(self, name: str, error: OSError) -> str:
        return f"{name} of snapshot {self.id} cannot be read: {error}. Restore it from a backup, or take a new one."

    def _changed(self, name: str) -> str:
        return f"{name} of snapshot {self.id} was changed after it was frozen. Do not train from it."

    def _read(self, name: str) -> bytes:
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise ProofError(self._unreadable(name, error)) from error
        if digest(data) != self.manifest["files"][name]:
            raise ProofError(self._changed(name))
        return data

    def people_leaves(self) -> list[bytes]:
        """Return the leaves of the sorted tree of people, in order."""
        leaves = json.loads(self._read("people.json"))
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


def _keys_in(source: bytes | BinaryIO) -> Iterator[Key]:
    """Read a `keys.parquet`, a few rows at a time."""
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}  # people, of whom the same are in many rows
    # Not `read_table`, which loads pandas where it is installed; and one thread, whose memory is given back.
    for batch in pq.ParquetFile(in_hand(source)).iter_batches(batch_size=_KEYS_AT_A_TIME, use_threads=False):
        columns = batch.to_pydict()
        columns.setdefault("conversation", [None] * len(batch))
        for identity, account, people, category, at_us, conversation in zip(
            *(columns[name] for name in KEYS_SCHEMA.names), strict=True
        ):
            yield Key(
                record_id=identity,
                account=sys.intern(account),
                people=shared.setdefault(tuple(people), tuple(people)),
                category=sys.intern(category),
                collected_us=at_us,
                conversation=None if conversation is None else ConversationRef(sys.intern(conversation)),
            )


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
