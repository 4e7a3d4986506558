"""The command that summarises a meeting: summarize."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from volition.cli import output
from volition.cli.blocks import Block, Grid, Value, clock, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.features import written as written_summaries
from volition.cli.features.asker import PANEL, Asker
from volition.errors import InvalidInputError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "summarize", panel=PANEL, example="volition summarize kickoff --as ada", reads="feature")(summarize)


def summarize(  # noqa: PLR0913 - one parameter for each option
    call: Call,
    meeting: Annotated[str, typer.Argument(metavar="MEETING", help="The meeting's name.")],
    asker: Asker,
    words: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="NUMBER", help="About how long.", show_default=True)
    ] = 110,
    *,
    prose: Annotated[
        bool, typer.Option("--prose", help="Also write it in sentences; this sends its quotes to the end point.")
    ] = False,
    written: Annotated[
        bool,
        typer.Option(
            "--written", help="Show the summary that a language model wrote; where there is none, its lines are sent."
        ),
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="With --written: have it written anew.")] = False,
) -> Result:
    """Summarise a meeting in quotes: moments, topics, decisions, tasks, open questions, with speakers and times.

    With --written it is what a language model wrote of the whole transcript, each sentence checked. Interrupted, it is
    called again and goes on.
    """
    if written:
        return written_summaries.write(call, meeting, asker, again=again)
    if again:
        raise InvalidInputError("--again is for summaries that a language model writes: add --written.")
    with call.workspace() as workspace, output.progress() as progress:
        summary = workspace.features.summarize(meeting, person=asker, words=words, progress=progress)
        from volition.learning.families.summary.minutes import LOOKED_IN  # noqa: PLC0415 - loads what commands need not

        here = datetime.now().astimezone().tzinfo or UTC
        minutes = asdict(workspace.features.minutes(meeting, person=asker, zone=here))
        extra = {"prose": asdict(workspace.features.prose(summary, person=asker))} if prose else {}
    for action in minutes["actions"]:
        action["due_date"] = action["due_date"] and action["due_date"].isoformat()
    looked_in = {"looked_in": list(LOOKED_IN)}
    return Result(value={"meeting": meeting, **asdict(summary), **minutes, **looked_in, **extra}, view=_summary_view)


def _summary_view(value: Value) -> Iterator[Block]:
    """Show a meeting in quotes."""
    rows = [(clock(moment["start_ms"]), moment["speaker"], moment["quote"]) for moment in value["moments"]]
    yield Grid(columns=("at", "speaker", f"{value['meeting']}, in quotes"), rows=rows)
    if value["note"]:
        yield paragraph(value["note"])
    if value["topics"]:
        rows = [
            (f"{clock(topic['start_ms'])} to {clock(topic['end_ms'])}", topic["speaker"], ", ".join(topic["words"]))
            for topic in value["topics"]
        ]
        yield Grid(columns=("time mark", "begun by", "words that stand out from then on"), rows=rows)
    if value["language"] is None:
        yield paragraph(f"Decisions, tasks and questions are looked for in {' and '.join(value['looked_in'])} only.")
    if value["taught"]:
        yield paragraph(value["taught"])
    for kind in ("decisions", "questions"):
        if value[kind]:
            rows = [(clock(moment["start_ms"]), moment["speaker"], moment["quote"]) for moment in value[kind]]
            yield Grid(columns=("at", "speaker", kind if kind == "decisions" else "open questions"), rows=rows)
    if value["actions"]:
        tasks = [
            (clock(task["moment"]["start_ms"]), task["who"] or "unassigned", task["what"], _due(task), _quoted(task))
            for task in value["actions"]
        ]
        yield Grid(columns=("at", "who", "task", "due", "said"), rows=tasks)
    if "prose" in value:
        yield from _prose(value["prose"])


def _prose(value: Value) -> Iterator[Block]:
    """Show sentences with the moments that they cite, counted in the order above, and what does not hold."""
    if value["sentences"]:
        rows = [
            (sentence["text"], sentence["cites"], sentence["unsupported"] or "holds") for sentence in value["sentences"]
        ]
        cells = [(text, " ".join(f"[{number}]" for number in cites), check) for text, cites, check in rows]
        yield Grid(columns=("in prose", "moments", "check"), rows=cells)
    yield paragraph(value["note"])


def _due(task: Value) -> str | None:
    """Write when a task is due, as it was said and as a day."""
    return f"{task['due']} ({task['due_date']})" if task["due_date"] else task["due"]


def _quoted(task: Value) -> str:
    return f"{task['moment']['speaker']}: {task['moment']['quote']}"
