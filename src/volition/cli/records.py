"""Commands for records: collect them, and make few large files of many small ones."""

# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from volition.cli import codes, output
from volition.cli.blocks import Block, Grid, Value, heading, paragraph
from volition.cli.call import Call, Result, command, instant
from volition.cli.help import group
from volition.cli.quick import few_collections
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from volition.progress import Progress
    from volition.records.ingest.intake import Collected
    from volition.workspace import Workspace

PANEL = "Data, and who says yes"

Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="The files.")]
Account = Annotated[str, typer.Option(metavar="ACCOUNT", help="Whose data it is.")]
Started = Annotated[
    str, typer.Option(metavar="INSTANT", help="When the meeting started, such as 2026-01-05T09:00:00Z.")
]
Meeting = Annotated[str | None, typer.Option(metavar="NAME", help="The meeting; by default the file's name.")]
Participants = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Somebody who was there, even if silent. Repeatable.")
]
Private = Annotated[
    bool, typer.Option("--private", help="Show it to those alone who were there, not to the whole account.")
]

_SHOWN: Final = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    collect = group(
        "Collect records from exports and telemetry.",
        epilog="What cannot be read is set aside in the lake's quarantine and listed; nothing is lost, the rest is "
        "kept, and collecting the same file again stores it once.",
    )
    app.add_typer(collect, name="collect", rich_help_panel=PANEL)
    command(
        collect,
        "webvtt",
        example="volition collect webvtt kickoff.vtt --account helio --started 2026-01-05T09:00:00Z",
    )(collect_webvtt)
    command(
        collect,
        "recording",
        example="volition collect recording kickoff/ --account helio --started 2026-01-05T09:00:00Z",
    )(collect_recording)
    command(
        collect,
        "file",
        example="volition collect file plan.md --account helio --author ada --written 2026-01-05T09:00:00Z",
    )(collect_file)
    command(
        collect,
        "zoom-chat",
        example="volition collect zoom-chat meeting_saved_chat.txt --account helio --started 2026-01-05T09:00:00Z",
    )(collect_zoom_chat)
    command(collect, "slack", example="volition collect slack export.zip --account helio")(collect_slack)
    command(collect, "otlp", example="volition collect otlp usage.jsonl")(collect_otlp)
    command(
        collect,
        "table",
        example="volition collect table messages.parquet --mapping support.toml",
    )(collect_table)
    command(collect, "summaries", example="volition collect summaries minutes.jsonl --account helio")(collect_summaries)
    command(app, "compact", panel=PANEL, example="volition compact")(compact)


def collect_webvtt(
    call: Call,
    files: Files,
    account: Account,
    started: Started,
    meeting: Meeting = None,
    participant: Participants = None,
    private: Private = False,  # noqa: FBT002 - an option
) -> Result:
    """Collect meeting transcripts (WebVTT, as Zoom, Teams and Meet export them)."""
    started_at = instant(started)
    if meeting is not None and len(files) > 1:
        raise InvalidInputError("--meeting names one meeting, and there are several files. Collect them one by one.")
    return _collect(
        call,
        files,
        lambda workspace, path, progress: workspace.records.collect_webvtt(
            path,
            account=account,
            started=started_at,
            meeting=meeting,
            participants=participant or (),
            private=private,
            progress=progress,
        ),
    )


def collect_recording(
    call: Call,
    path: Annotated[
        Path, typer.Argument(metavar="FILE_OR_FOLDER", help="A recording, or a folder with one file a person.")
    ],
    account: Account,
    started: Started,
    meeting: Meeting = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TRACK=NAME",
            help='Whose voice is on a file or channel: "ada.wav=Ada Lovelace", "call.wav:1=Ada Lovelace". Repeatable.',
        ),
    ] = None,
    participant: Participants = None,
    transcript: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The platform's own WebVTT, which says who spoke when; by default the one beside it."
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="What is spoken, such as en; by default that is found out.")
    ] = None,
    group_voices: Annotated[  # noqa: FBT002 - an option
        bool,
        typer.Option(
            "--group-voices",
            help="Group the lines of a mixed track by voice, for people to name on the meeting's page.",
        ),
    ] = False,
    private: Private = False,  # noqa: FBT002 - an option
) -> Result:
    """Transcribe a recording of a meeting, and collect the transcript: wav, mp3, m4a, ogg, webm, mp4, mkv.

    Who spoke is the track: one file or channel a person, or what the platform's own transcript says. Each track is
    transcribed only where its people and the account permit it. Interrupted, it is called again and goes on.
    """
    started_at, tracks = instant(started), {}
    for text in track or ():
        name, equals, speaker = text.rpartition("=")
        if not (name and equals and speaker.strip()):
            raise InvalidInputError(f"--track {text!r} names no track and voice. Write it like ada.wav='Ada Lovelace'.")
        tracks[name] = speaker
    return _collect(
        call,
        [path],
        lambda workspace, one, progress: workspace.recordings.collect(
            one,
            account=account,
            started=started_at,
            meeting=meeting,
            tracks=tracks,
            participants=participant or (),
            transcript=transcript,
            language=language,
            group_voices=group_voices,
            private=private,
            progress=progress,
        ),
    )


def collect_zoom_chat(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The chat, as Zoom saves it.")],
    account: Account,
    started: Started,
    meeting: Meeting = None,
    participant: Participants = None,
    me: Annotated[
        str | None, typer.Option(metavar="NAME", help='Who saved the file, and is called "Me" in it.')
    ] = None,
    private: Private = False,  # noqa: FBT002 - an option
) -> Result:
    """Collect a meeting's chat as Zoom saves it. Direct messages are private."""
    started_at = instant(started)
    return _collect(
        call,
        [file],
        lambda workspace, path, progress: workspace.records.collect_zoom_chat(
            path,
            account=account,
            started=started_at,
            meeting=meeting,
            participants=participant or (),
            me=me,
            private=private,
            progress=progress,
        ),
    )


def collect_file(
    call: Call,
    files: Files,
    account: Account,
    author: Annotated[str, typer.Option(metavar="NAME", help="Who wrote it: an id, name, alias or address.")],
    written: Annotated[
        str, typer.Option(metavar="INSTANT", help="When it was written last, such as 2026-01-05T09:00:00Z.")
    ],
    person: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Whom else it concerns; their yes counts, too. Repeatable."),
    ] = None,
    shared: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--shared", help="Show it to everybody of the account, not to these people alone.")
    ] = False,
) -> Result:
    """Collect files of plain text or Markdown, passage by passage."""
    written_at = instant(written)
    return _collect(
        call,
        files,
        lambda workspace, path, progress: workspace.records.collect_file(
            path,
            account=account,
            author=author,
            written=written_at,
            people=person or (),
            shared=shared,
            progress=progress,
        ),
    )


def collect_slack(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The export, a zip.")],
    account: Account,
) -> Result:
    """Collect the messages of a Slack export."""
    return _collect(
        call,
        [file],
        lambda workspace, path, progress: workspace.records.collect_slack(path, account=account, progress=progress),
    )


def collect_otlp(
    call: Call,
    files: Files,
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", help="Whose data it is; by default as each record says.")
    ] = None,
) -> Result:
    """Collect OpenTelemetry logs (OTLP as JSON lines or protobuf)."""
    return _collect(
        call,
        files,
        lambda workspace, path, progress: workspace.records.collect_otlp(path, account=account, progress=progress),
    )


def collect_table(
    call: Call,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Parquet (a file or a folder), CSV with a header, JSON lines.")
    ],
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Which columns say what, as TOML; the source has its name.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Or the source's name, as in [sources.NAME] of volition.toml.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", help="Whose data it is; by default as each row says.")
    ] = None,
) -> Result:
    """Collect the rows of a table of your own: messages, tickets, usage.

    Which columns say whose a row is, when it was and what it holds stands in a mapping (docs/how-to/own-records.md).
    """
    from volition.records.ingest.row_mapping import RowMapping  # noqa: PLC0415 - so that `volition --help` is quick

    if (mapping is None) == (source is None):
        raise InvalidInputError("Say which columns say what: either --mapping FILE, or --source NAME.")
    read_by = source if mapping is None else RowMapping.from_file(mapping)
    return _collect(
        call,
        files,
        lambda workspace, path, progress: workspace.sources.collect_table(
            path, mapping=read_by or "", account=account, progress=progress
        ),
    )


def collect_summaries(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", help='JSON lines: {"meeting": ..., "text": ...}.')],
    account: Account,
) -> Result:
    """Collect edited summaries of meetings that were collected before."""
    return _collect(
        call,
        [file],
        lambda workspace, path, progress: workspace.records.collect_summaries(path, account=account, progress=progress),
    )


def _collect(
    call: Call,
    files: Sequence[Path],
    collect: "Callable[[Workspace, Path, Progress], Collected]",
) -> Result:
    """Collect each file; one that cannot be read at all takes no other with it."""
    outcomes: list[dict[str, Any]] = []
    warnings: list[str] = []
    code = codes.OK.code
    with call.workspace() as workspace, output.progress() as progress, few_collections():
        for path in files:
            try:
                outcome = collect(workspace, path, progress).to_json()
            except InvalidInputError as error:
                if len(files) == 1:
                    raise
                outcomes.append({"file": str(path), "error": str(error)})
                warnings.append(str(error))
                code = codes.INVALID.code
                continue
            outcomes.append({"file": str(path), **outcome})
            warnings += [note if path.name in note else f"{path}: {note}" for note in outcome["notes"]]
            if outcome["rejected"]:
                places = ", ".join(outcome["quarantine"])
                warnings.append(f"{path}: {len(outcome['rejected'])} pieces were set aside in {places}")
                if not any(outcome[good] for good in ("stored", "known", "replaced", "not_kept", "skipped")):
                    code = codes.INVALID.code
    total = {
        "stored": sum(file.get("stored", 0) for file in outcomes),
        "known": sum(file.get("known", 0) for file in outcomes),
        "not_kept": _sum(file.get("not_kept", {}) for file in outcomes),
        "rejected": sum(len(file.get("rejected", ())) for file in outcomes),
        "skipped": _sum(file.get("skipped", {}) for file in outcomes),
    }
    return Result(value={"files": outcomes, "total": total}, view=_collected_view, code=code, warnings=tuple(warnings))


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def _collected_view(value: Value) -> Iterator[Block]:
    """Show what became of an input."""
    rows = [
        (
            file["file"],
            file["stored"],
            file["known"],
            sum(file["not_kept"].values()),
            sum(file["skipped"].values()),
            len(file["rejected"]),
        )
        for file in value["files"]
        if "error" not in file
    ]
    total = value["total"]
    yield Grid(columns=("collected", "stored", "known", "not kept", "skipped", "set aside"), rows=rows)
    for reason, number in total["not_kept"].items():
        yield paragraph(f"{number:,} not kept: no purpose could permit them ({reason})")
    for why, number in total["skipped"].items():
        yield paragraph(f"{number:,} skipped: {why}")
    if total["rejected"]:
        yield heading("Set aside")
        pieces = [piece for file in value["files"] for piece in file.get("rejected", ())]
        alike = Counter((piece["source"], piece["why"]) for piece in pieces)
        first = {(piece["source"], piece["why"]): piece["where"] for piece in reversed(pieces)}
        yield Grid(
            columns=("pieces", "source", "why", "the first at"),
            rows=[(number, source, why, first[source, why]) for (source, why), number in alike.most_common(_SHOWN)],
        )
        if len(alike) > _SHOWN:
            yield paragraph(f"and {len(alike) - _SHOWN:,} other faults; --json lists every piece")


def compact(call: Call) -> Result:
    """Make large files of the many small ones that collecting leaves in the lake.

    Others may read and write meanwhile. Interrupted, it is called again and goes on. `volition status` says when it is
    worth it.
    """
    with call.workspace() as workspace, output.progress() as progress:
        compacted = workspace.records.compact(progress=progress)
    value = {"before": compacted.before, "after": compacted.after, "rows": compacted.rows}
    return Result(value=value, view=_compacted_view)


def _compacted_view(value: Value) -> Iterator[Block]:
    """Show a compaction."""
    if value["rows"]:
        yield paragraph(f"{value['before']:,} files are {value['after']:,} now; {value['rows']:,} rows were moved.")
    else:
        yield paragraph(f"There was nothing to compact: {value['after']:,} files.")
