"""What each kind of background job does: one function a kind, from its run to a JSON value.

A worker that takes up a job whose worker died calls the function again, so each is written to be repeated: what takes
long keeps its own finished parts (see `learning.train`, `workspace.forgetting`), and what must not be done anew, such
as the snapshot that a training learns from, is a `step` of the run.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, Protocol

from volition.errors import BackendError, VolitionError
from volition.progress import Progress
from volition.server.auth import Principal, Role
from volition.server.jobs import Job, Jobs
from volition.workspace import Workspace
from volition.workspace.summaries import Asked

EVIDENCE_JOB: Final = "evidence"
EVIDENCE_FOLDER: Final = "evidence"
SUMMARY_JOB: Final = "write-summary"


class Run(Protocol):
    """A job that a worker has begun."""

    @property
    def subject(self) -> str:
        """What it is about, such as a family's name."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """What else was said of it."""

    @property
    def progress(self) -> Progress:
        """Tells how far it is; raises where the job is to stop."""

    def step(self, name: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - a JSON value
        """Return what a step gave: made now and kept, or as an earlier worker has kept it."""


Work = Callable[[Workspace, Run], Any]

_OF_ENGINEERS: Final = ("train", "snapshot", "audit")
"""What engineers have done, and may so have stopped."""


def may_cancel(who: Principal, job: Job) -> bool:
    """Say whether somebody may have a job stop: an operator any, an engineer what engineers may ask for."""
    return Role.OPERATOR in who.roles or (Role.ENGINEER in who.roles and job.kind in _OF_ENGINEERS)


def is_being_written(jobs: Jobs, asked: Asked) -> bool:
    """Say whether a summary waits to be written, or is being written."""
    return any(job.subject == asked.subject for job in jobs.all() if job.kind == SUMMARY_JOB and not job.is_over)


def start_summary(jobs: Jobs, asked: Asked, *, by: str) -> None:
    """Have a summary written that somebody asked for, unless it is being written already."""
    if not is_being_written(jobs, asked):
        payload = {"who": asked.who, "conversation": asked.conversation}
        jobs.start(SUMMARY_JOB, asked.subject, payload=payload, by=by)


def _train(workspace: Workspace, run: Run) -> str:
    """Train a family; without a snapshot from a new one, which a worker that takes the job up goes on with."""
    snapshot = run.payload.get("snapshot")
    if snapshot is None:
        purpose = workspace.models.family(run.subject).purpose
        snapshot = run.step("snapshot", lambda: workspace.snapshots.create(purpose, progress=run.progress).id)
    return workspace.models.train(run.subject, snapshot, progress=run.progress).id


def _snapshot(workspace: Workspace, run: Run) -> str:
    return workspace.snapshots.create(run.subject, progress=run.progress).id


def _audit(workspace: Workspace, run: Run) -> list[dict[str, Any]]:
    return [finding.to_json() for finding in workspace.models.audit(run.subject, progress=run.progress)]


def _forget(workspace: Workspace, run: Run) -> list[dict[str, Any]]:
    return [
        {"model": done.model, "successor": done.successor, "rows": done.rows}
        for done in workspace.forgetting.forget(progress=run.progress)
    ]


def _compact(workspace: Workspace, run: Run) -> dict[str, Any]:
    return asdict(workspace.records.compact(progress=run.progress))


def _index(workspace: Workspace, run: Run) -> int:
    """Make ready for search what is not; what was done before is kept, and not done again."""
    return workspace.features.index(progress=run.progress)


def _write_summary(workspace: Workspace, run: Run) -> None:
    """Write a summary that somebody asked for; parts that are done are kept with it, and not asked for again."""
    try:
        workspace.summaries.write_asked(Asked(**run.payload), progress=run.progress)
    except VolitionError as error:  # what the host answered may repeat what was sent, and stays with the summary
        raise BackendError("The summary could not be finished. The page of whoever asked for it says why.") from error


def _evidence(workspace: Workspace, _: Run) -> int:
    """Write the bundle of the log as it is now; the one before it goes."""
    folder = workspace.folder / EVIDENCE_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    aside = folder / "evidence.part"
    entries = workspace.proofs.bundle(aside)
    aside.replace(folder / f"evidence-{entries}.zip")
    for path in folder.glob("evidence-*.zip"):
        if path.name != f"evidence-{entries}.zip":
            path.unlink(missing_ok=True)
    return entries


KINDS: Final[Mapping[str, Work]] = {
    "train": _train,
    "snapshot": _snapshot,
    "audit": _audit,
    "forget": _forget,
    "compact": _compact,
    "index": _index,
    SUMMARY_JOB: _write_summary,
    EVIDENCE_JOB: _evidence,
}
"""What a job of each kind does."""
