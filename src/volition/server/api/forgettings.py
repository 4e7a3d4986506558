"""Routes of the forgettings (machine unlearning): what models must forget, and carrying it out."""

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter

from volition.learning.forget import Owed
from volition.server.api.runs import run_out
from volition.server.api.schemas import Cursor, Limit, Listing, RunOut, paged
from volition.server.api.security import JobsDep, WorkspaceDep, requires
from volition.server.auth import STAFF, Principal, Role, Scope
from volition.server.entry_readers import people_in
from volition.server.reading import note_named

routes = APIRouter(prefix="/v1")


@routes.get("/owed", tags=["forgettings"])
def list_owed(
    who: Annotated[Principal, requires(Scope.READ, *STAFF, reads="owed")],
    workspace: WorkspaceDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[dict[str, Any]]:
    """List every forgetting that is due, the earliest first: accounts by name, of people how many and why."""
    page, following = paged(workspace.models.owed(), lambda owed: f"{owed.due_us:020d}/{owed.model}", cursor, limit)
    note_named(workspace, who, "owed", [owed.to_json() for owed in page])
    return Listing(items=[_without_people(owed) for owed in page], next=following)


@routes.post("/forgettings", tags=["forgettings"], status_code=202)
def forget(
    who: Annotated[Principal, requires(Scope.TRAIN, Role.OPERATOR, is_final=True)],
    jobs: JobsDep,
) -> RunOut:
    """Carry out every forgetting that is due."""
    return run_out(jobs.start("forget", by=who.acts_as, once=True))


def _without_people(owed: Owed) -> dict[str, Any]:
    """Return what is due as JSON; whose no it was is private, as on the console."""
    reasons = owed.to_json()["parties"]
    parties = {party: reason for party, reason in reasons.items() if not [*people_in(party)]}
    people = Counter(reason for party, reason in reasons.items() if party not in parties)
    return {**owed.to_json(), "parties": parties, "people": dict(sorted(people.items()))}
