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
from numpy.typing import NDArray

from volition.consent.gate import EffectivePermit, EffectivePermits, effective_permit_of, judge
from volition.consent.gate.asked import NULL_US, Asked
from volition.consent.gate.question import question_of
from volition.consent.gate.verdict import Record, Verdict
from volition.consent.history import BEGINNING_US
from volition.consent.names import UNKNOWN_ACCOUNT, Names, Unnamed
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Permits, Reason
from volition.consent.references import PartyRef, account_ref
from volition.errors import InvalidInputError

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
    asked = Asked.of(questions)
    party_set, first = party_sets(asked)
    sets = judge_sets(permits, names, asked, first)
    codes = judge(sets.effective, party_set, np.minimum(asked.collected_us, permits.at_us))
    named = np.flatnonzero(~sets.is_refused[party_set])  # who is meant comes before when it was
    undated = named[asked.collected_us[named] == NULL_US]
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


# --- party sets -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sets:
    """What k party sets get: their effective permits, on whom each hangs, and whose records they are."""

    effective: EffectivePermits
    is_refused: NDArray[np.bool_]  # since something named is not there
    parties: list[PartyRef]
    owners: list[PartyRef]


def judge_sets(permits: Permits, names: Names, asked: Asked, first: NDArray[np.int64]) -> Sets:
    """Judge each party set, category and conversation, by the first row that asks about it."""
    vocabulary, ends = permits.history.vocabulary, np.cumsum(asked.lengths)
    since_us, oldest_us, reason, is_refused = [], [], [], []
    parties: list[PartyRef] = []
    owners: list[PartyRef] = []
    for row in first.tolist():
        numbers = asked.people.number[ends[row] - asked.lengths[row] : ends[row]].tolist()
        account = asked.account.values[asked.account.number[row]]
        people = [asked.people.values[number] for number in numbers]
        category = asked.category.values[asked.category.number[row]]
        conversation = asked.conversation.values[asked.conversation.number[row]]
        found = question_of(names, vocabulary, account, people, category, 0, conversation)
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
    return Sets(effective_permits, np.array(is_refused, np.bool_), parties, owners)


def _refused_set(verdict: Verdict) -> EffectivePermit:
    return EffectivePermit(
        since_us=NO_PERMIT_US, oldest_us=BEGINNING_US, reason=verdict.reason, party=PartyRef(verdict.party)
    )


def party_sets(asked: Asked) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
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
