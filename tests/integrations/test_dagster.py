"""A model as an asset of Dagster, materialised by the real one: trained, or failed with the reason in words."""

import json

import pytest

from crafts import WallClock, build
from environments import python_of, ran
from volition.workspace import Workspace

SCRIPT = """
import json, sys
from pathlib import Path
import dagster as dg
from volition.integrations.dagster import model_asset
from volition.integrations.step import TrainingStep
from volition.workspace import Workspace

folder = Path(sys.argv[1])

def says_no(party):
    with Workspace.open(folder) as workspace:
        workspace.consent.decide(party, yes=False, data=["service"], purpose=["train"])

def learn(run):
    (run.folder / "count").write_text(str(len(run.rows())))

def learn_too_long(run):
    says_no("person:acme-1")
    learn(run)

def materialised(name, train=learn):
    step = TrainingStep(workspace=folder, name=name, purpose="train/recommend", train=train)
    asset = model_asset(step, group_name="models", retry_policy=dg.RetryPolicy(max_retries=2))
    done = dg.materialize([asset], instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)
    if not done.success:
        tries = sum(event.event_type_value in ("STEP_START", "STEP_RESTARTED") for event in done.all_events)
        return [done.failure_data_for_node(name).user_failure_data.description, tries]
    [one] = done.asset_materializations_for_node(name)
    version = one.tags["dagster/data_version"]
    return [{key: value.value for key, value in one.metadata.items()}, version]

told = {"made": materialised("churn"), "meanwhile": materialised("slow", learn_too_long), "owed": materialised("churn")}
with Workspace.open(folder) as workspace:
    workspace.forgetting.forget()
told["again"] = materialised("churn")
says_no("account:acme")
told["nothing"] = materialised("other")
print(json.dumps(told))
"""


@pytest.mark.slow
def test_an_asset_trains_from_what_is_permitted_or_fails_in_words(tmp_path):
    python = python_of("dagster")
    build(tmp_path / "ws", WallClock(-86_400_000_000), accounts={"acme": 4}).close()
    script = tmp_path / "pipeline.py"
    script.write_text(SCRIPT)
    told = json.loads(ran(python, script, tmp_path / "ws", DAGSTER_DISABLE_TELEMETRY="1", HOME=str(tmp_path)))
    made, version = told["made"]
    assert version == made["manifest"]
    assert made["rows"] == 28
    again, _ = told["again"]
    assert again["rows"] == 21
    assert "said-no" in again["dropped"]
    for name, words in {
        "meanwhile": "is stale",
        "owed": "owes a forgetting of 7 rows",
        "nothing": "28 withdrawn",
    }.items():
        description, tries = told[name]
        assert words in description
        assert tries == 1
    with Workspace.open(tmp_path / "ws") as workspace:
        assert set(workspace.models.states()) == {made["model"], again["model"]}
    assert "acme" not in json.dumps(told)
