"""Routes of what stands inside a page of a product's own: the component, and tokens for the switches of one person."""

from importlib import resources
from typing import Annotated, Final

from fastapi import APIRouter, Response

from volition.canonical import us_to_text
from volition.errors import InvalidInputError
from volition.server.api.schemas import EmbedTokenIn, EmbedTokenOut, PathId
from volition.server.api.security import AccessDep, WorkspaceDep, requires
from volition.server.auth import Principal, Role, Scope
from volition.server.reading import NOBODY

routes = APIRouter(prefix="/v1", tags=["settings"])

_COMPONENT: Final = "volition-1.js"  # another name for what is not the same: pages name its digest
_HEADERS: Final = {
    "access-control-allow-origin": "*",  # it is the same for everybody
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": "public, max-age=3600",
}


@routes.get(f"/embed/{_COMPONENT}", include_in_schema=False)
def show_component() -> Response:
    """Return the web component, as a module of JavaScript."""
    source = resources.files("volition.server.api") / "static" / _COMPONENT
    return Response(source.read_bytes(), media_type="text/javascript", headers=_HEADERS)


@routes.post("/embed-tokens", status_code=201)
def mint_embed_token(
    who: Annotated[Principal, requires(Scope.EMBED, Role.ENGINEER, Role.OPERATOR, reads=NOBODY)],
    workspace: WorkspaceDep,
    access: AccessDep,
    body: EmbedTokenIn,
) -> EmbedTokenOut:
    """Mint a token for one person on pages of one origin: for minutes, and for their switches alone."""
    person = workspace.parties.person(body.person)
    if person.account is None:
        if body.account is None:
            raise InvalidInputError("This person is a guest. Name the account whose switches they see.")
        account = workspace.parties.account(body.account).id
    elif body.account not in {None, person.account}:
        raise InvalidInputError("This person does not belong to that account.")
    else:
        account = person.account
    token, secret = access.embeds.mint(
        who,
        person=person.id,
        account=account,
        is_guest=person.is_guest,
        origin=body.origin,
        minutes=body.minutes,
    )
    return EmbedTokenOut(
        id=token.id, token=secret, person=token.person, origin=token.origin, ends=us_to_text(token.ends_us)
    )


@routes.delete("/embed-tokens/{token}", status_code=204)
def revoke_embed_token(
    _: Annotated[Principal, requires(Scope.EMBED, Role.ENGINEER, Role.OPERATOR, reads=NOBODY)],
    access: AccessDep,
    token: PathId,
) -> Response:
    """Revoke an embed token by its id."""
    access.embeds.end(token)
    return Response(status_code=204)
