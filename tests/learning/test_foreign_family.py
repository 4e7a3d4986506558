"""A family from another package: found by its entry point, walked from collecting to forgetting, and missed in peace."""

import json
import re
import sys
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import volition
from crafts import create_unbound
from volition.canonical import datetime_to_us, now_us
from volition.cli import app, main
from volition.consent.terms.vocabulary import BUILT_IN as VOCABULARY
from volition.errors import InvalidInputError
from volition.learning.families.family import NoParts
from volition.learning.families.installed import (
    BUILT_IN,
    FamilyMissingError,
    family_faults,
    find_family,
    installed_families,
    learns_from,
)
from volition.learning.grades import Grade
from volition.learning.train import Trained
from volition.progress import silent
from volition.workspace import Workspace

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
SERVICE, TRAIN = ["service"], ["train/recommend"]
PEOPLE = ("ann", "bo", "cy", "dee", "eli", "flo")

SPEC = """
from volition.consent.terms.toml_file import Section
from volition.learning.families.spec import FamilySpec, FamilyWords, Forgets

def make(context):
    from acme_ticks.family import Ticks
    return Ticks(context.secret, 1 if context.settings is None else context.settings)

def read_settings(table):
    section = Section(table, (), required=set(), optional={"weight"})
    if section.integer("weight", 1) == 13:
        raise ZeroDivisionError("thirteen")
    return section.integer("weight", 1)

SPEC = FamilySpec(
    name="ticks",
    purpose="train/recommend",
    learns_from=("service/usage",),
    uses_embeddings=False,
    feature="feature/recommend",
    reads=("service/usage",),
    forgets=Forgets.RETRAINING,
    words=FamilyWords(title="Ticks", training="Train ticks", does="Counts.", unit="tick", units="ticks"),
    command="ticks",
    make=make,
    read_settings=read_settings,
)
"""

FAMILY = """
import numpy as np

from volition.errors import InvalidInputError
from volition.learning.families.family import Scores, canonical_order, fold_of
from volition.learning.families.model import Model

class Ticks:
    name = "ticks"
    purpose = "train/recommend"

    def __init__(self, secret, weight):
        assert len(secret) == 32
        self.weight = weight

    def fit(self, rows, *, parts, progress):
        counts = {}
        for row in canonical_order(rows):
            counts[row.account] = counts.get(row.account, 0) + self.weight
        parts.put("counted", {"rows": np.array([len(rows)])})
        if not counts:
            raise InvalidInputError("There is nothing to count. Collect usage.")
        values = np.array([counts[one] for one in sorted(counts)], dtype=np.int64)
        return Model(family=self.name, settings={"accounts": sorted(counts)}, arrays={"counts": values}, texts={})

    def forget(self, model, *, before, after, parts, progress):
        return self.fit(after, parts=parts, progress=progress)

    def holdout(self, rows, fold, folds):
        held = [fold_of(row.people[0], folds) == fold for row in rows]
        known = [row for row, out in zip(rows, held) if not out]
        return known, [row for row, out in zip(rows, held) if out]

    def evaluate(self, model, rows_known, rows_heldout):
        people = sorted({(row.account, row.people[0]) for row in rows_heldout})
        return Scores(
            metric="ticks",
            units=tuple(person for _, person in people),
            accounts=tuple(account for account, _ in people),
            values=np.full(len(people), 0.0 if model is None else 1.0),
        )
"""

SUBTRACTING = (
    FAMILY
    + """
    def subtract(self, model, *, before, after, accounts, progress):
        counts = dict(zip(model.settings["accounts"], model.arrays["counts"].tolist()))
        left = {one: counts[one] for one in accounts}
        for rows, sign in ((before, -1), (after, 1)):
            for row in rows:
                left[row.account] += sign * self.weight
        values = np.array([left[one] for one in sorted(left)], dtype=np.int64)
        return Model(family=self.name, settings={"accounts": sorted(left)}, arrays={"counts": values}, texts={})
"""
)

COMMANDS = """
from volition.cli.blocks import paragraph
from volition.cli.call import Call, Result, command

def register(app):
    command(app, "ticks", example="volition ticks acme")(ticks)

def ticks(call: Call, account: str) -> Result:
    '''Say how often an account used something.'''
    with call.workspace() as workspace:
        model = workspace.models.working("ticks")
    counts = dict(zip(model.settings["accounts"], model.arrays["counts"].tolist()))
    return Result(value={"ticks": counts[account]}, view=lambda value: [paragraph(f"{value['ticks']} ticks")])
"""


class Package:
    """A package that lies on a path of its own, with the metadata that an installer writes."""

    def __init__(
        self, site: Path, *, spec: str = SPEC, registers: str = "ticks", commands: str = COMMANDS, family: str = FAMILY
    ) -> None:
        self.site = site
        package, metadata = site / "acme_ticks", site / "acme_ticks-1.0.dist-info"
        package.mkdir(parents=True)
        metadata.mkdir()
        (package / "__init__.py").write_text("")
        (package / "spec.py").write_text(spec)
        (package / "family.py").write_text(family)
        (package / "commands.py").write_text(commands)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-ticks\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(
            f"[volition.families]\n{registers} = acme_ticks.spec:SPEC\n"
            f"[volition.commands]\n{registers} = acme_ticks.commands:register\n"
        )

    def install(self) -> None:
        sys.path.append(str(self.site))

    def uninstall(self) -> None:
        if str(self.site) in sys.path:
            sys.path.remove(str(self.site))
        for name in [name for name in sys.modules if name.split(".")[0] == "acme_ticks"]:
            del sys.modules[name]


@pytest.fixture
def package(tmp_path):
    made = Package(tmp_path / "site")
    made.install()
    yield made
    made.uninstall()


class Clock:
    """A clock that goes on by a second each time it is read, and can be put forward."""

    def __init__(self):
        self.now_us = now_us() - 86_400_000_000  # the command line looks at the clock on the wall

    def __call__(self):
        self.now_us += 1_000_000
        return self.now_us

    def put_forward(self, **by):
        self.now_us += int(timedelta(**by).total_seconds()) * 1_000_000


def usage():
    """Write two uses of each person as one OTLP request."""
    records = [
        {
            "timeUnixNano": str((datetime_to_us(MONDAY) - 3_600_000_000 + minute * 60_000_000) * 1000),
            "attributes": [
                {"key": key, "value": {"stringValue": value}}
                for key, value in (
                    ("volition.account", "acme"),
                    ("volition.person", person),
                    ("volition.category", "service/usage"),
                    ("volition.item", item),
                )
            ],
        }
        for person in PEOPLE
        for minute, item in enumerate(("channel/general", "feature/polls"))
    ]
    return json.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": records}]}]})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path, clock):
    """A workspace in which everybody's usage may train recommendations."""
    with create_unbound(tmp_path / "ws", clock=clock) as made:
        made.people.add_account("acme", "Acme")
        for person in PEOPLE:
            made.people.add_person(person, account="acme")
        made.terms.accept("acme")
        made.consent.decide("account:acme", yes=True, data=SERVICE, purpose=TRAIN, covers="past")
        (tmp_path / "usage.json").write_text(usage())
        collected = made.records.collect_otlp(tmp_path / "usage.json")
        assert (collected.rejected, collected.not_kept) == ([], {})
    return tmp_path / "ws"


def put_to_work(workspace, family):
    trained = workspace.models.train(family)
    workspace.models.audit(trained.id)
    workspace.models.release(trained.id)
    return trained


def rows_of(workspace, trained: Trained):
    return workspace.snapshots.open(trained.record["snapshot"]).rows(workspace.parties)


@pytest.mark.slow
def test_a_family_of_another_package_walks_the_whole_road(folder, clock, package):
    with Workspace.open(folder, clock=clock) as workspace:
        assert workspace.models.families()["ticks"] == "train/recommend"
        trained = put_to_work(workspace, "ticks")
        assert workspace.models.working("ticks").arrays["counts"].tolist() == [12]
        audits = {found.audit for found in workspace.models.findings(trained)}
        assert {"benefit", "attack", "poisoning"} <= audits

        workspace.consent.decide("person:ann", yes=False, data=SERVICE, purpose=TRAIN)
        [owed] = workspace.models.owed()
        assert (owed.model, owed.rows, owed.blocked) == (trained.id, 2, "")
        [done] = workspace.forgetting.forget()

        assert done.model == trained.id
        successor = workspace.models.open(done.successor)
        rows = rows_of(workspace, successor)
        assert len(rows) == 10
        never = workspace.models.family("ticks").fit(rows, parts=NoParts(), progress=silent)
        assert successor.model.files() == never.files()
        assert workspace.models.working("ticks").arrays["counts"].tolist() == [10]
        assert workspace.models.owed() == []
        assert not trained.folder.exists()


def test_a_family_that_subtracts_sees_the_rows_of_those_alone_for_whom_something_changed(folder, clock, tmp_path):
    package = Package(tmp_path / "subtracting", family=SUBTRACTING)
    package.install()
    try:
        with Workspace.open(folder, clock=clock) as workspace:
            put_to_work(workspace, "ticks")
            workspace.consent.decide("person:ann", yes=False, data=SERVICE, purpose=TRAIN)
            [done] = workspace.forgetting.forget()
            successor = workspace.models.open(done.successor)
            never = workspace.models.family("ticks").fit(
                rows_of(workspace, successor), parts=NoParts(), progress=silent
            )
            assert successor.model.files() == never.files()
    finally:
        package.uninstall()


JITTERY = FAMILY.replace(
    "return Model(family=self.name, settings=",
    "import os\n        return Model(family=self.name, settings={'noise': os.urandom(4).hex()} |",
)


@pytest.mark.parametrize(("grade", "is_same"), [("EXACT", False), ("EXACT_PREDICTIONS", True)])
def test_a_family_may_promise_the_same_predictions_and_is_held_to_them(folder, clock, tmp_path, grade, is_same):
    said = SPEC.replace("    command=", f"    grade=Grade.{grade},\n    command=")
    package = Package(tmp_path / "jittery", spec=f"from volition.learning.grades import Grade\n{said}", family=JITTERY)
    package.install()
    try:
        with Workspace.open(folder, clock=clock) as workspace:
            model = workspace.models.train("ticks").id
            assert workspace.models.states()[model].forgets == Grade[grade]
            again = workspace.retraining.retrain(model)
            assert again.digest != again.again
            assert (again.is_same, again.predicts_same) == (is_same, is_same)
    finally:
        package.uninstall()
    with pytest.raises(InvalidInputError, match="a family forgets exactly"):
        replace(find_family("search"), grade=Grade.APPROXIMATE)


@pytest.fixture
def left_behind(folder, clock, package):
    """A workspace with a built-in and a foreign model at work; somebody says no, and the package is uninstalled."""
    with Workspace.open(folder, clock=clock) as workspace:
        foreign, own = put_to_work(workspace, "ticks"), put_to_work(workspace, "recommend")
        workspace.consent.decide("person:ann", yes=False, data=SERVICE, purpose=TRAIN)
    package.uninstall()
    with Workspace.open(folder, clock=clock) as workspace:
        yield workspace, foreign, own


def test_a_family_that_was_uninstalled_stops_nothing_for_the_others(left_behind):
    workspace, foreign, own = left_behind

    status = workspace.status()
    assert {model["id"]: model["state"] for model in status["models"]} == {foreign.id: "at work", own.id: "at work"}
    assert list(status["families_missing"]) == ["ticks"]
    assert "installed" in status["families_missing"]["ticks"]
    blocked = {owed.model: owed.blocked for owed in workspace.models.owed()}
    assert blocked[own.id] == ""
    assert "There is no family 'ticks'" in blocked[foreign.id]

    [done] = workspace.forgetting.forget()

    assert done.model == own.id
    assert done.successor is not None
    assert [owed.model for owed in workspace.models.owed()] == [foreign.id]
    assert foreign.folder.exists()
    with pytest.raises(FamilyMissingError, match="installed"):
        workspace.models.train("ticks")


def test_its_command_is_one_of_volition_s_as_long_as_it_is_installed(folder, clock, package, capsys):
    with Workspace.open(folder, clock=clock) as workspace:
        put_to_work(workspace, "ticks")
    where = ["--workspace", str(folder)]

    assert main(["ticks", "acme", *where]) == 0
    assert capsys.readouterr().out == "12 ticks\n"
    assert main(["ticks", "acme", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out) == {"ticks": 12}
    assert main(["ticks", "--help"]) == 0
    assert "volition ticks acme" in capsys.readouterr().out

    package.uninstall()
    assert main(["ticks", "acme", *where]) == 2
    assert "No such command 'ticks'" in capsys.readouterr().err


@pytest.mark.parametrize("commands", ["raise RuntimeError('half installed')", "def register(app): pass"])
def test_a_command_that_is_broken_says_whose_it_is_and_hinders_no_other(tmp_path, folder, capsys, commands):
    package = Package(tmp_path / "broken", commands=commands)
    package.install()
    try:
        assert main(["ticks", "acme", "--workspace", str(folder)]) == 2
        assert "The command 'ticks' of the package acme-ticks cannot be loaded" in capsys.readouterr().err
        assert main(["status", "--workspace", str(folder)]) == 0
    finally:
        package.uninstall()


def test_no_package_takes_the_name_of_a_command_of_volition(tmp_path, folder, capsys):
    package = Package(tmp_path / "taking", registers="key", commands="raise RuntimeError('taken')")
    package.install()
    try:
        assert main(["key", "--workspace", str(folder)]) == 0
        assert "taken" not in capsys.readouterr().err
    finally:
        package.uninstall()


def set_ticks(folder, text, *, table="families.ticks"):
    path = folder / "volition.toml"
    path.write_text(path.read_text() + f"[{table}]\n{text}\n")
    return path, len(path.read_text().splitlines())


def test_it_has_a_table_of_its_own_in_the_settings(folder, clock, package, capsys):
    assert main(["families"]) == 0
    listed = capsys.readouterr().out
    assert "volition ticks" in listed
    assert "ticks may have a table [families.ticks] in volition.toml." in listed
    assert "adapter needs a table [adapter] in volition.toml." in listed
    set_ticks(folder, "weight = 3")
    with Workspace.open(folder, clock=clock) as workspace:
        put_to_work(workspace, "ticks")
        assert workspace.models.working("ticks").arrays["counts"].tolist() == [36]


@pytest.mark.parametrize(
    ("mistake", "why"),
    [
        ("wait = 3", 'unknown key "wait". Did you mean "weight"?'),
        ('weight = "3"', '"weight" must be a whole number, like 1.'),
        ("weight = 13", "the family ticks cannot read its table (ZeroDivisionError('thirteen'))"),
    ],
)
def test_a_mistake_in_its_table_is_named_with_its_line_and_stops_nothing_for_the_others(
    folder, clock, package, mistake, why
):
    with Workspace.open(folder, clock=clock) as workspace:
        foreign, own = put_to_work(workspace, "ticks"), put_to_work(workspace, "recommend")
    path, line = set_ticks(folder, mistake)
    with Workspace.open(folder, clock=clock) as workspace:
        with pytest.raises(InvalidInputError) as caught:
            workspace.models.train("ticks")
        assert str(caught.value).startswith(f"{path}:{line if '13' not in mistake else line - 1}: {why}")
        assert why in workspace.status()["families_missing"]["ticks"]
        workspace.consent.decide("person:ann", yes=False, data=SERVICE, purpose=TRAIN)
        assert [done.model for done in workspace.forgetting.forget()] == [own.id]
        assert [owed.model for owed in workspace.models.owed()] == [foreign.id]


def test_a_table_of_a_family_that_is_not_installed_is_named_and_keeps_nothing_closed(folder, clock):
    set_ticks(folder, "weight = 3")
    with Workspace.open(folder, clock=clock) as workspace:
        assert "There is no family 'ticks'" in workspace.status()["families_missing"]["ticks"]
        put_to_work(workspace, "recommend")


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("ticks", 'unknown key "ticks"'),  # only below `families`, where no name can meet one of ours
        ("families.adapter", "the family adapter is one of Volition's own: write [adapter]."),
        ("search", 'unknown key "search"'),  # it has no settings
    ],
)
def test_a_table_stands_where_its_family_has_it(folder, package, table, why):
    set_ticks(folder, "weight = 3", table=table)
    with pytest.raises(InvalidInputError, match=re.escape(why)):
        Workspace.open(folder)


def test_what_it_is_worth_cannot_be_measured_and_the_weigh_page_says_so(folder, clock, package):
    with Workspace.open(folder, clock=clock) as workspace:
        put_to_work(workspace, "ticks")
    package.uninstall()
    with Workspace.open(folder, clock=clock) as workspace:
        weighed = workspace.weigh.party("account:acme", purpose=TRAIN, measure=True)
        assert "not installed here" in json.dumps(weighed.to_json())


def test_installed_again_it_forgets_as_if_it_had_never_been_away(left_behind, package):
    workspace, foreign, _ = left_behind
    workspace.forgetting.forget()
    package.install()

    [done] = workspace.forgetting.forget()

    assert done.model == foreign.id
    assert workspace.models.open(done.successor).model.arrays["counts"].tolist() == [10]


def test_a_model_of_a_missing_family_works_no_more_past_its_due_day_and_is_erased(left_behind, clock):
    workspace, foreign, _ = left_behind
    assert workspace.models.at_work("ticks") == foreign.id
    clock.put_forward(days=workspace.due_days + 1)

    assert workspace.models.at_work("ticks") is None
    done = {one.model: one for one in workspace.forgetting.forget()}

    assert done[foreign.id].successor is None
    assert not foreign.folder.exists()
    assert workspace.models.owed() == []


def test_a_package_that_is_broken_hinders_no_other_family(tmp_path):
    for number, (spec, why) in enumerate(
        [
            ("raise RuntimeError('half installed')", "half installed"),
            ("SPEC = 3", "is no FamilySpec"),
            (SPEC.replace("train/recommend", "advertising"), "names the purpose 'advertising'"),
            (SPEC.replace('learns_from=("service/usage",)', 'learns_from=("content",)'), "learns from 'content'"),
            (SPEC.replace('name="ticks"', 'name="tocks"'), "is no FamilySpec of the name 'ticks'"),
        ]
    ):
        package = Package(tmp_path / str(number), spec=spec)
        package.install()
        try:
            assert tuple(installed_families()) == BUILT_IN
            assert why in family_faults()["ticks"]
            assert "acme-ticks" in family_faults()["ticks"]
            with pytest.raises(FamilyMissingError, match="cannot be used"):
                find_family("ticks")
        finally:
            package.uninstall()
    assert family_faults() == {}


def test_no_package_takes_the_name_of_a_built_in_family(tmp_path):
    package = Package(tmp_path / "site", spec=SPEC.replace('name="ticks"', 'name="search"'), registers="search")
    package.install()
    try:
        assert find_family("search").feature == "feature/search"
        assert ["acme-ticks" in why for why in family_faults().values()] == [True]
    finally:
        package.uninstall()


def test_a_purpose_has_a_use_for_what_any_of_its_families_learns_from(tmp_path):
    spec = SPEC.replace('learns_from=("service/usage",)', 'learns_from=("service/diagnostics",)')
    package = Package(tmp_path / "site", spec=spec)
    assert learns_from("train/recommend", VOCABULARY) == ("service/usage",)
    package.install()
    try:
        assert learns_from("train/recommend", VOCABULARY) == ("service/diagnostics", "service/usage")
    finally:
        package.uninstall()


def test_the_built_in_families_are_registered_like_any_other():
    project = tomllib.loads((Path(volition.__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    registered = project["project"]["entry-points"]["volition.families"]
    assert registered == {name: f"volition.learning.families.{name}.spec:SPEC" for name in BUILT_IN}


def test_a_source_tree_without_metadata_has_the_built_in_families(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(Path(volition.__file__).parents[1])])
    assert tuple(installed_families()) == BUILT_IN


@pytest.mark.slow
def test_a_declaration_names_a_command_that_there_is_and_a_family_that_it_makes(folder, clock):
    commands = {command.name for command in app.registered_commands}
    assert {spec.command for spec in installed_families().values()} <= commands
    with pytest.raises(InvalidInputError, match="what reads them"):
        replace(find_family("search"), needs_settings=True)
    with Workspace.open(folder, clock=clock) as workspace:
        for name, purpose in workspace.models.families().items():
            assert (workspace.models.family(name).name, workspace.models.family(name).purpose) == (name, purpose)


def test_a_name_that_models_could_not_bear_is_refused():
    with pytest.raises(InvalidInputError, match="cannot name a family"):
        replace(find_family("search"), name="a-b")


def test_the_command_line_names_what_waits_and_what_to_do(left_behind, capsys):
    workspace, foreign, own = left_behind

    assert main(["forget", "--workspace", str(workspace.folder)]) == 0
    told = capsys.readouterr().out
    assert f"{foreign.id} waits until" in told
    assert "installed (again)" in told
    assert own.id in told
    assert main(["status", "--workspace", str(workspace.folder)]) == 0
    assert "There is no family 'ticks'" in capsys.readouterr().out
