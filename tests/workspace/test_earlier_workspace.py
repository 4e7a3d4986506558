"""A workspace that version 0.2 made, before entries had salts and batches their entries: it opens, goes on, and proves.

`earlier/workspace-0.2.zip` holds that workspace, of invented people, its public key, and what one of them was given then.
"""

import json
import zipfile
from pathlib import Path

import pytest

from crafts import Clock
from volition.ledger.signing import VerifierKey
from volition.transparency.evidence import verify_evidence
from volition.transparency.verify.bundle import Kept, verify_bundle
from volition.workspace import Workspace

ARCHIVE = Path(__file__).with_name("earlier") / "workspace-0.2.zip"


@pytest.fixture
def earlier(tmp_path):
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
    for secret in ("master.key", "signing.key"):
        (tmp_path / "workspace" / secret).chmod(0o600)
    return tmp_path


@pytest.fixture
def clock():
    clock = Clock()
    clock.wait(days=2)
    return clock


def test_what_somebody_was_given_then_still_verifies(earlier):
    key = VerifierKey.from_text((earlier / "log.pub").read_text())

    assert verify_evidence(json.loads((earlier / "proof.json").read_bytes()), key).holds


def test_it_goes_on_and_its_evidence_extends_what_was_kept(earlier, clock, tmp_path):
    kept, note = json.loads((earlier / "proof.json").read_bytes()), (earlier / "checkpoint").read_text()
    person = (earlier / "person").read_text()
    with Workspace.open(earlier / "workspace", clock=clock) as workspace:
        before = [*workspace.ledger.entries()]
        workspace.consent.decide(f"person:{person}", yes=True, data=["content"], purpose=["feature"])
        workspace.records.collect_otlp(earlier / "orchard.jsonl")  # what is there is stored once
        after = [*workspace.ledger.entries()]
        frozen = workspace.snapshots.create("train/recommend")
        model = workspace.models.train("recommend", frozen.id).id
        workspace.proofs.bundle(tmp_path / "evidence.zip")
        again = workspace.proofs.evidence(person)

        assert workspace.ledger.verify().size > len(after)
        assert verify_evidence(again, workspace.verifier).holds
        receipts = {f"then {number}": one for number, one in enumerate(kept["receipts"])}
        verified = verify_bundle(
            tmp_path / "evidence.zip", workspace.verifier, kept=Kept(receipts=receipts, checkpoints={"then": note})
        )

    assert after[: len(before)] == before
    assert all(entry.salt is None for entry in before)
    assert [entry.kind for entry in after[len(before) :]] == ["form", "decision"]
    assert verified.holds, [check for check in verified.checks if not check.holds]
    [collected] = {check.detail for check in verified.checks if check.name == f"collection of {frozen.id}"}
    assert "are older than such entries" in collected
    assert any(check.name == f"permits of {model}, trained" for check in verified.checks)
