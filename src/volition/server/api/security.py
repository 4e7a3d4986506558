"""Authorization of the API's routes: which scope of a token and which roles a route is for, said where it is declared.

@routes.get("/v1/models")
def list_models(who: Annotated[Principal, requires(Scope.READ, Role.ENGINEER, Role.OPERATOR)]) -> ...: ...
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from volition.server.auth import PEOPLE, Access, Principal, Role, Scope, check_guest
from volition.server.changes import ChangeWaiters
from volition.server.followers import Followers
from volition.server.http_errors import FORBIDDEN, UNAUTHORIZED, HttpError
from volition.server.jobs import Jobs
from volition.server.lanes import Lanes
from volition.workspace import Workspace
from volition.workspace.pool import Lane

if TYPE_CHECKING:
    from volition.server.middleware import RequestContext
    from volition.server.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a route requires.

    Attributes:
        scope: The scope of a token.
        roles: The roles, any one of them.
        reads: What of people's data staff read by it (`server.reading`).
        is_final: Whether it does what cannot be undone, so that whoever comes by a session, and showed long ago who
            they are, has to show it again.
    """

    scope: Scope
    roles: frozenset[Role]
    reads: str | None = None
    is_final: bool = False

    def __call__(self, request: Request) -> Principal:
        """Return who is asking.

        Raises:
            HttpError: Nobody has signed in, or somebody without the scope or without any of the roles; or they have to
                show again who they are.
        """
        context: RequestContext = request.scope["volition"]
        if context.who is None:
            raise HttpError(UNAUTHORIZED, "Send a token: Authorization: Bearer vol_...")
        if self.scope not in context.who.scopes or not context.who.is_any(self.roles):
            detail = f"This needs the scope {self.scope}, and one of the roles: {', '.join(sorted(self.roles))}."
            raise HttpError(FORBIDDEN, detail)
        if self.is_final and context.session is not None:
            access: Access = request.app.state.access
            settings: ServerSettings = request.app.state.settings
            if access.sessions.must_prove(context.session, after_minutes=settings.again_minutes):
                raise HttpError(FORBIDDEN, "This cannot be undone. Show again who you are first, at /sign-in/again.")
        return context.who


def requires(scope: Scope, *roles: Role, reads: str | None = None, is_final: bool = False) -> Any:  # noqa: ANN401 - what `Annotated` takes
    """Say what a route requires; as a parameter's annotation it gives who is asking.

    Args:
        scope: The scope of a token.
        roles: The roles, any one of them.
        reads: What of people's data staff read by it; each route of theirs that shows something says so.
        is_final: Whether it does what cannot be undone.
    """
    return Depends(Requirement(scope, frozenset(roles), reads, is_final))


ALL_ROLES = tuple(Role)


def check_speaks_for(who: Principal, party: str) -> None:
    """Check that somebody may answer for a party: a person for themselves, an administrator for the account.

    An operator may answer for any party, on its instruction.

    Raises:
        HttpError: They may not.
    """
    own = {f"person:{who.person}"} if who.is_any(PEOPLE) else set()
    if Role.ADMINISTRATOR in who.roles:
        own.add(f"account:{who.account}")
    if Role.OPERATOR not in who.roles and party not in own:
        raise HttpError(FORBIDDEN, f"You cannot answer for {party}.")


def check_is_person(who: Principal, person: str) -> None:
    """Check that somebody is the person whose data they ask for, or the operator who answers that person's request.

    Raises:
        HttpError: They are neither.
    """
    if who.person != person and Role.OPERATOR not in who.roles:
        raise HttpError(
            FORBIDDEN, "Only the person themselves may see this, or the operator who answers their request."
        )


@dataclass(frozen=True, slots=True)
class _Lent:
    """A workspace for one request, when its turn among those of its kind has come."""

    lane: Lane

    async def __call__(self, request: Request) -> AsyncIterator[Workspace]:
        context: RequestContext = request.scope["volition"]
        lanes: Lanes = request.app.state.lanes
        async with lanes.lent(self.lane) as workspace:
            if context.who is not None:
                check_guest(context.who, workspace.parties)
            yield workspace


def _lanes(request: Request) -> Lanes:
    lanes: Lanes = request.app.state.lanes
    return lanes


def _followers(request: Request) -> Followers:
    followers: Followers = request.app.state.followers
    return followers


def _change_waiters(request: Request) -> ChangeWaiters:
    waiters: ChangeWaiters = request.app.state.change_waiters
    return waiters


def _access(request: Request) -> Access:
    access: Access = request.app.state.access
    return access


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


# They come back before the answer is sent: a client that reads slowly holds none.
WorkspaceDep = Annotated[Workspace, Depends(_Lent(Lane.READING), scope="function")]
"""As a parameter's annotation: a workspace, this request's alone."""

DecisionWorkspaceDep = Annotated[Workspace, Depends(_Lent(Lane.DECISIONS), scope="function")]
"""Likewise, for what parties decide: no other work makes it wait."""

LanesDep = Annotated[Lanes, Depends(_lanes)]
"""As a parameter's annotation: the queues before the workspaces, for routes that do all their work in one turn."""

FollowersDep = Annotated[Followers, Depends(_followers)]
"""As a parameter's annotation: all who follow a background job of this server."""

ChangeWaitersDep = Annotated[ChangeWaiters, Depends(_change_waiters)]
"""As a parameter's annotation: all who wait for a change of this server's log."""

AccessDep = Annotated[Access, Depends(_access)]
"""As a parameter's annotation: who can come in."""

JobsDep = Annotated[Jobs, Depends(_jobs)]
"""As a parameter's annotation: the server's background jobs."""
