"""Model families: what each kind of model learns from permitted rows, and how it forgets a part of them exactly.

A family turns rows that the gate let through into a `Model`, which is data only: JSON settings, numeric arrays and
plain texts, never pickled objects. Its bytes are a function of the rows alone, so "forgotten exactly" is a comparison
of digests: `forget(model, before, after)` must give the bytes of `fit(after)`.

    model = family.fit(rows, parts=NoParts(), progress=silent)
    model.save(folder)
    assert Model.load(folder).digest == model.digest

Each module knows only those before it:

chat         messages that a model may learn from
search       which line answers a query
recommend    what a person may want next
summary      the moments of a meeting, as quotes
compose      completions and replies
diagnose     which sessions are about to fail
adapter      a language model's small update
"""

import io
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from volition.canonical import canonical_json, digest
from volition.errors import ConflictError, InvalidInputError
from volition.progress import Progress
from volition.records.lake import Row

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
                raise ValueError(msg)  # noqa: TRY301 - told like every other fault of a file
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
            info.create_system = 3  # or the byte would tell on which system it was written
            archive.writestr(info, entry.getvalue())
    return buffer.getvalue()


def _arrays_from_bytes(data: bytes) -> dict[str, Array]:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in sorted(archive.files)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """How well a feature did on held-out units.

    Attributes:
        metric: Name of the measure, such as "NDCG@10"; higher is better.
        units: What was scored (a query, a meeting, a person), one name each.
        accounts: The account each unit belongs to, for resampling and figures by account.
        values: Shape (units,), float64.
        people: Whom each unit is about, by pseudonym, for figures by group; empty where a family does not say.
    """

    metric: str
    units: tuple[str, ...]
    accounts: tuple[str, ...]
    values: NDArray[np.float64]
    people: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuse scores that cannot be averaged.

        Raises:
            InvalidInputError: The lengths differ, or a value is not finite.
        """
        if not len(self.units) == len(self.accounts) == len(self.values):
            msg = f"{len(self.units)} units, {len(self.accounts)} accounts, {len(self.values)} values: need one each."
            raise InvalidInputError(msg)
        if self.people and len(self.people) != len(self.units):
            msg = f"{len(self.units)} units, and people for {len(self.people)}: need them for each unit, or for none."
            raise InvalidInputError(msg)
        if not np.isfinite(self.values).all():
            msg = f"A value of {self.metric} is not finite. Leave units out that cannot be scored."
            raise InvalidInputError(msg)


class Parts(Protocol):
    """Parts of long work that are already done, so that a killed training resumes where it was."""

    def get(self, name: str) -> Mapping[str, Array] | None:
        """Return a finished part, or none."""

    def put(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Keep a finished part under a name that says what went into it (see `part_name`)."""


class NoParts:
    """Keeps nothing: every run starts from the beginning."""

    def get(self, name: str) -> Mapping[str, Array] | None:  # noqa: ARG002 - the protocol's signature
        """Return none."""
        return None

    def put(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Keep nothing."""


class Family(Protocol):
    """One kind of model: how it learns, forgets and is measured.

    Rows come in any order; what is learnt depends on the set of rows alone (see `canonical_order`), never on the
    process, the time or the number of threads.
    """

    name: str
    purpose: str

    def fit(self, rows: Sequence[Row], *, parts: Parts, progress: Progress) -> Model:
        """Learn from permitted rows.

        Raises:
            InvalidInputError: The rows do not hold enough to learn from; the message says what to collect.
        """

    def forget(
        self, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts, progress: Progress
    ) -> Model:
        """Return the model without the rows that `after` lacks; its bytes equal those of `fit(after)`."""

    def holdout(self, rows: Sequence[Row], fold: int, folds: int) -> tuple[Sequence[Row], Sequence[Row]]:
        """Split rows into (known, held out) by whole units, the same way in every process."""

    def evaluate(self, model: Model | None, rows_known: Sequence[Row], rows_heldout: Sequence[Row]) -> Scores:
        """Score the feature on held-out rows; without a model, score the untrained form of the same feature."""


@runtime_checkable
class Subtracting(Protocol):
    """A family that forgets by subtraction, so that it need not see the rows of those for whom nothing changed."""

    def subtract(
        self,
        model: Model,
        *,
        before: Sequence[Row],
        after: Sequence[Row],
        accounts: Collection[str],
        progress: Progress,
    ) -> Model:
        """Return what `forget` returns, from less.

        Args:
            model: Fitted on all rows there were.
            before: Of those rows, all whose first person, in their account, lost a row since.
            after: Those of `before` that are left.
            accounts: Which accounts have any row left.
            progress: Told how far it has come.
        """


def canonical_order(rows: Iterable[Row]) -> list[Row]:
    """Return rows in the one order that families learn in: account, instant of collection, record id."""
    return sorted(rows, key=lambda row: (row.account, row.collected_us, row.record_id))


def fold_of(unit: str, folds: int) -> int:
    """Return the fold, from 0 to `folds` - 1, that a unit falls in: the same in every process and on every machine."""
    return int.from_bytes(sha256(unit.encode()).digest()[:8]) % folds


def part_name(stage: str, *content: bytes) -> str:
    """Name a finished part by its stage and the digest of all that went into it, so that a stale part is never used."""
    whole = sha256()
    for piece in content:
        whole.update(len(piece).to_bytes(8))
        whole.update(piece)
    return f"{stage}-{whole.hexdigest()[:32]}"
