"""How long the log takes to be written as tiles, in how much memory, and what a second export writes.

`python -m bench tiles`, or with fewer entries: `python -m bench tiles --rows 1000000`. The log is made first, in
commits of 4,096 entries; that is not timed. Each export runs in a process of its own, whose peak memory is reported.
The second comes after 1,000 more entries, appended one at a time, and must write what is new and nothing else: it reads
back the right edge of the folder, and goes on from there. An export checks the root of what it wrote, so what is timed
here is verified.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from bench.ledger import SIGNER, draft
from bench.meetings import machine
from bench.road import peak_mb
from volition.ledger.log import Ledger
from volition.ledger.stores.sqlite import SqliteStore
from volition.ledger.tiles import WIDTH, export_tiles

ENTRIES: Final = 10_000_000
MORE: Final = 1_000
BATCH: Final = 4_096
PEAK_MB: Final = 200
"""What an export may take, whatever the size of the log; Python and what it imports are half of that."""


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make a log, export it, let it grow, and export it again."""
    size = args.rows or ENTRIES
    with tempfile.TemporaryDirectory(prefix="volition-tiles-") as place:
        log, tiles = Path(place, "ledger.db"), Path(place, "tiles")
        with opened(log, create=True) as ledger:
            for start in range(0, size, BATCH):
                ledger.append(*[draft(number) for number in range(start, min(start + BATCH, size))])
        first = apart(log, tiles)
        with opened(log) as ledger:
            for number in range(size, size + MORE):
                ledger.append(draft(number))
        second = apart(log, tiles)
        stored_mb = log.stat().st_size / 1e6
    written = files_of(size, size + MORE)
    figures = {"entries": size, "ledger MB": stored_mb, "first export": first, f"after {MORE:,} more": second}
    goals = [
        {"name": f"peak memory of the {name}, MB", "value": told["peak MB"], "at_most": PEAK_MB}
        for name, told in (("first export", first), ("second", second))
    ]
    goals.append({"name": "files that the second export writes", "value": second["files"], "at_most": written})
    met = [{**goal, "met": goal["value"] <= goal["at_most"]} for goal in goals]
    return {"bench": "tiles", "figures": figures, "goals": met, "machine": machine()}


def files_of(old: int, size: int) -> int:
    """Return how many files are new between two sizes: tiles of each level and of the entries, and the checkpoint."""
    files = 1
    while size:
        tiles = -(-size // WIDTH) - old // WIDTH  # those that were not full before
        files += 2 * tiles if files == 1 else tiles
        old, size = old // WIDTH, size // WIDTH
    return files


@contextmanager
def opened(path: Path, *, create: bool = False) -> Iterator[Ledger]:
    """Open the ledger in a file, or make one."""
    with closing(SqliteStore.create(path) if create else SqliteStore(path)) as store:
        yield Ledger(store, SIGNER)


def apart(log: Path, tiles: Path) -> dict[str, Any]:
    """Export in a process of its own; return what it took."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(export, log, tiles).result()


def export(log: Path, tiles: Path) -> dict[str, Any]:
    """Export, and return seconds, the processor's seconds, peak memory, and what was written."""
    with opened(log) as ledger:
        start, cpu = time.perf_counter(), time.process_time()
        done = export_tiles(ledger, SIGNER.key, tiles, ledger.checkpoint(), with_entries=True)
        seconds, busy = time.perf_counter() - start, time.process_time() - cpu
    return {
        "seconds": round(seconds, 3),
        "seconds of the processor": round(busy, 3),
        "peak MB": peak_mb(),
        "new entries": done.new,
        "files": done.files,
    }
