"""The components inside a foreign page, on another origin, under a strict content security policy, in a real browser."""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from crafts import declare_churn
from volition.server.auth import Role, Scope

pytestmark = pytest.mark.slow
PHONE = {"width": 390, "height": 844}
INTEGRITY = re.compile(r'"(sha384-\S+)"')
PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>Your profile</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/page.css">
<script type="module" src="{server}/v1/embed/volition-1.js" crossorigin integrity="{integrity}"></script></head>
<body><main><h1>Your profile</h1>
<volition-notice token-from="/token" purpose="train/compose"></volition-notice>
<volition-settings token-from="/token"></volition-settings></main></body></html>"""
STYLE = ":root { color-scheme: light dark; } body { margin: 0; background: Canvas; color: CanvasText; } main { max-width: 40rem; margin: auto; }"


@contextmanager
def product(served, *, lang="en", minutes=10):
    """Serve a product's own page, on an origin of its own, whose backend has tokens minted for whoever is signed in."""
    docs = Path(__file__).parents[3] / "docs" / "how-to" / "embed.md"
    page = PAGE.format(lang=lang, server=served.url, integrity=INTEGRITY.search(docs.read_text())[1])
    issued = served.access.tokens.issue("demo-engineer", name="t", roles=[Role.ENGINEER], scopes=[Scope.EMBED])[1]
    minted = []

    class Product(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/token":
                asked = {"person": "ada", "origin": self.server.origin, "minutes": minutes}
                headers = {"authorization": f"Bearer {issued}"}
                minted.append(httpx2.post(f"{served.url}/v1/embed-tokens", json=asked, headers=headers).json())
                kind, body = "application/json", json.dumps({"token": minted[-1]["token"]})
            elif self.path == "/page.css":
                kind, body = "text/css", STYLE
            else:
                kind, body = "text/html; charset=utf-8", page if self.path == "/" else ""
            policy = (
                f"default-src 'none'; style-src 'self'; script-src {served.url}; connect-src 'self' {served.url}; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
            )
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-security-policy", policy)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Product)
    server.origin = f"http://127.0.0.1:{server.server_port}"
    server.minted = minted
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def open_in(browser, served):
    """Return a function that opens a product's page; nothing may have gone wrong in it."""
    contexts, wrong = [], []

    def open_page(product, *, viewport=None, dark=False, script=True):
        context = browser.new_context(
            viewport=viewport or {"width": 1280, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.wrong = wrong
        page.goto(product.origin)
        page.get_by_role("heading", name=re.compile("AI and your data|KI und Ihre Daten")).wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [one for one in wrong if "favicon" not in one] == []


def answers(served):
    """Return what ada has said about each purpose, as the server has it."""
    with served.workspaces.borrow() as workspace:
        found = workspace.consent.choices("person:ada", account="acme")
        return {choice.switch.name: choice.answer.value for choice in found.choices}


def composer(served):
    with served.workspaces.borrow() as workspace:
        found = workspace.consent.choices("person:ada", account="acme").choices
        return next(choice.switch.name for choice in found if "train/compose" in choice.purposes)


def test_a_no_takes_one_click_as_a_yes_does_and_what_it_turns_off_is_said_before(served, open_in):
    switch = composer(served)
    with product(served) as shown:
        page = open_in(shown)
        settings = page.locator("volition-settings")
        card = settings.get_by_role("region", name=re.compile("composer", re.IGNORECASE)).first
        assert "The composer does not learn from what you write." in card.inner_text()
        assert "must forget within" in card.inner_text()
        yes, no = (
            card.get_by_role("button", name=re.compile("^Yes")),
            card.get_by_role("button", name=re.compile("^No")),
        )
        assert yes.bounding_box()["width"] == no.bounding_box()["width"]
        assert yes.bounding_box()["height"] == no.bounding_box()["height"]
        for button, said in ((yes, "yes"), (no, "no"), (yes, "yes")):
            button.click()
            settings.get_by_role("status").get_by_text(re.compile(f"your {said} counts")).wait_for()
            assert answers(served)[switch] == said
            assert button.get_attribute("aria-pressed") == "true"
        settings.get_by_role("button", name="Say no to everything").click()
        settings.get_by_role("status").get_by_text("Your no to everything counts").wait_for()
        assert answers(served)[switch] == "no"


def test_by_keyboard_alone_and_the_focus_stays_where_it_was(served, open_in):
    switch = composer(served)
    with product(served) as shown:
        page = open_in(shown)
        for _ in range(60):
            page.keyboard.press("Tab")
            key = page.evaluate("document.activeElement.shadowRoot?.activeElement?.dataset.key")
            if key == f"{switch} false" and page.evaluate("document.activeElement.localName") == "volition-settings":
                break
        page.keyboard.press("Enter")
        page.locator("volition-settings").get_by_text(re.compile("your no counts")).wait_for()
        assert answers(served)[switch] == "no"
        assert page.evaluate("document.activeElement.shadowRoot.activeElement.dataset.key") == f"{switch} false"


def test_a_notice_says_that_ai_is_on_what_it_does_and_takes_a_no(served, open_in):
    switch = composer(served)
    with served.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["train/compose"])
    with product(served) as shown:
        page = open_in(shown)
        notice = page.locator("volition-notice")
        notice.get_by_text("AI is on here: Train the composer").wait_for()
        assert "The composer learns from chat messages" in notice.locator(".all").inner_text()
        assert "The composer does not learn from what you write." in notice.locator(".all").inner_text()
        notice.get_by_role("button", name=re.compile("^Say no")).click()
        notice.get_by_text("AI is off here for your data: Train the composer").wait_for()
        assert answers(served)[switch] == "no"
        settings = (
            page.locator("volition-settings").get_by_role("region", name=re.compile("composer", re.IGNORECASE)).first
        )
        settings.get_by_role("button", name=re.compile("^No"), pressed=True).wait_for()  # both say the same
        settings.get_by_role("button", name=re.compile("^Yes")).click()
        notice.get_by_text("AI is on here: Train the composer").wait_for()


def test_a_token_that_was_revoked_is_minted_anew_and_without_the_server_nothing_is_claimed(served, open_in):
    with product(served) as shown:
        page = open_in(shown)
        for minted in shown.minted:
            served.access.embeds.end(minted["id"])
        card = page.locator("volition-settings").get_by_role("region", name=re.compile("composer", re.IGNORECASE)).first
        card.get_by_role("button", name=re.compile("^No")).click()
        page.locator("volition-settings").get_by_text(re.compile("your no counts")).wait_for()
        page.route("**/v1/settings", lambda route: route.abort())
        card.get_by_role("button", name=re.compile("^Yes")).click()
        page.locator("volition-settings").get_by_text("could not be recorded").wait_for()
        assert "no" in answers(served).values()
        page.wrong.clear()  # that nothing was reached


@pytest.mark.parametrize("lang", ["en", "de"])
def test_it_is_accessible_in_both_languages_light_and_dark_wide_and_narrow(
    served, open_in, check_access, tmp_path, lang
):
    dark = lang == "de"
    with product(served, lang=lang) as shown:
        page = open_in(shown, viewport=PHONE if dark else None, dark=dark)
        page.screenshot(path=str(tmp_path / f"embedded-{lang}.png"), full_page=True)
        check_access(page)
        text = page.locator("volition-settings .all").inner_text()
        assert ("Wenn Sie nein sagen:" in text) == (lang == "de")
        assert ("If you say no:" in text) == (lang == "en")


@pytest.mark.parametrize("lang", ["en", "de"])
def test_what_terms_declare_is_shown_in_the_words_of_the_terms(served, open_in, check_access, tmp_path, lang):
    with served.workspaces.borrow() as workspace:
        declare_churn(workspace)
    with product(served, lang=lang) as shown:
        page = open_in(shown, viewport=PHONE)
        page.screenshot(path=str(tmp_path / f"declared-{lang}.png"), full_page=True)
        check_access(page)
        card = page.get_by_role("region", name="Train churn prediction")
        text = card.inner_text()
        assert "Tells which accounts may leave." in text
        assert ("If you say no:" in text) == (lang == "en")
        assert "train/churn" not in text
        assert "crm/tickets" not in text
