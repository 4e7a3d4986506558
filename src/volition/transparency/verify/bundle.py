"""The bundle: everything that a workspace can show, checked from the first signature to the last row.

`verify_bundle` checks, in this order:

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
"""

import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from volition.canonical import canonical_json, digest, text_to_us
from volition.consent.gate import decide, exclusion_of, uses
from volition.consent.history import check_publications, read_history
from volition.consent.permits import Permit, Permits, Refusal, Use, permit
from volition.errors import InvalidInputError, ProofError
from volition.learning.audit.bounds import Bound
from volition.learning.audit.finding import Finding
from volition.learning.card import card_markdown
from volition.learning.registry import ModelState
from volition.learning.release import PAYLOAD_TYPE, missed_bounds
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import VerifierKey, open_envelope
from volition.records.snapshot import Key, Snapshot, person_leaf, person_tag, rows_commitment
from volition.transparency.verify.checks import Check, Verified, check_claim
from volition.transparency.verify.log import Log, read_log

EVIDENCE: Final = ("manifest.json", "keys.parquet", "people.json")
"""What a bundle holds of a snapshot."""
RELEASE: Final = ("card.json", "card.md", "attestation.json")
"""What a bundle holds of a release."""

_LARGEST: Final = 4 << 30


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
    check, log = check_claim("ledger", partial(read_log, members, verifier))
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


def _check_terms(log: Log) -> str:
    total = check_publications(log.entries)
    return f"{total} published, each once, and none that newly allows anything binds before its notice period ends"


def _check_names(members: Mapping[str, bytes], log: Log) -> str:
    expected = {"checkpoint", "entries.jsonl"}
    for model in log.working:
        expected.update(f"snapshots/{model.snapshot}/{name}" for name in EVIDENCE)
        if model.released_us is not None:
            expected.update(f"releases/{model.id}/{name}" for name in RELEASE)
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


def _read_evidence(members: Mapping[str, bytes], snapshot: str, log: Log) -> _Evidence:
    """Check a snapshot's manifest against the ledger and its files against the manifest."""
    files = {name: members[f"snapshots/{snapshot}/{name}"] for name in EVIDENCE}
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


def _replay(evidence: _Evidence, log: Log) -> str:
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


def _refused_by_now(evidence: _Evidence, log: Log) -> int:
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


def _check_release(members: Mapping[str, bytes], model: ModelState, log: Log) -> str:
    card, markdown, attestation = (members[f"releases/{model.id}/{name}"] for name in RELEASE)
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
