"""The gate: one record, aloud, and a table at a time give one answer."""

from itertools import product

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.canonical import us_to_text
from volition.engines.duckdb import DuckDBEngine
from volition.errors import BackendError, InvalidInputError
from volition.gate import Record, decide, explain, fold, keepable, permitted_sql, remedy
from volition.ledger import Entry
from volition.permits import UNKNOWN_PERSON, Permits, Reason, read_history
from volition.terms import PURPOSES, Basis, Rule, Terms

PURPOSE, CATEGORY = "train/search", "content/chat"
ASKED = 20
ENGINES = {"duckdb": DuckDBEngine()}

TERMS = Terms(
    id="v",
    title="v",
    effective_us=0,
    acceptance="continued-use",
    text="prose",
    rules=(
        Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "everyone"), max_age_us=9),
        Rule(data=("content",), purpose=("feature",), basis=Basis.CONSENT, asks=("account",), refusable_by=("person",)),
    ),
)


def entries(answers, accepted=("acme", "other")):
    """Make a ledger: the terms, accepted by two accounts, then (instant, party, word) answers."""
    drafts = [(1, "terms", {"terms": TERMS.to_json(), "binds": us_to_text(1)})]
    drafts += [(1, "acceptance", {"account": account, "terms": "v"}) for account in accepted]
    for at, party, word in sorted(answers):
        if word == "erase":
            drafts.append((at, "erasure", {"party": party}))
        else:
            covers = "past" if word == "past" else None
            body = {"party": party, "answer": "no" if word == "no" else "yes", "covers": covers}
            drafts.append((at, "decision", {**body, "data": ["content"], "purpose": ["train"]}))
    return [Entry(seq=number, at_us=at, kind=kind, body=body) for number, (at, kind, body) in enumerate(drafts)]


PARTIES = ["account:acme", "account:other", "person:ada", "person:bob"]
PEOPLE = [("person:ada",), ("person:ada", "person:bob"), ("person:bob", "person:ada"), (UNKNOWN_PERSON, "person:ada")]
CIRCLES = [
    (number, account, people) for number, (account, people) in enumerate(product(["acme", "other", "nobody"], PEOPLE))
]

answers = st.tuples(
    st.integers(2, ASKED), st.sampled_from(PARTIES), st.sampled_from(["yes", "yes", "past", "no", "erase"])
)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@given(st.lists(answers, max_size=10), st.lists(st.tuples(st.integers(0, 11), st.integers(0, ASKED)), max_size=60))
def test_a_table_passes_exactly_the_rows_that_decide_permits(tmp_path_factory, engine, answers, rows):
    history = read_history(entries(answers))
    permits = Permits(history, purpose=PURPOSE, at_us=ASKED)
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    columns = {
        "record_id": [str(n) for n in range(len(rows))],
        "circle": [c for c, _ in rows],
        "collected_us": [t for _, t in rows],
    }
    schema = pa.schema([("record_id", pa.string()), ("circle", pa.int32()), ("collected_us", pa.int64())])
    pq.write_table(pa.table(columns, schema=schema), path)
    standings = fold(permits, CIRCLES, CATEGORY)

    kept = [
        identity for batch in engine.permitted([str(path)], standings) for identity in batch["record_id"].to_pylist()
    ]
    counts = engine.reasons([str(path)], standings)

    verdicts = [
        decide(permits, Record(account=CIRCLES[c][1], people=CIRCLES[c][2], category=CATEGORY, collected_us=t))
        for c, t in rows
    ]
    assert sorted(kept, key=int) == [str(n) for n, verdict in enumerate(verdicts) if verdict.permitted]
    reasons = [verdict.reason for verdict in verdicts]
    assert counts == {reason: reasons.count(reason) for reason in set(reasons)}


@given(st.lists(answers, max_size=10), st.sampled_from(CIRCLES), st.integers(0, ASKED))
def test_explaining_gives_the_verdict_and_the_party_it_hangs_on(answers, circle, collected):
    history = read_history(entries(answers))
    record = Record(account=circle[1], people=circle[2], category=CATEGORY, collected_us=collected)
    verdict = decide(Permits(history, purpose=PURPOSE, at_us=ASKED), record)

    lines = explain(history, record, purpose=PURPOSE, at_us=ASKED)

    against = [line for line in lines if line.reason is not None]
    assert verdict.permitted == (not against)
    if not verdict.permitted:
        assert (verdict.party, verdict.reason) in {(line.party, line.reason) for line in against}
        assert verdict.remedy
        assert all(line.remedy for line in against)


def test_one_missing_permit_in_a_meeting_keeps_the_record_out():
    told = [(2, party, "yes") for party in ("account:acme", "person:ada")]
    record = Record(account="acme", people=("person:ada", "person:bob"), category=CATEGORY, collected_us=15)
    missing = decide(Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED), record)
    assert (missing.permitted, missing.reason, missing.party) == (False, Reason.NOT_ASKED, "person:bob")

    complete = decide(
        Permits(read_history(entries([*told, (14, "person:bob", "yes")])), purpose=PURPOSE, at_us=ASKED), record
    )
    assert complete.permitted
    assert complete.since_us == 14


def test_the_account_is_told_before_its_people():
    record = Record(account="acme", people=("person:ada",), category=CATEGORY, collected_us=15)
    verdict = decide(Permits(read_history(entries([])), purpose=PURPOSE, at_us=ASKED), record)
    assert verdict.party == "account:acme"


@pytest.mark.parametrize("circle", [0, 99])
def test_a_circle_without_a_standing_passes_nothing(tmp_path, circle):
    path = tmp_path / "rows.parquet"
    schema = pa.schema([("record_id", pa.string()), ("circle", pa.int32()), ("collected_us", pa.int64())])
    pq.write_table(pa.table({"record_id": ["r"], "circle": [circle], "collected_us": [15]}, schema=schema), path)
    told = [(2, party, "yes") for party in PARTIES]
    standings = fold(Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED), CIRCLES[:1], CATEGORY)

    kept = sum(batch.num_rows for batch in DuckDBEngine().permitted([str(path)], standings))

    assert kept == (1 if circle == 0 else 0)
    assert DuckDBEngine().reasons([str(path)], standings) == {None if circle == 0 else Reason.UNKNOWN_PARTY: 1}


def test_a_record_that_concerns_nobody_is_refused():
    told = [(2, "account:acme", "yes")]
    record = Record(account="acme", people=(), category=CATEGORY, collected_us=15)
    verdict = decide(Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED), record)
    assert verdict.reason is Reason.UNKNOWN_PARTY


def test_too_old_is_told_apart_from_before_the_yes():
    told = [(5, "account:acme", "yes"), (5, "person:ada", "yes")]
    permits = Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED)
    reasons = [
        decide(permits, Record(account="acme", people=("person:ada",), category=CATEGORY, collected_us=at)).reason
        for at in (4, 10, 11)
    ]
    assert reasons == [Reason.BEFORE_YES, Reason.TOO_OLD, None]


def test_a_record_from_after_the_instant_asked_about_is_a_mistake():
    record = Record(account="acme", people=("person:ada",), category=CATEGORY, collected_us=ASKED + 1)
    with pytest.raises(InvalidInputError, match="Ask about a later instant"):
        decide(Permits(read_history(entries([])), purpose=PURPOSE, at_us=ASKED), record)


def test_what_no_purpose_can_permit_is_not_kept():
    def objection(told, category=CATEGORY, account="acme"):
        history = read_history(entries(told, accepted=("acme",)))
        record = Record(account=account, people=("person:ada",), category=category, collected_us=15)
        return keepable([Permits(history, purpose=purpose, at_us=ASKED) for purpose in PURPOSES], record)

    assert objection([]) is None  # waits for an answer
    assert objection([], category="service/usage") is Reason.NEVER
    assert objection([], account="nobody") is Reason.NO_TERMS
    assert objection([(2, "account:acme", "erase")]) is Reason.ERASED


def test_a_source_must_be_an_identity():
    with pytest.raises(InvalidInputError):
        permitted_sql(ASKED, source="x' OR 1=1 --")


def test_a_broken_file_is_told_by_name(tmp_path):
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 this is no parquet PAR1")
    standings = fold(Permits(read_history(entries([])), purpose=PURPOSE, at_us=ASKED), CIRCLES, CATEGORY)
    with pytest.raises(BackendError, match=r"broken\.parquet"):
        list(DuckDBEngine().permitted([str(path)], standings))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_remedy_in_words(reason):
    assert remedy(reason, "account:acme", since_us=5)
    assert remedy(reason, "person:ada", since_us=5)
