"""Who looked at whose data: written down before it is shown, each day's root entered in the ledger, each line proved.

The faces say who looks and at what (`note`). A day is entered with the first access of a later day, by the server while
it runs, and whenever the log is read here.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from volition.consent.parties import ErasedError
from volition.consent.references import account_ref, person_ref
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry, NewEntry
from volition.transparency.access_log import EVERYONE, PROOF_FORMAT, AccessLine, ClosedDay, Reader
from volition.workspace.opened import Opened


class Accesses:
    """Writes and reads the access log."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened

    def note(
        self,
        reader: Reader | None,
        reading: str,
        people: Iterable[str],
        *,
        records: int = 1,
        categories: Iterable[str] = (),
    ) -> None:
        """Write down that somebody is about to be shown people's data.

        Args:
            reader: Who looks; none for whoever opened the workspace, and nothing is written where that was not said.
            reading: What is read, of `access_log.READINGS`.
            people: Whose data, by id or as the ledger names them ("person:PSEUDONYM"). Who is not known any more is
                passed over: nothing of theirs can be shown.
            records: How many records or other pieces are read, of each.
            categories: Of which categories.

        Raises:
            BackendError: It cannot be written; nothing may be shown then.
        """
        known = {self._known(one) for one in people}
        self._note(reader, reading, filter(None, known), records=records, categories=categories)

    def _known(self, person: str) -> str | None:
        """Return a person as the ledger names them; none who is not known any more."""
        kind, _, pseudonym = person.partition(":")
        if kind == "person":
            return None if self._opened.parties.person_by_pseudonym(pseudonym) is None else person
        try:
            return person_ref(self._opened.parties.person(person).pseudonym)
        except (ErasedError, InvalidInputError):
            return None

    def note_list(self, reader: Reader | None, reading: str, *, account: str | None, records: int) -> None:
        """Write down that a list of an account's people, or of everyone, is about to be shown. Raises as `note`."""
        whose = EVERYONE if account is None else account_ref(self._opened.parties.account(account).id)
        self._note(reader, reading, [whose], records=records)

    def _note(
        self, reader: Reader | None, reading: str, whose: Iterable[str], *, records: int, categories: Iterable[str] = ()
    ) -> None:
        found = self._opened.reader if reader is None else reader
        if found is None:
            return
        self.close_days()
        self._opened.access_log.note(
            found, reading, whose, at_us=self._opened.now_us, records=records, categories=categories
        )

    def close_days(self) -> None:
        """Enter the root of each day that is over in the ledger; nothing where all are entered.

        Raises:
            BackendError: The log cannot be written.
        """
        self._opened.access_log.close_days(
            self._opened.now_us, size=lambda: self._opened.ledger.size, enter=self._enter
        )

    def of(self, person: str, *, before: str | None = None, limit: int = 100) -> tuple[AccessLine, ...]:
        """Return who looked at a person's data, under any identity of theirs, the newest first.

        Args:
            person: Whose data.
            before: The place of the last line that was seen ("DAY.NUMBER"); then older ones are returned.
            limit: At most how many; features' uses of today come on top.

        Raises:
            InvalidInputError: The person is not known, or there is no such place.
        """
        self.close_days()
        place = None if before is None else _place(before)
        return self._opened.access_log.of(self._names(person), before=place, limit=limit)

    def prove(self, person: str, line: str) -> dict[str, Any]:
        """Prove one line about a person; `verify.looked.check_access_proof` checks it with the public key alone.

        Raises:
            InvalidInputError: There is no such line about them, or its day is not over.
        """
        self.close_days()
        found = self._opened.access_log.prove(self._names(person), *_place(line))
        ledger = self._opened.ledger
        size = ledger.size
        [entry] = ledger.entries(found.seq, found.seq + 1)
        return {
            "format": PROOF_FORMAT,
            "line": found.leaf.decode(),
            "index": found.index,
            "lines": found.lines,
            "path": [step.hex() for step in found.path],
            "entry": entry.leaf_bytes.decode(),
            "hashes": [step.hex() for step in ledger.prove_inclusion(entry.seq, size)],
            "checkpoint": ledger.checkpoint(size),
        }

    def _names(self, person: str) -> list[str]:
        """Return every name that lines have for a person."""
        known = self._opened.parties.person(person)
        accounts = {known.account, *known.former, *(one.account for one in known.identities)}
        return [
            EVERYONE,
            *map(person_ref, known.pseudonyms),
            *(account_ref(account) for account in sorted(filter(None, accounts))),
        ]

    def _enter(self, days: Sequence[ClosedDay]) -> list[int]:
        """Enter days in the ledger, and return the number of each one's entry.

        A process that was killed before it noted the numbers may have entered them: those are not entered again.
        """
        ledger = self._opened.ledger
        known = {entry.body["day"]: entry for entry in ledger.entries(days[0].size) if entry.kind == "access"}
        missing = [one for one in days if one.day not in known]
        bodies = [{"day": one.day, "root": one.root.hex(), "lines": one.lines} for one in missing]
        new = ledger.append(*(NewEntry(kind="access", body=body) for body in bodies))
        entered: dict[str, Entry] = known | {entry.body["day"]: entry for entry in new}
        return [entered[one.day].seq for one in days]


def _place(text: str) -> tuple[str, int]:
    day, _, number = text.partition(".")
    if not (number.isascii() and number.isdecimal() and len(number) < 16):
        raise InvalidInputError(f"{text!r} names no line. Take the name from the list, such as 2026-01-31.4.")
    return day, int(number)
