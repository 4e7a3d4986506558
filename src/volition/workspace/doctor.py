"""Everything that can be checked of a workspace, what to mend, and what mends itself without guessing.

Each check stands for itself: what one finds broken stops none of the others, as far as they can go without it. Looking
changes nothing but what opening a workspace changes.

`mend` does only what needs no guess: it lets nobody else in, sweeps what killed writers left, finishes erasures.
`lake/index.db` alone says whom each record is about, and what was erased or taken back: it is never rebuilt from record
files (docs/decisions/0038), but restored from a backup.
"""

import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final

from volition.canonical import us_to_text
from volition.consent.parties import read_secret
from volition.errors import ConflictError, ProofError, VolitionError
from volition.files import PART, keep_private, sweep
from volition.workspace.backup import KEYS, is_database
from volition.workspace.erasing import OpenSignIns, no_sign_ins
from volition.workspace.erasing_tables import TableErasureError
from volition.workspace.opened import FOLDERS
from volition.workspace.settings import read_settings
from volition.workspace.workspace import Workspace

DAY_US: Final = 24 * 60 * 60 * 1_000_000
_SOON_US: Final = 7 * DAY_US
_CLOCK_US: Final = 60 * 1_000_000
_LEAST_FREE: Final = 2**30  # bytes
_OTHERS: Final = 0o077
_RESTORE: Final = "Restore it from a backup: `volition restore`."
_NAMED_MOST: Final = 5
_INDEX: Final = "lake/index.db"
_NOT_REBUILT: Final = (
    "It is not rebuilt from the record files, which hold numbers in place of people: it alone says whom each record is "
    "about, which records were erased or taken back and must not return when they are collected again, and by which "
    "keys collected batches are proved. Restore it with the rest of the workspace: `volition restore`. What was "
    "collected after that backup, collect again."
)


class State(StrEnum):
    """How bad a finding is."""

    SOUND = "sound"
    WARNING = "warning"
    BROKEN = "broken"
    UNPROVEN = "does not verify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was checked.
        state: How bad it is.
        found: What was found.
        mend: What to do; empty where nothing is to be done.
    """

    check: str
    state: State
    found: str
    mend: str = ""

    def to_json(self) -> dict[str, str]:
        """Return it as a JSON object."""
        return {"check": self.check, "state": self.state.value, "found": self.found, "mend": self.mend}


def examine(folder: Path, *, clock: Callable[[], int]) -> Iterator[Finding]:
    """Check everything, and yield what each check found, sound or not.

    Args:
        folder: The workspace.
        clock: Gives the present instant in microseconds since the Unix epoch, UTC.
    """
    yield from _checked("settings", lambda: _settings(folder))
    yield from _checked("permissions", lambda: _permissions(folder))
    yield from _checked("disk", lambda: _disk(folder))
    yield from _checked("left behind", lambda: _left(folder))
    for path in sorted(path for path in folder.rglob("*.db") if is_database(path) or not path.stat().st_size):
        name = path.relative_to(folder).as_posix()
        yield from _checked(name, partial(_database, path, name))
    try:
        workspace = Workspace.open(folder, clock=clock, carry_over=False)
    except (VolitionError, OSError, sqlite3.Error) as error:
        yield _failed("opening", error)
        return
    with workspace:
        yield Finding(check="opening", state=State.SOUND, found="keys, ledger and checkpoints fit together")
        looking = _Looking(folder, workspace, clock)
        for name, check in looking.checks():
            yield from _checked(name, check)


def mend(folder: Path, *, open_sign_ins: OpenSignIns = no_sign_ins) -> list[str]:
    """Mend what can be mended without guessing; return what was, as sentences.

    Args:
        folder: The workspace.
        open_sign_ins: Opens where people sign in, which erasures concern, too.

    Raises:
        VolitionError: The workspace cannot be opened; what was mended before stays mended.
    """
    done = []
    if any(finding.state is not State.SOUND for finding in _permissions(folder)):
        keep_private(folder)
        for path in folder.rglob("*"):
            if path.name not in KEYS and not path.is_symlink() and path.stat().st_mode & _OTHERS:
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
        done.append("Nobody else can enter the folder, nor read a file in it.")
    left = sum(1 for name in ("", *FOLDERS) for _ in (folder / name).glob(f"*{PART}"))
    for name in ("", *FOLDERS) if left else ():
        sweep(folder / name)
    if left:
        done.append(f"{left} things that killed writers left were removed.")
    with Workspace.open(folder, open_sign_ins=open_sign_ins) as workspace:
        if (folder / "lake" / "writing").exists():
            workspace.records.sweep_killed()
            done.append("The lake has no file any more that a killed writer left.")
        done += _finish_erasures(workspace)
    return done


def _finish_erasures(workspace: Workspace) -> Iterator[str]:
    try:
        erased = workspace.finish_erasures()
    except TableErasureError as error:
        yield str(error)
    except ConflictError:  # all is erased, and wiped when the others are closed
        return
    else:
        if erased.records or erased.set_aside:
            yield f"Erasures that were killed are finished: {erased.records} records were removed."


def _checked(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; where it fails, that; where it finds nothing, that all is sound."""
    found = []
    try:
        found = list(check())
    except (VolitionError, OSError, sqlite3.Error) as error:
        found = [_failed(name, error)]
    yield from found or [Finding(check=name, state=State.SOUND, found="sound")]


def _failed(name: str, error: Exception) -> Finding:
    """Say what an error found; the errors of this house say themselves what to do."""
    state = State.UNPROVEN if isinstance(error, ProofError) else State.BROKEN
    return Finding(check=name, state=state, found=" ".join(str(error).split()), mend=_RESTORE)


def _settings(folder: Path) -> Iterator[Finding]:
    read_settings(folder)
    yield from ()


def _permissions(folder: Path) -> Iterator[Finding]:
    for name in KEYS:
        read_secret(folder / name)
    open_ = [path for path in (folder, *folder.rglob("*")) if not path.is_symlink() and path.stat().st_mode & _OTHERS]
    if folder in open_:
        yield Finding(
            check="permissions",
            state=State.WARNING,
            found=f"others can enter {folder}, or read {len(open_) - 1:,} files in it",
            mend="`volition doctor --repair`, or any other command, lets nobody else in.",
        )


def _disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    taken = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # somebody works in it meanwhile
            taken += path.lstat().st_size
    if free < max(_LEAST_FREE, taken):
        yield Finding(
            check="disk",
            state=State.WARNING,
            found=f"{free / 2**30:.1f} GiB are free; the workspace takes {taken / 2**30:.1f} GiB",
            mend="Free space: compacting and forgetting may write as much again before anything is removed.",
        )


def _left(folder: Path) -> Iterator[Finding]:
    left = [path for name in ("", *FOLDERS) for path in (folder / name).glob(f"*{PART}")]
    if (folder / "lake" / "writing").exists():
        left.append(folder / "lake" / "writing")
    if left:
        yield Finding(
            check="left behind",
            state=State.WARNING,
            found=f"{len(left):,} things that a writer has left, or is just writing: {_named(folder, left)}",
            mend="`volition doctor --repair`, or the next writer, removes what was left.",
        )


def _database(path: Path, name: str) -> Iterator[Finding]:
    restore = _NOT_REBUILT if name == _INDEX else _RESTORE
    if not path.stat().st_size:
        yield Finding(check=name, state=State.BROKEN, found="it holds nothing any more", mend=restore)
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        wrong = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    if wrong:
        found = f"SQLite finds {len(wrong)} faults in it, the first: {wrong[0].splitlines()[0]}"
        yield Finding(check=name, state=State.BROKEN, found=found, mend=restore)


def _named(folder: Path, paths: list[Path]) -> str:
    names = [path.relative_to(folder).as_posix() or "." for path in paths[:_NAMED_MOST]]
    return ", ".join(names) + (" ..." if len(paths) > len(names) else "")


class _Looking:
    """Looks at an opened workspace."""

    def __init__(self, folder: Path, workspace: Workspace, clock: Callable[[], int]) -> None:
        self._folder = folder
        self._workspace = workspace
        self._clock = clock

    def checks(self) -> Iterator[tuple[str, Callable[[], Iterator[Finding]]]]:
        """Yield the checks by their names."""
        yield "ledger", self._ledger
        yield "clock", self._is_late
        yield "stores", self._stores
        yield "keys", self._keys
        yield "names", self._names
        yield "erasures", self._erasures
        yield "terms", self._terms
        yield "lake", self._lake
        yield "snapshots", self._snapshots
        yield "models", self._models
        yield "forgettings", self._forgettings

    def _ledger(self) -> Iterator[Finding]:
        size = self._workspace.ledger.verify().size
        yield Finding(
            check="ledger", state=State.SOUND, found=f"{size:,} entries, their tree and all checkpoints verify"
        )

    def _is_late(self) -> Iterator[Finding]:
        last_us = self._workspace.history().last_us
        if self._clock() + _CLOCK_US < last_us:
            found = f"this machine's clock is before the ledger's last entry, {us_to_text(last_us)}"
            yield Finding(check="clock", state=State.WARNING, found=found, mend="Set the clock.")

    def _stores(self) -> Iterator[Finding]:
        for path in self._workspace.parties.stores.missing():
            name = path.relative_to(self._folder.absolute()).as_posix()
            restore = _NOT_REBUILT if name == _INDEX else _RESTORE
            yield Finding(check="stores", state=State.BROKEN, found=f"{name} was lost", mend=restore)

    def _keys(self) -> Iterator[Finding]:
        broken = self._workspace.parties.vault.unopened()
        if broken:
            found = f"the master key does not open {len(broken):,} keys in parties.db, the first that of {broken[0]}"
            yield Finding(check="keys", state=State.BROKEN, found=found, mend=_RESTORE)

    def _names(self) -> Iterator[Finding]:
        parties = self._workspace.parties
        for pseudonym in parties.changes.names_lost():
            known = parties.person_by_pseudonym(pseudonym)
            who = pseudonym if known is None else known.id
            yield Finding(
                check="names",
                state=State.WARNING,
                found=f"names of {who} were lost by a restoring, so whoever may be them is refused",
                mend=f"Give them again, then say that they are all: `volition person alias {who} NAME... --complete`.",
            )

    def _erasures(self) -> Iterator[Finding]:
        if not self._workspace.erasures_are_finished:
            yield Finding(
                check="erasures",
                state=State.BROKEN,
                found="an erasure is not finished: records, keys, or rows in a table elsewhere are still there",
                mend="`volition doctor --repair` finishes it.",
            )

    def _terms(self) -> Iterator[Finding]:
        for terms in self._workspace.terms.published():
            yield from self._each("terms", partial(self._workspace.terms.text, terms))

    def _lake(self) -> Iterator[Finding]:
        for why in self._workspace.records.damaged_files():
            mend_ = f"{_RESTORE} Whoever erases or forgets meanwhile is told what waits for it."
            yield Finding(check="lake", state=State.BROKEN, found=why, mend=mend_)

    def _snapshots(self) -> Iterator[Finding]:
        for name in self._workspace.snapshots.ids():
            yield from self._each("snapshots", partial(self._snapshot, name))

    def _snapshot(self, name: str) -> None:
        self._workspace.snapshots.open(name).check()

    def _models(self) -> Iterator[Finding]:
        for model, state in self._workspace.models.states().items():
            if state.forgotten_us is None:
                yield from self._each("models", partial(self._workspace.models.open, model))
            if state.released_us is not None:
                yield from self._each("releases", partial(self._workspace.models.card, model))

    def _forgettings(self) -> Iterator[Finding]:
        now_us = self._workspace.now_us
        for owed in self._workspace.models.owed():
            is_late = owed.due_us <= now_us
            if not is_late and owed.due_us - _SOON_US > now_us and not (owed.damage or owed.blocked):
                continue
            yield Finding(
                check="forgettings",
                state=State.BROKEN if is_late else State.WARNING,
                found=f"{owed.model} {'was' if is_late else 'is'} due on {us_to_text(owed.due_us)}. "
                f"{owed.damage or owed.blocked}".strip(),
                mend="`volition forget`",
            )

    @staticmethod
    def _each(name: str, check: Callable[[], Any]) -> Iterator[Finding]:
        try:
            check()
        except (VolitionError, OSError) as error:
            yield _failed(name, error)
