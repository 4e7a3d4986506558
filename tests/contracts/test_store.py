"""What every store promises, whatever it is made of."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import pytest

from volition.ledger.merkle import HASH_BYTES, Node
from volition.ledger.signing import Checkpoint
from volition.ledger.store import LOWEST, Growth, Head
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.stores.sqlite import SqliteStore

THREADS = 4
APPENDS = 25


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    made = MemoryStore() if request.param == "memory" else SqliteStore.create(tmp_path / "ledger.db")
    yield made
    made.close()


def _growth(head, *leaves):
    """Return what appends some leaves; a store judges nothing, so hashes and notes may be anything."""
    size = head.size + len(leaves)
    return Growth(
        leaves=leaves,
        nodes=tuple(
            Node(level, (end >> level) - 1, _hash(level, (end >> level) - 1))
            for end in range(head.size + 1, size + 1)
            for level in range(LOWEST, (end & -end).bit_length())
        ),
        checkpoint=Checkpoint(origin="log.example", size=size, root=bytes(32)),
        note=f"note of {size}",
    )


def _hash(level, number):
    return (b"hash of %d at %d" % (number, level)).ljust(HASH_BYTES)


def test_a_new_store_is_empty(store):
    assert store.head() == Head(size=0, note="")
    assert store.leaves(0, 10) == []
    assert store.node(LOWEST, 0) == b""
    assert store.note(0) == store.note(1) == ""


def test_what_was_appended_is_there(store):
    store.append(lambda head: _growth(head, b"one"))
    returned = store.append(lambda head: _growth(head, b"two", b"\x00\xff"))

    assert returned == _growth(Head(size=1, note="note of 1"), b"two", b"\x00\xff")
    assert store.head() == Head(size=3, note="note of 3")
    assert store.leaves(0, 3) == [b"one", b"two", b"\x00\xff"]
    assert [store.note(size) for size in range(5)] == ["", "note of 1", "", "note of 3", ""]


@pytest.mark.parametrize("seed", range(3))
def test_every_range_node_and_note_is_found_whatever_the_appends(store, seed):
    counts = random.Random(seed).choices([1, 2, 3, 7, 8, 9, 30], k=12)
    leaves = [b"%d" % seq * (1 + seq % 5) for seq in range(sum(counts))]
    ends = list(accumulate(counts))
    for end, count in zip(ends, counts, strict=True):
        store.append(lambda head, end=end, count=count: _growth(head, *leaves[end - count : end]))

    size = len(leaves)
    for start in range(size + 2):
        for end in range(start, size + 3):
            assert store.leaves(start, end) == leaves[start:end]
    for level in range(LOWEST, 9):
        there = size >> level
        assert [store.node(level, number) for number in range(there)] == [_hash(level, n) for n in range(there)]
        assert store.node(level, there) == b""
    assert [end for end in range(size + 2) if store.note(end)] == ends


@pytest.mark.parametrize(("start", "end"), [(0, 0), (0, 1), (1, 3), (2, 9), (3, 9), (9, 12)])
def test_a_range_of_leaves_is_half_open_and_ends_with_the_ledger(store, start, end):
    store.append(lambda head: _growth(head, b"0", b"1", b"2"))

    assert store.leaves(start, end) == [b"0", b"1", b"2"][start:end]


def test_an_append_that_raises_leaves_everything_as_it_was(store):
    store.append(lambda head: _growth(head, b"one"))

    def fail(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.append(fail)

    assert store.head() == Head(size=1, note="note of 1")
    store.append(lambda head: _growth(head, b"two"))
    assert store.leaves(0, 2) == [b"one", b"two"]


def test_an_append_can_read_the_store_it_extends(store):
    store.append(lambda head: _growth(head, *[b"one"] * 8))

    store.append(lambda head: _growth(head, store.leaves(0, 1)[0] + store.node(LOWEST, 0) + store.note(8).encode()))

    assert store.leaves(8, 9) == [b"one" + _hash(LOWEST, 0) + b"note of 8"]


def test_only_one_append_at_a_time_decides_what_to_add(store):
    def slowly(head):
        time.sleep(0.05)
        return _growth(head, b"leaf after %d" % head.size)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(store.append, [slowly] * THREADS))

    assert store.leaves(0, THREADS) == [b"leaf after %d" % size for size in range(THREADS)]


def test_appends_of_several_threads_queue_up_while_others_read(store):
    def work(name):
        for number in range(APPENDS):
            store.append(lambda head, number=number: _growth(head, f"{name} {number}".encode()))
            head = store.head()
            leaves = store.leaves(0, head.size)
            assert len(leaves) == head.size
            last = (head.size >> LOWEST) - 1
            assert last < 0 or store.node(LOWEST, last) == _hash(LOWEST, last)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS)))

    leaves = store.leaves(0, 2 * THREADS * APPENDS)
    assert store.head().size == len(leaves) == THREADS * APPENDS
    for name in range(THREADS):
        mine = [leaf for leaf in leaves if leaf.startswith(b"%d " % name)]
        assert mine == [b"%d %d" % (name, number) for number in range(APPENDS)]
