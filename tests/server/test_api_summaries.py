"""Written summaries over the API, and whether recordings are kept: for whom they are, and for nobody else."""

import shutil

import pytest
from starlette.testclient import TestClient

from lying_model import claim, model, told
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.server.jobs import JobState, Queue
from volition.server.work import SUMMARY_JOB
from volition.server.worker import Worker

MEETING = {"meeting": "standup"}
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
        workspace.terms.accept("brill")
        for account in ("acme", "brill"):
            workspace.consent.decide(f"account:{account}", yes=True, **uses)
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


def asking(server, user, account="acme", role=Role.PERSON):
    """Return a client of the API with a token of somebody."""
    if server.access.users.find(user) is None:
        server.access.users.add(user, roles=[role], account=account, person=user if role is Role.PERSON else None)
    _, secret = server.access.tokens.issue(user, name="t", roles=[role], scopes=list(Scope))
    return TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})


def guest(server):
    client = TestClient(server, base_url="http://api.example", headers={"sec-fetch-site": "same-origin"})
    client.cookies.set("volition", server.access.sessions.begin("demo-guest"))
    return client


def write(server, client):
    """Have the summary of the meeting written; return what was answered."""
    answer = client.post("/v1/summaries", json=MEETING)
    worker = Worker(server.jobs, server.workspaces, queue=Queue.INDEX)
    while worker.do_next():
        pass
    return answer


def read(client, meeting="standup"):
    answer = client.get("/v1/summaries", params={"meeting": meeting})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


@pytest.mark.slow
def test_a_summary_is_asked_for_read_corrected_and_sent(server):
    ada, di = asking(server, "ada"), asking(server, "di")
    assert read(ada) == []

    asked = write(server, ada)

    assert (asked.status_code, asked.json()["state"], asked.json()["own"]) == (202, "writing", True)
    [job] = server.jobs.all()
    assert (job.kind, "ada" in str(job.payload).casefold()) == (SUMMARY_JOB, False)
    [own] = read(ada)
    assert (own["state"], own["lines_sent"], own["host"].partition(":")[0]) == ("done", 2, "127.0.0.1")
    assert [(one["kind"], one["text"]) for one in own["claims"]] == [(one["kind"], one["text"]) for one in SAYS[:2]]
    assert [place["start_ms"] for place in own["claims"][0]["places"]] == [1000]
    assert sum(own["left_out"].values()) == 1
    [listed] = ada.get("/v1/summaries").json()["items"]
    assert listed == {**own, "claims": None}

    first, second = (one["id"] for one in own["claims"])
    for change in (
        {"do": "reword", "claim": first, "text": "The launch is on Friday."},
        {"do": "strike", "claim": second},
        {"do": "add", "kind": "question", "text": "Who prints it?"},
    ):
        changed = ada.post("/v1/summaries/corrections", json={**MEETING, **change})
        assert changed.status_code == 200, changed.text
    assert [one["is_struck"] for one in changed.json()["claims"]] == [False, True, False]
    for bad in ({"do": "add", "text": "x"}, {"do": "strike", "claim": "9-9"}, {"do": "reword", "claim": first}):
        assert ada.post("/v1/summaries/corrections", json={**MEETING, **bad}).status_code == 400, bad

    sent = ada.post("/v1/summaries/sendings", json={**MEETING, "people": ["di@acme.example"]})
    assert (sent.status_code, sent.json()["entry"] > 0) == (201, True)
    assert ada.post("/v1/summaries/sendings", json={**MEETING, "people": ["di"]}).json() == {"entry": None}
    assert [one["name"] for one in read(ada)[0]["sent_to"]] == ["Di Dorn"]
    [received] = read(di)
    assert (received["own"], received["owner"]["name"], received["sent_to"]) == (False, "Ada Byron", [])
    assert [one["text"] for one in received["claims"]] == ["The launch is on Friday.", "Who prints it?"]
    ada.post("/v1/summaries/sendings", json={**MEETING, "people": ["di"], "shared": False})
    assert read(di) == []


@pytest.mark.slow
def test_what_failed_is_gone_on_with_and_not_sent(server):
    ada = asking(server, "ada")
    server.says = lambda: (404, b"nothing here")
    write(server, ada)
    assert [job.state for job in server.jobs.all()] == [JobState.FAILED]
    [own] = read(ada)
    assert (own["state"], "404" in own["error"]) == ("failed", True)
    assert ada.post("/v1/summaries/sendings", json={**MEETING, "people": ["di"]}).status_code == 409
    server.says = lambda: told(*SAYS)
    write(server, ada)
    assert [one["state"] for one in read(ada)] == ["done"]


@pytest.mark.slow
def test_a_colleague_a_stranger_and_a_guest_get_nothing_and_change_nothing(server):
    write(server, asking(server, "ada"))
    for client in (asking(server, "di"), asking(server, "cy", "brill")):
        assert (read(client), client.get("/v1/summaries").json()["items"]) == ([], [])
        for path, body in (
            ("", {}),
            ("/corrections", {"do": "strike", "claim": "0-0"}),
            ("/sendings", {"people": ["di"]}),
        ):
            there, nowhere = (
                client.post(f"/v1/summaries{path}", json={"meeting": name, **body}) for name in ("standup", "nowhere")
            )
            assert there.status_code in {400, 403}, path
            assert there.text.replace("standup", "nowhere") == nowhere.text
    outside = TestClient(server, base_url="http://api.example")
    for client, status in ((guest(server), 403), (asking(server, "demo-administrator", role=Role.ADMINISTRATOR), 403)):
        assert client.get("/v1/summaries").status_code == status
        assert client.post("/v1/summaries", json=MEETING).status_code == status
    assert outside.get("/v1/summaries").status_code == 401
    assert len(server.jobs.all()) == 1
    assert [one["text"] for one in read(asking(server, "ada"))[0]["claims"]] == [one["text"] for one in SAYS[:2]]


def test_with_the_switch_off_nothing_is_read_or_sent(server):
    with server.workspaces.borrow() as workspace:
        workspace.consent.decide("account:acme", yes=False, data=["content"], purpose=["feature/summary"])
    ada = asking(server, "ada")
    assert [ada.get("/v1/summaries").status_code, ada.post("/v1/summaries", json=MEETING).status_code] == [403, 403]
    assert server.jobs.all() == []


def test_whether_recordings_are_kept_is_for_the_accounts_administrator_and_the_operator(server):
    path = "/v1/accounts/acme/recordings"
    boss = asking(server, "demo-administrator", role=Role.ADMINISTRATOR)
    assert boss.get(path).json() == {"keep": False}
    assert boss.post(path, json={"keep": True}).json() == {"keep": True}
    assert asking(server, "demo-operator", role=Role.OPERATOR).get(path).json() == {"keep": True}
    others = (asking(server, "ada"), asking(server, "cy", "brill"), guest(server))
    for client in others:
        answers = (client.get(path), client.post(path, json={"keep": False}))
        assert [one.status_code for one in answers] == [403, 403]
    assert boss.post(path.replace("acme", "brill"), json={"keep": True}).status_code == 403
    with server.workspaces.borrow() as workspace:
        assert [workspace.recordings.keeps(account) for account in ("acme", "brill")] == [True, False]
