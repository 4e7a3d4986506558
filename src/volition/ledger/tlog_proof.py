"""The proof that one entry is in the log, as a file: C2SP tlog-proof, which other tools read as well.

It holds the entry's number, its inclusion proof, a signed checkpoint (with the signatures of witnesses, where there are
any) and perhaps, as its `extra` data, the entry itself. Nothing of it is believed: the entry is hashed, and what it
hashes to must be in the tree that was signed.

    c2sp.org/tlog-proof@v1
    extra eyJhdCI6Ij...
    index 2
    p5vUAZS2ZU1GBZ4VgKIVezvyXn7rgzyJJDmMmt04Vuo=

    log.example/volition
    3
    ...

Source: c2sp.org/tlog-proof.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.entry import MAX_ENTRY_BYTES, Entry
from volition.ledger.policy import Accepted, Policy, check_policy
from volition.ledger.signing import VerifierKey, from_base64, to_base64

HEADER: Final = "c2sp.org/tlog-proof@v1"
SUFFIX: Final = ".tlog-proof"

MAX_BYTES: Final = 256 * 1024
"""Longer proofs are refused: an entry, 63 hashes and a checkpoint take less."""

_MOST_HASHES = 63
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A proof as it was received: nothing of it is verified.

    Attributes:
        index: The entry's number, counted from 0.
        hashes: The inclusion proof, 32 bytes each, from the leaf's sibling up.
        note: The signed checkpoint of a tree that has the entry.
        extra: Further data; here the entry's bytes. None where there are none.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: str
    extra: bytes | None = None

    def to_text(self) -> str:
        """Write the proof as a file; `from_text` reads it back unchanged."""
        extra = "" if self.extra is None else f"extra {to_base64(self.extra)}\n"
        hashes = "".join(f"{to_base64(one)}\n" for one in self.hashes)
        return f"{HEADER}\n{extra}index {self.index}\n{hashes}\n{self.note}"

    @classmethod
    def from_text(cls, text: str | bytes) -> Self:
        """Read a proof.

        Raises:
            ProofError: It is none, or not in the one form in which it is written.
        """
        try:
            decoded = text if isinstance(text, str) else text.decode()
        except UnicodeDecodeError as error:
            raise ProofError("The proof is not UTF-8 text.") from error
        head, separator, note = decoded.partition("\n\n")
        header, *lines = head.split("\n")
        if header != HEADER or not separator or len(decoded) > MAX_BYTES:
            raise ProofError(f"This is no proof of an entry: it should begin with {HEADER}.")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = from_base64(lines.pop(0).removeprefix("extra "))
        index = _INDEX.fullmatch(lines[0]) if lines else None
        hashes = tuple(map(from_base64, lines[1:]))
        if extra == b"" or index is None or len(hashes) > _MOST_HASHES:
            raise ProofError("The proof of an entry is malformed: its extra data, its index or its hashes.")
        if any(len(one) != merkle.HASH_BYTES for one in hashes):
            raise ProofError("The proof of an entry is malformed: each hash is 32 bytes in base64, one a line.")
        return cls(index=int(index[1]), hashes=hashes, note=note, extra=extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenEntry:
    """An entry that is in the log, and the checkpoint that says so."""

    entry: Entry
    accepted: Accepted


def verify_tlog_proof(
    text: str | bytes, trust: VerifierKey | Policy, *, log: VerifierKey | None = None, entry: bytes | None = None
) -> ProvenEntry:
    """Check that an entry is in the log that a proof is about.

    Args:
        text: The proof file.
        trust: The log's public key, or a policy that a checkpoint must satisfy.
        log: With a policy: the log that it must be of.
        entry: The entry's bytes; none where the proof has them as its extra data.

    Raises:
        InvalidInputError: The entry is neither given nor in the proof, or the policy does not fit the log.
        ProofError: The proof does not show it.
    """
    proof = TlogProof.from_text(text)
    policy = trust if isinstance(trust, Policy) else Policy.of_log(trust)
    accepted = check_policy(proof.note, policy, log=log)
    if entry is not None and proof.extra is not None and entry != proof.extra:
        raise ProofError("The proof has another entry in it than the one that was given.")
    leaf = proof.extra if entry is None else entry
    if leaf is None:
        raise InvalidInputError("The proof does not have the entry in it. Give the entry besides: --entry FILE.")
    if len(leaf) > MAX_ENTRY_BYTES:
        raise ProofError(f"No entry is longer than {MAX_ENTRY_BYTES} bytes; this one has {len(leaf)}.")
    checkpoint = accepted.checkpoint
    merkle.verify_inclusion(merkle.leaf_hash(leaf), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    found = Entry.from_leaf(leaf)
    if found.seq != proof.index or found.leaf_bytes != leaf:
        raise ProofError(f"Entry {proof.index} says that it is number {found.seq}, or is not in its one form.")
    return ProvenEntry(entry=found, accepted=accepted)
