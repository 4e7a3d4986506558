"""A table of permits is whole, current, and forgotten by itself; a no is acknowledged once no reader is let through."""

# ruff: noqa: S608, PLC0415 - texts of this file's own, as queries; and packages that may be missing

import importlib.util
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from volition.canonical import now_us, us_to_datetime
from volition.consent.expiring import APART_US, LONGEST_US, OpenTable
from volition.consent.lease import Leases, Settling
from volition.consent.permit_tables.expression import STATE, TABLE, Column, Rows, Text, Unit, permitted_where
from volition.errors import InvalidInputError
from volition.transparency.access_log import Reader
from volition.workspace import Workspace

pytest.importorskip("sqlglot")

USE = {"data": ["content"], "purpose": ["train"]}
TARGETS = ["parquet", "duckdb", "sqlite", "delta", pytest.param("iceberg", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def catalogue(tmp_path, monkeypatch):
    monkeypatch.setenv("PYICEBERG_CATALOG__HERE__URI", f"sqlite:///{tmp_path}/catalog.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__HERE__WAREHOUSE", f"file://{tmp_path}/warehouse")


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "w", origin="log.example/tables") as made:
        for account in ("acme", "brill"):
            made.people.add_account(account, account.title())
            made.terms.accept(account, "granular")
            made.consent.decide(f"account:{account}", yes=True, covers="past", **USE)
        for person, account in (("ada", "acme"), ("bo", "acme"), ("zoe", "brill")):
            made.people.add_person(person, account=account, name=person.title())
            made.consent.decide(f"person:{person}", yes=True, covers="past", **USE)
        yield made


def target_in(folder, kind):
    if kind == "delta" and importlib.util.find_spec("deltalake") is None:
        pytest.skip("there is no deltalake here")
    if kind == "iceberg":
        pytest.importorskip("pyiceberg.catalog.sql")
        (folder / "warehouse").mkdir(exist_ok=True)
        return "iceberg:here.consent"
    return f"{kind}:{folder / {'sqlite': 'p.db', 'duckdb': 'p.duckdb'}.get(kind, 'p')}"


def read(target):
    """Return the lines that hold, as dictionaries, and the state."""
    kind, _, place = target.partition(":")
    if kind == "sqlite":
        with closing(sqlite3.connect(place)) as connection:
            connection.row_factory = sqlite3.Row
            lines, states = (
                [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in (TABLE, STATE)
            )
    elif kind == "duckdb":
        with duckdb.connect(place, read_only=True) as connection:
            lines, states = (connection.sql(f"FROM {name}").to_arrow_table().to_pylist() for name in (TABLE, STATE))
    elif kind == "iceberg":
        lines, states = (iceberg_table(name).scan().to_arrow().to_pylist() for name in (TABLE, STATE))
    elif kind == "parquet":
        lines, states = (pq.read_table(f"{place}/{name}").to_pylist() for name in (TABLE, STATE))
    else:
        import deltalake

        lines, states = (
            pa.table(deltalake.DeltaTable(f"{place}/{name}").to_pyarrow_table()).to_pylist() for name in (TABLE, STATE)
        )
    [state] = states
    return [line for line in lines if line["generation"] == state["generation"]], state


def iceberg_table(name):
    from pyiceberg.catalog import load_catalog
    from pyiceberg.utils.config import Config

    return load_catalog("here", **Config().get_catalog_config("here")).load_table(f"consent.{name}")


def names(target, part="first"):
    return {line["party"] for line in read(target)[0] if (line["part"], line["category"]) == (part, "content/chat")}


@pytest.mark.parametrize("kind", TARGETS)
def test_a_table_says_who_permits_what_and_until_when_it_may_be_read(workspace, tmp_path, kind):
    target = target_in(tmp_path, kind)
    state = workspace.permit_tables.export(target, purposes=["train/search"], ids=True, good_for_us=2_000_000)
    lines, written = read(target)
    assert written["as_of_entry"] == state.as_of_entry == workspace.ledger.size - 1
    assert now_us() < written["good_until_us"] + 60_000_000
    assert names(target) == {"ada", "bo", "zoe"}
    assert names(target, "account") == {"acme", "brill"}
    assert {line["purpose"] for line in lines} == {"train/search"}
    granted = {line["category"].partition("/")[0] for line in lines if line["part"] == "account"}
    assert granted == {"content"}, "to service data the accounts have said nothing"


@pytest.mark.parametrize("kind", TARGETS)
def test_what_is_said_later_is_in_the_table_at_the_next_refresh(workspace, tmp_path, kind):
    target = target_in(tmp_path, kind)
    kept = workspace.permit_tables.keep(target, purposes=["train/search"], ids=True)
    kept.bring_up_to_date()
    first = read(target)[1]["good_until_us"]
    assert not kept.is_due()
    with settling(workspace):
        workspace.consent.decide("person:ada", yes=False, **USE)
    assert kept.is_due()
    kept.bring_up_to_date()
    assert names(target) == {"bo", "zoe"}
    with settling(workspace):
        workspace.forgetting.erase("person:bo")
    kept.bring_up_to_date()
    kept.refresh()
    assert names(target) == {"zoe"}
    assert read(target)[1]["good_until_us"] > first
    kept.shut()
    assert read(target)[1]["good_until_us"] == 0
    kept.close()


@pytest.mark.slow
def test_older_versions_of_an_iceberg_table_go_with_their_files(workspace, tmp_path, monkeypatch):
    from volition.consent.permit_tables.targets import lakehouse

    monkeypatch.setattr(lakehouse, "_ICEBERG_KEPT_S", 0.0)
    monkeypatch.setattr(lakehouse, "_ICEBERG_TIDIED_EVERY", 2)
    kept = workspace.permit_tables.keep(target_in(tmp_path, "iceberg"), purposes=["train/search"], ids=True)
    kept.bring_up_to_date()
    with settling(workspace):
        workspace.forgetting.erase("person:ada")
    for _ in range(5):
        kept.bring_up_to_date()
        kept.shut()
    assert len(iceberg_table(STATE).metadata.snapshots) < 4
    files = {path for path in (tmp_path / "warehouse").rglob("*.parquet") if f"/{STATE}/" in str(path)}
    assert len(files) < 4
    assert names("iceberg:here.consent") == {"bo", "zoe"}
    with pytest.raises(InvalidInputError, match="the namespace"):
        workspace.permit_tables.export("iceberg:here")


def settling(workspace):
    """Have what is said in a block not be waited for, since the same thread keeps the table."""
    return Settling().collecting()


def test_people_go_by_their_pseudonyms_unless_ids_are_asked_for(workspace, tmp_path):
    target = target_in(tmp_path, "parquet")
    workspace.permit_tables.export(target, purposes=["train/search"], accounts=["acme"])
    assert names(target) == {workspace.parties.person(one).pseudonym for one in ("ada", "bo")}


def test_each_identity_of_a_merged_person_has_lines_and_a_guest_of_no_account_has_them_everywhere(workspace, tmp_path):
    workspace.people.add_person("gil", name="Gil")
    workspace.consent.decide("person:gil", yes=True, **USE)
    target = target_in(tmp_path, "parquet")
    workspace.permit_tables.export(target, purposes=["train/search"], ids=True)
    where = {(line["account"], line["party"]) for line in read(target)[0] if line["part"] == "other"}
    assert {("acme", "gil"), ("brill", "gil"), ("acme", "ada")} <= where
    assert ("brill", "ada") not in where


def test_what_a_killed_writer_left_aside_goes_once_nobody_can_be_writing_it(workspace, tmp_path):
    target = target_in(tmp_path, "parquet")
    workspace.permit_tables.export(target)
    left = {".old.parquet.part": 3600, "old.parquet": 3600, "early.parquet.part": 3600, ".new.parquet.part": 0}
    for name, age_s in left.items():
        path = tmp_path / "p" / TABLE / name
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age_s,) * 2)
    workspace.permit_tables.export(target)
    assert left.keys() & {path.name for path in (tmp_path / "p" / TABLE).iterdir()} == {".new.parquet.part"}
    assert names(target), "and whoever reads the folder passes over what is being written"


def test_it_is_written_down_who_had_the_table(tmp_path, workspace):
    workspace.close()
    with Workspace.open(tmp_path / "w", reader=Reader(who="olga", role="operator")) as opened:
        opened.permit_tables.export(target_in(tmp_path, "parquet"))
        assert [(line.who, line.reading) for line in opened.accesses.of("ada")] == [("olga", "permits")]


@pytest.mark.parametrize("good_for_us", [0, 999_999, LONGEST_US + 1])
def test_no_table_holds_for_longer_than_a_no_may_wait(workspace, tmp_path, good_for_us):
    with pytest.raises(InvalidInputError, match="--follow"):
        workspace.permit_tables.export(target_in(tmp_path, "parquet"), good_for_us=good_for_us)


@pytest.mark.parametrize("text", ["", "parquet", "parquet:", "oracle:x", "file:/x"])
def test_what_is_no_target_is_refused(workspace, text):
    with pytest.raises(InvalidInputError, match="parquet:FOLDER"):
        workspace.permit_tables.export(text)


def test_a_file_of_somebody_else_is_not_overwritten(workspace, tmp_path):
    with duckdb.connect(tmp_path / "p.duckdb") as connection:
        connection.execute("CREATE TABLE precious AS SELECT 1 AS one")
    with pytest.raises(InvalidInputError, match="something else"):
        workspace.permit_tables.export(target_in(tmp_path, "duckdb"))


def test_the_newest_permit_that_time_alone_ends_ends_the_state(workspace, tmp_path):
    until = now_us() + 3_000_000
    workspace.consent.decide("person:ada", yes=True, until=us_to_datetime(until), **USE)
    target = target_in(tmp_path, "parquet")
    state = workspace.permit_tables.export(target, purposes=["train/search"], good_for_us=LONGEST_US)
    assert state.good_until_us <= until + 1_000_000


# Until whom a no waits


class Times:
    """Two clocks, one that people set and one that nobody sets, which go on while somebody sleeps."""

    def __init__(self):
        self.us, self.ns, self.slept_s = 1_000_000_000, 5_000_000_000, 0.0
        self.meanwhile = lambda: None

    def now_ns(self):
        self.ns += 1
        return self.ns

    def sleep(self, seconds):
        self.us += round(seconds * 1e6)
        self.ns += round(seconds * 1e9)
        self.slept_s += seconds
        self.meanwhile()


@pytest.fixture
def times():
    return Times()


def opened(folder, times):
    return OpenTable(folder, clock=lambda: times.us, clock_ns=times.now_ns)


def leases(folder, times):
    return Leases(folder, clock=lambda: times.us, clock_ns=times.now_ns, sleep=times.sleep)


def test_a_no_waits_until_a_table_that_does_not_know_it_has_run_out_everywhere(tmp_path, times):
    table = opened(tmp_path, times)
    began_ns = table.extend(times.us + 3_000_000)
    table.confirm(7, began_ns)
    leases(tmp_path, times).wait(6)
    assert times.slept_s == 0
    leases(tmp_path, times).wait(7)
    assert 3 + APART_US / 1e6 <= times.slept_s < 3.1 + APART_US / 1e6


@pytest.mark.parametrize("is_known", [True, False])
def test_a_no_waits_no_longer_than_until_the_table_knows_it_or_was_shut(tmp_path, times, is_known):
    table = opened(tmp_path, times)
    began_ns = table.extend(times.us + 3_000_000)
    table.confirm(7, began_ns)
    times.meanwhile = (lambda: table.confirm(8, began_ns)) if is_known else table.shut
    leases(tmp_path, times).wait(7)
    assert 0 < times.slept_s < 0.1


def test_a_table_that_is_being_opened_is_waited_for_before_it_is_written(tmp_path, times):
    opened(tmp_path, times).extend(times.us + 3_000_000)
    leases(tmp_path, times).wait(7)
    assert times.slept_s > 3


def test_what_was_said_before_it_was_read_is_known_whatever_its_number(tmp_path, times):
    table = opened(tmp_path, times)
    times.meanwhile = lambda: table.confirm(7, table.extend(times.us + 3_000_000))
    table.extend(times.us + 3_000_000)
    leases(tmp_path, times).wait()
    assert 0 < times.slept_s < 0.1


@pytest.mark.parametrize(("set_us", "set_ns"), [(-3_600_000_000, 0), (3_600_000_000, 0), (0, -4_000_000_000)])
def test_a_clock_that_was_set_makes_no_one_wait_for_longer_nor_less(tmp_path, times, set_us, set_ns):
    table = opened(tmp_path, times)
    table.confirm(7, table.extend(times.us + 3_000_000))
    times.us, times.ns = times.us + set_us, times.ns + set_ns
    leases(tmp_path, times).wait(7)
    assert 3 < times.slept_s <= (LONGEST_US + APART_US) / 1e6


def test_a_file_that_says_nothing_is_taken_for_a_table_that_knows_nothing(tmp_path, times):
    times.us = now_us()
    (tmp_path / "table-0").write_text("half a line")
    leases(tmp_path, times).wait(7)
    assert times.slept_s > LONGEST_US / 1e6 - 5


def test_what_ran_out_is_cleared_away_by_whoever_opens_the_next(tmp_path, times):
    opened(tmp_path, times).extend(times.us + 1_000_000)
    opened(tmp_path, times)
    assert len([*tmp_path.iterdir()]) == 1
    times.sleep(3)
    opened(tmp_path, times)
    assert [*tmp_path.iterdir()] == []


# A process that keeps a table


FOLLOW = """
import sys, threading
from pathlib import Path
from volition.workspace import Workspace
with Workspace.open(Path(sys.argv[1])) as workspace:
    kept = workspace.permit_tables.keep(sys.argv[2], purposes=["train/search"], ids=True, good_for_us=4_000_000)
    kept.follow(is_stopping=lambda: False, opened=lambda: print("open", flush=True))
"""
WHERE = {
    dialect: permitted_where(
        Rows(table="m", account=Text("acme"), people=[Column("who")], category=Text("content/chat"), at=Column("at"), unit=Unit.SECONDS),
        purpose="train/search", dialect=dialect,
    )
    for dialect in ("sqlite", "duckdb")
}  # fmt: skip


@pytest.fixture(params=["sqlite", "parquet"])
def followed(request, workspace, tmp_path):
    target = target_in(tmp_path, request.param)
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOW, workspace.folder, target], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "open\n"
        yield target, process
        process.kill()


def let_through(target):
    """Return whose rows the expression lets through in the table as it lies there."""
    kind, _, place = target.partition(":")
    if kind == "sqlite":
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("CREATE TEMP TABLE m AS SELECT 'ada' AS who, 1 AS at UNION ALL SELECT 'bo', 1")
            return {who for (who,) in connection.execute(f"SELECT who FROM m WHERE {WHERE['sqlite']}")}
    with duckdb.connect() as connection:
        for name in (TABLE, STATE):
            connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{place}/{name}/*.parquet')")
        connection.execute("CREATE TABLE m AS SELECT 'ada' AS who, 1 AS at UNION ALL SELECT 'bo', 1")
        return {who for (who,) in connection.execute(f"SELECT who FROM m WHERE {WHERE['duckdb']}").fetchall()}


@pytest.mark.slow
def test_once_a_no_is_acknowledged_no_reader_is_let_through_by_older_knowledge(workspace, followed):
    target, process = followed
    assert let_through(target) == {"ada", "bo"}
    for _ in range(3):
        workspace.consent.decide("person:ada", yes=False, **USE)
        assert "ada" not in let_through(target)
        workspace.consent.decide("person:ada", yes=True, covers="past", **USE)
    process.kill()  # nobody keeps it any more, and nobody says so
    process.wait()
    workspace.consent.decide("person:bo", yes=False, **USE)
    assert "bo" not in let_through(target)
    assert let_through(target) == set()
