"""Passwords as argon2id hashes.

Only few are hashed at a time: each takes 64 MiB and about a fifth of a second. Where there is no such user, a hash that
no password fits is verified instead, so that a wrong name takes as long as a wrong password.
"""

import secrets
import threading
from typing import Final

from volition.errors import InvalidInputError
from volition.server.auth.database import WebDatabase

SHORTEST_PASSWORD: Final = 12
_LONGEST_PASSWORD: Final = 1024
_AT_ONCE: Final = 2
_NOBODY: Final = "nobody"  # the name in web.db of the hash that no password fits


class Passwords:
    """Hashes passwords and verifies them."""

    def __init__(self, database: WebDatabase) -> None:
        """Keep the hash that no password fits in `database`."""
        self._database = database
        self._hashing = threading.Semaphore(_AT_ONCE)

    def hash(self, password: str) -> str:
        """Return the hash to keep of a password.

        Raises:
            InvalidInputError: It is too short or too long.
        """
        from argon2 import PasswordHasher  # noqa: PLC0415 - needed only to sign in

        if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
            raise InvalidInputError(f"A password has {SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters.")
        with self._hashing:
            return str(PasswordHasher().hash(password))

    def verify(self, kept: str | None, password: str) -> bool:
        """Say whether a password has the hash that was kept; never, but just as slowly, where none was."""
        from argon2 import PasswordHasher  # noqa: PLC0415 - needed only to sign in
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

        try:
            with self._hashing:
                fits = PasswordHasher().verify(kept or self._nobodys_hash(), password[:_LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return False
        return fits and bool(kept)

    def _nobodys_hash(self) -> str:
        found = self._database.state(_NOBODY)
        if found is not None:
            return found.decode()
        hashed = self.hash(secrets.token_urlsafe(32))
        self._database.set_state(_NOBODY, hashed.encode())
        return hashed
