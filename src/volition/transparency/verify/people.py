"""A proof of a person: they are in one model's snapshot, or they are not. It reveals nobody else."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from volition.canonical import digest
from volition.errors import ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import VerifierKey
from volition.records.snapshot import person_tag, rows_commitment
from volition.transparency.verify.checks import Verified, check_claim
from volition.transparency.verify.log import open_checkpoint

PROOF_FORMAT: Final = "volition/person-proof/1"


def verify_person(proof: Any, verifier: VerifierKey) -> Verified:  # noqa: ANN401 - any JSON value may arrive
    """Check a proof of a person offline, with the log's public key alone."""
    model = proof.get("model") if isinstance(proof, Mapping) else "no proof"
    return Verified(checks=(check_claim(f"person in {model}", partial(_check_person, proof, verifier))[0],))


def _check_person(proof: Mapping[str, Any], verifier: VerifierKey) -> str:
    if proof["format"] != PROOF_FORMAT:
        msg = f"The proof has the format {proof['format']!r}, not {PROOF_FORMAT!r}."
        raise ProofError(msg)
    checkpoint = open_checkpoint(proof["checkpoint"], verifier)
    entries = {}
    for shown in proof["entries"]:
        leaf = shown["entry"].encode()
        entry = Entry.from_leaf(leaf)
        path = [bytes.fromhex(step) for step in shown["path"]]
        merkle.verify_inclusion(merkle.leaf_hash(leaf), entry.seq, checkpoint.size, path, checkpoint.root)
        entries[entry.kind] = entry.body
    manifest_bytes = proof["manifest"].encode()
    if entries["snapshot"]["manifest"] != digest(manifest_bytes):
        msg = "The manifest is not the one that the ledger names."
        raise ProofError(msg)
    if (entries["model"]["model"], entries["model"]["snapshot"]) != (proof["model"], entries["snapshot"]["snapshot"]):
        msg = "The ledger does not say that this model learned from this snapshot."
        raise ProofError(msg)
    manifest = json.loads(manifest_bytes)
    size, root = manifest["people"]["size"], bytes.fromhex(manifest["people"]["root"])
    if size == 0 and root != merkle.EMPTY_ROOT:
        msg = "The manifest says that nobody is in it, but gives the root of a tree that is not empty."
        raise ProofError(msg)
    tag = person_tag(manifest["purpose"], manifest["at"], proof["pseudonym"])
    leaves = {}
    for shown in proof["leaves"]:
        leaf = shown["leaf"].encode()
        path = [bytes.fromhex(step) for step in shown["path"]]
        merkle.verify_inclusion(merkle.leaf_hash(leaf), shown["index"], size, path, root)
        leaves[shown["index"]] = json.loads(leaf)
    if proof["present"] is True:
        ((_, (shown_tag, commitment)),) = leaves.items()
        if shown_tag != tag or commitment != rows_commitment(tag, proof["pseudonym"], proof["rows"]):
            msg = "The leaf is not this person's, or the number of rows is not the one committed to."
            raise ProofError(msg)
        return f"present: {proof['rows']} of the snapshot's rows concern the person"
    if proof["present"] is not False or proof["rows"] != 0:
        msg = "The proof claims neither presence nor, with no rows, absence."
        raise ProofError(msg)
    _check_gap(leaves, tag, size)
    return f"absent: no leaf lies where the person's would, among {size} people"


def _check_gap(leaves: Mapping[int, Sequence[str]], tag: str, size: int) -> None:
    """Check that the leaves shown are neighbours with the tag strictly between them, or at an end of the tree."""
    indexes = sorted(leaves)
    before = [index for index in indexes if leaves[index][0] < tag]
    after = [index for index in indexes if leaves[index][0] > tag]
    gap = before[-1] + 1 if before else 0
    whole = len(before) + len(after) == len(indexes) and (not after or after[0] == gap) and (after or gap == size)
    if not whole:
        msg = "The leaves shown do not rule out that the person is in the tree."
        raise ProofError(msg)
