"""What the gate costs on Spark and on DuckDB, a row and a party set, on the same files. `python -m bench spark`.

CPU time is the whole of what each engine's process used: Java's compiler and collector included, start-up not; it is
read from /proc. Every round runs each way once, one after the other; the first rounds, in which Java compiles, are
discarded. All ways read every column; those of the gate let part of the rows through, and say how many.

A gated job on Spark first plans, and hands the effective permits over, whatever the number of rows. That is measured
alone, on files of one row, and taken off what a row costs.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.meetings import machine
from volition.consent.gate import EffectivePermits
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Reason
from volition.records.engines.duckdb import DuckDBEngine
from volition.records.engines.spark import Part, own_session, permitted_frame
from volition.records.lake import GROUP_ROWS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS: Final = 8_000_000
PARTS: Final = 8
ROUNDS: Final = 5
WARM: Final = 2

_CORES: Final = 2
_PEOPLE: Final = 100  # people in an account; each is a party set of their own, as with usage events
_ROWS_A_CIRCLE: Final = 16
_SPAN_US: Final = 90 * 86_400_000_000


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; `--rows` says how many records."""
    rows = args.rows or ROWS
    with tempfile.TemporaryDirectory(prefix="volition-bench-") as folder:
        parts = _write(Path(folder), rows)
        one_row = [
            Part(category=part.category, files=[_first_row(part.files[0])], effective_permits=part.effective_permits)
            for part in parts
        ]
        session = own_session(cores=_CORES)
        try:
            ways = _ways(session, parts, one_row, Path(folder))
            return {"bench": "spark", "machine": machine(), **_measured(ways, parts, _sizes(parts), Path(folder))}
        finally:
            session.stop()


def _write(folder: Path, rows: int) -> list[Part]:
    """Write usage records sorted and packed as the lake does it. Two thirds of the people said yes, at some time."""
    randomly = np.random.default_rng(7)
    rows_a_part = rows // PARTS
    party_sets = max(rows_a_part // _ROWS_A_CIRCLE, 1)
    parts = []
    for number in range(PARTS):
        party_set = randomly.integers(0, party_sets, rows_a_part)
        collected = randomly.integers(0, _SPAN_US, rows_a_part)
        order = np.lexsort((collected, party_set))  # accounts count up as their party sets do
        identities = randomly.bytes(16 * rows_a_part).hex()
        items = randomly.integers(0, 50_000, rows_a_part).tolist()
        columns = {
            "record_id": [identities[place : place + 32] for place in range(0, len(identities), 32)],
            "account": pa.array((party_set // _PEOPLE)[order], pa.int32()),
            "circle": pa.array(party_set[order], pa.int32()),
            "collected_us": pa.array(collected[order], pa.int64()),
            "source": [""] * rows_a_part,
            "payload": pa.array(
                [
                    b'{"attributes":{"volition.item":"document/%d"},"kind":"event","name":"opened"}' % item
                    for item in items
                ],
                pa.binary(),
            ),
        }
        path = folder / f"{number:02d}.parquet"
        pq.write_table(
            pa.table(columns),
            path,
            compression="zstd",
            row_group_size=GROUP_ROWS,
            use_dictionary=["account", "circle", "source"],
            write_statistics=["account", "circle", "collected_us", "source"],
            column_encoding={"collected_us": "DELTA_BINARY_PACKED"},
        )
        parts.append(
            Part(
                category="service/usage", files=[str(path)], effective_permits=_effective_permits(party_sets, randomly)
            )
        )
    return parts


def _effective_permits(party_sets: int, randomly: np.random.Generator) -> EffectivePermits:
    """Let a third have no permit, a third one from the beginning, and a third one from some day on."""
    kind = randomly.integers(0, 3, party_sets)
    since = np.where(kind == 0, NO_PERMIT_US, np.where(kind == 1, 0, randomly.integers(0, _SPAN_US, party_sets)))
    return EffectivePermits(
        at_us=_SPAN_US,
        since_us=since.astype(np.int64),
        oldest_us=np.zeros(party_sets, np.int64),
        reason=np.where(kind == 0, REASON_CODES[Reason.NOT_ASKED], 0).astype(np.int8),
    )


def _sizes(parts: Sequence[Part]) -> dict[str, int]:
    """Return how much there is: records, how many of them pass, effective permits, parts, cores that Spark may use."""
    return {
        "rows": sum(pq.ParquetFile(file).metadata.num_rows for part in parts for file in part.files),
        "passing": sum(DuckDBEngine().reasons(part.files, part.effective_permits)[None] for part in parts),
        "effective_permits": sum(len(part.effective_permits.since_us) for part in parts),
        "parts": len(parts),
        "spark's cores": _CORES,
    }


def _first_row(file: str) -> str:
    path = Path(file).with_suffix(".first.parquet")
    pq.write_table(pq.read_table(file).slice(0, 1), path)
    return str(path)


def _ways(
    session: "SparkSession", parts: Sequence[Part], one_row: Sequence[Part], folder: Path
) -> dict[str, tuple[Callable[[], object], Callable[[], float]]]:
    """Return what to measure, by name: what runs, and the clock of the process that runs it, in CPU seconds."""
    files = [file for part in parts for file in part.files]
    java = session.sparkContext._gateway.proc.pid  # noqa: SLF001 - it is told nowhere else

    def java_s() -> float:
        told = Path(f"/proc/{java}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")  # its own and the system's for it: proc(5)

    def judged(chosen: Sequence[Part], *, broadcast: bool = True) -> None:
        permitted_frame(session, chosen, broadcast=broadcast).write.format("noop").mode("overwrite").save()

    def every_row() -> None:
        session.read.parquet(*files).write.format("noop").mode("overwrite").save()

    def into_files() -> None:
        permitted_frame(session, parts, broadcast=True).write.mode("overwrite").parquet((folder / "set").as_uri())

    return {
        "spark/every row": (every_row, java_s),
        "spark/gated": (lambda: judged(parts), java_s),
        "spark/gated, records shuffled": (lambda: judged(parts, broadcast=False), java_s),
        "spark/gated and written": (into_files, java_s),
        "spark/permits alone": (lambda: judged(one_row), java_s),
        "duckdb/every row": (lambda: _every_row_by_duckdb(files), time.process_time),
        "duckdb/gated": (lambda: _gated_by_duckdb(parts), time.process_time),
    }


def _every_row_by_duckdb(files: Sequence[str]) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        for file in files:
            for _ in connection.read_parquet([file]).to_arrow_reader(65_536):
                pass


def _gated_by_duckdb(parts: Sequence[Part]) -> None:
    engine = DuckDBEngine()
    for part in parts:
        for _ in engine.permitted(part.files, part.effective_permits):
            pass


def _measured(
    ways: Mapping[str, tuple[Callable[[], object], Callable[[], float]]],
    parts: Sequence[Part],
    sizes: Mapping[str, int],
    folder: Path,
) -> dict[str, Any]:
    """Run every way in every round; return what one row, or one effective permit, costs in each."""
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(WARM + ROUNDS):
        for name, (work, clock) in ways.items():
            began_s, began = clock(), time.perf_counter()
            work()
            if turn >= WARM:
                cpu[name].append(clock() - began_s)
                wall[name].append(time.perf_counter() - began)
    for name in ("spark/gated", "spark/gated, records shuffled", "spark/gated and written"):
        pairs = zip(cpu[name], cpu["spark/permits alone"], strict=True)
        cpu[name] = [whole - fixed for whole, fixed in pairs]  # what is paid once an effective permit is told apart
    figures: dict[str, Any] = {
        "sizes": dict(sizes),
        "rounds": ROUNDS,
        "CPU ns": {
            f"{name}, a standing" if "effective_permits" in name else f"{name}, a row": _spread(
                [second * 1e9 / sizes["effective_permits" if "standings" in name else "rows"] for second in seconds]
            )
            for name, seconds in cpu.items()
        },
        "wall s": {name: _spread(seconds) for name, seconds in wall.items()},
        "gated against every row": {
            engine: _spread([a / b for a, b in zip(cpu[f"{engine}/gated"], cpu[f"{engine}/every row"], strict=True)])
            for engine in ("spark", "duckdb")
        },
        "bytes": _bytes(folder, parts, sizes),
    }
    differing = _differing(folder, parts)
    goal = {"name": "rows on which Spark and DuckDB differ", "value": differing, "at_most": 0, "met": not differing}
    return {"figures": figures, "goals": [goal]}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def _bytes(folder: Path, parts: Sequence[Part], sizes: Mapping[str, int]) -> dict[str, float]:
    """Return what a record takes in the lake, and what an effective permit takes where it is staged."""
    staged = folder / "effective_permits.parquet"
    effective_permits = parts[0].effective_permits
    columns = {"circle": np.arange(len(effective_permits.since_us)), "since_us": effective_permits.since_us}
    pq.write_table(
        pa.table(columns | {"oldest_us": effective_permits.oldest_us, "reason": effective_permits.reason}), staged
    )
    in_lake = sum(Path(file).stat().st_size for part in parts for file in part.files)
    return {
        "a record in the lake": in_lake / sizes["rows"],
        "a standing in a file": staged.stat().st_size / len(effective_permits.since_us),
    }


def _differing(folder: Path, parts: Sequence[Part]) -> int:
    """Count the records that one engine lets through and the other does not, in what Spark wrote."""
    written = pq.read_table(folder / "set", columns=["record_id"])["record_id"].to_pylist()
    judged = [
        identity
        for part in parts
        for batch in DuckDBEngine().permitted(part.files, part.effective_permits)
        for identity in batch["record_id"].to_pylist()
    ]
    return len(set(judged) ^ set(written)) + abs(len(judged) - len(written))
