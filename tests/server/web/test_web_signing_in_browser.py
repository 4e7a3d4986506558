"""The pages on which somebody signs in and keeps their sign-in, in a real browser, wide and on a phone."""

import base64
import os
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from volition.server.auth import Role

PASSWORD = "correct horse battery"
PHONE = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 900}
SHOTS = os.environ.get("VOLITION_SHOTS")  # a folder for pictures of every page, to look at

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.slow


def code_of(key):
    totp = TOTP(base64.b32decode(key.replace(" ", "")), 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 - apps'
    return totp.generate(int(time.time())).decode()


def look(page, name, check_access):
    """Check a page at both widths, and keep pictures of it if somebody wants to look."""
    for size in (PHONE, WIDE):
        page.set_viewport_size(size)
        check_access(page, looks_alone=size is PHONE)
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"{name}-{size['width']}.png", full_page=True)


def test_somebody_signs_in_sets_up_a_second_factor_and_signs_in_with_it(served, new_page, check_access):
    served.access.users.add("olga", roles=[Role.OPERATOR], name="Olga Operator", password=PASSWORD)
    for agent in ("Firefox on Linux", "Safari on iPhone"):
        served.access.sessions.begin("olga", agent=agent)
    page = new_page()

    def sign_in():
        page.goto("/sign-in")
        page.get_by_label("Name").fill("olga")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()

    sign_in()
    page.get_by_role("link", name="Sign-in and security").click()
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()
    look(page, "own", check_access)
    page.get_by_role("button", name="End the sign-in on Safari on iPhone").click()
    expect(page.get_by_text("That sign-in was ended.")).to_be_visible()
    expect(page.get_by_text("Safari on iPhone")).to_have_count(0)

    page.get_by_role("link", name="Set it up").click()
    look(page, "second-factor", check_access)
    key = page.locator(".key").inner_text()
    page.get_by_label("The code that the app shows").fill(code_of(key))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator(".codes code")).to_have_count(10)
    recovery = page.locator(".codes code").first.inner_text()
    look(page, "recovery-codes", check_access)

    page.get_by_role("button", name="Sign out").click()
    sign_in()
    look(page, "code", check_access)
    page.get_by_label("Code").fill(recovery)
    page.get_by_role("button", name="Sign in").click()
    with served.access.database.writing() as db:
        db.execute("UPDATE sessions SET proved_us = 0")
    page.goto("/sign-in/own")
    expect(page.get_by_text("9 recovery codes left")).to_be_visible()
    page.get_by_role("button", name="Turn it off").click()
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    look(page, "again", check_access)


def test_a_demo_user_is_asked_again_with_a_click_before_an_erasure(served, new_page, sign_in, check_access):
    page = sign_in(new_page(script=False))
    with served.access.database.writing() as db:
        db.execute("UPDATE sessions SET proved_us = 0")
    page.goto("/requests/erase")
    page.get_by_role("button", name="It is me").click()
    expect(page.get_by_role("button", name="Erase me")).to_be_visible()
