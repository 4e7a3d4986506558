"""What is checked of a workspace: what it says, what lies in it, and that its evidence verifies."""

import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from volition.cli import main
from volition.cli.codes import outcome_of
from volition.errors import VolitionError
from volition.transparency.verify.bundle import verify_bundle
from volition.workspace import Workspace

_DIGEST: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z|[0-9a-f]{8,}")  # an instant, by which backups are named, or a digest
_COMES_AND_GOES: Final = re.compile(r"(-wal|-shm|-journal)$|^(checkpoint|generations|leases/.*|history/.*)$")
_MAY_GROW: Final = re.compile(r"^(snapshots|models|releases|terms)/")
_LAID_OUT: Final = re.compile(r"^lake/records/.*\.parquet$")


def said(folder: Path) -> dict[str, Any]:
    """Return what a workspace says of itself, in figures that another run of the same command may be compared by."""
    with Workspace.open(folder) as workspace:
        status = workspace.status()
    return {
        "ledger": status["ledger"]["size"],
        "terms": len(status["terms"]),
        "accounts": len(status["accounts"]),
        "people": status["people"],
        "records": sum(status["records"].values()),
        "snapshots": len(status["snapshots"]),
        "models": len(status["models"]),
        "at work": sum(model["state"] == "at work" for model in status["models"]),
        "forgotten": sum(model["state"] == "forgotten" for model in status["models"]),
        "owed": len(status["owed"]),
    }


def lies(folder: Path) -> Counter[str]:
    """Return what files lie in a folder, digests in their names left out, and how many of each."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return Counter(_DIGEST.sub("*", name) for name in names if not _COMES_AND_GOES.search(name))


def is_between(now: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return what is neither as it was before a command nor as it is after it; empty where nothing is."""
    wrong = [
        f"{name}: {now[name]}, before {before[name]}, after {after[name]}"
        for name in now
        if not min(before[name], after[name]) <= now[name] <= max(before[name], after[name])
    ]
    return "; ".join(wrong)


def is_after(now: dict[str, Any], after: dict[str, Any], *, grows: bool) -> str:
    """Return what is not as after an undisturbed run; more entries and snapshots are none of it where it `grows`."""
    wrong = [
        f"{name}: {now[name]}, not {after[name]}"
        for name in now
        if now[name] != after[name]
        and not (name == "ledger" and now[name] > after[name])
        and not (grows and name in {"snapshots", "models"} and now[name] > after[name])
    ]
    return "; ".join(wrong)


def is_left(now: Counter[str], after: Counter[str], *, grows: bool, in_parts: bool = False) -> str:
    """Return what lies about that an undisturbed run does not leave; empty where nothing does."""
    extra = {
        name: count
        for name, count in (now - after).items()
        if not (grows and _MAY_GROW.match(name) and ".part" not in name) and not (in_parts and _LAID_OUT.match(name))
    }
    missing = after - now
    told = [f"left: {name} ({count})" for name, count in extra.items()]
    return "; ".join([*told, *(f"missing: {name} ({count})" for name, count in missing.items())])


def verifies(folder: Path, spare: Path) -> str:
    """Return why the log or a bundle of evidence does not verify; empty where both do."""
    bundle = spare / "evidence.zip"
    with Workspace.open(folder) as workspace:
        workspace.ledger.verify()
        workspace.proofs.bundle(bundle)
        found = verify_bundle(bundle, workspace.verifier)
    return "" if found.holds else "; ".join(f"{one.name}: {one.detail}" for one in found.checks if not one.holds)


def run_line(line: list[str]) -> int:
    """Run a command of `volition` in this process; return its exit code."""
    return main(line)


def run_program(work: Callable[[], None]) -> int:
    """Run Python in this process; print how it failed, and return the exit code of a command that fails like it."""
    try:
        work()
    except VolitionError as error:
        print(f"error: {error}", file=sys.stderr)
        return outcome_of(error).code
    return 0
