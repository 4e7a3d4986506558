"""Routes of weighing, before choosing: what a yes gives and costs, what a no turns off, what withdrawing does."""

from typing import Annotated

from fastapi import APIRouter, Query

from volition.errors import InvalidInputError
from volition.server.api.schemas import Id
from volition.server.api.security import WorkspaceDep, check_speaks_for, requires
from volition.server.auth import Principal, Role, Scope
from volition.server.reading import note_reading
from volition.transparency.weigh import Weighed

routes = APIRouter(prefix="/v1")


@routes.get("/weigh", tags=["weigh"])
def weigh(
    who: Annotated[Principal, requires(Scope.READ, Role.PERSON, Role.ADMINISTRATOR, Role.OPERATOR, reads="weigh")],
    workspace: WorkspaceDep,
    party: Annotated[
        Id | None, Query(description='"account:ID" or "person:ID"; by default the caller, the person first.')
    ] = None,
    purpose: Annotated[
        list[str] | None, Query(max_length=20, description="For which purposes; by default for all.")
    ] = None,
) -> Weighed:
    """Weigh: measured gains and risks with intervals, what a no turns off, which models would have to forget.

    Nothing is measured during the request: the figures are those of audits; what none measured says "not measured".
    """
    chosen = _own(who) if party is None else party
    check_speaks_for(who, chosen)
    weighed = workspace.weigh.party(chosen, purpose=purpose or None)
    if chosen.startswith("person:"):
        note_reading(workspace, who, "weigh", [chosen.removeprefix("person:")])
    return weighed


def _own(who: Principal) -> str:
    """Return the party that the caller answers for.

    Raises:
        InvalidInputError: There is none: an operator has to name the party.
    """
    if Role.PERSON in who.roles and who.person is not None:
        return f"person:{who.person}"
    if Role.ADMINISTRATOR in who.roles and who.account is not None:
        return f"account:{who.account}"
    raise InvalidInputError("Name the party to weigh for: party=account:ID or party=person:ID.")
