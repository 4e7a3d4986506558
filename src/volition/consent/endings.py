"""Yeses that end soon: whose, when, and for what. It decides nothing; it names who is to be asked anew in time.

A yes ends on the date that it names, or at the age that the rule sets which asks for it (consent renewal). Said anew
before that, its stretch goes on; said after it, what was collected before stays out. So somebody should be reminded.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from volition.canonical import us_to_text
from volition.consent.history import History
from volition.consent.permits import PartyRole, Use, allowed, yes_end_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A party's yes that stands and will end, for all uses for which it ends at the same instant.

    Attributes:
        party: "account:ID" or "person:PSEUDONYM".
        account: Id of the account whose data it is about.
        end_us: When it ends (not included), microseconds since the Unix epoch, UTC.
        data: Categories of data, leaves in the vocabulary's order.
        purposes: Purposes, likewise.
    """

    party: str
    account: str
    end_us: int
    data: tuple[str, ...]
    purposes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object, the instant as text."""
        return {
            "party": self.party,
            "account": self.account,
            "until": us_to_text(self.end_us),
            "data": list(self.data),
            "purpose": list(self.purposes),
        }


def endings(
    history: History, *, at_us: int, until_us: int, accounts_of: Callable[[str], Iterable[str]]
) -> list[Ending]:
    """Return the yeses that stand at an instant and end after it, up to another (included); those that end first first.

    Args:
        history: What was said, up to the instant.
        at_us: The instant.
        until_us: The other.
        accounts_of: Returns the ids of the accounts whose data an answer of a party is about.
    """
    ages_us = frozenset[int]().union(*map(history.bindings.yes_ages_us, history.vocabulary.purposes))
    parties = history.answers.ended(after_us=at_us, until_us=until_us, ages_us=ages_us)
    found: list[Ending] = []
    for party in sorted(parties):
        for account in accounts_of(party):
            found += _endings_of(history, party, account, at_us=at_us, until_us=until_us)
    return sorted(found, key=lambda one: (one.end_us, one.party, one.account))


def _endings_of(history: History, party: str, account: str, *, at_us: int, until_us: int) -> list[Ending]:
    role = PartyRole.ACCOUNT if party.startswith("account:") else PartyRole.FIRST
    uses: dict[int, list[tuple[str, str]]] = defaultdict(list)
    beside = history.located(() if role is PartyRole.ACCOUNT else (party,))  # the rule of their region counts, too
    said = [one for one in history.party(party).decisions if one.yes]
    vocabulary = history.vocabulary
    for category, purpose in product(vocabulary.categories, vocabulary.purposes):
        if not any(category in one.categories and purpose in one.purposes for one in said):
            continue
        use = Use(account=account, party=party, role=role, category=category, purpose=purpose, beside=beside)
        end_us = yes_end_us(history, use, at_us)
        if end_us is not None and at_us < end_us <= until_us and allowed(history, use, at_us, asked_us=at_us) is None:
            uses[end_us].append((category, purpose))
    return [
        Ending(
            party=party,
            account=account,
            end_us=end_us,
            data=tuple(category for category in vocabulary.categories if any(category == one for one, _ in pairs)),
            purposes=tuple(purpose for purpose in vocabulary.purposes if any(purpose == one for _, one in pairs)),
        )
        for end_us, pairs in uses.items()
    ]
