"""Writes docs/cli.md from the commands' own help: `python -m volition.cli.reference > docs/cli.md`.

A test holds the file equal to what this writes, so the documentation cannot drift from the program.
"""

import sys
from collections.abc import Iterator
from typing import Any

import typer

from volition.cli import app
from volition.cli.codes import OUTCOMES

_WIDTH = 100

_INTRODUCTION = """\
# The command line

<!-- Written by `python -m volition.cli.reference > docs/cli.md`. Change the commands, not this file. -->

The workspace is `--workspace FOLDER`, or the variable `VOLITION_WORKSPACE`, or the nearest folder from here upwards
that holds a `volition.toml`. `volition verify --key`, and `volition terms show` and `terms diff` of files and shipped
profiles, need none.

With `--json` a command prints one JSON document on stdout and nothing else. Warnings, errors and progress go to stderr;
progress only on a terminal. An error is one line, `error: ...`; with `--json` stdout holds
`{"error": {"kind": ..., "message": ...}}` besides. In a pipe, tables come without frames, one row a line.

An instant is written like `2026-01-31T09:30:00Z`; a time of day needs a time zone. A date alone is its first instant in
UTC. A party is `account:ID` or `person:ID`.
"""

_COLLECTING = """\
Collecting exits with 0 when some pieces of the input were set aside: the rest is stored, a warning says how many and
where they lie, and `--json` lists each with its place and what is wrong. It exits with 2 when a file could not be
read at all, or every piece of it was set aside; of several files the others are collected all the same.
"""


def reference() -> str:
    """Return the whole of docs/cli.md."""
    root = typer.main.get_command(app)
    lines = [
        _INTRODUCTION,
        "## Exit codes",
        "",
        "| code | `error.kind` | meaning |",
        "|---:|---|---|",
        *(f"| {outcome.code} | `{outcome.kind}` | {outcome.meaning} |" for outcome in OUTCOMES),
        "",
        _COLLECTING,
        "## Commands",
        "",
    ]
    for path, context in _walk(root, "volition", None):
        lines += [f"### {path}", "", "```", context.get_help().rstrip(), "```", ""]
    return "\n".join(lines)


def _walk(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - types that typer keeps to itself
    """Yield the full name and the context of a command and of all below it."""
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=_WIDTH, **command.context_settings
    )
    yield context.command_path, context
    for below in getattr(command, "commands", {}).values():
        yield from _walk(below, below.name, context)


if __name__ == "__main__":
    sys.stdout.write(reference())
