"""Writing: transactions whose files appear whole or not at all (atomic commit), one batch at a time.

- Writers take turns, threads and processes alike (a mutex and a file lock); readers never wait.
- A batch is one transaction of the index, and commits only when its files, and every folder that names them, are on the
  disk: all of it is visible, or none.
- A process that is killed while it writes leaves a file that nobody reads; the next writer removes it.
- Files that a batch makes obsolete are removed after its commit; readers that hold them open continue.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from volition.canonical import digest
from volition.errors import BackendError, DamagedError
from volition.files import busy_database, flush, turn
from volition.records.lake.index import LakeIndex
from volition.records.lake.records import write_table


class Batch:
    """One open transaction.

    Attributes:
        index: What the transaction changes.
        written: The files that it has written.
        obsolete: The files that are removed after its commit.
    """

    def __init__(self, index: LakeIndex) -> None:
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
        """Take a file out of the index, in the open transaction; it is removed after the commit."""
        self.index.drop_file(path)
        self.obsolete.append(self.index.folder / path)


class Writer:
    """Writes batches, one writer of a lake at a time."""

    def __init__(self, index: LakeIndex) -> None:
        self._index = index
        self._folder = index.folder
        self._dirty = index.folder / "writing"  # there while a writer is at work

    @contextmanager
    def writing(self, what: str) -> Iterator[Batch]:
        """Hold the writers' lock, remove what a killed writer left, and commit everything at once or nothing.

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
                        raise  # the mark stays, so the next writer sweeps
                    self._tidy(batch.obsolete)
            except (FileNotFoundError, pa.ArrowInvalid) as error:
                msg = f"The lake could not write {what}: {error}. Nothing is changed; restore that file from a backup."
                raise DamagedError(msg) from error
            except (OSError, sqlite3.Error, pa.ArrowException) as error:
                msg = (
                    f"The lake could not write {what}: {error}. Nothing of this batch is stored; free space and repeat."
                )
                raise busy_database(self._folder / "index.db", error) or BackendError(msg) from error

    def sweep_killed(self) -> None:
        """Remove what a killed writer left, if there was one; any other writing does, too. Raises as `writing`."""
        if self._dirty.exists():
            with self.writing("what a killed writer left"):
                pass

    def _make_durable(self, written: Sequence[Path]) -> None:
        """Flush files, and every folder that names them, to the disk; all together, which is faster than one by one."""
        folders = {folder for path in written for folder in path.parents if folder.is_relative_to(self._folder)}
        for path in (*written, *sorted(folders | {self._folder})):  # the lake's own folder holds the writer's mark
            flush(path)

    def _tidy(self, obsolete: Sequence[Path]) -> None:
        """Remove the files that the commit made obsolete, and then the mark that a writer is at work."""
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
        """Remove the files that an interrupted writer left, and set the mark that a writer is at work."""
        if self._dirty.exists():
            named = self._index.named()
            for path in (self._folder / "records").rglob("*.parquet*"):
                if str(path.relative_to(self._folder)) not in named:
                    path.unlink()
        self._dirty.touch()
