"""The demo's story, told from the figures that it returns, and the commands that it leaves people with."""

import json
import shlex
from collections import Counter

import pytest

from volition import cli
from volition.cli.demo import story as demo
from volition.cli.demo.cast import ANSWERS
from volition.cli.demo.story import FAMILIES, Step, Table, run_demo
from volition.errors import InvalidInputError


def test_the_demo_refuses_a_folder_that_holds_something(tmp_path):
    (tmp_path / "mine.txt").write_text("do not touch")

    with pytest.raises(InvalidInputError, match="not empty"):
        run_demo(tmp_path, lambda _: None)

    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_machines_get_the_figures_of_the_demo_and_nothing_else(tmp_path, monkeypatch, capsys):
    def short(folder, show, *, progress):
        show(Step(title="1. A step", blocks=("in words",)))
        return {"folder": str(folder)}

    monkeypatch.setattr(demo, "run_demo", short)
    assert cli.main(["demo", "--keep", str(tmp_path / "demo"), "--json"]) == 0
    told = capsys.readouterr()
    assert (json.loads(told.out), told.err) == ({"folder": str(tmp_path / "demo")}, "")


def check_refused(learned, workspace, shown):
    """A release that misses a bound is refused, and goes to work by the name of who answers for it."""
    refused = {told["model"]: told["refused"] for told in learned.values() if told["refused"]}
    assert 0 < len(refused) < len(FAMILIES)
    for model, why in refused.items():
        card = json.loads((workspace / "releases" / model / "card.json").read_bytes())
        missed = [line[2:] for line in why.splitlines() if line.startswith("- ")]
        assert card["override"] == {"by": ANSWERS.by, "why": ANSWERS.why, "missed": missed}
        assert f"The release of {model} was refused" in " ".join(shown.split())


@pytest.mark.slow
def test_the_demo_keeps_the_five_promises_and_leaves_a_workspace_to_go_on_with(tmp_path, monkeypatch, capsys):
    """It takes longer than any other test, so it is told once: on the command line, as people see it."""
    steps, told = [], []

    def heard(folder, show, *, progress):
        told.append(run_demo(folder, lambda step: (steps.append(step), show(step)), progress=progress))
        return told[0]

    monkeypatch.setattr(demo, "run_demo", heard)
    assert cli.main(["demo", "--keep", str(tmp_path / "demo")]) == 0
    [figures], (shown, complaints) = told, capsys.readouterr()

    # Machines get the same figures, as they are; people get every step as plain lines.
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert complaints == ""
    assert [title for step in steps if (title := step.title) not in shown.splitlines()] == []
    assert "\x1b" not in shown
    assert all(line == line.rstrip() for line in shown.splitlines())

    # Every switch off: there is something to learn from, nothing is kept, and every feature says why it refuses.
    assert set(figures["off"]["rows"]) == {f"train/{family}" for family in FAMILIES}
    for rows in figures["off"]["rows"].values():
        for counted in rows.values():
            assert counted["read"] > 0
            assert (counted["kept"], counted["dropped"]) == (0, {"not-asked": counted["read"]})
    assert set(figures["off"]["refused"]) == {*FAMILIES, "compose"}
    assert all("not-asked" in told and "can allow this" in told for told in figures["off"]["refused"].values())

    # Yeses come in: most rows are kept, and each of those that are not has a reason.
    for rows in figures["yes"]["rows"].values():
        for counted in rows.values():
            assert counted["read"] == counted["kept"] + sum(counted["dropped"].values())
            assert counted["kept"] > counted["read"] / 2
    reasons = {
        reason for rows in figures["yes"]["rows"].values() for told in rows.values() for reason in told["dropped"]
    }
    assert reasons == {"not-asked", "said-no", "before-yes"}
    assert [answer["reason"] for answer in figures["yes"]["why"].values()] == [
        "not-asked",
        "said-no",
        "said-no",
        "not-asked",
    ]

    # Training is measured on people and meetings that the model had not seen.
    for family in FAMILIES:
        benefit = figures["learn"][family]["benefit"]
        assert benefit["low"] < benefit["value"] < benefit["high"]
    assert figures["learn"]["recommend"]["benefit"]["low"] > 0

    check_refused(figures["learn"], tmp_path / "demo" / "workspace", shown)

    # One customer withdraws: refused at once, named with a due day, forgotten exactly, provably absent.
    assert set(figures["withdraw"]["refused"]) == {*FAMILIES, "compose"}
    assert all("withdrawn" in told for told in figures["withdraw"]["refused"].values())
    assert {owed["family"] for owed in figures["withdraw"]["owed"]} == set(FAMILIES)
    assert all(owed["rows"] > 0 and owed["due"] > owed["since"] for owed in figures["withdraw"]["owed"])
    for family in FAMILIES:
        told = figures["forget"]["models"][family]
        assert told["model"] == figures["learn"][family]["model"] != told["successor"]
        assert told["same_as_anew"]
        assert not (tmp_path / "demo" / "workspace" / "models" / told["model"]).exists()
        assert figures["prove"]["was_present"][told["model"]] > 0
    assert figures["prove"]["absent"] == figures["prove"]["people"] * len(FAMILIES) > 0

    # The evidence holds, and with one byte changed it does not.
    assert figures["prove"]["holds"]
    checked = {check["name"] for check in figures["prove"]["checks"]}
    assert checked >= {f"release {told['successor']}" for told in figures["forget"]["models"].values()}
    # Each model at work took another's place: it rests on what was judged of its snapshot, as made and as entered.
    permits = Counter(name.partition(", ")[2] for name in checked if name.startswith("permits of "))
    assert (permits[""], permits["entered"]) == (len(FAMILIES), len(FAMILIES))
    assert permits["trained"] == permits["released"] <= len(FAMILIES)  # those that waited for somebody's name
    assert sum(name.startswith("collection of ") for name in checked) == len(FAMILIES)
    assert not figures["prove"]["tampered"]["holds"]

    # What people read fits its headings, and what machines read is JSON.
    tables = [block for step in steps for block in step.blocks if isinstance(block, Table)]
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures

    # Every command that it ends with works, on today's clock.
    monkeypatch.setenv("VOLITION_WORKSPACE", figures["next"]["workspace"])
    for line in figures["next"]["commands"]:
        assert cli.main(shlex.split(line["command"])[1:]) == line["exit"], line["command"]
    assert "Everything holds." in capsys.readouterr().out
