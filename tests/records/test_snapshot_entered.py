"""A snapshot is entered in the log only if nobody said no while it was frozen."""

import json
from datetime import UTC, datetime

import pytest

from volition.canonical import datetime_to_us
from volition.errors import RefusedError
from volition.workspace import Workspace

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "ws", origin="log.example/entered") as made:
        made.people.add_account("acme", "Acme")
        made.people.add_person("ann", account="acme", name="Ann Lee")
        made.terms.accept("acme")
        said = {"yes": True, "data": ["content", "service"], "purpose": ["train", "feature"], "covers": "past"}
        for party in ("account:acme", "person:ann"):
            made.consent.decide(party, **said)
        attributes = {"volition.account": "acme", "volition.person": "ann", "volition.category": "service/usage"}
        listed = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
        event = {"attributes": listed, "eventName": "opened", "timeUnixNano": str(datetime_to_us(MONDAY) * 1000)}
        path = tmp_path / "usage.json"
        path.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [event]}]}]}))
        made.records.collect_otlp(path)
        yield made


def test_a_no_said_while_a_snapshot_is_frozen_keeps_it_out_of_the_log(workspace):
    def say_no(stage, done, total, loss=None):
        if stage == "encrypting":
            workspace.consent.decide("person:ann", yes=False, data=["service"], purpose=["train"])

    with pytest.raises(RefusedError, match="Repeat it"):
        workspace.snapshots.create("train/recommend", progress=say_no)
    assert workspace.snapshots.ids() == []
    assert not list((workspace.folder / "snapshots").glob("train-*"))
    assert len(workspace.snapshots.create("train/recommend").keys) == 0


def test_what_others_say_meanwhile_keeps_nothing_out(workspace):
    def say_yes(stage, done, total, loss=None):
        if stage == "encrypting":
            workspace.consent.decide("person:ann", yes=True, data=["content"], purpose=["feature"])

    snapshot = workspace.snapshots.create("train/recommend", progress=say_yes)
    assert len(snapshot.keys) == 1
    assert workspace.snapshots.ids() == [snapshot.id]


def test_a_no_in_the_instant_between_the_judgement_and_the_log_keeps_it_out_too(workspace, monkeypatch):
    """Nothing comes in between that is not judged: whoever replays the log would name it."""
    append, said = workspace.ledger.append, []

    def no_before(*new, **how):
        if new[0].kind == "snapshot" and not said:
            said.append(1)
            workspace.consent.decide("person:ann", yes=False, data=["service"], purpose=["train"])
        return append(*new, **how)

    monkeypatch.setattr(workspace.ledger, "append", no_before)
    with pytest.raises(RefusedError, match="Repeat it"):
        workspace.snapshots.create("train/recommend")
    assert workspace.snapshots.ids() == []


@pytest.mark.parametrize("said", [{"yes": True, "data": ["content"], "purpose": ["feature"]}])
def test_what_narrows_nothing_in_that_instant_is_entered_before_it(workspace, monkeypatch, said):
    append, done = workspace.ledger.append, []

    def yes_before(*new, **how):
        if new[0].kind == "snapshot" and not done:
            done.append(1)
            workspace.consent.decide("person:ann", **said)
        return append(*new, **how)

    monkeypatch.setattr(workspace.ledger, "append", yes_before)
    snapshot = workspace.snapshots.create("train/recommend")
    assert [entry.kind for entry in workspace.ledger.entries()][-2:] == ["decision", "snapshot"]
    assert workspace.snapshots.ids() == [snapshot.id]
