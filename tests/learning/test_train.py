"""Training runs: killed for real they go on where they stopped, and end with the same bytes."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulator import silent, world_in
from volition.learning.families.search.family import SearchFamily
from volition.learning.train import FolderParts, train
from volition.records.snapshot import Snapshot

SUBJECTS = ("battery", "budget", "colour", "holiday", "payroll", "menu")
MEETINGS = 6

KILLED = """
import os, signal, sys
from pathlib import Path
from simulator import silent
from volition.learning.families.search.family import SearchFamily
from volition.consent.parties import Parties
from volition.records.snapshot import Snapshot
from volition.learning.train import FolderParts, train
world, snapshot, runs, parts = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
put, left = FolderParts.put, [parts]

def put_or_die(self, name, arrays):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    put(self, name, arrays)

FolderParts.put = put_or_die
frozen, parties = Snapshot.open(snapshot), Parties.open(world)
train(SearchFamily(None), frozen, parties=parties, models=runs / "models", runs=runs, progress=silent)
"""


def record(world, number, category, people, payload):
    return replace(world.record(number, people=people, category=category), payload=payload)


@pytest.fixture
def frozen(tmp_path):
    """Freeze meetings, and what was opened in them."""
    with world_in(tmp_path) as world:
        world.everyone_says("yes")
        records = []
        for meeting in range(MEETINGS):
            where = {"kind": "segment", "meeting": f"meeting-{meeting}"}
            for turn in range(12):
                said = f"so we talk about the {SUBJECTS[(turn // 4 + meeting) % 6]} again {turn}"
                times = {"start_ms": turn * 1000, "end_ms": turn * 1000 + 900}
                payload = {**where, "turn": turn, **times, "speaker": "A", "text": said}
                records.append(record(world, len(records), "content/transcript", ["ada"], payload))
            for first in (0, 4):
                query = f"what about the {SUBJECTS[(first // 4 + meeting) % 6]}"
                turns = {"search.first_turn": first, "search.last_turn": first + 3}
                attributes = {"search.query": query, "search.meeting": f"meeting-{meeting}", **turns}
                payload = {"kind": "event", "name": "search.opened", "attributes": attributes, "body": None}
                records.append(record(world, len(records), "service/usage", ["bo"], payload))
        world.lake.append(records)
        yield world, world.freeze("train/search")


def learn(world, snapshot, runs):
    runs.mkdir(exist_ok=True)
    return train(
        SearchFamily(None), snapshot, parties=world.parties, models=runs / "models", runs=runs, progress=silent
    )


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_training_killed_for_real_goes_on_where_it_stopped_to_the_same_bytes(frozen, tmp_path, monkeypatch, parts):
    world, snapshot = frozen
    runs = tmp_path / "runs"
    runs.mkdir()
    arguments = [str(tmp_path), str(snapshot.folder), str(runs), str(parts)]
    code = [
        sys.executable,
        "-c",
        f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]\n{KILLED}",
    ]
    died = subprocess.run([*code, *arguments], capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    run = runs / f"search-{snapshot.id}"
    assert len(list(run.iterdir())) == parts
    assert not (runs / "models").exists()

    made = []
    put = FolderParts.put
    monkeypatch.setattr(FolderParts, "put", lambda self, name, arrays: (made.append(name), put(self, name, arrays)))
    resumed = learn(world, snapshot, runs)
    assert len(made) == MEETINGS - parts
    assert not run.exists()
    assert resumed.model.files() == learn(world, snapshot, tmp_path / "anew").model.files()
    assert resumed.id == learn(world, Snapshot.open(snapshot.folder), tmp_path / "again").id


@pytest.mark.slow
def test_a_part_that_was_damaged_is_made_again(frozen, tmp_path):
    world, snapshot = frozen
    parts = FolderParts(tmp_path / "runs" / f"search-{snapshot.id}")
    whole = SearchFamily(None).fit(snapshot.rows(world.parties), parts=parts, progress=silent)
    for path, damage in zip(sorted((tmp_path / "runs").rglob("*.npz")), (b"", b"PK", b"\0" * 99), strict=False):
        path.write_bytes(damage)
    assert learn(world, snapshot, tmp_path / "runs").model.files() == whole.files()
