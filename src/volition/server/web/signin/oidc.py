"""Sign-in through an OpenID provider: the authorisation code flow with PKCE, state and nonce.

The user is the one whose `subject` is "ISSUER SUBJECT"; signing in never adds a user. State, nonce and verifier are
kept in the browser for ten minutes, signed, so an answer that belongs to another browser is refused.

Source: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3.7; RFC 7636.
"""

import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from volition.errors import BackendError, RefusedError
from volition.server.settings import Oidc
from volition.server.web.page import EVERYBODY, Pages, Redirect, Visit
from volition.server.web.signin.password import come_in, ours

pages = Pages()

_PATIENCE_S: Final = 10.0
_STATE_US: Final = 600 * 1_000_000
_ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA"]
_SKEW_S: Final = 60


@pages.get("/sign-in/oidc", roles=EVERYBODY)
def leave(visit: Visit) -> Redirect:
    """Send the browser to the provider."""
    oidc = _configured(visit)
    sent = {
        "nonce": secrets.token_urlsafe(24),
        "verifier": secrets.token_urlsafe(48),
        "next": visit.query.get("next", ""),
    }
    with _client(visit, oidc) as client:
        address, state = client.create_authorization_url(
            _provider(oidc.issuer)["authorization_endpoint"],
            code_verifier=sent["verifier"],
            nonce=sent["nonce"],
        )
    kept = visit.access.links.sign("oidc", {**sent, "state": state}, lasts_us=_STATE_US)
    return Redirect(to=address, oidc_state=kept)


@pages.get("/sign-in/oidc/back", roles=EVERYBODY)
def come_back(visit: Visit) -> Redirect:
    """Check the provider's answer, and sign in the user whom it names."""
    oidc = _configured(visit)
    sent = visit.access.links.read("oidc", visit.oidc_state or "")
    if not secrets.compare_digest(visit.query.get("state", ""), str(sent["state"])):
        raise RefusedError("This answer belongs to another attempt to sign in. Start again.")
    if "code" not in visit.query:
        raise RefusedError(f"The provider refused the sign-in ({visit.query.get('error', 'no code')}). Start again.")
    provider = _provider(oidc.issuer)
    try:
        with _client(visit, oidc) as client:
            token = client.fetch_token(
                provider["token_endpoint"], code=visit.query["code"], code_verifier=str(sent["verifier"])
            )
        keys = KeySet.import_key_set(_ask(provider["jwks_uri"]))
        claims = jwt.decode(str(token["id_token"]), keys, algorithms=_ALGORITHMS).claims
        _check(claims, oidc, nonce=str(sent["nonce"]))
    except httpx2.HTTPError as error:
        raise BackendError(f"The provider does not answer: {error}. Try again later.") from error
    except (OAuthError, JoseError, KeyError, ValueError) as error:
        raise RefusedError(f"The provider's answer is not valid ({error}). Start again.") from error
    who = visit.access.users.find_subject(f"{oidc.issuer} {claims['sub']}")
    if who is None:
        raise RefusedError("There is no user here for this sign-in. Ask the operator to add you.")
    if who.person is not None and claims.get("email_verified") is True and isinstance(claims.get("email"), str):
        visit.workspace.people.verify_address(who.person, claims["email"])
    done = come_in(visit, who, to=ours(str(sent["next"])))
    return Redirect(to=done.to, notice=done.notice, session=done.session, oidc_state="")


def _configured(visit: Visit) -> Oidc:
    if visit.settings.oidc is None:
        raise RefusedError("No OpenID provider is set up here. Sign in with a password.")
    return visit.settings.oidc


def _client(visit: Visit, oidc: Oidc) -> OAuth2Client:
    base = visit.settings.url or f"{'https' if visit.is_secure else 'http'}://{visit.host}"
    return OAuth2Client(
        client_id=oidc.client_id,
        client_secret=oidc.client_secret,
        scope="openid email",
        redirect_uri=f"{base}/sign-in/oidc/back",
        code_challenge_method="S256",
        timeout=_PATIENCE_S,
    )


@cache
def _provider(issuer: str) -> Mapping[str, Any]:
    """Return what a provider says about itself; asked once."""
    try:
        document: dict[str, Any] = _ask(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    except (httpx2.HTTPError, ValueError) as error:
        raise BackendError(f"The OpenID provider {issuer} does not answer: {error}. Try again later.") from error
    named = {"authorization_endpoint", "token_endpoint", "jwks_uri"}
    if document.get("issuer") != issuer or not named <= document.keys():
        raise BackendError(f"What answers at {issuer} is not that OpenID provider. Check oidc.issuer in server.toml.")
    return document


def _ask(address: str) -> Any:  # noqa: ANN401 - any JSON value
    return httpx2.get(address, timeout=_PATIENCE_S).raise_for_status().json()


def _check(claims: Mapping[str, Any], oidc: Oidc, *, nonce: str) -> None:
    """Check an ID token against what was asked for. Raises JoseError or ValueError where it does not match."""
    token = CodeIDToken(
        claims,
        {},
        options={
            "iss": {"essential": True, "value": oidc.issuer},
            "aud": {"essential": True, "value": oidc.client_id},
            "nonce": {"essential": True, "value": nonce},
        },
        params={"client_id": oidc.client_id, "nonce": nonce},
    )
    token.validate(leeway=_SKEW_S)
    if token["iss"] != oidc.issuer or token.get("nonce") != nonce or not urlsplit(oidc.issuer).scheme:
        raise ValueError("it is for somebody else")
