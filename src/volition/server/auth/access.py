"""Who can come in to one server, put together over one file.

>>> access = Access.open(folder)                                                                # doctest: +SKIP
>>> access.users.add("ada", password="...", roles=[Role.PERSON], account="helio", person="ada") # doctest: +SKIP
>>> access.sessions.find(secret)                                                                # doctest: +SKIP
"""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Self

from volition import canonical
from volition.server.auth.attempts import Attempts
from volition.server.auth.database import WebDatabase
from volition.server.auth.embeds import Embeds
from volition.server.auth.links import Links
from volition.server.auth.passwords import Passwords
from volition.server.auth.principal import Role
from volition.server.auth.second_factors import SecondFactors
from volition.server.auth.sessions import Sessions
from volition.server.auth.tokens import Tokens
from volition.server.auth.users import Users


class Access:
    """`web.db` of a workspace's folder, and what is kept in it. It may be used from several threads.

    Attributes:
        database: The file; others who keep something between requests keep it there too.
        sessions: Browser sessions.
        tokens: API tokens.
        users: Who can sign in.
        factors: Second factors.
        attempts: Attempts to sign in, counted.
        links: Guests' links and other signed texts.
        embeds: Tokens for one person inside another page.
    """

    def __init__(self, path: Path, *, clock: Callable[[], int] = canonical.now_us) -> None:
        """Open the file, or make it with mode 0600.

        Raises:
            BackendError: It cannot be opened or made.
        """
        self.database = WebDatabase(path, clock=clock)
        self.sessions = Sessions(self.database)
        self.tokens = Tokens(self.database)
        self.factors = SecondFactors(self.database)
        self.attempts = Attempts(self.database)
        self.users = Users(
            self.database,
            passwords=Passwords(self.database),
            sessions=self.sessions,
            tokens=self.tokens,
            factors=self.factors,
        )
        self.embeds = Embeds(self.database)
        self.links = Links(self.database, users=self.users, sessions=self.sessions)

    @classmethod
    def open(cls, folder: Path, *, clock: Callable[[], int] = canonical.now_us) -> Self:
        """Open the file of a workspace's folder. Raises as the constructor does."""
        return cls(folder / "web.db", clock=clock)

    def require_factors(self, roles: Collection[Role]) -> None:
        """Let sessions that a password began give no role to whoever holds one of these and has no second factor."""
        for user in self.users.all():
            if user.is_any(roles) and not self.factors.has(user.user):
                self.sessions.empty(user.user)

    def erase_person(self, person: str, names: Collection[str]) -> None:
        """Erase what is kept here of a person who was erased: sign-in, sessions, tokens, links, answers that name them.

        Args:
            person: Their id; their guests' links are of no use from now on.
            names: Every name that they went by: names, aliases, e-mail addresses.
        """
        with self.database.writing():
            self.users.remove_person(person)
            self.links.forget(person)
            self.embeds.forget([person])
            for forget in self.database.forgetters:
                forget({person, *names})
        self.database.wipe()

    def move_person(self, people: Collection[str], account: str) -> None:
        """Let who signs in as a person, by any of their ids, belong to another account, without administering it."""
        with self.database.writing():
            for person in people:
                self.users.move_person(person, account)
            self.embeds.forget(people)

    def end_person(self, people: Collection[str]) -> None:
        """End the sign-in, the sessions and the tokens of a person, by any of their ids; guests' links stay."""
        with self.database.writing():
            for person in people:
                self.users.remove_users_of(person)
            self.embeds.forget(people)

    def end_guest(self, people: Collection[str]) -> None:
        """End guests' links and sessions for somebody, by any of their ids: for when they turn out to be a user."""
        with self.database.writing():
            for person in people:
                self.users.remove_guests_of(person)
                self.embeds.forget([person])
                self.links.forget(person)

    def close(self) -> None:
        """Close the file."""
        self.database.close()
