"""Tables that others keep: rows judged where they lie, each by all that the ledger holds when it is read.

Whom the rows name is resolved once and remembered for later batches and later tables, by purpose, as long as the
workspace is open.
"""

from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from volition.consent.names import Names
from volition.consent.permits import Permits
from volition.workspace.opened import Opened

if TYPE_CHECKING:
    from volition.consent.gate.asked import Asked
    from volition.consent.gate.interned import Folded, InternedGate
    from volition.records.foreign.judged import PermittedRows
    from volition.records.foreign.mapping import TableMapping
    from volition.records.foreign.refused import RefusedRows


class PurposeGate:
    """Judges rows of tables for one purpose, each time at the ledger's head. For several threads."""

    def __init__(self, opened: Opened, names: Names, purpose: str) -> None:
        """Take the opened folder, and who there is."""
        self._opened = opened
        self._names = names
        self._purpose = purpose
        self._turn = Lock()
        self._known: tuple[InternedGate, Permits, int] | None = None  # and up to which entry they know the ledger

    def judge(self, asked: "Asked") -> Any:  # noqa: ANN401 - an array
        """Return each row's reason code, 0 where it may be used now."""
        with self._turn:
            gate, _ = self._at_head()
            return gate.judge(asked)

    def fold(self, asked: "Asked") -> "tuple[Folded, int, int]":
        """Return what each row gets whenever it was collected, when that was judged, and until when it is good."""
        with self._turn:
            gate, permits = self._at_head()
            return gate.fold(asked), permits.at_us, permits.good_until_us()

    def _at_head(self) -> "tuple[InternedGate, Permits]":
        """Return what judges, moved on to the ledger's head."""
        from volition.consent.gate.interned import InternedGate  # noqa: PLC0415 - it loads Arrow

        self._names.refresh()
        known, self._known = self._known, None  # if it fails half-way, it is made anew
        history, now_us = self._opened.history(), self._opened.now_us
        if known is None or known[1].at_us > now_us:
            permits = Permits(history, purpose=self._purpose, at_us=now_us)
            gate = InternedGate(permits, self._names)
        else:
            gate, permits, size = known
            gate.learn(self._opened.entries_since(size), at_us=now_us)
        self._known = gate, permits, history.size
        return gate, permits


class Tables:
    """What may be used of tables; what judges for a purpose is kept. `Records` is its door."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened
        self._gates: dict[str, PurposeGate] = {}

    def permitted(  # noqa: PLR0913 - a table, how it is read, and who is told
        self,
        table: Any,  # noqa: ANN401 - of many packages, none of which may be installed
        mapping: "TableMapping",
        purpose: str,
        *,
        connection: Any = None,  # noqa: ANN401
        good_for: timedelta | None = None,
        noting: "RefusedRows | None" = None,
    ) -> "PermittedRows[Any]":
        """Return the rows of a table that may be used for a purpose, in the same form and order.

        Each row is judged when it is read. Nothing is frozen, and nothing is collected, so what learns from it cannot
        be released: `Snapshots.create` is for that.

        Args:
            table: An Arrow table, batch, reader or dataset; a pandas or polars frame, lazy or not; a DuckDB relation; a
                Delta or Iceberg table; a Spark frame; or the path of a Parquet file, or of a folder with Parquet files,
                a Delta or an Iceberg table. What `records.foreign` lists says as what it comes out.
            mapping: Which of its columns say whose a row is, about whom, of what kind, and when it was collected.
            purpose: A leaf of the purposes that there are.
            connection: Whose a DuckDB relation is; by default DuckDB's default connection.
            good_for: How long a judged Spark frame may be run: after that every row of it is refused (`stale`); by
                default one hour. Other forms are judged anew whenever they are read.
            noting: Notes a few of the rows that are left out, while they are read.

        Raises:
            InvalidInputError: There is no such purpose, the table is of no such form, or a column is not as it must be.
            MissingExtraError: What reads the table is not installed.
        """
        from volition.records.foreign.forms import permitted  # noqa: PLC0415 - it loads Arrow
        from volition.records.foreign.frame import GOOD_FOR  # noqa: PLC0415

        gate = self.gate(purpose)
        judge = gate if noting is None else noting.before(gate)
        if mapping.category is not None:
            self._opened.history().vocabulary.check_category(mapping.category)
        return permitted(table, mapping, judge, connection=connection, good_for=good_for or GOOD_FOR)

    def gate(self, purpose: str) -> PurposeGate:
        """Return what judges for a purpose. Raises InvalidInputError where there is no such purpose."""
        self._opened.history().vocabulary.check_purpose(purpose)
        if purpose not in self._gates:
            self._gates[purpose] = PurposeGate(self._opened, Names(self._opened.parties), purpose)
        return self._gates[purpose]
