"""The command that walks the story, and serves what it leaves."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from volition.cli import output
from volition.cli.blocks import Block, Grid, heading, paragraph
from volition.cli.call import Call, Result, command

if TYPE_CHECKING:
    from volition.cli.demo.tables import Step

PANEL = "Look around"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "demo", panel=PANEL, example="volition demo --keep /tmp/acme")(demo)


def demo(
    call: Call,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to keep its workspace; by default among the temporary files."),
    ] = None,
    serve: Annotated[
        bool | None,
        typer.Option("--serve/--no-serve", help="Serve it at the end, or do not; by default where a person watches."),
    ] = None,
    port: Annotated[int, typer.Option(metavar="PORT", help="The port to serve it on; 0 for a free one.")] = 8080,
) -> Result:
    """Walk the whole story, from no to yes and back, with four invented customers.

    It takes some two minutes. Its workspace stays, to look around in; the last step says how. On a terminal the privacy
    centre is served at the end, where a click signs you in as anybody, on this machine alone.
    """
    from volition.cli.demo.story import run_demo

    def show(step: "Step") -> None:
        if not call.json:
            output.show_blocks(_step_view(step))
            sys.stdout.flush()

    folder = Path(mkdtemp(prefix="volition-demo-")) if keep is None else keep.resolve()
    with output.progress() as progress:
        figures = run_demo(folder, show, progress=progress)
    is_watched = sys.stdin.isatty() and sys.stdout.isatty() and not call.json
    if is_watched if serve is None else serve:
        _serve_demo(folder / "workspace", port)
    return Result(value=figures, view=lambda _: ())


def _serve_demo(folder: Path, port: int) -> None:
    from volition.cli.demo.cast import let_in
    from volition.server.app import serve
    from volition.server.auth import Access

    access = Access.open(folder)
    try:
        let_in(access)
    finally:
        access.close()

    def ready(address: str) -> None:
        sys.stderr.write(
            f"The privacy centre of the demo is at {address} - on this machine alone, where a click signs you in as "
            "anybody. Stop it with Ctrl-C.\n"
        )
        sys.stderr.flush()

    serve(folder, port=port, is_demo=True, ready=ready)


def _step_view(step: "Step") -> Iterator[Block]:
    """Show a step of the demo."""
    yield heading(step.title)
    for block in step.blocks:
        yield paragraph(block) if isinstance(block, str) else Grid(columns=block.columns, rows=block.rows)
