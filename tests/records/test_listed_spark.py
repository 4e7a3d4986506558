"""Snapshots of tables made by Spark: the bytes that this process makes, and the errors in the same words."""

from dataclasses import replace

import pytest
from test_listed import BY_ID, MAPPING, PURPOSE, delta, iceberg, made, parquet, workspace  # noqa: F401 - fixtures
from test_spark_foreign import connected  # noqa: F401 - a fixture

from volition.errors import DamagedError, InvalidInputError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spark")]


@pytest.fixture(params=["connected", "spark"])
def session(request):
    """Return a session of Spark Connect, whose server is no Java, and one of Spark with its own Java."""
    return request.getfixturevalue(request.param)


def files_of(snapshot):
    return {path.name: path.read_bytes() for path in snapshot.folder.iterdir()}


@pytest.mark.parametrize("form", [parquet, delta, iceberg])
@pytest.mark.parametrize("mapping", [MAPPING, BY_ID, replace(MAPPING, conversation_column=None)])
def test_spark_makes_the_same_bytes(workspace, session, tmp_path, form, mapping):  # noqa: F811
    (tmp_path / "t").mkdir()
    table = form(tmp_path / "t")
    table = table if form is iceberg else tmp_path / "t"
    by_spark = workspace.snapshots.create_from(table, mapping, PURPOSE, session=session)
    here = workspace.snapshots.create_from(table, mapping, PURPOSE, until=None)
    theirs, ours = files_of(by_spark), files_of(here)
    assert len(by_spark.keys) > 5
    assert {name: data for name, data in theirs.items() if name not in {"manifest.json", "people.json"}} == {
        name: data for name, data in ours.items() if name not in {"manifest.json", "people.json"}
    }
    assert workspace.snapshots.open(by_spark.id).manifest["rows"] == here.manifest["rows"]


def test_errors_of_executors_are_told_in_their_words(workspace, session, tmp_path):  # noqa: F811
    (tmp_path / "t").mkdir()
    parquet(tmp_path / "t")
    with pytest.raises(InvalidInputError, match="'text' must be a timestamp"):
        workspace.snapshots.create_from(tmp_path / "t", replace(MAPPING, time="text"), PURPOSE, session=session)
    (tmp_path / "t" / "1.parquet").write_bytes(b"no Parquet")
    with pytest.raises((DamagedError, InvalidInputError), match="1.parquet"):
        workspace.snapshots.create_from(tmp_path / "t", MAPPING, PURPOSE, session=session)
    assert workspace.snapshots.ids() == []
