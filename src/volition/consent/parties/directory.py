"""The directory: who the accounts (tenants) and people (data subjects) are, and by which handles sources call them.

- The ledger, the lake and every snapshot name a person by a pseudonym. Removing the person here makes those entries
  unlinkable, while the log still verifies.
- A handle (a name, alias, address or id as a source writes it) means a person of an account only if one alone goes by
  it. Handles are compared whatever their case, their composed accents and their spaces.
- No id and no handle of an erased person makes a guest of them anew.

Source: canonical caseless matching, Unicode 3.13, D145.
"""

import json
import secrets
import sqlite3
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from volition.consent.parties.database import Database, Remembered
from volition.consent.parties.vault import ErasedError, KeyVault
from volition.consent.references import PersonId, Pseudonym
from volition.errors import ConflictError, InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A customer organisation."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user of an account, or a guest.

    Attributes:
        id: Identity within the workspace.
        account: Id of the account; none for a guest of no account.
        name: Name as shown to people; none if unknown.
        aliases: Other names and identifiers under which sources know the person.
        emails: E-mail addresses.
        pseudonym: The name in ledger, lake and snapshots: 32 hexadecimal characters.
    """

    id: PersonId
    account: str | None
    name: str | None
    aliases: tuple[str, ...]
    emails: tuple[str, ...]
    pseudonym: Pseudonym

    @property
    def is_guest(self) -> bool:
        """Whether they are no user of an account: of none, or known only by a name in an account's data."""
        return self.account is None or self.id.startswith(_guest_prefix(self.account))


class Directory:
    """The accounts and people of a workspace. It may be used from several threads."""

    def __init__(self, database: Database, vault: KeyVault) -> None:
        """Open the directory.

        Args:
            database: Where it lies.
            vault: Makes keys and pseudonyms for those who are added.
        """
        self._database = database
        self._vault = vault
        self._by_id: dict[str, Person] = {}
        self._by_pseudonym: dict[str, Person] = {}
        self._remembered = Remembered(database, self._by_id, self._by_pseudonym)

    # --- accounts ---

    def add_account(self, account: str, name: str) -> Account:
        """Add an account, with a data key of its own.

        Raises:
            InvalidInputError: The id cannot be one.
            ConflictError: The account is there already, or was erased.
        """
        _check_id(account, "account")
        with self._database.writing() as connection:
            _refuse_known(connection, "accounts", account)
            row = (account, name, self._vault.new_account_key())
            connection.execute("INSERT INTO accounts VALUES (?, ?, ?)", row)
        return Account(id=account, name=name)

    def account(self, account: str) -> Account:
        """Return an account by its id.

        Raises:
            InvalidInputError: There is none.
        """
        found = self._database.one("SELECT id, name FROM accounts WHERE id = ?", account)
        if found is None:
            msg = f"There is no account {account!r}. Add it with `volition account add`."
            raise InvalidInputError(msg)
        return Account(id=found[0], name=found[1])

    def has_account(self, account: str) -> bool:
        """Return whether an account is known."""
        return self._database.one("SELECT 1 FROM accounts WHERE id = ?", account) is not None

    def accounts(self) -> list[Account]:
        """Return every account, by id."""
        found = self._database.all("SELECT id, name FROM accounts ORDER BY id")
        return [Account(id=identity, name=name) for identity, name in found]

    # --- groups of an account's people ---

    def add_group(self, account: str, name: str) -> str:
        """Return the id of an account's group, under which the ledger knows it; a new name gets one that says nothing.

        Raises:
            InvalidInputError: The name is broken text.
        """
        _check_text(name)
        with self._database.writing() as connection:
            known = connection.execute(
                "SELECT id FROM groups WHERE account = ? AND name = ?", (account, name)
            ).fetchone()
            if known is not None:
                return str(known[0])
            identity = f"group-{secrets.token_hex(16)}"
            connection.execute("INSERT INTO groups VALUES (?, ?, ?)", (identity, account, name))
        return identity

    def groups(self, account: str) -> dict[str, str]:
        """Return the names of an account's groups, by id; none once it was erased."""
        return dict(self._database.all("SELECT id, name FROM groups WHERE account = ?", account))

    def remove_groups(self, account: str) -> None:
        """Remove the names of an account's groups; their ids in the ledger stand for nothing any more."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM groups WHERE account = ?", (account,))

    # --- people ---

    def add_person(
        self,
        person: str,
        *,
        account: str | None = None,
        name: str | None = None,
        aliases: Sequence[str] = (),
        emails: Sequence[str] = (),
    ) -> Person:
        """Add a person, with a key and so a pseudonym of their own; without an account, a guest.

        Raises:
            InvalidInputError: The id cannot be one, a name is broken text, or the account is not known.
            ConflictError: The person is there already, or was erased.
        """
        _check_id(person, "person")
        for text in (name, *aliases, *emails):
            _check_text(text or "")
        if account is not None:
            self.account(account)
        wrapped, pseudonym = self._vault.new_person_key(person)
        added = Person(
            id=PersonId(person),
            account=account,
            name=name,
            aliases=tuple(aliases),
            emails=tuple(emails),
            pseudonym=Pseudonym(pseudonym),
        )
        with self._database.writing() as connection:
            if self._is_marked(self._vault.mark_of_person(person)):
                msg = f"{person!r} was erased, for good. Choose another id."
                raise ConflictError(msg)
            _refuse_known(connection, "people", person)
            connection.execute(
                "INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, ?)",
                (person, account, name, wrapped, pseudonym, json.dumps(added.aliases), json.dumps(added.emails)),
            )
            handles = {_fold(handle) for handle in (person, name, *aliases, *emails) if handle} - {""}
            connection.executemany(
                "INSERT INTO handles VALUES (?, ?, ?)", ((account or "", handle, person) for handle in sorted(handles))
            )
        return added

    def person(self, person: str) -> Person:
        """Return a person by their id.

        Raises:
            InvalidInputError: There is none.
            ErasedError: There was, and they were erased.
        """
        with self._database.lock:  # so that no destruction comes between what is found and what is remembered
            self._remembered.refresh()
            found = self._by_id.get(person)
            if found is None:
                found = self._person("SELECT * FROM people WHERE id = ?", person)
                if found is not None:
                    self._by_id[person] = found
        if found is None:
            if self._is_marked(self._vault.mark_of_person(person)):
                msg = f"The person {person!r} was erased. No record says any more who that was."
                raise ErasedError(msg)
            msg = f"There is no person {person!r}. Add them with `volition person add`; guests come with their data."
            raise InvalidInputError(msg)
        return found

    def person_by_pseudonym(self, pseudonym: str) -> Person | None:
        """Return whom a pseudonym stands for; none if nobody, or not any more."""
        with self._database.lock:  # as in `person`
            self._remembered.refresh()
            found = self._by_pseudonym.get(pseudonym)
            if found is None:
                found = self._person("SELECT * FROM people WHERE pseudonym = ?", pseudonym)
                if found is not None:
                    self._by_pseudonym[pseudonym] = found
        return found

    def people(self, account: str | None = None) -> list[Person]:
        """Return the people of an account, or everyone, by id."""
        where, values = ("WHERE account = ?", (account,)) if account is not None else ("", ())
        return [_to_person(found) for found in self._database.all(f"SELECT * FROM people {where} ORDER BY id", *values)]  # noqa: S608

    def find_person(self, account: str, handle: str) -> Person | None:
        """Return the one person of an account who goes by a name, alias, address or id, whatever the case.

        None if nobody does, or more than one: a record must not be attributed to the wrong person.
        """
        named = self._named(account, handle)
        return _to_person(named[0]) if len(named) == 1 else None

    def named(self, account: str, handle: str) -> list[Person]:
        """Return everyone who goes by a name, alias, address or id in an account (of none: ""), whatever the case."""
        return [_to_person(found) for found in self._named(account, handle)]

    def people_without_account(self) -> list[Person]:
        """Return the guests who were registered without an account, by id."""
        return [
            _to_person(found) for found in self._database.all("SELECT * FROM people WHERE account IS NULL ORDER BY id")
        ]

    def is_shared(self, account: str, handle: str) -> bool:
        """Return whether several people of an account go by a handle, so that it identifies none of them."""
        return len(self._named(account, handle)) > 1

    def is_erased(self, account: str, handle: str) -> bool:
        """Return whether an erased person of an account went by a handle."""
        return self._is_marked(self._vault.mark_of_handle(account, _fold(handle)))

    def _named(self, account: str, handle: str) -> list[Any]:
        return self._database.all(
            "SELECT people.* FROM handles JOIN people ON people.id = handles.person"
            " WHERE handles.account = ? AND handles.handle = ?",
            account,
            _fold(handle),
        )

    def guest(self, account: str, name: str) -> Person:
        """Return the guest of that name in an account's data, making one if there is none yet.

        A guest stays a person of their own when somebody of the same name is added later: one person's yes never covers
        what another may have said.

        Raises:
            ConflictError: A person of that name was erased, or several people of the account go by it. Each of them may
                have said no, which the yes of a guest would hide.
        """
        identity = f"{_guest_prefix(account)}{sha256(_fold(name).encode()).hexdigest()[:12]}"
        with self._database.lock:
            others = "SELECT count(*) FROM handles WHERE account = ? AND handle = ? AND person <> ?"
            if self._database.one(others, account, _fold(name), identity)[0] > 1:
                msg = f"Several people of {account} go by the name {name!r}, so it is unknown whose data this is. "
                msg += "Tell them apart by an identifier or an e-mail address in the source."
                raise ConflictError(msg)
            known = self._person("SELECT * FROM people WHERE id = ?", identity)
            if known is not None:
                return known
            if self.is_erased(account, name):
                msg = f"A person of {account} who went by the name {name!r} was erased, for good. No guest takes it."
                raise ConflictError(msg)
            try:
                return self.add_person(identity, account=account, name=name)
            except ConflictError:
                known = self._person("SELECT * FROM people WHERE id = ?", identity)
                if known is None:  # not another process that was quicker: the guest was erased
                    raise
                return known

    def remove_person(self, person: str) -> None:
        """Remove a person with their key, names and handles, and mark these so that no guest takes them."""
        with self._database.writing() as connection:
            handles = connection.execute("SELECT account, handle FROM handles WHERE person = ?", (person,)).fetchall()
            marks = [self._vault.mark_of_person(person), *(self._vault.mark_of_handle(*handle) for handle in handles)]
            connection.execute("DELETE FROM people WHERE id = ?", (person,))
            connection.execute("DELETE FROM handles WHERE person = ?", (person,))
            connection.executemany("INSERT OR IGNORE INTO destroyed VALUES (?)", ((mark,) for mark in sorted(marks)))

    def drop_memory(self) -> None:
        """Drop who is held in memory."""
        self._remembered.drop()

    def _person(self, sql: str, *values: str) -> Person | None:
        found = self._database.one(sql, *values)
        return None if found is None else _to_person(found)

    def _is_marked(self, mark: str) -> bool:
        return self._database.one("SELECT 1 FROM destroyed WHERE party = ?", mark) is not None


def _refuse_known(connection: sqlite3.Connection, table: str, identity: str) -> None:
    if connection.execute(f"SELECT 1 FROM {table} WHERE id = ?", (identity,)).fetchone():  # noqa: S608 - our own names
        msg = f"{identity!r} is there already. Choose another id."
        raise ConflictError(msg)


def _to_person(found: Sequence[Any]) -> Person:
    identity, account, name, _, pseudonym, aliases, emails = found
    return Person(
        id=identity,
        account=account,
        name=name,
        aliases=tuple(json.loads(aliases)),
        emails=tuple(json.loads(emails)),
        pseudonym=pseudonym,
    )


def _guest_prefix(account: str) -> str:
    return f"{account}:guest:"


def _fold(handle: str) -> str:
    """Make one form of a handle: whatever its case, however its accents are composed, however its words are spaced."""
    _check_text(handle)
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", handle).casefold())
    return " ".join(folded.split())


def _check_text(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        msg = f"{text!r} holds half of a character, so it cannot be stored as text. Correct it in the source."
        raise InvalidInputError(msg)


def _check_id(identity: str, what: str) -> None:
    _check_text(identity)
    if not identity.strip() or identity != identity.strip() or any(ord(character) < ord(" ") for character in identity):
        msg = f"{identity!r} cannot be the id of a {what}: it is empty, or has control characters or spaces around it."
        raise InvalidInputError(msg)
