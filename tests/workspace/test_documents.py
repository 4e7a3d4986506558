"""A release and a snapshot as others expect them: each document is read by an independent program, and says no more."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from crafts import Clock, build, set_bounds
from volition.canonical import canonical_json, digest
from volition.errors import InvalidInputError, ProofError
from volition.learning.documents.formats import FORMATS
from volition.workspace import Workspace

CONTROLLER = '\n[controller]\nname = "Acme Ltd"\ncontact = "privacy@acme.example"\nlanguage = "en"\nlicense = "mit"\n'


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Train, audit and release once, twice over: the second release follows the first."""
    folder = tmp_path_factory.mktemp("documents") / "workspace"
    clock = Clock()
    with build(folder, clock, accounts={"orchard": 12, "bakery": 8}) as workspace:
        first = workspace.models.train("recommend").id
        workspace.models.audit(first)
        set_bounds(folder)
        workspace.models.release(first)
    (folder / "volition.toml").write_text((folder / "volition.toml").read_text() + CONTROLLER)
    clock.wait(minutes=1)
    with Workspace.open(folder, clock=clock) as workspace:
        workspace.models.release(first)
        yield workspace, first


def schema():
    return json.loads((Path(__file__).parents[2] / "docs" / "formats" / "release-2.schema.json").read_bytes())


def statement(workspace, model):
    import base64  # noqa: PLC0415

    attestation = json.loads(workspace.models.release_file(model, "attestation.json"))
    return json.loads(base64.b64decode(attestation["payload"]))


pytestmark = pytest.mark.slow  # a model is trained and audited


@pytest.mark.skipif(find_spec("jsonschema") is None, reason="jsonschema is not installed")
def test_an_attestation_is_as_its_schema_says_and_anything_else_is_not(opened):
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    Draft202012Validator.check_schema(schema())
    validator = Draft202012Validator(schema())
    said = statement(*opened)
    assert list(validator.iter_errors(said)) == []
    for changed in (
        {**said, "more": 1},
        {**said, "predicateType": "urn:volition:release:1"},
        {**said, "subject": []},
        {**said, "predicate": {**said["predicate"], "praise": "the best"}},
        {**said, "predicate": {**said["predicate"], "card": said["predicate"]["card"].upper()}},
        {**said, "predicate": {name: said["predicate"][name] for name in ("model", "digest")}},
    ):
        assert list(validator.iter_errors(changed)), changed


def test_the_schema_in_the_package_is_the_documented_one():
    import volition.learning  # noqa: PLC0415

    shipped = Path(volition.learning.__file__).with_name("release-2.schema.json")
    assert json.loads(shipped.read_bytes()) == schema()


def test_the_openssfs_program_verifies_an_published_model_and_its_signature_is_what_the_card_vouches_for(
    opened, tmp_path
):
    pytest.importorskip("model_signing")
    workspace, model = opened
    folder = tmp_path / "published"
    files = workspace.documents.publish_model(model, folder)
    assert {"README.md", "bom.cdx.json", "training-content.md", "model.sig", "model.pub", "card.json"} <= set(files)
    assert json.loads((folder / "card.json").read_bytes())["signing_key"] == (folder / "model.pub").read_text()
    program = Path(sys.executable).with_name("model_signing")
    command = [program, "verify", "key", folder / "model", "--signature", folder / "model.sig"]
    done = subprocess.run([*command, "--public_key", folder / "model.pub"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.raises(InvalidInputError, match="is there already"):
        workspace.documents.publish_model(model, folder)


def test_a_signature_that_is_not_of_the_release_is_not_handed_on(opened):
    workspace, model = opened
    path = workspace.folder / "releases" / model / "model.sig"
    kept = path.read_bytes()
    try:
        path.write_bytes(kept.replace(b'"sig":"', b'"sig":"AAAA'))
        with pytest.raises(ProofError, match="signature"):
            workspace.documents.signature(model)
    finally:
        path.write_bytes(kept)


def test_the_bill_of_materials_is_valid_cyclonedx_and_names_every_file_and_figure(opened):
    pytest.importorskip("cyclonedx")
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    workspace, model = opened
    name, data = workspace.documents.release(model, "cyclonedx")
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert name == "bom.cdx.json"
    assert validator.validate_str(data.decode()) is None
    assert validator.validate_str(canonical_json({**json.loads(data), "praise": 1}).decode()) is not None
    card, document = workspace.models.card(model), json.loads(data)
    component = document["metadata"]["component"]
    assert {one["name"]: one["hashes"][0]["content"] for one in component["components"]} == card["files"]
    measured = [found for found in card["findings"] if found["value"] is not None]
    assert measured
    metrics = component["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert [float(one["value"]) for one in metrics] == [found["value"] for found in measured]
    assert document["components"][0]["hashes"][0]["content"] == card["learned_from"]["manifest"]
    assert document["metadata"]["supplier"]["name"] == "Acme Ltd"


def test_the_model_card_for_hubs_has_front_matter_that_the_hub_reads_and_the_sections_people_expect(opened):
    yaml = pytest.importorskip("yaml")
    workspace, model = opened
    _, data = workspace.documents.release(model, "hugging-face")
    _, front, text = data.decode().split("---\n", 2)
    said = yaml.safe_load(front)
    assert (said["license"], said["library_name"], said["language"]) == ("mit", "volition", ["en"])
    card = workspace.models.card(model)
    assert said["datasets"] == [card["learned_from"]["snapshot"]]
    values = [one["metrics"][0]["value"] for one in said["model-index"][0]["results"]]
    assert values == [found["value"] for found in card["findings"] if found["value"] is not None]
    for heading in ("Intended use", "Limits", "Languages", "How to use", "Training data", "Evaluation", "Privacy"):
        assert f"\n## {heading}\n" in text
    assert "orchard" not in data.decode()
    hub = pytest.importorskip("huggingface_hub")
    read = hub.ModelCardData(**said)
    assert read.to_dict()["tags"] == said["tags"]


def test_the_summary_of_training_content_fills_every_section_and_says_what_changed(opened):
    workspace, model = opened
    text = workspace.documents.release(model, "eu-summary")[1].decode()
    sections = text.split("\n#")
    parts = ("# 1. ", "# 2. ", "# 3. ")
    assert len(sections) == 1 + len(parts) + 14
    assert all(section.partition("\n")[2].strip() for section in sections if not section.startswith(parts))
    numbers = ("1.1", "1.2", "1.3", "2.1", "2.2", "2.2.1", "2.2.2", "2.3", "2.4", "2.5", "2.6", "3.1", "3.2", "3.3")
    assert all(f" {number} " in text for number in numbers)
    assert "This summary is voluntary" in text
    assert "| Version of the summary | 2 |" in text
    assert f"| Earlier version | 1, of {model} |" in text
    assert "| Last update | " in text
    released = workspace.models.card(model)["released"]
    assert f"{released[8:10]}/{released[5:7]}/{released[:4]}" in text
    assert "orchard" not in text


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_snapshot_is_read_back_by_mlcroissant_and_a_missing_file_is_refused(opened, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant")
    workspace, model = opened
    snapshot = workspace.models.card(model)["learned_from"]["snapshot"]
    files = workspace.documents.publish_snapshot(snapshot, tmp_path / "set")
    frozen = {"collected.parquet", "keys.parquet", "manifest.json", "people.json", "rows.parquet"}
    assert set(files) == {"croissant.json", *frozen}
    dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "set" / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    keys = workspace.snapshots.open(snapshot).keys
    rows = list(dataset.records("keys"))
    assert [row["keys/record_id"].decode() for row in rows] == [key.record_id for key in keys]
    assert [row["keys/collected_us"] for row in rows] == [key.collected_us for key in keys]
    assert [[one.decode() for one in row["keys/people"]] for row in rows] == [list(key.people) for key in keys]
    assert len(list(dataset.records("rows"))) == len(keys)
    (tmp_path / "set" / "keys.parquet").write_bytes(b"other")
    with pytest.raises(Exception, match=r"Download\(keys.parquet\)"):
        list(mlcroissant.Dataset(jsonld=str(tmp_path / "set" / "croissant.json")).records("keys"))


@pytest.mark.parametrize("form", list(FORMATS))
def test_the_same_release_gives_the_same_bytes(opened, form):
    workspace, model = opened
    assert digest(workspace.documents.release(model, form)[1]) == digest(workspace.documents.release(model, form)[1])
    with pytest.raises(InvalidInputError, match="never released"):
        workspace.documents.release("recommend-0123456789ab", form)


def test_a_format_that_there_is_not_is_named_with_those_there_are(opened):
    workspace, model = opened
    with pytest.raises(InvalidInputError, match="hugging-face, cyclonedx, eu-summary"):
        workspace.documents.release(model, "pdf")
