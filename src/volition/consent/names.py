"""Who is meant: what a question calls somebody, resolved to the party that the ledger knows. Here and nowhere else.

A question names a person as a registered id or as a pseudonym, and says which:

- `ada` and `person:ada`: the person registered as "ada", in this very spelling;
- `pseudonym:31d0...`: whoever the ledger, the lake and snapshots call so. `person:31d0...`, as verdicts have it, is
  taken as well. Of a person with several identities, each id and each pseudonym names that identity, as records do;

and an account as `acme` or `account:acme`. A text that could be two of these, or is none, names nobody: the question is
refused (`unknown-party`, or `erased` for an id whose person was), never answered as if nobody had said anything.

Ids, pseudonyms and parties are types of their own, so that one is not taken for another where types are checked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from volition.consent.parties import ErasedError, Parties, Person
from volition.consent.permits import UNKNOWN_PERSON, Reason
from volition.consent.references import (
    ConversationRef,
    PartyRef,
    PersonId,
    Pseudonym,
    account_ref,
    person_ref,
    source_id,
)
from volition.errors import InvalidInputError

UNKNOWN_ACCOUNT: Final = account_ref("unknown")
"""As the party of a refusal: no account was named."""

MOST_KEPT: Final = 100_000
"""How many names are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unnamed:
    """Nobody is meant by a name, for sure.

    Attributes:
        reason: `unknown-party`, or `erased`.
        party: The name as it was given, as a party.
    """

    reason: Reason
    party: PartyRef


class Names:
    """Resolves names. It may be used from several threads."""

    def __init__(self, parties: Parties) -> None:
        """Resolve by the accounts and people of a workspace."""
        self._parties = parties
        self._version = parties.version()
        self._people: dict[str, PartyRef | Unnamed] = {}
        self._accounts: dict[str, str] = {}
        self._expected: dict[tuple[str | None, str], PartyRef] = {}
        self.generation = 0

    def refresh(self) -> None:
        """Look whether anybody was registered, changed or erased since: then nothing is remembered any more.

        `generation` is another number afterwards, so that others forget what they made of names, too.
        """
        version = self._parties.version()
        if version != self._version:
            self._version = version
            self._expected = {}
            self._people, self._accounts = {}, {}  # anew: whoever still looks up puts what they find into the old ones
            self.generation += 1

    def account(self, name: str | None) -> "str | Unnamed":
        """Return the id of the account that is meant."""
        if name is None:
            return Unnamed(reason=Reason.UNKNOWN_PARTY, party=UNKNOWN_ACCOUNT)
        known = self._accounts
        found = known.get(name)
        if found is None:
            ids = {name, name.removeprefix("account:")} if _is_text(name) else set()
            there = [one for one in sorted(ids) if self._parties.has_account(one)]
            if len(there) != 1:
                return Unnamed(reason=Reason.UNKNOWN_PARTY, party=account_ref(name.removeprefix("account:")))
            found = there[0]
            if len(known) < MOST_KEPT:
                known[name] = found
        return found

    def person(self, name: str | None) -> "PartyRef | Unnamed":
        """Return the party that is meant."""
        if name is None:
            return Unnamed(reason=Reason.UNKNOWN_PARTY, party=UNKNOWN_PERSON)
        known = self._people
        found = known.get(name)
        if found is None:
            found = self._look_up(name)
            if len(known) < MOST_KEPT:
                known[name] = found
        return found

    def expect(self, names: Sequence[str | None]) -> None:
        """Read many people at once whom `person` will be asked for; it changes no answer."""
        texts = [name for name in names if name is not None and name not in self._people and _is_text(name)]
        forms = [name.partition(":")[::2] for name in texts]
        ids = [rest if form == "person" else name for name, (form, rest) in zip(texts, forms, strict=True)]
        self._parties.expect(ids, [rest for form, rest in forms if form in {"person", "pseudonym"}])

    def expect_known_as(self, asked: Iterable[tuple[str | None, str]]) -> None:
        """Look up many names at once that `known_as` will be asked for until the next `refresh`: it answers the same.

        Args:
            asked: Ids of accounts, and names, as it takes them.
        """
        by_account: dict[str | None, dict[str, None]] = {}
        for account, name in asked:
            if ":" not in name and _is_text(name):
                by_account.setdefault(account, {})[name] = None
        for account, names in by_account.items():
            found = self._parties.directory.meant(account, names)
            self._expected |= {(account, name): person_ref(pseudonym) for name, pseudonym in found.items()}

    def known_as(self, account: str | None, name: str) -> "PartyRef | Unnamed":
        """Return the party that a table of another system means: as `person` does, or else who goes by a name.

        Args:
            account: Id of the account in which they go by it: by a name, an alias or an address, whatever the case;
                none where only ids and pseudonyms are meant.
            name: "account:ID", "person:ID", a bare id of a person, or that name.
        """
        expected = self._expected.get((account, name))
        if expected is not None:
            return expected
        if name.startswith("account:"):
            found = self.account(name)
            return found if isinstance(found, Unnamed) else account_ref(found)
        person = self.person(name)
        if not isinstance(person, Unnamed) or account is None or person.reason is Reason.ERASED or not _is_text(name):
            return person
        named = self._parties.named(account, name)
        if not named and self._parties.is_erased(account, name):
            return Unnamed(reason=Reason.ERASED, party=person.party)
        return person_ref(named[0].pseudonym) if len(named) == 1 else person

    def conversation(self, account: str, name: str | None) -> ConversationRef | None:
        """Return which conversation of an account is meant by its name; empty for none, None for one that is not known.

        Any name means one: whether anything was collected under it bears on no permission.
        """
        if not name:
            return None if name is None else ConversationRef("")
        return self._parties.conversation_ref(account, source_id(account, name)) if _is_text(name) else None

    def _look_up(self, name: str) -> "PartyRef | Unnamed":
        form, colon, rest = name.partition(":")
        said = rest if colon and form in {"person", "pseudonym"} else name
        as_given = PartyRef(f"person:{said}")
        unknown = Unnamed(reason=Reason.UNKNOWN_PARTY, party=as_given)
        if not _is_text(name):
            return unknown
        ids = {PersonId(name), PersonId(said)} if form != "pseudonym" else {PersonId(name)}
        meant: set[Pseudonym] = set()
        is_erased = False
        for identity in sorted(ids):
            found = self._by_id(identity)
            is_erased |= found is Reason.ERASED
            if isinstance(found, Person):
                meant.add(found.pseudonym_of(identity))
        by_pseudonym = self._parties.person_by_pseudonym(said) if said != name else None
        if by_pseudonym is not None:
            meant.add(Pseudonym(said))
        if is_erased and not meant:
            return Unnamed(reason=Reason.ERASED, party=as_given)
        return person_ref(meant.pop()) if len(meant) == 1 and not is_erased else unknown

    def _by_id(self, identity: PersonId) -> Person | Reason | None:
        try:
            return self._parties.person(identity)
        except ErasedError:
            return Reason.ERASED
        except InvalidInputError:
            return None


def _is_text(name: str) -> bool:
    """Tell whether a name is whole characters: half a one is nobody's."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)
