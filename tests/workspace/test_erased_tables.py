"""An erasure takes the rows out of the tables that the settings list, and says so; what is not reached is not forgotten."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from volition.cli import app
from volition.consent.parties import ErasedError
from volition.errors import InvalidInputError
from volition.files import turn
from volition.workspace import Workspace
from volition.workspace.erasing_tables import TableErasureError
from volition.workspace.settings import read_settings

deltalake = pytest.importorskip("deltalake")
pa = pytest.importorskip("pyarrow")

HITS = ["ada", "ada.old", "bo", "person:ada", "person:cy", "cy", None]


@pytest.fixture
def folder(tmp_path):
    with Workspace.create(tmp_path / "w", origin="log.example/tables") as made:
        made.people.add_account("acme", "Acme")
        for person in ("ada", "ada.old", "bo", "cy", "person:cy"):
            made.people.add_person(person, account="acme", name=person.title())
        made.people.merge("ada.old", into="ada")
    return tmp_path / "w"


def listed(folder, **tables):
    """Put tables into the settings."""
    path = folder / "volition.toml"
    text = path.read_text(encoding="utf-8").partition("\n[tables.")[0]
    for name, said in tables.items():
        text += f"\n[tables.{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items())
    path.write_text(text, encoding="utf-8")


def hits(place, people=HITS):
    deltalake.write_deltalake(str(place), pa.table({"who": people, "n": range(len(people))}), mode="append")


def left(place):
    return {row["who"] for row in pa.table(deltalake.DeltaTable(str(place)).to_pyarrow_table()).to_pylist()}


def removals(workspace):
    return [entry.body for entry in workspace.entries() if entry.kind == "removal"]


@pytest.fixture
def table(folder, tmp_path):
    hits(tmp_path / "hits")
    listed(folder, hits={"delta": str(tmp_path / "hits"), "people": ["who"]})
    return tmp_path / "hits"


def test_rows_go_under_every_identity_and_the_ledger_says_so(folder, table):
    with Workspace.open(folder) as workspace:
        names = workspace.parties.person("ada").pseudonym
        before = [one.to_json() for one in workspace.forgetting.would_go("person:ada")]
        assert before == [{"table": "hits", "rows": 3, "versions": 0, "files": 0, "left": []}]
        assert left(table) == {*HITS}
        erased = workspace.forgetting.erase("person:ada")
        assert [(one.table, one.rows) for one in erased.tables] == [("hits", 3)]
        assert left(table) == {"bo", "person:cy", "cy", None}
        assert [(one["table"], one["rows"], one["parties"]) for one in removals(workspace)] == [
            ("hits", 3, [f"person:{names}"])
        ]
        assert workspace.erasures_are_finished
        workspace.ledger.verify()


def test_a_text_that_could_mean_two_people_erases_nobody_s_row(folder, table):
    with Workspace.open(folder) as workspace:
        workspace.forgetting.erase("person:cy")
        assert left(table) == {*HITS} - {"cy"}


def test_a_table_out_of_reach_keeps_the_key_until_somebody_reaches_it(folder, table, tmp_path):
    away = tmp_path / "away"
    listed(
        folder,
        hits={"delta": str(table), "people": ["who"]},
        more={"delta": str(away), "people": ["who"]},
    )
    with Workspace.open(folder) as workspace:
        with pytest.raises(TableErasureError, match="The table more"):
            workspace.forgetting.would_go("person:ada")
        with pytest.raises(TableErasureError, match="The table more"):
            workspace.forgetting.erase("person:ada")
        assert left(table) == {"bo", "person:cy", "cy", None}, "one does not wait for the other"
        assert workspace.history().erased_us(workspace.party("person:ada")) is not None, "the gate refuses all the same"
        assert workspace.parties.person("ada").id == "ada"
        assert not workspace.erasures_are_finished
        workspace.finish_erasures(tables=False)
        assert not workspace.erasures_are_finished
        [request] = workspace.rights.requests(workspace.party("person:ada"))
        assert (request.tables, request.is_done) == (1, False)
        with pytest.raises(TableErasureError):
            workspace.forgetting.forget()
        hits(table, ["ada"])  # what comes later is the writer's: the table was done
        hits(away)
        workspace.forgetting.forget()
        assert left(away) == {"bo", "person:cy", "cy", None}
        assert "ada" in left(table)
        assert workspace.erasures_are_finished
        with pytest.raises(ErasedError):
            workspace.parties.person("ada")
        assert [one["table"] for one in removals(workspace)] == ["hits", "more"]


def test_processes_take_turns_and_who_comes_later_finds_it_done(folder, table, monkeypatch):
    with Workspace.open(folder) as one, Workspace.open(folder) as other:
        one.forgetting.erase("person:ada", tables=False)
        monkeypatch.setattr("volition.files.PATIENCE_S", 0.05)
        (folder / "leases").mkdir(exist_ok=True)
        with turn(folder / "leases"), pytest.raises(TableErasureError, match="Another process"):
            other.forgetting.forget()
        with ThreadPoolExecutor() as both:
            monkeypatch.setattr("volition.files.PATIENCE_S", 60.0)
            assert [*both.map(lambda workspace: workspace.forgetting.forget(), (one, other))] == [[], []]
        assert left(table) == {"bo", "person:cy", "cy", None}
        assert len(removals(one)) == 1


def test_an_account_goes_from_the_tables_that_name_accounts(folder, tmp_path):
    place = folder / "below"
    deltalake.write_deltalake(str(place), pa.table({"org": ["acme", "brill", "account:acme"], "n": [1, 2, 3]}))
    listed(folder, below={"delta": "below", "account_column": "org"})
    with Workspace.open(folder) as workspace:
        assert workspace.forgetting.erase("account:acme").tables[0].rows == 2
        assert pa.table(deltalake.DeltaTable(str(place)).to_pyarrow_table())["org"].to_pylist() == ["brill"]


def test_the_command_says_what_would_go_and_what_went(folder, table):
    common = ["erase", "--party", "person:bo", "--workspace", str(folder)]
    run = CliRunner().invoke
    would = run(app, [*common, "--dry-run"])
    assert would.exit_code == 0
    assert "1 rows would go" in " ".join(would.stdout.split())
    done = run(app, [*common, "--json"])
    assert json.loads(done.stdout)["tables"][0]["rows"] == 1
    assert "bo" not in left(table)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"people": ["who"]}, "where the table lies"),
        ({"delta": "x", "iceberg": "a.b.c", "people": ["who"]}, "where the table lies"),
        ({"iceberg": "b.c", "people": ["who"]}, "the catalogue, the namespace"),
        ({"delta": "x"}, "nobody's rows"),
        ({"delta": "x", "people": ["who"], "people_are": "names"}, "how people are named"),
        ({"delta": "x", "account": "a", "account_column": "b"}, "one of the two"),
        ({"delta": "x", "person": "who"}, "person"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_their_line(folder, said, why):
    listed(folder, hits=said)
    with pytest.raises(InvalidInputError, match=why) as refused:
        read_settings(folder)
    assert "volition.toml" in str(refused.value)
