"""Proofs about the log as documents that anyone checks offline, and whether the log has only grown since a checkpoint.

Somebody who kept a checkpoint, or a receipt or proof that quotes one, asks by it whether the log of today still begins
with the log of then (RFC 9162 consistency). The answer is in words, with the proof to keep.

    >>> grown_since("no checkpoint", workspace, reader)                                         # doctest: +SKIP
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from volition.errors import InvalidInputError, ProofError, RefusedError
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import Checkpoint
from volition.server.entry_readers import EntryReader, check_hides, check_may_prove, may_read
from volition.transparency.evidence import SIGNATURE, quoted_checkpoints
from volition.transparency.verify.proofs import CONSISTENCY_FORMAT, INCLUSION_FORMAT
from volition.workspace import Workspace

_MOST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """Whether the log has only grown since what somebody holds.

    Attributes:
        holds: Whether it has.
        says: The answer in words.
        old_size: How many entries the newest checkpoint that was shown counts; none if it is none of this log.
        new_size: How many entries there are.
        proof: The consistency proof; none where it does not hold, or may not be given.
        why_none: Why there is none though it holds; empty otherwise.
    """

    holds: bool
    says: str
    old_size: int | None
    new_size: int
    proof: dict[str, Any] | None
    why_none: str


def inclusion(workspace: Workspace, reader: EntryReader, entry: Entry) -> dict[str, Any]:
    """Prove that an entry is in the log as it is now; to who may not read it whole it is given as its hash alone.

    Raises as `entry_readers.check_may_prove` does.
    """
    ledger = workspace.ledger
    size = ledger.size
    check_may_prove(reader, ledger, entry, merkle.inclusion_spans(entry.seq, size))
    return {
        "format": INCLUSION_FORMAT,
        "key": workspace.verifier.to_text(),
        "seq": entry.seq,
        "entry": entry.leaf_bytes.decode() if may_read(reader, entry) else None,
        "leaf": entry.leaf_hash.hex(),
        "checkpoint": workspace.log.cosigned(size),
        "proof": [node.hex() for node in ledger.prove_inclusion(entry.seq, size)],
    }


def consistency(workspace: Workspace, reader: EntryReader, old: str | int, new: int) -> dict[str, Any]:
    """Prove that the log at one size is an unchanged beginning of the log at another.

    Args:
        workspace: Whose log.
        reader: Who asks.
        old: The older size, or a checkpoint of it that was verified.
        new: The newer size.

    Raises:
        InvalidInputError: The log never had one of the sizes, or the first is larger.
        RefusedError: The proof would let them guess what other entries say.
    """
    ledger = workspace.ledger
    size = old if isinstance(old, int) else ledger.open_checkpoint(old).size
    document = {
        "format": CONSISTENCY_FORMAT,
        "key": workspace.verifier.to_text(),
        "old": workspace.log.cosigned(old) if isinstance(old, int) else old,
        "new": workspace.log.cosigned(new),
        "proof": [node.hex() for node in ledger.prove_consistency(size, new)],
    }
    check_hides(reader, ledger, merkle.consistency_spans(size, new))
    return document


def command_for(name: str, key: str, *, more: str = "") -> str:
    """Return the command that checks a file: what is printed beside each download."""
    return f"volition verify {name} --key '{key}'{more}"


def grown_since(text: str, workspace: Workspace, reader: EntryReader) -> Grown:
    """Say whether the log has only grown since the checkpoints in a text.

    Args:
        text: A signed checkpoint, or a JSON document that quotes some: a receipt, a proof, a bundle of them.
        workspace: Whose log.
        reader: Who asks.

    Raises:
        InvalidInputError: There is no checkpoint in it, or there are very many different ones.
    """
    notes = [*dict.fromkeys(_quoted(text))]
    if not notes:
        raise InvalidInputError(
            "There is no checkpoint in this text. Paste a checkpoint as it was downloaded, with its signature, or the "
            "whole text of a receipt or proof file."
        )
    if len(notes) > _MOST:
        raise InvalidInputError(f"These are {len(notes):,} different checkpoints. Ask about at most {_MOST} at once.")
    size = workspace.ledger.size
    kept: list[tuple[Checkpoint, str]] = []
    for note in notes:
        found = _compared(note, workspace, size)
        if isinstance(found, Grown):
            return found
        kept.append((found, note))
    newest, note = max(kept, key=lambda one: one[0].size)
    try:
        proof, why_none = consistency(workspace, reader, note, size), ""
    except RefusedError as refused:
        proof, why_none = None, str(refused)
    return Grown(
        holds=True,
        says=_said(newest.size, size, len(kept)),
        old_size=newest.size,
        new_size=size,
        proof=proof,
        why_none=why_none,
    )


def _compared(note: str, workspace: Workspace, size: int) -> Checkpoint | Grown:
    """Return a checkpoint of which the log is a continuation; or why it is none."""
    old_size = None
    keep = "Keep it, and show it to an auditor: signed with the log's key, it is evidence that the log was changed."
    try:
        checkpoint = workspace.ledger.open_checkpoint(note)
        old_size = checkpoint.size
        if checkpoint.size > size:
            says = (
                f"The log has not only grown. Your checkpoint counts {checkpoint.size:,} entries, and there are "
                f"{size:,} now: the last ones were removed. {keep}"
            )
        elif workspace.ledger.root(checkpoint.size) != checkpoint.root:
            says = (
                f"The log has not only grown. Its first {checkpoint.size:,} entries are not those that your "
                f"checkpoint was signed for. {keep}"
            )
        else:
            return checkpoint
    except ProofError:
        says = (
            "This checkpoint is not signed with the key of this log: it is that of another log, or it was changed "
            "since it was signed. So nothing follows from it about this log."
        )
    return Grown(holds=False, says=says, old_size=old_size, new_size=size, proof=None, why_none="")


def _said(old: int, new: int, count: int) -> str:
    which = "your checkpoint" if count == 1 else f"the newest of your {count:,} checkpoints"
    others = "" if count == 1 else " The older ones fit as well."
    if old == new:
        return f"The log is as {which} says: it still has {new:,} entries, and none of them was changed.{others}"
    added = "1 entry was" if new - old == 1 else f"{new - old:,} entries were"
    return (
        f"The log has only grown since {which}: its {old:,} entries are still the first ones, unchanged, and {added} "
        f"added.{others}"
    )


def _quoted(text: str) -> Iterator[str]:
    """Yield every checkpoint in a text, as it was signed; a form sends other ends of lines."""
    plain = text.replace("\r\n", "\n").strip()
    try:
        document = json.loads(plain)
    except (ValueError, RecursionError):
        if SIGNATURE in plain:
            yield f"{plain}\n"
        return
    yield from quoted_checkpoints(document)
