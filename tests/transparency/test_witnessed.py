"""What witnesses saw, as `verify` says it: a lie of two histories fails in a check that says so."""

from dataclasses import replace

import pytest

import volition_verify as other
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.policy import Policy
from volition.ledger.signing import KeyKind, Signer, cosign
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.tlog_proof import TlogProof
from volition.transparency.verify.witnessed import check_witnesses, verify_entry_proof

LOG = Signer.from_seed("log.example/seen", bytes(range(32)))
WITNESS = Signer.from_seed("witness.example/w1", bytes(32), KeyKind.COSIGNATURE)
NAMED = f"witness north {WITNESS.key.to_text()}\nquorum north\n"
POLICY = Policy.from_text(NAMED)
AT_S = 1_767_225_600


def ledger_saying(word, *, log=LOG, at_us=0):
    ledger = Ledger(MemoryStore(), log, clock=lambda: at_us)
    ledger.append(*[NewEntry(kind="region", body={"party": "account:a", "region": word})] * 3)
    return ledger


@pytest.fixture
def ledger():
    return ledger_saying("GB")


def test_a_second_history_is_told_by_the_quorum_that_it_lacks(ledger):
    seen = cosign(ledger.checkpoint(), WITNESS, AT_S)
    moved = ledger_saying("DE").checkpoint() + seen.splitlines(keepends=True)[-1]
    true, other, forged = check_witnesses(
        {"one": seen, "other": ledger_saying("DE").checkpoint(), "forged": moved}, POLICY, LOG.key
    )

    assert (true.name, true.holds) == ("witnesses of one", True)
    assert true.detail == "3 entries, cosigned by north at 2026-01-01T00:00:00.000000Z"
    assert (other.holds, "Too few witnesses cosigned the checkpoint of 3 entries" in other.detail) == (False, True)
    assert (forged.holds, "not by witness.example/w1" in forged.detail) == (False, True)


def proof_of(ledger, note, *, size=None):
    [entry] = ledger.entries(1, 2)
    return TlogProof(index=1, hashes=tuple(ledger.prove_inclusion(1, size)), note=note, extra=entry.leaf_bytes)


def judged_by_both(proof, *, log=LOG):
    """Return which checks hold of a proof whose checkpoint a witness is asked for, as both verifiers say it."""
    trusted = f"log {log.key.to_text()}\n{NAMED}"
    verified = verify_entry_proof(proof.to_text(), log.key, policy=Policy.from_text(trusted))
    key = other.Key.of(log.key.to_text())
    report = other.verify_tlog_proof(proof.to_text(), key, policy=other.Policy.of(trusted))
    found = [check.holds for check in verified.checks]
    assert (report.holds, report.checks[0][:2]) == (all(found), ("entry", found[0]))
    return found, "; ".join(check.detail for check in verified.checks)


def test_a_cosignature_of_another_log_is_none_of_this_one(ledger):
    elsewhere = Signer.from_seed("log.example/elsewhere", bytes(range(1, 33)))
    of_another = cosign(ledger_saying("GB", log=elsewhere).checkpoint(), WITNESS, AT_S)
    moved = ledger.checkpoint() + of_another.splitlines(keepends=True)[-1]
    holds, why = judged_by_both(proof_of(ledger, moved))
    assert holds == [True, False]
    assert "not by witness.example/w1" in why
    # and a whole proof of the other log, whose checkpoint the witness did sign, is of no use under this log's key
    holds, why = judged_by_both(proof_of(ledger_saying("GB", log=elsewhere), of_another))
    assert holds == [False, False]
    assert "log.example/seen" in why


def test_a_proof_in_a_tree_of_another_size_is_none(ledger):
    seen = cosign(ledger.checkpoint(), WITNESS, AT_S)
    assert judged_by_both(proof_of(ledger, seen))[0] == [True, True]
    for wrong in (
        proof_of(ledger, seen, size=2),
        proof_of(ledger, cosign(ledger.checkpoint(2), WITNESS, AT_S)),
        replace(proof_of(ledger, seen), index=2),
        replace(proof_of(ledger, seen), hashes=()),
    ):
        holds, _ = judged_by_both(wrong)
        assert not holds[0]


@pytest.mark.parametrize(("ahead_s", "holds"), [(-1, True), (299, True), (301, False), (86_400, False)])
def test_an_entry_that_is_dated_later_than_its_witnesses_saw_it_is_told(ahead_s, holds):
    at_us = (AT_S + ahead_s) * 1_000_000
    ledger = ledger_saying("GB", at_us=at_us)
    seen = cosign(ledger.checkpoint(), WITNESS, AT_S)
    found, why = judged_by_both(proof_of(ledger, seen))
    assert found == [True, holds]
    assert ("dated ahead of the clock" in why) is not holds
    [check] = check_witnesses({"it": seen}, POLICY, LOG.key, last_us=at_us)
    assert check.holds is holds
    again = cosign(seen, WITNESS, AT_S + 86_400)  # who signs once more, later, has seen it by then
    assert judged_by_both(proof_of(ledger, again))[0] == [True, True]


def test_a_proof_of_an_entry_is_one_check_and_its_witnesses_another(ledger):
    proof = proof_of(ledger, ledger.checkpoint())
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
