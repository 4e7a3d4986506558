"""API tokens (bearer tokens): random, known here by their SHA-256 digest alone, with roles, scopes and an end.

A token never allows more than its owner has at the moment it is used.
"""

import json
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from volition.errors import InvalidInputError
from volition.server.auth.database import WebDatabase
from volition.server.auth.principal import Principal, Role, Scope, find_user, unknown_user
from volition.server.auth.sessions import digest

TOKEN_DAYS: Final = 90
_LONGEST_DAYS: Final = 366
_DAY_US: Final = 24 * 3600 * 1_000_000
_PREFIX: Final = "vol_"  # by which scanners find a leaked token
_COLUMNS: Final = "id, user, name, roles, scopes, ends_us"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tokens (hash BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL,
                                   name TEXT NOT NULL, roles TEXT NOT NULL, scopes TEXT NOT NULL,
                                   began_us INTEGER NOT NULL, ends_us INTEGER NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token as it is listed; its secret is shown once, when it is issued.

    Attributes:
        id: By which it is named.
        user: Whose it is.
        name: What it is for, in the owner's words.
        roles: What it acts as.
        scopes: What it may be used for.
        ends_us: When it expires, microseconds since the Unix epoch, UTC.
    """

    id: str
    user: str
    name: str
    roles: tuple[Role, ...]
    scopes: tuple[Scope, ...]
    ends_us: int


class Tokens:
    """The API tokens of one server."""

    def __init__(self, database: WebDatabase) -> None:
        """Keep them in `database`."""
        self._database = database
        self._lock = threading.Lock()
        self._found: dict[str, tuple[Principal, int]] = {}
        self._version: tuple[int, int] = (-1, -1)  # of the file, when `_found` was last right
        database.create(_SCHEMA)

    def issue(
        self, user: str, *, name: str, roles: Sequence[Role], scopes: Sequence[Scope], days: int = TOKEN_DAYS
    ) -> tuple[Token, str]:
        """Issue a token for a user; return how it is listed, and its secret, which is shown this once.

        Raises:
            InvalidInputError: There is no such user, or the token asks for more than the user has or for no valid days.
        """
        owner = find_user(self._database, user)
        if owner is None:
            raise unknown_user(user)
        if Role.GUEST in owner.roles:
            raise InvalidInputError("A guest comes in by a link, and has no tokens.")
        if not roles or not scopes or not frozenset(roles) <= owner.roles:
            raise InvalidInputError(
                f"A token of {user} needs a scope, and roles among: {', '.join(sorted(owner.roles))}."
            )
        if not 1 <= days <= _LONGEST_DAYS:
            raise InvalidInputError(f"A token lasts 1 to {_LONGEST_DAYS} days.")
        secret = _PREFIX + secrets.token_urlsafe(32)
        now_us = self._database.clock()
        token = Token(
            id=secrets.token_hex(6),
            user=user,
            name=name,
            roles=tuple(sorted(set(roles))),
            scopes=tuple(sorted(set(scopes))),
            ends_us=now_us + days * _DAY_US,
        )
        row = (digest(secret), token.id, user, name, json.dumps(token.roles), json.dumps(token.scopes), now_us)
        with self._database.writing() as db:
            db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, token.ends_us))
        return token, secret

    def all(self, user: str | None = None) -> list[Token]:
        """Return the tokens of a user, or of all users, that have not expired."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM tokens WHERE ends_us > ? AND (? IS NULL OR user = ?) "  # noqa: S608 - a constant
            "ORDER BY began_us, id",
            self._database.clock(),
            user,
            user,
        )
        return [_token(row) for row in rows]

    def end(self, token: str, *, user: str | None = None) -> None:
        """Revoke a token by its id; with `user`, only one of theirs.

        Raises:
            InvalidInputError: There is no such token.
        """
        with self._database.writing() as db:
            ended = db.execute("DELETE FROM tokens WHERE id = ? AND (? IS NULL OR user = ?)", (token, user, user))
            if not ended.rowcount:
                raise InvalidInputError(f"There is no token {token!r}.")

    def end_all(self, user: str) -> None:
        """Revoke every token of a user."""
        with self._database.writing() as db:
            db.execute("DELETE FROM tokens WHERE user = ?", (user,))

    def find(self, secret: str) -> Principal | None:
        """Return who is asking by a token; none if it has expired or there is no such token.

        What was found is remembered until any process changes the file.
        """
        version = self._database.version()
        with self._lock:
            if version != self._version:
                self._version = version
                self._found.clear()
            known = self._found.get(secret)
        if known is None:
            known = self._look_up(secret)
            if known is None:
                return None
            with self._lock:
                if version == self._version:
                    self._found[secret] = known
        principal, ends_us = known
        return principal if self._database.clock() < ends_us else None

    def _look_up(self, secret: str) -> tuple[Principal, int] | None:
        found = self._database.rows(
            f"SELECT {_COLUMNS} FROM tokens WHERE hash = ?",  # noqa: S608 - a constant
            digest(secret),
        )
        if not found:
            return None
        token = _token(found[0])
        owner = find_user(self._database, token.user)
        if owner is None:
            return None
        scoped = replace(owner, roles=frozenset(token.roles) & owner.roles, scopes=frozenset(token.scopes))
        return scoped, token.ends_us


def _token(row: Sequence[Any]) -> Token:
    identity, user, name, roles, scopes, ends_us = row
    return Token(
        id=identity,
        user=user,
        name=name,
        roles=tuple(map(Role, json.loads(roles))),
        scopes=tuple(map(Scope, json.loads(scopes))),
        ends_us=ends_us,
    )
