"""Rows that were refused, noted while a table is judged: a few of each reason, for whoever asks why."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.consent.gate import reason_of
from volition.consent.gate.asked import NULL_US, Asked
from volition.consent.gate.interned import Folded
from volition.consent.permits import Reason
from volition.errors import InvalidInputError
from volition.records.foreign.judged import TableJudge

MOST: Final = 5
"""How many rows of each reason are noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """A row that may not be used.

    Attributes:
        row: Its number, as the table was read, counted from 1.
        reason: Why.
        account: Whose it is, as the row has it; none where it says nothing.
        people: Whom it names, likewise.
        category: Of what kind it is, likewise.
        collected_us: When it was collected, microseconds since the Unix epoch, UTC; none where that is not known.
        conversation: What its meeting, channel or file is called, empty if it is of none; none where that is not said.
    """

    row: int
    reason: Reason
    account: str | None
    people: tuple[str | None, ...]
    category: str | None
    collected_us: int | None
    conversation: str | None

    @property
    def missing(self) -> tuple[str, ...]:
        """What the row does not say, of all that the gate must know."""
        said = {"account": self.account, "category": self.category, "time": self.collected_us}
        nobody = not self.people or None in self.people
        return (*(name for name, value in said.items() if value is None), *(("people",) if nobody else ()))


@dataclass(slots=True)
class RefusedRows:
    """Notes rows as they are judged. Implements `TableJudge` once it was put in front of one."""

    most: int = MOST
    found: list[RefusedRow] = field(default_factory=list)
    _judge: TableJudge | None = None
    _read: int = 0
    _noted: Counter[int] = field(default_factory=Counter)

    def before(self, judge: TableJudge) -> TableJudge:
        """Return what judges as another one does, and notes what it refuses."""
        self._judge = judge
        return self

    def judge(self, asked: Asked) -> NDArray[np.int8]:
        """See `TableJudge.judge`."""
        codes = self._judged().judge(asked)
        ends = np.cumsum(asked.lengths)
        for code in np.unique(codes[codes != 0]).tolist():
            for place in np.flatnonzero(codes == code)[: self.most - self._noted[code]].tolist():
                self._noted[code] += 1
                start, end = int(ends[place] - asked.lengths[place]), int(ends[place])
                self.found.append(self._row(asked, place, start, end, code))
        self._read += len(asked)
        return codes

    def fold(self, asked: Asked) -> tuple[Folded, int, int]:
        """See `TableJudge.fold`. Raises InvalidInputError: Spark judges by itself, and no row comes here."""
        del asked
        msg = "Rows of a Spark frame are judged by Spark, so none is noted here. Explain a file or an Arrow table."
        raise InvalidInputError(msg)

    def _judged(self) -> TableJudge:
        assert self._judge is not None  # noqa: S101 - it was put in front of one
        return self._judge

    def _row(self, asked: Asked, place: int, start: int, end: int, code: int) -> RefusedRow:
        reason = reason_of(code)
        assert reason is not None  # noqa: S101 - it was refused
        at_us = int(asked.collected_us[place])
        return RefusedRow(
            row=self._read + place + 1,
            reason=reason,
            account=asked.account.values[asked.account.number[place]],
            people=tuple(asked.people.values[number] for number in asked.people.number[start:end].tolist()),
            category=asked.category.values[asked.category.number[place]],
            collected_us=None if at_us == NULL_US else at_us,
            conversation=asked.conversation.values[asked.conversation.number[place]],
        )
