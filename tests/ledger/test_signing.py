"""Notes and envelopes: the public worked examples, independent libraries, and everything that can be done to them."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import example, given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.signing import (
    MAX_SIGNATURES,
    Checkpoint,
    KeyKind,
    NoteSignature,
    Signer,
    VerifiedEnvelope,
    VerifierKey,
    checkpoint_text,
    cosign,
    open_envelope,
    open_note,
    parse_checkpoint,
    sign_envelope,
    sign_note,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "log.json").read_text(encoding="utf-8"))
SEED = bytes.fromhex(VECTORS["log"]["seed"])
LOG = Signer.from_seed(VECTORS["log"]["name"], SEED)
WITNESS = Signer.from_seed(
    VECTORS["witness"]["name"], bytes.fromhex(VECTORS["witness"]["seed"]), kind=KeyKind.COSIGNATURE
)
AT_S = VECTORS["witness"]["at_s"]
CHECKPOINT = Checkpoint(origin=LOG.key.name, size=3, root=base64.b64decode(VECTORS["root"]))
NOTE = VECTORS["note"]
TYPE = "application/vnd.in-toto+json"
OTHERS = [Signer.from_seed(f"other.example/{number}", bytes([number]) * 32) for number in range(MAX_SIGNATURES)]

checkpoints = st.builds(
    Checkpoint,
    origin=st.text(alphabet="abc./-ä漢", min_size=1),
    size=st.integers(0, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def _mutations(data):
    """Return a strategy of byte strings that differ from `data` in one byte, added, removed or replaced."""
    place, value = st.integers(0, len(data) - 1), st.integers(0, 255)
    return st.one_of(
        st.builds(lambda i, b: data[:i] + bytes([data[i] ^ (b or 1)]) + data[i + 1 :], place, value),
        st.builds(lambda i: data[:i] + data[i + 1 :], place),
        st.builds(lambda i, b: data[:i] + bytes([b]) + data[i:], place, value),
    ).filter(lambda mutated: mutated != data)


# Worked examples


def test_the_worked_example_is_signed_to_the_byte():
    root = merkle.Tree(entry.encode() for entry in VECTORS["entries"]).root

    assert root == CHECKPOINT.root
    assert sign_note(checkpoint_text(CHECKPOINT), LOG) == NOTE


def test_the_worked_example_verifies():
    note = open_note(NOTE, VerifierKey.from_text(VECTORS["log"]["key"]))

    assert parse_checkpoint(note.text) == CHECKPOINT
    assert note.signatures == (NoteSignature(key=LOG.key),)


def test_the_worked_cosignature_is_made_to_the_byte_and_verifies_with_its_time():
    note = cosign(NOTE, WITNESS, AT_S)

    assert note == NOTE + VECTORS["cosignature"]
    assert open_note(note, WITNESS.key, LOG.key).signatures == (
        NoteSignature(key=LOG.key),
        NoteSignature(key=WITNESS.key, at_s=AT_S),
    )


@pytest.mark.parametrize("signer", [LOG, WITNESS], ids=["log", "witness"])
def test_verifier_keys_equal_the_worked_examples_and_round_trip(signer):
    text = VECTORS["log" if signer is LOG else "witness"]["key"]

    assert signer.key.to_text() == text
    assert VerifierKey.from_text(text) == VerifierKey.from_text(f"{text}\n") == signer.key


# Notes


@given(checkpoints)
def test_a_checkpoint_round_trips(checkpoint):
    assert parse_checkpoint(checkpoint_text(checkpoint)) == checkpoint


@given(_mutations(NOTE.encode()))
@example(NOTE.replace("tyXQw=", "tyXQx=").encode())  # the same signature bytes, spelled with a stray bit
@example(NOTE.replace("\n", "\r\n").encode())
@example(NOTE.replace("—", "-").encode())
@example(NOTE[:-1].encode())
def test_a_note_with_any_byte_changed_fails(mutated):
    with pytest.raises(ProofError):
        open_note(mutated, LOG.key)


@given(_mutations(cosign(NOTE, WITNESS, AT_S).encode()))
def test_a_cosigned_note_with_any_byte_changed_loses_a_signature_or_fails(mutated):
    try:
        note = open_note(mutated, LOG.key, WITNESS.key)
    except ProofError:
        return
    assert note.text == checkpoint_text(CHECKPOINT)
    assert len(note.signatures) == 1


@given(st.text() | st.binary())
@example("\n\n")
@example("\ud800\n\n— log.example/volition AAAAAAA=\n")
@example("a\n\n— log.example/volition AAAA\n")
@example("a\n\n— log.example/volition \n")
@example("a\n\n— log.example/volition ★★★★\n")
def test_anything_else_is_no_note(data):
    with pytest.raises(ProofError):
        open_note(data, LOG.key)


@given(st.text() | checkpoints.map(checkpoint_text).flatmap(lambda text: _mutations(text.encode())))
@example("log.example/volition\n03\n" + VECTORS["root"] + "\n")
@example("log.example/volition\n٣\n" + VECTORS["root"] + "\n")
@example("log.example/volition\n3\n" + VECTORS["root"] + "\nextension\n")
@example("log.example/volition\n" + "9" * 5000 + "\n" + VECTORS["root"] + "\n")
def test_text_that_is_no_checkpoint_fails_and_any_other_has_one_spelling(data):
    text = data.decode(errors="replace") if isinstance(data, bytes) else data
    try:
        checkpoint = parse_checkpoint(text)
    except ProofError:
        return
    assert checkpoint_text(checkpoint) == text


def test_signatures_by_unknown_keys_are_ignored():
    note = sign_note(checkpoint_text(CHECKPOINT), *OTHERS[:8], LOG, *OTHERS[8:16])

    assert open_note(note, LOG.key).signatures == (NoteSignature(key=LOG.key),)


def test_a_note_may_carry_a_hundred_signatures_and_no_more():
    text = checkpoint_text(CHECKPOINT)

    assert len(open_note(sign_note(text, *OTHERS), *(other.key for other in OTHERS)).signatures) == MAX_SIGNATURES
    with pytest.raises(ProofError, match="no signed note"):
        open_note(sign_note(text, LOG, *OTHERS), LOG.key)


def test_a_known_key_whose_signature_fails_rejects_the_note_though_another_verifies():
    text = checkpoint_text(CHECKPOINT)
    false_line = sign_note("something else\n", OTHERS[0]).rpartition("\n\n")[2]

    note = sign_note(text, LOG) + false_line

    assert open_note(note, LOG.key).text == text
    with pytest.raises(ProofError, match=r"not by other\.example/0"):
        open_note(note, LOG.key, OTHERS[0].key)


def test_a_second_signature_by_a_known_key_that_fails_rejects_the_note():
    false_line = sign_note("something else\n", LOG).rpartition("\n\n")[2]

    for lines in (NOTE + false_line, NOTE.replace("\n\n", f"\n\n{false_line}")):
        with pytest.raises(ProofError, match="not by"):
            open_note(lines, LOG.key)


@pytest.mark.parametrize("line", ["— a+b AAAAAAA=\n", "—  AAAAAAA=\n", "— a\u00a0b AAAAAAA=\n", "— a AAAAAA==\n", "\n"])
def test_a_malformed_signature_line_rejects_the_note_though_another_verifies(line):
    with pytest.raises(ProofError):
        open_note(NOTE + line, LOG.key)


def test_a_note_signed_by_nobody_known_fails():
    with pytest.raises(ProofError, match=r"other\.example/0"):
        open_note(NOTE, OTHERS[0].key)
    with pytest.raises(ProofError, match="nobody"):
        open_note(NOTE)


def test_the_same_key_under_another_name_is_another_key():
    namesake = Signer.from_seed("log.example/other", SEED)

    with pytest.raises(ProofError):
        open_note(NOTE, namesake.key)
    with pytest.raises(ProofError):
        open_note(NOTE.replace("— log.example/volition", "— log.example/other"), namesake.key)


def test_a_repeated_signature_counts_once():
    line = NOTE.rpartition("\n\n")[2]

    assert open_note(NOTE + line, LOG.key).signatures == (NoteSignature(key=LOG.key),)


def test_a_log_key_cannot_stand_in_for_a_witness():
    plain = Signer.from_seed(WITNESS.key.name, bytes.fromhex(VECTORS["witness"]["seed"]))

    with pytest.raises(ProofError):
        open_note(sign_note(checkpoint_text(CHECKPOINT), plain), WITNESS.key)


@pytest.mark.parametrize("text", ["no newline", "", "tab\t\n", "carriage\r\n", "\ud800\n"])
def test_a_text_that_no_reader_would_accept_is_not_signed(text):
    with pytest.raises(InvalidInputError, match="newline"):
        sign_note(text, LOG)


def test_a_note_needs_a_signer_that_signs_notes():
    with pytest.raises(InvalidInputError, match="at least one"):
        sign_note("text\n")
    with pytest.raises(InvalidInputError, match="cosign"):
        sign_note("text\n", WITNESS)
    with pytest.raises(InvalidInputError, match="no witness"):
        cosign(NOTE, LOG, AT_S)
    with pytest.raises(InvalidInputError, match="no time"):
        cosign(NOTE, WITNESS, -1)


# Keys


@pytest.mark.parametrize("name", ["", "two words", "a+b", "no\u00a0break", "line\nbreak", "\ud800"])
def test_a_name_that_breaks_the_form_of_a_note_is_refused(name):
    with pytest.raises(InvalidInputError, match="cannot name a key"):
        Signer.from_seed(name, SEED)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_of_another_length_is_refused(length):
    with pytest.raises(InvalidInputError, match="32 random"):
        Signer.from_seed("log.example", bytes(length))


@given(st.text() | _mutations(VECTORS["log"]["key"].encode()).map(lambda data: data.decode(errors="replace")))
@example(VECTORS["log"]["key"].replace("AQOhB7", "AgOhB7"))
@example("log.example+00000000+AQ==")
def test_a_changed_verifier_key_is_refused(text):
    if text.strip() == VECTORS["log"]["key"]:
        return
    with pytest.raises(InvalidInputError):
        VerifierKey.from_text(text)


def test_a_signer_never_shows_its_private_key():
    assert "private" not in repr(LOG)
    assert SEED.hex() not in repr(LOG)


# Envelopes


@given(st.binary(), st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_an_envelope_round_trips_through_json(payload, payload_type):
    envelope = json.loads(json.dumps(sign_envelope(payload_type, payload, *OTHERS[:2], LOG)))

    assert open_envelope(envelope, LOG.key) == VerifiedEnvelope(payload_type=payload_type, payload=payload)


@given(st.binary())
def test_securesystemslib_verifies_our_envelopes(payload):
    envelope = sign_envelope(TYPE, payload, LOG)
    public = Ed25519PublicKey.from_public_bytes(LOG.key.public)
    key = SSlibKey.from_crypto(public, keyid=envelope["signatures"][0]["keyid"])

    theirs = Envelope.from_dict(json.loads(json.dumps(envelope)))

    assert theirs.verify([key], 1)
    assert theirs.payload == payload


@given(st.binary())
def test_we_verify_the_envelopes_of_securesystemslib(payload):
    theirs = Envelope(payload, TYPE, {})
    theirs.sign(CryptoSigner(Ed25519PrivateKey.from_private_bytes(SEED)))

    assert open_envelope(theirs.to_dict(), LOG.key).payload == payload


def test_the_bytes_signed_are_those_of_the_dsse_specification():
    envelope = sign_envelope("http://example.com/HelloWorld", b"hello world", LOG)

    LOG.key.verify(
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world", base64.b64decode(envelope["signatures"][0]["sig"])
    )


def test_url_safe_base64_is_read_too():
    payload = bytes(range(256))
    envelope = sign_envelope(TYPE, payload, LOG)
    swap = str.maketrans("+/", "-_")
    envelope["payload"] = envelope["payload"].translate(swap)
    envelope["signatures"][0]["sig"] = envelope["signatures"][0]["sig"].translate(swap)

    assert "_" in envelope["payload"]
    assert open_envelope(envelope, LOG.key).payload == payload


@given(_mutations(json.dumps(sign_envelope(TYPE, b'{"model":"search"}', LOG)).encode()))
def test_an_envelope_with_any_byte_changed_fails_or_says_the_same(mutated):
    try:
        opened = open_envelope(json.loads(mutated), LOG.key)
    except (ProofError, ValueError):  # ValueError: no longer JSON, which is for the reader of the file to say
        return
    assert opened == VerifiedEnvelope(payload_type=TYPE, payload=b'{"model":"search"}')


@given(
    json_values
    | st.fixed_dictionaries({"payload": json_values, "payloadType": json_values, "signatures": json_values})
    | st.builds(
        lambda signatures: {"payload": "", "payloadType": TYPE, "signatures": signatures},
        st.lists(st.fixed_dictionaries({"sig": json_values}) | json_values),
    )
)
@example({"payload": "", "payloadType": "\ud800", "signatures": []})
def test_anything_else_is_no_envelope(value):
    with pytest.raises(ProofError):
        open_envelope(value, LOG.key)


def test_an_envelope_of_another_key_or_type_fails():
    envelope = sign_envelope(TYPE, b"payload", LOG)

    with pytest.raises(ProofError, match=r"other\.example/0"):
        open_envelope(envelope, OTHERS[0].key)
    with pytest.raises(ProofError):
        open_envelope(envelope | {"payloadType": "text/plain"}, LOG.key)
    with pytest.raises(ProofError, match="malformed"):
        open_envelope(envelope | {"signatures": envelope["signatures"] * (MAX_SIGNATURES + 1)}, LOG.key)


def test_an_envelope_needs_a_signer_and_a_printable_type():
    with pytest.raises(InvalidInputError, match="signer"):
        sign_envelope(TYPE, b"")
    with pytest.raises(InvalidInputError, match="printable"):
        sign_envelope("a\0b", b"", LOG)
