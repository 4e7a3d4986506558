"""Commands for the workspace as a whole: init, status."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from volition.cli.blocks import Block, Grid, Value, heading, listed, paragraph, short_instant
from volition.cli.call import Call, Result, command
from volition.cli.owed import owed_view

SET_UP = "Set up"
LOOK = "Look around"

_MANY_FILES: Final = 1000  # beyond one for each category and bucket: reading them begins to cost


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "init", panel=SET_UP, example="volition init acme --origin log.acme.example/volition")(init)


def register_status(app: typer.Typer) -> None:
    """Add the command that looks around, further down in the help."""
    command(app, "status", panel=LOOK, example="volition status")(status)


def init(
    call: Call,
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A folder that is empty or not there; by default this one.")
    ] = None,
    origin: Annotated[
        str, typer.Option(metavar="NAME", help="Name of its log; it stays for ever. Your domain and a path.")
    ] = "volition.local/workspace",
    profile: Annotated[
        str, typer.Option(metavar="PROFILE", help="Shipped terms to publish at once; none to publish none.")
    ] = "granular",
) -> Result:
    """Make a workspace.

    It holds two secrets: master.key opens everything in it and signing.key speaks for it. Back them up, apart from the
    rest.
    """
    from volition.workspace import Workspace  # noqa: PLC0415 - heavy: --help does without

    place = folder or call.folder or Path()
    with Workspace.create(place, origin=origin, profile=None if profile == "none" else profile) as workspace:
        value = {
            "workspace": str(place.resolve()),
            "origin": workspace.origin,
            "key": workspace.verifier.to_text(),
            "terms": [terms.id for terms in workspace.terms.published()],
        }
    return Result(value=value, view=_init_view)


def _init_view(value: Value) -> Iterator[Block]:
    """Show a new workspace."""
    yield paragraph(f"A workspace in {value['workspace']}, with the terms: {listed(value['terms'])}.")
    yield paragraph(f"Its public key, for those who check its evidence: {value['key']}")
    yield paragraph("Back up master.key and signing.key, apart from the rest: nothing opens without them.")
    yield paragraph("Next: volition account add ID --name NAME")


def status(call: Call) -> Result:
    """Show what there is: terms, parties, records, models, and what is owed."""
    with call.workspace(reads=True) as workspace:
        value: dict[str, Any] = {"workspace": str(workspace.folder), **workspace.status()}
        for owed in value["owed"]:
            owed["parties"] = {workspace.party_name(party): reason for party, reason in owed["parties"].items()}
        for ending in value["ending"]:
            ending["party"] = workspace.party_name(ending["party"])
    return Result(value=value, view=_status_view)


def _status_view(value: Value) -> Iterator[Block]:
    """Show what there is."""
    ledger = value["ledger"]
    yield Grid(
        columns=("workspace", value["workspace"]),
        rows=[
            (
                "log",
                f"{value['origin']}: {ledger['size']:,} entries, the last at {short_instant(ledger['last']) or '-'}",
            ),
            ("terms", listed(value["terms"])),
            ("accounts", listed(value["accounts"])),
            ("people", f"{value['people']:,}"),
            ("snapshots", f"{len(value['snapshots']):,}"),
            ("encoder", value["encoder"]),
        ],
    )
    yield heading("Records")
    yield Grid(columns=("category", "records"), rows=[*value["records"].items()])
    if value["small_files"] >= _MANY_FILES:
        yield paragraph(f"{value['small_files']:,} files wait to be made fewer: `volition compact`.")
    if value["models"]:
        yield heading("Models")
        yield Grid(
            columns=("model", "family", "state", "snapshot"),
            rows=[(model["id"], model["family"], model["state"], model["snapshot"]) for model in value["models"]],
        )
    for why in value["families_missing"].values():
        yield paragraph(why)
    if value["owed"]:
        yield heading("Owed")
        yield from owed_view(value)
    if value["witnesses"]:
        yield heading("Witnesses")
        yield Grid(
            columns=("witness", "entries", "cosigned", "trouble"),
            rows=[
                (one["witness"], f"{one['size']:,}", short_instant(one["cosigned"]) or "never", one["trouble"] or "")
                for one in value["witnesses"]
            ],
        )
    if value["ending"]:
        yield heading("Yeses that end within 30 days")
        yield Grid(
            columns=("ends", "party", "account", "data", "purpose"),
            rows=[
                (
                    short_instant(one["until"]),
                    one["party"],
                    one["account"],
                    listed(one["data"]),
                    listed(one["purpose"]),
                )
                for one in value["ending"]
            ],
        )
