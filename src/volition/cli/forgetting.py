"""Commands that undo: owed, forget, erase."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from volition.cli import output
from volition.cli.blocks import Block, Grid, Value, listed, paragraph, short_instant
from volition.cli.call import Call, Result, command
from volition.cli.owed import must_forget, owed_json, owed_view

PANEL = "Undo"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "owed", panel=PANEL, example="volition owed", reads="owed")(owed)
    command(app, "forget", panel=PANEL, example="volition forget", reads="owed")(forget)
    command(app, "erase", panel=PANEL, example="volition erase --party person:ada")(erase)


def owed(call: Call) -> Result:
    """List the models that must forget somebody, and by when."""
    with call.workspace(reads=True) as workspace:
        rows = owed_json(workspace)
    return Result(value={"owed": rows}, view=owed_view)


def forget(call: Call) -> Result:
    """Do every forgetting that is owed.

    Each model gives way to the one that would have been trained without the parties; its files are erased.
    """
    with call.workspace() as workspace, output.progress() as progress:
        found = workspace.forgetting.forget(progress=progress)
        done = [
            {
                "model": forgotten.model,
                "successor": forgotten.successor,
                "parties": [workspace.party_name(party) for party in forgotten.parties],
                "rows": forgotten.rows,
                "waits": forgotten.waits,
                "damage": forgotten.damage,
            }
            for forgotten in found
        ]
        people = {party for forgotten in found for party in forgotten.parties if party.startswith("person:")}
        workspace.accesses.note(None, "owed", people)
        waiting = [owed for owed in owed_json(workspace) if owed["blocked"]]
    return Result(value={"forgotten": done, "waiting": waiting}, view=_forgotten_view)


def _forgotten_view(value: Value) -> Iterator[Block]:
    """Show the forgettings that were done."""
    for owed in value["waiting"]:
        if owed["damage"]:
            yield paragraph(f"{owed['model']} waits: something is damaged. {owed['damage']}")
            continue
        yield paragraph(
            f"{owed['model']} waits until {short_instant(owed['due'])} and is then erased. {owed['blocked']}"
        )
    if not value["forgotten"]:
        yield paragraph("Nothing else was owed." if value["waiting"] else "Nothing was owed.")
        return
    rows = [
        (done["model"], done["rows"], listed(done["parties"]), done["successor"] or "none")
        for done in value["forgotten"]
    ]
    yield Grid(columns=("forgotten", "rows", "parties", "successor"), rows=rows)
    for done in value["forgotten"]:
        if done["damage"]:
            yield paragraph(f"{done['model']} went without a successor, since something is damaged. {done['damage']}")
        if done["waits"]:
            yield paragraph(
                f"{done['waits']} never saw them and misses a bound: until somebody answers for it, the feature goes "
                f"without a model. What it misses: volition release {done['waits']}"
            )


def erase(
    call: Call,
    party: Annotated[str, typer.Option(metavar="PARTY", help="Whom to erase: account:ID or person:ID.")],
    dry_run: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--dry-run", help="Only say what would go from tables elsewhere.")
    ] = False,
) -> Result:
    """Erase an account or a person for good: names, keys, records, sign-in, and rows in tables elsewhere.

    Those tables stand in the settings, as [tables.NAME]. Nobody can read an older version of one afterwards. On a
    terminal it asks first. Models that learned from the party must then forget it.
    """
    with call.workspace(reads=dry_run) as workspace:
        workspace.party(party)  # a mistyped name is refused before the question, not after
        asks = not dry_run and not call.json and sys.stdin.isatty() and sys.stderr.isatty()
        would_go = workspace.forgetting.would_go(party) if dry_run or asks else []
        if dry_run:
            return Result(value={"party": party, "tables": [one.to_json() for one in would_go]}, view=_would_go_view)
        if asks:
            for one in would_go:
                output.warn(_would_go(one.to_json()))
            typer.confirm(f"Erase {party} for good? Nothing brings it back.", abort=True, err=True)
        kind, _, person = party.partition(":")
        may_be = [one.id for one in workspace.people.namesakes(person)] if kind == "person" else []
        erased = workspace.forgetting.erase(party)
        value = {"party": party, "records": erased.records, "set_aside": erased.set_aside, "may_be": may_be}
        value["tables"] = [one.to_json() for one in erased.tables]
        value["owed"] = owed_json(workspace)
    return Result(value=value, view=_erased_view)


def _would_go(one: Value) -> str:
    if not one["rows"] and not one["versions"]:
        return f"Table {one['table']}: nothing of them is in it, so nothing changes."
    return (
        f"Table {one['table']}: {one['rows']:,} rows would go, and {one['versions']:,} older versions end: nobody "
        "could read the table as it was before."
    )


def _would_go_view(value: Value) -> Iterator[Block]:
    """Show what would go from tables elsewhere."""
    for one in value["tables"]:
        yield paragraph(_would_go(one))
    if not value["tables"]:
        yield paragraph("The settings list no table elsewhere.")


def _erased_view(value: Value) -> Iterator[Block]:
    """Show an erasure."""
    aside = f" and {value['set_aside']:,} pieces of input that had been set aside" if value["set_aside"] else ""
    yield paragraph(f"{value['party']} is erased, with {value['records']:,} records{aside}.")
    for one in value["tables"]:
        yield paragraph(
            f"Table {one['table']}: {one['rows']:,} rows went, {one['versions']:,} older versions ended, and "
            f"{one['files']:,} files were removed."
        )
        if one["left"]:
            yield paragraph("They are still named in these files, such as in what others wrote:")
            rows = [(left["file"], left["where"], left["what"]) for left in one["left"]]
            yield Grid(columns=("file", "where", "by"), rows=rows)
    for one in value["may_be"]:
        yield paragraph(
            f"{one} may be the same person, and is not erased. To do so: volition erase --party person:{one}"
        )
    yield from must_forget(value)
