"""A snapshot that lists rows of a table is kept like any other: stale, owed, forgotten, proved, and read back whole."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_own_training import good, with_command

import volition_verify
from crafts import WallClock, build
from volition import TableMapping
from volition.canonical import canonical_json
from volition.errors import BackendError, DamagedError, InvalidInputError, ProofError, RefusedError
from volition.learning.forget import DAY_US
from volition.records.lake import Row
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.people import verify_person
from volition.transparency.verify.snapshots import read_manifest
from volition.workspace import Workspace
from volition_formats import snapshot as formats
from volition_formats.spellings import MALFORMED

ACCOUNTS = {"acme": 4, "brill": 3}
TRAIN, DATA = "train/recommend", ["service/usage"]
MAPPING = TableMapping(people="user", time="at", account_column="tenant", category=DATA[0], record_column="id")
ROWS = 42


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "ws"
    build(folder, WallClock(-DAY_US), accounts=ACCOUNTS).close()
    return folder


@pytest.fixture
def clock():
    return WallClock()


@pytest.fixture
def workspace(tmp_path, clock, made):
    shutil.copytree(made, tmp_path / "ws")
    with Workspace.open(tmp_path / "ws", clock=clock) as opened:
        yield opened


@pytest.fixture
def events(tmp_path, clock):
    """A folder of Parquet: of each person six rows of the last hours, in two files."""
    users = [(account, f"{account}-{number}") for account, size in ACCOUNTS.items() for number in range(size)] * 6
    table = pa.table(
        {
            "id": [f"event-{number}" for number in range(ROWS)],
            "tenant": [account for account, _ in users],
            "user": [user for _, user in users],
            "at": pa.array(
                [clock.now - timedelta(minutes=number) for number in range(ROWS)], pa.timestamp("us", "UTC")
            ),
            "button": [f"button {number % 5}" for number in range(ROWS)],
        }
    )
    folder = tmp_path / "events"
    folder.mkdir()
    pq.write_table(table.slice(0, 20), folder / "a.parquet")
    pq.write_table(table.slice(20), folder / "b.parquet")
    return folder


def says_no(workspace, person="acme-0"):
    workspace.consent.decide(f"person:{person}", yes=False, data=DATA, purpose=[TRAIN])


def trained(workspace, snapshot):
    with workspace.models.training("churn", snapshot=snapshot) as run:
        (run.folder / "count").write_text(str(len(run.rows())))
    return run.model


def check_bundle(workspace, tmp_path):
    """Check the bundle with both verifiers; return what is told as claimed."""
    path = tmp_path / "evidence.zip"
    workspace.proofs.bundle(path)
    verified = verify_bundle(path, workspace.verifier)
    assert verified.holds, [check for check in verified.checks if not check.holds]
    other = volition_verify.verify_bundle(path.read_bytes(), volition_verify.Key.of(workspace.verifier.to_text()))
    assert other.holds, [check for check in other.checks if not check[1]]
    assert [(name, holds) for name, holds, _ in other.checks] == [(one.name, one.holds) for one in verified.checks]
    return [*verified.claimed, *other.claimed]


def test_a_model_learns_from_the_table_and_all_is_proved_of_it(workspace, events, tmp_path):
    says_no(workspace, "acme-1")
    snapshot = workspace.snapshots.create_from(events, MAPPING, TRAIN)
    assert snapshot.manifest["rows"][DATA[0]] == {"read": ROWS, "kept": ROWS - 6, "dropped": {"said-no": 6}}
    with workspace.models.training("churn", snapshot=snapshot.id) as run:
        rows, streamed = run.rows(), [row for batch in run.stream(batch_rows=5) for row in batch.to_pylist()]
        (run.folder / "weights").write_bytes(b"weights")
    assert {type(row) for row in rows} == {Row}
    assert [json.loads(row["payload"]) for row in streamed] == [row.payload for row in rows]
    assert {row.payload["id"] for row in rows} == {f"event-{n}" for n in range(ROWS) if n % 7 != 1}
    claimed = check_bundle(workspace, tmp_path)
    assert sum("the table's" in one for one in claimed) == 2
    for person, is_in in (("acme-1", False), ("acme-0", True)):
        [document] = workspace.proofs.person(person, model=run.model)
        assert (document["present"], document["rows"]) == (is_in, 6 if is_in else 0)
        assert verify_person(document, workspace.verifier).holds
        [trace] = workspace.proofs.traces(person)
        assert trace.rows == (6 if is_in else 0)
    assert [one.rows for one in workspace.rights.holdings("acme-0").training_sets] == [6]


def test_a_no_afterwards_makes_it_stale_and_owed_until_a_day(workspace, events, tmp_path):
    snapshot = workspace.snapshots.create_from(events, MAPPING, TRAIN)
    model = trained(workspace, snapshot.id)
    says_no(workspace)
    [owed] = workspace.models.owed()
    assert (owed.model, owed.rows, owed.blocked) == (model, 6, "")
    days, rest = divmod(owed.due_us - owed.since_us, DAY_US)
    assert days > 0 == rest, "it has a day"
    with (
        pytest.raises(RefusedError, match="6 of the 42 rows"),
        workspace.models.training("churn", snapshot=snapshot.id),
    ):
        pass
    [forgotten] = workspace.forgetting.forget()
    assert (forgotten.model, forgotten.successor) == (model, None)
    assert not workspace.snapshots.open(snapshot.id).has_content, "where its rows lie is erased"
    with pytest.raises(InvalidInputError, match="erased"):
        workspace.snapshots.open(snapshot.id).rows(workspace.parties)
    check_bundle(workspace, tmp_path)


def test_what_a_manifest_says_of_a_table_is_of_one_form(workspace, events):
    manifest = workspace.snapshots.create_from(events, MAPPING, TRAIN).manifest
    read_manifest(canonical_json(manifest))
    formats.check_manifest(manifest)
    table, files = manifest["table"], manifest["files"]
    for wrong in (
        {"table": {**table, "more": "x"}},
        {"table": {**table, "version": 3}},
        {"table": {**table, "mapping": {"people": 3}}},
        {"table": None},
        {"files": {**files, "rows.parquet": "0" * 64}},
        {"files": {name: one for name, one in files.items() if name != "places.parquet"}},
        {"collected": {"batches": 0, "before": 0}},
        {"encoder": "0" * 64},
    ):
        with pytest.raises(ProofError):
            read_manifest(canonical_json(manifest | wrong))
        with pytest.raises((*MALFORMED, ValueError, TypeError, AssertionError)):
            formats.check_manifest(manifest | wrong)


@pytest.mark.slow
def test_what_is_left_of_it_is_listed_without_reading_the_table_for_the_model_that_never_saw_them(
    workspace, events, tmp_path, clock
):
    with_command(workspace.folder)
    with Workspace.open(workspace.folder, clock=clock) as again:
        snapshot = again.snapshots.create_from(events, MAPPING, TRAIN)
        with again.models.training("churn", snapshot=snapshot.id) as run:
            (run.folder / "count").write_text(str(len(run.rows())))
            run.measured(good(again))
        again.models.release(run.model)
        says_no(again)
        (events / "a.parquet").rename(events / "aside")
        with pytest.raises(BackendError):
            again.forgetting.forget()  # what trains again needs the rows; what is left was listed without
        (events / "aside").rename(events / "a.parquet")
        [done] = again.forgetting.forget()
        assert int(again.models.files(done.waits)["count"].read_text()) == ROWS - 6
        later = again.snapshots.open(again.models.states()[done.waits].snapshot)
        assert later.manifest["within"] == snapshot.id
        assert later.manifest["rows"][DATA[0]]["dropped"] == {"said-no": 6}
        left = [key for key in snapshot.keys if key.people != (again.parties.person("acme-0").pseudonym,)]
        assert [*later.keys] == left
        assert len({row.payload["user"] for row in later.rows(again.parties)}) == sum(ACCOUNTS.values()) - 1
        check_bundle(again, tmp_path)


def test_a_file_that_is_changed_or_gone_is_told_and_never_taken_for_empty(workspace, events):
    snapshot = workspace.snapshots.create_from(events, MAPPING, TRAIN)
    before = (events / "b.parquet").read_bytes()
    pq.write_table(pq.read_table(events / "b.parquet").slice(1), events / "b.parquet")
    with pytest.raises(ProofError, match=r"b\.parquet was changed"):
        snapshot.rows(workspace.parties)
    (events / "b.parquet").unlink()
    with pytest.raises(ProofError, match=r"no file b\.parquet"):
        snapshot.rows(workspace.parties)
    (events / "b.parquet").write_bytes(before)
    pq.write_table(pq.read_table(events / "a.parquet"), events / "c.parquet")  # what came later is not of it
    assert len(snapshot.rows(workspace.parties)) == ROWS
    shutil.rmtree(events)
    with pytest.raises(DamagedError, match="not as it was: There is no"):
        snapshot.rows(workspace.parties)


def test_identifiers_are_replaced_whenever_rows_are_read(workspace, events, tmp_path):
    workspace.people.add_person("zoe", account="acme", name="Zoe Quill")
    workspace.consent.decide("person:zoe", yes=True, data=DATA, purpose=[TRAIN], covers="past")
    first = pq.read_table(events / "a.parquet").slice(2, 1)
    columns = {
        "user": pa.array([["zoe"]]),
        "said": pa.array(["Zoe: mail zoe@quill.example"]),
        "more": pa.array([[{"by": "zoe quill", "n": 1234567}]]),
        "raw": pa.array([b"\x00\xff"]),
        "day": first["at"].cast(pa.date32()),
    }
    table = pa.table({**{name: first[name] for name in ("id", "tenant", "at")}, **columns})
    pq.write_table(table, tmp_path / "one.parquet")
    [row] = workspace.snapshots.create_from(tmp_path / "one.parquet", MAPPING, TRAIN).rows(workspace.parties)
    label = f"[person-{workspace.parties.person('zoe').pseudonym[:8]}]"
    assert row.payload == {
        "id": "event-2",
        "tenant": "acme",
        "at": first["at"][0].as_py().isoformat(),
        "user": [label],
        "said": f"{label}: mail [email]",
        "more": [{"by": label, "n": 1234567}],
        "raw": "00ff",
        "day": first["at"][0].as_py().date().isoformat(),
    }


def test_it_is_handed_on_as_what_it_is(workspace, events, tmp_path):
    snapshot = workspace.snapshots.create_from(events, MAPPING, TRAIN)
    workspace.documents.publish_snapshot(snapshot.id, tmp_path / "published")
    told = json.loads((tmp_path / "published" / "croissant.json").read_bytes())
    assert any("kept elsewhere" in one for one in told["rai:dataLimitations"])
    assert [one["name"] for one in told["distribution"]] == ["keys.parquet"]


def test_a_place_or_a_key_that_was_changed_is_told(workspace, events):
    for name in ("places.parquet", "sources.json", "keys.parquet", "people.json"):
        snapshot = workspace.snapshots.create_from(events, MAPPING, TRAIN)
        path = snapshot.folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + b"?" + whole[-8:])
        with pytest.raises(ProofError, match=name):
            snapshot.check()
        if name != "people.json":
            with pytest.raises(ProofError, match=name):
                snapshot.rows(workspace.parties)


@pytest.mark.slow
def test_a_version_of_a_delta_table_is_read_until_it_is_vacuumed(workspace, events, tmp_path):
    deltalake = pytest.importorskip("deltalake")
    folder = str(tmp_path / "delta")
    deltalake.write_deltalake(folder, pq.read_table(events / "a.parquet"))
    deltalake.write_deltalake(folder, pq.read_table(events / "b.parquet"), mode="append")
    snapshot = workspace.snapshots.create_from(folder, MAPPING, TRAIN)
    earlier = workspace.snapshots.create_from(folder, MAPPING, TRAIN, version=0)
    assert (snapshot.manifest["table"]["version"], earlier.manifest["table"]["version"]) == ("1", "0")
    assert (len(snapshot.keys), len(earlier.keys)) == (42, 20)
    table = deltalake.DeltaTable(folder)
    table.delete("id = 'event-3'")
    assert len(snapshot.rows(workspace.parties)) == ROWS, "as of its version"
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(DamagedError, match="is gone"):
        snapshot.rows(workspace.parties)
    with pytest.raises(InvalidInputError, match="version 9"):
        workspace.snapshots.create_from(folder, MAPPING, TRAIN, version=9)


@pytest.mark.slow
def test_a_version_of_an_iceberg_table_is_read_with_what_was_deleted_in_it_until_it_is_expired(
    workspace, events, tmp_path
):
    catalog = pytest.importorskip("pyiceberg.catalog.sql")
    pytest.importorskip("sqlalchemy")
    here = catalog.SqlCatalog("here", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}")
    here.create_namespace("n")
    table = here.create_table("n.rows", pq.read_schema(events / "a.parquet"))
    table.append(pq.read_table(events / "a.parquet"))
    first = table.current_snapshot().snapshot_id
    table.append(pq.read_table(events / "b.parquet"))
    snapshot = workspace.snapshots.create_from(table, MAPPING, TRAIN)
    earlier = workspace.snapshots.create_from(table, MAPPING, TRAIN, version=first)
    assert (len(snapshot.rows(workspace.parties)), len(earlier.rows(workspace.parties))) == (42, 20)
    table.delete("id = 'event-3'")
    later = workspace.snapshots.create_from(table, MAPPING, TRAIN)
    assert "event-3" not in {row.payload["id"] for row in later.rows(workspace.parties)}
    assert len(snapshot.rows(workspace.parties)) == ROWS
    table.maintenance.expire_snapshots().by_id(first).commit()
    with pytest.raises(InvalidInputError, match="expired"):
        workspace.snapshots.create_from(table, MAPPING, TRAIN, version=first)


@pytest.mark.slow
def test_killed_while_it_is_listed_there_is_none_and_the_next_one_sweeps(workspace, events):
    code = f"""
import os
from pathlib import Path
from volition import TableMapping
from volition.workspace import Workspace
mapping = TableMapping(people="user", time="at", account_column="tenant", category={DATA[0]!r}, record_column="id")
def progress(stage, done, total, loss=None):
    if stage == "listing":
        os.kill(os.getpid(), {int(signal.SIGKILL)})
with Workspace.open(Path({str(workspace.folder)!r})) as workspace:
    workspace.snapshots.create_from({str(events)!r}, mapping, {TRAIN!r}, progress=progress)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    assert workspace.snapshots.ids() == []
    assert list((workspace.folder / "snapshots").iterdir()) == []
    assert len(list((workspace.folder / "runs").iterdir())) == 1
    workspace.snapshots.create_from(events, MAPPING, TRAIN)
    assert list((workspace.folder / "runs").iterdir()) == []


def test_what_cannot_be_listed_is_refused_in_words(workspace, events):
    for table, why in [
        (pq.read_table(events), "no files that stay"),
        (events / "nowhere", "There is no"),
        (events.parent / "ws" / "terms", "no Parquet file"),
    ]:
        with pytest.raises(InvalidInputError, match=why):
            workspace.snapshots.create_from(table, MAPPING, TRAIN)
    with pytest.raises(InvalidInputError, match="no versions"):
        workspace.snapshots.create_from(events, MAPPING, TRAIN, version=3)
    with pytest.raises(InvalidInputError, match="no column 'who'"):
        workspace.snapshots.create_from(
            events, TableMapping(people="who", time="at", account="acme", category=DATA[0]), TRAIN
        )
    with pytest.raises(InvalidInputError, match="service/gossip"):
        workspace.snapshots.create_from(
            events, TableMapping(people="user", time="at", account="acme", category="service/gossip"), TRAIN
        )
    assert workspace.snapshots.ids() == []
    snapshot = workspace.snapshots.create_from(events, MAPPING, TRAIN)
    with pytest.raises(InvalidInputError, match="code of your own"):
        workspace.models.train("recommend", snapshot.id)
