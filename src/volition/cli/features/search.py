"""Commands that search: search, opened, index."""

from collections.abc import Iterator
from typing import Annotated

import typer

from volition.canonical import text_to_us, us_to_text
from volition.cli import output
from volition.cli.blocks import Block, Grid, Value, clock, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.features.asker import PANEL, Asker


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "search", panel=PANEL, example='volition search "who orders the wheels" --as ada', reads="feature")(
        search
    )
    command(app, "opened", panel=PANEL, example='volition opened "who orders the wheels" RECORD --as ada')(opened)
    command(app, "index", panel=PANEL, example="volition index")(index)


def index(call: Call) -> Result:
    """Make ready for search what was collected; a server or worker does it by itself."""
    with call.workspace() as workspace, output.progress() as progress:
        done = workspace.features.index(progress=progress)
        left = workspace.features.unindexed()
    return Result(value={"indexed": done, "left": left}, view=_index_view)


def _index_view(value: Value) -> Iterator[Block]:
    yield paragraph(f"{value['indexed']:,} lines were indexed. {value['left']:,} are left.")


def search(  # noqa: PLR0913, PLR0917 - one parameter for each option
    call: Call,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in plain words.")],
    asker: Asker,
    meeting: Annotated[
        str, typer.Option(metavar="MEETING", help="Look in this meeting only; by default everywhere.")
    ] = "",
    channel: Annotated[str, typer.Option(metavar="CHANNEL", help="Look in this channel only.")] = "",
    speaker: Annotated[str, typer.Option(metavar="NAME", help="Only what people of such a name said.")] = "",
    since: Annotated[
        str, typer.Option(metavar="INSTANT", help="Only what was said from then on, such as 2026-01-05T09:00:00Z.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="INSTANT", help="Only what was said before then.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="NUMBER", help="Most hits.", show_default=True)] = 10,
) -> Result:
    """Search meetings, chats and files."""
    from volition.learning.families.search.narrowing import (  # noqa: PLC0415 - so that `volition --help` is quick
        Narrowing,
    )

    narrowing = Narrowing(
        meeting=meeting,
        channel=channel,
        speaker=speaker,
        start_us=text_to_us(since) if since else None,
        end_us=text_to_us(until) if until else None,
    )
    with call.workspace() as workspace, output.progress() as progress:
        found = workspace.features.search(query, person=asker, narrowing=narrowing, limit=limit, progress=progress)
    return Result(value={"query": query, **found.to_json()}, view=_found_view)


def _found_view(value: Value) -> Iterator[Block]:
    """Show what a search found."""
    rows = [(_when(hit), hit["speaker"], hit["source"], hit["text"]) for hit in value["hits"]]
    if value["named"]:
        yield paragraph(f"Of that name: {', '.join(one['source'] for one in value['named'])}.")
    if rows:
        yield Grid(columns=("at", "speaker", "where", "text"), rows=rows)
    else:
        yield paragraph("Nothing that may be seen says anything about that. Other words may, or fewer.")
    if value["note"]:
        yield paragraph(value["note"])


def _when(hit: Value) -> str:
    """Write when something was said: the time within the meeting, the instant of a message, the place in a file."""
    if hit["start_ms"] is not None:
        return clock(hit["start_ms"])
    if hit["kind"] == "passage":
        return f"passage {hit['place']}"
    return us_to_text(int(hit["place"].partition(".")[0]) * 1_000_000)[:16]


def opened(
    call: Call,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What was looked for.")],
    record: Annotated[str, typer.Argument(metavar="RECORD", help="The hit's record_id, as search --json shows it.")],
    asker: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who opened it.")],
) -> Result:
    """Record that somebody opened a hit: search learns from it, if usage may train search."""
    with call.workspace() as workspace, output.progress() as progress:
        collected = workspace.features.opened(query, record, person=asker, progress=progress).to_json()
    return Result(value={"query": query, "record": record, **collected}, view=_opened_view)


def _opened_view(value: Value) -> Iterator[Block]:
    """Show what became of an opened hit."""
    refused = ", ".join(value["not_kept"])
    yield paragraph(
        f"Not kept: {refused}." if refused else "Recorded. Search learns from it where usage may train search."
    )
