"""Permitted rows for torch: a dataset whose batches are judged again where the training loop reads them.

Workers of a `DataLoader` read ahead, so what they hold may be older than a no. A batch therefore comes out of a worker
sealed, and is judged in the parent process when it is first looked into: it then holds the rows that may be used at
that moment, perhaps none. A worker itself cannot look into it; what is made of a batch is made in the loop.

Imported only where torch is.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import uuid4
from weakref import WeakValueDictionary

import numpy as np
import pyarrow as pa
import torch
from torch import distributed
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from volition.canonical import datetime_to_us
from volition.errors import InvalidInputError, RefusedError
from volition.records.lake import EMBEDDING_SIZE
from volition.records.stream.judge import Judge, RowKey

_OpenBatches = Callable[[int, int], Iterator[pa.RecordBatch]]  # of a share, of so many shares
_KEY: Final = ("account", "people", "category", "collected_at", "conversation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which of several processes of a training this is, from 0, and of how many."""

    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        """Refuse a process that is none of them.

        Raises:
            InvalidInputError: The rank is not below the number of processes.
        """
        if not 0 <= self.rank < self.ranks:
            raise InvalidInputError(f"Rank {self.rank} is none of {self.ranks} processes: they are counted from 0.")


def part_of() -> Part:
    """Return which process of a training this is, as `torch.distributed` was set up; the only one where it was not."""
    if distributed.is_available() and distributed.is_initialized():
        return Part(rank=distributed.get_rank(), ranks=distributed.get_world_size())
    return Part()


class TorchRows(IterableDataset["SealedBatch"]):  # type: ignore[misc] # torch may not be installed
    """Batches of columns: lists by name; "embedding" a float32 tensor (rows, 384), zeros where none is."""

    def __init__(  # noqa: PLR0913 - what is read, and which part of it
        self,
        open_batches: _OpenBatches,
        reopen: _OpenBatches,
        judge: Callable[[], Judge],
        rejudge: Callable[[], Judge],
        *,
        part: Part,
        batches: int | None = None,
    ) -> None:
        """Stand for batches that are opened when they are wanted.

        Args:
            open_batches: Opens a share of them in this process.
            reopen: Does so in a process of its own; it can be pickled.
            judge: Makes what judges in this process.
            rejudge: Does so in a process of its own; it can be pickled.
            part: Which process of a training this is.
            batches: How many batches all processes have together, where the rows are frozen; none where they are not.
        """
        super().__init__()
        self._part = part
        self._batches = batches
        self._read = 0  # batches that were handed out by the newest iteration, with those that were passed over
        self._skip = 0  # batches to pass over, since an earlier training had them
        self._open_batches: _OpenBatches | None = open_batches
        self._reopen = reopen
        self._make_judge: Callable[[], Judge] | None = judge
        self._rejudge = rejudge
        self._judge: Judge | None = None
        self._pid = os.getpid()
        self._token = uuid4().hex
        _DATASETS[self._token] = self

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what cannot go to another process."""
        return {**self.__dict__, "_open_batches": None, "_make_judge": None, "_judge": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come to another process, which may be a parent of workers itself."""
        self.__dict__.update(state)
        _DATASETS[self._token] = self

    def __iter__(self) -> Iterator["SealedBatch"]:
        """Yield batches: all of them, or this worker's share."""
        worker, part = get_worker_info(), self._part
        if worker is not None:  # started by fork or anew, it has no business with its parent's files
            share, shares = part.rank * worker.num_workers + worker.id, part.ranks * worker.num_workers
            batches = self._reopen(share, shares)
        else:
            batches = ((self._open_batches if self._is_own else None) or self._reopen)(part.rank, part.ranks)
        self._read, skip = 0, self._skip
        self._skip = 0
        for batch in batches:
            self._read += 1
            if self._read > skip:
                yield SealedBatch(_to_tensors(batch), self._token)

    def __len__(self) -> int:
        """Return how many batches one process has, as far as all have the same number; some may come to be empty.

        Raises:
            TypeError: Nothing is frozen, so nobody knows.
        """
        if self._batches is None:
            raise TypeError("Rows that are not frozen have no length: train from a snapshot, which has one.")
        return math.ceil(self._batches / self._part.ranks)

    def state_dict(self) -> dict[str, int]:
        """Return how far this process has read, without workers; `load_state_dict` goes on from there.

        Raises:
            InvalidInputError: Nothing is frozen: what comes next time need not be what came before.
        """
        if self._batches is None:
            raise InvalidInputError("Rows that are not frozen have no place to go on from. Train from a snapshot.")
        return {"read": max(self._read, self._skip), "rank": self._part.rank, "ranks": self._part.ranks}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Have the next iteration go on where `state_dict` was taken: what was read is passed over.

        Raises:
            InvalidInputError: It was taken by another process of a training, or with another number of them.
        """
        if (state["rank"], state["ranks"]) != (self._part.rank, self._part.ranks):
            raise InvalidInputError("This place is of another process, or of another number of them. Begin anew.")
        self._skip = state["read"]

    @property
    def judge(self) -> Judge:
        """What judges in this process."""
        if self._judge is None or not self._is_own:
            make = self._make_judge if self._is_own else None
            self._judge, self._make_judge, self._pid = (make or self._rejudge)(), None, os.getpid()
        return self._judge

    @property
    def _is_own(self) -> bool:
        return self._pid == os.getpid()  # and not a child's, forked with files that are its parent's


_DATASETS: Final[WeakValueDictionary[str, TorchRows]] = WeakValueDictionary()  # by token, in this process


class SealedBatch:
    """A batch like a dictionary of columns, judged when it is first looked into. It may turn out to have no rows."""

    __slots__ = ("_columns", "_is_judged", "_token")

    def __init__(self, columns: dict[str, Any], token: str) -> None:
        """Seal columns of a dataset."""
        self._columns = columns
        self._token = token
        self._is_judged = False

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a list or a tensor
        """Return a column."""
        return self._opened()[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the columns."""
        return iter(self._opened())

    def __len__(self) -> int:
        """Return how many columns there are."""
        return len(self._columns)

    def __contains__(self, name: object) -> bool:
        """Say whether there is a column."""
        return name in self._columns

    def keys(self) -> Iterable[str]:
        """Return the names of the columns."""
        return self._opened().keys()

    def values(self) -> Iterable[Any]:
        """Return the columns."""
        return self._opened().values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return names and columns."""
        return self._opened().items()

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - a list or a tensor
        """Return a column, or something else where there is none."""
        return self._opened().get(name, default)

    def pin_memory(self) -> "SealedBatch":
        """Pin the tensor for a copy to a GPU, without looking into the batch: a `DataLoader` asks for it early."""
        self._columns["embedding"] = self._columns["embedding"].pin_memory()
        return self

    def _opened(self) -> dict[str, Any]:
        if not self._is_judged:
            if get_worker_info() is not None:
                raise RefusedError(
                    "A worker reads ahead, and what it made of rows could outlive a no. Read the batch in the loop: "
                    "leave out `collate_fn`, and keep `batch_size=None`."
                )
            dataset = _DATASETS.get(self._token)
            if dataset is None:
                raise RefusedError(
                    "This process cannot judge the batch: its dataset is not here. Use it where that is."
                )
            self._columns = keep(self._columns, dataset.judge)
            self._is_judged = True
        return self._columns


def keep(columns: dict[str, Any], judge: Judge) -> dict[str, Any]:
    """Return the rows of a batch of columns that may be used now."""
    keys = zip(*(columns[name] for name in _KEY), strict=True)
    kept = judge.permitted(
        RowKey(account, people, category, datetime_to_us(at), conversation)
        for account, people, category, at, conversation in keys
    )
    if all(kept):
        return columns
    places = [place for place, is_kept in enumerate(kept) if is_kept]
    return {
        name: column[places] if isinstance(column, torch.Tensor) else [column[place] for place in places]
        for name, column in columns.items()
    }


# --- loaders of any dataset of rows -----------------------------------------------------------------------------------

_parent_judges = False  # in a worker: whether its loader is a `JudgedLoader`


def may_read_ahead() -> bool:
    """Say whether this process may read rows in the clear: it is no worker, or its parent judges them again."""
    return get_worker_info() is None or _parent_judges


class JudgedLoader:
    """A torch `DataLoader` over rows whose batches are judged last thing before the loop has them."""

    def __init__(self, dataset: Any, judge: Judge, **options: Any) -> None:  # noqa: ANN401 - torch's, or datasets'
        """Load from a dataset of rows.

        Args:
            dataset: `Rows.to_torch()`, `Rows.to_hugging_face()`, or what was made of the latter by steps that leave
                the columns of `_KEY` in place.
            judge: Judges in this process.
            options: The `DataLoader`'s.
        """
        begin = partial(_begin_worker, options.pop("worker_init_fn", None))
        rows = options.get("batch_size")
        self._columns = rows is not None and "collate_fn" not in options
        if self._columns:
            options["collate_fn"] = list  # rows as they are: what is made of them is made in the loop
        if self._columns and isinstance(dataset, TorchRows):
            raise InvalidInputError(
                f"These are batches already: ask for `batch_rows={rows}` where the rows come from, and leave out "
                "`batch_size`."
            )
        self._loader = DataLoader(dataset, **{"batch_size": None, **options, "worker_init_fn": begin})
        self._judge = judge

    def __iter__(self) -> Iterator[Any]:
        """Yield what the loader gives, without the rows that may not be used any more; nothing that is empty."""
        for batch in self._loader:
            found = self._judged(batch)
            if found:
                yield found

    def _judged(self, batch: Any) -> Any:  # noqa: ANN401 - a dictionary of columns, a row, or a list of rows
        if isinstance(batch, SealedBatch):
            columns = dict(batch.items())
            return columns if columns["record_id"] else None
        if isinstance(batch, list):
            kept = [row for row in batch if self._judged(row)]
            return {name: [row[name] for row in kept] for name in kept[0]} if kept and self._columns else kept
        if not isinstance(batch, dict) or not batch.keys() >= set(_KEY):
            msg = f"What has not the columns {', '.join(_KEY)} cannot be judged again. Leave them in the dataset."
            raise InvalidInputError(msg)
        if isinstance(batch["account"], str):
            row = keep({name: [value] for name, value in batch.items()}, self._judge)
            return batch if row["account"] else None
        columns = keep(batch, self._judge)
        return columns if len(columns["account"]) else None


def _begin_worker(begin: Callable[[int], None] | None, worker: int) -> None:
    global _parent_judges  # noqa: PLW0603 - a worker is one process, and its own
    _parent_judges = True
    if begin is not None:
        begin(worker)


def _to_tensors(batch: pa.RecordBatch) -> dict[str, Any]:
    columns: dict[str, Any] = batch.to_pydict()
    nothing = np.zeros(EMBEDDING_SIZE, np.float32)
    vectors = [nothing if vector is None else np.asarray(vector, np.float32) for vector in columns["embedding"]]
    stacked = np.stack(vectors) if vectors else np.zeros((0, EMBEDDING_SIZE), np.float32)
    return {**columns, "embedding": torch.from_numpy(stacked)}
