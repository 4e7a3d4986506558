"""The pages of the features: what is there with them on, with them off, and for whom."""

import dataclasses
import html
import json
import re
import zipfile
from datetime import UTC, datetime
from functools import partial

import pytest
from starlette.testclient import TestClient

from volition.consent.terms.terms_file import load_profile
from volition.features.conversations import ConversationKind
from volition.learning.families.recommend.recommender import Suggestion
from volition.server.app import Server
from volition.server.auth import Role
from volition.workspace import Workspace
from volition.workspace.features import Features

SAME = {"sec-fetch-site": "same-origin"}
LONG = """WEBVTT

00:01.000 --> 00:04.000
Ada Byron: We decided to move the launch to Friday.

00:05.000 --> 00:09.000
Bo Berg: I will send the brochure to the printer by Thursday.

01:10.000 --> 01:15.000
Ada Byron: Principal talks to the customer about the new price?
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
USERS = [
    {"id": "U1", "name": "ada", "real_name": "Ada Byron", "profile": {"real_name": "Ada Byron"}},
    {"id": "U2", "name": "bo", "real_name": "Bo Berg", "profile": {"real_name": "Bo Berg"}},
]


@pytest.fixture
def rooms(world, tmp_path):
    """Collect one more meeting and a channel of a chat."""
    with Workspace.open(world) as workspace:
        (tmp_path / "planning.vtt").write_text(LONG)
        workspace.records.collect_webvtt(
            tmp_path / "planning.vtt", account="acme", started=datetime(2025, 6, 3, 9, tzinfo=UTC)
        )
        with zipfile.ZipFile(tmp_path / "chat.zip", "w") as export:
            channels = [{"id": "C1", "name": "general", "members": ["U1", "U2"]}]
            for name, told in (("users", USERS), ("channels", channels), ("general/2025-06-02", CHAT)):
                export.writestr(f"{name}.json", json.dumps(told))
        workspace.records.collect_slack(tmp_path / "chat.zip", account="acme")
        workspace.people.add_person("di", account="acme", name="Di Dorn")
    return world


@pytest.fixture
def server(rooms):
    server = Server(rooms, is_demo=True)
    yield server
    server.close()


def come_in(server, person="ada"):
    """Return a client that has come in as a person of acme."""
    user = "demo-person" if person == "ada" else person.replace(":", "-").lower()
    if server.access.users.find(user) is None:
        server.access.users.add(user, roles=[Role.PERSON], account="acme", person=person)
    client = TestClient(server, base_url="http://centre.example", follow_redirects=False, headers=SAME)
    client.cookies.set("volition", server.access.sessions.begin(user))
    return client


def say(server, *parties, yes=True, purpose=("train", "feature")):
    with server.workspaces.borrow() as workspace:
        for party in parties:
            covers = {"covers": "past"} if yes else {}
            workspace.consent.decide(party, yes=yes, data=["service", "content"], purpose=list(purpose), **covers)


@pytest.mark.slow
def test_a_meeting_says_what_it_came_to_and_each_quote_leads_to_its_turn(server):
    say(server, "account:acme", "person:ada", "person:bo")
    client = come_in(server)
    assert 'href="/meetings/planning"' in client.get("/meetings").text
    page = client.get("/meetings/planning").text
    assert "AI is on for what you say in meetings." in page
    for section, place in (("moments", 1), ("decisions", 0), ("actions", 1)):
        part = page.split(f'id="{section}"')[1].split("</ul>")[0]
        assert f'href="#t-{place}"' in part, section
        assert f'id="t-{place}"' in page
    assert "1:10" in page


@pytest.mark.slow
def test_the_day_of_a_task_is_as_in_the_time_zone_of_whoever_reads_and_the_page_says_which(server, tmp_path):
    say(server, "account:acme", "person:ada", "person:bo")
    with server.workspaces.borrow() as workspace:
        started = datetime(2025, 6, 4, 11, tzinfo=UTC)  # a Wednesday
        workspace.records.collect_webvtt(tmp_path / "planning.vtt", account="acme", started=started, meeting="late")
    client = come_in(server)
    shown = {}
    for zone in ("", "Pacific/Kiritimati", "nowhere/at_all"):
        client.cookies.set("zone", zone)
        page = client.get("/meetings/late").text
        shown[zone] = (
            re.search(r"by Thursday \((\d{4}-\d\d-\d\d)\)", page)[1],
            re.search(r"calendar in (\S+),", page)[1],
        )

    assert shown[""] == ("2025-06-05", "UTC")
    assert shown["Pacific/Kiritimati"] == ("2025-06-12", "Pacific/Kiritimati"), "there it was Thursday already"
    assert shown["nowhere/at_all"] == shown[""]
    asked = client.get("/meetings/late?zone=Pacific/Kiritimati").text
    assert "by Thursday (2025-06-12)" in asked, "without a script, too"
    refused = client.get("/meetings/late?zone=nowhere")
    assert (refused.status_code, "There is no time zone" in refused.text) == (400, True)


@pytest.mark.slow
def test_a_meeting_is_readable_by_those_who_were_there_with_everything_off_and_by_nobody_else(server):
    client = come_in(server)
    page = client.get("/meetings/planning").text
    assert "off here" in page
    assert "An administrator of Acme Ltd can turn it on." in page
    assert "by Thursday" in page
    assert "AI is off for what you say" in page
    stranger = come_in(server, "di")
    assert "planning" not in stranger.get("/meetings").text
    assert stranger.get("/meetings/planning").status_code == 400
    say(server, "account:acme")
    assert stranger.get("/meetings/planning").status_code == 400
    with server.workspaces.borrow() as workspace:
        workspace.audiences.share("planning", kind=ConversationKind.MEETING, account="acme", with_account=True)
    assert "by Thursday" in stranger.get("/meetings/planning").text
    say(server, "person:bo", yes=False)
    assert "by Thursday" not in stranger.get("/meetings/planning").text
    assert "by Thursday" in client.get("/meetings/planning").text


def test_what_a_person_reads_again_is_of_their_own_account_alone(server, tmp_path):
    with server.workspaces.borrow() as workspace:
        (tmp_path / "brill.vtt").write_text(LONG)
        workspace.records.collect_webvtt(
            tmp_path / "brill.vtt", account="brill", started=datetime(2025, 6, 4, tzinfo=UTC)
        )
        names = {one.name for one in workspace.features.conversations(ConversationKind.MEETING, person="ada")}
        assert names == {"standup", "planning"}
        assert workspace.features.conversations(ConversationKind.MEETING, person="cy") == ()


@pytest.mark.slow
def test_the_page_the_settings_and_the_gate_say_the_same_after_each_answer(server):
    say(server, "account:acme", "person:ada", "person:bo")
    client = come_in(server)
    for answer in ("no", "yes", "no"):
        client.post("/settings/feature-summary", data={"answer": answer})
        part = client.get("/meetings/planning").text.split('id="use-feature-summary"')[1].split("</li>")[0]
        card = client.get("/settings").text.split('id="feature-summary"')[1].split("</article>")[0]
        with server.workspaces.borrow() as workspace:
            asked = {"account": "acme", "people": ["ada"], "category": "content/transcript"}
            may = workspace.gate.may("feature/summary", **asked).verdict.permitted
        assert ("Not used" in part, "Not used" in card.split("</div>")[0], may) == (
            (True, True, False) if answer == "no" else (False, False, True)
        )


@pytest.mark.slow
def test_opening_a_result_leads_to_its_second_and_is_kept_as_usage(server):
    say(server, "account:acme", "person:ada", "person:bo")
    with server.workspaces.borrow() as workspace:
        workspace.features.index()
    client = come_in(server)
    page = client.get("/search", params={"q": "brochure printer", "meeting": "planning"}).text
    record = page.split('name="record" value="')[1].split('"')[0]
    with server.workspaces.borrow() as workspace:
        workspace.records.drain()
        before = workspace.status()["records"].get("service/usage", 0)
    form = {"q": "brochure printer", "record": record, "to": "/meetings/planning#t-1"}
    answer = client.post("/search/opened", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/meetings/planning#t-1")
    with server.workspaces.borrow() as workspace:
        assert workspace.status()["records"]["service/usage"] == before + 1
    for to in ("//elsewhere.example", "https://elsewhere.example", "/settings"):
        assert client.post("/search/opened", data={**form, "to": to}).status_code == 400


def noted(server):
    """Return what the pages noted of use, as the gate lets summaries see it: event and attributes, in order."""
    with server.workspaces.borrow() as workspace:
        workspace.records.drain()
        batches = list(workspace.records.rows("feature/summary", categories=["service/usage"]))
    payloads = [json.loads(payload) for batch in batches for payload in batch["payload"].to_pylist()]
    return sorted((one["name"], one["attributes"]) for one in payloads)


@pytest.mark.slow
def test_what_is_used_on_pages_is_usage_that_says_how_much_and_never_what(server):
    say(server, "account:acme", "person:ada", "person:bo")
    with server.workspaces.borrow() as workspace:
        workspace.features.index()
    come_in(server).get("/search", params={"q": "brochure printer"})
    come_in(server).get("/meetings/planning")
    [(search, hits), (summary, read)] = noted(server)
    assert (search, summary) == ("search.asked", "summary.read")
    assert list(hits) == ["search.hits"]
    assert min(read["summary.spoken_words"], read["summary.shown_words"]) > 0
    assert not any("brochure" in str(one) for one in (hits, read))
    say(server, "person:ada", yes=False, purpose=["feature"])
    assert noted(server) == []  # what saved somebody time is measured on those who let it be
    with server.workspaces.borrow() as workspace:
        [weighing] = workspace.weigh.party("account:acme", purpose=["feature/summary"]).purposes
    assert [one.value for one in weighing.saved] == [None, None]  # of fewer than five people


@pytest.mark.slow
def test_a_search_marks_names_narrows_and_is_silent_with_what_can_be_tried(server):
    say(server, "account:acme", "person:ada", "person:bo")
    with server.workspaces.borrow() as workspace:
        workspace.features.index()
    client = come_in(server)

    page = client.get("/search", params={"q": "brochure"}).text
    assert "<mark>brochure</mark>" in page
    assert "What you can try" not in page

    page = html.unescape(client.get("/search", params={"q": "xyzzyx"}).text)
    assert "Nothing that you may see says anything about \u201cxyzzyx\u201d." in page
    assert "What you can try" in page
    assert "<blockquote>" not in page

    page = client.get("/search", params={"q": "planning"}).text
    assert 'href="/meetings/planning"' in page.split('id="named"')[1].split("</ul>")[0]

    page = client.get("/search", params={"q": "printer brochure", "channel": "general"}).text
    assert "In the channel general." in page
    assert "Chat: general" in page
    assert "Meeting: planning" not in page
    assert 'href="/search?q=printer+brochure"' in page
    page = client.get("/search", params={"q": "brochure", "speaker": "bo", "since": "2025-06-03"}).text
    assert "Said by bo, from 2025-06-03." in page
    assert "Bo Berg, 0:05" in page
    assert "<blockquote>" not in client.get("/search", params={"q": "brochure", "until": "2025-05-31"}).text
    assert client.get("/search", params={"q": "brochure", "since": "soon"}).status_code == 400

    stranger = come_in(server, "di")  # who was in neither
    page = stranger.get("/search", params={"q": "planning brochure"}).text
    assert "By name" not in page
    assert "<blockquote>" not in page


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
    assert "the operator has not set one up" in page
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


ADA, BO = "acme:U1", "acme:U2"  # as the chat names them


def box_of(client, channel="general"):
    """Return what names the form of a conversation as it is open now."""
    return re.search(r'name="once" value="([0-9a-f]{32})"', client.get(f"/chat/{channel}").text)[1]


def chat_records(server):
    with server.workspaces.borrow() as workspace:
        return workspace.status()["records"]["content/chat"]


def test_what_is_suggested_meanwhile_takes_no_notice_away(server):
    client = come_in(server, ADA)
    client.post("/chat/general", data={"once": box_of(client), "text": "good morning", "do": "send"})
    assert client.post("/chat/completions", data={"text": "good"}).status_code == 200
    assert "Sent. It is kept as chat of Acme Ltd" in client.get("/chat/general").text


def test_a_message_is_sent_once_however_often_its_form_is_and_concerns_whom_it_names(server):
    client, before = come_in(server, ADA), chat_records(server)
    form = {"once": box_of(client), "text": "the <printer> works again, @nobody @Di Dorn.", "do": "send"}
    for told in ("Sent. It is kept as chat of Acme Ltd", "This message was already sent"):
        answer = client.post("/chat/general", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/chat/general#compose")
        page = client.get("/chat/general").text
        assert told in page
        assert page.count("the &lt;printer&gt; works again") == 1
        assert chat_records(server) == before + 1
    client.post("/chat/general", data={**form, "text": "and so does the copier"})  # the form of before, by going back
    assert chat_records(server) == before + 2
    named, other = come_in(server, "di"), come_in(server, BO)
    assert "the &lt;printer&gt; works again" in named.get("/chat/general").text
    assert "copier" not in named.get("/chat/general").text
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["feature"], covers="past")
    assert "printer&gt; works again" in other.get("/chat/general").text
    assert "so does the copier" in other.get("/chat/general").text
    # What the export calls Ada Byron may be the registered Ada, who was not asked; and one message names Di.
    for party, learned in ((f"person:{ADA}", 1), ("person:di", 2)):
        say(server, "account:acme", party)
        with server.workspaces.borrow() as workspace:
            [counts] = workspace.snapshots.create("train/compose").manifest["rows"].values()
        assert counts["kept"] == learned


@pytest.mark.slow
def test_a_message_of_a_private_conversation_concerns_everybody_in_it(server, tmp_path):
    with zipfile.ZipFile(tmp_path / "private.zip", "w") as export:
        group = [{"id": "D1", "members": ["U1", "U2"]}]
        told = [{"type": "message", "user": "U2", "text": "just us two", "ts": "1748854900.000100"}]
        for name, held in (("users", USERS), ("dms", group), ("D1/2025-06-02", told)):
            export.writestr(f"{name}.json", json.dumps(held))
    with server.workspaces.borrow() as workspace:
        workspace.records.collect_slack(tmp_path / "private.zip", account="acme")
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["feature"], covers="past")
    client = come_in(server, ADA)
    client.post("/chat/D1", data={"once": box_of(client, "D1"), "text": "a secret of ours", "do": "send"})
    assert "a secret of ours" in come_in(server, BO).get("/chat/D1").text
    assert "a secret of ours" not in come_in(server, "di").get("/chat/D1").text


def test_what_is_not_sent_stays_in_the_box_and_the_page_says_why(server):
    client, before = come_in(server, ADA), chat_records(server)
    form = {"once": box_of(client), "text": "kept nowhere", "do": "send"}
    for changed, why in (
        ({"text": "  "}, "has no words"),
        ({"text": "x" * 20_001}, "longer than 20,000 characters"),
        ({"once": "another"}, "Reload the page and try again"),
    ):
        refused = client.post("/chat/general", data={**form, **changed})
        assert refused.status_code == 200
        assert re.search(f"It was not sent.[^<]*{why}", refused.text)
    assert "that you may read, so nothing can be sent" in client.post("/chat/nowhere", data=form).text
    granular = load_profile("granular")
    closed = [rule for rule in granular.rules if not any(name.startswith("content") for name in rule.data)]
    with server.workspaces.borrow() as workspace:
        workspace.terms.publish(dataclasses.replace(granular, id="closed", rules=tuple(closed), switches=()))
        workspace.terms.accept("acme", "closed")
    refused = client.post("/chat/general", data=form).text
    assert "It was not sent: the terms forbid it" in refused
    assert "kept nowhere</textarea>" in refused
    assert chat_records(server) == before


@pytest.mark.slow
def test_a_summary_that_is_off_for_what_came_before_the_yes_says_just_that(server):
    """Everybody has said yes; it is only that the meeting was before."""
    with server.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["feature"])
    page = come_in(server).get("/meetings/planning").text
    assert "Summaries: off here" in page
    assert "was collected before the yes that it needs, that of Acme Ltd." in page
    assert "others whom this concerns" not in page


@pytest.mark.slow
def test_under_terms_without_a_switch_for_it_a_feature_can_be_turned_on_all_the_same(tmp_path, rooms):
    server = Server(rooms, is_demo=True)
    with server.workspaces.borrow() as workspace:
        workspace.terms.publish(load_profile("bundled"))
        workspace.terms.accept("acme", "bundled")
    client = come_in(server)
    page = client.get("/search?q=launch").text
    assert "nobody can turn it on" not in page
    assert "An administrator of Acme Ltd can turn it on" in page
    administrator = come_in(server, "demo-administrator")
    assert administrator.post("/account/switches/feature-search", data={"answer": "yes"}).status_code == 303
    assert "Search: off here" not in client.get("/search?q=launch").text
    server.close()


@pytest.mark.slow
def test_minutes_say_what_was_looked_for_and_that_none_was_found(server):
    say(server, "account:acme", "person:ada", "person:bo")
    page = html.unescape(come_in(server).get("/meetings/standup").text)
    assert page.count(" in English, and found none that was said outright.") == 3
    assert "Nobody explicitly" not in page


def test_recommendations_tell_their_reason_or_who_can_turn_them_on(server):
    client = come_in(server)
    assert "Recommendations: off here" in client.get("/recommendations").text
    say(server, "account:acme", "person:ada", "person:bo")
    assert "Nothing to suggest yet" in client.get("/recommendations").text


def test_recommendations_name_things_as_people_do_and_lead_to_them(server, monkeypatch):
    say(server, "account:acme", "person:ada", "person:bo")
    told = [
        Suggestion(item=item, score=1.0, because="because you use person/bo", because_item="person/bo")
        for item in ("channel/general", "meeting/planning", "document/budget", "person/bo", "feature/polls")
    ]
    monkeypatch.setattr(Features, "recommend", lambda *_, **__: tuple(told))
    page = html.unescape(come_in(server).get("/recommendations").text)
    assert page.count("Why: because you use Bo Berg.") == len(told)
    for link in (
        '<a href="/chat/general">general</a>',
        '<a href="/meetings/planning">planning</a>',
        '<a href="/search?q=budget">budget</a>',
        '<a href="/search?q=Bo+Berg&speaker=Bo+Berg">Bo Berg</a>',
    ):
        assert link in page
    assert "did no better here" not in page
    monkeypatch.setattr(Features, "recommends_by_use", lambda *_: False)
    assert "measured, and did no better here, so they are not shown" in come_in(server).get("/recommendations").text


# --- in a real browser ---

PEOPLE = ("ann", "ben", "cleo", "dov", "evan", "fay")


def put_a_composer_to_work(served, folder):
    """Let six people write alike, and say yes, so that there is something to suggest."""
    users = [
        {"id": f"U{one}", "name": one, "real_name": f"{one.title()} Acme", "profile": {"email": f"{one}@acme.example"}}
        for one in PEOPLE
    ]
    messages = []
    for one in PEOPLE:
        for user, text in ((one, "please send the brochure to the printer today"), (PEOPLE[0], "will do")):
            ts = f"{1748941200 + 40 * len(messages)}.000100"
            messages.append({"type": "message", "user": f"U{user}", "text": text, "ts": ts})
    with served.workspaces.borrow() as workspace:
        for one in PEOPLE:
            workspace.people.add_person(one, account="acme", name=f"{one.title()} Acme", emails=[f"{one}@acme.example"])
        channels = [{"id": "C2", "name": "printing", "members": [user["id"] for user in users]}]
        with zipfile.ZipFile(folder / "printing.zip", "w") as export:
            for name, told in (("users", users), ("channels", channels), ("printing/2025-06-03", messages)):
                export.writestr(f"{name}.json", json.dumps(told))
        workspace.records.collect_slack(folder / "printing.zip", account="acme")
    say(served, "account:acme", "person:ada", "person:bo", *(f"person:{one}" for one in PEOPLE))
    with served.workspaces.borrow() as workspace:
        model = workspace.models.train("compose").id
        workspace.models.audit(model)
        workspace.models.release(model)


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_nothing_is_sent_while_somebody_writes_unless_a_composer_is_at_work(served, new_page, sign_in, tmp_path):
    """The page says what leaves it and when, and that is what leaves it."""
    with served.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["feature"], covers="past")
    page, sent = sign_in(new_page()), []
    page.on("request", lambda asked: sent.append(asked.url) if asked.method == "POST" else None)
    page.goto("/chat")
    assert "the text does not leave this page" in page.locator("#compose-note").inner_text()
    page.locator("#text").press_sequentially("hello there, who can help?", delay=5)
    page.wait_for_timeout(600)
    assert sent == []
    put_a_composer_to_work(served, tmp_path)
    page.goto("/chat")
    assert "goes to this server at each pause" in page.locator("#compose-note").inner_text()
    page.locator("#text").press_sequentially("hello there", delay=5)
    page.wait_for_timeout(600)
    assert sent
    assert all(url.endswith("/chat/completions") for url in sent)
    page.get_by_label("Suggest while I type").uncheck()
    assert "the text does not leave this page" in page.locator("#compose-note").inner_text()
    page.reload()  # this browser keeps it
    sent.clear()
    page.locator("#text").press_sequentially("hello again", delay=5)
    page.wait_for_timeout(600)
    assert sent == []


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_what_suggestions_typed_of_a_message_is_counted_and_what_was_deleted_again_is_not(
    rooms, served, new_page, sign_in, tmp_path
):
    put_a_composer_to_work(served, tmp_path)
    page = sign_in(new_page())
    page.goto("/chat/printing")
    box = page.get_by_role("textbox", name="Your message")
    for deletes in (False, True):
        box.focus()
        page.keyboard.type("please s")
        page.locator("#suggestions button").first.wait_for()
        page.keyboard.press("Tab")
        if deletes:
            box.fill("please wait")
        else:
            taken = len(box.input_value().strip()) - len("please s")
        text = box.input_value().strip()
        page.get_by_role("button", name="Send", exact=True).click()
        page.locator("#messages ~ ol .own").get_by_text(text, exact=True).wait_for()
        page.wait_for_timeout(300)  # for what follows once the page has settled
        assert box.input_value() == "", "what was sent is no longer in the box"
    with served.workspaces.borrow() as workspace:
        workspace.records.drain()
        batches = list(workspace.records.rows("feature/compose", categories=["service/usage"]))
    sent = [json.loads(one)["attributes"] for batch in batches for one in batch["payload"].to_pylist()]
    counts = {(one["message.taken_characters"], one["message.keys_for_taking"]) for one in sent}
    assert counts == {(taken, 1), (0, 1)}


def patient(new_page, **look):
    """Open a page that waits longer: the first summary or search of a server loads the sentence encoder."""
    page = new_page(**look)
    page.set_default_timeout(60_000)
    return page


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_pages_are_for_everybody_and_the_composer_for_every_hand(  # noqa: PLR0917 - fixtures
    rooms, served, new_page, sign_in, check_access, tmp_path
):
    put_a_composer_to_work(served, tmp_path)
    new_page = partial(patient, new_page)
    page = sign_in(new_page())
    page.goto("/meetings/planning")
    page.locator("#decisions + ul a").first.click()
    assert page.evaluate("location.hash") == "#t-0"
    assert page.evaluate("document.querySelector(':target').textContent.includes('Friday')")

    page.goto("/chat/printing")  # by keyboard alone
    box = page.get_by_role("textbox", name="Your message")
    box.focus()
    page.keyboard.type("please s")
    page.locator("#suggestions button").first.wait_for()
    check_access(page)
    page.keyboard.press("Tab")
    assert box.input_value().startswith("please send ")
    page.keyboard.press("Escape")
    box.fill("it is  broken ??")
    page.get_by_role("button", name="Tidy up").click()
    page.get_by_text("Edited by fixed rules").wait_for()
    assert box.input_value() == "it is broken?"
    box.fill("please s")
    page.locator("#suggestions button").first.click()
    assert box.input_value().startswith("please send ")
    box.fill("sent by keyboard")
    page.get_by_role("button", name="Send", exact=True).focus()
    page.keyboard.press("Enter")
    page.locator("#messages ~ ol").get_by_text("sent by keyboard").wait_for()
    assert box.input_value() == ""
    assert page.get_by_text("Sent. It is kept as chat of Acme Ltd").is_visible()

    page = sign_in(new_page(script=False))  # without JavaScript
    page.goto("/chat/printing")
    page.get_by_role("textbox", name="Your message").fill("please s")
    page.get_by_role("button", name="Suggest", exact=True).click()
    page.locator("#suggestions button").first.click()
    assert page.get_by_role("textbox", name="Your message").input_value().startswith("please send ")
    page.get_by_role("button", name="Send", exact=True).click()
    page.wait_for_url("**/chat/printing#compose")
    assert page.locator(".turns .own").get_by_text("please send").count() == 1
    page.goto("/meetings/planning")
    page.get_by_label("What to look for").fill("brochure")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Open planning").first.click()
    assert page.url.endswith("/meetings/planning?turn=1#t-1")
