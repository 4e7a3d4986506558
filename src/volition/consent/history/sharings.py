"""Sharings: which conversations were opened to whom, and by whom (grants of an access control list).

A conversation is named by its account, its kind and a digest. Entries have a digest under a key of the account's own:
nobody confirms the guess of a name by the ledger, and nobody finds it once the account is erased. Those of earlier
versions have the plain digest that the lake knows it by. Who asks gives the plain one, and finds either.

It is opened to a person, or to the account: everybody who is one of its users. By whom matters, since nobody opens more
than what is theirs to open; `records.audience` decides that.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

OPERATOR: Final = "operator"
"""Whoever runs the workspace opened it."""

SOURCE: Final = "source"
"""It is open where it came from: a public channel."""

_Conversation = tuple[str, str]  # its kind, its digest
Keyed = Callable[[str, str], str | None]
"""From an account and a plain digest, the digest under the account's key; none where that is not there."""
_Grants = dict[_Conversation, dict[str, int]]  # by whom each was opened, and since when


class Sharings:
    """Who opened what to whom, as it stands. Nobody who opened something is listed twice.

    Attributes:
        keyed: What makes a plain digest the one that entries have. A workspace, which has the keys, sets it; without it
            what was shared under a key is not found, and so is closed.
    """

    def __init__(self) -> None:
        """Start with nothing shared."""
        self.keyed: Keyed = lambda _account, _source: None
        # account -> to whom -> conversation -> by whom -> since when
        self._grants: dict[str, dict[str, _Grants]] = defaultdict(lambda: defaultdict(dict))

    def share(self, account: str, conversation: _Conversation, *, to: Sequence[str], by: str, at_us: int) -> None:
        """Someone opened a conversation to parties; whoever did so before has opened it since then."""
        for party in to:
            self._grants[account][party].setdefault(conversation, {}).setdefault(by, at_us)

    def unshare(self, account: str, conversation: _Conversation, *, to: Sequence[str], by: str) -> None:
        """It is closed to parties again, whoever opened it; a source takes back its own word alone."""
        for party in to:
            openers = self._grants[account][party].pop(conversation, {})
            left = {one: at_us for one, at_us in openers.items() if by == SOURCE and one != SOURCE}
            if left:
                self._grants[account][party][conversation] = left

    def of(self, account: str, party: str) -> Mapping[_Conversation, Mapping[str, int]]:
        """Return what of an account was opened to a party: conversation -> by whom -> since when. Only to be read."""
        return self._grants[account][party] if party in self._grants.get(account, ()) else {}

    def openers(self, account: str, conversation: _Conversation) -> Mapping[str, Mapping[str, int]]:
        """Return to whom a conversation was opened: party -> by whom -> since when (0: it is not known any more)."""
        known_as = self.known_as(account, conversation)
        return {
            party: grants[known_as] for party, grants in self._grants.get(account, {}).items() if known_as in grants
        }

    def known_as(self, account: str, conversation: _Conversation) -> _Conversation:
        """Return what entries call a conversation, by its plain digest: under the key.

        As long as something stands that an earlier version opened under the plain digest, it stays with that.
        """
        kind, source = conversation
        if any(conversation in grants for grants in self._grants.get(account, {}).values()):
            return conversation
        return kind, self.keyed(account, source) or source

    def to_json(self) -> list[Any]:
        """Return the sharings as JSON; `from_json` reads them back unchanged."""
        return [list(one) for one in self._listed()]

    @classmethod
    def from_json(cls, listed: Sequence[Sequence[Any]]) -> "Sharings":
        """Read back what `to_json` returned; what an earlier version wrote has no instants."""
        found = cls()
        for account, party, kind, source, by, *at_us in listed:
            found.share(account, (kind, source), to=[party], by=by, at_us=at_us[0] if at_us else 0)
        return found

    def _listed(self) -> Iterator[tuple[str, str, str, str, str, int]]:
        for account, parties in self._grants.items():
            for party, grants in parties.items():
                for (kind, source), openers in grants.items():
                    yield from ((account, party, kind, source, by, at_us) for by, at_us in openers.items())
