"""Commands for what a person may ask for: export, recorded, requests."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from volition.cli.blocks import Block, Grid, Line, Value
from volition.cli.call import Call, Result, command
from volition.errors import BackendError
from volition.files import PART, write_file

PANEL = "What a person may ask for"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "export", panel=PANEL, example="volition export ada")(export)
    command(app, "recorded", panel=PANEL, example="volition recorded ada --conversation Planning")(recorded)
    command(app, "requests", panel=PANEL, example="volition requests ada")(requests)


def export(
    call: Call,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Whose records.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to write it; by default PERSON.zip.")
    ] = None,
) -> Result:
    """Write all that is held of a person as a zip of JSON and Parquet, and what it was used for.

    What others said is not in it, even where it concerns the person: of that, only the category and the instant are.
    The file is for that person; hand it to nobody else.
    """
    path = Path(f"{person.replace('/', '-').replace(':', '-')}.zip") if file is None else file
    aside = path.with_name(path.name + PART)
    with call.workspace() as workspace:
        workspace.party(f"person:{person}")  # a mistyped name is refused before a file is made
        try:
            with os.fdopen(os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb+") as sink:
                done = workspace.rights.export(person, sink)
            aside.replace(path)
        except OSError as error:
            aside.unlink(missing_ok=True)
            msg = f"The records could not be written to {path}: {error.strerror}. Name another place."
            raise BackendError(msg) from error
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    value = {"file": str(path), "person": person, "records": done.own, "concerning": done.concerning}
    return Result(value=value, view=_exported)


def recorded(
    call: Call,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Whose records.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to write it; by default recorded.json.")
    ] = None,
    conversation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of this meeting, channel or file alone.")
    ] = None,
    record: Annotated[str | None, typer.Option(metavar="ID", help="Of this record alone.")] = None,
) -> Result:
    """Prove to a person what was recorded about them: when, as what, and that it concerns them.

    The log committed to it when it was collected. Nobody else is named in the file; `volition verify` checks it. With
    --json and no FILE it goes to stdout.
    """
    with call.workspace() as workspace:
        proof = workspace.proofs.collected(person, conversation=conversation, record=record)
    if file is None and call.json:
        return Result(value=proof, view=_recorded)
    path = file or Path("recorded.json")
    try:
        write_file(path, json.dumps(proof, indent=1).encode())
    except OSError as error:
        msg = f"The proof could not be written to {path}: {error.strerror}. Name another place."
        raise BackendError(msg) from error
    records = sum(len(batch["leaves"]) for batch in proof["batches"])
    return Result(value={"file": str(path), "person": person, "records": records}, view=_recorded)


def requests(call: Call, person: Annotated[str, typer.Argument(metavar="PERSON", help="Whose requests.")]) -> Result:
    """List every no of a person, with the models that must forget for it, and by when."""
    with call.workspace() as workspace:
        found = [request.to_json() for request in workspace.rights.requests(workspace.party(f"person:{person}"))]
    return Result(value={"person": person, "requests": found}, view=_requests)


def _exported(value: Value) -> list[Block]:
    summary = f"{value['file']}: {value['records']:,} records of {value['person']}, "
    return [Line(text=f"{summary}and {value['concerning']:,} of others that concern them, without content.")]


def _recorded(value: Value) -> list[Block]:
    checked = f"Anyone checks it with: volition verify {value['file']} --key KEY"
    return [Line(text=f"{value['file']}: what was recorded in {value['records']:,} records. {checked}")]


def _requests(value: Value) -> list[Block]:
    if not value["requests"]:
        return [Line(text=f"{value['person']} has asked for nothing.")]
    rows = [
        (
            request["seq"],
            request["at"][:10],
            request["kind"],
            ", ".join(request["purpose"]),
            f"{sum(model['forgotten'] is not None for model in request['models'])} of {len(request['models'])}",
            "done" if request["done"] else request["due"][:10],
        )
        for request in value["requests"]
    ]
    return [Grid(columns=("entry", "since", "what", "of", "models that forgot", "due"), rows=rows)]
