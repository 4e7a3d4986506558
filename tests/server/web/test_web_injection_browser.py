"""A hostile text in names, messages and fields, in a real browser: nothing of it runs, and nothing asks to."""

from datetime import UTC, datetime

import pytest

from volition.server.auth import Role

HOSTILE = (
    "\"'><img src=x onerror=alert(1)><svg onload=alert(1)></svg><script>alert(1)</script><a href=javascript:alert(1)>x"
)


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_nothing_that_was_typed_or_said_runs(served, page, sign_in, tmp_path):
    """The page's own fixture fails on any error, refusal of the policy, or question to another host."""
    shown = HOSTILE.replace("<", "&lt;").replace(">", "&gt;")
    (tmp_path / "talk.vtt").write_text(f"WEBVTT\n\n00:01.000 --> 00:04.000\n<v Ada Byron>We decided {shown}</v>\n")
    with served.workspaces.borrow() as workspace:
        workspace.people.add_person("dee", account="acme", name=HOSTILE[:190])
        started = datetime(2025, 6, 4, 9, tzinfo=UTC)
        workspace.records.collect_webvtt(tmp_path / "talk.vtt", account="acme", started=started, meeting=HOSTILE)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    sign_in(page, Role.PERSON)
    for path in ("/meetings", "/search?q=decided", "/chat", "/settings"):
        page.goto(path)
    page.goto("/meetings")
    page.get_by_role("link", name="svg onload").click()
    assert HOSTILE in page.get_by_role("heading", level=1).inner_text()
    page.goto("/search")
    page.get_by_role("searchbox").or_(page.locator("input[name=q]")).first.fill(HOSTILE)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=*")
    sign_in(page, Role.OPERATOR)
    for path in ("/console/people", "/console/lake", "/console/runs", "/console"):
        page.goto(path)
    assert asked == []
    assert page.locator("img[src=x], svg[onload], a[href^=javascript]").count() == 0
