"""Commands that undo: owed, forget, erase."""

import sys
from typing import Annotated

import typer

from volition.cli import output, views
from volition.cli.call import Call, Result, command, owed_json

PANEL = "Undo"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "owed", panel=PANEL, example="volition owed")(owed)
    command(app, "forget", panel=PANEL, example="volition forget")(forget)
    command(app, "erase", panel=PANEL, example="volition erase --party person:ada")(erase)


def owed(call: Call) -> Result:
    """List the models that must forget somebody, and by when."""
    with call.workspace() as workspace:
        rows = owed_json(workspace)
    return Result(value={"owed": rows}, view=views.owed)


def forget(call: Call) -> Result:
    """Do every forgetting that is owed.

    Each model gives way to the one that would have been trained without the parties; its files are erased.
    """
    with call.workspace() as workspace, output.progress() as progress:
        done = [
            {
                "model": forgotten.model,
                "successor": forgotten.successor,
                "parties": [workspace.party_name(party) for party in forgotten.parties],
                "rows": forgotten.rows,
                "waits": forgotten.waits,
            }
            for forgotten in workspace.forgetting.forget(progress=progress)
        ]
        waiting = [owed for owed in owed_json(workspace) if owed["blocked"]]
    return Result(value={"forgotten": done, "waiting": waiting}, view=views.forgotten)


def erase(
    call: Call,
    party: Annotated[str, typer.Option(metavar="PARTY", help="Whom to erase: account:ID or person:ID.")],
) -> Result:
    """Erase an account or a person for good: names, keys and records.

    On a terminal it asks first. Models that learned from the party must then forget it.
    """
    with call.workspace() as workspace:
        workspace.party(party)  # a mistyped name is told before the question, not after
        if not call.json and sys.stdin.isatty() and sys.stderr.isatty():
            typer.confirm(f"Erase {party} for good? Nothing brings it back.", abort=True, err=True)
        records = workspace.forgetting.erase(party)
        value = {"party": party, "records": records, "owed": owed_json(workspace)}
    return Result(value=value, view=views.erased)
