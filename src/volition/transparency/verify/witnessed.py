"""What others saw of a log: whether a checkpoint has the quorum of a policy; and proofs of single entries as files.

A log with two histories for two readers, or one that was signed anew, holds by itself: only witnesses, or what
somebody kept, tell it from the true one.
"""

from collections.abc import Mapping
from functools import partial

from volition.canonical import us_to_text
from volition.ledger.policy import Accepted, Policy, check_policy
from volition.ledger.signing import VerifierKey
from volition.ledger.tlog_proof import verify_tlog_proof
from volition.transparency.verify.checks import Check, Verified, check_claim


def check_witnesses(notes: Mapping[str, str | bytes], policy: Policy, verifier: VerifierKey) -> tuple[Check, ...]:
    """Check that checkpoints of a log have the quorum of a policy.

    Args:
        notes: Each checkpoint by what it is of, such as "bundle".
        policy: Whom to trust.
        verifier: The log's public key.

    Returns:
        One check for each, which says who cosigned it and when.
    """
    return tuple(
        check_claim(f"witnesses of {name}", partial(_cosigned, note, policy, verifier))[0]
        for name, note in notes.items()
    )


def verify_entry_proof(
    text: str | bytes, verifier: VerifierKey, *, policy: Policy | None = None, entry: bytes | None = None
) -> Verified:
    """Check the proof of an entry (C2SP tlog-proof) offline.

    Args:
        text: The file.
        verifier: The log's public key.
        policy: Whom to trust besides; none to ask for no witness.
        entry: The entry's bytes; none where the proof has them in it.
    """

    def proven() -> str:
        found = verify_tlog_proof(text, verifier, entry=entry)
        size = found.accepted.checkpoint.size
        at = us_to_text(found.entry.at_us)
        return f"entry {found.entry.seq} of {size}, of kind {found.entry.kind}, appended at {at}"

    def witnessed() -> str:
        asked = Policy.of_log(verifier) if policy is None else policy
        return _told(verify_tlog_proof(text, asked, log=verifier, entry=entry).accepted)

    checks = [check_claim("entry", proven)[0]]
    if policy is not None:
        checks.append(check_claim("witnesses of the entry's checkpoint", witnessed)[0])
    return Verified(checks=tuple(checks))


def _cosigned(note: str | bytes, policy: Policy, verifier: VerifierKey) -> str:
    return _told(check_policy(note, policy, log=verifier))


def _told(accepted: Accepted) -> str:
    who = ", ".join(f"{name} at {us_to_text(at_s * 1_000_000)}" for name, at_s in accepted.witnesses.items())
    return f"{accepted.checkpoint.size} entries, cosigned by {who or 'nobody, and the policy asks for none'}"
