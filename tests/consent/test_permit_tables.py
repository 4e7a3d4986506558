"""Permits as a table: SQL over it lets no row through that the gate refuses, and the same rows where that is promised."""

# ruff: noqa: PLC0415 - texts of this file's own, as queries; and packages that may be missing

import importlib.util
import time
from functools import cache
from itertools import product

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreign import DatabaseRows, DuckDBRows, SparkRows, postgres_programs, postgres_server, sqlite_rows
from volition.canonical import us_to_text
from volition.consent.gate import Record, decide
from volition.consent.history import read_history
from volition.consent.permit_tables.expression import STATE, TABLE, Column, Rows, Unit, permitted_where
from volition.consent.permit_tables.lines import Listed, lines_of
from volition.consent.permit_tables.state import State
from volition.consent.permits import Permits
from volition.consent.references import ConversationRef, PartyRef
from volition.consent.terms.model import Basis, Rule, Terms
from volition.ledger.entry import Entry

pytest.importorskip("sqlglot")

STEP_US = 60_000_000  # a minute, so that what the clock does during a test changes nothing
NOW = 20  # the step of the present instant; the last entry is a step before it
PURPOSE = "train/search"
CHAT, SPOKEN = "content/chat", "content/transcript"  # the second one's rule asks whoever spoke, and not everyone
USAGE = "service/usage"  # whoever is concerned may refuse
ACCOUNTS = ("acme", "other")
PEOPLE = {"ada": "acme", "bob": "acme", "cy": "acme", "zoe": "other"}

TERMS = Terms(
    id="v",
    title="v",
    effective_us=0,
    acceptance="continued-use",
    text="prose",
    rules=(
        Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "everyone")),
        Rule(
            data=(SPOKEN,), purpose=("train",), basis=Basis.CONSENT, asks=("account", "person"),
            max_age_us=9 * STEP_US + STEP_US // 2,
        ),
        Rule(data=("service",), purpose=("train",), basis=Basis.CONSENT, asks=("account",), refusable_by=("everyone",)),
        Rule(data=("service",), purpose=("train",), region=("DE",), basis=Basis.CONSENT, asks=("account", "everyone")),
    ),
)  # fmt: skip

PARTIES = [*(f"account:{one}" for one in ACCOUNTS), *(f"person:{one}" for one in PEOPLE)]
WORDS = [
    "yes",
    "yes",
    "yes",
    "past",
    "past",
    "no",
    "copied no",
    "erase",
    "limit",
    "lift",
    "leave out",
    "take in",
    "DE",
    "US",
]
said = st.lists(st.tuples(st.integers(2, NOW - 1), st.sampled_from(PARTIES), st.sampled_from(WORDS)), max_size=14)
names = st.sampled_from([*PEOPLE, "nobody"])
asked_rows = st.lists(
    st.tuples(
        st.sampled_from([*ACCOUNTS, "elsewhere"]), st.lists(names, min_size=1, max_size=3, unique=True),
        st.sampled_from([CHAT, SPOKEN, USAGE]), st.integers(0, NOW + 1),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


def world(answers, start_us):
    """Return a history: the terms, accepted by both accounts, then what parties said at steps."""
    drafts = [(1, "terms", {"terms": TERMS.to_json(), "binds": us_to_text(start_us + STEP_US)})]
    drafts += [(1, "acceptance", {"account": account, "terms": "v"}) for account in ACCOUNTS]
    for step, party, word in sorted(answers):
        if word == "erase":
            drafts.append((step, "erasure", {"party": party}))
        elif word in {"DE", "US"}:
            drafts.append((step, "region", {"party": party, "region": word}))
        elif word in {"limit", "lift"}:
            drafts.append((step, "limit", limit(party, limited=word == "limit")))
        elif word in {"leave out", "take in"}:
            body = {"account": "acme", "conversation": "kickoff", "party": party, "purpose": ["train"]}
            drafts.append((step, "exclusion", {**body, "excluded": word == "leave out"}))
        else:
            body = {"party": party, "answer": "no" if word.endswith("no") else "yes", "data": ["content", "service"]}
            body |= {"purpose": ["train"], "covers": "past" if word == "past" else None}
            if word == "copied no" and party in {"person:ada", "person:bob"}:
                body["namesake"] = "person:bob" if party == "person:ada" else "person:ada"
            drafts.append((step, "decision", body))
    return read_history(
        Entry(seq=seq, at_us=start_us + step * STEP_US, kind=kind, body=body)
        for seq, (step, kind, body) in enumerate(drafts)
    )


def limit(party, *, limited):
    kind, _, name = party.partition(":")
    whose = {"account": name, "group": "", "people": []}
    if kind == "person":
        whose = {"account": PEOPLE[name], "group": "g", "people": [party]}
    return {**whose, "limited": limited, "data": ["content"], "purpose": ["train"]}


def listed():
    return [Listed(account=account, name=name, party=PartyRef(f"person:{name}")) for name, account in PEOPLE.items()]


def tables(permits, *, good_for_us=3_600_000_000):
    lines = lines_of([permits], ACCOUNTS, listed(), generation="g")
    state = State(
        generation="g", origin="o", as_of_entry=0, as_of_us=permits.at_us, good_until_us=permits.at_us + good_for_us
    )
    return lines, state.to_arrow()


def put(engine, lines, state, rows, start_us):
    engine.put(TABLE, lines)
    engine.put(STATE, state)
    people = [people for _, people, _, _ in rows]
    engine.put(
        "rows",
        pa.table(
            {
                "id": pa.array(range(len(rows)), pa.int64()),
                "account": [account for account, _, _, _ in rows],
                "p1": [one[0] for one in people],
                "p2": pa.array([(*one, None, None)[1] for one in people], pa.string()),
                "p3": pa.array([(*one, None, None)[2] for one in people], pa.string()),
                "people": pa.array(people, pa.list_(pa.string())),
                "category": [category for _, _, category, _ in rows],
                "at_us": pa.array([start_us + step * STEP_US for _, _, _, step in rows], pa.int64()),
            }
        ),
    )


@cache
def condition(dialect, *, lists=False, in_conversations=True, **other):
    people = [Column("people")] if lists else [Column("p1"), Column("p2"), Column("p3")]
    rows = Rows(
        table="rows", account=Column("account"), people=people, lists_people=lists, category=Column("category"),
        at=Column("at_us"), unit=Unit.MICROSECONDS, in_conversations=in_conversations,
    )  # fmt: skip
    return permitted_where(rows, purpose=PURPOSE, dialect=dialect, **other)


def permitted_by_gate(permits, rows, start_us, conversation):
    """Return which rows the gate permits; whoever nobody knows is refused, as the gate's doors refuse them."""
    found = set()
    for number, (account, people, category, step) in enumerate(rows):
        if account in ACCOUNTS and set(people) <= PEOPLE.keys() and step <= NOW:
            record = Record(
                account=account, people=tuple(PartyRef(f"person:{one}") for one in people), category=category,
                collected_us=start_us + step * STEP_US, conversation=conversation,
            )  # fmt: skip
            if decide(permits, record).permitted:
                found.add(number)
    return found


def is_promised(history, account, people):
    """Return whether a table says all that the gate knows: people of the account, no namesakes, no regions of theirs."""
    parties = [f"person:{one}" for one in people]
    return (
        all(PEOPLE.get(one) == account for one in people)
        and not history.resembling(parties)
        and not history.located(parties)
    )


@pytest.fixture(scope="module")
def postgres():
    if importlib.util.find_spec("psycopg") is None or postgres_programs() is None:
        pytest.skip("there is no PostgreSQL here, or no psycopg")
    import psycopg

    with postgres_server() as url, psycopg.connect(url) as connection:
        yield DatabaseRows("postgres", connection, "%s")


@pytest.fixture(params=["duckdb", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)], scope="module")
def engine(request):
    match request.param:
        case "duckdb":
            return DuckDBRows()
        case "sqlite":
            return sqlite_rows()
        case _:
            return request.getfixturevalue("postgres")


@pytest.mark.slow
@given(answers=said, rows=asked_rows, in_conversations=st.booleans())
def test_no_row_comes_through_that_the_gate_refuses_and_none_is_missing_where_that_is_promised(
    engine, answers, rows, in_conversations
):
    check(engine, answers, rows, in_conversations=in_conversations, forms=[False, True])


def check(engine, answers, rows, *, in_conversations, forms):
    start_us = time.time_ns() // 1000 - NOW * STEP_US
    history = world(answers, start_us)
    permits = Permits(history, purpose=PURPOSE, at_us=start_us + NOW * STEP_US)
    put(engine, *tables(permits), rows, start_us)
    expected = permitted_by_gate(permits, rows, start_us, None if in_conversations else ConversationRef(""))
    promised = {number for number, (account, people, _, _) in enumerate(rows) if is_promised(history, account, people)}
    for lists in forms:
        found = engine.ids("rows", condition(engine.dialect, lists=lists, in_conversations=in_conversations))
        assert found <= expected
        assert found & promised == expected & promised


EVERYBODY = [(2, party, "past") for party in PARTIES]
MANY = [
    (account, people, category, step)
    for account, category, step in product(ACCOUNTS, [CHAT, SPOKEN, USAGE], [0, 5, 12, NOW, NOW + 1])
    for people in (["ada"], ["ada", "bob"], ["bob", "ada", "cy"], ["zoe"], ["cy", "zoe"])
]


ACCOUNT_ALONE = [(2, "account:acme", "past"), (4, "person:cy", "past")]


@pytest.mark.parametrize(
    "answers",
    [
        [],
        EVERYBODY,
        [*EVERYBODY, (7, "person:bob", "no")],
        [*EVERYBODY, (7, "person:bob", "no"), (9, "person:bob", "yes")],
        [*EVERYBODY, (7, "account:acme", "leave out")],
        [*EVERYBODY, (7, "person:cy", "leave out"), (9, "person:cy", "take in")],
        [*EVERYBODY, (7, "account:acme", "DE")],
        [*EVERYBODY, (7, "person:cy", "limit")],
        [*EVERYBODY, (7, "person:cy", "erase")],
        # somebody who may be the first person has refused, and is among the others
        [*EVERYBODY, (7, "person:ada", "no"), (7, "person:bob", "copied no"), (8, "person:bob", "yes")],
        # where somebody is in a region whose rule asks everyone, those beside them are asked, too
        [(2, "person:cy", "DE"), *ACCOUNT_ALONE],
        [(2, "person:cy", "DE"), *ACCOUNT_ALONE, (6, "person:bob", "yes"), (7, "person:ada", "yes")],
    ],
    ids=str,
)
def test_what_one_party_says_counts_in_the_rows_that_concern_it(engine, answers):
    check(engine, answers, MANY, in_conversations=True, forms=[False, True])


def test_where_one_region_is_known_from_the_beginning_nothing_is_missing(engine):
    start_us = time.time_ns() // 1000 - NOW * STEP_US
    history = world([(2, "person:cy", "DE"), *ACCOUNT_ALONE, (6, "person:bob", "yes")], start_us)
    permits = Permits(history, purpose=PURPOSE, at_us=start_us + NOW * STEP_US)
    rows = [("acme", people, USAGE, 12) for people in (["ada"], ["cy"], ["bob", "cy"], ["cy", "bob"], ["ada", "cy"])]
    put(engine, *tables(permits), rows, start_us)
    assert permitted_by_gate(permits, rows, start_us, None) == {0, 1, 2, 3}
    for lists in (False, True):
        assert engine.ids("rows", condition(engine.dialect, lists=lists)) == {0, 1, 2, 3}


def test_past_its_good_until_nothing_comes_through(engine):
    start_us = time.time_ns() // 1000 - NOW * STEP_US
    permits = Permits(world(EVERYBODY, start_us), purpose=PURPOSE, at_us=start_us + NOW * STEP_US)
    lines, state = tables(permits)
    put(engine, lines, state, MANY, start_us)
    assert engine.ids("rows", condition(engine.dialect))
    for good_until_us in (0, time.time_ns() // 1000):
        place = state.schema.get_field_index("good_until_us")
        column = pa.array([good_until_us], pa.int64())
        engine.put(STATE, state.set_column(place, state.schema.field(place), column))
        assert engine.ids("rows", condition(engine.dialect)) == set()
        assert engine.ids("rows", condition(engine.dialect, lists=True)) == set()


@pytest.mark.slow
@pytest.mark.xdist_group("spark")
@pytest.mark.parametrize(
    "more", [[(7, "person:bob", "no")], [(2, "person:cy", "DE")], [(7, "account:acme", "leave out")]], ids=str
)
def test_spark_lets_the_same_rows_through(spark, more):
    check(
        SparkRows(spark), [*ACCOUNT_ALONE, (5, "person:bob", "past"), *more], MANY, in_conversations=True, forms=[False]
    )
