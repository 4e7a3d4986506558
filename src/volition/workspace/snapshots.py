"""What may be used for a purpose, selected by the gate: as a stream, as parts for a cluster, or frozen as a snapshot.

A snapshot holds nothing but what its purpose has a use for. It is an entry of the ledger, and one that is not as the
ledger names it is not opened.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from volition.canonical import datetime_to_us, text_to_us
from volition.consent.parties import lost
from volition.consent.permits import Permits, Reason
from volition.errors import InvalidInputError, ProofError, RefusedError
from volition.learning.families.installed import learns_from
from volition.ledger.entry import NewEntry
from volition.progress import Progress, silent
from volition.records.freeze import freeze
from volition.records.snapshot import Snapshot
from volition.workspace.gate import GateQuestions
from volition.workspace.listed import TableListing, list_table, list_within
from volition.workspace.opened import Opened
from volition.workspace.records import Records

if TYPE_CHECKING:
    from volition.records.foreign.mapping import TableMapping


class Snapshots:
    """Freezes snapshots, and opens them."""

    def __init__(self, opened: Opened, gate: GateQuestions, records: Records) -> None:
        """Take the opened folder, the gate, and the records that are frozen."""
        self._opened = opened
        self._gate = gate
        self._records = records

    def create(self, purpose: str, *, until: datetime | None = None, progress: Progress = silent) -> Snapshot:
        """Freeze what may be used for a purpose now.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            until: Leave out what was collected later.
            progress: Called with how far it has come.

        Raises:
            BackendError: The disk is full or cannot be written; no snapshot appears.
            RefusedError: Somebody said no while it was frozen.
        """
        permits = self._gate.permits(purpose)
        until_us = permits.at_us if until is None else min(permits.at_us, datetime_to_us(until))
        return self.freeze(permits, until_us, None, progress)

    def create_from(  # noqa: PLR0913 - a table, and how it is judged
        self,
        table: Any,  # noqa: ANN401 - of packages that may be missing
        mapping: "TableMapping",
        purpose: str,
        *,
        version: str | int | None = None,
        until: datetime | None = None,
        session: Any = None,  # noqa: ANN401 - of a package that may be missing
        progress: Progress = silent,
    ) -> Snapshot:
        """List what may be used now of a table that others keep; its rows stay where they are, and are not copied.

        The table must be kept at that version for as long as anybody trains from the snapshot.

        Args:
            table: A Delta or Iceberg table; or the path of a Parquet file, or of a folder with Parquet files, a Delta
                or an Iceberg table.
            mapping: Which of its columns say whose a row is, about whom, of what kind, and when it was collected.
            purpose: A leaf of the purposes that there are.
            version: The number of a Delta version, or the id of an Iceberg snapshot; by default the one at which a
                table was opened, or the newest.
            until: Leave out what was collected later.
            session: Of Spark, or Spark Connect: its executors read the table, and the snapshot is the same, byte for
                byte. By default this process reads it.
            progress: Called with how far it has come.

        Raises:
            InvalidInputError: There is no such purpose, the table or its version is not there, cannot be listed, or a
                column is not as it must be.
            DamagedError: A file of the table is gone, or cannot be read.
            MissingExtraError: What reads the table is not installed.
            BackendError: The disk is full or cannot be written; no snapshot appears.
            RefusedError: Somebody said no while it was listed.
        """
        with self.listing(table, mapping, purpose, version=version, until=until) as listing:
            parts = listing.parts(progress) if session is None else listing.parts_on(session, progress)
            return listing.join(parts, progress)

    @contextmanager
    def listing(
        self,
        table: Any,  # noqa: ANN401 - of packages that may be missing
        mapping: "TableMapping",
        purpose: str,
        *,
        version: str | int | None = None,
        until: datetime | None = None,
    ) -> Iterator[TableListing]:
        """List a table as `create_from` does, whose parts others make, such as the tasks of a cluster.

        Every row is judged as of the beginning of the block, so what is joined in it is one snapshot. Takes and raises
        what `create_from` does.
        """
        permits = self._gate.permits(purpose)
        until_us = permits.at_us if until is None else min(permits.at_us, datetime_to_us(until))
        with list_table(
            self._opened, permits, table, mapping, version=version, until_us=until_us, enter=self._enter
        ) as listing:
            yield listing

    def open(self, snapshot: str) -> Snapshot:
        """Open a snapshot by its id.

        Raises:
            InvalidInputError: The ledger names no such snapshot.
            ProofError: It is not the one that the ledger names.
            BackendError: It was lost.
        """
        named = [
            entry.body["manifest"]
            for entry in self._opened.history().events
            if entry.kind == "snapshot" and entry.body["snapshot"] == snapshot
        ]
        if not named:
            msg = f"There is no snapshot {snapshot!r}. `volition status` lists those there are."
            raise InvalidInputError(msg)
        folder = self._opened.folder / "snapshots" / snapshot
        if not (folder / "manifest.json").exists():
            raise lost(folder)
        opened = Snapshot.open(folder)
        if {opened.digest} != set(named):
            msg = f"Snapshot {snapshot} is not the one that the ledger names. Do not train from it."
            raise ProofError(msg)
        return opened

    def named(self, snapshot: str) -> Mapping[str, Any]:
        """Return what the ledger says of a snapshot, which may be damaged, or gone: its `purpose`, and `at` when.

        Raises:
            InvalidInputError: The ledger names no such snapshot.
        """
        for entry in self._opened.history().events:
            if entry.kind == "snapshot" and entry.body["snapshot"] == snapshot:
                return entry.body
        raise InvalidInputError(f"There is no snapshot {snapshot!r}. `volition status` lists those there are.")

    def ids(self) -> list[str]:
        """Return the ids of every snapshot that the ledger names, oldest first."""
        return [entry.body["snapshot"] for entry in self._opened.history().events if entry.kind == "snapshot"]

    def freeze(self, permits: Permits, until_us: int, within: Snapshot | None, progress: Progress) -> Snapshot:
        """Freeze what permits let through, within what another snapshot holds where one is given."""
        if within is not None and within.is_listed:
            return self._enter(list_within(self._opened, permits, within, until_us=until_us, progress=progress))
        # A snapshot made within an earlier one loses only refused rows, even where a family that brought a category
        # is not installed any more.
        before = () if within is None else within.categories
        categories = sorted({*learns_from(permits.purpose, permits.history.vocabulary), *before})
        encoder = self._records.encoder_for(permits.purpose)
        self._records.embed_permitted(permits, progress)
        snapshot = freeze(
            self._opened.folder / "snapshots",
            lake=self._opened.lake,
            parties=self._opened.parties,
            permits=permits,
            checkpoint=self._opened.ledger.checkpoint(self._opened.history_size),
            categories=categories,
            collected_until_us=until_us,
            within=within,
            encoder_id=None if encoder is None else encoder.id,
            progress=progress,
        )
        return self._enter(snapshot)

    def _enter(self, snapshot: Snapshot) -> Snapshot:
        """Enter a snapshot in the ledger, unless somebody has said no meanwhile."""
        body = {
            "snapshot": snapshot.id,
            "purpose": snapshot.purpose,
            "at": snapshot.manifest["at"],
            "manifest": snapshot.digest,
        }

        def judged() -> list[NewEntry]:
            self._check_still_permitted(snapshot)
            return [NewEntry(kind="snapshot", body=body)]

        self._opened.append_judged(judged)
        return snapshot

    def _check_still_permitted(self, snapshot: Snapshot) -> None:
        """Refuse to enter a snapshot of which somebody said no while it was frozen: whoever checks the log would, too.

        What only grew too old meanwhile is no reason: what learns from it asks again.
        """
        last_us = self._opened.history().last_us
        if last_us <= text_to_us(snapshot.manifest["at"]):
            return  # nobody said anything
        stale = snapshot.stale(self._gate.permits(snapshot.purpose))
        if any(row.verdict.reason is not Reason.TOO_OLD for row in stale):
            shutil.rmtree(snapshot.folder, ignore_errors=True)
            msg = (
                f"Somebody said no while the snapshot for {snapshot.purpose} was frozen, so it was not kept. Repeat it."
            )
            raise RefusedError(msg)
