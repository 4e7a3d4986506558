"""The log as static files that any client of transparency logs reads: C2SP tlog-tiles.

    checkpoint                  the signed checkpoint; whatever it promises is there
    tile/L/N[.p/W]              hashes: 256 a file, W of them at the right edge
    tile/entries/N[.p/W]        the entries themselves, each after its length in 16 bits, big-endian

- A file never changes once a checkpoint promises it. Files are written first and flushed to the disk, the checkpoint
  last, so that an export which was killed leaves the old state whole, and the next one goes on from there.
- What was written is read back, and its root must be the checkpoint's, before the checkpoint is written.
- A folder that holds a newer checkpoint of this log than the log has, or one of another history, is evidence that the
  log was cut or forked: nothing is written, and `ProofError` says so.

Source: c2sp.org/tlog-tiles.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from volition.errors import BackendError, InvalidInputError, ProofError
from volition.files import PART, flush, turn
from volition.ledger import merkle
from volition.ledger.log import Ledger
from volition.ledger.signing import Checkpoint, VerifierKey, open_checkpoint

WIDTH: Final = 256
"""Hashes of a full tile, and entries of a full bundle."""

CHECKPOINT: Final = "checkpoint"
ENTRIES: Final = "entries"

_BITS = 8  # levels of the tree between two levels of tiles
_ASIDE = f"export{PART}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export did.

    Attributes:
        size: How many entries the folder's checkpoint is of.
        new: How many of them were not in the folder before.
        files: How many files were written.
    """

    size: int
    new: int
    files: int


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Return where a tile lies, relative to the log's prefix.

    Args:
        level: The level of tiles, from 0; or `ENTRIES`.
        number: Its place in the level, from 0.
        width: How many hashes or entries it has; fewer than `WIDTH` for a partial one.
    """
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"


class TileReader:
    """The nodes of a tree of some size, read from the tiles in a folder; what is not there reads as no bytes."""

    def __init__(self, folder: Path, size: int) -> None:
        """Take the folder, and the size of the tree that its checkpoint promises."""
        self._folder = folder
        self._size = size

    def read(self, level: int, number: int) -> bytes:
        """Return the hash of the node (level, number), as `merkle` counts them."""
        tile_level, up = divmod(level, _BITS)
        start = number << up
        hashes = self.hashes(tile_level, start // WIDTH)[start % WIDTH : (start % WIDTH) + (1 << up)]
        return _root(hashes) if len(hashes) == 1 << up else b""

    def hashes(self, level: int, number: int) -> list[bytes]:
        """Return the hashes of a tile; none if it is not there whole."""
        width = min(WIDTH, (self._size >> _BITS * level) - number * WIDTH)
        try:
            data = (self._folder / tile_path(level, number, width)).read_bytes()
        except OSError:
            return []
        size = merkle.HASH_BYTES
        return [data[start : start + size] for start in range(0, len(data), size)] if len(data) == width * size else []


def export_tiles(ledger: Ledger, key: VerifierKey, folder: Path, note: str, *, with_entries: bool) -> Exported:
    """Write the log up to a checkpoint as tiles into a folder; only what is new there.

    Args:
        ledger: The log.
        key: Its public key.
        folder: Where to; made if it is not there.
        note: The checkpoint, signed by the log and perhaps cosigned.
        with_entries: Whether to write the entries as well, or hashes alone.

    Raises:
        InvalidInputError: The folder holds another log, or entries where none are wanted.
        ProofError: The folder holds a checkpoint of this log that the log does not extend, or what lies there or in
            the ledger is not what was signed.
        BackendError: A file cannot be written.
    """
    checkpoint = open_checkpoint(note, key)
    if not with_entries and (folder / "tile" / ENTRIES).exists():
        msg = f"{folder} holds entries already, so it is not hashes alone. Name another folder, or remove tile/entries."
        raise InvalidInputError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with turn(folder):
            old = _old_size(ledger, key, folder)
            if checkpoint.size < old:
                return Exported(size=old, new=0, files=0)
            writing = _Writing(folder, with_entries=with_entries)
            writing.start(old)
            return writing.write(ledger, checkpoint, note, old)
    except OSError as error:
        msg = f"The log could not be written to {folder}: {error}. Free space or name another place, and try again."
        raise BackendError(msg) from error


def read_entries(folder: Path, key: VerifierKey, start: int) -> tuple[str, list[bytes]]:
    """Return the checkpoint of an export, verified, and its entries from `start` on, which nobody has verified yet.

    Raises:
        InvalidInputError: There is no export with entries in the folder.
        ProofError: The checkpoint is of another log, or a file of entries was cut.
    """
    try:
        note = (folder / CHECKPOINT).read_text(encoding="utf-8")
        size = open_checkpoint(note, key).size
        leaves: list[bytes] = []
        for number in range(start // WIDTH, -(-size // WIDTH)):
            bundle = (folder / tile_path(ENTRIES, number, min(WIDTH, size - number * WIDTH))).read_bytes()
            leaves += _unpacked(bundle)[start - number * WIDTH if number == start // WIDTH else 0 :]
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{folder} holds no log with its entries: {error}. `volition log export FOLDER` writes one."
        raise InvalidInputError(msg) from error
    return note, leaves


def _unpacked(bundle: bytes) -> list[bytes]:
    """Return the entries of a bundle, each of which stands behind its length."""
    found, place = [], 0
    while place < len(bundle):
        end = place + 2 + int.from_bytes(bundle[place : place + 2], "big")
        if end > len(bundle):
            raise ProofError("A file of the log's entries was cut.")
        found.append(bundle[place + 2 : end])
        place = end
    return found


def _old_size(ledger: Ledger, key: VerifierKey, folder: Path) -> int:
    """Return the size of the checkpoint that lies in a folder; 0 if there is none."""
    path = folder / CHECKPOINT
    if not path.exists():
        return 0
    try:
        old = open_checkpoint(path.read_bytes(), key)
    except ProofError as error:
        msg = f"{path} is no checkpoint of {key.name}: {error} Name another folder for this log."
        raise InvalidInputError(msg) from error
    size = ledger.size
    if old.size > size or ledger.root(old.size) != old.root:
        raise ProofError(
            f"{path} is a checkpoint of {old.size} entries that this log signed, and the log of {size} entries here "
            "does not extend it: it was cut off or rewritten. Restore the newest copy of the ledger."
        )
    return old.size


class _Writing:
    """One export: the hashes at the right edge of each level, and the files written so far."""

    def __init__(self, folder: Path, *, with_entries: bool) -> None:
        self._folder = folder
        self._with_entries = with_entries
        self._edge: list[list[bytes]] = [[]]  # of each level, the hashes of its last tile while it is partial
        self._bundle: list[bytes] = []
        self._begin = 0
        self._touched: set[Path] = set()
        self._done: list[Path] = []  # partial tiles that a full one has taken the place of
        self._files = 0

    def start(self, old: int) -> None:
        """Go on from what lies in the folder, from the last full tile on; from the start if that is not there."""
        begin = old - old % WIDTH
        bundle = tile_path(ENTRIES, (old - 1) // WIDTH, (old - 1) % WIDTH + 1) if old else ""
        if not begin or (self._with_entries and not (self._folder / bundle).exists()):
            return
        reader = TileReader(self._folder, old)
        edge: list[list[bytes]] = [[]]
        while below := begin >> _BITS * len(edge):
            hashes = reader.hashes(len(edge), below // WIDTH) if below % WIDTH else []
            if len(hashes) != below % WIDTH:
                return
            edge.append(hashes)
        self._edge, self._begin = edge, begin

    def write(self, ledger: Ledger, checkpoint: Checkpoint, note: str, old: int) -> Exported:
        size = checkpoint.size
        number = self._begin // WIDTH
        for leaf in ledger.leaves(self._begin, size):
            self._edge[0].append(merkle.leaf_hash(leaf))
            self._bundle.append(len(leaf).to_bytes(2, "big") + leaf)
            if len(self._bundle) == WIDTH:
                self._put_full(number)
                number += 1
        for path, data in self._partial(size):
            self._put(path, data)
        if merkle.root(size, TileReader(self._folder, size).read) != checkpoint.root:
            raise ProofError(
                f"The tiles in {self._folder} do not make up the checkpoint's root: a file there was changed, or is "
                "missing. Remove the folder and export the log anew."
            )
        for folder in sorted(self._touched, reverse=True):
            flush(folder)
        self._put(CHECKPOINT, note.encode())
        flush(self._folder)
        for folder in self._done:
            shutil.rmtree(folder, ignore_errors=True)
        return Exported(size=size, new=size - old, files=self._files)

    def _put_full(self, number: int) -> None:
        """Write the level-0 tile that is full now, its entries, and each tile above that it fills."""
        if self._with_entries:
            self._put_tile(ENTRIES, number, b"".join(self._bundle))
        self._bundle.clear()
        level = 0
        while len(self._edge[level]) == WIDTH:
            self._put_tile(level, number, b"".join(self._edge[level]))
            if level + 1 == len(self._edge):
                self._edge.append([])
            self._edge[level + 1].append(_root(self._edge[level]))
            self._edge[level].clear()
            level, number = level + 1, number // WIDTH

    def _put_tile(self, level: int | str, number: int, data: bytes) -> None:
        path = tile_path(level, number)
        self._put(path, data)
        partial = self._folder / f"{path}.p"
        if partial.exists():
            self._done.append(partial)

    def _partial(self, size: int) -> Iterator[tuple[str, bytes]]:
        for level, hashes in enumerate(self._edge):
            if hashes:
                yield tile_path(level, size >> _BITS * (level + 1), len(hashes)), b"".join(hashes)
        if self._bundle and self._with_entries:
            yield tile_path(ENTRIES, size // WIDTH, len(self._bundle)), b"".join(self._bundle)

    def _put(self, name: str, data: bytes) -> None:
        """Write a file aside, flush it, and give it its name: whole or not at all."""
        path, aside = self._folder / name, self._folder / _ASIDE
        if path.parent not in self._touched:
            path.parent.mkdir(parents=True, exist_ok=True)
            folder = path.parent
            while folder != self._folder:
                self._touched.add(folder)
                folder = folder.parent
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        self._files += 1


def _root(hashes: list[bytes]) -> bytes:
    frontier = merkle.Frontier()
    frontier.extend(hashes)
    return frontier.root()
