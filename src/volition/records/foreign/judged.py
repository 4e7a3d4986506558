"""Rows judged batch by batch, and how many were left out for which reason."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from volition.consent.gate import reason_of
from volition.consent.gate.asked import Asked
from volition.consent.gate.interned import Folded
from volition.consent.permits import REASON_CODES, Reason
from volition.records.foreign.mapping import TableMapping

Form = TypeVar("Form")
"""The form of a table: an Arrow table, a polars lazy frame, ..."""


class TableJudge(Protocol):
    """Judges rows for one purpose, each time by everything that the ledger holds then. For several threads."""

    def judge(self, asked: Asked) -> NDArray[np.int8]:
        """Return each row's reason code, 0 where it may be used now."""
        ...

    def fold(self, asked: Asked) -> tuple[Folded, int, int]:
        """Return what each row gets whenever it was collected, when that was judged, and until when it is good."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCounts:
    """How many rows were read, how many may be used, and why the others may not."""

    read: int
    kept: int
    dropped: dict[Reason, int]

    @classmethod
    def of(cls, totals: dict[Reason | None, int]) -> "TableCounts":
        """Make them of rows by reason, none for permitted."""
        dropped = {reason: total for reason, total in totals.items() if reason is not None and total}
        kept = totals.get(None, 0)
        return cls(read=kept + sum(dropped.values()), kept=kept, dropped=dict(sorted(dropped.items())))

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON, in the words of a snapshot's manifest."""
        return {"read": self.read, "kept": self.kept, "dropped": {str(key): one for key, one in self.dropped.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class PermittedRows(Generic[Form]):
    """What may be used of a table.

    Attributes:
        rows: The rows, in the table's own form and order.
        count: Counts rows by reason: of a form that is read later, those that were read until now; of a Spark frame it
            runs a job.
    """

    rows: Form
    count: Callable[[], TableCounts]


@dataclass(slots=True)
class RowJudge:
    """Judges a table's rows by a mapping, and counts them."""

    mapping: TableMapping
    judge: TableJudge
    _totals: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(REASON_CODES) + 1, np.int64))
    _turn: Any = field(default_factory=Lock)

    def passing(self, batch: pa.RecordBatch) -> NDArray[np.bool_]:
        """Return for each row whether it may be used now. Raises InvalidInputError where a column is none."""
        codes = self.judge.judge(self.mapping.asked(batch))
        with self._turn:
            self._totals += np.bincount(codes, minlength=len(self._totals))
        passing: NDArray[np.bool_] = codes == 0
        return passing

    def permitted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of a batch that may be used now."""
        return chosen(batch, self.passing(batch))

    def counts(self) -> TableCounts:
        """Return what was counted until now."""
        with self._turn:
            totals = self._totals.tolist()
        return TableCounts.of({reason_of(code): total for code, total in enumerate(totals)})


def chosen(rows: Any, passing: NDArray[np.bool_]) -> Any:  # noqa: ANN401 - Arrow has no types
    """Return some of the rows of a table or a batch, in the same columns."""
    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    schema = pa.schema([one.with_type(plain.get(one.type, one.type)) for one in rows.schema])
    if schema.equals(rows.schema):
        return rows.filter(mask_of(passing))
    return rows.cast(schema).filter(mask_of(passing)).cast(rows.schema)  # of views Arrow chooses no rows


def mask_of(passing: NDArray[np.bool_]) -> pa.Array:
    """Return a mask as an Arrow array; `pa.array` is slower, and loads pandas if that is installed."""
    bits = pa.py_buffer(np.packbits(passing, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(passing), [None, bits])
