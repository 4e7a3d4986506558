"""A receipt says until when a yes holds, and that cannot be changed without being noticed."""

import pytest

from volition.errors import InvalidInputError
from volition.ledger.entry import Entry
from volition.transparency.consent_record import early_record
from volition.transparency.evidence import verify_evidence
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


CONTROLLER = """
[controller]
name = "Acme Ltd"
contact = "privacy@acme.example"
address = "1 Main Street, Dublin"
jurisdiction = "IE"
language = "en"
url = "https://privacy.acme.example/settings"
"""


@pytest.fixture
def located(tmp_path):
    """Return a workspace whose controller is named, with somebody who moves after their answer."""
    folder = tmp_path / "w"
    Workspace.create(folder).close()
    (folder / "volition.toml").write_text((folder / "volition.toml").read_text() + CONTROLLER)
    with Workspace.open(folder) as workspace:
        workspace.people.add_account("acme", "Acme", region="GB")
        workspace.people.add_person("ada", account="acme", region="FR")
        workspace.terms.accept("acme")
        yield workspace


def receipt_of(workspace, **how):
    said = {"yes": True, "data": ["content"], "purpose": ["train"], **how}
    entry = workspace.consent.decide("person:ada", **said)
    return workspace.proofs.receipt("ada", entry.seq)


def test_a_receipt_names_the_controller_rights_basis_storage_language_and_how_the_answer_was_given(located):
    receipt = receipt_of(located, via="page")
    record = receipt["record"]
    controller = record["dpv:hasDataController"]
    assert (controller["dpv:hasName"], controller["dpv:hasContact"]) == ("Acme Ltd", "privacy@acme.example")
    assert controller["dpv:hasAddress"] == "1 Main Street, Dublin"
    assert record["dpv:hasJurisdiction"]["dct:identifier"] == "IE"
    assert record["dpv:hasNotice"]["dct:language"] == "en"
    assert record["dpv:hasRight"]["dpv:isExercisedAt"] == {"@id": "https://privacy.acme.example/settings"}
    assert "eu-gdpr:A17" in record["dpv:hasRight"]["@type"]
    assert {"@id": "dpv:ExpressedConsent"} in record["dpv:hasProcess"]["dpv:hasLegalBasis"]
    assert record["dpv:hasProcess"]["dpv:hasStorageCondition"]["@type"] == "dpv:StorageDuration"
    assert record["dpv:hasConsentStatus"]["dpv:hasIndicationMethod"].startswith("AI settings page")
    assert receipt["receipt"]["dpv:hasRecordOfActivity"] == {"@id": record["@id"]}
    verified = verify_evidence(receipt, located.verifier)
    assert verified.holds
    assert [claim.partition(":")[0] for claim in verified.claimed] == ["what a receipt says of the operator"]


def test_what_the_settings_do_not_say_is_not_in_a_receipt(receipts):
    endless, _, key = receipts
    assert endless["controller"] == {}
    assert not {"dpv:hasJurisdiction"} & endless["record"].keys()
    assert not {"dpv:hasContact", "dpv:hasAddress"} & endless["record"]["dpv:hasDataController"].keys()
    assert verify_receipt(endless, key).claimed == ()


def test_a_receipt_shows_where_the_person_was_when_they_answered_with_the_entries_that_say_so(located):
    before = receipt_of(located)
    located.people.add_person("ada-in-berlin", account="acme", region="DE")
    located.people.merge("ada-in-berlin", into="ada", region="DE")
    after = receipt_of(located)
    for receipt, region in ((before, "FR"), (after, "DE")):
        assert receipt["record"]["dpv:hasDataSubject"]["dpv:hasLocation"]["dct:identifier"] == region
        assert verify_receipt(receipt, located.verifier).holds
    after["entries"][2] = before["entries"][2]
    assert not verify_receipt(after, located.verifier).holds


@pytest.mark.parametrize("via", [None, "api", "command-line"])
def test_a_receipt_says_how_the_answer_really_was_given(located, via):
    receipt = receipt_of(located, via=via)
    method = receipt["record"]["dpv:hasConsentStatus"]["dpv:hasIndicationMethod"]
    assert {None: "not recorded", "api": "HTTP API", "command-line": "command line"}[via] in method
    with pytest.raises(InvalidInputError, match="no way to answer"):
        receipt_of(located, via="telepathy")


def test_a_receipt_of_the_early_format_still_verifies(located):
    receipt = receipt_of(located)
    shown = receipt["entries"][:2]
    answer, terms = (Entry.from_leaf(one["entry"].encode()) for one in shown)
    early = {
        "format": "volition/receipt/1",
        "record": early_record(answer, terms, located.origin),
        "entries": shown,
        "checkpoint": receipt["checkpoint"],
    }
    assert verify_evidence(early, located.verifier).holds
    assert not verify_evidence({**early, "record": receipt["record"]}, located.verifier).holds


def test_nothing_beside_what_is_checked_can_stand_in_a_receipt(located):
    receipt = receipt_of(located)
    for change in (
        {"more": 1},
        {"controller": {"name": "Other Ltd"}},
        {"controller": {**receipt["controller"], "motto": "x"}},
        {"receipt": {**receipt["receipt"], "dct:created": {"@type": "xsd:dateTime", "@value": UNTIL}}},
        {"entries": receipt["entries"][:1]},
        {"entries": [*receipt["entries"], receipt["entries"][2]]},
    ):
        assert not verify_receipt({**receipt, **change}, located.verifier).holds, change


def test_the_controller_is_read_strictly(tmp_path):
    folder = tmp_path / "w"
    Workspace.create(folder).close()
    kept = (folder / "volition.toml").read_text()
    for line, said in (
        ('motto = "x"', "motto"),
        ('jurisdiction = "Ireland"', "no region"),
        ('language = "English!"', "language"),
        ('url = "privacy.example"', "url"),
        ('name = ""', "name"),
    ):
        (folder / "volition.toml").write_text(f"{kept}\n[controller]\n{line}\n")
        with pytest.raises(InvalidInputError, match=said):
            Workspace.open(folder)
