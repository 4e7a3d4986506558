"""Models: a family learns from a snapshot, and audits tell what came of it.

A snapshot from which somebody has said no since is learnt from no more: that is asked before learning and after it,
before an audit, and by whoever measures with a model later.
"""

import json
import shutil
from typing import Final

from volition.canonical import canonical_json, us_to_text
from volition.errors import BackendError, InvalidInputError, RefusedError
from volition.files import write_file
from volition.learning.audit import Finding
from volition.learning.audit.groups import regions_on_record
from volition.learning.audit.run import run_audits
from volition.learning.families import Family, Progress, silent
from volition.learning.families.adapter import AdapterFamily
from volition.learning.families.compose import ComposeFamily
from volition.learning.families.diagnose import DiagnoseFamily
from volition.learning.families.recommend import Recommend
from volition.learning.families.search import SearchFamily
from volition.learning.families.summary import SummaryFamily
from volition.learning.release import check_fresh
from volition.learning.train import FolderParts, Trained, train
from volition.ledger.log import Draft
from volition.records.snapshot import Snapshot
from volition.workspace.selecting import Selecting
from volition.workspace.settings import SETTINGS_FILE

FAMILIES: Final = ("search", "recommend", "summary", "compose", "diagnose", "adapter")


class Learning(Selecting):
    """A workspace that trains models and audits them."""

    def families(self) -> dict[str, str]:
        """Return what can be trained here, and for which purpose each learns; adapters need a base that is named."""
        learns = {name: f"train/{name}" for name in FAMILIES if name != "adapter"}
        return learns if self._recipe is None else learns | {"adapter": AdapterFamily.purpose}

    def family(self, name: str) -> Family:
        """Return a family by its name.

        Raises:
            InvalidInputError: There is no such family.
        """
        match name:
            case "search":
                return SearchFamily(self.encoder())
            case "recommend":
                return Recommend()
            case "summary":
                return SummaryFamily()
            case "compose":
                return ComposeFamily()
            case "diagnose":
                return DiagnoseFamily()
            case "adapter":
                return self._adapter_family()
        msg = f"There is no family {name!r}. The families are: {', '.join(FAMILIES)}."
        raise InvalidInputError(msg)

    def _adapter_family(self) -> AdapterFamily:
        if self._recipe is None:
            msg = (
                f"No base model is named for adapters. Name one in {self.folder / SETTINGS_FILE}: [adapter] base = ..."
            )
            raise InvalidInputError(msg)
        if self._adapter is None:  # loading the base takes seconds
            secret = self.parties.derived_secret("adapter")
            self._adapter = AdapterFamily(self._recipe, folder=self.folder, secret=secret)
        return self._adapter

    def train(self, family: str, snapshot: str | None = None, *, progress: Progress = silent) -> Trained:
        """Train a model from a snapshot; by default from a new one.

        Killed, it is called again with the same snapshot and goes on where it stopped. A no that comes while it learns
        is asked about again when it has learnt: then there is no model, and the next forgetting erases what was made.

        Raises:
            InvalidInputError: There is no such family or snapshot, or it holds too little to learn from.
            RefusedError: Somebody in the snapshot has said no since it was frozen.
        """
        learner = self.family(family)
        frozen = self.snapshot(learner.purpose, progress=progress) if snapshot is None else self.open_snapshot(snapshot)
        self._check_fresh(frozen)
        trained = train(
            learner,
            frozen,
            parties=self.parties,
            models=self.folder / "models",
            runs=self.folder / "runs",
            progress=progress,
        )
        self._check_fresh(frozen)
        if trained.id not in self.models():
            self.ledger.append(self._model_draft(trained, frozen))
        return trained

    @staticmethod
    def _model_draft(trained: Trained, snapshot: Snapshot) -> Draft:
        body = {
            "model": trained.id,
            "family": trained.model.family,
            "snapshot": snapshot.id,
            "digest": trained.model.digest,
        }
        return Draft(kind="model", body=body)

    def open_model(self, model: str) -> Trained:
        """Open a trained model by its id.

        Raises:
            RefusedError: It was forgotten.
        """
        state = self.models().get(model)
        if state is not None and state.forgotten_us is not None:
            successor = f" {state.successor} took its place." if state.successor else ""
            msg = f"Model {model} was forgotten at {us_to_text(state.forgotten_us)} and is erased.{successor}"
            raise RefusedError(msg)
        return Trained.open(self.folder / "models" / model)

    def audit(self, model: str, *, progress: Progress = silent) -> list[Finding]:
        """Audit a model and keep the findings for its release.

        Raises:
            RefusedError: It was forgotten, or somebody that it learned from has said no since.
        """
        trained = self.open_model(model)
        snapshot = self.open_snapshot(trained.record["snapshot"])
        self._check_fresh(snapshot)
        return self._audit(trained, snapshot, progress)

    def _audit(self, trained: Trained, snapshot: Snapshot, progress: Progress) -> list[Finding]:
        rows = snapshot.rows(self.parties)
        run = self.folder / "runs" / f"audit-{trained.model.family}-{snapshot.id}"
        findings = run_audits(
            self.family(trained.model.family),
            rows,
            regions=regions_on_record(self.history(), rows, at_us=self.now_us),
            bounds=self.bounds,
            progress=progress,
            parts=FolderParts(run),
        )
        data = canonical_json([finding.to_json() for finding in findings])
        try:
            write_file(trained.folder / "findings.json", data)
        except OSError as error:
            msg = f"The findings could not be kept in {trained.folder}: {error}. Free space, then audit again."
            raise BackendError(msg) from error
        shutil.rmtree(run, ignore_errors=True)
        return findings

    def _check_fresh(self, snapshot: Snapshot) -> None:
        instead = f"Take a new one with `volition snapshot {snapshot.purpose}`."
        check_fresh(snapshot, self.permits(snapshot.purpose), what=f"Snapshot {snapshot.id}", instead=instead)

    def findings(self, trained: Trained) -> list[Finding]:
        """Return what the audits found of a model; nothing if it was not audited.

        Raises:
            InvalidInputError: What was kept cannot be read, or an earlier version kept it.
        """
        return self._findings(trained.id)

    def _findings(self, model: str) -> list[Finding]:
        path = self.folder / "models" / model / "findings.json"
        try:
            return [Finding.from_json(value) for value in json.loads(path.read_bytes())] if path.exists() else []
        except (ValueError, TypeError, InvalidInputError) as error:
            msg = f"{path} cannot be read: {error} Audit again: `volition audit {model}`."
            raise InvalidInputError(msg) from error
