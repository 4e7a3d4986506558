"""Snapshots of tables that others keep: every row judged by the ledger as it is now, listed, and never copied.

All rows are judged at one instant, by permits that nobody moves on; whoever says no meanwhile is asked about again when
the snapshot is entered. It is made aside: killed, there is none, and what was made goes with the next listing.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from volition.consent.names import Names
from volition.consent.permits import Permits
from volition.progress import Progress
from volition.workspace.opened import Opened
from volition.workspace.run_folders import run_folder

if TYPE_CHECKING:
    from volition.records.foreign.mapping import TableMapping
    from volition.records.listed import Listing
    from volition.records.snapshot import Snapshot

_KIND: Final = "list-"


def list_table(  # noqa: PLR0913 - a table, and how it is judged
    opened: Opened,
    permits: Permits,
    table: Any,  # noqa: ANN401 - of packages that may be missing
    mapping: "TableMapping",
    *,
    version: str | int | None,
    until_us: int,
    session: Any = None,  # noqa: ANN401 - of a package that may be missing
    progress: Progress,
) -> "Snapshot":
    """List what may be used of a table for the permits' purpose at their instant.

    Args:
        opened: The workspace's folder, opened.
        permits: Decide; nobody moves them on.
        table: As `records.foreign.version.open_version` takes it.
        mapping: Which columns decide.
        version: Of the table; by default the one at which it was opened, or the newest.
        until_us: Leave out what was collected later.
        session: Of Spark, or Spark Connect, which reads the table; by default this process does.
        progress: Called as it advances.

    Raises:
        InvalidInputError: The table, its version or a column is not there, or it cannot be listed.
        DamagedError: A file of the table is gone, or cannot be read.
        BackendError: The disk is full or cannot be written; no snapshot appears.
    """
    from volition.consent.gate.interned import InternedGate  # noqa: PLC0415 - it loads Arrow
    from volition.records.foreign.answers import GateAnswers  # noqa: PLC0415
    from volition.records.foreign.version import open_version  # noqa: PLC0415
    from volition.records.listed import Listing, join_parts, list_files  # noqa: PLC0415

    vocabulary = permits.history.vocabulary
    if mapping.category is not None:
        vocabulary.check_category(mapping.category)
    found = open_version(table, version)
    names = Names(opened.parties)
    answers = GateAnswers(InternedGate(permits, names), names, vocabulary.categories)
    listing = Listing(
        version=found, mapping=mapping, permits=permits, checkpoint=_checkpoint(opened), until_us=until_us
    )
    with run_folder(opened.folder / "runs", _KIND, "") as folder:
        if session is None:
            parts = list_files(found, mapping, answers, folder, until_us=until_us, progress=progress)
        else:
            from volition.records.foreign.cluster import list_files_on  # noqa: PLC0415

            parts = list_files_on(
                session, found, mapping, answers, folder, at_us=permits.at_us, until_us=until_us, progress=progress
            )
        return join_parts(opened.folder / "snapshots", _aside(folder), listing, parts, progress=progress)


def list_within(
    opened: Opened, permits: Permits, before: "Snapshot", *, until_us: int, progress: Progress
) -> "Snapshot":
    """List what may still be used of a snapshot of a table: never a row more, and the table is not read.

    Raises:
        ProofError: A file of the snapshot is not the one that was frozen.
        BackendError: The disk is full or cannot be written; no snapshot appears.
    """
    from volition.records.listed import join_parts, narrow  # noqa: PLC0415 - it loads Arrow

    listing = _listing_of(before, permits, _checkpoint(opened), until_us)
    with run_folder(opened.folder / "runs", _KIND, "") as folder:
        parts = narrow(before, permits, folder, until_us=until_us)
        return join_parts(opened.folder / "snapshots", _aside(folder), listing, parts, progress=progress)


def _listing_of(before: "Snapshot", permits: Permits, checkpoint: str, until_us: int) -> "Listing":
    from volition.records.foreign.mapping import TableMapping  # noqa: PLC0415 - it loads Arrow
    from volition.records.foreign.version import TableVersion  # noqa: PLC0415
    from volition.records.listed import Listing  # noqa: PLC0415

    table = before.manifest["table"]
    return Listing(
        version=TableVersion(form=table["form"], uri=table["uri"], version=table["version"], columns=(), files=()),
        mapping=TableMapping(**table["mapping"]),
        permits=permits,
        checkpoint=checkpoint,
        until_us=until_us,
        within=before.id,
    )


def _checkpoint(opened: Opened) -> str:
    return opened.ledger.checkpoint(opened.history_size)


def _aside(folder: Path) -> Path:
    aside = folder / "snapshot"
    aside.mkdir()
    return aside
