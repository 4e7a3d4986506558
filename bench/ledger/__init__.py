"""How fast the ledger appends, against bare SQLite commits of the same bytes.

designs   what other layouts of the table would cost
appends   appends of one thread and of several, against bare SQLite
"""

from bench.ledger.appends import run

__all__ = ["run"]
