"""The command of one's own that makes a model without some rows: run without a shell, and told what to leave out.

Which rows those are is in a private file, one record id a line, that is gone when the command has ended. What the
command prints is kept in `runs/`, scrubbed: no names, addresses, pseudonyms or record ids. What it makes it registers
itself, through the same door as any training: `workspace.models.training`.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from volition.consent.parties import Parties
from volition.errors import BackendError
from volition.files import write_file
from volition.records.scrub import Scrubber
from volition.workspace.training_settings import TrainingSettings

_LIST: Final = "without-"
_KEPT_BYTES: Final = 1 << 16
_PSEUDONYM: Final = re.compile(r"\b[0-9a-f]{32,64}\b")


class ForgetCommandError(BackendError):
    """A command that was to train again failed, took too long, or registered no model."""


def run_forget_command(  # noqa: PLR0913 - what a command is told
    settings: TrainingSettings,
    *,
    workspace: Path,
    model: str,
    snapshot: str,
    without: Sequence[str],
    parties: Parties,
) -> None:
    """Run the command of a training until it has ended.

    Args:
        settings: The command, and how long it may run.
        workspace: The workspace's folder, in which it runs.
        model: The model that must forget.
        snapshot: What is left to learn from.
        without: Ids of the records that are to be forgotten.
        parties: Whose names are scrubbed from what it prints.

    Raises:
        ForgetCommandError: It could not be started, failed, or ran too long; it is then ended with all it started.
    """
    log = workspace / "runs" / f"{model}.forget.log"
    drop_lists(workspace, model)  # what a killed forgetting left
    with tempfile.TemporaryDirectory(prefix=f"{_LIST}{model}-", dir=workspace / "runs") as private:
        listed, printed = Path(private) / "without.txt", Path(private) / "printed"
        listed.write_text("".join(f"{record}\n" for record in without), encoding="utf-8")
        values = {"list": listed, "snapshot": snapshot, "model": model, "workspace": workspace.absolute()}
        arguments = [_filled(one, {name: str(value) for name, value in values.items()}) for one in settings.command]
        try:
            fault = _run(arguments, workspace, printed, settings.timeout_s)
        finally:
            if printed.exists():
                write_file(log, _scrubbed(_end_of(printed), parties, without).encode())
    if fault:
        raise ForgetCommandError(f"The command that makes {model} forget {fault} What it printed is in {log}.")


def drop_lists(workspace: Path, model: str) -> None:
    """Remove the lists of what a model was to forget that killed forgettings have left."""
    for left in (workspace / "runs").glob(f"{_LIST}{model}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _filled(argument: str, values: dict[str, str]) -> str:
    """Fill in what stands in braces, once: nothing that is filled in is looked into again."""
    return re.sub("|".join(rf"\{{{name}\}}" for name in values), lambda found: values[found[0][1:-1]], argument)


def _run(arguments: Sequence[str], workspace: Path, printed: Path, timeout_s: int) -> str:
    """Run a command; return what went wrong, or nothing."""
    with printed.open("wb") as output:
        try:
            started = subprocess.Popen(  # noqa: S603 - no shell, argument by argument
                arguments,
                cwd=workspace,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return f"could not be started: {error}."
        try:
            code = started.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return f"ran longer than {timeout_s} seconds and was ended."
        finally:
            with suppress(ProcessLookupError, PermissionError):  # also what it started and left behind
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()
    return f"failed with the exit status {code}." if code else ""


def _end_of(printed: Path) -> str:
    with printed.open("rb") as file:
        file.seek(max(0, printed.stat().st_size - _KEPT_BYTES))
        return file.read().decode(errors="replace")


def _scrubbed(text: str, parties: Parties, records: Iterable[str]) -> str:
    """Return a text without what names anybody: whatever a command prints, its log may be read by engineers."""
    for record in records:
        text = text.replace(record, "[record]")
    text = _PSEUDONYM.sub("[digest]", text)
    names = [name for person in parties.people() for name in (*person.names, person.id)]
    return Scrubber({"person": names}).scrub(text)
