"""How the server is set up: `server.toml` in the workspace's folder, and what `volition serve` was told.

Everything in the file is optional, and so is the file:

    [site]
    name = "Acme privacy centre"
    url = "https://privacy.acme.example"     # as people reach it; needed behind a proxy that ends TLS

    [oidc]
    issuer = "https://login.acme.example"
    client_id = "volition"
    client_secret_file = "oidc.secret"       # relative to the workspace's folder

    [zoom]
    secret_file = "zoom.secret"
    account = "acme"

    [[webhook]]
    url = "https://acme.example/hooks/volition"
    secret_file = "webhook.secret"
    kinds = ["decision", "terms", "forgetting"]

An unknown key is an error, as is a secret that others can read.
"""

import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from volition.errors import InvalidInputError

FILE: Final = "server.toml"
WEBHOOK_KINDS: Final = ("decision", "terms", "forgetting")
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "site": frozenset({"name", "url"}),
    "oidc": frozenset({"issuer", "client_id", "client_secret_file"}),
    "zoom": frozenset({"secret_file", "account"}),
    "webhook": frozenset({"url", "secret_file", "kinds"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """An OpenID provider to sign in with."""

    issuer: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoom:
    """Zoom's webhooks: the secret that they are signed with, and the account whose meetings they tell of."""

    secret: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom to tell of what happens: where, signed with which secret, and of which kinds of ledger entries."""

    url: str
    secret: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the server is set up.

    Attributes:
        site: The service's name on pages.
        url: Its address as people reach it, without a slash at the end; none to take what the request says.
        oidc: An OpenID provider; none to sign in with passwords alone.
        zoom: Zoom's webhooks; none to take none.
        webhooks: Whom to tell.
        is_demo: Whether whoever sits at this machine may sign in with a click.
    """

    site: str = "Volition"
    url: str | None = None
    oidc: Oidc | None = None
    zoom: Zoom | None = None
    webhooks: Sequence[Webhook] = ()
    is_demo: bool = False


def read_settings(folder: Path, *, is_demo: bool = False) -> Settings:
    """Read how the server of a workspace is set up.

    Raises:
        InvalidInputError: The file, or a secret that it names, cannot be read or makes no sense.
    """
    path = folder / FILE
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}.") from error
    unknown = sorted(told.keys() - _KEYS.keys())
    if unknown:
        raise InvalidInputError(f"{path} has the unknown table [{unknown[0]}]. There are: {', '.join(_KEYS)}.")
    site = _table(path, told, "site")
    oidc, zoom = _table(path, told, "oidc"), _table(path, told, "zoom")
    hooks = told.get("webhook", [])
    if not isinstance(hooks, list):
        raise InvalidInputError(f"{path} writes a webhook as [webhook]. Write [[webhook]], once for each.")
    url = _text(path, site, "site.url", site["url"]).rstrip("/") if "url" in site else None
    return Settings(
        site=_text(path, site, "site.name", site.get("name", "Volition")),
        url=None if url is None else _check_url(path, "site.url", url),
        oidc=None
        if not oidc
        else Oidc(
            issuer=_check_url(path, "oidc.issuer", _text(path, oidc, "oidc.issuer")),
            client_id=_text(path, oidc, "oidc.client_id"),
            client_secret=_secret(path, oidc, "oidc.client_secret_file"),
        ),
        zoom=None
        if not zoom
        else Zoom(secret=_secret(path, zoom, "zoom.secret_file"), account=_text(path, zoom, "zoom.account")),
        webhooks=tuple(_webhook(path, hook) for hook in hooks),
        is_demo=is_demo,
    )


def _webhook(path: Path, hook: object) -> Webhook:
    table = _table(path, {"webhook": hook}, "webhook")
    kinds = table.get("kinds", list(WEBHOOK_KINDS))
    if not isinstance(kinds, list) or not kinds or any(kind not in WEBHOOK_KINDS for kind in kinds):
        raise InvalidInputError(f"{path} names kinds that no webhook tells of. There are: {', '.join(WEBHOOK_KINDS)}.")
    return Webhook(
        url=_check_url(path, "webhook.url", _text(path, table, "webhook.url")),
        secret=_secret(path, table, "webhook.secret_file"),
        kinds=tuple(kinds),
    )


def _table(path: Path, told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = told.get(name, {})
    if not isinstance(table, dict):
        raise InvalidInputError(f"{path} needs [{name}] to be a table.")
    unknown = sorted(table.keys() - _KEYS[name])
    if unknown:
        known = ", ".join(sorted(_KEYS[name]))
        raise InvalidInputError(f"{path} has the unknown key {name}.{unknown[0]}. There are: {known}.")
    return table


def _text(path: Path, table: Mapping[str, Any], name: str, value: object = None) -> str:
    found = table.get(name.rpartition(".")[2]) if value is None else value
    if not isinstance(found, str) or not found:
        raise InvalidInputError(f"{path} needs {name}, a text.")
    return found


def _secret(path: Path, table: Mapping[str, Any], name: str) -> str:
    secret = path.parent / _text(path, table, name)
    try:
        if stat.S_IMODE(secret.stat().st_mode) & 0o077:
            raise InvalidInputError(f"Others can read {secret}. Run: chmod 600 {secret}")
        return secret.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{name} in {path} names {secret}, which cannot be read: {error}.") from error


def _check_url(path: Path, name: str, url: str) -> str:
    parts = urlsplit(url)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise InvalidInputError(f"{path} needs {name} to begin with https:// (http:// on this machine alone).")
    return url
