"""An account's page, as its administrator uses it."""

import dataclasses
import os
import re

import httpx
import pytest

from volition.canonical import now_us
from volition.consent.terms.terms_file import load_profile
from volition.server.auth import Role
from volition.server.web.console.ledger import line_of

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
        workspace.consent.decide("person:ada", yes=True, data=["content"], purpose=["train"], covers="past")
        return workspace.gate.may("train/summary", **asked).verdict.permitted


def test_the_administrator_lands_on_their_accounts_page(client):
    assert client.get("/").url.path == "/account"


@pytest.mark.slow
def test_a_yes_and_a_no_count_at_once_and_are_undone(served, client):
    assert not permitted(served)
    page = client.post("/account/switches/train-summary", data={"answer": "yes", "covers": "past"})
    assert "the account&#39;s yes counts from now on" in page.text
    assert permitted(served)
    undo = re.search(r'name="undo" value="(\d+)"', page.text)[1]
    assert "is as it was before" in client.post("/account/switches/train-summary", data={"undo": undo}).text
    assert not permitted(served)
    client.post("/account/switches/train-summary", data={"answer": "yes"})
    client.post("/account/switches/train-summary", data={"answer": "no"})
    assert not permitted(served)


def test_the_page_says_when_a_yes_ends(served, client):
    page = client.post(
        "/account/switches/train-summary", data={"answer": "yes", "covers": "past", "until": "2099-02-01"}
    )
    assert "It ends on 1 February 2099." in page.text
    assert permitted(served)
    page = client.post("/account/switches/train-summary", data={"answer": "yes", "until": "2020-02-01"})
    assert (page.status_code, "that is past" in page.text) == (400, True)
    assert permitted(served)


def test_an_accounts_no_stands_whatever_its_people_say_and_under_new_terms(served, client):
    client.post("/account/switches/train-search", data={"answer": "no"})
    with served.workspaces.borrow() as workspace:
        workspace.consent.decide("person:ada", yes=True, data=["service"], purpose=["train"], covers="past")
        workspace.terms.publish(dataclasses.replace(load_profile("granular"), id="next"))
    client.post("/account/terms", data={"terms": "next"})
    with served.workspaces.borrow() as workspace:
        asked = {"account": "acme", "people": ["ada"], "category": "service/usage"}
        assert workspace.gate.may("train/search", **asked).verdict.party == "account:acme"


def test_no_persons_answer_is_on_the_page(served, client):
    def numbers():
        return client.get("/account").text

    with served.workspaces.borrow() as workspace:
        for number in range(12):
            workspace.people.add_person(f"x{number}", account="acme")
    before = numbers()
    assert before.count("fewer than 5") > 0
    with served.workspaces.borrow() as workspace:
        for number in range(4):
            workspace.consent.decide(f"person:x{number}", yes=False, data=["content", "service"], purpose=["train"])
    after = re.sub(r"\d+ or more", "", numbers())
    assert "Ada" not in after
    assert after.count("fewer than 5") >= before.count("fewer than 5") - 20


@pytest.mark.slow
def test_new_terms_are_told_before_they_are_accepted(served, client):
    with served.workspaces.borrow() as workspace:
        workspace.terms.publish(load_profile("2023-03-31"))
    page = client.get("/account")
    assert "New terms" in page.text
    assert "Newly allowed" in page.text
    page = client.post("/account/terms", data={"terms": "2023-03-31"})
    assert "The terms are accepted" in page.text
    assert "New terms" not in page.text
    with served.workspaces.borrow() as workspace:
        assert workspace.history().bindings.terms_of("acme")[-1][1].id == "2023-03-31"
        assert workspace.history().bindings.terms_of("acme")[-1][0] <= now_us()


def reason(served, person="ada"):
    with served.workspaces.borrow() as workspace:
        asked = {"account": "acme", "people": [person], "category": "content/transcript"}
        return workspace.gate.may("train/summary", **asked).verdict.reason


def everybody_agrees(served):
    with served.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["train"], covers="past")


def undo_in(page):
    return {"undo": re.search(r'name="undo" value="(\d+)"', page.text)[1]}


def test_a_locked_switch_stays_off_whatever_is_answered_until_it_is_unlocked(served, client):
    everybody_agrees(served)
    assert reason(served) is None
    page = client.post("/account/switches/train-summary/lock", data={"lock": "on"})
    assert "Train summaries is locked" in page.text
    assert "A yes has no effect until it is unlocked" in page.text
    assert reason(served) == "limited"
    page = client.post("/account/switches/train-summary", data={"answer": "yes", "covers": "past"})
    assert "yes counts once it is unlocked" in page.text
    assert reason(served) == "limited"
    page = client.post("/account/switches/train-summary/lock", data={"lock": "off"})
    assert "Train summaries is unlocked" in page.text
    assert reason(served) is None
    client.post("/account/switches/train-summary/lock", data=undo_in(page))
    assert reason(served) == "limited"


def test_undoing_a_lock_gives_back_all_that_stood(served, client):
    everybody_agrees(served)
    with served.workspaces.borrow() as workspace:
        before = workspace.consent.choices("account:acme", account="acme").of("train-summary").since_us
    page = client.post("/account/switches/train-summary/lock", data={"lock": "on"})
    page = client.post("/account/switches/train-summary/lock", data=undo_in(page))
    assert "everything is as it was before" in page.text
    with served.workspaces.borrow() as workspace:
        assert workspace.consent.choices("account:acme", account="acme").of("train-summary").since_us == before


@pytest.mark.slow
def test_a_group_is_limited_told_and_lifted(served, client):
    everybody_agrees(served)
    form = {"group": "Works council", "switch": "train-summary"}
    page = client.post("/account/limits", data={**form, "limit": "on", "people": "ada\n\n bo \n"})
    assert "limited for 2 people in Works council" in page.text
    assert "Lift the limit of Train summaries for Works council" in page.text
    assert "Who is in it" in page.text
    assert [reason(served, person) for person in ("ada", "bo")] == ["limited", "limited"]
    with served.workspaces.borrow() as workspace:
        [*_, entry] = workspace.entries()
        assert "Works council" not in str(entry.body)
        assert "for its group Works council, 2 names." in line_of(entry, workspace).says
    page = client.post("/account/limits", data={**form, "limit": "some", "people": "bo"})
    assert [reason(served, person) for person in ("ada", "bo")] == ["limited", None]
    client.post("/account/limits", data={**undo_in(page), "switch": "train-summary"})
    assert [reason(served, person) for person in ("ada", "bo")] == ["limited", "limited"]
    page = client.post("/account/limits", data={**form, "limit": "off"})
    assert "no longer limited for Works council" in page.text
    assert "Who is in it" not in page.text
    assert [reason(served, person) for person in ("ada", "bo")] == [None, None]


def test_what_people_answer_changes_nothing_of_what_is_told_of_their_group(served, client):
    client.post("/account/limits", data={"group": "g", "switch": "train-summary", "limit": "on", "people": "ada\nbo"})

    def told():
        return re.search(r'id="limits".*?</section>', client.get("/account").text, re.DOTALL)[0]

    before = told()
    with served.workspaces.borrow() as workspace:
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
    assert told() == before


def test_a_use_that_no_switch_speaks_of_is_told_all_the_same(served, client):
    with served.workspaces.borrow() as workspace:
        workspace.consent.limit("acme", data=["content"], purpose=["advertising"], group="g", people=["ada"])
        workspace.consent.limit("acme", data=["content/audio"], purpose=["train/summary"])
    page = client.get("/account").text
    assert "the operator can lift it" in page
    assert "Partly locked" in page
    assert "Lock all of it" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/account/switches/train-summary/lock", {"lock": "perhaps"}),
        ("/account/switches/train-summary/lock", {"lock": "off"}),
        ("/account/switches/train-summary/lock", {"undo": "x"}),
        ("/account/switches/train-summary/lock", {"undo": "0"}),
        ("/account/switches/nothing/lock", {"lock": "on"}),
        ("/account/limits", {"limit": "on", "switch": "train-summary", "people": "ada"}),
        ("/account/limits", {"limit": "on", "switch": "train-summary", "group": "g"}),
        ("/account/limits", {"limit": "on", "switch": "nothing", "group": "g", "people": "ada"}),
        ("/account/limits", {"limit": "on", "switch": "train-summary", "group": "g", "people": "nobody"}),
        ("/account/limits", {"limit": "some", "switch": "train-summary", "group": "g"}),
        ("/account/limits", {"limit": "off", "switch": "train-summary", "group": "g"}),
        ("/account/limits", {"switch": "train-summary", "group": "g", "people": "ada"}),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_and_leaves_no_entry(served, client, path, form):
    with served.workspaces.borrow() as workspace:
        size = workspace.ledger.size
    assert client.post(path, data=form).status_code == 400
    with served.workspaces.borrow() as workspace:
        assert workspace.ledger.size == size


@pytest.mark.parametrize(("group", "told"), [("", "for everyone"), ("g", "for you")])
def test_a_person_is_told_that_the_account_limits_a_switch_and_that_their_no_counts(served, group, told):
    everybody_agrees(served)
    with served.workspaces.borrow() as workspace:
        workspace.consent.limit("acme", switch="train-summary", group=group, people=["ada"] if group else [])
    with httpx.Client(base_url=served.url, follow_redirects=True, headers=OURS, trust_env=False) as person:
        person.post("/sign-in/demo", data={"user": "demo-person"})
        page = person.get("/settings").text
        assert f"limits this {told}" in page
        assert "If you say no, that stays in force afterwards, too" in page
        person.post("/settings/train-summary", data={"answer": "no"})
        card = re.search(r'id="train-summary".*?</article>', person.get("/settings").text, re.DOTALL)[0]
        assert "You said no." in card


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
            workspace.consent.decide("account:acme", yes=yes, data=["service", "content"], purpose=["train"])
        assert standing() == (not yes)


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("look", [(1280, False), (390, True)])
def test_the_page_is_for_everybody(served, new_page, sign_in, check_access, look):
    width, dark = look
    with served.workspaces.borrow() as workspace:
        workspace.terms.publish(load_profile("2023-03-31"))
        workspace.consent.decide("account:acme", yes=True, data=["service", "content"], purpose=["train"])
        for number in range(12):
            workspace.people.add_person(f"x{number}", account="acme")
        workspace.consent.limit("acme", switch="train-compose")
        workspace.consent.limit("acme", switch="train-search", group="Works council", people=["x1", "x2", "ada"])
        workspace.consent.limit("acme", data=["content/audio"], purpose=["train/summary"])
    page = sign_in(new_page(dark=dark, viewport={"width": width, "height": 844}, script=not dark), Role.ADMINISTRATOR)
    page.goto("/account")
    yes, no = (page.locator(f"#train-search-{answer}").bounding_box() for answer in ("yes", "no"))
    assert (yes["width"], yes["height"], yes["y"]) == pytest.approx((no["width"], no["height"], no["y"]), abs=0.1)
    page.locator("#train-recommend-lock").focus()
    page.keyboard.press("Enter")
    page.locator("#train-recommend-unlock").wait_for()
    page.get_by_role("textbox", name="Group").fill("Night shift")
    page.get_by_role("textbox", name="People").fill("x3\nx4")
    page.get_by_role("combobox", name="Switch").select_option("train-search")
    page.get_by_role("button", name="Limit", exact=True).click()
    page.get_by_role("button", name="Lift the limit of Train search for Night shift").wait_for()
    page.locator("#train-search-no").focus()
    page.keyboard.press("Enter")
    page.get_by_text("the account's no counts from now on").wait_for()
    page.get_by_role("button", name="Undo").wait_for()
    assert page.locator("#train-search .row .pill").inner_text() == "Not allowed"
    assert page.locator(".glances li", has_text="Train search").locator(".pill").inner_text() == "Not allowed"
    if not dark:
        check_access(page)
    if folder := os.environ.get("VOLITION_SHOTS"):
        page.screenshot(path=f"{folder}/account-{width}-{dark}.png", full_page=True)
