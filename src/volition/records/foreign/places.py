"""Rows of a table at a version, read back by where they are in its files: whole, in their order, or not at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from volition.errors import ProofError
from volition.records.foreign.judged import chosen
from volition.records.foreign.version import DataFile, TableVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A data file of which rows were listed.

    Attributes:
        name: As the table's version names it.
        digests: SHA-256 of everything that its rows hang on, hexadecimal.
        rows: How many of its rows were listed.
    """

    name: str
    digests: tuple[str, ...]
    rows: int

    @classmethod
    def of(cls, name: str, digests: Sequence[str], rows: int) -> "Source":
        """Take what a `sources.json` says of one."""
        return cls(name=name, digests=tuple(digests), rows=rows)


def rows_at(
    version: TableVersion, sources: Sequence[Source], positions: Iterator[NDArray[np.int64]]
) -> Iterator[pa.RecordBatch]:
    """Yield listed rows, with all columns, in the order in which they were listed; each file is compared first.

    Args:
        version: The table at the version at which they were listed.
        sources: The files, in order.
        positions: Where the rows are in their files, file after file, ascending in each; cut anyhow.

    Raises:
        DamagedError: A file is gone, or cannot be read.
        ProofError: A file was changed, or is none of the table's at that version.
    """
    there = {file.name: file for file in version.files}
    places = _Places(positions)
    for source in sources:
        file = there.get(source.name)
        if file is None:
            msg = f"{version.uri} has no file {source.name} at the version at which rows of it were listed. Restore it."
            raise ProofError(msg)
        if source.rows:
            file.check(source.digests)
            yield from _rows_of(file, places.next(source.rows))


def plain_value(value: Any) -> Any:  # noqa: ANN401 - what a table holds
    """Return a value as JSON: instants by RFC 3339, bytes as hexadecimal, what else JSON has no form for as text."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [plain_value(one) for one in value]
    if isinstance(value, dict):
        return {str(name): plain_value(one) for name, one in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _rows_of(file: DataFile, positions: NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    first = done = 0
    for batch in file.batches():
        end = int(np.searchsorted(positions, first + batch.num_rows))
        if end > done:
            mask = np.zeros(batch.num_rows, np.bool_)
            mask[positions[done:end] - first] = True
            yield chosen(batch, mask)
        first, done = first + batch.num_rows, end
    if done < len(positions):
        msg = f"The table's file {file.name} has fewer rows than were listed of it. Restore it, or list them anew."
        raise ProofError(msg)


class _Places:
    """Takes so many at a time from a stream of numbers."""

    def __init__(self, numbers: Iterator[NDArray[np.int64]]) -> None:
        self._numbers = numbers
        self._left = np.empty(0, np.int64)

    def next(self, count: int) -> NDArray[np.int64]:
        """Return the next ones. Raises ProofError where there are not so many."""
        parts, there = [self._left], len(self._left)
        while there < count:
            more = next(self._numbers, None)
            if more is None:
                raise ProofError("Fewer places of rows are kept than rows were listed. Take a new snapshot.")
            parts.append(more)
            there += len(more)
        whole = np.concatenate(parts)
        self._left = whole[count:]
        return whole[:count]
