"""The gate's SQL in other forms and dialects: a policy and a macro that run, hostile names, and what is refused."""

# ruff: noqa: S608, PLC0415 - texts of this file's own, as queries; and packages that may be missing

import importlib.util
import time
from dataclasses import replace

import duckdb
import pyarrow as pa
import pytest

from foreign import postgres_programs, postgres_server
from volition.consent.permit_tables.dialects import DIALECTS
from volition.consent.permit_tables.expression import STATE, TABLE, Column, Rows, Text, Unit, permitted_where
from volition.consent.permit_tables.forms import Form, written
from volition.consent.permit_tables.lines import NO_AGE_US, SCHEMA
from volition.consent.permit_tables.state import State
from volition.consent.permit_tables.targets.database import PostgresTables, SqliteTables
from volition.errors import BackendError, InvalidInputError

sqlglot = pytest.importorskip("sqlglot")
jinja2 = pytest.importorskip("jinja2")

PURPOSE = "train/search"
HOSTILE = [
    'a"b',
    "a`b",
    "a'b",
    "a]b",
    "x) OR (1=1",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "a\\b",
    "a;--b",
    "volition_at",
    "p0",
    "é 漢",
]
ROWS = Rows(
    table="messages",
    account=Column("org"),
    people=[Column("author"), Column("to")],
    category=Text("content/chat"),
    at=Column("sent"),
    unit=Unit.SECONDS,
)


def line(part, party, *, since_us=10_000_000, located=False):
    return {
        "generation": "g", "account": "acme", "part": part, "party": party, "purpose": PURPOSE,
        "category": "content/chat", "since_us": since_us, "beside_since_us": since_us, "max_age_us": NO_AGE_US,
        "located": located, "left_out": False,
    }  # fmt: skip


LINES = pa.Table.from_pylist(
    [line("account", "acme"), *(line(part, one) for part in ("first", "other") for one in ("ada", "bo", "o'neil"))],
    schema=SCHEMA,
)
FOR_AN_HOUR = State(
    generation="g", origin="o", as_of_entry=1, as_of_us=1, good_until_us=time.time_ns() // 1000 + 3_600_000_000
)
SENT = [
    ("ada", None, 20),
    ("ada", "bo", 20),
    ("ada", "cy", 20),
    ("cy", None, 20),
    ("bo", None, 5),
    ("o'neil", "ada", 10),
]
PERMITTED = {0, 1, 5}


def filled(connection, table, columns):
    """Fill a table of DuckDB with the rows, under any names."""
    account, author, to, sent = (column.replace('"', '""') for column in columns)
    name = table.replace('"', '""')
    connection.execute(
        f'CREATE TABLE "{name}" (id INTEGER, "{account}" TEXT, "{author}" TEXT, "{to}" TEXT, "{sent}" BIGINT)'
    )
    for number, (who, other, at) in enumerate(SENT):
        connection.execute(f'INSERT INTO "{name}" VALUES (?, ?, ?, ?, ?)', [number, "acme", who, other, at])


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        opened.register("lines", LINES)
        opened.register("state", FOR_AN_HOUR.to_arrow())
        opened.execute(f"CREATE TABLE {TABLE} AS FROM lines")
        opened.execute(f"CREATE TABLE {STATE} AS FROM state")
        yield opened


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_columns_and_tables_are_names_whatever_they_hold(connection, name):
    columns = [f"{name}1", name, f"{name}3", f"{name}4"]
    account, author, to, sent = map(Column, columns)
    rows = Rows(
        table=f"t{name}",
        account=account,
        people=[author, to],
        category=Text("content/chat"),
        at=sent,
        unit=Unit.SECONDS,
    )
    filled(connection, f"t{name}", columns)
    quoted = f"t{name}".replace('"', '""')
    where = permitted_where(rows, purpose=PURPOSE, dialect="duckdb")
    assert {one for (one,) in connection.execute(f'SELECT id FROM "{quoted}" WHERE {where}').fetchall()} == PERMITTED


@pytest.mark.parametrize("dialect", DIALECTS)
def test_names_are_names_in_every_dialect(dialect):
    rows = replace(ROWS, table="".join(HOSTILE), account=Column(HOSTILE[0]), people=[*map(Column, HOSTILE[1:3])])
    text = permitted_where(rows, purpose=PURPOSE, dialect=dialect)
    found = sqlglot.parse_one(f"SELECT 1 FROM x WHERE {text}", read=dialect)
    own = {one.name for one in found.find_all(sqlglot.exp.Column) if one.table == "".join(HOSTILE)}
    assert own == {*HOSTILE[:3], "sent"}


def test_texts_are_texts_whatever_they_hold(connection):
    filled(connection, "messages", ["org", "author", "to", "sent"])
    for text in HOSTILE:
        rows = Rows(
            table="messages", account=Text(text), people=[Column("author")], category=Text("content/chat"),
            at=Column("sent"), unit=Unit.SECONDS,
        )  # fmt: skip
        where = permitted_where(rows, purpose=PURPOSE, dialect="duckdb")
        assert connection.execute(f"SELECT id FROM messages WHERE {where}").fetchall() == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_can_read_what_is_written_for_it(dialect):
    rows = replace(ROWS, category=Column("c"), unit=Unit.TIMESTAMP)
    text = permitted_where(rows, purpose=PURPOSE, dialect=dialect, table="lake.consent.permits")
    again = sqlglot.parse_one(f"SELECT * FROM m WHERE {text}", read=dialect).sql(dialect, identify=True)
    assert again.endswith(text)


def test_in_one_long_transaction_of_duckdb_the_clock_goes_on(connection):
    filled(connection, "messages", ["org", "author", "to", "sent"])
    connection.execute(f"UPDATE {STATE} SET good_until_us = {time.time_ns() // 1000 + 400_000}")
    where = permitted_where(ROWS, purpose=PURPOSE, dialect="duckdb")
    connection.execute("BEGIN")
    assert connection.execute(f"SELECT id FROM messages WHERE {where}").fetchall()
    time.sleep(0.5)
    assert connection.execute(f"SELECT id FROM messages WHERE {where}").fetchall() == []


def test_a_dbt_macro_is_the_condition_for_whatever_the_rows_and_tables_are_called(connection):
    filled(connection, "messages", ["org", "author {{", "to", "sent"])
    rows = Rows(
        table="any", account=Column("org"), people=[Column("author {{"), Column("to")], category=Text("content/chat"),
        at=Column("sent"), unit=Unit.SECONDS,
    )  # fmt: skip
    macro = written("dbt", rows, purpose=PURPOSE, dialect="duckdb")
    for schema in (None, "consent"):
        named = [TABLE, STATE]
        if schema:
            connection.execute(f"CREATE SCHEMA {schema}")
            for name in named:
                connection.execute(f"CREATE TABLE {schema}.{name} AS FROM {name}; DROP TABLE {name}")
            named = [f"{schema}.{name}" for name in named]
        call = "select id from messages as m where {{ volition_permitted('m', permits, state) }}"
        query = jinja2.Environment(autoescape=False).from_string(macro + call).render(permits=named[0], state=named[1])
        assert {one for (one,) in connection.execute(query).fetchall()} == PERMITTED


def test_a_row_filter_has_a_parameter_for_each_column_that_it_is_set_on():
    text = written("row-filter", ROWS, purpose=PURPOSE, dialect="databricks", table="main.consent.volition_permits")
    function, alter, rest = text.split(";\n")
    assert rest == ""
    head, _, body = function.partition(" RETURNS BOOLEAN RETURN\n")
    assert head == (
        "CREATE OR REPLACE FUNCTION `volition_permitted`(volition_row_1 STRING, volition_row_2 STRING, "
        "volition_row_3 STRING, volition_row_4 BIGINT)"
    )
    assert alter == "ALTER TABLE `messages` SET ROW FILTER `volition_permitted` ON (`org`, `author`, `to`, `sent`)"
    found = sqlglot.parse_one(body, read="databricks")
    assert {one.name for one in found.find_all(sqlglot.exp.Column) if not one.table} == {
        f"volition_row_{place}" for place in range(1, 5)
    }
    assert "`main`.`consent`.`volition_permits`" in body


@pytest.mark.parametrize(
    ("form", "dialect", "rows", "other", "said"),
    [
        ("view", "duckdb", {}, {}, "no form"),
        ("policy", "duckdb", {}, {}, "--dialect postgres"),
        ("row-filter", "spark", {}, {}, "--dialect databricks"),
        ("where", "oracle", {}, {}, "no dialect"),
        ("where", "duckdb", {"people": []}, {}, "nobody could ask"),
        ("where", "duckdb", {"lists_people": True}, {}, "not both"),
        ("where", "snowflake", {"people": [Column("all")], "lists_people": True}, {}, "in snowflake"),
        ("where", "duckdb", {"category": Text("content")}, {}, "'content' is not a single"),
        ("where", "duckdb", {"table": "Volition_p1"}, {}, "another alias"),
        ("where", "duckdb", {"account": Column("")}, {}, "no name of a column"),
        ("where", "duckdb", {}, {"purpose": "train"}, "no purpose 'train'"),
        ("where", "postgres", {}, {"table": 'a"b'}, "no name of a table"),
    ],
)
def test_what_has_no_meaning_is_refused(form, dialect, rows, other, said):
    with pytest.raises(InvalidInputError, match=said):
        written(form, replace(ROWS, **rows), **{"purpose": PURPOSE, "dialect": dialect} | other)


def test_the_forms_are_named_as_the_command_names_them():
    assert [*Form] == ["where", "dbt", "policy", "row-filter"]


@pytest.fixture(scope="module")
def url():
    if importlib.util.find_spec("psycopg") is None or postgres_programs() is None:
        pytest.skip("there is no PostgreSQL here, or no psycopg")
    with postgres_server() as found:
        yield found


@pytest.mark.slow
def test_under_a_policy_a_role_reads_only_what_may_be_used(url):
    import psycopg

    target = PostgresTables(url)
    target.replace(LINES, FOR_AN_HOUR)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute('CREATE SCHEMA app; CREATE ROLE "the trainer\'s"; GRANT USAGE ON SCHEMA app TO PUBLIC')
        owner.execute('CREATE TABLE app.messages (id INT, org TEXT, author TEXT, "to" TEXT, sent BIGINT)')
        for number, (who, other, at) in enumerate(SENT):
            owner.execute("INSERT INTO app.messages VALUES (%s, 'acme', %s, %s, %s)", (number, who, other, at))
        owner.execute("GRANT SELECT ON app.messages TO PUBLIC")

        def as_trainer():
            with psycopg.connect(url, autocommit=True) as trainer:
                trainer.execute('SET ROLE "the trainer\'s"')
                return {one for (one,) in trainer.execute("SELECT id FROM app.messages").fetchall()}

        policy = written(
            "policy", replace(ROWS, table="app.messages"), purpose=PURPOSE, dialect="postgres", role="the trainer's"
        )
        for _ in range(2):  # it may be run again
            owner.execute(policy)
        assert as_trainer() == set(), "a restrictive policy alone lets nothing through"
        owner.execute("CREATE POLICY everyone ON app.messages USING (TRUE)")
        assert as_trainer() == PERMITTED
        target.renew(FOR_AN_HOUR.shut())
        assert as_trainer() == set()
    target.close()


@pytest.mark.slow
def test_in_postgresql_readers_see_one_state_of_the_table_or_the_other(url):
    import psycopg

    target = PostgresTables(url)
    target.replace(LINES, FOR_AN_HOUR)
    with psycopg.connect(url) as reader:
        before = reader.execute(f"SELECT count(*) FROM {TABLE}").fetchone()
        reader.execute("COMMIT")
        fewer = LINES.slice(0, 3)
        target.replace(fewer, FOR_AN_HOUR.shut())
        after = reader.execute(f"SELECT count(*), min(good_until_us) FROM {TABLE}, {STATE}").fetchone()
    assert (before, after) == ((len(LINES),), (3, 0))
    changed = LINES.slice(0, 3).set_column(
        6, SCHEMA.field("since_us"), pa.array([99, 10_000_000, 10_000_000], pa.int64())
    )
    target.replace(changed, FOR_AN_HOUR)
    with psycopg.connect(url) as reader:
        assert sorted(reader.execute(f"SELECT since_us FROM {TABLE}").fetchall()) == [
            (99,),
            (10_000_000,),
            (10_000_000,),
        ]
        target._connection.close()
        target.renew(FOR_AN_HOUR.shut())  # a connection that broke is made anew
        assert reader.execute(f"SELECT good_until_us FROM {STATE}").fetchone() == (0,)
    target.close()


def test_a_database_that_fails_leaves_the_table_as_it_was(tmp_path):
    target = SqliteTables(tmp_path / "p.db")
    target.replace(LINES, FOR_AN_HOUR)
    twice = pa.concat_tables([LINES, LINES])
    with pytest.raises(BackendError, match="runs out by itself"):
        target.replace(twice, FOR_AN_HOUR.shut())
    count, until = target._connection.execute(f"SELECT count(*), min(good_until_us) FROM {TABLE}, {STATE}").fetchone()
    assert (count, until) == (len(LINES), FOR_AN_HOUR.good_until_us)
    target.close()
    with pytest.raises(BackendError, match="could not be opened"):
        SqliteTables(tmp_path / "missing" / "p.db")


@pytest.mark.skipif(importlib.util.find_spec("psycopg") is None, reason="there is no psycopg here")
def test_nobody_at_the_other_end_is_an_error_in_one_line(tmp_path):
    with pytest.raises(BackendError, match="PostgreSQL did not take"):
        PostgresTables(f"postgresql://nobody@/postgres?host={tmp_path}")
