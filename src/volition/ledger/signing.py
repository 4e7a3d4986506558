"""Ed25519 signatures in the two public formats that Volition uses: signed notes (with checkpoints) and DSSE envelopes.

- A name is part of a key: a signature under one name is never accepted under another.
- Verify first, then parse the very bytes that were verified; whatever was received, only `ProofError` is raised.
- One value has one spelling (base64 without stray bits, no second form of a number), so no byte of a verified note
  can be changed unnoticed.
- Signatures by unknown keys are ignored; a failing one by a known key rejects the whole.

    >>> signer = Signer.from_seed("log.example/volition", bytes(range(32)))
    >>> note = sign_note(checkpoint_text(Checkpoint(origin=signer.key.name, size=0, root=bytes(32))), signer)
    >>> parse_checkpoint(open_note(note, signer.key).text).size
    0

Sources: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature, DSSE 1.0.2.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from volition.errors import InvalidInputError, ProofError

MAX_SIGNATURES = 100
"""More signatures than this on one note or envelope are refused, so that a reader's work stays bounded."""

_DASH = "\N{EM DASH} "
_KEY_BYTES = _HASH_BYTES = 32
_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")  # 19 digits: any size that fits a signed 64-bit integer
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")  # all but newline, and what UTF-8 cannot write


class KeyKind(IntEnum):
    """What a key signs, as the first byte of its public form."""

    NOTE = 0x01
    """The text of a note, as a log does."""
    COSIGNATURE = 0x04
    """A checkpoint at a time, as a witness does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key and the name it signs under.

    Attributes:
        name: Whom it belongs to, without spaces and plus signs; for a log, its origin.
        public: The Ed25519 public key, 32 bytes.
        kind: What it signs.
    """

    name: str
    public: bytes
    kind: KeyKind = KeyKind.NOTE

    def __post_init__(self) -> None:
        """Refuse a name or a key that no reader of notes would accept."""
        if not _is_name(self.name):
            raise InvalidInputError(f"{self.name!r} cannot name a key: use text without spaces and plus signs.")
        if len(self.public) != _KEY_BYTES:
            raise InvalidInputError(f"The key of {self.name} has {len(self.public)} bytes; Ed25519 keys have 32.")

    @property
    def id(self) -> bytes:
        """The key's identity within its name, 4 bytes."""
        return _key_id(self.name, self._typed)

    @property
    def _typed(self) -> bytes:
        return bytes([self.kind]) + self.public

    def to_text(self) -> str:
        """Write the key as a C2SP verifier key, `NAME+ID+BASE64`; `from_text` reads it back unchanged."""
        return f"{self.name}+{self.id.hex()}+{to_base64(self._typed)}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a C2SP verifier key.

        Raises:
            InvalidInputError: The text is no such key, or its parts do not belong together.
        """
        name, _, rest = text.strip().partition("+")
        typed = from_base64(rest.partition("+")[2])
        try:
            key = cls(name=name, public=typed[1:], kind=KeyKind(typed[0])) if typed else None
        except ValueError:  # a kind of key that came after this program
            key = None
        if key is None or key.to_text() != text.strip():
            raise InvalidInputError(f"{text!r} is no verifier key. Copy it whole; it looks like NAME+1234abcd+BASE64.")
        return key

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check an Ed25519 signature over `message`.

        Raises:
            ProofError: This key did not sign this message.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise ProofError(f"The signature is not by {self.name}, or what it signed was changed since.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A private key with its public half.

    Attributes:
        key: The public half.
    """

    key: VerifierKey
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def from_seed(cls, name: str, seed: bytes, kind: KeyKind = KeyKind.NOTE) -> Self:
        """Make the signer of a name from 32 secret random bytes.

        Raises:
            InvalidInputError: The seed has another length, or the name has a space or a plus sign.
        """
        if len(seed) != _KEY_BYTES:
            raise InvalidInputError(f"The seed of {name} has {len(seed)} bytes; it takes 32 random ones.")
        private = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(
            key=VerifierKey(name=name, public=private.public_key().public_bytes_raw(), kind=kind), _private=private
        )

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of `message`."""
        return self._private.sign(message)

    def derived_secret(self, use: str) -> bytes:
        """Return 32 secret bytes for another use of this signer: the same each time, and telling nothing of the key.

        Source: HKDF-Expand with SHA-256 and one block, RFC 5869, section 2.3.
        """
        return hmac.digest(self._private.private_bytes_raw(), f"volition/{use}\x01".encode(), "sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """A signature that verified.

    Attributes:
        key: Who signed.
        at_s: For a cosignature, when its witness says it saw the checkpoint, seconds since the Unix epoch; else none.
    """

    key: VerifierKey
    at_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedNote:
    """A note's text, and the known keys that signed it: at least one, each once."""

    text: str
    signatures: tuple[NoteSignature, ...]


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a log claims to be; a `Struct`, since it is quick to make, and every append makes one.

    Attributes:
        origin: The log's name, which is also its key's.
        size: How many entries it has.
        root: Root of the Merkle tree over them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEnvelope:
    """A payload whose signature verified, and how to read it."""

    payload_type: str
    payload: bytes


def sign_note(text: str, *signers: Signer) -> str:
    """Return the text as a note with one signature line for each signer.

    Raises:
        InvalidInputError: The text does not end with a newline or has control characters, or nobody signs, or a
            witness does (`cosign` is for them).
    """
    if not text.endswith("\n") or _CONTROL.search(text):
        raise InvalidInputError("A note's text ends with a newline and has no other control characters.")
    if not signers or any(signer.key.kind != KeyKind.NOTE for signer in signers):
        raise InvalidInputError("A note is signed by at least one key, none of them a witness's: those cosign.")
    return f"{text}\n" + "".join(_signature_line(signer.key, signer.sign(text.encode())) for signer in signers)


def cosign(note: str, witness: Signer, at_s: int) -> str:
    """Return the note with a witness's signature added, made at `at_s` seconds since the Unix epoch.

    The witness must have verified the note, and that it extends the last one it cosigned, before.

    Raises:
        InvalidInputError: The signer is no witness, or the time does not fit 64 bits.
        ProofError: `note` is no note.
    """
    if witness.key.kind != KeyKind.COSIGNATURE:
        raise InvalidInputError(f"{witness.key.name} is no witness: its key signs notes.")
    if not 0 <= at_s < 1 << 8 * _TIME_BYTES:
        raise InvalidInputError(f"{at_s} is no time in seconds since 1970.")
    text, _ = _split_note(note)
    return note + _signature_line(witness.key, at_s.to_bytes(_TIME_BYTES, "big") + witness.sign(_cosigned(text, at_s)))


def open_note(note: str | bytes, *keys: VerifierKey) -> VerifiedNote:
    """Verify a note with the keys that are trusted.

    Raises:
        ProofError: It is no note, or a known key's signature fails, or no known key signed it.
    """
    text, lines = _split_note(note)
    known = {(key.name, key.id): key for key in keys}
    verified: dict[VerifierKey, NoteSignature] = {}
    for name, signature in lines:
        key = known.get((name, signature[:_KEY_ID_BYTES]))
        if key is not None:
            verified[key] = _verify_note_signature(key, text, signature[_KEY_ID_BYTES:])
    if not verified:
        names = ", ".join(key.name for key in keys) or "nobody"
        raise ProofError(
            f"The note is not signed by a key that is trusted here ({names}). Check that the key is right."
        )
    return VerifiedNote(text=text, signatures=tuple(verified.values()))


def signature_lines(note: str, *keys: VerifierKey) -> tuple[str, ...]:
    """Return the lines by which some keys signed a note, each verified, with its newline; none of anybody else's.

    Raises:
        ProofError: It is no note, or a known key's signature fails.
    """
    text, lines = _split_note(note)
    known = {(key.name, key.id): key for key in keys}
    found: dict[str, None] = {}
    for name, signature in lines:
        key = known.get((name, signature[:_KEY_ID_BYTES]))
        if key is not None:
            _verify_note_signature(key, text, signature[_KEY_ID_BYTES:])
            found[f"{_DASH}{name} {to_base64(signature)}\n"] = None
    return tuple(found)


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """Write a checkpoint as a note's text; `parse_checkpoint` reads it back unchanged."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{to_base64(checkpoint.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint from a verified note's text.

    Raises:
        ProofError: The text is not exactly a checkpoint's three lines.
    """
    lines = text.split("\n")
    if len(lines) == 4 and _is_name(lines[0]) and _SIZE.fullmatch(lines[1]) and not lines[3]:
        root = from_base64(lines[2])
        if len(root) == _HASH_BYTES:
            return Checkpoint(origin=lines[0], size=int(lines[1]), root=root)
    raise ProofError("The text is no checkpoint: it should be three lines with origin, size and root.")


def open_checkpoint(note: str | bytes, key: VerifierKey) -> Checkpoint:
    """Return what a checkpoint says that a log's key signed, and that is of the log that the key names.

    Raises:
        ProofError: It is no such checkpoint.
    """
    checkpoint = parse_checkpoint(open_note(note, key).text)
    if checkpoint.origin != key.name:
        raise ProofError(f"The checkpoint belongs to the log {checkpoint.origin}, the key to {key.name}.")
    return checkpoint


def sign_envelope(payload_type: str, payload: bytes, *signers: Signer) -> dict[str, Any]:
    """Return the payload in a DSSE envelope, as a JSON value.

    Raises:
        InvalidInputError: Nobody signs, or the payload's type cannot be written as UTF-8.
    """
    if not signers or _CONTROL.search(payload_type):
        raise InvalidInputError("An envelope has a printable payload type and at least one signer.")
    message = _pre_authentication_encoding(payload_type, payload)
    return {
        "payload": to_base64(payload),
        "payloadType": payload_type,
        "signatures": [{"keyid": signer.key.id.hex(), "sig": to_base64(signer.sign(message))} for signer in signers],
    }


def open_envelope(envelope: Any, key: VerifierKey) -> VerifiedEnvelope:  # noqa: ANN401 - any JSON value may arrive
    """Verify a DSSE envelope, given as a JSON value, with the key that must have signed it.

    The `keyid` in an envelope is only a hint that anyone could have written, so it is not looked at.

    Raises:
        ProofError: It is no envelope, or this key did not sign it.
    """
    match envelope:
        case {"payload": str(payload_text), "payloadType": str(payload_type), "signatures": list(signatures)}:
            payload = from_base64(payload_text, url_safe_too=True)
        case _:
            raise ProofError("This is no DSSE envelope: it needs payload, payloadType and signatures.")
    if (payload_text and not payload) or _CONTROL.search(payload_type) or len(signatures) > MAX_SIGNATURES:
        raise ProofError("The envelope is malformed: its payload, its type or its signatures cannot be read.")
    message = _pre_authentication_encoding(payload_type, payload)
    if not any(_is_signed(message, signature, key) for signature in signatures):
        raise ProofError(
            f"The envelope is not signed by {key.name}, or was changed since. Check that the key is right."
        )
    return VerifiedEnvelope(payload_type=payload_type, payload=payload)


def _is_signed(message: bytes, signature: Any, key: VerifierKey) -> bool:  # noqa: ANN401 - any JSON value may arrive
    if not isinstance(signature, Mapping) or not isinstance(signature.get("sig"), str):
        return False
    try:
        key.verify(message, from_base64(signature["sig"], url_safe_too=True))
    except ProofError:
        return False
    return True


def _pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that DSSE signs, in which no part can be taken for another."""
    typed = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(typed), typed, len(payload), payload)


def _verify_note_signature(key: VerifierKey, text: str, signature: bytes) -> NoteSignature:
    if key.kind == KeyKind.NOTE:
        key.verify(text.encode(), signature)
        return NoteSignature(key=key)
    at_s = int.from_bytes(signature[:_TIME_BYTES], "big")
    key.verify(_cosigned(text, at_s), signature[_TIME_BYTES:])
    return NoteSignature(key=key, at_s=at_s)


def _cosigned(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


@lru_cache(maxsize=64)  # a log signs every append with the same key
def _key_id(name: str, typed: bytes) -> bytes:
    return hashlib.sha256(f"{name}\n".encode() + typed).digest()[:_KEY_ID_BYTES]


def _signature_line(key: VerifierKey, signature: bytes) -> str:
    return f"{_DASH}{key.name} {to_base64(key.id + signature)}\n"


def _split_note(note: str | bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """Take a note apart, verifying nothing.

    Returns:
        Its text with the final newline, and for each signature line the name and the key id with the signature.
    """
    try:
        note = note if isinstance(note, str) else note.decode()
    except UnicodeDecodeError as error:
        raise ProofError("The note is not UTF-8 text.") from error
    text, separator, block = note.rpartition("\n\n")
    lines = block.split("\n")
    if not separator or _CONTROL.search(note) or lines.pop() or not 0 < len(lines) <= MAX_SIGNATURES:
        raise ProofError("This is no signed note: text, an empty line and signature lines, each ended by a newline.")
    return f"{text}\n", [_split_signature_line(line) for line in lines]


def _split_signature_line(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    signature = from_base64(encoded)
    if not line.startswith(_DASH) or not _is_name(name) or len(signature) <= _KEY_ID_BYTES:
        raise ProofError(f"This is no signature line of a note: {line[:80]!r}.")
    return name, signature


def _is_name(text: str) -> bool:
    """Return whether text can name a key: not empty, no spaces of any script, no plus signs, no control characters."""
    return bool(text) and "+" not in text and not any(char.isspace() for char in text) and not _CONTROL.search(text)


def to_base64(data: bytes) -> str:
    """Write bytes in the standard base64; `from_base64` reads them back unchanged."""
    return base64.b64encode(data).decode()


def from_base64(text: str, *, url_safe_too: bool = False) -> bytes:
    """Decode the one base64 spelling of some bytes; anything else gives no bytes, which no caller accepts."""
    standard = text.replace("-", "+").replace("_", "/") if url_safe_too else text
    try:
        data = base64.b64decode(standard)
    except ValueError:
        return b""
    return data if to_base64(data) == standard else b""  # decoding skips strange characters and stray last bits
