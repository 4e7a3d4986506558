"""The example of the how-to "Train a model of your own" runs as it is written, and what it leaves can be verified."""

import subprocess
import sys
from pathlib import Path

import pytest

from volition.transparency.verify.bundle import verify_bundle
from volition.workspace import Workspace

EXAMPLE = Path(__file__).parent.parent / "examples" / "own_model.py"


@pytest.mark.slow
def test_the_example_goes_from_consent_to_forgetting_to_proof(tmp_path):
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 150
    command = [sys.executable, str(EXAMPLE), str(tmp_path / "ws")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "took its place; it learned from p3: False." in done.stdout
    with Workspace.open(tmp_path / "ws") as workspace:
        assert verify_bundle(tmp_path / "ws" / "bundle.zip", workspace.verifier).holds
        assert workspace.models.owed() == []
