"""Forgettings that get done: by themselves, however much people go on deciding, and at the due day at the latest."""

import re
from datetime import timedelta

import pytest
from test_forget import HABITS, Clock, build, made, released, say_no  # noqa: F401 - fixtures

from volition.consent.lease import narrows
from volition.errors import BackendError
from volition.server.auth import Access, Role
from volition.server.jobs import Jobs, JobState
from volition.server.mail.letters import Writer
from volition.server.mail.occasions import Occasions
from volition.server.mail.recipients import Recipients
from volition.server.schedule import ASKED_BY, Schedule, planned
from volition.server.worker import Worker
from volition.transparency.verify.bundle import verify_bundle
from volition.workspace import Workspace
from volition.workspace.models import Models
from volition.workspace.pool import Workspaces

HOUR = timedelta(hours=1)


@pytest.fixture
def kept(released):  # noqa: F811
    """Yield a released workspace, its clock, its model, its jobs, its schedule, and a worker of it."""
    workspace, clock, model = released
    jobs, pool = Jobs(workspace.folder, clock=clock), Workspaces(workspace.folder, clock=clock)
    yield workspace, clock, model, jobs, Schedule(jobs, pool, clock=clock), Worker(jobs, pool, clock=clock)
    pool.close()
    jobs.close()


def look_after(schedule, clock, **duration):
    clock.wait(**duration)
    schedule.look()


# --- by itself ---


def test_a_forgetting_is_done_once_it_has_been_owed_for_a_day_and_queued_once(kept):
    workspace, clock, model, jobs, schedule, worker = kept
    say_no(workspace, "person:orchard-ann")
    schedule.look()
    look_after(schedule, clock, hours=23)
    assert jobs.all() == []
    look_after(schedule, clock, hours=1)
    look_after(schedule, clock, minutes=2)
    [job] = jobs.all()
    assert (job.what, job.asked_by, job.state) == ("forget", ASKED_BY, JobState.WAITING)
    assert worker.do_next()
    assert workspace.models.owed() == []
    assert jobs.job(job.id).result == [
        {"model": model, "successor": workspace.status()["models"][-1]["id"], "rows": len(HABITS["ann"])}
    ]
    look_after(schedule, clock, hours=48)
    assert len(jobs.all()) == 1


@pytest.mark.slow
def test_it_is_never_later_than_half_way_to_the_due_day_and_as_soon_as_the_settings_say(made, tmp_path):  # noqa: F811
    for days, hours, begins in ((1, 24, 12), (30, 3, 3), (30, 0, 0)):
        folder, clock = tmp_path / f"{days}-{hours}", Clock()
        with build(folder, clock, who={"orchard": ("ann", "ben", "cleo")}) as workspace:
            workspace.models.train("recommend")
        text = re.sub(r"(?m)^due_days = 30$", f"due_days = {days}", (folder / "volition.toml").read_text())
        (folder / "volition.toml").write_text(f"{text}\n[schedule]\nforget_hours = {hours}\n")
        with Workspace.open(folder, clock=clock) as workspace:
            say_no(workspace, "person:orchard-ann")
            [plan] = planned(workspace)
            assert plan.begins_us - plan.owed.since_us == begins * 3_600_000_000


def test_a_forgetting_that_failed_is_tried_again_after_an_hour(kept):
    workspace, clock, _, jobs, schedule, _ = kept

    def fails(*_):
        raise BackendError("The disk is full.")

    pool = Workspaces(workspace.folder, clock=clock)
    worker = Worker(jobs, pool, kinds={"forget": fails}, clock=clock)
    say_no(workspace, "person:orchard-ann")
    look_after(schedule, clock, hours=25)
    assert worker.do_next()
    look_after(schedule, clock, minutes=50)
    assert [job.state for job in jobs.all()] == [JobState.FAILED]
    look_after(schedule, clock, minutes=20)
    assert [job.state for job in jobs.all()] == [JobState.FAILED, JobState.WAITING]
    pool.close()


def test_the_lake_is_compacted_where_there_is_something_to_compact_and_not_more_often_than_asked(kept, monkeypatch):
    _, clock, _, jobs, schedule, worker = kept
    schedule.look()
    assert jobs.all() == []
    monkeypatch.setattr("volition.server.schedule._MANY_FILES", 0)
    look_after(schedule, clock, hours=1)
    assert [job.what for job in jobs.all()] == ["compact"]
    worker.do_next()
    assert jobs.all()[0].result["after"] >= 1
    look_after(schedule, clock, hours=23)
    assert len(jobs.all()) == 1
    look_after(schedule, clock, hours=2)
    assert len(jobs.all()) == 2


# --- however much people go on deciding ---


@pytest.mark.slow
def test_people_who_go_on_deciding_hold_up_no_forgetting_and_the_next_one_covers_them(
    released,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    workspace, clock, old = released
    clock.wait(hours=1)
    say_no(workspace, "person:orchard-ann")
    due = [f"person:{account}-{name}" for account in ("bakery", "clinic") for name in ("ann", "ben")]
    audit, made_of = Models.audit_trained, []

    def meanwhile(self, *args):
        """Somebody in the successor says no each time one was made and is audited."""
        clock.wait(minutes=1)
        made_of.append(due[len(made_of)])
        with Workspace.open(workspace.folder, clock=clock) as other:
            say_no(other, made_of[-1])
        return audit(self, *args)

    monkeypatch.setattr(Models, "audit_trained", meanwhile)
    for round_ in (1, 2):
        [forgotten] = workspace.forgetting.forget()
        assert forgotten.successor is not None
        assert len(made_of) == round_, "it was made again"
        assert workspace.models.at_work("recommend") == forgotten.successor
        [owed] = workspace.models.owed()
        assert {workspace.party_name(party) for party in owed.parties} == {made_of[-1]}
        no = [entry for entry in workspace.entries() if entry.kind == "decision" and narrows(entry)][-1]
        assert owed.since_us == no.at_us, "the day counts from their own no"
    bundle = tmp_path / "evidence.zip"
    workspace.proofs.bundle(bundle)
    verified = verify_bundle(bundle, workspace.verifier)
    assert verified.holds, [check for check in verified.checks if not check.holds]
    monkeypatch.undo()
    [forgotten] = workspace.forgetting.forget()
    assert workspace.models.owed() == []
    gone = {"orchard": {"ann"}, "bakery": {"ann", "ben"}, "clinic": set()}
    left = {account: tuple(name for name in HABITS if name not in gone[account]) for account in gone}
    with build(tmp_path / "never", Clock(), who=left) as never:
        assert workspace.models.open(forgotten.successor).model.files() == never.models.train("recommend").model.files()
    assert old not in [path.name for path in (workspace.folder / "models").iterdir()]


# --- at the due day ---


def test_a_model_that_still_owes_when_its_due_day_comes_is_stopped_with_its_files(kept, tmp_path):
    workspace, clock, model, jobs, schedule, _ = kept
    workspace.consent.decide("account:orchard", yes=True, data=["service/usage"], purpose=["feature/recommend"])
    say_no(workspace, "person:orchard-ann")
    look_after(schedule, clock, days=29, hours=23)
    assert workspace.models.at_work("recommend") == model
    assert (workspace.folder / "models" / model).exists()
    look_after(schedule, clock, minutes=51)  # nobody did the job that waits
    assert [job.state for job in jobs.all()] == [JobState.WAITING]
    assert workspace.models.at_work("recommend") is None
    assert not (workspace.folder / "models" / model).exists()
    last = [entry for entry in workspace.entries() if entry.kind == "forgetting"][-1]
    assert (last.body["model"], last.body["successor"]) == (model, None)
    assert [workspace.party_name(party) for party in last.body["parties"]] == ["person:orchard-ann"]
    clock.wait(days=3)
    workspace.proofs.bundle(tmp_path / "evidence.zip")
    verified = verify_bundle(tmp_path / "evidence.zip", workspace.verifier)
    assert (verified.holds, verified.warnings) == (True, ())
    look_after(schedule, clock, days=1)
    assert len([entry for entry in workspace.entries() if entry.kind == "forgetting"]) == 1


def test_a_forgetting_that_runs_when_its_model_is_stopped_puts_nothing_in_its_place(kept, monkeypatch):
    workspace, clock, model, _, schedule, _ = kept
    say_no(workspace, "person:orchard-ann")
    clock.wait(days=29)
    audit = Models.audit_trained

    def slow(self, *args):
        look_after(schedule, clock, days=2)
        return audit(self, *args)

    monkeypatch.setattr(Models, "audit_trained", slow)
    assert workspace.forgetting.forget() == []
    assert workspace.models.states()[model].successor is None
    assert workspace.models.owed() == []
    assert workspace.models.at_work("recommend") is None


def test_operators_are_mailed_once_that_a_due_day_is_near_and_nobody_is_named(kept):
    workspace, clock, model, *_ = kept
    access = Access.open(workspace.folder)
    access.users.add("olga@service.example", roles=[Role.OPERATOR], name="Olga", password="a long enough one")
    access.users.add("eva@service.example", roles=[Role.ENGINEER], name="Eva", password="a long enough one")

    def letters():
        recipients = Recipients(workspace, access, url="https://centre.example", has_oidc=False)
        return list(Occasions(workspace, recipients, Writer("Acme")).of_due())

    say_no(workspace, "person:orchard-ann")
    clock.wait(days=22)
    assert letters() == []
    clock.wait(days=2)
    [letter], [again] = letters(), letters()
    assert letter.key == again.key, "it would be queued twice"
    assert letter.address == "olga@service.example"
    assert model in letter.body
    assert "https://centre.example/console/forgettings" in letter.body
    person = workspace.parties.person("orchard-ann")
    assert not [name for name in (person.id, person.pseudonym) if name in letter.body]
    workspace.forgetting.forget()
    assert letters() == []
    access.close()
