"""The command by which an account limits the use of its data: its lock, and limits of groups of its people."""

# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from volition.cli.blocks import Block, Grid, Value, listed, paragraph, short_instant
from volition.cli.call import Call, Result, command, recorded
from volition.cli.owed import must_forget, with_owed
from volition.errors import InvalidInputError

PANEL = "Data, and who says yes"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(
        app,
        "limit",
        panel=PANEL,
        example='volition limit --account helio --switch train-compose --group "works council" --person ada',
    )(limit)


def limit(
    call: Call,
    account: Annotated[
        str, typer.Option(metavar="ACCOUNT", help="Id of the account; its limits judge its data alone.")
    ],
    switch: Annotated[
        str | None, typer.Option(metavar="SWITCH", help="What to limit: a switch of its terms; or else:")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(metavar="CATEGORY", help='for which data, "content", ... (repeatable), and')
    ] = None,
    purpose: Annotated[
        list[str] | None, typer.Option(metavar="PURPOSE", help='for which use, "train", ... (repeatable).')
    ] = None,
    group: Annotated[
        str, typer.Option(metavar="NAME", help="A group of its people; by default it is the lock of the whole account.")
    ] = "",
    person: Annotated[
        list[str] | None,
        typer.Option(metavar="PERSON", help="Whom of the group, by id or a name there. Repeatable."),
    ] = None,
    people: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Whom of the group, one in each line of a file.")
    ] = None,
    lift: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--lift", help="Lift the limit: for those named, or for all of the group.")
    ] = False,
) -> Result:
    """Limit a use for a whole account or a group of its people, whatever anybody says; or show what is limited.

    While a limit stands no yes, no acceptance and no new terms turn the use on for those whom it holds, and leaving the
    group does not either: only lifting it does. A no counts at any time. Naming neither a switch nor data and purposes
    shows the limits that stand. What was collected under a limit, or before it, stays out after the lift.
    """
    named = [*(person or ()), *_lines(people)]
    if not _says_what(switch, [*(data or ()), *(purpose or ())]):
        if lift or named or group:
            raise InvalidInputError("Name what to limit or to lift: --switch, or --data and --purpose.")
        return _shown(call, account)
    with call.workspace() as workspace:
        entries = workspace.consent.limit(
            account,
            switch=switch,
            data=data or (),
            purpose=purpose or (),
            group=group,
            people=named,
            limited=not lift,
        )
        whom = [workspace.party_name(party) for entry in entries for party in entry.body["people"]]
        about = {"people": whom, "entries": [entry.seq for entry in entries]}
        value = recorded(entries[0]) | about | {"group": group}  # its name, which the entry does not hold
        return with_owed(workspace, value, _limited_view, stands="The limit stands.")


def _shown(call: Call, account: str) -> Result:
    with call.workspace() as workspace:
        limits = [one.to_json() for one in workspace.consent.limits(account)]
    return Result(value={"account": account, "limits": limits}, view=_limits_view)


def _lines(path: Path | None) -> list[str]:
    """Return the people whom a file names, one in each line."""
    if path is None:
        return []
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{path} cannot be read: {error}. Name a text file with one person in each line."
        ) from error
    return [line for line in found if line]


def _limited_view(value: Value) -> Iterator[Block]:
    """Show a limit that was set or lifted, and what it obliges to."""
    whole = f"all of {value['group']}" if value["group"] else "the whole account"
    whom = listed(value["people"]) if value["people"] else whole
    yield paragraph(
        f"Recorded at {short_instant(value['at'])} (entry {listed(map(str, value['entries']))}): {value['account']} "
        f"{'limits' if value['limited'] else 'lifts its limit of'} {listed(value['data'])} for "
        f"{listed(value['purpose'])}, for {whom}."
    )
    yield from must_forget(value)


def _limits_view(value: Value) -> Iterator[Block]:
    """Show the limits of an account that stand."""
    if not value["limits"]:
        yield paragraph(f"{value['account']} limits nothing.")
        return
    rows = [
        (
            one["group"] or "the whole account",
            use["people"] or None,
            use["purpose"],
            listed(use["data"]),
            short_instant(use["since"]),
            use["entry"],
        )
        for one in value["limits"]
        for use in one["limited"]
    ]
    yield Grid(columns=("group", "people", "purpose", "data", "since", "entry"), rows=rows)


def _says_what(switch: str | None, names: Sequence[str]) -> bool:
    """Return whether it is named what to limit: a switch, or data and purposes."""
    if switch is not None and names:
        raise InvalidInputError("--switch says which data and which uses already. Name either a switch or those.")
    return switch is not None or bool(names)
