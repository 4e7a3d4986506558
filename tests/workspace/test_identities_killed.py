"""A merge that is killed (SIGKILL) at any moment: never one person without the stricter answer of the two."""

import json
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from volition.canonical import datetime_to_us
from volition.errors import InvalidInputError
from volition.progress import silent
from volition.records.ingest import Draft, PersonRef
from volition.workspace import Workspace

MERGE = """
import os, signal, sys
from pathlib import Path
from volition.workspace import Workspace

folder, gone, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
calls = 0

def count(frame, event, argument):
    global calls
    calls += 1
    code = frame.f_code
    here = f"{event} of {code.co_name} in {Path(code.co_filename).name}"
    if when in {str(calls), here}:
        os.kill(os.getpid(), signal.SIGKILL)

with Workspace.open(folder) as workspace:
    sys.setprofile(count)
    workspace.people.merge(gone, into="ann")
    sys.setprofile(None)
print(calls)
"""
MOMENTS = 8
BETWEEN = [
    f"{event} of {what}"
    for what in ("append in log.py", "merge in changes.py", "_settle in people.py")
    for event in ("call", "return")
]
ABOUT = {"data": ["content"], "purpose": ["train", "feature"]}


def take_in(workspace, name, text):
    draft = Draft(
        key=text,
        account="acme",
        people=(PersonRef(name=name),),
        category="content/transcript",
        at_us=datetime_to_us(datetime(2024, 11, 3, 9, tzinfo=UTC)),
        payload={"kind": "segment", "text": text, "meeting": text, "speaker": name},
    )
    workspace.records.take_in(iter([draft]), "acme", silent)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Ann said yes, and Annie no to one purpose; nothing but the operator says that they are one."""
    folder = tmp_path_factory.mktemp("killed") / "ws"
    with Workspace.create(folder, origin="log.example/killed") as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.terms.accept("acme", "granular")
        workspace.consent.decide("account:acme", yes=True, covers="past", **ABOUT)
        workspace.people.add_person("ann", account="acme", name="Ann Lee", emails=["ann@acme.example"])
        take_in(workspace, "Ann Lee", "giraffe")
        take_in(workspace, "Annie", "zebra")
        annie = heard(workspace)
        for party in ("person:ann", f"person:{annie}"):
            workspace.consent.decide(party, yes=True, covers="past", **ABOUT)
        workspace.consent.decide(f"person:{annie}", yes=False, data=["content"], purpose=["feature/search"])
    return folder


def heard(workspace):
    [found] = [one for one in workspace.parties.people("acme") if one.is_heard]
    return found.id


def permitted(workspace, purpose):
    rows = workspace.records.rows(purpose, categories=["content/transcript"])
    return sorted(json.loads(payload)["text"] for batch in rows for payload in batch["payload"].to_pylist())


def merge(folder, gone, when):
    """Merge in a process of its own that is killed then: after so many calls, or at a call or a return by name."""
    code = [sys.executable, "-c", MERGE, str(folder), gone, when]
    return subprocess.run(code, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def whole(template, tmp_path_factory):
    """Return who is merged, and how many calls a whole merge makes."""
    with Workspace.open(template) as workspace:
        gone = heard(workspace)
    done = merge(shutil.copytree(template, tmp_path_factory.mktemp("whole") / "ws"), gone, "never")
    assert done.returncode == 0, done.stderr
    return gone, int(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [*BETWEEN, *range(MOMENTS)])
def test_a_killed_merge_leaves_two_as_they_were_or_one_with_the_stricter_answer(template, whole, tmp_path, moment):
    gone, calls = whole
    folder = shutil.copytree(template, tmp_path / "ws")
    done = merge(folder, gone, moment if isinstance(moment, str) else str(1 + moment * (calls - 1) // MOMENTS))
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Workspace.open(folder) as workspace:
        is_one = workspace.parties.person(gone).id == "ann"
        assert permitted(workspace, "feature/search") in ([[]] if is_one else [["giraffe"], []])
        assert permitted(workspace, "train/search") == ["giraffe", "zebra"], "what neither refuses is left alone"
        with suppress(InvalidInputError):  # "one person already"
            workspace.people.merge(gone, into="ann")
        assert workspace.parties.person(gone).id == "ann"
        assert permitted(workspace, "feature/search") == []
        assert permitted(workspace, "train/search") == ["giraffe", "zebra"]
        workspace.consent.decide("person:ann", yes=True, covers="past", **ABOUT)
        assert permitted(workspace, "feature/search") == ["giraffe", "zebra"], "and one answer is for both"
