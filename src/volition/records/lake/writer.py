"""How the lake is written: files that appear whole or not at all, a batch at a time.

- Writers take turns, threads and processes alike; readers never wait.
- A batch is one transaction of the index, and commits only when its files, and every folder that names them, are on the
  disk: all of it is visible or none.
- A process killed while it writes leaves a file nobody reads, swept away by the next writer.
- What a batch makes obsolete is removed after its commit; readers who hold it open go on.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from volition.canonical import digest
from volition.errors import BackendError
from volition.files import flush, turn
from volition.records.lake.index import Index
from volition.records.lake.records import write_table


class Batch:
    """One open transaction.

    Attributes:
        index: What the transaction changes.
        written: The files that it has written.
        obsolete: The files that are removed after its commit.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.written: list[Path] = []
        self.obsolete: list[Path] = []

    def write(self, table: pa.Table, *, kind: str, category: str, bucket: int, under: str) -> None:
        """Write one Parquet file and name it in the open transaction, which makes it durable before it commits."""
        stem = f"{bucket:02d}-{digest(''.join(table['record_id'].to_pylist()).encode())[:16]}.parquet"
        relative = under if under.startswith("records/") else f"records/{under}"
        path = self.index.folder / relative / stem
        path.parent.mkdir(parents=True, exist_ok=True)
        sink = pa.BufferOutputStream()
        write_table(table, sink)
        path.write_bytes(sink.getvalue())
        self.written.append(path)
        self.index.add_file(f"{relative}/{stem}", kind=kind, category=category, bucket=bucket, rows=table.num_rows)

    def drop(self, path: str) -> None:
        """Name a file no longer, in the open transaction; it is removed after the commit."""
        self.index.drop_file(path)
        self.obsolete.append(self.index.folder / path)


class Writer:
    """Takes turns with all other writers of one lake."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._folder = index.folder
        self._dirty = index.folder / "writing"  # the mark that a writer is at work

    @contextmanager
    def writing(self, what: str) -> Iterator[Batch]:
        """Hold the writers' turn, sweep what a killed writer left, and commit everything at once or nothing.

        Raises:
            BackendError: The disk is full or cannot be written; nothing of the batch is visible.
        """
        with self._index.mutex:
            try:
                with turn(self._folder):
                    self._sweep()
                    self._index.begin()
                    batch = Batch(self._index)
                    try:
                        yield batch
                        self._make_durable(batch.written)
                        self._index.commit()
                    except BaseException:
                        self._index.rollback()
                        raise  # the mark stays: the next writer sweeps
                    self._tidy(batch.obsolete)
            except (OSError, sqlite3.Error, pa.ArrowException) as error:
                msg = (
                    f"The lake could not write {what}: {error}. Nothing of this batch is stored; free space and repeat."
                )
                raise BackendError(msg) from error

    def _make_durable(self, written: Sequence[Path]) -> None:
        """Flush files, and every folder that names them, to the disk: all together, or each would wait for its own."""
        folders = {folder for path in written for folder in path.parents if folder.is_relative_to(self._folder)}
        for path in (*written, *sorted(folders | {self._folder})):  # which makes the mark of a writer last, too
            flush(path)

    def _tidy(self, obsolete: Sequence[Path]) -> None:
        """Remove what the commit has made obsolete, and then the mark that a writer is at work."""
        try:
            for path in obsolete:
                path.unlink(missing_ok=True)
            for folder in {path.parent for path in obsolete}:
                flush(folder)
            self._dirty.unlink(missing_ok=True)
        except OSError as error:
            msg = f"The records are erased from the lake, but an old file is still there: {error}. Erase again."
            raise BackendError(msg) from error

    def _sweep(self) -> None:
        """Remove the files that an interrupted writer left; mark that a writer is at work."""
        if self._dirty.exists():
            named = self._index.named()
            for path in (self._folder / "records").rglob("*.parquet*"):
                if str(path.relative_to(self._folder)) not in named:
                    path.unlink()
        self._dirty.touch()
