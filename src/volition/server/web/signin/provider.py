"""An OpenID provider: what it says about itself, and the signed texts (JWT) that come from it.

The environment's proxies are asked only where `server.toml` says so (`environment_proxies`): a variable that somebody
else set must not decide through whose hands a sign-in goes.
"""

import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from volition.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE_S: Final = 10.0
_ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA"]
_KEYS_LAST_S: Final = 60.0


class Provider:
    """One provider; its document is asked for once, its keys at most once a minute."""

    def __init__(self, issuer: str, *, trust_env: bool) -> None:
        """Ask the provider at `issuer`, through the environment's proxies if `trust_env`.

        Raises:
            BackendError: It does not answer, or something else answers there.
        """
        self._trust_env = trust_env
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._asked_s = 0.0
        try:
            document: dict[str, Any] = self._ask(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        except (httpx2.HTTPError, ValueError) as error:
            raise BackendError(f"The OpenID provider {issuer} does not answer: {error}. Try again later.") from error
        named = {"authorization_endpoint", "token_endpoint", "jwks_uri"}
        if document.get("issuer") != issuer or not named <= document.keys():
            msg = f"What answers at {issuer} is not that OpenID provider. Check oidc.issuer in server.toml."
            raise BackendError(msg)
        self.document: Mapping[str, Any] = document

    def claims(self, text: str) -> dict[str, Any]:
        """Return what a text says that the provider signed; nothing but the signature is checked.

        Raises:
            JoseError: It did not sign it.
            ValueError: It is no such text.
            HTTPError: Its keys cannot be had.
        """
        try:
            return dict(jwt.decode(text, self._known_keys(), algorithms=_ALGORITHMS).claims)
        except (JoseError, ValueError):
            if not self._forget_keys():  # it may have new keys; those at hand are too new for that
                raise
        return dict(jwt.decode(text, self._known_keys(), algorithms=_ALGORITHMS).claims)

    def _known_keys(self) -> KeySet:
        with self._lock:
            if self._keys is None:
                self._asked_s = time.monotonic()
                self._keys = KeySet.import_key_set(self._ask(str(self.document["jwks_uri"])))
            return self._keys

    def _forget_keys(self) -> bool:
        """Forget the keys if they are not new, and say whether that was done."""
        with self._lock:
            is_old = time.monotonic() - self._asked_s > _KEYS_LAST_S
            self._keys = None if is_old else self._keys
            return is_old

    def _ask(self, address: str) -> Any:  # noqa: ANN401 - any JSON value
        with httpx2.Client(timeout=PATIENCE_S, trust_env=self._trust_env) as client:
            return client.get(address).raise_for_status().json()


@cache
def provider_of(issuer: str, *, trust_env: bool) -> Provider:
    """Return the provider at an address. Raises as the constructor does, and then asks again the next time."""
    return Provider(issuer, trust_env=trust_env)
