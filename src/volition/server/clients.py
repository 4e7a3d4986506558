"""Where a request came from: the client's address, and whether it travelled by https, as far as either can be believed.

What a proxy says of its client is a header, and anybody can send one. It counts only where the connection itself comes
from a proxy that `server.toml` names (`trusted_proxies`), and of a list of addresses only what such a proxy added: it
is read from the right, and the first address that is no trusted proxy is the client's.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final

from volition.server.settings import Network, ServerSettings

_FORWARDING: Final = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-host",
        "x-original-url",
        "client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "cdn-loop",
    }
)
_V6_PREFIX: Final = 64  # what one customer of a network has; the rest of an address is theirs to choose


class Clients:
    """Says of each request where it came from."""

    def __init__(self, settings: ServerSettings) -> None:
        """Believe the proxies that the settings name."""
        self._trusted = settings.trusted_proxies
        self._is_https = (settings.url or "").startswith("https:")

    def address(self, peer: str, headers: Mapping[str, str]) -> str:
        """Return the client's address; the connection's own where no trusted proxy says otherwise.

        Args:
            peer: The address at the other end of the connection; empty where it has none.
            headers: Those of the request, by their names in lower case, repeated ones joined by commas.
        """
        at = peer
        for said in reversed(headers.get("x-forwarded-for", "").split(",")):
            if not _is_among(at, self._trusted) or not said.strip():
                break
            at = _bare(said.strip())
        return at

    def is_secure(self, scheme: str, peer: str, headers: Mapping[str, str]) -> bool:
        """Return whether a request came by https: to this server, to a trusted proxy, or to the site's own address."""
        if scheme == "https" or self._is_https:
            return True
        said = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        return said == "https" and _is_among(peer, self._trusted)


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """Return whether anything in a request says that it passed a proxy, trusted or not."""
    return any(name in _FORWARDING or name.startswith("x-forwarded-") for name in headers)


def network_of(address: str) -> str:
    """Return whose attempts are counted together: an IPv4 address, or the network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _V6_PREFIX), strict=False))
    return str(found)


def _is_among(address: str, networks: Sequence[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def _bare(said: str) -> str:
    """Return an address without the port that some proxies add: "192.0.2.1:4711", "[2001:db8::1]:4711"."""
    if said.startswith("["):
        return said[1:].partition("]")[0]
    return said.partition(":")[0] if said.count(":") == 1 else said
