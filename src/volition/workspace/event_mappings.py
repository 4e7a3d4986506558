"""The mapping of events in force: read from the settings as they are now, and recorded when it is first used."""

from typing import Any

from volition.ledger.entry import NewEntry
from volition.records.ingest.mapping import NO_MAPPING, EventMapping
from volition.workspace.opened import Opened
from volition.workspace.settings import SETTINGS_FILE, read_settings


class EventMappings:
    """Says which mapping to collect by."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened
        self._read: tuple[tuple[int, int], EventMapping] | None = None
        self._recorded: dict[str, Any] = NO_MAPPING.to_json()
        self._seen = 0  # events of the history

    def in_force(self) -> EventMapping:
        """Return the mapping that the settings have now; a new one is an entry of the ledger from then on.

        Raises:
            InvalidInputError: The settings cannot be read or make no sense.
        """
        mapping = self._settled()
        events = self._opened.history().events
        for entry in events[self._seen :]:
            if entry.kind == "mapping":
                self._recorded = entry.body["mapping"]
        self._seen = len(events)
        if mapping.to_json() != self._recorded:
            self._opened.ledger.append(NewEntry(kind="mapping", body={"source": "otlp", "mapping": mapping.to_json()}))
        return mapping

    def _settled(self) -> EventMapping:
        """Read the settings, again once the file has changed: a server stays open for long."""
        state = (self._opened.folder / SETTINGS_FILE).stat()
        version = (state.st_mtime_ns, state.st_size)
        if self._read is None or self._read[0] != version:
            self._read = version, read_settings(self._opened.folder).mapping
        return self._read[1]
