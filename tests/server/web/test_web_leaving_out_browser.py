"""One conversation left out in a real browser: where the reader and the focus are afterwards, and that axe finds nothing."""

import pytest

from volition.records.ingest import Draft, PersonRef
from volition.server.auth import Role

PHONE = {"width": 390, "height": 844}
EVERYTHING = {"data": ["service", "content"], "purpose": ["train", "feature"], "covers": "past"}
PLACES = {
    "/meetings/standup": (Role.PERSON, "left-out"),
    "/chat/general": (Role.PERSON, "left-out"),
    "/guest": (Role.GUEST, "meeting-1-left-out"),
    "/account": (Role.ADMINISTRATOR, "left-out"),
}


@pytest.fixture
def lived(served):
    """Let there be a meeting, a channel and a guest of whom something can be left out."""
    with served.workspaces.borrow() as workspace:
        guest = workspace.parties.guest("acme", "Zoe Guest")
        for party in ("account:acme", "person:ada", "person:bo", f"person:{guest.id}"):
            workspace.consent.decide(party, yes=True, **EVERYTHING)
        said = {"kind": "message", "channel": "general", "author": "ada", "ts": "1.0", "text": "Good morning to all."}
        visit = {"kind": "segment", "meeting": "visit", "turn": 1, "start_ms": 0, "end_ms": 9, "speaker": "Zoe Guest"}
        for key, people, category, payload in (
            ("general:1", (PersonRef(id="ada"),), "content/chat", said),
            (
                "visit:1",
                (PersonRef(pseudonym=guest.pseudonym), PersonRef(id="ada")),
                "content/transcript",
                {**visit, "text": "I only came to look."},
            ),
        ):
            draft = Draft(
                key=key,
                account="acme",
                people=people,
                category=category,
                at_us=workspace.now_us - 1_000_000,
                payload=payload,
            )
            workspace.records.take_in([draft], "acme", lambda *_: None)
    return served


FOCUS = "document.activeElement.id || document.activeElement.parentElement.id"  # of a summary, what it folds


def press(page, button):
    """Press a button by its id where the reader has it in sight; return how high it stood."""
    one = page.locator(f"#{button}")
    one.scroll_into_view_if_needed()
    above = one.bounding_box()["y"]
    one.press("Enter")
    page.get_by_text("It is recorded as entry").wait_for()
    return above


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("path", PLACES)
def test_the_focus_stays_with_what_was_left_out_and_never_on_the_button_that_takes_it_back(
    lived, new_page, sign_in, check_access, path
):
    role, anchor = PLACES[path]
    page = sign_in(new_page(), role)
    page.goto(path)
    if path == "/guest":
        page.locator(f"#{anchor} summary").click()
    fields, exclude = ("exclude-fields", "exclude-it") if path == "/account" else (f"{anchor}-out", f"{anchor}-exclude")
    for use, then in (("feature/search", exclude), ("every", exclude if path == "/account" else anchor)):
        if path == "/account":
            page.locator("#exclude-fields input[name=name]").fill("standup")
        page.locator(f"#{fields} select").select_option(use)
        above = press(page, exclude)
        assert page.evaluate(FOCUS) == then
        if then == exclude:
            assert page.locator(f"#{exclude}").bounding_box()["y"] - above < 250, "only what was added moves it"
        check_access(page)
        page.reload()
    page.set_viewport_size(PHONE)
    check_access(page)
    [include] = page.locator("button[value=include]").evaluate_all("all => all.map((one) => one.id)")
    press(page, include)
    assert page.evaluate(FOCUS) == anchor
    assert page.locator("button[value=include]").count() == 0
    check_access(page)


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("path", PLACES)
def test_without_javascript_the_reader_lands_where_it_was_left_out(lived, new_page, sign_in, path):
    role, anchor = PLACES[path]
    page = sign_in(new_page(viewport=PHONE, script=False), role)
    page.goto(path)
    if path == "/guest":
        page.locator(f"#{anchor} summary").click()
    if path == "/account":
        page.locator("#exclude-fields input[name=name]").fill("standup")
    page.locator("#exclude-it" if path == "/account" else f"#{anchor}-exclude").click()
    for button in ("button[value=include]", None):
        assert page.url.endswith(f"#{anchor}")
        assert page.get_by_text("It is recorded as entry").is_visible()
        assert 0 <= page.locator(f"#{anchor}").bounding_box()["y"] < PHONE["height"]
        if button is not None:
            page.locator(button).click()
    assert page.locator("button[value=include]").count() == 0
