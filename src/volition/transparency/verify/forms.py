"""The one form in which evidence is written: whatever is spelt another way is refused, so that nothing hides in it.

Python reads "AB", "a b" and "ab" as the same bytes, true as 1, and of two keys of one name the second. Here each is an
error.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from volition.canonical import canonical_json
from volition.errors import InvalidInputError, ProofError
from volition.ledger.merkle import HASH_BYTES

_HEX: Final = re.compile(r"[0-9a-f]*")
_PSEUDONYM: Final = re.compile(r"[0-9a-f]{32}")


def read_canonical(data: bytes, what: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON that is in its canonical form (RFC 8785).

    Raises:
        ProofError: It is no JSON, or not in that form: with blanks, a key twice, or a number spelt another way.
    """
    try:
        value = json.loads(data)
        whole = canonical_json(value) == data
    except (ValueError, RecursionError, InvalidInputError) as error:
        raise ProofError(f"{what} cannot be read: {error}.") from error
    if not whole:
        raise ProofError(f"{what} is not in the canonical form of JSON (RFC 8785), in which it was written.")
    return value


def read_document(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON document, in which no key comes twice and every number is finite.

    Raises:
        ValueError: It is no such document.
    """
    return json.loads(data, object_pairs_hook=_once, parse_constant=_refuse)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "a key comes twice"
        raise ValueError(msg)
    return found


def _refuse(name: str) -> Any:  # noqa: ANN401 - it returns nothing
    msg = f"{name} is no number of JSON"
    raise ValueError(msg)


def fields(value: Any, what: str, names: Collection[str], optional: Collection[str] = ()) -> Mapping[str, Any]:  # noqa: ANN401 - any JSON value
    """Return a JSON object that has exactly these keys.

    Raises:
        ProofError: It is no object, lacks a key, or has one of which nothing here says what it means.
    """
    if not isinstance(value, Mapping):
        raise ProofError(f"{what} is no JSON object.")
    missing = sorted(set(names) - value.keys())
    if missing:
        raise ProofError(f"{what} does not say: {', '.join(missing)}.")
    strange = sorted(value.keys() - set(names) - set(optional))
    if strange:
        raise ProofError(f"{what} says what no reader knows: {', '.join(strange)}.")
    return value


def text(value: Any, what: str) -> str:  # noqa: ANN401 - any JSON value
    """Return a text. Raises ProofError where it is something else."""
    if not isinstance(value, str):
        raise ProofError(f"{what} is no text.")
    return value


def count(value: Any, what: str) -> int:  # noqa: ANN401 - any JSON value
    """Return a whole number from 0 on. Raises ProofError where it is something else, such as true or 1.0."""
    if type(value) is not int or value < 0:
        raise ProofError(f"{what} is no whole number.")
    return value


def from_hex(value: Any, what: str) -> bytes:  # noqa: ANN401 - any JSON value
    """Return the hash that 64 lower-case hexadecimal digits spell. Raises ProofError for any other spelling."""
    if not isinstance(value, str) or len(value) != 2 * HASH_BYTES or not _HEX.fullmatch(value):
        raise ProofError(f"{what} is no hash: 64 lower-case hexadecimal digits.")
    return bytes.fromhex(value)


def hashes(value: Any, what: str) -> list[bytes]:  # noqa: ANN401 - any JSON value
    """Return a list of hashes. Raises ProofError where it is something else."""
    if not isinstance(value, list):
        raise ProofError(f"{what} is no list of hashes.")
    return [from_hex(one, what) for one in value]


def pseudonym(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a pseudonym: 32 lower-case hexadecimal digits.

    Raises:
        ProofError: It is spelt another way. A proof of somebody's absence under a misspelt name would prove nothing.
    """
    if not isinstance(value, str) or not _PSEUDONYM.fullmatch(value):
        raise ProofError(f"{value!r} is no pseudonym, which has 32 lower-case hexadecimal digits: it names nobody.")
    return value


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Return whether two JSON values are the same, of one type throughout: true is not 1."""
    return canonical_json(one) == canonical_json(other)
