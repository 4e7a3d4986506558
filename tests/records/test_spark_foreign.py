"""A frame of Spark or Spark Connect, judged by Spark itself: the rows and counts of the Arrow form.

The server of Spark Connect is Sail's, which is no Java: nothing but SQL and Arrow reaches it.
"""

from datetime import timedelta

import pyarrow as pa
import pytest
from test_foreign import MAPPING, PURPOSE, rows, workspace  # noqa: F401 - a fixture

from volition.errors import InvalidInputError
from volition.records.foreign.mapping import TableMapping

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spark")]


@pytest.fixture(scope="module")
def connected():
    """Start a server in this process, and a session with it; where a package is missing, skip."""
    sail = pytest.importorskip("pysail.spark", reason="pysail is not installed")
    for needed in ("grpc_status", "zstandard"):
        pytest.importorskip(needed, reason="what Spark Connect's client needs is not installed")
    sql = pytest.importorskip("pyspark.sql.connect.session", reason="pyspark is not installed")
    server = sail.SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    _, port = server.listening_address
    made = sql.SparkSession.builder.remote(f"sc://127.0.0.1:{port}").create()
    yield made
    made.stop()
    server.stop()


@pytest.fixture(params=["connected", "spark"])
def session(request):
    """Return a session of Spark Connect, and one of Spark with its own Java."""
    return request.getfixturevalue(request.param)


def test_a_frame_comes_out_with_the_rows_and_the_counts_of_the_arrow_form(workspace, session):  # noqa: F811
    told = workspace.records.permitted(rows(), MAPPING, PURPOSE)
    frame = session.createDataFrame(rows())
    found = workspace.records.permitted(frame, MAPPING, PURPOSE)
    assert type(found.rows) is type(frame)
    assert found.rows.columns == rows().column_names
    assert found.rows.toArrow().sort_by("row").to_pylist() == told.rows.to_pylist()
    assert found.count() == told.count()


def test_names_are_told_apart_whatever_is_in_them(workspace, session):  # noqa: F811
    names = ['a"b', "a\\b", "a`b", "ü\u2028", "ada", '["ada"]', "", None]
    table = pa.table(
        {
            "row": range(len(names)),
            'w`h"o': names,
            "at": rows()["at"].slice(1, 1).take([0] * len(names)),
            "an account": ["other"] * len(names),
        }
    )
    mapping = TableMapping(people='w`h"o', time="at", account_column="an account", category="content/files")
    told = workspace.records.permitted(table, mapping, PURPOSE)
    found = workspace.records.permitted(session.createDataFrame(table), mapping, PURPOSE)
    assert told.rows["row"].to_pylist() == [4]
    assert found.rows.toArrow().sort_by("row").to_pylist() == told.rows.to_pylist()
    assert found.count() == told.count()


def test_a_frame_is_good_for_a_while_only(workspace, connected):  # noqa: F811
    frame = connected.createDataFrame(rows())
    found = workspace.records.permitted(frame, MAPPING, PURPOSE, good_for=timedelta(microseconds=1))
    assert found.rows.count() == 0
    assert found.count().to_json()["dropped"] == {"stale": rows().num_rows}


def test_times_without_a_zone_need_one_in_the_mapping(workspace, session):  # noqa: F811
    at = rows()["at"].slice(1, 1).cast(pa.timestamp("us"))
    table = pa.table({"who": ["ada"], "at": at})
    frame = session.createDataFrame(table).selectExpr("who", "CAST(at AS TIMESTAMP_NTZ) AS at")
    mapping = TableMapping(people="who", time="at", account="other", category="content/files")
    with pytest.raises(InvalidInputError, match="no time zone"):
        workspace.records.permitted(frame, mapping, PURPOSE)
    zoned = TableMapping(people="who", time="at", account="other", category="content/files", zone="Europe/Berlin")
    assert workspace.records.permitted(frame, zoned, PURPOSE).rows.count() == 1
    with pytest.raises(InvalidInputError, match="must be a timestamp, not string"):
        workspace.records.permitted(frame.selectExpr("who", "'now' AS at"), mapping, PURPOSE)
    with pytest.raises(InvalidInputError, match="must be text, not double"):
        workspace.records.permitted(frame.selectExpr("CAST(1.5 AS DOUBLE) AS who", "at"), zoned, PURPOSE)
