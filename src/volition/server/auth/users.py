"""Users: who can sign in, and as what.

>>> users.add("ada", password="...", roles=[Role.PERSON], account="helio", person="ada")        # doctest: +SKIP
"""

import json
from collections.abc import Sequence
from typing import Final

from volition.errors import ConflictError, InvalidInputError, RefusedError
from volition.server.auth.database import WebDatabase
from volition.server.auth.passwords import Passwords
from volition.server.auth.principal import COLUMNS, PEOPLE, Principal, Role, find_user, principal_of, unknown_user
from volition.server.auth.second_factors import SecondFactors
from volition.server.auth.sessions import Sessions
from volition.server.auth.tokens import Tokens

_LONGEST_ID: Final = 200
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, name TEXT NOT NULL, password TEXT, roles TEXT NOT NULL,
                                  account TEXT, person TEXT, subject TEXT UNIQUE) STRICT;
"""


class Users:
    """The users of one server; their sessions and tokens end with them."""

    def __init__(
        self,
        database: WebDatabase,
        *,
        passwords: Passwords,
        sessions: Sessions,
        tokens: Tokens,
        factors: SecondFactors,
    ) -> None:
        """Keep them in `database`."""
        self._factors = factors
        self._database = database
        self._passwords = passwords
        self._sessions = sessions
        self._tokens = tokens
        database.create(_SCHEMA)

    def add(  # noqa: PLR0913 - what a user has
        self,
        user: str,
        *,
        roles: Sequence[Role],
        name: str | None = None,
        password: str | None = None,
        account: str | None = None,
        person: str | None = None,
        subject: str | None = None,
    ) -> Principal:
        """Add a user.

        Args:
            user: Id, by which they sign in.
            roles: What they act as.
            name: Name as shown; by default the id.
            password: Theirs; none for a user who signs in another way.
            account: The account that they belong to; a person and an administrator need one.
            person: The person that they are; a person needs one.
            subject: Who they are to the OpenID provider: "ISSUER SUBJECT".

        Raises:
            InvalidInputError: The id cannot be used, a role lacks what it needs, or the password is too short or too
                easily guessed.
            ConflictError: There is such a user already.
        """
        chosen = frozenset(Role(role) for role in roles)
        _check(user, chosen, account=account, person=person)
        hashed = None if password is None else self._passwords.hash(password, user, name or "")
        row = (user, name or user, hashed, json.dumps(sorted(chosen)), account, person, subject)
        with self._database.writing() as db:
            if db.execute("SELECT 1 FROM users WHERE id = ? OR subject = ?", (user, subject)).fetchone():
                raise ConflictError(f"There is a user {user!r} already. Choose another id, or change the password.")
            db.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return Principal(user=user, name=name or user, roles=chosen, account=account, person=person)

    def remove(self, user: str) -> None:
        """Remove a user, and end their sessions and tokens.

        Raises:
            InvalidInputError: There is no such user.
        """
        with self._database.writing() as db:
            if not db.execute("DELETE FROM users WHERE id = ?", (user,)).rowcount:
                raise unknown_user(user)
            self._sessions.end_all(user)
            self._tokens.end_all(user)
            self._factors.turn_off(user)

    def remove_person(self, person: str) -> None:
        """Remove every user who is a person, and end their sessions and tokens: for when the person was erased."""
        for known in self.all():
            if known.person == person:
                self.remove(known.user)

    def move_person(self, person: str, account: str) -> None:
        """Let every user who is a person belong to another account; they administer nothing there until told to.

        Their sessions and tokens end. Whoever came by a guest's link stays a guest of the account that they came to.
        """
        with self._database.writing() as db:
            for known in self._who_are(person):
                roles = json.dumps(sorted(known.roles - {Role.ADMINISTRATOR} or {Role.PERSON}))
                db.execute("UPDATE users SET account = ?, roles = ? WHERE id = ?", (account, roles, known.user))
                self._sessions.end_all(known.user)
                self._tokens.end_all(known.user)

    def remove_users_of(self, person: str) -> None:
        """Remove every user who is a person, but for those who came by a guest's link: for when they left."""
        for known in self._who_are(person):
            self.remove(known.user)

    def remove_guests_of(self, person: str) -> None:
        """Remove every user who came by a guest's link for a person, and end their sessions."""
        for known in self.all():
            if known.person == person and known.is_guest:
                self.remove(known.user)

    def _who_are(self, person: str) -> list[Principal]:
        return [known for known in self.all() if known.person == person and not known.is_guest]

    def set_password(self, user: str, password: str, *, session: str | None = None) -> None:
        """Change a user's password, and end their tokens and sessions.

        Args:
            user: Whose.
            password: The new one.
            session: The secret of the session in which they changed it, which goes on.

        Raises:
            InvalidInputError: There is no such user, or the password is too short or too easily guessed.
        """
        known = self.find(user)
        if known is None:
            raise unknown_user(user)
        hashed = self._passwords.hash(password, user, known.name)
        with self._database.writing() as db:
            if not db.execute("UPDATE users SET password = ? WHERE id = ?", (hashed, user)).rowcount:
                raise unknown_user(user)
            self._sessions.end_all(user, but=session)
            self._tokens.end_all(user)

    def reset_factor(self, user: str) -> None:
        """Turn off a user's second factor, and end their sessions.

        Raises:
            InvalidInputError: There is no such user.
        """
        if self.find(user) is None:
            raise unknown_user(user)
        with self._database.writing():
            self._factors.turn_off(user)
            self._sessions.end_all(user)

    def has_password(self, user: str) -> bool:
        """Return whether a user signs in with a password."""
        return bool(self._database.rows("SELECT 1 FROM users WHERE id = ? AND password IS NOT NULL", user))

    def subject_of(self, user: str) -> str | None:
        """Return who a user is to the OpenID provider, "ISSUER SUBJECT"; none where they sign in another way."""
        found = self._database.rows("SELECT subject FROM users WHERE id = ?", user)
        return found[0][0] if found else None

    def check_password(self, user: str, password: str) -> Principal:
        """Return the user whose password this is.

        Raises:
            RefusedError: There is no such user, or the password is wrong; which of the two is not said.
        """
        found = self._database.rows("SELECT password FROM users WHERE id = ?", user)
        is_right = self._passwords.verify(found[0][0] if found else None, password)
        known = self.find(user)
        if not is_right or known is None:
            raise RefusedError("That name and password do not go together. Check both, then try again.")
        return known

    def all(self) -> list[Principal]:
        """Return every user, by id."""
        rows = self._database.rows(f"SELECT {COLUMNS} FROM users ORDER BY id")  # noqa: S608 - a constant
        return [principal_of(row) for row in rows]

    def find(self, user: str) -> Principal | None:
        """Return a user by id; none if there is none."""
        return find_user(self._database, user)

    def find_subject(self, subject: str) -> Principal | None:
        """Return the user whom an OpenID provider knows as "ISSUER SUBJECT"; none if there is none."""
        found = self._database.rows(f"SELECT {COLUMNS} FROM users WHERE subject = ?", subject)  # noqa: S608 - a constant
        return principal_of(found[0]) if found else None


def _check(user: str, roles: frozenset[Role], *, account: str | None, person: str | None) -> None:
    if not user or not user.isprintable() or len(user) > _LONGEST_ID:
        raise InvalidInputError(f"A user's id is up to {_LONGEST_ID} printable characters.")
    if not roles:
        raise InvalidInputError(f"{user} has no role. Name at least one of: {', '.join(Role)}.")
    if not roles.isdisjoint(PEOPLE) and (person is None or account is None):
        raise InvalidInputError("A person and a guest stand for somebody: name the account and the person.")
    if Role.GUEST in roles and len(roles) > 1:
        raise InvalidInputError("A guest has no other role.")
    if Role.ADMINISTRATOR in roles and account is None:
        raise InvalidInputError("An administrator needs an account to administer. Name it.")
