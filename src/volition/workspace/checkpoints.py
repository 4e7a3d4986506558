"""The newest checkpoint, kept apart from the ledger, and compared with it when the workspace is opened.

Every append leaves a valid signed head, so whoever cuts the last entries off `ledger.db`, or puts an older copy of it
back, leaves a ledger that verifies, in which somebody's no is missing. What cannot be cut along shows it:

- `checkpoint`, a file beside the ledger, has the newest one after each append;
- `parties.db` has the newest one of at least each minute, and of the last time that the workspace was closed;
- each snapshot and each release quotes one; those that the ledger does not name are looked at.

An older checkpoint, as a kill or a loss of power leaves it, is no fault: the ledger must have grown from it, no more.
Whoever puts back the whole folder is found by those who hold something of it: receipts, bundles, witnesses.
"""

import json
import logging
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from volition.canonical import digest
from volition.consent.parties import Parties
from volition.errors import BackendError, ProofError
from volition.ledger.log import Ledger

FILE: Final = "checkpoint"
_EVERY_S: Final = 60.0
_BLOCK: Final = 512  # the file is written in one piece of at least so many bytes

_log = logging.getLogger(__name__)


class KeptCheckpoints:
    """The newest checkpoint of a workspace's ledger, in the places that do not go with `ledger.db`."""

    def __init__(self, folder: Path, parties: Parties) -> None:
        """Write nothing yet."""
        self._folder = folder
        self._parties = parties
        self._descriptor: int | None = None
        self._newest = ""
        self._in_parties = ""
        self._written_s = time.monotonic()

    def keep(self, note: str) -> None:
        """Keep the checkpoint that an append made; what cannot be written is logged, since the append is stored.

        Nothing waits for the disk: after a loss of power the file may be older than the ledger, never newer.
        """
        self._newest = note
        data = note.encode()
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            size = -(-len(data) // _BLOCK) * _BLOCK
            os.pwrite(self._descriptor, data.ljust(size, b"\n"), 0)
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            _log.warning("The newest checkpoint could not be kept in %s: %s", self._folder / FILE, error)
        if time.monotonic() - self._written_s >= _EVERY_S:
            self._keep_in_parties()

    def close(self) -> None:
        """Keep the newest checkpoint with the directory of people, and close the file."""
        self._keep_in_parties()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def check(self, ledger: Ledger) -> None:
        """Compare what is kept with the ledger.

        Raises:
            ProofError: The ledger does not hold what was signed.
            BackendError: parties.db lacks somebody whom the ledger knows.
        """
        kept = self._parties.kept_checkpoint()
        if kept:
            ledger.check_extends(kept, where="parties.db")
            self._check_parties(ledger, kept)
        self._in_parties = kept
        try:
            note = f"{(self._folder / FILE).read_bytes().decode().rstrip(chr(10))}\n"
            ledger.open_checkpoint(note)
        except OSError:  # an earlier version made none
            return
        except (UnicodeDecodeError, ProofError):
            _log.warning("%s holds no checkpoint, as after a loss of power; the next append writes it.", FILE)
            return
        ledger.check_extends(note, where=f"the file {FILE!r} beside it")

    def _check_parties(self, ledger: Ledger, kept: str) -> None:
        """Check that parties.db knows everybody who spoke since it last kept a checkpoint.

        An older copy of it kept one long ago. Whoever was added since would be added again, as somebody else, of whom
        no no is known.
        """
        unknown = unknown_parties(ledger, self._parties, ledger.open_checkpoint(kept).size)
        if unknown:
            raise BackendError(
                f"parties.db does not know a person or account of entry {min(unknown.values())} of the ledger: it is "
                "an older copy that was put back, and whoever was added since is lost. Restore the newest copy, or the "
                "whole workspace as it was at one moment."
            )

    def check_folders(self, ledger: Ledger, *, snapshots: Collection[str], cards: Collection[str]) -> None:
        """Compare the ledger with what quotes it and is not named by it: what was made just before a kill, or cut off.

        Args:
            ledger: The ledger.
            snapshots: Ids of those that it names.
            cards: Digests of the cards that it names.

        Raises:
            ProofError: One of them quotes a checkpoint that the ledger does not hold.
        """
        for path in sorted((self._folder / "snapshots").glob("*/manifest.json")):
            if path.parent.name not in snapshots:
                _check_quoted(ledger, path, f"the snapshot {path.parent.name}")
        for path in sorted((self._folder / "releases").glob("*/card.json")):
            if digest(path.read_bytes()) not in cards:
                _check_quoted(ledger, path, f"the release in {path.parent.name}")

    def _keep_in_parties(self) -> None:
        """Keep the newest one in parties.db, unless it is there."""
        if self._newest == self._in_parties or not self._newest:
            return
        self._written_s = time.monotonic()
        try:
            self._parties.keep_checkpoint(self._newest)
            self._in_parties = self._newest
        except BackendError as error:
            _log.warning("The newest checkpoint could not be kept: %s", error)


def unknown_parties(ledger: Ledger, parties: Parties, start: int) -> dict[str, int]:
    """Return whom entries from `start` on name and parties.db does not know, with the first entry of each.

    Whoever was erased is not among them.
    """
    erased: set[str] = set()
    spoke: dict[str, int] = {}
    for entry in ledger.entries(start):
        party = entry.body.get("party")
        if entry.kind == "erasure":
            erased.add(str(party))
        elif isinstance(party, str):
            spoke.setdefault(party, entry.seq)
    return {party: seq for party, seq in spoke.items() if party not in erased and not _knows(parties, party)}


def _knows(parties: Parties, party: str) -> bool:
    kind, _, name = party.partition(":")
    if kind == "account":
        return parties.has_account(name) or name in parties.erased_accounts()
    return kind != "person" or parties.person_by_pseudonym(name) is not None


def _check_quoted(ledger: Ledger, path: Path, where: str) -> None:
    try:
        quoted = json.loads(path.read_bytes())["checkpoint"]
        ledger.open_checkpoint(quoted)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        ProofError,
    ):  # half-made, or of no ledger: no evidence of anything
        return
    ledger.check_extends(quoted, where=where)
