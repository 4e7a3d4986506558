"""Commands for what a person may ask for: export, recorded, requests."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from volition.cli.blocks import Block, Grid, Line, Value
from volition.cli.call import Call, Result, command
from volition.errors import BackendError
from volition.files import PART, write_file

PANEL = "What a person may ask for"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "export", panel=PANEL, example="volition export ada", reads="export")(export)
    example = "volition recorded ada --conversation Planning"
    command(app, "recorded", panel=PANEL, example=example, reads="proofs")(recorded)
    command(app, "accesses", panel=PANEL, example="volition accesses ada", reads="accesses")(accesses)
    command(app, "requests", panel=PANEL, example="volition requests ada", reads="requests")(requests)


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
                workspace.accesses.note(None, "export", [person], records=done.own + done.concerning)
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
        records = sum(len(batch["leaves"]) for batch in proof["batches"])
        workspace.accesses.note(None, "proofs", [person], records=records)
    if file is None and call.json:
        return Result(value=proof, view=_recorded)
    path = file or Path("recorded.json")
    try:
        write_file(path, json.dumps(proof, indent=1).encode())
    except OSError as error:
        msg = f"The proof could not be written to {path}: {error.strerror}. Name another place."
        raise BackendError(msg) from error
    return Result(value={"file": str(path), "person": person, "records": records}, view=_recorded)


def accesses(  # noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command
    call: Call,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Whose data was looked at.")],
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="NUMBER", help="Most lines, the newest first.", show_default=True)
    ] = 100,
    before: Annotated[
        str | None, typer.Option(metavar="LINE", help="Only lines before this one, such as 2026-01-31.4.")
    ] = None,
    proof: Annotated[
        str | None, typer.Option(metavar="LINE", help="Write the proof of this line instead, once its day is over.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write the proof; by default access-LINE.json.")
    ] = None,
) -> Result:
    """List who looked at a person's data, and which features used it; or prove one line.

    Each day's lines are entered in the log when the day is over; from then on none can be changed or removed unnoticed.
    Who reads the files themselves, without this software, is not listed.
    """
    with call.workspace() as workspace:
        if proof is None:
            found = workspace.accesses.of(person, before=before, limit=limit)
            value: dict[str, Any] = {
                "person": person,
                "accesses": [{**line.to_json(), "line": line.id or None, "entry": line.seq} for line in found],
            }
        else:
            path = Path(f"access-{proof}.json") if file is None else file
            document = workspace.accesses.prove(person, proof)
            value = {"person": person, "line": proof, "file": str(path)}
        workspace.accesses.note(None, "accesses", [person], records=len(value.get("accesses", [proof])))
    if proof is None:
        return Result(value=value, view=_accesses)
    try:
        write_file(path, json.dumps(document, indent=1).encode())
    except OSError as error:
        msg = f"The proof could not be written to {path}: {error.strerror}. Name another place."
        raise BackendError(msg) from error
    return Result(value=value, view=_access_proof)


def requests(call: Call, person: Annotated[str, typer.Argument(metavar="PERSON", help="Whose requests.")]) -> Result:
    """List every no of a person, with the models that must forget for it, and by when."""
    with call.workspace() as workspace:
        found = [request.to_json() for request in workspace.rights.requests(workspace.party(f"person:{person}"))]
        workspace.accesses.note(None, "requests", [person], records=len(found))
    return Result(value={"person": person, "requests": found}, view=_requests)


def _exported(value: Value) -> list[Block]:
    summary = f"{value['file']}: {value['records']:,} records of {value['person']}, "
    return [Line(text=f"{summary}and {value['concerning']:,} of others that concern them, without content.")]


def _recorded(value: Value) -> list[Block]:
    checked = f"Anyone checks it with: volition verify {value['file']} --key KEY"
    return [Line(text=f"{value['file']}: what was recorded in {value['records']:,} records. {checked}")]


def _accesses(value: Value) -> list[Block]:
    if not value["accesses"]:
        return [Line(text=f"Nobody has looked at data of {value['person']} since this log began.")]
    rows = [
        (
            line["line"] or "from tomorrow",
            (line["at"] or line["day"])[:16],
            line["who"],
            line["role"],
            line["for"],
            line["records"],
            ", ".join(line["categories"]),
        )
        for line in value["accesses"]
    ]
    return [Grid(columns=("line", "when", "who", "role", "what", "records", "of"), rows=rows)]


def _access_proof(value: Value) -> list[Block]:
    return [Line(text=f"{value['file']}. Anyone checks it with: volition verify {value['file']} --key KEY")]


def _requests(value: Value) -> list[Block]:
    if not value["requests"]:
        return [Line(text=f"{value['person']} has asked for nothing.")]
    rows = [
        (
            request["seq"],
            request["at"][:10] + (f" (said {request['claimed'][:10]}, imported)" if request["claimed"] else ""),
            request["kind"],
            ", ".join(request["purpose"]),
            f"{sum(model['forgotten'] is not None for model in request['models'])} of {len(request['models'])}",
            "done" if request["done"] else request["due"][:10],
        )
        for request in value["requests"]
    ]
    return [Grid(columns=("entry", "since", "what", "of", "models that forgot", "due"), rows=rows)]
