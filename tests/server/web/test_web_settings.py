"""AI settings of a person, as a person uses them: in a browser, by keyboard, without JavaScript."""

import re

import pytest

from volition.consent.terms.model import PURPOSES
from volition.server.auth import PEOPLE, Role

# The composer comes last: its no is undone at the end.
TRAINING = sorted(
    (name.replace("/", "-") for name in PURPOSES if name.startswith("train/")), key="train-compose".__eq__
)
UNUSED = ("train-speech",)  # nothing of the kind is collected here, so a yes only allows it

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


def allow(served, *, account=True, person=True):
    """Let the account and the person say yes to everything, past and future."""
    with served.workspaces.borrow() as workspace:
        for party, says in (("account:acme", account), ("person:ada", person), ("person:bo", True)):
            if says:
                workspace.consent.decide(
                    party, yes=True, data=["service", "content"], purpose=["train", "feature"], covers="past"
                )


def states(page, switch):
    """Return what every place on the page says about a switch: its card, the overview, and whether any data trains."""
    card = page.locator(f"#{switch}")
    title = card.get_by_role("heading").inner_text()
    glance = page.locator(".glances li", has=page.get_by_role("link", name=title, exact=True))
    kinds = page.locator(f"#{switch}-kinds tbody .pill")
    return {
        "card": card.locator(".row .pill").inner_text(),
        "glance": glance.locator(".pill").inner_text(),
        "kinds": set(kinds.all_text_contents()),
        "standing": page.locator("#standing").inner_text(),
    }


def test_what_is_told_after_an_answer_is_for_everybody(served, new_page, sign_in, check_access):
    allow(served)
    page = sign_in(new_page(dark=True, viewport={"width": 390, "height": 844}))
    page.goto("/settings")
    page.locator("#train-search-no").click()
    page.get_by_role("button", name="Undo").wait_for()
    page.locator("summary").first.click()
    check_access(page)


def test_every_place_agrees_after_a_no_and_after_undoing_it(served, page, sign_in):
    allow(served)
    sign_in(page).goto("/settings")
    for switch in TRAINING:
        assert states(page, switch)["card"] == ("Allowed" if switch in UNUSED else "Used")
        page.locator(f"#{switch}-no").click()
        page.locator(f"#{switch} .row .pill", has_text="Not used").wait_for()
        said = states(page, switch)
        assert (said["card"], said["glance"], said["kinds"]) == ("Not used", "Not used", {"Not used"})
    assert page.locator("#standing").inner_text() == "Your data does not train AI"
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("everything is as it was before").wait_for()
    said = states(page, "train-compose")
    assert (said["card"], said["glance"], said["standing"]) == ("Used", "Used", "Your data may train AI")
    assert states(page, "train-search")["card"] == "Not used"


def test_what_the_page_says_is_what_the_gate_says(served, page, sign_in):
    allow(served)
    sign_in(page).goto("/settings")
    page.locator("#train-summary-no").click()
    page.get_by_role("button", name="Undo").wait_for()
    asked = {"account": "acme", "people": ["ada"], "category": "content/transcript"}
    with served.workspaces.borrow() as workspace:
        assert not workspace.gate.may("train/summary", **asked).verdict.permitted
        assert workspace.gate.may("train/search", **asked).verdict.permitted


def test_yes_and_no_are_of_the_same_size_and_one_click_each(served, new_page, sign_in):
    allow(served)
    for width in (1280, 390):
        page = sign_in(new_page(viewport={"width": width, "height": 844}))
        page.goto("/settings")
        for switch in ("train-search", "feature-summary"):
            yes, no = (page.locator(f"#{switch}-{answer}").bounding_box() for answer in ("yes", "no"))
            assert (yes["width"], yes["height"], yes["y"]) == pytest.approx(
                (no["width"], no["height"], no["y"]), abs=0.1
            )


def test_the_keyboard_alone_is_enough_and_keeps_its_place(served, page, sign_in):
    allow(served)
    sign_in(page).goto("/settings")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "train-search-no":
            break
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Undo").wait_for()
    assert page.evaluate("document.activeElement.id") == "train-search-no"
    assert states(page, "train-search")["card"] == "Not used"


def test_it_works_without_javascript(served, new_page, sign_in):
    allow(served)
    page = sign_in(new_page(script=False))
    page.goto("/settings")
    page.locator("#train-search-no").click()
    assert re.search(r"/settings#train-search$", page.url)
    assert page.get_by_text("your no counts from now on").is_visible()
    assert states(page, "train-search") == {
        "card": "Not used",
        "glance": "Not used",
        "kinds": {"Not used"},
        "standing": "Your data may train AI",
    }
    page.get_by_role("button", name="Undo").click()
    assert states(page, "train-search")["card"] == "Used"


def test_a_no_after_silence_cannot_be_undone_into_a_yes(served, page, sign_in):
    """Undoing must not turn into agreeing: where nothing was allowed before, there is nothing to undo."""
    with served.workspaces.borrow() as workspace:
        workspace.terms.accept("brill")  # where the terms ask each person
    served.access.users.add("cy", roles=[Role.PERSON], account="brill", person="cy")
    sign_in(page, user="cy").goto("/settings")
    page.locator("#train-summary-no").click()
    page.get_by_text("your no counts from now on").wait_for()
    assert page.get_by_role("button", name="Undo").count() == 0


def test_a_click_signs_in_and_out_in_the_demo(served, page):
    page.goto("/settings")
    assert "/sign-in?next=/settings" in page.url
    page.get_by_role("button", name="Some person").click()
    assert page.get_by_role("heading", name="AI settings").is_visible()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/settings")
    assert "/sign-in" in page.url


def test_a_guest_comes_in_by_a_link_and_chooses(served, page):
    with served.workspaces.borrow() as workspace:
        guest = workspace.parties.guest("acme", "Zoe Guest").id
    link = served.access.links.make_guest_link(person=guest, account="acme")
    page.goto(f"/guest/{link}")
    page.get_by_role("button", name="Continue as a guest").click()
    page.goto("/settings")
    page.locator("#train-summary-no").click()
    page.get_by_text("your no counts from now on").wait_for()
    with served.workspaces.borrow() as workspace:
        answer = workspace.consent.choices(f"person:{guest}", account="acme").of("train-summary").answer
    assert answer == "no"


@pytest.mark.parametrize("role", sorted(set(Role) - set(PEOPLE)))
def test_others_are_told_whom_the_page_is_for(served, new_page, sign_in, role):
    page = sign_in(new_page(script=False), role)
    response = page.context.request.get("/settings")
    assert response.status == 403
    assert "It is for: Guest and Person." in response.text()


def test_one_click_refuses_everything_and_one_more_undoes_it(served, page, sign_in, check_access):
    allow(served)
    sign_in(page).goto("/settings")
    before = page.locator(".glances .pill").all_text_contents()
    assert set(before) == {"Used", "Allowed"}
    page.get_by_role("button", name="Say no to everything").click()
    page.get_by_role("button", name="Undo").wait_for()
    assert set(page.locator(".glances .pill").all_text_contents()) == {"Not used"}
    assert page.locator("#standing").inner_text() == "Your data does not train AI"
    check_access(page)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Everything is as it was before").wait_for()
    assert page.locator(".glances .pill").all_text_contents() == before
    assert page.evaluate("document.activeElement.id") == "everything-title"


def test_the_reader_stays_where_they_are_after_an_answer_and_after_its_undoing(served, new_page, sign_in):
    allow(served)
    for size in ({"width": 1280, "height": 900}, {"width": 390, "height": 844}):
        page = sign_in(new_page(viewport=size))
        page.goto("/settings")
        button = page.locator("#train-compose-no")
        button.scroll_into_view_if_needed()
        above = button.bounding_box()["y"]
        assert page.evaluate("scrollY") > 300
        button.click()
        page.get_by_role("button", name="Undo").wait_for()
        assert page.evaluate("document.activeElement.id") == "train-compose-no"
        assert abs(page.locator("#train-compose-no").bounding_box()["y"] - above) < 50
        assert page.evaluate("scrollY") > 300
        box = page.get_by_role("button", name="Undo").bounding_box()
        assert 0 <= box["y"] < size["height"]  # it is in sight, wherever the reader is
        above = page.locator("#train-compose-no").bounding_box()["y"]
        page.mouse.click(box["x"] + 5, box["y"] + 5)  # `click` of Playwright would scroll by itself
        page.get_by_text("everything is as it was before").wait_for()
        page.wait_for_function("document.activeElement.id === 'train-compose-title'")
        assert abs(page.locator("#train-compose-no").bounding_box()["y"] - above) < 50


def test_each_checkbox_has_a_name_of_its_own(served, page, sign_in):
    sign_in(page).goto("/settings")
    names = page.locator("input[type=checkbox]").evaluate_all("all => all.map(one => one.labels[0].textContent.trim())")
    assert len(names) > 1
    assert len(set(names)) == len(names)
