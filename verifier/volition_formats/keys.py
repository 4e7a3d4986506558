"""A reader of Parquet in the plain profile (docs/formats/keys.md)."""

import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

from volition_formats.spellings import Object, is_hex

Column: TypeAlias = tuple[str, str, bool]  # name, kind, whether a list


KEYS: list[Column] = [
    ("record_id", "text", False),
    ("account", "text", False),
    ("people", "text", True),
    ("category", "text", False),
    ("collected_us", "int64", False),
    ("conversation", "text", False),
]


COLLECTED: list[Column] = [
    ("entry", "int64", False),
    ("people_key", "bytes", False),
    ("rows", "int32", True),
    ("indexes", "int32", True),
    ("salts", "bytes", False),
    ("leaves", "bytes", False),
]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def _thrift_list(data: bytes, at: int) -> tuple[list[Any], int]:
    size, inner, at = data[at] >> 4, data[at] & 15, at + 1
    if size == 15:
        size, at = _varint(data, at)
    found = []
    for _ in range(size):
        value, at = _thrift_value(data, at, inner)
        found.append(value)
    return found, at


def _thrift_value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true, false: in a list a byte of its own
        return data[at] == 1, at + 1
    if kind == 3:
        return data[at], at + 1
    if kind in (4, 5, 6):  # zigzag
        value, at = _varint(data, at)
        return value >> 1 ^ -(value & 1), at
    if kind == 7:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == 8:
        size, at = _varint(data, at)
        return data[at : at + size], at + size
    if kind in (9, 10):
        return _thrift_list(data, at)
    if kind == 12:
        return _thrift_struct(data, at)
    raise ValueError(f"thrift type {kind}")


def _thrift_struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    found: dict[int, Any] = {}
    number = 0
    while data[at]:
        kind, step = data[at] & 15, data[at] >> 4
        at += 1
        if step:
            number += step
        else:
            number, at = _thrift_value(data, at, 4)
        if kind in (1, 2):
            found[number] = kind == 1
        else:
            found[number], at = _thrift_value(data, at, kind)
    return found, at + 1


def _hybrid(data: bytes, at: int, end: int, bits: int, count: int) -> list[int]:
    """`count` numbers of the RLE and bit-packing hybrid."""
    found: list[int] = []
    width = (bits + 7) // 8
    while len(found) < count and at < end:
        head, at = _varint(data, at)
        if head & 1:
            for _ in range(min(head >> 1, count)):  # eight numbers at a time, the first one in the lowest bits
                packed, at = int.from_bytes(data[at : at + bits], "little"), at + bits
                found += [packed >> bits * place & (1 << bits) - 1 for place in range(8)]
        else:
            found += [int.from_bytes(data[at : at + width], "little")] * min(head >> 1, count)
            at += width
    if len(found) < count:
        raise ValueError("a page is too short")
    return found[:count]


def _plain(data: bytes, at: int, count: int, kind: str) -> list[Any]:
    found: list[Any] = []
    if not 0 <= count <= len(data):
        raise ValueError("a page has more values than bytes")
    for _ in range(count):
        if kind in ("text", "bytes"):
            start = at + 4
            at = start + int.from_bytes(data[at:start], "little")
            found.append(data[start:at].decode() if kind == "text" else data[start:at])
        else:
            start, at = at, at + (8 if kind == "int64" else 4)
            found.append(int.from_bytes(data[start:at], "little", signed=True))
    return found


def _read_page(  # noqa: PLR0913 - where, what of, and how
    data: bytes, at: int, page: dict[int, Any], kind: str, words: list[Any], *, is_list: bool
) -> Iterator[tuple[int, int, Any]]:
    largest, end = 3 if is_list else 1, at + page[2]
    count, encoding = page[5][1], page[5][2]
    levels = [[0] * min(count, 8 * len(data) * 1024)]
    for bits in ([1] if is_list else []) + [2 if is_list else 1]:
        size = int.from_bytes(data[at : at + 4], "little")
        levels.append(_hybrid(data, at + 4, at + 4 + size, bits, count))
        at += 4 + size
    there = sum(one == largest for one in levels[-1])
    if encoding == 0:
        values = iter(_plain(data, at, there, kind))
    elif encoding in (2, 8):
        values = iter([words[place] for place in _hybrid(data, at + 1, end, data[at], there)])
    else:
        raise ValueError(f"encoding {encoding} is not of the plain profile: it cannot be read here")
    for repeated, defined in zip(levels[-2], levels[-1], strict=True):
        yield repeated, defined, next(values) if defined == largest else None


def _read_column(data: bytes, column: dict[int, Any], kind: str, *, is_list: bool) -> Iterator[tuple[int, int, Any]]:
    """Yield (repetition level, definition level, value or None) for each value of a column of a row group."""
    about = column[3]
    if about[4] != 0:
        raise ValueError("the file is compressed, not of the plain profile: it cannot be read here")
    words: list[Any] = []
    at, done = about.get(11, about[9]), 0
    while done < about[5]:
        page, at = _thrift_struct(data, at)
        if page[2] < 0 or page.get(5, {1: 1})[1] < 0:
            raise ValueError("a page has less than nothing")
        if page[1] == 2:
            words = _plain(data, at, page[7][1], kind)
        elif page[1] == 0:
            yield from _read_page(data, at, page, kind, words, is_list=is_list)
            done += page[5][1]
        at += page[2]


def read_table(data: bytes, expected: list[Column]) -> list[Object]:
    """The rows of a Parquet file of the plain profile, as {column: value}."""
    if data[:4] != b"PAR1" or data[-4:] != b"PAR1":
        raise ValueError("this is no Parquet")
    size = int.from_bytes(data[-8:-4], "little")
    footer, _ = _thrift_struct(data, max(0, len(data) - 8 - size))
    wanted = [part for name, _, is_list in expected for part in ([name, "list", "element"] if is_list else [name])]
    if [one[4].decode() for one in footer[2]][1:] != wanted:
        raise ValueError("the file has other columns")
    rows = [row for group in footer[4] for row in _read_group(data, group, expected)]
    if len(rows) != footer[3]:
        raise ValueError("rows are missing")
    return rows


def _read_group(data: bytes, group: dict[int, Any], expected: list[Column]) -> list[Object]:
    """The rows of a row group."""
    columns: dict[str, list[Any]] = {}
    for column, (name, kind, is_list) in zip(group[1], expected, strict=True):
        columns[name] = found = []
        for repeated, defined, value in _read_column(data, column, kind, is_list=is_list):
            if not is_list:
                found.append(value)
            elif defined in (0, 2):
                raise ValueError("a list lacks a value")
            elif repeated == 0:
                found.append([] if defined == 1 else [value])
            else:
                found[-1].append(value)
    if any(len(found) != group[3] for found in columns.values()):
        raise ValueError("the columns are not of one length")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def read_keys(data: bytes) -> list[Object]:
    """The rows of a `keys.parquet`; of the first versions without conversations."""
    try:
        rows = read_table(data, KEYS)
    except ValueError as error:
        if "other columns" not in str(error):
            raise
        rows = [{**row, "conversation": None} for row in read_table(data, KEYS[:-1])]
    if any(row[name] is None for row in rows for name, _, _ in KEYS[:-1]):
        raise ValueError("a row lacks a value")
    if any(one != "unknown" and not is_hex(one, 16) for row in rows for one in row["people"]):
        raise ValueError("a row names somebody by no pseudonym")
    return rows
