"""What the ledger commits to of each batch that is collected: a Merkle root over the facts that decide about a record.

Between collection and a snapshot nobody can change when a record was collected, whom it concerns, what it is or where
it belongs, without its leaf not being the one that an entry of the kind `collect` committed to.

- A leaf is canonical JSON: salt, record id, account, people, category, instant of collection, conversation. The leaves
  of a batch are sorted by record id, one for each record; the tree is that of RFC 9162.
- A batch has a random key. The salt of a record follows from the key and its id, so no leaf can be guessed, and no salt
  need be kept.
- A leaf names people by aliases, which differ from batch to batch. Somebody who is shown a leaf sees which alias is
  theirs, by a token, and learns the pseudonym of nobody else.
- Nothing here reads or writes: the lake keeps the keys and the hashes, a snapshot gets those that its rows need.

    >>> fact = Fact("0" * 32, "acme", ("unknown",), "service/usage", 1, "")
    >>> body, hashes = commit_batch([fact], bytes(32))
    >>> body["records"], len(hashes)
    (1, 32)
"""

import hmac
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volition.canonical import canonical_json, digest
from volition.errors import ProofError
from volition.ledger import merkle

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16

COLLECTED_SCHEMA: Final = pa.schema(
    [
        ("entry", pa.int64()),
        ("people_key", pa.binary()),
        ("rows", pa.list_(pa.int32())),
        ("indexes", pa.list_(pa.int32())),
        ("salts", pa.binary()),
        ("leaves", pa.binary()),
    ]
)
"""The columns of a snapshot's `collected.parquet`, which has one row for each batch that the snapshot has rows of."""

_GROUP_BYTES: Final = 32 << 20
_READ_BYTES: Final = 1 << 20
_BATCHES_AT_A_TIME: Final = 64  # a batch may have 20,000 leaves


class Recorded(Protocol):
    """A record as a leaf commits to it: a row of the lake, or of a snapshot's keys, is one."""

    @property
    def record_id(self) -> str:
        """Identity of the record."""

    @property
    def account(self) -> str:
        """Id of its account."""

    @property
    def people(self) -> tuple[str, ...]:
        """Pseudonyms of its people, the first one first."""

    @property
    def category(self) -> str:
        """A leaf of `terms.CATEGORIES`."""

    @property
    def collected_us(self) -> int:
        """Instant of collection, microseconds since the Unix epoch, UTC."""

    @property
    def conversation(self) -> str | None:
        """The meeting, channel or file, as entries of the ledger name it; empty if none, None where not known."""


class Fact(NamedTuple):
    """A record without anything but what a leaf commits to."""

    record_id: str
    account: str
    people: tuple[str, ...]
    category: str
    collected_us: int
    conversation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What leaves commit to of many records, each list as long as they are.

    Attributes:
        identities: The records.
        shared: The account, people and category of each.
        collected_us: When each was collected.
        conversations: The conversation of each.
    """

    identities: Sequence[str]
    shared: Sequence[tuple[str, tuple[str, ...], str]]
    collected_us: Sequence[int]
    conversations: Sequence[str | None]

    @classmethod
    def of(cls, records: Sequence[Recorded]) -> Self:
        """Return what leaves commit to of some records."""
        return cls(
            identities=[one.record_id for one in records],
            shared=[(one.account, one.people, one.category) for one in records],
            collected_us=[one.collected_us for one in records],
            conversations=[one.conversation for one in records],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedBatch:
    """What shows of some rows of a snapshot that they are as they were collected.

    Attributes:
        entry: The number of the ledger's entry; none for rows from before there were such entries.
        people_key: Gives the people's aliases in this batch, 32 bytes; empty where `entry` is none, as all below.
        rows: Positions of the rows in the snapshot, ascending.
        indexes: Where the leaf of each stands among the batch's.
        salts: The salt of each, 16 bytes, one after the other.
        leaves: The hash of every leaf of the batch, 32 bytes, one after the other.
    """

    entry: int | None
    people_key: bytes
    rows: Sequence[int]
    indexes: Sequence[int]
    salts: bytes
    leaves: bytes

    def salt(self, place: int) -> bytes:
        """Return the salt of one of the rows, by its place among `rows`."""
        return self.salts[place * SALT_BYTES : (place + 1) * SALT_BYTES]


def new_batch_key() -> bytes:
    """Return a random key for a batch."""
    return os.urandom(KEY_BYTES)


def people_key(batch_key: bytes) -> bytes:
    """Return the key of a batch's aliases, 32 bytes."""
    return hmac.digest(batch_key, b"people", "sha256")


def salt_of(batch_key: bytes, record_id: str) -> bytes:
    """Return the salt of a record's leaf, 16 bytes."""
    return hmac.digest(batch_key, record_id.encode(), "sha256")[:SALT_BYTES]


class Salts:
    """The salts of many records of a batch: as `salt_of`, with the states of HMAC (RFC 2104) that all share kept."""

    def __init__(self, batch_key: bytes) -> None:
        """Take the batch's key, 32 bytes."""
        block = batch_key.ljust(sha256().block_size, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def of(self, record_id: str) -> bytes:
        """Return the salt of a record's leaf, 16 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(record_id.encode())
        outer.update(inner.digest())
        return outer.digest()[:SALT_BYTES]


def person_token(key: bytes, pseudonym: str) -> bytes:
    """Return what shows which alias is a person's, 16 bytes, from the key of a batch's aliases."""
    return hmac.digest(key, pseudonym.encode(), "sha256")[:SALT_BYTES]


def person_alias(token: bytes, pseudonym: str) -> str:
    """Return a person's alias in a batch, 64 hexadecimal characters."""
    return digest(canonical_json(["volition/collected-person", token.hex(), pseudonym]))


class Leaves:
    """Writes the leaves of one batch."""

    def __init__(self, key: bytes) -> None:
        """Take the key of the batch's aliases."""
        self._key = key
        self._aliases: dict[str, str] = {}
        self._middles: dict[tuple[str, tuple[str, ...], str], bytes] = {}
        self._ends: dict[str | None, bytes] = {}

    def leaf(self, record: Recorded, salt: bytes) -> bytes:
        """Return the leaf of a record: canonical JSON, put together from pieces that many records of a batch share."""
        shared = (record.account, record.people, record.category)
        middle, end = self.middle(*shared), self.end(record.conversation)
        identity = record.record_id
        written = f'"{identity}"'.encode() if identity.isascii() and identity.isalnum() else canonical_json(identity)
        return b'["%b",%b%b%d%b' % (salt.hex().encode(), written, middle, record.collected_us, end)

    def hashes(self, facts: "Facts", batch_key: bytes) -> tuple[list[bytes], list[bytes]]:
        """Return the salt and the hash of the leaf of each of many records, as `leaf` does for one."""
        for shared in {*facts.shared}:
            self.middle(*shared)
        for conversation in {*facts.conversations}:
            self.end(conversation)
        salt_of_record = Salts(batch_key).of
        salts = [salt_of_record(identity) for identity in facts.identities]
        together = "".join(facts.identities)
        written: Iterable[bytes] = map(canonical_json, facts.identities)
        if together.isascii() and together.isalnum():
            written = (b'"%b"' % identity.encode() for identity in facts.identities)
        middles, ends = self._middles, self._ends
        leaves = (
            b'["%b",%b%b%d%b' % (salt.hex().encode(), identity, middles[shared], collected_us, ends[conversation])
            for salt, identity, shared, collected_us, conversation in zip(
                salts, written, facts.shared, facts.collected_us, facts.conversations, strict=True
            )
        )
        return salts, merkle.leaf_hashes(leaves)

    def middle(self, account: str, people: tuple[str, ...], category: str) -> bytes:
        """Return what stands between a record's id and its instant of collection."""
        shared = account, people, category
        middle = self._middles.get(shared)
        if middle is None:
            aliases = [self._alias(pseudonym) for pseudonym in people]
            middle = self._middles[shared] = b",%b," % canonical_json([account, aliases, category])[1:-1]
        return middle

    def end(self, conversation: str | None) -> bytes:
        """Return what stands after the instant of collection."""
        end = self._ends.get(conversation)
        if end is None:
            end = self._ends[conversation] = b",%b]" % canonical_json(conversation)
        return end

    def _alias(self, pseudonym: str) -> str:
        if pseudonym not in self._aliases:
            self._aliases[pseudonym] = person_alias(person_token(self._key, pseudonym), pseudonym)
        return self._aliases[pseudonym]


def commit_batch(records: Iterable[Recorded], batch_key: bytes) -> tuple[dict[str, Any], bytes]:
    """Return what an entry says of a batch, and the hashes of its leaves, one after the other."""
    leaves = Leaves(people_key(batch_key))
    ordered = sorted(records, key=lambda record: record.record_id)
    _, hashes = leaves.hashes(Facts.of(ordered), batch_key)
    return {"records": len(hashes), "root": merkle.root_of(hashes).hex()}, b"".join(hashes)


def split_hashes(hashes: bytes) -> list[bytes]:
    """Return hashes that stand one after the other."""
    size = merkle.HASH_BYTES
    return [hashes[start : start + size] for start in range(0, len(hashes), size)]


def paths_of(hashes: Sequence[bytes], indexes: Iterable[int]) -> list[list[bytes]]:
    """Return the proofs of inclusion of some leaves, from the hashes of all."""
    return list(map(merkle.Tree(hashes=hashes).prove_inclusion, indexes))


def write_collected(batches: Sequence[CollectedBatch]) -> bytes:
    """Return the bytes of a `collected.parquet`; the same batches give the same bytes."""
    sink = pa.BufferOutputStream()
    held = sum(len(batch.leaves) for batch in batches)
    for _ in write_collected_into(sink, batches, size=len(batches), leaves_bytes=held):
        pass
    return bytes(sink.getvalue())


def write_collected_into(
    sink: Any,  # noqa: ANN401 - what Arrow writes to
    batches: Iterable[CollectedBatch],
    *,
    size: int,
    leaves_bytes: int,
) -> Iterator[CollectedBatch]:
    """Write a `collected.parquet` as its batches come, and yield each of them once it was taken.

    Args:
        sink: A file, or what Arrow writes to.
        batches: By entry.
        size: How many they are.
        leaves_bytes: How many bytes the hashes of all their leaves take.
    """
    group = max(1, size * _GROUP_BYTES // max(leaves_bytes, _GROUP_BYTES))
    form: dict[str, Any] = {
        "compression": "none",  # what is in it is random; and a small reader reads it (`docs/formats/keys.md`)
        "use_dictionary": False,
        "version": "2.6",
        "data_page_version": "1.0",
        "write_statistics": False,
        "store_schema": False,
    }
    left = iter(batches)
    with pq.ParquetWriter(sink, COLLECTED_SCHEMA, **form) as writer:
        some = [*islice(left, group)]
        writer.write_table(_table(some), row_group_size=group)  # none are a row group, too
        while some:
            yield from some
            if some := [*islice(left, group)]:
                writer.write_table(_table(some), row_group_size=group)


def _table(batches: Sequence[CollectedBatch]) -> pa.Table:
    known = [batch.entry is not None for batch in batches]
    columns = {
        "entry": [batch.entry for batch in batches],
        "people_key": [batch.people_key if there else None for batch, there in zip(batches, known, strict=True)],
        "rows": [batch.rows for batch in batches],
        "indexes": [batch.indexes for batch in batches],
        "salts": [batch.salts if there else None for batch, there in zip(batches, known, strict=True)],
        "leaves": [batch.leaves if there else None for batch, there in zip(batches, known, strict=True)],
    }
    return pa.table(columns, schema=COLLECTED_SCHEMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A batch as it lies in a `collected.parquet`: what `CollectedBatch` says, in arrays.

    Attributes:
        entry: As there; so are all below.
        people_key: 32 bytes.
        rows: Shape (rows,).
        indexes: Shape (rows,).
        salts: 16 bytes for each row.
        leaves: 32 bytes for each leaf.
    """

    entry: int | None
    people_key: bytes
    rows: NDArray[np.int32]
    indexes: NDArray[np.int32]
    salts: bytes
    leaves: bytes


def read_collected(data: bytes) -> Iterator[CollectedBatch]:
    """Read the bytes of a `collected.parquet`, a few batches at a time.

    Raises:
        ProofError: It has other columns, or a batch is not of the form that is written.
    """
    for batch in read_stored(data):
        yield CollectedBatch(
            entry=batch.entry,
            people_key=batch.people_key,
            rows=batch.rows.tolist(),
            indexes=batch.indexes.tolist(),
            salts=batch.salts,
            leaves=batch.leaves,
        )


def read_stored(source: bytes | BinaryIO) -> Iterator[StoredBatch]:
    """Read a `collected.parquet`, a few batches at a time, from its bytes or from an opened file.

    Raises:
        ProofError: As `read_collected`.
    """
    file = pq.ParquetFile(in_hand(source), buffer_size=_READ_BYTES, pre_buffer=False)
    if not file.schema_arrow.equals(COLLECTED_SCHEMA):
        raise ProofError("collected.parquet has other columns than it should.")
    for number in range(file.num_row_groups):
        for found in file.iter_batches(batch_size=_BATCHES_AT_A_TIME, row_groups=[number], use_threads=False):
            for place in range(len(found)):
                yield _stored({name: found.column(name)[place] for name in COLLECTED_SCHEMA.names})


def in_hand(source: bytes | BinaryIO) -> Any:  # noqa: ANN401 - Arrow has no types
    """Return what Arrow reads a file's bytes from: never a path, which could be one of the lake."""
    return pa.BufferReader(source) if isinstance(source, bytes) else source


def _stored(found: Mapping[str, Any]) -> StoredBatch:
    """Check the form of one row of the file, whose values are Arrow's."""
    entry = found["entry"].as_py()
    rows, indexes = _numbers(found["rows"]), _numbers(found["indexes"])
    key, salts, leaves = (found[name].as_py() for name in ("people_key", "salts", "leaves"))
    if rows is not None and indexes is not None and len(rows):
        if entry is None:
            if not len(indexes) and key is salts is leaves is None:
                return StoredBatch(entry=None, people_key=b"", rows=rows, indexes=indexes, salts=b"", leaves=b"")
        elif key is not None and salts is not None and leaves is not None:
            whole = len(salts) == SALT_BYTES * len(rows) and not len(leaves) % merkle.HASH_BYTES
            if whole and len(key) == KEY_BYTES and len(indexes) == len(rows):
                return StoredBatch(entry=entry, people_key=key, rows=rows, indexes=indexes, salts=salts, leaves=leaves)
    raise ProofError(f"collected.parquet has a batch that is not whole: that of entry {entry}.")


def _numbers(found: Any) -> NDArray[np.int32] | None:  # noqa: ANN401 - an Arrow list of numbers
    """Return a list as an array; none where there is no list, or a number is missing."""
    values = found.values
    if values is None or values.null_count:
        return None
    numbers: NDArray[np.int32] = values.to_numpy()
    return numbers
