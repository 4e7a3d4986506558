"""Routes of the models: what was trained, its audits, and its release."""

from typing import Annotated, Any

from fastapi import APIRouter

from volition.canonical import us_to_text
from volition.learning.registry import ModelState
from volition.server.api.runs import run_out
from volition.server.api.schemas import Cursor, Limit, Listing, ModelOut, PathId, RunOut, paged
from volition.server.api.security import JobsDep, WorkspaceDep, requires
from volition.server.auth import STAFF, Principal, Role, Scope
from volition.server.reading import NOBODY

routes = APIRouter(prefix="/v1")


@routes.get("/models", tags=["models"])
def list_models(
    _: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)],
    workspace: WorkspaceDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[ModelOut]:
    """List every model that was ever trained, in the order of their ids."""
    models = sorted(workspace.models.states().values(), key=lambda model: model.id)
    page, following = paged(models, lambda model: model.id, cursor, limit)
    return Listing(items=[_model(model) for model in page], next=following)


@routes.get("/models/{model}/findings", tags=["models"])
def show_findings(
    _: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)], workspace: WorkspaceDep, model: PathId
) -> list[dict[str, Any]]:
    """Return the findings of a model's audits; an empty list if it was not audited."""
    return [finding.to_json() for finding in workspace.models.findings(workspace.models.open(model))]


@routes.post("/models/{model}/audit", tags=["models"], status_code=202)
def audit(
    who: Annotated[Principal, requires(Scope.TRAIN, Role.ENGINEER, Role.OPERATOR)],
    jobs: JobsDep,
    workspace: WorkspaceDep,
    model: PathId,
) -> RunOut:
    """Audit a model; the run's result is the findings."""
    workspace.models.open(model)
    return run_out(jobs.start("audit", model, by=who.acts_as))


@routes.post("/models/{model}/release", tags=["models"], status_code=201)
def release(
    _: Annotated[Principal, requires(Scope.TRAIN, Role.OPERATOR, is_final=True)], workspace: WorkspaceDep, model: PathId
) -> dict[str, Any]:
    """Release a model, with a signed model card."""
    entry = workspace.models.release(model)
    return {"seq": entry.seq, "at": us_to_text(entry.at_us), **entry.body}


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
