"""Whether records are as they were collected: of a snapshot's rows, and of what a person was shown.

An operator who changed when a record was collected, whom it concerns, what it is or where it belongs would need another
leaf under a root that the log already has. What `commitment` describes is checked here, and nothing is taken on trust:
what is older than such entries is counted, and nothing that came later may pass for it.

Rows are read a batch at a time, column by column: of ten million, 52 bytes each stay in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from volition.canonical import us_to_text
from volition.errors import ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import VerifierKey
from volition.records.commitment import (
    SALT_BYTES,
    CollectedBatch,
    Fact,
    Leaves,
    hash_of,
    person_alias,
    read_collected,
    root_of,
    split_hashes,
)
from volition.transparency.verify import forms
from volition.transparency.verify.checks import Verified, check_claim
from volition.transparency.verify.log import open_checkpoint, read_entry

COLLECTED_FORMAT: Final = "volition/collected-proof/1"

NO_MORE: Final = "that nothing else was recorded of the person"
"""What a proof of what was recorded cannot show."""

_BEGINNING_US: Final = -(2**63)
_AT_A_TIME: Final = 65_536
_WRITERS: Final = 1024  # of leaves of different batches, kept at a time
_UNSEEN: Final = -2
_BEFORE: Final = -1
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
    for first, facts in _facts(file):
        claims.compare(first, facts, since_us)
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

    def compare(self, first: int, facts: Sequence[Fact], since_us: int | None) -> None:
        """Compare rows, from the one at `first` on, with what is said of them."""
        end = first + len(facts)
        salts = self._salts[first:end].tobytes()
        expected = self._hashes[first:end].tobytes()
        for place, (fact, number) in enumerate(zip(facts, self._batch_of[first:end].tolist(), strict=True)):
            if number == _UNSEEN:
                raise ProofError(f"Of row {fact.record_id} collected.parquet does not say what was collected.")
            if number == _BEFORE:
                if since_us is not None and fact.collected_us > since_us:
                    raise ProofError(
                        f"Row {fact.record_id} is said to be older than entries about what was collected; it was "
                        "collected after the log began to have them."
                    )
                continue
            leaf = self._writer(number).leaf(fact, salts[place * SALT_BYTES : (place + 1) * SALT_BYTES])
            if hash_of(leaf) != expected[place * merkle.HASH_BYTES : (place + 1) * merkle.HASH_BYTES]:
                raise ProofError(
                    f"Row {fact.record_id} is not as it was collected: its account, people, category, conversation or "
                    f"instant of collection differs from what entry {self.seqs[number]} commits to."
                )

    def _writer(self, number: int) -> Leaves:
        writer = self._writers.get(number)
        if writer is None:
            if len(self._writers) >= _WRITERS:
                self._writers.clear()
            writer = self._writers[number] = Leaves(self._keys[number])
        return writer


def _check_entry(batch: CollectedBatch, entries: Sequence[Entry]) -> None:
    entry = entries[batch.entry] if batch.entry is not None and 0 <= batch.entry < len(entries) else None
    if entry is None or entry.kind != "collect":
        raise ProofError(f"Entry {batch.entry} is no entry about what was collected, from before the snapshot.")
    hashes = split_hashes(batch.leaves)
    if not forms.same(entry.body, {"records": len(hashes), "root": root_of(hashes).hex()}):
        raise ProofError(f"The leaves of a batch are not those that entry {entry.seq} commits to.")


def _facts(file: pq.ParquetFile) -> Iterator[tuple[int, list[Fact]]]:
    """Yield the rows of a `keys.parquet`, some at a time, each time with the place of the first."""
    first = 0
    for batch in file.iter_batches(batch_size=_AT_A_TIME, use_threads=False):
        people = pc.dictionary_encode(pc.binary_join(batch.column("people"), " "))
        named = [tuple(joined.split(" ")) if joined else () for joined in people.dictionary.to_pylist()]
        conversations = (
            batch.column("conversation").to_pylist() if "conversation" in batch.schema.names else [None] * len(batch)
        )
        columns = (
            batch.column("record_id").to_pylist(),
            batch.column("account").to_pylist(),
            [named[code] for code in people.indices.to_pylist()],
            batch.column("category").to_pylist(),
            batch.column("collected_us").to_pylist(),
            conversations,
        )
        yield first, list(map(Fact, *columns))
        first += len(batch)


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
        merkle.verify_inclusion(hash_of(written), index, size, forms.hashes(shown["path"], "The path to a leaf"), root)
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
