"""To whom a notice of new terms was shown, when, and who put it away. It is kept in `web.db`.

A notice is shown when a page that has it was sent to somebody who is signed in; the pages note that afterwards, never
before.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from volition.server.auth.database import WebDatabase
from volition.server.auth.principal import Principal, Role

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS shown_notices (user TEXT NOT NULL, terms TEXT NOT NULL, account TEXT NOT NULL, person TEXT,
                                          administers INTEGER NOT NULL, at_us INTEGER NOT NULL, dismissed_us INTEGER,
                                          PRIMARY KEY (user, terms)) STRICT;
"""


class ShownNotices:
    """What was shown by one server's pages."""

    def __init__(self, database: WebDatabase) -> None:
        """Keep it in `database`."""
        self._database = database
        database.create(_SCHEMA)
        database.forgetters.append(self._forget)

    def _forget(self, names: Collection[str]) -> None:
        """Drop what was shown to somebody who is erased, by the names that they go by."""
        with self._database.writing() as db:
            for name in names:
                db.execute("DELETE FROM shown_notices WHERE person = ? OR user = ?", (name, name))

    def note(self, who: Principal, terms: Sequence[str]) -> None:
        """Note that somebody was shown the notice of some versions just now; the first time is kept."""
        if who.account is None:
            return
        now_us, administers = self._database.clock(), int(Role.ADMINISTRATOR in who.roles)
        rows = [(who.user, one, who.account, who.person, administers, now_us) for one in terms]
        with self._database.writing() as db:
            # One who was erased, or whose sign-in was removed, while the page was on its way is not noted any more.
            if db.execute("SELECT 1 FROM users WHERE id = ?", (who.user,)).fetchone():
                db.executemany("INSERT OR IGNORE INTO shown_notices VALUES (?, ?, ?, ?, ?, ?, NULL)", rows)

    def dismiss(self, who: Principal, terms: Sequence[str]) -> None:
        """Put the notice of some versions away for somebody to whom they were shown; of others nothing is noted."""
        now_us = self._database.clock()
        with self._database.writing() as db:
            db.executemany(
                "UPDATE shown_notices SET dismissed_us = ? WHERE user = ? AND terms = ?",
                [(now_us, who.user, one) for one in terms],
            )

    def of(self, user: str) -> Mapping[str, int | None]:
        """Return the versions whose notice a user was shown, each with when they put it away; none if they did not."""
        return dict(self._database.rows("SELECT terms, dismissed_us FROM shown_notices WHERE user = ?", user))

    def counts(self) -> Mapping[tuple[str, str], tuple[int, int, int, int]]:
        """Return by (account, terms): how many people and administrators were shown it, and when first and last."""
        rows = self._database.rows(
            "SELECT account, terms, count(DISTINCT person), sum(administers), min(at_us), max(at_us) "
            "FROM shown_notices GROUP BY account, terms"
        )
        return {(account, terms): tuple(counts) for account, terms, *counts in rows}
