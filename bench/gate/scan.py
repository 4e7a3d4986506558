"""What the gate costs a scan: CPU of the gated scan over the ungated one, and memory. `python -m bench gate --rows N`.

Both read the same files with the same reader, one row group at a time on one thread; the gated one judges besides. Each
measurement runs in a process of its own, forked from one that has done nothing but import, so that its peak memory is
its own; it reads one file before it counts. The scans take turns, and a ratio compares two measurements of the same
round. DuckDB's ungated scan is reported once, so that a slow base cannot flatter the gate; so is its run of the gate's
SQL.
"""

import argparse
import gc
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bench.gate.data import ROWS_PER_PARTY_SET, make_effective_permits, make_files
from bench.gate.rivals import comparisons
from bench.meetings import machine
from volition.errors import BackendError
from volition.records.engines.arrow import ArrowEngine
from volition.records.engines.duckdb import DuckDBEngine
from volition.records.lake import BUCKETS, GROUP_ROWS

COLUMNS: Final = {"payload": ["payload"], "payload and keys": ["circle", "collected_us", "payload"]}

SAID: Final = ("everybody yes", "half by person", "half by account")

ROUNDS: Final = 3
_ROWS: Final = 5_000_000
_RECORDS: Final = {1_000_000: 7, 10_000_000: 3}  # judged beside the rivals, and in how many rounds

Way = tuple[str, str, str]
"""How a scan is done: what reads, what is read, and what was said."""

WAYS: Final[tuple[Way, ...]] = (
    *(("ungated", read, "") for read in COLUMNS),
    *(("gated", read, said) for said in SAID for read in COLUMNS),
    ("DuckDB ungated", "payload and keys", ""),
    ("DuckDB gated", "all columns", "half by person"),
)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the gate over made-up telemetry.

    Args:
        args: `rivals`, whether to measure against as-of joins instead (see `gate_rivals`). Otherwise `rows`, how many,
            by default 5 million; some 38 bytes of files are made for each, in the system's folder for temporary files.

    Raises:
        BackendError: A measurement failed.
    """
    if args.rivals:
        return _against_rivals()
    rows = args.rows or _ROWS
    get_context("forkserver").set_forkserver_preload(["bench.gate.scan"])
    with tempfile.TemporaryDirectory(prefix="volition-gate-") as place:
        folder = Path(place)
        for name in ("all", "tenth"):
            (folder / name).mkdir()
        started_s = time.perf_counter()
        files = make_files(folder / "all", rows)
        tenth = make_files(folder / "tenth", rows // 10)
        made_s = time.perf_counter() - started_s
        size_bytes = sum(Path(path).stat().st_size for path in files)
        measured: dict[Way, list[dict[str, Any]]] = {way: [] for way in WAYS}
        smaller = []
        for number in range(ROUNDS):
            for way in WAYS:
                if not (way[0].startswith("DuckDB") and number):
                    measured[way].append(measure(way, files, rows))
            smaller.append(measure(("gated", "payload and keys", "half by person"), tenth, rows // 10))
    return _report(rows, made_s, size_bytes, measured, smaller)


# --- one measurement -----------------------------------------------------------------------------------------------


def measure(way: Way, files: Sequence[str], rows: int) -> dict[str, Any]:
    """Scan the files one way in a process of its own; return rows that came out, CPU and wall seconds, and peak bytes.

    Raises:
        BackendError: It failed.
    """
    context = get_context("forkserver")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(there, way, files, rows))
    process.start()
    there.close()
    try:
        found: dict[str, Any] = here.recv()
    except EOFError as error:
        msg = f"The measurement of {' / '.join(way)} ended without an answer."
        raise BackendError(msg) from error
    finally:
        process.join()
        here.close()
    return found


def _measured(there: Connection, way: Way, files: Sequence[str], rows: int) -> None:
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    gc.collect()
    judges = bool(way[2])  # an ungated scan needs no effective permits
    effective_permits = make_effective_permits(rows // BUCKETS + (rows % BUCKETS > 0), 0, way[2]) if judges else None
    for batch in _scan(way, files[0], effective_permits):
        del batch
    out = 0
    cpu_s = wall_s = 0.0
    for bucket, path in enumerate(files):
        if judges:  # made before the clock starts: it is not what is measured
            effective_permits = make_effective_permits(rows // BUCKETS + (bucket < rows % BUCKETS), bucket, way[2])
        began_cpu_s, began_s = time.process_time(), time.perf_counter()
        for batch in _scan(way, path, effective_permits):
            out += batch.num_rows
        cpu_s += time.process_time() - began_cpu_s
        wall_s += time.perf_counter() - began_s
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    there.send({"rows": out, "cpu_s": cpu_s, "wall_s": wall_s, "peak_bytes": peak_bytes})


def _scan(way: Way, path: str, effective_permits: Any) -> Iterator[pa.RecordBatch]:  # noqa: ANN401 - gate.Effective permits
    match way:
        case ("ungated", read, _):
            return _ungated(path, COLUMNS[read])
        case ("gated", read, _):
            return ArrowEngine().permitted([path], effective_permits, columns=COLUMNS[read])
        case ("DuckDB gated", _, _):
            return DuckDBEngine().permitted([path], effective_permits)
        case _:
            return _duckdb_ungated(path, COLUMNS[way[1]])


def _ungated(path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(path) as bytes_:
        file = pq.ParquetFile(bytes_, pre_buffer=False)
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group, columns=columns, use_threads=False).to_batches()


def _duckdb_ungated(path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        scan = connection.read_parquet(path).project(", ".join(columns))
        yield from scan.to_arrow_reader(65_536)


def _against_rivals() -> dict[str, Any]:
    found = list(comparisons(_RECORDS))
    return {
        "bench": "gate --rivals",
        "figures": {name: figures for name, figures, _ in found},
        "goals": [goal for _, _, goal in found],
        "machine": machine(),
    }


# --- the report ----------------------------------------------------------------------------------------------------


def _report(
    rows: int,
    made_s: float,
    size_bytes: int,
    measured: dict[Way, list[dict[str, Any]]],
    smaller: list[dict[str, Any]],
) -> dict[str, Any]:
    ways = {}
    for way, found in measured.items():
        spread = _spread([one["cpu_s"] / rows * 1e9 for one in found])
        ways[" / ".join(part for part in way if part)] = {
            "cpu_ns_a_row": spread,
            "wall_s": statistics.median(one["wall_s"] for one in found),
            "rows_out": found[0]["rows"],
            "pass_rate": found[0]["rows"] / rows,
            "peak_mb": max(one["peak_bytes"] for one in found) / 2**20,
        }
    ratios, goals = {}, []
    for read, limit in (("payload and keys", 1.2), ("payload", 1.5)):
        base = [one["cpu_s"] for one in measured["ungated", read, ""]]
        for said in SAID:
            gated = [one["cpu_s"] for one in measured["gated", read, said]]
            name = f"gated over ungated, base reading {read}, {said}"
            ratios[name] = _spread([one / other for one, other in zip(gated, base, strict=True)])
            if said != "half by account":
                goals.append(_at_most(name, ratios[name]["median"], limit))
    peak_mb = max(one["peak_bytes"] / 2**20 for way, found in measured.items() if way[0] == "gated" for one in found)
    goals.append(_at_most("peak memory of the gated scan, MB", peak_mb, 512))
    whole = measured["gated", "payload and keys", "half by person"]
    linear = _spread(
        [one["cpu_s"] / rows / (less["cpu_s"] / (rows // 10)) for one, less in zip(whole, smaller, strict=True)]
    )
    goals.append(_at_most("CPU a row over that of a tenth of the rows", linear["median"], 1.25))
    return {
        "bench": "gate",
        "figures": {
            "rows": rows,
            "files": BUCKETS,
            "rows_of_a_row_group": GROUP_ROWS,
            "rows_a_circle": ROWS_PER_PARTY_SET,
            "file_bytes": size_bytes,
            "made_in_s": made_s,
            "rounds": ROUNDS,
            "ways": ways,
            "ratios": ratios,
            "CPU a row over that of a tenth of the rows": linear,
        },
        "goals": goals,
        "machine": machine(),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def _at_most(name: str, value: float, limit: float) -> dict[str, Any]:
    return {"name": name, "value": value, "at_most": limit, "met": value <= limit}
