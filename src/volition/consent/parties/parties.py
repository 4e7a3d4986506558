"""Accounts and people with their keys: directory and vault, over one file, for a workspace.

Erasure concerns both: what is destroyed is gone from the file, its write-ahead log and the memory of every process.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from volition.consent.parties.changes import Changes
from volition.consent.parties.database import Database
from volition.consent.parties.directory import Account, Directory, Person
from volition.consent.parties.secret_file import read_secret, write_secret
from volition.consent.parties.stores import Stores
from volition.consent.parties.vault import ErasedError, KeyVault, new_key_check
from volition.consent.references import ConversationRef
from volition.errors import BackendError, ConflictError, InvalidInputError

_MASTER_KEY = "master.key"
_CHECKPOINT: Final = "checkpoint"
_MOST_KEPT: Final = 100_000  # conversations of which it is remembered what entries call them


class Parties:
    """The accounts and people of a workspace, in `parties.db` beside `master.key`. May be used from several threads.

    Attributes:
        directory: Who they are.
        changes: What changes them.
        vault: Their keys.
        stores: Which stores the workspace has made.
    """

    def __init__(self, folder: Path) -> None:
        """Open what `create` made.

        Raises:
            BackendError: A file is missing or cannot be read, others can read the master key, or it is another's.
        """
        master = read_secret(folder / _MASTER_KEY)
        self._database = Database(folder)
        self._conversations: dict[tuple[str, str], ConversationRef] = {}
        try:
            self.stores = Stores(folder, self._database)
            self.vault = KeyVault(self._database, master)
            self.directory = Directory(self._database, self.vault)
            self.changes = Changes(self._database, self.directory)
            self._database.finish_wiping()
        except BackendError:
            self._database.close()
            raise

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make the files in `folder` and open them.

        Raises:
            ConflictError: There is a master key already; nothing is changed.
            BackendError: The folder cannot be written.
        """
        try:
            write_secret(folder / _MASTER_KEY)
            Database.create(folder, key_check=new_key_check(read_secret(folder / _MASTER_KEY)))
        except FileExistsError as error:
            msg = f"{folder} has a master key already. Open the workspace instead, or choose a new folder."
            raise ConflictError(msg) from error
        except (OSError, sqlite3.Error) as error:
            msg = f"Accounts and people cannot be stored in {folder}: {error}. Check that the folder can be written."
            raise BackendError(msg) from error
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `create` made. Raises as the constructor does."""
        return cls(folder)

    def close(self) -> None:
        """Close the file and drop the keys held in memory."""
        self.vault.drop_memory()
        self._database.close()

    def version(self) -> tuple[int, int]:
        """Return what is another value once anything here was written, by this process or by another."""
        with self._database.lock:
            return self._database.version(), self._database.changes()

    def kept_checkpoint(self) -> str:
        """Return the signed checkpoint of the ledger that was kept here last; empty if none was.

        Raises:
            BackendError: The file could not be read.
        """
        return self._database.state(_CHECKPOINT).decode(errors="replace")

    def keep_checkpoint(self, note: str) -> None:
        """Keep a signed checkpoint of the ledger, so that a ledger without what it holds is known.

        Raises:
            BackendError: The file could not be written.
        """
        self._database.set_state(_CHECKPOINT, note.encode())

    # --- the directory: see there ---

    def add_account(self, account: str, name: str) -> Account:
        """Add an account; see `Directory.add_account`."""
        return self.directory.add_account(account, name)

    def account(self, account: str) -> Account:
        """Return an account by its id; see `Directory.account`."""
        return self.directory.account(account)

    def has_account(self, account: str) -> bool:
        """Return whether an account is known."""
        return self.directory.has_account(account)

    def accounts(self) -> list[Account]:
        """Return every account, by id."""
        return self.directory.accounts()

    def add_group(self, account: str, name: str) -> str:
        """Return the id of an account's group; see `Directory.add_group`."""
        return self.directory.add_group(account, name)

    def groups(self, account: str) -> dict[str, str]:
        """Return the names of an account's groups, by id; see `Directory.groups`."""
        return self.directory.groups(account)

    def add_person(
        self,
        person: str,
        *,
        account: str | None = None,
        name: str | None = None,
        aliases: Sequence[str] = (),
        emails: Sequence[str] = (),
    ) -> Person:
        """Add a person; see `Directory.add_person`."""
        return self.directory.add_person(person, account=account, name=name, aliases=aliases, emails=emails)

    def person(self, person: str) -> Person:
        """Return a person by their id; see `Directory.person`."""
        return self.directory.person(person)

    def person_by_pseudonym(self, pseudonym: str) -> Person | None:
        """Return whom a pseudonym stands for; none if nobody, or not any more."""
        return self.directory.person_by_pseudonym(pseudonym)

    def expect(self, ids: Sequence[str], pseudonyms: Sequence[str]) -> None:
        """Read many people at once who will be asked for, by id or pseudonym."""
        self.directory.expect(ids, pseudonyms)

    def people(self, account: str | None = None) -> list[Person]:
        """Return the people of an account, or everyone, by id."""
        return self.directory.people(account)

    def find_person(self, account: str, handle: str) -> Person | None:
        """Return the one person of an account who goes by a handle; see `Directory.find_person`."""
        return self.directory.find_person(account, handle)

    def named(self, account: str, handle: str) -> list[Person]:
        """Return everyone who goes by a handle in an account (of none: "")."""
        return self.directory.named(account, handle)

    def people_without_account(self) -> list[Person]:
        """Return the guests who were registered without an account, by id."""
        return self.directory.people_without_account()

    def people_gone_from(self, account: str) -> list[Person]:
        """Return who was known in an account (everywhere: "") and is a user of another now, by id."""
        return self.directory.people_gone_from(account)

    def is_shared(self, account: str, handle: str) -> bool:
        """Return whether several people of an account go by a handle."""
        return self.directory.is_shared(account, handle)

    def is_erased(self, account: str, handle: str) -> bool:
        """Return whether an erased person of an account went by a handle."""
        return self.directory.is_erased(account, handle)

    def guest(self, account: str, name: str) -> Person:
        """Return the guest of that name in an account's data, made if there is none; see `Directory.guest`."""
        return self.directory.guest(account, name)

    # --- the vault: see there ---

    def seal(self, account: str, associated: bytes, plaintext: bytes) -> bytes:
        """Encrypt one content under an account's key, bound to `associated`; see `KeyVault.encrypt_many`."""
        return self.vault.encrypt_many(account, [(associated, plaintext)])[0]

    def open_sealed(self, account: str, associated: bytes, sealed: bytes) -> bytes:
        """Decrypt what `seal` encrypted with the same `associated`; see `KeyVault.decrypt_many`."""
        return self.vault.decrypt_many(account, [(associated, sealed)])[0]

    def seal_many(self, account: str, contents: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Encrypt (associated, plaintext) pairs under an account's key; see `KeyVault.encrypt_many`."""
        return self.vault.encrypt_many(account, contents)

    def open_many(self, account: str, contents: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Decrypt (associated, encrypted) pairs; see `KeyVault.decrypt_many`."""
        return self.vault.decrypt_many(account, contents)

    def keyed_digest(self, account: str, text: str) -> str:
        """Return a digest of a text under an account's key; see `KeyVault.keyed_digest`."""
        return self.vault.keyed_digest(account, text)

    def conversation_ref(self, account: str, source: str) -> ConversationRef | None:
        """Return what entries of the ledger call a conversation, by its account and its identity in the lake.

        Empty for what belongs to no conversation; none where the account's key is not there (any more).
        """
        if not source:
            return ConversationRef("")
        found = self._conversations.get((account, source))
        if found is None:
            try:
                found = ConversationRef(self.vault.keyed_digest(account, source))
            except (ErasedError, InvalidInputError):
                return None
            if len(self._conversations) >= _MOST_KEPT:
                self._conversations.clear()
            self._conversations[account, source] = found
        return found

    def erased_accounts(self) -> frozenset[str]:
        """Return the accounts whose key was destroyed."""
        return self.vault.erased_accounts()

    def derived_secret(self, use: str) -> bytes:
        """Return 32 secret bytes for one use, derived from the master key; they reveal nothing about it."""
        return self.vault.derived_secret(use)

    # --- erasure: both ---

    def destroy_account_key(self, account: str) -> None:
        """Destroy an account's data key and its groups' names. Nothing undoes it.

        The account's own name stays, so that the ledger can be read.

        Raises:
            InvalidInputError: There is no such account.
            ConflictError: The key is destroyed, but its old bytes are not wiped yet, since another process reads.
        """
        self.account(account)
        with self._destroying():
            self.directory.remove_groups(account)
            self.vault.destroy_account_key(account)

    def destroy_person(self, person: str) -> None:
        """Destroy a person's key, names and handles: the pseudonym in the ledger stands for nobody any more.

        Raises:
            InvalidInputError: There is no such person.
            ErasedError: They were erased before.
            ConflictError: All is destroyed, but the old bytes are not wiped yet, since another process reads.
        """
        self.person(person)
        with self._destroying():
            self.directory.remove_person(person)

    @contextmanager
    def _destroying(self) -> Iterator[None]:
        with self._database.lock:
            with self._database.destroying():
                yield
            self.vault.drop_memory()
            self._conversations.clear()
            self.directory.drop_memory()
            wiped = self._database.wipe()
        if not wiped:
            msg = "It is destroyed, but old bytes still lie in parties.db or its log, since another process reads them "
            msg += "or the disk is full. They are wiped when the workspace is next opened: close the others, then open."
            raise ConflictError(msg)
