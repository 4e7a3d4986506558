"""Model signatures (OpenSSF model signing): the files of a released model, signed so that foreign tools verify them.

A signature is a Sigstore bundle 0.3 with an in-toto statement in it that lists every file with its digest. Its keys are
P-256, which is what verifiers take; this one is derived from the log's own key, so there is no further secret to keep,
and the card names its public half, so the log vouches for it.

    cd releases/MODEL
    model_signing verify key ../../models/MODEL/model --signature model.sig --public_key model.pub

The bundle is written here, in a page: the package that verifies it brings some forty others, and is a test's.

Sources: github.com/sigstore/model-transparency (predicate `https://model_signing/signature/v1.0`), Sigstore bundle 0.3,
DSSE 1.0.2.
"""

import base64
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from volition.canonical import canonical_json
from volition.errors import ProofError
from volition.ledger.signing import Signer

SIGNATURE_TYPE: Final = "https://model_signing/signature/v1.0"

_BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PAYLOAD: Final = "application/vnd.in-toto+json"
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256, FIPS 186-5


def signing_key(signer: Signer) -> str:
    """Return the public key of an operator's model signatures, as PEM."""
    return _pem(_private_key(signer).public_key())


def sign_model(name: str, files: Mapping[str, str], signer: Signer) -> bytes:
    """Return the signature of a model's files.

    Args:
        name: The model's id.
        files: The SHA-256 of each file, in hexadecimal.
        signer: The log's signer.
    """
    private = _private_key(signer)
    payload = canonical_json(_statement(name, files))
    signature = private.sign(_pre_authentication_encoding(payload), ec.ECDSA(hashes.SHA256()))
    return _bundle(payload, signature, _pem(private.public_key()))


def verify_model_signature(signature: bytes, key: str, *, name: str, files: Mapping[str, str]) -> None:
    """Verify that a key signed exactly these files as a model.

    Args:
        signature: What `sign_model` returned.
        key: The public key, as PEM.
        name: The model's id.
        files: The SHA-256 of each file, in hexadecimal.

    Raises:
        ProofError: It did not, or it is no signature of this form: spelt another way, or with something beside it.
    """
    public = read_signing_key(key)
    try:
        envelope = json.loads(signature)["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        [signed] = envelope["signatures"]
        value = base64.b64decode(signed["sig"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise ProofError("The signature of the model is no Sigstore bundle with one signature.") from error
    try:
        public.verify(value, _pre_authentication_encoding(payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise ProofError("The signature of the model is not by the key that the card names.") from error
    if payload != canonical_json(_statement(name, files)):
        raise ProofError("The signature of the model is of other files than the card names.")
    if signature != _bundle(payload, value, key):
        raise ProofError("The signature of the model is not in its one form, or says something more.")


def read_signing_key(key: object) -> ec.EllipticCurvePublicKey:
    """Return a P-256 key from its one spelling as PEM.

    Raises:
        ProofError: It is none.
    """
    try:
        public = load_pem_public_key(str(key).encode())
    except ValueError as error:
        raise ProofError("The key of the model's signature cannot be read.") from error
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1" or _pem(public) != key:
        raise ProofError("The key of the model's signature is no P-256 key in PEM.")
    return public


def _private_key(signer: Signer) -> ec.EllipticCurvePrivateKey:
    """Return the key of an operator's model signatures; of 512 bits, the scalar is as good as evenly drawn."""
    drawn = b"".join(signer.derived_secret(f"model-signing/p-256/{half}") for half in (1, 2))
    return ec.derive_private_key(int.from_bytes(drawn) % (_ORDER - 1) + 1, ec.SECP256R1())


def _pem(public: ec.EllipticCurvePublicKey) -> str:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _statement(name: str, files: Mapping[str, str]) -> dict[str, Any]:
    """Return what is signed: every file by its digest, and as the subject's the digest of all digests, in order."""
    whole = sha256(b"".join(bytes.fromhex(files[one]) for one in sorted(files))).hexdigest()
    return {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": whole}}],
        "predicateType": SIGNATURE_TYPE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
            "resources": [{"name": one, "algorithm": "sha256", "digest": files[one]} for one in sorted(files)],
        },
    }


def _bundle(payload: bytes, signature: bytes, key: str) -> bytes:
    """Return the Sigstore bundle of a signature by a public key, given as PEM."""
    bundle = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": sha256(key.encode()).hexdigest()}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return canonical_json(bundle)


def _pre_authentication_encoding(payload: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)
