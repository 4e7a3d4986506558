r"""The one byte form of a value (RFC 8785), its digest, the one form of an instant, and whole numbers that are sent.

Everything that is hashed or signed passes through `canonical_json`, so two parties that hold the same value hold
the same bytes. An instant is an integer number of microseconds since the Unix epoch in UTC (`..._us`); outside the
process it is written as RFC 3339 text with microseconds and a `Z`, which also sorts as text.

    >>> canonical_json({"b": 1, "a": "é"})
    b'{"a":"\xc3\xa9","b":1}'
    >>> us_to_text(0)
    '1970-01-01T00:00:00.000000Z'
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import rfc8785

from volition.errors import InvalidInputError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE = _EPOCH.replace(tzinfo=None)  # writing a zone takes as long as writing the rest
_MICROSECOND = timedelta(microseconds=1)
_SAFE_INTEGER = 2**53 - 1
_LEAST_PLAIN, _MOST_PLAIN = 1e-4, 1e15  # fractions in between are written without an exponent, shortest form alike
_CONTAINERS = frozenset((dict, list, tuple))
_MOST_DIGITS = 18  # so that it fits into 64 bits


def canonical_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Return the RFC 8785 bytes of a JSON value.

    Raises:
        InvalidInputError: The value has no JSON form (a NaN, an integer beyond 2^53, a non-text key,
            half a surrogate pair, nesting without end).
    """
    try:
        plain = plain_json(value)
        return rfc8785.dumps(value) if plain is None else plain
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        msg = f"This value has no canonical JSON form: {error}. Use text for large or non-finite numbers."
        raise InvalidInputError(msg) from error


def plain_json(value: object, levels: int = -1) -> bytes | None:
    """Return the RFC 8785 bytes of a value that is plain, at a twentieth of the reference implementation's time.

    A value is plain without a large integer, a key that UTF-16 might sort elsewhere than Unicode does, or a number with
    an exponent or of floating point that is whole, which the two write in their own ways.

    Args:
        value: Any value.
        levels: The deepest nesting of objects and lists that is taken; negative: any that Python's stack takes.

    Returns:
        The bytes; none if the value is not plain, or deeper, and nothing is said about whether it has a form.

    Raises:
        UnicodeEncodeError: A text has half a surrogate pair.
        RecursionError: The value is deeper than the stack.
    """
    return _encode()(value) if _is_plain(value, levels) else None


@cache
def _encode() -> Callable[[object], bytes]:
    from msgspec.json import Encoder  # noqa: PLC0415 - it takes longer to load than a command's help may take

    return Encoder(order="sorted").encode


def _is_plain(value: object, levels: int) -> bool:
    """Tell whether a value is plain; what most values hold is looked at in place, without a call each."""
    kind = type(value)
    if kind is dict:
        try:
            ascii_keys = "".join(value).isascii()  # type: ignore[arg-type] # known from its type
        except TypeError:  # a key that is no text
            return False
        return ascii_keys and levels != 0 and _are_plain(value.values(), levels - 1)  # type: ignore[attr-defined]
    if kind is list or kind is tuple:
        return levels != 0 and _are_plain(value, levels - 1)  # type: ignore[arg-type] # known from its type
    return _are_plain((value,), 0)


def _are_plain(values: Iterable[Any], levels: int) -> bool:
    for item in values:
        kind = type(item)
        if kind is str or item is None or kind is bool:
            continue
        if kind is float:
            if item.is_integer() or not _LEAST_PLAIN <= abs(item) < _MOST_PLAIN:
                return False
        elif kind is int:
            if not -_SAFE_INTEGER <= item <= _SAFE_INTEGER:
                return False
        elif kind not in _CONTAINERS or not _is_plain(item, levels):
            return False
    return True


def digest(data: bytes | memoryview) -> str:
    """Return the SHA-256 of `data` as 64 lower-case hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def whole_number(text: str) -> int | None:
    """Return the whole number, from 0 on, that a text of digits is; none for any other text, however long.

    Python reads digits of every script as a number, and raises for some thousands of them.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def now_us() -> int:
    """Return the present instant in microseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1000


def us_to_text(at_us: int) -> str:
    """Write an instant as RFC 3339 text in UTC; `text_to_us` reads it back unchanged."""
    return (_EPOCH_WITHOUT_ZONE + timedelta(microseconds=at_us)).isoformat(timespec="microseconds") + "Z"


def text_to_us(text: str) -> int:
    """Read RFC 3339 text (a date alone means its first instant in UTC) as microseconds since the Unix epoch.

    Raises:
        InvalidInputError: The text is no instant, or has a time of day without a time zone.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is not an instant. Write it like 2026-01-31 or 2026-01-31T09:30:00Z."
        raise InvalidInputError(msg) from error
    if instant.tzinfo is None:
        if "T" in text or ":" in text:
            msg = f"{text!r} has no time zone, so its instant is unknown. Add Z for UTC, or an offset like +02:00."
            raise InvalidInputError(msg)
        instant = instant.replace(tzinfo=UTC)
    return datetime_to_us(instant)


def datetime_to_us(instant: datetime) -> int:
    """Return a time-zone-aware datetime as microseconds since the Unix epoch.

    Raises:
        InvalidInputError: The datetime carries no time zone.
    """
    if instant.tzinfo is None:
        msg = f"{instant.isoformat()} has no time zone; all times are UTC-aware. Use datetime(..., tzinfo=UTC)."
        raise InvalidInputError(msg)
    return (instant - _EPOCH) // _MICROSECOND


def us_to_datetime(at_us: int) -> datetime:
    """Return an instant as a UTC-aware datetime."""
    return _EPOCH + timedelta(microseconds=at_us)
