"""JSON, numbers, instants: one value has one spelling (docs/formats/index.md)."""

import base64
import hashlib
import json
import math
import re
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

Json: TypeAlias = Any  # whatever json.loads returns


Object: TypeAlias = dict[str, Any]


MALFORMED = (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, RecursionError, struct.error)


def digest_of(data: bytes) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _once(pairs: list[tuple[str, Json]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 20 else 2**64
    if abs(value) >= 2**53:
        raise ValueError("an integer is too large for JSON")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def parse(data: bytes | str) -> Json:
    """Read JSON in UTF-8; no key twice, no integer beyond 2^53 - 1."""
    text = data if isinstance(data, str) else data.decode()
    return json.loads(text, object_pairs_hook=_once, parse_int=_integer, parse_constant=_no_constant)


def _number(value: float) -> str:
    """A number as ECMAScript writes it (RFC 8785, 3.2.2.3)."""
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    if value == 0:
        return "0"
    sign, places, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, places))
    short = digits.rstrip("0")
    point = len(digits) + int(exponent)  # where the point stands, counted from the first digit
    if len(short) <= point <= 21:
        text = short + "0" * (point - len(short))
    elif 0 < point <= 21:
        text = f"{short[:point]}.{short[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + short
    else:
        text = short[0] + (f".{short[1:]}" if short[1:] else "") + f"e{point - 1:+d}"
    return "-" * sign + text


_text = json.JSONEncoder(ensure_ascii=False).encode


def _written(value: Json) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{_text(key)}:{_written(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return _number(value) if isinstance(value, float) else _text(value)


def canonical(value: Json) -> bytes:
    """RFC 8785."""
    return _written(value).encode()


def parse_canonical(data: bytes | str) -> Json:
    """Read JSON that is in canonical form, and refuse any other."""
    value = parse(data)
    if canonical(value) != (data.encode() if isinstance(data, str) else data):
        raise ValueError("it is not canonical JSON")
    return value


def same(one: Json, other: Json) -> bool:
    """Equal as JSON: true is not 1."""
    return canonical(one) == canonical(other)


def is_hex(value: Json, size_bytes: int = 32) -> bool:
    """Lower-case hexadecimal of that many bytes."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]*", value) is not None and len(value) == 2 * size_bytes


def is_count(value: Json) -> bool:
    """An integer from 0 on."""
    return type(value) is int and value >= 0


def is_number(value: Json) -> bool:
    """A finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def base64_bytes(text: str) -> bytes:
    """The bytes of base64 in its one spelling."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 is spelt in another way")
    return data


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


_EARLY = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2}))?"
)


def _microseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def instant(text: Json) -> int:
    """An instant in its one spelling, as microseconds since 1970."""
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise ValueError(f"{text!r} is no instant")
    return _microseconds(text)


def any_instant(text: Json) -> int:
    """An instant in a spelling of `covers`, `until`, `effective` and `binds`; a date is its first instant in UTC."""
    if not isinstance(text, str) or not _EARLY.fullmatch(text):
        raise ValueError(f"{text!r} is no instant")
    return _microseconds(text)


def instant_text(at: int) -> str:
    """The spelling of an instant."""
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def texts(value: Json) -> list[str]:
    """A list of texts, or fail."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("a list of texts is asked for")
    return value


def text(value: Json) -> str:
    """A text, or fail."""
    if not isinstance(value, str):
        raise TypeError(f"a text is asked for, not {value!r}")
    return value


def words(line: str) -> list[str]:
    """The words of a line."""
    return line.split()
