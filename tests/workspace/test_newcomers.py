"""Accounts and people in bulk: added once, and whoever is there is left as they are."""

import json
from itertools import islice

import pytest

from volition.errors import InvalidInputError
from volition.workspace import Workspace, newcomers

PEOPLE = [
    {"id": "ada", "account": "acme", "name": "Ada Byron", "emails": "ada@acme.example; a.byron@acme.example"},
    {"id": "bo", "account": "acme", "name": "Bo Berg", "emails": "", "region": "DE"},
    {"id": "zoe", "account": "", "name": "Zoe"},
]


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "w") as made:
        made.people.add_account("acme", "Acme")
        yield made


def told(report):
    return report.new, report.known, report.set_aside


def regions(workspace):
    return [entry.body for entry in workspace.entries() if entry.kind == "region"]


def test_people_are_added_with_their_names_and_regions_and_once(workspace, tmp_path):
    path = tmp_path / "people.jsonl"
    path.write_text("\n".join(map(json.dumps, PEOPLE)))
    assert told(workspace.people.import_people(path, dry_run=True)) == (3, 0, 0)
    assert workspace.parties.people() == []
    assert told(workspace.people.import_people(path)) == (3, 0, 0)
    ada = workspace.parties.find_person("acme", "A.Byron@acme.example")
    assert (ada.id, ada.name, workspace.parties.person("zoe").is_guest) == ("ada", "Ada Byron", True)
    assert workspace.people.region(workspace.parties.person("bo")) == "DE"
    assert told(workspace.people.import_people(path)) == (0, 3, 0)
    assert len(regions(workspace)) == 1


def test_a_blank_cell_takes_nothing_away_and_another_word_is_set_aside(workspace):
    workspace.people.import_people(PEOPLE)
    rows = [
        {"id": "ada"},
        {"id": "bo", "region": "FR"},
        {"id": "zoe", "account": "acme"},
        {"id": "ada", "name": "Somebody Else"},
        {"id": "cy", "account": "brill"},
        {"id": "", "name": "Nobody"},
        {"id": "di", "region": "XX"},
    ]
    report = workspace.people.import_people(rows)
    assert told(report) == (0, 1, 6)
    assert [one.line for one in report.rows] == [2, 3, 4, 5, 6, 7]
    assert workspace.parties.find_person("acme", "ada@acme.example").name == "Ada Byron"


def test_columns_may_have_other_names(workspace):
    row = {"user_id": "ada", "workspace": "acme", "full_name": "Ada Byron"}
    columns = {"id": "user_id", "account": "workspace", "name": "full_name"}
    assert told(workspace.people.import_people([row], columns)) == (1, 0, 0)
    assert workspace.parties.person("ada").name == "Ada Byron"
    with pytest.raises(InvalidInputError, match="no column 'e-mail'"):
        workspace.people.import_people([row], {"e-mail": "x"})


def test_a_table_without_the_column_of_ids_or_one_that_was_named_is_refused_whole(workspace, tmp_path):
    file = tmp_path / "users.csv"
    file.write_text("user_id,workspace\nada,acme\n")
    with pytest.raises(InvalidInputError, match=r"users.csv has no column 'id'. It has: user_id, workspace. Say in"):
        workspace.people.import_people(file)
    with pytest.raises(InvalidInputError, match="no column 'region'"):
        workspace.people.import_accounts(file, {"id": "workspace", "region": "region"})
    assert told(workspace.people.import_people(file, {"id": "user_id", "account": "workspace"})) == (1, 0, 0)


def test_whoever_was_heard_before_stays_somebody_else_whose_no_counts(workspace):
    guest = workspace.parties.guest("acme", "Ada Byron")
    workspace.consent.decide(f"person:{guest.id}", yes=False, data=["content"], purpose=["train"])
    assert told(workspace.people.import_people(PEOPLE)) == (3, 0, 0)
    ada = f"person:{workspace.parties.person('ada').pseudonym}"
    [copy] = [one.body for one in workspace.entries() if one.kind == "decision" and one.body["party"] == ada]
    assert (copy["answer"], copy["namesake"]) == ("no", f"person:{guest.pseudonym}")


def test_an_import_that_was_killed_is_finished_by_the_same_again(workspace, monkeypatch):
    monkeypatch.setattr(newcomers, "BATCH", 2)
    rows = [{"id": f"p{number}", "account": "acme", "region": "DE"} for number in range(7)]

    def killed():
        yield from islice(rows, 5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workspace.people.import_people(killed())
    assert len(workspace.parties.people("acme")) == 4
    monkeypatch.setattr(newcomers, "NewEntry", None)  # killed between the people and their regions
    with pytest.raises(TypeError):
        workspace.people.import_people(rows[4:6])
    monkeypatch.undo()
    assert told(workspace.people.import_people(rows)) == (3, 4, 0), "of two the region was missing"
    assert len(regions(workspace)) == len(workspace.parties.people("acme")) == 7


def test_nobody_who_was_erased_comes_back(workspace):
    workspace.people.import_people(PEOPLE)
    workspace.forgetting.erase("person:bo")
    assert told(workspace.people.import_people(PEOPLE)) == (0, 2, 1)


def test_accounts_are_added_once_and_left_as_they_are(workspace):
    rows = [
        {"id": "acme", "name": "Acme"},
        {"id": "brill", "region": "DE"},
        {"id": "acme", "name": "Other"},
        {"id": ""},
    ]
    assert told(workspace.people.import_accounts(rows, dry_run=True))[0] == 1
    report = workspace.people.import_accounts(rows)
    assert report.new == 1
    assert report.known == 1
    assert report.rows[0].line == 3
    assert told(workspace.people.import_accounts(rows[:2])) == (0, 2, 0)
    assert regions(workspace) == [{"party": "account:brill", "region": "DE"}]
