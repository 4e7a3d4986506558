"""Many questions at once: the answers of one at a time, and clear words for questions that cannot be answered."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_gate import ASKED, CATEGORY, PEOPLE, PURPOSE, answers, entries

from volition.consent.gate import Record, decide
from volition.consent.gate.batch import ANSWERS, QUESTIONS, judge_batch
from volition.consent.history import read_history
from volition.consent.permits import Permits
from volition.errors import InvalidInputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
questions = st.lists(
    st.tuples(
        st.sampled_from(["acme", "other", "nobody"]),
        st.sampled_from([*PEOPLE, ()]),
        st.sampled_from([CATEGORY, "content/files", "service/usage"]),
        st.integers(0, ASKED),
    ),
    max_size=40,
)


def asked(rows):
    columns = {
        "account": [row[0] for row in rows],
        "people": [list(row[1]) for row in rows],
        "category": [row[2] for row in rows],
        "collected_at": [EPOCH + timedelta(microseconds=row[3]) for row in rows],
    }
    return pa.RecordBatch.from_pydict(columns, schema=QUESTIONS)


@given(st.lists(answers, max_size=12), questions)
def test_a_batch_is_judged_as_one_at_a_time(answers, rows):
    permits = Permits(read_history(entries(answers)), purpose=PURPOSE, at_us=ASKED)
    found = judge_batch(permits, asked(rows))
    assert found.schema == ANSWERS
    for row, told in zip(rows, found.to_pylist(), strict=True):
        record = Record(account=row[0], people=row[1], category=row[2], collected_us=row[3])
        verdict = decide(permits, record)
        assert told["permitted"] == verdict.permitted
        assert told["reason"] == verdict.reason
        assert told["party"] == verdict.party
        since_us = None if told["since"] is None else (told["since"] - EPOCH) // timedelta(microseconds=1)
        assert since_us == (verdict.since_us if verdict.since_us is not None and verdict.since_us > -1 else None)


@pytest.fixture
def permits():
    told = [(2, party, "yes") for party in ("account:acme", "person:ada", "person:bob")]
    return Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED)


GOOD = ("acme", ("person:ada",), CATEGORY, 15)


def test_what_is_not_told_is_refused(permits):
    batch = asked([GOOD, GOOD, GOOD, GOOD])
    for column in QUESTIONS.names:
        rows = [{**row, column: None} if number == 1 else row for number, row in enumerate(batch.to_pylist())]
        found = judge_batch(permits, pa.RecordBatch.from_pylist(rows, schema=QUESTIONS)).to_pylist()
        assert [row["permitted"] for row in found] == [True, False, True, True]
        assert (found[1]["reason"], found[1]["party"], found[1]["since"]) == ("unknown-party", None, None)


def test_columns_may_be_dictionaries_and_stand_in_any_order(permits):
    batch = asked([GOOD] * 3)
    encoded = pa.record_batch(
        {
            "category": batch["category"].dictionary_encode(),
            "more": pa.array([1, 2, 3]),
            "collected_at": batch["collected_at"],
            "account": batch["account"].dictionary_encode(),
            "people": batch["people"],
        }
    )
    assert judge_batch(permits, encoded)["permitted"].to_pylist() == [True] * 3


def test_an_empty_batch_has_an_empty_answer(permits):
    assert judge_batch(permits, asked([])).num_rows == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda batch: batch.drop_columns(["people"]), "no column 'people'"),
        (lambda batch: batch.set_column(0, "account", pa.array([b"\xff"])), "'account' must be string"),
        (lambda batch: batch.set_column(0, "account", pa.array(["a\x1eb"])), "control character"),
        (lambda batch: batch.set_column(1, "people", pa.array([["person:a\x1fb"]])), "control character"),
        (lambda batch: batch.set_column(2, "category", pa.array(["content"])), "not a single category"),
        (lambda _: asked([(*GOOD[:3], ASKED + 1)]), "Ask later"),
    ],
)
def test_a_question_that_cannot_be_answered_is_told(permits, change, words):
    with pytest.raises(InvalidInputError, match=words):
        judge_batch(permits, change(asked([GOOD])))
