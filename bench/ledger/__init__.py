"""How fast the ledger appends, against bare SQLite commits of the same bytes.

designs   what other layouts of the table would cost
signed    what signing costs, and would cost at another moment
steps     where the time of an append goes
appends   appends of one thread and of several, against bare SQLite
"""

from bench.ledger.appends import draft, run
from bench.ledger.signed import SIGNER

__all__ = ["SIGNER", "draft", "run"]
