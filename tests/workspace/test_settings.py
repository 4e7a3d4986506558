"""volition.toml is read strictly: a mistake is named with its file, its line and what to write instead."""

import pytest

from volition import errors
from volition.errors import BackendError, InvalidInputError
from volition.learning.families.adapter.spec import SPEC as ADAPTER
from volition.workspace import Workspace, opened
from volition.workspace.settings import DEFAULT_ENGINE, ENGINES, Settings, make_engine, read_settings

LEAST = 'origin = "log.example/acme"\ndue_days = 30\n'


def read(folder, text):
    (folder / "volition.toml").write_text(text, encoding="utf-8")
    return read_settings(folder)


def test_what_is_left_out_has_its_default(tmp_path):
    settings = read(tmp_path, LEAST)
    assert isinstance(settings, Settings)
    assert (settings.engine, settings.lease_ms) == (DEFAULT_ENGINE, 100)
    assert (settings.endpoint, settings.of_family(ADAPTER)) == (None, None)


def test_a_new_workspace_says_the_defaults_in_its_own_file(tmp_path):
    Workspace.create(tmp_path / "w", origin="log.example/acme").close()
    (tmp_path / "bare").mkdir()
    assert read_settings(tmp_path / "w") == read(tmp_path / "bare", f"{LEAST}\n[audit]\ndefaults = 2\n")


def test_an_endpoint_and_a_recipe_are_read(tmp_path):
    tables = '[endpoint]\nurl = "https://llm.example/v1"\nmodel = "tiny"\n[adapter]\nbase = "models/base"\nshards = 2\n'
    settings = read(tmp_path, LEAST + tables)
    assert (settings.endpoint.model, settings.endpoint.key_env) == ("tiny", None)
    recipe = settings.of_family(ADAPTER)
    assert (recipe.base, recipe.shards) == ("models/base", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{LEAST}lease = 5\n", '{path}:3: unknown key "lease". Did you mean "lease_ms"?'),
        ('origin = "log.example/acme"\n', '{path}:1: the key "due_days" is missing. Add it.'),
        ('origin = "log.example/acme"\ndue_days = "30"\n', '{path}:2: "due_days" must be a whole number, like 30.'),
        (f'{LEAST}\nengine = "arow"\n', '{path}:4: there is no engine "arow". Did you mean "arrow"?'),
        (f"{LEAST}engine = 3\n", '{path}:3: "engine" must be a text in quotes.'),
        (f"{LEAST}lease_ms = 0\n", '{path}:3: "lease_ms" must be from 1 to 10000 milliseconds.'),
        (f"{LEAST}lease_ms = true\n", '{path}:3: "lease_ms" must be a whole number, like 100.'),
        (
            f'{LEAST}[endpoint]\nurl = "https://a.example"\nmodle = "m"\n',
            '{path}:5: unknown key "modle". Did you mean "model"?',
        ),
        (f'{LEAST}[endpoint]\nmodel = "m"\n', '{path}:3: the key "url" is missing. Add it.'),
        (
            f'{LEAST}[endpoint]\nurl = "http://a.example"\nmodel = "m"\n',
            "{path}:4: 'http://a.example' is not encrypted",
        ),
        (f"{LEAST}[audit.benefits]\nbound = 1\n", '{path}:3: unknown key "benefits". Did you mean "benefit"?'),
        (f"{LEAST}[audit.benefit]\nbond = 1\n", '{path}:4: unknown key "bond". Did you mean "bound"?'),
        (f"{LEAST}[adapter]\nbse = 1\n", '{path}:4: unknown key "bse". Did you mean "base"?'),
        (f"{LEAST}endpoint = 3\n", "{path}:3: expected a table"),
        (f"{LEAST}due = [\n", "{path}:4: This is not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(InvalidInputError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(message.format(path=tmp_path / "volition.toml"))


def test_a_folder_without_settings_is_no_workspace(tmp_path):
    with pytest.raises(InvalidInputError, match="There is no workspace in"):
        read_settings(tmp_path)


@pytest.mark.parametrize("name", sorted(set(ENGINES) - {"spark"}))
def test_the_engine_that_a_setting_names_is_the_one_that_runs(name):
    assert type(make_engine(name)).__name__.lower() == f"{name}engine"


def test_an_engine_that_is_not_installed_is_missed_before_anything_is_open(tmp_path, monkeypatch):
    Workspace.create(tmp_path / "w").close()
    path = tmp_path / "w" / "volition.toml"
    path.write_text(path.read_text().replace('engine = "arrow"', 'engine = "spark"'))
    monkeypatch.setattr(errors, "find_spec", lambda _: None)
    with pytest.raises(BackendError, match="pyspark"):
        make_engine("spark")
    with pytest.raises(BackendError, match="pyspark"):
        Workspace.open(tmp_path / "w")


def test_an_encoder_without_what_it_runs_on_is_missing_and_nothing_fails(tmp_path, monkeypatch):
    found = opened.find_spec
    monkeypatch.setattr(opened, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    with Workspace.create(tmp_path / "w") as workspace:
        assert workspace.status()["encoder"].startswith("missing")
        assert workspace.encoder() is None
