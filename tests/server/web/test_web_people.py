"""Names heard that may be somebody registered: the pages of the operator and of an administrator."""

import html
import re
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from volition.server.app import Server
from volition.server.auth import Role
from volition.workspace import Workspace

MEETING = """WEBVTT

00:01.000 --> 00:04.000
{0}: The launch moves to Friday.

00:05.000 --> 00:09.000
{1}: Then the brochure must be ready on Thursday.
"""


@pytest.fixture
def world(world):
    """Let somebody speak at each of two accounts who is registered afterwards, and somebody by a part of a name."""
    with Workspace.open(world) as workspace:
        workspace.terms.accept("brill")
        for account, names in (("acme", ("Quinn Quill", "A. Byron")), ("brill", ("Yan Young", "Cy Clark (Guest)"))):
            path = world.parent / f"{account}.vtt"
            path.write_text(MEETING.format(*names))
            workspace.consent.decide(f"account:{account}", yes=True, data=["content"], purpose=["feature"])
            workspace.records.collect_webvtt(path, account=account, started=datetime(2025, 6, 3, 9, tzinfo=UTC))
        workspace.people.add_person("quinn", account="acme", name="Quinn Quill")
        workspace.people.add_person("yan", account="brill", name="Yan Young")
    return world


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    yield server
    server.close()


@pytest.fixture
def come(server):
    """Return a function that signs somebody in, by role or by a session of their own."""

    def client(role=None, session=None):
        made = TestClient(server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
        if role is not None or session is not None:
            made.cookies.set("volition", session or server.access.sessions.begin(f"demo-{role}"))
        return made

    return client


def pairs(page):
    """Return whom each card is about, as (heard, registered) ids."""
    text = html.unescape(page.text)
    found = re.findall(r'name="heard" value="([^"]*)"><input type="hidden" name="person" value="([^"]*)"', text)
    assert len(found) == text.count("<article")
    return found


def test_the_operator_sees_each_pair_with_why_and_an_administrator_only_those_of_the_account(come):
    console, account = come(Role.OPERATOR).get("/console/people"), come(Role.ADMINISTRATOR).get("/account/people")
    assert sorted(person for _, person in pairs(console)) == ["ada", "cy", "quinn", "yan"]
    assert sorted(person for _, person in pairs(account)) == ["ada", "quinn"]
    assert "Only a part of the name" in account.text
    assert re.findall(r"Heard at Acme Ltd, in (\d) records?\.", account.text) == ["1", "1"]
    assert "Brill" not in account.text


@pytest.mark.parametrize(
    ("role", "path"), [(Role.OPERATOR, "/console/people"), (Role.ADMINISTRATOR, "/account/people")]
)
def test_the_same_person_is_merged_and_somebody_else_is_offered_no_more(come, server, role, path):
    client = come(role)
    heard = {person: one for one, person in pairs(client.get(path))}
    same = client.post(path, data={"heard": heard["quinn"], "person": "quinn", "answer": "same"})
    assert "Quinn Quill and Quinn Quill are one person from now on." in same.text
    other = client.post(path, data={"heard": heard["ada"], "person": "ada", "answer": "other"})
    assert "somebody else than Ada Byron" in html.unescape(other.text)
    assert not {"quinn", "ada"} & {person for _, person in pairs(client.get(path))}
    with server.workspaces.borrow() as workspace:
        assert workspace.parties.person("quinn").ids == ("quinn", heard["quinn"])
        acts = [entry.body for entry in workspace.entries() if entry.kind == "identity"]
    assert [body["act"] for body in acts] == ["merge", "apart"]
    assert {body["by"] for body in acts} == {"operator" if role is Role.OPERATOR else "account:acme"}


def test_a_pair_of_another_account_is_not_there_for_an_administrator(come, server):
    heard = {person: one for one, person in pairs(come(Role.OPERATOR).get("/console/people"))}
    client = come(Role.ADMINISTRATOR)
    answers = [
        client.post("/account/people", data={"heard": one, "person": person, "answer": "same"})
        for one, person in [(heard["yan"], "yan"), ("brill:guest:none", "nobody"), (heard["quinn"], "ada"), ("", "")]
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert len({re.sub(r"\s+", " ", answer.text) for answer in answers}) == 1
    with server.workspaces.borrow() as workspace:
        assert not any(entry.kind == "identity" for entry in workspace.entries())


def test_nobody_else_sees_or_answers(come, server):
    with server.workspaces.borrow() as workspace:
        guest = next(one.id for one in workspace.parties.people("acme") if one.is_heard)
    link = server.access.links.make_guest_link(person=guest, account="acme")
    session = server.access.sessions.begin(server.access.links.find_guest(link).user)
    for client in (come(Role.PERSON), come(Role.AUDITOR), come(Role.ENGINEER), come(session=session)):
        for path in ("/console/people", "/account/people"):
            assert client.get(path).status_code == 403
            assert client.post(path, data={"heard": guest, "person": "quinn", "answer": "same"}).status_code == 403
    stranger = come()
    stranger.follow_redirects = False
    assert stranger.get("/account/people").headers["location"].startswith("/sign-in")
    cross = come(Role.OPERATOR).post("/console/people", headers={"sec-fetch-site": "cross-site"}, data={})
    assert cross.status_code == 403
    assert come(Role.ADMINISTRATOR).get("/console/people").status_code == 403


def test_a_guests_link_of_whoever_turns_out_to_be_a_user_leads_nowhere(come, server):
    client = come(Role.OPERATOR)
    heard = {person: one for one, person in pairs(client.get("/console/people"))}
    link = server.access.links.make_guest_link(person=heard["quinn"], account="acme")
    session = server.access.sessions.begin(server.access.links.find_guest(link).user)
    assert come(session=session).get("/guest").status_code == 200
    client.post("/console/people", data={"heard": heard["quinn"], "person": "quinn", "answer": "same"})
    assert "/sign-in" in str(come(session=session).get("/guest").url)
    assert come().get(f"/guest/{link}").status_code == 403


def test_the_ledger_says_what_was_done_and_names_nobody(come, server):
    client = come(Role.OPERATOR)
    heard = {person: one for one, person in pairs(client.get("/console/people"))}
    client.post("/console/people", data={"heard": heard["quinn"], "person": "quinn", "answer": "same"})
    text = come(Role.AUDITOR).get("/console/ledger").text
    assert "Two identities turned out to be one person" in text
    with server.workspaces.borrow() as workspace:
        [seq] = [entry.seq for entry in workspace.entries() if entry.kind == "identity"]
        pseudonym = workspace.parties.person("quinn").pseudonym
    entry = come(Role.AUDITOR).get(f"/console/ledger/{seq}").text
    assert pseudonym not in entry
    assert "Quinn" not in entry


def test_what_we_hold_says_how_many_names_may_be_the_visitor_and_no_name(come, server):
    with server.workspaces.borrow() as workspace:
        workspace.people.alias("ada", aliases=["Quinn Quill"])
        assert len(workspace.people.namesakes("ada")) == 1
    client = come(Role.PERSON)
    assert "1 name that was heard in meetings may be you" in client.get("/holdings").text
    assert "Quill" not in client.get("/holdings").text
    assert "not erased with yours" in client.get("/requests/erase").text


# --- one person at two organisations ---


@pytest.fixture
def both(server):
    """Register the person of the demo at a second account, under the same address."""
    with server.workspaces.borrow() as workspace:
        workspace.people.alias("ada", emails=["ada@home.example"])
        workspace.people.add_person("ada-2", account="brill", name="Ada Byron", emails=["Ada@home.example"])
    return server


def noes(server, person):
    with server.workspaces.borrow() as workspace:
        known = workspace.history().party(workspace.party(f"person:{person}"))
        return [
            sorted({category.partition("/")[0] for category in one.categories})
            for one in known.decisions
            if not one.yes
        ]


def test_where_nothing_is_shown_a_no_holds_here_alone_and_the_page_says_so_of_nobody_else(come, both):
    client = come(Role.PERSON)
    assert "Your answers hold at Acme Ltd." in client.get("/settings").text
    assert "Brill" not in client.get("/settings").text
    client.post("/settings/train-search", data={"answer": "no"})
    assert noes(both, "ada-2") == []


def test_where_the_same_address_is_shown_at_both_a_no_about_content_holds_at_both(come, both):
    with both.workspaces.borrow() as workspace:
        workspace.consent.decide("person:ada-2", yes=False, data=["content", "service"], purpose=["train/summary"])
        for person in ("ada", "ada-2"):
            workspace.people.verify_address(person, "ada@home.example")
    assert noes(both, "ada") == [["content"]], "what was refused there before counts here"
    client = come(Role.PERSON)
    assert "at Acme Ltd and at Brill AG" in client.get("/settings").text
    client.post("/settings/train-search", data={"answer": "no"})
    client.post("/settings/train-compose", data={"answer": "yes"})
    assert noes(both, "ada-2") == [["content", "service"], ["content"]]


def test_an_address_that_is_not_theirs_is_not_noted(both):
    with both.workspaces.borrow() as workspace:
        for person in ("bo", "ada-2"):
            workspace.people.verify_address(person, "ada@home.example")
        assert workspace.people.verified_at("ada-2") == workspace.people.verified_at("bo") == []


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("path", ["/console/people", "/account/people"])
@pytest.mark.usefixtures("served")
def test_the_page_is_for_everybody_and_works_without_javascript(new_page, sign_in, check_access, path):
    role = Role.OPERATOR if path.startswith("/console") else Role.ADMINISTRATOR
    for width in ({"width": 1280, "height": 900}, {"width": 390, "height": 844}):
        page = sign_in(new_page(viewport=width), role)
        page.goto(path)
        check_access(page)
    still = sign_in(new_page(script=False), role)
    still.goto(path)
    still.get_by_role("button", name="Quinn Quill and Quinn Quill are the same person").click()
    assert "are one person from now on" in still.content()
