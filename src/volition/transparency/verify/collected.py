"""Whether records are as they were collected: of a snapshot's rows, and of what a person was shown.

An operator who changed when a record was collected, whom it concerns, what it is or where it belongs would need another
leaf under a root that the log already has. What `commitment` describes is checked here, and nothing is taken on trust:
what is older than such entries is counted, and nothing that came later may pass for it.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from volition.canonical import canonical_json, us_to_text
from volition.errors import ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import VerifierKey
from volition.records.commitment import (
    CollectedBatch,
    Leaves,
    Recorded,
    hash_of,
    person_alias,
    read_collected,
    root_of,
    split_hashes,
)
from volition.transparency.verify.checks import Verified, check_claim
from volition.transparency.verify.log import open_checkpoint

COLLECTED_FORMAT: Final = "volition/collected-proof/1"

_BEGINNING_US: Final = -(2**63)
_HEXADECIMAL: Final = frozenset("0123456789abcdef")
_PSEUDONYM_LENGTH: Final = 32


# --- the rows of a snapshot ----------------------------------------------------------------------------------------


def check_collected(
    keys: Sequence[Recorded],
    collected: bytes | None,
    entries: Sequence[Entry],
    snapshot_seq: int,
    *,
    said: Mapping[str, int] | None = None,
) -> str:
    """Check that every row of a snapshot is as it was collected, as far as the log goes back.

    Args:
        keys: The rows, from `keys.parquet`, in order.
        collected: The bytes of `collected.parquet`; none where the snapshot has none.
        entries: The log, verified.
        snapshot_seq: The number of the snapshot's own entry.
        said: What the manifest says under `collected`; none for what says nothing.

    Returns:
        What was found, as a sentence.

    Raises:
        ProofError: A row differs from what was collected, passes for older than it is, or has no place in the file.
    """
    since_us = _logged_since(entries[:snapshot_seq])
    if collected is None:
        if since_us is not None:
            raise ProofError("The snapshot does not show what was collected, though the log has said so before it.")
        return f"of {len(keys)} rows it is not known what was collected: they are older than such entries"
    seen, last, batches, before = bytearray(len(keys)), -2, 0, 0
    for batch in read_collected(collected):
        number = -1 if batch.entry is None else batch.entry
        if number <= last or number < -1:
            raise ProofError("The batches of collected.parquet are not in the order of their entries.")
        last = number
        _mark(batch, seen)
        if batch.entry is None:
            before = len(batch.rows)
            _check_before([keys[row] for row in batch.rows], since_us)
        else:
            batches += 1
            _check_batch([keys[row] for row in batch.rows], batch, entries[:snapshot_seq])
    if 0 in seen:
        raise ProofError(f"Of row {keys[seen.index(0)].record_id} collected.parquet does not say what was collected.")
    if said is not None and said != {"batches": batches, "before": before}:
        raise ProofError("The manifest counts other batches, or other rows of unknown collection, than there are.")
    found = f"{len(keys) - before} rows are as they were collected, in {batches} batches"
    return f"{found}; of {before} it is not known: they are older than such entries" if before else found


def _logged_since(entries: Sequence[Entry]) -> int | None:
    """Return since when every batch has an entry in a log; none where it has none so far.

    Whichever version writes salts tells of every batch. So in a log whose first entry has one that is always, and in an
    older one since its first entry that has one.
    """
    first = next((entry for entry in entries if entry.salt is not None or entry.kind == "collect"), None)
    if first is None:
        return None
    return _BEGINNING_US if first.seq == 0 else first.at_us


def _mark(batch: CollectedBatch, seen: bytearray) -> None:
    last = -1
    for row in batch.rows:
        if not last < row < len(seen) or seen[row]:
            raise ProofError("collected.parquet names a row twice, or one that is not there.")
        seen[row], last = 1, row


def _check_before(rows: Sequence[Recorded], since_us: int | None) -> None:
    for row in rows:
        if since_us is not None and row.collected_us > since_us:
            msg = (
                f"Row {row.record_id} is said to be older than entries about what was collected; it was collected "
                "after the log began to have them."
            )
            raise ProofError(msg)


def _check_batch(rows: Sequence[Recorded], batch: CollectedBatch, entries: Sequence[Entry]) -> None:
    entry = entries[batch.entry] if batch.entry is not None and batch.entry < len(entries) else None
    if entry is None or entry.kind != "collect":
        raise ProofError(f"Entry {batch.entry} is no entry about what was collected, from before the snapshot.")
    hashes = split_hashes(batch.leaves)
    if entry.body != {"records": len(hashes), "root": root_of(hashes).hex()}:
        raise ProofError(f"The leaves of a batch are not those that entry {entry.seq} commits to.")
    if len(set(batch.indexes)) != len(batch.indexes):
        raise ProofError(f"Two rows are said to be one record of the batch of entry {entry.seq}.")
    leaves = Leaves(batch.people_key)
    for place, (row, index) in enumerate(zip(rows, batch.indexes, strict=True)):
        if not 0 <= index < len(hashes) or hash_of(leaves.leaf(row, batch.salt(place))) != hashes[index]:
            msg = (
                f"Row {row.record_id} is not as it was collected: its account, people, category, conversation or "
                f"instant of collection differs from what entry {entry.seq} commits to."
            )
            raise ProofError(msg)


# --- what a person was shown ---------------------------------------------------------------------------------------


def verify_collected(proof: Any, verifier: VerifierKey) -> Verified:  # noqa: ANN401 - any JSON value may arrive
    """Check a proof of what was recorded of a person, offline, with the log's public key alone."""
    return Verified(checks=(check_claim("what was collected", partial(_check_proof, proof, verifier))[0],))


def _check_proof(proof: Mapping[str, Any], verifier: VerifierKey) -> str:
    _check_names("The proof", proof, "format", "pseudonyms", "batches", "checkpoint")
    if proof["format"] != COLLECTED_FORMAT:
        raise ProofError(f"The proof has the format {proof['format']!r}, not {COLLECTED_FORMAT!r}.")
    pseudonyms: Sequence[str] = proof["pseudonyms"]
    if not all(len(one) == _PSEUDONYM_LENGTH and _HEXADECIMAL.issuperset(one) for one in pseudonyms):
        raise ProofError("A pseudonym has 32 digits, 0 to 9 and a to f.")
    checkpoint = open_checkpoint(proof["checkpoint"], verifier)
    numbers: list[int] = []
    leaves: list[list[Any]] = []
    for batch in proof["batches"]:
        _check_names("A batch", batch, "entry", "path", "tokens", "leaves")
        written = batch["entry"].encode()
        entry = Entry.from_leaf(written)
        path = _hashes(batch["path"])
        merkle.verify_inclusion(merkle.leaf_hash(written), entry.seq, checkpoint.size, path, checkpoint.root)
        if entry.kind != "collect" or not batch["leaves"] or numbers[-1:] >= [entry.seq]:
            raise ProofError(f"Entry {entry.seq} is none about what was collected, or stands in the wrong place.")
        numbers.append(entry.seq)
        leaves += _check_shown(batch, entry)
    if not leaves or list(pseudonyms) != sorted({one for batch in proof["batches"] for one in batch["tokens"]}):
        raise ProofError("The proof shows no record, or is not about these pseudonyms.")
    times = sorted(leaf[5] for leaf in leaves)
    return (
        f"{len(leaves)} records concern {', '.join(pseudonyms)}, collected from {us_to_text(times[0])} to "
        f"{us_to_text(times[-1])}, as entries {', '.join(map(str, numbers))} commit to; claimed, not checkable "
        "offline: that there are no more"
    )


def _check_shown(batch: Mapping[str, Any], entry: Entry) -> list[list[Any]]:
    """Check the leaves that are shown of a batch; return them."""
    aliases = {person_alias(_bytes(token), one) for one, token in batch["tokens"].items()}
    size, root = entry.body["records"], bytes.fromhex(entry.body["root"])
    leaves, last, found = [], -1, set()
    for shown in batch["leaves"]:
        _check_names("A leaf", shown, "index", "leaf", "path")
        written, index = shown["leaf"].encode(), shown["index"]
        if type(index) is not int or index <= last:
            raise ProofError(f"The leaves of entry {entry.seq} are not in their order.")
        merkle.verify_inclusion(hash_of(written), index, size, _hashes(shown["path"]), root)
        leaf = json.loads(written)
        if canonical_json(leaf) != written or not _is_leaf(leaf):
            raise ProofError(f"A leaf of entry {entry.seq} is not written as leaves are.")
        if aliases.isdisjoint(leaf[3]):
            raise ProofError(f"Record {leaf[1]} is not shown to concern the person.")
        found.update(aliases.intersection(leaf[3]))
        leaves.append(leaf)
        last = index
    if found != aliases:
        raise ProofError(f"No record of entry {entry.seq} concerns one of the pseudonyms that it is shown for.")
    return leaves


def _is_leaf(leaf: object) -> bool:
    match leaf:
        case [str(), str(), str(), [*people], str(), int(), str() | None]:
            return all(isinstance(one, str) for one in people)
    return False


def _check_names(what: str, shown: Mapping[str, Any], *names: str) -> None:
    if set(shown) != set(names):
        raise ProofError(f"{what} holds something else than {', '.join(names)}.")


def _hashes(path: Sequence[str]) -> list[bytes]:
    return [_bytes(step) for step in path]


def _bytes(text: str) -> bytes:
    """Return what is written as hexadecimal, in the one way in which it is written here."""
    found = bytes.fromhex(text)
    if found.hex() != text:
        raise ProofError(f"{text!r} is not written in lower-case hexadecimal digits.")
    return found
