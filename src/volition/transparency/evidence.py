"""Whatever evidence a person may hold, checked: proofs, receipts, a document with both, or what was recorded."""

from collections.abc import Mapping
from typing import Any

from volition.errors import InvalidInputError
from volition.ledger.signing import VerifierKey
from volition.transparency.receipt import FORMAT, verify_receipt
from volition.transparency.verify.checks import Verified
from volition.transparency.verify.collected import COLLECTED_FORMAT, verify_collected
from volition.transparency.verify.people import verify_person


def verify_evidence(document: Any, verifier: VerifierKey) -> Verified:  # noqa: ANN401 - any JSON value may arrive
    """Check the evidence that a person may hold: proofs, receipts, a document with both, or what was recorded.

    Raises:
        InvalidInputError: It is none of these.
    """
    if isinstance(document, Mapping) and document.get("format") == COLLECTED_FORMAT:
        return verify_collected(document, verifier)
    if isinstance(document, Mapping) and ("proofs" in document or "receipts" in document):
        proofs, receipts = document.get("proofs", []), document.get("receipts", [])
    elif isinstance(document, Mapping) and document.get("format") == FORMAT:
        proofs, receipts = [], [document]
    else:
        proofs, receipts = document if isinstance(document, list) else [document], []
    if not isinstance(proofs, list) or not isinstance(receipts, list):
        proofs, receipts = [], []
    if not (proofs or receipts) or not all(isinstance(one, Mapping) for one in (*proofs, *receipts)):
        raise InvalidInputError("The document holds no proof of a person and no receipt.")
    verified = [
        *(verify_person(proof, verifier) for proof in proofs),
        *(verify_receipt(receipt, verifier) for receipt in receipts),
    ]
    return Verified(checks=tuple(check for one in verified for check in one.checks))
