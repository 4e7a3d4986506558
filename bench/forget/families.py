"""What forgetting one person costs against training again, family by family. `python -m bench forget --json`.

Each family makes rows of its own, learns from them, forgets one person, and is trained again on what is left; both
models must be equal, or the benchmark ends with an error. `bench/forget/NAME.py` measures the family NAME with a
function `measure(rows)`, none for its own size; a family without one is listed as not measured.
"""

import argparse
import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any, Final

from bench.meetings import machine
from volition.errors import ProofError
from volition.learning.families.installed import BUILT_IN

AT_MOST: Final = {"recommend": 0.05, "compose": 0.05}
"""Forgetting by subtraction is to cost at most a twentieth of training again."""


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure every family that has a module here.

    Args:
        args: `rows`, how large each family's world is, in rows; none for what each family says. Those that are held
            to a goal are measured with 100,000 people, who use 10,000 items or write 10,000 words.
    """
    figures: dict[str, Any] = {}
    goals = []
    for family in BUILT_IN:
        name = f"bench.forget.{family}"
        if importlib.util.find_spec(name) is None:
            figures[family] = "not measured"
            ratio = None
        else:
            figures[family] = found = importlib.import_module(name).measure(args.rows)
            ratio = _ratio(family, found)
        if family in AT_MOST:
            goal = {"name": f"{family}: forgetting one person against training anew", "at_most": AT_MOST[family]}
            goals.append({**goal, "value": ratio, "met": ratio is not None and ratio <= AT_MOST[family]})
    return {"bench": "forget", "figures": figures, "goals": goals, "machine": machine()}


def _ratio(family: str, found: Mapping[str, Any]) -> float | None:
    if not found.get("same bytes", found.get("same_bytes", found.get("equal"))):
        msg = f"The {family} model that forgot is not the one that never saw the person: do not trust it."
        raise ProofError(msg)
    value = found.get("ratio")
    return float(value) if isinstance(value, int | float) else None
