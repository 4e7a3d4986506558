"""Training: a snapshot and a family make a model. Never a table: nothing is learned that the gate did not let through.

The same snapshot and family give the same model, byte for byte, so a model's name is a digest. Finished parts of long
work are kept in the run's folder as they are made; a killed training is started again and takes them up. When the
model is there, whole, the parts are removed.

    models/MODEL/model/        what was learnt: data only (see `families.model.Model`)
    models/MODEL/record.json   what it was learnt from
"""

import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from volition.canonical import canonical_json, digest
from volition.consent.parties import Parties
from volition.errors import BackendError, InvalidInputError, ProofError
from volition.files import write_file, write_folder
from volition.learning.families.family import Family
from volition.learning.families.model import Array, Model
from volition.learning.grades import FAMILY, Grade
from volition.ledger.entry import NewEntry
from volition.progress import Progress
from volition.records.snapshot import Snapshot

_NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model in its folder.

    Attributes:
        id: The model's name: its family and the beginning of its record's digest.
        folder: Where it lies.
        model: What was learnt.
        record: What it was learnt from, as a JSON object.
    """

    id: str
    folder: Path
    model: Model
    record: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Trained":
        """Open a trained model and check it against its record.

        Raises:
            InvalidInputError: There is no such model, or it was forgotten.
            ProofError: The model is not the one that was trained.
        """
        try:
            data = (folder / "record.json").read_bytes()
        except OSError as error:
            msg = (
                f"There is no model {folder.name!r}: never trained here, or forgotten. `volition status` lists models."
            )
            raise InvalidInputError(msg) from error
        changed = f"Model {folder.name} was changed after it was trained. Do not use it; train again."
        if not folder.name.endswith(f"-{digest(data)[:12]}"):
            raise ProofError(changed)
        record = json.loads(data)
        try:
            model = Model.load(folder / "model")
        except InvalidInputError as error:
            msg = f"{changed} ({error})"
            raise ProofError(msg) from error
        if model.digest != record["digest"]:
            raise ProofError(changed)
        return cls(id=folder.name, folder=folder, model=model, record=record)


class FolderParts:
    """Finished parts of a training run, one .npz file each, that survive a kill. Implements `families.family.Parts`."""

    def __init__(self, folder: Path) -> None:
        """Keep parts in `folder`, which is made with the first one."""
        self._folder = folder

    def get(self, name: str) -> Mapping[str, Array] | None:
        """Return a finished part; none where it is missing or cannot be read, and is made again."""
        try:
            with np.load(self._folder / f"{name}.npz", allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            return None

    def put(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Keep a finished part: whole, or not at all.

        Raises:
            BackendError: The disk is full or cannot be written.
        """
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **dict(arrays))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_file(self._folder / f"{name}.npz", buffer.getvalue())
        except OSError as error:
            msg = f"A part of the training could not be kept in {self._folder}: {error}. Free space, then train again."
            raise BackendError(msg) from error


def train(  # noqa: PLR0913 - what a training is made of
    family: Family, snapshot: Snapshot, *, parties: Parties, models: Path, runs: Path, progress: Progress
) -> Trained:
    """Train a family's model from a snapshot.

    Args:
        family: What to train.
        snapshot: What to learn from; frozen for the family's purpose.
        parties: Opens the snapshot's content.
        models: Folder of models; the new one becomes a folder in it.
        runs: Folder where finished parts are kept until the model is there.
        progress: Called with how far it has come.

    Raises:
        InvalidInputError: The snapshot was frozen for another purpose, or holds too little to learn from.
        RefusedError: An account in the snapshot was erased.
        BackendError: The disk is full or cannot be written; no model appears.
    """
    if snapshot.purpose != family.purpose:
        msg = (
            f"Snapshot {snapshot.id} was frozen for {snapshot.purpose}, and {family.name} learns for {family.purpose}. "
            f"Take one with `volition snapshot {family.purpose}`."
        )
        raise InvalidInputError(msg)
    run = runs / f"{family.name}-{snapshot.id}"
    model = family.fit(snapshot.rows(parties), parts=FolderParts(run), progress=progress)
    trained = keep(model, snapshot, models=models)
    shutil.rmtree(run, ignore_errors=True)
    return trained


def record_of(
    family: str, model_digest: str, snapshot: str, *, manifest: Mapping[str, Any], manifest_digest: str
) -> dict[str, Any]:
    """Return the record of a training: what was learnt, and from what. Everybody who has the manifest can make it."""
    return {
        "family": family,
        "purpose": manifest["purpose"],
        "snapshot": snapshot,
        "manifest": manifest_digest,
        "rows": sum(manifest["accounts"].values()),
        "people": manifest["people"]["size"],
        "accounts": dict(manifest["accounts"]),
        "digest": model_digest,
    }


def name_of(record: Mapping[str, Any]) -> str:
    """Return the name of the model of a training: its family and the beginning of its record's digest."""
    return f"{record['family']}-{digest(canonical_json(record))[:12]}"


def model_entry(trained: Trained, *, due_days: int, forgets: Grade, trained_by: str = FAMILY) -> NewEntry:
    """Return the entry that records a trained model, how it forgets, and within how many days after a no."""
    body: dict[str, Any] = {
        "model": trained.id,
        "family": trained.model.family,
        "snapshot": trained.record["snapshot"],
        "digest": trained.model.digest,
        "due_days": due_days,
        "forgets": forgets.value,
    }
    return NewEntry(kind="model", body=body if trained_by == FAMILY else body | {"trained_by": trained_by})


def keep(
    model: Model, snapshot: Snapshot, *, models: Path, besides: Mapping[str, bytes | memoryview] = _NOTHING
) -> Trained:
    """Put a model in its folder with the record of what it was learnt from, whole or not at all.

    Args:
        model: What was learnt.
        snapshot: From what.
        models: Folder of models.
        besides: Files to lie beside the model, by their names in its folder.

    Raises:
        BackendError: The disk is full or cannot be written.
    """
    record = record_of(
        model.family, model.digest, snapshot.id, manifest=snapshot.manifest, manifest_digest=snapshot.digest
    )
    data = canonical_json(record)
    folder = models / name_of(record)
    files = {**besides, **{f"model/{name}": content for name, content in model.files().items()}}
    try:
        write_folder(folder, files | {"record.json": data})
    except OSError as error:
        msg = f"The model could not be written to {folder}: {error}. Free space, then train again."
        raise BackendError(msg) from error
    return Trained(id=folder.name, folder=folder, model=model, record=record)
