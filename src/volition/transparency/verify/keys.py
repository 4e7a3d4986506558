"""The rows of a snapshot, grouped by whom and what they concern: the gate answers once for all rows of a group.

They are read a batch at a time, column by column: of ten million rows, only whose they are and when each was collected
stays in memory.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volition.consent.gate import PartySets, Record
from volition.consent.references import ConversationRef, Pseudonym, person_ref
from volition.errors import ProofError
from volition.records.snapshot import KEYS_SCHEMA, Key

_AT_A_TIME: Final = 65_536
_PERSON: Final = re.compile(r"[0-9a-f]{32}|unknown")
_Group = tuple[int, int, int, int]


@dataclass(slots=True, kw_only=True)
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


class Keys:
    """The rows of a snapshot without their content.

    Attributes:
        groups: All groups, in the order in which they come first.
        schema: The columns and their types.
    """

    def __init__(self, data: bytes) -> None:
        """Read the bytes of a `keys.parquet`.

        Raises:
            ProofError: It has other columns, or a value that no snapshot has.
        """
        file = pq.ParquetFile(pa.BufferReader(data))
        schema = [(field.name, field.type) for field in file.schema_arrow]
        expected = [(field.name, field.type) for field in KEYS_SCHEMA]
        if schema not in (expected, [column for column in expected if column[0] != "conversation"]):
            raise ProofError(
                f"keys.parquet has other columns than a snapshot's: {', '.join(name for name, _ in schema)}."
            )
        self.schema = {field.name: str(field.type) for field in KEYS_SCHEMA if (field.name, field.type) in schema}
        self.groups: list[Group] = []
        self._numbers: dict[_Group, int] = {}
        self._people: list[tuple[str, ...]] = []
        names, accounts = _Names(), _Names()
        categories, conversations = _Names(), _Names()
        group_of: list[NDArray[np.int32]] = []
        collected: list[NDArray[np.int64]] = []
        for batch in file.iter_batches(batch_size=_AT_A_TIME, use_threads=False):
            columns = {name: batch.column(name) for name in self.schema}
            if any(column.null_count for name, column in columns.items() if name != "conversation"):
                raise ProofError("A row of keys.parquet lacks a value.")
            codes = np.stack(
                [
                    accounts.number(columns["account"]),
                    names.number(_joined(columns["people"])),
                    categories.number(columns["category"]),
                    conversations.number(columns["conversation"])
                    if "conversation" in columns
                    else np.full(len(batch), -1, np.int64),
                ]
            )
            at_us = columns["collected_us"].to_numpy()
            words = (accounts.names, names.names, categories.names, conversations.names)
            group_of.append(self._add(codes, at_us, columns["record_id"], words))
            collected.append(at_us)
        self._group_of = np.concatenate(group_of) if group_of else np.empty(0, np.int32)
        self._collected_us = np.concatenate(collected) if collected else np.empty(0, np.int64)

    def _add(
        self,
        codes: NDArray[np.int64],
        at_us: NDArray[np.int64],
        records: Any,  # noqa: ANN401 - an Arrow array of texts
        words: tuple[list[str], ...],
    ) -> NDArray[np.int32]:
        """Add a batch to the groups; return the group of each of its rows."""
        pairs = _paired(_paired(codes[0], codes[1]), _paired(codes[2], codes[3]))
        _, firsts, inverse = np.unique(pairs, return_index=True, return_inverse=True)
        totals = np.bincount(inverse, minlength=len(firsts))
        earliest = np.full(len(firsts), np.iinfo(np.int64).max)
        latest = np.full(len(firsts), np.iinfo(np.int64).min)
        np.minimum.at(earliest, inverse, at_us)
        np.maximum.at(latest, inverse, at_us)
        numbers = np.empty(len(firsts), np.int32)
        for place, first in enumerate(firsts.tolist()):
            account, people, category, conversation = (int(code) for code in codes[:, first])
            key = (account, people, category, conversation)
            number = self._numbers.setdefault(key, len(self.groups))
            if number == len(self.groups):
                self.groups.append(
                    Group(
                        example=records[first].as_py(),
                        account=words[0][account],
                        people=tuple(words[1][people].split(" ")) if words[1][people] else (),
                        category=words[2][category],
                        conversation=None if conversation < 0 else ConversationRef(words[3][conversation]),
                        rows=0,
                        first_us=int(earliest[place]),
                        last_us=int(latest[place]),
                    )
                )
            group = self.groups[number]
            group.rows += int(totals[place])
            group.first_us = min(group.first_us, int(earliest[place]))
            group.last_us = max(group.last_us, int(latest[place]))
            numbers[place] = number
        return numbers[inverse]

    @cached_property
    def by_category(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64], PartySets]]:
        """Of each category the places of its groups, the party set of each of these, and the party sets."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, group in enumerate(self.groups):
            places[group.category].append(place)
        return {category: self._party_sets(found) for category, found in places.items()}

    def _party_sets(self, places: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64], PartySets]:
        accounts: dict[str, int] = {}
        people: dict[str, int] = {}
        known: dict[tuple[str, tuple[str, ...]], int] = {}
        account: list[int] = []
        offsets, members, of = [0], list[int](), list[int]()
        for place in places:
            group = self.groups[place]
            number = known.setdefault((group.account, group.people), len(account))
            of.append(number)
            if number == len(account):
                account.append(accounts.setdefault(group.account, len(accounts)))
                members += [people.setdefault(one, len(people)) for one in group.people]
                offsets.append(len(members))
        sets = PartySets(
            accounts=list(accounts),
            people=[person_ref(Pseudonym(one)) for one in people],
            account=np.array(account, np.int32),
            offsets=np.array(offsets, np.int64),
            members=np.array(members, np.int32),
        )
        return np.array(places, np.int64), np.array(of, np.int64), sets

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._group_of)

    def count(self, by: Callable[[Group], str]) -> dict[str, int]:
        """Return how many rows there are of each value of something that the rows of a group share."""
        found: Counter[str] = Counter()
        for group in self.groups:
            found[by(group)] += group.rows
        return dict(found)

    def people(self) -> dict[str, int]:
        """Return how many rows concern each person."""
        found: Counter[str] = Counter()
        for group in self.groups:
            for person in group.people:
                found[person] += group.rows
        return dict(found)

    def before(self, instants_us: NDArray[np.int64]) -> int:
        """Return how many rows were collected before an instant, given for each group."""
        return int((self._collected_us < instants_us[self._group_of]).sum()) if len(self) else 0

    def span_us(self) -> tuple[int, int]:
        """Return when the first and the last row was collected; there is at least one."""
        return int(self._collected_us.min()), int(self._collected_us.max())

    def __iter__(self) -> Iterator[Group]:
        """Iterate over the groups."""
        return iter(self.groups)


class _Names:
    """Numbers for texts, in the order in which they come first."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, column: Any) -> NDArray[np.int64]:  # noqa: ANN401 - an Arrow array of texts
        """Return the number of each text of a column; -1 for none."""
        encoded = pc.dictionary_encode(column)
        known = []
        for name in encoded.dictionary.to_pylist():
            if name not in self._numbers:
                self._numbers[name] = len(self.names)
                self.names.append(name)
            known.append(self._numbers[name])
        places = pc.fill_null(encoded.indices, len(known)).to_numpy(zero_copy_only=False)
        found: NDArray[np.int64] = np.array([*known, -1], np.int64)[places]
        return found


def _joined(people: Any) -> Any:  # noqa: ANN401 - an Arrow array of lists of texts
    """Return each row's people in one text: pseudonyms have no blanks, so it can be taken apart again."""
    named = people.flatten()
    if named.null_count:
        raise ProofError("A row of keys.parquet lacks a value.")
    for name in pc.unique(named).to_pylist():
        if not _PERSON.fullmatch(name):
            raise ProofError(f"A row names {name!r}, which is no pseudonym: 32 lower-case hexadecimal digits.")
    return pc.binary_join(people, " ")


def _paired(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number for each pair of numbers, the same for the same pair."""
    _, one = np.unique(first, return_inverse=True)
    _, other = np.unique(second, return_inverse=True)
    return one.astype(np.int64) * (int(other.max(initial=0)) + 1) + other
