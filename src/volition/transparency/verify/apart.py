"""The rows are compared with what was collected in a process of its own, beside the other checks, where there are many.

That is half of all that a large bundle takes. The other process is started by its command, so it runs nothing of the
program that asked; where it cannot run, or does not answer, the same is done here. Small bundles have none.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from volition.errors import ProofError
from volition.records.snapshot import COLLECTED
from volition.transparency.verify.archive import Archive, read_archive
from volition.transparency.verify.checks import Check, check_claim
from volition.transparency.verify.collected import Logged, check_roots, check_rows
from volition.transparency.verify.snapshots import read_manifest

_WORTH_BYTES: Final = 25_000_000
"""Rows are compared apart if the keys have so many bytes: about half a million rows. Starting takes a second."""


class Collections:
    """The checks of what was collected, of some snapshots.

    The rows are compared with their leaves in another process, if one was started, or else here. That the log commits
    to the leaves is seen here, while the other process is at work.
    """

    def __init__(
        self, archive: Archive, logged: Mapping[str, Logged], process: "subprocess.Popen[bytes] | None"
    ) -> None:
        """Take what is to be checked, and the process that was started, if there is one."""
        self._archive = archive
        self._logged = logged
        self._process = process
        self._made: dict[str, Check] = {}

    def check(self, snapshot: str) -> Check:
        """Check that the rows of a snapshot, whose manifest was checked, are as they were collected."""
        return check_claim(f"collection of {snapshot}", partial(self._check, snapshot))[0]

    def _check(self, snapshot: str) -> str:
        logged = self._logged[snapshot]
        if _said(self._archive, snapshot) is not None:
            with self._archive.open(f"snapshots/{snapshot}/{COLLECTED}") as collected:
                check_roots(collected, logged)
        self._wait()
        rows = self._made.get(snapshot) or _check_rows(self._archive, snapshot, logged)
        if not rows.holds:
            raise ProofError(rows.detail)
        return rows.detail

    def _wait(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        answer, _ = process.communicate()
        if process.returncode == 0:
            with suppress(ValueError, TypeError, KeyError):
                self._made = {snapshot: Check(**check) for snapshot, check in json.loads(answer).items()}

    def close(self) -> None:
        """End a process whose answer nobody asked for."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def _said(archive: Archive, snapshot: str) -> Mapping[str, int] | None:
    """Return what a manifest says of what was collected; none where it says nothing."""
    found: Mapping[str, int] | None = read_manifest(archive[f"snapshots/{snapshot}/manifest.json"]).get("collected")
    return found


def _check_rows(archive: Archive, snapshot: str, logged: Logged) -> Check:
    return check_claim(snapshot, partial(_compare, archive, snapshot, logged))[0]


def _compare(archive: Archive, snapshot: str, logged: Logged) -> str:
    folder, said = f"snapshots/{snapshot}", _said(archive, snapshot)
    with archive.open(f"{folder}/keys.parquet") as keys:
        if said is None:
            return check_rows(keys, None, logged)
        with archive.open(f"{folder}/{COLLECTED}") as collected:
            return check_rows(keys, collected, logged, said=said)


@contextmanager
def collections_of(archive: Archive, logged: Mapping[str, Logged]) -> Iterator[Collections]:
    """Check what was collected of some snapshots, apart if there is much of it.

    Args:
        archive: The bundle.
        logged: Of each snapshot, by its name, what the log says before its entry.
    """
    found = Collections(archive, logged, _start(archive, logged))
    try:
        yield found
    finally:
        found.close()


def _start(archive: Archive, logged: Mapping[str, Logged]) -> "subprocess.Popen[bytes] | None":
    """Start the process that makes the checks; none where it is not worth it, or cannot be started."""
    total = sum(archive.size(f"snapshots/{snapshot}/keys.parquet") for snapshot in logged)
    is_python = Path(sys.executable or "").stem.startswith("python")  # elsewhere it would be the program itself
    if total < _WORTH_BYTES or (os.cpu_count() or 1) == 1 or not is_python:
        return None
    asked = {
        "path": str(archive.path.absolute()),
        "state": archive.state,
        "logged": {
            name: {"since_us": one.since_us, "bodies": [*one.bodies.items()], "instants": [*one.instants.items()]}
            for name, one in logged.items()
        },
    }
    folders = os.pathsep.join(str(Path(one).absolute()) for one in sys.path)
    try:
        process = subprocess.Popen(  # noqa: S603 - this very Python, and a module of this package
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what goes wrong there goes wrong here, too, and is told
            env={**os.environ, "PYTHONPATH": folders},
        )
    except (OSError, ValueError):
        return None
    if process.stdin is not None:
        with suppress(OSError), process.stdin as stream:  # it may have ended already: then it does not answer
            stream.write(json.dumps(asked).encode())
    process.stdin = None  # all was said
    return process


def _answer(asked: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Compare the rows as another process asks.

    Raises:
        ProofError: The bundle is not the one that the other process reads.
    """
    archive = read_archive(Path(asked["path"]))
    if [*archive.state] != asked["state"]:
        raise ProofError("The bundle was changed while it was being checked.")
    made = {}
    for snapshot, said in asked["logged"].items():
        logged = Logged(since_us=said["since_us"], bodies=dict(said["bodies"]), instants=dict(said["instants"]))
        check = _check_rows(archive, snapshot, logged)
        made[snapshot] = {"name": check.name, "holds": check.holds, "detail": check.detail}
    return made


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_answer(json.load(sys.stdin))))
