"""Snapshots of tables that others keep: rows are listed with what decides about them, and nothing that they say.

It is a snapshot like any other (`records.snapshot`), but for what stands in the place of the content:

    places.parquet   where each row is in its file, in the order of the keys
    sources.json     the table's files in order: name, digests, and how many rows of each are listed

The keys are those of the parts of all files (`foreign.part`), one file after the other, in the order of their names. So
the same table, mapping, ledger and instant give the same snapshot, whoever has made the parts. What is in memory is a
batch, and 130 bytes for each person.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volition.canonical import canonical_json, us_to_text
from volition.consent.gate import decide, effective_permit_of
from volition.consent.permits import Permits, Reason
from volition.errors import BackendError, ProofError
from volition.files import settle
from volition.ledger import merkle
from volition.progress import Progress
from volition.records.foreign.answers import RowAnswers
from volition.records.foreign.mapping import TableMapping
from volition.records.foreign.part import PART_SCHEMA, GroupWriter, ListedPart, PartCounts, list_part, read_part
from volition.records.foreign.places import Source
from volition.records.foreign.version import TableVersion
from volition.records.snapshot import (
    KEYS_SCHEMA,
    LISTED_FORMAT,
    PLACES,
    PLACES_SCHEMA,
    SOURCES,
    Key,
    Snapshot,
    person_leaf,
    person_tag,
    rows_commitment,
)

PLAIN: Final[Mapping[str, Any]] = {
    "compression": "none",
    "use_dictionary": ["account", "people.list.element", "category", "conversation"],
    "version": "2.6",
    "data_page_version": "1.0",
}
"""How keys are written: as `docs/formats/keys.md` reads them."""

_AT_A_TIME: Final = 65_536
_COUNTED_AT_ONCE: Final = 250_000  # people of batches, at least, before those who are the same are added up
_JUDGED_AT_ONCE: Final = 500_000  # party sets that are remembered
_COUNTS_APART: Final = 1000
_PIECE_BYTES: Final = 1 << 20
_LEAVES_AT_ONCE: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a snapshot of a table is of.

    Attributes:
        version: The table.
        mapping: Which of its columns decide.
        permits: By which all parts were judged.
        checkpoint: The ledger's signed checkpoint as it was at the permits' instant.
        until_us: What was collected later was left out.
        within: The id of the snapshot from which this one is left; none for a new one.
    """

    version: TableVersion
    mapping: TableMapping
    permits: Permits
    checkpoint: str
    until_us: int
    within: str | None = None

    def manifest(self) -> dict[str, Any]:
        """Return what a manifest says of it before anything was counted."""
        version = self.version
        return {
            "format": LISTED_FORMAT,
            "purpose": self.permits.purpose,
            "at": us_to_text(self.permits.at_us),
            "collected_until": us_to_text(self.until_us),
            "within": self.within,
            "checkpoint": self.checkpoint,
            "encoder": None,
            "table": {
                "form": version.form,
                "uri": version.uri,
                "version": version.version,
                "mapping": self.mapping.to_json(),
            },
        }


def join_parts(
    snapshots: Path, aside: Path, listing: Listing, parts: Iterable[ListedPart], *, progress: Progress
) -> Snapshot:
    """Join the parts of all files of a table to a snapshot.

    Args:
        snapshots: The folder of snapshots; the new one becomes a folder in it, whole or not at all.
        aside: An empty folder on the same disk, in which it is made; it is gone afterwards.
        listing: What it is of.
        parts: In the order of the names of their files, one for each; each is read when it is given.
        progress: Called with how many rows were joined.

    Raises:
        BackendError: The disk is full or cannot be written; no snapshot appears.
        ProofError: A part is not of the form that `list_part` gives it, or holds other rows than were counted.
    """
    try:
        with ExitStack() as opened:
            joined = _Joined(
                opened.enter_context(_writer(aside / "keys.parquet", KEYS_SCHEMA, opened, PLAIN)),
                opened.enter_context(_writer(aside / PLACES, PLACES_SCHEMA, opened, {"compression": "zstd"})),
            )
            for part in parts:
                joined.add(part)
                progress("listing", joined.rows, 0)
        manifest = listing.manifest() | {
            "rows": PartCounts.sum(joined.counts).rows,
            "accounts": dict(sorted(joined.accounts.items())),
            "people": _write_people(aside / "people.json", joined.people(), listing.permits),
            "schema": {
                "keys.parquet": {field.name: str(field.type) for field in KEYS_SCHEMA},
                PLACES: {field.name: str(field.type) for field in PLACES_SCHEMA},
            },
        }
        (aside / SOURCES).write_bytes(canonical_json([asdict(source) for source in joined.sources]))
        names = ("keys.parquet", "people.json", PLACES, SOURCES)
        data = canonical_json(manifest | {"files": {name: _digest(aside / name) for name in names}})
        (aside / "manifest.json").write_bytes(data)
        name = f"{listing.permits.purpose.replace('/', '-')}-{sha256(data).hexdigest()[:12]}"
        settle(aside, snapshots / name)
    except OSError as error:
        msg = f"The snapshot could not be written to {aside}: {error}. Nothing was frozen; free space and try again."
        raise BackendError(msg) from error
    return Snapshot.open(snapshots / name)


def _writer(path: Path, schema: pa.Schema, opened: ExitStack, options: Mapping[str, Any]) -> GroupWriter:
    return GroupWriter(opened.enter_context(path.open("wb")), schema, **options)


class _Joined:
    """The rows of all parts, written one after the other, and counted."""

    def __init__(self, keys: GroupWriter, places: GroupWriter) -> None:
        self.sources: list[Source] = []
        self.counts: list[PartCounts] = []
        self.accounts: Counter[str] = Counter()
        self.rows = 0
        self._keys = keys
        self._places = places
        self._people: list[pa.Table] = []
        self._waiting = 0

    def add(self, part: ListedPart) -> None:
        """Add the rows of a part."""
        before = self.rows
        for batch in read_part(part.path):
            self._keys.write(batch.select(KEYS_SCHEMA.names))
            self._places.write(batch.select(PLACES_SCHEMA.names))
            self._count(batch)
        if self.rows - before != part.counts.kept:
            raise ProofError(f"The part of {part.name} holds other rows than were counted. Make it anew.")
        self.sources.append(Source(name=part.name, digests=part.digests, rows=self.rows - before))
        self.counts.append(part.counts)
        if len(self.counts) > _COUNTS_APART:
            self.counts = [PartCounts.sum(self.counts)]

    def _count(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        for one in pc.value_counts(batch["account"]).to_pylist():
            self.accounts[one["values"]] += one["counts"]
        found = pc.value_counts(batch["people"].flatten())
        self._people.append(pa.table({"person": found.field("values"), "rows": found.field("counts")}))
        self._waiting += len(found)
        if self._waiting > max(
            _COUNTED_AT_ONCE, self._people[0].num_rows
        ):  # as many more: each is added up a few times
            self._people = [self.people()]
            self._waiting = 0

    def people(self) -> pa.Table:
        """Return how many rows concern each person: columns `person` and `rows`."""
        empty = pa.table({"person": pa.array([], pa.string()), "rows": pa.array([], pa.int64())})
        counted = pa.concat_tables([empty, *self._people])
        summed = counted.group_by("person", use_threads=False).aggregate([("rows", "sum")])
        return summed.rename_columns(["person", "rows"])


def list_files(  # noqa: PLR0913 - what a list hangs on
    version: TableVersion, mapping: TableMapping, answers: RowAnswers, aside: Path, *, until_us: int, progress: Progress
) -> Iterator[ListedPart]:
    """Yield the part of each of a table's files, made when it is asked for; the one before is gone then.

    Args:
        version: The table.
        mapping: Which of its columns decide.
        answers: Answer at the instant of the snapshot.
        aside: A folder for the part.
        until_us: What was collected later is left out.
        progress: Called with how many rows were read.

    Raises:
        InvalidInputError: A column is missing or of another type.
        DamagedError: A file is gone, or cannot be read.
    """
    mapping.check(version.columns)
    read, path = 0, aside / "part"
    for file in version.files:
        digests = tuple(file.digests())
        batches = file.batches(mapping.listed_columns)
        with path.open("wb") as sink:
            counts = list_part(batches, mapping, answers, file=file.name, until_us=until_us, sink=sink)
        read += counts.read
        progress("reading rows", read, 0)
        yield ListedPart(name=file.name, digests=digests, path=path, counts=counts)


def narrow(before: Snapshot, permits: Permits, aside: Path, *, until_us: int) -> Iterator[ListedPart]:
    """Yield the parts of what may still be used of a snapshot of a table, which is not read: never a row more.

    Args:
        before: The snapshot.
        permits: Decide.
        aside: A folder for the part.
        until_us: What was collected later is left out.
    """
    keys, places = before.iter_keys(), (place for some in before.iter_places() for place in some.tolist())
    earliest = EarliestUses(permits)
    path = aside / "part"
    for source in before.sources():
        counts: dict[str, dict[str, Any]] = {}
        with path.open("wb") as sink, GroupWriter(sink, PART_SCHEMA, compression="zstd") as writer:
            rows = islice(zip(places, keys, strict=False), source.rows)
            while some := [*islice(rows, _AT_A_TIME)]:
                left = [(place, key) for place, key in some if _counted(counts, key, earliest.refusal(key), until_us)]
                writer.write(_batch_of(left))
        yield ListedPart(name=source.name, digests=source.digests, path=path, counts=PartCounts(rows=counts))


def _counted(counts: dict[str, dict[str, Any]], key: Key, refusal: Reason | None, until_us: int) -> bool:
    """Count a row, and say whether it is kept."""
    own = counts.setdefault(key.category, {"read": 0, "kept": 0, "dropped": {}})
    own["read"] += 1
    if refusal is not None:
        own["dropped"][refusal.value] = own["dropped"].get(refusal.value, 0) + 1
    elif key.collected_us > until_us:
        own["left_out"] = own.get("left_out", 0) + 1
    else:
        own["kept"] += 1
        return True
    return False


def _batch_of(rows: Sequence[tuple[int, Key]]) -> pa.RecordBatch:
    columns = {
        "position": [place for place, _ in rows],
        "record_id": [key.record_id for _, key in rows],
        "account": [key.account for _, key in rows],
        "people": [[*key.people] for _, key in rows],
        "category": [key.category for _, key in rows],
        "collected_us": [key.collected_us for _, key in rows],
        "conversation": [key.conversation for _, key in rows],
    }
    return pa.RecordBatch.from_pydict(columns, schema=PART_SCHEMA)


class EarliestUses:
    """What the gate says of rows, each party set judged once."""

    def __init__(self, permits: Permits) -> None:
        """Judge by permits that nobody moves on."""
        self._permits = permits
        self._known: dict[tuple[Any, ...], int] = {}

    def refusal(self, key: Key) -> Reason | None:
        """Return why a row may not be used; none where it may."""
        party_set = (key.account, key.people, key.category, key.conversation)
        earliest_us = self._known.get(party_set)
        if earliest_us is None:
            if len(self._known) > _JUDGED_AT_ONCE:
                self._known.clear()
            asked = key.question()
            found = effective_permit_of(self._permits, asked.account, asked.people, asked.category, asked.conversation)
            earliest_us = self._known[party_set] = max(found.since_us, found.oldest_us)
        return decide(self._permits, key.question()).reason if key.collected_us < earliest_us else None


def _write_people(path: Path, people: pa.Table, permits: Permits) -> dict[str, Any]:
    """Write the leaves of the tree of people, sorted, as canonical JSON; return how many they are, and its root."""
    at, size = us_to_text(permits.at_us), people.num_rows
    tags, commitments = np.empty((size, merkle.HASH_BYTES), np.uint8), np.empty((size, merkle.HASH_BYTES), np.uint8)
    place = 0
    for batch in people.to_batches(max_chunksize=_AT_A_TIME):
        for pseudonym, rows in zip(batch["person"].to_pylist(), batch["rows"].to_pylist(), strict=True):
            tag = person_tag(permits.purpose, at, pseudonym)
            tags[place] = np.frombuffer(bytes.fromhex(tag), np.uint8)
            commitments[place] = np.frombuffer(bytes.fromhex(rows_commitment(tag, pseudonym, rows)), np.uint8)
            place += 1
    order = np.lexsort(tags.view(">u8").T[::-1])
    hashes = bytearray()
    with path.open("wb") as file:
        file.write(b"[")
        for start in range(0, size, _LEAVES_AT_ONCE):
            some = order[start : start + _LEAVES_AT_ONCE]
            pairs = zip(tags[some], commitments[some], strict=True)
            leaves = [person_leaf(tag.tobytes().hex(), commitment.tobytes().hex()) for tag, commitment in pairs]
            file.write((b"," if start else b"") + b",".join(leaves))
            hashes += b"".join(merkle.leaf_hashes(leaves))
        file.write(b"]")
    root = merkle.root_of_joined(bytes(hashes)) if size else merkle.EMPTY_ROOT
    return {"size": size, "root": root.hex()}


def _digest(path: Path) -> str:
    found = sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()
