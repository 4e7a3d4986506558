"""Tables elsewhere, as `[tables.NAME]` of the settings lists them: an erasure takes the rows out of each.

What was done to a table is an entry of the ledger, `removal`: for whom a table has one, it is not walked again. So a
walk that was killed, or a table that could not be reached, is gone on with by whoever erases or forgets next; until
then the person's key stays, since without it nobody knows any more what the table calls them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from volition.consent.names import Names
from volition.consent.parties import Person
from volition.consent.references import account_ref, person_ref
from volition.errors import BusyError, ConflictError, InvalidInputError, VolitionError
from volition.files import turn
from volition.ledger.entry import NewEntry
from volition.workspace.opened import LEASES, Opened
from volition.workspace.table_settings import TableSettings

if TYPE_CHECKING:
    from volition.records.foreign.erasing.outcome import ErasableTable
    from volition.records.foreign.erasing.traces import Trace
    from volition.records.foreign.erasing.whom import Whom


class TableErasureError(ConflictError):
    """Everything here is erased, but a table elsewhere still has, or may have, rows of whom is erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableErased:
    """What was done to a table, or would be.

    Attributes:
        table: Its name in the settings.
        rows: How many rows went.
        versions: How many older versions nobody can read any more.
        files: How many files were removed.
        left: Where in files that stay the names are found, such as in what somebody else wrote.
    """

    table: str
    rows: int
    versions: int
    files: int = 0
    left: "tuple[Trace, ...]" = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        counts = {"table": self.table, "rows": self.rows, "versions": self.versions, "files": self.files}
        return {**counts, "left": [one.to_json() for one in self.left]}


class ErasingTables:
    """Takes rows out of the tables that the settings list."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened

    def would_go(self, party: str) -> list[TableErased]:
        """Return what erasing a party, as the ledger names it, would do to each table; nothing changes.

        Raises:
            TableErasureError: A table cannot be reached, or is of a kind from which nothing can be erased.
        """
        accounts, people = self._parties([party])
        whom = self._whom(accounts, people)
        found = []
        for settings in self._opened.settings.tables.values():
            try:
                would = self._table(settings).would_go(whom)
            except VolitionError as error:
                raise TableErasureError(f"The table {settings.name}: {error}") from error
            found.append(TableErased(table=settings.name, rows=would.rows, versions=would.versions))
        return found

    def erase(self, parties: Sequence[str]) -> tuple[list[TableErased], list[str]]:
        """Take the rows of parties, as the ledger names them, out of each table from which they were not taken yet.

        Processes take turns: two that end a table's older versions at once would take files from each other.

        Returns:
            What was done, and for each table that is not done, why.
        """
        done, problems = list[TableErased](), list[str]()
        if not any(map(self.waiting, parties)):
            return done, problems
        (self._opened.folder / LEASES).mkdir(exist_ok=True)  # where nobody else takes turns
        try:
            with turn(self._opened.folder / LEASES):
                self._erase_in_turn(parties, done, problems)
        except BusyError as error:
            problems.append(f"Another process is at it: {error}")
        return done, problems

    def _erase_in_turn(self, parties: Sequence[str], done: list[TableErased], problems: list[str]) -> None:
        for settings in self._opened.settings.tables.values():
            left = [party for party in parties if settings.name in self.waiting(party) and self._is_known(party)]
            try:
                if left:
                    done.append(self._erase_in(settings, left))
            except VolitionError as error:
                problems.append(f"The table {settings.name}: {error}")

    def _is_known(self, party: str) -> bool:
        """Return whether a party can still be named; otherwise another process has ended all since."""
        kind, _, name = party.partition(":")
        return kind == "account" or self._opened.parties.person_by_pseudonym(name) is not None

    def waiting(self, party: str) -> list[str]:
        """Return the tables from which a party's rows, as the ledger names it, were not taken yet."""
        taken = {
            (entry.body["table"], entry.body["of"])
            for entry in self._opened.history().events
            if entry.kind == "removal" and party in entry.body["parties"]
        }
        tables = self._opened.settings.tables.values()
        return [one.name for one in tables if (one.name, one.digest) not in taken]

    def _erase_in(self, settings: TableSettings, parties: Sequence[str]) -> TableErased:
        gone = self._table(settings).erase(self._whom(*self._parties(parties)))
        if gone.waits:
            more = f" and {len(gone.waits) - 1} more" if len(gone.waits) > 1 else ""
            msg = (
                f"{gone.waits[0]}{more} names them, and no version of the table names it: somebody may be about to "
                "commit it. It is removed a day after it was written: forget again then."
            )
            raise ConflictError(msg)
        counts = {"rows": gone.rows, "left": len({one.file for one in gone.left})}
        body = {"table": settings.name, "of": settings.digest, "parties": sorted(parties), **counts}
        self._opened.ledger.append(NewEntry(kind="removal", body=body))
        return TableErased(
            table=settings.name, rows=gone.rows, versions=gone.versions, files=gone.files, left=gone.left
        )

    def _table(self, settings: TableSettings) -> "ErasableTable":
        from volition.records.foreign.erasing.opened import erasable  # noqa: PLC0415 - it loads Arrow
        from volition.records.foreign.erasing.whom import WhoseColumns  # noqa: PLC0415 - likewise

        whose = WhoseColumns(
            people=settings.people,
            people_are=settings.people_are,
            account=settings.account,
            account_column=settings.account_column,
        )
        return erasable(settings.form, settings.location(self._opened.folder), whose)

    def _parties(self, parties: Sequence[str]) -> tuple[list[str], list[Person]]:
        """Return the accounts' ids and the people whom the ledger calls so."""
        accounts, people = [], []
        for party in parties:
            kind, _, name = party.partition(":")
            if kind == "account":
                accounts.append(name)
            elif (person := self._opened.parties.person_by_pseudonym(name)) is not None:
                people.append(person)
            else:
                raise InvalidInputError(f"Nobody knows any more whom {party} stands for.")
        return accounts, people

    def _whom(self, accounts: Sequence[str], people: Sequence[Person]) -> "Whom":
        """Return what tables may call them; a text that could mean somebody else as well means nobody."""
        from volition.records.foreign.erasing.whom import Whom  # noqa: PLC0415 - it loads Arrow

        names = Names(self._opened.parties)
        by_id, by_pseudonym = set[str](), set[str]()
        for person in people:
            refs = {person_ref(one) for one in person.pseudonyms}
            marked = {f"person:{one}" for one in person.ids}
            marked |= {f"{kind}:{one}" for one in person.pseudonyms for kind in ("person", "pseudonym")}
            by_id |= {one for one in {*person.ids, *marked} if names.person(one) in refs}
            by_pseudonym |= {one for one in marked if names.person(one) in refs}
            by_pseudonym |= {one for one in person.pseudonyms if names.person(f"pseudonym:{one}") in refs}
        spelt = {
            one for account in accounts for one in (account, account_ref(account)) if names.account(one) == account
        }
        return Whom(
            by_id=frozenset(by_id),
            by_pseudonym=frozenset(by_pseudonym),
            accounts=frozenset(accounts),
            account_names=frozenset(spelt),
            handles=frozenset(one for person in people for one in (*person.names, *person.addresses)),
        )
