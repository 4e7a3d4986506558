"""Documents: a release and a snapshot in the forms in which others expect them, one by one or as a folder to hand on.

Each is written when it is asked for, from what the ledger names and from the settings, so it is as new as they are.
A forgotten model is handed on no more.
"""

# ruff: noqa: PLC0415 - what writes documents is loaded where it is used

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from volition.errors import BackendError, InvalidInputError, ProofError, VolitionError
from volition.files import write_folder
from volition.learning.model_signature import verify_model_signature
from volition.learning.registry import ModelState
from volition.workspace.models import Models
from volition.workspace.opened import Opened, read_bytes
from volition.workspace.snapshots import Snapshots

if TYPE_CHECKING:
    from volition.learning.documents.facts import Earlier, Facts

CROISSANT: Final = "croissant.json"
_SIGNATURE: Final = ("model.sig", "model.pub")
_RELEASED: Final = ("card.json", "card.md", "attestation.json")


class Documents:
    """Writes what is handed on of a release or a snapshot."""

    def __init__(self, opened: Opened, models: Models, snapshots: Snapshots) -> None:
        """Take the opened folder, the models, and the snapshots that they learned from."""
        self._opened = opened
        self._models = models
        self._snapshots = snapshots

    def release(self, model: str, form: str) -> tuple[str, bytes]:
        """Return a document about a model's newest release, and the name of its file.

        Args:
            model: Its id.
            form: A name of `learning.documents.formats.FORMATS`.

        Raises:
            InvalidInputError: The model was never released, or was forgotten; or there is no such format.
            ProofError: The card is not the one that was released.
        """
        from volition.learning.documents.formats import FORMATS

        if form not in FORMATS:
            msg = f"There is no format {form!r}. The formats are: {', '.join(FORMATS)}."
            raise InvalidInputError(msg)
        return FORMATS[form].file, FORMATS[form].write(self._facts(model))

    def signature(self, model: str) -> Mapping[str, bytes]:
        """Return the signature of a released model's files and the key that it is by, as `model.sig` and `model.pub`.

        Raises:
            InvalidInputError: The model was never released, or was forgotten, or its release is of an early form.
            ProofError: It does not sign what was released.
        """
        card = json.loads(self._models.release_file(model, "card.json"))
        if "signing_key" not in card:
            msg = f"Model {model} was released before models were signed. Release it again: `volition release {model}`."
            raise InvalidInputError(msg)
        files = {name: read_bytes(self._opened.folder / "releases" / model / name) for name in _SIGNATURE}
        if files["model.pub"] != card["signing_key"].encode():
            raise ProofError(f"model.pub of model {model} is not the key that its card names. Restore it from a copy.")
        verify_model_signature(files["model.sig"], card["signing_key"], name=model, files=card["files"])
        return files

    def publish_model(self, model: str, folder: Path) -> list[str]:
        """Write a released model with its card, attestation, signature and every document into a new folder.

        Returns:
            The names of the files.

        Raises:
            InvalidInputError: The model was never released, or was forgotten; or the folder is there already.
            ProofError: A file is not the one that was released.
            BackendError: The disk is full or cannot be written; no folder appears.
        """
        from volition.learning.documents.formats import FORMATS

        files = {name: self._models.release_file(model, name) for name in _RELEASED}
        files |= self.signature(model)
        facts = self._facts(model)
        files |= {form.file: form.write(facts) for form in FORMATS.values()}
        files |= {f"model/{name}": data for name, data in self._models.open(model).model.files().items()}
        return _write(folder, files)

    def croissant(self, snapshot: str) -> bytes:
        """Return a snapshot's metadata as Croissant. Raises as `Snapshots.open` does."""
        from volition.records.croissant import croissant

        frozen = self._snapshots.open(snapshot)
        controller = self._opened.settings.controller
        return croissant(frozen.id, frozen.manifest, digest=frozen.digest, controller=controller)

    def publish_snapshot(self, snapshot: str, folder: Path) -> list[str]:
        """Write a snapshot with its metadata into a new folder; content stays encrypted under the accounts' keys.

        Returns:
            The names of the files.

        Raises:
            InvalidInputError: There is no such snapshot, its content was erased, or the folder is there already.
            ProofError: A file is not the one that was frozen.
            BackendError: The disk is full or cannot be written; no folder appears.
        """
        frozen = self._snapshots.open(snapshot)
        if not frozen.has_content:
            raise InvalidInputError(f"The content of snapshot {snapshot} was erased, so it is handed on no more.")
        frozen.check()
        names = ("manifest.json", *frozen.manifest["files"])
        files = {name: read_bytes(frozen.folder / name) for name in names}
        return _write(folder, {**files, CROISSANT: self.croissant(snapshot)})

    def _facts(self, model: str) -> "Facts":
        from volition.canonical import digest
        from volition.learning.documents.facts import Facts
        from volition.learning.families.installed import installed_families

        data = self._models.release_file(model, "card.json")
        card = json.loads(data)
        state = self._opened.models()[model]
        snapshot = self._snapshots.open(state.snapshot)
        first_us, last_us = snapshot.collected_between() or (None, None)
        version, earlier = self._place(state)
        return Facts(
            card=card,
            card_digest=digest(data),
            spec=installed_families().get(state.family),
            manifest=snapshot.manifest,
            first_us=first_us,
            last_us=last_us,
            origin=self._opened.verifier.name,
            controller=self._opened.settings.controller,
            version=version,
            earlier=earlier,
            due_days=self._opened.due_days,
        )

    def _place(self, state: ModelState) -> tuple[int, "Earlier | None"]:
        """Return the number of a model's newest release among its family's, and the one before it."""
        from volition.learning.documents.facts import Earlier

        models = self._opened.models()
        released = [
            entry.body["model"]
            for entry in self._opened.history().events
            if entry.kind == "release"
            and models[entry.body["model"]].family == state.family
            and entry.seq <= state.released_seq
        ]
        if len(released) == 1:
            return 1, None
        before = released[-2]
        try:
            card = None if before == state.id else self._models.card(before)
        except VolitionError:  # it is not kept any more: the document says so
            card = None
        return len(released), Earlier(model=before, card=card)


def _write(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    if folder.exists():
        raise InvalidInputError(f"{folder} is there already. Name a new folder.")
    try:
        write_folder(folder, files)
    except OSError as error:
        msg = f"{folder} could not be written: {error}. Nothing was published; free space or name another place."
        raise BackendError(msg) from error
    return sorted(files)
