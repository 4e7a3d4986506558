"""The commands that take in what another system has: import accounts, people, consents."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from volition.cli import output
from volition.cli.blocks import Block, Grid, Value, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.help import group
from volition.cli.owed import must_forget, with_owed
from volition.cli.quick import few_collections
from volition.errors import InvalidInputError

PANEL = "Data, and who says yes"
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    imports = group("Take in what another system has.")
    app.add_typer(imports, name="import", rich_help_panel=PANEL)
    command(
        imports,
        "consents",
        example="volition import consents export.csv --preset onetrust --mapping ours.toml --dry-run",
    )(import_consents)
    command(imports, "accounts", example="volition import accounts accounts.csv --column id=workspace_id")(
        import_accounts
    )
    command(imports, "people", example="volition import people users.csv --column id=user_id --column emails=email")(
        import_people
    )


def import_consents(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The answers: .csv, .tsv, .jsonl, .ndjson or .parquet.")],
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Which column holds what: docs/how-to/import.md.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The columns of a known export: onetrust, transcend, fides, segment, rudderstack, table.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and do nothing.")] = False,  # noqa: FBT002
) -> Result:
    """Import answers that were given elsewhere, each with the time when it was given.

    A yes reaches back to when it was said and no further; a no breaks off there. The ledger says that they are claimed,
    by whom, and where they come from. The same file imported twice changes nothing, so a killed import is given again.
    A row that is not clear is set aside with its line and a reason.
    """
    from volition.consent.claims import ClaimMapping  # noqa: PLC0415 - a command loads what it needs

    if mapping is None and preset is None:
        raise InvalidInputError("Say which column holds what: --mapping FILE.toml, or --preset NAME, or both.")
    told = ClaimMapping.from_toml(_text_of(mapping), preset=preset)
    with call.workspace() as workspace:
        with output.progress() as progress, few_collections():
            report = workspace.consent.import_(file, told, dry_run=dry_run, progress=progress)
        if dry_run:
            return Result(value=report.to_json() | {"owed": []}, view=_report_view)
        return with_owed(workspace, report.to_json(), _report_view, stands="What was imported stands.")


Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="WHAT=COLUMN", help="In which column something is. Repeatable."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and do nothing.")]


def import_accounts(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Their rows: .csv, .tsv, .jsonl, .ndjson, .parquet.")],
    column: Columns = None,
    dry_run: DryRun = False,  # noqa: FBT002 - an option
) -> Result:
    """Add accounts from a file: id, name, region.

    Whoever is there already is left as they are, so the same file twice changes nothing.
    """
    with call.workspace() as workspace, output.progress() as progress, few_collections():
        report = workspace.people.import_accounts(file, _columns(column), dry_run=dry_run, progress=progress)
    return Result(value=report.to_json() | {"owed": [], "what": "account"}, view=_report_view)


def import_people(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Their rows: .csv, .tsv, .jsonl, .ndjson, .parquet.")],
    column: Columns = None,
    dry_run: DryRun = False,  # noqa: FBT002 - an option
) -> Result:
    """Add people from a file: id, account, name, aliases, emails, region.

    Several aliases or addresses have a semicolon between them. Whoever is there already is left as they are, so the
    same file twice changes nothing. Whoever was heard before under one of the names stays somebody else; the no of each
    counts for both.
    """
    with call.workspace() as workspace, output.progress() as progress, few_collections():
        report = workspace.people.import_people(file, _columns(column), dry_run=dry_run, progress=progress)
    return Result(value=report.to_json() | {"owed": [], "what": "person"}, view=_report_view)


def _columns(told: list[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in told or ()]
    if any(not (name and equals and column) for name, equals, column in pairs):
        raise InvalidInputError("Write each --column as WHAT=COLUMN, such as id=user_id.")
    return {name: column for name, _, column in pairs}


def _text_of(mapping: Path | None) -> str:
    if mapping is None:
        return ""
    try:
        return mapping.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{mapping} cannot be read: {error}. Check the path.") from error


def _report_view(value: Value) -> Iterator[Block]:
    """Show what an import did, or would do."""
    verb = "Would import" if value["dry_run"] else "Imported"
    blank = f"{value['blank']:,} cells said nothing, " if value["blank"] else ""
    what = {"account": "new accounts", "person": "new people"}.get(value.get("what", ""), "new answers")
    yield paragraph(
        f"{verb} {value['new']:,} {what} from {value['file']}; {value['known']:,} were there already, "
        f"{blank}{value['set_aside']:,} set aside."
    )
    if value["rows"]:
        rows = [(one["line"], one["why"]) for one in value["rows"][:_SHOWN]]
        yield Grid(columns=("line", "why it was set aside"), rows=rows)
    left = value["set_aside"] - min(len(value["rows"]), _SHOWN)
    if left > 0:
        yield paragraph(f"And {left:,} more; --json lists the first thousand.")
    yield from must_forget(value)
