"""The server's settings: `server.toml` in the workspace's folder, and the options of `volition serve`.

Everything in the file is optional, and so is the file:

    [site]
    name = "Acme privacy centre"
    url = "https://privacy.acme.example"     # as people reach it; needed behind a proxy that ends TLS

    [server]
    trusted_proxies = ["10.0.0.5"]           # addresses or networks; nobody else is believed about a client's address
    certificate_file = "tls.crt"             # to serve https without a proxy; with key_file
    key_file = "tls.key"
    environment_proxies = false              # true: webhooks and OpenID go through HTTPS_PROXY and the like

    [sign_in]
    second_factor = ["operator"]             # roles that cannot do without one when they sign in with a password
    again_minutes = 10                       # what cannot be undone asks again who it is after so long

    [log]
    form = "json"                            # one JSON object a line; "text" for people
    level = "info"
    requests = true                          # a line for each request

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

    [limits]                                 # what the server takes at most; these are the defaults
    json_kib = 1024                          # a JSON document
    form_kib = 64                            # a form of a page; where it holds a document, as much as JSON
    upload_mib = 64                          # OTLP, Arrow, many questions
    memory_mib = 512                         # the bodies of all requests together
    body_s = 20                              # how long a body may take, and longer the more of it has come
    header_s = 10                            # how long the header of a request may take
    idle_s = 75                              # how long a connection stays open between two requests
    turn_s = 10                              # how long a request waits for its turn, before it is answered 503
    waiting = 256                            # how many requests of one kind wait
    connections = 2000                       # at once

An unknown key is an error, as is a secret that others can read; an error names the line.
"""

import ipaddress
import stat
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from volition.consent.terms.toml_file import FaultError, Section, at, check_words, name_lines, read_toml

FILE: Final = "server.toml"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ROLES: Final = ("person", "administrator", "engineer", "auditor", "operator")
"""Of whom a second factor can be asked; a guest comes by a link and has no password."""

_AGAIN_MINUTES: Final = 10
_LONGEST_AGAIN: Final = 24 * 60
_LARGEST: Final = 1_000_000
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
class Tls:
    """What https is served with: the files of a certificate, with its chain, and of its key."""

    certificate: Path
    key: Path


LOG_FORMS: Final = ("text", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What a server or worker logs.

    Attributes:
        form: How a line is written, of `LOG_FORMS`.
        level: From which level on, of `LOG_LEVELS`.
        has_requests: Whether each request has a line, at the level "info".
    """

    form: str = "text"
    level: str = "warning"
    has_requests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What the server takes at most.

    Attributes:
        json_kib: A JSON document, KiB.
        form_kib: A form of a page, KiB; where it holds a document, as much as JSON.
        upload_mib: OTLP, Arrow and many questions, MiB.
        memory_mib: The bodies of all requests together, MiB.
        body_s: How long a body may take, seconds, and longer the more of it has come.
        header_s: How long the header of a request may take, seconds.
        idle_s: How long a connection stays open between two requests, seconds; where many are open, 5 at most.
        turn_s: How long a request waits for its turn, before it is answered 503, seconds.
        waiting: How many requests of one kind wait at once.
        connections: How many there may be at once.
    """

    json_kib: int = 1024
    form_kib: int = 64
    upload_mib: int = 64
    memory_mib: int = 512
    body_s: int = 20
    header_s: int = 10
    idle_s: int = 75
    turn_s: int = 10
    waiting: int = 256
    connections: int = 2000

    @property
    def json_bytes(self) -> int:
        """What a JSON document holds at most."""
        return self.json_kib << 10

    @property
    def form_bytes(self) -> int:
        """What a form holds at most."""
        return self.form_kib << 10

    @property
    def upload_bytes(self) -> int:
        """What OTLP, Arrow and many questions hold at most."""
        return self.upload_mib << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How the server is set up.

    Attributes:
        site: The service's name on pages.
        url: Its address as people reach it, without a slash at the end; none to take what the request says.
        oidc: An OpenID provider; none to sign in with passwords alone.
        zoom: Zoom's webhooks; none to accept none.
        webhooks: Outgoing webhooks.
        limits: What the server takes at most.
        is_demo: Whether anyone at this machine may sign in with a click.
        trusted_proxies: Networks of the proxies that are believed about a client's address.
        tls: What https is served with; none to serve http.
        uses_environment_proxies: Whether webhooks and OpenID go through the proxies that the environment names.
        second_factor: Roles that need a second factor when they sign in with a password.
        again_minutes: How long somebody who showed who they are need not do so again for what cannot be undone.
        log: What is logged, and how.
    """

    site: str = "Volition"
    url: str | None = None
    oidc: Oidc | None = None
    zoom: Zoom | None = None
    webhooks: Sequence[Webhook] = ()
    limits: ServerLimits = ServerLimits()
    is_demo: bool = False
    trusted_proxies: Sequence[Network] = ()
    tls: Tls | None = None
    uses_environment_proxies: bool = False
    second_factor: Sequence[str] = ()
    again_minutes: int = _AGAIN_MINUTES
    log: LogSettings = LogSettings()


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
        known = {"site", "server", "sign_in", "log", "oidc", "zoom", "webhook", "limits"}
        top = Section(document.value, (), set(), known)
        site = Section(top.value.get("site", {}), ("site",), set(), {"name", "url"})
        server = Section(top.value.get("server", {}), ("server",), set(), _SERVER)
        sign_in = Section(top.value.get("sign_in", {}), ("sign_in",), set(), {"second_factor", "again_minutes"})
        return ServerSettings(
            trusted_proxies=_networks(server),
            tls=_tls(server, folder),
            uses_environment_proxies=server.boolean("environment_proxies", default=False),
            second_factor=_roles(sign_in),
            again_minutes=_minutes(sign_in),
            log=_log(top),
            site=_text(site, "name") if "name" in site.value else ServerSettings().site,
            url=_url(site, "url").rstrip("/") if "url" in site.value else None,
            oidc=_oidc(top, folder) if "oidc" in top.value else None,
            zoom=_zoom(top, folder) if "zoom" in top.value else None,
            webhooks=tuple(
                _webhook(hook, folder) for hook in top.sections("webhook", {"url", "secret_file"}, {"kinds"})
            ),
            limits=_limits(top) if "limits" in top.value else ServerLimits(),
            is_demo=is_demo,
        )


_SERVER: Final = frozenset({"trusted_proxies", "certificate_file", "key_file", "environment_proxies"})


def _networks(section: Section) -> tuple[Network, ...]:
    found = []
    for place, said in enumerate(section.words("trusted_proxies")):
        try:
            network = ipaddress.ip_network(said)
        except ValueError as error:
            fault = f'"{said}" is no address or network: {error}. Write one like 10.0.0.5 or 10.0.0.0/24.'
            raise FaultError((*section.path, "trusted_proxies", place), fault) from error
        if network.prefixlen == 0:
            fault = f"{said} is everybody, and a header of anybody would be believed. Name the proxy's own address."
            raise FaultError((*section.path, "trusted_proxies", place), fault)
        found.append(network)
    return tuple(found)


def _tls(section: Section, folder: Path) -> Tls | None:
    given = [name for name in ("certificate_file", "key_file") if name in section.value]
    if not given:
        return None
    if len(given) == 1:
        raise FaultError((*section.path, given[0]), '"certificate_file" and "key_file" go together. Write both.')
    _secret(section, "key_file", folder)  # which refuses one that others can read
    certificate = folder / _text(section, "certificate_file")
    if not certificate.is_file():
        fault = f'"certificate_file" names {certificate}, which is not there.'
        raise FaultError((*section.path, "certificate_file"), fault)
    return Tls(certificate=certificate, key=folder / section.text("key_file"))


def _roles(section: Section) -> tuple[str, ...]:
    roles = section.words("second_factor")
    with at(*section.path):
        check_words(roles, ROLES, "second_factor", what="role of which a second factor can be asked", may_be_empty=True)
    return roles


def _minutes(section: Section) -> int:
    minutes = section.integer("again_minutes", _AGAIN_MINUTES)
    if not 1 <= minutes <= _LONGEST_AGAIN:
        fault = f'"again_minutes" must be from 1 to {_LONGEST_AGAIN:,}.'
        raise FaultError((*section.path, "again_minutes"), fault)
    return minutes


def _limits(top: Section) -> ServerLimits:
    section = top.section("limits", set(), {field.name for field in fields(ServerLimits)})
    limits = ServerLimits(**{name: _size(section, name) for name in section.value})
    if limits.memory_mib < limits.upload_mib:
        fault = f'"memory_mib" is less than one upload may hold: write {limits.upload_mib} or more.'
        raise FaultError((*section.path, "memory_mib" if "memory_mib" in section.value else "upload_mib"), fault)
    return limits


def _size(section: Section, key: str) -> int:
    value = section.integer(key, 0)
    if not 1 <= value <= _LARGEST:
        raise FaultError((*section.path, key), f'"{key}" must be a whole number from 1 to {_LARGEST:,}.')
    return value


def _log(top: Section) -> LogSettings:
    section = Section(top.value.get("log", {}), ("log",), set(), {"form", "level", "requests"})
    has_requests = section.boolean("requests", default=False)
    form = section.optional_text("form") or LogSettings().form
    level = section.optional_text("level") or ("info" if has_requests else LogSettings().level)
    with at("log"):
        check_words([form], LOG_FORMS, "form", what="form of a log line")
        check_words([level], LOG_LEVELS, "level", what="level")
    if has_requests and level not in {"debug", "info"}:
        fault = f'requests are logged at the level "info", which "{level}" leaves out. Write level = "info".'
        raise FaultError(("log", "level"), fault)
    return LogSettings(form=form, level=level, has_requests=has_requests)


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
