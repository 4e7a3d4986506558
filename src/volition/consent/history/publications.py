"""Were terms published as they must be? For whoever checks a log that somebody else wrote.

The history itself binds nobody too soon, whatever an entry says (see `bindings`). Here the entry that tried is named.
"""

from collections.abc import Iterable

from volition.canonical import text_to_us, us_to_text
from volition.consent.history.bindings import WRITING_US
from volition.consent.history.history import History
from volition.consent.history.replay import extend_history
from volition.consent.terms.model import Terms
from volition.errors import ProofError
from volition.ledger.entry import Entry


def check_publications(entries: Iterable[Entry]) -> int:
    """Check every publication of terms in a log; return how many there are.

    Args:
        entries: All entries, in their order.

    Raises:
        InvalidInputError: The body of an entry cannot be read.
        ProofError: An id was published before, or a version is to bind accounts before its entry, or one that newly
            allows something before its notice period ends.
    """
    history, total = History(), 0
    for entry in entries:
        if entry.kind == "terms":
            _check(history, entry)
            total += 1
        extend_history(history, entry)
    return total


def _check(history: History, entry: Entry) -> None:
    terms, binds_us = Terms.from_json(entry.body["terms"]), text_to_us(entry.body["binds"])
    says = f"Entry {entry.seq} publishes {terms.id!r}"
    if any(terms.id == known.id for known in history.bindings.published()):
        raise ProofError(f"{says}, which was published before: what accounts had accepted was changed.")
    if binds_us < entry.at_us - WRITING_US:
        raise ProofError(f"{says} from {us_to_text(binds_us)} on, before the entry itself: the past was changed.")
    earliest_us = history.bindings.earliest_us(terms, binds_us=binds_us, at_us=entry.at_us)
    if max(binds_us, entry.at_us) < earliest_us - WRITING_US:
        raise ProofError(
            f"{says} from {us_to_text(binds_us)} on, though it newly allows something to accounts that could not know "
            f"of it for long enough: they may be bound from {us_to_text(earliest_us)} on."
        )
