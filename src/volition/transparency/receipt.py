"""Consent receipts: what somebody decided, in a form that other systems read, with the proof that the ledger holds it.

A receipt has three parts. The *record* is a consent record in the W3C Data Privacy Vocabulary's profile of ISO/IEC TS
27560 (`consent_record`): who, to whom, for which purposes and kinds of data, on what basis, yes or no, when, how, under
which terms. The *receipt* is the profile's other form, which refers to it. The *evidence* is the ledger entry itself,
the entries that published the terms and recorded the region, and their inclusion proofs under a signed checkpoint (RFC
9162).

`verify_receipt` derives the record again from the entries and compares, so the record says nothing that the ledger does
not, but for what the operator says of themselves: name, contact, address, jurisdiction. That is claimed, and what they
do not say is left out. The person is named by the pseudonym alone.

That the terms bound the account at that instant, and that no later region was recorded, follows from the whole log,
which a bundle holds, not from a receipt.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from volition.canonical import us_to_text
from volition.consent.controller import UNNAMED, Controller
from volition.errors import ProofError
from volition.ledger.entry import Entry
from volition.ledger.log import Ledger
from volition.ledger.signing import VerifierKey, open_checkpoint
from volition.transparency.consent_record import early_record, receipt_of, record_of
from volition.transparency.verify import forms
from volition.transparency.verify.bodies import find_unreadable
from volition.transparency.verify.checks import Verified, check_claim
from volition.transparency.verify.people import read_shown_entries

FORMAT: Final = "volition/receipt/2"
EARLY_FORMAT: Final = "volition/receipt/1"
"""Receipts with a record of the first form, and no receipt form: they still verify."""
PROOFS_FORMAT: Final = "volition/person-proofs/1"
"""A person's proof bundle: a JSON object with the lists `proofs`, one for each model, and `receipts`."""

FORMATS: Final = (FORMAT, EARLY_FORMAT)

_EARLY_MEMBERS: Final = ("format", "record", "entries", "checkpoint")
_MEMBERS: Final = (*_EARLY_MEMBERS, "receipt", "controller")
_CLAIMED: Final = "what a receipt says of the operator: name, contact, address, law, language and where to answer"

_CLAIMED_BY_IMPORTER: Final = "when and where an imported answer was given"


def write_receipt(  # noqa: PLR0913 - an answer, and all that a receipt says of it
    ledger: Ledger,
    entry: Entry,
    *,
    terms_seq: int | None,
    region_seqs: Sequence[int] = (),
    controller: Controller = UNNAMED,
    under: str | None = None,
) -> dict[str, Any]:
    """Write the receipt for an answer.

    Args:
        ledger: The log that holds it.
        entry: The answer: a decision or a signal.
        terms_seq: Number of the entry that published the terms under which it was given; none if no terms bound.
        region_seqs: Numbers of the entries that said where the party was when it answered, and where its account was.
        controller: What the operator says of themselves.
        under: The signed checkpoint to prove it under, with what others signed; by default that of now.

    Returns:
        A JSON object that `verify_receipt` checks with the log's public key alone.
    """
    size, origin = ledger.size if under is None else ledger.open_checkpoint(under).size, ledger.head.origin
    terms = None if terms_seq is None else next(iter(ledger.entries(terms_seq, terms_seq + 1)))
    regions = [next(iter(ledger.entries(seq, seq + 1))) for seq in region_seqs]
    record = record_of(entry, terms=terms, regions=regions, origin=origin, controller=controller)
    return {
        "format": FORMAT,
        "record": record,
        "receipt": receipt_of(record, entry),
        "controller": controller.to_json(),
        "entries": [
            {
                "entry": one.leaf_bytes.decode(),
                "path": [step.hex() for step in ledger.prove_inclusion(one.seq, size)],
            }
            for one in (entry, *([] if terms is None else [terms]), *regions)
        ],
        "checkpoint": under or ledger.checkpoint(size),
    }


def verify_receipt(receipt: Any, verifier: VerifierKey) -> Verified:  # noqa: ANN401 - any JSON value may arrive
    """Check a receipt offline, with the log's public key alone."""
    record = receipt.get("record") if isinstance(receipt, Mapping) else None
    name = record.get("dct:identifier") if isinstance(record, Mapping) else "none"
    check, _ = check_claim(f"receipt {name}", partial(_check_receipt, receipt, verifier))
    claims_more = check.holds and bool(receipt.get("controller"))
    claimed = [_CLAIMED] if claims_more else []
    if check.holds and isinstance(record, Mapping) and "volition:claim" in record["dpv:hasConsentStatus"]:
        claimed.append(_CLAIMED_BY_IMPORTER)
    return Verified(checks=(check,), claimed=tuple(claimed))


def _check_receipt(receipt: Mapping[str, Any], verifier: VerifierKey) -> str:
    form = receipt["format"]
    if form not in FORMATS:
        raise ProofError(f"The receipt has the format {form!r}, not {FORMAT!r}.")
    forms.fields(receipt, "The receipt", _MEMBERS if form == FORMAT else _EARLY_MEMBERS)
    checkpoint = open_checkpoint(forms.text(receipt["checkpoint"], "The checkpoint"), verifier)
    answer, *rest = read_shown_entries(receipt["entries"], checkpoint.size, checkpoint.root)
    terms, regions = _bearing(answer, rest)
    if form == EARLY_FORMAT and regions:
        raise ProofError("A receipt of the early format shows no region.")
    if form == EARLY_FORMAT:
        record = early_record(answer, terms, checkpoint.origin)
    else:
        controller = Controller.from_json(receipt["controller"])
        record = record_of(answer, terms=terms, regions=regions, origin=checkpoint.origin, controller=controller)
        if not forms.same(receipt["receipt"], receipt_of(record, answer)):
            raise ProofError("The receipt is not that of its record.")
    if not forms.same(receipt["record"], record):
        raise ProofError("The record does not match the ledger's entry.")
    said = f"said {answer.body['answer']}" if answer.kind == "decision" else f"signalled {answer.body['signal']}"
    when = f"at {us_to_text(answer.at_us)}"
    if "claim" in answer.body:
        claim = answer.body["claim"]
        when = f"on {claim['said']} according to {claim['source']}, recorded on {us_to_text(answer.at_us)}"
    return f"entry {answer.seq} of the ledger: {answer.body['party'][:20]}... {said} {when}"


def _bearing(answer: Entry, rest: Sequence[Entry]) -> tuple[Entry | None, Sequence[Entry]]:
    """Return the terms and the regions that a receipt shows beside the answer: in this order, all from before."""
    terms = rest[0] if rest and rest[0].kind == "terms" else None
    regions = rest if terms is None else rest[1:]
    if answer.kind not in {"decision", "signal"} or any(one.kind != "region" for one in regions):
        raise ProofError("The entries are not one answer, the terms under which it was given, and regions.")
    party = answer.body["party"]
    others = [one.body["party"] for one in regions if one.body["party"] != party]
    if any(not str(one).startswith("account:") for one in others):
        raise ProofError("The receipt shows the region of somebody else.")
    if len(others) > 1 or len(regions) - len(others) > 1:
        raise ProofError(
            "The receipt shows two regions of one party, or of two accounts: where it was, nobody can say."
        )
    if any(one.seq > answer.seq for one in rest):
        raise ProofError("The terms were published, or the region was recorded, after the answer.")
    unreadable = find_unreadable(sorted([answer, *rest], key=lambda one: one.seq))
    if unreadable is not None:
        raise ProofError(unreadable.why)
    return terms, regions
