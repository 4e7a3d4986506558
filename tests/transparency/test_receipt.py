"""A receipt says until when a yes holds, and that cannot be changed without being noticed."""

import pytest

from volition.transparency.receipt import verify_receipt
from volition.workspace import Workspace

UNTIL = "2099-02-01T00:00:00.000000Z"


@pytest.fixture
def receipts(tmp_path):
    """Return the receipts of a yes without an end and of one with an end, and the log's key."""
    with Workspace.create(tmp_path / "w") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_person("ada", account="acme")
        workspace.terms.accept("acme")
        said = {"yes": True, "data": ["content"], "purpose": ["train"]}
        entries = [workspace.consent.decide("person:ada", **said, until=until) for until in (None, UNTIL)]
        yield *(workspace.proofs.receipt("ada", entry.seq) for entry in entries), workspace.verifier


def test_a_receipt_says_until_when_a_yes_holds(receipts):
    endless, ending, key = receipts
    durations = [one["record"]["dpv:hasConsentStatus"]["dpv:hasDuration"] for one in (endless, ending)]
    assert [one["@type"] for one in durations] == ["dpv:UntilEventDuration", "dpv:UntilTimeDuration"]
    assert durations[1]["rdf:value"]["@value"] == UNTIL
    assert all(verify_receipt(one, key).holds for one in (endless, ending))


def test_a_receipt_with_another_end_does_not_verify(receipts):
    _, ending, key = receipts
    ending["record"]["dpv:hasConsentStatus"]["dpv:hasDuration"]["rdf:value"]["@value"] = UNTIL.replace("2099", "2100")
    assert not verify_receipt(ending, key).holds
