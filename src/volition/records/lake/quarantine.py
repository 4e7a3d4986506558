"""The quarantine: bad input set aside as JSON lines, encrypted if its account is known (a dead-letter queue).

An erasure searches it. Of a person, every line goes that names them: in the data of their own account and of accounts
that nobody knows by any handle, in that of another account by an address. Of an account, everything goes that was
encrypted under its key, or names its id. A line that nobody can read goes with either: what it holds nobody can say.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from volition.canonical import canonical_json, digest
from volition.consent.parties import ErasedError, Parties, Person
from volition.errors import BackendError, InvalidInputError, ProofError
from volition.files import flush, turn, write_file
from volition.records.lake.mentions import Mentions

_SEALED: Final = {"raw": "sealed_raw", "people": "sealed_people"}
"""What is encrypted of a line, and its name once it is."""


def set_aside(folder: Path, parties: Parties, account: str | None, lines: Sequence[dict[str, Any]]) -> Path | None:
    """Write lines of bad input to a file of the quarantine in `folder`, and return it; none if there are no lines."""
    if not lines:
        return None
    kept = [dict(line) for line in lines]
    if account is not None:
        for key, sealed_key in _SEALED.items():
            holding = [line for line in kept if key in line]
            texts = [(b"quarantine", _text(line.pop(key)).encode(errors="backslashreplace")) for line in holding]
            for line, encrypted in zip(holding, parties.seal_many(account, texts), strict=True):
                line |= {sealed_key: encrypted.hex(), "account": account}
    return _write(folder, kept, parties)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _write(folder: Path, lines: Sequence[dict[str, Any]], parties: Parties) -> Path:
    data = b"".join(canonical_json(line) + b"\n" for line in lines)
    path = folder / f"{digest(data)[:32]}.jsonl"
    if not path.exists():
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_file(path, data)
        except OSError as error:
            msg = f"Bad input could not be set aside in {path}: {error}. Free space, then send the input again."
            raise BackendError(msg) from error
    parties.stores.note(path)
    return path


def remove_naming(folder: Path, parties: Parties, person: Person) -> int:
    """Remove every line that names a person or that nobody can read; return how many.

    Killed half-way it is called again, as long as the person's handles are known.

    Raises:
        BackendError: A file cannot be read or written; what was removed before stays removed.
    """
    anywhere, elsewhere = Mentions(person), Mentions(person, by_address_only=True)

    def must_go(line: dict[str, Any], opened: "_OpenedLine | None") -> bool:
        if opened is None:
            return True
        is_theirs = person.account is None or opened.account in {None, person.account}
        return (anywhere if is_theirs else elsewhere).found_in("\n".join((_told(line), *opened.texts)))

    return _remove(folder, parties, must_go)


def remove_of_account(folder: Path, parties: Parties, account: str) -> int:
    """Remove every line of an account whose key is still there, and every line that nobody can read; return how many.

    Raises:
        BackendError: As `remove_naming`.
    """
    named = re.compile(rf"(?<!\w){re.escape(account)}(?!\w)")

    def must_go(line: dict[str, Any], opened: "_OpenedLine | None") -> bool:
        if opened is None or opened.account == account:
            return True
        return opened.account is None and bool(named.search("\n".join((_told(line), *opened.texts))))

    return _remove(folder, parties, must_go)


class _OpenedLine:
    """What a line holds: whose it is, if that is known, and its texts."""

    def __init__(self, account: str | None, texts: tuple[str, ...]) -> None:
        self.account = account
        self.texts = texts


def _told(line: dict[str, Any]) -> str:
    """Return what lies unencrypted beside what a line holds."""
    return "\n".join(str(line.get(key, "")) for key in ("source", "where", "why"))


def _remove(folder: Path, parties: Parties, must_go: Callable[[dict[str, Any], _OpenedLine | None], bool]) -> int:
    removed = 0
    reader = _Reader(parties)
    parties.stores.check_below(folder)
    for path in sorted(folder.glob("*.jsonl")):
        try:
            lines = list(_lines(path))
            kept = [line for line in lines if line is not None and not must_go(line, reader.opened(line))]
            if len(kept) == len(lines):
                continue
            if kept:
                _write(
                    folder, kept, parties
                )  # first: killed after it, both files are there, and the next one removes the old
            parties.stores.forget(path)
            path.unlink()
            with turn(folder):
                flush(folder)
        except OSError as error:
            msg = f"What was set aside in {path} cannot be erased: {error}. Mend that, then erase again."
            raise BackendError(msg) from error
        removed += len(lines) - len(kept)
    return removed


def _lines(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield the lines of a file; none for one that is no JSON object."""
    for text in path.read_bytes().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        yield line if isinstance(line, dict) else None


class _Reader:
    """Opens lines; one that does not say whose it is, by whichever account's key opens it."""

    def __init__(self, parties: Parties) -> None:
        self._parties = parties
        self._accounts = [account.id for account in parties.accounts()]

    def opened(self, line: dict[str, Any]) -> _OpenedLine | None:
        """Return what a line holds; none if nobody can read it."""
        sealed = [line[key] for key in _SEALED.values() if key in line]
        clear = tuple(_text(line[key]) for key in _SEALED if key in line)
        if not sealed:
            return _OpenedLine(None, clear) if clear else None
        named = line.get("account")
        for account in [named] if isinstance(named, str) else list(self._accounts):
            try:
                contents = [(b"quarantine", bytes.fromhex(text)) for text in sealed]
                found = self._parties.open_many(account, contents)
            except (ProofError, ErasedError, InvalidInputError, ValueError, TypeError):
                continue
            if account in self._accounts:  # what lies in one file is one account's: it is tried first next time
                self._accounts.remove(account)
                self._accounts.insert(0, account)
            return _OpenedLine(account, (*clear, *(text.decode(errors="replace") for text in found)))
        return None
