"""How long checking takes: a bundle of many rows, proofs of people among many. `python -m bench proof`.

The log and the snapshot are made up and bound together as an operator would: everybody answers, and the rows are spread
over accounts, people and conversations as in a service. The bundle is verified in a process of its own, whose time and
peak memory the operating system counts. Proofs, compressed as a server sends them, are of a snapshot with as many
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
from collections.abc import Iterator
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.meetings import machine
from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.terms.model import Basis, Rule, Terms
from volition.files import write_folder
from volition.ledger import merkle
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer, VerifierKey
from volition.ledger.stores.memory import MemoryStore
from volition.records.commitment import CollectedBatch, Fact, commit_batch, people_key, salt_of, write_collected
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
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.people import verify_person

ROWS: Final = 10_000_000
PEOPLE: Final = 1_000_000
_PER_PERSON: Final = 200  # rows that concern a person of the bundle, about
_PER_ACCOUNT: Final = 50  # people
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
    """Write a bundle of so many rows, and verify it in a process of its own."""
    people = max(1, rows // _PER_PERSON)
    ledger = _answered(people)
    print(f"{ledger.size:,} entries; writing {rows:,} rows", file=sys.stderr)
    snapshot = _freeze(folder / "snapshots", ledger, _written(rows, people))
    body = {"model": "m", "family": "search", "snapshot": snapshot.id, "digest": "0" * 64, "due_days": 30}
    ledger.append(NewEntry(kind="model", body=body))
    path = folder / "evidence.zip"
    write_bundle(path, ledger=ledger, snapshots=folder / "snapshots", releases=folder / "releases")
    print("verifying", file=sys.stderr)
    with get_context("spawn").Pool(1) as pool:
        found = pool.apply(_verified, (path, _SIGNER.key.to_text()))
    return {"rows": rows, "people": people, "entries": ledger.size, "mb": round(path.stat().st_size / 1e6, 1), **found}


def _verified(path: Path, key: str) -> dict[str, Any]:
    start = time.perf_counter()
    verified = verify_bundle(path, VerifierKey.from_text(key))
    took = time.perf_counter() - start
    if not verified.holds:
        raise RuntimeError([check for check in verified.checks if not check.holds])
    to_mb = 1e-6 if sys.platform == "darwin" else 1024e-6  # bytes there, kibibytes elsewhere
    return {
        "verify_s": round(took, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * to_mb, 1),
    }


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


def _written(rows: int, people: int) -> Iterator[pa.Table]:
    """Yield rows in tables: each concerns one to four people of an account, in one of its conversations."""
    names = np.array([_pseudonym(number) for number in range(people)])
    rng = np.random.default_rng(1)
    for first in range(0, rows, _AT_ONCE):
        count = min(_AT_ONCE, rows - first)
        speakers = np.sort(rng.integers(0, people, count))
        others = rng.integers(0, 4, count)  # how many beside: the same ones of a group of five
        category = rng.integers(0, len(_CATEGORIES), count)
        listed = [
            [names[min(people - 1, (one // 5) * 5 + (one + step) % 5)] for step in range(min(many, people - 1) + 1)]
            for one, many in zip(speakers.tolist(), others.tolist(), strict=True)
        ]
        columns = {
            "record_id": pa.array([f"{first + number:032x}" for number in range(count)]),
            "account": pa.array([f"account-{one // _PER_ACCOUNT}" for one in speakers.tolist()]),
            "people": pa.array([list(dict.fromkeys(one)) for one in listed], pa.list_(pa.string())),
            "category": pa.array([_CATEGORIES[one] for one in category.tolist()]),
            "collected_us": pa.array(_START_US - rng.integers(1, 10**12, count)),
            "conversation": pa.array([f"c{one // 5}" for one in speakers.tolist()]),
        }
        yield pa.table(columns, schema=KEYS_SCHEMA)


def _freeze(snapshots: Path, ledger: Ledger, tables: Iterator[pa.Table]) -> Snapshot:
    """Write a snapshot of these rows, without their content, and enter it."""
    counts: dict[str, dict[str, int]] = {"people": {}, "account": {}, "category": {}}
    sink = pa.BufferOutputStream()
    batches: list[CollectedBatch] = []
    with pq.ParquetWriter(sink, KEYS_SCHEMA, compression="NONE") as writer:
        for table in tables:
            writer.write_table(table)
            batches += _collected(ledger, table, first=sum(len(batch.rows) for batch in batches))
            for name, found in counts.items():
                column = table.column(name).combine_chunks()
                for one in (column.flatten() if name == "people" else column).value_counts().to_pylist():
                    found[one["values"]] = found.get(one["values"], 0) + one["counts"]
    at_us = next(ledger.entries(ledger.size - 1)).at_us
    at = us_to_text(at_us)
    leaves = _leaves(counts["people"], at)
    files = {
        "keys.parquet": sink.getvalue().to_pybytes(),
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


def _collected(ledger: Ledger, table: pa.Table, *, first: int) -> Iterator[CollectedBatch]:
    """Enter the rows of a table as collected, batch by batch; they are in the order of their ids already."""
    rows = zip(*(table.column(name).to_pylist() for name in KEYS_SCHEMA.names), strict=True)
    while facts := [
        Fact(identity, account, tuple(people), category, at_us, conversation)
        for identity, account, people, category, at_us, conversation in islice(rows, _BATCH)
    ]:
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
    snapshots: Path, ledger: Ledger, manifest: dict[str, Any], files: dict[str, bytes], at_us: int
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
