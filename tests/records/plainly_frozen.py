"""A plain reference of freezing: every row an object, everything in memory, each file written at once."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.references import source_id
from volition.ledger import merkle
from volition.records.commitment import write_collected
from volition.records.freeze import plain_parquet
from volition.records.lake import is_sealed
from volition.records.scrub import Scrubber
from volition.records.snapshot import (
    COLLECTED,
    FORMAT,
    KEYS_SCHEMA,
    ROWS_SCHEMA,
    person_leaf,
    person_tag,
    rows_commitment,
)

UNSCRUBBED = ("kind", "meeting", "channel", "file", "ts", "thread", "name")
UNSCRUBBED_ATTRIBUTES = ("search.meeting", "search.channel", "search.file", "search.ts", "session.id", "volition.item")
GROUPS = {"meeting": "content/transcript", "channel": "content/chat", "file": "content/files"}


def plainly_frozen(*, lake, parties, permits, checkpoint, categories, until_us, within=None, encoder_id=None):
    """Return the files of the snapshot that `freeze` makes, by name."""
    there = [row for row in lake.rows(permits, categories=categories) if row.collected_us <= until_us]
    known = None if within is None else {key.record_id for key in within.keys}
    rows = [row for row in there if known is None or row.record_id in known]
    rows.sort(key=lambda row: (row.account, row.collected_us, row.record_id))
    collected = lake.collected(rows)
    people = people_of(rows, permits)
    files = {
        "keys.parquet": plain_parquet(
            pa.table({name: [getattr(row, name) for row in rows] for name in KEYS_SCHEMA.names}, schema=KEYS_SCHEMA)
        ),
        "people.json": canonical_json(people),
        "rows.parquet": rows_file(rows, scrubbed(rows, there, lake, parties, permits), parties, encoder_id),
        COLLECTED: write_collected(collected),
    }
    before = sum(len(batch.rows) for batch in collected if batch.entry is None)
    manifest = {
        "format": FORMAT,
        "purpose": permits.purpose,
        "at": us_to_text(permits.at_us),
        "collected_until": us_to_text(until_us),
        "within": within and within.id,
        "checkpoint": checkpoint,
        "encoder": encoder_id,
        "rows": tally(lake, permits, categories, rows),
        "collected": {"batches": sum(batch.entry is not None for batch in collected), "before": before},
        "accounts": dict(sorted(Counter(row.account for row in rows).items())),
        "people": {
            "size": len(people),
            "root": merkle.Tree(person_leaf(tag, commitment) for tag, commitment in people).root.hex(),
        },
        "schema": {
            name: {field.name: str(field.type) for field in schema}
            for name, schema in (("keys.parquet", KEYS_SCHEMA), ("rows.parquet", ROWS_SCHEMA))
        },
        "files": {name: digest(data) for name, data in files.items()},
    }
    return files | {"manifest.json": canonical_json(manifest)}


def people_of(rows, permits):
    at, people = us_to_text(permits.at_us), []
    for pseudonym, total in Counter(pseudonym for row in rows for pseudonym in row.people).items():
        tag = person_tag(permits.purpose, at, pseudonym)
        people.append([tag, rows_commitment(tag, pseudonym, total)])
    return sorted(people)


def tally(lake, permits, categories, rows):
    kept, told = Counter(row.category for row in rows), {}
    for category, reasons in lake.reasons(permits, categories=categories).items():
        dropped = {reason.value: total for reason, total in sorted(reasons.items(), key=str) if reason is not None}
        told[category] = {"read": sum(reasons.values()), "kept": kept[category], "dropped": dropped}
        if reasons.get(None, 0) - kept[category]:
            told[category]["left_out"] = reasons[None] - kept[category]
    return told


def scrubbed(rows, there, lake, parties, permits):
    """Scrub each row by the names of its people, and of those of the conversation that it is about."""
    together = defaultdict(set)
    for row in there:
        source = next((row.payload[kind] for kind in GROUPS if row.payload.get(kind)), None)
        if isinstance(source, str):
            together[row.account, source_id(row.account, source)].update(row.people)
    return [
        canonical_json(
            payload_of(row, together, lake, parties) if permits.scrubs(row.account, row.category) else row.payload
        )
        for row in rows
    ]


def payload_of(row, together, lake, parties):
    attributes = row.payload.get("attributes", {})
    concerned = set(row.people)
    for kind, category in GROUPS.items():
        name = attributes.get(f"search.{kind}")
        if isinstance(name, str):
            found = together.get((row.account, source_id(row.account, name)))
            concerned.update(
                (lake.meeting(row.account, name, category=category) or ((),))[0] if found is None else found
            )
    known = {one: parties.person_by_pseudonym(one) for one in sorted(concerned)}
    scrubber = Scrubber({f"person-{one[:8]}": list(person.names) for one, person in known.items() if person})
    payload = scrubber.scrub_payload(row.payload, keep=(*UNSCRUBBED, "attributes"))
    if attributes:
        payload["attributes"] = scrubber.scrub_payload(attributes, keep=UNSCRUBBED_ATTRIBUTES)
    return payload | {field: f"[person-{row.people[0][:8]}]" for field in ("speaker", "author") if field in payload}


def rows_file(rows, payloads, parties, encoder_id):
    vectors = [
        None if encoder_id is None or row.embedding is None else row.embedding.astype(np.float16).tobytes()
        for row in rows
    ]

    def closed(row, data, suffix):
        if data is None or not is_sealed(row.category):
            return data
        return parties.seal_many(row.account, [(row.record_id.encode() + suffix, data)])[0]

    columns = {
        "record_id": [row.record_id for row in rows],
        "payload": [closed(row, data, b"/snapshot") for row, data in zip(rows, payloads, strict=True)],
        "embedding": [closed(row, data, b"/snapshot-embedding") for row, data in zip(rows, vectors, strict=True)],
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=ROWS_SCHEMA), sink, compression="zstd")
    return bytes(sink.getvalue())
