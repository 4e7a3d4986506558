"""Run a benchmark by name: `python -m bench quality --data DIR`; without a name, list them."""

import argparse
import ast
import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from volition.errors import VolitionError


def main() -> int:
    """Run the benchmark that the command line names; return 1 if it missed a goal, 2 if it could not run."""
    benches = dict(find_benches())
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="?", help="the benchmark; without it, they are listed")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--data", metavar="DIR", help="the folder of real data, for benchmarks that need it")
    parser.add_argument("--report", metavar="DIR", help="measure on the meetings or the chat in this folder (quality)")
    parser.add_argument("--only", metavar="FAMILY", help="measure one family alone (quality)")
    parser.add_argument("--cache", metavar="DIR", help="keep what is slow to compute here, for the next run")
    parser.add_argument("--meetings", metavar="N", type=int, help="take only so many meetings (road)")
    parser.add_argument(
        "--rows", metavar="N", type=int, help="measure on so many rows, where a benchmark makes its own"
    )
    parser.add_argument("--rivals", action="store_true", help="compare with as-of joins instead of a bare scan (gate)")
    args = parser.parse_args()
    if args.name is None:
        for name, summary in benches.items():
            print(f"{name:<12} {summary}")
        return 0
    if args.name not in benches:
        parser.error(f"there is no benchmark {args.name!r}; there are: {', '.join(benches)}")
    try:
        result = importlib.import_module(f"bench.{args.name}").run(args)
    except VolitionError as error:
        print(error, file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        show(result)
    return 0 if all(goal["met"] for goal in result["goals"]) else 1


def find_benches() -> Iterator[tuple[str, str]]:
    """Yield the name of each benchmark and the first line about it, without running any of their code."""
    home = Path(__file__).parent
    modules = {path.stem: path for path in home.glob("[!_]*.py")}
    packages = {path.parent.name: path for path in home.glob("[!_]*/__init__.py")}
    for name, path in sorted({**modules, **packages}.items()):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(_names_run(node) for node in tree.body):
            yield name, (ast.get_docstring(tree) or "").partition("\n")[0]


def _names_run(node: ast.stmt) -> bool:
    """Return whether a statement defines or imports the function `run`."""
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "run" for alias in node.names)
    return isinstance(node, ast.FunctionDef) and node.name == "run"


def show(result: Mapping[str, Any]) -> None:
    """Print a result as tables."""
    console = Console()
    figures = Table("figure", "value", title=f"bench {result['bench']}", title_justify="left")
    for name, value in _flat(result["figures"]):
        figures.add_row(name, value)
    console.print(figures)
    goals = Table("goal", "value", "bound", "met")
    for goal in result["goals"]:
        bound = f"at least {goal['at_least']}" if "at_least" in goal else f"at most {goal['at_most']}"
        goals.add_row(goal["name"], _text(goal["value"]), bound, "yes" if goal["met"] else "NO")
    console.print(goals)
    console.print("machine: " + ", ".join(f"{name} {value}" for name, value in result["machine"].items()))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if not isinstance(inner, Mapping):
            yield f"{prefix}{name}", _text(inner)
        elif estimate := _estimate(inner):
            yield f"{prefix}{name}", estimate
        else:
            yield from _flat(inner, f"{prefix}{name} / ")


def _estimate(value: Mapping[str, Any]) -> str | None:
    """Return an estimate with its interval in one line; none if the value is something else."""
    match dict(value):
        case {"mean": middle, "interval": [low, high], **rest} if not rest:
            pass
        case {"mean": middle, "low": low, "high": high, **rest} if not rest:
            pass
        case _:
            return None
    return f"{_text(middle)} ({_text(low)} to {_text(high)})"


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
