"""A log as somebody else hands it over: a signed checkpoint, and the entries that it commits to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from volition.canonical import us_to_text
from volition.errors import ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry, check_form
from volition.ledger.signing import VerifierKey, open_checkpoint


def read_entry(leaf: bytes) -> Entry:
    """Read an entry from the bytes that are a leaf of the tree.

    Raises:
        ProofError: They are no entry, or not the one spelling of it.
    """
    entry = Entry.from_leaf(leaf)
    if entry.leaf_bytes != leaf:
        raise ProofError(f"Entry {entry.seq} is not in the canonical form of JSON (RFC 8785), in which it was written.")
    return entry


@dataclass(frozen=True, kw_only=True)
class Log:
    """A log whose checkpoint, tree, numbers and times were verified."""

    entries: Sequence[Entry]
    tree: merkle.Tree
    verifier: VerifierKey

    @property
    def last_us(self) -> int:
        """The instant of the last entry: later than that, nothing is known."""
        return self.entries[-1].at_us if self.entries else 0

    @cached_property
    def _named(self) -> Mapping[tuple[str, str], Entry]:
        """The first entry that names a snapshot or a model, and the last release of a model."""
        found: dict[tuple[str, str], Entry] = {}
        for entry in self.entries:
            if entry.kind in {"snapshot", "model"}:
                found.setdefault((entry.kind, str(entry.body.get(entry.kind))), entry)
            elif entry.kind == "release":
                found[entry.kind, str(entry.body.get("model"))] = entry
        return found

    def named(self, kind: str, name: str) -> Entry:
        """Return the entry of a snapshot or a model, or the last release of a model. Raises ProofError without one."""
        found = self._named.get((kind, name))
        if found is None:
            raise ProofError(f"The ledger has no {kind} of {name}.")
        return found

    def __str__(self) -> str:
        """Say what was found."""
        until = f", the last of {us_to_text(self.last_us)}" if self.entries else ""
        return f"{len(self.entries)} entries{until}, under the signed root {self.tree.root.hex()[:16]}..."

    def prefix(self, note: str | bytes, what: str = "A manifest's checkpoint") -> int:
        """Return the size in a checkpoint that is signed and is a prefix of this log."""
        checkpoint = open_checkpoint(note, self.verifier)
        if checkpoint.size > len(self.entries):
            msg = f"{what} has {checkpoint.size} entries, the log only {len(self.entries)}: its end was cut off."
            raise ProofError(msg)
        if merkle.root(checkpoint.size, self.tree.read) != checkpoint.root:
            raise ProofError(
                f"{what}, of size {checkpoint.size}, is not a prefix of this log: it was changed, or there are two."
            )
        return checkpoint.size


def read_log(members: Mapping[str, bytes], verifier: VerifierKey) -> Log:
    """Check the checkpoint, the tree, the form, the numbers and the times of a bundle's log."""
    checkpoint = open_checkpoint(members["checkpoint"], verifier)
    *lines, rest = members["entries.jsonl"].split(b"\n")
    tree = merkle.Tree(lines)
    if rest or (tree.size, tree.root) != (checkpoint.size, checkpoint.root):
        msg = f"The {tree.size} entries are not those that the signed checkpoint of size {checkpoint.size} commits to."
        raise ProofError(msg)
    entries = [read_entry(line) for line in lines]
    if [entry.seq for entry in entries] != list(range(tree.size)):
        raise ProofError("The entries are not numbered in their order.")
    if any(later.at_us < earlier.at_us for earlier, later in pairwise(entries)):
        raise ProofError("Time runs backwards in the ledger: an entry is dated before the one that precedes it.")
    before: Entry | None = None
    for entry in entries:
        check_form(entry, before)
        before = entry
    return Log(entries=entries, tree=tree, verifier=verifier)
