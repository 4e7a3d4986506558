"""A log as somebody else hands it over: a signed checkpoint, and the entries that it commits to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from volition.errors import ProofError
from volition.learning.registry import ModelState, models_in
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import Checkpoint, VerifierKey, open_note, parse_checkpoint


def open_checkpoint(note: str | bytes, verifier: VerifierKey) -> Checkpoint:
    """Return a checkpoint that is signed by the log's key and belongs to the log that the key names."""
    checkpoint = parse_checkpoint(open_note(note, verifier).text)
    if checkpoint.origin != verifier.name:
        msg = f"The checkpoint belongs to the log {checkpoint.origin}, the key to {verifier.name}."
        raise ProofError(msg)
    return checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log whose checkpoint, tree and times were verified, and its models that have not been forgotten."""

    entries: Sequence[Entry]
    tree: merkle.Tree
    verifier: VerifierKey
    working: Sequence[ModelState]

    def last(self, kind: str, **said: str) -> Entry:
        """Return the last entry of a kind whose body has these values."""
        for entry in reversed(self.entries):
            if entry.kind == kind and said.items() <= entry.body.items():
                return entry
        msg = f"The ledger has no {kind} of {', '.join(said.values())}."
        raise ProofError(msg)

    def __str__(self) -> str:
        return f"{len(self.entries)} entries under the signed root {self.tree.root.hex()[:16]}..."

    def prefix(self, note: str) -> int:
        """Return the size in a checkpoint that is signed and is a prefix of this log."""
        checkpoint = open_checkpoint(note, self.verifier)
        if checkpoint.size > len(self.entries):
            msg = f"A manifest's checkpoint has {checkpoint.size} entries, the log only {len(self.entries)}."
            raise ProofError(msg)
        if merkle.root(checkpoint.size, self.tree.read) != checkpoint.root:
            msg = f"A manifest's checkpoint of size {checkpoint.size} is not a prefix of this log."
            raise ProofError(msg)
        return checkpoint.size


def read_log(members: Mapping[str, bytes], verifier: VerifierKey) -> Log:
    """Check the checkpoint, the tree, the numbers and the times of a bundle's log."""
    checkpoint = open_checkpoint(members["checkpoint"], verifier)
    *lines, rest = members["entries.jsonl"].split(b"\n")
    tree = merkle.Tree(lines)
    if rest or (tree.size, tree.root) != (checkpoint.size, checkpoint.root):
        msg = f"The {tree.size} entries are not those that the signed checkpoint of size {checkpoint.size} commits to."
        raise ProofError(msg)
    entries = [Entry.from_leaf(line) for line in lines]
    if [entry.seq for entry in entries] != list(range(tree.size)):
        raise ProofError("The entries are not numbered in their order.")
    if any(later.at_us < earlier.at_us for earlier, later in pairwise(entries)):
        raise ProofError("Time runs backwards in the ledger: an entry is dated before the one that precedes it.")
    working = [model for model in models_in(entries).values() if model.forgotten_us is None]
    return Log(entries=entries, tree=tree, verifier=verifier, working=working)
