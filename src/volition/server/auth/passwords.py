"""Passwords as argon2id hashes.

Only few are hashed at a time: each takes 64 MiB and about a fifth of a second. Where there is no such user, a hash that
no password fits is verified instead, so that a wrong name takes as long as a wrong password.

A password that many people use, or that follows from a name, is not taken: such are the first that are guessed. What
counts is what is left without case, digits and signs at its ends: "Password2026!" is no better than "password".
"""

import secrets
import threading
from functools import cache
from importlib import resources
from string import ascii_lowercase
from typing import Final

from volition.errors import InvalidInputError
from volition.server.auth.database import WebDatabase

SHORTEST_PASSWORD: Final = 12
_LONGEST_PASSWORD: Final = 1024
_AT_ONCE: Final = 2
_FEWEST_CHARACTERS: Final = 5  # that differ: fewer are one key, or a run of them, again and again
_SHORTEST_NAME: Final = 4
_AT_ENDS: Final = "0123456789!@#$%^&*()-_=+.,;:?/ '\"[]{}<>|~`\\"
_RUNS: Final = ("0123456789" * (_LONGEST_PASSWORD // 10 + 2), ascii_lowercase * (_LONGEST_PASSWORD // 26 + 2))
_SWAPPED: Final = str.maketrans("013457@$!", "oieastasi")  # what people write for letters
_NOBODY: Final = "nobody"  # the name in web.db of the hash that no password fits


class Passwords:
    """Hashes passwords and verifies them."""

    def __init__(self, database: WebDatabase) -> None:
        """Keep the hash that no password fits in `database`."""
        self._database = database
        self._hashing = threading.Semaphore(_AT_ONCE)

    def hash(self, password: str, *names: str) -> str:
        """Return the hash to keep of a password; `names` are those of its owner, which it must be more than.

        Raises:
            InvalidInputError: It is too short, too long, or easily guessed.
        """
        from argon2 import PasswordHasher  # noqa: PLC0415 - needed only to sign in

        if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
            raise InvalidInputError(f"A password has {SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters.")
        if is_easily_guessed(password, *names):
            msg = (
                "This password is easily guessed: many people use it or one like it, or it follows from a name. Choose "
                "another, such as four words that have nothing to do with one another."
            )
            raise InvalidInputError(msg)
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


def is_easily_guessed(password: str, *names: str) -> bool:
    """Return whether a password is among the first that somebody would guess who knows its owner's names."""
    folded = password.casefold()
    if len(set(folded)) < _FEWEST_CHARACTERS or _is_run(folded):
        return True
    cores = {folded.strip(_AT_ENDS), folded.translate(_SWAPPED).strip(_AT_ENDS), folded}
    known = _common() | {word for name in names for word in _words(name)}
    return any(_once(core) in known or not core for core in cores)


def _words(name: str) -> set[str]:
    folded = name.casefold()
    found = {folded, folded.partition("@")[0], *folded.split(), "".join(folded.split())}
    return {word.strip(_AT_ENDS) for word in found if len(word.strip(_AT_ENDS)) >= _SHORTEST_NAME}


def _once(core: str) -> str:
    """Return what a text repeats, if it is one thing again and again: "monkeymonkey" is "monkey"."""
    again = (core + core).find(core, 1)
    return core[:again] if 0 < again < len(core) else core


def _is_run(folded: str) -> bool:
    """Return whether each character follows the one before, upwards or downwards: "123456789012", "lkjihgfedcba"."""
    return any(folded in run or folded in run[::-1] for run in _RUNS)


@cache
def _common() -> frozenset[str]:
    text = (resources.files("volition.server.auth") / "common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))
