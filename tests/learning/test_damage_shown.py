"""Damage stays where it is shown, too: what cannot be read of one model is named, and the others are shown whole."""

import shutil
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from crafts import Clock, build, set_bounds
from volition.cli import main
from volition.server.app import Server
from volition.server.auth import Access, Role
from volition.transparency.figures import RISKS
from volition.workspace import Workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace with an older model and the one at work, and people who sign in."""
    folder = tmp_path_factory.mktemp("made") / "w"
    clock = Clock()
    with build(folder, clock, accounts={"acme": 6, "helio": 6}) as workspace:
        set_bounds(folder)
    with Workspace.open(folder, clock=clock) as workspace:
        for _ in range(2):
            clock.wait(hours=1)
            trained = workspace.models.train("recommend")
            workspace.models.audit(trained.id)
            workspace.models.release(trained.id)
    access = Access.open(folder)
    access.users.add("operator", roles=[Role.OPERATOR], name="Operator")
    access.users.add("one", roles=[Role.PERSON], name="One", account="acme", person="acme-0")
    access.close()
    return folder, clock


@pytest.fixture
def copied(made, tmp_path):
    """Copy it, with a clock of its own; return the folder, the clock, and the ids of the two models."""
    folder, clock = made
    shutil.copytree(folder, tmp_path / "w")
    own = Clock(clock.now)
    with Workspace.open(tmp_path / "w", clock=own) as workspace:
        return tmp_path / "w", own, [*workspace.models.states()]


def flip(path):
    """Flip a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))


def snapshot_of(workspace, model):
    return workspace.folder / "snapshots" / workspace.models.states()[model].snapshot


def weighed(workspace):
    [found] = workspace.weigh.party("person:acme-0", purpose=["train/recommend"]).purposes
    return found, {one.model: one for one in found.models}


@contextmanager
def visiting(folder, user):
    """Yield somebody's browser at a server of a workspace."""
    server = Server(folder, has_worker=False)
    try:
        client = TestClient(server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
        client.cookies.set("volition", server.access.sessions.begin(user))
        yield client
    finally:
        server.close()


def damage_keys(folder, workspace, model):
    flip(snapshot_of(workspace, model) / "keys.parquet")


def damage_manifest(folder, workspace, model):
    (snapshot_of(workspace, model) / "manifest.json").write_text("{")


def lose(folder, workspace, model):
    shutil.rmtree(snapshot_of(workspace, model))


def unread(folder, workspace, model):
    """Put a folder where the manifest was: reading it fails, as reading from a disk that fails does."""
    path = snapshot_of(workspace, model) / "manifest.json"
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [damage_keys, damage_manifest, lose, unread])
def test_weigh_says_of_which_model_it_cannot_know_and_weighs_the_others(made, copied, damage):
    folder, clock, (older, newer) = copied
    with Workspace.open(made[0], clock=clock) as workspace:
        before, _ = weighed(workspace)
    with Workspace.open(folder, clock=clock) as workspace:
        damage(folder, workspace, older)
    with Workspace.open(folder, clock=clock) as workspace:
        after, models = weighed(workspace)
        assert (models[older].is_unsure, models[older].rows) == (True, None)
        assert (models[newer].is_unsure, models[newer].rows) == (False, 7)
        assert (after.gains, after.costs) == (before.gains, before.costs)


@pytest.mark.parametrize("how", ["lost", "cut", "unreadable"])
def test_weigh_goes_on_without_the_findings_of_a_model_and_names_it(copied, how):
    folder, clock, (_, newer) = copied
    findings = folder / "models" / newer / "findings.json"
    with Workspace.open(folder, clock=clock) as workspace:
        assert workspace.models.working_findings("recommend")
    if how == "cut":
        findings.write_bytes(findings.read_bytes()[:40])
    else:
        findings.unlink()
    if how == "unreadable":
        findings.mkdir()
    with Workspace.open(folder, clock=clock) as workspace:
        after, models = weighed(workspace)
        told = [
            one for one in (*after.gains, *after.costs) if f"What audits found of {newer} cannot be read" in one.how
        ]
        assert [one.what for one in told] == ["benefit", *RISKS]
        assert {one.value for one in told} == {None}
        assert not models[newer].is_unsure
        assert workspace.models.working_findings("recommend") == []  # and the feature works on


@pytest.mark.slow
def test_what_its_own_data_is_worth_is_said_not_to_be_known(copied):
    folder, clock, (_, newer) = copied
    with Workspace.open(folder, clock=clock) as workspace:
        flip(snapshot_of(workspace, newer) / "rows.parquet")
        [found] = workspace.weigh.party("account:acme", purpose=["train/recommend"], measure=True).purposes
        assert ["cannot be read here" in one.how for one in found.gains if one.what == "own data"] == [True]


@pytest.mark.slow
def test_a_person_reads_of_which_model_it_is_not_known(copied, capsys):
    folder, clock, (older, newer) = copied
    with Workspace.open(folder, clock=clock) as workspace:
        damage_manifest(folder, workspace, newer)
        old, new = workspace.proofs.traces("acme-0")
        assert (old.is_unsure, old.rows, new.is_unsure, new.at_work) == (False, 7, True, True)
    with visiting(folder, "one") as person:
        page = person.get("/models").text
        assert "0 in use learned from you; of 1 it is not known" in page
        assert page.index(f'id="{older}"') < page.index("Not known") < page.index(f'id="{newer}"')
        assert "It never saw any record that concerns you" not in page
        assert "not known, since what it learned from cannot be read here" in person.get("/weigh").text
    assert main(["weigh", "--party", "person:acme-0", "--workspace", str(folder)]) == 0
    assert "cannot be read" in capsys.readouterr().out


@pytest.mark.slow
def test_an_operator_sees_the_other_snapshots_and_what_else_is_known_of_a_damaged_model(copied):
    folder, clock, (older, newer) = copied
    with Workspace.open(folder, clock=clock) as workspace:
        gone = snapshot_of(workspace, older)
        flip(gone / "manifest.json")
        flip(folder / "releases" / newer / "card.json")
    with visiting(folder, "operator") as operator:
        page = operator.get("/console/snapshots")
        assert page.status_code == 200
        assert f"The manifest of snapshot {gone.name} was changed" in page.text
        assert page.text.count('<td class="number">\N{EN DASH}</td>') == 3
        model = operator.get(f"/console/models/{newer}")
        assert model.status_code == 200
        assert "is not the one that was released" in model.text


def test_what_a_person_holds_asked_for_and_takes_away_names_what_is_not_known(copied, tmp_path):
    folder, clock, models = copied
    with Workspace.open(folder, clock=clock) as workspace:
        clock.wait(hours=1)
        workspace.consent.decide("person:acme-0", yes=False, data=["service"], purpose=["train/recommend"])
        party = workspace.party("person:acme-0")
        [whole] = workspace.rights.requests(party)
        flip(snapshot_of(workspace, models[0]) / "keys.parquet")
        shutil.rmtree(snapshot_of(workspace, models[1]))
        [request] = workspace.rights.requests(party)
        held = workspace.rights.holdings("acme-0")
        with (tmp_path / "mine.zip").open("wb") as sink:
            assert workspace.rights.export("acme-0", sink).own > 0
    assert [model.rows is None for model in whole.models] == [False, False]
    assert {model.model: model.rows for model in request.models} == dict.fromkeys(models)
    assert [model.due_us for model in request.models] == [model.due_us for model in whole.models]
    assert [one.rows for one in held.training_sets] == [None] * len(held.training_sets)
    assert held.training_sets
    with visiting(folder, "one") as client:
        for path in ("/requests", "/holdings"):
            assert "not known" in client.get(path).text
