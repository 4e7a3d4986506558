"""The list of changes that no test can see says of each, once, why (scripts/mutants.py reads it)."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

TOLD = tomllib.loads(Path(__file__).with_name("equal.toml").read_text(encoding="utf-8"))


def test_every_explanation_is_of_a_change_of_a_function_that_there_is():
    for one in TOLD["equal"]:
        module, name = one["function"].rsplit(".", 1)
        try:
            owner = import_module(module)
        except ModuleNotFoundError:
            module, owner = module.rsplit(".", 1)
            owner = getattr(import_module(module), owner)
        assert callable(getattr(owner, name)), one["function"]
        for change in one["changes"]:
            assert change, one["function"]
            assert {line[:2] for line in change} <= {"- ", "+ "}, one["function"]
            assert any(line.startswith("- ") for line in change), one["function"]


def test_every_explanation_says_why_in_a_sentence():
    for one in TOLD["equal"] + TOLD["kind"]:
        assert re.fullmatch(r".+\.", one["why"]), one


def test_no_change_is_explained_twice():
    told = [(one["function"], tuple(change)) for one in TOLD["equal"] for change in one["changes"]]
    assert len(told) == len(set(told))


def test_what_is_changed_and_what_watches_over_it_is_there():
    tests = Path(__file__).parents[1]
    groups = tomllib.loads((tests / "mutants" / "groups.toml").read_text(encoding="utf-8"))
    for group in groups.values():
        assert all(list((tests.parent / "src" / "volition").glob(pattern)) for pattern in group["modules"])
        assert all((tests / name).is_file() for name in group["tests"] + group.get("more", []))
