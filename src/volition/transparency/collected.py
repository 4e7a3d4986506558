"""What was recorded about a person, shown to that person: the ledger committed to it when it was collected.

A proof reveals the pseudonym of nobody else: others are in the leaves under aliases, which differ from batch to batch.
It cannot show that there is nothing more; what is older than such entries is not in it.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from volition.consent.gate import Subject
from volition.errors import InvalidInputError
from volition.ledger.log import Ledger
from volition.records.commitment import CollectedBatch, Fact, Leaves, paths_of, person_token, split_hashes
from volition.records.lake import Lake
from volition.transparency.verify.collected import COLLECTED_FORMAT

_ASKED_AT_ONCE: Final = 500


def prove_collected(
    ledger: Ledger, lake: Lake, subject: Subject, *, conversation: str | None = None, record: str | None = None
) -> dict[str, Any]:
    """Prove what was recorded about a person: when, as what, of which conversation, and that it concerns them.

    Args:
        ledger: The log, which has an entry about each batch that was collected.
        lake: Where the records lie.
        subject: The person who asks.
        conversation: Only what belongs to this one, as entries of the ledger name it.
        record: Only this record.

    Returns:
        A JSON object that `verify_collected` checks with the log's public key alone.

    Raises:
        InvalidInputError: No such record concerns the person, or all of them are older than such entries.
        ProofError: A record is not as it was collected.
    """
    facts = [
        fact
        for fact in lake.facts(subject)
        if conversation in {None, fact.conversation} and record in {None, fact.record_id}
    ]
    facts.sort(key=lambda fact: (fact.collected_us, fact.record_id))
    if not facts:
        raise InvalidInputError("No such record concerns this person, so there is nothing to prove.")
    known = [batch for batch in lake.collected(facts) if batch.entry is not None]
    if not known:
        msg = "What was collected of this person is older than the ledger's entries about that: nothing can be proved."
        raise InvalidInputError(msg)
    size = ledger.size
    there = {person for batch in known for row in batch.rows for person in facts[row].people}
    pseudonyms = sorted(there.intersection((subject.pseudonym, *subject.merged)))
    return {
        "format": COLLECTED_FORMAT,
        "pseudonyms": pseudonyms,
        "batches": [_shown(batch, facts, pseudonyms, ledger, size) for batch in known],
        "checkpoint": ledger.checkpoint(size),
    }


def is_provable(lake: Lake, subject: Subject, *, conversation: str | None = None) -> bool:
    """Return whether anything can be proved of what was recorded about a person, or of one conversation alone.

    Nothing can where nothing was recorded, or all of it is older than the ledger's entries about that.
    """
    ids = (fact.record_id for fact in lake.facts(subject) if conversation in {None, fact.conversation})
    return any(lake.has_entry(some) for some in iter(lambda: list(islice(ids, _ASKED_AT_ONCE)), []))


def _shown(
    batch: CollectedBatch, facts: Sequence[Fact], pseudonyms: Sequence[str], ledger: Ledger, size: int
) -> dict[str, Any]:
    """Return what a proof shows of a batch: its entry, and those of its leaves that concern the person."""
    [entry] = ledger.entries(batch.entry or 0, (batch.entry or 0) + 1)
    there = {person for row in batch.rows for person in facts[row].people}
    leaves = Leaves(batch.people_key)
    written = [leaves.leaf(facts[row], batch.salt(place)).decode() for place, row in enumerate(batch.rows)]
    paths = paths_of(split_hashes(batch.leaves), batch.indexes)
    shown = sorted(zip(batch.indexes, written, paths, strict=True))
    return {
        "entry": entry.leaf_bytes.decode(),
        "path": [step.hex() for step in ledger.prove_inclusion(entry.seq, size)],
        "tokens": {one: person_token(batch.people_key, one).hex() for one in pseudonyms if one in there},
        "leaves": [
            {"index": index, "leaf": leaf, "path": [step.hex() for step in path]} for index, leaf, path in shown
        ],
    }
