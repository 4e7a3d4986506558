"""The README, the glossary and the package's own story say what is so."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import volition
from volition.consent.permits import Reason
from volition.consent.terms.model import CATEGORIES, PURPOSES
from volition.ledger.entry import KINDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "volition"
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def block(language):
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return found


@pytest.mark.slow
def test_the_example_runs_as_it_stands_and_prints_what_the_readme_shows(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}

    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", block("python")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == block("text")


def test_every_test_file_of_the_promises_is_there():
    named = set(re.findall(r"`(tests/\S+?\.py)`", README))

    assert len(named) >= 5
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_leads_nowhere(path):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))

    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_commands_are_in_the_makefile():
    commands = set(re.findall(r"^    make (\w+)", README, re.MULTILINE))

    assert {"demo", "test"} <= commands
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [name for name in sorted(commands) if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_the_glossary_has_every_word_that_the_code_fixes():
    reasons = re.findall(r"^\| `([a-z-]+)` \|", GLOSSARY, re.MULTILINE)
    [kinds] = re.findall(r"kinds of ledger entries: (.*?)\.$", GLOSSARY, re.DOTALL | re.MULTILINE)

    assert reasons == list(Reason)
    assert re.findall(r"`(\w+)`", kinds) == list(KINDS)
    assert [name for name in (*CATEGORIES, *PURPOSES) if f"`{name}`" not in GLOSSARY] == []


def test_the_package_tells_the_version_it_is_installed_as():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert volition.__version__ == project["version"]


@pytest.mark.parametrize("name", volition.__all__)
def test_every_public_name_can_be_fetched(name):
    assert getattr(volition, name) is not None


def test_importing_the_package_loads_none_of_its_modules():
    program = "import sys, volition; print(*sorted(name for name in sys.modules if name.startswith('volition')))"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}

    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert ran.stdout.split() == ["volition"]
