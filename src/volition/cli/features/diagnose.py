"""The command that says which sessions are at risk: diagnose."""

from collections.abc import Iterator
from typing import Annotated

import typer

from volition.cli.blocks import Block, Grid, Value, paragraph, short_instant
from volition.cli.call import Call, Result, command
from volition.cli.features.asker import PANEL


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "diagnose", panel=PANEL, example="volition diagnose ada", reads="feature")(diagnose)


def diagnose(
    call: Call,
    person: Annotated[
        str, typer.Argument(metavar="PERSON", help="Id of the person; only their own sessions are shown.")
    ],
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="Only the session of this id; by default all.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, metavar="NUMBER", help="Most sessions.", show_default=True)
    ] = 10,
) -> Result:
    """Show which of a person's sessions are at risk of failing, and the likely causes."""
    with call.workspace() as workspace:
        found = workspace.features.diagnose(person, session=session, limit=limit)
    return Result(value={"person": person, **found.to_json()}, view=_diagnosed_view)


def _diagnosed_view(value: Value) -> Iterator[Block]:
    """Show which sessions are at risk, and why."""
    rows = [
        (
            session["session"],
            short_instant(session["last"]),
            session["state"],
            f"{session['risk']:.0%}",
            "; ".join(_cause(cause) for cause in session["causes"]) or None,
        )
        for session in value["sessions"]
    ]
    if rows:
        yield Grid(columns=("session", "last heard of", "state", "risk", "likely causes"), rows=rows)
    else:
        yield paragraph("There are no sessions that may be looked at.")
    if value["note"]:
        yield paragraph(value["note"])


def _cause(cause: Value) -> str:
    odds = f", odds of failing x {cause['factor']:g}" if cause["factor"] is not None else ""
    return f"{cause['words']}{odds}"
