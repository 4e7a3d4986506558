"""Audiences: open a conversation to people or to the account, close it again, and what one person may read.

A conversation (a meeting, a channel, a file) is its members' alone until one of them, the operator or its source opens
it. Who opened it is an entry of the ledger, by pseudonym. `records.audience` decides who reads.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from volition.consent.history import OPERATOR, SOURCE
from volition.consent.parties import Person
from volition.consent.references import source_id
from volition.errors import InvalidInputError, RefusedError
from volition.ledger.entry import Entry, NewEntry
from volition.records.audience import (
    ALL_MEETINGS,
    CATEGORY,
    TO_ALL_THERE,
    WRITTEN,
    Audience,
    ConversationKind,
    Grant,
    audience_of,
    participant,
    readership_of,
    was_there,
)
from volition.records.lake import Row
from volition.workspace.opened import Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Somebody, as pages and commands name them: "account:ID" or "person:ID", and a name."""

    party: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """To whom a conversation was opened, by whom, and since when.

    Attributes:
        to: To whom.
        by: By whom; `OPERATOR` and `SOURCE` are parties of their own.
        since_us: Since when, microseconds since the Unix epoch, UTC; 0 if that is not known any more.
    """

    to: Reader
    by: Reader
    since_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Who can open a conversation, as one of its readers may know.

    Attributes:
        was_there: Whether that reader was in it, and so may open it to others.
        members: Everyone who was there with them, by name; nobody where they were not there themselves.
        openings: To whom it was opened: everyone, for somebody who was there; otherwise this reader alone.
    """

    was_there: bool
    members: tuple[str, ...]
    openings: tuple[Opening, ...]


class Audiences:
    """Opens conversations, and says what somebody may read."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened

    def of(self, person: Person, account: str) -> Audience:
        """Return what a person may read of an account, now."""
        return audience_of(self._opened.history(), account=account, person=person)

    def kinds(self, name: str, *, account: str) -> tuple[ConversationKind, ...]:
        """Return which conversations of an account have a name: a meeting, a channel, a file, or several of these.

        It is the operator's to ask: for a person, that there is one at all may already be too much.
        """
        self._opened.parties.account(account)
        return tuple(kind for kind in ConversationKind if self._is_there(name, kind, account))

    def readers(self, name: str, *, kind: ConversationKind, account: str, person: str) -> Readers:
        """Return who can open a conversation, as far as one of its readers may know.

        Somebody who was there sees who was there with them, and to whom any of that was opened. Somebody to whom it was
        opened sees who opened it to them. To anybody else it is as if there were no such conversation.

        Raises:
            InvalidInputError: There is no such conversation, or none that they may know of.
            RefusedError: A guest asks, or somebody of another account.
        """
        known = self._user(account, person)
        source = source_id(account, name)
        openers = self._opened.history().sharings.openers(account, (kind.value, source))
        found = readership_of(
            self._heard(known, account, kind, source),
            pseudonyms=known.pseudonyms,
            openers={party: self._standing(openers[party]) for party in openers},
        )
        if found is not None:
            named = (self._named(f"person:{one}") for one in found.members)
            members = {one.party: one.name for one in named if one is not None}  # whoever has several identities, once
            openings = self._openings(account, found.grants)
            return Readers(was_there=True, members=tuple(members.values()), openings=openings)
        peoples = self._opened.lake.people_by_source(account, category=CATEGORY[kind]).get(source, ())
        if not peoples or not self.of(known, account).is_opened(kind, name, peoples):
            raise InvalidInputError(f"There is no {kind.value} {name!r} that {person} may read.")
        own = (f"account:{account}", *(f"person:{one}" for one in known.pseudonyms))
        grants = [
            Grant(to=party, by=by, since_us=since_us)
            for party in own
            for by, since_us in self._standing(openers.get(party, {})).items()
            if by in {OPERATOR, SOURCE} or any(by in people for people in peoples)
        ]
        return Readers(was_there=False, members=(), openings=self._openings(account, grants))

    def share(  # noqa: PLR0913 - what is opened, to whom, by whom
        self,
        name: str,
        *,
        kind: ConversationKind,
        account: str,
        people: Sequence[str] = (),
        with_account: bool = False,
        by: str | None = None,
    ) -> Entry | None:
        """Open a conversation: to people of its account, to all users of the account, or to both.

        A member opens what was said while they were there, the operator all of it. It holds for what is said later,
        too, until `unshare`.

        Args:
            name: What it is called.
            kind: What it is.
            account: Whose it is.
            people: To whom, by id, or by a name or address that is theirs alone; users of the account, no guests.
            with_account: Whether to open it to all users of the account.
            by: Who opens it, by id; none for the operator.

        Returns:
            The ledger's entry; none if it was open to all of them already, by the same.

        Raises:
            InvalidInputError: There is no such conversation, or, for a person, none in which they were; or nobody was
                named; or somebody who was is no user of the account.
            RefusedError: A guest asks, or somebody of another account.
        """
        told, to = self._told(name, kind, account, people, with_account=with_account, by=by)
        conversation = (kind.value, source_id(account, name))
        openers = self._opened.history().sharings.openers(account, conversation)
        new = {opener: [party for party in to if opener not in openers.get(party, ())] for opener in told}
        drafts = [
            self._entry(account, conversation, to=parties, shared=True, by=opener)
            for opener, parties in new.items()
            if parties
        ]
        return next(iter(self._opened.ledger.append(*drafts)), None)

    def unshare(  # noqa: PLR0913 - as `share`
        self,
        name: str,
        *,
        kind: ConversationKind,
        account: str,
        people: Sequence[str] = (),
        with_account: bool = False,
        by: str | None = None,
    ) -> Entry | None:
        """Close a conversation again to those named, whoever opened it to them; members read on. Raises as `share`.

        Closed to the account, it stays open to people to whom it was opened by name. Where nothing was open that this
        person knows of, nothing is closed: of two meetings of one name they do not learn who opened the other.
        """
        [closer, *_], to = self._told(name, kind, account, people, with_account=with_account, by=by)
        conversation = (kind.value, source_id(account, name))
        openers = self._opened.history().sharings.openers(account, conversation)
        shown = set(openers) if by is None else self._shown_to(closer, account, kind, conversation[1], openers)
        known = [party for party in to if party in shown]
        if not known:
            return None
        return self._opened.ledger.append(self._entry(account, conversation, to=known, shared=False, by=closer))[0]

    def note_source(self, account: str, kind: ConversationKind, is_open: Mapping[str, bool]) -> None:
        """Note which conversations their source opens to all of the account, by name, and which it does not any more.

        What a member or the operator opened stays as it is. Where the source calls it private, what was open because of
        an earlier word of the source is closed.
        """
        if account in self._opened.parties.erased_accounts():
            return
        to = f"account:{account}"
        sharings, new = self._opened.history().sharings, []
        for name, opens in sorted(is_open.items()):
            conversation = (kind.value, source_id(account, name))
            if opens != (SOURCE in sharings.openers(account, conversation).get(to, ())):
                new.append(self._entry(account, conversation, to=[to], shared=opens, by=SOURCE))
        self._opened.ledger.append(*new)

    def send_summary(self, meeting: str, *, by: Person, account: str, people: Sequence[str]) -> Entry | None:
        """Send the summary that somebody had written of a meeting to colleagues, who then read it as it is at any time.

        Nothing of the meeting itself is opened to them.

        Args:
            meeting: The meeting's name.
            by: Who had it written.
            account: Whose meeting it is.
            people: To whom, by id, or by a name or address that is theirs alone; users of the account, no guests.

        Returns:
            The ledger's entry; none if all of them have it already.

        Raises:
            InvalidInputError: Nobody was named, or somebody who was is no user of the account.
        """
        to = [f"person:{self._colleague(one, account).pseudonym}" for one in people]
        if not to:
            raise InvalidInputError("Say to whom: to people by their ids, addresses or names.")
        opener, conversation = f"person:{by.pseudonym}", (WRITTEN, source_id(account, meeting))
        openers = self._opened.history().sharings.openers(account, conversation)
        new = [party for party in dict.fromkeys(to) if opener not in openers.get(party, ())]
        if not new:
            return None
        return self._opened.ledger.append(self._entry(account, conversation, to=new, shared=True, by=opener))[0]

    def take_back_summary(self, meeting: str, *, by: Person, account: str, people: Sequence[str]) -> Entry | None:
        """Take a summary back from those to whom somebody sent it. Raises as `send_summary`.

        An entry closes for a party what everybody has opened to it; what others sent of the same meeting is sent again.
        """
        conversation = (WRITTEN, source_id(account, meeting))
        openers = self._opened.history().sharings.openers(account, conversation)
        own = {f"person:{pseudonym}" for pseudonym in by.pseudonyms}
        named = {f"person:{self._colleague(one, account).pseudonym}" for one in people}
        closed = sorted(party for party in named if not own.isdisjoint(openers.get(party, ())))
        if not closed:
            return None
        drafts = [self._entry(account, conversation, to=closed, shared=False, by=f"person:{by.pseudonym}")]
        drafts += [
            self._entry(account, conversation, to=[party], shared=True, by=other)
            for party in closed
            for other in sorted(set(openers[party]) - own)
        ]
        return self._opened.ledger.append(*drafts)[0]

    def receivers(self, meeting: str, *, by: Person, account: str) -> tuple[Reader, ...]:
        """Return to whom somebody sent the summary that they had written of a meeting, by name."""
        openers = self._opened.history().sharings.openers(account, (WRITTEN, source_id(account, meeting)))
        own = {f"person:{pseudonym}" for pseudonym in by.pseudonyms}
        named = [self._named(party) for party, found in openers.items() if not own.isdisjoint(found)]
        return tuple(sorted((one for one in named if one is not None), key=lambda one: one.name))

    def gives_summaries_to_all_there(self, account: str) -> bool:
        """Return whether everyone who was in a meeting of an account receives each summary of it. By default nobody."""
        conversation = (TO_ALL_THERE, source_id(account, ALL_MEETINGS))
        return bool(self._opened.history().sharings.openers(account, conversation))

    def give_summaries_to_all_there(self, account: str, *, given: bool) -> Entry | None:
        """Choose for an account who receives a summary that nobody sent: everyone who was there, or nobody.

        Returns:
            The ledger's entry; none if it was chosen already.
        """
        account = self._opened.parties.account(account).id
        if self.gives_summaries_to_all_there(account) == given:
            return None
        party, conversation = f"account:{account}", (TO_ALL_THERE, source_id(account, ALL_MEETINGS))
        return self._opened.ledger.append(self._entry(account, conversation, to=[party], shared=given, by=party))[0]

    def _is_there(self, name: str, kind: ConversationKind, account: str) -> bool:
        return self._opened.lake.meeting(account, name, category=CATEGORY[kind]) is not None

    def _told(  # noqa: PLR0913 - as `share`
        self,
        name: str,
        kind: ConversationKind,
        account: str,
        people: Sequence[str],
        *,
        with_account: bool,
        by: str | None,
    ) -> tuple[list[str], list[str]]:
        """Check who opens or closes what to whom; return both as the ledger names them.

        A person opens it under each identity under which they were there.
        """
        self._opened.parties.account(account)
        openers = [OPERATOR] if by is None else self._member(name, kind, account, by)
        if by is None and not self._is_there(name, kind, account):
            raise InvalidInputError(f"The account {account} has no {kind.value} {name!r}.")
        to = [f"account:{account}"] if with_account else []
        to += [f"person:{self._colleague(one, account).pseudonym}" for one in people]
        if not to:
            raise InvalidInputError("Say to whom: to people by their ids or names, or to the account.")
        return openers, list(dict.fromkeys(to))

    def _colleague(self, named: str, account: str) -> Person:
        """Return a user of an account. Of anybody else it is not said whether there is such a person."""
        try:
            found: Person | None = self._opened.parties.person(named)
        except (InvalidInputError, RefusedError):
            found = None
        if found is None or found.account != account:
            found = self._opened.parties.find_person(account, named)
        if found is None or found.is_guest or found.account != account:
            raise InvalidInputError(
                f"{named!r} is no user of the account {account}, or could be several. It can be opened to its users "
                "only: name one by id, e-mail address or full name."
            )
        return found

    def _user(self, account: str, person: str) -> Person:
        known = self._opened.parties.person(person)
        if known.is_guest or known.account != account:
            msg = f"{person} is no user of the account {account}, and its conversations are for its users alone."
            raise RefusedError(msg)
        return known

    def _heard(self, person: Person, account: str, kind: ConversationKind, source: str) -> Iterator[Row]:
        reader = participant(person, account, self._opened.now_us)
        return self._opened.lake.heard_rows(reader, categories=[CATEGORY[kind]], source=source)

    def _member(self, name: str, kind: ConversationKind, account: str, by: str) -> list[str]:
        """Return as whom somebody was in a conversation; if they were not, whether it exists is not said."""
        person = self._user(account, by)
        rows = list(self._heard(person, account, kind, source_id(account, name)))
        found = [f"person:{one}" for one in person.pseudonyms if any(was_there(one, row) for row in rows)]
        if not found:
            raise InvalidInputError(f"There is no {kind.value} {name!r} that {by} was in, so nothing can be opened.")
        return found

    def _entry(
        self, account: str, conversation: tuple[str, str], *, to: Sequence[str], shared: bool, by: str
    ) -> NewEntry:
        kind, source = self._opened.history().sharings.known_as(account, conversation)
        about = {"account": account, "conversation": kind, "source": source}
        return NewEntry(kind="sharing", body={**about, "with": list(to), "shared": shared, "by": by})

    def _shown_to(
        self, closer: str, account: str, kind: ConversationKind, source: str, openers: Mapping[str, Mapping[str, int]]
    ) -> set[str]:
        """Return to whom it was opened, as far as somebody who was there knows."""
        person = self._opened.parties.person_by_pseudonym(closer.removeprefix("person:"))
        rows = () if person is None else self._heard(person, account, kind, source)
        found = readership_of(rows, pseudonyms=() if person is None else person.pseudonyms, openers=openers)
        return set() if found is None else {grant.to for grant in found.grants}

    def _standing(self, openers: Mapping[str, int]) -> dict[str, int]:
        """Leave out who was erased since: what they opened is closed."""
        history = self._opened.history()
        return {by: since_us for by, since_us in openers.items() if history.erased_us(by) is None}

    def _openings(self, account: str, grants: Iterable[Grant]) -> tuple[Opening, ...]:
        """Name the parties, the account first; whoever is no user of the account any more can open nothing."""
        found: dict[tuple[str, str], Opening] = {}  # whoever opened it under several identities did so once
        for grant in sorted(grants, key=lambda one: one.since_us):
            to, by = self._named(grant.to), self._named(grant.by)
            if to is not None and by is not None and self._is_of(account, to):
                found.setdefault((to.party, by.party), Opening(to=to, by=by, since_us=grant.since_us))
        return tuple(
            sorted(found.values(), key=lambda one: (one.to.party.startswith("person:"), one.to.name, one.since_us))
        )

    def _is_of(self, account: str, reader: Reader) -> bool:
        kind, _, name = reader.party.partition(":")
        return kind == "account" or self._opened.parties.person(name).account == account

    def _named(self, party: str) -> Reader | None:
        if party in {OPERATOR, SOURCE}:
            return Reader(party=party, name=f"the {party}")
        if party.startswith("account:"):
            return Reader(party=party, name=self._opened.parties.account(party.removeprefix("account:")).name)
        person = self._opened.parties.person_by_pseudonym(party.removeprefix("person:"))
        return None if person is None else Reader(party=f"person:{person.id}", name=person.name or person.id)
