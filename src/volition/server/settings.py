"""The server's settings: `server.toml` in the workspace's folder, and the options of `volition serve`.

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
    kinds = ["decision", "terms", "notice", "forgetting", "ending"]

An unknown key is an error, as is a secret that others can read; an error names the line.
"""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from volition.consent.terms.toml_file import FaultError, Section, at, check_words, name_lines, read_toml

FILE: Final = "server.toml"
WEBHOOK_KINDS: Final = ("decision", "terms", "notice", "forgetting", "ending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """An OpenID provider to sign in with."""

    issuer: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoom:
    """Zoom's webhooks: the secret that signs them, and the account whose meetings they are about."""

    secret: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An outgoing webhook: its address, the secret that signs it, and of which kinds of events it is told."""

    url: str
    secret: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How the server is set up.

    Attributes:
        site: The service's name on pages.
        url: Its address as people reach it, without a slash at the end; none to take what the request says.
        oidc: An OpenID provider; none to sign in with passwords alone.
        zoom: Zoom's webhooks; none to accept none.
        webhooks: Outgoing webhooks.
        is_demo: Whether anyone at this machine may sign in with a click.
    """

    site: str = "Volition"
    url: str | None = None
    oidc: Oidc | None = None
    zoom: Zoom | None = None
    webhooks: Sequence[Webhook] = ()
    is_demo: bool = False


def read_settings(folder: Path, *, is_demo: bool = False) -> ServerSettings:
    """Read how the server of a workspace is set up.

    Raises:
        InvalidInputError: The file, or a secret that it names, cannot be read or makes no sense.
    """
    path = folder / FILE
    if not path.exists():
        return ServerSettings(is_demo=is_demo)
    document = read_toml(path)
    with name_lines(document):
        top = Section(document.value, (), set(), {"site", "oidc", "zoom", "webhook"})
        site = Section(top.value.get("site", {}), ("site",), set(), {"name", "url"})
        return ServerSettings(
            site=_text(site, "name") if "name" in site.value else ServerSettings().site,
            url=_url(site, "url").rstrip("/") if "url" in site.value else None,
            oidc=_oidc(top, folder) if "oidc" in top.value else None,
            zoom=_zoom(top, folder) if "zoom" in top.value else None,
            webhooks=tuple(
                _webhook(hook, folder) for hook in top.sections("webhook", {"url", "secret_file"}, {"kinds"})
            ),
            is_demo=is_demo,
        )


def _oidc(top: Section, folder: Path) -> Oidc:
    section = top.section("oidc", {"issuer", "client_id", "client_secret_file"}, set())
    return Oidc(
        issuer=_url(section, "issuer"),
        client_id=_text(section, "client_id"),
        client_secret=_secret(section, "client_secret_file", folder),
    )


def _zoom(top: Section, folder: Path) -> Zoom:
    section = top.section("zoom", {"secret_file", "account"}, set())
    return Zoom(secret=_secret(section, "secret_file", folder), account=_text(section, "account"))


def _webhook(section: Section, folder: Path) -> Webhook:
    kinds = section.words("kinds") if "kinds" in section.value else WEBHOOK_KINDS
    with at(*section.path):
        check_words(kinds, WEBHOOK_KINDS, "kinds", what="kind of event that a webhook is sent")
    return Webhook(url=_url(section, "url"), secret=_secret(section, "secret_file", folder), kinds=kinds)


def _text(section: Section, key: str) -> str:
    text = section.text(key)
    if not text:
        raise FaultError((*section.path, key), f'"{key}" is empty. Write a text.')
    return text


def _secret(section: Section, key: str, folder: Path) -> str:
    secret, place = folder / _text(section, key), (*section.path, key)
    try:
        if stat.S_IMODE(secret.stat().st_mode) & 0o077:
            raise FaultError(place, f"other users can read {secret}. Run: chmod 600 {secret}")
        return secret.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise FaultError(place, f'"{key}" names {secret}, which cannot be read: {error}.') from error


def _url(section: Section, key: str) -> str:
    url = _text(section, key)
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise FaultError((*section.path, key), f'"{key}" is no address: {error}.') from error
    is_local = host in {"localhost", "127.0.0.1", "::1"}
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_local)):
        fault = f'"{key}" must begin with https:// (http:// only for an address on this machine).'
        raise FaultError((*section.path, key), fault)
    return url
