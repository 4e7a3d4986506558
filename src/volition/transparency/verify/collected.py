"""Whether records are as they were collected: of a snapshot's rows, and of what a person was shown.

An operator who changed when a record was collected, whom it concerns, what it is or where it belongs would need another
leaf under a root that the log already has. What `commitment` describes is checked here, and nothing is taken on trust:
what is older than such entries is counted, and nothing that came later may pass for it.

Rows are read a batch at a time, column by column: of ten million, 52 bytes each stay in memory.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from volition.canonical import canonical_json, us_to_text
from volition.consent.history.bindings import WRITING_US
from volition.errors import ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import VerifierKey, open_checkpoint
from volition.records.commitment import (
    SALT_BYTES,
    StoredBatch,
    person_alias,
    person_token,
    read_stored,
)
from volition.records.numbered import number_alike
from volition.transparency.verify import forms
from volition.transparency.verify.checks import Verified, check_claim
from volition.transparency.verify.log import read_entry
from volition.transparency.verify.pages import check_pages
from volition.transparency.verify.rows import Coded, RowBatch, RowFile, Source

COLLECTED_FORMAT: Final = "volition/collected-proof/1"

NO_MORE: Final = "that nothing else was recorded of the person"
"""What a proof of what was recorded cannot show."""

_BEGINNING_US: Final = -(2**63)
_ALIASES: Final = 200_000  # kept at a time
_UNSEEN: Final = -2
_BEFORE: Final = -1
_HEX: Final = np.array([f"{byte:02x}".encode() for byte in range(256)], "S2")
_PLAIN: Final = r"^[ !#-\[\]-~]*$"
"""Texts that JSON writes as they are, between quotes."""
_FIRST: Final = -1  # the place of what has no entry, before every entry


# --- the rows of a snapshot ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What a log says, before one of its entries, of what was collected.

    Attributes:
        since_us: Since when every batch has an entry; none where it has none so far.
        bodies: What the entries about batches say, by their numbers.
        instants: When these entries were made, by their numbers.
    """

    since_us: int | None
    bodies: Mapping[int, Mapping[str, Any]]
    instants: Mapping[int, int]


def logged_before(entries: Sequence[Entry], seq: int) -> Logged:
    """Return what a log says of what was collected before an entry.

    Whichever version writes salts tells of every batch. So in a log whose first entry has one that is always, and in an
    older one since its first entry that has one.
    """
    logged = entries[:seq]
    first = next((entry for entry in logged if entry.salt is not None or entry.kind == "collect"), None)
    batches = [entry for entry in logged if entry.kind == "collect"]
    return Logged(
        since_us=None if first is None else _BEGINNING_US if first.seq == 0 else first.at_us,
        bodies={entry.seq: entry.body for entry in batches},
        instants={entry.seq: entry.at_us for entry in batches},
    )


def check_collected(
    keys: Source, collected: Source | None, logged: Logged, *, said: Mapping[str, int] | None = None
) -> str:
    """Check that every row of a snapshot is as it was collected, as far as the log goes back.

    Args:
        keys: The snapshot's `keys.parquet`.
        collected: Its `collected.parquet`; none where the snapshot has none.
        logged: What the log, verified, says before the snapshot's own entry.
        said: What the manifest says under `collected`; none where it says nothing.

    Returns:
        What was found, as a sentence.

    Raises:
        ProofError: A row differs from what was collected, passes for older than it is, or has no place in the file.
    """
    if collected is not None:
        check_roots(collected, logged)
    return check_rows(keys, collected, logged, said=said)


def check_roots(collected: Source, logged: Logged) -> None:
    """Check that the log commits to the leaves of each batch of a `collected.parquet`: the first half of the check.

    Raises:
        ProofError: An entry is none about a batch from before the snapshot, or commits to other leaves.
    """
    check_pages(collected, "collected.parquet")
    firsts: dict[str, int] = {}
    for seq, said in logged.bodies.items():
        firsts.setdefault(str(said.get("root")), seq)
    for batch in read_stored(collected):
        if batch.entry is None:
            continue
        body = logged.bodies.get(batch.entry)
        if body is None:
            raise ProofError(f"Entry {batch.entry} is no entry about what was collected, from before the snapshot.")
        records, root = len(batch.leaves) // merkle.HASH_BYTES, merkle.root_of_joined(batch.leaves)
        if not forms.same(body, {"records": records, "root": root.hex()}):
            raise ProofError(f"The leaves of a batch are not those that entry {batch.entry} commits to.")
        if firsts[root.hex()] != batch.entry:
            raise ProofError(
                f"Entry {batch.entry} enters once more, under a later date, what entry {firsts[root.hex()]} entered."
            )


def check_rows(keys: Source, collected: Source | None, logged: Logged, *, said: Mapping[str, int] | None = None) -> str:
    """Compare each row with its leaf: the other half, which shows something only once the leaves' roots were checked.

    Arguments, what is returned and raised are those of `check_collected`.
    """
    file = RowFile(keys)
    if collected is None:
        if logged.since_us is not None:
            raise ProofError("The snapshot does not show what was collected, though the log has said so before it.")
        return f"of {file.total} rows it is not known what was collected: they are older than such entries"
    check_pages(collected, "collected.parquet")
    claims = _Claims(file.total)
    for batch in read_stored(collected):
        claims.add(batch)
    first = 0
    for rows in file.batches():
        claims.compare(first, rows, logged)
        first += len(rows)
    counts = {"batches": len(claims.seqs), "before": claims.before}
    if said is not None and not forms.same(said, counts):
        raise ProofError("The manifest counts other batches, or other rows of unknown collection, than there are.")
    found = f"{file.total - claims.before} rows are as they were collected, in {len(claims.seqs)} batches"
    return f"{found}; of {claims.before} it is not known: they are older than such entries" if claims.before else found


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
        self._aliases: dict[tuple[int, str], str] = {}

    def add(self, batch: StoredBatch) -> None:
        """Add a batch."""
        place = _FIRST if batch.entry is None else batch.entry
        if place <= self._last or place < _FIRST:
            raise ProofError("The batches of collected.parquet are not in the order of their entries.")
        self._last = place
        rows = batch.rows
        if rows[0] < 0 or rows[-1] >= len(self._batch_of) or (rows[1:] <= rows[:-1]).any():
            raise ProofError("collected.parquet names a row twice, or one that is not there.")
        if (self._batch_of[rows] != _UNSEEN).any():
            raise ProofError("collected.parquet names a row twice, or one that is not there.")
        if batch.entry is None:
            self._batch_of[rows], self.before = _BEFORE, len(rows)
            return
        leaves = np.frombuffer(batch.leaves, np.uint8).reshape(-1, merkle.HASH_BYTES)
        if not _are_places(batch.indexes, len(leaves)):
            raise ProofError(f"Two rows are said to be one record of entry {batch.entry}, or one is no record of it.")
        self._batch_of[rows] = len(self.seqs)
        self._salts[rows] = np.frombuffer(batch.salts, np.uint8).reshape(-1, SALT_BYTES)
        self._hashes[rows] = leaves[batch.indexes]
        self.seqs.append(batch.entry)
        self._keys.append(batch.people_key)

    def compare(self, first: int, rows: RowBatch, log: Logged) -> None:
        """Compare rows, from the one at `first` on, with what is said of them."""
        since_us = log.since_us
        places = slice(first, first + len(rows))
        numbers, records = self._batch_of[places], rows.record_ids
        unseen = np.flatnonzero(numbers == _UNSEEN)
        if len(unseen):
            raise ProofError(f"Of row {records[unseen[0]]} collected.parquet does not say what was collected.")
        before = numbers == _BEFORE
        if since_us is not None:
            late = np.flatnonzero(before & (rows.collected_us > since_us))
            if len(late):
                raise ProofError(
                    f"Row {records[late[0]]} is said to be older than entries about what was collected; it was "
                    "collected after the log began to have them."
                )
        logged = np.flatnonzero(~before)
        if len(logged) == 0:
            return
        leaves = self._leaves(rows, logged, numbers[logged], self._salts[places][logged])
        found = np.frombuffer(_hashed(leaves), np.uint8).reshape(-1, merkle.HASH_BYTES)
        other = np.flatnonzero((found != self._hashes[places][logged]).any(axis=1))
        if len(other):
            place = logged[other[0]]
            raise ProofError(
                f"Row {records[place]} is not as it was collected: its account, people, category, conversation or "
                f"instant of collection differs from what entry {self.seqs[numbers[place]]} commits to."
            )
        until_us = np.array([log.instants.get(seq, _BEGINNING_US) for seq in self.seqs], np.int64) + WRITING_US
        early = np.flatnonzero(rows.collected_us[logged] > until_us[numbers[logged]])
        if len(early):
            place = logged[early[0]]
            raise ProofError(
                f"Row {records[place]} is said to have been collected after entry {self.seqs[numbers[place]]}, which "
                "says that it had been: a later yes would cover what was there before it."
            )

    def _leaves(
        self, rows: RowBatch, chosen: NDArray[np.int64], numbers: NDArray[np.int32], salts: NDArray[np.uint8]
    ) -> pa.BinaryArray:
        """Return the leaves of chosen rows, column by column, each with the byte before it with which a leaf is hashed.

        What rows of one batch share is written once.
        """
        people, firsts = number_alike([numbers, rows.people.codes[chosen]])
        lists = [rows.people.people(rows.people.codes[chosen[first]]) for first in firsts.tolist()]
        together = [self._aliased(number, one) for number, one in zip(numbers[firsts].tolist(), lists, strict=True)]
        instants = pa.array(rows.collected_us[chosen]).cast(pa.string()).cast(pa.binary())
        hexes = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(2 * SALT_BYTES), len(chosen), [None, pa.py_buffer(_HEX[salts].tobytes())]
        )
        records = rows.record_ids if len(chosen) == len(rows) else rows.record_ids.take(pa.array(chosen))
        pieces = (
            b'\x00["',
            hexes.cast(pa.binary()),
            b'",',
            _quoted(records),
            _written(b",%b,", rows.account, chosen),
            pa.array(together, pa.binary()).take(pa.array(people)),
            _written(b",%b,", rows.category, chosen),
            instants,
            _written(b",%b]", rows.conversation, chosen),
        )
        return pc.binary_join_element_wise(*pieces, b"")

    def _aliased(self, number: int, people: Sequence[str]) -> bytes:
        """Return people as the leaves of a batch name them, by its number; aliases met of late are remembered."""
        known, aliases = self._aliases, []
        if len(known) > _ALIASES:
            known.clear()
        for one in people:
            alias = known.get((number, one))
            if alias is None:
                alias = known[number, one] = person_alias(person_token(self._keys[number], one), one)
            aliases.append(alias)
        return canonical_json(aliases)


def _written(around: bytes, column: Coded, chosen: NDArray[np.int64]) -> pa.Array:
    """Return texts of a column as JSON between what stands around it, each text written once; null for what is not."""
    words = [around % canonical_json(one) for one in [*column.words.to_pylist(), None]]
    codes = column.codes[chosen]
    return pa.array(words, pa.binary()).take(pa.array(np.where(codes < 0, len(words) - 1, codes)))


def _are_places(indexes: NDArray[np.int32], total: int) -> bool:
    """Return whether numbers are places among so many, and no two the same."""
    if indexes.min() < 0 or indexes.max() >= total:
        return False
    return int(np.bincount(indexes, minlength=total).max()) == 1


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
    times: list[int] = []
    last, found, before = -1, set(), ""
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
        if times and record.encode() <= before.encode():
            raise ProofError(f"Entry {entry.seq} has the record {record} twice, or its records are not in their order.")
        if at_us > entry.at_us + WRITING_US:
            raise ProofError(
                f"Record {record} is said to have been collected after entry {entry.seq}, which enters it."
            )
        before = record
        found |= mine
        times.append(at_us)
        last = index
    if found != aliases or not aliases:
        raise ProofError(f"No record of entry {entry.seq} concerns one of the pseudonyms that it is shown for.")
    return times


def _token(text: str) -> bytes:
    """Return a token; like a pseudonym it is written in 32 lower-case hexadecimal digits."""
    return bytes.fromhex(forms.pseudonym(text))
