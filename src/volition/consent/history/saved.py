"""A history on disk, so that a long ledger is read once: sealed by the log's key over the tree that it was read from.

What is found again is what was sealed, of this ledger and no other. Whatever does not fit is passed over and the ledger
read instead; killed half-way, keeping leaves the older history in its place.
"""

from pathlib import Path
from typing import Final, Protocol

from volition.canonical import canonical_json, digest
from volition.consent.history.history import History
from volition.errors import InvalidInputError, ProofError
from volition.files import PART, write_folder
from volition.ledger.signing import Signer, VerifierKey, open_note, sign_note

_SEAL: Final = "volition.consent.history/2"  # an earlier version would pass over the limits


def keep_history(folder: Path, history: History, *, root: bytes, signer: Signer) -> Path:
    """Keep a history in a folder, sealed, in place of older ones; killed half-way, the older one is still there.

    Args:
        folder: Where histories are kept; made if it is not there.
        history: What was read.
        root: Root of the ledger's tree of `history.size` entries, 32 bytes.
        signer: The log's key.

    Raises:
        OSError: The disk is full or cannot be written.
    """
    files = history.to_files()
    digests = {name: digest(data) for name, data in files.items()}
    text = f"{_SEAL}\n{history.size}\n{root.hex()}\n{digest(canonical_json(digests))}\n"
    kept = folder / f"{history.size:012d}"
    write_folder(kept, {**files, "seal": sign_note(text, signer).encode()})
    for older in sorted(folder.iterdir()):
        if older.name < kept.name and not older.name.endswith(PART):
            _remove(older)
    return kept


class Tree(Protocol):
    """A ledger, as far as a kept history is concerned."""

    @property
    def size(self) -> int:
        """How many entries there are."""
        ...

    def root(self, size: int) -> bytes:
        """Return the root of the tree at a size, 32 bytes."""
        ...


def find_history(folder: Path, ledger: Tree, key: VerifierKey) -> History | None:
    """Return the newest kept history that its seal and the ledger confirm; none if there is none.

    Whatever does not fit is passed over: the ledger itself holds everything, and is read instead.
    """
    for kept in sorted(folder.glob("[0-9]*"), reverse=True) if folder.is_dir() else []:
        try:
            return _open_kept(kept, ledger, key)
        except (OSError, ValueError, KeyError, TypeError, ProofError, InvalidInputError):
            continue
    return None


def _open_kept(kept: Path, ledger: Tree, key: VerifierKey) -> History:
    files = {path.name: path.read_bytes() for path in sorted(kept.iterdir())}
    note = open_note(files.pop("seal"), key).text
    digests = {name: digest(data) for name, data in files.items()}
    seal, size, root, sealed, end = note.split("\n")
    if (seal, sealed, end) != (_SEAL, digest(canonical_json(digests)), ""):
        raise ProofError(f"The kept history {kept} is not what was sealed.")
    if int(size) > ledger.size or ledger.root(int(size)).hex() != root:
        raise ProofError(f"The kept history {kept} is of another ledger.")
    history = History()
    history.load(files)
    return history


def _remove(kept: Path) -> None:
    """Remove a kept history, its seal first: what is left half-removed is not believed."""
    for path in sorted(kept.iterdir(), key=lambda path: path.name != "seal"):
        path.unlink()
    kept.rmdir()
