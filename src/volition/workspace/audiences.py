"""Audiences: open a conversation to people or to the account, close it again, and what one person may read.

A conversation (a meeting, a channel, a file) is its members' alone until one of them, the operator or its source opens
it. Who opened it is an entry of the ledger, by pseudonym. `records.audience` decides who reads.
"""

from collections.abc import Mapping, Sequence

from volition.consent.gate import Participant
from volition.consent.history import OPERATOR, SOURCE
from volition.consent.parties import Person
from volition.errors import InvalidInputError, RefusedError
from volition.ledger.entry import Entry, NewEntry
from volition.records.audience import CATEGORY, Audience, ConversationKind, audience_of, was_there
from volition.records.lake import source_id
from volition.workspace.opened import Opened


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
            people: To whom, by id; users of the account, no guests.
            with_account: Whether to open it to all users of the account.
            by: Who opens it, by id; none for the operator.

        Returns:
            The ledger's entry; none if it was open to all of them already, by the same.

        Raises:
            InvalidInputError: There is no such conversation, or, for a person, none in which they were; or it was said
                to whom to open it neither by name nor by account; or somebody named is no user of the account.
            RefusedError: A guest asks, or somebody of another account.
        """
        opener, to = self._told(name, kind, account, people, with_account=with_account, by=by)
        conversation = (kind.value, source_id(account, name))
        openers = self._opened.history().sharings.openers(account, conversation)
        new = [party for party in to if opener not in openers.get(party, ())]
        if not new:
            return None
        return self._opened.ledger.append(self._entry(account, conversation, to=new, shared=True, by=opener))[0]

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

        Closed to the account, it stays open to people to whom it was opened by name.
        """
        closer, to = self._told(name, kind, account, people, with_account=with_account, by=by)
        conversation = (kind.value, source_id(account, name))
        openers = self._opened.history().sharings.openers(account, conversation)
        known = [party for party in to if party in openers]
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
    ) -> tuple[str, list[str]]:
        """Check who opens or closes what to whom; return both as the ledger names them."""
        self._opened.parties.account(account)
        opener = OPERATOR if by is None else f"person:{self._member(name, kind, account, by).pseudonym}"
        if by is None and not self._is_there(name, kind, account):
            raise InvalidInputError(f"The account {account} has no {kind.value} {name!r}.")
        to = [f"account:{account}"] if with_account else []
        for one in people:
            person = self._opened.parties.person(one)
            if person.account != account or person.is_guest:
                raise InvalidInputError(
                    f"{one} is no user of the account {account}; it can be opened to its users only."
                )
            to.append(f"person:{person.pseudonym}")
        if not to:
            raise InvalidInputError("Say to whom: to people by their ids, or to the account.")
        return opener, list(dict.fromkeys(to))

    def _member(self, name: str, kind: ConversationKind, account: str, by: str) -> Person:
        """Return who opens or closes a conversation, if they were in it; otherwise whether it exists is not said."""
        person = self._opened.parties.person(by)
        if person.is_guest or person.account != account:
            raise RefusedError(f"{by} is no user of the account {account}, and only its users open its conversations.")
        reader = Participant(pseudonym=person.pseudonym, account=account, at_us=self._opened.now_us)
        rows = self._opened.lake.heard_rows(reader, categories=[CATEGORY[kind]], source=source_id(account, name))
        if not any(was_there(person.pseudonym, row) for row in rows):
            raise InvalidInputError(f"There is no {kind.value} {name!r} that {by} was in, so nothing can be opened.")
        return person

    def _entry(
        self, account: str, conversation: tuple[str, str], *, to: Sequence[str], shared: bool, by: str
    ) -> NewEntry:
        kind, source = self._opened.history().sharings.known_as(account, conversation)
        about = {"account": account, "conversation": kind, "source": source}
        return NewEntry(kind="sharing", body={**about, "with": list(to), "shared": shared, "by": by})
