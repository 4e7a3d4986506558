"""MLflow beside the ledger: a version is called champion only while its model may work, and its tags say what it owes."""

import json
import sys

import pytest

from crafts import WallClock, build
from volition.cli import main
from volition.errors import BackendError, InvalidInputError, RefusedError
from volition.learning.audit.measured import Measured

MISSING = "mlflow is not installed: make extras"


@pytest.fixture
def workspace(tmp_path):
    with build(tmp_path / "ws", WallClock(-86_400_000_000), accounts={"acme": 4}) as made:
        yield made


@pytest.mark.slow
def test_a_version_is_champion_only_while_its_model_may_work(workspace, tmp_path, monkeypatch, capsys):
    pytest.importorskip("mlflow", reason=MISSING)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database would need the whole of mlflow
    from mlflow import MlflowClient  # noqa: PLC0415

    from volition.workspace.mlflow_registry import MlflowRegistry  # noqa: PLC0415

    uri = (tmp_path / "mlruns").as_uri()
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    run_id = client.create_run(client.create_experiment("churn")).info.run_id
    client.create_registered_model("churn")
    version = client.create_model_version("churn", source=f"{tmp_path}/m", run_id=run_id).version
    registry = MlflowRegistry(workspace.models, workspace.snapshots, workspace.log, uri=uri)
    snapshot = workspace.snapshots.create("train/recommend").id
    with workspace.models.training("churn", snapshot=snapshot) as run:
        run.refer("mlflow", uri=f"models:/churn/{version}", sha256="ab" * 32)
        run.measured(Measured(how="Nothing."))

    def tags():
        return client.get_model_version("churn", str(version)).tags

    with pytest.raises(RefusedError, match="of no model here"):
        registry.set_alias("churn", version, "champion")
    assert registry.attach(run.model, name="churn", version=version).state == "trained"
    with pytest.raises(RefusedError, match="is trained"):
        registry.set_alias("churn", version, "champion")
    registry.set_alias("churn", version, "candidate")  # not guarded
    workspace.models.release(run.model)
    assert registry.attach(run.model, name="churn", version=version).state == "fresh"
    registry.set_alias("churn", version, "champion")
    [given] = client.get_run(run_id).inputs.dataset_inputs
    assert given.dataset.name == snapshot
    files = {file.path for file in client.list_artifacts(run_id, "volition")}
    assert files == {f"volition/{name}" for name in ("card.json", "card.md", "attestation.json", "release.tlog-proof")}

    workspace.consent.decide("person:acme-0", yes=False, data=["service"], purpose=["train/recommend"])
    [done] = registry.sync()
    assert (done.state, done.taken) == ("owed", ("champion",))
    assert tags()["volition.state"] == "owed"
    assert tags()["volition.due"].startswith("20")
    assert tags()["volition.forgets"] == "retired"
    with pytest.raises(RefusedError, match="is owed"):
        registry.set_alias("churn", version, "champion")
    workspace.forgetting.forget()
    assert main(["mlflow", "sync", "--uri", uri, "--json", "--workspace", str(workspace.folder)]) == 0
    assert json.loads(capsys.readouterr().out)["versions"][0]["state"] == "forgotten"
    assert tags()["volition.state"] == "forgotten"
    assert "acme-0" not in json.dumps(tags())
    client.set_registered_model_alias("churn", "champion", version)  # past the guard
    [done] = registry.sync()
    assert done.taken == ("champion",)
    with pytest.raises(InvalidInputError, match="no model"):
        registry.attach("churn-000000000000", name="churn", version=version)
    with pytest.raises(BackendError, match="MLflow did not do it"):
        registry.set_alias("churn", 99, "champion")


def test_without_mlflow_it_says_what_to_install(workspace, monkeypatch):
    from volition.workspace import mlflow_registry  # noqa: PLC0415

    monkeypatch.setattr("volition.errors.find_spec", lambda _name: None)
    with pytest.raises(BackendError, match=r"pip install 'volition\[mlflow\]'"):
        mlflow_registry.MlflowRegistry(workspace.models, workspace.snapshots, workspace.log)


def test_a_registry_that_needs_more_than_its_client_brings_says_so(workspace, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason=MISSING)
    from volition.workspace.mlflow_registry import MlflowRegistry  # noqa: PLC0415

    monkeypatch.setitem(sys.modules, "alembic.migration", None)  # whether or not it is installed here
    with pytest.raises(BackendError, match="alembic"):
        MlflowRegistry(workspace.models, workspace.snapshots, workspace.log, uri=f"sqlite:///{tmp_path / 'm.db'}")
