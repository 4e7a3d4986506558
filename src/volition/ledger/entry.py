"""Entries: what the ledger holds, and what is to be appended, checked before it gets a place and a time.

An entry (the field also says event, or record of an audit log) is canonical JSON (RFC 8785); its hash is a leaf of the
Merkle tree.

    >>> Entry(seq=0, at_us=0, kind="region", body={"party": "account:acme", "region": "GB"}).leaf_bytes.decode()[:53]
    '{"at":"1970-01-01T00:00:00.000000Z","body":{"party":"'
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from volition.canonical import canonical_json, plain_json, text_to_us, us_to_text
from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle

KINDS = (
    "terms",
    "acceptance",
    "decision",
    "region",
    "identity",
    "signal",
    "limit",
    "sharing",
    "exclusion",
    "mapping",
    "notice",
    "snapshot",
    "model",
    "release",
    "forgetting",
    "erasure",
)
"""Every kind of entry. A reader refuses others: what it does not understand, it must not pass over."""

MAX_ENTRY_BYTES = 65_535
"""Longer entries are refused: the tiles in which a log is published give their length in 16 bits."""

MAX_DEPTH = 64
"""Bodies nested deeper are refused: what every reader must be able to read must not depend on a reader's stack."""

TAMPERED: Final = (
    "the ledger was changed behind its back. Restore it from a copy that verifies, and find out who wrote to it."
)
"""How a message ends that reports tampering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """An entry to append: what it says, before the ledger gives it a place and a time."""

    kind: str
    body: dict[str, Any]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was decided or done.

    It is a `Struct` since a data class takes ten times as long to make, and every append makes its entries.

    Attributes:
        seq: Its place in the ledger, counted from 0.
        at_us: When it was appended, microseconds since the Unix epoch, UTC.
        kind: One of `KINDS`.
        body: A JSON object; what it holds depends on the kind.
    """

    seq: int
    at_us: int
    kind: str
    body: dict[str, Any]

    @property
    def leaf_bytes(self) -> bytes:
        """The entry as it is stored and hashed; `from_leaf` reads it back unchanged.

        Raises:
            InvalidInputError: The body has no canonical JSON form.
        """
        value = {"at": us_to_text(self.at_us), "body": self.body, "kind": self.kind, "seq": self.seq}
        return canonical_json(value)

    @property
    def leaf_hash(self) -> bytes:
        """The entry's hash as a leaf of the tree, 32 bytes."""
        return merkle.leaf_hash(self.leaf_bytes)

    @classmethod
    def from_leaf(cls, leaf_bytes: bytes) -> Self:
        """Read an entry.

        Raises:
            ProofError: The bytes are no entry that this ledger could have written.
        """
        try:
            match json.loads(leaf_bytes):
                case {"at": str(at), "body": dict(body), "kind": str(kind), "seq": int(seq)} if kind in KINDS:
                    return cls(seq=seq, at_us=text_to_us(at), kind=kind, body=body)
        except (ValueError, RecursionError, InvalidInputError) as error:
            raise ProofError(f"An entry cannot be read ({error}): {TAMPERED}") from error
        raise ProofError("An entry is of an unknown kind or form. A newer version of Volition may have written it.")


class PreparedEntry(msgspec.Struct, frozen=True):
    """A new entry that was checked: its body as canonical JSON, and as the one who appends it gets it back."""

    kind: str
    body_bytes: bytes
    body: dict[str, Any]


def prepare(new: NewEntry) -> PreparedEntry:
    """Check a new entry, and write its body down.

    Raises:
        InvalidInputError: Its kind is unknown, or its body is no JSON object or nested too deep.
    """
    kind, body = new.kind, new.body
    if kind not in KINDS:
        raise InvalidInputError(f"{kind!r} is no kind of entry. Use one of: {', '.join(KINDS)}.")
    if not isinstance(body, dict):
        raise InvalidInputError(f"The body of a {kind} is a JSON object, not {body!r}.")
    try:
        plain = plain_json(body, MAX_DEPTH)
    except UnicodeEncodeError:  # `canonical_json` below says what is wrong with it
        plain = None
    if plain is not None:
        return PreparedEntry(kind, plain, msgspec.json.decode(plain))
    if _is_deeper(body, MAX_DEPTH):
        raise InvalidInputError(f"This {kind} is nested deeper than {MAX_DEPTH} levels. Make it flatter.")
    written = canonical_json(body)
    return PreparedEntry(kind, written, json.loads(written))


def _is_deeper(value: object, levels: int) -> bool:
    """Return whether a JSON value has more than so many levels of objects and lists; a cycle has."""
    if not isinstance(value, dict | list | tuple):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in inner)
