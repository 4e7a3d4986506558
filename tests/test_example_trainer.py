"""The example with Hugging Face's Trainer runs as it is written, in two processes: to a model, or at a no to none."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from volition.workspace import Workspace

FOLDER = Path(__file__).parent.parent / "examples" / "trainer"

SAYING_NO = """
import json, os, sys, time
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import torch.distributed as dist
import train
from transformers import TrainerCallback
from volition.errors import RefusedError
from volition.workspace import Workspace

folder, seen, said = Path(sys.argv[2]), [], []

class Watching(train.PermittedTrainer):
    def compute_loss(self, model, inputs, **options):
        loss = super().compute_loss(model, inputs, **options)
        seen.append((bool(said), sorted({one for people in inputs["people"] for one in people})))
        return loss

class SaysNo(TrainerCallback):
    def on_step_begin(self, args, state, control, **more):
        if state.global_step == 2:
            if dist.get_rank() == 0:
                workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=["train"])
            dist.barrier()
            said.append(True)

made = folder.with_suffix(".made")
if os.environ["RANK"] == "0":
    train.make(folder)
    made.touch()
while not made.exists():
    time.sleep(0.1)
with Workspace.open(folder) as workspace:
    [snapshot] = workspace.snapshots.ids()
    model, refused = train.train(workspace, snapshot), ""
    train.PermittedTrainer = Watching
    try:
        train.train(workspace, snapshot, SaysNo(), workers=1)
    except RefusedError as error:
        refused = str(error)
    ada = workspace.parties.person("ada").pseudonym
    told = {"model": model, "refused": refused, "seen": [[late, ada in people, len(people)] for late, people in seen]}
    (folder.parent / f"rank-{dist.get_rank()}.json").write_text(json.dumps(told))
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_the_example_makes_a_model_in_two_processes_and_a_no_stops_rows_in_both(tmp_path):
    """One run for all of it: what takes the time is to load the packages."""
    lacking = [name for name in ("torch", "transformers", "accelerate", "tokenizers") if find_spec(name) is None]
    if lacking:
        say = pytest.fail if os.environ.get("VOLITION_TRAIN") == "required" else pytest.skip
        say(f"{lacking} are not installed: make extras")
    assert len((FOLDER / "train.py").read_text(encoding="utf-8").splitlines()) < 150
    script = tmp_path / "saying_no.py"
    script.write_text(SAYING_NO)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, str(script), str(FOLDER), str(tmp_path / "ws")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]

    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2))
    assert second["model"] is None
    for told in (first, second):
        assert "is stale" in told["refused"]
        assert any(has_ada for late, has_ada, _ in told["seen"] if not late)
        late = [(has_ada, people) for late, has_ada, people in told["seen"] if late]
        assert not any(has_ada for has_ada, _ in late)
        assert any(people for _, people in late), "the others' rows still come"
    assert len(first["seen"]) == len(second["seen"]), "as many steps in each"

    with Workspace.open(tmp_path / "ws") as workspace:
        assert list(workspace.models.states()) == [first["model"]]
        files = workspace.models.files(first["model"])
        assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(files)
        assert all(name.endswith((".safetensors", ".json", ".jinja")) for name in files), "data only"
        assert workspace.models.open(first["model"]).model.settings["parameters"]["epochs"] == 2
        [owed] = workspace.models.owed()
        assert owed.model == first["model"]
        assert list((workspace.folder / "runs").iterdir()) == []
