"""The form of what entries say: each field that permission rests on, and that anybody is told, is of its one type.

The history takes what it can, so that every log that was ever written still opens. Whoever checks a log of others asks
for more: a null is no party and no answer, a text is no list, and an instant has the spellings that were ever in use.
An answer under a misspelt name would be nobody's, and its receipt would look as if it were somebody's.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import text_to_us
from volition.consent.history import OPERATOR, History, extend_history
from volition.consent.terms.model import SIGNALS
from volition.consent.terms.regions import check_region
from volition.errors import ProofError, VolitionError
from volition.ledger.entry import Entry
from volition.transparency.verify import forms

Body = Mapping[str, Any]

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2}))?"
)

_PERSON: Final = re.compile("person:([0-9a-f]{32}|unknown)")
_CONVERSATION: Final = re.compile("[0-9a-f]{16}|[0-9a-f]{32}")  # the former in entries of the first versions
_ID: Final = re.compile("[0-9a-f]{32}")
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_CLAIM_NEEDS: Final = {"said", "by", "source"}
_CLAIM_MAY: Final = {*_CLAIM_NEEDS, "id", "wording"}
_SOURCE: Final = re.compile("[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,99}")
_TWO: Final = 2
_ANSWERS: Final = ("yes", "no")
_ACTS: Final = ("alias", "rename", "merge", "apart", "move", "leave")
_CONVERSATIONS: Final = ("meeting", "channel", "file", "written", "written-to-all")
_UNKNOWN: Final = "person:unknown"


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


def check_notices(entries: Iterable[Entry]) -> None:
    """Check that each notice is of a version that was published, and says when that binds.

    Raises:
        ProofError: One is of another version, or says another instant.
    """
    binds: dict[str, int] = {}
    for entry in entries:
        if entry.kind == "terms":
            binds.setdefault(entry.body["terms"]["id"], text_to_us(entry.body["binds"]))
        elif entry.kind == "notice" and binds.get(entry.body["terms"]) != text_to_us(entry.body["ends"]):
            raise ProofError(
                f"Entry {entry.seq} says that {entry.body['account']} was given notice of {entry.body['terms']!r} "
                f"until {entry.body['ends']}: no version was published before it that binds from then on."
            )


def missing_notices(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a sentence for each version of which accounts that had accepted terms before were given no notice."""
    accepted: set[str] = set()
    owed: dict[str, tuple[int, set[str]]] = {}
    for entry in entries:
        if entry.kind == "acceptance":
            accepted.add(entry.body["account"])
        elif entry.kind == "terms":
            owed.setdefault(entry.body["terms"]["id"], (entry.seq, set(accepted)))
        elif entry.kind == "notice" and entry.body["terms"] in owed:
            owed[entry.body["terms"]][1].discard(entry.body["account"])
    for name, (seq, accounts) in owed.items():
        if accounts:
            yield (
                f"Without notice: of the terms {name!r} (entry {seq}) no notice is recorded for {len(accounts)} that "
                f"had accepted terms, such as {min(accounts)}."
            )


def check_party(value: Any, name: str) -> None:  # noqa: ANN401 - any JSON value
    """Check that a value is a party, as entries name one. Raises ProofError where it is not."""
    _party(value, name)


def _account(value: Any, name: str) -> None:  # noqa: ANN401 - any JSON value
    account = forms.text(value, f"Its {name}")
    if not account or account != account.strip(" ") or any(character < " " for character in account):
        raise ProofError(f"Its {name} {account!r} is no id of an account.")


def _party(value: Any, name: str) -> None:  # noqa: ANN401 - any JSON value
    kind, _, whose = forms.text(value, f"Its {name}").partition(":")
    if kind == "account":
        _account(whose, name)
    elif not _PERSON.fullmatch(value):
        raise ProofError(f"Its {name} {value!r} is no account, and no person by a pseudonym of 32 hexadecimal digits.")


def _people(value: Any, name: str) -> None:  # noqa: ANN401 - any JSON value
    if not isinstance(value, list) or not all(isinstance(one, str) and _PERSON.fullmatch(one) for one in value):
        raise ProofError(f"Its {name} is no list of persons, each by a pseudonym of 32 hexadecimal digits.")


def _names(body: Body, *names: str) -> None:
    _lists(body, *names)
    for name in names:
        if not body[name]:
            raise ProofError(f"Its {name} names nothing.")


def _word(body: Body, name: str, words: Collection[str]) -> None:
    if forms.text(body[name], f"Its {name}") not in words:
        raise ProofError(f"Its {name} {body[name]!r} is none of: {', '.join(words)}.")


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


def _others(body: Body) -> None:
    for name in ("namesake", "same_as"):
        if name in body:
            _party(body[name], name)


def _terms(body: Body) -> None:
    _instant(body["terms"]["effective"], "version's instant of effect")
    _instant(body["binds"], "binds")


def _acceptance(body: Body) -> None:
    _account(body["account"], "account")
    _texts(body, "terms")


def _decision(body: Body) -> None:
    _party(body["party"], "party")
    _word(body, "answer", _ANSWERS)
    _names(body, "data", "purpose")
    if body["covers"] not in (None, "past"):
        _instant(body["covers"], "covers")
    if "until" in body:
        _instant(body["until"], "until")
    if "claim" in body:
        _claim(body["claim"])
    _others(body)


def _claim(claim: Any) -> None:  # noqa: ANN401 - any JSON value
    """Check what an imported answer says of itself; that it was not said later, and reaches back nowhere, is read."""
    if not isinstance(claim, Mapping) or not _CLAIM_NEEDS <= set(claim) <= _CLAIM_MAY:
        raise ProofError(f"Its claim has not the fields {', '.join(sorted(_CLAIM_NEEDS))}, or has others.")
    _instant(claim["said"], "claim's instant")
    if claim["by"] != OPERATOR:
        _party(claim["by"], "claim's importer")
    if not _SOURCE.fullmatch(forms.text(claim["source"], "Its claim's source")):
        raise ProofError("Its claim's source is no name of a source.")
    if "id" in claim and not _ID.fullmatch(forms.text(claim["id"], "Its claim's id")):
        raise ProofError("Its claim's id has not 32 hexadecimal digits.")
    if "wording" in claim and not _DIGEST.fullmatch(forms.text(claim["wording"], "Its claim's wording")):
        raise ProofError("Its claim's wording is no digest.")


def _region(body: Body) -> None:
    _party(body["party"], "party")
    check_region(forms.text(body["region"], "Its region"))


def _signal(body: Body) -> None:
    _party(body["party"], "party")
    _word(body, "signal", SIGNALS)
    _others(body)


def _limit(body: Body) -> None:
    _account(body["account"], "account")
    _texts(body, "group")
    _names(body, "data", "purpose")
    _people(body["people"], "people")
    _truth(body, "limited")


def _sharing(body: Body) -> None:
    _account(body["account"], "account")
    _word(body, "conversation", _CONVERSATIONS)
    _texts(body, "source")
    _lists(body, "with")
    for one in body["with"]:
        _party(one, "with")
    if body["by"] not in ("operator", "source"):
        _party(body["by"], "by")
    _truth(body, "shared")


def _exclusion(body: Body) -> None:
    _account(body["account"], "account")
    if not _CONVERSATION.fullmatch(forms.text(body["conversation"], "Its conversation")):
        raise ProofError(f"Its conversation {body['conversation']!r} is not named as entries name one.")
    _party(body["party"], "party")
    _names(body, "purpose")
    _truth(body, "excluded")
    _others(body)


def _erasure(body: Body) -> None:
    _party(body["party"], "party")
    _others(body)


def _removal(body: Body) -> None:
    _texts(body, "table")
    forms.from_hex(body["of"], "Its digest")
    _lists(body, "parties")
    for one in body["parties"]:
        _party(one, "parties")
    forms.count(body["rows"], "Its number of rows")
    forms.count(body["left"], "Its number of files")


def _identity(body: Body) -> None:
    _word(body, "act", _ACTS)
    _people(body["people"], "people")
    if body["act"] == "merge" and not len(body["people"]) == len(set(body["people"]) - {_UNKNOWN}) == _TWO:
        raise ProofError("It merges not two people.")
    if body["by"] != "operator":
        _party(body["by"], "by")


def _notice(body: Body) -> None:
    _account(body["account"], "account")
    _texts(body, "terms")
    _instant(body["ends"], "ends")


def _collect(body: Body) -> None:
    forms.fields(body, "It", ("records", "root"))
    forms.from_hex(body["root"], "Its root")
    if not forms.count(body["records"], "Its number of records"):
        raise ProofError("It enters a batch of no records.")


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
    "removal": _removal,
    "identity": _identity,
    "notice": _notice,
    "collect": _collect,
}
