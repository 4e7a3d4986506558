"""The zip of a bundle, of which there is one for the same files: they lie there plainly, in the order of their names.

Whatever else a zip may hold (a second file of a name, comments, bytes before, between and behind, other times and
attributes, compression that unpacks to more than memory holds) is refused: readers differ in what they see of it.
"""

import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

from volition.errors import InvalidInputError, ProofError

_LOCAL: Final = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL: Final = struct.Struct("<4sBBHHHHHLLLHHHHHLL")
_END: Final = struct.Struct("<4sHHHHLLH")
_VERSION: Final = 20
_UNIX: Final = 3
_PLAIN: Final = 0  # neither compressed nor encrypted
_UTF8: Final = 0x800
_DATE: Final = 1 << 5 | 1  # the first day of 1980
_ATTRIBUTES: Final = 0o600 << 16
_MOST_BYTES: Final = (1 << 32) - 1
_MOST_FILES: Final = (1 << 16) - 1
_PIECE_BYTES: Final = 1 << 20


class _Place(NamedTuple):
    """Where a file lies in the archive: its first byte, how many, and their checksum."""

    start: int
    size: int
    crc: int


class _Part(io.RawIOBase):
    """A file of an archive, as if it was one by itself."""

    def __init__(self, archive: BinaryIO, place: _Place) -> None:
        self._archive, self._place, self._at = archive, place, 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that one can read it from anywhere."""
        return True

    def tell(self) -> int:
        """Return from where the next bytes are read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to where the next bytes are read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._place.size}[whence]
        self._at = min(max(start + offset, 0), self._place.size)
        return self._at

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - whatever bytes can be written into
        """Read the next bytes; return how many they are."""
        view = memoryview(buffer)[: self._place.size - self._at]
        self._archive.seek(self._place.start + self._at)
        found = self._archive.readinto(view)  # type: ignore[attr-defined] # that of a file has it
        self._at += found
        return int(found)

    def close(self) -> None:
        """Close the archive, which was opened for this."""
        self._archive.close()
        super().close()


class Archive(Mapping[str, bytes]):
    """The files of a bundle, each read when it is asked for, and large ones piece by piece.

    Attributes:
        path: Where the bundle lies.
        state: What differs when it was written to, or another one took its place.
    """

    def __init__(self, path: Path, places: Mapping[str, _Place], state: tuple[int, ...]) -> None:
        """Know where they lie; `read_archive` finds that out."""
        self.path = path
        self.state = state
        self._places = places

    def open(self, name: str) -> BinaryIO:
        """Open one of the files, to be read from wherever one likes.

        What it holds is not compared with its checksum, which `digest` does.

        Raises:
            ProofError: The bundle has no such file, or was changed since its files were found.
        """
        place = self._places.get(name)
        if place is None:
            raise ProofError(f"The bundle lacks the file {name}.")
        stream = self.path.open("rb", buffering=0)
        if _state(stream) != self.state:
            stream.close()
            raise ProofError("The bundle was changed while it was being checked.")
        return cast("BinaryIO", io.BufferedReader(_Part(cast("BinaryIO", stream), place), _PIECE_BYTES))

    def size(self, name: str) -> int:
        """Return how many bytes a file has; 0 if it is not there."""
        place = self._places.get(name)
        return 0 if place is None else place.size

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file, in hexadecimal, which is read piece by piece.

        Raises:
            ProofError: As for reading it.
        """
        found, crc = hashlib.sha256(), 0
        with self.open(name) as stream:
            while piece := stream.read(_PIECE_BYTES):
                found.update(piece)
                crc = zlib.crc32(piece, crc)
        if crc != self._places[name].crc:
            raise ProofError(f"The file {name} in the bundle is damaged.")
        return found.hexdigest()

    def __getitem__(self, name: str) -> bytes:
        """Return what a file holds.

        Raises:
            ProofError: The bundle has no such file, it is not what its checksum says, or the bundle was changed since
                its files were found.
        """
        with self.open(name) as stream:
            data = stream.read()
        if zlib.crc32(data) != self._places[name].crc:
            raise ProofError(f"The file {name} in the bundle is damaged.")
        return data

    def __contains__(self, name: object) -> bool:
        """Return whether there is such a file, without reading it."""
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return how many files there are."""
        return len(self._places)

    def __str__(self) -> str:
        """Say what was found."""
        return f"{len(self)} files, each once, and nothing beside them"


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return files as the one archive that holds them.

    Raises:
        InvalidInputError: They are too many, or too large: more than 4 GiB.
    """
    out, directory = BytesIO(), BytesIO()
    total = sum(len(data) + 2 * len(name.encode()) + _LOCAL.size + _CENTRAL.size for name, data in members.items())
    if len(members) > _MOST_FILES or total + _END.size > _MOST_BYTES:
        raise InvalidInputError(f"A bundle holds {_MOST_FILES:,} files and 4 GiB at most; this one would hold more.")
    for name in sorted(members):
        data = members[name]
        local, central = _headers(name, _Place(out.tell(), len(data), zlib.crc32(data)))
        out.write(local)
        out.write(data)
        directory.write(central)
    start = out.tell()
    out.write(directory.getvalue())
    out.write(_end(len(members), directory.tell(), start))
    return out.getvalue()


def _headers(name: str, place: _Place) -> tuple[bytes, bytes]:
    """Return what stands before a file, and its line in the directory; `place.start` is where the former starts."""
    path = name.encode()
    common = (0 if name.isascii() else _UTF8, _PLAIN, 0, _DATE, place.crc, place.size, place.size, len(path))
    local = _LOCAL.pack(b"PK\3\4", _VERSION, *common, 0)
    central = _CENTRAL.pack(b"PK\1\2", _VERSION, _UNIX, _VERSION, *common, 0, 0, 0, 0, _ATTRIBUTES, place.start)
    return local + path, central + path


def _end(files: int, size: int, start: int) -> bytes:
    return _END.pack(b"PK\5\6", 0, 0, files, files, size, start, 0)


def read_archive(path: Path) -> Archive:
    """Find the files of an archive, and check that it is the one that `pack` would make of them.

    Raises:
        InvalidInputError: It is no zip at all.
        ProofError: It is a zip, and not in that form.
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        try:
            return Archive(path, _places(stream), _state(stream))
        except (ProofError, struct.error, UnicodeDecodeError, OverflowError, MemoryError, ValueError) as error:
            stream.seek(0)
            if not zipfile.is_zipfile(stream):
                raise InvalidInputError("it is no zip") from error
            raise ProofError(
                f"The archive is not in the one form that a bundle has ({error}). It was packed again, something was "
                "put into it, or an earlier version made it: make a new one with `volition prove`."
            ) from error


def _state(stream: BinaryIO | io.FileIO) -> tuple[int, ...]:
    """Return what differs when a file was written to, or another one took its place."""
    found = os.fstat(stream.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _places(stream: BinaryIO) -> dict[str, _Place]:
    """Read the directory, and compare every byte that is not a file's with what `pack` would write."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _END.size))
    end = stream.read()
    _, _, _, files, _, directory_size, directory_start, _ = _END.unpack(end)
    if end != _end(files, directory_size, directory_start) or directory_start + directory_size + _END.size != size:
        raise ProofError("it does not end as it should")
    stream.seek(directory_start)
    directory = stream.read(directory_size)
    found: dict[str, _Place] = {}
    at = position = 0
    for _ in range(files):
        *_, crc, length, _, name_length, _, _, _, _, _, _ = _CENTRAL.unpack_from(directory, at)
        name = directory[at + _CENTRAL.size : at + _CENTRAL.size + name_length].decode()
        local, central = _headers(name, _Place(position, length, crc))
        stream.seek(position)
        if found and name <= next(reversed(found)):
            raise ProofError(f"the file {name} is there twice, or not in its place")
        if directory[at : at + len(central)] != central or stream.read(len(local)) != local:
            raise ProofError(f"the file {name} is not stored as it should be")
        found[name] = _Place(position + len(local), length, crc)
        at, position = at + len(central), position + len(local) + length
    if at != directory_size or position != directory_start:
        raise ProofError("something lies between its files or behind them")
    return found
