"""Whatever a page gives to prove something is checked by the very command that the page prints beside it."""

import html
import json
import re
import shlex
import time
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient

from volition.cli import main
from volition.server.app import Server
from volition.server.auth import Role

SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    with server.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(party, yes=True, data=["service", "content"], purpose=["train"], covers="past")
    yield server
    server.close()


def coming(server, role):
    client = TestClient(server, base_url="http://centre.example", headers=SAME)
    client.cookies.set("volition", server.access.sessions.begin(f"demo-{role}"))
    return client


@pytest.fixture
def checked(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command that a page prints for a download; it gives exit code and output."""
    monkeypatch.chdir(tmp_path)

    def run(page, answer, change=lambda data: data):
        assert answer.status_code == 200, answer.text
        name = unquote(answer.headers["content-disposition"].rpartition("'")[2])
        (tmp_path / name).write_bytes(change(answer.content))
        printed = [html.unescape(one) for one in re.findall(r"<code[^>]*>(volition verify [^<]*)</code>", page)]
        [command] = [one for one in printed if shlex.split(one)[2] == name]
        capsys.readouterr()
        return main(shlex.split(command)[1:]), capsys.readouterr().out

    return run


def test_the_auditor_gets_every_proof_of_the_log_with_the_command_that_checks_it(server, checked):
    client = coming(server, Role.AUDITOR)
    page = client.get("/console/ledger").text
    checkpoint = client.get("/console/ledger/checkpoint")
    code, told = checked(page, checkpoint)
    assert (code, "signed by the log log.example/pages" in told) == (0, True)
    assert checked(page, checkpoint, lambda data: data.replace(b"\n", b"\n\n", 1))[0] == 4
    size = int(checkpoint.text.split("\n")[1])
    consistency = client.get(f"/console/ledger/consistency?old={size // 2}&new={size}")
    assert checked(page, consistency)[0] == 0
    assert checked(page, consistency, lambda data: data.replace(b'"proof":["', b'"proof":["00', 1))[0] == 4
    for seq in range(size):  # what names nobody, an account, a person
        page, proof = client.get(f"/console/ledger/{seq}").text, client.get(f"/console/ledger/{seq}/proof")
        assert checked(page, proof)[0] == 0
    other = json.loads(proof.content) | {"seq": 0}
    assert checked(page, proof, lambda _: json.dumps(other).encode())[0] == 4


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR])
def test_the_evidence_bundle_is_made_downloaded_and_checked(server, world, checked, role):
    client = coming(server, role)
    assert "No bundle yet" in client.get("/console/evidence").text
    for number in range(2):
        assert client.post("/console/evidence").url.path == "/console/evidence"
        assert all(job.error == "" for job in server.jobs.all())
        while not server.jobs.all()[-1].is_over:
            time.sleep(0.02)
        page = client.get("/console/evidence").text
        assert "Nothing came since." in page
        [href] = re.findall(r'href="(/console/evidence/[^"]+)"', page)
        code, told = checked(page, client.get(href))
        assert (code, "Everything holds." in told) == (0, True)
        if number == 0:
            with server.workspaces.borrow() as workspace:
                workspace.consent.decide("person:bo", yes=False, data=["content"], purpose=["train"])
            assert "1 entry came since." in client.get("/console/evidence").text
            gone = href
    assert client.get(gone).status_code == 404
    assert [path.name for path in (world / "evidence").iterdir()] == [href.rpartition("/")[2]]
    with server.workspaces.borrow() as workspace:  # whoever takes the whole log away has read of everybody
        noted = {(line.who, line.reading, line.whose) for line in workspace.accesses.of("ada")}
    assert noted == {(f"demo-{role}", "entries", "everyone")}


def test_a_person_s_proofs_and_receipts_are_checked_as_theirs(server, checked):
    client = coming(server, Role.PERSON)
    page, proofs = client.get("/receipts").text, client.get("/receipts/proofs.json")
    assert checked(page, proofs)[0] == 0
    other = coming(server, Role.OPERATOR).get("/v1/people/bo/proofs").content
    assert checked(page, proofs, lambda _: other)[0] == 4  # somebody else's, handed over
    [receipt] = proofs.json()["receipts"]
    form = {"checkpoint": json.dumps(receipt)}
    answer = client.post("/receipts/consistency", data=form).text
    assert checked(answer, client.post("/receipts/consistency/file", data=form))[0] == 0


def test_a_guest_s_receipt_is_checked(server, checked):
    client = coming(server, Role.GUEST)
    client.post("/guest/answers/train-search", data={"answer": "no"})
    page = client.get("/guest").text
    [href, *_] = re.findall(r'href="(/guest/receipts/\d+)"', page)
    code, told = checked(page, client.get(href))
    assert (code, "said no" in told) == (0, True)
