"""Many questions for the gate at once: Arrow in, Arrow out.

One question a row: may this be used? A column names the account, one the people (a list of parties, the speaker or
actor first), one the category, one when it was collected. Rows that ask about the same circle and category share one
standing, so most of the cost is telling the circles apart.

    >>> import pyarrow as pa
    >>> answers = judge_batch(permits, pa.record_batch({                        # doctest: +SKIP
    ...     "account": ["acme"], "people": [["person:31d0..."]], "category": ["content/chat"],
    ...     "collected_at": [datetime(2026, 6, 2, tzinfo=UTC)]}))
    >>> answers["permitted"]                                                    # doctest: +SKIP
    [true]
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volition.errors import InvalidInputError
from volition.gate import Standings, judge, stand
from volition.history import BEGINNING_US
from volition.permits import NO_PERMIT_US, REASON_CODES, Permits
from volition.terms import CATEGORIES

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

_BETWEEN, _WITHIN = "\x1e", "\x1f"  # ASCII's separators of records and units: in no id


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
    joined = pc.binary_join(people, _WITHIN)
    _check_separators(account, people.flatten())
    key = pc.binary_join_element_wise(account, joined, category, _BETWEEN, null_handling="emit_null")
    key = pc.if_else(pc.is_null(collected), pa.scalar(None, pa.string()), key)
    encoded = key.dictionary_encode()
    since_us, oldest_us, reason, parties = [], [], [], []
    for text in encoded.dictionary.to_pylist():
        owner, names, kind = text.split(_BETWEEN)
        if kind not in CATEGORIES:
            msg = f"{kind!r} is not a single category. They are: {', '.join(CATEGORIES)}."
            raise InvalidInputError(msg)
        standing = stand(permits, owner, names.split(_WITHIN) if names else (), kind)
        since_us.append(standing.since_us)
        oldest_us.append(standing.oldest_us)
        reason.append(0 if standing.reason is None else REASON_CODES[standing.reason])
        parties.append(standing.party)
    standings = Standings(
        at_us=permits.at_us,
        since_us=np.array(since_us, np.int64),
        oldest_us=np.array(oldest_us, np.int64),
        reason=np.array(reason, np.int8),
    )
    circle = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    codes = judge(standings, circle, collected.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False))
    since = pa.array(standings.since_us, mask=np.isin(standings.since_us, [NO_PERMIT_US, BEGINNING_US]))
    names = pa.array([str(name) for name in REASON_CODES])
    return pa.record_batch(
        [
            pa.array(codes == 0),
            pa.DictionaryArray.from_arrays(pa.array(codes - 1, pa.int8(), mask=codes == 0), names),
            pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int32()), pa.array(parties, pa.string())),
            since.cast(pa.timestamp("us", tz="UTC")).take(encoded.indices),
        ],
        schema=ANSWERS,
    )


def _column(questions: pa.RecordBatch, field: pa.Field) -> pa.Array:
    if field.name not in questions.schema.names:
        msg = f"The questions have no column {field.name!r}. They need: {', '.join(QUESTIONS.names)}."
        raise InvalidInputError(msg)
    try:
        return questions[field.name].cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        msg = f"The column {field.name!r} must be {field.type}, not {questions[field.name].type}: {error}."
        raise InvalidInputError(msg) from error


def _check_separators(*columns: pa.Array) -> None:
    for column in columns:
        for separator in (_BETWEEN, _WITHIN):
            if pc.any(pc.match_substring(column, separator)).as_py():
                msg = "An id holds a control character, so it is nobody's. Check where the questions come from."
                raise InvalidInputError(msg)
