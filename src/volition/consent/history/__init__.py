"""History: the ledger's entries that bear on permission, arranged by party. It knows; it decides nothing.

The field calls such a thing a consent record store or, over an event log, a projection. Consents and their revocations
are answers (decisions and signals): columns of numbers, one row for each answer in the ledger's order, so that tens of
millions fit into memory. What is rare (terms, acceptances, regions, limits, erasures, models) is held as it came. Times
never run backwards.

A history that took long to read is saved: `save_history` writes the columns with a signature by this log's key over the
tree that they were read from, and `find_saved_history` reads back only what the signature and the ledger confirm.

    >>> history = read_history(ledger.entries())      # doctest: +SKIP
    >>> history.party("account:acme").decisions       # doctest: +SKIP
    [Decision(yes=True, ...)]

Each module knows only those before it:

values        what is known of a party: decisions, limits, answers as columns
columns       columns that grow
bindings      which terms were published, who accepted which, and which bind whom since when
answers       who answered what, one row for each answer
sharings      which conversations were opened to whom, and by whom
exclusions    which conversations were left out of which uses, and by whom
history       bindings and answers put together: all that a party did, and the files that hold it all
replay        from ledger entries to a history
publications  were terms published as they must be? The entry that was not is named
saved         a history on disk, signed
"""

from volition.consent.history.exclusions import Exclusion, Exclusions
from volition.consent.history.history import History
from volition.consent.history.publications import check_publications
from volition.consent.history.replay import (
    content_number,
    extend_history,
    extend_history_by,
    import_number,
    read_history,
)
from volition.consent.history.saved import LedgerRoots, find_saved_history, save_history
from volition.consent.history.sharings import OPERATOR, SOURCE, Sharings
from volition.consent.history.values import (
    BEGINNING_US,
    NO_END_US,
    NO_LIMITS,
    NOT_BACK_US,
    AnswerColumns,
    AnswerScope,
    Decision,
    Limit,
    PartyHistory,
    PartyLimits,
)

__all__ = [
    "BEGINNING_US",
    "NOT_BACK_US",
    "NO_END_US",
    "NO_LIMITS",
    "OPERATOR",
    "SOURCE",
    "AnswerColumns",
    "AnswerScope",
    "Decision",
    "Exclusion",
    "Exclusions",
    "History",
    "LedgerRoots",
    "Limit",
    "PartyHistory",
    "PartyLimits",
    "Sharings",
    "check_publications",
    "content_number",
    "extend_history",
    "extend_history_by",
    "find_saved_history",
    "import_number",
    "read_history",
    "save_history",
]
