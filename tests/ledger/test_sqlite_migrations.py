"""Ledger files of older schema versions are migrated when they are opened: byte for byte, whole or not at all."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator import SIGNER
from volition.errors import BackendError, ConflictError, ProofError, VolitionError
from volition.ledger import merkle
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Checkpoint
from volition.ledger.store import LOWEST, Growth
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.stores.sqlite import SqliteStore

OLD_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE leaf (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE node (level INTEGER, number INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, number)) STRICT;
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
CREATE TRIGGER leaf_update BEFORE update ON leaf BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER leaf_delete BEFORE delete ON leaf BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER node_update BEFORE update ON node BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER node_delete BEFORE delete ON node BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER checkpoint_update BEFORE update ON checkpoint
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER checkpoint_delete BEFORE delete ON checkpoint
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""

OPEN_AND_BE_KILLED = """
import os, signal, sys
from volition.ledger.stores import sqlite
connect, statements = sqlite._connect, []
def counted(statement):
    statements.append(statement)
    if len(statements) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
def watched(*args):
    connection = connect(*args)
    connection.set_trace_callback(counted)
    return connection
sqlite._connect = watched
sqlite.SqliteStore(sys.argv[1])
counted("opened")
print(len(statements))
"""

OPEN_ON_A_FULL_DISK = """
import resource, signal, sys
from volition.errors import BackendError
from volition.ledger.stores.sqlite import SqliteStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
try:
    SqliteStore(sys.argv[1])
except BackendError as error:
    print(error)
"""


def drafts(start, end):
    return [
        NewEntry(kind="decision", body={"party": f"account:{number}", "answer": "yes"}) for number in range(start, end)
    ]


def old_file(path, size, form=2, at_once=None):
    """Write a ledger as it was stored before, with so many entries an append, or one, two and so on; return the same."""
    store = MemoryStore()
    ledger = Ledger(store, SIGNER)
    while ledger.size < size:
        start = ledger.size
        ledger.append(*drafts(start, min(start + (at_once or 1 + start % 5), size)))
    nodes = merkle.Frontier().extend(merkle.leaf_hashes(store.leaves(0, size)), lowest=LOWEST if form == 2 else 0)
    notes = [(end, store.note(end)) for end in range(size + 1) if store.note(end)]
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD_SCHEMA)
        connection.executemany("INSERT INTO leaf VALUES (?, ?)", enumerate(store.leaves(0, size)))
        connection.executemany("INSERT INTO node VALUES (?, ?, ?)", nodes)
        connection.executemany("INSERT INTO checkpoint VALUES (?, ?)", notes)
        connection.execute(f"PRAGMA user_version = {form}")
        connection.commit()
    return store


def tamper(path, statement, *values):
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement, values).rowcount, "this changed nothing"
        connection.commit()


def dump(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone(), list(connection.iterdump())


def same(store, before):
    """Tell whether a store holds what another one does."""
    size = before.head().size
    nodes = [(level, number) for level in range(LOWEST, 64) for number in range(size >> level)]
    return (
        store.head() == before.head()
        and store.leaves(0, size + 1) == before.leaves(0, size)
        and [store.note(end) for end in range(size + 2)] == [before.note(end) for end in range(size + 2)]
        and [store.node(*node) for node in nodes] == [before.node(*node) for node in nodes]
    )


def run(script, *args):
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.mark.parametrize("form", [1, 2])
@pytest.mark.parametrize("size", [0, 1, 21, 1100])
def test_an_older_file_is_migrated_byte_for_byte_and_grows(path, form, size):
    before = old_file(path, size, form)

    with closing(SqliteStore(path)) as store:
        assert same(store, before)
        ledger = Ledger(store, SIGNER)
        assert ledger.verify().size == size
        ledger.append(*drafts(size, size + 19))
    with closing(SqliteStore(path)) as store:
        assert Ledger(store, SIGNER).verify().size == size + 19
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall() == [
            ("growth",),
            ("growth_delete",),
            ("growth_update",),
        ]


def test_an_append_that_was_longer_than_a_row_may_be_is_carried_over_in_several(path, monkeypatch):
    monkeypatch.setattr("volition.ledger.stores.sqlite.MOST_AT_ONCE", 64)
    before = old_file(path, 500, at_once=150)

    with closing(SqliteStore(path)) as store:
        assert same(store, before)
        assert Ledger(store, SIGNER).verify().size == 500
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT size, note = '' FROM growth").fetchall()
        assert rows == [(size, int(size not in (150, 300, 450, 500))) for size, _ in rows]
        assert [size for size, _ in rows][:4] == [64, 128, 150, 214]


def test_a_file_that_was_carried_over_is_like_one_that_was_made_so(tmp_path):
    before = old_file(tmp_path / "old.db", 21)
    with closing(SqliteStore(tmp_path / "old.db")), closing(SqliteStore.create(tmp_path / "new.db")) as store:
        start = 0
        for end in [end for end in range(22) if before.note(end)]:
            leaves = before.leaves(start, end)
            frontier = merkle.Frontier()
            frontier.extend(merkle.leaf_hashes(before.leaves(0, start)))
            nodes = frontier.extend(merkle.leaf_hashes(leaves), lowest=LOWEST)
            note, start = before.note(end), end
            store.append(lambda _, parts=(tuple(leaves), tuple(nodes), note, end): growth(*parts))
    assert dump(tmp_path / "old.db") == dump(tmp_path / "new.db")


def growth(leaves, nodes, note, size):
    checkpoint = Checkpoint(origin=SIGNER.key.name, size=size, root=bytes(32))
    return Growth(leaves=leaves, nodes=nodes, checkpoint=checkpoint, note=note)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX thing")
def test_killed_at_any_moment_an_older_file_is_as_it_was_or_carried_over(tmp_path):
    old_file(tmp_path / "count.db", 21)
    done = run(OPEN_AND_BE_KILLED, tmp_path / "count.db", -1)
    assert done.returncode == 0, done.stderr
    statements = int(done.stdout)
    assert statements > 30
    forms = []
    for moment in [*random.Random(5).sample(range(1, statements - 14), 6), *range(statements - 14, statements + 1)]:
        path = tmp_path / f"{moment}.db"
        before = old_file(path, 21)

        assert run(OPEN_AND_BE_KILLED, path, moment).returncode == -signal.SIGKILL

        (form,), _ = dump(path)
        forms.append(form)
        with closing(SqliteStore(path)) as store:
            assert same(store, before)
            assert Ledger(store, SIGNER).verify().size == 21
    assert set(forms) == {2, 3}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_on_a_full_disk_an_older_file_stays_as_it_is_until_there_is_room(path):
    before = old_file(path, 1100)
    as_it_was = dump(path)

    done = run(OPEN_ON_A_FULL_DISK, path)

    assert done.returncode == 0, done.stderr
    assert "free some disk space" in done.stdout
    assert dump(path) == as_it_was
    with closing(SqliteStore(path)) as store:
        assert same(store, before)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM leaf WHERE seq = 3",
        "DELETE FROM leaf WHERE seq = 20",
        "DELETE FROM leaf",
        "INSERT INTO leaf VALUES (21, x'7b7d')",
        "INSERT INTO leaf VALUES (-1, x'7b7d')",
        "UPDATE leaf SET bytes = x'7b0a7d' WHERE seq = 3",
        "DELETE FROM node WHERE level = 3 AND number = 0",
        "DELETE FROM node",
        "INSERT INTO node VALUES (3, 2, zeroblob(32))",
        "UPDATE node SET hash = zeroblob(31) WHERE level = 4",
        "DELETE FROM checkpoint",
        "DELETE FROM checkpoint WHERE size = 21",
        "UPDATE checkpoint SET size = 22 WHERE size = 21",
        "INSERT INTO checkpoint VALUES (0, 'signed')",
        "INSERT INTO checkpoint VALUES (-1, 'signed')",
    ],
)
def test_an_older_file_whose_tables_do_not_fit_together_is_refused_and_left_as_it_is(path, statement):
    old_file(path, 21)
    tamper(path, statement)
    as_it_was = dump(path)

    with pytest.raises(ProofError, match="do not fit together"):
        SqliteStore(path)

    assert dump(path) == as_it_was


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("leaf", "seq, CAST(bytes AS TEXT) AS bytes"),
        ("leaf", "seq, seq AS bytes"),
        ("node", "level, number, substr(hex(hash), 1, 32) AS hash"),
        ("node", "level, number, level AS hash"),
        ("checkpoint", "size, CAST(note AS BLOB) AS note"),
        ("checkpoint", "CAST(size AS TEXT) AS size, note"),
        ("checkpoint", "size"),
    ],
)
def test_an_older_file_with_values_of_other_types_is_refused_and_left_as_it_is(path, table, columns):
    old_file(path, 21)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"CREATE TABLE weak AS SELECT {columns} FROM {table}; "  # noqa: S608 - of this test
            f"DROP TABLE {table}; ALTER TABLE weak RENAME TO {table};"
        )
    as_it_was = dump(path)

    with pytest.raises((ProofError, BackendError)):
        SqliteStore(path)

    assert dump(path) == as_it_was


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'yes', 'no') AS BLOB) WHERE seq = 3", ()),
        ("UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'yes', 'no') AS BLOB) WHERE seq = 20", ()),
        ("UPDATE node SET hash = ? WHERE level = 3 AND number = 1", (bytes(32),)),
        ("UPDATE node SET hash = ? WHERE level = 4 AND number = 0", (bytes(32),)),
        ("UPDATE checkpoint SET note = replace(note, '\n', ' ') WHERE size = 1", ()),
        ("UPDATE checkpoint SET note = '' WHERE size = 21", ()),
    ],
)
def test_what_was_changed_in_an_older_file_is_found_once_it_is_carried_over(path, statement, values):
    old_file(path, 21)
    tamper(path, statement, *values)

    with closing(SqliteStore(path)) as store, pytest.raises(ProofError):
        Ledger(store, SIGNER).verify()


def test_several_open_an_older_file_at_once(path):
    before = old_file(path, 300)

    with ThreadPoolExecutor(6) as threads:
        stores = list(threads.map(SqliteStore, [path] * 6))

    assert all(same(store, before) for store in stores)
    for store in stores:
        Ledger(store, SIGNER).append(*drafts(0, 3))
    assert stores[0].head().size == 318
    for store in stores:
        store.close()


def test_while_somebody_writes_to_an_older_file_opening_it_gives_up_in_time(path):
    before = old_file(path, 21)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConflictError, match="retry"):
            SqliteStore(path, patience_s=0.05)
        other.execute("ROLLBACK")
    with closing(SqliteStore(path)) as store:
        assert same(store, before)


def test_a_file_of_a_newer_version_is_refused(path):
    SqliteStore.create(path).close()
    tamper(path, "CREATE TABLE more AS SELECT 1")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 4")

    with pytest.raises(BackendError, match="schema version 4"):
        SqliteStore(path)


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_an_older_file_with_any_byte_changed_either_verifies_the_same_or_is_refused(path, data):
    if not path.exists():
        old_file(path, 21)
    good = path.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != good[place]))
    mutated, copy = path.with_name("mutated.db"), path.with_name("copy.db")
    for leftover in [*path.parent.glob("mutated.db*"), *path.parent.glob("copy.db*")]:
        leftover.unlink()
    mutated.write_bytes(good[:place] + bytes([value]) + good[place + 1 :])
    copy.write_bytes(good)

    try:
        found = verified(mutated)
    except VolitionError as error:
        assert isinstance(error, ProofError | BackendError)  # noqa: PT017 - most bytes may also be unused
    else:
        assert found == verified(copy)


def verified(path):
    with closing(SqliteStore(path)) as store:
        return Ledger(store, SIGNER).verify()


def test_a_file_is_migrated_only_where_that_is_asked_for_and_its_copy_stays(path):
    before = old_file(path, 21, 2)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes()
    with pytest.raises(BackendError, match=r"earlier version .* reading leaves it as it is"):
        SqliteStore(path, carry_over=False)
    assert path.read_bytes() == data
    assert [one.name for one in path.parent.iterdir() if "version" in one.name] == []
    SqliteStore(path).close()
    SqliteStore(path, carry_over=False).close()
    kept = path.with_name("ledger.db.version-2")
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM leaf").fetchone() == (21,)
    with closing(SqliteStore(kept)) as store:
        assert same(store, before)
