"""Secrets sealed under a passphrase, for a backup: scrypt (RFC 7914) makes a key of it, for AES-256-GCM."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from volition.errors import InvalidInputError, ProofError

_SHORTEST: Final = 12
_FORM: Final = b"volition/sealed-secrets/1"
_COST: Final = 1 << 16  # with blocks of 8: 64 MiB and about a quarter of a second for each guess
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12


def seal_secrets(secrets: Mapping[str, bytes], passphrase: bytes) -> str:
    """Return secrets, by name, sealed under a passphrase, as text.

    Raises:
        InvalidInputError: The passphrase is shorter than 12 bytes.
    """
    if len(passphrase) < _SHORTEST:
        msg = f"A passphrase of {len(passphrase)} bytes can be guessed. Take at least {_SHORTEST}, better six words."
        raise InvalidInputError(msg)
    plain = json.dumps({name: base64.b64encode(secret).decode() for name, secret in secrets.items()}).encode()
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, _FORM)
    return base64.b64encode(salt + nonce + sealed).decode()


def open_secrets(sealed: str, passphrase: bytes) -> dict[str, bytes]:
    """Return what `seal_secrets` sealed.

    Raises:
        ProofError: It is another passphrase, or what was sealed was changed.
    """
    try:
        data = base64.b64decode(sealed, validate=True)
        salt, nonce, text = data[:_SALT_BYTES], data[_SALT_BYTES:][:_NONCE_BYTES], data[_SALT_BYTES + _NONCE_BYTES :]
        plain = AESGCM(_key(passphrase, salt)).decrypt(nonce, text, _FORM)
        return {name: base64.b64decode(secret) for name, secret in json.loads(plain).items()}
    except (InvalidTag, ValueError) as error:
        raise ProofError("The passphrase does not open these keys, or they were changed.") from error


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase, salt=salt, n=_COST, r=8, p=1, maxmem=1 << 28, dklen=32)
