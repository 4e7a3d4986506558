"""Can Volition be installed beside what its users have? Solves for it, installs nothing, prints a table.

    python scripts/compat.py            # the table, in Markdown
    python scripts/compat.py mlflow     # one neighbour alone

For each neighbour `uv pip compile` is asked for one set of versions that satisfies both: beside the core, and beside
every extra that needs no Java and no torch. The neighbour's version says whether the set is one that people would
want: "3.4 of 3.9" means that only an older one than the newest fits. What cannot be solved is printed with the bounds
that are in the way, as uv explains them. Needs a package index.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parent.parent / "pyproject.toml"

NEIGHBOURS: Final = (  # each with the oldest version that somebody who installs today would take
    "mlflow>=3",
    "dbt-duckdb>=1.9",
    "feast>=0.47",
    "apache-airflow>=3",
    "zenml>=0.80",
    "ray>=2.40",
    "dagster>=1.10",
    "prefect>=3",
    "datasets>=3",
    "pyspark>=4",
    "vllm>=0.10",
    "snowflake-snowpark-python>=1.30",
)

EVERYTHING_LIGHT: Final = ("server", "otlp", "learn", "search", "duckdb", "audit", "forms")
"""Every extra but `spark` and `train`: those pin versions that a cluster or a graphics card dictates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What uv answers: the pinned versions, or why there are none.

    Attributes:
        pins: Version by package name; empty if there is no solution.
        reason: uv's explanation; empty if there is a solution.
    """

    pins: dict[str, str]
    reason: str


def solve(requirements: Sequence[str], extras: Sequence[str] | None) -> Solution:
    """Ask uv for versions that satisfy some requirements, beside Volition with some extras, or alone (`None`)."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        sys.exit("uv is missing: pip install uv")
    ours = [] if extras is None else [str(PROJECT), *(part for extra in extras for part in ("--extra", extra))]
    command = [uv, "pip", "compile", "-", *ours, "--python-version", "3.11", "--no-header", "--no-annotate", "--quiet"]
    done = subprocess.run(command, input="\n".join(requirements), capture_output=True, text=True, check=False)
    if done.returncode:
        return Solution(pins={}, reason=_one_line(done.stderr))
    return Solution(pins=dict(re.findall(r"^([\w.-]+)==(\S+)", done.stdout, re.MULTILINE)), reason="")


def _one_line(explanation: str) -> str:
    """Return uv's drawing of a conflict as one paragraph."""
    kept = [re.sub(r"^\W+", "", line) for line in explanation.splitlines() if not line.startswith("warning:")]
    return " ".join(" ".join(kept).split())


def rows(neighbours: Sequence[str]) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield each neighbour's name, its version beside the core and beside everything light, and the conflicts."""
    for requirement in neighbours:
        name = re.split(r"[<>=]", requirement)[0]
        newest = solve([requirement], None)
        cells, conflicts = [], []
        for beside, extras in (("the core", ()), ("the extras", EVERYTHING_LIGHT)):
            best = newest.pins.get(name, "")
            exact = solve([f"{name}=={best}"], extras) if best else newest
            found = solve([requirement], extras) if exact.reason else exact
            if exact.reason:
                conflicts.append(f"{name} {best} beside {beside}: {exact.reason}")
            cells.append("no" if found.reason else best if found is exact else f"{found.pins[name]} of {best}")
        yield name, cells[0], cells[1], conflicts


def main(wanted: Sequence[str]) -> None:
    """Print the table, then what is in the way."""
    chosen = [each for each in NEIGHBOURS if not wanted or re.split(r"[<>=]", each)[0] in wanted]
    print("| beside | core | with " + ", ".join(f"`{extra}`" for extra in EVERYTHING_LIGHT) + " |")
    print("|---|---|---|")
    conflicts: list[str] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for found in pool.map(lambda each: list(rows([each])), chosen):
            for name, core, extras, reasons in found:
                print(f"| {name} | {core} | {extras} |", flush=True)
                conflicts += reasons
    for conflict in conflicts:
        print(f"\n- {conflict}")


if __name__ == "__main__":
    main(sys.argv[1:])
