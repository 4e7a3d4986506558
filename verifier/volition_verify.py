"""Verify an evidence bundle of Volition, or a person's documents, with the log's public key and nothing of Volition.

Written from docs/formats alone; `cryptography` is the only dependency. Each check has the name that the pages give it:

    python verifier/volition_verify.py evidence.zip --key log.pub --extends older-checkpoint --not-before 2026-03-01

Exit code 0: everything holds. 4: something does not. 2: the input is not evidence that this program knows.
"""

import argparse
import hashlib
import hmac
import io
import json
import math
import re
import struct
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from volition_formats import (
    COLLECTED,
    DAY,
    MALFORMED,
    PURPOSES,
    WRITING,
    History,
    Json,
    Object,
    base64_bytes,
    binding,
    canonical,
    card_markdown,
    ceased,
    digest_of,
    early_record,
    instant,
    instant_text,
    is_count,
    is_hex,
    is_number,
    later_record,
    least_epsilon,
    may,
    parse,
    parse_canonical,
    publication_fault,
    read_keys,
    read_table,
    receipt_form,
    same,
    text,
    texts,
    version_fault,
)

KINDS = set(
    "terms acceptance decision region identity signal limit sharing exclusion collect access mapping notice form"
    " snapshot model release forgetting erasure".split()
)
JUDGED = {"terms", "acceptance", "decision", "region", "signal", "limit", "exclusion", "erasure", "identity"}


class RefusedError(ValueError):
    """Evidence does not hold; the message says why."""


class NotEvidenceError(ValueError):
    """The input is nothing that this program knows."""


def demand(holds: object, otherwise: str) -> None:
    """Refuse, unless it holds."""
    if not holds:
        raise RefusedError(otherwise)


@dataclass
class Report:
    """What was checked, under its names, and what is told besides."""

    checks: list[tuple[str, bool, str]] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    last_entry: str | None = None

    @property
    def holds(self) -> bool:
        """Whether there is a check and all of them hold."""
        return bool(self.checks) and all(holds for _, holds, _ in self.checks)

    def check(self, name: str, made: Callable[[], str]) -> bool:
        """Make one check: it returns what holds, or raises."""
        try:
            says, holds = made(), True
        except RefusedError as error:
            says, holds = str(error), False
        except MALFORMED as error:
            says, holds = f"It cannot be read: {type(error).__name__}, {error}.", False
        self.checks.append((name, holds, says))
        return holds


# ------------------------------------------------------------------------------------------------------------- log.md


@dataclass(frozen=True)
class Key:
    """A public key of a signed note: a log's (type 1) or a witness's (type 4)."""

    name: str
    key_id: bytes
    kind: int
    public: bytes

    @classmethod
    def of(cls, line: str) -> "Key":
        """Read `NAME+KEYID+BASE64`."""
        name, key_id, rest = line.strip().split("+", 2)
        data = base64_bytes(rest)
        demand(len(data) == 33 and data[0] in (1, 4) and name and not re.search(r"\s", name), "This is no public key.")
        own = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        demand(key_id == own.hex(), "The key's id is not that of its name and bytes.")
        return cls(name, own, data[0], data[1:])

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check an Ed25519 signature."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            raise RefusedError(f"A signature by {self.name} does not verify.") from None

    def verify_note(self, body: str, signature: bytes) -> None:
        """Check its line of a note; of a witness the time comes first."""
        if self.kind == 4:
            seconds = int.from_bytes(signature[:8], "big")
            self.verify(signature[8:], f"cosignature/v1\ntime {seconds}\n{body}".encode())
        else:
            self.verify(signature, body.encode())


def note_signers(note: str, keys: list[Key]) -> tuple[str, set[Key]]:
    """The text of a signed note, and who of the known keys signed it."""
    body, gap, lines = note.rpartition("\n\n")
    signed = lines.split("\n")
    controls = any(ord(one) < 32 and one != "\n" for one in note)
    demand(gap and signed[-1] == "" and 2 <= len(signed) <= 101 and not controls, "This is no signed note.")
    body += "\n"
    found = set()
    for line in signed[:-1]:
        parts = line.split(" ")
        demand(len(parts) == 3 and parts[0] == "\N{EM DASH}" and parts[1], "A signature line has another form.")
        data = base64_bytes(parts[2])
        demand(len(data) > 4, "A signature is too short.")
        for key in keys:
            if (key.name, key.key_id) == (parts[1], data[:4]):
                key.verify_note(body, data[4:])
                found.add(key)
    return body, found


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose signature verified."""

    size: int
    root: bytes

    @classmethod
    def of(cls, note: str, key: Key) -> "Checkpoint":
        """Verify a checkpoint by the log's key."""
        body, signers = note_signers(text(note), [key])
        demand(key in signers, f"The checkpoint is not signed by {key.name}.")
        lines = body.split("\n")
        demand(len(lines) == 4 and lines[0] == key.name, "The checkpoint is of another log, or has another form.")
        demand(re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1]), "The checkpoint's number is spelt in another way.")
        root = base64_bytes(lines[2])
        demand(len(root) == 32, "The checkpoint's root is no digest.")
        return cls(int(lines[1]), root)


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf (RFC 9162, 2.1)."""
    return hashlib.sha256(b"\0" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """A Merkle tree, with the root of every beginning of it."""

    def __init__(self, hashes: list[bytes]) -> None:
        self.levels = [hashes]
        while len(below := self.levels[-1]) > 1:
            self.levels.append([node(below[one], below[one + 1]) for one in range(0, len(below) - 1, 2)])

    def root(self, size: int) -> bytes:
        """The root over the first leaves."""
        root = None
        for level in range(len(self.levels)):  # the full subtrees of the beginning, from the smallest, at the right
            if size >> level & 1:
                full = self.levels[level][(size >> level) - 1]
                root = full if root is None else node(full, root)
        return hashlib.sha256(b"").digest() if root is None else root


def hashes(value: Json) -> list[bytes]:
    """A list of hashes in hexadecimal."""
    demand(isinstance(value, list) and all(is_hex(one) for one in value), "A hash has another form.")
    return [bytes.fromhex(one) for one in value]


def check_inclusion(leaf: bytes, index: Json, size: int, path: list[bytes], root: bytes) -> None:
    """Check an inclusion proof (RFC 9162, 2.1.3.2)."""
    demand(is_count(index) and index < size, "The tree has no such leaf.")
    at, last, found = index, size - 1, leaf
    for beside in path:
        demand(last, "An inclusion proof is too long.")
        if at & 1 or at == last:
            found = node(beside, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, beside)
        at, last = at >> 1, last >> 1
    demand(last == 0 and found == root, "An inclusion proof does not lead to the root.")


def check_consistency(old: Checkpoint, new: Checkpoint, path: list[bytes]) -> None:
    """Check a consistency proof (RFC 9162, 2.1.4.2)."""
    demand(old.size <= new.size, "The newer checkpoint has fewer entries: the end was cut off.")
    if old.size in (0, new.size):
        empty = old.size == 0 and old.root == hashlib.sha256(b"").digest()
        demand(not path and (empty or old == new), "The checkpoints are not of one log.")
        return
    if old.size & (old.size - 1) == 0:
        path = [old.root, *path]
    demand(path, "A consistency proof is too short.")
    at, last = old.size - 1, new.size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for beside in path[1:]:
        demand(last, "A consistency proof is too long.")
        if at & 1 or at == last:
            first, second = node(beside, first), node(beside, second)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, beside)
        at, last = at >> 1, last >> 1
    demand(last == 0 and (first, second) == (old.root, new.root), "The old log is not a beginning of the new one.")


def read_entry(line: bytes | str) -> Object:
    """An entry in its canonical form."""
    demand(len(line if isinstance(line, bytes) else line.encode()) <= 65_535, "An entry is too long.")
    entry = parse_canonical(line)
    demand(isinstance(entry, dict), "An entry is no object.")
    demand({"at", "body", "kind", "seq"} <= set(entry) <= {"at", "body", "kind", "salt", "seq"}, "An entry has other keys.")
    demand(entry["kind"] in KINDS, f"An entry is of the kind {entry['kind']!r}, which this program does not know.")
    demand(isinstance(entry["body"], dict) and is_count(entry["seq"]), "An entry has another form.")
    demand("salt" not in entry or is_hex(entry["salt"], 16), "A salt has another form.")
    instant(entry["at"])
    return cast("Object", entry)


def check_salts(entries: list[Object]) -> None:
    """Salts and the entry of kind `form` are where they have to be."""
    first = next((entry["seq"] for entry in entries if "salt" in entry), len(entries))
    demand(all("salt" in entry for entry in entries[first:]), "An entry without a salt follows one with a salt.")
    forms = [entry for entry in entries if entry["kind"] == "form"]
    if first in (0, len(entries)):
        demand(not forms, "An entry of kind form is where none belongs.")
    else:
        demand(len(forms) == 1 and forms[0]["seq"] == first, "The first entry with a salt is not the one of kind form.")
        demand(same(forms[0]["body"], {"form": 2, "unsalted": first}), "The entry of kind form says something else.")


# ---------------------------------------------------------------------------------------------------------- bundle.md


def read_archive(data: bytes) -> dict[str, bytes]:
    """The members of a zip that is written in the one way."""
    members, at = {}, 0
    names: list[str] = []
    while data[at : at + 4] == b"PK\3\4":
        flags, size, name_size = (*struct.unpack_from("<H", data, at + 6), *struct.unpack_from("<IH", data, at + 22))
        raw = data[at + 30 : at + 30 + name_size]
        name = raw.decode() if flags else raw.decode("ascii")
        at += 30 + name_size
        names.append(name)
        members[name] = data[at : at + size]
        at += size
    demand(names == sorted(set(names)), "The zip's files are not in order, or one is there twice.")
    demand(write_archive(members) == data, "The zip is not written in the one way that bundles are.")
    return members


def write_archive(members: dict[str, bytes]) -> bytes:
    """The one zip of some members."""
    files, directory = io.BytesIO(), io.BytesIO()
    for name in sorted(members):
        raw, data = name.encode(), members[name]
        about = struct.pack("<HHHHHIIIHH", 20, 0 if name.isascii() else 0x800, 0, 0, 0x21, zlib.crc32(data), len(data), len(data), len(raw), 0)
        directory.write(b"PK\1\2" + struct.pack("<H", 0x314) + about + struct.pack("<HHHII", 0, 0, 0, 0x1800000, files.tell()) + raw)
        files.write(b"PK\3\4" + about + raw + data)
    size, start = directory.tell(), files.tell()
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), size, start, 0)
    return files.getvalue() + directory.getvalue() + b"PK\5\6" + end


@dataclass
class Snapshot:
    """A snapshot of a working model, as far as it was found."""

    name: str
    seq: int
    holds: bool = False
    manifest: Object = field(default_factory=dict)
    rows: list[Object] = field(default_factory=list)
    groups: dict[tuple[str, tuple[str, ...], str, str | None], tuple[int, int]] = field(default_factory=dict)


@dataclass
class Bundle:
    """A bundle on its way through the checks, in the order of bundle.md."""

    key: Key
    data: bytes
    report: Report = field(default_factory=Report)
    members: dict[str, bytes] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    entries: list[Object] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    tree: Tree = field(default_factory=lambda: Tree([]))
    first: dict[tuple[str, str], int] = field(default_factory=dict)  # (kind, name) to the number of the first entry
    releases: dict[str, list[int]] = field(default_factory=dict)
    forgotten: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    histories: dict[int, History] = field(default_factory=dict)

    def archive(self) -> str:
        """The check `archive`."""
        self.members = read_archive(self.data)
        return f"{len(self.members)} files, written in the one way."

    def ledger(self) -> str:
        """The check `ledger`."""
        signed = Checkpoint.of(self.members["checkpoint"].decode(), self.key)
        data = self.members["entries.jsonl"]
        demand(not data or data.endswith(b"\n"), "The last entry does not end with a newline.")
        self.lines = data.split(b"\n")[:-1]
        self.tree = Tree([leaf_hash(line) for line in self.lines])
        demand(len(self.lines) == signed.size, f"There are {len(self.lines)} entries, and the checkpoint is of {signed.size}.")
        demand(self.tree.root(signed.size) == signed.root, "The entries are not those that the checkpoint was signed over.")
        self.entries = [read_entry(line) for line in self.lines]
        self.at = [instant(entry["at"]) for entry in self.entries]
        demand(all(entry["seq"] == seq for seq, entry in enumerate(self.entries)), "An entry has another number than its place.")
        demand(self.at == sorted(self.at), "An entry is dated before the one that it follows.")
        check_salts(self.entries)
        self.report.last_entry = self.entries[-1]["at"] if self.entries else None
        return f"{signed.size} entries; the last one is of {self.report.last_entry}. Later than that, nothing is known."

    def beginning(self, note: str) -> Checkpoint:
        """A checkpoint of a beginning of this log."""
        signed = Checkpoint.of(note, self.key)
        demand(signed.size <= len(self.lines), f"A checkpoint is of {signed.size} entries, this log has {len(self.lines)}: its end was cut off.")
        demand(self.tree.root(signed.size) == signed.root, f"The log's first {signed.size} entries are not those of a checkpoint.")
        return signed

    def receipt(self, document: Json) -> str:
        """The check `receipt N`."""
        shown = 0
        for one in document if isinstance(document, list) else [document]:
            for part in [*one.get("proofs", []), *one.get("receipts", [])] if "checkpoint" not in one else [one]:
                self.beginning(part["checkpoint"])
                for line in shown_entries(part):
                    seq = parse(line)["seq"]
                    demand(is_count(seq) and seq < len(self.lines), f"Entry {seq}, which was shown, is not in this log.")
                    demand(self.lines[seq] == line.encode(), f"Entry {seq} is another one than was shown.")
                    shown += 1
        demand(shown, "It shows no entry.")
        return f"The {shown} entries that it shows are in this log."

    def not_before(self, at: int) -> str:
        """The check `not before`."""
        demand(self.at and self.at[-1] >= at, f"The last entry is of {self.report.last_entry}, earlier than {instant_text(at)}.")
        return f"The last entry is of {self.report.last_entry}."

    def before(self, size: int) -> History:
        """The history of the first entries."""
        if size not in self.histories:
            history = History()
            for entry, at in zip(self.entries[:size], self.at, strict=False):
                history.read(entry["kind"], entry["body"], at)
            self.histories[size] = history
        return self.histories[size]

    def terms(self) -> str:
        """The check `terms`; whether every entry can be read is found here."""
        history, count = History(), 0
        for entry, at in zip(self.entries, self.at, strict=True):
            if entry["kind"] == "terms":
                version, count = entry["body"]["terms"], count + 1
                fault = version_fault(version) or publication_fault(history, entry["body"], at)
                demand(fault is None, f"The version {version.get('id')!r}, entry {entry['seq']}, {fault}.")
            history.read(entry["kind"], entry["body"], at)
        return f"{count} publications."

    def who_looked(self) -> str:
        """The check `who looked`."""
        days: list[str] = []
        for entry in self.entries:
            if entry["kind"] == "access":
                check_access(entry)
                days.append(entry["body"]["day"])
        demand(days == sorted(set(days)), "Days of who looked are not in order, or one is there twice.")
        return f"{len(days)} days."

    def models(self) -> str:
        """The check `models`."""
        for entry in self.entries:
            fault = self._model_fault(entry)
            demand(fault is None, fault or "")
        return f"{sum(kind == 'model' for kind, _ in self.first)} models, {len(self.forgotten)} of them forgotten."

    def _model_fault(self, entry: Object) -> str | None:
        kind, body, seq = entry["kind"], entry["body"], entry["seq"]
        if kind in ("snapshot", "model"):
            name = text(body[kind])
            first = self.first.setdefault((kind, name), seq)
            if not same(self.entries[first]["body"], body):
                return f"The {kind} {name} is named twice, in the entries {first} and {seq}, with different bodies."
            if kind == "model":
                demand(is_hex(body["digest"]) and text(body["family"]), f"The model {name} has another form.")
                if ("snapshot", text(body["snapshot"])) not in self.first:
                    return f"The model {name} learned from a snapshot that no earlier entry names."
                return f"The model {name} is named again after it was forgotten." if name in self.forgotten else None
        if kind in ("release", "forgetting"):
            name = text(body["model"])
            if ("model", name) not in self.first:
                return f"Entry {seq}, a {kind}, is of the model {name}, which no earlier entry names."
            if name in self.forgotten:
                return f"Entry {seq}, a {kind}, is of the model {name}, which was forgotten in entry {self.forgotten[name]}."
            if kind == "release":
                self.releases.setdefault(name, []).append(seq)
                return None
            self.forgotten[name] = seq
            texts(body["parties"])
            after = body["successor"]
            if after is not None and (("model", text(after)) not in self.first or after in self.forgotten):
                return f"The successor of {name} is {after}, which is no other model that works."
        return None

    def working(self) -> Iterator[tuple[str, int, Snapshot]]:
        """Each model that was not forgotten: its name, the number of its first entry, its snapshot."""
        for (kind, name), seq in self.first.items():
            source = self.entries[seq]["body"].get("snapshot") if kind == "model" else None
            if source is not None and name not in self.forgotten and ("snapshot", source) in self.first:
                found = self.snapshots.setdefault(source, Snapshot(source, self.first["snapshot", source]))
                yield name, seq, found

    def snapshot(self, snapshot: Snapshot) -> str:
        """The check `snapshot S`."""
        folder, body = f"snapshots/{snapshot.name}", self.entries[snapshot.seq]["body"]
        for name in ("manifest.json", "keys.parquet", "people.json"):
            demand(f"{folder}/{name}" in self.members, f"{folder}/{name} is missing.")
        data = self.members[f"{folder}/manifest.json"]
        manifest = snapshot.manifest = parse_canonical(data)
        check_manifest(manifest)
        wanted = {"snapshot": snapshot.name, "purpose": manifest["purpose"], "at": manifest["at"], "manifest": digest_of(data)}
        demand(same(body, wanted), "The manifest is not the one of the snapshot's entry.")
        named = f"{manifest['purpose'].replace('/', '-')}-{digest_of(data)[:12]}"
        demand(snapshot.name == named, f"The snapshot's name would be {named}.")
        at, until = instant(manifest["at"]), instant(manifest["collected_until"])
        demand(until <= at <= self.at[snapshot.seq], "The snapshot's instants are not in order.")
        signed = self.beginning(manifest["checkpoint"])
        demand(signed.size <= snapshot.seq, "The manifest's checkpoint is newer than the snapshot's entry.")
        demand(not signed.size or self.at[signed.size - 1] <= at, "The manifest's checkpoint is newer than its instant.")
        within = manifest["within"]
        demand(within is None or self.first.get(("snapshot", within), snapshot.seq) < snapshot.seq, "It is within no earlier snapshot.")
        for name, digest in manifest["files"].items():
            if name != "rows.parquet":
                demand(digest_of(self.members[f"{folder}/{name}"]) == digest, f"{name} is not the file of the manifest.")
        snapshot.rows = read_keys(self.members[f"{folder}/keys.parquet"])
        check_rows(manifest, snapshot.rows, until)
        check_people(manifest, snapshot.rows, self.members[f"{folder}/people.json"])
        for row in snapshot.rows:
            group = (row["account"], tuple(f"person:{one}" for one in row["people"]), row["category"], row["conversation"])
            early, late = snapshot.groups.get(group, (row["collected_us"], row["collected_us"]))
            snapshot.groups[group] = (min(early, row["collected_us"]), max(late, row["collected_us"]))
        snapshot.holds = True
        self.report.claimed.append(
            f"snapshot {snapshot.name}: how many records were read and dropped for which reason, that none was left out"
            " that had a permit, what the records say, and the encoder"
        )
        return f"{len(snapshot.rows)} rows of {manifest['people']['size']} people, frozen as of {manifest['at']}."

    def judged(self, seq: int, snapshot: Snapshot) -> int:
        """The judged instant of an entry."""
        said = [at for entry, at in zip(self.entries[:seq], self.at, strict=False) if entry["kind"] in JUDGED]
        return max([*said[-1:], self.at[seq] - 60_000_000, instant(snapshot.manifest["at"])])

    def permits(self, snapshot: Snapshot, size: int, at: int) -> str:
        """A check of `permits of ...`: every row may be used at `at`, by the first entries."""
        history, purpose = self.before(size), snapshot.manifest["purpose"]
        for record, latest in records(snapshot):
            why = may(history, record, purpose, at) or ("later" if latest > at else None)
            who = ", ".join(record["people"])
            demand(why is None, f"A row of {record['account']}, {record['category']}, {who} is refused at {instant_text(at)}: {why}.")
        return f"Each of {len(snapshot.rows)} rows may be used for {purpose} at {instant_text(at)}."

    def forgetting(self, model: str, seq: int, snapshot: Snapshot) -> str:
        """The check `forgetting of M`."""
        days = self.entries[seq]["body"].get("due_days", 30)
        demand(is_count(days), f"Within how many days {model} is to be forgotten is no whole number.")
        last, history, purpose = self.at[-1], self.before(len(self.entries)), snapshot.manifest["purpose"]
        frozen = instant(snapshot.manifest["at"])
        stale = [record for record, _ in records(snapshot) if may(history, record, purpose, last) is not None]
        if not stale:
            return "Nothing is owed."
        since = min(ceased(history, record, purpose, frozen, last) for record in stale)
        due = since + days * DAY
        demand(due >= last, f"Forgetting {model} is overdue: it was owed since {instant_text(since)}, due by {instant_text(due)}.")
        return f"Owed since {instant_text(since)}, due by {instant_text(due)}."

    def replay(self) -> None:
        """The checks of permits, in the order of the entries that rest on rows."""
        asked: list[tuple[int, int, str, Snapshot, Callable[[], str]]] = []

        def ask(order: tuple[int, int], name: str, snapshot: Snapshot, size: int, at: int) -> None:
            asked.append((*order, name, snapshot, lambda: self.permits(snapshot, size, at)))

        asked_of = set()
        for model, seq, snapshot in self.working():
            if not snapshot.holds:
                continue
            name, own = snapshot.name, snapshot.seq
            if name not in asked_of:
                asked_of.add(name)
                ask((own, 0), f"permits of {name}", snapshot, own, instant(snapshot.manifest["at"]))
                ask((own, 1), f"permits of {name}, entered", snapshot, own, self.judged(own, snapshot))
            ask((seq, 2), f"permits of {model}, trained", snapshot, seq, self.judged(seq, snapshot))
            for release in self.releases.get(model, []):
                ask((release, 3), f"permits of {model}, released", snapshot, release, self.judged(release, snapshot))
            owed = (len(self.entries), 4, f"forgetting of {model}", snapshot)
            asked.append((*owed, lambda model=model, seq=seq, snapshot=snapshot: self.forgetting(model, seq, snapshot)))
        failed = set()
        for _, order, name, snapshot, made in sorted(asked, key=lambda one: one[:2]):
            if snapshot.name not in failed:
                holds = self.report.check(name, made)
                if order < 2 and not holds:
                    failed.add(snapshot.name)

    def collection(self, snapshot: Snapshot) -> str:
        """The check `collection of S`."""
        speaks = next((one["seq"] for one in self.entries if "salt" in one or one["kind"] == "collect"), None)
        if "collected.parquet" not in snapshot.manifest["files"]:
            demand(speaks is None or speaks >= snapshot.seq, "It says of no row how it was collected, though the log does.")
            return "What was collected is not known of any row: the log did not speak of it yet."
        batches = read_table(self.members[f"snapshots/{snapshot.name}/collected.parquet"], COLLECTED)
        numbers = [-1 if batch["entry"] is None else batch["entry"] for batch in batches]
        demand(numbers == sorted(set(numbers)) and min(numbers, default=0) >= -1, "The batches are not in order.")
        named = sorted(row for batch in batches for row in batch["rows"])
        demand(named == list(range(len(snapshot.rows))), "Not every row is in exactly one batch.")
        before = [row for batch in batches if batch["entry"] is None for row in batch["rows"]]
        counts = {"batches": sum(number >= 0 for number in numbers), "before": len(before)}
        demand(same(snapshot.manifest["collected"], counts), "The manifest counts other batches or rows.")
        for batch in batches:
            demand(batch["rows"] and batch["rows"] == sorted(batch["rows"]), "A batch has no rows, or not in order.")
            if batch["entry"] is None:
                others = (batch["people_key"], batch["salts"], batch["leaves"])
                demand(others == (None, None, None) and not batch["indexes"], "Rows without an entry have a proof.")
            else:
                self._batch(batch, snapshot)
        if before:
            demand(speaks != 0, "A row is of no entry, though the log spoke of what is collected from its beginning.")
            until = None if speaks is None else self.at[speaks]
            late = [row for row in before if until is not None and snapshot.rows[row]["collected_us"] > until]
            demand(not late, "A row is of no entry, though it was collected when the log spoke of it.")
            return f"All rows are as they were collected, but {len(before)} of which it is not known."
        return f"{len(snapshot.rows)} rows are as they were collected, in {len(batches)} batches."

    def _batch(self, batch: Object, snapshot: Snapshot) -> None:
        seq, hashed = batch["entry"], [batch["leaves"][one : one + 32] for one in range(0, len(batch["leaves"]), 32)]
        demand(seq < snapshot.seq and self.entries[seq]["kind"] == "collect", "A batch is of no earlier entry of its kind.")
        body = {"records": len(hashed), "root": Tree(hashed).root(len(hashed)).hex()}
        demand(len(batch["leaves"]) % 32 == 0 and same(self.entries[seq]["body"], body), f"The batch of entry {seq} has other leaves.")
        indexes, salts = batch["indexes"], batch["salts"]
        fits = len(indexes) == len(batch["rows"]) == len(set(indexes)) and len(salts) == 16 * len(indexes)
        demand(fits and len(batch["people_key"]) == 32, f"The batch of entry {seq} has another form.")
        for place, (row, index) in enumerate(zip(batch["rows"], indexes, strict=True)):
            leaf = collected_leaf(snapshot.rows[row], salts[16 * place : 16 * place + 16], batch["people_key"])
            fits = 0 <= index < len(hashed) and leaf_hash(canonical(leaf)) == hashed[index]
            demand(fits, f"The row {snapshot.rows[row]['record_id']} is not as it was collected, in entry {seq}.")

    def release(self, model: str, seq: int, snapshot: Snapshot) -> str:
        """The check `release M`, of its last release."""
        files = {name: self.members[f"releases/{model}/{name}"] for name in ("card.json", "card.md", "attestation.json")}
        own = self.releases[model][-1]
        card, entry = parse_canonical(files["card.json"]), self.entries[own]["body"]
        form = card.get("format")
        demand(form == "volition/card/4", f"The card has the form {form!r}, which this program does not know: not checked.")
        check_card(card)
        wanted = {"model": model, "card": digest_of(files["card.json"]), "attestation": digest_of(files["attestation.json"])}
        override = card["override"]
        wanted |= {} if override is None else {"override": {"by": override["by"], "why": override["why"]}}
        demand(same(entry, wanted), "The card, its attestation or who answers for it is not that of the release's entry.")
        self._card_of_log(card, model, seq, snapshot)
        self._card_at(card, own, snapshot)
        for finding in card["findings"]:
            check_finding(finding, snapshot.manifest["accounts"])
        missed = missed_bounds(card)
        demand((override is None) == (not missed), "Bounds are missed and nobody answers for it, or somebody answers for none.")
        demand(override is None or same(override["missed"], missed), "The bounds that are missed are others than the card says.")
        demand(files["card.md"].decode() == card_markdown(card), "card.md does not follow from the card.")
        check_attestation(files["attestation.json"], card, wanted["card"], self.key)
        self.report.claimed.append(
            f"card of {model}: how many records were read and why others were left out, what the audits measured, how and"
            " against what bounds, which audits were required, that its key signed the model's files"
            + (", from which base model it was trained and with how much privacy" if card["base"] is not None else "")
        )
        return f"The card of {card['released']} says what log, snapshot and findings say, and is signed."

    def _card_of_log(self, card: Object, model: str, seq: int, snapshot: Snapshot) -> None:
        entry, manifest, learned = self.entries[seq]["body"], snapshot.manifest, card["learned_from"]
        digest = digest_of(self.members[f"snapshots/{snapshot.name}/manifest.json"])
        about = {
            "accounts": manifest["accounts"],
            "digest": entry["digest"],
            "family": entry["family"],
            "manifest": digest,
            "people": manifest["people"]["size"],
            "purpose": manifest["purpose"],
            "rows": sum(manifest["accounts"].values()),
            "snapshot": snapshot.name,
        }
        named = f"{entry['family']}-{digest_of(canonical(about))[:12]}"
        demand(card["model"] == model == named, f"The model's name would be {named}.")
        for key, value in (("family", entry["family"]), ("digest", entry["digest"]), ("purpose", manifest["purpose"])):
            demand(card[key] == value, f"The card's {key} is not {value}.")
        demand(digest_of(canonical(card["files"])) == card["digest"], "The card's files are not those of the model.")
        wanted = {"snapshot": snapshot.name, "manifest": digest, **{key: manifest[key] for key in ("at", "rows", "accounts")}}
        for key, value in wanted.items():
            demand(same(learned[key], value), f"The card's {key} of what it learned from are not those of the snapshot.")

    def _card_at(self, card: Object, own: int, snapshot: Snapshot) -> None:
        signed = self.beginning(card["checkpoint"])
        demand(signed.size <= own, "The card's checkpoint is newer than the release's entry.")
        fresh = signed.size == own or self.at[signed.size] >= self.at[own] - WRITING
        demand(fresh, "The card's checkpoint is old: it leaves out what was said before the release.")
        released = instant(card["released"])
        after = not signed.size or released >= self.at[signed.size - 1]
        demand(after and self.at[own] - WRITING <= released <= self.at[own], "The card's instant is not that of its release.")
        same_as: dict[str, str] = {}
        for entry in self.entries[: signed.size]:
            if entry["kind"] == "identity" and entry["body"]["act"] == "merge":
                kept, merged = texts(entry["body"]["people"])[:2]
                same_as |= {one: kept for one, other in same_as.items() if other == merged} | {merged: kept}
        people = {f"person:{one}" for row in snapshot.rows for one in row["people"]}
        count = len({same_as.get(one, one) for one in people})
        demand(same(card["learned_from"]["people"], count), f"The rows concern {count} people, and the card says otherwise.")
        history = self.before(signed.size)
        forces = [binding(history, account) for account in snapshot.manifest["accounts"]]
        terms = sorted({bound[-1] for force in forces if (bound := [one["id"] for at, one in force if at <= released])})
        demand(same(card["terms"], terms), f"The terms that bound the accounts are {terms}, not those of the card.")

    def nothing_else(self) -> str:
        """The check `nothing else`."""
        wanted = {"checkpoint", "entries.jsonl"}
        for model, _, snapshot in self.working():
            files = ["manifest.json", "keys.parquet", "people.json"]
            files += ["collected.parquet"] if "collected.parquet" in snapshot.manifest.get("files", {}) else []
            wanted |= {f"snapshots/{snapshot.name}/{name}" for name in files}
            if model in self.releases:
                wanted |= {f"releases/{model}/{name}" for name in ("card.json", "card.md", "attestation.json")}
        other, missing = sorted(set(self.members) - wanted), sorted(wanted - set(self.members))
        demand(not other, f"Nothing asks for {', '.join(other)}.")
        demand(not missing, f"Missing: {', '.join(missing)}.")
        return f"The {len(wanted)} files are those that the log asks for."

    def warn(self) -> None:
        """Tell which forgettings came late: it fails nothing."""
        for model, seq in self.forgotten.items():
            entry = self.entries[self.first["model", model]]
            days = entry["body"].get("due_days", 30)
            for party in self.entries[seq]["body"]["parties"]:
                said = [self.at[one["seq"]] for one in self.entries[: seq + 1] if is_no(one, party)]
                if said and said[-1] > self.at[entry["seq"]] and self.at[seq] - said[-1] > days * DAY:
                    self.report.warnings.append(f"Forgotten late: {model}, of {party}, who said no at {instant_text(said[-1])}")


def is_no(entry: Object, party: str) -> bool:
    """Whether an entry is a no or the erasure of a party."""
    body = entry["body"]
    said = entry["kind"] == "erasure" or (entry["kind"] == "decision" and body["answer"] != "yes")
    return said and bool(body["party"] == party)


def shown_entries(part: Object) -> Iterator[str]:
    """The entries that a receipt or proof shows, as text."""
    for holder in [part, *part.get("entries", []), *part.get("batches", [])]:
        if isinstance(holder.get("entry"), str):
            yield holder["entry"]


def records(snapshot: Snapshot) -> Iterator[tuple[Object, int]]:
    """One record for rows that differ in nothing but the instant: the earliest, and the instant of the latest."""
    for (account, people, category, conversation), (early, late) in snapshot.groups.items():
        record = {"account": account, "people": list(people), "category": category, "conversation": conversation}
        yield {**record, "collected": early}, late


MANIFEST = set("format purpose at collected_until within checkpoint encoder rows accounts people schema files".split())
KEYS_SCHEMA = {
    "account": "string",
    "category": "string",
    "collected_us": "int64",
    "conversation": "string",
    "people": "list<item: string>",
    "record_id": "string",
}
ROWS_SCHEMA = {"embedding": "binary", "payload": "binary", "record_id": "string"}


def check_manifest(manifest: Object) -> None:
    """The manifest has its form."""
    files = manifest["files"]
    collected = {"collected"} if "collected.parquet" in files else set()
    known = {"keys.parquet", "people.json", "rows.parquet"}
    demand(set(manifest) == MANIFEST | collected, "The manifest has other keys.")
    demand(manifest["format"] == "volition/snapshot/1" and manifest["purpose"] in PURPOSES, "The manifest has another form.")
    demand(known <= set(files) <= known | {"collected.parquet"}, "The manifest has other files.")
    demand(all(is_hex(one) for one in files.values()), "A digest has another form.")
    demand(manifest["encoder"] is None or is_hex(manifest["encoder"]), "The encoder's digest has another form.")
    demand(manifest["within"] is None or text(manifest["within"]), "The manifest has another form.")
    people = manifest["people"]
    demand(set(people) == {"size", "root"} and is_count(people["size"]) and is_hex(people["root"]), "Its people have another form.")
    for counts in manifest["rows"].values():
        demand({"read", "kept", "dropped"} <= set(counts) <= {"read", "kept", "dropped", "left_out"}, "A count has other keys.")
        numbers = [counts["read"], counts["kept"], counts.get("left_out", 0), *counts["dropped"].values()]
        demand(all(map(is_count, numbers)) and numbers[0] == sum(numbers[1:]), "Rows read, kept and dropped do not add up.")
    demand(all(map(is_count, manifest["accounts"].values())), "Rows by account have another form.")


def check_rows(manifest: Object, rows: list[Object], until: int) -> None:
    """The rows are those that the manifest counts."""
    kept = {name: counts["kept"] for name, counts in manifest["rows"].items() if counts["kept"]}
    demand(same(kept, dict(Counter(row["category"] for row in rows))), "The rows kept are others than the manifest counts.")
    demand(same(manifest["accounts"], dict(Counter(row["account"] for row in rows))), "The accounts' rows are others than the manifest counts.")
    demand(all(row["collected_us"] <= until for row in rows), "A row was collected later than the manifest says.")
    older = {key: kind for key, kind in KEYS_SCHEMA.items() if key != "conversation"}
    lacking = manifest["schema"].get("keys.parquet") == older
    demand(not lacking or all(row["conversation"] is None for row in rows), "The schema is another one.")
    schema = {"keys.parquet": older if lacking else KEYS_SCHEMA, "rows.parquet": ROWS_SCHEMA}
    demand(same(manifest["schema"], schema), "The schema is another one.")


def person_leaf(purpose: str, at: str, pseudonym: str, rows: int) -> list[str]:
    """The leaf of a person: tag and commitment."""
    tag = digest_of(canonical(["volition/person", purpose, at, pseudonym]))
    return [tag, digest_of(canonical(["volition/rows", tag, pseudonym, rows]))]


def check_people(manifest: Object, rows: list[Object], data: bytes) -> None:
    """`people.json` follows from the rows."""
    counts = Counter(person for row in rows for person in row["people"])
    leaves = sorted(person_leaf(manifest["purpose"], manifest["at"], one, count) for one, count in counts.items())
    demand(canonical(leaves) == data, "people.json does not follow from the rows.")
    root = Tree([leaf_hash(canonical(leaf)) for leaf in leaves]).root(len(leaves)).hex()
    demand(same(manifest["people"], {"size": len(leaves), "root": root}), "The tree of people is another one.")


def collected_leaf(row: Object, salt: bytes, people_key: bytes) -> list[Json]:
    """The leaf of a record in its batch (collected.md)."""
    aliases = []
    for one in row["people"]:
        token = hmac.digest(people_key, one.encode(), "sha256")[:16]
        aliases.append(alias(token.hex(), one))
    about = (row["account"], aliases, row["category"], row["collected_us"], row["conversation"])
    return [salt.hex(), row["record_id"], *about]


def alias(token: str, pseudonym: str) -> str:
    """What a leaf calls a person."""
    return digest_of(canonical(["volition/collected-person", token, pseudonym]))


def check_access(entry: Object) -> None:
    """An entry of kind `access` has its form, and is dated after its day."""
    body = entry["body"]
    demand(set(body) == {"day", "lines", "root"}, "An entry of who looked has other keys.")
    demand(is_hex(body["root"]) and is_count(body["lines"]) and body["lines"], "An entry of who looked has another form.")
    over = instant(f"{text(body['day'])}T00:00:00.000000Z") + DAY
    demand(instant(entry["at"]) >= over, f"Who looked on {body['day']} was written down before the day was over.")


# --------------------------------------------------------------------------------------------------------- release.md

CARD = set(
    "format model family purpose digest files learned_from base privacy terms checkpoint findings required override"
    " released signing_key".split()
)
AUDITS = ("benefit", "fairness", "attack", "canary", "poisoning")
FINDING = set("audit metric value low high bound verdict units how detail".split())


def check_card(card: Object) -> None:
    """The card has its form."""
    demand(set(card) == CARD, "The card has other keys.")
    demand(set(card["learned_from"]) == set("snapshot manifest at rows people accounts".split()), "The card has other keys.")
    demand(card["files"] and all(is_hex(one) for one in card["files"].values()), "The card's files have another form.")
    required, findings, override, base = card["required"], card["findings"], card["override"], card["base"]
    demand(set(texts(required)) <= set(AUDITS) and len(set(required)) == len(required), "It requires audits that there are not.")
    demand(isinstance(findings, list) and findings, "The card has no findings.")
    named = [(one["audit"], one["metric"]) for one in findings]
    demand(len(set(named)) == len(named), "Two findings have one name.")
    bounds: dict[str, bytes] = {}
    for one in findings:
        bound = bounds.setdefault(one["audit"], canonical(one["bound"]))
        demand(bound == canonical(one["bound"]), f"The findings of {one['audit']} have different bounds.")
    if override is not None:
        demand(set(override) == {"by", "why", "missed"} and texts(override["missed"]), "Who answers has another form.")
        demand(text(override["by"]) and text(override["why"]), "Who answers has another form.")
    if base is None:
        demand(card["privacy"] is None and card["family"] != "adapter", "Privacy is claimed without a base model, or an adapter has none.")
    else:
        demand(set(base) == {"name", "digest"} and text(base["name"]) and text(base["digest"]), "The base model has another form.")
        if card["privacy"] is not None:
            check_privacy(card["privacy"])
    key = load_pem_public_key(text(card["signing_key"]).encode())
    demand(isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1), "The signing key is of another type.")
    written = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    demand(written.decode() == card["signing_key"], "The signing key is written in another way.")


FIGURES = set(
    "clipping rate multiplier steps epsilon delta accountant mechanism composition neighbours unit sampling seen_by"
    " secure_generator not_covered".split()
)


def check_privacy(claimed: Object) -> None:
    """The claim of privacy has its form, and is not below what its own figures allow."""
    demand(set(claimed) == FIGURES and texts(claimed["not_covered"]) is not None, "Privacy has another form.")
    multiplier, rate, epsilon, delta = (claimed[key] for key in ("multiplier", "rate", "epsilon", "delta"))
    figures = all(is_number(one) and one > 0 for one in (multiplier, rate, epsilon, delta))
    demand(figures and rate <= 1 and delta < 1, "Privacy has figures of another form.")
    demand(is_count(claimed["steps"]) and claimed["steps"], "Privacy has figures of another form.")
    least = least_epsilon(multiplier, rate, claimed["steps"], delta)
    demand(epsilon >= least, f"Its own figures allow no epsilon below {least:.3f}, and it claims {epsilon:.3f}.")


def close(one: float, other: float) -> bool:
    """The same number, as far as numbers are written."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def check_finding(one: Object, accounts: Object) -> None:
    """A finding's verdict and value follow from what it shows."""
    name = f"The finding {one['audit']}, {one['metric']},"
    demand(set(one) == FINDING and one["audit"] in AUDITS and isinstance(one["detail"], dict), f"{name} has another form.")
    demand(text(one["metric"]) and text(one["how"]) and is_count(one["units"]), f"{name} has another form.")
    value, low, high, bound = (one[key] for key in ("value", "low", "high", "bound"))
    demand(all(x is None or is_number(x) for x in (value, low, high, bound)), f"{name} has another form.")
    verdict = "not measured" if value is None else "no bound" if bound is None else "fail"
    if value is not None and bound is not None and (value >= bound if one["audit"] == "benefit" else value <= bound):
        verdict = "pass"
    demand(one["verdict"] == verdict, f"{name} has the verdict {one['verdict']!r}, and it follows {verdict!r}.")
    if value is None:
        demand(low is None and high is None and same([one["units"], one["detail"]], [0, {}]), f"{name} was not measured.")
        return
    demand((low is None) == (high is None), f"{name} has half an interval.")
    if low is not None:
        within = one["audit"] == "fairness" or low - 1e-9 <= value <= high + 1e-9
        demand(low <= high and within, f"{name} has a value outside its interval.")
    follows = {"benefit": benefit, "fairness": fairness, "attack": attack, "canary": canary, "poisoning": poisoning}
    demand(follows[one["audit"]](one, accounts), f"{name} has a value that does not follow from its detail.")


def benefit(one: Object, accounts: Object) -> bool:
    """Value = trained - untrained, in all and for each account."""
    detail = one["detail"]
    parts = list(detail["by_account"].values())
    units = sum(part["units"] for part in parts)
    return (
        set(detail["by_account"]) <= set(accounts)
        and all(close(part["value"], part["trained"] - part["untrained"]) for part in [*parts, {**detail, "value": one["value"]}])
        and all(is_count(part["units"]) for part in parts)
        and units == one["units"]
        and close(one["value"] * units, sum(part["value"] * part["units"] for part in parts))
    )


def fairness(one: Object, _: Object) -> bool:
    """Value = the best group less the worst."""
    detail = one["detail"]
    shown = [group for name, group in detail["groups"].items() if name != "not recorded"]
    best, worst = (pick(group["value"] for group in shown) for pick in (max, min))
    ratio = worst / best if worst >= 0 and best > 0 else None
    sizes = [group["units"] if group["people"] is None else group["people"] for group in detail["groups"].values()]
    told = detail["ratio"]
    return (
        close(one["value"], best - worst)
        and (told is None if ratio is None else is_number(told) and close(told, ratio))
        and sum(group["units"] for group in shown) == one["units"]
        and min(sizes) == detail["smallest"] >= detail["fewest"]
        and one["metric"].endswith(f" by {detail['by']}")
    )


def attack(one: Object, _: Object) -> bool:
    """Value = the curve at the rate that the metric names."""
    detail = one["detail"]
    rate, curve = detail["false_positive_rate"], detail["curve"]
    rates = [float(key) for key in curve]
    heights = [height for _, height in sorted(zip(rates, curve.values(), strict=True))]
    at = [height for key, height in curve.items() if float(key) == rate]
    named = one["metric"] == f"TPR at {100 * rate:g} % FPR"
    return named and heights == sorted(heights) and all(close(height, one["value"]) for height in at)


def canary(one: Object, _: Object) -> bool:
    """Value = the mean exposure of what one person wrote."""
    detail = one["detail"]
    first = detail["by_writers"]["1"]
    ranks = first["ranks"]
    exposure = sum(math.log2(detail["secrets"]) - math.log2(rank) for rank in ranks) / len(ranks)
    exact = all(same(one[key], first[key]) for key in ("value", "low", "high"))
    return exact and len(ranks) == one["units"] and close(one["value"], exposure)


def poisoning(one: Object, _: Object) -> bool:
    """Value = 0, or that of whoever stands out the most."""
    parties, value = one["detail"]["parties"], one["value"]
    return len(parties) <= one["detail"]["left_out"] and (value == 0 or close(value, parties[0]["z"]))


def missed_bounds(card: Object) -> list[str]:
    """The sentences on the bounds that are missed."""

    def figure(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.3f}"

    missed = []
    for one in card["findings"]:
        if one["verdict"] == "fail":
            value, bound, low, high = (figure(one[key]) for key in ("value", "bound", "low", "high"))
            interval = f"(95 % interval {low} to {high}, {one['units']} units)"
            missed.append(f"{one['audit']}, {one['metric']}: {value} misses the bound {bound} {interval}.")
    for audit in card["required"]:
        own = [one for one in card["findings"] if one["audit"] == audit]
        if all(one["value"] is None for one in own):
            why = "; ".join(dict.fromkeys(one["how"] for one in own)) or "It was not run."
            missed.append(f"{audit} is required and could not be measured. {why}")
    return missed


def check_attestation(data: bytes, card: Object, digest: str, key: Key) -> None:
    """The envelope is signed by the log's key, and the statement is the one that follows from the card."""
    envelope, kind = parse_canonical(data), "application/vnd.in-toto+json"
    demand(set(envelope) == {"payload", "payloadType", "signatures"} and len(envelope["signatures"]) == 1, "The envelope has another form.")
    (signature,) = envelope["signatures"]
    demand(set(signature) == {"keyid", "sig"} and signature["keyid"] == key.key_id.hex(), "The envelope is signed by another key.")
    demand(envelope["payloadType"] == kind, "The envelope holds another type.")
    payload = base64_bytes(envelope["payload"])
    key.verify(base64_bytes(signature["sig"]), f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload)
    predicate = {name: card[name] for name in ("model", "digest", "checkpoint", "terms", "findings")}
    predicate |= {name: card["learned_from"][name] for name in ("snapshot", "manifest")} | {"card": digest}
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": one}} for name, one in sorted(card["files"].items())],
        "predicateType": "urn:volition:release:2",
        "predicate": predicate,
    }
    demand(payload == canonical(statement), "The attestation states something else than the card.")


def verify_bundle(  # noqa: PLR0913 - what a reader kept
    data: bytes,
    key: Key,
    *,
    extends: dict[str, str] | None = None,
    receipts: dict[str, Json] | None = None,
    not_before: int | None = None,
) -> Report:
    """Make all checks of a bundle, in the order of bundle.md."""
    if not zipfile.is_zipfile(io.BytesIO(data)) and not data.startswith(b"PK"):
        raise NotEvidenceError("This is no zip.")
    bundle = Bundle(key, data)
    report = bundle.report
    if not report.check("archive", bundle.archive) or not report.check("ledger", bundle.ledger):
        return report
    for name, note in (extends or {}).items():
        report.check(f"extends {name}", lambda note=note: f"The log goes on from its {bundle.beginning(note).size} entries.")
    for name, document in (receipts or {}).items():
        report.check(f"receipt {name}", lambda document=document: bundle.receipt(document))
    if not_before is not None:
        report.check("not before", lambda: bundle.not_before(not_before))
    report.check("terms", bundle.terms)
    if any(entry["kind"] == "access" for entry in bundle.entries):
        report.check("who looked", bundle.who_looked)
    if not report.check("models", bundle.models):
        return report
    for _, _, snapshot in bundle.working():
        if f"snapshot {snapshot.name}" not in {name for name, _, _ in report.checks}:
            report.check(f"snapshot {snapshot.name}", lambda snapshot=snapshot: bundle.snapshot(snapshot))
    bundle.replay()
    for snapshot in bundle.snapshots.values():
        if snapshot.holds:
            report.check(f"collection of {snapshot.name}", lambda snapshot=snapshot: bundle.collection(snapshot))
    for model, seq, snapshot in bundle.working():
        if model in bundle.releases and snapshot.holds:
            report.check(f"release {model}", lambda args=(model, seq, snapshot): bundle.release(*args))
    report.check("nothing else", bundle.nothing_else)
    bundle.warn()
    return report


# -------------------------------------------------------------------------------------------- proofs.md and receipt.md


def demand_keys(document: Json, keys: str, what: str) -> None:
    """The keys of a document are exactly these."""
    demand(isinstance(document, dict) and set(document) == set(keys.split()), f"The {what} has other keys.")


def included(holder: Object, path: str, signed: Checkpoint) -> Object:
    """An entry that is shown as text, in the tree of a checkpoint."""
    entry = read_entry(text(holder["entry"]))
    check_inclusion(leaf_hash(holder["entry"].encode()), entry["seq"], signed.size, hashes(holder[path]), signed.root)
    return entry


def check_person(proof: Object, key: Key) -> str:
    """The check `person in MODEL`."""
    demand_keys(proof, "format model pseudonym present rows manifest leaves entries checkpoint", "proof")
    signed, pseudonym, rows = Checkpoint.of(proof["checkpoint"], key), proof["pseudonym"], proof["rows"]
    demand(is_hex(pseudonym, 16) and is_count(rows) and type(proof["present"]) is bool, "The proof has another form.")
    for holder in (*proof["entries"], *proof["leaves"]):
        demand_keys(holder, "entry path" if "entry" in holder else "index leaf path", "proof")
    snapshot, model = (included(holder, "path", signed) for holder in proof["entries"])
    demand((snapshot["kind"], model["kind"]) == ("snapshot", "model") and snapshot["seq"] < model["seq"], "The entries are others.")
    manifest = parse_canonical(text(proof["manifest"]))
    demand(snapshot["body"]["manifest"] == digest_of(proof["manifest"].encode()), "The manifest is not the one of the entry.")
    demand(model["body"]["model"] == proof["model"], "The model is another one.")
    demand(model["body"]["snapshot"] == snapshot["body"]["snapshot"], "The model learned from another snapshot.")
    size, root = manifest["people"]["size"], hashes([manifest["people"]["root"]])[0]
    demand(is_count(size) and (size or root == hashlib.sha256(b"").digest()), "The tree of people has another form.")
    leaves = []
    for holder in proof["leaves"]:
        check_inclusion(leaf_hash(text(holder["leaf"]).encode()), holder["index"], size, hashes(holder["path"]), root)
        tag, commitment = parse_canonical(holder["leaf"])
        demand(is_hex(tag) and is_hex(commitment), "A leaf has another form.")
        leaves.append((holder["index"], tag, commitment))
    demand(len({index for index, _, _ in leaves}) == len(leaves), "A leaf is there twice.")
    own = person_leaf(text(manifest["purpose"]), text(manifest["at"]), pseudonym, rows)
    if proof["present"]:
        demand(rows and [list(leaf[1:]) for leaf in leaves] == [own], "The leaf is not this person's with so many rows.")
        return f"{pseudonym} is in what {proof['model']} learned from, with {rows} rows."
    demand(rows == 0 and all(tag != own[0] for _, tag, _ in leaves), "This person is there.")
    smaller = [index for index, tag, _ in leaves if tag < own[0]]
    larger = [index for index, tag, _ in leaves if tag > own[0]]
    demand(len(smaller) <= 1 and len(larger) <= 1, "There are more leaves than neighbours.")
    left = smaller[0] if smaller else -1
    demand((larger[0] if larger else size) == left + 1, "The leaves are not neighbours: somebody could be between them.")
    return f"{pseudonym} is not in what {proof['model']} learned from."


CONTROLLER = set("name contact address jurisdiction language url license".split())


def check_receipt(receipt: Object, key: Key, claimed: list[str]) -> str:
    """The check `receipt IDENTIFIER`."""
    later = receipt["format"] == "volition/receipt/2"
    demand_keys(receipt, "format record entries checkpoint" + (" receipt controller" if later else ""), "receipt")
    signed = Checkpoint.of(receipt["checkpoint"], key)
    for holder in receipt["entries"]:
        demand_keys(holder, "entry path", "receipt")
    answer, *others = [included(holder, "path", signed) for holder in receipt["entries"]]
    party = text(answer["body"]["party"])
    demand(answer["kind"] in ("decision", "signal"), "The receipt shows no answer.")
    demand(all(one["seq"] < answer["seq"] for one in others), "The receipt shows what came after the answer.")
    terms = others.pop(0) if others and others[0]["kind"] == "terms" else None
    demand(len(others) <= 2 * later and all(one["kind"] == "region" for one in others), "The receipt shows other entries.")
    own = [one["body"]["region"] for one in others if one["body"]["party"] == party]
    of_account = [one["body"]["region"] for one in others if one["body"]["party"] != party and one["body"]["party"].startswith("account:")]
    demand(len(own) <= 1 and len(of_account) <= 1 and len(own) + len(of_account) == len(others), "A region is somebody else's.")
    line, place = receipt["entries"][0]["entry"].encode(), next(iter([*own, *of_account]), None)
    if later:
        controller = receipt["controller"]
        lines = all(isinstance(one, str) and 1 <= len(one) <= 300 and len(one.splitlines()) == 1 for one in controller.values())
        demand(isinstance(controller, dict) and set(controller) <= CONTROLLER and lines, "The controller has another form.")
        record = later_record(answer, line, terms, key.name, place, controller)
        demand(same(receipt["receipt"], receipt_form(record, answer)), "The receipt form does not follow from the record.")
        if controller:
            claimed.append("who the operator is")
    else:
        record = early_record(answer, line, terms, key.name)
    demand(same(receipt["record"], record), "The record does not follow from the entries.")
    said = answer["body"].get("answer", answer["body"].get("signal"))
    return f"{party} said {said} at {answer['at']}."


def check_inclusion_proof(document: Object, key: Key) -> str:
    """The check `entry SEQ`."""
    console = "format" in document
    demand_keys(document, "format key seq entry leaf checkpoint proof" if console else "seq leaf hashes checkpoint", "proof")
    demand(not console or Key.of(document["key"]) == key, "The proof names another key than yours.")
    signed, (leaf,) = Checkpoint.of(document["checkpoint"], key), hashes([document["leaf"]])
    path = hashes(document["proof" if console else "hashes"])
    check_inclusion(leaf, document["seq"], signed.size, path, signed.root)
    if document.get("entry") is not None:
        entry = read_entry(text(document["entry"]))
        fits = entry["seq"] == document["seq"] and leaf_hash(document["entry"].encode()) == leaf
        demand(fits, "The entry is not the one that is included.")
    return f"Entry {document['seq']} is in the log of {signed.size} entries."


def check_consistency_proof(document: Object, key: Key) -> str:
    """The check `consistency`."""
    demand_keys(document, "format key old new proof", "proof")
    demand(Key.of(document["key"]) == key, "The proof names another key than yours.")
    old, new = (Checkpoint.of(document[name], key) for name in ("old", "new"))
    check_consistency(old, new, hashes(document["proof"]))
    return f"The log of {old.size} entries is the beginning of that of {new.size}."


LINE = "day at who role for whose records categories salt"


def check_access_proof(document: Object, key: Key) -> str:
    """The check `who looked`."""
    demand_keys(document, "format line index lines path entry hashes checkpoint", "proof")
    signed = Checkpoint.of(document["checkpoint"], key)
    entry = included(document, "hashes", signed)
    demand(entry["kind"] == "access", "The entry is of another kind.")
    check_access(entry)
    body, line = entry["body"], parse_canonical(text(document["line"]))
    demand_keys(line, LINE, "line")
    demand(same(document["lines"], body["lines"]) and line["day"] == body["day"], "The line is of another day.")
    told = [text(line[name]) for name in ("who", "role", "for", "whose")]
    demand(is_count(line["records"]) and is_hex(line["salt"], 16), "The line has another form.")
    texts(line["categories"])
    if line["at"] is not None:
        instant(line["at"])
        demand(line["at"].startswith(line["day"] + "T"), "The line is of another day.")
    root = hashes([body["root"]])[0]
    check_inclusion(leaf_hash(document["line"].encode()), document["index"], body["lines"], hashes(document["path"]), root)
    return f"On {line['day']} {told[0]} ({told[1]}) looked at {line['records']} records of {told[3]}, for: {told[2]}."


def check_collected_proof(document: Object, key: Key) -> str:
    """The check `what was collected`."""
    demand_keys(document, "format pseudonyms batches checkpoint", "proof")
    signed, named, count, last = Checkpoint.of(document["checkpoint"], key), set(), 0, -1
    for batch in document["batches"]:
        demand_keys(batch, "entry path tokens leaves", "proof")
        entry = included(batch, "path", signed)
        demand(entry["kind"] == "collect" and entry["seq"] > last, "The entries are of another kind, or not in order.")
        last, body = entry["seq"], entry["body"]
        demand(set(body) == {"records", "root"} and is_count(body["records"]), "The batch has another form.")
        tokens, root = batch["tokens"], hashes([body["root"]])[0]
        demand(tokens and all(is_hex(x, 16) and is_hex(y, 16) for x, y in tokens.items()), "A token has another form.")
        aliases = {alias(token, pseudonym) for pseudonym, token in tokens.items()}
        seen: set[str] = set()
        indexes = [leaf["index"] for leaf in batch["leaves"]]
        demand(indexes == sorted(set(indexes)), "The leaves are not in order.")
        for holder in batch["leaves"]:
            demand_keys(holder, "index leaf path", "proof")
            check_inclusion(leaf_hash(text(holder["leaf"]).encode()), holder["index"], body["records"], hashes(holder["path"]), root)
            people = leaf_people(parse_canonical(holder["leaf"]))
            demand(aliases & people, "A leaf does not concern this person.")
            seen |= people
            count += 1
        demand(aliases <= seen, "A token is of nobody in these leaves.")
        named |= set(tokens)
    demand(document["pseudonyms"] == sorted(named) and named, "The pseudonyms are others than the proof shows.")
    return f"{count} records of {', '.join(sorted(named))}, as they were collected."


def leaf_people(leaf: Json) -> set[str]:
    """The aliases of a leaf that has its form."""
    salt, record, account, people, category, collected, conversation = leaf
    fits = is_hex(salt, 16) and all(is_hex(one) for one in texts(people)) and type(collected) is int
    demand(fits and (conversation is None or text(conversation) is not None), "A leaf has another form.")
    demand(all(isinstance(one, str) for one in (record, account, category)), "A leaf has another form.")
    return set(people)


def verify_tlog_proof(document: str, key: Key, entry: bytes | None = None) -> Report:
    """Check a `.tlog-proof`; the entry is in it, or given."""
    report = Report()

    def made() -> str:
        head, gap, note = document.partition("\n\n")
        first, *lines = head.split("\n")
        extra = base64_bytes(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
        index = re.fullmatch(r"index (0|[1-9][0-9]{0,15})", lines.pop(0) if lines else "")
        demand(gap and first == "c2sp.org/tlog-proof@v1" and index, "The proof has another form.")
        data = entry if extra is None else extra
        if data is None or (extra is not None and entry not in (None, extra)):
            raise RefusedError("The entry is not in the proof, and none is given; or it is another one.")
        signed, seq = Checkpoint.of(note, key), int(index[1] if index else "")
        path = [base64_bytes(line) for line in lines]
        demand(all(len(one) == 32 for one in path), "A hash has another form.")
        check_inclusion(leaf_hash(data), seq, signed.size, path, signed.root)
        demand(read_entry(data)["seq"] == seq, "The entry has another number.")
        return f"Entry {seq} is in the log of {signed.size} entries."

    report.check("entry", made)
    return report


SMALL: dict[str | None, tuple[str, Callable[[Object, Key], str]]] = {
    "volition/consistency-proof/1": ("consistency", check_consistency_proof),
    "volition/access-proof/1": ("who looked", check_access_proof),
    "volition/collected-proof/1": ("what was collected", check_collected_proof),
}


def verify_document(document: Json, key: Key, person: str | None = None) -> Report:
    """Check a receipt, a proof, or a person's proofs."""
    report = Report()
    form = document.get("format") if isinstance(document, dict) else None
    if form in SMALL:
        name, check = SMALL[form]
        report.check(name, lambda: check(document, key))
        if person is not None:
            whose = document.get("pseudonyms", [document.get("line")])
            report.check("person", lambda: about(person, [person] if person in str(whose) else whose))
        return report
    if form == "volition/inclusion-proof/1" or (form is None and isinstance(document, dict) and "hashes" in document):
        report.check(f"entry {document.get('seq')}", lambda: check_inclusion_proof(document, key))
        return report
    parts = document if isinstance(document, list) else [document]
    if form == "volition/person-proofs/1":
        report.check("document", lambda: demand_keys(document, "format proofs receipts", "document") or "It has its keys.")
        parts = [part for name in ("proofs", "receipts") for part in document.get(name, [])]
    whose = []
    for part in parts:
        own = part.get("format") if isinstance(part, dict) else None
        if own == "volition/person-proof/1":
            report.check(f"person in {part.get('model')}", lambda part=part: check_person(part, key))
            whose.append(part.get("pseudonym"))
        elif own in ("volition/receipt/1", "volition/receipt/2"):
            record = part.get("record")
            name = record.get("dct:identifier") if isinstance(record, dict) else None
            report.check(f"receipt {name}", lambda part=part: check_receipt(part, key, report.claimed))
            whose.append(receipt_person(part))
        else:
            raise NotEvidenceError(f"This program does not know documents of the form {own!r}.")
    if person is not None:
        report.check("person", lambda: about(person, whose))
    return report


def receipt_person(receipt: Object) -> str | None:
    """Whom a receipt is about."""
    try:
        party: str = parse(receipt["entries"][0]["entry"])["body"]["party"]
        return party.removeprefix("person:")
    except MALFORMED:
        return None


def about(person: str, whose: list[Any]) -> str:
    """The check `person`."""
    others = sorted({str(one) for one in whose if one != person})
    demand(not others, f"This is about somebody else: {', '.join(others)}.")
    return f"All of it is about {person}."


# ------------------------------------------------------------------------------------------------------- command line


def verify(path: Path, key: Key, options: argparse.Namespace) -> Report:
    """Check a file of any form."""
    data = path.read_bytes()
    if data.startswith(b"PK"):
        extends = {one.name: one.read_text() for one in options.extends}
        receipts = {one.name: parse(one.read_bytes()) for one in options.receipt}
        until = options.not_before
        start = None if until is None else instant(until if "T" in until else f"{until}T00:00:00.000000Z")
        return verify_bundle(data, key, extends=extends, receipts=receipts, not_before=start)
    if data.startswith(b"c2sp.org/tlog-proof@v1\n"):
        return verify_tlog_proof(data.decode(), key, options.entry.read_bytes() if options.entry else None)
    return verify_document(parse(data), key, options.person)


def print_report(report: Report) -> None:
    """Print what was found, for people."""
    for name, holds, says in report.checks:
        print(f"{'holds' if holds else 'FAILS'}  {name}: {says}")
    for told in report.claimed:
        print(f"claimed, not checkable offline: {told}")
    for told in report.warnings:
        print(f"warning: {told}")
    if report.last_entry is not None:
        print(f"last entry: {report.last_entry}")
    print("Everything holds." if report.holds else "It does NOT hold.")


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="volition-verify", description="Verify evidence of Volition offline.")
    parser.add_argument("file", type=Path, help="a bundle, a receipt, a proof")
    parser.add_argument("--key", required=True, help="the log's public key, from somebody you trust: a file or the text")
    parser.add_argument("--receipt", type=Path, action="append", default=[], help="a receipt or proof that you kept")
    parser.add_argument("--extends", type=Path, action="append", default=[], help="an older checkpoint that you kept")
    parser.add_argument("--not-before", metavar="DATE", help="the last entry is not earlier")
    parser.add_argument("--person", metavar="PSEUDONYM", help="whom the documents are to be about")
    parser.add_argument("--entry", type=Path, help="the entry of a .tlog-proof that does not hold it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        if options.person is not None and not is_hex(options.person, 16):
            raise NotEvidenceError("A pseudonym is 32 lower-case hexadecimal digits.")
        written = Path(options.key)
        key = Key.of(options.key if re.match(r"[^\s+]+\+[0-9a-f]{8}\+", options.key) else written.read_text())
        report = verify(options.file, key, options)
    except (OSError, *MALFORMED) as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        checks = [{"name": name, "holds": holds, "says": says} for name, holds, says in report.checks]
        told = {"claimed": report.claimed, "warnings": report.warnings, "last_entry": report.last_entry}
        print(json.dumps({"holds": report.holds, "checks": checks, **told}, indent=1))
    else:
        print_report(report)
    return 0 if report.holds else 4


if __name__ == "__main__":
    sys.exit(main())
