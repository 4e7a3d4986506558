r"""The one byte form of a value (RFC 8785), its digest, and the one form of an instant.

Everything that is hashed or signed passes through `canonical_json`, so two parties that hold the same value hold
the same bytes. An instant is an integer number of microseconds since the Unix epoch in UTC (`..._us`); outside the
process it is written as RFC 3339 text with microseconds and a `Z`, which also sorts as text.

    >>> canonical_json({"b": 1, "a": "é"})
    b'{"a":"\xc3\xa9","b":1}'
    >>> us_to_text(0)
    '1970-01-01T00:00:00.000000Z'
"""

import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785

from volition.errors import InvalidInputError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SAFE_INTEGER = 2**53 - 1
_PLAIN = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Return the RFC 8785 bytes of a JSON value.

    Raises:
        InvalidInputError: The value has no JSON form (a NaN, an integer beyond 2^53, a non-text key,
            half a surrogate pair, nesting without end).
    """
    try:
        if _is_plain(value):
            return _PLAIN.encode(value).encode()
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        msg = f"This value has no canonical JSON form: {error}. Use text for large or non-finite numbers."
        raise InvalidInputError(msg) from error


def _is_plain(value: object) -> bool:
    """Tell whether the standard library writes a value as RFC 8785 does, at a sixth of the time.

    It does where there is no fraction, no large integer, and no key that UTF-16 might sort elsewhere than Unicode does.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return -_SAFE_INTEGER <= value <= _SAFE_INTEGER  # type: ignore[operator] # known from its type
    if kind is dict:
        return all(type(key) is str and key.isascii() and _is_plain(item) for key, item in value.items())  # type: ignore[attr-defined]
    return (kind is list or kind is tuple) and all(map(_is_plain, value))  # type: ignore[call-overload]


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 lower-case hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def now_us() -> int:
    """Return the present instant in microseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1000


def us_to_text(at_us: int) -> str:
    """Write an instant as RFC 3339 text in UTC; `text_to_us` reads it back unchanged."""
    return us_to_datetime(at_us).isoformat(timespec="microseconds").replace("+00:00", "Z")


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
