"""Spark gives the same rows, the same counts and the same snapshots as DuckDB: on one machine, and many buckets at once."""

import json
import re
import shutil
import stat
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_gate import ASKED, CATEGORY, PARTIES, PEOPLE, PURPOSE, entries

from simulator import START_US, Clock, HashEncoder, silent, world_in
from volition.canonical import us_to_datetime
from volition.cli.demo.samples import write_samples
from volition.consent.gate import EffectivePermits, PartySets, Record, decide, fold
from volition.consent.history import read_history
from volition.consent.permits import NO_PERMIT_US, Permits, Reason
from volition.consent.references import source_id
from volition.consent.terms.model import CATEGORIES
from volition.errors import BackendError, InvalidInputError
from volition.ledger.entry import NewEntry
from volition.records.engines.duckdb import DuckDBEngine
from volition.records.engines.spark import (
    Part,
    PartCollector,
    SparkEngine,
    check_installed,
    count_reasons,
    own_session,
    permitted_frame,
)
from volition.records.freeze import freeze
from volition.records.lake import Lake
from volition.workspace import ENGINES, Workspace


def on_spark(test):
    """Mark a test that runs on Spark: slow, and with all the others in one worker."""
    for mark in ON_SPARK:
        test = mark(test)
    return test


ON_SPARK = (pytest.mark.slow, pytest.mark.xdist_group("spark"))


def test_all_tests_of_spark_run_in_one_worker_and_not_among_the_quick_ones(request):
    users = [item for item in request.session.items if "spark" in getattr(item, "fixturenames", ())]
    assert all(item.get_closest_marker("slow") for item in users)
    assert {item.get_closest_marker("xdist_group").args for item in users} <= {("spark",)}


# --- what it needs ---


def java(folder, said):
    """Make a Java that does nothing but tell its version."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture
def pyspark(monkeypatch):
    """Let pyspark seem to be installed, whether or not it is."""
    monkeypatch.setattr("volition.errors.find_spec", lambda name: SimpleNamespace(name=name))


def test_a_missing_package_is_reported_with_what_installs_it(monkeypatch):
    monkeypatch.setattr("volition.errors.find_spec", lambda _: None)
    with pytest.raises(BackendError, match=r"pip install 'volition\[spark\]'"):
        SparkEngine()


@pytest.mark.parametrize("where", ["JAVA_HOME", "PATH"])
def test_a_missing_java_is_reported_with_what_installs_it(pyspark, monkeypatch, tmp_path, where):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv(where, str(tmp_path))
    with pytest.raises(BackendError, match=r"Java 17 or newer.*apt-get install openjdk-17-jre-headless") as caught:
        check_installed()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('openjdk version "11.0.2" 2019-01-15', "Java 11"),
        ('java version "1.8.0_381"', "Java 1"),
        ("Unable to locate a Java Runtime", "of an unknown version"),
    ],
)
def test_an_old_java_is_recognised(pyspark, monkeypatch, tmp_path, said, found):
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, said)))
    with pytest.raises(BackendError, match=f"is {found}: `apt-get install"):
        check_installed()


@pytest.mark.parametrize("said", ['openjdk version "17.0.15" 2025-04-15', 'openjdk version "25" 2025-09-16'])
def test_java_17_and_newer_will_do(pyspark, monkeypatch, tmp_path, said):
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, said)))
    check_installed()


def test_on_a_cluster_it_needs_a_folder_for_records_on_their_way():
    cluster = SimpleNamespace(sparkContext=SimpleNamespace(master="spark://head:7077"))
    with pytest.raises(InvalidInputError, match="scratch folder"):
        SparkEngine(cluster)


# --- the setting ---


def choose(folder, line):
    """Put another line in the place of the setting."""
    path = folder / "volition.toml"
    new, found = re.subn(r'^engine = "\w+"$', line, path.read_text(), flags=re.MULTILINE)
    assert found == 1
    path.write_text(new)


def test_a_workspace_without_the_setting_works_as_before(tmp_path):
    Workspace.create(tmp_path / "w").close()
    choose(tmp_path / "w", "")
    with Workspace.open(tmp_path / "w") as workspace:
        workspace.people.add_account("acme", "Acme")
        assert workspace.snapshots.create("train/recommend").keys == ()


@pytest.mark.parametrize("line", ['engine = "spork"', "engine = 3", 'engine = ["spark"]'])
def test_an_engine_that_does_not_exist_is_reported_with_those_that_do(tmp_path, line):
    Workspace.create(tmp_path / "w").close()
    choose(tmp_path / "w", line)
    with pytest.raises(InvalidInputError, match=r"volition\.toml:\d+: .*engine"):
        Workspace.open(tmp_path / "w")


def test_a_workspace_whose_engine_is_not_installed_says_so_and_is_left_as_it_was(tmp_path, monkeypatch):
    Workspace.create(tmp_path / "w").close()
    choose(tmp_path / "w", 'engine = "spark"')
    before = {path: path.read_bytes() for path in (tmp_path / "w").rglob("*") if path.is_file()}
    monkeypatch.setattr("volition.errors.find_spec", lambda _: None)
    with pytest.raises(BackendError, match="pip install"):
        Workspace.open(tmp_path / "w")
    assert {path: path.read_bytes() for path in (tmp_path / "w").rglob("*") if path.is_file()} == before


# --- a bucket at a time ---


def fill(world):
    """Put in the lake what several people of two accounts said and did, and let them disagree."""
    world.everyone_says("yes")
    records = [
        world.record(
            f"{account}{number}{category}",
            account=account,
            people=people,
            category=category,
            channel=("general", "random", "lunch")[number % 3],
        )
        for account in world.accounts
        for number, people in enumerate([("ada",), ("bo", "ada"), ("cy",), ("ada", "bo", "cy"), ("cy",)] * 3)
        for category in ("content/chat", "service/usage", "service/telemetry")[number % 2 :]
    ]
    world.lake.append(records)
    world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
    world.say("brill-ada", "no", purpose=("train",))
    for account, party, channel in (("acme", "acme", "random"), ("brill", "brill-bo", "lunch")):
        body = {
            "account": account,
            "conversation": world.parties.conversation_ref(account, source_id(account, channel)),
            "party": world.party(party),
        }
        world.ledger.append(NewEntry(kind="exclusion", body={**body, "purpose": ["train"], "excluded": True}))
    world.say("acme-cy", "no", data=("service",))
    world.say("acme-cy", "yes", covers=None, data=("service",))
    world.lake.append(
        [world.record(f"later {number}", people=("bo",), category="service/usage") for number in range(4)]
    )
    return records


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        fill(made)
        yield made


class Asked:
    """An engine that notes how it was asked, and lets DuckDB answer."""

    def __init__(self):
        self.questions = []
        self.duckdb = DuckDBEngine()

    def permitted(self, files, effective_permits, **how):
        self.questions.append((list(files), effective_permits, how))
        return self.duckdb.permitted(files, effective_permits, **how)

    def reasons(self, files, effective_permits, **how):
        return self.duckdb.reasons(files, effective_permits, **how)


def questions(world, **which):
    """Return what the lake asks its engine when somebody reads rows."""
    asked = Asked()
    lake = Lake(world.folder / "lake", world.parties, asked)
    list(lake.rows(world.permits(), categories=CATEGORIES, **which))
    lake.close()
    return asked.questions


def rows_of(batches):
    table = pa.Table.from_batches(batches)
    return table.sort_by("record_id").to_pylist(), table.schema


@on_spark
def test_a_bucket_gives_the_rows_the_types_and_the_reasons_that_duckdb_gives(spark, world, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    engine = SparkEngine(spark, scratch=scratch)
    asked = questions(world)
    source = world.record("x").source
    asked += questions(world, source=source)
    assert any(how["derived"] for _, _, how in asked)
    some = 0
    for files, effective_permits, how in asked:
        expected = list(DuckDBEngine().permitted(files, effective_permits, **how))
        found = list(engine.permitted(files, effective_permits, **how))
        assert sum(batch.num_rows for batch in found) == sum(batch.num_rows for batch in expected)
        if expected:
            assert rows_of(found) == rows_of(expected)
            some += 1
        del how["derived"]
        assert engine.reasons(files, effective_permits, **how) == DuckDBEngine().reasons(
            files, effective_permits, **how
        )
    assert some > 4
    assert list(scratch.iterdir()) == []


@on_spark
def test_nothing_asked_is_nothing_answered(spark):
    nobody = effective_permits_of([])
    assert list(SparkEngine(spark).permitted([], nobody)) == []
    assert SparkEngine(spark).reasons([], nobody) == {}


def effective_permits_of(since, *, at_us=100):
    none = np.zeros(len(since), np.int64)
    return EffectivePermits(
        at_us=at_us, since_us=np.array(since, np.int64), oldest_us=none, reason=none.astype(np.int8)
    )


def write_rows(path, party_sets, **more):
    columns = {
        "record_id": [f"{path.stem}{number}" for number in range(len(party_sets))],
        "circle": pa.array(party_sets, pa.int32()),
        "collected_us": pa.array([50] * len(party_sets), pa.int64()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns | more), path)
    return str(path)


@on_spark
def test_any_name_of_a_folder_or_file_will_do(spark, tmp_path):
    folder = tmp_path / r"a [1] {b,c} %20 x#y?*\z" / "day=2025-06-02" / "é"
    file = write_rows(folder / "00+1.parquet", [0, 1, 7])
    write_rows(folder / "00+2.parquet", [0, 0])
    engine = SparkEngine(spark, scratch=folder)
    [batch] = engine.permitted([file], effective_permits_of([0, 60]))
    assert batch.to_pydict() == {"record_id": ["00+10"], "circle": [0], "collected_us": [50]}
    assert engine.reasons([file], effective_permits_of([0, 60])) == {
        None: 1,
        Reason.BEFORE_YES: 1,
        Reason.UNKNOWN_PARTY: 1,
    }


@on_spark
def test_a_file_that_is_missing_or_broken_is_reported_by_name_in_few_words(spark, tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 this is no parquet PAR1")
    for name in ("broken.parquet", "missing.parquet"):
        for ask in (
            lambda file: list(SparkEngine(spark).permitted([file], effective_permits_of([0]))),
            lambda file: SparkEngine(spark).reasons([file], effective_permits_of([0])),
        ):
            with pytest.raises(BackendError, match=f"Spark could not read the lake's files .*{name}") as caught:
                ask(str(tmp_path / name))
            assert len(str(caught.value).splitlines()) == 1


@on_spark
def test_threads_that_ask_at_once_get_each_their_own_answer(spark, tmp_path):
    engine = SparkEngine()  # which finds the session that there is, in whatever thread
    found = {}

    def ask(number):
        file = write_rows(tmp_path / f"{number}.parquet", [0] * number)
        found[number] = sum(batch.num_rows for batch in engine.permitted([file], effective_permits_of([0])))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: number for number in range(1, 7)}
    assert own_session().sparkContext is spark.sparkContext


@on_spark
def test_views_of_the_session_s_owner_are_neither_used_nor_lost(spark, tmp_path):
    spark.range(3).createOrReplaceTempView("records")
    file = write_rows(tmp_path / "a.parquet", [0])
    assert sum(batch.num_rows for batch in SparkEngine(spark).permitted([file], effective_permits_of([0]))) == 1
    assert spark.table("records").count() == 3


# --- every short history ---

INSTANTS = (5, 12)
TIMES = (4, 5, 6, 10, 11, 12, 13, ASKED)  # about the instants, and about where retention runs out
ANSWERS = [(at, party, word) for at in INSTANTS for party in PARTIES for word in ("yes", "past", "no", "erase")]
HISTORIES = [history for length in range(3) for history in combinations(ANSWERS, length)]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Every history of up to two answers, for every party set and time: as one table of rows, and as `decide` has it."""
    names = [(account, people) for account in ("acme", "other", "nobody") for people in PEOPLE]
    everybody = sorted({person for people in PEOPLE for person in people})
    members = [[everybody.index(person) for person in people] for _, people in names]
    party_sets = PartySets(
        accounts=("acme", "other", "nobody"),
        people=everybody,
        account=np.repeat(np.arange(3, dtype=np.int32), len(PEOPLE)),
        offsets=np.cumsum([0, *map(len, members)], dtype=np.int64),
        members=np.array([number for one in members for number in one], np.int32),
    )
    folded, verdicts, reasons = [], [], Counter()
    for history in HISTORIES:
        permits = Permits(read_history(entries(history)), purpose=PURPOSE, at_us=ASKED)
        folded.append(fold(permits, party_sets, CATEGORY))
        for account, people in names:
            for at in TIMES:
                asked = Record(account=account, people=people, category=CATEGORY, collected_us=at)
                verdicts.append(decide(permits, asked))
    reasons.update(verdict.reason for verdict in verdicts)
    effective_permits = EffectivePermits(
        at_us=ASKED,
        **{
            name: np.concatenate([getattr(one, name) for one in folded]) for name in ("since_us", "oldest_us", "reason")
        },
    )
    rows = pa.table(
        {
            "record_id": [str(number) for number in range(len(verdicts))],
            "circle": pa.array(np.repeat(np.arange(len(HISTORIES) * len(names)), len(TIMES)), pa.int32()),
            "collected_us": pa.array(TIMES * (len(HISTORIES) * len(names)), pa.int64()),
        }
    )
    path = tmp_path_factory.mktemp("judged") / "rows.parquet"
    pq.write_table(rows, path)
    return str(path), effective_permits, {str(n) for n, verdict in enumerate(verdicts) if verdict.permitted}, reasons


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["duckdb", pytest.param("spark", marks=ON_SPARK)])
def test_after_every_short_history_exactly_what_decide_permits_passes(judged, request, engine):
    chosen = DuckDBEngine() if engine == "duckdb" else SparkEngine(request.getfixturevalue("spark"))
    path, effective_permits, permitted, reasons = judged
    kept = [name for batch in chosen.permitted([path], effective_permits) for name in batch["record_id"].to_pylist()]
    assert len(kept) == len(set(kept))
    assert set(kept) == permitted
    assert chosen.reasons([path], effective_permits) == reasons
    assert len(reasons) >= 7, "most of the vocabulary comes up"


# --- many buckets, one job ---


def parts_of(world, categories=CATEGORIES):
    found = []
    for category in categories:
        gathering = PartCollector(category)
        lake = Lake(world.folder / "lake", world.parties, gathering)
        assert list(lake.rows(world.permits(at_us=world.clock.now_us), categories=[category])) == []
        lake.close()
        found += gathering.parts
    return found


def collected(frame):
    columns = frame.columns
    return sorted((tuple(zip(columns, row, strict=True)) for row in frame.collect()), key=str)


def judged_by_duckdb(parts):
    """Return what `permitted_frame` should: every part's rows, by DuckDB, with its number."""
    found = [
        {**row, "category": part.category, "part": number}
        for number, part in enumerate(parts)
        for batch in DuckDBEngine().permitted(part.files, part.effective_permits)
        for row in batch.to_pylist()
    ]
    return sorted((tuple(row.items()) for row in found), key=str)


@on_spark
@pytest.mark.parametrize(("broadcast", "staged"), [(None, False), (False, False), (False, True)])
def test_one_job_over_all_buckets_gives_what_duckdb_gives_for_each(spark, world, tmp_path, broadcast, staged):
    parts = parts_of(world)
    assert len({part.category for part in parts}) == 3
    assert len(parts) == 6, "two accounts, in two buckets"
    stage = (tmp_path / "stage").as_uri() if staged else None
    frame = permitted_frame(spark, parts, stage=stage, broadcast=broadcast)
    assert ("ShuffledHashJoin" in frame._jdf.queryExecution().toString()) == (broadcast is False)
    assert frame.columns[-2:] == ["category", "part"]
    assert collected(frame) == judged_by_duckdb(parts)
    counts = Counter()
    for part in parts:
        counts.update(DuckDBEngine().reasons(part.files, part.effective_permits))
    stage = (tmp_path / "other").as_uri() if staged else None
    assert count_reasons(spark, parts, stage=stage, broadcast=broadcast) == counts
    assert {Reason.WITHDRAWN, Reason.BEFORE_YES, Reason.EXCLUDED, None} <= counts.keys()


@on_spark
def test_circles_of_different_parts_are_not_mixed_up(spark, tmp_path):
    """The same dense id stands for somebody else in every part, up to the largest of them."""
    files = [write_rows(tmp_path / f"{name}.parquet", [0, 1, 2, 2**31 - 1]) for name in "abc"]
    since = [[0, NO_PERMIT_US, 0], [NO_PERMIT_US, 0, NO_PERMIT_US], [0]]
    parts = [
        Part(category="service/usage", files=[file], effective_permits=effective_permits_of(dates))
        for file, dates in zip(files, since, strict=True)
    ]
    found = sorted((row["part"], row["circle"], row["record_id"]) for row in permitted_frame(spark, parts).collect())
    assert found == [(0, 0, "a0"), (0, 2, "a2"), (1, 1, "b1"), (2, 0, "c0")]


@on_spark
def test_parts_of_one_job_are_asked_about_one_instant(spark, tmp_path):
    file = write_rows(tmp_path / "a.parquet", [0])
    parts = [
        Part(category="c", files=[file], effective_permits=effective_permits_of([0], at_us=at)) for at in (100, 101)
    ]
    for wrong in (parts, []):
        with pytest.raises(InvalidInputError, match="one instant"):
            permitted_frame(spark, wrong)
        with pytest.raises(InvalidInputError, match="one instant"):
            count_reasons(spark, wrong)


# --- a workspace on Spark ---


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Two of the sample accounts, in which most say yes, and a clock that stands still after them."""
    folder = tmp_path_factory.mktemp("samples")
    start = datetime(2025, 6, 2, tzinfo=UTC)
    written = write_samples(folder / "exports", start=start)
    clock = Clock(START_US)
    clock.now_us = int((start + timedelta(days=70)).timestamp()) * 1_000_000
    with Workspace.create(folder / "workspace", origin="log.example/samples", clock=clock) as workspace:
        for account in written.accounts[:2]:
            workspace.people.add_account(account.id, account.name)
            for person in account.people:
                aliases = [*person.aliases, person.slack_id]
                workspace.people.add_person(person.id, account=account.id, name=person.name, aliases=aliases)
            workspace.terms.accept(account.id)
            for meeting in account.meetings[:3]:
                started = us_to_datetime(meeting.start_us)
                workspace.records.collect_webvtt(
                    meeting.path, account=account.id, started=started, meeting=meeting.name
                )
            workspace.records.collect_slack(account.slack, account=account.id)
            usage = folder / f"{account.id}.jsonl"
            usage.write_bytes(b"".join(account.usage.read_bytes().splitlines(keepends=True)[:20]))
            workspace.records.collect_otlp(usage)
            uses = {"data": ["content", "service"], "purpose": ["train"]}
            workspace.consent.decide(f"account:{account.id}", yes=True, covers="past", **uses)
            for number, person in enumerate(workspace.parties.people(account.id)):
                agrees = account is written.accounts[0] or number != 3
                covers = "past" if account is written.accounts[0] or number % 2 else "2025-07-01T00:00:00Z"
                workspace.consent.decide(f"person:{person.id}", yes=agrees, covers=covers if agrees else None, **uses)
    return folder / "workspace", clock.now_us


def opened(folder, now_us, engine):
    """Open a workspace with an engine, and an encoder that is quick."""
    choose(folder, f'engine = "{engine}"')
    workspace = Workspace.open(folder, clock=Clock(now_us))
    workspace._opened._encoder = HashEncoder()
    return workspace


@on_spark
def test_snapshots_of_the_samples_are_the_same_to_the_last_byte(spark, samples, tmp_path):
    folder, now_us = samples
    frozen = {}
    # Each from a copy of its own: a manifest quotes the ledger, and no two ledgers grow alike.
    for engine, purpose in product(ENGINES, ("train/search", "train/recommend", "train/summary")):
        copy = tmp_path / f"{engine}-{purpose.rpartition('/')[2]}"
        with opened(shutil.copytree(folder, copy), now_us, engine) as workspace:
            assert isinstance(workspace._opened.lake._reader._engine, SparkEngine) == (engine == "spark")
            snapshot = workspace.snapshots.create(purpose)
            files = {path.name: path.read_bytes() for path in snapshot.folder.iterdir()}
            frozen.setdefault(purpose, []).append((snapshot.id, files))
    for found in frozen.values():
        assert len(found) == len(ENGINES)
        assert all(one == found[0] for one in found)
    told = json.loads(frozen["train/search"][0][1]["manifest.json"])["rows"]
    assert all(counts["kept"] and counts["dropped"] for counts in told.values()), told
    assert set(told) == {"content/chat", "content/transcript", "service/usage"}


@on_spark
def test_a_world_s_snapshot_is_the_same_to_the_last_byte(spark, world, tmp_path):
    permits, note = world.permits(), world.ledger.checkpoint()
    frozen = []
    for engine in (DuckDBEngine(), SparkEngine(spark)):
        lake = Lake(world.folder / "lake", world.parties, engine, world.ledger)
        snapshot = freeze(
            tmp_path / type(engine).__name__,
            lake=lake,
            parties=world.parties,
            permits=permits,
            checkpoint=note,
            categories=CATEGORIES,
            collected_until_us=permits.at_us,
            progress=silent,
        )
        lake.close()
        frozen.append((snapshot.id, {path.name: path.read_bytes() for path in snapshot.folder.iterdir()}))
    assert frozen[0] == frozen[1]


@on_spark
def test_a_distributed_training_set_holds_the_rows_of_the_snapshot(spark, samples, tmp_path):
    """What docs/spark.md does, on the service-generated data of the samples."""
    folder, now_us = samples
    with opened(shutil.copytree(folder, tmp_path / "w"), now_us, "duckdb") as workspace:
        parts = workspace.records.parts("train/recommend")
        moved = shutil.copytree(workspace.folder / "lake", tmp_path / "elsewhere" / "lake")
        elsewhere = workspace.records.parts("train/recommend", root=moved.as_uri() + "/")
        keys = workspace.snapshots.create("train/recommend").keys
        expected = sorted((key.record_id, key.collected_us) for key in keys)
    for number, chosen in enumerate((parts, elsewhere)):
        target = tmp_path / f"set{number}"
        permitted_frame(spark, chosen).write.partitionBy("part").parquet(target.as_uri())
        written = [pq.read_table(path, partitioning=None) for path in target.rglob("part-*.parquet")]
        rows = [row for table in written for row in table.to_pylist()]
        assert sorted((row["record_id"], row["collected_us"]) for row in rows) == expected
        assert all(json.loads(row["payload"])["kind"] == "event" for row in rows), "service-generated data is readable"
    assert expected
    assert all(file.startswith("file://") for part in elsewhere for file in part.files)


def test_parts_are_asked_for_by_purposes_and_categories_that_exist(tmp_path):
    with Workspace.create(tmp_path / "w") as workspace:
        assert workspace.records.parts("train/search") == []
        with pytest.raises(InvalidInputError, match="no purpose"):
            workspace.records.parts("train/nothing")
        with pytest.raises(InvalidInputError, match="content/chatt"):
            workspace.records.parts("train/search", categories=["content/chatt"])
