"""A model: what a family has learnt, as data only, with the same bytes for the same content on every machine."""

import io
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from volition.canonical import canonical_json, digest
from volition.errors import ConflictError, InvalidInputError

Array = NDArray[Any]
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SETTINGS = "settings.json"
_ARRAYS = "arrays.npz"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_DAMAGED = (zipfile.BadZipFile, zlib.error, msgspec.DecodeError)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """What a family has learnt: data only. The same content has the same bytes on every machine.

    Attributes:
        family: Name of the family that reads it, such as "search".
        settings: A JSON object of small values.
        arrays: Numeric arrays by name.
        texts: Plain texts by name, such as a tree ensemble's own text form or a vocabulary.
    """

    family: str
    settings: Mapping[str, Any]
    arrays: Mapping[str, Array]
    texts: Mapping[str, str]

    def __post_init__(self) -> None:
        """Refuse what has no portable form.

        Raises:
            InvalidInputError: A name is no plain file name, or an array holds objects.
        """
        for name in (self.family, *self.arrays, *self.texts):
            if not _NAME.fullmatch(name):
                msg = f"{name!r} cannot name a part of a model: use a-z, 0-9, _ and -, at most 64 characters."
                raise InvalidInputError(msg)
        for name, array in self.arrays.items():
            if array.dtype.hasobject:
                msg = f"Array {name!r} holds Python objects, which a model must not: it is data only. Use numbers."
                raise InvalidInputError(msg)

    def files(self) -> dict[str, bytes]:
        """Return the model as its files: settings.json, arrays.npz and one NAME.txt for each text."""
        settings = {
            "family": self.family,
            "settings": dict(self.settings),
            "arrays": sorted(self.arrays),
            "texts": sorted(self.texts),
        }
        files = {_SETTINGS: canonical_json(settings), _ARRAYS: _arrays_to_bytes(self.arrays)}
        return files | {f"{name}.txt": self.texts[name].encode() for name in sorted(self.texts)}

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the canonical JSON of each file's name and digest."""
        return digest(canonical_json({name: digest(data) for name, data in self.files().items()}))

    def save(self, folder: Path) -> None:
        """Write the files into a new folder, all or none of them; saving the same model again changes nothing.

        Raises:
            ConflictError: The folder already holds something else.
        """
        files = self.files()
        if folder.exists() and any(folder.iterdir()):
            present = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
            if any(present.get(name) != data for name, data in files.items()):
                msg = f"{folder} already holds something else. Save the model in a new folder."
                raise ConflictError(msg)
            return
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)  # what a killed save left behind
        part.mkdir(parents=True)
        for name, data in files.items():
            (part / name).write_bytes(data)
        part.replace(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved model. Nothing in it is executed; files that the settings do not list are not read.

        Raises:
            InvalidInputError: A file is missing or is not what `save` writes.
        """
        return cls._read(lambda name: (folder / name).read_bytes(), str(folder))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read what `files` returned, as `load` does.

        Raises:
            InvalidInputError: A file is missing or is not what `files` returns.
        """
        return cls._read(files.__getitem__, "A kept model")

    @classmethod
    def _read(cls, read: Callable[[str], bytes], where: str) -> Self:
        try:
            settings = msgspec.json.decode(read(_SETTINGS))
            arrays = _arrays_from_bytes(read(_ARRAYS))
            texts = {name: read(f"{_checked(name)}.txt").decode() for name in settings["texts"]}
            if sorted(arrays) != settings["arrays"]:
                msg = f"arrays.npz holds {sorted(arrays)}, the settings list {settings['arrays']}"
                raise ValueError(msg)  # noqa: TRY301 - reported like every other fault of a file
            return cls(family=settings["family"], settings=settings["settings"], arrays=arrays, texts=texts)
        except (OSError, EOFError, ValueError, TypeError, KeyError, *_DAMAGED) as error:
            msg = f"{where} is not a whole model: {error}. Save it again from its training run."
            raise InvalidInputError(msg) from error


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        msg = f"{name!r} cannot name a part of a model"
        raise ValueError(msg)
    return name


def _arrays_to_bytes(arrays: Mapping[str, Array]) -> bytes:
    """Write .npz bytes that depend on the arrays alone: sorted names, little-endian, C order, no dates."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            array = arrays[name]
            portable = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
            entry = io.BytesIO()
            np.lib.format.write_array(entry, portable, version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=_ZIP_EPOCH)
            info.create_system = 3  # or the byte would depend on the system
            archive.writestr(info, entry.getvalue())
    return buffer.getvalue()


def _arrays_from_bytes(data: bytes) -> dict[str, Array]:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in sorted(archive.files)}
