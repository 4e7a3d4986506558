"""The command that recommends: recommend."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from volition.cli.blocks import Block, Grid, Value, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.features.asker import PANEL


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "recommend", panel=PANEL, example="volition recommend ada", reads="feature")(recommend)


def recommend(
    call: Call,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Id of the person.")],
) -> Result:
    """Recommend what a person may want to open next, and say why."""
    with call.workspace() as workspace:
        suggestions = workspace.features.recommend(person)
    value = {"person": person, "suggestions": [asdict(found) for found in suggestions]}
    return Result(value=value, view=_suggestions_view)


def _suggestions_view(value: Value) -> Iterator[Block]:
    """Show recommendations."""
    if not value["suggestions"]:
        yield paragraph("Nothing to recommend yet.")
        return
    rows = [(found["item"], found["because"]) for found in value["suggestions"]]
    yield Grid(columns=("item", "because"), rows=rows)
