"""The history: everything that each party did, arranged when it is asked for, and the files that hold it all.

`to_files` and `load` are each other's inverse: what is read back answers as what was written did.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from volition.consent.history.answers import ANSWER_COLUMNS, Answering
from volition.consent.history.values import NO_LIMITS, NOT_BACK_US, Decision, Limit, Limits, PartyHistory, Scope
from volition.consent.terms.model import CATEGORIES, PURPOSES, Terms
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry

_ARRANGED: Final = 4096  # parties whose answers are kept arranged


class History(Answering):
    """What the gate must know, and who did what. Times never run backwards in it.

    Attributes:
        size: How many ledger entries were read.
        last_us: The last one's instant.
        doings: The entries that no party's permission hangs on: snapshots, models, releases, forgettings, erasures.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        super().__init__()
        self.size = 0
        self.last_us = 0
        self.doings: list[Entry] = []
        self._regions: dict[str, list[tuple[int, str]]] = {}
        self._erased: dict[str, tuple[int, int]] = {}
        self._limits: dict[str, Limits] = {}
        self._limit_entries: list[tuple[Limit, Sequence[str]]] = []
        self._groups: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)  # (account, group) -> its people
        self._arranged: dict[str, tuple[int, PartyHistory]] = {}  # by party, up to which row

    # What happened, in order:

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
            raise InvalidInputError("A lock names nobody, and a limit of a group names the people whom it holds.")
        members = self._groups[limit.account, limit.group]
        if not limit.group:
            members[f"account:{limit.account}"] = None
        elif limit.limited:
            members.update(dict.fromkeys(people))
        longer: dict[Limits, Limits] = {}
        for party in dict.fromkeys(people) or members:
            known = self._limits.get(party, NO_LIMITS)
            if known not in longer:
                longer[known] = Limits((*known.said, limit))
            self._limits[party] = longer[known]
        self._limit_entries.append((limit, people))

    # What follows from it:

    def party(self, party: str) -> PartyHistory:
        """Return everything that a party did; an empty record for one that did nothing. It is to be read, not changed.

        What was arranged before is remembered, and only what was said since is added.
        """
        number = self._numbers.get(party)
        row = -1 if number is None else self._newest["answer"].item(number)
        arranged_row, arranged = self._arranged.get(party, (-1, None))
        regions, erased = self._regions.get(party, []), self._erased.get(party, (None, -1))
        if arranged is None:
            arranged = PartyHistory()
        elif row == arranged_row:
            arranged.regions, (arranged.erased_us, arranged.erased_seq) = regions, erased
            return arranged
        _, at, covers, scopes, before, seqs = (self._answers[name] for name in ANSWER_COLUMNS)
        fresh = []
        newest_row = row
        while row != arranged_row:
            fresh.append(row)
            row = before.item(row)
        for row in reversed(fresh):
            scope = self.scopes[scopes.item(row)]
            at_us, covers_us, seq = at.item(row), covers.item(row), seqs.item(row)
            if scope.signal:
                arranged.signals.append((at_us, scope.signal, seq))
            else:
                decision = Decision(
                    yes=scope.yes,
                    categories=scope.categories,
                    purposes=scope.purposes,
                    at_us=at_us,
                    covers_us=None if covers_us == NOT_BACK_US else covers_us,
                    seq=seq,
                )
                arranged.decisions.append(decision)
        arranged.regions, (arranged.erased_us, arranged.erased_seq) = regions, erased
        if len(self._arranged) >= _ARRANGED:
            self._arranged.clear()
        self._arranged[party] = (newest_row, arranged)
        return arranged

    def is_silent(self, party: str) -> bool:
        """Tell whether a party never did anything that bears on permission."""
        number = self._numbers.get(party)
        never_answered = number is None or self._newest["answer"][number] < 0
        return bool(
            never_answered and party not in self._regions and party not in self._erased and party not in self._limits
        )

    def regions(self, party: str) -> list[tuple[int, str]]:
        """Return a party's regions: (since when, region), oldest first."""
        return self._regions.get(party, [])

    def limits(self, party: str) -> Limits:
        """Return all limits that ever held a party."""
        return self._limits.get(party, NO_LIMITS)

    def groups(self, account: str) -> dict[str, Sequence[str]]:
        """Return the groups that an account ever limited, by name: whoever was named of each, lifted or not."""
        return {group: list(people) for (whose, group), people in self._groups.items() if whose == account and group}

    def members(self, account: str, group: str) -> Sequence[str]:
        """Return whom an account ever named of a group; of the group without a name, the account itself."""
        return list(self._groups.get((account, group), ()))

    def erased_us(self, party: str) -> int | None:
        """Return when a party was erased; none if it was not."""
        return self._erased.get(party, (None, -1))[0]

    def told_apart(self) -> tuple[set[str], set[str]]:
        """Return the few parties with something besides answers: with ground of their own, and erased ones."""
        return {*self._regions, *self._limits}, set(self._erased)

    # To be kept:

    def to_files(self) -> dict[str, bytes | memoryview]:
        """Return the history as files by name: raw little-endian columns, and JSON for what is rare."""
        files: dict[str, bytes | memoryview] = {
            f"{name}.{kind[1:]}": np.ascontiguousarray(self._answers[name]).data.cast("B")
            for name, kind in ANSWER_COLUMNS.items()
            if self._answers.size
        }
        files["parties.json"] = json.dumps(list(self._numbers), ensure_ascii=False).encode()
        rare = {
            "size": self.size,
            "last_us": self.last_us,
            "leaves": [CATEGORIES, PURPOSES],
            "scopes": [[one.signal, one.yes, sorted(one.categories), sorted(one.purposes)] for one in self.scopes],
            "published": [[one.terms.to_json(), one.binds_us, one.seq] for one in self._published.values()],
            "accepted": self._accepted,
            "regions": self._regions,
            "erased": self._erased,
            "limits": [
                [one.account, one.group, one.limited, sorted(one.categories), sorted(one.purposes), one.at_us, one.seq]
                for one, _ in self._limit_entries
            ],
            "limited": [list(people) for _, people in self._limit_entries],
            "doings": [entry.leaf_bytes.decode() for entry in self.doings],
        }
        files["rare.json"] = json.dumps(rare, ensure_ascii=False).encode()
        return files

    def load(self, files: Mapping[str, bytes]) -> None:
        """Read back what `to_files` gave, into a history that knows nothing yet.

        Raises:
            InvalidInputError: It was written when there were other categories or purposes: "train" may cover more now.
        """
        rare = json.loads(files["rare.json"])
        if rare["leaves"] != [list(CATEGORIES), list(PURPOSES)]:
            raise InvalidInputError("This history was kept when there were other categories or purposes. Read it anew.")
        for told, binds_us, seq in rare["published"]:
            self.publish(Terms.from_json(told), binds_us=binds_us, seq=seq)
        for account, accepted in rare["accepted"].items():
            self._accepted[account] = [tuple(one) for one in accepted]
        self._regions = {party: [tuple(one) for one in found] for party, found in rare["regions"].items()}
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
        for signal, yes, categories, purposes in rare["scopes"]:
            scope = Scope(signal=signal, yes=yes, categories=frozenset(categories), purposes=frozenset(purposes))
            self._scope_number(scope)
        self.doings = [Entry.from_leaf(leaf.encode()) for leaf in rare["doings"]]
        self.size, self.last_us = rare["size"], rare["last_us"]
        self._numbers = {party: number for number, party in enumerate(json.loads(files["parties.json"]))}
        newest = np.full(len(self._numbers), -1, np.int32)
        if "party.i4" in files:
            columns = {name: np.frombuffer(files[f"{name}.{kind[1:]}"], kind) for name, kind in ANSWER_COLUMNS.items()}
            self._answers.extend(columns)
            newest[columns["party"]] = np.arange(len(columns["party"]), dtype=np.int32)
        self._newest.extend({"answer": newest})
