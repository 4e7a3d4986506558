"""Commands that use the features: search, summarize, recommend."""

from dataclasses import asdict
from typing import Annotated

import typer

from volition.cli import output, views
from volition.cli.call import Call, Result, command

PANEL = "Use"

Asker = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who asks; they see what they may see.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "search", panel=PANEL, example='volition search "who orders the wheels" --as ada')(search)
    command(app, "summarize", panel=PANEL, example="volition summarize kickoff --as ada")(summarize)
    command(app, "draft", panel=PANEL, example='volition draft "tell Bo that the wheels are late" --as ada')(draft)
    command(app, "rewrite", panel=PANEL, example='volition rewrite formal "hi Bo, wheels are late" --as ada')(rewrite)
    command(app, "recommend", panel=PANEL, example="volition recommend ada")(recommend)


def search(
    call: Call,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in plain words.")],
    asker: Asker,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="NUMBER", help="Most hits.", show_default=True)] = 10,
) -> Result:
    """Search meetings and chats."""
    with call.workspace() as workspace, output.progress() as progress:
        found = workspace.search(query, person=asker, limit=limit, progress=progress)
    return Result(value={"query": query, **found.to_json()}, view=views.found)


def summarize(
    call: Call,
    meeting: Annotated[str, typer.Argument(metavar="MEETING", help="The meeting's name.")],
    asker: Asker,
    words: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="NUMBER", help="About how long.", show_default=True)
    ] = 110,
    *,
    prose: Annotated[
        bool, typer.Option("--prose", help="Also tell it in sentences; sends its quotes to the end point.")
    ] = False,
) -> Result:
    """Summarise a meeting in quotes: its moments, decisions, tasks and open questions, each with speaker and time."""
    with call.workspace() as workspace, output.progress() as progress:
        summary = workspace.summarize(meeting, person=asker, words=words, progress=progress)
        minutes = asdict(workspace.minutes(meeting, person=asker))
        told = {"prose": asdict(workspace.prose(summary, person=asker))} if prose else {}
    for action in minutes["actions"]:
        action["due_date"] = action["due_date"] and action["due_date"].isoformat()
    return Result(value={"meeting": meeting, **asdict(summary), **minutes, **told}, view=views.summary)


def draft(
    call: Call,
    about: Annotated[str, typer.Argument(metavar="ABOUT", help="What the message should say.")],
    asker: Asker,
) -> Result:
    """Draft a message through the end point; one that brings in a name, number or date is refused."""
    with call.workspace() as workspace:
        written = workspace.draft(about, person=asker)
    return Result(value=asdict(written), view=views.written)


def rewrite(
    call: Call,
    tone: Annotated[str, typer.Argument(metavar="TONE", help="shorter, longer, friendlier or formal.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message.")],
    asker: Asker,
) -> Result:
    """Rewrite a message through the end point; a changed name, number or date is refused."""
    with call.workspace() as workspace:
        written = workspace.rewrite(text, person=asker, tone=tone)
    return Result(value=asdict(written), view=views.written)


def recommend(
    call: Call,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Id of the person.")],
) -> Result:
    """Recommend what a person may want to open next, and say why."""
    with call.workspace() as workspace:
        suggestions = workspace.recommend(person)
    value = {"person": person, "suggestions": [asdict(found) for found in suggestions]}
    return Result(value=value, view=views.suggestions)
