"""Build the library of faults, run the runner with it, and count what held."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench.meetings import machine
from volition.errors import BackendError

KINDS: Final = ("kill", "tear", "full", "fail")
_SHOWN: Final = 20


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make every fault, or so many of each command and kind as `--rows` says, and count what held by command."""
    counts: dict[str, dict[str, int]] = {}
    broken: list[dict[str, Any]] = []
    for trial in trials(only=args.only.split(",") if args.only else (), most=args.rows):
        count = counts.setdefault(trial["command"], {"held": 0, "not": 0})
        count["not" if trial["wrong"] else "held"] += 1
        if trial["wrong"]:
            broken.append(trial)
            print(_line(trial), file=sys.stderr)
    tried = sum(sum(count.values()) for count in counts.values())
    return {
        "bench": "faults",
        "figures": {"tried": tried, **counts},
        "broken": broken,
        "goals": [{"name": "faults that were not held", "value": len(broken), "at_most": 0, "met": not broken}],
        "machine": machine(),
    }


def _line(trial: dict[str, Any]) -> str:
    return f"{trial['command']}, {trial['kind']} at {trial['at']} ({trial['point']}): {trial['wrong']}"


def trials(
    *, only: Sequence[str] = (), most: int | None = None, kinds: Sequence[str] = KINDS
) -> Iterator[dict[str, Any]]:
    """Yield each trial: its command, its kind, at which change, and what did not hold, empty where all did.

    Args:
        only: Some commands by name; none for all.
        most: At most so many changes of each command and kind; none for all.
        kinds: Of which kinds.

    Raises:
        BackendError: There is no C compiler, or the runner failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder))
        asked = json.dumps({"only": list(only), "most": most, "kinds": list(kinds)})
        environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONWARNINGS": "ignore"}
        with subprocess.Popen(
            [sys.executable, "-m", "bench.faults.runner", asked],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None  # noqa: S101 - as asked for
            for line in process.stdout:
                yield json.loads(line)
        if process.returncode:
            raise BackendError("The runner of faults failed; what it said is above.")


def build(folder: Path) -> Path:
    """Compile the library into a folder and return it.

    Raises:
        BackendError: There is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise BackendError("The library of faults needs a C compiler (cc), which is not installed.")
    library = folder / "faults.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
