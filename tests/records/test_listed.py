"""Snapshots of tables that others keep: the rows that the gate permits, listed by their places, with nothing they say."""

import io
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from volition import TableMapping, Workspace
from volition.consent.gate.interned import InternedGate
from volition.consent.names import Names
from volition.consent.permits import Permits
from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.records.foreign.answers import GateAnswers, SetAnswers
from volition.records.foreign.part import GROUP_ROWS, PART_SCHEMA, GroupWriter, ListedPart, list_part
from volition.records.snapshot import KEYS_SCHEMA, person_leaf, person_tag, rows_commitment

PURPOSE = "train/search"
JUNE = datetime(2025, 6, 2, 9, tzinfo=UTC)
PEOPLE = [["ada"], ["bob"], ["ada", "bob"], ["ada", "cyd"], ["cyd"], ["stranger"], [], None, [None], ["gone"]]
ROWS = 140
MAPPING = TableMapping(
    people="who", time="at", account_column="whose", category_column="kind", conversation_column="meeting"
)
BY_ID = replace(MAPPING, record_column="row")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Ada and Cyd say yes, Bob no, Gone was erased; Late's yes reaches not back, and Acme leaves a meeting out."""
    folder = tmp_path_factory.mktemp("listed") / "w"
    with Workspace.create(folder) as made:
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
            made.consent.decide(party, yes=yes, data=["content"], purpose=[PURPOSE], covers=covers)
        made.forgetting.erase("person:gone")
        made.exclusions.exclude("kickoff", account="acme")
    return folder


@pytest.fixture
def workspace(made, tmp_path):
    """Open a copy, in which a test may say no."""
    import shutil  # noqa: PLC0415

    shutil.copytree(made, tmp_path / "w")
    with Workspace.open(tmp_path / "w") as found:
        yield found


def rows(count=ROWS):
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
                [None if n % 17 == 0 else JUNE + timedelta(days=n // 3 * 5) for n in numbers],
                pa.timestamp("us", tz="UTC"),
            ),
            "text": pa.array([f"line {n}" for n in numbers]),
        }
    )


def parquet(folder):
    for number, start in enumerate(range(0, ROWS, 50)):
        pq.write_table(rows().slice(start, 50), folder / f"{number}.parquet", row_group_size=20)
    return folder


def delta(folder):
    deltalake = pytest.importorskip("deltalake")
    for start in range(0, ROWS, 70):
        deltalake.write_deltalake(str(folder), rows().slice(start, 70), mode="append", partition_by=["whose"])
    return folder


def iceberg(folder):
    catalog = pytest.importorskip("pyiceberg.catalog.sql")
    pytest.importorskip("sqlalchemy")
    here = catalog.SqlCatalog("here", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
    here.create_namespace("n")
    table = here.create_table("n.rows", rows().schema)
    for start in range(0, ROWS, 70):
        table.append(rows().slice(start, 70))
    return table


def expected(workspace):
    """Return the rows that the gate permits of the same table in memory, and why it refuses the others."""
    questions = rows().select(["whose", "who", "kind", "at", "meeting"])
    named = questions.rename_columns(["account", "people", "category", "collected_at", "conversation"])
    reasons = workspace.gate.judge(PURPOSE, named)["reason"].to_pylist()
    assert len(set(reasons)) >= 7, "the rows are of many kinds"
    return [number for number, reason in enumerate(reasons) if reason is None], reasons


def check(workspace, snapshot):
    """Check a snapshot of the rows against the gate's older door: rows, counts, people, and their tree."""
    kept, reasons = expected(workspace)
    found = snapshot.rows(workspace.parties)
    assert sorted(row.payload["row"] for row in found) == kept
    assert {row.payload["text"] for row in found} == {f"line {number}" for number in kept}
    counts = snapshot.manifest["rows"]
    assert sum(one["read"] for one in counts.values()) == ROWS
    dropped = {}
    for one in counts.values():
        for reason, total in one["dropped"].items():
            dropped[reason] = dropped.get(reason, 0) + total
    assert dropped == {str(one): reasons.count(one) for one in {*reasons} - {None}}
    leaves = []
    for pseudonym in {one for key in snapshot.keys for one in key.people}:
        tag = person_tag(PURPOSE, snapshot.manifest["at"], pseudonym)
        total = sum(pseudonym in key.people for key in snapshot.keys)
        leaves.append([tag, rows_commitment(tag, pseudonym, total)])
    tree = merkle.Tree(person_leaf(*leaf) for leaf in sorted(leaves))
    assert snapshot.people_leaves() == [person_leaf(*leaf) for leaf in sorted(leaves)]
    assert snapshot.manifest["people"] == {"size": len(leaves), "root": tree.root.hex()}
    assert [key.record_id for key in snapshot.keys] == [row.record_id for row in found]
    snapshot.check()


@pytest.mark.parametrize(
    "form", [parquet, pytest.param(delta, marks=pytest.mark.slow), pytest.param(iceberg, marks=pytest.mark.slow)]
)
def test_a_table_of_any_form_is_listed_as_the_gate_judges_it_and_is_an_entry(workspace, tmp_path, form):
    folder = tmp_path / "table"
    folder.mkdir()
    snapshot = workspace.snapshots.create_from(form(folder), MAPPING, PURPOSE)
    check(workspace, snapshot)
    assert workspace.snapshots.open(snapshot.id) == snapshot
    everything = b"".join(path.read_bytes() for path in snapshot.folder.iterdir())
    assert b"line 1" not in everything, "nothing that rows say is copied"
    assert not list((workspace.folder / "runs").iterdir())


def answers_of(workspace, purpose=PURPOSE):
    permits = Permits(workspace._opened.history(), purpose=purpose, at_us=workspace._opened.now_us)
    names = Names(workspace.parties)
    return GateAnswers(InternedGate(permits, names), names, permits.history.vocabulary.categories), permits.at_us


def part_of(batches, answers, mapping=MAPPING, until_us=2**60):
    sink = io.BytesIO()
    counts = list_part(batches, mapping, answers, file="day=1/a.parquet", until_us=until_us, sink=sink)
    return sink.getvalue(), counts


def test_a_part_has_the_same_bytes_however_rows_are_cut_and_whoever_answers(workspace):
    answers, at_us = answers_of(workspace)
    by_sets = SetAnswers.of(answers, [MAPPING.asked(batch) for batch in rows().to_batches(30)], at_us=at_us)
    whole, counts = part_of(rows().to_batches(), answers)
    assert counts.kept == pq.read_metadata(io.BytesIO(whole)).num_rows > 0
    for size in (1, 7, 1000):
        for each in (answers, pickle.loads(pickle.dumps(by_sets))):  # noqa: S301 - our own
            assert part_of(rows().to_batches(size), each) == (whole, counts)
    nobody = SetAnswers.of(answers, [], at_us=at_us)
    assert part_of(rows().to_batches(), nobody)[1].kept == 0, "who was not asked about is refused"


def test_parts_that_are_made_elsewhere_are_joined_to_the_same_list_and_none_may_be_missing(workspace, tmp_path):
    folder = tmp_path / "table"
    folder.mkdir()
    here = workspace.snapshots.create_from(parquet(folder), BY_ID, PURPOSE)
    with workspace.snapshots.listing(folder, BY_ID, PURPOSE) as listing:
        asked = [BY_ID.asked(batch) for file in listing.version.files for batch in file.batches()]
        answers = pickle.loads(pickle.dumps(SetAnswers.of(listing.answers, asked, at_us=listing.at_us)))  # noqa: S301
        parts = []
        for file in listing.version.files:
            path = tmp_path / f"{len(parts)}.part"
            with path.open("wb") as sink:
                batches = file.batches(BY_ID.listed_columns)
                counts = list_part(batches, BY_ID, answers, file=file.name, until_us=listing.until_us, sink=sink)
            parts.append(ListedPart(name=file.name, digests=tuple(file.digests()), path=path, counts=counts))
        for wrong in (parts[1:], parts[:-1], parts[::-1], [*parts, parts[0]]):
            with pytest.raises(InvalidInputError, match="one part for each"):
                listing.join(wrong)
        with pytest.raises(ProofError, match="other rows than were counted"):
            listing.join([replace(parts[0], path=parts[1].path), *parts[1:]])
        there = listing.join(parts)
    for name in ("keys.parquet", "places.parquet", "sources.json"):
        assert there.manifest["files"][name] == here.manifest["files"][name]
    assert there.manifest["rows"] == here.manifest["rows"]
    assert len({key.record_id for key in here.keys}) == len(here.keys)


def test_groups_of_a_part_do_not_hang_on_how_rows_come():
    batch = pa.RecordBatch.from_pydict({"n": pa.array(range(GROUP_ROWS + 10))})
    found = []
    for size in (1000, GROUP_ROWS + 10):
        sink = io.BytesIO()
        with GroupWriter(sink, batch.schema, compression="zstd") as writer:
            for start in range(0, batch.num_rows, size):
                writer.write(batch.slice(start, size))
        found.append(sink.getvalue())
    assert found[0] == found[1]
    assert pq.read_metadata(io.BytesIO(found[0])).num_row_groups == 2


def test_a_part_is_a_place_and_the_columns_of_a_snapshots_keys():
    assert PART_SCHEMA.equals(pa.schema([pa.field("position", pa.int64()), *KEYS_SCHEMA]))
