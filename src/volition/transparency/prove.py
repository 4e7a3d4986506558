"""Proofs: evidence from the transparency log that anyone can verify offline, with nothing but the public key.

A *bundle* (zip) holds the whole ledger, its signed checkpoint, and for each model that is not forgotten the snapshot
without its content and the signed release. `verify_bundle` checks, in this order:

1. the checkpoint is signed by the log's key;
2. the entries are those that the checkpoint's tree root commits to (RFC 9162), and their times never run backwards;
3. each snapshot's manifest and files are those that the ledger names, and the checkpoint in the manifest is signed and
   is a prefix of this very log (consistency), from before the snapshot's own entry;
4. the tree of people matches the snapshot's rows, and so do the counts in the manifest;
5. the replay: for every row of every snapshot, the ledger as it was before the snapshot's own entry gives every party
   concerned a permit at the snapshot's instant, by the reference in `permits`, row by row;
6. each release's card and attestation are those that the ledger names, signed, and bind this model to this manifest;
   if a finding misses its bound, the ledger names the person who is accountable for the release;
7. the bundle holds nothing else.

A *proof of a person* shows that a person is in one model's snapshot or is not (inclusion and non-inclusion), to anyone
who knows the pseudonym, and reveals nobody else.

The bundle names people by pseudonyms only, and holds no content.
"""

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar

from volition.canonical import canonical_json, digest, text_to_us
from volition.consent.gate import decide, exclusion_of, uses
from volition.consent.history import check_publications, read_history
from volition.consent.permits import Permit, Permits, Refusal, Use, permit
from volition.errors import BackendError, InvalidInputError, ProofError, VolitionError
from volition.files import write_file
from volition.learning.audit.bounds import Bound
from volition.learning.audit.finding import Finding
from volition.learning.card import card_markdown
from volition.learning.registry import ModelState, models_in
from volition.learning.release import PAYLOAD_TYPE, missed_bounds, settle_releases
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.log import Ledger
from volition.ledger.signing import Checkpoint, VerifierKey, open_envelope, open_note, parse_checkpoint
from volition.records.snapshot import Key, Snapshot, person_leaf, person_tag, rows_commitment

PROOF_FORMAT: Final = "volition/person-proof/1"

_Found = TypeVar("_Found")

_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_LARGEST: Final = 4 << 30
_EVIDENCE: Final = ("manifest.json", "keys.parquet", "people.json")
_RELEASE: Final = ("card.json", "card.md", "attestation.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: its name, whether it holds, and what was found or what is wrong."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result of verifying a bundle or a proof."""

    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether every check holds; without any check nothing was verified, so the result does not hold."""
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
            for name in _EVIDENCE:
                members[f"snapshots/{model.snapshot}/{name}"] = (snapshots / model.snapshot / name).read_bytes()
            for name in _RELEASE if model.released_us is not None else ():
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


def verify_bundle(path: Path, verifier: VerifierKey) -> Verified:
    """Check a bundle offline.

    Args:
        path: The bundle.
        verifier: The log's public key, obtained from a source that you trust: not from the bundle.

    Returns:
        Every check that could be made; if one fails, those that depend on it are not made.

    Raises:
        InvalidInputError: The file is not a bundle.
    """
    try:
        members = _read_members(path)
    except Exception as error:  # an untrusted archive can fail in as many ways as there are compression methods
        msg = f"{path} is not an evidence bundle: {error}. Make one with `volition prove`."
        raise InvalidInputError(msg) from error
    return Verified(checks=tuple(_checks(members, verifier)))


def _read_members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as bundle:
        if sum(info.file_size for info in bundle.infolist()) > _LARGEST:
            msg = f"it holds more than {_LARGEST >> 30} GiB, which no bundle does"
            raise InvalidInputError(msg)
        return {name: bundle.read(name) for name in bundle.namelist()}


def _checks(members: Mapping[str, bytes], verifier: VerifierKey) -> Iterator[Check]:
    check, log = check_claim("ledger", partial(_read_log, members, verifier))
    yield check
    if log is None:
        return
    for model in log.working:
        read = partial(_read_evidence, members, model.snapshot, log)
        check, evidence = check_claim(f"snapshot {model.snapshot}", read)
        yield check
        if evidence is not None:
            yield check_claim(f"permits of {model.snapshot}", partial(_replay, evidence, log))[0]
        if model.released_us is not None:
            yield check_claim(f"release {model.id}", partial(_check_release, members, model, log))[0]
    yield check_claim("terms", partial(_check_terms, log))[0]
    yield check_claim("nothing else", partial(_check_names, members, log))[0]


def check_claim(name: str, claim: Callable[[], _Found]) -> tuple[Check, _Found | None]:
    """Make one check; return it with what was found, or none if it fails.

    Anything that goes wrong while reading untrusted bytes is a failed check that says so, never a crash.
    """
    try:
        found = claim()
        check = Check(name=name, holds=True, detail=str(found))
    except VolitionError as error:
        return Check(name=name, holds=False, detail=str(error)), None
    except Exception as error:  # noqa: BLE001 - evidence is untrusted: a parser's own error is a failed check, too
        return Check(name=name, holds=False, detail=f"It cannot be read: {error!r}."), None
    return check, found


def open_checkpoint(note: str | bytes, verifier: VerifierKey) -> Checkpoint:
    """Return a checkpoint that is signed by the log's key and belongs to the log that the key names."""
    checkpoint = parse_checkpoint(open_note(note, verifier).text)
    if checkpoint.origin != verifier.name:
        msg = f"The checkpoint belongs to the log {checkpoint.origin}, the key to {verifier.name}."
        raise ProofError(msg)
    return checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """A log whose checkpoint, tree and times were verified, and its models that have not been forgotten."""

    entries: Sequence[Entry]
    tree: merkle.Tree
    verifier: VerifierKey
    working: Sequence[ModelState]

    def last(self, kind: str, **said: str) -> Entry:
        """Return the last entry of a kind whose body has these values."""
        for entry in reversed(self.entries):
            if entry.kind == kind and said.items() <= entry.body.items():
                return entry
        msg = f"The ledger has no {kind} of {', '.join(said.values())}."
        raise ProofError(msg)

    def __str__(self) -> str:
        return f"{len(self.entries)} entries under the signed root {self.tree.root.hex()[:16]}..."

    def prefix(self, note: str) -> int:
        """Return the size in a checkpoint that is signed and is a prefix of this log."""
        checkpoint = open_checkpoint(note, self.verifier)
        if checkpoint.size > len(self.entries):
            msg = f"A manifest's checkpoint has {checkpoint.size} entries, the log only {len(self.entries)}."
            raise ProofError(msg)
        if merkle.root(checkpoint.size, self.tree.read) != checkpoint.root:
            msg = f"A manifest's checkpoint of size {checkpoint.size} is not a prefix of this log."
            raise ProofError(msg)
        return checkpoint.size


def _read_log(members: Mapping[str, bytes], verifier: VerifierKey) -> _Log:
    checkpoint = open_checkpoint(members["checkpoint"], verifier)
    *lines, rest = members["entries.jsonl"].split(b"\n")
    tree = merkle.Tree(lines)
    if rest or (tree.size, tree.root) != (checkpoint.size, checkpoint.root):
        msg = f"The {tree.size} entries are not those that the signed checkpoint of size {checkpoint.size} commits to."
        raise ProofError(msg)
    entries = [Entry.from_leaf(line) for line in lines]
    if [entry.seq for entry in entries] != list(range(tree.size)):
        raise ProofError("The entries are not numbered in their order.")
    if any(later.at_us < earlier.at_us for earlier, later in pairwise(entries)):
        raise ProofError("Time runs backwards in the ledger: an entry is dated before the one that precedes it.")
    working = [model for model in models_in(entries).values() if model.forgotten_us is None]
    return _Log(entries=entries, tree=tree, verifier=verifier, working=working)


def _check_terms(log: _Log) -> str:
    total = check_publications(log.entries)
    return f"{total} published, each once, and none that newly allows anything binds before its notice period ends"


def _check_names(members: Mapping[str, bytes], log: _Log) -> str:
    expected = {"checkpoint", "entries.jsonl"}
    for model in log.working:
        expected.update(f"snapshots/{model.snapshot}/{name}" for name in _EVIDENCE)
        if model.released_us is not None:
            expected.update(f"releases/{model.id}/{name}" for name in _RELEASE)
    strange = sorted(members.keys() - expected)
    if strange:
        msg = f"The bundle holds files that nothing refers to: {', '.join(strange)}."
        raise ProofError(msg)
    return f"all {len(members)} files in the bundle are accounted for"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """A snapshot whose manifest and files were verified."""

    manifest: Mapping[str, Any]
    keys: Sequence[Key]
    entry: Entry

    def __str__(self) -> str:
        return f"{len(self.keys)} rows of {self.manifest['people']['size']} people, entry {self.entry.seq}"


def _read_evidence(members: Mapping[str, bytes], snapshot: str, log: _Log) -> _Evidence:
    """Check a snapshot's manifest against the ledger and its files against the manifest."""
    files = {name: members[f"snapshots/{snapshot}/{name}"] for name in _EVIDENCE}
    manifest = json.loads(files["manifest.json"])
    entry = log.last("snapshot", snapshot=snapshot)
    named = {"snapshot": snapshot, "purpose": manifest["purpose"], "at": manifest["at"]}
    if entry.body != named | {"manifest": digest(files["manifest.json"])}:
        msg = "The manifest is not the one that the ledger names."
        raise ProofError(msg)
    for name in ("keys.parquet", "people.json"):
        if digest(files[name]) != manifest["files"][name]:
            msg = f"{name} is not the file that the manifest names."
            raise ProofError(msg)
    if log.prefix(manifest["checkpoint"]) > entry.seq:
        msg = "The snapshot's checkpoint is from after the snapshot."
        raise ProofError(msg)
    keys = Snapshot.read_keys(files["keys.parquet"])
    kept = {category: counts["kept"] for category, counts in manifest["rows"].items() if counts["kept"]}
    if kept != Counter(key.category for key in keys) or manifest["accounts"] != Counter(key.account for key in keys):
        msg = "The counts in the manifest are not those of the rows."
        raise ProofError(msg)
    rows = Counter(pseudonym for key in keys for pseudonym in key.people)
    leaves = []
    for pseudonym, total in rows.items():
        tag = person_tag(manifest["purpose"], manifest["at"], pseudonym)
        leaves.append([tag, rows_commitment(tag, pseudonym, total)])
    if sorted(leaves) != json.loads(files["people.json"]):
        msg = "The tree of people does not match the rows."
        raise ProofError(msg)
    tree = merkle.Tree(person_leaf(*leaf) for leaf in sorted(leaves))
    if manifest["people"] != {"size": tree.size, "root": tree.root.hex()}:
        msg = "The tree of people is not the one in the manifest."
        raise ProofError(msg)
    return _Evidence(manifest=manifest, keys=keys, entry=entry)


def _replay(evidence: _Evidence, log: _Log) -> str:
    """Judge every row by the reference, from all that the ledger held before it names the snapshot.

    Not from the manifest's own checkpoint: an operator who chose an older one could leave out a no.
    """
    history = read_history(log.entries[: evidence.entry.seq])
    purpose, at_us = evidence.manifest["purpose"], text_to_us(evidence.manifest["at"])
    known: dict[Use, Permit | Refusal] = {}
    for key in evidence.keys:
        question = key.question()
        if not question.people:
            msg = f"Row {key.record_id} concerns nobody, so nobody could have been asked."
            raise ProofError(msg)
        for use in uses(history, question.account, question.people, question.category, purpose, at_us=at_us):
            if use not in known:
                known[use] = permit(history, use, at_us)
            _check_row(key, use.party, known[use], at_us)
        excluded = exclusion_of(history, question, purpose=purpose, at_us=at_us)
        if excluded is not None:
            msg = f"Row {key.record_id} is of a conversation that {excluded.party} had left out."
            raise ProofError(msg)
    found = f"{len(evidence.keys)} rows replayed from {evidence.entry.seq} entries: none without a permit"
    refused = _refused_by_now(evidence, log)
    return f"{found}; {refused} refused since: a forgetting is owed" if refused else found


def _refused_by_now(evidence: _Evidence, log: _Log) -> int:
    """Count the rows that are refused as of the log's last entry."""
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
    card, markdown, attestation = (members[f"releases/{model.id}/{name}"] for name in _RELEASE)
    entry = log.last("release", model=model.id)
    facts = json.loads(card)
    named: dict[str, Any] = {"model": model.id, "card": digest(card), "attestation": digest(attestation)}
    override = facts.get("override")
    if override is not None:
        named["override"] = {"by": override["by"], "why": override["why"]}
    if entry.body != named:
        msg = "The card, the attestation or the override is not the one that the ledger names."
        raise ProofError(msg)
    if "override" in facts:  # cards of the first form know no bounds
        _check_bounds(facts)
    if markdown != card_markdown(facts).encode():
        msg = "The human-readable card does not match the machine-readable one."
        raise ProofError(msg)
    envelope = open_envelope(json.loads(attestation), log.verifier)
    statement = json.loads(envelope.payload)
    subjects = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    predicate = statement["predicate"]
    bound = {
        "model": model.id,
        "snapshot": model.snapshot,
        "manifest": digest(members[f"snapshots/{model.snapshot}/manifest.json"]),
        "digest": log.last("model", model=model.id).body["digest"],
        "card": digest(card),
    }
    if (
        envelope.payload_type != PAYLOAD_TYPE
        or {name: predicate[name] for name in bound} != bound
        or subjects != facts["files"]
        or digest(canonical_json(subjects)) != bound["digest"]
        or log.prefix(predicate["checkpoint"]) > entry.seq
    ):
        msg = "The attestation does not bind this model to this manifest and this card."
        raise ProofError(msg)
    return f"card and attestation are signed and bind {len(subjects)} model files to the manifest"


def _check_bounds(card: Mapping[str, Any]) -> None:
    findings = [Finding.from_json(found) for found in card["findings"]]
    missed = missed_bounds(findings, {audit: Bound(value=None, required=True) for audit in card["required"]})
    if missed != (card["override"] or {"missed": []})["missed"]:
        msg = "The card's findings miss bounds, and no override names exactly these."
        raise ProofError(msg)


# --- one person ----------------------------------------------------------------------------------------------------


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


def verify_person(proof: Any, verifier: VerifierKey) -> Verified:  # noqa: ANN401 - any JSON value may arrive
    """Check a proof of a person offline, with the log's public key alone."""
    model = proof.get("model") if isinstance(proof, Mapping) else "no proof"
    return Verified(checks=(check_claim(f"person in {model}", partial(_check_person, proof, verifier))[0],))


def _check_person(proof: Mapping[str, Any], verifier: VerifierKey) -> str:
    if proof["format"] != PROOF_FORMAT:
        msg = f"The proof has the format {proof['format']!r}, not {PROOF_FORMAT!r}."
        raise ProofError(msg)
    checkpoint = open_checkpoint(proof["checkpoint"], verifier)
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
    if size == 0 and root != merkle.EMPTY_ROOT:
        msg = "The manifest says that nobody is in it, but gives the root of a tree that is not empty."
        raise ProofError(msg)
    tag = person_tag(manifest["purpose"], manifest["at"], proof["pseudonym"])
    leaves = {}
    for shown in proof["leaves"]:
        leaf = shown["leaf"].encode()
        path = [bytes.fromhex(step) for step in shown["path"]]
        merkle.verify_inclusion(merkle.leaf_hash(leaf), shown["index"], size, path, root)
        leaves[shown["index"]] = json.loads(leaf)
    if proof["present"] is True:
        ((_, (shown_tag, commitment)),) = leaves.items()
        if shown_tag != tag or commitment != rows_commitment(tag, proof["pseudonym"], proof["rows"]):
            msg = "The leaf is not this person's, or the number of rows is not the one committed to."
            raise ProofError(msg)
        return f"present: {proof['rows']} of the snapshot's rows concern the person"
    if proof["present"] is not False or proof["rows"] != 0:
        msg = "The proof claims neither presence nor, with no rows, absence."
        raise ProofError(msg)
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
