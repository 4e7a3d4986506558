"""Entries, the tree, signed checkpoints, proofs, witnesses (docs/formats/log.md)."""

import hashlib
import re
from dataclasses import dataclass
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from volition_formats.report import RefusedError, demand
from volition_formats.spellings import (
    Json,
    Object,
    base64_bytes,
    instant,
    is_count,
    is_hex,
    parse_canonical,
    same,
    text,
    words,
)

KINDS = set(
    words(
        "terms acceptance decision region identity signal limit sharing exclusion collect access mapping"
        " notice form snapshot model release forgetting erasure removal"
    )
)


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
        name, key_id, rest = line.split("+", 2)
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


CLOCKS_DIFFER = 300_000_000
"""Microseconds by which the log's clock may be ahead of its witnesses'."""


def cosigned_at(note: str, witness: Key) -> int:
    """When a witness whose signature was verified says that it signed, in microseconds; the last time of several."""
    signed = [line.split(" ") for line in note.rpartition("\n\n")[2].split("\n")[:-1]]
    data = [base64_bytes(line[2]) for line in signed if line[1] == witness.name]
    return max(int.from_bytes(one[4:12], "big") for one in data if one[:4] == witness.key_id) * 1_000_000


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
    demand(
        {"at", "body", "kind", "seq"} <= set(entry) <= {"at", "body", "kind", "salt", "seq"}, "An entry has other keys."
    )
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


def included(holder: Object, path: str, signed: Checkpoint) -> Object:
    """An entry that is shown as text, in the tree of a checkpoint."""
    entry = read_entry(text(holder["entry"]))
    check_inclusion(leaf_hash(holder["entry"].encode()), entry["seq"], signed.size, hashes(holder[path]), signed.root)
    return entry


@dataclass(frozen=True)
class Policy:
    """Which logs are trusted, which witnesses, and how many of them must have signed (C2SP tlog-policy)."""

    logs: list[Key]
    witnesses: dict[str, Key]
    groups: dict[str, tuple[int, list[str]]]
    quorum: str

    @classmethod
    def of(cls, document: str) -> "Policy":
        """Read a policy."""
        demand(document.endswith("\n"), "The policy's last line does not end.")
        logs: list[Key] = []
        witnesses: dict[str, Key] = {}
        groups: dict[str, tuple[int, list[str]]] = {}
        quorum, grouped = None, set[str]()
        demand(not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", document), "The policy has control characters.")
        demand(document.count("\n") <= 1000, "The policy has too many lines.")
        for line in document.split("\n"):
            bare = line.strip(" \t")
            word, *rest = re.split(r"[ \t]+", bare) if bare and not bare.startswith("#") else [""]
            if word == "log":
                demand(1 <= len(rest) <= 2, "The policy has a line of another form.")
                logs.append(Key.of(rest[0]))
            elif word == "witness":
                demand(2 <= len(rest) <= 3, "The policy has a line of another form.")
                demand(rest[0] not in {*witnesses, *groups, "none"}, "The policy has a name twice.")
                witnesses[rest[0]] = Key.of(rest[1])
            elif word == "group":
                name, threshold, *members = rest
                known = set(members) <= {*witnesses, *groups} and len(set(members)) == len(members) > 0
                demand(
                    known and name not in {*witnesses, *groups, "none"}, f"The policy's group {name} has another form."
                )
                least = {"all": len(members), "any": 1}.get(threshold) or int(threshold)
                demand(1 <= least <= len(members), f"The policy's group {name} has another form.")
                demand(not grouped & set(members), f"A member of the policy's group {name} is in another one, too.")
                grouped |= set(members)
                groups[name] = (least, members)
            elif word == "quorum":
                demand(quorum is None and len(rest) == 1, "The policy has two quorums.")
                quorum = rest[0]
            else:
                demand(not word, f"The policy has a line {word!r}, which this program does not know.")
        demand(bool(logs) and all(one.kind == 1 for one in logs), "The policy names no log, or not by a log's key.")
        demand(len({one.public for one in logs}) == len(logs), "The policy names a log twice.")
        demand(quorum in {*witnesses, *groups, "none"}, "The policy's quorum is nobody whom it names.")
        demand(all(one.kind == 4 for one in witnesses.values()), "A witness's key has a type that is not supported.")
        demand(len({one.public for one in witnesses.values()}) == len(witnesses), "Two witnesses have one key.")
        return cls(logs, witnesses, groups, text(quorum))

    def check(self, note: str, dated: int | None = None) -> str:
        """Check that a checkpoint has its quorum, and that its newest entry that is shown is not dated ahead of it."""
        _, signers = note_signers(note, [*self.logs, *self.witnesses.values()])
        demand(any(one in signers for one in self.logs), "The checkpoint is not signed by a log that the policy names.")
        names = sorted(name for name, key in self.witnesses.items() if key in signers)
        demand(self._met(self.quorum, set(names)), f"Only {', '.join(names) or 'nobody'} signed: that is no quorum.")
        seen = [cosigned_at(note, key) for name, key in self.witnesses.items() if name in names]
        if dated is not None and seen:
            demand(dated <= max(seen) + CLOCKS_DIFFER, "An entry is dated later than its witnesses saw it.")
        return f"Signed by {', '.join(names) or 'no witness, of whom none is asked'}."

    def _met(self, name: str, names: set[str]) -> bool:
        if name == "none" or name in names:
            return True
        least, members = self.groups.get(name, (1, []))
        return sum(self._met(one, names) for one in members) >= least
