"""Who can open a meeting or a channel: on its page and over the API, for members, other readers and everybody else."""

import json
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from volition.canonical import datetime_to_us
from volition.errors import RefusedError
from volition.features.conversations import ConversationKind
from volition.ledger.entry import KINDS, Entry
from volition.records.ingest import Draft, PersonRef
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.server.web.console.ledger import line_of

SAME = {"sec-fetch-site": "same-origin"}
MEETING = ConversationKind.MEETING


def other_standup(speaker, turn, text):
    """Return a line of another meeting that is called "standup", too: of Bo and Ed, without Ada."""
    payload = {
        "kind": "segment",
        "meeting": "standup",
        "turn": turn,
        "start_ms": 1000 * turn,
        "end_ms": 1000 * turn + 9,
    }
    return Draft(
        key=f"other:{turn}",
        account="acme",
        people=(PersonRef(id=speaker), PersonRef(id="bo" if speaker == "ed" else "ed")),
        category="content/transcript",
        at_us=datetime_to_us(datetime(2025, 6, 9, 9, tzinfo=UTC)),
        payload={**payload, "speaker": speaker, "text": text},
    )


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    with server.workspaces.borrow() as workspace:
        workspace.people.add_person("di", account="acme", name="Di Dorn", emails=["di@acme.example"])
        workspace.people.add_person("ed", account="acme", name="Ed Eng")
        everything = {"data": ["service", "content"], "purpose": ["feature"], "covers": "past"}
        workspace.consent.decide("account:acme", yes=True, **everything)
    yield server
    server.close()


def come_in(server, person, account="acme"):
    if server.access.users.find(person) is None:
        server.access.users.add(person, roles=[Role.PERSON], account=account, person=person)
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client.cookies.set("volition", server.access.sessions.begin(person))
    return client


def send(client, do, **form):
    form = {"kind": "meeting", "name": "standup", "do": do, **form}
    return client.post("/sharings", data=form, follow_redirects=False)


def card(client, path="/meetings/standup"):
    """Return the text of the card that says who can open it."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    part = page.text.split('aria-labelledby="readers"')[1].split("</section>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", part).split())


@pytest.mark.slow
def test_a_member_opens_it_to_a_colleague_and_closes_it_again(server):
    ada, di = come_in(server, "ada"), come_in(server, "di")
    assert "Ada Byron and Bo Berg" in card(ada)
    assert di.get("/meetings/standup").status_code == 400

    answer = send(ada, "open", people="DI@acme.example")
    assert (answer.status_code, answer.headers["location"]) == (303, "/meetings/standup#readers")
    assert "opened to DI@acme.example" in ada.get("/meetings/standup").text
    today = datetime.now(UTC)
    assert f"Di Dorn Opened by Ada Byron, on {today.day} {today:%B %Y}" in card(ada)
    assert "Opened by Ada Byron" in card(come_in(server, "bo"))
    assert "The launch moves to Friday." in di.get("/meetings/standup").text

    assert send(come_in(server, "bo"), "close", people="di").status_code == 303
    assert di.get("/meetings/standup").status_code == 400
    assert "Nobody else" in card(ada)


@pytest.mark.slow
def test_it_is_opened_to_the_whole_account_and_by_whom_is_said_to_those_who_read_it_by_that(server):
    ada, di = come_in(server, "ada"), come_in(server, "di")
    send(ada, "open", to="account")
    assert "Everyone at Acme Ltd Opened by Ada Byron, on " in card(di)
    assert "Bo Berg" not in card(di), "who was there is for those who were"
    assert "<form" not in di.get("/meetings/standup").text.split('aria-labelledby="readers"')[1].split("</section>")[0]
    assert send(di, "close", to="account").status_code == 400
    assert "Everyone at Acme Ltd" in card(ada)
    send(ada, "close", to="account")
    assert di.get("/meetings/standup").status_code == 400


def test_whoever_was_not_there_cannot_open_it_and_does_not_learn_that_it_is_there(server):
    for person, account in (("di", "acme"), ("cy", "brill")):
        client = come_in(server, person, account)
        there, nowhere = (
            [client.get(f"/meetings/{name}"), send(client, "open", name=name, to="account")]
            for name in ("standup", "nowhere")
        )
        for real, missing in zip(there, nowhere, strict=True):
            assert real.status_code == missing.status_code == 400
            assert real.text.replace("standup", "nowhere") == missing.text
    with server.workspaces.borrow() as workspace:
        assert not [entry for entry in workspace.entries() if entry.kind == "sharing"]


@pytest.mark.slow
def test_of_two_meetings_of_one_name_a_member_learns_nothing_about_the_other(server):
    lines = [other_standup("bo", 0, "Another standup altogether."), other_standup("ed", 1, "Without Ada.")]
    with server.workspaces.borrow() as workspace:
        workspace.records.take_in(lines, "acme", lambda *_: None)
    ada, ed = come_in(server, "ada"), come_in(server, "ed")
    send(ed, "open", people="di")
    assert "Di Dorn" in card(ed)
    assert "Di Dorn" in card(come_in(server, "bo")), "Bo was in both"
    assert "Di Dorn" not in card(ada)
    assert "Ed Eng" not in card(ada)
    nothing = send(ada, "close", people="di")
    with server.workspaces.borrow() as workspace:
        [*_, last] = [entry for entry in workspace.entries() if entry.kind == "sharing"]
    assert last.body["shared"]
    assert nothing.status_code == 303
    assert "so already" in ada.get("/meetings/standup").text
    assert "Another standup" in come_in(server, "di").get("/meetings/standup").text


@pytest.mark.parametrize("named", ["cy", "Cy Clark", "nobody", "Zoe Guest"])
def test_it_is_opened_to_no_one_but_users_of_the_account_and_of_others_nothing_is_said(server, named):
    with server.workspaces.borrow() as workspace:
        workspace.parties.guest("acme", "Zoe Guest")
    answer = send(come_in(server, "ada"), "open", people=named)
    assert answer.status_code == 400
    assert "is no user of the account acme, or could be several" in answer.text


def test_a_channel_has_the_same_card_and_what_its_source_opened_is_not_closed_here(server, tmp_path):
    users = [{"id": "U1", "name": "ada", "real_name": "Ada Byron", "profile": {"real_name": "Ada Byron"}}]
    said = [{"type": "message", "user": "U1", "text": "lunch is ready", "ts": "1748854800.000100"}]
    closed = [{"id": "G1", "name": "board", "members": ["U1"]}]
    with zipfile.ZipFile(tmp_path / "chat.zip", "w") as export:
        for name, told in (("users", users), ("channels", [{"id": "C1", "name": "general"}]), ("groups", closed)):
            export.writestr(f"{name}.json", json.dumps(told))
        for channel in ("general", "board"):
            export.writestr(f"{channel}/2025-06-02.json", json.dumps(said))
    with server.workspaces.borrow() as workspace:
        workspace.records.collect_slack(tmp_path / "chat.zip", account="acme")
    ada, di = come_in(server, "ada"), come_in(server, "di")
    for client in (ada, di):
        assert "Everyone at Acme Ltd Opened by the source" in card(client, "/chat/general")
        assert "Close" not in card(client, "/chat/general")
    assert "Who can open this" not in di.get("/chat/board").text
    send(ada, "open", kind="channel", name="board", people="Di Dorn")
    assert "lunch is ready" in di.get("/chat/board").text
    assert "Di Dorn Opened by Ada Byron" in card(ada, "/chat/board")


@pytest.mark.parametrize(
    "form", [{"do": "hide"}, {"do": "open", "kind": "file"}, {"do": "open"}, {"do": "open", "people": " \n "}]
)
def test_a_form_that_says_nothing_clear_changes_nothing(server, form):
    answer = send(come_in(server, "ada"), **form)
    assert answer.status_code == 400
    with server.workspaces.borrow() as workspace:
        assert not [entry for entry in workspace.entries() if entry.kind == "sharing"]


def asking(server, person, account="acme", role=Role.PERSON):
    """Return a client of the API with a token of somebody."""
    who = {"account": account, "person": person} if role is Role.PERSON else {}
    if server.access.users.find(person) is None:
        server.access.users.add(person, roles=[role], **who)
    _, secret = server.access.tokens.issue(person, name="t", roles=[role], scopes=list(Scope))
    return TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})


def test_the_same_over_the_api(server):
    ada, di, cy = asking(server, "ada"), asking(server, "di"), asking(server, "cy", "brill")
    here = {"kind": "meeting", "name": "standup"}
    assert ada.get("/v1/readers", params=here).json() == {
        "was_there": True,
        "members": ["Ada Byron", "Bo Berg"],
        "openings": [],
    }
    for client in (di, cy):
        for real, missing in (
            (client.get("/v1/readers", params=here), client.get("/v1/readers", params={**here, "name": "nowhere"})),
            (
                client.post("/v1/sharings", json={**here, "with_account": True}),
                client.post("/v1/sharings", json={**here, "name": "nowhere", "with_account": True}),
            ),
        ):
            assert real.status_code == missing.status_code == 400
            assert real.text.replace("standup", "nowhere") == missing.text
    opened = ada.post("/v1/sharings", json={**here, "people": ["di"]})
    assert (opened.status_code, opened.json().keys()) == (201, {"entry"}), "no pseudonym of a colleague"
    assert ada.post("/v1/sharings", json={**here, "people": ["di"]}).json() == {"entry": None}
    [opening] = di.get("/v1/readers", params=here).json()["openings"]
    assert (opening["to"], opening["by"]) == ("person:di", "person:ada")
    assert di.get("/v1/readers", params=here).json()["members"] == []
    assert ada.post("/v1/sharings", json={**here, "account": "brill", "people": ["cy"]}).status_code == 403
    operator = asking(server, "olga", role=Role.OPERATOR)
    assert operator.post("/v1/sharings", json={**here, "people": ["di"], "shared": False}).status_code == 400
    closed = operator.post("/v1/sharings", json={**here, "account": "acme", "people": ["di"], "shared": False})
    assert closed.json()["entry"] > opened.json()["entry"]
    assert di.get("/v1/readers", params=here).status_code == 400


def test_a_guest_opens_nothing_and_sees_no_reader(server):
    with server.workspaces.borrow() as workspace:
        guest = workspace.parties.guest("acme", "Zoe Guest").id
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client.post(f"/guest/{server.access.links.make_guest_link(person=guest, account='acme')}")
    assert client.get("/guest").status_code == 200
    assert client.get("/meetings/standup").status_code == 403
    assert send(client, "open", to="account").status_code == 403
    assert client.get("/v1/readers", params={"kind": "meeting", "name": "standup"}).status_code == 403
    assert client.post("/v1/sharings", json={"kind": "meeting", "name": "standup"}).status_code == 403
    with server.workspaces.borrow() as workspace, pytest.raises(RefusedError):
        workspace.audiences.readers("standup", kind=MEETING, account="acme", person=guest)


@pytest.mark.slow
def test_a_no_of_somebody_else_reads_like_data_from_before_a_yes(server):
    ada, uses = come_in(server, "ada"), {"data": ["service", "content"], "purpose": ["train", "feature"]}

    def off():
        return ada.get("/meetings/talk").text.split('id="off-title"')[1].split("</section>")[0]

    line = other_standup("bo", 0, "We decided to order the brochure.")
    people, payload = (PersonRef(id="bo"), PersonRef(id="ada")), {**line.payload, "meeting": "talk"}
    with server.workspaces.borrow() as workspace:
        workspace.records.take_in([replace(line, people=people, payload=payload)], "acme", lambda *_: None)
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(party, yes=False, **uses)
            workspace.consent.decide(party, yes=True, **uses)
    before = off()
    with server.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(party, yes=True, **uses, covers="past")
    assert 'id="off-title"' not in ada.get("/meetings/talk").text
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("person:bo", yes=False, **uses)
    assert off() == before
    assert "Nothing here may be used for it now." in before


# What the console says of each kind of entry

NAMES = {"data": ["content"], "purpose": ["train/search"]}
BODIES = {
    "terms": {"terms": {"id": "2025-01"}, "binds": "2025-01-01T00:00:00.000000Z"},
    "acceptance": {"account": "acme", "terms": "2025-01"},
    "notice": {"account": "acme", "terms": "2025-01", "ends": "2025-01-01T00:00:00.000000Z"},
    "decision": {"party": "account:acme", "answer": "no", **NAMES},
    "region": {"party": "account:acme", "region": "GB"},
    "identity": {"act": "merge", "people": ["1", "2"], "by": "operator"},
    "signal": {"party": "person:1"},
    "limit": {"account": "acme", "group": "", "people": [], "limited": True, **NAMES},
    "sharing": {"account": "acme", "conversation": "file", "with": ["person:1"], "shared": True, "by": "operator"},
    "exclusion": {"account": "acme", "party": "person:1", "purpose": ["train"], "excluded": True},
    "collect": {"records": 3, "root": "00" * 32},
    "access": {"day": "2026-01-01", "lines": 1, "root": "00" * 32},
    "form": {"form": 2, "unsalted": 3},
    "mapping": {"source": "otlp", "mapping": {"events": {"page.viewed": "service/usage"}}},
    "snapshot": {"snapshot": "train-search-1", "purpose": "train/search"},
    "model": {"model": "search-1", "snapshot": "train-search-1"},
    "release": {"model": "search-1"},
    "forgetting": {"model": "search-1", "successor": None, "parties": ["person:1"]},
    "erasure": {"party": "person:1"},
    "removal": {"table": "hits", "of": "00" * 32, "parties": ["person:1"], "rows": 3, "left": 0},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_entry_is_a_sentence_on_the_console(server, kind):
    with server.workspaces.borrow() as workspace:
        says = line_of(Entry(seq=0, at_us=0, kind=kind, body=BODIES[kind]), workspace).says
    assert says.endswith(".")
    assert says != kind
    assert "person:" not in says
