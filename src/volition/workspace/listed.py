"""Snapshots of tables that others keep: every row judged by the ledger as it is now, listed, and never copied.

All rows are judged at one instant, by permits that nobody moves on; whoever says no meanwhile is asked about again when
the snapshot is entered. It is made aside: killed, there is none, and what was made goes with the next listing.
"""

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from volition.consent.names import Names
from volition.consent.permits import Permits
from volition.errors import InvalidInputError
from volition.progress import Progress, silent
from volition.workspace.opened import Opened
from volition.workspace.run_folders import run_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from volition.records.foreign.answers import GateAnswers
    from volition.records.foreign.mapping import TableMapping
    from volition.records.foreign.part import ListedPart
    from volition.records.foreign.version import TableVersion
    from volition.records.listed import Listing
    from volition.records.snapshot import Snapshot

_KIND: Final = "list-"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableListing:
    """A table whose rows are being listed, at one instant.

    Attributes:
        version: The table, with its data files.
        mapping: Which of its columns decide.
        answers: What the gate says; `SetAnswers.of` makes of it what workers elsewhere need.
        at_us: The instant at which all rows are judged.
        until_us: What was collected later is left out.
        folder: Where parts may lie until they are joined.
    """

    version: "TableVersion"
    mapping: "TableMapping"
    answers: "GateAnswers"
    at_us: int
    until_us: int
    folder: Path
    _join: "Callable[[Iterable[ListedPart], Progress], Snapshot]"

    def parts(self, progress: Progress = silent) -> "Iterator[ListedPart]":
        """Yield the part of each file, made here when it is asked for; the one before is gone then."""
        from volition.records.listed import list_files  # noqa: PLC0415 - it loads Arrow

        return list_files(
            self.version, self.mapping, self.answers, self.folder, until_us=self.until_us, progress=progress
        )

    def parts_on(self, session: Any, progress: Progress = silent) -> "Iterator[ListedPart]":  # noqa: ANN401 - of a package that may be missing
        """Yield the part of each file, made by Spark or Spark Connect: the same bytes (`records.foreign.cluster`)."""
        from volition.records.foreign.cluster import list_files_on  # noqa: PLC0415 - it loads Arrow

        return list_files_on(
            session,
            self.version,
            self.mapping,
            self.answers,
            self.folder,
            at_us=self.at_us,
            until_us=self.until_us,
            progress=progress,
        )

    def join(self, parts: "Iterable[ListedPart]", progress: Progress = silent) -> "Snapshot":
        """Join the parts of all files, in the order of `version.files`, to a snapshot, and enter it in the ledger.

        Raises:
            InvalidInputError: They are not the parts of all files, in this order.
            RefusedError: Somebody has said no meanwhile.
            BackendError: The disk is full or cannot be written; no snapshot appears.
        """
        return self._join(self._all(parts), progress)

    def _all(self, parts: "Iterable[ListedPart]") -> "Iterator[ListedPart]":
        for file, part in zip_longest(self.version.files, parts):
            if file is None or part is None or file.name != part.name:
                raise InvalidInputError(
                    "A snapshot is joined of one part for each of the table's files, in the order of their names: "
                    f"{'nothing' if part is None else part.name} is there for {'none' if file is None else file.name}."
                )
            yield part


@contextmanager
def list_table(  # noqa: PLR0913 - a table, and how it is judged
    opened: Opened,
    permits: Permits,
    table: Any,  # noqa: ANN401 - of packages that may be missing
    mapping: "TableMapping",
    *,
    version: str | int | None,
    until_us: int,
    enter: "Callable[[Snapshot], Snapshot]",
) -> "Iterator[TableListing]":
    """List what may be used of a table for the permits' purpose at their instant.

    Args:
        opened: The workspace's folder, opened.
        permits: Decide; nobody moves them on.
        table: As `records.foreign.version.open_version` takes it.
        mapping: Which columns decide.
        version: Of the table; by default the one at which it was opened, or the newest.
        until_us: Leave out what was collected later.
        enter: Enters a snapshot in the ledger.

    Raises:
        InvalidInputError: The table, its version or a column is not there, or it cannot be listed.
    """
    from volition.consent.gate.interned import InternedGate  # noqa: PLC0415 - it loads Arrow
    from volition.records.foreign.answers import GateAnswers  # noqa: PLC0415
    from volition.records.foreign.version import open_version  # noqa: PLC0415
    from volition.records.listed import Listing, join_parts  # noqa: PLC0415

    vocabulary = permits.history.vocabulary
    if mapping.category is not None:
        vocabulary.check_category(mapping.category)
    found = open_version(table, version)
    mapping.check(found.columns)
    names = Names(opened.parties)
    answers = GateAnswers(InternedGate(permits, names), names, vocabulary.categories)
    listing = Listing(
        version=found, mapping=mapping, permits=permits, checkpoint=_checkpoint(opened), until_us=until_us
    )
    with run_folder(opened.folder / "runs", _KIND, "") as folder:

        def join(parts: "Iterable[ListedPart]", progress: Progress) -> "Snapshot":
            return enter(join_parts(opened.folder / "snapshots", _aside(folder), listing, parts, progress=progress))

        yield TableListing(
            version=found,
            mapping=mapping,
            answers=answers,
            at_us=permits.at_us,
            until_us=until_us,
            folder=folder,
            _join=join,
        )


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
    """Make an empty folder for a snapshot in the making, in place of one that could not be finished."""
    aside = folder / "snapshot"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    return aside
