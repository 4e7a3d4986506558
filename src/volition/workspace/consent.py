"""What parties say: decisions, answers to switches, limits, signals.

Whatever they say is an entry of the ledger. Once a no is recorded, every later answer anywhere knows it; a yes is known
at once where the ledger is read, and within a lease where somebody answers from memory (`lease`). Nothing is taken
back: undoing says what makes things stand as they did before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice, product, takewhile
from typing import Any, Final

from volition.canonical import text_to_us, us_to_text
from volition.consent.choices import ChoiceLine, Choices, Saying, choices, saying, undoing
from volition.consent.endings import Ending, endings
from volition.consent.history import PartyHistory
from volition.consent.limits import (
    EVERYTHING,
    GroupLimit,
    appended_together,
    check_group_name,
    limiting,
    limits_of,
    people_named,
    reversing,
)
from volition.consent.permits import Permit, Refusal, Use
from volition.consent.references import person_ref
from volition.consent.terms.model import CATEGORIES, PURPOSES, leaves
from volition.consent.terms.toml_file import check_words
from volition.errors import InvalidInputError, RefusedError
from volition.ledger.entry import Entry, NewEntry
from volition.transparency.consent_record import VIA
from volition.workspace.gate import GateQuestions
from volition.workspace.namesakes import Namesakes
from volition.workspace.opened import Opened

_CHOSEN: Final = 4096  # parties whose choices are remembered
_DAY_US: Final = 86_400_000_000


class Consent:
    """What accounts and people say, and what stands."""

    def __init__(self, opened: Opened, gate: GateQuestions) -> None:
        """Take the opened folder, and the gate that says what stands."""
        self._opened = opened
        self._gate = gate
        self._namesakes = Namesakes(opened)
        # What each party could choose: as long as nothing is written to the ledger, no terms begin to bind and no yes
        # ends.
        self._chosen: dict[tuple[str, str], tuple[int, int, Choices | None]] = {}

    def decide(  # noqa: PLR0913 - whose answer, and all that it says
        self,
        party: str,
        *,
        yes: bool,
        data: Sequence[str],
        purpose: Sequence[str],
        covers: str | None = None,
        until: str | None = None,
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
            covers: How far a yes reaches back: "past", or an instant as text; none: from now on.
            until: When a yes ends (not included), an instant as text; none: by no date.
            via: How it was given, of `consent_record.VIA`; receipts say so. None: that is not recorded.

        Raises:
            InvalidInputError: The party, a category or a purpose is not known, or `covers` or `until` makes no sense.
        """
        leaves(data, CATEGORIES)
        leaves(purpose, PURPOSES)
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
        """Record what a party says, for each identity that it has; a no for namesakes, too."""
        party, parties = str(body["party"]), self._opened.parties
        if not party.startswith("person:"):
            return self._opened.ledger.append(NewEntry(kind=kind, body=body))[0]
        version = parties.version()
        before = [*self._untold(party)] if body.get("answer") == "yes" else []
        drafts = [*before, NewEntry(kind=kind, body=body), *self._namesakes.copies(party, body, kind=kind)]
        entry = self._opened.ledger.append(*drafts)[len(before)]
        if parties.version() != version:  # somebody may have been merged into them meanwhile, who has not said it yet
            said = {draft.body["party"] for draft in drafts[len(before) :]}
            late = self._namesakes.copies(party, body, kind=kind)
            self._opened.ledger.append(*(draft for draft in late if draft.body["party"] not in said))
        return entry

    def _untold(self, party: str) -> Iterator[NewEntry]:
        person = self._opened.parties.person_by_pseudonym(party.removeprefix("person:"))
        if person is not None:
            yield from self._namesakes.untold(person)

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
        if known is not None and size == history.size and now_us < until_us:
            return known
        permits_of = cache(self._gate.permits_now(history, now_us))

        def permit_of(use: Use) -> Permit | Refusal:
            permits = permits_of(use.purpose)
            company = permits.company(use.account, use.beside)
            return permits.of(use.account, use.party, use.role, use.category, company=company)

        found = choices(history, account=account, party=ledger_name, at_us=now_us, permit_of=permit_of)
        changes_us = [permits_of(purpose).good_until_us() for purpose in PURPOSES]
        if len(self._chosen) >= _CHOSEN:
            self._chosen.clear()
        self._chosen[ledger_name, account] = history.size, min(changes_us), found
        return found

    def choose(  # noqa: PLR0913 - a switch, whose, and all that an answer says
        self,
        party: str,
        switch: str,
        *,
        account: str,
        yes: bool,
        covers: str | None = None,
        until: str | None = None,
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
        entry = self._say(party, saying(before, yes=yes, covers=covers, until=until), via=via)
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
        named = {purpose for choice in before if choice.has_say for purpose in choice.purposes}
        if not named:
            raise InvalidInputError(f"There is nothing on which {party} has a say. Open the settings anew.")
        purposes = [purpose for purpose in PURPOSES if purpose in named]
        entry = self.decide(party, yes=False, data=EVERYTHING, purpose=purposes, via=via)
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
            for use in product(leaves(one.body["data"], CATEGORIES), leaves(one.body["purpose"], PURPOSES))
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
        account = self._opened.parties.account(account).id
        if switch is not None:
            choice = self.choices(f"account:{account}", account=account).of(switch)
            if choice is None or not choice.has_say:
                raise InvalidInputError(f"There is no switch {switch!r} on which {account} has a say.")
            data, purpose = EVERYTHING, choice.purposes
        uses = set(product(leaves(data, CATEGORIES), leaves(purpose, PURPOSES)))
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


def _follows_a_yes(known: PartyHistory, seq: int, line: ChoiceLine) -> bool:
    """Return whether an entry is a party's last word on a use, and a yes was the one before it."""
    said = [one for one in known.decisions if line.category in one.categories and line.purpose in one.purposes]
    return len(said) > 1 and said[-1].seq == seq and said[-2].yes


def _body(party: str, *, yes: bool, data: Sequence[str], purpose: Sequence[str], covers: str | None) -> dict[str, Any]:
    """Return what a decision's entry says."""
    return {
        "party": party,
        "answer": "yes" if yes else "no",
        "data": sorted(set(data)),
        "purpose": sorted(set(purpose)),
        "covers": covers,
    }
