"""Attempts to sign in, counted, so that guessing becomes slow for whoever guesses and for nobody else.

- Failures are counted for a name and an address together: the more, the longer the next attempt from there has to wait.
  Somebody who guesses at a name keeps its owner out from their own address alone.
- An address that fails at many names waits as well, whatever the names.
- A name at which many addresses fail waits too, but for a browser in which its owner signed in before (`devices`): that
  one has a count of its own, so a right password works there whatever others do.
- A second factor is asked for after the password was right, so its failures are counted for the name alone: only
  somebody who has the password can cause them.

An attempt is counted before it is judged, so many at once are not free; a right one is taken back. What is counted lies
in `web.db` under keyed digests, which name nobody, and is forgotten after a day without a failure.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from volition.errors import RefusedError
from volition.server.auth.database import WebDatabase

_SECOND_US: Final = 1_000_000
_MINUTE_US: Final = 60 * _SECOND_US
_DAY_US: Final = 24 * 60 * _MINUTE_US
_LONGEST_DOUBLING: Final = 32
_KEY: Final = "attempts-key"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS attempts (key BLOB PRIMARY KEY, failures INTEGER NOT NULL, last_us INTEGER NOT NULL,
                                     until_us INTEGER NOT NULL) STRICT;
"""


class TooManyAttemptsError(RefusedError):
    """Somebody has to wait before they try again."""


@dataclass(frozen=True, slots=True)
class _Limit:
    """How many failures cost nothing, how long the next attempt waits then, twice as long each time, and at most."""

    free: int
    first_us: int
    longest_us: int

    def wait_us(self, failures: int) -> int:
        if failures < self.free:
            return 0
        return min(self.longest_us, self.first_us << min(failures - self.free, _LONGEST_DOUBLING))


_LIMITS: Final = {
    "there": _Limit(5, 15 * _SECOND_US, 60 * _MINUTE_US),  # a name, from one address
    "device": _Limit(5, 15 * _SECOND_US, 60 * _MINUTE_US),  # a name, in a browser that its owner used
    "address": _Limit(30, 5 * _SECOND_US, 15 * _MINUTE_US),  # whatever the name
    "name": _Limit(100, 15 * _SECOND_US, 15 * _MINUTE_US),  # from wherever
    "code": _Limit(5, 15 * _SECOND_US, 60 * _MINUTE_US),  # the second factor of a name
}
Attempt = Sequence[tuple[str, bytes]]
"""What an attempt is counted for: which limit, and a keyed digest of whom or what."""


class Attempts:
    """The attempts at one server's sign-ins."""

    def __init__(self, database: WebDatabase) -> None:
        """Count them in `database`."""
        self._database = database
        self._key = database.add_state(_KEY, secrets.token_bytes(32))
        database.create(_SCHEMA)

    def begin(self, user: str, *, address: str, device: str | None = None) -> Attempt:
        """Count an attempt with a password before it is judged.

        Args:
            user: The name that is tried.
            address: The address, or the network, from which.
            device: Id of the browser, where the name's owner signed in with it before; none otherwise.

        Raises:
            TooManyAttemptsError: There were so many failures that it has to wait; it was not counted.
        """
        if device is not None:
            return self._count([("device", f"{device} {user}")])
        return self._count([("there", f"{address} {user}"), ("address", address), ("name", user)])

    def begin_code(self, user: str) -> Attempt:
        """Count an attempt with a second factor before it is judged. Raises as `begin` does."""
        return self._count([("code", user)])

    def take_back(self, attempt: Attempt) -> None:
        """Take back an attempt that was right: failures there are forgotten, and others have one less."""
        with self._database.writing() as db:
            for limit, key in attempt:
                if limit in {"address", "name"}:
                    db.execute("UPDATE attempts SET failures = failures - 1, until_us = 0 WHERE key = ?", (key,))
                else:
                    db.execute("DELETE FROM attempts WHERE key = ?", (key,))

    def _count(self, counted: Sequence[tuple[str, str]]) -> Attempt:
        attempt = [(limit, hmac.digest(self._key, f"{limit} {of}".encode(), "sha256")) for limit, of in counted]
        now_us = self._database.clock()
        with self._database.writing() as db:
            db.execute("DELETE FROM attempts WHERE last_us < ?", (now_us - _DAY_US,))
            known = {
                key: db.execute("SELECT failures, until_us FROM attempts WHERE key = ?", (key,)).fetchone() or (0, 0)
                for _, key in attempt
            }
            until_us = max(until_us for _, until_us in known.values())
            if now_us < until_us:
                raise TooManyAttemptsError(f"Too many attempts failed. Try again in {_in_words(until_us - now_us)}.")
            for limit, key in attempt:
                failures = known[key][0] + 1
                row = (key, failures, now_us, now_us + _LIMITS[limit].wait_us(failures))
                db.execute("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?)", row)
        return attempt


def _in_words(wait_us: int) -> str:
    seconds = -(-wait_us // _SECOND_US)
    if seconds < 60:
        return "a second" if seconds == 1 else f"{seconds} seconds"
    minutes = -(-seconds // 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"
