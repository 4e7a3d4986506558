"""The documentation says what is so: its commands run, and its names, options and files are there."""

import inspect
import os
import re
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import pytest

from volition.workspace import Workspace
from volition.workspace.accesses import Accesses
from volition.workspace.audiences import Audiences
from volition.workspace.consent import Consent
from volition.workspace.documents import Documents
from volition.workspace.exclusions import ConversationExclusions
from volition.workspace.features import Features
from volition.workspace.forgetting import Forgetting
from volition.workspace.gate import GateQuestions
from volition.workspace.models import Models
from volition.workspace.people import People
from volition.workspace.permit_tables import PermitTables
from volition.workspace.proofs import Proofs
from volition.workspace.public_log import PublicLog
from volition.workspace.recordings import Recordings
from volition.workspace.records import Records
from volition.workspace.retraining import Retraining
from volition.workspace.rights import Rights
from volition.workspace.snapshots import Snapshots
from volition.workspace.sources import Sources
from volition.workspace.summaries import Summaries
from volition.workspace.terms import PublishedTerms
from volition.workspace.weigh import Weighing

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GROUPS = {
    "terms": PublishedTerms,
    "people": People,
    "gate": GateQuestions,
    "consent": Consent,
    "records": Records,
    "sources": Sources,
    "recordings": Recordings,
    "snapshots": Snapshots,
    "models": Models,
    "features": Features,
    "weigh": Weighing,
    "forgetting": Forgetting,
    "rights": Rights,
    "audiences": Audiences,
    "exclusions": ConversationExclusions,
    "proofs": Proofs,
    "log": PublicLog,
    "accesses": Accesses,
    "retraining": Retraining,
    "documents": Documents,
    "summaries": Summaries,
    "permit_tables": PermitTables,
}


def read(name):
    return (DOCS / name).read_text(encoding="utf-8")


def run(command, folder, **more):
    environment = {name: value for name, value in os.environ.items() if name != "VOLITION_WORKSPACE"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, **more)


def in_one_line(text):
    return " ".join(text.split())


@pytest.mark.slow
def test_the_first_ten_minutes_go_as_they_are_written(tmp_path):
    page = read("get-started.md")
    here, ran = tmp_path, 0
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        said = ""
        for line in block.splitlines():
            if line.startswith("$ cd "):
                here /= line.removeprefix("$ cd ")
            elif line.startswith("$ "):
                done = run(["sh", "-c", line.removeprefix("$ ")], here)
                assert done.returncode == 0, (line, done.stdout, done.stderr)
                said, ran = in_one_line(done.stdout), ran + 1
            else:
                assert in_one_line(line) in said, line
    assert ran >= 10

    [program] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    [expected] = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert run([sys.executable, "-c", program], tmp_path).stdout == expected


def _new_names():
    for line in read("migrating.md").partition("## Modules")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 2 and not cells[1].startswith("0.2"):
            if cells[1].endswith("and the same name"):
                group = re.findall(r"`(\w+)\.`", cells[1])[0]
                yield from ((group, name) for name in re.findall(r"`(\w+)\(", cells[0]))
            else:
                yield from re.findall(r"`(\w+)\.(\w+)\(", cells[1])


def test_every_new_name_of_the_migration_table_is_there():
    names = list(_new_names())

    assert len(names) > 60
    assert [f"{group}.{name}" for group, name in names if not hasattr(GROUPS[group], name)] == []
    offered = {name for name, value in vars(Workspace).items() if isinstance(value, cached_property) and name[0] != "_"}
    assert offered == set(GROUPS)
    assert all(inspect.getdoc(vars(Workspace)[name].func) for name in offered)


def _commands():
    """Yield each `volition ...` line of the how-to pages, by page."""
    for path in sorted((DOCS / "how-to").glob("*.md")):
        for line in re.findall(r"^ {4}(volition .*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield path.name, line.partition(" #")[0].split()


def test_the_commands_of_the_how_to_pages_are_there_with_their_options():
    sections = re.split(r"^### volition ?", read("cli.md"), flags=re.MULTILINE)
    options = {section.partition("\n")[0]: set(re.findall(r"--[a-z-]+", section)) for section in sections[1:]}
    commands = list(_commands())

    assert len(commands) > 25
    for page, words in commands:
        name = max((key for key in options if words[1 : 1 + len(key.split())] == key.split()), key=len)
        assert name, (page, words)
        assert {word for word in words if word.startswith("--")} <= options[name], (page, words)


@pytest.mark.parametrize("path", sorted((DOCS / "add").glob("*.md")), ids=lambda path: path.stem)
def test_the_files_that_a_recipe_names_are_there(path):
    named = re.findall(r"`((?:src|tests|docs|bench)/[\w./-]+)`", path.read_text(encoding="utf-8"))
    named += re.findall(r"T=((?:src|tests)/[\w./-]+)", path.read_text(encoding="utf-8"))

    assert [name for name in named if "NAME" not in name and not (ROOT / name).exists()] == []
