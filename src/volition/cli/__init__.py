"""The command line: `volition COMMAND`. Thin: a command parses, calls one use case and names a view; nothing else.

A module of commands has the views of its commands, too: from a JSON document to what people read. `volition --help`
loads none of the heavy packages; a command loads those it needs when it runs.

Each module knows only those before it:

codes       exit codes, one table
quick       what makes a command start quickly
values      how the command line's words become values
help        how help looks
blocks      what people read is made of: lines and tables
output      where it is printed: JSON, tables, progress
call        what every command shares: --workspace, --json, and the result that it hands back
plugins     commands of other packages
owed        what models must forget, as commands name it
workspace   init, status
terms       publish terms, read them, compare them
identities  who is who: list, show, alias, merge, rename, move, leave
people      accounts and people
records     collect, compact
consent     decide
gate        may
sharing     who may read a meeting, channel or file
exclusions  one meeting, channel or file left out of some uses
limits      an account's limits
weigh       weigh, then choose
models      snapshot, base, train, audit, release
features    search, summarize, complete ...
forgetting  owed, forget, erase
rights      what a person may ask for
proofs      prove, verify, key
log         log export, log prove, log witness; witness
publish     publish model, publish snapshot
demo        the story in the terminal, with invented customers
server      serve, users, tokens
mail        mail status, mail test
reference   writes docs/cli.md from the commands' own help
"""

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

from volition.cli import (
    codes,
    consent,
    exclusions,
    forgetting,
    gate,
    limits,
    log,
    mail,
    models,
    output,
    people,
    proofs,
    publish,
    records,
    rights,
    server,
    sharing,
    terms,
    weigh,
    workspace,
)
from volition.cli.demo import command as demo
from volition.cli.features import compose, diagnose, recommend, search, summary
from volition.cli.help import group
from volition.cli.plugins import add_called
from volition.cli.quick import start_quickly
from volition.errors import VolitionError, naming_extras


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


_FEATURES = (search, summary, recommend, compose, diagnose)
for _module in (workspace, terms, people, records, consent, gate, sharing, exclusions, limits, weigh, models):
    _module.register(app)
for _module in _FEATURES:
    _module.register(app)
for _module in (forgetting, rights, proofs, log, publish):
    _module.register(app)
workspace.register_status(app)
demo.register(app)
server.register(app)
mail.register(app)


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
    command = typer.main.get_group(app)
    try:
        add_called(command, arguments)
        with naming_extras("This command"):
            code = command.main(args=arguments or ["--help"], prog_name="volition", standalone_mode=False)
    except VolitionError as error:
        return _failed(codes.outcome_of(error), str(error), as_json=as_json)
    except typer.TyperException as error:  # the command line itself is wrong
        return _failed(codes.INVALID, _usage(error), as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _failed(codes.INTERRUPTED, "interrupted", as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last net: reported as a fault of our own, with all that a report needs
        traceback.print_exc()
        message = f"This is a fault of Volition's own ({error!r}). Please report it with the lines above."
        return _failed(codes.UNEXPECTED, message, as_json=as_json)
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
