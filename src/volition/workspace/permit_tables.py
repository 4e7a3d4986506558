"""Permits as a table that others read: written out once, or kept current for as long as that is asked.

A table holds for a few seconds (`expiring.LONGEST_US` at most), and says so itself: past that, the gate's expression
lets no row through. So whoever keeps it current writes it anew whenever the ledger or the directory has changed, and
renews its state well before it runs out; killed, it runs out by itself. A no is acknowledged once every open table
knows it, or has run out: no reader is let through by older knowledge afterwards.

Where writing takes long, the table is shut first, so that nobody waits for it.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from volition import canonical
from volition.consent.expiring import LONGEST_US, OpenTable
from volition.consent.names import Names, Unnamed
from volition.consent.permits import NO_PERMIT_US, Permits
from volition.errors import BackendError, InvalidInputError
from volition.workspace.opened import LEASES, Opened

if TYPE_CHECKING:
    from volition.consent.parties import Person
    from volition.consent.permit_tables.lines import Listed
    from volition.consent.permit_tables.state import State
    from volition.consent.permit_tables.targets import Target
    from volition.workspace.accesses import Accesses

GOOD_FOR_US: Final = 5_000_000
"""For how long a table holds by default, microseconds."""

LOOK_EVERY_S: Final = 0.05

_LONG_S: Final = 0.5  # for writing
_RENEWED_AFTER: Final = 3  # a third of how long it holds
_RETRIED_AFTER_S: Final = 0.5

TARGETS: Final = {
    "parquet": "parquet:FOLDER",
    "delta": "delta:FOLDER or URL",
    "iceberg": "iceberg:CATALOGUE.NAMESPACE",
    "duckdb": "duckdb:FILE",
    "sqlite": "sqlite:FILE",
    "postgresql": "postgresql://HOST/DATABASE",
}
"""Where a table may be kept, by the scheme of its name, and what the name looks like."""


class PermitTables:
    """Writes permits out as tables."""

    def __init__(self, opened: Opened, accesses: "Accesses") -> None:
        """Take the opened folder, and where it is written down who looks."""
        self._opened = opened
        self._accesses = accesses

    def export(  # noqa: PLR0913 - what the table is to hold, and for how long
        self,
        target: str,
        *,
        purposes: Sequence[str] = (),
        accounts: Sequence[str] | None = None,
        ids: bool = False,
        good_for_us: int = GOOD_FOR_US,
        clock: Callable[[], int] = canonical.now_us,
    ) -> "State":
        """Write the table out once. It runs out by itself; a no that comes before that waits for it.

        Args:
            target: Where to, such as "parquet:FOLDER"; see `TARGETS`.
            purposes: For which purposes, by name, a root for all below it; none for all.
            accounts: Ids of the accounts that it is about; none for all.
            ids: Whether people are named as they were registered, and not by their pseudonyms.
            good_for_us: For how long it holds, microseconds; at most `LONGEST_US`.
            clock: Gives the present instant as whoever reads the table sees it.

        Returns:
            The state as it was written.

        Raises:
            InvalidInputError: There is no such target, purpose or account, or it is to hold for too long.
            MissingExtraError: What the target needs is not installed.
            BackendError: It cannot be written.
        """
        kept = self.keep(target, purposes=purposes, accounts=accounts, ids=ids, good_for_us=good_for_us, clock=clock)
        try:
            return kept.bring_up_to_date()
        finally:
            kept.close()

    def keep(  # noqa: PLR0913 - as of `export`
        self,
        target: str,
        *,
        purposes: Sequence[str] = (),
        accounts: Sequence[str] | None = None,
        ids: bool = False,
        good_for_us: int = GOOD_FOR_US,
        clock: Callable[[], int] = canonical.now_us,
    ) -> "KeptTable":
        """Return what keeps a table current, for as long as somebody calls it. Takes and raises what `export` does."""
        if not 1_000_000 <= good_for_us <= LONGEST_US:
            raise InvalidInputError(
                f"A table of permits holds for 1 to {LONGEST_US // 1_000_000} seconds, since a no waits for it: for "
                "longer, keep it current while it is read (--follow)."
            )
        for account in accounts or ():
            self._opened.parties.account(account)
        vocabulary = self._opened.history().vocabulary
        chosen = vocabulary.leaves_of_use(purposes) if purposes else None
        for whose in accounts or (None,):
            self._accesses.note_list(None, "permits", account=whose, records=len(self._opened.parties.people()))
        made = make_target(target)
        return KeptTable(
            self._opened, made, purposes=chosen, accounts=accounts, ids=ids, good_for_us=good_for_us, clock=clock
        )


class KeptTable:
    """One table, kept current by whoever calls it. Only in one thread, with which the workspace is not shared."""

    def __init__(  # noqa: PLR0913 - what it holds, where, and for how long
        self,
        opened: Opened,
        target: "Target",
        *,
        purposes: Sequence[str] | None,
        accounts: Sequence[str] | None,
        ids: bool,
        good_for_us: int,
        clock: Callable[[], int] = canonical.now_us,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Nothing is written yet."""
        self._opened = opened
        self._target = target
        self._purposes = purposes
        self._accounts = accounts
        self._ids = ids
        self._good_for_us = good_for_us
        self._clock = clock
        self._clock_ns = clock_ns
        self._names = Names(opened.parties)
        self._table = OpenTable(opened.folder / LEASES, clock=clock, clock_ns=clock_ns)
        self._knows: tuple[int, object] | None = None  # the ledger's size, and the directory's version
        self._lines: Any = None  # as they were written
        self._state: State | None = None
        self._stands_until_us = 0  # until when time alone changes no permit
        self._renew_at_us = 0
        self._took_s = _LONG_S + 1  # nothing is known of how long it takes; and what is there may be another's

    def follow(
        self,
        *,
        is_stopping: Callable[[], bool],
        opened: Callable[[], None] = lambda: None,
        failed: Callable[[BackendError], None] = lambda _error: None,
    ) -> "State":
        """Keep the table current until that is to stop; then shut it, and return its last state.

        Args:
            is_stopping: Whether to stop.
            opened: Called once it may first be read.
            failed: Called where the target could not be written, which is then tried again.

        Raises:
            BackendError: It could not be written even once.
            ProofError: A witness knows that the log was cut off or forked.
        """
        state = self.bring_up_to_date()
        opened()
        while not is_stopping():
            try:
                if self.is_due():
                    state = self.bring_up_to_date()
            except BackendError as error:
                failed(error)
                time.sleep(_RETRIED_AFTER_S)
            time.sleep(LOOK_EVERY_S)
        self.shut()
        return state

    def bring_up_to_date(self) -> "State":
        """Write the table and its state, however often the ledger changes meanwhile. Raises as `refresh`."""
        while (state := self.refresh()) is None:
            pass
        return state

    def refresh(self) -> "State | None":
        """Write what has changed since, and renew the state; return it, or none if it has to be called once more.

        Raises:
            BackendError: It cannot be written. The table runs out by itself.
            ProofError: A witness knows that the log was cut off or forked.
        """
        now_us = self._clock()
        began_ns = self._table.extend(now_us + self._good_for_us)  # before the ledger is read
        history = self._opened.history()
        size, version = history.size, self._opened.parties.version()
        is_known = (size, version) == self._knows and self._opened.now_us < self._stands_until_us
        if self._state is not None and is_known:
            self._state = self._holding(self._state, now_us)
            self._target.renew(self._state)
        elif self._took_s > _LONG_S:  # nobody shall wait for it
            self.shut()
            self._write(size, version, now_us=None)
            return None
        else:
            self._write(size, version, now_us=now_us)
        self._table.confirm(size, began_ns)
        return self._state

    def is_due(self) -> bool:
        """Return whether the ledger or the directory has changed, or the state runs out soon."""
        if self._state is None or self._opened.now_us >= self._stands_until_us:
            return True
        known = self._opened.ledger.size, self._opened.parties.version()
        return known != self._knows or self._clock() >= self._renew_at_us

    def shut(self) -> None:
        """Let nobody read anything in the table from now on; whoever says no does not wait for it any more."""
        if self._state is not None:
            self._state = self._state.shut()
            self._target.renew(self._state)
        self._table.shut()

    def close(self) -> None:
        """Let go of the target; the table stays and runs out by itself."""
        self._target.close()

    def _holding(self, state: "State", now_us: int) -> "State":
        """Return a state that holds from an instant on, until a permit may change by time alone at the latest."""
        ahead_us = self._clock() - self._opened.now_us  # the two clocks may be set apart
        until_us = min(now_us + self._good_for_us, self._stands_until_us + ahead_us)
        self._renew_at_us = now_us + (until_us - now_us) // _RENEWED_AFTER
        return replace(state, good_until_us=until_us)

    def _write(self, size: int, version: object, *, now_us: int | None) -> None:
        """Work the lines out and write them where they are others, with a state that holds from an instant on.

        None for one that does not hold yet.
        """
        from volition.consent.permit_tables.lines import lines_of, with_generation  # noqa: PLC0415 - it loads Arrow
        from volition.consent.permit_tables.state import State  # noqa: PLC0415 - likewise

        began = time.monotonic()
        history, at_us = self._opened.history(), self._opened.now_us
        permits = [
            Permits(history, purpose=purpose, at_us=at_us) for purpose in self._purposes or history.vocabulary.purposes
        ]
        accounts = [one.id for one in self._opened.parties.accounts() if one.id in (self._accounts or {one.id})]
        generation = secrets.token_hex(8) if self._state is None else self._state.generation
        lines = lines_of(permits, accounts, [*self._listed(accounts)], generation=generation)
        self._stands_until_us = min((one.good_until_us() for one in permits), default=NO_PERMIT_US)
        is_new = self._lines is None or not lines.equals(self._lines)
        if is_new and not self._target.in_place:
            generation = secrets.token_hex(8)
            lines = with_generation(lines, generation)
        state = State(
            generation=generation,
            origin=self._opened.origin,
            as_of_entry=size - 1,
            as_of_us=at_us,
            good_until_us=0,
        )
        if now_us is not None:
            state = self._holding(state, now_us)
        if is_new:
            self._target.replace(lines, state)
        else:
            self._target.renew(state)
        self._lines, self._state = lines, state
        self._knows, self._took_s = (size, version), time.monotonic() - began

    def _listed(self, accounts: Sequence[str]) -> "Iterator[Listed]":
        """Yield everyone, under each of the accounts in whose records they are known, by what they are called."""
        from volition.consent.permit_tables.lines import Listed  # noqa: PLC0415 - it loads Arrow

        self._names.refresh()
        for person in self._opened.parties.people():
            known = _accounts_of(person)
            for account in (one for one in accounts if known & {one, None}):
                for name in person.ids if self._ids else person.pseudonyms:
                    party = self._names.person(name if self._ids else f"pseudonym:{name}")
                    if not isinstance(party, Unnamed):
                        yield Listed(account=account, name=name, party=party)


def _accounts_of(person: "Person") -> set[str | None]:
    """Return in whose records somebody is known; none among them for every account's."""
    return {*(one.account for one in person.identities), *(one or None for one in person.former)}


def make_target(text: str) -> "Target":
    """Return the target that a text names.

    Raises:
        InvalidInputError: It names none.
        MissingExtraError: What it needs is not installed.
        BackendError: It cannot be reached.
    """
    scheme, _, place = text.partition(":")
    if scheme in {"postgresql", "postgres"}:
        from volition.consent.permit_tables.targets.database import PostgresTables  # noqa: PLC0415 - when chosen

        return PostgresTables(text)
    if not place or scheme not in TARGETS:
        raise InvalidInputError(f"{text!r} is no place for a table of permits. Write {', '.join(TARGETS.values())}.")
    if scheme == "sqlite":
        from volition.consent.permit_tables.targets.database import SqliteTables  # noqa: PLC0415 - when chosen

        return SqliteTables(Path(place))
    if scheme == "duckdb":
        from volition.consent.permit_tables.targets.files import DuckDBFile  # noqa: PLC0415 - when chosen

        return DuckDBFile(Path(place))
    if scheme == "delta":
        from volition.consent.permit_tables.targets.lakehouse import delta_tables  # noqa: PLC0415 - when chosen
        from volition.consent.permit_tables.targets.target import Apart  # noqa: PLC0415 - likewise

        return Apart(delta_tables(place))
    if scheme == "iceberg":
        from volition.consent.permit_tables.targets.lakehouse import iceberg_tables  # noqa: PLC0415 - when chosen
        from volition.consent.permit_tables.targets.target import Apart  # noqa: PLC0415 - likewise

        return Apart(iceberg_tables(place))
    from volition.consent.permit_tables.targets.files import ParquetFolder  # noqa: PLC0415 - when chosen

    return ParquetFolder(Path(place))
