"""The rows of a snapshot, grouped by whom and what they concern: the gate answers once for all rows of a group.

They are read a batch at a time, column by column: of ten million rows, only whose they are and when each was collected
stays in memory. What is known of a group lies in columns, too, and becomes a `Group` when somebody asks for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from volition.consent.gate import PartySets, Record
from volition.consent.references import ConversationRef, PartyRef, Pseudonym, person_ref
from volition.records.numbered import lists_as_bytes, lists_from_bytes, number_alike
from volition.records.snapshot import Key
from volition.transparency.verify.rows import RowBatch, RowFile, Source

_COLUMNS = ("account", "people", "category", "conversation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows of one account, the same people, one category and one conversation.

    Attributes:
        example: The record of one of them.
        account: Id of the account.
        people: Pseudonyms, the first one first.
        category: Their category.
        conversation: Their conversation; empty if none, None where that is not known.
        rows: How many they are.
        first_us: When the earliest was collected.
        last_us: When the latest was.
    """

    example: str
    account: str
    people: tuple[str, ...]
    category: str
    conversation: ConversationRef | None
    rows: int
    first_us: int
    last_us: int

    def question(self) -> Record:
        """Return what the gate must know of the earliest."""
        return Record(
            account=self.account,
            people=tuple(person_ref(Pseudonym(one)) for one in self.people),
            category=self.category,
            collected_us=self.first_us,
            conversation=self.conversation,
        )

    def earliest(self) -> Key:
        """Return the earliest as a row."""
        return Key(
            record_id=self.example,
            account=self.account,
            people=self.people,
            category=self.category,
            collected_us=self.first_us,
            conversation=self.conversation,
        )

    def __str__(self) -> str:
        """Name the rows in a sentence."""
        return f"Row {self.example}" + (f" (one of {self.rows:,} alike)" if self.rows > 1 else "")


class Groups(Sequence[Group]):
    """The groups of a snapshot's rows, in the order in which they come first.

    Attributes:
        rows: How many rows each has, shape (groups,), as all below.
        first_us: When the earliest of each was collected.
        last_us: When the latest was.
        account: The number of each one's account.
        people: The number of each one's list of people.
        category: The number of each one's category.
        conversation: The number of each one's conversation; -1 where that is not known.
        accounts: The accounts, by number; as for the categories, an Arrow array of texts.
        categories: The categories, by number.
        names: Pseudonyms, by the number that `members` has.
        offsets: Where each list of people starts in `members`, and where the last one ends.
        members: The people, list after list.
        of_rows: The group of each row, shape (rows of the snapshot,).
        collected_us: When each row was collected, likewise.
    """

    def __init__(self, file: RowFile) -> None:
        """Read the rows, and see which are alike."""
        gathered, first = _Gathered(), 0
        self.collected_us = np.empty(file.total, np.int64)
        parts = np.empty(file.total, np.int32)
        for batch in file.batches():
            parts[first : first + len(batch)] = gathered.add(batch, first)
            self.collected_us[first : first + len(batch)] = batch.collected_us
            first += len(batch)
        words, codes = gathered.unified()
        of_parts, firsts = number_alike([codes[name] for name in _COLUMNS])
        self.account, self.people, self.category, self.conversation = (codes[name][firsts] for name in _COLUMNS)
        self.accounts, self.categories, self._conversations = (
            words[name] for name in ("account", "category", "conversation")
        )
        self.names = list(gathered.names)
        self.offsets, self.members = lists_from_bytes(words["people"])
        self._examples = file.record_ids(_joined(gathered.first_rows)[firsts])
        self.of_rows = of_parts[parts]
        self.rows = np.bincount(self.of_rows, minlength=len(firsts))
        self.first_us = np.full(len(firsts), np.iinfo(np.int64).max)
        self.last_us = np.full(len(firsts), np.iinfo(np.int64).min)
        np.minimum.at(self.first_us, self.of_rows, self.collected_us)
        np.maximum.at(self.last_us, self.of_rows, self.collected_us)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Group: ...
    @overload
    def __getitem__(self, place: slice) -> list[Group]: ...
    def __getitem__(self, place: int | slice) -> Group | list[Group]:
        """Return one of the groups, or some."""
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        conversation, people = int(self.conversation[place]), int(self.people[place])
        return Group(
            example=self._examples[place].as_py(),
            account=self.accounts[int(self.account[place])].as_py(),
            people=tuple(self.names[one] for one in self.members[self.offsets[people] : self.offsets[people + 1]]),
            category=self.categories[int(self.category[place])].as_py(),
            conversation=None if conversation < 0 else ConversationRef(self._conversations[conversation].as_py()),
            rows=int(self.rows[place]),
            first_us=int(self.first_us[place]),
            last_us=int(self.last_us[place]),
        )

    def __iter__(self) -> Iterator[Group]:
        """Iterate over the groups, which takes less than asking for each."""
        members, offsets = [self.names[one] for one in self.members.tolist()], self.offsets.tolist()
        crowds = [tuple(members[start:end]) for start, end in pairwise(offsets)]
        accounts, categories = self.accounts.to_pylist(), self.categories.to_pylist()
        conversations = [*self._conversations.to_pylist(), None]  # -1, not known, is the last
        columns = (self.account, self.people, self.category, self.conversation, self.rows, self.first_us, self.last_us)
        for example, account, people, category, conversation, rows, first_us, last_us in zip(
            self._examples.to_pylist(), *(column.tolist() for column in columns), strict=True
        ):
            yield Group(
                example=example,
                account=accounts[account],
                people=crowds[people],
                category=categories[category],
                conversation=conversations[conversation],
                rows=rows,
                first_us=first_us,
                last_us=last_us,
            )

    def of_nobody(self) -> NDArray[np.int64]:
        """Return the places of the groups that concern nobody."""
        return np.flatnonzero(np.diff(self.offsets)[self.people] == 0)

    def of_accounts(self, concerned: Sequence[bool]) -> list[int]:
        """Return the places of the groups of some accounts: of each, by number, whether it is one of them."""
        return np.flatnonzero(np.array(concerned, np.bool_)[self.account]).tolist()


class _Gathered:
    """What the rows of each batch are, as far as they differ: in parts, of which several may be one group."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.first_rows: list[NDArray[np.int32]] = []
        self._words: dict[str, list[pa.Array]] = {
            name: [pa.array([], pa.large_binary() if name == "people" else pa.string())] for name in _COLUMNS
        }
        self._codes: dict[str, list[NDArray[np.int32]]] = {name: [] for name in _COLUMNS}
        self._seen = dict.fromkeys(_COLUMNS, 0)
        self._parts = 0

    def add(self, batch: RowBatch, first: int) -> NDArray[np.int32]:
        """Add a batch, whose rows begin at one; return of which of all parts each of them is."""
        columns: dict[str, NDArray[np.int32]] = {name: getattr(batch, name).codes for name in _COLUMNS}
        parts, firsts = number_alike([*columns.values()])
        self.first_rows.append((firsts + first).astype(np.int32))
        for name, codes in columns.items():
            words, chosen = self._people(batch) if name == "people" else getattr(batch, name).words, codes[firsts]
            self._codes[name].append(np.where(chosen < 0, np.int32(-1), chosen + np.int32(self._seen[name])))
            self._words[name].append(words)
            self._seen[name] += len(words)
        numbers = parts + np.int32(self._parts)
        self._parts += len(firsts)
        return numbers

    def _people(self, batch: RowBatch) -> pa.Array:
        """Return the lists of people of a batch, by numbers that are the same in every batch."""
        names = self.names
        numbers = np.array([names.setdefault(one, len(names)) for one in batch.people.names], np.int32)
        return lists_as_bytes(numbers[batch.people.members], batch.people.offsets)

    def unified(self) -> tuple[dict[str, pa.Array], dict[str, NDArray[np.int32]]]:
        """Return of each column what is in it, once, and which of that each part has; -1 for none."""
        words: dict[str, pa.Array] = {}
        codes: dict[str, NDArray[np.int32]] = {}
        for name in _COLUMNS:
            written = pc.dictionary_encode(pa.concat_arrays(self._words.pop(name)))
            words[name] = written.dictionary
            numbers = np.append(written.indices.to_numpy(), np.int32(-1))  # -1, none, is the last place
            codes[name] = numbers[_joined(self._codes.pop(name))]
        return words, codes


class Keys:
    """The rows of a snapshot without their content.

    Attributes:
        groups: All groups, in the order in which they come first.
        schema: The columns and their types.
    """

    def __init__(self, source: Source) -> None:
        """Read a `keys.parquet`.

        Raises:
            ProofError: It has other columns, or a value that no snapshot has.
        """
        file = RowFile(source)
        self.schema = file.schema
        self.groups = Groups(file)

    @cached_property
    def by_category(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64], PartySets]]:
        """Of each category the places of its groups, the party set of each of these, and the party sets."""
        accounts: list[str] = self.groups.accounts.to_pylist()
        people = [person_ref(Pseudonym(one)) for one in self.groups.names]
        return {
            category: self._party_sets(np.flatnonzero(self.groups.category == number), accounts, people)
            for number, category in enumerate(self.groups.categories.to_pylist())
        }

    def _party_sets(
        self, places: NDArray[np.int64], accounts: list[str], people: list[PartyRef]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], PartySets]:
        groups = self.groups
        pairs = _paired(groups.account[places].astype(np.int64), groups.people[places].astype(np.int64))
        _, firsts, of = np.unique(pairs, return_index=True, return_inverse=True)
        lists = groups.people[places][firsts].astype(np.int64)
        sizes = np.diff(groups.offsets)[lists]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        members = np.repeat(groups.offsets[lists] - offsets[:-1], sizes) + np.arange(offsets[-1])
        sets = PartySets(
            accounts=accounts,
            people=people,
            account=groups.account[places][firsts],
            offsets=offsets,
            members=groups.members[members],
        )
        return places, of, sets

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.groups.of_rows)

    def accounts(self) -> dict[str, int]:
        """Return how many rows there are of each account."""
        return self._counted(self.groups.accounts, self.groups.account)

    def categories(self) -> dict[str, int]:
        """Return how many rows there are of each category."""
        return self._counted(self.groups.categories, self.groups.category)

    def _counted(self, words: pa.Array, codes: NDArray[np.int32]) -> dict[str, int]:
        return dict(zip(words.to_pylist(), _sums(codes, self.groups.rows, len(words)), strict=True))

    def people(self) -> dict[str, int]:
        """Return how many rows concern each person."""
        groups = self.groups
        of_lists = np.zeros(len(groups.offsets) - 1, np.int64)
        np.add.at(of_lists, groups.people, groups.rows)
        of_members = np.repeat(of_lists, np.diff(groups.offsets))
        return dict(zip(groups.names, _sums(groups.members, of_members, len(groups.names)), strict=True))

    def before(self, instants_us: NDArray[np.int64]) -> int:
        """Return how many rows were collected before an instant, given for each group."""
        return int((self.groups.collected_us < instants_us[self.groups.of_rows]).sum()) if len(self) else 0

    def span_us(self) -> tuple[int, int]:
        """Return when the first and the last row was collected; there is at least one."""
        return int(self.groups.first_us.min()), int(self.groups.last_us.max())

    def __iter__(self) -> Iterator[Group]:
        """Iterate over the groups."""
        return iter(self.groups)


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate([np.empty(0, np.int32), *parts])


def _sums(codes: NDArray[np.int32], rows: NDArray[np.int64], most: int) -> list[int]:
    """Return for each code the sum of its rows."""
    found = np.zeros(most, np.int64)
    np.add.at(found, codes, rows)
    return found.tolist()


def _paired(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number for each pair of numbers, the same for the same pair."""
    _, one = np.unique(first, return_inverse=True)
    _, other = np.unique(second, return_inverse=True)
    return one.astype(np.int64) * (int(other.max(initial=0)) + 1) + other
