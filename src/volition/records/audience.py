"""Audiences: who may read a conversation without any AI. Decided here and nowhere else (access control by row).

A yes lets a feature use data; it opens nothing to readers. A conversation is a meeting, a channel or a file. Its
audience is its members, and whoever it was opened to:

- A member of what was said is whoever said it or was there: the people of the record, but for those whom a message
  merely mentions. Where nothing else is known, it is theirs alone.
- Whoever was there may open it to a person or to the account, and so opens what was said while *they* were there: of
  two meetings of one name, not the other.
- The operator may open all of it. What its source says is open (a public channel) is open, except what the source or
  whoever collected it called private.
- What was opened to an account is for its users. A guest reads what they were in, and nothing else.
- What somebody opened who has been erased since is closed.
- A summary that a language model wrote is for whoever had it written, and for those to whom they sent it. Having been
  in the meeting gives nobody a summary, unless the account chose that for everyone who was there.

    >>> audience = audience_of(history, account="acme", person=ada)                        # doctest: +SKIP
    >>> [row for row in rows if audience.admits(row)]                                     # doctest: +SKIP
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache, partial
from typing import Final

from volition.consent.gate import Participant
from volition.consent.history import OPERATOR, SOURCE, History
from volition.consent.parties import Person
from volition.consent.references import source_id
from volition.records.lake import Row

MENTIONS: Final = "mentions"
"""In the payload of a message: pseudonyms of those whom it concerns because it mentions them. They are no members."""

WRITTEN: Final = "written"
"""The kind of a record that is a summary written by a language model, and of the entries that say to whom it was sent.

In its payload `for` is the pseudonym of whoever had it written, and `there` has those of everyone whose words it tells.
"""

TO_ALL_THERE: Final = "written-to-all"
"""The kind of the entries by which an account gives such summaries to everyone who was there, unless they are sent."""

ALL_MEETINGS: Final = "every meeting"
"""What these entries have for a name."""


class ConversationKind(StrEnum):
    """The kind of a conversation."""

    MEETING = "meeting"
    CHANNEL = "channel"
    FILE = "file"


CATEGORY: Final[Mapping[ConversationKind, str]] = {
    ConversationKind.MEETING: "content/transcript",
    ConversationKind.CHANNEL: "content/chat",
    ConversationKind.FILE: "content/files",
}
"""The category of what is said in it."""

_KINDS: Final = {
    "segment": ConversationKind.MEETING,
    "summary": ConversationKind.MEETING,
    "track": ConversationKind.MEETING,
    "piece": ConversationKind.MEETING,
    "message": ConversationKind.CHANNEL,
    "passage": ConversationKind.FILE,
}
"""The kind of the conversation that a record is a part of, by the kind of the record."""

Grants = Mapping[tuple[str, str], Collection[str]]
"""Conversations, by kind and digest as entries have it, and who opened each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Something that was opened.

    Attributes:
        to: To whom, "account:ID" or "person:PSEUDONYM".
        by: By whom, "person:PSEUDONYM", `OPERATOR` or `SOURCE`.
        since_us: Since when, microseconds since the Unix epoch, UTC; 0 if that is not known any more.
    """

    to: str
    by: str
    since_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Readership:
    """Who can open a conversation, as far as somebody who was there may know.

    Attributes:
        members: Pseudonyms of those who were there together with them, in the order of speaking.
        grants: To whom anything was opened of what was said while they were there, in no order.
    """

    members: tuple[str, ...]
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """What one person may read of one account.

    Attributes:
        account: The account.
        pseudonyms: The person, under every identity of theirs.
        is_guest: Whether they are no user of the account; what is opened to others is then not for them.
        grants: What was opened to them, themselves or as a user of the account; see `audience_of`.
        known_as: What entries call a conversation, by its kind and plain digest; see `Sharings.known_as`.
    """

    account: str
    pseudonyms: tuple[str, ...]
    is_guest: bool
    grants: Grants
    known_as: Callable[[tuple[str, str]], tuple[str, str]] = field(compare=False)

    def admits(self, row: Row) -> bool:
        """Return whether the person may read a record. Records of no conversation are for those whom they concern."""
        if row.account != self.account:
            return False
        if row.payload.get("kind") == WRITTEN:
            return self._receives(row)
        if any(was_there(pseudonym, row) for pseudonym in self.pseudonyms):
            return True
        kind = _KINDS.get(str(row.payload.get("kind")))
        if kind is None or self.is_guest or not self.grants:
            return False
        name = row.payload.get(kind.value)
        openers = self._openers(kind.value, name) if isinstance(name, str) else ()
        return any(_opens(by, row) for by in openers)

    def _receives(self, row: Row) -> bool:
        """Return whether a written summary is the person's own, was sent to them, or theirs by the account's choice."""
        owner = row.payload.get("for")
        if owner in self.pseudonyms:
            return True
        if self.is_guest:
            return False
        if f"person:{owner}" in self._openers(WRITTEN, str(row.payload.get("meeting"))):
            return True
        was_in_it = not set(self.pseudonyms).isdisjoint(row.payload.get("there", ()))
        return was_in_it and bool(self._openers(TO_ALL_THERE, ALL_MEETINGS))

    def is_opened(self, kind: ConversationKind, name: str, peoples: Iterable[Collection[str]]) -> bool:
        """Return whether a conversation was opened to the person, so that they may know of it.

        Args:
            kind: What it is.
            name: What it is called.
            peoples: Whom its records concern, as the gate names them; see `Lake.people_by_source`. Those whom a message
                merely mentions are among them, so this does not say who was there.
        """
        peoples = list(peoples)
        openers = () if self.is_guest else self._openers(kind.value, name)
        return any(by in {OPERATOR, SOURCE} or any(by in people for people in peoples) for by in openers)

    def _openers(self, kind: str, name: str) -> Collection[str]:
        return self.grants.get(self.known_as((kind, source_id(self.account, name))), ())


def participant(person: Person, account: str, at_us: int) -> Participant:
    """Return a person as somebody who reads again what was said while they were there, under whichever identity."""
    pseudonym, *merged = person.pseudonyms
    return Participant(pseudonym=pseudonym, account=account, at_us=at_us, merged=tuple(merged))


def was_there(pseudonym: str, row: Row) -> bool:
    """Return whether somebody said what was recorded, or was there when it was said: never of a written summary."""
    if row.payload.get("kind") == WRITTEN:
        return False
    return pseudonym in row.people and pseudonym not in row.payload.get(MENTIONS, ())


def readership_of(
    rows: Iterable[Row], *, pseudonyms: Collection[str], openers: Mapping[str, Mapping[str, int]]
) -> Readership | None:
    """Return who can open a conversation, as far as one person may know; none if they were not in it.

    Of two meetings of one name they learn nothing about the other: neither who was there nor who opened it.

    Args:
        rows: Its records, or those of them that concern the person.
        pseudonyms: Who asks, under every identity of theirs.
        openers: To whom it was opened, by whom and since when; see `Sharings.openers`.
    """
    there = [row for row in rows if any(was_there(pseudonym, row) for pseudonym in pseudonyms)]
    if not there:
        return None
    members = dict.fromkeys(one for row in there for one in row.people if was_there(one, row))
    grants = [
        Grant(to=to, by=by, since_us=since_us)
        for to, found in openers.items()
        for by, since_us in found.items()
        if any(_opens(by, row) for row in there)
    ]
    return Readership(members=tuple(members), grants=tuple(grants))


def reading_class(row: Row) -> Hashable:
    """Return what decides, within one conversation, who reads a record: two that share it have the same readers."""
    return frozenset(row.people), bool(row.payload.get("private")), tuple(row.payload.get(MENTIONS, ()))


def audience_of(history: History, *, account: str, person: Person) -> Audience:
    """Return what a person may read of an account.

    Args:
        history: What was opened, as of now.
        account: The account.
        person: Who reads. Somebody who is no user of this account is a guest there.
    """
    is_guest = person.is_guest or person.account != account
    grants: dict[tuple[str, str], tuple[str, ...]] = {}
    parties = (f"account:{account}", *(f"person:{pseudonym}" for pseudonym in person.pseudonyms))
    for party in () if is_guest else parties:
        for conversation, openers in history.sharings.of(account, party).items():
            standing = [by for by in openers if history.erased_us(by) is None]
            grants[conversation] = (*grants.get(conversation, ()), *standing)
    known_as = lru_cache(maxsize=10_000)(partial(history.sharings.known_as, account))
    return Audience(account=account, pseudonyms=person.pseudonyms, is_guest=is_guest, grants=grants, known_as=known_as)


def is_open(history: History, account: str, kind: ConversationKind, name: str) -> bool:
    """Return whether a conversation as a whole is open to the users of its account: its source or the operator says so.

    What is private in it is not, where it is the source that says so.
    """
    openers = history.sharings.openers(account, (kind.value, source_id(account, name)))
    return not {OPERATOR, SOURCE}.isdisjoint(openers.get(f"account:{account}", ()))


def _opens(by: str, row: Row) -> bool:
    """Return whether somebody's opening of a conversation reaches one record of it."""
    if by == SOURCE:
        return not row.payload.get("private")
    return by == OPERATOR or was_there(by.removeprefix("person:"), row)
