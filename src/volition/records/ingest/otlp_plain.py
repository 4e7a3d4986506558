"""OTLP's JSON as its specification writes it, read in one pass into typed values, at a fraction of what a walk takes.

Of any other form (snake case, numbers as somebody else writes them, a single bad record) nothing is said here: the
request is then walked piece by piece (`otlp_wire`), which reads what can be read and says what is wrong with the rest.

Source: OTLP 1.x, "JSON Protobuf Encoding".
"""

from functools import partial
from typing import Any, Final

from google.protobuf import json_format
from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType, to_builtins
from msgspec.json import Decoder
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from volition.records.ingest.otlp_records import Item, LogEvent, Said, fraction_of, integer_of, said_twice
from volition.records.ingest.otlp_wire import mended

_TIME_DIGITS: Final = 19
_INTEGER_DIGITS: Final = 18
_MOST_64_BITS: Final = 2**64 - 1
_MOST_32_BITS: Final = 2**32 - 1
_LARGEST: Final = 2**63 - 1
_SEVERITIES: Final = range(25)
_DEEPEST: Final = 16  # levels of lists in lists; what is deeper is walked, and told


class _OtherFormError(Exception):
    """It is not written as the specification has it."""


class _Value(Struct, rename="camel", forbid_unknown_fields=True):
    string_value: str | UnsetType = UNSET
    int_value: str | int | UnsetType = UNSET
    double_value: float | UnsetType = UNSET
    bool_value: bool | UnsetType = UNSET
    array_value: "_Values | UnsetType" = UNSET
    kvlist_value: "_Pairs | UnsetType" = UNSET


class _Pair(Struct, rename="camel", forbid_unknown_fields=True):
    key: str
    value: _Value


class _Values(Struct, rename="camel", forbid_unknown_fields=True):
    values: list[_Value]


class _Pairs(Struct, rename="camel", forbid_unknown_fields=True):
    values: list[_Pair]


class _Record(Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    time_unix_nano: str | int = 0
    observed_time_unix_nano: str | int = 0
    severity_number: int = 0
    severity_text: str = ""
    event_name: str = ""
    body: _Value | UnsetType = UNSET
    attributes: list[_Pair] = []
    dropped_attributes_count: int = 0
    flags: int = 0
    trace_id: str = ""
    span_id: str = ""


class _Resource(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    attributes: list[_Pair] = []


class _OfScope(Struct, rename="camel", forbid_unknown_fields=True):
    log_records: list[_Record]
    scope: Raw | UnsetType = UNSET
    schema_url: str = ""


class _OfResource(Struct, rename="camel", forbid_unknown_fields=True):
    scope_logs: list[_OfScope]
    resource: _Resource = _Resource()
    schema_url: str = ""


class _Request(Struct, rename="camel", forbid_unknown_fields=True):
    resource_logs: list[_OfResource]


_REQUEST: Final = Decoder(_Request)


def plain_events(data: bytes) -> list[Item] | None:
    """Return the records of a request, each with what its resource says; none if it is written in any other form."""
    try:
        found: list[Item] = []
        for of_resource in _REQUEST.decode(data).resource_logs:
            said = _said(of_resource.resource.attributes)
            for of_scope in of_resource.scope_logs:
                found += [(_event(record), said) for record in of_scope.log_records]
    except (DecodeError, UnicodeDecodeError, RecursionError, _OtherFormError):
        return None
    return found


def _event(record: _Record) -> LogEvent:
    is_other = (
        record.severity_number not in _SEVERITIES
        or not 0 <= record.flags <= _MOST_32_BITS
        or not 0 <= record.dropped_attributes_count <= _MOST_32_BITS
    )
    if is_other:
        raise _OtherFormError
    observed_ns = _time(record.observed_time_unix_nano)
    return LogEvent(
        _time(record.time_unix_nano) or observed_ns,
        record.event_name,
        _identity(record.trace_id, 16),
        _identity(record.span_id, 8),
        _said(record.attributes),
        None if record.body is UNSET else _value(record.body),
        partial(_message, record),
    )


def _message(record: _Record) -> LogRecord:
    return json_format.ParseDict(mended(to_builtins(record)), LogRecord())


def _time(value: str | int) -> int:
    if type(value) is int:
        found = value
    elif len(value) <= _TIME_DIGITS and value.isascii() and value.isdecimal():  # type: ignore[arg-type, union-attr]
        found = int(value)
    else:
        raise _OtherFormError
    if not 0 <= found <= _MOST_64_BITS:
        raise _OtherFormError
    return found


def _identity(value: str, size_bytes: int) -> str:
    if not value:
        return ""
    if len(value) != 2 * size_bytes or not value.isalnum():
        raise _OtherFormError
    try:
        return bytes.fromhex(value).hex()
    except ValueError:
        raise _OtherFormError from None


def _said(pairs: list[_Pair], level: int = 0) -> Said:
    values = {pair.key: _value(pair.value, level) for pair in pairs}
    if len(values) == len(pairs):
        return Said(values)
    return said_twice((pair.key, _value(pair.value, level)) for pair in pairs)


def _value(value: _Value, level: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    text, integer, fraction, truth = value.string_value, value.int_value, value.double_value, value.bool_value
    array, pairs = value.array_value, value.kvlist_value
    if text is not UNSET and integer is fraction is truth is array is pairs is UNSET:
        return text
    if level > _DEEPEST or sum(one is not UNSET for one in (text, integer, fraction, truth, array, pairs)) != 1:
        raise _OtherFormError
    if fraction is not UNSET:
        return fraction_of(fraction)
    if integer is not UNSET:
        return _integer(integer)
    if truth is not UNSET:
        return truth
    if array is not UNSET:
        return [_value(item, level + 1) for item in array.values]
    assert pairs is not UNSET  # noqa: S101 - one of them is there
    return _said(pairs.values, level + 1).attributes


def _integer(value: str | int) -> int | str:
    if type(value) is str:
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= _INTEGER_DIGITS):
            raise _OtherFormError
        value = int(value)
    elif not -_LARGEST <= value <= _LARGEST:  # type: ignore[operator]
        raise _OtherFormError
    return integer_of(value)  # type: ignore[arg-type]
