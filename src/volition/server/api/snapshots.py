"""Routes of the snapshots: frozen training sets."""

from typing import Annotated, Any

from fastapi import APIRouter

from volition.server.api.runs import run_out
from volition.server.api.schemas import Cursor, Limit, Listing, PathId, RunOut, SnapshotIn, paged
from volition.server.api.security import JobsDep, WorkspaceDep, requires
from volition.server.auth import STAFF, Principal, Role, Scope
from volition.server.reading import NOBODY

routes = APIRouter(prefix="/v1")


@routes.get("/snapshots", tags=["snapshots"])
def list_snapshots(
    _: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)],
    workspace: WorkspaceDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[str]:
    """List the ids of every snapshot, in the order of their ids."""
    page, following = paged(sorted(set(workspace.snapshots.ids())), lambda snapshot: snapshot, cursor, limit)
    return Listing(items=page, next=following)


@routes.get("/snapshots/{snapshot}", tags=["snapshots"])
def show_snapshot(
    _: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)], workspace: WorkspaceDep, snapshot: PathId
) -> dict[str, Any]:
    """Return a snapshot's manifest: purpose, instant, checkpoint, counts by reason, digests."""
    return dict(workspace.snapshots.open(snapshot).manifest)


@routes.post("/snapshots", tags=["snapshots"], status_code=202)
def take_snapshot(
    who: Annotated[Principal, requires(Scope.TRAIN, Role.ENGINEER, Role.OPERATOR)],
    jobs: JobsDep,
    workspace: WorkspaceDep,
    body: SnapshotIn,
) -> RunOut:
    """Freeze what may be used for a purpose now; the run's result is the snapshot's id."""
    workspace.gate.permits(body.purpose)  # an unknown purpose is refused at once
    return run_out(jobs.start("snapshot", body.purpose, by=who.acts_as))
