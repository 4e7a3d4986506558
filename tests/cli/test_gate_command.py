"""`volition gate`: what may be used of a table in files goes to a file, whole or not at all."""

import csv
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from volition import Workspace
from volition.cli import main

JUNE = datetime(2025, 6, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a workspace in which Ada says yes, and Bob nothing."""
    made = tmp_path_factory.mktemp("gated") / "w"
    with Workspace.create(made) as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme")
        for person in ("ada", "bob"):
            workspace.people.add_person(person, account="acme", name=person.title())
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["train/search"], covers="past")
    return made


@pytest.fixture
def table(tmp_path):
    """Write a table of rows of both, in which a list, bytes and a time are written in every format."""
    rows = {
        "who": [["ada"], ["bob"], ["ada", "bob"], None, ["ada"]],
        "at": pa.array([JUNE] * 5, pa.timestamp("us", tz="UTC")),
        "said": ["one", "two", "three", "four", 'fi"ve'],
        "raw": [b"\x00\xff"] * 5,
    }
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def gate(folder, table, *more, capsys):
    capsys.readouterr()
    words = ["--purpose", "train/search", "--people-column", "who", "--time-column", "at", "--account", "acme"]
    words += ["--category", "content/chat", "--workspace", str(folder), "--json"]
    code = main(["gate", str(table), *words, *map(str, more)])
    return code, json.loads(capsys.readouterr().out)


COUNTS = {"read": 5, "kept": 2, "dropped": {"not-asked": 2, "unknown-party": 1}}


def test_without_a_file_it_counts(folder, table, capsys):
    code, found = gate(folder, table, capsys=capsys)
    assert (code, found) == (0, {"table": str(table), "purpose": "train/search", "out": None, **COUNTS})
    said = ["--purpose", "train/search", "--people-column", "who", "--time-column", "at", "--account", "acme"]
    assert main(["gate", str(table), *said, "--category", "content/chat", "--workspace", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "train/search may use 2 of 5 rows" in told
    assert "not-asked" in told


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_what_may_be_used_is_written_as_the_name_ends(folder, table, tmp_path, capsys, ending):
    out = tmp_path / f"out.{ending}"
    out.write_text("what was there before")
    code, found = gate(folder, table, "--out", out, capsys=capsys)
    assert (code, found["out"], found["kept"]) == (0, str(out), 2)
    if ending == "parquet":
        whole = pq.read_table(table)
        assert pq.read_table(out).equals(whole.take([0, 4]))
        return
    text = out.read_text()
    rows = list(csv.DictReader(text.splitlines())) if ending == "csv" else list(map(json.loads, text.splitlines()))
    assert [row["said"] for row in rows] == ["one", 'fi"ve']
    assert [row["who"] for row in rows] == (['["ada"]'] * 2 if ending == "csv" else [["ada"]] * 2)
    assert all(datetime.fromisoformat(row["at"]) == JUNE for row in rows)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_where_a_row_cannot_be_judged_nothing_is_written(folder, table, tmp_path, capsys):
    out = tmp_path / "out.parquet"
    out.write_text("what was there before")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "0.parquet").write_bytes(table.read_bytes())
    whole = bytearray(table.read_bytes())
    whole[4:40] = b"\xff" * 36
    (damaged / "1.parquet").write_bytes(whole)
    for words, told in [
        ((damaged, "--out", out), "cannot be read"),
        ((table, "--out", tmp_path / "out.xml"), "It is written as: .parquet, .csv, .jsonl"),
        ((table, "--out", tmp_path / "nowhere" / "out.csv"), "There is no folder"),
        ((Path("nowhere"),), "There is no nowhere"),
        ((table, "--account-column", "who"), "one of the two"),
    ]:
        code, found = gate(folder, *words, capsys=capsys)
        assert (code > 0, told in found["error"]["message"]) == (True, True), found
    assert out.read_text() == "what was there before"
    assert {path.suffix for path in tmp_path.iterdir()} == {"", ".parquet"}


def test_a_snapshot_of_the_table_counts_what_the_gate_lets_through_and_names_it(folder, table, tmp_path, capsys):
    ours = tmp_path / "w"
    shutil.copytree(folder, ours)
    words = ["--purpose", "train/search", "--people-column", "who", "--time-column", "at", "--account", "acme"]
    words += ["--category", "content/chat", "--workspace", str(ours)]
    capsys.readouterr()
    assert main(["snapshot-table", str(table), *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == {"content/chat": COUNTS}
    assert found["table"] == {"form": "parquet", "uri": str(table), "version": ""}
    assert main(["snapshot-table", str(table), *words]) == 0
    assert "2 rows of 1 people" in capsys.readouterr().out
    assert main(["snapshot-table", str(table), *words, "--version", "3", "--json"]) > 0
    assert "have no versions" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_it_explains_a_few_rows_of_each_reason_by_whose_answer_is_missing(folder, tmp_path, capsys):
    rows = [["ada"], ["bob"], ["ada", "bob"], None, ["nobody-here"], ["ada"], *[["bob"]] * 9]
    late = datetime(2125, 1, 1, tzinfo=UTC)
    at = pa.array([JUNE] * 5 + [late] + [JUNE] * 9, pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"who": rows, "at": at}), tmp_path / "rows.parquet")
    code, found = gate(folder, tmp_path / "rows.parquet", "--explain", capsys=capsys)
    told = {one["row"]: one for one in found["explained"]}
    assert (code, found["kept"], found["read"]) == (0, 1, 15)
    assert [one["row"] for one in found["explained"]] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert (told[3]["reason"], told[3]["parties"]) == ("not-asked", ["person:bob"])
    assert "has not been asked yet" in told[3]["remedies"][0]
    assert (told[4]["parties"], told[4]["remedies"]) == ([], ["The row does not say: people."])
    assert told[5]["parties"] == ["person:nobody-here"]
    assert told[6]["reason"] == "stale"
    said = ["--purpose", "train/search", "--people-column", "who", "--time-column", "at", "--account", "acme"]
    said += ["--category", "content/chat", "--workspace", str(folder), "--explain"]
    assert main(["gate", str(tmp_path / "rows.parquet"), *said]) == 0
    assert "Row 3: not-asked (person:bob)." in capsys.readouterr().out
