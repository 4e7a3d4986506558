"""Proofs: evidence from the transparency log that anyone can verify offline, with nothing but the public key.

A *bundle* (zip) holds the whole ledger, its signed checkpoint, and for each model that is not forgotten the snapshot
without its content and the signed release, with the model's settings and its signature. `verify.bundle` says what is
checked of it.

A *proof of a person* shows that a person is in one model's snapshot or is not (inclusion and non-inclusion), to anyone
who knows the pseudonym, and reveals nobody else; `verify.people` checks it.

The bundle names people by pseudonyms only, and holds no content.
"""

import json
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

from volition.errors import BackendError, InvalidInputError, ProofError
from volition.files import write_file
from volition.learning.registry import models_in
from volition.learning.release import settle_releases
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.log import Ledger
from volition.records.snapshot import Snapshot, person_leaf, person_tag, rows_commitment
from volition.transparency.verify.archive import pack
from volition.transparency.verify.people import PROOF_FORMAT
from volition.transparency.verify.releases import SETTINGS, release_files
from volition.transparency.verify.snapshots import evidence_of

_MOST_ROWS: Final = 10_000_000
"""More rows of one person than this are in no snapshot."""


def write_bundle(  # noqa: PLR0913 - where each part lies
    path: Path,
    *,
    ledger: Ledger,
    snapshots: Path,
    models: Path,
    releases: Path,
    checkpoint: Callable[[int], str] | None = None,
) -> int:
    """Write the evidence for every model that is not forgotten. The same ledger gives the same bytes.

    Args:
        path: Where to.
        ledger: The log.
        snapshots: The folder of snapshots.
        models: The folder of models.
        releases: The folder of releases.
        checkpoint: Gives the signed checkpoint of a size, perhaps with signatures of witnesses; none for the ledger's.

    Returns:
        The number of ledger entries in it.

    Raises:
        BackendError: A part of it is missing, or the file cannot be written; an earlier file of that name is kept.
    """
    entries = list(ledger.entries())
    states = models_in(entries)
    working = [model for model in states.values() if model.forgotten_us is None]
    members: dict[str, bytes] = {
        "checkpoint": (checkpoint or ledger.checkpoint)(len(entries)).encode(),
        "entries.jsonl": b"".join(entry.leaf_bytes + b"\n" for entry in entries),
    }
    try:
        settle_releases(releases, states)
        for model in working:
            folder = snapshots / model.snapshot
            for name in evidence_of(json.loads((folder / "manifest.json").read_bytes())):
                members[f"snapshots/{model.snapshot}/{name}"] = (folder / name).read_bytes()
            if model.released_us is not None:
                card = (releases / model.id / "card.json").read_bytes()
                for name in release_files(card):
                    folder = models / model.id / "model" if name == SETTINGS else releases / model.id
                    members[f"releases/{model.id}/{name}"] = (folder / name).read_bytes()
    except OSError as error:
        msg = f"The evidence is incomplete: {error}. Restore what is missing from a backup of the workspace."
        raise BackendError(msg) from error
    try:
        write_file(path, pack(members))
    except OSError as error:
        msg = f"The evidence could not be written to {path}: {error}. Free space or choose another place, then repeat."
        raise BackendError(msg) from error
    return len(entries)


class _People:
    """The tree of people of a snapshot, kept small: 128 bytes for each person, and found in by their tags."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """Build it from its leaves, which are sorted by tag."""
        self._tags = b"".join(bytes.fromhex(leaf[2:66].decode()) for leaf in leaves)
        self._commitments = b"".join(bytes.fromhex(leaf[69:133].decode()) for leaf in leaves)
        self._tree = merkle.Tree(leaves)

    def __len__(self) -> int:
        """Return how many people are in it."""
        return self._tree.size

    def find(self, tag: str) -> tuple[int, bool]:
        """Return where a tag is, or would be, and whether it is there."""
        wanted = bytes.fromhex(tag)
        place = bisect_left(range(self._tree.size), wanted, key=lambda index: self._at(self._tags, index))
        return place, place < self._tree.size and self._at(self._tags, place) == wanted

    def rows(self, place: int, tag: str, pseudonym: str, most: int) -> int:
        """Return the number of rows that the leaf of a person commits to: it is the one that fits, of at most `most`.

        Raises:
            ProofError: None fits.
        """
        commitment = self._at(self._commitments, place).hex()
        for rows in range(1, most + 1):
            if rows_commitment(tag, pseudonym, rows) == commitment:
                return rows
        raise ProofError(f"The leaf of {pseudonym} commits to no number of rows that there could be. Do not trust it.")

    def show(self, place: int) -> dict[str, Any] | None:
        """Return a leaf with its proof, as a proof of a person shows it; none where there is no such leaf."""
        if not 0 <= place < self._tree.size:
            return None
        leaf = person_leaf(self._at(self._tags, place).hex(), self._at(self._commitments, place).hex())
        return {
            "index": place,
            "leaf": leaf.decode(),
            "path": [step.hex() for step in self._tree.prove_inclusion(place)],
        }

    @staticmethod
    def _at(digests: bytes, place: int) -> bytes:
        return digests[32 * place : 32 * (place + 1)]


class _Trees:
    """The trees of people of snapshots that were asked for of late, as many as fit; the last one always stays."""

    def __init__(self, most: int) -> None:
        """Keep trees of so many people in all."""
        self._most = most
        self._kept: OrderedDict[tuple[Path, str], _People] = OrderedDict()
        self._turn = Lock()

    def of(self, snapshot: Snapshot) -> _People:
        """Return the tree of a snapshot, built from its file if it is not kept."""
        name = snapshot.folder, snapshot.manifest["files"]["people.json"]
        with self._turn:
            people = self._kept.get(name)
        if people is None:
            people = _People(snapshot.people_leaves())
        with self._turn:
            self._kept[name] = people
            self._kept.move_to_end(name)
            total = sum(map(len, self._kept.values()))
            while total > self._most and len(self._kept) > 1:
                total -= len(self._kept.popitem(last=False)[1])
        return people


_TREES: Final = _Trees(4_000_000)  # half a gigabyte


def prove_person(  # noqa: PLR0913 - whom, in what, and by which log
    ledger: Ledger,
    snapshot: Snapshot,
    *,
    model: str,
    pseudonym: str,
    entries: Iterable[Entry] | None = None,
    checkpoint: Callable[[int], str] | None = None,
) -> dict[str, Any]:
    """Prove that a person is, or is not, among those whom a model learned from.

    The trees of the people of many snapshots stay in memory, so proofs for many models, and of many people, cost little
    more than one.

    Args:
        ledger: The log; it names the snapshot.
        snapshot: What the model learned from; its content may be erased.
        model: The model.
        pseudonym: The person.
        entries: The ledger's entries of snapshots and models, where they are known; others may be among them.
        checkpoint: Returns the signed checkpoint to prove it under, given the last entry that it must hold; by default
            that of now.

    Returns:
        A JSON object that `verify_person` checks with the log's public key alone.

    Raises:
        InvalidInputError: The ledger does not name the snapshot, or does not name the model.
        ProofError: A file of the snapshot is not the one that was frozen, or the ledger names it or the model as two.
    """
    shown = _named(ledger.entries() if entries is None else entries, snapshot.id, model)
    note = ledger.checkpoint() if checkpoint is None else checkpoint(max(one.seq for one in shown))
    size = ledger.open_checkpoint(note).size
    people = _TREES.of(snapshot)
    tag = person_tag(snapshot.purpose, snapshot.manifest["at"], pseudonym)
    place, present = people.find(tag)
    leaves = (people.show(one) for one in ((place,) if present else (place - 1, place)))
    return {
        "format": PROOF_FORMAT,
        "model": model,
        "pseudonym": pseudonym,
        "present": present,
        "rows": people.rows(place, tag, pseudonym, _MOST_ROWS) if present else 0,
        "manifest": (snapshot.folder / "manifest.json").read_text(encoding="utf-8"),
        "leaves": [leaf for leaf in leaves if leaf is not None],
        "entries": [
            {
                "entry": entry.leaf_bytes.decode(),
                "path": [step.hex() for step in ledger.prove_inclusion(entry.seq, size)],
            }
            for entry in shown
        ],
        "checkpoint": note,
    }


def _named(entries: Iterable[Entry], snapshot: str, model: str) -> tuple[Entry, Entry]:
    """Return the entries that name a snapshot and a model; each is named as one thing."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if (entry.kind == "snapshot" and entry.body["snapshot"] == snapshot) or (
            entry.kind == "model" and entry.body["model"] == model
        ):
            first = found.setdefault(entry.kind, entry)
            if first.body != entry.body:
                raise ProofError(
                    f"The ledger names the {entry.kind} of entry {first.seq} again in entry {entry.seq}, as another "
                    "one. Nothing can be proved of it; find out who wrote to the ledger."
                )
    if len(found) < len(("snapshot", "model")):
        msg = f"The ledger does not name the model {model} and its snapshot {snapshot}, so nothing can be proved."
        raise InvalidInputError(msg)
    return found["snapshot"], found["model"]
