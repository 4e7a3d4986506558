"""The page that checks evidence in a browser, written from docs/formats alone, against the operator who lies.

It is loaded once; every bundle is handed to the function that it calls itself.
"""

import base64
import json
import random
import sys
from pathlib import Path

import pytest

from forging import Forger
from simulator import SIGNER
from volition.transparency.verify.archive import pack

sys.path.append(str(Path(__file__).parents[2] / "transparency"))  # the lies are told there

from test_dishonest_operator import LIES, cut_off, documents, honest, relined, resigned  # noqa: E402

__all__ = ["documents", "honest"]  # fixtures

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "docs" / "formats" / "samples"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
CALL = """async ([data, key, kept, more]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const { checks, holds, claimed, warnings, lastEntry } = await volition.verify(bytes, key, { kept, ...more });
  return { checks, holds, claimed, warnings, lastEntry };
}"""


@pytest.fixture
def checking(new_page):
    """Open the page as the server gives it; return it with a function that checks what it is handed."""
    page = new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.goto("/verify/").ok
    page.wait_for_load_state("networkidle")
    loaded = len(asked)

    def check(data, key=None, kept=(), **more):
        if isinstance(data, dict):
            data = pack(data) if "checkpoint" in data and "entries.jsonl" in data else json.dumps(data).encode()
        key = key or SIGNER.key.to_text()
        kept = [{"name": name, "text": text} for name, text in kept]
        return page.evaluate(CALL, [base64.b64encode(data).decode(), key, kept, more])

    yield check
    assert len(asked) == loaded, f"the page asked {asked[loaded:]}"


def failing(report):
    return [check["name"] for check in report["checks"] if check["holds"] is not True]


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_the_samples_of_the_formats_hold(checking):
    key = (SAMPLES / "log.pub").read_text()
    kept = [(name, (SAMPLES / name).read_text()) for name in ("checkpoint", "receipt.json", "proof.json", "collected.json")]
    report = checking((SAMPLES / "bundle.zip").read_bytes(), key, kept, notBefore="2026-03-01")
    assert report["holds"], failing(report)
    names = [check["name"] for check in report["checks"]]
    assert names[2:7] == ["extends checkpoint", *(f"receipt {name}" for name, _ in kept[1:]), "not before"]
    for path in SAMPLES.glob("*.json*"):
        assert checking(path.read_bytes(), key)["holds"], path.name
    for path in SAMPLES.glob("*.tlog-proof"):
        assert checking(path.read_bytes(), key)["holds"], path.name


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_every_lie_fails_in_a_check_of_its_name(checking, honest):
    assert checking(honest.members)["holds"]
    assert checking(Forger(honest.members).bundle())["holds"]
    survived = []
    for name, (tell, check, _) in LIES.items():
        forger = Forger(honest.members)
        tell(forger, honest)
        report = checking(forger.bundle())
        if not any(one.startswith(check) for one in failing(report)):
            survived.append((name, check, failing(report)))
    assert survived == []
