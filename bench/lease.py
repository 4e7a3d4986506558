"""Whether an acknowledged no is ever answered "permitted", and how long it takes. `python -m bench lease`.

One writer says yes and no in turn, 2,000 times; four processes ask all the while whether a record may be used, from
memory under leases. Some are stopped (SIGSTOP) at random moments and continued, one is killed (SIGKILL) and replaced.
Everybody notes the machine's one monotonic clock: a reader before each question and after its answer, the writer before
each change and after its acknowledgement. An answer "permitted" is stale if its question began after a no was
acknowledged, and it was there before the next yes was begun: nothing that it could have known allowed it.

The same is done, more briefly, by a writer that does not wait for leases: there stale answers must be found, or the
measurement could find none anywhere. Both run on a fresh workspace in SQLite.
"""

import argparse
import itertools
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from bench.meetings import machine
from volition.canonical import datetime_to_us
from volition.consent.gate import Record
from volition.consent.lease import LENGTH_MS
from volition.consent.parties import read_secret
from volition.consent.references import PartyRef
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.sqlite import SqliteStore
from volition.workspace import Workspace

CHANGES: Final = 2_000
CHANGES_WITHOUT_WAIT: Final = 100
READERS: Final = 4
PURPOSE: Final = "feature/recommend"
ACCOUNT: Final = "acme"
ORIGIN: Final = "bench.example/lease"
_PAUSE_S: Final = 0.005  # after each change, so that readers ask in between
_PROCESSES = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen.

    Attributes:
        changes: How many decisions were acknowledged.
        permitted: How many answers "permitted" were given by readers that were not killed.
        refused: How many answers were refusals, stale ones not counted.
        said_stale: How many answers were `stale`.
        stale: How many answers were "permitted" though they began after an acknowledged no and were there before the
            next yes was begun.
        no_s: How long each no took until it was acknowledged, in seconds.
        yes_s: Likewise each yes.
        stopped: How often a reader was stopped.
        killed: How many readers were killed.
        seconds: How long all took.
    """

    changes: int
    permitted: int
    refused: int
    said_stale: int
    stale: int
    no_s: Sequence[float]
    yes_s: Sequence[float]
    stopped: int
    killed: int
    seconds: float


def run(_args: argparse.Namespace) -> dict[str, Any]:
    """Measure with leases, and without waiting for them."""
    with tempfile.TemporaryDirectory(prefix="volition-lease-") as place:
        kept = change_and_ask(Path(place) / "waits", CHANGES, tell=True)
        broken = change_and_ask(Path(place) / "does-not-wait", CHANGES_WITHOUT_WAIT, waits=False)
    p99_ms = round(quantile(kept.no_s, 0.99) * 1000, 1)
    return {
        "bench": "lease",
        "figures": {
            "lease, ms": LENGTH_MS,
            "readers": READERS,
            "changes": kept.changes,
            "answers permitted": kept.permitted,
            "answers refused": kept.refused,
            "answers 'stale'": kept.said_stale,
            "stale permits": kept.stale,
            "readers stopped": kept.stopped,
            "readers killed": kept.killed,
            "acknowledging a no, ms": told_ms(kept.no_s),
            "acknowledging a yes, ms": told_ms(kept.yes_s),
            "seconds": round(kept.seconds, 1),
            "without waiting": {
                "changes": broken.changes,
                "answers permitted": broken.permitted,
                "stale permits": broken.stale,
                "acknowledging a no, ms": told_ms(broken.no_s),
            },
        },
        "goals": [
            {"name": "stale permits", "value": kept.stale, "at_most": 0, "met": kept.stale == 0},
            {"name": "p99 of acknowledging a no, ms", "value": p99_ms, "at_most": 150, "met": p99_ms <= 150},
            {
                "name": "stale permits that the same measurement finds without waiting",
                "value": broken.stale,
                "at_least": 1,
                "met": broken.stale >= 1,
            },
        ],
        "machine": machine(),
    }


def told_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return quantiles in milliseconds."""
    named = {"median": 0.5, "p95": 0.95, "p99": 0.99, "highest": 1.0}
    return {name: round(quantile(seconds, share) * 1000, 2) for name, share in named.items()}


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def change_and_ask(  # noqa: PLR0913 - what an experiment is made of
    folder: Path,
    changes: int,
    *,
    readers: int = READERS,
    lease_ms: int = LENGTH_MS,
    waits: bool = True,
    seed: int = 7,
    tell: bool = False,
) -> Outcome:
    """Let one writer change an account's answer and several processes ask for it.

    Args:
        folder: Where the workspace is made.
        changes: How many decisions the writer takes, no and yes in turn.
        readers: How many processes ask.
        lease_ms: How long their leases are, milliseconds.
        waits: Whether the writer waits for leases before it acknowledges, as a workspace does.
        seed: Of the moments at which readers are stopped.
        tell: Whether to tell progress on stderr.
    """
    person = make(folder, lease_ms)
    started = time.perf_counter()
    with crew(folder, person, readers, random.Random(seed)) as crowd:
        told = say_in_turn(folder, changes, waits=waits, half_way=crowd.kill_one, tell=tell)
    answers = [answered for reader in crowd.readers if (answered := reader.answers(folder)) is not None]
    began_no, acknowledged_no, began_yes, acknowledged_yes = told
    stale = sum(count_stale(answered.permitted, acknowledged_no, began_yes) for answered in answers)
    return Outcome(
        changes=changes,
        permitted=sum(len(answered.permitted) for answered in answers),
        refused=sum(answered.refused for answered in answers),
        said_stale=sum(answered.said_stale for answered in answers),
        stale=stale,
        no_s=[(end - start) / 1e9 for start, end in zip(began_no, acknowledged_no, strict=True)],
        yes_s=[(end - start) / 1e9 for start, end in zip(began_yes, acknowledged_yes, strict=True)],
        stopped=crowd.stopped,
        killed=crowd.killed,
        seconds=time.perf_counter() - started,
    )


def count_stale(
    permitted_ns: Iterable[tuple[int, int]], acknowledged_no_ns: Sequence[int], began_yes_ns: Sequence[int]
) -> int:
    """Count the answers (asked, answered) that lie between an acknowledged no and the beginning of the next yes."""
    stale = 0
    for asked, answered in permitted_ns:
        last = bisect_right(acknowledged_no_ns, asked) - 1
        if last >= 0 and (last >= len(began_yes_ns) or answered < began_yes_ns[last]):
            stale += 1
    return stale


def make(folder: Path, lease_ms: int) -> str:
    """Make a workspace in which an account has said yes; return its person as the ledger names them."""
    with Workspace.create(folder, origin=ORIGIN) as workspace:
        workspace.people.add_account(ACCOUNT, "Acme")
        workspace.people.add_person("ada", account=ACCOUNT)
        workspace.terms.accept(ACCOUNT)
        decide(workspace, yes=True)
        person = workspace.party("person:ada")
    settings = folder / "volition.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace(f"lease_ms = {LENGTH_MS}", f"lease_ms = {lease_ms}"), encoding="utf-8")
    return person


def decide(workspace: Workspace, *, yes: bool) -> None:
    """Say yes or no for the account."""
    workspace.consent.decide(
        f"account:{ACCOUNT}", yes=yes, data=["service"], purpose=[PURPOSE], covers="past" if yes else None
    )


def say_in_turn(
    folder: Path, changes: int, *, waits: bool, half_way: Callable[[], None], tell: bool
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Say no and yes in turn; return when each no was begun and acknowledged, and each yes, nanoseconds."""
    times: tuple[list[int], list[int], list[int], list[int]] = ([], [], [], [])
    with Workspace.open(folder) as workspace:
        store = SqliteStore(folder / "ledger.db")
        careless = Ledger(store, Signer.from_seed(ORIGIN, read_secret(folder / "signing.key")))
        for number in range(changes):
            yes = number % 2 == 1
            if number == changes // 2:
                half_way()
            began, acknowledged = times[2:] if yes else times[:2]
            began.append(time.monotonic_ns())
            if waits:
                decide(workspace, yes=yes)
            else:
                body: dict[str, Any] = {
                    "party": f"account:{ACCOUNT}",
                    "answer": "yes" if yes else "no",
                    "data": ["service"],
                }
                body |= {"purpose": [PURPOSE], "covers": "past" if yes else None}
                careless.append(NewEntry(kind="decision", body=body))
            acknowledged.append(time.monotonic_ns())
            time.sleep(_PAUSE_S)
            if tell and number % 200 == 199:
                print(f"{number + 1:,} of {changes:,} changes", file=sys.stderr, flush=True)
        store.close()
    return times


# --- the readers ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a reader wrote down: when each question that was permitted began and was answered, and how many were not."""

    permitted: Sequence[tuple[int, int]]
    refused: int
    said_stale: int


class Reader:
    """A process that asks, as its parent sees it."""

    def __init__(self, folder: Path, person: str, number: int) -> None:
        """Start the process; wait until it is about to ask."""
        self.number = number
        receiver, sender = _PROCESSES.Pipe(duplex=False)
        self.process = _PROCESSES.Process(target=ask_for_ever, args=(sender, folder, person, number))
        self.process.start()
        sender.close()
        receiver.recv()

    def send(self, number: int) -> None:
        """Send the process a signal, if it is still there."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)

    def answers(self, folder: Path) -> Answers | None:
        """Return what it wrote down; none if it was killed before."""
        path = folder.with_name(f"{folder.name}-reader-{self.number}")
        if not path.exists():
            return None
        numbers = array("q")
        numbers.frombytes(path.read_bytes())
        permitted = list(zip(numbers[2::2], numbers[3::2], strict=True))
        return Answers(permitted=permitted, refused=numbers[0], said_stale=numbers[1])


def ask_for_ever(ready: Connection, folder: Path, person: str, number: int) -> None:
    """Ask until told to end (SIGTERM), then write down when each question that was permitted began and was answered."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    collected_us = datetime_to_us(datetime.now(UTC) - timedelta(days=1))
    record = Record(account=ACCOUNT, people=(PartyRef(person),), category="service/usage", collected_us=collected_us)
    pauses = random.Random(number)
    numbers = array("q", [0, 0])
    with Workspace.open(folder) as workspace, workspace.gate.hold(PURPOSE) as held:
        held.decide(record)
        ready.send(os.getpid())
        while not ended:
            began_ns = time.monotonic_ns()
            verdict = held.decide(record)
            if verdict.permitted:
                numbers.extend((began_ns, time.monotonic_ns()))
            else:
                numbers[verdict.reason == "stale"] += 1
            time.sleep(pauses.random() * 0.0006)
    path = folder.with_name(f"{folder.name}-reader-{number}")
    path.write_bytes(numbers.tobytes())


class Crew:
    """Several readers, of which some are stopped and continued all the while."""

    def __init__(self, folder: Path, person: str, readers: int, moments: random.Random) -> None:
        """Start the readers."""
        self._folder, self._person, self._moments = folder, person, moments
        self._numbers = itertools.count()
        self.readers = [Reader(folder, person, next(self._numbers)) for _ in range(readers)]
        self.stopped = self.killed = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._stop_and_continue)
        self._thread.start()

    def kill_one(self) -> None:
        """Kill a reader while it holds a lease, and start another in its place."""
        victim = self.readers[0]
        victim.process.kill()
        victim.process.join()
        self.killed += 1
        self.readers.append(Reader(self._folder, self._person, next(self._numbers)))

    def end(self) -> None:
        """End all readers, and wait for what they write down."""
        self._over.set()
        self._thread.join()
        for reader in self.readers:
            reader.send(signal.SIGTERM)
        for reader in self.readers:
            reader.process.join()

    def _stop_and_continue(self) -> None:
        while not self._over.wait(self._moments.uniform(0, 0.05)):
            reader = self._moments.choice(self.readers[1:])
            reader.send(signal.SIGSTOP)
            self.stopped += 1
            self._over.wait(self._moments.uniform(0.001, 0.3))
            reader.send(signal.SIGCONT)


@contextmanager
def crew(folder: Path, person: str, readers: int, moments: random.Random) -> Iterator[Crew]:
    """Let readers ask within a `with` block."""
    crowd = Crew(folder, person, readers, moments)
    try:
        yield crowd
    finally:
        crowd.end()
