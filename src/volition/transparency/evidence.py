"""Whatever evidence somebody may hold beside a bundle, checked: proofs, receipts, a document with both, and others."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from volition.errors import InvalidInputError
from volition.ledger.signing import VerifierKey
from volition.transparency.access_log import PROOF_FORMAT as ACCESS_FORMAT
from volition.transparency.receipt import FORMATS, PROOFS_FORMAT, verify_receipt
from volition.transparency.verify.checks import Check, Verified
from volition.transparency.verify.collected import COLLECTED_FORMAT, verify_collected
from volition.transparency.verify.looked import subject_of, verify_access
from volition.transparency.verify.people import verify_person
from volition.transparency.verify.proofs import (
    CONSISTENCY_FORMAT,
    is_inclusion,
    verify_consistency_proof,
    verify_inclusion_proof,
)

SIGNATURE: Final = "\n\n\N{EM DASH} "
"""What stands in every signed note, between its text and its signatures."""


def verify_evidence(document: Any, verifier: VerifierKey, *, people: Collection[str] = ()) -> Verified:  # noqa: ANN401 - any JSON value may arrive
    """Check a document: proofs of a person, receipts, both together, who looked, or a proof that the console gives.

    Args:
        document: Any JSON value.
        verifier: The log's public key.
        people: The pseudonyms of whom it must be about; nobody: whomever.

    Raises:
        InvalidInputError: It is none of these.
    """
    if isinstance(document, Mapping) and document.get("format") == CONSISTENCY_FORMAT:
        return verify_consistency_proof(document, verifier)
    if isinstance(document, Mapping) and document.get("format") == ACCESS_FORMAT:
        verified = verify_access(document, verifier)
        about = [_is_about(subject_of(document), people)] if people else []
        return replace(verified, checks=(*verified.checks, *about))
    if isinstance(document, Mapping) and is_inclusion(document):
        return verify_inclusion_proof(document, verifier)
    if isinstance(document, Mapping) and document.get("format") == COLLECTED_FORMAT:
        verified, named = verify_collected(document, verifier), document.get("pseudonyms")
        about = [_is_about(str(one), people) for one in named] if people and isinstance(named, list) else []
        return replace(verified, checks=(*verified.checks, *about))
    proofs, receipts = parts(document)
    if not (proofs or receipts) or not all(isinstance(one, Mapping) for one in (*proofs, *receipts)):
        raise InvalidInputError("The document holds no proof of a person or an entry, and no receipt.")
    found = [
        *(verify_person(proof, verifier) for proof in proofs),
        *(verify_receipt(receipt, verifier) for receipt in receipts),
    ]
    checks = [*_outside(document), *(check for one in found for check in one.checks)]
    if people:
        checks += [_is_about(_subject(one), people) for one in (*proofs, *receipts)]
    claimed = dict.fromkeys(claim for one in found for claim in one.claimed)
    return Verified(checks=tuple(checks), claimed=tuple(claimed))


def parts(document: Any) -> tuple[list[Any], list[Any]]:  # noqa: ANN401 - any JSON value may arrive
    """Return the proofs of people and the receipts in a document; none of either where it is something else."""
    if isinstance(document, Mapping) and ("proofs" in document or "receipts" in document):
        proofs, receipts = document.get("proofs", []), document.get("receipts", [])
    elif isinstance(document, Mapping) and document.get("format") in FORMATS:
        proofs, receipts = [], [document]
    else:
        proofs, receipts = document if isinstance(document, list) else [document], []
    return (proofs, receipts) if isinstance(proofs, list) and isinstance(receipts, list) else ([], [])


def quoted_checkpoints(document: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value may arrive
    """Yield every signed checkpoint that a document quotes, however deep."""
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, str) and SIGNATURE in value:
            yield value
        elif isinstance(value, Mapping):
            left += value.values()
        elif isinstance(value, list):
            left += value


def _outside(document: Any) -> Iterator[Check]:  # noqa: ANN401 - any JSON value may arrive
    """Check that a document with several says nothing beside them."""
    if isinstance(document, Mapping) and ("proofs" in document or "receipts" in document):
        strange = sorted(document.keys() - {"format", "proofs", "receipts"})
        if strange or document.get("format", PROOFS_FORMAT) != PROOFS_FORMAT:
            detail = (
                f"The document is of another format than {PROOFS_FORMAT!r}, or says what no reader knows: {strange}."
            )
            yield Check(name="document", holds=False, detail=detail)


def _subject(one: Mapping[str, Any]) -> str:
    """Return the pseudonym that a proof or a receipt is about, as it says; whether that is so, its own check tells."""
    if "pseudonym" in one:
        return str(one["pseudonym"])
    try:
        party = json.loads(one["entries"][0]["entry"])["body"]["party"]
    except (KeyError, IndexError, TypeError, ValueError):
        return "nobody"
    return str(party).removeprefix("person:")


def _is_about(subject: str, people: Collection[str]) -> Check:
    holds = subject in people
    detail = f"it is about {subject}" if holds else f"It is about {subject}, not about {', '.join(sorted(people))}."
    return Check(name="person", holds=holds, detail=detail)
