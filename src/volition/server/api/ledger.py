"""Routes of the ledger: its entries, its checkpoint, proofs of entries, and whether it has only grown since one."""

from typing import Annotated

from fastapi import APIRouter, Path

from volition.canonical import us_to_text, whole_number
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry
from volition.server.api.schemas import (
    CheckpointOut,
    ConsistencyIn,
    ConsistencyOut,
    Cursor,
    EntryOut,
    Limit,
    Listing,
    ProofOut,
    cursor_after,
    read_cursor,
)
from volition.server.api.security import ALL_ROLES, WorkspaceDep, requires
from volition.server.auth import Principal, Role, Scope
from volition.server.entry_readers import EntryReader, entry_reader, shown
from volition.server.http_errors import NOT_FOUND, HttpError
from volition.server.log_proofs import grown_since, inclusion
from volition.server.reading import NOBODY, note_named

routes = APIRouter(prefix="/v1")


@routes.get("/entries", tags=["ledger"])
def list_entries(
    who: Annotated[Principal, requires(Scope.READ, Role.AUDITOR, Role.OPERATOR, reads="entries")],
    workspace: WorkspaceDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[EntryOut]:
    """List the ledger, oldest first; what belongs to one person without its content."""
    start = 0 if cursor is None else _position(cursor)
    size = workspace.ledger.size
    page = list(workspace.ledger.entries(min(start, size), min(start + limit, size)))
    end = start + len(page)
    note_named(workspace, who, "entries", (entry.body for entry in page))
    reader = entry_reader(who, workspace)
    items = [entry_out(entry, reader) for entry in page]
    return Listing(items=items, next=cursor_after(str(end)) if end < size else None)


@routes.get("/checkpoint", tags=["ledger"])
def checkpoint(
    _: Annotated[Principal, requires(Scope.READ, *ALL_ROLES, reads=NOBODY)],
    workspace: WorkspaceDep,
) -> CheckpointOut:
    """Return the ledger's signed size and root, and the key that checks it."""
    return CheckpointOut(checkpoint=workspace.log.cosigned(), key=workspace.verifier.to_text())


@routes.post("/consistency", tags=["ledger"])
def prove_consistency(
    who: Annotated[Principal, requires(Scope.READ, *ALL_ROLES, reads=NOBODY)],
    workspace: WorkspaceDep,
    body: ConsistencyIn,
) -> ConsistencyOut:
    """Say whether the ledger has only grown since a checkpoint that the caller kept, and prove it."""
    found = grown_since(body.checkpoint, workspace, entry_reader(who, workspace))
    detail = " ".join(filter(None, [found.says, found.why_none]))
    return ConsistencyOut(holds=found.holds, detail=detail, old=found.old_size, new=found.new_size, proof=found.proof)


@routes.get("/entries/{seq}/proof", tags=["ledger"])
def prove_entry(
    who: Annotated[Principal, requires(Scope.READ, *ALL_ROLES, reads=NOBODY)],
    workspace: WorkspaceDep,
    seq: Annotated[int, Path(ge=0, le=2**53)],
) -> ProofOut:
    """Prove that an entry is in the ledger, to those who may read it."""
    size = workspace.ledger.size
    if seq >= size:
        raise HttpError(NOT_FOUND, f"The ledger has {size:,} entries; there is none with number {seq}.")
    [entry] = workspace.ledger.entries(seq, seq + 1)
    proof = inclusion(workspace, entry_reader(who, workspace), entry)
    return ProofOut(seq=seq, leaf=proof["leaf"], hashes=proof["proof"], checkpoint=proof["checkpoint"])


def entry_out(entry: Entry, reader: EntryReader) -> EntryOut:
    """Return a ledger entry as the API shows it to somebody."""
    what = shown(reader, entry)
    return EntryOut(
        seq=entry.seq,
        at=us_to_text(entry.at_us),
        kind=entry.kind,
        leaf=entry.leaf_hash.hex(),
        body=what.body,
        salt=what.salt,
    )


def _position(cursor: str) -> int:
    position = whole_number(read_cursor(cursor))
    if position is None:
        raise InvalidInputError("This cursor is not one that the server returned. Start again without a cursor.")
    return position
