"""Routes of a person's rights (data subject requests): what is held, an export, proofs, how far requests are."""

import tempfile
from collections.abc import Iterator
from typing import IO, Annotated, Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from volition.server.api.schemas import (
    AccessOut,
    Cursor,
    Limit,
    Listing,
    PathId,
    RequestOut,
    access_out,
    cursor_after,
    newest_first,
    paged,
    read_cursor,
)
from volition.server.api.security import ALL_ROLES, WorkspaceDep, check_is_person, requires
from volition.server.auth import PEOPLE, Principal, Role, Scope
from volition.server.reading import note_reading
from volition.transparency.holdings import pieces

routes = APIRouter(prefix="/v1/people/{person}", tags=["rights"])


@routes.get("/holdings")
def show_holdings(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.OPERATOR, reads="holdings")],
    workspace: WorkspaceDep,
    person: PathId,
) -> dict[str, Any]:
    """Count what is held about a person by day and category, with what it was used for."""
    check_is_person(who, person)
    found = workspace.rights.holdings(person)
    own, concerning = (sum(getattr(day, name) for day in found.days) for name in ("own", "concerning"))
    categories = [day.category for day in found.days]
    note_reading(workspace, who, "holdings", [person], records=own + concerning, categories=categories)
    return found.to_json()


@routes.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def export(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.OPERATOR, reads="export")],
    workspace: WorkspaceDep,
    person: PathId,
) -> StreamingResponse:
    """Return everything held about a person, as a zip file of JSON and Parquet."""
    check_is_person(who, person)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the last piece has left; it has no name
    try:
        done = workspace.rights.export(person, file)
        note_reading(workspace, who, "export", [person], records=done.own + done.concerning)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    headers = {"content-disposition": 'attachment; filename="records.zip"'}
    return StreamingResponse(_closing(file), media_type="application/zip", headers=headers)


@routes.get("/proofs")
def prove(
    who: Annotated[Principal, requires(Scope.READ, *ALL_ROLES, reads="proofs")], workspace: WorkspaceDep, person: PathId
) -> dict[str, Any]:
    """Prove for each model whether it learned from a person, with their receipts; `volition verify` checks it all."""
    check_is_person(who, person)
    evidence = workspace.proofs.evidence(person)
    note_reading(workspace, who, "proofs", [person], records=len(evidence["proofs"]) + len(evidence["receipts"]))
    return evidence


@routes.get("/collected")
def prove_collected(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.OPERATOR, reads="proofs")],
    workspace: WorkspaceDep,
    person: PathId,
    conversation: str | None = None,
    record: str | None = None,
) -> dict[str, Any]:
    """Prove what was recorded about a person, or of one conversation or record alone; `volition verify` checks it."""
    check_is_person(who, person)
    proof = workspace.proofs.collected(person, conversation=conversation, record=record)
    note_reading(workspace, who, "proofs", [person], records=sum(len(batch["leaves"]) for batch in proof["batches"]))
    return proof


@routes.get("/requests")
def list_requests(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.OPERATOR, reads="requests")],
    workspace: WorkspaceDep,
    person: PathId,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[RequestOut]:
    """List every no of a person, the newest first, with the models that must forget for it, and by when."""
    check_is_person(who, person)
    found = sorted(workspace.rights.requests(workspace.party(f"person:{person}")), key=lambda one: -one.seq)
    page, following = paged(found, lambda one: newest_first(one.seq), cursor, limit)
    note_reading(workspace, who, "requests", [person], records=len(page))
    return Listing(items=[RequestOut.model_validate(request.to_json()) for request in page], next=following)


@routes.get("/accesses")
def list_accesses(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.OPERATOR, reads="accesses")],
    workspace: WorkspaceDep,
    person: PathId,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[AccessOut]:
    """List who looked at a person's data and which features used it, the newest first.

    What features use today comes on top, on the first page, since it is still being counted.
    """
    check_is_person(who, person)
    before = None if cursor is None else read_cursor(cursor)
    found = workspace.accesses.of(person, before=before, limit=limit + 1)
    counted = [line for line in found if line.number is None]
    lines = [line for line in found if line.number is not None]
    page = lines[:limit]
    note_reading(workspace, who, "accesses", [person], records=len(counted) + len(page))
    return Listing(
        items=[access_out(line) for line in (*counted, *page)],
        next=cursor_after(page[-1].place) if len(lines) > limit else None,
    )


@routes.get("/accesses/{line}/proof")
def prove_access(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.OPERATOR, reads="accesses")],
    workspace: WorkspaceDep,
    person: PathId,
    line: PathId,
) -> dict[str, Any]:
    """Prove that somebody looked at a person's data, once that day is over; `volition verify` checks it."""
    check_is_person(who, person)
    proof = workspace.accesses.prove(person, line)
    note_reading(workspace, who, "accesses", [person])
    return proof


def _closing(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield from pieces(file)
