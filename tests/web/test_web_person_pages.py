"""A person's holdings, requests, terms and meetings in a browser: for everybody, at every width, by keyboard alone."""

import io
import zipfile
from datetime import UTC, datetime

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

GUEST = "Zoe Guest"
TALK = f"""WEBVTT

00:01.000 --> 00:04.000
Ada Byron: Welcome, the launch moves to Friday.

00:05.000 --> 00:09.000
{GUEST}: Then our order moves as well.

00:10.000 --> 00:12.000
{GUEST}: Send me the new dates, please.
"""


@pytest.fixture
def lived(served, tmp_path):
    """Let a guest be in a meeting, everybody say yes, somebody search, and newer terms be announced."""
    talk = tmp_path / "talk.vtt"
    talk.write_text(TALK)
    with served.workspaces.borrow() as workspace:
        workspace.collect_webvtt(
            talk, account="acme", started=datetime(2025, 6, 4, 9, tzinfo=UTC), meeting="Order talk"
        )
        guest = workspace.parties.guest("acme", GUEST).id
        for party in ("account:acme", "person:ada", "person:bo", f"person:{guest}"):
            workspace.decide(party, yes=True, data=["service", "content"], purpose=["train", "feature"], covers="past")
        workspace.search("launch Friday", person="bo")
        workspace.summarize("standup", person="bo")
        workspace.decide("person:ada", yes=False, data=["content"], purpose=["train/compose"])
        from volition.terms import load_profile  # noqa: PLC0415 - heavy only where a browser is

        workspace.publish_terms(load_profile("bundled"))
    served.guest = f"/guest/{served.access.guest_link(person=guest, account='acme')}"
    return served


PATHS = ("/holdings", "/requests", "/requests/erase", "/terms", "/terms/bundled")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_pages_are_for_everybody(lived, new_page, sign_in, check_access, dark, width, shots):
    page = sign_in(new_page(dark=dark, viewport={"width": width, "height": 844}))
    for path in PATHS:
        page.goto(path)
        for summary in page.locator("main summary").all():
            summary.click()
        check_access(page)
        shots(page, f"{path.strip('/').replace('/', '-')}-{'dark' if dark else 'light'}-{width}")
    page.context.clear_cookies()
    page.goto(lived.guest)
    check_access(page)
    page.get_by_role("button", name="Go on as a guest").click()
    page.locator("summary", has_text="Use by use").first.click()
    check_access(page)
    shots(page, f"guest-{'dark' if dark else 'light'}-{width}")
