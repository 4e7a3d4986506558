"""The examples over tables of permits, a Spark job and a dbt project: each runs, is short, and obeys a no."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from volition.canonical import now_us
from volition.cli import main
from volition.consent.lease import Settling
from volition.workspace import Workspace

pytest.importorskip("sqlglot")

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
USE = {"data": ["content"], "purpose": ["train/search"]}
HOUR_US = 3_600_000_000

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spark")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace in which Ada and Bo say yes, and messages of both and of somebody who was never asked."""
    folder = tmp_path_factory.mktemp("examples")
    rows = {
        "org": ["acme"] * 3,
        "author": ["ada", "bo", "cy"],
        "sent_at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 3, pa.timestamp("us", tz="UTC")),
        "text": ["The launch moves", "The brochure waits", "Nobody asked me"],
    }
    (folder / "messages").mkdir()
    pq.write_table(pa.table(rows), folder / "messages" / "1.parquet")
    with Workspace.create(folder / "w", origin="log.example/examples") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme")
        for person in ("ada", "bo", "cy"):
            workspace.people.add_person(person, account="acme", name=person.title())
        yield workspace, folder


@pytest.fixture
def permits(made, tmp_path):
    """Return what says what somebody answers, and writes the table of permits as it holds at an hour from now."""
    workspace, _ = made

    def export(ahead_us=HOUR_US, **answers):
        with Settling().collecting():  # nobody else reads the table meanwhile
            for name, yes in answers.items():
                party = f"account:{name}" if name == "acme" else f"person:{name}"
                workspace.consent.decide(party, yes=yes, covers="past" if yes else None, **USE)
        workspace.permit_tables.export(
            f"parquet:{tmp_path / 'permits'}", purposes=["train/search"], ids=True, clock=lambda: now_us() + ahead_us
        )
        return str(tmp_path / "permits")

    return export


def condition(made, capsys, *more):
    capsys.readouterr()
    words = ["--purpose", "train/search", "--category", "content/chat", "--account-column", "org"]
    words += ["--person-column", "author", "--time-column", "sent_at", "--outside-conversations"]
    assert main(["permits", "sql", *words, *more, "--workspace", str(made[0].folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["sql"]


@pytest.fixture(scope="module")
def session():
    """Start a server of Spark Connect in this process, and a session with it; where a package is missing, skip."""
    sail = pytest.importorskip("pysail.spark", reason="pysail is not installed")
    for needed in ("grpc_status", "zstandard"):
        pytest.importorskip(needed, reason="what Spark Connect's client needs is not installed")
    sql = pytest.importorskip("pyspark.sql.connect.session", reason="pyspark is not installed")
    server = sail.SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    _, port = server.listening_address
    session = sql.SparkSession.builder.remote(f"sc://127.0.0.1:{port}").create()
    yield session
    session.stop()
    server.stop()


def test_a_spark_job_counts_words_of_whom_permits_it_and_stops_where_the_table_has_run_out(
    made, permits, session, capsys
):
    spec = importlib.util.spec_from_file_location("spark_job", EXAMPLES / "spark" / "job.py")
    job = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(job)
    where = condition(made, capsys, "--dialect", "spark", "--rows", "messages")

    def words(place):
        found = job.count_words(job.permitted(session, str(made[1] / "messages"), place, where))
        return [tuple(row) for row in found.collect()]

    yes = words(permits(acme=True, ada=True, bo=True))
    assert yes == [("brochure", 1), ("launch", 1), ("moves", 1), ("the", 2), ("waits", 1)]
    assert words(permits(bo=False)) == [("launch", 1), ("moves", 1), ("the", 1)]
    with pytest.raises(RuntimeError, match="has run out"):
        words(permits(ahead_us=-HOUR_US))


@pytest.fixture(scope="module")
def dbt(tmp_path_factory):
    """Install dbt in an environment of its own, by its lock; where it cannot be had, skip."""
    folder = tmp_path_factory.mktemp("dbt") / "venv"
    uv, python = [sys.executable, "-m", "uv"], str(folder / "bin" / "python")
    steps = (
        [*uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [*uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(ROOT / "dbt.lock")],
    )
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=240, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("dbt could not be installed in time")
        if done.returncode:
            pytest.skip(f"dbt could not be installed: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "bin" / "dbt"


def test_a_dbt_project_builds_from_whom_permits_it_and_fails_once_somebody_does_not(
    made, permits, dbt, tmp_path, capsys
):
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES / "dbt", project)
    (project / "macros").mkdir()
    macro = condition(made, capsys, "--dialect", "duckdb", "--rows", "m", "--as", "dbt")
    (project / "macros" / "volition_permitted.sql").write_text(macro, encoding="utf-8")
    place = permits(acme=True, ada=True, bo=True)
    asked = {**os.environ, "PERMITS": place, "MESSAGES": str(made[1] / "messages"), "DBT_PROFILES_DIR": str(project)}

    def run(*words):
        return subprocess.run(
            [dbt, *words], cwd=project, env=asked, capture_output=True, text=True, timeout=240, check=False
        )

    def authors():
        with duckdb.connect(project / "training.duckdb", read_only=True) as connection:
            return {author for (author,) in connection.execute("SELECT author FROM training_messages").fetchall()}

    done = run("build")
    assert done.returncode == 0, done.stdout
    assert authors() == {"ada", "bo"}
    permits(bo=False)
    told = run("test")
    assert told.returncode == 1
    assert "Got 1 result" in told.stdout, told.stdout
    assert run("build").returncode == 0
    assert authors() == {"ada"}


def test_each_is_short():
    for path in sorted([*EXAMPLES.rglob("*.py"), *(EXAMPLES / "dbt").rglob("*.*")]):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 150, path.name
