"""Answers given elsewhere, imported: what they allow and since when, what is imported twice, and what is set aside."""

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crafts import Clock
from volition.canonical import datetime_to_us, us_to_text
from volition.consent.claims import ClaimMapping
from volition.consent.history import History
from volition.consent.lease import narrows
from volition.errors import InvalidInputError
from volition.transparency.receipt import verify_receipt
from volition.workspace import Workspace, imports

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
COLUMNS = {name: name for name in ("party", "answer", "said", "wording", "id", "until")}
MAPPING = ClaimMapping(source="crm", columns=COLUMNS, data=("content",), purpose=("train",), account="acme")


def day(number):
    """Return the instant so many days ago."""
    return NOW - timedelta(days=number)


def row(party, answer, days_ago, **more):
    return {"party": party, "answer": answer, "said": day(days_ago).isoformat(), **more}


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "w", clock=Clock(day(40))) as made:
        made.people.add_account("acme", "Acme")
        made.people.add_person("ada", account="acme", name="Ada Byron", emails=["ada@acme.example"])
        made.people.add_person("bo", account="acme", name="Bo Berg")
        made.terms.accept("acme")
        said = {"yes": True, "data": ["content"], "purpose": ["train"], "covers": "past"}
        made.consent.decide("account:acme", **said)
    with Workspace.open(tmp_path / "w", clock=Clock(NOW)) as opened:
        yield opened


def may(workspace, days_ago, *, person="ada", at=None):
    """Say why what was collected so many days ago may not be used now, or at an instant; none if it may."""
    answer = workspace.gate.may(
        "train/search", account="acme", people=[person], category="content/chat", collected=day(days_ago), at=at
    )
    return None if answer.verdict.permitted else answer.verdict.reason.value


def imported(workspace, *rows, mapping=MAPPING, **how):
    return workspace.consent.import_(rows, mapping, **how)


def decisions(workspace):
    return [entry for entry in workspace.entries() if entry.kind == "decision"]


def test_a_yes_of_the_past_reaches_back_to_when_it_was_said_and_no_further(workspace):
    report = imported(workspace, row("ada@acme.example", "granted", 20, id="1", wording="May we?"))
    assert (report.new, report.known, report.set_aside) == (1, 0, 0)
    assert may(workspace, 19) is None
    assert may(workspace, 20) is None
    assert may(workspace, 21) == "before-yes"


def test_who_asks_as_of_an_instant_before_an_import_does_not_know_of_it(workspace):
    imported(workspace, row("ada", "yes", 20))
    assert may(workspace, 19, at=day(1)) == "not-asked"


def test_a_no_of_the_past_breaks_off_at_the_instant_at_which_it_was_said(workspace):
    workspace.consent.decide("person:ada", yes=True, data=["content"], purpose=["train"], covers="past")
    assert may(workspace, 30) is None
    imported(workspace, row("ada", "no", 10), row("ada", "yes", 5), row("bo", "yes", 20), row("bo", "no", 10))
    assert may(workspace, 30) is None, "a later yes reached over it, in so many words"
    assert may(workspace, 15, person="bo") == "withdrawn"
    imported(workspace, row("bo", "yes", 5))
    assert may(workspace, 15, person="bo") == "before-yes"
    assert may(workspace, 4, person="bo") is None


def test_what_was_said_last_stands_whichever_was_recorded_first(workspace):
    imported(workspace, row("ada", "no", 10))
    imported(workspace, row("ada", "yes", 20))
    assert may(workspace, 5) == "withdrawn"
    imported(workspace, row("ada", "yes", 10))
    assert may(workspace, 5) == "withdrawn", "at one and the same instant a no beats a yes"


def test_the_ledger_says_that_it_is_claimed_by_whom_and_where_it_is_from(workspace):
    imported(workspace, row("ada", "yes", 20, id="x-7", wording="May we?"), by="acme")
    [*_, entry] = decisions(workspace)
    claim = entry.body["claim"]
    assert (claim["said"], claim["source"]) == (us_to_text(datetime_to_us(day(20))), "crm")
    assert claim["by"] == "account:acme"
    assert "x-7" not in json.dumps(entry.body)
    assert "May we?" not in json.dumps(entry.body)
    assert narrows(entry)
    receipt = workspace.proofs.receipt("ada", entry.seq)
    status = receipt["record"]["dpv:hasConsentStatus"]
    assert status["dpv:isIndicatedAtTime"]["@value"] == claim["said"]
    assert status["volition:claim"]["volition:recorded"]["@value"] == us_to_text(entry.at_us)
    checked = verify_receipt(receipt, workspace.verifier)
    assert checked.holds
    assert "when and where an imported answer was given" in checked.claimed
    assert "according to crm" in checked.checks[0].detail
    status["dpv:isIndicatedAtTime"]["@value"] = us_to_text(entry.at_us)
    assert not verify_receipt(receipt, workspace.verifier).holds


def test_what_is_imported_twice_is_there_once(workspace):
    rows = [row("ada", "yes", 20, id="1"), row("ada", "no", 10), row("bo", "", 5, id="3")]
    first, size = imported(workspace, *rows), len(decisions(workspace))
    again = imported(workspace, *rows)
    assert (first.new, first.blank, again.new, again.known, again.blank) == (2, 1, 0, 2, 1)
    assert len(decisions(workspace)) == size


def test_another_content_under_the_same_id_is_told_and_set_aside(workspace):
    imported(workspace, row("ada", "yes", 20, id="1"))
    report = imported(workspace, row("ada", "no", 20, id="1"), row("bo", "yes", 20, id="2"), row("bo", "no", 9, id="2"))
    assert (report.new, report.set_aside) == (1, 2)
    assert [one.line for one in report.rows] == [1, 3]
    assert "of the ledger says something else" in report.rows[0].why
    assert may(workspace, 19) is None


def test_a_dry_run_says_what_would_change_and_changes_nothing(workspace):
    imported(workspace, row("ada", "yes", 20, id="1"))
    size = workspace.ledger.size
    rows = [
        row("ada", "yes", 20, id="1"),
        row("bo", "yes", 3, id="2"),
        row("bo", "yes", 3, id="2"),
        row("cy", "yes", 1),
    ]
    report = imported(workspace, *rows, dry_run=True)
    assert (report.new, report.known, report.set_aside) == (1, 2, 1)
    assert workspace.ledger.size == size
    assert may(workspace, 2, person="bo") == "not-asked"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (row("nobody@acme.example", "yes", 3), "nobody who is known"),
        (row("ada", "yes", -1), "in the future"),
        ({"party": "ada", "answer": "yes", "said": "1969-12-31T23:59:59Z"}, "before 1970"),
        (row("ada", "yes", 3, until=day(4).isoformat()), "ended before it was given"),
        (row("ada", "perhaps", 3), "neither one of the words"),
    ],
)
def test_a_row_that_is_not_clear_costs_no_other(workspace, wrong, why):
    report = imported(workspace, row("bo", "yes", 3), wrong, row("bo", "no", 2))
    assert (report.new, report.set_aside, report.rows[0].line) == (2, 1, 2)
    assert why in report.rows[0].why


def test_nothing_is_recorded_of_somebody_who_was_erased(workspace):
    workspace.forgetting.erase("person:bo")
    report = imported(workspace, row("bo", "yes", 3), row("Bo Berg", "no", 3))
    assert (report.new, report.set_aside, report.rows[0].why) == (0, 2, "It is of somebody who was erased.")


def test_an_import_that_was_killed_is_finished_by_the_same_again(workspace, monkeypatch):
    monkeypatch.setattr(imports, "BATCH", 3)
    rows = [row(("ada", "bo")[number % 2], "yes", 30 - number, id=str(number)) for number in range(10)]
    before = len(decisions(workspace))

    def killed():
        yield from islice(rows, 7)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workspace.consent.import_(killed(), MAPPING)
    assert len(decisions(workspace)) == before + 6, "whole batches"
    report = imported(workspace, *rows)
    assert (report.new, report.known) == (4, 6)
    assert len(decisions(workspace)) == before + 10


def test_an_imported_no_counts_for_whoever_may_be_the_same_person(workspace):
    guest = workspace.parties.guest("acme", "Ada Byron")
    imported(workspace, row("ada", "no", 10, id="1"))
    [own, copy] = decisions(workspace)[-2:]
    assert (copy.body["party"], copy.body["claim"]) == (f"person:{guest.pseudonym}", own.body["claim"])
    assert copy.body["namesake"] == own.body["party"]
    again = imported(workspace, row("ada", "no", 10, id="1"))
    assert (again.new, again.known) == (0, 1)


def test_an_answer_counts_for_every_identity_of_a_merged_person(workspace):
    guest = workspace.parties.guest("acme", "Ada B")
    workspace.people.merge(guest.id, into="ada")
    imported(workspace, row("ada", "yes", 10, id="1"))
    own, other = decisions(workspace)[-2:]
    assert (other.body["party"], other.body["same_as"]) == (f"person:{guest.pseudonym}", own.body["party"])
    assert other.body["claim"] == own.body["claim"]
    assert imported(workspace, row(guest.id, "yes", 10, id="1")).set_aside == 1, "said under another identity"


def test_an_account_answers_too(workspace):
    of_accounts = ClaimMapping(source="crm", columns=COLUMNS, data=("service",), purpose=("train",), is_account=True)
    assert imported(workspace, row("acme", "no", 3), row("brill", "no", 3), mapping=of_accounts).new == 1
    assert decisions(workspace)[-1].body["party"] == "account:acme"


def test_a_history_that_was_saved_knows_what_was_imported(workspace):
    imported(workspace, row("ada", "yes", 20, id="1"), row("bo", "no", 9, id="2"))
    known, read = workspace.history(), History()
    files = {name: bytes(data) for name, data in known.to_files().items()}
    read.load(files)
    for entry in decisions(workspace)[-2:]:
        number = int(entry.body["claim"]["id"][:16], 16) - 2**63
        assert read.imported.find(number) == known.imported.find(number)
        assert known.imported.find(number)[0] == entry.seq
        assert read.party(entry.body["party"]).decisions == known.party(entry.body["party"]).decisions
    assert read.imported.find(5) is None


def write_csv(path, rows, separator=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        lines.writeheader()
        lines.writerows(rows)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_files_of_each_kind_say_the_same(workspace, tmp_path, ending):
    rows = [row("ada", "yes", 20, id="1"), row("Bo Berg", "no", 9, id="2")]
    path = tmp_path / f"answers.{ending}"
    if ending in {"csv", "tsv"}:
        write_csv(path, rows, "," if ending == "csv" else "\t")
    elif ending == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    report = workspace.consent.import_(path, replace(MAPPING, columns={name: name for name in rows[0]}))
    assert (report.file, report.new, report.set_aside) == (path.name, 2, 0)
    assert may(workspace, 19) is None
    assert may(workspace, 8, person="bo") == "said-no"


def test_a_line_that_cannot_be_read_is_told_by_its_number(workspace, tmp_path):
    path = tmp_path / "answers.csv"
    good = f"ada,yes,{day(3).isoformat()}\n".encode()
    path.write_bytes(b"party,answer,said\n" + good + b"bo,yes\n" + b"b\xffo,yes,x\n" + good.replace(b"ada", b"bo"))
    mapping = ClaimMapping(
        source="crm",
        columns={name: name for name in ("party", "answer", "said")},
        data=("content",),
        purpose=("train",),
    )
    report = workspace.consent.import_(path, mapping)
    assert (report.new, [one.line for one in report.rows]) == (2, [3, 4])
    lines = tmp_path / "answers.jsonl"
    lines.write_text("[1]\n{\n" + json.dumps(row("ada", "no", 1)) + "\n")
    report = workspace.consent.import_(lines, mapping)
    assert (report.new, [one.line for one in report.rows]) == (1, [1, 2])


def test_a_table_that_lacks_a_column_of_the_mapping_is_refused_whole(workspace, tmp_path):
    export = tmp_path / "export.csv"
    export.write_text("party,answer,said,wording,id,expires\nada,yes,2026-02-01T00:00:00Z,May we?,1,2026-03-01\n")
    with pytest.raises(InvalidInputError) as refused:  # its yes would have no end
        workspace.consent.import_(export, MAPPING)
    assert str(refused.value) == (
        "export.csv has no column 'until'. It has: party, answer, said, wording, id, expires. Correct the mapping: "
        'of what is in no column, [columns] says so by "", as in id = "".'
    )
    pq.write_table(pa.table({"party": ["ada"], "answer": ["yes"]}), tmp_path / "export.parquet")
    with pytest.raises(InvalidInputError, match="has no column 'said', 'wording', 'id', 'until'"):
        workspace.consent.import_(tmp_path / "export.parquet", MAPPING)
    lists = ClaimMapping.from_toml('data = ["content"]\n[names.purpose]\nmarketing = ["train"]', preset="segment")
    with pytest.raises(InvalidInputError, match=r"'context.consent.categoryPreferences'"):
        workspace.consent.import_(export, lists)
    assert decisions(workspace)[1:] == []


def test_a_mapping_says_of_what_a_preset_names_that_it_is_in_no_column(workspace, tmp_path):
    export = tmp_path / "export.csv"
    export.write_text("user_id,purpose,granted,created_at\nada,train,no,2026-02-01T00:00:00Z\n")
    with pytest.raises(InvalidInputError, match="no column 'id'"):
        workspace.consent.import_(export, ClaimMapping.from_toml('data = ["content"]', preset="table"))
    without = ClaimMapping.from_toml('data = ["content"]\n[columns]\nid = ""', preset="table")
    assert workspace.consent.import_(export, without).new == 1
