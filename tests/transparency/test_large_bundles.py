"""A large bundle is read by columns, piece by piece, and in two processes: it says what a small one says."""

import random
import sys
from collections import defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_prove import frozen

from forging import Forger
from simulator import SIGNER, World
from volition.errors import ProofError
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.stores.memory import MemoryStore
from volition.records.freeze import plain_parquet
from volition.records.snapshot import KEYS_SCHEMA, Key
from volition.transparency import prove
from volition.transparency.prove import prove_person, write_bundle
from volition.transparency.verify import apart, rows
from volition.transparency.verify.archive import pack, read_archive
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.keys import Keys
from volition.transparency.verify.people import verify_person

# --- rows, in columns ---

PEOPLE = [f"{number:032x}" for number in range(3)]

ROWS = st.lists(
    st.builds(
        Key,
        record_id=st.text(max_size=3),
        account=st.sampled_from(["acme", "brill", ""]),
        people=st.lists(st.sampled_from([*PEOPLE, "unknown"]), max_size=3).map(tuple),
        category=st.sampled_from(["content/chat", "service/usage"]),
        collected_us=st.integers(-5, 5),
        conversation=st.sampled_from([None, "", "c"]),
    ),
    max_size=20,
)


def table_of(keys):
    return pa.table({name: [getattr(key, name) for key in keys] for name in KEYS_SCHEMA.names}, schema=KEYS_SCHEMA)


def in_pieces(keys):
    """Return the keys as Parquet in several row groups, whose dictionaries are soon full."""
    sink = pa.BufferOutputStream()
    pq.write_table(table_of(keys), sink, row_group_size=7, dictionary_pagesize_limit=40, data_page_size=64)
    return sink.getvalue().to_pybytes()


@settings(max_examples=40)
@given(ROWS)
def test_rows_that_are_alike_are_one_group_wherever_they_lie(keys):
    groups = defaultdict(list)
    for key in keys:
        groups[key.account, key.people, key.category, key.conversation].append(key)
    for data in (plain_parquet(table_of(keys)), in_pieces(keys)):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(rows, "_AT_A_TIME", 3)
            found = Keys(data)
        assert [
            (
                one.example,
                (one.account, one.people, one.category, one.conversation),
                one.rows,
                one.first_us,
                one.last_us,
            )
            for one in found
        ] == [
            (alike[0].record_id, group, len(alike), *(pick(key.collected_us for key in alike) for pick in (min, max)))
            for group, alike in groups.items()
        ]
        assert list(found) == found.groups[:]
        assert found.people() == {
            person: sum(key.people.count(person) for key in keys) for key in keys for person in key.people
        }
        assert found.accounts() == {key.account: sum(one.account == key.account for one in keys) for key in keys}
        assert len(found) == len(keys)
        assert found.before(found.groups.first_us + 1) == sum(
            key.collected_us == min(one.collected_us for one in alike) for alike in groups.values() for key in alike
        )


@settings(max_examples=40)
@given(ROWS)
def test_the_party_sets_of_a_category_are_those_of_its_groups(keys):
    found = Keys(plain_parquet(table_of(keys)))
    for category, (places, party_set, party_sets) in found.by_category.items():
        assert places.tolist() == [place for place, group in enumerate(found) if group.category == category]
        for place, number in zip(places.tolist(), party_set.tolist(), strict=True):
            group = found.groups[place]
            assert party_sets.account_of(number) == group.account
            assert party_sets.people_of(number) == group.question().people


# --- a bundle, in two processes ---


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    world = World(folder)
    world.everyone_says("yes")
    world.lake.append([world.record(str(number), people=("ada", "bo")) for number in range(3)])
    snapshot = world.freeze()
    body = {"model": "m", "family": "search", "snapshot": snapshot.id, "digest": "0" * 64, "due_days": 30}
    world.ledger.append(NewEntry(kind="model", body=body))
    path = folder / "evidence.zip"
    write_bundle(
        path,
        ledger=world.ledger,
        snapshots=folder / "snapshots",
        models=folder / "models",
        releases=folder / "releases",
    )
    yield dict(read_archive(path))
    world.close()


@pytest.fixture
def verified(members, tmp_path):
    """Verify a bundle of these files, or of others."""

    def verify(others=members):
        path = tmp_path / "evidence.zip"
        path.write_bytes(pack(others))
        return verify_bundle(path, SIGNER.key)

    return verify


@pytest.fixture
def two_processes(monkeypatch):
    """Compare rows apart, however few they are; return what was answered."""
    answers = []
    wait = apart.Collections._wait

    def watched(self):
        wait(self)
        answers.append(self._made)

    monkeypatch.setattr(apart, "_WORTH_BYTES", 0)
    monkeypatch.setattr(apart.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(apart.Collections, "_wait", watched)
    return answers


def changed(members, **says):
    """Return the files of a bundle whose first row says something else, all of it signed anew."""
    forger = Forger(members)
    for name in list(members):
        if name.endswith("manifest.json"):
            forger.manifests[name.split("/")[1]] = lambda _, listed: [row.update(says) for row in listed[:1]]
    return forger.bundle()


@pytest.mark.slow
def test_two_processes_say_what_one_says(members, verified, two_processes, monkeypatch):
    for files in (members, changed(members, record_id="another")):
        together = verified(files)
        assert two_processes.pop()
        with monkeypatch.context() as patched:
            patched.setattr(apart, "_WORTH_BYTES", 1 << 40)
            assert verified(files) == together
        assert two_processes.pop() == {}
    assert [check.name.split()[0] for check in together.checks if not check.holds] == ["collection"]


def test_a_process_that_does_not_answer_is_not_trusted(members, verified, two_processes, tmp_path, monkeypatch):
    for does in ("exit 1", "echo '{}'", "echo nonsense", "cat > /dev/null; kill -9 $$"):
        python = tmp_path / "python3"
        python.write_text(f"#!/bin/sh\n{does}\n")
        python.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(python))
        assert verified().holds
        [check] = [one for one in verified(changed(members, record_id="another")).checks if not one.holds]
        assert "is not as it was collected" in check.detail
        assert two_processes[-2:] == [{}, {}]


# --- the archive, piece by piece ---


def test_a_file_of_a_bundle_is_read_from_wherever_one_likes(tmp_path):
    data = random.Random(1).randbytes(5000)
    path = tmp_path / "evidence.zip"
    path.write_bytes(pack({"before": b"x", "data": data, "later": b"y"}))
    archive = read_archive(path)
    with archive.open("data") as stream:
        assert stream.read() == data
        for start, whence, place in ((-7, 2, 4993), (10, 0, 10), (5, 1, 22)):
            assert stream.seek(start, whence) == place
            assert stream.read(7) == data[place : place + 7]
    assert "data" in archive
    assert "other" not in archive


def test_a_bundle_that_changes_while_it_is_checked_is_refused(tmp_path):
    path = tmp_path / "evidence.zip"
    path.write_bytes(pack({"data": b"one"}))
    archive = read_archive(path)
    other = tmp_path / "other.zip"
    other.write_bytes(pack({"data": b"two"}))
    other.replace(path)
    for read in (archive.open, archive.digest, archive.__getitem__):
        with pytest.raises(ProofError, match="was changed while it was being checked"):
            read("data")


# --- proofs of people, for many models ---


def proved_for_many_models(folder, *, most):
    """Prove a person's presence in a dozen snapshots of ten people; then again, without their files."""
    snapshots = [
        frozen(folder / str(number), {f"{number:02x}{name:030x}": 1 for name in range(10)}) for number in range(12)
    ]
    ledger = Ledger(MemoryStore(), SIGNER)
    for snapshot in snapshots:
        ledger.append(NewEntry(kind="snapshot", body={"snapshot": snapshot.id, "manifest": snapshot.digest}))
        ledger.append(NewEntry(kind="model", body={"model": f"of {snapshot.id}", "snapshot": snapshot.id}))

    def proofs():
        return [
            prove_person(ledger, snapshot, model=f"of {snapshot.id}", pseudonym=f"{number:02x}{0:030x}")
            for number, snapshot in enumerate(snapshots)
        ]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(prove, "_TREES", prove._Trees(most))
        before = proofs()
        for snapshot in snapshots:
            (snapshot.folder / "people.json").unlink()
        return before, proofs()


def test_the_trees_of_many_snapshots_are_built_once(tmp_path):
    before, again = proved_for_many_models(tmp_path, most=120)
    assert again == before
    assert all(proof["present"] and verify_person(proof, SIGNER.key).holds for proof in before)


def test_trees_beyond_what_may_be_kept_are_built_anew(tmp_path):
    with pytest.raises(ProofError, match="cannot be read"):
        proved_for_many_models(tmp_path, most=119)
