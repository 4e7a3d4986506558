"""A release: its card and its attestation are those that the log names, signed, and bind the model to its snapshot."""

from collections.abc import Mapping
from typing import Any, Final

from volition.canonical import canonical_json, digest
from volition.errors import ProofError
from volition.learning.audit.bounds import Bound
from volition.learning.audit.finding import Finding
from volition.learning.card import card_markdown
from volition.learning.registry import ModelState
from volition.learning.release import PAYLOAD_TYPE, STATEMENT_TYPE, missed_bounds
from volition.ledger.signing import open_envelope
from volition.transparency.verify import forms
from volition.transparency.verify.log import Log

RELEASE: Final = ("card.json", "card.md", "attestation.json")
"""What a bundle holds of a release."""

_STATEMENT: Final = ("_type", "subject", "predicateType", "predicate")


def check_release(members: Mapping[str, bytes], model: ModelState, log: Log) -> str:
    """Check the files of a model's last release."""
    card, markdown, attestation = (members[f"releases/{model.id}/{name}"] for name in RELEASE)
    entry = log.named("release", model.id)
    facts = forms.read_canonical(card, "The card")
    named: dict[str, Any] = {"model": model.id, "card": digest(card), "attestation": digest(attestation)}
    override = facts.get("override")
    if override is not None:
        named["override"] = {"by": override["by"], "why": override["why"]}
    if not forms.same(entry.body, named):
        raise ProofError("The card, the attestation or the override is not the one that the ledger names.")
    if "override" in facts:  # cards of the first form know no bounds
        _check_bounds(facts)
    if markdown != card_markdown(facts).encode():
        raise ProofError("The human-readable card does not match the machine-readable one.")
    statement = _statement(attestation, log)
    subjects = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    predicate = statement["predicate"]
    bound = {
        "model": model.id,
        "snapshot": model.snapshot,
        "manifest": digest(members[f"snapshots/{model.snapshot}/manifest.json"]),
        "digest": log.named("model", model.id).body["digest"],
        "card": digest(card),
    }
    if (
        not forms.same({name: predicate[name] for name in bound}, bound)
        or not forms.same(subjects, facts["files"])
        or digest(canonical_json(subjects)) != bound["digest"]
        or log.prefix(predicate["checkpoint"]) > entry.seq
    ):
        raise ProofError("The attestation does not bind this model to this manifest and this card.")
    return f"card and attestation are signed and bind {len(subjects)} model files to the manifest"


def _statement(attestation: bytes, log: Log) -> Mapping[str, Any]:
    """Open the envelope, and read the statement in it: each in its one form."""
    what = "The attestation"
    envelope = forms.fields(forms.read_canonical(attestation, what), what, ("payload", "payloadType", "signatures"))
    for one in envelope["signatures"]:
        forms.fields(one, "A signature of the attestation", ("keyid", "sig"))
    opened = open_envelope(envelope, log.verifier)
    if opened.payload_type != PAYLOAD_TYPE or [one["keyid"] for one in envelope["signatures"]] != [
        log.verifier.id.hex()
    ]:
        raise ProofError("The attestation is not an in-toto statement that this log's key alone signed.")
    statement = forms.fields(
        forms.read_canonical(opened.payload, "The attestation's statement"), "The attestation's statement", _STATEMENT
    )
    if statement["_type"] != STATEMENT_TYPE:
        raise ProofError(f"The attestation's statement is of the type {statement['_type']!r}, not {STATEMENT_TYPE!r}.")
    for subject in statement["subject"]:
        forms.fields(subject, "A subject of the attestation", ("name", "digest"))
        forms.fields(subject["digest"], "A subject's digest", ("sha256",))
    return statement


def _check_bounds(card: Mapping[str, Any]) -> None:
    findings = [Finding.from_json(found) for found in card["findings"]]
    missed = missed_bounds(findings, {audit: Bound(value=None, required=True) for audit in card["required"]})
    if missed != (card["override"] or {"missed": []})["missed"]:
        raise ProofError("The card's findings miss bounds, and no override names exactly these.")
