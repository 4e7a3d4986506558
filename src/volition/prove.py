"""Proofs: evidence that anyone checks offline, with nothing but the public key.

A *bundle* (zip) holds the whole ledger, its signed checkpoint, and of each model that is not forgotten the snapshot
without its content and the signed release. `verify_bundle` checks, in this order:

1. the checkpoint is signed by the log's key;
2. the entries are those that the checkpoint's tree root commits to (RFC 9162);
3. each snapshot's manifest and files are those that the ledger names, and the checkpoint in the manifest is signed and
   is a beginning of this very log;
4. the tree of people is that of the snapshot's rows;
5. the replay: for every row of every snapshot, the ledger as it stood gives every party concerned a permit, by the
   reference in `permits`, row by row;
6. each release's card and attestation are signed and bind this model, this manifest.

A *proof of a person* shows presence in or absence from one model's snapshot to somebody who knows the pseudonym, and
shows nobody else.

The bundle names people by pseudonyms only, and holds no content.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from volition import merkle
from volition.canonical import canonical_json, digest, text_to_us
from volition.errors import BackendError, InvalidInputError, ProofError, VolitionError
from volition.gate import concerned, decide
from volition.ledger import Entry, Ledger
from volition.permits import Permit, Permits, Refusal, Use, permit, read_history
from volition.release import ModelState, models_in
from volition.signing import Checkpoint, VerifierKey, open_envelope, open_note, parse_checkpoint
from volition.snapshot import Key, Snapshot, person_leaf, person_tag, rows_commitment

PROOF_FORMAT: Final = "volition/person-proof/1"

_Found = TypeVar("_Found")

_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_LARGEST_MEMBER: Final = 4 * 1024**3
_EVIDENCE: Final = ("manifest.json", "keys.parquet", "people.json")
_RELEASE: Final = ("card.json", "card.md", "attestation.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked: what, whether it holds, and the figure or the fault."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What verifying a bundle or a proof gave."""

    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether every check holds; with no check nothing was verified, so it does not."""
        return bool(self.checks) and all(check.holds for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {
            "holds": self.holds,
            "checks": [{"name": check.name, "holds": check.holds, "detail": check.detail} for check in self.checks],
        }


# --- the bundle ----------------------------------------------------------------------------------------------------


def write_bundle(path: Path, *, ledger: Ledger, snapshots: Path, releases: Path) -> int:
    """Write the evidence for every model that is not forgotten. The same ledger gives the same bytes.

    Returns:
        The number of ledger entries in it.

    Raises:
        BackendError: The file cannot be written; an earlier one of that name is left as it was.
    """
    entries = list(ledger.entries())
    members: dict[str, bytes] = {
        "checkpoint": ledger.checkpoint(len(entries)).encode(),
        "entries.jsonl": b"".join(entry.leaf_bytes + b"\n" for entry in entries),
    }
    for model in models_in(entries).values():
        if model.forgotten_us is not None:
            continue
        for name in _EVIDENCE:
            members[f"snapshots/{model.snapshot}/{name}"] = (snapshots / model.snapshot / name).read_bytes()
        if model.released_us is not None:
            for name in _RELEASE:
                members[f"releases/{model.id}/{name}"] = (releases / model.id / name).read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in sorted(members):
            bundle.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), members[name], zipfile.ZIP_DEFLATED)
    _write(path, buffer.getvalue())
    return len(entries)


def _write(path: Path, data: bytes) -> None:
    aside = path.with_name(f"{path.name}.part")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        msg = f"The evidence could not be written to {path}: {error}."
        raise BackendError(msg) from error


def verify_bundle(path: Path, verifier: VerifierKey) -> Verified:
    """Check a bundle offline.

    Args:
        path: The bundle.
        verifier: The log's public key, got from somewhere you trust: not from the bundle.

    Returns:
        Every check that could be made; where one fails, those that build on it are not made.

    Raises:
        InvalidInputError: The file is no bundle.
    """
    try:
        with zipfile.ZipFile(path) as bundle:
            if any(info.file_size > _LARGEST_MEMBER for info in bundle.infolist()):
                msg = f"{path} holds a file of over 4 GiB, which no bundle of ours does."
                raise InvalidInputError(msg)
            members = {name: bundle.read(name) for name in bundle.namelist()}
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        msg = f"{path} is no evidence bundle: {error}. Make one with `volition prove`."
        raise InvalidInputError(msg) from error
    return Verified(checks=tuple(_checks(members, verifier)))


def _checks(members: Mapping[str, bytes], verifier: VerifierKey) -> Iterator[Check]:
    check, log = _check("ledger", partial(_read_log, members, verifier))
    yield check
    if log is None:
        return
    for model in models_in(log.entries).values():
        if model.forgotten_us is not None:
            continue
        read = partial(_read_evidence, members, model.snapshot, log)
        check, evidence = _check(f"snapshot {model.snapshot}", read)
        yield check
        if evidence is not None:
            yield _check(f"permits of {model.snapshot}", partial(_replay, evidence, log))[0]
        if model.released_us is not None:
            yield _check(f"release {model.id}", partial(_check_release, members, model, log))[0]


def _check(name: str, claim: Callable[[], _Found]) -> tuple[Check, _Found | None]:
    """Make one check; return it with what was found, or none where it fails.

    Whatever goes wrong while reading foreign bytes is a failed check that says so, never a crash.
    """
    try:
        found = claim()
        check = Check(name=name, holds=True, detail=str(found))
    except VolitionError as error:
        return Check(name=name, holds=False, detail=str(error)), None
    except Exception as error:  # noqa: BLE001 - evidence is foreign: a parser's own error is a failed check, too
        return Check(name=name, holds=False, detail=f"It cannot be read: {error!r}."), None
    return check, found


def _open_checkpoint(note: str | bytes, verifier: VerifierKey) -> Checkpoint:
    """Return a checkpoint that is signed by the log's key and is of the log that the key names."""
    checkpoint = parse_checkpoint(open_note(note, verifier).text)
    if checkpoint.origin != verifier.name:
        msg = f"The checkpoint is of the log {checkpoint.origin}, the key is that of {verifier.name}."
        raise ProofError(msg)
    return checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """A log whose checkpoint and tree were verified."""

    entries: Sequence[Entry]
    tree: merkle.Tree
    verifier: VerifierKey

    def __str__(self) -> str:
        return f"{len(self.entries)} entries under the signed root {self.tree.root.hex()[:16]}..."

    def prefix(self, note: str) -> int:
        """Return the size in a checkpoint that is signed and is a beginning of this log."""
        checkpoint = _open_checkpoint(note, self.verifier)
        if checkpoint.size > len(self.entries):
            msg = f"A manifest's checkpoint has {checkpoint.size} entries, the log only {len(self.entries)}."
            raise ProofError(msg)
        if merkle.root(checkpoint.size, self.tree.read) != checkpoint.root:
            msg = f"A manifest's checkpoint of size {checkpoint.size} is not a beginning of this log."
            raise ProofError(msg)
        return checkpoint.size


def _read_log(members: Mapping[str, bytes], verifier: VerifierKey) -> _Log:
    checkpoint = _open_checkpoint(members["checkpoint"], verifier)
    lines = members["entries.jsonl"].splitlines()
    tree = merkle.Tree(lines)
    if (tree.size, tree.root) != (checkpoint.size, checkpoint.root):
        msg = f"The {tree.size} entries are not those that the signed checkpoint of size {checkpoint.size} commits to."
        raise ProofError(msg)
    return _Log(entries=[Entry.from_leaf(line) for line in lines], tree=tree, verifier=verifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """A snapshot whose manifest and files were verified."""

    manifest: Mapping[str, Any]
    keys: Sequence[Key]
    size: int

    def __str__(self) -> str:
        return f"{len(self.keys)} rows of {self.manifest['people']['size']} people, at ledger size {self.size}"


def _read_evidence(members: Mapping[str, bytes], snapshot: str, log: _Log) -> _Evidence:
    """Check a snapshot's manifest against the ledger and its files against the manifest."""
    files = {name: members[f"snapshots/{snapshot}/{name}"] for name in _EVIDENCE}
    manifest = json.loads(files["manifest.json"])
    named = [entry for entry in log.entries if entry.kind == "snapshot" and entry.body["snapshot"] == snapshot]
    if not named or named[-1].body["manifest"] != digest(files["manifest.json"]):
        msg = "The manifest is not the one that the ledger names."
        raise ProofError(msg)
    for name in ("keys.parquet", "people.json"):
        if digest(files[name]) != manifest["files"][name]:
            msg = f"{name} is not the file that the manifest names."
            raise ProofError(msg)
    size = log.prefix(manifest["checkpoint"])
    keys = Snapshot.read_keys(files["keys.parquet"])
    rows: dict[str, int] = {}
    for key in keys:
        for pseudonym in key.people:
            rows[pseudonym] = rows.get(pseudonym, 0) + 1
    leaves = []
    for pseudonym, total in rows.items():
        tag = person_tag(manifest["purpose"], manifest["at"], pseudonym)
        leaves.append([tag, rows_commitment(tag, pseudonym, total)])
    if sorted(leaves) != json.loads(files["people.json"]):
        msg = "The tree of people is not that of the rows."
        raise ProofError(msg)
    if merkle.Tree(person_leaf(*leaf) for leaf in sorted(leaves)).root.hex() != manifest["people"]["root"]:
        msg = "The root of the tree of people is not the one in the manifest."
        raise ProofError(msg)
    return _Evidence(manifest=manifest, keys=keys, size=size)


def _replay(evidence: _Evidence, log: _Log) -> str:
    """Judge every row by the reference, from the ledger as it stood when the snapshot was frozen."""
    history = read_history(log.entries[: evidence.size])
    purpose, at_us = evidence.manifest["purpose"], text_to_us(evidence.manifest["at"])
    known: dict[Use, Permit | Refusal] = {}
    for key in evidence.keys:
        question = key.question()
        for role, party in concerned(question.account, question.people):
            use = Use(account=key.account, party=party, role=role, category=key.category, purpose=purpose)
            if use not in known:
                known[use] = permit(history, use, at_us)
            _check_row(key, party, known[use], at_us)
    told = f"{len(evidence.keys)} rows replayed from {evidence.size} entries: none without a permit"
    refused = _refused_by_now(evidence, log)
    return f"{told}; {refused} refused since: a forgetting is owed" if refused else told


def _refused_by_now(evidence: _Evidence, log: _Log) -> int:
    """Count the rows that the log's last entry finds refused."""
    history, now_us = read_history(log.entries), log.entries[-1].at_us
    permits = Permits(history, purpose=evidence.manifest["purpose"], at_us=now_us)
    return sum(not decide(permits, key.question()).permitted for key in evidence.keys)


def _check_row(key: Key, party: str, answer: Permit | Refusal, at_us: int) -> None:
    if isinstance(answer, Refusal):
        msg = f"Row {key.record_id} had no permit: {party} ({answer.reason.value})."
        raise ProofError(msg)
    too_old = answer.max_age_us is not None and key.collected_us < at_us - answer.max_age_us
    if key.collected_us < answer.since_us or too_old or key.collected_us > at_us:
        msg = f"Row {key.record_id} was collected outside the permit of {party}."
        raise ProofError(msg)


def _check_release(members: Mapping[str, bytes], model: ModelState, log: _Log) -> str:
    card = members[f"releases/{model.id}/card.json"]
    named = [entry for entry in log.entries if entry.kind == "release" and entry.body["model"] == model.id]
    if named[-1].body["card"] != digest(card):
        msg = "The card is not the one that the ledger names."
        raise ProofError(msg)
    payload = open_envelope(json.loads(members[f"releases/{model.id}/attestation.json"]), log.verifier).payload
    statement = json.loads(payload)
    told = json.loads(card)
    subjects = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    manifest = digest(members[f"snapshots/{model.snapshot}/manifest.json"])
    trained = [entry for entry in log.entries if entry.kind == "model" and entry.body["model"] == model.id]
    predicate = statement["predicate"]
    if (
        predicate["card"] != digest(card)
        or subjects != told["files"]
        or predicate["manifest"] != manifest
        or predicate["digest"] != trained[-1].body["digest"]
        or digest(canonical_json(told["files"])) != predicate["digest"]
    ):
        msg = "The attestation does not bind this model to this manifest and this card."
        raise ProofError(msg)
    log.prefix(predicate["checkpoint"])
    return f"card and attestation are signed and bind {len(subjects)} model files to the manifest"


# --- one person ----------------------------------------------------------------------------------------------------


def prove_person(ledger: Ledger, snapshot: Snapshot, *, model: str, pseudonym: str) -> dict[str, Any]:
    """Prove that a person is, or is not, among those whom a model learned from.

    Args:
        ledger: The log; it names the snapshot.
        snapshot: What the model learned from; its content may be erased.
        model: The model.
        pseudonym: Whom it is about.

    Returns:
        A JSON object that `verify_person` checks with the log's public key alone.

    Raises:
        InvalidInputError: The ledger does not name the snapshot.
    """
    named = [entry for entry in ledger.entries() if entry.kind == "snapshot" and entry.body["snapshot"] == snapshot.id]
    if not named:
        msg = f"The ledger does not name the snapshot {snapshot.id}, so nothing can be proved of it."
        raise InvalidInputError(msg)
    trained = [entry for entry in ledger.entries() if entry.kind == "model" and entry.body["model"] == model]
    size = ledger.size
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


def verify_person(proof: Mapping[str, Any], verifier: VerifierKey) -> Verified:
    """Check a proof of a person offline, with the log's public key alone."""
    return Verified(checks=(_check(f"person in {proof.get('model')}", partial(_check_person, proof, verifier))[0],))


def _check_person(proof: Mapping[str, Any], verifier: VerifierKey) -> str:
    checkpoint = _open_checkpoint(proof["checkpoint"], verifier)
    entries = {}
    for shown in proof["entries"]:
        leaf = shown["entry"].encode()
        entry = Entry.from_leaf(leaf)
        path = [bytes.fromhex(step) for step in shown["path"]]
        merkle.verify_inclusion(merkle.leaf_hash(leaf), entry.seq, checkpoint.size, path, checkpoint.root)
        entries[entry.kind] = entry.body
    manifest_bytes = proof["manifest"].encode()
    if entries["snapshot"]["manifest"] != digest(manifest_bytes):
        msg = "The manifest is not the one that the ledger names."
        raise ProofError(msg)
    if (entries["model"]["model"], entries["model"]["snapshot"]) != (proof["model"], entries["snapshot"]["snapshot"]):
        msg = "The ledger does not say that this model learned from this snapshot."
        raise ProofError(msg)
    manifest = json.loads(manifest_bytes)
    size, root = manifest["people"]["size"], bytes.fromhex(manifest["people"]["root"])
    tag = person_tag(manifest["purpose"], manifest["at"], proof["pseudonym"])
    leaves = {}
    for shown in proof["leaves"]:
        leaf = shown["leaf"].encode()
        path = [bytes.fromhex(step) for step in shown["path"]]
        merkle.verify_inclusion(merkle.leaf_hash(leaf), shown["index"], size, path, root)
        leaves[shown["index"]] = json.loads(leaf)
    if proof["present"]:
        ((_, (shown_tag, commitment)),) = leaves.items()
        if shown_tag != tag or commitment != rows_commitment(tag, proof["pseudonym"], proof["rows"]):
            msg = "The leaf is not this person's, or the number of rows is not the one committed to."
            raise ProofError(msg)
        return f"present: {proof['rows']} of the snapshot's rows concern the person"
    _check_gap(leaves, tag, size)
    return f"absent: no leaf lies where the person's would, among {size} people"


def _check_gap(leaves: Mapping[int, Sequence[str]], tag: str, size: int) -> None:
    """Check that the leaves shown are neighbours with the tag strictly between them, or at an end of the tree."""
    indexes = sorted(leaves)
    before = [index for index in indexes if leaves[index][0] < tag]
    after = [index for index in indexes if leaves[index][0] > tag]
    gap = before[-1] + 1 if before else 0
    whole = len(before) + len(after) == len(indexes) and (not after or after[0] == gap) and (after or gap == size)
    if not whole:
        msg = "The leaves shown do not rule out that the person is in the tree."
        raise ProofError(msg)
