"""The quarantine: bad input set aside as JSON lines, encrypted if its account is known (a dead-letter queue)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from volition.canonical import canonical_json, digest
from volition.consent.parties import Parties
from volition.errors import BackendError
from volition.files import write_file


def set_aside(folder: Path, parties: Parties, account: str | None, lines: Sequence[dict[str, Any]]) -> Path | None:
    """Write lines of bad input to a file of the quarantine in `folder`, and return it; none if there are no lines."""
    if not lines:
        return None
    kept = [dict(line) for line in lines]
    if account is not None:
        raws = [(b"quarantine", str(line.pop("raw")).encode(errors="backslashreplace")) for line in kept]
        for line, encrypted in zip(kept, parties.seal_many(account, raws), strict=True):
            line["sealed_raw"] = encrypted.hex()
    data = b"".join(canonical_json(line) + b"\n" for line in kept)
    path = folder / f"{digest(data)[:32]}.jsonl"
    if not path.exists():
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_file(path, data)
        except OSError as error:
            msg = f"Bad input could not be set aside in {path}: {error}. Free space, then send the input again."
            raise BackendError(msg) from error
    return path
