"""What witnesses saw, as `verify` says it: a lie of two histories fails in a check that says so."""

import pytest

from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.policy import Policy
from volition.ledger.signing import KeyKind, Signer, cosign
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.tlog_proof import TlogProof
from volition.transparency.verify.witnessed import check_witnesses, verify_entry_proof

LOG = Signer.from_seed("log.example/seen", bytes(range(32)))
WITNESS = Signer.from_seed("witness.example/w1", bytes(32), KeyKind.COSIGNATURE)
POLICY = Policy.from_text(f"witness north {WITNESS.key.to_text()}\nquorum north\n")


def ledger_saying(word):
    ledger = Ledger(MemoryStore(), LOG, clock=lambda: 0)
    ledger.append(*[NewEntry(kind="region", body={"party": "account:a", "region": word})] * 3)
    return ledger


@pytest.fixture
def ledger():
    return ledger_saying("GB")


def test_a_second_history_is_told_by_the_quorum_that_it_lacks(ledger):
    seen = cosign(ledger.checkpoint(), WITNESS, 1_767_225_600)
    moved = ledger_saying("DE").checkpoint() + seen.splitlines(keepends=True)[-1]
    true, other, forged = check_witnesses(
        {"one": seen, "other": ledger_saying("DE").checkpoint(), "forged": moved}, POLICY, LOG.key
    )

    assert (true.name, true.holds) == ("witnesses of one", True)
    assert true.detail == "3 entries, cosigned by north at 2026-01-01T00:00:00.000000Z"
    assert (other.holds, "Too few witnesses cosigned the checkpoint of 3 entries" in other.detail) == (False, True)
    assert (forged.holds, "not by witness.example/w1" in forged.detail) == (False, True)


def test_a_proof_of_an_entry_is_one_check_and_its_witnesses_another(ledger):
    [entry] = ledger.entries(1, 2)
    proof = TlogProof(
        index=1, hashes=tuple(ledger.prove_inclusion(1)), note=ledger.checkpoint(), extra=entry.leaf_bytes
    )

    verified = verify_entry_proof(proof.to_text(), LOG.key)
    assert verified.holds
    assert "entry 1 of 3, of kind region" in verified.checks[0].detail
    verified = verify_entry_proof(proof.to_text(), LOG.key, policy=POLICY)
    assert [(check.name, check.holds) for check in verified.checks] == [
        ("entry", True),
        ("witnesses of the entry's checkpoint", False),
    ]
    assert not verify_entry_proof(proof.to_text(), LOG.key, entry=b"{}").holds
    assert not verify_entry_proof("nonsense", LOG.key).holds
    assert verify_entry_proof(proof.to_text(), LOG.key, policy=Policy.from_text("quorum none\n")).holds
