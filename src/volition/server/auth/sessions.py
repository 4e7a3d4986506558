"""Browser sessions: a random secret in a cookie, known here by its SHA-256 digest alone.

A session expires when it has not been used for `SESSION_US`, and after `LONGEST_SESSION_US` in any case. With it lies
the notice that the session's next page shows once.
"""

import hashlib
import json
import secrets
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
_ADDED: Final = ("link TEXT", "until_us INTEGER")  # of a guest: by which link they came, and until when it works


class Sessions:
    """The sessions of one server."""

    def __init__(self, database: WebDatabase) -> None:
        """Keep them in `database`."""
        self._database = database
        database.create(_SCHEMA)
        for column in _ADDED:
            database.add_column("sessions", column)

    def begin(self, user: str, *, link: str | None = None, until_us: int | None = None) -> str:
        """Begin a session of a user; return its secret, for the cookie.

        Args:
            user: Whose.
            link: Id of the guest's link by which they came; the session ends with it.
            until_us: When it ends at the latest, not included.
        """
        secret = secrets.token_urlsafe(32)
        now_us = self._database.clock()
        with self._database.writing() as db:
            oldest_us = now_us - LONGEST_SESSION_US
            db.execute("DELETE FROM sessions WHERE began_us < ? OR seen_us < ?", (oldest_us, now_us - SESSION_US))
            db.execute(
                "INSERT INTO sessions (hash, user, began_us, seen_us, link, until_us) VALUES (?, ?, ?, ?, ?, ?)",
                (digest(secret), user, now_us, now_us, link, until_us),
            )
        return secret

    def find(self, secret: str) -> Principal | None:
        """Return whose session this is; none if it has expired or there is no such session."""
        found = self._database.rows(
            f"SELECT {COLUMNS}, began_us, seen_us, until_us FROM sessions "  # noqa: S608 - a constant
            "JOIN users ON users.id = sessions.user WHERE hash = ?",
            digest(secret),
        )
        if not found:
            return None
        began_us, seen_us, until_us = found[0][5:]
        now_us = self._database.clock()
        is_over = until_us is not None and now_us >= until_us
        if is_over or now_us - began_us > LONGEST_SESSION_US or now_us - seen_us > SESSION_US:
            self.end(secret)
            return None
        if now_us - seen_us > _SEEN_EVERY_US:
            with self._database.writing() as db:
                db.execute("UPDATE sessions SET seen_us = ? WHERE hash = ?", (now_us, digest(secret)))
        return principal_of(found[0][:5])

    def end(self, secret: str) -> None:
        """End a session."""
        with self._database.writing() as db:
            db.execute("DELETE FROM sessions WHERE hash = ?", (digest(secret),))

    def end_all(self, user: str) -> None:
        """End every session of a user."""
        with self._database.writing() as db:
            db.execute("DELETE FROM sessions WHERE user = ?", (user,))

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


def digest(secret: str) -> bytes:
    """Return what is kept of a secret: its SHA-256 digest."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
