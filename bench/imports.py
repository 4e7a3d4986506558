"""How fast people and their answers of the past are taken in from files. `python -m bench imports`.

A consent manager's export of 200,000 answers of 50,000 people of 10 accounts (`--rows` for fewer), in CSV: each person
by their address, each answer with its time, its wording and an id. First the people are imported, then the answers,
then the answers once more, which must change nothing; and killed in the middle of a second workspace, the same file
finishes it. CPU seconds count, beside the wall clock; the memory is that of the whole process.
"""

import argparse
import csv
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bench.meetings import machine
from volition.cli.quick import few_collections
from volition.consent.claims import ClaimMapping
from volition.records.tables import read_lines
from volition.workspace import Workspace

ROWS: Final = 200_000
ANSWERS_EACH: Final = 4
ACCOUNTS: Final = 10

_MAPPING: Final = """
source = "consent manager"
data = ["content"]
[columns]
party = "email"
account = "organisation"
purpose = "purpose"
answer = "status"
said = "updated"
wording = "prompt"
id = "receipt"
"""


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Import, import again, and finish what was killed."""
    rows = args.rows or ROWS
    mapping = ClaimMapping.from_toml(_MAPPING)
    with tempfile.TemporaryDirectory(prefix="volition-bench-") as name:
        folder = Path(name)
        _write(folder, rows)
        figures: dict[str, Any] = {"answers": rows, "people": rows // ANSWERS_EACH}
        with _workspace(folder / "one") as workspace:
            people = _timed(lambda: workspace.people.import_people(folder / "people.csv"))
            answers = _timed(lambda: workspace.consent.import_(folder / "answers.csv", mapping))
            again = _timed(lambda: workspace.consent.import_(folder / "answers.csv", mapping))
            doubled = _decisions(workspace) - rows
        with _workspace(folder / "two") as workspace:
            workspace.people.import_people(folder / "people.csv")
            try:
                workspace.consent.import_(_killed(folder / "answers.csv", rows // 2), mapping)
            except KeyboardInterrupt:
                workspace.consent.import_(folder / "answers.csv", mapping)
            lost = abs(_decisions(workspace) - rows)
    figures |= {"people in": people, "answers in": answers, "answers again": again}
    figures["memory at most, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    goals: list[dict[str, Any]] = [
        {"name": "answers a CPU second", "value": round(rows / answers["CPU seconds"]), "at_least": 20_000},
        {"name": "people and answers, seconds", "value": people["seconds"] + answers["seconds"], "at_most": 30},
        {"name": "doubled by importing twice", "value": doubled, "at_most": 0},
        {"name": "lost or doubled by a kill", "value": lost, "at_most": 0},
    ]
    for goal in goals:
        goal["met"] = goal["value"] >= goal["at_least"] if "at_least" in goal else goal["value"] <= goal["at_most"]
    return {"bench": "imports", "figures": figures, "goals": goals, "machine": machine()}


def _workspace(folder: Path) -> Workspace:
    workspace = Workspace.create(folder)
    workspace.people.import_accounts({"id": f"org{number}"} for number in range(ACCOUNTS))
    return workspace


def _write(folder: Path, rows: int) -> None:
    draw, people = random.Random(20), rows // ANSWERS_EACH
    with (folder / "people.csv").open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(("id", "account", "name", "emails"))
        lines.writerows(
            (f"u{one}", f"org{one % ACCOUNTS}", f"Person {one}", f"u{one}@org.example") for one in range(people)
        )
    with (folder / "answers.csv").open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(("email", "organisation", "purpose", "status", "updated", "prompt", "receipt"))
        for number in range(rows):
            one = draw.randrange(people)
            day = f"202{draw.randrange(2, 5)}-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}"
            said = f"{day}T10:{number % 60:02}:00Z"
            purpose = draw.choice(("train", "feature/summary", "feature/search"))
            status = draw.choice(("opt_in", "opt_out"))
            prompt = "May we train our models on your messages?"
            lines.writerow((f"u{one}@org.example", f"org{one % ACCOUNTS}", purpose, status, said, prompt, f"r{number}"))


def _timed(work: Any) -> dict[str, Any]:  # noqa: ANN401 - what imports
    began, began_cpu = time.perf_counter(), time.process_time()
    with few_collections():  # as the commands do
        report = work()
    return {
        "new": report.new,
        "known": report.known,
        "set aside": report.set_aside,
        "CPU seconds": round(time.process_time() - began_cpu, 2),
        "seconds": round(time.perf_counter() - began, 2),
    }


def _killed(path: Path, after: int) -> Iterator[dict[str, Any]]:
    for row in islice(read_lines(path), after):
        yield dict(row.cells or {})
    raise KeyboardInterrupt


def _decisions(workspace: Workspace) -> int:
    return sum(1 for entry in workspace.ledger.entries() if entry.kind == "decision")
