"""What a party is called, as types of their own: what has been checked and what has not are never taken for each other.

A person has an id, by which an operator registered them, and a pseudonym, by which the ledger, the lake and snapshots
name them. The gate knows parties only: "account:ID", or "person:" and a pseudonym. `consent.names` makes a party of
what somebody wrote; whoever reads the lake has pseudonyms, and makes one here.
"""

from functools import lru_cache
from typing import NewType

from volition.canonical import canonical_json, digest

PersonId = NewType("PersonId", str)
"""A person as registered, such as "ada"."""

Pseudonym = NewType("Pseudonym", str)
"""A person as ledger, lake and snapshots name them: 32 hexadecimal characters."""

PartyRef = NewType("PartyRef", str)
"""A party as the ledger names it: "account:ID", or "person:" and a pseudonym."""

ConversationRef = NewType("ConversationRef", str)
"""A meeting, channel or file as entries of the ledger name it: a digest of its name under its account's key. Empty for
what belongs to no conversation."""


def person_ref(pseudonym: Pseudonym) -> PartyRef:
    """Return the party that a pseudonym stands for."""
    return PartyRef(f"person:{pseudonym}")


def account_ref(account: str) -> PartyRef:
    """Return the party that an account is, from its id."""
    return PartyRef(f"account:{account}")


@lru_cache(maxsize=100_000)
def source_id(account: str, name: str) -> str:
    """Return the identity of a meeting, channel or file in the lake, 16 hexadecimal characters, from its name.

    It does not say the name, but whoever guesses that can confirm it; what must not be guessed is a `ConversationRef`.
    """
    return digest(canonical_json(["source", account, name]))[:16]
