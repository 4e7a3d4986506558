"""Proofs: evidence from the transparency log that anyone can verify offline, with nothing but the public key.

A *bundle* (zip) holds the whole ledger, its signed checkpoint, and for each model that is not forgotten the snapshot
without its content and the signed release. `verify.bundle` says what is checked of it.

A *proof of a person* shows that a person is in one model's snapshot or is not (inclusion and non-inclusion), to anyone
who knows the pseudonym, and reveals nobody else; `verify.people` checks it.

The bundle names people by pseudonyms only, and holds no content.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any, Final

from volition.errors import BackendError, InvalidInputError
from volition.files import write_file
from volition.learning.registry import models_in
from volition.learning.release import settle_releases
from volition.ledger import merkle
from volition.ledger.log import Ledger
from volition.records.snapshot import Snapshot, person_tag
from volition.transparency.verify.bundle import EVIDENCE, RELEASE
from volition.transparency.verify.people import PROOF_FORMAT

_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def write_bundle(path: Path, *, ledger: Ledger, snapshots: Path, releases: Path) -> int:
    """Write the evidence for every model that is not forgotten. The same ledger gives the same bytes.

    Returns:
        The number of ledger entries in it.

    Raises:
        BackendError: A part of it is missing, or the file cannot be written; an earlier file of that name is kept.
    """
    entries = list(ledger.entries())
    models = models_in(entries)
    working = [model for model in models.values() if model.forgotten_us is None]
    members: dict[str, bytes] = {
        "checkpoint": ledger.checkpoint(len(entries)).encode(),
        "entries.jsonl": b"".join(entry.leaf_bytes + b"\n" for entry in entries),
    }
    try:
        settle_releases(releases, models)
        for model in working:
            for name in EVIDENCE:
                members[f"snapshots/{model.snapshot}/{name}"] = (snapshots / model.snapshot / name).read_bytes()
            for name in RELEASE if model.released_us is not None else ():
                members[f"releases/{model.id}/{name}"] = (releases / model.id / name).read_bytes()
    except OSError as error:
        msg = f"The evidence is incomplete: {error}. Restore what is missing from a backup of the workspace."
        raise BackendError(msg) from error
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in sorted(members):
            bundle.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), members[name], zipfile.ZIP_DEFLATED)
    try:
        write_file(path, buffer.getvalue())
    except OSError as error:
        msg = f"The evidence could not be written to {path}: {error}. Free space or choose another place, then repeat."
        raise BackendError(msg) from error
    return len(entries)


def prove_person(ledger: Ledger, snapshot: Snapshot, *, model: str, pseudonym: str) -> dict[str, Any]:
    """Prove that a person is, or is not, among those whom a model learned from.

    Args:
        ledger: The log; it names the snapshot.
        snapshot: What the model learned from; its content may be erased.
        model: The model.
        pseudonym: The person.

    Returns:
        A JSON object that `verify_person` checks with the log's public key alone.

    Raises:
        InvalidInputError: The ledger does not name the snapshot, or does not name the model.
        ProofError: A file of the snapshot is not the one that was frozen.
    """
    entries = list(ledger.entries())
    named = [entry for entry in entries if entry.kind == "snapshot" and entry.body["snapshot"] == snapshot.id]
    trained = [entry for entry in entries if entry.kind == "model" and entry.body["model"] == model]
    if not named or not trained:
        msg = f"The ledger does not name the model {model} and its snapshot {snapshot.id}, so nothing can be proved."
        raise InvalidInputError(msg)
    size = len(entries)
    leaves = snapshot.people_leaves()
    tree = merkle.Tree(leaves)
    tags = [json.loads(leaf)[0] for leaf in leaves]
    tag = person_tag(snapshot.purpose, snapshot.manifest["at"], pseudonym)
    position = next((index for index, known in enumerate(tags) if known >= tag), len(tags))
    present = position < len(tags) and tags[position] == tag
    shown = [position] if present else [index for index in (position - 1, position) if 0 <= index < len(tags)]
    return {
        "format": PROOF_FORMAT,
        "model": model,
        "pseudonym": pseudonym,
        "present": present,
        "rows": sum(pseudonym in key.people for key in snapshot.keys) if present else 0,
        "manifest": (snapshot.folder / "manifest.json").read_text(encoding="utf-8"),
        "leaves": [
            {
                "index": index,
                "leaf": leaves[index].decode(),
                "path": [step.hex() for step in tree.prove_inclusion(index)],
            }
            for index in shown
        ],
        "entries": [
            {
                "entry": entry.leaf_bytes.decode(),
                "path": [step.hex() for step in ledger.prove_inclusion(entry.seq, size)],
            }
            for entry in (*named[-1:], *trained[-1:])
        ],
        "checkpoint": ledger.checkpoint(size),
    }
