"""The pages of the features: what is there with them on, with them off, and for whom."""

import json
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from volition.access import Role
from volition.conversations import Kind
from volition.server import Server

SAME = {"sec-fetch-site": "same-origin"}
LONG = """WEBVTT

00:01.000 --> 00:04.000
Ada Byron: We decided to move the launch to Friday.

00:05.000 --> 00:09.000
Bo Berg: I will send the brochure to the printer by Thursday.

01:10.000 --> 01:15.000
Ada Byron: Who talks to the customer about the new price?
"""
CHAT = [
    {
        "type": "message",
        "user": "U1",
        "text": "hello there, the printer is  broken again ??",
        "ts": "1748854800.000100",
    },
    {"type": "message", "user": "U2", "text": "I will look at it", "ts": "1748854860.000100"},
]
USERS = [{"id": "U1", "profile": {"real_name": "Ada Byron"}}, {"id": "U2", "profile": {"real_name": "Bo Berg"}}]


@pytest.fixture
def rooms(world, tmp_path):
    """Collect one more meeting and a channel of a chat."""
    from volition.workspace import Workspace  # noqa: PLC0415 - beside its fixture

    with Workspace.open(world) as workspace:
        (tmp_path / "planning.vtt").write_text(LONG)
        workspace.collect_webvtt(tmp_path / "planning.vtt", account="acme", started=datetime(2025, 6, 3, 9, tzinfo=UTC))
        (tmp_path / "chat" / "general").mkdir(parents=True)
        (tmp_path / "chat" / "users.json").write_text(json.dumps(USERS))
        (tmp_path / "chat" / "channels.json").write_text(json.dumps([{"id": "C1", "name": "general"}]))
        (tmp_path / "chat" / "general" / "2025-06-02.json").write_text(json.dumps(CHAT))
        workspace.collect_slack(tmp_path / "chat", account="acme")
        workspace.add_person("di", account="acme", name="Di Dorn")
    return world


@pytest.fixture
def server(rooms):
    server = Server(rooms, is_demo=True)
    yield server
    server.close()


def come_in(server, person="ada"):
    """Return a client that has come in as a person of acme."""
    if person != "ada":
        server.access.add_user(person, roles=[Role.PERSON], account="acme", person=person)
    client = TestClient(server, base_url="http://centre.example", follow_redirects=False, headers=SAME)
    client.cookies.set("volition", server.access.begin_session("demo-person" if person == "ada" else person))
    return client


def say(server, *parties, yes=True, purpose=("train", "feature")):
    with server.workspaces.borrow() as workspace:
        for party in parties:
            covers = {"covers": "past"} if yes else {}
            workspace.decide(party, yes=yes, data=["service", "content"], purpose=list(purpose), **covers)


def test_a_meeting_says_what_it_came_to_and_each_quote_leads_to_its_turn(server):
    say(server, "account:acme", "person:ada", "person:bo")
    client = come_in(server)
    assert 'href="/meetings/planning"' in client.get("/meetings").text
    page = client.get("/meetings/planning").text
    assert "AI is on in this meeting." in page
    for section, place in (("decisions", 0), ("actions", 1), ("questions", 2)):
        part = page.split(f'id="{section}"')[1].split("</ul>")[0]
        assert f'href="#t-{place}"' in part, section
        assert f'id="t-{place}"' in page
    assert "1:10" in page


def test_a_meeting_is_readable_by_those_who_were_there_with_everything_off_and_by_nobody_else(server):
    client = come_in(server)
    page = client.get("/meetings/planning").text
    assert "off here" in page
    assert "An administrator of Acme Ltd can turn it on." in page
    assert "by Thursday" in page
    assert "AI is off for what you said" in page
    stranger = come_in(server, "di")
    assert "planning" not in stranger.get("/meetings").text
    assert stranger.get("/meetings/planning").status_code == 404 or "by Thursday" not in (
        stranger.get("/meetings/planning").text
    )
    say(server, "account:acme")
    assert "by Thursday" in stranger.get("/meetings/planning").text
    say(server, "person:bo", yes=False)
    assert "by Thursday" not in stranger.get("/meetings/planning").text
    assert "by Thursday" in client.get("/meetings/planning").text


def test_what_a_person_reads_again_is_of_their_own_account_alone(server, tmp_path):
    with server.workspaces.borrow() as workspace:
        (tmp_path / "brill.vtt").write_text(LONG)
        workspace.collect_webvtt(tmp_path / "brill.vtt", account="brill", started=datetime(2025, 6, 4, tzinfo=UTC))
        names = {one.name for one in workspace.conversations(Kind.MEETING, person="ada")}
        assert names == {"standup", "planning"}
        assert workspace.conversations(Kind.MEETING, person="cy") == ()


def test_the_page_the_settings_and_the_gate_say_the_same_after_each_answer(server):
    say(server, "account:acme", "person:ada", "person:bo")
    client = come_in(server)
    for answer in ("no", "yes", "no"):
        client.post("/settings/feature-summary", data={"answer": answer})
        part = client.get("/meetings/planning").text.split('id="use-feature-summary"')[1].split("</li>")[0]
        card = client.get("/settings").text.split('id="feature-summary"')[1].split("</article>")[0]
        with server.workspaces.borrow() as workspace:
            asked = {"account": "acme", "people": ["ada"], "category": "content/transcript"}
            may = workspace.may("feature/summary", **asked).verdict.permitted
        assert ("Not used" in part, "Not used" in card.split("</div>")[0], may) == (
            (True, True, False) if answer == "no" else (False, False, True)
        )


def test_opening_a_result_leads_to_its_second_and_is_kept_as_usage(server):
    say(server, "account:acme", "person:ada", "person:bo")
    client = come_in(server)
    page = client.get("/search", params={"q": "brochure printer", "meeting": "planning"}).text
    record = page.split('name="record" value="')[1].split('"')[0]
    with server.workspaces.borrow() as workspace:
        before = workspace.status()["records"].get("service/usage", 0)
    form = {"q": "brochure printer", "record": record, "to": "/meetings/planning#t-1"}
    answer = client.post("/search/opened", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/meetings/planning#t-1")
    with server.workspaces.borrow() as workspace:
        assert workspace.status()["records"]["service/usage"] == before + 1
    for to in ("//elsewhere.example", "https://elsewhere.example", "/settings"):
        assert client.post("/search/opened", data={**form, "to": to}).status_code == 400


def test_search_off_says_who_can_turn_it_on(server):
    page = come_in(server).get("/search", params={"q": "brochure"}).text
    assert "Search: off here" in page
    assert "Acme Ltd can turn it on." in page
    assert "brochure to the printer" not in page


def test_the_composer_edits_by_rule_and_says_what_needs_a_model(server):
    say(server, "account:acme", "person:ada", "person:bo")
    client = come_in(server)
    page = client.get("/chat/general").text
    assert "I will look at it" in page
    assert "the operator has configured none" in page
    edited = client.post("/chat/general", data={"text": "it is  broken ??", "do": "edit:tidy"}).text
    assert "it is broken?</textarea>" in edited
    refused = client.post("/chat", data={"text": "it is <b>", "do": "tone:formal"}).text
    assert "none is configured" in refused
    assert "it is &lt;b&gt;</textarea>" in refused
    assert client.post("/chat/completions", data={"text": "I will"}).status_code == 200


def test_the_composer_does_not_look_at_what_is_typed_by_whoever_said_no(server):
    say(server, "account:acme", "person:ada", "person:bo")
    say(server, "person:ada", yes=False, purpose=["feature/compose"])
    client = come_in(server)
    page = client.post("/chat", data={"text": "it is  broken ??", "do": "edit:tidy"}).text
    assert "Composer: off here" in page
    assert "You can turn it on yourself" in page
    assert "it is  broken ??</textarea>" in page
    assert "are off now" in client.post("/chat/completions", data={"text": "I will"}).text


def test_recommendations_tell_their_reason_or_who_can_turn_them_on(server):
    client = come_in(server)
    assert "Recommendations: off here" in client.get("/recommendations").text
    say(server, "account:acme", "person:ada", "person:bo")
    assert "Nothing to suggest yet" in client.get("/recommendations").text
