"""Routes of the terms: what was published, publishing, and an account's acceptance."""

from typing import Annotated

from fastapi import APIRouter

from volition.consent.terms.model import Terms
from volition.consent.terms.terms_file import load_profile
from volition.server.api.ledger import entry_out
from volition.server.api.schemas import (
    AcceptanceIn,
    Cursor,
    EntryOut,
    Limit,
    Listing,
    PathId,
    TermsIn,
    TermsOut,
    VocabularyOut,
    paged,
)
from volition.server.api.security import ALL_ROLES, DecisionWorkspaceDep, WorkspaceDep, check_speaks_for, requires
from volition.server.auth import Principal, Role, Scope
from volition.server.entry_readers import entry_reader
from volition.server.reading import NOBODY

routes = APIRouter(prefix="/v1")


@routes.get("/terms", tags=["terms"])
def list_terms(
    _: Annotated[Principal, requires(Scope.READ, *ALL_ROLES, reads=NOBODY)],
    workspace: WorkspaceDep,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Listing[TermsOut]:
    """List every published version, oldest first."""
    numbered = list(enumerate(workspace.terms.published()))  # they only grow, so their numbers stay
    page, following = paged(numbered, lambda one: f"{one[0]:020d}", cursor, limit)
    return Listing(items=[_terms(terms, workspace.terms.text(terms)) for _, terms in page], next=following)


@routes.get("/vocabulary", tags=["terms"])
def list_names(
    _: Annotated[Principal, requires(Scope.READ, *ALL_ROLES, reads=NOBODY)], workspace: WorkspaceDep
) -> VocabularyOut:
    """List every category and purpose that can be named: the built-in ones, and what published terms declare."""
    return VocabularyOut.model_validate(workspace.terms.vocabulary.to_json())


@routes.post("/terms", tags=["terms"], status_code=201)
def publish_terms(
    who: Annotated[Principal, requires(Scope.ADMIN, Role.OPERATOR, is_final=True)],
    workspace: WorkspaceDep,
    body: TermsIn,
) -> EntryOut:
    """Publish a version. One that newly allows something is announced, and takes effect after its notice period."""
    return entry_out(workspace.terms.publish(load_profile(body.profile)), entry_reader(who, workspace))


@routes.post("/accounts/{account}/acceptance", tags=["terms"], status_code=201)
def accept(
    who: Annotated[Principal, requires(Scope.DECIDE, Role.ADMINISTRATOR, Role.OPERATOR)],
    workspace: DecisionWorkspaceDep,
    account: PathId,
    body: AcceptanceIn,
) -> EntryOut:
    """Accept terms for an account."""
    check_speaks_for(who, f"account:{account}")
    return entry_out(workspace.terms.accept(account, body.terms), entry_reader(who, workspace))


def _terms(terms: Terms, text: str) -> TermsOut:
    return TermsOut(id=terms.id, title=terms.title, digest=terms.digest, text=text, terms=terms.to_json())
