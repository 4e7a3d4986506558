"""Who can be reached by mail, and by which link they come in. An address is one that the workspace knows of a person.

Somebody who has a sign-in gets the page's own address. Somebody who has none, such as a guest of a meeting, gets a
signed link, which is their way in (`auth.links`) and is said to be one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from volition.consent.parties import Person
from volition.server.auth import Access, Principal, Role
from volition.workspace import Workspace
from volition.workspace.mail_settings import is_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Somebody who gets mails about one account.

    Attributes:
        account: The account.
        organisation: Its name.
        address: Where mails go.
        person: Who they are; none for an administrator who is no person here.
        user: Their sign-in; none where they have none.
        administers: Whether they get what an administrator gets.
    """

    account: str
    organisation: str
    address: str
    person: str | None
    user: str | None
    administers: bool

    @property
    def key(self) -> str:
        """By which mails to them are told apart: as a person, or as an administrator."""
        return f"administrator {self.user}" if self.administers else f"person {self.person}"


class Recipients:
    """Everybody who can be reached now."""

    def __init__(self, workspace: Workspace, access: Access, *, url: str, has_oidc: bool) -> None:
        """Read who can sign in.

        Args:
            workspace: Whose people.
            access: Who can sign in, and what signs links.
            url: The server's address as people reach it, without a slash at the end.
            has_oidc: Whether everybody of an account signs in through an OpenID provider.
        """
        self._workspace = workspace
        self._access = access
        self._url = url
        self._has_oidc = has_oidc
        self._users = access.users.all()
        self._by_person = {who.person: who for who in self._users if who.person is not None and not who.is_guest}

    def of(self, account: str) -> Iterator[Recipient]:
        """Yield everybody of an account who has an address: its people, then its administrators."""
        for person in self._workspace.parties.people(account):
            found = self._as_person(person)
            if found is not None:
                yield found
        yield from self.administrators(account)

    def administrators(self, account: str) -> Iterator[Recipient]:
        """Yield an account's administrators who have an address: as a person of the workspace, or as their sign-in."""
        organisation = self._workspace.parties.account(account).name
        for who in self._users:
            if who.account != account or Role.ADMINISTRATOR not in who.roles:
                continue
            for address in self._addresses(who):
                yield Recipient(
                    account=account,
                    organisation=organisation,
                    address=address,
                    person=who.person,
                    user=who.user,
                    administers=True,
                )

    def operators(self) -> Iterator[tuple[Principal, str]]:
        """Yield everybody who operates the service and has an address, with it."""
        for who in self._users:
            if Role.OPERATOR in who.roles:
                yield from ((who, address) for address in self._addresses(who))

    def page(self, path: str) -> str:
        """Return the address of a page."""
        return f"{self._url}{path}"

    def person(self, pseudonym: str) -> Recipient | None:
        """Return whom a pseudonym stands for; none if nobody, or somebody without an address."""
        person = self._workspace.parties.person_by_pseudonym(pseudonym)
        return None if person is None else self._as_person(person)

    def link(self, recipient: Recipient, path: str) -> tuple[str, bool]:
        """Return the address of a page for somebody, and whether it is a signed link that lets them in."""
        has_way_in = recipient.user is not None or (self._has_oidc and not self._is_guest(recipient))
        if recipient.administers or has_way_in or recipient.person is None:
            return f"{self._url}{path}", False
        signed = self._access.links.make_guest_link(person=recipient.person, account=recipient.account)
        return f"{self._url}/guest/{signed}", True

    def _as_person(self, person: Person) -> Recipient | None:
        address = next((one for one in person.emails if is_address(one)), None)
        if person.account is None or address is None:
            return None
        known = self._by_person.get(person.id)
        return Recipient(
            account=person.account,
            organisation=self._workspace.parties.account(person.account).name,
            address=address,
            person=person.id,
            user=None if known is None else known.user,
            administers=False,
        )

    def _is_guest(self, recipient: Recipient) -> bool:
        return recipient.person is not None and self._workspace.parties.person(recipient.person).is_guest

    def _addresses(self, who: Principal) -> list[str]:
        emails = () if who.person is None else self._workspace.parties.person(who.person).emails
        return [one for one in (*emails, who.user) if is_address(one)][:1]
