"""What parties say: decisions, answers to switches, limits, signals.

Whatever they say is an entry of the ledger. Once a no is recorded, every later answer anywhere knows it; a yes is known
at once where the ledger is read, and within a lease where somebody answers from memory (`lease`). Nothing is taken
back: undoing says what makes things stand as they did before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from itertools import islice, product, takewhile
from pathlib import Path
from typing import Any, Final

from volition.canonical import datetime_to_us, text_to_us, us_to_text
from volition.consent.choices import ChoiceLine, Choices, Saying, choices, refused_by, saying, undoing
from volition.consent.claims import ClaimMapping
from volition.consent.endings import Ending, endings
from volition.consent.history import OPERATOR, PartyHistory
from volition.consent.limits import (
    GroupLimit,
    appended_together,
    check_group_name,
    limiting,
    limits_of,
    people_named,
    reversing,
)
from volition.consent.permits import Permit, Refusal, Use
from volition.consent.references import account_ref, person_ref
from volition.consent.terms.toml_file import check_words
from volition.errors import InvalidInputError, RefusedError
from volition.ledger.entry import Entry, NewEntry
from volition.progress import Progress, silent
from volition.transparency.consent_record import VIA
from volition.workspace.gate import GateQuestions
from volition.workspace.imports import AnswerImport, ImportReport
from volition.workspace.namesakes import Namesakes
from volition.workspace.opened import Opened

_CHOSEN: Final = 4096  # parties whose choices are remembered
_DAY_US: Final = 86_400_000_000
_REPORTS: Final = frozenset({"collect", "access", "snapshot", "model", "release", "forgetting", "removal"})


class Consent:
    """What accounts and people say, and what stands."""

    def __init__(self, opened: Opened, gate: GateQuestions) -> None:
        """Take the opened folder, and the gate that says what stands."""
        self._opened = opened
        self._gate = gate
        self._namesakes = Namesakes(opened)
        # What each party could choose: as long as nothing that could concern it is written to the ledger, no terms
        # begin to bind and no yes ends.
        self._chosen: dict[tuple[str, str], tuple[int, int, Choices | None]] = {}

    def decide(  # noqa: PLR0913 - whose answer, and all that it says
        self,
        party: str,
        *,
        yes: bool,
        data: Sequence[str],
        purpose: Sequence[str],
        covers: str | datetime | None = None,
        until: str | datetime | None = None,
        via: str | None = None,
    ) -> Entry:
        """Record a party's yes or no. Once this returns, every later answer knows a no, and within a lease a yes.

        A person's answer is recorded for every identity of theirs, and a no for those, too, who may be the same person
        (`namesakes`).

        Args:
            party: "account:ID" or "person:ID".
            yes: Whether it is a yes.
            data: Categories; a name covers all below it.
            purpose: Purposes, likewise.
            covers: How far a yes reaches back: "past", or an instant, as text too; none: from now on.
            until: When a yes ends (not included), an instant, as text too; none: by no date.
            via: How it was given, of `consent_record.VIA`; receipts say so. None: that is not recorded.

        Raises:
            InvalidInputError: The party, a category or a purpose is not known, or `covers` or `until` makes no sense.
        """
        vocabulary = self._opened.history().vocabulary
        vocabulary.leaves_of_data(data)
        vocabulary.leaves_of_use(purpose)
        covers, until = _as_text(covers), _as_text(until)
        if covers is not None:
            if not yes:
                raise InvalidInputError("A no covers everything from now on; `covers` goes with a yes only.")
            if covers != "past":
                covers_us = text_to_us(covers)
                if covers_us > self._opened.now_us:
                    msg = f"A yes cannot cover only from {covers} on: that lies in the future. Decide then."
                    raise InvalidInputError(msg)
                covers = us_to_text(covers_us)
        body = _body(self._opened.party(party), yes=yes, data=data, purpose=purpose, covers=covers)
        if until is not None:  # an entry says so only where there is an end: earlier ones are read as they always were
            body["until"] = self._end(until, yes=yes)
        if via is not None:
            check_words([via], VIA, "via", what="way to answer")
            body["via"] = via
        return self._record("decision", body)

    def _record(self, kind: str, body: dict[str, Any]) -> Entry:
        """Record what a party says, for each identity that it has; a no for namesakes, too.

        Raises:
            RefusedError: It was erased meanwhile: an erasure is the last that the ledger hears of anybody.
        """
        party, parties = str(body["party"]), self._opened.parties
        if not party.startswith("person:"):
            return self._append_for(party, [NewEntry(kind=kind, body=body)])[0]
        version = parties.version()
        before = [*self._untold(party)] if body.get("answer") == "yes" else []
        drafts = [*before, NewEntry(kind=kind, body=body), *self._namesakes.copies(party, body, kind=kind)]
        entry = self._append_for(party, drafts)[len(before)]
        if parties.version() != version:  # somebody may have been merged into them meanwhile, who has not said it yet
            said = {draft.body["party"] for draft in drafts[len(before) :]}
            late = self._namesakes.copies(party, body, kind=kind)
            self._opened.ledger.append(*(draft for draft in late if draft.body["party"] not in said))
        return entry

    def _append_for(self, party: str, drafts: Sequence[NewEntry]) -> tuple[Entry, ...]:
        def judged() -> Sequence[NewEntry]:
            if self._opened.history().erased_us(party) is not None:
                raise RefusedError("Whoever says this was erased meanwhile. Nothing was recorded.")
            return drafts

        return self._opened.append_judged(
            judged, unless=lambda entry: entry.kind == "erasure" and entry.body["party"] == party
        )

    def _untold(self, party: str) -> Iterator[NewEntry]:
        person = self._opened.parties.person_by_pseudonym(party.removeprefix("person:"))
        if person is not None:
            yield from self._namesakes.untold(person)

    def import_(
        self,
        rows: Path | Iterable[Mapping[str, Any]],
        mapping: ClaimMapping,
        *,
        by: str | None = None,
        dry_run: bool = False,
        progress: Progress = silent,
    ) -> ImportReport:
        """Import answers that were given elsewhere, each with when it was said; see `docs/decisions/0040`.

        Who asks as of an instant knows what was recorded by then. A yes reaches back to when it was said and no
        further, a no breaks off there; of a party's answers the one that was said last stands. Importing the same twice
        changes nothing. Each batch is recorded whole, or not at all, and a no in it is in force once the next begins.

        Args:
            rows: A file (.csv, .tsv, .jsonl, .ndjson, .parquet), or rows, each a mapping from columns to cells.
            mapping: Which column holds what.
            by: The account that imports, by its id; none for the operator.
            dry_run: Whether nothing is recorded, and only said what would be.
            progress: Told how many rows are done.

        Returns:
            How many answers are new, how many were there already, and which rows were set aside, and why.

        Raises:
            InvalidInputError: The file cannot be read, or the mapping lacks something.
        """
        importer = OPERATOR if by is None else account_ref(self._opened.parties.account(by).id)
        importing = AnswerImport(self._opened, self._namesakes, mapping, by=importer, untold=self._untold)
        return importing.run(rows, dry_run=dry_run, progress=progress)

    def _end(self, until: str, *, yes: bool) -> str:
        if not yes:
            raise InvalidInputError("A no has no end: it holds until a yes is said. `until` goes with a yes only.")
        until_us = text_to_us(until)
        if until_us <= self._opened.now_us:
            raise InvalidInputError(f"A yes cannot end at {until}: that is past. Name a later date, or say no.")
        return us_to_text(until_us)

    def ending(self, *, within_days: int = 30) -> list[Ending]:
        """Return the yeses that stand now and will end within some days: who is to be reminded, the first end first.

        Parties are named as in the ledger. A person's yes is named for their account; a guest's, for each account that
        has accepted terms.
        """
        history, at_us = self._opened.history(), self._opened.now_us

        def accounts_of(party: str) -> Sequence[str]:
            kind, _, name = party.partition(":")
            if kind == "account":
                return [name]
            person = self._opened.parties.person_by_pseudonym(name)
            if person is None:
                return []
            return history.bindings.accounts() if person.account is None else [person.account]

        return endings(history, at_us=at_us, until_us=at_us + within_days * _DAY_US, accounts_of=accounts_of)

    def choices(self, party: str, *, account: str, at_us: int | None = None) -> Choices:
        """Return what a party ("account:ID" or "person:ID") can choose about an account's data, now or as it stood."""
        return self._choices(self._opened.party(party), self._opened.parties.account(account).id, at_us)

    def _choices(self, ledger_name: str, account: str, at_us: int | None) -> Choices:
        """Return what a party can choose, by its name in the ledger."""
        history = self._opened.history()
        if at_us is not None:
            return choices(history, account=account, party=ledger_name, at_us=at_us)
        now_us = max(self._opened.clock(), history.last_us)
        size, until_us, known = self._chosen.get((ledger_name, account), (-1, 0, None))
        if known is not None and now_us < until_us and self._is_as_before(size, ledger_name):
            self._chosen[ledger_name, account] = history.size, until_us, known
            return known
        permits_of = cache(self._gate.permits_now(history, now_us))

        def permit_of(use: Use) -> Permit | Refusal:
            permits = permits_of(use.purpose)
            company = permits.company(use.account, use.beside)
            return permits.of(use.account, use.party, use.role, use.category, company=company)

        found = choices(history, account=account, party=ledger_name, at_us=now_us, permit_of=permit_of)
        changes_us = [permits_of(purpose).good_until_us() for purpose in history.vocabulary.purposes]
        if len(self._chosen) >= _CHOSEN:
            self._chosen.clear()
        self._chosen[ledger_name, account] = history.size, min(changes_us), found
        return found

    def _is_as_before(self, size: int, party: str) -> bool:
        """Say whether nothing that came since the ledger had a size could change what a party can choose."""
        return all(_says_nothing_to(entry, party) for entry in self._opened.entries_since(size))

    def choose(  # noqa: PLR0913 - a switch, whose, and all that an answer says
        self,
        party: str,
        switch: str,
        *,
        account: str,
        yes: bool,
        covers: str | datetime | None = None,
        until: str | datetime | None = None,
        via: str | None = None,
    ) -> tuple[Entry, bool]:
        """Answer a switch of the terms with yes or no; `covers`, `until` and `via` as with `decide`.

        Returns:
            The entry, and whether `undo_choice` would change anything.

        Raises:
            InvalidInputError: The terms have no such switch, or give the party no say in it.
        """
        before = self.choices(party, account=account).of(switch)
        if before is None or not before.has_say:
            msg = f"There is no switch {switch!r} on which {party} has a say. Open the settings anew."
            raise InvalidInputError(msg)
        vocabulary = self._opened.history().vocabulary
        said = saying(before, vocabulary, yes=yes, covers=_as_text(covers), until=_as_text(until))
        entry = self._say(party, said, via=via)
        after = self.choices(party, account=account).of(switch)
        return entry, after is not None and bool(undoing(before, after, at_us=self._opened.now_us))

    def _say(self, party: str, said: Saying, *, via: str | None = None) -> Entry:
        return self.decide(
            party, yes=said.yes, data=said.data, purpose=said.purpose, covers=said.covers, until=said.until, via=via
        )

    def refuse_all(self, party: str, *, account: str, via: str | None = None) -> tuple[Entry, bool]:
        """Say no to every use on which the terms give a party a say, in one entry; `via` as with `decide`.

        Returns:
            The entry, and whether `undo_refusal` would change anything.

        Raises:
            InvalidInputError: The terms give the party no say in anything.
        """
        before = self.choices(party, account=account).choices
        vocabulary = self._opened.history().vocabulary
        named = {purpose for one in before if one.has_say for purpose in refused_by(one.switch, vocabulary)}
        if not named:
            raise InvalidInputError(f"There is nothing on which {party} has a say. Open the settings anew.")
        purposes = [purpose for purpose in vocabulary.purposes if purpose in named]
        entry = self.decide(party, yes=False, data=vocabulary.all_data, purpose=purposes, via=via)
        now = self.choices(party, account=account)
        changed = ((choice, now.of(choice.switch.name)) for choice in before)
        now_us = self._opened.now_us
        return entry, any(one is not None and bool(undoing(choice, one, at_us=now_us)) for choice, one in changed)

    def undo_refusal(self, party: str, *, account: str, seq: int, via: str | None = None) -> list[Entry]:
        """Say what makes every switch stand as it did before a party said no to all; raises as `undo_choice` does."""
        return [
            entry
            for choice in self.choices(party, account=account).choices
            for entry in self.undo_choice(party, choice.switch.name, account=account, seq=seq, via=via)
        ]

    def undo_choice(self, party: str, switch: str, *, account: str, seq: int, via: str | None = None) -> list[Entry]:
        """Say what makes a switch stand as it did before an answer of this party, by its ledger entry's number.

        The new answers are given by `via`, as with `decide`.

        Raises:
            InvalidInputError: That entry is no answer of this party, or the terms have no such switch.
            RefusedError: Somebody was merged into the person since, so nothing may stand as it did before.
        """
        [ledger_name, *others] = self._opened.identities(self._opened.party(party))
        [answer, *_] = (
            [*self._opened.ledger.entries(seq, seq + 1)] if 0 <= seq < self._opened.history().size else [None]
        )
        if answer is None or answer.kind != "decision" or answer.body["party"] != ledger_name:
            raise InvalidInputError(f"Entry {seq} is no answer of {party}, so it cannot be undone.")
        if others and self._is_merged_after(seq, ledger_name):
            raise RefusedError(
                "Since this answer somebody was recognised as the same person, and the stricter answer of the two "
                "stands. Answer anew instead."
            )
        drafts: list[NewEntry] = []
        for name in (ledger_name, *others):
            before = self._choices(name, account, answer.at_us - 1).of(switch)
            now = self._choices(name, account, None).of(switch)
            if before is None or now is None:
                raise InvalidInputError(f"There is no switch {switch!r} any more. Open the settings anew.")
            for said in undoing(before, now, at_us=self._opened.now_us):
                body = _body(name, yes=said.yes, data=said.data, purpose=said.purpose, covers=said.covers)
                if said.until is not None:
                    body["until"] = said.until
                if via is not None:
                    body["via"] = via
                drafts.append(
                    NewEntry(kind="decision", body=body if name == ledger_name else {**body, "same_as": ledger_name})
                )
                if name == ledger_name and not said.yes and name.startswith("person:"):
                    drafts += [
                        one for one in self._namesakes.copies(name, body, kind="decision") if "namesake" in one.body
                    ]
        if any(draft.body["answer"] == "yes" for draft in drafts):
            drafts = [*self._untold(ledger_name), *drafts, *self._restored(answer, drafts, switch, account)]
        entries = self._opened.ledger.append(*drafts)
        return [entry for entry in entries if entry.body["party"] == ledger_name and "namesake" not in entry.body]

    def _restored(self, no: Entry, said: Sequence[NewEntry], switch: str, account: str) -> Iterator[NewEntry]:
        """Yield what makes it stand for namesakes as it did before they were given a copy of a no that is undone.

        It is the namesake's own yes that stands again, and only where they have said it and nothing followed the copy.
        """
        party, history = str(no.body["party"]), self._opened.history()
        undone = {
            use
            for one in said
            if one.body["party"] == party and one.body["answer"] == "yes"
            for use in product(
                history.vocabulary.leaves_of_data(one.body["data"]),
                history.vocabulary.leaves_of_use(one.body["purpose"]),
            )
        }
        after = self._opened.ledger.entries(no.seq + 1, history.size)
        together = takewhile(lambda one: party in {one.body.get("namesake"), one.body.get("same_as")}, after)
        for copy in (one for one in together if one.kind == "decision" and "namesake" in one.body):
            name = str(copy.body["party"])
            known = history.party(name)
            before = self._choices(name, account, copy.at_us - 1).of(switch)
            now = self._choices(name, account, None).of(switch)
            if before is None or now is None or any(seq > copy.seq for _, _, seq in known.signals):
                continue
            lines = tuple(
                line
                for line in before.lines
                if (line.category, line.purpose) in undone and _follows_a_yes(known, copy.seq, line)
            )
            for one in undoing(replace(before, lines=lines), now, at_us=self._opened.now_us):
                if one.yes:
                    body = _body(name, yes=True, data=one.data, purpose=one.purpose, covers=one.covers)
                    ends = {} if one.until is None else {"until": one.until}
                    yield NewEntry(kind="decision", body={**body, **ends, "namesake": party})

    def _is_merged_after(self, seq: int, party: str) -> bool:
        return any(
            entry.kind == "identity"
            and entry.seq > seq
            and entry.body["act"] == "merge"
            and party in entry.body["people"]
            for entry in self._opened.history().events
        )

    def limit(  # noqa: PLR0913 - whom, what, and which way
        self,
        account: str,
        *,
        switch: str | None = None,
        data: Sequence[str] = (),
        purpose: Sequence[str] = (),
        group: str = "",
        people: Sequence[str] = (),
        limited: bool = True,
    ) -> list[Entry]:
        """Limit the use of an account's data, or lift that. Once this returns, every later answer knows the limit.

        Args:
            account: Id of the account.
            switch: A switch of its terms, all that its no speaks of; or else:
            data: categories, a name covers all below it, and
            purpose: purposes, likewise.
            group: Name of a group of its people; empty for the lock of the whole account.
            people: Whom of the group, by id or any name that they go by in the account; nobody for the lock, and to
                lift the limit of all of the group.
            limited: Whether to limit or to lift.

        Raises:
            InvalidInputError: Something named is not known or makes no sense, or there is no such limit to lift.
        """
        account, vocabulary = self._opened.parties.account(account).id, self._opened.history().vocabulary
        if switch is not None:
            choice = self.choices(f"account:{account}", account=account).of(switch)
            if choice is None or not choice.has_say:
                raise InvalidInputError(f"There is no switch {switch!r} on which {account} has a say.")
            data, purpose = vocabulary.all_data, refused_by(choice.switch, vocabulary)
        uses = set(product(vocabulary.leaves_of_data(data), vocabulary.leaves_of_use(purpose)))
        if not uses:
            raise InvalidInputError("Name what to limit: a switch, or data and purposes.")
        check_group_name(group)
        if not limited and not any(one.name == group and uses.intersection(one.uses) for one in self.limits(account)):
            raise InvalidInputError(f"{group or 'The lock'} limits nothing of this, so there is nothing to lift.")
        found = people_named(self._opened.parties, account, people)
        named = [person_ref(pseudonym) for one in found for pseudonym in one.pseudonyms]
        if group and limited and not named:
            raise InvalidInputError(f"Name the people of {group!r} to whom the limit is to apply.")
        key = self._group_key(account, group)
        drafts = limiting(account, group=key, people=named, data=data, purpose=purpose, limited=limited)
        return list(self._opened.ledger.append(*drafts))

    def _group_key(self, account: str, name: str) -> str:
        """Return what the ledger calls a group; one that an earlier version wrote there by its name keeps that."""
        is_told = not name or name in self._opened.history().groups(account)
        return name if is_told else self._opened.parties.add_group(account, name)

    def limits(self, account: str) -> tuple[GroupLimit, ...]:
        """Return the limits of an account that stand now: its lock first, then its groups by name."""
        account = self._opened.parties.account(account).id
        names = self._opened.parties.groups(account)
        return limits_of(self._opened.history(), account=account, at_us=self._opened.now_us, names=names)

    def undo_limit(self, account: str, switch: str, *, seq: int) -> list[Entry]:
        """Make an account's limits stand as they did before some were set or lifted, by the first entry's number.

        What the account itself allowed by the switch before it was locked reaches as far back again as it did.

        Raises:
            InvalidInputError: That entry is no limit of this account.
        """
        done = appended_together(
            self._opened.ledger.entries(seq) if 0 <= seq < self._opened.history().size else (), account
        )
        party = f"account:{account}"
        before = self.choices(party, account=account, at_us=done[0].at_us - 1).of(switch)
        entries = [*self._opened.ledger.append(*reversing(self._opened.history(), done))]
        now = self.choices(party, account=account).of(switch)
        if entries and before is not None and now is not None and done[0].body["group"] == "":
            entries += [self._say(party, said) for said in undoing(before, now, at_us=self._opened.now_us)]
        return entries

    def signal(self, person: str, name: str = "gpc") -> Entry | None:
        """Record a standing signal (Global Privacy Control) of a person, once.

        Returns:
            The entry, or none if it was recorded before.
        """
        party = self._opened.party(f"person:{person}")
        if any(known == name for _, known, _ in self._opened.history().party(party).signals):
            self._opened.leases.wait()  # the process that recorded it may have been killed before it was acknowledged
            return None
        return self._record("signal", {"party": party, "signal": name})

    def answers(self, person: str, *, before: int | None = None, limit: int | None = None) -> list[Entry]:
        """Return the entries in which a person said something, the newest first: decisions and signals.

        What was said under one identity of theirs is listed once, and not for each.

        Args:
            person: Their id.
            before: Only entries with a lower number than this; none for all.
            limit: How many at most; none for all.
        """
        names = self._opened.identities(self._opened.party(f"person:{person}"))
        numbers: set[int] = set()
        for known in map(self._opened.history().party, names):
            numbers |= {decision.seq for decision in known.decisions} | {seq for _, _, seq in known.signals}
        newest_first = sorted((seq for seq in numbers if before is None or seq < before), reverse=True)
        entries = (entry for seq in newest_first for entry in self._opened.ledger.entries(seq, seq + 1))
        said = (one for one in entries if not {one.body.get("same_as"), one.body.get("namesake")}.intersection(names))
        return [*islice(said, limit)]


def _says_nothing_to(entry: Entry, party: str) -> bool:
    """Say whether an entry cannot change what a party can choose: another person's own word, or a mere report."""
    if entry.kind in {"decision", "signal"}:
        said = str(entry.body["party"])
        is_of_several = not {"same_as", "namesake"}.isdisjoint(entry.body)  # of whom the party may be one
        return said.startswith("person:") and said != party and not is_of_several
    return entry.kind in _REPORTS


def _follows_a_yes(known: PartyHistory, seq: int, line: ChoiceLine) -> bool:
    """Return whether an entry is a party's last word on a use, and a yes was the one before it."""
    said = [one for one in known.decisions if line.category in one.categories and line.purpose in one.purposes]
    return len(said) > 1 and said[-1].seq == seq and said[-2].yes


def _as_text(instant: str | datetime | None) -> str | None:
    """Return an instant as entries of the ledger have it; text as it came. Raises InvalidInputError without a zone."""
    return us_to_text(datetime_to_us(instant)) if isinstance(instant, datetime) else instant


def _body(party: str, *, yes: bool, data: Sequence[str], purpose: Sequence[str], covers: str | None) -> dict[str, Any]:
    """Return what a decision's entry says."""
    return {
        "party": party,
        "answer": "yes" if yes else "no",
        "data": sorted(set(data)),
        "purpose": sorted(set(purpose)),
        "covers": covers,
    }
