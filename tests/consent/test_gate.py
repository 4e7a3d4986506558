"""The gate: one record, aloud, and a table at a time give one answer."""

from collections import Counter
from dataclasses import replace
from itertools import accumulate, product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volition.canonical import us_to_text
from volition.consent.gate import (
    EffectivePermits,
    PartySets,
    Record,
    decide,
    explain,
    fold,
    keepable,
    permitted_sql,
    remedy,
)
from volition.consent.gate.table import check_source
from volition.consent.history import History, extend_history, read_history
from volition.consent.permits import UNKNOWN_PERSON, Permits, Reason
from volition.consent.terms.model import PURPOSES, Basis, Rule, Terms
from volition.errors import BackendError, InvalidInputError
from volition.ledger.entry import Entry
from volition.records.engines import arrow
from volition.records.engines.arrow import ArrowEngine
from volition.records.engines.duckdb import DuckDBEngine

PURPOSE, CATEGORY = "train/search", "content/chat"
SPOKEN = "content/transcript"  # whose rule asks whoever spoke, and not everyone
ASKED = 20
ENDS = 15  # when what was said for now ends
ENGINES = {"arrow": ArrowEngine(), "duckdb": DuckDBEngine()}

TERMS = Terms(
    id="v",
    title="v",
    effective_us=0,
    acceptance="continued-use",
    text="prose",
    rules=(
        Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "everyone"), max_age_us=9),
        Rule(data=(SPOKEN,), purpose=("train",), basis=Basis.CONSENT, asks=("account", "person"), max_age_us=9),
        Rule(data=("content",), purpose=("feature",), basis=Basis.CONSENT, asks=("account",), refusable_by=("person",)),
    ),
)


NAMESAKES = {"person:ada": "person:bob", "person:bob": "person:ada"}
_NO = {"answer": "no", "covers": None, "data": ["content"], "purpose": ["train"]}


def entries(answers, accepted=("acme", "other")):
    """Make a ledger: the terms, accepted by two accounts, then (instant, party, word) answers."""
    drafts = [(1, "terms", {"terms": TERMS.to_json(), "binds": us_to_text(1)})]
    drafts += [(1, "acceptance", {"account": account, "terms": "v"}) for account in accepted]
    for at, party, word in sorted(answers):
        if word == "erase":
            drafts.append((at, "erasure", {"party": party}))
        elif word in {"limit", "lift"}:  # a party is an account, or a person in a group of acme's
            kind, _, name = party.partition(":")
            body = {"account": name, "group": "", "people": []}
            if kind == "person":
                body = {"account": "acme", "group": "g", "people": [party]}
            drafts.append(
                (at, "limit", {**body, "limited": word == "limit", "data": ["content"], "purpose": ["train"]})
            )
        else:
            if word == "copied no" and party in NAMESAKES:
                drafts.append((at, "decision", {**_NO, "party": party, "namesake": NAMESAKES[party]}))
                continue
            covers = "past" if word.startswith("past") else None
            body = {"party": party, "answer": "no" if word.endswith("no") else "yes", "covers": covers}
            if word.endswith(" for now"):
                body["until"] = us_to_text(ENDS)
            if word.startswith("earlier"):
                body["claim"] = {"said": us_to_text(at // 2), "by": "operator", "source": "crm"}
            drafts.append((at, "decision", {**body, "data": ["content"], "purpose": ["train"]}))
    return [Entry(seq=number, at_us=at, kind=kind, body=body) for number, (at, kind, body) in enumerate(drafts)]


PARTIES = ["account:acme", "account:other", "person:ada", "person:bob"]
PEOPLE = [("person:ada",), ("person:ada", "person:bob"), ("person:bob", "person:ada"), (UNKNOWN_PERSON, "person:ada")]
ACCOUNTS = ["acme", "other", "nobody"]
CIRCLES = list(product(ACCOUNTS, PEOPLE))
NUMBERED = sorted({person for people in PEOPLE for person in people})


def party_sets_of(pairs):
    """Return party sets (account, people) as the table by which the lake knows them."""
    sizes = [len(people) for _, people in pairs]
    return PartySets(
        accounts=ACCOUNTS,
        people=NUMBERED,
        account=np.array([ACCOUNTS.index(account) for account, _ in pairs], np.int32),
        offsets=np.array([0, *accumulate(sizes)], np.int64),
        members=np.array([NUMBERED.index(person) for _, people in pairs for person in people], np.int32),
    )


EARLIER = ["earlier yes", "earlier yes for now", "earlier no"]  # said at half the instant at which it is recorded
answers = st.tuples(
    st.integers(2, ASKED),
    st.sampled_from(PARTIES),
    st.sampled_from(
        ["yes", "yes", "yes for now", "past", "past for now", "no", "copied no", "erase", "limit", "lift", *EARLIER]
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@given(
    st.lists(answers, max_size=10),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, ASKED)), max_size=60),
    st.sampled_from([CATEGORY, SPOKEN]),
)
def test_a_table_passes_exactly_the_rows_that_decide_permits(tmp_path_factory, engine, answers, rows, category):
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
    effective_permits = fold(permits, party_sets_of(CIRCLES), category)

    kept = [
        identity
        for batch in engine.permitted([str(path)], effective_permits)
        for identity in batch["record_id"].to_pylist()
    ]
    counts = engine.reasons([str(path)], effective_permits)

    verdicts = [
        decide(permits, Record(account=CIRCLES[c][0], people=CIRCLES[c][1], category=category, collected_us=t))
        for c, t in rows
    ]
    assert sorted(kept, key=int) == [str(n) for n, verdict in enumerate(verdicts) if verdict.permitted]
    reasons = [verdict.reason for verdict in verdicts]
    assert counts == {reason: reasons.count(reason) for reason in set(reasons)}


@given(
    st.lists(answers, max_size=10),
    st.sampled_from(CIRCLES),
    st.integers(0, ASKED),
    st.sampled_from([CATEGORY, SPOKEN]),
)
def test_explaining_gives_the_verdict_and_the_party_it_hangs_on(answers, party_set, collected, category):
    history = read_history(entries(answers))
    record = Record(account=party_set[0], people=party_set[1], category=category, collected_us=collected)
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


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("party_set", [0, 99, -1])
def test_a_circle_without_a_standing_passes_nothing(tmp_path, engine, party_set):
    path = tmp_path / "rows.parquet"
    schema = pa.schema([("record_id", pa.string()), ("circle", pa.int32()), ("collected_us", pa.int64())])
    pq.write_table(pa.table({"record_id": ["r"], "circle": [party_set], "collected_us": [15]}, schema=schema), path)
    told = [(2, party, "yes") for party in PARTIES]
    effective_permits = fold(
        Permits(read_history(entries(told)), purpose=PURPOSE, at_us=ASKED), party_sets_of(CIRCLES[:1]), CATEGORY
    )

    kept = sum(batch.num_rows for batch in engine.permitted([str(path)], effective_permits))

    assert kept == (1 if party_set == 0 else 0)
    assert engine.reasons([str(path)], effective_permits) == {None if party_set == 0 else Reason.UNKNOWN_PARTY: 1}


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


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_source_must_be_an_identity(tmp_path, engine):
    path = tmp_path / "rows.parquet"
    pq.write_table(rows_of([(0, 15, "ab", b"")]), path)
    effective_permits = fold(
        Permits(read_history(entries([])), purpose=PURPOSE, at_us=ASKED), party_sets_of(CIRCLES), CATEGORY
    )
    for source in ("x' OR 1=1 --", "", "AB"):
        with pytest.raises(InvalidInputError):
            permitted_sql(ASKED, source=source)
        with pytest.raises(InvalidInputError):
            list(engine.permitted([str(path)], effective_permits, source=source))
        with pytest.raises(InvalidInputError):
            engine.reasons([str(path)], effective_permits, source=source)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_broken_file_is_told_by_name(tmp_path, engine):
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 this is no parquet PAR1")
    effective_permits = fold(
        Permits(read_history(entries([])), purpose=PURPOSE, at_us=ASKED), party_sets_of(CIRCLES), CATEGORY
    )
    with pytest.raises(BackendError, match=r"broken\.parquet"):
        list(engine.permitted([str(path)], effective_permits))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_remedy_in_words(reason):
    of_account, of_person = remedy(reason, "account:acme", since_us=5), remedy(reason, "person:ada", since_us=5)
    assert of_account
    assert of_person
    if reason in {Reason.NOT_ASKED, Reason.SAID_NO, Reason.WITHDRAWN, Reason.EXPIRED, Reason.BEFORE_YES}:
        assert of_account == of_person.replace("This person", "The account's administrator") != of_person
    assert ("under AI settings" in of_person) is (
        reason in {Reason.NOT_ASKED, Reason.SAID_NO, Reason.WITHDRAWN, Reason.EXPIRED, Reason.LIMITED}
    )
    if reason is Reason.LIMITED:
        assert "; its administrator can" in of_account
        assert "; the account's administrator can" in of_person
    if reason is Reason.BEFORE_YES:
        assert "1970-01-01T00:00:00.000005Z" in of_person
        assert "the beginning" in remedy(reason, "person:ada", since_us=BEGINNING_US)


def test_a_verdict_and_its_explanation_are_written_as_json():
    told = [(2, "account:acme", "yes"), (3, "person:ada", "yes")]
    history = read_history(entries(told))
    record = Record(account="acme", people=("person:ada", "person:bob"), category=CATEGORY, collected_us=15)
    alone = Record(account="acme", people=("person:ada",), category=CATEGORY, collected_us=15)
    permits = Permits(history, purpose=PURPOSE, at_us=ASKED)
    assert decide(permits, alone).to_json() == {
        "permitted": True,
        "reason": None,
        "party": "person:ada",
        "since": "1970-01-01T00:00:00.000003Z",
        "remedy": "",
        "evidence": [0, 3, 4],
    }
    refusal = decide(permits, record)
    assert refusal.to_json() == {
        "permitted": False,
        "reason": "not-asked",
        "party": "person:bob",
        "since": None,
        "remedy": refusal.remedy,
        "evidence": [0],
    }
    lines = [line.to_json() for line in explain(history, record, purpose=PURPOSE, at_us=ASKED)]
    rule = {"data": ["content"], "purpose": ["train"], "region": [], "basis": "consent"}
    common = {"terms": "v", "rule": rule, "say": "asked"}
    assert lines == [
        {"party": "account:acme", "role": "account", "since": us_to_text(2), "reason": None, "remedy": "", **common},
        {"party": "person:ada", "role": "first", "since": us_to_text(3), "reason": None, "remedy": "", **common},
        {
            "party": "person:bob",
            "role": "other",
            "since": None,
            "reason": "not-asked",
            "remedy": refusal.remedy,
            **common,
        },
    ]
    [stranger, _] = explain(history, replace(alone, account="nobody"), purpose=PURPOSE, at_us=ASKED)
    assert (stranger.to_json()["terms"], stranger.to_json()["rule"]) == (None, None)
    assert [line.remedy for line in explain(history, alone, purpose=PURPOSE, at_us=ASKED)] == ["", ""]


def test_a_source_that_is_no_identity_is_told():
    with pytest.raises(InvalidInputError, match="no identity"):
        check_source("x' OR 1=1 --")
    assert check_source("00ff") == "00ff"


def test_a_record_is_not_kept_where_the_rule_of_somebodys_region_gives_the_refusing_account_a_say():
    """A US account has no say over its people; it has over a German employee's records, and over those beside them."""
    own, abroad = (
        Rule(data=("content",), purpose=("train",), basis=Basis.CONTRACT, refusable_by=("everyone",)),
        Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("account",), region=("EEA",)),
    )
    history = History()
    history.bindings.publish(replace(TERMS, rules=(own, abroad)), binds_us=1)
    history.bindings.accept("acme", "v", at_us=1)
    no = {"party": "account:acme", "answer": "no", "data": ["content"], "purpose": ["train"], "covers": None}
    for entry in (
        Entry(seq=0, at_us=2, kind="region", body={"party": "person:zoe", "region": "DE"}),
        Entry(seq=1, at_us=3, kind="decision", body=no),
    ):
        extend_history(history, entry)
    permits = [Permits(history, purpose=PURPOSE, at_us=ASKED)]
    of_ada = Record(account="acme", people=("person:ada",), category=CATEGORY, collected_us=15)
    assert keepable(permits, of_ada) is None
    assert keepable(permits, replace(of_ada, people=("person:ada", "person:zoe"))) is Reason.SAID_NO


# --- files as the lake writes them, and worse: every engine gives what the SQL gives in DuckDB ---

SOURCES = ["", "00", "5c", "ab"]
NO_PERMIT_US, BEGINNING_US = 2**62, -(2**62)

# Few values, so that statistics often tell something, and limits are often met exactly.
party_set_effective_permits = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([BEGINNING_US, BEGINNING_US, 0, 1, 2, NO_PERMIT_US]),
        st.sampled_from([BEGINNING_US, BEGINNING_US, 1]),
    ),
    min_size=1,
    max_size=5,
)
PLAIN = st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from(SOURCES), st.binary(max_size=2))
ODD = st.tuples(
    st.one_of(st.none(), st.integers(-2, 7)),
    st.one_of(st.none(), st.integers(0, 4)),
    st.one_of(st.none(), st.sampled_from(SOURCES)),
    st.binary(max_size=2),
)
odd_rows = st.one_of(st.lists(PLAIN, max_size=14), st.lists(st.one_of(PLAIN, PLAIN, PLAIN, ODD), max_size=14))


def rows_of(rows, account_of={}.get):
    return pa.table(
        {
            "record_id": [f"{number:032x}" for number in range(len(rows))],
            "account": pa.array([account_of(party_set) for party_set, _, _, _ in rows], pa.int32()),
            "circle": pa.array([party_set for party_set, _, _, _ in rows], pa.int32()),
            "collected_us": pa.array([at for _, at, _, _ in rows], pa.int64()),
            "source": pa.array([source for _, _, source, _ in rows], pa.string()),
            "payload": pa.array([payload for _, _, _, payload in rows], pa.binary()),
        }
    )


@pytest.mark.slow
@settings(deadline=None)
@given(
    party_set_effective_permits,
    odd_rows,
    st.integers(1, 4),
    st.integers(1, 2),
    st.sampled_from([None, None, "5c"]),
    st.data(),
)
def test_every_engine_gives_what_the_sql_gives_whatever_the_row_groups(  # noqa: PLR0917 - what files are made of
    tmp_path_factory, made, rows, group_rows, files, source, data
):
    """Sorted as the lake sorts, so that statistics tell much; in groups of any size; with embeddings of some."""
    account = sorted(number for number, _, _ in made)
    effective_permits = EffectivePermits(
        at_us=3,
        since_us=np.array([since for _, since, _ in made], np.int64),
        oldest_us=np.array([oldest for _, _, oldest in made], np.int64),
        reason=np.array([4 if since == NO_PERMIT_US else 0 for _, since, _ in made], np.int8),
        account=np.array(account, np.int32) if data.draw(st.booleans()) else None,
    )

    def account_of(party_set):
        return account[party_set] if party_set is not None and 0 <= party_set < len(account) else 0

    table = rows_of(rows, account_of).sort_by([(name, "ascending") for name in ("account", "circle", "collected_us")])
    folder = tmp_path_factory.mktemp("rows")
    paths = [str(folder / f"{number}.parquet") for number in range(files)]
    for number, path in enumerate(paths):
        part = table.take(pa.array([place for place in range(len(rows)) if place % files == number], pa.int64()))
        pq.write_table(part, path, row_group_size=group_rows)
    derived = []
    if data.draw(st.booleans()):
        some = table.select(["record_id", "account", "circle"]).take(pa.array(range(0, len(rows), 2), pa.int64()))
        derived = [str(folder / "embeddings.parquet")]
        pq.write_table(
            some.append_column("embedding", some["record_id"].cast(pa.binary())), derived[0], row_group_size=2
        )

    def judged(engine):
        batches = list(engine.permitted(paths, effective_permits, derived=derived, source=source))
        kept = sorted((row for batch in batches for row in batch.to_pylist()), key=lambda row: row["record_id"])
        return kept, engine.reasons(paths, effective_permits, source=source)

    expected = judged(DuckDBEngine())
    for name, engine in ENGINES.items():
        assert judged(engine) == expected, name
    if not derived:
        payloads = [
            payload
            for batch in ArrowEngine().permitted(paths, effective_permits, source=source, columns=["payload"])
            for payload in batch["payload"].to_pylist()
        ]
        assert Counter(payloads) == Counter(row["payload"] for row in expected[0])


def test_more_files_than_are_held_open_are_read_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow, "OPEN_FILES", 2)
    effective_permits = EffectivePermits(
        at_us=25,
        since_us=np.zeros(1, np.int64),
        oldest_us=np.zeros(1, np.int64),
        reason=np.zeros(1, np.int8),
    )
    paths = [str(tmp_path / f"{number}.parquet") for number in range(6)]
    for number, path in enumerate(paths):
        pq.write_table(rows_of([(0, number, "", b"x" * number)]), path)
    batches = ArrowEngine().permitted(paths, effective_permits)
    first = next(batches)
    for path in tmp_path.iterdir():
        path.unlink()
    assert [len(batch["payload"][0].as_py()) for batch in (first, *batches)] == list(range(6))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_what_statistics_foresee_is_what_the_rows_say(tmp_path, engine):
    """Every row group of two rows, of known and unknown party sets, early and late, under every standing of two party sets."""
    row = list(product([None, -1, 0, 1, 2], [None, 1, 2, 3]))
    rows = [(*one, of, b"") for pair in product(row, row) for one, of in zip(pair, ["5c", "00"], strict=True)]
    path = str(tmp_path / "rows.parquet")
    pq.write_table(rows_of(rows, lambda party_set: party_set if party_set in {0, 1} else 0), path, row_group_size=2)
    for since, source in product(product([BEGINNING_US, 2, NO_PERMIT_US], repeat=2), [None, "5c"]):
        effective_permits = EffectivePermits(
            at_us=2,
            since_us=np.array(since, np.int64),
            oldest_us=np.full(2, BEGINNING_US, np.int64),
            reason=np.zeros(2, np.int8),
            account=np.arange(2, dtype=np.int32),
        )
        expected = [
            f"{number:032x}"
            for number, (party_set, at, of, _) in enumerate(rows)
            if party_set in {0, 1} and at is not None and since[party_set] <= at <= 2 and source in {None, of}
        ]
        batches = engine.permitted([path], effective_permits, source=source)
        assert sorted(identity for batch in batches for identity in batch["record_id"].to_pylist()) == expected
