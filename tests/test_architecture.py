"""The shape of the house: imports point down, a heavy package has one home, and only the gate opens the lake."""

import ast
import graphlib
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import get_type_hints

import pytest

import volition
from volition.consent.gate import Participant, Subject
from volition.consent.permits import Permits
from volition.records import lake
from volition.records.lake import Compacted, Lake, Row
from volition.records.lake.reader import Reader

PACKAGE = Path(volition.__file__).parent
PROJECT = PACKAGE.parent.parent / "pyproject.toml"

LAYERS = [  # a module may import only from earlier lines; a folder counts as one module
    "errors canonical files progress",
    "ledger",
    "consent",
    "records",
    "learning",
    "features transparency",
    "workspace",
    "integrations",
    "server",
    "cli",
    "client",
]
RANK = {name: rank for rank, line in enumerate([*LAYERS, "__init__", "__main__"]) for name in line.split()}
LEAVES = ["errors", "canonical", "files", "progress"]  # in this order, since they are one line

HOMES = {  # a package that is not Python's own, and the modules and folders that may import it
    "airflow": "integrations.airflow",
    "argon2": "server.auth.passwords",
    "authlib": "server.web.signin",
    "av": "records.ingest",
    "confluent_kafka": "workspace.consumers",
    "cryptography": "consent.parties.sealed_secrets consent.parties.vault learning.model_signature ledger.signing server.auth.second_factors",
    "dagster": "integrations.dagster",
    "datasets": "records.stream",
    "deltalake": "consent.permit_tables.targets records.foreign",
    "duckdb": "consent.permit_tables.targets records.engines records.foreign",
    "fairlearn": "learning.audit",
    "faster_whisper": "records.ingest",
    "fastapi": "server.api",
    "google": "records.ingest",
    "httpx": "client features.llm",
    "httpx2": "server.api server.web",
    "gguf": "learning.families.adapter",
    "jinja2": "server.web",
    "joserfc": "server.web.signin",
    "lightgbm": "learning.families",
    "markdown_it": "server.web.markdown",
    "markupsafe": "server.web",
    "mlflow": "workspace.mlflow_registry",
    "msgspec": "canonical client features.written learning ledger records.ingest.otlp_plain records.lake.buffer server.api",
    "nats": "workspace.consumers",
    "numpy": "consent learning features.search_cache records transparency.verify",
    "onnx": "learning.minilm",
    "onnxruntime": "learning.encoder",
    "openlineage": "workspace.lineage",
    "opentelemetry": "records.ingest server.api server.job_spans server.otel",
    "py4j": "records.engines",  # the errors by which Spark's Java answers
    "opacus": "learning.dp",
    "pandas": "records.foreign records.stream",
    "peft": "learning.families.adapter",
    "polars": "records.foreign records.stream",
    "psycopg": "consent.permit_tables.targets",
    "prometheus_client": "server.metrics",
    "pyarrow": "consent.gate.asked consent.gate.batch consent.gate.pairs consent.permit_tables records server.api transparency.holdings transparency.verify",
    "pydantic": "server.api",
    "pyiceberg": "consent.permit_tables.targets records.foreign",
    "pyspark": "records.engines records.foreign",
    "rfc8785": "canonical",
    "rich": "cli",
    "safetensors": "learning",
    "scipy": "learning",
    "segno": "server.web.signin",
    "spellchecker": "features.spelling",
    "sqlglot": "consent.permit_tables",
    "starlette": "server",
    "tokenizers": "learning",
    "torch": "learning.families.adapter records.stream",
    "transformers": "learning.families.adapter",
    "typer": "cli",
    "uvicorn": "server.app server.connections server.witness_app",
    "uvloop": "server.app",
}
HEAVY = set(HOMES) - {"rfc8785", "rich", "typer"} | {"torch", "pandas", "sklearn"}

MODULES = sorted(PACKAGE.rglob("*.py"))
PACKAGES = sorted(path.parent for path in MODULES if path.name == "__init__.py" and path.parent != PACKAGE)
LAKE = sorted((PACKAGE / "records" / "lake").glob("*.py"))


@cache
def _parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def _own(path):
    """Return the name under which a module stands in LAYERS."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _dotted(path):
    """Return a module's dotted name below the package."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def _lives_in(path, homes):
    """Say whether a module is one of some homes, or lies in one that is a folder."""
    return any(f"{_dotted(path)}.".startswith(f"{home}.") for home in homes)


def _tour(package):
    """Return what a package's docstring lists, in its order: a line each, the name, two blanks, what it is."""
    doc = ast.get_docstring(_parsed(package / "__init__.py"))
    return re.findall(r"^(\w+) {2,}\S", doc, re.MULTILINE)


@cache
def _imported(path):
    """Return the dotted name of everything a module imports, wherever in it: at the top, in a function, for types."""
    imported = []
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} line {node.lineno}: imports are absolute"
            imported += [f"{node.module}.{alias.name}" for alias in node.names]
    return imported


def _imported_modules(path):
    """Return the modules of this package that a module imports, as LAYERS names them."""
    for dotted in _imported(path):
        package, *rest = dotted.split(".")
        if package == "volition":
            yield rest[0] if rest and rest[0] in RANK else "__init__"


def _imported_packages(path):
    """Return the packages that are neither Python's own nor this one."""
    return {dotted.split(".")[0] for dotted in _imported(path)} - sys.stdlib_module_names - {"volition"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = _own(path)
    rank = RANK[own]  # a KeyError here means: give the new module a line in LAYERS
    upward = {name for name in _imported_modules(path) if name != own and RANK[name] >= rank} - set(LEAVES)
    assert not upward, f"{own} must not import {sorted(upward)}"


def test_no_modules_import_one_another_in_a_circle():
    names = {path: ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in MODULES}
    names = {path: name.removesuffix(".__init__") for path, name in names.items()}
    known = set(names.values())
    needs = {}
    for path, name in names.items():
        needs[name] = {dotted if dotted in known else dotted.rpartition(".")[0] for dotted in _imported(path)} & known
        assert name not in needs[name], f"{path.name} imports itself"
    graphlib.TopologicalSorter(needs).prepare()  # raises CycleError


def test_the_leaves_know_only_those_before_them():
    for place, name in enumerate(LEAVES):
        assert set(_imported_modules(PACKAGE / f"{name}.py")) <= set(LEAVES[:place])


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_package_lists_what_is_in_it_in_the_order_of_its_imports(package):
    tour = _tour(package)
    inside = {path.stem for path in package.glob("*.py") if path.stem != "__init__"}
    inside |= {path.parent.name for path in package.glob("*/__init__.py")}
    assert sorted(tour) == sorted(inside)
    name = f"volition.{_dotted(package / '__init__.py')}."
    for place, own in enumerate(tour):
        paths = [package / f"{own}.py"] if (package / f"{own}.py").exists() else sorted((package / own).rglob("*.py"))
        for path in paths:
            known = {dotted.removeprefix(name).split(".")[0] for dotted in _imported(path) if dotted.startswith(name)}
            later = known & set(tour[place + 1 :])
            assert not later, f"{_dotted(path)} must not import {sorted(later)}"


def test_features_and_transparency_do_not_know_each_other():
    for path in MODULES:
        if _own(path) in {"features", "transparency"}:
            assert set(_imported_modules(path)) & {"features", "transparency"} <= {_own(path)}, path.name


def test_the_client_knows_no_other_part_of_the_package():
    for path in sorted((PACKAGE / "client").glob("*.py")):
        assert set(_imported_modules(path)) <= {"client"}, path.name
    code = "import sys, volition.client; print(*sorted(name for name in sys.modules if name.startswith('volition.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert all(f"{name}.".startswith("volition.client.") for name in done.stdout.split())


def test_the_readme_draws_the_packages_in_the_order_of_their_imports():
    readme = (PROJECT.parent / "README.md").read_text(encoding="utf-8")
    drawn = readme.partition("## The house")[2].partition("```")[2].partition("```")[0]
    listed = [re.findall(r"\w+", line.partition("   ")[0].replace("/", " ")) for line in drawn.strip().splitlines()]
    assert [" ".join(line) for line in listed] == LAYERS


def test_every_line_of_the_layers_is_there():
    assert {_own(path) for path in MODULES} == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_package_is_imported_only_in_its_homes(path):
    strangers = {name for name in _imported_packages(path) if not _lives_in(path, HOMES.get(name, "").split())}
    assert not strangers, f"{_own(path)} is no home of {sorted(strangers)}"


def test_every_home_is_lived_in():
    for name, homes in HOMES.items():
        for home in homes.split():
            assert any(_lives_in(path, [home]) and name in _imported_packages(path) for path in MODULES), (name, home)


def test_what_is_imported_is_what_is_declared():
    """Nothing comes only by way of another package, and nothing is installed for nothing."""
    # These are named otherwise than they are imported, and need not be installed.
    others = {
        "airflow": ["apache-airflow"],
        "mlflow": ["mlflow-skinny"],
        "nats": ["nats-py"],
        "openlineage": ["openlineage-python"],
    }
    distributions = {**others, **packages_distributions()}
    imported = {
        name: {found.lower().replace("_", "-") for found in distributions.get(name, [name])}  # an extra may be missing
        for path in MODULES
        for name in _imported_packages(path)
    }
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = {name: set(map(_named, listed)) for name, listed in project["optional-dependencies"].items()}
    everything = extras.pop("all")
    assert everything == {"volition"}
    [together] = project["optional-dependencies"]["all"]
    hosts = {"airflow", "dagster"}  # Volition is installed where these are, and never brings them
    assert set(re.findall(r"[\w-]+", together.partition("[")[2])) == set(extras) - hosts, "`all` is every other extra"
    declared = set(map(_named, project["dependencies"])).union(*extras.values())
    assert {name for name, found in imported.items() if not found & declared} == set()
    by_way_of_uvicorn = {"httptools"}  # what its protocol of that name parses with
    assert declared - set().union(*imported.values()) == by_way_of_uvicorn


def _named(requirement):
    """Return the distribution that a requirement names."""
    return re.match(r"[\w-]+", requirement)[0].lower()


def test_spark_is_tested_as_its_extra_installs_it():
    told = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    assert set(told["project"]["optional-dependencies"]["spark"]) <= set(told["dependency-groups"]["spark"])


@pytest.mark.parametrize("module", ["volition", "volition.cli"])
def test_importing_loads_no_heavy_package(module):
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.split() == []


def test_only_the_workspace_chooses_back_ends():
    back_ends = ("volition.ledger.stores.", "volition.records.engines.")
    choosers = {_own(path) for path in MODULES if any(dotted.startswith(back_ends) for dotted in _imported(path))}
    assert choosers == {"workspace", "ledger"}
    for package, folder in (("ledger", "stores"), ("records", "engines")):
        for path in sorted((PACKAGE / package).rglob("*.py")):
            if not _lives_in(path, [f"{package}.{folder}"]):
                assert not any(dotted.startswith(back_ends) for dotted in _imported(path)), path.name


@pytest.mark.parametrize("door", [Lake, Reader])
def test_rows_leave_the_lake_only_under_permits(door):
    reading = {
        name: get_type_hints(method)
        for name, method in inspect.getmembers(door, inspect.isfunction)
        if not name.startswith("_") and "Row" in str(get_type_hints(method).get("return"))
    }
    assert reading, "the lake can be read"
    # Two doors ask nobody's yes. One gives a person what is their own, and nothing else: the gate's `own` judges.
    assert reading.pop("own_rows").get("subject") is Subject
    # By the other a person reads again what was said while they were there, by the gate's `heard`: no AI reads it.
    assert reading.pop("heard_rows").get("participant") is Participant
    for name, hints in reading.items():
        assert hints.get("permits") is Permits, f"{door.__name__}.{name} gives rows without asking for permits"
        assert inspect.signature(getattr(door, name)).parameters["permits"].default is inspect.Parameter.empty


def test_nobody_outside_imports_what_is_inside_the_lake():
    """Its one door and the words it speaks in: what `volition.records.lake` lists, by name, and nothing behind it."""
    listed = {f"volition.records.lake.{name}" for name in lake.__all__}
    assert not {f"volition.records.lake.{name}" for name in _tour(PACKAGE / "records" / "lake")} & listed
    bench = sorted((PROJECT.parent / "bench").rglob("*.py"))
    assert bench
    for path in {*MODULES, *bench} - set(LAKE):
        inside = {dotted for dotted in _imported(path) if f"{dotted}.".startswith("volition.records.lake.")} - listed
        assert not inside, f"{path.name} must not import {sorted(inside)}"
        for node in ast.walk(_parsed(path)):
            reached = isinstance(node, ast.Attribute) and ast.unparse(node) == "volition.records.lake"
            assert not reached, f"{path.name} line {node.lineno}: the lake is imported by name"


def _functions_of_the_lake():
    """Yield every function and method that the lake's modules define, by its module and name."""
    for path in LAKE:
        module = importlib.import_module(
            "volition.records.lake" if path.stem == "__init__" else f"volition.records.lake.{path.stem}"
        )
        for name, found in vars(module).items():
            if getattr(found, "__module__", None) == module.__name__:
                members = vars(found).items() if inspect.isclass(found) else [("", found)]
                for member, function in members:
                    plain = inspect.unwrap(getattr(function, "__func__", function))
                    if inspect.isfunction(plain):
                        yield f"{path.stem}.{name}.{member}".rstrip("."), plain


def test_inside_the_lake_rows_are_opened_in_one_place_for_the_reader_and_the_eraser():
    row = f"{Row.__module__}.{Row.__qualname__}"
    giving = {
        name for name, function in _functions_of_the_lake() if row in str(get_type_hints(function).get("return", ""))
    }
    doors = {f"{door}.{name}" for door in ("lake.Lake", "reader.Reader") for name in ("rows", "own_rows", "heard_rows")}
    assert giving == doors | {"reader.Reader._first_rows", "encryption.RecordCipher.decrypt_rows"}
    callers = {  # of what opens, and of what an engine has let through
        name: {path.stem for path in LAKE for _, called in _calls(path) if called == name}
        for name in ("decrypt_rows", "open_columns", "open_many", "permitted")
    }
    assert callers == {
        "decrypt_rows": {"reader", "erase"},
        "open_columns": {"reader"},
        "open_many": {"encryption", "quarantine"},
        "permitted": {"reader"},
    }


def test_what_reads_in_the_lake_without_the_gate_gives_out_no_payload():
    """Erasing and compacting read whole files and tell numbers, here as in the quarantine; `columns` reads columns, and the payload is none of them."""
    for name, function in _functions_of_the_lake():
        module, own, *_ = name.split(".")
        if module in {"erase", "compact", "quarantine"} and not own.startswith("_") and own != "Compacted":
            assert get_type_hints(function)["return"] in {int, Compacted, Path | None}, name
    opened = {
        path.stem: [call for call, name in _calls(path) if name in READERS]
        for path in LAKE
        if any(name in READERS for _, name in _calls(path))
    }
    assert set(opened) == {"compact", "erase", "columns", "check"}
    check = _parsed(PACKAGE / "records" / "lake" / "check.py")
    taken = {ast.unparse(node) for node in ast.walk(check) if ast.unparse(node).startswith("batch.")}
    assert taken == {"batch.num_rows"}, "the doctor counts rows, and looks into none"
    columns = {
        ast.unparse(argument.value)
        for call in opened["columns"]
        for argument in [next(keyword for keyword in call.keywords if keyword.arg == "columns")]
    }
    assert columns == {"_COLUMNS", "['account']", "['source', 'circle']"}
    assert not {"payload", "embedding"} & set(importlib.import_module("volition.records.lake.columns")._COLUMNS)


def test_the_lake_is_opened_in_one_place():
    openers = {
        _own(path)
        for path in MODULES
        for node in ast.walk(_parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Lake"
    }
    assert openers == {"workspace"}


def _calls(path):
    """Yield every call in a module, with the last part of the name that is called."""
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield node, node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id


READERS = {"read_table", "read_parquet", "ParquetFile", "ParquetDataset", "dataset", "scan_parquet"}


def test_only_the_lake_and_the_engines_open_record_files():
    for path in MODULES:
        for call, name in _calls(path):
            # Tables that somebody hands over are no record files; they lie elsewhere.
            homes = ["records.lake", "records.engines", "records.foreign", "records.tables"]
            if name in READERS and not _lives_in(path, homes):
                # Elsewhere a table is read from bytes in hand, or from an opened file of a bundle: those of a snapshot,
                # never from a place in the lake.
                told = f"{path.name} line {call.lineno}"
                assert isinstance(call.args[0], ast.Call), told
                assert ast.unparse(call.args[0].func) in {"pa.BufferReader", "in_hand"}, told


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_uses_what_is_private_to_another(path):
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            owner = ast.unparse(node.value)
            assert owner in {"self", "cls"} or _own(path) == "cli", (
                f"{path.name} line {node.lineno}: {owner}.{node.attr}"
            )


def test_what_can_be_named_is_asked_of_a_vocabulary_and_not_of_the_built_in_names():
    constants = {f"volition.consent.terms.model.{name}" for name in ("CATEGORIES", "PURPOSES")}
    by_hand = {_dotted(path) for path in MODULES if constants.intersection(_imported(path))}
    assert by_hand == {"records.lake.index"}, "terms declare more: ask the vocabulary of the history, or of the terms"
