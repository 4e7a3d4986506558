"""The compiled form for millions of parties at once: the same way forward through time, as columns of numbers."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from volition.consent.history import BEGINNING_US, NO_END_US, NOT_BACK_US, AnswerColumns, AnswerScope
from volition.consent.permits.compiled import NO_COMPANY, NOBODY, Company, Permits, RuleContext, Step
from volition.consent.permits.reference import NO_PERMIT_US, REASON_CODES, UNKNOWN_PERSON, PartyRole, Reason, Say
from volition.consent.terms.model import SIGNALS

_LONG_AGO: Final = -(2**63)  # before the beginning: there was no such answer
_NEVER_YET: Final = 2**63 - 1  # the use is not allowed
_AT_A_TIME: Final = 1 << 14
_NO, _YES, _SIGNAL = 1, 2, 3  # what an answer says to a question; signals are numbered from the third on


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitTable:
    """The permits of many parties, as columns of equal length (n,).

    Attributes:
        since_us: Since when each use has been allowed unbroken, int64; `NO_PERMIT_US` where it is refused.
        oldest_us: Before this instant retention has run out, int64; `BEGINNING_US` where there is none.
        reason: Codes of `REASON_CODES`, int8; 0 where it is allowed.
    """

    since_us: NDArray[np.int64]
    oldest_us: NDArray[np.int64]
    reason: NDArray[np.int8]


class Panel:
    """Many parties, asked together: pairs of an account and a party. Equal to `Permits.of` for each, by test."""

    def __init__(  # noqa: PLR0913 - who is asked, and in whose company
        self,
        permits: Permits,
        accounts: Sequence[str],
        account: NDArray[np.int32],
        parties: Sequence[str],
        *,
        companies: Sequence[Company] = (NO_COMPANY,),
        company: NDArray[np.integer] | None = None,
    ) -> None:
        """Arrange to ask n pairs.

        Args:
            permits: Decide, for their purpose at their instant.
            accounts: Ids of accounts.
            account: Position in `accounts` of each pair's account, (n,).
            parties: Each pair's party, (n,).
            companies: What the regions of a record's people add (`Permits.company`), first nothing.
            company: Position in `companies` of each pair's, (n,); by default all have the first.
        """
        self._permits = permits
        self._companies = companies
        self._company = np.zeros(len(parties), np.int64) if company is None else company
        self._accounts = accounts
        self._account = account
        self._parties = parties
        history = permits.history
        numbers = history.answers.numbers(parties)
        self._answers = history.answers.of(numbers)
        apart, erased = history.exceptional_parties()
        self._apart = np.flatnonzero(np.isin(numbers, history.answers.numbers(apart)) | (self._company > 0))
        gone = [party for party in erased if (history.erased_us(party) or 0) <= permits.at_us]
        self._erased = np.flatnonzero(np.isin(numbers, history.answers.numbers(gone)))
        self._own: dict[bool, tuple[list[RuleContext], NDArray[np.int32]]] = {}
        self._unknown = np.flatnonzero(numbers == history.answers.number(UNKNOWN_PERSON))
        self._swept: dict[tuple[bytes, tuple[tuple[Step, ...], ...], bytes], PermitTable] = {}

    def of(self, role: PartyRole, category: str) -> PermitTable:
        """Return every pair's permit or refusal in a role for a category."""
        timelines, number = self._timelines(role, category)
        codes = self._codes(role, category)
        key = (codes.tobytes(), timelines, number.tobytes() if len(timelines) > 1 else b"")
        if key not in self._swept:  # what differs in name only is asked once
            table = _sweep(self._answers, codes, timelines, number, self._permits.at_us)
            table.since_us[self._erased] = NO_PERMIT_US
            table.oldest_us[self._erased] = BEGINNING_US
            table.reason[self._erased] = REASON_CODES[Reason.ERASED]
            self._swept[key] = table
        return self._swept[key]

    def stretches(self, role: PartyRole, category: str) -> "Stretches":
        """Return when each pair was allowed, so that each of many records can be judged at an instant of its own."""
        timelines, number = self._timelines(role, category)
        gone_us = np.full(len(number), _NEVER_YET)
        for pair in self._erased.tolist():
            gone_us[pair] = self._permits.history.erased_us(self._parties[pair])
        return _lay_out(self._answers, self._codes(role, category), timelines, number, gone_us, self._permits.at_us)

    def _codes(self, role: PartyRole, category: str) -> NDArray[np.int8]:
        scopes = self._permits.history.answers.scopes
        return np.array([self._code(said, role, category) for said in scopes], np.int8)

    def _code(self, said: AnswerScope, role: PartyRole, category: str) -> int:
        """Return what an answer says to a question: nothing, a no, a yes, or a signal."""
        if said.copied and role is PartyRole.ALTERNATE:
            return 0
        if said.signal:
            return _SIGNAL + SIGNALS.index(said.signal) if said.signal in SIGNALS else 0
        if category in said.categories and self._permits.purpose in said.purposes:
            return _YES if said.yes else _NO
        return 0

    def _timelines(self, role: PartyRole, category: str) -> tuple[tuple[tuple[Step, ...], ...], NDArray[np.int32]]:
        """Return the different timelines of steps that there are, and which of them each pair has, (n,)."""
        permits, is_account = self._permits, role is PartyRole.ACCOUNT
        found: dict[tuple[Step, ...], int] = {}

        def number_of(steps: tuple[Step, ...]) -> int:
            return found.setdefault(steps, len(found))

        def numbered(contexts: Sequence[RuleContext]) -> NDArray[np.int32]:
            return np.array([number_of(permits.steps_on(context, role, category)) for context in contexts], np.int32)

        contexts = [permits.context(account, NOBODY, is_account=is_account) for account in self._accounts]
        number = numbered(contexts)[self._account]
        own, which = self._own_contexts(is_account=is_account)
        number[self._apart] = numbered(own)[which]
        for pair in self._unknown.tolist():
            company = self._companies[self._company[pair]]
            steps = permits.steps(self._accounts[self._account[pair]], UNKNOWN_PERSON, role, category, company=company)
            number[pair] = number_of(tuple(map(_of_unknown, steps)))
        return tuple(found), number

    def _own_contexts(self, *, is_account: bool) -> tuple[list[RuleContext], NDArray[np.int32]]:
        """Return the contexts of the pairs with region, limits or company of their own, and which of them each has."""
        if is_account not in self._own:
            history, accounts, parties = self._permits.history, self._accounts, self._parties
            known: dict[Hashable, int] = {}
            contexts: list[RuleContext] = []
            which = np.empty(len(self._apart), np.int32)
            columns = (self._apart, self._account[self._apart], self._company[self._apart])
            for place, (pair, account, company) in enumerate(zip(*(one.tolist() for one in columns), strict=True)):
                party = parties[pair]
                key = (account, company, history.limits(party), () if is_account else tuple(history.regions(party)))
                if key not in known:
                    known[key] = len(contexts)
                    context = self._permits.context(
                        accounts[account], party, is_account=is_account, company=self._companies[company]
                    )
                    contexts.append(context)
                which[place] = known[key]
            self._own[is_account] = contexts, which
        return self._own[is_account]


def _of_unknown(step: Step) -> Step:
    """Return a step as it is for an unknown person: where they would have a say, it is a refusal."""
    if step.refusal is not None or step.say is Say.NONE:
        return step
    return Step(start_us=step.start_us, refusal=Reason.UNKNOWN_PARTY)


@dataclass(frozen=True, slots=True)
class _Window:
    """The n-th step of every pair, as columns (n,): when it starts and ends, and what it says."""

    there: NDArray[np.bool_]
    start_us: NDArray[np.int64]
    end_us: NDArray[np.int64]
    refusal: NDArray[np.int8]
    asked: NDArray[np.bool_]
    free: NDArray[np.bool_]
    counts: list[NDArray[np.bool_]]  # by signal
    yes_age_us: NDArray[np.int64]

    @classmethod
    def of(cls, timelines: Sequence[Sequence[Step]], number: NDArray[np.int32], step: int) -> "_Window":
        nothing = Step(start_us=_NEVER_YET)
        steps = [timeline[step] if step < len(timeline) else nothing for timeline in timelines]
        ends = [timeline[step + 1].start_us if step + 1 < len(timeline) else _NEVER_YET for timeline in timelines]
        refusals = [0 if one.refusal is None else REASON_CODES[one.refusal] for one in steps]

        def column(values: Sequence[object], kind: type) -> NDArray[np.generic]:
            return np.array(values, kind)[number]

        return cls(
            there=np.array([one is not nothing for one in steps])[number],
            start_us=np.array([one.start_us for one in steps], np.int64)[number],
            end_us=np.array(ends, np.int64)[number],
            refusal=np.array(refusals, np.int8)[number],
            asked=np.array([one.say is Say.ASKED for one in steps])[number],
            free=np.array([one.say is Say.NONE for one in steps])[number],
            counts=[np.array([name in one.signals for one in steps])[number] for name in SIGNALS],
            yes_age_us=np.array([_yes_age_us(one) for one in steps], np.int64)[number],
        )


def _yes_age_us(step: Step) -> int:
    return NO_END_US if step.max_yes_age_us is None else step.max_yes_age_us


@dataclass(frozen=True, slots=True)
class _Yeses:
    """Every pair's yeses and when they end, as columns: by pair and instant, one row for all of one instant.

    Attributes:
        key: Which pair said it.
        said_us: When.
        until_us: When it ends by its own words, the first of those said at one instant.
        next_us: When the pair said yes anew, so that this one counts no more; `_NEVER_YET` if it did not.
    """

    key: NDArray[np.int32]
    said_us: NDArray[np.int64]
    until_us: NDArray[np.int64]
    next_us: NDArray[np.int64]

    @classmethod
    def of(cls, key: NDArray[np.int32], said_us: NDArray[np.int64], until_us: NDArray[np.int64]) -> "_Yeses":
        """Arrange yeses that are given from each pair's oldest to its newest, else in no order."""
        order = np.argsort(key, kind="stable")
        key, said_us, until_us = key[order], said_us[order], until_us[order]
        first = np.ones(len(key), np.bool_)
        first[1:] = (key[1:] != key[:-1]) | (said_us[1:] != said_us[:-1])
        rows = np.flatnonzero(first)
        if len(rows):
            until_us = np.minimum.reduceat(until_us, rows)
        key, said_us = key[rows], said_us[rows]
        next_us = np.full(len(key), _NEVER_YET)
        next_us[:-1] = np.where(key[1:] == key[:-1], said_us[1:], _NEVER_YET)
        return cls(key, said_us, until_us, next_us)

    def lapsed(self, size: int, window: _Window, at_us: int) -> NDArray[np.int64]:
        """Return the last instant of each pair's window from which on no yes held, since it had ended; or `_LONG_AGO`.

        What ended before the window and was not said anew lapses where the window starts: how long a yes lasts, its
        rule says.
        """
        end_us = np.maximum(np.minimum(self.until_us, self.said_us + window.yes_age_us[self.key]), self.said_us)
        lapsed_us = np.maximum(end_us, window.start_us[self.key])
        there = (lapsed_us < np.minimum(self.next_us, window.end_us[self.key])) & (lapsed_us <= at_us)
        return _last(size, self.key[there], lapsed_us[there])


def _sweep(
    answers: AnswerColumns,
    codes: NDArray[np.int8],
    timelines: Sequence[Sequence[Step]],
    number: NDArray[np.int32],
    at_us: int,
) -> PermitTable:
    """Carry every pair forward through time, one step of the governing rule after the other.

    Inside a step the rule is the same, so of all answers only these matter: the last no or end of a yes, the first yes
    after it, and how far back the yeses after it reach. Cost: a few passes over the answers for each step,
    O(answers x steps).
    """
    size = len(number)
    code = codes[answers.scope] if len(codes) else np.empty(0, np.int8)
    heard = np.flatnonzero((code > 0) & (answers.key >= 0) & (answers.at_us <= at_us))
    key, said_us, code = answers.key[heard], answers.said_us[heard], code[heard]
    yeses = _ending(answers, heard[code == _YES], timelines)

    since = np.full(size, _NEVER_YET)
    last_yes, last_no, *last_signal = (np.full(size, _LONG_AGO) for _ in range(2 + len(SIGNALS)))
    several = max(map(len, timelines), default=0) > 1
    window = None
    for step in range(max(map(len, timelines), default=0)):
        window = _Window.of(timelines, number, step)
        if several:
            inside = np.flatnonzero((said_us >= window.start_us[key]) & (said_us < window.end_us[key]))
            of, at, where, what = key[inside], said_us[inside], heard[inside], code[inside]
        else:
            of, at, where, what = key, said_us, heard, code
        prior_no = _with_signals(last_no, last_signal, window)
        is_no, is_yes = what == _NO, what == _YES
        newest_no = _last(size, of[is_no], at[is_no])
        signals = [_last(size, of[what == _SIGNAL + name], at[what == _SIGNAL + name]) for name in range(len(SIGNALS))]
        broken_us = _with_signals(newest_no, signals, window)
        if yeses is not None:
            broken_us = np.maximum(broken_us, yeses.lapsed(size, window, at_us))
        broken_us = np.where(window.free, _LONG_AGO, broken_us)

        yes_of, yes_us, yes_reach = of[is_yes], at[is_yes], answers.covers_us[where[is_yes]]
        after = yes_us > broken_us[yes_of]
        first_yes = np.full(size, _NEVER_YET)
        first_yes[yes_of[after][::-1]] = yes_us[after][::-1]  # backwards, so that the first one stays
        back = after & (yes_reach != NOT_BACK_US)
        reached = np.full(size, _NEVER_YET)
        np.minimum.at(reached, yes_of[back], yes_reach[back])

        no_stands = (prior_no > _LONG_AGO) & (prior_no >= last_yes)
        allowed_at_start = window.free | (~no_stands & (~window.asked | (last_yes > _LONG_AGO)))
        allowed_at_start |= first_yes == window.start_us
        goes_on = allowed_at_start & (broken_us == _LONG_AGO)
        began = np.where(goes_on, np.where(since < _NEVER_YET, since, window.start_us), first_yes)
        began = np.where(began < _NEVER_YET, np.minimum(began, reached), _NEVER_YET)
        since = np.where(window.there, np.where(window.refusal > 0, _NEVER_YET, began), since)

        last_yes, last_no = np.maximum(last_yes, _last(size, yes_of, yes_us)), np.maximum(last_no, newest_no)
        last_signal = [np.maximum(old, new) for old, new in zip(last_signal, signals, strict=True)]
    first_yes = np.full(size, _NEVER_YET)
    first_yes[key[code == _YES][::-1]] = said_us[code == _YES][::-1]
    return _conclude(since, first_yes, last_yes, (last_no, last_signal), timelines, number, at_us)


def _ending(answers: AnswerColumns, said: NDArray[np.int64], timelines: Sequence[Sequence[Step]]) -> _Yeses | None:
    """Return the yeses in some rows of the answers, if any may end; mostly none does."""
    until_us = answers.until_us[said]
    ages = any(step.max_yes_age_us is not None for timeline in timelines for step in timeline)
    if not ages and not (until_us < NO_END_US).any():
        return None
    return _Yeses.of(answers.key[said], answers.said_us[said], until_us)


def _conclude(  # noqa: PLR0913, PLR0917 - what was answered, and under which rules
    since: NDArray[np.int64],
    first_yes: NDArray[np.int64],
    last_yes: NDArray[np.int64],
    noes: tuple[NDArray[np.int64], Sequence[NDArray[np.int64]]],
    timelines: Sequence[Sequence[Step]],
    number: NDArray[np.int32],
    at_us: int,
) -> PermitTable:
    """Say why the use is refused where it is, by each pair's last step; and how old a record may be where it is not."""
    window = _Window.of([timeline[-1:] for timeline in timelines], number, 0)
    last_no = _with_signals(*noes, window)
    said_no = (last_no > _LONG_AGO) & (last_no >= last_yes)
    silent = np.where(last_yes > _LONG_AGO, REASON_CODES[Reason.EXPIRED], REASON_CODES[Reason.NOT_ASKED])
    reason = np.where(said_no, REASON_CODES[Reason.SAID_NO], silent)
    reason = np.where(said_no & (first_yes < last_no), REASON_CODES[Reason.WITHDRAWN], reason)
    reason = np.where(window.refusal > 0, window.refusal, reason)
    allowed = since < _NEVER_YET
    ages = [timeline[-1].max_age_us for timeline in timelines]
    oldest = np.array([BEGINNING_US if age is None else at_us - age for age in ages], np.int64)
    return PermitTable(
        since_us=np.where(allowed, since, NO_PERMIT_US),
        oldest_us=np.where(allowed, oldest[number], BEGINNING_US),
        reason=np.where(allowed, 0, reason).astype(np.int8),
    )


def _last(size: int, key: NDArray[np.int32], at_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the last instant of each key, given oldest first; `_LONG_AGO` where there is none."""
    found = np.full(size, _LONG_AGO)
    found[key] = at_us  # of several for one key, the last one stays
    return found


def _with_signals(noes: NDArray[np.int64], signals: Sequence[NDArray[np.int64]], window: _Window) -> NDArray[np.int64]:
    """Return the later of the last no and the last signal that counts as one."""
    for seen_us, counts in zip(signals, window.counts, strict=True):
        noes = np.maximum(noes, np.where(counts, seen_us, _LONG_AGO))
    return noes


# --- judged at instants of their own ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretches:
    """When each of n pairs was allowed and when not: the instants at which that changed.

    Attributes:
        offsets: Where each pair's instants start, int64, (n + 1,).
        start_us: From when on, int64, (m,); each pair's in order, the first `BEGINNING_US`.
        allowed: Whether the use was allowed from then on, bool, (m,).
    """

    offsets: NDArray[np.int64]
    start_us: NDArray[np.int64]
    allowed: NDArray[np.bool_]

    def at(self, pair: NDArray[np.integer], when_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say of many uses whether each was allowed when it happened: `permits.allowed`, many at once.

        A look into a calendar settles all but those of a pair and a period in which something changed.

        Args:
            pair: Which pair each use concerns, (k,).
            when_us: When each happened, int64, (k,); not after the permits' instant.

        Returns:
            Whether each was allowed, bool, (k,).
        """
        calendar = self._calendar
        found = np.empty(len(pair), np.bool_)
        cell = np.empty(_AT_A_TIME, np.int64)
        for first in range(0, len(pair), _AT_A_TIME):  # what fits into a processor's cache is looked up fastest
            asked, when = pair[first : first + _AT_A_TIME], when_us[first : first + _AT_A_TIME]
            answers = found[first : first + _AT_A_TIME]
            states = calendar.states.take(calendar.cells(asked, when, out=cell[: len(asked)]), mode="clip")
            np.equal(states, _ALLOWED, out=answers)
            unclear = np.flatnonzero(states == _CHANGES)
            if len(unclear):
                answers[unclear] = self._search(asked[unclear], when[unclear])
        return found

    def _search(self, pair: NDArray[np.integer], when_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Search inside each pair's instants, all side by side: O(log of the longest) passes."""
        place, last = self.offsets.take(pair), self.offsets.take(pair + 1) - 1
        for stride in self._strides:
            there = np.minimum(place + stride, last)
            np.copyto(place, there, where=self.start_us.take(there) <= when_us)
        return self.allowed.take(place)

    @cached_property
    def _strides(self) -> list[int]:
        longest = int(np.diff(self.offsets).max(initial=1))
        return [1 << bit for bit in reversed(range((longest - 1).bit_length()))]

    @cached_property
    def _calendar(self) -> "_Calendar":
        return _Calendar.of(self)


_PERIODS: Final = 64
_REFUSED, _ALLOWED, _CHANGES = 0, 1, 2  # what a calendar says of a pair and a period


@dataclass(frozen=True, slots=True)
class _Calendar:
    """For each pair and period, whether the use was allowed in all of it, in none, or changed: one byte each.

    Attributes:
        from_us: Where the first period starts; what lies before belongs to it, as what lies after the last to the last.
        shift: A period is 2^shift microseconds long.
        states: int8, (n x 64,).
    """

    from_us: int
    shift: int
    states: NDArray[np.int8]

    @classmethod
    def of(cls, stretches: Stretches) -> "_Calendar":
        """Draw the calendar of all changes."""
        start_us, opens = stretches.start_us, stretches.offsets[:-1]
        is_change = np.ones(len(start_us), np.bool_)
        is_change[opens] = False  # each pair's first is from the beginning on
        changes = np.flatnonzero(is_change)
        from_us, until_us = (int(fold(start_us[changes])) if len(changes) else 0 for fold in (np.min, np.max))
        shift = max((until_us - from_us).bit_length() - _PERIODS.bit_length() + 1, 0)
        calendar = cls(from_us, shift, np.empty(0, np.int8))
        pair = np.repeat(np.arange(len(opens)), np.diff(stretches.offsets))
        cell = calendar.cells(pair, start_us, out=np.empty(len(pair), np.int64))
        states = np.repeat(stretches.allowed.astype(np.int8), np.diff(cell, append=len(opens) * _PERIODS))
        states[cell[changes]] = _CHANGES
        return cls(from_us, shift, states)

    def cells(
        self, pair: NDArray[np.integer], when_us: NDArray[np.int64], *, out: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return where in `states` each pair and instant is, (k,)."""
        np.subtract(when_us, self.from_us, out=out)
        np.right_shift(out, self.shift, out=out)
        np.clip(out, 0, _PERIODS - 1, out=out)
        np.add(out, pair * np.int64(_PERIODS), out=out)
        return out


def _lay_out(  # noqa: PLR0913, PLR0917 - what was said, under which rules, and until when
    answers: AnswerColumns,
    codes: NDArray[np.int8],
    timelines: Sequence[Sequence[Step]],
    number: NDArray[np.int32],
    gone_us: NDArray[np.int64],
    at_us: int,
) -> Stretches:
    """Put answers, steps and erasures of each pair in order of time, and say after each whether the use is allowed."""
    size = len(number)
    code = codes[answers.scope] if len(codes) else np.empty(0, np.int8)
    heard = np.flatnonzero((code > 0) & (answers.key >= 0) & (answers.at_us <= at_us))
    laid = [
        (pairs, np.full(len(pairs), step.start_us), np.full(len(pairs), position, np.int32))
        for position, (timeline, step) in enumerate(
            (timeline, step) for timeline, steps in enumerate(timelines) for step in steps
        )
        for pairs in [np.flatnonzero(number == timeline)]
    ]
    steps, gone = [step for timeline in timelines for step in timeline], np.flatnonzero(gone_us <= at_us)
    ends_of, ends_us = _ends(answers, heard[code[heard] == _YES], steps, at_us)
    key = np.concatenate([answers.key[heard], *(pairs for pairs, _, _ in laid), gone, ends_of])
    when = np.concatenate([answers.said_us[heard], *(start for _, start, _ in laid), gone_us[gone], ends_us])
    what = np.zeros(len(key), np.int8)
    what[: len(heard)] = code[heard]
    until = np.full(len(key), NO_END_US)
    until[: len(heard)] = answers.until_us[heard]
    step_of = np.full(len(key), -1, np.int32)
    placed = [np.empty(0, np.int32), *(at for _, _, at in laid)]
    step_of[len(heard) : len(key) - len(gone) - len(ends_of)] = np.concatenate(placed)
    order = np.lexsort((-until, when, key))  # of several yeses of one instant, the one that ends first comes last
    key, when, what, step_of, until = key[order], when[order], what[order], step_of[order], until[order]

    rows = np.arange(len(key))
    opens = np.searchsorted(key, np.arange(size))  # each pair's first row: its first step, from the beginning

    def newest(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return, for each row, when the last row of its pair up to it was one of these; `_LONG_AGO` if none was."""
        row = np.maximum.accumulate(np.where(mask, rows, -1))
        return np.where(row >= opens[key], when[np.maximum(row, 0)], _LONG_AGO)

    step = step_of[np.maximum.accumulate(np.where(step_of >= 0, rows, 0))]
    last_no, last_yes = newest(what == _NO), newest(what == _YES)
    for signal, name in enumerate(SIGNALS):
        counts = np.array([name in one.signals for one in steps], np.bool_)[step]
        last_no = np.maximum(last_no, np.where(counts, newest(what == _SIGNAL + signal), _LONG_AGO))
    no_stands = (last_no > _LONG_AGO) & (last_no >= last_yes)
    newest_yes = np.maximum.accumulate(np.where(what == _YES, rows, -1))
    until = np.where(newest_yes >= opens[key], until[np.maximum(newest_yes, 0)], NO_END_US)
    age = np.array([_yes_age_us(one) for one in steps], np.int64)[step]
    lapsed = (last_yes > _LONG_AGO) & (np.minimum(until, last_yes + age) <= when)
    asked, free, open_ = (
        np.array(flags, np.bool_)[step]
        for flags in zip(
            *((one.say is Say.ASKED, one.say is Say.NONE, one.refusal is None) for one in steps), strict=True
        )
    )
    says_yes = ~no_stands & ~lapsed & (~asked | (last_yes > _LONG_AGO))
    allowed = open_ & (free | says_yes) & (when < gone_us[key])
    return _changes_only(size, key, when, allowed)


def _ends(
    answers: AnswerColumns, said: NDArray[np.int64], steps: Sequence[Step], at_us: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return, for the yeses in some rows of the answers, whose may end when: by its date, or by the age of any step."""
    ages_us = {step.max_yes_age_us for step in steps if step.max_yes_age_us is not None}
    whose = np.tile(answers.key[said], 1 + len(ages_us))
    ends_us = np.concatenate([answers.until_us[said], *(answers.said_us[said] + age_us for age_us in ages_us)])
    there = ends_us <= at_us
    return whose[there], ends_us[there]


def _changes_only(size: int, key: NDArray[np.int32], when: NDArray[np.int64], allowed: NDArray[np.bool_]) -> Stretches:
    """Return the stretches of `size` pairs, given rows by pair and instant: only those at which something changed."""
    same = np.zeros(len(key), np.bool_)  # what happens at one instant happens together
    same[:-1] = (key[:-1] == key[1:]) & (when[:-1] == when[1:])
    kept = np.flatnonzero(~same)
    changes = np.ones(len(kept), np.bool_)
    changes[1:] = (key[kept][1:] != key[kept][:-1]) | (allowed[kept][1:] != allowed[kept][:-1])
    kept = kept[changes]
    return Stretches(
        offsets=np.searchsorted(key[kept], np.arange(size + 1)), start_us=when[kept], allowed=allowed[kept]
    )
