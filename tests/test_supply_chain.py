"""What we are made of: the bill of materials in a wheel, the same wheel from the same files, advisories against locks."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.advisories import Part, concerns, main
from scripts.sbom import NAME, VENDOR, bill_of_materials, locked

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILT_FROM = ["pyproject.toml", "README.md", "LICENSE", "requirements.lock", ".gitignore"]


def names(requirements):
    return {canonicalize_name(Requirement(one).name) for one in requirements}


@pytest.fixture(scope="module")
def bill():
    return json.loads(bill_of_materials(ROOT))


@pytest.mark.slow
def test_the_bill_of_materials_is_valid_cyclonedx(bill):
    pytest.importorskip("cyclonedx")
    schema = importlib.import_module("cyclonedx.schema")
    strict = importlib.import_module("cyclonedx.validation.json").JsonStrictValidator(schema.SchemaVersion.V1_6)

    assert strict.validate_str(json.dumps(bill)) is None
    assert strict.validate_str(json.dumps({**bill, "praise": 1})) is not None


def test_it_lists_what_runs_with_every_file_that_the_lock_allows_and_no_tool_of_developers(bill):
    packages = {(one["name"], one["version"]): one for one in bill["components"] if one["purl"].startswith("pkg:pypi/")}
    pins = {(pin.name, pin.version): pin for pin in locked(ROOT / "requirements.lock")}
    listed = {name for name, _ in packages}
    extras = {name: names(asked) for name, asked in PROJECT["optional-dependencies"].items()}
    covered = re.findall(r"\w+", bill["metadata"]["properties"][0]["value"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert sorted(covered) == sorted(re.search(r"^INSTALLED := (.+)$", makefile, re.MULTILINE)[1].split())
    assert names(PROJECT["dependencies"]) | {name for extra in covered for name in extras[extra]} <= listed
    assert {"pydantic-core", "cffi"} <= listed  # what those ask for in turn
    assert not listed & {"pytest", "ruff", "mypy", "hypothesis", "uv", "cyclonedx-python-lib"}
    for key, component in packages.items():
        (reference,) = component["externalReferences"]
        assert {one["content"] for one in reference["hashes"]} == set(pins[key].hashes)
    needed = {one["name"] for one in packages.values() if one["scope"] == "required"}
    assert names(PROJECT["dependencies"]) <= needed
    assert not needed & {"fastapi", "duckdb", "lightgbm"}


def test_it_says_who_asks_for_whom(bill):
    asks = {one["ref"]: set(one["dependsOn"]) for one in bill["dependencies"]}
    refs = {one["bom-ref"] for one in bill["components"]}
    ours = bill["metadata"]["component"]["bom-ref"]
    reached, fresh = set(), asks[ours]
    while fresh:
        reached |= fresh
        fresh = {one for ref in fresh for one in asks.get(ref, ())} - reached

    assert reached == refs
    (cffi,) = (ref for ref in refs if ref.startswith("pkg:pypi/cffi@"))
    assert [cffi in to for ref, to in asks.items() if ref.startswith("pkg:pypi/cryptography@")] == [True]


def test_it_lists_each_vendored_file_with_the_digest_of_its_bytes(bill):
    brought = [one for one in bill["components"] if one["purl"].startswith("pkg:npm/")]
    files = [file for one in brought for file in one["components"]]

    assert {one["licenses"][0]["license"]["id"] for one in brought} == {"0BSD", "MIT", "OFL-1.1"}
    assert {Path(file["name"]).suffix for file in files} == {".js", ".css", ".woff2"}
    for file in files:
        data = (ROOT / "src" / file["name"]).read_bytes()
        assert file["hashes"] == [{"alg": "SHA-256", "content": sha256(data).hexdigest()}]


def copied(folder):
    """Copy what a wheel is built from."""
    for name in BUILT_FROM:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("src/volition", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


@pytest.fixture
def checkout(tmp_path):
    """Make the little of a checkout that the bill of materials is made of."""
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "src" / VENDOR, tmp_path / "src" / VENDOR)
    return tmp_path


def test_the_time_is_that_of_the_source_or_none(checkout, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert "timestamp" not in json.loads(bill_of_materials(checkout))["metadata"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1760000000")
    assert json.loads(bill_of_materials(checkout))["metadata"]["timestamp"] == "2025-10-09T08:53:20Z"


def test_no_bill_is_made_over_a_vendored_file_that_was_changed_or_of_which_nothing_is_told(checkout):
    vendor = checkout / "src" / VENDOR
    (vendor / "strange.js").write_text("1", encoding="utf-8")
    with pytest.raises(ValueError, match=r"where strange\.js came from"):
        bill_of_materials(checkout)
    (vendor / "strange.js").unlink()
    with (vendor / "htmx.min.js").open("a", encoding="utf-8") as file:
        file.write(" ")
    with pytest.raises(ValueError, match=r"htmx\.min\.js is not the file"):
        bill_of_materials(checkout)
    (vendor / "htmx.min.js").unlink()
    with pytest.raises(FileNotFoundError):
        bill_of_materials(checkout)


@pytest.mark.parametrize(
    ("lock", "why"),
    [
        ("", "is empty"),
        ("numpy>=2\n", "not one version"),
        ("numpy==2.*\n", "not one version"),
        ("numpy>=2.1,<3\n", "not one version"),
        ("numpy==2.1\n", "does not say who asked"),
    ],
)
def test_no_bill_is_made_of_a_lock_that_leaves_something_open(checkout, lock, why):
    (checkout / "requirements.lock").write_text(lock, encoding="utf-8")
    with pytest.raises(ValueError, match=why):
        bill_of_materials(checkout)


def built(folder, target, **environment):
    """Build a wheel or a source distribution without an index, and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target]
    clean = {name: value for name, value in os.environ.items() if name not in {"SOURCE_DATE_EPOCH", "PYTHONPATH"}}
    subprocess.run(command, cwd=folder, env=clean | environment, check=True, capture_output=True)
    return next((folder / "dist").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [{}, {"SOURCE_DATE_EPOCH": "1760000000"}], ids=["no time", "the source's time"])
def test_the_same_files_give_the_same_wheel_wherever_and_whenever_it_is_built(tmp_path, epoch):
    one, other = copied(tmp_path / "one"), copied(tmp_path / "another" / "place")
    for path in other.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700 if path.is_dir() else 0o600)

    first = built(one, "wheel", **epoch, TZ="UTC", PYTHONHASHSEED="1")
    second = built(other, "wheel", **epoch, TZ="Asia/Tokyo", PYTHONHASHSEED="2", LC_ALL="C")

    assert first.name == second.name
    assert sha256(first.read_bytes()).hexdigest() == sha256(second.read_bytes()).hexdigest()
    with zipfile.ZipFile(first) as wheel:
        (bill,) = (name for name in wheel.namelist() if ".dist-info/sboms/" in name)
        assert bill.endswith(f".dist-info/sboms/{NAME}")
        assert f"{VENDOR}/htmx.min.js" in wheel.namelist()
        assert json.loads(wheel.read(bill))["metadata"].get("timestamp") == ("2025-10-09T08:53:20Z" if epoch else None)


@pytest.mark.slow
def test_a_source_distribution_gives_the_same_wheel_as_the_checkout(tmp_path):
    checkout = copied(tmp_path / "checkout")
    source = built(checkout, "sdist")
    shutil.unpack_archive(source, tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    source.unlink()

    assert built(checkout, "wheel").read_bytes() == built(unpacked, "wheel").read_bytes()


def advisory(*events, name="numpy", ecosystem="PyPI", versions=(), kind="ECOSYSTEM", **more):
    ranges = [{"type": kind, "events": list(events)}] if events else []
    affected = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges, "versions": list(versions)}
    return {"id": "TEST-2026-1", "modified": "2026-01-02T00:00:00Z", "affected": [affected], **more}


def verdict(given, version, ecosystem="PyPI", name="numpy"):
    part = Part(ecosystem, name, version, "some.lock")
    found = list(concerns(given, {(ecosystem, name): [part]}))
    return {True: "yes", False: "unclear"}[found[0].certain] if found else "no"


ZERO = {"introduced": "0"}


@pytest.mark.parametrize(
    ("events", "affected", "spared"),
    [
        ([ZERO, {"fixed": "2.1"}], ["0.0.dev1", "1.26", "2.1rc1", "2.0.99"], ["2.1", "2.1.0", "2.1.post1", "2.10"]),
        ([ZERO, {"last_affected": "2.1"}], ["2.1", "2.1.0", "2.1rc1"], ["2.1.post1", "2.1.1"]),
        ([{"introduced": "2.0"}, {"fixed": "2.1"}], ["2.0", "2.0.5"], ["1.99", "2.0rc1", "2.1"]),
        ([{"fixed": "2.1"}, {"introduced": "3.0"}, ZERO, {"fixed": "3.2"}], ["1", "3.0", "3.1"], ["2.5", "3.2"]),
        ([ZERO, {"limit": "2"}], ["1.9"], ["2", "2.1"]),
        ([ZERO, {"limit": "*"}], ["99"], []),
        ([ZERO], ["0.1", "99"], []),
        ([{"introduced": "2"}, {"fixed": "2"}], ["2"], ["1.9"]),
        ([{"introduced": "1!2"}], ["1!2"], ["3"]),
    ],
)
def test_ranges_are_read_by_the_order_of_pep_440(events, affected, spared):
    assert [verdict(advisory(*events), one) for one in affected] == ["yes"] * len(affected)
    assert [verdict(advisory(*events), one) for one in spared] == ["no"] * len(spared)


def test_listed_versions_and_other_spellings_of_a_name_count():
    assert verdict(advisory(versions=["1.0", "2.0.0"]), "2.0") == "yes"
    assert verdict(advisory(versions=["1.0", "not a version"]), "2.0") == "no"
    assert verdict(advisory(ZERO, name="Num.Py"), "2.0", name="num-py") == "yes"
    assert verdict(advisory(ZERO, ecosystem="npm"), "2.0") == "no"
    assert verdict(advisory(ZERO, ecosystem="npm", name="htmx.org", kind="SEMVER"), "4.0.1", "npm", "htmx.org") == "yes"


def test_what_cannot_be_compared_is_told_as_unclear_and_never_as_harmless():
    assert verdict(advisory({"introduced": "summer"}), "2.0") == "unclear"
    assert verdict(advisory({"introduced": "0" * 40}, kind="GIT"), "2.0") == "unclear"
    assert verdict(advisory(), "2.0") == "unclear"


def given(path, *advisories):
    """Write advisories as a folder, a zip archive or one JSON file, by the path's ending."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for place, one in enumerate(advisories):
                archive.writestr(f"{place}.json", json.dumps(one))
    elif path.suffix == ".json":
        path.write_text(json.dumps(advisories), encoding="utf-8")
    else:
        (path / "deeper").mkdir(parents=True)
        for place, one in enumerate(advisories):
            (path / "deeper" / f"{place}.json").write_text(json.dumps(one), encoding="utf-8")
    return str(path)


OTHER = advisory(ZERO, name="nothing-that-we-use")


@pytest.mark.parametrize("form", ["folder", "all.zip", "list.json"])
def test_the_locks_are_held_against_advisories_in_each_form(tmp_path, capsys, form):
    bad = advisory(ZERO, {"fixed": "99"}, aliases=["CVE-2026-1"], summary="Too many arrays.")

    assert main([given(tmp_path / form, OTHER, bad)]) == 1

    said = capsys.readouterr().out
    assert "Looked at 2 advisories about packages for Python, the newest of 2026-01-02" in said
    assert re.search(
        r"TEST-2026-1 \(CVE-2026-1\) concerns numpy \S+ in requirements\.lock; fixed in 99\n +Too many", said
    )
    assert "lowest.lock" not in said
    assert "make lock UPGRADE=NAME" in said


def test_a_vendored_file_is_held_against_advisories_too(tmp_path, capsys):
    bad = advisory(ZERO, {"last_affected": "99"}, ecosystem="npm", name="uPlot", kind="SEMVER")

    assert main([given(tmp_path / "folder", OTHER, bad)]) == 1
    assert re.search(r"TEST-2026-1 concerns uplot \S+ in vendored\.toml; no fixed version", capsys.readouterr().out)


def test_a_lock_that_is_named_is_looked_at_alone(tmp_path, capsys):
    lock = tmp_path / "small.lock"
    lock.write_text("rich==13.8\nnumpy==1.0 ; python_version < '3'\n", encoding="utf-8")
    path = given(tmp_path / "all.json", advisory({"introduced": "1"}, {"fixed": "1.1"}))

    assert main([path]) == 0
    assert "No advisory concerns" in capsys.readouterr().out
    assert main([path, str(lock)]) == 1
    assert "numpy 1.0 in small.lock" in capsys.readouterr().out


def test_a_withdrawn_advisory_says_nothing(tmp_path):
    assert main([given(tmp_path / "all.json", OTHER, advisory(ZERO, withdrawn="2026-01-03T00:00:00Z"))]) == 0


def test_an_accepted_advisory_is_told_with_its_reason_and_stops_nobody(tmp_path, capsys, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.volition.accepted-advisories]\n"CVE-2026-1" = "We never sort backwards."\n', encoding="utf-8"
    )
    shutil.copytree(ROOT / "src" / VENDOR, tmp_path / "src" / VENDOR)
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    monkeypatch.setattr("scripts.advisories.ROOT", tmp_path)

    assert main([given(tmp_path / "all.json", advisory(ZERO, aliases=["CVE-2026-1"]))]) == 0
    assert "accepted: We never sort backwards." in capsys.readouterr().out


def test_no_lock_at_all_is_an_error(tmp_path, capsys, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n", encoding="utf-8")
    monkeypatch.setattr("scripts.advisories.ROOT", tmp_path)

    assert main([given(tmp_path / "all.json", OTHER)]) == 2
    assert "no lock to look at" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is no JSON"),
        ("{}", "has no id"),
        ("[]", "no advisory"),
        ('{"vulns": []}', "no advisory"),
        ('{"id": "A", "affected": [{"package": {"name": "numpy"}}]}', "A is not in the OSV form"),
        (json.dumps(advisory(ZERO, ecosystem="npm")), "no advisory"),
        (json.dumps(advisory("0")), "is not in the OSV form"),
    ],
)
def test_what_is_missing_or_spoilt_is_not_taken_for_a_clean_bill(tmp_path, capsys, content, why):
    path = tmp_path / "all.json"
    path.write_text(content, encoding="utf-8")

    assert main([str(path)]) == 2
    assert why in capsys.readouterr().err


def test_no_advisories_at_all_are_an_error(tmp_path, capsys):
    assert main([]) == 2
    assert main([str(tmp_path / "absent")]) == 2
    assert main([str(tmp_path)]) == 2
    assert "no advisory in" in capsys.readouterr().err
