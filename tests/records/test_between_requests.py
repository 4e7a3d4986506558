"""What collecting remembers from one request to the next never outlives what is said, written or ended meanwhile."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from volition.canonical import datetime_to_us
from volition.workspace import Workspace

MONDAY = datetime(2030, 1, 7, 9, tzinfo=UTC)
EVERYTHING = {"data": ["service"], "purpose": ["train", "feature"]}


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = MONDAY

    def __call__(self):
        return datetime_to_us(self.now)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def workspace(tmp_path, clock):
    with Workspace.create(tmp_path / "ws", clock=clock) as made:
        made.people.add_account("acme", "Acme")
        for person in ("ann", "bo"):
            made.people.add_person(person, account="acme")
        made.terms.accept("acme")
        yield made


@pytest.fixture(params=["here", "in another process"])
def speaker(request, workspace, clock):
    """The workspace in which something is said: the one that collects, or one that was opened beside it."""
    if request.param == "here":
        yield workspace
    else:
        with Workspace.open(workspace.folder, clock=clock) as other:
            yield other


def collect(workspace, clock, person="ann", account="acme"):
    """Collect one event of now; return whether it was kept."""
    whose = {"volition.account": account, "volition.person": person, "volition.category": "service/usage"}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in whose.items()]
    clock.now += timedelta(seconds=1)
    record = {"timeUnixNano": f"{clock()}000", "eventName": "opened", "attributes": attributes}
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    collected = workspace.records.collect_otlp_request(body, encoding="json", signal="logs", source="/v1/logs")
    assert collected.waiting + collected.not_stored == 1
    return collected.waiting == 1


def test_a_no_holds_from_the_next_request_on_and_so_does_a_yes(workspace, speaker, clock):
    assert collect(workspace, clock)
    speaker.consent.decide("person:ann", yes=False, **EVERYTHING)
    assert not collect(workspace, clock)
    assert collect(workspace, clock, "bo")
    speaker.consent.decide("person:ann", yes=True, **EVERYTHING)
    assert collect(workspace, clock)


def test_what_was_laid_out_in_between_changes_nothing(workspace, clock):
    speak = workspace.consent.decide
    speak("person:ann", yes=False, **EVERYTHING)
    for _ in range(2):
        assert not collect(workspace, clock)
        assert collect(workspace, clock, "bo")
        workspace.records.drain()
    speak("person:bo", yes=False, **EVERYTHING)
    assert not collect(workspace, clock, "bo")


def test_an_account_is_known_from_the_next_request_on(workspace, speaker, clock):
    assert not collect(workspace, clock, "cy", "brill")
    speaker.people.add_account("brill", "Brill")
    speaker.terms.accept("brill")
    assert collect(workspace, clock, "cy", "brill")


def test_a_yes_that_ended_by_its_date_is_none_any_more(workspace, clock):
    workspace.consent.decide("person:ann", yes=False, **EVERYTHING)
    workspace.consent.decide("person:ann", yes=True, until=clock.now + timedelta(hours=1), **EVERYTHING)
    assert collect(workspace, clock)
    clock.now += timedelta(hours=2)
    assert not collect(workspace, clock)
