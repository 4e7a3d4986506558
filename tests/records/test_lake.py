"""The lake: whole batches or nothing, read through permits only, sealed, and erased for good."""

import itertools
import shutil
import sqlite3
import threading
from collections import Counter
from contextlib import closing

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import START_US, HashEncoder, bytes_in, silent, world_in
from volition.consent.gate import Record, decide
from volition.consent.permits import Reason
from volition.consent.references import source_id
from volition.consent.terms.model import CATEGORIES
from volition.errors import BackendError, InvalidInputError, RefusedError
from volition.records.engines.arrow import ArrowEngine
from volition.records.engines.duckdb import DuckDBEngine
from volition.records.lake import BUCKETS, Lake, bucket_of, record_id
from volition.records.lake import compact as compaction
from volition.records.lake import records as layout

WORD = "Quetzalcoatlus"


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        made.everyone_says("yes")
        yield made


def ids(rows):
    return sorted(row.record_id for row in rows)


def files_of(lake, kind):
    """Return what the index names, as (path, rows)."""
    with closing(sqlite3.connect(lake / "index.db")) as index:
        return index.execute("SELECT path, rows FROM files WHERE kind = ? ORDER BY path", (kind,)).fetchall()


def on_disk(lake):
    return sorted(str(path.relative_to(lake)) for path in (lake / "records").rglob("*") if path.is_file())


# --- identities that may never change: they lie in files ---


def test_buckets_and_identities_are_the_ones_written_down():
    assert [bucket_of(account) for account in ("", "acme", "brill", "Ünïcode")] == [2, 45, 19, 40]
    assert record_id("acme", "k1") == "72ae35c2e521a9206631a9038e85d5e0"
    assert source_id("acme", "general") == "6f9bd991d128c64f"


def test_an_account_and_a_key_never_run_into_each_other():
    assert record_id("a", "bc") != record_id("ab", "c")
    assert source_id("a", "bc") != source_id("ab", "c")


def test_accounts_spread_over_all_buckets():
    counts = Counter(bucket_of(f"account-{number}") for number in range(6400))
    assert set(counts) == set(range(BUCKETS))
    assert max(counts.values()) < 2 * 100


# --- appending ---


def test_what_is_appended_is_read_back_as_it_was(world):
    record = world.record("k", people=("ada", "bo"), text="Grüße ☕ 😀", nested={"a": [1, 2.5, None, True]})
    world.lake.append([record])
    [row] = world.rows()
    assert (row.record_id, row.account, row.people, row.category) == (
        record.record_id,
        "acme",
        record.people,
        "content/chat",
    )
    assert (row.collected_us, row.payload, row.embedding) == (record.collected_us, record.payload, None)


@pytest.mark.parametrize("again", ["the same batch", "an overlapping batch", "twice in one batch"])
def test_sending_twice_stores_once(world, again):
    first, second = world.record(1), world.record(2)
    if again == "twice in one batch":
        appended = world.lake.append([first, first, second])
        assert (appended.stored, appended.known) == (2, 1)
    else:
        world.lake.append([first])
        appended = world.lake.append([first] if again == "the same batch" else [first, second])
        assert appended.known == 1
    assert ids(world.rows()) == sorted(
        {first.record_id, second.record_id} if "same" not in again else {first.record_id}
    )


def test_what_is_known_stays_as_it_was_first(world):
    world.lake.append([world.record(1, text="first")])
    world.lake.append([world.record(1, text="second")])
    assert [row.payload["text"] for row in world.rows()] == ["first"]


def test_a_batch_of_which_one_record_cannot_be_stored_is_not_stored_at_all(world):
    whole = [world.record(1), world.record(2, account="brill"), world.record(3, account="nobody")]
    with pytest.raises(InvalidInputError, match="nobody"):
        world.lake.append(whole)
    assert world.rows() == []
    assert world.lake.size() == {}
    assert world.lake.append(whole[:2]).stored == 2
    assert on_disk(world.folder / "lake") == [path for path, _ in files_of(world.folder / "lake", "records")]


def test_nothing_is_an_empty_batch(world):
    appended = world.lake.append([])
    assert (appended.stored, appended.known) == (0, 0)
    assert on_disk(world.folder / "lake") == []


def test_files_lie_by_category_and_day_sorted_by_account_and_time(world):
    same_bucket = [f"account-{number}" for number in range(400) if bucket_of(f"account-{number}") == 7][:2]
    for account in same_bucket:
        world.parties.add_account(account, account)
    records = [
        world.record(f"{account}{hour}", account=account, people=("x",), at_us=START_US + hour * 3_600_000_000)
        for account, hour in itertools.product(reversed(same_bucket), (20, 3, 30, 2))
    ]
    world.lake.append([*records, world.record("s", account=same_bucket[0], people=("x",), category="service/usage")])
    paths = on_disk(world.folder / "lake")
    assert [path.rsplit("/", 1)[0] for path in paths] == [
        "records/content/chat/2024-10-04",
        "records/content/chat/2024-10-05",
        "records/service/usage/2024-10-04",
    ]
    assert all(path.rsplit("/", 1)[1].startswith("07-") for path in paths)
    by_id = {record.record_id: record for record in records}
    [first, second] = [
        [by_id[identity] for identity in pq.read_table(world.folder / "lake" / path)["record_id"].to_pylist()]
        for path in paths[:2]
    ]
    assert [(record.account, record.collected_us - START_US) for record in first] == [
        (account, hour * 3_600_000_000) for account in sorted(same_bucket) for hour in (2, 3, 20)
    ]
    assert len(second) == 2


def test_a_lake_makes_the_folders_that_it_lies_in(tmp_path, world):
    with closing(Lake(tmp_path / "not" / "there" / "lake", world.parties, ArrowEngine(), world.ledger)) as lake:
        assert lake.append([world.record(1)]).stored == 1


@pytest.mark.parametrize("name", ["circle=5", "collected_us=0", "a [b] *? c", "ünï cödé"])
def test_a_lake_may_lie_in_a_folder_of_any_name(tmp_path, name):
    (tmp_path / name).mkdir()
    with world_in(tmp_path / name) as world:
        world.everyone_says("yes")
        records = [world.record(number, people=("ada", "bo")) for number in range(3)]
        world.lake.append(records[:1])
        world.lake.append(records[1:])
        world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
        assert [(row.people, row.embedding is None) for row in world.rows()] == [(records[0].people, False)] * 3
        assert world.lake.gate_record(records[1].record_id).collected_us == records[1].collected_us
        assert world.lake.meeting("acme", "general", category="content/chat")[0] == records[0].people
        assert world.lake.erase_person(world.people["acme-ada"]) == 3
        assert world.rows() == []


def test_a_lake_that_cannot_be_opened_says_so(tmp_path, world):
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="cannot be opened"):
        Lake(tmp_path / "file", world.parties, DuckDBEngine(), world.ledger)


# --- reading, through the gate ---


def test_nothing_is_read_before_anybody_said_yes(tmp_path):
    with world_in(tmp_path) as world:
        world.lake.append([world.record(1), world.record(2, category="service/usage")])
        assert world.rows() == []
        reasons = world.lake.reasons(world.permits(), categories=CATEGORIES)
        assert reasons == {"content/chat": {Reason.NOT_ASKED: 1}, "service/usage": {Reason.NOT_ASKED: 1}}


def test_only_the_accounts_and_sources_asked_for_are_read(world):
    records = [
        world.record(f"{account}-{channel}", account=account, channel=channel)
        for account in world.accounts
        for channel in ("general", "random")
    ]
    world.lake.append(records)
    general = source_id("acme", "general")
    assert ids(world.rows(accounts=["acme"])) == ids(records[:2])
    assert ids(world.rows(accounts=["nobody"])) == ids(world.rows(accounts=[])) == []
    assert ids(world.rows(source=general)) == ids(records[:1])
    assert ids(world.rows(accounts=["brill"], source=general)) == []
    assert ids(world.rows(categories=["content/files"])) == []
    counts = world.lake.reasons(world.permits(), categories=CATEGORIES, source=general)
    assert counts == {"content/chat": {None: 1}}


def test_what_was_collected_after_the_instant_asked_about_is_not_part_of_the_answer(world):
    early, late = world.record(1), world.record(2)
    world.lake.append([early, late])
    permits = world.permits(at_us=early.collected_us)
    assert ids(world.lake.rows(permits, categories=CATEGORIES)) == [early.record_id]
    assert world.lake.reasons(permits, categories=CATEGORIES) == {"content/chat": {None: 1}}


def test_a_meeting_tells_whom_it_concerns_speakers_first_and_when_it_ended(world):
    spoken = [
        world.record(
            number,
            people=(speaker, *[name for name in ("ada", "bo", "cy") if name != speaker]),
            at_us=START_US + number,
            category="content/transcript",
            channel="standup",
        )
        for number, speaker in enumerate(["cy", "bo", "cy"])
    ]
    world.lake.append(spoken)
    names = tuple(world.people[f"acme-{name}"] for name in ("cy", "bo", "ada"))
    assert world.lake.meeting("acme", "standup") == (names, START_US + 2)
    assert world.lake.meeting("acme", "other") is None
    assert world.lake.meeting("brill", "standup") is None


def test_the_people_of_each_channel_are_told_as_the_gate_names_them(world):
    world.lake.append(
        [
            world.record(1, people=("ada", "bo"), channel="general"),
            world.record(2, people=("ada", "bo"), channel="general"),
            world.record(3, people=("bo", "ada"), channel="general"),
            world.record(4, people=("cy",), channel="random"),
            world.record(5, people=("cy",), category="service/usage"),
            world.record(6, account="brill", people=("ada",), channel="general"),
        ]
    )
    ada, bo, cy = (world.party(f"acme-{name}") for name in ("ada", "bo", "cy"))
    assert world.lake.people_by_source("acme", category="content/chat") == {
        source_id("acme", "general"): {(ada, bo), (bo, ada)},
        source_id("acme", "random"): {(cy,)},
    }
    assert world.lake.people_by_source("acme", category="service/usage") == {}  # of no channel
    assert world.lake.people_by_source("acme", category="content/files") == {}
    assert world.lake.people_by_source("nobody", category="content/chat") == {}


def test_records_are_counted_by_account_whether_or_not_anything_may_use_them(world):
    assert world.lake.accounts() == {}
    world.lake.append([world.record(number) for number in range(3)])
    world.lake.append([world.record(f"b{number}", account="brill", category="service/usage") for number in range(2)])
    world.lake.append([world.record(f"u{number}", category="service/usage") for number in range(2)])
    world.everyone_says("no")
    assert world.lake.accounts() == {"acme": 5, "brill": 2}
    world.lake.erase_account("acme")
    assert world.lake.accounts() == {"brill": 2}


def test_a_record_nobody_knows_is_an_error(world):
    for identity in ("0" * 32, "nonsense", "' OR 1=1"):
        with pytest.raises(InvalidInputError, match="holds no record"):
            world.lake.gate_record(identity)


def test_a_damaged_file_is_reported_by_name(world):
    world.lake.append([world.record(1)])
    [path] = (world.folder / "lake" / "records").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BackendError, match=path.name):
        world.rows()


@pytest.mark.parametrize("is_there", [False, True])
def test_a_lake_that_lost_its_index_is_not_taken_for_empty(world, tmp_path_factory, is_there):
    world.lake.append([world.record(1)])
    lost = tmp_path_factory.mktemp("lost") / "lake"
    shutil.copytree(world.folder / "lake" / "records", lost / "records")
    if is_there:
        (lost / "index.db").touch()
    with pytest.raises(BackendError, match=r"index\.db, which says what lies in the lake, is gone or empty"):
        Lake(lost, world.parties, ArrowEngine(), world.ledger)
    assert on_disk(lost) == on_disk(world.folder / "lake")


def test_a_column_of_a_damaged_file_is_reported_by_name(world):
    world.lake.append([world.record(1)])
    [path] = (world.folder / "lake" / "records").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    for read in (world.lake.accounts, lambda: world.lake.people_by_source("acme", category="content/chat")):
        with pytest.raises(BackendError, match=path.name):
            read()


# --- sealed on disk ---


def test_no_word_of_content_lies_readable_in_any_file(world):
    texts = {
        "content/chat": world.record("a", text=f"{WORD} in chat"),
        "content/transcript": world.record("b", text=f"{WORD} in a meeting", category="content/transcript"),
    }
    world.lake.append(list(texts.values()))
    world.lake.embed(world.permits(), HashEncoder(), categories=list(texts), progress=silent)
    world.lake.quarantine("acme", [{"source": "s", "where": "w", "why": "y", "raw": f"{WORD} was bad"}])
    found = bytes_in(world.folder)
    assert WORD.encode() not in found
    vector = HashEncoder().encode([texts["content/chat"].payload["text"]]).astype(np.float16).tobytes()
    assert vector not in found
    assert {WORD in row.payload["text"] for row in world.rows()} == {True}


def test_a_payload_moved_to_another_record_is_found(world):
    world.lake.append([world.record(1), world.record(2)])
    [path] = (world.folder / "lake" / "records").rglob("*.parquet")
    table = pq.read_table(path)
    swapped = table.set_column(5, "payload", table["payload"].combine_chunks().take([1, 0]))
    pq.write_table(swapped, path)
    with pytest.raises(Exception, match="moved to another record"):
        world.rows()


def test_a_destroyed_account_key_closes_its_content_in_every_copy_of_the_folder(world, tmp_path_factory):
    world.lake.append([world.record(1, text=WORD), world.record(2, account="brill")])
    world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
    copy = tmp_path_factory.mktemp("backup") / "lake"
    shutil.copytree(world.folder / "lake", copy)
    world.parties.destroy_account_key("acme")
    permits = world.permits()  # the gate does not know of the erasure: the key alone closes it
    with closing(Lake(copy, world.parties, DuckDBEngine(), world.ledger)) as backup:
        for lake in (world.lake, backup):
            with pytest.raises(RefusedError, match="acme was erased"):
                list(lake.rows(permits, categories=CATEGORIES))
            assert [row.account for row in lake.rows(permits, categories=CATEGORIES, accounts=["brill"])] == ["brill"]
    assert WORD.encode() not in bytes_in(copy)


# --- embeddings ---


def test_embeddings_are_derived_under_a_permit_only_and_once(tmp_path):
    with world_in(tmp_path) as world:
        records = [world.record(number, people=(name,)) for number, name in enumerate(("ada", "bo", "cy"))]
        world.lake.append([*records, world.record("s", category="service/usage")])
        encoder = HashEncoder()

        def embed():
            return world.lake.embed(world.permits(), encoder, categories=["content/chat"], progress=silent)

        assert (embed(), encoder.texts) == (0, [])
        world.say("acme", "yes")
        for name in ("acme-ada", "acme-bo"):
            world.say(name, "yes")
        assert (embed(), encoder.texts) == (2, ["words of 0", "words of 1"])
        assert (embed(), len(encoder.texts)) == (0, 2)
        world.say("acme-cy", "yes")
        assert (embed(), encoder.texts[2:]) == (1, ["words of 2"])
        vectors = {row.record_id: row.embedding for row in world.rows(categories=["content/chat"])}
        for record in records:
            expected = HashEncoder().encode([record.payload["text"]])[0].astype(np.float16).astype(np.float32)
            assert vectors[record.record_id].dtype == np.float32
            assert np.array_equal(vectors[record.record_id], expected)


def test_an_embedding_is_not_read_without_a_permit_for_the_purpose(world):
    world.lake.append([world.record(1)])
    world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
    world.say("acme", "no", purpose=("feature/search",))
    assert world.rows("feature/search") == []
    assert world.rows("train/search")[0].embedding is not None


@pytest.mark.slow
def test_an_interrupted_embedding_goes_on_where_it_stopped(world):
    world.lake.append([world.record(number) for number in range(2100)])

    class Interrupted(Exception):  # noqa: N818
        pass

    def stop(stage, done, total):
        if done >= 2048:
            raise Interrupted

    encoder = HashEncoder()
    with pytest.raises(Interrupted):
        world.lake.embed(world.permits(), encoder, categories=["content/chat"], progress=stop)
    assert len(encoder.texts) == 2048
    assert world.lake.embed(world.permits(), encoder, categories=["content/chat"], progress=silent) == 2100 - 2048
    assert len(set(encoder.texts)) == len(encoder.texts) == 2100


def test_embeddings_are_erased_with_their_source(world):
    world.lake.append([world.record(1, people=("ada",)), world.record(2, people=("bo",)), world.record(3, "brill")])
    world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent)
    world.lake.erase_person(world.people["acme-ada"])
    assert sum(rows for _, rows in files_of(world.folder / "lake", "embeddings")) == 2
    world.lake.erase_account("acme")
    assert sum(rows for _, rows in files_of(world.folder / "lake", "embeddings")) == 1
    assert [(row.account, row.embedding is None) for row in world.rows()] == [("brill", False)]


def test_an_embedding_that_comes_after_its_source_was_erased_is_not_kept(world):
    world.lake.append([world.record(1, people=("ada",)), world.record(2, people=("bo",))])

    class SlowEncoder(HashEncoder):
        def encode(self, texts):
            world.lake.erase_person(world.people["acme-ada"])  # while the texts are in memory
            return super().encode(texts)

    assert world.lake.embed(world.permits(), SlowEncoder(), categories=["content/chat"], progress=silent) == 1
    assert sum(rows for _, rows in files_of(world.folder / "lake", "embeddings")) == 1
    assert world.lake.embed(world.permits(), HashEncoder(), categories=["content/chat"], progress=silent) == 0


# --- erasing ---


@pytest.mark.parametrize("whom", ["account", "person"])
def test_what_was_erased_is_in_no_file_and_does_not_come_back(world, whom):
    mine = [world.record(number, people=("ada", "bo")) for number in range(3)]
    others = [world.record("b", people=("bo", "ada")), world.record("s", account="brill")]
    world.lake.append([*mine, *others])
    removed = (
        world.lake.erase_account("acme") if whom == "account" else world.lake.erase_person(world.people["acme-ada"])
    )
    left = others[1:] if whom == "account" else others
    assert removed == len(mine) + (1 if whom == "account" else 0)
    assert ids(world.rows()) == ids(left)
    held = [
        identity
        for path in on_disk(world.folder / "lake")
        for identity in pq.read_table(world.folder / "lake" / path)["record_id"].to_pylist()
    ]
    assert sorted(held) == ids(left)
    assert on_disk(world.folder / "lake") == [path for path, _ in files_of(world.folder / "lake", "records")]
    assert world.lake.append([*mine, *others]).stored == 0
    assert world.lake.size() == {"content/chat": len(left)}


def test_erasing_whom_the_lake_does_not_know_removes_nothing(world):
    world.lake.append([world.record(1)])
    assert world.lake.erase_account("nobody") == world.lake.erase_person("0" * 32) == 0
    assert len(world.rows()) == 1


def test_a_person_is_erased_from_every_account_they_spoke_in(world):
    everywhere = world.people["acme-ada"]
    world.lake.append([world.record(1), world.record(2, account="brill", people=(everywhere, "bo"))])
    assert world.lake.erase_person(everywhere) == 2


# --- compacting ---


def many_small_files(world, batches=6):
    """Collect in many batches, over several days, and embed each; return the records."""
    records = []
    for number in range(batches):
        batch = [
            world.record(
                f"{number}-{account}-{name}-{category}",
                account=account,
                people=(name, "bo") if name != "bo" else ("bo",),
                category=category,
                at_us=START_US + number * 40_000_000_000 + place,
            )
            for place, (account, name, category) in enumerate(
                itertools.product(world.accounts, ("ada", "bo", "cy"), ("content/chat", "service/usage"))
            )
        ]
        world.lake.append(batch)
        world.lake.embed(
            world.permits(at_us=START_US + 10**13), HashEncoder(), categories=["content/chat"], progress=silent
        )
        records += batch
    return records


def all_rows(world, **which):
    rows = world.lake.rows(world.permits(at_us=START_US + 10**13), categories=CATEGORIES, **which)
    return sorted(
        (
            (row.record_id, row.account, row.people, row.collected_us, row.payload, row.embedding is None)
            for row in rows
        ),
        key=lambda row: row[0],
    )


def test_compaction_keeps_every_row_as_it_was_in_few_sorted_files(world):
    records = many_small_files(world)
    before, size = all_rows(world), world.lake.size()
    assert len(before) == len(records)
    told = []

    compacted = world.lake.compact(lambda *progress: told.append(progress))

    lake = world.folder / "lake"
    assert (compacted.before, compacted.after) == (6 * 6, 6)
    assert compacted.rows == len(records) + len(records) // 2
    assert told[-1] == ("compacting", 6, 6)
    assert all_rows(world) == before
    assert world.lake.size() == size
    assert on_disk(lake) == sorted(path for kind in ("records", "embeddings") for path, _ in files_of(lake, kind))
    for path, _ in files_of(lake, "records"):
        keys = pq.read_table(lake / path, columns=["account", "circle", "collected_us"], partitioning=None).to_pylist()
        assert [tuple(key.values()) for key in keys] == sorted(tuple(key.values()) for key in keys)
    again = world.lake.compact(silent)
    assert (again.before, again.after, again.rows) == (6, 6, 0)


def test_compaction_makes_files_of_bounded_size_and_leaves_large_ones_alone(world, monkeypatch):
    many_small_files(world)
    lake = world.folder / "lake"
    largest = max(pq.read_metadata(lake / path).row_group(0).total_byte_size for path, _ in files_of(lake, "records"))
    monkeypatch.setattr(compaction, "COMPACT_BYTES", 3 * largest)
    before = all_rows(world)
    compacted = world.lake.compact(silent)
    assert 6 < compacted.after < compacted.before
    assert all_rows(world) == before
    large = set(on_disk(lake))
    assert world.lake.compact(silent).rows == 0
    assert set(on_disk(lake)) == large
    for number in range(3):
        world.lake.append([world.record(f"late-{number}", at_us=START_US + number)])
    assert world.lake.compact(silent).rows in (3, 6)  # with a small one that was left over, perhaps
    assert len(all_rows(world)) == len(before) + 3
    assert len(large - set(on_disk(lake))) <= 1


@pytest.mark.slow
def test_small_row_groups_change_no_answer_and_let_accounts_be_passed_over(world, monkeypatch):
    monkeypatch.setattr(layout, "GROUP_ROWS", 2)
    many_small_files(world)
    before = all_rows(world)
    world.lake.compact(silent)
    assert all_rows(world) == before
    for account in world.accounts:
        assert all_rows(world, accounts=[account]) == [row for row in before if row[1] == account]
    general = source_id("acme", "general")
    assert [row[0] for row in all_rows(world, source=general)] == [
        row[0] for row in before if row[1] == "acme" and row[4].get("channel") == "general"
    ]


def test_what_is_erased_after_compaction_leaves_no_byte_behind(world):
    many_small_files(world)
    world.lake.compact(silent)
    lake = world.folder / "lake"
    gone = [row[0] for row in all_rows(world) if row[2][0] == world.people["acme-ada"]]
    assert world.lake.erase_person(world.people["acme-ada"]) == len(gone) > 0
    assert on_disk(lake) == sorted(path for kind in ("records", "embeddings") for path, _ in files_of(lake, kind))
    for path in on_disk(lake):
        assert not set(gone) & set(pq.read_table(lake / path, partitioning=None)["record_id"].to_pylist())
    world.lake.compact(silent)
    assert not set(gone) & {row[0] for row in all_rows(world)}


@pytest.mark.parametrize("change", ["compact", "erase", "compact and erase"])
def test_a_reader_goes_on_when_files_are_replaced_and_sees_each_record_once(world, change):
    records = many_small_files(world)
    reader = world.lake.rows(world.permits(at_us=START_US + 10**13), categories=["content/chat"])
    first = next(reader)
    with closing(Lake(world.folder / "lake", world.parties, ArrowEngine(), world.ledger)) as other:
        if "compact" in change:
            other.compact(silent)
        if "erase" in change:
            other.erase_person(world.people["brill-ada"])
    seen = [first.record_id, *(row.record_id for row in reader)]
    assert len(seen) == len(set(seen))
    erased = {world.people["brill-ada"]} if "erase" in change else set()
    kept = {
        record.record_id for record in records if record.category == "content/chat" and record.people[0] not in erased
    }
    assert kept <= set(seen) <= {record.record_id for record in records}


def test_a_bucket_is_listed_anew_when_a_file_was_replaced_before_it_was_opened(world, monkeypatch):
    many_small_files(world)
    before = all_rows(world)
    counts = world.lake.reasons(world.permits(at_us=START_US + 10**13), categories=CATEGORIES)
    index = world.lake._index
    listed = index.files
    with closing(Lake(world.folder / "lake", world.parties, ArrowEngine(), world.ledger)) as other:

        def late(*place):
            files = listed(*place)
            other.compact(silent)  # between the listing and the opening
            return files

        monkeypatch.setattr(index, "files", late)
        assert world.lake.reasons(world.permits(at_us=START_US + 10**13), categories=CATEGORIES) == counts
        monkeypatch.setattr(index, "files", listed)
        world.lake.append([world.record("late", at_us=START_US + 5)])
        monkeypatch.setattr(index, "files", late)
        assert len(all_rows(world)) == len(before) + 1


@pytest.mark.slow
def test_readers_in_other_threads_go_on_through_compactions_and_erasures(world):
    records = many_small_files(world, batches=4)
    lasting = {record.record_id for record in records if record.people[0] != world.people["acme-ada"]}
    permits, faults, done = world.permits(at_us=START_US + 10**13), [], threading.Event()

    def read():
        with closing(Lake(world.folder / "lake", world.parties, ArrowEngine(), world.ledger)) as lake:
            while not done.is_set():
                seen = [row.record_id for row in lake.rows(permits, categories=CATEGORIES)]
                if len(seen) != len(set(seen)) or not lasting <= set(seen):
                    faults.append(len(seen))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(4):
        world.lake.append([world.record(f"more-{number}-{part}", at_us=START_US + part) for part in range(3)])
        world.lake.compact(silent)
        if number == 2:
            world.lake.erase_person(world.people["acme-ada"])
    done.set()
    for reader in readers:
        reader.join()
    assert faults == []


def test_circles_that_another_process_adds_are_known_at_once(world):
    world.lake.append([world.record(1)])
    assert len(world.rows()) == 1
    with closing(Lake(world.folder / "lake", world.parties, ArrowEngine(), world.ledger)) as other:
        other.append([world.record(2, people=("bo", "cy")), world.record(3, people=("cy",))])
    assert {row.people for row in world.rows()} == {
        tuple(world.people[f"acme-{name}"] for name in people) for people in (("ada",), ("bo", "cy"), ("cy",))
    }


# --- quarantine ---


def test_the_same_bad_input_is_set_aside_once(world):
    lines = [{"source": "s", "where": "line 1", "why": "bad", "raw": WORD}]
    path = world.lake.quarantine("acme", lines)
    assert world.lake.quarantine("acme", lines) == path
    assert list(path.parent.iterdir()) == [path]
    assert world.lake.quarantine(None, lines) != path
    assert world.lake.quarantine("acme", []) is None
    assert path.parent.stat().st_mode & 0o077 == 0


# --- a model of it: dictionaries ---

PEOPLE = [("ada",), ("ada", "bo"), ("bo", "ada"), ("cy", "ada", "bo"), ("unknown", "ada")]
KEYS = st.integers(0, 12)
PARTIES = ["acme", "brill", *(f"{account}-{name}" for account in ("acme", "brill") for name in ("ada", "bo", "cy"))]
STEPS = st.one_of(
    st.tuples(
        st.just("append"),
        st.lists(
            st.tuples(
                KEYS,
                st.sampled_from(["acme", "brill"]),
                st.sampled_from(PEOPLE),
                st.sampled_from(["content/chat", "service/usage"]),
            ),
            max_size=6,
        ),
    ),
    st.tuples(st.just("say"), st.lists(st.tuples(st.sampled_from(PARTIES), st.sampled_from(["yes", "yes", "no"])))),
    st.tuples(st.just("embed"), st.none()),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(st.just("erase"), st.sampled_from(PARTIES)),
)


@pytest.mark.slow
@pytest.mark.parametrize("engine", [ArrowEngine(), DuckDBEngine()], ids=["arrow", "duckdb"])
@settings(max_examples=20)
@given(steps=st.lists(STEPS, min_size=1, max_size=8), yeses=st.sets(st.sampled_from(PARTIES)))
def test_the_lake_is_the_dictionary_that_it_says_it_is(tmp_path_factory, engine, steps, yeses):
    with world_in(tmp_path_factory.mktemp("world"), engine=engine) as world:
        for name in sorted(yeses):
            world.say(name, "yes")
        known, held, embedded = set(), {}, set()
        for step, what in steps:
            permits = world.permits()
            if step == "append":
                batch = [world.record(*place[:3], category=place[3]) for place in what]
                fresh = {record.record_id: record for record in reversed(batch) if record.record_id not in known}
                appended = world.lake.append(batch)
                assert (appended.stored, appended.known) == (len(fresh), len(batch) - len(fresh))
                known |= fresh.keys()
                held |= fresh
            elif step == "say":
                for name, answer in what:
                    world.say(name, answer, covers=None)
            elif step == "embed":
                due = {
                    identity
                    for identity, record in held.items()
                    if record.category == "content/chat" and verdict(permits, record).permitted
                } - embedded
                assert world.lake.embed(permits, HashEncoder(), categories=["content/chat"], progress=silent) == len(
                    due
                )
                embedded |= due
            elif step == "compact":
                compacted = world.lake.compact(silent)
                assert compacted.after <= compacted.before
                places = [
                    (path.split("/")[1:3], path.rsplit("/", 1)[1][:2], kind)
                    for kind in ("records", "embeddings")
                    for path, _ in files_of(world.folder / "lake", kind)
                ]
                assert len(places) == compacted.after == len({str(place) for place in places})
            else:
                gone = {identity for identity, record in held.items() if owns(world, what, record)}
                erase = world.lake.erase_account if what in world.accounts else world.lake.erase_person
                assert erase(what if what in world.accounts else world.people[what]) == len(gone)
                held = {identity: record for identity, record in held.items() if identity not in gone}
        check(world, held, embedded)


def owns(world, name, record):
    return record.account == name if name in world.accounts else record.people[0] == world.people[name]


def verdict(permits, record):
    people = tuple(f"person:{pseudonym}" for pseudonym in record.people)
    return decide(
        permits,
        Record(account=record.account, people=people, category=record.category, collected_us=record.collected_us),
    )


def check(world, held, embedded):
    """Compare what is read with what the gate says of each record, one by one."""
    permits = world.permits()
    verdicts = {identity: verdict(permits, record) for identity, record in held.items()}
    rows = {row.record_id: row for row in world.lake.rows(permits, categories=CATEGORIES)}
    assert rows.keys() == {identity for identity, found in verdicts.items() if found.permitted}
    for identity, row in rows.items():
        record = held[identity]
        assert (row.account, row.people, row.category, row.collected_us, row.payload) == (
            record.account,
            record.people,
            record.category,
            record.collected_us,
            record.payload,
        )
        assert (row.embedding is not None) == (identity in embedded)
    reasons = world.lake.reasons(permits, categories=CATEGORIES)
    assert {category: dict(counts) for category, counts in reasons.items()} == {
        category: dict(Counter(verdicts[identity].reason for identity, r in held.items() if r.category == category))
        for category in {record.category for record in held.values()}
    }
    assert world.lake.size() == dict(Counter(record.category for record in held.values()))
    for identity, record in held.items():
        assert world.lake.gate_record(identity).people == tuple(f"person:{pseudonym}" for pseudonym in record.people)
    lake = world.folder / "lake"
    named = files_of(lake, "records") + files_of(lake, "embeddings")
    assert on_disk(lake) == sorted(path for path, _ in named)
    assert all(pq.read_metadata(lake / path).num_rows == rows > 0 for path, rows in named)
