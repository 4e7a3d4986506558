"""A released model's files are signed in a form that the OpenSSF's own program verifies, by a key that the log names."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from simulator import SIGNER
from volition.errors import ProofError
from volition.learning.model_signature import sign_model, signing_key, verify_model_signature
from volition.ledger.signing import Signer

FILES = {"settings.json": b"{}", "arrays.npz": b"numbers", "words.txt": b"one\ntwo\n"}
DIGESTS = {name: sha256(data).hexdigest() for name, data in FILES.items()}
OTHER = Signer.from_seed("log.example/other", bytes(32))


def verify(folder):
    program = Path(sys.executable).with_name("model_signing")
    command = [program, "verify", "key", folder / "model"]
    options = ["--signature", folder / "model.sig", "--public_key", folder / "model.pub"]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_openssfs_own_program_verifies_it_and_notices_a_changed_file_and_another_key(tmp_path):
    pytest.importorskip("model_signing")
    (tmp_path / "model").mkdir()
    for name, data in FILES.items():
        (tmp_path / "model" / name).write_bytes(data)
    (tmp_path / "model.sig").write_bytes(sign_model("search-1", DIGESTS, SIGNER))
    (tmp_path / "model.pub").write_text(signing_key(SIGNER))
    good = verify(tmp_path)
    assert good.returncode == 0, good.stderr
    (tmp_path / "model.pub").write_text(signing_key(OTHER))
    assert verify(tmp_path).returncode != 0
    (tmp_path / "model.pub").write_text(signing_key(SIGNER))
    (tmp_path / "model" / "words.txt").write_bytes(b"one\n")
    changed = verify(tmp_path).stderr
    assert "Hash mismatch" in changed
    assert "words.txt" in changed


def test_a_signature_is_of_these_files_by_this_key_and_of_nothing_else():
    signature, key = sign_model("search-1", DIGESTS, SIGNER), signing_key(SIGNER)
    verify_model_signature(signature, key, name="search-1", files=DIGESTS)
    for changed in ({**DIGESTS, "words.txt": "00" * 32}, {**DIGESTS, "more.txt": "00" * 32}, {"words.txt": "00" * 32}):
        with pytest.raises(ProofError, match="of other files"):
            verify_model_signature(signature, key, name="search-1", files=changed)
    with pytest.raises(ProofError, match="not by the key"):
        verify_model_signature(signature, signing_key(OTHER), name="search-1", files=DIGESTS)
    with pytest.raises(ProofError, match="no Sigstore bundle"):
        verify_model_signature(b"{}", key, name="search-1", files=DIGESTS)


def test_the_key_is_the_same_each_time_and_another_for_each_log():
    assert signing_key(SIGNER) == signing_key(SIGNER) != signing_key(OTHER)


@pytest.mark.parametrize("change", [str.strip, str.lower, lambda key: key + "\n", lambda _: ""])
def test_a_key_has_one_spelling(change):
    with pytest.raises(ProofError, match="key of the model"):
        verify_model_signature(
            sign_model("search-1", DIGESTS, SIGNER), change(signing_key(SIGNER)), name="search-1", files=DIGESTS
        )
