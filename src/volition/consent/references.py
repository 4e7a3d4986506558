"""What a party is called, as types of their own: what has been checked and what has not are never taken for each other.

A person has an id, by which an operator registered them, and a pseudonym, by which the ledger, the lake and snapshots
name them. The gate knows parties only: "account:ID", or "person:" and a pseudonym. `consent.names` makes a party of
what somebody wrote; whoever reads the lake has pseudonyms, and makes one here.
"""

from typing import NewType

PersonId = NewType("PersonId", str)
"""A person as registered, such as "ada"."""

Pseudonym = NewType("Pseudonym", str)
"""A person as ledger, lake and snapshots name them: 32 hexadecimal characters."""

PartyRef = NewType("PartyRef", str)
"""A party as the ledger names it: "account:ID", or "person:" and a pseudonym."""


def person_ref(pseudonym: Pseudonym) -> PartyRef:
    """Return the party that a pseudonym stands for."""
    return PartyRef(f"person:{pseudonym}")


def account_ref(account: str) -> PartyRef:
    """Return the party that an account is, from its id."""
    return PartyRef(f"account:{account}")
