"""Routes about an account's limits: what stands, and setting or lifting one."""

from typing import Annotated

from fastapi import APIRouter, Path

from volition.errors import InvalidInputError
from volition.server.api.record import check_speaks_for, entry_out
from volition.server.api.schemas import EntryOut, GroupOut, LimitIn
from volition.server.api.security import Lent, needs
from volition.server.auth import Role, Scope, Who

_Id = Annotated[str, Path(min_length=1, max_length=200)]

routes = APIRouter(prefix="/v1")


@routes.get("/accounts/{account}/limits", tags=["decisions"])
def list_limits(
    who: Annotated[Who, needs(Scope.READ, Role.ADMINISTRATOR, Role.OPERATOR)], workspace: Lent, account: _Id
) -> list[GroupOut]:
    """List the limits of an account that stand: its lock first, then its groups by name."""
    check_speaks_for(who, f"account:{account}")
    return [GroupOut.model_validate(group.to_json()) for group in workspace.consent.limits(account)]


@routes.post("/accounts/{account}/limits", tags=["decisions"], status_code=201)
def limit(
    who: Annotated[Who, needs(Scope.DECIDE, Role.ADMINISTRATOR, Role.OPERATOR)],
    workspace: Lent,
    account: _Id,
    asked: LimitIn,
) -> list[EntryOut]:
    """Limit a use for the account or a group of its people, or lift a limit. Every later answer anywhere knows it."""
    check_speaks_for(who, f"account:{account}")
    if (asked.switch is None) == (not asked.data and not asked.purpose):
        raise InvalidInputError("Name what to limit: either a switch, or data and purposes.")
    entries = workspace.consent.limit(
        account,
        switch=asked.switch,
        data=asked.data,
        purpose=asked.purpose,
        group=asked.group,
        people=asked.people,
        limited=asked.limited,
    )
    return [entry_out(entry) for entry in entries]
