"""Entries: what the ledger holds, and what is to be appended, checked before it gets a place and a time.

An entry (the field also says event, or record of an audit log) is canonical JSON (RFC 8785); its hash is a leaf of the
Merkle tree.

What an entry says can often be guessed (one of some people said yes or no), and its hash is in proofs that others
hold. So each entry carries a random salt, which nobody has but those who have the entry. Logs of earlier versions
began without; there, an entry of kind `form` tells from where on each entry has one, and the older entries stay as
they are: `check_form` holds a log to that.

    >>> Entry(seq=0, at_us=0, kind="region", body={"party": "account:acme", "region": "GB"}).leaf_bytes.decode()[:53]
    '{"at":"1970-01-01T00:00:00.000000Z","body":{"party":"'
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

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
    "collect",
    "access",
    "mapping",
    "notice",
    "form",
    "snapshot",
    "model",
    "release",
    "forgetting",
    "erasure",
    "removal",
)
"""Every kind of entry. A reader refuses others: what it does not understand, it must not pass over."""

SALT_BYTES = 16
"""Enough that nobody guesses one."""

FORM = 2
"""The form of an entry with a salt, as an entry of kind `form` names it."""

MAX_ENTRY_BYTES = 65_535
"""Longer entries are refused: the tiles in which a log is published give their length in 16 bits."""

MAX_DEPTH = 64
"""Bodies nested deeper are refused: what every reader must be able to read must not depend on a reader's stack."""

_SALT: Final = re.compile(r"[0-9a-f]{32}")
_KNOWN: Final = frozenset(KINDS)

_Whole = Annotated[int, msgspec.Meta(ge=1 - 2**53, le=2**53 - 1)]
_Flat = str | _Whole | bool | None
_Shallow = _Flat | list[_Flat] | dict[str, _Flat]
_Body = dict[str, _Flat | list[_Shallow] | dict[str, _Shallow]]
"""What nearly every body is: no fractions, no large integers, not deep; each level would double the decoder."""

_WRITER: Final = msgspec.json.Encoder(order="sorted")
_READER: Final = msgspec.json.Decoder(_Body)

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
        salt: Random, 32 lower-case hexadecimal digits; none in entries of early logs.
    """

    seq: int
    at_us: int
    kind: str
    body: dict[str, Any]
    salt: str | None = None

    @property
    def leaf_bytes(self) -> bytes:
        """The entry as it is stored and hashed; `from_leaf` reads it back unchanged.

        Raises:
            InvalidInputError: The body has no canonical JSON form.
        """
        value = {"at": us_to_text(self.at_us), "body": self.body, "kind": self.kind, "seq": self.seq}
        return canonical_json(value if self.salt is None else {**value, "salt": self.salt})

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
                case {"at": str(at), "body": dict(body), "kind": str(kind), "seq": int(seq), **rest} if kind in KINDS:
                    salt = rest.pop("salt", None)
                    if not rest and (salt is None or (isinstance(salt, str) and _SALT.fullmatch(salt))):
                        return cls(seq=seq, at_us=text_to_us(at), kind=kind, body=body, salt=salt)
        except (ValueError, RecursionError, InvalidInputError) as error:
            raise ProofError(f"An entry cannot be read ({error}): {TAMPERED}") from error
        raise ProofError("An entry is of an unknown kind or form. A newer version of Volition may have written it.")


def check_form(entry: Entry, before: Entry | None) -> None:
    """Check that an entry has the form that its place asks for, given the one before it; none before the first.

    Raises:
        ProofError: It lacks its salt, or the change to entries with a salt is not recorded, or is where none is.
    """
    expected = boundary(entry.seq) if before is not None and before.salt is None and entry.salt else None
    if entry.salt is None and before is not None and before.salt is not None:
        raise ProofError(f"Entry {entry.seq} has no salt, though the entry before it has one: {TAMPERED}")
    if (entry.kind == "form") != (expected is not None) or (expected and entry.body != expected.body):
        raise ProofError(f"Entry {entry.seq} does not record where entries with a salt begin as it should: {TAMPERED}")


def boundary(unsalted: int) -> NewEntry:
    """Return the entry that records that all entries before it, so many, have no salt, and all from it on have one."""
    return NewEntry(kind="form", body={"form": FORM, "unsalted": unsalted})


class PreparedEntry(msgspec.Struct, frozen=True):
    """A new entry that was checked: its body as canonical JSON, and as the one who appends it gets it back."""

    kind: str
    body_bytes: bytes
    body: dict[str, Any]


def prepare(new: Sequence[NewEntry]) -> list[PreparedEntry]:
    """Check new entries, and write their bodies down.

    Raises:
        InvalidInputError: A kind is unknown, or a body is no JSON object, has no canonical form or is nested too deep.
    """
    bodies = []
    for one in new:
        if one.kind not in _KNOWN:
            raise InvalidInputError(f"{one.kind!r} is no kind of entry. Use one of: {', '.join(KINDS)}.")
        if not isinstance(one.body, dict):
            raise InvalidInputError(f"The body of a {one.kind} is a JSON object, not {one.body!r}.")
        bodies.append(one.body)
    written = _write_common(bodies)
    if written is None:
        return [_prepare_any(one.kind, one.body) for one in new]
    return [PreparedEntry(one.kind, line, body) for one, (line, body) in zip(new, written, strict=True)]


def _write_common(bodies: list[dict[str, Any]]) -> list[tuple[bytes, dict[str, Any]]] | None:
    """Return each body as canonical JSON, and as that reads; none if it takes more care to write one of them.

    They are written and read back together, which tells as well whether they hold anything else than JSON: that does
    not come back equal. All that this encoder writes otherwise than RFC 8785 asks for is numbers that `_Body` refuses,
    and the order of keys that are not ASCII.
    """
    try:
        lines = _WRITER.encode_lines(bodies)
        if not lines.isascii():
            return None
        read = _READER.decode_lines(lines)
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
        return None
    return [*zip(lines.split(b"\n"), read, strict=False)] if read == bodies else None  # the last line ends, too


def _prepare_any(kind: str, body: dict[str, Any]) -> PreparedEntry:
    """Check one entry's body, whatever it is, and write it down."""
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
