"""What a person asked for, and how far it is: the models that a no touches, by when they must forget, and that they did."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from volition.canonical import datetime_to_us
from volition.transparency.data_requests import RequestKind
from volition.workspace import Workspace

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
HABITS = {"ann": "abc", "ben": "abd", "cleo": "bcd", "dov": "acd"}


class Clock:
    """A clock that stands until it is told to move."""

    def __init__(self):
        self.now = MONDAY

    def __call__(self):
        return datetime_to_us(self.now)

    def wait(self, **duration):
        self.now += timedelta(**duration)


def attributes(**values):
    return [{"key": f"volition.{key}", "value": {"stringValue": value}} for key, value in values.items()]


@pytest.fixture
def learned(tmp_path):
    """A workspace whose one model learned from four people; its clock, and the model."""
    clock = Clock()
    with Workspace.create(tmp_path / "ws", origin="log.example/asked", clock=clock) as workspace:
        workspace.people.add_account("acme", "Acme")
        for name in HABITS:
            workspace.people.add_person(name, account="acme")
        workspace.terms.accept("acme")
        workspace.consent.decide("account:acme", yes=True, data=["service"], purpose=["train"])
        clock.wait(hours=8)
        records = [
            {
                "timeUnixNano": str(datetime_to_us(clock.now - timedelta(minutes=1)) * 1000),
                "attributes": attributes(person=name, category="service/usage", item=f"document/{item}"),
            }
            for name, items in HABITS.items()
            for item in items
        ]
        scope = {"resource": {"attributes": attributes(account="acme")}, "scopeLogs": [{"logRecords": records}]}
        (tmp_path / "usage.jsonl").write_text(json.dumps({"resourceLogs": [scope]}))
        assert workspace.records.collect_otlp(tmp_path / "usage.jsonl").stored == len(records)
        model = workspace.models.train("recommend").id
        clock.wait(days=1)
        yield workspace, clock, model


def no(workspace, purpose="train"):
    return workspace.consent.decide("person:ann", yes=False, data=["service"], purpose=[purpose])


def asked(workspace):
    return workspace.rights.requests(workspace.party("person:ann"))


def test_whoever_said_no_no_has_asked_for_nothing(learned):
    workspace, *_ = learned
    assert asked(workspace) == ()
    workspace.consent.decide("person:ann", yes=True, data=["service"], purpose=["train"])
    assert asked(workspace) == ()


def test_a_no_names_each_model_it_touches_with_its_due_date_until_it_has_forgotten(learned):
    workspace, clock, model = learned
    entry = no(workspace)
    [request] = asked(workspace)
    assert (request.kind, request.seq, request.is_done) == (RequestKind.REFUSAL, entry.seq, False)
    assert request.due_us == entry.at_us + workspace.due_days * 24 * 3600 * 1_000_000
    [touched] = request.models
    assert (touched.model, touched.rows, touched.forgotten_us) == (model, 3, None)
    clock.wait(days=2)
    workspace.forgetting.forget()
    [request] = asked(workspace)
    assert request.is_done
    assert [touched.forgotten_us for touched in request.models] == [datetime_to_us(clock.now)]


def test_a_no_to_something_else_touches_no_model_and_is_done(learned):
    workspace, *_ = learned
    no(workspace, "feature/recommend")
    [request] = asked(workspace)
    assert (request.models, request.is_done) == ((), True)


def test_a_no_after_the_forgetting_touches_it_no_more(learned):
    workspace, clock, _ = learned
    no(workspace)
    workspace.forgetting.forget()
    clock.wait(days=1)
    no(workspace)
    newest, oldest = asked(workspace)
    assert (len(newest.models), len(oldest.models)) == (0, 1)


def test_a_yes_that_followed_is_told_and_the_forgetting_stays_owed(learned):
    workspace, clock, _ = learned
    no(workspace)
    assert asked(workspace)[0].until_us is None
    clock.wait(days=1)
    workspace.consent.decide("person:ann", yes=True, data=["service"], purpose=["train/recommend"])
    [request] = asked(workspace)
    assert request.until_us == datetime_to_us(clock.now)
    assert not request.is_done


def test_a_no_that_was_undone_says_which_models_need_not_forget_and_does_not_come_back_with_the_next(learned):
    workspace, clock, model = learned
    no(workspace)
    clock.wait(days=1)
    workspace.consent.decide("person:ann", yes=True, data=["service", "content"], purpose=["train"], covers="past")
    [undone] = asked(workspace)
    assert (undone.models, undone.spared, undone.is_done) == ((), 1, True)
    clock.wait(days=1)
    no(workspace)
    newest, undone = asked(workspace)
    assert [one.model for one in newest.models] == [model]
    assert (newest.spared, newest.is_done) == (0, False)
    assert (undone.models, undone.spared, undone.is_done) == ((), 1, True)
    workspace.forgetting.forget()
    newest, undone = asked(workspace)
    assert ([one.model for one in newest.models], undone.models, undone.spared) == ([model], (), 1)


def test_an_erasure_can_be_followed_though_nobody_knows_any_more_whose_it_was(learned):
    workspace, _, model = learned
    party = workspace.party("person:ann")
    workspace.forgetting.erase("person:ann")
    [request] = workspace.rights.requests(party)
    assert (request.kind, [one.model for one in request.models], request.is_done) == (
        RequestKind.ERASURE,
        [model],
        False,
    )
    workspace.forgetting.forget()
    [request] = workspace.rights.requests(party)
    assert request.is_done
    assert request.to_json()["done"] is True
