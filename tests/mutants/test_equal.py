"""The list of changes that no test can see is about code that is still there (scripts/mutants.py reads it)."""

import tomllib
from pathlib import Path

import volition

PACKAGE = Path(volition.__file__).parent
EQUAL = tomllib.loads(Path(__file__).with_name("equal.toml").read_text(encoding="utf-8"))["equal"]


def module_of(function):
    """Return the source file in which a function or method lies."""
    parts = function.split(".")[1:-1]
    for size in range(len(parts), -1, -1):
        for path in (
            PACKAGE.joinpath(*parts[:size]).with_suffix(".py"),
            PACKAGE.joinpath(*parts[:size], "__init__.py"),
        ):
            if path.is_file():
                return path
    raise AssertionError(function)


def test_every_explanation_is_of_a_line_that_is_still_there():
    for one in EQUAL:
        path = module_of(one["function"])
        text = path.read_text(encoding="utf-8")
        lines = {line.strip() for line in text.splitlines()}
        assert f"def {one['function'].rpartition('.')[2]}(" in text, one["function"]
        assert one["why"].endswith("."), one["function"]
        for change in one["changes"]:
            gone = {line[2:] for line in change if line.startswith("- ")}
            assert gone <= lines, (one["function"], gone - lines)
            assert any(line.startswith("+") for line in change) or gone, one["function"]


def test_no_change_is_explained_twice():
    told = [(one["function"], tuple(change)) for one in EQUAL for change in one["changes"]]
    assert len(told) == len(set(told))
