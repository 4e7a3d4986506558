"""The key vault: a data key for each account, a key for each person, and what follows from the master key.

- Content is encrypted under a data key of its account (AES-256-GCM). Destroying the key makes the content unreadable in
  every copy, snapshots and backups included: **crypto-shredding**.
- It is envelope encryption: data keys and person keys are stored wrapped (AES Key Wrap) under the master key, a file of
  its own with mode 0600.
- A person's pseudonym is an HMAC-SHA256 of their id under their own key; without the key nothing leads back to them.
- Encrypting draws its nonce from what it encrypts (HMAC-SHA256 under a second key), so the same content gives the same
  bytes and snapshots can be reproduced; two different contents never share a nonce but by a collision of 96 bits.
- Other processes notice a destruction: keys held in memory are dropped as soon as the file says that any was destroyed.

Sources: AES-GCM NIST SP 800-38D; AES Key Wrap RFC 3394; synthetic nonces after RFC 5297 section 3 (the idea of SIV).
"""

import hmac
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from volition.consent.parties.database import Database, Remembered
from volition.errors import BackendError, InvalidInputError, ProofError, RefusedError

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"
_PSEUDONYM_LENGTH: Final = 32


class ErasedError(RefusedError):
    """The key was destroyed: what it encrypted cannot be read by anyone any more."""


def new_key_check(master: bytes) -> bytes:
    """Return something wrapped by the master key, by which a wrong one is known at opening."""
    return aes_key_wrap(master, os.urandom(_KEY_BYTES))


@dataclass(frozen=True, slots=True)
class _DataKeys:
    """An account's keys in memory: to encrypt, for nonces, for names. All come from the one data key that is stored."""

    cipher: AESGCM
    nonce_key: bytes
    name_key: bytes

    @classmethod
    def of(cls, data_key: bytes) -> Self:
        purposes = (b"volition/seal/1", b"volition/nonce/1", b"volition/name/1")
        seal, nonce, name = [hmac.digest(data_key, purpose, "sha256") for purpose in purposes]
        return cls(AESGCM(seal), nonce, name)

    def encrypt(self, associated: bytes, plaintext: bytes) -> bytes:
        length = len(associated).to_bytes(8, "big")
        nonce = hmac.digest(self.nonce_key, length + associated + plaintext, "sha256")[:_NONCE_BYTES]
        return _VERSION + nonce + self.cipher.encrypt(nonce, plaintext, associated)

    def decrypt(self, associated: bytes, encrypted: bytes) -> bytes:
        if encrypted[:1] != _VERSION:
            msg = "The encrypted content has an unknown form. It was changed, or written by a newer version."
            raise ProofError(msg)
        nonce, text = encrypted[1 : 1 + _NONCE_BYTES], encrypted[1 + _NONCE_BYTES :]
        try:
            return self.cipher.decrypt(nonce, text, associated)
        except (InvalidTag, ValueError) as error:
            msg = "The encrypted content was changed, moved to another record, or encrypted under another key."
            raise ProofError(msg) from error


class KeyVault:
    """The keys of a workspace. It may be used from several threads."""

    def __init__(self, database: Database, master: bytes) -> None:
        """Open the vault.

        Args:
            database: Where the wrapped keys are.
            master: The master key, 32 bytes.

        Raises:
            BackendError: It is not the master key that wrapped them.
        """
        self._database = database
        self._master = master
        self._data_keys: dict[str, _DataKeys] = {}
        self._remembered = Remembered(database, self._data_keys)
        self._unwrap(database.key_check, "this workspace")

    def encrypt_many(self, account: str, contents: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Encrypt (associated, plaintext) pairs under an account's key. The same pair gives the same bytes.

        Returns:
            For each pair: a version byte, the nonce (12 bytes), and AES-256-GCM ciphertext with tag.

        Raises:
            InvalidInputError: There is no such account.
            ErasedError: Its key was destroyed.
        """
        keys = self._keys_of(account)
        return [keys.encrypt(associated, plaintext) for associated, plaintext in contents]

    def decrypt_many(self, account: str, contents: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Decrypt (associated, encrypted) pairs.

        Raises:
            ProofError: A content was changed, or belongs to another record.
            ErasedError: The account's key was destroyed.
        """
        keys = self._keys_of(account)
        return [keys.decrypt(associated, encrypted) for associated, encrypted in contents]

    def keyed_digest(self, account: str, text: str) -> str:
        """Return a digest of a text under an account's key, 32 hexadecimal characters: without the key no guess fits.

        Raises:
            InvalidInputError: There is no such account.
            ErasedError: Its key was destroyed.
        """
        return hmac.digest(self._keys_of(account).name_key, text.encode(), "sha256").hex()[:_PSEUDONYM_LENGTH]

    def new_account_key(self) -> bytes:
        """Make a data key; return it wrapped."""
        return aes_key_wrap(self._master, os.urandom(_KEY_BYTES))

    def new_person_key(self, person: str) -> tuple[bytes, str]:
        """Make a person's key; return it wrapped, and the pseudonym that follows from it and the person's id."""
        key = os.urandom(_KEY_BYTES)
        pseudonym = hmac.digest(key, b"volition/person/" + person.encode(), "sha256").hex()[:_PSEUDONYM_LENGTH]
        return aes_key_wrap(self._master, key), pseudonym

    def destroy_account_key(self, account: str) -> None:
        """Destroy an account's data key. Its name stays, so that the ledger can be read."""
        with self._database.writing() as connection:
            connection.execute("UPDATE accounts SET wrapped = NULL WHERE id = ?", (account,))

    def erased_accounts(self) -> frozenset[str]:
        """Return the accounts whose key was destroyed."""
        return frozenset(found[0] for found in self._database.all("SELECT id FROM accounts WHERE wrapped IS NULL"))

    def unopened(self) -> list[str]:
        """Return the accounts and people whose keys are there and do not open. Raises BackendError."""
        found = self._database.all("SELECT id, wrapped FROM accounts WHERE wrapped IS NOT NULL ORDER BY id")
        found += self._database.all("SELECT id, wrapped FROM people ORDER BY id")
        return [whose for whose, wrapped in found if not self._opens(wrapped)]

    def _opens(self, wrapped: bytes) -> bool:
        try:
            aes_key_unwrap(self._master, wrapped)
        except (InvalidUnwrap, ValueError):
            return False
        return True

    def derived_secret(self, use: str) -> bytes:
        """Return 32 secret bytes for one use, derived from the master key; they reveal nothing about it."""
        return hmac.digest(self._master, b"volition/derived/" + use.encode(), "sha256")

    def mark_of_person(self, person: str) -> str:
        """Return the mark that keeps an erased id from coming back; without the master key it reveals nothing."""
        return hmac.digest(self._master, b"volition/erased/" + person.encode(), "sha256").hex()

    def mark_of_handle(self, account: str, folded: str) -> str:
        """Return the mark that keeps a handle of an erased person from making a guest of them anew."""
        named = json.dumps([account, folded]).encode()
        return hmac.digest(self._master, b"volition/erased-handle/" + named, "sha256").hex()

    def drop_memory(self) -> None:
        """Drop the keys held in memory."""
        self._remembered.drop()

    def _keys_of(self, account: str) -> _DataKeys:
        with self._database.lock:
            self._remembered.refresh()
            if account not in self._data_keys:
                found = self._database.one("SELECT wrapped FROM accounts WHERE id = ?", account)
                if found is None:
                    msg = f"There is no account {account!r}, so it has no key. Check the id."
                    raise InvalidInputError(msg)
                if found[0] is None:
                    msg = f"The account {account} was erased. What its key encrypted cannot be read by anyone any more."
                    raise ErasedError(msg)
                self._data_keys[account] = _DataKeys.of(self._unwrap(found[0], account))
            return self._data_keys[account]

    def _unwrap(self, wrapped: bytes, whose: str) -> bytes:
        try:
            return aes_key_unwrap(self._master, wrapped)
        except (InvalidUnwrap, ValueError) as error:
            msg = f"The master key does not open the key of {whose}: one of the two was changed. Restore master.key, "
            msg += "or parties.db, from the backup of this very workspace."
            raise BackendError(msg) from error
