"""The mapping of events: of which category each is, and which attributes may hold prose, as `volition.toml` says.

    [otlp]
    allowed = ["ui.label", "search.asked:query"]    # an attribute, or one of one event; "body" is a record's body

    [otlp.events]
    "search.*" = "service/usage"
    "chat.sent" = "content/chat"
    "ticket.*" = "crm/tickets"                      # a category that terms declare

The table beats what a record says of itself, an exact name beats a beginning, a longer beginning a shorter one. Where
it says nothing of an event, the record's own attribute counts. A mapping is an entry of the ledger when collecting
first uses it, since it decides which rules of the terms a record falls under.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Self

from volition.consent.terms.toml_file import FaultError, Section, check_repeats
from volition.consent.terms.vocabulary import BUILT_IN, check_category
from volition.records.ingest.prose import is_one_word, looks_written

WRITTEN: Final = "content/chat"
"""The category of events that are what people wrote."""

EXPECTED: Final = frozenset({"search.query"})
"""Attributes that hold what somebody typed and are usage all the same: search learns from events that have them."""

_NO_TEXT: Final = frozenset((int, float, bool))

KNOWN: Final = (*BUILT_IN.leaves_of_data(["service"]), WRITTEN)
"""The built-in categories that an event may be of. Besides, it may be of any that terms declare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMapping:
    """Which event is of which category, and which attributes may hold prose.

    Attributes:
        events: Categories by the name of an event or span; a name that ends in `*` stands for all that begin so.
        allowed: Attributes ("ui.label"), or attributes of one event ("search.asked:query").
    """

    events: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    allowed: frozenset[str] = frozenset()

    @classmethod
    def from_toml(cls, value: object) -> Self:
        """Read the table `[otlp]`.

        Raises:
            FaultError: A key or a category is not known, or a name is empty or no text.
        """
        section = Section(value, (), required=(), optional={"events", "allowed"})
        allowed = section.words("allowed")
        check_repeats(allowed, "allowed")
        for place, name in enumerate(allowed):
            if not name.strip(":") or name != name.strip():
                raise FaultError(("allowed", place), 'name an attribute, as in "ui.label" or "search.asked:query".')
        events = section.value.get("events", {})
        if not isinstance(events, dict):
            raise FaultError(("events",), 'expected a table of names, as in "chat.sent" = "content/chat".')
        for name, category in events.items():
            if not name.rstrip("*") or "*" in name[:-1] or name != name.strip():
                raise FaultError(("events", name), f"{name!r} names no event. A name may end in one *, after a letter.")
            if not isinstance(category, str):
                raise FaultError(("events", name), "the category of an event must be a text in quotes.")
            check_category(category, KNOWN, "events", name, what="category of events")
        return cls(events=MappingProxyType(dict(events)), allowed=frozenset(allowed))

    def category_of(self, event: str) -> str | None:
        """Return the category of an event by its name; none where the mapping says nothing of it."""
        if not self.events:
            return None
        if (exact := self.events.get(event)) is not None:
            return exact
        beginnings = [name for name in self.events if name.endswith("*") and event.startswith(name[:-1])]
        return self.events[max(beginnings, key=len)] if beginnings else None

    def allows(self, event: str, attribute: str) -> bool:
        """Return whether an attribute of an event may hold prose and still be service-generated data."""
        return attribute in EXPECTED or attribute in self.allowed or f"{event}:{attribute}" in self.allowed

    def to_json(self) -> dict[str, Any]:
        """Return the mapping as a JSON object, as the ledger has it."""
        return {"events": dict(sorted(self.events.items())), "allowed": sorted(self.allowed)}


NO_MAPPING: Final = EventMapping()
"""Each record says what it is."""


def written_attribute(payload: Mapping[str, Any], category: str, mapping: EventMapping) -> str | None:
    """Return which attribute of a service-generated event looks like what somebody said or wrote; none if none does.

    Args:
        payload: The event: its `name`, `attributes` and `body`.
        category: Its category, below `service`.
        mapping: Which attributes may hold prose.
    """
    event = payload["name"]
    reports = category == "service/diagnostics" or not event  # a log line is no event, and has no name
    for attribute, value in (*payload["attributes"].items(), ("body", payload["body"])):
        kind = type(value)
        if value is None or kind in _NO_TEXT or (kind is str and is_one_word(value)):
            continue
        if mapping.allows(event, attribute):
            continue
        for name, text in _texts(attribute, value):
            if looks_written(name, text, is_report=reports):
                return str(attribute)
    return None


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON value
    """Yield every text in a value, by the name that it stands under, however deep."""
    left = [(name, value)]
    while left:
        under, part = left.pop()
        if isinstance(part, str):
            yield under, part
        elif isinstance(part, list):
            left += [(under, inner) for inner in part]
        elif isinstance(part, dict):
            left += [(f"{under}.{key}", inner) for key, inner in part.items()]
