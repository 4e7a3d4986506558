"""The history: everything that each party did, arranged when it is asked for, and the files that hold it all.

It is a projection of the ledger, as event sourcing says: an index by party of the entries that bear on permission.
`to_files` and `load` are each other's inverse: what is read back answers as what was written did.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from volition.consent.history.answers import AnswerLog
from volition.consent.history.bindings import TermsBindings
from volition.consent.history.columns import Imported
from volition.consent.history.exclusions import Exclusions
from volition.consent.history.sharings import Sharings
from volition.consent.history.values import NO_LIMITS, Decision, Limit, PartyHistory, PartyLimits, widened_use
from volition.consent.terms.model import Terms
from volition.consent.terms.vocabulary import Vocabulary
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry

_ARRANGED: Final = 4096  # parties whose answers stay arranged in memory


class History:
    """What the gate must know, and who did what. Times never run backwards in it.

    Attributes:
        bindings: Which terms bind which account since when.
        answers: Who answered what.
        imported: Which answers were given elsewhere, by what their source calls them.
        sharings: Which conversations were opened to whom. It bears on who reads, not on permission.
        exclusions: Which conversations were left out of which uses.
        size: How many ledger entries were read.
        last_us: The last one's instant.
        events: What was done with data and people: the entries of mappings, snapshots, models, releases, forgettings,
            erasures, and identities.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        self.bindings = TermsBindings()
        self.answers = AnswerLog()
        self.imported = Imported()
        self.sharings = Sharings()
        self.exclusions = Exclusions()
        self.size = 0
        self.last_us = 0
        self.events: list[Entry] = []
        self._regions: dict[str, list[tuple[int, str]]] = {}
        self._erased: dict[str, tuple[int, int]] = {}
        self._limits: dict[str, PartyLimits] = {}
        self._limit_entries: list[tuple[Limit, Sequence[str]]] = []
        self._groups: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)  # (account, group) -> its people
        self._namesakes: dict[str, dict[str, int]] = {}  # party -> who may be the same person -> since when
        self._arranged: dict[str, tuple[int, PartyHistory]] = {}  # by party, up to which row

    @property
    def vocabulary(self) -> Vocabulary:
        """What can be named: the built-in names, and what any published terms declare."""
        return self.bindings.vocabulary

    # What happened, in order:

    def publish(self, terms: Terms, *, binds_us: int, at_us: int | None = None, seq: int = -1) -> None:
        """A terms version appears, as `TermsBindings.publish` says; what was refused reaches what it declares."""
        before = self.vocabulary
        self.bindings.publish(terms, binds_us=binds_us, at_us=at_us, seq=seq)
        if self.vocabulary is not before:
            self._widen(before, self.vocabulary)

    def _widen(self, before: Vocabulary, after: Vocabulary) -> None:
        self.answers.widen(before, after)
        self.exclusions.widen(before, after)
        limits = self._limit_entries[:]
        self._limits.clear()
        self._groups.clear()
        self._limit_entries.clear()
        for one, people in limits:
            categories, purposes = widened_use(one, before, after)
            self.limit(replace(one, categories=categories, purposes=purposes), people)
        self._arranged.clear()

    def locate(self, party: str, region: str, *, at_us: int) -> None:
        """A party's region becomes known, or changes."""
        self._regions.setdefault(party, []).append((at_us, region))

    def erase(self, party: str, *, at_us: int, seq: int = -1) -> None:
        """A party is erased, for good."""
        self._erased.setdefault(party, (at_us, seq))

    def limit(self, limit: Limit, people: Sequence[str] = ()) -> None:
        """An account limits a use, or lifts a limit.

        Args:
            limit: What is limited or lifted.
            people: Whom of the group; nobody for the lock of the account, and for a lift of all of a group.

        Raises:
            InvalidInputError: A lock names people, or a limit of a group names nobody.
        """
        if (people and not limit.group) or (limit.group and limit.limited and not people):
            raise InvalidInputError("A lock names nobody, and a limit of a group names the people to whom it applies.")
        members = self._groups[limit.account, limit.group]
        if not limit.group:
            members[f"account:{limit.account}"] = None
        elif limit.limited:
            members.update(dict.fromkeys(people))
        longer: dict[PartyLimits, PartyLimits] = {}
        for party in dict.fromkeys(people) or members:
            known = self._limits.get(party, NO_LIMITS)
            if known not in longer:
                longer[known] = PartyLimits((*known.said, limit))
            self._limits[party] = longer[known]
        self._limit_entries.append((limit, people))

    def resemble(self, party: str, other: str, *, at_us: int) -> None:
        """Two parties may be one person: what one said was recorded for the other, as a namesake's."""
        for one, its_other in ((party, other), (other, party)):
            self._namesakes.setdefault(one, {}).setdefault(its_other, at_us)

    # What follows from it:

    def party(self, party: str) -> PartyHistory:
        """Return everything that a party did; an empty record for one that did nothing. It is to be read, not changed.

        What was arranged before is remembered, and only what was said since is added.
        """
        row = self.answers.newest_row(party)
        arranged_row, arranged = self._arranged.get(party, (-1, None))
        if arranged is None:
            arranged = PartyHistory()
        if row != arranged_row:
            decisions, signals = self.answers.between(arranged_row, row)
            arranged.decisions += decisions
            arranged.decisions.sort(key=_by_said)
            arranged.signals += signals
        if row != arranged_row or party not in self._arranged:
            if len(self._arranged) >= _ARRANGED:
                self._arranged.clear()
            self._arranged[party] = (row, arranged)
        arranged.erased_us, arranged.erased_seq = self._erased.get(party, (None, -1))
        return arranged

    def own(self, party: str) -> PartyHistory:
        """Return what a party did without what is only a copy of what a namesake said."""
        decisions, signals = self.answers.between(-1, self.answers.newest_row(party), with_copies=False)
        decisions.sort(key=_by_said)
        erased_us, erased_seq = self._erased.get(party, (None, -1))
        return PartyHistory(decisions=decisions, signals=signals, erased_us=erased_us, erased_seq=erased_seq)

    def namesakes(self, party: str, *, at_us: int) -> Collection[str]:
        """Return which parties are known at an instant as those who may be the same person as a party."""
        found = self._namesakes.get(party)
        return () if found is None else [other for other, since_us in found.items() if since_us <= at_us]

    def resembling(self, parties: Iterable[str]) -> set[str]:
        """Return those of some parties of whom anybody was ever known who may be the same person; mostly nobody."""
        return self._namesakes.keys() & set(parties) if self._namesakes else set()

    def is_silent(self, party: str) -> bool:
        """Return whether a party never did anything that bears on permission."""
        return (
            self.answers.newest_row(party) < 0
            and party not in self._regions
            and party not in self._erased
            and party not in self._limits
        )

    def regions(self, party: str) -> list[tuple[int, str]]:
        """Return a party's regions: (since when, region), oldest first."""
        return self._regions.get(party, [])

    def located(self, parties: Iterable[str]) -> tuple[str, ...]:
        """Return those of some parties that have ever had a region of their own: each once, in order of their names."""
        return tuple(sorted({party for party in parties if party in self._regions})) if self._regions else ()

    def limits(self, party: str) -> PartyLimits:
        """Return all limits that ever applied to a party."""
        return self._limits.get(party, NO_LIMITS)

    def groups(self, account: str) -> dict[str, Sequence[str]]:
        """Return the groups that an account ever limited, by name: everyone ever named as a member, lifted or not."""
        return {group: list(people) for (whose, group), people in self._groups.items() if whose == account and group}

    def members(self, account: str, group: str) -> Sequence[str]:
        """Return everyone ever named as a member of a group; for the group without a name, the account itself."""
        return list(self._groups.get((account, group), ()))

    def next_end_us(self, purpose: str, *, after_us: int) -> int | None:
        """Return the first instant after one at which a yes to a purpose may end, by its date or its age; or none."""
        return self.answers.next_end_us(after_us=after_us, ages_us=self.bindings.yes_ages_us(purpose))

    def ended(self, purpose: str, *, after_us: int, until_us: int) -> set[str]:
        """Return every party of whom a yes to a purpose may have ended after an instant, up to another (included)."""
        ages_us = self.bindings.yes_ages_us(purpose)
        return self.answers.ended(after_us=after_us, until_us=until_us, ages_us=ages_us)

    def erased_us(self, party: str) -> int | None:
        """Return when a party was erased; none if it was not."""
        return self._erased.get(party, (None, -1))[0]

    def exceptional_parties(self) -> tuple[set[str], set[str]]:
        """Return the few parties with something besides answers: those with regions or limits, and erased ones."""
        return {*self._regions, *self._limits}, set(self._erased)

    # To be saved:

    def to_files(self) -> dict[str, bytes | memoryview]:
        """Return the history as files by name: raw little-endian columns, and JSON for what is rare."""
        files = {**self.answers.to_files(), **self.imported.to_files()}
        rare = {
            "size": self.size,
            "last_us": self.last_us,
            "leaves": [self.vocabulary.categories, self.vocabulary.purposes],
            "scopes": self.answers.scopes_to_json(),
            **self.bindings.to_json(),
            "regions": self._regions,
            "erased": self._erased,
            "limits": [
                [one.account, one.group, one.limited, sorted(one.categories), sorted(one.purposes), one.at_us, one.seq]
                for one, _ in self._limit_entries
            ],
            "namesakes": self._namesakes,
            "sharings": self.sharings.to_json(),
            "exclusions": self.exclusions.to_json(),
            "limited": [list(people) for _, people in self._limit_entries],
            "doings": [entry.leaf_bytes.decode() for entry in self.events],
        }
        files["rare.json"] = json.dumps(rare, ensure_ascii=False).encode()
        return files

    def load(self, files: Mapping[str, bytes]) -> None:
        """Read back what `to_files` returned, into a history that knows nothing yet.

        Raises:
            InvalidInputError: It was written when there were other built-in names: "train" may cover more now.
        """
        rare = json.loads(files["rare.json"])
        self.bindings.load(rare)
        if rare["leaves"] != [list(self.vocabulary.categories), list(self.vocabulary.purposes)]:
            raise InvalidInputError("This history was saved when there were other built-in names. Read it anew.")
        self.answers.load(files, rare["scopes"])
        self.imported.load(files)
        self._regions = {party: [tuple(one) for one in found] for party, found in rare["regions"].items()}
        self._namesakes = rare["namesakes"]
        self._erased = {party: tuple(one) for party, one in rare["erased"].items()}
        for (account, group, limited, categories, purposes, at_us, seq), people in zip(
            rare["limits"], rare["limited"], strict=True
        ):
            limit = Limit(
                account=account,
                group=group,
                limited=limited,
                categories=frozenset(categories),
                purposes=frozenset(purposes),
                at_us=at_us,
                seq=seq,
            )
            self.limit(limit, people)
        self.sharings = Sharings.from_json(rare.get("sharings", []))  # saved before there were any: none
        self.exclusions = Exclusions.from_json(rare["exclusions"], self.vocabulary)
        self.events = [Entry.from_leaf(leaf.encode()) for leaf in rare["doings"]]
        self.size, self.last_us = rare["size"], rare["last_us"]


def _by_said(decision: Decision) -> tuple[int, bool]:
    """Return what orders a party's decisions: when each was said, at one instant the noes last; else as recorded."""
    return decision.said_us, not decision.yes
