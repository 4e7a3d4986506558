"""Commands that open a conversation to others, and close it again: share, unshare."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick
# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from volition.cli.blocks import Block, Line, Value
from volition.cli.call import Call, Result, command
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from volition.records.audience import ConversationKind
    from volition.workspace import Workspace

PANEL = "Data, and who says yes"


class Kind(StrEnum):
    """The kind of a conversation."""

    MEETING = "meeting"
    CHANNEL = "channel"
    FILE = "file"


Name = Annotated[str, typer.Argument(metavar="NAME", help="The meeting, channel or file.")]
Account = Annotated[str, typer.Option(metavar="ACCOUNT", help="Whose it is.")]
OfKind = Annotated[Kind | None, typer.Option("--kind", help="What it is; needed where several things have that name.")]
People = Annotated[
    list[str] | None, typer.Option("--with", metavar="PERSON", help="A user of the account. Repeatable.")
]
WithAccount = Annotated[bool, typer.Option("--with-account", help="All users of the account, but no guest.")]
By = Annotated[
    str | None,
    typer.Option("--as", metavar="PERSON", help="Who does it: somebody who was there. By default the operator."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "share", panel=PANEL, example="volition share kickoff --account helio --with ada")(share)
    command(app, "unshare", panel=PANEL, example="volition unshare kickoff --account helio --with-account")(unshare)


def share(
    call: Call,
    name: Name,
    account: Account,
    people: People = None,
    with_account: WithAccount = False,  # noqa: FBT002 - an option
    kind: OfKind = None,
    by: By = None,
) -> Result:
    """Open a meeting, channel or file to people, or to the account: by default it is for those alone who were there."""
    with call.workspace() as workspace:
        found = _kind(workspace, name, account, kind, by)
        to: dict[str, Any] = {"people": people or [], "with_account": with_account}
        entry = workspace.audiences.share(name, kind=found, account=account, by=by, **to)
        return _result(name, found, account, to, shared=True, entry=None if entry is None else entry.seq)


def unshare(
    call: Call,
    name: Name,
    account: Account,
    people: People = None,
    with_account: WithAccount = False,  # noqa: FBT002 - an option
    kind: OfKind = None,
    by: By = None,
) -> Result:
    """Close a meeting, channel or file again to people, or to the account. Those who were there read on."""
    with call.workspace() as workspace:
        found = _kind(workspace, name, account, kind, by)
        to: dict[str, Any] = {"people": people or [], "with_account": with_account}
        entry = workspace.audiences.unshare(name, kind=found, account=account, by=by, **to)
        return _result(name, found, account, to, shared=False, entry=None if entry is None else entry.seq)


def _kind(workspace: "Workspace", name: str, account: str, kind: Kind | None, by: str | None) -> "ConversationKind":
    """Return what is meant by a name. Only the operator is told what there is."""
    from volition.records.audience import ConversationKind

    if kind is not None:
        return ConversationKind(kind.value)
    if by is not None:
        raise InvalidInputError("Say what it is: --kind meeting, channel or file.")
    found = workspace.audiences.kinds(name, account=account)
    if not found:
        raise InvalidInputError(f"The account {account} has no meeting, channel or file {name!r}.")
    if len(found) > 1:
        raise InvalidInputError(f"Several things are called {name!r}: say --kind {' or '.join(found)}.")
    return found[0]


def _result(
    name: str, kind: "ConversationKind", account: str, to: dict[str, Any], *, shared: bool, entry: int | None
) -> Result:
    value = {"name": name, "kind": kind.value, "account": account, **to, "shared": shared, "entry": entry}
    return Result(value=value, view=_view)


def _view(value: Value) -> Iterator[Block]:
    if value["entry"] is None:
        yield Line(text="Nothing to change: it stands so already.")
        return
    whom = [*value["people"], *([f"all users of {value['account']}"] if value["with_account"] else [])]
    did = "opened to" if value["shared"] else "closed to"
    yield Line(text=f"The {value['kind']} {value['name']} is {did} {', '.join(whom)} (entry {value['entry']}).")
