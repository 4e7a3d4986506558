"""Freezing: a snapshot is made of what the gate permits, scrubbed, encrypted and listed in a manifest.

The same lake, ledger and instant give the same bytes (a reproducible build): rows are in one order (account, instant,
record id), encryption derives its nonces from what it encrypts, and the checkpoint is that of the ledger as it was at
the instant.

Rows come from the lake in columns, and go into the files block by block: what is in memory is a few blocks, and what
grows with the people, not with the rows.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.parties import Parties
from volition.consent.permits import Permits
from volition.errors import BackendError
from volition.files import folder_aside, settle
from volition.ledger import merkle
from volition.progress import Progress
from volition.records.commitment import write_collected_into
from volition.records.frozen_files import BLOCK_ROWS, PACKED, PLAIN, BlockedParquet, DigestedFile
from volition.records.lake import OPENED, CollectionCheck, Groups, Lake, PermittedRows
from volition.records.scrubbing import Scrubbing
from volition.records.sealing import seal
from volition.records.snapshot import (
    COLLECTED,
    FORMAT,
    KEYS_SCHEMA,
    ROWS_SCHEMA,
    RowsBeside,
    Snapshot,
    person_leaf,
    person_tag,
    rows_commitment,
)
from volition.records.spilled import in_blocks


def freeze(  # noqa: PLR0913 - what a snapshot is made of
    snapshots: Path,
    *,
    lake: Lake,
    parties: Parties,
    permits: Permits,
    checkpoint: str,
    categories: Sequence[str],
    collected_until_us: int,
    within: Snapshot | None = None,
    encoder_id: str | None = None,
    progress: Progress,
) -> Snapshot:
    """Freeze what the gate permits for the permits' purpose at their instant.

    Args:
        snapshots: The folder of snapshots; the new one becomes a folder in it, whole or not at all.
        lake: Read through the gate only.
        parties: Encrypts the content, and knows the names to scrub.
        permits: Decide what is kept.
        checkpoint: The ledger's signed checkpoint as it was at the permits' instant.
        categories: What the purpose has a use for: leaves of `terms.CATEGORIES`. The rest is not even read.
        collected_until_us: Records collected later are left out.
        within: Keep only rows of this earlier snapshot (forgetting never adds a row).
        encoder_id: Digest of the sentence encoder that the embeddings come from; none if there are none.
        progress: Called as it advances.

    Raises:
        BackendError: The disk is full or cannot be written; no snapshot appears.
        ProofError: A row is not as it was collected.
    """
    try:
        with (
            folder_aside(snapshots) as aside,
            lake.in_order(
                permits, categories=categories, until_us=collected_until_us, embedded=encoder_id is not None
            ) as rows,
            lake.collection_check(rows) as collected,
            BlockedParquet(aside / "keys.parquet", KEYS_SCHEMA, PLAIN) as keys,
            BlockedParquet(aside / "rows.parquet", ROWS_SCHEMA, PACKED) as content,
        ):
            files = _Files(aside, rows.groups, collected, keys, content)
            kept = rows if within is None else _only_within(rows, within)
            scrubbing = Scrubbing(rows, lake, parties, permits)
            for block in in_blocks(kept, OPENED, BLOCK_ROWS):
                progress("scrubbing", files.rows, rows.total)
                files.add(block, seal(block, scrubbing.payloads(block), rows.groups, parties))
            if not files.rows:
                progress("scrubbing", 0, 0)
            progress("encrypting", files.rows, files.rows)
            manifest = {
                "format": FORMAT,
                "purpose": permits.purpose,
                "at": us_to_text(permits.at_us),
                "collected_until": us_to_text(collected_until_us),
                "within": within and within.id,
                "checkpoint": checkpoint,
                "encoder": encoder_id,
                "rows": _tally(lake, permits, categories, files.by_category()),
                **files.finish(permits),
            }
            data = canonical_json(manifest)
            (aside / "manifest.json").write_bytes(data)
            folder = snapshots / f"{permits.purpose.replace('/', '-')}-{digest(data)[:12]}"
            settle(aside, folder)
    except OSError as error:
        msg = (
            f"The snapshot could not be written to {snapshots}: {error}. Nothing was frozen; free space and try again."
        )
        raise BackendError(msg) from error
    return Snapshot.open(folder)


class _Files:
    """Writes a snapshot's files into a folder aside, block by block, and counts what the manifest says of the rows."""

    def __init__(
        self, folder: Path, groups: Groups, collected: CollectionCheck, keys: BlockedParquet, content: BlockedParquet
    ) -> None:
        self._folder = folder
        self._groups = groups
        self._collected = collected
        self._keys = keys
        self._content = content
        self._counts: Counter[int] = Counter()  # rows by group
        self.rows = 0

    def add(self, block: pa.RecordBatch, content: pa.RecordBatch) -> None:
        """Append some rows, and their content, which is in columns of `ROWS_SCHEMA`."""
        numbers, place, counts = np.unique(block.column("group").to_numpy(), return_inverse=True, return_counts=True)
        self._counts.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        groups = [self._groups.of(number) for number in numbers.tolist()]
        named = pa.table(
            {
                "account": pa.array([group.account for group in groups], pa.string()),
                "people": pa.array([group.people for group in groups], pa.list_(pa.string())),
                "category": pa.array([group.category for group in groups], pa.string()),
            }
        ).take(pa.array(place))
        columns = {name: block.column(name) for name in ("record_id", "collected_us", "conversation")}
        columns |= {name: named.column(name).combine_chunks() for name in named.column_names}
        self._keys.add(pa.record_batch([columns[name] for name in KEYS_SCHEMA.names], schema=KEYS_SCHEMA))
        self._content.add(content)
        self._collected.add(block, self.rows)
        self.rows += len(block)

    def by_category(self) -> Mapping[str, int]:
        """Return how many rows there are of each category."""
        found: Counter[str] = Counter()
        for number, total in self._counts.items():
            found[self._groups.of(number).category] += total
        return found

    def finish(self, permits: Permits) -> dict[str, Any]:
        """End the files, and return what the manifest says of them.

        Raises:
            ProofError: A row is not as it was collected.
        """
        for file in (self._keys, self._content):
            file.finish()
        accounts: Counter[str] = Counter()
        rows_of: Counter[str] = Counter()
        for number, total in self._counts.items():
            group = self._groups.of(number)
            accounts[group.account] += total
            for pseudonym in group.people:
                rows_of[pseudonym] += total
        people = _people(rows_of, permits)
        tree = merkle.Tree(person_leaf(tag, commitment) for tag, commitment in people)
        data = canonical_json(people)
        (self._folder / "people.json").write_bytes(data)
        counted, collected_digest = self._write_collected()
        return {
            "collected": counted,
            "accounts": dict(sorted(accounts.items())),
            "people": {"size": len(people), "root": tree.root.hex()},
            "schema": {
                "keys.parquet": {field.name: str(field.type) for field in KEYS_SCHEMA},
                "rows.parquet": {field.name: str(field.type) for field in ROWS_SCHEMA},
            },
            "files": {
                "keys.parquet": self._keys.digest,
                "people.json": digest(data),
                "rows.parquet": self._content.digest,
                COLLECTED: collected_digest,
            },
        }

    def _write_collected(self) -> tuple[dict[str, int], str]:
        """Write what shows that rows are as collected; return from how many batches, and the file's digest."""
        batches = before = 0
        with DigestedFile(self._folder / COLLECTED) as file:
            check = self._collected
            for batch in write_collected_into(file, check, size=check.size, leaves_bytes=check.leaves_bytes):
                batches += batch.entry is not None
                before += len(batch.rows) if batch.entry is None else 0
        return {"batches": batches, "before": before}, file.digest


def _people(rows_of: Mapping[str, int], permits: Permits) -> list[list[str]]:
    """Return the leaves of the tree of people, sorted: each person's tag and the commitment to their rows."""
    at = us_to_text(permits.at_us)
    people = []
    for pseudonym, total in rows_of.items():
        tag = person_tag(permits.purpose, at, pseudonym)
        people.append([tag, rows_commitment(tag, pseudonym, total)])
    return sorted(people)


def _only_within(rows: PermittedRows, within: Snapshot) -> Iterator[pa.RecordBatch]:
    """Yield what of some rows is in an earlier snapshot, too; both are in the same order."""
    beside = RowsBeside(within.key_batches())
    for batch in rows:
        if len(batch):
            first, last = (_place_in_order(batch, row, rows.groups) for row in (0, -1))
            yield batch.filter(beside.holds(batch.column("record_id"), first, last))


def _place_in_order(rows: pa.RecordBatch, row: int, groups: Groups) -> tuple[str, int, str]:
    group, collected_us, identity = (rows.column(name)[row].as_py() for name in ("group", "collected_us", "record_id"))
    return groups.of(group).account, collected_us, identity


def _tally(
    lake: Lake, permits: Permits, categories: Sequence[str], kept: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    tally: dict[str, dict[str, Any]] = {}
    for category, reasons in lake.reasons(permits, categories=categories).items():
        dropped = {reason.value: total for reason, total in sorted(reasons.items(), key=str) if reason is not None}
        own = kept.get(category, 0)
        tally[category] = {"read": sum(reasons.values()), "kept": own, "dropped": dropped}
        left_out = reasons.get(None, 0) - own
        if left_out:
            tally[category]["left_out"] = left_out
    return tally


def plain_parquet(table: pa.Table) -> bytes:
    """Return a table as Parquet that a small reader reads; see `PLAIN`."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **PLAIN)
    return bytes(sink.getvalue())
