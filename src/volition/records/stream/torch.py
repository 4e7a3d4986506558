"""Permitted rows as a torch `IterableDataset`. Imported only where torch is."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import IterableDataset, get_worker_info

from volition.records.lake import EMBEDDING_SIZE

_OpenBatches = Callable[[int, int], Iterator[pa.RecordBatch]]  # of a share, of so many shares


class TorchRows(IterableDataset[dict[str, Any]]):  # type: ignore[misc] # torch may not be installed
    """Batches as dictionaries: column name to list; "embedding" a float32 tensor (rows, 384), zeros where none is."""

    def __init__(self, open_batches: _OpenBatches, reopen: _OpenBatches) -> None:
        """Stand for batches that are opened when they are wanted, here or in a worker."""
        super().__init__()
        self._open_batches: _OpenBatches | None = open_batches
        self._reopen = reopen

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what cannot go to another process."""
        return {**self.__dict__, "_open_batches": None}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield batches: all of them, or this worker's share."""
        worker = get_worker_info()
        if worker is not None:  # started by fork or anew, it has no business with its parent's files
            batches = self._reopen(worker.id, worker.num_workers)
        else:
            batches = (self._open_batches or self._reopen)(0, 1)
        return map(_to_tensors, batches)


def _to_tensors(batch: pa.RecordBatch) -> dict[str, Any]:
    columns: dict[str, Any] = batch.to_pydict()
    nothing = np.zeros(EMBEDDING_SIZE, np.float32)
    vectors = [nothing if vector is None else np.asarray(vector, np.float32) for vector in columns["embedding"]]
    return {**columns, "embedding": torch.from_numpy(np.stack(vectors))}
