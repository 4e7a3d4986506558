"""Embed tokens: short-lived, for one person inside the pages of one origin; a product's backend has them minted.

What it guarantees:

- A token stands for one person and reaches what the middleware lets it reach (`middleware.EMBEDDED`): the switches, and
  nothing else. It is good for pages of the one origin that it was minted for.
- Of it only a SHA-256 digest is stored. It ends after minutes, when it is revoked, when whoever had it minted may not
  mint any more, and with the person: erased, merged, or moved to another account.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from volition.errors import InvalidInputError
from volition.server.auth.database import WebDatabase
from volition.server.auth.principal import Principal, Role, Scope, find_user
from volition.server.auth.sessions import digest

EMBED: Final = "embed:"
"""How the id of a user begins who came by an embed token."""

LONGEST_MINUTES: Final = 60
MINTERS: Final = frozenset({Role.ENGINEER, Role.OPERATOR})
"""Who has such tokens minted."""

PREFIX: Final = "vole_"  # by which scanners find a leaked token, and the server tells it from a token of the API
_MOST_OF_ONE: Final = 50  # of a person: beyond that the oldest ends
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS embed_tokens (hash BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, minter TEXT NOT NULL,
                                         origin TEXT NOT NULL, person TEXT NOT NULL, account TEXT NOT NULL,
                                         is_guest INTEGER NOT NULL, began_us INTEGER NOT NULL,
                                         ends_us INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS embed_tokens_of ON embed_tokens (person, began_us);
CREATE INDEX IF NOT EXISTS embed_tokens_at ON embed_tokens (origin, ends_us);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedToken:
    """An embed token as it is listed; its secret is shown once, when it is minted.

    Attributes:
        id: By which it is named.
        person: Whom it stands for, by id.
        origin: Of whose pages it is good, "https://app.example".
        ends_us: When it expires, microseconds since the Unix epoch, UTC.
    """

    id: str
    person: str
    origin: str
    ends_us: int


class Embeds:
    """The embed tokens of one server."""

    def __init__(self, database: WebDatabase) -> None:
        """Keep them in `database`."""
        self._database = database
        database.create(_SCHEMA)

    def mint(  # noqa: PLR0913 - for whom, where, and how long
        self, minter: Principal, *, person: str, account: str, is_guest: bool, origin: str, minutes: int
    ) -> tuple[EmbedToken, str]:
        """Mint a token; return how it is listed, and its secret, which is shown this once.

        Args:
            minter: Who has it minted.
            person: Whom it stands for, by id.
            account: The account whose switches they see.
            is_guest: Whether they are a guest of it.
            origin: Of whose pages it is good.
            minutes: How long it lasts.

        Raises:
            InvalidInputError: It is no origin, or would last too long.
        """
        if not 1 <= minutes <= LONGEST_MINUTES:
            raise InvalidInputError(f"An embed token lasts 1 to {LONGEST_MINUTES} minutes.")
        checked = check_origin(origin)
        secret, now_us = PREFIX + secrets.token_urlsafe(32), self._database.clock()
        token = EmbedToken(
            id=secrets.token_hex(6), person=person, origin=checked, ends_us=now_us + minutes * 60_000_000
        )
        row = (digest(secret), token.id, minter.user, checked, person, account, int(is_guest), now_us, token.ends_us)
        with self._database.writing() as db:
            db.execute("DELETE FROM embed_tokens WHERE ends_us <= ?", (now_us,))
            db.execute("INSERT INTO embed_tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            db.execute(
                "DELETE FROM embed_tokens WHERE person = ? AND id NOT IN "
                "(SELECT id FROM embed_tokens WHERE person = ? ORDER BY began_us DESC, rowid DESC LIMIT ?)",
                (person, person, _MOST_OF_ONE),
            )
        return token, secret

    def end(self, token: str) -> None:
        """Revoke a token by its id.

        Raises:
            InvalidInputError: There is no such token.
        """
        with self._database.writing() as db:
            if not db.execute("DELETE FROM embed_tokens WHERE id = ?", (token,)).rowcount:
                raise InvalidInputError(f"There is no embed token {token!r}: it has ended already, or never was.")

    def forget(self, people: Collection[str]) -> None:
        """Revoke every token that stands for a person, by any of their ids."""
        with self._database.writing() as db:
            for person in people:
                db.execute("DELETE FROM embed_tokens WHERE person = ?", (person,))

    def find(self, secret: str, *, origin: str | None) -> Principal | None:
        """Return who is asking by a token from a page of an origin; none if it is not good, or not there."""
        rows = self._database.rows(
            "SELECT id, minter, person, account, is_guest FROM embed_tokens WHERE hash = ? AND origin = ? "
            "AND ends_us > ?",
            digest(secret),
            origin or "",
            self._database.clock(),
        )
        if not rows:
            return None
        identity, minter, person, account, is_guest = rows[0]
        found = find_user(self._database, minter)
        if found is None or not found.is_any(MINTERS):
            return None
        return Principal(
            user=f"{EMBED}{identity}",
            name="",
            roles=frozenset({Role.GUEST if is_guest else Role.PERSON}),
            scopes=frozenset({Scope.READ, Scope.DECIDE}),
            account=account,
            person=person,
        )

    def is_known(self, origin: str) -> bool:
        """Say whether any token is good for pages of an origin: then its browsers may ask, and read the answer."""
        found = self._database.rows(
            "SELECT 1 FROM embed_tokens WHERE origin = ? AND ends_us > ? LIMIT 1", origin, self._database.clock()
        )
        return bool(found)


def check_origin(origin: str) -> str:
    """Return an origin as browsers write it.

    Raises:
        InvalidInputError: It is none, or by http though not of this machine.
    """
    try:
        found = urlsplit(origin)
        host, port = found.hostname, found.port
    except ValueError:
        host, port = None, None
    is_plain = host and origin.isascii() and not (found.username or found.password or found.path.strip("/"))
    if not is_plain or found.query or found.fragment or found.scheme not in {"https", "http"}:
        raise InvalidInputError(f"{origin!r} is no origin: https://app.example is one, without a path.")
    if found.scheme == "http" and host not in {"localhost", "127.0.0.1"}:
        raise InvalidInputError(f"By {origin!r} the token would cross the network in the clear. Use https.")
    usual = {"https": 443, "http": 80}[found.scheme]
    return f"{found.scheme}://{host}" + ("" if port in {None, usual} else f":{port}")
