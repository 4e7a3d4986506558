"""A workspace that is served, a real Chromium, and somebody signed in: what tests of pages share.

`world` is a folder with two accounts; `served` its server on a free port; `page` a browser's page that refuses to ask any
other host and notes what goes wrong in it; `visit` signs somebody in and opens a path.
"""

import os
import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from crafts import create_unbound
from volition.server.app import Server, web_server
from volition.server.auth import Access, Role
from volition.server.work import KINDS

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
MEETING = """WEBVTT

00:01.000 --> 00:04.000
Ada Byron: The launch moves to Friday.

00:05.000 --> 00:09.000
Bo Berg: Then the brochure must be ready on Thursday.
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """Make the workspace once; `world` copies it."""
    folder = tmp_path_factory.mktemp("world") / "workspace"
    with create_unbound(folder, origin="log.example/pages") as workspace:
        workspace.people.add_account("acme", "Acme Ltd", region="US")
        workspace.people.add_account("brill", "Brill AG", region="DE")
        workspace.people.add_person("ada", account="acme", name="Ada Byron")
        workspace.people.add_person("bo", account="acme", name="Bo Berg")
        workspace.people.add_person("cy", account="brill", name="Cy Clark")
        workspace.terms.accept("acme")
        meeting = folder.parent / "standup.vtt"
        meeting.write_text(MEETING)
        workspace.records.collect_webvtt(meeting, account="acme", started=datetime(2025, 6, 2, 9, tzinfo=UTC))
        guest = workspace.parties.guest("acme", "Zoe Guest").id
    access = Access.open(folder)
    for role in Role:
        account = "acme" if role in {Role.PERSON, Role.GUEST, Role.ADMINISTRATOR} else None
        person = {Role.PERSON: "ada", Role.GUEST: guest}.get(role)
        access.users.add(f"demo-{role}", roles=[role], name=f"Some {role}", account=account, person=person)
    access.users.add("demo-stranger", roles=[Role.PERSON], name="Some stranger", account="brill", person="cy")
    access.close()
    return folder


@pytest.fixture
def world(template, tmp_path):
    """Return a folder with a workspace of this test's own."""
    return shutil.copytree(template, tmp_path / "workspace")


@pytest.fixture
def served(world, request):
    """Serve `world`; yield its address, folder, `Access`, `Workspaces`, `Jobs`, what its jobs do (`kinds`), and `stop`.

    As an indirect parameter it takes the text of `server.toml`.
    """
    if hasattr(request, "param"):
        (world / "server.toml").write_text(request.param)
    kinds = dict(KINDS)
    server = Server(world, is_demo=True, kinds=kinds)
    running = web_server(server, port=0)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not running.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start in time"
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield SimpleNamespace(
        url=f"http://127.0.0.1:{port}",
        folder=world,
        access=server.access,
        workspaces=server.workspaces,
        jobs=server.jobs,
        kinds=kinds,
        stop=lambda: setattr(running, "should_exit", True),
    )
    running.should_exit = True
    thread.join()
    server.close()


@pytest.fixture(scope="session")
def browser():
    """Start the one browser of a test run; where there is none, skip, or fail if it was asked for."""
    if not CHROMIUM.exists():
        say = pytest.fail if os.environ.get("VOLITION_BROWSER") == "required" else pytest.skip
        say(f"there is no {CHROMIUM}: apt-get install chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def new_page(browser, served):
    """Return a function that opens a page; at the end none of them may have gone wrong, or have asked another host."""
    contexts, wrong = [], []

    def open_page(*, viewport=DESKTOP, dark=False, script=True):
        context = browser.new_context(
            viewport=viewport,
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            base_url=served.url,
            reduced_motion="reduce",
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None)
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((served.url, "data:", "blob:")) else wrong.append(f"asked {asked.url}")
            ),
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def page(new_page):
    """Return one page, wide and light, with JavaScript."""
    return new_page()


@pytest.fixture
def sign_in(served):
    """Return a function that signs a page's browser in as somebody."""

    def come_in(page, role=Role.PERSON, user=None):
        secret = served.access.sessions.begin(user or f"demo-{role}")
        page.context.add_cookies([{"name": "volition", "value": secret, "url": served.url}])
        return page

    return come_in


@pytest.fixture
def check_access():
    """Return a function that asserts that axe finds nothing on a page, and that nothing sticks out at its width.

    With `looks_alone` it asks only what another colour or width can change, which takes a fraction of the time.
    """

    def check(page, *, looks_alone=False):
        from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - only where there is a browser

        options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
        if looks_alone:
            options = {"runOnly": {"type": "rule", "values": ["color-contrast", "target-size", "link-in-text-block"]}}
        found = Axe().run(page, options=options)
        told = [
            (violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in found.response["violations"]
        ]
        assert told == []
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, "the page scrolls sideways"

    return check
