"""The form of what entries say: each field that permission rests on, and that anybody is told, is of its one type.

The history takes what it can, so that every log that was ever written still opens. Whoever checks a log of others asks
for more: a null is no party and no answer, a text is no list, and an instant has the spellings that were ever in use.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import text_to_us
from volition.consent.history import History, extend_history
from volition.consent.terms.regions import check_region
from volition.errors import ProofError, VolitionError
from volition.ledger.entry import Entry
from volition.transparency.verify import forms

Body = Mapping[str, Any]

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """The first entry of a log that cannot be read: nothing that rests on it, or on what follows, can be judged."""

    seq: int
    why: str


def find_unreadable(entries: Sequence[Entry]) -> Unreadable | None:
    """Return the first entry that cannot be read after all before it; none if the whole log can."""
    history = History()
    for entry in entries:
        try:
            check_body(entry)
            extend_history(history, entry)
        except VolitionError as error:
            return Unreadable(seq=entry.seq, why=str(error))
        except Exception as error:  # noqa: BLE001 - evidence is untrusted: a parser's own error is an answer, too
            return Unreadable(seq=entry.seq, why=f"Entry {entry.seq}, a {entry.kind}, cannot be read: {error!r}.")
    return None


def check_body(entry: Entry) -> None:
    """Check that an entry's body has the form that its kind asks for.

    What the history itself refuses, such as names that cover nothing, is left to it.

    Raises:
        ProofError: It has not, or lacks a field.
    """
    check = _FORMS.get(entry.kind)
    if check is None:
        return
    try:
        check(entry.body)
    except (VolitionError, KeyError, TypeError, AttributeError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ProofError(f"Entry {entry.seq}, a {entry.kind}, cannot be read: {why}") from error


def _texts(body: Body, *names: str) -> None:
    for name in names:
        forms.text(body[name], f"Its {name}")


def _lists(body: Body, *names: str) -> None:
    for name in names:
        if not isinstance(body[name], list):
            raise ProofError(f"Its {name} is no list.")
        for one in body[name]:
            forms.text(one, f"Something in its {name}")


def _truth(body: Body, name: str) -> None:
    if not isinstance(body[name], bool):
        raise ProofError(f"Its {name} is neither true nor false.")


def _instant(value: Any, name: str) -> None:  # noqa: ANN401 - any JSON value
    if not _INSTANT.fullmatch(forms.text(value, f"Its {name}")):
        raise ProofError(f"Its {name} {value!r} is not spelt as instants are.")
    text_to_us(value)


def _namesake(body: Body) -> None:
    if "namesake" in body:
        _texts(body, "namesake")


def _terms(body: Body) -> None:
    _instant(body["terms"]["effective"], "version's instant of effect")
    _instant(body["binds"], "binds")


def _acceptance(body: Body) -> None:
    _texts(body, "account", "terms")


def _decision(body: Body) -> None:
    _texts(body, "party", "answer")
    _lists(body, "data", "purpose")
    if body["covers"] not in (None, "past"):
        _instant(body["covers"], "covers")
    if body.get("until") is not None:
        _instant(body["until"], "until")
    _namesake(body)


def _region(body: Body) -> None:
    _texts(body, "party", "region")
    check_region(body["region"])


def _signal(body: Body) -> None:
    _texts(body, "party", "signal")
    _namesake(body)


def _limit(body: Body) -> None:
    _texts(body, "account", "group")
    _lists(body, "data", "purpose", "people")
    _truth(body, "limited")


def _sharing(body: Body) -> None:
    _texts(body, "account", "conversation", "source", "by")
    _lists(body, "with")
    _truth(body, "shared")


def _exclusion(body: Body) -> None:
    _texts(body, "account", "conversation", "party")
    _lists(body, "purpose")
    _truth(body, "excluded")
    _namesake(body)


def _erasure(body: Body) -> None:
    _texts(body, "party")


_FORMS: Final[Mapping[str, Callable[[Body], None]]] = {
    "terms": _terms,
    "acceptance": _acceptance,
    "decision": _decision,
    "region": _region,
    "signal": _signal,
    "limit": _limit,
    "sharing": _sharing,
    "exclusion": _exclusion,
    "erasure": _erasure,
}
