"""What may be used for a purpose, selected by the gate: as a stream, as parts for a cluster, or frozen as a snapshot.

A snapshot holds nothing but what its purpose has a use for. It is an entry of the ledger, and one that is not as the
ledger names it is not opened.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from volition.canonical import datetime_to_us
from volition.consent.gate import Gate
from volition.consent.permits import Permits
from volition.consent.terms.model import CATEGORIES, leaves
from volition.errors import InvalidInputError, ProofError
from volition.learning.encoder import Encoder, EncoderMissingError
from volition.learning.families import Progress, silent
from volition.ledger.log import Draft, Entry
from volition.records.engines.spark import Gathering, Part
from volition.records.lake import Lake, bucket_of
from volition.records.snapshot import Snapshot, freeze
from volition.records.stream import BATCH_ROWS, Rows, judged
from volition.workspace.collecting import Collecting
from volition.workspace.judging import check_purpose

LEARNS_FROM: Final = {
    "train/search": ("content/chat", "content/files", "content/transcript", "service/usage"),
    "train/recommend": ("service/usage",),
    "train/summary": ("content/transcript",),
    "train/compose": ("content/chat",),
    "train/diagnose": ("service/diagnostics", "service/telemetry"),
}
"""What a purpose has a use for; a snapshot reads nothing else, even where the terms would let it."""

_WITHOUT_EMBEDDINGS: Final = ("train/compose",)
"""Purposes that learn from content, but from its words alone: no embedding is derived for them."""


class Selecting(Collecting):
    """A workspace that selects what may be used."""

    def rows(self, purpose: str, *, categories: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS) -> Rows:
        """Return what may be used for a purpose as a stream of batches, each judged when it is handed out.

        Whoever says no while it is read is in no later batch. Nothing is frozen, so what learns from it cannot be
        released: `snapshot` is for that.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            categories: Leaves of `terms.CATEGORIES`; by default what the purpose has a use for.
            batch_rows: How many rows a batch has at most.

        Raises:
            InvalidInputError: There is no such purpose or category.
        """
        check_purpose(purpose)
        chosen = tuple(learns_from(purpose) if categories is None else leaves(categories, CATEGORIES))
        return Rows(
            partial(self._batches, purpose, chosen, batch_rows),
            partial(_reopened_batches, self.folder.absolute(), purpose, chosen, batch_rows),
        )

    def _batches(
        self, purpose: str, categories: Sequence[str], batch_rows: int, share: int, shares: int
    ) -> Iterator[Any]:
        permits = self.permits(purpose)
        seen = self._history.size

        def news() -> tuple[list[Entry], int]:
            nonlocal seen
            now_us = self.now_us
            entries = list(self.ledger.entries(seen, self._history.size))
            seen += len(entries)
            return entries, now_us

        accounts = None
        if shares > 1:
            accounts = [one.id for one in self.parties.accounts() if bucket_of(one.id) % shares == share]
        found = self._lake.rows(permits, categories=categories, accounts=accounts)
        yield from judged(found, Gate(self.permits(purpose)), news, batch_rows=batch_rows)

    def parts(
        self, purpose: str, *, categories: Sequence[str] | None = None, root: str | None = None
    ) -> Sequence[Part]:
        """Return what one job on a Spark cluster is to judge: the lake's files with their standings, at this instant.

        `engines.spark.permitted_frame` makes a DataFrame of it. See docs/spark.md: no snapshot is frozen, so training
        does not accept it.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            categories: Leaves of `terms.CATEGORIES`; by default what the purpose has a use for.
            root: Where Spark's executors find the lake's folder, such as "s3a://bucket/lake"; by default where it is.

        Raises:
            InvalidInputError: There is no such purpose or category.
        """
        chosen = learns_from(purpose) if categories is None else leaves(categories, CATEGORIES)
        permits = self.permits(purpose)
        folder = (self.folder / "lake").absolute()

        def place(file: str) -> str:
            path = Path(file).absolute()
            return str(path) if root is None else f"{root.rstrip('/')}/{path.relative_to(folder).as_posix()}"

        found = []
        for category in sorted(chosen):
            gathering = Gathering(category, place=place)
            with closing(Lake(folder, self.parties, gathering)) as lake:
                lake.reasons(permits, categories=[category])
            found += gathering.parts
        return found

    def snapshot(self, purpose: str, *, until: datetime | None = None, progress: Progress = silent) -> Snapshot:
        """Freeze what may be used for a purpose now.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            until: Leave out what was collected later.
            progress: Told how far it has come.

        Raises:
            BackendError: The disk is full or cannot be written; no snapshot appears.
        """
        permits = self.permits(purpose)
        until_us = permits.at_us if until is None else min(permits.at_us, datetime_to_us(until))
        return self._freeze(permits, until_us, None, progress)

    def open_snapshot(self, snapshot: str) -> Snapshot:
        """Open a snapshot by its id.

        Raises:
            InvalidInputError: The ledger names no such snapshot.
            ProofError: It is not the one that the ledger names.
        """
        named = [
            entry.body["manifest"]
            for entry in self.history().doings
            if entry.kind == "snapshot" and entry.body["snapshot"] == snapshot
        ]
        if not named:
            msg = f"There is no snapshot {snapshot!r}. `volition status` lists those there are."
            raise InvalidInputError(msg)
        opened = Snapshot.open(self.folder / "snapshots" / snapshot)
        if opened.digest != named[-1]:
            msg = f"Snapshot {snapshot} is not the one that the ledger names. Do not train from it."
            raise ProofError(msg)
        return opened

    def snapshots(self) -> list[str]:
        """Return the ids of every snapshot that the ledger names, oldest first."""
        return [entry.body["snapshot"] for entry in self.history().doings if entry.kind == "snapshot"]

    def _freeze(self, permits: Permits, until_us: int, within: Snapshot | None, progress: Progress) -> Snapshot:
        categories = learns_from(permits.purpose)
        has_content = any(name.startswith("content/") for name in categories)
        encoder = self.encoder() if has_content and permits.purpose not in _WITHOUT_EMBEDDINGS else None
        self._embed(permits, progress)
        snapshot = freeze(
            self.folder / "snapshots",
            lake=self._lake,
            parties=self.parties,
            permits=permits,
            checkpoint=self.ledger.checkpoint(self._history.size),
            categories=categories,
            collected_until_us=until_us,
            within=within,
            encoder_id=None if encoder is None else encoder.id,
            progress=progress,
        )
        body = {
            "snapshot": snapshot.id,
            "purpose": snapshot.purpose,
            "at": snapshot.manifest["at"],
            "manifest": snapshot.digest,
        }
        self.ledger.append(Draft(kind="snapshot", body=body))
        return snapshot

    def embed(self, purpose: str, *, progress: Progress = silent) -> int:
        """Derive the missing sentence embeddings of what may be used for a purpose; a snapshot does so by itself.

        It is long work, done once for each record: interrupted, it is called again and goes on where it stopped.

        Returns:
            How many embeddings were computed; none where the encoder is missing.

        Raises:
            BackendError: The disk is full or cannot be written.
        """
        return self._embed(self.permits(purpose), progress)

    def _embed(self, permits: Permits, progress: Progress) -> int:
        content = [name for name in learns_from(permits.purpose) if name.startswith("content/")]
        encoder = self.encoder() if content and permits.purpose not in _WITHOUT_EMBEDDINGS else None
        return 0 if encoder is None else self._lake.embed(permits, encoder, categories=content, progress=progress)

    def encoder(self) -> Encoder | None:
        """Return the sentence encoder, or none if its package is missing: then features work without and say so."""
        if not self._encoder_sought:
            self._encoder_sought = True
            try:
                self._encoder = Encoder.load()
            except EncoderMissingError:
                self._encoder = None
        return self._encoder


def _reopened_batches(  # noqa: PLR0913, PLR0917 - bound one after the other
    folder: Path, purpose: str, categories: Sequence[str], batch_rows: int, share: int, shares: int
) -> Iterator[Any]:
    """Yield one share of a workspace's rows, in a process of its own."""
    with Selecting.open(folder) as workspace:
        yield from workspace.rows(purpose, categories=categories, batch_rows=batch_rows).share(share, shares)


def learns_from(purpose: str) -> Sequence[str]:
    """Return the categories that a purpose has a use for: all of them, where nothing else is known."""
    return LEARNS_FROM.get(purpose, CATEGORIES)
