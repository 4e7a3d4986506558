"""A training of one's own: any code makes a model, and every door that a family's model goes through is open to it."""

import json
import shutil
import signal
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest

import volition_verify
from crafts import WallClock, build, set_bounds
from volition.errors import BackendError, InvalidInputError, ProofError, RefusedError
from volition.learning.audit.measured import Measured
from volition.learning.families.family import Scores
from volition.learning.grades import GRADE_WORDS, Grade
from volition.records.lake import Row
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.people import verify_person
from volition.workspace import Workspace

ACCOUNTS = {"acme": 12, "brill": 10}
DAY_US = 86_400_000_000
TRAIN, DATA = "train/recommend", ["service/usage"]

RETRAIN = """
import sys
from pathlib import Path
from volition.workspace import Workspace

listed, snapshot, model = sys.argv[1:4]
gone = set(Path(listed).read_text().split())
assert gone and oct(Path(listed).stat().st_mode)[-3:] == "600", "the list is private"
print("leaving out", *gone, "ann@acme.example", file=sys.stderr)
with Workspace.open(Path(sys.argv[4])) as workspace:
    with workspace.models.training("churn", snapshot=snapshot, instead_of=model) as run:
        rows = run.rows()
        assert not gone & {row.record_id for row in rows}
        (run.folder / "count").write_text(str(len(rows)))
        MORE
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace in which everybody said yes yesterday, to be copied."""
    folder = tmp_path_factory.mktemp("made") / "ws"
    build(folder, WallClock(-DAY_US), accounts=ACCOUNTS).close()
    return folder


@pytest.fixture
def clock():
    return WallClock()


@pytest.fixture
def workspace(tmp_path, clock, made):
    shutil.copytree(made, tmp_path / "ws")
    with Workspace.open(tmp_path / "ws", clock=clock) as opened:
        yield opened


def frozen(workspace):
    return workspace.snapshots.create(TRAIN).id


def trained(workspace, *, measured=None, **options):
    with workspace.models.training("churn", snapshot=frozen(workspace), **options) as run:
        (run.folder / "count").write_text(str(len(run.rows())))
        run.record(epochs=3)
        if measured is not None:
            run.measured(measured)
    return run.model


def scores(workspace, *, value, people=True):
    found = [one for one in workspace.parties.people() if one.account in ACCOUNTS]
    return Scores(
        metric="accuracy",
        units=tuple(one.id for one in found),
        accounts=tuple(one.account for one in found),
        values=np.full(len(found), value),
        people=tuple((one.pseudonym,) for one in found) if people else (),
    )


def good(workspace):
    return Measured(
        trained=scores(workspace, value=0.9), untrained=scores(workspace, value=0.6), how="Held-out people."
    )


def says_no(workspace, person="acme-0"):
    workspace.consent.decide(f"person:{person}", yes=False, data=DATA, purpose=[TRAIN])


def with_command(folder, *, more="pass", settings="", name="retrain.py"):
    """Write a command that trains again, and name it in the settings."""
    (folder / name).write_text(RETRAIN.replace("MORE", more))
    forget = f"{sys.executable} {name} {{list}} {{snapshot}} {{model}} {{workspace}}"
    path = folder / "volition.toml"
    path.write_text(f"{path.read_text()}\n[training.churn]\nforget = '{forget}'\n{settings}\n")


def test_any_code_makes_a_model_of_a_snapshot(workspace):
    snapshot = frozen(workspace)
    with workspace.models.training("churn", snapshot=snapshot) as run:
        rows = run.rows()
        (run.folder / "deep").mkdir()
        (run.folder / "deep" / "weights.bin").write_bytes(b"weights")
        (run.folder / "empty").write_bytes(b"")
        run.record(epochs=3, rate=0.5)
        run.refer("registry", uri="models:/churn/3", sha256="ab" * 32)
    assert {type(row) for row in rows} == {Row}
    assert {row.record_id for row in rows} == {key.record_id for key in workspace.snapshots.open(snapshot).keys}
    settings = workspace.models.open(run.model).model.settings
    assert settings["parameters"] == {"epochs": 3, "rate": 0.5}
    assert settings["files"]["deep/weights.bin"] == {"sha256": sha256(b"weights").hexdigest(), "bytes": 7}
    assert settings["references"] == {"registry": {"uri": "models:/churn/3", "sha256": "ab" * 32}}
    assert workspace.models.files(run.model)["deep/weights.bin"].read_bytes() == b"weights"
    [entry] = [entry for entry in workspace.entries() if entry.kind == "model"]
    assert (entry.body["trained_by"], entry.body["forgets"]) == ("caller", "retired")
    assert list((workspace.folder / "runs").iterdir()) == []


def test_a_file_that_was_changed_is_told_and_is_not_released(workspace):
    model = trained(workspace, measured=good(workspace))
    workspace.models.files(model)["count"].write_text("more")
    for attempt in (workspace.models.files, workspace.models.release):
        with pytest.raises(ProofError, match="count of model"):
            attempt(model)


@pytest.mark.parametrize(
    ("name", "why"), [("search", "no family's name"), ("Churn", "cannot name"), ("churn-2", "cannot name")]
)
def test_a_training_takes_no_family_s_name(workspace, name, why):
    with pytest.raises(InvalidInputError, match=why), workspace.models.training(name, snapshot=frozen(workspace)):
        pass


def test_what_a_feature_may_use_is_not_for_training(workspace):
    snapshot = workspace.snapshots.create("feature/recommend").id
    with (
        pytest.raises(InvalidInputError, match="no yes to training"),
        workspace.models.training("churn", snapshot=snapshot),
    ):
        pass


def test_an_exception_leaves_no_model(workspace):
    snapshot = frozen(workspace)
    with (  # noqa: PT012 - what happens in the block is the test
        pytest.raises(ZeroDivisionError),
        workspace.models.training("churn", snapshot=snapshot) as run,
    ):
        (run.folder / "half").write_text("half")
        raise ZeroDivisionError
    with (
        pytest.raises(InvalidInputError, match="wrote nothing"),
        workspace.models.training("churn", snapshot=snapshot) as run,
    ):
        pass
    assert workspace.models.states() == {}
    assert list((workspace.folder / "models").iterdir()) == []
    assert list((workspace.folder / "runs").iterdir()) == []


def test_killed_in_the_middle_nothing_is_half_registered(workspace):
    snapshot = frozen(workspace)
    code = f"""
import os
from pathlib import Path
from volition.workspace import Workspace
with Workspace.open(Path({str(workspace.folder)!r})) as workspace:
    with workspace.models.training("churn", snapshot={snapshot!r}) as run:
        (run.folder / "half").write_text("half")
        os.kill(os.getpid(), {int(signal.SIGKILL)})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert workspace.models.states() == {}
    assert list((workspace.folder / "models").iterdir()) == []
    assert len(list((workspace.folder / "runs").iterdir())) == 1
    trained(workspace)
    assert list((workspace.folder / "runs").iterdir()) == []  # swept by the next one


def test_a_training_that_goes_on_is_not_swept_by_another(workspace):
    with workspace.models.training("churn", snapshot=frozen(workspace)) as run:
        (run.folder / "count").write_text("1")
        trained(workspace)
        assert (run.folder / "count").read_text() == "1"


def test_a_no_while_it_learns_stops_its_rows_and_leaves_no_model(workspace):
    ann = workspace.parties.person("acme-0").pseudonym
    with (  # noqa: PT012 - what happens in the block is the test
        pytest.raises(RefusedError, match="is stale"),
        workspace.models.training("churn", snapshot=frozen(workspace)) as run,
    ):
        batches = iter(run.stream(batch_rows=5))
        next(batches)
        says_no(workspace)
        later = [row for batch in batches for row in batch.to_pylist()]
        assert later
        assert not [row for row in later if ann in row["people"]]
        assert not [row for row in run.rows() if ann in row.people]
        (run.folder / "count").write_text("1")
    assert workspace.models.states() == {}
    assert list((workspace.folder / "models").iterdir()) == []


def test_held_out_people_are_kept_from_training_the_same_way_each_time(workspace):
    with workspace.models.training("churn", snapshot=frozen(workspace), held_out=3) as run:
        learnt, kept = run.rows(), run.held_out()
        streamed = [row for batch in run.stream() for row in batch.to_pylist()]
        (run.folder / "count").write_text("1")
    assert learnt
    assert kept
    assert not {row.author for row in learnt} & {row.author for row in kept}
    assert {row["record_id"] for row in streamed} == {row.record_id for row in learnt}
    assert workspace.models.open(run.model).model.settings["held_out"] == 3


def test_what_the_caller_measured_is_told_so_everywhere(workspace):
    random = np.random.default_rng(1)
    measured = Measured(
        trained=scores(workspace, value=0.9),
        untrained=scores(workspace, value=0.6),
        member_losses=random.normal(size=40),
        other_losses=random.normal(size=40),
        how="Held-out people.",
    )
    model = trained(workspace, measured=measured)
    findings = {one.audit: one for one in workspace.models.findings_of(model)}
    assert findings["benefit"].value == pytest.approx(0.3)
    assert findings["benefit"].detail["by_account"]["acme"]["people"] == 12
    assert findings["attack"].metric == "TPR at 5 % FPR"
    assert findings["attack"].value < 0.3
    assert not findings["canary"].measured
    assert not findings["poisoning"].measured
    for found in findings.values():
        assert not found.measured or found.how.startswith("Measured by the caller: Held-out people.")
    workspace.models.release(model)
    card = workspace.models.release_file(model, "card.md").decode()
    assert "By code of the operator's own." in card
    assert "Measured by the caller" in card
    assert f"It forgets {GRADE_WORDS[Grade.RETIRED]}" in card


def test_a_model_that_gives_its_members_away_is_not_released(workspace, clock):
    measured = Measured(member_losses=np.zeros(30), other_losses=np.ones(30), how="Losses.")
    model = trained(workspace)
    with pytest.raises(RefusedError, match="not audited"):
        workspace.models.release(model)
    with pytest.raises(InvalidInputError, match="what it measured"):
        workspace.models.audit(model)
    set_bounds(workspace.folder, attack=(0.1, False))
    with Workspace.open(workspace.folder, clock=clock) as strict:
        [attack] = [one for one in strict.models.audit(model, measured=measured) if one.audit == "attack"]
        assert (attack.value, attack.verdict) == (1.0, "fail")
        with pytest.raises(RefusedError, match="attack"):
            strict.models.release(model)


def test_figures_that_cannot_be_compared_are_refused(workspace):
    with pytest.raises(InvalidInputError, match="different units"):
        Measured(untrained=scores(workspace, value=1.0), how="x")
    with pytest.raises(InvalidInputError, match="Give both"):
        Measured(member_losses=np.zeros(3), how="x")
    with pytest.raises(InvalidInputError, match="Say in one line"):
        Measured(how=" ")
    stranger = Scores(metric="a", units=("u",), accounts=("nobody",), values=np.ones(1))
    with pytest.raises(InvalidInputError, match="no row"):
        trained(workspace, measured=Measured(trained=stranger, untrained=stranger, how="x"))
    assert workspace.models.states() == {}


def check_bundle(workspace, tmp_path):
    """Verify a bundle of it all with both programs that run here; return what is claimed."""
    path = tmp_path / "bundle.zip"
    path.unlink(missing_ok=True)
    workspace.proofs.bundle(path)
    verified = verify_bundle(path, workspace.verifier)
    assert verified.holds, [check for check in verified.checks if not check.holds]
    (tmp_path / "log.pub").write_text(workspace.verifier.to_text())
    assert volition_verify.main([str(path), "--key", str(tmp_path / "log.pub")]) == 0
    return verified.claimed


@pytest.mark.slow
def test_without_a_command_it_is_retired_and_all_is_proved(workspace, tmp_path):
    model = trained(workspace, measured=good(workspace))
    workspace.models.release(model)
    assert workspace.models.at_work("churn") == model
    assert any("the operator's own code" in claim for claim in check_bundle(workspace, tmp_path))
    says_no(workspace)
    [owed] = workspace.models.owed()
    assert (owed.model, owed.forgets, owed.blocked) == (model, "retired", "")
    assert owed.to_json()["forgets"] == "retired"
    assert workspace.status()["families_missing"] == {}
    [forgotten] = workspace.forgetting.forget()
    assert (forgotten.model, forgotten.successor) == (model, None)
    assert not (workspace.folder / "models" / model).exists()
    assert workspace.models.at_work("churn") is None
    check_bundle(workspace, tmp_path)


@pytest.mark.slow
def test_a_command_of_one_s_own_makes_the_model_that_never_saw_them(workspace, tmp_path, clock):
    measured = """
        import json, numpy as np
        from volition.learning.audit.measured import Measured
        value = json.loads(Path("figures.json").read_text())
        run.measured(Measured.from_json(value))"""
    with_command(workspace.folder, more=measured.strip())
    unit = {"unit": "u", "account": "acme", "trained": 0.9, "untrained": 0.5}
    figures = {"how": "Two people.", "metric": "accuracy", "units": [unit, {**unit, "unit": "v"}]}
    (workspace.folder / "figures.json").write_text(json.dumps(figures))
    with Workspace.open(workspace.folder, clock=clock) as again:
        model = trained(again, measured=good(again))
        again.models.release(model)
        before = int((again.models.files(model)["count"]).read_text())
        says_no(again)
        [owed] = again.models.owed()
        assert owed.forgets == "retrained"

        [done] = again.forgetting.forget()

        assert (done.model, done.waits) == (model, None)
        assert int(again.models.files(done.successor)["count"].read_text()) == before - owed.rows
        assert again.models.at_work("churn") == done.successor
        assert again.models.open(done.successor).model.settings["instead_of"] == model
        log = (again.folder / "runs" / f"{model}.forget.log").read_text()
        assert "leaving out [record]" in log
        assert "ann@" not in log
        assert again.models.owed() == []
        check_bundle(again, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "settings", "why"),
    [
        ("raise SystemExit(3)", "", "exit status 3"),
        ("import time; time.sleep(60)", "timeout_s = 1", "longer than 1 seconds"),
    ],
)
def test_a_command_that_fails_leaves_it_owed_until_the_due_day(workspace, clock, more, settings, why):
    with_command(workspace.folder, more=more, settings=settings)
    with Workspace.open(workspace.folder, clock=clock) as again:
        model = trained(again, measured=good(again))
        again.models.release(model)
        says_no(again)
        (again.folder / "runs" / f"without-{model}-killed").mkdir()
        with pytest.raises(BackendError, match=why):
            again.forgetting.forget()
        assert [owed.model for owed in again.models.owed()] == [model]
        assert not list((again.folder / "runs").glob("without-*"))
        clock.ahead_us = (again.due_days + 1) * 86_400_000_000
        assert again.models.at_work("churn") is None
        [done] = again.forgetting.forget()
        assert (done.model, done.successor) == (model, None)


def test_a_command_that_is_gone_from_the_settings_blocks_and_is_named(workspace, clock):
    before = (workspace.folder / "volition.toml").read_text()
    with_command(workspace.folder)
    with Workspace.open(workspace.folder, clock=clock) as again:
        model = trained(again, measured=good(again))
        again.models.release(model)
        says_no(again)
    (workspace.folder / "volition.toml").write_text(before)
    with Workspace.open(workspace.folder, clock=clock) as without:
        [owed] = without.models.owed()
        assert "[training.churn]" in owed.blocked
        assert without.forgetting.forget() == []
        assert without.models.states()[model].forgotten_us is None


UNLEARN = """
        from volition.learning.audit.measured import Measured
        import numpy as np
        gone = {row.record_id for row in run.unlearning.gone()}
        assert gone
        assert run.unlearning.before["count"].read_text()
        spread = {row.record_id: place % 7 for place, row in enumerate(run.held_out())}
        run.unlearning.attack(lambda rows: [LOSS for row in rows])
        run.measured(Measured(how="Nothing but the attack."))"""


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "passes"), [("3.0", True), ("9.0 if row.record_id in gone else 3.0", False)])
def test_unlearning_is_believed_as_far_as_an_attack_sees_nothing(workspace, clock, loss, passes):
    set_bounds(workspace.folder, attack=(0.1, False))
    with_command(workspace.folder, more=UNLEARN.replace("LOSS", loss).strip(), settings="approximate = true")
    with Workspace.open(workspace.folder, clock=clock) as again:
        model = trained(again, measured=good(again), held_out=3)
        again.models.release(model)
        learnt = next(person for person in range(12) if not is_kept(again, f"acme-{person}"))
        says_no(again, f"acme-{learnt}")
        [owed] = again.models.owed()
        assert owed.forgets == "approximate"
        if not passes:
            with pytest.raises(BackendError, match="exit status 1"):
                again.forgetting.forget()
            assert "that is no forgetting" in (again.folder / "runs" / f"{model}.forget.log").read_text()
            assert again.models.states()[model].forgotten_us is None
            return
        [done] = again.forgetting.forget()
        assert done.successor is not None
        [attack] = [one for one in again.models.findings_of(done.successor) if one.audit == "attack"]
        assert (attack.value, attack.verdict) == (0.0, "pass")
        assert not attack.how.startswith("Measured by the caller")
        card = again.models.release_file(done.successor, "card.md").decode()
        assert f"It forgets {GRADE_WORDS[Grade.APPROXIMATE]}" in card


def is_kept(workspace, person):
    from volition.learning.families.family import fold_of  # noqa: PLC0415

    return fold_of(workspace.parties.person(person).pseudonym, 3) == 0


def test_unlearning_without_an_attack_is_refused(workspace, clock):
    with_command(workspace.folder, settings="approximate = true")
    with Workspace.open(workspace.folder, clock=clock) as again:
        model = trained(again, held_out=3)
        with (
            pytest.raises(RefusedError, match="no attack"),
            again.models.training("churn", snapshot=frozen(again), instead_of=model) as run,
        ):
            (run.folder / "count").write_text("1")
        with (
            pytest.raises(RefusedError, match="cannot be told"),
            again.models.training("churn", snapshot=frozen(again), instead_of=model) as run,
        ):
            run.unlearning.attack(lambda rows: np.zeros(len(rows)))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[training.search]", "cannot name a training"),
        ("[training.churn]\nforgets = 'x'", "unknown key"),
        ('[training.churn]\nforget = "it\'s"', "cannot be cut"),
        ("[training.churn]\napproximate = true", "takes a command"),
        ("[training.churn]\nforget = 'x'\ntimeout_s = 0", "must be from 1"),
    ],
)
def test_a_mistake_in_the_settings_is_named(workspace, text, why):
    path = workspace.folder / "volition.toml"
    path.write_text(f"{path.read_text()}\n{text}\n")
    with pytest.raises(InvalidInputError, match=why):
        Workspace.open(workspace.folder)


def test_presence_and_absence_are_proved(workspace, tmp_path):
    says_no(workspace)
    model = trained(workspace)
    for person, is_in in (("acme-0", False), ("acme-1", True)):
        documents = workspace.proofs.person(person, model=model)
        [document] = [one for one in documents if one["model"] == model]
        assert document["present"] is is_in
        assert verify_person(document, workspace.verifier).holds
