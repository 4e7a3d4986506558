"""Authorization of the API's routes: which scope of a token and which roles a route is for, said where it is declared.

@routes.get("/v1/models")
def list_models(who: Annotated[Principal, requires(Scope.READ, Role.ENGINEER, Role.OPERATOR)]) -> ...: ...
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from volition.server.auth import PEOPLE, Principal, Role, Scope, check_guest
from volition.server.http_errors import FORBIDDEN, UNAUTHORIZED, HttpError
from volition.server.jobs import Jobs
from volition.workspace import Workspace

if TYPE_CHECKING:
    from volition.server.middleware import RequestContext


@dataclass(frozen=True, slots=True)
class Requirement:
    """The scope and the roles, any one of them, that a route requires, and what staff read by it (`server.reading`)."""

    scope: Scope
    roles: frozenset[Role]
    reads: str | None = None

    def __call__(self, request: Request) -> Principal:
        """Return who is asking.

        Raises:
            HttpError: Nobody has signed in, or somebody without the scope or without any of the roles.
        """
        context: RequestContext = request.scope["volition"]
        if context.who is None:
            raise HttpError(UNAUTHORIZED, "Send a token: Authorization: Bearer vol_...")
        if self.scope not in context.who.scopes or not context.who.is_any(self.roles):
            detail = f"This needs the scope {self.scope}, and one of the roles: {', '.join(sorted(self.roles))}."
            raise HttpError(FORBIDDEN, detail)
        return context.who


def requires(scope: Scope, *roles: Role, reads: str | None = None) -> Any:  # noqa: ANN401 - what `Annotated` takes
    """Say what a route requires; as a parameter's annotation it gives who is asking.

    Args:
        scope: The scope of a token.
        roles: The roles, any one of them.
        reads: What of people's data staff read by it; each route of theirs that shows something says so.
    """
    return Depends(Requirement(scope, frozenset(roles), reads))


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


def _borrow(request: Request) -> Iterator[Workspace]:
    context: RequestContext = request.scope["volition"]
    with request.app.state.workspaces.borrow() as workspace:
        if context.who is not None:
            check_guest(context.who, workspace.parties)
        yield workspace


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


WorkspaceDep = Annotated[Workspace, Depends(_borrow)]
"""As a parameter's annotation: a workspace, this request's alone."""

JobsDep = Annotated[Jobs, Depends(_jobs)]
"""As a parameter's annotation: the server's background jobs."""
