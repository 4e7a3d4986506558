"""The threat model names a test for each threat, and each of them is there."""

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "threat-model.md"


def rows():
    """Yield the cells of each row under "Threat by threat"."""
    text = PAGE.read_text(encoding="utf-8").partition("\n## Threat by threat\n")[2].partition("\n## ")[0]
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| threat |"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


@cache
def functions(name):
    [path] = TESTS.rglob(name)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}


def test_each_threat_names_tests_that_are_there():
    found = list(rows())
    assert len(found) > 50
    for cells in found:
        assert len(cells) == 3, cells
        named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", cells[2])
        assert named, cells[0]
        assert re.sub(r"`[^`]+`(, )?", "", cells[2]) == "", cells[2]
        for file, function in named:
            assert not function or function in functions(file), (cells[0], file, function)


def test_every_file_of_attacks_is_named_there():
    named = {name for cells in rows() for name in re.findall(r"`(test_\w+\.py)", cells[2])}
    assert {path.name for path in Path(__file__).parent.glob("test_*.py")} - named == {Path(__file__).name}
