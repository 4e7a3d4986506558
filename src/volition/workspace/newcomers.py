"""Accounts and people in bulk, from files and rows: added once, and whoever is there already is left as they are.

A blank cell says nothing and takes nothing away. A row that says something else of somebody who is there is set aside:
who people are is changed by hand. Killed in the middle, the same file adds the rest.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from volition.consent.parties import Account, ErasedError, NewPerson, Parties, Person, fold
from volition.consent.references import Pseudonym, person_ref
from volition.consent.terms.regions import check_region
from volition.errors import ConflictError, InvalidInputError
from volition.ledger.entry import NewEntry
from volition.progress import Progress, silent
from volition.records.tables import Line
from volition.workspace.imports import ImportReport, rows_of
from volition.workspace.namesakes import Namesakes
from volition.workspace.opened import Opened

PEOPLE_COLUMNS: Final = ("id", "account", "name", "aliases", "emails", "region")
ACCOUNT_COLUMNS: Final = ("id", "name", "region")
BATCH: Final = 1000

_MEND: Final = "Say in which column it is: --column id=COLUMN."
_DIFFERS: Final = "It is there already, and this row says something else of it. Change it by hand; nothing was changed."


class Newcomers:
    """Adds many at once."""

    def __init__(
        self,
        opened: Opened,
        namesakes: Namesakes,
        *,
        add_account: Callable[..., Account],
        add_person: Callable[..., Person],
    ) -> None:
        """Take the opened folder, and what adds one account, and one person whom somebody heard may be."""
        self._opened = opened
        self._namesakes = namesakes
        self._add_account = add_account
        self._add_person = add_person

    def accounts(
        self,
        given: Path | Iterable[Mapping[str, Any]],
        columns: Mapping[str, str],
        *,
        dry_run: bool = False,
        progress: Progress = silent,
    ) -> ImportReport:
        """Add accounts; raises as `People.import_accounts` does."""
        report, seen = _report(given, dry_run), set[str]()
        for done, row in enumerate(_rows_of(given, columns), start=1):
            try:
                cells = _cells(row.cells, row.fault, columns, ACCOUNT_COLUMNS)
                added = self._account(cells, seen, dry_run=dry_run)
            except (InvalidInputError, ConflictError) as error:
                report.put_aside(row.number, str(error))
            else:
                report.new += added
                report.known += not added
            progress("importing accounts", done, 0)
        return report

    def _account(self, cells: Mapping[str, str], seen: set[str], *, dry_run: bool) -> bool:
        """Add an account; return whether it is new."""
        account, region = cells["id"], cells["region"] or None
        if region is not None:
            check_region(region)
        there = self._opened.history().regions(f"account:{account}")
        if self._opened.parties.has_account(account):
            known = self._opened.parties.account(account)
            if cells["name"] not in {"", known.name} or (region and there and there[-1][1] != region):
                raise ConflictError(_DIFFERS)
            if region is None or there:
                return False
        elif account in seen:
            return False
        seen.add(account)
        if not dry_run:
            self._add_account(account, cells["name"] or account, region=region)
        return True

    def people(
        self,
        given: Path | Iterable[Mapping[str, Any]],
        columns: Mapping[str, str],
        *,
        dry_run: bool = False,
        progress: Progress = silent,
    ) -> ImportReport:
        """Add people, batch by batch; raises as `People.import_people` does."""
        report, seen = _report(given, dry_run), set[str]()
        done, coming = 0, _rows_of(given, columns)
        while rows := [*islice(coming, BATCH)]:
            fresh: list[tuple[NewPerson, str | None]] = []
            for row in rows:
                try:
                    person, region = _newcomer(_cells(row.cells, row.fault, columns, PEOPLE_COLUMNS))
                    is_new = self._is_new(person, region, seen)
                except (InvalidInputError, ConflictError) as error:
                    report.put_aside(row.number, str(error))
                    continue
                report.new += is_new
                report.known += not is_new
                if is_new:
                    fresh.append((person, region))
            if not dry_run:
                self._add(fresh)
            done += len(rows)
            progress("importing people", done, 0)
        return report

    def _is_new(self, person: NewPerson, region: str | None, seen: set[str]) -> bool:
        """Return whether somebody is to be added, or their region; raise where they are there as somebody else."""
        parties = self._opened.parties
        if person.account is not None:
            parties.account(person.account)
        try:
            known = parties.person(person.id)
        except ErasedError:
            raise ConflictError("It is of somebody who was erased.") from None
        except InvalidInputError:
            if person.id in seen:
                raise ConflictError("Another row of this import has the same id.") from None
            seen.add(person.id)
            return True
        there = self._opened.history().regions(person_ref(known.pseudonym_of(person.id)))
        goes_by = {fold(handle) for handle in (*known.names, *known.addresses, *known.ids)}
        handles = {fold(handle) for handle in (person.name or "", *person.aliases, *person.emails)} - {""}
        is_elsewhere = person.account is not None and person.account not in {known.account, *known.former}
        if is_elsewhere or not handles <= goes_by or (region and there and there[-1][1] != region):
            raise ConflictError(_DIFFERS)
        return region is not None and not there

    def _add(self, fresh: Sequence[tuple[NewPerson, str | None]]) -> None:
        """Add people: those whom nobody heard may be, all at once; the others as `People.add_person` does."""
        parties = self._opened.parties
        there = {person.id for person, _ in fresh if _is_there(parties, person.id)}
        new = [person for person, _ in fresh if person.id not in there]
        nobody_was = parties.changes.linked() is not None
        heard = {one.id for one in new if not nobody_was and self._namesakes.of(one.unknown())}
        alone = [person for person in new if person.id not in heard]
        pseudonyms: dict[str, Pseudonym] = {one.id: one.pseudonym for one in parties.directory.add_people(alone)}
        pseudonyms |= {person: parties.person(person).pseudonym_of(person) for person in there}
        regions = [
            NewEntry(kind="region", body={"party": person_ref(pseudonyms[person.id]), "region": region})
            for person, region in fresh
            if region is not None and person.id in pseudonyms
        ]
        self._opened.ledger.append(*regions)
        for person, region in fresh:
            if person.id in heard:
                about = {"account": person.account, "name": person.name, "region": region}
                self._add_person(person.id, aliases=person.aliases, emails=person.emails, **about)


def _is_there(parties: Parties, person: str) -> bool:
    try:
        parties.person(person)
    except InvalidInputError:
        return False
    return True


def _report(given: Path | Iterable[Mapping[str, Any]], dry_run: bool) -> ImportReport:  # noqa: FBT001 - as it was given
    return ImportReport(file=given.name if isinstance(given, Path) else "", dry_run=dry_run)


def _rows_of(given: Path | Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> Iterator[Line]:
    """Yield rows; a table has a column of ids, and each that was named."""
    return rows_of(given, needed=tuple({"id": "id", **columns}.values()), mend=_MEND)


def _cells(
    cells: Mapping[str, Any] | None, fault: str, columns: Mapping[str, str], names: Sequence[str]
) -> dict[str, Any]:
    """Return a row's cells by what they are, as text or, of several names, a list. Raises InvalidInputError."""
    if cells is None:
        raise InvalidInputError(fault)
    found: dict[str, Any] = {}
    for name in names:
        value = cells.get(columns.get(name, name))
        if name in {"aliases", "emails"}:
            listed = value if isinstance(value, list | tuple) else str(value or "").split(";")
            found[name] = tuple(text for one in listed if (text := str(one).strip()))
        else:
            found[name] = "" if value is None else str(value).strip()
    if not found["id"]:
        raise InvalidInputError("It has no id.")
    return found


def _newcomer(cells: Mapping[str, Any]) -> tuple[NewPerson, str | None]:
    region = cells["region"] or None
    if region is not None:
        check_region(region)
    person = NewPerson(
        id=cells["id"],
        account=cells["account"] or None,
        name=cells["name"] or None,
        aliases=cells["aliases"],
        emails=cells["emails"],
    )
    person.check()
    return person, region


def columns_of(told: Mapping[str, str] | None, names: Sequence[str]) -> dict[str, str]:
    """Return in which column what is, where it is not in one of its own name. Raises InvalidInputError."""
    unknown = sorted(set(told or {}) - set(names))
    if unknown:
        raise InvalidInputError(f"There is no column {unknown[0]!r} here. Use: {', '.join(names)}.")
    return dict(told or {})
