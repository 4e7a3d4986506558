"""Proofs of single entries as files (c2sp.org/tlog-proof): what is written is read, by foreign code too; no byte can change."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.errors import InvalidInputError, ProofError
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.policy import Policy
from volition.ledger.signing import KeyKind, Signer, cosign
from volition.ledger.stores.memory import MemoryStore
from volition.ledger.tlog_proof import TlogProof, verify_tlog_proof

LOG = Signer.from_seed("log.example/volition", bytes(range(32)))
WITNESS = Signer.from_seed("witness.example/w1", bytes(range(1, 33)), KeyKind.COSIGNATURE)
SIZE = 7


@pytest.fixture(scope="module")
def ledger():
    made = Ledger(MemoryStore(), LOG, clock=lambda: 0)
    made.append(*[NewEntry(kind="region", body={"party": f"account:{n}", "region": "GB"}) for n in range(SIZE)])
    return made


def proof_of(ledger, seq, *, with_entry=True):
    [entry] = ledger.entries(seq, seq + 1)
    return TlogProof(
        index=seq,
        hashes=tuple(ledger.prove_inclusion(seq)),
        note=ledger.checkpoint(),
        extra=entry.leaf_bytes if with_entry else None,
    )


@pytest.mark.parametrize("seq", range(SIZE))
def test_every_entry_is_proved(ledger, seq):
    text = proof_of(ledger, seq).to_text()
    proven = verify_tlog_proof(text, LOG.key)

    assert TlogProof.from_text(text).to_text() == text
    assert (proven.entry.seq, proven.entry.body["party"]) == (seq, f"account:{seq}")
    assert proven.accepted.checkpoint.size == SIZE


def test_foreign_code_reads_it(ledger):
    """By the specification alone, and the algorithm of RFC 9162 section 2.1.3.2."""
    header, extra, index, *rest = proof_of(ledger, 5).to_text().split("\n")
    hashes = [base64.b64decode(line) for line in rest[: rest.index("")]]
    origin, size, root = rest[rest.index("") + 1 :][:3]
    number, last, found = int(index.removeprefix("index ")), int(size) - 1, hashlib.sha256()
    found = hashlib.sha256(b"\x00" + base64.b64decode(extra.removeprefix("extra "))).digest()
    for sibling in hashes:
        if number % 2 or number == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while number % 2 == 0 and number:
                number, last = number >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        number, last = number >> 1, last >> 1

    assert (header, origin, last) == ("c2sp.org/tlog-proof@v1", LOG.key.name, 0)
    assert found == base64.b64decode(root)


def test_without_the_entry_it_must_be_given(ledger):
    text = proof_of(ledger, 2, with_entry=False).to_text()
    [entry, other] = ledger.entries(2, 4)

    assert "extra" not in text
    with pytest.raises(InvalidInputError, match="Give the entry besides"):
        verify_tlog_proof(text, LOG.key)
    assert verify_tlog_proof(text, LOG.key, entry=entry.leaf_bytes).entry == entry
    with pytest.raises(ProofError, match="not in the tree"):
        verify_tlog_proof(text, LOG.key, entry=other.leaf_bytes)
    with pytest.raises(ProofError, match="another entry in it"):
        verify_tlog_proof(proof_of(ledger, 2).to_text(), LOG.key, entry=other.leaf_bytes)


def test_a_policy_asks_for_witnesses(ledger):
    policy = Policy.from_text(f"witness w {WITNESS.key.to_text()}\nquorum w\n")
    proof = proof_of(ledger, 3)
    seen = TlogProof(index=3, hashes=proof.hashes, note=cosign(proof.note, WITNESS, 1_700_000_000), extra=proof.extra)

    with pytest.raises(ProofError, match="Too few witnesses"):
        verify_tlog_proof(proof.to_text(), policy, log=LOG.key)
    assert verify_tlog_proof(seen.to_text(), policy, log=LOG.key).accepted.witnesses == {"w": 1_700_000_000}
    assert verify_tlog_proof(seen.to_text(), LOG.key).entry.seq == 3  # who knows no witness passes over them


@given(st.data())
def test_no_byte_can_be_changed(ledger, data):
    text = proof_of(ledger, 4).to_text().encode()
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != text[at]))
    with pytest.raises((ProofError, InvalidInputError)):
        verify_tlog_proof(text[:at] + bytes([byte]) + text[at + 1 :], LOG.key)


@given(st.data())
def test_nothing_can_be_put_in_or_left_out(ledger, data):
    text = proof_of(ledger, 4).to_text()
    lines = text.split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    if data.draw(st.booleans()):
        changed = "\n".join(lines[:at] + lines[at + 1 :])
    else:
        changed = "\n".join([*lines[:at], data.draw(st.sampled_from(lines)), *lines[at:]])
    if changed == text or (sorted(set(changed.split("\n"))) == sorted(set(lines)) and changed.startswith(text[:-1])):
        return  # the last signature once more says nothing new
    with pytest.raises((ProofError, InvalidInputError)):
        verify_tlog_proof(changed, LOG.key)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_is_read_only_a_proof_error_is_raised(text):
    with pytest.raises(ProofError):
        TlogProof.from_text(text)
