"""What users may rely on: `volition.__all__`, each name fetched from its home, and each of its signatures complete."""

import ast
import dataclasses
import importlib
import inspect
import re
import sys
import typing
from functools import cached_property
from pathlib import Path

import pytest

import volition

NAMES = [name for name in volition.__all__ if not name.startswith("__")]
HOMES = volition._HOMES

ANY = {
    "Rows.to_loader(dataset)": "a Hugging Face dataset, or rows for torch: neither package need be installed",
    "Rows.to_loader(options)": "what a DataLoader of torch takes",
    # what has no type to name, and why
    "GateQuestions.judge(questions)": "an Arrow table has no types",
    "GateQuestions.judge(return)": "likewise",
    "Records.permitted(table)": "a table of one of many packages, none of which need be installed",
    "Snapshots.create_from(table)": "likewise",
    "Snapshots.create_from(session)": "Spark's, likewise",
    "Snapshots.listing(table)": "likewise",
    "Records.permitted(connection)": "DuckDB's, likewise",
    "Terms.from_json(value)": "any JSON value may arrive",
    "verify_person(proof)": "likewise",
}


def test_the_list_the_homes_and_the_types_agree():
    assert sorted(HOMES) == sorted(NAMES)
    tree = ast.parse(Path(volition.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.name: node.module.removeprefix("volition.")
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        for alias in node.names
    }
    assert typed == HOMES


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_lives_where_it_is_said_to_and_says_what_it_is(name):
    found = getattr(volition, name)
    assert found is getattr(importlib.import_module(f"volition.{HOMES[name]}"), name)
    assert (inspect.getdoc(found) or "").strip()


class _Missing(typing.Generic[typing.TypeVar("T")]):
    """What stands for a type of a package that is not installed."""


def _names_for_types(module):
    """Return a module's names, and those that it imports for types alone."""
    names = dict(vars(module))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom):
                    try:
                        home = importlib.import_module(line.module)
                    except ImportError:  # of an extra: the name is known, if not what it stands for
                        names |= {alias.asname or alias.name: _Missing for alias in line.names}
                        continue
                    names |= {alias.asname or alias.name: getattr(home, alias.name) for alias in line.names}
    return names


def _hints(function):
    return typing.get_type_hints(function, _names_for_types(sys.modules[function.__module__]), include_extras=True)


def _incomplete(function, name):
    """Yield each part of a signature that has no type, or is Any."""
    hints = _hints(function)
    parameters = inspect.signature(function).parameters
    for place, parameter in enumerate(parameters):
        if not (place == 0 and parameter in {"self", "cls"}) and hints.get(parameter, typing.Any) is typing.Any:
            yield f"{name}({parameter})"
    if hints.get("return", typing.Any) is typing.Any:
        yield f"{name}(return)"


def _functions(found, name):
    """Yield every function that a public name offers, with its name: itself, or the public members of a class."""
    if inspect.isfunction(found):
        yield found, name
        return
    for owner in found.__mro__:
        if not owner.__module__.startswith("volition."):
            continue
        made = dataclasses.is_dataclass(owner) or issubclass(owner, tuple)  # their __init__ is not written by hand
        for member, value in vars(owner).items():
            if member.startswith("_") and (member != "__init__" or made):
                continue
            inner = value.func if isinstance(value, cached_property) else getattr(value, "fget", None)
            function = inner or getattr(value, "__func__", value)
            if inspect.isfunction(function) and function.__module__.startswith("volition."):
                yield function, f"{name}.{member}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_public_signature_is_complete(name):
    missing = {
        part for function, own in _functions(getattr(volition, name), name) for part in _incomplete(function, own)
    }
    assert missing - ANY.keys() == set()


def test_every_public_attribute_has_a_type():
    values = [found for name in NAMES if dataclasses.is_dataclass(found := getattr(volition, name))]
    assert values
    for found in values:
        hints = typing.get_type_hints(found, _names_for_types(sys.modules[found.__module__]))
        assert {field.name for field in dataclasses.fields(found) if hints[field.name] is typing.Any} == set(), found


@pytest.mark.slow
def test_what_is_listed_as_untyped_is_there():
    listed = {re.match(r"\w+", one).group() for one in ANY}
    found = {part for name in listed for function, own in _functions(getattr(volition, name), name)
             for part in _incomplete(function, own)}  # fmt: skip
    assert found >= ANY.keys()


def test_what_is_not_public_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Lake'"):
        _ = volition.Lake
