"""Who a record is about: from what a source calls somebody (a handle) to the people concerned (identity resolution).

A display name, an e-mail address, a platform's id and an attribute of telemetry are *handles*, not people. Permission
is decided for people, so this is the one place that says whom a handle means, and it fails closed:

- A handle that surely is one registered person of the account (or a guest registered without one) is that person.
- One that *may be* a registered person (a decorated or differently spelt name, an export without addresses, a tagged
  address) concerns that person *and* whom the handle itself names: the person's no counts, and nobody else's yes stands
  in for theirs. Where several people may be meant, or only a part of a name is given, somebody unknown comes first.
- A handle that is nobody in particular is unknown, in every record anew.
- Someone who was heard before they were registered stays a person of their own until the two are merged; both are
  asked, and the no of each counts for both (`namesakes`). Merged, they are one, and every handle of either is theirs.
- Where a restoring lost names that somebody was given, whoever is not surely a registered person of known names may be
  them: somebody unknown comes first, and the no of each who may be meant counts, until the operator says who they are.
- Someone who left an account, or moved to another, may still be meant there by their handles, and so may somebody else:
  they are concerned, and never alone.

People are *registered* (by an operator, with handles that were given) or *heard* (made while collecting, under the
handle of the source). Two registered people are never taken for one.

The directory as it stands decides. What merges, renames or moves people changes the directory, and is an entry of the
ledger; nothing here remembers anything else.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Final

from volition.consent.parties import Identity, Parties, Person
from volition.consent.spellings import (
    is_nobody,
    is_nobody_id,
    likely_keys,
    looks_like_address,
    main_address,
    may_be_short_for,
    plain,
    sure_key,
    without_marks,
    words_of,
)
from volition.errors import ConflictError

UNKNOWN: Final = "unknown"
"""The pseudonym of somebody whom nobody can name: `permits.UNKNOWN_PERSON` without its prefix."""

_MOST_CANDIDATES: Final = 8
"""Where more people may be meant, somebody unknown stands for all of them: refused wherever any of them is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """What a source calls somebody. All absent means: somebody, but nobody knows who.

    Attributes:
        name: Name as shown to people.
        id: The source's own identifier.
        email: E-mail address.
    """

    name: str | None = None
    id: str | None = None
    email: str | None = None


class Likeness(StrEnum):
    """Why somebody heard may be somebody registered."""

    ADDRESS = "address"  # the same, or the same but for a tag
    NAME = "name"  # the same, or only spelt or decorated differently
    PART = "part of a name"
    IDENTIFIER = "identifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Whom a handle concerns.

    Attributes:
        people: Pseudonyms, at least one; the first stands for who spoke or acted.
        maybe: The registered people who may be meant, where it is not certain.
    """

    people: tuple[str, ...]
    maybe: tuple[Person, ...] = ()


@dataclass(slots=True)
class _Index:
    """The people of an account, and those without one, by what their names have in common."""

    account: str
    people: dict[str, Person] = field(default_factory=dict)
    sure: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    likely: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    addresses: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    words: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    spelt: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)

    def add(self, person: Person) -> None:
        self.people[person.id] = person
        here = [one for one in person.merged if one.account in {None, self.account}]
        names = _names(person, *here)
        for name in names:
            self.sure[sure_key(name)].add(person.id)
            for key in likely_keys(name):
                self.likely[key].add(person.id)
        if not person.is_heard:
            self.spelt[person.id] = [words_of(name) for name in names]
            for words in self.spelt[person.id]:
                for word in {*words, "".join(words)}:
                    self.words[word].add(person.id)
        for address in chain(person.emails, *(one.emails for one in here)):
            self.addresses[main_address(address)].add(person.id)

    def all(self, ids: Iterable[str]) -> list[Person]:
        return [self.people[found] for found in sorted(set(ids))]

    def short_for(self, name: str) -> list[Person]:
        """Return the registered people of whom a name may be a part, or a longer form."""
        words = words_of(name)
        near = {found for word in {*words, "".join(words)} for found in self.words.get(word, ())}
        return self.all(one for one in near if any(may_be_short_for(words, known) for known in self.spelt[one]))


def _names(*identities: Identity) -> list[str]:
    """Return under which names a person is known; identifiers and addresses are none."""
    names = dict.fromkeys(name for one in identities for name in (one.name, *one.aliases) if name)
    return [name for name in names if any(map(str.isalpha, name)) and "@" not in name]


def _handles(person: Person) -> tuple[str, ...]:
    """Return what a person was given besides their identifier within the workspace."""
    return (*person.names, *person.addresses)


class Identities:
    """Says whom handles mean, by the directory of people; whoever is new becomes a guest of the account."""

    def __init__(self, parties: Parties, *, on_link: Callable[[Person, Person], None] | None = None) -> None:
        """Take the directory of accounts and people.

        Args:
            parties: The directory.
            on_link: Called when two people are first concerned together, since either may be meant: the one who stands
                first in records, and the other. A rule may ask whoever stands first alone, so the no of the other has
                to count for them, however either is called later.
        """
        self._parties = parties
        self._on_link = on_link
        self._lost = parties.changes.names_lost()
        self._indices: dict[str, _Index] = {}
        self._known: dict[tuple[str, Handle], Resolved] = {}

    def resolve(self, account: str, handle: Handle) -> Resolved:
        """Return whom a handle means in an account's data.

        Args:
            account: Id of an account that is there.
            handle: What the source says.
        """
        key = (account, handle)
        if key not in self._known:
            resolved = self._resolve(account, handle)
            self._link(resolved.people)
            self._known[key] = self._doubted(account, resolved)
        return self._known[key]

    def _doubted(self, account: str, resolved: Resolved) -> Resolved:
        """Return whom a handle concerns while names are lost that may have been given to somebody, or taken."""
        lost = [one for one, places in self._lost.items() if not places or account in places]
        if not lost:
            return resolved
        found = [self._parties.person_by_pseudonym(one) for one in resolved.people]
        if all(one is not None and not one.is_heard and not set(one.pseudonyms) & set(lost) for one in found):
            return resolved
        maybe = [one for one in map(self._parties.person_by_pseudonym, lost) if one is not None]
        people = (UNKNOWN, *resolved.people, *_pseudonyms(maybe[:_MOST_CANDIDATES]))
        return Resolved(people=tuple(dict.fromkeys(people)), maybe=resolved.maybe)

    def _link(self, pseudonyms: Sequence[str]) -> None:
        """Note whom records concern together; where nobody knows who stands first, they are refused as it is."""
        people = [self._parties.person_by_pseudonym(one) for one in pseudonyms]
        if self._on_link is None or people[0] is None:
            return
        for other in people[1:]:
            if other is not None and not self._parties.changes.is_linked(people[0].id, other.id):
                self._on_link(people[0], other)
                self._parties.changes.link(people[0].id, other.id)  # last: killed before it, it is all done again

    def _resolve(self, account: str, handle: Handle) -> Resolved:
        identifier, email, name = (_filled(text) for text in (handle.id, handle.email, handle.name))
        if name and not email and looks_like_address(plain(name)):
            email, name = plain(name), None
        if identifier and not name and any(map(str.isspace, identifier)):
            name = identifier  # whoever sends a display name as an id
        sure = [text for text in (identifier, email) if text]
        found = self._exactly(account, sure)
        registered, heard, gone = _sorted(account, found)
        if registered:
            return _these(registered, [*heard, *gone])
        sure = [text for text in sure if not is_nobody_id(text)]
        if not sure:
            return self._by_name(account, name) if name else Resolved(people=(UNKNOWN,))
        if not heard and any(self._is_taken(account, text) for text in sure):
            return Resolved(people=(UNKNOWN,))
        own = heard or self._made(account, sure, name, email)
        addresses = [text for text in sure if "@" in text]
        return self._with_namesakes(account, name, addresses, own, gone=gone, weakly=not email)

    def _by_name(self, account: str, name: str) -> Resolved:
        """Resolve a name that the source gives nothing surer for."""
        found = self._exactly(account, dict.fromkeys((name, plain(name))))
        registered, heard, gone = _sorted(account, found)
        if registered:
            if not any(sure_key(name) in map(sure_key, _handles(person)) for person in registered):
                # It is their identifier: another's first name may be the same.
                registered = list(
                    {one.id: one for one in (*registered, *self._index(account).short_for(name))}.values()
                )
            return _these(registered, [*heard, *gone])
        if is_nobody(name):
            return Resolved(people=(UNKNOWN,))
        index = self._index(account)
        alike = index.all(index.sure.get(sure_key(name), ()))
        registered, heard_alike, gone_alike = _sorted(account, alike)
        if registered:
            return _these(registered, [*heard_alike, *gone_alike])
        if any(self._parties.is_erased(account, spelt) for spelt in _spellings(name)):
            return Resolved(people=(UNKNOWN,))
        own = heard or heard_alike or self._guest(account, without_marks(name))
        return self._with_namesakes(account, name, [], own, gone=gone, weakly=True)

    def _with_namesakes(  # noqa: PLR0913 - a handle, and what is known of it
        self,
        account: str,
        name: str | None,
        addresses: Sequence[str],
        own: Sequence[Person],
        *,
        gone: Sequence[Person],
        weakly: bool,
    ) -> Resolved:
        """Add to whom a handle names those who may be the same person; `gone` went by it before they left."""
        if not name and not addresses and not gone:  # an identifier and nothing else: no namesake can be told from it
            return Resolved(people=_pseudonyms(own) or (UNKNOWN,))
        index = self._index(account)
        alike = {found for address in addresses for found in index.addresses.get(main_address(address), ())}
        alike |= {person.id for person in gone if person.id in index.people}
        if name and not is_nobody(name):
            alike |= index.sure.get(sure_key(name), set())
            for key in likely_keys(name):
                alike |= index.likely.get(key, set())
        others = [person for person in index.all(alike) if person not in own]
        registered = [person for person in others if not person.is_heard]
        heard = [person for person in others if person.is_heard]
        partly = [] if registered or not weakly or not name or is_nobody(name) else index.short_for(name)
        if partly or len(registered) > 1 or not own:
            maybe = (partly or registered)[:_MOST_CANDIDATES]
            return Resolved(people=tuple(dict.fromkeys((UNKNOWN, *_pseudonyms([*maybe, *own])))), maybe=tuple(maybe))
        if registered:  # what others who were heard have refused, this one has refused, too
            return Resolved(people=_pseudonyms([*registered, *own]), maybe=tuple(registered))
        first, rest = (heard, []) if len(heard) == 1 else ([], heard[:_MOST_CANDIDATES])
        return Resolved(people=_pseudonyms([*first, *own, *rest]))

    def namesakes(self, person: Person) -> list[Person]:
        """Return who may be the same person: somebody heard for one registered, or the other way round; by id.

        Until the two are joined the no of each counts for both. Somebody heard who may be several registered people is
        in doubt as it is, so their no goes to none of them.
        """
        if person.account is None or "" in person.former:
            near = self._near(self._everywhere(), person)
        else:
            places = dict.fromkeys((person.account, *person.former))
            near = list({one.id: one for place in places for one in self._near(self._index(place), person)}.values())
        if not person.is_heard:
            return [one for one in near if one.is_heard]
        registered = [one for one in near if not one.is_heard]
        return registered if len(registered) == 1 else []

    def candidates(self, heard: Person) -> list[tuple[Person, Likeness]]:
        """Return which registered people somebody heard may be, and why; by part of a name only to ask somebody."""
        index = self._index(heard.account or "")
        near = [one for one in self._near(index, heard) if not one.is_heard]
        partly = {one.id: one for name in _names(*heard.identities) for one in index.short_for(name)}
        known = {one.id for one in near}
        parts = [(one, Likeness.PART) for one in partly.values() if one.id not in known and not one.is_heard]
        return [*((one, _likeness(heard, one)) for one in near), *parts]

    def _near(self, index: _Index, person: Person) -> list[Person]:
        alike = {found for name in _names(person) for found in index.sure.get(sure_key(name), ())}
        alike |= {found for name in _names(person) for key in likely_keys(name) for found in index.likely.get(key, ())}
        alike |= {found for one in person.addresses for found in index.addresses.get(main_address(one), ())}
        handles = [*person.ids, *person.names, *person.addresses]
        for account in {index.account, person.account or "", ""}:
            alike |= {found.id for handle in handles for found in self._parties.named(account, handle)}
        return [one for one in index.all(alike & index.people.keys()) if one.id != person.id]

    # --- the directory ---

    def _exactly(self, account: str, handles: Iterable[str]) -> list[Person]:
        """Return who goes by one of some handles, letter for letter but for case: of the account, or of none.

        A handle that several registered people share says nothing where another one is somebody's alone.
        """
        by_handle = [
            [person for whose in (account, "") for person in self._parties.named(whose, handle)] for handle in handles
        ]
        alone = [found for found in by_handle if sum(not person.is_heard for person in found) == 1]
        return list({person.id: person for found in alone or by_handle for person in found}.values())

    def _is_taken(self, account: str, handle: str) -> bool:
        return self._parties.is_erased(account, handle) or self._parties.is_shared(account, handle)

    def _made(self, account: str, sure: Sequence[str], name: str | None, email: str | None) -> list[Person]:
        """Make a person who goes by the handles of a source; nobody if they were erased."""
        identity = f"{account}:{sure[0]}"
        try:
            made = self._parties.add_person(
                identity,
                account=account,
                name=name,
                aliases=[handle for handle in sure if handle != email],
                emails=[handle for handle in sure if handle == email],
            )
        except ConflictError:  # erased; or another process was quicker; or the handle was taken from who had this id
            there = self._parties.named(account, identity)
            return [one for one in there if one in self._parties.named(account, sure[0])]
        self._add(made)
        return [made]

    def _guest(self, account: str, name: str) -> list[Person]:
        try:
            guest = self._parties.guest(account, name)
        except ConflictError:  # erased, or several people go by the name
            return []
        self._add(guest)
        return [guest]

    def _add(self, person: Person) -> None:
        if person.account in self._indices:
            self._indices[person.account].add(person)

    def _index(self, account: str) -> _Index:
        if account not in self._indices:
            index = self._indices[account] = _Index(account)
            here = (*self._parties.people(account), *self._parties.people_gone_from(account))
            for person in (*here, *self._parties.people_without_account(), *self._parties.people_gone_from("")):
                index.add(person)
        return self._indices[account]

    def _everywhere(self) -> _Index:
        index = _Index("")
        for person in self._parties.people():
            index.add(person)
        return index


def _likeness(heard: Person, person: Person) -> Likeness:
    """Return what is most telling of what somebody heard and somebody registered have in common."""
    if not {main_address(one) for one in heard.addresses}.isdisjoint(main_address(one) for one in person.addresses):
        return Likeness.ADDRESS
    own, others = ({key for name in _names(*one.identities) for key in _keys(name)} for one in (heard, person))
    return Likeness.NAME if own & others else Likeness.IDENTIFIER


def _keys(name: str) -> set[str]:
    return {sure_key(name), *likely_keys(name)}


def _sorted(account: str, people: Iterable[Person]) -> tuple[list[Person], list[Person], list[Person]]:
    """Return who of some people is registered, who was heard, and who was registered and is gone from an account."""
    people = list(people)
    gone = [person for person in people if person.has_left(account)]
    there = [person for person in people if person not in gone]
    return [one for one in there if not one.is_heard], [one for one in there if one.is_heard], gone


def _these(registered: Sequence[Person], heard: Sequence[Person]) -> Resolved:
    """Return one registered person, with whoever was heard under the same handle; several are in doubt."""
    if len(registered) == 1:
        return Resolved(people=_pseudonyms([*registered, *heard]), maybe=tuple(registered) if heard else ())
    maybe = registered[:_MOST_CANDIDATES]
    return Resolved(people=(UNKNOWN, *_pseudonyms([*maybe, *heard])), maybe=tuple(maybe))


def _pseudonyms(people: Iterable[Person]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(person.pseudonym for person in people))


def _spellings(name: str) -> set[str]:
    """Return the spellings under which somebody erased may be marked."""
    return {name, plain(name), without_marks(name), *likely_keys(name)} - {""}


def _filled(text: str | None) -> str | None:
    return text.strip() or None if text else None
