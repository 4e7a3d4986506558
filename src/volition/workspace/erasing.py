"""Erasing: a party is gone for good from whatever holds them, in one order for every face.

1. The ledger's entry: from then on the gate refuses, and what is left to do is known to every later process.
2. Where a person signs in, since what names them there is found by their names.
3. The records, what was set aside, the counts of uses, the lines about who looked.
4. The rows of the tables elsewhere that the settings list.
5. The key, and with it the names: nothing leads back to what was before.

Killed anywhere after the first step, it goes on when a server is next started on the workspace, or with the next
`erase` or `forget`: the key that is still there says that it is not done. Tables elsewhere may be large or out of
reach, so a server does not wait for them: a worker does, by forgetting.
"""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from volition.consent.parties import ErasedError, Person
from volition.consent.references import account_ref, person_ref
from volition.errors import DamagedError
from volition.ledger.entry import NewEntry
from volition.workspace.erasing_tables import ErasingTables, TableErased, TableErasureError
from volition.workspace.opened import Opened

if TYPE_CHECKING:
    from volition.records.lake import Lake


class SignIns(Protocol):
    """Where people sign in (see `server.auth.Access`)."""

    def erase_person(self, person: str, names: Collection[str]) -> None:
        """Erase what is kept of a person: they can be asked for again, as long as their names are known."""

    def end_person(self, people: Collection[str]) -> None:
        """End the sign-in, the sessions and the tokens of a person, by any of their ids."""

    def move_person(self, people: Collection[str], account: str) -> None:
        """Let who signs in as a person, by any of their ids, belong to another account, without administering it."""


OpenSignIns = Callable[[], AbstractContextManager[SignIns | None]]
"""Opens where people sign in; none where nobody ever did."""


def no_sign_ins() -> AbstractContextManager[SignIns | None]:
    """Return none: whoever opens a workspace without a server says nothing of one."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure removed.

    Attributes:
        records: Records of the lake.
        set_aside: Lines of bad input in the quarantine.
        tables: What was taken out of tables elsewhere.
    """

    records: int = 0
    set_aside: int = 0
    tables: tuple[TableErased, ...] = ()


class Erasing:
    """Erases accounts and people."""

    def __init__(self, opened: Opened, open_sign_ins: OpenSignIns, drop_caches: Callable[[], None]) -> None:
        """Take the opened folder, where people sign in, and what drops everything read from the lake before."""
        self._opened = opened
        self._open_sign_ins = open_sign_ins
        self._drop_caches = drop_caches
        self.tables = ErasingTables(opened)

    def erase(self, party: str, *, tables: bool = True) -> Erased:
        """Erase an account or a person for good; see `Forgetting.erase`."""
        ledger_name = self._opened.party(party)
        if not self._note(ledger_name):
            self._opened.leases.wait()  # the process that began it may have been killed before it was acknowledged
        return self.finish(tables=tables)

    def finish(self, *, tables: bool = True) -> Erased:
        """Erase whom the ledger says to be erased and whose key is still there: now, or when it was killed then.

        Args:
            tables: Whether tables elsewhere are walked now; otherwise whoever is in any waits, with their key.

        Raises:
            TableErasureError: All here is erased, but not a table elsewhere: who is in it keeps their key until it is.
            ConflictError: All is erased, but another process reads: old bytes are wiped when it is closed.
            DamagedError: A file with somebody's records is lost or damaged; everybody else is erased.
        """
        records = set_aside = 0
        damaged: DamagedError | None = None
        accounts, people = self._unfinished()
        if accounts or people:
            self._drop_caches()
        done: list[tuple[str, Callable[[], None]]] = []  # by the ledger's name, and what ends it
        left: list[tuple[str, Callable[[], Erased], Callable[[], None]]] = [
            *(
                (account_ref(one), partial(self._erase_account, one), partial(self._end_account, one))
                for one in accounts
            ),
            *(
                (person_ref(one.pseudonym), partial(self._erase_person, one), partial(self._end_person, one))
                for one in people
            ),
        ]
        for party, erase, end in left:
            try:
                erased = erase()
            except DamagedError as error:
                damaged = error
                continue
            records += erased.records
            set_aside += erased.set_aside
            done.append((party, end))
        walked, problems = self.tables.erase([party for party, _ in done]) if tables else ([], [])
        for party, end in done:
            if not self.tables.waiting(party):
                end()
        if damaged is not None:
            raise damaged
        if problems:
            raise TableErasureError(f"All here is erased, and a table elsewhere is not. {' '.join(problems)}")
        return Erased(records=records, set_aside=set_aside, tables=tuple(walked))

    def lake(self) -> "Lake":
        """Return the lake. Raises DamagedError where it is lost: it is restored, and nothing is done without it."""
        return self._opened.lake

    def _erase_account(self, account: str) -> Erased:
        lake = self.lake()
        records, set_aside = lake.erase_account(account), lake.erase_set_aside_account(account)
        return Erased(records=records, set_aside=set_aside)

    def _end_account(self, account: str) -> None:
        with suppress(ErasedError):  # another process was at it, too
            self._opened.parties.destroy_account_key(account)

    def _erase_person(self, person: Person) -> Erased:
        self._note(person_ref(person.pseudonym))  # somebody may have been merged into them since
        self._erase_sign_in(person)
        records, lake = 0, self.lake()
        for pseudonym in person.pseudonyms:
            records += lake.erase_person(pseudonym)
            self._opened.uses.erase(pseudonym)
            self._opened.access_log.erase(pseudonym)
        set_aside = lake.erase_set_aside_person(person)
        return Erased(records=records, set_aside=set_aside)

    def _end_person(self, person: Person) -> None:
        with suppress(ErasedError):  # likewise
            self._opened.parties.destroy_person(person.id)

    def _note(self, party: str) -> bool:
        """Record that a party is erased, under every name that the ledger has for it; return whether that was new."""
        [first, *others] = self._opened.identities(party)
        history = self._opened.history()
        bodies = [{"party": first}, *({"party": name, "same_as": first} for name in others)]
        new = [NewEntry(kind="erasure", body=body) for body in bodies if history.erased_us(body["party"]) is None]
        self._opened.ledger.append(*new)
        return bool(new)

    @property
    def is_finished(self) -> bool:
        """Whether no erasure was left half-way."""
        return not any(self._unfinished())

    def _unfinished(self) -> tuple[list[str], list[Person]]:
        """Return the accounts and the people who are erased, as the ledger has it, and whose keys are there."""
        parties = self._opened.parties
        accounts: list[str] = []
        people: dict[str, Person] = {}  # by id: each once, with every identity of theirs
        for party in [entry.body["party"] for entry in self._opened.history().events if entry.kind == "erasure"]:
            kind, _, name = party.partition(":")
            if kind == "account" and name not in parties.erased_accounts():
                accounts.append(name)
            elif kind == "person" and (person := parties.person_by_pseudonym(name)) is not None:
                people[person.id] = person
        return accounts, list(people.values())

    def _erase_sign_in(self, person: Person) -> None:
        with self._open_sign_ins() as sign_ins:
            if sign_ins is not None:
                for identity in person.ids:
                    sign_ins.erase_person(identity, (*person.names, *person.addresses))
