"""Accounts and people: who there is, in which region, and which identities are one person.

`Workspace.parties` is the directory, to look them up in; what changes it is here, since it is an entry of the ledger,
too. An entry of kind `identity` says what was done to which pseudonyms and by whom, and no name, handle or address:
what was written into the ledger stays there.

- Where two become one, the stricter answer stands: what either has refused, and refuses still, is a no of both, and the
  limits and the region of each are those of both. It is recorded in the same append, before the directory changes; so
  killed in between, nothing is allowed that was not, and the command is given again.
- What was recorded of each stays under the name that it had, and needs its own yes, as before. An answer that is given
  from then on is given for all of them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from volition.consent.exclusions import exclusions_among
from volition.consent.gate import Subject
from volition.consent.history import OPERATOR
from volition.consent.identity import Likeness
from volition.consent.limits import limits_among
from volition.consent.parties import Account, Person
from volition.consent.references import PersonId, Pseudonym, person_ref
from volition.consent.terms.model import Basis, Rule
from volition.consent.terms.regions import check_region
from volition.errors import ConflictError, InvalidInputError, RefusedError
from volition.ledger.entry import Entry, NewEntry
from volition.progress import Progress, silent
from volition.workspace.imports import ImportReport
from volition.workspace.namesakes import Namesakes
from volition.workspace.newcomers import ACCOUNT_COLUMNS, PEOPLE_COLUMNS, Newcomers, columns_of
from volition.workspace.opened import Opened

_NOBODY: Final = Pseudonym("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Somebody heard who may be somebody registered, and why."""

    heard: Person
    person: Person
    likeness: Likeness


class People:
    """Adds accounts and people, and says who is who."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened
        self._namesakes = Namesakes(opened)

    def add_account(self, account: str, name: str, *, region: str | None = None) -> Account:
        """Add an account; its region (ISO 3166, such as "DE") chooses among the terms' rules.

        Killed before the region was recorded, it is called again.

        Raises:
            InvalidInputError: The id cannot be one, or there is no such region.
            ConflictError: The account is there already, or was erased.
        """
        if region is not None:
            check_region(region)  # first: an entry of the log stays for ever
        parties = self._opened.parties
        is_begun = region is not None and parties.has_account(account) and not self._has_region(f"account:{account}")
        begun = parties.account(account) if is_begun else None
        added = begun if begun is not None and begun.name == name else parties.add_account(account, name)
        if region is not None:
            self._opened.ledger.append(_region(f"account:{account}", region))
        return added

    def _has_region(self, party: str) -> bool:
        return bool(self._opened.history().regions(party))

    def add_person(  # noqa: PLR0913 - the handles by which sources name a person
        self,
        person: str,
        *,
        account: str | None = None,
        name: str | None = None,
        aliases: Sequence[str] = (),
        emails: Sequence[str] = (),
        region: str | None = None,
        same_as: Sequence[str] = (),
    ) -> Person:
        """Add a person; without an account it is a guest. The region, if known, overrides the account's.

        Whoever was heard under one of their names before stays a person of their own, as `namesakes` tells; what these
        have refused counts for the new one, too. Those of `same_as` are the same person, by id, and merged into them.

        Raises:
            InvalidInputError: The id cannot be one, or the account, the region, or somebody of `same_as` is not known.
            ConflictError: The person is there already, or was erased.
            RefusedError: Somebody of `same_as` cannot be merged into them; nobody is added then.
        """
        if region is not None:
            check_region(region)
        parties = self._opened.parties
        for heard in map(parties.person, same_as):
            about = _person(person, account, name, aliases, emails)
            self._check_merge(heard, about)
            self._regions(about, heard, region)
        for heard in self._namesakes.of(_person(person, account, name, aliases, emails)):
            self._namesakes.keep(heard)  # with whoever they may be until then
        added = parties.add_person(person, account=account, name=name, aliases=aliases, emails=emails)
        if region is not None:
            self._opened.ledger.append(_region(person_ref(added.pseudonym), region))
        self._settle(added)
        for one in same_as:
            self.merge(one, into=added.id, region=region)
        return parties.person(added.id)

    def import_accounts(
        self,
        rows: Path | Iterable[Mapping[str, Any]],
        columns: Mapping[str, str] | None = None,
        *,
        dry_run: bool = False,
        progress: Progress = silent,
    ) -> ImportReport:
        """Add accounts from a file (.csv, .tsv, .jsonl, .ndjson, .parquet) or rows; the same twice changes nothing.

        Args:
            rows: The file, or mappings from columns to cells.
            columns: In which column `id`, `name` and `region` are; by default in those of these names.
            dry_run: Whether nobody is added, and only said what would be.
            progress: Told how many rows are done.

        Raises:
            InvalidInputError: The file cannot be read, or a name in `columns` is none of these.
        """
        named = columns_of(columns, ACCOUNT_COLUMNS)
        return self._newcomers().accounts(rows, named, dry_run=dry_run, progress=progress)

    def import_people(
        self,
        rows: Path | Iterable[Mapping[str, Any]],
        columns: Mapping[str, str] | None = None,
        *,
        dry_run: bool = False,
        progress: Progress = silent,
    ) -> ImportReport:
        """Add people as `import_accounts` adds accounts, many in one transaction.

        The columns are `id`, `account`, `name`, `aliases`, `emails` (several with `;` between them) and `region`.
        Whoever was heard under one of their names before stays somebody else, as with `add_person`.
        """
        named = columns_of(columns, PEOPLE_COLUMNS)
        return self._newcomers().people(rows, named, dry_run=dry_run, progress=progress)

    def _newcomers(self) -> Newcomers:
        return Newcomers(self._opened, self._namesakes, add_account=self.add_account, add_person=self.add_person)

    def heard_before(
        self,
        person: str,
        *,
        account: str | None = None,
        name: str | None = None,
        aliases: Sequence[str] = (),
        emails: Sequence[str] = (),
    ) -> tuple[list[Person], list[str]]:
        """Return who was heard and may be somebody who is to be added, and which of the names an erased person had."""
        about = _person(person, account, name, aliases, emails)
        return self._namesakes.of(about), self._erased(about)

    def namesakes(self, person: str) -> list[Person]:
        """Return who may be the same person: somebody heard in the data for one registered, or the other way round.

        Until the two are merged both are asked, and the no of each counts for both.

        Raises:
            InvalidInputError: There is no such person.
        """
        return self._namesakes.of(self._opened.parties.person(person))

    def pairs(self, account: str | None = None) -> list[Pair]:
        """Return who was heard and may be somebody registered, but for those said to be two people; by id.

        Args:
            account: Only who was heard in this account and may be one of its own people; none for all.
        """
        apart = self._opened.parties.changes.kept_apart()
        return [
            Pair(heard=heard, person=person, likeness=likeness)
            for heard in self._opened.parties.people(account)
            if heard.is_heard
            for person, likeness in self._namesakes.candidates(heard)
            if (heard.id, person.id) not in apart and account in {None, person.account}
        ]

    def records_of(self, person: Person) -> int:
        """Count the records that concern a person, under every identity."""
        asking = Subject(pseudonym=person.pseudonym, at_us=self._opened.now_us, merged=person.pseudonyms[1:])
        return sum(1 for _ in self._opened.lake.held(asking))

    def region(self, person: Person) -> str | None:
        """Return the region that is on record for a person; none if their account's holds for them."""
        return self._region_of(person_ref(person.pseudonym))

    def names(self, person: str) -> list[str]:
        """Return every name, alias and address by which a person is known, under any identity of theirs.

        Raises:
            InvalidInputError: There is no such person.
            RefusedError: They were erased.
        """
        found = self._opened.parties.person(person)
        return [*found.names, *found.addresses]

    def erased_names(self, person: str) -> list[str]:
        """Return the names and addresses of a person by which somebody was known who was erased."""
        return self._erased(self._opened.parties.person(person))

    def _erased(self, person: Person) -> list[str]:
        account, parties = person.account or "", self._opened.parties
        return [text for text in (*person.names, *person.addresses) if parties.is_erased(account, text)]

    # --- what changes people ---

    def alias(
        self, person: str, *, aliases: Sequence[str] = (), emails: Sequence[str] = (), by: str | None = None
    ) -> Person:
        """Give a person more names, identifiers or addresses. Raises as `Changes.add_handles` does.

        Args:
            person: Whose, by id.
            aliases: Names and identifiers.
            emails: Addresses.
            by: Who says so, by id; none for the operator.
        """
        if not aliases and not emails:
            raise InvalidInputError("Say which: a name or an identifier, or an address with --email.")
        before = self._opened.parties.person(person)
        self._note("alias", [before], by=by)
        for heard in self._namesakes.of(_person("", before.account, None, aliases, emails)):
            self._namesakes.keep(heard)  # with whoever they may be until then
        known = self._opened.parties.changes.add_handles(person, aliases=aliases, emails=emails)
        self._settle(known)
        return known

    def confirm_names(self, person: str, *, by: str | None = None) -> Entry:
        """Note that all names of somebody are known again that a restoring had lost.

        Until then, whoever is heard in their accounts and is not surely another registered person may be them, so
        nothing new is used where a person is asked.

        Args:
            person: Whose, by id; of somebody who was erased since, their pseudonym.
            by: Who says so, by id; none for the operator.

        Raises:
            InvalidInputError: No name of theirs was lost.
        """
        changes = self._opened.parties.changes
        lost = changes.names_lost()
        if person in lost and self._opened.parties.person_by_pseudonym(person) is None:
            mine, who = [person], [person]
        else:
            known = self._opened.parties.person(person)
            mine, who = [one for one in known.pseudonyms if one in lost], [known.pseudonym]
        if not mine:
            raise InvalidInputError(f"No name of {person} was lost. `volition doctor` lists whose names were.")
        entry = self._opened.ledger.append(self._entry("alias", who, by=by))[0]
        for pseudonym in mine:
            changes.regain_names(pseudonym)
        return entry

    def remove_alias(self, person: str, handle: str, *, by: str | None = None) -> Person:
        """Take a name, an identifier or an address from a person. Raises as `Changes.remove_handle` does."""
        known = self._opened.parties.person(person)
        self._note("alias", [known], by=by)
        self._namesakes.keep(known)
        return self._opened.parties.changes.remove_handle(person, handle)

    def rename(self, person: str, name: str, *, forget_old: bool = False, by: str | None = None) -> Person:
        """Show a person by another name. The old one stays a handle, unless it is to be forgotten.

        Raises as `Changes.rename` does.
        """
        before = self._opened.parties.person(person)
        self._note("rename", [before], by=by)
        self._namesakes.keep(before)
        known = self._opened.parties.changes.rename(person, name, forget_old=forget_old)
        self._settle(known)
        return known

    def merge(self, person: str, *, into: str, region: str | None = None, by: str | None = None) -> Person:
        """Make two people one: `person` is from then on another identity of the one whom they are merged into.

        Once this returns, what either has refused, and refuses still, is refused for both, by every later answer.

        Args:
            person: Whom to merge, by id: somebody heard, or somebody registered.
            into: Into whom, by id.
            region: Which region holds for both; needed where the two have different ones.
            by: Who says so: the id of a person, or "account:ID" for its administrator; none for the operator.

        Raises:
            InvalidInputError: One of them is not there, they are one already, or the region is none.
            RefusedError: One was erased, they belong to different accounts, or their regions differ.
        """
        if region is not None:
            check_region(region)
        gone, kept = self._opened.parties.person(person), self._opened.parties.person(into)
        if gone.id == kept.id:
            self._settle(kept)  # whoever gives it again may have been killed just before this
        self._check_merge(gone, kept)
        pseudonyms = (*kept.pseudonyms, *gone.pseudonyms)
        parties = [person_ref(pseudonym) for pseudonym in pseudonyms]
        drafts = [self._entry("merge", [kept.pseudonym, gone.pseudonym], by=by), *self._regions(kept, gone, region)]
        drafts += [*self._namesakes.refusals_among(pseudonyms), *limits_among(self._opened.history(), parties)]
        drafts += exclusions_among(self._opened.history(), parties, at_us=self._opened.now_us)
        self._opened.ledger.append(*drafts)
        known = self._opened.parties.changes.merge(gone.id, into=kept.id)
        self._settle(known)
        return known

    def keep_apart(self, heard: str, person: str, *, by: str | None = None) -> Entry:
        """Note that somebody heard is somebody else than somebody registered: the two are offered as one no more.

        New records under the same name may still be of either, so the no of each counts for both as before.

        Raises:
            InvalidInputError: One of them is not there.
        """
        one, other = self._opened.parties.person(heard), self._opened.parties.person(person)
        entry = self._note("apart", [other, one], by=by)
        self._opened.parties.changes.keep_apart(one.id, other.id)
        return entry

    def verify_address(self, person: str, email: str) -> None:
        """Note that a person has shown an address of theirs to be theirs, as whoever lets them sign in knows.

        Whoever has shown the same one elsewhere is surely the same person: the no of each about content holds for both.
        """
        changes = self._opened.parties.changes
        if changes.verify(person, email):
            known = self._opened.parties.person(person)
            drafts = [*self._namesakes.content_refusals_for(known)]
            for other in changes.verified_as(known.id):
                drafts += self._namesakes.content_refusals_for(other)
            self._opened.ledger.append(*drafts)

    def verified_at(self, person: str) -> list[str]:
        """Return the other accounts at which a person has shown the same address to be theirs."""
        others = self._opened.parties.changes.verified_as(person)
        return sorted({other.account for other in others if other.account is not None})

    def move(self, person: str, *, to: str, by: str | None = None) -> Person:
        """Make a person a user of another account.

        What they did stays the data of the account in which they did it, under the same pseudonym; what they have
        answered goes with them. Their sign-in is the server's: `Access.move_person`. Raises as `Changes.move` does.
        """
        known = self._opened.parties.person(person)
        if known.account == to and not known.has_left(to):
            raise InvalidInputError(f"{known.id} is of the account {to} already.")
        if known.is_heard:
            msg = f"{known.id} was heard in the data of {known.account} and is nobody's user. Add the person with "
            raise ConflictError(f"{msg}`volition person add ID --account {to}`.")
        self._opened.parties.account(to)
        self._note("move", [known], by=by, accounts=[known.account, to])
        self._namesakes.keep(known)
        moved = self._opened.parties.changes.move(known.id, to)
        self._settle(moved)
        return moved

    def leave(self, person: str, *, by: str | None = None) -> Person:
        """Make a person no user of their account any more: they read nothing that was opened to the account.

        Their answers and their rights stay. Their sign-in is the server's: `Access.end_person`. Raises as
        `Changes.leave` does.
        """
        known = self._opened.parties.person(person)
        if known.is_guest or known.is_heard:
            raise InvalidInputError(f"{known.id} is no user of an account, so they cannot leave one.")
        self._note("leave", [known], by=by, accounts=[known.account])
        self._namesakes.keep(known)
        left = self._opened.parties.changes.leave(known.id)
        self._settle(left)
        return left

    # --- how it is done ---

    def _entry(
        self, act: str, pseudonyms: Sequence[str], *, by: str | None, accounts: Sequence[str | None] = ()
    ) -> NewEntry:
        """Return the entry that says what was done to whom, without a name; the one who is kept comes first."""
        if by is not None and not by.startswith("account:"):
            by = person_ref(self._opened.parties.person(by).pseudonym)
        who = by or OPERATOR
        body = {"act": act, "people": [person_ref(Pseudonym(one)) for one in pseudonyms], "by": who}
        return NewEntry(kind="identity", body=body | ({"accounts": list(accounts)} if accounts else {}))

    def _note(
        self, act: str, people: Sequence[Person], *, by: str | None, accounts: Sequence[str | None] = ()
    ) -> Entry:
        named = [one.pseudonym for one in people]
        return self._opened.ledger.append(self._entry(act, named, by=by, accounts=accounts))[0]

    def _settle(self, person: Person) -> None:
        """Record what counts for a person as the directory now knows them, and is not recorded yet.

        Somebody may have answered while it changed; and those who may be the same person may be others now.
        """
        history, parties = self._opened.history(), [person_ref(one) for one in person.pseudonyms]
        drafts = [
            *self._namesakes.refusals_among(person.pseudonyms),
            *limits_among(history, parties),
            *exclusions_among(history, parties, at_us=self._opened.now_us),
            *self._namesakes.refusals_for(person),
        ]
        for other in self._namesakes.sharing(person):
            drafts += self._namesakes.refusals_for(other)
        if drafts:
            self._opened.ledger.append(*drafts)

    def _check_merge(self, gone: Person, kept: Person) -> None:
        if gone.id == kept.id:
            raise InvalidInputError(f"{gone.id} and {kept.id} are one person already.")
        for one in (gone, kept):
            if any(self._opened.history().erased_us(person_ref(pseudonym)) is not None for pseudonym in one.pseudonyms):
                raise RefusedError(f"{one.id} is being erased. Give `volition erase` again to finish that.")
        _check_accounts(gone, into=kept)

    def _region_of(self, party: str) -> str | None:
        known = self._opened.history().regions(party)
        return known[-1][1] if known else None

    def _regions(self, kept: Person, gone: Person, region: str | None) -> list[NewEntry]:
        """Return the entries that give both one region; where one has none, the other's, unless that loosens it."""
        identities = [(kept.account, one) for one in kept.pseudonyms] + [(gone.account, one) for one in gone.pseudonyms]
        own = {pseudonym: self._region_of(person_ref(pseudonym)) for _, pseudonym in identities}
        regions = {region} if region is not None else set(own.values()) - {None}
        if len(regions) > 1:
            raise RefusedError(_two_regions(gone.id, kept.id, regions))
        drafts = []
        for account, pseudonym in identities:
            for new in regions - {own[pseudonym]}:
                before = own[pseudonym] or (None if account is None else self._region_of(f"account:{account}"))
                if region is None and self._loosens(before, new):
                    raise RefusedError(_two_regions(gone.id, kept.id, {before, new}))
                drafts.append(_region(person_ref(pseudonym), str(new)))
        return drafts

    def _loosens(self, before: str | None, after: str | None) -> bool:
        """Return whether any published terms forbid or end in one region what they let through in another."""
        return any(
            _is_looser(terms.rule_for(category, purpose, before), terms.rule_for(category, purpose, after))
            for terms in self._opened.history().bindings.published()
            for category in terms.vocabulary.categories
            for purpose in terms.vocabulary.purposes
        )


def _is_looser(before: Rule | None, after: Rule | None) -> bool:
    """Return whether a rule lets through what another does not; whose yes is asked, the account's region says, too."""
    if after is None or after.basis is Basis.NEVER:
        return False
    if before is None or before.basis is Basis.NEVER:
        return True
    return before.max_age_us is not None and (after.max_age_us is None or after.max_age_us > before.max_age_us)


def _check_accounts(gone: Person, *, into: Person) -> None:
    """Refuse to merge who cannot be one: people of two accounts, or somebody registered into somebody heard."""
    if into.is_heard and not gone.is_heard:
        msg = (
            f"{into.id} was heard and {gone.id} is registered. Merge it the other way round: {into.id} into {gone.id}."
        )
        raise RefusedError(msg)
    if gone.account == into.account or (gone.is_heard and (into.account is None or gone.account in into.former)):
        return
    raise RefusedError(
        f"{gone.id} is of {gone.account or 'no account'} and {into.id} of {into.account or 'no account'}. Their data "
        "belongs to different organisations, so they stay two; a no under an address that both have shown to be theirs "
        "holds for both. If one of them changed account, use `volition person move`."
    )


def _two_regions(one: str, other: str, regions: Collection[str | None]) -> str:
    named = " and ".join(sorted(region or "none" for region in regions))
    return f"{one} and {other} are judged by different regions ({named}). Say which holds for both with --region."


def _region(party: str, region: str) -> NewEntry:
    return NewEntry(kind="region", body={"party": party, "region": region})


def _person(
    person: str, account: str | None, name: str | None, aliases: Sequence[str], emails: Sequence[str]
) -> Person:
    """Return somebody who is in no directory yet."""
    return Person(
        id=PersonId(person),
        account=account,
        name=name,
        aliases=tuple(aliases),
        emails=tuple(emails),
        pseudonym=_NOBODY,
    )
