"""Rows: what may be used for a purpose, in batches, as Arrow, pandas, polars, torch or Hugging Face datasets."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from volition.errors import RefusedError, require_extra
from volition.records.lake import EMBEDDING_SIZE, Row
from volition.records.stream.judge import Judge, RowKey

if TYPE_CHECKING:
    from datasets import IterableDataset as HuggingFaceDataset
    from pandas import DataFrame as PandasFrame
    from polars import DataFrame as PolarsFrame
    from torch.utils.data import IterableDataset as TorchDataset

    from volition.records.stream.torch import JudgedLoader, SealedBatch

BATCH_ROWS: Final = 1024

SHARES: Final = 16
"""Into how many parts a Hugging Face dataset is cut: no more workers than that have something to read."""

SCHEMA: Final = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("account", pa.string(), nullable=False),
        pa.field("people", pa.list_(pa.string()), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("collected_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("conversation", pa.string()),
        pa.field("payload", pa.string(), nullable=False),
        pa.field("embedding", pa.list_(pa.float32(), EMBEDDING_SIZE)),
    ]
)
"""The columns of a batch: people as pseudonyms, the first one first; the conversation as entries of the ledger name it,
empty for none; the payload as JSON; a null where nothing was embedded."""

OpenBatches = Callable[[int, int], Iterator[pa.RecordBatch]]
"""Opens one share of the batches, as `open_batches(share, shares)`."""


def judged(rows: Iterable[Row], judge: Judge, *, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches, each row judged by everything that is known when its batch is handed out.

    Args:
        rows: What the gate has let through at an earlier instant.
        judge: Judges for the purpose.
        batch_rows: How many rows a batch has at most.
    """
    pending: list[Row] = []
    for row in rows:
        pending.append(row)
        if len(pending) == batch_rows:
            yield from _hand_out(pending, judge)
            pending = []
    if pending:
        yield from _hand_out(pending, judge)


def _hand_out(rows: list[Row], judge: Judge) -> Iterator[pa.RecordBatch]:
    permitted = judge.permitted(
        RowKey(row.account, row.people, row.category, row.collected_us, row.conversation) for row in rows
    )
    kept = [row for row, is_permitted in zip(rows, permitted, strict=True) if is_permitted]
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
        "conversation": [row.conversation for row in rows],
        "payload": [json.dumps(row.payload, ensure_ascii=False) for row in rows],
        "embedding": [row.embedding for row in rows],
    }
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


class Rows:
    """What may be used for a purpose, to be gone through once or often: each time is judged anew."""

    def __init__(
        self,
        open_batches: OpenBatches,
        reopen: OpenBatches,
        *,
        reopen_rows: OpenBatches,
        judge: Callable[[], Judge],
        rejudge: Callable[[], Judge],
    ) -> None:
        """Stand for batches that are opened when they are wanted.

        Args:
            open_batches: Opens a share of them in this process.
            reopen: Does so in a process of its own; it can be pickled.
            reopen_rows: Likewise, in batches of one row.
            judge: Makes what judges rows again in this process.
            rejudge: Does so in a process of its own; it can be pickled.
        """
        self._open_batches = open_batches
        self._reopen = reopen
        self._reopen_rows = reopen_rows
        self._judge = judge
        self._rejudge = rejudge

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

    def to_torch(self) -> "TorchDataset[SealedBatch]":
        """Return a torch `IterableDataset` of batches: column name to list, embeddings as a tensor.

        Workers of a `DataLoader` share the rows among themselves: each opens the workspace anew and reads its part.
        Give the loader `batch_size=None`, since these are batches already. However far the workers read ahead, each
        batch is judged again in the loop, when it is first looked into: it may then have no rows left.

        Raises:
            BackendError: torch is missing.
        """
        _load("torch")
        from volition.records.stream.torch import TorchRows  # noqa: PLC0415 - torch is not for everybody

        return TorchRows(self._open_batches, self._reopen, self._judge, self._rejudge)

    def to_hugging_face(self) -> "HuggingFaceDataset":
        """Return a Hugging Face `IterableDataset` of rows, each judged when it is handed out.

        It is read in this process, or by the workers of `to_loader`; those of another loader are refused, since what
        they read ahead could outlive a no.

        Raises:
            BackendError: `datasets` is missing.
        """
        datasets = _load("datasets")
        found: HuggingFaceDataset = datasets.IterableDataset.from_generator(
            _rows_of, gen_kwargs={"reopen": self._reopen_rows, "shares": list(range(SHARES))}
        )
        return found

    def to_loader(self, dataset: Any, **options: Any) -> "JudgedLoader":  # noqa: ANN401 - torch's, or Hugging Face's
        """Return a torch `DataLoader` whose batches are judged in this process, last thing before the loop has them.

        Args:
            dataset: What `to_torch` or `to_hugging_face` gave, or what was made of the latter by steps that leave the
                columns account, people, category, collected_at and conversation in place.
            options: The `DataLoader`'s, such as `num_workers`; `batch_size` is by default none.

        Raises:
            BackendError: torch is missing.
        """
        _load("torch")
        from volition.records.stream.torch import JudgedLoader  # noqa: PLC0415 - torch is not for everybody

        return JudgedLoader(dataset, self._judge(), **options)


def _rows_of(reopen: OpenBatches, shares: Sequence[int]) -> Iterator[dict[str, Any]]:
    _refuse_to_read_ahead()
    for share in shares:
        for batch in reopen(share, SHARES):
            yield from batch.to_pylist()


def _refuse_to_read_ahead() -> None:
    if "torch" in sys.modules:  # otherwise there are no workers of a loader
        from volition.records.stream.torch import may_read_ahead  # noqa: PLC0415 - torch is not for everybody

        if not may_read_ahead():
            raise RefusedError(
                "A loader's workers read ahead, and what they hold could outlive a no. Load the rows with "
                "`rows.to_loader(dataset, num_workers=...)`, which judges them again before the loop has them."
            )


def _load(package: str) -> ModuleType:
    require_extra(package, what="This form of rows")
    return import_module(package)
