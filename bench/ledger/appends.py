"""How fast the ledger appends, against bare SQLite commits of the same bytes. `python -m bench ledger`.

The rival is one plain table of the same rows, in the same kind of file on the same disk, with the same pragmas (write
ahead log, synced at every commit): no chain, no tree, no signature. Its rows are made before the clock starts and go in
with one `executemany` a commit, the form that favours it most. Ours starts from drafts and returns entries.

Both take turns, round by round, in files of their own that go on growing; a round is as many rows for both. A ratio is
that of one round; the median of the rounds' ratios is what is held to the goal, since a shared disk drifts. What ratio
can be reached depends on what the disk takes for a commit, which varies; so the processor's time is reported apart, and
so is what other layouts of the table would cost (see `designs`), and signing at another moment (see `signed`). What
the checkpoint's signature takes is told apart, and so is each other step (see `steps`): the goals are for an append as
it is, and for one without its signature.
"""

import argparse
import gc
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from bench.ledger.designs import ENTRIES, OneRow, compare, open_file
from bench.ledger.signed import SIGNER, OneStatement, SignedBefore, SignedBeside
from bench.ledger.steps import Spent, TimedKey, TimedStore, where
from bench.meetings import machine
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.log import Ledger
from volition.ledger.stores.sqlite import SqliteStore

ROUNDS: Final = 9
ROUND_COMMITS: Final = {1: 800, 64: 60}
"""How many commits a round has, by entries a commit."""
GOALS: Final = {1: 0.6, 64: 0.6}
THREADS: Final = (1, 8, 64)
THREAD_ENTRIES: Final = 1536


def draft(number: int) -> NewEntry:
    """Return a decision as a workspace would append it."""
    body = {
        "party": f"person:{number:032x}",
        "answer": "no" if number % 3 else "yes",
        "data": ["content"],
        "purpose": ["train/search"],
        "covers": None,
    }
    return NewEntry(kind="decision", body=body)


class Rival:
    """Bare SQLite: one table, one row an entry."""

    def __init__(self, path: Path) -> None:
        """Make the file, as `SqliteStore` makes its own."""
        self._connection = open_file(path, [ENTRIES])
        self._size = 0

    def commit_all(self, batches: Sequence[Sequence[bytes]]) -> tuple[float, float]:
        """Insert each batch in one transaction; return the seconds that passed, and those of the processor."""
        rows = []
        for batch in batches:
            rows.append(list(enumerate(batch, self._size)))
            self._size += len(batch)
        gc.collect()
        execute, executemany = self._connection.execute, self._connection.executemany
        start, cpu = time.perf_counter(), time.process_time()
        for batch_rows in rows:
            execute("BEGIN IMMEDIATE")
            executemany("INSERT INTO leaf VALUES (?, ?)", batch_rows)
            execute("COMMIT")
        return time.perf_counter() - start, time.process_time() - cpu

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def run(_args: argparse.Namespace) -> dict[str, Any]:
    """Measure appends of one thread against the rival, and of several threads that append at the same time."""
    figures: dict[str, Any] = {}
    goals = []
    with tempfile.TemporaryDirectory(prefix="volition-ledger-") as place:
        folder = Path(place)
        for entries, commits in ROUND_COMMITS.items():
            told = against_rival(folder / str(entries), entries, commits)
            figures[f"{entries} a commit"] = told
            layouts = folder / f"layouts-{entries}"
            layouts.mkdir()
            figures[f"the tables alone, {entries} a commit"] = compare(layouts, entries)
            signed = folder / f"signed-{entries}"
            signed.mkdir()
            ways = (OneRow, SignedBefore, SignedBeside, OneStatement)
            figures[f"a row and its signature alone, {entries} a commit"] = compare(signed, entries, ways)
            for apart in ("ratio", "ratio without the signature"):
                ratio, bound = told[apart]["median"], GOALS[entries]
                name = f"appends against bare commits, {entries} a commit: {apart}"
                goals.append({"name": name, "value": ratio, "at_least": bound, "met": ratio >= bound})
        figures["one entry an append, from several threads"] = {
            f"{threads} threads": several_threads(folder / f"threads-{threads}.db", threads) for threads in THREADS
        }
    return {"bench": "ledger", "figures": figures, "goals": goals, "machine": machine()}


def against_rival(stem: Path, entries: int, commits: int) -> dict[str, Any]:
    """Let both take turns; return entries a second of each, and ours by theirs."""
    ours, theirs, ratios, unsigned, our_cpu, their_cpu = [], [], [], [], [], []
    row_bytes, key = 0, TimedKey(SIGNER)
    with (
        closing(TimedStore(SqliteStore.create(stem.with_suffix(".ours")))) as store,
        closing(Rival(stem.with_suffix(".bare"))) as rival,
    ):
        ledger = Ledger(store, key.signer())
        for number in range(ROUNDS + 1):
            signed_s, stored_s = key.took_s, store.took_s
            first = number * entries * commits
            drafts = [[draft(first + batch * entries + place) for place in range(entries)] for batch in range(commits)]
            gc.collect()
            start, cpu = time.perf_counter(), time.process_time()
            for batch in drafts:
                ledger.append(*batch)
            our_seconds, our_busy = time.perf_counter() - start, time.process_time() - cpu
            signed_s, stored_s = key.took_s - signed_s, store.took_s - stored_s
            sample = drafts[-1]
            del drafts
            stored = store.leaves(first, first + entries * commits)
            row_bytes = sum(map(len, stored)) // len(stored)
            leaves = [stored[place : place + entries] for place in range(0, len(stored), entries)]
            their_seconds, their_busy = rival.commit_all(leaves)
            if number:  # the first round warms up
                ours.append(entries * commits / our_seconds)
                theirs.append(entries * commits / their_seconds)
                ratios.append(their_seconds / our_seconds)
                unsigned.append(their_seconds / (our_seconds - signed_s))
                our_cpu.append(our_busy / commits * 1e6)
                their_cpu.append(their_busy / commits * 1e6)
        ledger.verify()
    spent = Spent(
        commits=commits, total_s=our_seconds, signing_s=signed_s, store_s=stored_s, bare_s=their_seconds
    )  # of the last round
    return {
        "entries": ROUNDS * entries * commits,
        "rounds": ROUNDS,
        "bytes an entry": row_bytes,
        "ours, entries a second": spread(ours),
        "bare, rows a second": spread(theirs),
        "ours, us of processor a commit": spread(our_cpu),
        "bare, us of processor a commit": spread(their_cpu),
        "ratio": spread(ratios),
        "ratio without the signature": spread(unsigned),
        "us of a commit, in the last round": where(spent, sample, leaves[-1], ROUNDS * entries * commits),
    }


def several_threads(path: Path, threads: int) -> dict[str, Any]:
    """Let threads append one entry at a time, all at the same time; return entries a second."""
    rates, waits = [], []
    with closing(SqliteStore.create(path)) as store:
        ledger = Ledger(store, SIGNER)
        for _ in range(5):
            seconds, took = in_threads(threads, THREAD_ENTRIES // threads, ledger.append)
            rates.append(THREAD_ENTRIES // threads * threads / seconds)
            waits += took
        ledger.verify()
    waits.sort()
    return {
        "entries a second": spread(rates),
        "p99 of one append, ms": round(waits[len(waits) * 99 // 100] * 1000, 2),
    }


def in_threads(threads: int, each: int, append: Callable[[NewEntry], tuple[Entry, ...]]) -> tuple[float, list[float]]:
    """Append so many entries in each of several threads; return the seconds of all, and of each append."""
    took: list[list[float]] = [[] for _ in range(threads)]
    ready = threading.Barrier(threads + 1)

    def work(mine: int) -> None:
        drafts = [draft(mine * each + number) for number in range(each)]
        ready.wait()
        for one in drafts:
            start = time.perf_counter()
            append(one)
            took[mine].append(time.perf_counter() - start)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    return time.perf_counter() - start, [seconds for mine in took for seconds in mine]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median of repeated measurements, with the lowest and the highest."""
    digits = 3 if max(values) < 10 else 0
    middle = statistics.median(values)
    return {
        "median": round(middle, digits),
        "lowest": round(min(values), digits),
        "highest": round(max(values), digits),
    }
