"""Pages of written summaries: asked for, read while they are written, corrected and sent; for nobody else."""

import re
import shutil

import pytest
from starlette.testclient import TestClient

from lying_model import claim, model, told
from volition.server.app import Server
from volition.server.auth import Role
from volition.server.jobs import JobState, Queue
from volition.server.work import SUMMARY_JOB
from volition.server.worker import Worker

SAME = {"sec-fetch-site": "same-origin"}
PAGE = "/summaries/standup"
SAYS = (
    claim("overview", "The launch moves to Friday.", 1),
    claim("task", "The brochure must be ready", 2, who="Bo Berg", due="on Thursday"),
    claim("decision", "The launch moves to Monday.", 1),
)


@pytest.fixture(scope="module")
def allowed(template, tmp_path_factory):
    """Make a workspace whose account allows summaries, once."""
    folder = shutil.copytree(template, tmp_path_factory.mktemp("allowed") / "workspace")
    server = Server(folder, is_demo=True, has_worker=False)
    with server.workspaces.borrow() as workspace:
        workspace.people.add_person("di", account="acme", name="Di Dorn", emails=["di@acme.example"])
        uses = {"data": ["content"], "purpose": ["feature"], "covers": "past"}
        workspace.consent.decide("account:acme", yes=True, **uses)
    server.close()
    return folder


@pytest.fixture
def server(allowed, tmp_path):
    folder = shutil.copytree(allowed, tmp_path / "workspace")
    with model(lambda _: server.says()) as (url, _):
        settings = folder / "volition.toml"
        settings.write_text(f'{settings.read_text()}\n[endpoint]\nurl = "{url}"\nmodel = "liar"\n')
        server = Server(folder, is_demo=True, has_worker=False)
        server.says = lambda: told(*SAYS)
        yield server
        server.close()


def come_in(server, person, account="acme", role=Role.PERSON):
    if server.access.users.find(person) is None:
        server.access.users.add(person, roles=[role], account=account, person=person if role is Role.PERSON else None)
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client.cookies.set("volition", server.access.sessions.begin(person))
    return client


def post(client, path=PAGE, **form):
    return client.post(path, data=form, follow_redirects=False)


def do_jobs(server):
    worker = Worker(server.jobs, server.workspaces, queue=Queue.INDEX)
    while worker.do_next():
        pass


def text(page):
    assert page.status_code == 200, page.text
    return " ".join(re.sub(r"<[^>]*>", " ", page.text.partition("<main")[2]).split())


@pytest.mark.slow
def test_a_summary_is_asked_for_read_corrected_and_sent(server):
    ada, di = come_in(server, "ada"), come_in(server, "di")
    assert PAGE in ada.get("/meetings/standup").text
    assert "are sent to liar at 127.0.0.1:" in text(ada.get(PAGE))
    assert "Nobody receives a summary until" in text(ada.get(PAGE))

    assert post(ada, do="write").headers["location"] == PAGE
    assert post(ada, do="write").status_code == 303
    [job] = server.jobs.all()
    assert (job.kind, set(job.payload)) == (SUMMARY_JOB, {"who", "conversation"})
    assert "ada" not in str(job.payload).casefold()
    waiting = ada.get(PAGE)
    assert "Reload the page to see how far it is." in text(waiting)
    assert 'hx-post="/summary-parts/standup"' in waiting.text

    do_jobs(server)
    part = post(ada, "/summary-parts/standup")
    assert "<html" not in part.text
    assert "The launch moves to Friday." in part.text
    assert 'hx-post="/summary-parts' not in part.text
    done = ada.get(PAGE)
    assert "The launch moves to Friday. 0:01" in text(done)
    assert "Bo Berg, on Thursday" in text(done)
    assert "1 sentence of the model was left out" in text(done)
    assert "2 lines of the transcript were sent" in text(done)
    assert "launch moves to Monday" not in done.text
    assert "sent to a language model on this host" in text(ada.get("/looked"))

    ids = re.findall(r'name="claim" value="([^"]+)"', done.text)
    post(ada, do="reword", claim=ids[0], text="The launch is on <b>Friday</b>.")
    post(ada, do="strike", claim=ids[1])
    post(ada, do="add", kind="question", text="Who prints it?")
    assert post(ada, do="send", people="Di Dorn").status_code == 303
    assert "Sent to Di Dorn" in text(ada.get(PAGE))
    received = di.get(PAGE)
    assert "The launch is on &lt;b&gt;Friday&lt;/b&gt;." in received.text
    assert "in the words of Ada Byron" in received.text
    assert "Who prints it?" in received.text
    assert "brochure" not in received.text
    assert "<form" not in received.text.partition("<main")[2]
    assert "/meetings/standup" not in received.text
    assert "Written for Ada Byron" in text(di.get("/summaries"))
    assert di.get("/meetings/standup").status_code == 400

    post(ada, do="take back", people="di")
    assert di.get(PAGE).status_code == 400
    assert "None" not in text(di.get("/summaries"))


def test_what_the_host_cannot_do_is_said_to_whoever_asked_alone_and_can_be_gone_on_with(server):
    ada = come_in(server, "ada")
    server.says = lambda: (404, b"The launch moves to Friday.")
    post(ada, do="write")
    do_jobs(server)
    [job] = server.jobs.all()
    assert job.state is JobState.FAILED
    assert "launch" not in job.error
    assert "It could not be finished." in text(ada.get(PAGE))
    assert "404" in text(ada.get(PAGE))
    assert post(ada, do="send", people="di").status_code == 409
    server.says = lambda: told(*SAYS)
    assert "Go on writing" in text(ada.get(PAGE))
    post(ada, do="write")
    do_jobs(server)
    assert "The launch moves to Friday. 0:01" in text(ada.get(PAGE))


@pytest.mark.slow
def test_a_colleague_a_stranger_and_a_guest_see_nothing_and_change_nothing(server):
    ada = come_in(server, "ada")
    post(ada, do="write")
    do_jobs(server)
    for person, account in (("di", "acme"), ("cy", "brill")):
        client = come_in(server, person, account)
        for path in (PAGE, "/summary-parts/standup"):
            there, nowhere = (
                client.request("GET" if at.startswith("/summaries") else "POST", at)
                for at in (path, path.replace("standup", "nowhere"))
            )
            assert there.status_code == nowhere.status_code
            assert there.status_code in {400, 403}
            assert there.text.replace("standup", "nowhere") == nowhere.text
        for act in ("write", "reword", "strike", "add", "send", "take back", "nonsense"):
            answer = post(client, do=act, claim="0-0", text="x", people="di", kind="task")
            assert answer.status_code in {303, 400, 403}, act
            assert "launch" not in answer.text
        assert "standup" not in client.get("/summaries").text
    guest = come_in(server, "demo-guest")
    for answer in (guest.get("/summaries"), guest.get(PAGE), post(guest, do="write"), post(guest, "/summary-parts/x")):
        assert answer.status_code in {403, 404}
    assert len(server.jobs.all()) == 1
    assert "The launch moves to Friday." in ada.get(PAGE).text
    anyone = TestClient(server, base_url="http://centre.example", headers=SAME)
    assert anyone.get(PAGE, follow_redirects=False).status_code in {303, 401, 403}


def test_bo_who_was_there_receives_it_only_if_the_account_chose_so(server):
    ada, bo = come_in(server, "ada"), come_in(server, "bo")
    boss = come_in(server, "demo-administrator")
    post(ada, do="write")
    do_jobs(server)
    assert "The launch moves" not in bo.get(PAGE).text
    assert post(ada, "/account/summaries", receives="all there").status_code == 403
    assert post(boss, "/account/summaries", receives="everybody").status_code == 400
    assert post(boss, "/account/summaries", receives="all there").status_code == 303
    assert "Everyone who was in the meeting" in text(boss.get("/account/summaries"))
    assert "The launch moves" in bo.get(PAGE).text
    post(boss, "/account/summaries", receives="nobody")
    assert "The launch moves" not in bo.get(PAGE).text
    post(ada, do="send", people="bo")
    assert "The launch moves" in bo.get(PAGE).text
    ledger = text(come_in(server, "demo-operator").get("/console/ledger"))
    assert "Acme Ltd chose that a written summary which was not sent is read by everyone who was in the" in ledger
    assert "A person of Acme Ltd sent a written summary to a person." in ledger


def test_with_the_switch_off_the_page_says_so_and_shows_nothing(server):
    ada = come_in(server, "ada")
    post(ada, do="write")
    do_jobs(server)
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("account:acme", yes=False, data=["content"], purpose=["feature/summary"])
    page = ada.get(PAGE)
    assert "off here" in text(page)
    assert "launch" not in page.text
    assert "off here" in text(ada.get("/summaries"))
