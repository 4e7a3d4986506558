"""Records: transcripts, files, summaries, chat exports and telemetry come in; what the gate lets through comes out.

The bad part of what comes in is set aside with its reason, and what comes twice is stored once. What lies in the lake
can be counted, and its many small files made into large ones.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from volition.canonical import datetime_to_us
from volition.consent.gate import Gate
from volition.consent.permits import Permits
from volition.errors import require_extra
from volition.learning.families.installed import learns_from, uses_embeddings
from volition.ledger.entry import Entry
from volition.progress import Progress, silent
from volition.records.audience import ConversationKind
from volition.records.ingest import Draft, Note, PersonRef, keep_private
from volition.records.ingest.intake import Collected, Memory, Piece, holds_other, take_in
from volition.records.ingest.quarantine import SetAside, read_quarantine
from volition.records.lake import Compacted, Lake, bucket_of, has_buffer
from volition.records.stream.judge import Judge
from volition.records.stream.rows import BATCH_ROWS, Rows, judged
from volition.workspace.audiences import Audiences
from volition.workspace.event_mappings import EventMappings
from volition.workspace.gate import GateQuestions
from volition.workspace.namesakes import Namesakes
from volition.workspace.opened import Opened, read_bytes
from volition.workspace.tables import Tables

if TYPE_CHECKING:
    from volition.learning.encoder import Encoder
    from volition.records.engines.spark import Part
    from volition.records.foreign.judged import PermittedRows
    from volition.records.foreign.mapping import TableMapping
    from volition.records.foreign.refused import RefusedRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """How much lies in the lake: records by category, records by account, and how many small files there are."""

    categories: Mapping[str, int]
    accounts: Mapping[str, int]
    small_files: int


class Records:
    """Collects records, and gives out what the gate lets through."""

    def __init__(self, opened: Opened, gate: GateQuestions, audiences: Audiences) -> None:
        """Take the opened folder, the gate, and who may read what."""
        self._opened = opened
        self._gate = gate
        self._audiences = audiences
        self._tables = Tables(opened)
        self._mappings = EventMappings(opened)
        self._namesakes = Namesakes(opened)
        self._memory = Memory(opened.parties, self._namesakes.linked, opened.ledger_in_doubt.entries)

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
            meeting: Its name; by default the file's. Where another transcript lies under it already, this one is kept
                apart under the name with a number, and the result says so.
            participants: Names of people who were there, whether or not they spoke.
            private: Whether nothing that many see may learn from it. Either way it is for those alone who were there,
                until one of them opens it (`Workspace.audiences`).
            progress: Called with how far it has come.

        Raises:
            InvalidInputError: The file is no WebVTT, or the account is not known.
        """
        from volition.records.ingest.webvtt import read_webvtt  # noqa: PLC0415 - a parser, loaded where it is used

        data, name = read_bytes(path), meeting or path.stem
        account = self._opened.parties.account(account).id
        people = [PersonRef(name=name) for name in participants]
        for number in count(1):
            called = name if number == 1 else f"{name} ({number})"
            pieces = list(
                read_webvtt(
                    data,
                    source=path.name,
                    account=account,
                    meeting=called,
                    start_us=datetime_to_us(started),
                    participants=people,
                )
            )
            if not holds_other(pieces, self._opened.lake):
                break
        if called != name:
            what = (
                f"another transcript lies here as {name!r}, so this one is kept apart, as {called!r}. If it is a "
                "corrected one, the earlier one is still there."
            )
            pieces.append(Note(source=path.name, what=what))
        return self.take_in(map(keep_private, pieces) if private else pieces, account, progress)

    def collect_zoom_chat(  # noqa: PLR0913 - what a chat does not say about itself
        self,
        path: Path,
        *,
        account: str,
        started: datetime,
        meeting: str | None = None,
        participants: Sequence[str] = (),
        me: str | None = None,
        private: bool = False,
        progress: Progress = silent,
    ) -> Collected:
        """Collect a meeting's chat as Zoom saves it; its direct messages are private.

        Args:
            path: The text file.
            account: Whose meeting it was.
            started: When it started; the chat's times count from there.
            meeting: Its name; by default the file's.
            participants: Names of people who were there, whether or not they wrote.
            me: Name of whoever saved the file, whom it calls "Me".
            private: Whether features show what was written to everyone to those alone who were there.
            progress: Told how far it has come.

        Raises:
            InvalidInputError: The file is no saved chat, or the account is not known.
        """
        from volition.records.ingest.zoom_chat import read_zoom_chat  # noqa: PLC0415 - as above

        pieces = read_zoom_chat(
            read_bytes(path),
            source=path.name,
            account=self._opened.parties.account(account).id,
            meeting=meeting or path.stem,
            start_us=datetime_to_us(started),
            participants=[PersonRef(name=name) for name in participants],
            me=PersonRef(name=me) if me else None,
            private=private,
        )
        return self.take_in(pieces, account, progress)

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
            progress: Called with how far it has come.

        Raises:
            InvalidInputError: The file is no text or has no words, or the account is not known.
        """
        from volition.records.ingest.files import read_file  # noqa: PLC0415 - as above

        pieces = read_file(
            read_bytes(path),
            source=name or path.name,
            account=self._opened.parties.account(account).id,
            people=[PersonRef(name=one) for one in (author, *people)],
            author=author,
            written_us=datetime_to_us(written),
            shared=shared,
        )
        collected = self.take_in(pieces, account, progress)
        self._audiences.note_source(account, ConversationKind.FILE, {name or path.name: shared})
        return collected

    def collect_summaries(self, path: Path, *, account: str, progress: Progress = silent) -> Collected:
        """Collect edited summaries of meetings that were collected before: JSON lines with `meeting` and `text`.

        A summary is derived data: it concerns everyone whom its meeting concerns.
        """
        from volition.records.ingest.summaries import read_summaries  # noqa: PLC0415 - as above

        account = self._opened.parties.account(account).id
        pieces = read_summaries(
            read_bytes(path),
            source=path.name,
            account=account,
            meeting_of=lambda name: self._opened.lake.meeting(account, name),
        )
        return self.take_in(pieces, account, progress)

    def collect_slack(self, path: Path, *, account: str, progress: Progress = silent) -> Collected:
        """Collect a Slack export (zip). Its public channels are open to the users of the account, no others."""
        from volition.records.ingest.slack import read_slack  # noqa: PLC0415 - as above

        is_public: dict[str, bool] = {}

        def noting(pieces: Iterable[Piece]) -> Iterator[Piece]:
            for piece in pieces:
                if isinstance(piece, Draft):
                    channel = str(piece.payload.get("channel"))
                    is_public[channel] = is_public.get(channel, True) and not piece.payload.get("private")
                yield piece

        pieces = read_slack(path, account=self._opened.parties.account(account).id)
        collected = self.take_in(noting(pieces), account, progress)
        self._audiences.note_source(account, ConversationKind.CHANNEL, is_public)
        return collected

    def collect_otlp(self, path: Path, *, account: str | None = None, progress: Progress = silent) -> Collected:
        """Collect OTLP logs (JSON lines or protobuf); each record names its account unless `account` is given."""
        require_extra("google", "opentelemetry", what="Collecting OTLP")
        from volition.records.ingest.otlp import AttributeNames, read_otlp  # noqa: PLC0415 - it loads protobuf

        if account is not None:
            self._opened.parties.account(account)
        names = AttributeNames(mapping=self._mappings.in_force())
        return self.take_in(read_otlp(path, account=account, names=names), account, progress)

    def collect_otlp_request(
        self, data: bytes, *, encoding: Literal["json", "protobuf"], signal: Literal["logs", "traces"], source: str
    ) -> Collected:
        """Collect the body of one OTLP/HTTP request, unpacked; each record names its account.

        What it says is stored is durable, and laid out in files later, with that of other requests (`drain`).

        Raises:
            InvalidInputError: It cannot be parsed; nothing was stored.
            BusyError: Too much waits to be laid out already; nothing was stored.
        """
        require_extra("google", "opentelemetry", what="Collecting OTLP")
        from volition.records.ingest.otlp import AttributeNames, read_message  # noqa: PLC0415 - as above
        from volition.records.ingest.otlp_traces import read_traces  # noqa: PLC0415

        read = read_message if signal == "logs" else read_traces
        names = AttributeNames(mapping=self._mappings.in_force())
        self._opened.lake.refuse_if_full()  # before anything is read
        pieces = read(data, encoding=encoding, source=source, names=names)
        return self.take_in(pieces, None, silent, waits=True)

    def drain(self) -> int:
        """Lay out in files what requests brought until now; whoever reads records does so as well, before they read.

        Returns:
            How many records it took.

        Raises:
            BackendError: The disk is full or cannot be written; what waits is kept.
        """
        return self._opened.lake.drain()

    @property
    def waiting(self) -> int:
        """How many records requests brought that are not laid out in files yet; the lake is not opened for none."""
        if not has_buffer(self._opened.folder / "lake"):
            return 0
        return self._opened.lake.waiting

    def collect_zoom_event(self, delivery: Mapping[str, Any], *, account: str) -> Collected:
        """Collect one event that Zoom's webhook sent about an account's meetings; a repeated one is stored once."""
        from volition.records.ingest.zoom import read_zoom_event  # noqa: PLC0415 - as above

        return self.take_in(
            read_zoom_event(delivery, account=self._opened.parties.account(account).id), account, silent
        )

    def take_in(
        self, pieces: Iterable[Piece], account: str | None, progress: Progress, *, waits: bool = False
    ) -> Collected:
        """Collect pieces that a way in has read; `account` is whose they are, or none where each piece says so.

        With `waits` they are durable at once, and laid out in files later.
        """
        return take_in(
            pieces,
            account=account,
            parties=self._opened.parties,
            lake=self._opened.lake,
            history=self._opened.history(),
            now_us=self._opened.now_us,
            progress=progress,
            on_link=self._namesakes.linked,
            memory=self._memory if waits else None,  # whoever sends requests sends many, and names people by their ids
            waits=waits,
        )

    def sizes(self) -> dict[str, int]:
        """Return how many records lie in the lake, by category, whether or not anything may use them."""
        return self._opened.lake.size()

    def stock(self) -> Stock:
        """Count what lies in the lake, whether or not anything may use it."""
        return Stock(
            categories=self._opened.lake.size(),
            accounts=self._opened.lake.accounts(),
            small_files=self._opened.lake.small_files(),
        )

    def set_aside(self) -> list[SetAside]:
        """Return what collecting has set aside: from where, and why; never what it held."""
        return list(read_quarantine(self._opened.folder / "lake" / "quarantine", self._opened.parties.stores))

    def damaged_files(self) -> list[str]:
        """Return what is lost or damaged of the files of the lake, as sentences; nothing is decrypted."""
        return self._opened.lake.damaged_files()

    def sweep_killed(self) -> None:
        """Remove what a killed writer left in the lake. Raises BackendError where it cannot be written."""
        self._opened.lake.sweep_killed()

    def compact(self, *, progress: Progress = silent) -> Compacted:
        """Make large files of the many small ones that collecting leaves in the lake; readers go on meanwhile.

        Killed, it keeps what it has done, and is called again.

        Raises:
            BackendError: The disk is full or cannot be written; every record is where it was.
        """
        return self._opened.lake.compact(progress)

    def compact_alike(self) -> int:
        """Merge files of about one size where many have piled up: little work, done after `drain`.

        Returns:
            How many rows it moved.

        Raises:
            BackendError: As `compact`.
        """
        return self._opened.lake.compact_alike()

    def rows(self, purpose: str, *, categories: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS) -> Rows:
        """Return what may be used for a purpose as a stream of batches, each judged when it is handed out.

        Anyone who says no while it is read is in no later batch. Nothing is frozen, so what learns from it cannot be
        released: `snapshot` is for that.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            categories: Leaves of `terms.CATEGORIES`; by default what the purpose has a use for.
            batch_rows: How many rows a batch has at most.

        Raises:
            InvalidInputError: There is no such purpose or category.
        """
        self._gate.check_purpose(purpose)
        chosen = self._chosen(purpose, categories)
        return Rows(
            partial(self._batches, purpose, chosen, batch_rows),
            partial(_reopened_batches, self._opened.folder.absolute(), purpose, chosen, batch_rows),
            reopen_rows=partial(_reopened_batches, self._opened.folder.absolute(), purpose, chosen, 1),
            judge=partial(self.judge, purpose),
            rejudge=partial(_reopened_judge, self._opened.folder.absolute(), purpose),
            batch_rows=batch_rows,
        )

    def _chosen(self, purpose: str, categories: Sequence[str] | None) -> tuple[str, ...]:
        vocabulary = self._opened.history().vocabulary
        return learns_from(purpose, vocabulary) if categories is None else vocabulary.leaves_of_data(categories)

    def _batches(
        self, purpose: str, categories: Sequence[str], batch_rows: int, share: int, shares: int
    ) -> Iterator[Any]:
        permits = self._gate.permits(purpose)
        accounts = None
        if shares > 1:
            accounts = [one.id for one in self._opened.parties.accounts() if bucket_of(one.id) % shares == share]
        found = self._opened.lake.rows(permits, categories=categories, accounts=accounts)
        yield from judged(found, self.judge(purpose), batch_rows=batch_rows)

    def judge(self, purpose: str) -> Judge:
        """Return what judges rows for a purpose, each time by all that the ledger holds then."""
        permits = self._gate.permits(purpose)
        seen = self._opened.history_size

        def news() -> tuple[list[Entry], int]:
            nonlocal seen
            now_us = self._opened.now_us
            entries = list(self._opened.ledger.entries(seen, self._opened.history_size))
            seen += len(entries)
            return entries, now_us

        return Judge(Gate(permits), news)

    def permitted(  # noqa: PLR0913 - as of `Tables.permitted`
        self,
        table: Any,  # noqa: ANN401 - of many packages, none of which may be installed
        mapping: "TableMapping",
        purpose: str,
        *,
        connection: Any = None,  # noqa: ANN401
        good_for: timedelta | None = None,
        noting: "RefusedRows | None" = None,
    ) -> "PermittedRows[Any]":
        """Return what may be used of a table of your own, in its own form: see `tables.Tables`."""
        return self._tables.permitted(table, mapping, purpose, connection=connection, good_for=good_for, noting=noting)

    def parts(
        self, purpose: str, *, categories: Sequence[str] | None = None, root: str | None = None
    ) -> "Sequence[Part]":
        """Return what one job on a Spark cluster is to judge: the lake's files with their standings, at this instant.

        `engines.spark.permitted_frame` makes a DataFrame of it. See docs/spark.md: no snapshot is frozen, so training
        does not accept it.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            categories: Leaves of `terms.CATEGORIES`; by default what the purpose has a use for.
            root: Where Spark's executors find the lake's folder, such as "s3a://bucket/lake"; by default where it is.

        Raises:
            InvalidInputError: There is no such purpose or category.
        """
        from volition.records.engines.spark import PartCollector  # noqa: PLC0415 - where a cluster judges

        chosen = self._chosen(purpose, categories)
        self._opened.lake.drain(categories=chosen)  # the lake below is read as it is
        permits = self._gate.permits(purpose)
        folder = (self._opened.folder / "lake").absolute()

        def place(file: str) -> str:
            path = Path(file).absolute()
            return str(path) if root is None else f"{root.rstrip('/')}/{path.relative_to(folder).as_posix()}"

        found = []
        for category in sorted(chosen):
            gathering = PartCollector(category, place=place)
            with closing(Lake(folder, self._opened.parties, gathering)) as lake:
                lake.reasons(permits, categories=[category])
            found += gathering.parts
        return found

    def embed(self, purpose: str, *, progress: Progress = silent) -> int:
        """Derive the missing sentence embeddings of what may be used for a purpose; a snapshot does so by itself.

        It is long work, done once for each record: interrupted, it is called again and goes on where it stopped.

        Returns:
            How many embeddings were computed; none where the encoder is missing.

        Raises:
            BackendError: The disk is full or cannot be written.
        """
        return self.embed_permitted(self._gate.permits(purpose), progress)

    def encoder_for(self, purpose: str) -> "Encoder | None":
        """Return the encoder of what a purpose learns from; none where it is missing, or not needed."""
        return self._opened.encoder() if self._content_for(purpose) and uses_embeddings(purpose) else None

    def _content_for(self, purpose: str) -> list[str]:
        vocabulary = self._opened.history().vocabulary
        return [name for name in learns_from(purpose, vocabulary) if vocabulary.is_content(name)]

    def embed_permitted(self, permits: Permits, progress: Progress) -> int:
        """Derive the missing sentence embeddings of what permits let through; see `embed`."""
        content = self._content_for(permits.purpose)
        encoder = self.encoder_for(permits.purpose)
        return (
            0 if encoder is None else self._opened.lake.embed(permits, encoder, categories=content, progress=progress)
        )


def _reopened_batches(  # noqa: PLR0913, PLR0917 - bound one after the other
    folder: Path, purpose: str, categories: Sequence[str], batch_rows: int, share: int, shares: int
) -> Iterator[Any]:
    """Yield one share of a workspace's rows, in a process of its own."""
    with closing(Opened(folder)) as opened:
        records = Records(opened, GateQuestions(opened), Audiences(opened))
        yield from records.rows(purpose, categories=categories, batch_rows=batch_rows).share(share, shares)


def _reopened_judge(folder: Path, purpose: str) -> Judge:
    """Return what judges rows in a process of its own, for as long as that goes on."""
    opened = Opened(folder)
    return Records(opened, GateQuestions(opened), Audiences(opened)).judge(purpose)
