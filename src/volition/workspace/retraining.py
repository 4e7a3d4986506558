"""Training again: one snapshot gives one model, byte for byte, so whoever has both can check one by the other.

That a model learned from nothing but the rows of its snapshot follows from no signature: an operator could have trained
it on more. Training it again tells.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from volition.errors import DamagedError, InvalidInputError, ProofError
from volition.learning.families.family import Family
from volition.learning.families.model import Model
from volition.learning.grades import CALLER, Grade
from volition.learning.train import FolderParts, Trained, keep
from volition.progress import Progress, silent
from volition.records.lake import Row
from volition.workspace.models import Models
from volition.workspace.opened import Opened
from volition.workspace.snapshots import Snapshots

LOST: Final = "lost"
CHANGED: Final = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrained:
    """What training again gave.

    Attributes:
        model: The model's id.
        snapshot: What it learned from.
        digest: The digest that the ledger names.
        again: The digest of the model trained again.
        differing: Files that are not the same; empty where the model's own files cannot be compared.
        files: What became of the model's files: empty where they are whole, else `LOST` or `CHANGED`.
        is_restored: Whether the model trained again was put in their place.
        predicts_same: Whether the two differ in bytes and score the same on every unit, of a family that promises no
            more (`Grade.EXACT_PREDICTIONS`).
    """

    model: str
    snapshot: str
    digest: str
    again: str
    differing: tuple[str, ...] = ()
    files: str = ""
    is_restored: bool = False
    predicts_same: bool = False

    @property
    def is_same(self) -> bool:
        """Whether the snapshot gives the model that the ledger names, as far as its family promises."""
        return self.digest == self.again or self.predicts_same


class Retraining:
    """Trains models again."""

    def __init__(self, opened: Opened, snapshots: Snapshots, models: Models) -> None:
        """Take the opened folder, the snapshots, and the models that learned from them."""
        self._opened = opened
        self._snapshots = snapshots
        self._models = models

    def retrain(self, model: str, *, restore: bool = False, progress: Progress = silent) -> Retrained:
        """Train a model again from its snapshot, and compare. Killed, it is called again and goes on.

        It is a use of the records for the purpose that they were frozen for, so it asks as a training does.

        Args:
            model: Its id.
            restore: Put it back where its files are lost or changed, if it is the one that the ledger names.
            progress: Called with how far it has come.

        Raises:
            InvalidInputError: There is no such model, or the content of its snapshot is erased.
            RefusedError: It was forgotten, or somebody that it learned from has said no since.
        """
        named = [
            entry.body
            for entry in self._opened.history().events
            if entry.kind == "model" and entry.body["model"] == model
        ]
        if not named:
            raise InvalidInputError(f"There is no model {model!r}. `volition status` lists them.")
        body = named[0]
        if body.get("trained_by") == CALLER:
            raise InvalidInputError(f"Code of your own trained {model}: run it again, and compare the digests.")
        files, kept = "", None
        try:
            kept = self._models.open(model).model
        except ProofError:
            files = CHANGED
        except (DamagedError, InvalidInputError):
            files = LOST
        frozen = self._snapshots.open(body["snapshot"])
        self._models.check_fresh(frozen)
        run = self._opened.folder / "runs" / f"again-{body['family']}-{frozen.id}"
        rows = frozen.rows(self._opened.parties)
        family = self._models.family(body["family"])
        again = family.fit(rows, parts=FolderParts(run), progress=progress)
        self._models.check_fresh(frozen)
        shutil.rmtree(run, ignore_errors=True)
        is_restored = (
            bool(files) and restore and again.digest == body["digest"] and self._restore(model, again, frozen.id)
        )
        return Retrained(
            model=model,
            snapshot=frozen.id,
            digest=body["digest"],
            again=again.digest,
            differing=() if kept is None else _differing(kept, again),
            files=files,
            is_restored=is_restored,
            predicts_same=body.get("forgets") == Grade.EXACT_PREDICTIONS
            and kept is not None
            and again.digest != body["digest"]
            and _predict_same(family, kept, again, rows),
        )

    def _restore(self, model: str, again: Model, snapshot: str) -> bool:
        """Put a model in its place; findings that lie there are of other bytes and go."""
        shutil.rmtree(self._opened.folder / "models" / model, ignore_errors=True)
        restored: Trained = keep(again, self._snapshots.open(snapshot), models=self._opened.folder / "models")
        return restored.id == model


def _predict_same(family: Family, one: Model, other: Model, rows: Sequence[Row]) -> bool:
    """Return whether two models score the same on every unit of some rows, to the last bit."""
    known, held_out = family.holdout(rows, 0, 1)  # of one fold, the first holds out whatever can be
    first, second = (family.evaluate(model, known, held_out) for model in (one, other))
    return bool(first.units) and first.units == second.units and bool((first.values == second.values).all())


def _differing(one: Model, other: Model) -> tuple[str, ...]:
    first, second = one.files(), other.files()
    return tuple(name for name in sorted({*first, *second}) if first.get(name) != second.get(name))
