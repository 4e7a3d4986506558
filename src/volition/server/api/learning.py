"""Routes about what is learned and forgotten: snapshots, runs with their progress, models, proofs, forgettings."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse

from volition.canonical import us_to_text
from volition.learning.registry import ModelState
from volition.server.api.schemas import Cursor, Limit, Listing, ModelOut, RunIn, RunOut, SnapshotIn, paged
from volition.server.api.security import ALL_ROLES, STAFF, ApiError, Lent, TheJobs, needs
from volition.server.auth import Role, Scope, Who
from volition.server.http_errors import FORBIDDEN
from volition.server.jobs import Job, Jobs

_Id = Annotated[str, Path(min_length=1, max_length=200)]


routes = APIRouter(prefix="/v1")


@routes.get("/snapshots", tags=["snapshots"])
def list_snapshots(
    _: Annotated[Who, needs(Scope.READ, *STAFF)], workspace: Lent, cursor: Cursor = None, limit: Limit = 100
) -> Listing[str]:
    """List the ids of every snapshot, in the order of their ids."""
    page, following = paged(sorted(set(workspace.snapshots.ids())), lambda snapshot: snapshot, cursor, limit)
    return Listing(items=page, next=following)


@routes.get("/snapshots/{snapshot}", tags=["snapshots"])
def show_snapshot(_: Annotated[Who, needs(Scope.READ, *STAFF)], workspace: Lent, snapshot: _Id) -> dict[str, Any]:
    """Return a snapshot's manifest: purpose, instant, checkpoint, counts by reason, digests."""
    return dict(workspace.snapshots.open(snapshot).manifest)


@routes.post("/snapshots", tags=["snapshots"], status_code=202)
def take_snapshot(
    _: Annotated[Who, needs(Scope.TRAIN, Role.ENGINEER, Role.OPERATOR)],
    jobs: TheJobs,
    workspace: Lent,
    asked: SnapshotIn,
) -> RunOut:
    """Freeze what may be used for a purpose now; the run's result is the snapshot's id."""
    workspace.gate.permits(asked.purpose)  # an unknown purpose is told at once
    job = jobs.start(
        f"snapshot {asked.purpose}",
        lambda workspace, progress: workspace.snapshots.create(asked.purpose, progress=progress).id,
    )
    return _run(job)


@routes.get("/runs", tags=["runs"])
def list_runs(
    _: Annotated[Who, needs(Scope.READ, *STAFF)],
    jobs: TheJobs,
) -> list[RunOut]:
    """List the long work of this server, oldest first."""
    return [_run(job) for job in jobs.all()]


@routes.post("/runs", tags=["runs"], status_code=202)
def train(
    _: Annotated[Who, needs(Scope.TRAIN, Role.ENGINEER, Role.OPERATOR)], jobs: TheJobs, workspace: Lent, asked: RunIn
) -> RunOut:
    """Train a model; the run's result is the model's id."""
    workspace.models.family(asked.family)
    if asked.snapshot is not None:
        workspace.snapshots.open(asked.snapshot)
    job = jobs.start(
        f"train {asked.family}",
        lambda workspace, progress: workspace.models.train(asked.family, asked.snapshot, progress=progress).id,
    )
    return _run(job)


@routes.get("/runs/{run}", tags=["runs"])
def show_run(_: Annotated[Who, needs(Scope.READ, *STAFF)], jobs: TheJobs, run: _Id) -> RunOut:
    """Return a run as it is now."""
    return _run(jobs.job(run))


@routes.get(
    "/runs/{run}/events",
    tags=["runs"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
def follow_run(_: Annotated[Who, needs(Scope.READ, *STAFF)], jobs: TheJobs, run: _Id) -> StreamingResponse:
    """Follow a run as server-sent events: its document at each change, until it is over."""
    jobs.job(run)
    return StreamingResponse(_events(jobs, run), media_type="text/event-stream")


@routes.get("/models", tags=["models"])
def list_models(
    _: Annotated[Who, needs(Scope.READ, *STAFF)], workspace: Lent, cursor: Cursor = None, limit: Limit = 100
) -> Listing[ModelOut]:
    """List every model that was ever trained, in the order of their ids."""
    models = sorted(workspace.models.states().values(), key=lambda model: model.id)
    page, following = paged(models, lambda model: model.id, cursor, limit)
    return Listing(items=[_model(model) for model in page], next=following)


@routes.get("/models/{model}/findings", tags=["models"])
def show_findings(_: Annotated[Who, needs(Scope.READ, *STAFF)], workspace: Lent, model: _Id) -> list[dict[str, Any]]:
    """Return what the audits found of a model; nothing if it was not audited."""
    return [finding.to_json() for finding in workspace.models.findings(workspace.models.open(model))]


@routes.post("/models/{model}/audit", tags=["models"], status_code=202)
def audit(
    _: Annotated[Who, needs(Scope.TRAIN, Role.ENGINEER, Role.OPERATOR)], jobs: TheJobs, workspace: Lent, model: _Id
) -> RunOut:
    """Audit a model; the run's result is the findings."""
    workspace.models.open(model)
    job = jobs.start(
        f"audit {model}",
        lambda workspace, progress: [one.to_json() for one in workspace.models.audit(model, progress=progress)],
    )
    return _run(job)


@routes.post("/models/{model}/release", tags=["models"], status_code=201)
def release(_: Annotated[Who, needs(Scope.TRAIN, Role.OPERATOR)], workspace: Lent, model: _Id) -> dict[str, Any]:
    """Put a model to work, with a signed card."""
    entry = workspace.models.release(model)
    return {"seq": entry.seq, "at": us_to_text(entry.at_us), **entry.body}


@routes.get("/people/{person}/proofs", tags=["proofs"])
def prove(who: Annotated[Who, needs(Scope.READ, *ALL_ROLES)], workspace: Lent, person: _Id) -> dict[str, Any]:
    """Prove for each model whether it learned from a person, with their receipts: `volition verify` checks all."""
    if who.person != person and Role.OPERATOR not in who.roles:
        raise ApiError(FORBIDDEN, "These are proofs for the person alone, or for the operator who hands them on.")
    return workspace.proofs.evidence(person)


@routes.get("/owed", tags=["forgettings"])
def list_owed(
    _: Annotated[Who, needs(Scope.READ, *STAFF)],
    workspace: Lent,
) -> list[dict[str, Any]]:
    """List every forgetting that a model owes, the earliest due first."""
    return [owed.to_json() for owed in workspace.models.owed()]


@routes.post("/forgettings", tags=["forgettings"], status_code=202)
def forget(
    _: Annotated[Who, needs(Scope.TRAIN, Role.OPERATOR)],
    jobs: TheJobs,
) -> RunOut:
    """Do every forgetting that is owed."""
    job = jobs.start(
        "forget",
        lambda workspace, progress: [
            {"model": done.model, "successor": done.successor, "rows": done.rows}
            for done in workspace.forgetting.forget(progress=progress)
        ],
    )
    return _run(job)


def _events(jobs: Jobs, run: str) -> Iterator[str]:
    for job in jobs.follow(run):
        yield f"data: {json.dumps(job.to_json())}\n\n"


def _run(job: Job) -> RunOut:
    return RunOut(**job.to_json())


def _model(state: ModelState) -> ModelOut:
    return ModelOut(
        model=state.id,
        family=state.family,
        snapshot=state.snapshot,
        trained=us_to_text(state.trained_us),
        released=None if state.released_us is None else us_to_text(state.released_us),
        forgotten=None if state.forgotten_us is None else us_to_text(state.forgotten_us),
        successor=state.successor,
    )
