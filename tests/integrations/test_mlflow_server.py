"""MLflow's own server on SQLite beside the log: dataset, card and proofs with the run, tags, and the guarded alias."""

import json
import os
import signal
import socket
import subprocess
import time
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from crafts import WallClock, build
from environments import python_of, ran

SCRIPT = """
import json, sys
from pathlib import Path
import mlflow
from volition.cli import main
from volition.errors import RefusedError
from volition.learning.audit.measured import Measured
from volition.workspace import Workspace
from volition.workspace.mlflow_registry import MlflowRegistry

folder, uri, database = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
mlflow.set_tracking_uri(uri)
client, told = mlflow.MlflowClient(), {}

def champion():
    try:
        registry.set_alias("churn", version, "champion")
    except RefusedError as error:
        return str(error)
    return client.get_model_version_by_alias("churn", "champion").version

def state():
    tags = client.get_model_version("churn", version).tags
    return [tags["volition.state"], client.get_registered_model("churn").aliases, tags]

with Workspace.open(folder) as workspace:
    registry = MlflowRegistry(workspace.models, workspace.snapshots, workspace.log, uri=uri)
    snapshot = workspace.snapshots.create("train/recommend")
    with mlflow.start_run() as run:
        mlflow.log_input(registry.as_dataset(snapshot.id), context="training")
    run_id = run.info.run_id
    client.create_registered_model("churn")
    version = client.create_model_version("churn", source=f"runs:/{run_id}/model", run_id=run_id).version
    with workspace.models.training("churn", snapshot=snapshot.id) as training:
        training.refer("mlflow", uri=f"models:/churn/{version}", sha256="ab" * 32)
        training.measured(Measured(how="Nothing."))
    told["unknown"] = champion()
    registry.attach(training.model, name="churn", version=version)
    told["unreleased"] = champion()
    workspace.models.release(training.model)
    registry.attach(training.model, name="churn", version=version)
    told["champion"], told["fresh"] = champion(), state()
    [given] = client.get_run(run_id).inputs.dataset_inputs
    told["dataset"] = [given.dataset.name, given.dataset.digest == snapshot.digest[:36]]
    told["files"] = sorted(file.path for file in client.list_artifacts(run_id, "volition"))
    card = Path(client.download_artifacts(run_id, "volition/card.json")).read_bytes()
    told["card"] = card == workspace.models.release_file(training.model, "card.json")
    workspace.consent.decide("person:acme-0", yes=False, data=["service"], purpose=["train/recommend"])
    registry.sync()
    told["owed"], told["owing"] = state(), champion()
    workspace.forgetting.forget()
    client.set_registered_model_alias("churn", "champion", version)  # past the guard
assert main(["mlflow", "sync", "--uri", database, "--workspace", str(folder)]) == 0  # the database itself, without a server
told["forgotten"] = state()
print(json.dumps(told))
"""


@pytest.fixture
def server(tmp_path):
    """The python of MLflow's environment, its server's address, and its database."""
    python = python_of("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = f"sqlite:///{tmp_path / 'mlflow.db'}"
    command = [python.parent / "mlflow", "server", "--backend-store-uri", database, "--host", "127.0.0.1"]
    command += ["--artifacts-destination", tmp_path / "artifacts", "--port", str(port), "--workers", "1"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("wb") as log:
        running = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=tmp_path, env=environment, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        while not _answers(address):
            assert running.poll() is None, (tmp_path / "server.log").read_text()[-3000:]
            time.sleep(0.2)
        yield python, address, database
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _answers(address):
    try:
        with urlopen(f"{address}/health", timeout=5) as answer:  # noqa: S310 - our own server
            return answer.status == 200
    except (URLError, TimeoutError, ConnectionError):
        return False


@pytest.mark.slow
def test_on_a_server_with_sqlite_a_version_is_champion_only_while_its_model_may_work(server, tmp_path):
    python, address, database = server
    build(tmp_path / "ws", WallClock(-86_400_000_000), accounts={"acme": 4}).close()
    script = tmp_path / "registry.py"
    script.write_text(SCRIPT)
    told = json.loads(ran(python, script, tmp_path / "ws", address, database, MLFLOW_DISABLE_TELEMETRY="true"))
    assert "of no model here" in told["unknown"]
    assert "is trained" in told["unreleased"]
    assert told["fresh"][:2] == ["fresh", {"champion": told["champion"]}]
    assert told["dataset"][0].startswith("train-recommend-")
    assert told["dataset"][1]
    names = ("attestation.json", "card.json", "card.md", "release.tlog-proof")
    assert told["files"] == [f"volition/{name}" for name in names]
    assert told["card"]
    assert told["owed"][:2] == ["owed", {}]
    assert told["owed"][2]["volition.due"].startswith("20")
    assert "is owed" in told["owing"]
    assert told["forgotten"][:2] == ["forgotten", {}]
    assert "acme" not in json.dumps(told)
