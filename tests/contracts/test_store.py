"""What every store promises, whatever it is made of."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from volition.ledger import Growth, Head
from volition.merkle import Node
from volition.signing import Checkpoint
from volition.stores.memory import MemoryStore
from volition.stores.sqlite import SqliteStore

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
        nodes=tuple(Node(0, seq, b"hash of " + leaf) for seq, leaf in enumerate(leaves, head.size)),
        checkpoint=Checkpoint(origin="log.example", size=size, root=bytes(32)),
        note=f"note of {size}",
    )


def test_a_new_store_is_empty(store):
    assert store.head() == Head(size=0, note="")
    assert store.leaves(0, 10) == []
    assert store.node(0, 0) == b""
    assert store.note(0) == store.note(1) == ""


def test_what_was_appended_is_there(store):
    store.append(lambda head: _growth(head, b"one"))
    returned = store.append(lambda head: _growth(head, b"two", b"\x00\xff"))

    assert returned == _growth(Head(size=1, note="note of 1"), b"two", b"\x00\xff")
    assert store.head() == Head(size=3, note="note of 3")
    assert store.leaves(0, 3) == [b"one", b"two", b"\x00\xff"]
    assert [store.node(0, seq) for seq in range(4)] == [b"hash of one", b"hash of two", b"hash of \x00\xff", b""]
    assert [store.note(size) for size in range(5)] == ["", "note of 1", "", "note of 3", ""]


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
    store.append(lambda head: _growth(head, b"one"))

    store.append(lambda head: _growth(head, store.leaves(0, 1)[0] + store.node(0, 0) + store.note(1).encode()))

    assert store.leaves(1, 2) == [b"onehash of onenote of 1"]


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
            assert store.node(0, head.size - 1) == b"hash of " + leaves[-1]

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS)))

    leaves = store.leaves(0, 2 * THREADS * APPENDS)
    assert store.head().size == len(leaves) == THREADS * APPENDS
    for name in range(THREADS):
        mine = [leaf for leaf in leaves if leaf.startswith(b"%d " % name)]
        assert mine == [b"%d %d" % (name, number) for number in range(APPENDS)]
