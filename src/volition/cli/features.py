"""Commands that use the features: search, opened, summarize, recommend, complete, replies, go-on, edit, diagnose."""

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
    command(app, "opened", panel=PANEL, example='volition opened "who orders the wheels" RECORD --as ada')(opened)
    command(app, "summarize", panel=PANEL, example="volition summarize kickoff --as ada")(summarize)
    command(app, "draft", panel=PANEL, example='volition draft "tell Bo that the wheels are late" --as ada')(draft)
    command(app, "rewrite", panel=PANEL, example='volition rewrite formal "hi Bo, wheels are late" --as ada')(rewrite)
    command(app, "recommend", panel=PANEL, example="volition recommend ada")(recommend)
    command(app, "complete", panel=PANEL, example='volition complete "let me kn" --as ada')(complete)
    command(app, "replies", panel=PANEL, example="volition replies general 1767225600.000100 --as ada")(replies)
    command(app, "go-on", panel=PANEL, example='volition go-on "thanks, I will" --as ada')(go_on)
    command(app, "edit", panel=PANEL, example='volition edit shorten "hi all,  in order to ..." --as ada')(edit)
    command(app, "diagnose", panel=PANEL, example="volition diagnose ada")(diagnose)


def search(
    call: Call,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in plain words.")],
    asker: Asker,
    meeting: Annotated[
        str | None, typer.Option(metavar="MEETING", help="Look in this meeting only; by default everywhere.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="NUMBER", help="Most hits.", show_default=True)] = 10,
) -> Result:
    """Search meetings, chats and files."""
    with call.workspace() as workspace, output.progress() as progress:
        found = workspace.features.search(query, person=asker, meeting=meeting, limit=limit, progress=progress)
    return Result(value={"query": query, **found.to_json()}, view=views.found)


def opened(
    call: Call,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What was looked for.")],
    record: Annotated[str, typer.Argument(metavar="RECORD", help="The hit's record_id, as search --json shows it.")],
    asker: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who opened it.")],
) -> Result:
    """Record that somebody opened a hit: search learns from it, if usage may train search."""
    with call.workspace() as workspace, output.progress() as progress:
        collected = workspace.features.opened(query, record, person=asker, progress=progress).to_json()
    return Result(value={"query": query, "record": record, **collected}, view=views.opened)


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
    """Summarise a meeting in quotes: moments, topics, decisions, tasks, open questions, with speakers and times."""
    with call.workspace() as workspace, output.progress() as progress:
        summary = workspace.features.summarize(meeting, person=asker, words=words, progress=progress)
        minutes = asdict(workspace.features.minutes(meeting, person=asker))
        told = {"prose": asdict(workspace.features.prose(summary, person=asker))} if prose else {}
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
        written = workspace.features.draft(about, person=asker)
    return Result(value=asdict(written), view=views.written)


def rewrite(
    call: Call,
    tone: Annotated[str, typer.Argument(metavar="TONE", help="shorter, longer, friendlier or formal.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message.")],
    asker: Asker,
) -> Result:
    """Rewrite a message through the end point; a changed name, number or date is refused."""
    with call.workspace() as workspace:
        written = workspace.features.rewrite(text, person=asker, tone=tone)
    return Result(value=asdict(written), view=views.written)


def recommend(
    call: Call,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Id of the person.")],
) -> Result:
    """Recommend what a person may want to open next, and say why."""
    with call.workspace() as workspace:
        suggestions = workspace.features.recommend(person)
    value = {"person": person, "suggestions": [asdict(found) for found in suggestions]}
    return Result(value=value, view=views.suggestions)


def complete(
    call: Call,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What was typed so far.")],
    asker: Asker,
    limit: Annotated[
        int, typer.Option(min=1, max=100, metavar="NUMBER", help="Most suggestions.", show_default=True)
    ] = 3,
) -> Result:
    """Suggest how a message goes on, in words that enough people of the account wrote."""
    with call.workspace() as workspace:
        found = workspace.features.complete(text, person=asker, limit=limit)
    return Result(value={"text": text, "completions": [asdict(one) for one in found]}, view=views.completions)


def replies(
    call: Call,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's name.")],
    ts: Annotated[str, typer.Argument(metavar="TS", help="The message's time stamp, as the chat writes it.")],
    asker: Asker,
    limit: Annotated[int, typer.Option(min=1, max=100, metavar="NUMBER", help="Most replies.", show_default=True)] = 3,
) -> Result:
    """Suggest short replies to a chat message, such as enough people of the account wrote."""
    with call.workspace() as workspace:
        found = workspace.features.replies(channel, ts, person=asker, limit=limit)
    return Result(value={"channel": channel, "ts": ts, "replies": [asdict(one) for one in found]}, view=views.replies)


def go_on(
    call: Call,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What was typed so far.")],
    asker: Asker,
    tokens: Annotated[
        int, typer.Option(min=1, max=256, metavar="NUMBER", help="Most tokens to add.", show_default=True)
    ] = 24,
) -> Result:
    """Write on where a message stops, by the adapter at work; it may invent, so nothing is sent or kept."""
    with call.workspace() as workspace:
        written = workspace.features.go_on(text, person=asker, tokens=tokens)
    return Result(value={"text": text, "written": written}, view=views.gone_on)


def edit(
    call: Call,
    how: Annotated[str, typer.Argument(metavar="HOW", help="shorten, or tidy.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message.")],
    asker: Asker,
) -> Result:
    """Edit a message by rule; names, numbers, dates, code and links stay as they are."""
    with call.workspace() as workspace:
        edited = workspace.features.edit(text, person=asker, how=how)
    return Result(value={"how": how, "text": text, "edited": edited}, view=views.edited)


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
        found = workspace.features.diagnose(person, session=session, limit=limit)
    return Result(value={"person": person, **found.to_json()}, view=views.diagnosed)
