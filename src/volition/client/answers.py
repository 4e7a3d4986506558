"""What the server answers, typed. Instants are texts as the server writes them: RFC 3339, UTC."""

from typing import Any

import msgspec


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """May something be used? It is true where it is permitted.

    Attributes:
        permitted: Whether it may.
        reason: Why not, of the gate's vocabulary; none where it is permitted. `stale` where it could not be asked.
        party: On whom it depends, for auditors and operators; none for others.
        since: Since when it has been permitted without a break, likewise.
        good_for_ms: For how long the server lets it be repeated, milliseconds from before the question was sent.
    """

    permitted: bool
    reason: str | None = None
    party: str | None = None
    since: str | None = None
    good_for_ms: int = 0

    def __bool__(self) -> bool:
        """Say whether it is permitted."""
        return self.permitted


STALE = Verdict(permitted=False, reason="stale")
"""The answer to what could not be asked."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """An answer in the ledger: number, instant, and what it says, as far as the caller may read it."""

    seq: int
    at: str
    kind: str
    leaf: str
    body: dict[str, Any] | None = None
    salt: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One entry in the change feed; `cursor` is what comes after it, `party` whom it is about."""

    seq: int
    at: str
    kind: str
    party: str | None
    cursor: str


class SettingLine(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of data under one purpose of a switch; `allowed` as far as the party and its account go."""

    category: str
    purpose: str
    say: str
    answer: str
    allowed: bool
    since: str | None
    reason: str | None
    until: str | None
    limited: bool
    by_signal: bool


class TurnedOff(msgspec.Struct, frozen=True, kw_only=True):
    """A purpose that a no turns off, as a whole or for some kinds of data."""

    purpose: str
    whole: bool
    categories: tuple[str, ...]
    besides: bool


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One switch: what was answered, for how much of it the use is allowed, and what a no would turn off."""

    switch: str
    title: str
    purposes: tuple[str, ...]
    answer: str
    state: str
    has_say: bool
    reaches_back: bool
    until: str | None
    turns_off: tuple[TurnedOff, ...]
    forget_days: int | None
    lines: tuple[SettingLine, ...]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every switch of a party."""

    party: str
    account: str
    organisation: str
    terms: str | None
    accepted: bool
    erased: bool
    can_refuse_all: bool
    settings: tuple[Setting, ...]


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a party and its account allow one kind of data for one purpose, and since when (none: for any time).

    It is no verdict: others whom a record concerns may refuse. `may` answers that.
    """

    category: str
    purpose: str
    allowed: bool
    since: str | None
    reason: str | None


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """One of what was given that was not taken: its place, counted from 1, and why."""

    line: int
    why: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or, of a dry run, what it would do.

    Attributes:
        dry_run: Whether nothing was done.
        new: How many (accounts, people, answers) were taken.
        known: How many were there already.
        set_aside: How many were not taken.
        rows: Which were not taken, and why.
    """

    dry_run: bool
    new: int = 0
    known: int = 0
    set_aside: int = 0
    rows: tuple[SetAside, ...] = ()

    def and_then(self, other: "Imported", *, after: int) -> "Imported":
        """Return what this import and that of what followed did together, `after` so many that were given before."""
        rows = (*self.rows, *(SetAside(line=one.line + after, why=one.why) for one in other.rows))
        new, known, set_aside = self.new + other.new, self.known + other.known, self.set_aside + other.set_aside
        return Imported(dry_run=self.dry_run, new=new, known=known, set_aside=set_aside, rows=rows)


class ChangesPage(msgspec.Struct, frozen=True, kw_only=True):
    """What follows a cursor in the change feed."""

    log: str
    items: tuple[Change, ...]
    next: str
    behind: int


class DecisionsPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of decisions."""

    items: tuple[Decision, ...]
    next: str | None


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to many questions."""

    answers: tuple[Verdict, ...]


class SettingSaid(msgspec.Struct, frozen=True, kw_only=True):
    """The entry of an answer, and every switch as it stands after it."""

    entry: int
    after: Settings


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: tuple[dict[str, str], ...] = ()
