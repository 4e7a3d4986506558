"""The Parquet files of a snapshot as they are written: block by block, with their digests.

A row group ends where a fixed number of rows or of bytes is reached at the end of a block. Blocks begin at fixed rows,
so the same rows give the same bytes, on every machine and however they were gathered.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BLOCK_ROWS: Final = 16_384
"""How many rows are written at once; all blocks but the last one have as many."""

_GROUP_ROWS: Final = 1 << 20  # as Arrow has it, so that small snapshots are the same bytes as before there were blocks
_GROUP_BYTES: Final = 64 << 20

PLAIN: Final[Mapping[str, Any]] = {
    "compression": "none",
    "use_dictionary": ["account", "people.list.element", "category", "conversation"],
    "version": "2.6",
    "data_page_version": "1.0",
    "write_statistics": False,
    "store_schema": False,
}
"""How `keys.parquet` is written: not compressed, two encodings, one kind of page.

`docs/formats/keys.md` is a small reader of it: whoever checks evidence in a browser has no other."""

PACKED: Final[Mapping[str, Any]] = {"compression": "zstd"}
"""How `rows.parquet` is written."""


class DigestedFile:
    """A new file whose digest is known once it was written."""

    def __init__(self, path: Path) -> None:
        """Begin an empty file. Raises OSError."""
        self._file: BinaryIO = path.open("xb")
        self._sha256 = sha256()
        self._is_abandoned = False
        self.closed = False

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Append some bytes. Raises OSError where the disk is full."""
        if self._is_abandoned:
            return len(memoryview(data))
        self._sha256.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        """Return how many bytes there are."""
        return self._file.tell()

    def flush(self) -> None:
        """Hand to the system what was written."""
        self._file.flush()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the file. After an error nothing more is written: a writer of Arrow writes its end when it goes."""
        self._is_abandoned = error is not None
        self._file.close()
        self.closed = True

    @property
    def digest(self) -> str:
        """SHA-256 of what was written, hexadecimal."""
        return self._sha256.hexdigest()


class BlockedParquet:
    """A Parquet file that is written block by block; a context, at whose end it is whole, or of no use."""

    def __init__(self, path: Path, schema: pa.Schema, form: Mapping[str, Any]) -> None:
        """Begin a file of a schema in a form: `PLAIN` or `PACKED`. Raises OSError where the disk is full."""
        self._schema = schema
        self._blocks: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._is_empty = True
        with ExitStack() as opened:
            self._file = opened.enter_context(DigestedFile(path))
            self._writer = pq.ParquetWriter(self._file, schema, **form)
            opened.pop_all()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the file."""
        self._file.__exit__(kind, error, trace)
        self._writer.close()  # does nothing once it was finished

    @property
    def digest(self) -> str:
        """SHA-256 of the file once it was finished, hexadecimal."""
        return self._file.digest

    def add(self, block: pa.RecordBatch) -> None:
        """Append `BLOCK_ROWS` rows; the last time there may be fewer. Raises OSError where the disk is full."""
        self._blocks.append(block)
        self._rows += block.num_rows
        self._bytes += sum(map(_bytes_of, block.columns))
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._end_group()

    def finish(self) -> None:
        """Write the rest: there are no more rows. Raises OSError where the disk is full."""
        if self._blocks or self._is_empty:  # no rows are a row group, too
            self._end_group()
        self._writer.close()
        self._file.flush()

    def _end_group(self) -> None:
        table = pa.Table.from_batches(self._blocks, self._schema).combine_chunks()
        self._writer.write_table(table, row_group_size=_GROUP_ROWS)
        self._blocks, self._rows, self._bytes, self._is_empty = [], 0, 0, False


def _bytes_of(column: pa.Array) -> int:
    """Return how many bytes the values of a column take, however it lies in memory."""
    if pa.types.is_list(column.type):
        column = column.flatten()
    if pa.types.is_integer(column.type):
        return 8 * len(column)
    return pc.sum(pc.binary_length(column)).as_py() or 0
