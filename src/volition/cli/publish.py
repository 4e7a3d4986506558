"""Commands that hand on what was released or frozen, as others expect it: publish model, publish snapshot."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from volition.cli.blocks import Block, Value, listed, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.help import group

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")]

_SNAPSHOT: Final = "volition publish snapshot train-search-0123456789ab training-set"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    publish = group("Hand on a released model, or a snapshot, in the forms that others expect.")
    command(publish, "model", example="volition publish model search-0123456789ab search-model")(model)
    command(publish, "snapshot", example=_SNAPSHOT, reads="snapshot")(snapshot)
    app.add_typer(publish, name="publish", rich_help_panel="Prove")


def model(
    call: Call,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Id of a released model; `volition status` lists them.")
    ],
    folder: Folder,
) -> Result:
    """Write a released model with its documents: card, attestation, signature, bill of materials, summary.

    The folder holds the model's files, its signature (OpenSSF model signing), a model card for hubs (README.md), a bill
    of materials (CycloneDX), and a summary of the training content in the sections of the EU's template. None of them
    names a customer but the card, card.json and card.md, which are for auditors.
    """
    with call.workspace() as workspace:
        files = workspace.documents.publish_model(model, folder)
    return Result(value={"model": model, "folder": str(folder), "files": files}, view=_view)


def snapshot(
    call: Call,
    snapshot: Annotated[
        str, typer.Argument(metavar="SNAPSHOT", help="Id of a snapshot; `volition status` lists them.")
    ],
    folder: Folder,
) -> Result:
    """Write a snapshot with its metadata (Croissant); content stays encrypted under the accounts' keys."""
    with call.workspace() as workspace:
        for account, rows in workspace.snapshots.open(snapshot).manifest["accounts"].items():
            workspace.accesses.note_list(None, "snapshot", account=account, records=rows)
        files = workspace.documents.publish_snapshot(snapshot, folder)
    return Result(value={"snapshot": snapshot, "folder": str(folder), "files": files}, view=_view)


def _view(value: Value) -> Iterator[Block]:
    """Show what was written."""
    yield paragraph(f"{value.get('model') or value['snapshot']} is in {value['folder']}: {listed(value['files'])}.")
