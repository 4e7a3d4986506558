"""What changes people in the directory: another handle, another name, two who are one, another account, none.

Each is one transaction. What follows from it for permission is the workspace's: the ledger's entry, and the answers
that count for both; here nothing is decided.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from volition.consent.parties.database import Database
from volition.consent.parties.directory import Directory, Person, check_text, fold
from volition.consent.references import Pseudonym
from volition.errors import ConflictError, InvalidInputError

_LOST: Final = "names-lost:"  # before the pseudonyms in the table of states
_HANDLES: Final = "SELECT handle FROM handles WHERE account = ? AND person = ?"


class Changes:
    """Changes people. It may be used from several threads."""

    def __init__(self, database: Database, directory: Directory) -> None:
        """Change who is in `directory`, which lies in `database`."""
        self._database = database
        self._directory = directory

    def add_handles(self, person: str, *, aliases: Sequence[str] = (), emails: Sequence[str] = ()) -> Person:
        """Give a person more names, identifiers or addresses; those that they go by already stay as they are.

        Raises:
            InvalidInputError: There is no such person, or a handle is empty or broken text.
            ErasedError: They were erased.
        """
        for text in (*aliases, *emails):
            check_text(text)
            if not fold(text):
                raise InvalidInputError("An empty name is nobody's. Write the name, the address or the identifier.")
        known = self._directory.person(person)
        names = [one for one in dict.fromkeys(aliases) if one not in known.names]
        addresses = [one for one in dict.fromkeys(emails) if one not in known.addresses]
        self._write(known, known.name, (*known.aliases, *names), (*known.emails, *addresses), new=(*aliases, *emails))
        return self._directory.person(known.id)

    def remove_handle(self, person: str, handle: str) -> Person:
        """Take a name, an identifier or an address from a person, whatever its case, as often as they have it.

        Raises:
            InvalidInputError: They do not go by it, or it is their id or the name that they are shown by.
            ErasedError: They were erased.
        """
        known, gone = self._directory.person(person), fold(handle)
        if gone in {fold(known.id), fold(known.name or "")}:
            msg = f"{handle!r} is the id of {known.id} or the name that they are shown by, so it stays. "
            raise InvalidInputError(msg + "Give them another name with `volition person rename`.")
        with self._changing() as connection:
            rowcount = 0
            for one in known.identities:
                found = connection.execute("DELETE FROM handles WHERE person = ? AND handle = ?", (one.id, gone))
                rowcount += found.rowcount
                kept = [[text for text in texts if fold(text) != gone] for texts in (one.aliases, one.emails)]
                name = None if fold(one.name or "") == gone else one.name
                connection.execute(
                    "UPDATE people SET name = ?, aliases = ?, emails = ? WHERE id = ?",
                    (name, *map(json.dumps, kept), one.id),
                )
                connection.execute("DELETE FROM verified WHERE person = ? AND email = ?", (one.id, gone))
            if not rowcount:
                raise InvalidInputError(f"{known.id} does not go by {handle!r}. `volition person show` lists how.")
        return self._directory.person(known.id)

    def rename(self, person: str, name: str, *, forget_old: bool) -> Person:
        """Show a person by another name. The old one stays a handle, unless it is to be forgotten.

        Raises:
            InvalidInputError: There is no such person, or the name is empty or broken text.
            ErasedError: They were erased.
        """
        check_text(name)
        if not fold(name):
            raise InvalidInputError("A name is not empty.")
        known = self._directory.person(person)
        old, aliases = known.name, [one for one in known.aliases if one != name]
        if old is not None and old != name and not forget_old:
            aliases.insert(0, old)
        with self._changing():
            self._write(known, name, aliases, known.emails, new=(name,))
            if forget_old and old is not None and fold(old) not in {fold(name), fold(known.id)}:
                self.remove_handle(known.id, old)
        return self._directory.person(known.id)

    def merge(self, person: str, *, into: str) -> Person:
        """Make two people one. What is known of `person` is from then on another identity of whom it is merged into.

        Raises:
            InvalidInputError: One of them is not there, or they are one already.
            ErasedError: One of them was erased.
        """
        with self._changing() as connection:
            gone, kept = self._directory.person(person), self._directory.person(into)
            if gone.id == kept.id:
                raise InvalidInputError(f"{person} and {into} are one person already.")
            connection.execute("UPDATE merged SET kept = ? WHERE kept = ?", (kept.id, gone.id))
            connection.execute("INSERT INTO merged VALUES (?, ?)", (gone.id, kept.id))
            for column in ("person", "heard"):
                connection.execute(f"DELETE FROM apart WHERE {column} = ?", (gone.id,))  # noqa: S608 - our own names
            connection.execute("DELETE FROM former WHERE person = ? AND account = ?", (gone.id, kept.account or ""))
            for table in ("former", "verified"):
                connection.execute(f"UPDATE OR IGNORE {table} SET person = ? WHERE person = ?", (kept.id, gone.id))  # noqa: S608
                connection.execute(f"DELETE FROM {table} WHERE person = ?", (gone.id,))  # noqa: S608
        return self._directory.person(kept.id)

    def merged_pseudonyms(self) -> dict[str, str]:
        """Return into whom people were merged: pseudonym -> the pseudonym of the one who is kept."""
        return dict(
            self._database.all(
                "SELECT gone.pseudonym, kept.pseudonym FROM merged JOIN people AS gone ON gone.id = merged.person"
                " JOIN people AS kept ON kept.id = merged.kept"
            )
        )

    def keep_apart(self, heard: str, person: str) -> None:
        """Note that somebody heard is somebody else: the two are not offered as one any more."""
        with self._database.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO apart VALUES (?, ?)", (heard, person))

    def kept_apart(self) -> frozenset[tuple[str, str]]:
        """Return the pairs of somebody heard and somebody registered that were said to be two."""
        return frozenset((heard, person) for heard, person in self._database.all("SELECT heard, person FROM apart"))

    def link(self, first: str, other: str) -> None:
        """Note that records concern two people where either may be meant, by their ids."""
        with self._database.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO linked VALUES (?, ?)", (first, other))

    def is_linked(self, first: str, other: str) -> bool:
        """Return whether that was noted."""
        known = "SELECT 1 FROM linked WHERE first = ? AND other = ?"
        return self._database.one(known, first, other) is not None

    def linked(self) -> frozenset[Pseudonym] | None:
        """Return who has, or shares with somebody, more than one identity: merged, linked, or with a verified address.

        None where anybody was heard: then anyone may be.
        """
        heard = "SELECT 1 FROM people WHERE substr(id, 1, length(account) + 1) = account || ':' LIMIT 1"
        if self._database.one(heard) is not None:
            return None
        found = self._database.all(
            "SELECT pseudonym FROM people WHERE id IN (SELECT first FROM linked UNION SELECT other FROM linked"
            " UNION SELECT person FROM verified UNION SELECT person FROM merged UNION SELECT kept FROM merged)"
        )
        return frozenset(Pseudonym(pseudonym) for (pseudonym,) in found)

    def linked_with(self, person: Person) -> list[Person]:
        """Return with whom records concern a person where either may be meant, by id."""
        ids = {
            found
            for one in person.ids
            for (found,) in self._database.all(
                "SELECT other FROM linked WHERE first = ?1 UNION SELECT first FROM linked WHERE other = ?1", one
            )
        }
        others = {other.id: other for other in map(self._directory.person, sorted(ids))}
        return [other for other in others.values() if other.id != person.id]

    def move(self, person: str, account: str) -> Person:
        """Make a person a user of another account. They stay known by their handles where they were.

        Raises:
            InvalidInputError: There is no such person or account.
            ConflictError: They were heard and not registered, or their id would make them so.
            ErasedError: They were erased.
        """
        known = self._directory.person(person)
        self._directory.account(account)
        if known.is_heard or known.id.startswith(f"{account}:"):
            msg = (
                f"{known.id} was heard in the data and is no user of an account. Add the person with `volition person "
            )
            raise ConflictError(msg + "add --same-as`, then move them.")
        with self._changing() as connection:
            handles = connection.execute(_HANDLES, (known.account or "", known.id)).fetchall()
            connection.executemany(
                "INSERT OR IGNORE INTO handles VALUES (?, ?, ?)", ((account, handle, known.id) for (handle,) in handles)
            )
            if known.account != account:
                connection.execute("INSERT OR IGNORE INTO former VALUES (?, ?)", (known.account or "", known.id))
            connection.execute("DELETE FROM former WHERE account = ? AND person = ?", (account, known.id))
            connection.execute("UPDATE people SET account = ? WHERE id = ?", (account, known.id))
        return self._directory.person(known.id)

    def leave(self, person: str) -> Person:
        """Make a person no user of their account any more. They stay known there by their handles.

        Raises:
            InvalidInputError: There is no such person, or they are no user of an account.
            ErasedError: They were erased.
        """
        known = self._directory.person(person)
        if known.account is None or known.is_heard or known.has_left(known.account):
            raise InvalidInputError(f"{known.id} is no user of an account, so they cannot leave one.")
        with self._changing() as connection:
            connection.execute("INSERT OR IGNORE INTO former VALUES (?, ?)", (known.account, known.id))
        return self._directory.person(known.id)

    def verify(self, person: str, email: str) -> bool:
        """Note that a person has shown an address to be theirs; only one of their own. Return whether that is new."""
        known, folded = self._directory.person(person), fold(email)
        is_noted = self._database.one("SELECT 1 FROM verified WHERE email = ? AND person = ?", folded, known.id)
        if is_noted is not None or folded not in map(fold, known.addresses):
            return False
        with self._database.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO verified VALUES (?, ?)", (folded, known.id))
        return True

    def verified_as(self, person: str) -> list[Person]:
        """Return who else has shown one of the addresses to be theirs that this person has shown: by id."""
        known = self._directory.person(person)
        found = self._database.all(
            "SELECT DISTINCT other.person FROM verified JOIN verified AS other ON other.email = verified.email"
            " WHERE verified.person = ?1 AND other.person <> ?1 ORDER BY other.person",
            known.id,
        )
        return [self._directory.person(one) for (one,) in found]

    # --- names that a restoring lost ---

    def lose_names(self, pseudonym: str) -> None:
        """Note that somebody was given or lost names which nobody knows any more: after a restoring, they are gone."""
        known = self._directory.person_by_pseudonym(pseudonym)
        self._database.set_state(_LOST + pseudonym, json.dumps([] if known is None else _places(known)).encode())

    def names_lost(self) -> dict[str, tuple[str, ...]]:
        """Return whose names were lost: the pseudonym, and the accounts where they may be meant; none for any."""
        found = {}
        for name in self._database.states(_LOST):
            pseudonym = name.removeprefix(_LOST)
            places, known = json.loads(self._database.state(name)), self._directory.person_by_pseudonym(pseudonym)
            now = places if known is None else _places(known)
            found[pseudonym] = tuple(dict.fromkeys((*places, *now))) if places and now else ()
        return found

    def regain_names(self, pseudonym: str) -> None:
        """Note that all names of somebody are known again."""
        self._database.drop_state(_LOST + pseudonym)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Write as `Database.writing` does; what is held in memory is read anew, within and after."""
        with self._database.lock:
            try:
                with self._database.writing() as connection:
                    self._directory.drop_memory()
                    yield connection
            finally:
                self._directory.drop_memory()

    def _write(
        self, own: Person, name: str | None, aliases: Sequence[str], emails: Sequence[str], *, new: Sequence[str]
    ) -> None:
        """Write a person's own row anew, and the handles that are new in it, wherever they are known."""
        with self._changing() as connection:
            where = connection.execute("SELECT DISTINCT account FROM handles WHERE person = ?", (own.id,)).fetchall()
            connection.execute(
                "UPDATE people SET name = ?, aliases = ?, emails = ? WHERE id = ?",
                (name, json.dumps(aliases), json.dumps(emails), own.id),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO handles VALUES (?, ?, ?)",
                ((account, fold(handle), own.id) for (account,) in where for handle in new),
            )


def _places(person: Person) -> list[str]:
    """Return the accounts in whose data somebody may be meant; none for any."""
    return [] if person.account is None or "" in person.former else [person.account, *person.former]
