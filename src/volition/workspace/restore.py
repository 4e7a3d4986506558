"""Restoring a workspace from a backup, and what was said since.

A backup is of one moment. Noes and erasures of later are in the ledger alone: where a newer copy of it survived, its
entries are appended as they are, and the erasures among them are done again, in the records and in the keys. Without
one the restored ledger ends with the backup. Nobody can tell from it alone what is missing; a receipt, a checkpoint or
a bundle that somebody kept can, and then nothing is restored.

The ledger holds no names: of people who were given one after the backup, or lost one, nobody knows any more how they
are called. Until the operator says so (`People.confirm_names`), whoever may be one of them is refused.

The workspace appears under its name when it is whole. A restoring that was killed has left a folder aside; the next one
removes that and begins anew.
"""

import os
import shutil
import sqlite3
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from volition.consent.parties import Parties, Person, open_secrets, read_secret
from volition.errors import BackendError, InvalidInputError, ProofError, RefusedError
from volition.files import PART, flush, keep_private, turn
from volition.ledger.catching_up import catch_up
from volition.ledger.entry import Entry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.sqlite import SqliteStore
from volition.ledger.tiles import read_entries
from volition.progress import Progress, silent
from volition.workspace.backup import KEYS, LEFT_OUT
from volition.workspace.checkpoints import unknown_parties
from volition.workspace.erasing import OpenSignIns, SignIns, no_sign_ins
from volition.workspace.kept_backups import KeptBackups, Manifest
from volition.workspace.opened import FOLDERS
from volition.workspace.workspace import Workspace

_NEWER = "newer-ledger"
_MADE_SINCE = ("collect", "snapshot", "model", "release", "identity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restoring did.

    Attributes:
        backup: The name of the backup.
        at: The instant of which it is, as text, UTC.
        entries: How many entries the ledger has now.
        since: How many of them came after the backup; 0 where no newer ledger was given.
        erased: How many parties were erased after the backup, and now again.
        erased_records: How many records that removed.
        lost: What the ledger names and the backup has not, since it was made later, by kind of entry; of `identity`,
            what cannot be done again: names that people were given, or that were taken from them.
        lost_names: Whose names are lost so, by pseudonym: until the operator says who they are, whoever may be one of
            them is refused.
        lost_parties: People and accounts that were added after the backup: what they said stands, who they are is lost.
        owed: How many models owe a forgetting.
    """

    backup: str
    at: str
    entries: int
    since: int
    erased: int
    erased_records: int
    lost: Mapping[str, int]
    lost_names: tuple[str, ...]
    lost_parties: tuple[str, ...]
    owed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Where the keys of a workspace come from: a folder that holds both, or the passphrase of those in the backup."""

    folder: Path | None = None
    passphrase: bytes | None = None


def restore(  # noqa: PLR0913 - from where, to where, and what is known besides
    backups: Path,
    folder: Path,
    *,
    keys: Keys,
    backup: str | None = None,
    ledger: Path | None = None,
    extends: Mapping[str, str] | None = None,
    without_lost_parties: bool = False,
    open_sign_ins: OpenSignIns = no_sign_ins,
    progress: Progress = silent,
) -> Restored:
    """Restore a workspace from a backup into a folder that is empty or not there.

    Args:
        backups: The folder of backups.
        folder: Where the workspace is to lie.
        keys: Where its keys come from.
        backup: Which backup; none for the newest.
        ledger: A newer copy of the ledger: its file, or a folder in which the log was exported with its entries.
        extends: Checkpoints that somebody kept, by name: the ledger must have grown from each.
        without_lost_parties: Whether to go on where people were added after the backup, and are lost.
        open_sign_ins: Opens where people sign in, in the folder that is being restored, which erasures concern, too.
        progress: Told of each file.

    Raises:
        InvalidInputError: The folder is not empty, there is no such backup, or keys or a newer ledger are not there.
        ProofError: A file of the backup was changed, the newer ledger is another one, or the ledger does not hold what
            was signed: nothing is restored.
        RefusedError: People who were added after the backup are lost.
        BackendError: The disk is full or cannot be written: nothing is restored.
    """
    kept = KeptBackups(backups)
    names = kept.names()
    if not names:
        raise InvalidInputError(f"There is no backup in {backups}.")
    name = backup or names[-1]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"{folder} is not empty. Name a folder that is empty or not there.")
    aside = aside_of(folder)
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with _made_aside(folder, aside):
            origin, sealed = kept.unverified(name)
            seeds = _seeds(sealed, keys)
            signer = Signer.from_seed(origin, seeds["signing.key"])
            manifest = kept.manifest(name, signer.key)
            _write(kept, manifest, seeds, aside, progress)
            restoring = _Restoring(aside, manifest, signer, open_sign_ins)
            restored = restoring.catch_up(ledger, extends or {}, without_lost_parties=without_lost_parties)
    except (OSError, sqlite3.Error) as error:
        msg = (
            f"The workspace could not be restored into {folder}: {error}. Nothing is there; mend that, then try again."
        )
        raise BackendError(msg) from error
    return restored


@contextmanager
def _made_aside(folder: Path, aside: Path) -> Iterator[None]:
    """Give what the block makes aside its name; where it raises, nothing is left of that."""
    with turn(folder.absolute().parent):
        if aside.exists():
            shutil.rmtree(aside)
        aside.mkdir(mode=0o700)
        keep_private(aside)
        try:
            yield
            aside.replace(folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        flush(folder.absolute().parent)


def aside_of(folder: Path) -> Path:
    """Return where a workspace lies while it is being restored."""
    absolute = folder.absolute()
    return absolute.with_name(f"{absolute.name}{PART}")


def _seeds(sealed: str, keys: Keys) -> dict[str, bytes]:
    """Return the workspace's keys."""
    if keys.folder is not None:
        return {one: read_secret(keys.folder / one) for one in KEYS}
    if not sealed:
        msg = "The keys are not in this backup: name the folder with master.key and signing.key, which you keep apart."
        raise InvalidInputError(msg)
    if keys.passphrase is None:
        raise InvalidInputError("The keys in this backup are sealed: name the file with their passphrase.")
    return open_secrets(sealed, keys.passphrase)


def _write(kept: KeptBackups, manifest: Manifest, seeds: Mapping[str, bytes], to: Path, progress: Progress) -> None:
    """Write every file of a backup, and the keys, each checked and flushed."""
    for number, (path, file) in enumerate(manifest.files.items(), 1):
        kept.copy(file, to / path)
        progress("restore", number, len(manifest.files))
    for name in KEYS:
        descriptor = os.open(to / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as secret:
            secret.write(b64encode(seeds[name]) + b"\n")
            secret.flush()
            os.fsync(secret.fileno())
    for name in (*FOLDERS, *LEFT_OUT):
        (to / name).mkdir(exist_ok=True)
    for one in (*(path for path in to.rglob("*") if path.is_dir()), to):
        flush(one)


def _change(parties: Parties, entry: Entry, people: Sequence[Person], sign_ins: SignIns | None) -> bool:
    """Change people as an entry says; return whether that was possible without their names."""
    changes, first, accounts = parties.changes, people[0], entry.body.get("accounts", [])
    match entry.body["act"], people[1:]:
        case "merge", [gone]:
            if gone.id != first.id:
                changes.merge(gone.id, into=first.id)
        case "apart", [heard]:
            changes.keep_apart(heard.id, first.id)
        case "leave", []:
            if sign_ins is not None:
                sign_ins.end_person(first.ids)
            if first.account is not None and not first.has_left(first.account):
                changes.leave(first.id)
        case "move", [] if parties.has_account(str(accounts[-1])):
            moved = changes.move(first.id, str(accounts[-1]))
            if sign_ins is not None:
                sign_ins.move_person(moved.ids, str(accounts[-1]))
        case _:
            return False
    return True


class _Restoring:
    """Takes what a backup holds as far as the newer ledger goes."""

    def __init__(self, folder: Path, manifest: Manifest, signer: Signer, open_sign_ins: OpenSignIns) -> None:
        self._folder = folder
        self._manifest = manifest
        self._signer = signer
        self._open_sign_ins = open_sign_ins

    def catch_up(self, newer: Path | None, extends: Mapping[str, str], *, without_lost_parties: bool) -> Restored:
        """Append what the newer ledger has, and do the erasures in it."""
        with closing(SqliteStore(self._folder / "ledger.db")) as store:
            before = Ledger(store, self._signer.key).verify()
            if newer is not None:
                note, leaves = self._newer(newer, before.size)
                catch_up(store, leaves, note, self._signer.key)
            ledger = Ledger(store, self._signer.key)
            ledger.verify()
            if self._manifest.checkpoint:
                ledger.check_extends(self._manifest.checkpoint, where="the manifest of the backup")
            for where, note in extends.items():
                ledger.check_extends(note, where=where)
            lost_parties = self._lost_parties(ledger, before.size, goes_on=without_lost_parties)
            lost = Counter(
                entry.kind
                for entry in ledger.entries(before.size)
                if entry.kind in _MADE_SINCE and not self._is_done_again(entry)
            )
            erased = sum(entry.kind == "erasure" for entry in ledger.entries(before.size))
        with Workspace(self._folder, open_sign_ins=self._open_sign_ins) as workspace:
            workspace.records.sweep_killed()  # what the moment caught between an erasure's commit and its tidying
            records = workspace.finish_erasures(tables=False).records
            owed = len(workspace.models.owed())
            entries = workspace.ledger.size
            lost_names = tuple(sorted(workspace.parties.changes.names_lost()))
        return Restored(
            backup=self._manifest.name,
            at=self._manifest.at,
            entries=entries,
            since=entries - before.size,
            erased=erased,
            erased_records=records,
            lost=dict(lost),
            lost_names=lost_names,
            lost_parties=lost_parties,
            owed=owed,
        )

    def _is_done_again(self, entry: Entry) -> bool:
        """Change people again as an entry says, where that needs no name; note whose names are lost where it does."""
        if entry.kind != "identity":
            return False
        with closing(Parties.open(self._folder)) as parties, self._open_sign_ins() as sign_ins:
            pseudonyms = [str(one).removeprefix("person:") for one in entry.body["people"]]
            people = [one for one in map(parties.person_by_pseudonym, pseudonyms) if one is not None]
            if len(people) == len(pseudonyms) and _change(parties, entry, people, sign_ins):
                return True
            if people:  # whoever was added after the backup has no name here at all: see `_lost_parties`
                parties.changes.lose_names(people[0].pseudonym)
            return False

    def _newer(self, path: Path, start: int) -> tuple[str, list[bytes]]:
        """Return the newest checkpoint of a newer ledger and its entries from `start` on; they are verified later."""
        if path.is_dir():
            return read_entries(path, self._signer.key, start)
        copy = self._folder / _NEWER
        try:
            if not path.is_file():
                raise InvalidInputError(f"There is no ledger at {path}.")
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            with closing(SqliteStore(copy)) as store:
                ledger = Ledger(store, self._signer.key)
                ledger.verify()
                if ledger.size < start:
                    raise ProofError(f"{path} has {ledger.size:,} entries, and the backup {start:,}: it is older.")
                return ledger.checkpoint(), list(ledger.leaves(start))
        except sqlite3.DatabaseError as error:
            raise InvalidInputError(f"{path} is no ledger that can be read: {error}.") from error
        finally:
            for suffix in ("", "-wal", "-shm"):
                copy.with_name(copy.name + suffix).unlink(missing_ok=True)

    def _lost_parties(self, ledger: Ledger, start: int, *, goes_on: bool) -> tuple[str, ...]:
        """Return who was added after the backup and is lost; where it may go on, they are missed no more at opening."""
        with closing(Parties.open(self._folder)) as parties:
            unknown = unknown_parties(ledger, parties, start)
            if unknown and not goes_on:
                raise RefusedError(
                    f"{len(unknown):,} who were added after the backup said something since, the first in entry "
                    f"{min(unknown.values())}, and nobody knows any more who they are: added again, they would be "
                    "others, of whom no no is known. Restore a newer backup; or say --without-lost-people, and ask "
                    "each of them anew before anything of theirs is collected."
                )
            if unknown:
                parties.keep_checkpoint(ledger.checkpoint())
        return tuple(sorted(unknown))
