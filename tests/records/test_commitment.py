"""What was collected is on record: every record in the lake is as an entry of the ledger says that it was."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import SIGNER, START_US, World, keys_file, silent, world_in
from volition.canonical import canonical_json, digest
from volition.consent.gate import Subject
from volition.consent.parties import Parties
from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.log import Ledger
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.stores.sqlite import SqliteStore
from volition.records.commitment import (
    CollectedBatch,
    Fact,
    Leaves,
    commit_batch,
    people_key,
    person_alias,
    person_token,
    read_collected,
    salt_of,
    write_collected,
)
from volition.records.engines.arrow import ArrowEngine
from volition.records.lake import Lake
from volition.transparency.verify.collected import check_collected, logged_before


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        made.everyone_says("yes")
        yield made


def lying(world):
    """Return what lies in the lake of everybody, by record."""
    found = {}
    for pseudonym in world.people.values():
        found |= {fact.record_id: fact for fact in world.lake.facts(Subject(pseudonym=pseudonym, at_us=2**60))}
    return found


def entry_of(world, facts):
    """Return the number of the entry that speaks of each record, once all of them were checked."""
    facts = sorted(facts.values())
    batches = world.lake.collected(facts)
    entries = list(world.ledger.entries())
    check_collected(keys_file(facts), write_collected(batches), logged_before(entries, len(entries)))
    return {facts[row].record_id: batch.entry for batch in batches for row in batch.rows}


def collects(world):
    return [entry for entry in world.ledger.entries() if entry.kind == "collect"]


# --- the form ---


def test_a_leaf_is_the_canonical_json_of_what_is_described():
    people = people_key(bytes(32))
    alias = person_alias(person_token(people, "unknown"), "unknown")
    for identity in ("0" * 32, 'no "identity"'):
        for conversation in (None, "", "c" * 32):
            fact = Fact(identity, "büro", ("unknown", "unknown"), "content/chat", START_US, conversation)
            salt = salt_of(bytes(32), fact.record_id)
            expected = [salt.hex(), identity, "büro", [alias, alias], "content/chat", START_US, conversation]
            assert Leaves(people).leaf(fact, salt) == canonical_json(expected)


def test_an_entry_commits_to_the_sorted_leaves_of_its_batch():
    facts = [Fact(digest(bytes([n]))[:32], "acme", ("unknown",), "service/usage", n, "") for n in range(5)]
    body, hashes = commit_batch(facts, b"k" * 32)
    leaves = Leaves(people_key(b"k" * 32))
    tree = merkle.Tree(leaves.leaf(one, salt_of(b"k" * 32, one.record_id)) for one in sorted(facts))
    assert body == {"records": 5, "root": tree.root.hex()}
    assert commit_batch(reversed(facts), b"k" * 32) == (body, hashes)
    assert commit_batch(facts, b"l" * 32)[0] != body  # without the key nobody can guess


def test_the_documented_example_is_what_comes_out():
    text = (Path(__file__).parents[2] / "docs" / "formats" / "collected.md").read_text(encoding="utf-8")
    ada, bo = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
    one = Fact("11" * 16, "acme", (ada, bo), "content/transcript", 1_767_225_600_000_000, "c0" * 16)
    other = Fact("22" * 16, "acme", (ada,), "service/usage", 1_767_225_601_000_000, "")
    key = bytes(range(32))
    people = people_key(key)
    body, hashes = commit_batch([one, other], key)
    assert f"    {canonical_json(body).decode()}\n" in text
    assert f"    {Leaves(people).leaf(one, salt_of(key, one.record_id)).decode()}\n" in text
    salts = [salt_of(key, fact.record_id) for fact in (one, other)]
    tokens = [person_token(people, pseudonym) for pseudonym in (ada, bo)]
    for shown in (people, hashes[:32], hashes[32:], *salts, *tokens):
        assert f"`{shown.hex()}`" in text


def test_aliases_differ_from_batch_to_batch(world):
    record = world.record("one")
    token = [person_token(people_key(key * 32), record.people[0]) for key in (b"a", b"b")]
    assert person_alias(token[0], record.people[0]) != person_alias(token[1], record.people[0])


# --- one entry for each batch ---


def test_a_batch_is_one_entry_and_what_is_sent_again_is_none(world):
    records = [world.record(number, people=("ada", "bo")) for number in range(3)]
    world.lake.append(records)
    [entry] = collects(world)
    assert entry.body["records"] == 3
    assert world.lake.append(records).stored == 0
    world.lake.append([])
    assert collects(world) == [entry]
    world.lake.append([*records, world.record("another")])
    assert [one.body["records"] for one in collects(world)] == [3, 1]
    assert sorted(entry_of(world, lying(world)).values()) == [entry.seq] * 3 + [collects(world)[1].seq]


def test_an_entry_names_nobody(world):
    world.lake.append([world.record(0, people=("ada", "bo"))])
    [entry] = collects(world)
    assert set(entry.body) == {"records", "root"}


def test_a_lake_that_was_opened_without_a_ledger_stores_nothing_and_shows_nothing(world):
    reading = Lake(world.folder / "lake", world.parties, ArrowEngine())
    with closing(reading):
        with pytest.raises(InvalidInputError, match="without its ledger, to be read"):
            reading.append([world.record(0)])
        assert not lying(world)
        world.lake.append([world.record(1)])
        with pytest.raises(InvalidInputError, match="without its ledger, to be read"):
            reading.collected(list(lying(world).values()))


def test_a_ledger_that_cannot_be_appended_to_leaves_nothing_of_the_batch(world):
    lake = Lake(world.folder / "lake", world.parties, ArrowEngine(), Ledger(MemoryStore(), SIGNER.key))
    with closing(lake), pytest.raises(InvalidInputError, match="private key"):
        lake.append([world.record(0)])
    assert not lying(world)
    assert world.lake.append([world.record(0)]).stored == 1


STEPS = st.one_of(
    st.tuples(st.just("append"), st.lists(st.tuples(st.integers(0, 7), st.integers(1, 3)), max_size=6)),
    st.tuples(st.just("erase"), st.sampled_from(["acme-ada", "brill-bo"])),
    st.tuples(st.just("take back"), st.sets(st.integers(0, 7), max_size=4)),
    st.tuples(st.just("compact"), st.none()),
)


@settings(max_examples=8)
@given(steps=st.lists(STEPS, min_size=1, max_size=8))
def test_whatever_is_resent_changed_erased_or_compacted_every_record_is_as_its_batch_says(steps, tmp_path_factory):
    with world_in(tmp_path_factory.mktemp("world")) as world:
        belongs = {}
        for step, what in steps:
            before, size = lying(world), world.ledger.size
            match step:
                case "append":
                    appended = world.lake.append([form(world, number, version) for number, version in what])
                    entries = list(world.ledger.entries(size))
                    stored = appended.stored + appended.replaced
                    assert [entry.body["records"] for entry in entries] == [stored] * bool(stored)
                    belongs |= dict.fromkeys(lying(world).keys() - before.keys(), size)
                case "erase":
                    world.lake.erase_person(world.people[what])
                case "take back":
                    kept = [form(world, number, 1).record_id for number in what]
                    stretch_us = (START_US, START_US + 100)
                    about = {"category": "content/chat", "origin": "acme", "stretch_us": stretch_us, "present": kept}
                    world.lake.remove_others("acme", "general", sure_us=START_US + 100, **about)
                case "compact":
                    world.lake.compact(silent)
            found = lying(world)
            assert entry_of(world, found) == {record: belongs[record] for record in found}


def form(world, number, version):
    account, people = world.accounts[number % 2], (("ada", "bo", "cy")[number % 3], "bo")
    record = world.record(
        number, account, tuple(dict.fromkeys(people)), at_us=START_US + number, text=f"form {version}"
    )
    return replace(record, version=version, origin=account)


# --- killed between the steps ---

KILLED = """
import os, signal, sys
from pathlib import Path
from simulator import SIGNER, World
from volition.consent.parties import Parties
from volition.ledger.log import Ledger
from volition.ledger.stores.sqlite import SqliteStore
from volition.records.engines.arrow import ArrowEngine
from volition.records.lake import Lake
folder = Path(sys.argv[1])
world = World(folder, parties=Parties.open(folder))
ledger = Ledger(SqliteStore(folder / "ledger.db"), SIGNER, settle=lambda stored: os.kill(os.getpid(), signal.SIGKILL))
Lake(folder / "lake", world.parties, ArrowEngine(), ledger).append([world.record(n, at_us=n + 1) for n in range(3)])
"""


@pytest.mark.slow
def test_killed_between_the_entry_and_the_records_a_batch_is_sent_again_under_an_entry_of_its_own(world):
    SqliteStore.create(world.folder / "ledger.db").close()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(world.folder)], env={"PYTHONPATH": ":".join(sys.path)}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    with closing(SqliteStore(world.folder / "ledger.db")) as store:
        world.lake.close()
        world.ledger = Ledger(store, SIGNER)
        world.lake = Lake(world.folder / "lake", world.parties, ArrowEngine(), world.ledger)
        [left] = collects(world)
        assert left.body["records"] == 3
        assert not lying(world)
        assert world.lake.append([world.record(n, at_us=n + 1) for n in range(3)]).stored == 3
        assert set(entry_of(world, lying(world)).values()) == {left.seq + 1}


# --- what is not as it was collected ---


def test_an_index_whose_leaves_the_ledger_does_not_commit_to_is_refused(world):
    world.lake.append([world.record(0)])
    with closing(sqlite3.connect(world.folder / "lake" / "index.db")) as index, index:
        index.execute("UPDATE batches SET leaves = ?", (bytes(32),))
    with pytest.raises(ProofError, match="not of one time"):
        world.freeze()


def test_a_lake_that_is_newer_than_its_ledger_is_refused(world):
    world.lake.append([world.record(0)])
    lake = Lake(world.folder / "lake", world.parties, ArrowEngine(), Ledger(MemoryStore(), SIGNER))
    with closing(lake), pytest.raises(ProofError, match="not of one time"):
        lake.collected(list(lying(world).values()))


# --- lakes of earlier versions ---


def as_it_was(world):
    """Make the index one of the version before this one."""
    world.lake.close()
    with closing(sqlite3.connect(world.folder / "lake" / "index.db")) as index, index:
        index.execute("DROP TABLE batches")
        index.execute("ALTER TABLE records DROP COLUMN batch")


def test_a_lake_of_an_earlier_version_opens_and_goes_on(world):
    old = [world.record(number, people=("ada", "bo")) for number in range(3)]
    world.lake.append(old)
    as_it_was(world)
    with closing(World(world.folder, parties=Parties.open(world.folder))) as later:
        later.everyone_says("yes")
        assert later.lake.append([*old, later.record("new")]).stored == 1
        snapshot = later.freeze()
        assert snapshot.manifest["collected"] == {"batches": 1, "before": 3}
        before, batch = read_collected((snapshot.folder / "collected.parquet").read_bytes())
        assert {snapshot.keys[row].record_id for row in before.rows} == {record.record_id for record in old}
        assert (before.entry, batch.entry) == (None, collects(later)[0].seq)


def test_a_snapshot_of_an_earlier_version_opens(world):
    world.lake.append([world.record(0)])
    snapshot = world.freeze()
    manifest = json.loads((snapshot.folder / "manifest.json").read_bytes())
    del manifest["collected"], manifest["files"]["collected.parquet"]
    data = canonical_json(manifest)
    older = shutil.copytree(snapshot.folder, world.folder / f"train-search-{digest(data)[:12]}")
    (older / "manifest.json").write_bytes(data)
    (older / "collected.parquet").unlink()
    opened = type(snapshot).open(older)
    opened.check()
    assert opened.keys == snapshot.keys


# --- the file ---


def test_the_file_is_read_back_as_it_was_written():
    batches = [
        CollectedBatch(entry=None, people_key=b"", rows=[1], indexes=[], salts=b"", leaves=b""),
        CollectedBatch(entry=3, people_key=b"k" * 32, rows=[0, 2], indexes=[4, 0], salts=b"s" * 32, leaves=b"l" * 160),
    ]
    data = write_collected(batches)
    assert list(read_collected(data)) == batches
    assert write_collected(batches) == data
    assert list(read_collected(write_collected([]))) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"people_key": b"k" * 31},
        {"salts": b"s" * 31},
        {"leaves": b"l" * 33},
        {"indexes": [1]},
        {"rows": [], "indexes": [], "salts": b""},
        {"entry": None},
        {"people_key": None},
        {"leaves": None},
    ],
)
def test_a_file_with_a_batch_that_is_not_whole_is_refused(broken):
    batch = CollectedBatch(
        entry=3, people_key=b"k" * 32, rows=[0, 2], indexes=[1, 0], salts=b"s" * 32, leaves=bytes(64)
    )
    table = pq.read_table(pa.BufferReader(write_collected([batch])))
    table = pa.Table.from_pylist([table.to_pylist()[0] | broken], schema=table.schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    with pytest.raises(ProofError, match="not whole"):
        list(read_collected(sink.getvalue()))
    sink = pa.BufferOutputStream()
    pq.write_table(table.drop_columns(["salts"]), sink)
    with pytest.raises(ProofError, match="other columns"):
        list(read_collected(sink.getvalue()))
