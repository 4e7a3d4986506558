"""A model as a task of Airflow, run by the real one: trained, or failed with the reason in words and not tried again."""

import json
import shutil

import pytest

from crafts import WallClock, build
from environments import python_of, ran
from volition.workspace import Workspace

DAG = """
import json, os
from datetime import datetime
from pathlib import Path
from airflow.sdk import DAG, task
from volition.integrations.airflow import TrainingOperator
from volition.integrations.step import TrainingStep
from volition.workspace import Workspace

folder = Path(os.environ["VOLITION_TESTED"])

def learn(run):
    (run.folder / "count").write_text(str(len(run.rows())))

def learn_too_long(run):
    with Workspace.open(folder) as workspace:
        workspace.consent.decide("person:acme-1", yes=False, data=["service"], purpose=["train"])
    learn(run)

def failed(context):
    ti = context["ti"]
    (folder.parent / f"{ti.task_id}.json").write_text(json.dumps([str(context["exception"]), ti.try_number]))

def trains(task_id, name, purpose="train/recommend", train=learn):
    step = TrainingStep(workspace=folder, name=name, purpose=purpose, train=train)
    return TrainingOperator(task_id=task_id, step=step, retries=2, trigger_rule="all_done", on_failure_callback=failed)

@task
def told(made):
    (folder.parent / "made.json").write_text(json.dumps(made))

with DAG("models", start_date=datetime(2026, 1, 1), schedule=None) as dag:
    made = trains("made", "churn")
    told(made.output)
    made >> trains("meanwhile", "slow", train=learn_too_long) >> trains("owed", "churn") >> trains(
        "nothing", "other", "train/diagnose")

if __name__ == "__main__":
    run = dag.test()
    print(json.dumps({one.task_id: one.state for one in run.get_task_instances()}))
"""

PREPARE = """
from airflow.utils.db import initdb
initdb()
"""


@pytest.mark.slow
def test_a_task_trains_from_what_is_permitted_or_fails_in_words(tmp_path):
    python = python_of("airflow")
    build(tmp_path / "ws", WallClock(-86_400_000_000), accounts={"acme": 4}).close()
    dag = tmp_path / "home" / "dags" / "models.py"
    dag.parent.mkdir(parents=True)
    dag.write_text(DAG)
    prepare = tmp_path / "prepare.py"
    prepare.write_text(PREPARE)
    environment = {
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "VOLITION_TESTED": str(tmp_path / "ws"),
    }
    ran(python, prepare, **environment)
    states = json.loads(ran(python, dag, **environment))
    assert states == {
        "made": "success",
        "told": "success",
        "meanwhile": "failed",
        "owed": "failed",
        "nothing": "failed",
    }
    made = json.loads((tmp_path / "made.json").read_text())
    assert made["rows"] == 28
    for name, words in {
        "meanwhile": "is stale",
        "owed": "owes a forgetting of 7 rows",
        "nothing": "Nothing may be",
    }.items():
        reason, tries = json.loads((tmp_path / f"{name}.json").read_text())
        assert words in reason
        assert tries == 1
    with Workspace.open(tmp_path / "ws") as workspace:
        assert list(workspace.models.states()) == [made["model"]]
    shutil.rmtree(tmp_path / "home")
