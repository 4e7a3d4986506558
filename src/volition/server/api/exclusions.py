"""Routes of conversations that were left out: which are, leaving one out of some uses, and taking it back in."""

from typing import Annotated

from fastapi import APIRouter

from volition.canonical import us_to_text
from volition.errors import InvalidInputError
from volition.server.api.schemas import (
    Cursor,
    ExcludedOut,
    ExclusionIn,
    LeftOutOut,
    Limit,
    Listing,
    newest_first,
    paged,
)
from volition.server.api.security import DecisionWorkspaceDep, WorkspaceDep, requires
from volition.server.auth import Principal, Role, Scope
from volition.server.http_errors import FORBIDDEN, HttpError

routes = APIRouter(prefix="/v1", tags=["exclusions"])


@routes.get("/exclusions")
def list_exclusions(
    who: Annotated[Principal, requires(Scope.READ, Role.PERSON, Role.GUEST, Role.ADMINISTRATOR)],
    workspace: WorkspaceDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[LeftOutOut]:
    """List what you have left out of your account's conversations; an administrator, what the account has."""
    account, by = _who(who, None)
    found = sorted(workspace.exclusions.of(account, by=by), key=lambda one: -one.seq)
    page, following = paged(found, lambda one: newest_first(one.seq), cursor, limit)
    items = [
        LeftOutOut(conversation=one.conversation, purposes=list(one.purposes), at=us_to_text(one.at_us), entry=one.seq)
        for one in page
    ]
    return Listing(items=items, next=following)


@routes.post("/exclusions", status_code=201)
def exclude(
    who: Annotated[Principal, requires(Scope.DECIDE, Role.PERSON, Role.GUEST, Role.ADMINISTRATOR, Role.OPERATOR)],
    workspace: DecisionWorkspaceDep,
    body: ExclusionIn,
) -> ExcludedOut:
    """Leave a conversation out of some uses, or of every use, or take it back in."""
    account, by = _who(who, body)
    entry = workspace.exclusions.exclude(
        body.name, account=account, by=by, purpose=body.purpose or (), excluded=body.excluded
    )
    left_out_of = workspace.exclusions.of_conversation(body.name, account=account, by=by)
    return ExcludedOut(entry=None if entry is None else entry.seq, left_out_of=list(left_out_of))


def _who(who: Principal, body: ExclusionIn | None) -> tuple[str, str | None]:
    """Return whose conversation it is, and the person who says it; none for the account.

    Somebody who is both a person and an administrator speaks for the account by naming it.
    """
    account = None if body is None else body.account
    if Role.OPERATOR in who.roles:
        if account is None:
            raise InvalidInputError("Name the account whose conversation it is.")
        return account, None
    if who.account is None or account not in {None, who.account}:
        raise HttpError(FORBIDDEN, "You can speak of conversations of your own account only.")
    if Role.ADMINISTRATOR in who.roles and (account is not None or who.person is None):
        return who.account, None
    if who.person is None or account is not None:
        raise HttpError(FORBIDDEN, "An administrator speaks for the account. Leave it away to speak for yourself.")
    return who.account, who.person
