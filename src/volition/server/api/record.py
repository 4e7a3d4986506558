"""Routes about who there is and what was said: terms, accounts, people, decisions, the ledger and its proofs."""

from typing import Annotated

from fastapi import APIRouter, Path

from volition.canonical import us_to_text
from volition.consent.parties import Person
from volition.consent.terms.model import Terms
from volition.consent.terms.terms_file import load_profile
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry
from volition.server.api.problems import NOT_FOUND
from volition.server.api.schemas import (
    AcceptanceIn,
    AccountIn,
    AccountOut,
    CheckpointOut,
    Cursor,
    DecisionIn,
    EntryOut,
    Limit,
    Listing,
    PersonIn,
    PersonOut,
    ProofOut,
    TermsIn,
    TermsOut,
    cursor_after,
    paged,
    read_cursor,
)
from volition.server.api.security import ALL_ROLES, STAFF, ApiError, Lent, needs
from volition.server.auth import Role, Scope, Who
from volition.server.http_errors import FORBIDDEN
from volition.workspace import Workspace

_Id = Annotated[str, Path(min_length=1, max_length=200)]


routes = APIRouter(prefix="/v1")


@routes.get("/terms", tags=["terms"])
def list_terms(
    _: Annotated[Who, needs(Scope.READ, *ALL_ROLES)],
    workspace: Lent,
) -> list[TermsOut]:
    """List every published version, oldest first."""
    return [_terms(terms, workspace.terms.text(terms)) for terms in workspace.terms.published()]


@routes.post("/terms", tags=["terms"], status_code=201)
def publish_terms(_: Annotated[Who, needs(Scope.ADMIN, Role.OPERATOR)], workspace: Lent, asked: TermsIn) -> EntryOut:
    """Publish a version. What newly allows something is announced and binds after its notice period."""
    return entry_out(workspace.terms.publish(load_profile(asked.profile)))


@routes.get("/accounts", tags=["parties"])
def list_accounts(
    _: Annotated[Who, needs(Scope.READ, *STAFF)], workspace: Lent, cursor: Cursor = None, limit: Limit = 100
) -> Listing[AccountOut]:
    """List the accounts, by id."""
    page, following = paged(workspace.parties.accounts(), lambda account: account.id, cursor, limit)
    items = [AccountOut(account=account.id, name=account.name, terms=_bound(workspace, account.id)) for account in page]
    return Listing(items=items, next=following)


@routes.post("/accounts", tags=["parties"], status_code=201)
def add_account(_: Annotated[Who, needs(Scope.ADMIN, Role.OPERATOR)], workspace: Lent, asked: AccountIn) -> AccountOut:
    """Add an account."""
    added = workspace.people.add_account(asked.account, asked.name, region=asked.region)
    return AccountOut(account=added.id, name=added.name, terms=None)


@routes.post("/accounts/{account}/acceptance", tags=["terms"], status_code=201)
def accept(
    who: Annotated[Who, needs(Scope.DECIDE, Role.ADMINISTRATOR, Role.OPERATOR)],
    workspace: Lent,
    account: _Id,
    asked: AcceptanceIn,
) -> EntryOut:
    """Let an account accept terms."""
    check_speaks_for(who, f"account:{account}")
    return entry_out(workspace.terms.accept(account, asked.terms))


@routes.get("/people", tags=["parties"])
def list_people(
    who: Annotated[Who, needs(Scope.READ, Role.ADMINISTRATOR, Role.OPERATOR)],
    workspace: Lent,
    account: str | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[PersonOut]:
    """List people, by id; an administrator those of the own account."""
    chosen = account if Role.OPERATOR in who.roles else who.account
    page, following = paged(workspace.parties.people(chosen), lambda person: person.id, cursor, limit)
    return Listing(items=[_person(person) for person in page], next=following)


@routes.post("/people", tags=["parties"], status_code=201)
def add_person(_: Annotated[Who, needs(Scope.ADMIN, Role.OPERATOR)], workspace: Lent, asked: PersonIn) -> PersonOut:
    """Add a person."""
    added = workspace.people.add_person(
        asked.person,
        account=asked.account,
        name=asked.name,
        aliases=asked.aliases,
        emails=asked.emails,
        region=asked.region,
    )
    return _person(added)


@routes.post("/decisions", tags=["decisions"], status_code=201)
def decide(
    who: Annotated[Who, needs(Scope.DECIDE, Role.PERSON, Role.ADMINISTRATOR, Role.OPERATOR)],
    workspace: Lent,
    asked: DecisionIn,
) -> EntryOut:
    """Record a yes or a no. Once this is answered, a no is known everywhere, and within 100 ms a yes."""
    check_speaks_for(who, asked.party)
    entry = workspace.consent.decide(
        asked.party,
        yes=asked.answer == "yes",
        data=asked.data,
        purpose=asked.purpose,
        covers=asked.covers,
    )
    return entry_out(entry)


@routes.get("/decisions", tags=["decisions"])
def list_decisions(
    who: Annotated[Who, needs(Scope.READ, Role.PERSON, Role.ADMINISTRATOR)],
    workspace: Lent,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[EntryOut]:
    """List one's own decisions, oldest first: a person's, or the account's."""
    own = f"person:{who.person}" if Role.PERSON in who.roles else f"account:{who.account}"
    party = workspace.party(own)
    found = [entry for entry in workspace.entries() if entry.kind == "decision" and entry.body["party"] == party]
    page, following = paged(found, lambda entry: f"{entry.seq:020d}", cursor, limit)
    return Listing(items=[entry_out(entry) for entry in page], next=following)


@routes.get("/entries", tags=["ledger"])
def list_entries(
    _: Annotated[Who, needs(Scope.READ, Role.AUDITOR, Role.OPERATOR)],
    workspace: Lent,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[EntryOut]:
    """List the ledger, oldest first."""
    start = 0 if cursor is None else _position(cursor)
    size = workspace.ledger.size
    page = list(workspace.ledger.entries(min(start, size), min(start + limit, size)))
    end = start + len(page)
    return Listing(items=[entry_out(entry) for entry in page], next=cursor_after(str(end)) if end < size else None)


@routes.get("/checkpoint", tags=["ledger"])
def checkpoint(
    _: Annotated[Who, needs(Scope.READ, *ALL_ROLES)],
    workspace: Lent,
) -> CheckpointOut:
    """Return the ledger's signed size and root, and the key that checks it."""
    return CheckpointOut(checkpoint=workspace.ledger.checkpoint(), key=workspace.verifier.to_text())


@routes.get("/entries/{seq}/proof", tags=["ledger"])
def prove_entry(
    _: Annotated[Who, needs(Scope.READ, *ALL_ROLES)], workspace: Lent, seq: Annotated[int, Path(ge=0, le=2**53)]
) -> ProofOut:
    """Prove that an entry is in the ledger."""
    size = workspace.ledger.size
    if seq >= size:
        raise ApiError(NOT_FOUND, f"The ledger has {size:,} entries; there is none with number {seq}.")
    [entry] = workspace.ledger.entries(seq, seq + 1)
    hashes = workspace.ledger.prove_inclusion(seq, size)
    return ProofOut(
        seq=seq,
        leaf=entry.leaf_hash.hex(),
        hashes=[each.hex() for each in hashes],
        checkpoint=workspace.ledger.checkpoint(size),
    )


def check_speaks_for(who: Who, party: str) -> None:
    """Let a person speak for themself, an administrator for the account, an operator for whoever told them."""
    own = {f"person:{who.person}"} if Role.PERSON in who.roles else set()
    if Role.ADMINISTRATOR in who.roles:
        own.add(f"account:{who.account}")
    if Role.OPERATOR not in who.roles and party not in own:
        raise ApiError(FORBIDDEN, f"You do not speak for {party}.")


def _bound(workspace: Workspace, account: str) -> str | None:
    bound = [
        terms.id for start_us, terms in workspace.history().bindings.terms_of(account) if start_us <= workspace.now_us
    ]
    return bound[-1] if bound else None


def _position(cursor: str) -> int:
    text = read_cursor(cursor)
    if not text.isdecimal() or len(text) > 16:
        raise InvalidInputError("This cursor was not given here. Begin again without one.")
    return int(text)


def entry_out(entry: Entry) -> EntryOut:
    """Return a ledger entry as the API shows it."""
    return EntryOut(seq=entry.seq, at=us_to_text(entry.at_us), kind=entry.kind, body=dict(entry.body))


def _person(person: Person) -> PersonOut:
    return PersonOut(person=person.id, account=person.account, name=person.name, pseudonym=person.pseudonym)


def _terms(terms: Terms, text: str) -> TermsOut:
    return TermsOut(id=terms.id, title=terms.title, digest=terms.digest, text=text, terms=terms.to_json())
