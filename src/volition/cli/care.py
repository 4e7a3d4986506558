"""Commands for whoever keeps a workspace: backup, restore, doctor."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from volition.cli import codes, output
from volition.cli.blocks import Block, Grid, Value, paragraph
from volition.cli.call import Call, Result, command, sign_ins
from volition.cli.proofs import checkpoints_in
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from volition.workspace.restore import Restored

PANEL: Final = "Keep it"
_KEYS_APART: Final = (
    "The keys are not in it: without master.key and signing.key nothing of it opens. Keep them apart, or seal them in "
    "it with --passphrase."
)
_KEYS_SEALED: Final = "The keys are in it, sealed: whoever has the passphrase and this folder has everything."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "backup", panel=PANEL, example="volition backup /mnt/backups --keep 30")(backup)
    command(app, "restore", panel=PANEL, example="volition restore /mnt/backups acme --keys /safe --ledger ledger.db")(
        restore
    )
    command(app, "doctor", panel=PANEL, example="volition doctor")(doctor)


def backup(
    call: Call,
    into: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to: a new folder, or one with earlier backups of it.")
    ],
    passphrase: Annotated[
        Path | None,
        typer.Option("--passphrase", metavar="FILE", help="Seal the keys in the backup, under what this file holds."),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Remove all but the N newest backups; by default none.")
    ] = None,
    check: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--check", help="Read what is there already again, and copy anew what was changed.")
    ] = False,
) -> Result:
    """Back the workspace up while it is in use: everything as it is at one moment.

    What is there already is not copied again. An erased person's key stays in the backups from before: --keep lets
    them expire.
    """
    from volition.workspace.backup import back_up

    with call.workspace(reads=True) as workspace, output.progress() as progress:
        done = back_up(
            workspace.folder,
            into,
            origin=workspace.origin,
            clock=lambda: workspace.now_us,
            lost=workspace.lost_files(),
            passphrase=None if passphrase is None else _passphrase(passphrase),
            keep=keep,
            check=check,
            progress=progress,
        )
    value = {
        "backup": done.manifest.name,
        "folder": str(into),
        "at": done.manifest.at,
        "entries": done.entries,
        "files": len(done.manifest.files),
        "copied": done.copied,
        "copied_bytes": done.copied_bytes,
        "mended": done.mended,
        "removed": list(done.removed),
        "lost": list(done.lost),
        "keys": "sealed" if done.manifest.keys else "left out",
    }
    return Result(value=value, view=_backup_view, warnings=(_lost(done.lost),) if done.lost else ())


def _lost(lost: Sequence[str]) -> str:
    return (
        f"What the workspace has lost is not in this backup: {lost[0]}{', and more' if len(lost) > 1 else ''}. "
        "No older backup was removed: `volition doctor` says more."
    )


def _backup_view(value: Value) -> Iterator[Block]:
    """Show a backup that was made."""
    yield paragraph(
        f"Backup {value['backup']} in {value['folder']}: {value['entries']:,} entries, {value['files']:,} files, "
        f"{value['copied']:,} of them copied now ({value['copied_bytes']:,} bytes)."
    )
    if value["mended"]:
        yield paragraph(f"{value['mended']:,} files of earlier backups had been changed, and were copied anew.")
    if value["removed"]:
        yield paragraph(f"{len(value['removed']):,} older backups were removed.")
    yield paragraph(_KEYS_SEALED if value["keys"] == "sealed" else _KEYS_APART)


def restore(  # noqa: PLR0913, PLR0917 - its options
    call: Call,
    backups: Annotated[Path, typer.Argument(metavar="BACKUPS", help="The folder of backups.")],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="WORKSPACE", help="A folder that is empty or not there; by default --workspace."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="FOLDER", help="The folder that holds master.key and signing.key."),
    ] = None,
    passphrase: Annotated[
        Path | None,
        typer.Option("--passphrase", metavar="FILE", help="The passphrase of the keys that are sealed in the backup."),
    ] = None,
    at: Annotated[str | None, typer.Option("--backup", metavar="NAME", help="Which; by default the newest.")] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(
            "--ledger", metavar="PATH", help="A newer copy of the ledger that survived: its file, or an exported log."
        ),
    ] = None,
    extends: Annotated[
        list[Path] | None,
        typer.Option(
            "--extends",
            "--receipt",
            metavar="FILE",
            help="A checkpoint, receipt, proof or bundle that somebody kept: the ledger must have it.",
        ),
    ] = None,
    without_lost_people: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--without-lost-people", help="Go on where people were added after the backup.")
    ] = False,
) -> Result:
    """Restore a workspace from a backup, and with --ledger what was said since: noes hold, erasures are done again.

    Without it the ledger ends with the backup, and whoever said no since is not known to have.
    """
    from volition.workspace.restore import Keys, aside_of
    from volition.workspace.restore import restore as restored_from

    place = folder or call.folder
    if place is None:
        raise InvalidInputError("Name the folder in which the workspace is to lie.")
    notes = {name: note for path in extends or () for name, note in checkpoints_in(path).items()}
    with output.progress() as progress:
        done = restored_from(
            backups,
            place,
            keys=Keys(folder=keys, passphrase=None if passphrase is None else _passphrase(passphrase)),
            backup=at,
            ledger=ledger,
            extends=notes,
            without_lost_parties=without_lost_people,
            open_sign_ins=partial(sign_ins, aside_of(place)),
            progress=progress,
        )
    warnings = () if ledger else (_no_ledger(done.at, done.entries),)
    return Result(value=_restored(done, place, newer=ledger is not None), view=_restore_view, warnings=warnings)


def _restored(done: "Restored", place: Path, *, newer: bool) -> Value:
    return {
        "workspace": str(place.resolve()),
        "backup": done.backup,
        "at": done.at,
        "entries": done.entries,
        "since": done.since,
        "erased": done.erased,
        "erased_records": done.erased_records,
        "lost": dict(done.lost),
        "lost_names": list(done.lost_names),
        "lost_people": list(done.lost_parties),
        "owed": done.owed,
        "newer_ledger": newer,
    }


def _no_ledger(at: str, entries: int) -> str:
    return (
        f"The ledger ends with entry {entries - 1}, as in the backup of {at}. Every no and every erasure since is "
        "missing, and nothing here can know them: look for a newer ledger, an exported log or receipts before you "
        "serve anybody, and restore with --ledger or --receipt. `volition log witness` asks witnesses, where there are "
        "some."
    )


def _restore_view(value: Value) -> Iterator[Block]:
    """Show what a restoring did."""
    yield paragraph(f"The backup of {value['at']} is restored in {value['workspace']}.")
    if value["newer_ledger"]:
        yield paragraph(
            f"The newer ledger has {value['since']:,} entries since. {value['erased']:,} erasures among them were done "
            f"again, and removed {value['erased_records']:,} records."
        )
    if value["lost"]:
        yield paragraph("What the ledger names and the backup has not, since it was made later:")
        yield Grid(columns=("kind", "lost"), rows=[*value["lost"].items()])
    if value["lost_names"]:
        yield paragraph(
            f"Names that {len(value['lost_names']):,} people were given since, or that were taken from them, are lost. "
            "Until you say who they are, whoever may be one of them is refused: `volition doctor` lists them."
        )
    if value["lost_people"]:
        yield paragraph(f"{len(value['lost_people']):,} people or accounts are lost: ask each of them anew.")
    if value["owed"]:
        yield paragraph(f"{value['owed']:,} models owe a forgetting: `volition forget`.")
    yield paragraph("Next: volition doctor")


def doctor(
    call: Call,
    repair: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--repair", help="Mend what can be mended without guessing; then look again.")
    ] = False,
) -> Result:
    """Check everything that can be checked, and say what to mend.

    Exit code 0: nothing is broken, though there may be warnings; 4: evidence does not verify; 6: something is lost or
    damaged, or overdue.
    """
    from volition.canonical import now_us
    from volition.server.job_findings import examine_jobs
    from volition.workspace import find_workspace
    from volition.workspace.doctor import State, examine, mend

    folder = find_workspace(Path.cwd()) if call.folder is None else call.folder
    mended = mend(folder, open_sign_ins=partial(sign_ins, folder)) if repair else []
    findings = [*examine(folder, clock=now_us), *examine_jobs(folder, clock=now_us)]
    states = {finding.state for finding in findings}
    value = {
        "workspace": str(folder.resolve()),
        "mended": mended,
        "findings": [finding.to_json() for finding in findings],
    }
    code = codes.UNPROVEN if State.UNPROVEN in states else codes.BACKEND if State.BROKEN in states else codes.OK
    return Result(value=value, view=_doctor_view, code=code.code)


def _doctor_view(value: Value) -> Iterator[Block]:
    """Show what was found."""
    for one in value["mended"]:
        yield paragraph(f"Mended: {one}")
    yield Grid(
        columns=("what", "state", "found"),
        rows=[(one["check"], one["state"], one["found"]) for one in value["findings"]],
    )
    for one in value["findings"]:
        if one["mend"]:
            yield paragraph(f"{one['check']}: {one['mend']}")


def _passphrase(path: Path) -> bytes:
    """Read a passphrase: the first line of a file."""
    try:
        return path.read_bytes().partition(b"\n")[0].strip()
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}.") from error
