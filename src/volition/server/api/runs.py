"""Routes of the runs: background jobs, their progress, and starting a training."""

import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from volition.server.api.schemas import PathId, RunIn, RunOut
from volition.server.api.security import JobsDep, WorkspaceDep, requires
from volition.server.auth import STAFF, Principal, Role, Scope
from volition.server.jobs import Job, Jobs
from volition.server.reading import NOBODY

routes = APIRouter(prefix="/v1")


@routes.get("/runs", tags=["runs"])
def list_runs(
    _: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)],
    jobs: JobsDep,
) -> list[RunOut]:
    """List the background jobs of this server, oldest first."""
    return [run_out(job) for job in jobs.all()]


@routes.post("/runs", tags=["runs"], status_code=202)
def train(
    _: Annotated[Principal, requires(Scope.TRAIN, Role.ENGINEER, Role.OPERATOR)],
    jobs: JobsDep,
    workspace: WorkspaceDep,
    body: RunIn,
) -> RunOut:
    """Train a model; the run's result is the model's id."""
    workspace.models.family(body.family)
    if body.snapshot is not None:
        workspace.snapshots.open(body.snapshot)
    job = jobs.start(
        f"train {body.family}",
        lambda workspace, progress: workspace.models.train(body.family, body.snapshot, progress=progress).id,
    )
    return run_out(job)


@routes.get("/runs/{run}", tags=["runs"])
def show_run(_: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)], jobs: JobsDep, run: PathId) -> RunOut:
    """Return a run as it is now."""
    return run_out(jobs.job(run))


@routes.get(
    "/runs/{run}/events",
    tags=["runs"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
def follow_run(
    _: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)], jobs: JobsDep, run: PathId
) -> StreamingResponse:
    """Follow a run as server-sent events: its document at each change, until it is over."""
    jobs.job(run)
    return StreamingResponse(_events(jobs, run), media_type="text/event-stream")


def _events(jobs: Jobs, run: str) -> Iterator[str]:
    for job in jobs.follow(run):
        yield f"data: {json.dumps(job.to_json())}\n\n"


def run_out(job: Job) -> RunOut:
    """Return a job as the API shows it."""
    return RunOut(**job.to_json())
