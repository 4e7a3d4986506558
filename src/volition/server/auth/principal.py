"""The principal of a request: who is asking, with which roles and scopes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from volition.errors import InvalidInputError
from volition.server.auth.database import WebDatabase

GUEST: Final = "guest:"
"""How the id of a user begins who came by a guest's link."""

COLUMNS: Final = "users.id, users.name, users.roles, users.account, users.person"
"""Of the table `users`: what `principal_of` takes."""


class Role(StrEnum):
    """What a user acts as. A guest is nobody else: they came by a link, and see what concerns themselves alone."""

    PERSON = "person"
    GUEST = "guest"
    ADMINISTRATOR = "administrator"
    ENGINEER = "engineer"
    AUDITOR = "auditor"
    OPERATOR = "operator"


PEOPLE: Final = (Role.PERSON, Role.GUEST)
"""Those who see and decide what concerns themselves: a user of an account, or a guest who came by a link."""


STAFF: Final = (Role.ENGINEER, Role.AUDITOR, Role.OPERATOR)
"""Those who run the service. What they read of people is written down before it is shown (`server.reading`)."""


class Scope(StrEnum):
    """What an API token may be used for, within its roles."""

    READ = "read"
    MAY = "may"
    DECIDE = "decide"
    COLLECT = "collect"
    TRAIN = "train"
    EMBED = "embed"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking, once a password, a session, a token or a link has shown it.

    Attributes:
        user: Id of the user.
        name: Name as shown.
        roles: What they act as.
        scopes: What their token may be used for; everything with a session.
        account: The account that they belong to; none for those who run the service.
        person: The person that they are, by id; none likewise.
    """

    user: str
    name: str
    roles: frozenset[Role]
    scopes: frozenset[Scope] = frozenset(Scope)
    account: str | None = None
    person: str | None = None

    @property
    def is_guest(self) -> bool:
        """Whether they came by a guest's link, without a user of their own before."""
        return Role.GUEST in self.roles

    @property
    def acts_as(self) -> str:
        """Their roles in one text, for what must not name them."""
        return ", ".join(sorted(self.roles))

    def is_any(self, roles: Iterable[Role]) -> bool:
        """Say whether they have at least one of these roles."""
        return not self.roles.isdisjoint(roles)


def principal_of(row: Sequence[Any]) -> Principal:
    """Return the user of a row of `COLUMNS`."""
    user, name, roles, account, person = row
    held = frozenset(map(Role, json.loads(roles)))
    if user.startswith(GUEST):  # before there was the role, a guest was kept as a person
        held = frozenset({Role.GUEST})
    return Principal(user=user, name=name, roles=held, account=account, person=person)


def find_user(database: WebDatabase, user: str) -> Principal | None:
    """Return a user by id; none if there is none."""
    found = database.rows(f"SELECT {COLUMNS} FROM users WHERE id = ?", user)  # noqa: S608 - a constant
    return principal_of(found[0]) if found else None


def unknown_user(user: str) -> InvalidInputError:
    """Return the error for a user who does not exist."""
    return InvalidInputError(f"There is no user {user!r}. `volition user list` lists them.")
