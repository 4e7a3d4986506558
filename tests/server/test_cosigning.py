"""Our log before our witness and a foreign one: real processes, over HTTP, one of them killed."""

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.testclient import TestClient

from volition.cli import main
from volition.errors import InvalidInputError, ProofError
from volition.ledger.policy import Policy, check_policy
from volition.ledger.signing import KeyKind, Signer, VerifierKey, cosign, open_note, parse_checkpoint
from volition.ledger.tlog_proof import verify_tlog_proof
from volition.ledger.witness import Witness, WitnessStore, origin_hash
from volition.server.app import Server
from volition.server.auth import Access, Role
from volition.server.witness_app import application
from volition.transparency.evidence import verify_evidence
from volition.workspace import Workspace
from volition.workspace.doubt import FILE as DOUBTS
from volition.workspace.doubt import Doubt, write_doubts
from volition.workspace.public_log import AskedState
from volition.workspace.witness_client import ask_all
from waiting import until

pytestmark = pytest.mark.slow  # real servers and processes

ORIGIN = "log.example/witnessed"
FOREIGN = os.environ.get("VOLITION_AICS_WITNESS") or shutil.which("aics-witness")


class Served:
    """A witness in a thread of this process."""

    def __init__(self, path, log):
        signer = Signer.from_seed("witness.example/w1", bytes(range(1, 33)), KeyKind.COSIGNATURE)
        self.key = signer.key
        self._store = WitnessStore.create(path, signer.key)
        app = application(Witness(signer, [log], self._store, lambda: int(time.time())))
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        until(lambda: self._server.started)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self):
        self._server.should_exit = True
        self._thread.join()

    def end(self):
        self.stop()
        self._store.close()


def newest(witness):
    with urllib.request.urlopen(f"{witness.url}/{origin_hash(ORIGIN)}/checkpoint") as response:  # noqa: S310 - ours
        return response.read().decode()


class Running:
    """A witness in a process of its own, in a folder, as `volition witness` runs it."""

    def __init__(self, folder, name="witness.example/w1"):
        self.folder, self.name = folder, name
        folder.mkdir(exist_ok=True)
        self.process = None
        self.port = 0
        self.key = None

    def start(self, *logs):
        if logs:
            (self.folder / "logs").write_text("# whom we witness\n" + "".join(f"{key.to_text()}\n" for key in logs))
        options = ["--key", self.folder / "w.key", "--store", self.folder / "w.db", "--logs", self.folder / "logs"]
        command = [sys.executable, "-m", "volition", "witness", *options, "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen([*map(str, command), "--name", self.name], stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        words = line.split()
        assert "is" in words, line
        self.key = VerifierKey.from_text(words[words.index("is") - 1])
        self.url = words[words.index("at") + 1]
        self.port = int(self.url.rpartition(":")[2])
        return self

    def end(self, how=signal.SIGTERM):
        process = self.process
        process.send_signal(how)
        process.wait(20)
        process.stderr.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("witnessed") / "ws"
    with Workspace.create(folder, origin=ORIGIN) as workspace:
        grow(workspace, 3)
        key = workspace.verifier
    return folder, key


def grow(workspace, count):
    known = len(workspace.parties.accounts())
    for number in range(known, known + count):
        workspace.people.add_account(f"a{number}", f"Account {number}", region="GB")


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template[0], tmp_path / "ws")


@pytest.fixture
def witness(template, tmp_path):
    served = Served(tmp_path / "w.db", template[1])
    yield served
    served.end()


@pytest.fixture
def running(template, tmp_path):
    running = Running(tmp_path / "w").start(template[1])
    yield running
    if running.process.poll() is None:
        running.end()


def settle(folder, *witnesses, quorum="all", every_s=1):
    lines = [f"witness w{at} {key.to_text()} {url}" for at, (key, url) in enumerate(witnesses)]
    lines += [f"group g {quorum} {' '.join(f'w{at}' for at in range(len(witnesses)))}", "quorum g"]
    with (folder / "volition.toml").open("a") as settings:
        settings.write(f"\n[witness]\nevery_s = {every_s}\npolicy = '''\n" + "\n".join(lines) + "\n'''\n")


def states(workspace, **how):
    return [(one.state, one.size) for one in workspace.log.ask(**how)]


def test_a_log_is_cosigned_as_it_grows_and_its_proofs_carry_that(folder, witness):
    settle(folder, (witness.key, witness.url))
    with Workspace.open(folder) as workspace:
        size = workspace.ledger.size
        assert workspace.log.newest_cosigned() is None
        assert states(workspace) == [(AskedState.COSIGNED, size)]
        grow(workspace, 4)
        assert workspace.log.newest_cosigned() == workspace.log.cosigned(size) != workspace.ledger.checkpoint(size)
        proof = workspace.log.prove(0)
        assert states(workspace) == [(AskedState.COSIGNED, size + 4)]

        policy = Policy.from_text(f"witness w {witness.key.to_text()}\nquorum w\n")
        accepted = check_policy(workspace.log.cosigned(), policy, log=workspace.verifier)
        assert accepted.checkpoint.size == size + 4
        assert abs(accepted.witnesses["w"] - time.time()) < 60
        assert verify_tlog_proof(proof.to_text(), policy, log=workspace.verifier).accepted.checkpoint.size == size
        assert workspace.status()["witnesses"][0]["size"] == size + 4
    assert parse_checkpoint(open_note(newest(witness), witness.key).text).size == size + 4


def test_a_receipt_is_proved_under_the_newest_checkpoint_that_the_quorum_cosigned(folder, witness):
    settle(folder, (witness.key, witness.url))
    with Workspace.open(folder) as workspace:
        workspace.people.add_account("cosigned", "Cosigned")
        workspace.people.add_person("ada", account="cosigned")
        answer = workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
        assert states(workspace) == [(AskedState.COSIGNED, answer.seq + 1)]
        grow(workspace, 2)  # nobody cosigned these
        later = workspace.consent.decide("person:ada", yes=True, data=["service"], purpose=["train"])
        notes = [workspace.proofs.receipt("ada", one.seq)["checkpoint"] for one in (answer, later)]
        for seq in (answer.seq, later.seq):
            assert verify_evidence(workspace.proofs.receipt("ada", seq), workspace.verifier).holds
        policy = Policy.from_text(f"witness w {witness.key.to_text()}\nquorum w\n")
        assert check_policy(notes[0], policy, log=workspace.verifier).checkpoint.size == answer.seq + 1
        with pytest.raises(ProofError):
            check_policy(notes[1], policy, log=workspace.verifier)


@pytest.mark.slow
def test_a_witness_that_is_killed_at_any_moment_never_signs_a_fork(folder, running, tmp_path):
    settle(folder, (running.key, running.url))
    fork = shutil.copytree(folder, tmp_path / "fork")
    cosigned = 0
    for round_ in range(3):
        with Workspace.open(folder) as workspace:
            grow(workspace, 1 + round_)
            killing = threading.Timer(0.003 * round_, running.end, [signal.SIGKILL])
            killing.start()
            [asked] = workspace.log.ask()
            killing.join()
            running.start()
            if asked.state is AskedState.COSIGNED:
                cosigned = asked.size
            if cosigned:  # what was answered is remembered
                assert parse_checkpoint(open_note(newest(running), workspace.verifier).text).size >= cosigned
            assert states(workspace) == [(AskedState.COSIGNED, workspace.ledger.size)]
            cosigned = workspace.ledger.size
    with Workspace.open(fork) as workspace:
        grow(workspace, 40)  # longer than the other, and of another history
        [asked] = workspace.log.ask()
        assert (asked.state, asked.size > cosigned) == (AskedState.DOUBT, True)


def test_a_folder_that_was_put_back_whole_is_found_and_answers_nothing_more(folder, witness, tmp_path):
    settle(folder, (witness.key, witness.url))
    with Workspace.open(folder) as workspace:
        workspace.log.ask()
    backup = shutil.copytree(folder, tmp_path / "backup")
    with Workspace.open(folder) as workspace:
        grow(workspace, 2)
        assert states(workspace)[0][0] is AskedState.COSIGNED
    with Workspace.open(backup) as workspace:
        [asked] = workspace.log.ask()
        assert asked.state is AskedState.DOUBT
        assert "has cosigned a checkpoint of" in asked.why
        for refused in (
            lambda: workspace.people.add_account("new", "New", region="GB"),
            workspace.terms.published,
            workspace.history,
            workspace.status,
            lambda: workspace.log.export(tmp_path / "out"),
        ):
            with pytest.raises(ProofError, match=r"cut off or forked, as its witnesses know.*Restore the newest copy"):
                refused()
    with Workspace.open(backup) as later, pytest.raises(ProofError, match="Restore the newest copy"):
        later.history()
    with pytest.raises(ProofError):
        Server(backup)
    assert main(["status", "--workspace", str(backup)]) == 4

    shutil.copy(backup / DOUBTS, folder / DOUBTS)  # the newest copy is put back beside it, and the witness asked again
    assert main(["status", "--workspace", str(folder)]) == 4
    assert main(["log", "witness", "--workspace", str(folder)]) == 0
    assert main(["status", "--workspace", str(folder)]) == 0


def test_a_fork_is_found(folder, witness, tmp_path, capsys):
    settle(folder, (witness.key, witness.url))
    small, fork = (shutil.copytree(folder, tmp_path / name) for name in ("small", "fork"))
    with Workspace.open(folder) as workspace:
        grow(workspace, 1)
        workspace.log.ask()
        size = workspace.ledger.size
    with Workspace.open(small) as workspace:
        grow(workspace, 1)
        assert states(workspace) == [(AskedState.DOUBT, size)]  # as large, but with another root
    (small / DOUBTS).unlink()
    with Workspace.open(small) as workspace, pytest.raises(ProofError, match="is gone"):
        grow(workspace, 1)  # nobody ends a doubt by removing it
    with Workspace.open(fork) as workspace:
        grow(workspace, 6)
    capsys.readouterr()
    assert main(["log", "witness", "--workspace", str(fork), "--json"]) == 4
    [told] = json.loads(capsys.readouterr().out)["witnesses"]
    assert (told["state"], told["size"]) == ("doubt", size + 5)
    assert "is not the beginning of the log here" in told["why"]
    with Workspace.open(fork) as workspace, pytest.raises(ProofError, match="forked"):
        workspace.history()


def test_a_witness_that_is_taken_out_of_the_settings_stops_nothing(folder, witness):
    settle(folder, (witness.key, witness.url))
    before = (folder / "volition.toml").read_text()
    (folder / DOUBTS).write_text(
        json.dumps([{"key": witness.key.to_text(), "witness": "w0", "why": "It is mistaken.", "at": "2026-01-01"}])
    )
    with Workspace.open(folder) as workspace, pytest.raises(ProofError, match="w0 at 2026-01-01: It is mistaken"):
        workspace.history()
    (folder / "volition.toml").write_text(before.partition("\n[witness]\nevery")[0])
    with Workspace.open(folder) as workspace:
        assert workspace.history().size


def test_doubt_that_cannot_be_read_is_still_doubt(folder, witness):
    settle(folder, (witness.key, witness.url))
    (folder / DOUBTS).write_text("half")
    with Workspace.open(folder) as workspace:
        with pytest.raises(ProofError, match="cannot be read"):
            workspace.history()
        assert states(workspace)[0][0] is AskedState.COSIGNED
        assert workspace.history().size


@contextmanager
def answering(status, body="", *, wait_s=0.0, headers=()):
    """Serve a witness that always answers the same."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep(wait_s)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/w"
    server.shutdown()
    thread.join()
    server.server_close()


def _closed_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, "", "does not know this log"),
        (403, "", "trusts another key"),
        (500, "broken\nindeed", "answered 500: broken indeed"),
        (301, "", "answered 301"),
        (422, "", "answered 422"),  # of nothing that it cosigned: its own fault
        (409, "many\n", "without a size that makes sense"),
        (409, "0\n", "without a size that makes sense"),
        (200, "", "without a signature that verifies"),
        (200, "nonsense\n", "without a signature that verifies"),
        (200, "x" * 70_000, "too long"),
    ],
)
def test_a_witness_that_fails_is_told_and_stops_nothing(folder, template, status, body, why):
    key = VerifierKey(name="witness.example/odd", public=bytes(template[1].public), kind=4)
    with answering(status, body, headers=[("location", "http://127.0.0.1:9/")]) as url:
        settle(folder, (key, url))
        with Workspace.open(folder) as workspace:
            [asked] = workspace.log.ask()
            assert asked.state is AskedState.TROUBLE
            grow(workspace, 1)
            [told] = workspace.status()["witnesses"]
            assert told["trouble"] == asked.why
            assert told["size"] == 0
    assert why in asked.why
    assert not (folder / DOUBTS).exists()


def test_a_signature_of_another_age_is_not_taken(folder):
    signer = Signer.from_seed("witness.example/w1", bytes(32), KeyKind.COSIGNATURE)
    with Workspace.open(folder) as workspace:
        note = workspace.ledger.checkpoint()
    with answering(200, cosign(note, signer, (1 << 64) - 1).removeprefix(note)) as url:
        settle(folder, (signer.key, url))
        with Workspace.open(folder) as workspace:
            [asked] = workspace.log.ask()
            assert (asked.state, asked.why) == (AskedState.TROUBLE, "its signature has a time that no clock shows")
            assert workspace.status()["witnesses"][0]["cosigned"] is None


def test_one_that_is_down_or_slow_holds_up_no_other(folder, witness):
    key = VerifierKey(name="witness.example/down", public=bytes(31) + b"\x01", kind=4)
    with answering(200, wait_s=3.0) as url:
        requests = {"slow": (url, "x"), "down": (f"http://127.0.0.1:{_closed_port()}", "x")}
        began = time.monotonic()
        answers = ask_all({**requests, "here": (witness.url, "x")}, timeout_s=1.0)
    assert time.monotonic() - began < 10
    assert (answers["slow"].status, answers["down"].status, answers["here"].status) == (0, 0, 400)

    settle(folder, (witness.key, witness.url), (key, requests["down"][0]), quorum="any")
    with Workspace.open(folder) as workspace:
        assert [one.state for one in workspace.log.ask()] == [AskedState.COSIGNED, AskedState.TROUBLE]
        assert workspace.log.has_quorum()
        assert "refused" in workspace.log.witnesses()[1]["trouble"]


def test_each_is_asked_when_it_is_its_turn(folder, witness):
    now_us = [time.time_ns() // 1000]
    settle(folder, (witness.key, witness.url), every_s=60)
    with Workspace.open(folder, clock=lambda: now_us[0]) as workspace:

        def asked_after(seconds):
            now_us[0] += seconds * 1_000_000
            return len(workspace.log.ask(only_due=True))

        assert asked_after(0) == 1
        assert asked_after(600) == 0  # nothing is new
        assert asked_after(86_400) == 1  # but a day has passed
        grow(workspace, 1)
        assert asked_after(59) == 0
        assert asked_after(1) == 1
        witness.stop()
        grow(workspace, 1)
        waits = [asked_after(60), asked_after(60), asked_after(60), asked_after(60), asked_after(180)]
        assert waits == [1, 0, 1, 0, 1]  # after each failure twice as long
        grow(workspace, 1)  # nothing that was appended waited for it


def test_the_server_asks_by_itself(folder, witness):
    settle(folder, (witness.key, witness.url))
    server = Server(folder)
    try:
        with server.workspaces.borrow() as workspace:
            grow(workspace, 2)
        until(lambda: _cosigned(server) is not None, 30)
    finally:
        server.close()


def test_the_console_says_how_it_stands_and_doubt_stops_every_answer(folder, template):
    key = VerifierKey(name="witness.example/down", public=bytes(template[1].public), kind=4)
    settle(folder, (key, f"http://127.0.0.1:{_closed_port()}"))
    access = Access.open(folder)
    access.users.add("olga", roles=[Role.OPERATOR], name="Olga")
    access.close()
    server = Server(folder)
    try:
        with server.workspaces.borrow() as workspace:
            workspace.log.ask()
        client = TestClient(server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
        client.cookies.set("volition", server.access.sessions.begin("olga"))
        assert "not reached: w0" in client.get("/console").text
        assert client.get("/readyz").status_code == 200

        doubt = Doubt(key=key.to_text(), witness="w0", why="it has cosigned a checkpoint of 99 entries.", at="today")
        write_doubts(folder, [doubt])  # as any process of the folder may
        page = client.get("/console")
        assert page.status_code == 500
        assert "it has cosigned a checkpoint of 99 entries" in page.text
        assert "Restore the newest copy of ledger.db" in page.text
        assert client.get("/readyz").status_code == 503
    finally:
        server.close()


def _cosigned(server):
    with server.workspaces.borrow() as workspace:
        return workspace.log.newest_cosigned(above=workspace.ledger.size - 1)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("policy = ''", "does not end with a newline"),
        ("policy = '''\nquorum none\n'''", "names no witness"),
        ("policy = '''\nwitness a {key}\nquorum a\n'''", "needs an address"),
        ("policy = '''\nwitness a {key} http://w.example/\nquorum a\n'''", "beginning with https://"),
        ("policy = '''\nwitness a {key} ftp://w.example/\nquorum a\n'''", "beginning with https://"),
        ("policy = '''\nwitness a {key} https://w.example/?x=1\nquorum a\n'''", "needs an address"),
        ("policy = '''\nwitness a {key} https://w.example/\n'''", "no quorum line"),
        ("policy = '''\nwitness a {key} https://w.example/\nquorum a\n'''\nevery_s = 0", "from 1 to"),
        ("policy = '''\nwitness a {key} https://w.example/\nquorum a\n'''\nevery = 60", "every"),
        ("", "policy"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_with_its_line(folder, template, table, why):
    key = VerifierKey(name="witness.example/w1", public=template[1].public, kind=4).to_text()
    with (folder / "volition.toml").open("a") as settings:
        settings.write(f"\n[witness]\n{table.format(key=key)}\n")
    with pytest.raises(InvalidInputError, match=rf"volition.toml:\d+: .*{why}"):
        Workspace.open(folder)


def test_without_witnesses_nobody_is_asked(folder):
    with Workspace.open(folder) as workspace:
        with pytest.raises(InvalidInputError, match="names no witness"):
            workspace.log.ask()
        assert workspace.log.cosigned() == workspace.ledger.checkpoint()
        assert workspace.status()["witnesses"] == []
    assert not (folder / "cosignatures.db").exists()


def test_a_witness_keeps_its_key_its_store_and_its_name_together(running, capsys):
    def run(*more):
        paths = [
            "--key",
            running.folder / "w.key",
            "--store",
            running.folder / "w.db",
            "--logs",
            running.folder / "logs",
        ]
        capsys.readouterr()
        code = main(["witness", *map(str, paths), *more])
        return code, capsys.readouterr().err

    assert (running.folder / "w.key").stat().st_mode & 0o077 == 0
    code, err = run("--name", "witness.example/other")
    assert (code, "is called witness.example/w1" in err) == (2, True)
    assert run("--listen", "nowhere")[0] == 2
    (running.folder / "w.db").rename(running.folder / "lost.db")
    code, err = run()
    assert (code, "could cosign a fork" in err) == (2, True)
    (running.folder / "logs").write_text("# nobody\n")
    assert "names no log" in run()[1]


def test_a_request_that_is_too_long_is_not_read(witness):
    request = urllib.request.Request(f"{witness.url}/add-checkpoint", data=b"x" * 100_000)  # noqa: S310 - ours
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request)  # noqa: S310 - ours
    error.value.close()
    assert error.value.code == 413


@pytest.mark.skipif(
    not FOREIGN, reason="aics-witness is not installed: it needs Python 3.12 (or name it: VOLITION_AICS_WITNESS)"
)
def test_a_foreign_witness_cosigns_what_only_grew_and_refuses_a_fork(folder, template, tmp_path):
    config, port = tmp_path / "witness.json", _closed_port()

    def foreign(*arguments):
        command = [FOREIGN, *arguments, "--config", str(config)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    key = VerifierKey.from_text(foreign("init", "--name", "foreign.example/w", "--listen", f"127.0.0.1:{port}").strip())
    foreign("add-log", "--origin", ORIGIN, "--vkey", template[1].to_text())
    fork = shutil.copytree(folder, tmp_path / "fork")
    for one in (folder, fork):
        settle(one, (key, f"http://127.0.0.1:{port}"))
    process = subprocess.Popen([FOREIGN, "serve", "--config", str(config)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _is_listening(port), 30)
        with Workspace.open(folder) as workspace:
            assert states(workspace)[0][0] is AskedState.COSIGNED
            grow(workspace, 3)
            assert states(workspace)[0][0] is AskedState.COSIGNED
            assert workspace.log.has_quorum()
        with Workspace.open(fork) as workspace:
            grow(workspace, 1)
            assert states(workspace)[0][0] is AskedState.DOUBT  # it knows a larger one
            grow_in_doubt(fork, 9)
        with Workspace.open(fork) as workspace:
            assert states(workspace)[0][0] is AskedState.DOUBT  # and this does not extend it
    finally:
        process.terminate()
        process.wait(20)


def grow_in_doubt(folder, count):
    (folder / DOUBTS).unlink()
    with Workspace.open(folder) as workspace:
        grow(workspace, count)


def _is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
