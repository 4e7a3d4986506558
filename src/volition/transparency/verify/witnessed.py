"""What others saw of a log: whether a checkpoint has the quorum of a policy; and proofs of single entries as files.

A log with two histories for two readers, or one that was signed anew, holds by itself: only witnesses, or what
somebody kept, tell it from the true one.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from volition.canonical import us_to_text
from volition.errors import ProofError
from volition.ledger.policy import Accepted, Policy, check_policy
from volition.ledger.signing import VerifierKey
from volition.ledger.tlog_proof import verify_tlog_proof
from volition.transparency.verify.checks import Check, Verified, check_claim

CLOCKS_DIFFER_US: Final = 300_000_000
"""By so much the clock of a log may be ahead of its witnesses': five minutes."""


def check_witnesses(
    notes: Mapping[str, str | bytes], policy: Policy, verifier: VerifierKey, *, last_us: int | None = None
) -> tuple[Check, ...]:
    """Check that checkpoints of a log have the quorum of a policy, and that nothing in them is dated ahead of it.

    Args:
        notes: Each checkpoint by what it is of, such as "bundle".
        policy: Whom to trust.
        verifier: The log's public key.
        last_us: The instant of the last entry that each of them holds; none where it is not known.

    Returns:
        One check for each, which says who cosigned it and when.
    """
    return tuple(
        check_claim(f"witnesses of {name}", partial(_cosigned, note, policy, verifier, last_us))[0]
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
        found = verify_tlog_proof(text, asked, log=verifier, entry=entry)
        return _told(found.accepted, found.entry.at_us)

    checks = [check_claim("entry", proven)[0]]
    if policy is not None:
        checks.append(check_claim("witnesses of the entry's checkpoint", witnessed)[0])
    return Verified(checks=tuple(checks))


def _cosigned(note: str | bytes, policy: Policy, verifier: VerifierKey, last_us: int | None) -> str:
    return _told(check_policy(note, policy, log=verifier), last_us)


def _told(accepted: Accepted, dated_us: int | None) -> str:
    """Say who cosigned a checkpoint and when.

    Raises:
        ProofError: An entry in it is dated later than the last of them saw it: it was dated ahead of the clock.
    """
    seen_us = {name: at_s * 1_000_000 for name, at_s in accepted.witnesses.items()}
    if dated_us is not None and seen_us and dated_us > max(seen_us.values()) + CLOCKS_DIFFER_US:
        last = max(seen_us, key=lambda name: seen_us[name])
        raise ProofError(
            f"An entry is dated {us_to_text(dated_us)}, and {last} saw it at {us_to_text(seen_us[last])} already: "
            "it is dated ahead of the clock."
        )
    who = ", ".join(f"{name} at {us_to_text(at_us)}" for name, at_us in seen_us.items())
    return f"{accepted.checkpoint.size} entries, cosigned by {who or 'nobody, and the policy asks for none'}"
