"""Routes of the forgettings (machine unlearning): what models must forget, and carrying it out."""

from typing import Annotated, Any

from fastapi import APIRouter

from volition.server.api.runs import run_out
from volition.server.api.schemas import RunOut
from volition.server.api.security import JobsDep, WorkspaceDep, requires
from volition.server.auth import STAFF, Principal, Role, Scope
from volition.server.reading import note_named

routes = APIRouter(prefix="/v1")


@routes.get("/owed", tags=["forgettings"])
def list_owed(
    who: Annotated[Principal, requires(Scope.READ, *STAFF, reads="owed")],
    workspace: WorkspaceDep,
) -> list[dict[str, Any]]:
    """List every forgetting that is due, the earliest first."""
    found = [owed.to_json() for owed in workspace.models.owed()]
    note_named(workspace, who, "owed", found)
    return found


@routes.post("/forgettings", tags=["forgettings"], status_code=202)
def forget(
    _: Annotated[Principal, requires(Scope.TRAIN, Role.OPERATOR)],
    jobs: JobsDep,
) -> RunOut:
    """Carry out every forgetting that is due."""
    job = jobs.start(
        "forget",
        lambda workspace, progress: [
            {"model": done.model, "successor": done.successor, "rows": done.rows}
            for done in workspace.forgetting.forget(progress=progress)
        ],
    )
    return run_out(job)
