"""Ways in: transcripts, files, summaries, chat exports and telemetry become records in the lake.

The bad part of what comes in is set aside with its reason, and what comes twice is stored once. What lies in the lake
can be counted, and its many small files made into large ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from volition.canonical import datetime_to_us
from volition.learning.families import Progress, silent
from volition.records.ingest import PersonRef, keep_private
from volition.records.ingest.files import read_file
from volition.records.ingest.intake import Collected, Piece, take_in
from volition.records.ingest.otlp import read_message, read_otlp
from volition.records.ingest.otlp_traces import spans_as_logs
from volition.records.ingest.quarantine import SetAside, read_quarantine
from volition.records.ingest.slack import read_slack
from volition.records.ingest.summaries import read_summaries
from volition.records.ingest.webvtt import read_webvtt
from volition.records.ingest.zoom import read_zoom_event
from volition.records.lake import Compacted
from volition.workspace.deciding import Deciding
from volition.workspace.opening import read_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """How much lies in the lake: records by category, records by account, and how many small files there are."""

    categories: Mapping[str, int]
    accounts: Mapping[str, int]
    small_files: int


class Collecting(Deciding):
    """A workspace that collects records."""

    def collect_webvtt(  # noqa: PLR0913 - what a transcript does not say about itself
        self,
        path: Path,
        *,
        account: str,
        started: datetime,
        meeting: str | None = None,
        participants: Sequence[str] = (),
        private: bool = False,
        progress: Progress = silent,
    ) -> Collected:
        """Collect a meeting's transcript.

        Args:
            path: The WebVTT file.
            account: Whose meeting it was.
            started: When it started; a transcript's times count from there.
            meeting: Its name; by default the file's.
            participants: Names of people who were there, whether or not they spoke.
            private: Whether features show it to those alone who were there, and not to everybody of the account.
            progress: Told how far it has come.

        Raises:
            InvalidInputError: The file is no WebVTT, or the account is not known.
        """
        pieces = read_webvtt(
            read_bytes(path),
            source=path.name,
            account=self.parties.account(account).id,
            meeting=meeting or path.stem,
            start_us=datetime_to_us(started),
            participants=[PersonRef(name=name) for name in participants],
        )
        return self._take_in(map(keep_private, pieces) if private else pieces, account, progress)

    def collect_file(  # noqa: PLR0913 - what a file does not say about itself
        self,
        path: Path,
        *,
        account: str,
        author: str,
        written: datetime,
        people: Sequence[str] = (),
        name: str | None = None,
        shared: bool = False,
        progress: Progress = silent,
    ) -> Collected:
        """Collect a file of plain text or Markdown, passage by passage.

        Args:
            path: The file, UTF-8.
            account: Whose file it is.
            author: The name (or id, alias or address) of who wrote it.
            written: When it was written last.
            people: Likewise, who else it concerns: with whom it was shared, who is spoken of. Each one's yes counts.
            name: What it is called; by default as the file is.
            shared: Whether features show it to everybody of the account, and not to these people alone.
            progress: Told how far it has come.

        Raises:
            InvalidInputError: The file is no text or has no words, or the account is not known.
        """
        pieces = read_file(
            read_bytes(path),
            source=name or path.name,
            account=self.parties.account(account).id,
            people=[PersonRef(name=one) for one in (author, *people)],
            author=author,
            written_us=datetime_to_us(written),
            shared=shared,
        )
        return self._take_in(pieces, account, progress)

    def collect_summaries(self, path: Path, *, account: str, progress: Progress = silent) -> Collected:
        """Collect edited summaries of meetings that were collected before: JSON lines with `meeting` and `text`.

        A summary is derived data: it concerns everyone whom its meeting concerns.
        """
        account = self.parties.account(account).id
        pieces = read_summaries(
            read_bytes(path),
            source=path.name,
            account=account,
            meeting_of=lambda name: self._lake.meeting(account, name),
        )
        return self._take_in(pieces, account, progress)

    def collect_slack(self, path: Path, *, account: str, progress: Progress = silent) -> Collected:
        """Collect a Slack export (zip)."""
        pieces = read_slack(path, account=self.parties.account(account).id)
        return self._take_in(pieces, account, progress)

    def collect_otlp(self, path: Path, *, account: str | None = None, progress: Progress = silent) -> Collected:
        """Collect OTLP logs (JSON lines or protobuf); each record names its account unless `account` is given."""
        if account is not None:
            self.parties.account(account)
        return self._take_in(read_otlp(path, account=account), account, progress)

    def collect_otlp_request(
        self, data: bytes, *, encoding: Literal["json", "protobuf"], signal: Literal["logs", "traces"], source: str
    ) -> Collected:
        """Collect the body of one OTLP/HTTP request, unpacked; each record names its account.

        Raises:
            InvalidInputError: It cannot be parsed; nothing was stored.
        """
        logs = data if signal == "logs" else spans_as_logs(data, encoding=encoding, source=source)
        return self._take_in(read_message(logs, encoding=encoding, source=source), None, silent)

    def collect_zoom_event(self, told: Mapping[str, Any], *, account: str) -> Collected:
        """Collect one event that Zoom's webhook told of an account's meetings; a repeated one is stored once."""
        return self._take_in(read_zoom_event(told, account=self.parties.account(account).id), account, silent)

    def _take_in(self, pieces: Iterable[Piece], account: str | None, progress: Progress) -> Collected:
        return take_in(
            pieces,
            account=account,
            parties=self.parties,
            lake=self._lake,
            history=self.history(),
            now_us=self.now_us,
            progress=progress,
        )

    def stock(self) -> Stock:
        """Count what lies in the lake, whether or not anything may use it."""
        return Stock(categories=self._lake.size(), accounts=self._lake.accounts(), small_files=self._lake.small_files())

    def set_aside(self) -> list[SetAside]:
        """Return what collecting has set aside: from where, and why; never what it held."""
        return list(read_quarantine(self.folder / "lake" / "quarantine"))

    def compact(self, *, progress: Progress = silent) -> Compacted:
        """Make large files of the many small ones that collecting leaves in the lake; readers go on meanwhile.

        Killed, it keeps what it has done, and is called again.

        Raises:
            BackendError: The disk is full or cannot be written; every record is where it was.
        """
        return self._lake.compact(progress)
