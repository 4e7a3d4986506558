"""Routes about what a person may ask for: what is held, all of it to take away, and how far their requests are."""

import tempfile
from collections.abc import Iterator
from typing import IO, Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse

from volition.server.api.security import ApiError, Lent, needs
from volition.server.auth import Role, Scope, Who
from volition.server.http_errors import FORBIDDEN
from volition.transparency.holdings import pieces

_Id = Annotated[str, Path(min_length=1, max_length=200)]

routes = APIRouter(prefix="/v1/people/{person}", tags=["rights"])


@routes.get("/holdings")
def show_holdings(
    who: Annotated[Who, needs(Scope.READ, Role.PERSON, Role.OPERATOR)], workspace: Lent, person: _Id
) -> dict[str, Any]:
    """Count what is held of a person by day and category, with what it was used for."""
    _check_own(who, person)
    return workspace.rights.holdings(person).to_json()


@routes.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def export(
    who: Annotated[Who, needs(Scope.READ, Role.PERSON, Role.OPERATOR)], workspace: Lent, person: _Id
) -> StreamingResponse:
    """Return all that is held of a person, as a zip of JSON and Parquet."""
    _check_own(who, person)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the last piece has left; it has no name
    try:
        workspace.rights.export(person, file)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    headers = {"content-disposition": 'attachment; filename="records.zip"'}
    return StreamingResponse(_closing(file), media_type="application/zip", headers=headers)


@routes.get("/requests")
def list_requests(
    who: Annotated[Who, needs(Scope.READ, Role.PERSON, Role.OPERATOR)], workspace: Lent, person: _Id
) -> list[dict[str, Any]]:
    """List every no of a person, the newest first, with the models that must forget for it, and by when."""
    _check_own(who, person)
    return [request.to_json() for request in workspace.rights.requests(workspace.party(f"person:{person}"))]


def _check_own(who: Who, person: str) -> None:
    if who.person != person and Role.OPERATOR not in who.roles:
        raise ApiError(FORBIDDEN, "This is for the person alone, or for the operator who answers their request.")


def _closing(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield from pieces(file)
