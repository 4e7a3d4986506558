"""Routes of recordings: whether an account keeps the sound of its recordings once they are transcribed."""

from typing import Annotated

from fastapi import APIRouter

from volition.server.api.schemas import KeepingIn, KeepingOut, PathId
from volition.server.api.security import WorkspaceDep, check_speaks_for, requires
from volition.server.auth import Principal, Role, Scope
from volition.server.reading import NOBODY

routes = APIRouter(prefix="/v1/accounts/{account}/recordings", tags=["recordings"])


@routes.get("")
def show_keeping(
    who: Annotated[Principal, requires(Scope.READ, Role.ADMINISTRATOR, Role.OPERATOR, reads=NOBODY)],
    workspace: WorkspaceDep,
    account: PathId,
) -> KeepingOut:
    """Say whether the sound of an account's recordings is kept once they are transcribed."""
    check_speaks_for(who, f"account:{account}")
    return KeepingOut(keep=workspace.recordings.keeps(account))


@routes.post("")
def choose_keeping(
    who: Annotated[Principal, requires(Scope.DECIDE, Role.ADMINISTRATOR, Role.OPERATOR)],
    workspace: WorkspaceDep,
    account: PathId,
    body: KeepingIn,
) -> KeepingOut:
    """Keep the sound of an account's recordings from now on, or no more; what was kept before stays."""
    check_speaks_for(who, f"account:{account}")
    workspace.recordings.keep(account, keeps=body.keep)
    return KeepingOut(keep=workspace.recordings.keeps(account))
