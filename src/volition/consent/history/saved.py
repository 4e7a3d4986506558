"""A history saved on disk, so that a long ledger is read once: a cache, signed by the log's key over its ledger's tree.

What is found again is what was signed, of this ledger and no other. Anything that does not fit is passed over and the
ledger read instead; killed half-way, saving leaves the older history in its place.
"""

from pathlib import Path
from typing import Final, Protocol

from volition.canonical import canonical_json, digest
from volition.consent.history.history import History
from volition.errors import InvalidInputError, ProofError
from volition.files import PART, write_folder
from volition.ledger.signing import Signer, VerifierKey, open_note, sign_note

_FORMAT: Final = "volition.history/5"  # an earlier one does not know when imported answers were said
_SIGNATURE: Final = "seal"
"""The file with the signed digests of the others."""


def save_history(folder: Path, history: History, *, root: bytes, signer: Signer) -> Path:
    """Save a history in a folder, signed, in place of older ones; killed half-way, the older one is still there.

    Args:
        folder: Where histories are saved; made if it is not there.
        history: What was read.
        root: Root of the ledger's tree of `history.size` entries, 32 bytes.
        signer: The log's key.

    Raises:
        OSError: The disk is full or cannot be written.
    """
    files = history.to_files()
    digests = {name: digest(data) for name, data in files.items()}
    text = f"{_FORMAT}\n{history.size}\n{root.hex()}\n{digest(canonical_json(digests))}\n"
    saved = folder / f"{history.size:012d}"
    write_folder(saved, {**files, _SIGNATURE: sign_note(text, signer).encode()})
    for older in sorted(folder.iterdir()):
        if older.name < saved.name and not older.name.endswith(PART):
            _remove(older)
    return saved


class LedgerRoots(Protocol):
    """A ledger, as far as a saved history is concerned."""

    @property
    def size(self) -> int:
        """How many entries there are."""
        ...

    def root(self, size: int) -> bytes:
        """Return the root of the tree at a size, 32 bytes."""
        ...


def find_saved_history(folder: Path, ledger: LedgerRoots, key: VerifierKey) -> History | None:
    """Return the newest saved history that its signature and the ledger confirm; none if there is none.

    Anything that does not fit is passed over: the ledger itself holds everything, and is read instead.
    """
    for saved in sorted(folder.glob("[0-9]*"), reverse=True) if folder.is_dir() else []:
        try:
            return _open_saved(saved, ledger, key)
        except (OSError, ValueError, KeyError, TypeError, ProofError, InvalidInputError):
            continue
    return None


def _open_saved(saved: Path, ledger: LedgerRoots, key: VerifierKey) -> History:
    files = {path.name: path.read_bytes() for path in sorted(saved.iterdir())}
    note = open_note(files.pop(_SIGNATURE), key).text
    digests = {name: digest(data) for name, data in files.items()}
    form, size, root, signed, end = note.split("\n")
    if (form, signed, end) != (_FORMAT, digest(canonical_json(digests)), ""):
        raise ProofError(f"The saved history {saved} is not what was signed.")
    if int(size) > ledger.size or ledger.root(int(size)).hex() != root:
        raise ProofError(f"The saved history {saved} is of another ledger.")
    history = History()
    history.load(files)
    return history


def _remove(saved: Path) -> None:
    """Remove a saved history, its signature first: what is left half-removed is not believed."""
    for path in sorted(saved.iterdir(), key=lambda path: path.name != _SIGNATURE):
        path.unlink()
    saved.rmdir()
