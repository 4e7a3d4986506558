"""An account's page, as its administrator uses it."""

import dataclasses
import os
import re

import httpx
import pytest

from volition.access import Role
from volition.canonical import now_us
from volition.terms import load_profile

OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def client(served):
    """Return a client that is signed in as Acme's administrator."""
    with httpx.Client(base_url=served.url, follow_redirects=True, headers=OURS, trust_env=False) as visiting:
        visiting.post("/sign-in/demo", data={"user": "demo-administrator"})
        yield visiting


def permitted(served):
    with served.workspaces.borrow() as workspace:
        asked = {"account": "acme", "people": ["ada"], "category": "content/transcript"}
        workspace.decide("person:ada", yes=True, data=["content"], purpose=["train"], covers="past")
        return workspace.may("train/summary", **asked).verdict.permitted


def test_the_administrator_lands_on_their_accounts_page(client):
    assert client.get("/").url.path == "/account"


def test_a_yes_and_a_no_count_at_once_and_are_undone(served, client):
    assert not permitted(served)
    page = client.post("/account/switches/train-summary", data={"answer": "yes", "covers": "past"})
    assert "the account&#39;s yes counts from now on" in page.text
    assert permitted(served)
    undo = re.search(r'name="undo" value="(\d+)"', page.text)[1]
    assert "stands as it did before" in client.post("/account/switches/train-summary", data={"undo": undo}).text
    assert not permitted(served)
    client.post("/account/switches/train-summary", data={"answer": "yes"})
    client.post("/account/switches/train-summary", data={"answer": "no"})
    assert not permitted(served)


def test_an_accounts_no_stands_whatever_its_people_say_and_under_new_terms(served, client):
    client.post("/account/switches/train-search", data={"answer": "no"})
    with served.workspaces.borrow() as workspace:
        workspace.decide("person:ada", yes=True, data=["service"], purpose=["train"], covers="past")
        workspace.publish_terms(dataclasses.replace(load_profile("granular"), id="next", notice_days=0))
    client.post("/account/terms", data={"terms": "next"})
    with served.workspaces.borrow() as workspace:
        asked = {"account": "acme", "people": ["ada"], "category": "service/usage"}
        assert workspace.may("train/search", **asked).verdict.party == "account:acme"


def test_no_persons_answer_is_on_the_page(served, client):
    def numbers():
        return client.get("/account").text

    with served.workspaces.borrow() as workspace:
        for number in range(12):
            workspace.add_person(f"x{number}", account="acme")
    before = numbers()
    assert before.count("fewer than 5") > 0
    with served.workspaces.borrow() as workspace:
        for number in range(4):
            workspace.decide(f"person:x{number}", yes=False, data=["content", "service"], purpose=["train"])
    after = re.sub(r"\d+ or more", "", numbers())
    assert "Ada" not in after
    assert after.count("fewer than 5") >= before.count("fewer than 5") - 20


def test_new_terms_are_told_before_they_are_accepted(served, client):
    with served.workspaces.borrow() as workspace:
        workspace.publish_terms(load_profile("2023-03-31"))
    page = client.get("/account")
    assert "New terms" in page.text
    assert "Newly allowed" in page.text
    page = client.post("/account/terms", data={"terms": "2023-03-31"})
    assert "The terms are accepted" in page.text
    assert "New terms" not in page.text
    with served.workspaces.borrow() as workspace:
        assert workspace.history().terms_of("acme")[-1][1].id == "2023-03-31"
        assert workspace.history().terms_of("acme")[-1][0] <= now_us()


def test_nonsense_is_refused(client):
    assert client.post("/account/switches/train-search", data={"answer": "perhaps"}).status_code == 400
    assert client.post("/account/switches/nothing", data={"answer": "yes"}).status_code == 400
    assert client.post("/account/terms", data={"terms": "none"}).status_code == 400
    assert client.post("/account/terms", data={}).status_code == 400


def test_whoever_begins_is_told_how_until_they_have_begun(served, client):
    assert "Three steps to begin" in client.get("/account").text
    client.post("/account/switches/train-search", data={"answer": "no"})
    assert "Three steps to begin" not in client.get("/account").text


def test_what_somebody_else_changes_is_on_the_page_at_once(served, client):
    def standing():
        return "No data trains AI" in client.get("/account").text

    for yes in (False, True, False):
        with served.workspaces.borrow() as workspace:
            workspace.decide("account:acme", yes=yes, data=["service", "content"], purpose=["train"])
        assert standing() == (not yes)


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("look", [(1280, False), (390, True)])
def test_the_page_is_for_everybody(served, new_page, sign_in, check_access, look):
    width, dark = look
    with served.workspaces.borrow() as workspace:
        workspace.publish_terms(load_profile("2023-03-31"))
        workspace.decide("account:acme", yes=True, data=["service", "content"], purpose=["train"])
        for number in range(12):
            workspace.add_person(f"x{number}", account="acme")
    page = sign_in(new_page(dark=dark, viewport={"width": width, "height": 844}, script=not dark), Role.ADMINISTRATOR)
    page.goto("/account")
    yes, no = (page.locator(f"#train-search-{answer}").bounding_box() for answer in ("yes", "no"))
    assert (yes["width"], yes["height"], yes["y"]) == pytest.approx((no["width"], no["height"], no["y"]), abs=0.1)
    page.locator("#train-search-no").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Undo").wait_for()
    assert page.locator("#train-search .row .pill").inner_text() == "Not allowed"
    assert page.locator(".glances li", has_text="Train search").locator(".pill").inner_text() == "Not allowed"
    if not dark:
        check_access(page)
    if folder := os.environ.get("VOLITION_SHOTS"):
        page.screenshot(path=f"{folder}/account-{width}-{dark}.png", full_page=True)
