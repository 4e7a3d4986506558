"""The buffer: what was acknowledged is in the lake exactly once, whatever is killed, and nobody can read it meanwhile."""

import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from test_faults import run_and_kill

from simulator import START_US, bytes_in, world_in
from volition.consent.gate import Subject
from volition.consent.parties import Parties
from volition.consent.terms.model import CATEGORIES
from volition.errors import BackendError, BusyError
from volition.records.engines.arrow import ArrowEngine
from volition.records.lake import Lake, buffer

LATER = START_US + 10**13
WORD = "Quetzalcoatlus"


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        made.everyone_says("yes")
        made.lake.close()
        made.lake = reopened(made)
        yield made


def reopened(world):
    """Open the lake as a workspace does: it knows who was erased by now."""
    history = world.history

    def gone():
        known = history()
        return lambda party: known.erased_us(party) is not None

    return Lake(world.folder / "lake", world.parties, ArrowEngine(), world.ledger, gone=gone)


def events(world, *keys, **about):
    return [world.record(key, category="service/usage", **about) for key in keys]


def held(world, lake=None):
    """Return how often each record lies in the lake."""
    rows = (lake or world.lake).rows(world.permits(at_us=LATER), categories=CATEGORIES)
    return Counter(row.record_id for row in rows)


def once(records):
    return Counter({one.record_id: 1 for one in records})


# --- read ---


def test_what_was_received_is_read_as_what_was_appended_is(world):
    records = [*events(world, 1, 2), world.record(3), world.record(4, account="brill")]
    world.lake.receive(records)
    assert world.lake.waiting == 4
    with closing(reopened(world)) as other:  # as another process does
        rows = {row.record_id: row for row in other.rows(world.permits(at_us=LATER), categories=CATEGORIES)}
    assert {
        one.record_id: (one.account, one.people, one.category, one.collected_us, one.payload) for one in records
    } == {name: (row.account, row.people, row.category, row.collected_us, row.payload) for name, row in rows.items()}
    assert world.lake.waiting == 0


READERS = {
    "size": lambda lake, _: sum(lake.size().values()),
    "accounts": lambda lake, _: sum(lake.accounts().values()),
    "reasons": lambda lake, world: sum(
        sum(found.values()) for found in lake.reasons(world.permits(at_us=LATER), categories=CATEGORIES).values()
    ),
    "held": lambda lake, world: len(list(lake.held(subject(world)))),
    "facts": lambda lake, world: len(list(lake.facts(subject(world)))),
    "own rows": lambda lake, world: len(list(lake.own_rows(subject(world)))),
    "party sets": lambda lake, _: len(lake.party_sets_of("acme")),
    "a record": lambda lake, world: len(lake.gate_record(events(world, 1)[0].record_id).people),
    "count of others": lambda lake, world: lake.count_other(events(world, 1, name="other")),
    "erasure": lambda lake, world: lake.erase_person(world.people["acme-ada"]),
}


def subject(world):
    return Subject(pseudonym=world.people["acme-ada"], at_us=LATER)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_whoever_reads_has_it_laid_out_first(world, read):
    world.lake.receive(events(world, 1))
    assert read(world.lake, world) == 1


def test_a_reader_of_one_account_and_category_has_no_more_laid_out_than_that(world):
    world.lake.receive([*events(world, 1), *events(world, 2, account="brill"), world.record(3)])
    list(world.lake.rows(world.permits(at_us=LATER), categories=["service/usage"], accounts=["acme"]))
    assert world.lake.waiting == 2


# --- once ---


def test_what_comes_twice_is_stored_once_whichever_way_it_comes(world):
    records = events(world, 1, 2, 3)
    world.lake.append(records[:1])
    world.lake.receive(records)
    world.lake.receive(records[1:])
    assert held(world) == once(records)
    assert world.lake.append(records).stored == 0


def test_what_was_laid_out_and_not_removed_is_laid_out_once(world):
    records = events(world, 1, 2)
    world.lake.receive(records)
    with closing(sqlite3.connect(world.folder / "lake/buffer/waiting.db")) as waiting:
        before = waiting.execute("SELECT account, category, records, bytes, sealed FROM waiting").fetchall()
    assert world.lake.drain() == 2
    entries = len(list(world.ledger.entries()))
    with closing(sqlite3.connect(world.folder / "lake/buffer/waiting.db")) as waiting:  # as if killed in between
        waiting.executemany(
            "INSERT INTO waiting (account, category, records, bytes, sealed) VALUES (?,?,?,?,?)", before
        )
        waiting.commit()
    assert world.lake.drain() == 2
    assert held(world) == once(records)
    assert len(list(world.ledger.entries())) == entries


# --- erased ---


def test_whoever_was_erased_does_not_come_back_from_the_buffer(world):
    own, others = events(world, 1, people=("ada", "bo")), events(world, 2, people=("bo", "ada"))
    world.lake.receive([*own, *others])
    world.erase("acme-ada")
    assert world.lake.erase_person(world.people["acme-ada"]) == 0
    world.lake.receive(events(world, 3, people=("ada",)))  # of a request that was judged before
    world.lake.drain()
    assert [one.record_id for one in world.lake.held(subject(world))] == [others[0].record_id]


def test_an_account_whose_key_was_destroyed_leaves_nothing_that_anybody_can_read(world):
    world.lake.receive([*events(world, 1), *events(world, 2, account="brill")])
    world.parties.destroy_account_key("acme")
    assert world.lake.drain() == 1
    assert (world.lake.waiting, world.lake.size()) == (0, {"service/usage": 1})


def test_what_was_laid_out_is_overwritten(world):
    world.lake.receive(events(world, 1))
    with closing(sqlite3.connect(world.folder / "lake/buffer/waiting.db")) as waiting:
        [(sealed,)] = waiting.execute("SELECT sealed FROM waiting")
    assert sealed[:64] in bytes_in(world.folder / "lake/buffer")
    world.lake.drain()
    assert sealed[:64] not in bytes_in(world.folder / "lake/buffer")


# --- kept from others ---


def test_nothing_that_waits_can_be_read_from_the_disk(world):
    [record] = events(world, 1, body=WORD)
    world.lake.receive([record])
    on_disk = bytes_in(world.folder / "lake")
    for secret in (WORD, record.people[0], record.record_id):
        assert secret.encode() not in on_disk
    assert WORD.encode() in record.written
    assert (world.folder / "lake/buffer").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE waiting SET sealed = zeroblob(99)",
        "UPDATE waiting SET category = 'service/telemetry'",
        "UPDATE waiting SET account = 'brill'",
    ],
)
def test_what_was_changed_is_refused_and_kept(world, change):
    world.lake.receive(events(world, 1))
    with closing(sqlite3.connect(world.folder / "lake/buffer/waiting.db")) as waiting:
        waiting.execute(change)
        waiting.commit()
    with pytest.raises(BackendError, match="was changed"):
        world.lake.size()
    assert world.lake.waiting == 1


def test_a_buffer_that_is_no_database_is_not_taken_for_an_empty_one(world):
    world.lake.receive(events(world, 1))
    world.lake.close()
    (world.folder / "lake/buffer/waiting.db").write_bytes(b"no database" * 999)
    with closing(reopened(world)) as lake, pytest.raises(BackendError, match="cannot be read"):
        lake.size()


# --- so much and no more ---


def test_a_buffer_that_was_lost_is_not_taken_for_an_empty_one(world):
    world.lake.receive(events(world, 1))
    world.lake.close()
    (path,) = (world.folder / "lake" / "buffer").glob("*.db")
    path.unlink()
    with closing(reopened(world)) as lake, pytest.raises(BackendError, match="lost"):
        held(world, lake)
    assert not path.exists()


def test_beyond_its_bound_nothing_is_taken_until_there_is_room(world, monkeypatch):
    monkeypatch.setattr(buffer, "MOST_WAITING", 2)
    world.lake.receive(events(world, 1, 2))
    with pytest.raises(BusyError, match="in a moment"):
        world.lake.receive(events(world, 3))
    assert held(world) == once(events(world, 1, 2))
    world.lake.receive(events(world, 3))
    assert held(world) == once(events(world, 1, 2, 3))


def test_much_is_laid_out_in_goes_of_accounts_that_lie_together(world, monkeypatch):
    monkeypatch.setattr(buffer, "_TAKEN", 4)
    records = [one for key in range(6) for account in ("acme", "brill") for one in events(world, key, account=account)]
    for one in records:
        world.lake.receive([one])
    assert world.lake.drain() == 12
    assert held(world) == once(records)
    assert len(list((world.folder / "lake/records").rglob("*.parquet"))) == 4  # each account's in two goes


# --- fewer files ---


def test_files_of_one_size_are_merged_once_there_are_many_and_rows_stay(world):
    records = events(world, *range(33))
    for one in records[:15]:
        world.lake.append([one])
    assert world.lake.compact_alike() == 0
    for one in records[15:]:
        world.lake.append([one])
    assert world.lake.compact_alike() == 32
    assert len(list((world.folder / "lake/records").rglob("*.parquet"))) == 3
    assert world.lake.compact_alike() == 0
    assert held(world) == once(records)


# --- at random, and killed ---


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_done_in_whatever_order_each_record_is_there_once(world, seed):
    randomly, known, lake = random.Random(seed), {}, world.lake
    for _ in range(40):
        records = events(world, *randomly.choices(range(60), k=5), people=(randomly.choice(["ada", "bo"]),))
        what = randomly.choice(["receive", "receive", "receive", "append", "drain", "reopen", "compact", "again"])
        if what in {"receive", "append"}:
            getattr(lake, what)(records)
            known |= {one.record_id: one for one in records}
        elif what == "reopen":
            lake.close()
            lake = reopened(world)
        elif what == "again":  # the files of a moment ago: killed before what was laid out was removed
            copy = shutil.copytree(world.folder / "lake/buffer", world.folder / "copy") if lake.waiting else None
            lake.drain()
            if copy is not None:
                lake.close()
                shutil.rmtree(world.folder / "lake/buffer")
                shutil.move(copy, world.folder / "lake/buffer")
                lake = reopened(world)
        else:
            {"drain": lake.drain, "compact": lake.compact_alike}[what]()
    assert held(world, lake) == dict.fromkeys(known, 1)
    lake.close()


def receive_for_ever(sender, folder, first):
    with world_in(folder, parties=Parties.open(folder)) as world:
        for number in range(first, first + 10_000):
            world.lake.receive(batch(world, number))
            sender.send(number)
            if number % 3 == 2:
                world.lake.drain()
            if number % 7 == 6:
                world.lake.compact_alike()


def batch(world, number):
    return [
        world.record(f"{number}-{part}", account=world.accounts[part % 2], category=category)
        for part, category in enumerate(["service/usage", "service/telemetry", "content/chat"])
    ]


@pytest.mark.slow
def test_killed_at_any_moment_everything_acknowledged_is_there_once_and_nothing_of_half_a_request(tmp_path):
    randomly = random.Random(11)
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        first = 0
        for _ in range(3):
            last = run_and_kill(receive_for_ever, tmp_path, first, after_s=randomly.random() / 5)[-1]
            with closing(reopened(world)) as lake:
                there = held(world, lake)
            assert set(there.values()) == {1}
            assert all(one.record_id in there for number in range(last + 1) for one in batch(world, number))
            unacknowledged = {one.record_id in there for one in batch(world, last + 1)}
            assert len(unacknowledged) == 1
            assert len(there) == 3 * (last + 1 + unacknowledged.pop())
            first = last + 2
            world.lake.append(batch(world, last + 1))
