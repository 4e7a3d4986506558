"""Routes of the runs: background jobs, their progress, and starting a training."""

import json
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from volition.server.api.schemas import Cursor, Limit, Listing, PathId, RunIn, RunOut, paged
from volition.server.api.security import FollowersDep, JobsDep, WorkspaceDep, requires
from volition.server.auth import STAFF, Principal, Role, Scope
from volition.server.http_errors import FORBIDDEN, HttpError
from volition.server.jobs import Job
from volition.server.reading import NOBODY
from volition.server.work import may_cancel

routes = APIRouter(prefix="/v1")


@routes.get("/runs", tags=["runs"])
def list_runs(
    _: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)],
    jobs: JobsDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[RunOut]:
    """List the background jobs, oldest first; of those of a kind that are over, the newest thousand."""
    found = sorted(jobs.all(), key=_place)
    page, following = paged(found, _place, cursor, limit)
    return Listing(items=[run_out(job) for job in page], next=following)


def _place(job: Job) -> str:
    return f"{job.started_us:020d}/{job.id}"


@routes.post("/runs", tags=["runs"], status_code=202)
def train(
    who: Annotated[Principal, requires(Scope.TRAIN, Role.ENGINEER, Role.OPERATOR)],
    jobs: JobsDep,
    workspace: WorkspaceDep,
    body: RunIn,
) -> RunOut:
    """Train a model; the run's result is the model's id."""
    workspace.models.family(body.family)
    if body.snapshot is not None:
        workspace.snapshots.open(body.snapshot)
    payload = {} if body.snapshot is None else {"snapshot": body.snapshot}
    return run_out(jobs.start("train", body.family, payload=payload, by=who.acts_as))


@routes.get("/runs/{run}", tags=["runs"])
def show_run(_: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)], jobs: JobsDep, run: PathId) -> RunOut:
    """Return a run as it is now."""
    return run_out(jobs.job(run))


@routes.post("/runs/{run}/cancel", tags=["runs"], status_code=202)
def cancel_run(
    who: Annotated[Principal, requires(Scope.TRAIN, Role.ENGINEER, Role.OPERATOR)], jobs: JobsDep, run: PathId
) -> RunOut:
    """Have a run stop: at once where it waits, at its next step where it runs."""
    job = jobs.job(run)
    if not may_cancel(who, job):
        raise HttpError(FORBIDDEN, "Only an operator may cancel this.")
    return run_out(jobs.cancel(run))


@routes.get(
    "/runs/{run}/events",
    tags=["runs"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
def follow_run(
    _: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)],
    jobs: JobsDep,
    followers: FollowersDep,
    run: PathId,
) -> StreamingResponse:
    """Follow a run as server-sent events: its document at each change, until it is over."""
    jobs.job(run)
    events = followers.follow(run, _event)
    return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _event(job: Job) -> str:
    return f"data: {json.dumps(job.to_json())}\n\n"


def run_out(job: Job) -> RunOut:
    """Return a job as the API shows it."""
    return RunOut(**job.to_json())
