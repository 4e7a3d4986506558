"""Accounts and people: who there is, and in which region.

`Workspace.parties` is the directory, to look them up in; what changes it is here, since some of it is an entry of the
ledger, too.
"""

from collections.abc import Sequence

from volition.consent.parties import Account, Person
from volition.consent.terms.regions import check_region
from volition.ledger.entry import NewEntry
from volition.workspace.namesakes import Namesakes
from volition.workspace.opened import Opened


class People:
    """Adds accounts and people."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened
        self._namesakes = Namesakes(opened)

    def add_account(self, account: str, name: str, *, region: str | None = None) -> Account:
        """Add an account; its region (ISO 3166, such as "DE") chooses among the terms' rules."""
        if region is not None:
            check_region(region)  # first: an entry of the log stays for ever
        added = self._opened.parties.add_account(account, name)
        if region is not None:
            self._locate(f"account:{account}", region)
        return added

    def add_person(  # noqa: PLR0913 - the handles by which sources name a person
        self,
        person: str,
        *,
        account: str | None = None,
        name: str | None = None,
        aliases: Sequence[str] = (),
        emails: Sequence[str] = (),
        region: str | None = None,
    ) -> Person:
        """Add a person; without an account it is a guest. The region, if known, overrides the account's.

        Whoever was heard under one of their names before stays a person of their own, as `namesakes` tells; what these
        have refused counts for the new one, too.
        """
        if region is not None:
            check_region(region)
        added = self._opened.parties.add_person(person, account=account, name=name, aliases=aliases, emails=emails)
        if region is not None:
            self._locate(f"person:{added.pseudonym}", region)
        if refused := list(self._namesakes.refusals_for(added)):
            self._opened.ledger.append(*refused)
        return added

    def namesakes(self, person: str) -> list[Person]:
        """Return who may be the same person: somebody heard in the data for one registered, or the other way round.

        Until the two are joined both are asked, and the no of each counts for both.

        Raises:
            InvalidInputError: There is no such person.
        """
        return self._namesakes.of(self._opened.parties.person(person))

    def names(self, person: str) -> list[str]:
        """Return every name, alias and address by which a person is known.

        Raises:
            InvalidInputError: There is no such person.
            RefusedError: They were erased.
        """
        found = self._opened.parties.person(person)
        return [text for text in (found.name, *found.aliases, *found.emails) if text]

    def erased_names(self, person: str) -> list[str]:
        """Return the names and addresses of a person by which somebody was known who was erased."""
        found = self._opened.parties.person(person)
        return [text for text in self.names(person) if self._opened.parties.is_erased(found.account or "", text)]

    def _locate(self, party: str, region: str) -> None:
        self._opened.ledger.append(NewEntry(kind="region", body={"party": party, "region": region}))
