"""Routes of a person's rights (data subject requests): what is held, an export, proofs, how far requests are."""

import tempfile
from collections.abc import Iterator
from typing import IO, Annotated, Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from volition.server.api.schemas import PathId
from volition.server.api.security import ALL_ROLES, WorkspaceDep, check_is_person, requires
from volition.server.auth import PEOPLE, Principal, Role, Scope
from volition.transparency.holdings import pieces

routes = APIRouter(prefix="/v1/people/{person}", tags=["rights"])


@routes.get("/holdings")
def show_holdings(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.OPERATOR)], workspace: WorkspaceDep, person: PathId
) -> dict[str, Any]:
    """Count what is held about a person by day and category, with what it was used for."""
    check_is_person(who, person)
    return workspace.rights.holdings(person).to_json()


@routes.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def export(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.OPERATOR)], workspace: WorkspaceDep, person: PathId
) -> StreamingResponse:
    """Return everything held about a person, as a zip file of JSON and Parquet."""
    check_is_person(who, person)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the last piece has left; it has no name
    try:
        workspace.rights.export(person, file)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    headers = {"content-disposition": 'attachment; filename="records.zip"'}
    return StreamingResponse(_closing(file), media_type="application/zip", headers=headers)


@routes.get("/proofs")
def prove(
    who: Annotated[Principal, requires(Scope.READ, *ALL_ROLES)], workspace: WorkspaceDep, person: PathId
) -> dict[str, Any]:
    """Prove for each model whether it learned from a person, with their receipts; `volition verify` checks it all."""
    check_is_person(who, person)
    return workspace.proofs.evidence(person)


@routes.get("/collected")
def prove_collected(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.OPERATOR)],
    workspace: WorkspaceDep,
    person: PathId,
    conversation: str | None = None,
    record: str | None = None,
) -> dict[str, Any]:
    """Prove what was recorded about a person, or of one conversation or record alone; `volition verify` checks it."""
    check_is_person(who, person)
    return workspace.proofs.collected(person, conversation=conversation, record=record)


@routes.get("/requests")
def list_requests(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.OPERATOR)], workspace: WorkspaceDep, person: PathId
) -> list[dict[str, Any]]:
    """List every no of a person, the newest first, with the models that must forget for it, and by when."""
    check_is_person(who, person)
    return [request.to_json() for request in workspace.rights.requests(workspace.party(f"person:{person}"))]


def _closing(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield from pieces(file)
