"""Permitted rows as a stream: judged again, batch by batch, in the moment in which each batch is handed out.

A long training run reads for hours, and somebody may say no while it does. So before each batch leaves, everything that
the ledger has heard since the last one is learned, and every row of the batch is judged anew. Nothing is ever held but
one batch: a training set may be larger than memory.

The same batches come as Arrow record batches, pandas or polars data frames, a torch `IterableDataset`, or a Hugging
Face `IterableDataset`; each package is needed for its own form only.

    rows = workspace.records.rows("train/search")                                       # doctest: +SKIP
    for batch in rows:
        learn_from(batch["payload"])
    loader = torch.utils.data.DataLoader(rows.to_torch(), batch_size=None, num_workers=2)

Each module knows only those before it:

torch        the same rows as a torch dataset
"""

import json
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from volition.consent.gate import Gate
from volition.consent.references import Pseudonym, person_ref
from volition.errors import require_extra
from volition.ledger.entry import Entry
from volition.records.lake import EMBEDDING_SIZE, Row

if TYPE_CHECKING:
    from datasets import IterableDataset as HuggingFaceDataset
    from pandas import DataFrame as PandasFrame
    from polars import DataFrame as PolarsFrame
    from torch.utils.data import IterableDataset as TorchDataset

BATCH_ROWS: Final = 1024

SCHEMA: Final = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("account", pa.string(), nullable=False),
        pa.field("people", pa.list_(pa.string()), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("collected_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("payload", pa.string(), nullable=False),
        pa.field("embedding", pa.list_(pa.float32(), EMBEDDING_SIZE)),
    ]
)
"""The columns of a batch: people as pseudonyms, the first one first; the payload as JSON; a null where nothing was
embedded."""

News = Callable[[], tuple[Iterable[Entry], int]]
"""Asked for the ledger entries since it was last asked, which the gate's history has read, and for the present
instant."""

OpenBatches = Callable[[int, int], Iterator[pa.RecordBatch]]
"""Opens one share of the batches, as `open_batches(share, shares)`."""


def judged(rows: Iterable[Row], gate: Gate, news: News, *, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches, each row judged by everything that is known when its batch is handed out.

    Args:
        rows: What the gate has let through at an earlier instant.
        gate: Judges for the purpose, moved on by nobody else.
        news: Tells what the ledger has heard.
        batch_rows: How many rows a batch has at most.
    """
    pending: list[Row] = []
    for row in rows:
        pending.append(row)
        if len(pending) == batch_rows:
            yield from _hand_out(pending, gate, news)
            pending = []
    if pending:
        yield from _hand_out(pending, gate, news)


def _hand_out(rows: list[Row], gate: Gate, news: News) -> Iterator[pa.RecordBatch]:
    entries, now_us = news()
    gate.learn(entries, at_us=now_us)
    kept = [
        row
        for row in rows
        if gate.may(
            row.account, tuple(person_ref(Pseudonym(one)) for one in row.people), row.category, row.collected_us
        ).permitted
    ]
    if kept:
        yield to_batch(kept)


def to_batch(rows: list[Row]) -> pa.RecordBatch:
    """Return rows as a record batch of `SCHEMA`."""
    columns = {
        "record_id": [row.record_id for row in rows],
        "account": [row.account for row in rows],
        "people": [list(row.people) for row in rows],
        "category": [row.category for row in rows],
        "collected_at": [row.collected_us for row in rows],
        "payload": [json.dumps(row.payload, ensure_ascii=False) for row in rows],
        "embedding": [row.embedding for row in rows],
    }
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


class Rows:
    """What may be used for a purpose, to be gone through once or often: each time is judged anew."""

    def __init__(self, open_batches: OpenBatches, reopen: OpenBatches) -> None:
        """Stand for batches that are opened when they are wanted.

        Args:
            open_batches: Opens a share of them in this process.
            reopen: Does so in a process of its own; it can be pickled.
        """
        self._open_batches = open_batches
        self._reopen = reopen

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield Arrow record batches of `SCHEMA`."""
        return self.share(0, 1)

    def share(self, share: int, shares: int) -> Iterator[pa.RecordBatch]:
        """Yield one of several shares of the batches, by account: together they are all of them, once each."""
        return self._open_batches(share, shares)

    def to_reader(self) -> pa.RecordBatchReader:
        """Return the batches as an Arrow reader, which whatever speaks Arrow reads as a stream."""
        return pa.RecordBatchReader.from_batches(SCHEMA, iter(self))

    def to_pandas(self) -> "Iterator[PandasFrame]":
        """Yield pandas data frames. Raises BackendError where pandas is missing."""
        _load("pandas")
        return (batch.to_pandas() for batch in self)

    def to_polars(self) -> "Iterator[PolarsFrame]":
        """Yield polars data frames. Raises BackendError where polars is missing."""
        polars = _load("polars")
        return (polars.from_arrow(batch) for batch in self)

    def to_torch(self) -> "TorchDataset[dict[str, Any]]":
        """Return a torch `IterableDataset` of batches: column name to list, embeddings as a tensor.

        Workers of a `DataLoader` share the rows among themselves: each opens the workspace anew and reads its part.
        Give the loader `batch_size=None`, since these are batches already.

        Raises:
            BackendError: torch is missing.
        """
        _load("torch")
        from volition.records.stream.torch import TorchRows  # noqa: PLC0415 - torch is not for everybody

        return TorchRows(self._open_batches, self._reopen)

    def to_hugging_face(self) -> "HuggingFaceDataset":
        """Return a Hugging Face `IterableDataset` of rows. Raises BackendError where `datasets` is missing."""
        datasets = _load("datasets")
        found: HuggingFaceDataset = datasets.IterableDataset.from_generator(
            _rows_of, gen_kwargs={"reopen": self._reopen}
        )
        return found


def _rows_of(reopen: OpenBatches) -> Iterator[dict[str, Any]]:
    for batch in reopen(0, 1):
        yield from batch.to_pylist()


def _load(package: str) -> ModuleType:
    require_extra(package, what="This form of rows")
    return import_module(package)
