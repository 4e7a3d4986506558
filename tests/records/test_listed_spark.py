"""Snapshots of tables made by Spark: the bytes that this process makes, and the errors in the same words."""

import shutil
import time
from dataclasses import replace

import pytest
from test_listed import BY_ID, MAPPING, PURPOSE, delta, iceberg, made, parquet, workspace  # noqa: F401 - fixtures
from test_spark_foreign import connected  # noqa: F401 - a fixture

from volition import Workspace
from volition.errors import DamagedError, InvalidInputError
from waiting import StandingClock

NOW_US = time.time_ns() // 1000 + 3_600_000_000
"""An hour from now, after all that was decided."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spark")]


def listed(workspace_folder, folder, table, mapping, **options):
    """List a table in a copy of a workspace whose clock stands; return the snapshot's id and files."""
    shutil.copytree(workspace_folder, folder)
    with Workspace.open(folder, clock=StandingClock(NOW_US)) as opened:
        found = opened.snapshots.create_from(table, mapping, PURPOSE, **options)
        assert opened.snapshots.open(found.id).keys
        return found.id, {path.name: path.read_bytes() for path in found.folder.iterdir()}


@pytest.mark.parametrize(
    ("kind", "form"), [("connected", parquet), ("connected", delta), ("connected", iceberg), ("spark", parquet)]
)
def test_spark_makes_the_same_bytes(made, request, tmp_path, kind, form):  # noqa: F811
    """Sail, which is no Java, by Spark Connect; and Spark with its own Java."""
    session = request.getfixturevalue(kind)
    (tmp_path / "t").mkdir()
    table = form(tmp_path / "t")
    table = table if form is iceberg else tmp_path / "t"
    mappings = {"all": MAPPING, "by id": BY_ID, "apart": replace(MAPPING, conversation_column=None)}
    for name, mapping in mappings.items() if kind == "connected" else [("all", MAPPING)]:
        here = listed(made, tmp_path / f"{name} here", table, mapping)
        assert listed(made, tmp_path / f"{name} there", table, mapping, session=session) == here


def test_errors_of_executors_are_told_in_their_words(workspace, connected, tmp_path):  # noqa: F811
    (tmp_path / "t").mkdir()
    parquet(tmp_path / "t")
    with pytest.raises(InvalidInputError, match="'text' must be a timestamp"):
        workspace.snapshots.create_from(tmp_path / "t", replace(MAPPING, time="text"), PURPOSE, session=connected)
    (tmp_path / "t" / "1.parquet").write_bytes(b"no Parquet")
    with pytest.raises((DamagedError, InvalidInputError), match=r"1\.parquet"):
        workspace.snapshots.create_from(tmp_path / "t", MAPPING, PURPOSE, session=connected)
    assert workspace.snapshots.ids() == []
