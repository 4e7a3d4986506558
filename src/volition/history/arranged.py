"""History: the ledger's entries that bear on permission, arranged by party. It knows; it decides nothing.

Answers (decisions and signals) are columns of numbers, one row an answer in the ledger's order, so that tens of
millions fit into memory; each row names the row of the same party before it. What is rare (terms, acceptances,
regions, limits, erasures, models) is kept as it came. Times never run backwards.

A history that was long to read is kept: `keep_history` writes the columns with a seal that this log's key has signed,
over the tree that they were read from, and `find_history` reads back only what the seal and the ledger confirm.

    >>> history = read_history(ledger.entries())      # doctest: +SKIP
    >>> history.party("account:acme").decisions       # doctest: +SKIP
    [Decision(yes=True, ...)]
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from volition.canonical import canonical_json, digest, text_to_us
from volition.errors import InvalidInputError, ProofError
from volition.files import PART, write_folder
from volition.ledger import Entry
from volition.signing import Signer, VerifierKey, open_note, sign_note
from volition.terms import CATEGORIES, PURPOSES, Terms, leaves

BEGINNING_US: Final = -(2**62)
"""An instant before every record: a stretch that starts here has no beginning."""

NOT_BACK_US: Final = 2**62
"""As `covers_us` in a column: the answer does not reach back before itself."""

_ARRANGED: Final = 4096  # parties whose answers are kept arranged
_SEAL: Final = "volition.history/2"  # an earlier version would pass over the limits
_COLUMNS: Final[Mapping[str, str]] = {
    "party": "<i4",
    "at_us": "<i8",
    "covers_us": "<i8",
    "scope": "<i2",
    "before": "<i4",
    "seq": "<i8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A party's yes or no.

    Attributes:
        yes: Whether it is a yes.
        categories: Of which kinds of data it speaks, as leaves.
        purposes: Of which purposes, as leaves.
        at_us: When it was said, microseconds since the Unix epoch, UTC.
        covers_us: How far back a yes reaches by its own words; none: not before itself.
        seq: Number of its ledger entry; -1 if it came from none.
    """

    yes: bool
    categories: frozenset[str]
    purposes: frozenset[str]
    at_us: int
    covers_us: int | None = None
    seq: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Of what an answer speaks. A signal says no; for which purposes, the terms say.

    Attributes:
        signal: The signal's name; empty for a decision.
        yes: Whether a decision is a yes.
        categories: Leaves that a decision speaks of.
        purposes: Likewise.
    """

    signal: str = ""
    yes: bool = False
    categories: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """That an account limits the use of its data, or lifts a limit: for itself as a whole or for a group of its people.

    Attributes:
        account: Id of the account; the limit judges records of this one alone.
        group: The group's name; empty for the lock of the whole account.
        limited: Whether it is limited from then on, or the limit is lifted.
        categories: Of which kinds of data it speaks, as leaves.
        purposes: Of which purposes, as leaves.
        at_us: When it was said, microseconds since the Unix epoch, UTC.
        seq: Number of its ledger entry; -1 if it came from none.
    """

    account: str
    group: str
    limited: bool
    categories: frozenset[str]
    purposes: frozenset[str]
    at_us: int
    seq: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """All limits that ever held one party, in the ledger's order; parties named together share one and the same."""

    said: tuple[Limit, ...] = ()


NO_LIMITS: Final = Limits()
"""Of a party that no limit ever held."""


@dataclass(slots=True, kw_only=True)
class PartyHistory:
    """Everything that one party did, each list in the ledger's order (so by time)."""

    decisions: list[Decision] = field(default_factory=list)
    regions: list[tuple[int, str]] = field(default_factory=list)
    signals: list[tuple[int, str, int]] = field(default_factory=list)  # instant, name, ledger entry
    erased_us: int | None = None
    erased_seq: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers of several parties as columns: per party from the oldest to the newest, else in no order.

    Attributes:
        key: Position of the party among those asked for, int32, (m,); -1 for an answer of somebody else.
        at_us: Instant of each answer, int64, (m,).
        covers_us: How far back it reaches, int64, (m,); `NOT_BACK_US` for not before itself.
        scope: Position in `History.scopes`, int16, (m,).
    """

    key: NDArray[np.int32]
    at_us: NDArray[np.int64]
    covers_us: NDArray[np.int64]
    scope: NDArray[np.int16]


@dataclass(slots=True)
class _Published:
    terms: Terms
    binds_us: int
    order: int
    seq: int


class _Columns:
    """Columns of equal length that grow at the end, doubling their room."""

    def __init__(self, **kinds: str) -> None:
        self._room = {name: np.empty(64, kind) for name, kind in kinds.items()}
        self.size = 0

    def append(self, *values: int) -> int:
        """Add one row, its values in the columns' order; return its number."""
        self._make_room(self.size + 1)
        for column, value in zip(self._room.values(), values, strict=True):
            column[self.size] = value
        self.size += 1
        return self.size - 1

    def extend(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Add many rows."""
        size = self.size + len(next(iter(rows.values())))
        self._make_room(size)
        for name, column in self._room.items():
            column[self.size : size] = rows[name]
        self.size = size

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._room[name][: self.size]

    def _make_room(self, size: int) -> None:
        for name, column in self._room.items():
            if size > len(column):
                wider = np.empty(max(size, 2 * len(column)), column.dtype)
                wider[: self.size] = column[: self.size]
                self._room[name] = wider


class History:
    """What the gate must know, and who did what. Times never run backwards in it.

    Attributes:
        size: How many ledger entries were read.
        last_us: The last one's instant.
        scopes: Of what the answers speak; a column names them by position.
        doings: The entries that no party's permission hangs on: snapshots, models, releases, forgettings, erasures.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        self.size = 0
        self.last_us = 0
        self.scopes: list[Scope] = []
        self.doings: list[Entry] = []
        self._scope_numbers: dict[Scope, int] = {}
        self._published: dict[str, _Published] = {}
        self._accepted: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
        self._bindings: dict[str, list[tuple[int, Terms]]] = {}
        self._numbers: dict[str, int] = {}
        self._answers = _Columns(**_COLUMNS)
        self._newest = _Columns(answer="<i4")  # by party: the row of its newest answer, -1 for none
        self._regions: dict[str, list[tuple[int, str]]] = {}
        self._erased: dict[str, tuple[int, int]] = {}
        self._limits: dict[str, Limits] = {}
        self._limit_entries: list[tuple[Limit, Sequence[str]]] = []
        self._groups: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)  # (account, group) -> its people
        self._arranged: dict[str, tuple[int, PartyHistory]] = {}  # by party, up to which row

    # What happened, in order:

    def publish(self, terms: Terms, *, binds_us: int, seq: int = -1) -> None:
        """A terms version appears. Continued use binds an account to it from `binds_us` on."""
        self._published[terms.id] = _Published(terms, binds_us, len(self._published), seq)
        self._bindings.clear()

    def accept(self, account: str, terms_id: str, *, at_us: int, seq: int = -1) -> None:
        """An account accepts a version.

        Raises:
            InvalidInputError: No such version was published.
        """
        if terms_id not in self._published:
            msg = f"The account {account} accepts terms {terms_id!r}, which were never published."
            raise InvalidInputError(msg)
        self._accepted[account].append((at_us, terms_id, seq))
        self._bindings.pop(account, None)

    def decide(self, party: str, decision: Decision) -> None:
        """A party says yes or no."""
        scope = Scope(yes=decision.yes, categories=decision.categories, purposes=decision.purposes)
        covers_us = NOT_BACK_US if decision.covers_us is None else decision.covers_us
        self._answer(party, scope, decision.at_us, covers_us, decision.seq)

    def signal(self, party: str, name: str, *, at_us: int, seq: int = -1) -> None:
        """A standing signal such as Global Privacy Control is seen from a party."""
        self._answer(party, Scope(signal=name), at_us, NOT_BACK_US, seq)

    def _answer(self, party: str, scope: Scope, at_us: int, covers_us: int, seq: int) -> None:
        number = self.number(party)
        before = self._newest["answer"]
        before[number] = self._answers.append(
            number, at_us, covers_us, self._scope_number(scope), int(before[number]), seq
        )

    def _scope_number(self, scope: Scope) -> int:
        number = self._scope_numbers.get(scope)
        if number is None:
            number = self._scope_numbers[scope] = len(self.scopes)
            self.scopes.append(scope)
        return number

    def decide_all(  # noqa: PLR0913, PLR0917 - a column each
        self,
        parties: NDArray[np.int32],
        scopes: Sequence[Scope],
        scope: NDArray[np.int16],
        at_us: NDArray[np.int64],
        covers_us: NDArray[np.int64],
        seq: NDArray[np.int64],
    ) -> None:
        """Add many decisions at once, in order of time: columns of equal length (m,).

        Args:
            parties: Numbers from `numbers`.
            scopes: What `scope` gives positions in.
            scope: Of what each decision speaks.
            at_us: When each was said, never running backwards.
            covers_us: How far back each reaches, `NOT_BACK_US` for not before itself.
            seq: Number of each ledger entry.
        """
        known = np.array([self._scope_number(one) for one in scopes], np.int16)
        rows = np.arange(self._answers.size, self._answers.size + len(parties), dtype=np.int32)
        order = np.argsort(parties, kind="stable")
        ordered, ordered_rows = parties[order], rows[order]
        newest = self._newest["answer"]
        first = np.ones(len(parties), bool)
        first[1:] = ordered[1:] != ordered[:-1]
        before = np.empty(len(parties), np.int32)
        before[order] = np.where(first, newest[ordered], np.roll(ordered_rows, 1))
        newest[parties] = rows  # of several, the last one stays
        self._answers.extend(
            {
                "party": parties,
                "at_us": at_us,
                "covers_us": covers_us,
                "scope": known[scope],
                "before": before,
                "seq": seq,
            }
        )

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

    def terms_of(self, account: str) -> Sequence[tuple[int, Terms]]:
        """Return which terms bind an account, from when on: (instant, terms), by instant; the last one holds.

        A version that was accepted binds from the acceptance on, though not before it is effective. A version that
        needs no acceptance binds whoever has accepted an earlier one, from the date its publication fixed, unless a
        version published later binds already.
        """
        if account not in self._bindings:
            self._bindings[account] = self._bind(account)
        return self._bindings[account]

    def _bind(self, account: str) -> list[tuple[int, Terms]]:
        accepted = self._accepted.get(account)
        if not accepted:
            return []
        first_us = accepted[0][0]
        steps: list[tuple[int, int, bool, Terms]] = []
        for at_us, terms_id, _ in accepted:
            version = self._published[terms_id]
            steps.append((max(at_us, version.terms.effective_us), version.order, True, version.terms))
        steps += [
            (version.binds_us, version.order, False, version.terms)
            for version in self._published.values()
            if version.terms.acceptance == "continued-use" and version.binds_us > first_us
        ]
        bindings: list[tuple[int, Terms]] = []
        bound_order = -1
        for start_us, order, by_acceptance, terms in sorted(steps, key=lambda step: step[:2]):
            if by_acceptance or order > bound_order:
                if bindings and bindings[-1][0] == start_us:
                    bindings.pop()  # at one instant the last one holds
                bindings.append((start_us, terms))
                bound_order = order
        return bindings

    def accepted(self, account: str) -> tuple[int, Terms] | None:
        """Return which version an account accepted last, and when; none if it has accepted none."""
        if account not in self._accepted:
            return None
        at_us, terms_id, _ = self._accepted[account][-1]
        return at_us, self._published[terms_id].terms

    def published(self) -> Sequence[Terms]:
        """Return every terms version, oldest publication first."""
        return [version.terms for version in self._published.values()]

    def version(self, terms_id: str) -> Terms:
        """Return a published version by its id."""
        return self._published[terms_id].terms

    def terms_seq(self, terms_id: str) -> int:
        """Return the number of the ledger entry that published a version; -1 if none did."""
        return self._published[terms_id].seq

    def next_change_us(self, account: str, *, after_us: int) -> int | None:
        """Return when terms already known will next bind this account anew, or none."""
        return min((start_us for start_us, _ in self.terms_of(account) if start_us > after_us), default=None)

    def next_binding_us(self, *, after_us: int) -> int | None:
        """Return the first instant after one at which terms already known may bind anybody anew, or none."""
        starts = {version.binds_us for version in self._published.values()}
        starts |= {version.terms.effective_us for version in self._published.values()}
        return min((start_us for start_us in starts if start_us > after_us), default=None)

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
        _, at, covers, scopes, before, seqs = (self._answers[name] for name in _COLUMNS)
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

    def accounts(self) -> Sequence[str]:
        """Return the ids of the accounts that have accepted any terms."""
        return list(self._accepted)

    # Many parties at a time:

    def number(self, party: str) -> int:
        """Return a party's number, the same for as long as this history is kept; a new one for a new party."""
        number = self._numbers.get(party)
        if number is None:
            number = self._numbers[party] = self._newest.append(-1)
        return number

    def numbers(self, parties: Iterable[str]) -> NDArray[np.int32]:
        """Return the numbers of many parties, (n,)."""
        known = self._numbers
        return np.fromiter(
            (known[party] if party in known else self.number(party) for party in parties), dtype=np.int32
        )

    def told_apart(self) -> tuple[set[str], set[str]]:
        """Return the few parties with something besides answers: with ground of their own, and erased ones."""
        return {*self._regions, *self._limits}, set(self._erased)

    def answers(self, parties: NDArray[np.int32]) -> Answers:
        """Return all answers of many parties, by number; parties may be named twice.

        Few parties are followed from their newest answers backwards. Where it is many, one pass over all answers in
        order is faster than jumping about in them, and nothing is copied.
        """
        columns = self._answers
        newest = self._newest["answer"]
        if len(parties) > len(newest) // 4:
            position = np.full(len(newest), -1, np.int32)
            position[parties] = np.arange(len(parties), dtype=np.int32)
            if np.array_equal(position[parties], np.arange(len(parties))):  # nobody twice
                return Answers(
                    key=position[columns["party"]],
                    at_us=columns["at_us"],
                    covers_us=columns["covers_us"],
                    scope=columns["scope"],
                )
        key, row = np.arange(len(parties), dtype=np.int32), newest[parties]
        found = []
        while len(row):
            there = row >= 0
            key, row = key[there], row[there]
            found.append((key, row))
            row = columns["before"][row]
        found.reverse()  # each round is one answer older than the last, so each party's oldest comes first
        keys = np.concatenate([key for key, _ in found]) if found else key
        rows = np.concatenate([row for _, row in found]) if found else row
        return Answers(
            key=keys,
            at_us=columns["at_us"][rows],
            covers_us=columns["covers_us"][rows],
            scope=columns["scope"][rows],
        )

    # To be kept:

    def to_files(self) -> dict[str, bytes | memoryview]:
        """Return the history as files by name: raw little-endian columns, and JSON for what is rare."""
        files: dict[str, bytes | memoryview] = {
            f"{name}.{kind[1:]}": np.ascontiguousarray(self._answers[name]).data.cast("B")
            for name, kind in _COLUMNS.items()
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
            columns = {name: np.frombuffer(files[f"{name}.{kind[1:]}"], kind) for name, kind in _COLUMNS.items()}
            self._answers.extend(columns)
            newest[columns["party"]] = np.arange(len(columns["party"]), dtype=np.int32)
        self._newest.extend({"answer": newest})


def read_history(entries: Iterable[Entry]) -> History:
    """Arrange ledger entries, in their order, as a history.

    Raises:
        InvalidInputError: An entry's body lacks what its kind needs.
    """
    history = History()
    for entry in entries:
        extend_history(history, entry)
    return history


def extend_history(history: History, entry: Entry) -> None:
    """Add one ledger entry to a history.

    Raises:
        InvalidInputError: The entry's body lacks what its kind needs.
    """
    try:
        _read_entry(history, entry)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"Ledger entry {entry.seq} ({entry.kind}) has a body that cannot be read: {error!r}."
        raise InvalidInputError(msg) from error
    history.size, history.last_us = entry.seq + 1, entry.at_us


def _read_entry(history: History, entry: Entry) -> None:
    body: dict[str, Any] = entry.body
    match entry.kind:
        case "terms":
            history.publish(Terms.from_json(body["terms"]), binds_us=text_to_us(body["binds"]), seq=entry.seq)
        case "acceptance":
            history.accept(body["account"], body["terms"], at_us=entry.at_us, seq=entry.seq)
        case "decision":
            covers = body["covers"]
            history.decide(
                body["party"],
                Decision(
                    yes=body["answer"] == "yes",
                    categories=frozenset(leaves(body["data"], CATEGORIES)),
                    purposes=frozenset(leaves(body["purpose"], PURPOSES)),
                    at_us=entry.at_us,
                    covers_us=None if covers is None else BEGINNING_US if covers == "past" else text_to_us(covers),
                    seq=entry.seq,
                ),
            )
        case "region":
            history.locate(body["party"], body["region"], at_us=entry.at_us)
        case "signal":
            history.signal(body["party"], body["signal"], at_us=entry.at_us, seq=entry.seq)
        case "limit":
            limited, people = body["limited"], body["people"]
            if not isinstance(limited, bool) or not all(person.startswith("person:") for person in people):
                raise ValueError(limited, people[:1])
            limit = Limit(
                account=body["account"],
                group=body["group"],
                limited=limited,
                categories=frozenset(leaves(body["data"], CATEGORIES)),
                purposes=frozenset(leaves(body["purpose"], PURPOSES)),
                at_us=entry.at_us,
                seq=entry.seq,
            )
            history.limit(limit, people)
        case "erasure":
            history.erase(body["party"], at_us=entry.at_us, seq=entry.seq)
            history.doings.append(entry)
        case "snapshot" | "model" | "release" | "forgetting":
            history.doings.append(entry)


# --- kept on disk ----------------------------------------------------------------------------------------------------


def keep_history(folder: Path, history: History, *, root: bytes, signer: Signer) -> Path:
    """Keep a history in a folder, sealed, in place of older ones; killed half-way, the older one is still there.

    Args:
        folder: Where histories are kept; made if it is not there.
        history: What was read.
        root: Root of the ledger's tree of `history.size` entries, 32 bytes.
        signer: The log's key.

    Raises:
        OSError: The disk is full or cannot be written.
    """
    files = history.to_files()
    digests = {name: digest(data) for name, data in files.items()}
    text = f"{_SEAL}\n{history.size}\n{root.hex()}\n{digest(canonical_json(digests))}\n"
    kept = folder / f"{history.size:012d}"
    write_folder(kept, {**files, "seal": sign_note(text, signer).encode()})
    for older in sorted(folder.iterdir()):
        if older.name < kept.name and not older.name.endswith(PART):
            _remove(older)
    return kept


class Tree(Protocol):
    """A ledger, as far as a kept history is concerned."""

    @property
    def size(self) -> int:
        """How many entries there are."""
        ...

    def root(self, size: int) -> bytes:
        """Return the root of the tree at a size, 32 bytes."""
        ...


def find_history(folder: Path, ledger: Tree, key: VerifierKey) -> History | None:
    """Return the newest kept history that its seal and the ledger confirm; none if there is none.

    Whatever does not fit is passed over: the ledger itself holds everything, and is read instead.
    """
    for kept in sorted(folder.glob("[0-9]*"), reverse=True) if folder.is_dir() else []:
        try:
            return _open_kept(kept, ledger, key)
        except (OSError, ValueError, KeyError, TypeError, ProofError, InvalidInputError):
            continue
    return None


def _open_kept(kept: Path, ledger: Tree, key: VerifierKey) -> History:
    files = {path.name: path.read_bytes() for path in sorted(kept.iterdir())}
    note = open_note(files.pop("seal"), key).text
    digests = {name: digest(data) for name, data in files.items()}
    seal, size, root, sealed, end = note.split("\n")
    if (seal, sealed, end) != (_SEAL, digest(canonical_json(digests)), ""):
        raise ProofError(f"The kept history {kept} is not what was sealed.")
    if int(size) > ledger.size or ledger.root(int(size)).hex() != root:
        raise ProofError(f"The kept history {kept} is of another ledger.")
    history = History()
    history.load(files)
    return history


def _remove(kept: Path) -> None:
    """Remove a kept history, its seal first: what is left half-removed is not believed."""
    for path in sorted(kept.iterdir(), key=lambda path: path.name != "seal"):
        path.unlink()
    kept.rmdir()
