"""Sources of one's own: tables, rows and events come in as records, each by a mapping of its columns.

A mapping stands in `volition.toml` as `[sources.NAME]`, or is handed over with a table (`records.ingest.row_mapping`).
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from volition.progress import Progress, silent
from volition.records.audience import ConversationKind
from volition.records.ingest import Draft
from volition.records.ingest.cloudevents import read_events
from volition.records.ingest.intake import Collected, Piece
from volition.records.ingest.row_mapping import RowMapping
from volition.records.ingest.rows import read_rows, rows_of, rows_of_table
from volition.workspace.audiences import Audiences
from volition.workspace.event_mappings import EventMappings
from volition.workspace.opened import Opened
from volition.workspace.records import Records


class Sources:
    """Collects what tables, streams and events of one's own hold."""

    def __init__(self, opened: Opened, audiences: Audiences, records: Records) -> None:
        """Take the opened folder, who may read what, and where records go."""
        self._opened = opened
        self._audiences = audiences
        self.records = records
        self._mappings = EventMappings(opened)

    def collect_table(
        self,
        path: Path,
        *,
        mapping: RowMapping | str,
        account: str | None = None,
        progress: Progress = silent,
    ) -> Collected:
        """Collect the rows of a table of one's own: Parquet (a file or a folder), CSV, JSON lines.

        Args:
            path: The table.
            mapping: Which columns say what: the name of a source in `volition.toml`, or a mapping (`RowMapping`).
            account: Whose rows they are; by default each row says so.
            progress: Told how far it has come.

        Raises:
            InvalidInputError: It cannot be read, lacks a column of the mapping, or there is no such source or account.
        """
        known, account = self._used(mapping, account)
        pieces = read_rows(rows_of_table(path, known), known, source=path.name, account=account)
        return self._take_in(pieces, account, progress, waits=False)

    def collect_rows(
        self,
        rows: Iterable[object],
        *,
        mapping: RowMapping | str,
        source: str,
        account: str | None = None,
        waits: bool = False,
    ) -> Collected:
        """Collect rows that are at hand as JSON objects, such as a stream's; otherwise as `collect_table`.

        Args:
            rows: The rows; what is no object is set aside.
            mapping: As for `collect_table`.
            source: Where they come from, for messages.
            account: As for `collect_table`.
            waits: As for `collect_events`.

        Raises:
            InvalidInputError: There is no such source or account.
            BusyError: Too much waits to be laid out already; nothing was stored.
        """
        known, account = self._used(mapping, account)
        waits = waits and known.version is None
        if waits:
            self._opened.lake.refuse_if_full()
        pieces = read_rows(rows_of(rows, source), known, source=source, account=account)
        return self._take_in(pieces, account, silent, waits=waits)

    def _used(self, mapping: RowMapping | str, account: str | None) -> tuple[RowMapping, str | None]:
        """Return a mapping, recorded as in use, and the account's id."""
        known = self._mappings.source(mapping) if isinstance(mapping, str) else mapping
        if account is not None:
            account = self._opened.parties.account(account).id
        self._mappings.use(known)
        return known, account

    def collect_events(
        self, events: Sequence[object], *, source: str, account: str | None = None, waits: bool = True
    ) -> Collected:
        """Collect CloudEvents, each by the source of `volition.toml` whose types name its type.

        Args:
            events: JSON values, each an event in the JSON format of CloudEvents.
            source: Name of the endpoint or stream, for messages.
            account: Whose they are; by default each says so.
            waits: Whether what is stored is durable at once and laid out in files later, with that of others. Where a
                mapping has versions, nothing waits.

        Raises:
            InvalidInputError: The settings make no sense, or there is no such account.
            BusyError: Too much waits to be laid out already; nothing was stored.
        """
        sources = self._mappings.sources()
        named = {event.get("type") for event in events if isinstance(event, dict)}
        used = [mapping for mapping in sources.values() if not named.isdisjoint(mapping.types)]
        for mapping in used:
            self._mappings.use(mapping)
        waits = waits and all(mapping.version is None for mapping in used)
        if waits:
            self._opened.lake.refuse_if_full()
        pieces = read_events(events, sources, source=source, account=account)
        return self._take_in(pieces, account, silent, waits=waits)

    def _take_in(self, pieces: Iterable[Piece], account: str | None, progress: Progress, *, waits: bool) -> Collected:
        """Collect rows; the conversations that their source opens to all of an account are open from then on."""
        shared: dict[str, dict[str, bool]] = {}

        def noting() -> Iterator[Piece]:
            for piece in pieces:
                if isinstance(piece, Draft) and "channel" in piece.payload and "private" not in piece.payload:
                    shared.setdefault(piece.account, {})[piece.payload["channel"]] = True
                yield piece

        collected = self.records.take_in(noting(), account, progress, waits=waits)
        for owner, channels in shared.items():
            if self._opened.parties.has_account(owner):
                self._audiences.note_source(owner, ConversationKind.CHANNEL, channels)
        return collected
