"""Recordings on pages: played by those who may hear them, a range at a time; who speaks, said by somebody who was there."""

import re
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

pytest.importorskip("av", reason="recordings need the extra speech, which is not installed")

from tones import Pitches, Tones, said, write_wav
from volition.errors import InvalidInputError
from volition.features.conversations import ConversationKind
from volition.server.app import Server
from volition.server.auth import Role
from volition.server.web.page import Playback
from volition.server.web.playing import play
from volition.workspace import Workspace

SAME = {"sec-fetch-site": "same-origin"}
STARTED = datetime(2025, 7, 1, 9, tzinfo=UTC)
FEATURES = {"data": ["content"], "purpose": ["feature"]}


@pytest.fixture
def server(world, tmp_path):
    server = Server(world, is_demo=True)
    tracks = tmp_path / "review"
    tracks.mkdir()
    write_wav(tracks / "Ada Byron.wav", said("yes", 1.0, "later"))
    write_wav(tracks / "Bo Berg.wav", said(1.0, "no"))
    with server.workspaces.borrow() as workspace:
        workspace.people.add_person("di", account="acme", name="Di Dorn")
        workspace.consent.decide("account:acme", yes=True, covers="past", **FEATURES)
        workspace.recordings.keep("acme", keeps=True)
        workspace.recordings.collect(tracks, account="acme", started=STARTED, recogniser=Tones())
    yield server
    server.close()


@pytest.fixture
def asking_accounts_alone(tmp_path):
    """Serve a workspace whose terms ask nobody but the account, with a recording of one mixed track, and one of Ada's."""
    with Workspace.create(tmp_path / "w", origin="log.example/mixed", profile="2023-08-11") as workspace:
        for account, people in (("acme", ("Bo Berg", "Di Dorn")), ("brill", ("Cy Clark",))):
            workspace.people.add_account(account, account.title())
            workspace.terms.accept(account)
            for name in people:
                workspace.people.add_person(name[:2].lower(), account=account, name=name)
        workspace.people.add_person("ada", account="acme", name="Ada Byron")
        workspace.consent.decide("account:acme", yes=True, covers="past", **FEATURES)
        options = {"account": "acme", "started": STARTED, "recogniser": Tones()}
        mixed = write_wav(tmp_path / "call.wav", said("yes", 1.0, "later"))
        workspace.recordings.collect(mixed, participants=["Ada Byron", "Bo Berg"], **options)
        own = write_wav(tmp_path / "review.wav", said("agreed"))
        workspace.recordings.collect(own, tracks={"review.wav": "Ada Byron"}, participants=["Bo Berg"], **options)
    server = Server(tmp_path / "w", is_demo=True)
    yield server
    server.close()


def come_in(server, person, account="acme", role=Role.PERSON):
    if server.access.users.find(person) is None:
        server.access.users.add(person, roles=[role], account=account, person=person)
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client.cookies.set("volition", server.access.sessions.begin(person))
    return client


def sound_of(client, meeting="review"):
    """Return where the first line that can be listened to is played from."""
    page = client.get(f"/meetings/{meeting}").text
    listen = re.search(r'href="([^"]*listen=yes[^"]*)"', page)[1].replace("&amp;", "&")
    return re.search(r'<audio [^>]*src="([^"#]*)#t=([0-9.]+)"', client.get(listen).text).groups()


@pytest.mark.slow
def test_who_was_there_plays_it_from_the_second_of_the_line_and_nobody_else_does(server):
    ada = come_in(server, "ada")
    assert "The recording is kept: listen to a line to check it." in ada.get("/meetings/review").text

    where, second = sound_of(ada)
    whole = ada.get(where)
    part = ada.get(where, headers={"range": "bytes=100-199"})

    assert float(second) == pytest.approx(0.5, abs=0.1)
    assert (whole.status_code, whole.headers["content-type"], whole.headers["accept-ranges"]) == (
        200,
        "audio/mpeg",
        "bytes",
    )
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert "media-src 'self'" in whole.headers["content-security-policy"]
    assert come_in(server, "bo").get(where).status_code == 200, "he heard it when it was said"
    assert come_in(server, "di").get(where).status_code == 400, "a colleague who was not there"
    assert come_in(server, "cy", account="brill").get(where).status_code == 400, "another tenant"
    guest = TestClient(server, base_url="http://centre.example", headers=SAME)
    assert guest.get(where, follow_redirects=False).status_code in {303, 401, 403}


@pytest.mark.slow
def test_whom_it_was_opened_to_hears_it_only_as_long_as_its_speaker_permits_it(server):
    where, _ = sound_of(come_in(server, "ada"))
    with server.workspaces.borrow() as workspace:
        workspace.audiences.share("review", kind=ConversationKind.MEETING, account="acme", people=["di"], by="ada")
    di = come_in(server, "di")
    assert di.get(where).status_code == 200

    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["feature/transcribe"])

    assert di.get(where).status_code == 400


@pytest.mark.slow
def test_an_administrator_says_whether_recordings_are_kept(server):
    chief = come_in(server, "chief", role=Role.ADMINISTRATOR)
    assert "Keep no more recordings" in chief.get("/account").text

    chief.post("/account/recordings", data={"keep": "no"})

    assert "is not kept once it was transcribed" in chief.get("/account").text
    assert come_in(server, "ada").post("/account/recordings", data={"keep": "yes"}).status_code == 403
    with server.workspaces.borrow() as workspace:
        assert not workspace.recordings.keeps("acme")


@pytest.mark.slow
def test_where_no_track_tells_somebody_who_was_there_says_who_speaks(asking_accounts_alone):
    server = asking_accounts_alone
    ada = come_in(server, "ada")
    page = ada.get("/meetings/call").text
    assert page.count("<strong>Nobody knows who</strong>") == page.count(">Say who speaks<") == 2
    assert "Nobody knows who spoke." in page
    action = re.search(r'action="(/recordings/[^"]*/speaker)"', page)[1]
    bo = re.search(r'<option value="([0-9a-f]{32})">Bo Berg', page)[1]
    form = {"speaker": bo, "meeting": "call", "anchor": "t-500"}
    assert come_in(server, "di").post(action, data=form).status_code == 400, "who was not there"
    assert come_in(server, "cy", account="brill").post(action, data=form).status_code == 400, "another tenant"

    answer = ada.post(action, data=form, follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, "/meetings/call#t-500")
    page = ada.get("/meetings/call").text
    assert "Bo Berg speaks there, you said." in page
    assert (page.count("<strong>Nobody knows who</strong>"), page.count(">Correct who speaks<")) == (1, 1)
    with server.workspaces.borrow() as workspace:
        named = [line for line in lines_of(workspace, "call") if line.is_named]
        assert [(line.speaker, line.text) for line in named] == [("Bo Berg", "yes")]
        di = workspace.parties.person("di").pseudonym
        with pytest.raises(InvalidInputError, match="they were not"):
            workspace.recordings.name([named[0].record_id], speaker=di, by="ada")
        told = next(line for line in lines_of(workspace, "review") if line.speaker == "Ada Byron")
        with pytest.raises(InvalidInputError, match="known by its track"):
            workspace.recordings.name([told.record_id], speaker=bo, by="ada")


@pytest.mark.slow
def test_lines_that_sound_alike_stand_together_and_only_the_ticked_ones_are_named(asking_accounts_alone, tmp_path):
    server = asking_accounts_alone
    options = {"account": "acme", "started": STARTED, "recogniser": Tones()}
    mixed = write_wav(tmp_path / "talk.wav", said("yes", "later", "yes", "no", "yes", "later"))
    with server.workspaces.borrow() as workspace:
        workspace.recordings.keep("acme", keeps=True)
        workspace.recordings.collect(
            mixed, participants=["Ada Byron", "Bo Berg"], group_voices=True, voice_encoder=Pitches(), **options
        )
    ada = come_in(server, "ada")
    assert '<a href="/speakers/talk">' in ada.get("/meetings/talk").text
    page = ada.get("/speakers/talk").text
    first, second, rest = page.split('<section class="card"')[1:]
    assert [part.count('type="checkbox"') for part in (first, second, rest)] == [3, 2, 1]
    assert " checked" not in page, "nothing is ticked before somebody read or heard it"
    assert '<audio controls preload="none" src="/recordings/' in first
    boxes = re.findall(r'name="(line-[0-9a-f]+)"', first)
    bo = re.search(r'<option value="([0-9a-f]{32})">Bo Berg', page)[1]
    form = {"speaker": bo, boxes[0]: "yes", boxes[2]: "yes"}
    for who, account in (("di", "acme"), ("cy", "brill")):  # who was not there, and another tenant
        other = come_in(server, who, account=account)
        assert other.get("/speakers/talk").status_code == other.post("/speakers/talk", data=form).status_code == 400
    guest = TestClient(server, base_url="http://centre.example", headers=SAME)
    assert guest.post("/speakers/talk", data=form, follow_redirects=False).status_code in {303, 401, 403}
    assert ada.post("/speakers/talk", data={"speaker": bo}, follow_redirects=False).status_code == 303
    with server.workspaces.borrow() as workspace:
        assert {line.speaker for line in lines_of(workspace, "talk")} == {""}, "nobody may, or nothing was ticked"

    ada.post("/speakers/talk", data=form)

    with server.workspaces.borrow() as workspace:
        found = [(line.speaker, line.text) for line in lines_of(workspace, "talk")]
        assert found == [("Bo Berg", "yes"), *(("", word) for word in ("later", "yes", "no")), found[-2], found[-1]]
        assert found[-2:] == [("Bo Berg", "yes"), ("", "later")]
        assert (
            workspace.recordings.voices("talk", person="ada").keys().isdisjoint(box[5:] for box in (boxes[0], boxes[2]))
        )
        assert workspace.recordings.voices("talk", person="di") == {}
        workspace.consent.decide("account:acme", yes=False, data=["content"], purpose=["feature/transcribe"])
        assert workspace.recordings.voices("talk", person="ada") == {}, "a no hides what was compared"
    assert "The lines are not grouped by voice." in ada.get("/speakers/talk").text


def lines_of(workspace, meeting):
    [found] = workspace.features.conversations(ConversationKind.MEETING, person="ada", name=meeting)
    return found.lines


@pytest.mark.parametrize(
    ("ranges", "status", "content"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=10-", 416, b""),
        ("bytes=5-2", 416, b""),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
        ("", 200, b"0123456789"),
    ],
)
def test_a_range_is_answered_as_the_standard_says(ranges, status, content):
    answer = play(Playback(data=b"0123456789", media_type="audio/mpeg"), ranges)
    assert (answer.status_code, answer.body) == (status, content)
