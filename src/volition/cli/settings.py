"""The command settings check: are the files that people write right, before a server starts with them?"""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import typer

from volition.cli import codes
from volition.cli.blocks import Block, Line, Value, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.help import group
from volition.cli.server import PANEL
from volition.errors import InvalidInputError, VolitionError

_SERVER_FILE: Final = "server.toml"


def register(app: typer.Typer) -> None:
    """Add the command."""
    settings = group("The files of settings.")
    app.add_typer(settings, name="settings", rich_help_panel=PANEL)
    command(settings, "check", example="volition settings check")(check)


def check(call: Call) -> Result:
    """Read volition.toml and server.toml, and the secrets that they name, and say what is wrong, with file and line.

    Nothing is opened or changed, so it works beside a server, and where a mistake keeps the workspace closed. What is
    wrong is said at once for both files; of each file the first mistake.
    """
    from volition.workspace import find_workspace

    folder = find_workspace(Path.cwd()) if call.folder is None else call.folder
    faults: list[str] = []
    _try(faults, lambda: _check_workspace(folder))
    if (folder / _SERVER_FILE).exists():
        _try(faults, lambda: _check_server(folder))
    if any(name.startswith("OTEL_") for name in os.environ):
        _try(faults, _check_environment)
    if not faults:
        _try(faults, lambda: _check_together(folder))
    names = ["volition.toml", *([_SERVER_FILE] if (folder / _SERVER_FILE).exists() else [])]
    value = {"folder": str(folder), "files": names, "faults": faults}
    return Result(value=value, view=_view, code=codes.INVALID.code if faults else 0)


def _try(faults: list[str], work: Callable[[], None]) -> None:
    try:
        work()
    except VolitionError as error:
        faults.append(str(error))


def _check_workspace(folder: Path) -> None:
    from volition.learning.families.installed import find_family
    from volition.workspace.settings import read_settings

    settings = read_settings(folder)
    for name in settings.families:
        settings.of_family(find_family(name))
    if settings.mail is not None:
        settings.mail.password(folder, os.environ)


def _check_server(folder: Path) -> None:
    from volition.server.settings import read_settings

    read_settings(folder)


def _check_environment() -> None:
    from volition.server.otel import signals

    signals(os.environ)


def _check_together(folder: Path) -> None:
    """Check what one file needs of the other."""
    from volition.consent.terms.toml_file import read_toml
    from volition.workspace.settings import SETTINGS_FILE

    own = read_toml(folder / SETTINGS_FILE)
    server = folder / _SERVER_FILE
    has_url = server.exists() and "url" in read_toml(server).value.get("site", {})
    if "mail" in own.value and not has_url:
        line = own.line_of(("mail",))
        msg = (
            f"{own.source}:{line}: each mail links to a page, so [mail] needs url under [site] of server.toml. Add it."
        )
        raise InvalidInputError(msg)


def _view(value: Value) -> Iterator[Block]:
    for fault in value["faults"]:
        yield paragraph(fault)
    if not value["faults"]:
        yield Line(text=f"Nothing is wrong in {' and '.join(value['files'])}.")
