"""Browser sessions: a random secret in a cookie, known here by its SHA-256 digest alone.

A session expires when it has not been used for `SESSION_US`, and after `LONGEST_SESSION_US` in any case. With it lies
the notice that the session's next page shows once.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from typing import Any, Final

from volition.server.auth.database import WebDatabase
from volition.server.auth.principal import COLUMNS, Principal, principal_of

_SECOND_US: Final = 1_000_000
SESSION_US: Final = 12 * 3600 * _SECOND_US
"""A session expires this long after it was last used, microseconds."""

LONGEST_SESSION_US: Final = 30 * 24 * 3600 * _SECOND_US
"""And never lasts longer than this."""

_SEEN_EVERY_US: Final = 60 * _SECOND_US
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sessions (hash BLOB PRIMARY KEY, user TEXT NOT NULL, began_us INTEGER NOT NULL,
                                     seen_us INTEGER NOT NULL, notice TEXT) STRICT;
"""
_ADDED: Final = (
    "link TEXT",  # of a guest: by which link they came
    "until_us INTEGER",  # and until when it works
    "id TEXT",  # by which it is named on a page
    "proved_us INTEGER",  # when its user last showed who they are
    "agent TEXT",  # the browser, in two words
    "issuer TEXT",  # of whom signed in through OpenID: who says so
    "sid TEXT",  # and the id of the session there
    "is_bare INTEGER",  # whether a second factor is still to be set up: until then it opens nothing
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as it is listed.

    Attributes:
        id: By which it is named; it lets nobody in.
        began_us: When it began, microseconds since the Unix epoch, UTC.
        seen_us: When it was last used, to the minute.
        agent: The browser, in two words; empty where it is not known.
        is_oidc: Whether an OpenID provider said who it is.
        is_this: Whether it is the one that asks.
    """

    id: str
    began_us: int
    seen_us: int
    agent: str
    is_oidc: bool
    is_this: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSession:
    """A session at an OpenID provider.

    Attributes:
        issuer: The provider.
        sid: The id of the session there; none where it gives none.
        proved_us: When the user last showed it who they are, microseconds since the Unix epoch, UTC; 0 where it does
            not say.
    """

    issuer: str
    sid: str | None
    proved_us: int


class Sessions:
    """The sessions of one server."""

    def __init__(self, database: WebDatabase) -> None:
        """Keep them in `database`."""
        self._database = database
        database.create(_SCHEMA)
        for column in _ADDED:
            database.add_column("sessions", column)

    def begin(  # noqa: PLR0913 - what is known of how somebody came
        self,
        user: str,
        *,
        link: str | None = None,
        until_us: int | None = None,
        agent: str = "",
        oidc: OidcSession | None = None,
        is_bare: bool = False,
    ) -> str:
        """Begin a session of a user who has shown who they are; return its secret, for the cookie.

        Args:
            user: Whose.
            link: Id of the guest's link by which they came; the session ends with it.
            until_us: When it ends at the latest, not included.
            agent: The browser, in two words.
            oidc: What an OpenID provider says of their session there; none where a password or a link lets them in.
            is_bare: Whether they have to set up a second factor first; until then it gives no role.
        """
        secret = secrets.token_urlsafe(32)
        now_us = self._database.clock()
        with self._database.writing() as db:
            oldest_us = now_us - LONGEST_SESSION_US
            issuer, sid, proved_us = (None, None, now_us) if oidc is None else (oidc.issuer, oidc.sid, oidc.proved_us)
            named = (secrets.token_hex(6), proved_us, agent)
            db.execute("DELETE FROM sessions WHERE began_us < ? OR seen_us < ?", (oldest_us, now_us - SESSION_US))
            db.execute(
                "INSERT INTO sessions (hash, user, began_us, seen_us, link, until_us, id, proved_us, agent, issuer, "
                "sid, is_bare) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*(digest(secret), user, now_us, now_us, link, until_us), *named, issuer, sid, int(is_bare)),
            )
        return secret

    def find(self, secret: str) -> Principal | None:
        """Return whose session this is; none if it has expired or there is no such session.

        Whoever has to set up a second factor first has no role and no scope until they did.
        """
        found = self._database.rows(
            f"SELECT {COLUMNS}, began_us, seen_us, until_us, is_bare FROM sessions "  # noqa: S608 - a constant
            "JOIN users ON users.id = sessions.user WHERE hash = ?",
            digest(secret),
        )
        if not found:
            return None
        began_us, seen_us, until_us, is_bare = found[0][5:]
        now_us = self._database.clock()
        is_over = until_us is not None and now_us >= until_us
        if is_over or now_us - began_us > LONGEST_SESSION_US or now_us - seen_us > SESSION_US:
            self.end(secret)
            return None
        if now_us - seen_us > _SEEN_EVERY_US:
            with self._database.writing() as db:
                db.execute("UPDATE sessions SET seen_us = ? WHERE hash = ?", (now_us, digest(secret)))
        who = principal_of(found[0][:5])
        return replace(who, roles=frozenset(), scopes=frozenset()) if is_bare else who

    def all(self, user: str, *, this: str | None = None) -> list[Session]:
        """Return the sessions of a user that have not expired, the last used first; `this` is the one that asks."""
        now_us = self._database.clock()
        rows = self._database.rows(
            "SELECT id, began_us, seen_us, agent, issuer, hash FROM sessions WHERE user = ? AND began_us >= ? AND "
            "seen_us >= ? AND (until_us IS NULL OR until_us > ?) ORDER BY seen_us DESC, began_us DESC, id",
            user,
            now_us - LONGEST_SESSION_US,
            now_us - SESSION_US,
            now_us,
        )
        own = None if this is None else digest(this)
        return [
            Session(
                id=identity or _old_id(hashed),
                began_us=began_us,
                seen_us=seen_us,
                agent=agent or "",
                is_oidc=issuer is not None,
                is_this=bytes(hashed) == own,
            )
            for identity, began_us, seen_us, agent, issuer, hashed in rows
        ]

    def end_one(self, user: str, session: str) -> None:
        """End a session of a user by its id; nothing happens where it is over already."""
        with self._database.writing() as db:
            for hashed, identity in db.execute("SELECT hash, id FROM sessions WHERE user = ?", (user,)).fetchall():
                if session == (identity or _old_id(hashed)):
                    db.execute("DELETE FROM sessions WHERE hash = ?", (hashed,))

    def proved_us(self, secret: str) -> int:
        """Return when the user of a session last showed who they are, microseconds; 0 where it is not known."""
        found = self._database.rows("SELECT coalesce(proved_us, began_us) FROM sessions WHERE hash = ?", digest(secret))
        return int(found[0][0]) if found else 0

    def must_prove(self, secret: str, *, after_minutes: int) -> bool:
        """Say whether the user of a session showed longer ago than that who they are, for what cannot be undone."""
        return self._database.clock() - self.proved_us(secret) > after_minutes * 60_000_000

    def prove(self, secret: str) -> None:
        """Note that the user of a session has just shown who they are."""
        with self._database.writing() as db:
            row = (self._database.clock(), digest(secret))
            db.execute("UPDATE sessions SET proved_us = ? WHERE hash = ?", row)

    def empty(self, user: str) -> None:
        """Take the roles from every session of a user that no OpenID provider began, until there is a second factor."""
        with self._database.writing() as db:
            db.execute("UPDATE sessions SET is_bare = 1 WHERE user = ? AND issuer IS NULL", (user,))

    def fill(self, secret: str) -> None:
        """Give a session the roles of its user: they have set up the second factor that was asked for."""
        with self._database.writing() as db:
            db.execute("UPDATE sessions SET is_bare = 0 WHERE hash = ?", (digest(secret),))

    def end_signed_in_by(self, issuer: str, *, sid: str | None, user: str | None) -> int:
        """End the sessions that an OpenID provider began: one by its id there, or all of a user; return how many."""
        with self._database.writing() as db:
            return db.execute(
                "DELETE FROM sessions WHERE issuer = ? AND (sid = ? OR (? IS NULL AND user = ?))",
                (issuer, sid, sid, user),
            ).rowcount

    def end(self, secret: str) -> None:
        """End a session."""
        with self._database.writing() as db:
            db.execute("DELETE FROM sessions WHERE hash = ?", (digest(secret),))

    def end_all(self, user: str, *, but: str | None = None) -> None:
        """End every session of a user, but for the one whose secret is `but`."""
        with self._database.writing() as db:
            kept = None if but is None else digest(but)
            db.execute("DELETE FROM sessions WHERE user = ? AND hash IS NOT ?", (user, kept))

    def end_link(self, link: str, *, user: str) -> None:
        """End every session that a guest's link began, and those of its user of which the link is not known."""
        with self._database.writing() as db:
            db.execute("DELETE FROM sessions WHERE link = ? OR (user = ? AND link IS NULL)", (link, user))

    def link_of(self, secret: str) -> str | None:
        """Return the id of the guest's link that began a session; none if none did, or it is not known."""
        found = self._database.rows("SELECT link FROM sessions WHERE hash = ?", digest(secret))
        return found[0][0] if found else None

    def leave_notice(self, secret: str, notice: Any) -> None:  # noqa: ANN401 - any JSON value
        """Leave a notice for the session's next page."""
        with self._database.writing() as db:
            db.execute("UPDATE sessions SET notice = ? WHERE hash = ?", (json.dumps(notice), digest(secret)))

    def take_notice(self, secret: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the notice that was left, once; none if there is none."""
        found = self._database.rows("SELECT notice FROM sessions WHERE hash = ?", digest(secret))
        if not found or found[0][0] is None:
            return None
        with self._database.writing() as db:
            db.execute("UPDATE sessions SET notice = NULL WHERE hash = ?", (digest(secret),))
        return json.loads(found[0][0])


def _old_id(hashed: bytes) -> str:
    """Return the id of a session that an earlier version began: of a digest of random bits, so it lets nobody in."""
    return hashlib.sha256(b"id" + hashed).hexdigest()[:12]


def digest(secret: str) -> bytes:
    """Return what is kept of a secret: its SHA-256 digest."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
