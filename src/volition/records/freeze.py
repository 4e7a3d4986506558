"""Freezing: a snapshot is made of what the gate permits, scrubbed, encrypted and listed in a manifest.

The same lake, ledger and instant give the same bytes (a reproducible build): rows are in one order (account, instant,
record id), encryption derives its nonces from what it encrypts, and the checkpoint is that of the ledger as it was at
the instant.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.parties import Parties
from volition.consent.permits import Permits
from volition.errors import BackendError
from volition.files import write_folder
from volition.ledger import merkle
from volition.progress import Progress
from volition.records.commitment import CollectedBatch, write_collected
from volition.records.lake import Lake, Row, is_sealed
from volition.records.scrub import Scrubber
from volition.records.snapshot import (
    COLLECTED,
    FORMAT,
    KEYS_SCHEMA,
    ROWS_SCHEMA,
    Snapshot,
    person_leaf,
    person_tag,
    positions_by_account,
    rows_commitment,
)

_UNSCRUBBED: Final = ("kind", "meeting", "channel", "file", "ts", "thread", "name")
"""Payload keys that identify a source rather than hold what somebody said."""

_GROUPS: Final = {"meeting": "content/transcript", "channel": "content/chat", "file": "content/files"}
"""What brings people together, by the payload key that names it, and the category of its records."""

_UNSCRUBBED_ATTRIBUTES: Final = (
    "search.meeting",
    "search.channel",
    "search.file",
    "search.ts",
    "session.id",
    "volition.item",
)


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
    rows = _permitted(lake, permits, categories, collected_until_us, within)
    if encoder_id is None:  # what was derived for another purpose is not needed for this one
        rows = [row if row.embedding is None else replace(row, embedding=None) for row in rows]
    collected = lake.collected(rows)
    progress("scrubbing", 0, len(rows))
    payloads = _scrubbed(rows, lake, parties, permits)
    progress("encrypting", len(rows), len(rows))

    people = _people(rows, permits)
    files = {
        "keys.parquet": _keys_file(rows),
        "people.json": canonical_json(people),
        "rows.parquet": _rows_file(rows, payloads, parties),
        COLLECTED: write_collected(collected),
    }
    manifest = {
        "format": FORMAT,
        "purpose": permits.purpose,
        "at": us_to_text(permits.at_us),
        "collected_until": us_to_text(collected_until_us),
        "within": within and within.id,
        "checkpoint": checkpoint,
        "encoder": encoder_id,
        "rows": _tally(lake, permits, categories, rows),
        "collected": _counted(collected),
        **_listed(rows, people, files),
    }
    return _write(snapshots, permits.purpose, manifest, files)


def _listed(
    rows: Sequence[Row], people: Sequence[Sequence[str]], files: Mapping[str, bytes]
) -> dict[str, dict[str, Any]]:
    """Return what a manifest says of the rows that were kept, and of the files that hold them."""
    tree = merkle.Tree(person_leaf(tag, commitment) for tag, commitment in people)
    return {
        "accounts": dict(sorted(Counter(row.account for row in rows).items())),
        "people": {"size": len(people), "root": tree.root.hex()},
        "schema": {
            "keys.parquet": {field.name: str(field.type) for field in KEYS_SCHEMA},
            "rows.parquet": {field.name: str(field.type) for field in ROWS_SCHEMA},
        },
        "files": {name: digest(data) for name, data in files.items()},
    }


def _counted(collected: Sequence[CollectedBatch]) -> dict[str, int]:
    """Return in how many batches the rows came, and how many came before the ledger had entries about batches."""
    batches = sum(batch.entry is not None for batch in collected)
    return {"batches": batches, "before": sum(len(batch.rows) for batch in collected if batch.entry is None)}


def _write(snapshots: Path, purpose: str, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Snapshot:
    """Write a snapshot's folder, whole or not at all, under the digest of its manifest."""
    data = canonical_json(manifest)
    folder = snapshots / f"{purpose.replace('/', '-')}-{digest(data)[:12]}"
    try:
        write_folder(folder, {**files, "manifest.json": data})
    except OSError as error:
        msg = f"The snapshot could not be written to {folder}: {error}. Nothing was frozen; free space and try again."
        raise BackendError(msg) from error
    return Snapshot.open(folder)


def _people(rows: Sequence[Row], permits: Permits) -> list[list[str]]:
    """Return the leaves of the tree of people, sorted: each person's tag and the commitment to their rows."""
    at = us_to_text(permits.at_us)
    people = []
    for pseudonym, total in Counter(pseudonym for row in rows for pseudonym in row.people).items():
        tag = person_tag(permits.purpose, at, pseudonym)
        people.append([tag, rows_commitment(tag, pseudonym, total)])
    return sorted(people)


def _permitted(
    lake: Lake, permits: Permits, categories: Sequence[str], until_us: int, within: Snapshot | None
) -> list[Row]:
    wanted = None if within is None else {key.record_id for key in within.keys}
    rows = [
        row
        for row in lake.rows(permits, categories=categories)
        if row.collected_us <= until_us and (wanted is None or row.record_id in wanted)
    ]
    rows.sort(key=lambda row: (row.account, row.collected_us, row.record_id))
    return rows


def _tally(lake: Lake, permits: Permits, categories: Sequence[str], rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    kept = Counter(row.category for row in rows)
    tally: dict[str, dict[str, Any]] = {}
    for category, reasons in lake.reasons(permits, categories=categories).items():
        dropped = {reason.value: total for reason, total in sorted(reasons.items(), key=str) if reason is not None}
        tally[category] = {"read": sum(reasons.values()), "kept": kept[category], "dropped": dropped}
        left_out = reasons.get(None, 0) - kept[category]
        if left_out:
            tally[category]["left_out"] = left_out
    return tally


def _scrubbed(rows: Sequence[Row], lake: Lake, parties: Parties, permits: Permits) -> list[bytes]:
    """Return the rows' payloads as canonical JSON, identifiers replaced unless the rule says otherwise."""
    mentioned = _Mentioned(rows, lake)
    scrubbers: dict[tuple[str, ...], Scrubber] = {}
    scrubs = {kind: permits.scrubs(*kind) for kind in {(row.account, row.category) for row in rows}}
    payloads = []
    for row in rows:
        if not scrubs[row.account, row.category]:
            payloads.append(canonical_json(row.payload))
            continue
        attributes = row.payload.get("attributes", {})
        concerned = tuple(sorted({*row.people, *mentioned.people(row.account, attributes)}))
        if concerned not in scrubbers:
            scrubbers[concerned] = Scrubber(_names(concerned, parties))
        scrubber = scrubbers[concerned]
        payload = scrubber.scrub_payload(row.payload, keep=(*_UNSCRUBBED, "attributes"))
        if attributes:
            payload["attributes"] = scrubber.scrub_payload(attributes, keep=_UNSCRUBBED_ATTRIBUTES)
        for field in ("speaker", "author"):
            if field in payload:
                payload[field] = f"[{_label(row.people[0])}]"
        payloads.append(canonical_json(payload))
    return payloads


class _Mentioned:
    """Finds the people of the meeting, channel or file that an event is about: their names may be in its texts.

    Also if nothing else of that meeting is in the snapshot, above all because somebody there said no.
    """

    def __init__(self, rows: Sequence[Row], lake: Lake) -> None:
        self._lake = lake
        self._known: dict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
        for row in rows:
            for kind in _GROUPS:
                if isinstance(row.payload.get(kind), str):
                    self._known[row.account, kind, row.payload[kind]].update(dict.fromkeys(row.people))

    def people(self, account: str, attributes: Mapping[str, Any]) -> Iterator[str]:
        for kind, category in _GROUPS.items():
            name = attributes.get(f"search.{kind}")
            if not isinstance(name, str):
                continue
            if (account, kind, name) not in self._known:
                found = self._lake.meeting(account, name, category=category)
                self._known[account, kind, name] = dict.fromkeys(found[0] if found else ())
            yield from self._known[account, kind, name]


def _names(people: Sequence[str], parties: Parties) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for pseudonym in people:
        person = parties.person_by_pseudonym(pseudonym)
        if person is not None:
            names[_label(pseudonym)] = list(person.names)
    return names


def _label(pseudonym: str) -> str:
    return f"person-{pseudonym[:8]}"


def _keys_file(rows: Sequence[Row]) -> bytes:
    columns = {
        "record_id": [row.record_id for row in rows],
        "account": [row.account for row in rows],
        "people": [list(row.people) for row in rows],
        "category": [row.category for row in rows],
        "collected_us": [row.collected_us for row in rows],
        "conversation": [row.conversation for row in rows],
    }
    return plain_parquet(pa.table(columns, schema=KEYS_SCHEMA))


def _rows_file(rows: Sequence[Row], payloads: Sequence[bytes], parties: Parties) -> bytes:
    encrypted: list[bytes | None] = list(payloads)
    embeddings: list[bytes | None] = [
        None if row.embedding is None else row.embedding.astype(np.float16).tobytes() for row in rows
    ]
    for account, positions in positions_by_account(rows):
        content = [position for position in positions if is_sealed(rows[position].category)]
        for column, suffix in ((encrypted, b"/snapshot"), (embeddings, b"/snapshot-embedding")):
            there = [position for position in content if column[position] is not None]
            pairs = [(rows[position].record_id.encode() + suffix, column[position] or b"") for position in there]
            for position, data in zip(there, parties.seal_many(account, pairs), strict=True):
                column[position] = data
    columns = {"record_id": [row.record_id for row in rows], "payload": encrypted, "embedding": embeddings}
    return _parquet(pa.table(columns, schema=ROWS_SCHEMA))


def plain_parquet(table: pa.Table) -> bytes:
    """Return a table as Parquet that a small reader reads: not compressed, two encodings, one kind of page.

    `docs/formats/keys.md` is that reader: whoever checks evidence in a browser has no other.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="none",
        use_dictionary=["account", "people.list.element", "category", "conversation"],
        version="2.6",
        data_page_version="1.0",
        write_statistics=False,
        store_schema=False,
    )
    return bytes(sink.getvalue())


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())
