"""Appends that arrive together are stored together; each is acknowledged when it is durable, and fails alone."""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event, get_ident

import pytest

from simulator import SIGNER
from volition.errors import BackendError, InvalidInputError
from volition.ledger.entry import MAX_ENTRY_BYTES, NewEntry
from volition.ledger.log import Ledger
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.stores.sqlite import SqliteStore

THREADS = 12


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    made = MemoryStore() if request.param == "memory" else SqliteStore.create(tmp_path / "ledger.db")
    yield made
    made.close()


def draft(number, **more):
    return NewEntry(kind="decision", body={"party": f"account:{number}", **more})


class Crowd:
    """Appends that wait in line behind a first one, which is let go when all have come."""

    def __init__(self, store):
        self.ledger = Ledger(store, SIGNER, self.tell_time)
        self.let_go = Event()
        self.entered = Event()
        self.interrupt = False
        self.led = []

    def tell_time(self):
        """Give the time, within the transaction: the first one stops here."""
        self.led.append(get_ident())
        if len(self.led) == 1:
            self.entered.set()
            self.let_go.wait(30)
        elif self.interrupt:
            self.interrupt = False
            raise KeyboardInterrupt
        return 1_000_000

    def append(self, *appends):
        """Let a thread for each append come, one by one, while the first is being stored; return what they got."""
        with ThreadPoolExecutor(len(appends) + 1) as threads:
            first = threads.submit(self.ledger.append, draft("first"))
            self.entered.wait(30)
            others = []
            for drafts in appends:
                others.append(threads.submit(self.outcome, drafts))
                while self.ledger._group_commit.waiting < len(others):
                    time.sleep(0.001)
            self.let_go.set()
            assert [entry.seq for entry in first.result()] == [0]
            return [other.result() for other in others]

    def outcome(self, drafts):
        try:
            return self.ledger.append(*drafts)
        except BaseException as error:  # noqa: BLE001 - it is looked at by the test
            return error


def sizes_signed(store):
    return [size for size in range(1, store.head().size + 1) if store.note(size)]


def test_what_waits_is_stored_in_one_transaction_and_each_gets_its_own(store):
    crowd = Crowd(store)
    appends = [[draft(number)] * (1 + number % 3) for number in range(THREADS)]

    got = crowd.append(*appends)

    assert [[entry.body["party"] for entry in entries] for entries in got] == [
        [one.body["party"] for one in drafts] for drafts in appends
    ]
    places = [entry.seq for entries in got for entry in entries]
    assert places == list(range(1, 1 + len(places)))
    assert sizes_signed(store) == [1, 1 + len(places)]
    assert list(crowd.ledger.entries(1)) == [entry for entries in got for entry in entries]
    assert crowd.ledger.verify().size == 1 + len(places)


def test_no_more_than_so_many_entries_go_into_one_transaction_and_nobody_is_left_out(store):
    crowd = Crowd(store)

    got = crowd.append(*[[draft(number)] * 1500 for number in range(4)])

    assert [len(entries) for entries in got] == [1500] * 4
    assert sizes_signed(store) == [1, 3001, 6001]
    assert crowd.ledger.verify().size == 6001


def test_a_draft_that_is_refused_fails_alone(store):
    crowd = Crowd(store)
    long = draft("long", text="x" * MAX_ENTRY_BYTES)

    got = crowd.append([draft(0)], [draft(1), long], [draft(2), draft(3)])
    with pytest.raises(InvalidInputError, match="no kind"):
        crowd.ledger.append(NewEntry(kind="rumour", body={}))

    assert isinstance(got[1], InvalidInputError)
    assert str(MAX_ENTRY_BYTES) in str(got[1])
    assert [entry.body["party"] for entry in crowd.ledger.entries()] == [
        "account:first",
        "account:0",
        "account:2",
        "account:3",
    ]
    assert [entry.seq for entry in got[2]] == [2, 3]
    assert crowd.ledger.verify().size == 4


def test_where_all_are_refused_nothing_is_stored(store):
    crowd = Crowd(store)
    long = draft("long", text="x" * MAX_ENTRY_BYTES)

    got = crowd.append([long], [long])

    assert [type(error) for error in got] == [InvalidInputError, InvalidInputError]
    assert sizes_signed(store) == [1]
    [entry] = crowd.ledger.append(draft(1))
    assert entry.seq == 1


def test_a_store_that_fails_tells_everybody_who_waited(store, monkeypatch):
    crowd = Crowd(store)
    append = store.append
    calls = []

    def failing_once(extend):
        calls.append(extend)
        if len(calls) == 2:
            raise BackendError("the disk is full")
        return append(extend)

    monkeypatch.setattr(store, "append", failing_once)

    got = crowd.append([draft(0)], [draft(1)], [draft(2)])

    assert [str(error) for error in got] == ["the disk is full"] * 3
    assert len(set(map(id, got))) == 3  # one each: an error that is raised twice tells two ways at once
    [entry] = crowd.ledger.append(draft(3))
    assert (entry.seq, crowd.ledger.verify().size) == (1, 2)


def test_whoever_is_interrupted_leaves_the_others_to_the_next(store):
    crowd = Crowd(store)
    crowd.interrupt = True

    got = crowd.append(*[[draft(number)] for number in range(5)])

    assert isinstance(got[0], KeyboardInterrupt)
    assert [entry.body["party"] for entries in got[1:] for entry in entries] == [f"account:{n}" for n in range(1, 5)]
    assert len(set(crowd.led)) == 3
    assert crowd.ledger.verify().size == 5


def test_many_threads_append_for_a_while(store):
    ledger = Ledger(store, SIGNER)

    def work(name):
        return [ledger.append(*[draft(name, said=number)] * (1 + number % 3)) for number in range(20)]

    with ThreadPoolExecutor(THREADS) as threads:
        got = list(threads.map(work, range(THREADS)))

    entries = list(ledger.entries())
    assert ledger.verify().size == len(entries)
    assert sorted(entry.seq for mine in got for batch in mine for entry in batch) == list(range(len(entries)))
    for mine in got:
        for batch in mine:
            assert [entries[entry.seq] for entry in batch] == list(batch)
            assert [entry.seq for entry in batch] == list(range(batch[0].seq, batch[0].seq + len(batch)))


def test_two_ledgers_of_one_file_take_turns(tmp_path):
    """What another process writes in between is read and verified; what nobody else touched is not read again."""
    with (
        closing(SqliteStore.create(tmp_path / "ledger.db")) as store,
        closing(SqliteStore(tmp_path / "ledger.db")) as other_store,
    ):
        one, two = Ledger(store, SIGNER), Ledger(other_store, SIGNER)
        for number in random.Random(3).choices([0, 1], k=60):
            (one, two)[number].append(*[draft(number)] * (1 + number))
        assert one.verify() == two.verify()


RUN = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

APPEND_FOREVER = """
import os, sys, threading
from simulator import SIGNER
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.stores.sqlite import SqliteStore
ledger = Ledger(SqliteStore(sys.argv[1]), SIGNER)
def work(name):
    number = 0
    while True:
        [entry] = ledger.append(NewEntry(kind="region", body={"by": f"{sys.argv[2]}-{name}", "number": number}))
        # Whole, and at once: in a buffer that threads share, lines of others wait, and are lost with the process.
        os.write(1, f"{entry.seq} {sys.argv[2]}-{name} {number}\\n".encode())
        number += 1
for name in range(8):
    threading.Thread(target=work, args=(name,)).start()
"""

FILL_THE_DISK = """
import resource, signal, sys
from concurrent.futures import ThreadPoolExecutor
from simulator import SIGNER
from volition.ledger import merkle
from volition.errors import BackendError
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.stores.sqlite import SqliteStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger(SqliteStore(sys.argv[1]), SIGNER)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
def work(name):
    acknowledged = []
    try:
        while True:
            acknowledged += ledger.append(NewEntry(kind="region", body={"by": name, "text": "x" * 5_000}))
    except BackendError as error:
        assert "free some disk space" in str(error)
    return acknowledged
with ThreadPoolExecutor(8) as threads:
    acknowledged = [entry for mine in threads.map(work, range(8)) for entry in mine]
assert sorted(entry.seq for entry in acknowledged) == list(range(ledger.size)), "nothing more, nothing less"
assert acknowledged
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
with ThreadPoolExecutor(8) as threads:
    list(threads.map(ledger.append, [NewEntry(kind="region", body={})] * 8))
assert ledger.verify().size == len(acknowledged) + 8
"""


@pytest.mark.slow
def test_killed_while_several_threads_append_all_that_was_acknowledged_is_there(tmp_path):
    path = tmp_path / "ledger.db"
    SqliteStore.create(path).close()
    moments = random.Random(11)
    for attempt in range(4):
        worker = subprocess.Popen(
            [sys.executable, "-c", APPEND_FOREVER, str(path), str(attempt)], stdout=subprocess.PIPE, text=True, env=RUN
        )
        with worker.stdout as lines:
            said = lines.readline()
            time.sleep(moments.uniform(0, 0.2))
            worker.send_signal(signal.SIGKILL)
            said += lines.read()  # not `communicate`, which forgets what was read together with the first line
        assert worker.wait(timeout=60) == -signal.SIGKILL
        acknowledged = [line.split() for line in said[: said.rfind("\n")].split("\n")]
        with closing(SqliteStore(path)) as store:
            ledger = Ledger(store, SIGNER)
            ledger.verify()
            there = {entry.seq: (entry.body["by"], str(entry.body["number"])) for entry in ledger.entries()}
        assert acknowledged
        assert all(there[int(seq)] == (by, number) for seq, by, number in acknowledged)
        mine = [by for by, _ in there.values() if by.startswith(f"{attempt}-")]
        assert len(mine) - len(acknowledged) <= 16  # at most one a thread was durable and not said, and one on its way


@pytest.mark.slow
def test_a_full_disk_refuses_all_who_wait_and_the_ledger_goes_on_when_there_is_room(tmp_path):
    SqliteStore.create(tmp_path / "ledger.db").close()

    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(tmp_path / "ledger.db")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=RUN,
    )

    assert done.returncode == 0, done.stderr
