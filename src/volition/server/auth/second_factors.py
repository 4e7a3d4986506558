"""Second factors: a code of six digits that an authenticator app makes every 30 seconds, or a recovery code, once.

Time-based one-time passwords as all such apps make them (RFC 6238: SHA-1, six digits, 30 seconds). A code of the step
before or after counts as well, since clocks differ; no code counts twice. A second factor is asked for once its owner
has shown one code of it. Its secret must be known to make codes, so `web.db` holds it as it is: whoever reads the file
has the second factor and not the password, of which it holds a hash. Of recovery codes it holds digests.
"""

import base64
import hmac
import secrets
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from volition.errors import InvalidInputError, RefusedError
from volition.server.auth.database import WebDatabase
from volition.server.auth.sessions import digest

RECOVERY_CODES: Final = 10
_STEP_S: Final = 30
_DIGITS: Final = 6
_SECRET_BYTES: Final = 20  # RFC 4226, requirement 6
_CODE_BYTES: Final = 10  # 80 bits: too many to guess from a digest
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS second_factors (user TEXT PRIMARY KEY, secret BLOB NOT NULL, is_on INTEGER NOT NULL,
                                           step INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS recovery_codes (hash BLOB PRIMARY KEY, user TEXT NOT NULL) STRICT;
"""


class SecondFactors:
    """The second factors of one server's users."""

    def __init__(self, database: WebDatabase) -> None:
        """Keep them in `database`."""
        self._database = database
        database.create(_SCHEMA)

    def has(self, user: str) -> bool:
        """Return whether a user has a second factor, so that a password alone does not let them in."""
        return bool(self._database.rows("SELECT 1 FROM second_factors WHERE user = ? AND is_on", user))

    def recovery_codes_left(self, user: str) -> int:
        """Return how many recovery codes a user has left."""
        return int(self._database.rows("SELECT count(*) FROM recovery_codes WHERE user = ?", user)[0][0])

    def prepare(self, user: str) -> str:
        """Return the secret to give to an authenticator app, in base32; the same one until a code of it was shown.

        Raises:
            InvalidInputError: The user has a second factor already.
        """
        with self._database.writing() as db:
            if self.has(user):
                raise InvalidInputError("There is a second factor already. Turn it off before you set up another.")
            secret = secrets.token_bytes(_SECRET_BYTES)
            db.execute("INSERT OR IGNORE INTO second_factors VALUES (?, ?, 0, -1)", (user, secret))
            kept = db.execute("SELECT secret FROM second_factors WHERE user = ?", (user,)).fetchone()[0]
        return base64.b32encode(kept).decode()

    def turn_on(self, user: str, code: str) -> list[str]:
        """Ask for the second factor from now on, once a code of it was shown; return recovery codes, shown this once.

        Raises:
            InvalidInputError: None was prepared.
            RefusedError: The code is wrong.
        """
        with self._database.writing() as db:
            rows = self._database.rows("SELECT secret, is_on, step FROM second_factors WHERE user = ?", user)
            if not rows or rows[0][1]:
                raise InvalidInputError("No second factor is being set up. Open the page again.")
            step = self._step_of(bytes(rows[0][0]), code, after=-1)
            if step is None:
                raise RefusedError("This code is not right. Check the clock of your phone, then try the next code.")
            db.execute("UPDATE second_factors SET is_on = 1, step = ? WHERE user = ?", (step, user))
            return self._new_codes(user)

    def renew_codes(self, user: str) -> list[str]:
        """Return new recovery codes, shown this once; the earlier ones work no more.

        Raises:
            InvalidInputError: The user has no second factor.
        """
        with self._database.writing():
            if not self.has(user):
                raise InvalidInputError("There is no second factor. Set one up first.")
            return self._new_codes(user)

    def check(self, user: str, code: str) -> bool:
        """Say whether a code is right, of the app or for recovery; a right one is spent."""
        with self._database.writing() as db:
            rows = self._database.rows("SELECT secret, step FROM second_factors WHERE user = ? AND is_on", user)
            if not rows:
                return False
            secret, last = rows[0]
            step = self._step_of(bytes(secret), code, after=last)
            if step is not None:
                db.execute("UPDATE second_factors SET step = ? WHERE user = ?", (step, user))
                return True
            spent = db.execute("DELETE FROM recovery_codes WHERE user = ? AND hash = ?", (user, _digest(user, code)))
            return spent.rowcount > 0

    def turn_off(self, user: str) -> None:
        """Forget a user's second factor and recovery codes."""
        with self._database.writing() as db:
            db.execute("DELETE FROM second_factors WHERE user = ?", (user,))
            db.execute("DELETE FROM recovery_codes WHERE user = ?", (user,))

    def _new_codes(self, user: str) -> list[str]:
        codes = [_grouped(base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode()) for _ in range(RECOVERY_CODES)]
        with self._database.writing() as db:
            db.execute("DELETE FROM recovery_codes WHERE user = ?", (user,))
            db.executemany("INSERT INTO recovery_codes VALUES (?, ?)", [(_digest(user, code), user) for code in codes])
        return codes

    def _step_of(self, secret: bytes, code: str, *, after: int) -> int | None:
        """Return of which step a code is, later than `after`; none if it is of none that counts now."""
        given = "".join(code.split())
        if len(given) != _DIGITS or not (given.isascii() and given.isdigit()):
            return None
        totp = TOTP(secret, _DIGITS, SHA1(), _STEP_S, enforce_key_length=False)  # noqa: S303 - what all apps make
        now = self._database.clock() // 1_000_000 // _STEP_S
        for step in (now - 1, now, now + 1):
            if step > after and hmac.compare_digest(totp.generate(step * _STEP_S), given.encode()):
                return step
        return None


def setup_address(site: str, user: str, secret: str) -> str:
    """Return the address (`otpauth:`) by which an authenticator app on the same device takes a secret."""
    return f"otpauth://totp/{quote(f'{site}:{user}', safe=':')}?secret={secret}&issuer={quote(site)}"


def _digest(user: str, code: str) -> bytes:
    return digest(f"{user}\0{''.join(one for one in code.upper() if one.isalnum())}")


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4)).lower()
