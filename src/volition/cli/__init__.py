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
columns     which columns of a table of your own decide, as options
workspace   init, status
terms       publish terms, read them, compare them
identities  who is who: list, show, alias, merge, rename, move, leave
people      accounts and people
records     collect, compact
consume     consume nats, consume kafka
consent     decide
imports     import consents
gate        may, gate
permits     permits export, permits sql
sharing     who may read a meeting, channel or file
exclusions  one meeting, channel or file left out of some uses
limits      an account's limits
weigh       weigh, then choose
models      snapshot, snapshot-table, base, train, audit, release
registry    mlflow attach, mlflow alias, mlflow sync; lineage
features    search, summarize, complete ...
forgetting  owed, forget, erase
rights      what a person may ask for
proofs      prove, verify, key
log         log export, log prove, log witness; witness
publish     publish model, publish snapshot
demo        the story in the terminal, with invented customers
server      serve, users, tokens
runs        worker, runs
mail        mail status, mail test
care        backup, restore, doctor
settings    settings check
reference   writes docs/cli.md from the commands' own help
"""

import errno
import os
import sqlite3
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

from volition.cli import (
    care,
    codes,
    consent,
    consume,
    exclusions,
    forgetting,
    gate,
    imports,
    limits,
    log,
    mail,
    models,
    output,
    people,
    permits,
    proofs,
    publish,
    records,
    registry,
    rights,
    runs,
    server,
    settings,
    sharing,
    terms,
    weigh,
    workspace,
)
from volition.cli.demo import command as demo
from volition.cli.features import compose, diagnose, recommend, search, summary, written
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


_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG})
_DISK_FAILED = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")

_FEATURES = (search, summary, written, recommend, compose, diagnose)
_CONSENT = (consent, imports, gate, permits, sharing, exclusions, limits)
for _module in (workspace, terms, people, records, consume, *_CONSENT, weigh, models, registry):
    _module.register(app)
for _module in _FEATURES:
    _module.register(app)
for _module in (forgetting, rights, proofs, log, publish):
    _module.register(app)
workspace.register_status(app)
demo.register(app)
server.register(app)
runs.register(app)
mail.register(app)
care.register(app)
settings.register(app)


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
    except (OSError, sqlite3.Error) as error:
        return _failed_disk(error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _failed(codes.INTERRUPTED, "interrupted", as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last net: reported as a fault of our own, with all that a report needs
        return _failed_unexpectedly(error, as_json=as_json)
    if code == codes.INTERRUPTED.code:  # typer turns an interrupt into an exit
        return _failed(codes.INTERRUPTED, "interrupted", as_json=as_json)
    return int(code or 0)


def _failed_disk(error: OSError | sqlite3.Error, *, as_json: bool) -> int:
    """Tell of a disk that is full or fails where nothing nearer did; of another error as a fault of our own."""
    if isinstance(error, BrokenPipeError):
        raise error
    failed = getattr(error, "sqlite_errorname", "").startswith(_DISK_FAILED)
    if not failed and getattr(error, "errno", None) not in _DISK_ERRORS:
        return _failed_unexpectedly(error, as_json=as_json)
    message = (
        f"The disk failed: {error}. What was acknowledged stands. Free space or mend the disk, then run the command "
        "again: it finishes what was begun."
    )
    return _failed(codes.BACKEND, message, as_json=as_json)


def _failed_unexpectedly(error: Exception, *, as_json: bool) -> int:
    traceback.print_exc()
    message = f"This is a fault of Volition's own ({error!r}). Please report it with the lines above."
    return _failed(codes.UNEXPECTED, message, as_json=as_json)


def _failed(outcome: codes.Outcome, message: str, *, as_json: bool) -> int:
    output.fail(message, kind=outcome.kind, as_json=as_json)
    return outcome.code


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = "volition" if context is None else context.command_path
    return f"{error.format_message().strip().rstrip('.')}. See `{path} --help`."
