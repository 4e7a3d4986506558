"""Asking in a browser whether the log has only grown: the answer is shown and read aloud, and the file comes."""

import json

import pytest

from volition.server.auth import Role
from waiting import over

WIDTHS = [{"width": 1280, "height": 900}, {"width": 390, "height": 844}]


@pytest.mark.slow
def test_an_old_checkpoint_is_compared_and_its_proof_downloaded(served, page, sign_in, check_access):
    with served.workspaces.borrow() as workspace:
        note = workspace.ledger.checkpoint()
        workspace.consent.decide("person:bo", yes=False, data=["content"], purpose=["train/search"])
    sign_in(page, Role.PERSON)
    page.goto("/receipts")
    page.get_by_role("link", name="Compare with an older one").click()
    page.get_by_label("A checkpoint, or the whole text").fill(note)
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("status").get_by_text("has only grown since your checkpoint").wait_for()
    for width in WIDTHS:
        page.set_viewport_size(width)
        check_access(page)
    with page.expect_download() as loading:
        page.get_by_role("button", name="Download consistency-").click()
    assert json.loads(loading.value.path().read_text())["old"] == note
    page.get_by_label("A checkpoint, or the whole text").fill(note.replace("+", "/", 1).replace("\n", "\n\n", 1))
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("alert").get_by_text("not signed with the key of this log").wait_for()
    check_access(page)


@pytest.mark.slow
def test_the_evidence_bundle_is_asked_for_and_downloaded(served, page, sign_in, check_access):
    sign_in(page, Role.AUDITOR)
    page.goto("/console/ledger")
    page.get_by_role("link", name="Get the evidence bundle").click()
    page.get_by_role("button", name="Make a bundle").click()
    page.get_by_text("The bundle is being made.").wait_for()
    assert over(served.jobs, served.jobs.all()[-1].id).error == ""
    page.reload()
    for width in WIDTHS:
        page.set_viewport_size(width)
        check_access(page)
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download evidence-").click()
    assert loading.value.path().read_bytes().startswith(b"PK")
