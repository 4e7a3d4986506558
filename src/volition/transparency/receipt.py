"""Consent receipts: what somebody decided, in a form that other systems read, with the proof that the ledger holds it.

A receipt has two parts. The *record* is a consent record in the W3C Data Privacy Vocabulary 2.3's profile of ISO/IEC TS
27560, in JSON-LD: who, to whom, for which purposes and kinds of data, yes or no, when, under which terms. What the
profile asks for and no entry says (contact and jurisdiction of the operator, how long data is stored) is left out. A no
is a refusal there, whether or not a yes preceded it: one entry alone does not show that. The *evidence* is the ledger
entry itself, the entry that published the terms, and their inclusion proofs under a signed checkpoint (RFC 9162).

`verify_receipt` derives the record again from the entries and compares, so the record says nothing that the ledger does
not. The person is named by the pseudonym alone.

That the terms bound the account at that instant follows from the whole log, which a bundle holds, not from a receipt.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from volition.canonical import canonical_json, digest, us_to_text
from volition.errors import ProofError
from volition.ledger.entry import Entry
from volition.ledger.log import Ledger
from volition.ledger.signing import VerifierKey
from volition.transparency.verify import forms
from volition.transparency.verify.checks import Verified, check_claim
from volition.transparency.verify.log import open_checkpoint
from volition.transparency.verify.people import read_shown_entries

FORMAT: Final = "volition/receipt/1"
PROOFS_FORMAT: Final = "volition/person-proofs/1"
"""A person's proof bundle: a JSON object with the lists `proofs`, one for each model, and `receipts`."""

_CONTEXT: Final = {
    "ai": "https://w3id.org/dpv/ai#",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "volition": "urn:volition:",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_STATUS: Final = {"yes": "dpv:ConsentGiven", "no": "dpv:ConsentRefused"}
_BROADER: Final = {  # by the first part of a purpose, or all of it
    "train": "dpv:ImproveExistingProductsAndServices",
    "feature/recommend": "dpv:ProvidePersonalisedRecommendations",
    "feature": "dpv:ServicePersonalisation",
    "advertising": "dpv:Advertising",
}


def write_receipt(ledger: Ledger, entry: Entry, *, terms_seq: int | None) -> dict[str, Any]:
    """Write the receipt for an answer.

    Args:
        ledger: The log that holds it.
        entry: The answer: a decision or a signal.
        terms_seq: Number of the entry that published the terms under which it was given; none if no terms bound.

    Returns:
        A JSON object that `verify_receipt` checks with the log's public key alone.
    """
    size = ledger.size
    terms = None if terms_seq is None else next(iter(ledger.entries(terms_seq, terms_seq + 1)))
    return {
        "format": FORMAT,
        "record": _record(entry, terms, ledger.head.origin),
        "entries": [
            {
                "entry": one.leaf_bytes.decode(),
                "path": [step.hex() for step in ledger.prove_inclusion(one.seq, size)],
            }
            for one in (entry, terms)
            if one is not None
        ],
        "checkpoint": ledger.checkpoint(size),
    }


def _record(entry: Entry, terms: Entry | None, origin: str) -> dict[str, Any]:
    """Return an entry as a consent record: the DPV 2.3 profile of ISO/IEC TS 27560, in JSON-LD.

    The controller has the log's own name; their contact details are in no entry, so they are not in the record.

    Source: https://w3id.org/dpv/schema/dpv-27560
    """
    said = entry.body
    subject, controller = {"@id": f"urn:volition:{said['party']}"}, {"@id": f"urn:volition:operator:{origin}"}
    is_signal = entry.kind == "signal"
    record: dict[str, Any] = {
        "@context": _CONTEXT,
        "@id": f"urn:volition:{digest(entry.leaf_bytes)}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": "https://w3id.org/dpv/schema/dpv-27560#record"},
        "dct:identifier": f"{origin}/{entry.seq}",
        "dpv:hasDataSubject": {**subject, "@type": "dpv:DataSubject", "dpv:hasIdentifier": said["party"]},
        "dpv:hasDataController": {
            **controller,
            "@type": "dpv:DataController",
            "dpv:hasName": origin,
            "dpv:hasIdentifier": origin,
        },
        "dpv:hasRecipient": controller,
        "dpv:hasConsentStatus": {
            "@type": ["dpv:ConsentRefused" if is_signal else _STATUS[said["answer"]], "dpv:ExpressedConsent"],
            "dpv:isIndicatedBy": subject,
            "dpv:hasIndicationMethod": said["signal"] if is_signal else "AI settings",
            "dpv:isIndicatedAtTime": _time(entry.at_us),
            "dpv:hasDuration": {"@type": "dpv:UntilEventDuration", "rdf:value": "another answer"},
        },
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": {"@id": "/settings"}},
    }
    if said.get("until") is not None:
        record["dpv:hasConsentStatus"]["dpv:hasDuration"] = {
            "@type": "dpv:UntilTimeDuration",
            "rdf:value": {"@type": "xsd:dateTime", "@value": said["until"]},
        }
    if not is_signal:
        record["dct:temporal"] = "from then on" if said["covers"] is None else f"since {said['covers']}"
        record["dpv:hasProcess"] = {
            "@type": "dpv:Process",
            "dpv:hasPurpose": [_purpose(name) for name in said["purpose"]],
            "dpv:hasPersonalData": [_personal_data(name) for name in said["data"]],
        }
    if terms is not None:
        document = terms.body["terms"]
        record["dpv:hasNotice"] = {
            "@id": f"urn:volition:terms:{document['id']}",
            "@type": "dpv:ConsentNotice",
            "dct:identifier": document["id"],
            "dct:title": document["title"],
            "dct:issued": _time(terms.at_us),
            "volition:digest": digest(canonical_json(document)),
        }
    return record


def _purpose(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"@id": f"urn:volition:purpose:{name}", "@type": "dpv:Purpose", "dct:title": name}
    broader = _BROADER.get(name) or _BROADER.get(name.partition("/")[0])
    if broader is not None:
        found["skos:broader"] = {"@id": broader}
    if name.startswith("train"):
        found["dpv:hasProcessing"] = {"@id": "ai:ModelTraining"}
    return found


def _personal_data(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"@id": f"urn:volition:category:{name}", "@type": "dpv:PersonalData", "dct:title": name}
    if name.startswith("content"):
        found["skos:broader"] = {"@id": "pd:Communication"}
    return found


def _time(at_us: int) -> dict[str, str]:
    return {"@type": "xsd:dateTime", "@value": us_to_text(at_us)}


def verify_receipt(receipt: Any, verifier: VerifierKey) -> Verified:  # noqa: ANN401 - any JSON value may arrive
    """Check a receipt offline, with the log's public key alone."""
    record = receipt.get("record") if isinstance(receipt, Mapping) else None
    name = record.get("dct:identifier") if isinstance(record, Mapping) else "none"
    return Verified(checks=(check_claim(f"receipt {name}", partial(_check_receipt, receipt, verifier))[0],))


def _check_receipt(receipt: Mapping[str, Any], verifier: VerifierKey) -> str:
    if receipt["format"] != FORMAT:
        raise ProofError(f"The receipt has the format {receipt['format']!r}, not {FORMAT!r}.")
    forms.fields(receipt, "The receipt", ("format", "record", "entries", "checkpoint"))
    checkpoint = open_checkpoint(forms.text(receipt["checkpoint"], "The checkpoint"), verifier)
    entries = read_shown_entries(receipt["entries"], checkpoint.size, checkpoint.root)
    answer, *rest = entries
    terms = rest[0] if rest else None
    if answer.kind not in {"decision", "signal"} or len(rest) > 1 or (terms is not None and terms.kind != "terms"):
        raise ProofError("The entries are not one answer and the terms under which it was given.")
    if terms is not None and terms.seq > answer.seq:
        raise ProofError("The terms were published after the answer.")
    if not forms.same(receipt["record"], _record(answer, terms, checkpoint.origin)):
        raise ProofError("The record does not match the ledger's entry.")
    said = f"said {answer.body['answer']}" if answer.kind == "decision" else f"signalled {answer.body['signal']}"
    return f"entry {answer.seq} of the ledger: {answer.body['party'][:20]}... {said} at {us_to_text(answer.at_us)}"
