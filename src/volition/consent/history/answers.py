"""Who answered what: decisions and signals as columns, one row an answer in the ledger's order.

Parties and scopes are small numbers, given out as they come. Each row names the row of the same party before it, so one
party's answers are found without reading the others'.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.consent.history.bindings import Binding
from volition.consent.history.columns import Columns
from volition.consent.history.values import NOT_BACK_US, Answers, Decision, Scope

ANSWER_COLUMNS: Final[Mapping[str, str]] = {
    "party": "<i4",
    "at_us": "<i8",
    "covers_us": "<i8",
    "scope": "<i2",
    "before": "<i4",
    "seq": "<i8",
}


class Answering(Binding):
    """A history that knows the answers too.

    Attributes:
        scopes: Of what the answers speak; a column names them by position.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        super().__init__()
        self.scopes: list[Scope] = []
        self._scope_numbers: dict[Scope, int] = {}
        self._numbers: dict[str, int] = {}
        self._answers = Columns(**ANSWER_COLUMNS)
        self._newest = Columns(answer="<i4")  # by party: the row of its newest answer, -1 for none

    # What happened, in order:

    def decide(self, party: str, decision: Decision) -> None:
        """A party says yes or no."""
        scope = Scope(yes=decision.yes, categories=decision.categories, purposes=decision.purposes)
        covers_us = NOT_BACK_US if decision.covers_us is None else decision.covers_us
        self._answer(party, scope, decision.at_us, covers_us, decision.seq)

    def signal(self, party: str, name: str, *, at_us: int, seq: int = -1) -> None:
        """A standing signal such as Global Privacy Control is seen from a party."""
        self._answer(party, Scope(signal=name), at_us, NOT_BACK_US, seq)

    def _answer(self, party: str, scope: Scope, at_us: int, covers_us: int, seq: int) -> None:
        number = self.number(party)
        before = self._newest["answer"]
        before[number] = self._answers.append(
            number, at_us, covers_us, self._scope_number(scope), int(before[number]), seq
        )

    def _scope_number(self, scope: Scope) -> int:
        number = self._scope_numbers.get(scope)
        if number is None:
            number = self._scope_numbers[scope] = len(self.scopes)
            self.scopes.append(scope)
        return number

    def decide_all(  # noqa: PLR0913, PLR0917 - a column each
        self,
        parties: NDArray[np.int32],
        scopes: Sequence[Scope],
        scope: NDArray[np.int16],
        at_us: NDArray[np.int64],
        covers_us: NDArray[np.int64],
        seq: NDArray[np.int64],
    ) -> None:
        """Add many decisions at once, in order of time: columns of equal length (m,).

        Args:
            parties: Numbers from `numbers`.
            scopes: What `scope` gives positions in.
            scope: Of what each decision speaks.
            at_us: When each was said, never running backwards.
            covers_us: How far back each reaches, `NOT_BACK_US` for not before itself.
            seq: Number of each ledger entry.
        """
        known = np.array([self._scope_number(one) for one in scopes], np.int16)
        rows = np.arange(self._answers.size, self._answers.size + len(parties), dtype=np.int32)
        order = np.argsort(parties, kind="stable")
        ordered, ordered_rows = parties[order], rows[order]
        newest = self._newest["answer"]
        first = np.ones(len(parties), bool)
        first[1:] = ordered[1:] != ordered[:-1]
        before = np.empty(len(parties), np.int32)
        before[order] = np.where(first, newest[ordered], np.roll(ordered_rows, 1))
        newest[parties] = rows  # of several, the last one stays
        self._answers.extend(
            {
                "party": parties,
                "at_us": at_us,
                "covers_us": covers_us,
                "scope": known[scope],
                "before": before,
                "seq": seq,
            }
        )

    # Many parties at a time:

    def number(self, party: str) -> int:
        """Return a party's number, the same for as long as this history is kept; a new one for a new party."""
        number = self._numbers.get(party)
        if number is None:
            number = self._numbers[party] = self._newest.append(-1)
        return number

    def numbers(self, parties: Iterable[str]) -> NDArray[np.int32]:
        """Return the numbers of many parties, (n,)."""
        known = self._numbers
        return np.fromiter(
            (known[party] if party in known else self.number(party) for party in parties), dtype=np.int32
        )

    def answers(self, parties: NDArray[np.int32]) -> Answers:
        """Return all answers of many parties, by number; parties may be named twice.

        Few parties are followed from their newest answers backwards. Where it is many, one pass over all answers in
        order is faster than jumping about in them, and nothing is copied.
        """
        columns = self._answers
        newest = self._newest["answer"]
        if len(parties) > len(newest) // 4:
            position = np.full(len(newest), -1, np.int32)
            position[parties] = np.arange(len(parties), dtype=np.int32)
            if np.array_equal(position[parties], np.arange(len(parties))):  # nobody twice
                return Answers(
                    key=position[columns["party"]],
                    at_us=columns["at_us"],
                    covers_us=columns["covers_us"],
                    scope=columns["scope"],
                )
        key, row = np.arange(len(parties), dtype=np.int32), newest[parties]
        found = []
        while len(row):
            there = row >= 0
            key, row = key[there], row[there]
            found.append((key, row))
            row = columns["before"][row]
        found.reverse()  # each round is one answer older than the last, so each party's oldest comes first
        keys = np.concatenate([key for key, _ in found]) if found else key
        rows = np.concatenate([row for _, row in found]) if found else row
        return Answers(
            key=keys,
            at_us=columns["at_us"][rows],
            covers_us=columns["covers_us"][rows],
            scope=columns["scope"][rows],
        )
