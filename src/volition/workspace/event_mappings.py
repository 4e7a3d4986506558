"""The mappings in force: read from the settings as they are now, and recorded when one is first used.

One says of which category events of OpenTelemetry are, and each source of one's own has one that says which columns
are what.
"""

from collections.abc import Mapping
from typing import Any, Final

from volition.errors import InvalidInputError
from volition.ledger.entry import NewEntry
from volition.records.ingest.mapping import NO_MAPPING, EventMapping
from volition.records.ingest.row_mapping import RowMapping
from volition.workspace.opened import Opened
from volition.workspace.settings import SETTINGS_FILE, Settings, read_settings

_OTLP: Final = "otlp"
_SOURCE: Final = "source/"


class EventMappings:
    """Says which mapping to collect by."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened
        self._read: tuple[tuple[int, int], Settings] | None = None
        self._recorded: dict[str, dict[str, Any]] = {_OTLP: NO_MAPPING.to_json()}
        self._seen = 0  # events of the history

    def in_force(self) -> EventMapping:
        """Return the mapping that the settings have now; a new one is an entry of the ledger from then on.

        Raises:
            InvalidInputError: The settings cannot be read or make no sense, or name a category that no terms declare.
        """
        mapping = self._settled().mapping
        for category in mapping.events.values():
            self._opened.history().vocabulary.check_category(category)
        self._record(_OTLP, mapping.to_json())
        return mapping

    def sources(self) -> Mapping[str, RowMapping]:
        """Return the mappings of one's own sources, by name, as the settings have them now.

        Raises:
            InvalidInputError: The settings cannot be read or make no sense.
        """
        return self._settled().sources

    def source(self, name: str) -> RowMapping:
        """Return the mapping of one source.

        Raises:
            InvalidInputError: There is none of that name, or the settings make no sense.
        """
        sources = self.sources()
        if name not in sources:
            known = f"There are: {', '.join(sorted(sources))}." if sources else "There is none yet."
            msg = f"There is no source {name!r} in {SETTINGS_FILE}. {known} Add [sources.{name}]."
            raise InvalidInputError(msg)
        return sources[name]

    def use(self, mapping: RowMapping) -> None:
        """Record that a source is read by a mapping from now on; one that is recorded already changes nothing.

        Raises:
            InvalidInputError: It names a category that no terms declare.
        """
        vocabulary = self._opened.history().vocabulary
        for category in (*([] if mapping.category is None else [mapping.category]), *mapping.categories.values()):
            vocabulary.check_category(category)
        self._record(f"{_SOURCE}{mapping.name}", mapping.to_json())

    def _record(self, source: str, mapping: dict[str, Any]) -> None:
        events = self._opened.history().events
        for entry in events[self._seen :]:
            if entry.kind == "mapping":
                self._recorded[entry.body["source"]] = entry.body["mapping"]
        self._seen = len(events)
        if mapping != self._recorded.get(source):
            self._opened.ledger.append(NewEntry(kind="mapping", body={"source": source, "mapping": mapping}))

    def _settled(self) -> Settings:
        """Read the settings, again once the file has changed: a server stays open for long."""
        state = (self._opened.folder / SETTINGS_FILE).stat()
        version = (state.st_mtime_ns, state.st_size)
        if self._read is None or self._read[0] != version:
            self._read = version, read_settings(self._opened.folder)
        return self._read[1]
