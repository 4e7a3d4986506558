"""A secret in a file of its own: 32 random bytes, readable by its owner alone (mode 0600).

The master key and the log's signing key lie in such files. Back them up, apart from the rest: nothing opens without.
"""

import base64
import os
from pathlib import Path
from typing import Final

from volition.errors import BackendError

SECRET_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 1024


def write_secret(path: Path) -> None:
    """Make a secret of 32 random bytes in a file that nobody but its owner can read, from its first byte on.

    Raises:
        FileExistsError: There is one already; it is left as it is.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(base64.b64encode(os.urandom(SECRET_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)  # the name must last as well, before anything is wrapped under the key
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_secret(path: Path) -> bytes:
    """Return the 32 bytes that `write_secret` made.

    Raises:
        BackendError: The file cannot be read, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MAX_FILE_BYTES)
        secret = base64.b64decode(text.strip(), validate=True)
    except (OSError, ValueError) as error:
        msg = f"The key {path} cannot be read: {error}. Restore it from your backup; nothing opens without it."
        raise BackendError(msg) from error
    if mode & 0o077:
        msg = f"Others can read the key {path}. Run `chmod 600 {path}`, and assume that they have read it."
        raise BackendError(msg)
    if len(secret) != SECRET_BYTES:
        msg = f"The key {path} has {len(secret)} bytes instead of {SECRET_BYTES}. Restore it from your backup."
        raise BackendError(msg)
    return secret
