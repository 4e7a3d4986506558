"""A person's holdings, requests, terms and meetings: what each says and does; in a browser, for everybody."""

import io
import json
import re
import sqlite3
import zipfile
from contextlib import closing, suppress
from datetime import UTC, datetime
from html import unescape

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from volition.consent.terms.terms_file import load_profile, read_terms
from volition.errors import RefusedError
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.server.web.markdown import to_html
from volition.transparency.evidence import verify_evidence
from volition.transparency.receipt import verify_receipt
from volition.workspace import Workspace
from volition.workspace.erasing_tables import TableErasureError
from waiting import until

GUEST = "Zoe Guest"
TALK = f"""WEBVTT

00:01.000 --> 00:04.000
Ada Byron: Welcome, the launch moves to Friday.

00:05.000 --> 00:09.000
{GUEST}: Then our order moves as well.

00:10.000 --> 00:12.000
{GUEST}: Send me the new dates, please.
"""
OURS = {"sec-fetch-site": "same-origin"}


def live(workspaces, folder):
    """Let a guest be in a meeting, everybody say yes, somebody search, and newer terms be announced; return the guest."""
    talk = folder / "talk.vtt"
    talk.write_text(TALK)
    with workspaces.borrow() as workspace:
        workspace.records.collect_webvtt(
            talk, account="acme", started=datetime(2025, 6, 4, 9, tzinfo=UTC), meeting="Order talk"
        )
        guest = workspace.parties.guest("acme", GUEST).id
        for party in ("account:acme", "person:ada", "person:bo", f"person:{guest}"):
            workspace.consent.decide(
                party, yes=True, data=["service", "content"], purpose=["train", "feature"], covers="past"
            )
        workspace.features.search("launch Friday", person="bo")
        workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train/compose"])
        workspace.terms.publish(load_profile("bundled"))
    return guest


@pytest.fixture
def server(world, tmp_path):
    server = Server(world, is_demo=True)
    server.guest = live(server.workspaces, tmp_path)
    yield server
    server.close()


@pytest.fixture
def ada(server):
    return visitor(server, "demo-person")


def visitor(server, user=None):
    client = TestClient(server, base_url="http://centre.example", follow_redirects=False, headers=OURS)
    if user is not None:
        client.cookies.set("volition", server.access.sessions.begin(user))
    return client


def link_of(server):
    return f"/guest/{server.access.links.make_guest_link(person=server.guest, account='acme')}"


def words(answer):
    """Return what a page says, without its markup."""
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


# --- what we hold ---


@pytest.mark.slow
def test_what_is_held_is_shown_and_comes_along(ada):
    said = words(ada.get("/holdings"))
    assert "2 records of what you said, wrote or did, and 3 of other people that concern you" in said
    assert "Search meeting transcripts 1" in said  # Bo searched, and was in one of her two meetings
    download = ada.get("/holdings/export")
    assert download.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(download.content)) as archive:
        records = json.loads(archive.read("records.json"))
        assert not [name for name in archive.namelist() if b"our order" in archive.read(name)]
    assert sorted(record["payload"]["text"] for record in records) == [
        "The launch moves to Friday.",
        "Welcome, the launch moves to Friday.",
    ]


@pytest.mark.slow
def test_what_was_recorded_comes_with_its_proof(server, ada):
    assert "nobody else can be recognised in it" in words(ada.get("/holdings"))
    download = ada.get("/holdings/collected")
    assert download.headers["content-disposition"].endswith("what-was-recorded.json")
    proof = download.json()
    with server.workspaces.borrow() as workspace:
        [check] = verify_evidence(proof, workspace.verifier).checks
        assert check.holds
        assert check.detail.startswith(f"5 records concern {workspace.parties.person('ada').pseudonym}, ")
        [bo] = workspace.parties.person("bo").pseudonyms
    assert bo not in download.text
    assert ada.get("/v1/people/ada/collected").json()["batches"] == proof["batches"]
    assert ada.get("/holdings/collected?conversation=nowhere").status_code == 400
    [about] = re.findall(r'href="(/holdings/collected[^"]*)"', ada.get("/meetings/Order%20talk").text)
    assert len([leaf for batch in ada.get(about).json()["batches"] for leaf in batch["leaves"]]) == 3


@pytest.mark.slow
def test_where_all_is_older_than_the_entries_that_prove_it_no_proof_is_offered(server, ada):
    guest, stranger = visitor(server), visitor(server, "demo-stranger")
    guest.post(link_of(server))
    colleague = visitor(server, "demo-administrator")
    assert "Download the proof" in words(ada.get("/holdings"))
    assert "Download the proof" in words(guest.get("/holdings"))
    with server.workspaces.borrow() as workspace:
        index = workspace.folder / "lake" / "index.db"
    with closing(sqlite3.connect(index)) as lake, lake:
        lake.execute("UPDATE records SET batch = NULL")  # as in a lake of the first versions
    for client in (ada, guest):
        said = words(client.get("/holdings"))
        assert "before our public log kept such entries, so there is nothing to prove it by" in said
        assert "Download the proof" not in said
        assert client.get("/holdings/collected").status_code == 400
    assert "Download the proof" not in words(ada.get("/meetings/Order%20talk"))
    said = words(stranger.get("/holdings"))  # of another account, of whom nothing is held
    assert "We hold nothing" in said
    assert "nothing to prove it by" not in said
    assert "Download the proof" not in said
    for client, status in ((visitor(server), 303), (colleague, 403)):
        assert client.get("/holdings").status_code == status


@pytest.mark.slow
def test_the_api_gives_a_person_what_the_page_gives_and_nobody_else_gets_it(server, ada):
    held = ada.get("/v1/people/ada/holdings").json()
    assert sum(day["own"] for day in held["days"]) == 2
    assert zipfile.is_zipfile(io.BytesIO(ada.get("/v1/people/ada/export").content))
    assert [request["kind"] for request in ada.get("/v1/people/ada/requests").json()["items"]] == ["refusal"]
    _, token = server.access.tokens.issue("demo-person", name="", roles=[Role.PERSON], scopes=[Scope.READ])
    for part in ("holdings", "export", "collected", "requests"):
        for client, headers in (
            (ada, {}),
            (visitor(server, "demo-administrator"), {}),
            (visitor(server), {"authorization": f"Bearer {token}"}),
        ):
            assert client.get(f"/v1/people/bo/{part}", headers=headers).status_code == 403
        assert visitor(server, "demo-operator").get(f"/v1/people/bo/{part}").status_code == 200


# --- requests ---


@pytest.mark.slow
def test_a_no_is_listed_with_its_ledger_entry(server, ada):
    with server.workspaces.borrow() as workspace:
        [said] = [one for one in workspace.history().party(workspace.party("person:ada")).decisions if not one.yes]
    answer = words(ada.get("/requests"))
    assert f"entry {said.seq} of the ledger" in answer
    assert "No to training the composer, with all content Done" in answer


@pytest.mark.slow
def test_nothing_is_erased_without_the_box_ticked(server, ada):
    answer = ada.post("/requests/erase", data={})
    assert (answer.status_code, answer.headers["location"]) == (303, "/requests/erase")
    assert "Nothing was erased" in words(ada.get("/requests/erase"))
    with server.workspaces.borrow() as workspace:
        assert workspace.parties.person("ada")


@pytest.mark.slow
def test_an_erasure_ends_the_sign_in_and_is_followed_by_its_link(server, ada):
    answer = ada.post("/requests/erase", data={"confirm": "yes"})
    followed = answer.headers["location"]
    assert answer.status_code == 303
    assert ada.get("/holdings").headers["location"].startswith("/sign-in")
    assert server.access.users.find("demo-person") is None
    with server.workspaces.borrow() as workspace, pytest.raises(RefusedError):
        workspace.parties.person("ada")
    stranger = visitor(server)
    said = words(stranger.get(followed))
    assert "Your records, names and keys are destroyed" in said
    assert "Ada" not in said
    assert stranger.get(followed[:-2] + "xx").status_code == 403
    assert (
        stranger.get(f"/requests/followed/{server.access.links.sign('guest', {'seq': 0}, lasts_us=1)}").status_code
        == 403
    )


@pytest.fixture
def listed(world):
    """List a table elsewhere, which is not there yet."""
    with (world / "volition.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tables.hits]\ndelta = "hits"\npeople = ["who"]\n')
    return world / "hits"


@pytest.mark.slow
def test_an_erasure_says_what_waits_in_tables_elsewhere_and_when_it_is_done(listed, server, ada):
    deltalake = pytest.importorskip("deltalake")
    asked = words(ada.get("/requests/erase"))
    assert "Your rows are taken out of 1 table kept elsewhere. After that: Your name, your addresses" in asked
    stranger, followed = visitor(server), ada.post("/requests/erase", data={"confirm": "yes"}).headers["location"]
    assert ada.get("/holdings").headers["location"].startswith("/sign-in")
    said = words(stranger.get(followed))
    assert "Your rows are being taken out of 1 table kept elsewhere" in said
    assert "In progress" in said
    assert "Ada" not in said
    with server.workspaces.borrow() as workspace:
        deltalake.write_deltalake(str(listed), pa.table({"who": ["ada", "bo"]}))
        with suppress(TableErasureError):  # the server's own worker is at it
            workspace.forgetting.forget()
        until(lambda: workspace.erasures_are_finished)
        assert deltalake.DeltaTable(str(listed)).count() == 1
    assert "Your records, names and keys are destroyed" in words(stranger.get(followed))


# --- terms ---


@pytest.mark.slow
def test_the_terms_are_readable_and_say_what_changed_since_they_were_accepted(ada):
    bound = words(ada.get("/terms"))
    assert "In force for Acme Ltd since" in bound
    assert "A no works at once." in bound
    for page in (bound, words(ada.get("/terms/bundled"))):
        assert "What is different in bundled from granular, which Acme Ltd accepted on" in page
        assert "This allows more than before." in page
    assert "It takes effect on" in words(ada.get("/terms/bundled"))
    assert ada.get("/terms/nothing").status_code == 400


@pytest.mark.slow
def test_a_text_that_was_changed_after_it_was_published_is_not_shown(world, ada):
    for path in (world / "terms").iterdir():
        path.write_text("Everything is allowed.")
    answer = ada.get("/terms/bundled")
    assert answer.status_code == 500
    assert "is not the text that was published" in answer.text


def test_what_terms_say_becomes_no_markup_that_a_page_must_not_hold():
    html = to_html(
        "# Head\n\n<script>alert(1)</script>\n\n![p](https://elsewhere.example/p.png) "
        "[l](javascript:alert(1)) **strong**\n\n| a |\n|---|\n| b |\n"
    )
    assert "<h2>Head</h2>" in html
    assert "<strong>strong</strong>" in html
    assert "<td>b</td>" in html
    assert not re.search(r"<script|<img|href=.javascript", html)


# --- a guest ---


@pytest.mark.slow
def test_a_guest_sees_what_is_used_answers_and_gets_a_receipt_that_holds(server):
    client = visitor(server)
    assert client.get("/guest").headers["location"].startswith("/sign-in")
    assert client.post(link_of(server)).headers["location"] == "/guest"
    page = words(client.get("/guest"))
    assert "Order talk Used" in page
    assert "You said 2 lines; 1 line of others concerns you." in page
    assert "standup" not in page  # where the guest was not
    answered = client.post("/guest/answers/feature-summary", data={"answer": "no"})
    assert answered.headers["location"] == "/guest#feature-summary"
    page = words(client.get("/guest"))
    assert "Summaries Not used 0 of 2 a yes was withdrawn" in page
    with server.workspaces.borrow() as workspace:
        party = workspace.party(f"person:{server.guest}")
        said = workspace.history().party(party).decisions[-1]
    receipt = client.get(f"/guest/receipts/{said.seq}").json()
    status = receipt["record"]["dpv:hasConsentStatus"]
    assert "dpv:ConsentRefused" in status["@type"]
    assert status["dpv:hasIndicationMethod"].startswith("AI settings page")
    with server.workspaces.borrow() as workspace:
        assert verify_receipt(receipt, workspace.verifier).holds
        others = workspace.history().party(workspace.party("person:bo")).decisions[-1].seq
    assert client.get(f"/guest/receipts/{others}").status_code == 400


@pytest.mark.slow
@pytest.mark.parametrize("who", ["a guest", "a colleague by a guest's link"])
@pytest.mark.parametrize("path", ["/search?q=launch", "/chat", "/meetings", "/meetings/standup", "/recommendations"])
def test_a_guest_by_link_opens_nothing_of_the_organisation(server, who, path):
    person = server.guest if who == "a guest" else "ada"
    client = visitor(server)
    client.post(f"/guest/{server.access.links.make_guest_link(person=person, account='acme')}")
    answer = client.get(path)
    assert answer.status_code == 403, answer.text
    assert "Friday" not in answer.text
    assert client.get("/guest").status_code == 200
    assert client.get("/requests").status_code == 200


# --- in a browser ---


@pytest.fixture
def lived(served, tmp_path):
    served.guest = live(served.workspaces, tmp_path)
    return served


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_pages_are_for_everybody(lived, new_page, sign_in, check_access):
    page = sign_in(new_page(dark=True, viewport={"width": 390, "height": 844}))
    erase, keep = (page.locator(f"#{name}") for name in ("erase-me", "keep"))
    page.goto("/requests/erase")
    assert [erase.bounding_box()[side] for side in ("width", "height", "y")] == pytest.approx(
        [keep.bounding_box()[side] for side in ("width", "height", "y")], abs=0.1
    )
    page.context.clear_cookies()
    page.goto(link_of(lived))
    page.get_by_role("button", name="Continue as a guest").click()
    page.locator("summary", has_text="Use by use").first.click()
    check_access(page)
    yes, no = (page.locator(f"#train-summary-{answer}").bounding_box() for answer in ("yes", "no"))
    assert (yes["width"], yes["height"], yes["y"]) == pytest.approx((no["width"], no["height"], no["y"]), abs=0.1)


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_a_guest_says_no_by_keyboard_and_every_place_agrees(lived, page):
    page.goto(link_of(lived))
    page.get_by_role("button", name="Continue as a guest").focus()
    page.keyboard.press("Enter")
    page.locator("#feature-summary-no").focus()
    page.keyboard.press("Enter")
    page.locator("#feature-summary .row .pill", has_text="Not used").wait_for()
    name = page.locator("th", has_text=re.compile("^Summaries$"))
    line = page.locator("#meeting-1-uses tbody tr", has=name)
    assert line.locator(".pill").text_content().strip() == "Not used"
    page.get_by_role("button", name="Undo").click()
    page.locator("#feature-summary .row .pill", has_text=re.compile("^Used")).wait_for()
    assert line.locator(".pill").text_content().strip() == "Used"


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_being_erased_works_without_javascript(lived, new_page, sign_in):
    page = sign_in(new_page(script=False))
    page.goto("/requests")
    page.get_by_role("link", name="See what happens").click()
    page.locator("#erase-me").click()
    assert page.url.endswith("/requests/erase")  # the browser asks for the box first
    page.locator("#confirm").check()
    page.locator("#erase-me").click()
    assert "/requests/followed/" in page.url
    assert page.get_by_text("Your records, names and keys are destroyed").is_visible()
    assert page.locator("nav").count() == 0
    page.goto("/holdings")
    assert "/sign-in" in page.url


SIGNALLED = """
id = "signalled"
title = "Signalled"
effective = 2020-01-01T00:00:00Z
acceptance = "explicit"
text = "signalled.md"

[[rule]]
data = "service"
purpose = ["train/search", "advertising"]
basis = "contract"
refusable_by = ["account", "person"]

[signal.gpc]
refuses = ["train"]
"""


def test_a_signal_of_the_browser_is_not_told_as_an_answer_and_an_answer_counts_over_it(tmp_path):
    (tmp_path / "signalled.toml").write_text(SIGNALLED)
    (tmp_path / "signalled.md").write_text("# Signalled")
    with Workspace.create(tmp_path / "ws", origin="log.example/gpc", profile=None) as workspace:
        workspace.people.add_account("acme", "Acme Ltd")
        workspace.people.add_person("ada", account="acme", name="Ada Byron")
        workspace.terms.publish(read_terms(tmp_path / "signalled.toml"))
        workspace.terms.accept("acme", "signalled")
    server = Server(tmp_path / "ws")
    server.access.users.add("ada", roles=[Role.PERSON], account="acme", person="ada")
    client = TestClient(server, base_url="http://c.example", headers={"sec-fetch-site": "same-origin", "sec-gpc": "1"})
    client.cookies.set("volition", server.access.sessions.begin("ada"))

    client.get("/settings")  # the signal comes with it
    page = " ".join(client.get("/settings").text.split())
    signal = "a signal from your browser (Global Privacy Control) counts as a no"
    assert f"You have not answered, but {signal}. If you want to allow it all the same, say yes" in page
    assert "You said no" not in page
    assert page.count("your answer now") == 0
    assert signal in " ".join(client.get("/weigh").text.split())

    page = " ".join(client.post("/settings/train-search", data={"answer": "yes"}).text.split())
    assert "You said yes." in page
    assert "Your data may train AI" in page
    assert signal not in page

    page = " ".join(client.post("/settings/train-search", data={"answer": "no"}).text.split())
    assert "You said no." in page
    assert signal not in page
    server.close()


@pytest.mark.slow
def test_where_the_terms_give_no_say_no_page_speaks_of_a_yes_or_of_a_no_that_counts(tmp_path):
    talk = tmp_path / "talk.vtt"
    talk.write_text(TALK)
    with Workspace.create(tmp_path / "ws", origin="log.example/say", profile="2023-03-31") as workspace:
        workspace.people.add_account("acme", "Acme Ltd")
        workspace.people.add_person("ada", account="acme", name="Ada Byron")
        workspace.terms.accept("acme")
        workspace.records.collect_webvtt(
            talk, account="acme", started=datetime(2025, 6, 4, 9, tzinfo=UTC), meeting="Order talk"
        )
        guest = workspace.parties.guest("acme", GUEST).id
        workspace.consent.decide("person:ada", yes=False, data=["service", "content"], purpose=["train", "feature"])
    server = Server(tmp_path / "ws")
    server.access.users.add("ada", roles=[Role.PERSON], account="acme", person="ada")
    server.access.users.add("root", roles=[Role.ADMINISTRATOR], account="acme")
    server.access.users.add("zoe", roles=[Role.GUEST], account="acme", person=guest)

    def shown(user, path):
        client = TestClient(server, base_url="http://c.example")
        client.cookies.set("volition", server.access.sessions.begin(user))
        return " ".join(re.sub(r"<[^>]+>", " ", unescape(client.get(path).text)).split())

    requests = shown("ada", "/requests")
    assert "Recorded, but the terms give you no say in this: it is used all the same." in requests
    assert "Done" not in requests
    weigh = shown("ada", "/weigh")
    assert "You: not asked by the terms. Acme Ltd: not asked by the terms; allowed since" in weigh
    assert "Choose:" not in weigh
    meeting = shown("ada", "/meetings/Order talk")
    assert "What is here was collected before the terms allowed this" in meeting
    assert "the yes that it needs" not in meeting
    assert "it was collected before this was allowed" in shown("zoe", "/guest")
    account = shown("root", "/account")
    assert "What AI may do with data of Acme Ltd. Data may train AI" in account
    assert "still say no" not in account
    server.close()
