"""How fast permits are compiled, how soon one more decision is in force, and how fast a restart finds them again.

Every size is measured in a process of its own, whose peak memory is reported. The decisions are made by numpy, ten a
person on average, one account for 90 people; they enter the history as columns, as a restart would load them. Reading
them out of a ledger, which happens once, is timed on a real ledger of its own and reported for each entry.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.meetings import machine
from volition.canonical import us_to_text
from volition.consent.gate import Gate
from volition.consent.history import (
    BEGINNING_US,
    NOT_BACK_US,
    AnswerScope,
    History,
    extend_history,
    find_saved_history,
    read_history,
    save_history,
)
from volition.consent.permits import Panel, PartyRole, Permits
from volition.consent.references import PartyRef
from volition.consent.terms.model import CATEGORIES, PURPOSES
from volition.consent.terms.terms_file import load_profile
from volition.consent.terms.vocabulary import leaves
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.sqlite import SqliteStore

SIZES: Final = {3_000_000: 5.0, 30_000_000: 25.0}
"""Decisions, and within how many seconds they are to be compiled."""
PEAK_GB: Final = 5.0
PURPOSE: Final = "train/search"
PEOPLE_OF_AN_ACCOUNT: Final = 90
DECISIONS_OF_A_PERSON: Final = 10
BIG_ACCOUNT: Final = 100_000
CHANGES: Final = 2_000
START_US: Final = 1_780_000_000_000_000
SIGNER: Final = Signer.from_seed("bench.example/compile", bytes(range(32)))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure compiling at every size, one more decision, and a restart."""
    sizes = SIZES if args.rows is None else {args.rows: SIZES.get(args.rows, 25.0)}
    figures: dict[str, Any] = {}
    goals = []
    for size, seconds in sizes.items():
        print(f"compiling {size:,} decisions", file=sys.stderr)
        told = _in_a_process("compiled", size)
        figures[f"{size:,} decisions"] = told
        name = f"{size:,} decisions compiled, s"
        goals.append(
            {"name": name, "value": told["compile_s"], "at_most": seconds, "met": told["compile_s"] <= seconds}
        )
        peak = {"name": f"peak memory at {size:,}, GB", "value": told["peak_gb"], "at_most": PEAK_GB}
        goals.append({**peak, "met": told["peak_gb"] <= PEAK_GB})
    print("one more decision", file=sys.stderr)
    figures["one more decision is in force, ms"] = changes = _in_a_process("changed", 3_000_000)
    for who, told in changes.items():
        goals.append({"name": f"{who}, p99 ms", "value": told["p99"], "at_most": 1.0, "met": told["p99"] <= 1.0})
    figures["read once from a ledger"] = _read_from_ledger()
    return {"bench": "compile", "figures": figures, "goals": goals, "machine": machine()}


def _in_a_process(what: str, *arguments: object) -> dict[str, Any]:
    code = f"import json; from bench.compile import {what}; print(json.dumps({what}(*{arguments!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def made(size: int) -> tuple[History, int]:
    """Return a history of so many decisions, and how many people took them."""
    rng = np.random.default_rng(7)
    people = max(size // DECISIONS_OF_A_PERSON, 1)
    accounts = max(people // PEOPLE_OF_AN_ACCOUNT, 1)
    history = History()
    history.bindings.publish(load_profile("granular"), binds_us=0, seq=0)
    for number in range(accounts):
        history.bindings.accept(f"a{number}", "granular", at_us=START_US, seq=1)
    history.answers.numbers(f"person:{number:016x}" for number in range(people))
    history.answers.numbers(f"account:a{number}" for number in range(accounts))
    content, service = (frozenset(leaves([name], CATEGORIES)) for name in ("content", "service"))
    train = frozenset(leaves(["train"], PURPOSES))
    said = [
        AnswerScope(yes=yes, categories=categories, purposes=purposes)
        for yes in (True, False)
        for categories, purposes in (
            (content, train),
            (content, frozenset([PURPOSE])),
            (content | service, train),
            (frozenset(["content/chat"]), train),
        )
    ]
    for first in range(0, size, 1 << 20):
        count = min(1 << 20, size - first)
        party = rng.integers(0, people, count, np.int32)
        of_account = rng.random(count) < 1 / PEOPLE_OF_AN_ACCOUNT
        party[of_account] = people + rng.integers(0, accounts, int(of_account.sum()), np.int32)
        scope = np.where(rng.random(count) < 0.7, 0, 4) + rng.integers(0, 4, count)
        covers = np.where((rng.random(count) < 0.3) & (scope < 4), BEGINNING_US, NOT_BACK_US)
        at_us = START_US + np.arange(first, first + count, dtype=np.int64) * 1000
        history.answers.decide_all(party, said, scope.astype(np.int16), at_us, covers, np.arange(first, first + count))
    history.size, history.last_us = size, START_US + size * 1000
    return history, people


def compiled(size: int) -> dict[str, Any]:
    """Compile one purpose for every account and person, in every role, for every category; then keep and find it."""
    history, people = made(size)
    accounts = [f"a{number}" for number in range(max(people // PEOPLE_OF_AN_ACCOUNT, 1))]
    parties = [f"person:{number:016x}" for number in range(people)]
    own = np.minimum(np.arange(people) // PEOPLE_OF_AN_ACCOUNT, len(accounts) - 1).astype(np.int32)
    start, cpu = time.perf_counter(), time.process_time()
    permits = Permits(history, purpose=PURPOSE, at_us=history.last_us)
    named = [f"account:{account}" for account in accounts]
    of_account = Panel(permits, accounts, np.arange(len(accounts), dtype=np.int32), named)
    of_person = Panel(permits, accounts, own, parties)
    tables = [of_account.of(PartyRole.ACCOUNT, category) for category in CATEGORIES]
    tables += [of_person.of(role, category) for role in (PartyRole.FIRST, PartyRole.OTHER) for category in CATEGORIES]
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    allowed = int((of_person.of(PartyRole.FIRST, "content/chat").reason == 0).sum())
    one_by_one = _walked(permits, accounts, parties, own)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    told = {
        "people": people,
        "accounts": len(accounts),
        "permits": sum(len(table.reason) for table in tables),
        "compile_s": seconds,
        "compile_cpu_s": cpu_s,
        "people_with_a_permit_for_chat": allowed,
        "one_at_a_time_us_each": one_by_one,
        "peak_gb": peak_gb,
    }
    with tempfile.TemporaryDirectory(prefix="volition-compile-") as place:
        told |= _kept(Path(place), history)
        told |= _in_a_process("restarted", size, place)
    return told


def _walked(permits: Permits, accounts: list[str], parties: list[str], own: np.ndarray[Any, Any]) -> float:
    """Ask some people one at a time, as a point decision does the first time; return microseconds for each."""
    chosen = range(0, len(parties), max(1, len(parties) // 5_000))
    start = time.perf_counter()
    for number in chosen:
        permits.of(accounts[own[number]], parties[number], PartyRole.FIRST, "content/chat")
    return (time.perf_counter() - start) / len(chosen) * 1e6


def _kept(folder: Path, history: History) -> dict[str, float]:
    """Keep a history."""
    start = time.perf_counter()
    kept = save_history(folder, history, root=_SameRoot(history.size).root(history.size), signer=SIGNER)
    keep_s = time.perf_counter() - start
    return {"kept_mb": sum(path.stat().st_size for path in kept.iterdir()) / 1e6, "keep_s": keep_s}


def restarted(size: int, folder: str) -> dict[str, float]:
    """Find a kept history, as a restart does."""
    start = time.perf_counter()
    found = find_saved_history(Path(folder), _SameRoot(size), SIGNER.key)
    seconds = time.perf_counter() - start
    assert found is not None  # noqa: S101 - or the figure would be of nothing
    return {"restart_s": seconds, "restart_peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


class _SameRoot:
    """Stands for a ledger of that size, whose root costs the same whatever it holds: the history was never in one."""

    def __init__(self, size: int) -> None:
        self.size = size

    def root(self, _size: int) -> bytes:
        return bytes(32)


def changed(size: int) -> dict[str, dict[str, float]]:
    """Time one decision after the other, from its ledger entry to the gate's next answer about that party."""
    history, people = made(size)
    gate = Gate(Permits(history, purpose=PURPOSE, at_us=history.last_us))
    now_us = history.last_us
    crowd = [f"person:{number:016x}" for number in range(min(BIG_ACCOUNT, people))]
    for person in crowd:  # all of one account, and all known to the gate
        gate.may("a0", (PartyRef(person),), "content/chat", now_us)
    seq = history.size

    def change(changes: int, party: Callable[[int], str], asked: Callable[[int], str]) -> dict[str, float]:
        nonlocal now_us, seq
        taken = []
        for number in range(changes):
            now_us += 1000
            body = {
                "party": party(number),
                "answer": "no" if number % 2 else "yes",
                "data": ["content"],
                "covers": None,
            }
            entry = Entry(seq=seq, at_us=now_us, kind="decision", body={**body, "purpose": ["train"]})
            seq += 1
            person = asked(number)
            start = time.perf_counter()
            extend_history(history, entry)
            gate.learn([entry], at_us=now_us)
            verdict = gate.may("a0", (PartyRef(person),), "content/chat", now_us)
            taken.append((time.perf_counter() - start) * 1e3)
            assert number % 2 == 0 or not verdict.permitted  # noqa: S101 - a no is in force
        return {"median": statistics.median(taken), "p99": float(np.quantile(taken, 0.99)), "changes": changes}

    return {
        "of a person": change(CHANGES, crowd.__getitem__, crowd.__getitem__),
        f"of an account of {len(crowd):,} people": change(
            CHANGES // 10, lambda _: "account:a0", lambda number: crowd[number * 37 % len(crowd)]
        ),
    }


def _read_from_ledger() -> dict[str, Any]:
    """Read a real ledger of decisions into a history; verified, as always."""
    count = 20_000
    with tempfile.TemporaryDirectory(prefix="volition-compile-") as place:
        path = Path(place) / "ledger.db"
        with closing(SqliteStore.create(path)) as store:
            ledger = Ledger(store, SIGNER, clock=lambda: START_US)
            body = {"terms": load_profile("granular").to_json(), "binds": us_to_text(0)}
            ledger.append(NewEntry(kind="terms", body=body))
            said = {"answer": "yes", "data": ["content"], "purpose": ["train"], "covers": None}
            for first, end in pairwise(range(0, count + 1, 1000)):
                drafts = [
                    NewEntry(kind="decision", body={"party": f"person:{n:016x}", **said}) for n in range(first, end)
                ]
                ledger.append(*drafts)
            start = time.perf_counter()
            read_history(ledger.entries())
            seconds = time.perf_counter() - start
    return {"entries": count + 1, "us_each": seconds / (count + 1) * 1e6}
