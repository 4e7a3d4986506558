"""Routes of the decisions: a yes or a no of a party."""

from typing import Annotated

from fastapi import APIRouter

from volition.consent.claims import ClaimMapping
from volition.server.api.import_schemas import ClaimsIn, ImportOut, import_out
from volition.server.api.ledger import entry_out
from volition.server.api.schemas import Cursor, DecisionIn, EntryOut, Limit, Listing, paged
from volition.server.api.security import LanesDep, WorkspaceDep, check_speaks_for, requires
from volition.server.auth import PEOPLE, Principal, Role, Scope, check_guest
from volition.server.entry_readers import entry_reader
from volition.workspace import Workspace

routes = APIRouter(prefix="/v1")


@routes.post("/decisions", tags=["decisions"], status_code=201)
async def decide(
    who: Annotated[Principal, requires(Scope.DECIDE, *PEOPLE, Role.ADMINISTRATOR, Role.OPERATOR)],
    lanes: LanesDep,
    body: DecisionIn,
) -> EntryOut:
    """Record a yes or a no. When this returns, a no is in force everywhere; a yes is within 100 ms."""

    def said(workspace: Workspace) -> EntryOut:
        check_guest(who, workspace.parties)
        check_speaks_for(who, body.party)
        entry = workspace.consent.decide(
            body.party,
            yes=body.answer == "yes",
            data=body.data,
            purpose=body.purpose,
            covers=body.covers,
            until=body.until,
            via="api",
        )
        return entry_out(entry, entry_reader(who, workspace))

    return await lanes.decide(said)


@routes.post("/decisions:batch", tags=["decisions"])
async def import_decisions(
    _: Annotated[Principal, requires(Scope.DECIDE, Role.OPERATOR)], lanes: LanesDep, body: ClaimsIn
) -> ImportOut:
    """Import answers that were given elsewhere, each with when it was given; the same ones again change nothing.

    A yes reaches back to when it was given and no further; a no breaks off there. One that is not clear is set aside.
    """

    def imported(workspace: Workspace) -> ImportOut:
        rows = [one.model_dump(exclude_none=True) for one in body.decisions]
        return import_out(workspace.consent.import_(rows, ClaimMapping.plain(body.source), dry_run=body.dry_run))

    return await lanes.decide(imported)


@routes.get("/decisions", tags=["decisions"])
def list_decisions(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.ADMINISTRATOR)],
    workspace: WorkspaceDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[EntryOut]:
    """List one's own decisions, oldest first: a person's under each of their identities, or the account's."""
    if who.is_any(PEOPLE) and who.person is not None:
        found = [entry for entry in reversed(workspace.consent.answers(who.person)) if entry.kind == "decision"]
    else:
        party = workspace.party(f"account:{who.account}")
        found = [entry for entry in workspace.entries() if entry.kind == "decision" and entry.body["party"] == party]
    page, following = paged(found, lambda entry: f"{entry.seq:020d}", cursor, limit)
    reader = entry_reader(who, workspace)
    return Listing(items=[entry_out(entry, reader) for entry in page], next=following)
