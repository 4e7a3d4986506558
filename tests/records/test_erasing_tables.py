"""Tables of others without an erased person: no row, no older version, no byte of them; everybody else's as they were."""

import gzip
import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volition.errors import BackendError, InvalidInputError
from volition.records.foreign.erasing.opened import erasable
from volition.records.foreign.erasing.place import SETTLED_S, Place
from volition.records.foreign.erasing.traces import Searched
from volition.records.foreign.erasing.whom import Whom, WhoseColumns

deltalake = pytest.importorskip("deltalake")
sql = pytest.importorskip("pyiceberg.catalog.sql")
pytest.importorskip("sqlalchemy")

ADA = Whom(by_id=frozenset({"ada@acme", "person:ada@acme"}), by_pseudonym=frozenset({"ab" * 16}), handles=frozenset({"Ada Li"}))  # fmt: skip
WHOSE = WhoseColumns(people=("who", "others"))
ROWS = [
    {"who": "ada@acme", "others": ["bo"], "n": 1, "text": "mine"},
    {"who": "bo", "others": None, "n": 2, "text": "Canada, said Ada Li"},
    {"who": "bo", "others": ["cy", "person:ada@acme"], "n": 3, "text": "to ada"},
    {"who": None, "others": [], "n": None, "text": None},
    {"who": "ada@acme2", "others": ["xada@acme"], "n": 4, "text": "another"},
]
KEPT = [ROWS[number] for number in (1, 3, 4)]
SCHEMA = pa.schema({"who": pa.string(), "others": pa.list_(pa.string()), "n": pa.int64(), "text": pa.string()})


class Delta:
    form = "delta"

    def __init__(self, folder, rows=ROWS, schema=SCHEMA, by=()):
        self.place = self.folder = str(folder / "t")
        self._by = [*by] or None
        self.write(rows, schema)

    def write(self, rows, schema=SCHEMA):
        table = pa.Table.from_pylist(rows, schema)
        deltalake.write_deltalake(self.place, table, mode="append", partition_by=self._by)

    def rows(self):
        return pa.table(deltalake.DeltaTable(self.place).to_pyarrow_table()).to_pylist()

    def versions(self):
        return len([*deltalake.DeltaTable(self.place).history()])


class Iceberg:
    form = "iceberg"

    def __init__(self, folder, rows=ROWS, schema=SCHEMA, by=()):
        url = f"sqlite:///{folder}/catalog.db"
        os.environ["PYICEBERG_CATALOG__HERE__URI"] = url
        os.environ["PYICEBERG_CATALOG__HERE__WAREHOUSE"] = f"file://{folder}"
        self._catalog = sql.SqlCatalog("here", uri=url, warehouse=f"file://{folder}")
        self._catalog.create_namespace("n")
        self._table = self._catalog.create_table("n.t", schema)
        for column in by:
            with self._table.update_spec() as spec:
                spec.add_identity(column)
        self.place, self.folder = "here.n.t", self._table.location().removeprefix("file://")
        self.write(rows, schema)

    def write(self, rows, schema=SCHEMA):
        self.table().append(pa.Table.from_pylist(rows, schema))

    def table(self):
        return self._catalog.load_table("n.t")

    def rows(self):
        return self.table().scan().to_arrow().to_pylist()

    def versions(self):
        return len(self.table().metadata.snapshots)


@pytest.fixture(params=[Delta, pytest.param(Iceberg, marks=pytest.mark.slow)], ids=["delta", "iceberg"])
def kind(request, monkeypatch):
    for name in ("URI", "WAREHOUSE"):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__HERE__{name}", "")  # set back afterwards
    return request.param


def erase(table, whom=ADA, whose=WHOSE):
    return erasable(table.form, table.place, whose).erase(whom)


def in_order(rows):
    return sorted(rows, key=lambda row: repr(sorted(row.items(), key=lambda item: item[0])))


def named_in(folder, name="ada@acme"):
    """Return the files in which a name is, as bytes or as a value, where no letter stands beside it."""
    system = pyarrow.fs.LocalFileSystem()
    place = Place(system=system, root=str(folder), folder=None)
    searched = Searched({name}, Whom())
    return {one.file for one in place.search(searched, {})}


@pytest.mark.parametrize("by", [(), ("who",)], ids=["", "by person"])
def test_rows_go_older_versions_end_and_no_file_names_whom_is_erased(kind, tmp_path, by):
    table = kind(tmp_path, by=by)
    table.write(ROWS)
    would = erasable(table.form, table.place, WHOSE).would_go(ADA)
    assert (would.rows, in_order(table.rows())) == (4, in_order(ROWS * 2)), "to ask changes nothing"
    gone = erase(table)
    assert (gone.rows, gone.waits) == (4, ())
    assert in_order(table.rows()) == in_order(KEPT * 2)
    assert table.versions() == 1
    assert named_in(table.folder) == set()
    assert {one.where for one in gone.left if one.is_id} == set()
    assert "the column text" in {one.where for one in gone.left}, "what another wrote of Ada Li is told"
    assert not {"who=ada@acme", "who=ada%40acme"} & {path.name for path in tmp_path.rglob("*")}
    assert erase(table).rows == 0
    table.write(ROWS[1:2])
    assert len(table.rows()) == 7


def test_a_table_that_names_nobody_of_them_stays_as_it_is_with_its_versions(kind, tmp_path):
    table = kind(tmp_path, rows=KEPT)
    table.write(KEPT)
    before = table.versions()
    gone = erase(table)
    assert (gone.rows, gone.files, gone.versions, table.versions()) == (0, 0, 0, before)
    assert {one.is_id for one in gone.left} == {False}


def test_a_row_that_only_an_older_version_has_is_found_and_goes(kind, tmp_path):
    table = kind(tmp_path)
    if kind is Delta:
        deltalake.DeltaTable(table.place).delete("who = 'ada@acme' OR array_has(others, 'person:ada@acme')")
    else:
        table.table().overwrite(pa.Table.from_pylist(KEPT, SCHEMA))
    assert named_in(table.folder)
    assert erasable(table.form, table.place, WHOSE).would_go(ADA).versions >= 1
    gone = erase(table)
    assert (gone.rows, table.versions(), named_in(table.folder)) == (0, 1, set())
    assert in_order(table.rows()) == in_order(KEPT)


def test_an_account_s_rows_go_by_its_column_or_all_of_them(kind, tmp_path):
    table = kind(tmp_path)
    acme = Whom(accounts=frozenset({"acme"}), account_names=frozenset({"bo", "account:acme"}))
    assert erase(table, acme, WhoseColumns(people=(), account_column="who")).rows == 2
    assert {row["who"] for row in table.rows()} == {"ada@acme", None, "ada@acme2"}
    assert erase(table, acme, WhoseColumns(people=("who",), account="brill")).rows == 0
    assert erase(table, acme, WhoseColumns(people=("who",), account="acme")).rows == 3
    assert table.rows() == []


def test_whole_numbers_are_people_too(kind, tmp_path):
    schema = pa.schema({"who": pa.int64(), "others": pa.list_(pa.int64())})
    rows = [{"who": 7, "others": []}, {"who": 1, "others": [2, 7]}, {"who": 17, "others": [70]}]
    table = kind(tmp_path, rows, schema)
    assert erase(table, Whom(by_id=frozenset({"7"}))).rows == 2
    assert [row["who"] for row in table.rows()] == [17]


PEOPLE = st.one_of(st.none(), st.sampled_from(["ada@acme", "person:ada@acme", "bo", "o'x", 'q"', "", "ADA@acme", "å"]))
VALUES = st.fixed_dictionaries(
    {
        "who": PEOPLE,
        "others": st.one_of(st.none(), st.lists(PEOPLE, max_size=3)),
        "n": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        "text": st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
    }
)


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.lists(VALUES, min_size=1, max_size=6), min_size=1, max_size=3))
def test_rows_of_others_are_equal_to_the_byte_afterwards(kind, tmp_path_factory, parts):
    table = kind(tmp_path_factory.mktemp("t"), parts[0])
    for rows in parts[1:]:
        table.write(rows)
    named = {"ada@acme", "person:ada@acme"}
    kept = [row for rows in parts for row in rows if named.isdisjoint({row["who"], *(row["others"] or ())})]
    erase(table)
    assert in_order(table.rows()) == in_order(kept)


class Killed(BaseException):
    """As if the process had been killed at a step."""


def killed_at(number):
    def reached(_):
        nonlocal number
        number -= 1
        if number < 0:
            raise Killed

    return reached


def test_killed_at_any_step_it_is_finished_by_running_it_again(kind, tmp_path):
    from volition.records.foreign.erasing.delta import ErasableDelta  # noqa: PLC0415 - of the kind alone
    from volition.records.foreign.erasing.iceberg import ErasableIceberg  # noqa: PLC0415

    made = ErasableDelta if kind is Delta else ErasableIceberg
    for step in range(0, 30, 1 if kind is Delta else 3):
        folder = tmp_path / str(step)
        folder.mkdir()
        table = kind(folder)
        table.write(ROWS)
        try:
            made(table.place, WHOSE, reached=killed_at(step)).erase(ADA)
        except Killed:
            gone = erase(table)
        else:
            break
        # What a killed writer wrote of others, and nobody named, stays for a day: it names nobody of them. So may the
        # commit that said that files were about to be removed.
        assert (gone.waits, named_in(table.folder), table.versions() <= 2) == ((), set(), True), step
        assert in_order(table.rows()) == in_order(KEPT * 2)
    assert step > 3


KILLED = """
import os, signal, sys
from volition.records.foreign.erasing.delta import ErasableDelta
from volition.records.foreign.erasing.whom import Whom, WhoseColumns
def reached(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
whose = WhoseColumns(people=("who", "others"))
ErasableDelta(sys.argv[1], whose, reached=reached).erase(Whom(by_id=frozenset({"ada@acme", "person:ada@acme"})))
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["deleted", "cut"])
def test_kill_9_leaves_a_table_that_is_read_and_that_is_finished_later(tmp_path, step):
    table = Delta(tmp_path)
    done = subprocess.run([sys.executable, "-c", KILLED, table.place, step], check=False)
    assert done.returncode == -signal.SIGKILL
    assert in_order(table.rows()) == in_order(KEPT)
    erase(table)
    assert (in_order(table.rows()), named_in(table.folder)) == (in_order(KEPT), set())


def test_a_file_that_no_version_names_waits_a_day_and_then_goes(kind, tmp_path):
    table = kind(tmp_path)
    folder = "" if kind is Delta else "data/"
    stray = f"{table.folder}/{folder}stray.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS[:1], SCHEMA), stray)
    assert erase(table).waits == (f"{folder}stray.parquet",)
    assert named_in(table.folder) == {f"{folder}stray.parquet"}
    os.utime(stray, (time.time() - SETTLED_S - 9,) * 2)
    assert erase(table).waits == ()
    assert named_in(table.folder) == set()


def test_a_writer_who_was_first_is_tried_again_and_what_they_wrote_goes_too(kind, tmp_path):
    from volition.records.foreign.erasing.delta import ErasableDelta  # noqa: PLC0415 - of the kind alone
    from volition.records.foreign.erasing.iceberg import ErasableIceberg  # noqa: PLC0415

    table, writes = kind(tmp_path), iter([ROWS])

    def reached(step):
        if step in {"written", "deleted"}:
            for rows in writes:
                table.write(rows)

    gone = (ErasableDelta if kind is Delta else ErasableIceberg)(table.place, WHOSE, reached=reached).erase(ADA)
    assert (gone.rows, in_order(table.rows())) == (4, in_order(KEPT * 2))
    assert (table.versions(), named_in(table.folder)) == (1, set())


def test_what_cannot_be_erased_from_is_refused_in_words_and_stays_as_it_is(kind, tmp_path):
    table = kind(tmp_path)
    with pytest.raises(InvalidInputError, match="no column 'whom'"):
        erase(table, ADA, WhoseColumns(people=("whom",)))
    with pytest.raises(BackendError, match="could not be erased from"):
        erasable(table.form, f"{table.place}nowhere", WHOSE).erase(ADA)
    if kind is Iceberg:
        snapshot = table.table().current_snapshot().snapshot_id
        table.table().manage_snapshots().create_tag(snapshot, "audit-2026").commit()
        with pytest.raises(InvalidInputError, match="audit-2026"):
            erase(table)
        table.table().manage_snapshots().remove_tag("audit-2026").commit()
        with table.table().transaction() as changed:
            changed.set_properties({"gc.enabled": "false"})
        with pytest.raises(InvalidInputError, match=r"gc\.enabled"):
            erase(table)
    assert in_order(table.rows()) == in_order(ROWS)


def test_a_table_s_other_readers_may_read_what_an_erasure_writes(kind, tmp_path):
    before = os.umask(0o022)  # of whoever keeps the table
    try:
        table = kind(tmp_path)
        os.umask(0o077)  # of a process that has opened a workspace
        erase(table)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o044 for path in (tmp_path).rglob("*.parquet")}
    assert modes == {0o044}


# The search


def found_in(folder, name):
    return {one.where for one in _search(folder, name)}


def _search(folder, name):
    place = Place(system=pyarrow.fs.LocalFileSystem(), root=str(folder), folder=None)
    return list(place.search(Searched({name}, Whom()), {}))


@pytest.mark.parametrize(
    ("name", "data", "is_there"),
    [
        ("ada", b"metadata", False),
        ("ada", b"Canada ada2 _ada", False),
        ("ada", b'{"who":"ada"}', True),
        ("ada", b"x" * ((8 << 20) - 1) + b" ada ", True),
        ("ada@acme", b"ada%40acme/part", True),
        ('o"x', rb'{"who":"o\"x"}', True),
        ("å", rb'{"who":"\u00e5"}', True),
    ],
)
def test_a_name_is_found_in_bytes_however_it_is_spelt_and_not_in_a_longer_one(tmp_path, name, data, is_there):
    (tmp_path / "f.json").write_bytes(data)
    assert found_in(tmp_path, name) == ({"its bytes"} if is_there else set())


def test_a_name_is_found_in_what_is_packed_and_in_a_dictionary_that_no_row_refers_to(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"who":"ada"}'))
    assert found_in(tmp_path, "ada") == {"what it holds unpacked"}
    (tmp_path / "a.json.gz").unlink()
    unused = pa.DictionaryArray.from_arrays(pa.array([1, 1]), pa.array(["ada", "bo"]))
    deep = pa.array([[{"by": b"ada"}], None])
    pq.write_table(pa.table({"who": unused}), tmp_path / "u.parquet", write_statistics=False, compression="zstd")
    assert found_in(tmp_path, "ada") == {"the column who"}
    (tmp_path / "u.parquet").unlink()
    pq.write_table(pa.table({"deep": deep}), tmp_path / "d.parquet", write_statistics=False)
    assert found_in(tmp_path, "ada") == {"the column deep"}
    (tmp_path / "d.parquet").write_bytes(b"PAR1 no Parquet")
    with pytest.raises(OSError, match="could not be searched"):
        found_in(tmp_path, "ada")
