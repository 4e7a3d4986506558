"""Tables of others, in every form: the rows that the gate permits one by one, in the same form and order, no others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from volition import Workspace
from volition.consent.permits import Reason
from volition.errors import InvalidInputError
from volition.records.foreign.mapping import TableMapping

PURPOSE = "train/search"
JUNE = datetime(2025, 6, 2, 9, tzinfo=UTC)
PEOPLE = [["ada"], ["bob"], ["ada", "bob"], ["ada", "cyd"], ["stranger"], [], None, [None], ["ada", None], ["gone"]]
MAPPING = TableMapping(
    people="who", time="at", account_column="whose", category_column="kind", conversation_column="meeting"
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Ada and Cyd say yes, Bob no, Gone was erased; Late's yes reaches not back, and Acme leaves a meeting out."""
    with Workspace.create(tmp_path_factory.mktemp("foreign") / "w") as made:
        for account in ("acme", "other", "late"):
            made.people.add_account(account, account.title())
            made.terms.accept(account)
        for person in ("ada", "bob", "cyd", "gone"):
            made.people.add_person(person, account="acme", name=person.title())
        said = tmp_path_factory.mktemp("said") / "kickoff.vtt"
        said.write_text("WEBVTT\n\n00:01.000 --> 00:04.000\nAda: The launch moves to Friday.\n")
        made.records.collect_webvtt(said, account="acme", started=JUNE)
        for party, yes, covers in [
            ("account:acme", True, "past"),
            ("account:other", True, "past"),
            ("account:late", True, None),
            ("person:ada", True, "past"),
            ("person:cyd", True, "past"),
            ("person:bob", False, None),
        ]:
            made.consent.decide(party, yes=yes, data=["content"], purpose=["train/search"], covers=covers)
        made.forgetting.erase("person:gone")
        made.exclusions.exclude("kickoff", account="acme")
        yield made


def rows(count=140):
    """Return rows of every kind, mixed."""
    numbers = range(count)
    return pa.table(
        {
            "row": pa.array(numbers, pa.int64()),
            "who": pa.array([PEOPLE[n % 10] for n in numbers], pa.list_(pa.string())),
            "whose": pa.array(
                [("acme", "other", "acme", "other", "late", None, "nobody")[n // 10 % 7] for n in numbers]
            ),
            "kind": pa.array([("content/chat", "content/files", "gossip", None)[n // 7 % 4] for n in numbers]),
            "meeting": pa.array([("", "weekly", "kickoff", None)[n // 5 % 4] for n in numbers]),
            "at": pa.array(
                [None if n % 17 == 0 else JUNE + timedelta(days=n // 3 * 30) for n in numbers],
                pa.timestamp("us", tz="UTC"),
            ),
            "text": pa.array([f"line {n}" for n in numbers]),
        }
    )


def reasons_one_by_one(workspace, table):
    """Ask the gate's older door, which judges party set by party set."""
    questions = table.select(["whose", "who", "kind", "at", "meeting"]).rename_columns(
        ["account", "people", "category", "collected_at", "conversation"]
    )
    return workspace.gate.judge(PURPOSE, questions)["reason"].to_pylist()


@pytest.fixture(scope="module")
def expected(workspace):
    reasons = reasons_one_by_one(workspace, rows())
    assert len(set(reasons)) >= 7, "the rows are of many kinds"
    return [number for number, reason in enumerate(reasons) if reason is None], reasons


def check(expected, found, table):
    kept, reasons = expected
    assert found.equals(rows().take(pa.array(kept)).cast(found.schema))
    counts = table.count().to_json()
    assert counts["kept"] == len(kept)
    assert counts["read"] == len(reasons)
    assert counts["dropped"] == {one: reasons.count(one) for one in sorted({*reasons} - {None})}


def test_a_table_a_batch_and_a_reader_come_out_as_they_went_in(workspace, expected):
    whole = rows()
    table = workspace.records.permitted(whole, MAPPING, PURPOSE)
    assert isinstance(table.rows, pa.Table)
    check(expected, table.rows, table)
    batch = workspace.records.permitted(whole.to_batches()[0], MAPPING, PURPOSE)
    assert isinstance(batch.rows, pa.RecordBatch)
    check(expected, pa.Table.from_batches([batch.rows]), batch)
    reader = workspace.records.permitted(whole.to_reader(7), MAPPING, PURPOSE)
    assert isinstance(reader.rows, pa.RecordBatchReader)
    assert reader.count().read == 0, "nothing is read before somebody reads"
    check(expected, reader.rows.read_all(), reader)


def test_a_dataset_and_a_folder_of_parquet_come_out_as_a_reader_in_the_order_of_their_files(
    workspace, expected, tmp_path
):
    for number, start in enumerate(range(0, 140, 50)):
        pq.write_table(rows().slice(start, 50), tmp_path / f"{number}.parquet", row_group_size=20)
    (tmp_path / "_SUCCESS").touch()
    for table in (tmp_path, str(tmp_path), ds.dataset(tmp_path)):
        found = workspace.records.permitted(table, MAPPING, PURPOSE)
        assert isinstance(found.rows, pa.RecordBatchReader)
        check(expected, found.rows.read_all(), found)


def test_a_pandas_frame_keeps_its_index_and_its_types(workspace, expected):
    pandas = pytest.importorskip("pandas")
    frame = rows().to_pandas().set_index(pandas.Index(range(1000, 1140)))
    found = workspace.records.permitted(frame, MAPPING, PURPOSE)
    pandas.testing.assert_frame_equal(found.rows, frame.loc[[1000 + row for row in expected[0]]])
    check(expected, pa.Table.from_pandas(found.rows, preserve_index=False), found)


def test_polars_frames_come_out_as_they_went_in_and_a_lazy_one_is_judged_when_it_is_collected(workspace, expected):
    polars = pytest.importorskip("polars")
    frame = polars.from_arrow(rows())
    found = workspace.records.permitted(frame, MAPPING, PURPOSE)
    assert isinstance(found.rows, polars.DataFrame)
    check(expected, found.rows.to_arrow(), found)
    for engine in ("in-memory", "streaming"):
        found = workspace.records.permitted(frame.lazy(), MAPPING, PURPOSE)
        assert isinstance(found.rows, polars.LazyFrame)
        assert found.count().read == 0
        check(expected, found.rows.collect(engine=engine).to_arrow(), found)
    lazy = workspace.records.permitted(frame.lazy(), MAPPING, PURPOSE).rows
    assert lazy.select("text").head(2).collect()["text"].to_list() == [f"line {row}" for row in expected[0][:2]]
    assert lazy.filter(polars.col("row") > 50).collect()["row"].to_list() == [row for row in expected[0] if row > 50]


def test_a_relation_comes_out_as_one_that_is_judged_whenever_it_runs(workspace, expected):
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        table = rows()
        connection.register("foreign_rows", table)
        relation = connection.table("foreign_rows")
        found = workspace.records.permitted(relation, MAPPING, PURPOSE, connection=connection)
        assert type(found.rows) is type(relation)
        assert found.count().read == 0
        check(expected, found.rows.to_arrow_table(), found)
        assert [row for (row,) in found.rows.project("row").fetchall()] == expected[0]
        with pytest.raises(InvalidInputError, match="another connection"):
            workspace.records.permitted(relation, MAPPING, PURPOSE, connection=duckdb.connect())


def test_a_delta_table_comes_out_as_a_reader(workspace, expected, tmp_path):
    deltalake = pytest.importorskip("deltalake")
    for start in range(0, 140, 70):
        deltalake.write_deltalake(str(tmp_path), rows().slice(start, 70), mode="append")
    for table in (tmp_path, deltalake.DeltaTable(str(tmp_path))):
        found = workspace.records.permitted(table, MAPPING, PURPOSE)
        read = found.rows.read_all().sort_by("row")  # Delta has no order of files
        check(expected, read, found)
    earlier = deltalake.DeltaTable(str(tmp_path), version=0)
    assert len(workspace.records.permitted(earlier, MAPPING, PURPOSE).rows.read_all()) == sum(
        row < 70 for row in expected[0]
    )


@pytest.mark.slow
def test_an_iceberg_table_comes_out_as_a_reader(workspace, expected, tmp_path):
    catalog = pytest.importorskip("pyiceberg.catalog.sql")
    pytest.importorskip("sqlalchemy")
    here = catalog.SqlCatalog("here", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}")
    here.create_namespace("n")
    table = here.create_table("n.rows", rows().schema)
    table.append(rows())
    folder = Path(table.location().removeprefix("file://"))
    for one in (table, table.scan(), folder, max((folder / "metadata").glob("*.metadata.json"))):
        found = workspace.records.permitted(one, MAPPING, PURPOSE)
        check(expected, found.rows.read_all(), found)


# --- what a column may be ---------------------------------------------------------------------------------------------

GOOD = TableMapping(people="who", time="at", account="other", category="content/files")
AT = pa.array([JUNE], pa.timestamp("us", tz="UTC"))


def reason(workspace, table, mapping=GOOD):
    """Return why the one row of a table may not be used, or none if it may."""
    found = workspace.records.permitted(pa.table(table), mapping, PURPOSE)
    assert found.rows.num_rows == found.count().kept
    return next(iter(found.count().dropped), None)


@pytest.mark.parametrize(
    "people",
    [
        pa.array(["ada"]),
        pa.array(["ada"]).dictionary_encode(),
        pa.array(["ada"], pa.string_view()),
        pa.array([["ada", "cyd"]], pa.large_list(pa.large_string())),
        pa.array([["ada", "cyd"]], pa.list_(pa.string(), 2)),
        pa.array([["ada", "cyd"]], pa.list_view(pa.string())),
        pa.array([["person:ada"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    ],
    ids=lambda people: str(people.type),
)
def test_people_are_texts_or_lists_of_any_kind(workspace, people):
    assert reason(workspace, {"who": people, "at": AT}) is None


def test_a_row_that_names_nobody_or_somebody_who_is_not_there_is_refused_for_that(workspace):
    for people in (
        pa.nulls(1),
        pa.array([None], pa.string()),
        pa.array([[]], pa.list_(pa.string())),
        ["stranger"],
        [7],
    ):
        assert reason(workspace, {"who": people, "at": AT}) is Reason.UNKNOWN_PARTY
    assert reason(workspace, {"who": ["gone"], "at": AT}) is Reason.ERASED
    assert reason(workspace, {"who": ["ada"], "at": pa.nulls(1)}) is Reason.UNKNOWN_PARTY
    assert reason(workspace, {"who": ["ada"], "at": pa.array([datetime(2999, 1, 1, tzinfo=UTC)])}) is Reason.STALE


def test_the_mapping_says_whether_people_are_named_by_ids_or_pseudonyms(workspace):
    party = workspace.party("person:ada")
    pseudonym = party.removeprefix("person:")
    by_pseudonym = TableMapping(
        people="who", time="at", account="other", category="content/files", people_are="pseudonyms"
    )
    assert reason(workspace, {"who": [pseudonym], "at": AT}, by_pseudonym) is None
    assert reason(workspace, {"who": [pseudonym], "at": AT}) is Reason.UNKNOWN_PARTY
    assert reason(workspace, {"who": ["ada"], "at": AT}, by_pseudonym) is Reason.UNKNOWN_PARTY
    assert reason(workspace, {"who": [party], "at": AT}, by_pseudonym) is None


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_are_of_any_unit_and_of_a_zone_that_is_named_if_they_have_none(workspace, unit):
    late = TableMapping(people="who", time="at", account="late", category="content/files", zone="America/New_York")
    now = datetime.now(UTC)
    there = now.astimezone(ZoneInfo("America/New_York")).replace(tzinfo=None, microsecond=0)
    aware = pa.array([now.replace(microsecond=0)]).cast(pa.timestamp(unit, tz="UTC"))
    plain = pa.array([there]).cast(pa.timestamp(unit))
    assert reason(workspace, {"who": ["ada"], "at": aware}, late) == reason(
        workspace, {"who": ["ada"], "at": plain}, late
    )
    earlier = pa.array([there - timedelta(days=1)]).cast(pa.timestamp(unit))
    assert reason(workspace, {"who": ["ada"], "at": earlier}, late) is Reason.BEFORE_YES
    in_utc = pa.array([there + timedelta(hours=6)]).cast(pa.timestamp(unit))  # by a clock of New York it is to come
    assert reason(workspace, {"who": ["ada"], "at": in_utc}, late) is Reason.STALE


def test_what_cannot_be_a_column_is_told(workspace):
    people, naive = pa.array(["ada"]), pa.array([datetime(2025, 6, 2)])  # noqa: DTZ001 - without a zone on purpose
    for table, told in [
        ({"who": people}, "no column 'at'. Its columns are: who"),
        ({"who": people, "at": naive}, 'no time zone.*zone="UTC"'),
        ({"who": people, "at": ["2025-06-02"]}, "must be a timestamp, not string"),
        ({"who": pa.array([1.5]), "at": AT}, "must be text, or lists of text, not double"),
        ({"who": pa.array([[1.5]]), "at": AT}, "must be text, or lists of text, not double"),
    ]:
        with pytest.raises(InvalidInputError, match=told):
            workspace.records.permitted(pa.table(table), GOOD, PURPOSE)
    for changed, told in [
        ({"account": None}, "Name the account of all rows, or the column"),
        ({"category_column": "kind"}, "one of the two"),
        ({"people_are": "names"}, "by ids or by pseudonyms"),
        ({"zone": "Nowhere/Land"}, "cannot be read in the zone 'Nowhere/Land'"),
    ]:
        with pytest.raises(InvalidInputError, match=told):
            replace(GOOD, **changed)
    with pytest.raises(InvalidInputError, match="dict cannot be judged"):
        workspace.records.permitted({}, GOOD, PURPOSE)
    with pytest.raises(InvalidInputError, match="content"):
        workspace.records.permitted(pa.table({"who": people, "at": AT}), replace(GOOD, category="content"), PURPOSE)
    with pytest.raises(InvalidInputError, match="no purpose 'train'"):
        workspace.records.permitted(pa.table({"who": people, "at": AT}), GOOD, "train")


def test_files_that_are_none_are_told(workspace, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    for path, told in [
        ("nowhere", "There is no"),
        ("empty", "holds no Parquet files"),
        ("bad.parquet", "is no Parquet"),
    ]:
        with pytest.raises(InvalidInputError, match=told):
            workspace.records.permitted(tmp_path / path, GOOD, PURPOSE)


# --- while it is read -------------------------------------------------------------------------------------------------


def many(people, batches):
    """Return a reader of so many batches of one row each."""
    batch = pa.record_batch({"who": people, "at": AT})
    return pa.RecordBatchReader.from_batches(batch.schema, [batch] * batches)


def test_somebody_who_says_no_while_a_stream_is_read_is_in_no_later_batch(workspace):
    workspace.people.add_person("dot", account="acme", name="Dot")

    def say(yes):
        workspace.consent.decide(
            "person:dot", yes=yes, data=["content"], purpose=[PURPOSE], covers="past" if yes else None
        )

    say(yes=True)
    found = workspace.records.permitted(many(["dot"], 6), GOOD, PURPOSE)
    assert [found.rows.read_next_batch().num_rows for _ in range(2)] == [1, 1]
    say(yes=False)
    assert found.rows.read_all().num_rows == 0
    assert found.count().to_json() == {"read": 6, "kept": 2, "dropped": {"withdrawn": 4}}
    with duckdb.connect() as connection:
        table = many(["dot"], 1).read_all()
        relation = workspace.records.permitted(connection.from_arrow(table), GOOD, PURPOSE, connection=connection).rows
        assert relation.count("*").fetchall() == [(0,)]
        say(yes=True)
        assert relation.count("*").fetchall() == [(1,)]


def test_somebody_who_is_erased_or_merged_while_a_stream_is_read_is_known_as_that(workspace):
    for person in ("eve", "eve2"):
        workspace.people.add_person(person, account="acme", name=person)
        workspace.consent.decide(f"person:{person}", yes=True, data=["content"], purpose=[PURPOSE], covers="past")
    found = workspace.records.permitted(many(["eve"], 4), GOOD, PURPOSE)
    assert found.rows.read_next_batch().num_rows == 1
    workspace.forgetting.erase("person:eve")
    assert found.rows.read_all().num_rows == 0
    assert found.count().dropped == {Reason.ERASED: 3}
