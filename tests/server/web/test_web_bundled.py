"""The terms of 2023 in the browser: one switch, and the page says before the click what goes off, exactly."""

import re

import pytest

from volition.consent.terms.terms_file import load_profile
from volition.server.auth import Role

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]
FEATURES = ("search", "recommend", "summary", "compose", "diagnose")


@pytest.fixture
def bundled(served):
    with served.workspaces.borrow() as workspace:
        workspace.terms.publish(load_profile("bundled"))
        workspace.terms.accept("acme", "bundled")
    return served


def features(served):
    """Return which features the gate lets Ada's chat be used for."""
    with served.workspaces.borrow() as workspace:
        asked = {"account": "acme", "people": ["ada"], "category": "content/chat"}
        return {name for name in FEATURES if workspace.gate.may(f"feature/{name}", **asked).verdict.permitted}


def press(page, button):
    page.locator(f"#{button}").click()
    page.get_by_text("counts from now on").wait_for()


def test_one_switch_turns_off_exactly_summaries_and_the_composer(bundled, new_page, sign_in, check_access):
    page = sign_in(new_page(), Role.ADMINISTRATOR)
    page.goto("/account")
    switches = ("generative-ai", "feature-search", "feature-recommend", "feature-diagnose", "feature-transcribe")
    assert page.locator(".glances a").evaluate_all("all => all.map(one => one.hash.slice(1))") == list(switches)
    for switch in switches:
        press(page, f"{switch}-yes")
        page.reload()
    assert features(bundled) == set(FEATURES)
    no = page.locator("#generative-ai .answer", has=page.locator("#generative-ai-no")).inner_text()
    assert "This no also turns off: Summaries and Composer." in no
    assert "It does not turn off search, recommendations and diagnosis." in no
    press(page, "generative-ai-no")
    assert features(bundled) == {"search", "recommend", "diagnose"}
    check_access(page)
    press(page, "feature-search-no")
    page.locator("#feature-search .row .pill", has_text="Not allowed").wait_for()
    assert features(bundled) == {"recommend", "diagnose"}
    press(page, "feature-search-yes")
    page.locator("#feature-search .row .pill", has_text=re.compile(r"^\s*Allowed")).wait_for()
    assert features(bundled) == {"search", "recommend", "diagnose"}


def test_a_person_reads_what_her_silence_allows_and_turns_off_what_she_wants(bundled, new_page, sign_in, check_access):
    with bundled.workspaces.borrow() as workspace:
        purposes = ["train", "feature"]
        workspace.consent.decide("account:acme", yes=True, data=["service", "content"], purpose=purposes, covers="past")
    page = sign_in(new_page(viewport={"width": 390, "height": 844}))
    page.goto("/settings")
    answered = page.locator("#generative-ai .answered").inner_text()
    assert "all service data for training ai" in answered.lower()
    assert "They ask first for: all content for training ai" in answered.replace("AI", "ai")
    assert page.locator("#generative-ai .row .pill").inner_text() == "Used in part"
    check_access(page)
    press(page, "feature-recommend-no")
    assert features(bundled) == set(FEATURES) - {"recommend"}
    press(page, "generative-ai-no")
    assert features(bundled) == {"search", "diagnose"}
