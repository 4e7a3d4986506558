"""One step of a pipeline: a snapshot of what is permitted now, and a model of it in the ledger."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volition.canonical import us_to_text
from volition.errors import BackendError, ConflictError, RefusedError, VolitionError
from volition.records.snapshot import Snapshot
from volition.workspace import Workspace
from volition.workspace.training import Run


def may_pass(error: VolitionError) -> bool:
    """Say whether a step that failed so might not fail if it were tried again: nothing was refused, or wrong."""
    return isinstance(error, ConflictError | BackendError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a step has made.

    Attributes:
        model: The model's id.
        snapshot: What it learned from.
        manifest: SHA-256 of the snapshot's manifest, hexadecimal.
        rows: How many rows the snapshot has.
        dropped: How many rows were not permitted, by reason.
    """

    model: str
    snapshot: str
    manifest: str
    rows: int
    dropped: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object. It names no person and no account."""
        return {
            "model": self.model,
            "snapshot": self.snapshot,
            "manifest": self.manifest,
            "rows": self.rows,
            "dropped": dict(self.dropped),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """Freezes what is permitted, and trains from it.

    Attributes:
        workspace: The workspace's folder.
        name: What is trained: a model family, such as "search", or a training of your own, such as "churn".
        purpose: What the rows are used for; for a family its own.
        train: A training of your own: called with its run, whose rows it reads and into whose folder it writes. None
            for a family.
        held_out: One in how many people is kept from a training of your own, to measure by; 0 for nobody.
    """

    workspace: str | Path
    name: str
    purpose: str
    train: Callable[[Run], None] | None = None
    held_out: int = 0

    def run(self) -> Made:
        """Do it now.

        Raises:
            RefusedError: A model of the name owes a forgetting, nothing is permitted for the purpose, or somebody said
                no meanwhile. There is no model.
            VolitionError: It failed as a snapshot or a training does; there is no model.
        """
        with Workspace.open(Path(self.workspace)) as workspace:
            self._check_owes_nothing(workspace)
            snapshot = workspace.snapshots.create(self.purpose)
            rows, dropped = _counted(snapshot)
            if not rows:
                why = (
                    ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
                    or "nothing was collected"
                )
                raise RefusedError(f"Nothing may be used for {self.purpose}: {why}.")
            return Made(
                model=self._trained(workspace, snapshot),
                snapshot=snapshot.id,
                manifest=snapshot.digest,
                rows=rows,
                dropped=dropped,
            )

    def _check_owes_nothing(self, workspace: Workspace) -> None:
        """Refuse to train beside a model that has not forgotten what it must: it is to forget first."""
        for owed in workspace.models.owed():
            if owed.family == self.name:
                raise RefusedError(
                    f"Model {owed.model} owes a forgetting of {owed.rows} rows, due {us_to_text(owed.due_us)}. Run "
                    f"`volition forget` first.{f' {owed.blocked}' if owed.blocked else ''}"
                )

    def _trained(self, workspace: Workspace, snapshot: Snapshot) -> str:
        if self.train is None:
            return workspace.models.train(self.name, snapshot.id).id
        with workspace.models.training(self.name, snapshot=snapshot.id, held_out=self.held_out) as run:
            self.train(run)
        return str(run.model)


def _counted(snapshot: Snapshot) -> tuple[int, dict[str, int]]:
    """Return how many rows a snapshot has, and how many were not permitted, by reason."""
    dropped: Counter[str] = Counter()
    for told in snapshot.manifest["rows"].values():
        dropped.update(told["dropped"])
    return sum(told["kept"] for told in snapshot.manifest["rows"].values()), dict(dropped)
