"""Commands of summaries that a language model wrote: summary list, correct, send; `summarize --written` writes one."""

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from volition.cli import output
from volition.cli.blocks import Block, Grid, Value, clock, heading, listed, paragraph, short_instant
from volition.cli.call import Call, Result, command
from volition.cli.features.asker import PANEL, Asker
from volition.cli.help import group

if TYPE_CHECKING:
    from volition.workspace import Workspace

Meeting = Annotated[str, typer.Argument(metavar="MEETING", help="The meeting's name.")]


class Change(StrEnum):
    """What can be done to a sentence."""

    REWORD = "reword"
    STRIKE = "strike"
    PUT_BACK = "put-back"
    ADD = "add"


class Kind(StrEnum):
    """To what a sentence can be added."""

    OVERVIEW = "overview"
    TOPIC = "topic"
    DECISION = "decision"
    TASK = "task"
    QUESTION = "question"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    summary = group("List, correct and send summaries that a language model wrote.")
    app.add_typer(summary, name="summary", rich_help_panel=PANEL)
    command(summary, "list", example="volition summary list --as ada")(list_summaries)
    example = 'volition summary correct kickoff reword --claim 0-1 --text "The frame is oak." --as ada'
    command(summary, "correct", example=example, reads="feature")(correct)
    command(summary, "send", example="volition summary send kickoff --to bo --as ada")(send)


def write(call: Call, meeting: str, asker: str, *, again: bool) -> Result:
    """Show the written summaries of a meeting; where there is none yet, or it is wanted anew, have one written first.

    What was begun and not finished is gone on with. Raises as `Summaries.write`.
    """
    with call.workspace() as workspace:
        found = workspace.summaries.of(asker, meeting=meeting)
        is_unfinished = any(one.is_own and one.summary.state != "done" for one in found)
        if again or is_unfinished or not found:
            with output.progress() as progress:
                workspace.summaries.write(meeting, person=asker, progress=progress)
        return _whole(workspace, meeting, asker)


def list_summaries(call: Call, asker: Asker) -> Result:
    """List the written summaries that somebody may read: their own, and those that were sent to them."""
    with call.workspace() as workspace:
        found = [{**one.to_json(), "claims": None} for one in workspace.summaries.of(asker)]
    return Result(value={"person": asker, "summaries": found}, view=_list_view)


def _list_view(value: Value) -> Iterator[Block]:
    if not value["summaries"]:
        yield paragraph("There are none.")
        return
    rows = [
        (one["meeting"], "own" if one["own"] else one["owner"]["name"], one["state"], short_instant(one["asked"]))
        for one in value["summaries"]
    ]
    yield Grid(columns=("meeting", "whose", "state", "asked for"), rows=rows)


def correct(  # noqa: PLR0913, PLR0917 - one parameter for each option
    call: Call,
    meeting: Meeting,
    do: Annotated[Change, typer.Argument(metavar="CHANGE", help="reword, strike, put-back or add.")],
    asker: Asker,
    claim: Annotated[str, typer.Option(metavar="ID", help="Which sentence: its id, as it is shown.")] = "",
    text: Annotated[str, typer.Option(metavar="TEXT", help="What it should say.")] = "",
    kind: Annotated[Kind, typer.Option(metavar="KIND", help="To what a sentence is added.")] = Kind.OVERVIEW,
) -> Result:
    """Reword, strike out, put back or add a sentence of one's own written summary; who received it reads it so."""
    from volition.features.written.corrections import correction  # noqa: PLC0415 - so that `volition --help` is quick

    change = correction(do.value.replace("-", " "), claim=claim, text=text, kind=kind.value)
    with call.workspace() as workspace:
        workspace.summaries.correct(meeting, change, person=asker)
        return _whole(workspace, meeting, asker)


def send(
    call: Call,
    meeting: Meeting,
    asker: Asker,
    to: Annotated[
        list[str], typer.Option("--to", metavar="PERSON", help="A user of the account: id, address, name. Repeatable.")
    ],
    *,
    take_back: Annotated[bool, typer.Option("--take-back", help="Take it back from them instead.")] = False,
) -> Result:
    """Send one's own finished summary to colleagues, or take it back. Nobody else receives it."""
    with call.workspace() as workspace:
        move = workspace.summaries.take_back if take_back else workspace.summaries.send
        entry = move(meeting, person=asker, to=to)
    value = {"meeting": meeting, "to": to, "sent": not take_back, "entry": None if entry is None else entry.seq}
    return Result(value=value, view=_sent_view)


def _sent_view(value: Value) -> Iterator[Block]:
    if value["entry"] is None:
        yield paragraph("Nothing to change: it was so already.")
        return
    did = "sent to" if value["sent"] else "taken back from"
    yield paragraph(f"The summary is {did} {listed(value['to'])} (entry {value['entry']}).")


def _whole(workspace: "Workspace", meeting: str, asker: str) -> Result:
    found = [one.to_json() for one in workspace.summaries.of(asker, meeting=meeting)]
    return Result(value={"meeting": meeting, "person": asker, "written": found}, view=_written_view)


def _written_view(value: Value) -> Iterator[Block]:
    """Show each summary of a meeting: its sentences with their seconds, and what is to be known of it."""
    if not value["written"]:
        yield paragraph("There is no written summary of it.")
    for one in value["written"]:
        yield heading("Yours" if one["own"] else f"Written for {one['owner']['name']}")
        rows = [(claim["id"], claim["kind"], _told(claim), _places(claim), _mark(claim)) for claim in one["claims"]]
        yield Grid(columns=("id", "kind", "says", "at", "note"), rows=rows)
        yield from map(paragraph, _notes(one))


def _told(claim: Value) -> str:
    about = ", ".join(filter(None, (claim["who"], claim["due"])))
    return f"{claim['text']} ({about})" if about else claim["text"]


def _places(claim: Value) -> str | None:
    return " ".join(clock(place["start_ms"]) for place in claim["places"]) or None


def _mark(claim: Value) -> str | None:
    marks = ("struck out" if claim["is_struck"] else "", "a person's words" if claim["by_person"] else "")
    return ", ".join(filter(None, marks)) or None


def _notes(one: Value) -> Iterator[str]:
    if one["state"] != "done":
        why = f" {one['error']}" if one["error"] else ""
        yield f"It is not finished: {one['parts_done']:,} of {one['parts']:,} parts of the transcript are done.{why}"
    yield f"Sentences left out, since the lines do not carry them: {sum(one['left_out'].values()):,}."
    if one["unread_parts"]:
        yield f"Parts of the transcript whose answer could not be read: {one['unread_parts']:,}."
    if one["withheld"]:
        yield f"Sentences not shown, since a line behind them may not be used for summaries now: {one['withheld']:,}."
    yield f"Written by {one['model']} at {one['host']}, where {one['lines_sent']:,} lines were sent with names."
    if one["sent_to"]:
        yield f"Sent to {listed(reader['name'] for reader in one['sent_to'])}."
