"""A proof of a person: they are in one model's snapshot, or they are not. It reveals nobody else.

It rests on the one snapshot and the one model that it shows. That the log names neither of them twice follows from the
whole log, which a bundle holds.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from volition.canonical import digest
from volition.errors import ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import VerifierKey, open_checkpoint
from volition.records.snapshot import person_leaf, person_tag, rows_commitment
from volition.transparency.verify import forms
from volition.transparency.verify.checks import Verified, check_claim
from volition.transparency.verify.log import read_entry

PROOF_FORMAT: Final = "volition/person-proof/1"

_PROOF: Final = (
    "format",
    "model",
    "pseudonym",
    "present",
    "rows",
    "manifest",
    "leaves",
    "entries",
    "checkpoint",
)


def verify_person(proof: Any, verifier: VerifierKey) -> Verified:  # noqa: ANN401 - any JSON value may arrive
    """Check a proof of a person offline, with the log's public key alone."""
    model = proof.get("model") if isinstance(proof, Mapping) else "no proof"
    return Verified(checks=(check_claim(f"person in {model}", partial(_check_person, proof, verifier))[0],))


def read_shown_entries(shown: Any, size: int, root: bytes) -> list[Entry]:  # noqa: ANN401 - any JSON value
    """Read entries that a document shows, each with the proof that it is in the tree of a checkpoint."""
    entries = []
    for one in shown:
        forms.fields(one, "An entry of the proof", ("entry", "path"))
        leaf = forms.text(one["entry"], "An entry of the proof").encode()
        entry = read_entry(leaf)
        path = forms.hashes(one["path"], "The path of an entry")
        merkle.verify_inclusion(merkle.leaf_hash(leaf), entry.seq, size, path, root)
        entries.append(entry)
    return entries


def _check_person(proof: Any, verifier: VerifierKey) -> str:  # noqa: ANN401 - any JSON value may arrive
    proof = forms.fields(proof, "The proof", _PROOF)
    if proof["format"] != PROOF_FORMAT:
        msg = f"The proof has the format {proof['format']!r}, not {PROOF_FORMAT!r}."
        raise ProofError(msg)
    pseudonym = forms.pseudonym(proof["pseudonym"])
    checkpoint = open_checkpoint(proof["checkpoint"], verifier)
    entries = read_shown_entries(proof["entries"], checkpoint.size, checkpoint.root)
    manifest = _check_named(proof, entries)
    forms.fields(manifest["people"], "The manifest's people", ("size", "root"))
    size = forms.count(manifest["people"]["size"], "The number of people in the manifest")
    root = forms.from_hex(manifest["people"]["root"], "The root of the tree of people")
    if size == 0 and root != merkle.EMPTY_ROOT:
        msg = "The manifest says that nobody is in it, but gives the root of a tree that is not empty."
        raise ProofError(msg)
    tag = person_tag(manifest["purpose"], manifest["at"], pseudonym)
    leaves = _read_leaves(proof["leaves"], size, root)
    rows = forms.count(proof["rows"], "The number of rows")
    if proof["present"] is True:
        ((_, (shown_tag, commitment)),) = leaves.items()
        if shown_tag != tag or commitment != rows_commitment(tag, pseudonym, rows) or not rows:
            msg = "The leaf is not this person's, or the number of rows is not the one committed to."
            raise ProofError(msg)
        return f"{pseudonym} is present: {rows} of the snapshot's rows concern the person"
    if proof["present"] is not False or rows:
        msg = "The proof claims neither presence nor, with no rows, absence."
        raise ProofError(msg)
    _check_gap(leaves, tag, size)
    return f"{pseudonym} is absent: no leaf lies where the person's would, among {size} people"


def _check_named(proof: Mapping[str, Any], entries: Sequence[Entry]) -> Mapping[str, Any]:
    """Check that the entries shown name the manifest, and the model as one that learned from it; return it."""
    if [entry.kind for entry in entries] != ["snapshot", "model"] or entries[0].seq > entries[1].seq:
        raise ProofError("The entries shown are not those of one snapshot and, later, one model.")
    snapshot, model = (entry.body for entry in entries)
    manifest_bytes = forms.text(proof["manifest"], "The manifest").encode()
    if snapshot["manifest"] != digest(manifest_bytes):
        msg = "The manifest is not the one that the ledger names."
        raise ProofError(msg)
    if (model["model"], model["snapshot"]) != (proof["model"], snapshot["snapshot"]):
        msg = "The ledger does not say that this model learned from this snapshot."
        raise ProofError(msg)
    manifest: Mapping[str, Any] = forms.read_canonical(manifest_bytes, "The manifest")
    return manifest


def _read_leaves(shown: Any, size: int, root: bytes) -> dict[int, Sequence[str]]:  # noqa: ANN401 - any JSON value
    leaves: dict[int, Sequence[str]] = {}
    for one in shown:
        forms.fields(one, "A leaf of the proof", ("index", "leaf", "path"))
        leaf = forms.text(one["leaf"], "A leaf of the proof").encode()
        index = forms.count(one["index"], "The place of a leaf")
        if index in leaves:
            raise ProofError(f"The leaf {index} is shown twice.")
        path = forms.hashes(one["path"], "The path of a leaf")
        merkle.verify_inclusion(merkle.leaf_hash(leaf), index, size, path, root)
        tag, commitment = json.loads(leaf)
        forms.from_hex(tag, "A tag")
        forms.from_hex(commitment, "A commitment")
        if person_leaf(tag, commitment) != leaf:
            raise ProofError(f"The leaf {index} is not in the form of a person's leaf.")
        leaves[index] = tag, commitment
    return leaves


def _check_gap(leaves: Mapping[int, Sequence[str]], tag: str, size: int) -> None:
    """Check that the leaves shown are neighbours with the tag strictly between them, or at an end of the tree."""
    indexes = sorted(leaves)
    before = [index for index in indexes if leaves[index][0] < tag]
    after = [index for index in indexes if leaves[index][0] > tag]
    gap = before[-1] + 1 if before else 0
    whole = len(before) + len(after) == len(indexes) and (not after or after[0] == gap) and (after or gap == size)
    if not whole or len(before) > 1 or len(after) > 1:
        msg = "The leaves shown do not rule out that the person is in the tree."
        raise ProofError(msg)
