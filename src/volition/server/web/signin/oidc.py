"""Sign-in through an OpenID provider: the authorisation code flow with PKCE, state and nonce.

The user is the one whose `subject` is "ISSUER SUBJECT"; signing in never adds a user. State, nonce and verifier are
kept in the browser for ten minutes, signed, so an answer that belongs to another browser is refused.

When the provider says that somebody signed out, or was put out, their sessions end here as well (back-channel logout).

Source: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3.7; OpenID Connect Back-Channel Logout 1.0; RFC 7636.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc.errors import JoseError

from volition.errors import BackendError, RefusedError
from volition.server.auth import OidcSession
from volition.server.settings import Oidc
from volition.server.web.page import EVERYBODY, Pages, Plain, Redirect, Visit
from volition.server.web.signin.password import come_in, ours
from volition.server.web.signin.provider import PATIENCE_S, Provider, provider_of

pages = Pages()

_STATE_US: Final = 600 * 1_000_000
_SKEW_S: Final = 60
_LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
_LOGOUT_S: Final = 300  # a logout token that is older is not taken
_NEVER: Final = 0


@pages.get("/sign-in/oidc", roles=EVERYBODY)
def leave(visit: Visit) -> Redirect:
    """Send the browser to the provider."""
    oidc = _configured(visit)
    sent = {
        "nonce": secrets.token_urlsafe(24),
        "verifier": secrets.token_urlsafe(48),
        "next": visit.query.get("next", ""),
    }
    asked: dict[str, str] = {}
    if "again" in visit.query:  # whoever has signed in there already is asked all the same
        asked = {"prompt": "login", "max_age": "0"}
        sent["user"] = visit.who.user
    with _client(visit, oidc) as client:
        address, state = client.create_authorization_url(
            _provider(visit, oidc).document["authorization_endpoint"],
            code_verifier=sent["verifier"],
            nonce=sent["nonce"],
            **asked,
        )
    kept = visit.access.links.sign("oidc", {**sent, "state": state}, lasts_us=_STATE_US)
    return Redirect(to=address, trip=kept)


@pages.get("/sign-in/oidc/back", roles=EVERYBODY)
def come_back(visit: Visit) -> Redirect:
    """Check the provider's answer, and sign in the user whom it names."""
    oidc = _configured(visit)
    sent = visit.access.links.read("oidc", visit.trip or "")
    if not secrets.compare_digest(visit.query.get("state", "").encode("utf-8", "replace"), str(sent["state"]).encode()):
        raise RefusedError("This answer belongs to another attempt to sign in. Start again.")
    if "code" not in visit.query:
        raise RefusedError(f"The provider refused the sign-in ({visit.query.get('error', 'no code')}). Start again.")
    provider = _provider(visit, oidc)
    try:
        with _client(visit, oidc) as client:
            token = client.fetch_token(
                provider.document["token_endpoint"], code=visit.query["code"], code_verifier=str(sent["verifier"])
            )
        claims = provider.claims(str(token["id_token"]))
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
    if sent.get("user", who.user) != who.user:
        raise RefusedError("Somebody else signed in there than is signed in here. Sign out first.")
    if who.person is not None and who.account is not None and not who.is_guest:
        roles = claims.get("roles")
        visit.workspace.features.note_member(
            person=who.person, language=claims.get("locale"), roles=roles if isinstance(roles, list) else ()
        )
    there = OidcSession(issuer=oidc.issuer, sid=_text(claims.get("sid")), proved_us=_proved_us(claims))
    return replace(come_in(visit, who, to=ours(str(sent["next"])), oidc=there), trip="")


@pages.post("/sign-in/oidc/out", roles=EVERYBODY)
def put_out(visit: Visit) -> Plain:
    """End the sessions of somebody who signed out at the provider; it is the provider that asks."""
    oidc = _configured(visit)
    text = visit.form.get("logout_token", "")
    try:
        claims = _provider(visit, oidc).claims(text)
        _check_logout(claims, oidc)
    except httpx2.HTTPError as error:
        raise BackendError(f"The provider does not answer: {error}. Try again later.") from error
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        return Plain(status=400, text=f"This logout token is not valid: {error}")
    subject, sid = _text(claims.get("sub")), _text(claims.get("sid"))
    who = None if subject is None else visit.access.users.find_subject(f"{oidc.issuer} {subject}")
    visit.access.sessions.end_signed_in_by(oidc.issuer, sid=sid, user=None if who is None else who.user)
    return Plain(status=200)


def _check_logout(claims: Mapping[str, Any], oidc: Oidc) -> None:
    """Check a logout token. Raises ValueError, TypeError or AttributeError where it is none for this site, now.

    One that is sent twice ends nothing that another sign-in began by its `sid`; one without `sid` is short-lived.
    """
    audience = claims.get("aud")
    now = time.time()
    faults = {
        "it comes from somebody else": claims.get("iss") != oidc.issuer,
        "it is for somebody else": oidc.client_id not in (audience if isinstance(audience, list) else [audience]),
        "it is no logout": not isinstance(claims.get("events", {}).get(_LOGOUT), dict),
        "it is an ID token": "nonce" in claims,
        "it names nobody": _text(claims.get("sub")) is None and _text(claims.get("sid")) is None,
        "it has no id": _text(claims.get("jti")) is None,
        "it is too old or too new": abs(now - float(claims.get("iat", _NEVER))) > _LOGOUT_S,
        "it has expired": float(claims.get("exp", now)) < now - _SKEW_S,
    }
    for fault, is_so in faults.items():
        if is_so:
            raise ValueError(fault)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _proved_us(claims: Mapping[str, Any]) -> int:
    """Return when the provider last asked who it is; never, where it does not say or cannot be right."""
    said = claims.get("auth_time")
    if not isinstance(said, int | float) or isinstance(said, bool) or not 0 < said <= time.time() + _SKEW_S:
        return _NEVER
    return int(said * 1_000_000)


def _provider(visit: Visit, oidc: Oidc) -> Provider:
    return provider_of(oidc.issuer, trust_env=visit.settings.uses_environment_proxies)


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
        timeout=PATIENCE_S,
        trust_env=visit.settings.uses_environment_proxies,
    )


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
