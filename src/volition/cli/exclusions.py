"""Commands that leave one conversation out of some uses of AI, or of all, and take it back in: exclude, include."""

# ruff: noqa: PLR0913 - a function has a parameter for each option of its command

from collections.abc import Iterator
from typing import Annotated

import typer

from volition.cli.blocks import Block, Line, Value, listed
from volition.cli.call import Call, Result, command
from volition.cli.owed import must_forget, with_owed

PANEL = "Data, and who says yes"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The meeting, channel or file.")]
Account = Annotated[str, typer.Option(metavar="ACCOUNT", help="Whose it is.")]
By = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="PERSON", help="Whom it concerns: of theirs alone. By default the account: all of it."
    ),
]
Purpose = Annotated[
    list[str] | None,
    typer.Option(metavar="PURPOSE", help='Of which use, "train", ... (repeatable). By default of every use.'),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "exclude", panel=PANEL, example="volition exclude kickoff --account helio --purpose train")(exclude)
    command(app, "include", panel=PANEL, example="volition include kickoff --account helio")(include)


def exclude(call: Call, name: Name, account: Account, by: By = None, purpose: Purpose = None) -> Result:
    """Leave one meeting, channel or file out of a use, or of all: what was collected in it, and what will be.

    The account leaves out all of it, a person what concerns them. Models that have learned from it must forget it.
    """
    return _said(call, name, account, by, purpose, excluded=True)


def include(call: Call, name: Name, account: Account, by: By = None, purpose: Purpose = None) -> Result:
    """Take a meeting, channel or file back in that was left out by the same party. Then it is there as before."""
    return _said(call, name, account, by, purpose, excluded=False)


def _said(call: Call, name: str, account: str, by: str | None, purpose: list[str] | None, *, excluded: bool) -> Result:
    with call.workspace() as workspace:
        entry = workspace.exclusions.exclude(name, account=account, by=by, purpose=purpose or (), excluded=excluded)
        value = {
            "name": name,
            "account": account,
            "party": f"account:{account}" if by is None else f"person:{by}",
            "excluded": excluded,
            "left_out_of": list(workspace.exclusions.of_conversation(name, account=account, by=by)),
            "entry": None if entry is None else entry.seq,
        }
        return with_owed(workspace, value, _view, stands="It is recorded.")


def _view(value: Value) -> Iterator[Block]:
    if value["entry"] is None:
        yield Line(text="Nothing to change: it stands so already.")
    else:
        did = "left out" if value["excluded"] else "taken back in"
        yield Line(text=f"{value['name']} is {did} by {value['party']} (entry {value['entry']}).")
    uses = listed(value["left_out_of"])
    yield Line(text=f"It is left out of: {uses}." if uses else "It is left out of nothing by them.")
    yield from must_forget(value)
