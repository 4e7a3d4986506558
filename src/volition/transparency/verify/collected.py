"""Whether records are as they were collected: of a snapshot's rows, and of what a person was shown.

An operator who changed when a record was collected, whom it concerns, what it is or where it belongs would need another
leaf under a root that the log already has. What `commitment` describes is checked here, and nothing is taken on trust:
what is older than such entries is counted, and nothing that came later may pass for it.

Rows are read a batch at a time, column by column: of ten million, 52 bytes each stay in memory.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volition.canonical import canonical_json, us_to_text
from volition.errors import ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import VerifierKey, open_checkpoint
from volition.records.commitment import (
    SALT_BYTES,
    CollectedBatch,
    Leaves,
    person_alias,
    read_collected,
    split_hashes,
)
from volition.transparency.verify import forms
from volition.transparency.verify.checks import Verified, check_claim
from volition.transparency.verify.log import read_entry

COLLECTED_FORMAT: Final = "volition/collected-proof/1"

NO_MORE: Final = "that nothing else was recorded of the person"
"""What a proof of what was recorded cannot show."""

_BEGINNING_US: Final = -(2**63)
_AT_A_TIME: Final = 65_536
_WRITERS: Final = 1024  # of leaves of different batches, kept at a time
_UNSEEN: Final = -2
_BEFORE: Final = -1
_HEX: Final = np.array([f"{byte:02x}".encode() for byte in range(256)], "S2")
_PLAIN: Final = r"^[ !#-\[\]-~]*$"
"""Texts that JSON writes as they are, between quotes."""
_FIRST: Final = -1  # the place of what has no entry, before every entry


# --- the rows of a snapshot ----------------------------------------------------------------------------------------


def check_collected(
    keys: bytes,
    collected: bytes | None,
    entries: Sequence[Entry],
    snapshot_seq: int,
    *,
    said: Mapping[str, int] | None = None,
) -> str:
    """Check that every row of a snapshot is as it was collected, as far as the log goes back.

    Args:
        keys: The bytes of `keys.parquet`.
        collected: Those of `collected.parquet`; none where the snapshot has none.
        entries: The log, verified.
        snapshot_seq: The number of the snapshot's own entry.
        said: What the manifest says under `collected`; none where it says nothing.

    Returns:
        What was found, as a sentence.

    Raises:
        ProofError: A row differs from what was collected, passes for older than it is, or has no place in the file.
    """
    file = pq.ParquetFile(pa.BufferReader(keys))
    total, logged = file.metadata.num_rows, entries[:snapshot_seq]
    since_us = _logged_since(logged)
    if collected is None:
        if since_us is not None:
            raise ProofError("The snapshot does not show what was collected, though the log has said so before it.")
        return f"of {total} rows it is not known what was collected: they are older than such entries"
    claims = _Claims(total)
    for batch in read_collected(collected):
        claims.add(batch, logged)
    first = 0
    for rows in file.iter_batches(batch_size=_AT_A_TIME, use_threads=False):
        claims.compare(first, rows, since_us)
        first += len(rows)
    counts = {"batches": len(claims.seqs), "before": claims.before}
    if said is not None and not forms.same(said, counts):
        raise ProofError("The manifest counts other batches, or other rows of unknown collection, than there are.")
    found = f"{total - claims.before} rows are as they were collected, in {len(claims.seqs)} batches"
    return f"{found}; of {claims.before} it is not known: they are older than such entries" if claims.before else found


def _logged_since(entries: Sequence[Entry]) -> int | None:
    """Return since when every batch has an entry in a log; none where it has none so far.

    Whichever version writes salts tells of every batch. So in a log whose first entry has one that is always, and in an
    older one since its first entry that has one.
    """
    first = next((entry for entry in entries if entry.salt is not None or entry.kind == "collect"), None)
    if first is None:
        return None
    return _BEGINNING_US if first.seq == 0 else first.at_us


class _Claims:
    """What a `collected.parquet` says of each row: its batch, its salt, and its leaf's hash, to which an entry commits.

    Attributes:
        seqs: The entries of the batches, ascending.
        before: How many rows are said to be older than such entries.
    """

    def __init__(self, rows: int) -> None:
        """Know nothing yet of so many rows."""
        self.seqs: list[int] = []
        self.before = 0
        self._last = _FIRST - 1
        self._keys: list[bytes] = []
        self._batch_of = np.full(rows, _UNSEEN, np.int32)
        self._salts = np.zeros((rows, SALT_BYTES), np.uint8)
        self._hashes = np.zeros((rows, merkle.HASH_BYTES), np.uint8)
        self._writers: dict[int, Leaves] = {}

    def add(self, batch: CollectedBatch, entries: Sequence[Entry]) -> None:
        """Add a batch, once its entry was seen to commit to its leaves."""
        place = _FIRST if batch.entry is None else batch.entry
        if place <= self._last or place < _FIRST:
            raise ProofError("The batches of collected.parquet are not in the order of their entries.")
        self._last = place
        rows = np.array(batch.rows, np.int64)
        if rows[0] < 0 or rows[-1] >= len(self._batch_of) or (np.diff(rows) <= 0).any():
            raise ProofError("collected.parquet names a row twice, or one that is not there.")
        if (self._batch_of[rows] != _UNSEEN).any():
            raise ProofError("collected.parquet names a row twice, or one that is not there.")
        if batch.entry is None:
            self._batch_of[rows], self.before = _BEFORE, len(rows)
            return
        _check_entry(batch, entries)
        indexes = np.array(batch.indexes, np.int64)
        leaves = np.frombuffer(batch.leaves, np.uint8).reshape(-1, merkle.HASH_BYTES)
        if indexes.min() < 0 or indexes.max() >= len(leaves) or len(np.unique(indexes)) != len(indexes):
            raise ProofError(f"Two rows are said to be one record of entry {batch.entry}, or one is no record of it.")
        self._batch_of[rows] = len(self.seqs)
        self._salts[rows] = np.frombuffer(batch.salts, np.uint8).reshape(-1, SALT_BYTES)
        self._hashes[rows] = leaves[indexes]
        self.seqs.append(batch.entry)
        self._keys.append(batch.people_key)

    def compare(self, first: int, rows: pa.RecordBatch, since_us: int | None) -> None:
        """Compare rows, from the one at `first` on, with what is said of them."""
        places = slice(first, first + len(rows))
        numbers, records = self._batch_of[places], rows.column("record_id")
        unseen = np.flatnonzero(numbers == _UNSEEN)
        if len(unseen):
            raise ProofError(f"Of row {records[unseen[0]]} collected.parquet does not say what was collected.")
        before = numbers == _BEFORE
        if since_us is not None:
            late = np.flatnonzero(before & (rows.column("collected_us").to_numpy() > since_us))
            if len(late):
                raise ProofError(
                    f"Row {records[late[0]]} is said to be older than entries about what was collected; it was "
                    "collected after the log began to have them."
                )
        logged = np.flatnonzero(~before)
        if len(logged) == 0:
            return
        leaves = self._leaves(rows.take(pa.array(logged)), numbers[logged], self._salts[places][logged])
        found = np.frombuffer(_hashed(leaves), np.uint8).reshape(-1, merkle.HASH_BYTES)
        other = np.flatnonzero((found != self._hashes[places][logged]).any(axis=1))
        if len(other):
            place = logged[other[0]]
            raise ProofError(
                f"Row {records[place]} is not as it was collected: its account, people, category, conversation or "
                f"instant of collection differs from what entry {self.seqs[numbers[place]]} commits to."
            )

    def _leaves(self, rows: pa.RecordBatch, numbers: NDArray[np.int32], salts: NDArray[np.uint8]) -> pa.BinaryArray:
        """Return the leaves of rows, column by column, each with the byte before it with which a leaf is hashed.

        What rows of one batch share is written once.
        """
        people = pc.binary_join(rows.column("people"), " ")
        shared = [pc.dictionary_encode(column) for column in (rows.column("account"), people, rows.column("category"))]
        middles = _per_row(
            [numbers, *(column.indices.to_numpy() for column in shared)],
            lambda number, account, people, category: self._writer(number).middle(
                shared[0].dictionary[account].as_py(),
                tuple(joined.split(" ")) if (joined := shared[1].dictionary[people].as_py()) else (),
                shared[2].dictionary[category].as_py(),
            ),
        )
        conversation = pc.dictionary_encode(
            rows.column("conversation") if "conversation" in rows.schema.names else pa.nulls(len(rows), pa.string()),
            null_encoding="encode",
        )
        ends = _per_row(
            [numbers, conversation.indices.to_numpy()],
            lambda number, name: self._writer(number).end(conversation.dictionary[name].as_py()),
        )
        hexes = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(2 * SALT_BYTES), len(rows), [None, pa.py_buffer(_HEX[salts].tobytes())]
        )
        instants = rows.column("collected_us").cast(pa.string()).cast(pa.binary())
        pieces = (b'\x00["', hexes.cast(pa.binary()), b'",', _quoted(rows.column("record_id")), middles, instants, ends)
        return pc.binary_join_element_wise(*pieces, b"")

    def _writer(self, number: int) -> Leaves:
        writer = self._writers.get(number)
        if writer is None:
            if len(self._writers) >= _WRITERS:
                self._writers.clear()
            writer = self._writers[number] = Leaves(self._keys[number])
        return writer


def _per_row(codes: Sequence[NDArray[Any]], written: Callable[..., bytes]) -> pa.Array:
    """Return what is written of each row, once for all rows whose codes are the same."""
    table = np.stack([one.astype(np.int64) for one in codes])
    sizes = table.max(axis=1) + 1
    _, firsts, inverse = np.unique(np.ravel_multi_index(table, sizes), return_index=True, return_inverse=True)
    return pa.array([written(*table[:, first].tolist()) for first in firsts], pa.binary()).take(pa.array(inverse))


def _quoted(texts: pa.Array) -> pa.Array:
    """Return texts as JSON."""
    if pc.all(pc.match_substring_regex(texts, _PLAIN)).as_py():
        return pc.binary_join_element_wise(b'"', texts.cast(pa.binary()), b'"', b"")
    return pa.array([canonical_json(text) for text in texts.to_pylist()], pa.binary())


def _hashed(leaves: pa.BinaryArray) -> bytes:
    """Return the hash of each, one after the other."""
    _, offsets, data = leaves.buffers()
    ends = np.frombuffer(offsets, np.int32)[leaves.offset : leaves.offset + len(leaves) + 1].tolist()
    view, sha256 = memoryview(data), hashlib.sha256
    return b"".join([sha256(view[start:end]).digest() for start, end in pairwise(ends)])


def _check_entry(batch: CollectedBatch, entries: Sequence[Entry]) -> None:
    entry = entries[batch.entry] if batch.entry is not None and 0 <= batch.entry < len(entries) else None
    if entry is None or entry.kind != "collect":
        raise ProofError(f"Entry {batch.entry} is no entry about what was collected, from before the snapshot.")
    hashes = split_hashes(batch.leaves)
    if not forms.same(entry.body, {"records": len(hashes), "root": merkle.root_of(hashes).hex()}):
        raise ProofError(f"The leaves of a batch are not those that entry {entry.seq} commits to.")


# --- what a person was shown ---------------------------------------------------------------------------------------


def verify_collected(proof: Any, verifier: VerifierKey) -> Verified:  # noqa: ANN401 - any JSON value may arrive
    """Check a proof of what was recorded of a person, offline, with the log's public key alone."""
    check, _ = check_claim("what was collected", partial(_check_proof, proof, verifier))
    return Verified(checks=(check,), claimed=(NO_MORE,) if check.holds else ())


def _check_proof(proof: Mapping[str, Any], verifier: VerifierKey) -> str:
    forms.fields(proof, "The proof", ("format", "pseudonyms", "batches", "checkpoint"))
    if proof["format"] != COLLECTED_FORMAT:
        raise ProofError(f"The proof has the format {proof['format']!r}, not {COLLECTED_FORMAT!r}.")
    pseudonyms = [forms.pseudonym(one) for one in proof["pseudonyms"]]
    checkpoint = open_checkpoint(proof["checkpoint"], verifier)
    numbers: list[int] = []
    times: list[int] = []
    for batch in proof["batches"]:
        forms.fields(batch, "A batch", ("entry", "path", "tokens", "leaves"))
        written = batch["entry"].encode()
        entry = read_entry(written)
        path = forms.hashes(batch["path"], "The path to an entry")
        merkle.verify_inclusion(merkle.leaf_hash(written), entry.seq, checkpoint.size, path, checkpoint.root)
        if entry.kind != "collect" or numbers[-1:] >= [entry.seq]:
            raise ProofError(f"Entry {entry.seq} is none about what was collected, or stands in the wrong place.")
        numbers.append(entry.seq)
        times += _check_shown(batch, entry)
    if not times or pseudonyms != sorted({one for batch in proof["batches"] for one in batch["tokens"]}):
        raise ProofError("The proof shows no record, or is not about these pseudonyms.")
    return (
        f"{len(times)} records concern {', '.join(pseudonyms)}, collected from {us_to_text(min(times))} to "
        f"{us_to_text(max(times))}, as entries {', '.join(map(str, numbers))} commit to"
    )


def _check_shown(batch: Mapping[str, Any], entry: Entry) -> list[int]:
    """Check the leaves that are shown of a batch; return when each record was collected."""
    aliases = {person_alias(_token(token), one) for one, token in batch["tokens"].items()}
    size, root = entry.body["records"], forms.from_hex(entry.body["root"], "The root of a batch")
    times, last, found = [], -1, set()
    for shown in batch["leaves"]:
        forms.fields(shown, "A leaf", ("index", "leaf", "path"))
        written, index = shown["leaf"].encode(), forms.count(shown["index"], "The place of a leaf")
        if index <= last:
            raise ProofError(f"The leaves of entry {entry.seq} are not in their order.")
        merkle.verify_inclusion(
            merkle.leaf_hash(written), index, size, forms.hashes(shown["path"], "The path to a leaf"), root
        )
        match forms.read_canonical(written, "A leaf"):
            case [str(), str(record), str(), [*people], str(), int(at_us), str() | None]:
                mine = aliases.intersection(people)
            case _:
                raise ProofError(f"A leaf of entry {entry.seq} is not written as leaves are.")
        if not mine:
            raise ProofError(f"Record {record} is not shown to concern the person.")
        found |= mine
        times.append(at_us)
        last = index
    if found != aliases or not aliases:
        raise ProofError(f"No record of entry {entry.seq} concerns one of the pseudonyms that it is shown for.")
    return times


def _token(text: str) -> bytes:
    """Return a token; like a pseudonym it is written in 32 lower-case hexadecimal digits."""
    return bytes.fromhex(forms.pseudonym(text))
