"""Guests' links on pages and on the command line: listed, used, ended by the guest, revoked by the operator."""

import json
import re
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from volition.canonical import us_to_text
from volition.cli import main
from volition.server.app import Server
from volition.server.auth import Role

SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    with server.workspaces.borrow() as workspace:
        server.guest = workspace.parties.guest("acme", "Zoe Guest").id
    yield server
    server.close()


def browser(server, role=None):
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    if role is not None:
        client.cookies.set("volition", server.access.sessions.begin(f"demo-{role}"))
    return client


def link_of(server):
    return f"/guest/{server.access.links.make_guest_link(person=server.guest, account='acme')}"


def test_a_guest_sees_until_when_the_link_works_and_ends_it(server):
    link, client = link_of(server), browser(server)
    [made] = server.access.links.guest_links()
    assert "This link works until" in client.get(link).text
    assert server.access.users.find(f"guest:acme:{server.guest}") is None, "nothing happens before the click"
    page = client.post(link).text
    assert "Your link works until" in page
    assert made.id not in page, "what the operator calls it says nothing to the guest"

    ended = client.post("/guest/ending", follow_redirects=False)

    assert ended.headers["location"] == "/sign-in"
    assert "/sign-in" in str(client.get("/guest").url)
    for again in (client.get(link), client.post(link)):
        assert again.status_code == 403
        assert "This link was revoked." in again.text


def test_the_operator_revokes_a_link_and_the_open_session_ends_at_once(server):
    guest, operator = browser(server), browser(server, Role.OPERATOR)
    assert "There is no link yet" in operator.get("/console/guests").text
    guest.post(link_of(server))
    assert guest.get("/holdings").status_code == 200
    page = operator.get("/console/guests").text
    assert "Zoe Guest" in page
    assert "Works" in page
    where = re.search(r'action="(/console/guests/[0-9a-f]+/revoking)"', page)[1]

    assert "lets nobody in any more" in operator.post(where).text

    assert "/sign-in" in str(guest.get("/holdings").url)
    assert "revoking" not in operator.get("/console/guests").text
    assert operator.post("/console/guests/none/revoking").status_code == 400


def test_a_session_that_did_not_come_by_a_link_ends_none(server):
    client = browser(server, Role.GUEST)
    assert "Your link works until" not in client.get("/guest").text
    assert client.post("/guest/ending").status_code == 400


@pytest.mark.slow
def test_a_guest_weighs_nothing_and_no_page_leads_there(server):
    client = browser(server)
    client.post(link_of(server))
    for path in ("/guest", "/settings", "/holdings", "/receipts", "/requests", "/terms"):
        page = client.get(path)
        assert page.status_code == 200
        assert [to for to in re.findall(r'href="(/[^"#?]*)', page.text) if client.get(to).status_code == 403] == [], (
            path
        )
    assert "Weigh before you choose" in browser(server, Role.PERSON).get("/settings").text


@pytest.mark.slow
def test_on_the_command_line_links_are_made_listed_and_revoked(server, world, capsys):
    def told(*words, code=0):
        assert main([*words, "--json", "--workspace", str(world)]) == code
        said = capsys.readouterr()
        return said.err if code else json.loads(said.out)

    path = told("user", "link", server.guest, "--account", "acme", "--days", "2")["path"]
    assert "days" in told("user", "link", server.guest, "--account", "acme", "--days", "31", code=2)
    [link] = told("user", "links", "--account", "acme")["links"]
    assert (link["person"], link["works"], link["used"]) == (server.guest, True, None)
    guest = browser(server)
    guest.post(path)
    assert guest.get("/guest").status_code == 200
    assert not told("user", "unlink", link["id"])["links"][0]["works"]
    assert "/sign-in" in str(guest.get("/guest").url)

    guest.post(told("user", "link", server.guest, "--account", "acme")["path"])
    assert len(told("user", "unlink", "--person", server.guest, "--account", "acme")["links"]) == 2
    assert "/sign-in" in str(guest.get("/guest").url)
    assert told("user", "links", "--account", "brill")["links"] == []

    path = told("user", "link", server.guest, "--account", "acme")["path"]
    guest.post(path)
    told("user", "remove", f"guest:acme:{server.guest}")
    assert guest.post(path).status_code == 403
    assert "Name either" in told("user", "unlink", code=2)
    assert "comes in by a link" in told("user", "add", "x", "--role", "guest", code=2)


def test_a_guest_refuses_everything_with_one_click_without_a_script_and_undoes_it(server, tmp_path):
    party = f"person:{server.guest}"

    def answers():
        with server.workspaces.borrow() as workspace:
            found = workspace.consent.choices(party, account="acme").choices
        return {choice.switch.name: choice.answer for choice in found if choice.has_say}

    meeting = tmp_path / "call.vtt"
    meeting.write_text("WEBVTT\n\n00:01.000 --> 00:04.000\nZoe Guest: I join from outside.\n")
    with server.workspaces.borrow() as workspace:
        workspace.records.collect_webvtt(meeting, account="acme", started=datetime(2025, 6, 2, 9, tzinfo=UTC))
        workspace.consent.choose(party, "train-search", account="acme", yes=True)
    before = answers()
    client = browser(server)
    page = client.post(link_of(server)).text
    [action] = re.findall(r'id="everything" method="post" action="([^"]+)"', page)
    told = re.search(r"One click says no to [^<]+", page)[0]

    page = client.post(action, data={"answer": "no"}).text

    assert set(answers().values()) == {"no"}
    cards = len(re.findall(r'<form class="answers"', page))
    assert told.startswith(
        f"One click says no to the {cards} switches on this page and to {len(before) - cards} on other"
    )
    assert "Everything: your no counts from now on." in page
    [(undo, seq)] = re.findall(r'action="([^"]+)"[^>]*>\s*<input type="hidden" name="undo" value="(\d+)">', page)
    assert undo == action
    assert "Everything is as it was before." in client.post(undo, data={"undo": seq}).text
    assert answers()["train-search"] == before["train-search"] == "yes"


def test_a_guest_is_told_on_the_page_that_a_yes_ends_soon(server):
    with server.workspaces.borrow() as workspace:
        until = us_to_text(workspace.now_us + 10 * 86_400_000_000)
        workspace.consent.choose(f"person:{server.guest}", "train-search", account="acme", yes=True, until=until)
    assert "Your yes to Train search ends on" in browser(server).post(link_of(server)).text


def test_the_link_of_a_guest_who_was_recognised_as_somebody_registered_opens_nothing_of_theirs(server):
    client = browser(server)
    client.post(link_of(server))
    assert client.get("/holdings").status_code == 200
    with server.workspaces.borrow() as workspace:
        workspace.people.merge(server.guest, into="ada")
    for path in ("/guest", "/holdings", "/holdings/export", "/receipts", "/requests", "/settings"):
        page = client.get(path)
        assert page.status_code == 403, path
        assert "Sign in as that person." in page.text
    assert client.post("/requests/erase", data={"confirm": "yes"}).status_code == 403
    again = browser(server)
    again.post(link_of(server))
    assert again.get("/holdings").status_code == 403
    with server.workspaces.borrow() as workspace:
        assert workspace.parties.person("ada").id == "ada"
