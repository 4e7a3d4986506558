"""Leaving a conversation out: one meeting, channel or file is taken out of one use of AI, or of all, and back in.

The account leaves out all of a conversation, a person whatever in it concerns them. It bears on what was collected and
on what will be; a model that has learned from it forgets it, as after any no. Taken back in, it is there as before.

As with a no, what a person leaves out is left out for those, too, who may be the same person (`namesakes`): as an entry
of theirs that names the one who said it, and who alone takes it back in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from volition.consent.exclusions import excluding
from volition.consent.references import ConversationRef, PartyRef, account_ref, person_ref, source_id
from volition.errors import InvalidInputError, RefusedError
from volition.ledger.entry import Entry, NewEntry
from volition.workspace.namesakes import Namesakes
from volition.workspace.opened import Opened

if TYPE_CHECKING:
    from volition.consent.history import Exclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A conversation that a party has left out, as it stands.

    Attributes:
        account: Whose conversation it is.
        conversation: As entries of the ledger name it.
        purposes: Of which uses, as leaves, in the order of `terms.PURPOSES`.
        at_us: When the newest of it was said, microseconds since the Unix epoch, UTC.
        seq: That entry's number.
    """

    account: str
    conversation: ConversationRef
    purposes: tuple[str, ...]
    at_us: int
    seq: int


class ConversationExclusions:
    """Leaves conversations out of uses, takes them back in, and says which are left out."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened
        self._namesakes = Namesakes(opened)

    def exclude(
        self,
        name: str,
        *,
        account: str,
        by: str | None = None,
        purpose: Sequence[str] = (),
        excluded: bool = True,
    ) -> Entry | None:
        """Leave a conversation out of some uses, or take it back in. Once this returns, every later answer knows it.

        Args:
            name: What it is called; whatever was collected under that name belongs to it.
            account: Whose it is.
            by: The person who leaves out what concerns them, by id; none for the account, which leaves out all of it.
            purpose: Of which uses; a name covers all below it, and nothing means every use.
            excluded: Whether to leave it out or to take it back in.

        Returns:
            The ledger's entry, of several identities of a person the first one's; none if it stood so already.

        Raises:
            InvalidInputError: There is no such conversation, or, for a person, none that has anything about them; or no
                such use.
            RefusedError: The person belongs to another account.
        """
        account = self._opened.parties.account(account).id
        vocabulary = self._opened.history().vocabulary
        vocabulary.leaves_of_use(purpose)
        purpose = purpose or vocabulary.all_uses
        parties = {*self._parties(account, by), *self._may_be(by)}
        source = source_id(account, name)
        concerned = self._concerned(account, source)
        if not concerned or (by is not None and concerned.isdisjoint(parties)):
            which = "that has anything about you" if by is not None else "here: take the name from its page"
            raise InvalidInputError(f"There is no meeting, channel or file {name!r} {which}.")
        conversation = self._opened.parties.conversation_ref(account, source)
        if conversation is None:
            raise RefusedError(f"The account {account} was erased: there is nothing to leave out.")
        return self._append(account, conversation, by, purpose, excluded=excluded)

    def lift(self, account: str, seq: int, *, by: str | None = None) -> Entry | None:
        """Take a conversation back in that an entry left out, by the same party: into every use.

        Args:
            account: Whose conversation it is.
            seq: Number of the entry.
            by: As of `exclude`.

        Raises:
            InvalidInputError: That entry left out nothing, or somebody else's.
        """
        account = self._opened.parties.account(account).id
        parties = self._parties(account, by)
        found = [*self._opened.ledger.entries(seq, seq + 1)] if 0 <= seq < self._opened.history().size else []
        for entry in found:
            body = entry.body
            if (
                entry.kind == "exclusion"
                and body["account"] == account
                and body.get("namesake", body["party"]) in parties
            ):
                conversation = ConversationRef(str(body["conversation"]))
                every = self._opened.history().vocabulary.all_uses
                return self._append(account, conversation, by, every, excluded=False)
        raise InvalidInputError(f"Entry {seq} is no conversation that you left out. Reload the page and try again.")

    def of(self, account: str, *, by: str | None = None) -> tuple[LeftOut, ...]:
        """Return what a party has left out of an account's conversations, the newest first. Takes what `exclude` does.

        Raises:
            InvalidInputError: There is no such account or person.
            RefusedError: The person belongs to another account, or was erased.
        """
        history, at_us = self._opened.history(), self._opened.now_us
        found: dict[ConversationRef, dict[str, Exclusion]] = {}
        for party in self._parties(self._opened.parties.account(account).id, by):
            for whose, conversation, standing in history.exclusions.by(party, at_us=at_us):
                if whose == account:
                    found.setdefault(conversation, {}).update(standing)
        left_out = [
            LeftOut(
                account=account,
                conversation=conversation,
                purposes=tuple(purpose for purpose in history.vocabulary.purposes if purpose in standing),
                at_us=max(one.at_us for one in standing.values()),
                seq=max(one.seq for one in standing.values()),
            )
            for conversation, standing in found.items()
        ]
        return tuple(sorted(left_out, key=lambda one: -one.seq))

    def of_conversation(self, name: str, *, account: str, by: str | None = None) -> tuple[str, ...]:
        """Return of which uses a party has left a conversation out, as leaves in the order of `terms.PURPOSES`.

        Takes what `exclude` does, and raises as `of` does.
        """
        conversation = self._opened.parties.conversation_ref(account, source_id(account, name))
        found = (one.purposes for one in self.of(account, by=by) if one.conversation == conversation)
        return next(found, ())

    def _parties(self, account: str, by: str | None) -> list[PartyRef]:
        """Return who says it as the ledger names them: each identity of a person."""
        if by is None:
            return [account_ref(account)]
        person = self._opened.parties.person(by)
        if person.account not in {None, account} and account not in person.former:
            raise RefusedError(f"{by} belongs to another account.")
        return [PartyRef(name) for name in self._opened.identities(self._opened.party(f"person:{by}"))]

    def _concerned(self, account: str, source: str) -> set[str]:
        """Return whom anything of a conversation concerns, as the gate names them; nobody where there is none."""
        lake, vocabulary = self._opened.lake, self._opened.history().vocabulary
        return {
            party
            for category in vocabulary.categories
            if vocabulary.is_content(category)
            for people in lake.people_by_source(account, category=category).get(source, ())
            for party in people
        }

    def _may_be(self, by: str | None) -> list[PartyRef]:
        """Return who may be the person who says it, as the ledger names them."""
        if by is None:
            return []
        others = self._namesakes.sharing(self._opened.parties.person(by))
        return [person_ref(pseudonym) for other in others for pseudonym in other.pseudonyms]

    def _append(
        self, account: str, conversation: ConversationRef, by: str | None, purpose: Sequence[str], *, excluded: bool
    ) -> Entry | None:
        """Record it for every identity, and for those who may be the person, where it does not stand already."""
        entry, was_recorded = None, False
        while True:
            version = self._opened.parties.version()
            parties = self._parties(account, by)
            drafts = [*self._drafts(account, conversation, parties, self._may_be(by), purpose, excluded=excluded)]
            if drafts:
                was_recorded = True
                entries = self._opened.ledger.append(*drafts)
                entry = entry or next((one for one in entries if one.body["party"] in parties), None)
            if self._opened.parties.version() == version:  # else somebody may have been merged into them meanwhile
                break
        if not was_recorded:
            self._opened.leases.wait()  # the process that recorded it may have been killed before it was acknowledged
        return entry

    def _drafts(  # noqa: PLR0913 - as `_append`
        self,
        account: str,
        conversation: ConversationRef,
        parties: Sequence[PartyRef],
        others: Sequence[PartyRef],
        purpose: Sequence[str],
        *,
        excluded: bool,
    ) -> Iterator[NewEntry]:
        history, at_us = self._opened.history(), self._opened.now_us
        exclusions, uses = history.exclusions, set(history.vocabulary.leaves_of_use(purpose))
        recorded_for = exclusions.of(account, conversation)  # also for whoever is no namesake any more
        for party in dict.fromkeys([*parties, *others] if excluded else [*parties, *recorded_for]):
            for said_by in [party] if excluded and party in parties else parties:
                standing = exclusions.standing(account, conversation, party, at_us=at_us, said_by=said_by)
                if (uses - standing.keys()) if excluded else (uses & standing.keys()):
                    yield excluding(account, conversation, party, purpose, excluded=excluded, said_by=said_by)
