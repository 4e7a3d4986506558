"""Routes of the parties: accounts and people."""

from typing import Annotated

from fastapi import APIRouter

from volition.consent.parties import Person
from volition.server.api.import_schemas import AccountsIn, ImportOut, PeopleIn, import_out
from volition.server.api.schemas import AccountIn, AccountOut, Cursor, Limit, Listing, PersonIn, PersonOut, paged
from volition.server.api.security import LanesDep, WorkspaceDep, requires
from volition.server.auth import STAFF, Principal, Role, Scope
from volition.server.reading import NOBODY, note_list
from volition.workspace import Workspace

routes = APIRouter(prefix="/v1")


@routes.get("/accounts", tags=["parties"])
def list_accounts(
    _: Annotated[Principal, requires(Scope.READ, *STAFF, reads=NOBODY)],
    workspace: WorkspaceDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[AccountOut]:
    """List the accounts, by id."""
    page, following = paged(workspace.parties.accounts(), lambda account: account.id, cursor, limit)
    items = [AccountOut(account=account.id, name=account.name, terms=_bound(workspace, account.id)) for account in page]
    return Listing(items=items, next=following)


@routes.post("/accounts", tags=["parties"], status_code=201)
def add_account(
    _: Annotated[Principal, requires(Scope.ADMIN, Role.OPERATOR)], workspace: WorkspaceDep, body: AccountIn
) -> AccountOut:
    """Add an account."""
    added = workspace.people.add_account(body.account, body.name, region=body.region)
    return AccountOut(account=added.id, name=added.name, terms=None)


@routes.post("/accounts:batch", tags=["parties"])
async def import_accounts(
    _: Annotated[Principal, requires(Scope.ADMIN, Role.OPERATOR)], lanes: LanesDep, body: AccountsIn
) -> ImportOut:
    """Add accounts, many at once; the same ones again change nothing. One that is there as another is set aside."""

    def imported(workspace: Workspace) -> ImportOut:
        rows = [one.model_dump(exclude_none=True) for one in body.accounts]
        return import_out(workspace.people.import_accounts(rows, {"id": "account"}, dry_run=body.dry_run))

    return await lanes.decide(imported)


@routes.get("/people", tags=["parties"])
def list_people(
    who: Annotated[Principal, requires(Scope.READ, Role.ADMINISTRATOR, Role.OPERATOR, reads="people")],
    workspace: WorkspaceDep,
    account: str | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[PersonOut]:
    """List people, by id; an administrator sees those of their own account."""
    chosen = account if Role.OPERATOR in who.roles else who.account
    page, following = paged(workspace.parties.people(chosen), lambda person: person.id, cursor, limit)
    note_list(workspace, who, "people", account=chosen, records=len(page))
    is_operator = Role.OPERATOR in who.roles
    return Listing(items=[_person(person, has_pseudonym=is_operator) for person in page], next=following)


@routes.post("/people", tags=["parties"], status_code=201)
def add_person(
    _: Annotated[Principal, requires(Scope.ADMIN, Role.OPERATOR)], workspace: WorkspaceDep, body: PersonIn
) -> PersonOut:
    """Add a person."""
    added = workspace.people.add_person(
        body.person,
        account=body.account,
        name=body.name,
        aliases=body.aliases,
        emails=body.emails,
        region=body.region,
    )
    return _person(added)


@routes.post("/people:batch", tags=["parties"])
async def import_people(
    _: Annotated[Principal, requires(Scope.ADMIN, Role.OPERATOR)], lanes: LanesDep, body: PeopleIn
) -> ImportOut:
    """Add people, many at once; the same ones again change nothing. One who is there as another is set aside."""

    def imported(workspace: Workspace) -> ImportOut:
        rows = [one.model_dump(exclude_none=True) for one in body.people]
        return import_out(workspace.people.import_people(rows, {"id": "person"}, dry_run=body.dry_run))

    return await lanes.decide(imported)


def _bound(workspace: Workspace, account: str) -> str | None:
    bound = [
        terms.id for start_us, terms in workspace.history().bindings.terms_of(account) if start_us <= workspace.now_us
    ]
    return bound[-1] if bound else None


def _person(person: Person, *, has_pseudonym: bool = True) -> PersonOut:
    pseudonym = person.pseudonym if has_pseudonym else None
    return PersonOut(person=person.id, account=person.account, name=person.name, pseudonym=pseudonym)
