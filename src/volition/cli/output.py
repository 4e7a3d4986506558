"""Output: one JSON document for machines, calm tables for people, progress on a terminal.

- JSON goes to stdout and nothing else does.
- Warnings, errors and progress go to stderr; progress only where a person is watching.
- In a pipe there are no frames, no colours and no line breaks inside a cell: one row, one line.
- What records hold is never taken for a command to the terminal, nor does it turn what follows it around: characters
  that are not seen are written out, not sent.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from volition.cli.blocks import Block, Grid
from volition.consent.invisible import written_out

if TYPE_CHECKING:
    from volition.progress import Progress

_PIPE_WIDTH = 1_000_000  # in a pipe no line is broken
_LONGEST_NAME = 40


def show(
    value: Mapping[str, Any],
    view: Callable[[Mapping[str, Any]], Iterable[Block]],
    *,
    warnings: Sequence[str] = (),
    as_json: bool,
) -> None:
    """Show what a command found.

    Args:
        value: The JSON document.
        view: Turns it into what people read.
        warnings: Warnings for people, on stderr.
        as_json: Whether machines read it.
    """
    if as_json:
        print_json(value)
    else:
        show_blocks(view(value))
    sys.stdout.flush()
    for warning in warnings:
        warn(warning)


def print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print one JSON document on stdout; in its texts, what is not seen is escaped, which says the same."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    sys.stdout.write(f"{written_out(text, json.dumps)}\n")


def show_blocks(blocks: Iterable[Block]) -> None:
    """Print what people read on stdout."""
    from rich import box  # noqa: PLC0415 - `--help` and `--json` do without
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    piped = not sys.stdout.isatty()
    console = Console(highlight=False, markup=False, emoji=False, width=_PIPE_WIDTH if piped else None)
    for block in blocks:
        with console.capture() as captured:
            if isinstance(block, Grid):
                table = Table(
                    box=None if piped else box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold"
                )
                for number, column in enumerate(block.columns):
                    cells = [row[number] for row in block.rows]
                    table.add_column(
                        Text(column),
                        justify="right" if all(isinstance(cell, int | float) for cell in cells) else "left",
                        no_wrap=all(_is_name(cell) for cell in cells),
                        overflow="fold",
                    )
                for row in block.rows:
                    table.add_row(*(Text(written_out(_cell(cell)), style=block.style(cell)) for cell in row))
                console.print(table)
            else:
                console.print(Text(written_out(block.text), style=block.style))
        text = captured.get()
        if piped:
            text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
        sys.stdout.write(text)


def _is_name(cell: object) -> bool:
    """Say whether a cell is better left whole: a name, a number, nothing."""
    return not isinstance(cell, str) or (" " not in cell and len(cell) <= _LONGEST_NAME)


def _cell(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def warn(message: str) -> None:
    """Warn a person on stderr."""
    sys.stderr.write(f"warning: {written_out(message)}\n")


def fail(message: str, *, kind: str, as_json: bool) -> None:
    """Say what went wrong: one line on stderr and, for machines, one JSON document on stdout."""
    sys.stderr.write(f"error: {' '.join(written_out(message).split())}\n")
    if as_json:
        print_json({"error": {"kind": kind, "message": message}})


@contextmanager
def progress() -> "Iterator[Progress]":
    """Show the progress of long work: bars with steps and the time left on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _stage, _done, _total, _loss=None, /: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where a person is watching
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[loss]}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    # What is printed meanwhile goes above the bar, unless it goes into a pipe.
    with Bars(*columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()) as bars:
        current: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int, loss: float | None = None, /) -> None:
            if stage not in current:
                for task in current.values():
                    bars.remove_task(task)
                current.clear()
                current[stage] = bars.add_task(written_out(stage), total=total or None, loss="")
            bars.update(current[stage], completed=done, total=total or None)
            if loss is not None:
                bars.update(current[stage], loss=f"loss {loss:.3f}")

        yield report
