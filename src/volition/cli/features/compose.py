"""Commands that help to write: draft, rewrite, complete, replies, go-on, edit."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from volition.cli.blocks import Block, Grid, Value, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.features.asker import PANEL, Asker


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "draft", panel=PANEL, example='volition draft "tell Bo that the wheels are late" --as ada')(draft)
    command(app, "rewrite", panel=PANEL, example='volition rewrite formal "hi Bo, wheels are late" --as ada')(rewrite)
    command(app, "complete", panel=PANEL, example='volition complete "let me kn" --as ada')(complete)
    command(app, "replies", panel=PANEL, example="volition replies general 1767225600.000100 --as ada")(replies)
    command(app, "go-on", panel=PANEL, example='volition go-on "thanks, I will" --as ada')(go_on)
    command(app, "edit", panel=PANEL, example='volition edit shorten "hi all,  in order to ..." --as ada')(edit)


def draft(
    call: Call,
    about: Annotated[str, typer.Argument(metavar="ABOUT", help="What the message should say.")],
    asker: Asker,
) -> Result:
    """Draft a message through the end point; one that brings in a name, number or date is refused."""
    with call.workspace() as workspace:
        written = workspace.features.draft(about, person=asker)
    return Result(value=asdict(written), view=_written_view)


def rewrite(
    call: Call,
    tone: Annotated[str, typer.Argument(metavar="TONE", help="shorter, longer, friendlier or formal.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message.")],
    asker: Asker,
) -> Result:
    """Rewrite a message through the end point; a changed name, number or date is refused."""
    with call.workspace() as workspace:
        written = workspace.features.rewrite(text, person=asker, tone=tone)
    return Result(value=asdict(written), view=_written_view)


def _written_view(value: Value) -> Iterator[Block]:
    """Show what a model wrote."""
    yield paragraph(value["text"])
    yield paragraph(value["note"])


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
    return Result(value={"text": text, "completions": [asdict(one) for one in found]}, view=_completions_view)


def _completions_view(value: Value) -> Iterator[Block]:
    """Show how a message may go on."""
    if not value["completions"]:
        yield paragraph("Nothing to suggest here.")
        return
    rows = [(found["phrase"], found["insert"], found["people"]) for found in value["completions"]]
    yield Grid(columns=("goes on", "to insert", "people who wrote it"), rows=rows)


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
    return Result(value={"channel": channel, "ts": ts, "replies": [asdict(one) for one in found]}, view=_replies_view)


def _replies_view(value: Value) -> Iterator[Block]:
    """Show short replies."""
    if not value["replies"]:
        yield paragraph("Nothing to suggest here.")
        return
    yield Grid(
        columns=("reply", "people who wrote it"), rows=[(one["text"], one["people"]) for one in value["replies"]]
    )


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
    return Result(value={"text": text, "written": written}, view=_gone_on_view)


def _gone_on_view(value: Value) -> Iterator[Block]:
    """Show how a message may go on."""
    yield paragraph(f"{value['text']}{value['written']}")
    yield paragraph("A model wrote the end, and it may invent: read it before you use it.")


def edit(
    call: Call,
    how: Annotated[str, typer.Argument(metavar="HOW", help="shorten, or tidy.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message.")],
    asker: Asker,
) -> Result:
    """Edit a message by rule; names, numbers, dates, code and links stay as they are."""
    with call.workspace() as workspace:
        edited = workspace.features.edit(text, person=asker, how=how)
    return Result(value={"how": how, "text": text, "edited": edited}, view=_edited_view)


def _edited_view(value: Value) -> Iterator[Block]:
    """Show an edited message."""
    yield paragraph(value["edited"])
