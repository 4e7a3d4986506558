"""The command line: `volition COMMAND`. Thin: a command parses, calls one use case and names a view; nothing else.

    call.py       what every command shares: --workspace, --json, and the result it hands back
    codes.py      exit codes, one table
    setup.py data.py limiting.py weighing.py models.py features.py undo.py rights.py proofs.py serving.py
                  the commands, by subject
    views.py      from a result to what people read
    output.py     where it is printed: JSON, tables, progress
    help.py       how help looks
    reference.py  writes docs/cli.md from the commands' own help

`volition --help` loads none of the heavy modules; a command loads those it needs when it runs.

Each module knows only those before it:

demo        the story in the terminal, with invented customers
codes       exit codes
quick       what makes a command start quickly
values      how the command line's words become values
help        how help looks
views       from a JSON document to what people read
output      documents for machines, tables for people, progress
call        what every command shares
setup       the workspace, terms, accounts, people
data        records, and each party's yes or no
limits      an account's limits
weigh       weigh, then choose
models      snapshot, train, audit, release
features    search, summarize, complete ...
undo        owed, forget, erase
rights      what a person may ask for
proofs      prove, verify, status
server      serve, users, tokens
reference   writes docs/cli.md
"""

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

from volition.cli import codes, data, features, models, output, proofs, rights, setup, undo
from volition.cli import limits as limiting
from volition.cli import server as serving
from volition.cli import weigh as weighing
from volition.cli.help import group
from volition.cli.quick import start_quickly
from volition.errors import VolitionError


def _version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - only here

        sys.stdout.write(f"volition {version('volition')}\n")
        raise typer.Exit


app = group(
    "Train AI on customer data only where each customer said yes, and prove it.",
    epilog="Every command takes --json and --workspace. Exit codes and more: docs/cli.md.",
)


@app.callback()
def volition(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train AI on customer data only where each customer said yes, and prove it."""


for _module in (setup, data, limiting, weighing, models, features, undo, rights, proofs, serving):
    _module.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The command line without the program's name; by default the process's own.

    Returns:
        The exit code, of `codes.OUTCOMES`.
    """
    start_quickly()
    given = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in given  # an error may come before the options are understood
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name that is no text must not stop an answer
    try:
        code = _run(given, as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        code = codes.UNREAD.code
    if code == codes.UNREAD.code:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its exit
    return code


def _run(arguments: Sequence[str], *, as_json: bool) -> int:
    command = typer.main.get_command(app)
    try:
        code = command.main(args=arguments or ["--help"], prog_name="volition", standalone_mode=False)
    except VolitionError as error:
        return _failed(codes.outcome_of(error), str(error), as_json=as_json)
    except typer.TyperException as error:  # the command line itself is wrong
        return _failed(codes.INVALID, _usage(error), as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _failed(codes.INTERRUPTED, "interrupted", as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last net: told as a fault of our own, with all that a report needs
        traceback.print_exc()
        told = f"This is a fault of Volition's own ({error!r}). Please report it with the lines above."
        return _failed(codes.UNEXPECTED, told, as_json=as_json)
    if code == codes.INTERRUPTED.code:  # typer turns an interrupt into an exit
        return _failed(codes.INTERRUPTED, "interrupted", as_json=as_json)
    return int(code or 0)


def _failed(outcome: codes.Outcome, message: str, *, as_json: bool) -> int:
    output.fail(message, kind=outcome.kind, as_json=as_json)
    return outcome.code


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = "volition" if context is None else context.command_path
    return f"{error.format_message().strip().rstrip('.')}. See `{path} --help`."
