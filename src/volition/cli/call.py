"""What every command shares: `--workspace`, `--json`, and how it hands back what it found.

A command is a function from its options to a `Result`: it parses, calls one use case, and names a view. It prints
nothing itself, so `--json` gives one JSON document and nothing else, whatever the command.
"""

import getpass
import inspect
import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, overload

import typer

from volition.canonical import text_to_us, us_to_datetime, us_to_text
from volition.cli import codes, output
from volition.cli.blocks import Block, Value
from volition.cli.help import PlainCommand

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from volition.ledger.entry import Entry
    from volition.transparency.access_log import Reader
    from volition.workspace import Workspace
    from volition.workspace.erasing import SignIns


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command found.

    Attributes:
        value: The JSON document.
        view: Turns it into what people read.
        code: The exit code.
        warnings: What people should know besides, for stderr.
    """

    value: Value
    view: Callable[[Value], Iterable[Block]]
    code: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How a command was called.

    Attributes:
        json: Whether the output is for machines.
        folder: The workspace that was named; none to look for the nearest.
    """

    json: bool
    folder: Path | None

    def workspace(self, *, reads: bool = False) -> "AbstractContextManager[Workspace]":
        """Open the workspace that was named, or the nearest from here upwards.

        Args:
            reads: Whether the command only reads: it carries no ledger of an earlier version over to this one.

        Raises:
            InvalidInputError: There is none.
        """
        from volition.workspace import Workspace, find_workspace  # noqa: PLC0415 - heavy: --help does without

        folder = find_workspace(Path.cwd()) if self.folder is None else self.folder
        return Workspace.open(folder, open_sign_ins=partial(sign_ins, folder), reader=_reader(), carry_over=not reads)


def _reader() -> "Reader":
    """Return who reads what a command prints: this machine's user, who is of the staff."""
    from volition.transparency.access_log import Reader  # noqa: PLC0415 - as above

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = str(os.getuid())
    return Reader(who=name, role="command line")


def sign_ins(folder: Path) -> "AbstractContextManager[SignIns | None]":
    """Open where people sign in, if a server ever ran in a workspace's folder."""
    if not (folder / "web.db").exists():
        from volition.consent.parties import open_stores  # noqa: PLC0415 - as above

        with open_stores(folder) as stores:
            if stores is not None:
                stores.check(folder / "web.db")
        return nullcontext()
    from volition.server.sign_ins import open_sign_ins  # noqa: PLC0415 - only where a server ran

    return open_sign_ins(folder)


def _shared(name: str, annotation: Any, default: object) -> inspect.Parameter:  # noqa: ANN401 - a type
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_SHARED: Final = (
    _shared(
        "workspace",
        Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                envvar="VOLITION_WORKSPACE",
                show_envvar=True,
                help="The workspace; by default the nearest folder from here upwards that holds one.",
            ),
        ],
        None,
    ),
    _shared("json", Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")], default=False),
)


def command(
    app: typer.Typer, name: str, *, example: str, panel: str | None = None, reads: str | None = None
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Make a function a command; it gets a `Call` first, then its own options.

    Args:
        app: What the command belongs to.
        name: Its name.
        example: How it is called, for its help.
        panel: The heading that it stands under.
        reads: What of people's data it shows (of `access_log.READINGS`); it writes that down before (`accesses.note`).
    """

    def register(function: Callable[..., Result]) -> Callable[..., Result]:
        own = [*inspect.signature(function).parameters.values()][1:]

        @wraps(function)
        def run(*, json: bool, workspace: Path | None, **options: Any) -> int:  # noqa: ANN401 - the command's own
            try:
                result = function(Call(json=json, folder=workspace), **options)
                output.show(result.value, result.view, warnings=result.warnings, as_json=json)
            except BrokenPipeError:
                return codes.UNREAD.code
            return result.code

        parameters = [*(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own), *_SHARED]
        # Typer reads the options of a command off the signature of its function.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.reads = reads  # type: ignore[attr-defined]
        app.command(name, cls=PlainCommand, epilog=f"\b\nExample: {example}", rich_help_panel=panel)(run)
        return function

    return register


@overload
def instant(text: str) -> datetime: ...
@overload
def instant(text: None) -> None: ...
@overload
def instant(text: str | None) -> datetime | None: ...
def instant(text: str | None) -> datetime | None:
    """Read an instant from the command line; none stays none.

    Raises:
        InvalidInputError: It is no instant, or has no time zone.
    """
    return None if text is None else us_to_datetime(text_to_us(text))


def recorded(entry: "Entry") -> dict[str, Any]:
    """Return a ledger entry as a JSON object."""
    return {"seq": entry.seq, "at": us_to_text(entry.at_us), "kind": entry.kind, **entry.body}
