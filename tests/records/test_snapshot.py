"""Snapshots: what the gate let through, frozen, scrubbed, sealed, and the same bytes every time."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import DAY_US, START_US, TERMS, HashEncoder, World, bytes_in, silent, world_in
from volition.canonical import digest, us_to_text
from volition.consent.gate import concerned, decide
from volition.consent.parties import Parties
from volition.consent.permits import Permit, Reason, Use, permit
from volition.consent.terms.model import CATEGORIES
from volition.errors import InvalidInputError, ProofError, RefusedError
from volition.ledger import merkle
from volition.records.freeze import freeze
from volition.records.snapshot import (
    FILES,
    KEYS_SCHEMA,
    ROWS_SCHEMA,
    Key,
    LazyRows,
    Snapshot,
    person_leaf,
    person_tag,
    rows_commitment,
)

WORD = "Quetzalcoatlus"


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        made.everyone_says("yes")
        yield made


def fill(world):
    """Put in the lake what several people of two accounts said and did; return the records."""
    records = [
        world.record(
            f"{account}{number}{category}", account=account, people=people, text=f"{WORD} {number}", category=category
        )
        for account in world.accounts
        for number, people in enumerate([("ada",), ("bo", "ada"), ("cy",), ("ada", "bo", "cy")])
        for category in ("content/chat", "service/usage")[number % 2 :]
    ]
    world.lake.append(records)
    return records


def files(snapshot):
    return {path.name: path.read_bytes() for path in snapshot.folder.iterdir()}


# --- the same every time ---


def test_freezing_twice_gives_the_same_bytes(world, tmp_path):
    fill(world)
    world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
    permits = world.permits()
    note = world.ledger.checkpoint()
    first, second = (freeze_at(world, permits, note, tmp_path / name) for name in ("one", "two"))
    assert files(first) == files(second)
    assert first.id == second.id
    assert set(files(first)) == {"manifest.json", "keys.parquet", "people.json", "rows.parquet", "collected.parquet"}


def freeze_at(world, permits, note, folder):
    """Freeze as of a checkpoint, not telling the ledger, so that the next one can be the same."""
    return freeze(
        folder,
        lake=world.lake,
        parties=world.parties,
        permits=permits,
        checkpoint=note,
        categories=CATEGORIES,
        collected_until_us=permits.at_us,
        progress=silent,
    )


OTHER_PROCESS = """
import json, sys
from pathlib import Path
from volition.records.engines.duckdb import DuckDBEngine
from volition.consent.history import read_history
from volition.records.lake import Lake
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.memory import MemoryStore
from volition.consent.parties import Parties
from volition.consent.permits import Permits
from volition.records.freeze import freeze
from volition.consent.terms.model import CATEGORIES
folder, leaves, at_us, note = Path(sys.argv[1]), *json.loads(sys.stdin.read())
parties = Parties.open(folder)
entries = [Entry.from_leaf(leaf.encode()) for leaf in leaves]
history = read_history(entries)
ledger = Ledger(MemoryStore(), Signer.from_seed("log.example/other", bytes(32)))
ledger.append(*(NewEntry(kind=entry.kind, body=entry.body) for entry in entries))
permits = Permits(history, purpose="train/search", at_us=at_us)
frozen = freeze(folder / "elsewhere", lake=Lake(folder / "lake", parties, DuckDBEngine(), ledger),
                parties=parties, permits=permits, checkpoint=note, categories=CATEGORIES, collected_until_us=at_us,
                progress=lambda *told: None)
print(frozen.id)
"""


@pytest.mark.slow
def test_another_process_freezes_the_same_bytes(world, tmp_path):
    fill(world)
    permits, note = world.permits(), world.ledger.checkpoint()
    here = freeze_at(world, permits, note, tmp_path / "here")
    told = json.dumps([[entry.leaf_bytes.decode() for entry in world.ledger.entries()], permits.at_us, note])
    done = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(world.folder)], input=told, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [here.id]
    assert files(Snapshot.open(world.folder / "elsewhere" / here.id)) == files(here)


def test_the_order_of_collection_does_not_matter(world, tmp_path):
    records = fill(world)
    permits, note = world.permits(), world.ledger.checkpoint()
    with closing(Parties.open(world.folder)) as parties:
        (tmp_path / "other").mkdir()
        other = World(tmp_path / "other", parties=parties)
        for record in reversed(records):
            other.lake.append([record])
        other.ledger = world.ledger
        one, two = (files(freeze_at(place, permits, note, tmp_path / place.folder.name)) for place in (other, world))
        assert one.keys() == two.keys()
        how_collected = {"collected.parquet", "manifest.json"}  # one names the batches, the other its digest
        assert {name for name in one if one[name] != two[name]} == how_collected
        other.lake.close()


def test_freezing_what_is_frozen_already_changes_nothing(world, tmp_path):
    fill(world)
    permits, note = world.permits(), world.ledger.checkpoint()
    first = freeze_at(world, permits, note, tmp_path / "one")
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    assert freeze_at(world, permits, note, tmp_path / "one").id == first.id
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before


# --- what is in it ---


def test_the_manifest_adds_up(world):
    records = fill(world)
    world.say("brill-ada", "no", purpose=("train",))
    until_us = records[-3].collected_us
    snapshot = world.freeze(collected_until_us=until_us, encoder_id="e")
    manifest = snapshot.manifest
    assert len(snapshot.keys) > 0
    for category in ("content/chat", "service/usage"):
        counts = manifest["rows"][category]
        assert counts["read"] == sum(record.category == category for record in records)
        assert counts["read"] == counts["kept"] + sum(counts["dropped"].values()) + counts.get("left_out", 0)
        assert counts["kept"] == sum(key.category == category for key in snapshot.keys)
    assert manifest["rows"]["service/usage"]["dropped"] == {"withdrawn": 2}
    assert sum(counts.get("left_out", 0) for counts in manifest["rows"].values()) == 1
    assert manifest["accounts"] == Counter(key.account for key in snapshot.keys)
    assert manifest["collected_until"] == us_to_text(until_us)
    assert manifest["checkpoint"] == world.ledger.checkpoint(world.ledger.size - 1)  # as it was before this very entry
    assert (manifest["encoder"], manifest["within"], manifest["purpose"]) == ("e", None, "train/search")
    assert manifest["files"] == {
        name: digest(data) for name, data in files(snapshot).items() if name != "manifest.json"
    }
    assert snapshot.folder.name == f"train-search-{snapshot.digest[:12]}"


def test_rows_are_in_the_one_order_and_keys_say_what_rows_hold(world):
    fill(world)
    snapshot = world.freeze()
    rows = snapshot.rows(world.parties)
    order = [(row.account, row.collected_us, row.record_id) for row in rows]
    assert order == sorted(order)
    assert [(row.record_id, row.account, row.people, row.category, row.collected_us) for row in rows] == [
        (key.record_id, key.account, key.people, key.category, key.collected_us) for key in snapshot.keys
    ]


def test_the_tree_of_people_is_sorted_and_commits_to_each_ones_rows(world):
    fill(world)
    snapshot = world.freeze()
    counts = Counter(pseudonym for key in snapshot.keys for pseudonym in key.people)
    assert counts[world.people["acme-ada"]] == 4
    expected = sorted(
        (tag := person_tag("train/search", snapshot.manifest["at"], pseudonym), rows_commitment(tag, pseudonym, total))
        for pseudonym, total in counts.items()
    )
    leaves = snapshot.people_leaves()
    assert leaves == [person_leaf(*leaf) for leaf in expected]
    assert snapshot.manifest["people"] == {"size": len(counts), "root": merkle.Tree(leaves).root.hex()}
    told = (snapshot.folder / "people.json").read_text() + (snapshot.folder / "manifest.json").read_text()
    assert not any(pseudonym in told for pseudonym in counts)


def test_the_forms_that_outsiders_check_are_the_ones_written_down():
    tag = person_tag("train/search", "2026-01-01T00:00:00.000000Z", "ab" * 16)
    assert tag == digest(b'["volition/person","train/search","2026-01-01T00:00:00.000000Z","' + b"ab" * 16 + b'"]')
    commitment = rows_commitment(tag, "ab" * 16, 3)
    assert commitment == digest(f'["volition/rows","{tag}","{"ab" * 16}",3]'.encode())
    assert person_leaf(tag, commitment) == f'["{tag}","{commitment}"]'.encode()


def test_embeddings_are_frozen_with_their_rows(world):
    fill(world)
    world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
    lake = {row.record_id: row.embedding for row in world.rows()}
    for row in world.freeze(encoder_id=HashEncoder().id).rows(world.parties):
        assert (row.embedding is None) == (row.category == "service/usage")
        assert row.embedding is None or np.array_equal(row.embedding, lake[row.record_id])


def test_embeddings_that_the_purpose_does_not_need_are_left_out(world):
    fill(world)
    world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
    assert all(row.embedding is None for row in world.freeze().rows(world.parties))


def test_of_keys_that_were_written_before_they_named_conversations_none_is_known(world):
    fill(world)
    snapshot = world.freeze()
    sink = pa.BufferOutputStream()
    pq.write_table(pq.read_table(snapshot.folder / "keys.parquet").drop_columns(["conversation"]), sink)
    old = Snapshot.read_keys(sink.getvalue().to_pybytes())
    assert old == tuple(replace(key, conversation=None) for key in snapshot.keys)
    assert {key.conversation is None for key in snapshot.keys} == {False}


def test_an_empty_snapshot_is_one_too(world):
    snapshot = world.freeze()
    assert (snapshot.keys, snapshot.rows(world.parties), snapshot.people_leaves()) == ((), [], [])
    assert snapshot.manifest["people"] == {"size": 0, "root": merkle.EMPTY_ROOT.hex()}


@pytest.mark.parametrize("size", ["empty", "full"])
def test_its_files_have_the_schema_that_the_manifest_says_and_the_content_is_compressed(world, size):
    if size == "full":
        fill(world)
    snapshot = world.freeze()
    for name, schema, kind in (
        ("keys.parquet", KEYS_SCHEMA, "UNCOMPRESSED"),
        ("rows.parquet", ROWS_SCHEMA, "ZSTD"),
    ):
        file = pq.ParquetFile(snapshot.folder / name)
        assert file.schema_arrow == schema
        assert snapshot.manifest["schema"][name] == {field.name: str(field.type) for field in schema}
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        assert {group.column(0).compression for group in groups} == {kind}


def test_freezing_says_how_far_it_has_come(world):
    records = fill(world)
    told = []
    world.freeze(progress=lambda *what: told.append(what))
    assert told == [("scrubbing", 0, len(records)), ("encrypting", len(records), len(records))]


def test_within_an_earlier_one_there_is_never_a_row_more(world):
    records = fill(world)
    before = world.freeze()
    world.lake.append([world.record("late"), world.record("early", at_us=START_US)])
    world.say("acme-cy", "no")
    after = world.freeze(within=before, collected_until_us=records[-1].collected_us)
    assert after.manifest["within"] == before.id
    cy = world.people["acme-cy"]
    left = [key for key in before.keys if cy not in (key.people if key.category == "content/chat" else key.people[:1])]
    assert after.keys == tuple(left)
    assert len(left) == len(before.keys) - 2


# --- scrubbed and sealed ---


def test_identifiers_are_scrubbed_and_what_names_a_source_is_kept(world):
    ts = "1565616154.000100"
    record = world.record(
        1,
        people=("ada", "bo"),
        text="Ada Byron told BO BERG: bo@x.example, +44 20 7946 0018, not Cy",
        ts=ts,
        thread=ts,
        author="Ada Byron",
        files=[{"title": "from Ada"}],
    )
    world.lake.append([record])
    [row] = world.freeze().rows(world.parties)
    ada, bo = (f"[person-{world.people[name][:8]}]" for name in ("acme-ada", "acme-bo"))
    assert row.payload == {
        "kind": "message",
        "channel": "general",
        "ts": ts,
        "thread": ts,
        "author": ada,
        "text": f"{ada} told {bo}: [email], [number], not Cy",
        "files": [{"title": f"from {ada}"}],
    }


def test_a_query_is_scrubbed_of_the_names_in_the_meeting_it_is_about_also_if_they_said_no(world):
    meeting = [
        world.record(n, people=("bo", "cy"), category="content/transcript", channel="standup", meeting="standup")
        for n in range(2)
    ]
    chat = world.record("c", people=("cy",), channel="random")
    clicks = [
        world.record(
            f"click-{name}",
            category="service/usage",
            attributes={
                "search.query": "what did Bo Berg and Cy Clark say",
                f"search.{kind}": name,
                "search.ts": "1565616154.1",
            },
        )
        for kind, name in (("meeting", "standup"), ("channel", "random"), ("channel", "elsewhere"))
    ]
    world.lake.append([*meeting, chat, *clicks])
    bo, cy = (f"[person-{world.people[name][:8]}]" for name in ("acme-bo", "acme-cy"))

    def queries():
        rows = world.freeze().rows(world.parties)
        return [row.payload["attributes"] for row in rows if row.category == "service/usage"]

    told = [f"what did {who} say" for who in (f"{bo} and {cy}", f"Bo Berg and {cy}", "Bo Berg and Cy Clark")]
    assert [attributes["search.query"] for attributes in queries()] == told
    assert queries()[0]["search.ts"] == "1565616154.1"
    world.say("acme-cy", "no", data=("content",))  # now neither the meeting nor the channel is in the snapshot
    assert [attributes["search.query"] for attributes in queries()] == told


@pytest.mark.parametrize("odd", [["standup"], {"a": 1}, 5, None, True])
def test_an_event_of_an_odd_form_stops_nobody(world, odd):
    attributes = {"search.query": "q", "search.meeting": odd, "search.channel": odd}
    world.lake.append([world.record(1, category="service/usage", attributes=attributes)])
    assert world.freeze().rows(world.parties)[0].payload["attributes"] == attributes


def test_a_rule_may_leave_identifiers_in(tmp_path):
    rules = tuple(replace(rule, scrub="content" not in rule.data) for rule in TERMS.rules)
    with world_in(tmp_path, terms=replace(TERMS, rules=rules)) as world:
        world.everyone_says("yes")
        world.lake.append(
            [world.record(1, text="Ada Byron"), world.record(2, category="service/usage", body="Ada Byron")]
        )
        chat, usage = sorted(world.freeze().rows(world.parties), key=lambda row: row.category)
        assert chat.payload["text"] == "Ada Byron"
        assert usage.payload["body"] == f"[person-{world.people['acme-ada'][:8]}]"


def test_content_is_sealed_and_a_destroyed_key_closes_it_in_every_copy(world, tmp_path_factory):
    fill(world)
    world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
    snapshot = world.freeze(categories=["content/chat"])
    copy = shutil.copytree(snapshot.folder, tmp_path_factory.mktemp("backup") / snapshot.id)
    assert WORD.encode() not in bytes_in(world.folder)
    assert any(WORD in row.payload["text"] for row in snapshot.rows(world.parties))
    world.parties.destroy_account_key("acme")
    for folder in (snapshot.folder, copy):
        with pytest.raises(RefusedError, match="acme was erased"):
            Snapshot.open(folder).rows(world.parties)
        rows = Snapshot.open(folder).rows(world.parties, without={"acme"})
        assert {row.account: bool(row.payload) for row in rows} == {"acme": False, "brill": True}
        assert all(row.embedding is None for row in rows if row.account == "acme")


def test_erased_content_is_gone_and_the_proof_of_it_stays(world):
    fill(world)
    snapshot = world.freeze()
    snapshot.erase_content()
    again = Snapshot.open(snapshot.folder)
    with pytest.raises(InvalidInputError, match="was erased"):
        again.rows(world.parties)
    assert again.keys == snapshot.keys
    assert again.people_leaves() == snapshot.people_leaves()
    again.check()
    again.erase_content()


# --- changed behind our back ---


@pytest.mark.parametrize("name", ["manifest.json", *FILES])
def test_a_changed_file_is_refused_before_it_is_read(world, name):
    fill(world)
    snapshot = world.freeze()
    path = snapshot.folder / name
    data = path.read_bytes()
    for position in range(0, len(data), max(1, len(data) // 12)):
        changed = bytearray(data)
        changed[position] ^= 0x20
        path.write_bytes(bytes(changed))
        with pytest.raises(ProofError, match="was changed"):
            use(snapshot.folder, world)
    for changed in (b"", data[:-1], data + b" "):
        path.write_bytes(changed)
        with pytest.raises(ProofError, match="was changed"):
            use(snapshot.folder, world)
    path.unlink()
    with pytest.raises((ProofError, InvalidInputError)):
        use(snapshot.folder, world)


def use(folder, world):
    snapshot = Snapshot.open(folder)
    snapshot.stale(world.permits())
    snapshot.people_leaves()
    snapshot.rows(world.parties)
    snapshot.check()


def test_another_snapshots_files_are_refused(world):
    fill(world)
    one = world.freeze()
    world.say("acme-ada", "no")
    two = world.freeze()
    for name in FILES:
        other = shutil.copytree(two.folder, world.folder / name / two.id)
        (other / name).write_bytes((one.folder / name).read_bytes())
        with pytest.raises(ProofError):
            use(other, world)
    moved = shutil.copytree(two.folder, world.folder / one.id)
    with pytest.raises(ProofError):
        Snapshot.open(moved)


def test_what_is_no_snapshot_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InvalidInputError, match="no snapshot"):
            Snapshot.open(folder)


# --- what is stale, and what was written anew ---


def test_the_rows_that_a_no_takes_away_are_named_with_their_verdicts_and_in_order(world):
    fill(world)
    snapshot = world.freeze()
    assert snapshot.stale(world.permits()) == []
    world.say("acme", "no", data=("content",))
    now = world.permits()
    stale = snapshot.stale(now)
    assert [row.key for row in stale] == [
        key for key in snapshot.keys if key.category == "content/chat" and key.account == "acme"
    ]
    assert len(stale) == 2
    assert {(row.verdict.party, row.verdict.reason) for row in stale} == {("account:acme", Reason.WITHDRAWN)}


def test_retention_takes_away_what_is_too_old_and_leaves_the_last_instant(tmp_path):
    with world_in(tmp_path, terms=AGED) as world:
        world.everyone_says("yes")
        old, young = (world.record(number, at_us=START_US + number) for number in range(2))
        world.lake.append([old, young])
        snapshot = world.freeze()
        at_us = START_US + 3 * DAY_US
        assert snapshot.stale(world.permits(at_us=at_us)) == []
        [stale] = snapshot.stale(world.permits(at_us=at_us + 1))
        assert (stale.key.record_id, stale.verdict.reason) == (old.record_id, Reason.TOO_OLD)
        assert len(snapshot.stale(world.permits(at_us=at_us + 2))) == 2


def test_whose_rows_are_scrubbed_by_other_names_is_seen_without_a_key(world):
    world.lake.append(
        [
            world.record(1, people=("ada", "bo"), text="the tall one"),
            world.record(2, people=("bo",), text="the tall one"),
            world.record(3, people=("cy",), text="the tall one"),
            world.record(4, account="brill", people=("bo", "ada"), text="the tall one"),
            world.record(5, people=("ada", "bo"), text="nobody in particular"),
        ]
    )
    before, left_out = world.freeze(), world.freeze(categories=["service/usage"])
    assert before.rewritten_in(before) == before.rewritten_in(left_out) == set()
    world.parties.changes.add_handles("acme-bo", aliases=["the tall one"])
    after = world.freeze(within=before)
    world.parties.destroy_account_key("acme")
    bo, ada = world.people["acme-bo"], world.people["acme-ada"]
    assert before.rewritten_in(after) == {("acme", (ada,)), ("acme", (bo,))}


def test_lazy_rows_are_read_when_they_are_first_used_and_once(world):
    fill(world)
    snapshot = world.freeze()
    read = []
    rows = LazyRows(lambda: read.append("read") or snapshot.rows(world.parties))
    assert read == []
    assert [row.record_id for row in rows] == [key.record_id for key in snapshot.keys]
    assert (len(rows), rows[0].record_id) == (len(snapshot.keys), snapshot.keys[0].record_id)
    assert [row.record_id for row in rows[1:3]] == [key.record_id for key in snapshot.keys[1:3]]
    assert read == ["read"]


# --- against the reference, row by row ---

PARTIES = ["acme", "brill", *(f"{account}-{name}" for account in ("acme", "brill") for name in ("ada", "bo", "cy"))]
AGED = replace(
    TERMS, rules=(replace(TERMS.rules[0], max_age_us=3 * DAY_US), *TERMS.rules[1:])
)  # so that retention has a say, too
ANSWERS = st.lists(
    st.tuples(
        st.sampled_from(PARTIES),
        st.sampled_from(["yes", "yes", "no", "past", "erase"]),
        st.sampled_from([("content",), ("service",), ("content", "service")]),
        st.integers(0, 2),
    ),
    max_size=12,
)
RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["acme", "brill"]),
        st.sampled_from([("ada",), ("bo", "ada"), ("ada", "bo"), ("cy", "bo"), ("unknown", "ada")]),
        st.sampled_from(["content/chat", "service/usage"]),
        st.integers(0, 10),
    ),
    max_size=12,
)


def answer_all(world, answers):
    for name, word, data, days in answers:
        world.clock.now_us += days * DAY_US
        if word == "erase":
            world.erase(name)
        else:
            covers = "past" if word == "past" else None
            world.say(name, "no" if word == "no" else "yes", data=data, covers=covers)


def permitted(history, key, purpose, at_us):
    """Judge a row by the reference alone: a permit of every party, none of them later than the row."""
    question = key.question()
    for role, party in concerned(history, question.account, question.people, at_us=at_us):
        answer = permit(
            history, Use(account=key.account, party=party, role=role, category=key.category, purpose=purpose), at_us
        )
        if not isinstance(answer, Permit) or key.collected_us < answer.since_us:
            return False
        if answer.max_age_us is not None and key.collected_us < at_us - answer.max_age_us:
            return False
    return True


@pytest.mark.slow
@settings(max_examples=12)
@given(before=ANSWERS, after=ANSWERS, records=RECORDS, purpose=st.sampled_from(["train/search", "feature/search"]))
def test_the_rows_are_those_that_the_reference_permits_and_the_stale_ones_those_it_does_not_any_more(
    tmp_path_factory, before, after, records, purpose
):
    with world_in(tmp_path_factory.mktemp("world"), terms=AGED) as world:
        yes = [(name, "past", ("content", "service"), 0) for name in PARTIES]
        answer_all(world, yes + before)
        start_us = world.clock.now_us
        batch = [
            world.record(number, account=account, people=people, category=category, at_us=start_us - days * DAY_US // 2)
            for number, (account, people, category, days) in enumerate(records)
        ]
        world.lake.append(batch)

        permits, history = world.permits(purpose), world.history()
        snapshot = world.freeze(purpose, permits=permits)

        everything = {record.record_id for record in batch}
        keys = {key.record_id: key for key in snapshot.keys}
        for record in batch:
            assert (record.record_id in keys) == permitted(history, as_key(record), purpose, permits.at_us)
        assert keys.keys() <= everything

        answer_all(world, after)
        now = world.permits(purpose)
        stale = snapshot.stale(now)
        assert [row.key for row in stale] == [key for key in snapshot.keys if not decide(now, key.question()).permitted]
        assert [row.verdict for row in stale] == [decide(now, row.key.question()) for row in stale]
        assert {row.key.record_id for row in stale} == {
            key.record_id for key in snapshot.keys if not permitted(world.history(), key, purpose, now.at_us)
        }


def as_key(record):
    return Key(
        record_id=record.record_id,
        account=record.account,
        people=record.people,
        category=record.category,
        collected_us=record.collected_us,
    )


def test_of_the_rows_of_some_nothing_else_is_opened(world, monkeypatch):
    fill(world)
    snapshot = world.freeze("train/search")
    every = snapshot.rows(world.parties)
    wanted = {(row.account, row.people[:1]) for row in every if row.category == "content/chat"}
    of = {min(wanted)}
    monkeypatch.setattr("volition.records.snapshot._AT_A_TIME", 3)
    opened = []
    open_many = Parties.open_many
    monkeypatch.setattr(
        Parties, "open_many", lambda self, account, pairs: (opened.extend(pairs), open_many(self, account, pairs))[1]
    )

    def same(one):
        return (one.record_id, one.account, one.people, one.category, one.collected_us, one.payload)

    expected = [row for row in every if (row.account, row.people[:1]) in of]
    assert [same(row) for row in snapshot.rows(world.parties, of=of)] == [same(row) for row in expected]
    assert len(opened) == len([row for row in expected if row.category.startswith("content/")]) > 0
    assert [same(row) for row in snapshot.rows(world.parties)] == [same(row) for row in every]
