"""How long checking takes: a bundle of many rows, proofs of people among many. `python -m bench proof`.

The log and the snapshot are made up and bound together as an operator would: everybody answers, and the rows are spread
over accounts, people and conversations as in a service. The bundle is verified in a process of its own; its time and
its peak memory, and those of the process that it starts, the operating system counts. Then its checks are made one
after the other, to see where the time goes. Proofs, compressed as a server sends them, are of a snapshot with as many
people as there are rows in ten.
"""

import argparse
import gzip
import json
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.meetings import TO_MB, machine, peak_mb
from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.history import check_publications
from volition.consent.terms.model import Basis, Rule, Terms
from volition.files import write_folder
from volition.ledger import merkle
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer, VerifierKey
from volition.ledger.stores.memory import MemoryStore
from volition.records.commitment import (
    CollectedBatch,
    Fact,
    commit_batch,
    people_key,
    salt_of,
    write_collected,
)
from volition.records.frozen_files import PLAIN
from volition.records.snapshot import (
    COLLECTED,
    FORMAT,
    KEYS_SCHEMA,
    ROWS_SCHEMA,
    Snapshot,
    person_leaf,
    person_tag,
    rows_commitment,
)
from volition.transparency.prove import prove_person, write_bundle
from volition.transparency.verify.archive import read_archive
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.collected import check_roots, check_rows, logged_before
from volition.transparency.verify.keys import Keys
from volition.transparency.verify.log import read_log
from volition.transparency.verify.models import read_models
from volition.transparency.verify.people import verify_person
from volition.transparency.verify.replay import Replay, check_not_stale, replay_permits
from volition.transparency.verify.rows import RowFile
from volition.transparency.verify.snapshots import read_evidence

_Found = TypeVar("_Found")

ROWS: Final = 10_000_000
PEOPLE: Final = 1_000_000
_PER_PERSON: Final = 200  # rows that concern a person of the bundle, about
_PER_ACCOUNT: Final = 50  # people
_GROUP: Final = 5  # people who meet
_AT_ONCE: Final = 1_000_000  # rows written together
_BATCH: Final = 20_000  # rows that were collected together
_PURPOSE: Final = "train/search"
_CATEGORIES: Final = ("content/chat", "content/transcript", "service/usage")
_SIGNER: Final = Signer.from_seed("log.example/bench", bytes(range(32)))
_ASKED: Final = 200  # proofs of each kind
_START_US: Final = 1_700_000_000_000_000
_GOAL_S: Final = 60
_GOAL_MB: Final = 2000
_GOAL_MS: Final = 1
_GOAL_BYTES: Final = 2048


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure both; `--rows` sets how many rows the bundle has, and people a tenth of that."""
    rows = args.rows or ROWS
    with tempfile.TemporaryDirectory() as scratch:
        bundle = _bundle(Path(scratch) / "bundle", rows)
        people = _people(Path(scratch) / "people", min(PEOPLE, max(100, rows // 10)))
    figures = {"bundle": bundle, "people": people}
    goals = [
        _goal("verify: seconds", bundle["verify_s"], _GOAL_S),
        _goal("verify: peak MB", bundle["peak_mb"], _GOAL_MB),
        *(
            goal
            for kind in ("presence", "absence")
            for goal in (
                _goal(f"{kind}: ms to make", people[f"{kind}_ms"], _GOAL_MS),
                _goal(f"{kind}: ms to check", people[f"{kind}_check_ms"], _GOAL_MS),
                _goal(f"{kind}: bytes as sent", people[f"{kind}_sent_bytes"], _GOAL_BYTES),
            )
        ),
    ]
    return {"bench": "proof", "figures": figures, "goals": goals, "machine": machine()}


def _goal(name: str, value: float, bound: float) -> dict[str, Any]:
    return {"name": name, "value": value, "at_most": bound, "met": value <= bound}


def _bundle(folder: Path, rows: int) -> dict[str, Any]:
    """Write a bundle of so many rows, and verify it in processes of their own: as anyone would, and part by part."""
    people = max(_GROUP, rows // _PER_PERSON // _GROUP * _GROUP)
    ledger = _answered(people)
    print(f"{ledger.size:,} entries; writing {rows:,} rows", file=sys.stderr)
    snapshot = _freeze(folder / "snapshots", ledger, _written(rows, people))
    body = {"model": "m", "family": "search", "snapshot": snapshot.id, "digest": "0" * 64, "due_days": 30}
    ledger.append(NewEntry(kind="model", body=body))
    path = folder / "evidence.zip"
    snapshots, models, releases = (folder / name for name in ("snapshots", "models", "releases"))
    write_bundle(path, ledger=ledger, snapshots=snapshots, models=models, releases=releases)
    asked = (path, _SIGNER.key.to_text())
    about = {"rows": rows, "people": people, "entries": ledger.size, "mb": round(path.stat().st_size / 1e6, 1)}
    del ledger, snapshot
    print("verifying", file=sys.stderr)
    with get_context("spawn").Pool(1) as pool:
        found = pool.apply(_verified, asked)
    print("verifying part by part, in one process", file=sys.stderr)
    with get_context("spawn").Pool(1) as pool:
        parts = pool.apply(_parts, asked)
    return {**about, **found, "cpu_s": parts}


def _verified(path: Path, key: str) -> dict[str, Any]:
    start = time.perf_counter()
    verified = verify_bundle(path, VerifierKey.from_text(key))
    took = time.perf_counter() - start
    if not verified.holds:
        raise RuntimeError([check for check in verified.checks if not check.holds])
    used = [resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    peaks_mb = [peak_mb(), round(used[1].ru_maxrss * TO_MB, 1)]
    return {
        "verify_s": round(took, 2),
        "verify_cpu_s": round(sum(one.ru_utime + one.ru_stime for one in used), 2),
        "peak_mb": round(sum(peaks_mb), 1),  # as if both came at one time
        "peaks_mb": peaks_mb,
    }


def _parts(path: Path, key: str) -> dict[str, float]:
    """Make the checks one after the other; return the CPU seconds of each part, the largest first."""
    took: dict[str, float] = {}

    def measured(name: str, part: Callable[[], _Found]) -> _Found:
        start = time.process_time()
        found = part()
        took[name] = round(time.process_time() - start, 2)
        return found

    archive = read_archive(path)
    log = measured("entries, their form and tree", lambda: read_log(archive, VerifierKey.from_text(key)))
    measured("publications of terms", lambda: check_publications(log.entries))
    [model] = read_models(log.entries).working
    folder = f"snapshots/{model.snapshot}"
    files = [f"{folder}/{name}" for name in ("keys.parquet", COLLECTED)]
    measured("digests of files", lambda: [archive.digest(name) for name in files])
    with archive.open(files[0]) as opened:
        next(RowFile(opened).batches())  # what is loaded at the first call is no part of it
    with archive.open(files[0]) as opened:
        measured("rows: reading and grouping", lambda: Keys(opened))
    evidence = measured("snapshot", lambda: read_evidence(archive, model.snapshot, log))
    took["people: counts and tree"] = round(
        took.pop("snapshot") - took["digests of files"] - took["rows: reading and grouping"], 2
    )
    replay, seq = Replay(log.entries), evidence.entry.seq
    measured("replay: reading entries", lambda: replay.read_to(seq))
    measured("replay: permits, also by the reference", lambda: replay_permits(evidence, replay.history, seq))
    measured("replay: stale by then", lambda: check_not_stale(evidence, replay, evidence.entry, what="stale"))
    logged = logged_before(log.entries, seq)
    with archive.open(files[1]) as collected:
        measured("collection: roots of batches", lambda: check_roots(collected, logged))
    with archive.open(files[0]) as keys, archive.open(files[1]) as collected:
        measured("collection: leaves of rows", lambda: check_rows(keys, collected, logged))
    return dict(sorted(took.items(), key=lambda one: -one[1]))


def _answered(people: int) -> Ledger:
    """Return a log in which every account and every person said yes to everything."""
    rules = [
        Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "everyone")),
        Rule(data=("service",), purpose=("train",), basis=Basis.CONSENT, asks=("account",), refusable_by=("person",)),
    ]
    terms = Terms(id="v1", title="v1", effective_us=0, acceptance="continued-use", text="prose", rules=tuple(rules))
    ledger = Ledger(MemoryStore(), _SIGNER, clock=lambda: _START_US)
    ledger.append(NewEntry(kind="terms", body={"terms": terms.to_json(), "binds": us_to_text(_START_US)}))
    accounts = [f"account-{number}" for number in range(people // _PER_ACCOUNT + 1)]
    said = {"answer": "yes", "data": ["content", "service"], "purpose": ["train"], "covers": "past"}
    parties = [*(f"account:{one}" for one in accounts), *(f"person:{_pseudonym(one)}" for one in range(people))]
    entries = [NewEntry(kind="acceptance", body={"account": one, "terms": "v1"}) for one in accounts]
    entries += [NewEntry(kind="decision", body={"party": party, **said}) for party in parties]
    for first in range(0, len(entries), 4096):
        ledger.append(*entries[first : first + 4096])
    return ledger


def _pseudonym(number: int) -> str:
    return digest(str(number).encode())[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """Rows that were made up, as a table, and the numbers that they were made from.

    Attributes:
        table: As in `keys.parquet`.
        speaker: The first person of each row, by number.
        others: How many of their group are there beside.
        category: Which of `_CATEGORIES`.
        people: How often each person is in a row, by number.
    """

    table: pa.Table
    speaker: NDArray[np.int64]
    others: NDArray[np.int64]
    category: NDArray[np.int64]
    people: NDArray[np.int64]


def _written(rows: int, people: int) -> Iterator[_Made]:
    """Yield rows, many at a time: each concerns one to four people of an account, in one of its conversations."""
    names = pa.array([_pseudonym(number) for number in range(people)])
    rng = np.random.default_rng(1)
    for first in range(0, rows, _AT_ONCE):
        count = min(_AT_ONCE, rows - first)
        speaker = np.sort(rng.integers(0, people, count))
        others = rng.integers(0, 4, count)  # how many beside: the same ones of a group of five
        category = rng.integers(0, len(_CATEGORIES), count)
        ends = np.cumsum(others + 1)
        step = np.arange(ends[-1]) - np.repeat(ends - others - 1, others + 1)
        one = np.repeat(speaker, others + 1)
        member = one // _GROUP * _GROUP + (one + step) % _GROUP
        offsets = pa.array(np.append(0, ends), pa.int32())
        columns = {
            "record_id": _identities(first, count),
            "account": _words("account-", people // _PER_ACCOUNT + 1).take(pa.array(speaker // _PER_ACCOUNT)),
            "people": pa.ListArray.from_arrays(offsets, names.take(pa.array(member))),
            "category": pa.array(_CATEGORIES).take(pa.array(category)),
            "collected_us": pa.array(_START_US - rng.integers(1, 10**12, count)),
            "conversation": _words("c", people // _GROUP + 1).take(pa.array(speaker // _GROUP)),
        }
        yield _Made(
            table=pa.table(columns, schema=KEYS_SCHEMA),
            speaker=speaker,
            others=others,
            category=category,
            people=np.bincount(member, minlength=people),
        )


def _words(start: str, count: int) -> pa.Array:
    return pa.array([f"{start}{number}" for number in range(count)])


def _identities(first: int, count: int) -> pa.Array:
    """Return the numbers from `first` on in 32 hexadecimal digits."""
    shifts = np.arange(124, -4, -4, dtype=np.uint64)
    numbers = np.arange(first, first + count, dtype=np.uint64)[:, None]
    digits = np.where(shifts < 64, numbers >> np.minimum(shifts, 63), 0) & 15
    written = np.frombuffer(b"0123456789abcdef", np.uint8)[digits]
    offsets = np.arange(0, 32 * count + 1, 32, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(written)])


def _freeze(snapshots: Path, ledger: Ledger, made: Iterator[_Made]) -> Snapshot:
    """Write a snapshot of these rows, without their content, and enter it."""
    counts: dict[str, Counter[str]] = {"people": Counter(), "account": Counter(), "category": Counter()}
    sink = pa.BufferOutputStream()
    batches: list[CollectedBatch] = []
    with pq.ParquetWriter(sink, KEYS_SCHEMA, **PLAIN) as writer:
        for some in made:
            writer.write_table(some.table)
            batches += _collected(ledger, some, first=sum(len(batch.rows) for batch in batches))
            counts["people"].update({_pseudonym(one): total for one, total in enumerate(some.people.tolist()) if total})
            for name in ("account", "category"):
                found = some.table.column(name).value_counts().to_pylist()
                counts[name].update({one["values"]: one["counts"] for one in found})
    at_us = next(ledger.entries(ledger.size - 1)).at_us
    at = us_to_text(at_us)
    leaves = _leaves(counts["people"], at)
    files: dict[str, bytes | memoryview] = {
        "keys.parquet": memoryview(sink.getvalue()),
        "people.json": canonical_json(leaves),
        COLLECTED: write_collected(batches),
    }
    manifest = {
        "format": FORMAT,
        "purpose": _PURPOSE,
        "at": at,
        "collected_until": at,
        "within": None,
        "checkpoint": ledger.checkpoint(),
        "encoder": None,
        "rows": {name: {"read": total, "kept": total, "dropped": {}} for name, total in counts["category"].items()},
        "accounts": dict(sorted(counts["account"].items())),
        "collected": {"batches": len(batches), "before": 0},
        "people": _tree(leaves),
        "schema": {
            name: {field.name: str(field.type) for field in schema}
            for name, schema in (("keys.parquet", KEYS_SCHEMA), ("rows.parquet", ROWS_SCHEMA))
        },
        "files": {**{name: digest(data) for name, data in files.items()}, "rows.parquet": "0" * 64},
    }
    return _entered(snapshots, ledger, manifest, files, at_us)


def _collected(ledger: Ledger, made: _Made, *, first: int) -> Iterator[CollectedBatch]:
    """Enter rows as collected, batch by batch; they are in the order of their ids already."""
    groups: dict[tuple[int, int], tuple[str, ...]] = {}
    identities, instants = (made.table.column(name).to_pylist() for name in ("record_id", "collected_us"))
    rows = zip(identities, instants, *(one.tolist() for one in (made.speaker, made.others, made.category)), strict=True)
    while some := [*islice(rows, _BATCH)]:
        facts = []
        for identity, at_us, one, others, category in some:
            people = groups.get((one, others))
            if people is None:
                together = (one // _GROUP * _GROUP + (one + step) % _GROUP for step in range(others + 1))
                people = groups[one, others] = tuple(map(_pseudonym, together))
            account, conversation = f"account-{one // _PER_ACCOUNT}", f"c{one // _GROUP}"
            facts.append(Fact(identity, account, people, _CATEGORIES[category], at_us, conversation))
        key = digest(str(first).encode())[:32].encode()
        body, leaves = commit_batch(facts, key)
        [entry] = ledger.append(NewEntry(kind="collect", body=body))
        yield CollectedBatch(
            entry=entry.seq,
            people_key=people_key(key),
            rows=range(first, first + len(facts)),
            indexes=range(len(facts)),
            salts=b"".join(salt_of(key, fact.record_id) for fact in facts),
            leaves=leaves,
        )
        first += len(facts)


def _leaves(people: dict[str, int], at: str) -> list[list[str]]:
    return sorted(
        [tag := person_tag(_PURPOSE, at, pseudonym), rows_commitment(tag, pseudonym, total)]
        for pseudonym, total in people.items()
    )


def _tree(leaves: list[list[str]]) -> dict[str, Any]:
    return {"size": len(leaves), "root": merkle.Tree(person_leaf(*leaf) for leaf in leaves).root.hex()}


def _entered(
    snapshots: Path, ledger: Ledger, manifest: dict[str, Any], files: Mapping[str, bytes | memoryview], at_us: int
) -> Snapshot:
    data = canonical_json(manifest)
    folder = snapshots / f"{_PURPOSE.replace('/', '-')}-{digest(data)[:12]}"
    write_folder(folder, {**files, "manifest.json": data})
    snapshot = Snapshot.open(folder)
    body = {"snapshot": snapshot.id, "purpose": _PURPOSE, "at": us_to_text(at_us), "manifest": snapshot.digest}
    ledger.append(NewEntry(kind="snapshot", body=body))
    return snapshot


def _people(folder: Path, people: int) -> dict[str, Any]:
    """Measure proofs that people are in a snapshot of many, and that others are not."""
    print(f"proofs among {people:,} people", file=sys.stderr)
    ledger = Ledger(MemoryStore(), _SIGNER)
    at = us_to_text(_START_US)
    leaves = _leaves({_pseudonym(number): 1 + number % 50 for number in range(people)}, at)
    data = canonical_json(leaves)
    manifest = {"purpose": _PURPOSE, "at": at, "people": _tree(leaves), "files": {"people.json": digest(data)}}
    written = canonical_json(manifest)
    place = folder / f"train-search-{digest(written)[:12]}"
    write_folder(place, {"people.json": data, "manifest.json": written})
    snapshot = Snapshot.open(place)
    ledger.append(NewEntry(kind="snapshot", body={"snapshot": snapshot.id, "manifest": snapshot.digest}))
    ledger.append(NewEntry(kind="model", body={"model": "m", "snapshot": snapshot.id}))
    entries = [*ledger.entries()]
    start = time.perf_counter()
    prove_person(ledger, snapshot, model="m", pseudonym=_pseudonym(0), entries=entries)
    found: dict[str, Any] = {"people": people, "first_proof_s": round(time.perf_counter() - start, 2)}
    step = max(1, people // _ASKED)
    for kind, asked in (("presence", range(0, people, step)), ("absence", range(people, 2 * people, step))):
        makes, checks, sizes = [], [], []
        for number in asked:
            start = time.perf_counter()
            proof = prove_person(ledger, snapshot, model="m", pseudonym=_pseudonym(number), entries=entries)
            made = time.perf_counter()
            if not verify_person(proof, _SIGNER.key).holds or proof["present"] != (kind == "presence"):
                raise RuntimeError(proof)
            makes.append(made - start)
            checks.append(time.perf_counter() - made)
            sizes.append(len(gzip.compress(json.dumps(proof, separators=(",", ":")).encode())))
        found[f"{kind}_ms"] = round(1000 * statistics.median(makes), 3)
        found[f"{kind}_check_ms"] = round(1000 * statistics.median(checks), 3)
        found[f"{kind}_sent_bytes"] = round(statistics.median(sizes))
    return found
