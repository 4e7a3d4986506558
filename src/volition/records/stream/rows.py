"""Rows: what may be used for a purpose, in batches, as Arrow, pandas, polars, torch or Hugging Face datasets."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from volition.canonical import datetime_to_us, us_to_text
from volition.errors import RefusedError, require_extra
from volition.records.lake import EMBEDDING_SIZE, Row
from volition.records.stream.judge import Judge, RowKey
from volition.records.stream.mixed import SCHEMA, STREAMS, mixed_batches

if TYPE_CHECKING:
    from datasets import IterableDataset as HuggingFaceDataset
    from pandas import DataFrame as PandasFrame
    from polars import DataFrame as PolarsFrame
    from torch.utils.data import IterableDataset as TorchDataset

    from volition.records.stream.torch import JudgedLoader, SealedBatch, SealedRow

BATCH_ROWS: Final = 1024

SHARES: Final = 16
"""Into how many parts a Hugging Face dataset is cut: no more workers than that have something to read."""

_FLAT: Final = pa.schema(
    [one.with_type(SCHEMA.field("embedding").type if one.name == "embedding" else pa.string()) for one in SCHEMA]
)
"""The columns of a row for Hugging Face: what is neither text nor an embedding is written as text."""

OpenBatches = Callable[[int, int], Iterator[pa.RecordBatch]]
"""Opens one share of the batches, as `open_batches(share, shares)`."""


def judged(rows: Iterable[Row], judge: Judge, *, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches, each row judged by everything that is known when its batch is handed out.

    A batch of which nobody may be used any more is there, and empty: so the same rows are the same batches each time.

    Args:
        rows: What the gate has let through at an earlier instant.
        judge: Judges for the purpose.
        batch_rows: How many rows a batch has at most.
    """
    pending: list[Row] = []
    for row in rows:
        pending.append(row)
        if len(pending) == batch_rows:
            yield _hand_out(pending, judge)
            pending = []
    if pending:
        yield _hand_out(pending, judge)


def _hand_out(rows: list[Row], judge: Judge) -> pa.RecordBatch:
    permitted = judge.permitted(
        RowKey(row.account, row.people, row.category, row.collected_us, row.conversation) for row in rows
    )
    return to_batch([row for row, is_permitted in zip(rows, permitted, strict=True) if is_permitted])


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

    def __init__(  # noqa: PLR0913 - what is read, and how
        self,
        open_batches: OpenBatches,
        reopen: OpenBatches,
        *,
        reopen_rows: OpenBatches,
        judge: Callable[[], Judge],
        rejudge: Callable[[], Judge],
        size: int | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        """Stand for batches that are opened when they are wanted.

        Args:
            open_batches: Opens a share of them in this process.
            reopen: Does so in a process of its own; it can be pickled.
            reopen_rows: Likewise, in batches of one row.
            judge: Makes what judges rows again in this process.
            rejudge: Does so in a process of its own; it can be pickled.
            size: How many rows there are, where they are frozen: less what may not be used any more when it is handed
                out. None where they are not.
            batch_rows: How many rows a batch has at most.
        """
        self._size = size
        self._batch_rows = batch_rows
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
        return (batch for batch in self._open_batches(share, shares) if batch.num_rows)

    def __len__(self) -> int:
        """Return how many rows a frozen set has; whoever says no while it is read takes theirs out.

        Raises:
            TypeError: Nothing is frozen, so nobody knows: count while reading, or train from a snapshot.
        """
        if self._size is None:
            raise TypeError("Rows that are not frozen have no length: train from a snapshot, which has one.")
        return self._size

    def shuffled(self, *, seed: int = 0, epoch: int = 0, buffer_rows: int = 16 * BATCH_ROWS) -> "Rows":
        """Return the same rows in another order: of several accounts at a time, drawn at random from a buffer.

        Each row is judged when it leaves the buffer, not when it came into it.

        Args:
            seed: The same seed and epoch give the same order.
            epoch: How often they were gone through before.
            buffer_rows: How many rows are held, and mixed; of a frozen set all of them.
        """
        own: dict[str, Any] = {"name": f"{seed}/{epoch}", "buffer_rows": buffer_rows, "streams": STREAMS}
        if self._size is not None:  # frozen rows are read at once, so all of them are mixed
            own |= {"buffer_rows": self._size, "streams": 1}
        return Rows(
            partial(mixed_batches, self._open_batches, self._judge, batch_rows=self._batch_rows, **own),
            partial(mixed_batches, self._reopen, self._rejudge, batch_rows=self._batch_rows, **own),
            reopen_rows=partial(mixed_batches, self._reopen, self._rejudge, batch_rows=1, **own),
            judge=self._judge,
            rejudge=self._rejudge,
            size=self._size,
            batch_rows=self._batch_rows,
        )

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

    def to_torch(
        self, *, batched: bool = False, rank: int | None = None, ranks: int | None = None
    ) -> "TorchDataset[SealedRow | SealedBatch]":
        """Return a torch `IterableDataset` of rows, of which `DataLoader(dataset, batch_size=32)` makes batches.

        A batch is like a dictionary: column name to list, embeddings as a tensor. It is judged when it is first looked
        into, however far the loader and its workers have read ahead; it may then have fewer rows, or none. Workers
        share the rows among themselves: each opens the workspace anew and reads its part.

        Where a training runs in several processes (DDP), each reads its own share. Of a frozen set each has the same
        number of rows, whatever is refused meanwhile: what may not be used any more is there, and empty. Of such a set
        it has a `len`, and `state_dict` and `load_state_dict`, by which a training that was stopped goes on. Rows that
        are not frozen may be more in one process than in another: step in `torch.distributed.algorithms.join.Join`.

        Args:
            batched: Whether it gives batches of `batch_rows` rows, which is faster; then give the loader
                `batch_size=None`.
            rank: Which of the processes this is, from 0; by default as `torch.distributed` says, if it was set up.
            ranks: How many processes there are; likewise.

        Raises:
            BackendError: torch is missing.
        """
        _load("torch")
        from volition.records.stream.torch import Part, TorchRows, part_of  # noqa: PLC0415 - torch is not for everybody

        return TorchRows(
            self._open_batches,
            self._reopen,
            self._judge,
            self._rejudge,
            part=part_of() if rank is None or ranks is None else Part(rank=rank, ranks=ranks),
            batch_rows=self._batch_rows,
            is_batched=batched,
            size=self._size,
        )

    def to_hugging_face(self) -> "HuggingFaceDataset":
        """Return a Hugging Face `IterableDataset` of rows, each judged when it is handed out.

        Each column has one value a row that any collation takes: people and payload as JSON, the instant as RFC 3339
        text, no conversation as "", an embedding of zeros where there is none. A plain `DataLoader` makes batches of
        them; after `with_format("torch")` the embeddings of a batch are one tensor (rows, 384).

        It is read in this process, or by the workers of `to_loader`; those of another loader are refused, since what
        they read ahead could outlive a no. It has its features, and `SHARES` shards, which `split_dataset_by_node`
        deals out to the processes of a training.

        Raises:
            BackendError: `datasets` is missing.
        """
        datasets = _load("datasets")
        found: HuggingFaceDataset = datasets.IterableDataset.from_generator(
            _rows_of,
            features=datasets.Features.from_arrow_schema(_FLAT),
            gen_kwargs={"reopen": self._reopen_rows, "shares": list(range(SHARES))},
        )
        return found

    def to_loader(self, dataset: Any, **options: Any) -> "JudgedLoader":  # noqa: ANN401 - torch's, or Hugging Face's
        """Return a torch `DataLoader` whose batches are judged in this process, last thing before the loop has them.

        What was refused in the meantime is left out. Of rows for torch a batch of which nothing is left comes empty,
        and so does a row, as `{}`: each process of a training then has the same number of steps. Of Hugging Face rows
        such a batch does not come at all, and processes have different shares, so they are refused to several.

        Args:
            dataset: What `to_torch` or `to_hugging_face` gave, or what was made of the latter by steps that leave the
                columns account, people, category, collected_at and conversation in place.
            options: The `DataLoader`'s, such as `num_workers`. With a `batch_size` and no `collate_fn` a batch is a
                dictionary of columns of so many rows; by default it is what the dataset gives.

        Raises:
            BackendError: torch is missing.
            RefusedError: The rows are Hugging Face's, and several processes train together: one would wait for another
                that has come to its end.
        """
        _load("torch")
        from volition.records.stream.torch import JudgedLoader  # noqa: PLC0415 - torch is not for everybody

        return JudgedLoader(dataset, self._judge(), **options)


def _rows_of(reopen: OpenBatches, shares: Sequence[int]) -> Iterator[dict[str, Any]]:
    _refuse_to_read_ahead()
    for share in shares:
        for batch in reopen(share, SHARES):
            yield from map(_flat, batch.to_pylist())


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of `SCHEMA` as one of `_FLAT`."""
    return row | {
        "people": json.dumps(row["people"]),
        "collected_at": us_to_text(datetime_to_us(row["collected_at"])),
        "conversation": row["conversation"] or "",
        "embedding": row["embedding"] or [0.0] * EMBEDDING_SIZE,
    }


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
