"""New terms reach people on the first page that they open; shown is what was sent to them, and nothing else."""

import contextlib
import socket
import time

import pytest
from starlette.testclient import TestClient

from volition.cli import main
from volition.consent.terms.terms_file import load_profile, read_terms
from volition.server.app import Server
from volition.server.auth import Role
from volition.workspace import Workspace
from volition.workspace.pool import AT_ONCE, Lane

SAME = {"sec-fetch-site": "same-origin"}
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LOOSER = b"""
id = "looser"
title = "Looser terms"
effective = 2024-01-01T00:00:00Z
acceptance = "continued-use"
text = "looser.md"
notice_days = 30

[[rule]]
data = "service"
purpose = ["train", "advertising"]
basis = "contract"
refusable_by = ["account", "person"]

[[rule]]
data = "content"
purpose = "train/summary"
region = ["US"]
basis = "consent"
asks = ["account", "everyone"]
"""


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    server.folder = world
    yield server
    server.close()


def looser(folder, terms=LOOSER):
    (folder / "looser.toml").write_bytes(terms)
    (folder / "looser.md").write_text("# Looser\n\nWe may do more.\n")
    return read_terms(folder / "looser.toml")


def publish(server, terms=LOOSER):
    with server.workspaces.borrow() as workspace:
        workspace.terms.publish(looser(workspace.folder.parent, terms))


def visitor(server, user):
    client = TestClient(server, base_url="http://centre.example", follow_redirects=False)
    client.cookies.set("volition", server.access.sessions.begin(user))
    return client


def told(capsys, folder, *more):
    assert main(["terms", "deliveries", "--workspace", str(folder), *more]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_the_first_page_shows_new_terms_and_only_then_are_they_shown(server, capsys):
    assert "Looser terms" not in visitor(server, "demo-person").get("/settings").text
    publish(server)
    assert "Not shown to anyone yet" in told(capsys, server.folder)
    client = visitor(server, "demo-person")
    assert client.head("/holdings").status_code == 200
    assert client.get("/holdings", headers={"sec-purpose": "prefetch"}).status_code == 200
    assert client.get("/receipts/nothing").status_code == 400
    assert server.shown.counts() == {}

    page = client.get("/holdings").text

    assert "New terms for Acme Ltd take effect on" in page
    assert "all service data for advertising" in page
    assert 'href="/terms/looser"' in page
    assert 'href="/settings"' in page
    [(key, (people, administrators, first_us, last_us))] = server.shown.counts().items()
    assert (key, people, administrators) == (("acme", "looser"), 1, 0)
    assert 0 <= time.time() * 1e6 - first_us < 60e6
    assert last_us == first_us
    assert "Shown to 1 of 3 people." in told(capsys, server.folder, "--account", "acme")


def test_a_notice_stays_until_it_is_put_away_without_script(server):
    publish(server)
    client = visitor(server, "demo-person")
    assert "Looser terms" in client.get("/requests").text
    assert "Looser terms" in client.get("/settings").text

    answer = client.post("/notices", headers=SAME, data={"terms:looser": "1", "back": "/requests"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/requests")
    assert "Looser terms" not in client.get("/settings").text
    assert "Looser terms" in client.get("/terms").text  # where they stay to be read
    assert "New terms for" not in client.get("/terms").text
    away = client.post("/notices", headers=SAME, data={"terms:looser": "1", "back": "//elsewhere.example"})
    assert away.headers["location"] == "/"


def test_what_was_never_shown_cannot_be_put_away(server):
    publish(server)
    client = visitor(server, "demo-person")
    client.post("/notices", headers=SAME, data={"terms:looser": "1"})
    assert "New terms for" in client.get("/settings").text


def test_an_administrator_sees_what_can_be_done_before(server):
    publish(server)
    client = visitor(server, "demo-administrator")
    page = client.get("/account").text
    assert "New terms for Acme Ltd take effect on" in page
    assert "Accept, or say no for the account" in page
    terms = client.get("/account/terms").text
    assert "Not shown to anyone yet, of 3 people; shown to 1 administrator." in terms
    assert "No mail is sent" in terms
    console = visitor(server, "demo-operator").get("/console/terms").text
    assert "shown to 1 administrator" in console
    assert "volition.toml has no [mail]" in console


def test_a_guest_is_told_of_the_terms_of_the_account_whose_guest_they_are_and_of_no_others(server):
    with server.workspaces.borrow() as workspace:
        workspace.terms.accept("brill")
        guests = {account: workspace.parties.guest(account, "Zoe Guest").id for account in ("acme", "brill")}
        workspace.terms.publish(looser(workspace.folder.parent))
    pages = {}
    for account, guest in guests.items():
        user = server.access.links.find_guest(server.access.links.make_guest_link(person=guest, account=account)).user
        pages[account] = visitor(server, user).get("/guest").text
    assert "New terms for Acme Ltd" in pages["acme"]
    assert "Brill" not in pages["acme"].partition("New terms")[2].partition("</section>")[0]
    assert "New terms for Brill AG" in pages["brill"]
    assert "administrator" not in pages["acme"].partition("New terms")[2].partition("</section>")[0]
    assert set(server.shown.counts()) == {("acme", "looser"), ("brill", "looser")}


def test_whoever_belongs_to_no_account_that_is_concerned_is_told_nothing(server):
    publish(server)
    server.access.users.add("cy", roles=[Role.PERSON], account="brill", person="cy")  # brill accepted nothing
    assert "New terms for" not in visitor(server, "cy").get("/terms").text
    for role in ("engineer", "auditor"):
        assert "New terms for" not in visitor(server, f"demo-{role}").get("/console").text
    stranger = TestClient(server, base_url="http://centre.example")
    assert "Looser" not in stranger.get("/sign-in").text
    assert server.shown.counts() == {}


def test_terms_that_take_a_yes_of_the_account_say_so(server):
    publish(server, LOOSER.replace(b"continued-use", b"explicit"))
    page = visitor(server, "demo-person").get("/settings").text
    assert "Acme Ltd is asked to accept new terms: Looser terms." in page
    assert "They change nothing unless Acme Ltd accepts them." in page
    with server.workspaces.borrow() as workspace:
        workspace.terms.accept("acme")
    assert "New terms for Acme Ltd are in force since" in visitor(server, "demo-person").get("/settings").text


def test_terms_that_allow_less_say_that_nothing_is_newly_allowed(world, tmp_path):
    with Workspace.create(tmp_path / "ws", origin="log.example/x", profile="2023-08-07") as workspace:
        workspace.people.add_account("acme", "Acme Ltd")
        workspace.people.add_person("ada", account="acme", name="Ada Byron")
        workspace.terms.accept("acme")
        workspace.terms.publish(load_profile("2023-08-11"))
    server = Server(tmp_path / "ws", is_demo=True)
    server.access.users.add("ada", roles=[Role.PERSON], account="acme", person="ada")
    assert "Nothing is newly allowed, and nobody&#39;s yes is newly asked." in visitor(server, "ada").get("/terms").text
    server.close()


def test_what_was_shown_is_erased_with_the_person(server, capsys):
    publish(server)
    client = visitor(server, "demo-person")
    assert "New terms for" in client.get("/settings").text
    assert main(["erase", "--party", "person:ada", "--workspace", str(server.folder)]) == 0
    capsys.readouterr()
    assert server.shown.counts() == {}


@pytest.mark.slow
def test_a_page_that_nobody_received_was_not_shown(served):
    publish(served)
    secret = served.access.sessions.begin("demo-person")
    port = int(served.url.rpartition(":")[2])
    request = f"GET /settings HTTP/1.1\r\nHost: x\r\nCookie: volition={secret}\r\n\r\n".encode()
    with contextlib.ExitStack() as busy:
        for _ in range(AT_ONCE[Lane.PAGES]):  # the page waits for a workspace meanwhile
            busy.enter_context(served.workspaces.borrow(Lane.PAGES))
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request)
            time.sleep(0.5)
        time.sleep(0.5)
    time.sleep(2)
    found = served.access.database.rows("SELECT count(*) FROM shown_notices")
    assert found == [(0,)]

    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(request)
        assert client.recv(12) == b"HTTP/1.1 200"
        time.sleep(2)
    assert served.access.database.rows("SELECT count(*) FROM shown_notices") == [(1,)]


def test_publishing_says_that_nobody_was_told_yet(world, tmp_path, capsys):
    looser(tmp_path)
    assert main(["terms", "publish", str(tmp_path / "looser.toml"), "--workspace", str(world)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "A notice to 1 account is in the ledger, and was delivered to nobody yet." in said
    assert "no mail is sent" in said


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_notice_for_every_hand_and_eye(served, new_page, sign_in, check_access, tmp_path):
    publish(served)
    for role, path in (
        (Role.PERSON, "/settings"),
        (Role.ADMINISTRATOR, "/account/terms"),
        (Role.ADMINISTRATOR, "/account"),
        (Role.OPERATOR, "/console/terms"),
    ):
        page = sign_in(new_page(), role)
        page.goto(path)
        check_access(page)
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        page.set_viewport_size(PHONE)
        check_access(page, looks_alone=True)
    still = sign_in(new_page(script=False))
    still.goto("/holdings")
    still.get_by_role("button", name="Put this notice away").click()
    assert still.url.endswith("/holdings")
    assert still.locator(".announced").count() == 0
