"""Many questions at once: the answers of one at a time, and clear words for questions that cannot be answered."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_gate import ASKED, CATEGORY, PEOPLE, PURPOSE, answers, entries

from volition.consent.gate import decide, question_of, refused
from volition.consent.gate.asked import MOST_NAMED, QUESTIONS
from volition.consent.gate.batch import ANSWERS, judge_batch, judged_as
from volition.consent.gate.verdict import Verdict
from volition.consent.history import read_history
from volition.consent.names import Unnamed
from volition.consent.permits import UNKNOWN_PERSON, Permits, Reason
from volition.consent.references import account_ref
from volition.consent.terms.vocabulary import BUILT_IN
from volition.errors import InvalidInputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
THERE = {person for people in PEOPLE for person in people} - {UNKNOWN_PERSON}


class OfTheLedger:
    """Names as the ledger has them: what the entries of these tests speak of, and nobody else."""

    @staticmethod
    def account(name):
        known = name in {"acme", "other"}
        return name if known else Unnamed(reason=Reason.UNKNOWN_PARTY, party=account_ref(name or "unknown"))

    @staticmethod
    def person(name):
        return name if name in THERE else Unnamed(reason=Reason.UNKNOWN_PARTY, party=name or UNKNOWN_PERSON)

    @staticmethod
    def conversation(account, name):
        return None if name is None else name and f"{account}/{name}"


NAMES = OfTheLedger()
questions = st.lists(
    st.tuples(
        st.sampled_from(["acme", "other", "nobody", None]),
        st.sampled_from([*PEOPLE, (), None, ("person:ada", None), ("", "person:ada"), ("person:stranger",)]),
        st.sampled_from([CATEGORY, "content/files", "service/usage", "content", "gossip", None]),
        st.sampled_from([None, *range(ASKED + 3)]),
    ),
    max_size=40,
)


def asked(rows):
    columns = {
        "account": [row[0] for row in rows],
        "people": [None if row[1] is None else list(row[1]) for row in rows],
        "category": [row[2] for row in rows],
        "collected_at": [None if row[3] is None else EPOCH + timedelta(microseconds=row[3]) for row in rows],
    }
    return pa.RecordBatch.from_pydict(columns, schema=QUESTIONS)


def one_at_a_time(permits, row):
    account, people, category, collected = row
    found = question_of(NAMES, BUILT_IN, account, people or (), category, collected)
    if isinstance(found, Verdict):
        return found
    late = found.collected_us > permits.at_us
    return refused(Reason.STALE, account_ref(account)) if late else decide(permits, found)


@pytest.mark.slow
@given(st.lists(answers, max_size=12), questions)
def test_a_batch_is_judged_as_one_at_a_time(answers, rows):
    permits = Permits(read_history(entries(answers)), purpose=PURPOSE, at_us=ASKED)
    found = judge_batch(permits, NAMES, asked(rows))
    assert found.schema == ANSWERS
    found.validate(full=True)
    for row, told in zip(rows, found.to_pylist(), strict=True):
        verdict = one_at_a_time(permits, row)
        assert (told["permitted"], told["reason"]) == (verdict.permitted, verdict.reason), row
        assert told["party"] == verdict.party, row
        since_us = None if told["since"] is None else (told["since"] - EPOCH) // timedelta(microseconds=1)
        assert since_us == (verdict.since_us if verdict.since_us is not None and verdict.since_us > -1 else None)


@pytest.fixture
def permits():
    told = [(2, party, "yes") for party in ("account:acme", "person:ada", "person:bob")]
    return Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED)


GOOD = ("acme", ("person:ada",), CATEGORY, 15)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ((None, *GOOD[1:]), ("unknown-party", "account:unknown")),
        (("nobody", *GOOD[1:]), ("unknown-party", "account:nobody")),
        (("ACME", *GOOD[1:]), ("unknown-party", "account:ACME")),
        (("a\x1eb", *GOOD[1:]), ("unknown-party", "account:a\x1eb")),
        (("acme", None, *GOOD[2:]), ("unknown-party", "account:acme")),
        (("acme", (), *GOOD[2:]), ("unknown-party", "account:acme")),
        (("acme", ("person:ada", "person:no\x00one"), *GOOD[2:]), ("unknown-party", "person:no\x00one")),
        (("acme", (None, "person:ada"), *GOOD[2:]), ("unknown-party", UNKNOWN_PERSON)),
        ((*GOOD[:2], None, 15), ("unknown-party", "account:acme")),
        ((*GOOD[:2], "content", 15), ("never", "account:acme")),
        ((*GOOD[:3], None), ("unknown-party", "account:acme")),
        ((*GOOD[:3], ASKED + 1), ("stale", "account:acme")),
        (("nobody", *GOOD[1:3], ASKED + 1), ("unknown-party", "account:nobody")),
        (("acme", ("person:stranger",), CATEGORY, ASKED + 1), ("unknown-party", "person:stranger")),
        (("acme", ("person:stranger",), CATEGORY, None), ("unknown-party", "person:stranger")),
    ],
)
def test_a_row_that_cannot_be_answered_is_refused_and_no_other(permits, row, told):
    found = judge_batch(permits, NAMES, asked([GOOD, row, GOOD])).to_pylist()
    assert [one["permitted"] for one in found] == [True, False, True]
    assert (found[1]["reason"], found[1]["party"], found[1]["since"]) == (*told, None)


def test_rows_that_differ_in_one_thing_are_told_apart(permits):
    rows = [
        (account, people, category, collected)
        for account in ("acme", "other", "x", "y", "z", None)
        for people in (("person:ada",), ("person:ada", "person:bob"), ("person:bob", "person:ada"), ("person:cy",))
        for category in (CATEGORY, "gossip")
        for collected in (15, 1)
    ]
    found = judge_batch(permits, NAMES, asked(rows)).to_pylist()
    expected = [one_at_a_time(permits, row) for row in rows]
    assert [(one["reason"], one["party"]) for one in found] == [(one.reason, one.party) for one in expected]


@pytest.mark.slow
def test_as_many_may_be_named_as_is_said(permits):
    row = ("acme", ("person:ada",) * MOST_NAMED, CATEGORY, 15)
    assert judge_batch(permits, NAMES, asked([row, GOOD])).num_rows == 2


def test_questions_are_answered_in_the_form_in_which_they_came(permits):
    batch, other = asked([GOOD, (None, *GOOD[1:])]), asked([("other", *GOOD[1:])])
    expected = [*judge_batch(permits, NAMES, batch).to_pylist(), *judge_batch(permits, NAMES, other).to_pylist()]

    def judged(one):
        return judge_batch(permits, NAMES, one)

    assert isinstance(judged_as(batch, judged), pa.RecordBatch)
    assert judged_as(batch, judged).to_pylist() == expected[:2]
    reader = judged_as(pa.RecordBatchReader.from_batches(QUESTIONS, [batch, other]), judged)
    assert isinstance(reader, pa.RecordBatchReader)
    assert reader.schema == ANSWERS
    assert reader.read_all().to_pylist() == expected
    for table in (pa.Table.from_batches([batch, other]), {name: batch[name] for name in QUESTIONS.names}):
        found = judged_as(table, judged)
        assert isinstance(found, pa.Table)
        assert found.schema == ANSWERS
        assert found.to_pylist() == expected[: found.num_rows]
    assert judged_as(QUESTIONS.empty_table(), judged) == ANSWERS.empty_table()
    with pytest.raises(InvalidInputError, match="no Arrow"):
        judged_as(7, judged)


LISTS = {
    "list": lambda names: pa.array(names, pa.list_(pa.string())),
    "large list": lambda names: pa.array(names, pa.large_list(pa.large_string())),
    "list view": lambda names: pa.array(names, pa.list_view(pa.string_view())),
    "large list view": lambda names: pa.array(names, pa.large_list_view(pa.string())),
    "fixed size": lambda names: pa.array(names, pa.list_(pa.string(), 2)),
    "of a dictionary": lambda names: pa.array(names, pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    "a dictionary of lists": lambda names: pa.DictionaryArray.from_arrays(
        pa.array([None if one is None else number for number, one in enumerate(names)], pa.int32()),
        pa.array([one or [] for one in names], pa.list_(pa.string())),
    ),
    "sliced": lambda names: pa.array([["x"], *names, ["y"]], pa.list_(pa.string())).slice(1, len(names)),
}


@pytest.mark.parametrize("people", LISTS.values(), ids=LISTS)
def test_the_type_of_a_list_changes_no_answer(permits, people):
    rows = [["person:ada", "person:bob"], ["person:ada", "person:cy"], None, ["person:bob", None], ["", "person:ada"]]
    plain = asked([("acme", row and tuple(row), CATEGORY, 15) for row in rows])
    expected = judge_batch(permits, NAMES, plain).to_pylist()
    assert [row["permitted"] for row in expected] == [True, False, False, False, False]
    encoded = pa.record_batch({**{name: plain[name] for name in QUESTIONS.names}, "people": people(rows)})
    assert judge_batch(permits, NAMES, encoded).to_pylist() == expected


TEXTS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.uint16(), pa.large_string())]
TIMES = [pa.timestamp(unit, tz) for unit in ("s", "ms", "us", "ns") for tz in (None, "UTC", "Europe/Berlin")]


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_the_type_of_a_text_changes_no_answer(permits, text):
    batch = asked([GOOD, (None, *GOOD[1:]), ("other", *GOOD[1:])])
    encoded = {name: batch[name].cast(text) for name in ("account", "category")}
    columns = {"more": pa.array([1, 2, 3]), **{name: batch[name] for name in QUESTIONS.names[::-1]}, **encoded}
    found = judge_batch(permits, NAMES, pa.record_batch(columns)).to_pylist()
    assert found == judge_batch(permits, NAMES, batch).to_pylist()


@pytest.mark.parametrize("kind", TIMES, ids=str)
def test_the_unit_of_an_instant_changes_no_answer(kind):
    told = [(2, party, "yes") for party in ("account:acme", "person:ada")]
    permits = Permits(read_history(entries(told)), purpose=PURPOSE, at_us=5_000_000)
    second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    instants = [0, 4 * second, 5 * second, 6 * second, None, 2**63 - 1, -(2**62), 4 * second + second // 10**7]
    batch = asked([GOOD] * len(instants)).set_column(3, "collected_at", pa.array(instants, pa.int64()).cast(kind))
    reasons = judge_batch(permits, NAMES, batch)["reason"].to_pylist()
    coarse = kind.unit in {"s", "ms"}  # there 2^62 is beyond all calendars
    beyond = "unknown-party" if coarse else "stale"
    assert reasons[:5] == ["before-yes", "too-old", None, "stale", "unknown-party"]
    assert reasons[5:7] == [beyond, "unknown-party" if coarse else "before-yes"]


def test_columns_of_nothing_but_null_are_refused_row_by_row(permits):
    batch = pa.record_batch({name: pa.nulls(2) for name in QUESTIONS.names})
    assert judge_batch(permits, NAMES, batch)["reason"].to_pylist() == ["unknown-party"] * 2
    empty = asked([GOOD, GOOD]).set_column(1, "people", pa.array([[], []]))
    assert judge_batch(permits, NAMES, empty)["reason"].to_pylist() == ["unknown-party"] * 2


def test_an_empty_batch_has_an_empty_answer(permits):
    assert judge_batch(permits, NAMES, asked([])).num_rows == 0


def unsound(_):
    """Return a batch in which a text ends where there is nothing: what reads it without looking ends the process."""
    buffers = [None, pa.array([0, 2**30, 4], pa.int32()).buffers()[1], pa.py_buffer(b"acme")]
    return asked([GOOD, GOOD]).set_column(0, "account", pa.Array.from_buffers(pa.string(), 2, buffers))


def broken_text(batch):
    buffers = [None, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff")]
    return batch.set_column(0, "account", pa.Array.from_buffers(pa.string(), 1, buffers))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda batch: batch.drop_columns(["people"]), "no column 'people'"),
        (lambda batch: batch.append_column("people", batch["people"]), "2 column 'people'"),
        (lambda batch: batch.set_column(0, "account", pa.array([b"acme"])), "'account' must be string"),
        (lambda batch: batch.set_column(2, "category", pa.array([1])), "'category' must be string"),
        (lambda batch: batch.set_column(1, "people", pa.array(["person:ada"])), "'people' must be list"),
        (lambda batch: batch.set_column(1, "people", pa.array([[1]])), "'people' must be list"),
        (lambda batch: batch.set_column(1, "people", pa.array([[["a"]]])), "'people' must be list"),
        (lambda batch: batch.set_column(3, "collected_at", pa.array(["2026-01-01"])), "'collected_at' must be"),
        (lambda batch: batch.set_column(1, "people", pa.array([["a"] * (MOST_NAMED + 1)])), "may name 10,000"),
        (unsound, "no sound Arrow"),
        (broken_text, "no sound Arrow"),
    ],
)
def test_columns_that_cannot_be_read_are_told(permits, change, words):
    with pytest.raises(InvalidInputError, match=words):
        judge_batch(permits, NAMES, change(asked([GOOD])))
