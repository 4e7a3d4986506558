"""Routes of an account's limits: which are in force, and setting or lifting one."""

from typing import Annotated

from fastapi import APIRouter

from volition.errors import InvalidInputError
from volition.server.api.ledger import entry_out
from volition.server.api.schemas import Cursor, EntryOut, GroupOut, Limit, LimitIn, Listing, PathId, paged
from volition.server.api.security import DecisionWorkspaceDep, WorkspaceDep, check_speaks_for, requires
from volition.server.auth import Principal, Role, Scope
from volition.server.entry_readers import entry_reader
from volition.server.reading import NOBODY

routes = APIRouter(prefix="/v1")


@routes.get("/accounts/{account}/limits", tags=["decisions"])
def list_limits(
    who: Annotated[Principal, requires(Scope.READ, Role.ADMINISTRATOR, Role.OPERATOR, reads=NOBODY)],
    workspace: WorkspaceDep,
    account: PathId,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[GroupOut]:
    """List the limits of an account that are in force: its lock first, then its groups by name."""
    check_speaks_for(who, f"account:{account}")
    found = workspace.consent.limits(account)
    page, following = paged(found, lambda group: f"={group.name}", cursor, limit)  # the lock has no name, but a cursor
    return Listing(items=[GroupOut.model_validate(group.to_json()) for group in page], next=following)


@routes.post("/accounts/{account}/limits", tags=["decisions"], status_code=201)
def limit(
    who: Annotated[Principal, requires(Scope.DECIDE, Role.ADMINISTRATOR, Role.OPERATOR)],
    workspace: DecisionWorkspaceDep,
    account: PathId,
    body: LimitIn,
) -> list[EntryOut]:
    """Limit a use for the account or a group of its people, or lift a limit. Every later answer heeds it."""
    check_speaks_for(who, f"account:{account}")
    if (body.switch is None) == (not body.data and not body.purpose):
        raise InvalidInputError("Name what to limit: either a switch, or data and purposes.")
    entries = workspace.consent.limit(
        account,
        switch=body.switch,
        data=body.data,
        purpose=body.purpose,
        group=body.group,
        people=body.people,
        limited=body.limited,
    )
    reader = entry_reader(who, workspace)
    return [entry_out(entry, reader) for entry in entries]
