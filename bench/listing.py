"""A snapshot of a table of others, listed from Parquet files: `python -m bench listing`.

Rows of one person each, of 100,000 people, in files of a million rows, are read, judged, listed and joined to one, each
size in a process of its own: rows for each second of the processor, and memory at most. `--rows 100000000` measures a
hundred million (3 GB of disk; beyond ten million, files come again under other names). Looking names up in a directory
of people is not measured: here a dictionary does it.
"""

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from bench import tables
from bench.meetings import machine
from volition.consent.gate.interned import InternedGate
from volition.progress import silent
from volition.records.foreign.answers import GateAnswers
from volition.records.foreign.mapping import TableMapping
from volition.records.foreign.version import open_version
from volition.records.listed import Listing, join_parts, list_files

SIZES: Final = (1_000_000, 10_000_000)
FILE_ROWS: Final = 1_000_000
DIFFERENT_ROWS: Final = 10_000_000
LEAST: Final = 200_000
MOST_MB: Final = 1_000
_MAPPINGS: Final = {
    "rows identified by their places": None,
    "rows identified by a column": "number",
}


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure tables of 1 and 10 million rows, or of `args.rows` (40 MB of disk for a million)."""
    sizes = (args.rows,) if args.rows else SIZES
    figures: dict[str, Any] = {}
    goals = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            data = Path(folder) / str(rows)
            making = multiprocessing.get_context("spawn").Process(target=_write, args=(data, rows))
            making.start()
            making.join()
            for name, column in _MAPPINGS.items():
                found = _in_a_process(data, column)
                figures[f"{rows:,} {name}"] = found
                rate, memory = found["rows for each second of the processor"], found["memory at most, MB"]
                goals += [
                    {"name": f"{rows:,} {name}, rows/s a core", "value": rate, "at_least": LEAST, "met": rate >= LEAST},
                    {"name": f"{rows:,} {name}, MB", "value": memory, "at_most": MOST_MB, "met": memory <= MOST_MB},
                ]
    return {"bench": "listing", "figures": figures, "goals": goals, "machine": machine()}


def _write(folder: Path, rows: int) -> None:
    folder.mkdir()
    facts = tables.make_facts()
    for number in range(0, rows, FILE_ROWS):
        path = folder / f"{number:010}.parquet"
        if number >= DIFFERENT_ROWS:  # the same files again, under other names
            path.hardlink_to(folder / f"{number % DIFFERENT_ROWS:010}.parquet")
            continue
        table = tables.make_rows(facts, min(FILE_ROWS, rows - number), several=False)
        pq.write_table(table, path, compression="zstd")


def _in_a_process(data: Path, column: str | None) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.listing", str(data), column or ""], check=True, capture_output=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _measure(data: Path, column: str | None) -> dict[str, Any]:
    facts = tables.make_facts()
    permits = tables.make_permits(facts)
    directory: Any = tables.Directory(facts.names)
    answers = GateAnswers(InternedGate(permits, directory), directory, [tables.CATEGORY])
    mapping = TableMapping(
        people="people", time="collected_at", account_column="account", category=tables.CATEGORY, record_column=column
    )
    del facts
    before_mb = _peak_mb()
    with tempfile.TemporaryDirectory(dir=data.parent) as folder:
        aside = Path(folder) / "aside"
        aside.mkdir()
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        version = open_version(data)
        listing = Listing(version=version, mapping=mapping, permits=permits, checkpoint="none", until_us=permits.at_us)
        parts = list_files(version, mapping, answers, Path(folder), until_us=permits.at_us, progress=silent)
        snapshot = join_parts(Path(folder) / "snapshots", aside, listing, parts, progress=silent)
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        counts = snapshot.manifest["rows"][tables.CATEGORY]
        size = sum(path.stat().st_size for path in snapshot.folder.iterdir())
    return {
        "rows for each second of the processor": counts["read"] / cpu_s,
        "CPU s": cpu_s,
        "s": wall_s,
        "rows listed": counts["kept"],
        "people": snapshot.manifest["people"]["size"],
        "memory before, MB": before_mb,
        "memory at most, MB": _peak_mb(),
        "bytes of the snapshot for each row": size / max(1, counts["kept"]),
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), sys.argv[2] or None)))
