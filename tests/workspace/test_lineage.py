"""Lineage from the log: each step that made or undid data is one event, the same whenever it is sent, naming nobody."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from crafts import WallClock, build
from volition.cli import main
from volition.errors import BackendError
from volition.workspace.lineage import Lineage

MISSING = "openlineage-python is not installed: make extras"


@pytest.fixture
def server():
    got = []

    class Keeper(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    listening = HTTPServer(("127.0.0.1", 0), Keeper)
    thread = Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}", got
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.mark.slow
def test_collecting_freezing_training_and_forgetting_are_events(tmp_path, server):
    pytest.importorskip("openlineage.client", reason=MISSING)
    with build(tmp_path / "ws", WallClock(-86_400_000_000), accounts={"acme": 4}) as workspace:
        snapshot = workspace.snapshots.create("train/recommend").id
        with workspace.models.training("churn", snapshot=snapshot) as run:
            (run.folder / "weights").write_text("w")
        workspace.consent.decide("person:acme-0", yes=False, data=["service"], purpose=["train/recommend"])
        workspace.forgetting.forget()
        lines = tmp_path / "lineage.jsonl"
        size = Lineage(workspace.ledger, workspace.origin, to=str(lines)).emit()
        address, got = server
        assert Lineage(workspace.ledger, workspace.origin, to=address).emit() == size == workspace.ledger.size
        assert Lineage(workspace.ledger, workspace.origin, to=address).emit(after=size) == size
        assert main(["lineage", "--after", str(size), "--to", str(lines), "--workspace", str(workspace.folder)]) == 0
        with pytest.raises(BackendError, match="could not be sent"):
            Lineage(workspace.ledger, workspace.origin, to=str(tmp_path / "missing" / "lineage.jsonl")).emit()
        nobody = [person.pseudonym for person in workspace.parties.people()]
    written = [json.loads(line) for line in lines.read_text().splitlines()]
    assert written == got
    assert [event["job"]["name"] for event in got] == ["collect", "snapshot", "train", "forget"]
    assert len({event["run"]["runId"] for event in got}) == 4
    collected, frozen, trained, forgotten = got
    assert collected["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 28
    assert frozen["outputs"][0]["name"] == trained["inputs"][0]["name"] == f"snapshots/{snapshot}"
    assert trained["outputs"][0]["name"] == forgotten["outputs"][0]["name"] == f"models/{run.model}"
    assert forgotten["outputs"][0]["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "DROP"
    assert not [one for one in (*nobody, "acme") if one in json.dumps(got)]
