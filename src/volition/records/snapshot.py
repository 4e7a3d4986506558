"""Snapshots: gated training sets, frozen, with their manifest. Training accepts a snapshot, never a table.

A snapshot is a folder of four files, named by the digest of its manifest:

    manifest.json   what it is: purpose, instant, ledger checkpoint, rows kept and dropped by reason, digests
    keys.parquet    one line a row without its content: record id, account, people, category, instant of collection
    rows.parquet    the content, scrubbed; sealed under the accounts' keys, so that erasing one erases it here
    people.json     the people in it as leaves of a sorted Merkle tree

The same lake, ledger and instant give the same bytes: rows are in one order (account, instant, record id), sealing
draws its nonces from what it seals, and the checkpoint is that of the ledger as it stood at the instant.

The tree's leaves are sorted by tag, so presence is shown by one leaf and absence by two neighbours, without showing
anyone else: a tag is a digest that only somebody who knows the pseudonym can compute, and a leaf commits to the number
of rows without telling it.
"""

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.gate import EffectivePermit, Record, Verdict, decide, effective_permit_of
from volition.consent.parties import Parties
from volition.consent.permits import Permits
from volition.errors import BackendError, InvalidInputError, ProofError
from volition.files import write_folder
from volition.ledger import merkle
from volition.progress import Progress
from volition.records.lake import Lake, Row
from volition.records.scrub import Scrubber

FORMAT: Final = "volition/snapshot/1"
FILES: Final = ("keys.parquet", "people.json", "rows.parquet")
_AT_A_TIME: Final = 16_384  # rows of a snapshot that are in memory at a time, where few are asked for

_KEYS: Final = pa.schema(
    [
        ("record_id", pa.string()),
        ("account", pa.string()),
        ("people", pa.list_(pa.string())),
        ("category", pa.string()),
        ("collected_us", pa.int64()),
    ]
)
_ROWS: Final = pa.schema([("record_id", pa.string()), ("payload", pa.binary()), ("embedding", pa.binary())])

_UNSCRUBBED: Final = ("kind", "meeting", "channel", "file", "ts", "thread", "name")
"""Payload keys that identify a source rather than hold what somebody said."""

_GROUPS: Final = {"meeting": "content/transcript", "channel": "content/chat", "file": "content/files"}
"""What gathers people, by the payload key that names it, and the category of its records."""

_UNSCRUBBED_ATTRIBUTES: Final = (
    "search.meeting",
    "search.channel",
    "search.file",
    "search.ts",
    "session.id",
    "volition.item",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One row of a snapshot without its content.

    Attributes:
        record_id: Identity of the record.
        account: Id of its account.
        people: Pseudonyms of its people, the first one first.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: Instant of collection.
    """

    record_id: str
    account: str
    people: tuple[str, ...]
    category: str
    collected_us: int

    def question(self) -> Record:
        """Return what the gate must know of this row."""
        people = tuple(f"person:{pseudonym}" for pseudonym in self.people)
        return Record(account=self.account, people=people, category=self.category, collected_us=self.collected_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A row that was permitted when its snapshot was frozen and is not any more."""

    key: Key
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A frozen training set in a folder.

    Attributes:
        folder: Where its files lie.
        manifest: The manifest as a JSON object.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Snapshot":
        """Open a snapshot and check that its manifest is the one that its name promises.

        Raises:
            InvalidInputError: There is no snapshot in the folder.
            ProofError: The manifest was changed.
        """
        try:
            data = (folder / "manifest.json").read_bytes()
        except OSError as error:
            msg = f"There is no snapshot {folder.name!r}. `volition status` lists those there are."
            raise InvalidInputError(msg) from error
        if not folder.name.endswith(f"-{digest(data)[:12]}"):
            msg = f"The manifest of snapshot {folder.name} was changed after it was frozen. Do not train from it."
            raise ProofError(msg)
        return cls(folder=folder, manifest=json.loads(data))

    @property
    def id(self) -> str:
        """The snapshot's name: its purpose and the beginning of its manifest's digest."""
        return self.folder.name

    @property
    def purpose(self) -> str:
        """The purpose that its rows were permitted for."""
        return str(self.manifest["purpose"])

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, hexadecimal."""
        return digest((self.folder / "manifest.json").read_bytes())

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """Every row without its content, in the snapshot's order.

        Raises:
            ProofError: The file is not the one that was frozen.
        """
        return self.read_keys(self._read("keys.parquet"))

    @staticmethod
    def read_keys(data: bytes) -> "tuple[Key, ...]":
        """Read the bytes of a `keys.parquet`."""
        columns = pq.read_table(pa.BufferReader(data)).to_pydict()
        return tuple(
            Key(record_id=identity, account=account, people=tuple(people), category=category, collected_us=at_us)
            for identity, account, people, category, at_us in zip(*(columns[name] for name in _KEYS.names), strict=True)
        )

    def rows(
        self,
        parties: Parties,
        *,
        without: Collection[str] = (),
        of: Collection[tuple[str, tuple[str, ...]]] | None = None,
    ) -> list[Row]:
        """Return every row, opened, in the snapshot's order: account, instant of collection, record id.

        Args:
            parties: Opens the content.
            without: Accounts whose content is left closed (their payload is empty), since their key is destroyed.
            of: Only the rows of these: an account, and of the row's people the first one. None for every row.

        Raises:
            InvalidInputError: The content was erased when its model was retired.
            RefusedError: An account in it was erased.
            ProofError: A file is not the one that was frozen.
        """
        if not (self.folder / "rows.parquet").exists():
            msg = f"The content of snapshot {self.id} was erased when its model was forgotten. Take a new snapshot."
            raise InvalidInputError(msg)
        chosen = [place for place, key in enumerate(self.keys) if of is None or (key.account, key.people[:1]) in of]
        keys = [self.keys[place] for place in chosen]
        sealed_payloads, sealed_embeddings = self._sealed(chosen)
        payloads = _opened(parties, keys, sealed_payloads, b"/snapshot", without)
        embeddings = _opened(parties, keys, sealed_embeddings, b"/snapshot-embedding", without)
        return [
            Row(
                record_id=key.record_id,
                account=key.account,
                people=key.people,
                category=key.category,
                collected_us=key.collected_us,
                payload=json.loads(payload or b"{}"),
                embedding=None if vector is None else np.frombuffer(vector, np.float16).astype(np.float32),
            )
            for key, payload, vector in zip(keys, payloads, embeddings, strict=True)
        ]

    def _sealed(self, chosen: Sequence[int]) -> tuple[list[bytes | None], list[bytes | None]]:
        """Return payloads and embeddings of the rows at some places, in order; the others are not kept in memory."""
        payloads: list[bytes | None] = []
        embeddings: list[bytes | None] = []
        first = 0
        for batch in pq.ParquetFile(pa.BufferReader(self._read("rows.parquet"))).iter_batches(batch_size=_AT_A_TIME):
            own = chosen[bisect_left(chosen, first) : bisect_left(chosen, first + len(batch))]
            columns = batch.take(pa.array([place - first for place in own], pa.int64())).to_pydict()
            payloads += columns["payload"]
            embeddings += columns["embedding"]
            first += len(batch)
        return payloads, embeddings

    def stale(self, permits: Permits) -> list[Stale]:
        """Return every row that the gate would not let through any more, with its verdict, in the snapshot's order.

        Args:
            permits: The permits of the snapshot's purpose, now.
        """
        effective_permits: dict[tuple[str, tuple[str, ...], str], EffectivePermit] = {}
        found = []
        for key in self.keys:
            party_set = (key.account, key.people, key.category)
            if party_set not in effective_permits:
                question = key.question()
                effective_permits[party_set] = effective_permit_of(
                    permits, question.account, question.people, question.category
                )
            effective_permit = effective_permits[party_set]
            if key.collected_us < max(effective_permit.since_us, effective_permit.oldest_us):
                found.append(Stale(key=key, verdict=decide(permits, key.question())))
        return found

    def check(self) -> None:
        """Compare every file with the manifest's digest; the content may have been erased.

        Raises:
            ProofError: A file was changed, or is missing.
        """
        for name in FILES:
            if name != "rows.parquet" or (self.folder / name).exists():
                self._read(name)

    def _read(self, name: str) -> bytes:
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            msg = f"{name} of snapshot {self.id} cannot be read: {error}. Restore it from a copy, or take a new one."
            raise ProofError(msg) from error
        if digest(data) != self.manifest["files"][name]:
            msg = f"{name} of snapshot {self.id} was changed after it was frozen. Do not train from it."
            raise ProofError(msg)
        return data

    def people_leaves(self) -> list[bytes]:
        """Return the leaves of the sorted tree of people, in order."""
        leaves = json.loads(self._read("people.json"))
        return [person_leaf(tag, commitment) for tag, commitment in leaves]

    def erase_content(self) -> None:
        """Erase the rows' content. The manifest, keys and tree stay: they prove what the retired model learned from."""
        (self.folder / "rows.parquet").unlink(missing_ok=True)


class RowsLater(Sequence[Row]):
    """Rows that are opened once somebody looks at them: a family that learns anew never looks at the old ones."""

    def __init__(self, read: Callable[[], list[Row]]) -> None:
        """Read nothing yet."""
        self._read = read

    @cached_property
    def _rows(self) -> list[Row]:
        return self._read()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...

    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        """Return one of them, or some."""
        return self._rows[place]

    def __iter__(self) -> Iterator[Row]:
        """Go through them."""
        return iter(self._rows)


def person_tag(purpose: str, at: str, pseudonym: str) -> str:
    """Return the tag under which a person stands in a snapshot's tree: a digest, 64 hexadecimal characters."""
    return digest(canonical_json(["volition/person", purpose, at, pseudonym]))


def _opened(
    parties: Parties, keys: Sequence[Key], sealed: Sequence[bytes | None], suffix: bytes, without: Collection[str]
) -> list[bytes | None]:
    """Open what is sealed of some rows: content, but for accounts whose key is destroyed, which stays closed."""
    plain = list(sealed)
    for account, positions in _by_account(keys):
        closed = [
            position
            for position in positions
            if sealed[position] is not None and keys[position].category.startswith("content/")
        ]
        if account in without:
            for position in closed:
                plain[position] = None
            continue
        pairs = [(keys[position].record_id.encode() + suffix, sealed[position] or b"") for position in closed]
        for position, data in zip(closed, parties.open_many(account, pairs), strict=True):
            plain[position] = data
    return plain


def rows_commitment(tag: str, pseudonym: str, rows: int) -> str:
    """Return the commitment to a person's number of rows, 64 hexadecimal characters."""
    return digest(canonical_json(["volition/rows", tag, pseudonym, rows]))


def person_leaf(tag: str, commitment: str) -> bytes:
    """Return the leaf of a person in a snapshot's tree."""
    return canonical_json([tag, commitment])


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
        parties: Seals the content, and knows the names to scrub.
        permits: Decide what is kept.
        checkpoint: The ledger's signed checkpoint as it stood at the permits' instant.
        categories: What the purpose has a use for: leaves of `terms.CATEGORIES`. The rest is not even read.
        collected_until_us: Records collected later are left out.
        within: Keep only rows of this earlier snapshot (forgetting never adds a row).
        encoder_id: Digest of the sentence encoder that the embeddings come from; none if there are none.
        progress: Told how far it has come.

    Raises:
        BackendError: The disk is full or cannot be written; no snapshot appears.
    """
    rows = _permitted(lake, permits, categories, collected_until_us, within)
    if encoder_id is None:  # what was derived for another purpose is not needed for this one
        rows = [row if row.embedding is None else replace(row, embedding=None) for row in rows]
    progress("scrubbing", 0, len(rows))
    payloads = _scrubbed(rows, lake, parties, permits)
    progress("sealing", len(rows), len(rows))

    at = us_to_text(permits.at_us)
    counts = Counter(pseudonym for row in rows for pseudonym in row.people)
    people = []
    for pseudonym, total in counts.items():
        tag = person_tag(permits.purpose, at, pseudonym)
        people.append([tag, rows_commitment(tag, pseudonym, total)])
    people.sort()
    files = {
        "keys.parquet": _keys_file(rows),
        "people.json": canonical_json(people),
        "rows.parquet": _rows_file(rows, payloads, parties),
    }
    manifest = {
        "format": FORMAT,
        "purpose": permits.purpose,
        "at": at,
        "collected_until": us_to_text(collected_until_us),
        "within": within and within.id,
        "checkpoint": checkpoint,
        "encoder": encoder_id,
        "rows": _tally(lake, permits, categories, rows),
        "accounts": dict(sorted(Counter(row.account for row in rows).items())),
        "people": {
            "size": len(people),
            "root": merkle.Tree(person_leaf(tag, commitment) for tag, commitment in people).root.hex(),
        },
        "schema": {
            "keys.parquet": {field.name: str(field.type) for field in _KEYS},
            "rows.parquet": {field.name: str(field.type) for field in _ROWS},
        },
        "files": {name: digest(data) for name, data in files.items()},
    }
    data = canonical_json(manifest)
    folder = snapshots / f"{permits.purpose.replace('/', '-')}-{digest(data)[:12]}"
    try:
        write_folder(folder, files | {"manifest.json": data})
    except OSError as error:
        msg = f"The snapshot could not be written to {folder}: {error}. Nothing was frozen; free space, try again."
        raise BackendError(msg) from error
    return Snapshot.open(folder)


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
    """Return the rows' payloads as canonical JSON, identifiers replaced where the rule does not say otherwise."""
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
    """Tells whom the meeting, channel or file concerns that an event is about: their names may stand in its texts.

    Also where nothing else of that meeting is in the snapshot, above all because somebody there said no.
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
            names[_label(pseudonym)] = [name for name in (person.name, *person.aliases) if name]
    return names


def _label(pseudonym: str) -> str:
    return f"person-{pseudonym[:8]}"


def _by_account(rows: Sequence[Row | Key]) -> Iterator[tuple[str, list[int]]]:
    positions: dict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        positions[row.account].append(position)
    yield from positions.items()


def _keys_file(rows: Sequence[Row]) -> bytes:
    columns = {
        "record_id": [row.record_id for row in rows],
        "account": [row.account for row in rows],
        "people": [list(row.people) for row in rows],
        "category": [row.category for row in rows],
        "collected_us": [row.collected_us for row in rows],
    }
    return _parquet(pa.table(columns, schema=_KEYS))


def _rows_file(rows: Sequence[Row], payloads: Sequence[bytes], parties: Parties) -> bytes:
    sealed: list[bytes | None] = list(payloads)
    embeddings: list[bytes | None] = [
        None if row.embedding is None else row.embedding.astype(np.float16).tobytes() for row in rows
    ]
    for account, positions in _by_account(rows):
        content = [position for position in positions if rows[position].category.startswith("content/")]
        for column, suffix in ((sealed, b"/snapshot"), (embeddings, b"/snapshot-embedding")):
            there = [position for position in content if column[position] is not None]
            pairs = [(rows[position].record_id.encode() + suffix, column[position] or b"") for position in there]
            for position, data in zip(there, parties.seal_many(account, pairs), strict=True):
                column[position] = data
    columns = {"record_id": [row.record_id for row in rows], "payload": sealed, "embedding": embeddings}
    return _parquet(pa.table(columns, schema=_ROWS))


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())
