"""What the console and the API give beside bundles: a checkpoint, that one log extends another, an entry in a log."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from volition.canonical import us_to_text
from volition.errors import ProofError
from volition.ledger import merkle
from volition.ledger.signing import VerifierKey, open_checkpoint
from volition.transparency.verify import forms
from volition.transparency.verify.checks import Verified, check_claim
from volition.transparency.verify.log import read_entry

CONSISTENCY_FORMAT: Final = "volition/consistency-proof/1"
INCLUSION_FORMAT: Final = "volition/inclusion-proof/1"

_SIGNATURE: Final = "\n\n\N{EM DASH} ".encode()
_BY_API: Final = frozenset({"seq", "leaf", "hashes", "checkpoint"})


def is_note(data: bytes) -> bool:
    """Say whether a file is a signed note, such as a checkpoint, and no document that quotes one."""
    return not data.lstrip().startswith((b"{", b"[")) and _SIGNATURE in data


def verify_checkpoint(note: bytes, verifier: VerifierKey) -> Verified:
    """Check that a checkpoint is signed with the log's key. What the log holds, other proofs show."""
    return Verified(checks=(check_claim("checkpoint", partial(_check_checkpoint, note, verifier))[0],))


def verify_consistency_proof(document: Mapping[str, Any], verifier: VerifierKey) -> Verified:
    """Check that the log of one checkpoint is an unchanged beginning of the log of another."""
    return Verified(checks=(check_claim("consistency", partial(_check_consistency, document, verifier))[0],))


def verify_inclusion_proof(document: Mapping[str, Any], verifier: VerifierKey) -> Verified:
    """Check that an entry, or its hash alone, is in the log of a checkpoint, at its place."""
    name = f"entry {document.get('seq')}"
    return Verified(checks=(check_claim(name, partial(_check_inclusion, document, verifier))[0],))


def is_inclusion(document: Mapping[str, Any]) -> bool:
    """Say whether a document is the proof of an entry, from the console or from the API."""
    return document.get("format") == INCLUSION_FORMAT or document.keys() == _BY_API


def _check_checkpoint(note: bytes, verifier: VerifierKey) -> str:
    checkpoint = open_checkpoint(note, verifier)
    entries = "1 entry" if checkpoint.size == 1 else f"{checkpoint.size:,} entries"
    return f"signed by the log {checkpoint.origin} when it had {entries}; their root is {checkpoint.root.hex()}"


def _check_key(document: Mapping[str, Any], verifier: VerifierKey) -> None:
    if document["key"] != verifier.to_text():
        raise ProofError("The key in the document is another one than the key to check with. Trust the latter alone.")


def _check_consistency(document: Mapping[str, Any], verifier: VerifierKey) -> str:
    forms.fields(document, "The proof", ("format", "key", "old", "new", "proof"))
    _check_key(document, verifier)
    old, new = (open_checkpoint(forms.text(document[one], "A checkpoint"), verifier) for one in ("old", "new"))
    path = forms.hashes(document["proof"], "The proof")
    merkle.verify_consistency(old.size, new.size, path, old.root, new.root)
    return f"the log of {new.size} entries starts with that of {old.size}: nothing was changed or removed"


def _check_inclusion(document: Mapping[str, Any], verifier: VerifierKey) -> str:
    if "format" in document:
        forms.fields(document, "The proof", ("format", "key", "seq", "entry", "leaf", "checkpoint", "proof"))
        _check_key(document, verifier)
        path, shown = document["proof"], document["entry"]
    else:
        forms.fields(document, "The proof", _BY_API)
        path, shown = document["hashes"], None
    seq = forms.count(document["seq"], "The number of the entry")
    leaf = forms.from_hex(document["leaf"], "The hash of the entry")
    checkpoint = open_checkpoint(forms.text(document["checkpoint"], "The checkpoint"), verifier)
    merkle.verify_inclusion(leaf, seq, checkpoint.size, forms.hashes(path, "The proof"), checkpoint.root)
    where = f"entry {seq} of the log of {checkpoint.size}"
    if shown is None:
        return f"{where}, whose hash alone is shown"
    data = forms.text(shown, "The entry").encode()
    entry = read_entry(data)
    if merkle.leaf_hash(data) != leaf or entry.seq != seq:
        raise ProofError("The entry shown is not the one whose hash is proved.")
    return f"{where}: a {entry.kind} of {us_to_text(entry.at_us)}"
