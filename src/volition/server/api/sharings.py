"""Routes of who may read: who can open a meeting, channel or file, and opening it to others or closing it again."""

from typing import Annotated

from fastapi import APIRouter, Query

from volition.canonical import us_to_text
from volition.errors import InvalidInputError
from volition.records.audience import ConversationKind
from volition.server.api.schemas import OpeningOut, ReadersOut, SharedOut, SharingIn
from volition.server.api.security import DecisionWorkspaceDep, WorkspaceDep, requires
from volition.server.auth import Principal, Role, Scope
from volition.server.http_errors import FORBIDDEN, HttpError

routes = APIRouter(prefix="/v1", tags=["sharings"])


@routes.get("/readers")
def show_readers(
    who: Annotated[Principal, requires(Scope.READ, Role.PERSON)],
    workspace: WorkspaceDep,
    kind: ConversationKind,
    name: Annotated[str, Query(min_length=1, max_length=1000)],
) -> ReadersOut:
    """Say who can open a conversation: all of them to somebody who was there; its other readers see who opened it."""
    account, person = _reader(who)
    readers = workspace.audiences.readers(name, kind=kind, account=account, person=person)
    openings = [
        OpeningOut(to=one.to.party, by=one.by.party, since=us_to_text(one.since_us) if one.since_us else None)
        for one in readers.openings
    ]
    return ReadersOut(was_there=readers.was_there, members=list(readers.members), openings=openings)


@routes.post("/sharings", status_code=201)
def share(
    who: Annotated[Principal, requires(Scope.DECIDE, Role.PERSON, Role.OPERATOR)],
    workspace: DecisionWorkspaceDep,
    body: SharingIn,
) -> SharedOut:
    """Open a conversation to people or to its account, or close it again."""
    if Role.PERSON in who.roles:
        account, by = _reader(who)
        if body.account not in {None, account}:
            raise HttpError(FORBIDDEN, "You can open conversations of your own account only.")
    elif body.account is not None:
        account, by = body.account, None
    else:
        raise InvalidInputError("Name the account whose conversation it is.")
    change = workspace.audiences.share if body.shared else workspace.audiences.unshare
    entry = change(
        body.name,
        kind=ConversationKind(body.kind),
        account=account,
        people=body.people,
        with_account=body.with_account,
        by=by,
    )
    return SharedOut(entry=None if entry is None else entry.seq)  # its body names people by pseudonyms


def _reader(who: Principal) -> tuple[str, str]:
    """Return the account and the person of somebody who reads; a guest reads the meetings that they were in alone."""
    if who.account is None or who.person is None or who.is_guest:
        raise HttpError(FORBIDDEN, "This is for a person of an account, and you are not signed in as one.")
    return who.account, who.person
