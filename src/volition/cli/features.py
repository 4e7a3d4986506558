"""Commands that use the features: search, summarize, recommend, diagnose."""

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
    command(app, "recommend", panel=PANEL, example="volition recommend ada")(recommend)
    command(app, "diagnose", panel=PANEL, example="volition diagnose ada")(diagnose)


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
) -> Result:
    """Summarise a meeting in quotes, each with its speaker and time."""
    with call.workspace() as workspace, output.progress() as progress:
        summary = workspace.summarize(meeting, person=asker, words=words, progress=progress)
    return Result(value={"meeting": meeting, **asdict(summary)}, view=views.summary)


def recommend(
    call: Call,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Id of the person.")],
) -> Result:
    """Recommend what a person may want to open next, and say why."""
    with call.workspace() as workspace:
        suggestions = workspace.recommend(person)
    value = {"person": person, "suggestions": [asdict(found) for found in suggestions]}
    return Result(value=value, view=views.suggestions)


def diagnose(
    call: Call,
    person: Annotated[
        str, typer.Argument(metavar="PERSON", help="Id of the person; only their own sessions are told.")
    ],
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="Only the session of this id; by default all.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, metavar="NUMBER", help="Most sessions.", show_default=True)
    ] = 10,
) -> Result:
    """Tell which of a person's sessions are at risk of failing, and the likely causes."""
    with call.workspace() as workspace:
        found = workspace.diagnose(person, session=session, limit=limit)
    return Result(value={"person": person, **found.to_json()}, view=views.diagnosed)
