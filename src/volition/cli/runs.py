"""Commands for background jobs: worker, runs."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from volition.cli.blocks import Block, Grid, Line, Value, paragraph, short_instant
from volition.cli.call import Call, Result, command
from volition.cli.server import PANEL
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from volition.server.jobs import Job


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "worker", panel=PANEL, example="volition worker")(worker)
    command(app, "runs", panel=PANEL, example="volition runs")(runs)


def worker(call: Call) -> Result:
    """Do background jobs until it is stopped: what was queued, and what [schedule] in volition.toml has done.

    The server has a worker beside it, unless it was started with --no-worker. Several may run; one job is done by one.
    Stopped or killed, it loses nothing: another goes on after the last finished step.
    """
    from volition.server.workers import work

    with call.workspace() as workspace:
        folder = workspace.folder

    def ready() -> None:
        sys.stderr.write("The worker does background jobs - stop it with Ctrl-C.\n")
        sys.stderr.flush()

    work(folder, ready=ready)
    return Result(value={"worked": str(folder)}, view=lambda _: ())


def runs(
    call: Call,
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Only this one, with its result.")] = None,
    cancel: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--cancel", help="Have it stop: at once where it waits, at its next step where it runs.")
    ] = False,
) -> Result:
    """List the background jobs, queued, running and over, the newest first; show one, or cancel it."""
    from volition.server.jobs import Jobs

    if cancel and run is None:
        raise InvalidInputError("Name the run that is to stop: volition runs RUN --cancel")
    with call.workspace() as workspace:
        jobs = Jobs(workspace.folder)
        try:
            if cancel and run is not None:
                jobs.cancel(run)
            found: list[Job] = [*reversed(jobs.all())] if run is None else [jobs.job(run)]
            value = {"runs": [job.to_json() for job in found], "worker": jobs.has_worker()}
        finally:
            jobs.close()
    return Result(value=value, view=_runs_view if run is None else _run_view)


def _runs_view(value: Value) -> Iterator[Block]:
    """Show the jobs."""
    rows = [
        (one["run"], one["what"], one["state"], one["by"], short_instant(one["requested"])) for one in value["runs"]
    ]
    yield Grid(columns=("run", "what", "state", "asked by", "requested"), rows=rows)
    if not rows:
        yield Line(text="There is no run.")
    yield from _no_worker(value)


def _run_view(value: Value) -> Iterator[Block]:
    """Show one job."""
    [one] = value["runs"]
    far = f", {one['stage']} {one['done']} of {one['total']}" if one["state"] == "running" and one["stage"] else ""
    stops = " It was cancelled, and stops at its next step." if one["cancelling"] else ""
    yield paragraph(f"{one['run']}: {one['what']} is {one['state']}{far}.{stops}")
    if one["error"]:
        yield paragraph(one["error"])
    if isinstance(one["result"], str):
        yield Line(text=one["result"])
    yield from _no_worker(value)


def _no_worker(value: Value) -> Iterator[Block]:
    if not value["worker"] and any(one["state"] == "waiting" for one in value["runs"]):
        yield paragraph("No worker is running, so nothing queued begins. Start one: volition worker")
