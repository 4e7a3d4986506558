"""The directory: who the accounts (tenants) and people (data subjects) are, and by which handles sources call them.

- The ledger, the lake and every snapshot name a person by a pseudonym. Removing the person here makes those entries
  unlinkable, while the log still verifies.
- A handle (a name, alias, address or id as a source writes it) means a person of an account only if one alone goes by
  it. Handles are compared whatever their case, their composed accents and their spaces.
- A person may have several identities: somebody heard who was merged into them keeps the id and the pseudonym under
  which older records lie. Whoever asks for one of them gets the person.
- Somebody who moved to another account, or left theirs, is still known there by their handles.
- No id and no handle of an erased person makes a guest of them anew.

Source: canonical caseless matching, Unicode 3.13, D145.
"""

import json
import secrets
import sqlite3
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain, count
from typing import Any, Final

from volition.consent.parties.database import Database, Remembered
from volition.consent.parties.vault import ErasedError, KeyVault
from volition.consent.references import PersonId, Pseudonym
from volition.errors import ConflictError, InvalidInputError

_AT_ONCE: Final = 500  # values in one query: SQLite takes 999 in its oldest builds
_COLUMNS: Final = "people.id, people.account, people.name, people.pseudonym, people.aliases, people.emails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A customer organisation."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One id and pseudonym of a person, with the handles that came with it.

    Attributes:
        id: Identity within the workspace.
        account: Id of the account in whose data the handles mean the person; none for all.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Identity):
    """A user of an account, or a guest: an identity, and those that are the same person.

    Attributes:
        merged: Other identities of the same person, by id, each with the handles that came with it.
        former: Accounts that the person is no user of any more; their own, if they left it for no other. An empty text
            is for a guest of no account who became a user of one.
    """

    merged: tuple[Identity, ...] = ()
    former: tuple[str, ...] = ()

    @property
    def is_guest(self) -> bool:
        """Whether they are no user of an account: of none, of one they left, or known only by a name in its data."""
        if self.account is None or self.has_left(self.account):
            return True
        return self.id.startswith(_guest_prefix(self.account))

    @property
    def is_heard(self) -> bool:
        """Whether they were made while collecting, under a source's handle, and not registered by anybody."""
        return self.account is not None and self.id.startswith(f"{self.account}:")

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Themselves and who was merged into them, each with the handles that are its own."""
        return (self, *self.merged)

    @property
    def pseudonyms(self) -> tuple[Pseudonym, ...]:
        """Every name of theirs in ledger, lake and snapshots, their own first."""
        return tuple(one.pseudonym for one in self.identities)

    @property
    def ids(self) -> tuple[PersonId, ...]:
        """Every id of theirs, their own first."""
        return tuple(one.id for one in self.identities)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name and alias of theirs, under whichever identity, the name that they are shown by first."""
        return tuple(dict.fromkeys(name for one in self.identities for name in (one.name, *one.aliases) if name))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every e-mail address of theirs, under whichever identity."""
        return tuple(dict.fromkeys(email for one in self.identities for email in one.emails))

    def has_left(self, account: str) -> bool:
        """Return whether they are no user of an account any more in whose data they were known."""
        return account in self.former or ("" in self.former and account != self.account)

    def pseudonym_of(self, identity: str) -> Pseudonym:
        """Return the pseudonym that belongs to one of their ids."""
        return next((one.pseudonym for one in self.merged if one.id == identity), self.pseudonym)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPerson:
    """Somebody who is to be added."""

    id: str
    account: str | None = None
    name: str | None = None
    aliases: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()

    def check(self) -> None:
        """Check the id and the texts. Raises InvalidInputError."""
        _check_id(self.id, "person")
        for text in (self.name, *self.aliases, *self.emails):
            check_text(text or "")

    def unknown(self) -> Person:
        """Return them as a person without a pseudonym: they are in no directory yet."""
        return Person(
            id=PersonId(self.id),
            account=self.account,
            name=self.name,
            aliases=self.aliases,
            emails=self.emails,
            pseudonym=Pseudonym(""),
        )


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
        check_text(name)
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
            check_text(text or "")
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
            self._insert(connection, added, wrapped)
        return added

    def add_people(self, people: Sequence["NewPerson"]) -> list[Person]:
        """Add many people in one transaction: all of them, or none. Raises as `add_person` does."""
        added = [one.unknown() for one in people]
        with self._database.writing() as connection:
            for place, person in enumerate(added):
                wrapped, pseudonym = self._vault.new_person_key(person.id)
                added[place] = replace(person, pseudonym=Pseudonym(pseudonym))
                self._insert(connection, added[place], wrapped)
        return added

    def _insert(self, connection: sqlite3.Connection, person: Person, wrapped: bytes) -> None:
        if self._is_marked(self._vault.mark_of_person(person.id)):
            raise ConflictError(f"{person.id!r} was erased, for good. Choose another id.")
        _refuse_known(connection, "people", person.id)
        aliases, emails = json.dumps(person.aliases), json.dumps(person.emails)
        row = (person.id, person.account, person.name, wrapped, person.pseudonym, aliases, emails)
        connection.execute("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        names = (person.id, person.name, *person.aliases, *person.emails)
        handles = {fold(handle) for handle in names if handle} - {""}
        connection.executemany(
            "INSERT INTO handles VALUES (?, ?, ?)",
            ((person.account or "", handle, person.id) for handle in sorted(handles)),
        )

    def person(self, person: str) -> Person:
        """Return a person by their id, or by the id of somebody who was merged into them.

        Raises:
            InvalidInputError: There is none.
            ErasedError: There was, and they were erased.
        """
        with self._database.lock:  # so that no destruction comes between what is found and what is remembered
            self._remembered.refresh()
            found = self._by_id.get(person)
            if found is None:
                found = self._person("id", person)
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
                found = self._person("pseudonym", pseudonym)
                if found is not None:
                    self._by_pseudonym[pseudonym] = found
        return found

    def expect(self, ids: Sequence[str], pseudonyms: Sequence[str]) -> None:
        """Read many people at once who will be asked for, by id or pseudonym; who is not found is looked up then."""
        for column, values in (("id", ids), ("pseudonym", pseudonyms)):
            for start in range(0, len(values), _AT_ONCE):
                some = values[start : start + _AT_ONCE]
                with self._database.lock:  # as in `person`
                    self._remembered.refresh()
                    for found in self._people(f"{column} IN ({', '.join('?' * len(some))})", *some):
                        self._by_id[found.id] = self._by_pseudonym[found.pseudonym] = found

    def people(self, account: str | None = None) -> list[Person]:
        """Return the people of an account, or everyone, by id; each person once, however many identities they have."""
        where, values = ("account = ?", (account,)) if account is not None else ("TRUE", ())
        return self._people(where, *values)

    def find_person(self, account: str, handle: str) -> Person | None:
        """Return the one person of an account who goes by a name, alias, address or id, whatever the case.

        None if nobody does, or more than one: a record must not be attributed to the wrong person.
        """
        named = self.named(account, handle)
        return named[0] if len(named) == 1 else None

    def named(self, account: str, handle: str) -> list[Person]:
        """Return everyone who goes by a name, alias, address or id in an account (of none: ""), whatever the case."""
        found = self._database.all(
            "SELECT DISTINCT coalesce(merged.kept, handles.person) AS whose FROM handles"
            " LEFT JOIN merged ON merged.person = handles.person"
            " WHERE handles.account = ? AND handles.handle = ? ORDER BY whose",
            account,
            fold(handle),
        )
        people = []
        for (whose,) in found:
            with suppress(InvalidInputError, ErasedError):  # erased between the two questions
                people.append(self.person(whose))
        return people

    def meant(self, account: str | None, names: Collection[str]) -> dict[str, Pseudonym]:
        """Return those of many names that mean one person for sure, and whom: by their id, else by a handle.

        It asks for all at once what `person` and `named` answer one by one. A name that is an id means that person.

        Args:
            account: In which account handles are looked up; none where only ids are.
            names: Ids, names, aliases or addresses, all of them whole characters.
        """
        with self._database.lock:
            found = {name: Pseudonym(pseudonym) for name, pseudonym in self._among("people", "id, pseudonym", names)}
            left = [name for name in names if name not in found]
            if account is None or not left:
                return found
            if self._database.one("SELECT 1 FROM destroyed LIMIT 1") is not None:
                left = [name for name in left if not self._is_marked(self._vault.mark_of_person(name))]
            folded = {name: fold(name) for name in left}
            owners: dict[str, set[str]] = defaultdict(set)
            for handle, person in self._among("handles", "handle, person", set(folded.values()), account=account):
                owners[handle].add(person)
            named = {person for people in owners.values() for person in people}
            kept = dict(self._among("merged", "person, kept", named))
            whose = {kept.get(person, person) for person in named}
            pseudonyms = dict(self._among("people", "id, pseudonym", whose))
            for name, handle in folded.items():
                people = {kept.get(person, person) for person in owners.get(handle, ())}
                if len(people) == 1 and (one := pseudonyms.get(people.pop())) is not None:
                    found[name] = Pseudonym(one)
        return found

    def _among(
        self, table: str, columns: str, values: Collection[str], *, account: str | None = None
    ) -> Iterator[tuple[str, str]]:
        """Yield two columns of the rows of a table of which the first is one of many values."""
        first = columns.partition(",")[0]
        where, own = ("", ()) if account is None else (" AND account = ?", (account,))
        listed = [*values]
        for start in range(0, len(listed), _AT_ONCE):
            some = listed[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            yield from self._database.all(
                f"SELECT {columns} FROM {table} WHERE {first} IN ({marks}){where}",  # noqa: S608 - our own names
                *some,
                *own,
            )

    def people_without_account(self) -> list[Person]:
        """Return the guests who were registered without an account, by id."""
        return self._people("account IS NULL")

    def people_gone_from(self, account: str) -> list[Person]:
        """Return who was a user of an account (a guest of none: "") and is one of another now, by id."""
        return self._people("account IS NOT ?1 AND id IN (SELECT person FROM former WHERE account = ?1)", account)

    def is_shared(self, account: str, handle: str) -> bool:
        """Return whether several people of an account go by a handle, so that it identifies none of them."""
        return len(self.named(account, handle)) > 1

    def is_erased(self, account: str, handle: str) -> bool:
        """Return whether an erased person of an account went by a handle."""
        return self._is_marked(self._vault.mark_of_handle(account, fold(handle)))

    def guest(self, account: str, name: str) -> Person:
        """Return the guest of that name in an account's data, making one if there is none yet.

        A guest stays a person of their own when somebody of the same name is added later: one person's yes never covers
        what another may have said.

        Raises:
            ConflictError: A person of that name was erased, or several people of the account go by it. Each of them may
                have said no, which the yes of a guest would hide.
        """
        with self._database.lock:
            identity = self._guest_id(account, name)
            others = (
                "SELECT count(DISTINCT coalesce(merged.kept, handles.person)) FROM handles LEFT JOIN merged"
                " ON merged.person = handles.person WHERE account = ? AND handle = ? AND handles.person <> ?"
            )
            if self._database.one(others, account, fold(name), identity)[0] > 1:
                msg = f"Several people of {account} go by the name {name!r}, so it is unknown whose data this is. "
                msg += "Tell them apart by an identifier or an e-mail address in the source."
                raise ConflictError(msg)
            known = self._person("id", identity)
            if known is not None:
                return known
            if self.is_erased(account, name):
                msg = f"A person of {account} who went by the name {name!r} was erased, for good. No guest takes it."
                raise ConflictError(msg)
            try:
                return self.add_person(identity, account=account, name=name)
            except ConflictError:
                known = self._person("id", identity)
                if known is None:  # not another process that was quicker: the guest was erased
                    raise
                return known

    def _guest_id(self, account: str, name: str) -> str:
        """Return the id of a guest: from their name, and counted on where whoever had it does not go by it any more."""
        first = f"{_guest_prefix(account)}{sha256(fold(name).encode()).hexdigest()[:12]}"
        for identity in chain([first], (f"{first}-{number}" for number in count(2))):
            there = self._database.one("SELECT 1 FROM people WHERE id = ?", identity)
            goes = "SELECT 1 FROM handles WHERE account = ? AND handle = ? AND person = ?"
            if there is None or self._database.one(goes, account, fold(name), identity):
                return identity
        raise AssertionError  # the numbers never end

    def remove_person(self, person: str) -> None:
        """Remove a person with their identities, keys, names and handles; mark these so that no guest takes them."""
        ids = self.person(person).ids
        with self._database.writing() as connection:
            marks = {self._vault.mark_of_person(identity) for identity in ids}
            for identity in ids:
                handles = connection.execute("SELECT account, handle FROM handles WHERE person = ?", (identity,))
                marks |= {self._vault.mark_of_handle(*handle) for handle in handles.fetchall()}
                for table in ("handles", "merged", "former", "apart", "verified"):
                    connection.execute(f"DELETE FROM {table} WHERE person = ?", (identity,))  # noqa: S608 - our own
                connection.execute("DELETE FROM apart WHERE heard = ?", (identity,))
                connection.execute("DELETE FROM linked WHERE ? IN (first, other)", (identity,))
                connection.execute("DELETE FROM people WHERE id = ?", (identity,))
            connection.executemany("INSERT OR IGNORE INTO destroyed VALUES (?)", ((mark,) for mark in sorted(marks)))

    def drop_memory(self) -> None:
        """Drop who is held in memory."""
        self._remembered.drop()

    def _person(self, column: str, value: str) -> Person | None:
        kept = "SELECT coalesce(merged.kept, people.id) FROM people LEFT JOIN merged ON merged.person = people.id"
        found = self._database.one(f"{kept} WHERE people.{column} = ?", value)
        return None if found is None else next(iter(self._people("id = ?", found[0])), None)

    def _people(self, where: str, *values: str) -> list[Person]:
        """Return people whose own row fits, by id, with what was merged into them."""
        chosen = f"people WHERE {where} AND NOT EXISTS (SELECT 1 FROM merged WHERE merged.person = people.id)"  # noqa: S608
        with self._database.lock:
            own = self._database.all(f"SELECT {_COLUMNS} FROM {chosen} ORDER BY people.id", *values)  # noqa: S608
            chosen = f"SELECT people.id FROM {chosen}"  # noqa: S608
            more = self._database.all(
                f"SELECT merged.kept, {_COLUMNS} FROM merged JOIN people ON people.id = merged.person"  # noqa: S608
                f" WHERE merged.kept IN ({chosen}) ORDER BY people.id",
                *values,
            )
            gone = self._database.all(
                f"SELECT person, account FROM former WHERE person IN ({chosen}) ORDER BY account",  # noqa: S608
                *values,
            )
        merged: dict[str, list[Identity]] = defaultdict(list)
        for kept, *row in more:
            merged[kept].append(Identity(**_fields(row)))
        former: dict[str, list[str]] = defaultdict(list)
        for person, account in gone:
            former[person].append(account)
        return [
            Person(**_fields(row), merged=tuple(merged.get(row[0], ())), former=tuple(former.get(row[0], ())))
            for row in own
        ]

    def _is_marked(self, mark: str) -> bool:
        return self._database.one("SELECT 1 FROM destroyed WHERE party = ?", mark) is not None


def _refuse_known(connection: sqlite3.Connection, table: str, identity: str) -> None:
    if connection.execute(f"SELECT 1 FROM {table} WHERE id = ?", (identity,)).fetchone():  # noqa: S608 - our own names
        msg = f"{identity!r} is there already. Choose another id."
        raise ConflictError(msg)


def _fields(row: Sequence[Any]) -> dict[str, Any]:
    """Return a row of `_COLUMNS` as the fields of an identity."""
    identity, account, name, pseudonym, aliases, emails = row
    return {
        "id": identity,
        "account": account,
        "name": name,
        "aliases": tuple(json.loads(aliases)),
        "emails": tuple(json.loads(emails)),
        "pseudonym": pseudonym,
    }


def _guest_prefix(account: str) -> str:
    return f"{account}:guest:"


def fold(handle: str) -> str:
    """Make one form of a handle: whatever its case, however its accents are composed, however its words are spaced."""
    check_text(handle)
    folded = handle.casefold()
    if not handle.isascii():
        folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", handle).casefold())
    return " ".join(folded.split())


def check_text(text: str) -> None:
    """Raise InvalidInputError for text with half a character in it."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        msg = f"{text!r} holds half of a character, so it cannot be stored as text. Correct it in the source."
        raise InvalidInputError(msg)


def _check_id(identity: str, what: str) -> None:
    check_text(identity)
    if not identity.strip() or identity != identity.strip() or any(ord(character) < ord(" ") for character in identity):
        msg = f"{identity!r} cannot be the id of a {what}: it is empty, or has control characters or spaces around it."
        raise InvalidInputError(msg)
