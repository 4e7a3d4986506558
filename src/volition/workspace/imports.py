"""Answers given elsewhere, and accounts and people in bulk, taken in from files and rows: batch by batch.

Each batch is one transaction of the ledger: killed in the middle, what was acknowledged is there, and the same file,
imported again, adds the rest. What a source calls an answer is kept as a digest under this workspace's key, so that the
same is imported once; without such a name, an answer's own words are its name. A row that cannot be taken is set aside
with its line and a reason, and costs no other.
"""

import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from volition.canonical import canonical_json, text_to_us, us_to_text
from volition.consent.claims import Claim, ClaimMapping, UnclearClaimError
from volition.consent.history import History, content_number, import_number
from volition.consent.names import Names, Unnamed
from volition.consent.permits import UNKNOWN_PERSON, Reason
from volition.consent.references import PartyRef
from volition.ledger.entry import Entry, NewEntry
from volition.progress import Progress, silent
from volition.records.tables import Line, read_lines
from volition.workspace.namesakes import Namesakes
from volition.workspace.opened import Opened

BATCH: Final = 4096
"""So many rows are one transaction of the ledger."""

_MOST_TOLD: Final = 1000
"""So many rows that are set aside are told one by one; the rest is counted."""

_STAGE: Final = "importing answers"
_MEND: Final = 'Correct the mapping: of what is in no column, [columns] says so by "", as in id = "".'
_ERASED: Final = "It is of somebody who was erased."
_UNKNOWN: Final = "Its party is nobody who is known here, or more than one goes by that name. Add them first."


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A row that was not taken: its line, and why."""

    line: int
    why: str


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What an import did, or, of a dry run, what it would do.

    Attributes:
        file: The file's name; empty where the rows came from none.
        dry_run: Whether nothing was done.
        new: How many answers (accounts, people) were taken.
        known: How many were there already, word for word.
        blank: How many cells said nothing.
        set_aside: How many were not taken.
        rows: The rows that were not taken, the first thousand of them.
        why: How many of these for which reason.
    """

    file: str = ""
    dry_run: bool = False
    new: int = 0
    known: int = 0
    blank: int = 0
    set_aside: int = 0
    rows: list[SetAside] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)

    def put_aside(self, line: int, why: str) -> None:
        """Note a row that is not taken."""
        self.set_aside += 1
        self.why[why] += 1
        if len(self.rows) < _MOST_TOLD:
            self.rows.append(SetAside(line=line, why=why))

    def to_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "file": self.file,
            "dry_run": self.dry_run,
            "new": self.new,
            "known": self.known,
            "blank": self.blank,
            "set_aside": self.set_aside,
            "rows": [{"line": one.line, "why": one.why} for one in self.rows],
            "why": dict(self.why.most_common()),
        }


def rows_of(
    given: Path | Iterable[Mapping[str, Any]],
    *,
    columns: Sequence[str] = (),
    needed: Sequence[str] = (),
    mend: str = "Correct the mapping.",
) -> Iterator[Line]:
    """Yield the rows of a file, as `read_lines` does, or those that are given, counted from 1."""
    if isinstance(given, Path):
        yield from read_lines(given, columns=columns, needed=needed, mend=mend)
    else:
        yield from (Line(line, cells) for line, cells in enumerate(given, start=1))


class _Draft(NamedTuple):
    """An answer that is to be recorded: of which line, under which number, and its entry's body."""

    line: int
    name: int
    body: dict[str, Any]

    def content(self) -> int:
        """Return a digest of what it says: computed where something has its number already, which is rare."""
        return content_number(self.body)


class AnswerImport:
    """One import of answers."""

    def __init__(
        self,
        opened: Opened,
        namesakes: Namesakes,
        mapping: ClaimMapping,
        *,
        by: str,
        untold: Callable[[str], Iterable[NewEntry]],
    ) -> None:
        """Arrange to import.

        Args:
            opened: The workspace's folder.
            namesakes: Who is or may be one person.
            mapping: Which column holds what.
            by: Who imports, as the ledger is to say: a party, or "operator".
            untold: Returns what those refuse who may be a party, and of whom the ledger does not know that; for a yes.
        """
        self._opened = opened
        self._namesakes = namesakes
        self._mapping = mapping.within(opened.history().vocabulary)
        self._by = by
        self._untold = untold
        self._names = Names(opened.parties)
        self._key = opened.parties.derived_secret("imports")
        self._report = ImportReport()
        self._taken: dict[int, int] = {}  # what a dry run would have recorded: by its number, what it says

    def run(
        self, given: Path | Iterable[Mapping[str, Any]], *, dry_run: bool = False, progress: Progress = silent
    ) -> ImportReport:
        """Import rows, batch by batch; raises as `Consent.import_` does."""
        self._report = ImportReport(file=given.name if isinstance(given, Path) else "", dry_run=dry_run)
        self._taken = {}
        done, coming = 0, rows_of(given, columns=self._mapping.read_columns, mend=_MEND)
        while rows := [*islice(coming, BATCH)]:
            drafts = [*self._drafts(rows)]
            if dry_run:
                fresh = self._fresh(drafts, self._opened.history(), self._report)
                self._taken.update((one.name, one.content()) for one in fresh)
                self._report.new += len(fresh)
            elif drafts:
                self._record(drafts)
            done += len(rows)
            progress(_STAGE, done, 0)
        return self._report

    def _drafts(self, rows: Sequence[Line]) -> Iterator[_Draft]:
        """Yield the answers of some rows; count blank cells, and set aside what cannot be taken."""
        self._names.refresh()
        now_us = self._opened.now_us
        claims: list[tuple[int, Claim, str | None]] = []
        for row in rows:
            for claim in self._mapping.read(row.cells) if row.cells is not None else (UnclearClaimError(row.fault),):
                if claim is None:
                    self._report.blank += 1
                elif isinstance(claim, UnclearClaimError):
                    self._report.put_aside(row.number, str(claim))
                else:
                    claims.append((row.number, claim, self._account(claim)))
        self._names.expect_known_as({(account, claim.party) for _, claim, account in claims})
        for line, claim, account in claims:
            try:
                yield self._draft(line, claim, account, now_us)
            except UnclearClaimError as fault:
                self._report.put_aside(line, str(fault))

    def _draft(self, line: int, claim: Claim, account: str | None, now_us: int) -> _Draft:
        if claim.said_us > now_us:
            raise UnclearClaimError("It was given in the future.")
        if claim.said_us < 0:
            raise UnclearClaimError("It was given before 1970.")
        if claim.until_us is not None and claim.until_us <= claim.said_us:
            raise UnclearClaimError("It ended before it was given.")
        party = self._party(claim, account)
        told: dict[str, Any] = {"said": us_to_text(claim.said_us), "by": self._by, "source": claim.source}
        if claim.wording is not None:
            told["wording"] = claim.wording
        body = {
            "party": party,
            "answer": "yes" if claim.yes else "no",
            "data": sorted(set(claim.data)),
            "purpose": sorted(set(claim.purpose)),
            "covers": None,
            "claim": told,
        }
        if claim.until_us is not None:
            body["until"] = _text_of(claim.until_us)
        name = canonical_json(body).decode() if claim.id is None else claim.id
        told["id"] = hmac.digest(self._key, f"{claim.source}\0{name}".encode(), "sha256").hex()[:32]
        return _Draft(line, import_number(told["id"]), body)

    def _account(self, claim: Claim) -> str | None:
        """Return the account in which a party goes by a name; none where there is none, or it is not known."""
        if claim.account is None:
            return None
        found = self._names.account(claim.account)
        return None if isinstance(found, Unnamed) else found

    def _party(self, claim: Claim, account: str | None) -> PartyRef:
        if account is None and claim.account is not None:
            raise UnclearClaimError("Its account is none that is known here.")
        party = self._names.known_as(account, claim.party)
        if isinstance(party, Unnamed):
            raise UnclearClaimError(_ERASED if party.reason is Reason.ERASED else _UNKNOWN)
        if party == UNKNOWN_PERSON:
            raise UnclearClaimError(_UNKNOWN)
        return party

    def _fresh(self, drafts: Iterable[_Draft], history: History, report: ImportReport) -> list[_Draft]:
        """Return those that are not there yet; the others are counted, or set aside where they say something else."""
        fresh: dict[int, _Draft] = {}
        for one in drafts:
            if history.erased_us(one.body["party"]) is not None:
                report.put_aside(one.line, _ERASED)
                continue
            known = history.imported.find(one.name)
            content = self._taken.get(one.name) if known is None else known[1]
            if content is None and fresh.setdefault(one.name, one) is one:
                continue
            if one.content() == (fresh[one.name].content() if content is None else content):
                report.known += 1
            else:
                where = "another row of this import" if known is None else f"entry {known[0]} of the ledger"
                report.put_aside(one.line, f"Under the same id, {where} says something else. Nothing was changed.")
        return [*fresh.values()]

    def _record(self, drafts: Sequence[_Draft]) -> None:
        """Record a batch in one transaction; whatever comes in between that could change it is looked at anew."""
        parties, numbers = {one.body["party"] for one in drafts}, {one.name for one in drafts}
        people = {party for party in parties if party.startswith("person:")}
        outcome, fresh, alone = ImportReport(), [], self._namesakes.alone(people)

        def judged() -> Sequence[NewEntry]:
            nonlocal outcome, fresh
            outcome = ImportReport()
            fresh = self._fresh(drafts, self._opened.history(), outcome)
            outcome.new = len(fresh)
            return [entry for one in fresh for entry in self._entries(one.body, alone)]

        self._opened.append_judged(judged, unless=lambda entry: _could_change(entry, parties, numbers))
        merged = people - (alone & self._namesakes.alone(people))  # maybe meanwhile
        self._record_late(one for one in fresh if one.body["party"] in merged)
        self._add(outcome)

    def _entries(self, body: dict[str, Any], alone: frozenset[str]) -> Iterator[NewEntry]:
        """Yield the entries that an answer takes: its own, and those for whoever is, or may be, the same person."""
        party = str(body["party"])
        entry = NewEntry(kind="decision", body=body)
        if party.startswith("account:") or party in alone:
            yield entry
            return
        if body["answer"] == "yes":
            yield from self._untold(party)
        yield entry
        yield from self._namesakes.copies(party, body, kind="decision")

    def _record_late(self, drafts: Iterable[_Draft]) -> None:
        """Record for those who became the same person meanwhile what a batch says and was not recorded for them."""
        history = self._opened.history()
        late = []
        for one in drafts:
            for copy in self._namesakes.copies(one.body["party"], one.body, kind="decision"):
                said = [decision.said_us for decision in history.party(str(copy.body["party"])).decisions]
                if text_to_us(one.body["claim"]["said"]) not in said:
                    late.append(copy)
        self._opened.ledger.append(*late)

    def _add(self, outcome: ImportReport) -> None:
        report = self._report
        report.new += outcome.new
        report.known += outcome.known
        for one in outcome.rows:
            report.put_aside(one.line, one.why)
        report.set_aside += outcome.set_aside - len(outcome.rows)


def _could_change(entry: Entry, parties: set[str], numbers: set[int]) -> bool:
    """Say whether an entry that came meanwhile could change what is to be recorded: an erasure, or the same import."""
    if entry.kind == "erasure":
        return entry.body["party"] in parties
    claim = entry.body.get("claim") if entry.kind == "decision" else None
    return claim is not None and "id" in claim and import_number(claim["id"]) in numbers


def _text_of(at_us: int) -> str:
    try:
        return us_to_text(at_us)
    except OverflowError:
        raise UnclearClaimError("Its end cannot be read as a time.") from None
