"""The time zone of whoever reads a page, for the days that words mean: "this afternoon" is another day elsewhere.

It is what the address says (`?zone=Europe/Berlin`), else what the browser says in a cookie that `static/zone.js` sets,
else UTC. Nothing about it is kept. Instants are in UTC on every page: only days that follow from words differ.
"""

import zoneinfo
from datetime import UTC, tzinfo
from functools import cache
from typing import Final

from volition.errors import InvalidInputError
from volition.server.web.page import Visit

COOKIE: Final = "zone"
"""The cookie, and the field of an address."""


def zone_of(visit: Visit) -> tuple[str, tzinfo]:
    """Return the time zone of whoever visits, as people write it, and to calculate with.

    Raises:
        InvalidInputError: The address names none that there is. What a cookie says is passed over then.
    """
    asked = visit.query.get(COOKIE, "").strip()
    if asked and asked not in _known():
        raise InvalidInputError(f'There is no time zone {asked!r}. Write it like "Europe/Berlin" or "UTC".')
    name = asked or (visit.zone if visit.zone in _known() else "")
    return (name, zoneinfo.ZoneInfo(name)) if name and name != "UTC" else ("UTC", UTC)


@cache
def _known() -> frozenset[str]:
    """Return the names there are; on a system without the time zone database, UTC alone."""
    return frozenset(zoneinfo.available_timezones()) | {"UTC"}
