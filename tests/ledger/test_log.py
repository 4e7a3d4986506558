"""The ledger keeps what it acknowledged, proves it, and finds whatever was changed behind its back."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError, VolitionError
from volition.ledger import merkle
from volition.ledger.entry import MAX_DEPTH, MAX_ENTRY_BYTES, SALT_BYTES, Entry, NewEntry
from volition.ledger.group_commit import Condition, OutdatedError
from volition.ledger.log import Ledger
from volition.ledger.signing import Checkpoint, Signer, checkpoint_text, open_note, parse_checkpoint, sign_note
from volition.ledger.store import LOWEST, MOST_AT_ONCE, Growth
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.stores.sqlite import SqliteStore

SIGNER = Signer.from_seed("log.example/volition", bytes(range(32)))
STRANGER = Signer.from_seed("log.example/volition", bytes(32))
SIZE = 21

ENDLESS = []
ENDLESS += [ENDLESS, ENDLESS]

APPEND_FOREVER = """
import sys
from volition.ledger.entry import NewEntry
from volition.ledger.group_commit import Condition, OutdatedError
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.sqlite import SqliteStore
ledger = Ledger(SqliteStore(sys.argv[1]), Signer.from_seed("log.example/volition", bytes(range(32))))
number = 0
while number != int(sys.argv[3]):
    entries = ledger.append(*[NewEntry(kind="region", body={"by": sys.argv[2], "number": number})] * (1 + number % 3))
    print(*[entry.seq for entry in entries], flush=True)
    number += 1
"""

FILL_THE_DISK = """
import resource, signal, sys
from volition.errors import BackendError
from volition.ledger.entry import NewEntry
from volition.ledger.group_commit import Condition, OutdatedError
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.sqlite import SqliteStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger(SqliteStore(sys.argv[1]), Signer.from_seed("log.example/volition", bytes(range(32))))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
acknowledged = 0
try:
    while True:
        ledger.append(NewEntry(kind="region", body={"text": "x" * 10_000}))
        acknowledged += 1
except BackendError as error:
    print(error)
assert ledger.size == acknowledged > 0
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
ledger.append(NewEntry(kind="region", body={}))
assert ledger.verify().size == acknowledged + 1
"""


def _draft(number=0):
    return NewEntry(kind="decision", body={"party": f"account:{number}", "answer": "yes"})


def _still():
    """Give the time by a clock that stands still."""
    return 1_000_000


def _filled(ledger, size=SIZE):
    """Append one entry, then two, three and so on, up to a size."""
    while ledger.size < size:
        start, count = ledger.size, 1 + ledger.size % 4
        ledger.append(*[_draft(number) for number in range(start, min(start + count, size))])
    return ledger


def _start(path, name, count=-1):
    return subprocess.Popen(
        [sys.executable, "-c", APPEND_FOREVER, str(path), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture(params=["memory", "sqlite"])
def store(request, path):
    made = MemoryStore() if request.param == "memory" else SqliteStore.create(path)
    yield made
    made.close()


@pytest.fixture
def ledger(store):
    return Ledger(store, SIGNER, _still)


# Appending


def test_entries_get_places_times_and_a_signed_checkpoint(ledger):
    [first] = ledger.append(_draft(0))
    second, third = ledger.append(_draft(1), _draft(2))

    assert [first.seq, second.seq, third.seq] == [0, 1, 2]
    assert list(ledger.entries()) == [first, second, third]
    assert ledger.size == ledger.head.size == 3
    assert parse_checkpoint(open_note(ledger.checkpoint(), SIGNER.key).text) == Checkpoint(
        origin="log.example/volition", size=3, root=merkle.Tree(entry.leaf_bytes for entry in ledger.entries()).root
    )


def test_each_entry_is_later_than_the_one_before_whatever_the_clock_does(store):
    times_us = iter([5, 9, 3, 9, 10, 4])
    ledger = Ledger(store, SIGNER, lambda: next(times_us))
    for count in (1, 2, 1):
        ledger.append(*[_draft()] * count)
    ledger = Ledger(store, SIGNER, lambda: next(times_us))  # the head's time survives a restart
    told = [entry for _ in range(3) for entry in ledger.append(_draft())]

    assert [entry.at_us for entry in ledger.entries()] == [5, 9, 10, 11, 12, 13, 14]
    assert told == list(ledger.entries(4))
    assert ledger.verify().size == 7


def test_entries_that_share_an_instant_as_they_once_did_still_open_and_verify(store):
    """What versions before strictly increasing instants wrote: two entries of one append at one time."""
    old = [Entry(seq=seq, at_us=7, kind="region", body={}) for seq in range(2)]
    frontier = merkle.Frontier()
    frontier.extend([entry.leaf_hash for entry in old])
    checkpoint = Checkpoint(origin=SIGNER.key.name, size=2, root=frontier.root())
    note = sign_note(checkpoint_text(checkpoint), SIGNER)
    leaves = tuple(entry.leaf_bytes for entry in old)
    store.append(lambda _: Growth(leaves=leaves, nodes=(), checkpoint=checkpoint, note=note))

    ledger = Ledger(store, SIGNER, lambda: 7)
    assert ledger.verify().size == 2
    proof = ledger.prove_inclusion(1)
    [first] = ledger.append(_draft())
    assert first.at_us == 9
    assert ledger.verify().size == 4
    merkle.verify_inclusion(old[1].leaf_hash, 1, 2, proof, checkpoint.root)  # what was proved once still is
    assert ledger.checkpoint(2) == note


def _unsalted(store, count):
    """A log as earlier versions wrote it: no entry has a salt."""
    old = [Entry(seq=seq, at_us=seq, kind="region", body={"party": "account:0"}) for seq in range(count)]
    frontier = merkle.Frontier()
    nodes = frontier.extend([entry.leaf_hash for entry in old], lowest=3)
    checkpoint = Checkpoint(origin=SIGNER.key.name, size=count, root=frontier.root())
    note = sign_note(checkpoint_text(checkpoint), SIGNER)
    leaves = tuple(entry.leaf_bytes for entry in old)
    store.append(lambda _: Growth(leaves=leaves, nodes=tuple(nodes), checkpoint=checkpoint, note=note))
    return old


@pytest.mark.parametrize("count", [1, 8, 9])
def test_a_log_without_salts_records_from_where_on_its_entries_have_them(store, count):
    old = _unsalted(store, count)
    for draft in ([_draft(0), _draft(1)], [_draft(2)]):  # the second time, nothing is recorded again
        Ledger(store, SIGNER, _still).append(*draft)

    ledger = Ledger(store, SIGNER, _still)
    entries = [*ledger.entries()]
    assert entries[:count] == old
    assert [entry.kind for entry in entries[count:]] == ["form", "decision", "decision", "decision"]
    assert entries[count].body == {"form": 2, "unsalted": count}
    assert all(entry.salt for entry in entries[count:])
    assert ledger.verify().size == count + 4


def test_what_is_refused_begins_no_new_form(store):
    _unsalted(store, 3)
    ledger = Ledger(store, SIGNER, _still)
    with pytest.raises(InvalidInputError, match="65535"):
        ledger.append(NewEntry(kind="region", body={"text": "x" * MAX_ENTRY_BYTES}))

    assert ledger.size == 3


def test_no_two_entries_have_one_salt(ledger):
    ledger.append(*[_draft(0)] * 50)
    ledger.append(_draft(0))

    found = [entry.salt for entry in ledger.entries()]
    assert len({*found}) == len(found) == 51


def test_an_append_under_a_condition_is_refused_by_what_came_since_and_by_nothing_else(store):
    ledger = Ledger(store, SIGNER, _still)
    ledger.append(_draft(0), _draft(1))
    is_no = Condition(since=1, unless=lambda entry: entry.body["party"] == "account:1")

    with pytest.raises(OutdatedError):
        ledger.append(_draft(2), condition=is_no)
    assert ledger.size == 2
    [third] = ledger.append(_draft(2), condition=replace(is_no, since=2))
    assert third.seq == 2
    assert ledger.verify().size == 3


def test_an_append_under_a_condition_is_refused_by_one_of_the_same_transaction(store):
    """Whoever waits with others is stored after them: what they say counts, too."""
    ledger = Ledger(store, SIGNER, _still)
    condition = Condition(since=0, unless=lambda entry: entry.body["party"] == "account:7")
    results = []

    def append(number, **how):
        try:
            results.append(ledger.append(_draft(number), **how)[0].body["party"])
        except OutdatedError:
            results.append("outdated")

    with ThreadPoolExecutor(40) as threads:
        for number in range(200):
            threads.submit(append, 7 if number == 100 else 8, **({} if number == 100 else {"condition": condition}))
    found = [entry.body["party"] for entry in ledger.entries()]
    assert found[-1] == "account:7", "nothing that was judged before it is stored after it"
    assert found.count("account:7") == 1
    assert sorted(found) == sorted(one for one in results if one != "outdated")
    assert len(results) == 200


SALT = "0f" * SALT_BYTES


def test_appending_nothing_changes_nothing(ledger):
    assert ledger.append() == ()
    assert ledger.size == 0


@pytest.mark.parametrize(
    ("draft", "message"),
    [
        (NewEntry(kind="rumour", body={}), "no kind of entry"),
        (NewEntry(kind="decision", body=["yes"]), "JSON object"),
        (NewEntry(kind="decision", body={"weight": float("nan")}), "canonical JSON"),
        (NewEntry(kind="decision", body={"big": 2**53}), "canonical JSON"),
        (NewEntry(kind="decision", body={1: "one"}), "canonical JSON"),
        (NewEntry(kind="decision", body={"when": time}), "canonical JSON"),
        (NewEntry(kind="decision", body={"\ud800": 1}), "canonical JSON"),
        (NewEntry(kind="decision", body={"deep": json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)}), "deeper than 64"),
        (NewEntry(kind="decision", body={"endless": ENDLESS}), "deeper than 64"),
        (NewEntry(kind="decision", body={"text": "x" * MAX_ENTRY_BYTES}), "65535"),
    ],
)
def test_a_draft_that_cannot_be_an_entry_is_refused_with_all_of_its_batch(ledger, draft, message):
    ledger.append(_draft(0))

    with pytest.raises(InvalidInputError, match=message):
        ledger.append(_draft(1), draft)

    assert ledger.size == 1
    ledger.append(_draft(2))
    assert ledger.verify().size == 2


def test_an_entry_may_take_65535_bytes_and_no_more(ledger):
    spare = MAX_ENTRY_BYTES - len(Entry(seq=0, at_us=0, kind="region", body={"text": ""}, salt=SALT).leaf_bytes)

    with pytest.raises(InvalidInputError, match="65536 bytes"):
        ledger.append(NewEntry(kind="region", body={"text": "x" * (spare + 1)}))
    [entry] = ledger.append(NewEntry(kind="region", body={"text": "x" * spare}))

    assert len(entry.leaf_bytes) == MAX_ENTRY_BYTES
    assert list(ledger.entries()) == [entry]


def test_a_body_may_be_nested_64_levels(ledger):
    [entry] = ledger.append(NewEntry(kind="region", body={"deep": json.loads("[" * 63 + "]" * 63)}))

    assert list(ledger.entries()) == [entry]


def test_the_entry_returned_is_the_one_stored_whatever_happens_to_the_draft(ledger):
    body = {"data": ("service",), "score": 1.0}
    [entry] = ledger.append(NewEntry(kind="decision", body=body))
    body["data"] = ()

    assert entry.body == {"data": ["service"], "score": 1}
    assert list(ledger.entries()) == [entry]


def test_a_ledger_opened_with_the_public_key_reads_and_verifies_but_never_appends(store):
    _filled(Ledger(store, SIGNER))
    reader = Ledger(store, SIGNER.key)

    assert reader.verify().size == SIZE
    with pytest.raises(InvalidInputError, match="private key"):
        reader.append(_draft())
    with pytest.raises(InvalidInputError, match="private key"):
        reader.checkpoint(2)  # between two appends, so nobody ever signed it


def test_several_ledgers_of_one_store_see_one_another(store):
    one, two = Ledger(store, SIGNER), Ledger(store, SIGNER)
    for number in range(10):
        (one, two)[number % 2].append(_draft(number))

    assert one.size == two.size == 10
    assert [entry.seq for entry in one.entries()] == list(range(10))
    assert two.verify() == one.head


def test_one_ledger_serves_several_threads(ledger):
    def work(number):
        [entry] = ledger.append(_draft(number))
        assert next(ledger.entries(entry.seq, entry.seq + 1)) == entry
        return entry.seq

    with ThreadPoolExecutor(4) as threads:
        places = list(threads.map(work, range(100)))

    assert sorted(places) == list(range(100))
    assert ledger.verify().size == 100


# Proofs


def test_every_entry_is_proved_at_every_size(ledger):
    _filled(ledger)
    leaves = [entry.leaf_hash for entry in ledger.entries()]

    for size in range(1, SIZE + 1):
        checkpoint = parse_checkpoint(open_note(ledger.checkpoint(size), SIGNER.key).text)
        assert (checkpoint.size, checkpoint.root) == (size, ledger.root(size))
        for seq in range(size):
            merkle.verify_inclusion(leaves[seq], seq, size, ledger.prove_inclusion(seq, size), checkpoint.root)


def test_every_size_is_proved_to_extend_every_smaller_one(ledger):
    _filled(ledger)

    for new in range(SIZE + 1):
        for old in range(new + 1):
            proof = ledger.prove_consistency(old, new)
            merkle.verify_consistency(old, new, proof, ledger.root(old), ledger.root(new))


def test_without_a_size_proofs_are_for_the_ledger_as_it_is_now(ledger):
    _filled(ledger)

    assert ledger.root() == ledger.root(SIZE) == ledger.head.root
    assert ledger.checkpoint() == ledger.checkpoint(SIZE)
    assert ledger.prove_inclusion(3) == ledger.prove_inclusion(3, SIZE)
    assert ledger.prove_consistency(3) == ledger.prove_consistency(3, SIZE)


def test_an_empty_ledger_has_the_empty_root_and_can_be_signed(ledger):
    assert ledger.root() == merkle.EMPTY_ROOT
    assert parse_checkpoint(open_note(ledger.checkpoint(), SIGNER.key).text).size == 0
    assert list(ledger.entries()) == []
    assert ledger.verify().size == 0


def test_what_the_ledger_never_had_cannot_be_asked_for(ledger):
    _filled(ledger, 5)

    for ask in (
        lambda: ledger.root(6),
        lambda: ledger.root(-1),
        lambda: ledger.checkpoint(6),
        lambda: ledger.prove_inclusion(5),
        lambda: ledger.prove_inclusion(3, 3),
        lambda: ledger.prove_inclusion(-1),
        lambda: ledger.prove_consistency(6),
        lambda: ledger.prove_consistency(4, 3),
        lambda: ledger.entries(0, 6),
        lambda: ledger.entries(4, 3),
        lambda: ledger.entries(-1),
    ):
        with pytest.raises(InvalidInputError):
            ask()


def test_ranges_of_entries_longer_than_one_reading_are_whole(ledger):
    ledger.append(*[_draft(number) for number in range(2500)])

    assert [entry.seq for entry in ledger.entries()] == list(range(2500))
    assert [entry.seq for entry in ledger.entries(1000, 2300)] == list(range(1000, 2300))
    assert [entry.body["party"] for entry in ledger.entries(2047, 2049)] == ["account:2047", "account:2048"]


# Whatever is changed in the file is found


def _put(leaves, place, leaf):
    """Replace an entry of a row; remove it if there is no other; add one behind the last."""
    entries = leaves.split(b"\n")
    return b"\n".join([*entries[:place], *([] if leaf is None else [leaf]), *entries[place + 1 :]])


def _put_node(nodes, place, node):
    """Replace a node of a row; remove it if there is no other; add one behind the last."""
    return nodes[: 32 * place] + (node or b"") + nodes[32 * (place + 1) :]


def _tamper(path, *statements):
    """Change a ledger's file as somebody who can write to it would, past its triggers."""
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("put", 3, _put)
        connection.create_function("put_node", 3, _put_node)
        triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement, *values in statements:
            assert connection.execute(statement, values).rowcount, "this changed nothing"
        connection.commit()


@pytest.fixture
def closed(path):
    """A filled ledger file that nobody has open; its rows end at 1, 3, 7, 11, 15, 19 and 21."""
    with closing(SqliteStore.create(path)) as store:
        _filled(Ledger(store, SIGNER, _still))
    return path


def _reopened(path):
    with closing(SqliteStore(path)) as store:
        return Ledger(store, SIGNER).verify()


OTHER_LEAF = Entry(seq=SIZE - 1, at_us=1_000_000, kind="decision", body={"answer": "no"}).leaf_bytes
SAY_NO = (
    "UPDATE growth SET leaves = put(leaves, 0, CAST(replace(CAST({} AS TEXT), 'yes', 'no') AS BLOB)) WHERE size = 7"
)
CHANGED_ENTRY = (SAY_NO.format("substr(leaves, 1, instr(leaves, x'0a') - 1)"),)  # number 3
CHANGED_TREE = ("UPDATE growth SET nodes = put_node(nodes, 1, ?) WHERE size = 19", bytes(32))  # level 4, number 0


@pytest.mark.parametrize(
    "statements",
    [
        [("UPDATE growth SET leaves = put(leaves, 1, ?) WHERE size = 21", OTHER_LEAF)],
        [("UPDATE growth SET leaves = put(leaves, 1, NULL) WHERE size = 21",)],
        [("UPDATE growth SET leaves = put(leaves, 2, ?) WHERE size = 21", OTHER_LEAF)],
        [("INSERT INTO growth VALUES (22, '', x'', ?)", OTHER_LEAF)],
        [("INSERT INTO growth SELECT 22, note, x'', ? FROM growth WHERE size = 21", OTHER_LEAF)],
        [("INSERT INTO growth VALUES (?, '', x'', ?)", 2**63 - 1, OTHER_LEAF)],
        [("INSERT INTO growth SELECT ?, note, nodes, leaves FROM growth WHERE size = 21", 2**63 - 1)],
        [("UPDATE growth SET leaves = x''",)],
        [("UPDATE growth SET note = ''",)],
        [("UPDATE growth SET size = 22 WHERE size = 21",)],
        [("UPDATE growth SET size = 20 WHERE size = 21",)],
        [("UPDATE growth SET note = '' WHERE size = 21",)],
        [("UPDATE growth SET note = replace(note, '21', '12') WHERE size = 21",)],
        [CHANGED_TREE],
        [("UPDATE growth SET nodes = put_node(nodes, 1, NULL) WHERE size = 19",)],
        [("UPDATE growth SET nodes = put_node(nodes, 2, ?) WHERE size = 19", bytes(32))],
        [("DELETE FROM growth WHERE size = 19",)],
        [("DELETE FROM growth WHERE size < 21",)],
        [("UPDATE growth SET size = size - 1 WHERE size = 19",)],
        [("INSERT INTO growth VALUES (17, '', x'', x'')",)],
    ],
)
def test_a_changed_end_of_the_file_is_found_when_it_is_opened(closed, statements):
    _tamper(closed, *statements)

    with closing(SqliteStore(closed)) as store, pytest.raises(ProofError):
        Ledger(store, SIGNER)


@pytest.mark.parametrize(
    "statements",
    [
        [("UPDATE growth SET leaves = put(leaves, 0, ?) WHERE size = 7", OTHER_LEAF)],
        [("UPDATE growth SET leaves = CAST(leaves AS TEXT) WHERE size = 7",)],
        [("UPDATE growth SET size = 'six' WHERE size = 7",)],
        [CHANGED_ENTRY],
        [("UPDATE growth SET leaves = put(leaves, 0, NULL) WHERE size = 7",)],
        [("UPDATE growth SET leaves = put(leaves, 0, x'') WHERE size = 7",)],
        [("UPDATE growth SET leaves = put(leaves, 4, x'') WHERE size = 7",)],
        [("UPDATE growth SET leaves = (SELECT leaves FROM growth WHERE size = 15) WHERE size = 7",)],
        [("UPDATE growth SET size = 6 WHERE size = 7",)],
        [("UPDATE growth SET size = 8 WHERE size = 7",)],
        [("DELETE FROM growth WHERE size = 7",)],
        [("INSERT INTO growth VALUES (5, '', x'', x'')",)],
        [("INSERT INTO growth VALUES (0, '', x'', x'')",), ("UPDATE growth SET size = -1 WHERE size = 1",)],
        [("UPDATE growth SET nodes = put_node(nodes, 0, ?) WHERE size = 19", bytes(32))],
        [("UPDATE growth SET nodes = put_node(nodes, 0, NULL) WHERE size = 11",)],
        [("UPDATE growth SET nodes = put_node(nodes, 1, ?) WHERE size = 11", bytes(32))],
        [("UPDATE growth SET nodes = nodes || x'00' WHERE size = 11",)],
        [("UPDATE growth SET nodes = CAST(nodes || x'00' AS BLOB) WHERE size = 11",)],
        [("UPDATE growth SET note = replace(note, 'log', 'gol') WHERE size = 1",)],
        [  # a row cut in two, with a checkpoint that is another's
            (
                "INSERT INTO growth SELECT 2, ?, nodes, put(leaves, 1, NULL) FROM growth WHERE size = 3",
                sign_note(checkpoint_text(Checkpoint(origin=SIGNER.key.name, size=2, root=bytes(32))), SIGNER),
            ),
            ("UPDATE growth SET leaves = put(leaves, 0, NULL) WHERE size = 3",),
        ],
    ],
)
def test_a_change_anywhere_else_is_found_by_verifying(closed, statements):
    try:
        _tamper(closed, *statements)
    except sqlite3.IntegrityError:  # the table's strict types stopped it
        return

    with closing(SqliteStore(closed)) as store:
        ledger = Ledger(store, SIGNER)  # a cheap look sees nothing yet
        with pytest.raises(ProofError):
            ledger.verify()


@pytest.mark.parametrize(
    "columns",
    [
        "size, note, hex(nodes) AS nodes, leaves",
        "size, note, nodes, CAST(leaves AS TEXT) AS leaves",
        "size, CAST(note AS BLOB) AS note, nodes, leaves",
        "CAST(size AS TEXT) AS size, note, nodes, leaves",
        "CAST(size AS REAL) AS size, note, nodes, leaves",
    ],
)
def test_a_table_of_other_types_is_found_when_it_is_opened(closed, columns):
    _tamper(
        closed,
        (f"CREATE TABLE weak AS SELECT {columns} FROM growth",),  # noqa: S608 - columns of this test
        ("DROP TABLE growth",),
        ("ALTER TABLE weak RENAME TO growth",),
    )

    with closing(SqliteStore(closed)) as store, pytest.raises(ProofError):
        Ledger(store, SIGNER)


def test_a_changed_entry_is_never_given_out(closed):
    _tamper(closed, CHANGED_ENTRY)

    with closing(SqliteStore(closed)) as store:
        ledger = Ledger(store, SIGNER)
        with pytest.raises(ProofError, match="were signed"):
            next(ledger.entries())
        with pytest.raises(ProofError):
            next(ledger.entries(3, 4))
        with pytest.raises(ProofError):
            ledger.prove_inclusion(3)
        assert next(ledger.entries(8, 9)).seq == 8  # what is not hashed along with it


def test_a_changed_node_never_reaches_a_proof_or_a_signature(closed):
    _tamper(closed, ("UPDATE growth SET nodes = put_node(nodes, 0, ?) WHERE size = 19", bytes(32)))  # level 3, number 1

    with closing(SqliteStore(closed)) as store:
        ledger = Ledger(store, SIGNER)
        for ask in (
            lambda: ledger.prove_inclusion(0),
            lambda: ledger.prove_consistency(2),
            lambda: ledger.prove_consistency(6),
            lambda: ledger.root(6),
            lambda: ledger.checkpoint(6),
        ):
            with pytest.raises(ProofError):
                ask()


def test_nothing_is_appended_to_a_tree_that_was_changed_while_it_was_open(closed):
    with closing(SqliteStore(closed)) as store:
        ledger = Ledger(store, SIGNER)
        _tamper(closed, CHANGED_TREE)

        with pytest.raises(ProofError, match="not the one that was signed"):
            ledger.append(_draft())

        assert store.head().size == SIZE


@pytest.mark.parametrize("size", [SIZE + 1, SIZE + 3])
def test_rows_beyond_the_end_stop_the_next_append(closed, size):
    with closing(SqliteStore(closed)) as store:
        ledger = Ledger(store, SIGNER)
        ledger.append(_draft())
        _tamper(closed, ("INSERT INTO growth SELECT ?, note, nodes, leaves FROM growth WHERE size = 21", size + 1))

        with pytest.raises(ProofError, match="behind its back"):
            ledger.append(_draft())
        with pytest.raises(ProofError, match="behind its back"):
            _ = ledger.head

        assert store.head().size == size + 1
        assert store.note(SIZE + 2) == (store.note(SIZE) if size == SIZE + 1 else "")


def test_a_running_process_notices_that_the_file_went_back_in_time(closed):
    with closing(SqliteStore(closed)) as store:
        ledger = Ledger(store, SIGNER)
        _tamper(closed, ("DELETE FROM growth WHERE size > 15",))
        with pytest.raises(ProofError, match="There were 21 entries"):
            _ = ledger.head
        with pytest.raises(ProofError, match="There were 21 entries"):
            ledger.append(_draft())

    # the older state was true once, so only who saw the newer one can tell
    assert _reopened(closed).size == 15


def test_a_running_process_notices_that_the_file_was_emptied(closed):
    with closing(SqliteStore(closed)) as store:
        ledger = Ledger(store, SIGNER)
        _tamper(closed, ("DELETE FROM growth",))
        with pytest.raises(ProofError, match="There were 21 entries, now there are 0"):
            ledger.append(_draft())
        assert store.head().size == 0


def test_a_running_process_refuses_another_history_though_it_carries_the_right_signature(tmp_path):
    with (
        closing(SqliteStore.create(tmp_path / "one.db")) as one,
        closing(SqliteStore.create(tmp_path / "two.db")) as two,
    ):
        ledger = Ledger(one, SIGNER, _still)
        ledger.append(_draft(1))
        Ledger(two, SIGNER, _still).append(_draft(2), _draft(3))
        _tamper(
            tmp_path / "one.db",
            ("DELETE FROM growth",),
            ("INSERT INTO growth VALUES (2, ?, x'', ?)", two.note(2), b"\n".join(two.leaves(0, 2))),
        )

        assert Ledger(one, SIGNER).verify().size == 2  # by itself it is sound
        with pytest.raises(ProofError, match="history was changed"):
            _ = ledger.head


def test_a_history_rewritten_with_another_key_is_refused(path):
    with closing(SqliteStore.create(path)) as store:
        _filled(Ledger(store, STRANGER))
        with pytest.raises(ProofError, match="not signed by a key that is trusted"):
            Ledger(store, SIGNER)


def test_a_checkpoint_of_another_log_is_refused(closed):
    with closing(SqliteStore(closed)) as store:
        root = Ledger(store, SIGNER).root()
    foreign = sign_note(checkpoint_text(Checkpoint(origin="log.example/other", size=SIZE, root=root)), SIGNER)
    _tamper(closed, ("UPDATE growth SET note = ? WHERE size = ?", foreign, SIZE))

    with closing(SqliteStore(closed)) as store, pytest.raises(ProofError):
        Ledger(store, SIGNER)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Entry(seq=1, at_us=0, kind="region", body={}), "older than the one before"),
        (Entry(seq=5, at_us=2_000_000, kind="region", body={}), "number 5"),
    ],
)
def test_an_entry_out_of_order_is_found_though_the_right_key_signed_it(store, entry, message):
    Ledger(store, SIGNER, _still).append(_draft())
    frontier = merkle.Frontier()
    frontier.extend(map(merkle.leaf_hash, [*store.leaves(0, 1), entry.leaf_bytes]))
    checkpoint = Checkpoint(origin=SIGNER.key.name, size=2, root=frontier.root())
    note = sign_note(checkpoint_text(checkpoint), SIGNER)
    store.append(lambda _: Growth(leaves=(entry.leaf_bytes,), nodes=(), checkpoint=checkpoint, note=note))

    with pytest.raises(ProofError, match=message):
        Ledger(store, SIGNER).verify()


def test_a_changed_tree_is_told_from_a_changed_entry(closed):
    _tamper(closed, CHANGED_TREE)

    with closing(SqliteStore(closed)) as store, pytest.raises(ProofError, match="tree of 21 entries is not the one"):
        Ledger(store, SIGNER)


def test_accidents_cannot_change_or_remove_rows(closed):
    with closing(sqlite3.connect(closed)) as connection:
        for statement in (
            "DELETE FROM growth",
            "DELETE FROM growth WHERE size = 7",
            "UPDATE growth SET size = size",
            "UPDATE growth SET note = note",
            "UPDATE growth SET nodes = nodes",
            "UPDATE growth SET leaves = leaves",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_file_with_any_byte_changed_either_verifies_the_same_or_is_refused(closed, data):
    good = closed.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != good[place]))
    mutated = closed.with_name("mutated.db")
    for leftover in mutated.parent.glob("mutated.db*"):
        leftover.unlink()
    mutated.write_bytes(good[:place] + bytes([value]) + good[place + 1 :])
    head = _reopened(closed)

    try:
        found = _reopened(mutated)
    except VolitionError as error:
        assert isinstance(error, ProofError | BackendError)  # noqa: PT017 - most bytes may also be unused
    else:
        assert found == head


# Rows


def test_a_long_append_is_several_rows_that_read_like_one(path, tmp_path, monkeypatch):
    monkeypatch.setattr("volition.ledger.stores.sqlite.MOST_AT_ONCE", 64)
    whole = MemoryStore()
    with closing(SqliteStore.create(path)) as store:
        for one in (store, whole):
            ledger = Ledger(one, SIGNER, clock=lambda: 0, draw=bytes)
            ledger.append(_draft(0))
            ledger.append(*[_draft(number) for number in range(200)])
            assert ledger.verify().size == 201
        assert store.head() == whole.head()
        assert store.leaves(0, 201) == whole.leaves(0, 201)
        assert store.leaves(60, 70) == whole.leaves(60, 70)
        for level in range(LOWEST, 8):
            assert [store.node(level, n) for n in range(201 >> level)] == [
                whole.node(level, n) for n in range(201 >> level)
            ]
        assert [size for size in range(1, 202) if store.note(size)] == [1, 201]
    with closing(sqlite3.connect(path)) as connection:
        assert [size for (size,) in connection.execute("SELECT size FROM growth")] == [1, 65, 129, 193, 201]
        connection.execute("DROP TRIGGER growth_delete")
        connection.execute("DELETE FROM growth WHERE size = 201")  # the end of an append, with its checkpoint
        connection.commit()
    with closing(SqliteStore(path)) as store, pytest.raises(ProofError):
        Ledger(store, SIGNER)


@pytest.mark.slow
def test_as_many_of_the_longest_entries_as_are_stored_together_fit_into_one_row(path):
    with closing(SqliteStore.create(path)) as store:
        size, longest = MOST_AT_ONCE, b"x" * MAX_ENTRY_BYTES
        nodes = merkle.Frontier().extend([bytes(32)] * size, lowest=LOWEST)
        checkpoint = Checkpoint(origin="log.example", size=size, root=bytes(32))
        growth = Growth(leaves=(longest,) * size, nodes=tuple(nodes), checkpoint=checkpoint, note="signed")
        store.append(lambda _: growth)

        assert store.head().size == size
        assert store.leaves(size - 1, size + 1) == [longest]
        assert store.node(12, 0) == nodes[-1].hash


@pytest.mark.parametrize(
    ("leaves", "nodes", "size"),
    [
        ((b"{\n}",), 0, 1),  # it would read as two
        ((b"{}", b"{\n}"), 0, 3),
        ((b"{}",), 0, 2),
        ((b"{}",) * 8, 0, 8),
        ((b"{}",) * 8, 2, 8),
        ((), 0, 1),
    ],
)
def test_a_store_refuses_what_it_could_not_read_back(path, leaves, nodes, size):
    made = tuple(merkle.Node(3, number, bytes(32)) for number in range(nodes))
    checkpoint = Checkpoint(origin="log.example", size=size, root=bytes(32))
    with closing(SqliteStore.create(path)) as store:
        with pytest.raises(InvalidInputError, match="do not lead from 0"):
            store.append(lambda _: Growth(leaves=leaves, nodes=made, checkpoint=checkpoint, note="signed"))
        assert store.head().size == 0


# Files, processes and disks


def test_a_ledger_is_there_after_closing_and_opening(closed):
    assert _reopened(closed).size == SIZE


def test_creating_never_overwrites(closed):
    with pytest.raises(ConflictError, match="already"):
        SqliteStore.create(closed)
    assert _reopened(closed).size == SIZE


def test_opening_never_creates(path):
    with pytest.raises(BackendError, match="no ledger file"):
        SqliteStore(path)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"this is no database at all" * 100])
def test_a_file_that_is_no_ledger_is_refused(path, content):
    path.write_bytes(content)

    with pytest.raises(BackendError, match="ledger"):
        SqliteStore(path)
    assert path.read_bytes() == content


def test_creating_where_nothing_can_be_written_says_so(tmp_path):
    with pytest.raises(BackendError, match="could not be used"):
        SqliteStore.create(tmp_path / "missing" / "ledger.db")


def test_a_closed_store_says_so(closed):
    store = SqliteStore(closed)
    store.close()

    with pytest.raises(BackendError, match="closed"):
        store.head()


def test_while_somebody_holds_the_file_reading_goes_on_and_appending_gives_up_in_time(closed):
    with (
        closing(SqliteStore(closed, patience_s=0.05)) as store,
        closing(sqlite3.connect(closed, isolation_level=None)) as other,
    ):
        ledger = Ledger(store, SIGNER)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(ConflictError, match="retry"):
            ledger.append(_draft())
        assert len(list(ledger.entries())) == ledger.size == SIZE

        other.execute("ROLLBACK")
        ledger.append(_draft())
        assert ledger.verify().size == SIZE + 1


@pytest.mark.slow
def test_several_processes_append_to_one_file(path):
    with closing(SqliteStore.create(path)) as store:
        workers = [_start(path, name, count=40) for name in "abc"]
        outputs = [worker.communicate(timeout=60)[0] for worker in workers]

        assert [worker.returncode for worker in workers] == [0, 0, 0]
        ledger = Ledger(store, SIGNER)
        entries = list(ledger.entries())
        assert ledger.verify().size == len(entries) > 0
        for name, output in zip("abc", outputs, strict=True):
            mine = [entry.seq for entry in entries if entry.body["by"] == name]
            assert mine == [int(seq) for seq in output.split()]
            assert [entries[seq].body["number"] for seq in mine] == sorted(entries[seq].body["number"] for seq in mine)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX thing")
def test_a_process_killed_at_any_moment_loses_nothing_that_it_acknowledged(path):
    SqliteStore.create(path).close()
    moments = random.Random(27)
    expected_size = 0
    for attempt in range(6):
        worker = _start(path, str(attempt))
        acknowledged = worker.stdout.readline().split()
        time.sleep(moments.uniform(0, 0.15))
        worker.send_signal(signal.SIGKILL)
        with worker.stdout as said:  # not `communicate`, which would pass over what `readline` read ahead
            rest = said.read()
        worker.wait(timeout=60)
        complete = rest[: rest.rfind("\n") + 1]
        acknowledged += complete.split()

        with closing(SqliteStore(path)) as store:
            ledger = Ledger(store, SIGNER)
            size = ledger.verify().size
            places = [entry.seq for entry in ledger.entries() if entry.body["by"] == str(attempt)]
        assert worker.returncode == -signal.SIGKILL
        assert acknowledged
        assert [int(seq) for seq in acknowledged] == places[: len(acknowledged)]
        # at most one append was durable and not yet acknowledged; a batch is there whole or not at all
        assert len(places) - len(acknowledged) <= 3
        assert places == list(range(expected_size, size))
        expected_size = size


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_refuses_the_append_and_the_ledger_goes_on_when_there_is_room(path):
    SqliteStore.create(path).close()

    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.returncode == 0, done.stderr
    assert "free some disk space" in done.stdout
    _reopened(path)
