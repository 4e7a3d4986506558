"""Freezing block by block gives the bytes that freezing at once gives, whatever fits into memory."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plainly_frozen import plainly_frozen

from simulator import HashEncoder, silent, world_in
from volition.canonical import canonical_json, digest
from volition.consent.terms.model import CATEGORIES
from volition.errors import BackendError, ProofError
from volition.files import PART, folder_aside, settle, write_folder
from volition.records import frozen_files, spilled
from volition.records.frozen_files import PLAIN, BlockedParquet, DigestedFile
from volition.records.scrub import Scrubber, may_hold_identifiers
from volition.records.snapshot import KEYS_SCHEMA, Snapshot
from volition.records.spilled import SpilledSort, in_blocks
from volition.transparency.verify.keys import Keys


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        made.everyone_says("yes")
        yield made


def let_little_fit(patched):
    """Let next to nothing fit into memory."""
    patched.setattr(spilled, "RUN_BYTES", 900)
    patched.setattr(spilled, "_MERGED_ROWS", 2)
    patched.setattr("volition.records.freeze.BLOCK_ROWS", 3)
    patched.setattr("volition.records.snapshot._AT_A_TIME", 4)
    patched.setattr("volition.records.snapshot._KEYS_AT_A_TIME", 2)


# --- against the reference ---

PEOPLE = [("ada",), ("bo", "ada"), ("cy", "bo", "ada"), ("unknown", "ada")]
TEXTS = [
    "nothing to see",
    "Ada Byron said so",
    "BO knows",
    'he said "Cy"',
    "mail bo@x.example",
    "call 020 7946 0018",
    "build 1234567",
    "see https://x.example/aBcDeFgH12345678",
    "Büro",
    "é",
]
RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["acme", "brill"]),
        st.sampled_from(PEOPLE),
        st.sampled_from(["chat", "line", "heard", "opened", "looked"]),
        st.sampled_from(TEXTS),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=14,
)
SAID = st.lists(
    st.tuples(st.sampled_from(["acme-ada", "brill-bo", "brill"]), st.sampled_from(["yes", "no"])), max_size=3
)


def fill(world, records):
    """Collect records in several batches: what was said, what was heard, which hits were opened."""
    batch = []
    for number, (account, people, kind, text, day) in enumerate(records):
        at_us = world.clock.now_us - day * 1000
        told = {"account": account, "people": people, "at_us": at_us}
        if kind == "chat":
            made = world.record(number, **told, text=text, author="Somebody")
        elif kind in {"line", "heard"}:
            heard = {"heard_in": "content/audio"} if kind == "heard" else {}
            made = world.record(number, **told, category="content/transcript", text=text, speaker="Somebody", **heard)
        else:
            attributes = {"volition.item": "document/1", "search.query": text, "took_ms": 31.234567891}
            attributes |= {"search.channel": "general"} if kind == "looked" else {}
            made = world.record(number, **told, category="service/usage", attributes=attributes)
        batch.append(made)
        if number % 4 == 3:
            world.lake.append(batch)
            batch = []
    world.lake.append(batch)


def frozen_both_ways(world, permits, **how):
    note, until_us = world.ledger.checkpoint(), permits.at_us
    asked = {"permits": permits, "categories": CATEGORIES, **how}
    plain = plainly_frozen(lake=world.lake, parties=world.parties, checkpoint=note, until_us=until_us, **asked)
    snapshot = world.freeze(**asked, collected_until_us=until_us)
    return snapshot, plain


@pytest.mark.slow
@settings(max_examples=8)
@given(records=RECORDS, before=SAID, after=SAID)
def test_the_bytes_are_those_of_the_plain_reference(tmp_path_factory, records, before, after):
    with pytest.MonkeyPatch.context() as patched, world_in(tmp_path_factory.mktemp("world")) as world:
        let_little_fit(patched)
        world.everyone_says("yes")
        fill(world, records)
        world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
        for name, answer in before:
            world.say(name, answer, covers="past")
        first, plain = frozen_both_ways(world, world.permits(), encoder_id="e")
        assert written(first) == plain

        for name, answer in after:
            world.say(name, answer, covers="past")
        fill(world, records[:1])
        later, plain = frozen_both_ways(world, world.permits(), within=first)
        assert written(later) == plain


def written(snapshot):
    return {path.name: path.read_bytes() for path in snapshot.folder.iterdir()}


def test_rows_are_read_as_they_are_asked_for_and_are_the_same(world, monkeypatch):
    fill(world, [("acme", ("ada",), "chat", text, 0) for text in TEXTS])
    snapshot = world.freeze()
    before, keys = snapshot.rows(world.parties), Snapshot.open(snapshot.folder).keys
    let_little_fit(monkeypatch)
    assert snapshot.rows(world.parties) == before
    assert Snapshot.open(snapshot.folder).keys == keys
    rows = snapshot.stream(world.parties)
    assert next(rows) == before[0]
    rows.close()
    rows = snapshot.stream(world.parties)
    next(rows)
    os.utime(snapshot.folder / "rows.parquet", ns=(0, 0))  # somebody writes to it meanwhile
    with pytest.raises(ProofError, match="was changed"):
        list(rows)
    (snapshot.folder / "rows.parquet").write_bytes(b"another")
    with pytest.raises(ProofError, match="was changed"):
        next(snapshot.stream(world.parties))


def test_rows_are_grouped_by_their_number_and_size_and_are_read_by_whoever_checks(world, monkeypatch):
    fill(world, [("acme", PEOPLE[number % 3], "chat", "words", 0) for number in range(10)])
    at_once = world.freeze()
    monkeypatch.setattr("volition.records.freeze.BLOCK_ROWS", 2)
    monkeypatch.setattr(frozen_files, "_GROUP_ROWS", 4)
    several = world.freeze()
    for name, sizes in (("keys.parquet", [4, 4, 2]), ("rows.parquet", [4, 4, 2])):
        metadata = pq.ParquetFile(several.folder / name).metadata
        assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == sizes
    assert several.keys == at_once.keys
    assert several.rows(world.parties) == at_once.rows(world.parties)
    assert len(Keys((several.folder / "keys.parquet").read_bytes())) == 10
    monkeypatch.setattr(frozen_files, "_GROUP_BYTES", 1)
    assert pq.ParquetFile(world.freeze().folder / "keys.parquet").metadata.num_row_groups == 5


# --- sorting more than fits ---

ROWS = st.lists(st.tuples(st.sampled_from("abé"), st.integers(-3, 3), st.text(max_size=3)), max_size=60)
SCHEMA = pa.schema([("account", pa.string()), ("at", pa.int64()), ("text", pa.string())])


@settings(max_examples=40)
@given(rows=ROWS, size=st.integers(1, 7), run=st.sampled_from([1, 200, 10**6]), merged=st.integers(1, 5))
def test_spilled_rows_are_sorted_as_python_sorts_them(tmp_path_factory, rows, size, run, merged):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(spilled, "RUN_BYTES", run)
        patched.setattr(spilled, "_MERGED_ROWS", merged)
        with SpilledSort(SCHEMA, SCHEMA.names, tmp_path_factory.getbasetemp()) as sort:
            for start in range(0, len(rows), size):
                batch = [dict(zip(SCHEMA.names, row, strict=True)) for row in rows[start : start + size]]
                sort.add(pa.RecordBatch.from_pylist(batch, schema=SCHEMA))
            found = [tuple(row.values()) for batch in sort.sorted() for row in batch.to_pylist()]
    assert found == sorted(rows)
    assert sort.rows == len(rows)


@given(sizes=st.lists(st.integers(0, 9), max_size=8), rows=st.integers(1, 5))
def test_blocks_have_one_size_and_keep_the_order(sizes, rows):
    ends = np.cumsum([0, *sizes])
    schema = pa.schema([("n", pa.int64())])
    batches = [pa.record_batch({"n": pa.array(range(start, end), pa.int64())}) for start, end in pairwise(ends)]
    blocks = [block["n"].to_pylist() for block in in_blocks(batches, schema, rows)]
    assert [one for block in blocks for one in block] == list(range(ends[-1]))
    assert all(len(block) == rows for block in blocks[:-1])
    assert all(0 < len(block) <= rows for block in blocks[-1:])


# --- what need not be scrubbed ---

PIECES = st.sampled_from(
    [
        "a",
        "Ada",
        "ada",
        "BO",
        " ",
        "1",
        "23",
        "4567890",
        ".",
        "-",
        "(",
        "www.",
        "WWW.",
        "://",
        "http",
        "@",
        "x",
        '"',
        "\\",
        "é",
        "é",
        "\n",
        ":",
        ",",
        "[email]",
        "speaker",
        "/",
        "12",
        "345",
    ]
)
TEXT = st.lists(PIECES, max_size=8).map("".join)
VALUES = st.recursive(
    TEXT
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.none()
    | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100)
@given(payload=st.dictionaries(TEXT, VALUES, max_size=4))
@example(payload={"a": "b", "c": 12345678, "d": "1 2 3 4 5 6"})
@example(payload={":1234567,": 1})
def test_what_is_not_read_would_not_be_changed(payload):
    scrubber = Scrubber({"person-1": ["Ada Byron", "Bo"]})
    written = canonical_json(payload)
    [may_hold] = may_hold_identifiers(pa.array([written], pa.binary()), ["speaker"])
    if not may_hold and not any(hint in written.lower() for hint in scrubber.hints):
        assert canonical_json(scrubber.scrub_payload(payload)) == written


def test_usage_that_names_nobody_is_not_read():
    plain = {"kind": "event", "name": "opened", "attributes": {"took_ms": 31.234567891234, "ui.view": "list"}}
    telling = [
        plain | {"text": "020 7946 0018"},
        plain | {"speaker": "x"},
        plain | {"text": "é"},
        plain | {"text": "see www.x.example"},
        plain | {"text": 'a "quote"'},
    ]
    payloads = pa.array([canonical_json(one) for one in [plain, *telling]], pa.binary())
    assert may_hold_identifiers(payloads, ["speaker"]).tolist() == [False, *[True] * len(telling)]
    assert Scrubber({"person-1": ["Бо"]}).hints is None  # such names are looked for in every text
    assert Scrubber({}).hints == ()


# --- written aside ---


def test_a_folder_aside_appears_whole_under_its_name_or_not_at_all(tmp_path):
    with folder_aside(tmp_path) as aside:
        (aside / "a").write_bytes(b"a")
    assert not list(tmp_path.iterdir())
    for _ in range(2):
        with folder_aside(tmp_path) as aside:
            assert aside.suffix == PART
            (aside / "a").write_bytes(b"a")
            write_folder(tmp_path / "other", {"b": b"b"})  # who writes meanwhile does not sweep it
            settle(aside, tmp_path / "whole")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "whole"]
    assert (tmp_path / "whole" / "a").read_bytes() == b"a"


KILLED = """
import os, signal, sys
from pathlib import Path
from volition.files import folder_aside
with folder_aside(Path(sys.argv[1])) as aside:
    (aside / "a").write_bytes(b"a")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_what_a_killed_writer_left_aside_is_swept_by_the_next_one(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert [path.suffix for path in tmp_path.iterdir()] == [PART]
    write_folder(tmp_path / "other", {"b": b"b"})
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_full_disk_leaves_no_snapshot_and_says_what_to_do(world, monkeypatch):
    fill(world, [("acme", ("ada",), "chat", "words", 0)])

    def full(_self, _data):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(DigestedFile, "write", full)
    with pytest.raises(BackendError, match="free space and try again"):
        world.freeze()
    assert not list((world.folder / "snapshots").iterdir())


def test_an_account_that_was_erased_meanwhile_leaves_no_snapshot(world):
    fill(world, [("acme", ("ada",), "chat", "words", 0)])
    permits = world.permits()
    world.parties.destroy_account_key("acme")
    with pytest.raises(Exception, match="erased"):
        world.freeze(permits=permits)
    assert not list((world.folder / "snapshots").iterdir())


def test_a_file_of_blocks_is_the_file_that_is_written_at_once(tmp_path):
    rows = [
        {"record_id": str(number), "account": "a", "people": ["x"] * (number % 3), "category": "c", "collected_us": 1}
        for number in range(10)
    ]
    table = pa.Table.from_pylist(rows, schema=KEYS_SCHEMA)
    pq.write_table(table, tmp_path / "at-once", **PLAIN)
    with BlockedParquet(tmp_path / "blocks", KEYS_SCHEMA, PLAIN) as file:
        for block in in_blocks(table.to_batches(max_chunksize=3), KEYS_SCHEMA, 4):
            file.add(block)
        file.finish()
    data = (tmp_path / "blocks").read_bytes()
    assert data == (tmp_path / "at-once").read_bytes()
    assert file.digest == digest(data)
