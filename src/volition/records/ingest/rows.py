"""Rows of a source of one's own, of a table or as events, read by its mapping into drafts of records.

A key is `row:SOURCE:ID`, so a row that is sent twice is stored once, by whichever way it comes.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from volition.canonical import datetime_to_us, digest, whole_number
from volition.consent.terms.vocabulary import covers
from volition.errors import InvalidInputError
from volition.records.ingest import Draft, PersonRef, Reject, raw_json
from volition.records.ingest.mapping import NO_MAPPING, written_attribute
from volition.records.ingest.row_mapping import MESSAGES, UNITS, RowMapping
from volition.records.tables import read_lines

_LONGEST_ID: Final = 500
_SAFE_INTEGER: Final = 2**53 - 1
_EARLIEST_US: Final = 946_684_800 * 10**6  # the year 2000: a number before it was meant in another unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as a source has it.

    Attributes:
        where: Its place in the source: "line 12", "row 12".
        values: What it holds, by column.
        identity: What names it for ever, where it has a name that is no column: an event's.
    """

    where: str
    values: Mapping[str, Any]
    identity: str | None = None


def read_rows(
    rows: Iterable[Row | Reject], mapping: RowMapping, *, source: str, account: str | None = None
) -> Iterator[Draft | Reject]:
    """Read rows by a mapping.

    Args:
        rows: The rows; what could not be read as a row is passed on.
        mapping: Which columns say what.
        source: Name of the file or endpoint, for messages.
        account: Account of all rows. A row that names another is rejected.

    Yields:
        A draft or a reject for each row.
    """
    for row in rows:
        if isinstance(row, Reject):
            yield row
            continue
        try:
            yield _draft(row, mapping, account)
        except InvalidInputError as error:
            yield Reject(
                source=source,
                where=row.where,
                why=str(error),
                raw=raw_json(row.values),
                people=_people(row, mapping, strict=False),
                account=account or _named(row, mapping),
            )


def rows_of(values: Iterable[object], source: str) -> Iterator[Row | Reject]:
    """Yield a row for each JSON object, and a reject for what is none."""
    for number, value in enumerate(values, start=1):
        where = f"row {number}"
        if isinstance(value, Mapping):
            yield Row(where=where, values=value)
        else:
            yield Reject(source=source, where=where, why="It is no JSON object.", raw=raw_json(value))


def rows_of_table(path: Path, mapping: RowMapping) -> Iterator[Row | Reject]:
    """Yield the rows of a file or folder; raises as `tables.read_lines` does."""
    for line in read_lines(path, columns=mapping.columns, separator=mapping.separator):
        where = f"line {line.number}"
        if line.cells is None:
            yield Reject(source=path.name, where=where, why=line.fault, raw=line.raw)
        else:
            yield Row(where=where, values=line.cells)


def value_at(values: Mapping[str, Any], column: str) -> Any:  # noqa: ANN401 - any value
    """Return what a row holds in a column, or nested at the way that it names; none where there is nothing."""
    if column in values:
        return values[column]
    here: Any = values
    for part in column.split("."):
        if not isinstance(here, Mapping):
            return None
        here = here.get(part)
    return here


def _draft(row: Row, mapping: RowMapping, account: str | None) -> Draft:
    named = _named(row, mapping)
    if account is not None and named not in {None, account}:
        raise InvalidInputError(f"The row names account {named!r}, but {account!r} is collected.")
    whose = account or named
    if whose is None:
        where = "Say whose it is when you collect it." if mapping.account is None else f"Fill {mapping.account!r}."
        raise InvalidInputError(f"The row names no account. {where}")
    category = _category(row, mapping)
    at_us = _instant(value_at(row.values, mapping.time), mapping)
    return Draft(
        key=f"row:{mapping.name}:{_identity(row, mapping)}",
        account=whose,
        people=_people(row, mapping, strict=True),
        category=category,
        at_us=at_us,
        payload=_payload(row, mapping, category, at_us),
        version=_version(row, mapping),
    )


def _named(row: Row, mapping: RowMapping) -> str | None:
    if mapping.account is None:
        return None
    found = value_at(row.values, mapping.account)
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) and found != "" else None


def _identity(row: Row, mapping: RowMapping) -> str:
    """Return what names a row for ever."""
    if mapping.id is None:
        if row.identity is None:
            raise InvalidInputError("The mapping says no column for id, so a row that is sent twice would count twice.")
        return row.identity if len(row.identity) <= _LONGEST_ID else digest(row.identity.encode())
    found = value_at(row.values, mapping.id)
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise InvalidInputError(f"{mapping.id!r} holds {found!r}, which names no row. Fill it with text or an integer.")
    text = str(found)
    if len(text) > _LONGEST_ID:
        raise InvalidInputError(f"{mapping.id!r} has more than {_LONGEST_ID} characters. Give the row a shorter name.")
    return text


def _category(row: Row, mapping: RowMapping) -> str:
    if mapping.category is not None:
        return mapping.category
    found = value_at(row.values, mapping.category_column or "")
    if not isinstance(found, str) or not found:
        raise InvalidInputError(f"{mapping.category_column!r} names no category. Fill it, or name one for all rows.")
    return mapping.categories.get(found, found)


def _instant(value: Any, mapping: RowMapping) -> int:  # noqa: ANN401 - any value
    column = mapping.time
    if isinstance(value, str) and mapping.unit is not None and (number := whole_number(value)) is not None:
        value = number
    if isinstance(value, int) and not isinstance(value, bool):
        if mapping.unit is None:
            raise InvalidInputError(f'{column!r} holds the number {value}. Say its unit in the mapping: unit = "ms".')
        at_us = value * UNITS[mapping.unit]
        if at_us < _EARLIEST_US:
            raise InvalidInputError(
                f"{column!r} holds {value}, which is before 2000 in {mapping.unit}. Check the unit."
            )
        return at_us
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            msg = f"{column!r} holds {value!r}, which is no instant. Write it like 2026-01-31T09:30:00Z."
            raise InvalidInputError(msg) from error
    if not isinstance(value, datetime):
        raise InvalidInputError(f"{column!r} holds {value!r}, which is no instant. Fill it.")
    if value.tzinfo is None:
        if mapping.zone is None:
            msg = f'{column!r} holds {value.isoformat()}, without a time zone. Say it in the mapping: zone = "UTC".'
            raise InvalidInputError(msg)
        value = value.replace(tzinfo=ZoneInfo(mapping.zone))
    return datetime_to_us(value)


def _people(row: Row, mapping: RowMapping, *, strict: bool) -> tuple[PersonRef, ...]:
    """Return everyone concerned; nobody where no column says anybody, and then nobody's yes is there."""
    found: dict[str, None] = {}
    for column in mapping.people:
        value = value_at(row.values, column)
        for one in value if isinstance(value, list | tuple) else (value,):
            if one is None or one == "":
                continue
            if isinstance(one, bool) or not isinstance(one, str | int):
                if strict:
                    raise InvalidInputError(f"{column!r} holds {one!r}, which names nobody. Fill it with text or ids.")
                continue
            found[str(one)] = None
    return tuple(PersonRef(**{mapping.people_are: one}) for one in found)


def _version(row: Row, mapping: RowMapping) -> int | None:
    if mapping.version is None:
        return None
    value = value_at(row.values, mapping.version)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return datetime_to_us(value)
    if isinstance(value, str) and (number := whole_number(value)) is not None:
        value = number
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _SAFE_INTEGER:
        msg = f"{mapping.version!r} holds {value!r}, which is no version. Fill it with a whole number that grows."
        raise InvalidInputError(msg)
    return value


def _payload(row: Row, mapping: RowMapping, category: str, at_us: int) -> dict[str, Any]:
    attributes = {column: _plain(value_at(row.values, column), column) for column in mapping.keep}
    attributes = {column: value for column, value in attributes.items() if value is not None}
    name = _text(row, mapping.event) or mapping.name
    if covers("service", category):
        payload = {"kind": "event", "name": name, "attributes": attributes, "body": _text(row, mapping.text)}
        written = written_attribute(payload, category, NO_MAPPING)
        if written is not None:
            msg = f"{mapping.text if written == 'body' else written!r} looks like what somebody wrote, and comes as "
            raise InvalidInputError(f"{msg}{category}. Give the source a category below content/, or leave it out.")
        return payload
    said, conversation = _text(row, mapping.text), _text(row, mapping.conversation)
    private = {} if mapping.shared else {"private": True}
    for column, found in ((mapping.text, said), (mapping.conversation, conversation)):
        if column is not None and not found:
            raise InvalidInputError(f"{column!r} is empty. Fill it, or leave the row out.")
    if category == MESSAGES and said and conversation:
        people = _people(row, mapping, strict=True)
        author = next((one for ref in people[:1] for one in ref.order if one), None)
        stamp = f"{at_us // 1_000_000}.{at_us % 1_000_000:06}"  # as a chat's exports write it
        message = {"kind": "message", "channel": conversation, "ts": stamp, "thread": None, "author": author}
        return {**message, "text": said, **({"attributes": attributes} if attributes else {}), **private}
    where = {key: value for key, value in (("channel", conversation), ("text", said)) if value is not None}
    return {"kind": "row", "name": name, "attributes": attributes, **where, **private}


def _text(row: Row, column: str | None) -> str | None:
    value = None if column is None else value_at(row.values, column)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInputError(f"{column!r} holds {value!r}, which is no text.")
    return str(value).replace("\r\n", "\n").strip() or None


def _plain(value: Any, column: str) -> Any:  # noqa: ANN401 - any value
    """Return a value as JSON has it."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _SAFE_INTEGER else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) <= _SAFE_INTEGER else value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, column) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(inner, column) for inner in value]
    raise InvalidInputError(
        f"{column!r} holds {type(value).__name__}, which is not kept. Leave the column out of keep."
    )
