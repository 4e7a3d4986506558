"""Columns of numbers that grow at the end, so that tens of millions of answers fit into memory."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_IMPORTED: Final = ("id", "seq", "content")
_MANY: Final = 1 << 16
_FEW: Final = 4096  # so many are looked through faster than they are put in order


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


class Imported:
    """What was imported: by what its source calls it (a digest), the ledger entry, and what that says (a digest)."""

    def __init__(self) -> None:
        self._newest: dict[int, tuple[int, int]] = {}
        self._older = {name: np.empty(0, np.int64) for name in _IMPORTED}

    def __len__(self) -> int:
        return len(self._older["id"]) + len(self._newest)

    def add(self, name: int, seq: int, content: int) -> None:
        """Note an import; of several under one name the first counts."""
        if self.find(name) is None:
            self._newest[name] = seq, content
        self._arrange()

    def _arrange(self) -> None:
        if len(self._newest) > max(_MANY, len(self._older["id"]) // 4):
            self._extend(self._columns())

    def add_all(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """Note many imports, each by its name, its entry and the digest of what it says, as `add` does one by one."""
        names, ids = np.array([name for name, _, _ in rows], np.int64), self._older["id"]
        known = set(names[ids.take(ids.searchsorted(names), mode="clip") == names].tolist()) if len(ids) else set()
        for name, seq, content in rows:
            if name not in known:
                self._newest.setdefault(name, (seq, content))
        self._arrange()

    def find(self, name: int) -> tuple[int, int] | None:
        """Return the entry of an import, and the digest of what it says; none if there was none."""
        ids = self._older["id"]
        if not len(ids):
            return self._newest.get(name)
        place = int(ids.searchsorted(name))
        if place < len(ids) and ids[place] == name:
            return int(self._older["seq"][place]), int(self._older["content"][place])
        return self._newest.get(name)

    def to_files(self) -> dict[str, bytes]:
        """Return it as files by name; `load` reads them back."""
        self._extend(self._columns())
        return {f"imported-{name}.i8": column.astype("<i8").tobytes() for name, column in self._older.items()}

    def load(self, files: Mapping[str, bytes]) -> None:
        """Read back what `to_files` returned, where nothing is known yet."""
        self._older = {name: np.frombuffer(files[f"imported-{name}.i8"], "<i8") for name in _IMPORTED}

    def _columns(self) -> NDArray[np.int64]:
        listed = [(name, *found) for name, found in self._newest.items()]
        return np.array(listed, np.int64).reshape(-1, len(_IMPORTED))

    def _extend(self, newest: NDArray[np.int64]) -> None:
        order = np.argsort(np.concatenate([self._older["id"], newest[:, 0]]), kind="stable")
        self._older = {
            name: np.concatenate([self._older[name], newest[:, place]])[order] for place, name in enumerate(_IMPORTED)
        }
        self._newest = {}


class SortedRows:
    """Rows by a number each, found by ranges of it while more are added: an index, sorted but for the few newest."""

    def __init__(self) -> None:
        self._newest: list[tuple[int, int]] = []
        self._value = np.empty(0, np.int64)
        self._row = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._row) + len(self._newest)

    def append(self, value: int, row: int) -> None:
        """Add one row."""
        self._newest.append((value, row))
        self._arrange()

    def _arrange(self) -> None:
        if len(self._newest) > max(_FEW, len(self._row) // 8):
            newest = np.array(self._newest, np.int64)
            self._newest = []
            self.extend(newest[:, 0], newest[:, 1])

    def extend(self, value: NDArray[np.integer], row: NDArray[np.integer]) -> None:
        """Add many rows."""
        values, rows = np.concatenate([self._value, value]), np.concatenate([self._row, row])
        order = np.argsort(values, kind="stable")
        self._value, self._row = values[order], rows[order]

    def add(self, value: NDArray[np.integer], row: NDArray[np.integer]) -> None:
        """Add some rows: they wait among the newest unless they are many, so that order is not made each time."""
        if len(value) > max(_FEW, len(self._row) // 8):
            self.extend(value, row)
        else:
            self._newest.extend(zip(value.tolist(), row.tolist(), strict=True))
            self._arrange()

    def next_after(self, value: int) -> int | None:
        """Return the lowest number above one; none if there is none."""
        found = [one for one, _ in self._newest if one > value]
        place = int(np.searchsorted(self._value, value, side="right"))
        if place < len(self._value):
            found.append(int(self._value[place]))
        return min(found, default=None)

    def between(self, low: int, high: int) -> NDArray[np.int64]:
        """Return the rows with a number above one, and not above another, in no order."""
        first, last = np.searchsorted(self._value, [low, high], side="right").tolist()
        newest = np.array([row for value, row in self._newest if low < value <= high], np.int64)
        return np.concatenate([self._row[first:last], newest])
