"""Who may read an entry of the ledger, and who gets its proof (access control): decided here for every page and route.

- Whoever is signed in reads what names nobody: terms, snapshots, models, releases.
- A person, or a guest, reads what names them and no other person, under each of their identities. Of what is theirs
  and names others as well (their no counts for a namesake, too), the others are "a person".
- An administrator reads what names their account alone and no person: so they never see a pseudonym.
- The operator and the auditor are shown every entry, with each person in it as "a person". What one person answered
  stays private: of such an entry they get number, time, kind and hash. The evidence bundle, which an audit needs whole,
  is the one place where they get it, under a pseudonym.
- The proof of an entry goes to those who may read it, to the operator and to the auditor.

The hashes in a proof are those of other entries. Since entries have a salt, such a hash tells nothing. In a ledger that
began without, a hash over few early entries lets their content be guessed, so what would show one to somebody who may
not read them is refused (`check_hides`). A person's own receipts are given all the same.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.errors import RefusedError
from volition.ledger.entry import Entry
from volition.ledger.log import Ledger
from volition.server.auth import PEOPLE, Principal, Role
from volition.server.http_errors import FORBIDDEN, HttpError
from volition.workspace import Workspace

SOMEBODY: Final = "a person"
"""What stands for a person where an entry is shown to those who may not know which."""

UNGUESSED: Final = 16
"""So many entries under one hash cannot be guessed together: even two possibilities each, for one of a few people."""

_PERSON: Final = "person:"
_ACCOUNT: Final = "account:"
_PSEUDONYM: Final = re.compile(r"[0-9a-f]{32}")
_READS_ALL: Final = (Role.AUDITOR, Role.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryReader:
    """Somebody who is signed in, as far as it concerns what they may read of the ledger.

    Attributes:
        reads_all: Whether they are shown every entry, without people: the operator and the auditor.
        people: Who they are, "person:PSEUDONYM" for each identity.
        account: The account that they administer; none if they administer none.
    """

    reads_all: bool
    people: frozenset[str]
    account: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntry:
    """What of an entry is shown to a reader.

    Attributes:
        body: What it says; none where it is private.
        salt: Its salt, only where the entry is shown whole, and none where it has none.
    """

    body: dict[str, Any] | None
    salt: str | None


def entry_reader(who: Principal, workspace: Workspace) -> EntryReader:
    """Return what the ledger has for somebody who is signed in."""
    people: frozenset[str] = frozenset()
    if who.is_any(PEOPLE) and who.person is not None:
        pseudonyms = workspace.parties.person(who.person).pseudonyms
        people = frozenset(f"{_PERSON}{pseudonym}" for pseudonym in pseudonyms)
    return EntryReader(
        reads_all=who.is_any(_READS_ALL),
        people=people,
        account=who.account if Role.ADMINISTRATOR in who.roles else None,
    )


def may_read(reader: EntryReader, entry: Entry) -> bool:
    """Say whether somebody may read an entry whole, with its salt."""
    people, accounts = set(people_in(entry.body)), set(_accounts_in(entry.body))
    if people:
        return people <= reader.people
    return not accounts or reader.reads_all or accounts == {reader.account}


def is_personal(entry: Entry) -> bool:
    """Say whether an entry belongs to one person: an answer, a signal, a region, an erasure."""
    return str(entry.body.get("party", "")).startswith(_PERSON)


def is_own(reader: EntryReader, entry: Entry) -> bool:
    """Say whether an entry belongs to somebody: what they said, or what is on record for them."""
    return entry.body.get("party") in reader.people


def shown(reader: EntryReader, entry: Entry) -> ShownEntry:
    """Return what of an entry somebody is shown."""
    if may_read(reader, entry):
        return ShownEntry(body=dict(entry.body), salt=entry.salt)
    if is_own(reader, entry) or (reader.reads_all and not is_personal(entry)):
        return ShownEntry(body=without_people(entry.body, but=reader.people), salt=None)
    return ShownEntry(body=None, salt=None)


def check_may_prove(reader: EntryReader, ledger: Ledger, entry: Entry, spans: Iterable[tuple[int, int]]) -> None:
    """Check that somebody may have the proof of an entry.

    Args:
        reader: Who asks.
        ledger: The log.
        entry: The entry.
        spans: Of which entries, from start to end, each hash of the proof is made.

    Raises:
        HttpError: They may not read the entry.
        RefusedError: The proof would let them guess what other entries say.
    """
    if not (reader.reads_all or is_own(reader, entry) or may_read(reader, entry)):
        raise HttpError(
            FORBIDDEN, f"Entry {entry.seq:,} is about others, so its proof is for them and for auditors alone."
        )
    if not reader.people.intersection(people_in(entry.body)):  # their own is theirs, as it always was
        check_hides(reader, ledger, spans)


def check_hides(reader: EntryReader, ledger: Ledger, spans: Iterable[tuple[int, int]]) -> None:
    """Check that hashes over some entries let nobody guess what somebody may not read.

    Raises:
        RefusedError: One is over early entries without a salt, of which few may not be read: each can be guessed.
    """
    if reader.reads_all:  # the evidence bundle has it all
        return
    unsalted = count_unsalted(ledger)
    for start, end in spans:
        if start < unsalted and not _is_hidden(reader, ledger, start, end):
            raise RefusedError(
                f"This proof would hold a hash over the entries {start:,} to {end - 1:,}, which are from before "
                "entries were salted, so what others said in them could be guessed from it. An auditor can have the "
                "proof."
            )


def count_unsalted(ledger: Ledger) -> int:
    """Return how many entries, the first ones, have no salt: all of an early ledger's until it went on."""
    size = ledger.size
    return bisect_left(range(size), True, key=lambda seq: _entry(ledger, seq).salt is not None)  # noqa: FBT003


def without_people(value: Any, *, but: Collection[str] = ()) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with every person in it replaced by the word, but for some."""
    if isinstance(value, str):
        return SOMEBODY if _is_person(value) and value not in but else value
    if isinstance(value, list):
        return [without_people(one, but=but) for one in value]
    if isinstance(value, dict):
        return {without_people(key, but=but): without_people(one, but=but) for key, one in value.items()}
    return value


def people_in(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield every person whom a JSON value names, "person:PSEUDONYM", however often."""
    for text in _texts(value):
        if _is_person(text):
            yield f"{_PERSON}{text.removeprefix(_PERSON)}"


def _accounts_in(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield every account that an entry is about, by id."""
    named = [body.get("account"), *(body.get("accounts") or ())]
    yield from (account for account in named if isinstance(account, str))
    yield from (text.removeprefix(_ACCOUNT) for text in _texts(body) if text.startswith(_ACCOUNT))


def _is_person(text: str) -> bool:
    return text.startswith(_PERSON) or _PSEUDONYM.fullmatch(text) is not None


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _is_hidden(reader: EntryReader, ledger: Ledger, start: int, end: int) -> bool:
    """Say whether a hash over entries tells somebody nothing: of its own salt, of their number, or as they know all."""
    unread = 0
    for seq in reversed(range(start, end)):  # those with a salt come last
        entry = _entry(ledger, seq)
        if not may_read(reader, entry):
            unread += 1
            if entry.salt is not None or unread >= UNGUESSED:
                return True
    return unread == 0


def _entry(ledger: Ledger, seq: int) -> Entry:
    return next(iter(ledger.entries(seq, seq + 1)))
