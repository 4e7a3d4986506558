"""Who answered what: decisions and signals as columns, one row for each answer, in the ledger's order.

Parties and scopes are interned: small numbers, given out as they come. Each row names the row of the same party before
it (a linked list), so one party's answers are found without reading the others'.
"""

import json
from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.consent.history.columns import Columns, SortedRows
from volition.consent.history.values import (
    NO_END_US,
    NOT_BACK_US,
    AnswerColumns,
    AnswerScope,
    Decision,
    widened_use,
)
from volition.consent.terms.vocabulary import Vocabulary

ANSWER_COLUMNS: Final[Mapping[str, str]] = {
    "party": "<i4",
    "at_us": "<i8",
    "said_us": "<i8",
    "covers_us": "<i8",
    "until_us": "<i8",
    "scope": "<i2",
    "before": "<i4",
    "seq": "<i8",
}


class AnswerLog:
    """The answers of all parties.

    Attributes:
        scopes: What the answers are about; a column names them by position.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        self.scopes: list[AnswerScope] = []
        self._scope_numbers: dict[AnswerScope, int] = {}
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []  # by number
        self._columns = Columns(**ANSWER_COLUMNS)
        self._newest = Columns(answer="<i4")  # by party: the row of its newest answer, -1 for none
        self._ends: list[tuple[int, int]] = []  # when each yes ends by its own words, and whose it is, by instant
        self._earlier = SortedRows()  # the rows of answers that were said before they were recorded, by when
        self._by_said = np.empty(0, np.int64)  # all rows by when each was said, up to some row

    # What happened, in order:

    def decide(self, party: str, decision: Decision, *, copied: bool = False) -> None:
        """A party says yes or no; or a namesake did, and it is copied."""
        scope = AnswerScope(yes=decision.yes, categories=decision.categories, purposes=decision.purposes, copied=copied)
        covers_us = NOT_BACK_US if decision.covers_us is None else decision.covers_us
        until_us = NO_END_US if decision.until_us is None or not decision.yes else decision.until_us
        row = decision.at_us, decision.said_us, covers_us, until_us
        self._answer(party, scope, row, seq=decision.seq)

    def signal(self, party: str, name: str, *, at_us: int, seq: int = -1, copied: bool = False) -> None:
        """A lasting signal such as Global Privacy Control is received from a party; or from a namesake, and copied."""
        scope = AnswerScope(signal=name, copied=copied)
        self._answer(party, scope, (at_us, at_us, NOT_BACK_US, NO_END_US), seq=seq)

    def _answer(self, party: str, scope: AnswerScope, instants_us: tuple[int, int, int, int], *, seq: int) -> None:
        at_us, said_us, _, until_us = instants_us
        number = self.number(party)
        before = self._newest["answer"]
        before[number] = row = self._columns.append(
            number, *instants_us, self._scope_number(scope), int(before[number]), seq
        )
        if until_us != NO_END_US:
            insort(self._ends, (until_us, number))
        if said_us != at_us:
            self._earlier.append(said_us, row)

    def _scope_number(self, scope: AnswerScope) -> int:
        number = self._scope_numbers.get(scope)
        if number is None:
            number = self._scope_numbers[scope] = len(self.scopes)
            self.scopes.append(scope)
        return number

    def decide_all(  # noqa: PLR0913, PLR0917 - a column each
        self,
        parties: NDArray[np.int32],
        scopes: Sequence[AnswerScope],
        scope: NDArray[np.int16],
        at_us: NDArray[np.int64],
        covers_us: NDArray[np.int64],
        seq: NDArray[np.int64],
        until_us: NDArray[np.int64] | None = None,
        said_us: NDArray[np.int64] | None = None,
    ) -> None:
        """Add many decisions at once, as they were recorded: columns of equal length (m,).

        Args:
            parties: Numbers from `numbers`.
            scopes: What `scope` gives positions in.
            scope: What each decision is about.
            at_us: When each was recorded, never running backwards.
            covers_us: How far back each reaches, `NOT_BACK_US` for not before itself.
            seq: Number of each ledger entry.
            until_us: When each yes ends by its own words, `NO_END_US` for never; by default none does.
            said_us: When each was said, not after it was recorded; by default then.
        """
        until_us = np.full(len(parties), NO_END_US) if until_us is None else until_us
        said_us = at_us if said_us is None else said_us
        known = np.array([self._scope_number(one) for one in scopes], np.int16)
        rows = np.arange(self._columns.size, self._columns.size + len(parties), dtype=np.int32)
        order = np.argsort(parties, kind="stable")
        ordered, ordered_rows = parties[order], rows[order]
        newest = self._newest["answer"]
        first = np.ones(len(parties), bool)
        first[1:] = ordered[1:] != ordered[:-1]
        before = np.empty(len(parties), np.int32)
        before[order] = np.where(first, newest[ordered], np.roll(ordered_rows, 1))
        newest[parties] = rows  # of several, the last one stays
        self._columns.extend(
            {
                "party": parties,
                "at_us": at_us,
                "said_us": said_us,
                "covers_us": covers_us,
                "until_us": until_us,
                "scope": known[scope],
                "before": before,
                "seq": seq,
            }
        )
        self._note_ends(parties, until_us)
        self._note_earlier(rows)

    def _note_ends(self, parties: NDArray[np.int32], until_us: NDArray[np.int64]) -> None:
        ending = np.flatnonzero(until_us != NO_END_US)
        if not len(ending):
            return
        self._ends.extend(zip(until_us[ending].tolist(), parties[ending].tolist(), strict=True))
        self._ends.sort()

    def widen(self, before: Vocabulary, after: Vocabulary) -> None:
        """Let each no reach what is newly declared, as `vocabulary.widened` says; a yes is never widened."""
        for number, scope in enumerate(self.scopes):
            if not scope.yes and not scope.signal:
                categories, purposes = widened_use(scope, before, after)
                self.scopes[number] = replace(scope, categories=categories, purposes=purposes)
        self._scope_numbers = {scope: number for number, scope in enumerate(self.scopes)}

    def _note_earlier(self, rows: NDArray[np.int32]) -> None:
        said_us, at_us = self._columns["said_us"][rows], self._columns["at_us"][rows]
        earlier = np.flatnonzero(said_us != at_us)
        self._earlier.add(said_us[earlier], rows[earlier])

    # Who answered when, and whose yes ends when:

    def next_end_us(self, *, after_us: int, ages_us: Iterable[int] = ()) -> int | None:
        """Return the first instant after one at which a yes may end, or none.

        Args:
            after_us: The instant.
            ages_us: The ages at which any terms end a yes. That an answer is no yes, or is not under those terms, is
                not looked at: the instant may be too early, never too late.
        """
        place = bisect_right(self._ends, after_us, key=_first)
        found = [self._ends[place][0]] if place < len(self._ends) else []
        at_us = self._columns["at_us"]
        for age_us in ages_us:
            row = int(np.searchsorted(at_us, after_us - age_us, side="right"))
            if row < len(at_us):
                found.append(int(at_us[row]) + age_us)
            said_us = self._earlier.next_after(after_us - age_us)
            if said_us is not None:
                found.append(said_us + age_us)
        return min(found, default=None)

    def ended(self, *, after_us: int, until_us: int, ages_us: Iterable[int] = ()) -> set[str]:
        """Return every party of whom a yes may have ended between one instant (not included) and another (included).

        Args:
            after_us: The one instant.
            until_us: The other.
            ages_us: The ages at which any terms end a yes.
        """
        first, last = (bisect_right(self._ends, at_us, key=_first) for at_us in (after_us, until_us))
        numbers = {number for _, number in self._ends[first:last]}
        at_us, party = self._columns["at_us"], self._columns["party"]
        for age_us in ages_us:
            rows = slice(*np.searchsorted(at_us, [after_us - age_us, until_us - age_us], side="right").tolist())
            numbers.update(party[rows].tolist())
            numbers.update(party[self._earlier.between(after_us - age_us, until_us - age_us)].tolist())
        return {self._names[number] for number in numbers}

    # One party:

    def newest_row(self, party: str) -> int:
        """Return the row of a party's newest answer; -1 if it never answered."""
        number = self._numbers.get(party)
        return -1 if number is None else int(self._newest["answer"].item(number))

    def between(
        self, older_row: int, newer_row: int, *, with_copies: bool = True
    ) -> tuple[list[Decision], list[tuple[int, str, int]]]:
        """Return one party's answers after one row, up to another of the same party (included), as they were recorded.

        Args:
            older_row: A row of the party, not included; -1 for all from the first on.
            newer_row: A row of the party from there on; -1 for none.
            with_copies: Whether what a namesake said counts, too.

        Returns:
            The decisions, and the signals as (instant, name, ledger entry).
        """
        _, at, said, covers, until, scopes, before, seqs = (self._columns[name] for name in ANSWER_COLUMNS)
        rows = []
        while newer_row != older_row:
            rows.append(newer_row)
            newer_row = before.item(newer_row)
        decisions: list[Decision] = []
        signals: list[tuple[int, str, int]] = []
        for row in reversed(rows):
            scope = self.scopes[scopes.item(row)]
            at_us, covers_us, until_us, seq = at.item(row), covers.item(row), until.item(row), seqs.item(row)
            said_us = said.item(row)
            if scope.copied and not with_copies:
                continue
            if scope.signal:
                signals.append((at_us, scope.signal, seq))
            else:
                decision = Decision(
                    yes=scope.yes,
                    categories=scope.categories,
                    purposes=scope.purposes,
                    at_us=at_us,
                    covers_us=None if covers_us == NOT_BACK_US else covers_us,
                    until_us=None if until_us == NO_END_US else until_us,
                    seq=seq,
                    claimed_us=None if said_us == at_us else said_us,
                )
                decisions.append(decision)
        return decisions, signals

    # Many parties at a time:

    def number(self, party: str) -> int:
        """Return a party's number, the same for as long as this object lives; a new one for a new party."""
        number = self._numbers.get(party)
        if number is None:
            number = self._numbers[party] = self._newest.append(-1)
            self._names.append(party)
        return number

    def numbers(self, parties: Iterable[str]) -> NDArray[np.int32]:
        """Return the numbers of many parties, (n,)."""
        known = self._numbers
        return np.fromiter(
            (known[party] if party in known else self.number(party) for party in parties), dtype=np.int32
        )

    def of(self, parties: NDArray[np.int32]) -> AnswerColumns:
        """Return all answers of many parties, by number; parties may be named twice.

        Where some were said before they were recorded, all are put in order of when they were said. Few parties are
        followed from their newest answers backwards. Where it is many, one pass over all answers in order is faster
        than jumping about in them, and nothing is copied.
        """
        columns = self._columns
        newest = self._newest["answer"]
        if len(parties) > len(newest) // 4:
            position = np.full(len(newest), -1, np.int32)
            position[parties] = np.arange(len(parties), dtype=np.int32)
            if np.array_equal(position[parties], np.arange(len(parties))):  # nobody twice
                all_rows = self._rows_by_said() if len(self._earlier) else slice(None)
                return self._answers(position[columns["party"][all_rows]], all_rows)
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
        if len(self._earlier):
            order = np.argsort(columns["said_us"][rows], kind="stable")
            keys, rows = keys[order], rows[order]
        return self._answers(keys, rows)

    def _answers(self, keys: NDArray[np.int32], rows: NDArray[np.integer] | slice) -> AnswerColumns:
        columns = self._columns
        return AnswerColumns(
            key=keys,
            at_us=columns["at_us"][rows],
            said_us=columns["said_us"][rows],
            covers_us=columns["covers_us"][rows],
            until_us=columns["until_us"][rows],
            scope=columns["scope"][rows],
        )

    def _rows_by_said(self) -> NDArray[np.int64]:
        """Return all rows by when each was said; remembered until there are more."""
        if len(self._by_said) != self._columns.size:
            self._by_said = np.argsort(self._columns["said_us"], kind="stable")
        return self._by_said

    # To be saved:

    def to_files(self) -> dict[str, bytes | memoryview]:
        """Return columns and parties as files by name: raw little-endian columns, and JSON; `load` reads them back."""
        files: dict[str, bytes | memoryview] = {
            f"{name}.{kind[1:]}": np.ascontiguousarray(self._columns[name]).data.cast("B")
            for name, kind in ANSWER_COLUMNS.items()
            if self._columns.size
        }
        files["parties.json"] = json.dumps(self._names, ensure_ascii=False).encode()
        return files

    def scopes_to_json(self) -> list[Any]:
        """Return the scopes as a JSON value; `load` reads it back."""
        return [[one.signal, one.yes, sorted(one.categories), sorted(one.purposes), one.copied] for one in self.scopes]

    def load(self, files: Mapping[str, bytes], scopes: Sequence[Any]) -> None:
        """Read back what `to_files` and `scopes_to_json` returned, where nothing is known yet."""
        for signal, yes, categories, purposes, copied in scopes:
            about = {"categories": frozenset(categories), "purposes": frozenset(purposes)}
            scope = AnswerScope(signal=signal, yes=yes, copied=copied, **about)
            self._scope_numbers[scope] = len(self.scopes)  # two may have become equal: each keeps its number
            self.scopes.append(scope)
        self._names = json.loads(files["parties.json"])
        self._numbers = {party: number for number, party in enumerate(self._names)}
        newest = np.full(len(self._numbers), -1, np.int32)
        if "party.i4" in files:
            columns = {name: np.frombuffer(files[f"{name}.{kind[1:]}"], kind) for name, kind in ANSWER_COLUMNS.items()}
            self._columns.extend(columns)
            newest[columns["party"]] = np.arange(len(columns["party"]), dtype=np.int32)
            self._note_ends(columns["party"], columns["until_us"])
            self._note_earlier(np.arange(len(columns["party"]), dtype=np.int32))
        self._newest.extend({"answer": newest})


def _first(end: tuple[int, int]) -> int:
    return end[0]
