"""What a route of the API needs: a scope of the token and one of some roles. Said once, where the route is declared.

@routes.get("/v1/models")
def models(who: Annotated[Who, needs(Scope.READ, Role.ENGINEER, Role.OPERATOR)]) -> ...: ...
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from volition.errors import VolitionError
from volition.server.api.problems import UNAUTHORIZED
from volition.server.auth import Role, Scope, Who
from volition.server.http_errors import FORBIDDEN, Failure
from volition.server.jobs import Jobs
from volition.workspace import Workspace

if TYPE_CHECKING:
    from volition.server.middleware import Asked


class ApiError(VolitionError):
    """A request that fails in a way of HTTP's own."""

    def __init__(self, failure: Failure, detail: str) -> None:
        """Say how it fails, and why."""
        super().__init__(detail)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Needs:
    """The scope and the roles, any one of them, that a route needs."""

    scope: Scope
    roles: frozenset[Role]

    def __call__(self, request: Request) -> Who:
        """Return who asks.

        Raises:
            ApiError: Nobody came in, or somebody for whom it is not.
        """
        asked: Asked = request.scope["volition"]
        if asked.who is None:
            raise ApiError(UNAUTHORIZED, "Send a token: Authorization: Bearer vol_...")
        if self.scope not in asked.who.scopes or not asked.who.is_any(self.roles):
            told = f"This needs the scope {self.scope}, and a role among: {', '.join(sorted(self.roles))}."
            raise ApiError(FORBIDDEN, told)
        return asked.who


def needs(scope: Scope, *roles: Role) -> Any:  # noqa: ANN401 - what `Annotated` takes
    """Say what a route needs; as a parameter's annotation it gives who asks."""
    return Depends(Needs(scope, frozenset(roles)))


ALL_ROLES = tuple(Role)
STAFF = (Role.ENGINEER, Role.AUDITOR, Role.OPERATOR)


def _lend(request: Request) -> Iterator[Workspace]:
    with request.app.state.workspaces.borrow() as workspace:
        yield workspace


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


Lent = Annotated[Workspace, Depends(_lend)]
"""As a parameter's annotation: a workspace, this request's alone."""

TheJobs = Annotated[Jobs, Depends(_jobs)]
"""As a parameter's annotation: the server's long work."""
