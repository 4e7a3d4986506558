"""Columns of numbers that grow at the end, so that tens of millions of answers fit into memory."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Columns:
    """Columns of equal length that grow at the end, doubling their room."""

    def __init__(self, **kinds: str) -> None:
        self._room = {name: np.empty(64, kind) for name, kind in kinds.items()}
        self.size = 0

    def append(self, *values: int) -> int:
        """Add one row, its values in the columns' order; return its number."""
        self._make_room(self.size + 1)
        for column, value in zip(self._room.values(), values, strict=True):
            column[self.size] = value
        self.size += 1
        return self.size - 1

    def extend(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Add many rows."""
        size = self.size + len(next(iter(rows.values())))
        self._make_room(size)
        for name, column in self._room.items():
            column[self.size : size] = rows[name]
        self.size = size

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._room[name][: self.size]

    def _make_room(self, size: int) -> None:
        for name, column in self._room.items():
            if size > len(column):
                wider = np.empty(max(size, 2 * len(column)), column.dtype)
                wider[: self.size] = column[: self.size]
                self._room[name] = wider
