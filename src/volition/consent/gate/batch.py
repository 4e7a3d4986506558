"""Many questions for the gate at once: Arrow in, Arrow out.

One question a row: may this be used? A column names the account, one the people (a list of parties, the speaker or
actor first), one the category, one when it was collected. Rows that ask about the same party set and category share one
effective permit, so most of the cost is telling the party sets apart.

    >>> import pyarrow as pa
    >>> answers = judge_batch(permits, pa.record_batch({                        # doctest: +SKIP
    ...     "account": ["acme"], "people": [["person:31d0..."]], "category": ["content/chat"],
    ...     "collected_at": [datetime(2026, 6, 2, tzinfo=UTC)]}))
    >>> answers["permitted"]                                                    # doctest: +SKIP
    [true]
"""

import re
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from volition.consent.gate import EffectivePermits, effective_permit_of, judge
from volition.consent.history import BEGINNING_US
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Permits
from volition.consent.terms.model import CATEGORIES
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

_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_NAMED: Final = pa.list_(pa.dictionary(pa.int32(), pa.string()))
"""As `people` may come as well: each name once."""


def judge_batch(permits: Permits, questions: pa.RecordBatch) -> pa.RecordBatch:
    """Judge every row for the permits' purpose at the permits' instant; the same answers as `gate.decide`, by test.

    Args:
        permits: Decide.
        questions: Columns of `QUESTIONS`, in any order, others ignored; n rows.

    Returns:
        Columns of `ANSWERS`, n rows in the same order.

    Raises:
        InvalidInputError: A column is missing or of another type, an id holds a control character, a category is
            unknown, or a record was collected after the instant that is asked about.
    """
    account, people, category, collected = (_column(questions, field) for field in QUESTIONS)
    party_set, first = _party_sets(account, people, category, collected)
    since_us, oldest_us, reason, parties = [], [], [], []
    named = (column.take(first).to_pylist() for column in (account, people, category))
    for owner, names, kind in zip(*named, strict=True):
        _check_names(owner, *names)
        if kind not in CATEGORIES:
            msg = f"{kind!r} is not a single category. They are: {', '.join(CATEGORIES)}."
            raise InvalidInputError(msg)
        effective_permit = effective_permit_of(permits, owner, names, kind)
        since_us.append(effective_permit.since_us)
        oldest_us.append(effective_permit.oldest_us)
        reason.append(0 if effective_permit.reason is None else REASON_CODES[effective_permit.reason])
        parties.append(effective_permit.party)
    effective_permits = EffectivePermits(
        at_us=permits.at_us,
        since_us=np.array(since_us, np.int64),
        oldest_us=np.array(oldest_us, np.int64),
        reason=np.array(reason, np.int8),
    )
    index = pa.array(party_set, mask=party_set < 0)
    codes = judge(effective_permits, party_set, collected.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False))
    since = pa.array(effective_permits.since_us, mask=np.isin(effective_permits.since_us, [NO_PERMIT_US, BEGINNING_US]))
    names = pa.array([str(name) for name in REASON_CODES])
    return pa.record_batch(
        [
            pa.array(codes == 0),
            pa.DictionaryArray.from_arrays(pa.array(codes - 1, pa.int8(), mask=codes == 0), names),
            pa.DictionaryArray.from_arrays(index, pa.array(parties, pa.string())),
            since.cast(pa.timestamp("us", tz="UTC")).take(index),
        ],
        schema=ANSWERS,
    )


def _party_sets(
    account: pa.Array, people: pa.Array, category: pa.Array, collected: pa.Array
) -> tuple[NDArray[np.int32], pa.Array]:
    """Tell apart which rows ask about the same account, people and category, by numbers alone.

    Returns:
        The number of each row's party set, int32, (n,), -1 where something is not told; and a row of each party set,
        (k,).
    """
    persons = people.flatten()
    number, several = _numbers(persons)
    lengths = people.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    unknown = (account.is_null().to_numpy(zero_copy_only=False)) | (category.is_null().to_numpy(zero_copy_only=False))
    for column in (people, collected):
        unknown |= column.is_null().to_numpy(zero_copy_only=False)
    if persons.null_count:
        unknown[np.repeat(np.arange(len(lengths)), lengths)[number < 0]] = True
    owners, _ = _numbers(account)
    kinds, kinds_count = _numbers(category)
    party_set = owners.astype(np.int64) * (kinds_count + 1) + kinds
    party_set[unknown] = -1  # before anything is told apart, so that it makes no party set of its own
    for place in range(int(lengths.max(initial=0))):  # one more person of those that have so many
        rows = slice(None) if place < lengths.min() else np.flatnonzero(lengths > place)
        party_set, count = _dense(party_set)
        longer = party_set[rows].astype(np.int64) * (several + 1) + number[starts[rows] + place]
        party_set = party_set.astype(np.int64)
        party_set[rows] = np.where(party_set[rows] < 0, -1, longer + count)
    party_set, count = _dense(party_set)
    first = np.empty(count, np.int64)
    known = np.flatnonzero(party_set >= 0)[::-1]
    first[party_set[known]] = known  # of several the last one stays: the first row
    return party_set, pa.array(first)


def _numbers(column: pa.Array) -> tuple[NDArray[np.int32], int]:
    """Number the values of a column from 0 on, -1 for null; return how many there are besides."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if encoded.dictionary.null_count:
        encoded = encoded.cast(pa.string()).dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), len(encoded.dictionary)


def _dense(key: NDArray[np.int64]) -> tuple[NDArray[np.int32], int]:
    """Number what is told apart by a key anew, from 0 on; what is negative is -1."""
    encoded = pa.array(key, mask=key < 0).dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), len(encoded.dictionary)


def _column(questions: pa.RecordBatch, field: pa.Field) -> pa.Array:
    if field.name not in questions.schema.names:
        msg = f"The questions have no column {field.name!r}. They need: {', '.join(QUESTIONS.names)}."
        raise InvalidInputError(msg)
    column = questions[field.name]
    if column.type in {_NAMED, field.type}:
        return column
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        msg = f"The column {field.name!r} must be {field.type}, not {questions[field.name].type}: {error}."
        raise InvalidInputError(msg) from error


def _check_names(*names: str) -> None:
    if any(map(_CONTROL.search, names)):
        msg = "An id holds a control character, so it is nobody's. Check where the questions come from."
        raise InvalidInputError(msg)
