"""What every row of a table gets at one instant, and whom it names: all that decides about a list of permitted rows.

Two ways give the same answers, and a test holds them equal:

- `GateAnswers` asks the gate, in the process that has the workspace open.
- `SetAnswers` looks up what the gate said of each party set before. It can be pickled, so workers elsewhere list rows
  without a workspace.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from volition.consent.gate.asked import Asked, Texts
from volition.consent.gate.batch import party_sets
from volition.consent.gate.interned import Folded, InternedGate, Meant
from volition.consent.names import Names
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Reason
from volition.consent.references import ConversationRef

if TYPE_CHECKING:
    from volition.consent.gate.pairs import Members

_PERSON: Final = "person:"
_MOST_CONVERSATIONS: Final = 500_000  # remembered at once; beyond, all are looked up anew
_UNKNOWN: Final = REASON_CODES[Reason.UNKNOWN_PARTY]

SetKey = tuple[str | None, str | None, str | None, tuple[str | None, ...]]
"""A party set as a table names it: account, category, conversation, people in their order."""


@dataclass(frozen=True, slots=True)
class Named:
    """Whom n rows name, each resolved: columns (n,) as a snapshot's keys have them.

    Attributes:
        account: Ids of accounts, text.
        people: Pseudonyms, lists of text, the first one first.
        category: Categories, text.
        conversation: Conversations as entries of the ledger name them, text; null where that is not known.
    """

    account: pa.Array
    people: pa.Array
    category: pa.Array
    conversation: pa.Array


class RowAnswers(Protocol):
    """Answers for one purpose at one instant; the same rows get the same answers, however they are cut into batches."""

    def codes(self, asked: Asked) -> NDArray[np.int8]:
        """Return each row's reason code, 0 where it may be used."""
        ...

    def named(self, asked: Asked) -> Named:
        """Return whom rows name that may be used."""
        ...

    @property
    def categories(self) -> frozenset[str]:
        """The categories that there are."""
        ...


class GateAnswers:
    """Answers of the gate; not for several threads at once."""

    def __init__(self, gate: InternedGate, names: Names, categories: Iterable[str]) -> None:
        """Take a gate whose permits nobody moves on, and who there is."""
        self._gate = gate
        self._names = names
        self._accounts, self._people = _Columns(), _Columns()
        self._conversations: dict[tuple[str, str], ConversationRef | None] = {}
        self.categories = frozenset(categories)

    def codes(self, asked: Asked) -> NDArray[np.int8]:
        """Return each row's reason code, 0 where it may be used."""
        return self._gate.judge(asked)

    def fold(self, asked: Asked) -> Folded:
        """Return what each row gets whenever it was collected; at least one row."""
        return self._gate.fold(asked)

    def named(self, asked: Asked) -> Named:
        """Return whom rows name that may be used."""
        account, people = self._gate.meant(asked)
        return Named(
            account=self._accounts.take(account),
            people=lists_of(self._people.take(people), asked.lengths),
            category=column_of(asked.category),
            conversation=self._conversations_of(account, asked.conversation),
        )

    def _conversations_of(self, account: Meant, conversation: Texts) -> pa.Array:
        """Return which conversation is meant in each row; nothing is looked up twice."""
        if conversation.values == [None]:
            return pa.nulls(len(conversation.number), pa.string())
        if len(self._conversations) > _MOST_CONVERSATIONS:
            self._conversations.clear()
        several = len(conversation.values)
        pairs = pa.array(account.number.astype(np.int64) * several + conversation.number).dictionary_encode()
        values = [
            self._conversation(account.members.meant[pair // several], conversation.values[pair % several])
            for pair in pairs.dictionary.to_pylist()
        ]
        return pa.array(values, pa.string()).take(pairs.indices)

    def _conversation(self, account: str, name: str | None) -> ConversationRef | None:
        if not name:
            return None if name is None else ConversationRef("")
        if not account:
            return None  # nobody's: it is refused for that
        if (account, name) not in self._conversations:
            self._conversations[account, name] = self._names.conversation(account, name)
        return self._conversations[account, name]


class _Columns:
    """Whom numbers mean, as a column of text that grows as more are met."""

    def __init__(self) -> None:
        self._members: Members | None = None
        self._texts = pa.array([], pa.string())

    def take(self, meant: Meant) -> pa.Array:
        """Return accounts as ids, or people as pseudonyms, row by row."""
        if meant.members is not self._members:
            self._members, self._texts = meant.members, pa.array([], pa.string())
        fresh = meant.members.meant[len(self._texts) :]
        if fresh:
            more = pa.array([one.removeprefix(_PERSON) for one in fresh], pa.string())
            self._texts = pa.concat_arrays([self._texts, more])
        return self._texts.take(pa.array(meant.number))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAnswers:
    """Answers by party sets, of each of which the gate has said what it gets. It can be pickled.

    A row whose party set is not among them is refused (`unknown-party`).

    Attributes:
        at_us: The instant at which they were judged, microseconds since the Unix epoch, UTC.
        categories: The categories that there are.
        places: The place of each party set in the columns below.
        folded: What each gets, k of them.
        whom: Whom each names; of one that is refused whenever its rows were collected, nothing that is meant.
    """

    at_us: int
    categories: frozenset[str]
    places: dict[SetKey, int]
    folded: Folded
    whom: Named

    @classmethod
    def of(cls, answers: GateAnswers, batches: Iterable[Asked], *, at_us: int) -> "SetAnswers":
        """Ask the gate about party sets.

        Args:
            answers: The gate's.
            batches: Questions in which each party set is there at least once; their times are not looked at.
            at_us: The instant of the gate's permits.
        """
        places: dict[SetKey, int] = {}
        folded, whom = [_refused(0)], [_nobody(0)]
        for asked in batches:
            fresh = []
            for row, key in enumerate(_keys(asked, np.arange(len(asked)))):
                if key not in places:
                    places[key] = len(places)
                    fresh.append(row)
            if fresh:
                chosen = asked.take(np.array(fresh, np.int64))
                folded.append(answers.fold(chosen))
                whom.append(answers.named(chosen))
        folded.append(_refused(1))  # of what is not among them: at the place -1
        whom.append(_nobody(1))
        return cls(
            at_us=at_us,
            categories=answers.categories,
            places=places,
            folded=Folded(
                since_us=np.concatenate([one.since_us for one in folded]),
                oldest_us=np.concatenate([one.oldest_us for one in folded]),
                reason=np.concatenate([one.reason for one in folded]),
                is_unnamed=np.concatenate([one.is_unnamed for one in folded]),
            ),
            whom=Named(
                account=pa.concat_arrays([one.account for one in whom]),
                people=pa.concat_arrays([one.people for one in whom]),
                category=pa.concat_arrays([one.category for one in whom]),
                conversation=pa.concat_arrays([one.conversation for one in whom]),
            ),
        )

    def codes(self, asked: Asked) -> NDArray[np.int8]:
        """Return each row's reason code, 0 where it may be used."""
        place, found = self._places(asked), self.folded
        of_rows = Folded(found.since_us[place], found.oldest_us[place], found.reason[place], found.is_unnamed[place])
        return of_rows.codes(asked.collected_us, self.at_us)

    def named(self, asked: Asked) -> Named:
        """Return whom rows name that may be used."""
        place = pa.array(self._places(asked))
        return Named(
            account=self.whom.account.take(place),
            people=self.whom.people.take(place),
            category=self.whom.category.take(place),
            conversation=self.whom.conversation.take(place),
        )

    def _places(self, asked: Asked) -> NDArray[np.int64]:
        """Return the place of each row's party set; the last one where it is not among them."""
        if not len(asked):
            return np.empty(0, np.int64)
        party_set, first = party_sets(asked)
        unknown = len(self.places)
        return np.array([self.places.get(key, unknown) for key in _keys(asked, first)], np.int64)[party_set]


def _keys(asked: Asked, rows: NDArray[np.int64]) -> Iterator[SetKey]:
    """Yield the party sets of some rows, as the table names them."""
    ends = np.cumsum(asked.lengths)[rows]
    people = [asked.people.values[number] for number in asked.people.number.tolist()]
    columns = (asked.account, asked.category, asked.conversation)
    for start, end, *named in zip(
        (ends - asked.lengths[rows]).tolist(),
        ends.tolist(),
        *([one.values[number] for number in one.number[rows].tolist()] for one in columns),
        strict=True,
    ):
        account, category, conversation = named
        yield account, category, conversation, tuple(people[start:end])


def column_of(texts: Texts) -> pa.Array:
    """Return a column as plain text: what a dictionary holds beside it would be written, too."""
    return pa.array(texts.values, pa.string()).take(pa.array(texts.number))


def lists_of(values: pa.Array, lengths: NDArray[np.int64]) -> pa.Array:
    """Return lists of values that lie one after the other, so many in each."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _refused(sets: int) -> Folded:
    never = np.full(sets, NO_PERMIT_US, np.int64)
    return Folded(never, never, np.full(sets, _UNKNOWN, np.int8), np.ones(sets, np.bool_))


def _nobody(rows: int) -> Named:
    nothing = pa.nulls(rows, pa.string())
    return Named(account=nothing, people=pa.nulls(rows, pa.list_(pa.string())), category=nothing, conversation=nothing)
