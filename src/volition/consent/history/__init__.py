"""History: the ledger's entries that bear on permission, arranged by party. It knows; it decides nothing.

Answers (decisions and signals) are columns of numbers, one row an answer in the ledger's order, so that tens of
millions fit into memory; each row names the row of the same party before it. What is rare (terms, acceptances,
regions, limits, erasures, models) is kept as it came. Times never run backwards.

A history that was long to read is kept: `keep_history` writes the columns with a seal that this log's key has signed,
over the tree that they were read from, and `find_history` reads back only what the seal and the ledger confirm.

    >>> history = read_history(ledger.entries())      # doctest: +SKIP
    >>> history.party("account:acme").decisions       # doctest: +SKIP
    [Decision(yes=True, ...)]

Each module knows only those before it:

values       what is known of a party: decisions, limits, answers as columns
columns      columns that grow
bindings     which terms were published, who accepted which, and which bind whom since when
answers      who answered what, one row an answer
history      the history: all that a party did, and the files that hold it all
replay       from ledger entries to a history
saved        a history on disk, sealed
"""

from volition.consent.history.history import History
from volition.consent.history.replay import extend_history, read_history
from volition.consent.history.saved import Tree, find_history, keep_history
from volition.consent.history.values import (
    BEGINNING_US,
    NO_LIMITS,
    NOT_BACK_US,
    Answers,
    Decision,
    Limit,
    Limits,
    PartyHistory,
    Scope,
)

__all__ = [
    "BEGINNING_US",
    "NOT_BACK_US",
    "NO_LIMITS",
    "Answers",
    "Decision",
    "History",
    "Limit",
    "Limits",
    "PartyHistory",
    "Scope",
    "Tree",
    "extend_history",
    "find_history",
    "keep_history",
    "read_history",
]
