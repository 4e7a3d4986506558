"""CloudEvents as rows: messages and acts of one's own product, sent one by one or many at once.

An event's type says of which source it is, by that source's mapping. Its attributes (`time`, `subject`, ...) are
columns, and what its data holds is `data.COLUMN`. An event is named for ever by its source and id together.

Source: CloudEvents 1.0.2, "Context Attributes"; its JSON format; its HTTP protocol binding.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from volition.canonical import canonical_json
from volition.errors import InvalidInputError
from volition.records.ingest import Draft, Reject, load_json, raw_json
from volition.records.ingest.row_mapping import RowMapping
from volition.records.ingest.rows import Row, read_rows

_REQUIRED: Final = ("id", "source", "type", "specversion")
_VERSION: Final = "1.0"
_HEADER: Final = "ce-"


def read_events(
    events: Iterable[object], mappings: Mapping[str, RowMapping], *, source: str, account: str | None = None
) -> Iterator[Draft | Reject]:
    """Read events, each by the mapping of the source whose types name its type.

    Args:
        events: JSON values, each a CloudEvent in its JSON format.
        mappings: The sources, by name.
        source: Name of the endpoint or stream, for messages.
        account: Account of all of them; an event that names another is rejected.

    Yields:
        A draft or a reject for each.
    """
    by_type = {kind: mapping for mapping in mappings.values() for kind in mapping.types}
    for number, event in enumerate(events, start=1):
        where, raw = f"event {number}", raw_json(event)
        try:
            values = _attributes(event)
        except InvalidInputError as error:
            yield Reject(source=source, where=where, why=str(error), raw=raw)
            continue
        mapping = by_type.get(values["type"])
        if mapping is None:
            why = f"No source takes events of the type {values['type']!r}. List it under types of one in volition.toml."
            yield Reject(source=source, where=where, why=why, raw=raw)
            continue
        identity = canonical_json([values["source"], values["id"]]).decode()
        row = Row(where=f"{where} ({values['id']})", values=values, identity=identity)
        yield from read_rows([row], mapping, source=source, account=account)


def _attributes(event: object) -> dict[str, Any]:
    """Check what every event has, and return it with its data as a value.

    Raises:
        InvalidInputError: It is no CloudEvent of a version that is read here.
    """
    if not isinstance(event, dict):
        raise InvalidInputError("It is no object, and so no CloudEvent in JSON.")
    missing = [name for name in _REQUIRED if not isinstance(event.get(name), str) or not event[name]]
    if missing:
        raise InvalidInputError(f"The event has no {missing[0]!r}. A CloudEvent has {', '.join(_REQUIRED)}.")
    if event["specversion"] != _VERSION:
        raise InvalidInputError(f"The event is of version {event['specversion']!r}; CloudEvents {_VERSION} are read.")
    if "data_base64" not in event:
        return event
    try:
        data = load_json(base64.b64decode(event["data_base64"], validate=True))
    except (binascii.Error, TypeError, ValueError) as error:
        raise InvalidInputError(f"Its data_base64 holds no JSON: {error}. Send its data as JSON.") from error
    return {**{name: value for name, value in event.items() if name != "data_base64"}, "data": data}


def event_of_headers(headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """Return an event that came in binary mode: its attributes as headers `ce-...`, its data as the body.

    Raises:
        InvalidInputError: The body is not JSON.
    """
    event = {
        name.lower().removeprefix(_HEADER): unquote(value)
        for name, value in headers
        if name.lower().startswith(_HEADER)
    }
    try:
        return {**event, "data": load_json(body) if body else None}
    except ValueError as error:
        raise InvalidInputError(f"The event's data is not JSON: {error}. Send its data as JSON.") from error
