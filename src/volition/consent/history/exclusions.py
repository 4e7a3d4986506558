"""Exclusions: conversations that were left out of some uses, and by whom ("not this meeting").

A conversation is a meeting, a channel or a file, known by its account and its name; whatever was collected under that
name belongs to it. An account leaves out all of it; a person, whatever in it concerns them. Both can take it back in:
then it is as if it had never been left out. What decides is what was said last (`consent.gate.exclusion`).

As with sharings, entries have a digest under a key of the account's own, so that nobody confirms the guess of a name.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from volition.consent.references import ConversationRef, PartyRef


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
    """

    account: str
    conversation: ConversationRef
    party: PartyRef
    purposes: frozenset[str]
    excluded: bool
    at_us: int
    seq: int = -1


_Said = dict[PartyRef, list[Exclusion]]  # by whom, oldest first


class Exclusions:
    """Who left which conversation out of what, and since when."""

    def __init__(self) -> None:
        """Start with nothing left out."""
        self._said: dict[str, dict[ConversationRef, _Said]] = {}
        self._entries: list[Exclusion] = []

    def __bool__(self) -> bool:
        """Return whether anything was ever left out."""
        return bool(self._entries)

    def add(self, exclusion: Exclusion) -> None:
        """Somebody left a conversation out, or took it back in."""
        conversations = self._said.setdefault(exclusion.account, {})
        conversations.setdefault(exclusion.conversation, {}).setdefault(exclusion.party, []).append(exclusion)
        self._entries.append(exclusion)

    def concern(self, account: str) -> bool:
        """Return whether any of an account's conversations was ever left out of anything."""
        return account in self._said

    def instants(self, account: str) -> list[int]:
        """Return every instant at which something was said of an account's conversations, oldest first."""
        every = self._said.get(account, {}).values()
        return sorted({one.at_us for said in every for heard in said.values() for one in heard})

    def version(self, account: str) -> int:
        """Return a number that is another once anything more was said of an account's conversations."""
        return sum(len(said) for one in self._said.get(account, {}).values() for said in one.values())

    def of(self, account: str, conversation: ConversationRef) -> Mapping[PartyRef, Sequence[Exclusion]]:
        """Return everything that was said of a conversation, by whom, oldest first."""
        return self._said.get(account, {}).get(conversation, {})

    def standing(
        self, account: str, conversation: ConversationRef, party: PartyRef, *, at_us: int
    ) -> dict[str, Exclusion]:
        """Return of which uses a party has left a conversation out at an instant, and by which entry."""
        said = self.of(account, conversation).get(party, [])
        standing: dict[str, Exclusion] = {}
        for one in said[: bisect_right(said, at_us, key=lambda exclusion: exclusion.at_us)]:
            for purpose in one.purposes:
                if one.excluded:
                    standing[purpose] = one
                else:
                    standing.pop(purpose, None)
        return standing

    def by(self, party: PartyRef, *, at_us: int) -> Iterator[tuple[str, ConversationRef, dict[str, Exclusion]]]:
        """Yield what a party has left out at an instant: account, conversation, and by which entry of which use."""
        for account, conversations in self._said.items():
            for conversation, said in conversations.items():
                if party in said:
                    standing = self.standing(account, conversation, party, at_us=at_us)
                    if standing:
                        yield account, conversation, standing

    def said_by(self, party: PartyRef) -> list[Exclusion]:
        """Return everything that a party left out and took back in, oldest first."""
        return [one for one in self._entries if one.party == party]

    def conversations(self, account: str) -> Sequence[ConversationRef]:
        """Return which of an account's conversations were ever left out of anything."""
        return list(self._said.get(account, ()))

    def to_json(self) -> list[Any]:
        """Return the exclusions as JSON; `from_json` reads them back unchanged."""
        return [
            [one.account, one.conversation, one.party, sorted(one.purposes), one.excluded, one.at_us, one.seq]
            for one in self._entries
        ]

    @classmethod
    def from_json(cls, listed: Sequence[Sequence[Any]]) -> "Exclusions":
        """Read back what `to_json` returned."""
        found = cls()
        for account, conversation, party, purposes, excluded, at_us, seq in listed:
            found.add(
                Exclusion(
                    account=account,
                    conversation=ConversationRef(conversation),
                    party=PartyRef(party),
                    purposes=frozenset(purposes),
                    excluded=excluded,
                    at_us=at_us,
                    seq=seq,
                )
            )
        return found
