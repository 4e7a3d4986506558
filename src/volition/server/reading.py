"""What staff read of people is written down before it is shown: the API's routes and the pages say so by these.

Each route that staff may call declares what it reads, as `reads`: `NOBODY` where it shows no personal data, else a
name of `access_log.READINGS`, and its function then calls `note_reading` or `note_list` before it returns. What people
see of themselves is not written down.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from volition.server.auth import STAFF, Principal
from volition.transparency.access_log import Reader
from volition.workspace import Workspace

NOBODY: Final = ""
"""As `reads`: a route that shows no personal data of anybody."""

_PERSON: Final = "person:"


def note_reading(  # noqa: PLR0913 - what a line says
    workspace: Workspace,
    who: Principal,
    reading: str,
    people: Iterable[str],
    *,
    records: int = 1,
    categories: Iterable[str] = (),
) -> None:
    """Write down that somebody is about to be shown people's data, if they are of the staff and not the person.

    Takes and raises what `Accesses.note` does.
    """
    if (reader := _reader(who)) is not None:
        others = [person for person in people if person != who.person]
        workspace.accesses.note(reader, reading, others, records=records, categories=categories)


def note_list(workspace: Workspace, who: Principal, reading: str, *, account: str | None, records: int) -> None:
    """Write down that staff are about to be shown a list of an account's people, or of everyone."""
    if (reader := _reader(who)) is not None:
        workspace.accesses.note_list(reader, reading, account=account, records=records)


def note_named(workspace: Workspace, who: Principal, reading: str, shown: Iterable[Any]) -> None:
    """Write down that staff are about to be shown JSON values, for each person whom any of them names."""
    named = Counter(person for value in shown for person in set(_people_in(value)))
    for times in sorted(set(named.values())):
        note_reading(workspace, who, reading, [one for one, found in named.items() if found == times], records=times)


def _reader(who: Principal) -> Reader | None:
    roles = sorted(who.roles.intersection(STAFF))
    return Reader(who=who.user, role=", ".join(roles)) if roles else None


def _people_in(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        if value.startswith(_PERSON):
            yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _people_in(key)
            yield from _people_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _people_in(inner)
