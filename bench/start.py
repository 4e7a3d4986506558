"""How quickly commands start: CPU seconds and peak memory of each, on the demo's workspace. `python -m bench start`.

The demo is walked first, which takes minutes; `--cache DIR` keeps its workspace for the next run. Each command then
runs several times in a process of its own, and the medians of what the operating system counted for it are the figures.
Its bytecode is compiled before, as where it is installed: the first run of each command is not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from bench.meetings import machine
from volition.cli.demo.cast import ASKER, LEAVER, LEAVER_ASKER, QUERY
from volition.cli.demo.story import run_demo

RUNS: Final = 7
_REFUSED: Final = 3  # exit code of `may` where the answer is no
_LIGHT: Final = (0.6, 150.0)  # CPU seconds and megabytes at most
COMMANDS: Final[Mapping[str, tuple[Sequence[str], float, float | None]]] = {
    "--help": (["--help"], 0.15, None),
    "key": (["key"], *_LIGHT),
    "may": (
        ["may", "train/recommend", "--account", LEAVER, "--person", LEAVER_ASKER, "--category", "service/usage"],
        *_LIGHT,
    ),
    "decide": (
        ["decide", "no", "--party", f"account:{LEAVER}", "--data", "content", "--purpose", "train/search"],
        *_LIGHT,
    ),
    "status": (["status"], *_LIGHT),
    "search": (["search", QUERY, "--as", ASKER], 1.5, None),
}
"""Each command, and the most that it should take: CPU seconds and, where there is a goal, megabytes."""


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure each command on a workspace as the demo leaves it."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = (scratch if args.cache is None else Path(args.cache).resolve()) / "demo"
        if not (folder / "evidence.zip").exists():
            print("walking the demo", file=sys.stderr)
            run_demo(folder, lambda step: print(step.title, file=sys.stderr))
        figures = measure(folder / "workspace", bytecode=scratch / "bytecode", runs=args.rows or RUNS)
    goals = []
    for name, (_, most_s, most_mb) in COMMANDS.items():
        goals.append(_goal(f"{name}: CPU seconds", figures[name]["cpu_s"], most_s))
        if most_mb is not None:
            goals.append(_goal(f"{name}: megabytes", figures[name]["peak_mb"], most_mb))
    return {"bench": "start", "figures": figures, "goals": goals, "machine": machine()}


def measure(workspace: Path, *, bytecode: Path, runs: int) -> dict[str, dict[str, float]]:
    """Return the median CPU seconds and peak megabytes of each command.

    Args:
        workspace: The workspace that the commands are about.
        bytecode: A folder for the compiled modules.
        runs: How often each command is measured.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONPYCACHEPREFIX": str(bytecode), "VOLITION_WORKSPACE": str(workspace)}
    figures = {}
    for name, (arguments, _, _) in COMMANDS.items():
        print(f"measuring {name}", file=sys.stderr)
        measured = [_measured(arguments, environment) for _ in range(runs + 1)][1:]
        cpu_s, peak_mb = (statistics.median(column) for column in zip(*measured, strict=True))
        figures[name] = {"cpu_s": round(cpu_s, 3), "peak_mb": round(peak_mb, 1)}
    return figures


_LAUNCHER: Final = """
import json, os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""
"""A process inherits the peak of the one that starts it, so a small one does."""


def _measured(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Run a command once; return its CPU seconds and peak megabytes."""
    command = [sys.executable, "-m", "volition", *arguments]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    code, cpu_s, peak = json.loads(done.stdout)
    if code not in {0, _REFUSED}:
        raise RuntimeError(f"`volition {' '.join(arguments)}` ended with {code}: {done.stderr}")
    to_mb = 1e-6 if sys.platform == "darwin" else 1024e-6  # bytes there, kibibytes elsewhere
    return cpu_s, peak * to_mb


def _goal(name: str, value: float, bound: float) -> dict[str, Any]:
    return {"name": name, "value": value, "at_most": bound, "met": value <= bound}
