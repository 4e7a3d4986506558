"""Browsers in which somebody signed in before, known by a signed cookie: what others fail at does not slow them down.

The cookie lets nobody in: it holds a random number and a keyed digest of the name, and says only that this name was
signed in here. Whoever has it gets a count of attempts of their own (`attempts`), no more.
"""

import secrets
from typing import Final

from volition.errors import RefusedError
from volition.server.auth.links import Links

DEVICE_US: Final = 180 * 24 * 3600 * 1_000_000
"""How long a browser is known, microseconds."""

_WHAT: Final = "device"


def remember(links: Links, user: str, device: str | None) -> str:
    """Return the cookie of a browser in which somebody has just signed in; `device` is the one that it had."""
    return links.sign(
        _WHAT, {"id": known(links, user, device) or secrets.token_hex(8), **_of(links, user)}, lasts_us=DEVICE_US
    )


def known(links: Links, user: str, device: str | None) -> str | None:
    """Return the id of a browser in which a user signed in before; none if they did not, or not for long."""
    if device is None:
        return None
    try:
        content = links.read(_WHAT, device)
    except RefusedError:
        return None
    return str(content["id"]) if content.get("user") == _of(links, user)["user"] else None


def _of(links: Links, user: str) -> dict[str, str]:
    return {"user": links.digest(_WHAT, user).hex()}
