"""Parties: the accounts (tenants) and people (data subjects) of a workspace, and the keys that can be destroyed.

It is the one part of a workspace whose content can be erased: destroying a key makes everything under it unreadable, in
every copy (crypto-shredding), while the ledger still verifies.

Each module knows only those before it:

secret_file   a secret of 32 bytes in a file that only its owner can read
sealed_secrets   secrets sealed under a passphrase
generations   how often databases were written: an older copy that was put back is known
database      parties.db, the SQLite file in which all of it lies, and how erased bytes are wiped from it
stores        which stores the workspace has made: one that is lost is not taken for empty
vault         the key vault: data keys of accounts, keys of people; encryption and crypto-shredding
directory     the directory: who the accounts and people are, and by which handles sources call them
changes       what changes people in the directory: names, two who are one, another account
parties       directory and vault, put together: what a workspace opens
"""

from volition.consent.parties.directory import Account, Identity, NewPerson, Person, fold
from volition.consent.parties.generations import Generation
from volition.consent.parties.parties import Parties
from volition.consent.parties.sealed_secrets import open_secrets, seal_secrets
from volition.consent.parties.secret_file import read_secret, write_secret
from volition.consent.parties.stores import Stores, lost, open_stores
from volition.consent.parties.vault import ErasedError

__all__ = [
    "Account",
    "ErasedError",
    "Generation",
    "Identity",
    "NewPerson",
    "Parties",
    "Person",
    "Stores",
    "fold",
    "lost",
    "open_secrets",
    "open_stores",
    "read_secret",
    "seal_secrets",
    "write_secret",
]
