"""Permitted rows for torch: a dataset whose rows are judged again where the training loop reads them.

A `DataLoader` reads ahead, in workers or by a batch, so what it holds may be older than a no. Rows therefore come
sealed, a batch of them comes sealed, and it is judged in the loop's process when it is first looked into: it then holds
the rows that may be used at that moment, perhaps none. A worker cannot look into it; what is made of a batch is made in
the loop.

Imported only where torch is.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self, TypeVar
from uuid import uuid4
from weakref import WeakValueDictionary

import numpy as np
import pyarrow as pa
import torch
from torch import distributed
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from torch.utils.data._utils.collate import default_collate_fn_map

from volition.canonical import datetime_to_us, text_to_us
from volition.errors import InvalidInputError, RefusedError
from volition.records.lake import EMBEDDING_SIZE
from volition.records.stream.judge import Judge, RowKey
from volition.records.stream.mixed import SCHEMA

_OpenBatches = Callable[[int, int], Iterator[pa.RecordBatch]]  # of a share, of so many shares
_KEY: Final = ("account", "people", "category", "collected_at", "conversation")
_WORKERS: Final = ("worker", "workers")


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


class TorchRows(IterableDataset["SealedRow"]):  # type: ignore[misc] # torch may not be installed
    """Sealed rows, or sealed batches of columns: "embedding" a float32 tensor (384,) or (rows, 384), zeros where none.

    Of a frozen set each process of a training gets the same number of them, whatever is refused while it reads: what
    may not be used any more is there, and empty. So no process waits for another that has come to its end.
    """

    def __init__(  # noqa: PLR0913 - what is read, and which part of it
        self,
        open_batches: _OpenBatches,
        reopen: _OpenBatches,
        judge: Callable[[], Judge],
        rejudge: Callable[[], Judge],
        *,
        part: Part,
        batch_rows: int,
        is_batched: bool = False,
        size: int | None = None,
    ) -> None:
        """Stand for batches that are opened when they are wanted.

        Args:
            open_batches: Opens a share of them in this process.
            reopen: Does so in a process of its own; it can be pickled.
            judge: Makes what judges in this process.
            rejudge: Does so in a process of its own; it can be pickled.
            part: Which process of a training this is.
            batch_rows: How many rows a batch has at most.
            is_batched: Whether it gives batches, and not rows.
            size: How many rows all processes have together, where they are frozen; none where they are not.
        """
        super().__init__()
        self.is_batched = is_batched
        self._part = part
        self._size = size
        self._batch_rows = batch_rows
        self._read = 0  # what was handed out by the newest iteration, with what was passed over
        self._resumed: Mapping[str, int] | None = None  # where an earlier training has stopped
        self._open_batches: _OpenBatches | None = open_batches
        self._reopen = reopen
        self._make_judge: Callable[[], Judge] | None = judge
        self._rejudge = rejudge
        self._judge: Judge | None = None
        self._pid = os.getpid()
        self.token = uuid4().hex  # its name in other processes
        _DATASETS[self.token] = self

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what cannot go to another process."""
        return {**self.__dict__, "_open_batches": None, "_make_judge": None, "_judge": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come to another process, which may be a parent of workers itself."""
        self.__dict__.update(state)
        _DATASETS[self.token] = self

    def __iter__(self) -> Iterator["SealedRow | SealedBatch"]:
        """Yield rows or batches: all of them, or this worker's share.

        Raises:
            InvalidInputError: It is to go on from a place that another number of workers has come to.
        """
        place, resumed = self._place(), self._resumed
        if resumed is not None and any(resumed[name] != place[name] for name in _WORKERS):
            raise InvalidInputError(
                "This place was reached with another number of workers. Load with as many, or anew."
            )
        share = place["rank"] + place["ranks"] * place["worker"]
        shares = place["ranks"] * place["workers"]
        # A worker, started by fork or anew, has no business with its parent's files.
        open_batches = self._open_batches if self._is_own and get_worker_info() is None else None
        self._read, skip, self._resumed = 0, 0 if resumed is None else resumed["read"], None
        for one in self._sealed((open_batches or self._reopen)(share, shares), self._expected(place)):
            self._read += 1
            if self._read > skip:
                yield one

    def _sealed(self, batches: Iterator[pa.RecordBatch], expected: int) -> Iterator["SealedRow | SealedBatch"]:
        """Seal what is read, and make up for what was refused."""
        count = 0
        for batch in batches:
            columns = _to_tensors(batch)
            if self.is_batched:
                count += 1
                yield SealedBatch(columns, self)
            else:
                count += batch.num_rows
                for values in zip(*columns.values(), strict=True):
                    yield SealedRow(dict(zip(columns, values, strict=True)), self)
        for _ in range(count, expected):
            yield SealedBatch(None, self) if self.is_batched else SealedRow(None, self)

    def _place(self) -> dict[str, int]:
        """Return which part of the rows is read here: by which process of a training, and which worker of its."""
        worker = get_worker_info()
        own, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return {"rank": self._part.rank, "ranks": self._part.ranks, "worker": own, "workers": workers}

    def _expected(self, place: Mapping[str, int]) -> int:
        """Return how many rows or batches a worker hands out: as many in each process of a training."""
        if self._size is None:
            return 0
        rows = math.ceil((math.ceil(self._size / place["ranks"]) - place["worker"]) / place["workers"])
        return math.ceil(rows / self._batch_rows) if self.is_batched else rows

    def __len__(self) -> int:
        """Return how many rows, or batches, each process has; some may come to be empty.

        Batches are counted as without workers, of which each cuts its own.

        Raises:
            TypeError: Nothing is frozen, so nobody knows.
        """
        if self._size is None:
            raise TypeError("Rows that are not frozen have no length: train from a snapshot, which has one.")
        return self._expected({"ranks": self._part.ranks, "worker": 0, "workers": 1})

    def state_dict(self) -> dict[str, int]:
        """Return how far this process has read, or this worker where a loader asks it; `load_state_dict` goes on there.

        Raises:
            InvalidInputError: Nothing is frozen: what comes next time need not be what came before.
        """
        if self._size is None:
            raise InvalidInputError("Rows that are not frozen have no place to go on from. Train from a snapshot.")
        return {"read": self._read if self._resumed is None else self._resumed["read"], **self._place()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Have the next iteration go on where `state_dict` was taken: what was read is passed over.

        Raises:
            InvalidInputError: It was taken by another process of a training, or with another number of them.
        """
        if (state["rank"], state["ranks"]) != (self._part.rank, self._part.ranks):
            raise InvalidInputError("This place is of another process, or of another number of them. Begin anew.")
        self._resumed = dict(state)

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


class _Sealed:
    """Columns that are judged when they are first looked into."""

    __slots__ = ("_columns", "_dataset", "_is_judged")

    def __init__(self, columns: dict[str, Any] | None, dataset: TorchRows | None) -> None:
        """Seal columns of a dataset; none stand for what was refused already."""
        self._columns = columns
        self._dataset = dataset
        self._is_judged = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Come out of a worker, to be judged by the dataset of the process that it comes to."""
        return _sealed_elsewhere, (type(self), self._columns, None if self._dataset is None else self._dataset.token)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a value, a list or a tensor
        """Return a column."""
        return self._opened()[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the columns."""
        return iter(SCHEMA.names)

    def __len__(self) -> int:
        """Return how many columns there are."""
        return len(SCHEMA)

    def __contains__(self, name: object) -> bool:
        """Say whether there is a column."""
        return name in SCHEMA.names

    def keys(self) -> Iterable[str]:
        """Return the names of the columns."""
        return tuple(SCHEMA.names)

    def values(self) -> Iterable[Any]:
        """Return the columns."""
        return self._opened().values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return names and columns."""
        return self._opened().items()

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - a value, a list or a tensor
        """Return a column, or something else where there is none."""
        return self._opened().get(name, default)

    def pin_memory(self) -> Self:
        """Pin the tensor for a copy to a GPU, without looking inside: a `DataLoader` asks for it early."""
        if self._columns is not None:
            self._columns = {**self._columns, "embedding": self._columns["embedding"].pin_memory()}
        return self

    def _opened(self) -> dict[str, Any]:
        raise NotImplementedError  # pragma: no cover

    def _judge(self) -> Judge:
        """Return what judges in this process.

        Raises:
            RefusedError: This is a worker, or the dataset is of another process.
        """
        if get_worker_info() is not None:
            raise RefusedError(
                "A worker reads ahead, and what it made of rows could outlive a no. Look into rows and batches in the "
                "loop: leave out `collate_fn`, or set `num_workers=0`."
            )
        if self._dataset is None:
            raise RefusedError("This process cannot judge rows: their dataset is not here. Use them where that is.")
        return self._dataset.judge


_Kind = TypeVar("_Kind", bound=_Sealed)


def _sealed_elsewhere(kind: type[_Kind], columns: dict[str, Any] | None, token: str | None) -> _Kind:
    return kind(columns, None if token is None else _DATASETS.get(token))


class SealedBatch(_Sealed):
    """A batch like a dictionary of columns, judged when it is first looked into. It may turn out to have no rows."""

    __slots__ = ()

    def _opened(self) -> dict[str, Any]:
        columns = _no_rows() if self._columns is None else self._columns
        if not self._is_judged:
            columns = keep(columns, self._judge())
            self._columns, self._is_judged = columns, True
        return columns


class SealedRow(_Sealed):
    """A row like a dictionary, judged when it is first looked into. It is false where it may not be used any more.

    A `DataLoader` with a `batch_size` makes a `SealedBatch` of some, without looking into them.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        """Say whether it may be used."""
        if not self._is_judged and self._columns is not None:
            found = keep({name: [value] for name, value in self._columns.items()}, self._judge())
            self._columns = self._columns if found["record_id"] else None
            self._is_judged = True
        return self._columns is not None

    def _opened(self) -> dict[str, Any]:
        if not self or self._columns is None:
            raise RefusedError("This row may not be used any more. Pass over it: `[row for row in rows if row]`.")
        return self._columns

    @staticmethod
    def together(rows: "Sequence[SealedRow]", *, collate_fn_map: Any = None) -> SealedBatch:  # noqa: ANN401, ARG004 - torch's
        """Make a batch of rows, sealed as they are: `default_collate` calls it.

        Raises:
            InvalidInputError: The rows are of several datasets, which several judges would have to judge.
        """
        # What each would take along to another process: nobody but a sealed one itself has its columns otherwise.
        taken = [row.__reduce__()[1] for row in rows]
        tokens = {token for _, _, token in taken}
        if len(tokens) > 1:
            msg = "Rows of several streams do not go into one batch. Read each by a loader of its own."
            raise InvalidInputError(msg)
        found = [columns for _, columns, _ in taken if columns is not None]
        columns = {name: [one[name] for one in found] for name in SCHEMA.names} if found else None
        if columns is not None:
            columns["embedding"] = torch.stack(columns["embedding"])
        return _sealed_elsewhere(SealedBatch, columns, tokens.pop())


default_collate_fn_map[SealedRow] = SealedRow.together  # as the documentation of `default_collate` says


def keep(columns: dict[str, Any], judge: Judge) -> dict[str, Any]:
    """Return the rows of a batch of columns that may be used now."""
    keys = zip(*(columns[name] for name in _KEY), strict=True)
    kept = judge.permitted(_key_of(*key) for key in keys)
    if all(kept):
        return columns
    places = [place for place, is_kept in enumerate(kept) if is_kept]
    return {
        name: column[places] if isinstance(column, torch.Tensor) else [column[place] for place in places]
        for name, column in columns.items()
    }


def _key_of(account: str, people: Any, category: str, at: Any, conversation: Any) -> RowKey:  # noqa: ANN401 - either form
    """Return what the gate must know of a row, of `SCHEMA` or flat as Hugging Face has it."""
    return RowKey(
        account,
        json.loads(people) if isinstance(people, str) else people,
        category,
        text_to_us(at) if isinstance(at, str) else datetime_to_us(at),
        conversation or None,
    )


def _check_rows_first(columns: dict[str, Any], rows: int) -> None:
    """Refuse a column of which nobody can say which value is of which row. Raises InvalidInputError."""
    for name, column in columns.items():
        is_turned = isinstance(column, list) and any(isinstance(one, torch.Tensor) and one.ndim for one in column)
        if is_turned or not hasattr(column, "__len__") or len(column) != rows:
            raise InvalidInputError(
                f"The column {name!r} does not have one value a row, so what may not be used cannot be taken out. Have "
                'it as one tensor, rows first (`dataset.with_format("torch")`), or as a list of one value a row.'
            )


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

        Raises:
            InvalidInputError: A `batch_size` was given for batches.
            RefusedError: Each process of a training would take its own number of steps.
        """
        self._keeps_empty = isinstance(dataset, TorchRows)
        if not self._keeps_empty and part_of().ranks > 1:
            raise RefusedError(
                "Several processes train together, and of Hugging Face rows each would have its own number of batches, "
                "so one would wait for another for ever. Load `rows.to_torch()`, which gives each process as many."
            )
        begin = partial(_begin_worker, options.pop("worker_init_fn", None))
        rows = options.get("batch_size")
        if rows is not None and isinstance(dataset, TorchRows) and dataset.is_batched:
            raise InvalidInputError("These are batches already: leave out `batch_size`, or `batched`.")
        self._columns = rows is not None and "collate_fn" not in options and not isinstance(dataset, TorchRows)
        if self._columns:
            options["collate_fn"] = list  # rows as they are: what is made of them is made in the loop
        self._loader = DataLoader(dataset, **{"batch_size": None, **options, "worker_init_fn": begin})
        self._judge = judge

    def __iter__(self) -> Iterator[Any]:
        """Yield what the loader gives, without the rows that may not be used any more.

        What is empty then is there, so that each process of a training has as many steps; but not of Hugging Face rows.
        """
        for batch in self._loader:
            found = self._judged(batch)
            if self._keeps_empty or not _is_empty(found):
                yield found

    def _judged(self, batch: Any) -> Any:  # noqa: ANN401 - a dictionary of columns, a row, or a list of rows
        if isinstance(batch, SealedBatch):
            return dict(batch.items())
        if isinstance(batch, SealedRow):
            return dict(batch.items()) if batch else {}
        if isinstance(batch, list):
            kept = [row for row in batch if self._judged(row)]
            return {name: [row[name] for row in kept] for name in kept[0]} if kept and self._columns else kept
        if not isinstance(batch, dict) or not batch.keys() >= set(_KEY):
            msg = f"What has not the columns {', '.join(_KEY)} cannot be judged again. Leave them in the dataset."
            raise InvalidInputError(msg)
        if isinstance(batch["account"], str):
            row = keep({name: [value] for name, value in batch.items()}, self._judge)
            return batch if row["account"] else {}
        _check_rows_first(batch, len(batch["account"]))
        return keep(batch, self._judge)


def _is_empty(found: Any) -> bool:  # noqa: ANN401 - a dictionary of columns, a row, or a list of rows
    return not found or (isinstance(found, dict) and not len(found["account"]))


def _begin_worker(begin: Callable[[int], None] | None, worker: int) -> None:
    global _parent_judges  # noqa: PLW0603 - a worker is one process, and its own
    _parent_judges = True
    if begin is not None:
        begin(worker)


def _to_tensors(batch: pa.RecordBatch) -> dict[str, Any]:
    if not batch.num_rows:
        return _no_rows()
    columns: dict[str, Any] = batch.to_pydict()
    nothing = np.zeros(EMBEDDING_SIZE, np.float32)
    vectors = [nothing if vector is None else np.asarray(vector, np.float32) for vector in columns["embedding"]]
    return {**columns, "embedding": torch.from_numpy(np.stack(vectors))}


def _no_rows() -> dict[str, Any]:
    return {**{name: [] for name in SCHEMA.names}, "embedding": torch.zeros((0, EMBEDDING_SIZE))}
