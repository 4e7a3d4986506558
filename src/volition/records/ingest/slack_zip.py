"""The zip of an export, read in place: nothing is extracted, and no size or name in it is believed.

- Names that point outside, links, encryption, unusual packing and a name that is there twice are refused at once.
- Bytes are counted while they are unpacked (a zip bomb stops at its limit).
- A name without the flag for UTF-8 is tried as UTF-8, and every name is brought into one form (NFC): zips that were
  packed again on another system write `e` with an accent in two ways.
"""

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

from volition.errors import InvalidInputError
from volition.records.ingest import load_json, read_capped

DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error, IndexError)
"""What a damaged zip makes the standard library raise; a RuntimeError is a password, NotImplementedError a method."""

_RATIO_FLOOR_BYTES: Final = 1 << 20  # a small file may compress very well without doing harm
_UTF8_FLAG: Final = 0x800


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a zip may hold, counted while it is read.

    Attributes:
        file_bytes: Most bytes in one file, uncompressed.
        total_bytes: Most bytes in all files that are read, uncompressed.
        ratio: Most uncompressed bytes for each compressed one, in files above 1 MiB. Chat compresses about 10 times.
    """

    file_bytes: int = 64 << 20
    total_bytes: int = 8 << 30
    ratio: int = 200


class ExportZip:
    """One opened zip.

    Attributes:
        files: Its files, by name within the export.
    """

    def __init__(self, archive: zipfile.ZipFile, source: str, limits: Limits) -> None:
        """Check what is in it.

        Raises:
            InvalidInputError: It holds what no export holds.
        """
        self._archive = archive
        self._source = source
        self._limits = limits
        self._read_bytes = 0
        self.files = self._checked_files()

    def _checked_files(self) -> dict[str, zipfile.ZipInfo]:
        """Return the files by name within the export, after refusing what no export holds."""
        files: dict[str, zipfile.ZipInfo] = {}
        for info in self._archive.infolist():
            name = _name_of(info)
            shown = f"{self._source}: the entry {name[:100]!r}"
            if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
                raise InvalidInputError(f"{shown} points outside the zip. This is no Slack export; do not open it.")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise InvalidInputError(f"{shown} is a link. This is no Slack export; do not open it.")
            if info.flag_bits & 1:
                raise InvalidInputError(f"{shown} is encrypted. Decrypt the export first.")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # The standard library unpacks other methods without a bound on memory.
                raise InvalidInputError(f"{shown} is packed by an unusual method. Zip the export again with deflate.")
            if name in files:
                raise InvalidInputError(f"{shown} is there twice. Use the export as Slack wrote it.")
            if not name.endswith("/") and not name.startswith("__MACOSX/"):
                files[name] = info
        roots = [n.rpartition("/")[0] for n in files if n.rpartition("/")[2] in ("users.json", "org_users.json")]
        prefix = min(roots, key=len) + "/" if roots and "" not in roots else ""
        return {name.removeprefix(prefix): info for name, info in files.items() if name.startswith(prefix)}

    def read(self, name: str, *, again: bool = False) -> bytes:
        """Return one file's bytes, within the limits; read `again` it does not count a second time.

        Raises:
            InvalidInputError: It is larger than is allowed.
        """
        info = self.files[name]
        what = f"{self._source}: {info.filename}"
        left_bytes = self._limits.total_bytes - (0 if again else self._read_bytes)
        most_bytes = max(_RATIO_FLOOR_BYTES, info.compress_size * self._limits.ratio)
        limit_bytes = min(self._limits.file_bytes, left_bytes, most_bytes)
        with self._archive.open(info) as stream:
            data = read_capped(cast("BinaryIO", stream), limit_bytes=limit_bytes, what=what)
        self._read_bytes += 0 if again else len(data)
        return data

    def objects(self, name: str) -> list[dict[str, Any]]:
        """Return one of the files that everything else depends on: a list of objects.

        Raises:
            InvalidInputError: It is something else.
        """
        try:
            value = load_json(self.read(name))
        except DAMAGED as error:
            msg = f"{self._source}: {self.files[name].filename} cannot be read: {error}. Export again."
            raise InvalidInputError(msg) from error
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise InvalidInputError(f"{self._source}: {name} is not a list of objects. Export again.")
        return value


def _name_of(info: zipfile.ZipInfo) -> str:
    """Return an entry's name, in one form."""
    name = info.filename
    if not info.flag_bits & _UTF8_FLAG and not name.isascii():
        try:
            name = name.encode("cp437").decode()
        except ValueError:
            name = info.filename  # it was no UTF-8 after all
    return unicodedata.normalize("NFC", name).replace("\\", "/")
