"""Exclusions: conversations that were left out of some uses, and by whom ("not this meeting").

A conversation is a meeting, a channel or a file, known by its account and its name; whatever was collected under that
name belongs to it. An account leaves out all of it; a person, whatever in it concerns them. Both can take it back in:
then it is as if it had never been left out. What decides is what was said last (`consent.gate.exclusion`).

As with sharings, entries have a digest under a key of the account's own, so that nobody confirms the guess of a name.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from volition.consent.references import ConversationRef, PartyRef
from volition.consent.terms.vocabulary import BUILT_IN, Vocabulary, widened


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A party leaves a conversation out of some uses, or takes it back in.

    Attributes:
        account: Id of the account whose conversation it is.
        conversation: As entries name it.
        party: "account:ID" for all of it, or "person:PSEUDONYM" for what concerns them in it.
        purposes: Of which uses, as leaves.
        excluded: Whether it is left out from then on, or taken back in.
        at_us: When it was said, microseconds since the Unix epoch, UTC.
        seq: Number of its ledger entry; -1 if it came from none.
        by: Who said it, where it is recorded for the party because either may be meant (`namesake`); none: the party.
    """

    account: str
    conversation: ConversationRef
    party: PartyRef
    purposes: frozenset[str]
    excluded: bool
    at_us: int
    seq: int = -1
    by: PartyRef | None = None

    @property
    def said_by(self) -> PartyRef:
        """Who said it: the party, or a namesake."""
        return self.by or self.party


_Said = dict[PartyRef, list[Exclusion]]  # by whom, oldest first


class Exclusions:
    """Who left which conversation out of what, and since when."""

    def __init__(self, vocabulary: Vocabulary = BUILT_IN) -> None:
        """Start with nothing left out, of what the vocabulary names."""
        self._said: dict[str, dict[ConversationRef, _Said]] = {}
        self._entries: list[Exclusion] = []
        self._vocabulary = vocabulary

    def __bool__(self) -> bool:
        """Return whether anything was ever left out."""
        return bool(self._entries)

    def add(self, exclusion: Exclusion) -> None:
        """Somebody left a conversation out, or took it back in."""
        conversations = self._said.setdefault(exclusion.account, {})
        conversations.setdefault(exclusion.conversation, {}).setdefault(exclusion.party, []).append(exclusion)
        self._entries.append(exclusion)

    def widen(self, before: Vocabulary, after: Vocabulary) -> None:
        """Let what was left out, and taken back in, reach what is newly declared, as `vocabulary.widened` says."""
        said, self._entries, self._vocabulary = self._entries, [], after
        self._said.clear()
        for one in said:
            self.add(replace(one, purposes=widened(one.purposes, before.purposes, after.purposes)))

    def concern(self, account: str) -> bool:
        """Return whether any of an account's conversations was ever left out of anything."""
        return account in self._said

    def instants(self, account: str) -> list[int]:
        """Return every instant at which something was said of an account's conversations, oldest first."""
        every = self._said.get(account, {}).values()
        return sorted({one.at_us for said in every for heard in said.values() for one in heard})

    def version(self, account: str, *, at_us: int) -> int:
        """Return a number that is another once more had been said of an account's conversations, as of an instant."""
        return sum(
            bisect_right(said, at_us, key=lambda exclusion: exclusion.at_us)
            for one in self._said.get(account, {}).values()
            for said in one.values()
        )

    def of(self, account: str, conversation: ConversationRef) -> Mapping[PartyRef, Sequence[Exclusion]]:
        """Return everything that was said of a conversation, by whom, oldest first."""
        return self._said.get(account, {}).get(conversation, {})

    def standing(
        self,
        account: str,
        conversation: ConversationRef,
        party: PartyRef,
        *,
        at_us: int,
        said_by: PartyRef | None = None,
    ) -> dict[str, Exclusion]:
        """Return of which uses a conversation is left out for a party at an instant, and by which entry.

        Args:
            account: Id of the account.
            conversation: As entries name it.
            party: For whom.
            at_us: The instant.
            said_by: Only what this one said: the party, or a namesake; none for both. Each takes back in what they left
                out themselves.
        """
        said = self.of(account, conversation).get(party, [])
        standing: dict[tuple[str, PartyRef], Exclusion] = {}
        for one in said[: bisect_right(said, at_us, key=lambda exclusion: exclusion.at_us)]:
            for purpose in one.purposes if said_by in {None, one.said_by} else ():
                if one.excluded:
                    standing[purpose, one.said_by] = one
                else:
                    standing.pop((purpose, one.said_by), None)
        return {purpose: one for (purpose, _), one in standing.items()}

    def since_us(
        self, account: str, conversation: ConversationRef, party: PartyRef, *, purpose: str, at_us: int
    ) -> int | None:
        """Return since when a party itself has left a conversation out of a use, unbroken; none where it has not."""
        said = [one.at_us for one in self.of(account, conversation).get(party, ()) if one.at_us <= at_us]
        since_us = None
        for instant_us in reversed(said):
            if purpose not in self.standing(account, conversation, party, at_us=instant_us, said_by=party):
                break
            since_us = instant_us
        return since_us

    def by(self, party: PartyRef, *, at_us: int) -> Iterator[tuple[str, ConversationRef, dict[str, Exclusion]]]:
        """Yield what a party itself has left out at an instant: account, conversation, by which entry of which use."""
        for account, conversations in self._said.items():
            for conversation, said in conversations.items():
                if party in said:
                    standing = self.standing(account, conversation, party, at_us=at_us, said_by=party)
                    if standing:
                        yield account, conversation, standing

    def said_by(self, party: PartyRef) -> list[Exclusion]:
        """Return everything that a party itself left out and took back in, oldest first."""
        return [one for one in self._entries if one.party == party == one.said_by]

    def could_be(self, account: str, category: str, conversation: ConversationRef | None) -> Sequence[ConversationRef]:
        """Return of which conversations something could be, of those that were ever left out of anything.

        What is not known to be of another one could be any of the account's, where it is content; only content belongs
        to conversations.

        Args:
            account: Id of the account.
            category: Its category.
            conversation: As entries name it; empty if it belongs to none, None if that is not known.
        """
        conversations = self._said.get(account, {})
        if conversation is None:
            return list(conversations) if self._vocabulary.is_content(category) else ()
        return (conversation,) if conversation and conversation in conversations else ()

    def to_json(self) -> list[Any]:
        """Return the exclusions as JSON; `from_json` reads them back unchanged."""
        return [
            [one.account, one.conversation, one.party, sorted(one.purposes), one.excluded, one.at_us, one.seq, one.by]
            for one in self._entries
        ]

    @classmethod
    def from_json(cls, listed: Sequence[Sequence[Any]], vocabulary: Vocabulary = BUILT_IN) -> "Exclusions":
        """Read back what `to_json` returned, under the vocabulary of that time."""
        found = cls(vocabulary)
        for account, conversation, party, purposes, excluded, at_us, seq, *by in listed:  # saved before: nobody by name
            found.add(
                Exclusion(
                    account=account,
                    conversation=ConversationRef(conversation),
                    party=PartyRef(party),
                    purposes=frozenset(purposes),
                    excluded=excluded,
                    at_us=at_us,
                    seq=seq,
                    by=PartyRef(by[0]) if by and by[0] is not None else None,
                )
            )
        return found
