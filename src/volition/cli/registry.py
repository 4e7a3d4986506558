"""Commands that tell other tools what the log says: mlflow attach, mlflow alias, mlflow sync; lineage."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from volition.cli import output
from volition.cli.blocks import Block, Grid, Value, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.help import group

if TYPE_CHECKING:
    from volition.workspace import Workspace
    from volition.workspace.mlflow_registry import MlflowRegistry

PANEL = "Learn"

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Id of the model; `volition status` lists them.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The registered model's name in MLflow.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Its version there.")]
Uri = Annotated[str | None, typer.Option(metavar="URI", help="The tracking server; by default MLFLOW_TRACKING_URI.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    mlflow = group("Keep MLflow's model registry as the log has it.")
    app.add_typer(mlflow, name="mlflow", rich_help_panel=PANEL)
    command(mlflow, "attach", example="volition mlflow attach churn-0123456789ab churn 3")(attach)
    command(mlflow, "alias", example="volition mlflow alias churn 3 champion")(alias)
    command(mlflow, "sync", example="volition mlflow sync --follow 60")(sync)
    command(app, "lineage", panel=PANEL, example="volition lineage --to lineage.jsonl")(lineage)


def attach(call: Call, model: Model, name: Name, version: Version, uri: Uri = None) -> Result:
    """Say of a version in MLflow which model it is here.

    Its run gets the training set as a dataset, and the card with its proofs as artefacts; the version gets tags.
    """
    with call.workspace() as workspace:
        done = _registry(workspace, uri).attach(model, name=name, version=version)
    return Result(value={"versions": [asdict(done)]}, view=_view)


def alias(
    call: Call,
    name: Name,
    version: Version,
    called: Annotated[str, typer.Argument(metavar="ALIAS", help="The alias, such as champion.")],
    uri: Uri = None,
) -> Result:
    """Give a version in MLflow an alias.

    The alias "champion" is refused to a model that was not released, owes a forgetting, or was forgotten.
    """
    with call.workspace() as workspace:
        _registry(workspace, uri).set_alias(name, version, called)
    value = {"name": name, "version": version, "alias": called}
    return Result(value=value, view=lambda told: [paragraph(f"{told['name']} {told['version']} is {told['alias']}.")])


def sync(
    call: Call,
    uri: Uri = None,
    follow: Annotated[
        int | None, typer.Option(metavar="SECONDS", min=1, help="Do it again and again, so many seconds apart.")
    ] = None,
) -> Result:
    """Bring tags in MLflow up to date, and take the alias "champion" from what may not work any more."""
    with call.workspace() as workspace:
        registry = _registry(workspace, uri)
        done = registry.sync()
        while follow is not None:
            for one in done:
                if one.taken:
                    output.warn(f"{one.name} {one.version} is {one.state}: it is {', '.join(one.taken)} no more.")
            time.sleep(follow)
            done = registry.sync()
    return Result(value={"versions": [asdict(one) for one in done]}, view=_view)


def lineage(
    call: Call,
    to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A server or a file; by default as OpenLineage is set up.")
    ] = None,
    after: Annotated[int, typer.Option(metavar="SEQ", min=0, help="How many entries of the log were sent before.")] = 0,
    follow: Annotated[
        int | None, typer.Option(metavar="SECONDS", min=1, help="Go on, looking for new entries so many seconds apart.")
    ] = None,
) -> Result:
    """Send what happened to data as OpenLineage events: collecting, freezing, training, forgetting.

    An event names no person and no account. Sent twice, it is the same event.
    """
    from volition.workspace.lineage import Lineage

    with call.workspace() as workspace:
        sending = Lineage(workspace.ledger, workspace.origin, to=to)
        size = sending.emit(after=after)
        while follow is not None:
            time.sleep(follow)
            size = sending.emit(after=size)
    value = {"after": size}
    return Result(value=value, view=lambda told: [paragraph(f"Sent. The next time: --after {told['after']}")])


def _registry(workspace: "Workspace", uri: str | None) -> "MlflowRegistry":
    from volition.workspace.mlflow_registry import MlflowRegistry

    return MlflowRegistry(workspace.models, workspace.snapshots, workspace.log, uri=uri)


def _view(value: Value) -> Iterator[Block]:
    yield Grid(
        columns=("version", "model", "state", "taken away"),
        rows=[
            (f"{one['name']} {one['version']}", one["model"], one["state"], ", ".join(one["taken"]))
            for one in value["versions"]
        ],
    )
