"""What a snapshot of many rows costs: the processor's time and memory of freezing, judging and reading it.

Usage events, each of one person, are appended to a lake of this project in batches, so that the ledger has an entry of
each batch; then a process of its own freezes them, another one judges the frozen rows anew after somebody's no, and a
third one reads the rows to learn from them. The peak memory of each is the operating system's figure; beside it is
what the process had before it began.
"""

import argparse
import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bench.meetings import machine, peak_mb
from volition.canonical import us_to_text
from volition.consent.history import read_history
from volition.consent.parties import NewPerson, Parties
from volition.consent.permits import Permits
from volition.consent.terms.model import Basis, Rule, Terms
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.stores.sqlite import SqliteStore
from volition.progress import silent
from volition.records.engines.arrow import ArrowEngine
from volition.records.freeze import freeze
from volition.records.lake import Lake, NewRecord, record_id
from volition.records.snapshot import Snapshot

ROWS: Final = 500_000
_ROWS_EACH: Final = 200  # of a person
_PEOPLE_EACH: Final = 50  # of an account
_BATCH: Final = 20_000
_PURPOSE: Final = "train/recommend"
_CATEGORY: Final = "service/usage"
_START_US: Final = 1_700_000_000_000_000
_GOAL_US: Final = 5  # 200,000 rows a second on one core
_GOAL_MB: Final = 1000
_RULE: Final = Rule(
    data=("service",), purpose=("train",), basis=Basis.CONSENT, asks=("account",), refusable_by=("person",)
)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure each step on so many rows (`--rows`)."""
    rows = args.rows or ROWS
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        print(f"collecting {rows:,} rows", file=sys.stderr)
        _collect(folder, rows)
        figures: dict[str, Any] = {"rows": rows, "people": _people(rows)}
        for name, step in (("freeze", _freeze), ("judge", _judge), ("read", _read)):
            print(name, file=sys.stderr)
            with get_context("spawn").Pool(1) as pool:
                figures[name] = pool.apply(_measured, (step, folder, rows))
        [snapshot] = (folder / "snapshots").iterdir()
        figures["bytes_a_row"] = {one.name: round(one.stat().st_size / rows, 1) for one in sorted(snapshot.iterdir())}
    goals = [
        {"name": "freeze: µs a row", "value": figures["freeze"]["us_a_row"], "at_most": _GOAL_US},
        {"name": "freeze: peak MB", "value": figures["freeze"]["peak_mb"], "at_most": _GOAL_MB},
        {"name": "judge: peak MB", "value": figures["judge"]["peak_mb"], "at_most": _GOAL_MB},
    ]
    for goal in goals:
        goal["met"] = goal["value"] <= goal["at_most"]
    return {"bench": "snapshot", "figures": figures, "goals": goals, "machine": machine()}


def _people(rows: int) -> int:
    return max(1, rows // _ROWS_EACH)


def _ledger(folder: Path) -> Ledger:
    path = folder / "ledger.db"
    store = SqliteStore(path) if path.exists() else SqliteStore.create(path)
    return Ledger(store, Signer.from_seed("log.example/bench", bytes(range(32))))


def _collect(folder: Path, rows: int) -> None:
    """Write a lake of so many rows; every account has accepted the terms and said yes."""
    drawn = random.Random(1)
    with closing(Parties.create(folder)) as parties:
        people = _people(rows)
        accounts = [f"account-{number}" for number in range(people // _PEOPLE_EACH + 1)]
        for account in accounts:
            parties.add_account(account, account.title())
        added = parties.directory.add_people(
            [
                NewPerson(id=f"p{one}", account=accounts[one // _PEOPLE_EACH], name=f"Person{one} Of{one}")
                for one in range(people)
            ]
        )
        ledger = _ledger(folder)
        terms = Terms(id="v1", title="v1", effective_us=0, acceptance="explicit", text="prose", rules=(_RULE,))
        ledger.append(NewEntry(kind="terms", body={"terms": terms.to_json(), "binds": us_to_text(_START_US)}))
        said = {"answer": "yes", "data": ["service"], "purpose": ["train"], "covers": "past"}
        ledger.append(*(NewEntry(kind="acceptance", body={"account": one, "terms": "v1"}) for one in accounts))
        ledger.append(*(NewEntry(kind="decision", body={"party": f"account:{one}", **said}) for one in accounts))
        with closing(Lake(folder / "lake", parties, ArrowEngine(), ledger)) as lake:
            for first in range(0, rows, _BATCH):
                batch = range(first, min(rows, first + _BATCH))
                lake.append([_record(number, added[drawn.randrange(people)], drawn) for number in batch])


def _record(number: int, person: Any, drawn: random.Random) -> NewRecord:  # noqa: ANN401 - somebody of the directory
    attributes = {
        "session.id": f"s{drawn.randrange(10**6)}",
        "volition.item": f"channel/c{drawn.randrange(50)}",
        "ui.view": "list",
        "took_ms": drawn.random() * 99,
    }
    return NewRecord(
        record_id=record_id(person.account, str(number)),
        account=person.account,
        people=(person.pseudonym,),
        category=_CATEGORY,
        collected_us=_START_US + number * 1_000_000 + drawn.randrange(3_600_000_000),
        source="",
        payload={"kind": "event", "name": "item.opened", "attributes": attributes, "body": None},
    )


def _measured(step: Callable[[Path, int], Callable[[], None]], folder: Path, rows: int) -> dict[str, float]:
    """Prepare a step, and measure it: the processor's microseconds a row, and how far memory grew."""
    measured = step(folder, rows)
    pa.array([0])  # what Arrow loads at its first call, pandas where it is there, is no part of it
    gc.collect()
    idle_mb, start = peak_mb(), time.process_time()
    measured()
    took = time.process_time() - start
    return {
        "us_a_row": round(took / rows * 1e6, 2),
        "rows_a_s": round(rows / took),
        "peak_mb": peak_mb(),
        "idle_mb": idle_mb,
    }


def _freeze(folder: Path, rows: int) -> Callable[[], None]:
    ledger, parties = _ledger(folder), Parties.open(folder)
    lake = Lake(folder / "lake", parties, ArrowEngine(), ledger)
    history = read_history(ledger.entries())

    def measured() -> None:
        permits = Permits(history, purpose=_PURPOSE, at_us=time.time_ns() // 1000)
        made = freeze(
            folder / "snapshots",
            lake=lake,
            parties=parties,
            permits=permits,
            checkpoint=ledger.checkpoint(),
            categories=[_CATEGORY],
            collected_until_us=permits.at_us,
            progress=silent,
        )
        if made.manifest["rows"][_CATEGORY]["kept"] != rows:
            raise RuntimeError(made.manifest["rows"])

    return measured


def _judge(folder: Path, rows: int) -> Callable[[], None]:
    [path] = (folder / "snapshots").iterdir()
    snapshot, parties = Snapshot.open(path), Parties.open(folder)
    party = f"person:{parties.person('p0').pseudonym}"
    no = {"party": party, "answer": "no", "data": ["service"], "purpose": ["train"], "covers": None}
    later = Ledger(MemoryStore(), Signer.from_seed("log.example/bench", bytes(range(32))))  # the lake's stays as it is
    later.append(*(NewEntry(kind=one.kind, body=one.body) for one in _ledger(folder).entries()))
    later.append(NewEntry(kind="decision", body=no))
    history = read_history(later.entries())

    def measured() -> None:
        stale = snapshot.stale(Permits(history, purpose=_PURPOSE, at_us=time.time_ns() // 1000))
        if not 0 < len(stale) < max(rows, 2):
            raise RuntimeError(len(stale))

    return measured


def _read(folder: Path, rows: int) -> Callable[[], None]:
    [path] = (folder / "snapshots").iterdir()
    snapshot, parties = Snapshot.open(path), Parties.open(folder)

    def measured() -> None:
        if sum(1 for _ in snapshot.stream(parties)) != rows:
            raise RuntimeError

    return measured
