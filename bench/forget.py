"""What forgetting one person costs against training anew, family by family. `python -m bench forget --json`.

Each family makes rows of its own, learns from them, forgets one person, and learns anew from what is left; both models
must be equal, or the benchmark ends with an error. `bench/forget_NAME.py` measures the family NAME by a function
`measure(rows)`; a family without one is listed as not measured.
"""

import argparse
import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any, Final

from bench.meetings import machine
from volition.workspace import FAMILIES

AT_MOST: Final = {"recommend": 0.05, "compose": 0.05}
"""Forgetting by subtraction is to cost at most a twentieth of training anew."""

ROWS: Final = 100_000


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure every family that says how.

    Args:
        args: `rows`, how large each family's world is: about so many rows, or people where a family counts people;
            none for 100,000.
    """
    rows = args.rows or ROWS
    figures: dict[str, Any] = {}
    goals = []
    for family in FAMILIES:
        name = f"bench.forget_{family}"
        if importlib.util.find_spec(name) is None:
            figures[family] = "not measured"
            ratio = None
        else:
            figures[family] = found = importlib.import_module(name).measure(rows)
            ratio = _ratio(found)
        if family in AT_MOST:
            goal = {"name": f"{family}: forgetting one person against training anew", "at_most": AT_MOST[family]}
            goals.append({**goal, "value": ratio, "met": ratio is not None and ratio <= AT_MOST[family]})
    return {"bench": "forget", "figures": figures, "goals": goals, "machine": machine()}


def _ratio(found: Mapping[str, Any]) -> float | None:
    value = found.get("ratio")
    return float(value) if isinstance(value, int | float) else None
