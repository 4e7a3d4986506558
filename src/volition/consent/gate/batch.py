"""Many questions for the gate at once: Arrow in, Arrow out.

One question a row: may this be used? A column names the account, one the people (a list, the speaker or actor first),
one the category, one when it was collected, and one, which may be absent, the conversation; names are as
`consent.names` takes them. Rows that ask about the same party set, category and conversation share one effective
permit, so most of the cost is telling the party sets apart.

- A row that names somebody or something that is not there is refused with its reason, like a row without a name. So is
  one from after the instant asked about (`stale`). Neither touches another row.
- Columns may be of any list and text type that Arrow has; what cannot be one of them is an error.
- A batch is validated whole before anything in it is read, since it may come from outside.

    >>> answers = judge_batch(permits, names, pa.record_batch({                 # doctest: +SKIP
    ...     "account": ["acme"], "people": [["ada"]], "category": ["content/chat"],
    ...     "collected_at": [datetime(2026, 6, 2, tzinfo=UTC)]}))
    >>> answers["permitted"]                                                    # doctest: +SKIP
    [true]
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from volition.consent.gate import EffectivePermit, EffectivePermits, effective_permit_of, judge
from volition.consent.gate.question import question_of
from volition.consent.gate.verdict import Record, Verdict
from volition.consent.history import BEGINNING_US
from volition.consent.names import UNKNOWN_ACCOUNT, Names, Unnamed
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Permits, Reason
from volition.consent.references import PartyRef, account_ref
from volition.errors import InvalidInputError

QUESTIONS: Final = pa.schema(
    [
        pa.field("account", pa.string()),
        pa.field("people", pa.list_(pa.string())),
        pa.field("category", pa.string()),
        pa.field("collected_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""The columns of a question. Where one is missing (null), the answer is a refusal: `unknown-party`."""

CONVERSATION: Final = "conversation"
"""A further column of text that may be absent: what the meeting, channel or file is called that the row belongs to,
empty if it belongs to none. Where it is not said, whatever could be of a conversation that was left out is refused."""

ANSWERS: Final = pa.schema(
    [
        pa.field("permitted", pa.bool_(), nullable=False),
        pa.field("reason", pa.dictionary(pa.int8(), pa.string())),
        pa.field("party", pa.dictionary(pa.int32(), pa.string())),
        pa.field("since", pa.timestamp("us", tz="UTC")),
    ]
)
"""The columns of an answer: the reason is null where permitted; the party on whom it hangs; since when every yes has
stood, null where somebody has no permit or there is no beginning."""

MOST_NAMED: Final = 10_000
"""How many people one row may name."""

MOST_NAMES: Final = 50_000_000
"""How many names one batch may hold, repeated ones included: views and fixed sizes can stand for more than was sent."""

_UNITS_PER_S: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_NULL_US: Final = -(2**63)


def judge_batch(permits: Permits, names: Names, questions: pa.RecordBatch) -> pa.RecordBatch:
    """Judge every row for the permits' purpose at the permits' instant; the same answers as one at a time, by test.

    Args:
        permits: Decide.
        names: Say who is meant.
        questions: Columns of `QUESTIONS`, in any order, others ignored; n rows.

    Returns:
        Columns of `ANSWERS`, n rows in the same order.

    Raises:
        InvalidInputError: A column is missing or of another type, the batch is not sound, or a row names too many.
    """
    asked = _Asked.of(questions)
    party_set, first = _party_sets(asked)
    sets = _judge_sets(permits, names, asked, first)
    codes = judge(sets.effective, party_set, np.minimum(asked.collected_us, permits.at_us))
    named = np.flatnonzero(~sets.is_refused[party_set])  # who is meant comes before when it was
    undated = named[asked.collected_us[named] == _NULL_US]
    future = named[asked.collected_us[named] > permits.at_us]
    codes[undated], codes[future] = REASON_CODES[Reason.UNKNOWN_PARTY], REASON_CODES[Reason.STALE]
    place = party_set.astype(np.int32)
    untimely = np.concatenate([undated, future])
    place[untimely] += len(first)  # there the account is named
    since_us = np.concatenate([sets.effective.since_us, np.full(len(first), NO_PERMIT_US)])
    since = pa.array(since_us, mask=np.isin(since_us, [NO_PERMIT_US, BEGINNING_US]))
    parties = pa.array([*sets.parties, *sets.owners] if len(untimely) else sets.parties, pa.string())
    return pa.record_batch(
        [
            pa.array(codes == 0),
            pa.DictionaryArray.from_arrays(
                pa.array(codes - 1, pa.int8(), mask=codes == 0), pa.array([str(name) for name in REASON_CODES])
            ),
            pa.DictionaryArray.from_arrays(pa.array(place), parties),
            since.cast(pa.timestamp("us", tz="UTC")).take(pa.array(place)),
        ],
        schema=ANSWERS,
    )


def judged_as(questions: Any, judged: Callable[[pa.RecordBatch], pa.RecordBatch]) -> Any:  # noqa: ANN401 - of any form
    """Judge questions of any form that gives Arrow, and answer in the same: a record batch, a reader, or else a table.

    Args:
        questions: A record batch or table, a reader, a pandas or polars frame, or anything else with a stream of Arrow.
        judged: Judges one batch; a reader's only when somebody reads it.

    Raises:
        InvalidInputError: They are none of these.
    """
    if isinstance(questions, pa.RecordBatch):
        return judged(questions)
    if isinstance(questions, pa.RecordBatchReader):
        return pa.RecordBatchReader.from_batches(ANSWERS, map(judged, questions))
    try:
        table = questions if isinstance(questions, pa.Table) else pa.table(questions)
        batches = table.to_batches()
    except (pa.ArrowException, TypeError, ValueError) as error:
        msg = f"The questions are no Arrow, and nothing that Arrow is made of: {error}."
        raise InvalidInputError(msg) from error
    return pa.Table.from_batches([judged(batch) for batch in batches], schema=ANSWERS)


# --- from any form of Arrow to plain columns --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Texts:
    """A column of texts: the number of each row's in `values`; null is one of them."""

    number: NDArray[np.int32]
    values: list[str | None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Questions as plain columns: n rows, whose people lie one after the other in `people`, `lengths` of them each."""

    account: _Texts
    category: _Texts
    people: _Texts
    lengths: NDArray[np.int64]
    collected_us: NDArray[np.int64]
    conversation: _Texts

    @classmethod
    def of(cls, questions: pa.RecordBatch) -> "_Asked":
        try:
            questions.validate(full=True)
            names = questions.schema.names
        except (pa.ArrowException, ValueError) as error:
            msg = f"The questions are no sound Arrow: {error}. Check what wrote them."
            raise InvalidInputError(msg) from error
        for name in QUESTIONS.names:
            if names.count(name) != 1:
                msg = f"The questions have {names.count(name) or 'no'} column {name!r}. They need: "
                raise InvalidInputError(msg + f"{', '.join(QUESTIONS.names)}.")
        if names.count(CONVERSATION) > 1:
            msg = f"The questions have {names.count(CONVERSATION)} columns {CONVERSATION!r}, and may have one."
            raise InvalidInputError(msg)
        lengths, people = _lists(questions["people"])
        said = questions[CONVERSATION] if CONVERSATION in names else pa.nulls(questions.num_rows, pa.string())
        return cls(
            account=_texts(questions["account"], "account"),
            category=_texts(questions["category"], "category"),
            people=_texts(people, "people"),
            lengths=lengths,
            collected_us=_instants(questions["collected_at"]),
            conversation=_texts(said, CONVERSATION),
        )


def _texts(column: pa.Array, name: str) -> _Texts:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (_is_text(kind) or pa.types.is_null(kind)):
        raise InvalidInputError(_wrong(name, column.type))
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.large_string()).dictionary_encode()
    values: list[str | None] = [*column.dictionary.to_pylist(), None]
    number = column.indices.cast(pa.int64()).fill_null(len(values) - 1).to_numpy(zero_copy_only=False)
    return _Texts(number.astype(np.int32), values)


def _lists(column: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Return how many each row names, and all names; a row that is null names nobody."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_null(kind):
        return np.zeros(len(column), np.int64), pa.nulls(0, pa.string())
    if not (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    ):
        raise InvalidInputError(_wrong("people", kind))
    lengths = pc.list_value_length(column).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_list(kind) and column.null_count:
        lengths = np.where(column.is_null().to_numpy(zero_copy_only=False), 0, lengths)
    if len(lengths) and (int(lengths.max()) > MOST_NAMED or int(lengths.sum()) > MOST_NAMES):
        msg = f"A row may name {MOST_NAMED:,} people and a batch {MOST_NAMES:,}. Split it, or check what wrote it."
        raise InvalidInputError(msg)
    return lengths, column.flatten()


def _instants(column: pa.Array) -> NDArray[np.int64]:
    """Return instants as microseconds, down to the next whole one; what is null or beyond all calendars is none."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), _NULL_US)
    if not pa.types.is_timestamp(kind):
        raise InvalidInputError(_wrong("collected_at", kind))
    values = column.view(pa.int64()).fill_null(_NULL_US).to_numpy(zero_copy_only=False)
    per_us = _UNITS_PER_S["us"] / _UNITS_PER_S[kind.unit]
    if per_us <= 1:
        return np.where(values == _NULL_US, _NULL_US, values // int(1 / per_us))
    most = NO_PERMIT_US // int(per_us)
    return np.where(np.abs(np.maximum(values, 1 - 2**63)) >= most, _NULL_US, values * int(per_us))


def _is_text(kind: Any) -> bool:  # noqa: ANN401 - Arrow has no types
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _wrong(name: str, given: pa.DataType) -> str:
    kind = pa.string() if name == CONVERSATION else QUESTIONS.field(name).type
    return f"The column {name!r} must be {kind}, or another form of that, not {given}."


# --- party sets -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sets:
    """What k party sets get: their effective permits, on whom each hangs, and whose records they are."""

    effective: EffectivePermits
    is_refused: NDArray[np.bool_]  # since something named is not there
    parties: list[PartyRef]
    owners: list[PartyRef]


def _judge_sets(permits: Permits, names: Names, asked: _Asked, first: NDArray[np.int64]) -> _Sets:
    """Judge each party set, category and conversation, by the first row that asks about it."""
    ends = np.cumsum(asked.lengths)
    since_us, oldest_us, reason, is_refused = [], [], [], []
    parties: list[PartyRef] = []
    owners: list[PartyRef] = []
    for row in first.tolist():
        numbers = asked.people.number[ends[row] - asked.lengths[row] : ends[row]].tolist()
        account = asked.account.values[asked.account.number[row]]
        people = [asked.people.values[number] for number in numbers]
        category = asked.category.values[asked.category.number[row]]
        conversation = asked.conversation.values[asked.conversation.number[row]]
        found = question_of(names, account, people, category, 0, conversation)
        effective = (
            effective_permit_of(permits, found.account, found.people, found.category, found.conversation)
            if isinstance(found, Record)
            else _refused_set(found)
        )
        since_us.append(effective.since_us)
        oldest_us.append(effective.oldest_us)
        reason.append(0 if effective.reason is None else REASON_CODES[effective.reason])
        parties.append(effective.party)
        is_refused.append(isinstance(found, Verdict))
        owner = names.account(account)
        owners.append(UNKNOWN_ACCOUNT if isinstance(owner, Unnamed) else account_ref(owner))
    effective_permits = EffectivePermits(
        at_us=permits.at_us,
        since_us=np.array(since_us, np.int64),
        oldest_us=np.array(oldest_us, np.int64),
        reason=np.array(reason, np.int8),
    )
    return _Sets(effective_permits, np.array(is_refused, np.bool_), parties, owners)


def _refused_set(verdict: Verdict) -> EffectivePermit:
    return EffectivePermit(
        since_us=NO_PERMIT_US, oldest_us=BEGINNING_US, reason=verdict.reason, party=PartyRef(verdict.party)
    )


def _party_sets(asked: _Asked) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Tell apart which rows ask about the same account, people, category and conversation, by numbers alone.

    Returns:
        The number of each row's party set, int32, (n,); and the first row of each party set, (k,).
    """
    number, several, lengths = asked.people.number, len(asked.people.values), asked.lengths
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    key = asked.account.number.astype(np.int64) * len(asked.category.values) + asked.category.number
    if len(asked.conversation.values) > 1:  # else nobody says
        dense, _ = _dense(key)
        key = dense.astype(np.int64) * len(asked.conversation.values) + asked.conversation.number
    for place in range(int(lengths.max(initial=0))):  # one more person of those that have so many
        rows = slice(None) if place < lengths.min() else np.flatnonzero(lengths > place)
        dense, count = _dense(key)
        key = dense.astype(np.int64)
        key[rows] = count + key[rows] * several + number[starts[rows] + place]
    party_set, count = _dense(key)
    first = np.empty(count, np.int64)
    first[party_set[::-1]] = np.arange(len(party_set))[::-1]  # of several the last one stays: the first row
    return party_set, first


def _dense(key: NDArray[np.int64]) -> tuple[NDArray[np.int32], int]:
    """Number what is distinguished by a key anew, from 0 on."""
    encoded = pa.array(key).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), len(encoded.dictionary)
