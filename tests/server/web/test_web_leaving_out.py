"""One meeting left out of AI: on its page, on the guest's and the account's, over the API; by a member and everybody else."""

import re

import pytest
from starlette.testclient import TestClient

from volition.records.ingest import Draft, PersonRef
from volition.server.app import Server
from volition.server.auth import Role, Scope

SAME = {"sec-fetch-site": "same-origin"}
EVERYTHING = {"data": ["service", "content"], "purpose": ["train", "feature"], "covers": "past"}


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    with server.workspaces.borrow() as workspace:
        workspace.people.add_person("di", account="acme", name="Di Dorn")
        server.guest = workspace.parties.guest("acme", "Zoe Guest").id
        for party in ("account:acme", "person:ada", "person:bo", f"person:{server.guest}"):
            workspace.consent.decide(party, yes=True, **EVERYTHING)
        pseudonym = workspace.parties.person(server.guest).pseudonym
        visit = {"kind": "segment", "meeting": "visit", "turn": 1, "start_ms": 0, "end_ms": 9, "speaker": "Zoe Guest"}
        draft = Draft(
            key="visit:1",
            account="acme",
            people=(PersonRef(pseudonym=pseudonym), PersonRef(id="ada")),
            category="content/transcript",
            at_us=workspace.now_us - 1_000_000,
            payload={**visit, "text": "I only came to look."},
        )
        workspace.records.take_in([draft], "acme", lambda *_: None)
    yield server
    server.close()


def come_in(server, person, account="acme", role=Role.PERSON):
    name = f"{role}-{person}"
    if server.access.users.find(name) is None:
        given = {"person": person} if role in {Role.PERSON, Role.GUEST} else {}
        server.access.users.add(name, roles=[role], account=account, **given)
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client.cookies.set("volition", server.access.sessions.begin(name))
    return client


def guest(server):
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client.post(f"/guest/{server.access.links.make_guest_link(person=server.guest, account='acme')}")
    return client


def send(client, do, **form):
    return client.post("/exclusions", data={"kind": "meeting", "name": "standup", "do": do, **form})


def words_of(text):
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def card(client, path="/meetings/standup"):
    page = client.get(path)
    assert page.status_code == 200, page.text
    return words_of(page.text.split('aria-labelledby="left-out"')[1].split("</section>")[0])


def exclusions(server):
    with server.workspaces.borrow() as workspace:
        return [entry for entry in workspace.entries() if entry.kind == "exclusion"]


def permitted(server, purpose, meeting="standup"):
    """Return how many lines of a meeting may be used."""
    with server.workspaces.borrow() as workspace:
        batches = workspace.records.rows(purpose, categories=["content/transcript"])
        return sum(f'"meeting": "{meeting}"' in payload for one in batches for payload in one["payload"].to_pylist())


@pytest.mark.slow
def test_a_member_leaves_a_meeting_out_and_takes_it_back_in(server):
    ada = come_in(server, "ada")
    assert "Left out of" not in card(ada)
    before = permitted(server, "train/search")
    assert before > 0
    page = send(ada, "exclude", use="train/search")
    assert "What concerns you in this meeting is left out of training search." in page.text
    assert "Left out of: training search." in card(ada)
    assert permitted(server, "train/search") < before
    assert permitted(server, "train/summary") == before

    send(ada, "exclude", use="every")
    assert "Left out of: every use of AI." in card(ada), "and nothing is left to leave out"
    assert "Leave it out of" not in card(ada)
    banner = "AI uses nothing of what you say in this meeting, and is on for what you say in others."
    assert banner in ada.get("/meetings/standup").text
    off = words_of(ada.get("/meetings/standup").text.split('id="off-title"')[1].split("</section>")[0])
    assert "You left this conversation out, and can take it back in" in off
    uses = words_of(ada.get("/meetings/standup").text.split('aria-labelledby="uses"')[1].split("</section>")[0])
    assert uses.count("on this page. Left out") == uses.count("Left out") > 2
    assert "Take it back in" in card(ada)
    send(ada, "include")
    assert permitted(server, "train/search") == before
    assert "Left out of" not in card(ada)
    assert "Nothing was changed" in send(ada, "include").text


@pytest.mark.slow
def test_of_another_member_s_nothing_is_said(server):
    ada, bo = come_in(server, "ada"), come_in(server, "bo")
    send(ada, "exclude", use="every")
    assert "Left out of" not in card(bo)
    assert "Nothing was changed" in send(bo, "include").text
    assert "Left out of" in card(ada)


def test_whoever_was_not_there_leaves_nothing_out_and_learns_nothing(server):
    for client in (come_in(server, "di"), come_in(server, "cy", "brill"), guest(server)):
        there, nowhere = (send(client, "exclude", name=name) for name in ("standup", "nowhere"))
        assert there.status_code == nowhere.status_code == 400
        assert there.text.replace("standup", "nowhere") == nowhere.text
    for role in (Role.ENGINEER, Role.AUDITOR):
        assert send(come_in(server, "x", None, role), "exclude").status_code == 403
    stranger = TestClient(server, base_url="http://centre.example", headers=SAME)
    assert "/sign-in" in str(send(stranger, "exclude").url)
    assert not exclusions(server)


@pytest.mark.parametrize("form", [{"do": "burn"}, {"kind": "file"}, {"use": "gossip"}, {"name": ""}])
def test_what_makes_no_sense_is_told(server, form):
    answer = send(come_in(server, "ada"), **{"do": "exclude", **form})
    assert answer.status_code == 400
    assert not exclusions(server)


def test_a_guest_leaves_out_a_meeting_that_they_were_in(server):
    client = guest(server)
    assert permitted(server, "train/search", "visit") == 1
    page = client.get("/guest").text
    assert "Leave it out" in page
    anchor = re.search(r'name="name" value="visit"><input type="hidden" name="anchor" value="([^"]*)"', page)[1]
    answer = send(client, "exclude", name="visit", anchor=anchor, use="every")
    assert "What concerns you in this meeting is left out of every use of AI." in answer.text
    assert answer.history[0].headers["location"] == f"/guest?conversation=visit#{anchor}"
    assert "this conversation was left out" in answer.text
    assert permitted(server, "train/search", "visit") == 0
    assert permitted(server, "train/search") > 0
    send(client, "include", name="visit", anchor=anchor)
    assert permitted(server, "train/search", "visit") == 1


def test_an_administrator_leaves_out_all_of_a_meeting_and_only_of_their_account(server):
    admin = come_in(server, "x", role=Role.ADMINISTRATOR)
    other = come_in(server, "y", "brill", Role.ADMINISTRATOR)
    form = {"name": " standup ", "use": "train/search", "do": "exclude"}
    assert other.post("/account/exclusions", data=form).status_code == 400
    assert come_in(server, "ada").post("/account/exclusions", data=form).status_code == 403
    page = admin.post("/account/exclusions", data=form).text
    [entry] = exclusions(server)
    assert entry.body["party"] == "account:acme"
    assert f"(entry {entry.seq:,}): training search." in page
    assert permitted(server, "train/search") == 0
    back = {"do": "include", "entry": str(entry.seq)}
    assert other.post("/account/exclusions", data=back).status_code == 400
    for wrong in ("", "x", "0", "9" * 5000):
        assert admin.post("/account/exclusions", data={"do": "include", "entry": wrong}).status_code == 400
    admin.post("/account/exclusions", data=back)
    assert permitted(server, "train/search") > 0
    assert f"(entry {entry.seq:,})" not in admin.get("/account").text


def test_what_an_account_left_out_use_by_use_is_taken_back_in_with_one_click(server):
    admin = come_in(server, "x", role=Role.ADMINISTRATOR)
    before = permitted(server, "train/search"), permitted(server, "train/summary")
    for use in ("train/search", "train/summary"):
        admin.post("/account/exclusions", data={"name": "standup", "use": use, "do": "exclude"})
    page = admin.get("/account").text
    assert "training search and training summaries." in page
    [entry] = re.findall(r'name="entry" value="(\d+)"', page)
    page = admin.post("/account/exclusions", data={"do": "include", "entry": entry}).text
    assert "The conversation is taken back in." in page
    assert 'name="entry"' not in page
    assert (permitted(server, "train/search"), permitted(server, "train/summary")) == before


@pytest.mark.slow
def test_what_a_member_takes_back_in_says_what_the_account_still_leaves_out(server):
    ada = come_in(server, "ada")
    send(ada, "exclude", use="train/search")
    send(ada, "exclude", use="train/summary")
    with server.workspaces.borrow() as workspace:
        workspace.exclusions.exclude("standup", account="acme", purpose=["train/search"])
    still = "Acme Ltd leaves this meeting out of training search, for everybody in it."
    assert still in card(ada)
    told = f"You no longer leave this meeting out of training search and training summaries. {still}"
    assert told in words_of(send(ada, "include").text)
    assert permitted(server, "train/search") == 0
    assert still in card(ada)


def api(server, user, role):
    _, secret = server.access.tokens.issue(user, name="t", roles=[role], scopes=list(Scope))
    return TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})


def test_over_the_api(server):
    come_in(server, "ada")
    come_in(server, "x", role=Role.ADMINISTRATOR)
    ada = api(server, "person-ada", Role.PERSON)
    admin = api(server, "administrator-x", Role.ADMINISTRATOR)
    out = ada.post("/v1/exclusions", json={"name": "standup", "purpose": ["train/search"]}).json()
    assert out["left_out_of"] == ["train/search"]
    assert ada.post("/v1/exclusions", json={"name": "standup", "purpose": ["train/search"]}).json()["entry"] is None
    [listed] = ada.get("/v1/exclusions").json()["items"]
    assert (listed["entry"], listed["purposes"]) == (out["entry"], ["train/search"])
    assert admin.get("/v1/exclusions").json() == {"items": [], "next": None}
    assert ada.post("/v1/exclusions", json={"name": "standup", "account": "acme"}).status_code == 403
    assert ada.post("/v1/exclusions", json={"name": "nowhere"}).status_code == 400
    assert admin.post("/v1/exclusions", json={"name": "standup", "account": "brill"}).status_code == 403
    assert admin.post("/v1/exclusions", json={"name": "standup", "account": "acme"}).status_code == 201
    back = ada.post("/v1/exclusions", json={"name": "standup", "excluded": False}).json()
    assert back["left_out_of"] == []
    assert permitted(server, "train/search") == 0, "the account's word stands"


def test_in_a_channel_that_was_left_out_the_composer_reads_nothing_of_what_is_typed(server):
    with server.workspaces.borrow() as workspace:
        said = {"kind": "message", "channel": "general", "author": "ada", "ts": "1.0", "text": "Good morning to all."}
        draft = Draft(
            key="general:1",
            account="acme",
            people=(PersonRef(id="ada"),),
            category="content/chat",
            at_us=workspace.now_us - 1_000_000,
            payload=said,
        )
        workspace.records.take_in([draft], "acme", lambda *_: None)
        workspace.exclusions.exclude("general", account="acme", by="ada", purpose=["feature/compose"])
    ada = come_in(server, "ada")
    page = ada.get("/chat/general")
    assert "off-title" in page.text
    assert "You left this conversation out, and can take it back in on this page." in page.text
    form = {"text": "Good", "channel": "general"}
    assert "off" in ada.post("/chat/completions", data=form).text
    assert "off-title" not in ada.get("/chat").text, "elsewhere it works on"


def test_a_name_that_ends_with_a_blank_is_left_out_like_any_other(server):
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["train"])
        row = {
            "kind": "segment",
            "meeting": "standup ",
            "turn": 0,
            "start_ms": 0,
            "end_ms": 1,
            "speaker": "ada",
            "text": "Hi",
        }
        draft = Draft(
            key="blank",
            account="acme",
            people=(PersonRef(id="ada"),),
            category="content/transcript",
            at_us=1,
            payload=row,
        )
        assert workspace.records.take_in([draft], "acme", lambda *_: None).stored == 1
    admin = come_in(server, "x", role=Role.ADMINISTRATOR)
    admin.post("/account/exclusions", data={"name": "standup ", "use": "train/search", "do": "exclude"})
    with server.workspaces.borrow() as workspace:
        assert workspace.exclusions.of_conversation("standup ", account="acme") == ("train/search",)
        assert workspace.exclusions.of_conversation("standup", account="acme") == ()


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_where_a_file_of_the_lake_cannot_be_read_the_page_says_so_and_nothing_is_recorded(server, damage):
    with server.workspaces.borrow() as workspace:
        files = list(workspace.folder.glob("lake/records/content/transcript/**/*.parquet"))
    assert files
    for file in files:
        file.chmod(0o644)
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:-4] + b"XXXX")
    for client, path in ((come_in(server, "ada"), "/exclusions"), (come_in(server, "op", None, Role.OPERATOR), "")):
        form = {"kind": "meeting", "name": "standup", "do": "exclude"}
        answer = client.post(path, data=form) if path else client.get("/console/lake")
        assert answer.status_code == 503
        assert "A file of the lake cannot be read" in words_of(answer.text)
    assert not exclusions(server)
